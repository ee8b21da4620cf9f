from dataclasses import replace

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from choicemodels.keyed_random import Streams
from microsim import simulate
from microsim.conservation import rosters
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.results.groups import RENT_BANDS, Tallies
from microsim.state import initial_state
from microsim.world import make_world

MONTHS = 6
SHOCKS = (
    {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.05}]},
    {"kind": "remote_work", "share": 0.6, "months": 1},
)
COURSES = {"kind": "retraining", "outreach": 10, "months": 2}


@pytest.fixture(scope="module")
def scenario(make):
    return make(COURSES, shocks=SHOCKS, retraining={"months": 2})


@pytest.fixture(scope="module")
def run(population, behaviour, scenario):
    return simulate(population, behaviour, scenario, months=MONTHS, replicates=2, start="2024-09")


@pytest.mark.parametrize(
    ("event", "series"),
    [
        ("worker_months", "population"),
        ("unemployed_months", "unemployed"),
        ("displaced", "displaced"),
        ("moves", "moves"),
        ("local_moves", "local_moves"),
        ("retraining", "retraining"),
        ("retrained", "retrained"),
    ],
)
def test_groups_add_up_to_the_nation_in_every_year(run, event, series):
    year = run.national["date"].dt.year.rename("year")
    expected = run.national.groupby(["replicate", year])[series].sum()
    found = run.groups.groupby(["replicate", "year"])[event].sum()
    assert (expected > 0).all()
    assert found.to_dict() == expected.to_dict()


def test_occupations_add_up_to_the_metro_panel(run):
    by = ["replicate", "cbsa"]
    found = run.occupations.groupby(by)[["worker_months", "displaced"]].sum()
    expected = run.metros.groupby(by)["displaced"].sum()
    assert found["displaced"].to_dict() == expected.to_dict()
    assert found["worker_months"].sum() == run.national["population"].sum()


def test_destinations_add_up_to_the_flows(run):
    found = run.destinations.groupby("replicate")["moves"].sum()
    assert found.to_list() == run.flows.groupby("replicate")["moves"].sum().to_list()
    remote = run.destinations[run.destinations["remote"]]["moves"].sum()
    assert 0 < remote == run.flows["remote_moves"].sum() < found.sum()
    ratio = run.destinations["destination_rent"] / run.destinations["origin_rent"]
    extremes = run.destinations["rent_ratio"]
    assert (ratio[extremes == RENT_BANDS[0]] < 0.8).all()
    assert (ratio[extremes == RENT_BANDS[-1]] >= 1.25).all()


@pytest.fixture(scope="module")
def month(population, behaviour, scenario):
    """A month of the scenario, its world, and what was counted in it."""
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    world = make_world(population, utility, scenario, MONTHS, Streams(1), first_month=9)
    before = initial_state(world)
    for _ in range(3):
        before = step(before, world).next_month(world)
    after, tallies = step(before, world), Tallies.empty(world)
    tallies.add(before, after, world)
    return before, after, world, tallies


@pytest.mark.parametrize("recent", [False, True])
def test_a_group_counts_its_members_one_by_one(month, population, recent):
    before, after, _, tallies = month
    table = tallies.group_table(0, 2024)
    of_age = table[(table["age"] == "25-34") & (table["displaced_recently"] == recent)]
    counts = of_age.drop(columns=["year", "age", "education"]).sum()
    mine = [
        i
        for i in range(len(before.age))
        if 25 <= before.age[i] < 35 and (after.displaced_in[i] >= 0) == recent
    ]
    assert counts["worker_months"] == len(mine) > 10
    moved = after.metro != before.metro
    # Courses take two months: after their first month, two are left.
    begun = after.course_left == 2
    assert counts["moves"] == moved[mine].sum()
    assert counts["retraining"] == begun[mine].sum() > 0
    assert counts["stayed_months"] == sum(not (moved[i] or begun[i]) for i in mine)
    lost = [
        i
        for i in range(len(before.age))
        if 25 <= before.age[i] < 35
        and after.displaced_in[i] == after.month
        and (before.displaced_in[i] >= 0) == recent
    ]
    assert counts["displaced"] == len(lost)
    assert len(lost) > 0 or recent
    assert counts["found_work"] == ((before.firm < 0) & (after.firm >= 0))[mine].sum()
    of_school = of_age.groupby("education")["worker_months"].sum()
    schooled = sum(population.workers.education[i] == 3 for i in mine)
    assert of_school["bachelor"] == schooled > 0


def test_years_are_those_of_the_calendar(run):
    assert sorted(run.groups["year"].unique()) == [2024, 2025]
    people = run.groups[run.groups["replicate"] == 0].groupby("year")["worker_months"].sum()
    assert people[2024] * 2 == people[2025] * 4


def test_names_and_counts_must_agree(month):
    before, after, world, _ = month
    assert rosters(before, after, world) is None
    for name, words in (("local_movers", "moved within"), ("graduates", "completed a course")):
        fewer = replace(after.flows, **{name: getattr(after.flows, name)[1:]})
        assert words in rosters(before, replace(after, flows=fewer), world)
    displaced = np.where(after.displaced_in == after.month, -1, after.displaced_in)
    assert "displaced" in rosters(before, replace(after, displaced_in=displaced), world)


def test_stopped_runs_and_folders_keep_the_tables(population, behaviour, scenario, run, tmp_path):
    options = {"months": MONTHS, "replicates": 2, "start": "2024-09", "out": tmp_path / "run"}

    def interrupt(done, of):
        if done == MONTHS + 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(population, behaviour, scenario, **options, checkpoint=3, progress=interrupt)
    again = simulate(population, behaviour, scenario, **options, checkpoint=3, resume=True)
    for name in ("groups", "occupations", "destinations", "flows"):
        assert_frame_equal(getattr(again, name), getattr(run, name))
