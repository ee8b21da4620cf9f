"""Passes over the moves of a matrix that ask where each leads.

A move counts if it leaves the area of a level: ``outside`` holds the area of each finest area at
that level, and with the finest level itself every nonzero off the diagonal counts.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.migration.matrix_kernels import block_bounds, by_rows

__all__ = [
    "destination_sums",
    "distance_sums",
    "moves_by_reach",
    "moves_by_type",
    "moves_out_and_in",
    "moves_upward",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int32]


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
    first: int, last: int, indptr: Any, indices: Any, values: Any, outside: Any,
    phi: Any, lam: Any, cosine: Any, diameter: float, bins: Any,
    starts: Any, strata: Any, weights: Any, shortest: float, step: float, out: Any, counts: Any,
) -> None:  # fmt: skip
    B, H = bins.shape[0], counts.shape[1]
    for i in range(first, last):
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if outside[j] == outside[i]:
                continue
            half = np.sin((phi[j] - phi[i]) / 2) ** 2
            half += cosine[i] * cosine[j] * np.sin((lam[j] - lam[i]) / 2) ** 2
            d = diameter * np.arcsin(np.sqrt(min(half, 1.0)))
            b = 0
            while b < B and d >= bins[b]:
                b += 1
            out[i, b] += values[k]
            out[i, B + 1] += values[k] * d
            h = 0
            if d > shortest:
                h = min(1 + int(np.log(d / shortest) / step), H - 1)
            for s in range(starts[i], starts[i + 1]):
                counts[strata[s], h] += weights[s] * values[k]


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
    grid: tuple[float, float, int],
    outside: Codes,
) -> tuple[Array, Array]:
    """Add up the moves out of each area by distance, by the haversine formula.

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
    grid
        Shortest distance told apart, logarithmic width of a cell, and number of cells H.

    Returns
    -------
    rows (N, B + 2)
        Moves by band, then the sum of their distances.
    counts (S, H)
        Moves by stratum and cell of the grid; the first cell holds what is shorter than the grid.
    """
    shortest, step, H = grid
    starts, codes, weights = entries
    phi, lam = coordinates
    cosine = np.cos(phi)
    rows = np.zeros((matrix.areas.size, len(bins) + 2))
    counts = np.zeros((len(block_bounds(matrix.indptr)) - 1, strata, H))
    by_rows(
        matrix.indptr,
        lambda block, first, last: _distance_sums(
            first, last, matrix.indptr, matrix.indices, matrix.values, outside,
            phi, lam, cosine, 2 * radius, bins, starts, codes, weights, shortest, step,
            rows, counts[block],
        ),
    )  # fmt: skip
    return rows, np.asarray(counts.sum(axis=0))
