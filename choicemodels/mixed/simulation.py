"""Simulation of the mixed logit, for one decision maker and a block of draws.

In draw r the coefficient q is ``b_q = T_q(z_q)``, ``z_q = sum_a value_a e_a``, a sum over the
parameters a that belong to it: its location, with ``e = 1``, and its spread or its row of the
Cholesky factor, with standard draws e. With ``D_j = x_j - x_chosen`` the probability of a choice is

    P = 1 / (1 + sum_j exp(v_j)),    v_j = base_j + sum_q c_q D_jq,

the sum over the other alternatives; ``base`` is what does not vary. The weights ``c`` of the
columns are the coefficients, or in the space of willingness to pay ``c_q = -b_price b_q``
[TrainWeeks2005]_.

The product of probabilities over the choices of a maker is kept as a number and, once that becomes
too small, a logarithm: logarithms are taken where they are needed only.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from choicemodels.logit.probabilities import FAST
from choicemodels.mixed.draw_rows import BLOCK, add_rows, multiply
from choicemodels.mixed.normal_quantile import normal_quantile
from choicemodels.vector_exp import vector_exp

__all__ = [
    "EXPONENTIAL",
    "IDENTITY",
    "KINDS",
    "TRUNCATED",
    "Choices",
    "Mixture",
    "Rows",
    "block_weights",
    "prepare",
    "simulate",
    "take_case",
    "take_maker",
]

IDENTITY, EXPONENTIAL, TRUNCATED = range(3)
# The transformations by the words of choicemodels.mixed.distributions.
KINDS = {
    "identity": IDENTITY,
    "exponential": EXPONENTIAL,
    "truncated": TRUNCATED,
}

# Differences of utility above this need a maximum taken out before the exponential.
_SAFE = 300.0
# A product of probabilities below this is turned into a logarithm.
_SMALL = 1e-150
# An exponent for which squares are finite.
_LARGEST = 300.0


class Mixture(NamedTuple):
    """How the Q coefficients vary with A parameters, at a point.

    Attributes
    ----------
    value : float64 (A,)
        The parameters, those of one coefficient together.
    first : int64 (Q + 1,)
        Coefficient q has the parameters ``first[q]:first[q + 1]``.
    draw : int64 (A,)
        Dimension of the draws that each parameter multiplies; -1 for a location.
    kind : int64 (Q,)
        The transformation T.
    sign : float64 (Q,)
        Minus one for a negative lognormal and the like.
    scaled : bool (Q,)
        Whether the coefficient is a willingness to pay.
    price : int
        Coefficient of the price in the space of willingness to pay, else -1.
    """

    value: Any
    first: Any
    draw: Any
    kind: Any
    sign: Any
    scaled: Any
    price: int


class Choices(NamedTuple):
    """What M makers chose in N cases with R rows.

    Attributes
    ----------
    X : float64 (K, R)
        Columns of the varying coefficients, then of the others.
    base : float64 (R,)
        Utilities without the varying part.
    offsets : int64 (N + 1,)
    reference : int64 (N,)
        Row of the chosen alternative.
    cases : int64 (N,)
        Cases, those of one maker together.
    first : int64 (M + 1,)
        Maker m has the cases ``cases[first[m]:first[m + 1]]``.
    """

    X: Any
    base: Any
    offsets: Any
    reference: Any
    cases: Any
    first: Any

    def most(self) -> tuple[int, int]:
        """Return how many alternatives not chosen, and how many cases, a maker has at most."""
        others = (np.diff(self.offsets) - 1)[self.cases]
        rows = np.add.reduceat(others, self.first[:-1])
        return int(rows.max()), int(np.diff(self.first).max())


class Rows(NamedTuple):
    """Where the workspace holds what.

    Attributes
    ----------
    draws, one
        Standard draws, and a row of ones.
    b, bend, c
        Coefficients, their second derivatives by z, and weights of the columns, a row each.
    slope
        Derivatives of b by the parameters.
    P
        Probabilities of the alternatives that were not chosen.
    xbar, g, A
        See :mod:`choicemodels.mixed.kernels`.
    weight, log_scale
        The probability of all choices is ``weight * exp(log_scale)``.
    y, z
        Memory.
    """

    draws: int
    one: int
    b: int
    bend: int
    c: int
    slope: int
    P: int
    xbar: int
    g: int
    A: int
    weight: int
    log_scale: int
    y: int
    z: int


@njit(cache=True)
def prepare(
    mixture: Mixture, dimensions: int, K: int, most_rows: int, most_cases: Any
) -> tuple[Rows, Any, Any, Any, Any]:
    """Lay out a workspace for makers of at most so many rows and cases.

    Returns
    -------
    tuple
        Where things are, the workspace, and the rows that hold the draws ``e`` and the slopes of
        the parameters, shape (A,), and the columns' weights, shape (Q,).
    """
    Q, A = mixture.kind.shape[0], mixture.value.shape[0]
    sizes = (dimensions, 1, Q, Q, Q, A, most_rows, most_cases * K, K, K * Q, 1, 1, 1, 1, A)
    starts, total = np.zeros(15, dtype=np.int64), 0
    for i, size in enumerate(sizes):
        starts[i] = total
        total += size
    rows = Rows(
        starts[0], starts[1], starts[2], starts[3], starts[4], starts[5], starts[6], starts[7],
        starts[8], starts[9], starts[10], starts[11], starts[12], starts[13],
    )  # fmt: skip
    # Uniform draws must lie between 0 and 1 in an incomplete block as well.
    W = np.full((total, BLOCK), 0.5)
    W[rows.one] = 1.0
    e, slope = np.empty(A, dtype=np.int64), np.empty(A, dtype=np.int64)
    c = np.empty(Q, dtype=np.int64)
    for q in range(Q):
        kind = mixture.kind[q]
        c[q] = (rows.c if mixture.scaled[q] and mixture.price >= 0 else rows.b) + q
        for a in range(mixture.first[q], mixture.first[q + 1]):
            e[a] = rows.one if mixture.draw[a] < 0 else rows.draws + mixture.draw[a]
            if kind == TRUNCATED and mixture.draw[a] >= 0:
                e[a] = starts[14] + a
                W[e[a]] = -mixture.value[a - 1] / mixture.value[a]
            slope[a] = e[a] if kind == IDENTITY else rows.slope + a
    return rows, W, e, slope, c


@njit(cache=True)
def take_maker(maker: int, choices: Choices, D: Any, base: Any, row: Any) -> int:
    """Fill the differences from the chosen alternatives; return the number of cases.

    The alternatives that were not chosen in the maker's case t are the rows ``row[t]:row[t + 1]``
    of ``D``, shape (rows, K), and ``base``, shape (rows,).
    """
    count = 0
    for n in choices.cases[choices.first[maker] : choices.first[maker + 1]]:
        row[count + 1] = take_case(n, choices, D, base, row[count])
        count += 1
    return count


@njit(cache=True)
def take_case(n: int, choices: Choices, D: Any, base: Any, first: Any) -> Any:
    """Fill the differences of a case from the row ``first`` on; return where they end."""
    X, utility, c = choices.X, choices.base, choices.reference[n]
    row = first
    for j in range(choices.offsets[n], choices.offsets[n + 1]):
        if j != c:
            base[row] = utility[j] - utility[c]
            for k in range(X.shape[0]):
                D[row, k] = X[k, j] - X[k, c]
            row += 1
    return row


@njit(cache=True, fastmath=FAST)
def _coefficients(mixture: Mixture, rows: Rows, W: Any, e: Any, slope: Any, c: Any) -> None:
    """Fill the coefficients, their derivatives by the parameters, and the columns' weights."""
    kind, first, value = mixture.kind, mixture.first, mixture.value
    for q in range(kind.shape[0]):
        if kind[q] == TRUNCATED:
            _truncated(mixture, q, rows, W)
            continue
        W[rows.b + q] = 0.0
        add_rows(W, rows.b + q, 0, e, value, first[q], first[q + 1])
        if kind[q] == IDENTITY:
            continue
        b, bend, sign = W[rows.b + q], W[rows.bend + q], mixture.sign[q]
        for r in range(BLOCK):
            b[r] = sign * vector_exp(min(b[r], _LARGEST))
            bend[r] = b[r]
        for a in range(first[q], first[q + 1]):
            multiply(W, slope[a], rows.bend + q, e[a], 1.0)
    for q in range(kind.shape[0]):
        if c[q] != rows.b + q:
            multiply(W, c[q], rows.b + mixture.price, rows.b + q, -1.0)


