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

The way up, which this way down builds on, and the layout of the design are in
:mod:`choicemodels.logit.probabilities`.

Cases are summed in a fixed number of chunks, added in order: results do not depend on the number
of threads.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.logit.nest_steps import (
    BLOCK,
    add_by_nest,
    add_chosen,
    add_crosses,
    add_leaves,
    add_nests,
    add_rows,
    adjoints,
    fold,
    neighbours,
)
from choicemodels.logit.probabilities import FAST, chunk_bounds, upward, utilities
from choicemodels.threads import run_blocks

__all__ = ["derivatives"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(cache=True, nogil=True, fastmath=FAST)
def _derivatives_of_cases(
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
    loglike_obs: Any,
    score_obs: Any,
    score_rows: Any,
    score: Any,
    H: Any,
) -> float:
    """Add the cases from begin to end to score and the lower triangle of H; return their sum."""
    M, size = lam.shape[0] - 1, score.shape[0]
    s = lam if rum else np.ones(M + 1)
    u, P, w = np.empty(widest), np.empty(widest), np.empty(widest + BLOCK)
    run_start = np.empty(widest + 1, dtype=np.uint64)
    run_nest = np.empty(widest, dtype=np.int64)
    nest_values = np.empty((4, M + 1))
    omega, on_path = np.empty(M + 1), np.zeros(M + 1)
    # The nests of many cases side by side, for their outer products.
    slopes, curves, filled = np.empty((size, M + 1 + BLOCK)), np.empty(M + 1 + BLOCK), 0
    dI, bent = np.empty((size, M + 1)), np.zeros((2, size, M + 1))
    z = np.empty(max(widest, M + 1) + BLOCK)
    g, pull = np.empty(size), np.empty((3, M + 1))
    kin, per_unit = neighbours(parent[parent.shape[0] - M :]), 1.0 / s
    llf = 0.0
    block = offsets[begin]
    for n in range(begin, end):
        first, last, c, weight = offsets[n], offsets[n + 1], chosen[n], weights[n]
        utilities(X, first, last, beta, offset, u)
        offered = alternative[first:last]
        runs = upward(offered, lam, s, parent, u, P, nest_values, run_start, run_nest)
        nest = parent[alternative[c]]
        logP = adjoints(nest, u[c - first], nest_values, lam, s, parent, omega, on_path)
        llf += weight * logP
        if loglike_obs.shape[0] > 0:
            loglike_obs[n] = weight * logP
        if score_rows.shape[0] > 0:
            for run in range(runs):
                m = run_nest[run]
                scale = weight * omega[m] / s[m]
                for i in range(run_start[run], run_start[run + 1]):
                    score_rows[first + i] = scale * P[i]
            score_rows[c] += weight / s[parent[alternative[c]]]
        dI[:] = 0.0
        g[:] = 0.0
        bends = add_leaves(
            H,
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
            w[first - block :],
            z,
            omega,
            weight,
            lam,
            per_unit,
            slot,
            rum,
        )
        if bends:
            add_by_nest(bent[0], X, first, last, runs, run_start, run_nest, z, per_unit)
        if last - block >= BLOCK or n == end - 1:
            add_rows(H, X, block, last, w, z)
            block = last
        add_chosen(H, g, bent, X[:, c], nest, u[c - first], weight, lam, s, slot, rum)
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
        add_crosses(bent, dI, pull)
        slopes[:, filled : filled + M + 1] = dI
        filled += M + 1
        if filled >= BLOCK or n == end - 1:
            add_rows(H, slopes, 0, filled, curves, z)
            filled = 0
        for k in range(size):
            score[k] += weight * g[k]
        if score_obs.shape[0] > 0:
            for k in range(size):
                score_obs[n, k] = weight * g[k]
    fold(H, bent, slot, parent, rum)
    return llf


def derivatives(
    X: Array,
    offsets: Ints,
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
    score_rows: Array,
) -> tuple[float, Array, Array]:
    """Return log-likelihood, score and Hessian, and fill the contributions of the cases.

    Parameters
    ----------
    X : float64 (K, R), offsets : int64 (N + 1,), alternative : int64 (R,)
        Design by columns, first row of each case, and alternative number of each row.
    chosen : int64 (N,), weights : float64 (N,)
        Row of the chosen alternative, and the weight of each case.
    beta : float64 (K,), offset : float64 (R,) or (0,)
        The utilities are ``X' beta + offset``; derivatives are taken along X.
    lam : float64 (M + 1,)
        Dissimilarities with the root's 1 at the end.
    slot : int64 (M + 1,)
        Position of each lambda among all parameters; -1 where it is fixed.
    parent : int64 (J + M,)
        As in :class:`~choicemodels.logit.tree.NestTree`.
    n_free : int
        Number of free lambdas.
    loglike_obs : float64 (N,) or (0,), score_obs : float64 (N, K + n_free) or (0, 0)
        Filled with weighted contributions unless empty.
    score_rows : float64 (R,) or (0,)
        Filled with the derivatives by the rows' utilities unless empty.

    Returns
    -------
    tuple
        ``llf`` float, ``score`` (K + n_free,), ``hessian`` (K + n_free, K + n_free).
    """
    # One layout is one compilation: what may not be written to is copied.
    weights, beta = (np.require(values, requirements="W") for values in (weights, beta))
    size = len(X) + n_free
    bounds = chunk_bounds(len(chosen))
    chunks = len(bounds) - 1
    llf, score = np.zeros(chunks), np.zeros((chunks, size))
    hessian = np.zeros((chunks, size, size))
    widest = int(np.diff(offsets).max())

    def work(chunk: int) -> None:
        llf[chunk] = _derivatives_of_cases(
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
            parent,
            rum,
            loglike_obs,
            score_obs,
            score_rows,
            score[chunk],
            hessian[chunk],
        )

    run_blocks(work, chunks)
    lower = hessian.sum(axis=0)
    return float(llf.sum()), score.sum(axis=0), lower + np.tril(lower, -1).T
