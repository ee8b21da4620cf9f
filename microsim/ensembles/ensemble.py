"""Many runs at once: parameter draws by replicates by scenarios, on one machine or on many."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest
from estimation import ChoiceResult, load_result
from microsim.counts import whole
from microsim.engine import simulate
from microsim.ensembles.contrast import EnsembleContrast, contrast_draws
from microsim.ensembles.draws import draw_parameters
from microsim.mobility.behaviour import Behaviour
from microsim.people.population import Population, load_population
from microsim.results.outcomes import national_outcomes
from microsim.results.run import Run, load_run
from microsim.results.run_folder import RunFolder, plan_difference
from microsim.scenario import Scenario

__all__ = ["Ensemble", "ensemble", "load_ensemble"]

_NOTES = "ensemble.json"
_PEOPLE = "population"
_MODEL = "mobility.json"
_PLAN = {
    "months": "number of months",
    "seed": "seed",
    "replicates": "number of replicates",
}


@dataclass(frozen=True)
class Ensemble:
    """Runs of scenarios under drawn parameters, in a folder.

    Attributes
    ----------
    folder : Path
        ``population/``, and a folder ``draw=000`` for every draw with its model,
        ``mobility.json``, and the folder of each scenario's run.
    scenarios : tuple of str
        Their names.
    draws, replicates, months, seed : int
    outside : float
        Share of parameter vectors that were drawn again; see `microsim.ensembles.draws`.
    """

    folder: Path
    scenarios: tuple[str, ...]
    draws: int
    replicates: int
    months: int
    seed: int
    outside: float

    def run(self, scenario: str, draw: int) -> Run:
        """Return the run of a scenario under a draw.

        Raises
        ------
        SpecificationError
            If the ensemble has no such scenario.
        DataError
            If the run is not finished.
        """
        if scenario not in self.scenarios:
            raise SpecificationError(
                f"the ensemble has no scenario '{scenario}'{closest(scenario, self.scenarios)}; "
                f"it has {', '.join(self.scenarios)}."
            )
        return load_run(_member_folder(self.folder, draw, scenario))

    def outcomes(self, scenario: str) -> pd.DataFrame:
        """Return the national outcomes of every draw and replicate.

        Returns
        -------
        DataFrame
            Index draw and replicate; columns as `microsim.results.outcomes.national_outcomes`.
        """
        tables = [national_outcomes(self.run(scenario, d)) for d in range(self.draws)]
        return pd.concat(tables, keys=range(self.draws), names=["draw", "replicate"])

    def contrast(self, baseline: str, policy: str, *, level: float = 0.95) -> EnsembleContrast:
        """Compare two scenarios; see `microsim.ensembles.contrast.contrast_draws`."""
        tables = self.outcomes(baseline), self.outcomes(policy)
        return contrast_draws(*tables, baseline, policy, level=level)


def ensemble(
    population: Population,
    behaviour: Behaviour,
    scenarios: Sequence[Scenario],
    *,
    draws: int,
    out: str | Path,
    replicates: int = 2,
    months: int = 84,
    seed: int = 1,
    start: str = "2024-01",
    checkpoint: int | None = 12,
    client: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> Ensemble:
    """Simulate scenarios under parameters drawn from the mobility model's joint distribution.

    Every draw meets every scenario and replicate, and all share the simulation's draws, so that
    differences between scenarios, and between parameters, are not noise. What is finished in the
    folder is not run again, and what was begun goes on from its last checkpoint. Scenarios that the
    folder holds besides remain part of the ensemble there.

    Parameters
    ----------
    population
    behaviour
        Its mobility is a fitted model with a covariance.
    scenarios
        With names of their own.
    draws
        Of the parameters, at least 1.
    out
        Folder to write to.
    replicates, months, seed, start, checkpoint
        Of every run; see `simulate`. The seed keys the draws of the parameters as well.
    client : distributed.Client, optional
        Workers to run on, each a process with one thread, that see the folder ``out``. A member
        whose worker dies goes on with another worker. Without it, members run one after the other.
    progress
        Told (members finished, members in all).

    Returns
    -------
    Ensemble

    Raises
    ------
    SpecificationError
        If scenarios lack names of their own, or the model a covariance.
    DataError
        If the folder cannot be written, or holds an ensemble of other people, models, plans, or
        draws of other scenarios. Nothing in it has changed then.
    """
    names = _checked_names(scenarios)
    if not isinstance(behaviour.mobility, ChoiceResult):
        raise SpecificationError(
            f"the mobility model is a {type(behaviour.mobility).__name__}, which has no covariance "
            "to draw parameters from; give a fitted model."
        )
    for scenario in scenarios:
        scenario.check_metros(list(population.metros.cbsa))
    drawn = draw_parameters(behaviour.mobility, whole(draws, "draws"), seed)
    folder = Path(out)
    made = Ensemble(
        folder,
        names,
        draws=int(draws),
        replicates=whole(replicates, "replicates"),
        months=whole(months, "months"),
        seed=whole(seed, "seed"),
        outside=drawn.outside,
    )
    known = _require_same(population, drawn.models, made, scenarios, start)
    _keep_population(population, folder)
    _keep_models(drawn.models, folder)
    options = {
        "months": made.months,
        "seed": made.seed,
        "replicates": made.replicates,
        "start": start,
        "checkpoint": checkpoint,
    }
    members = [
        (str(folder), d, scenario.model_dump(mode="json"), options)
        for d in range(made.draws)
        for scenario in scenarios
    ]
    finished = _one_by_one(members, population) if client is None else _on_workers(members, client)
    for done, _ in enumerate(finished, start=1):
        if done == 1:  # what is refused, is refused by now
            _write_notes(known)
        if progress is not None:
            progress(done, len(members))
    return made


def load_ensemble(folder: str | Path) -> Ensemble:
    """Read an ensemble that `ensemble` wrote.

    Raises
    ------
    DataError
        If the folder holds none.
    """
    path = Path(folder)
    try:
        notes = json.loads((path / _NOTES).read_text("utf-8"))
        return Ensemble(**{**notes, "folder": path, "scenarios": tuple(notes["scenarios"])})
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(
            f"{path} holds no ensemble ({type(problem).__name__}); make one with "
            f"ensemble(..., out='{path}')."
        ) from None


def _checked_names(scenarios: Sequence[Scenario]) -> tuple[str, ...]:
    """Return the scenarios' names, which are folders too."""
    if isinstance(scenarios, Scenario | str | PathLike):
        raise SpecificationError(
            f"scenarios is one {type(scenarios).__name__}; give a list, such as [baseline, policy]."
        )
    for scenario in scenarios:
        if not isinstance(scenario, Scenario):
            raise SpecificationError(
                f"{scenario!r} is a {type(scenario).__name__}, not a Scenario; read a file with "
                "Scenario.load."
            )
    names = tuple(scenario.name for scenario in scenarios)
    if not names:
        raise SpecificationError("there is no scenario; give at least one.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecificationError(
            f"several scenarios are named {enumerate_some(twice)}; give each a name of its own."
        )
    for name in names:
        if not re.fullmatch(r"[\w][\w .-]*", name):
            raise SpecificationError(
                f"the scenario's name '{name}' cannot be a folder; use letters, digits and '_'."
            )
    return names


