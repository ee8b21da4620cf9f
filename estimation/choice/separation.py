"""Coefficients that run to infinity although the search came to rest.

Where nobody of some kind chose an alternative (quasi-complete separation), the log-likelihood rises
for ever and ever less. The search stops where the rise no longer counts; the information there is
next to nothing, and the scores are too, so that robust standard errors look small. What gives it
away is that a further step as long as the Hessian's standard error, which lowers the
log-likelihood by a half at a maximum, costs nothing.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.errors import enumerate_some

__all__ = ["runaway_step", "separation_notes"]

Array = NDArray[np.float64]

# Directions that a choice made but once still informs have a multiple of this many cases' worth.
_COLLAPSED = 1e-2
# A step of one standard error costs about 0.5 at a maximum.
_FREE = 0.02


def runaway_step(
    value: Callable[[Array], float],
    score: Array,
    information: Array,
    reference: Array,
    n_cases: int,
) -> Array | None:
    """Return a direction along which the log-likelihood does not fall, or None.

    Parameters
    ----------
    value
        Log-likelihood after a step, shape (K,), from the estimate.
    score
        At the estimate, shape (K,).
    information
        Negative Hessian there, shape (K, K).
    reference
        The information of the same columns where all alternatives are alike, positive definite.
    n_cases
        Cases that gave the information.
    """
    try:
        shares, vectors = linalg.eigh(information, reference)
    except linalg.LinAlgError:
        return None
    lost = shares * n_cases < _COLLAPSED
    if not lost.any():
        return None
    V, left = vectors[:, lost], np.maximum(shares[lost], np.finfo(np.float64).tiny)
    along = (V.T @ score) / left
    length = np.sqrt((along**2 * left).sum())
    if not (np.isfinite(length) and length > 0):
        return None
    step = V @ (along / length)
    with np.errstate(all="ignore"):
        fall = value(np.zeros(len(score))) - value(step)
    return np.asarray(step) if fall < _FREE else None


def separation_notes(step: Array | None, reference: Array, names: Sequence[str]) -> tuple[str, ...]:
    """Name the coefficients that a step of :func:`runaway_step` moves."""
    if step is None:
        return ()
    moved = np.abs(step) * np.sqrt(np.diag(reference))
    some = [f"'{names[int(k)]}'" for k in np.flatnonzero(moved > 0.1 * moved.max())]
    return (
        f"the data do not bound {enumerate_some(some, most=8)}: larger and larger values fit "
        "better and better, because for some values of the variables an alternative is never (or "
        "always) chosen; the estimate is where the search stopped and its standard errors mean "
        "nothing; merge categories or leave the term out.",
    )
