"""The steps that bring a matrix to agree with tables, each a frozen specification."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.migration.census import CensusTables
from choicemodels.migration.matrix import AreaFlows, MigrationMatrix
from estimation.balancing import newton_balance
from estimation.harmonization.factors import Adjustment
from estimation.harmonization.feasibility import refuse_infeasible
from estimation.harmonization.targets import (
    align_flows,
    align_people,
    refuse_empty,
    refuse_values,
)

__all__ = [
    "Flows",
    "Margin",
    "Margins",
    "MoversAndStayers",
    "Populations",
    "Step",
    "published_steps",
]

Array = NDArray[np.float64]
Empty: TypeAlias = Literal["refuse", "leave"]
Moves: TypeAlias = AreaFlows | MigrationMatrix

_MORE = (
    "add people to the raw matrix there, set the target to zero so that it is not imposed, or "
    "give the step empty='leave'"
)


@dataclass(frozen=True, eq=False)
class Margin:
    """One table that a step imposes, beside what the matrix holds.

    Attributes
    ----------
    name : str
        Such as ``"movers by state"``.
    targets, current : ndarray
        Of one shape; a target of zero is not imposed.
    """

    name: str
    targets: Array
    current: Array

    @property
    def imposed(self) -> NDArray[np.bool_]:
        """Return which targets are: those above zero that the matrix has anybody for."""
        return (self.targets > 0) & (self.current > 0)

    @property
    def residual(self) -> float:
        """Return the largest distance from a target that is imposed, as a share of it."""
        some = self.imposed
        return float(np.abs(self.current[some] / self.targets[some] - 1).max(initial=0.0))


class Step(Protocol):
    """What :func:`estimation.harmonize` asks of a step."""

    @property
    def name(self) -> str:
        """Return what messages and the log call the step."""

    @property
    def level(self) -> str | None:
        """Return the level of the targets; None for the finest areas."""

    @property
    def tol(self) -> float:
        """Return the residual that is good enough."""

    def margins(self, flows: Moves) -> list[Margin]:
        """Return the targets beside what flows of the step's level hold."""

    def solve(self, flows: Moves) -> Adjustment:
        """Find the factors."""


def _refuse_options(step: Any) -> None:
    if not 0 < step.tol < 1:
        raise SpecificationError(f"tol of {step.name} is {step.tol}; it must be between 0 and 1.")
    if step.empty not in ("refuse", "leave"):
        raise SpecificationError(
            f"empty='{step.empty}' of {step.name} is none of 'refuse' and 'leave'."
        )


def _ratio(targets: Array, current: Array) -> Array:
    """Divide where a target is imposed and somebody is there; one elsewhere."""
    some = (targets > 0) & (current > 0)
    return np.divide(targets, current, out=np.ones_like(targets), where=some)


@dataclass(frozen=True, eq=False)
class Populations:
    """Scale areas to their populations.

    ``r_i = P_i / sum_j E_ij`` multiplies row i (``when="before"``: where people lived a year ago),
    or its mirror image column i (``when="after"``), movers and stayers alike.

    Attributes
    ----------
    people : Series
        By area; zeros are not imposed.
    level : str, optional
        None takes the finest areas.
    when : {"before", "after"}
    tol : float
        Largest residual, as a share of a target.
    empty : {"refuse", "leave"}
        What to do about a positive target where the matrix has nobody.
    """

    people: "pd.Series[Any]"
    level: str | None = None
    when: Literal["before", "after"] = "before"
    tol: float = 1e-9
    empty: Empty = "refuse"

    name: ClassVar[str] = "populations"

    def __post_init__(self) -> None:
        refuse_values(self.people, self.name)
        _refuse_options(self)
        if self.when not in ("before", "after"):
            raise SpecificationError(f"when='{self.when}' is none of 'before' and 'after'.")

    def margins(self, flows: Moves) -> list[Margin]:
        """Return populations beside sums of rows (or columns)."""
        targets = align_people(self.people, flows.areas.level(flows.areas.name), self.name)
        current = flows.before if self.when == "before" else flows.after
        return [Margin(f"population {self.when}", targets, current)]

    def solve(self, flows: Moves) -> Adjustment:
        """Find the factors."""
        (margin,) = self.margins(flows)
        if self.empty == "refuse":
            refuse_empty(margin.targets, margin.current, flows.areas.labels, self.name, _MORE)
        ratio, one = _ratio(margin.targets, margin.current), np.ones_like(margin.targets)
        rows, columns = (ratio, one) if self.when == "before" else (one, ratio)
        return Adjustment(flows.areas.name, rows, columns, ratio)


