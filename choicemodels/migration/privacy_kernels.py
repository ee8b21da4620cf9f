"""Where the movers of each area go, row by row."""

from typing import Any

import numpy as np
from numba import njit

__all__ = ["destinations_of_rows", "drop_movers"]


@njit(cache=True, nogil=True)
def destinations_of_rows(
    first: int, last: int, indptr: Any, indices: Any, values: Any, most: int,
    movers: Any, destinations: Any, largest: Any,
) -> None:  # fmt: skip
    """Set, for each row, its movers, their destinations, and who goes to the ``most`` largest.

    Parameters
    ----------
    first, last
        Rows.
    indptr, indices, values
        The matrix, by rows.
    most
        Number of destinations.
    movers, destinations, largest : (N,)
        People off the diagonal, cells with people, and people in the largest ``most`` cells.
    """
    top = np.empty(most)
    for i in range(first, last):
        total, count = 0.0, 0
        for k in range(indptr[i], indptr[i + 1]):
            value = values[k]
            if indices[k] == i or value <= 0.0:
                continue
            total += value
            # The largest so far stand in falling order; a cell finds its place from the end.
            if count < most:
                place = count
            elif value > top[most - 1]:
                place = most - 1
            else:
                count += 1
                continue
            while place > 0 and top[place - 1] < value:
                top[place] = top[place - 1]
                place -= 1
            top[place] = value
            count += 1
        movers[i], destinations[i] = total, count
        largest[i] = top[: min(count, most)].sum()


@njit(cache=True, nogil=True)
def drop_movers(
    first: int, last: int, indptr: Any, indices: Any, values: Any, hidden: Any,
    starts: Any, kept_indices: Any, kept_values: Any,
) -> None:  # fmt: skip
    """Copy rows, of hidden ones the people on the diagonal alone.

    Parameters
    ----------
    first, last
        Rows.
    indptr, indices, values
        The matrix, by rows.
    hidden : (N,)
    starts : (N + 1,)
        Pointers of the copy.
    kept_indices, kept_values
        Set to the copy.
    """
    for i in range(first, last):
        at = starts[i]
        for k in range(indptr[i], indptr[i + 1]):
            if not hidden[i] or (indices[k] == i and values[k] > 0.0):
                kept_indices[at], kept_values[at] = indices[k], values[k]
                at += 1
