"""The cross-nested likelihood, its score and its exact Hessian, in one pass over the cases.

An element e is the part of an alternative j that lies in a nest m; the part of an alternative
in no nest lies at the root. For one case, with ``u_e = (log alpha_e + V_j) / lambda_m``,

    I_m = log sum_e exp(u_e),  q_e = exp(u_e - I_m),  W_m = lambda_m I_m,
    B = log(sum_m exp(W_m) + sum_root exp(V_j)),  Q = exp(W_m - B) or exp(V_j - B),
    A = log sum_{e of i} exp(W_m - I_m + u_e),  r_e = exp(W_m - I_m + u_e - A),

the log-likelihood of the choice of i is ``A - B``. (An element at the root has the summand
``exp(V_j)``.) The first derivatives are linear in those of ``I_m`` and ``u_e``,

    sum_m (c_m dI_m + (R_m - Q_m) I_m dlambda_m) + sum_{e of i} r_e du_e,
    c_m = (R_m - Q_m) lambda_m - R_m,

R_m the ``r_e`` of the chosen alternative's element in m, and the Hessian is

    sum_m c_m (sum_e q_e (du_e du_e' + d2u_e) - dI_m dI_m')
        + sum_m (R_m - Q_m) (dlambda_m dI_m' + dI_m dlambda_m') - sum_m Q_m dW_m dW_m' + dB dB'
        + sum_{e of i} r_e (db_e db_e' + d2u_e) - dA dA',   db_e = dW_m - dI_m + du_e.

``du_e du_e'`` is an outer product of the row's variables, with one weight for all elements of
the row, but for the few entries of lambda_m and the alphas, so that an exact Hessian costs an
outer product for each row and three for each nest.

The design lies column by column, as in :mod:`choicemodels.logit.probabilities`.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.cross_nested.probabilities import Elements, inclusive_values
from choicemodels.logit.nest_steps import BLOCK, add_cross, add_outer, add_rows
from choicemodels.logit.probabilities import FAST, chunk_bounds, utilities
from choicemodels.threads import run_blocks

__all__ = ["cross_nested_derivatives"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(cache=True, fastmath=FAST)
def _compared(
    offered: Any, elements: Any, lam: Any, slot: Any, count: Any, lam_n: Any, slot_n: Any
) -> None:
    """Fill the dissimilarities that take part in a case, and their positions.

    That of a nest with one member on offer drops out of the probabilities. It is taken for a
    fixed one, so that its derivatives are zero and not what rounding leaves of them.
    """
    first, nest, M = elements[0], elements[1], lam.shape[0]
    count[:] = 0
    for j in offered:
        for e in range(first[j], first[j + 1]):
            if nest[e] < M:
                count[nest[e]] += 1
    for m in range(M):
        lam_n[m] = lam[m] if count[m] > 1 else 1.0
        slot_n[m] = slot[m] if count[m] > 1 else -1


@njit(cache=True, fastmath=FAST)
def _chosen(
    begin: int, end: int, p: int, nest: Any, u: Any, lam: Any, inclusive: Any, r: Any, R: Any
) -> float:
    """Fill r of the chosen alternative's elements, from position p of u, and R; return A."""
    M = lam.shape[0]
    R[:] = 0.0
    top = -np.inf
    for e in range(begin, end):
        value, m = u[p + e - begin], nest[e]
        r[e - begin] = value if m == M else (lam[m] - 1.0) * inclusive[m] + value
        top = max(top, r[e - begin])
    total = 0.0
    for e in range(begin, end):
        r[e - begin] = np.exp(r[e - begin] - top)
        total += r[e - begin]
    for e in range(begin, end):
        r[e - begin] /= total
        if nest[e] < M:
            R[nest[e]] = r[e - begin]
    return float(top + np.log(total))


@njit(cache=True, fastmath=FAST)
def _add_own(
    H: Any, e: int, elements: Any, x: Any, u: float, lam: float, slot: int, q: float, r: float
) -> None:
    """Add the second derivatives of an element in which lambda or an alpha takes part.

    ``q`` weighs ``du du' + d2u`` and ``r`` weighs ``d2u``.
    """
    start, place, slope = elements[3], elements[4], elements[5]
    square = lam * lam
    along = (q * (1.0 + u) + r) / square
    if slot >= 0:
        H[slot, slot] += (q * (u + 2.0) + 2.0 * r) * u / square
        for k in range(x.shape[0]):
            H[slot, k] -= along * x[k]
    for a in range(start[e], start[e + 1]):
        s, d = place[a], slope[a]
        if slot >= 0:
            H[max(s, slot), min(s, slot)] -= along * d
        for k in range(x.shape[0]):
            H[s, k] += q * d / square * x[k]
        for b in range(start[e], a + 1):
            curvature = q / square - (q + r) / lam
            H[max(s, place[b]), min(s, place[b])] += curvature * d * slope[b]


