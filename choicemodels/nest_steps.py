"""The steps of a nested logit's derivatives for one case, shared by several kernels.

The notation is that of :mod:`choicemodels.kernels`, which puts them together.
"""

from typing import Any

import numpy as np
from numba import njit

from choicemodels.probabilities import FAST
from choicemodels.vector_exp import vector_exp

__all__ = [
    "BLOCK",
    "add_chosen",
    "add_cross",
    "add_leaves",
    "add_nests",
    "add_outer",
    "add_rows",
    "adjoints",
    "neighbours",
]

# Rows whose outer products are summed at once: long loops, and a block that stays in cache.
BLOCK = 512


@njit(cache=True, fastmath=FAST)
def _dot(a: Any, b: Any) -> float:
    """Return the inner product of two vectors; slices let the compiler use vector instructions."""
    value = 0.0
    for i in range(a.shape[0]):
        value += a[i] * b[i]
    return value


@njit(cache=True, fastmath=FAST)
def add_outer(H: Any, v: Any, weight: float, size: int) -> None:
    """Add ``weight * v v'`` to the lower triangle of H."""
    for k in range(size):
        t = weight * v[k]
        if t != 0.0:
            for q in range(k + 1):
                H[k, q] += t * v[q]


@njit(cache=True, fastmath=FAST)
def add_cross(H: Any, v: Any, slot: int, weight: float, size: int) -> None:
    """Add ``weight * (e v' + v e')`` to the lower triangle of H, e the unit vector of slot."""
    for k in range(size):
        if k < slot:
            H[slot, k] += weight * v[k]
        elif k > slot:
            H[k, slot] += weight * v[k]
        else:
            H[k, k] += 2.0 * weight * v[k]


@njit(cache=True, fastmath=FAST)
def add_rows(H: Any, X: Any, first: int, last: int, w: Any, z: Any) -> None:
    """Add ``sum_i w_i x_i x_i'`` to the lower triangle of H, four columns at a time."""
    size = last - first
    for k in range(X.shape[0]):
        x = X[k, first:last]
        for i in range(size):
            z[i] = w[i] * x[i]
        q = 0
        while q + 4 <= k + 1:
            x0, x1 = X[q, first:last], X[q + 1, first:last]
            x2, x3 = X[q + 2, first:last], X[q + 3, first:last]
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            for i in range(size):
                a += z[i] * x0[i]
                b += z[i] * x1[i]
                c += z[i] * x2[i]
                d += z[i] * x3[i]
            H[k, q] += a
            H[k, q + 1] += b
            H[k, q + 2] += c
            H[k, q + 3] += d
            q += 4
        while q <= k:
            H[k, q] += _dot(z[:size], X[q, first:last])
            q += 1


@njit(cache=True, fastmath=FAST)
def adjoints(
    nest: int,
    u: float,
    nest_values: Any,
    lam: Any,
    s: Any,
    parent: Any,
    omega: Any,
    on_path: Any,
) -> Any:
    """Return log P of an alternative with value u in a nest; fill the adjoints of the nests.

    The last row of ``nest_values`` is filled with the nests' probabilities in their parents.
    """
    total, inclusive, node_u, inside = (
        nest_values[0],
        nest_values[1],
        nest_values[2],
        nest_values[3],
    )
    M = lam.shape[0] - 1
    J = parent.shape[0] - M
    on_path[:] = 0.0
    m = nest
    logP = u - inclusive[m]
    on_path[m] = 1.0
    while m < M:
        logP += node_u[m] - inclusive[parent[J + m]]
        m = parent[J + m]
        on_path[m] = 1.0
    # From the root down.
    omega[M] = -1.0
    for m in range(M - 1, -1, -1):
        omega[m] = 0.0
        inside[m] = 0.0
        if total[m] > 0.0:
            p = parent[J + m]
            inside[m] = vector_exp(node_u[m] - inclusive[p])
            omega[m] = (on_path[m] + omega[p] * inside[m]) * lam[m] / s[p] - on_path[m]
    return logP


