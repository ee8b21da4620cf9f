"""The metro panel: each column by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from choicemodels.keyed_random import Streams
from microsim import contrast, simulate
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.processes.tightness import openings_by_occupation
from microsim.results.outcomes import national_outcomes
from microsim.results.panel import PANEL, metro_rows, panel_table
from microsim.results.spatial import clustering
from microsim.state import initial_state
from microsim.world import make_world

AI = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.05}]}


@pytest.fixture(scope="module")
def month(population, behaviour, make):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    world = make_world(population, utility, make(shocks=[AI]), 12, Streams(1), first_month=1)
    before = initial_state(world)
    after = step(before, world)
    return before, after, world, metro_rows(before, after, world, "2024-01")


def test_every_column_is_documented_and_complete(month):
    panel = month[-1]
    assert list(panel.columns) == ["replicate", "month", "date", *panel_table()["column"]]
    assert panel_table()["column"].is_unique
    assert (panel_table()[["unit", "description"]].map(len) > 0).all(axis=None)
    assert not panel.isna().any(axis=None)
    numbers = panel.select_dtypes("number").to_numpy()
    assert np.isfinite(numbers).all()
    assert len(PANEL) > 45


def test_workers_and_wages_by_hand(month):
    _, after, world, panel = month
    workers = pd.DataFrame(
        {
            "metro": after.metro,
            "age": after.age,
            "wage": after.wage,
            "works": after.firm >= 0,
        }
    )
    groups = workers.groupby("metro")
    assert_array_equal(panel["population"], groups.size())
    assert_allclose(panel["unemployment_rate"], 1 - groups["works"].mean())
    assert_allclose(panel["mean_age"], groups["age"].mean())
    assert_allclose(panel["under_30_share"], groups["age"].agg(lambda a: (a < 30).mean()))
    assert_allclose(panel["over_55_share"], groups["age"].agg(lambda a: (a >= 55).mean()))
    at_work = workers[workers["works"]].groupby("metro")
    assert_allclose(panel["mean_wage"], at_work["wage"].mean())
    firm, firms = after.firm[after.firm >= 0], world.population.firms
    produced = after.wage[after.firm >= 0] / firms.labour_intensity[firm]
    by_metro = [produced[firms.metro[firm] == m].sum() for m in range(16)]
    assert_allclose(panel["output"], by_metro)
    assert_allclose(panel["productivity"], by_metro / np.bincount(firms.metro[firm]))


def test_rates_and_indices_by_hand(month):
    before, after, world, panel = month
    firms = world.population.firms
    openings = after.positions - after.headcount
    by_metro = np.array([openings[firms.metro == m].sum() for m in range(16)])
    assert_array_equal(panel["vacancies"], by_metro)
    positions = [after.positions[firms.metro == m].sum() for m in range(16)]
    assert_allclose(panel["openings_rate"], by_metro / positions)
    scale = world.start.households_per_worker
    assert_allclose(panel["vacancy_rate"], 1 - scale * panel["population"] / panel["dwellings"])
    stock = np.bincount(before.metro, minlength=16)
    assert_allclose(panel["population_growth"], panel["population"] / stock - 1)
    assert_allclose(
        panel["rent"], world.population.metros.home_value * after.rent_index * 0.05 / 12
    )
    yearly = world.population.metros.income * after.wage_index
    assert_allclose(panel["rent_burden"], 12 * panel["rent"] / yearly)
    m = 4
    there = firms.metro == m
    jobs = np.bincount(firms.industry[there], after.headcount[there])
    hhi = ((jobs / jobs.sum()) ** 2).sum()
    assert panel["diversification"][m] == pytest.approx(1 - hhi)
    young = (firms.age <= 1) & there & (after.headcount > 0)
    assert panel["startup_density"][m] == pytest.approx(1000 * young.sum() / panel["population"][m])


def test_mismatch_is_the_share_of_seekers_who_would_have_to_change(month):
    before, after, world, panel = month
    occupation, firm = after.occupation, after.firm
    open_here = openings_by_occupation(after, world)[4]
    seeking = np.bincount(occupation[(firm < 0) & (after.metro == 4)], minlength=22)
    gap = seeking / seeking.sum() - open_here / open_here.sum()
    assert panel["skills_mismatch"][4] == pytest.approx(np.maximum(gap, 0).sum())
    # In metro 0 all of the unemployed have one occupation; in metro 1 nobody is unemployed.
    most = np.bincount(occupation[after.metro == 0]).argmax()
    firm = np.where(after.metro <= 1, 0, firm)
    firm[(after.metro == 0) & (occupation == most)] = -1
    panel = metro_rows(before, replace(after, firm=firm), world, "2024-01")
    share = openings_by_occupation(after, world)[0]
    assert panel["skills_mismatch"][0] == pytest.approx(1 - share[most] / share.sum())
    assert panel["skills_mismatch"][1] == 0


def test_growth_is_that_of_the_levels(population, behaviour, make):
    run = simulate(population, behaviour, make(shocks=[AI]), months=4)
    wide = run.metros.pivot(index="month", columns="cbsa")
    for growth, level in (
        ("output_growth", "output"),
        ("wage_growth", "wage_index"),
        ("population_growth", "population"),
    ):
        expected = wide[level].pct_change().iloc[1:]
        assert_allclose(wide[growth].iloc[1:], expected, atol=1e-12)
    dwellings = wide["under_construction"] - wide["permits"]
    assert (dwellings <= wide["under_construction"]).all(axis=None)


def test_clustering_is_an_outcome(population, behaviour, make):
    run = simulate(population, behaviour, make(shocks=[AI]), months=3)
    calm = simulate(population, behaviour, make(), months=3)
    outcome = national_outcomes(run)["displacement clustering"]
    expected = clustering(run, population, permutations=0)["statistic"]
    assert_allclose(outcome, expected)
    row = contrast(calm, run).table.loc["displacement clustering"]
    assert np.isnan(row["difference"])
    assert "not defined" in row["note"]
    assert row["policy"] == pytest.approx(expected[0])
