"""The expanded likelihood of nested logits over sampled choice sets, with its derivatives.

Notation is that of :mod:`choicemodels.logit.kernels` and, for the way up,
:mod:`choicemodels.logit.sampled_nested_probabilities`. With ``r_i = 1[i chosen] - P(i | D)``,

    score   = sum_i r_i dU_i,
    Hessian = sum_i r_i d2U_i - sum_i P_i dU_i dU_i' + (sum_i P_i dU_i)(sum_i P_i dU_i)'.

``sum_i r_i A_m(i) = sum_m R_m (u_m - I_m)``, where ``R_m`` sums r over the options below m: up to
that the function that the nested logit's own way down differentiates, with ``R_m`` for its
indicators of the path. So the sample for the logsums goes through the same steps.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.logit.nest_steps import (
    add_by_nest,
    add_crosses,
    add_leaves,
    add_nests,
    add_outer,
    add_rows,
    fold,
    neighbours,
)
from choicemodels.logit.probabilities import FAST, chunk_bounds, utilities
from choicemodels.logit.sampled_nested_probabilities import (
    Rows,
    expanded_logsums,
    most_rows,
    sampled_choice,
)
from choicemodels.threads import run_blocks

__all__ = ["sampled_derivatives"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(cache=True, fastmath=FAST)
def _residuals(
    offered: Any, chosen: int, P: Any, parent: Any, M: int, below: Any, at: Any, r: Any
) -> None:
    """Fill r of the options, their sums R below every nest, and the probabilities at each nest."""
    J = parent.shape[0] - M
    below[:] = 0.0
    at[:] = 0.0
    for i in range(offered.shape[0]):
        m = parent[offered[i]]
        r[i] = (i == chosen) - P[i]
        below[m] += r[i]
        at[m] += P[i]
    for m in range(M):
        below[parent[J + m]] += below[m]
    below[M] = 0.0


@njit(cache=True, fastmath=FAST)
def _adjoints(below: Any, nest_values: Any, lam: Any, s: Any, parent: Any, omega: Any) -> None:
    """Fill the adjoints of the inclusive values of ``sum_m R_m (u_m - I_m)``.

    The last row of ``nest_values`` is filled with the nests' probabilities in their parents.
    """
    total, inclusive, node_u = nest_values[0], nest_values[1], nest_values[2]
    inside = nest_values[3]
    M = lam.shape[0] - 1
    J = parent.shape[0] - M
    omega[M] = 0.0
    for m in range(M - 1, -1, -1):
        omega[m] = 0.0
        if total[m] > 0.0:
            p = parent[J + m]
            inside[m] = np.exp(node_u[m] - inclusive[p])
            a = below[m] + omega[p] * inside[m]
            omega[m] = a * lam[m] / s[p] - below[m]


@njit(cache=True, fastmath=FAST)
def _add_options(
    H: Any,
    g: Any,
    Y: Any,
    X: Any,
    offered: Any,
    v: Any,
    P: Any,
    r: Any,
    w: Any,
    weight: float,
    lam: Any,
    s: Any,
    slot: Any,
    parent: Any,
    M: int,
    rum: bool,
) -> None:
    """Add what the options give through ``v_i = V_i / s``, and their sums ``Y_m = sum P_i dv_i``.

    X holds the rows of the case. Also add to their weights ``w`` in the outer products.
    """
    for i in range(offered.shape[0]):
        m = parent[offered[i]]
        w[i] -= weight * P[i] / (s[m] * s[m])
        if slot[m] >= 0 and rum:
            t = slot[m]
            g[t] -= r[i] * v[i] / lam[m]
            Y[t, m] -= P[i] * v[i] / lam[m]
            H[t, t] += weight * (2.0 * r[i] - P[i] * v[i]) * v[i] / (lam[m] * lam[m])
    for k in range(X.shape[0]):
        x = X[k]
        for i in range(offered.shape[0]):
            m = parent[offered[i]]
            g[k] += r[i] * x[i] / s[m]
            Y[k, m] += P[i] * x[i] / s[m]
            if slot[m] >= 0 and rum:
                H[slot[m], k] += weight * (P[i] * v[i] - r[i]) * x[i] / (lam[m] * lam[m])


@njit(cache=True, fastmath=FAST)
def _add_spread(
    H: Any,
    Y: Any,
    at: Any,
    dI: Any,
    dA: Any,
    both: Any,
    mean: Any,
    nest_values: Any,
    weight: float,
    lam: Any,
    s: Any,
    slot: Any,
    parent: Any,
    rum: bool,
    size: int,
) -> None:
    """Subtract the covariance of ``dU_i = dv_i + dA_m`` over the options, less ``dv_i dv_i'``."""
    total, inclusive, node_u = nest_values[0], nest_values[1], nest_values[2]
    M = lam.shape[0] - 1
    J = parent.shape[0] - M
    dA[:, M] = 0.0
    for m in range(M - 1, -1, -1):
        p = parent[J + m]
        for k in range(size):
            dA[k, m] = dA[k, p] + (lam[m] / s[p] - 1.0) * dI[k, m] if total[m] > 0.0 else 0.0
        if slot[m] >= 0 and total[m] > 0.0:
            dA[slot[m], m] += inclusive[m] / s[p]
        if slot[p] >= 0 and rum and total[m] > 0.0:
            dA[slot[p], m] -= node_u[m] / lam[p]
    for k in range(size):
        for m in range(M + 1):
            both[m] = Y[k, m] + at[m] * dA[k, m]
        mean[k] = both.sum()
        for q in range(k + 1):
            spread = 0.0
            for m in range(M + 1):
                spread += both[m] * dA[q, m] + dA[k, m] * Y[q, m]
            H[k, q] -= weight * spread
    add_outer(H, mean, weight, size)


