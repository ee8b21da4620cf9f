"""Where trips from an origin go, by laws of opportunities: probabilities and derivatives.

A law gives ``ln p(d | o)`` up to a constant of the origin, with its first and second derivative in
the law's parameter; :func:`conditional` adds the constant. With ``m`` the mass of the origin,
``n`` that of the destination and ``s`` the opportunities nearer than the destination:

    Stouffer             gamma (ln n - ln(s + n))                               [Stouffer1940]_
    Schneider            ln(exp(-gamma s) - exp(-gamma (s + n)))               [Schneider1959]_
    radiation            ln n - ln(m + s) - ln(m + s + n)  [SiminiGonzalezMaritanBarabasi2012]_
    extended radiation   ln((m + s + n)^alpha - (m + s)^alpha)
                         - ln((m + s)^alpha + 1) - ln((m + s + n)^alpha + 1)     [Yang2014]_
    population-weighted  ln n + ln(1/S - 1/M)                                     [Yan2014]_

where S is the mass within the circle around the destination that passes through the origin, both
places included, and M the mass of all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = [
    "LawValues",
    "conditional",
    "extended_radiation",
    "population_weighted",
    "radiation",
    "schneider",
    "stouffer",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LawValues:
    """The logarithm of a law, row by row, with derivatives in its parameter.

    Attributes
    ----------
    log : ndarray, shape (N,)
        Minus infinity where the law gives no flow.
    first, second : ndarray, shape (N,)
        Zero for a law without a parameter.
    """

    log: Array
    first: Array
    second: Array


def stouffer(gamma: float, n: Array, s: Array) -> LawValues:
    """Return Stouffer's law; the destination's own opportunities count among those met."""
    slope = np.log(n) - np.log(s + n)
    return LawValues(gamma * slope, slope, np.zeros_like(slope))


def schneider(gamma: float, n: Array, s: Array) -> LawValues:
    """Return Schneider's law: each opportunity is taken with the same small probability."""
    log = -gamma * s + np.log(-np.expm1(-gamma * n))
    return LawValues(log, n * _inverse_expm1(gamma * n) - s, -_curvature(n, gamma * n))


def radiation(m: Array, n: Array, s: Array) -> LawValues:
    """Return the radiation law, which has no parameter."""
    log = np.log(n) - np.log(m + s) - np.log(m + s + n)
    return LawValues(log, np.zeros_like(log), np.zeros_like(log))


def extended_radiation(alpha: float, m: Array, n: Array, s: Array) -> LawValues:
    """Return the extended radiation law; alpha carries the scale of the study area."""
    low, high = np.log(m + s), np.log(m + s + n)
    gap = high - low
    x = alpha * gap
    log = alpha * high + np.log(-np.expm1(-x))
    log -= np.logaddexp(0.0, alpha * low) + np.logaddexp(0.0, alpha * high)
    below, above = expit(alpha * low), expit(alpha * high)
    first = high + gap * _inverse_expm1(x) - low * below - high * above
    second = -_curvature(gap, x) - low**2 * below * (1 - below) - high**2 * above * (1 - above)
    return LawValues(log, first, second)


def population_weighted(n: Array, circle: Array, total: float) -> LawValues:
    """Return the law of population-weighted opportunities, which has no parameter.

    Parameters
    ----------
    n : (N,)
        Mass of the destination.
    circle : (N,)
        Mass around the destination as far as the origin, both included.
    total
        Mass of all places.
    """
    with np.errstate(divide="ignore"):
        # The circle through the farthest origin holds everything: it sends nobody.
        log = np.log(n) + np.log(np.maximum(1 / circle - 1 / total, 0.0))
    return LawValues(log, np.zeros_like(log), np.zeros_like(log))


def conditional(law: LawValues, origin: Codes) -> LawValues:
    """Turn a law into log-probabilities that sum to one over the rows of each origin."""
    count = int(origin.max()) + 1
    top = np.full(count, -np.inf)
    np.maximum.at(top, origin, law.log)
    top = np.where(np.isfinite(top), top, 0.0)
    log = law.log - top[origin]
    p = np.exp(log)
    total = np.bincount(origin, p, minlength=count)
    # An origin from which the law sends nobody anywhere keeps its zeros.
    total = np.where(total > 0, total, 1.0)
    p /= total[origin]
    mean = np.bincount(origin, p * law.first, minlength=count)[origin]
    first = law.first - mean
    bend = np.bincount(origin, p * (law.second + first**2), minlength=count)[origin]
    return LawValues(log - np.log(total)[origin], first, law.second - bend)


def _inverse_expm1(x: Array) -> Array:
    """Return ``1 / (exp(x) - 1)`` for x above zero, also where the exponential overflows."""
    return np.asarray(np.exp(-x) / -np.expm1(-x))


def _curvature(scale: Array, x: Array) -> Array:
    """Return ``scale^2 exp(x) / (exp(x) - 1)^2``, without overflow."""
    return np.asarray(scale**2 * np.exp(-x) / np.expm1(-x) ** 2)
