"""Fit choice models by maximum likelihood."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.partitioned import AnyChoiceData, PartitionedChoiceData
from choicemodels.choices.weighting import less_stratum_means
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    NestflowWarning,
    SpecificationError,
    enumerate_some,
)
from choicemodels.logit.absorbed import AbsorbedLikelihood, AbsorbedParameters
from choicemodels.logit.comparisons import refuse_unidentified
from choicemodels.logit.likelihood import Layout, Likelihood
from choicemodels.logit.models import LogitUtility
from choicemodels.logit.sampled_nested_likelihood import SampledNestedLikelihood
from choicemodels.restrictions import Restrictions, restrict
from choicemodels.specify import specify
from estimation.choice.absorbed_constants import AbsorbedConstants
from estimation.choice.checkpoint import Checkpoint
from estimation.choice.constants import constants_only
from estimation.choice.covariance import make_covariance
from estimation.choice.distributed import DaskEngine
from estimation.choice.estimate import LoglikeBaselines
from estimation.choice.identification import without_rounding
from estimation.choice.result import ChoiceResult
from estimation.choice.sampled_fit import settle
from estimation.choice.separation import runaway_step, separation_notes
from estimation.choice.starting import plain_logit, starting_values
from estimation.covariance import SmallSample, inverse_information
from estimation.newton import Optimum, SearchState, maximize

__all__ = ["fit_choice", "refuse_never_chosen", "restrictions_of"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# A log weight of which the data say less than this could be a thousand more, or less.
_NO_INFORMATION = 1e-6


def fit_choice(
    model: LogitUtility,
    data: AnyChoiceData,
    *,
    cov: str = "robust",
    groups: Any = None,
    ssc: SmallSample = "none",
    start: Any = None,
    max_iterations: int = 100,
    progress: Callable[[int, float], None] | None = None,
    checkpoint: str | Path | None = None,
    engine: Any = None,
) -> ChoiceResult:
    """Estimate a choice model.

    Parameters
    ----------
    model
        The specification.
    data
        Cases with known choices.
    cov, groups, ssc
        The covariance to show first; see :meth:`ChoiceResult.with_cov`.
    start
        Starting values: a Series or mapping by parameter name (the others start as they would
        without), or an array of all P; or, of latent classes,
        :class:`~estimation.choice.latent_class_fit.RandomStarts`. Default: see
        :func:`estimation.choice.starting.starting_values`.
    max_iterations
        Passes over the data before giving up.
    progress
        Called with the iteration number and the log-likelihood.
    checkpoint
        File that holds the state of the search before every step. If it exists the search goes
        on from there, to the same answer.
    engine
        A ``dask.distributed`` client, whose workers keep the files of partitioned data and share
        the work.

    Raises
    ------
    DataError
        If the data have problems, a case has no known choice, or the checkpoint is of another
        problem.
    IdentificationError
        If columns are collinear, or an alternative with a constant is never chosen.
    EstimationError
        If the choices are predicted perfectly.
    SpecificationError
        If model, data and constraints do not fit together.

    Warns
    -----
    NestflowWarning
        If the search did not converge, a parameter lies on its bound, a quantity of the size
        adds nothing to it, a coefficient runs to infinity, or the estimate is not consistent with
        utility maximization.
    """
    _refuse_unusable(data)
    likelihood = specify(model, data, engine=_engine(data, engine))
    parameters = likelihood.parameters
    refuse_never_chosen(parameters, data)
    restrictions = restrictions_of(model, parameters)
    if restrictions.basis.shape[1] == 0:
        raise SpecificationError(
            "the constraints fix every parameter, so there is nothing to estimate; leave one free."
        )
    theta = starting_values(likelihood, start, restrictions)
    first = likelihood.evaluate(restrictions.full(restrictions.reduce(theta)))
    curvature = _refuse_collinear(likelihood, restrictions, first[2])
    optimum = _search(
        likelihood,
        restrictions,
        theta,
        first,
        checkpoint,
        max_iterations=max_iterations,
        progress=progress,
    )
    if isinstance(likelihood, SampledNestedLikelihood):
        assert isinstance(data, ChoiceData)
        options: dict[str, Any] = {"max_iterations": max_iterations, "progress": progress}
        likelihood, optimum = settle(likelihood, restrictions, optimum, **options)
        data = replace(data, sample=likelihood.sample)
    result, cautions = _result(model, data, likelihood, restrictions, optimum, curvature)
    _warn(result, cautions)
    if cov == "hessian" and not result.choice_based:
        return result
    return result.with_cov(cov, groups=groups, ssc=ssc)


def _engine(data: AnyChoiceData, client: Any) -> DaskEngine | None:
    if client is None:
        return None
    if not isinstance(data, PartitionedChoiceData):
        raise SpecificationError(
            f"engine= shares out the files of PartitionedChoiceData, and the data are a "
            f"{type(data).__name__}; write them to Parquet files and open these, or leave engine= "
            "out."
        )
    return DaskEngine(client)


def _search(
    likelihood: Likelihood,
    restrictions: Restrictions,
    theta: Array,
    first: tuple[float, Array, Array],
    checkpoint: str | Path | None,
    **options: Any,
) -> Optimum:
    """Maximize over the free parameters, from the checkpoint if there is one."""
    objective = restrict(likelihood.evaluate, restrictions)
    B = restrictions.basis
    reduced = (first[0], B.T @ first[1], B.T @ first[2] @ B)
    options |= {"lower": restrictions.lower, "upper": restrictions.upper}
    begin: Array | SearchState = restrictions.reduce(theta)
    if checkpoint is None:
        return maximize(objective, begin, first=reduced, **options)
    names = [likelihood.parameters.names[k] for k in restrictions.free]
    file = Checkpoint.open(checkpoint, names, reduced[:2])
    state = file.read()
    if state is None:
        return maximize(objective, begin, first=reduced, keep=file.write, **options)
    return maximize(objective, state, keep=file.write, **options)


def _result(
    model: LogitUtility,
    data: AnyChoiceData,
    likelihood: Likelihood,
    restrictions: Restrictions,
    optimum: Optimum,
    curvature: Array,
) -> tuple[ChoiceResult, tuple[str, ...]]:
    """Take everything that a result keeps at the optimum, and what to warn of beside it."""
    theta = restrictions.full(optimum.theta)
    kept, on_bound = restrictions.pinned(optimum.theta)
    whole = (theta, kept)
    parameters, found = likelihood.parameters, None
    choice_based = data.population_shares is not None
    if isinstance(likelihood, AbsorbedLikelihood):
        found = likelihood.concentrate(theta, stratified=choice_based)
        kept = kept.shortened(len(theta) - len(found.theta))
        parameters, theta, at = found.parameters, found.theta, found.contributions
        score, hessian = likelihood.evaluate(whole[0])[1:]
    else:
        at = likelihood.contributions(theta)
        score, hessian = at.score, at.hessian
        if choice_based and at.unit is None:
            scores = less_stratum_means(at.score_obs, data.chosen_alternative)
            at = replace(at, score_obs=scores)
    _refuse_perfect(at.llf, data, parameters)
    B, estimated = kept.basis, kept.estimated
    free = [parameters.names[k] for k in kept.free]
    covariance = make_covariance(B.T @ at.hessian @ B, None, free, "hessian")
    meat = at.score_obs.T @ at.score_obs
    if parameters.utility.scale and not choice_based:
        # A scale may be undone by the coefficients along a curve. The Hessian shows that at the
        # very maximum alone, the scores of the cases show it anywhere.
        inverse_information(-B.T @ meat @ B, free)
    cautions = (
        *_bound_notes(parameters, theta, on_bound),
        *_size_notes(parameters, theta, at.hessian, estimated),
        *_separation_notes(likelihood, *whole, score, hessian, curvature, data.n_cases),
    )
    plain = ChoiceResult(
        names=tuple(name for name, kept in zip(parameters.names, estimated, strict=True) if kept),
        estimate=theta[estimated],
        covariance=covariance,
        llf=at.llf,
        nobs=data.n_cases,
        model=model,
        parameters=parameters,
        theta=theta,
        basis=B,
        hessian=at.hessian,
        meat=meat,
        optimum=optimum,
        baselines=_baselines(data),
        notes=(
            *parameters.notes,
            *(f"Constraint: {line}." for line in model.constraints),
            *cautions,
            *_weight_notes(data),
            *_sample_notes(data),
        ),
        data=data,
        score_obs=at.score_obs,
        loglike_obs=at.loglike_obs,
        unit=at.unit,
        choice_based=choice_based,
        absorbed=AbsorbedConstants.of(found, B, covariance.matrix) if found else None,
    )
    return plain.with_covariance(covariance), cautions


def restrictions_of(model: LogitUtility, parameters: Layout) -> Restrictions:
    """Return the restrictions on everything that is searched for.

    Raises
    ------
    SpecificationError
        If they do not fit the parameters; absorbed constants are none, and go unrestricted.
    """
    own = parameters.names
    if isinstance(parameters, AbsorbedParameters):
        own = parameters.inner.names
    lines = tuple(model.constraints)
    restrictions = Restrictions.build(own, lines, model.bounds, model.domain)
    return restrictions.extended(len(parameters.names) - len(own))


def _bound_notes(parameters: Layout, theta: Array, on_bound: Ints) -> tuple[str, ...]:
    return tuple(
        f"{parameters.names[k]} lies on its bound {theta[k]:g} and is held there: the standard "
        "errors of the others take it as given."
        for k in on_bound
    )


def _size_notes(
    parameters: Layout, theta: Array, hessian: Array, estimated: NDArray[np.bool_]
) -> tuple[str, ...]:
    """Name the weights of quantities that the search sent to infinity."""
    names = {f"size:{term.name}" for term in parameters.utility.size}
    return tuple(
        f"{name} ({theta[k]:.1f}) is not identified: it runs to infinity, because one of the "
        "quantities adds nothing to the size; leave that quantity out."
        for k, name in enumerate(parameters.names)
        if name in names and estimated[k] and -hessian[k, k] < _NO_INFORMATION
    )


def _separation_notes(
    likelihood: Likelihood,
    theta: Array,
    kept: Restrictions,
    score: Array,
    hessian: Array,
    curvature: Array,
    n_cases: int,
) -> tuple[str, ...]:
    """Name coefficients of the utility that run to infinity; ``curvature`` is theirs at first."""
    names = likelihood.parameters.names
    P, K = len(names), len(likelihood.parameters.utility.linear)
    constants = np.arange(P - (len(curvature) - K), P)
    free = np.isin(kept.free, np.r_[:K, constants])
    B = kept.basis[:, free]
    rows = B[np.r_[:K, constants]]
    reference = -rows.T @ curvature @ rows

    def value(step: Array) -> float:
        return likelihood.evaluate(theta + B @ step)[0]

    information = -B.T @ hessian @ B
    step = runaway_step(value, B.T @ score, information, reference, n_cases)
    return separation_notes(step, reference, [names[k] for k in kept.free[free]])


def _refuse_unusable(data: AnyChoiceData) -> None:
    errors = [str(p) for p in data.problems if p.severity == "error"]
    if errors:
        raise DataError(" ".join(errors))
    if not data.has_choices:
        cases = data.case_ids[data.chosen_alternative < 0]
        raise DataError(
            f"{len(cases):,} cases have no known choice (first: {enumerate_some(cases.tolist())}); "
            "name the column with chosen=, or drop them."
        )


def refuse_never_chosen(
    parameters: Layout, data: AnyChoiceData, weights: Array | None = None
) -> None:
    """Refuse a constant for an alternative that nobody chose: its estimate is minus infinity."""
    if isinstance(parameters, AbsorbedParameters):
        refuse_unidentified(data)
    J = len(data.alternatives)
    taken = np.bincount(
        data.chosen_alternative, weights=data.weights if weights is None else weights, minlength=J
    )
    never = {name for name, count in zip(data.alternatives, taken, strict=True) if count == 0}
    constants = [
        t.alternatives[0] for t in parameters.utility.linear if not t.factors and t.alternatives
    ]
    lost = [name for name in constants if name in never]
    if lost:
        raise IdentificationError(
            f"nobody chose {enumerate_some([repr(name) for name in lost])}, so the constant of it "
            "runs to minus infinity; leave the alternative out of the choice sets, merge it with "
            "another, or drop the constants with '| 0'."
        )


def _refuse_collinear(likelihood: Likelihood, restrictions: Restrictions, hessian: Array) -> Array:
    """Name columns that no choice set tells apart, before the search runs along them.

    Returns the curvature of the K columns (and of absorbed constants), shape (K + D, K + D).

    The Hessian in beta of the multinomial logit is singular, at any point, exactly if some
    combination of columns is constant within all choice sets.
    """
    parameters = likelihood.parameters
    K, P = len(parameters.utility.linear), len(parameters.names)
    D, start = 0, np.array(parameters.utility.start)
    plain: Any
    if isinstance(likelihood, AbsorbedLikelihood):
        # Absorbed constants are columns too, the last ones with and without nests.
        D = len(parameters.alternatives) - 1
        flat = likelihood.multinomial()
        _, _, hessian = flat.evaluate(flat.parameters.start_from(start))
        plain = flat.plain
    else:
        plain = plain_logit(likelihood)
        if P > K:
            _, _, hessian = plain.evaluate(start)
    free = (restrictions.free < K) | (restrictions.free >= P - D)
    last = len(hessian)
    columns, rows = np.r_[:K, last - D : last], np.r_[:K, P - D : P]
    B = restrictions.basis[np.ix_(rows, np.flatnonzero(free))]
    names = [parameters.names[k] for k in restrictions.free[free]]
    squares = np.append(plain.column_squares(start)[:K], np.zeros(D))
    curvature = without_rounding(hessian[np.ix_(columns, columns)], squares)
    if (restrictions.free < K).any():
        inverse_information(B.T @ curvature @ B, names)
    return curvature


def _weight_notes(data: AnyChoiceData) -> tuple[str, ...]:
    if data.population_shares is not None:
        shares = (f"{name} {share:.4g}" for name, share in data.population_shares.items())
        return (
            "The sample was drawn by choices and is weighted to the population's shares (WESML): "
            f"{enumerate_some(list(shares), 12)}. The log-likelihood is a weighted one: likelihood "
            "ratios, AIC and BIC do not have their usual meaning.",
        )
    if (data.weights == 1.0).all():
        return ()
    return (
        "Cases are weighted; with sampling weights only robust and clustered standard errors hold.",
    )


def _sample_notes(data: AnyChoiceData) -> tuple[str, ...]:
    return (data.sample.note,) if isinstance(data, ChoiceData) and data.sample else ()


def _baselines(data: AnyChoiceData) -> LoglikeBaselines:
    equal_shares = float(-(data.weights * np.log(data.set_sizes)).sum())
    if _sample_notes(data):
        return LoglikeBaselines(equal_shares, None)
    return LoglikeBaselines(equal_shares, constants_only(data))


def _refuse_perfect(llf: float, data: AnyChoiceData, parameters: Layout) -> None:
    informative = float(data.weights[data.set_sizes > 1].sum())
    if informative > 0 and llf > -1e-7 * informative:
        raise EstimationError(
            "the variables predict every choice perfectly, so the coefficients run to infinity; "
            f"look for a variable among {enumerate_some(parameters.names, 12)} that marks the "
            "chosen alternative."
        )


def _warn(result: ChoiceResult, cautions: tuple[str, ...]) -> None:
    if not result.converged:
        warnings.warn(
            f"the search did not converge: {result.optimum.message}; the estimates are where it "
            "stopped (result.optimum.record shows how it went).",
            NestflowWarning,
            stacklevel=4,
        )
    for caution in (*cautions, *result.parameters.cautions(result.theta)):
        warnings.warn(caution, NestflowWarning, stacklevel=4)
