"""The latent class logit over data: its parameters and its likelihood.

With ``f_nc`` the likelihood of all choices of decision maker n in class c and ``h_nc`` their
posterior probability ``pi_nc f_nc / L_n``, the score is ``sum_c h_nc g_nc`` for
``g_nc = d log(pi_nc f_nc)``, and the Hessian

    sum_n (sum_c h_nc (d2 log(pi_nc f_nc) + g_nc g_nc') - s_n s_n'),   s_n = sum_c h_nc g_nc.

The first summand is the Hessian of multinomial logits with posteriors for weights, which is also
what the M-step of the EM algorithm maximizes with: the kernel of the multinomial logit is all
that is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.partitioned import AnyChoiceData, PartitionedChoiceData
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.formula import expand, term_values
from choicemodels.frames import closest
from choicemodels.latent_class.specification import LatentClassLogit
from choicemodels.logit.design import UtilityTerms, design_terms
from choicemodels.logit.likelihood import Contributions, LogitLikelihood, LogitParameters
from choicemodels.logit.observations import Observations
from choicemodels.restrictions import Evaluation
from choicemodels.utility import Term

__all__ = ["LatentClassLikelihood", "LatentClassParameters"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LatentClassParameters:
    """How ``theta`` is laid out: class 1, the other classes but for what they share, membership.

    Attributes
    ----------
    utility : UtilityTerms
    alternatives : tuple of str, length J
    membership : tuple of Term, length L
        Variables of class membership, the constant first.
    position : ndarray of int64, shape (C, U)
        Where in ``theta`` the coefficients of each class stand.
    names : tuple of str, length P
    notes : tuple of str
    """

    utility: UtilityTerms
    alternatives: tuple[str, ...]
    membership: tuple[Term, ...]
    position: Ints
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def lay_out(cls, model: LatentClassLogit, data: AnyChoiceData) -> Self:
        """Name the parameters of a model over data.

        Raises
        ------
        SpecificationError, DataError
            If the formula does not fit the data, a name in ``shared`` is unknown, nothing is
            left to tell classes apart, a variable of membership or a weight varies within a
            decision maker, or there are fewer of these than classes.
        """
        utility = design_terms(model, data)
        C, U = model.classes, len(utility.names)
        maker = _makers(data)
        terms = expand(model.membership or "1", data.variables) if C > 1 else ()
        _check_membership(terms, data, maker)
        if maker.max() + 1 < C:
            raise SpecificationError(
                f"there are {C} classes for {maker.max() + 1} decision makers; ask for fewer."
            )
        if (data.weights != data.weights[_first(maker)][maker]).any():
            raise DataError(
                "the weights vary within a decision maker, who is one draw from the population; "
                "give all choices of one the same weight."
            )
        common = _common(model, utility.names)
        names = [n if c else f"{n}:class1" for n, c in zip(utility.names, common, strict=True)]
        position = np.tile(np.arange(U), (C, 1))
        own = np.flatnonzero(~common)
        for c in range(1, C):
            position[c, own] = len(names) + np.arange(len(own))
            names += [f"{utility.names[k]}:class{c + 1}" for k in own]
        names += [f"class{c}:{term.name}" for c in range(2, C + 1) for term in terms]
        notes = _notes(model, data, maker) if C > 1 else ()
        return cls(utility, data.alternatives, terms, position, tuple(names), notes)

    @property
    def title(self) -> str:
        """What a summary calls the model."""
        C = self.n_classes
        return f"Latent class logit ({C} class{'es' if C > 1 else ''})"

    @property
    def n_classes(self) -> int:
        """Number of classes, C."""
        return len(self.position)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(f"class{c}" for c in range(1, self.n_classes + 1))

    @property
    def common(self) -> NDArray[np.bool_]:
        """Which coefficients all classes share, shape (U,)."""
        return np.asarray((self.position == self.position[0]).all(axis=0))

    @property
    def slot(self) -> Ints:
        """Where in ``theta`` the parameters of membership of classes 2 ... C stand, (C - 1, L)."""
        L = len(self.membership)
        first = int(self.position.max()) + 1
        return first + np.arange((self.n_classes - 1) * L).reshape(self.n_classes - 1, L)

    def relabelled(self, theta: Array, order: Ints) -> Array:
        """Return the same point with classes in another order, shape (P,).

        Parameters
        ----------
        theta
            The point, shape (P,).
        order
            Which class becomes the first, the second, ..., shape (C,).
        """
        moved = theta.copy()
        delta = np.vstack([np.zeros(len(self.membership)), theta[self.slot]])[order]
        moved[self.position] = theta[self.position[order]]
        moved[self.slot] = delta[1:] - delta[0]
        return moved

    def start_from(self, utility: Array) -> Array:
        """Return a point with equal classes of equal size.

        It is a stationary point: a search must begin elsewhere.
        """
        theta = np.zeros(len(self.names))
        theta[self.position] = utility
        return theta

    def cautions(self, theta: Array) -> tuple[str, ...]:
        """Name the classes that do not differ."""
        beta = theta[self.position]
        scale = 1e-6 * (1.0 + np.abs(beta).max(axis=0))
        return tuple(
            f"{self.classes[c]} and {self.classes[d]} have the same coefficients; ask for fewer "
            "classes."
            for c in range(self.n_classes)
            for d in range(c)
            if (np.abs(beta[c] - beta[d]) < scale).all()
        )

    def over(self, data: ChoiceData) -> "LatentClassLikelihood":
        """Put the model over data, whose alternatives it must know."""
        observations = Observations.build(self.utility, data, self.alternatives)
        rows = data.table.iloc[data.offsets[_first(observations.maker)]]
        Z = np.array([np.broadcast_to(term_values(t, rows), len(rows)) for t in self.membership])
        return LatentClassLikelihood(self, observations, Z.reshape(-1, len(rows)).T)

    def to_dict(self) -> dict[str, Any]:
        """Return what rebuilds the layout, ready for JSON."""
        return {
            "utility": self.utility.to_dict(),
            "alternatives": list(self.alternatives),
            "membership": [vars(term) for term in self.membership],
            "position": self.position.tolist(),
            "names": list(self.names),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild the layout from :meth:`to_dict`."""
        return cls(
            UtilityTerms.from_dict(saved["utility"]),
            tuple(saved["alternatives"]),
            tuple(Term.from_dict(term) for term in saved["membership"]),
            np.array(saved["position"], dtype=np.int64),
            tuple(saved["names"]),
            tuple(saved["notes"]),
        )


