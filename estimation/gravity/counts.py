"""Negative binomial and zero-inflated gravity, likelihoods of statsmodels.

With ``mu = exp(x' beta + offset + fixed effects)``, all are likelihoods of counts, efficient if the
distribution is right. NB2 stays consistent where only the mean is; the others do not:

    negative_binomial      variance mu + alpha mu^2 (NB2) [CameronTrivedi1986]_
    negative_binomial_1    variance mu + alpha mu (NB1)
    zero_inflated_...      with probability pi a zero, else Poisson or NB2; logit(pi) = z' gamma

Fixed effects are written out as dummies, for statsmodels absorbs none.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    NestflowWarning,
    SpecificationError,
    enumerate_some,
)
from choicemodels.flows.factor import Factor
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.formula import expand
from choicemodels.frames import closest
from choicemodels.utility import Term
from estimation.covariance import SmallSample, inverse_information
from estimation.gravity.count_result import FAMILIES, CountResult, overdispersion
from estimation.gravity.effects import EffectEstimate
from estimation.gravity.fit import fit_gravity
from estimation.gravity.inputs import design
from estimation.gravity.result import Convergence, GravityResult
from estimation.gravity.sample import GroupsArgument, Sample
from estimation.gravity.separation import redundant_columns
from estimation.results import Covariance

__all__ = ["fit_counts"]

Array = NDArray[np.float64]

# Dummies written out: each makes every step slower, and NB likelihoods with many are biased.
_MOST_DUMMIES = 300
# Newton's decrement, twice the log-likelihood that a last step would still gain.
_GAIN = 1e-9


def fit_counts(
    model: Gravity,
    data: FlowData,
    *,
    family: str = "negative_binomial",
    inflation: str = "1",
    cov: str = "robust",
    groups: GroupsArgument = None,
    ssc: SmallSample = "fixest",
    max_iterations: int = 200,
) -> CountResult:
    """Estimate a gravity model of counts by maximum likelihood.

    Rows that PPML drops as separated are dropped here too: no finite estimate fits them. There
    are no weights: statsmodels' likelihoods have none.

    Parameters
    ----------
    model
    data
        Flows are whole numbers.
    family
        ``"negative_binomial"``, ``"negative_binomial_1"``, ``"zero_inflated_poisson"`` or
        ``"zero_inflated_negative_binomial"``.
    inflation
        What moves the probability of a certain zero, as the first part of a formula; of the
        zero-inflated families alone.
    cov, groups, ssc
        See :meth:`FlowResult.with_cov`.
    max_iterations
        Steps at most of the search that leads up to the last Newton steps.

    Raises
    ------
    SpecificationError
        If the family is unknown or has no inflation to move, or the fixed effects have too many
        levels to be written out.
    DataError
        If a flow is not a whole number, a column is missing, or no row is left.
    IdentificationError
        If regressors are collinear or swallowed by the fixed effects.
    EstimationError
        If there is no overdispersion, or no inflation, to estimate.

    Warns
    -----
    NestflowWarning
        If the iterations end without converging.
    """
    if family not in FAMILIES:
        raise SpecificationError(
            f"the family '{family}' is unknown{closest(family, FAMILIES)}; choose one of "
            f"{', '.join(FAMILIES)}."
        )
    if inflation != "1" and not FAMILIES[family].inflated:
        raise SpecificationError(
            f"inflation='{inflation}' goes with the zero-inflated families, and '{family}' is "
            "none; leave it out, or choose 'zero_inflated_poisson' or "
            "'zero_inflated_negative_binomial'."
        )
    if model.slopes:
        raise SpecificationError(
            f"'{model.slopes[0].name}': slopes by level are for PPML, see fit(); write "
            "interactions among the regressors here."
        )
    _refuse_fractions(data)
    _refuse_many_levels(model, data)
    poisson = fit_gravity(model, data, drop_singletons=False)
    problem = _lay_out(poisson, data, model, family, inflation)
    theta, iterations, converged = _maximize(problem, _start(problem, poisson), max_iterations)
    _refuse_boundary(problem, theta)
    notes: tuple[str, ...] = ()
    if not converged:
        notes = (
            f"the likelihood did not converge in {iterations} steps; raise max_iterations, "
            "rescale the regressors, or simplify the model.",
        )
        warnings.warn(notes[0], NestflowWarning, stacklevel=2)
    result = _report(problem, poisson, theta, Convergence(converged, iterations, 0, 0.0, notes))
    return result.with_cov(cov, groups=groups, ssc=ssc)


def _refuse_fractions(data: FlowData) -> None:
    rows = np.flatnonzero(data.y != np.floor(data.y))
    if len(rows):
        raise DataError(
            f"the flow column '{data.flow}' is not a whole number in {len(rows):,} rows (rows "
            f"{enumerate_some(rows.tolist())}; the first holds {data.y[rows[0]]:g}); a likelihood "
            "of counts needs counts: use PPML, which does not."
        )


def _refuse_many_levels(model: Gravity, data: FlowData) -> None:
    flowing = data.y > 0
    count = sum(len(np.unique(data.factor(name).codes[flowing])) for name in model.effects)
    if count > _MOST_DUMMIES:
        raise SpecificationError(
            f"the fixed effects have {count:,} levels, which would have to be written out as "
            f"dummies (at most {_MOST_DUMMIES}); use PPML, which absorbs them, or coarser effects."
        )


@dataclass(frozen=True, eq=False)
class _Problem:
    """A likelihood of statsmodels and what its parameters are.

    Parameters are ordered inflation, regressors, dummies, alpha, and are those of columns divided
    by their size.

    Attributes
    ----------
    family : str
    engine : object
        The statsmodels model.
    y : ndarray, shape (N,)
    terms, inflation : tuple of Term
    levels : list of (Factor, ndarray of int64)
        The fixed effects, and which of their codes occur.
    kept : ndarray of bool, shape (L,)
        Which of the dummies the others do not determine.
    scale : ndarray, shape (P,)
        Size of each parameter's column.
    """

    family: str
    engine: Any
    y: Array
    terms: tuple[Term, ...]
    inflation: tuple[Term, ...]
    levels: list[tuple[Factor, NDArray[np.int64]]]
    kept: NDArray[np.bool_]
    scale: Array

    @property
    def reported(self) -> NDArray[np.int64]:
        """Positions of regressors, alpha and inflation, in the order of the report."""
        M, K, P = len(self.inflation), len(self.terms), len(self.scale)
        alpha = [P - 1] if self.has_alpha else []
        return np.array([*range(M, M + K), *alpha, *range(M)], dtype=np.int64)

    @property
    def has_alpha(self) -> bool:
        """Whether the family has a dispersion parameter."""
        return FAMILIES[self.family].dispersion > 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the reported parameters."""
        alpha = ("alpha",) if self.has_alpha else ()
        inflate = tuple(f"inflate({term.name})" for term in self.inflation)
        return (*(term.name for term in self.terms), *alpha, *inflate)


