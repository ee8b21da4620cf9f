"""Measures of agreement: by hand, by brute force, at their ends, and as published."""

import tomllib
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.agreement import agreement, flow_agreement, rmse_reduction

PUBLISHED = tomllib.loads(
    Path(__file__)
    .parents[1]
    .joinpath("published/AgostiniYoungFitzpatrickGargPierson2025/validation.toml")
    .read_text(encoding="utf-8")
)


def areas(n, prefix="b"):
    table = pd.DataFrame({"place": [f"{prefix}{i:02}" for i in range(n)], "county": "c"})
    return Areas.from_table(table, "place", ["county"])


def matrix(dense, prefix="b"):
    dense = np.asarray(dense, dtype=float)
    return MigrationMatrix.from_scipy(csr_array(dense), areas(len(dense), prefix))


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(5)
    shape = (37, 37)
    x = rng.poisson(0.3, shape) * rng.uniform(1, 9, shape)
    y = x * rng.uniform(0.4, 2, shape) + (rng.random(shape) < 0.07)
    return x, y


@pytest.mark.parametrize("stayers", [True, False])
@pytest.mark.parametrize("pairs", ["all", "stored"])
def test_pairs_agree_as_they_do_when_written_out(pair, stayers, pairs):
    x, y = pair
    kept = np.ones(x.shape, dtype=bool) if stayers else ~np.eye(len(x), dtype=bool)
    if pairs == "stored":
        kept &= (x > 0) | (y > 0)
    found = flow_agreement(matrix(x), matrix(y), stayers=stayers, pairs=pairs)
    assert found.cells == kept.sum()
    assert found.correlation == pytest.approx(np.corrcoef(x[kept], y[kept])[0, 1], rel=1e-12)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((x - y)[kept] ** 2)), rel=1e-12)


def test_values_far_from_zero_keep_their_digits(pair):
    x, y = pair
    full = np.ones_like(x)
    # A sum of squares not taken around the mean would lose all sixteen digits here.
    near = flow_agreement(matrix(x + full), matrix(y + full))
    far = flow_agreement(matrix(x + 1e9 * full), matrix(y + 1e9 * full))
    assert far.correlation == pytest.approx(near.correlation, rel=1e-6)


def test_measures_do_not_depend_on_the_number_of_threads(pair):
    most = numba.get_num_threads()
    found = []
    try:
        for threads in {1, most}:
            numba.set_num_threads(threads)
            found.append(flow_agreement(*map(matrix, pair)))
    finally:
        numba.set_num_threads(most)
    assert all(one == found[0] for one in found)


def test_arrays_and_matrices_are_measured_alike(pair):
    x, y = pair
    by_pairs, by_values = flow_agreement(matrix(x), matrix(y)), agreement(x, y)
    assert by_pairs.cells == by_values.cells
    assert by_pairs.rmse == pytest.approx(by_values.rmse, rel=1e-12)
    assert by_pairs.correlation == pytest.approx(by_values.correlation, rel=1e-12)


@given(st.lists(st.integers(1, 6), min_size=3, max_size=12), st.integers(0, 10**6))
def test_a_whole_weight_counts_a_value_so_many_times(weights, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, len(weights)))
    weighted = agreement(x, y, weights)
    repeated = agreement(np.repeat(x, weights), np.repeat(y, weights))
    assert weighted.rmse == pytest.approx(repeated.rmse, rel=1e-10)
    assert weighted.correlation == pytest.approx(repeated.correlation, abs=1e-10)


def test_what_is_not_finite_on_either_side_is_left_out():
    x, y = [1.0, np.nan, 3.0, 4.0, 9.0], [2.0, 5.0, np.inf, 5.0, 8.0]
    assert agreement(x, y) == agreement([1.0, 4.0, 9.0], [2.0, 5.0, 8.0])


def test_a_perfect_estimate_is_perfect_and_a_constant_one_says_why_not(pair):
    x, _ = pair
    perfect = flow_agreement(matrix(x), matrix(x))
    assert (perfect.correlation, perfect.rmse) == (pytest.approx(1, abs=1e-14), 0)
    flat = agreement(np.full(6, 0.1), np.arange(6.0), np.full(6, 1 / 3))
    assert flat.correlation is None
    assert flat.reason == "the estimate does not vary"
    other = agreement(np.arange(6.0), np.full(6, 0.1))
    assert other.reason == "the table does not vary"


def test_reductions_start_at_zero_end_at_one_and_may_be_negative():
    assert rmse_reduction(5.0, 5.0) == 0
    assert rmse_reduction(0.0, 5.0) == 1
    assert rmse_reduction(10.0, 5.0) == -1
    assert rmse_reduction(0.0, 0.0) is None
    with pytest.raises(DataError, match="cannot be -1"):
        rmse_reduction(-1.0, 5.0)


@pytest.mark.parametrize("quantity", ["cbg_population", "state_movers", "state_in_migration_rate"])
def test_the_published_reductions_are_means_over_releases(quantity):
    table = PUBLISHED["table3"]["rmse"][quantity]
    pairs = zip(table["harmonized"], table["raw"], strict=True)
    mean = np.mean([rmse_reduction(ours, raw) for ours, raw in pairs])
    assert round(100 * mean, 1) == PUBLISHED["text"]["reduction"][quantity]


def test_the_published_counts_of_pairs():
    counts = PUBLISHED["counts"]
    fine = counts["block_groups"] ** 2
    assert fine == pytest.approx(counts["pairs_of_block_groups"], rel=1e-3)
    assert fine / counts["states"] ** 2 == pytest.approx(
        counts["times_finer_than_states"], rel=0.02
    )
    # The article's "4600 times" is not what its own counts give.
    assert round(fine / counts["counties"] ** 2) == 4802


def test_what_cannot_be_compared_is_refused_in_a_sentence(pair):
    x, _ = pair
    ours = matrix(x)
    with pytest.raises(DataError, match="3 estimates stand against 2 values"):
        agreement([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match=r"1 weights are negative or not finite .*at 1, is -2"):
        agreement([1, 2, 3], [1, 2, 3], [1, -2, 1])
    with pytest.raises(DataError, match="2 weights were given for 3 cells"):
        agreement([1, 2, 3], [1, 2, 3], [1, 1])
    with pytest.raises(DataError, match="of 2 cells none has an estimate"):
        agreement([1, np.nan], [np.nan, 1])
    with pytest.raises(DataError, match="of 0 cells none"):
        agreement([], [])
    with pytest.raises(DataError, match="area 0 is b00 in the estimate and a00 in the table"):
        flow_agreement(ours, matrix(x, "a"))
    with pytest.raises(DataError, match="has 37 places and the table 2 places"):
        flow_agreement(ours, matrix(np.eye(2)))
    with pytest.raises(SpecificationError, match="pairs='some' is unknown"):
        flow_agreement(ours, ours, pairs="some")
    with pytest.raises(DataError, match="no pair to compare"):
        flow_agreement(matrix(np.eye(3)), matrix(np.eye(3)), stayers=False, pairs="stored")
