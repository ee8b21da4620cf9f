"""Moments of two matrices of moves taken together, pair by pair, row by row."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.migration.matrix_kernels import block_bounds, by_rows

__all__ = ["paired_moments"]

Array = NDArray[np.float64]


@njit(cache=True, nogil=True)
def _add_rows(
    first: int, last: int, diagonal: bool,
    indptr: Any, indices: Any, values: Any, shift: float,
    other_indptr: Any, other_indices: Any, other_values: Any, other_shift: float,
    out: Any,
) -> None:  # fmt: skip
    """Walk along two sorted rows at once; a pair that one of them lacks counts as zero there."""
    for i in range(first, last):
        k, end = indptr[i], indptr[i + 1]
        m, other_end = other_indptr[i], other_indptr[i + 1]
        while k < end or m < other_end:
            j = indices[k] if k < end else np.int32(2147483647)
            h = other_indices[m] if m < other_end else np.int32(2147483647)
            x, y = 0.0, 0.0
            if j <= h:
                x = values[k]
                k += 1
            if h <= j:
                y = other_values[m]
                m += 1
            if not diagonal and min(j, h) == i:
                continue
            dx, dy = x - shift, y - other_shift
            out[0] += 1.0
            out[1] += dx
            out[2] += dy
            out[3] += dx * dx
            out[4] += dy * dy
            out[5] += dx * dy
            out[6] += (x - y) ** 2


def paired_moments(
    matrix: MigrationMatrix,
    other: MigrationMatrix,
    shift: float,
    other_shift: float,
    *,
    diagonal: bool,
) -> Array:
    """Add up moments over the pairs that either matrix stores.

    Parameters
    ----------
    matrix, other
        Of the same areas.
    shift, other_shift
        Values near the means, taken off first so that no digits are lost.
    diagonal
        Whether those who stay are pairs too.

    Returns
    -------
    ndarray, shape (7,)
        Pairs; sums of x - shift, of y - other_shift, of their squares and their product; sum of
        (x - y)^2.
    """
    parts = np.zeros((len(block_bounds(matrix.indptr)) - 1, 7))
    by_rows(
        matrix.indptr,
        lambda block, first, last: _add_rows(
            first, last, diagonal,
            matrix.indptr, matrix.indices, matrix.values, shift,
            other.indptr, other.indices, other.values, other_shift,
            parts[block],
        ),
    )  # fmt: skip
    return np.asarray(parts.sum(axis=0))