def _lay_out(
    poisson: GravityResult, data: FlowData, model: Gravity, family: str, inflation: str
) -> _Problem:
    from statsmodels.discrete.count_model import ZeroInflatedNegativeBinomialP, ZeroInflatedPoisson
    from statsmodels.discrete.discrete_model import NegativeBinomialP

    sample = poisson.sample
    assert sample is not None
    rows, kind = sample.rows, FAMILIES[family]
    X = design(poisson.terms, data)[:, rows]
    factors = [data.factor(name) for name in model.effects]
    levels = [(f, np.unique(f.codes[rows])) for f in factors]
    count = sum(len(codes) for _, codes in levels)
    D = [(f.codes[rows] == code).astype(np.float64) for f, codes in levels for code in codes]
    dummies = np.array(D).reshape(count, len(rows))
    kept = ~redundant_columns(dummies, None) if count else np.zeros(0, dtype=np.bool_)
    inflate = expand(inflation, data.table) if kind.inflated else ()
    if kind.inflated and not inflate:
        raise SpecificationError("inflation= is empty; '1' is a constant probability.")
    Z = design(inflate, data)[:, rows]
    if len(Z) and redundant_columns(Z, None).any():
        raise IdentificationError(f"the regressors of inflation='{inflation}' are collinear.")
    columns = np.vstack([X, dummies[kept]])
    sizes = [np.sqrt((block**2).mean(axis=1)) for block in (Z, columns)]
    scale = np.concatenate([*sizes, np.ones(int(kind.dispersion > 0))])
    main, offset = (columns / sizes[1][:, None]).T, sample.offset
    y = data.y[rows]
    if not kind.inflated:
        engine = NegativeBinomialP(y, main, p=kind.dispersion, offset=offset)
    elif kind.dispersion:
        engine = ZeroInflatedNegativeBinomialP(
            y, main, exog_infl=(Z / sizes[0][:, None]).T, p=kind.dispersion, offset=offset
        )
    else:
        engine = ZeroInflatedPoisson(y, main, exog_infl=(Z / sizes[0][:, None]).T, offset=offset)
    return _Problem(family, engine, y, poisson.terms, inflate, levels, kept, scale)


