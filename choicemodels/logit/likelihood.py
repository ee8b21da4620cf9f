"""Models over data: what a likelihood answers, and the (nested) logit's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.source import ChoiceSource
from choicemodels.logit.design import UtilityTerms, design_terms
from choicemodels.logit.kernels import derivatives
from choicemodels.logit.models import MultinomialLogit, NestedLogit
from choicemodels.logit.observations import Observations
from choicemodels.logit.probabilities import probabilities
from choicemodels.logit.tree import NestTree, build_tree
from choicemodels.restrictions import Evaluation

__all__ = [
    "Contributions",
    "Layout",
    "Likelihood",
    "LogitLikelihood",
    "LogitParameters",
    "RowLikelihood",
    "never_compared",
]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_NONE = np.empty(0)


@dataclass(frozen=True, eq=False)
class Contributions:
    """The log-likelihood at one point, and what each case gives to it.

    Attributes
    ----------
    llf : float
    score : ndarray, shape (P,)
    hessian : ndarray, shape (P, P)
    loglike_obs : ndarray, shape (N,)
    score_obs : ndarray, shape (N, P)
        Both with the case weights in them. In a panel model N counts the decision makers.
    unit : ndarray of int64 or None
        In a panel model the contribution that each case belongs to; None if it has its own.
    """

    llf: float
    score: Array
    hessian: Array
    loglike_obs: Array
    score_obs: Array
    unit: Ints | None = None


class Layout(Protocol):
    """How a model's parameter vector ``theta`` is laid out: all that prediction needs to know."""

    @property
    def title(self) -> str:
        """What a summary calls the model."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the P parameters."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was fixed, and why."""
        ...

    @property
    def utility(self) -> UtilityTerms:
        """The terms of the utilities, whose parameters come first in ``theta``."""
        ...

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Names of the alternatives, in the model's order."""
        ...

    def start_from(self, utility: Array) -> Array:
        """Return a point to start from, shape (P,).

        Parameters
        ----------
        utility
            Parameters of the utilities, shape (U,), from a multinomial logit or from
            :attr:`UtilityTerms.start`.
        """
        ...

    def cautions(self, theta: Array) -> tuple[str, ...]:
        """Say what about an estimate the reader must be warned of, one sentence each."""
        ...

    def over(self, data: ChoiceData) -> "RowLikelihood":
        """Put the model over data."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return what rebuilds the layout, ready for JSON."""
        ...


class Likelihood(Protocol):
    """A model over data, as the search sees it."""

    @property
    def parameters(self) -> Layout:
        """The layout of the parameters."""
        ...

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and Hessian (P, P).

        Outside of the parameters' domain the log-likelihood is minus infinity.
        """
        ...

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with the contribution of every case."""
        ...

    def reweighted(self, weights: Array) -> Self:
        """Give the cases other weights, shape (N,)."""
        ...


class RowLikelihood(Likelihood, Protocol):
    """A model over data with a row for each case and alternative."""

    @property
    def observations(self) -> Observations:
        """The data."""
        ...

    def probabilities(self, theta: Array) -> tuple[Array, Array]:
        """Return choice probabilities of the rows (R,) and logsums of the cases (N,)."""
        ...


