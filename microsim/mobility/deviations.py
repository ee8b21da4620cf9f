"""What a worker's utilities of destinations add to those of the type.

The deviation of worker n, living in o, at destination j is a sum of ``r(n) * x(o, j)``, where r is
a worker part that takes too many values to make types, less its mean, and of
``r(n) * x(c(n), j)``, where x is a match with the metro. It is bounded before it is computed:

    logsum(V + deviation) <= logsum(V) + max_j deviation_j <= logsum(V) + ceiling,

because a logsum rises in each utility, and by as much as all of them do. A worker whose draw lies
above the chance at the ceiling does not move; the few others are evaluated exactly.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.utility import product
from microsim.mobility.terms import match_of
from microsim.mobility.utility import MobilityUtility, WorkerTypes
from microsim.mobility.variables import PlaceColumns, WorkerColumns

__all__ = ["Deviations"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Part:
    """A term of the deviations.

    Attributes
    ----------
    scale : ndarray (N,) float64
        r of the formula.
    table : ndarray (C, M) float64
        x of the formula, the coefficient in it.
    code : ndarray (N,) int64
        Row of the table for each worker: the own metro, or the code of a match.
    highest, lowest : ndarray (C, M origins) float64
        Of each row of the table, the own metro left out.
    """

    scale: Floats
    table: Floats
    code: Ints
    highest: Floats
    lowest: Floats


@dataclass(frozen=True)
class Deviations:
    """The workers' deviations from their types' utilities.

    Attributes
    ----------
    parts : tuple
        None for a model whose destinations are known by type alone.
    metro : ndarray (N,) int64
        Where the workers live.
    """

    parts: tuple[_Part, ...]
    metro: Ints

    @classmethod
    def build(
        cls,
        utility: MobilityUtility,
        workers: WorkerColumns,
        types: WorkerTypes,
        metro: Ints,
        places: PlaceColumns,
    ) -> "Deviations":
        """Prepare the deviations of workers in ``metro`` (N,)."""
        where = places.destinations()
        parts = []
        for term in utility.paired:
            if term.worker in types.residuals:
                table = utility.place_part(term, where)
                parts.append(_part(types.residuals[term.worker], table, metro))
        for term in utility.matches:
            table = utility.match_part(term, places)
            scale = product(term.worker, workers)
            parts.append(_part(scale, table, workers.codes(match_of(term))))
        return cls(tuple(parts), metro)

    def only(self, workers: Ints) -> "Deviations":
        """Return the deviations of some workers, (R,)."""
        parts = (
            replace(part, scale=part.scale[workers], code=part.code[workers]) for part in self.parts
        )
        return Deviations(tuple(parts), self.metro[workers])

    def ceiling(self) -> Floats | None:
        """Return the bound on what the deviations add to each worker's logsum, (N,).

        None if there are no deviations.
        """
        if not self.parts:
            return None
        bound = np.zeros(len(self.metro))
        for part in self.parts:
            _raise(part.scale, part.highest, part.lowest, part.code, self.metro, bound)
        return bound

    def rows(self, workers: Ints) -> Floats | float:
        """Return the deviations of some workers, (R, M); 0.0 if there are none."""
        if not self.parts:
            return 0.0
        total = np.zeros((len(workers), self.parts[0].table.shape[1]))
        for part in self.parts:
            _add(part.scale, part.table, part.code, workers, total)
        return total


@njit(cache=True, nogil=True)
def _raise(scale: Any, highest: Any, lowest: Any, code: Any, metro: Any, bound: Any) -> None:
    """Add a term's largest value to every worker's bound."""
    for n in range(code.shape[0]):
        high, low = highest[code[n], metro[n]], lowest[code[n], metro[n]]
        bound[n] += max(scale[n] * high, scale[n] * low)


@njit(cache=True, nogil=True)
def _add(scale: Any, table: Any, code: Any, workers: Any, total: Any) -> None:
    """Add a term to the deviations ``total`` (R, M) of some workers."""
    for r in range(workers.shape[0]):
        own, row = scale[workers[r]], code[workers[r]]
        for j in range(table.shape[1]):
            total[r, j] += own * table[row, j]


def _part(scale: Floats, table: Floats, code: Ints) -> _Part:
    high = _highest_elsewhere(table)
    each = scale if scale.ndim else np.full(len(code), scale)
    return _Part(each, np.ascontiguousarray(table), code, high, -_highest_elsewhere(-table))


def _highest_elsewhere(table: Floats) -> Floats:
    """Return the highest value of each row but that in the column, (C, M)."""
    first = table.argmax(axis=1)
    second = np.partition(table, -2, axis=1)[:, -2]
    out = np.repeat(table.max(axis=1)[:, None], table.shape[1], axis=1)
    out[np.arange(len(table)), first] = second
    return out