@njit(cache=True)
def _truncated(mixture: Mixture, q: int, rows: Rows, W: Any) -> None:
    """Fill a normal that is truncated at zero, from uniform draws u.

    ``b = mu + sigma xi``, ``xi = -Phi^-1(u Phi(m))`` with ``m = mu / sigma``; it is homogeneous in
    (mu, sigma), so that its second derivatives are ``bend e e'`` with ``e = (1, -m)``.
    """
    location, spread = mixture.first[q], mixture.first[q] + 1
    sigma, sign = mixture.value[spread], mixture.sign[q]
    m = mixture.value[location] / sigma
    mass = 0.5 * math.erfc(-m * math.sqrt(0.5))
    density = math.exp(-0.5 * m * m)
    for r in range(BLOCK):
        u = W[rows.draws + mixture.draw[spread], r]
        xi = -normal_quantile(u * mass)
        h = -u * density / math.exp(-0.5 * xi * xi)
        W[rows.b + q, r] = sign * sigma * (m + xi)
        W[rows.bend + q, r] = sign * h * (xi * h - m) / sigma
        W[rows.slope + location, r] = sign * (1.0 + h)
        W[rows.slope + spread, r] = sign * (xi - m * h)


@njit(cache=True, fastmath=FAST)
def _probabilities_of_case(rows: Rows, W: Any, begin: int, end: int) -> bool:
    """Turn the utilities in P into probabilities; return whether logarithms were needed."""
    weight, total, log_scale = W[rows.weight], W[rows.y], W[rows.log_scale]
    # Counts, because a maximum would be taken one number at a time.
    unsafe, small = 0, 0
    for j in range(rows.P + begin, rows.P + end):
        v = W[j]
        for r in range(BLOCK):
            unsafe += v[r] > _SAFE
    total[:] = 1.0
    if unsafe > 0:
        for r in range(BLOCK):
            top = 0.0
            for j in range(rows.P + begin, rows.P + end):
                top = max(top, W[j, r])
            for j in range(rows.P + begin, rows.P + end):
                W[j, r] -= top
            log_scale[r] -= top
            total[r] = vector_exp(-top)
    for j in range(rows.P + begin, rows.P + end):
        v = W[j]
        for r in range(BLOCK):
            v[r] = vector_exp(v[r])
            total[r] += v[r]
    for r in range(BLOCK):
        total[r] = 1.0 / total[r]
        weight[r] *= total[r]
        small += weight[r] < _SMALL
    for j in range(rows.P + begin, rows.P + end):
        v = W[j]
        for r in range(BLOCK):
            v[r] *= total[r]
    if small > 0:
        for r in range(BLOCK):
            log_scale[r] += np.log(weight[r])
            weight[r] = 1.0
    return unsafe > 0 or small > 0


