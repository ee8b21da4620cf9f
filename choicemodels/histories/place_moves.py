"""Moves between places, added up as they come."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["MoverCells", "PlaceMoves"]

Integers = NDArray[np.int64]

# Cells that may wait before they are added up to those that were.
_LEAST_WAITING = 4_000_000


@dataclass(frozen=True, eq=False)
class PlaceMoves:
    """People of one year by the places of their addresses, areas first and ZIP codes after them.

    Attributes
    ----------
    stayers : ndarray, shape (P,)
        People who did not change their address.
    movers : csr_array, shape (P, P)
        People who did; those whose new address has the same place stand on the diagonal.
    """

    stayers: NDArray[np.float64]
    movers: "csr_array[Any]"


class MoverCells:
    """Whole-numbered weights by cell; memory grows with the distinct cells alone.

    A cell is ``(year * places + origin) * places + destination``.

    Parameters
    ----------
    places
        Their number, P.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: list[tuple[Integers, Integers]] = []
        self._count = 0
        self._kept = 0

    def add(self, keys: Integers, weights: Integers) -> None:
        """Take cells that may repeat, shape (Z,)."""
        self._waiting.append((keys, weights))
        self._count += len(keys)
        if self._count - self._kept > max(_LEAST_WAITING, self._kept):
            self._add_up()

    def _add_up(self) -> tuple[Integers, Integers]:
        """Sort what came and add up what repeats."""
        keys = np.concatenate([np.empty(0, np.int64), *(part[0] for part in self._waiting)])
        weights = np.concatenate([np.empty(0, np.int64), *(part[1] for part in self._waiting)])
        self._waiting.clear()
        order = np.argsort(keys)
        keys, weights = keys[order], weights[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        keys = keys[starts]
        weights = np.add.reduceat(weights, starts) if len(starts) else weights
        self._waiting.append((keys, weights))
        self._count = self._kept = len(keys)
        return keys, weights

    def matrices(self, years: int, unit: int) -> list["csr_array[Any]"]:
        """Return people by origin and destination for each year, shape (P, P).

        Parameters
        ----------
        years
            Their number.
        unit
            Weight of one person.
        """
        from scipy.sparse import csr_array

        keys, weights = self._add_up()
        P = self._places
        bounds = np.searchsorted(keys, np.arange(years + 1) * P * P)
        found: list[Any] = []
        for low, high in pairwise(bounds.tolist()):
            rows, columns = np.divmod(keys[low:high] % (P * P), P)
            indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=P))])
            found.append(csr_array((weights[low:high] / unit, columns, indptr), shape=(P, P)))
        return found
