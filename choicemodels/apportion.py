"""Whole numbers with given totals: apportionment, and draws that meet a margin within one unit."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["apportion", "cumulative_rounding", "select", "shift_to_margins"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHIFT_TOLERANCE = 1e-12


def apportion(weights: Floats, total: int, *, least: int = 0) -> Ints:
    """Divide ``total`` into whole parts in proportion to ``weights`` by largest remainders.

    Parameters
    ----------
    weights : (K,)
        Not negative, with a positive sum.
    total
        What the parts add up to.
    least
        No part is smaller, at the cost of the largest; ``K * least`` must not exceed ``total``.

    Returns
    -------
    (K,) int64
    """
    exact = weights / weights.sum() * total
    parts = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - parts), kind="stable")
    parts[order[: total - int(parts.sum())]] += 1
    short = int(np.maximum(least - parts, 0).sum())
    parts = np.maximum(parts, least)
    for _ in range(short):  # the largest give up what the smallest need
        parts[np.argmax(parts)] -= 1
    return np.asarray(parts, dtype=np.int64)


def cumulative_rounding(expected: Floats, offsets: Floats) -> Ints:
    """Round rows of expected counts so that every row keeps its total and no entry moves by one.

    Parameters
    ----------
    expected : (M, K)
        Expected counts, each row adding up to a whole number.
    offsets : (M,)
        A uniform for each row; makes the expectation of a count its expected count.

    Returns
    -------
    (M, K) int64
    """
    steps = np.cumsum(expected, axis=1)
    steps[:, -1] = np.rint(steps[:, -1])
    edges = np.floor(steps + offsets[:, None]).astype(np.int64)
    return np.diff(edges, axis=1, prepend=0)


def select(probability: Floats, offset: float) -> NDArray[np.bool_]:
    """Select members so that every run of neighbours holds its expected count.

    Systematic sampling: each is selected with exactly its probability, and the count among any
    consecutive members, hence in every group if they are sorted by group, is the sum of their
    probabilities rounded up or down.

    Parameters
    ----------
    probability : (N,)
    offset
        A uniform in (0, 1).

    Returns
    -------
    (N,) bool
    """
    steps = np.floor(np.cumsum(probability) + offset)
    return np.asarray(np.diff(steps, prepend=0.0) > 0)


def shift_to_margins(
    log_odds: Floats, group: NDArray[np.integer], margins: Floats, *, steps: int = 40
) -> Floats:
    """Return probabilities whose mean in each group is its margin, by one shift of log odds each.

    Parameters
    ----------
    log_odds : (N,)
    group : (N,)
        Codes from 0.
    margins : (G,)
        Shares strictly between 0 and 1.
    steps
        Of Newton's method at most, halving the interval from -30 to 30 where it would leave it.

    Returns
    -------
    (N,) float64
        ``expit(log_odds + shift[group])``.
    """
    members = np.bincount(group, minlength=len(margins))
    count = np.maximum(members, 1)
    low, high = np.full(len(margins), -30.0), np.full(len(margins), 30.0)
    shift = np.zeros(len(margins))
    for _ in range(steps):
        probability: Floats = expit(log_odds + shift[group])
        gap = np.bincount(group, probability, minlength=len(margins)) / count - margins
        gap[members == 0] = 0.0
        odds = np.bincount(group, probability * (1 - probability), minlength=len(margins))
        low, high = np.where(gap > 0, low, shift), np.where(gap > 0, shift, high)
        newton = shift - gap / np.maximum(odds / count, 1e-300)
        before, middle = shift, (low + high) / 2
        shift = np.where((newton >= low) & (newton <= high), newton, middle)
        if np.abs(shift - before).max() < _SHIFT_TOLERANCE:
            break
    return np.asarray(expit(log_odds + shift[group]), dtype=np.float64)