def _require_same(
    population: Population,
    models: Sequence[ChoiceResult],
    made: Ensemble,
    scenarios: Sequence[Scenario],
    start: str,
) -> Ensemble:
    """Raise if the folder holds something else, and return the ensemble that it will hold."""
    folder, people = made.folder, made.folder / _PEOPLE
    if (people / "population.json").is_file() and (
        load_population(people).fingerprint() != population.fingerprint()
    ):
        raise DataError(
            f"{folder} holds an ensemble of another population; give another folder, or remove it."
        )
    for d, model in enumerate(models):
        file = _model_file(folder, d)
        if file.is_file() and load_result(file).params.to_dict() != model.params.to_dict():
            raise DataError(
                f"{file} has other parameters than those drawn now, from another model, "
                "covariance or seed; give another folder, or remove this one."
            )
    plan = {name: getattr(made, name) for name in _PLAN}
    for scenario in scenarios:
        # As it comes back from a file.
        content = json.loads(json.dumps(scenario.model_dump(mode="json")))
        for d in range(made.draws):
            run = RunFolder(_member_folder(folder, d, scenario.name))
            wanted = {"scenario": content, "start": start, **plan}
            found = run.notes()
            if found is not None and (problem := plan_difference(found, wanted)):
                raise DataError(
                    f"{run.path} holds another run: its {problem}; give the ensemble another "
                    "folder, or remove that one."
                )
    return _together(made, load_ensemble(folder) if (folder / _NOTES).is_file() else None)


