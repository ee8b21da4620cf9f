"""The simulated likelihood of the mixed logit, its score and its exact Hessian, in one pass.

For one maker ``L = mean_r L_r``, ``L_r`` the product of the probabilities of the choices in draw r
(:mod:`choicemodels.mixed.simulation`). With ``w_r = L_r / sum_s L_s``, and g_r and H_r the
derivatives of ``log L_r``,

    score = sum_r w_r g_r,    Hessian = sum_r w_r (g_r g_r' + H_r) - score score',

so that a pass needs but the sums S0, S1, S2 of ``L_r``, ``L_r g_r`` and ``L_r (g_r g_r' + H_r)``,
over blocks of draws; they are rescaled when a block's probabilities exceed what was there before.

By the weights of the columns, ``xbar_t`` being the mean of ``D`` over the alternatives of case t,

    g = -sum_t xbar_t,    g g' + H = g g' + sum_t (xbar_t xbar_t' - sum_j P_j D_j D_j')  =:  A.

A is formed draw by draw for the columns that vary and their products with the others; of the others
among themselves only the mean over the draws is needed, and the last sum takes the mean of P alone.
Coefficients then follow by the chain rule, which for all but two coefficients of one column is
linear in the standard draws.

Makers are summed in a fixed number of chunks, added in order: results do not depend on the number
of threads.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.logit.probabilities import FAST, chunk_bounds
from choicemodels.mixed.draw_rows import BLOCK, add_product, add_rows, dots, multiply
from choicemodels.mixed.simulation import (
    IDENTITY,
    Choices,
    Mixture,
    Rows,
    block_weights,
    prepare,
    simulate,
    take_maker,
)
from choicemodels.threads import run_blocks

__all__ = ["simulated_derivatives"]

Array = NDArray[np.float64]


@njit(cache=True, fastmath=FAST)
def _columns(
    count: int, Q: int, D: Any, row: Any, rows: Rows, W: Any, index: Any, term: Any
) -> None:
    """Fill xbar, g and A; row ``k * Q + q`` of A is that of column k and varying column q."""
    K = D.shape[1]
    for k in range(K):
        for t in range(count):
            x, terms = rows.xbar + t * K + k, 0
            for j in range(row[t], row[t + 1]):
                if D[j, k] != 0.0:
                    index[terms], term[terms] = j, D[j, k]
                    terms += 1
            W[x] = 0.0
            add_rows(W, x, rows.P, index, term, 0, terms)
            if t == 0:
                multiply(W, rows.g + k, rows.one, x, -1.0)
            else:
                add_product(W, rows.g + k, rows.one, x, -1.0)
        for q in range(min(Q, k + 1)):
            A, terms = rows.A + k * Q + q, 0
            for j in range(row[count]):
                product = D[j, k] * D[j, q]
                if product != 0.0:
                    index[terms], term[terms] = j, -product
                    terms += 1
            # With one choice g is -xbar, and the two products are the same.
            multiply(W, A, rows.g + k, rows.g + q, 2.0 if count == 1 else 1.0)
            if count > 1:
                for x in range(rows.xbar, rows.xbar + count * K, K):
                    add_product(W, A, x + k, x + q, 1.0)
            add_rows(W, A, rows.P, index, term, 0, terms)


@njit(cache=True, fastmath=FAST)
def _along_price(out: int, k: int, mixture: Mixture, rows: Rows, W: Any) -> None:
    """Set a row to ``A_k0 - sum_l b_l A_kl``: row k of A along the derivative of c by the price."""
    Q, price = mixture.kind.shape[0], mixture.price
    multiply(W, out, rows.one, rows.A + max(k, price) * Q + min(k, price), 1.0)
    for q in range(Q):
        if mixture.scaled[q]:
            add_product(W, out, rows.b + q, rows.A + max(k, q) * Q + min(k, q), -1.0)


@njit(cache=True, fastmath=FAST)
def _from_prices(K: int, mixture: Mixture, rows: Rows, W: Any) -> None:
    """Turn derivatives by the weights of the columns into those by the coefficients.

    The weights are ``c_k = -b_0 b_k``, 0 being the price, for a willingness to pay, else ``b_k``.
    """
    Q, price = mixture.kind.shape[0], mixture.price
    b0, own = rows.b + price, rows.z
    _along_price(own, price, mixture, rows, W)
    for k in range(K):
        if k == price:
            continue
        scaled = k < Q and mixture.scaled[k]
        A = rows.A + max(k, price) * Q + min(k, price)
        _along_price(rows.y, k, mixture, rows, W)
        if scaled:
            add_product(W, own, rows.b + k, rows.y, -1.0)
            # The product b_0 b_k bends as well.
            multiply(W, A, b0, rows.y, -1.0)
            add_product(W, A, rows.one, rows.g + k, -1.0)
        else:
            multiply(W, A, rows.one, rows.y, 1.0)
    multiply(W, rows.A + price * Q + price, rows.one, own, 1.0)
    for k in range(K):
        for q in range(min(Q, k + 1)):
            A = rows.A + k * Q + q
            if k != price and mixture.scaled[q]:
                multiply(W, A, b0, A, -1.0)
            if q != price and k < Q and mixture.scaled[k]:
                multiply(W, A, b0, A, -1.0)
        if k < Q and mixture.scaled[k]:
            add_product(W, rows.g + price, rows.b + k, rows.g + k, -1.0)
            multiply(W, rows.g + k, b0, rows.g + k, -1.0)


@njit(cache=True, fastmath=FAST)
def _add_varying(
    sums: Any, K: int, mixture: Mixture, rows: Rows, W: Any, e: Any, slope: Any
) -> None:
    """Add a block of draws to the sums that involve the parameters of varying coefficients."""
    kind, first = mixture.kind, mixture.first
    Q, size = kind.shape[0], sums.shape[1]
    F, y, z = K - Q, rows.y, rows.z
    for q in range(Q):
        begin, end = first[q], first[q + 1]
        for k in range(F):
            multiply(W, y, rows.weight, rows.A + (Q + k) * Q + q, 1.0)
            dots(W, sums, k, F, y, 0, slope, begin, end)
        multiply(W, y, rows.weight, rows.g + q, 1.0)
        dots(W, sums, size, F, y, 0, slope, begin, end)
        if kind[q] != IDENTITY:
            multiply(W, y, y, rows.bend + q, 1.0)
            for a in range(begin, end):
                multiply(W, z, y, e[a], 1.0)
                dots(W, sums, F + a, F, z, 0, e, a, end)
        for p in range(q, Q):
            multiply(W, y, rows.weight, rows.A + p * Q + q, 1.0)
            for a in range(begin, end):
                source = y
                if slope[a] != rows.one:
                    multiply(W, z, y, slope[a], 1.0)
                    source = z
                dots(W, sums, F + a, F, source, 0, slope, max(a, first[p]), first[p + 1])


@njit(cache=True, fastmath=FAST)
def _add_fixed(sums: Any, count: int, K: int, Q: int, rows: Rows, W: Any, index: Any) -> None:
    """Add a block of draws to the sums of the other parameters, but for the products of D."""
    F, y, size = K - Q, rows.y, sums.shape[1]
    for k in range(F):
        index[k] = k
    dots(W, sums, size, 0, rows.weight, rows.g + Q, index, 0, F)
    for k in range(F):
        multiply(W, y, rows.weight, rows.g + Q + k, 2.0 if count == 1 else 1.0)
        dots(W, sums, k, 0, y, rows.g + Q, index, k, F)
        if count > 1:
            for x in range(rows.xbar + Q, rows.xbar + Q + count * K, K):
                multiply(W, y, rows.weight, x + k, 1.0)
                dots(W, sums, k, 0, y, x, index, k, F)


@njit(cache=True, fastmath=FAST)
def _subtract_products(sums: Any, P: Any, D: Any, Q: int, count: int) -> None:
    """Subtract ``sum_j P_j D_j D_j'`` of the fixed columns from the second sums."""
    for j in range(count):
        for k in range(Q, D.shape[1]):
            product = P[0, j] * D[j, k]
            if product != 0.0:
                for q in range(k, D.shape[1]):
                    sums[k - Q, q - Q] -= product * D[j, q]


