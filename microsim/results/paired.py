"""Means of paired differences, and how sure they are."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_interval", "ratio_of_means", "standard_error"]

Floats = NDArray[np.float64]


def standard_error(values: Floats) -> float:
    """Return the standard error of a mean, NaN for a single value."""
    if len(values) < 2:
        return float("nan")
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def mean_interval(values: Floats, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of Student's t around the mean of ``values`` (R,), NaN for a single one.

    Without any spread both ends are the mean.
    """
    from scipy.stats import t

    half = standard_error(values) * t.ppf((1 + level) / 2, len(values) - 1)
    mean = float(values.mean())
    return mean - float(half), mean + float(half)


def ratio_of_means(top: Floats, bottom: Floats) -> tuple[float, float]:
    """Return the mean of ``top`` (R,) over that of ``bottom`` (R,), and its jackknifed error.

    The error is NaN for a single value, and where leaving one out leaves nothing to divide by.
    """
    value, n = float(top.mean() / bottom.mean()), len(top)
    without = bottom.sum() - bottom
    if n < 2 or (without == 0).any():
        return value, float("nan")
    left_out = (top.sum() - top) / without
    return value, float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))