@dataclass(frozen=True, eq=False)
class LogitParameters:
    """How the vector of parameters ``theta = (utility, free lambdas)`` is laid out.

    Attributes
    ----------
    utility : UtilityTerms
    tree : NestTree
    rum : bool
        Whether utilities are divided by lambda.
    slot : ndarray of int64, shape (M + 1,)
        Position in ``theta`` of each nest's lambda, and -1 for fixed ones and the root.
    fixed : ndarray of float64, shape (M + 1,)
        Values of the fixed lambdas (1 elsewhere).
    names : tuple of str, length P
    notes : tuple of str
        What was fixed, and why.
    constants : ndarray of float64, shape (J,) or (0,)
        Given constants of the alternatives, which are no parameters; empty if there are none.
    """

    utility: UtilityTerms
    tree: NestTree
    rum: bool
    slot: Ints
    fixed: Array
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    constants: Array = field(default_factory=lambda: np.empty(0))

    @classmethod
    def lay_out(cls, model: MultinomialLogit | NestedLogit, data: ChoiceSource) -> Self:
        """Name the parameters of a model over data, and fix what cannot be estimated.

        Raises
        ------
        SpecificationError, DataError
            If the formula or the nests do not fit the data.
        """
        utility = design_terms(model, data)
        names = list(utility.names)
        if not isinstance(model, NestedLogit):
            return cls.of_utility(utility, data.alternatives)
        tree = build_tree(model.nests, data.alternatives)
        M, K = len(tree.nests), len(names)
        slot, fixed = np.full(M + 1, -1, dtype=np.int64), np.ones(M + 1)
        notes: list[str] = []
        rum = model.normalization == "rum"
        alone = never_compared(tree, _nested(data)) if rum else frozenset()
        given = model.lambdas if not isinstance(model.lambdas, str) else {}
        for m, nest in enumerate(tree.nests):
            if nest in given:
                fixed[m] = given[nest]
                notes.append(f"lambda:{nest} is fixed at {given[nest]:g} as asked.")
            elif nest in alone:
                notes.append(
                    f"lambda:{nest} is fixed at 1: the nest never offers two members at once, so "
                    "the data do not identify it."
                )
            elif model.lambdas == "shared":
                slot[m] = K
                if "lambda" not in names:
                    names.append("lambda")
            else:
                slot[m] = len(names)
                names.append(f"lambda:{nest}")
        return cls(utility, tree, rum, slot, fixed, tuple(names), tuple(notes))

    @classmethod
    def of_utility(cls, utility: UtilityTerms, alternatives: tuple[str, ...]) -> Self:
        """Lay out the multinomial logit with given utilities."""
        root = np.full(1, -1, dtype=np.int64)
        return cls(utility, build_tree({}, alternatives), True, root, np.ones(1), utility.names)

    @property
    def title(self) -> str:
        """What a summary calls the model."""
        return "Nested logit" if self.tree.nests else "Multinomial logit"

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Names of the alternatives."""
        return self.tree.alternatives

    @property
    def factorable(self) -> bool:
        """Whether utilities are sums of products, which choosers and places share out."""
        return not (self.utility.size or self.utility.scale)

    @property
    def n_utility(self) -> int:
        """Number of parameters of the utilities, U."""
        return len(self.utility.names)

    @property
    def n_free(self) -> int:
        """Number of free lambdas."""
        return len(self.names) - self.n_utility

    def lambdas(self, theta: Array) -> Array:
        """Return the dissimilarity of every nest and the root's 1, shape (M + 1,)."""
        return np.where(self.slot >= 0, theta[self.slot], self.fixed)

    def allows(self, theta: Array) -> bool:
        """Whether the parameters lie in their domain."""
        return bool(np.isfinite(theta).all() and (self.lambdas(theta) > 0).all())

    def start_from(self, utility: Array) -> Array:
        """Return the utilities' parameters with lambdas of one, shape (P,)."""
        return np.concatenate([utility, np.ones(self.n_free)])

    def cautions(self, theta: Array) -> tuple[str, ...]:
        """Name the nests whose lambda exceeds its parent's (RUM normalization)."""
        if not self.rum:
            return ()
        lam, J = self.lambdas(theta), len(self.alternatives)
        return tuple(
            f"the dissimilarity lambda:{nest} ({lam[m]:.4f}) lies above that of its parent: the "
            "estimate is reported as it is, but it is not consistent with random utility "
            "maximization for all values of the variables."
            for m, nest in enumerate(self.tree.nests)
            if self.slot[m] >= 0 and lam[m] > lam[self.tree.parent[J + m]] + 1e-9
        )

    def over(self, data: ChoiceData) -> "RowLikelihood":
        """Put the model over data, whose alternatives it must know.

        Sampled choice sets are corrected for, and expanded to the logsums of the nests.
        """
        if data.sample is not None and self.tree.nests:
            from choicemodels.logit.sampled_nested_likelihood import SampledNestedLikelihood

            return SampledNestedLikelihood.build(self, data)
        observations = Observations.build(self.utility, data, self.alternatives, corrects=True)
        if len(self.constants):
            observations = observations.shifted(self.constants)
        return LogitLikelihood(self, observations)

    def to_dict(self) -> dict[str, Any]:
        """Return what rebuilds the layout, ready for JSON."""
        return {
            "utility": self.utility.to_dict(),
            "tree": self.tree.to_dict(),
            "rum": self.rum,
            "slot": self.slot.tolist(),
            "fixed": self.fixed.tolist(),
            "names": list(self.names),
            "notes": list(self.notes),
            "constants": self.constants.tolist(),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild the layout from :meth:`to_dict`."""
        return cls(
            UtilityTerms.from_dict(saved["utility"]),
            NestTree.from_dict(saved["tree"]),
            saved["rum"],
            np.array(saved["slot"], dtype=np.int64),
            np.array(saved["fixed"], dtype=np.float64),
            tuple(saved["names"]),
            tuple(saved["notes"]),
            np.array(saved["constants"], dtype=np.float64),
        )


@dataclass(frozen=True, eq=False)
class LogitLikelihood:
    """The likelihood of a (nested) logit over given data.

    Attributes
    ----------
    parameters : LogitParameters
    observations : Observations
    """

    parameters: LogitParameters
    observations: Observations

    @property
    def n_cases(self) -> int:
        """Number of cases, N."""
        return self.observations.n_cases

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and exact Hessian (P, P).

        Outside of ``lambda > 0`` the log-likelihood is minus infinity.
        """
        if not self.parameters.allows(theta):
            P = len(theta)
            return -np.inf, np.zeros(P), np.zeros((P, P))
        return self.derivatives(theta, _NONE, _NONE.reshape(0, 0), _NONE)

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with the contribution of every case."""
        N, P = self.observations.n_cases, len(theta)
        loglike_obs, score_obs = np.empty(N), np.empty((N, P))
        llf, score, hessian = self.derivatives(theta, loglike_obs, score_obs, _NONE)
        return Contributions(llf, score, hessian, loglike_obs, score_obs)

    def column_squares(self, theta: Array) -> Array:
        """Return each column's mean square within the choice sets, summed over cases, (K,)."""
        obs = self.observations
        X = obs.design.at(theta[: self.parameters.n_utility]).X
        sizes = np.diff(obs.offsets)
        return np.asarray(np.einsum("kr,kr,r->k", X, X, np.repeat(obs.weights / sizes, sizes)))

    def derivatives(
        self, theta: Array, loglike_obs: Array, score_obs: Array, score_rows: Array
    ) -> Evaluation:
        """Return log-likelihood, score (P,) and Hessian (P, P), and fill what is not empty.

        Parameters
        ----------
        theta
            A point in the domain, shape (P,).
        loglike_obs, score_obs
            Contributions of the cases, shapes (N,) and (N, P), or empty.
        score_rows
            Derivatives by the rows' utilities, shape (R,), or empty.
        """
        p, o = self.parameters, self.observations
        U = p.n_utility
        at = o.design.at(theta[:U])
        if not (o.design.linear or len(score_rows)):
            score_rows = np.empty(len(o.alternative))
        llf, score, hessian = derivatives(
            at.X,
            o.offsets,
            o.alternative,
            o.chosen,
            o.weights,
            at.beta,
            at.offset,
            p.lambdas(theta),
            p.slot,
            p.tree.parent,
            p.rum,
            p.n_free,
            loglike_obs,
            score_obs,
            score_rows,
        )
        if not o.design.linear:
            hessian[:U, :U] += o.design.curvature(theta[:U], at, score_rows)
        return float(llf), score, hessian

    def probabilities(self, theta: Array) -> tuple[Array, Array]:
        """Return choice probabilities of the rows (R,) and logsums of the cases (N,)."""
        p, o = self.parameters, self.observations
        at = o.design.at(theta[: p.n_utility])
        return probabilities(
            at.X,
            o.offsets,
            o.alternative,
            at.beta,
            at.offset,
            p.lambdas(theta),
            p.tree.parent,
            p.rum,
        )

    def subset(self, cases: Ints) -> Self:
        """Keep some cases."""
        return replace(self, observations=self.observations.subset(cases))

    def shifted(self, constants: Array) -> Self:
        """Add a constant to the utilities of each alternative, shape (J,)."""
        return replace(self, observations=self.observations.shifted(constants))

    def reweighted(self, weights: Array) -> Self:
        """Give the cases other weights, shape (N,)."""
        return replace(self, observations=replace(self.observations, weights=weights))


def _nested(data: ChoiceSource) -> ChoiceSource:
    """Return the data whose nests the logsums are taken over."""
    if not isinstance(data, ChoiceData) or data.sample is None or data.sample.logsums is None:
        return data
    return data.sample.logsums


def never_compared(tree: NestTree, data: ChoiceSource) -> frozenset[str]:
    """Return the nests that never offer two members at once, whose lambda is not identified."""
    J, M = len(tree.alternatives), len(tree.nests)
    offered, _ = data.choice_sets()
    present = np.zeros((len(offered), M + 1), dtype=np.int64)
    np.add.at(present.T, tree.parent[:J], offered.T)
    for m in range(M):
        present[:, tree.parent[J + m]] += present[:, m] > 0
    return frozenset(nest for m, nest in enumerate(tree.nests) if present[:, m].max() < 2)
