"""Counts drawn from uniforms: the quantiles of the binomial and the Poisson law."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["binomial_counts", "poisson_counts"]

Array = NDArray[np.float64]

# From this variance on, the normal law stands for both.
_LARGE = 100.0


@njit(cache=True, nogil=True)
def _binomial(u: Any, z: Any, n: Any, p: Any, out: Any) -> None:
    for i in range(u.shape[0]):
        N, P = n[i], p[i]
        if N * P * (1.0 - P) >= _LARGE:
            out[i] = min(N, max(0.0, np.rint(N * P + z[i] * np.sqrt(N * P * (1.0 - P)))))
            continue
        # Counting the rarer of the two outcomes keeps the chance of none from underflowing.
        q = min(P, 1.0 - P)
        goal = u[i] if P <= 0.5 else 1.0 - u[i]
        chance = (1.0 - q) ** N
        below, k = chance, 0.0
        while below < goal and k < N:
            chance *= (N - k) / (k + 1.0) * q / (1.0 - q)
            k += 1.0
            below += chance
        out[i] = k if P <= 0.5 else N - k


@njit(cache=True, nogil=True)
def _poisson(u: Any, z: Any, mean: Any, out: Any) -> None:
    for i in range(u.shape[0]):
        if mean[i] >= _LARGE:
            out[i] = max(0.0, np.rint(mean[i] + z[i] * np.sqrt(mean[i])))
            continue
        chance = np.exp(-mean[i])
        below, k = chance, 0.0
        # Far in the tail the sum stops growing before it meets the goal.
        while below < u[i] and chance > 0.0:
            k += 1.0
            chance *= mean[i] / k
            below += chance
        out[i] = k


def binomial_counts(uniforms: Array, trials: Array, probability: Array) -> Array:
    """Return how many of the trials succeed: the binomial quantile of a uniform.

    Where the variance exceeds 100 the normal law stands in, rounded to a whole number.

    Parameters
    ----------
    uniforms : (N,)
        In the open interval (0, 1).
    trials : (N,)
        Whole numbers.
    probability : (N,)

    Returns
    -------
    (N,) float64
    """
    out = np.empty(len(uniforms))
    _binomial(uniforms, ndtri(uniforms), np.asarray(trials, float), probability, out)
    return out


def poisson_counts(uniforms: Array, mean: Array) -> Array:
    """Return the Poisson quantiles of uniforms, shape (N,).

    Where the mean exceeds 100 the normal law stands in, rounded to a whole number.

    Parameters
    ----------
    uniforms : (N,)
        In the open interval (0, 1).
    mean : (N,)
    """
    out = np.empty(len(uniforms))
    _poisson(uniforms, ndtri(uniforms), mean, out)
    return out
