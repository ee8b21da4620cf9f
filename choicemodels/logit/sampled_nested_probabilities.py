"""Choice probabilities of nested logits over sampled choice sets, their logsums expanded.

Notation is that of :mod:`choicemodels.logit.kernels`. Over the sample D' for the logsums, in which
the alternative j counts ``w_j`` times,

    I_m = log( sum_{alternatives j in m} w_j exp(V_j / s_m) + sum_{nests c in m} exp(u_c) ),

and over the choice set D, with ``A_m = sum over the nests c from m up to the root, the root
excluded, of (u_c - I_c)``,

    U_i = V_i / s_m(i) + A_m(i) + correction_i,     P(i | D) = exp(U_i) / sum_{j in D} exp(U_j).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.logit.probabilities import FAST, chunk_bounds, upward, utilities
from choicemodels.threads import run_blocks
from choicemodels.vector_exp import vector_exp

__all__ = ["Rows", "expanded_logsums", "most_rows", "sampled_choice", "sampled_probabilities"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a sample, as the kernels take them.

    Attributes
    ----------
    X : ndarray, shape (U, R)
    offset : ndarray, shape (R,) or (0,)
        The utilities are ``X' beta + offset``.
    offsets : ndarray of int64, shape (N + 1,)
    alternative : ndarray of int64, shape (R,)
    constant : ndarray, shape (R,)
        Correction of an option, or logarithm of what a member of a logsum counts for.
    """

    X: Array
    offset: Array
    offsets: Ints
    alternative: Ints
    constant: Array


@njit(cache=True, fastmath=FAST)
def expanded_logsums(
    offered: Any,
    log_weight: Any,
    lam: Any,
    s: Any,
    parent: Any,
    u: Any,
    P: Any,
    nest_values: Any,
    run_start: Any,
    run_nest: Any,
    above: Any,
) -> int:
    """Turn V in u into ``V / s``, fill the nests' values, and ``A_m``; return the runs."""
    inclusive, node_u, total = nest_values[1], nest_values[2], nest_values[0]
    M = lam.shape[0] - 1
    J = parent.shape[0] - M
    for i in range(offered.shape[0]):
        u[i] += s[parent[offered[i]]] * log_weight[i]
    runs = upward(offered, lam, s, parent, u, P, nest_values, run_start, run_nest)
    for i in range(offered.shape[0]):
        u[i] -= log_weight[i]
    above[M] = 0.0
    for m in range(M - 1, -1, -1):
        above[m] = 0.0
        if total[m] > 0.0:
            above[m] = node_u[m] - inclusive[m] + above[parent[J + m]]
    return runs


@njit(cache=True, fastmath=FAST)
def sampled_choice(
    offered: Any,
    correction: Any,
    s: Any,
    parent: Any,
    above: Any,
    v: Any,
    P: Any,
) -> Any:
    """Turn V in v into ``V / s``, fill P of the options; return the log of the sum of exp(U)."""
    size = offered.shape[0]
    high = -np.inf
    for i in range(size):
        m = parent[offered[i]]
        v[i] /= s[m]
        P[i] = v[i] + above[m] + correction[i]
        high = max(high, P[i])
    total = 0.0
    for i in range(size):
        P[i] = vector_exp(P[i] - high)
        total += P[i]
    for i in range(size):
        P[i] /= total
    return high + np.log(total)


@njit(cache=True, nogil=True, fastmath=FAST)
def _probabilities_of_cases(
    begin: int,
    end: int,
    widest: int,
    X: Any,
    offsets: Any,
    alternative: Any,
    correction: Any,
    beta: Any,
    offset: Any,
    X2: Any,
    offsets2: Any,
    alternative2: Any,
    log_weight: Any,
    offset2: Any,
    lam: Any,
    parent: Any,
    rum: bool,
    P_rows: Any,
    logsum: Any,
) -> None:
    """Fill the options' probabilities and the expanded logsums of the cases from begin to end."""
    M = lam.shape[0] - 1
    s = lam if rum else np.ones(M + 1)
    u, P2, v = np.empty(widest), np.empty(widest), np.empty(widest)
    run_start = np.empty(widest + 1, dtype=np.uint64)
    run_nest = np.empty(widest, dtype=np.int64)
    nest_values, above = np.empty((4, M + 1)), np.empty(M + 1)
    for n in range(begin, end):
        first, last, first2, last2 = offsets[n], offsets[n + 1], offsets2[n], offsets2[n + 1]
        utilities(X2, first2, last2, beta, offset2, u)
        expanded_logsums(
            alternative2[first2:last2], log_weight[first2:last2], lam, s, parent, u, P2,
            nest_values, run_start, run_nest, above,
        )  # fmt: skip
        utilities(X, first, last, beta, offset, v)
        sampled_choice(
            alternative[first:last], correction[first:last], s, parent, above, v,
            P_rows[first:last],
        )  # fmt: skip
        logsum[n] = nest_values[1, M]


def sampled_probabilities(
    options: Rows, members: Rows, beta: Array, lam: Array, parent: Ints, rum: bool
) -> tuple[Array, Array]:
    """Return ``P(i | D)`` of the options, shape (R,), and expanded logsums, shape (N,).

    The parameters are those of
    :func:`choicemodels.logit.sampled_nested_kernels.sampled_derivatives`.
    """
    P_rows, logsum = np.empty(options.X.shape[1]), np.empty(len(options.offsets) - 1)
    bounds = chunk_bounds(len(logsum), least=64)

    def work(chunk: int) -> None:
        _probabilities_of_cases(
            bounds[chunk],
            bounds[chunk + 1],
            most_rows(options, members),
            options.X,
            options.offsets,
            options.alternative,
            options.constant,
            beta,
            options.offset,
            members.X,
            members.offsets,
            members.alternative,
            members.constant,
            members.offset,
            lam,
            parent,
            rum,
            P_rows,
            logsum,
        )

    run_blocks(work, len(bounds) - 1)
    return P_rows, logsum


def most_rows(options: Rows, members: Rows) -> int:
    """Return the size of the largest sample."""
    return int(max(np.diff(options.offsets).max(), np.diff(members.offsets).max()))
