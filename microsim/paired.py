"""Means of paired differences, and how sure they are."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_interval", "standard_error"]

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