@njit(cache=True, fastmath=FAST)
def _add_slope(
    out: Any, e: int, elements: Any, x: Any, u: float, lam: float, slot: int, weight: float
) -> None:
    """Add ``weight * du`` of an element to out."""
    start, place, slope = elements[3], elements[4], elements[5]
    for k in range(x.shape[0]):
        out[k] += weight / lam * x[k]
    if slot >= 0:
        out[slot] -= weight * u / lam
    for a in range(start[e], start[e + 1]):
        out[place[a]] += weight * slope[a] / lam


@njit(cache=True, fastmath=FAST)
def _add_elements(
    H: Any,
    dI: Any,
    dB: Any,
    X: Any,
    row: int,
    offered: Any,
    choice: int,
    elements: Any,
    u: Any,
    r: Any,
    R: Any,
    inclusive: Any,
    Q: Any,
    B: float,
    lam: Any,
    slot: Any,
    weight: float,
    w: Any,
    x: Any,
    score_rows: Any,
) -> None:
    """Fill dI and the root's part of dB, the rows' weights w, and add what elements alone give."""
    first, nest = elements[0], elements[1]
    M = lam.shape[0]
    p = 0
    for i in range(offered.shape[0]):
        for k in range(x.shape[0]):
            x[k] = X[k, row + i]
        w[i] = 0.0
        slope = 0.0
        for e in range(first[offered[i]], first[offered[i] + 1]):
            m, taken = nest[e], r[e - first[offered[i]]] if i == choice else 0.0
            if m == M:
                share = np.exp(u[p] - B)
                w[i] -= weight * share
                slope += taken - share
                for k in range(x.shape[0]):
                    dB[k] += share * x[k]
            else:
                q = np.exp(u[p] - inclusive[m])
                along = ((R[m] - Q[m]) * lam[m] - R[m]) * q
                w[i] += weight * along / (lam[m] * lam[m])
                slope += (along + taken) / lam[m]
                _add_slope(dI[m], e, elements, x, u[p], lam[m], slot[m], q)
                _add_own(H, e, elements, x, u[p], lam[m], slot[m], weight * along, weight * taken)
            p += 1
        if score_rows.shape[0] > 0:
            score_rows[row + i] = weight * slope


@njit(cache=True, fastmath=FAST)
def _add_nests(
    H: Any,
    dI: Any,
    dA: Any,
    dB: Any,
    R: Any,
    inclusive: Any,
    Q: Any,
    lam: Any,
    slot: Any,
    weight: float,
    size: int,
) -> None:
    """Add the nests' part of dB, and what the nests and the root give to the Hessian.

    On return dI holds ``dW - dI`` of every nest, which the chosen alternative needs.
    """
    for m in range(lam.shape[0]):
        if Q[m] == 0.0 and R[m] == 0.0:
            continue
        gap = R[m] - Q[m]
        add_outer(H, dI[m], -weight * (gap * lam[m] - R[m]), size)
        if slot[m] >= 0:
            add_cross(H, dI[m], slot[m], weight * gap, size)
        # dA serves as scratch for dW.
        for k in range(size):
            dA[k] = lam[m] * dI[m, k]
        if slot[m] >= 0:
            dA[slot[m]] += inclusive[m]
        add_outer(H, dA, -weight * Q[m], size)
        for k in range(size):
            dB[k] += Q[m] * dA[k]
            dI[m, k] = dA[k] - dI[m, k]
    add_outer(H, dB, weight, size)


