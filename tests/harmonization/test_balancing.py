import numpy as np
import pytest
from scipy.sparse import csr_array

from choicemodels.errors import EstimationError
from estimation.balancing import newton_balance
from estimation.harmonization.feasibility import deficient_block


def problem(seed, N=40, stay=50.0):
    rng = np.random.default_rng(seed)
    table = rng.exponential(1, (N, N)) * (rng.random((N, N)) < 0.3) + stay * np.eye(N)
    truth = table * np.exp(rng.normal(0, 1, N))[:, None] * np.exp(rng.normal(0, 1, N))
    return table, truth


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sparse_and_dense_matrices_balance_alike(seed):
    table, truth = problem(seed)
    rows, columns = truth.sum(axis=1), truth.sum(axis=0)
    dense = newton_balance(table, rows, columns)
    sparse = newton_balance(csr_array(table), rows, columns)
    np.testing.assert_allclose(dense.matrix, truth, rtol=1e-10)
    np.testing.assert_allclose(sparse.matrix.toarray(), truth, rtol=1e-10)
    np.testing.assert_allclose(sparse.log_rows, dense.log_rows, atol=1e-10)
    assert sparse.log_rows.mean() == pytest.approx(0, abs=1e-12)


def test_separate_blocks_balance_apart():
    table, truth = problem(4)
    apart = np.kron(np.eye(2), np.ones((20, 20)))
    table, truth = table * apart, truth * apart
    found = newton_balance(csr_array(table), truth.sum(axis=1), truth.sum(axis=0))
    np.testing.assert_allclose(found.matrix.toarray(), truth, rtol=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
def test_margins_of_zero_are_left_alone(kind):
    table, truth = problem(5)
    rows, columns = truth.sum(axis=1), truth.sum(axis=0)
    rows[[3, 9]], columns[[1, 2, 30]] = 0, 0
    found = newton_balance(kind(table), rows, columns)
    matrix = found.matrix if kind is np.asarray else found.matrix.toarray()
    assert found.log_rows[[3, 9]].tolist() == [0, 0]
    assert found.log_columns[[1, 2, 30]].tolist() == [0, 0, 0]
    np.testing.assert_allclose(matrix.sum(axis=1)[rows > 0], rows[rows > 0], rtol=1e-11)
    np.testing.assert_allclose(matrix.sum(axis=0)[columns > 0], columns[columns > 0], rtol=1e-11)


def test_what_has_no_solution_is_told():
    table = csr_array(np.array([[1.0, 0.0], [1.0, 1.0]]))
    with pytest.raises(EstimationError, match="cannot be balanced"):
        newton_balance(table, np.array([2.0, 1.0]), np.array([1.0, 2.0]))


class TestDeficientBlock:
    def test_feasible_margins_have_none(self):
        table, truth = problem(6)
        assert deficient_block(csr_array(table), truth.sum(axis=1), truth.sum(axis=0)) is None

    def test_rounding_is_no_deficit(self):
        rows = np.array([1e8 / 3, 2e8 / 3, 7e7 / 11])
        assert deficient_block(csr_array(np.diag(rows)), rows, rows * (1 + 1e-13)) is None

    def test_the_block_is_found_among_many(self):
        table, truth = problem(7)
        rows, columns = truth.sum(axis=1), truth.sum(axis=0)
        table[[4, 8]] = 0
        table[[4, 8], [4, 8]] = 1
        table[4, 8] = 1
        rows[[4, 8]] = columns[[4, 8]].sum() * np.array([0.6, 0.5])
        block, reached = deficient_block(csr_array(table), rows, columns)
        assert np.flatnonzero(block).tolist() == [4, 8]
        assert np.flatnonzero(reached).tolist() == [4, 8]

    def test_a_column_that_is_not_imposed_takes_anything(self):
        table = csr_array(np.array([[1.0, 1.0], [0.0, 1.0]]))
        assert deficient_block(table, np.array([5.0, 5.0]), np.array([1.0, 0.0])) is None
        assert deficient_block(table, np.array([5.0, 5.0]), np.array([1.0, 2.0])) is not None
