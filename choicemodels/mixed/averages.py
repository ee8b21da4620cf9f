"""Averages over draws: choice probabilities, and coefficients given the choices.

The kernels walk over the makers as :mod:`choicemodels.mixed.kernels` does, without derivatives.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.logit.probabilities import FAST, chunk_bounds
from choicemodels.mixed.draw_rows import BLOCK
from choicemodels.mixed.simulation import (
    Choices,
    Mixture,
    block_weights,
    prepare,
    simulate,
    take_case,
    take_maker,
)
from choicemodels.threads import run_blocks

__all__ = ["posterior_coefficients", "simulated_probabilities"]

Array = NDArray[np.float64]


@njit(cache=True, nogil=True, fastmath=FAST)
def _probabilities_of_makers(
    begin: int,
    end: int,
    most_rows: int,
    mixture: Mixture,
    choices: Choices,
    draws: Any,
    P_rows: Any,
    logsum: Any,
) -> None:
    """Fill probabilities of the rows and expected logsums of the cases."""
    K, Q, S = choices.X.shape[0], mixture.kind.shape[0], draws.shape[2]
    # A plain number: a literal one would have all these compiled once more.
    one = np.int64(1)
    rows, W, e, slope, c = prepare(mixture, draws.shape[1], K, most_rows, one)
    D, base = np.empty((most_rows, K)), np.empty(most_rows)
    row = np.zeros(2, dtype=np.int64)
    index, term = np.empty(most_rows + K, dtype=np.int64), np.empty(most_rows + K)
    for maker in range(begin, end):
        for i in range(choices.first[maker], choices.first[maker + 1]):
            n = choices.cases[i]
            first, reference = choices.offsets[n], choices.reference[n]
            row[1] = take_case(n, choices, D, base, one - 1)
            P_rows[first : choices.offsets[n + 1]] = 0.0
            logsum[n] = 0.0
            for start in range(0, S, BLOCK):
                drawn = draws[maker, :, start : start + BLOCK]
                simulate(mixture, drawn, one, D, base, row, rows, W, e, slope, c, index, term)
                for r in range(drawn.shape[1]):
                    own = W[rows.weight, r] * np.exp(W[rows.log_scale, r])
                    P_rows[reference] += own
                    utility = choices.base[reference]
                    for q in range(Q):
                        utility += W[c[q], r] * choices.X[q, reference]
                    logsum[n] += utility - np.log(W[rows.weight, r]) - W[rows.log_scale, r]
                for j in range(row[1]):
                    at = first + j + (first + j >= reference)
                    for r in range(drawn.shape[1]):
                        P_rows[at] += W[rows.P + j, r]
            for j in range(first, choices.offsets[n + 1]):
                P_rows[j] /= S
            logsum[n] /= S


def simulated_probabilities(
    mixture: Mixture, choices: Choices, draws: Array
) -> tuple[Array, Array]:
    """Return choice probabilities of the rows (R,) and expected logsums of the cases (N,).

    The parameters are those of :func:`choicemodels.mixed.kernels.simulated_derivatives`; any row
    of a case serves as its reference, whether or not it was chosen.
    """
    P_rows, logsum = np.empty(choices.X.shape[1]), np.empty(len(choices.reference))
    most_rows = int(np.diff(choices.offsets).max())
    bounds = chunk_bounds(len(choices.first) - 1, least=8)

    def work(chunk: int) -> None:
        _probabilities_of_makers(
            bounds[chunk],
            bounds[chunk + 1],
            most_rows,
            mixture,
            choices,
            draws,
            P_rows,
            logsum,
        )

    run_blocks(work, len(bounds) - 1)
    return P_rows, logsum


@njit(cache=True, nogil=True, fastmath=FAST)
def _posterior_of_makers(
    begin: int,
    end: int,
    most_rows: int,
    most_cases: int,
    mixture: Mixture,
    choices: Choices,
    draws: Any,
    mean: Any,
    variance: Any,
) -> None:
    """Fill means and variances of the coefficients, draws weighted by the likelihood."""
    K, Q, S = choices.X.shape[0], mixture.kind.shape[0], draws.shape[2]
    rows, W, e, slope, c = prepare(mixture, draws.shape[1], K, most_rows, most_cases)
    D, base = np.empty((most_rows, K)), np.empty(most_rows)
    row = np.zeros(most_cases + 1, dtype=np.int64)
    index, term = np.empty(most_rows + K, dtype=np.int64), np.empty(most_rows + K)
    centre = np.empty(Q)
    for maker in range(begin, end):
        count = take_maker(maker, choices, D, base, row)
        total, top, centred = 0.0, -np.inf, False
        mean[maker] = 0.0
        variance[maker] = 0.0
        for start in range(0, S, BLOCK):
            drawn = draws[maker, :, start : start + BLOCK]
            far = simulate(
                mixture, drawn, count, D, base, row, rows, W, e, slope, c, index, term
            )  # fmt: skip
            if not centred:
                # Around some value near by the squares lose no digits.
                for q in range(Q):
                    centre[q] = W[rows.b + q, 0]
                centred = True
            highest = block_weights(rows, W, drawn.shape[1], far, top)
            factor = np.exp(top - highest)
            top = highest
            total *= factor
            for q in range(Q):
                mean[maker, q] *= factor
                variance[maker, q] *= factor
            for r in range(drawn.shape[1]):
                weight = W[rows.weight, r]
                total += weight
                for q in range(Q):
                    b = W[rows.b + q, r] - centre[q]
                    mean[maker, q] += weight * b
                    variance[maker, q] += weight * b * b
        for q in range(Q):
            mean[maker, q] /= total
            variance[maker, q] = variance[maker, q] / total - mean[maker, q] ** 2
            mean[maker, q] += centre[q]


def posterior_coefficients(mixture: Mixture, choices: Choices, draws: Array) -> tuple[Array, Array]:
    """Return posterior means and standard deviations of the coefficients, shape (M, Q).

    The parameters are those of :func:`choicemodels.mixed.kernels.simulated_derivatives`.
    """
    M, Q = len(choices.first) - 1, len(mixture.kind)
    mean, variance = np.empty((M, Q)), np.empty((M, Q))
    most_rows, most_cases = choices.most()
    bounds = chunk_bounds(M, least=8)

    def work(chunk: int) -> None:
        _posterior_of_makers(
            bounds[chunk],
            bounds[chunk + 1],
            most_rows,
            most_cases,
            mixture,
            choices,
            draws,
            mean,
            variance,
        )

    run_blocks(work, len(bounds) - 1)
    return mean, np.sqrt(np.maximum(variance, 0.0))
