"""Compensating variation where utility is not linear in income.

A case chooses by ``max_j V0_j + e_j`` before a change and by ``max_j V1_j(y - c) + e_j`` after it,
with the same errors e, when c is taken from its income y: c is the compensating variation if the
two are equal. With ``h_j(c) = max(V0_j, V1_j(y - c))`` and ``P_j(h)`` the choice probability at
utilities h,

    P(CV > c) = sum over {j: V1_j(y - c) > V0_j} of P_j(h(c)),

because both maxima are among the ``h_j(c) + e_j`` [DagsvikKarlstrom2005]_. So the mean is an
integral over a line, for all distributions of the errors whose choice probabilities are known; it
runs between the amounts that compensate for a change of one alternative by itself, and on to
infinity where an alternative comes or goes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.cross_nested.likelihood import CrossNestedParameters
from choicemodels.cross_nested.probabilities import cross_nested_probabilities
from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.logit.likelihood import Layout, LogitParameters
from choicemodels.logit.probabilities import probabilities
from estimation.choice.income_utility import (
    FittedUtility,
    Generating,
    IncomeUtility,
    income_utility,
)
from estimation.quadrature import integrate
from estimation.roots import falling_roots

__all__ = ["FittedChange", "IncomeChange", "generating"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Of the mean, relative to what is integrated over.
_TOLERANCE = 1e-11
# To the end of a tail: what lies beyond is worth no more than rounding.
_NEAREST = 1e-100
# Utilities this far below a case's best are as good as none, and leave room for the arithmetic.
_FLOOR = 1e4
# Rows worked on at once.
_ROWS = 1 << 20


@dataclass(frozen=True, eq=False)
class IncomeChange:
    """Two states of the same cases, over the U rows that either offers.

    Attributes
    ----------
    before, after : IncomeUtility
    offsets : ndarray of int64, shape (N + 1,)
    alternative : ndarray of int64, shape (U,)
    row_before, row_after : ndarray of int64, shape (U,)
        Where these rows are in each state; -1 where it does not offer them.
    case_ids : ndarray, shape (N,)
    """

    before: IncomeUtility
    after: IncomeUtility
    offsets: Ints
    alternative: Ints
    row_before: Ints
    row_after: Ints
    case_ids: NDArray[np.generic]

    @classmethod
    def build(
        cls, layout: Generating, before: ChoiceData, after: ChoiceData, income: str
    ) -> "IncomeChange":
        """Put two data sets of the same cases, in the same order, side by side."""
        sides = [income_utility(layout, data, income) for data in (before, after)]
        N, J = before.n_cases, len(layout.alternatives)
        keys = [
            np.repeat(np.arange(N), np.diff(o.offsets)) * J + o.alternative
            for o in (side.observations for side in sides)
        ]
        union = np.union1d(*keys)
        offsets = np.searchsorted(union, np.arange(N + 1) * J).astype(np.int64)
        rows = [_places(union, key) for key in keys]
        return cls(sides[0], sides[1], offsets, union % J, rows[0], rows[1], before.case_ids)

    @property
    def case(self) -> Ints:
        """Number of the case of each row, shape (U,)."""
        return np.repeat(np.arange(len(self.case_ids)), np.diff(self.offsets)).astype(np.int64)

    def at(self, theta: Array) -> "FittedChange":
        """Find what compensates for the change of each alternative by itself."""
        fitted = self.after.at(theta)
        V0 = np.full(len(self.alternative), -np.inf)
        here = self.row_before >= 0
        V0[here] = self.before.at(theta).V[self.row_before[here]]
        slope = self._slopes(fitted)
        own = self._compensations(fitted, V0, slope)
        return FittedChange(self, theta, fitted, V0, own, slope)

    def _slopes(self, fitted: FittedUtility) -> Array:
        """Return each row's marginal utility of income after the change, zero where not offered."""
        rows = np.flatnonzero(self.row_after >= 0)
        at = self.row_after[rows]
        step = 1e-4 * np.maximum(np.abs(self.after.income[at]), 1.0)
        slope = np.zeros(len(self.alternative))
        slope[rows] = (fitted.less(at, -step) - fitted.V[at]) / step
        flat = rows[~(slope[rows] > 0)]
        if len(flat):
            name = self.after.layout.alternatives[int(self.alternative[flat[0]])]
            raise SpecificationError(
                f"the utility of '{name}' does not rise with '{self.after.name}' (case "
                f"{self.case_ids[self.case[flat[0]]]}; {len(flat):,} rows); income must enter "
                "every utility through what is left to spend, as in log(income - cost)."
            )
        return slope

    def _compensations(self, fitted: FittedUtility, V0: Array, slope: Array) -> Array:
        """Return what to take so that each alternative is worth as much as before, shape (U,).

        Plus infinity for alternatives that came, minus infinity for those that went.
        """
        own = np.where(self.row_after >= 0, np.inf, -np.inf)
        both = np.flatnonzero((self.row_after >= 0) & (self.row_before >= 0))
        gap = fitted.V[self.row_after[both]] - V0[both]
        own[both] = 0.0
        moved, gap = both[gap != 0], gap[gap != 0]
        at = self.row_after[moved]

        def excess(taken: Array) -> Array:
            return np.asarray(fitted.less(at, taken) - V0[moved])

        own[moved] = falling_roots(excess, 2 * gap / slope[moved], self._unbounded(moved))
        return own

    def _unbounded(self, rows: Ints) -> Callable[[Flags], EstimationError]:
        """Return how to say that no amount compensates in some of the rows."""

        def error(lost: Flags) -> EstimationError:
            first = rows[lost][0]
            name = self.after.layout.alternatives[int(self.alternative[first])]
            return EstimationError(
                f"no change of '{self.after.name}' makes '{name}' worth what it was before (case "
                f"{self.case_ids[self.case[first]]}; {int(lost.sum()):,} rows)."
            )

        return error


