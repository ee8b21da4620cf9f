"""Perimeters, event studies and sets of areas: by hand, by brute force, by other software."""

import numpy as np
import pandas as pd
import pytest
import shapely
import statsmodels.api as sm
from scipy.sparse import csr_array
from scipy.stats import ttest_ind

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.nation.event import shapes_of, with_wildfire
from choicemodels.nation.generator import generate_nation, next_year
from estimation.migration.comparison import compare_areas, matched_areas
from estimation.migration.event_study import event_study
from estimation.migration.perimeter import (
    areas_in_polygon,
    areas_near,
    areas_touching,
    chosen_areas,
    rings,
)
from estimation.migration.strata import AreaTypes


@pytest.fixture(scope="module")
def grid():
    """Five by five cells of a tenth of a degree, in columns of counties, and their shapes."""
    x, y = (a.ravel() for a in np.meshgrid(np.arange(5), np.arange(5)))
    table = pd.DataFrame(
        {
            "area": [f"x{a}y{b}" for a, b in zip(x, y, strict=True)],
            "county": [f"c{a // 2}" for a in x],
            "longitude": (x + 0.5) / 10,
            "latitude": (y + 0.5) / 10,
        }
    )
    areas = Areas.from_table(table, "area", ["county"])
    shapes = pd.Series(shapely.box(x / 10, y / 10, (x + 1) / 10, (y + 1) / 10), areas.labels)
    return areas, shapes


def named(areas, mask):
    return set(areas.labels[mask])


# perimeters


def test_areas_are_inside_from_a_tenth_on(grid):
    areas, shapes = grid
    # Covers x0 and x1 wholly up to y = 0.1, and 9 % and 11 % of their neighbours.
    nine = shapely.box(0, 0, 0.209, 0.1)
    eleven = shapely.box(0, 0, 0.211, 0.1)
    assert named(areas, areas_in_polygon(areas, nine, shapes=shapes)) == {"x0y0", "x1y0"}
    assert named(areas, areas_in_polygon(areas, eleven, shapes=shapes)) == {"x0y0", "x1y0", "x2y0"}
    half = areas_in_polygon(areas, eleven, shapes=shapes, share=0.5)
    assert named(areas, half) == {"x0y0", "x1y0"}


def test_corners_and_squares_find_what_shapes_find(grid):
    areas, shapes = grid
    corners = [(0.05, 0.05), (0.28, 0.05), (0.28, 0.13), (0.05, 0.13)]
    by_shape = areas_in_polygon(areas, corners, shapes=shapes)
    # A tenth of a degree at the equator is 11.12 km.
    by_square = areas_in_polygon(areas, corners, square_km=np.full(25, 11.12**2))
    np.testing.assert_array_equal(by_shape, by_square)
    assert named(areas, by_shape) == {f"x{a}y{b}" for a in (0, 1, 2) for b in (0, 1)}


def test_shares_are_of_true_areas_far_from_the_equator():
    # The upper half of a cell, in degrees, is less than half of its area.
    table = pd.DataFrame({"area": ["A"], "county": ["c"]})
    areas = Areas.from_table(table, "area", ["county"])
    cell, upper = {"A": shapely.box(0, 60, 1, 80)}, shapely.box(0, 70, 1, 80)
    s = np.sin(np.radians([60, 70, 80]))
    share = (s[2] - s[1]) / (s[2] - s[0])
    assert areas_in_polygon(areas, upper, shapes=cell, share=share - 1e-6).all()
    with pytest.raises(DataError, match="no area lies in the perimeter"):
        areas_in_polygon(areas, upper, shapes=cell, share=share + 1e-6)


def test_neighbours_touch_or_are_near(grid):
    areas, shapes = grid
    touching = areas_touching(areas, ["x0y0", "x1y0"], shapes)
    assert named(areas, touching) == {"x2y0", "x0y1", "x1y1", "x2y1"}
    near = areas_near(areas, ["x0y0", "x1y0"], within_km=12)
    assert named(areas, near) == {"x2y0", "x0y1", "x1y1"}
    np.testing.assert_array_equal(areas_near(areas, ["x0y0", "x1y0"], within_km=16), touching)


