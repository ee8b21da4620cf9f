"""Who moves where: types, homophily, mobility, reach, rates, distance; against dense arrays."""

from dataclasses import replace

import numba
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from choicemodels.errors import DataError, SpecificationError
from choicemodels.flows.geography import great_circle
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.distance import distance_distribution
from estimation.migration.indices import migration_indices
from estimation.migration.mobility import destination_average, upward_mobility
from estimation.migration.rates import migration_rates, moves_within_levels
from estimation.migration.strata import (
    AreaTypes,
    crossed_types,
    group_shares,
    labelled_types,
    plurality_types,
    quantile_types,
)
from estimation.migration.type_flows import flows_between_types, homophily, moves_to_types

GROUPS = ["white", "black", "hispanic"]


def moves(village, beyond=None):
    """The dense moves that leave the area of a level."""
    codes = village.areas.level(beyond or "block_group").codes
    return village.dense * (codes[:, None] != codes[None, :])


def three(flows, **columns):
    """Three areas in two counties of one state: A and B share a county."""
    table = pd.DataFrame({"area": list("ABC"), "county": ["x", "x", "y"], "state": "s", **columns})
    areas = Areas.from_table(table, "area", ["county", "state"])
    return MigrationMatrix.from_scipy(csr_array(np.array(flows, dtype=float)), areas)


# types


def test_the_plurality_is_the_largest_group_and_the_first_of_equals(village):
    types = plurality_types(village.areas, GROUPS)
    expected = village.areas.table[GROUPS].idxmax(axis=1)
    assert types.labels[types.codes].tolist() == expected.tolist()
    tie = three(np.eye(3), a=[2, 0, 1], b=[2, 1, 0]).areas
    assert plurality_types(tie, ["a", "b"]).codes.tolist() == [0, 1, 0]
    assert plurality_types(tie, ["b", "a"]).codes.tolist() == [0, 0, 1]
    nowhere = plurality_types(
        three(np.eye(3), a=[2, 2, 1], b=[1, 1, 0], c=[0, 0, 5]).areas, [*"bca"]
    )
    assert nowhere.labels.tolist() == ["c", "a"]
    assert nowhere.codes.tolist() == [1, 1, 0]


@pytest.mark.parametrize("bins", [2, 4, 10])
def test_quantiles_are_those_of_pandas(village, bins):
    types = quantile_types(village.areas, "income", bins)
    expected = pd.qcut(village.areas.table["income"], bins, labels=False)
    assert types.codes.tolist() == expected.tolist()
    assert types.labels.tolist() == [f"{k} of {bins}" for k in range(1, bins + 1)]


def test_weighted_quantiles_hold_as_many_people_each():
    areas = three(np.eye(3), income=[3.0, 1.0, 2.0], people=[2.0, 1.0, 1.0]).areas
    assert quantile_types(areas, "income", 2).codes.tolist() == [1, 0, 0]
    assert quantile_types(areas, "income", 2, weights="people").codes.tolist() == [1, 0, 0]
    areas = three(np.eye(3), income=[3.0, 1.0, 2.0], people=[1.0, 2.0, 1.0]).areas
    assert quantile_types(areas, "income", 2, weights="people").codes.tolist() == [1, 0, 1]


def test_equal_weights_give_quantiles_of_areas(village):
    plain = quantile_types(village.areas, "income", 4)
    weighted = quantile_types(village.areas, "income", 4, weights=np.full(40, 7.0))
    np.testing.assert_array_equal(plain.codes, weighted.codes)


def test_labels_keep_their_order_and_may_stand_apart():
    areas = three(np.eye(3), urban=[True, None, False]).areas
    names = {True: "urban", False: "rural"}
    types = labelled_types(areas, "urban", labels=names, missing="apart")
    assert types.labels.tolist() == ["urban", "rural", "unknown"]
    assert types.codes.tolist() == [0, 2, 1]
    with pytest.raises(DataError, match=r"'urban' is not known of 1 areas \(B\).*missing='apart'"):
        labelled_types(areas, "urban", labels=names)


