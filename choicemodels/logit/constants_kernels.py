"""Second derivatives of the nested-logit likelihood by a constant for every alternative.

The notation is that of :mod:`choicemodels.logit.kernels`. With ``q_m = dI_m / dV`` the Hessian of a
case by its utilities is

    diag(omega_m P_i / s_m^2) + sum_m c_m q_m q_m',
    c_m = omega_p P_m (lambda_m / s_p)^2 - omega_m,   p the parent of m; c_root = 1,

because ``V`` bends no ``u_c`` by itself. ``q_m`` is nonzero below m alone, and seen from the
parent it is ``q_m`` once more, times ``f_m = P_m lambda_m / s_p``. So with the alternatives in the
order of the tree each nest adds weighted outer products to a diagonal block, many cases at once,
and its rows of q are then scaled for its parent. Mixed derivatives with the other parameters are
``q_m`` times one vector for each nest, which likewise adds up from the root down.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.logit.nest_steps import add_leaves, add_nests, add_rows, adjoints, neighbours
from choicemodels.logit.probabilities import FAST, upward, utilities
from choicemodels.logit.tree import NestTree
from choicemodels.threads import run_blocks

__all__ = ["constants_hessian"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Cases whose outer products are summed at once: the block of q then stays in cache.
_BLOCK = 128
# Fewer chunks than elsewhere, because each holds a matrix (J, J); fixed for the same reason.
_CHUNKS = 16


@njit(cache=True, fastmath=FAST)
def _add_up(
    r: Any,
    f: Any,
    c: Any,
    dI: Any,
    omega: Any,
    on_path: Any,
    nest_values: Any,
    lam: Any,
    s: Any,
    slot: Any,
    parent: Any,
    rum: bool,
) -> None:
    """Fill c and f of the nests, and r so that ``q_i r_m`` holds what all nests above i add."""
    total, inclusive, node_u = nest_values[0], nest_values[1], nest_values[2]
    M, size = lam.shape[0] - 1, r.shape[1]
    J = parent.shape[0] - M
    c[M] = -omega[M]
    for k in range(size):
        r[M, k] = -omega[M] * dI[k, M]
    for m in range(M - 1, -1, -1):
        c[m] = 0.0
        f[m] = 0.0
        if total[m] == 0.0:
            continue
        p = parent[J + m]
        P = np.exp(node_u[m] - inclusive[p])
        a = on_path[m] + omega[p] * P
        slope = lam[m] / s[p]
        f[m] = P * slope
        c[m] = omega[p] * P * slope * slope - omega[m]
        for k in range(size):
            r[m, k] = c[m] * dI[k, m] + f[m] * r[p, k]
        if slot[m] >= 0:
            r[m, slot[m]] += (omega[p] * f[m] * inclusive[m] + a) / s[p]
        if slot[p] >= 0 and rum:
            r[m, slot[p]] -= (omega[p] * f[m] * node_u[m] + a * slope) / lam[p]


@njit(cache=True, nogil=True, fastmath=FAST)
def _constants_of_cases(
    begin: int,
    end: int,
    widest: int,
    X: Any,
    offsets: Any,
    alternative: Any,
    chosen: Any,
    weights: Any,
    beta: Any,
    offset: Any,
    lam: Any,
    slot: Any,
    parent: Any,
    rum: bool,
    unit: Any,
    place: Any,
    span: Any,
    H: Any,
    mixed: Any,
) -> None:
    """Add the cases from begin to end to the lower triangle of H and to the mixed derivatives."""
    M, K, size = lam.shape[0] - 1, X.shape[0], mixed.shape[0]
    s = lam if rum else np.ones(M + 1)
    u, P, z, w = np.empty(widest), np.empty(widest), np.empty(widest), np.empty(widest)
    run_start = np.empty(widest + 1, dtype=np.uint64)
    run_nest = np.empty(widest, dtype=np.int64)
    nest_values = np.empty((4, M + 1))
    omega, on_path, dI = np.empty(M + 1), np.zeros(M + 1), np.zeros((size, M + 1))
    r, f, c = np.zeros((M + 1, size)), np.empty(M + 1), np.empty(M + 1)
    # The derivatives by the other parameters alone come along; they are known already.
    known, g = np.zeros((size, size)), np.empty(size)
    pull, outer = np.empty((3, M + 1)), np.empty(M + 1)
    kin, per_unit = neighbours(parent[parent.shape[0] - M :]), 1.0 / s
    q, scratch = np.zeros((place.shape[0], _BLOCK)), np.empty(_BLOCK)
    q_weight, q_factor = np.empty((M + 1, _BLOCK)), np.empty((M + 1, _BLOCK))
    b = 0
    for n in range(begin, end):
        first, last, row, weight = offsets[n], offsets[n + 1], chosen[n], weights[n]
        utilities(X, first, last, beta, offset, u)
        offered = alternative[first:last]
        runs = upward(offered, lam, s, parent, u, P, nest_values, run_start, run_nest)
        nest = parent[alternative[row]]
        adjoints(nest, u[row - first], nest_values, lam, s, parent, omega, on_path)
        dI[:] = 0.0
        add_leaves(
            known,
            g,
            dI,
            X,
            first,
            last,
            runs,
            run_start,
            run_nest,
            u,
            P,
            w,
            z,
            omega,
            weight,
            lam,
            per_unit,
            slot,
            rum,
        )
        add_nests(
            known,
            g,
            dI,
            outer,
            pull,
            omega,
            on_path,
            nest_values,
            lam,
            s,
            slot,
            parent,
            kin,
            rum,
            weight,
            size,
        )
        _add_up(r, f, c, dI, omega, on_path, nest_values, lam, s, slot, parent, rum)
        by_constant = unit[n]
        for m in range(M + 1):
            q_weight[m, b] = weight * by_constant * by_constant * c[m]
            q_factor[m, b] = f[m]
        for run in range(runs):
            m = run_nest[run]
            for i in range(run_start[run], run_start[run + 1]):
                j = place[offered[i]]
                q[j, b] = P[i] / s[m]
                H[j, j] += by_constant * by_constant * w[i]
                P[i] *= weight * by_constant / s[m]
                w[i] *= by_constant
                if slot[m] >= 0 and rum:
                    mixed[slot[m], offered[i]] -= omega[m] * P[i] * (u[i] + 1.0) / lam[m]
            for k in range(size):
                value = r[m, k]
                for i in range(run_start[run], run_start[run + 1]):
                    mixed[k, offered[i]] += P[i] * value
        if slot[nest] >= 0 and rum:
            square = lam[nest] * lam[nest]
            mixed[slot[nest], alternative[row]] -= weight * by_constant / square
        for k in range(K):
            x = X[k, first:last]
            for i in range(last - first):
                mixed[k, offered[i]] += w[i] * x[i]
        b += 1
        if b == _BLOCK or n == end - 1:
            for m in range(M + 1):
                low, high = span[m, 0], span[m, 1]
                add_rows(H[low:high, low:high], q[low:high], 0, b, q_weight[m], scratch)
                if m < M:
                    for j in range(low, high):
                        for i in range(b):
                            q[j, i] *= q_factor[m, i]
            q[:] = 0.0
            b = 0


def constants_hessian(
    X: Array,
    offsets: Ints,
    alternative: Ints,
    chosen: Ints,
    weights: Array,
    beta: Array,
    offset: Array,
    lam: Array,
    slot: Ints,
    tree: NestTree,
    rum: bool,
    n_free: int,
    unit: Array,
) -> tuple[Array, Array]:
    """Return the Hessian in the constants of the alternatives, and with the other parameters.

    Parameters
    ----------
    X, offsets, alternative, chosen, weights, beta, offset, lam, slot, rum, n_free
        As in :func:`choicemodels.logit.kernels.derivatives`.
    tree
        The nests.
    unit
        Derivative of a case's utilities by their constants, shape (N,): the scale of the case.

    Returns
    -------
    hessian : ndarray, shape (J, J)
    mixed : ndarray, shape (J, K + n_free)
    """
    J, size = len(tree.alternatives), len(X) + n_free
    place, span = _order(tree)
    hessian, mixed = np.zeros((_CHUNKS, J, J)), np.zeros((_CHUNKS, size, J))
    widest = int(np.diff(offsets).max())
    bounds = [chunk * len(chosen) // _CHUNKS for chunk in range(_CHUNKS + 1)]

    def work(chunk: int) -> None:
        _constants_of_cases(
            bounds[chunk],
            bounds[chunk + 1],
            widest,
            X,
            offsets,
            alternative,
            chosen,
            weights,
            beta,
            offset,
            lam,
            slot,
            tree.parent,
            rum,
            unit,
            place,
            span,
            hessian[chunk],
            mixed[chunk],
        )

    run_blocks(work, _CHUNKS)
    lower = hessian.sum(axis=0)
    full = lower + np.tril(lower, -1).T
    return full[np.ix_(place, place)], np.ascontiguousarray(mixed.sum(axis=0).T)


def _order(tree: NestTree) -> tuple[Ints, Ints]:
    """Return each alternative's place if members of a nest stand together, and nests' spans.

    The places have shape (J,), the spans (M + 1, 2): nest m has the places ``low`` to
    ``high - 1``.
    """
    J, M = len(tree.alternatives), len(tree.nests)
    place, span = np.empty(J, dtype=np.int64), np.empty((M + 1, 2), dtype=np.int64)

    def visit(m: int, low: int) -> int:
        high = low
        for child in np.flatnonzero(tree.parent == m):
            if child < J:
                place[child] = high
                high += 1
            else:
                high = visit(int(child) - J, high)
        span[m] = low, high
        return high

    visit(M, 0)
    return place, span
