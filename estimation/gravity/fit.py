"""From a gravity model and flows to a result: design, drops, estimation, covariance."""

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from choicemodels.errors import (
    NestflowWarning,
    SpecificationError,
)
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from estimation.covariance import SmallSample
from estimation.gravity.covariance import KINDS
from estimation.gravity.effects import label_effects
from estimation.gravity.inputs import (
    Inputs,
    design,
    list_certificates,
    list_dropped_rows,
    read_inputs,
    tabulate_drops,
    varying,
)
from estimation.gravity.ppml import PpmlFit, Progress, Stopping
from estimation.gravity.result import (
    Convergence,
    GravityResult,
    GroupsArgument,
    Sample,
)
from estimation.gravity.search import Found, Search
from estimation.gravity.separation import Drop
from estimation.results import Covariance

__all__ = ["fit_gravity"]

Array = NDArray[np.float64]


def fit_gravity(
    model: Gravity,
    data: FlowData,
    *,
    cov: str = "robust",
    groups: GroupsArgument = None,
    ssc: SmallSample = "fixest",
    weights: str | None = None,
    tol: float = 1e-8,
    max_iterations: int = 50,
    drop_separated: bool = True,
    drop_singletons: bool = True,
    start: GravityResult | None = None,
    progress: Progress | None = None,
) -> GravityResult:
    """Estimate a gravity model by Poisson pseudo-maximum likelihood.

    Parameters
    ----------
    model
    data
    cov
        One of the covariances of :meth:`GravityResult.with_cov`, by which it can be changed
        afterwards.
    groups
        For ``"cluster"`` and ``"CRV3"``.
    ssc
        Small-sample factor, ``"fixest"``, ``"stata"`` or ``"none"``;
        see :mod:`estimation.gravity.covariance`.
    weights
        Name of a column by which the rows count: probability or analytic weights, zero or more.
        Rows of no weight are left out and counted.
    tol
        The last step changes the deviance by less than this share of it.
    max_iterations
        Newton steps at most.
    drop_separated
        Drop the rows that no finite estimate can fit, and the regressors that only these
        rows tell apart from the others; if False, refuse them.
    drop_singletons
        Drop fixed-effect groups of a single row, as ppmlhdfe and pyfixest do. They change
        no coefficient, only the number of rows that small-sample factors see.
    start
        A result over the same rows, whose expected flows the search begins with.
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
        If the iterations end without converging, a regressor is left out because separated
        rows alone identified it, or rows look separated but could not be certified.
    """
    _check_options(cov, ssc, tol, max_iterations)
    inputs = read_inputs(model, data, weights)
    # The search is not kept: its design is as large as the data.
    found = Search(
        inputs.weighted_flows,
        design(inputs.terms, data),
        inputs.offset_with_weights,
        inputs.factors,
        varying(model, data),
        tuple(term.name for term in inputs.terms),
        Stopping(tol, max_iterations, progress),
        None if start is None else _start_from(start, inputs),
    ).run(
        np.flatnonzero(inputs.counted),
        drop_separated=drop_separated,
        singletons=drop_singletons,
    )
    unweighted = Drop("no weight", "", np.flatnonzero(~inputs.counted))
    drops = [drop for drop in (unweighted, *found.drops) if len(drop.rows)]
    notes = found.notes if found.fit.converged else (_complaint(found.fit, tol), *found.notes)
    for note in notes:
        warnings.warn(note, NestflowWarning, stacklevel=3)
    return _report(inputs, found, drops, notes).with_cov(cov, groups=groups, ssc=ssc)


def _start_from(start: GravityResult, inputs: Inputs) -> Array:
    """Return expected flows to begin with, weights included, from those of another result."""
    if start.sample is None or start.sample.data.nobs != inputs.data.nobs:
        raise SpecificationError(
            "start= must be a result over the same rows, fitted in this session: it gives the "
            "search the expected flows to begin with."
        )
    y = inputs.weighted_flows
    mu = 0.5 * (y + y.mean())
    w = 1.0 if inputs.w is None else inputs.w[start.sample.rows]
    known = w * start.sample.mu
    # A mean next to nothing would keep its row from moving for many steps.
    mu[start.sample.rows] = np.maximum(known, 1e-3 * mu[start.sample.rows])
    return np.asarray(mu)