@dataclass(frozen=True, eq=False)
class FittedChange:
    """An :class:`IncomeChange` at given parameters.

    Attributes
    ----------
    change : IncomeChange
    theta : ndarray, shape (P,)
    after : FittedUtility
    V0 : ndarray, shape (U,)
        Utilities before the change.
    own : ndarray, shape (U,)
        What compensates for the change of each alternative by itself.
    slope : ndarray, shape (U,)
        Marginal utilities of income.
    """

    change: IncomeChange
    theta: Array
    after: FittedUtility
    V0: Array
    own: Array
    slope: Array

    def mean(self) -> Array:
        """Return each case's expected compensating variation, shape (N,).

        Raises
        ------
        EstimationError
            If the expectation of a case is not finite.
        """
        low, high, unit = self.range()
        N = len(low)
        owner, a, b = (np.concatenate(parts) for parts in zip(*self._panels(), strict=True))
        # An interval's owner is its case, plus N above all compensations and 2 N below them.
        reach = high - low + unit * np.bincount(owner % N, weights=owner >= N, minlength=N)

        def integrand(of: Ints, points: Array) -> Array:
            n, sign = of % N, np.array([0, 1, -1])[of // N]
            left = np.maximum(1.0 - points, _NEAREST)
            start = np.where(sign > 0, high[n], low[n])
            c = np.where(sign == 0, points, start + sign * unit[n] * points / left)
            chance = self._probability(n, c, sign < 0)
            return chance * np.where(sign == 0, 1.0, sign * unit[n] / left**2)

        try:
            parts = integrate(integrand, owner, a, b, np.tile(_TOLERANCE * reach, 3))
        except EstimationError as problem:
            raise EstimationError(
                f"the compensating variation has no expectation that could be found: {problem}"
            ) from None
        return np.asarray(low + parts.reshape(3, N).sum(axis=0))

    def _panels(self) -> Iterator[tuple[Ints, Array, Array]]:
        """Yield owners and ends of what is integrated over.

        Between neighbouring compensations in money; beyond the last ones, where an alternative
        came or went, from 0 to 1.
        """
        finite = np.isfinite(self.own)
        order = np.lexsort((self.own[finite], self.change.case[finite]))
        case, own = self.change.case[finite][order], self.own[finite][order]
        real = (case[1:] == case[:-1]) & (own[1:] > own[:-1])
        yield case[1:][real], own[:-1][real], own[1:][real]
        N = len(self.change.case_ids)
        for number, end in ((1, np.inf), (2, -np.inf)):
            owner = np.unique(self.change.case[self.own == end]) + number * N
            yield owner, np.zeros(len(owner)), np.ones(len(owner))

    def range(self) -> tuple[Array, Array, Array]:
        """Return each case's least and largest finite compensation and its unit, shapes (N,).

        The unit is the amount that is worth one unit of utility.
        """
        start, finite = self.change.offsets[:-1], np.isfinite(self.own)
        low = np.minimum.reduceat(np.where(finite, self.own, np.inf), start)
        high = np.maximum.reduceat(np.where(finite, self.own, -np.inf), start)
        steepest = np.maximum.reduceat(self.slope, start)
        none = ~np.isfinite(low)
        return np.where(none, 0.0, low), np.where(none, 0.0, high), 1.0 / steepest

    def _probability(self, case: Ints, c: Array, below: Flags) -> Array:
        """Return ``P(CV > c)``, or where asked ``P(CV < c)``, of cases and amounts, shapes (E,)."""
        sizes = np.diff(self.change.offsets)[case]
        ends = np.cumsum(sizes)
        answer = np.empty(len(case))
        first = 0
        while first < len(case):
            done = ends[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(ends, done + _ROWS, side="right")))
            part = slice(first, last)
            answer[part] = self._chance(case[part], c[part], below[part], sizes[part])
            first = last
        return answer

    def _chance(self, case: Ints, c: Array, below: Flags, sizes: Ints) -> Array:
        change, starts = self.change, np.cumsum(sizes) - sizes
        rows = np.arange(sizes.sum()) + np.repeat(change.offsets[case] - starts, sizes)
        V0, V1 = self.V0[rows], self.utilities_after(rows, np.repeat(c, sizes))
        h = np.maximum(V0, V1)
        best = np.repeat(np.maximum.reduceat(h, starts), sizes)
        P = _probabilities(
            change.after.layout,
            self.theta,
            np.append(starts, len(rows)).astype(np.int64),
            change.alternative[rows],
            np.maximum(h, best - _FLOOR),
        )
        counts = (V1 > V0) != np.repeat(below, sizes)
        return np.asarray(np.add.reduceat(np.where(counts, P, 0.0), starts))

    def utilities_after(self, rows: Ints, taken: Array) -> Array:
        """Return the utilities after the change of some of the U rows, with income taken.

        Minus infinity where the alternative is not offered or out of reach; the shape is that of
        ``taken``, (E,) or (E, D).
        """
        V = np.full(taken.shape, -np.inf)
        here = self.change.row_after[rows] >= 0
        V[here] = self.after.less(self.change.row_after[rows[here]], taken[here])
        return V


