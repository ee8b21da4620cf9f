"""Passes over the moves of a matrix that ask where each leads.

A move counts if it leaves the area of a level: ``outside`` holds the area of each finest area at
that level, and with the finest level itself every nonzero off the diagonal counts.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.migration.matrix_kernels import block_bounds, by_rows

__all__ = [
    "CELLS",
    "FIRST",
    "HALVES",
    "SHORTEST",
    "destination_sums",
    "distance_sums",
    "moves_by_reach",
    "moves_by_type",
    "moves_out_and_in",
    "moves_upward",
    "rank_sums",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int32]

# The grid of haversines: distances of ten metres on the earth and up, in cells that are half a
# 256th of the distance wide or narrower.
FIRST = -40
SHORTEST = 2.0 ** (FIRST - 1)
HALVES = 256
CELLS = 2 + (2 - FIRST) * HALVES


@njit(cache=True, nogil=True)
def _moves_by_type(
    first: int, last: int, indptr: Any, indices: Any, values: Any, outside: Any, codes: Any,
    out: Any,
) -> None:  # fmt: skip
    for i in range(first, last):
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if outside[j] != outside[i]:
                out[i, codes[j]] += values[k]


@njit(cache=True, nogil=True)
def _moves_out_and_in(
    first: int, last: int, indptr: Any, indices: Any, values: Any, outside: Any, out: Any,
    into: Any,
) -> None:  # fmt: skip
    for i in range(first, last):
        total = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if outside[j] != outside[i]:
                total += values[k]
                into[j] += values[k]
        out[i] = total


@njit(cache=True, nogil=True)
def _moves_upward(
    first: int, last: int, indptr: Any, indices: Any, values: Any, outside: Any, attribute: Any,
    threshold: float, out: Any,
) -> None:  # fmt: skip
    for i in range(first, last):
        here = attribute[i]
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if outside[j] == outside[i]:
                continue
            there = attribute[j]
            if np.isnan(here) or np.isnan(there):
                out[i, 2] += values[k]
            elif there - here > threshold * here:
                out[i, 0] += values[k]
            else:
                out[i, 1] += values[k]


@njit(cache=True, nogil=True)
def _destination_sums(
    first: int, last: int, indptr: Any, indices: Any, values: Any, outside: Any, attribute: Any,
    out: Any,
) -> None:  # fmt: skip
    for i in range(first, last):
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if outside[j] == outside[i]:
                continue
            if np.isnan(attribute[j]):
                out[i, 2] += values[k]
            else:
                out[i, 0] += values[k]
                out[i, 1] += values[k] * attribute[j]


@njit(cache=True, nogil=True)
def _moves_by_reach(
    first: int, last: int, indptr: Any, indices: Any, values: Any, levels: Any, out: Any
) -> None:
    L = levels.shape[0]
    for i in range(first, last):
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            reach = 0
            while reach < L and levels[reach, j] != levels[reach, i]:
                reach += 1
            out[i, reach] += values[k]


@njit(cache=True, nogil=True)
def _distance_sums(
    first: int, last: int, indptr: Any, indices: Any, values: Any, outside: Any, points: Any,
    diameter: float, bins: Any, starts: Any, strata: Any, weights: Any, out: Any, counts: Any,
) -> None:  # fmt: skip
    B = bins.shape[0]
    for i in range(first, last):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if outside[j] == outside[i]:
                continue
            # The haversine is a quarter of the squared chord, and needs no angles of pairs.
            h = (points[j, 0] - x) ** 2 + (points[j, 1] - y) ** 2 + (points[j, 2] - z) ** 2
            h = min(h / 4, 1.0)
            d = diameter * np.arcsin(np.sqrt(h))
            b = 0
            while b < B and d >= bins[b]:
                b += 1
            out[i, b] += values[k]
            out[i, B + 1] += values[k] * d
            cell = 0
            if h >= SHORTEST:
                fraction, exponent = math.frexp(h)
                cell = 1 + (exponent - FIRST) * HALVES + int((2 * fraction - 1) * HALVES)
            for s in range(starts[i], starts[i + 1]):
                counts[strata[s], cell] += weights[s] * values[k]


@njit(cache=True, nogil=True)
def _rank_sums(
    first: int, last: int, indptr: Any, values: Any, cells: int, out: Any, block: int
) -> None:
    total = 0.0
    for i in range(first, last):
        row = np.sort(values[indptr[i] : indptr[i + 1]])
        below = cells - row.shape[0]
        for r in range(row.shape[0]):
            total += (2.0 * (below + r + 1) - cells - 1) * row[r]
    out[block] = total


def moves_by_type(matrix: MigrationMatrix, codes: Codes, types: int, outside: Codes) -> Array:
    """Add up the moves out of each area by the type of their destination, shape (N, types)."""
    out = np.zeros((matrix.areas.size, types))
    by_rows(
        matrix.indptr,
        lambda _, first, last: _moves_by_type(
            first, last, matrix.indptr, matrix.indices, matrix.values, outside, codes, out
        ),
    )
    return out


def moves_out_and_in(matrix: MigrationMatrix, outside: Codes) -> tuple[Array, Array]:
    """Add up the moves out of and into each area, each of shape (N,)."""
    out = np.empty(matrix.areas.size)
    into = np.zeros((len(block_bounds(matrix.indptr)) - 1, matrix.areas.size))
    by_rows(
        matrix.indptr,
        lambda block, first, last: _moves_out_and_in(
            first, last, matrix.indptr, matrix.indices, matrix.values, outside, out, into[block]
        ),
    )
    return out, np.asarray(into.sum(axis=0))


def moves_upward(
    matrix: MigrationMatrix, attribute: Array, threshold: float, outside: Codes
) -> Array:
    """Add up the moves out of each area by whether an attribute rises.

    Returns
    -------
    ndarray, shape (N, 3)
        Moves to areas where it exceeds ``(1 + threshold)`` times that of the origin, moves to
        others, and moves from or to an area where it is missing.
    """
    out = np.zeros((matrix.areas.size, 3))
    by_rows(
        matrix.indptr,
        lambda _, first, last: _moves_upward(
            first, last, matrix.indptr, matrix.indices, matrix.values, outside, attribute,
            threshold, out,
        ),
    )  # fmt: skip
    return out


def destination_sums(matrix: MigrationMatrix, attribute: Array, outside: Codes) -> Array:
    """Add up an attribute of the destinations of the moves out of each area.

    Returns
    -------
    ndarray, shape (N, 3)
        Moves to areas where it is known, the sum of it over them, and moves to other areas.
    """
    out = np.zeros((matrix.areas.size, 3))
    by_rows(
        matrix.indptr,
        lambda _, first, last: _destination_sums(
            first, last, matrix.indptr, matrix.indices, matrix.values, outside, attribute, out
        ),
    )
    return out


def moves_by_reach(matrix: MigrationMatrix, levels: NDArray[np.int32]) -> Array:
    """Add up the people of each area by the finest level that they did not leave.

    Parameters
    ----------
    levels : (L, N)
        Area of each finest area at each level, from fine to coarse.

    Returns
    -------
    ndarray, shape (N, L + 1)
        The last column holds those who left them all.
    """
    out = np.zeros((matrix.areas.size, len(levels) + 1))
    by_rows(
        matrix.indptr,
        lambda _, first, last: _moves_by_reach(
            first, last, matrix.indptr, matrix.indices, matrix.values, levels, out
        ),
    )
    return out


def distance_sums(
    matrix: MigrationMatrix,
    coordinates: tuple[Array, Array],
    radius: float,
    bins: Array,
    entries: tuple[NDArray[np.int64], Codes, Array],
    strata: int,
    outside: Codes,
) -> tuple[Array, Array]:
    """Add up the moves out of each area by great-circle distance.

    Parameters
    ----------
    coordinates : (N,), (N,)
        Latitude and longitude in radians.
    radius
        Of the sphere, in the unit of the distances.
    bins : (B,)
        Bounds of the bands, rising.
    entries
        Strata of each area by rows: pointers (N + 1,), strata and weights.
    strata
        Their number S.

    Returns
    -------
    rows (N, B + 2)
        Moves by band, then the sum of their distances.
    counts (S, H)
        Moves by stratum and haversine ``sin²(d / 2R)``, in cells of which ``HALVES`` divide each
        doubling evenly; the first cell holds what is below ``SHORTEST``.
    """
    starts, codes, weights = entries
    phi, lam = coordinates
    points = np.column_stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    rows = np.zeros((matrix.areas.size, len(bins) + 2))
    counts = np.zeros((len(block_bounds(matrix.indptr)) - 1, strata, CELLS))
    by_rows(
        matrix.indptr,
        lambda block, first, last: _distance_sums(
            first, last, matrix.indptr, matrix.indices, matrix.values, outside, points,
            2 * radius, bins, starts, codes, weights, rows, counts[block],
        ),
    )  # fmt: skip
    return rows, np.asarray(counts.sum(axis=0))


def rank_sums(indptr: NDArray[np.int64], values: Array, cells: int) -> float:
    """Add up ``(2 r - C - 1) x_(r)`` over the sorted values of each row of C cells.

    Half the sum of absolute differences within rows; cells that are not stored are zero.
    """
    out = np.zeros(len(block_bounds(indptr)) - 1)
    by_rows(
        indptr,
        lambda block, first, last: _rank_sums(first, last, indptr, values, cells, out, block),
    )
    return float(out.sum())
