"""A wildfire in a generated nation, of known effect on who leaves."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.flows.geography import EARTH_RADIUS
from choicemodels.migration.areas import Areas
from choicemodels.nation.generator import Nation, with_leaving

if TYPE_CHECKING:
    from choicemodels.keyed_random import Streams

__all__ = ["Perimeter", "draw_perimeter", "shapes_of", "with_wildfire"]

Array = NDArray[np.float64]

# Of its area that must have burned for a block group to count as struck.
_STRUCK = 0.1
_CORNERS = 48
# Places tried for a fire; each measures the way to all areas.
_TRIES = 40


@dataclass(frozen=True, eq=False)
class Perimeter:
    """Where a wildfire burned.

    Attributes
    ----------
    polygon : ndarray, shape (P, 2)
        Corners, longitude and latitude.
    burned : Series
        Share of the area that burned, of each block group that the fire touched.
    areas : Index
        Labels of the block groups of which a tenth burned or more.
    neighbours : Index
        Labels of the block groups that touch one of these.
    """

    polygon: Array
    burned: "pd.Series[float]"
    areas: pd.Index
    neighbours: pd.Index


def with_wildfire(
    nation: Nation, seed: int = 1, *, leaving: float = 0.46, block_groups: int = 8
) -> tuple[Nation, Perimeter]:
    """Let a wildfire burn, and draw the year again with the people it drives out.

    Nobody else changes whether to leave. With ``leaving=0.15`` the perimeter has a usual year
    instead, so that an event study knows both rates; the published ones are 46 % in the year of
    a fire against 15 % [AgostiniYoungFitzpatrickGargPierson2025]_.

    Parameters
    ----------
    nation
    seed
        Places the fire; the same in every year of a nation.
    leaving
        Chance of leaving each block group of which a tenth burned or more.
    block_groups
        How many centres the fire reaches, about.

    Raises
    ------
    SpecificationError
        If no county has twice as many block groups, or ``leaving`` is no probability.
    """
    perimeter = draw_perimeter(nation.areas, seed, block_groups=block_groups)
    struck = nation.leaving.index.isin(perimeter.areas)
    return with_leaving(nation, nation.leaving.mask(struck, leaving)), perimeter


def draw_perimeter(areas: Areas, seed: int = 1, *, block_groups: int = 8) -> Perimeter:
    """Draw where a wildfire burns: an uneven patch around one block group.

    Raises
    ------
    SpecificationError
        If no county has twice as many block groups as the fire reaches.
    """
    from choicemodels.keyed_random import Streams

    if isinstance(block_groups, bool) or not isinstance(block_groups, int) or block_groups < 1:
        raise SpecificationError(
            f"a fire cannot reach {block_groups!r} block groups; give a whole number from 1."
        )
    county = areas.level("county")
    sizes = np.bincount(county.codes)[county.codes]
    large = np.flatnonzero(sizes >= 2 * block_groups)
    if len(large) == 0:
        raise SpecificationError(
            f"no county has {2 * block_groups} block groups, so that {block_groups} can burn and "
            f"others be compared (the largest has {sizes.max()}); let fewer burn."
        )
    polygon = _patch_inside(areas, large, block_groups, Streams(seed))
    burned = _burned(areas, polygon)
    struck = burned >= _STRUCK
    touched = burned > 0
    return Perimeter(
        polygon=polygon,
        burned=pd.Series(burned[touched], areas.labels[touched]),
        areas=areas.labels[struck],
        neighbours=areas.labels[_touching(areas, struck)],
    )


def shapes_of(areas: Areas) -> "pd.Series[Any]":
    """Return the rectangle of each block group as a shapely geometry in degrees, shape (N,)."""
    import shapely

    bounds = (areas.attribute(side) for side in ("west", "south", "east", "north"))
    return pd.Series(shapely.box(*bounds), areas.labels, dtype=object)


def _patch_inside(
    areas: Areas, centres: NDArray[np.int64], block_groups: int, streams: "Streams"
) -> Array:
    """Return a patch around one of the centres that keeps to the nation, if one soon does."""
    sides = [areas.attribute(name) for name in ("west", "south", "east", "north")]
    least = np.array([sides[0].min(), sides[1].min()])
    most = np.array([sides[2].max(), sides[3].max()])
    places = streams.uniform("place of fire", np.arange(_TRIES)) * len(centres)
    for place in places.astype(np.int64):
        polygon = _patch(areas, int(centres[place]), block_groups, streams)
        if (polygon >= least).all() and (polygon <= most).all():
            break
    return polygon


def _patch(areas: Areas, centre: int, block_groups: int, streams: "Streams") -> Array:
    """Return the corners of a patch that reaches about so many centres, shape (P, 2)."""
    longitude, latitude = areas.attribute("longitude"), areas.attribute("latitude")
    cosine = np.cos(np.radians(latitude[centre]))
    x, y = (longitude - longitude[centre]) * cosine, latitude - latitude[centre]
    radius = np.sort(np.hypot(x, y))[block_groups - 1]
    if block_groups == 1:
        radius = np.degrees(np.sqrt(areas.attribute("square_km")[centre] / np.pi) / EARTH_RADIUS)
    angle = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    phase = 2 * np.pi * streams.uniform("shape of fire", np.arange(2))
    reach = 1 + 0.15 * np.cos(2 * angle + phase[0]) + 0.1 * np.cos(3 * angle + phase[1])
    return np.column_stack(
        [
            longitude[centre] + radius * reach * np.cos(angle) / cosine,
            latitude[centre] + radius * reach * np.sin(angle),
        ]
    )


def _burned(areas: Areas, polygon: Array) -> Array:
    """Return the share of each area inside the polygon, shape (N,).

    Over so short a way the plane of degrees keeps the shares of areas.
    """
    import shapely

    fire = shapely.Polygon(polygon)
    shapely.prepare(fire)
    boxes = shapes_of(areas).to_numpy()
    burned = np.zeros(areas.size)
    met = np.flatnonzero(shapely.intersects(fire, boxes))
    burned[met] = shapely.area(shapely.intersection(boxes[met], fire)) / shapely.area(boxes[met])
    return burned


def _touching(areas: Areas, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which areas share a border or a corner with one inside, without these."""
    west, south, east, north = (
        areas.attribute(side) for side in ("west", "south", "east", "north")
    )
    touching = np.zeros(areas.size, dtype=np.bool_)
    for i in np.flatnonzero(inside):
        beside = (west <= east[i]) & (east >= west[i])
        touching |= beside & (south <= north[i]) & (north >= south[i])
    return touching & ~inside
