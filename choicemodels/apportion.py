"""Whole numbers with given totals: apportionment, and draws that meet a margin within one unit."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["apportion", "cumulative_rounding", "select", "shift_to_margins"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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
        Bisections; 40 on an interval of 60 leave less than 1e-10.

    Returns
    -------
    (N,) float64
        ``expit(log_odds + shift[group])``.
    """
    counts = np.maximum(np.bincount(group, minlength=len(margins)), 1)
    low, high = np.full(len(margins), -30.0), np.full(len(margins), 30.0)
    for _ in range(steps):
        middle = (low + high) / 2
        sums = np.bincount(group, expit(log_odds + middle[group]), minlength=len(margins))
        above = sums / counts > margins
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    probability: Floats = expit(log_odds + ((low + high) / 2)[group])
    return probability
