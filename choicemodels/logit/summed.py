"""A likelihood as the sum over parts of the data, each laid out only while it is looked at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.logit.factored_likelihood import FactoredLikelihood
from choicemodels.logit.likelihood import (
    Contributions,
    Layout,
    LogitLikelihood,
    LogitParameters,
    RowLikelihood,
)
from choicemodels.logit.observations import decision_makers
from choicemodels.restrictions import Evaluation

__all__ = ["SummedLikelihood", "add_evaluations", "join_contributions", "over_data"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Rows of a part, so that its design takes some tens of megabytes.
_ROWS = 500_000


@dataclass(frozen=True, eq=False)
class SummedLikelihood:
    """The likelihood of any model over factored data, a part of the choosers at a time.

    Slower than a factored kernel, since every evaluation lays the rows out anew, but bounded in
    memory whatever the model.

    Attributes
    ----------
    parameters : Layout
    data : FactoredChoiceData
    parts : tuple of ndarray of int64
        Choosers of each part; those of one decision maker are together.
    """

    parameters: Layout
    data: FactoredChoiceData
    parts: tuple[Ints, ...]

    @classmethod
    def over_factors(cls, parameters: Layout, data: FactoredChoiceData) -> Self:
        """Cut the choosers into parts."""
        maker = np.arange(data.n_cases)
        if data.panel_name is not None:
            maker = decision_makers(data.choosers[data.panel_name])
        order = np.argsort(maker, kind="stable")
        rows = np.cumsum(data.set_sizes[order])
        starts = np.flatnonzero(np.diff(maker[order], prepend=-1))
        # The first decision maker of each part.
        cuts = np.unique(rows[starts] // _ROWS, return_index=True)[1][1:]
        return cls(parameters, data, tuple(np.split(order, starts[cuts])))

    @property
    def n_cases(self) -> int:
        """Number of choosers, N."""
        return self.data.n_cases

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and Hessian (P, P)."""
        return add_evaluations(self.part(cases).evaluate(theta) for cases in self.parts)

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with every contribution."""
        return join_contributions(
            [self.part(cases).contributions(theta) for cases in self.parts], self.parts
        )

    def column_squares(self, theta: Array) -> Array:
        """Return each column's mean square within the choice sets, summed over cases, (K,)."""
        parts = (self.part(cases) for cases in self.parts)
        squares = [p.column_squares(theta) for p in parts if isinstance(p, LogitLikelihood)]
        return np.asarray(np.sum(squares, axis=0))

    def part(self, cases: Ints) -> RowLikelihood:
        """Lay out the likelihood of some choosers, row by row."""
        return self.parameters.over(self.data.to_long(cases))

    def expected(self, theta: Array) -> tuple[Array, Array]:
        """Return expected choices of the data's cells (R,) and logsums of the choosers (N,)."""
        places = self.data.places
        expected, logsum = np.zeros(len(places.alternative)), np.empty(self.n_cases)
        for cases in self.parts:
            some = self.data.take(cases)
            P, logsum[cases] = self.part(cases).probabilities(theta)
            sizes = some.set_sizes
            last = np.cumsum(sizes)
            rows = np.repeat(places.offsets[some.origin] - last + sizes, sizes)
            weights = np.repeat(some.weights, sizes) * P
            expected += np.bincount(rows + np.arange(last[-1]), weights, len(expected))
        return expected, logsum

    def plain(self) -> Self:
        """Return the multinomial logit with the same utilities over the same data."""
        layout = self.parameters
        return replace(
            self, parameters=LogitParameters.of_utility(layout.utility, layout.alternatives)
        )

    def subset(self, cases: Ints) -> Self:
        """Keep some choosers."""
        return self.over_factors(self.parameters, self.data.take(cases))

    def reweighted(self, weights: Array) -> Self:
        """Give the choosers other weights, shape (N,)."""
        return replace(self, data=replace(self.data, weights=weights))


def add_evaluations(found: Iterable[Evaluation]) -> Evaluation:
    """Return the sum of log-likelihoods and of their derivatives, in the order given."""
    llf, score, hessian = 0.0, np.zeros(0), np.zeros((0, 0))
    for number, (f, g, H) in enumerate(found):
        llf += f
        score, hessian = (score + g, hessian + H) if number else (g, H)
    return llf, score, hessian


def join_contributions(found: Sequence[Contributions], parts: Sequence[Ints]) -> Contributions:
    """Put the contributions of parts together.

    Parameters
    ----------
    found
        One for each part.
    parts
        Positions of each part's cases among all N.
    """
    n_cases = sum(map(len, parts))
    sizes = np.cumsum([0, *(len(part.loglike_obs) for part in found)])
    unit = np.empty(n_cases, dtype=np.int64)
    for cases, part, first in zip(parts, found, sizes, strict=False):
        own = np.arange(len(cases)) if part.unit is None else part.unit
        unit[cases] = first + own
    loglike_obs = np.concatenate([part.loglike_obs for part in found])
    score_obs = np.concatenate([part.score_obs for part in found])
    panel = any(part.unit is not None for part in found)
    llf, score, hessian = add_evaluations((part.llf, part.score, part.hessian) for part in found)
    return Contributions(
        llf,
        score,
        hessian,
        loglike_obs if panel else loglike_obs[unit],
        score_obs if panel else score_obs[unit],
        unit if panel else None,
    )


def over_data(
    parameters: Layout, data: ChoiceData | FactoredChoiceData
) -> RowLikelihood | FactoredLikelihood | SummedLikelihood:
    """Put a layout over data in memory, in the form that suits both."""
    if isinstance(data, ChoiceData):
        return parameters.over(data)
    if isinstance(parameters, LogitParameters) and parameters.factorable:
        return FactoredLikelihood.build(parameters, data)
    return SummedLikelihood.over_factors(parameters, data)
