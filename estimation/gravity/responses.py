"""How flows respond to a variable: elasticities, marginal effects, discrete changes.

The variable is a column of the table, not a term of the formula: wherever it enters (a logarithm,
an interaction, a slope by level, the offset), the mean is differentiated through it, the fixed
effects held. With ``mu_i`` the expected flow of row i and x its variable, a measure is the mean
over rows of

    dydx  d mu_i / dx                       eyex  d log mu_i / d log x
    eydx  d log mu_i / dx                   dyex  d mu_i / d log x

in the letters of Stata's margins. A coefficient on ``log(x)`` is an elasticity already. Standard
errors are by the delta method [Oehlert1992]_, the estimation error of the fixed effects included:
the measures are linear forms in coefficients and effects to first order
(:mod:`estimation.gravity.prediction`).
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError
from choicemodels.frames import closest, numeric_column, require_columns, to_pandas
from choicemodels.utility import Term, variables
from estimation.estimates import Estimates
from estimation.gravity.prediction import form_covariance, linear_predictors, rows_behind
from estimation.gravity.result import GravityResult
from estimation.gravity.working import LinearForms, WorkingRegression, sparse_rows, working_of
from estimation.summary import coefficient_table, format_table

__all__ = ["FlowResponse", "Measure", "discrete_change", "marginal_effects"]

Array = NDArray[np.float64]
Measure: TypeAlias = Literal["dydx", "eyex", "eydx", "dyex"]
Comparison: TypeAlias = Literal["ratio", "difference"]

_MEANINGS = {
    "dydx": "Marginal effects",
    "eyex": "Elasticities",
    "eydx": "Relative changes of the flow for one more unit",
    "dyex": "Changes of the flow for a relative change",
}
# The step that balances rounding against truncation in a difference of fourth order, and the
# weights of the values at so many such steps: in this order, what does not move cancels exactly.
_STEP = float(np.finfo(np.float64).eps ** 0.2)
_STENCIL = ((-1, -2 / 3), (1, 2 / 3), (-2, 1 / 12), (2, -1 / 12))
# Expressions that jump: comparisons, whole divisions and remainders.
_JUMPS = re.compile(r"[<>=]|//|%")


@dataclass(frozen=True, eq=False, repr=False)
class FlowResponse(Estimates):
    """How flows respond to one variable, over groups of rows.

    Attributes
    ----------
    names : tuple of str
        Of the groups; ``"all"`` without groups.
    estimate : ndarray, shape (Q,)
    covariance : Covariance
        Of the kind that the result showed.
    variable : str
    meaning : str
        What the estimates are.
    """

    variable: str
    meaning: str

    @property
    def table(self) -> pd.DataFrame:
        """One row a group: coef, std err, z, P>|z| and limits at 95 percent."""
        return coefficient_table(self.params, self.bse, self.tvalues, self.pvalues, self.conf_int())

    def __str__(self) -> str:
        note = f"Standard errors: {self.covariance.label}, by the delta method."
        head = f"{self.meaning}, '{self.variable}'"
        return f"{head}\n{format_table(self.table).to_string()}\n{note}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(format_table(self.table).to_html(border=0))


def marginal_effects(
    result: GravityResult,
    variable: str,
    table: Any = None,
    *,
    measure: Measure = "dydx",
    by: str | None = None,
) -> FlowResponse:
    """Estimate the average response of the flows to a small change of a variable.

    Parameters
    ----------
    result
        Its covariance is used as it is: choose it with ``with_cov`` first.
    variable
        A numeric column of the table.
    table
        Rows to average over; by default those used in the estimation.
    measure
        ``"dydx"``, ``"eyex"``, ``"eydx"`` or ``"dyex"``.
    by
        A column; averages are taken within its values.

    Raises
    ------
    SpecificationError
        If the measure is unknown or the model does not use the variable.
    DataError
        If a column is missing, or levels were not estimated.
    EstimationError
        If the result was read from a file, or shows the jackknife's covariance.
    """
    if measure not in get_args(Measure):
        raise SpecificationError(
            f"the measure '{measure}' is unknown; choose one of {', '.join(get_args(Measure))}."
        )
    at = _Place.build(result, variable, table, by)
    _refuse_jumps(result, variable)
    x = numeric_column(at.frame, variable, what="the table")
    slope, moved = at.derivative(x)
    mu = np.exp(at.eta(at.frame))
    one = x if measure.endswith("ex") else np.ones(len(x))
    value, form = one * slope, at.average(one)
    if measure.startswith("dy"):
        value, form = mu * value, at.average(mu * one)
    forms = moved.combined(form)
    if measure.startswith("dy"):
        forms = forms.plus(at.predictors(at.frame).combined(at.average(value)))
    return at.response(at.means(value), forms, f"{_MEANINGS[measure]} (average)")


def discrete_change(
    result: GravityResult,
    variable: str,
    low: float = 0.0,
    high: float = 1.0,
    table: Any = None,
    *,
    compare: Comparison = "ratio",
    by: str | None = None,
) -> FlowResponse:
    """Estimate what becomes of the flows if a variable goes from one value to another everywhere.

    Parameters
    ----------
    result
        Its covariance is used as it is: choose it with ``with_cov`` first.
    variable
        A numeric column of the table, such as a dummy.
    low, high
        Its values before and after.
    table
        Rows to look at; by default those used in the estimation.
    compare
        ``"ratio"`` for ``sum of mu(high) / sum of mu(low) - 1``, which for a dummy with the
        coefficient b is ``exp(b) - 1``; ``"difference"`` for the mean of ``mu(high) - mu(low)``.
    by
        A column; sums and means are taken within its values.

    Raises
    ------
    SpecificationError
        If the comparison is unknown or the model does not use the variable.
    DataError
        If a column is missing, or levels were not estimated.
    EstimationError
        If the result was read from a file, or shows the jackknife's covariance.
    """
    if compare not in get_args(Comparison):
        raise SpecificationError(f"compare is '{compare}'; choose 'ratio' or 'difference'.")
    at = _Place.build(result, variable, table, by)
    before, after = (at.frame.assign(**{variable: float(x)}) for x in (low, high))
    mu_before, mu_after = np.exp(at.eta(before)), np.exp(at.eta(after))
    mean_before, mean_after = at.means(mu_before), at.means(mu_after)
    if compare == "ratio":
        name, value = "Relative change of the total flow", mean_after / mean_before - 1
        mu_after = mu_after / mean_before[at.codes]
        mu_before = mu_before * (mean_after / mean_before**2)[at.codes]
    else:
        name, value = "Change of the mean flow", mean_after - mean_before
    forms = at.predictors(after).combined(at.average(mu_after))
    forms = forms.plus(at.predictors(before).combined(at.average(-mu_before)))
    return at.response(value, forms, f"{name} from {variable} = {low:g} to {high:g}")


@dataclass(frozen=True, eq=False)
class _Place:
    """The rows over which a response is averaged, and the model there."""

    result: GravityResult
    variable: str
    frame: pd.DataFrame
    labels: tuple[str, ...]
    codes: NDArray[np.int64]
    regression: WorkingRegression

    @classmethod
    def build(cls, result: GravityResult, variable: str, table: Any, by: str | None) -> "_Place":
        sample, _ = rows_behind(result)
        used = set().union(*(term.variables for term in _terms(result)))
        if variable not in used:
            raise SpecificationError(
                f"the model does not use the variable '{variable}'{closest(variable, used)}; it "
                f"uses: {', '.join(sorted(used))}."
            )
        if table is None:
            frame = sample.data.table.iloc[sample.rows]
        else:
            frame = to_pandas(table, what="the table")
        require_columns(frame, [variable] + ([by] if by else []), what="the table")
        regression = working_of(sample, result.terms, result.model)
        labels, codes = _groups(frame, by)
        return cls(result, variable, frame.reset_index(drop=True), labels, codes, regression)

    def average(self, weights: Array) -> Any:
        """Return a sparse array of shape (Q, M) that averages rows times weights in each group."""
        sizes = np.bincount(self.codes, minlength=len(self.labels))
        shares = np.broadcast_to(weights, len(self.codes)) / sizes[self.codes]
        return sparse_rows(self.codes[:, None], shares[:, None], len(self.labels)).T.tocsr()

    def means(self, values: Array) -> Array:
        """Return the mean of each group, shape (Q,)."""
        return np.asarray(self.average(values).sum(axis=1), dtype=np.float64).ravel()

    def predictors(self, frame: pd.DataFrame) -> LinearForms:
        return linear_predictors(self.result, frame, self.regression)

    def eta(self, frame: pd.DataFrame) -> Array:
        return np.asarray(self.result.predict(frame, scale="eta"), dtype=np.float64)

    def derivative(self, x: Array) -> tuple[Array, LinearForms]:
        """Differentiate the linear predictors by the variable: values and linear forms."""
        typical = float(np.abs(x).mean()) or 1.0
        step = _STEP * np.where(x != 0, np.abs(x), typical)
        forms, slope = None, np.zeros(len(x))
        for steps, weight in _STENCIL:
            moved = self.frame.assign(**{self.variable: x + steps * step})
            slope += weight / step * self.eta(moved)
            share = sparse_rows(np.arange(len(x))[:, None], (weight / step)[:, None], len(x))
            part = self.predictors(moved).combined(share)
            forms = part if forms is None else forms.plus(part)
        assert forms is not None
        return slope, forms

    def response(self, value: Array, forms: LinearForms, meaning: str) -> FlowResponse:
        sample, middle = rows_behind(self.result)
        matrix = form_covariance(self.regression, sample, middle, forms)
        covariance = replace(self.result.covariance, matrix=matrix)
        return FlowResponse(self.labels, value, covariance, self.variable, meaning)


def _groups(frame: pd.DataFrame, by: str | None) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    if by is None:
        return ("all",), np.zeros(len(frame), dtype=np.int64)
    codes, labels = pd.factorize(frame[by], sort=True)
    if (codes < 0).any():
        raise DataError(
            f"column '{by}' has no label in {int((codes < 0).sum()):,} rows; fill them in, or "
            "leave them out."
        )
    return tuple(map(str, labels)), codes.astype(np.int64)


def _refuse_jumps(result: GravityResult, variable: str) -> None:
    for term in _terms(result):
        for factor in term.factors:
            if variable in variables(factor) and _JUMPS.search(factor):
                raise SpecificationError(
                    f"'{factor}' jumps in '{variable}', so there is no derivative; use "
                    "discrete_change."
                )


def _terms(result: GravityResult) -> list[Term]:
    """Return every expression of the model."""
    terms = [*result.terms]
    terms += [Term(e.name, (e.variable,)) for e in result.effects if e.variable]
    return terms + ([Term("offset", (result.offset,))] if result.offset else [])
