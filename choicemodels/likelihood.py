"""A model over data: the log-likelihood with its contributions, and the probabilities."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from choicemodels.choicedata import ChoiceData
from choicemodels.design import design_matrix, design_terms
from choicemodels.errors import DataError
from choicemodels.kernels import derivatives
from choicemodels.models import ChoiceModel, NestedLogit
from choicemodels.probabilities import probabilities
from choicemodels.tree import NestTree, build_tree
from choicemodels.utility import Term

__all__ = ["ChoiceLikelihood", "Contributions", "Parameters", "specify"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Parameters:
    """How the vector of parameters ``theta = (beta, free lambdas)`` is laid out.

    Attributes
    ----------
    terms : tuple of Term, length K
    tree : NestTree
    rum : bool
        Whether utilities are divided by lambda.
    slot : ndarray of int64, shape (M + 1,)
        Position in ``theta`` of each nest's lambda, and -1 for fixed ones and the root.
    fixed : ndarray of float64, shape (M + 1,)
        Values of the fixed lambdas (1 elsewhere).
    names : tuple of str, length K + free lambdas
    notes : tuple of str
        What was fixed, and why.
    """

    terms: tuple[Term, ...]
    tree: NestTree
    rum: bool
    slot: Ints
    fixed: Array
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def n_free(self) -> int:
        """Number of free lambdas."""
        return len(self.names) - len(self.terms)

    def lambdas(self, theta: Array) -> Array:
        """Return the dissimilarity of every nest and the root's 1, shape (M + 1,)."""
        return np.where(self.slot >= 0, theta[self.slot], self.fixed)

    def beta(self, theta: Array) -> Array:
        """Return the coefficients of the terms, shape (K,)."""
        return np.ascontiguousarray(theta[: len(self.terms)])

    @cached_property
    def start(self) -> Array:
        """Zero coefficients and lambdas of one."""
        return np.concatenate([np.zeros(len(self.terms)), np.ones(self.n_free)])


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
        Both with the case weights in them.
    """

    llf: float
    score: Array
    hessian: Array
    loglike_obs: Array
    score_obs: Array


@dataclass(frozen=True, eq=False)
class ChoiceLikelihood:
    """The likelihood of a (nested) logit over given data.

    Attributes
    ----------
    parameters : Parameters
    X : ndarray, shape (K, R)
        Design by columns.
    offsets, alternative, chosen, weights
        As in :class:`~choicemodels.choicedata.ChoiceData`.
    """

    parameters: Parameters
    X: Array
    offsets: Ints
    alternative: Ints
    chosen: Ints
    weights: Array

    def evaluate(self, theta: Array) -> tuple[float, Array, Array]:
        """Return log-likelihood, score (P,) and exact Hessian (P, P).

        Outside of ``lambda > 0`` the log-likelihood is minus infinity.
        """
        lam = self.parameters.lambdas(theta)
        if not (np.isfinite(theta).all() and (lam > 0).all()):
            P = len(theta)
            return -np.inf, np.zeros(P), np.zeros((P, P))
        empty = np.empty(0)
        llf, score, hessian = self._derivatives(theta, empty, empty.reshape(0, 0))
        return float(llf), score, hessian

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with the contribution of every case."""
        N, P = len(self.chosen), len(theta)
        loglike_obs, score_obs = np.empty(N), np.empty((N, P))
        llf, score, hessian = self._derivatives(theta, loglike_obs, score_obs)
        return Contributions(float(llf), score, hessian, loglike_obs, score_obs)

    def _derivatives(
        self, theta: Array, loglike_obs: Array, score_obs: Array
    ) -> tuple[float, Array, Array]:
        p = self.parameters
        return derivatives(
            self.X,
            self.offsets,
            self.alternative,
            self.chosen,
            self.weights,
            p.beta(theta),
            p.lambdas(theta),
            p.slot,
            p.tree.parent,
            p.rum,
            p.n_free,
            loglike_obs,
            score_obs,
        )

    def probabilities(self, theta: Array) -> tuple[Array, Array]:
        """Return choice probabilities of the rows (R,) and logsums of the cases (N,)."""
        p = self.parameters
        return probabilities(
            self.X,
            self.offsets,
            self.alternative,
            p.beta(theta),
            p.lambdas(theta),
            p.tree.parent,
            p.rum,
        )

    def subset(self, step: int) -> "ChoiceLikelihood":
        """Keep every ``step``-th case, for cheap starting values."""
        cases = np.arange(0, len(self.chosen), step)
        sizes = np.diff(self.offsets)[cases]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        shift = self.offsets[cases] - offsets[:-1]
        rows = np.arange(offsets[-1]) + np.repeat(shift, sizes)
        return ChoiceLikelihood(
            self.parameters,
            np.ascontiguousarray(self.X[:, rows]),
            offsets,
            self.alternative[rows],
            self.chosen[cases] - shift,
            self.weights[cases],
        )


