"""The cross-nested logit over data: its parameters and its likelihood."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.partitioned import AnyChoiceData
from choicemodels.cross_nested.kernels import cross_nested_derivatives
from choicemodels.cross_nested.probabilities import Elements, cross_nested_probabilities
from choicemodels.cross_nested.specification import CrossNestedLogit
from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest
from choicemodels.logit.design import UtilityTerms, design_terms
from choicemodels.logit.likelihood import Contributions
from choicemodels.logit.observations import Observations
from choicemodels.restrictions import Evaluation

__all__ = ["CrossNestedLikelihood", "CrossNestedParameters"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_NONE = np.empty(0)

# What is less of an allocation is nothing.
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class CrossNestedParameters:
    """How ``theta = (utility, free lambdas, free alphas)`` is laid out.

    The E elements are the parts of the alternatives in their nests, alternative by alternative;
    an alternative in no nest is one element at the root.

    Attributes
    ----------
    utility : UtilityTerms
    alternatives : tuple of str, length J
    nests : tuple of str, length M
    lambda_slot : ndarray of int64, shape (M,)
        Position in ``theta`` of each nest's lambda, and -1 for fixed ones.
    lambda_fixed : ndarray of float64, shape (M,)
        Values of the fixed lambdas (1 elsewhere).
    member, home : ndarray of int64, shape (E,)
        Alternative and nest of each element; the root is nest M.
    alpha_slot : ndarray of int64, shape (E,)
        Position in ``theta`` of each element's alpha; -1 for fixed ones, and -2 for those of
        the last nests, which are one minus the alternative's others.
    alpha_fixed : ndarray of float64, shape (E,)
        Values of the fixed alphas (1 elsewhere).
    names : tuple of str, length P
    notes : tuple of str
        What was fixed, and why.
    """

    utility: UtilityTerms
    alternatives: tuple[str, ...]
    nests: tuple[str, ...]
    lambda_slot: Ints
    lambda_fixed: Array
    member: Ints
    home: Ints
    alpha_slot: Ints
    alpha_fixed: Array
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def lay_out(cls, model: CrossNestedLogit, data: AnyChoiceData) -> Self:
        """Name the parameters of a model over data, and fix what cannot be estimated.

        Raises
        ------
        SpecificationError, DataError
            If the formula or the nests do not fit the data.
        """
        utility = design_terms(model, data)
        member, home = _elements(model, data.alternatives)
        nests = tuple(model.nests)
        names, notes = list(utility.names), list[str]()
        lambda_slot, lambda_fixed = _lambdas(model, _compared(member, home, data), names, notes)
        # With every lambda of its nests at 1, the parts of an alternative add up to the whole.
        bends = np.append((lambda_slot >= 0) | (lambda_fixed != 1.0), False)
        alpha_slot, alpha_fixed = np.full(len(member), -1, dtype=np.int64), np.ones(len(member))
        for j, name in enumerate(data.alternatives):
            parts = np.flatnonzero(member == j)
            if len(parts) == 1:
                continue
            given = model.allocations
            if not isinstance(given, str) and name in given:
                alpha_fixed[parts] = [given[name][nests[m]] for m in home[parts]]
                notes.append(f"The allocations of {name} are fixed as asked.")
            elif given == "equal" or not bends[home[parts]].any():
                alpha_fixed[parts] = 1.0 / len(parts)
                if given != "equal":
                    notes.append(
                        f"The allocations of {name} are fixed at {1 / len(parts):.4g}: the lambdas "
                        "of its nests are fixed at 1, so the data do not identify them."
                    )
            else:
                alpha_slot[parts[-1]] = -2
                alpha_slot[parts[:-1]] = len(names) + np.arange(len(parts) - 1)
                names += [f"alpha:{name}:{nests[m]}" for m in home[parts[:-1]]]
        return cls(
            utility,
            data.alternatives,
            nests,
            lambda_slot,
            lambda_fixed,
            member,
            home,
            alpha_slot,
            alpha_fixed,
            tuple(names),
            tuple(notes),
        )

    @property
    def title(self) -> str:
        """What a summary calls the model."""
        return "Cross-nested logit"

    @property
    def n_utility(self) -> int:
        """Number of parameters of the utilities, U."""
        return len(self.utility.names)

    def lambdas(self, theta: Array) -> Array:
        """Return the dissimilarity of every nest, shape (M,)."""
        return np.where(self.lambda_slot >= 0, theta[self.lambda_slot], self.lambda_fixed)

    def alphas(self, theta: Array) -> Array:
        """Return the allocation of every element, shape (E,)."""
        alpha = np.where(self.alpha_slot >= 0, theta[self.alpha_slot], self.alpha_fixed)
        for e in np.flatnonzero(self.alpha_slot == -2):
            alpha[e] = 1.0 - alpha[self._others(e)].sum()
        return np.asarray(alpha)

    def allocations(self, theta: Array) -> pd.DataFrame:
        """Return the allocations as a table: a row for each alternative, a column a nest.

        The rows of alternatives in no nest hold zeros.
        """
        table = np.zeros((len(self.alternatives), len(self.nests) + 1))
        table[self.member, self.home] = self.alphas(theta)
        return pd.DataFrame(table[:, :-1], index=list(self.alternatives), columns=list(self.nests))

    def _others(self, last: np.int64) -> Ints:
        """Return the elements of an alternative before its last one."""
        return np.flatnonzero(self.member[:last] == self.member[last])

    def elements(self, theta: Array) -> Elements:
        """Return the elements as the kernels take them.

        At an allocation of zero an element vanishes with its derivatives, for lambda < 1. Where
        lambda is fixed at 1 the derivative by the allocation stays: the search must be able to
        leave the bound.
        """
        alpha = self.alphas(theta)
        straight = np.append((self.lambda_slot < 0) & (self.lambda_fixed == 1.0), True)
        kept = np.flatnonzero((alpha >= _LEAST) | straight[self.home])
        alpha = np.maximum(alpha, _LEAST)
        places: list[Ints] = []
        slopes: list[Array] = []
        for e in kept:
            slot = self.alpha_slot[e]
            at = self.alpha_slot[self._others(e)] if slot == -2 else np.full(int(slot >= 0), slot)
            places.append(at)
            slopes.append(np.full(len(at), (1.0 if slot >= 0 else -1.0) / alpha[e]))
        first = np.searchsorted(self.member[kept], np.arange(len(self.alternatives) + 1))
        start = np.concatenate([[0], np.cumsum([len(at) for at in places])])
        return (
            first.astype(np.int64),
            self.home[kept],
            np.log(alpha[kept]),
            start.astype(np.int64),
            np.concatenate(places).astype(np.int64),
            np.concatenate(slopes),
        )

    def start_from(self, utility: Array) -> Array:
        """Return a point within the nests' domain, shape (P,).

        At lambdas of one the allocations would have no derivative to move by. With lambdas of
        one half and half the coefficients, comparisons within the nests are those of the
        multinomial logit.
        """
        theta = np.concatenate([utility, np.full(len(self.names) - self.n_utility, 0.5)])
        if (self.lambda_slot >= 0).any():
            theta[: len(self.utility.linear)] *= 0.5
        parts = np.bincount(self.member)[self.member]
        free = self.alpha_slot >= 0
        theta[self.alpha_slot[free]] = 1.0 / parts[free]
        return theta

    def cautions(self, theta: Array) -> tuple[str, ...]:
        """Name the nests whose lambda exceeds one, and parts of alternatives that vanish."""
        lam, alpha = self.lambdas(theta), self.alphas(theta)
        return (
            *(
                f"the dissimilarity lambda:{nest} ({value:.4f}) lies above 1: the estimate is "
                "reported as it is, but it is not consistent with random utility maximization "
                "for all values of the variables."
                for nest, value, slot in zip(self.nests, lam, self.lambda_slot, strict=True)
                if slot >= 0 and value > 1 + 1e-9
            ),
            *(
                f"hardly anything of '{self.alternatives[self.member[e]]}' is in the nest "
                f"'{self.nests[self.home[e]]}' (allocation {alpha[e]:.2g}); leave it out of that "
                "nest."
                for e in np.flatnonzero((self.alpha_slot != -1) & (alpha < 1e-4))
            ),
        )

    def over(self, data: ChoiceData) -> "CrossNestedLikelihood":
        """Put the model over data, whose alternatives it must know."""
        return CrossNestedLikelihood(
            self, Observations.build(self.utility, data, self.alternatives)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what rebuilds the layout, ready for JSON."""
        arrays = ("lambda_slot", "lambda_fixed", "member", "home", "alpha_slot", "alpha_fixed")
        words = ("alternatives", "nests", "names", "notes")
        return {
            "utility": self.utility.to_dict(),
            **{name: getattr(self, name).tolist() for name in arrays},
            **{name: list(getattr(self, name)) for name in words},
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild the layout from :meth:`to_dict`."""
        return cls(
            utility=UtilityTerms.from_dict(saved["utility"]),
            alternatives=tuple(saved["alternatives"]),
            nests=tuple(saved["nests"]),
            lambda_slot=np.array(saved["lambda_slot"], dtype=np.int64),
            lambda_fixed=np.array(saved["lambda_fixed"], dtype=np.float64),
            member=np.array(saved["member"], dtype=np.int64),
            home=np.array(saved["home"], dtype=np.int64),
            alpha_slot=np.array(saved["alpha_slot"], dtype=np.int64),
            alpha_fixed=np.array(saved["alpha_fixed"], dtype=np.float64),
            names=tuple(saved["names"]),
            notes=tuple(saved["notes"]),
        )


def _elements(model: CrossNestedLogit, alternatives: tuple[str, ...]) -> tuple[Ints, Ints]:
    """Return alternative and nest of the elements, alternative by alternative."""
    for nest, members in model.nests.items():
        for name in members:
            if name not in alternatives:
                raise SpecificationError(
                    f"nest '{nest}' names the alternative '{name}'{closest(name, alternatives)}, "
                    f"which the data do not have; they have: {enumerate_some(alternatives, 12)}."
                )
    homes = [
        [m for m, members in enumerate(model.nests.values()) if name in members]
        or [len(model.nests)]
        for name in alternatives
    ]
    member = np.repeat(np.arange(len(alternatives)), [len(at) for at in homes])
    return member.astype(np.int64), np.array([m for at in homes for m in at], dtype=np.int64)


def _compared(member: Ints, home: Ints, data: AnyChoiceData) -> NDArray[np.bool_]:
    """Return which nests ever offer two members at once, shape (M + 1,), the root last."""
    inside = np.zeros((len(data.alternatives), int(home.max()) + 2))
    inside[member, home] = 1.0
    offered, _ = data.choice_sets()
    return np.asarray((offered @ inside).max(axis=0) > 1)


def _lambdas(
    model: CrossNestedLogit, compared: NDArray[np.bool_], names: list[str], notes: list[str]
) -> tuple[Ints, Array]:
    """Return slots and fixed values of the lambdas; add to the names and the notes."""
    slot = np.full(len(model.nests), -1, dtype=np.int64)
    fixed = np.ones(len(model.nests))
    given = model.lambdas if not isinstance(model.lambdas, str) else {}
    for m, nest in enumerate(model.nests):
        if nest in given:
            fixed[m] = given[nest]
            notes.append(f"lambda:{nest} is fixed at {given[nest]:g} as asked.")
        elif not compared[m]:
            notes.append(
                f"lambda:{nest} is fixed at 1: the nest never offers two members at once, so the "
                "data do not identify it."
            )
        elif model.lambdas == "shared":
            if "lambda" not in names:
                names.append("lambda")
            slot[m] = names.index("lambda")
        else:
            slot[m] = len(names)
            names.append(f"lambda:{nest}")
    return slot, fixed


@dataclass(frozen=True, eq=False)
class CrossNestedLikelihood:
    """The likelihood of a cross-nested logit over given data.

    Attributes
    ----------
    parameters : CrossNestedParameters
    observations : Observations
    """

    parameters: CrossNestedParameters
    observations: Observations

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and exact Hessian (P, P).

        Outside of ``lambda > 0`` and ``alpha >= 0`` the log-likelihood is minus infinity.
        """
        p = self.parameters
        inside = (p.lambdas(theta) > 0).all() and (p.alphas(theta) >= -_LEAST).all()
        if not (np.isfinite(theta).all() and inside):
            P = len(theta)
            return -np.inf, np.zeros(P), np.zeros((P, P))
        return self._derivatives(theta, _NONE, _NONE.reshape(0, 0))

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with the contribution of every case."""
        N, P = self.observations.n_cases, len(theta)
        loglike_obs, score_obs = np.empty(N), np.empty((N, P))
        llf, score, hessian = self._derivatives(theta, loglike_obs, score_obs)
        return Contributions(llf, score, hessian, loglike_obs, score_obs)

    def _derivatives(self, theta: Array, loglike_obs: Array, score_obs: Array) -> Evaluation:
        p, o = self.parameters, self.observations
        U = p.n_utility
        at = o.design.at(theta[:U])
        score_rows = _NONE if o.design.linear else np.empty(len(o.alternative))
        llf, score, hessian = cross_nested_derivatives(
            at.X,
            o.offsets,
            o.alternative,
            o.chosen,
            o.weights,
            at.beta,
            at.offset,
            p.lambdas(theta),
            p.lambda_slot,
            p.elements(theta),
            len(theta) - U,
            loglike_obs,
            score_obs,
            score_rows,
        )
        if not o.design.linear:
            hessian[:U, :U] += o.design.curvature(theta[:U], at, score_rows)
        return llf, score, hessian

    def probabilities(self, theta: Array) -> tuple[Array, Array]:
        """Return choice probabilities of the rows (R,) and logsums of the cases (N,)."""
        p, o = self.parameters, self.observations
        at = o.design.at(theta[: p.n_utility])
        return cross_nested_probabilities(
            at.X,
            o.offsets,
            o.alternative,
            at.beta,
            at.offset,
            p.lambdas(theta),
            p.elements(theta),
        )

    def reweighted(self, weights: Array) -> Self:
        """Give the cases other weights, shape (N,)."""
        return replace(self, observations=replace(self.observations, weights=weights))