def _start(problem: _Problem, poisson: GravityResult) -> Array:
    """Begin at the Poisson fit, its overdispersion by moments, and half of the zeros certain."""
    sample = poisson.sample
    assert sample is not None
    effects = poisson.fixed_effects()
    values = [effects[f.name].to_numpy() for f, _ in problem.levels]
    alpha, M = np.concatenate([np.zeros(0), *values]), len(problem.inflation)
    theta = np.zeros(len(problem.scale))
    K = len(problem.terms)
    theta[M : M + K] = poisson.estimate
    if len(alpha):
        theta[M + K : M + K + int(problem.kept.sum())] = _on_kept(problem, sample, alpha)
    if problem.has_alpha:
        mu, power = sample.mu, FAMILIES[problem.family].dispersion
        excess = float(((problem.y - mu) ** 2 - mu).sum() / (mu**power).sum())
        theta[-1] = max(excess, 0.05)
    if M:
        zero = 0.5 * float((problem.y == 0).mean())
        constant = [m for m, term in enumerate(problem.inflation) if not term.factors]
        theta[constant] = np.log(max(zero, 0.01) / (1 - zero))
    return theta * problem.scale


def _on_kept(problem: _Problem, sample: Sample, values: Array) -> Array:
    """Express the sum of fixed effects, over the rows, in the dummies that were kept."""
    rows, first = sample.rows, np.zeros(len(sample.rows))
    D, at = [], 0
    for factor, codes in problem.levels:
        place = np.searchsorted(codes, factor.codes[rows])
        first += values[at : at + len(codes)][place]
        D += [place == j for j in range(len(codes))]
        at += len(codes)
    kept = np.array(D, dtype=np.float64)[problem.kept]
    return np.asarray(np.linalg.lstsq(kept.T, first, rcond=None)[0])


def _maximize(problem: _Problem, theta: Array, max_iterations: int) -> tuple[Array, int, bool]:
    """Climb with statsmodels' BFGS, then by Newton steps until nothing is left to gain.

    Returns
    -------
    ndarray, int, bool
        The estimate, the number of Newton steps, and whether they converged.
    """
    engine = problem.engine
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # What its search complains of is judged by Newton's decrement below.
        warnings.simplefilter("ignore")
        found = engine.fit(
            start_params=theta, method="bfgs", maxiter=max_iterations, disp=0, skip_hessian=True
        )
        theta, value = np.asarray(found.params), float(engine.loglike(found.params))
        for step in range(1, 31):
            score = engine.score(theta)
            try:
                direction = np.linalg.solve(-_hessian(engine, theta), score)
            except np.linalg.LinAlgError:
                return theta, step, False
            gain = float(score @ direction)
            if 0 <= gain < _GAIN:
                return theta, step, True
            shift = _ascend(engine.loglike, theta, direction if gain > 0 else score, value)
            if shift is None:
                return theta, step, False
            theta, value = shift
    return theta, step, False


def _ascend(
    loglike: Callable[[Array], float], theta: Array, direction: Array, value: float
) -> tuple[Array, float] | None:
    """Halve a step until the likelihood rises."""
    for _ in range(40):
        new = float(loglike(theta + direction))
        if np.isfinite(new) and new >= value - 1e-12 * abs(value):
            return theta + direction, new
        direction = direction / 2
    return None


