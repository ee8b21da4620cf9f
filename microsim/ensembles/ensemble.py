"""Many runs at once: parameter draws by replicates by scenarios, on one machine or on many."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest
from estimation import ChoiceResult, load_result
from microsim.engine import simulate
from microsim.ensembles.contrast import EnsembleContrast, contrast_draws
from microsim.ensembles.draws import draw_parameters
from microsim.mobility.behaviour import Behaviour
from microsim.people.population import Population, load_population
from microsim.results.outcomes import national_outcomes
from microsim.results.run import Run, load_run
from microsim.scenario import Scenario

__all__ = ["Ensemble", "ensemble", "load_ensemble"]

_NOTES = "ensemble.json"
_PEOPLE = "population"
_MODEL = "mobility.json"


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
    folder is not run again, and what was begun goes on from its last checkpoint.

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
        If the folder cannot be written, or holds something else.
    """
    names = _checked_names(scenarios)
    if not isinstance(behaviour.mobility, ChoiceResult):
        raise SpecificationError(
            f"the mobility model is a {type(behaviour.mobility).__name__}, which has no covariance "
            "to draw parameters from; give a fitted model."
        )
    drawn = draw_parameters(behaviour.mobility, draws, seed)
    folder = Path(out)
    made = Ensemble(folder, names, draws, replicates, months, seed, drawn.outside)
    _keep_population(population, folder)
    _keep_models(drawn.models, made)
    options = {
        "months": months,
        "seed": seed,
        "replicates": replicates,
        "start": start,
        "checkpoint": checkpoint,
    }
    members = [
        (str(folder), d, scenario.model_dump(mode="json"), options)
        for d in range(draws)
        for scenario in scenarios
    ]
    finished = _one_by_one(members, population) if client is None else _on_workers(members, client)
    for done, _ in enumerate(finished, start=1):
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
    except (OSError, ValueError) as problem:
        raise DataError(
            f"{path} holds no ensemble ({type(problem).__name__}); make one with "
            f"ensemble(..., out='{path}')."
        ) from None
    return Ensemble(**{**notes, "folder": path, "scenarios": tuple(notes["scenarios"])})


def _checked_names(scenarios: Sequence[Scenario]) -> tuple[str, ...]:
    """Return the scenarios' names, which are folders too."""
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


def _keep_population(population: Population, folder: Path) -> None:
    """Save the population, or see that the one in the folder is the same."""
    people = folder / _PEOPLE
    if not (people / "population.json").is_file():
        population.save(people)
    elif load_population(people).fingerprint() != population.fingerprint():
        raise DataError(
            f"{folder} holds an ensemble of another population; give another folder, or remove it."
        )


def _keep_models(models: Sequence[ChoiceResult], made: Ensemble) -> None:
    """Save the models and what the ensemble is, or see that the models there are the same."""
    try:
        for d, model in enumerate(models):
            file = _model_file(made.folder, d)
            file.parent.mkdir(exist_ok=True)
            if not file.is_file():
                model.save(file)
            elif load_result(file).params.to_dict() != model.params.to_dict():
                raise DataError(
                    f"{file} has other parameters than those drawn now, from another model, "
                    "covariance or seed; give another folder, or remove this one."
                )
        notes = {**asdict(made), "folder": None}
        (made.folder / _NOTES).write_text(json.dumps(notes, indent=1), "utf-8")
    except OSError as problem:
        raise DataError(
            f"the ensemble cannot be written to {made.folder} ({problem.strerror}); give a folder "
            "that you may write to, with space left."
        ) from None


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
