"""The (nested) logit over choices among many places, which are never expanded."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.formula import term_values
from choicemodels.logit.factored_kernels import expected_choices, factored_derivatives
from choicemodels.logit.likelihood import Contributions, LogitParameters
from choicemodels.logit.tree import NestTree
from choicemodels.restrictions import Evaluation
from choicemodels.utility import Term, variables

__all__ = ["FactoredLikelihood"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
_NONE = np.empty(0)

# Choosers are taken together if that leaves fewer than this share of them.
_WORTH_GROUPING = 0.7


@dataclass(frozen=True, eq=False)
class Places:
    """The places' side of the utilities over R cells, those of an origin sorted by nest.

    Attributes
    ----------
    B : ndarray, shape (K, R)
        The places' part of each term.
    part : ndarray of int64, shape (K,)
        Which of the choosers' parts multiplies it.
    offset : ndarray, shape (R,) or (0,)
    cells : ndarray of int64, shape (O + 1,)
        First cell of each origin.
    alternative : ndarray of int64, shape (R,)
        Position of each cell's alternative in the model's order.
    order : ndarray of int64, shape (R,)
        Position of each cell in the data's :class:`~choicemodels.choices.places.PlaceTable`.
    """

    B: Array
    part: Ints
    offset: Array
    cells: Ints
    alternative: Ints
    order: Ints


@dataclass(frozen=True, eq=False)
class Choosers:
    """The choosers' side: G groups that are alike in what the utilities see, sorted by origin.

    Attributes
    ----------
    a : ndarray, shape (C, G)
        Values of the distinct parts.
    origin : ndarray of int64, shape (G,)
    chosen : ndarray of int64, shape (G,)
        Cell of the chosen alternative; -1 where none is known.
    weights : ndarray, shape (G,)
        Sum of the members' weights.
    group : ndarray of int64, shape (N,)
        The group of each chooser.
    case_weights : ndarray, shape (N,)
    """

    a: Array
    origin: Ints
    chosen: Ints
    weights: Array
    group: Ints
    case_weights: Array


@dataclass(frozen=True, eq=False)
class FactoredLikelihood:
    """The likelihood of a (nested) logit over factored data.

    Attributes
    ----------
    parameters : LogitParameters
    places : Places
    choosers : Choosers
    """

    parameters: LogitParameters
    places: Places
    choosers: Choosers

    @classmethod
    def build(cls, parameters: LogitParameters, data: FactoredChoiceData) -> Self:
        """Split the terms over the tables, and evaluate each part where it varies.

        Raises
        ------
        SpecificationError
            If a term mixes variables of choosers and places in one factor.
        DataError
            If the data hold an alternative that the model does not know, or a part cannot be
            evaluated.
        """
        alternative, order = _nest_order(parameters.tree, data)
        place = data.places
        terms = parameters.utility.linear
        offset = parameters.utility.offset
        split = [_split(term, data) for term in (*terms, *([offset] if offset else []))]
        distinct = list(dict.fromkeys(chooser for chooser, _ in split))
        values = [_chooser_values(term, data) for term in distinct]
        rows = np.array([_place_values(term, data)[order] for _, term in split])
        B = np.ascontiguousarray(rows[: len(terms)]).reshape(len(terms), len(order))
        part = np.array([distinct.index(chooser) for chooser, _ in split], dtype=np.int64)
        a = np.array(values).reshape(len(distinct), data.n_cases)
        if offset and distinct[part[-1]].factors:
            # The offset's coefficient is one: the choosers' part has to be a term's own.
            raise SpecificationError(
                f"the offset '{offset.factors[0]}' varies by chooser, which factored data do not "
                "take; use variables of alternatives and pairs, or lay the data out with to_long()."
            )
        fixed = rows[-1].copy() if offset else _NONE
        if len(parameters.constants):
            given = parameters.constants[alternative]
            fixed = fixed + given if offset else given
        known = data.chosen_alternative >= 0
        cell_of = np.full((len(place.offsets) - 1, len(data.alternatives)), -1, dtype=np.int64)
        cell_of[place.origin[order], place.alternative[order]] = np.arange(len(order))
        chosen = np.where(known, cell_of[data.origin, data.chosen_alternative], -1)
        return cls(
            parameters,
            Places(
                B,
                part[: len(terms)],
                fixed,
                place.offsets,
                alternative,
                order,
            ),
            _group(a, data.origin, chosen, data.weights),
        )

    @property
    def n_cases(self) -> int:
        """Number of choosers, N."""
        return len(self.choosers.group)

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and exact Hessian (P, P).

        Outside of ``lambda > 0`` the log-likelihood is minus infinity.
        """
        lam = self.parameters.lambdas(theta)
        if not (np.isfinite(theta).all() and (lam > 0).all()):
            P = len(theta)
            return -np.inf, np.zeros(P), np.zeros((P, P))
        return self._derivatives(theta, _NONE, _NONE.reshape(0, 0))

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with the contribution of every chooser."""
        c = self.choosers
        loglike, scores = np.empty(len(c.origin)), np.empty((len(c.origin), len(theta)))
        llf, score, hessian = self._derivatives(theta, loglike, scores)
        scores = scores[c.group]
        scores *= c.case_weights[:, None]
        return Contributions(llf, score, hessian, loglike[c.group] * c.case_weights, scores)

    def column_squares(self, theta: Array) -> Array:
        """Return each column's mean square within the choice sets, summed over cases, (K,)."""
        places, c = self.places, self.choosers
        means = np.add.reduceat(places.B**2, places.cells[:-1], axis=1) / np.diff(places.cells)
        squares = [
            (c.weights * c.a[p] ** 2) @ mean[c.origin]
            for p, mean in zip(places.part, means, strict=True)
        ]
        return np.array(squares)

    def _derivatives(self, theta: Array, loglike_obs: Array, score_obs: Array) -> Evaluation:
        p, c, places = self.parameters, self.choosers, self.places
        return factored_derivatives(
            places.B,
            places.part,
            c.a,
            c.origin,
            places.cells,
            places.alternative,
            c.chosen,
            c.weights,
            np.ascontiguousarray(theta[: p.n_utility]),
            places.offset,
            p.lambdas(theta),
            p.slot,
            p.tree.parent,
            p.rum,
            p.n_free,
            loglike_obs,
            score_obs,
        )

    def expected(self, theta: Array) -> tuple[Array, Array]:
        """Return expected choices of the data's cells (R,) and logsums of the choosers (N,)."""
        p, c, places = self.parameters, self.choosers, self.places
        expected, logsum = expected_choices(
            places.B,
            places.part,
            c.a,
            c.origin,
            places.cells,
            places.alternative,
            c.weights,
            np.ascontiguousarray(theta[: p.n_utility]),
            places.offset,
            p.lambdas(theta),
            p.tree.parent,
            p.rum,
        )
        in_order = np.empty_like(expected)
        in_order[places.order] = expected
        return in_order, logsum[c.group]

    def plain(self) -> Self:
        """Return the multinomial logit with the same utilities over the same data."""
        p = self.parameters
        return replace(self, parameters=LogitParameters.of_utility(p.utility, p.alternatives))

    def subset(self, cases: Ints) -> Self:
        """Keep some choosers."""
        c = self.choosers
        group = c.group[cases]
        return self._over(_group(c.a[:, group], c.origin[group], c.chosen[group],
                                 c.case_weights[cases]))  # fmt: skip

    def reweighted(self, weights: Array) -> Self:
        """Give the choosers other weights, shape (N,)."""
        c = self.choosers
        summed = _sums(c.group, weights, len(c.origin))
        return self._over(replace(c, weights=summed, case_weights=weights))

    def _over(self, choosers: Choosers) -> Self:
        return replace(self, choosers=choosers)


