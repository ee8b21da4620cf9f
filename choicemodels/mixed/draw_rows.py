"""Arithmetic along simulation draws, for compiled code.

A workspace W holds one quantity in each row and a block of draws along it, so that every inner loop
is long, contiguous, of a length the compiler knows, and stays in cache. Quantities are named by
their row: passing numbers instead of slices keeps calls as cheap as the loops are short.
"""

from typing import Any

from numba import njit

from choicemodels.logit.probabilities import FAST

__all__ = ["BLOCK", "add_product", "add_rows", "dots", "multiply"]

# Draws at a time, the length of all rows.
BLOCK = 128


@njit(cache=True, fastmath=FAST)
def add_rows(W: Any, out: int, shift: int, index: Any, weight: Any, begin: int, end: int) -> None:
    """Add ``sum_i weight_i W[shift + index_i]``, i from begin to end, to row out."""
    target = W[out]
    i = begin
    while i + 4 <= end:
        a, b, c, d = weight[i], weight[i + 1], weight[i + 2], weight[i + 3]
        x, y = W[shift + index[i]], W[shift + index[i + 1]]
        z, u = W[shift + index[i + 2]], W[shift + index[i + 3]]
        for r in range(BLOCK):
            target[r] += a * x[r] + b * y[r] + c * z[r] + d * u[r]
        i += 4
    if i + 2 <= end:
        a, b = weight[i], weight[i + 1]
        x, y = W[shift + index[i]], W[shift + index[i + 1]]
        for r in range(BLOCK):
            target[r] += a * x[r] + b * y[r]
        i += 2
    if i < end:
        a, x = weight[i], W[shift + index[i]]
        for r in range(BLOCK):
            target[r] += a * x[r]


@njit(cache=True, fastmath=FAST)
def multiply(W: Any, out: int, a: int, b: int, factor: float) -> None:
    """Set row out to ``factor`` times the product of rows a and b."""
    target, x, y = W[out], W[a], W[b]
    for r in range(BLOCK):
        target[r] = factor * x[r] * y[r]


@njit(cache=True, fastmath=FAST)
def add_product(W: Any, out: int, a: int, b: int, factor: float) -> None:
    """Add ``factor`` times the product of rows a and b to row out."""
    target, x, y = W[out], W[a], W[b]
    for r in range(BLOCK):
        target[r] += factor * x[r] * y[r]


@njit(cache=True, fastmath=FAST)
def dots(
    W: Any, out: Any, line: int, place: int, y: int, shift: int, index: Any, begin: int, end: int
) -> None:
    """Add the inner products of row y and the rows ``shift + index_i``, i from begin to end.

    They are added to ``out[line, place + i]``.
    """
    v = W[y]
    i = begin
    while i + 4 <= end:
        x0, x1 = W[shift + index[i]], W[shift + index[i + 1]]
        x2, x3 = W[shift + index[i + 2]], W[shift + index[i + 3]]
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for r in range(BLOCK):
            a += v[r] * x0[r]
            b += v[r] * x1[r]
            c += v[r] * x2[r]
            d += v[r] * x3[r]
        out[line, place + i] += a
        out[line, place + i + 1] += b
        out[line, place + i + 2] += c
        out[line, place + i + 3] += d
        i += 4
    if i + 2 <= end:
        x0, x1 = W[shift + index[i]], W[shift + index[i + 1]]
        a, b = 0.0, 0.0
        for r in range(BLOCK):
            a += v[r] * x0[r]
            b += v[r] * x1[r]
        out[line, place + i] += a
        out[line, place + i + 1] += b
        i += 2
    if i < end:
        x0, a = W[shift + index[i]], 0.0
        for r in range(BLOCK):
            a += v[r] * x0[r]
        out[line, place + i] += a
