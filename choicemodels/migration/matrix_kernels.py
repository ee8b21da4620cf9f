"""Passes over the nonzeros of a matrix of moves, row by row."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.threads import run_blocks

__all__ = [
    "block_bounds",
    "by_rows",
    "column_sums",
    "diagonal",
    "first_disorder",
    "group_sums",
    "row_sums",
]

Array = NDArray[np.float64]
Pointers = NDArray[np.int64]
Indices = NDArray[np.int32]

# Blocks are cut by nonzeros alone, so that sums do not depend on the number of threads.
_BLOCKS = 16


def block_bounds(indptr: Pointers, blocks: int = _BLOCKS) -> Pointers:
    """Cut rows into blocks with about as many nonzeros each, shape (blocks + 1,)."""
    goals = np.linspace(0, indptr[-1], blocks + 1)
    bounds = np.searchsorted(indptr, goals).astype(np.int64)
    bounds[0], bounds[-1] = 0, len(indptr) - 1
    return np.maximum.accumulate(bounds)


def by_rows(indptr: Pointers, work: Callable[[int, int, int], None]) -> None:
    """Call ``work(block, first row, last row)`` for each block of rows, on threads."""
    bounds = block_bounds(indptr)
    run_blocks(lambda b: work(b, int(bounds[b]), int(bounds[b + 1])), len(bounds) - 1)


@njit(cache=True, nogil=True)
def _row_sums(first: int, last: int, indptr: Any, values: Any, out: Any) -> None:
    for i in range(first, last):
        total = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            total += values[k]
        out[i] = total


@njit(cache=True, nogil=True)
def _column_sums(first: int, last: int, indptr: Any, indices: Any, values: Any, out: Any) -> None:
    for k in range(indptr[first], indptr[last]):
        out[indices[k]] += values[k]


@njit(cache=True, nogil=True)
def _diagonal(first: int, last: int, indptr: Any, indices: Any, values: Any, out: Any) -> None:
    for i in range(first, last):
        low, high = indptr[i], indptr[i + 1]
        while low < high:
            middle = (low + high) // 2
            if indices[middle] < i:
                low = middle + 1
            else:
                high = middle
        out[i] = values[low] if low < indptr[i + 1] and indices[low] == i else 0.0


@njit(cache=True, nogil=True)
def first_disorder(indptr: Any, indices: Any) -> int:
    """Return the first place whose column does not exceed the one before it, or -1."""
    for i in range(indptr.shape[0] - 1):
        for k in range(indptr[i] + 1, indptr[i + 1]):
            if indices[k] <= indices[k - 1]:
                return k
    return -1


@njit(cache=True, nogil=True)
def _group_sums(
    order: Any, starts: Any, first: int, last: int, codes: Any,
    indptr: Any, indices: Any, values: Any, counts: Any, columns: Any, sums: Any,
) -> int:  # fmt: skip
    """Add up the movers of each group of rows by the groups of their columns, sorted."""
    groups = starts.shape[0] - 1
    seen = np.full(groups, -1, np.int64)
    total = np.zeros(groups)
    out = 0
    for g in range(first, last):
        begin = out
        for a in range(starts[g], starts[g + 1]):
            i = order[a]
            for k in range(indptr[i], indptr[i + 1]):
                j = indices[k]
                if j == i:
                    continue
                c = codes[j]
                if seen[c] != g:
                    seen[c] = g
                    total[c] = 0.0
                    columns[out] = c
                    out += 1
                total[c] += values[k]
        columns[begin:out].sort()
        for k in range(begin, out):
            sums[k] = total[columns[k]]
        counts[g] = out - begin
    return out


def row_sums(indptr: Pointers, values: Array) -> Array:
    """Add up each row, shape (N,)."""
    out = np.empty(len(indptr) - 1)
    by_rows(indptr, lambda _, first, last: _row_sums(first, last, indptr, values, out))
    return out


def column_sums(indptr: Pointers, indices: Indices, values: Array, size: int) -> Array:
    """Add up each column, shape (size,)."""
    parts = np.zeros((len(block_bounds(indptr)) - 1, size))
    by_rows(
        indptr,
        lambda block, first, last: _column_sums(first, last, indptr, indices, values, parts[block]),
    )
    return np.asarray(parts.sum(axis=0))


def diagonal(indptr: Pointers, indices: Indices, values: Array) -> Array:
    """Return the diagonal, zero where it is not stored, shape (N,)."""
    out = np.empty(len(indptr) - 1)
    by_rows(indptr, lambda _, first, last: _diagonal(first, last, indptr, indices, values, out))
    return out


def group_sums(
    codes: Indices, groups: int, indptr: Pointers, indices: Indices, values: Array
) -> tuple[Pointers, Indices, Array]:
    """Add up the movers by group of origin and of destination; the diagonal is left out.

    Parameters
    ----------
    codes : (N,)
        Group of each area, below ``groups``.
    groups
        Their number, G.
    indptr, indices, values
        The matrix, by rows.

    Returns
    -------
    indptr (G + 1,), indices (Z,), values (Z,)
        By rows, sorted. People who move between two areas of one group stand on
        the diagonal.
    """
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(groups + 1)).astype(np.int64)
    nonzeros = np.add.reduceat(np.append(np.diff(indptr)[order], 0), starts[:-1])
    nonzeros[starts[1:] == starts[:-1]] = 0
    # No group can hold more pairs than there are groups.
    most = np.concatenate([[0], np.cumsum(np.minimum(nonzeros, groups))])
    bounds = block_bounds(np.concatenate([[0], np.cumsum(nonzeros)]))
    counts = np.zeros(groups, dtype=np.int64)
    found: list[tuple[Any, Any]] = [()] * (len(bounds) - 1)  # type: ignore[list-item]

    def work(block: int) -> None:
        first, last = int(bounds[block]), int(bounds[block + 1])
        size = int(most[last] - most[first])
        columns, sums = np.empty(size, dtype=np.int32), np.empty(size)
        filled = _group_sums(
            order, starts, first, last, codes, indptr, indices, values, counts, columns, sums
        )
        found[block] = (columns[:filled].copy(), sums[:filled].copy())

    run_blocks(work, len(found))
    columns, sums = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), columns, sums
