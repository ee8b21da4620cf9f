"""The steps of a nested logit's derivatives for one case, shared by several kernels.

The notation is that of :mod:`choicemodels.logit.kernels`, which puts them together.
"""

from typing import Any

import numpy as np
from numba import njit

from choicemodels.logit.probabilities import FAST
from choicemodels.vector_exp import vector_exp

__all__ = [
    "BLOCK",
    "add_by_nest",
    "add_chosen",
    "add_cross",
    "add_crosses",
    "add_leaves",
    "add_nests",
    "add_outer",
    "add_rows",
    "adjoints",
    "fold",
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
    bent: Any,
    x: Any,
    m: int,
    u: float,
    weight: float,
    lam: Any,
    s: Any,
    slot: Any,
    rum: bool,
) -> None:
    """Add what the chosen alternative, with the design x (K,), gives through its nest m."""
    for k in range(x.shape[0]):
        g[k] += x[k] / s[m]
    if slot[m] >= 0 and rum:
        square = lam[m] * lam[m]
        g[slot[m]] -= u / lam[m]
        H[slot[m], slot[m]] += weight * 2.0 * u / square
        for k in range(x.shape[0]):
            bent[0, k, m] -= weight * x[k] / square


@njit(cache=True, fastmath=FAST)
def add_by_nest(
    out: Any,
    X: Any,
    first: int,
    last: int,
    runs: int,
    run_start: Any,
    run_nest: Any,
    weights: Any,
    factor: Any,
) -> None:
    """Add each nest's weighted sums of the columns, times its factor, to out (K, M + 1)."""
    K, k = X.shape[0], 0
    # Four columns at a time: the weights are read once for all of them.
    while k + 4 <= K:
        x0, x1 = X[k, first:last], X[k + 1, first:last]
        x2, x3 = X[k + 2, first:last], X[k + 3, first:last]
        for run in range(runs):
            m = run_nest[run]
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            for i in range(run_start[run], run_start[run + 1]):
                w = weights[i]
                a += w * x0[i]
                b += w * x1[i]
                c += w * x2[i]
                d += w * x3[i]
            t = factor[m]
            out[k, m] += a * t
            out[k + 1, m] += b * t
            out[k + 2, m] += c * t
            out[k + 3, m] += d * t
        k += 4
    while k < K:
        x = X[k, first:last]
        for run in range(runs):
            total = 0.0
            for i in range(run_start[run], run_start[run + 1]):
                total += weights[i] * x[i]
            out[k, run_nest[run]] += total * factor[run_nest[run]]
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
    per_unit: Any,
    slot: Any,
    rum: bool,
) -> bool:
    """Add the alternatives to dI, which is zero before, and to the score.

    Also fill their weights ``w`` in the outer products of the Hessian, and ``z`` in its mixed
    derivatives with the lambdas, which the caller adds to ``bent[0]`` by :func:`add_by_nest`
    with the factors ``per_unit = 1 / s``. Return whether there are any of these.
    """
    bends = False
    for run in range(runs):
        m = run_nest[run]
        scale = weight * omega[m] * per_unit[m] * per_unit[m]
        along = 0.0
        if slot[m] >= 0 and rum:
            bends = True
            along = -weight * omega[m] / lam[m]
            linear, quadratic = 0.0, 0.0
            for i in range(run_start[run], run_start[run + 1]):
                pu = P[i] * u[i]
                linear += pu
                quadratic += pu * (u[i] + 2.0)
            dI[slot[m], m] -= linear / lam[m]
            g[slot[m]] -= omega[m] * linear / lam[m]
            H[slot[m], slot[m]] += weight * omega[m] * quadratic / (lam[m] * lam[m])
        for i in range(run_start[run], run_start[run + 1]):
            w[i] = scale * P[i]
            z[i] = along * (P[i] + P[i] * u[i])
    add_by_nest(dI, X, first, last, runs, run_start, run_nest, P, per_unit)
    for k in range(X.shape[0]):
        g[k] += _dot(omega, dI[k])
    return bends


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
    rum: bool,
    weight: float,
    size: int,
) -> None:
    """Carry dI up the tree, children first, and add what the nests give to score and Hessian.

    A nest's value in its parent has the derivatives ``du_m = dI_m lambda_m / s_p + x e_m + y e_p``,
    e being unit vectors of the two lambdas, so that its outer product is one of dI, and cross
    products with e. Of the former the caller adds ``outer_m dI_m dI_m'`` to the Hessian, many
    cases at once, and of the latter ``pull_1 dI`` and ``pull_2 dI`` to ``bent``, see :func:`fold`.

    ``dI`` is (size, M + 1): every loop runs along the nests. ``kin`` bounds the runs of nests with
    the same parent, and ``pull`` (3, M + 1) is filled.
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
    outer[M], own[M], above[M] = -weight * omega[M], 0.0, 0.0
    for k in range(size):
        d = dI[k]
        for run in range(kin.shape[0] - 1):
            low, high = kin[run], kin[run + 1]
            d[parent[J + np.int64(low)]] += _dot(up[low:high], d[low:high])


@njit(cache=True, fastmath=FAST)
def add_crosses(bent: Any, dI: Any, pull: Any) -> None:
    """Add the cross products of the nests' dI with their own lambda and with their parent's."""
    own, above = pull[1], pull[2]
    for k in range(dI.shape[0]):
        d, b, c = dI[k], bent[0, k], bent[1, k]
        for m in range(own.shape[0]):
            b[m] += own[m] * d[m]
            c[m] += above[m] * d[m]


@njit(cache=True)
def fold(H: Any, bent: Any, slot: Any, parent: Any, rum: bool) -> None:
    """Add the mixed derivatives with the lambdas to the lower triangle of H.

    ``bent[0, k, m]`` (2, size, M + 1) is summed over cases and belongs to parameter k and the
    lambda of nest m, ``bent[1, k, m]`` to the lambda of its parent.
    """
    M = slot.shape[0] - 1
    J = parent.shape[0] - M
    for m in range(M):
        above = slot[parent[J + m]] if rum else -1
        for side, i in enumerate((slot[m], above)):
            if i >= 0:
                for k in range(bent.shape[1]):
                    value = bent[side, k, m]
                    H[max(i, k), min(i, k)] += value if i != k else 2.0 * value


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