def _makers(data: AnyChoiceData) -> Ints:
    """Return the number of the decision maker of each case, shape (N,)."""
    if isinstance(data, PartitionedChoiceData):
        labels = [d.makers for d in data.digests if d.makers is not None]
        if labels:
            return pd.factorize(np.concatenate(labels))[0].astype(np.int64)
        return np.arange(data.n_cases)
    if data.panel_name is None:
        return np.arange(data.n_cases)
    return pd.factorize(data.case_groups(data.panel_name)[1])[0].astype(np.int64)


def _first(maker: Ints) -> Ints:
    """Return the first case of each decision maker."""
    return np.unique(maker, return_index=True)[1].astype(np.int64)


def _check_membership(terms: tuple[Term, ...], data: AnyChoiceData, maker: Ints) -> None:
    """Refuse a variable of membership that differs between the rows of a decision maker."""
    for name in sorted(frozenset().union(*(term.variables for term in terms))):
        case = data.varying_case(name)
        if case is None:
            _, labels = data.case_groups(name)
            wrong = np.flatnonzero(labels != labels[_first(maker)][maker])
            case = data.case_ids[wrong[0]] if len(wrong) else None
        if case is not None:
            raise SpecificationError(
                f"'{name}' stands in membership= but varies within a decision maker (see case "
                f"{case}); a class is for good, so use what does not vary, such as a mean."
            )


