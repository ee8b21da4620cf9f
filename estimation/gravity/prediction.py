"""Expected flows with standard errors, the estimation error of the fixed effects included.

With the kernel l_* of a row (:mod:`estimation.gravity.working`), an error in the coefficients and
effects moves its linear predictor by ``l_*' w (y - mu)``: a sum over rows, whose variance takes
the same middle as that of the coefficients, for example ``sum_g (sum over g of l_*i w_i (y_i -
mu_i))^2`` for a clustered one. It is what the delta method gives with all dummies written out.
Standard errors of mu are ``mu`` times those of eta; limits are those of eta, exponentiated.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodels.errors import EstimationError, enumerate_some
from choicemodels.formula import term_values
from choicemodels.utility import Term
from estimation.gravity.absorb import Effects
from estimation.gravity.effects import EffectEstimate
from estimation.gravity.result import GravityResult
from estimation.gravity.working import NewRows, WorkingRegression, working_of
from estimation.meat import BY_ROW, squares

__all__ = ["eta_std_err", "prediction_table"]

Array = NDArray[np.float64]

# Entries of the largest temporary array.
_ROOM = 4_000_000


def prediction_table(
    result: GravityResult, frame: pd.DataFrame, eta: Array, alpha: float, scale: str
) -> pd.DataFrame:
    """Lay out predictions with standard errors and limits at level ``1 - alpha``.

    Parameters
    ----------
    result
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
    DataError, EstimationError
        As of :func:`eta_std_err`.
    """
    spread = eta_std_err(result, frame.reset_index(drop=True))
    reach = -ndtri(alpha / 2) * spread
    table = pd.DataFrame(
        {scale: eta, "std_err": spread, "lower": eta - reach, "upper": eta + reach}
    )
    if scale == "mu":
        table[["mu", "lower", "upper"]] = np.exp(table[["mu", "lower", "upper"]])
        table["std_err"] *= table["mu"]
    return table


def eta_std_err(result: GravityResult, frame: pd.DataFrame) -> Array:
    """Compute the standard error of each row's linear predictor, shape (M,).

    The work grows with M times the number of rows used.

    Parameters
    ----------
    result
        Its covariance is used as it is: choose it with ``with_cov`` first.
    frame
        The M rows asked about.

    Raises
    ------
    DataError
        If a column is missing, a regressor not finite, a level was not estimated, or levels do
        not hang together.
    EstimationError
        If the result has no rows or the jackknife's covariance, or inclusion and exclusion leave
        a negative variance.
    """
    sample, middle = result.sample, result.middle
    if sample is None or middle is None:
        why = "the jackknife does not say how sure the fixed effects are"
        if sample is None:
            why = "this result was read from a file, without its data"
        raise EstimationError(
            f"there are no standard errors of predictions: {why}; choose another covariance, or "
            "fit again."
        )
    regression = working_of(sample, result.terms, result.model)
    new = _new_rows(frame, result.terms, result.effects, regression)
    moved = sample.residuals if middle.parts else np.sqrt(sample.working_weights)
    if middle.rescale is not None:
        moved = moved * middle.rescale
    parts = middle.parts or BY_ROW
    step = max(_ROOM // max(len(sample.rows), 1), 1)
    variance = np.empty(len(frame))
    for low in range(0, len(frame), step):
        rows = slice(low, low + step)
        contributions = (regression.kernels(new.rows(rows)) * moved).T
        variance[rows] = middle.factor * squares(parts, contributions)
    negative = np.flatnonzero(variance < 0)
    if len(negative):
        raise EstimationError(
            f"the covariance '{middle.kind}' gives {len(negative):,} rows a negative variance "
            f"(rows {enumerate_some(negative.tolist())}), as inclusion and exclusion can; choose "
            "one clustering, or 'robust'."
        )
    return np.asarray(np.sqrt(variance))


def _new_rows(
    frame: pd.DataFrame,
    terms: Sequence[Term],
    effects: Sequence[EffectEstimate],
    regression: WorkingRegression,
) -> NewRows:
    """Read the regressors of rows, and the entries of their levels and slopes."""
    X = np.empty((len(terms), len(frame)))
    for column, term in zip(X, terms, strict=True):
        column[:] = term_values(term, frame, what="the new table")
    arranged = regression.effects
    if arranged is None:
        return NewRows(X, np.empty(0, dtype=np.int64), None)
    levels = [effect for effect in effects if not effect.variable]
    rest = [effect for j, effect in enumerate(levels) if j != arranged.first]
    ordered = [levels[arranged.first], *rest, *(effect for effect in effects if effect.variable)]
    numbers = [
        np.argsort(found)[effect.positions(frame)]
        for effect, found in zip(ordered, arranged.levels, strict=True)
    ]
    return NewRows(X, numbers[0], _entries(frame, ordered[1:], numbers[1:], arranged))


def _entries(
    frame: pd.DataFrame,
    effects: Sequence[EffectEstimate],
    numbers: Sequence[NDArray[np.int64]],
    arranged: Effects,
) -> Any:
    """Return the columns of all effects but the first, shape (M, L)."""
    # The sparse arrays of scipy take a while to load, and few results need them.
    from scipy.sparse import csr_array

    M, J = len(frame), len(effects)
    values, codes = np.ones((M, J)), np.empty((M, J), dtype=np.int64)
    in_levels = J - len(arranged.centres)
    for j, (effect, number) in enumerate(zip(effects, numbers, strict=True)):
        codes[:, j] = number + arranged.offsets[j]
        if effect.variable:
            _, mean = arranged.centres[j - in_levels]
            values[:, j] = effect.variable_at(frame) - mean[number]
    starts = J * np.arange(M + 1)
    return csr_array((values.ravel(), codes.ravel(), starts), shape=(M, arranged.others))