def test_rings_exclude_each_other(grid):
    areas, shapes = grid
    inside = areas_in_polygon(areas, shapely.box(0, 0, 0.2, 0.1), shapes=shapes)
    found = rings(areas, inside, areas_touching(areas, inside, shapes))
    assert found.labels.tolist() == ["inside", "neighbours", "same county", "rest"]
    assert np.bincount(found.codes).tolist() == [2, 4, 6, 13]
    assert named(areas, found.codes == 2) == {f"x{a}y{b}" for a in (0, 1) for b in (2, 3, 4)}
    assert rings(areas, inside).labels.tolist() == ["inside", "same county", "rest"]


def test_truth_values_by_label_are_put_in_order(grid):
    areas, _ = grid
    mask = pd.Series(np.arange(25) < 3, areas.labels)
    np.testing.assert_array_equal(chosen_areas(areas, mask[::-1]), mask)
    with pytest.raises(DataError, match="a Series lacks x0y0; index it by the labels"):
        chosen_areas(areas, mask[1:])


def test_wrong_perimeters_end_in_sentences(grid):
    areas, shapes = grid
    box = shapely.box(0, 0, 0.2, 0.1)
    with pytest.raises(DataError, match="no area lies in the perimeter with 10% of its area"):
        areas_in_polygon(areas, shapely.box(5, 5, 6, 6), shapes=shapes)
    with pytest.raises(DataError, match="no valid polygon with an inside: Self-intersection"):
        areas_in_polygon(areas, [(0, 0), (1, 1), (1, 0), (0, 1)], shapes=shapes)
    with pytest.raises(DataError, match="the perimeter is a str; give a shapely polygon"):
        areas_in_polygon(areas, "fire.geojson", shapes=shapes)
    with pytest.raises(DataError, match=r"shape \(2, 2\); give three pairs"):
        areas_in_polygon(areas, [(0, 0), (1, 1)], shapes=shapes)
    with pytest.raises(DataError, match="24 areas have no shape"):
        areas_in_polygon(areas, box, shapes=shapes.iloc[:1])
    with pytest.raises(SpecificationError, match="shapes= or square_km="):
        areas_in_polygon(areas, box)
    with pytest.raises(SpecificationError, match="share=0;"):
        areas_in_polygon(areas, box, shapes=shapes, share=0)
    with pytest.raises(DataError, match="the size of 25 areas is not above zero"):
        areas_in_polygon(areas, box, square_km=np.zeros(25))
    with pytest.raises(DataError, match="the perimeter is empty"):
        rings(areas, [])
    with pytest.raises(DataError, match=r"names 1 places that are no area of the areas \(z9"):
        chosen_areas(areas, ["x0y0", "z9"])
    with pytest.raises(DataError, match="3 truth values; give one for each of the 25"):
        chosen_areas(areas, np.array([True, False, True]))
    with pytest.raises(SpecificationError, match="the perimeter is the text 'x0y0'"):
        rings(areas, "x0y0")
    with pytest.raises(DataError, match="shapes hold a label twice"):
        areas_in_polygon(areas, box, shapes=pd.concat([shapes, shapes]))
    with pytest.raises(SpecificationError, match="within_km=-1"):
        areas_near(areas, ["x0y0"], within_km=-1)


# event studies


def moved(areas, people, movers, year):
    """A matrix in which given people live in each area, and given movers go to the next."""
    N = areas.size
    dense = np.diag(people - movers)
    dense[np.arange(N), (np.arange(N) + 1) % N] += movers
    return MigrationMatrix.from_scipy(csr_array(dense), areas, year)


