"""Run a scenario forward, month by month."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim.behaviour import Behaviour
from microsim.conservation import CHECKS, Check, assert_conserved
from microsim.mobility_utility import MobilityUtility, WorkerTypes
from microsim.policies import RelocationGrant
from microsim.population import Population
from microsim.processes.accounts import accounts
from microsim.processes.displacement import displacement
from microsim.processes.housing import housing
from microsim.processes.insurance import insurance
from microsim.processes.job_demand import job_demand
from microsim.processes.macro import macro
from microsim.processes.mobility import mobility
from microsim.processes.search import search
from microsim.recording import flow_totals, metro_rows, national_row, policy_rows
from microsim.run import Run, RunFolder
from microsim.scenario import Scenario
from microsim.state import State, World, initial_state, make_world
from microsim.variables import VARIABLES, WorkerColumns

__all__ = ["simulate", "step"]

Progress = Callable[[int, int], None]
Report = Callable[[int], None]


def simulate(
    population: Population,
    behaviour: Behaviour,
    scenario: Scenario | None = None,
    *,
    months: int = 84,
    seed: int = 1,
    replicates: int = 1,
    start: str = "2024-01",
    out: str | Path | None = None,
    progress: bool | Progress = False,
    checks: Sequence[Check] = (),
) -> Run:
    """Simulate a population's months under a scenario.

    Parameters
    ----------
    population
    behaviour
        The fitted models.
    scenario
        `Scenario.baseline` if not given.
    months
        At least 1.
    seed
        With the replicate it keys every draw; scenarios with one seed share their draws.
    replicates
        Repetitions with draws of their own, at least 1.
    start
        First month, "YYYY-MM".
    out
        Folder to write to, a file a month, as the run goes. Nothing is written without it.
    progress
        True for a bar on the terminal, or a function of (months done, months in all).
    checks
        Conservation checks beside those of `microsim.conservation`, run every month.

    Returns
    -------
    Run

    Raises
    ------
    SpecificationError
        If the scenario, the model and the population do not fit together.
    ConservationError
        If people, moves, jobs or money are not conserved: a fault of the program.
    """
    plan = scenario or Scenario.baseline()
    first = _first_month(start)
    _check_counts(months, replicates)
    plan.check_metros(list(population.metros.cbsa))
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    _check_money(plan, utility)
    # A bad seed or a model that cannot be simulated is refused before any folder is touched.
    Streams(seed).key("move")
    fingerprint = _behaviour_fingerprint(behaviour)
    folder = RunFolder.prepare(out) if out is not None else None
    collected = []
    with ExitStack() as stack:
        report = _reporter(progress, months * replicates, stack)
        for r in range(replicates):
            world = make_world(population, utility, plan, months, Streams(seed, r), first.month)
            collected.append(_replicate(world, months, start, folder, report, checks))
    run = _assemble(collected, population, fingerprint, plan, months, seed, replicates, start)
    if folder is not None:
        folder.finish(run)
    return run


def step(state: State, world: World, types: WorkerTypes | None = None) -> State:
    """Return the state after the processes of one month."""
    state = macro(state, world)
    state = displacement(state, world)
    state = job_demand(state, world)
    state = search(state, world)
    state = insurance(state, world)
    state = mobility(state, world, types)
    state = housing(state, world)
    return accounts(state, world)


@dataclass(frozen=True)
class _Tables:
    panel: pd.DataFrame
    national: pd.DataFrame
    flows: pd.DataFrame
    policies: pd.DataFrame


def _replicate(
    world: World,
    months: int,
    start: str,
    folder: RunFolder | None,
    report: Report,
    checks: Sequence[Check],
) -> _Tables:
    """Run one replicate and return its tables."""
    panels, national, policies = [], [], []
    counts = np.zeros((world.metros, world.metros), dtype=np.int64)
    state = initial_state(world)
    types = _fixed_types(state, world)
    for month in range(months):
        before, state = state, step(state, world, types)
        assert_conserved(before, state, world, (*CHECKS, *checks))
        panel = metro_rows(state, world, start)
        if folder is not None:
            folder.write_month(world.streams.replicate, month, panel)
        panels.append(panel)
        national.append(national_row(panel, state, world))
        policies.extend(policy_rows(state, world))
        np.add.at(counts, (state.flows.origin, state.flows.destination), 1)
        report(world.streams.replicate * months + month + 1)
        state = state.next_month(world)
    columns = ["replicate", "month", "policy", "grants", "dollars"]
    return _Tables(
        pd.concat(panels, ignore_index=True),
        pd.DataFrame(national),
        flow_totals(counts, world),
        pd.DataFrame(policies, columns=columns),
    )


def _fixed_types(state: State, world: World) -> WorkerTypes | None:
    """Return the workers' types if nothing that makes them changes over time."""
    if any(VARIABLES[name].moves for name in world.utility.type_variables):
        return None
    workers = WorkerColumns(state.columns(world), world.parameters.moving)
    return world.utility.types(workers, len(state.metro))


