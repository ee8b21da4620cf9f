"""Distributions of coefficients that vary in the population: names, draws and moments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DISTRIBUTIONS",
    "FIXED",
    "Distribution",
    "Moments",
    "moments",
    "standardize",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """One way for a coefficient to vary.

    Attributes
    ----------
    name : str
    base : {"normal", "uniform", "triangular", "none"}
        Distribution of the standard draws: standard normal, or on (-1, 1); none for a coefficient
        that does not vary.
    transform : {"identity", "exponential", "truncated"}
        From ``location + spread * draw`` to the coefficient.
    sign : float
        Minus one if the coefficient is minus what is transformed.
    free_spread : bool
        Whether the spread is a parameter; else it equals the location.
    """

    name: str
    base: Literal["normal", "uniform", "triangular", "none"] = "normal"
    transform: Literal["identity", "exponential", "truncated"] = "identity"
    sign: float = 1.0
    free_spread: bool = True

    @property
    def correlates(self) -> bool:
        """Whether a Cholesky factor can mix its draws with others."""
        return self.base == "normal" and self.transform != "truncated"


FIXED = Distribution("fixed", "none", free_spread=False)

DISTRIBUTIONS: Mapping[str, Distribution] = {
    distribution.name: distribution
    for distribution in (
        Distribution("normal"),
        Distribution("lognormal", transform="exponential"),
        Distribution("-lognormal", transform="exponential", sign=-1.0),
        Distribution("truncated", transform="truncated"),
        Distribution("-truncated", transform="truncated", sign=-1.0),
        Distribution("uniform", "uniform"),
        Distribution("triangular", "triangular"),
        Distribution("zbt", "triangular", free_spread=False),
    )
}


def standardize(distribution: Distribution, u: Array) -> Array:
    """Turn uniform draws on (0, 1) into the standard draws of a distribution, of the same shape.

    Those of a truncated normal stay uniform, mirrored; those of the zero-bounded triangular are
    shifted by one, because they multiply the location alone.
    """
    from scipy.special import ndtri

    if distribution.transform == "truncated":
        return np.asarray(1.0 - u)
    if distribution.base == "normal":
        return np.asarray(ndtri(u))
    if distribution.base == "uniform":
        return np.asarray(2.0 * u - 1.0)
    triangular = np.where(u < 0.5, np.sqrt(2.0 * u) - 1.0, 1.0 - np.sqrt(2.0 * (1.0 - u)))
    return triangular if distribution.free_spread else 1.0 + triangular


@dataclass(frozen=True)
class Moments:
    """What a distribution implies for the coefficient.

    Attributes
    ----------
    mean, median, sd : float
    share_positive : float
        Part of the population whose coefficient is above zero.
    """

    mean: float
    median: float
    sd: float
    share_positive: float


def moments(distribution: Distribution, location: float, spread: float) -> Moments:
    """Return the moments of a coefficient.

    Parameters
    ----------
    distribution
        How it varies.
    location
        Mean of the normal, logarithm of the median of a lognormal, centre of the others.
    spread
        Standard deviation of the normal (for a lognormal of the logarithm), half the width of the
        others; of no matter where it is no parameter.
    """
    spread = abs(spread)
    if distribution.base != "normal":
        return _moments_of_bounded(distribution, location, spread)
    if distribution.transform == "exponential":
        mean = float(np.exp(location + 0.5 * spread**2))
        positive = Moments(
            mean, float(np.exp(location)), mean * float(np.sqrt(np.expm1(spread**2))), 1.0
        )
    elif distribution.transform == "identity":
        return Moments(location, location, spread, _above_zero(location, spread))
    else:
        positive = _moments_above_zero(location, spread)
    if distribution.sign > 0:
        return positive
    return Moments(-positive.mean, -positive.median, positive.sd, 0.0)


def _above_zero(location: float, spread: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(location / spread)) if spread > 0 else float(location > 0)


def _moments_above_zero(location: float, spread: float) -> Moments:
    """Return the moments of a normal given that it is positive.

    With ``m = location / spread``, the first two are ``mu + sigma h`` and
    ``mu^2 + sigma^2 + mu sigma h``, ``h = phi(m) / Phi(m)`` [JohnsonKotzBalakrishnan1994]_.
    """
    from scipy.special import log_ndtr, ndtr, ndtri

    m = location / spread
    hazard = float(np.exp(-0.5 * m * m - log_ndtr(m)) / np.sqrt(2 * np.pi))
    mean = location + spread * hazard
    second = location**2 + spread**2 + location * spread * hazard
    median = location - spread * float(ndtri(0.5 * ndtr(m)))
    return Moments(mean, median, float(np.sqrt(second - mean**2)), 1.0)


def _moments_of_bounded(distribution: Distribution, location: float, spread: float) -> Moments:
    if distribution.base == "none":
        return Moments(location, location, 0.0, float(location > 0))
    half = spread if distribution.free_spread else abs(location)
    reach = np.clip(location / half, -1.0, 1.0) if half > 0 else float(np.sign(location))
    if distribution.base == "uniform":
        share, sd = 0.5 * (1.0 + reach), half / np.sqrt(3.0)
    else:
        tail = 0.5 * (1.0 - abs(reach)) ** 2
        share, sd = (tail if reach < 0 else 1.0 - tail), half / np.sqrt(6.0)
    return Moments(location, location, float(sd), float(share))