@njit(cache=True, fastmath=FAST)
def _add_maker(sums: Any, total: float, weight: float, score: Any, H: Any) -> None:
    """Add a maker to score and Hessian, and turn the first sums into its score."""
    size = score.shape[0]
    own = sums[size]
    for a in range(size):
        own[a] /= total
        score[a] += weight * own[a]
    for a in range(size):
        for b in range(a, size):
            H[a, b] += weight * (sums[a, b] / total - own[a] * own[b])


@njit(cache=True)
def _fill_rows(maker: int, scale: float, choices: Choices, P: Any, score_rows: Any) -> None:
    """Fill the derivatives by the utilities of a maker's rows."""
    row = 0
    for n in choices.cases[choices.first[maker] : choices.first[maker + 1]]:
        c, others = choices.reference[n], 0.0
        for j in range(choices.offsets[n], choices.offsets[n + 1]):
            if j != c:
                score_rows[j] = -scale * P[row]
                others += P[row]
                row += 1
        score_rows[c] = scale * others


@njit(cache=True, nogil=True, fastmath=FAST)
def _derivatives_of_makers(
    begin: int,
    end: int,
    most_rows: int,
    most_cases: int,
    mixture: Mixture,
    choices: Choices,
    weights: Any,
    draws: Any,
    loglike_obs: Any,
    score_obs: Any,
    score_rows: Any,
    score: Any,
    H: Any,
) -> float:
    """Add the makers from begin to end to score and the upper triangle of H; return their sum."""
    K, Q, S = choices.X.shape[0], mixture.kind.shape[0], draws.shape[2]
    size = score.shape[0]
    rows, W, e, slope, c = prepare(mixture, draws.shape[1], K, most_rows, most_cases)
    D, base = np.empty((most_rows, K)), np.empty(most_rows)
    row = np.zeros(most_cases + 1, dtype=np.int64)
    index, term = np.empty(most_rows + K, dtype=np.int64), np.empty(most_rows + K)
    # Sums over the draws of ``L (g g' + H)`` and, in the last line, ``L g``; and of ``L P``.
    sums, P = np.empty((size + 1, size)), np.empty((1, most_rows))
    averaged = K > Q or score_rows.shape[0] > 0
    llf = 0.0
    for maker in range(begin, end):
        count = take_maker(maker, choices, D, base, row)
        sums[:] = 0.0
        P[:] = 0.0
        total, top = 0.0, -np.inf
        for start in range(0, S, BLOCK):
            drawn = draws[maker, :, start : start + BLOCK]
            far = simulate(
                mixture, drawn, count, D, base, row, rows, W, e, slope, c, index, term
            )  # fmt: skip
            highest = block_weights(rows, W, drawn.shape[1], far, top)
            if highest != top:
                factor = np.exp(top - highest)
                total *= factor
                sums *= factor
                P *= factor
                top = highest
            for r in range(BLOCK):
                total += W[rows.weight, r]
            _columns(count, Q, D, row, rows, W, index, term)
            if mixture.price >= 0:
                _from_prices(K, mixture, rows, W)
            _add_varying(sums, K, mixture, rows, W, e, slope)
            if K > Q:
                _add_fixed(sums, count, K, Q, rows, W, index)
            if averaged:
                for j in range(row[count]):
                    index[j] = j
                dots(W, P, 0, 0, rows.weight, rows.P, index, 0, row[count])
        if K > Q:
            _subtract_products(sums, P, D, Q, row[count])
        _add_maker(sums, total, weights[maker], score, H)
        value = weights[maker] * (np.log(total / S) + top)
        llf += value
        if loglike_obs.shape[0] > 0:
            loglike_obs[maker] = value
            for a in range(size):
                score_obs[maker, a] = weights[maker] * sums[size, a]
        if score_rows.shape[0] > 0:
            _fill_rows(maker, weights[maker] / total, choices, P[0], score_rows)
    return llf


