"""A matrix scaled to given margins, by Newton's method.

Proportional fitting (:mod:`choicemodels.interaction.balancing`) takes any matrix and proves what
cannot be balanced. It crawls where most of the mass is on the diagonal, as in trade and where most
people stay, and there this one takes a handful of steps.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["NewtonBalance", "newton_balance"]

Array = NDArray[np.float64]
Seed: TypeAlias = "Array | csr_array[Any]"

_TOLERANCE = 1e-13
_MOST_STEPS = 200
# The step of a sparse matrix is solved for as far as Newton's own error makes worthwhile.
_INNER_TOLERANCE = 1e-6
_MOST_INNER_STEPS = 500


@dataclass(frozen=True, eq=False)
class NewtonBalance:
    """A matrix with the margins asked for.

    Attributes
    ----------
    matrix : ndarray or csr_array, shape (N, M)
        ``exp(log_rows_i + log_columns_j)`` times the matrix that was given.
    log_rows : ndarray, shape (N,)
    log_columns : ndarray, shape (M,)
        If every margin is imposed, only the sums of a row's and a column's factor are identified,
        and those of the rows have a mean of zero.
    residual : float
        Largest relative error of a row's sum; columns are exact.
    iterations : int
    """

    matrix: Any
    log_rows: Array
    log_columns: Array
    residual: float
    iterations: int


@dataclass(frozen=True, eq=False)
class _Problem:
    """What is to be balanced; a margin of zero is not imposed and keeps a factor of one.

    Attributes
    ----------
    seed : (N, M)
    rows : (N,)
    columns : (M,)
    """

    seed: Any
    rows: Array
    columns: Array

    @cached_property
    def free(self) -> bool:
        """Return whether people stand in a row or column that is not imposed."""
        rows = self.seed @ np.ones(len(self.columns))
        columns = self.seed.T @ np.ones(len(self.rows))
        return bool(((self.rows == 0) & (rows > 0)).any() or (columns[self.columns == 0] > 0).any())

    def at(self, a: Array) -> "_Point":
        """Return the matrix with exact columns under the log factors of the rows."""
        top = a.max()
        weights = np.exp(a - top)
        reach = self.seed.T @ weights
        fixed = (self.columns == 0) | (reach == 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            factors = np.where(fixed, np.exp(top), self.columns / reach)
        sums = weights * (self.seed @ factors)
        imposed = self.rows > 0
        error = np.abs(sums[imposed] / self.rows[imposed] - 1).max(initial=0.0)
        return _Point(a, weights, factors, np.log(factors) - top, sums, float(error))


@dataclass(frozen=True, eq=False)
class _Point:
    """Where the search stands: columns are exact, rows are not yet.

    Attributes
    ----------
    a : (N,)
        Log factors of the rows.
    weights, factors : (N,), (M,)
        What rows and columns of the seed are multiplied by.
    log_columns : (M,)
    sums : (N,)
        Of the rows.
    residual : float
    """

    a: Array
    weights: Array
    factors: Array
    log_columns: Array
    sums: Array
    residual: float


def newton_balance(
    seed: Seed, rows: Array, columns: Array, *, tol: float = _TOLERANCE
) -> NewtonBalance:
    """Scale a matrix to given sums of rows and columns.

    With the columns' factors solved for, what remains is to minimize the convex function
    ``sum_j c_j log(sum_i e^a_i S_ij) - sum_i r_i a_i``, a system of N equations at each step: a
    direct one for an array, and conjugate gradients for a sparse matrix.

    Parameters
    ----------
    seed
        Not negative, every row and column with something above zero, shape (N, M).
    rows, columns
        Sums of the same total, shapes (N,) and (M,). A sum of zero is not imposed: its row or
        column keeps a factor of one, and the totals need not agree then.
    tol
        Residual at which to stop.

    Raises
    ------
    EstimationError
        If there is no such matrix, or it was not found.
    """
    problem = _Problem(seed, rows, columns)
    here = problem.at(np.zeros(len(rows)))
    steps = 0
    while here.residual > tol and steps < _MOST_STEPS:
        steps += 1
        step = _newton_step(problem, here)
        if step is None:  # factors run off to infinity
            break
        length = min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        for _ in range(5):
            tried = problem.at(here.a + length * step)
            if tried.residual < here.residual:
                here = tried
                break
            length /= 2
        else:
            if here.residual < max(tol, 1e3 * _TOLERANCE):  # rounding
                break
            here = problem.at(here.a + _proportional_step(problem, here))
    if not here.residual < max(tol, 1e3 * _TOLERANCE):
        raise EstimationError(
            f"the flows cannot be balanced to the margins: after {steps} steps a row's sum is off "
            f"by {here.residual:.2g} of itself. Zeros may stand where the margins need flows."
        )
    matrix = _scaled(seed, here.weights, here.factors)
    level = 0.0 if problem.free else here.a.mean()
    return NewtonBalance(matrix, here.a - level, here.log_columns + level, here.residual, steps)


def _scaled(seed: Any, weights: Array, factors: Array) -> Any:
    if isinstance(seed, np.ndarray):
        return weights[:, None] * seed * factors
    scaled = seed.copy()
    scaled.data *= np.repeat(weights, np.diff(seed.indptr)) * factors[seed.indices]
    return scaled


def _proportional_step(problem: _Problem, here: _Point) -> Array:
    """Bring every imposed row to its sum, at the columns' present factors."""
    step = np.zeros(len(problem.rows))
    imposed = (problem.rows > 0) & (here.sums > 0)
    step[imposed] = np.log(problem.rows[imposed] / here.sums[imposed])
    return step


