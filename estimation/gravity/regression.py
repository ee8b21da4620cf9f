"""Regressions of columns of a flow table on each other, fixed effects absorbed.

The effects are taken out of all columns by the projection that PPML uses, and linearmodels
estimates on what is left [FrischWaugh1933]_.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import IdentificationError
from choicemodels.flows.gravity import Gravity
from choicemodels.formula import split_parts
from choicemodels.utility import Term
from estimation.covariance import inverse_information
from estimation.gravity.absorb import Effects
from estimation.gravity.effects import label_effects
from estimation.gravity.inputs import (
    Inputs,
    design,
    list_dropped_rows,
    tabulate_drops,
)
from estimation.gravity.linear_result import LinearResult
from estimation.gravity.sample import Sample
from estimation.gravity.separation import Drop
from estimation.gravity.within import Within, absorb_effects, level_coefficients
from estimation.hypothesis import HypothesisTest
from estimation.results import Covariance

__all__ = ["Estimate", "Layout", "first_stages", "gram", "lay_out", "project", "regress", "report"]

Array = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layout:
    """The columns of a regression over the rows used, before and after absorbing the effects.

    Attributes
    ----------
    inputs : Inputs
    terms : tuple of Term
        Of the columns but the first.
    rows : ndarray of int64, shape (N,)
    drops : list of Drop
    effects : Effects or None
    w : ndarray, shape (N,)
    columns : ndarray, shape (C, N)
        What the model explains, then its regressors, then excluded instruments.
    within : Within
    """

    inputs: Inputs
    terms: tuple[Term, ...]
    rows: Positions
    drops: list[Drop]
    effects: Effects | None
    w: Array
    columns: Array
    within: Within

    def name(self, column: int) -> str:
        """Return what a column is called."""
        return self.terms[column - 1].name if column else f"log({self.inputs.data.flow})"


def lay_out(
    inputs: Inputs,
    excluded: Sequence[Term],
    explained: Array,
    rows: Positions,
    drops: list[Drop],
) -> Layout:
    """Lay out columns and absorb the effects.

    Parameters
    ----------
    inputs
    excluded
        The excluded instruments.
    explained
        What the model explains, over the rows used, shape (N,).
    rows
        Their positions in the data.
    drops
        The other rows.

    Raises
    ------
    IdentificationError
        If the effects swallow a regressor or an instrument.
    """
    data, terms = inputs.data, (*inputs.terms, *excluded)
    columns = np.empty((1 + len(terms), len(rows)))
    columns[0] = explained
    columns[1:] = design(terms, data)[:, rows]
    w = np.ones(len(rows)) if inputs.w is None else inputs.w[rows]
    effects = inputs.effects(rows)
    within = absorb_effects(columns, effects, w)
    regressors = Within(within.columns[1:], within.coefficients[1:])
    regressors.refuse_swallowed(columns[1:], w, [term.name for term in terms])
    return Layout(inputs, terms, rows, drops, effects, w, columns, within)


@dataclass(frozen=True, eq=False)
class Estimate:
    """A regression of one column on others.

    Attributes
    ----------
    dependent : int
    regressors : list of int, length K
    beta : ndarray, shape (K,)
    projected : ndarray, shape (K, N)
        Regressors, the endogenous ones as the instruments predict them.
    residuals : ndarray, shape (N,)
    tests : tuple of HypothesisTest
    """

    dependent: int
    regressors: list[int]
    beta: Array
    projected: Array
    residuals: Array
    tests: tuple[HypothesisTest, ...]


def regress(
    layout: Layout,
    dependent: int,
    regressors: list[int],
    endogenous: Sequence[int] = (),
    instruments: Sequence[int] = (),
) -> Estimate:
    """Regress columns on columns through linearmodels, by two stages where some are endogenous.

    Parameters
    ----------
    layout
    dependent, regressors, endogenous, instruments
        Positions of columns; the regressors contain the endogenous ones.

    Raises
    ------
    IdentificationError
        If regressors or instruments are collinear, or the instruments do not identify the
        endogenous regressors.
    """
    from linearmodels.iv import IV2SLS

    columns, w = layout.within.columns, layout.w
    exogenous = [k for k in regressors if k not in endogenous]
    _refuse_collinear(layout, [*exogenous, *instruments])
    _refuse_collinear(layout, regressors)
    projected = columns[regressors]
    if endogenous:
        projected = project(columns[[*exogenous, *instruments]], projected, w)
        _refuse_unidentified(layout, regressors, projected)
    if not regressors:
        return Estimate(dependent, [], np.zeros(0), projected, columns[dependent], ())
    found = IV2SLS(
        columns[dependent],
        _frame(layout, exogenous),
        _frame(layout, endogenous),
        _frame(layout, instruments),
        weights=w,
    ).fit(cov_type="unadjusted")
    beta = found.params[[layout.name(k) for k in regressors]].to_numpy()
    residuals = columns[dependent] - np.einsum("k,kn->n", beta, columns[regressors])
    tests = _tests(found, len(endogenous), len(instruments)) if endogenous else ()
    return Estimate(dependent, regressors, beta, projected, residuals, tests)


def _frame(layout: Layout, columns: Sequence[int]) -> pd.DataFrame | None:
    if not columns:
        return None
    names = [layout.name(k) for k in columns]
    return pd.DataFrame(layout.within.columns[list(columns)].T, columns=names)


def gram(A: Array, B: Array, w: Array) -> Array:
    """Return the weighted cross-products of the rows of A and of B."""
    return np.asarray(np.einsum("kn,mn,n->km", A, B, w))


def project(Z: Array, X: Array, w: Array) -> Array:
    """Return what Z predicts of X by weighted least squares, shape (K, N)."""
    coefficients = np.linalg.solve(gram(Z, Z, w), gram(Z, X, w))
    return np.asarray(np.einsum("zk,zn->kn", coefficients, Z))


def _refuse_collinear(layout: Layout, columns: list[int]) -> None:
    X = layout.within.columns[columns]
    if len(X):
        inverse_information(-gram(X, X, layout.w), [layout.name(k) for k in columns])


def _refuse_unidentified(layout: Layout, regressors: list[int], projected: Array) -> None:
    """Refuse instruments that do not tell the endogenous regressors apart."""
    names = [layout.name(k) for k in regressors]
    try:
        inverse_information(-gram(projected, projected, layout.w), names)
    except IdentificationError as problem:
        raise IdentificationError(
            f"the instruments do not identify the endogenous regressors: as they predict them, "
            f"{problem}"
        ) from None


def _tests(found: Any, endogenous: int, instruments: int) -> tuple[HypothesisTest, ...]:
    """Return tests of exogeneity and of overidentification from a fit of linearmodels."""
    exogenous, valid = "exogeneity", "valid instruments"
    tests = []
    for name, statistic, note in (
        ("Durbin test", "durbin", ""),
        ("Wooldridge's score test", "wooldridge_score", "robust"),
    ):
        try:
            outcome = getattr(found, statistic)
            value = (outcome() if callable(outcome) else outcome).stat
        except ValueError:
            reason = "the instruments predict the endogenous regressors exactly"
            tests.append(HypothesisTest.refused(name, exogenous, reason))
        else:
            tests.append(HypothesisTest.chi2(name, exogenous, value, endogenous, note))
    spare = instruments - endogenous
    for name, statistic, note in (
        ("Sargan test", "sargan", ""),
        ("Wooldridge's overidentification test", "wooldridge_overid", "robust"),
    ):
        if spare:
            value = getattr(found, statistic).stat
            tests.append(HypothesisTest.chi2(name, valid, value, spare, note))
        else:
            reason = "there are as many instruments as endogenous regressors"
            tests.append(HypothesisTest.refused(name, valid, reason))
    return tuple(tests)


def first_stages(
    layout: Layout, endogenous: Sequence[int], instruments: Sequence[int]
) -> tuple[tuple[LinearResult, Array], ...]:
    """Regress each endogenous column on the exogenous regressors and the instruments.

    Returns
    -------
    tuple of (LinearResult, ndarray)
        Without a covariance; and the residuals, shape (N,).
    """
    K = len(layout.inputs.terms)
    known = [*(k for k in range(1, K + 1) if k not in endogenous), *instruments]
    names = tuple(layout.name(k) for k in instruments)
    estimates = [regress(layout, k, known) for k in endogenous]
    return tuple((report(layout, e, instruments=names), e.residuals) for e in estimates)


def report(
    layout: Layout,
    estimate: Estimate,
    endogenous: tuple[str, ...] = (),
    instruments: tuple[str, ...] = (),
    first_stages: tuple[LinearResult, ...] = (),
) -> LinearResult:
    """Put an estimate into a result, without a covariance."""
    inputs, w, N = layout.inputs, layout.w, len(layout.rows)
    model, data = inputs.model, inputs.data
    e, K = estimate.residuals, len(estimate.regressors)
    total = layout.columns[estimate.dependent]
    rss = float(w @ e**2)
    variance = rss / max(N - 1, 1)
    scores = np.ascontiguousarray((estimate.projected * (w * e / variance)).T)
    terms = tuple(layout.terms[k - 1] for k in estimate.regressors)
    fitted = total - e
    spread = total - np.average(total, weights=w)
    left = layout.within.columns[estimate.dependent]
    slopes = [(data.factor(slope.effect), slope.variable) for slope in model.slopes]
    return LinearResult(
        names=tuple(term.name for term in terms),
        estimate=estimate.beta,
        covariance=Covariance(np.zeros((K, K)), "none"),
        llf=_loglike(rss, w),
        nobs=N,
        formula=model.formula if estimate.dependent == 0 else _first_stage_formula(model, terms),
        depvar=layout.name(estimate.dependent),
        rsquared=1 - rss / float(w @ spread**2),
        rsquared_within=None if layout.effects is None else 1 - rss / float(w @ left**2),
        hessian=-gram(estimate.projected, estimate.projected, w) / variance,
        scores_product=np.einsum("nk,nm->km", scores, scores),
        terms=terms,
        effects=label_effects(_levels(layout, estimate), layout.effects, inputs.factors, slopes),
        dropped=tabulate_drops(layout.drops),
        dropped_rows=list_dropped_rows(layout.drops),
        offset=model.offset if estimate.dependent == 0 else "",
        weights=inputs.weights or "",
        endogenous=endogenous,
        instruments=instruments,
        first_stages=first_stages,
        tests=estimate.tests,
        sample=Sample(data, layout.rows, scores, fitted, None if inputs.w is None else w),
    )


def _first_stage_formula(model: Gravity, terms: Sequence[Term]) -> str:
    names = " + ".join(term.name for term in terms)
    return " | ".join([names, *split_parts(model.formula, 2)[1:]])


def _loglike(rss: float, w: Array) -> float:
    """Return the Gaussian log-likelihood at the variance that maximizes it."""
    N = len(w)
    return 0.5 * float(np.log(w).sum() - N * (np.log(2 * np.pi * rss / N) + 1))


def _levels(layout: Layout, estimate: Estimate) -> tuple[Array, ...]:
    """Return the coefficients of the effects."""
    if layout.effects is None:
        return ()
    used = [estimate.dependent, *estimate.regressors]
    sign = np.concatenate([[1.0], -estimate.beta])
    explained = np.einsum("c,cn->n", sign, layout.columns[used]) - estimate.residuals
    alpha = np.einsum("c,cl->l", sign, layout.within.coefficients[used])
    return level_coefficients(layout.effects, layout.effects.sort(explained), alpha)
