"""The nested-logit likelihood, its score and its exact Hessian, in one pass over the cases.

Notation, for one case (docs/notation.md). Node c has the value ``u_c = W_c / s_m`` in its parent
m, where ``W_c`` is ``V_c`` for an alternative and ``lambda_c I_c`` for a nest, ``s_m = lambda_m``
under the RUM normalization and 1 without; ``I_m = log sum_c exp(u_c)``, ``P_c = exp(u_c - I_m)``.

    log P(chosen) = sum over the nodes c on the path from it to the root of (u_c - I_parent(c))

One sweep down the tree gives the adjoints ``a_c`` of ``u_c`` and ``omega_m`` of ``I_m``,

    a_c = 1[c on path] + omega_m P_c,    omega_m = a_m lambda_m / s_parent - 1[m on path],

and with them the score is linear, and the Hessian is

    sum_m omega_m ( sum_{c in m} P_c du_c du_c' - dI_m dI_m' ) + sum_c a_c d2u_c,

``d2u_c`` being the curvature of ``u_c`` in (W_c or I_c, lambda_c, lambda_m) alone. So an exact
Hessian costs what the multinomial logit's does: one outer product for each alternative. The
multinomial logit itself is the tree without nests.

Cases are summed in a fixed number of chunks, added in order: results do not depend on the number
of threads.
"""

from typing import Any

import numpy as np
from numba import njit, prange

__all__ = ["CHUNKS", "derivatives", "probabilities"]

# Enough chunks to keep many cores busy; fixed, because it decides the order of summation.
CHUNKS = 64

# Everything but the assumption that no value is infinite: unavailable branches carry -inf.
_FAST = {"contract", "reassoc", "arcp", "nsz"}


@njit(cache=True, fastmath=_FAST, inline="always")
def _upward(
    X: Any,
    first: int,
    last: int,
    alternative: Any,
    beta: Any,
    lam: Any,
    s: Any,
    parent: Any,
    J: int,
    u: Any,
    P: Any,
    top: Any,
    leaf_top: Any,
    total: Any,
    inclusive: Any,
    node_u: Any,
) -> None:
    """Fill u, P (rows), I and node_u (nests) of one case; empty nests get -inf."""
    M = lam.shape[0] - 1
    K = beta.shape[0]
    for m in range(M + 1):
        top[m] = -np.inf
        total[m] = 0.0
    for r in range(first, last):
        v = 0.0
        for k in range(K):
            v += X[r, k] * beta[k]
        m = parent[alternative[r]]
        v /= s[m]
        u[r - first] = v
        if v > top[m]:
            top[m] = v
    for m in range(M + 1):
        leaf_top[m] = top[m]
    for r in range(first, last):
        m = parent[alternative[r]]
        e = np.exp(u[r - first] - leaf_top[m])
        P[r - first] = e
        total[m] += e
    for m in range(M + 1):
        if total[m] == 0.0:
            inclusive[m] = -np.inf
            continue
        inclusive[m] = top[m] + np.log(total[m])
        if m < M:
            p = parent[J + m]
            value = lam[m] * inclusive[m] / s[p]
            node_u[m] = value
            if value > top[p]:
                total[p] = total[p] * np.exp(top[p] - value) + 1.0 if total[p] > 0.0 else 1.0
                top[p] = value
            else:
                total[p] += np.exp(value - top[p])
    for m in range(M + 1):
        # e was relative to the largest leaf of its nest; bring it to the nest's inclusive value.
        top[m] = np.exp(leaf_top[m] - inclusive[m]) if leaf_top[m] > -np.inf else 0.0
    for r in range(first, last):
        P[r - first] *= top[parent[alternative[r]]]


@njit(cache=True, fastmath=_FAST, inline="always")
def _add_outer(H: Any, v: Any, weight: float, size: int) -> None:
    """Add ``weight * v v'`` to the lower triangle of H."""
    for k in range(size):
        t = weight * v[k]
        if t != 0.0:
            for q in range(k + 1):
                H[k, q] += t * v[q]


@njit(cache=True, fastmath=_FAST, inline="always")
def _add_cross(H: Any, v: Any, slot: int, weight: float, size: int) -> None:
    """Add ``weight * (e v' + v e')`` to the lower triangle of H, e the unit vector of slot."""
    for k in range(size):
        if k < slot:
            H[slot, k] += weight * v[k]
        elif k > slot:
            H[k, slot] += weight * v[k]
        else:
            H[k, k] += 2.0 * weight * v[k]


@njit(cache=True, fastmath=_FAST, inline="always")
def _add_rows(H: Any, X: Any, first: int, last: int, w: Any, K: int) -> None:
    """Add ``sum_r w_r x_r x_r'`` to the lower triangle of H, four rows at a time."""
    r = first
    while r + 4 <= last:
        a, b, c, d = w[r - first], w[r - first + 1], w[r - first + 2], w[r - first + 3]
        for k in range(K):
            ta, tb, tc, td = a * X[r, k], b * X[r + 1, k], c * X[r + 2, k], d * X[r + 3, k]
            for q in range(k + 1):
                H[k, q] += ta * X[r, q] + tb * X[r + 1, q] + tc * X[r + 2, q] + td * X[r + 3, q]
        r += 4
    while r < last:
        for k in range(K):
            t = w[r - first] * X[r, k]
            for q in range(k + 1):
                H[k, q] += t * X[r, q]
        r += 1


