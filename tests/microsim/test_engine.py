import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import DataError, SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, contrast, load_run, simulate
from microsim.conservation import ConservationError, assert_conserved
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.state import initial_state
from microsim.world import make_world

MONTHS = 12
SHOCK = {
    "kind": "ai_displacement",
    "start_month": 2,
    "hazard": [{"month": 0, "rate": 0.05}, {"month": 6, "rate": 0.15}],
}
GRANT = {"kind": "relocation_grant", "amount": 10_000}


def world_of(population, behaviour, scenario, months=MONTHS):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    return make_world(population, utility, scenario, months, Streams(1), first_month=1)


def states(population, behaviour, scenario, months=MONTHS):
    world = world_of(population, behaviour, scenario, months)
    state = initial_state(world)
    for _ in range(months):
        state = step(state.next_month(world) if state.flows.saved else state, world)
    return world, state


@pytest.fixture(scope="module")
def baseline(population, behaviour):
    return simulate(population, behaviour, months=MONTHS)


def same(a, b):
    for name in ("metros", "national", "flows"):
        assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)


def test_two_runs_are_identical(population, behaviour, baseline):
    same(simulate(population, behaviour, months=MONTHS), baseline)
    assert baseline.national["moves"].sum() > 50


def test_permuting_workers_changes_nobodys_life(population, behaviour, shuffled, make):
    scenario = make(GRANT, shocks=[SHOCK])
    other, order = shuffled
    _, a = states(population, behaviour, scenario)
    _, b = states(other, behaviour, scenario)
    for name in ("metro", "firm", "wage", "savings", "displaced_in", "granted", "months_out"):
        assert_array_equal(getattr(a, name)[order], getattr(b, name), err_msg=name)


@pytest.mark.parametrize(
    "nothing",
    [
        {"amount": 0},
        {"amount": 10_000, "eligibility": {"income_ceiling": 0}},
        {"amount": 10_000, "take_up": 0},
        {"amount": 10_000, "budget": 9_999},
        {"amount": 10_000, "start_month": 99},
        {"amount": 10_000, "eligibility": {"status": "displaced"}},
    ],
    ids=["zero", "nobody eligible", "nobody takes it up", "no budget", "too late", "no displaced"],
)
def test_a_policy_that_nobody_takes_up_changes_nothing(
    population, behaviour, baseline, make, nothing
):
    run = simulate(population, behaviour, make({**GRANT, **nothing}), months=MONTHS)
    aside = ["eligible", "eligible_moves"]  # counting who might have claimed changes nothing
    assert_frame_equal(run.metros.drop(columns=aside), baseline.metros.drop(columns=aside))
    assert_frame_equal(run.national.drop(columns=aside), baseline.national.drop(columns=aside))
    assert_frame_equal(run.flows, baseline.flows)


def test_a_grant_raises_moves_and_costs_takers_times_amount(population, behaviour, baseline, make):
    run = simulate(population, behaviour, make(GRANT), months=MONTHS)
    assert run.national["moves"].sum() > 1.3 * baseline.national["moves"].sum()
    paid = run.policies
    assert (paid["dollars"] == 10_000 * paid["grants"]).all()
    assert paid["grants"].sum() == run.national["grants"].sum() > 0
    assert run.national["policy_dollars"].sum() == 10_000 * paid["grants"].sum()
    # Each household once, and everybody who moves for the first time is paid.
    assert paid["grants"].sum() <= run.national["moves"].sum()


def test_grants_stop_with_the_budget_and_the_programme(population, behaviour, make):
    policy = {**GRANT, "budget": 55_000, "start_month": 1, "end_month": 8}
    run = simulate(population, behaviour, make(policy), months=MONTHS)
    assert run.policies["dollars"].sum() == 50_000
    short = {**GRANT, "start_month": 3, "end_month": 4}
    paid = simulate(population, behaviour, make(short), months=MONTHS).policies
    assert set(paid.loc[paid["grants"] > 0, "month"]) == {3, 4}


def test_a_grant_for_a_destination_draws_people_there(population, behaviour, baseline, make):
    target = str(population.metros.cbsa[11])
    policy = {**GRANT, "destinations": [target]}
    run = simulate(population, behaviour, make(policy), months=MONTHS)

    def arrivals(r):
        return r.metros.groupby("cbsa")["arrivals"].sum()[target]

    assert arrivals(run) > arrivals(baseline)
    assert run.national["grants"].sum() <= arrivals(run)
    assert run.national["grants"].sum() > 0


def test_displacement_raises_unemployment(population, behaviour, baseline, make):
    run = simulate(population, behaviour, make(shocks=[SHOCK]), months=MONTHS)
    assert run.national["displaced"].sum() > 50
    assert run.national["displaced"].iloc[:2].sum() == 0
    last = run.national["unemployment_rate"].iloc[-1]
    assert last > baseline.national["unemployment_rate"].iloc[-1] + 0.01
    # Before the shock the runs share every draw.
    assert_frame_equal(
        run.metros[run.metros["month"] < 2], baseline.metros[baseline.metros["month"] < 2]
    )