def generating(layout: Layout, what: str) -> Generating:
    """Return a layout whose choice probabilities are known at any utilities.

    Raises
    ------
    SpecificationError
        If the model is of another family.
    """
    if not isinstance(layout, LogitParameters | CrossNestedParameters):
        raise SpecificationError(
            f"{what} is for multinomial, nested and cross-nested logits and for classes of them; "
            f"this is a {layout.title.lower()}."
        )
    return layout


def _probabilities(
    layout: Generating, theta: Array, offsets: Ints, alternative: Ints, V: Array
) -> Array:
    """Return choice probabilities at given utilities, shape (R,)."""
    X, beta, lam = np.empty((0, len(V))), np.empty(0), layout.lambdas(theta)
    if isinstance(layout, CrossNestedParameters):
        elements = layout.elements(theta)
        P, _ = cross_nested_probabilities(X, offsets, alternative, beta, V, lam, elements)
    else:
        parent, rum = layout.tree.parent, layout.rum
        P, _ = probabilities(X, offsets, alternative, beta, V, lam, parent, rum)
    return np.asarray(P)


def _places(union: Ints, keys: Ints) -> Ints:
    """Return where each of the union's keys stands among others, -1 if it does not."""
    places = np.full(len(union), -1, dtype=np.int64)
    places[np.searchsorted(union, keys)] = np.arange(len(keys))
    return places
