"""One pass over sorted rows: take a step, balance each group, collect the cross-products."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.vector_exp import vector_exp
from estimation.gravity.absorb import FAST, Effects, add_products, fill_fitted, over_blocks

__all__ = ["Advance", "Moments", "advance", "moments", "partial_out"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Weighted cross-products of columns, each less its group means.

    Attributes
    ----------
    total : ndarray, shape (G,)
        Sums of the weights by group of the first effect.
    rhs : ndarray, shape (K + 1, L)
        Right-hand sides of the normal equations for the columns of X and for the residual.
    gram : ndarray, shape (K + 1, K + 1)
        Cross-products of X, and in the last column those with the residual.
    diagonal : ndarray, shape (L,)
        Diagonal of S.
    """

    total: Array
    rhs: Array
    gram: Array
    diagonal: Array


@dataclass(frozen=True, eq=False)
class Advance:
    """Where a step led.

    Attributes
    ----------
    at : Moments
        Under the weights mu, with the residual y - mu.
    value : float
        Sum of y times eta.
    drift : float
        Least change of eta in a row without flow; zero if none fell.
    lowest : float
        Least mean of a row without flow; infinite if there is none.
    """

    at: Moments
    value: float
    drift: float
    lowest: float


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _moments_of_group(
    w: Any, r: Any, X: Any, total: float, low: int, high: int, columns: Any,
    centred: Any, rhs: Any, gram: Any, diagonal: Any,
) -> None:  # fmt: skip
    K, n = X.shape[0], high - low
    weight, left = w[low:high], r[low:high]
    for k in range(K + 1):
        column = centred[k]
        mean = 0.0
        if k < K:
            x = X[k, low:high]
            for i in range(n):
                mean += weight[i] * x[i]
            mean /= total
            for i in range(n):
                column[i] = weight[i] * (x[i] - mean)
        else:
            for i in range(n):
                mean += left[i]
            mean /= total
            for i in range(n):
                column[i] = left[i] - weight[i] * mean
        add_products(columns, low, high, column, rhs[k])
        for m in range(min(k + 1, K)):
            x = X[m, low:high]
            product = 0.0
            for i in range(n):
                product += column[i] * x[i]
            gram[m, k] += product
    for j in range(columns.codes.shape[0]):
        code, s = columns.codes[j, low:high], columns.slope[j]
        for i in range(n):
            entry = columns.values[s, low + i] if s >= 0 else 1.0
            diagonal[code[i]] += weight[i] * (1.0 - weight[i] / total) * entry * entry


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _moments_of_block(
    w: Any, r: Any, X: Any, total: Any, starts: Any, columns: Any, first: int, last: int,
    widest: int, rhs: Any, gram: Any, diagonal: Any,
) -> None:  # fmt: skip
    centred = np.empty((X.shape[0] + 1, widest))
    for g in range(first, last):
        _moments_of_group(
            w, r, X, total[g], starts[g], starts[g + 1], columns, centred, rhs, gram, diagonal
        )


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _move_group(
    eta: Any, mu: Any, r: Any, y: Any, X: Any, Y: float, low: int, high: int, columns: Any,
    beta: Any, alpha: Any, change: Any,
) -> tuple[float, float, float]:  # fmt: skip
    """Add a step to eta and balance the group.

    Returns the sum of y eta, and over the rows without flow the least change and the least mean.
    """
    n = high - low
    e, m, left, flow = eta[low:high], mu[low:high], r[low:high], y[low:high]
    fill_fitted(columns, low, high, alpha, change)
    for k in range(X.shape[0]):
        x, step = X[k, low:high], beta[k]
        for i in range(n):
            change[i] += step * x[i]
    top = -np.inf
    for i in range(n):
        top = max(top, e[i] + change[i])
    mass = 0.0
    for i in range(n):
        m[i] = vector_exp(e[i] + change[i] - top)
        mass += m[i]
    shift, ratio = np.log(Y / mass) - top, Y / mass
    value, least, lowest = 0.0, 0.0, np.inf
    for i in range(n):
        e[i] += change[i] + shift
        m[i] *= ratio
        left[i] = flow[i] - m[i]
        value += flow[i] * e[i]
        if flow[i] == 0.0:
            least = min(least, change[i] + shift)
            lowest = min(lowest, m[i])
    return value, least, lowest


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _advance_block(
    eta: Any, mu: Any, r: Any, y: Any, X: Any, total: Any, beta: Any, alpha: Any, starts: Any,
    columns: Any, first: int, last: int, widest: int, rhs: Any, gram: Any, diagonal: Any,
    value: Any,
) -> None:  # fmt: skip
    centred = np.empty((X.shape[0] + 1, widest))
    change = np.empty(widest)
    value[0], value[1], value[2] = 0.0, 0.0, np.inf
    for g in range(first, last):
        low, high = starts[g], starts[g + 1]
        part, fall, bottom = _move_group(
            eta, mu, r, y, X, total[g], low, high, columns, beta, alpha, change
        )
        value[0] += part
        value[1] = min(value[1], fall)
        value[2] = min(value[2], bottom)
        _moments_of_group(mu, r, X, total[g], low, high, columns, centred, rhs, gram, diagonal)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _within_of_block(
    X: Any, w: Any, total: Any, starts: Any, columns: Any, first: int, last: int, widest: int,
    A: Any, out: Any,
) -> None:  # fmt: skip
    """Subtract from each column its projection: the other effects, then the group means."""
    fitted = np.empty(widest)
    for g in range(first, last):
        low, high = starts[g], starts[g + 1]
        weight = w[low:high]
        for k in range(X.shape[0]):
            x, left = X[k, low:high], out[k, low:high]
            fill_fitted(columns, low, high, A[k], fitted)
            for i in range(high - low):
                left[i] = x[i] - fitted[i]
            mean = 0.0
            for i in range(high - low):
                mean += weight[i] * left[i]
            mean /= total[g]
            for i in range(high - low):
                left[i] -= mean


