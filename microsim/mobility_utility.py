"""Split a fitted utility into what varies by worker and what varies by place.

The systematic utility of destination j for a worker n living in o is a sum of terms
``coefficient * worker(n) * place(o, j)``. Workers with the same worker parts of all terms are one
*type*; types are few, so utilities are (types, M, M) instead of (workers, M). The utility of
staying is one number a worker.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest
from choicemodels.utility import evaluate, product, variables
from microsim.behaviour import Behaviour, TermLike
from microsim.variables import PRODUCTS, VARIABLES, PlaceColumns

__all__ = ["MobilityUtility", "SplitTerm", "WorkerTypes", "split_terms"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_TYPES = 128
_SCALE, _COST = PRODUCTS["moving_cost"]


@dataclass(frozen=True)
class SplitTerm:
    """A term, its factors sorted by what they vary with.

    Attributes
    ----------
    name, coefficient
    worker : tuple of str
        Factors over workers' variables only.
    place : tuple of str
        Factors over variables of metros, origins and pairs, and constants.
    mixed : tuple of str
        Factors that mix the two; possible for "stay" alone.
    stay : bool
        Whether it enters the utility of staying.
    destinations : tuple of str or None
        The metros whose utility it enters; None for all.
    """

    name: str
    coefficient: float
    worker: tuple[str, ...]
    place: tuple[str, ...]
    mixed: tuple[str, ...]
    stay: bool
    destinations: tuple[str, ...] | None


def split_terms(terms: Sequence[TermLike]) -> tuple[SplitTerm, ...]:
    """Sort the factors of every term.

    Raises
    ------
    SpecificationError
        If a term names an unknown variable, or mixes a worker's variable with a place's in one
        factor of a destination's utility; the message names the term.
    """
    return tuple(_split(term) for term in terms)


def _split(term: TermLike) -> SplitTerm:
    worker, place, mixed = [], [], []
    only = term.alternatives
    destinations = None if only is None else tuple(a for a in only if a != "stay")
    for factor in _expand(term):
        by_worker = {_kind(name, term) == "worker" for name in variables(factor)}
        if by_worker == {True}:
            worker.append(factor)
        elif True not in by_worker:
            place.append(factor)
        elif destinations == ():
            mixed.append(factor)
        else:
            raise SpecificationError(
                f"the term '{term.name}' mixes a worker's and a place's variables in "
                f"'{factor}', so that it would need every worker times every metro; write it as "
                "a product of one factor for each, such as college:log(wage)."
            )
    stay = only is None or "stay" in only
    parts = (tuple(worker), tuple(place), tuple(mixed))
    return SplitTerm(term.name, float(term.coefficient), *parts, stay, destinations)


def _expand(term: TermLike) -> list[str]:
    """Replace a bare product variable by its two factors; refuse it inside an expression."""
    factors: list[str] = []
    for factor in term.factors:
        name = factor.strip()
        if name in PRODUCTS:
            factors.extend(PRODUCTS[name])
            continue
        inside = sorted(set(PRODUCTS) & variables(factor))
        if inside:
            raise SpecificationError(
                f"the term '{term.name}' uses {inside[0]} inside '{factor}', but {inside[0]} is "
                f"the product of {' and '.join(PRODUCTS[inside[0]])}; use it by itself, or use "
                "those two."
            )
        factors.append(factor)
    return factors


def _kind(name: str, term: TermLike) -> str:
    if name not in VARIABLES:
        raise SpecificationError(
            f"the term '{term.name}' of the mobility model uses '{name}', which the simulation "
            f"does not know{closest(name, VARIABLES)}; it knows {', '.join(sorted(VARIABLES))}."
        )
    return VARIABLES[name].kind


@dataclass(frozen=True)
class WorkerTypes:
    """Workers grouped by the worker parts of the destinations' terms.

    Attributes
    ----------
    code : ndarray (N,) int64
        Type of each worker.
    parts : ndarray (T, K) float64
        Value of each of the K distinct worker parts for each type.
    """

    code: Ints
    parts: Floats


@dataclass(frozen=True)
class MobilityUtility:
    """A mobility model made ready for a set of metros.

    Attributes
    ----------
    behaviour : Behaviour
    terms : tuple of SplitTerm
    columns : ndarray (M,) int64
        Position of every metro among the model's alternatives.
    cbsa : tuple of str
        The metros, in the population's order.
    staying_shift : float
        Added to everybody's utility of staying: the constant of "stay", calibrated.
    """

    behaviour: Behaviour
    terms: tuple[SplitTerm, ...]
    columns: Ints
    cbsa: tuple[str, ...]
    staying_shift: float = 0.0

    @classmethod
    def build(
        cls, behaviour: Behaviour, cbsa: Sequence[str], staying_shift: float = 0.0
    ) -> "MobilityUtility":
        """Prepare ``behaviour`` for the metros ``cbsa``.

        Raises
        ------
        SpecificationError
            If a metro is not among the model's alternatives, or a term cannot be split.
        """
        position = {name: i for i, name in enumerate(behaviour.mobility.alternatives)}
        missing = [code for code in cbsa if code not in position]
        if missing:
            raise SpecificationError(
                f"the mobility model knows no alternative for the metros "
                f"{enumerate_some(missing)}; estimate it on choices among all metros of the "
                "population, or simulate fewer metros."
            )
        columns = np.array([position[code] for code in cbsa], dtype=np.int64)
        terms = split_terms(behaviour.mobility.utility_terms())
        return cls(behaviour, terms, columns, tuple(cbsa), staying_shift)

    @property
    def worker_parts(self) -> tuple[tuple[str, ...], ...]:
        """The distinct worker parts of the destinations' terms; together they make the types."""
        parts = [t.worker for t in self._outward()] + [part for _, part in self._costly()]
        return tuple(dict.fromkeys(part for part in parts if part))

    @property
    def type_variables(self) -> frozenset[str]:
        """The workers' variables that make the types."""
        factors = [factor for part in self.worker_parts for factor in part]
        return frozenset().union(*(variables(factor) for factor in factors))

    @property
    def knows_money(self) -> bool:
        """Whether moving costs enter the utility of destinations."""
        return bool(self._costly())

    def value_of_money(self, parts: Floats) -> Floats:
        """Return the utility of a thousand dollars off the moving cost for each type, (T,).

        Parameters
        ----------
        parts : (T, K)
            From `types`.

        Raises
        ------
        SpecificationError
            If it differs by destination, because of a term such as moving_cost:log(distance).
        """
        index = {part: k for k, part in enumerate(self.worker_parts)}
        gain = np.zeros(len(parts))
        for term, part in self._costly():
            if len(term.place) > 1 or _SCALE in part or term.destinations is not None:
                raise SpecificationError(
                    f"the term '{term.name}' makes the value of money differ by destination or "
                    "with the cost itself, which the simulation of grants does not know; "
                    "interact moving_cost with workers' other variables only."
                )
            gain -= term.coefficient * (parts[:, index[part]] if part else 1.0)
        return gain

    def _costly(self) -> list[tuple[SplitTerm, tuple[str, ...]]]:
        """Return the terms with the moving cost, and what else they hold of the worker."""
        found = []
        for term in self._outward():
            if _SCALE in term.worker and _COST in term.place:
                rest = list(term.worker)
                rest.remove(_SCALE)
                found.append((term, tuple(rest)))
        return found

    def _outward(self) -> list[SplitTerm]:
        return [t for t in self.terms if t.destinations != ()]

    def types(self, workers: Mapping[str, Floats], count: int) -> WorkerTypes:
        """Group ``count`` workers by the worker parts of the destinations' terms.

        Raises
        ------
        SpecificationError
            If there are more than 128 types.
        """
        code = np.zeros(count, dtype=np.int64)
        parts = np.empty((1, 0))
        for part in self.worker_parts:
            values = np.broadcast_to(product(part, workers), (count,))
            inner, distinct = pd.factorize(values, sort=True)
            joint, keys = pd.factorize(code * len(distinct) + inner, sort=True)
            outer, last = np.divmod(np.asarray(keys), len(distinct))
            code = joint.astype(np.int64)
            parts = np.column_stack([parts[outer], np.asarray(distinct)[last]])
            if len(parts) > MOST_TYPES:
                raise SpecificationError(
                    f"the worker parts {', '.join(':'.join(p) for p in self.worker_parts)} of the "
                    f"destinations' utility take more than {MOST_TYPES} values together; use "
                    "coarser ones, such as age >= 45 instead of age."
                )
        return WorkerTypes(code, parts)

    def destinations(self, parts: Floats, places: PlaceColumns) -> Floats:
        """Return the systematic utilities of destinations, (T, M origins, M destinations)."""
        where = places.destinations()
        index = {part: k for k, part in enumerate(self.worker_parts)}
        size = len(self.cbsa)
        base = np.zeros((size, size))
        by_type: list[tuple[Floats, Floats]] = []
        for term in self._outward():
            value = term.coefficient * np.broadcast_to(product(term.place, where), (size, size))
            if term.destinations is not None:
                value = value * np.isin(self.cbsa, term.destinations)
            if term.worker:
                by_type.append((parts[:, index[term.worker]], value))
            else:
                base += value
        V = np.repeat(base[None], len(parts), axis=0)
        for factor, value in by_type:
            V += factor[:, None, None] * value
        return V

    def staying(self, workers: Mapping[str, Floats], metro: Ints, places: PlaceColumns) -> Floats:
        """Return the systematic utility of staying, (N,)."""
        here = places.stay()
        by_origin = np.full(len(self.cbsa), self.staying_shift)
        by_worker = np.zeros(len(metro))
        for term in (t for t in self.terms if t.stay):
            place = term.coefficient * product(term.place, here)
            if not term.worker and not term.mixed:
                by_origin = by_origin + place
                continue
            value = product(term.worker, workers)
            for factor in term.mixed:
                value = value * evaluate(factor, _Joined(workers, here, metro))
            by_worker += value * (place[metro] if place.ndim else place)
        V: Floats = by_worker + by_origin[metro]
        return V

    def logsums(self, V: Floats) -> Floats:
        """Return the logsum of moving, (T, M).

        Parameters
        ----------
        V : (T, M, M)
            From `destinations`.
        """
        choice = ~np.eye(len(self.cbsa), dtype=bool)
        rows = [self._dense(utilities, choice) for utilities in V]
        return np.array([self.behaviour.mobility.branch_logsum(*row, "stay") for row in rows])

    def log_probabilities(self, V: Floats, kind: Ints, origin: Ints) -> Floats:
        """Return log P(destination | move) of some movers, (moves, M).

        Parameters
        ----------
        V : (T, M, M)
            From `destinations`.
        kind, origin : (moves,)
            The movers' types and metros.
        """
        choice = np.arange(len(self.cbsa)) != origin[:, None]
        dense = self._dense(V[kind, origin], choice)
        log_p: Floats = self.behaviour.mobility.log_probabilities(*dense)[:, self.columns]
        return log_p

    def _dense(self, V: Floats, choice: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
        """Lay utilities of destinations (R, M) out over the alternatives, "stay" left out."""
        shape = (len(V), len(self.behaviour.mobility.alternatives))
        full, available = np.zeros(shape), np.zeros(shape, dtype=bool)
        full[:, self.columns], available[:, self.columns] = V, choice
        return full, available


class _Joined(Mapping[str, Floats]):
    """Workers' and places' variables together, the latter looked up by the worker's metro."""

    def __init__(
        self, workers: Mapping[str, Floats], here: Mapping[str, Floats], metro: Ints
    ) -> None:
        self._workers, self._here, self._metro = workers, here, metro

    def __getitem__(self, name: str) -> Floats:
        if name in self._workers:
            return self._workers[name]
        value = self._here[name]
        return value[self._metro] if value.ndim else value

    def __iter__(self) -> Iterator[str]:
        yield from self._workers
        yield from self._here

    def __len__(self) -> int:
        return len(self._workers) + len(self._here)
