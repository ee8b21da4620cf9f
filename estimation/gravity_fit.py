"""From a gravity model and flows to a result: design, drops, estimation, covariance."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln

from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    NestflowWarning,
    SpecificationError,
    enumerate_some,
)
from choicemodels.flowdata import Factor, FlowData
from choicemodels.formula import expand, fill_column
from choicemodels.gravity import Gravity
from choicemodels.utility import Term
from estimation.absorb import Effects, arrange
from estimation.covariance import SmallSample
from estimation.gravity_covariance import KINDS
from estimation.gravity_effects import label_effects
from estimation.gravity_result import (
    Convergence,
    GravityResult,
    GroupsArgument,
    Sample,
)
from estimation.ppml import PpmlFit, Progress, Stopping, ppml, ppml_dense
from estimation.results import Covariance
from estimation.separation import Drop, prune, rectify

__all__ = ["fit_gravity"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


def fit_gravity(
    model: Gravity,
    data: FlowData,
    *,
    cov: str = "robust",
    groups: GroupsArgument = None,
    ssc: str = "fixest",
    tol: float = 1e-8,
    max_iterations: int = 50,
    drop_separated: bool = True,
    drop_singletons: bool = True,
    progress: Progress | None = None,
) -> GravityResult:
    """Estimate a gravity model by Poisson pseudo-maximum likelihood.

    Parameters
    ----------
    model
    data
    cov
        ``"hessian"``, ``"robust"`` or ``"cluster"``; it can be changed afterwards with
        ``result.with_cov``.
    groups
        For ``"cluster"``; see :meth:`GravityResult.with_cov`.
    ssc
        Small-sample factor, ``"fixest"``, ``"stata"`` or ``"none"``;
        see :mod:`estimation.gravity_covariance`.
    tol
        The last step changes the deviance by less than this share of it.
    max_iterations
        Newton steps at most.
    drop_separated
        Drop the rows that no finite estimate can fit; if False, refuse them.
    drop_singletons
        Drop fixed-effect groups of a single row, as ppmlhdfe and pyfixest do. They change
        no coefficient, only the number of rows that small-sample factors see.
    progress
        Called with the number and the deviance of each step.

    Raises
    ------
    SpecificationError
        If an option is unknown.
    DataError
        If a column is missing, a regressor not finite, or no row is left.
    IdentificationError
        If regressors are collinear or swallowed by the fixed effects.
    EstimationError
        If rows are separated and ``drop_separated`` is False.

    Warns
    -----
    NestflowWarning
        If the iterations end without converging.
    """
    _check_options(cov, ssc, tol, max_iterations)
    terms = _terms(model, data)
    names = tuple(term.name for term in terms)
    X = _design(terms, data)
    factors = [data.factor(name) for name in model.effects]
    search = _Search(data.y, X, factors, names, Stopping(tol, max_iterations, progress))
    estimated = search.run(drop_separated, drop_singletons)
    fit, rows, y = estimated.fit, estimated.rows, estimated.y
    scores = np.ascontiguousarray((fit.X_within * (y - fit.mu)).T)
    message = "" if fit.converged else _complaint(fit, tol)
    if not fit.converged:
        warnings.warn(message, NestflowWarning, stacklevel=3)
    result = GravityResult(
        names=names,
        estimate=fit.beta,
        covariance=Covariance(np.zeros((len(names), len(names))), "none", ssc=ssc),
        llf=_loglike(y, fit.deviance),
        nobs=len(rows),
        formula=model.formula,
        depvar=data.flow,
        llnull=_loglike(y, _null_deviance(y)),
        deviance=fit.deviance,
        convergence=Convergence(
            fit.converged, fit.iterations, fit.inner_iterations, fit.deviance, message
        ),
        hessian=fit.hessian,
        scores_product=np.einsum("nk,nm->km", scores, scores),
        terms=terms,
        effects=label_effects(fit.effects, estimated.effects, factors),
        dropped=_tabulate(estimated.drops),
        dropped_rows=_list_rows(estimated.drops),
        sample=Sample(data, rows, scores, fit.mu),
    )
    return result.with_cov(cov, groups=groups, ssc=ssc)


def _check_options(cov: str, ssc: str, tol: float, max_iterations: int) -> None:
    """Refuse before the work what would fail after it."""
    if cov not in KINDS:
        raise SpecificationError(
            f"the covariance '{cov}' is unknown; choose one of {', '.join(KINDS)}."
        )
    if ssc not in get_args(SmallSample):
        raise SpecificationError(
            f"the small-sample convention '{ssc}' is unknown; choose fixest, stata or none."
        )
    if not 0 < tol < 1:
        raise SpecificationError(f"tol is {tol}; it must lie between 0 and 1.")
    if max_iterations < 2:
        raise SpecificationError(f"max_iterations is {max_iterations}; at least 2 are needed.")


def _terms(model: Gravity, data: FlowData) -> tuple[Term, ...]:
    terms = expand(model.regressors, data.table, drop_intercept=bool(model.effects))
    if not terms and not model.effects:
        raise SpecificationError(f"the formula '{model.formula}' leaves nothing to estimate.")
    return terms


def _design(terms: Sequence[Term], data: FlowData) -> Array:
    """Fill the regressors, shape (K, N), and refuse what is not finite."""
    X = np.empty((len(terms), data.nobs))
    for column, term in zip(X, terms, strict=True):
        fill_column(column, term, data.table)
        if np.isfinite(column.sum()):
            continue
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            raise DataError(
                f"'{term.name}' is not finite in {len(bad):,} rows (rows "
                f"{enumerate_some(bad.tolist())}; the first gives {column[bad[0]]}); drop these "
                "rows or fill the column: a logarithm needs values above zero."
            )
    return X


@dataclass(frozen=True, eq=False)
class _Estimated:
    fit: PpmlFit
    rows: Rows
    y: Array
    effects: Effects | None
    drops: list[Drop]


@dataclass(frozen=True, eq=False)
class _Search:
    """Fit, look for separated rows if the fit hints at some, drop them, fit again."""

    y: Array
    X: Array
    factors: Sequence[Factor]
    names: tuple[str, ...]
    stopping: Stopping

    def run(self, drop_separated: bool, singletons: bool) -> _Estimated:
        rows, drops = prune(self.y, self.factors, np.arange(len(self.y)), singletons=singletons)
        _refuse_empty(rows, self.y)
        _refuse_separated(drops, drop_separated)
        while True:
            y, X, effects = self._subset(rows)
            try:
                fit = self._fit(y, X, effects)
            except IdentificationError as problem:
                count = len(self.y) - len(rows)
                after = f" (after {count:,} rows were dropped: zero groups, separation)"
                raise IdentificationError(f"{problem}{after if count else ''}") from None
            separated = fit.falling
            if separated.any():
                separated = rectify(y, X, effects, suspects=fit.falling)
            if not separated.any():
                return _Estimated(fit, rows, y, effects, drops)
            drops.append(Drop("separated", "", rows[separated]))
            _refuse_separated(drops, drop_separated)
            rows, more = prune(self.y, self.factors, rows[~separated], singletons=singletons)
            drops += more
            _refuse_empty(rows, self.y)

    def _subset(self, rows: Rows) -> tuple[Array, Array, Effects | None]:
        whole = len(rows) == len(self.y)
        y = self.y if whole else self.y[rows]
        X = self.X if whole else np.ascontiguousarray(self.X[:, rows])
        if not self.factors:
            return y, X, None
        codes = [factor.codes if whole else factor.codes[rows] for factor in self.factors]
        return y, X, arrange(codes, [factor.size for factor in self.factors])

    def _fit(self, y: Array, X: Array, effects: Effects | None) -> PpmlFit:
        if effects is None:
            return ppml_dense(y, X, self.names, self.stopping)
        return ppml(effects, y, X, self.names, self.stopping)


def _refuse_empty(rows: Rows, y: Array) -> None:
    if not (y > 0).any():
        raise DataError("every flow is zero; there is nothing to explain.")
    if len(rows) == 0:
        raise DataError(
            "no row is left after dropping fixed-effect groups with zero flows only, or of a "
            "single row; use coarser fixed effects."
        )


def _refuse_separated(drops: Sequence[Drop], allowed: bool) -> None:
    bad = [drop for drop in drops if drop.reason != "singleton"]
    if allowed or not bad:
        return
    count = sum(len(drop.rows) for drop in bad)
    raise EstimationError(
        f"{count:,} rows are separated (rows {enumerate_some(bad[0].rows.tolist())}): no finite "
        "estimate exists with them; drop_separated=True leaves them out and counts them."
    )


def _complaint(fit: PpmlFit, tol: float) -> str:
    return (
        f"the Poisson iterations did not converge to tol={tol:g} in {fit.iterations} steps "
        f"(deviance {fit.deviance:.6g}); raise max_iterations, rescale the regressors, or "
        "simplify the fixed effects."
    )


def _loglike(y: Array, deviance: float) -> float:
    """Return the log-likelihood, the saturated one less half the deviance."""
    return _saturated(y) - 0.5 * deviance


def _saturated(y: Array) -> float:
    """Return ``sum of y log y - y - log y!``; counts are tabulated, they repeat."""
    times, value = np.ones(len(y)), y
    if y.max() <= 4 * len(y) and (y == np.floor(y)).all():
        times = np.bincount(y.astype(np.int64)).astype(np.float64)
        value = np.arange(len(times), dtype=np.float64)
    logs = np.log(np.where(value > 0, value, 1.0))
    return float((times * (value * logs - value - gammaln(value + 1))).sum())


def _null_deviance(y: Array) -> float:
    logs = np.log(np.where(y > 0, y, 1.0) / y.mean())
    return 2 * float((y * logs).sum())


def _tabulate(drops: Sequence[Drop]) -> pd.DataFrame:
    table = pd.DataFrame(
        [(drop.reason, drop.effect, len(drop.rows)) for drop in drops],
        columns=["reason", "effect", "rows"],
    )
    return table.groupby(["reason", "effect"], as_index=False, sort=False).sum()


def _list_rows(drops: Sequence[Drop]) -> "pd.Series[str]":
    rows = [drop.rows for drop in drops]
    reasons = [np.full(len(drop.rows), drop.reason, dtype=object) for drop in drops]
    index = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    values = np.concatenate(reasons) if reasons else np.empty(0, dtype=object)
    return pd.Series(values, index=index, name="reason", dtype=object).sort_index()
