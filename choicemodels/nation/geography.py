"""Where the areas of a generated nation lie: a box cut into states, counties, tracts, blocks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.apportion import apportion
from choicemodels.errors import SpecificationError
from choicemodels.flows.geography import EARTH_RADIUS
from choicemodels.keyed_random import Streams
from choicemodels.nation.cutting import cut
from choicemodels.nation.parameters import MOST_COUNTIES, NationParameters, NationSize

__all__ = ["Places", "lay_out"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_MIDDLE = (-97.5, 38.0)
# Sine of the northernmost latitude.
_NORTH = 0.95
# Of a county, on average; larger ones are less steep, or their cores get too dense.
_TRACTS = 23.0


@dataclass(frozen=True, eq=False)
class Places:
    """Block groups as rectangles of longitude and latitude.

    Attributes
    ----------
    state, county, tract : ndarray of int64, shape (N,)
        Which each block group lies in, numbered through the nation; they rise.
    geoids : ndarray of str, shape (N,)
        Of 12 digits, rising.
    bounds : ndarray, shape (N, 4)
        West, south, east and north, in degrees.
    square_km : ndarray, shape (N,)
    centrality : ndarray, shape (N,)
        1 in the tract amid the county, 0 at its edge.
    """

    state: Ints
    county: Ints
    tract: Ints
    geoids: NDArray[np.str_]
    bounds: Array
    square_km: Array
    centrality: Array


def lay_out(size: NationSize, parameters: NationParameters, streams: Streams) -> Places:
    """Share tracts among counties, and cut the box into areas that nest.

    Counties differ in people as the lognormal law has it; a county's tracts are small amid it
    and grow towards its edge, so that it has a dense core.
    """
    state_of_county, tracts = _share_out(size, parameters, streams)
    extra = size.block_groups - size.tracts
    uneven = 0.2 + 1.6 * streams.uniform("block groups of tract", np.arange(size.tracts))
    block_groups = 1 + apportion(uneven, extra)
    county_of_tract = np.repeat(np.arange(size.counties), tracts)
    tract = np.repeat(np.arange(size.tracts), block_groups)
    county = county_of_tract[tract]
    state = state_of_county[county]
    rank = _rank(county_of_tract)
    edge = np.abs((2 * rank + 1) / tracts[county_of_tract] - 1)
    boxes = _cut_all(
        parameters, streams, size, state_of_county, tracts, county_of_tract, tract, edge
    )
    bounds, area = _on_the_globe(boxes)
    codes = (
        (state + 1) * 10**10
        + (_rank(state_of_county)[county] + 1) * 10**7
        + (rank[tract] + 1) * 10
        + _rank(tract)
        + 1
    )
    geoids = np.char.zfill(codes.astype(str), 12)
    return Places(state, county, tract, geoids, bounds, area, 1 - edge[tract])


def _share_out(
    size: NationSize, parameters: NationParameters, streams: Streams
) -> tuple[Ints, Ints]:
    """Return the state of each county and its number of tracts."""
    states = np.arange(size.states)
    weight = np.exp(0.7 * streams.normal("counties of state", states))
    weight = np.minimum(weight, 3 * weight.mean())
    counties = 1 + apportion(weight, size.counties - size.states)
    while counties.max() > MOST_COUNTIES:
        weight = np.minimum(weight, 0.9 * weight.max())
        counties = 1 + apportion(weight, size.counties - size.states)
    state_of_county = np.repeat(states, counties)
    z = streams.normal("people of county", np.arange(size.counties))
    level = streams.normal("people of state", states)[state_of_county]
    people = np.exp(parameters.county_people_spread * (0.9 * z + np.sqrt(0.19) * level))
    return state_of_county, 1 + apportion(people, size.tracts - size.counties)


def _rank(parent: Ints) -> Ints:
    """Return the place of each child among its siblings; parents rise."""
    first = np.searchsorted(parent, parent)
    return np.arange(len(parent)) - first


def _cut_all(
    parameters: NationParameters,
    streams: Streams,
    size: NationSize,
    state_of_county: Ints,
    tracts: Ints,
    county_of_tract: Ints,
    tract: Ints,
    edge: Array,
) -> Array:
    """Return the box of each block group on the equal-area map, shape (N, 4)."""
    z = streams.normal("area of county", np.arange(size.counties))
    county_area = np.exp(parameters.county_area_spread * z) * tracts**parameters.county_area_slope
    z = streams.normal("area of tract", np.arange(size.tracts))
    steep = np.minimum(1.0, (_TRACTS / tracts) ** 0.15)[county_of_tract]
    tract_area = np.exp(parameters.core * steep * edge**3 + parameters.tract_area_spread * z)
    block_area = np.exp(0.3 * streams.normal("area of block group", np.arange(len(tract))))
    state_area = np.bincount(state_of_county, county_area).astype(np.float64)
    states = cut(_box(size, parameters), np.zeros(size.states, np.int64), state_area)
    counties = cut(states, state_of_county, county_area)
    return cut(cut(counties, county_of_tract, tract_area), tract, block_area)


def _box(size: NationSize, parameters: NationParameters) -> Array:
    """Return the box of the nation on the equal-area map, shape (1, 4)."""
    side = np.sqrt(parameters.county_area * size.counties)
    middle = np.sin(np.radians(_MIDDLE[1]))
    cosine = np.sqrt(1 - middle**2)
    # 3 wide by 2 high, as the country is.
    width, height = side * np.sqrt(1.5) / cosine, side / np.sqrt(1.5) * cosine
    if middle * EARTH_RADIUS + height / 2 > _NORTH * EARTH_RADIUS:
        raise SpecificationError(
            f"{size.counties:,} counties of {parameters.county_area:,.0f} square kilometres reach "
            "beyond the pole; lower the parameter county_area."
        )
    centre = np.radians(_MIDDLE[0]) * EARTH_RADIUS
    return np.array(
        [[centre - width / 2, middle * EARTH_RADIUS - height / 2,
          centre + width / 2, middle * EARTH_RADIUS + height / 2]]
    )  # fmt: skip


def _on_the_globe(boxes: Array) -> tuple[Array, Array]:
    """Turn boxes of Lambert's cylindrical equal-area map into degrees and square kilometres."""
    bounds = np.empty_like(boxes)
    bounds[:, [0, 2]] = np.degrees(boxes[:, [0, 2]] / EARTH_RADIUS)
    bounds[:, [1, 3]] = np.degrees(np.arcsin(boxes[:, [1, 3]] / EARTH_RADIUS))
    return bounds, (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
