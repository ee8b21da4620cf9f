"""One constant for every alternative, without a column in the design.

The constants delta enter the utilities as an offset. The search runs in (theta, delta) together;
afterwards delta is partialled out, which leaves of the model with explicit constants exactly the
block of theta (Frisch, Waugh and Lovell's theorem, for the Hessian and the scores alike).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.choices.weighting import less_stratum_means
from choicemodels.errors import IdentificationError, SpecificationError
from choicemodels.logit.constants_kernels import constants_hessian
from choicemodels.logit.design import UtilityTerms
from choicemodels.logit.likelihood import Contributions, LogitLikelihood, LogitParameters
from choicemodels.logit.observations import Observations
from choicemodels.logit.summed import SummedLikelihood
from choicemodels.restrictions import Evaluation

__all__ = ["AbsorbedLikelihood", "AbsorbedParameters", "Concentrated"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Cases whose scores by the constants are laid out densely at once.
_BLOCK = 1024
# Steps of the fixed point that prepare the search.
_CONTRACTIONS = 20


@dataclass(frozen=True, eq=False)
class AbsorbedParameters:
    """How ``(theta, delta)`` is laid out: the model's parameters, then its J - 1 constants.

    Attributes
    ----------
    inner : LogitParameters
        The layout of theta, shape (P,).
    base : int
        The alternative whose constant is zero.
    """

    inner: LogitParameters
    base: int

    @property
    def title(self) -> str:
        """What a summary calls the model."""
        return self.inner.title

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the P parameters and the J - 1 constants."""
        constants = (f"(Intercept):{self.alternatives[j]}" for j in self.others)
        return (*self.inner.names, *constants)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was fixed, and why."""
        return self.inner.notes

    @property
    def utility(self) -> UtilityTerms:
        """The terms of the utilities."""
        return self.inner.utility

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Names of the alternatives."""
        return self.inner.alternatives

    @property
    def others(self) -> NDArray[np.int64]:
        """Positions of all alternatives but the base, shape (J - 1,)."""
        return np.delete(np.arange(len(self.alternatives)), self.base)

    def split(self, theta: Array) -> tuple[Array, Array]:
        """Return the parameters (P,) and the constants of all alternatives (J,)."""
        P = len(self.inner.names)
        return theta[:P], np.insert(theta[P:], self.base, 0.0)

    def join(self, theta: Array, constants: Array) -> Array:
        """Put parameters (P,) and constants (J,) into one vector, shape (P + J - 1,)."""
        relative = constants - constants[self.base]
        return np.concatenate([theta, relative[self.others]])

    def start_from(self, utility: Array) -> Array:
        """Return a point to start from, with constants of zero."""
        return self.join(self.inner.start_from(utility), np.zeros(len(self.alternatives)))

    def cautions(self, theta: Array) -> tuple[str, ...]:
        """Say what about an estimate the reader must be warned of."""
        return self.inner.cautions(self.split(theta)[0])

    def over(self, data: ChoiceData) -> "AbsorbedLikelihood":
        """Put the model over data."""
        return AbsorbedLikelihood(self, cast(LogitLikelihood, self.inner.over(data)))

    def to_dict(self) -> dict[str, Any]:
        """Return what rebuilds the layout of theta, ready for JSON."""
        return self.inner.to_dict()


