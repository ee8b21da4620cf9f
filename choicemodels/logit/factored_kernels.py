"""The nested-logit likelihood of choices among many places, without a row for each of them.

A utility is a sum of terms ``beta_k a_n B_k(o, j)``, a part of the chooser times a part of the
origin and the alternative, and few of the chooser's parts are distinct. So for each origin the
terms with one part a_p collapse to ``D_p(o, j) = sum_k beta_k B_k(o, j)``, a chooser's utilities
are ``sum_p a_np D_p``, and of the Hessian's sum over rows

    sum_n sum_j w_nj a_np a_nq B_k(o, j) B_l(o, j) = sum_j B_k B_l sum_n w_nj a_np a_nq

only the inner sum visits every chooser and place. What remains for each chooser, the derivatives
of the inclusive values, is computed for the parameters ``a_p beta_k`` of utilities over B itself
by the steps of :mod:`choicemodels.logit.kernels`, and scaled by a_p afterwards.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.logit.nest_steps import (
    BLOCK,
    add_chosen,
    add_crosses,
    add_leaves,
    add_nests,
    add_rows,
    adjoints,
    fold,
    neighbours,
)
from choicemodels.logit.probabilities import FAST, chunk_bounds, upward
from choicemodels.threads import run_blocks
from choicemodels.vector_exp import vector_exp

__all__ = ["expected_choices", "factored_derivatives"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(cache=True, fastmath=FAST)
def _collapse(D: Any, B: Any, first: int, last: int, beta: Any, part: Any) -> None:
    """Fill D with the utilities over the places for each part of the choosers."""
    size = last - first
    D[:, :size] = 0.0
    for k in range(B.shape[0]):
        b, d, x = beta[k], D[part[k]], B[k, first:last]
        for i in range(size):
            d[i] += b * x[i]


@njit(cache=True, fastmath=FAST)
def _fill_utilities(u: Any, D: Any, a: Any, g: int, first: int, last: int, offset: Any) -> None:
    """Fill u with the utilities of one chooser."""
    size = last - first
    if offset.shape[0] > 0:
        for i in range(size):
            u[i] = offset[first + i]
    else:
        u[:size] = 0.0
    for p in range(D.shape[0]):
        t, d = a[p, g], D[p]
        if t != 0.0:
            for i in range(size):
                u[i] += t * d[i]


@njit(cache=True, fastmath=FAST)
def _flush(
    H: Any,
    bent: Any,
    S: Any,
    Z: Any,
    B: Any,
    first: int,
    last: int,
    part: Any,
    runs: int,
    run_start: Any,
    run_nest: Any,
    per_unit: Any,
    z: Any,
) -> None:
    """Add an origin's places to H and to ``bent[0]``, and empty their sums of weights."""
    size, parts = last - first, S.shape[0]
    for k in range(B.shape[0]):
        x, total = B[k, first:last], Z[part[k]]
        for run in range(runs):
            value = 0.0
            for i in range(run_start[run], run_start[run + 1]):
                value += total[i] * x[i]
            bent[0, k, run_nest[run]] += value * per_unit[run_nest[run]]
    Z[:] = 0.0
    for k in range(B.shape[0]):
        x = B[k, first:last]
        for p in range(parts):
            weight = S[max(p, part[k]), min(p, part[k])]
            for i in range(size):
                z[i] = weight[i] * x[i]
            for q in range(k + 1):
                if part[q] == p:
                    y, total = B[q, first:last], 0.0
                    for i in range(size):
                        total += z[i] * y[i]
                    H[k, q] += total
    S[:] = 0.0


