"""Run a scenario forward, month by month."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim.conservation import CHECKS, Check, assert_conserved
from microsim.counts import whole
from microsim.mobility.behaviour import Behaviour
from microsim.mobility.utility import MobilityUtility, WorkerTypes
from microsim.mobility.variables import VARIABLES, WorkerColumns
from microsim.people.population import Population
from microsim.policies import MovingAid
from microsim.processes.accounts import accounts
from microsim.processes.adoption import adoption
from microsim.processes.alignment import alignment
from microsim.processes.closing import check_closings, closing
from microsim.processes.displacement import displacement
from microsim.processes.housing import housing
from microsim.processes.insurance import insurance
from microsim.processes.job_changes import job_changes
from microsim.processes.job_demand import job_demand
from microsim.processes.local_economy import local_economy
from microsim.processes.local_moves import local_moves
from microsim.processes.macro import macro
from microsim.processes.mobility import mobility
from microsim.processes.place_programmes import hiring_subsidies, place_programmes
from microsim.processes.remote import remote_work
from microsim.processes.retraining import retraining
from microsim.processes.search import search
from microsim.processes.ties import ties
from microsim.results.checkpoint import pack, unpack
from microsim.results.histories import history_rows, sampled_workers
from microsim.results.recording import Record, Tables
from microsim.results.run import Run, RunPlan, load_run
from microsim.results.run_folder import RunFolder
from microsim.scenario import Scenario
from microsim.state import State, initial_state
from microsim.world import Coupling, World, make_world

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
    checkpoint: int | None = None,
    resume: bool = False,
    replace: bool = False,
    histories: float = 0.0,
    coupling: Coupling = "independent",
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
        Folder to write to, a file a month, as the run goes. Nothing is written without it. A run
        of the same plan that is there is begun anew.
    checkpoint
        Every how many months to write down where the run stands, so that it can be resumed.
    resume
        Go on with the run in ``out`` from its last checkpoint; the results are those of a run
        that was never stopped. A finished run is read, and one that is not there begun.
    replace
        Begin anew although ``out`` holds another run, finished or not; it is lost.
    histories
        Share of the workers, 0 to 1, whose months are written too; `Run.histories` reads them.
    coupling
        How moves draw: "independent" draws a destination for movers only; "full" gives every
        worker a fixed random utility of every alternative in every month, so that two scenarios
        differ in a worker's move only where another alternative has become the best. Both follow
        the same probabilities; "full" is for small runs.
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
    DataError
        If the folder cannot be written, or holds another run that is not to be replaced.
    ConservationError
        If people, moves, jobs or money are not conserved, a fault of the program, or if one of
        ``checks`` says so.
    """
    scenario = Scenario.baseline() if scenario is None else scenario
    _check_kinds(population, behaviour, scenario)
    first = _first_month(start)
    _check_counts(months, replicates, checkpoint)
    _check_checks(checks)
    _check_folder(out, checkpoint, resume, replace, histories)
    _check_coupling(coupling)
    scenario.check_metros(list(population.metros.cbsa))
    dated = scenario.dated(str(first), months)
    check_closings(dated, population)
    shift = scenario.parameters.moving.staying_shift
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa), shift)
    _check_money(scenario, utility)
    # A bad seed or a model that cannot be simulated is refused before any folder is touched.
    Streams(seed).key("move")
    plan = RunPlan(
        scenario=scenario,
        months=int(months),
        seed=int(seed),
        replicates=int(replicates),
        start=str(first),
        population_fingerprint=population.fingerprint(),
        behaviour_fingerprint=_behaviour_fingerprint(behaviour),
        history_share=float(histories),
        coupling=coupling,
    )
    folder = _open_folder(out, plan, resume, replace)
    if folder is not None and folder.finished:
        return load_run(folder.path)
    collected = []
    with ExitStack() as stack:
        report = _reporter(progress, months * replicates, stack)
        for r in range(replicates):
            streams = Streams(seed, r)
            world = make_world(population, utility, dated, months, streams, first.month, coupling)
            collected.append(_replicate(world, plan, folder, checkpoint, report, checks))
    run = _assemble(collected, plan, folder)
    if folder is not None:
        folder.finish(run)
    return run


def step(state: State, world: World, types: WorkerTypes | None = None) -> State:
    """Return the state after the processes of one month."""
    state = macro(state, world)
    state = adoption(state, world)
    state = remote_work(state, world)
    state = closing(state, world)
    state = alignment(state, world)
    state = displacement(state, world)
    state = place_programmes(state, world)
    state = job_demand(state, world)
    state = retraining(state, world)
    sought = state = job_changes(state, world)
    state = hiring_subsidies(sought, search(state, world), world)
    state = insurance(state, world)
    state = mobility(state, world, types)
    state = ties(state, world)
    state = local_moves(state, world)
    state = housing(state, world)
    state = local_economy(state, world)
    return accounts(state, world)