def specify(
    model: ChoiceModel, data: ChoiceData, parameters: Parameters | None = None
) -> ChoiceLikelihood:
    """Put a model over data.

    Parameters
    ----------
    model
        The specification.
    data
        The choices; without them only probabilities can be asked for.
    parameters
        The layout from an earlier estimation, to predict with; its alternatives rule.

    Raises
    ------
    DataError, SpecificationError
        If the formula does not fit the data.
    """
    if parameters is None:
        parameters = lay_out(model, data)
    known = parameters.tree.alternatives
    alternative = data.alternative
    if data.alternatives != known:
        position = {name: j for j, name in enumerate(known)}
        unknown = [name for name in data.alternatives if name not in position]
        if unknown:
            raise DataError(
                f"the data hold the alternative '{unknown[0]}', which the model was not estimated "
                "with; leave it out."
            )
        alternative = np.array([position[name] for name in data.alternatives])[alternative]
    X = design_matrix(parameters.terms, data.table, alternative, known)
    return ChoiceLikelihood(
        parameters, X, data.offsets, alternative, data.chosen, np.asarray(data.weights)
    )


def lay_out(model: ChoiceModel, data: ChoiceData) -> Parameters:
    """Name the parameters of a model over data, and fix the lambdas that cannot be estimated."""
    terms = design_terms(model, data)
    names = [term.name for term in terms]
    nested = isinstance(model, NestedLogit)
    tree = build_tree(model.nests if isinstance(model, NestedLogit) else {}, data.alternatives)
    M, K = len(tree.nests), len(terms)
    slot, fixed = np.full(M + 1, -1, dtype=np.int64), np.ones(M + 1)
    notes: list[str] = []
    if not isinstance(model, NestedLogit):
        return Parameters(terms, tree, True, slot, fixed, tuple(names))
    rum = model.normalization == "rum"
    alone = _never_compared(tree, data) if rum else frozenset()
    given = model.lambdas if not isinstance(model.lambdas, str) else {}
    for m, nest in enumerate(tree.nests):
        if nest in given:
            fixed[m] = given[nest]
            notes.append(f"lambda:{nest} is fixed at {given[nest]:g} as asked.")
        elif nest in alone:
            notes.append(
                f"lambda:{nest} is fixed at 1: the nest never offers two members at once, so the "
                "data do not identify it."
            )
        elif model.lambdas == "shared":
            slot[m] = K
            if "lambda" not in names:
                names.append("lambda")
        else:
            slot[m] = len(names)
            names.append(f"lambda:{nest}")
    assert nested
    return Parameters(terms, tree, rum, slot, fixed, tuple(names), tuple(notes))


def _never_compared(tree: NestTree, data: ChoiceData) -> frozenset[str]:
    """Return the nests that never offer two members at once."""
    J, M, N = len(tree.alternatives), len(tree.nests), data.n_cases
    case = np.repeat(np.arange(N), data.set_sizes)
    place = tree.parent[data.alternative] * N + case
    present = np.bincount(place, minlength=(M + 1) * N).reshape(M + 1, N)
    for m in range(M):
        present[tree.parent[J + m]] += present[m] > 0
    return frozenset(nest for m, nest in enumerate(tree.nests) if present[m].max() < 2)
