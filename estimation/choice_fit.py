"""Fit (nested) logit models by maximum likelihood."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.choicedata import ChoiceData
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    NestflowWarning,
    enumerate_some,
)
from choicemodels.likelihood import ChoiceLikelihood, Parameters, specify
from choicemodels.models import ChoiceModel
from choicemodels.tree import build_tree
from estimation.choice_result import ChoiceResult, LoglikeBaselines, make_covariance
from estimation.constants import constants_only
from estimation.covariance import SmallSample, inverse_information
from estimation.newton import Optimum, maximize

__all__ = ["fit_choice"]

Array = NDArray[np.float64]

# Above this many cases the starting values of a nested logit come from a sample of them.
_START_CASES = 2_000


def fit_choice(
    model: ChoiceModel,
    data: ChoiceData,
    *,
    cov: str = "robust",
    groups: Any = None,
    ssc: SmallSample = "none",
    start: Any = None,
    max_iterations: int = 100,
    progress: Callable[[int, float], None] | None = None,
) -> ChoiceResult:
    """Estimate a multinomial or nested logit.

    Parameters
    ----------
    model
        The specification.
    data
        Cases with known choices.
    cov, groups, ssc
        The covariance to show first; see :meth:`ChoiceResult.with_cov`.
    start
        Starting values, shape (P,) or a Series by parameter name. Default: zero, and for a
        nested logit the multinomial logit with every lambda at 1.
    max_iterations
        Passes over the data before giving up.
    progress
        Called with the iteration number and the log-likelihood.

    Raises
    ------
    DataError
        If the data have problems or a case has no known choice.
    IdentificationError
        If columns are collinear, or an alternative with a constant is never chosen.
    EstimationError
        If the choices are predicted perfectly.

    Warns
    -----
    NestflowWarning
        If the search did not converge, or a dissimilarity is above its parent's.
    """
    _refuse_unusable(data)
    likelihood = specify(model, data)
    parameters = likelihood.parameters
    _refuse_never_chosen(parameters, data)
    theta = _start(likelihood, start)
    first = likelihood.evaluate(theta)
    _refuse_collinear(likelihood, theta, first[2])
    optimum = maximize(
        likelihood.evaluate, theta, first=first, max_iterations=max_iterations, progress=progress
    )
    at = likelihood.contributions(optimum.theta)
    _refuse_perfect(at.llf, data, parameters)
    result = ChoiceResult(
        names=parameters.names,
        estimate=optimum.theta,
        covariance=make_covariance(at.hessian, at.score_obs, parameters.names, "hessian"),
        llf=at.llf,
        nobs=data.n_cases,
        model=model,
        parameters=parameters,
        hessian=at.hessian,
        meat=at.score_obs.T @ at.score_obs,
        optimum=optimum,
        baselines=_baselines(data),
        notes=(*parameters.notes, *_weight_notes(data)),
        data=data,
        score_obs=at.score_obs,
        loglike_obs=at.loglike_obs,
    )
    _warn(result, optimum)
    return result if cov == "hessian" else result.with_cov(cov, groups=groups, ssc=ssc)


def _refuse_unusable(data: ChoiceData) -> None:
    errors = [str(p) for p in data.problems if p.severity == "error"]
    if errors:
        raise DataError(" ".join(errors))
    if not data.has_choices:
        cases = data.case_ids[data.chosen < 0]
        raise DataError(
            f"{len(cases):,} cases have no known choice (first: {enumerate_some(cases.tolist())}); "
            "name the column with chosen=, or drop them."
        )


def _refuse_never_chosen(parameters: Parameters, data: ChoiceData) -> None:
    """Refuse a constant for an alternative that nobody chose: its estimate is minus infinity."""
    J = len(data.alternatives)
    taken = np.bincount(data.alternative[data.chosen], weights=data.weights, minlength=J)
    never = {name for name, count in zip(data.alternatives, taken, strict=True) if count == 0}
    constants = [t.alternatives[0] for t in parameters.terms if not t.factors and t.alternatives]
    lost = [name for name in constants if name in never]
    if lost:
        raise IdentificationError(
            f"nobody chose {enumerate_some([repr(name) for name in lost])}, so the constant of it "
            "runs to minus infinity; leave the alternative out of the choice sets, merge it with "
            "another, or drop the constants with '| 0'."
        )


def _refuse_collinear(likelihood: ChoiceLikelihood, theta: Array, hessian: Array) -> None:
    """Name columns that no choice set tells apart, before the search runs along them.

    The Hessian in beta of the multinomial logit is singular, at any point, exactly if some
    combination of columns is constant within all choice sets; and with every lambda at 1 it is
    the nested logit's.
    """
    parameters = likelihood.parameters
    K = len(parameters.terms)
    if not (parameters.lambdas(theta) == 1.0).all():
        _, _, hessian = _plain(likelihood).evaluate(theta[:K])
    inverse_information(hessian[:K, :K], parameters.names[:K])


def _plain(likelihood: ChoiceLikelihood) -> ChoiceLikelihood:
    """Take the nests away: the multinomial logit over the same design."""
    p = likelihood.parameters
    K = len(p.terms)
    flat = Parameters(
        p.terms,
        build_tree({}, p.tree.alternatives),
        True,
        np.full(1, -1, dtype=np.int64),
        np.ones(1),
        p.names[:K],
    )
    return replace(likelihood, parameters=flat)


def _start(likelihood: ChoiceLikelihood, start: Any) -> Array:
    parameters = likelihood.parameters
    names = parameters.names
    if start is not None:
        values = start.reindex(names) if hasattr(start, "reindex") else start
        theta = np.array(values, dtype=np.float64)
        if theta.shape != (len(names),) or not np.isfinite(theta).all():
            raise EstimationError(
                f"start must give a finite value for each of the {len(names)} parameters: "
                f"{', '.join(names)}."
            )
        return theta
    # The multinomial logit on a sample is cheap, close enough, and has a single maximum.
    theta = parameters.start
    step = len(likelihood.chosen) // _START_CASES
    if len(parameters.tree.nests) == 0 and step < 2:
        return theta
    flat = _plain(likelihood if step < 2 else likelihood.subset(step))
    found = maximize(flat.evaluate, flat.parameters.start, max_iterations=20)
    if found.converged:
        theta[: len(found.theta)] = found.theta
    return theta


def _weight_notes(data: ChoiceData) -> tuple[str, ...]:
    if (data.weights == 1.0).all():
        return ()
    return (
        "Cases are weighted; with sampling weights only robust and clustered standard errors hold.",
    )


def _baselines(data: ChoiceData) -> LoglikeBaselines:
    equal_shares = float(-(data.weights * np.log(data.set_sizes)).sum())
    return LoglikeBaselines(equal_shares, constants_only(data))


def _refuse_perfect(llf: float, data: ChoiceData, parameters: Parameters) -> None:
    informative = float(data.weights[data.set_sizes > 1].sum())
    if informative > 0 and llf > -1e-7 * informative:
        raise EstimationError(
            "the variables predict every choice perfectly, so the coefficients run to infinity; "
            f"look for a variable among {enumerate_some(parameters.names, 12)} that marks the "
            "chosen alternative."
        )


def _warn(result: ChoiceResult, optimum: Optimum) -> None:
    if not optimum.converged:
        warnings.warn(
            f"the search did not converge: {optimum.message}; the estimates are where it stopped "
            "(result.optimum.record shows how it went).",
            NestflowWarning,
            stacklevel=4,
        )
    above = result.inconsistent_nests()
    if above:
        warnings.warn(
            f"the dissimilarity of {enumerate_some(above)} lies above that of its parent: the "
            "estimate is reported as it is, but it is not consistent with random utility "
            "maximization for all values of the variables.",
            NestflowWarning,
            stacklevel=4,
        )
