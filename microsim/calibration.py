"""Set a few parameters so that a baseline has the published moments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel

from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.frames import closest
from microsim.calibration_report import MOMENTS, calibration_report, require_burn_in
from microsim.counts import whole
from microsim.engine import simulate
from microsim.mobility.behaviour import Behaviour
from microsim.people.population import Population
from microsim.scenario import Scenario

__all__ = ["KNOBS", "Calibration", "Knob", "calibrate", "scenario_file"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Knob:
    """A parameter that is turned until a moment is as published.

    Attributes
    ----------
    parameter : str
        Its key path under ``parameters`` of a scenario.
    target : str
        A row of ``data/calibration_targets.csv``.
    raises : bool
        Whether more of the parameter makes more of the moment.
    scale : {"log", "level"}
        Whether the parameter is multiplied by the ratio of published to simulated, or its
        logarithm is added.
    """

    parameter: str
    target: str
    raises: bool
    scale: str = "log"

    def turned(self, value: float, simulated: float, published: float, damping: float) -> float:
        """Return the parameter's next value: ``damping`` of a full step, 0 to 1."""
        ratio = published / simulated if self.raises else simulated / published
        if self.scale == "level":
            return value + damping * float(np.log(ratio))
        return float(value * ratio**damping)


KNOBS = (
    Knob("labour.separation_rate", "layoffs and discharges", raises=True),
    Knob("labour.job_finding_rate", "unemployment rate", raises=False),
    Knob("labour.job_change_rate", "quits", raises=True),
    Knob("labour.initial_vacancy_rate", "job openings rate", raises=True),
    Knob("moving.staying_shift", "interstate moves", raises=False, scale="level"),
    Knob("local_moves.renter_rate", "moves above 50 miles", raises=False),
    Knob("local_moves.median_miles", "moves below 5 miles", raises=False),
)
"""What is calibrated, if nothing else is asked for."""


@dataclass(frozen=True)
class Calibration:
    """A scenario whose baseline has the published moments.

    Attributes
    ----------
    scenario : Scenario
    report : DataFrame
        As `microsim.calibration_report.calibration_report` gives it, under this scenario.
    log : DataFrame
        One row for each round and parameter: round, parameter, value, target, published,
        simulated, relative_gap.
    """

    scenario: Scenario
    report: pd.DataFrame
    log: pd.DataFrame

    def save(self, path: str | Path) -> Path:
        """Write the scenario as YAML, and the log beside it as ``.log.csv``.

        Raises
        ------
        SpecificationError
            If the suffix is not that of a YAML file.
        DataError
            If the files cannot be written.
        """
        file = scenario_file(path)
        content = self.scenario.model_dump(mode="json", exclude_unset=True)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
            self.log.to_csv(file.with_suffix(".log.csv"), index=False)
        except OSError as problem:
            raise DataError(
                f"the calibration cannot be written to {file} ({problem.strerror}); give a place "
                "that you may write to."
            ) from None
        return file


def scenario_file(path: str | Path) -> Path:
    """Return the file that a calibrated scenario may be written to.

    Raises
    ------
    SpecificationError
        If the suffix is not that of a YAML file.
    """
    file = Path(path)
    if file.suffix.lower() not in (".yaml", ".yml"):
        raise SpecificationError(
            f"the calibrated scenario cannot be written to '{file}'; give a file that ends "
            "in .yaml."
        )
    return file


def calibrate(
    population: Population,
    behaviour: Behaviour,
    scenario: Scenario | None = None,
    *,
    knobs: Sequence[Knob] = KNOBS,
    months: int = 24,
    burn_in: int = 12,
    seed: int = 1,
    tolerance: float = 0.02,
    rounds: int = 20,
    damping: float = 0.7,
    progress: Progress | None = None,
) -> Calibration:
    """Turn parameters until the moments of a baseline are the published ones.

    A damped fixed-point iteration: each parameter goes a share of the way that would close the gap
    of its own moment if nothing else moved. All rounds share their draws, so that a round differs
    from the one before by its parameters alone. The staying constant is adjusted as in section 2.8
    of [Train2009]_.

    Parameters
    ----------
    population, behaviour
    scenario
        What the calibrated one is to hold besides; `Scenario.baseline` if not given.
    knobs
        The parameters and their moments.
    months, burn_in
        Of every round, and how many of them are not measured.
    seed
    tolerance
        Largest gap over the published value, above 0.
    rounds
        At most, at least 1.
    damping
        Share of a full step, above 0 and at most 1.
    progress
        A function of (rounds done, rounds at most).

    Returns
    -------
    Calibration

    Raises
    ------
    SpecificationError
        If an option is out of bounds, a knob's parameter or target unknown, or the scenario has
        shocks or policies.
    EstimationError
        If a moment is zero, a parameter leaves its bounds, or the rounds do not suffice.
    """
    start = scenario or Scenario.baseline()
    rounds = whole(rounds, "rounds")
    _check(start, rounds, tolerance, damping)
    require_burn_in(burn_in, whole(months, "months"))
    _check_knobs(start, knobs)
    current, log = start, list[dict[str, Any]]()
    for number in range(1, rounds + 1):
        run = simulate(population, behaviour, current, months=months, seed=seed)
        report = calibration_report(run, population, burn_in=burn_in)
        rows = [_compared(knob, current, report, number) for knob in knobs]
        log.extend(rows)
        if progress is not None:
            progress(number, rounds)
        if all(abs(row["relative_gap"]) <= tolerance for row in rows):
            return Calibration(_named(current, start, months, seed), report, pd.DataFrame(log))
        if number < rounds:
            current = _turned(current, knobs, rows, damping)
    worst = max(rows, key=lambda row: abs(row["relative_gap"]))
    raise EstimationError(
        f"{rounds} rounds do not bring '{worst['target']}' to {worst['published']:g} within "
        f"{100 * tolerance:g} %: it is {worst['simulated']:.4g} at {worst['parameter']} = "
        f"{worst['value']:.4g}; allow more rounds, a wider tolerance, or more workers and months."
    )


