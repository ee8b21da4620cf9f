"""Generalized inverses of normal equations, some of whose unknowns are redundant."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

__all__ = ["generalized_inverse"]

Array = NDArray[np.float64]

# Pivots of a matrix scaled to a unit diagonal that count as zero.
_FLAT = 1e-11


def generalized_inverse(A: Array, size: Array) -> Array:
    """Invert a positive semidefinite matrix on as many of its rows as are independent.

    The other rows and columns of the inverse are zero.

    Parameters
    ----------
    A
        Shape (n, n).
    size
        What the diagonal was before anything was taken out of it, shape (n,): against it, what
        is left counts as zero or not.
    """
    kept = np.diag(A) > 1e-12 * size
    scale = np.where(kept, 1 / np.sqrt(np.where(kept, np.diag(A), 1.0)), 0.0)
    outer = np.outer(scale, scale)
    factor, pivots, rank, _ = linalg.lapack.dpstrf(A * outer, tol=_FLAT, lower=1)
    chosen = pivots[:rank] - 1
    lower, _ = linalg.lapack.dpotri(factor[:rank, :rank], lower=1)
    out = np.zeros_like(A)
    out[np.ix_(chosen, chosen)] = np.tril(lower) + np.tril(lower, -1).T
    return np.asarray(out * outer)
