"""Flows between other places: totals stay, parts are counted, bad crosswalks are refused."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData
from choicemodels.errors import DataError, SpecificationError

SHARES = np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]])
WALK = pd.DataFrame(
    {"from": ["a", "b", "b", "c"], "to": ["N", "N", "S", "S"], "weight": [1, 0.25, 0.75, 1]}
)


def full(seed=0, places="abc"):
    y = np.random.default_rng(seed).integers(0, 50, (len(places), len(places)))
    return pd.DataFrame(y.astype(float), index=list(places), columns=list(places))


def test_aggregation_is_a_product_of_matrices():
    y = full()
    flows = FlowData.from_matrix(y).aggregate(WALK)
    np.testing.assert_allclose(flows.to_matrix(), SHARES.T @ y.to_numpy() @ SHARES, rtol=1e-14)
    assert flows.to_matrix().index.tolist() == ["N", "S"]
    seen = flows.describe()["value"]
    assert seen["total flow before aggregation"] == y.to_numpy().sum()
    assert seen["total flow"] == pytest.approx(y.to_numpy().sum(), rel=1e-15)
    assert seen["rows before aggregation"] == 9
    assert seen["aggregated pairs with a part missing"] == 0
    assert seen["aggregated pairs without a flow within a part"] == 0


@pytest.mark.parametrize(("side", "left"), [("origin", True), ("destination", False)])
def test_one_side_alone(side, left):
    y = full(1)
    flows = FlowData.from_matrix(y).aggregate(WALK, sides=side)
    expected = SHARES.T @ y.to_numpy() if left else y.to_numpy() @ SHARES
    np.testing.assert_allclose(flows.to_matrix(), expected, rtol=1e-14)
    assert flows.describe().loc["aggregated pairs with a part missing", "value"] == 0


def test_periods_stay_apart():
    years = {2000: full(2), 2010: full(3)}
    flows = FlowData.from_matrix(years, time="year").aggregate(WALK)
    for year, y in years.items():
        np.testing.assert_allclose(
            flows.to_matrix(year), SHARES.T @ y.to_numpy() @ SHARES, rtol=1e-14
        )


def test_a_nested_crosswalk_conserves_counts_to_the_last_bit():
    y = full(4, "abcdef")
    walk = pd.DataFrame({"from": list("abcdef"), "to": [1, 1, 2, 2, 2, 3]})
    flows = FlowData.from_matrix(y).aggregate(walk, weight=None)
    assert flows.y.sum() == y.to_numpy().sum()
    to = walk.set_index("from")["to"]
    sums = y.groupby(to).sum().T.groupby(to).sum().T
    np.testing.assert_array_equal(flows.to_matrix(), sums)


def brute_force_parts(y, walk):
    """Pairs of targets with a row, with a part missing, and without a flow within a part."""
    to = walk.groupby("to")["from"].agg(set)
    rows = missing = within = 0
    for o in to.index:
        for d in to.index:
            parts = [(i, j) for i in to[o] for j in to[d]]
            known = [p for p in parts if not np.isnan(y.loc[p])]
            if known:
                rows += 1
                gaps = set(parts) - set(known)
                missing += any(i != j for i, j in gaps)
                within += any(i == j for i, j in gaps)
    return rows, missing, within


@pytest.mark.parametrize("seed", range(5))
def test_missing_parts_are_counted_and_never_made_zero(seed):
    rng = np.random.default_rng(seed)
    y = full(seed, "abcdef")
    y = y.mask(rng.uniform(size=y.shape) < 0.3)
    walk = pd.DataFrame(
        {"from": list("abcdeff"), "to": list("UUVVWWX"), "weight": [1.0] * 5 + [0.4, 0.6]}
    )
    flows = FlowData.from_matrix(y)
    if len(flows.factor("origin").levels[0]) < 6 or len(flows.factor("destination").levels[0]) < 6:
        pytest.skip("a place without any row is unknown to the flows")
    coarse = flows.aggregate(walk)
    seen = coarse.describe()["value"]
    rows, missing, within = brute_force_parts(y, walk)
    assert coarse.nobs == rows
    assert seen["aggregated pairs with a part missing"] == missing
    assert seen["aggregated pairs without a flow within a part"] == within


def test_a_pair_without_any_known_part_stays_missing():
    y = full(5).mask(np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0]], dtype=bool))
    walk = pd.DataFrame({"from": list("abc"), "to": list("XYZ")})
    flows = FlowData.from_matrix(y).aggregate(walk, weight=None)
    assert flows.missing_pairs.example == ("X", "Z")


@pytest.mark.parametrize(
    ("walk", "options", "message"),
    [
        (WALK[:3], {}, r"no row for 1 places of column 'origin' \(c\)"),
        (WALK.assign(weight=[1, 0.25, 0.7, 1]), {}, r"1 source places do not sum to one: b \(sum"),
        (WALK, {"weight": None}, r"b \(sum 2\).*list each place once"),
        (WALK.assign(weight=[1, -0.25, 1.25, 1]), {}, r"negative or not finite in 1 rows .*of b"),
        (WALK.assign(to=["N", "N", None, "S"]), {}, "no 'to' in 1 rows"),
        (WALK.assign(to=["N", "S", "S", "S"]), {}, "from b to S in several rows"),
        (WALK.drop(columns="weight"), {}, "no column 'weight'"),
        (WALK.assign(weight="all"), {}, "'weight' of the crosswalk is not numeric"),
    ],
)
def test_bad_crosswalks_are_refused(walk, options, message):
    with pytest.raises(DataError, match=message):
        FlowData.from_matrix(full()).aggregate(walk, **options)


def test_targets_of_mixed_kinds_need_no_order():
    walk = pd.DataFrame({"from": list("abc"), "to": ["N", 7, 7]})
    flows = FlowData.from_matrix(full()).aggregate(walk, weight=None)
    assert flows.to_matrix().loc[7, 7] == full().loc[["b", "c"], ["b", "c"]].to_numpy().sum()


def test_sides_have_names():
    with pytest.raises(SpecificationError, match="'origin', 'destination' or both"):
        FlowData.from_matrix(full()).aggregate(WALK, sides="both")