@njit(cache=True, nogil=True, fastmath=FAST)
def _derivatives_of_cases(
    begin: int,
    end: int,
    widest: int,
    X: Any,
    offsets: Any,
    alternative: Any,
    chosen: Any,
    correction: Any,
    beta: Any,
    offset: Any,
    X2: Any,
    offsets2: Any,
    alternative2: Any,
    log_weight: Any,
    offset2: Any,
    shared: bool,
    weights: Any,
    lam: Any,
    slot: Any,
    parent: Any,
    rum: bool,
    loglike_obs: Any,
    score_obs: Any,
    score_rows: Any,
    score_rows2: Any,
    score: Any,
    H: Any,
) -> float:
    """Add the cases from begin to end to score and the lower triangle of H; return their sum."""
    M, size = lam.shape[0] - 1, score.shape[0]
    s = lam if rum else np.ones(M + 1)
    u, P2, v, P = np.empty(widest), np.empty(widest), np.empty(widest), np.empty(widest)
    r, w, z = np.empty(widest), np.empty(widest), np.empty(max(widest, M + 1))
    run_start = np.empty(widest + 1, dtype=np.uint64)
    run_nest = np.empty(widest, dtype=np.int64)
    nest_values = np.empty((4, M + 1))
    omega, below, at, above = np.empty(M + 1), np.empty(M + 1), np.empty(M + 1), np.empty(M + 1)
    dI, dA, Y = np.empty((size, M + 1)), np.empty((size, M + 1)), np.empty((size, M + 1))
    g, mean, both = np.empty(size), np.empty(size), np.empty(M + 1)
    outer, pull = np.empty(M + 1), np.empty((3, M + 1))
    kin, per_unit = neighbours(parent[parent.shape[0] - M :]), 1.0 / s
    bent = np.zeros((2, size, M + 1))
    llf = 0.0
    for n in range(begin, end):
        first, last, first2, last2 = offsets[n], offsets[n + 1], offsets2[n], offsets2[n + 1]
        c, weight = chosen[n] - first, weights[n]
        options, members = alternative[first:last], alternative2[first2:last2]
        utilities(X2, first2, last2, beta, offset2, u)
        runs = expanded_logsums(
            members, log_weight[first2:last2], lam, s, parent, u, P2,
            nest_values, run_start, run_nest, above,
        )  # fmt: skip
        utilities(X, first, last, beta, offset, v)
        logsum = sampled_choice(options, correction[first:last], s, parent, above, v, P)
        m = parent[options[c]]
        logP = v[c] + above[m] + correction[first + c] - logsum
        llf += weight * logP
        if loglike_obs.shape[0] > 0:
            loglike_obs[n] = weight * logP
        _residuals(options, c, P, parent, M, below, at, r)
        _adjoints(below, nest_values, lam, s, parent, omega)
        if score_rows.shape[0] > 0:
            for i in range(last - first):
                score_rows[first + i] = weight * r[i] / s[parent[options[i]]]
            for i in range(last2 - first2):
                m = parent[members[i]]
                score_rows2[first2 + i] = weight * omega[m] * P2[i] / s[m]
        dI[:] = 0.0
        Y[:] = 0.0
        g[:] = 0.0
        bends = add_leaves(
            H, g, dI, X2, first2, last2, runs, run_start, run_nest, u, P2, w, z, omega,
            weight, lam, per_unit, slot, rum,
        )  # fmt: skip
        if bends:
            add_by_nest(bent[0], X2, first2, last2, runs, run_start, run_nest, z, per_unit)
        if not shared:
            add_rows(H, X2, first2, last2, w, z)
            w[:] = 0.0
        _add_options(
            H, g, Y, X[:, first:last], options, v, P, r, w, weight, lam, s, slot, parent, M, rum
        )
        add_rows(H, X, first, last, w, z)
        add_nests(
            H, g, dI, outer, pull, omega, below, nest_values, lam, s, slot, parent, kin,
            rum, weight, size,
        )  # fmt: skip
        add_crosses(bent, dI, pull)
        add_rows(H, dI, 0, M + 1, outer, z)
        _add_spread(
            H, Y, at, dI, dA, both, mean, nest_values, weight, lam, s, slot, parent, rum, size
        )
        for k in range(size):
            score[k] += weight * g[k]
        if score_obs.shape[0] > 0:
            for k in range(size):
                score_obs[n, k] = weight * g[k]
    fold(H, bent, slot, parent, rum)
    return llf


