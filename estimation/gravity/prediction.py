"""Expected flows with standard errors, the estimation error of the fixed effects included.

With the kernel l of a linear form in coefficients and effects (:mod:`estimation.gravity.working`),
such as the linear predictor of a row, an error in them moves it by ``l' w (y - mu)``: a sum over
rows, whose variance takes the same middle as that of the coefficients, for example ``sum_g (sum
over g of l_i w_i (y_i - mu_i))^2`` for a clustered one. It is what the delta method
[Oehlert1992]_ gives with all dummies written out. Standard errors of mu are ``mu`` times those of
eta; limits are those of eta, exponentiated.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodels.errors import EstimationError, enumerate_some
from choicemodels.formula import term_values
from estimation.gravity.covariance import Middle
from estimation.gravity.result import GravityResult
from estimation.gravity.sample import Sample
from estimation.gravity.working import LinearForms, WorkingRegression, sparse_rows, working_of
from estimation.meat import BY_ROW, cross_product, squares

__all__ = ["form_covariance", "linear_predictors", "prediction_table", "rows_behind"]

Array = NDArray[np.float64]

# Entries of the largest temporary array.
_ROOM = 4_000_000


def prediction_table(
    result: GravityResult, frame: pd.DataFrame, eta: Array, alpha: float, scale: str
) -> pd.DataFrame:
    """Lay out predictions with standard errors and limits at level ``1 - alpha``.

    The work grows with M times the number of rows used.

    Parameters
    ----------
    result
        Its covariance is used as it is: choose it with ``with_cov`` first.
    frame
        The M rows asked about.
    eta
        Their linear predictor, shape (M,).
    alpha
        One less the level.
    scale
        ``"mu"`` or ``"eta"``.

    Raises
    ------
    DataError
        If a column is missing, a regressor not finite, a level was not estimated, or levels do
        not hang together.
    EstimationError
        As of :func:`rows_behind`, or if inclusion and exclusion leave a negative variance.
    """
    sample, middle = rows_behind(result)
    regression = working_of(sample, result.terms, result.model)
    forms = linear_predictors(result, frame.reset_index(drop=True), regression)
    step = max(_ROOM // len(sample.rows), 1)
    variance = np.empty(len(frame))
    for low in range(0, len(frame), step):
        rows = slice(low, low + step)
        moves = _moves(regression, sample, middle, forms.rows(rows))
        variance[rows] = middle.factor * squares(middle.parts or BY_ROW, moves)
    spread = _root(variance, middle, "rows")
    reach = -ndtri(alpha / 2) * spread
    table = pd.DataFrame(
        {scale: eta, "std_err": spread, "lower": eta - reach, "upper": eta + reach}
    )
    if scale == "mu":
        table[["mu", "lower", "upper"]] = np.exp(table[["mu", "lower", "upper"]])
        table["std_err"] *= table["mu"]
    return table


def rows_behind(result: GravityResult) -> tuple[Sample, Middle]:
    """Return what the variance of any linear form needs: the rows, and how they make one.

    Raises
    ------
    EstimationError
        If the result was read from a file, or shows a covariance that says nothing about the
        fixed effects.
    """
    if result.sample is not None and result.middle is not None:
        return result.sample, result.middle
    why = f"the covariance '{result.cov_type}' does not say how sure the fixed effects are"
    if result.sample is None:
        why = "this result was read from a file, without its data"
    raise EstimationError(
        f"there are no standard errors of predictions: {why}; choose another covariance, or fit "
        "again."
    )


def form_covariance(
    regression: WorkingRegression, sample: Sample, middle: Middle, forms: LinearForms
) -> Array:
    """Compute the covariance of a few linear forms, shape (M, M).

    Raises
    ------
    DataError
        If levels do not hang together.
    EstimationError
        If inclusion and exclusion leave a negative variance.
    """
    moves = _moves(regression, sample, middle, forms)
    matrix = middle.factor * cross_product(middle.parts or BY_ROW, moves)
    _root(np.diag(matrix), middle, "values")
    return matrix


def _moves(
    regression: WorkingRegression, sample: Sample, middle: Middle, forms: LinearForms
) -> Array:
    """Return how much each row moves each linear form, shape (N, M)."""
    by = sample.residuals if middle.parts else np.sqrt(sample.working_weights)
    if middle.rescale is not None:
        by = by * middle.rescale
    return np.asarray((regression.kernels(forms) * by).T)


def _root(variance: Array, middle: Middle, what: str) -> Array:
    negative = np.flatnonzero(variance < 0)
    if len(negative):
        raise EstimationError(
            f"the covariance '{middle.kind}' gives {len(negative):,} {what} a negative variance "
            f"({what} {enumerate_some(negative.tolist())}), as inclusion and exclusion can; "
            "choose one clustering, or 'robust'."
        )
    return np.asarray(np.sqrt(variance))


def linear_predictors(
    result: GravityResult, frame: pd.DataFrame, regression: WorkingRegression
) -> LinearForms:
    """Lay out the linear predictors of the M rows of a table as linear forms.

    Raises
    ------
    DataError
        If a column is missing, a regressor not finite, or a level was not estimated.
    """
    X = np.empty((len(result.terms), len(frame)))
    for column, term in zip(X, result.terms, strict=True):
        column[:] = term_values(term, frame, what="the new table")
    if regression.effects is None:
        return LinearForms(X, None, None, np.ones(len(frame)))
    codes, values = _entries(result, frame, regression)
    G, L = len(regression.total), regression.effects.others
    first = sparse_rows(codes[:, :1], values[:, :1], G)
    others = sparse_rows(codes[:, 1:], values[:, 1:], L)
    return LinearForms(X, first, others, np.abs(values).max(axis=1))


def _entries(
    result: GravityResult, frame: pd.DataFrame, regression: WorkingRegression
) -> tuple[NDArray[np.int64], Array]:
    """Return the number of each row's levels and its entries there, the first effect leading."""
    arranged = regression.effects
    assert arranged is not None
    levels = [effect for effect in result.effects if not effect.variable]
    slopes = [effect for effect in result.effects if effect.variable]
    rest = [effect for j, effect in enumerate(levels) if j != arranged.first]
    codes = np.empty((len(frame), len(arranged.levels)), dtype=np.int64)
    values = np.ones(codes.shape)
    shifts = (0, *arranged.offsets[:-1])
    ordered = [levels[arranged.first], *rest, *slopes]
    for j, (effect, found) in enumerate(zip(ordered, arranged.levels, strict=True)):
        number = np.argsort(found)[effect.positions(frame)]
        codes[:, j] = number + shifts[j]
        if effect.variable:
            _, mean = arranged.centres[slopes.index(effect)]
            values[:, j] = effect.variable_at(frame) - mean[number]
    return codes, values
