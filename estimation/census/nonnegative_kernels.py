"""Block principal pivoting for one small problem after the other."""

from typing import Any

import numpy as np
from numba import njit

__all__ = ["pivot"]

# Exchanges of many variables at once that may fail to help before one at a time is exchanged.
_PATIENCE = 3


@njit(cache=True, nogil=True)
def _factor(G: Any, free: Any, F: int, L: Any) -> None:
    """Factorize the normal matrix of the free variables, L L' = G[free, free]."""
    for a in range(F):
        for b in range(a + 1):
            total = G[free[a], free[b]]
            for c in range(b):
                total -= L[a, c] * L[b, c]
            # Rank was checked for the whole design; rounding alone could take the root below zero.
            L[a, b] = np.sqrt(max(total, 1e-300)) if a == b else total / L[b, b]


@njit(cache=True, nogil=True)
def _add_solution(L: Any, free: Any, F: int, gradient: Any, step: Any, x: Any) -> None:
    """Add the solution of ``L L' d = gradient[free]`` to x."""
    for a in range(F):
        total = gradient[free[a]]
        for c in range(a):
            total -= L[a, c] * step[c]
        step[a] = total / L[a, a]
    for a in range(F - 1, -1, -1):
        total = step[a]
        for c in range(a + 1, F):
            total -= L[c, a] * step[c]
        step[a] = total / L[a, a]
        x[free[a]] += step[a]


@njit(cache=True, nogil=True)
def _gradient(A: Any, y: Any, w: Any, x: Any, gradient: Any) -> None:
    """Set gradient to ``A' w² (y - A x)``."""
    gradient[:] = 0.0
    for r in range(A.shape[0]):
        residual = y[r]
        for k in range(A.shape[1]):
            residual -= A[r, k] * x[k]
        residual *= w[r] * w[r]
        for k in range(A.shape[1]):
            gradient[k] += A[r, k] * residual


@njit(cache=True, nogil=True)
def _scales(A: Any, y: Any, w: Any) -> tuple[Any, Any]:
    """Return the normal matrix, and the size of the terms that make up the gradient."""
    R, K = A.shape
    G, terms = np.zeros((K, K)), 0.0
    for k in range(K):
        size = 0.0
        for r in range(R):
            size += abs(A[r, k] * y[r]) * w[r] * w[r]
            for j in range(k + 1):
                G[k, j] += A[r, k] * A[r, j] * w[r] * w[r]
        terms = max(terms, size)
        for j in range(k):
            G[j, k] = G[k, j]
    return G, terms


@njit(cache=True, nogil=True)
def _solve(A: Any, y: Any, w: Any, rounding: float, most: int, passive: Any, x: Any) -> bool:
    K = A.shape[1]
    G, terms = _scales(A, y, w)
    L, gradient, step = np.zeros((K, K)), np.empty(K), np.empty(K)
    free, broken = np.empty(K, dtype=np.int64), np.empty(K, dtype=np.int64)
    fewest, patience = K + 1, _PATIENCE
    for _ in range(most):
        F = 0
        for k in range(K):
            x[k] = 0.0
            if passive[k]:
                free[F] = k
                F += 1
        _factor(G, free, F, L)
        # The second solve refines the first with its residual.
        for _ in range(2):
            _gradient(A, y, w, x, gradient)
            _add_solution(L, free, F, gradient, step, x)
        _gradient(A, y, w, x, gradient)
        largest = np.abs(x).max()
        B = 0
        for k in range(K):
            beyond = -x[k] > rounding * largest if passive[k] else gradient[k] > rounding * terms
            if beyond:
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