def _assemble(
    collected: list[_Tables],
    population: Population,
    behaviour_fingerprint: str,
    scenario: Scenario,
    months: int,
    seed: int,
    replicates: int,
    start: str,
) -> Run:
    def join(name: str) -> pd.DataFrame:
        frames: list[pd.DataFrame] = [getattr(tables, name) for tables in collected]
        return pd.concat(frames, ignore_index=True)

    return Run(
        scenario=scenario,
        months=months,
        seed=seed,
        replicates=replicates,
        start=start,
        metros=join("panel"),
        national=join("national"),
        flows=join("flows"),
        policies=join("policies"),
        population_fingerprint=population.fingerprint(),
        behaviour_fingerprint=behaviour_fingerprint,
    )


def _behaviour_fingerprint(behaviour: Behaviour) -> str:
    terms = "|".join(
        f"{t.name} {float(t.coefficient).hex()} {t.factors} {t.alternatives}"
        for t in behaviour.mobility.utility_terms()
    )
    names = tuple(behaviour.mobility.alternatives)
    # The tree is known by what it does to a fixed set of utilities.
    probe = np.linspace(-1.0, 1.0, len(names))
    logsum = behaviour.mobility.branch_logsum(probe, None, "stay")
    text = f"{terms}|{names}|{float(logsum):.12g}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _first_month(start: str) -> pd.Period:
    try:
        return pd.Period(datetime.strptime(start, "%Y-%m"), "M")
    except (ValueError, TypeError):
        raise SpecificationError(f"start is {start!r}; give a month such as '2024-01'.") from None


def _check_counts(months: int, replicates: int) -> None:
    for label, value in (("months", months), ("replicates", replicates)):
        if value < 1:
            raise SpecificationError(f"{label} is {value}; ask for at least 1.")


def _check_money(scenario: Scenario, utility: MobilityUtility) -> None:
    """Refuse a grant that the model cannot answer to."""
    if not any(policy.cents for _, policy in scenario.policies_of(RelocationGrant)):
        return
    utility.value_of_money(np.empty((0, len(utility.worker_parts))))  # raises if it cannot say
    if not utility.knows_money:
        raise SpecificationError(
            f"the scenario '{scenario.name}' pays a relocation grant, but the mobility model has "
            "no term moving_cost, so that money cannot change its decisions; estimate it with "
            "moving_cost among the generic variables."
        )


def _reporter(progress: bool | Progress, total: int, stack: ExitStack) -> Report:
    """Return a function that is told how many months are done."""
    if callable(progress):
        own = progress
        return lambda done: own(done, total)
    if not progress:
        return lambda done: None
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = stack.enter_context(
        Bar(TextColumn("months"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    )
    task = bar.add_task("months", total=total)
    return lambda done: bar.update(task, completed=done)