def _newton_step(problem: _Problem, here: _Point) -> Array | None:
    imposed = problem.rows > 0
    gap = np.where(imposed, problem.rows - here.sums, 0.0)
    # Columns that are not imposed do not answer to the rows.
    with np.errstate(divide="ignore"):
        answer = np.where(problem.columns > 0, 1 / problem.columns, 0.0)
    if isinstance(problem.seed, np.ndarray):
        return _direct_step(problem, here, imposed, gap, answer)
    return _iterative_step(problem, here, imposed, gap, answer)


def _direct_step(
    problem: _Problem, here: _Point, imposed: NDArray[np.bool_], gap: Array, answer: Array
) -> Array | None:
    matrix = here.weights[:, None] * problem.seed * here.factors
    curvature = np.diag(here.sums) - (matrix * answer) @ matrix.T
    if not problem.free:
        # A common factor of the rows is none of the columns': the mean of the step is zero.
        curvature += problem.rows.mean()
    curvature[~imposed] = 0.0
    curvature[:, ~imposed] = 0.0
    curvature[~imposed, ~imposed] = 1.0
    try:
        return np.asarray(np.linalg.solve(curvature, gap))
    except np.linalg.LinAlgError:
        return None


def _iterative_step(
    problem: _Problem, here: _Point, imposed: NDArray[np.bool_], gap: Array, answer: Array
) -> Array | None:
    """Solve for the step by conjugate gradients, scaled by the diagonal."""
    from scipy.sparse.linalg import LinearOperator, cg

    matrix = _scaled(problem.seed, here.weights, here.factors)
    transposed = matrix.T.tocsr()
    diagonal = here.sums - matrix.power(2) @ answer
    diagonal = np.where(imposed & (diagonal > 1e-12 * here.sums), diagonal, 1.0)

    def curvature(x: Array) -> Array:
        return np.where(imposed, here.sums * x - matrix @ (answer * (transposed @ x)), x)

    shape = (len(gap), len(gap))
    # Where factors run off to infinity, directions without curvature divide by zero.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        step, _ = cg(
            LinearOperator(shape, matvec=curvature, dtype=np.float64),
            gap,
            rtol=_INNER_TOLERANCE,
            maxiter=_MOST_INNER_STEPS,
            M=LinearOperator(shape, matvec=lambda x: x / diagonal, dtype=np.float64),
        )
    return np.asarray(step) if np.isfinite(step).all() else None