@njit(cache=True, nogil=True, fastmath=FAST)
def _derivatives_of_choosers(
    begin: int,
    end: int,
    widest: int,
    B: Any,
    part: Any,
    a: Any,
    origin: Any,
    cells: Any,
    alternative: Any,
    chosen: Any,
    weights: Any,
    beta: Any,
    offset: Any,
    lam: Any,
    slot: Any,
    parent: Any,
    rum: bool,
    loglike_obs: Any,
    score_obs: Any,
    score: Any,
    H: Any,
) -> float:
    """Add the choosers from begin to end to score and the lower triangle of H; return their sum."""
    K, C, M, size = B.shape[0], a.shape[0], lam.shape[0] - 1, score.shape[0]
    s = lam if rum else np.ones(M + 1)
    u, P, w = np.empty(widest), np.empty(widest), np.empty(widest)
    run_start = np.empty(widest + 1, dtype=np.uint64)
    run_nest = np.empty(widest, dtype=np.int64)
    nest_values = np.empty((4, M + 1))
    omega, on_path = np.empty(M + 1), np.zeros(M + 1)
    slopes, curves, filled = np.empty((size, M + 1 + BLOCK)), np.empty(M + 1 + BLOCK), 0
    z, scratch = np.empty(widest), np.empty(max(widest, M + 1 + BLOCK))
    g, pull, f, x = np.empty(size), np.empty((3, M + 1)), np.ones(size), np.empty(K)
    kin, per_unit = neighbours(parent[parent.shape[0] - M :]), 1.0 / s
    dI, bent = np.empty((size, M + 1)), np.zeros((2, size, M + 1))
    D, S, Z = np.empty((C, widest)), np.zeros((C, C, widest)), np.zeros((C, widest))
    llf, current, first, last, runs = 0.0, -1, 0, 0, 0
    for n in range(begin, end):
        if origin[n] != current:
            if current >= 0:
                _flush(
                    H,
                    bent,
                    S,
                    Z,
                    B,
                    first,
                    last,
                    part,
                    runs,
                    run_start,
                    run_nest,
                    per_unit,
                    scratch,
                )
            current = origin[n]
            first, last = cells[current], cells[current + 1]
            _collapse(D, B, first, last, beta, part)
        _fill_utilities(u, D, a, n, first, last, offset)
        runs = upward(
            alternative[first:last], lam, s, parent, u, P, nest_values, run_start, run_nest
        )
        c, weight = chosen[n], weights[n]
        nest = parent[alternative[c]]
        logP = adjoints(nest, u[c - first], nest_values, lam, s, parent, omega, on_path)
        llf += weight * logP
        if loglike_obs.shape[0] > 0:
            loglike_obs[n] = logP
        dI[:] = 0.0
        g[:] = 0.0
        bends = add_leaves(
            H,
            g,
            dI,
            B,
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
            H,
            g,
            dI,
            curves[filled : filled + M + 1],
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
        for k in range(K):
            f[k] = a[part[k], n]
            x[k] = f[k] * B[k, c]
        for k in range(size):
            slope, out, t = dI[k], slopes[k, filled : filled + M + 1], f[k]
            for m in range(M + 1):
                slope[m] *= t
                out[m] = slope[m]
            g[k] *= t
        add_crosses(bent, dI, pull)
        add_chosen(H, g, bent, x, nest, u[c - first], weight, lam, s, slot, rum)
        for k in range(size):
            score[k] += weight * g[k]
        filled += M + 1
        if filled >= BLOCK or n == end - 1:
            add_rows(H, slopes, 0, filled, curves, scratch)
            filled = 0
        if score_obs.shape[0] > 0:
            score_obs[n] = g
        for p in range(C):
            if bends and a[p, n] != 0.0:
                t, total = a[p, n], Z[p]
                for i in range(last - first):
                    total[i] += t * z[i]
            for q in range(p + 1):
                t, total = a[p, n] * a[q, n], S[p, q]
                if t != 0.0:
                    for i in range(last - first):
                        total[i] += t * w[i]
    if current >= 0:
        _flush(H, bent, S, Z, B, first, last, part, runs, run_start, run_nest, per_unit, scratch)
    fold(H, bent, slot, parent, rum)
    return llf


def factored_derivatives(
    B: Array,
    part: Ints,
    a: Array,
    origin: Ints,
    cells: Ints,
    alternative: Ints,
    chosen: Ints,
    weights: Array,
    beta: Array,
    offset: Array,
    lam: Array,
    slot: Ints,
    parent: Ints,
    rum: bool,
    n_free: int,
    loglike_obs: Array,
    score_obs: Array,
) -> tuple[float, Array, Array]:
    """Return log-likelihood, score and Hessian, and fill the contributions of the choosers.

    Parameters
    ----------
    B : float64 (K, R), part : int64 (K,)
        The places' part of each term over the R cells, and which of the choosers' parts it is
        multiplied with.
    a : float64 (C, N), origin : int64 (N,)
        Distinct parts of the choosers; their origins, in rising order.
    cells : int64 (O + 1,), alternative : int64 (R,)
        First cell of each origin, and alternative of each cell.
    chosen : int64 (N,), weights : float64 (N,)
        Cell of the chosen alternative, and weight of each chooser.
    beta, offset, lam, slot, parent, rum, n_free
        As in :func:`choicemodels.logit.kernels.derivatives`, the offset by cell.
    loglike_obs : float64 (N,) or (0,), score_obs : float64 (N, K + n_free) or (0, 0)
        Filled with contributions, without weights, unless empty.

    Returns
    -------
    tuple
        ``llf`` float, ``score`` (K + n_free,), ``hessian`` (K + n_free, K + n_free).
    """
    size = len(B) + n_free
    bounds = chunk_bounds(len(origin), least=16)
    chunks = len(bounds) - 1
    llf, score = np.zeros(chunks), np.zeros((chunks, size))
    hessian = np.zeros((chunks, size, size))
    widest = int(np.diff(cells).max())

    def work(chunk: int) -> None:
        llf[chunk] = _derivatives_of_choosers(
            bounds[chunk],
            bounds[chunk + 1],
            widest,
            B,
            part,
            a,
            origin,
            cells,
            alternative,
            chosen,
            weights,
            beta,
            offset,
            lam,
            slot,
            parent,
            rum,
            loglike_obs,
            score_obs,
            score[chunk],
            hessian[chunk],
        )

    run_blocks(work, chunks)
    lower = hessian.sum(axis=0)
    return float(llf.sum()), score.sum(axis=0), lower + np.tril(lower, -1).T


@njit(cache=True, nogil=True, fastmath=FAST)
def _expected_of_origin(
    begin: int,
    end: int,
    first: int,
    last: int,
    B: Any,
    part: Any,
    a: Any,
    alternative: Any,
    weights: Any,
    beta: Any,
    offset: Any,
    lam: Any,
    parent: Any,
    rum: bool,
    expected: Any,
    logsum: Any,
) -> None:
    """Add one origin's choosers to the expected choices of its cells, and fill their logsums."""
    M, widest = lam.shape[0] - 1, last - first
    J = parent.shape[0] - M
    s = lam if rum else np.ones(M + 1)
    u, P, reach = np.empty(widest), np.empty(widest), np.empty(M + 1)
    run_start = np.empty(widest + 1, dtype=np.uint64)
    run_nest = np.empty(widest, dtype=np.int64)
    nest_values = np.empty((4, M + 1))
    total, inclusive, node_u = nest_values[0], nest_values[1], nest_values[2]
    D = np.empty((a.shape[0], widest))
    offered = alternative[first:last]
    _collapse(D, B, first, last, beta, part)
    for n in range(begin, end):
        _fill_utilities(u, D, a, n, first, last, offset)
        runs = upward(offered, lam, s, parent, u, P, nest_values, run_start, run_nest)
        reach[M] = weights[n]
        for m in range(M - 1, -1, -1):
            p = parent[J + m]
            reach[m] = reach[p] * vector_exp(node_u[m] - inclusive[p]) if total[m] > 0.0 else 0.0
        for run in range(runs):
            for i in range(run_start[run], run_start[run + 1]):
                expected[first + i] += P[i] * reach[run_nest[run]]
        logsum[n] = inclusive[M]


def expected_choices(
    B: Array,
    part: Ints,
    a: Array,
    origin: Ints,
    cells: Ints,
    alternative: Ints,
    weights: Array,
    beta: Array,
    offset: Array,
    lam: Array,
    parent: Ints,
    rum: bool,
) -> tuple[Array, Array]:
    """Return expected choices of the cells, shape (R,), and logsums of the choosers, shape (N,).

    The parameters are those of :func:`factored_derivatives`; the expected choices are the sums of
    the choosers' probabilities, times their weights.
    """
    expected, logsum = np.zeros(B.shape[1]), np.empty(len(origin))
    bounds = np.searchsorted(origin, np.arange(len(cells)))
    blocks = chunk_bounds(len(cells) - 1, least=1)

    def work(block: int) -> None:
        for o in range(blocks[block], blocks[block + 1]):
            _expected_of_origin(
                bounds[o],
                bounds[o + 1],
                cells[o],
                cells[o + 1],
                B,
                part,
                a,
                alternative,
                weights,
                beta,
                offset,
                lam,
                parent,
                rum,
                expected,
                logsum,
            )

    run_blocks(work, len(blocks) - 1)
    return expected, logsum
