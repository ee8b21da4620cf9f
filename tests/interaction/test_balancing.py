"""Balancing: known matrices, proofs that no matrix exists, and refusals."""

import tomllib
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.interaction.balancing import balance

BOOK = tomllib.loads(
    (Path(__file__).parents[1] / "published/OrtuzarWillumsen2011/values.toml").read_text("utf-8")
)


def test_a_published_matrix_after_as_many_sweeps():
    stopped = balance(BOOK["seed"], BOOK["rows"], BOOK["columns"], tol=3e-5)
    assert stopped.iterations == 8
    # Three decimals are printed.
    np.testing.assert_allclose(stopped.matrix[0], BOOK["first_row"], atol=5e-4)


def test_the_published_problem_to_the_end():
    done = balance(BOOK["seed"], BOOK["rows"], BOOK["columns"])
    assert done.residual <= 1e-12
    np.testing.assert_allclose(done.matrix[0], BOOK["first_row"], atol=5e-3)
    np.testing.assert_allclose(done.matrix.sum(axis=1), BOOK["rows"], rtol=1e-12)
    np.testing.assert_allclose(done.matrix.sum(axis=0), BOOK["columns"], rtol=1e-12)
    # The odds ratios are the seed's: that and the margins define the solution.
    X, S = np.log(done.matrix), np.log(np.array(BOOK["seed"], dtype=float))
    odds = X - X[:1] - X[:, :1] - (S - S[:1] - S[:, :1])
    np.testing.assert_allclose(odds, odds[0, 0], atol=1e-12)
    assert np.log(done.column_factors).sum() == pytest.approx(0, abs=1e-12)


def test_a_matrix_with_the_right_margins_stays_as_it_is():
    seed = np.array(BOOK["seed"], dtype=float)
    same = balance(seed, seed.sum(axis=1), seed.sum(axis=0))
    np.testing.assert_allclose(same.matrix, seed, rtol=1e-12)
    assert same.iterations == 1


def test_places_without_trips_get_none():
    done = balance(np.ones((3, 3)), [5, 0, 7], [6, 6, 0])
    np.testing.assert_allclose(done.matrix, [[2.5, 2.5, 0], [0, 0, 0], [3.5, 3.5, 0]])


@pytest.mark.parametrize("reach", [1, 6])
def test_factors_that_are_known_are_found(reach):
    """Few cells and many are stored differently."""
    rng = np.random.default_rng(2)
    o, d = np.indices((12, 12))
    seed = rng.uniform(0.5, 2, (12, 12)) * ((d - o) % 12 <= reach)
    a, b = rng.uniform(0.5, 2, (2, 12))
    want = a[:, None] * seed * b
    found = balance(seed, want.sum(axis=1), want.sum(axis=0), tol=1e-13)
    np.testing.assert_allclose(found.matrix, want, rtol=1e-9)
    b /= np.exp(np.log(b).mean())
    np.testing.assert_allclose(found.column_factors, b, rtol=1e-9)


def exists(support, rows, columns):
    """By Hall's condition over every set of rows."""
    sets = chain.from_iterable(combinations(range(len(rows)), k) for k in range(1, len(rows) + 1))
    for chosen in map(list, sets):
        reached = support[chosen].any(axis=0)
        if rows[chosen].sum() > columns[reached].sum() + 1e-9:
            return False
    return True


def test_every_impossible_pattern_is_certified_and_every_possible_one_balanced():
    rng = np.random.default_rng(1)
    verdicts = []
    for _ in range(150):
        support = rng.uniform(size=(5, 5)) < 0.4
        support[np.arange(5), rng.permutation(5)] = True
        # Margins on the quarter grid are rarely on the border of what is possible.
        rows, columns = (rng.integers(1, 9, 5) + rng.uniform(0, 0.5, 5) for _ in range(2))
        columns *= rows.sum() / columns.sum()
        possible = exists(support, rows, columns)
        seed = support * rng.uniform(0.5, 2, (5, 5))
        if possible:
            assert balance(seed, rows, columns, tol=1e-9).residual <= 1e-9
        else:
            with pytest.raises(DataError, match="no matrix with these zeros"):
                balance(seed, rows, columns, tol=1e-9)
        verdicts.append(possible)
    assert 30 < sum(verdicts) < 120


def test_the_certificate_names_rows_and_columns():
    seed = pd.DataFrame(
        [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]], ["A", "B", "C"], ["X", "Y", "Z"]
    )
    with pytest.raises(DataError, match=r"rows [AB], [AB] total 9,.*reach \(X\) total 5"):
        balance(seed, [4, 5, 3], [5, 4, 3])


def test_a_row_of_zeros_with_a_total():
    seed = pd.DataFrame([[0.0, 0.0], [1.0, 1.0]], ["A", "B"], ["X", "Y"])
    with pytest.raises(DataError, match=r"1 rows have a positive total but only zeros.*\(A\)"):
        balance(seed, [1, 2], [1, 2])
    # A cell in a column without a total is no help.
    seed.loc["A", "X"] = 1.0
    with pytest.raises(DataError, match=r"1 rows have a positive total but only zeros.*\(A\)"):
        balance(seed, [1, 2], [0, 3])


def test_margins_that_only_zeros_can_meet_do_not_converge():
    # The limit needs a zero where the seed has none, and the sweeps creep towards it.
    with pytest.raises(EstimationError, match="after 500 sweeps"):
        balance([[1, 1], [0, 1]], [2, 1], [2, 1], max_iterations=500)


@pytest.mark.parametrize(
    ("seed", "rows", "columns", "message"),
    [
        ([[1, 2], [3, 4]], [1, 2], [1, 3], "a difference of -1"),
        ([[1, -2], [3, 4]], [1, 2], [1, 2], "seed are negative or not finite in 1 places"),
        ([[1, np.nan], [3, 4]], [1, 2], [1, 2], "seed are negative or not finite"),
        ([[1, 2], [3, 4]], [-1, 4], [1, 2], "row totals are negative"),
        ([[1, 2], [3, 4]], [1, 2, 3], [3, 3], "one total for each row"),
        ([[1, 2], [3, 4]], [0, 0], [0, 0], "every margin is zero"),
    ],
)
def test_what_cannot_be_balanced_is_refused(seed, rows, columns, message):
    with pytest.raises(DataError, match=message):
        balance(seed, rows, columns)


def test_totals_in_another_order():
    seed = pd.DataFrame(1.0, ["A", "B"], ["X", "Y"])
    rows = pd.Series([1.0, 3.0], ["B", "A"])
    with pytest.raises(
        DataError, match="row totals are labelled B, A, but the rows of the seed A, B"
    ):
        balance(seed, rows, [2, 2])
    done = balance(seed, rows.loc[["A", "B"]], pd.Series([2.0, 2.0]))
    np.testing.assert_allclose(done.matrix, [[1.5, 1.5], [0.5, 0.5]])


def test_a_tolerance_that_is_none():
    with pytest.raises(SpecificationError, match="tol is 0"):
        balance([[1.0]], [1], [1], tol=0)
