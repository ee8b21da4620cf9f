"""The mixed logit over data: its simulated likelihood."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import DataError
from choicemodels.logit.likelihood import Contributions
from choicemodels.logit.observations import Observations
from choicemodels.logit.systematic import Linearization
from choicemodels.mixed.averages import posterior_coefficients, simulated_probabilities
from choicemodels.mixed.coefficients import varying_columns
from choicemodels.mixed.draw_rows import BLOCK
from choicemodels.mixed.kernels import simulated_derivatives
from choicemodels.mixed.parameters import MixedParameters
from choicemodels.mixed.simulation import KINDS, Choices, Mixture
from choicemodels.restrictions import Evaluation

__all__ = ["MixedLikelihood"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_NONE = np.empty(0)


@dataclass(frozen=True, eq=False)
class MixedLikelihood:
    """The simulated likelihood of a mixed logit over given data.

    Attributes
    ----------
    parameters : MixedParameters
    observations : Observations
    columns : ndarray, shape (Q, R)
        Variables of the coefficients.
    draws : ndarray, shape (M, D, S)
        Standard draws of the M decision makers, in the order of their numbers.
    """

    parameters: MixedParameters
    observations: Observations
    columns: Array
    draws: Array

    @classmethod
    def build(cls, parameters: MixedParameters, data: ChoiceData) -> Self:
        """Evaluate the terms over data and make the draws.

        Raises
        ------
        DataError
            If the data do not fit the terms, or a decision maker's weights differ.
        """
        p = parameters
        observations = Observations.build(p.utility, data, p.alternatives)
        columns = varying_columns(
            p.coefficients, p.utility, data.table, observations.alternative, p.alternatives
        )
        makers = len(np.unique(observations.maker))
        return cls(p, observations, columns, p.draws_for(makers))

    @cached_property
    def unit(self) -> Ints:
        """Number of the decision maker of each case, from zero on without gaps, shape (N,)."""
        return np.unique(self.observations.maker, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def weights(self) -> Array:
        """Weights of the decision makers, shape (M,).

        Raises
        ------
        DataError
            If they differ among the cases of one.
        """
        own, unit = self.observations.weights, self.unit
        _, first = np.unique(unit, return_index=True)
        if (own[first][unit] != own).any():
            case = int(np.flatnonzero(own[first][unit] != own)[0])
            raise DataError(
                f"the weights differ between the cases of a decision maker (first in case number "
                f"{case:,} of the data): the choices of one make a single contribution to the "
                "likelihood; give all of them the same weight."
            )
        return np.ascontiguousarray(own[first])

    def coarse(self) -> Self:
        """Return the likelihood with few of the draws, for a search to start with."""
        few = BLOCK if self.draws.shape[2] > 2 * BLOCK else None
        return replace(self, draws=np.ascontiguousarray(self.draws[:, :, :few]))

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and exact Hessian (P, P).

        Where a truncated normal has no positive spread, or a number overflows, the log-likelihood
        is minus infinity.
        """
        P = len(theta)
        if np.isfinite(theta).all() and self._in_domain(theta):
            found = self._derivatives(theta, _NONE, _NONE.reshape(0, 0))
            if np.isfinite(found[0]) and np.isfinite(found[2]).all():
                return found
        return -np.inf, np.zeros(P), np.zeros((P, P))

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with those of every decision maker."""
        M, P = len(self.draws), len(theta)
        loglike_obs, score_obs = np.empty(M), np.empty((M, P))
        llf, score, hessian = self._derivatives(theta, loglike_obs, score_obs)
        unit = self.unit if self.observations.n_cases > M else None
        return Contributions(llf, score, hessian, loglike_obs, score_obs, unit)

    def probabilities(self, theta: Array) -> tuple[Array, Array]:
        """Return choice probabilities of the rows (R,) and expected logsums of the cases (N,)."""
        choices, _ = self._choices(theta, self.observations.offsets[:-1])
        return simulated_probabilities(self._mixture(theta), choices, self.draws)

    def posterior(self, theta: Array) -> tuple[Array, Array]:
        """Return means and standard deviations of the coefficients given the choices, (M, Q)."""
        choices, _ = self._choices(theta, self.observations.chosen)
        return posterior_coefficients(self._mixture(theta), choices, self.draws)

    def subset(self, cases: Ints) -> Self:
        """Keep some cases; their decision makers keep their draws."""
        kept = np.unique(self.unit[cases])
        observations = self.observations.subset(cases)
        sizes = np.diff(self.observations.offsets)[cases]
        rows = np.repeat(self.observations.offsets[cases] - observations.offsets[:-1], sizes)
        columns = self.columns[:, rows + np.arange(len(rows))]
        return replace(
            self,
            observations=observations,
            columns=np.ascontiguousarray(columns),
            draws=self.draws[kept],
        )

    def reweighted(self, weights: Array) -> Self:
        """Give the cases other weights, shape (N,)."""
        return replace(self, observations=replace(self.observations, weights=weights))

    def _in_domain(self, theta: Array) -> bool:
        entries = self.parameters.entries
        spreads = theta[entries.slot[entries.first[1:] - 1]]
        truncated = [c.law.transform == "truncated" for c in self.parameters.coefficients]
        return bool((spreads[truncated] > 0).all())

    def _mixture(self, theta: Array) -> Mixture:
        p, entries = self.parameters, self.parameters.entries
        return Mixture(
            theta[entries.slot],
            entries.first,
            entries.draw,
            np.array([KINDS[c.law.transform] for c in p.coefficients], dtype=np.int64),
            np.array([c.law.sign for c in p.coefficients]),
            p.scaled,
            p.price,
        )

    @cached_property
    def _cases(self) -> tuple[Ints, Ints]:
        """Return the cases, those of a maker together, and the first of each maker."""
        order = np.argsort(self.unit, kind="stable")
        return order, np.searchsorted(self.unit[order], np.arange(len(self.draws) + 1))

    @cached_property
    def _linear_columns(self) -> Array:
        """Return all columns of linear utilities, the varying first, shape (Q + F, R)."""
        return np.vstack([self.columns, self.observations.design.X[self.parameters.fixed]])

    def _choices(self, theta: Array, reference: Ints) -> tuple[Choices, Linearization]:
        """Return the data at a point, and the linearization of what does not vary."""
        p, o = self.parameters, self.observations
        utility = self._fixed_part(theta)
        at = o.design.at(utility)
        base = at.offset if len(at.offset) else np.zeros(len(o.alternative))
        if o.design.linear:
            X = self._linear_columns
            base = base + utility[p.fixed] @ o.design.X[p.fixed]
        else:
            X = np.vstack([self.columns, at.X[p.fixed]])
        return Choices(X, base, o.offsets, reference, *self._cases), at

    def _fixed_part(self, theta: Array) -> Array:
        """Return the utilities' parameters (U,) with zeros for those that vary."""
        fixed = self.parameters.fixed
        utility = np.zeros(len(self.parameters.utility.names))
        utility[fixed] = theta[fixed]
        return utility

    def _derivatives(self, theta: Array, loglike_obs: Array, score_obs: Array) -> Evaluation:
        p, design = self.parameters, self.observations.design
        choices, at = self._choices(theta, self.observations.chosen)
        score_rows = _NONE if design.linear else np.empty(len(self.observations.alternative))
        own_obs = np.empty(score_obs.shape)
        llf, own_score, own_hessian = simulated_derivatives(
            self._mixture(theta),
            choices,
            self.weights,
            self.draws,
            loglike_obs,
            own_obs,
            score_rows,
        )
        # The kernel has the parameters of what does not vary first.
        order = np.concatenate([p.fixed, p.entries.slot])
        score, hessian = np.empty(len(theta)), np.empty((len(theta), len(theta)))
        score[order] = own_score
        hessian[np.ix_(order, order)] = own_hessian
        if len(score_obs):
            score_obs[:, order] = own_obs
        if not design.linear:
            U = len(p.utility.names)
            hessian[:U, :U] += design.curvature(self._fixed_part(theta), at, score_rows)
        return llf, score, hessian
