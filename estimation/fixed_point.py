"""Fixed points, mixed by Anderson's method."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError

__all__ = ["anderson"]

Array = NDArray[np.float64]

# Steps that the mixture remembers.
_DEPTH = 8
# How far the gap may rise above the smallest so far before the search starts again from there.
_WORSE = 4.0


def anderson(
    gap: Callable[[Array], Array],
    start: Array,
    size: Callable[[Array], float],
    tolerance: float,
    *,
    max_steps: int = 500,
) -> Array:
    """Solve ``gap(x) = 0``, where ``x + gap(x)`` is a contraction or can be damped to one.

    The next point is the combination of the last ones whose gaps nearly cancel
    [Anderson1965]_ [WalkerNi2011]_. Where that makes things worse the search goes back to the
    best point, forgets the others, and damps.

    Parameters
    ----------
    gap
        From points to what they lack, shape (T,).
    start
        Shape (T,).
    size
        What is to be small, of a gap.
    tolerance
        How small.
    max_steps
        Evaluations before giving up.

    Returns
    -------
    ndarray, shape (T,)

    Raises
    ------
    EstimationError
        If the gap stays larger.
    """
    best, least, damping = start, np.inf, 1.0
    points: list[Array] = []
    gaps: list[Array] = []
    x = start
    for _ in range(max_steps):
        r = gap(x)
        now = size(r) if np.isfinite(r).all() else np.inf
        if now <= tolerance:
            return x
        if now > _WORSE * least:
            damping /= 2
            points, gaps, x = [], [], best
            r = gap(x)
        elif now < least:
            best, least = x, now
        points, gaps = [*points[-_DEPTH:], x], [*gaps[-_DEPTH:], r]
        x = x + damping * r
        if len(points) > 1:
            steps, turns = np.diff(points, axis=0).T, np.diff(gaps, axis=0).T
            weights = np.linalg.lstsq(turns, r, rcond=1e-12)[0]
            x = x - (steps + damping * turns) @ weights
    raise EstimationError(
        f"no fixed point was found in {max_steps} steps: the gap came down to {least:.2g}, and "
        f"{tolerance:.2g} was asked for."
    )
