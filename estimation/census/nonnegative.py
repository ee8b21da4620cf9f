"""Least squares with coefficients of zero or more, for many small problems at once."""

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, IdentificationError
from choicemodels.threads import run_blocks

__all__ = ["nonnegative_least_squares", "null_columns"]

Array = NDArray[np.float64]

# Problems in a block of work: far more than threads, so that none waits long.
_BLOCK = 4_096
# Relative to the terms that are added up: smaller violations are rounding.
_ROUNDING = 1e-13
# Smallest singular value, relative to the largest, of a design that tells columns apart.
_RANK = 1e-10


def nonnegative_least_squares(A: Array, Y: Array, weights: Array | None = None) -> Array:
    """Minimize ``|w (A x - y)|²`` over ``x >= 0`` for each row y of Y, exactly.

    Block principal pivoting [KimPark2011]_: variables are split into those at zero and those
    that solve a least-squares problem, by Householder reflections [Bjorck1996]_, and all that
    break a condition change sides together; where that does not lessen the violations, one at a
    time does, which ends after finitely many. Compiled, on threads.

    Parameters
    ----------
    A : (R, K)
        Of full column rank.
    Y : (N, R)
        One problem a row.
    weights : (N, R), optional
        Of the residuals, above zero.

    Returns
    -------
    ndarray, shape (N, K)

    Raises
    ------
    IdentificationError
        If the columns of A are linearly dependent.
    EstimationError
        If rounding decides which coefficients are zero.
    """
    from estimation.census.nonnegative_kernels import pivot

    N, (R, K) = len(Y), A.shape
    null = null_columns(A)
    if len(null):
        raise IdentificationError(
            f"the columns {', '.join(map(str, null))} of the design are linearly dependent, so "
            "their coefficients are not told apart; add rows, or leave columns out."
        )
    X = np.zeros((N, K))
    A, Y = (np.ascontiguousarray(x, dtype=np.float64) for x in (A, Y))
    W = np.ascontiguousarray(np.ones((1, R)) if weights is None else weights, dtype=np.float64)
    unsolved = np.full(-(-N // _BLOCK), -1)

    def work(block: int) -> None:
        first, last = block * _BLOCK, min((block + 1) * _BLOCK, N)
        unsolved[block] = pivot(first, last, A, Y, W, _ROUNDING * R, 100 * (K + 1), X)

    run_blocks(work, len(unsolved))
    if (unsolved >= 0).any():
        raise EstimationError(
            f"problem {unsolved.max():,} was not solved: the design is so ill conditioned that "
            "rounding decides which coefficients are zero; scale its columns alike."
        )
    return X


def null_columns(A: Array) -> NDArray[np.intp]:
    """Return the columns that a design does not tell apart: where its null space is not zero."""
    scale = np.linalg.norm(A, axis=0)
    if np.any(scale == 0):
        return np.flatnonzero(scale == 0)
    _, s, V = np.linalg.svd(A / scale)
    rank = int((s > _RANK * s[0]).sum())
    return np.flatnonzero(np.abs(V[rank:]).max(axis=0, initial=0.0) > np.sqrt(_RANK))