@njit(cache=True, fastmath=FAST)
def simulate(
    mixture: Mixture,
    draws: Any,
    count: Any,
    D: Any,
    base: Any,
    row: Any,
    rows: Rows,
    W: Any,
    e: Any,
    slope: Any,
    c: Any,
    index: Any,
    term: Any,
) -> bool:
    """Fill coefficients and probabilities of a maker's cases, given a block of draws.

    ``draws`` is of shape (D, size); ``index`` and ``term`` are memory. Returns whether the weights
    of the draws have a logarithm to them.
    """
    Q = mixture.kind.shape[0]
    for d in range(draws.shape[0]):
        drawn, target = draws[d], W[rows.draws + d]
        for r in range(drawn.shape[0]):
            target[r] = drawn[r]
    _coefficients(mixture, rows, W, e, slope, c)
    W[rows.weight] = 1.0
    W[rows.log_scale] = 0.0
    far = False
    for t in range(count):
        for j in range(row[t], row[t + 1]):
            terms = 0
            for q in range(Q):
                if D[j, q] != 0.0:
                    index[terms], term[terms] = c[q], D[j, q]
                    terms += 1
            W[rows.P + j] = base[j]
            add_rows(W, rows.P + j, 0, index, term, 0, terms)
        far |= _probabilities_of_case(rows, W, row[t], row[t + 1])
    return far


@njit(cache=True, fastmath=FAST)
def block_weights(rows: Rows, W: Any, size: int, far: bool, top: float) -> float:
    """Make the draws' weights relative to a logarithm, and return it; ``top`` is the one so far."""
    weight, log_scale = W[rows.weight], W[rows.log_scale]
    # A product that needed no logarithm is a normal number: one is scale enough.
    highest = top if far else max(top, 0.0)
    if far:
        for r in range(size):
            log_scale[r] += np.log(weight[r])
            weight[r] = 1.0
            highest = max(highest, log_scale[r])
    if far or highest != 0.0:
        for r in range(size):
            weight[r] *= np.exp(log_scale[r] - highest)
    weight[size:] = 0.0
    return highest