@njit(cache=True, fastmath=FAST)
def _add_choice(
    H: Any,
    dI: Any,
    dA: Any,
    db: Any,
    p: int,
    begin: int,
    end: int,
    elements: Any,
    u: Any,
    r: Any,
    lam: Any,
    slot: Any,
    weight: float,
    x: Any,
    size: int,
) -> None:
    """Fill dA and add what the chosen alternative's elements give to the Hessian together."""
    nest, M = elements[1], lam.shape[0]
    dA[:] = 0.0
    for e in range(begin, end):
        m = nest[e]
        if m == M:
            db[:] = 0.0
            for k in range(x.shape[0]):
                db[k] = x[k]
        else:
            for k in range(size):
                db[k] = dI[m, k]
            _add_slope(db, e, elements, x, u[p + e - begin], lam[m], slot[m], 1.0)
        add_outer(H, db, weight * r[e - begin], size)
        for k in range(size):
            dA[k] += r[e - begin] * db[k]
    add_outer(H, dA, -weight, size)


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
    elements: Any,
    loglike_obs: Any,
    score_obs: Any,
    score_rows: Any,
    score: Any,
    H: Any,
) -> float:
    """Add the cases from begin to end to score and the lower triangle of H; return their sum."""
    M, size, most = lam.shape[0], score.shape[0], np.diff(elements[0]).max()
    v, u, r = np.empty(widest), np.empty(widest * most), np.empty(most)
    w, z = np.empty(widest + BLOCK), np.empty(widest + BLOCK)
    inclusive, Q, R = np.empty(M), np.empty(M), np.empty(M)
    dI, dA, dB, db = np.empty((M, size)), np.empty(size), np.empty(size), np.empty(size)
    x = np.empty(X.shape[0])
    count, all_lam, all_slot = np.empty(M, dtype=np.int64), lam, slot
    lam, slot = np.empty(M), np.empty(M, dtype=np.int64)
    llf = 0.0
    block = offsets[begin]
    for n in range(begin, end):
        row, last, weight = offsets[n], offsets[n + 1], weights[n]
        choice = chosen[n] - row
        offered = alternative[row:last]
        utilities(X, row, last, beta, offset, v)
        _compared(offered, elements, all_lam, all_slot, count, lam, slot)
        B = inclusive_values(offered, v, elements, lam, u, inclusive, Q)
        p = 0
        for i in range(choice):
            p += elements[0][offered[i] + 1] - elements[0][offered[i]]
        e0, e1 = elements[0][offered[choice]], elements[0][offered[choice] + 1]
        logP = _chosen(e0, e1, p, elements[1], u, lam, inclusive, r, R) - B
        llf += weight * logP
        if loglike_obs.shape[0] > 0:
            loglike_obs[n] = weight * logP
        dI[:] = 0.0
        dB[:] = 0.0
        _add_elements(
            H,
            dI,
            dB,
            X,
            row,
            offered,
            choice,
            elements,
            u,
            r,
            R,
            inclusive,
            Q,
            B,
            lam,
            slot,
            weight,
            w[row - block :],
            x,
            score_rows,
        )
        if last - block >= BLOCK or n == end - 1:
            add_rows(H, X, block, last, w, z)
            block = last
        _add_nests(H, dI, dA, dB, R, inclusive, Q, lam, slot, weight, size)
        for k in range(x.shape[0]):
            x[k] = X[k, chosen[n]]
        _add_choice(H, dI, dA, db, p, e0, e1, elements, u, r, lam, slot, weight, x, size)
        for k in range(size):
            score[k] += weight * (dA[k] - dB[k])
        if score_obs.shape[0] > 0:
            for k in range(size):
                score_obs[n, k] = weight * (dA[k] - dB[k])
    return llf


def cross_nested_derivatives(
    X: Array,
    offsets: Ints,
    alternative: Ints,
    chosen: Ints,
    weights: Array,
    beta: Array,
    offset: Array,
    lam: Array,
    slot: Ints,
    elements: Elements,
    n_free: int,
    loglike_obs: Array,
    score_obs: Array,
    score_rows: Array,
) -> tuple[float, Array, Array]:
    """Return log-likelihood, score and Hessian, and fill the contributions of the cases.

    Parameters
    ----------
    lam : float64 (M,), slot : int64 (M,)
        Dissimilarities of the nests, and their positions among all parameters; -1 where fixed.
    elements : tuple of arrays
        The parts of the alternatives, see :mod:`choicemodels.cross_nested.probabilities`.
    n_free : int
        Number of free lambdas and alphas.

    The other arguments and the result are those of :func:`choicemodels.logit.kernels.derivatives`.
    """
    size = len(X) + n_free
    bounds = chunk_bounds(len(chosen), least=64)
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
            elements,
            loglike_obs,
            score_obs,
            score_rows,
            score[chunk],
            hessian[chunk],
        )

    run_blocks(work, chunks)
    lower = hessian.sum(axis=0)
    return float(llf.sum()), score.sum(axis=0), lower + np.tril(lower, -1).T
