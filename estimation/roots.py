"""Many roots of falling functions at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError

__all__ = ["falling_roots"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_DOUBLINGS = 100
_STEPS = 100


def falling_roots(
    function: Callable[[Array], Array], reach: Array, error: Callable[[Flags], EstimationError]
) -> Array:
    """Solve ``function(x) = 0`` for functions that fall in x.

    A root is enclosed by doubling the reach, then found by inverse quadratic interpolation where
    that is safe and by halving elsewhere [Chandrupatla1997]_. Values may be infinite.

    Parameters
    ----------
    function
        From points to values, both of any one shape.
    reach
        Which side of zero each root lies on, and about how far; zero if it is the root.
    error
        Makes what is raised where a function keeps its sign, however far it is followed.

    Raises
    ------
    EstimationError
        As ``error`` says.
    """
    near, far = np.zeros_like(reach), reach.copy()
    f_near, f_far = function(near), function(far)
    for _ in range(_DOUBLINGS):
        short = (reach != 0) & (np.sign(f_far) == np.sign(reach))
        if not short.any():
            break
        near, f_near = np.where(short, far, near), np.where(short, f_far, f_near)
        far = np.where(short, 2 * far, far)
        f_far = function(far)
    else:
        raise error(short)
    return _enclosed(function, near, far, f_near, f_far)


def _enclosed(
    function: Callable[[Array], Array], a: Array, b: Array, fa: Array, fb: Array
) -> Array:
    """Close in on roots between a and b, where the function has opposite signs or is zero."""
    t = np.full(a.shape, 0.5)
    for _ in range(_STEPS):
        x = a + t * (b - a)
        fx = function(x)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        best = np.where(np.abs(fa) < np.abs(fb), a, b)
        width = np.abs(b - a)
        finest = 2 * np.finfo(np.float64).eps * np.abs(best) + np.finfo(np.float64).tiny
        if ((finest >= 0.5 * width) | (fa == 0) | (fb == 0)).all():
            break
        t = _next(a, b, c, fa, fb, fc)
        with np.errstate(divide="ignore", invalid="ignore"):
            margin = np.minimum(finest / width, 0.5)
        t = np.clip(t, margin, 1 - margin)
        # A root that was met stays where it is.
        t = np.where(fa == 0, 0.0, np.where(fb == 0, 1.0, t))
    return np.asarray(best)


def _next(a: Array, b: Array, c: Array, fa: Array, fb: Array, fc: Array) -> Array:
    """Return where between a and b to look next, as a fraction of the way."""
    with np.errstate(divide="ignore", invalid="ignore"):
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        safe = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
        inverse = fa / (fb - fa) * fc / (fb - fc)
        inverse = inverse + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
    return np.where(safe & np.isfinite(inverse), inverse, 0.5)