def _room(effects: Effects, K: int) -> tuple[Array, Array, Array]:
    """Return zeros for the partial sums of each block: rhs, gram, diagonal."""
    B, L = len(effects.blocks) - 1, effects.others
    return np.zeros((B, K + 1, L)), np.zeros((B, K + 1, K + 1)), np.zeros((B, L))


def moments(effects: Effects, w: Array, r: Array, X: Array, total: Array) -> Moments:
    """Return the cross-products of X, shape (K, N), and of ``r / w`` under the weights w."""
    rhs, gram, diagonal = _room(effects, len(X))

    def work(b: int, first: int, last: int) -> None:
        _moments_of_block(
            w, r, X, total, effects.starts, effects.columns, first, last, effects.widest,
            rhs[b], gram[b], diagonal[b],
        )  # fmt: skip

    over_blocks(effects, work)
    return _moments(total, rhs, gram, diagonal)


def advance(
    effects: Effects, eta: Array, mu: Array, r: Array, y: Array, X: Array, total: Array,
    d_beta: Array, d_alpha: Array,
) -> Advance:  # fmt: skip
    """Take a step in place and evaluate the model where it leads.

    Parameters
    ----------
    effects
        Fixed effects; all arrays over rows are in their sorted order.
    eta, mu, r
        Linear predictor, mean and ``y - mu``, shape (N,): overwritten.
    y
        Flows, shape (N,).
    X
        Regressors, shape (K, N).
    total
        Sums of y by group of the first effect, shape (G,), positive.
    d_beta, d_alpha
        The step, shapes (K,) and (L,).
    """
    rhs, gram, diagonal = _room(effects, len(X))
    value = np.empty((len(effects.blocks) - 1, 3))

    def work(b: int, first: int, last: int) -> None:
        _advance_block(
            eta, mu, r, y, X, total, d_beta, d_alpha, effects.starts, effects.columns, first,
            last, effects.widest, rhs[b], gram[b], diagonal[b], value[b],
        )  # fmt: skip

    over_blocks(effects, work)
    least, lowest = float(value[:, 1].min()), float(value[:, 2].min())
    return Advance(_moments(total, rhs, gram, diagonal), float(value[:, 0].sum()), least, lowest)


def partial_out(
    effects: Effects, X: Array, w: Array, total: Array, A: Array, *, in_place: bool = False
) -> Array:
    """Return ``X - D A`` less its weighted group means, shape (K, N), in X itself if wished."""
    out = X if in_place else np.empty_like(X)

    def work(b: int, first: int, last: int) -> None:
        _within_of_block(
            X, w, total, effects.starts, effects.columns, first, last, effects.widest, A, out
        )

    over_blocks(effects, work)
    return out


def _moments(total: Array, rhs: Array, gram: Array, diagonal: Array) -> Moments:
    upper = gram.sum(axis=0)
    full = np.triu(upper) + np.triu(upper, 1).T
    return Moments(total, rhs.sum(axis=0), full, diagonal.sum(axis=0))
