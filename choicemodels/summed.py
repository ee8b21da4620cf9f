"""A likelihood as the sum over parts of the data, each laid out only while it is looked at."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.factored import FactoredChoiceData
from choicemodels.likelihood import Contributions, Layout, LogitParameters, RowLikelihood
from choicemodels.restrictions import Evaluation

__all__ = ["SummedLikelihood"]

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
            maker = pd.factorize(data.choosers[data.panel_name])[0]
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
        P = len(theta)
        total = (0.0, np.zeros(P), np.zeros((P, P)))
        for cases in self.parts:
            llf, score, hessian = self.part(cases).evaluate(theta)
            total = (total[0] + llf, total[1] + score, total[2] + hessian)
        return total

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with every contribution."""
        found = [self.part(cases).contributions(theta) for cases in self.parts]
        sizes = np.cumsum([0, *(len(part.loglike_obs) for part in found)])
        unit = np.empty(self.n_cases, dtype=np.int64)
        for cases, part, first in zip(self.parts, found, sizes, strict=False):
            own = np.arange(len(cases)) if part.unit is None else part.unit
            unit[cases] = first + own
        loglike_obs = np.concatenate([part.loglike_obs for part in found])
        score_obs = np.concatenate([part.score_obs for part in found])
        panel = len(loglike_obs) < self.n_cases
        return Contributions(
            sum(part.llf for part in found),
            np.sum([part.score for part in found], axis=0),
            np.sum([part.hessian for part in found], axis=0),
            loglike_obs if panel else loglike_obs[unit],
            score_obs if panel else score_obs[unit],
            unit if panel else None,
        )

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
