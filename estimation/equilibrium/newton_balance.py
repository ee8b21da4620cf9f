"""A dense matrix scaled to given margins, by Newton's method.

Proportional fitting (:mod:`choicemodels.interaction.balancing`) takes any matrix and proves what
cannot be balanced. It crawls where most of the mass is on the diagonal, as in trade, and there an
equilibrium balances again and again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError

__all__ = ["NewtonBalance", "newton_balance"]

Array = NDArray[np.float64]

_TOLERANCE = 1e-13
_MOST_STEPS = 200


@dataclass(frozen=True, eq=False)
class NewtonBalance:
    """A matrix with the margins asked for.

    Attributes
    ----------
    matrix : ndarray, shape (N, M)
        ``exp(log_rows_i + log_columns_j)`` times the matrix that was given.
    log_rows : ndarray, shape (N,)
    log_columns : ndarray, shape (M,)
        Only the sums of a row's and a column's factor are identified; those of the rows have a
        mean of zero.
    residual : float
        Largest relative error of a row's sum; columns are exact.
    iterations : int
    """

    matrix: Array
    log_rows: Array
    log_columns: Array
    residual: float
    iterations: int


def newton_balance(seed: Array, rows: Array, columns: Array) -> NewtonBalance:
    """Scale a matrix to given sums of rows and columns.

    With the columns' factors solved for, what remains is to minimize the convex function
    ``sum_j c_j log(sum_i e^a_i S_ij) - sum_i r_i a_i``, a system of N equations at each step.

    Parameters
    ----------
    seed
        Not negative, every row and column with something above zero, shape (N, M).
    rows, columns
        Sums of the same total, shapes (N,) and (M,).

    Raises
    ------
    EstimationError
        If there is no such matrix, or it was not found.
    """
    a = np.zeros(len(rows))
    matrix, log_columns, residual = _scaled(seed, a, rows, columns)
    steps = 0
    while residual > _TOLERANCE and steps < _MOST_STEPS:
        steps += 1
        gap = rows - matrix.sum(axis=1)
        curvature = np.diag(matrix.sum(axis=1)) - (matrix / columns) @ matrix.T
        # A common factor of the rows is none of the columns': the mean of the step is zero.
        curvature += rows.mean()
        try:
            step = np.linalg.solve(curvature, gap)
        except np.linalg.LinAlgError:  # factors run off to infinity
            break
        length, better = min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300)), None
        for _ in range(5):
            tried = _scaled(seed, a + length * step, rows, columns)
            if tried[2] < residual:
                better, a = tried, a + length * step
                break
            length /= 2
        if better is None:
            if residual < 1e3 * _TOLERANCE:  # rounding
                break
            a = a + np.log(rows / matrix.sum(axis=1))
            better = _scaled(seed, a, rows, columns)
        matrix, log_columns, residual = better
    if not residual < 1e3 * _TOLERANCE:
        raise EstimationError(
            f"the flows cannot be balanced to the margins: after {steps} steps a row's sum is off "
            f"by {residual:.2g} of itself. Zeros may stand where the margins need flows."
        )
    level = a.mean()
    return NewtonBalance(matrix, a - level, log_columns + level, residual, steps)


def _scaled(seed: Array, a: Array, rows: Array, columns: Array) -> tuple[Array, Array, float]:
    """Return the matrix with exact columns, the columns' factors, and the error of the rows."""
    top = a.max()
    weighted = seed * np.exp(a - top)[:, None]
    factors = columns / weighted.sum(axis=0)
    matrix = weighted * factors
    return matrix, np.log(factors) - top, float(np.abs(matrix.sum(axis=1) / rows - 1).max())
