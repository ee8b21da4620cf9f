"""Block principal pivoting for one small problem after the other."""

from typing import Any

import numpy as np
from numba import njit

__all__ = ["pivot"]

# Exchanges of many variables at once that may fail to help before one at a time is exchanged.
_PATIENCE = 3
# In place of zero, where nothing is to be divided.
_TINY = 1e-300


@njit(cache=True, nogil=True)
def _least_squares(A: Any, y: Any, w: Any, free: Any, F: int, M: Any, z: Any, x: Any) -> bool:
    """Set the free variables of x to the least squares of ``w (A x - y)``, by reflections.

    M (R, K) and z (R,) are overwritten: column a of M with the vector of its reflection below the
    diagonal and with the triangular factor above it. False where weights leave no full rank.
    """
    R = A.shape[0]
    for r in range(R):
        z[r] = w[r] * y[r]
        for a in range(F):
            M[r, a] = w[r] * A[r, free[a]]
    diagonal = np.empty(F)
    for a in range(F):
        norm = np.sqrt((M[a:, a] ** 2).sum())
        if not 0.0 < norm < np.inf:
            return False
        diagonal[a] = -norm if M[a, a] > 0.0 else norm
        M[a, a] -= diagonal[a]
        scale = -1.0 / (diagonal[a] * M[a, a])
        for b in range(a + 1, F + 1):
            total = 0.0
            for r in range(a, R):
                total += M[r, a] * (M[r, b] if b < F else z[r])
            for r in range(a, R):
                if b < F:
                    M[r, b] -= scale * total * M[r, a]
                else:
                    z[r] -= scale * total * M[r, a]
    for a in range(F - 1, -1, -1):
        total = z[a]
        for b in range(a + 1, F):
            total -= M[a, b] * x[free[b]]
        x[free[a]] = total / diagonal[a]
    return True


@njit(cache=True, nogil=True)
def _gradient(A: Any, y: Any, w: Any, x: Any, gradient: Any, terms: Any) -> None:
    """Set gradient to ``A' w² (y - A x)``, and terms to the size of what makes it up."""
    gradient[:] = 0.0
    terms[:] = _TINY
    for r in range(A.shape[0]):
        residual, size = y[r], abs(y[r])
        for k in range(A.shape[1]):
            residual -= A[r, k] * x[k]
            size = max(size, abs(A[r, k] * x[k]))
        weight = w[r] * w[r]
        for k in range(A.shape[1]):
            gradient[k] += A[r, k] * residual * weight
            terms[k] = max(terms[k], abs(A[r, k]) * size * weight)


@njit(cache=True, nogil=True)
def _solve(A: Any, y: Any, w: Any, rounding: float, most: int, passive: Any, x: Any) -> bool:
    R, K = A.shape
    M, z, gradient, terms = np.empty((R, K)), np.empty(R), np.empty(K), np.empty(K)
    free, broken = np.empty(K, dtype=np.int64), np.empty(K, dtype=np.int64)
    fewest, patience = K + 1, _PATIENCE
    for _ in range(most):
        F = 0
        for k in range(K):
            x[k] = 0.0
            if passive[k]:
                free[F] = k
                F += 1
        if not _least_squares(A, y, w, free, F, M, z, x):
            return False
        _gradient(A, y, w, x, gradient, terms)
        largest = max(np.abs(x).max(), _TINY)
        B = 0
        for k in range(K):
            # Rounding in a gradient is that of its own terms, whatever others weigh.
            excess = -x[k] / largest if passive[k] else gradient[k] / terms[k]
            if excess > rounding:
                broken[B] = k
                B += 1
        if B == 0:
            for k in range(K):
                x[k] = max(x[k], 0.0)
            return True
        if fewest > B:
            fewest, patience, first = B, _PATIENCE, 0
        elif patience > 0:
            patience, first = patience - 1, 0
        else:
            first = B - 1
        for b in range(first, B):
            passive[broken[b]] = not passive[broken[b]]
    return False


@njit(cache=True, nogil=True)
def pivot(first: int, last: int, A: Any, Y: Any, W: Any, rounding: float, most: int, X: Any) -> int:
    """Solve the problems from first to last; return the first that was not solved, or -1.

    Parameters
    ----------
    first, last
        Rows of Y.
    A : (R, K)
    Y : (N, R)
    W : (N, R) or (1, R)
        Weights of the residuals, for each problem or for all.
    rounding
        Relative size of a violation that is none.
    most
        Number of exchanges.
    X : (N, K)
        Set to the solutions.
    """
    passive = np.empty(A.shape[1], dtype=np.bool_)
    for i in range(first, last):
        passive[:] = True
        if not _solve(A, Y[i], W[i % len(W)], rounding, most, passive, X[i]):
            return i
    return -1