def test_crossed_types_know_both(village):
    group, income = plurality_types(village.areas, GROUPS), quantile_types(village.areas, "income")
    both = crossed_types(group, income)
    expected = [
        f"{a}, {b}"
        for a, b in zip(group.labels[group.codes], income.labels[income.codes], strict=True)
    ]
    assert both.labels[both.codes].tolist() == expected


def test_shares_of_groups_divide_every_area(village):
    shares = group_shares(village.areas, GROUPS)
    counts = village.areas.table[GROUPS].to_numpy()
    np.testing.assert_allclose(shares.shares, counts / counts.sum(axis=1, keepdims=True))
    values = np.arange(40.0)
    assert shares.totals(values).sum() == pytest.approx(values.sum())


# flows between types


def test_flows_between_types_by_hand():
    matrix = three([[10, 4, 6], [2, 20, 0], [3, 5, 50]], kind=["p", "q", "q"])
    types = labelled_types(matrix.areas, "kind")
    table = flows_between_types(matrix, types)
    assert table["people"].tolist() == [0, 10, 5, 5]
    assert table["share"].tolist() == [0, 1, 0.5, 0.5]
    assert table["base_rate"].tolist() == [0.25, 0.75, 0.25, 0.75]
    assert table["ratio"].tolist() == pytest.approx([0, 4 / 3, 2, 2 / 3])
    people = flows_between_types(matrix, types, relative_to="people")
    assert people["base_rate"].tolist() == [0.2, 0.8, 0.2, 0.8]
    assert people["ratio"].tolist() == pytest.approx([0, 1.25, 2.5, 0.625])
    beyond = flows_between_types(matrix, types, beyond="county")
    assert beyond["people"].tolist() == [0, 6, 3, 5]
    everyone = flows_between_types(matrix, types, movers_only=False)
    assert everyone["people"].tolist() == [10, 10, 5, 75]
    assert everyone["people"].sum() == matrix.total


@pytest.mark.parametrize("beyond", [None, "tract", "county", "state"])
def test_flows_between_types_against_dense(village, beyond):
    origins, to = plurality_types(village.areas, GROUPS), quantile_types(village.areas, "income")
    table = flows_between_types(village.matrix, origins, to, beyond=beyond)
    G, H = np.eye(origins.size)[origins.codes], np.eye(to.size)[to.codes]
    expected = G.T @ moves(village, beyond) @ H
    people = table["people"].unstack()[to.labels].loc[origins.labels]
    np.testing.assert_allclose(people, expected)
    np.testing.assert_allclose(table["share"].groupby("origin").sum(), 1)
    base = expected.sum(axis=0) / expected.sum()
    ratio = expected / expected.sum(axis=1, keepdims=True) / base
    np.testing.assert_allclose(table["ratio"].unstack()[to.labels].loc[origins.labels], ratio)


def test_groups_as_origins_divide_the_moves_of_an_area(village):
    shares, to = group_shares(village.areas, GROUPS), quantile_types(village.areas, "income")
    table = flows_between_types(village.matrix, shares, to)
    expected = shares.shares.T @ moves(village) @ np.eye(4)[to.codes]
    np.testing.assert_allclose(table["people"].unstack()[to.labels].loc[GROUPS], expected)
    with pytest.raises(SpecificationError, match="shares of groups can be origins only"):
        flows_between_types(village.matrix, shares)


def test_moves_to_types_are_flows_from_everywhere(village):
    to = quantile_types(village.areas, "income")
    found = moves_to_types(village.matrix, to)
    flows = flows_between_types(village.matrix, to)["people"].groupby("destination").sum()
    np.testing.assert_allclose(found["people"], flows[found.index])
    assert found["share"].sum() == pytest.approx(1)


def test_moves_in_proportion_to_people_have_ratios_of_one():
    people = np.array([10.0, 20, 70])
    matrix = three(np.outer(people, people), kind=["p", "q", "q"])
    types = labelled_types(matrix.areas, "kind")
    table = flows_between_types(matrix, types, movers_only=False, relative_to="people")
    np.testing.assert_allclose(table["ratio"], 1)