def _nest_order(tree: NestTree, data: FactoredChoiceData) -> tuple[Ints, Ints]:
    """Return each cell's alternative in the model's order, and the cells sorted by nest."""
    position = {name: j for j, name in enumerate(tree.alternatives)}
    unknown = [name for name in data.alternatives if name not in position]
    if unknown:
        raise DataError(
            f"the data hold the alternatives {enumerate_some([repr(u) for u in unknown])}, which "
            "the model was not estimated with; leave them out."
        )
    codes = np.array([position[name] for name in data.alternatives], dtype=np.int64)
    alternative = codes[data.places.alternative]
    order = np.lexsort((alternative, tree.parent[alternative], data.places.origin))
    return np.ascontiguousarray(alternative[order]), order


def _split(term: Term, data: FactoredChoiceData) -> tuple[Term, Term]:
    """Sort the factors of a term into the choosers', a term without a name, and the places'."""
    of_chooser: list[str] = []
    of_place: list[str] = []
    for factor in term.factors:
        names = variables(factor)
        at_places = [name for name in names if name in data.places.table.columns]
        at_choosers = [name for name in names if name not in data.places.table.columns]
        if at_places and at_choosers:
            raise SpecificationError(
                f"the term '{term.name}' mixes the chooser's '{at_choosers[0]}' and the place's "
                f"'{at_places[0]}' in '{factor}', so that it would need every chooser times every "
                "place; write it as a product of one factor for each, such as college:log(wage), "
                "or lay the data out with to_long()."
            )
        (of_chooser if at_choosers else of_place).append(factor)
    chooser = replace(term.part(tuple(of_chooser)), name="", alternatives=None)
    return chooser, term.part(tuple(of_place))


def _chooser_values(term: Term, data: FactoredChoiceData) -> Array:
    values = term_values(term, data.choosers, what="choosers=")
    return np.array(np.broadcast_to(values, data.n_cases))


def _place_values(term: Term, data: FactoredChoiceData) -> Array:
    """Evaluate a term over the cells; zero where it does not enter."""
    table = data.places.table
    if term.alternatives is None:
        return np.array(np.broadcast_to(term_values(term, table), len(table)))
    names = np.array(data.alternatives, dtype=object)[data.places.alternative]
    inside = np.flatnonzero(np.isin(names, term.alternatives))
    values = np.zeros(len(table))
    values[inside] = term_values(term, table.iloc[inside].reset_index(drop=True))
    return values


def _group(a: Array, origin: Ints, chosen: Ints, weights: Array) -> Choosers:
    """Take choosers together that are alike in origin, parts and choice; sort by origin."""
    N = len(origin)
    keys = pd.DataFrame(np.vstack([origin, chosen, a]).T)
    alike = keys.groupby(list(keys.columns), sort=True).ngroup()
    group: Ints = np.asarray(alike, dtype=np.int64)
    count = int(group.max()) + 1
    if count > _WORTH_GROUPING * N:
        group = np.empty(N, dtype=np.int64)
        group[np.argsort(origin, kind="stable")] = np.arange(N)
        count = N
    first = np.empty(count, dtype=np.int64)
    first[group[::-1]] = np.arange(N)[::-1]
    return Choosers(
        np.ascontiguousarray(a[:, first]),
        origin[first],
        chosen[first],
        _sums(group, weights, count),
        group,
        np.asarray(weights, dtype=np.float64),
    )


def _sums(group: Ints, weights: Array, count: int) -> Array:
    return np.bincount(group, weights=weights, minlength=count).astype(np.float64)
