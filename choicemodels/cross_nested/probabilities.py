"""Choice probabilities of the cross-nested logit.

The notation is that of :mod:`choicemodels.cross_nested.kernels`, which adds the derivatives.
"""

from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.logit.probabilities import FAST, chunk_bounds, utilities
from choicemodels.threads import run_blocks

__all__ = ["Elements", "cross_nested_probabilities", "inclusive_values"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
# By alternatives: first element of each (J + 1,), then nest (E,), log allocation (E,); the
# positions among all parameters of the alphas that an element depends on start at (E + 1,),
# followed by the positions and the derivatives of its log allocation by them.
Elements: TypeAlias = tuple[Ints, Ints, Array, Ints, Ints, Array]


@njit(cache=True, fastmath=FAST)
def inclusive_values(
    offered: Any, v: Any, elements: Any, lam: Any, u: Any, inclusive: Any, Q: Any
) -> float:
    """Fill u of the elements (row after row) and the nests' values; return B.

    Q gets ``exp(W_m - B)``. Empty nests have the inclusive value minus infinity and Q of zero.
    """
    first, nest, log_alpha = elements[0], elements[1], elements[2]
    M = lam.shape[0]
    for m in range(M):
        inclusive[m] = -np.inf
        Q[m] = 0.0
    B = -np.inf
    p = 0
    for i in range(offered.shape[0]):
        for e in range(first[offered[i]], first[offered[i] + 1]):
            m = nest[e]
            if m == M:
                u[p] = v[i]
                B = max(B, v[i])
            else:
                u[p] = (log_alpha[e] + v[i]) / lam[m]
                inclusive[m] = max(inclusive[m], u[p])
            p += 1
    # Q holds the sums of the nests for now.
    p = 0
    for i in range(offered.shape[0]):
        for e in range(first[offered[i]], first[offered[i] + 1]):
            m = nest[e]
            if m < M:
                Q[m] += np.exp(u[p] - inclusive[m])
            p += 1
    for m in range(M):
        if Q[m] > 0.0:
            inclusive[m] += np.log(Q[m])
            B = max(B, lam[m] * inclusive[m])
    total = 0.0
    for m in range(M):
        if Q[m] > 0.0:
            Q[m] = np.exp(lam[m] * inclusive[m] - B)
            total += Q[m]
    p = 0
    for i in range(offered.shape[0]):
        for e in range(first[offered[i]], first[offered[i] + 1]):
            if nest[e] == M:
                total += np.exp(u[p] - B)
            p += 1
    for m in range(M):
        Q[m] /= total
    return float(B + np.log(total))


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
    elements: Any,
    P_rows: Any,
    logsum: Any,
) -> None:
    """Fill probabilities and logsums of the cases from begin to end."""
    M, first, nest = lam.shape[0], elements[0], elements[1]
    v, u = np.empty(widest), np.empty(widest * np.diff(first).max())
    inclusive, Q = np.empty(M), np.empty(M)
    for n in range(begin, end):
        row, last = offsets[n], offsets[n + 1]
        utilities(X, row, last, beta, offset, v)
        offered = alternative[row:last]
        B = inclusive_values(offered, v, elements, lam, u, inclusive, Q)
        logsum[n] = B
        p = 0
        for i in range(offered.shape[0]):
            P_rows[row + i] = 0.0
            for e in range(first[offered[i]], first[offered[i] + 1]):
                m = nest[e]
                P_rows[row + i] += (
                    np.exp(u[p] - B) if m == M else Q[m] * np.exp(u[p] - inclusive[m])
                )
                p += 1


def cross_nested_probabilities(
    X: Array,
    offsets: Ints,
    alternative: Ints,
    beta: Array,
    offset: Array,
    lam: Array,
    elements: Elements,
) -> tuple[Array, Array]:
    """Return choice probabilities of the rows, shape (R,), and logsums of the cases, shape (N,).

    The parameters are those of :func:`cross_nested_derivatives`.
    """
    P_rows, logsum = np.empty(X.shape[1]), np.empty(len(offsets) - 1)
    widest = int(np.diff(offsets).max())
    bounds = chunk_bounds(len(logsum), least=64)

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
            elements,
            P_rows,
            logsum,
        )

    run_blocks(work, len(bounds) - 1)
    return P_rows, logsum