def _replicate(
    world: World,
    plan: RunPlan,
    folder: RunFolder | None,
    checkpoint: int | None,
    report: Report,
    checks: Sequence[Check],
) -> Tables:
    """Run one replicate, from its checkpoint if it has one, and return its tables."""
    replicate, months = world.streams.replicate, plan.months
    state, record = _beginning(world, folder)
    types = _fixed_types(state, world)
    followed = sampled_workers(world, plan.history_share)
    while state.month < months:
        before, state = state, step(state, world, types)
        assert_conserved(before, state, world, (*CHECKS, *checks))
        panel = record.add(before, state, world, plan.start)
        if folder is not None:
            folder.write_month(replicate, state.month, panel)
        if folder is not None and plan.history_share > 0:
            rows = history_rows(before, state, world, plan.start, followed)
            folder.write_history(replicate, state.month, rows)
        state = state.next_month(world)
        if folder is not None and _is_due(state.month, months, checkpoint):
            folder.write_checkpoint(replicate, pack(state, record))
        report(replicate * months + state.month)
    return record.tables(world)


def _beginning(world: World, folder: RunFolder | None) -> tuple[State, Record]:
    """Return where a replicate begins, or goes on: a state, and what was recorded before it."""
    state, replicate = initial_state(world), world.streams.replicate
    found = folder.checkpoint(replicate) if folder is not None else None
    if folder is None or found is None:
        return state, Record.empty(world)
    state, record = unpack(found, state, Record.empty(world))
    record.panels.extend(folder.read_months(replicate, state.month))
    return state, record


def _is_due(done: int, months: int, checkpoint: int | None) -> bool:
    """Return whether to write a checkpoint: every so many months, and when a replicate ends."""
    return checkpoint is not None and (done % checkpoint == 0 or done == months)


def _fixed_types(state: State, world: World) -> WorkerTypes | None:
    """Return the workers' types if nothing that makes them changes over time."""
    if any(VARIABLES[name].moves for name in world.utility.type_variables):
        return None
    workers = WorkerColumns(state.columns(world), world.parameters.moving)
    return world.utility.types(workers, len(state.metro))


def _assemble(collected: list[Tables], plan: RunPlan, folder: RunFolder | None) -> Run:
    """Return the run of all replicates' tables."""
    joined = {
        field.name: pd.concat(
            [getattr(tables, field.name) for tables in collected], ignore_index=True
        )
        for field in fields(Tables)
    }
    kept: dict[str, Any] = {field.name: getattr(plan, field.name) for field in fields(plan)}
    return Run(**kept, **joined, folder=folder.path if folder is not None else None)


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


def _check_kinds(population: object, behaviour: object, scenario: object) -> None:
    """Refuse what is none of the three, such as the path of a scenario."""
    for label, value, kind, remedy in (
        ("population", population, Population, "synthesize or load one"),
        ("behaviour", behaviour, Behaviour, "wrap the fitted model: Behaviour(mobility=result)"),
        ("scenario", scenario, Scenario, "read it with Scenario.load or Scenario.from_mapping"),
    ):
        if not isinstance(value, kind):
            raise SpecificationError(
                f"the {label} is a {type(value).__name__}, not a {kind.__name__}; {remedy}."
            )


def _check_counts(months: int, replicates: int, checkpoint: int | None) -> None:
    counts = {"months": months, "replicates": replicates}
    if checkpoint is not None:
        counts["checkpoint"] = checkpoint
    for name, value in counts.items():
        whole(value, name, least=1)


def _check_checks(checks: object) -> None:
    if not isinstance(checks, Sequence) or not all(callable(check) for check in checks):
        raise SpecificationError(
            f"checks is {checks!r}; give a list of functions of the states before and after a "
            "month, and the world."
        )


def _check_folder(
    out: str | Path | None, checkpoint: int | None, resume: bool, replace: bool, histories: float
) -> None:
    number = isinstance(histories, int | float | np.integer | np.floating)
    if isinstance(histories, bool) or not number or not 0 <= histories <= 1:
        raise SpecificationError(f"histories is {histories!r}; give a share of workers, 0 to 1.")
    if resume and replace:
        raise SpecificationError(
            "resume goes on with the run in the folder, and replace clears it; ask for one of them."
        )
    asked = {
        "resume": resume,
        "replace": replace,
        "checkpoint": checkpoint is not None,
        "histories": histories > 0,
    }
    for name, wanted in asked.items():
        if wanted and out is None:
            raise SpecificationError(f"{name} needs the folder of the run; give it as out.")


def _check_coupling(coupling: str) -> None:
    if coupling not in get_args(Coupling):
        raise SpecificationError(f"coupling is {coupling!r}; give 'independent' or 'full'.")


def _open_folder(
    out: str | Path | None, plan: RunPlan, resume: bool, replace: bool
) -> RunFolder | None:
    if out is None:
        return None
    if resume:
        return RunFolder.reopen(out, plan)
    return RunFolder.prepare(out, plan, replace=replace)


def _check_money(scenario: Scenario, utility: MobilityUtility) -> None:
    """Refuse money for moves that the model cannot answer to."""
    if not any(policy.most_cents for _, policy in scenario.policies_of(MovingAid)):
        return
    utility.value_of_money(np.empty((0, len(utility.worker_parts))))  # raises if it cannot say
    if not utility.knows_money:
        raise SpecificationError(
            f"the scenario '{scenario.name}' pays for moves, but the mobility model has "
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