def _report(
    inputs: Inputs, found: Found, drops: Sequence[Drop], notes: tuple[str, ...]
) -> GravityResult:
    """Put what was found into a result, without a covariance."""
    model, data, fit, rows = inputs.model, inputs.data, found.fit, found.rows
    terms = tuple(inputs.terms[k] for k in found.columns)
    w = None if inputs.w is None else inputs.w[rows]
    offset = None if inputs.offset is None else inputs.offset[rows]
    y = data.y[rows]
    scores = np.empty(fit.X_within.shape[::-1])
    np.multiply(fit.X_within.T, (found.y - fit.mu)[:, None], out=scores)
    slopes = [(data.factor(slope.effect), slope.variable) for slope in model.slopes]
    return GravityResult(
        names=tuple(term.name for term in terms),
        estimate=fit.beta,
        covariance=Covariance(np.zeros((len(terms), len(terms))), "none"),
        llf=_loglike(y, w, fit.deviance),
        nobs=len(y),
        formula=model.formula,
        depvar=data.flow,
        llnull=_loglike(y, w, _null_deviance(y, w, offset)),
        deviance=fit.deviance,
        convergence=Convergence(
            fit.converged, fit.iterations, fit.inner_iterations, fit.deviance, notes
        ),
        hessian=fit.hessian,
        scores_product=np.einsum("nk,nm->km", scores, scores),
        terms=terms,
        effects=label_effects(fit.effects, found.effects, inputs.factors, slopes),
        dropped=tabulate_drops(drops),
        dropped_rows=list_dropped_rows(drops),
        certificates=list_certificates(drops),
        offset=model.offset,
        weights=inputs.weights or "",
        sample=Sample(data, rows, scores, fit.mu if w is None else fit.mu / w, w, offset),
    )


def _check_options(cov: str, ssc: str, tol: Any, max_iterations: int) -> None:
    """Refuse before the work what would fail after it."""
    if cov not in KINDS:
        raise SpecificationError(
            f"the covariance '{cov}' is unknown; choose one of {', '.join(KINDS)}."
        )
    if ssc not in get_args(SmallSample):
        raise SpecificationError(
            f"the small-sample convention '{ssc}' is unknown; choose fixest, stata or none."
        )
    if not (isinstance(tol, Real) and 0 < float(tol) < 1):
        raise SpecificationError(f"tol is {tol!r}; it must be a number between 0 and 1.")
    if max_iterations < 2:
        raise SpecificationError(f"max_iterations is {max_iterations}; at least 2 are needed.")


def _complaint(fit: PpmlFit, tol: float) -> str:
    return (
        f"the Poisson iterations did not converge to tol={tol:g} in {fit.iterations} steps "
        f"(deviance {fit.deviance:.6g}); raise max_iterations, rescale the regressors, or "
        "simplify the fixed effects."
    )


def _loglike(y: Array, w: Array | None, deviance: float) -> float:
    """Return the log-likelihood, the saturated one less half the deviance."""
    return _saturated(y, w) - 0.5 * deviance


def _saturated(y: Array, w: Array | None) -> float:
    """Return the weighted sum of ``y log y - y - log y!``; counts are tabulated, they repeat."""
    times, value = np.ones(len(y)) if w is None else w, y
    if y.max() <= 4 * len(y) and (y == np.floor(y)).all():
        times = np.bincount(y.astype(np.int64), weights=w).astype(np.float64)
        value = np.arange(len(times), dtype=np.float64)
    logs = np.log(np.where(value > 0, value, 1.0))
    return float((times * (value * logs - value - gammaln(value + 1))).sum())


def _null_deviance(y: Array, w: Array | None, offset: Array | None) -> float:
    """Return the deviance of a constant, times the exponential of the offset."""
    flows = y if w is None else w * y
    fixed = 0.0 if offset is None else offset
    count = len(y) if w is None else w.sum()
    mass = np.log(count) if offset is None else logsumexp(offset, b=w)
    logs = np.log(np.where(y > 0, y, 1.0)) - (np.log(flows.sum()) - mass) - fixed
    return 2 * float((flows * logs).sum())
