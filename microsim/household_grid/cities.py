"""Where there are places to live: cities on a periodic grid."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import zeta

from choicemodels.apportion import apportion
from choicemodels.keyed_random import Streams
from microsim.household_grid.parameters import GridParameters

__all__ = ["city_sizes", "draw_places"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Sizes beyond this have a probability that double precision cannot tell from none.
_LARGEST_TABULATED = 1_000_000


def city_sizes(u: Floats, exponent: float) -> Ints:
    """Return whole sizes k = 1, 2 ... with probability ``k**-exponent / zeta(exponent)``.

    Parameters
    ----------
    u : (K,)
        Uniforms in (0, 1).
    exponent
        Above 1.

    Returns
    -------
    (K,) int64
        By inversion; the rare sizes beyond a million are the continuous law's.
    """
    k = np.arange(1, _LARGEST_TABULATED + 1, dtype=np.float64)
    reached = np.cumsum(k**-exponent) / zeta(exponent)
    sizes = np.searchsorted(reached, u) + 1
    beyond = sizes > _LARGEST_TABULATED
    left = (1.0 - u[beyond]) / (1.0 - reached[-1]) if beyond.any() else np.empty(0)
    tail = _LARGEST_TABULATED * left ** (-1.0 / (exponent - 1.0))
    sizes[beyond] = np.ceil(np.minimum(tail, 2.0**62))
    return np.asarray(sizes, dtype=np.int64)


def draw_places(parameters: GridParameters, streams: Streams) -> Ints:
    """Return the places of every cell, which add up to the households over the occupancy.

    A city of size k at a random cell spreads k over the cells as a normal density with variance
    ``width_scale * (log k + width_offset)``, scaled to its size; without a variance, all of it lies
    in one cell.

    Parameters
    ----------
    parameters
    streams
        Draws "city x", "city y" and "city size" by city.

    Returns
    -------
    (side * side,) int64
        By cell ``x * side + y``.
    """
    p = parameters
    number = 2 * p.side if p.city_rule == "2g" else max(p.side**2 // 10, 1)
    ids = np.arange(number, dtype=np.int64)
    x = np.floor(p.side * streams.uniform("city x", ids))
    y = np.floor(p.side * streams.uniform("city y", ids))
    k = city_sizes(streams.uniform("city size", ids), p.city_exponent).astype(np.float64)
    variance = p.width_scale * (np.log(k) + p.width_offset)
    east = _density(x, variance, p.side, p.periodic_cities)
    north = _density(y, variance, p.side, p.periodic_cities)
    size = np.einsum("k,kx,ky->xy", k, east, north).ravel()
    size += p.rural_share * size.sum() / p.side**2
    total = round(p.households / p.occupancy)
    spread = total - p.least_places * p.side**2
    exact = p.least_places + spread * size / size.sum()
    return apportion(exact, total)


def _density(centre: Floats, variance: Floats, side: int, periodic: bool) -> Floats:
    """Return how a city spreads along one axis, (K, side)."""
    from scipy.stats import norm

    away = np.abs(np.arange(side) - centre[:, None])
    narrow = variance == 0
    sigma = np.sqrt(np.where(narrow, 1.0, variance))[:, None]
    if not periodic:
        out: Floats = norm.pdf(away, scale=sigma)
    else:
        turns = int(np.ceil(8 * sigma.max() / side)) + 1
        images = [norm.pdf(away + side * turn, scale=sigma) for turn in range(-turns, turns + 1)]
        out = np.sum(images, axis=0)
        out /= out.sum(axis=1, keepdims=True)
    out[narrow] = away[narrow] == 0
    return out