@pytest.fixture(scope="module")
def panel(grid):
    areas, _ = grid
    rng = np.random.default_rng(4)
    people = {year: rng.uniform(300, 3000, 25) for year in range(2016, 2020)}
    movers = {year: p * rng.uniform(0.1, 0.2, 25) for year, p in people.items()}
    movers[2019][:5] = people[2019][:5] * 0.46
    matrices = {year: moved(areas, people[year], movers[year], year) for year in people}
    types = AreaTypes(
        np.repeat([0, 1, 2], [5, 15, 5]),
        pd.Index(["inside", "same county", "rest"]),
        "ring",
    )
    return matrices, types, people, movers


def test_rates_and_effects_by_hand(panel):
    matrices, types, people, movers = panel
    study = event_study(matrices, types, 2019)
    rate = {
        (year, k): 1000
        * movers[year][types.codes == k].sum()
        / people[year][types.codes == k].sum()
        for year in people
        for k in range(3)
    }
    for (year, k), value in rate.items():
        assert study.rates.loc[(year, types.labels[k]), "rate"] == pytest.approx(value)
    change = [rate[2019, k] - np.mean([rate[s, k] for s in (2016, 2017, 2018)]) for k in (0, 1)]
    assert study.effect["effect"] == pytest.approx(change[0] - change[1])
    before = [rate[2017, k] - np.mean([rate[s, k] for s in (2016, 2018)]) for k in (0, 1)]
    assert study.effects.loc[2017, "effect"] == pytest.approx(before[0] - before[1])
    assert study.rates.loc[(2019, "inside"), "rate"] == pytest.approx(460)
    assert study.effect["lower"] > 200
    assert study.effects.loc[2017, "lower"] < 0 < study.effects.loc[2017, "upper"]


def test_the_variance_is_that_of_a_clustered_weighted_regression(panel):
    matrices, types, people, movers = panel
    study = event_study(matrices, types, 2019)
    y = np.concatenate([movers[t] / people[t] * 1000 for t in people])
    w = np.concatenate(list(people.values()))
    ring, year, area = np.tile(types.codes, 4), np.repeat(range(4), 25), np.tile(range(25), 4)
    for k in (0, 1):
        rows = ring == k
        cells = np.eye(4)[year[rows]]
        groups = area[rows]
        fitted = sm.WLS(y[rows], cells, weights=w[rows]).fit(
            cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
        )
        contrast = np.array([-1 / 3, -1 / 3, -1 / 3, 1])
        n = len(np.unique(groups))
        variance = contrast @ fitted.cov_params() @ contrast * n / (n - 1)
        if k == 0:
            total = variance
        else:
            assert study.effect["std_err"] == pytest.approx(np.sqrt(total + variance), rel=1e-8)


def test_areas_of_one_size_give_the_test_of_welch(grid):
    areas, _ = grid
    rng = np.random.default_rng(8)
    people = np.full(25, 1000.0)
    movers = {year: people * rng.uniform(0.1, 0.2, 25) for year in (2018, 2019)}
    matrices = {year: moved(areas, people, m, year) for year, m in movers.items()}
    inside = np.arange(25) < 6
    study = event_study(matrices, rings(areas, inside), 2019)
    change = movers[2019] - movers[2018]
    theirs = ttest_ind(change[inside], change[~inside], equal_var=False)
    assert study.effect["t"] == pytest.approx(theirs.statistic)
    assert study.effect["p_value"] == pytest.approx(theirs.pvalue)
    assert study.effect["df"] == pytest.approx(theirs.df)
    low, high = theirs.confidence_interval()
    assert study.effect["lower"] == pytest.approx(low)
    assert study.effect["upper"] == pytest.approx(high)


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say(grid):
    areas, _ = grid
    rng = np.random.default_rng(12)
    inside = np.arange(25) < 8
    types = AreaTypes(np.where(inside, 0, 1), pd.Index(["inside", "rest"]), "ring")
    people = rng.uniform(500, 1500, 25)
    own = rng.uniform(0.08, 0.2, 25)
    covered = 0
    for _ in range(400):
        movers = {
            year: people * (own + 0.01 * (year == 2019) + rng.normal(0, 0.02, 25))
            for year in (2017, 2018, 2019)
        }
        movers[2019][inside] += 0.1 * people[inside]
        matrices = {year: moved(areas, people, m, year) for year, m in movers.items()}
        effect = event_study(matrices, types, 2019, control="rest").effect
        covered += effect["lower"] < 100 < effect["upper"]
    # 95 % of 400 with four standard errors of 1.1 points.
    assert 0.906 < covered / 400 < 0.994