def simulated_derivatives(
    mixture: Mixture,
    choices: Choices,
    weights: Array,
    draws: Array,
    loglike_obs: Array,
    score_obs: Array,
    score_rows: Array,
) -> tuple[float, Array, Array]:
    """Return log-likelihood, score and Hessian, and fill the contributions of the makers.

    The F parameters of the columns that do not vary come first, then the A of the varying
    coefficients, in the order of ``mixture.value``.

    Parameters
    ----------
    mixture, choices
        The coefficients at a point, and the data, F + Q columns.
    weights : float64 (M,)
    draws : float64 (M, D, S)
        Standard draws.
    loglike_obs : float64 (M,) or (0,), score_obs : float64 (M, F + A) or (0, 0)
        Both filled with weighted contributions, or both empty.
    score_rows : float64 (R,) or (0,)
        Filled with the derivatives by the rows' utilities unless empty.

    Returns
    -------
    tuple
        ``llf`` float, ``score`` (F + A,), ``hessian`` (F + A, F + A).
    """
    M = len(weights)
    size = len(choices.X) - len(mixture.kind) + len(mixture.value)
    bounds = chunk_bounds(M, least=8)
    chunks = len(bounds) - 1
    llf, score = np.zeros(chunks), np.zeros((chunks, size))
    hessian = np.zeros((chunks, size, size))
    most_rows, most_cases = choices.most()

    def work(chunk: int) -> None:
        llf[chunk] = _derivatives_of_makers(
            bounds[chunk],
            bounds[chunk + 1],
            most_rows,
            most_cases,
            mixture,
            choices,
            weights,
            draws,
            loglike_obs,
            score_obs,
            score_rows,
            score[chunk],
            hessian[chunk],
        )

    run_blocks(work, chunks)
    upper = hessian.sum(axis=0)
    return float(llf.sum()), score.sum(axis=0), upper + np.triu(upper, 1).T
