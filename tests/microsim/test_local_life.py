"""Ties, moves within the metro, and remote work: each with everything else off."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy import stats

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.assumptions.mobility import LocalMoveParameters
from microsim.conservation import ConservationError, assert_conserved
from microsim.engine import step
from microsim.mobility.distances import distance_classes
from microsim.mobility.remote_work import (
    REMOTE,
    remote_status,
    telework_shares,
    teleworkable,
    turns_remote,
)
from microsim.mobility.utility import MobilityUtility
from microsim.processes.local_moves import local_moves, monthly_chances, truncated_lognormal
from microsim.processes.ties import ties
from microsim.state import initial_state
from microsim.world import make_world

SHOCK = {"kind": "remote_work", "share": 0.9, "start_month": 1, "months": 2}


def begin(population, behaviour, scenario, months=12):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    world = make_world(population, utility, scenario, months, Streams(1), first_month=1)
    return world, initial_state(world)


def test_ties_are_lost_by_moving_and_grow_again(population, behaviour, make):
    world, state = begin(population, behaviour, make(quiet=True, ties={"active": True}))
    w, movers = population.workers, np.array([5, 900, 2000])
    level = w.network.astype(float)
    metro = state.metro.copy()
    metro[movers] = (w.family_metro[movers] + np.array([0, 1, 2])) % 16
    left = ties(replace(state, metro=metro, flows=replace(state.flows, movers=movers)), world)
    assert_allclose(left.network[movers] / level[movers], [0.7, 0.2, 0.2])
    others = np.setdiff1d(np.arange(len(w)), movers)
    assert_array_equal(left.network[others], state.network[others])
    calm = replace(left, flows=state.flows)
    for _ in range(24):
        calm = ties(calm, world)
    share = calm.network[movers] / level[movers]
    assert_allclose(1 - share, np.array([0.3, 0.8, 0.8]) * 0.97**24)


def test_quiet_ties_stand_still(population, behaviour, make):
    world, state = begin(population, behaviour, make(quiet=True))
    assert ties(state, world) is state


def test_local_moves_come_at_their_rates(population, behaviour, make):
    flat = {"active": True, "age_factors": [1.0] * 6, "cost": 0.0}
    world, state = begin(population, behaviour, make(quiet=True, local_moves=flat), months=60)
    owner = population.workers.homeowner
    moves = sum(
        local_moves(replace(state, month=month), world).flows.local_moves.sum()
        for month in range(60)
    )
    expected = 60 * monthly_chances(world.parameters.local_moves)[0, owner.astype(int)].sum()
    assert moves == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_chances_compound_to_annual_rates():
    rules = LocalMoveParameters(age_factors=(1.0, 2.0, 0.0, 1.0, 1.0, 1.0))
    annual = 1 - (1 - monthly_chances(rules)) ** 12
    assert_allclose(annual[0], [rules.renter_rate, rules.owner_rate])
    assert_allclose(annual[1], 1 - (1 - annual[0]) ** 2)
    assert_allclose(annual[2], 0)


def test_distances_of_local_moves():
    u = (np.arange(10_000) + 0.5) / 10_000
    rules = LocalMoveParameters()
    miles = truncated_lognormal(u, rules.median_miles, rules.miles_sigma, rules.longest_miles)
    assert 0 < miles.min() < miles.max() <= 50
    free = stats.lognorm(rules.miles_sigma, scale=rules.median_miles)
    assert_allclose(free.cdf(miles), u * free.cdf(50.0), atol=1e-12)
    # Of the published split 37 : 40, as the parameter's source says.
    assert (distance_classes(miles) == 0).mean() == pytest.approx(37 / 77, abs=0.02)
    assert_array_equal(distance_classes(np.array([4.9, 5.0, 49.0, 50.0])), [0, 1, 1, 2])


def test_only_long_local_moves_change_the_ring_and_savings_pay(population, behaviour, make):
    sure = {"active": True, "renter_rate": 0.99, "owner_rate": 0.99, "to_suburb": 1, "to_city": 0}
    near = make(quiet=True, local_moves={**sure, "longest_miles": 4.9})
    world, state = begin(population, behaviour, near)
    after = local_moves(state, world)
    assert_array_equal(after.ring, state.ring)
    assert after.flows.local_moves[0] == after.flows.local_moves.sum() > 500
    paid = state.savings - after.savings
    assert paid.sum() == after.flows.moving_cost > 0
    assert (after.savings >= 0).all()
    world, state = begin(population, behaviour, make(quiet=True, local_moves=sure))
    after = local_moves(state, world)
    changed = after.ring != state.ring
    assert (after.ring[changed] == 1).all()
    assert 50 < changed.sum() <= after.flows.local_moves[1:].sum()


def test_who_is_remote():
    firm, policy = np.array([0, 1, -1, 0]), np.array([REMOTE, 0], dtype=np.int8)
    can = np.array([True, True, True, False])
    assert_array_equal(remote_status(firm, policy, can), [True, False, False, False])


def test_telework_follows_the_occupations_shares(population):
    rules = Scenario.baseline().parameters.remote
    w = population.workers
    can = teleworkable(population, w.occupation, rules)
    shares = telework_shares(population, rules)
    assert_allclose(can.mean(), shares[w.occupation].mean(), atol=0.02)
    soc = population.occupations["soc"]
    assert can[np.isin(w.occupation, np.flatnonzero(soc == "15-0000"))].all()
    assert not can[np.isin(w.occupation, np.flatnonzero(soc == "35-0000"))].any()
    off = rules.model_copy(update={"active": False})
    assert not teleworkable(population, w.occupation, off).any()


def test_firms_turn_remote_over_the_months_of_the_shock():
    whether = when = (np.arange(1000) + 0.5) / 1000
    shares = [
        turns_remote(whether, when[::-1], np.full(1000, 0.6), since, 3).sum() for since in range(3)
    ]
    assert shares == sorted(shares)
    assert shares[-1] == 600
    assert not turns_remote(whether, when, np.zeros(1000), 2, 3).any()


def test_remote_workers_keep_job_and_wage_when_they_move(population, behaviour, make):
    scenario = make(shocks=[SHOCK], quiet=True, remote={"active": True})
    world, state = begin(population, behaviour, scenario)
    kept = others = 0
    for _ in range(8):
        before = state.next_month(world) if state.flows.wages else state
        state = step(before, world)
        assert_conserved(before, state, world)
        movers = state.flows.movers
        remote = before.remote_workers(world)[movers] & (state.firm[movers] == before.firm[movers])
        assert_allclose(state.wage[movers[remote]], before.wage[movers[remote]])
        kept += int(remote.sum())
        others += int((~remote).sum())
    assert kept > 10
    assert others > 10
    away = state.employed & (state.workplace(world) != state.metro)
    assert 0 < away.sum() <= kept
    assert state.remote_workers(world)[away].all()

    home = state.workplace(world)[away]
    on_site = replace(state, remote=np.zeros_like(state.remote))
    assert len(home)
    with pytest.raises(ConservationError, match="by a firm that is not remote"):
        assert_conserved(before, on_site, world)


def test_a_shock_of_no_firms_changes_nothing(population, behaviour, make):
    base = simulate(population, behaviour, months=4)
    run = simulate(population, behaviour, make(shocks=[{**SHOCK, "share": 0}]), months=4)
    assert_frame_equal(run.metros, base.metros)
    assert_frame_equal(run.national, base.national)
    shocked = simulate(population, behaviour, make(shocks=[SHOCK]), months=4)
    remote = shocked.national["remote_workers"]
    assert remote[0] == base.national["remote_workers"][0]
    assert remote[3] > 3 * base.national["remote_workers"][3]


def test_moves_are_counted_by_distance(population, behaviour):
    national = simulate(population, behaviour, months=3).national
    classes = national[["moves_under_5_miles", "moves_5_to_50_miles", "moves_over_50_miles"]]
    assert (classes.sum(axis=1) == national["moves"] + national["local_moves"]).all()
    assert (national["interstate_moves"] <= national["moves"]).all()
    assert national["interstate_moves"].sum() > 0


def test_bad_shocks_of_remote_work_are_refused(make):
    with pytest.raises(SpecificationError, match=r"'shocks\[0\].share' is 1.5"):
        make(shocks=[{**SHOCK, "share": 1.5}])
