"""The steps of harmonization, one after the other.

Once rows are scaled by area, all that later steps ask for depends on the sums of movers between
counties and of stayers by county. Their factors are therefore found on those sums, which are small,
and the matrix itself is scaled once, at the end.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import AreaFlows, MigrationMatrix
from estimation.harmonization.checkpoint import Checkpoint
from estimation.harmonization.factors import Adjustment, Factors
from estimation.harmonization.result import Harmonized
from estimation.harmonization.steps import Margin, Moves, Step
from estimation.harmonize import Progress

__all__ = ["take_steps"]


def take_steps(
    matrix: MigrationMatrix,
    steps: Sequence[Step],
    checkpoint: str | Path | None,
    progress: Progress | None,
) -> Harmonized:
    """Take the steps one after the other; see :func:`estimation.harmonize`."""
    _refuse_other_kinds(matrix, steps)
    if not steps:
        raise SpecificationError("there is no step; give at least one, such as Populations(...).")
    levels = [_level(step, matrix.areas) for step in steps]
    kept = Checkpoint.open(checkpoint, matrix, steps) if checkpoint is not None else None
    work = _Work(matrix, levels)
    rows: list[dict[str, Any]] = []
    adjustments: list[Adjustment] = []
    for number, step in enumerate(steps):
        if progress is not None:
            progress(step.name, number, len(steps))
        started = perf_counter()
        flows = work.at(number)
        done = kept.read(number) if kept is not None else None
        if done is None:
            done = _take(work, step, number, flows)
            for row in done[1]:
                row["seconds"] = perf_counter() - started
            if kept is not None:
                kept.write(number, *done)
        else:
            work.scale(done[0])
        adjustments.append(done[0])
        rows += done[1]
    result = work.factors.apply(matrix)
    log = pd.DataFrame(rows)
    log["at the end"] = _final_residuals(result, steps, levels)
    if progress is not None:
        progress("done", len(steps), len(steps))
    return Harmonized(result, work.factors, tuple(steps), tuple(adjustments), log)


def _refuse_other_kinds(matrix: Any, steps: Any) -> None:
    if not isinstance(matrix, MigrationMatrix):
        raise SpecificationError(
            f"the matrix to harmonize is a {type(matrix).__name__}; give a MigrationMatrix, such "
            "as MigrationMatrix.from_scipy or from_rows makes."
        )
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        raise SpecificationError(
            f"steps is a {type(steps).__name__}; give a list of steps, such as [Populations(...)]."
        )
    strange = [step for step in steps if not hasattr(step, "solve")]
    if strange:
        raise SpecificationError(
            f"steps holds a {type(strange[0]).__name__}, which is no step; give steps such as "
            "Populations(...)."
        )


def _level(step: Step, areas: Areas) -> str:
    name = areas.name if step.level is None else step.level
    areas.level(name)
    return name


class _Work:
    """The matrix as the steps so far have left it, at the level that the next one needs."""

    def __init__(self, matrix: MigrationMatrix, levels: Sequence[str]) -> None:
        self.matrix, self.levels = matrix, levels
        self.factors = Factors.ones(matrix.areas)
        # The matrix under the present factors, or its sums, whichever is up to date.
        self._current: MigrationMatrix | None = matrix
        self._sums: AreaFlows | None = None

    def at(self, number: int) -> Moves:
        """Return the flows of a step's level."""
        areas, level = self.matrix.areas, self.levels[number]
        if level == areas.name:
            return self._whole()
        if self._sums is None:
            self._sums = self._whole().aggregate(self._finest(number))
            self._current = None
        return aggregate(self._sums, areas, level)

    def _whole(self) -> MigrationMatrix:
        if self._current is None:
            self._current = self.factors.apply(self.matrix)
        return self._current

    def _finest(self, number: int) -> str:
        """Return the finest level of the steps from here to the next on the areas themselves."""
        order, ahead = list(self.matrix.areas.levels), []
        for level in self.levels[number:]:
            if level == self.matrix.areas.name:
                break
            ahead.append(level)
        return min(ahead, key=order.index)

    def scale(self, step: Adjustment) -> float:
        """Scale by the factors of a step; return how many people they move."""
        areas = self.matrix.areas
        self.factors = self.factors.then(step)
        if self._sums is not None and step.level != areas.name:
            old = self._sums
            self._sums = step.apply(old, areas.parents(old.areas.name, step.level))
            return old.change(self._sums)
        was, self._sums = self._current, None
        self._current = Factors.ones(areas).then(step).apply(was) if was is not None else None
        return was.change(self._current) if was is not None and self._current is not None else 0.0


def aggregate(flows: AreaFlows, areas: Areas, level: str) -> AreaFlows:
    """Add flows between areas up to a coarser level."""
    from scipy.sparse import csr_array

    if flows.areas.name == level:
        return flows
    own = areas.parents(flows.areas.name, level)
    size = areas.level(level).size
    member = csr_array((np.ones(len(own)), (np.arange(len(own)), own)), shape=(len(own), size))
    movers = csr_array(member.T @ flows.movers @ member)
    stayers = np.bincount(own, flows.stayers, minlength=size)
    return AreaFlows(areas.coarsen(level), np.asarray(stayers, dtype=np.float64), movers)


def _take(
    work: _Work, step: Step, number: int, flows: Moves
) -> tuple[Adjustment, list[dict[str, Any]]]:
    """Find the factors of a step, scale by them, and measure what they did."""
    was = step.margins(flows)
    found = step.solve(flows)
    moved = work.scale(found)
    now = work.at(number)
    margins = step.margins(now)
    for margin in margins:
        if margin.residual > step.tol:
            raise EstimationError(
                f"step {number + 1}, {step.name}, ended with a residual of {margin.residual:.2g} "
                f"in {margin.name}, above its tolerance of {step.tol:g}."
            )
    people = float(now.before.sum())
    return found, [
        _row(step, number, found, moved, people, before, after)
        for before, after in zip(was, margins, strict=True)
    ]


def _row(
    step: Step,
    number: int,
    found: Adjustment,
    moved: float,
    people: float,
    was: Margin,
    now: Margin,
) -> dict[str, Any]:
    quantiles = np.quantile(found.values(), [0, 0.05, 0.5, 0.95, 1])
    names = ("least factor", "5 %", "median", "95 %", "largest")
    return {
        "step": f"{number + 1} {step.name}",
        "level": found.level,
        "margin": now.name,
        "targets": int((now.targets > 0).sum()),
        "not imposed": int((~now.imposed & ((now.targets > 0) | (now.current > 0))).sum()),
        "before": was.residual,
        "after": now.residual,
        **dict(zip(names, quantiles.tolist(), strict=True)),
        "people": people,
        "moved": moved,
        "iterations": found.iterations,
    }


def _final_residuals(
    result: MigrationMatrix, steps: Sequence[Step], levels: Sequence[str]
) -> list[float]:
    """Measure every margin on the final matrix itself."""
    areas = result.areas
    coarse = [level for level in levels if level != areas.name]
    sums = result.aggregate(min(coarse, key=list(areas.levels).index)) if coarse else None
    found: list[float] = []
    for step, level in zip(steps, levels, strict=True):
        flows: Moves = result
        if sums is not None and level != areas.name:
            flows = aggregate(sums, areas, level)
        found += [margin.residual for margin in step.margins(flows)]
    return found
