"""Many integrals over a line at once, each as finely divided as it needs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError

__all__ = ["integrate"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Gauss and Kronrod's rule of 7 and 15 points on [-1, 1]: points from 0 outwards, the weights of
# Kronrod at all of them, and those of Gauss at every second one.
_POINTS = np.array(
    [0.0, 0.207784955007898468, 0.405845151377397167, 0.586087235467691130,
     0.741531185599394440, 0.864864423359769073, 0.949107912342758525, 0.991455371120812640]
)  # fmt: skip
_KRONROD = np.array(
    [0.209482141084727828, 0.204432940075298892, 0.190350578064785410, 0.169004726639267903,
     0.140653259715525919, 0.104790010322250184, 0.063092092629978553, 0.022935322010529225]
)  # fmt: skip
_GAUSS = np.array(
    [0.417959183673469388, 0.381830050505118945, 0.279705391489276668, 0.129484966168869693]
)
_NODES = np.concatenate([-_POINTS[:0:-1], _POINTS])
_FINE = np.concatenate([_KRONROD[:0:-1], _KRONROD])
_COARSE = np.concatenate([_GAUSS[:0:-1], _GAUSS])
_DEEPEST = 60
# Of the tolerance, for the smallest intervals: there are few of each size about a point.
_SHARE = 0.02
# Intervals left at once, for each of those given: more are no sign of progress.
_MOST = 64


def integrate(
    function: Callable[[Ints, Array], Array],
    owner: Ints,
    low: Array,
    high: Array,
    tolerance: Array,
) -> Array:
    """Integrate many functions, by halving each interval until two rules agree.

    Parameters
    ----------
    function
        From owners (E,) and points (E,) to values (E,).
    owner
        Whose function each of B intervals belongs to, shape (B,); several may belong to one.
    low, high
        Ends of the intervals, shape (B,).
    tolerance
        Absolute, of each owner's whole integral, shape (N,).

    Returns
    -------
    ndarray, shape (N,)

    Raises
    ------
    EstimationError
        If an integral does not settle: it may not be finite.
    """
    total = np.zeros(len(tolerance))
    whole = np.bincount(owner, weights=high - low, minlength=len(tolerance))
    most = _MOST * len(owner)
    for _ in range(_DEEPEST):
        half, middle = (high - low) / 2, (high + low) / 2
        points = (middle[:, None] + half[:, None] * _NODES).ravel()
        values = function(np.repeat(owner, len(_NODES)), points).reshape(-1, len(_NODES))
        fine, coarse = half * (values @ _FINE), half * (values[:, 1::2] @ _COARSE)
        # How much the function varies bounds what the coarse rule's error says of the fine one's.
        mean = fine / np.where(half > 0, 2 * half, 1.0)
        varies = half * (np.abs(values - mean[:, None]) @ _FINE)
        gap = np.abs(fine - coarse)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(varies > 0, varies * np.minimum(1, (200 * gap / varies) ** 1.5), gap)
        share = np.maximum((high - low) / whole[owner], _SHARE)
        done = error <= tolerance[owner] * share
        done |= error <= np.finfo(np.float64).eps * np.abs(fine)
        total += np.bincount(owner[done], weights=fine[done], minlength=len(total))
        left = ~done
        if not left.any():
            return total
        if left.sum() > most or not np.isfinite(fine[left]).all():
            break
        owner = np.repeat(owner[left], 2)
        low = np.column_stack([low[left], middle[left]]).ravel()
        high = np.column_stack([middle[left], high[left]]).ravel()
    raise EstimationError(
        f"{len(np.unique(owner)):,} of {len(total):,} integrals do not settle (the first has "
        f"number {int(owner[0])}); they may not be finite."
    )
