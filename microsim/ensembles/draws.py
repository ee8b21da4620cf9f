"""Fitted models whose parameters are drawn from the estimates' joint distribution."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from choicemodels.logit.likelihood import LogitParameters
from estimation import ChoiceResult

__all__ = ["ParameterDraws", "draw_parameters"]

Floats = NDArray[np.float64]
MOST_TRIES = 100


@dataclass(frozen=True)
class ParameterDraws:
    """Models with drawn parameters.

    Attributes
    ----------
    models : tuple of ChoiceResult
        One a draw: the fitted model with other parameters.
    outside : float
        Share of the vectors drawn that were no parameters of such a model (a dissimilarity that
        is not positive, a value beyond a bound) and were drawn again: what remains is the normal
        distribution truncated to what is possible.
    """

    models: tuple[ChoiceResult, ...]
    outside: float


def draw_parameters(result: ChoiceResult, draws: int, seed: int) -> ParameterDraws:
    """Draw parameters from the normal distribution of the estimates ([KrinskyRobb1986]_).

    ``theta_d = theta + L z_d`` with ``L L'`` the covariance that the result shows. Fixed
    parameters stay, and linear constraints hold in every draw. Constants that were absorbed or
    calibrated are no parameters, and stay as well.

    Parameters
    ----------
    result
    draws
        How many, at least 1.
    seed
        Draw d depends on the seed and d alone, so that more draws include those of fewer.

    Raises
    ------
    SpecificationError
        If ``draws`` is below 1, the covariance is not finite, or hardly any draw is possible.

    Notes
    -----
    Stream: "parameters", keyed by draw, parameter and attempt.
    """
    if draws < 1:
        raise SpecificationError(f"draws is {draws}; ask for at least 1.")
    root = _root(result.cov_params().to_numpy(dtype=np.float64))
    drawn = [_draw(result, root, d, Streams(seed)) for d in range(draws)]
    tried = sum(tries for _, tries in drawn)
    note = f"Parameters drawn from the joint normal distribution of the estimates, seed {seed}."
    models = tuple(
        replace(
            result,
            theta=theta,
            estimate=theta[result.estimated],
            notes=(*result.notes, note),
        )
        for theta, _ in drawn
    )
    return ParameterDraws(models, 1.0 - draws / tried)


def _draw(result: ChoiceResult, root: Floats, draw: int, streams: Streams) -> tuple[Floats, int]:
    """Return a possible vector of all parameters (P,), and how many it took to find one."""
    rows = np.arange(len(root), dtype=np.int64)
    for attempt in range(MOST_TRIES):
        z = streams.normal(f"parameters: {attempt}", rows, draw)
        theta = result.theta.copy()
        theta[result.estimated] += root @ z
        if _possible(result, theta):
            return theta, attempt + 1
    raise SpecificationError(
        f"of {MOST_TRIES} draws of the mobility model's parameters none was possible: the "
        "estimates are too uncertain for a normal distribution (a dissimilarity must be "
        "positive); fix the parameter, or fit on more data."
    )


def _possible(result: ChoiceResult, theta: Floats) -> bool:
    """Return whether the parameters lie in the model's domain and within its bounds."""
    place = {name: k for k, name in enumerate(result.parameters.names)}
    limits = {**result.model.domain, **result.model.bounds}
    within = all(
        (low is None or theta[place[name]] >= low) and (high is None or theta[place[name]] <= high)
        for name, (low, high) in limits.items()
        if name in place
    )
    layout = result.parameters
    return within and (not isinstance(layout, LogitParameters) or layout.allows(theta))


def _root(covariance: Floats) -> Floats:
    """Return L with ``L L'`` the covariance, (K, K), which constraints may make singular."""
    if not np.isfinite(covariance).all():
        raise SpecificationError(
            "the mobility model's covariance is not finite, so that no parameters can be drawn; "
            "choose another with result.with_cov(...)."
        )
    values, vectors = np.linalg.eigh(covariance)
    # The sign of an eigenvector is a convention: the largest entry is positive.
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(len(values))])
    root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