@njit(cache=True, parallel=True, fastmath=_FAST)
def derivatives(
    X: Any,
    offsets: Any,
    alternative: Any,
    chosen: Any,
    weights: Any,
    beta: Any,
    lam: Any,
    slot: Any,
    parent: Any,
    rum: bool,
    n_free: int,
    loglike_obs: Any,
    score_obs: Any,
) -> Any:
    """Return log-likelihood, score and Hessian, and fill the contributions of the cases.

    Parameters
    ----------
    X : float64 (R, K), offsets : int64 (N + 1,), alternative : int64 (R,)
        Design, first row of each case, and alternative number of each row.
    chosen : int64 (N,), weights : float64 (N,)
        Row of the chosen alternative, and the weight of each case.
    beta : float64 (K,), lam : float64 (M + 1,)
        Coefficients, and dissimilarities with the root's 1 at the end.
    slot : int64 (M + 1,)
        Position of each lambda among all parameters; -1 where it is fixed.
    parent : int64 (J + M,)
        As in :class:`~choicemodels.tree.NestTree`.
    n_free : int
        Number of free lambdas.
    loglike_obs : float64 (N,) or (0,), score_obs : float64 (N, K + n_free) or (0, 0)
        Filled with weighted contributions unless empty.

    Returns
    -------
    tuple
        ``llf`` float, ``score`` (K + n_free,), ``hessian`` (K + n_free, K + n_free).
    """
    N, K, M = chosen.shape[0], X.shape[1], lam.shape[0] - 1
    J = parent.shape[0] - M
    size = K + n_free
    llf = np.zeros(CHUNKS)
    score = np.zeros((CHUNKS, size))
    hessian = np.zeros((CHUNKS, size, size))
    widest = 0
    for n in range(N):
        widest = max(widest, offsets[n + 1] - offsets[n])
    s = lam.copy() if rum else np.ones(M + 1)
    for chunk in prange(CHUNKS):
        u, P, w = np.empty(widest), np.empty(widest), np.empty(widest)
        top, leaf_top, total = np.empty(M + 1), np.empty(M + 1), np.empty(M + 1)
        inclusive, node_u, omega = np.empty(M + 1), np.empty(M + 1), np.empty(M + 1)
        on_path = np.zeros(M + 1)
        dI = np.zeros((M + 1, size))
        weighted = np.zeros((M + 1, K))
        g = np.empty(size)
        du = np.empty(size)
        H = hessian[chunk]
        for n in range(chunk * N // CHUNKS, (chunk + 1) * N // CHUNKS):
            first, last = offsets[n], offsets[n + 1]
            _upward(
                X,
                first,
                last,
                alternative,
                beta,
                lam,
                s,
                parent,
                J,
                u,
                P,
                top,
                leaf_top,
                total,
                inclusive,
                node_u,
            )
            # The path of the chosen alternative.
            on_path[:] = 0.0
            m = parent[alternative[chosen[n]]]
            logP = u[chosen[n] - first] - inclusive[m]
            on_path[m] = 1.0
            while m < M:
                logP += node_u[m] - inclusive[parent[J + m]]
                m = parent[J + m]
                on_path[m] = 1.0
            weight = weights[n]
            llf[chunk] += weight * logP
            if loglike_obs.shape[0] > 0:
                loglike_obs[n] = weight * logP
            # Adjoints, from the root down.
            omega[M] = -1.0
            for m in range(M - 1, -1, -1):
                if total[m] == 0.0:
                    omega[m] = 0.0
                    continue
                p = parent[J + m]
                a = on_path[m] + omega[p] * np.exp(node_u[m] - inclusive[p])
                omega[m] = a * lam[m] / s[p] - on_path[m]
            # Sums over the alternatives of each nest.
            dI[:] = 0.0
            weighted[:] = 0.0
            g[:] = 0.0
            for r in range(first, last):
                m = parent[alternative[r]]
                p = P[r - first]
                for k in range(K):
                    dI[m, k] += p * X[r, k]
                if slot[m] >= 0 and rum:
                    pu = p * u[r - first]
                    a = omega[m] * p
                    dI[m, slot[m]] -= pu / lam[m]
                    g[slot[m]] -= a * u[r - first] / lam[m]
                    for k in range(K):
                        weighted[m, k] += pu * X[r, k]
                    H[slot[m], slot[m]] += (
                        weight * a * u[r - first] * (u[r - first] + 2.0) / (lam[m] * lam[m])
                    )
                w[r - first] = weight * omega[m] * p / (s[m] * s[m])
            _add_rows(H, X, first, last, w, K)
            c = chosen[n]
            m = parent[alternative[c]]
            for k in range(K):
                g[k] += X[c, k] / s[m]
            if slot[m] >= 0 and rum:
                g[slot[m]] -= u[c - first] / lam[m]
                H[slot[m], slot[m]] += weight * 2.0 * u[c - first] / (lam[m] * lam[m])
            for m in range(M + 1):
                if total[m] == 0.0:
                    continue
                free = slot[m] >= 0 and rum
                if free:
                    # Leaves: curvature between their utilities and the nest's own lambda.
                    on = parent[alternative[c]] == m
                    for k in range(K):
                        q = omega[m] * (weighted[m, k] + dI[m, k])
                        if on:
                            q += X[c, k]
                        H[slot[m], k] -= weight * q / (lam[m] * lam[m])
                # dI so far holds sums of P x over leaves alone: bring them to u's scale.
                for k in range(K):
                    g[k] += omega[m] * dI[m, k] / s[m]
                    dI[m, k] /= s[m]
            _nests(
                H,
                g,
                dI,
                du,
                omega,
                on_path,
                node_u,
                inclusive,
                total,
                lam,
                s,
                slot,
                parent,
                J,
                rum,
                weight,
                size,
            )
            for k in range(size):
                score[chunk, k] += weight * g[k]
            if score_obs.shape[0] > 0:
                for k in range(size):
                    score_obs[n, k] = weight * g[k]
    total_score = np.zeros(size)
    total_hessian = np.zeros((size, size))
    llf_sum = 0.0
    for chunk in range(CHUNKS):
        llf_sum += llf[chunk]
        total_score += score[chunk]
        total_hessian += hessian[chunk]
    for k in range(size):
        for q in range(k):
            total_hessian[q, k] = total_hessian[k, q]
    return llf_sum, total_score, total_hessian


@njit(cache=True, fastmath=_FAST, inline="always")
def _nests(
    H: Any,
    g: Any,
    dI: Any,
    du: Any,
    omega: Any,
    on_path: Any,
    node_u: Any,
    inclusive: Any,
    total: Any,
    lam: Any,
    s: Any,
    slot: Any,
    parent: Any,
    J: int,
    rum: bool,
    weight: float,
    size: int,
) -> None:
    """Carry dI up the tree, children first, and add what the nests give to score and Hessian."""
    M = lam.shape[0] - 1
    for m in range(M + 1):
        if total[m] == 0.0:
            continue
        _add_outer(H, dI[m], -weight * omega[m], size)
        if m == M:
            break
        p = parent[J + m]
        P = np.exp(node_u[m] - inclusive[p])
        a = on_path[m] + omega[p] * P
        for k in range(size):
            du[k] = dI[m, k] * lam[m] / s[p]
        if slot[m] >= 0:
            du[slot[m]] += inclusive[m] / s[p]
            g[slot[m]] += a * inclusive[m] / s[p]
            _add_cross(H, dI[m], slot[m], weight * a / s[p], size)
        if slot[p] >= 0 and rum:
            du[slot[p]] -= node_u[m] / lam[p]
            g[slot[p]] -= a * node_u[m] / lam[p]
            square = lam[p] * lam[p]
            _add_cross(H, dI[m], slot[p], -weight * a * lam[m] / square, size)
            H[slot[p], slot[p]] += weight * a * 2.0 * node_u[m] / square
            if slot[m] >= 0:
                i, j = max(slot[m], slot[p]), min(slot[m], slot[p])
                twice = 2.0 if i == j else 1.0
                H[i, j] -= twice * weight * a * inclusive[m] / square
        for k in range(size):
            dI[p, k] += P * du[k]
        _add_outer(H, du, weight * omega[p] * P, size)


@njit(cache=True, parallel=True, fastmath=_FAST)
def probabilities(
    X: Any,
    offsets: Any,
    alternative: Any,
    beta: Any,
    lam: Any,
    parent: Any,
    rum: bool,
    P_rows: Any,
    logsum: Any,
) -> None:
    """Fill choice probabilities of the rows, shape (R,), and logsums of the cases, shape (N,)."""
    N, M = offsets.shape[0] - 1, lam.shape[0] - 1
    J = parent.shape[0] - M
    widest = 0
    for n in range(N):
        widest = max(widest, offsets[n + 1] - offsets[n])
    s = lam.copy() if rum else np.ones(M + 1)
    for chunk in prange(CHUNKS):
        u, P = np.empty(widest), np.empty(widest)
        top, leaf_top, total = np.empty(M + 1), np.empty(M + 1), np.empty(M + 1)
        inclusive, node_u, reach = np.empty(M + 1), np.empty(M + 1), np.empty(M + 1)
        for n in range(chunk * N // CHUNKS, (chunk + 1) * N // CHUNKS):
            first, last = offsets[n], offsets[n + 1]
            _upward(
                X,
                first,
                last,
                alternative,
                beta,
                lam,
                s,
                parent,
                J,
                u,
                P,
                top,
                leaf_top,
                total,
                inclusive,
                node_u,
            )
            reach[M] = 1.0
            for m in range(M - 1, -1, -1):
                p = parent[J + m]
                reach[m] = reach[p] * np.exp(node_u[m] - inclusive[p]) if total[m] > 0.0 else 0.0
            for r in range(first, last):
                P_rows[r] = P[r - first] * reach[parent[alternative[r]]]
            logsum[n] = inclusive[M]