def test_the_shock_spreads_from_the_most_exposed(population, behaviour, make):
    world = world_of(population, behaviour, make(shocks=[{**SHOCK, "spread_months": 6}]))
    reached = (world.intensity > 0).argmax(axis=0)
    assert reached.min() == 2
    assert reached.max() == 8
    w = population.workers
    exposure = np.bincount(w.metro, w.exposure) / np.bincount(w.metro)
    assert reached[exposure.argmax()] == 2
    assert reached[exposure.argmin()] == 8


def test_a_hazard_is_zero_before_its_first_point(population, behaviour, make):
    late = {**SHOCK, "hazard": [{"month": 4, "rate": 0.1}, {"month": 6, "rate": 0.3}]}
    path = -np.expm1(-world_of(population, behaviour, make(shocks=[late])).intensity)
    assert_allclose(path[:, 0], [0, 0, 0, 0, 0, 0, 0.1, 0.2, 0.3, 0.3, 0.3, 0.3], atol=1e-12)


def test_dear_metros_attract_fewer(population, behaviour):
    world = world_of(population, behaviour, Scenario.baseline())
    utility = world.utility
    parts = np.ones((1, len(utility.worker_parts)))
    dear = np.ones(16)
    dear[3] = 2.0
    par = np.ones(16)
    places = world.places.with_state(
        price_index=dear,
        rent_index=par,
        wage_index=par,
        commute_index=par,
        unemployment=0 * par,
    )
    others = np.flatnonzero(np.arange(16) != 3)
    kinds = np.zeros(15, dtype=np.int64)
    before, after = (
        utility.log_probabilities(utility.destinations(parts, where), kinds, others)
        for where in (world.places, places)
    )
    assert (after[:, 3] < before[:, 3]).all()


def test_a_uniform_gain_adds_itself_to_the_logsum(population, behaviour):
    """The shortcut for grants without a destination."""
    world = world_of(population, behaviour, Scenario.baseline())
    V = world.utility.destinations(np.ones((1, len(world.utility.worker_parts))), world.places)
    utility, kinds, origins = world.utility, np.zeros(16, dtype=np.int64), np.arange(16)
    np.testing.assert_allclose(utility.logsums(V + 0.7), utility.logsums(V) + 0.7, rtol=1e-12)
    log_p = utility.log_probabilities(V, kinds, origins)
    moved = utility.log_probabilities(V + 0.7, kinds, origins)
    finite = np.isfinite(log_p)
    np.testing.assert_array_equal(finite, ~np.eye(16, dtype=bool))
    np.testing.assert_allclose(moved[finite], log_p[finite], atol=1e-10)


def tamper_people(state):
    metro = state.metro.copy()
    metro[0] = (metro[0] + 1) % 16
    return replace(state, metro=metro)


def tamper_moves(state):
    flows = state.flows
    twice = replace(
        flows, origin=np.append(flows.origin, 0), destination=np.append(flows.destination, 1)
    )
    return replace(state, flows=twice)


def tamper_jobs(state):
    headcount = state.headcount.copy()
    headcount[0] += 1
    return replace(state, headcount=headcount)


def tamper_money(state):
    savings = state.savings.copy()
    savings[0] += 1
    return replace(state, savings=savings)


def tamper_outlay(state):
    return replace(state, spent=state.spent + 1)


@pytest.mark.parametrize(
    ("tamper", "law"),
    [
        (tamper_people, "people"),
        (tamper_moves, "moves"),
        (tamper_jobs, "jobs"),
        (tamper_money, "money"),
        (tamper_outlay, "money"),
    ],
)
def test_broken_laws_are_caught(population, behaviour, make, tamper, law):
    world = world_of(population, behaviour, make(GRANT))
    before = initial_state(world)
    after = step(before, world)
    assert_conserved(before, after, world)
    with pytest.raises(ConservationError, match=f"{law} not conserved in month 0.*please report"):
        assert_conserved(before, tamper(after), world)


def test_checks_can_be_added(population, behaviour):
    def nobody_moves(before, after, world):
        return "somebody moved" if len(after.flows.origin) else None

    class Nobody:
        def __call__(self, before, after, world):
            return nobody_moves(before, after, world)

    for check, name in (
        (nobody_moves, "nobody_moves"),
        (partial(nobody_moves), "nobody_moves"),
        (Nobody(), "Nobody"),
    ):
        told = rf"^{name} not conserved.*somebody moved\. A check of yours says so"
        with pytest.raises(ConservationError, match=told):
            simulate(population, behaviour, months=12, checks=[check])


def test_stocks_follow_flows_in_the_panel(baseline, population):
    panel = baseline.metros.pivot(index="month", columns="cbsa")
    stock = panel["population"]
    change = stock.diff().iloc[1:]
    net = (panel["arrivals"] - panel["departures"]).iloc[1:]
    assert (change == net).all().all()
    assert (stock.sum(axis=1) == len(population.workers)).all()
    assert (panel["employed"] + panel["unemployed"] == stock).all().all()
    totals = baseline.metros[["arrivals", "departures"]].sum()
    assert totals["arrivals"] == totals["departures"] == baseline.flows["moves"].sum()