@dataclass(frozen=True, eq=False)
class MoversAndStayers:
    """Scale those who moved into an area, and those who stayed in it, to two tables.

    ``m_s`` multiplies every mover into an area of s, ``n_s`` every stayer of s.

    Attributes
    ----------
    movers, stayers : Series
        By area of destination; zeros are not imposed.
    level : str
    tol, empty
        As of :class:`Populations`.
    """

    movers: "pd.Series[Any]"
    stayers: "pd.Series[Any]"
    level: str = "state"
    tol: float = 1e-9
    empty: Empty = "refuse"

    name: ClassVar[str] = "movers and stayers"

    def __post_init__(self) -> None:
        refuse_values(self.movers, "movers")
        refuse_values(self.stayers, "stayers")
        _refuse_options(self)

    def margins(self, flows: Moves) -> list[Margin]:
        """Return movers and stayers beside those of the matrix."""
        own = flows.areas.level(flows.areas.name)
        return [
            Margin("movers", align_people(self.movers, own, "movers"), flows.after - flows.stayers),
            Margin("stayers", align_people(self.stayers, own, "stayers"), flows.stayers),
        ]

    def solve(self, flows: Moves) -> Adjustment:
        """Find the factors."""
        movers, stayers = self.margins(flows)
        if self.empty == "refuse":
            for margin in (movers, stayers):
                what = f"{self.name} ({margin.name})"
                refuse_empty(margin.targets, margin.current, flows.areas.labels, what, _MORE)
        m, n = (_ratio(margin.targets, margin.current) for margin in (movers, stayers))
        return Adjustment(flows.areas.name, np.ones_like(m), m, n)


@dataclass(frozen=True, eq=False)
class Flows:
    """Scale every block between two areas to a table of flows.

    ``f_cd = F_cd / sum of the block`` multiplies everybody from c to d; stayers, and movers
    within c, by ``f_cc``.

    Attributes
    ----------
    people : DataFrame
        Origins (rows) by destinations (columns), stayers on the diagonal; zeros are not imposed.
    level : str
    tol, empty
        As of :class:`Populations`.
    """

    people: pd.DataFrame
    level: str = "state"
    tol: float = 1e-9
    empty: Empty = "refuse"

    name: ClassVar[str] = "flows"

    def __post_init__(self) -> None:
        refuse_values(self.people, self.name, pairs=True)
        _refuse_options(self)

    def margins(self, flows: Moves) -> list[Margin]:
        """Return the flows beside those of the matrix."""
        own = flows.areas.level(flows.areas.name)
        targets = align_flows(self.people, own, self.name)
        return [Margin("flows", targets, flows.flows.toarray())]

    def solve(self, flows: Moves) -> Adjustment:
        """Find the factors."""
        (margin,) = self.margins(flows)
        if self.empty == "refuse":
            labels = flows.areas.labels.tolist()
            o, d = np.nonzero((margin.targets > 0) & (margin.current <= 0))
            names = [f"{labels[c]} → {labels[e]}" for c, e in zip(o, d, strict=True)]
            refuse_empty(margin.targets[o, d], margin.current[o, d], names, self.name, _MORE)
        f = _ratio(margin.targets, margin.current)
        one = np.ones(len(f))
        return Adjustment(flows.areas.name, one, one, f.diagonal().copy(), f)


