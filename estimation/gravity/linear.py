"""Log-linear gravity models: least squares and two-stage least squares beside PPML.

With ``log y_od = x_od' beta + offset_od + fixed effects + e_od`` over the rows with a flow, the
effects are taken out of all columns by the projection that PPML uses, and linearmodels estimates
on what is left [FrischWaugh1933]_. Under heteroskedasticity of y the log-linear coefficients are
biased, and zeros are lost [SantosSilvaTenreyro2006]_: this is what PPML is compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import (
    DataError,
    IdentificationError,
    SpecificationError,
    enumerate_some,
)
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.formula import expand
from choicemodels.frames import closest
from choicemodels.utility import Term
from estimation.covariance import SmallSample, inverse_information
from estimation.gravity.absorb import Effects, arrange
from estimation.gravity.effects import label_effects
from estimation.gravity.inputs import (
    Inputs,
    design,
    list_dropped_rows,
    read_inputs,
    tabulate_drops,
    varying,
)
from estimation.gravity.linear_result import LinearResult
from estimation.gravity.sample import GroupsArgument, Sample
from estimation.gravity.separation import Drop, prune
from estimation.gravity.within import Within, absorb_effects, level_coefficients
from estimation.hypothesis import HypothesisTest
from estimation.results import Covariance

__all__ = ["fit_linear", "instrument_terms", "locate_endogenous"]

Array = NDArray[np.float64]
Positions = NDArray[np.int64]


def fit_linear(
    model: Gravity,
    data: FlowData,
    *,
    endogenous: str | Sequence[str] = (),
    instruments: str = "",
    cov: str = "robust",
    groups: GroupsArgument = None,
    ssc: SmallSample = "fixest",
    weights: str | None = None,
    drop_singletons: bool = True,
) -> LinearResult:
    """Estimate the logarithm of the flows by least squares, or with instruments.

    Parameters
    ----------
    model
        Its formula holds all regressors, the endogenous ones too.
    data
        Rows without flow are left out and counted.
    endogenous
        Names of regressors that instruments are needed for.
    instruments
        The excluded instruments, as the first part of a formula: ``"tariff + log(rainfall)"``.
    cov
        ``"hessian"`` (equal variances), ``"robust"``, ``"HC0"``, ``"HC1"``, ``"cluster"`` or
        ``"dyadic"``.
    groups
        For ``"cluster"``; see :meth:`GravityResult.with_cov`.
    ssc
        Small-sample factor, ``"fixest"``, ``"stata"`` or ``"none"``;
        see :mod:`estimation.gravity.covariance`.
    weights
        Name of a column of analytic weights.
    drop_singletons
        Drop fixed-effect groups of a single row, which leave nothing to estimate from.

    Raises
    ------
    SpecificationError
        If an option is unknown, or there are fewer instruments than endogenous regressors.
    DataError
        If a column is missing or not finite, or no row has a flow.
    IdentificationError
        If regressors or instruments are collinear or swallowed by the fixed effects.
    """
    inputs = read_inputs(model, data, weights)
    located = locate_endogenous(inputs.terms, endogenous)
    excluded = instrument_terms(instruments, data, located, inputs.terms)
    layout = _lay_out(inputs, excluded, *_rows_with_flow(inputs, drop_singletons))
    K = len(inputs.terms)
    regressors, of_instruments = list(range(1, K + 1)), list(range(K + 1, K + 1 + len(excluded)))
    troubled = [k + 1 for k in located]
    exogenous = [k for k in regressors if k not in troubled]
    estimate = _regress(layout, 0, regressors, troubled, of_instruments)
    first = tuple(
        _report(
            layout,
            _regress(layout, k, [*exogenous, *of_instruments]),
            instruments=tuple(z.name for z in excluded),
        )
        for k in troubled
    )
    names = tuple(layout.name(k) for k in troubled)
    result = _report(layout, estimate, names, tuple(z.name for z in excluded), first)
    return result.with_cov(cov, groups=groups, ssc=ssc)


def locate_endogenous(terms: Sequence[Term], endogenous: str | Sequence[str]) -> list[int]:
    """Return the positions of endogenous regressors.

    Raises
    ------
    SpecificationError
        If one is not a regressor of the formula, or is named twice.
    """
    names = [term.name for term in terms]
    asked = [endogenous] if isinstance(endogenous, str) else list(endogenous)
    for name in asked:
        if name not in names:
            raise SpecificationError(
                f"'{name}' is endogenous but no regressor of the formula{closest(name, names)}; "
                f"the regressors are {', '.join(names) or 'none'}."
            )
    if len(set(asked)) < len(asked):
        raise SpecificationError(f"an endogenous regressor is named twice: {', '.join(asked)}.")
    return [names.index(name) for name in asked]


def instrument_terms(
    instruments: str, data: FlowData, located: Sequence[int], terms: Sequence[Term]
) -> tuple[Term, ...]:
    """Expand the excluded instruments.

    Raises
    ------
    SpecificationError
        If there are too few, some without need, or one is a regressor.
    """
    excluded = expand(instruments, data.table, drop_intercept=True)
    if excluded and not located:
        raise SpecificationError(
            "instruments= needs endogenous=: name the regressors they are for."
        )
    if len(excluded) < len(located):
        raise SpecificationError(
            f"{len(located)} endogenous regressors need as many instruments or more; "
            f"instruments='{instruments}' gives {len(excluded)}."
        )
    twice = [z.name for z in excluded if z.name in {term.name for term in terms}]
    if twice:
        raise SpecificationError(
            f"{enumerate_some(twice)} is a regressor and an excluded instrument; regressors that "
            "are exogenous are instruments of themselves: leave it out of instruments=."
        )
    return excluded


def _rows_with_flow(inputs: Inputs, drop_singletons: bool) -> tuple[Positions, list[Drop]]:
    y, N = inputs.data.y, inputs.data.nobs
    counted = inputs.counted
    rows = counted[y[counted] > 0]
    drops = [
        Drop("no weight", "", np.setdiff1d(np.arange(N), counted)),
        Drop("zero flow", "", np.setdiff1d(counted, rows)),
    ]
    if drop_singletons:
        rows, more = prune(y, inputs.factors, rows, singletons=True)
        drops += more
    if len(rows) == 0:
        raise DataError("no row with a flow is left; the logarithm of a flow needs one.")
    return rows, [drop for drop in drops if len(drop.rows)]


@dataclass(frozen=True, eq=False)
class _Layout:
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
        Logarithm of the flow less the offset, then regressors, then excluded instruments.
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


def _lay_out(
    inputs: Inputs, excluded: Sequence[Term], rows: Positions, drops: list[Drop]
) -> _Layout:
    data, terms = inputs.data, (*inputs.terms, *excluded)
    columns = np.empty((1 + len(terms), len(rows)))
    columns[0] = np.log(data.y[rows])
    if inputs.offset is not None:
        columns[0] -= inputs.offset[rows]
    columns[1:] = design(terms, data)[:, rows]
    w = np.ones(len(rows)) if inputs.w is None else inputs.w[rows]
    effects = None
    if inputs.factors:
        effects = arrange(
            [factor.codes[rows] for factor in inputs.factors],
            [factor.size for factor in inputs.factors],
            [
                replace(v, codes=v.codes[rows], values=v.values[rows])
                for v in varying(inputs.model, data)
            ],
        )
    within = absorb_effects(columns, effects, w)
    within.refuse_swallowed(columns, w, ("", *(term.name for term in terms)))
    return _Layout(inputs, terms, rows, drops, effects, w, columns, within)


@dataclass(frozen=True, eq=False)
class _Estimate:
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


def _regress(
    layout: _Layout,
    dependent: int,
    regressors: list[int],
    endogenous: Sequence[int] = (),
    instruments: Sequence[int] = (),
) -> _Estimate:
    """Regress columns on columns through linearmodels, by two stages where some are endogenous."""
    from linearmodels.iv import IV2SLS

    columns, w = layout.within.columns, layout.w
    exogenous = [k for k in regressors if k not in endogenous]
    _refuse_collinear(layout, [*exogenous, *instruments])
    _refuse_collinear(layout, regressors)
    projected = columns[regressors]
    if endogenous:
        projected = _project(columns[[*exogenous, *instruments]], projected, w)
        _refuse_unidentified(layout, regressors, projected)
    if not regressors:
        return _Estimate(dependent, [], np.zeros(0), projected, columns[dependent], ())
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
    return _Estimate(dependent, regressors, beta, projected, residuals, tests)


def _frame(layout: _Layout, columns: Sequence[int]) -> pd.DataFrame | None:
    if not columns:
        return None
    names = [layout.name(k) for k in columns]
    return pd.DataFrame(layout.within.columns[list(columns)].T, columns=names)


def _gram(A: Array, B: Array, w: Array) -> Array:
    return np.asarray(np.einsum("kn,mn,n->km", A, B, w))


def _project(Z: Array, X: Array, w: Array) -> Array:
    """Return what Z predicts of X by weighted least squares, shape (K, N)."""
    coefficients = np.linalg.solve(_gram(Z, Z, w), _gram(Z, X, w))
    return np.asarray(np.einsum("zk,zn->kn", coefficients, Z))


def _refuse_collinear(layout: _Layout, columns: list[int]) -> None:
    X = layout.within.columns[columns]
    if len(X):
        inverse_information(-_gram(X, X, layout.w), [layout.name(k) for k in columns])


def _refuse_unidentified(layout: _Layout, regressors: list[int], projected: Array) -> None:
    """Refuse instruments that do not tell the endogenous regressors apart."""
    names = [layout.name(k) for k in regressors]
    try:
        inverse_information(-_gram(projected, projected, layout.w), names)
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


def _report(
    layout: _Layout,
    estimate: _Estimate,
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
        formula=model.formula,
        depvar=layout.name(estimate.dependent),
        rsquared=1 - rss / float(w @ spread**2),
        rsquared_within=1 - rss / float(w @ left**2),
        hessian=-_gram(estimate.projected, estimate.projected, w) / variance,
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


def _loglike(rss: float, w: Array) -> float:
    """Return the Gaussian log-likelihood at the variance that maximizes it."""
    N = len(w)
    return 0.5 * float(np.log(w).sum() - N * (np.log(2 * np.pi * rss / N) + 1))


def _levels(layout: _Layout, estimate: _Estimate) -> tuple[Array, ...]:
    """Return the coefficients of the effects."""
    if layout.effects is None:
        return ()
    used = [estimate.dependent, *estimate.regressors]
    sign = np.concatenate([[1.0], -estimate.beta])
    explained = np.einsum("c,cn->n", sign, layout.columns[used]) - estimate.residuals
    alpha = np.einsum("c,cl->l", sign, layout.within.coefficients[used])
    return level_coefficients(layout.effects, layout.effects.sort(explained), alpha)
