"""One pass over sorted rows: take a step, balance each group, collect the cross-products."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from estimation.absorb import FAST, Effects

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
    w: Any, r: Any, X: Any, total: float, low: int, high: int, codes: Any,
    centred: Any, rhs: Any, gram: Any, diagonal: Any,
) -> None:  # fmt: skip
    K, n, J = X.shape[0], high - low, codes.shape[0]
    for k in range(K + 1):
        mean = 0.0
        if k < K:
            for i in range(n):
                mean += w[low + i] * X[k, low + i]
            mean /= total
            for i in range(n):
                centred[k, i] = w[low + i] * (X[k, low + i] - mean)
        else:
            for i in range(n):
                mean += r[low + i]
            mean /= total
            for i in range(n):
                centred[k, i] = r[low + i] - w[low + i] * mean
        for j in range(J):
            for i in range(n):
                rhs[k, codes[j, low + i]] += centred[k, i]
        for m in range(min(k + 1, K)):
            product = 0.0
            for i in range(n):
                product += centred[k, i] * X[m, low + i]
            gram[m, k] += product
    for j in range(J):
        for i in range(n):
            diagonal[codes[j, low + i]] += w[low + i] * (1.0 - w[low + i] / total)


@njit(cache=True, parallel=True, fastmath=FAST, error_model="numpy")
def _start_kernel(
    w: Any, r: Any, X: Any, total: Any, starts: Any, codes: Any, blocks: Any, widest: int, L: int
) -> Any:
    B, K = len(blocks) - 1, X.shape[0]
    rhs = np.zeros((B, K + 1, L))
    gram = np.zeros((B, K + 1, K + 1))
    diagonal = np.zeros((B, L))
    for b in prange(B):
        centred = np.empty((K + 1, widest))
        for g in range(blocks[b], blocks[b + 1]):
            _moments_of_group(
                w, r, X, total[g], starts[g], starts[g + 1], codes,
                centred, rhs[b], gram[b], diagonal[b],
            )  # fmt: skip
    return rhs, gram, diagonal


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _move_group(
    eta: Any, mu: Any, r: Any, y: Any, X: Any, Y: float, low: int, high: int, codes: Any,
    beta: Any, alpha: Any, change: Any,
) -> tuple[float, float, float]:  # fmt: skip
    """Add a step to eta and balance the group.

    Returns the sum of y eta, and over the rows without flow the least change and the least mean.
    """
    n = high - low
    for i in range(n):
        change[i] = 0.0
    for k in range(X.shape[0]):
        for i in range(n):
            change[i] += beta[k] * X[k, low + i]
    for j in range(codes.shape[0]):
        for i in range(n):
            change[i] += alpha[codes[j, low + i]]
    top = -np.inf
    for i in range(n):
        top = max(top, eta[low + i] + change[i])
    mass = 0.0
    for i in range(n):
        mu[low + i] = np.exp(eta[low + i] + change[i] - top)
        mass += mu[low + i]
    shift = np.log(Y / mass) - top
    ratio = Y / mass
    value = 0.0
    least, lowest = 0.0, np.inf
    for i in range(n):
        delta = change[i] + shift
        eta[low + i] += delta
        mu[low + i] *= ratio
        r[low + i] = y[low + i] - mu[low + i]
        value += y[low + i] * eta[low + i]
        if y[low + i] == 0.0:
            least = min(least, delta)
            lowest = min(lowest, mu[low + i])
    return value, least, lowest


@njit(cache=True, parallel=True, fastmath=FAST, error_model="numpy")
def _advance_kernel(
    eta: Any, mu: Any, r: Any, y: Any, X: Any, total: Any, beta: Any, alpha: Any,
    starts: Any, codes: Any, blocks: Any, widest: int, L: int,
) -> Any:  # fmt: skip
    """Take a step in place and return the moments there, in one pass over the rows."""
    B, K = len(blocks) - 1, X.shape[0]
    rhs = np.zeros((B, K + 1, L))
    gram = np.zeros((B, K + 1, K + 1))
    diagonal = np.zeros((B, L))
    value = np.zeros(B)
    least = np.zeros(B)
    lowest = np.full(B, np.inf)
    for b in prange(B):
        centred = np.empty((K + 1, widest))
        change = np.empty(widest)
        for g in range(blocks[b], blocks[b + 1]):
            low, high = starts[g], starts[g + 1]
            part, fall, bottom = _move_group(
                eta, mu, r, y, X, total[g], low, high, codes, beta, alpha, change
            )
            value[b] += part
            least[b] = min(least[b], fall)
            lowest[b] = min(lowest[b], bottom)
            _moments_of_group(
                mu, r, X, total[g], low, high, codes, centred, rhs[b], gram[b], diagonal[b]
            )
    return rhs, gram, diagonal, value, least, lowest


@njit(cache=True, parallel=True, fastmath=FAST, error_model="numpy")
def _within_kernel(
    X: Any, w: Any, total: Any, starts: Any, codes: Any, blocks: Any, A: Any, out: Any
) -> None:
    """Subtract from each column its projection: the other effects, then the group means."""
    for b in prange(len(blocks) - 1):
        for g in range(blocks[b], blocks[b + 1]):
            low, high = starts[g], starts[g + 1]
            for k in range(X.shape[0]):
                mean = 0.0
                for i in range(low, high):
                    value = X[k, i]
                    for j in range(codes.shape[0]):
                        value -= A[k, codes[j, i]]
                    out[k, i] = value
                    mean += w[i] * value
                mean /= total[g]
                for i in range(low, high):
                    out[k, i] -= mean


def _layout(effects: Effects) -> tuple[Any, ...]:
    return effects.starts, effects.codes, effects.blocks, effects.widest, effects.others


def moments(effects: Effects, w: Array, r: Array, X: Array, total: Array) -> Moments:
    """Return the cross-products of X, shape (K, N), and of ``r / w`` under the weights w."""
    return _moments(total, *_start_kernel(w, r, X, total, *_layout(effects)))


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
    rhs, gram, diagonal, value, least, lowest = _advance_kernel(
        eta, mu, r, y, X, total, d_beta, d_alpha, *_layout(effects)
    )
    at = _moments(total, rhs, gram, diagonal)
    return Advance(at, float(value.sum()), float(least.min()), float(lowest.min()))


def partial_out(effects: Effects, X: Array, w: Array, total: Array, A: Array) -> Array:
    """Return ``X - D A`` less its weighted group means, shape (K, N)."""
    out = np.empty_like(X)
    _within_kernel(X, w, total, effects.starts, effects.codes, effects.blocks, A, out)
    return out


def _moments(total: Array, rhs: Array, gram: Array, diagonal: Array) -> Moments:
    upper = gram.sum(axis=0)
    full = np.triu(upper) + np.triu(upper, 1).T
    return Moments(total, rhs.sum(axis=0), full, diagonal.sum(axis=0))
