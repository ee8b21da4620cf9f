"""Split a fitted utility into what varies by worker and what varies by place.

The systematic utility of destination j for a worker n living in o is a sum of terms
``coefficient * worker(n) * place(o, j)`` or ``coefficient * worker(n) * match(c(n), j)``, where the
code c is the worker's occupation or the family's metro. Workers with the same worker parts of the
terms of the first kind are one *type*; types are few, so utilities are (types, M, M) instead of
(workers, M). Worker parts that take too many values, and matches, are each worker's own deviation
from the type (`microsim.mobility.deviations`). The utility of staying is one number a worker.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.utility import evaluate, product, variables
from microsim.mobility.behaviour import Behaviour
from microsim.mobility.terms import SplitTerm, match_of, split_terms
from microsim.mobility.variables import PRODUCTS, PlaceColumns, WorkerColumns

__all__ = ["MobilityUtility", "WorkerTypes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_TYPES = 64
_SCALE, _COST = PRODUCTS["moving_cost"]


@dataclass(frozen=True)
class WorkerTypes:
    """Workers grouped by the worker parts of the destinations' terms.

    Attributes
    ----------
    code : ndarray (N,) int64
        Type of each worker.
    parts : ndarray (T, K) float64
        Value of each of the K distinct worker parts for each type.
    residuals : mapping of ndarray (N,) float64
        Of the parts that take too many values for types: the worker's value less the mean of all,
        which stands in ``parts``.
    """

    code: Ints
    parts: Floats
    residuals: Mapping[tuple[str, ...], Floats]


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
        """The distinct worker parts of the destinations' terms; together they make the types.

        Those that say what money is worth come first: they must make types.
        """
        costly = [part for term, rest in self._costly() for part in (term.worker, rest)]
        if costly:
            costly.append((_SCALE,))
        parts = costly + [t.worker for t in self._outward() if not t.match]
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

    def moving_scale(self, parts: Floats) -> Floats:
        """Return the household's factor on the moving cost for each type, (T,).

        Only of a model that knows money.
        """
        scale: Floats = parts[:, self.worker_parts.index((_SCALE,))]
        return scale

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

    @property
    def matches(self) -> tuple[SplitTerm, ...]:
        """The destinations' terms that match a metro with the worker."""
        return tuple(t for t in self._outward() if t.match)

    @property
    def paired(self) -> tuple[SplitTerm, ...]:
        """The destinations' other terms."""
        return tuple(t for t in self._outward() if not t.match)

    def types(self, workers: Mapping[str, Floats], count: int) -> WorkerTypes:
        """Group ``count`` workers by the worker parts of the destinations' terms.

        Raises
        ------
        SpecificationError
            If the parts that say what money is worth make more than 64 types.
        """
        code, parts = np.zeros(count, dtype=np.int64), np.empty((1, 0))
        residuals: dict[tuple[str, ...], Floats] = {}
        costly = {part for term, rest in self._costly() for part in (term.worker, rest)}
        costly.add((_SCALE,))
        for part in self.worker_parts:
            values = np.broadcast_to(product(part, workers), (count,))
            joint = _joined(code, parts, values)
            if joint is None and part in costly:
                raise SpecificationError(
                    f"the worker part '{':'.join(part)}' of the moving cost makes more than "
                    f"{MOST_TYPES} types of workers; use a coarser one, such as age >= 45 instead "
                    "of age."
                )
            if joint is None:
                mean = float(values.mean())
                residuals[part] = values - mean
                parts = np.column_stack([parts, np.full(len(parts), mean)])
            else:
                code, parts = joint
        return WorkerTypes(code, parts, residuals)

    def destinations(self, parts: Floats, places: PlaceColumns) -> Floats:
        """Return the systematic utilities of destinations, (T, M origins, M destinations)."""
        where = places.destinations()
        index = {part: k for k, part in enumerate(self.worker_parts)}
        size = len(self.cbsa)
        base = np.zeros((size, size))
        by_type: list[tuple[Floats, Floats]] = []
        for term in self.paired:
            value = self.place_part(term, where)
            if term.worker:
                by_type.append((parts[:, index[term.worker]], value))
            else:
                base += value
        V = np.repeat(base[None], len(parts), axis=0)
        for factor, value in by_type:
            V += factor[:, None, None] * value
        return V

    def place_part(self, term: SplitTerm, where: Mapping[str, Floats]) -> Floats:
        """Return a term's coefficient times its place part, (M origins, M destinations)."""
        shape = (len(self.cbsa), len(self.cbsa))
        value = term.coefficient * np.broadcast_to(product(term.place, where), shape)
        return value if term.destinations is None else value * np.isin(self.cbsa, term.destinations)

    def match_part(self, term: SplitTerm, places: PlaceColumns) -> Floats:
        """Return a term's coefficient times its match and place parts, (C, M destinations)."""
        value = term.coefficient * product(term.match, places.match)
        value = value * product(term.place, places.metro)
        return value if term.destinations is None else value * np.isin(self.cbsa, term.destinations)

    def staying(self, workers: WorkerColumns, metro: Ints, places: PlaceColumns) -> Floats:
        """Return the systematic utility of staying, (N,)."""
        here = places.stay()
        by_origin = np.full(len(self.cbsa), self.staying_shift)
        by_worker = np.zeros(len(metro))
        for term in (t for t in self.terms if t.stay):
            place = term.coefficient * product(term.place, here)
            if not (term.worker or term.match or term.mixed):
                by_origin = by_origin + place
                continue
            if not place.any():  # what is nothing for those who stay, such as the cost of moving
                continue
            value = product(term.worker, workers)
            for factor in term.mixed:
                value = value * evaluate(factor, _Joined(workers, here, metro))
            if term.match:
                table = product(term.match, places.match)
                value = value * table[workers.codes(match_of(term)), metro]
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
        return self.log_probability_rows(V[kind, origin], origin)

    def log_probability_rows(self, rows: Floats, origin: Ints) -> Floats:
        """Return log P(destination | move), (R, M), for utilities (R, M) from metros (R,)."""
        dense = self._dense(rows, np.arange(len(self.cbsa)) != origin[:, None])
        log_p: Floats = self.behaviour.mobility.log_probabilities(*dense)[:, self._places]
        return log_p

    def logsum_rows(self, rows: Floats, origin: Ints) -> Floats:
        """Return the logsum of moving, (R,), for utilities (R, M) from metros (R,)."""
        dense = self._dense(rows, np.arange(len(self.cbsa)) != origin[:, None])
        return self.behaviour.mobility.branch_logsum(*dense, "stay")

    def _dense(self, V: Floats, choice: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
        """Lay utilities of destinations (R, M) out over the alternatives, "stay" left out."""
        shape = (len(V), len(self.behaviour.mobility.alternatives))
        full, available = np.zeros(shape), np.zeros(shape, dtype=bool)
        full[:, self._places], available[:, self._places] = V, choice
        return full, available

    @property
    def _places(self) -> slice | Ints:
        """Where the metros stand among the alternatives, (M,)."""
        first, last = int(self.columns[0]), int(self.columns[-1])
        # Neighbours in order, as they mostly are, are reached without a copy.
        if np.array_equal(self.columns, np.arange(first, last + 1)):
            return slice(first, last + 1)
        return self.columns


def _joined(code: Ints, parts: Floats, values: Floats) -> tuple[Ints, Floats] | None:
    """Split types by a further part; None if that made more than `MOST_TYPES`."""
    if len(np.unique(values[:1000])) > MOST_TYPES:
        return None
    inner, distinct = pd.factorize(values, sort=True)
    if len(distinct) > MOST_TYPES:
        return None
    joint, keys = pd.factorize(code * len(distinct) + inner, sort=True)
    if len(keys) > MOST_TYPES:
        return None
    outer, last = np.divmod(np.asarray(keys), len(distinct))
    return joint.astype(np.int64), np.column_stack([parts[outer], np.asarray(distinct)[last]])


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
