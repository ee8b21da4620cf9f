"""Policies for places: positions bought, households connected, workers trained, hires paid for."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.policies import (
    Broadband,
    InnovationDistrict,
    PlaceBasedHiring,
    PlaceProgramme,
    UniversityPartnership,
)
from microsim.processes.eligibility import afforded, meets, would_claim
from microsim.processes.ledger import pay_from
from microsim.state import State
from microsim.world import World

__all__ = ["hiring_subsidies", "place_programmes", "wanted_positions"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def place_programmes(state: State, world: World) -> State:
    """Let innovation districts open positions, connect households and train workers.

    All are services: what they cost goes to firms, builders and universities. Streams: "district:
    ...", "place programme: ...", "take-up: ...", "queue: ...", each with the policy's name.
    """
    for g, district in world.scenario.policies_of(InnovationDistrict):
        if district.runs(state.month):
            state = _open_positions(district, g, state, world)
    for g, broadband in world.scenario.policies_of(Broadband):
        if broadband.runs(state.month):
            rows = _served(broadband, broadband.pace, g, state.connected, state, world)
            state = replace(_buy(g, rows, state, world), connected=_with(state.connected, rows))
    for g, university in world.scenario.policies_of(UniversityPartnership):
        if university.runs(state.month):
            rows = _served(university, university.pace, g, state.certified, state, world)
            wage = state.wage.copy()
            wage[rows] *= 1.0 + university.premium
            education = state.education.copy()
            education[rows] = np.maximum(education[rows], university.level)
            state = replace(
                _buy(g, rows, state, world),
                certified=_with(state.certified, rows),
                education=education,
                wage=wage,
            )
    return state


def wanted_positions(state: State, world: World) -> Floats:
    """Return the positions that policies make employers want, by metro, (M,).

    Those that innovation districts have bought; ``job_growth`` of the metro's usual positions,
    times the share of its households that broadband has connected; and ``response`` of them, times
    the hiring subsidy over the mean wage and the share of the unemployed for whom it is paid.
    """
    usual = world.jobs_per_worker * np.bincount(state.metro, minlength=world.metros)
    wanted = state.sponsored.astype(np.float64)
    for _, broadband in world.scenario.policies_of(Broadband):
        here = state.connected & _in(broadband, state, world)
        wanted += broadband.job_growth * usual * _share(here, state, world)
    for g, subsidy in world.scenario.policies_of(PlaceBasedHiring):
        left = subsidy.left(int(state.spent[g]))
        if not subsidy.runs(state.month) or (left is not None and left < subsidy.cents):
            continue
        mean_wage = state.wage.mean(dtype=np.float64)
        may = meets(subsidy.eligibility, state, world) & _in(subsidy, state, world)
        among = _share(may, state, world, ~state.employed)
        relief = min(subsidy.amount / mean_wage, 1.0) * subsidy.take_up
        wanted += subsidy.response * relief * usual * among
    return wanted


def hiring_subsidies(before: State, state: State, world: World) -> State:
    """Pay firms for the eligible residents whom they hired since ``before``, out of unemployment.

    Streams: "take-up: ..." and "queue: ..." with the policy's name.
    """
    for g, subsidy in world.scenario.policies_of(PlaceBasedHiring):
        if subsidy.runs(state.month):
            may = meets(subsidy.eligibility, before, world) & _in(subsidy, before, world)
            rows = np.flatnonzero(may & ~before.employed & state.employed)
            rows = rows[would_claim(subsidy, rows, world)]
            cents = np.full(len(rows), subsidy.cents)
            state = _buy(g, rows[afforded(rows, cents, g, state, world)], state, world)
    return state


def _open_positions(district: InnovationDistrict, g: int, state: State, world: World) -> State:
    """Open a district's positions in firms of traded industries, in proportion to their staff."""
    firms = world.population.firms
    metros = np.flatnonzero(np.isin(world.utility.cbsa, district.metros)).astype(np.int64)
    here = np.bincount(state.metro, minlength=world.metros)[metros]
    expected = district.take_up * district.positions / 1000.0 * here
    u = world.streams.uniform(f"district: {district.name}", metros, state.month)
    count = np.floor(expected + u).astype(np.int64)
    able = world.start.traded & ~state.closed
    has_firms = np.bincount(firms.metro[able], minlength=world.metros)[metros] > 0
    count = np.where(has_firms, count, 0)
    left = district.left(int(state.spent[g]))
    if left is not None:
        # The metros are served in order, as far as the budget reaches.
        count = np.diff(np.minimum(np.cumsum(count), left // district.cents), prepend=0)
    positions, sponsored = state.positions.copy(), state.sponsored.copy()
    for metro, number in zip(metros, count, strict=True):
        rows = np.flatnonzero(able & (firms.metro == metro))
        edges = np.cumsum(state.headcount[rows] + 1.0)
        parts = np.diff(np.floor(number * edges / edges[-1] + 0.5), prepend=0.0) if number else 0
        positions[rows] += np.asarray(parts, dtype=np.int64)
    sponsored[metros] += count
    paid = np.repeat(metros, count)
    rows_of_policy = np.full(len(paid), g, dtype=np.int64)
    cents = np.full(len(paid), district.cents)
    state = replace(state, positions=positions, sponsored=sponsored)
    return pay_from(state, rows_of_policy, paid, cents, service=True)


def _served(
    policy: PlaceProgramme, pace: float, g: int, done: Flags, state: State, world: World
) -> Ints:
    """Return the residents who are served this month, who were not before and can be paid for."""
    may = meets(policy.eligibility, state, world) & _in(policy, state, world) & ~done
    rows = np.flatnonzero(may)
    rows = rows[would_claim(policy, rows, world)]
    ids = world.population.workers.id[rows]
    u = world.streams.uniform(f"place programme: {policy.name}", ids, state.month)
    rows = rows[u < pace]
    return rows[afforded(rows, np.full(len(rows), policy.cents), g, state, world)]


def _buy(g: int, rows: Ints, state: State, world: World) -> State:
    """Book the amount of policy ``g`` for each of the workers ``rows``, where they live."""
    policy = world.scenario.policies[g]
    assert isinstance(policy, PlaceProgramme)
    cents = np.full(len(rows), policy.cents)
    which = np.full(len(rows), g, dtype=np.int64)
    return pay_from(state, which, state.metro[rows], cents, service=True)


def _with(flags: Flags, rows: Ints) -> Flags:
    out = flags.copy()
    out[rows] = True
    return out


def _in(policy: PlaceProgramme, state: State, world: World) -> Flags:
    """Return who lives in the programme's metros, (N,)."""
    there: Flags = np.isin(world.utility.cbsa, policy.metros)[state.metro]
    return there


def _share(who: Flags, state: State, world: World, of: Flags | None = None) -> Floats:
    """Return the share of each metro's workers, or of those in ``of``, who are in ``who``, (M,)."""
    base = np.ones(len(who), dtype=np.bool_) if of is None else of
    count = np.bincount(state.metro[who & base], minlength=world.metros)
    return count / np.maximum(np.bincount(state.metro[base], minlength=world.metros), 1)
