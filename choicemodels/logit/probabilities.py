"""Choice probabilities of the nested logit: one sweep up the tree of each case.

The notation is that of :mod:`choicemodels.logit.kernels`, which goes back down for the derivatives.

The design lies column by column, X (K, R), so that every inner loop runs along the rows of a case
and neighbouring rows of one nest (a run) are summed together. Positions of runs are unsigned:
numba checks signed ones for negative values, which keeps loops from being vectorized.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.threads import run_blocks
from choicemodels.vector_exp import vector_exp

__all__ = ["FAST", "chunk_bounds", "probabilities", "upward", "utilities"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Enough chunks to keep many cores busy. Their number depends on the data alone, because it decides
# the order of summation.
_CHUNKS = 64
# Rows worth a block of their own where nothing is summed over cases.
_BLOCK = 8192

# Everything but the assumption that no value is infinite: unavailable branches carry -inf.
FAST = {"contract", "reassoc", "arcp", "nsz"}


def chunk_bounds(N: int, least: int = 256) -> list[int]:
    """Return the first case of each chunk, and N; a chunk has ``least`` cases, or more."""
    chunks = min(_CHUNKS, max(N // least, 1))
    return [chunk * N // chunks for chunk in range(chunks + 1)]


@njit(cache=True, fastmath=FAST)
def utilities(
    X: Any,
    first: int,
    last: int,
    beta: Any,
    offset: Any,
    u: Any,
) -> None:
    """Fill u with the systematic utilities ``V = X' beta + offset`` of a case."""
    size = last - first
    if offset.shape[0] > 0:
        for i in range(size):
            u[i] = offset[first + i]
    else:
        for i in range(size):
            u[i] = 0.0
    for k in range(X.shape[0]):
        b, x = beta[k], X[k, first:last]
        if b != 0.0:
            for i in range(size):
                u[i] += b * x[i]


@njit(cache=True, fastmath=FAST)
def upward(
    offered: Any,
    lam: Any,
    s: Any,
    parent: Any,
    u: Any,
    P: Any,
    nest_values: Any,
    run_start: Any,
    run_nest: Any,
) -> int:
    """Turn V in u into ``V / s``, fill P of the rows and the nests' values; return the runs.

    ``offered`` holds the alternatives of the case's rows. ``nest_values`` (4, M + 1) holds total,
    inclusive, value in the parent, and scratch; the total of an empty nest is zero and its
    inclusive value minus infinity.
    """
    total, inclusive, node_u, top = nest_values[0], nest_values[1], nest_values[2], nest_values[3]
    M, size = lam.shape[0] - 1, offered.shape[0]
    J = parent.shape[0] - M
    runs, current = 0, -1
    for i in range(size):
        m = parent[offered[i]]
        if m != current:
            run_start[runs], run_nest[runs] = i, m
            runs, current = runs + 1, m
    run_start[runs] = size
    for m in range(M + 1):
        top[m] = -np.inf
        total[m] = 0.0
    for run in range(runs):
        m = run_nest[run]
        scale, high = 1.0 / s[m], top[m]
        for i in range(run_start[run], run_start[run + 1]):
            u[i] *= scale
            high = max(high, u[i])
        top[m] = high
    # Nests are short: the exponentials of all rows are one loop.
    for run in range(runs):
        high = top[run_nest[run]]
        for i in range(run_start[run], run_start[run + 1]):
            P[i] = u[i] - high
    for i in range(size):
        P[i] = vector_exp(P[i])
    for run in range(runs):
        summed = 0.0
        for i in range(run_start[run], run_start[run + 1]):
            summed += P[i]
        total[run_nest[run]] += summed
    # From here total is relative to the running maximum in inclusive; top stays with the leaves.
    for m in range(M + 1):
        inclusive[m] = top[m]
    for m in range(M + 1):
        if total[m] == 0.0:
            continue
        inclusive[m] += np.log(total[m])
        if m < M:
            p = parent[J + m]
            node_u[m] = lam[m] * inclusive[m] / s[p]
            if node_u[m] > inclusive[p]:
                rescaled = (
                    total[p] * vector_exp(inclusive[p] - node_u[m]) if total[p] > 0.0 else 0.0
                )
                total[p] = rescaled + 1.0
                inclusive[p] = node_u[m]
            else:
                total[p] += vector_exp(node_u[m] - inclusive[p])
    for run in range(runs):
        m = run_nest[run]
        factor = vector_exp(top[m] - inclusive[m])
        for i in range(run_start[run], run_start[run + 1]):
            P[i] *= factor
    return runs


@njit(cache=True, nogil=True, fastmath=FAST)
def _probabilities_of_cases(
    begin: int,
    end: int,
    widest: int,
    X: Any,
    offsets: Any,
    alternative: Any,
    beta: Any,
    offset: Any,
    lam: Any,
    parent: Any,
    rum: bool,
    P_rows: Any,
    logsum: Any,
) -> None:
    """Fill probabilities and logsums of the cases from begin to end."""
    M = lam.shape[0] - 1
    J = parent.shape[0] - M
    s = lam if rum else np.ones(M + 1)
    u, P, reach = np.empty(widest), np.empty(widest), np.empty(M + 1)
    run_start = np.empty(widest + 1, dtype=np.uint64)
    run_nest = np.empty(widest, dtype=np.int64)
    nest_values = np.empty((4, M + 1))
    total, inclusive, node_u = nest_values[0], nest_values[1], nest_values[2]
    for n in range(begin, end):
        first, last = offsets[n], offsets[n + 1]
        utilities(X, first, last, beta, offset, u)
        offered = alternative[first:last]
        runs = upward(offered, lam, s, parent, u, P, nest_values, run_start, run_nest)
        reach[M] = 1.0
        for m in range(M - 1, -1, -1):
            p = parent[J + m]
            reach[m] = reach[p] * np.exp(node_u[m] - inclusive[p]) if total[m] > 0.0 else 0.0
        out = P_rows[first:last]
        for run in range(runs):
            for i in range(run_start[run], run_start[run + 1]):
                out[i] = P[i] * reach[run_nest[run]]
        logsum[n] = inclusive[M]


def probabilities(
    X: Array,
    offsets: Ints,
    alternative: Ints,
    beta: Array,
    offset: Array,
    lam: Array,
    parent: Ints,
    rum: bool,
) -> tuple[Array, Array]:
    """Return choice probabilities of the rows, shape (R,), and logsums of the cases, shape (N,).

    The parameters are those of :func:`derivatives`.
    """
    P_rows, logsum = np.empty(X.shape[1]), np.empty(len(offsets) - 1)
    widest = int(np.diff(offsets).max())
    blocks = min(_CHUNKS, 1 + len(P_rows) // _BLOCK)
    bounds = [block * len(logsum) // blocks for block in range(blocks + 1)]

    def work(chunk: int) -> None:
        _probabilities_of_cases(
            bounds[chunk],
            bounds[chunk + 1],
            widest,
            X,
            offsets,
            alternative,
            beta,
            offset,
            lam,
            parent,
            rum,
            P_rows,
            logsum,
        )

    run_blocks(work, blocks)
    return P_rows, logsum
