"""Fit ordered logit and probit by maximum likelihood."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, NestflowWarning, enumerate_some
from choicemodels.ordered.likelihood import OrderedLikelihood, specify_ordered
from choicemodels.ordered.specification import OrderedChoice
from estimation.choice.covariance import make_covariance
from estimation.choice.ordered_result import OrderedResult
from estimation.choice.separation import runaway_step, separation_notes
from estimation.covariance import SmallSample, inverse_information
from estimation.newton import maximize

__all__ = ["fit_ordered"]

Array = NDArray[np.float64]


def fit_ordered(
    model: OrderedChoice,
    table: Any,
    *,
    cov: str = "robust",
    groups: Any = None,
    ssc: SmallSample = "none",
    max_iterations: int = 100,
    progress: Callable[[int, float], None] | None = None,
) -> OrderedResult:
    """Estimate an ordered logit or probit.

    Parameters
    ----------
    model
        The specification.
    table
        A pandas, polars, Arrow or DuckDB table, one row an observation.
    cov, groups, ssc
        The covariance to show first; see :meth:`OrderedResult.with_cov`.
    max_iterations
        Passes over the data before giving up.
    progress
        Called with the iteration number and the log-likelihood.

    Raises
    ------
    DataError, SpecificationError
        If the model does not fit the table.
    IdentificationError
        If columns are collinear or do not vary.
    EstimationError
        If the variables predict the outcome perfectly.

    Warns
    -----
    NestflowWarning
        If the search did not converge, or a coefficient runs to infinity.
    """
    likelihood, frame = specify_ordered(model, table)
    names, start = likelihood.parameters.names, likelihood.start
    first = likelihood.evaluate(start)
    inverse_information(first[2], names)
    optimum = maximize(
        likelihood.evaluate, start, first=first, max_iterations=max_iterations, progress=progress
    )
    at = likelihood.contributions(optimum.theta)
    _refuse_perfect(likelihood, at.llf)
    if not optimum.converged:
        warnings.warn(
            f"the search did not converge: {optimum.message}; the estimates are where it stopped "
            "(result.optimum.record shows how it went).",
            NestflowWarning,
            stacklevel=3,
        )
    cautions = _separation(likelihood, optimum.theta, -first[2])
    for caution in cautions:
        warnings.warn(caution, NestflowWarning, stacklevel=3)
    result = OrderedResult(
        names=names,
        estimate=optimum.theta,
        covariance=make_covariance(at.hessian, None, names, "hessian"),
        llf=at.llf,
        nobs=len(frame),
        model=model,
        parameters=likelihood.parameters,
        hessian=at.hessian,
        meat=at.score_obs.T @ at.score_obs,
        optimum=optimum,
        llnull=_llnull(likelihood),
        notes=(*cautions, *_weight_notes(likelihood)),
        data=frame,
        score_obs=at.score_obs,
        loglike_obs=at.loglike_obs,
    )
    return result if cov == "hessian" else result.with_cov(cov, groups=groups, ssc=ssc)


def _separation(likelihood: OrderedLikelihood, theta: Array, reference: Array) -> tuple[str, ...]:
    _, score, hessian = likelihood.evaluate(theta)
    step = runaway_step(
        lambda step: likelihood.evaluate(theta + step)[0],
        score,
        -hessian,
        reference,
        len(likelihood.level),
    )
    return separation_notes(step, reference, likelihood.parameters.names)


def _weight_notes(likelihood: OrderedLikelihood) -> tuple[str, ...]:
    if (likelihood.weights == 1.0).all():
        return ()
    return (
        "Rows are weighted; with sampling weights only robust and clustered standard errors hold.",
    )


def _llnull(likelihood: OrderedLikelihood) -> float:
    """Return the log-likelihood of thresholds alone, which fit the observed shares."""
    counts = np.bincount(likelihood.level, weights=likelihood.weights)
    return float((counts * np.log(counts / counts.sum())).sum())


def _refuse_perfect(likelihood: OrderedLikelihood, llf: float) -> None:
    if llf > -1e-7 * likelihood.weights.sum():
        terms = [term.name for term in likelihood.parameters.terms]
        raise EstimationError(
            "the variables predict every outcome perfectly, so the coefficients run to infinity; "
            f"look for a variable among {enumerate_some(terms, 12)} that marks the level."
        )