def test_the_ratios_of_homophily_by_hand():
    matrix = three([[60, 0, 40], [10, 80, 10], [5, 15, 30]], kind=["p", "q", "q"])
    table = homophily(matrix, labelled_types(matrix.areas, "kind"))
    # Of the 40 movers from q 25 go to q, as do all 40 from p; 150 of 250 people live there.
    assert table.loc["q", ["own", "all", "people", "others"]].tolist() == [
        25 / 40, 65 / 80, 150 / 250, 1,
    ]  # fmt: skip
    assert table.loc["q", "times_all"] == pytest.approx(25 / 40 / (65 / 80))
    assert table.loc["q", "times_people"] == pytest.approx(25 / 40 / (150 / 250))
    assert table.loc["q", "times_others"] == pytest.approx(25 / 40)
    assert table.loc["p", "times_others"] == 0


def test_homophily_is_the_diagonal_of_flows_between_types(village):
    types = plurality_types(village.areas, GROUPS)
    table = homophily(village.matrix, types, beyond="county")
    for base, column in (("movers", "times_all"), ("people", "times_people")):
        flows = flows_between_types(village.matrix, types, beyond="county", relative_to=base)
        own = [flows.loc[(label, label), "ratio"] for label in types.labels]
        np.testing.assert_allclose(table[column], own)


# mobility


def test_upward_moves_by_hand():
    matrix = three([[10, 4, 6], [2, 20, 1], [3, 5, 50]], income=[100.0, 120.0, 110.0])
    assert upward_mobility(matrix)["upward"].tolist() == [4 + 6 + 5]
    assert upward_mobility(matrix, threshold=0.1)["upward"].tolist() == [4]
    assert upward_mobility(matrix, threshold=0.1)["movers"].tolist() == [21]


@pytest.mark.parametrize("beyond", [None, "county"])
def test_upward_moves_against_dense(village, beyond):
    strata = crossed_types(
        plurality_types(village.areas, GROUPS), quantile_types(village.areas, "income", 3)
    )
    table = upward_mobility(village.matrix, "income", strata, threshold=0.05, beyond=beyond)
    x, m = village.areas.attribute("income"), moves(village, beyond)
    up = (m * (x[None, :] > 1.05 * x[:, None])).sum(axis=1)
    np.testing.assert_allclose(table["upward"], strata.totals(up))
    np.testing.assert_allclose(table["movers"], strata.totals(m.sum(axis=1)))


def test_moves_to_unknown_incomes_are_told_apart(village):
    income = village.areas.attribute("income").copy()
    income[[3, 7]] = np.nan
    with pytest.raises(DataError, match=r"missing in 2 areas \(010010000014, 010010000024\)"):
        upward_mobility(village.matrix, income)
    table = upward_mobility(village.matrix, income, missing="apart")
    m, lost = moves(village), np.isnan(income)
    known = m[~lost][:, ~lost]
    assert table["unknown"].item() == pytest.approx(m.sum() - known.sum())
    x = income[~lost]
    share = (known * (x[None, :] > x[:, None])).sum() / known.sum()
    assert table["share_upward"].item() == pytest.approx(share)


def test_average_income_of_destinations_against_dense(village):
    income = village.areas.attribute("income").copy()
    income[5] = np.nan
    types = labelled_types(village.areas, "urban")
    table = destination_average(village.matrix, income, types, beyond="tract", missing="apart")
    m, x = moves(village, "tract"), np.nan_to_num(income)
    both = m * (~np.isnan(income))[:, None] * (~np.isnan(income))[None, :]
    for k, label in enumerate(types.labels):
        rows = both[types.codes == k]
        there = (rows @ x).sum() / rows.sum()
        here = (rows * x[types.codes == k][:, None]).sum() / rows.sum()
        assert table.loc[label, "destination"] == pytest.approx(there)
        assert table.loc[label, "difference"] == pytest.approx(there - here)
        assert table.loc[label, "movers"] == pytest.approx(m[types.codes == k].sum())
    assert table["unknown"].sum() == pytest.approx(m.sum() - both.sum())


# reach, rates, distance