def _together(made: Ensemble, before: Ensemble | None) -> Ensemble:
    """Return the ensemble of a folder in which another was made before."""
    if before is None:
        return made
    for name, words in _PLAN.items():
        was, now = getattr(before, name), getattr(made, name)
        if was != now:
            raise DataError(
                f"{made.folder} holds an ensemble whose {words} is {was}, not {now}; give another "
                "folder, or remove it."
            )
    scenarios = tuple(dict.fromkeys([*before.scenarios, *made.scenarios]))
    more, fewer = sorted((made, before), key=lambda one: -one.draws)
    lacking = [name for name in scenarios if name not in more.scenarios]
    if lacking and more.draws > fewer.draws:
        raise DataError(
            f"{made.folder} holds {before.draws} draws of {enumerate_some(before.scenarios)}, and "
            f"with this call {enumerate_some(lacking)} would lack some of {more.draws}; give all "
            f"of its scenarios and draws={more.draws}, or another folder."
        )
    return replace(more, folder=made.folder, scenarios=scenarios)


def _keep_population(population: Population, folder: Path) -> None:
    """Save the population, if the folder does not hold it."""
    people = folder / _PEOPLE
    if not (people / "population.json").is_file():
        population.save(people)


def _keep_models(models: Sequence[ChoiceResult], folder: Path) -> None:
    """Save the models that the folder does not hold."""
    try:
        for d, model in enumerate(models):
            file = _model_file(folder, d)
            file.parent.mkdir(exist_ok=True)
            if not file.is_file():
                model.save(file)
    except OSError as problem:
        raise _unwritable(folder, problem) from None


def _write_notes(made: Ensemble) -> None:
    """Write what the ensemble is."""
    notes = {**asdict(made), "folder": None}
    try:
        (made.folder / _NOTES).write_text(json.dumps(notes, indent=1), "utf-8")
    except OSError as problem:
        raise _unwritable(made.folder, problem) from None


def _unwritable(folder: Path, problem: OSError) -> DataError:
    return DataError(
        f"the ensemble cannot be written to {folder} ({problem.strerror}); give a folder "
        "that you may write to, with space left."
    )


def _model_file(folder: Path, draw: int) -> Path:
    return folder / f"draw={draw:03d}" / _MODEL


def _member_folder(folder: Path, draw: int, scenario: str) -> Path:
    return folder / f"draw={draw:03d}" / scenario


Member = tuple[str, int, dict[str, Any], dict[str, Any]]


def _run_member(member: Member, population: Population | None = None) -> None:
    """Run a member, or go on with it; on a worker, the folder has all that it needs."""
    folder, draw, content, options = Path(member[0]), *member[1:]
    people = population if population is not None else load_population(folder / _PEOPLE)
    model = load_result(_model_file(folder, draw))
    assert isinstance(model, ChoiceResult)  # `ensemble` saved it
    scenario = Scenario.from_mapping(content)
    out = _member_folder(folder, draw, scenario.name)
    simulate(people, Behaviour(mobility=model), scenario, **options, out=out, resume=True)


def _one_by_one(members: list[Member], population: Population) -> Iterator[None]:
    for member in members:
        _run_member(member, population)
        yield


def _on_workers(members: list[Member], client: Any) -> Iterator[None]:
    """Run the members on workers; those of a worker that died go to another."""
    from distributed import KilledWorker, as_completed

    # Impure: whether a member has been run is for its folder to say, not for a key.
    futures = {client.submit(_run_member, member, pure=False): member for member in members}
    for future in as_completed(futures):
        try:
            yield future.result()
        except KilledWorker:
            _, draw, content, _ = futures[future]
            raise DataError(
                f"draw {draw} of '{content['name']}' was given up: worker after worker died with "
                "it, as they do when memory is short; what is finished stands. Give the workers "
                "more memory, and call again with the same folder."
            ) from None