def sampled_derivatives(
    options: Rows,
    members: Rows,
    chosen: Ints,
    weights: Array,
    beta: Array,
    lam: Array,
    slot: Ints,
    parent: Ints,
    rum: bool,
    n_free: int,
    loglike_obs: Array,
    score_obs: Array,
    score_options: Array,
    score_members: Array,
) -> tuple[float, Array, Array]:
    """Return log-likelihood, score and Hessian, and fill the contributions of the cases.

    Parameters
    ----------
    options, members
        The choice sets, and the samples for the logsums; the same rows if X is the same array.
    chosen, weights, beta, lam, slot, parent, rum, n_free, loglike_obs, score_obs
        As in :func:`choicemodels.logit.kernels.derivatives`.
    score_options, score_members
        Filled with the derivatives by the rows' utilities unless empty, shapes (R,) and (R',).

    Returns
    -------
    tuple
        ``llf`` float, ``score`` (K + n_free,), ``hessian`` (K + n_free, K + n_free).
    """
    size = len(options.X) + n_free
    bounds = chunk_bounds(len(chosen), least=64)
    chunks = len(bounds) - 1
    llf, score = np.zeros(chunks), np.zeros((chunks, size))
    hessian = np.zeros((chunks, size, size))

    def work(chunk: int) -> None:
        llf[chunk] = _derivatives_of_cases(
            bounds[chunk],
            bounds[chunk + 1],
            most_rows(options, members),
            options.X,
            options.offsets,
            options.alternative,
            chosen,
            options.constant,
            beta,
            options.offset,
            members.X,
            members.offsets,
            members.alternative,
            members.constant,
            members.offset,
            options.X is members.X,
            weights,
            lam,
            slot,
            parent,
            rum,
            loglike_obs,
            score_obs,
            score_options,
            score_members,
            score[chunk],
            hessian[chunk],
        )

    run_blocks(work, chunks)
    lower = hessian.sum(axis=0)
    return float(llf.sum()), score.sum(axis=0), lower + np.tril(lower, -1).T