def test_reach_by_hand():
    matrix = three([[10, 4, 6], [2, 20, 0], [3, 5, 50]])
    table = moves_within_levels(matrix)
    assert table["people"].tolist() == [80, 6, 14, 0]
    assert table.index.get_level_values("move").tolist() == [
        "stayed", "within county", "within state", "out of state",
    ]  # fmt: skip
    assert table["share"].tolist() == [0.8, 0.06, 0.14, 0]
    assert table["share_of_movers"].tolist()[1:] == [0.3, 0.7, 0]


def test_reach_against_dense(village):
    types = quantile_types(village.areas, "income")
    table = moves_within_levels(village.matrix, types)["people"].unstack()
    within = [
        (c[:, None] == c[None, :])
        for c in (village.areas.level(n).codes for n in ("block_group", "tract", "county", "state"))
    ]
    classes = np.sum(~np.array(within), axis=0)
    names = ["stayed", "within tract", "within county", "within state", "out of state"]
    for k, name in enumerate(names):
        rows = (village.dense * (classes == k)).sum(axis=1)
        np.testing.assert_allclose(table[name], types.totals(rows))


@pytest.mark.parametrize("level", ["block_group", "tract", "county", "state"])
def test_rates_against_dense(village, level):
    table = migration_rates(village.matrix, level)
    group = village.areas.level(level)
    C = np.eye(group.size)[group.codes]
    flows = C.T @ village.dense @ C
    np.testing.assert_allclose(table["out"], flows.sum(axis=1) - np.diag(flows), atol=1e-9)
    np.testing.assert_allclose(table["in"], flows.sum(axis=0) - np.diag(flows), atol=1e-9)
    np.testing.assert_allclose(
        table["out_rate"], 1000 * (1 - np.diag(flows) / flows.sum(axis=1)), atol=1e-9
    )
    np.testing.assert_allclose(
        table["in_rate"], 1000 * (1 - np.diag(flows) / flows.sum(axis=0)), atol=1e-9
    )
    assert table["net"].sum() == pytest.approx(0, abs=1e-9)


def test_rates_by_type_and_beyond_a_level(village):
    types = labelled_types(village.areas, "urban")
    table = migration_rates(village.matrix, types, beyond="county", per=100)
    m = moves(village, "county")
    np.testing.assert_allclose(table["out"], types.totals(m.sum(axis=1)))
    np.testing.assert_allclose(table["net"], types.totals(m.sum(axis=0) - m.sum(axis=1)))
    np.testing.assert_allclose(table["out_rate"], 100 * table["out"] / table["before"])
    with pytest.raises(
        SpecificationError, match="beyond='tract' is finer than the rows: moves within a county"
    ):
        migration_rates(village.matrix, "county", beyond="tract")


def test_a_rate_of_nobody_is_missing_and_the_table_shows_why():
    table = migration_rates(three([[0, 0, 0], [1, 5, 0], [0, 0, 2]]))
    assert table.loc["A", "before"] == 0
    assert np.isnan(table.loc["A", "out_rate"])
    assert table.loc["A", "in_rate"] == 1000


@pytest.mark.parametrize(("unit", "length"), [("mile", 1.609344), ("km", 1.0)])
def test_distances_against_dense(village, unit, length):
    types = labelled_types(village.areas, "urban")
    table = distance_distribution(village.matrix, (20, 60), types, unit=unit)
    lat, lon = village.areas.attribute("latitude"), village.areas.attribute("longitude")
    d = great_circle(lat[:, None], lon[:, None], lat, lon) / length
    m = moves(village)
    for k, label in enumerate(types.labels):
        rows, far = m[types.codes == k].ravel(), d[types.codes == k].ravel()
        found = table.loc[label]
        shares = [rows[far < 20].sum(), rows[(far >= 20) & (far < 60)].sum(), rows[far >= 60].sum()]
        np.testing.assert_allclose(found.iloc[1:4], np.array(shares) / rows.sum())
        assert found["mean"] == pytest.approx((rows * far).sum() / rows.sum())
        order = np.argsort(far)
        median = far[order][np.searchsorted(np.cumsum(rows[order]), rows.sum() / 2)]
        assert found["median"] == pytest.approx(median, rel=2e-3)
    plural = {"mile": "miles", "km": "km"}[unit]
    assert table.columns.tolist()[1:4] == [
        f"under 20 {plural}", f"20 to 60 {plural}", f"over 60 {plural}",
    ]  # fmt: skip