def test_replicates_differ_and_the_first_is_the_single_run(population, behaviour, baseline):
    run = simulate(population, behaviour, months=MONTHS, replicates=2)
    first = run.metros[run.metros["replicate"] == 0]
    assert_frame_equal(first, baseline.metros)
    moves = run.national.groupby("replicate")["moves"].sum()
    assert moves[0] != moves[1]


def test_runs_are_written_by_month_and_read_again(population, behaviour, make, tmp_path):
    seen = []
    scenario = make(GRANT, shocks=[SHOCK], name="both")
    run = simulate(
        population,
        behaviour,
        scenario,
        months=3,
        replicates=2,
        out=tmp_path / "run",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i, 6) for i in range(1, 7)]
    assert len(list((tmp_path / "run").rglob("month=*.parquet"))) == 6
    notes = json.loads((tmp_path / "run" / "run.json").read_text())
    assert notes["seed"] == 1
    assert notes["scenario"]["policies"][0]["amount"] == 10_000
    loaded = load_run(tmp_path / "run")
    same(loaded, run)
    assert_frame_equal(loaded.policies, run.policies)
    assert loaded.scenario == run.scenario
    # A finished run is not lost to another one that names its folder, unless that is asked for.
    with pytest.raises(DataError, match=r"holds another run: its scenario is .*--replace"):
        simulate(population, behaviour, months=1, out=tmp_path / "run")
    with pytest.raises(SpecificationError, match="ask for one of them"):
        simulate(population, behaviour, months=1, out=tmp_path / "run", resume=True, replace=True)
    same(load_run(tmp_path / "run"), run)
    # A shorter run in its place leaves nothing of the longer one behind; a second is the same.
    simulate(population, behaviour, months=1, out=tmp_path / "run", replace=True)
    simulate(population, behaviour, months=1, out=tmp_path / "run")
    assert len(list((tmp_path / "run").rglob("month=*.parquet"))) == 1
    assert not list((tmp_path / "run").rglob("*.part"))


def test_counts_of_numpy_and_a_short_date_are_those_of_python(population, behaviour, tmp_path):
    counts = {"months": np.int64(2), "seed": np.int64(1), "replicates": np.int64(1)}
    run = simulate(population, behaviour, **counts, start="2024-1", out=tmp_path / "run")
    plain = simulate(population, behaviour, months=2, start="2024-01")
    same(load_run(tmp_path / "run"), plain)
    assert run.start == plain.start == "2024-01"
    assert (contrast(run, plain).table["difference"].dropna() == 0).all()


def test_unfinished_or_unwritable_folders_are_refused(population, behaviour, tmp_path):
    with pytest.raises(DataError, match="holds no finished run"):
        load_run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written to"):
        simulate(population, behaviour, months=1, out=tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"months": 0}, "months is 0"),
        ({"replicates": 0}, "replicates is 0"),
        ({"seed": -1}, "the seed is -1"),
        ({"start": "January"}, "start is 'January'"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    population, behaviour, tmp_path, options, message
):
    with pytest.raises(SpecificationError, match=message):
        simulate(population, behaviour, out=tmp_path / "run", **{"months": 1} | options)
    assert not (tmp_path / "run").exists()


def test_ageing_is_off_unless_asked_for(population, behaviour, make):
    _, young = states(population, behaviour, make(), months=1)
    assert_array_equal(young.age, population.workers.age)
    _, old = states(population, behaviour, make(demography={"ageing": True}), months=12)
    assert_array_equal(old.age, population.workers.age + 1)


def test_dates_follow_the_start(population, behaviour):
    run = simulate(population, behaviour, months=2, start="2029-12")
    assert list(run.national["date"]) == [pd.Timestamp("2029-12-01"), pd.Timestamp("2030-01-01")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"months": 2.5}, "months is 2.5; give a whole number, at least 1"),
        ({"months": True}, "months is True; give a whole number"),
        ({"checkpoint": "3"}, "checkpoint is '3'; give a whole number"),
        ({"checkpoint": 0}, "checkpoint is 0; give a whole number"),
        ({"histories": "0.1"}, "histories is '0.1'; give a share of workers, 0 to 1"),
        ({"histories": True}, "histories is True; give a share"),
        ({"checks": step}, "checks is <function step.*; give a list of functions"),
        ({"checks": ["people"]}, "checks is .'people'.; give a list of functions"),
        ({"months": "3"}, "months is '3'; give a whole number"),
        ({"replicates": 0}, "replicates is 0; give a whole number, at least 1"),
        ({"scenario": "grant.yaml"}, "the scenario is a str, not a Scenario; read it with"),
        ({"scenario": {}}, "the scenario is a dict, not a Scenario; read it with Scenario.load"),
        ({"behaviour": None}, "the behaviour is a NoneType, not a Behaviour; wrap the fitted"),
        ({"population": "people"}, "the population is a str, not a Population; synthesize"),
    ],
)
def test_what_cannot_be_simulated_is_refused(population, behaviour, change, message):
    given = {"population": population, "behaviour": behaviour, "months": 1, **change}
    with pytest.raises(SpecificationError, match=message) as caught:
        simulate(**given)
    assert "\n" not in str(caught.value)