@dataclass(frozen=True, eq=False)
class Concentrated:
    """The likelihood at one point with the constants partialled out.

    Attributes
    ----------
    parameters : LogitParameters
        The layout of theta, with the constants in it as given values.
    theta : ndarray, shape (P,)
    contributions : Contributions
        Of theta: the Hessian ``H_tt - H_td H_dd^-1 H_dt`` and the scores
        ``s_t,n - H_td H_dd^-1 s_d,n``.
    slopes : ndarray, shape (J, P)
        Derivatives of the constants by theta along the ridge, ``-H_dd^-1 H_dt``.
    inverse : ndarray, shape (J, J)
        ``-H_dd^-1``; like all of these with zeros for the base.
    products : ndarray, shape (J + P, J + P)
        Cross-product of the cases' scores by the constants, and by theta before these are
        partialled.
    """

    parameters: LogitParameters
    theta: Array
    contributions: Contributions
    slopes: Array
    inverse: Array
    products: Array


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some cases at one point: their likelihood, its derivatives, and the scores of the rows."""

    cases: Ints
    at: LogitLikelihood
    llf: float
    score: Array
    hessian: Array
    loglike_obs: Array
    score_obs: Array
    score_rows: Array

    @property
    def scores(self) -> Any:
        """Scores by the constants, sparse, shape (cases, J)."""
        from scipy.sparse import csr_array

        o = self.at.observations
        shape = (o.n_cases, len(self.at.parameters.alternatives))
        return csr_array((self.score_rows, o.alternative, o.offsets), shape=shape)


@dataclass(frozen=True, eq=False)
class AbsorbedLikelihood:
    """The likelihood of a (nested) logit in its parameters and its absorbed constants.

    Attributes
    ----------
    parameters : AbsorbedParameters
    plain : LogitLikelihood or SummedLikelihood
        The model with constants of zero; factored data are laid out a part at a time.
    """

    parameters: AbsorbedParameters
    plain: LogitLikelihood | SummedLikelihood

    @classmethod
    def build(
        cls, inner: LogitParameters, base: str | None, data: ChoiceData | FactoredChoiceData
    ) -> Self:
        """Add constants for all alternatives but the base to a model over data.

        Raises
        ------
        SpecificationError
            If the model is nested and the choice sets are samples.
        """
        parameters = AbsorbedParameters(inner, inner.alternatives.index(base) if base else 0)
        if isinstance(data, ChoiceData):
            plain = inner.over(data)
            if not isinstance(plain, LogitLikelihood):
                raise SpecificationError(
                    "constants='absorbed' of a nested logit need the full choice sets, and these "
                    "are samples; estimate the constants that you need in the formula."
                )
            return cls(parameters, plain)
        return cls(parameters, SummedLikelihood.over_factors(inner, data))

    def multinomial(self) -> Self:
        """Return the multinomial logit with the same utilities over the same data."""
        p = self.parameters
        inner = LogitParameters.of_utility(p.utility, p.alternatives)
        return replace(
            self, parameters=replace(p, inner=inner), plain=replace(self.plain, parameters=inner)
        )

    @property
    def n_cases(self) -> int:
        """Number of cases, N."""
        return self.plain.n_cases

    @property
    def observations(self) -> Observations:
        """The data, unless they are factored."""
        return cast(LogitLikelihood, self.plain).observations

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score and exact Hessian in (theta, delta).

        Outside of ``lambda > 0`` the log-likelihood is minus infinity.
        """
        own, constants = self.parameters.split(theta)
        size, P, J = len(theta), len(own), len(constants)
        llf, score, hessian = 0.0, np.zeros(P + J), np.zeros((P + J, P + J))
        if not (np.isfinite(theta).all() and self.parameters.inner.allows(own)):
            return -np.inf, np.zeros(size), np.zeros((size, size))
        for piece in self._pieces(own, constants):
            by_constants, mixed = _by_constants(piece, own)
            llf += piece.llf
            score += np.concatenate([piece.score, piece.scores.sum(axis=0)])
            hessian += np.block([[piece.hessian, mixed.T], [mixed, by_constants]])
        kept = np.delete(np.arange(P + J), P + self.parameters.base)
        return llf, score[kept], hessian[np.ix_(kept, kept)]

    def concentrate(self, theta: Array, *, stratified: bool = False) -> Concentrated:
        """Partial the constants out at a point, shape (P + J - 1,).

        Parameters
        ----------
        theta
            Parameters and constants.
        stratified
            Take all scores less their means among the cases that chose the same alternative, see
            :func:`choicemodels.choices.weighting.less_stratum_means`.

        Raises
        ------
        IdentificationError
            If the data do not tell the constants apart.
        """
        own, constants = self.parameters.split(theta)
        llf, score, hessian = self.evaluate(theta)
        P, j = len(own), self.parameters.others
        inverse, slopes = _partial_out(hessian, P, self.parameters.base)
        loglike_obs, score_obs, products = self._project(own, constants, slopes, stratified)
        contributions = Contributions(
            llf,
            score[:P] + slopes[j].T @ score[P:],
            hessian[:P, :P] + hessian[:P, P:] @ slopes[j],
            loglike_obs,
            score_obs,
        )
        parameters = replace(self.parameters.inner, constants=constants)
        return Concentrated(parameters, own, contributions, slopes, inverse, products)

    def _project(
        self, theta: Array, constants: Array, slopes: Array, stratified: bool
    ) -> tuple[Array, Array, Array]:
        """Return loglike_obs (N,), projected scores (N, P), and cross-products (J + P, J + P)."""
        N, (J, P) = self.n_cases, slopes.shape
        loglike_obs, score_obs, chosen = np.empty(N), np.empty((N, P)), np.empty(N, dtype=np.int64)
        products, sums = np.zeros((J + P, J + P)), np.zeros((J, J + P))
        for piece in self._pieces(theta, constants):
            scores, o = piece.scores, piece.at.observations
            loglike_obs[piece.cases] = piece.loglike_obs
            score_obs[piece.cases] = piece.score_obs + scores @ slopes
            chosen[piece.cases] = o.alternative[o.chosen]
            for first in range(0, len(piece.cases), _BLOCK):
                rows = slice(first, first + _BLOCK)
                block = np.hstack([scores[rows].toarray(), piece.score_obs[rows]])
                products += block.T @ block
                np.add.at(sums, chosen[piece.cases][rows], block)
        if stratified:
            score_obs = less_stratum_means(score_obs, chosen)
            products -= (sums.T / np.bincount(chosen, minlength=J)) @ sums
        return loglike_obs, score_obs, products

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives by theta, constants partialled out."""
        return self.concentrate(theta).contributions

    def probabilities(self, theta: Array) -> tuple[Array, Array]:
        """Return choice probabilities of the rows (R,) and logsums of the cases (N,)."""
        own, constants = self.parameters.split(theta)
        return cast(LogitLikelihood, self.plain).shifted(constants).probabilities(own)

    def reweighted(self, weights: Array) -> Self:
        """Give the cases other weights, shape (N,)."""
        return replace(self, plain=self.plain.reweighted(weights))

    def sample(self, cases: Ints, constants: Array) -> LogitLikelihood:
        """Return the likelihood of theta over some cases, with constants given, shape (J,)."""
        if isinstance(self.plain, LogitLikelihood):
            return self.plain.subset(cases).shifted(constants)
        return cast(LogitLikelihood, self.plain.part(cases)).shifted(constants)

    def contracted(self, theta: Array, constants: Array) -> Array:
        """Move constants (J,) until the multinomial logit's shares are about the observed ones.

        The fixed point of [BerryLevinsohnPakes1995]_; a start for the search, which solves the
        likelihood's own equations.
        """
        J = len(constants)
        for _ in range(_CONTRACTIONS):
            taken, expected = np.zeros(J), np.zeros(J)
            for _, part in self._parts():
                o = part.observations
                P, _ = part.shifted(constants).probabilities(theta)
                P *= np.repeat(o.weights, np.diff(o.offsets))
                taken += np.bincount(o.alternative[o.chosen], weights=o.weights, minlength=J)
                expected += np.bincount(o.alternative, weights=P, minlength=J)
            gap = np.log(taken / expected)
            constants = constants + gap - gap[self.parameters.base]
            if np.abs(gap).max() < 1e-2:
                break
        return constants

    def _parts(self) -> Iterator[tuple[Ints, LogitLikelihood]]:
        if isinstance(self.plain, LogitLikelihood):
            yield np.arange(self.n_cases), self.plain
        else:
            for cases in self.plain.parts:
                yield cases, cast(LogitLikelihood, self.plain.part(cases))

    def _pieces(self, theta: Array, constants: Array) -> Iterator[_Piece]:
        for cases, part in self._parts():
            at = part.shifted(constants)
            N = len(cases)
            loglike_obs, score_obs = np.empty(N), np.empty((N, len(theta)))
            score_rows = np.empty(len(at.observations.alternative))
            llf, score, hessian = at.derivatives(theta, loglike_obs, score_obs, score_rows)
            score_rows *= at.observations.design.scale(theta[: at.parameters.n_utility])
            yield _Piece(cases, at, llf, score, hessian, loglike_obs, score_obs, score_rows)


def _partial_out(hessian: Array, P: int, base: int) -> tuple[Array, Array]:
    """Return ``-H_dd^-1`` (J, J) and ``-H_dd^-1 H_dt`` (J, P), with zeros for the base."""
    try:
        inverse = np.linalg.inv(-hessian[P:, P:])
    except np.linalg.LinAlgError:
        raise IdentificationError(
            "the data do not tell the absorbed constants apart; look for alternatives that are "
            "hardly ever chosen, or leave the constants out."
        ) from None
    slopes = np.insert(inverse @ hessian[P:, :P], base, 0.0, axis=0)
    return np.insert(np.insert(inverse, base, 0.0, axis=0), base, 0.0, axis=1), slopes


def _by_constants(piece: _Piece, theta: Array) -> tuple[Array, Array]:
    """Return the Hessian by the constants (J, J), and by them and theta (J, P)."""
    p, o = piece.at.parameters, piece.at.observations
    U, T = p.n_utility, len(o.design.Z)
    linear = o.design.at(theta[:U])
    hessian, mixed = constants_hessian(
        linear.X,
        o.offsets,
        o.alternative,
        o.chosen,
        o.weights,
        linear.beta,
        linear.offset,
        p.lambdas(theta),
        p.slot,
        p.tree,
        p.rum,
        p.n_free,
        o.design.scale(theta[:U])[o.offsets[:-1]],
    )
    # The scale stretches the constants too, which bends the utilities in both.
    for t in range(T):
        bent = piece.score_rows * o.design.Z[t]
        mixed[:, U - T + t] += np.bincount(o.alternative, weights=bent, minlength=len(mixed))
    return hessian, mixed