def test_distances_by_group_weigh_each_move_by_shares(village):
    shares = group_shares(village.areas, GROUPS)
    table = distance_distribution(village.matrix, (60,), shares, unit="km")
    lat, lon = village.areas.attribute("latitude"), village.areas.attribute("longitude")
    d, m = great_circle(lat[:, None], lon[:, None], lat, lon), moves(village)
    expected = shares.shares.T @ (m * d).sum(axis=1) / (shares.shares.T @ m.sum(axis=1))
    np.testing.assert_allclose(table["mean"], expected)
    for g in range(3):
        weights, far = (m * shares.shares[:, [g]]).ravel(), d.ravel()
        order = np.argsort(far)
        where = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
        assert table["median"].iloc[g] == pytest.approx(far[order][where], rel=2e-3)


def test_a_degree_along_the_equator_is_sixty_nine_miles():
    matrix = three([[5, 1, 0], [0, 5, 0], [0, 0, 5]], latitude=[0.0, 0, 0], longitude=[0.0, 1, 2])
    table = distance_distribution(matrix)
    assert table["mean"].item() == pytest.approx(69.0936, abs=1e-3)
    assert table["over 50 miles"].item() == 1
    assert table["median"].item() == pytest.approx(69.0936, rel=2e-3)


def test_everything_is_the_same_on_any_number_of_threads(village):
    types, shares = quantile_types(village.areas, "income"), group_shares(village.areas, GROUPS)

    def tables():
        return pd.concat(
            [
                flows_between_types(village.matrix, types),
                upward_mobility(village.matrix, "income", types),
                destination_average(village.matrix, "income", shares),
                moves_within_levels(village.matrix, shares),
                migration_rates(village.matrix, "tract"),
                distance_distribution(village.matrix, strata=shares),
                migration_indices(village.matrix),
            ]
        )

    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = tables()
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        pd.testing.assert_frame_equal(one, tables(), check_exact=True)
    finally:
        numba.set_num_threads(before)


# years and wrong inputs


def test_years_stand_above_the_rows_of_each(village):
    later = village.other(2016, seed=9)
    types = quantile_types(village.areas, "income")
    both = {2016: later.matrix, 2015: village.matrix}
    table = flows_between_types(both, types)
    assert table.index.names == ["year", "origin", "destination"]
    assert table.index.get_level_values("year").unique().tolist() == [2015, 2016]
    pd.testing.assert_frame_equal(table.loc[2016], flows_between_types(later.matrix, types))


def test_years_may_be_whole_numbers_of_numpy(village):
    rates = migration_rates({np.int64(2015): village.matrix}, "state")
    pd.testing.assert_frame_equal(rates, migration_rates({2015: village.matrix}, "state"))
    with pytest.raises(SpecificationError, match="True is no year"):
        migration_rates({True: village.matrix})


def test_years_that_do_not_match_are_refused(village):
    with pytest.raises(DataError, match="the matrix given for 2014 is of 2015"):
        migration_rates({2014: village.matrix})
    with pytest.raises(DataError, match="no matrix was given"):
        migration_rates({})
    with pytest.raises(SpecificationError, match="matrices are a list; give a mapping"):
        migration_rates([village.matrix])
    with pytest.raises(SpecificationError, match="'2015' is no year"):
        migration_rates({"2015": village.matrix})
    few = three(np.eye(3))
    with pytest.raises(DataError, match="the matrix of 2016 has other areas than that of 2015"):
        migration_rates({2015: village.matrix, 2016: few})