def test_arrivals_are_counted_by_people_now(panel):
    matrices, types, _, _ = panel
    study = event_study(matrices, types, 2019, direction="in")
    matrix = matrices[2018]
    came = matrix.after - matrix.stayers
    wanted = 1000 * types.totals(came) / types.totals(matrix.after)
    np.testing.assert_allclose(study.rates.loc[2018, "rate"], wanted)


def test_one_area_has_an_effect_and_no_standard_error(grid, panel):
    areas, _ = grid
    study = event_study(panel[0], rings(areas, ["x0y0"]), 2019)
    assert np.isfinite(study.effect["effect"])
    assert np.isnan(study.effect["std_err"])
    assert study.reason == (
        "'inside' is a single area: how much areas vary by themselves is not known."
    )


def test_wrong_event_studies_end_in_sentences(panel):
    matrices, types, _, _ = panel
    with pytest.raises(SpecificationError, match=r"the event falls in 2021, but there are"):
        event_study(matrices, types, 2021)
    with pytest.raises(SpecificationError, match=r"needs years before the event of 2016.*none"):
        event_study(matrices, types, 2016)
    with pytest.raises(SpecificationError, match="no matrix was given for 2012"):
        event_study(matrices, types, 2019, reference=[2012])
    with pytest.raises(SpecificationError, match="years before the event of 2018"):
        event_study(matrices, types, 2018, reference=[2019])
    with pytest.raises(SpecificationError, match=r"no ring 'same countie'.*'same county'"):
        event_study(matrices, types, 2019, control="same countie")
    with pytest.raises(SpecificationError, match="compared with itself"):
        event_study(matrices, types, 2019, control="inside")
    with pytest.raises(SpecificationError, match="direction='up'"):
        event_study(matrices, types, 2019, direction="up")
    with pytest.raises(DataError, match="the matrix given for 2010 is of 2016"):
        event_study({2010: matrices[2016], 2019: matrices[2019]}, types, 2019)


# sets of areas


def test_sets_of_areas_against_dense(village):
    members = np.zeros(40, dtype=bool)
    members[[1, 4, 17, 30]] = True
    others = np.zeros(40, dtype=bool)
    others[[2, 3, 18]] = True
    table = compare_areas(village.matrix, members, others)
    off, x = village.dense * ~np.eye(40, dtype=bool), village.areas.attribute("income")
    for name, mask in (("members", members), ("others", others)):
        row, people = table.loc[name], village.dense[mask].sum()
        assert row["people"] == pytest.approx(people)
        assert row["out_rate"] == pytest.approx(1000 * off[mask].sum() / people)
        after = village.dense[:, mask].sum()
        assert row["in_rate"] == pytest.approx(1000 * off[:, mask].sum() / after)
        assert row["within_rate"] == pytest.approx(1000 * off[mask][:, mask].sum() / people)
        assert row["average"] == pytest.approx(village.dense[mask].sum(axis=1) @ x[mask] / people)
        assert row["destination"] == pytest.approx((off[mask] @ x).sum() / off[mask].sum())
    np.testing.assert_allclose(table.loc["difference"], table.loc["members"] - table.loc["others"])


def test_the_rest_is_everybody_else(village):
    labels = village.areas.labels[:3].tolist()
    table = compare_areas(village.matrix, labels)
    assert table["areas"].tolist() == [3, 37, -34]
    assert table["people"][:2].sum() == pytest.approx(village.dense.sum())