def _hessian(engine: Any, theta: Array) -> Array:
    """Differentiate the score.

    statsmodels has no analytic Hessian of every family, and that of the zero-inflated Poisson
    leaves out the block between the inflation and the mean.
    """
    P = len(theta)
    H = np.empty((P, P))
    for p in range(P):
        h = 6e-6 * max(abs(theta[p]), 0.1)
        step = np.zeros(P)
        step[p] = h
        H[p] = (engine.score(theta + step) - engine.score(theta - step)) / (2 * h)
    return 0.5 * (H + H.T)


def _refuse_boundary(problem: _Problem, theta: Array) -> None:
    """Refuse an estimate at the end of what its parameters may be."""
    if problem.has_alpha and not theta[-1] > 1e-6:
        raise EstimationError(
            "the flows vary no more than a Poisson's given the regressors, so alpha goes to zero "
            "and this family is not needed; use PPML, or 'zero_inflated_poisson'."
        )
    M = len(problem.inflation)
    if M:
        pi = problem.engine.model_infl.predict(theta[:M])
        if pi.max() < 1e-6:
            raise EstimationError(
                "there are no more zeros than the counts' own distribution has, so the "
                "probability of a certain zero goes to zero; leave the inflation out."
            )


def _report(
    problem: _Problem, poisson: GravityResult, theta: Array, convergence: Convergence
) -> CountResult:
    """Concentrate the dummies out, and put the estimate into a result."""
    engine, sample, scale = problem.engine, poisson.sample, problem.scale
    assert sample is not None
    hessian = _hessian(engine, theta) * np.outer(scale, scale)
    scores = np.asarray(engine.score_obs(theta)) * scale
    at = problem.reported
    rest = np.setdiff1d(np.arange(len(theta)), at)
    if len(rest):
        share = np.linalg.solve(hessian[np.ix_(rest, rest)], hessian[np.ix_(rest, at)])
        concentrated = hessian[np.ix_(at, at)] - hessian[np.ix_(at, rest)] @ share
        scores = scores[:, at] - scores[:, rest] @ share
    else:
        concentrated, scores = hessian[np.ix_(at, at)], scores[:, at]
    inverse_information(concentrated, problem.names)
    llf = float(engine.loglike(theta))
    offset = 0.0 if sample.offset is None else sample.offset
    mean = np.asarray(engine.predict(theta, offset=offset))
    zero = engine.predict(theta, offset=offset, which="prob", y_values=np.zeros(1))
    zeros = float(np.mean(zero))
    K = len(problem.names)
    return CountResult(
        names=problem.names,
        estimate=(theta / scale)[at],
        covariance=Covariance(np.zeros((K, K)), "none"),
        llf=llf,
        nobs=len(problem.y),
        formula=poisson.formula,
        depvar=poisson.depvar,
        hessian=concentrated,
        scores_product=scores.T @ scores,
        terms=problem.terms,
        effects=_label(problem, theta / scale),
        dropped=poisson.dropped,
        dropped_rows=poisson.dropped_rows,
        offset=poisson.offset,
        family=problem.family,
        inflation=problem.inflation,
        llnull=poisson.llnull,
        llpoisson=poisson.llf,
        zeros=(float((problem.y == 0).mean()), zeros),
        overdispersion=overdispersion(problem.family, llf, poisson.llf),
        convergence=convergence,
        sample=replace(sample, scores=np.ascontiguousarray(scores), mu=mean),
    )


def _label(problem: _Problem, theta: Array) -> tuple[EffectEstimate, ...]:
    """Return the fixed effects; the levels of redundant dummies are the reference, zero."""
    if not problem.levels:
        return ()
    begin = len(problem.inflation) + len(problem.terms)
    values = np.zeros(len(problem.kept))
    values[problem.kept] = theta[begin : begin + int(problem.kept.sum())]
    counts: Sequence[int] = [len(codes) for _, codes in problem.levels]
    pieces = np.split(values, np.cumsum(counts)[:-1])
    return tuple(
        EffectEstimate(factor.name, factor.levels, codes, piece)
        for (factor, codes), piece in zip(problem.levels, pieces, strict=True)
    )