@dataclass(frozen=True, eq=False)
class Margins:
    """Balance areas to their populations before and after.

    ``a_c b_d`` multiplies everybody from c to d, until rows and columns meet both tables at once:
    what proportional fitting converges to. The total of ``after`` is first scaled to that of
    ``before``, which is what the published loop does in the limit by finishing on the rows; rows
    and columns whose target is zero are not imposed, and keep a factor of one.

    Attributes
    ----------
    before, after : Series
        By area, a year ago and now.
    level : str
    tol : float
        Largest residual of a margin, as a share of its target.
    totals : float
        By how much of itself the total of ``after`` may be scaled.
    empty
        As of :class:`Populations`.
    """

    before: "pd.Series[Any]"
    after: "pd.Series[Any]"
    level: str = "county"
    tol: float = 1e-9
    totals: float = 0.02
    empty: Empty = "refuse"

    name: ClassVar[str] = "margins"

    def __post_init__(self) -> None:
        refuse_values(self.before, "margins before")
        refuse_values(self.after, "margins after")
        _refuse_options(self)
        if not 0 <= self.totals < 1:
            raise SpecificationError(f"totals is {self.totals}; it must be between 0 and 1.")

    def margins(self, flows: Moves) -> list[Margin]:
        """Return both margins, their totals reconciled, beside those of the matrix."""
        own = flows.areas.level(flows.areas.name)
        before = align_people(self.before, own, "margins before")
        after = align_people(self.after, own, "margins after")
        sums = flows.before, flows.after
        free = ((before == 0) & (sums[0] > 0)).any() or ((after == 0) & (sums[1] > 0)).any()
        if not free:
            after = after * self._ratio_of_totals(before[sums[0] > 0], after[sums[1] > 0])
        return [Margin("before", before, sums[0]), Margin("after", after, sums[1])]

    def solve(self, flows: Moves) -> Adjustment:
        """Certify that there is a solution, and find the factors."""
        before, after = self.margins(flows)
        if self.empty == "refuse":
            for margin in (before, after):
                what = f"{self.name} ({margin.name})"
                refuse_empty(margin.targets, margin.current, flows.areas.labels, what, _MORE)
        # Areas with nobody cannot be scaled; they carry nothing either.
        rows, columns = (np.where(m.current > 0, m.targets, 0.0) for m in (before, after))
        everybody = flows.flows
        refuse_infeasible(everybody, rows, columns, flows.areas)
        try:
            found = newton_balance(everybody, rows, columns, tol=self.tol / 10)
        except EstimationError as problem:
            raise EstimationError(
                f"{self.name} at the level of the {flows.areas.name}: {problem}"
            ) from None
        a, b = np.exp(found.log_rows), np.exp(found.log_columns)
        return Adjustment(flows.areas.name, a, b, a * b, iterations=found.iterations)

    def _ratio_of_totals(self, before: Array, after: Array) -> float:
        """Return what brings the total of one margin to that of the other."""
        people, now = float(before.sum()), float(after.sum())
        if abs(now - people) > self.totals * people:
            raise DataError(
                f"the margins before total {people:,.10g} people and those after {now:,.10g}, "
                f"{now / people - 1:+.2%}: more than the {self.totals:.2%} that may be scaled "
                "away. They must describe the same people: take births and immigrants out of the "
                "margin after, and add deaths and emigrants; or raise totals."
            )
        return people / now if now else 1.0


def published_steps(
    tables: CensusTables, leave_out: str | Sequence[str] = (), *, empty: Empty = "refuse"
) -> list[Step]:
    """Return the four steps of MIGRATE, in its order [AgostiniYoungFitzpatrickGargPierson2025]_.

    Parameters
    ----------
    tables
        What to agree with.
    leave_out
        Name or names of steps to hold out: ``"populations"``, ``"movers and stayers"``,
        ``"flows"``, ``"margins"``.
    empty
        As of :class:`Populations`.

    Raises
    ------
    SpecificationError
        If a name to leave out is no step's.
    """
    steps: list[Step] = [
        Populations(tables.populations, empty=empty),
        MoversAndStayers(tables.movers, tables.stayers, empty=empty),
        Flows(tables.flows, empty=empty),
        Margins(tables.before, tables.after, empty=empty),
    ]
    names = [step.name for step in steps]
    held = [leave_out] if isinstance(leave_out, str) else list(leave_out)
    unknown = [name for name in held if name not in names]
    if unknown:
        raise SpecificationError(
            f"cannot leave out {', '.join(unknown)}: the steps are {', '.join(names)}."
        )
    return [step for step in steps if step.name not in held]
