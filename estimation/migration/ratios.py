"""Shares and rates of what may be nothing."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["ratio"]

Array = NDArray[np.float64]


def ratio(above: Array, below: Array) -> Array:
    """Divide; where there is nothing to divide by, the answer is missing.

    Tables show what was divided by beside it, so that a missing answer tells why.
    """
    below = np.broadcast_to(below, above.shape)
    out = np.full(above.shape, np.nan)
    np.divide(above, below, out=out, where=below != 0)
    return out
