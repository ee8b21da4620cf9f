"""Plants that close: which firms, whose jobs, and that they stay closed."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.assumptions.synthesis import INDUSTRIES
from microsim.conservation import ConservationError, assert_conserved
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.processes.adoption import adopter_shares, adoption
from microsim.processes.closing import closing, firms_that_close, lost_jobs
from microsim.processes.job_demand import job_demand
from microsim.state import initial_state
from microsim.world import make_world

METRO = 1


@pytest.fixture(scope="module")
def plant(population):
    return {"kind": "plant_closing", "metro": population.metros.cbsa[METRO], "firm": "largest"}


@pytest.fixture(scope="module")
def world_of(population, behaviour, make):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))

    def build(*shocks, **parameters):
        scenario = make(shocks=shocks, quiet=True, **parameters)
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


def test_the_largest_firm_closes_and_its_workers_are_displaced(world_of, plant, population):
    world = world_of(plant)
    before = initial_state(world)
    after = closing(before, world)
    here = np.flatnonzero(population.firms.metro == METRO)
    gone = here[population.firms.size[here].argmax()]
    assert_array_equal(np.flatnonzero(after.closed), [gone])
    assert after.headcount[gone] == after.positions[gone] == 0
    staff = population.workers.firm == gone
    assert after.flows.displaced[METRO] == staff.sum() == population.firms.size[gone]
    assert after.flows.displaced.sum() == after.displaced_in.tolist().count(0) == staff.sum()
    assert (after.firm[staff] == -1).all()
    assert after.scarred[staff].all()
    assert_array_equal(after.firm[~staff], before.firm[~staff])
    assert before.positions.sum() - after.positions.sum() == before.positions[gone]


def test_two_closings_of_one_metro_and_month_close_two_firms(world_of, plant, population):
    after = closing(initial_state(twice := world_of(plant, plant)), twice)
    here = np.flatnonzero(population.firms.metro == METRO)
    largest = here[np.argsort(-population.firms.size[here], kind="stable")[:2]]
    assert_array_equal(np.flatnonzero(after.closed), np.sort(largest))
    assert after.flows.displaced[METRO] == population.firms.size[largest].sum()


def test_an_industry_and_a_share_close_as_many(world_of, plant, population):
    firms = population.firms
    here = np.flatnonzero(firms.metro == METRO)
    industry = int(np.bincount(firms.industry[here]).argmax())
    del (choice := dict(plant))["firm"]
    world = world_of(choice | {"industry": INDUSTRIES[industry]})
    after = closing(initial_state(world), world)
    assert_array_equal(np.flatnonzero(after.closed), here[firms.industry[here] == industry])
    for share in (0.0, 0.05, 0.3, 1.0):
        world = world_of(choice | {"share": share})
        shock = world.scenario.shocks[0]
        rows = firms_that_close(shock, initial_state(world), world)
        staff = firms.size[here].sum()
        lost = firms.size[rows].sum()
        assert lost <= share * staff + 0.5
        # The firms that stay are each too large for what is left.
        rest = np.setdiff1d(here, rows)
        assert share == 0 or not rest.size or firms.size[rest].min() > share * staff - lost - 1
        assert (lost > 0) == (share > 0)


def test_a_closed_firm_never_opens_again(world_of, plant, population, behaviour, make):
    world = world_of({**plant, "start_month": 1}, labour={"demand_speed": 1.0})
    state = initial_state(world)
    for _ in range(6):
        before, state = state, step(state, world)
        assert_conserved(before, state, world)
        assert state.closed.sum() == (state.month >= 1)
        state = state.next_month(world)
    # In a metro whose firms have all closed, nobody opens a position.
    every = replace(state, closed=np.ones_like(state.closed))
    assert_array_equal(job_demand(every, world).positions <= state.positions, True)


@pytest.mark.parametrize("kept", [0.0, 1.0])
def test_what_a_plant_took_is_not_refilled_until_people_have_left(world_of, plant, kept):
    labour = {"demand_speed": 1.0, "lost_for_good": kept}
    world = world_of(plant, labour=labour)
    before = initial_state(world)
    after = closing(before, world)
    gone = before.positions.sum() - after.positions.sum()
    assert after.lost_positions[METRO] == kept * gone
    assert after.lost_positions.sum() == after.lost_positions[METRO]
    assert after.closing_stock[METRO] == np.bincount(before.metro)[METRO]
    calm = job_demand(before, world_of(labour=labour))
    here = world.population.firms.metro == METRO
    lacking = calm.positions[here].sum() - job_demand(after, world).positions[here].sum()
    assert lacking == pytest.approx(kept * gone, abs=1)
    # Whoever leaves takes a lost job's place along; whoever comes brings none back.
    idle = np.flatnonzero((after.metro == METRO) & ~after.employed)
    fewer = replace(after, metro=np.where(np.isin(np.arange(4000), idle[:3]), 0, after.metro))
    ratio = world.jobs_per_worker[METRO]
    assert lost_jobs(fewer, world)[METRO] == pytest.approx(max(kept * gone - 3 * ratio, 0))
    more = replace(after, metro=np.where(after.metro == 0, METRO, after.metro))
    assert lost_jobs(more, world)[METRO] == kept * gone


def test_a_second_closing_adds_to_what_is_still_lacking(world_of, plant):
    world = world_of(plant, {**plant, "start_month": 1})
    first = closing(initial_state(world), world)
    second = closing(replace(first, month=1), world)
    gone = first.positions.sum() - second.positions.sum()
    assert second.closed.sum() == 2
    assert second.lost_positions[METRO] == first.lost_positions[METRO] + gone
    assert_conserved(first, second, world, _only_closings())
    wrong = replace(first, lost_positions=first.lost_positions + 1)
    with pytest.raises(ConservationError, match=r"lost \+1 positions for good of 0"):
        assert_conserved(first, wrong, world, _only_closings())


def test_closed_firms_neither_adopt_nor_are_imitated(world_of, plant):
    quick = {"pilot_intensity": 9.0, "scaling_intensity": 9.0, "mature_intensity": 9.0}
    world = world_of({"kind": "ai_adoption"}, adoption=quick)
    state = initial_state(world)
    closed = np.arange(len(state.stage)) % 2 == 0
    after = adoption(replace(state, closed=closed), world)
    assert_array_equal(after.stage[closed], state.stage[closed])
    assert (after.stage[~closed] > 0).mean() > 0.99
    only_closed = replace(state, closed=closed, stage=closed.astype(np.int8))
    assert not any(share.any() for share in adopter_shares(only_closed, world))


def test_a_closing_hurts_its_metro(population, behaviour, make, plant):
    del (choice := dict(plant))["firm"]
    calm = simulate(population, behaviour, make(quiet=True), months=4)
    shock = {**choice, "share": 0.5, "start": "2024-03"}
    run = simulate(population, behaviour, make(shocks=[shock], quiet=True), months=4)
    assert_frame_equal(run.metros.query("month < 2"), calm.metros.query("month < 2"))
    rate = []
    for table in (calm.metros, run.metros):
        row = table[(table["month"] == 2) & (table["cbsa"] == choice["metro"])].iloc[0]
        rate.append(row["unemployed"] / row["population"])
    assert rate[1] > rate[0] + 0.3


def test_a_closing_of_nothing_changes_nothing(population, behaviour, make, plant):
    del (choice := dict(plant))["firm"]
    calm = simulate(population, behaviour, months=4)
    run = simulate(population, behaviour, make(shocks=[{**choice, "share": 0}]), months=4)
    assert_frame_equal(run.metros, calm.metros, check_exact=True)
    assert_frame_equal(run.national, calm.national, check_exact=True)


def test_a_firm_that_opens_again_is_caught(world_of, plant):
    world = world_of(plant)
    state = initial_state(world)
    closed = closing(state, world)
    with pytest.raises(ConservationError, match=r"closings not conserved.*has opened again"):
        assert_conserved(closed, replace(closed, closed=state.closed), world, _only_closings())
    firm = int(np.flatnonzero(closed.closed)[0])
    with pytest.raises(ConservationError, match=rf"firm {firm} is closed, but has .* positions"):
        assert_conserved(state, replace(state, closed=closed.closed), world, _only_closings())


def _only_closings():
    from microsim.conservation import closings

    return (closings,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 0.2}, r"in 'shocks\[0\]', give one of firm, industry and share, not firm and"),
        ({"firm": None}, "give one of firm, industry and share, not none of them"),
        ({"firm": "smallest"}, "firm' is 'smallest'; use one of 'largest'"),
        ({"firm": None, "industry": "manufacture"}, "industry is 'manufacture' .did you mean 'ma"),
        ({"firm": None, "share": 1.5}, "share' is 1.5; give a value of at most 1"),
        ({"metro": None}, r"shocks\[0\].metro' is None; give text"),
    ],
)
def test_wrong_closings_end_in_a_sentence(plant, change, message):
    with pytest.raises(SpecificationError, match=message):
        Scenario.from_mapping({"shocks": [{**plant, **change}]})


def test_metros_and_industries_that_are_not_there_are_named(population, behaviour, make, plant):
    with pytest.raises(SpecificationError, match=r"shocks\[0\].metro names the metro 99999"):
        simulate(population, behaviour, make(shocks=[{**plant, "metro": "99999"}]), months=1)
    tables = {
        name: replace(table, industry=np.zeros_like(table.industry))
        for name, table in (("firms", population.firms), ("workers", population.workers))
    }
    shock = {**plant, "firm": None, "industry": "government"}
    with pytest.raises(SpecificationError, match="has no firm in the industry 'government'; name"):
        simulate(replace(population, **tables), behaviour, make(shocks=[shock]), months=1)