def test_unknown_incomes_are_left_out_of_averages(village):
    income = village.areas.attribute("income").copy()
    members = np.arange(40) < 6
    income[[2, 11]] = np.nan
    with pytest.raises(DataError, match="the attribute is missing in 2 areas"):
        compare_areas(village.matrix, members, attribute=income)
    row = compare_areas(village.matrix, members, attribute=income, missing="apart").loc["members"]
    there, x = ~np.isnan(income), np.nan_to_num(income)
    people = village.dense.sum(axis=1)
    off = (village.dense * ~np.eye(40, dtype=bool))[members]
    lived = members & there
    assert row["average"] == pytest.approx(people[lived] @ x[lived] / people[lived].sum())
    assert row["destination"] == pytest.approx((off @ x).sum() / off[:, there].sum())


def test_matches_are_the_nearest_of_the_same_county(village):
    members = np.arange(40) % 10 == 0
    on = ["income", "population"]
    found = matched_areas(village.areas, members, on, level="county")
    x = village.areas.table[on].to_numpy(float)
    x = x / x.std(axis=0)
    county = village.areas.level("county").codes
    wanted = set()
    for i in np.flatnonzero(members):
        others = np.flatnonzero(~members & (county == county[i]))
        wanted.add(others[np.argmin(((x[others] - x[i]) ** 2).sum(axis=1))])
    assert set(np.flatnonzero(found)) == wanted
    assert len(wanted) == 4


def test_wrong_sets_end_in_sentences(village):
    first = village.areas.labels[:2].tolist()
    with pytest.raises(DataError, match="1 areas are in both sets"):
        compare_areas(village.matrix, first, first[:1])
    with pytest.raises(DataError, match="every area is in the set"):
        compare_areas(village.matrix, np.ones(40, dtype=bool))
    with pytest.raises(DataError, match="the set of areas is empty"):
        compare_areas(village.matrix, [])
    with pytest.raises(SpecificationError, match="per=-1"):
        compare_areas(village.matrix, first, per=-1)
    with pytest.raises(SpecificationError, match="columns to match on"):
        matched_areas(village.areas, first, "income")
    with pytest.raises(SpecificationError, match="matches=0"):
        matched_areas(village.areas, first, ["income"], matches=0)
    with pytest.raises(DataError, match=r"need 9 matches each, but in tract 0+1001\d* there are 2"):
        matched_areas(village.areas, first, ["income"], level="tract", matches=9)


# a wildfire of known size


@pytest.fixture(scope="module")
def burned():
    """Three years of a generated village; in the last, 46 % leave the burned areas, not 15 %."""
    nation, matrices = generate_nation("village", year=2016), {}
    for year in (2016, 2017, 2018):
        nation = nation if year == 2016 else next_year(nation)
        leaving = 0.46 if year == 2018 else 0.15
        fire, perimeter = with_wildfire(nation, leaving=leaving, block_groups=4)
        matrices[year] = fire.truth
    return nation.areas, matrices, perimeter


def test_the_perimeter_of_a_generated_fire_is_found(burned):
    areas, _, perimeter = burned
    inside = areas_in_polygon(areas, perimeter.polygon, shapes=shapes_of(areas))
    assert named(areas, inside) == set(perimeter.areas)
    touching = areas_touching(areas, inside, shapes_of(areas))
    assert named(areas, touching) == set(perimeter.neighbours)


def test_the_effect_of_a_generated_fire_is_recovered(burned):
    areas, matrices, perimeter = burned
    study = event_study(matrices, rings(areas, perimeter.areas, perimeter.neighbours), 2018)
    # Of 6,000 people, 46 % in the year of the fire and 15 % before, give or take 0.65 points.
    assert study.rates.loc[(2018, "inside"), "rate"] == pytest.approx(460, abs=26)
    assert study.rates.loc[(2017, "inside"), "rate"] == pytest.approx(150, abs=20)
    assert study.effect["effect"] == pytest.approx(310, abs=4 * study.effect["std_err"])
    assert 3 < study.effect["std_err"] < 20
    for ring in ("neighbours", "same county"):
        unharmed = event_study(
            matrices, rings(areas, perimeter.areas, perimeter.neighbours), 2018, treated=ring,
            control="rest",
        )  # fmt: skip
        assert abs(unharmed.effect["effect"]) < 15
