import dataclasses

import numpy as np
import pandas as pd
import pytest
from numba import get_num_threads, set_num_threads

from choicemodels.errors import SpecificationError
from choicemodels.nation.generator import generate_nation, next_year, with_leaving
from choicemodels.nation.parameters import GROUPS, NationParameters, NationSize


def same(a, b):
    np.testing.assert_array_equal(a.indptr, b.indptr)
    np.testing.assert_array_equal(a.indices, b.indices)
    np.testing.assert_array_equal(a.values, b.values)


def balance(nation):
    """Residents of t by county, from the flows and the components."""
    c = nation.components
    change = c["births"] - c["deaths"] + c["immigrants"] - c["emigrants"]
    return (nation.exact_tables.after + change).to_numpy()


def test_a_village_has_its_areas(village):
    areas = village.areas
    assert areas.name == "block_group"
    assert [areas.level(name).size for name in ("block_group", "tract", "county", "state")] == [
        100, 34, 8, 3,
    ]  # fmt: skip
    table = areas.table
    np.testing.assert_array_equal(table[list(GROUPS)].sum(axis=1), table["population"])
    np.testing.assert_array_equal(table["population"], village.truth.before)
    assert table["urban"].dtype == bool
    assert table["longitude"].between(-125, -66).all()
    assert table["latitude"].between(24, 50).all()
    assert not table.isna().any().any()


def test_people_are_accounted_for(town):
    truth, table = town.truth, town.areas.table
    assert truth.total == table["population"].sum() == truth.after.sum()
    np.testing.assert_array_equal(truth.values, np.rint(truth.values))
    county = town.areas.level("county")
    residents = county.totals(town.residents.sum(axis=1).to_numpy())
    np.testing.assert_array_equal(residents, balance(town))
    assert (town.residents.to_numpy() >= 0).all()
    stayers = county.totals(truth.stayers)
    assert (town.components["deaths"] + town.components["emigrants"] <= stayers).all()
    assert town.components.index.tolist() == county.labels.tolist()
    assert list(town.components) == ["births", "deaths", "immigrants", "emigrants"]


def test_the_same_seed_makes_the_same_nation_on_any_number_of_threads(village):
    threads = get_num_threads()
    try:
        set_num_threads(1)
        alone = generate_nation("village", seed=1)
    finally:
        set_num_threads(threads)
    same(alone.truth, village.truth)
    same(alone.raw, village.raw)
    pd.testing.assert_frame_equal(alone.areas.table, village.areas.table)
    pd.testing.assert_frame_equal(alone.tables.flows, village.tables.flows)
    pd.testing.assert_frame_equal(alone.county_flows, village.county_flows)
    pd.testing.assert_frame_equal(alone.residents, village.residents)


def test_another_seed_makes_another_nation(village):
    other = generate_nation("village", seed=2)
    assert not np.array_equal(other.areas.table["population"], village.areas.table["population"])


def test_shares_and_distances_are_like_the_country():
    nation = generate_nation("state")
    truth, table = nation.truth, nation.areas.table
    people = truth.total
    assert 0.85 < truth.stayers.sum() / people < 0.88
    stay = {level: truth.aggregate(level).flows.diagonal().sum() / people
            for level in ("tract", "county", "state")}  # fmt: skip
    assert stay["tract"] < stay["county"] < stay["state"]
    assert stay["county"] == pytest.approx(0.948, abs=0.003)
    assert 0.012 < 1 - stay["state"] < 0.03
    national = table[list(GROUPS)].sum() / people
    np.testing.assert_allclose(national, [0.637, 0.122, 0.163, 0.047, 0.031], atol=1e-4)
    assert 1_350 < table["population"].mean() < 1_490
    assert 0.5 < (table["urban"] * table["population"]).sum() / people < 0.85
    assert 38_000 < table["income"].quantile(0.25) < 52_000 < table["income"].quantile(0.75)


def test_neighbours_resemble_each_other(town):
    share = town.areas.table["black"] / town.areas.table["population"]
    log_odds = np.log((share + 0.01) / (1.01 - share))
    tract = town.areas.level("tract").codes
    within = log_odds.groupby(tract).var().mean()
    assert within < 0.4 * log_odds.var()