@njit(cache=True, fastmath=FAST)
def add_chosen(
    H: Any,
    g: Any,
    X: Any,
    c: int,
    m: int,
    u: float,
    weight: float,
    lam: Any,
    s: Any,
    slot: Any,
    rum: bool,
) -> None:
    """Add what the chosen alternative gives directly, through its utility in its nest m."""
    for k in range(X.shape[0]):
        g[k] += X[k, c] / s[m]
    if slot[m] >= 0 and rum:
        square = lam[m] * lam[m]
        g[slot[m]] -= u / lam[m]
        H[slot[m], slot[m]] += weight * 2.0 * u / square
        for k in range(X.shape[0]):
            H[slot[m], k] -= weight * X[k, c] / square


@njit(cache=True, fastmath=FAST)
def _add_means(
    dI: Any,
    X: Any,
    first: int,
    last: int,
    runs: int,
    run_start: Any,
    run_nest: Any,
    P: Any,
    s: Any,
) -> None:
    """Add the means of the columns within each nest to dI, four columns at a time."""
    K, k = X.shape[0], 0
    while k + 4 <= K:
        x0, x1 = X[k, first:last], X[k + 1, first:last]
        x2, x3 = X[k + 2, first:last], X[k + 3, first:last]
        for run in range(runs):
            m = run_nest[run]
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            for i in range(run_start[run], run_start[run + 1]):
                p = P[i]
                a += p * x0[i]
                b += p * x1[i]
                c += p * x2[i]
                d += p * x3[i]
            dI[k, m] += a / s[m]
            dI[k + 1, m] += b / s[m]
            dI[k + 2, m] += c / s[m]
            dI[k + 3, m] += d / s[m]
        k += 4
    while k < K:
        x = X[k, first:last]
        for run in range(runs):
            mean = 0.0
            for i in range(run_start[run], run_start[run + 1]):
                mean += P[i] * x[i]
            dI[k, run_nest[run]] += mean / s[run_nest[run]]
        k += 1


@njit(cache=True, fastmath=FAST)
def add_leaves(
    H: Any,
    g: Any,
    dI: Any,
    X: Any,
    first: int,
    last: int,
    runs: int,
    run_start: Any,
    run_nest: Any,
    u: Any,
    P: Any,
    w: Any,
    z: Any,
    omega: Any,
    weight: float,
    lam: Any,
    s: Any,
    slot: Any,
    rum: bool,
) -> None:
    """Add the alternatives to dI, to the score, and to their curvature with the lambdas.

    Also fill their weights ``w`` in the outer products.
    """
    size = last - first
    only, bends = -1, False
    for run in range(runs):
        m = run_nest[run]
        scale = omega[m] / s[m]
        linear, quadratic = 0.0, 0.0
        for i in range(run_start[run], run_start[run + 1]):
            w[i] = scale * P[i]
            pu = P[i] * u[i]
            linear += pu
            quadratic += pu * (u[i] + 2.0)
        along = 0.0
        if slot[m] >= 0 and rum:
            bends = True
            only = slot[m] if only == -1 or only == slot[m] else -2
            along = -weight * omega[m] / (lam[m] * lam[m])
            dI[slot[m], m] -= linear / lam[m]
            g[slot[m]] -= omega[m] * linear / lam[m]
            H[slot[m], slot[m]] += weight * omega[m] * quadratic / (lam[m] * lam[m])
        for i in range(run_start[run], run_start[run + 1]):
            z[i] = along * (P[i] + P[i] * u[i])
    _add_means(dI, X, first, last, runs, run_start, run_nest, P, s)
    for k in range(X.shape[0]):
        x = X[k, first:last]
        g[k] += _dot(w[:size], x)
        if only >= 0:
            H[only, k] += _dot(z[:size], x)
        elif bends:
            for run in range(runs):
                m, bent = run_nest[run], 0.0
                if slot[m] >= 0:
                    for i in range(run_start[run], run_start[run + 1]):
                        bent += z[i] * x[i]
                    H[slot[m], k] += bent
    for run in range(runs):
        m = run_nest[run]
        scale = weight / s[m]
        for i in range(run_start[run], run_start[run + 1]):
            w[i] *= scale