def test_wrong_inputs_end_in_sentences(village):
    types = quantile_types(village.areas, "income")
    with pytest.raises(SpecificationError, match=r"no level 'countie'.*did you mean 'county'"):
        flows_between_types(village.matrix, types, beyond="countie")
    with pytest.raises(SpecificationError, match="does not leave a county"):
        flows_between_types(village.matrix, types, beyond="county", movers_only=False)
    with pytest.raises(SpecificationError, match="relative_to='area'"):
        flows_between_types(village.matrix, types, relative_to="area")
    short = AreaTypes(np.zeros(3, dtype=np.int32), pd.Index(["x"]), "kind")
    with pytest.raises(DataError, match="'kind' tells 3 areas apart, but the matrix has 40"):
        flows_between_types(village.matrix, short)
    with pytest.raises(SpecificationError, match="strata are a str; make them with"):
        flows_between_types(village.matrix, "income")
    with pytest.raises(SpecificationError, match="strata are a list"):
        upward_mobility(village.matrix, strata=[1, 2])
    with pytest.raises(DataError, match=r"shape \(3,\); give a value for each of the 40 areas"):
        upward_mobility(village.matrix, [1.0, 2, 3])
    with pytest.raises(SpecificationError, match="missing='drop'"):
        upward_mobility(village.matrix, missing="drop")
    with pytest.raises(DataError, match=r"column 'incom'.*did you mean 'income'"):
        upward_mobility(village.matrix, "incom")
    with pytest.raises(SpecificationError, match="threshold=nan"):
        upward_mobility(village.matrix, threshold=float("nan"))
    with pytest.raises(SpecificationError, match="per=0"):
        migration_rates(village.matrix, per=0)


def test_types_that_cannot_be_told_are_refused(village):
    flat = three(np.eye(3), income=[1.0, 1, 1], a=[1, 0, -1], b=[1, 0, 1]).areas
    with pytest.raises(DataError, match="'income' takes too few values for 4 types"):
        quantile_types(flat, "income")
    with pytest.raises(DataError, match=r"'a' is negative in 1 areas \(C\)"):
        plurality_types(flat, ["a", "b"])
    empty = three(np.eye(3), a=[1, 0, 1], b=[1, 0, 1]).areas
    with pytest.raises(DataError, match=r"'plurality' is not known of 1 areas \(B\)"):
        plurality_types(empty, ["a", "b"])
    assert plurality_types(empty, ["a", "b"], missing="apart").labels.tolist()[-1] == "unknown"
    assert group_shares(empty, ["a", "b"], missing="apart").shares[1].tolist() == [0, 0, 1]
    with pytest.raises(SpecificationError, match="two groups or more"):
        plurality_types(village.areas, "white")
    with pytest.raises(SpecificationError, match="bins=1"):
        quantile_types(village.areas, "income", 1)
    with pytest.raises(SpecificationError, match=r"bins=4\.5"):
        quantile_types(village.areas, "income", 4.5)
    with pytest.raises(DataError, match="no label"):
        labelled_types(village.areas, "urban", labels={True: "urban"})


def test_distances_need_coordinates(village):
    matrix = three(np.ones((3, 3)), latitude=[0.0, np.nan, 95.0], longitude=[0.0, 1.0, 2.0])
    with pytest.raises(DataError, match=r"latitude is missing or not.*in 2 areas \(B, C\)"):
        distance_distribution(matrix)
    with pytest.raises(DataError, match="no column 'latitude'"):
        distance_distribution(three(np.ones((3, 3))))
    with pytest.raises(SpecificationError, match="unit='yard' is not one of mile, km"):
        distance_distribution(village.matrix, unit="yard")
    many = AreaTypes(np.zeros(40, dtype=np.int32), pd.RangeIndex(300).map(str), "kind")
    with pytest.raises(SpecificationError, match="'kind' has 300 strata; medians of distance"):
        distance_distribution(village.matrix, strata=many)
    with pytest.raises(SpecificationError, match="bounds that rise"):
        distance_distribution(village.matrix, (50, 5))


def test_an_attribute_by_label_is_put_in_order(village):
    income = village.areas.table["income"]
    there = destination_average(village.matrix, income[::-1])
    pd.testing.assert_frame_equal(there, destination_average(village.matrix, "income"))


def test_an_attribute_is_finite(village):
    matrix = replace(village.matrix)
    income = village.areas.attribute("income").copy()
    income[0] = np.inf
    with pytest.raises(DataError, match="infinite in 1 areas"):
        upward_mobility(matrix, income)