@pytest.mark.parametrize("size", [NationSize(1, 1, 1, 2), NationSize(2, 2, 2, 8)])
def test_the_smallest_nations_live(size):
    nation = generate_nation(size)
    assert nation.truth.total == nation.truth.after.sum() > 0
    np.testing.assert_array_equal(
        nation.areas.level("county").totals(nation.residents.sum(axis=1).to_numpy()),
        balance(nation),
    )


def test_years_follow_each_other(village):
    second = next_year(village)
    assert second.year == village.year + 1
    np.testing.assert_array_equal(second.truth.before, village.residents.sum(axis=1))
    np.testing.assert_array_equal(second.areas.table[list(GROUPS)], village.residents)
    third = next_year(second)
    assert third.truth.total == second.residents.to_numpy().sum()
    # What lasts lasts: rates of leaving hang together over the years, and are not the same draws.
    assert np.corrcoef(village.leaving, third.leaving)[0, 1] > 0.9
    assert third.truth.nnz != second.truth.nnz


def test_years_go_on_where_everybody_left():
    nation = generate_nation(NationSize(2, 4, 8, 16), parameters=NationParameters(people=40.0))
    rates = nation.leaving.copy()
    rates.iloc[[0, 5]] = 1.0
    moved = with_leaving(nation, rates)
    np.testing.assert_array_equal(moved.truth.stayers[[0, 5]], 0)
    residents = moved.residents.copy()
    residents.iloc[[0, 5]] = 0.0
    empty = next_year(dataclasses.replace(moved, residents=residents))
    np.testing.assert_array_equal(empty.truth.before[[0, 5]], 0)
    assert np.isfinite(empty.raw.values).all()
    assert empty.raw.stayers.min() >= 1
    assert np.isfinite(empty.leaving).all()


def test_other_rates_change_nobody_elsewhere(village):
    rates = village.leaving.copy()
    rates.iloc[7] = 0.9
    other = with_leaving(village, rates)
    before, after = village.truth.flows.toarray(), other.truth.flows.toarray()
    rest = np.arange(100) != 7
    np.testing.assert_array_equal(before[rest], after[rest])
    assert 1 - other.truth.stayers[7] / other.truth.before[7] == pytest.approx(0.9, abs=0.05)
    # Those who would have left anyway go where they would have gone.
    assert (after[7] - before[7])[rest].min() >= 0
    same(with_leaving(village, village.leaving).truth, village.truth)


@pytest.mark.parametrize("wrong", [1.2, -0.1, np.nan])
def test_rates_that_are_no_chances_are_refused(village, wrong):
    rates = village.leaving.copy()
    rates.iloc[3] = wrong
    with pytest.raises(SpecificationError, match=village.areas.labels[3]):
        with_leaving(village, rates)


def test_rates_of_some_areas_only_are_refused(village):
    with pytest.raises(SpecificationError, match="give each area one from 0 to 1"):
        with_leaving(village, village.leaving.iloc[:50])
    with pytest.raises(SpecificationError, match=r"shape \(50,\); give one for each of the 100"):
        with_leaving(village, np.full(50, 0.2))


def test_one_rate_may_stand_for_all(village):
    rates = pd.Series(0.2, village.areas.labels)
    same(with_leaving(village, 0.2).truth, with_leaving(village, rates).truth)
    shuffled = village.leaving.sample(frac=1, random_state=1)
    same(with_leaving(village, shuffled).truth, village.truth)


def test_a_nation_prints_as_a_line(village):
    assert len(repr(village)) < 150


def test_unknown_sizes_and_seeds_are_refused():
    with pytest.raises(SpecificationError, match=r"no size 'vilage' \(did you mean 'village'\?\)"):
        generate_nation("vilage")
    with pytest.raises(SpecificationError, match="seed is -1"):
        generate_nation("village", seed=-1)
    with pytest.raises(SpecificationError, match="no size 3"):
        generate_nation(3)
    with pytest.raises(SpecificationError, match="the year is -5"):
        generate_nation("village", year=-5)
    with pytest.raises(SpecificationError, match="the parameters are a dict"):
        generate_nation("village", parameters={"leaving": 0.1})