@njit(cache=True, fastmath=FAST)
def add_nests(
    H: Any,
    g: Any,
    dI: Any,
    outer: Any,
    pull: Any,
    omega: Any,
    on_path: Any,
    nest_values: Any,
    lam: Any,
    s: Any,
    slot: Any,
    parent: Any,
    kin: Any,
    alike: Any,
    rum: bool,
    weight: float,
    size: int,
) -> None:
    """Carry dI up the tree, children first, and add what the nests give to score and Hessian.

    A nest's value in its parent has the derivatives ``du_m = dI_m lambda_m / s_p + x e_m + y e_p``,
    e being unit vectors of the two lambdas, so that its outer product is one of dI, and cross
    products with e. The caller adds ``outer_m dI_m dI_m'`` to the Hessian, many cases at once.

    ``dI`` is (size, M + 1): every loop runs along the nests. ``kin`` and ``alike`` bound the runs
    of nests with the same parent and the same lambda, and ``pull`` (3, M + 1) is room for weights.
    """
    total, inclusive, node_u, inside = (
        nest_values[0],
        nest_values[1],
        nest_values[2],
        nest_values[3],
    )
    up, own, above = pull[0], pull[1], pull[2]
    M = lam.shape[0] - 1
    J = parent.shape[0] - M
    for m in range(M):
        up[m], outer[m], own[m], above[m] = 0.0, 0.0, 0.0, 0.0
        if total[m] == 0.0:
            continue
        p = parent[J + m]
        P, slope = inside[m], lam[m] / s[p]
        a, q = on_path[m] + omega[p] * P, weight * omega[p] * P
        up[m] = P * slope
        outer[m] = q * slope * slope - weight * omega[m]
        i, j = slot[m], slot[p] if rum else -1
        x, y = 0.0, 0.0
        if i >= 0:
            x = inclusive[m] / s[p]
            g[i] += a * x
            dI[i, p] += P * x
            own[m] = q * slope * x + weight * a / s[p]
            H[i, i] += q * x * x
        if j >= 0:
            y = -node_u[m] / lam[p]
            g[j] += a * y
            dI[j, p] += P * y
            above[m] = q * slope * y - weight * a * lam[m] / (lam[p] * lam[p])
            H[j, j] += q * y * y - 2.0 * weight * a * y / lam[p]
        if i >= 0 and j >= 0:
            both = q * x * y - weight * a * inclusive[m] / (lam[p] * lam[p])
            H[max(i, j), min(i, j)] += both if i != j else 2.0 * both
    outer[M] = -weight * omega[M]
    for k in range(size):
        d = dI[k]
        for run in range(kin.shape[0] - 1):
            low, high = kin[run], kin[run + 1]
            p = parent[J + np.int64(low)]
            d[p] += _dot(up[low:high], d[low:high])
            j = slot[p] if rum else -1
            if j >= 0:
                total_above = _dot(above[low:high], d[low:high])
                H[max(j, k), min(j, k)] += total_above if j != k else 2.0 * total_above
        for run in range(alike.shape[0] - 1):
            low, high = alike[run], alike[run + 1]
            i = slot[np.int64(low)]
            if i >= 0:
                total_own = _dot(own[low:high], d[low:high])
                H[max(i, k), min(i, k)] += total_own if i != k else 2.0 * total_own


@njit(cache=True)
def neighbours(values: Any) -> Any:
    """Return the bounds of the runs of equal values, as unsigned positions."""
    starts = np.empty(values.shape[0] + 1, dtype=np.uint64)
    runs = 0
    for i in range(values.shape[0]):
        if i == 0 or values[i] != values[i - 1]:
            starts[runs] = i
            runs += 1
    starts[runs] = values.shape[0]
    return starts[: runs + 1]