def _check(scenario: Scenario, rounds: int, tolerance: float, damping: float) -> None:
    if scenario.shocks or scenario.policies:
        raise SpecificationError(
            f"the scenario '{scenario.name}' has shocks or policies, but the published moments "
            "are those of a baseline; calibrate without them, and let the scenario extend the "
            "calibrated one."
        )
    if rounds < 1:
        raise SpecificationError(f"rounds is {rounds}; allow at least 1.")
    if not tolerance > 0:
        raise SpecificationError(f"tolerance is {tolerance:g}; give a share above 0, such as 0.02.")
    if not 0 < damping <= 1:
        raise SpecificationError(f"damping is {damping:g}; give a share above 0 and at most 1.")


def _check_knobs(scenario: Scenario, knobs: Sequence[Knob]) -> None:
    for knob in knobs:
        _value(scenario, knob.parameter)
        if knob.target not in MOMENTS:
            raise SpecificationError(
                f"there is no target '{knob.target}'{closest(knob.target, MOMENTS)}; calibrate to "
                f"some of {', '.join(MOMENTS)}."
            )


def _compared(knob: Knob, scenario: Scenario, report: pd.DataFrame, number: int) -> dict[str, Any]:
    """Return a row of the log."""
    row = report.loc[knob.target].to_dict()
    published, simulated = float(row["published"]), float(row["simulated"])
    if not simulated > 0:
        why = row["note"] if np.isnan(simulated) else "none happened in the simulation"
        raise EstimationError(
            f"'{knob.target}' cannot be calibrated: {why}; simulate more workers or months, or "
            "leave it out."
        )
    return {
        "round": number,
        "parameter": knob.parameter,
        "value": _value(scenario, knob.parameter),
        "target": knob.target,
        "published": published,
        "simulated": simulated,
        "relative_gap": simulated / published - 1.0,
    }


def _value(scenario: Scenario, parameter: str) -> float:
    value: Any = scenario.parameters
    for name in parameter.split("."):
        known = list(type(value).model_fields) if isinstance(value, BaseModel) else []
        if name not in known:
            raise SpecificationError(
                f"there is no parameter '{parameter}'{closest(name, known)}; "
                "`microsim.parameters.parameter_table` lists them all."
            )
        value = getattr(value, name)
    if not isinstance(value, float):
        kind = "a group of parameters" if isinstance(value, BaseModel) else repr(value)
        raise SpecificationError(
            f"the parameter '{parameter}' is {kind}, which cannot be turned; calibrate one that "
            "is a decimal number, and give it a value in the scenario where it has none."
        )
    return value


def _turned(
    scenario: Scenario, knobs: Sequence[Knob], rows: Sequence[dict[str, Any]], damping: float
) -> Scenario:
    """Return the scenario of the next round."""
    content = scenario.model_dump(mode="json", exclude_unset=True)
    for knob, row in zip(knobs, rows, strict=True):
        value = knob.turned(row["value"], row["simulated"], row["published"], damping)
        group = content.setdefault("parameters", {})
        *path, name = knob.parameter.split(".")
        for key in path:
            group = group.setdefault(key, {})
        group[name] = float(value)
    try:
        return Scenario.from_mapping(content, source="the next round of the calibration")
    except SpecificationError as problem:
        raise EstimationError(
            f"{str(problem).rstrip('.')}: the published moments cannot be had together under the "
            "other parameters; change these, or leave a target out."
        ) from None


def _named(scenario: Scenario, start: Scenario, months: int, seed: int) -> Scenario:
    """Return the calibrated scenario, called so."""
    content = scenario.model_dump(mode="json", exclude_unset=True)
    about = f"Calibrated to published moments over {months} months, seed {seed}."
    content["name"] = "calibrated" if start.name == "baseline" else f"{start.name}_calibrated"
    content["description"] = f"{start.description} {about}".strip()
    return Scenario.from_mapping(content, source="the calibrated scenario")
