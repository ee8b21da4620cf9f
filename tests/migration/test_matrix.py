import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from choicemodels import Areas, Gravity, MigrationMatrix
from choicemodels.errors import DataError
from estimation import fit


def areas_of(states=3, counties=2, tracts=2, groups=3):
    return Areas.from_geoids(
        [
            f"{s:02d}{c:03d}{t:06d}{b}"
            for s in range(1, states + 1)
            for c in range(1, counties + 1)
            for t in range(1, tracts + 1)
            for b in range(1, groups + 1)
        ]
    )


@pytest.fixture
def dense():
    rng = np.random.default_rng(1)
    N = areas_of().size
    table = rng.poisson(1.0, (N, N)) * rng.exponential(3, (N, N))
    return table + np.diag(rng.uniform(0, 300, N) * (rng.random(N) < 0.8))


@pytest.fixture
def matrix(dense):
    return MigrationMatrix.from_scipy(sparse.csr_array(dense), areas_of(), 2015)


def test_sums_are_those_of_the_dense_matrix(matrix, dense):
    np.testing.assert_allclose(matrix.before, dense.sum(axis=1), rtol=1e-14)
    np.testing.assert_allclose(matrix.after, dense.sum(axis=0), rtol=1e-14)
    np.testing.assert_array_equal(matrix.stayers, np.diag(dense))
    assert matrix.total == pytest.approx(dense.sum())
    np.testing.assert_array_equal(matrix.flows.toarray(), dense)


@pytest.mark.parametrize("level", ["tract", "county", "state"])
def test_coarser_flows_keep_movers_apart_from_stayers(matrix, dense, level):
    group = matrix.areas.level(level)
    C = np.eye(group.size)[group.codes]
    sums = matrix.aggregate(level)
    stay = np.diag(np.diag(dense))
    np.testing.assert_allclose(sums.movers.toarray(), C.T @ (dense - stay) @ C, rtol=1e-12)
    np.testing.assert_allclose(sums.stayers, C.T @ np.diag(dense), rtol=1e-12)
    np.testing.assert_allclose(sums.flows.toarray(), C.T @ dense @ C, rtol=1e-12)
    np.testing.assert_allclose(sums.before, C.T @ dense.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(sums.after, C.T @ dense.sum(axis=0), rtol=1e-12)


def test_areas_need_not_be_sorted_by_level(dense):
    order = np.random.default_rng(2).permutation(len(dense))
    mixed = MigrationMatrix.from_scipy(
        sparse.csr_array(dense[np.ix_(order, order)]),
        Areas.from_geoids(areas_of().labels[order].tolist()),
    )
    straight = MigrationMatrix.from_scipy(sparse.csr_array(dense), areas_of())
    pd.testing.assert_frame_equal(
        mixed.aggregate("county").to_frame(), straight.aggregate("county").to_frame()
    )


def test_a_matrix_prints_as_a_line(matrix):
    wanted = "36 block_group in 12 tract in 6 county in 3 state"
    assert repr(matrix) == f"MigrationMatrix({matrix.nnz:,} pairs of Areas({wanted}), 2015)"


def test_rows_of_a_table_come_in_any_order(matrix):
    rows = matrix.to_frame().sample(frac=1, random_state=1)
    again = MigrationMatrix.from_rows(rows, matrix.areas)
    np.testing.assert_array_equal(again.values, matrix.values)
    np.testing.assert_array_equal(again.indices, matrix.indices)


def test_pairs_that_repeat_are_added_up_in_a_sparse_matrix():
    cells = sparse.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(36, 36))
    matrix = MigrationMatrix.from_scipy(cells, areas_of())
    assert matrix.values.tolist() == [3, 4]


def test_change_is_half_the_absolute_differences(matrix):
    other = matrix.with_values(matrix.values * 1.5)
    assert matrix.change(other) == pytest.approx(matrix.total / 4)
    state, theirs = matrix.aggregate("state"), other.aggregate("state")
    assert state.change(theirs) == pytest.approx(matrix.total / 4)


def test_a_matrix_goes_straight_into_gravity(matrix):
    flows = matrix.to_flows("county")
    assert (flows.origin, flows.time) == ("origin", "year")
    assert flows.y.sum() == pytest.approx(matrix.total)
    away = flows.table["origin"] != flows.table["destination"]
    table = flows.table.assign(
        near=(flows.table["origin"].str[:2] == flows.table["destination"].str[:2])
    )
    from choicemodels import FlowData

    data = FlowData(
        table[away].assign(near=table["near"].astype(float)), "origin", "destination", "people"
    )
    assert fit(Gravity("near | origin + destination"), data).nobs == away.sum()
    fine = matrix.to_flows()
    assert fine.nobs == matrix.nnz


class TestBadInput:
    def test_unsorted_and_repeated_nonzeros_are_named(self):
        areas = areas_of(1, 1, 1, 2)
        a, b = areas.labels
        with pytest.raises(DataError, match=rf"the nonzero {a} → {a} is out of order"):
            MigrationMatrix(areas, [0, 2, 2], [1, 0], [1.0, 2.0])
        with pytest.raises(DataError, match=rf"the nonzero {a} → {b} repeats"):
            MigrationMatrix(areas, [0, 2, 2], [1, 1], [1.0, 2.0])

    def test_values_that_are_no_counts_are_named(self):
        areas = areas_of(1, 1, 1, 2)
        a, b = areas.labels
        for wrong in (-1.0, np.nan, np.inf):
            with pytest.raises(DataError, match=rf"1 nonzeros are negative.*{b} → {a}"):
                MigrationMatrix(areas, [0, 1, 2], [1, 0], [2.0, wrong])

    def test_shapes_must_fit(self, dense):
        with pytest.raises(DataError, match=r"shape \(35, 36\), but there are 36 areas"):
            MigrationMatrix.from_scipy(sparse.csr_array(dense[:35]), areas_of())
        with pytest.raises(DataError, match="needs 3 row pointers"):
            MigrationMatrix(areas_of(1, 1, 1, 2), [0, 1], [0], [1.0])
        with pytest.raises(DataError, match="outside of the 2 areas"):
            MigrationMatrix(areas_of(1, 1, 1, 2), [0, 1, 1], [2], [1.0])
        with pytest.raises(DataError, match="pointers of the matrix go down"):
            MigrationMatrix(areas_of(1, 1, 1, 3), [0, 2, 1, 2], [0, 1], [1.0, 1.0])

    def test_strangers_and_twins_in_a_table_are_named(self):
        areas = areas_of(1, 1, 1, 2)
        a, b = areas.labels
        rows = pd.DataFrame({"origin": [a, "777"], "destination": [b, b], "people": [1, 1]})
        with pytest.raises(DataError, match=r"'origin' names 1 places.*block_group.*\(777\)"):
            MigrationMatrix.from_rows(rows, areas)
        rows = pd.DataFrame({"origin": [a, a], "destination": [b, b], "people": [1, 1]})
        with pytest.raises(
            DataError, match=rf"1 rows .* repeat a pair \(the first: {a} → {b}, row 1"
        ):
            MigrationMatrix.from_rows(rows, areas)