def _common(model: LatentClassLogit, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return which coefficients all classes share, shape (U,)."""
    if model.classes == 1:
        return np.ones(len(names), dtype=bool)
    common = np.zeros(len(names), dtype=bool)
    for entry in model.shared:
        found = np.array([name == entry or name.startswith(f"{entry}:") for name in names])
        if not found.any():
            raise SpecificationError(
                f"shared names the coefficient '{entry}'{closest(entry, names)}, which the "
                f"utilities do not have; they have: {enumerate_some(names, 12)}."
            )
        common |= found
    if common.all():
        raise SpecificationError(
            "all coefficients are shared, so that the classes are one; leave one out of shared=, "
            "or use MultinomialLogit."
        )
    return common


def _notes(model: LatentClassLogit, data: AnyChoiceData, maker: Ints) -> tuple[str, ...]:
    notes = []
    if not (model.constraints or model.bounds):
        notes.append("Classes are numbered by their size, the largest first.")
    if len(maker) == maker.max() + 1:
        notes.append(
            "Every decision maker chooses once, so that classes are told apart by the functional "
            "form alone; panel= of the data names decision makers who choose again."
        )
    return tuple(notes)


@dataclass(frozen=True, eq=False)
class LatentClassLikelihood:
    """The likelihood of a latent class logit over given data.

    Attributes
    ----------
    parameters : LatentClassParameters
    observations : Observations
        Weights are those of the decision makers, the same for all cases of one.
    Z : ndarray, shape (D, L)
        Variables of membership of the D decision makers.
    """

    parameters: LatentClassParameters
    observations: Observations
    Z: Array

    @property
    def flat(self) -> LogitLikelihood:
        """The multinomial logit of all classes together."""
        p = self.parameters
        return LogitLikelihood(
            LogitParameters.of_utility(p.utility, p.alternatives), self.observations
        )

    @property
    def weights(self) -> Array:
        """Weights of the decision makers, shape (D,)."""
        return self.observations.weights[_first(self.observations.maker)]

    def memberships(self, theta: Array) -> Array:
        """Return ``log pi``, log probabilities of the classes, shape (D, C)."""
        p = self.parameters
        index = np.zeros((len(self.Z), p.n_classes))
        index[:, 1:] = self.Z @ theta[p.slot].T
        return index - _logsumexp(index)[:, None]

    def posteriors(self, theta: Array) -> tuple[Array, Array]:
        """Return ``log L`` (D,) and the posterior probabilities of the classes (D, C)."""
        joint = self.memberships(theta)
        for c, at in enumerate(self.parameters.position):
            joint[:, c] += self._loglike(theta[at])
        loglike = _logsumexp(joint)
        return loglike, np.exp(joint - loglike[:, None])

    def _loglike(self, beta: Array) -> Array:
        """Return the log-likelihood of the decision makers in a class, shape (D,)."""
        o = self.observations
        _, logsum = self.flat.probabilities(beta)
        at = o.design.at(beta)
        V = at.beta @ at.X[:, o.chosen]
        if len(at.offset):
            V += at.offset[o.chosen]
        return _sum_by(o.maker, (V - logsum)[:, None], len(self.Z))[:, 0]

    def completed(self, theta: Array, posterior: Array) -> Evaluation:
        """Return the expected log-likelihood of choices and classes, which the M-step maximizes.

        Parameters
        ----------
        theta
            The point, shape (P,).
        posterior
            Probabilities of the classes given the choices, shape (D, C).

        Returns
        -------
        tuple
            Value, score (P,) and Hessian (P, P).
        """
        p, o, w = self.parameters, self.observations, self.weights
        llf, score, hessian = self._membership(theta, posterior)
        for c, at in enumerate(p.position):
            logit = self.flat.reweighted((w * posterior[:, c])[o.maker])
            value, slope, curvature = logit.evaluate(theta[at])
            llf += value
            score[at] += slope
            hessian[np.ix_(at, at)] += curvature
        return llf, score, hessian

    def _membership(self, theta: Array, posterior: Array) -> Evaluation:
        """Return the part of the expected log-likelihood that membership has."""
        p, w, P = self.parameters, self.weights, len(theta)
        score, hessian = np.zeros(P), np.zeros((P, P))
        log_pi = self.memberships(theta)
        pi = np.exp(log_pi)
        score[p.slot] = (w[:, None] * (posterior - pi)[:, 1:]).T @ self.Z
        for c, at in enumerate(p.slot, start=1):
            for d, other in enumerate(p.slot, start=1):
                weight = w * pi[:, c] * ((c == d) - pi[:, d])
                hessian[np.ix_(at, other)] = -(self.Z.T * weight) @ self.Z
        return float(w @ (posterior * log_pi).sum(axis=1)), score, hessian

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and exact Hessian (P, P)."""
        if not np.isfinite(theta).all():
            P = len(theta)
            return -np.inf, np.zeros(P), np.zeros((P, P))
        at = self.contributions(theta)
        return at.llf, at.score, at.hessian

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with those of every decision maker."""
        p, o, w = self.parameters, self.observations, self.weights
        loglike, posterior = self.posteriors(theta)
        _, _, hessian = self._membership(theta, posterior)
        pi = np.exp(self.memberships(theta))
        slots = p.slot.ravel()
        scores = np.zeros((len(w), len(theta)))
        for c, at in enumerate(p.position):
            mass = w * posterior[:, c]
            found = self.flat.reweighted(mass[o.maker]).contributions(theta[at])
            of_class = _sum_by(o.maker, found.score_obs, len(w))
            away = ((np.arange(1, p.n_classes) == c) - pi[:, 1:])[:, :, None] * self.Z[:, None, :]
            of_class = np.hstack([of_class, mass[:, None] * away.reshape(len(w), -1)])
            places = np.concatenate([at, slots])
            scores[:, places] += of_class
            # The class's own scores, times the root of their weight.
            scaled = _divide(of_class, np.sqrt(mass))
            hessian[np.ix_(at, at)] += found.hessian
            hessian[np.ix_(places, places)] += scaled.T @ scaled
        scaled = _divide(scores, np.sqrt(w))
        hessian -= scaled.T @ scaled
        loglike_obs = w * loglike
        return Contributions(
            float(loglike_obs.sum()),
            scores.sum(axis=0),
            hessian,
            loglike_obs,
            scores,
            o.maker if len(w) < o.n_cases else None,
        )

    def by_class(self, theta: Array) -> tuple[Array, Array]:
        """Return probabilities of the rows (C, R) and logsums of the cases (C, N) in each class."""
        found = [self.flat.probabilities(theta[at]) for at in self.parameters.position]
        return np.array([P for P, _ in found]), np.array([logsum for _, logsum in found])

    def probabilities(self, theta: Array) -> tuple[Array, Array]:
        """Return choice probabilities of the rows (R,) and logsums of the cases (N,).

        Both are means over the classes, with memberships as they were before any choice.
        """
        o = self.observations
        P, logsum = self.by_class(theta)
        pi = np.exp(self.memberships(theta))[o.maker].T
        rows = np.repeat(pi, np.diff(o.offsets), axis=1)
        return (rows * P).sum(axis=0), (pi * logsum).sum(axis=0)

    def reweighted(self, weights: Array) -> Self:
        """Give the cases other weights, shape (N,), the same for all of one decision maker."""
        return replace(self, observations=replace(self.observations, weights=weights))


def _logsumexp(values: Array) -> Array:
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(axis=1)))


def _sum_by(group: Ints, values: Array, groups: int) -> Array:
    """Sum the rows of each group, shape (groups, K)."""
    sums = np.empty((groups, values.shape[1]))
    for k, column in enumerate(values.T):
        sums[:, k] = np.bincount(group, weights=column, minlength=groups)
    return sums


def _divide(rows: Array, divisor: Array) -> Array:
    """Divide each row, where zero by zero is zero."""
    return rows / np.where(divisor > 0, divisor, 1.0)[:, None]
