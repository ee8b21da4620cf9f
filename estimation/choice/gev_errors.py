"""Draws of the errors of a nested logit, and the compensating variation of each draw.

Within a nest of dissimilarity lambda the errors are ``lambda (log S + g_j)``, with S positive
stable of exponent lambda and the ``g_j`` standard Gumbel: given S they are independent, and
averaging over S gives McFadden's generating function. Nests in nests repeat this with the ratio
of their lambdas. S is drawn by [Kanter1975]_. Drawing the errors and solving for the amount is
how [McFadden1999]_ finds its distribution; here it is what the integral is compared with.
"""

from typing import Any

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from choicemodels.errors import EstimationError
from choicemodels.keyed_random import stream_key, uniform_one
from choicemodels.logit.likelihood import LogitParameters
from choicemodels.logit.tree import NestTree
from estimation.choice.compensation import FittedChange
from estimation.roots import falling_roots

__all__ = ["simulated_compensation", "tree_errors"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Draws worked on at once.
_DRAWS = 32


@njit(cache=True, nogil=True)
def _uniforms(key: Any, ids: Any, first: int, last: int) -> Any:
    """Return a uniform in (0, 1) for each id and each draw from first to last."""
    out = np.empty((ids.shape[0], last - first))
    for n in range(ids.shape[0]):
        for d in range(first, last):
            out[n, d - first] = uniform_one(key, ids[n], d)
    return out


def tree_errors(tree: NestTree, lam: Array, ids: Ints, draws: range, seed: int) -> Array:
    """Draw the errors of all alternatives, keyed by case, alternative and number of the draw.

    Parameters
    ----------
    tree
        The nesting of J alternatives.
    lam
        Dissimilarities of the nests and the root's 1, shape (M + 1,).
    ids
        Who draws, not negative, shape (N,).
    draws
        Which draws, D of them.
    seed
        Of all draws.

    Returns
    -------
    ndarray, shape (J, N, D)

    Raises
    ------
    EstimationError
        If a nest's dissimilarity exceeds its parent's: there are no such errors.
    """
    J, M = len(tree.alternatives), len(tree.nests)

    def of(stream: str) -> Array:
        uniforms: Array = _uniforms(stream_key(seed, 0, stream), ids, draws.start, draws.stop)
        return uniforms

    log_stable = np.zeros((M + 1, len(ids), len(draws)))
    for m in range(M - 1, -1, -1):
        parent = int(tree.parent[J + m])
        ratio = lam[m] / lam[parent]
        if ratio > 1 + 1e-9:
            raise EstimationError(
                f"the dissimilarity of the nest '{tree.nests[m]}' ({lam[m]:.4f}) lies above that "
                "of its parent, so no errors belong to it and none can be drawn."
            )
        log_stable[m] = log_stable[parent] / ratio
        if ratio < 1:
            angle = np.pi * of(f"angle {tree.nests[m]}")
            wait = -np.log(of(f"wait {tree.nests[m]}"))
            log_stable[m] += (
                np.log(np.sin(ratio * angle))
                - np.log(np.sin(angle)) / ratio
                + (1 / ratio - 1) * (np.log(np.sin((1 - ratio) * angle)) - np.log(wait))
            )
    errors = np.empty((J, len(ids), len(draws)))
    for j, name in enumerate(tree.alternatives):
        m = int(tree.parent[j])
        errors[j] = lam[m] * (log_stable[m] - np.log(-np.log(of(f"error {name}"))))
    return errors


def simulated_compensation(
    fitted: FittedChange, weights: Array, draws: int, seed: int
) -> tuple[Array, Array]:
    """Draw errors and solve for what compensates each draw.

    Parameters
    ----------
    fitted
        The cases before and after the change.
    weights
        Of an average over the cases, shape (N,).
    draws, seed
        Number of draws of each case, and their key.

    Returns
    -------
    mean : ndarray, shape (N,)
        Of each case, over the draws.
    averages : ndarray, shape (D,)
        Of each draw, over the cases.

    Raises
    ------
    EstimationError
        If no amount compensates a case, or there are no such errors.
    """
    change = fitted.change
    layout = change.after.layout
    if not isinstance(layout, LogitParameters):
        raise EstimationError(
            f"the errors of a {layout.title.lower()} are not drawn; use method='integral'."
        )
    lam = layout.lambdas(fitted.theta)
    ids = _numbers(change.case_ids)
    total, averages = np.zeros(len(ids)), np.empty(draws)
    for first in range(0, draws, _DRAWS):
        some = range(first, min(first + _DRAWS, draws))
        errors = tree_errors(layout.tree, lam, ids, some, seed)[change.alternative, change.case]
        found = _solve(fitted, errors)
        total += found.sum(axis=1)
        averages[first : first + len(some)] = weights @ found
    return total / draws, averages


def _solve(fitted: FittedChange, errors: Array) -> Array:
    """Return what compensates the cases for errors (U, D), shape (N, D)."""
    change, starts = fitted.change, fitted.change.offsets[:-1]
    case, rows = change.case, np.arange(len(change.case))
    best = np.maximum.reduceat(fitted.V0[:, None] + errors, starts)

    def excess(taken: Array) -> Array:
        after = fitted.utilities_after(rows, taken[case]) + errors
        return np.asarray(np.maximum.reduceat(after, starts) - best)

    def error(lost: NDArray[np.bool_]) -> EstimationError:
        at = change.case_ids[int(np.flatnonzero(lost.any(axis=1))[0])]
        return EstimationError(
            f"no amount of '{change.after.name}' makes the case {at} as well off as before."
        )

    low, high, unit = fitted.range()
    now = excess(np.zeros(best.shape))
    # The compensations of single alternatives enclose that of the case, if none came or went.
    reach = np.where(now > 0, np.maximum(high, unit * 1e-6)[:, None], 0.0)
    reach = np.where(now < 0, np.minimum(low, -unit * 1e-6)[:, None], reach)
    return falling_roots(excess, reach, error)


def _numbers(case_ids: NDArray[np.generic]) -> Ints:
    """Return a number for each case that depends on its name alone."""
    if np.issubdtype(case_ids.dtype, np.integer):
        numbers = case_ids.astype(np.int64)
        if (numbers >= 0).all():
            return numbers
    hashed = pd.util.hash_array(np.asarray(case_ids, dtype=object))
    return (hashed >> np.uint64(1)).astype(np.int64)
