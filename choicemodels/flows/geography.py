"""How far apart places are, and which are neighbours: functions of coordinates and tables.

Distances are in kilometres on a sphere, unless a radius in another unit is given.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from choicemodels.choices.places import text_keys
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.flows.factor import sorted_codes
from choicemodels.frames import require_columns, to_pandas

__all__ = [
    "EARTH_RADIUS",
    "contiguity",
    "distance_matrix",
    "great_circle",
    "half_nearest_distance",
    "internal_distance",
    "shared_boundaries",
    "weighted_distance",
]

Array = NDArray[np.float64]

# Mean radius of the reference ellipsoid GRS 80, in kilometres [Moritz2000]_.
EARTH_RADIUS = 6371.0088


def great_circle(
    latitude: ArrayLike,
    longitude: ArrayLike,
    to_latitude: ArrayLike,
    to_longitude: ArrayLike,
    *,
    radius: float = EARTH_RADIUS,
) -> Array:
    """Measure the shortest way over a sphere between points, by the haversine formula.

    ``2 R arcsin sqrt(sin²(Δφ/2) + cos φ₁ cos φ₂ sin²(Δλ/2))``, accurate for near points too
    [Sinnott1984]_. The earth's flattening makes it wrong by up to half a percent.

    Parameters
    ----------
    latitude, longitude, to_latitude, to_longitude
        In degrees, of shapes that broadcast together.
    radius
        Of the sphere; the distance is in its unit.

    Raises
    ------
    DataError
        If a coordinate is not finite or out of range; the message says where.
    """
    phi, lam = _radians(latitude, longitude)
    to_phi, to_lam = _radians(to_latitude, to_longitude)
    half = np.sin((to_phi - phi) / 2) ** 2
    half = half + np.cos(phi) * np.cos(to_phi) * np.sin((to_lam - lam) / 2) ** 2
    # Rounding can lift antipodes above one.
    return np.asarray(2 * radius * np.arcsin(np.sqrt(np.minimum(half, 1.0))))


def _radians(latitude: ArrayLike, longitude: ArrayLike) -> tuple[Array, Array]:
    """Check degrees and turn them into radians."""
    phi = np.asarray(latitude, dtype=np.float64)
    lam = np.asarray(longitude, dtype=np.float64)
    far = not bool((np.abs(phi) <= 90).all())
    hint = "; are latitude and longitude swapped?" if far and bool((np.abs(lam) <= 90).all()) else (
        "; give degrees."
    )  # fmt: skip
    for name, degrees, limit in (("latitude", phi, 90), ("longitude", lam, 360)):
        bad = np.flatnonzero(~(np.abs(degrees) <= limit))
        if len(bad):
            raise DataError(
                f"the {name} is missing or not between -{limit} and {limit} in {len(bad):,} places "
                f"(first at {enumerate_some(bad.tolist())}: {np.ravel(degrees)[bad[0]]:g}){hint}"
            )
    return np.radians(phi), np.radians(lam)


def distance_matrix(
    latitude: "pd.Series[Any]", longitude: "pd.Series[Any]", *, radius: float = EARTH_RADIUS
) -> pd.DataFrame:
    """Measure the great-circle distances between all places.

    Parameters
    ----------
    latitude, longitude
        In degrees, indexed by place, shape (P,).
    radius
        Of the sphere; the distances are in its unit.

    Returns
    -------
    DataFrame, shape (P, P)
        Zero on the diagonal: see :func:`internal_distance`.

    Raises
    ------
    DataError
        If the two are indexed by different places, or a coordinate is out of range.
    """
    if not latitude.index.equals(longitude.index):
        raise DataError("latitude and longitude are indexed by different places, or in two orders.")
    phi, lam = latitude.to_numpy(np.float64), longitude.to_numpy(np.float64)
    d = great_circle(phi[:, None], lam[:, None], phi, lam, radius=radius)
    return pd.DataFrame(d, index=latitude.index, columns=latitude.index)


def internal_distance(area: ArrayLike, *, factor: float = 0.67) -> Array:
    """Return the distance within places of a given area, ``factor * sqrt(area / pi)``.

    Between the centre of a disk and its points it is two thirds of the radius on average; 0.67
    is what the distances of CEPII take [MayerZignago2011]_.

    Parameters
    ----------
    area
        In square kilometres, or in the square of another unit of length.
    factor
        Share of the radius of the disk.

    Raises
    ------
    DataError
        If an area is not above zero.
    """
    areas = np.asarray(area, dtype=np.float64)
    _refuse_not_positive(areas, "the area")
    return np.asarray(factor * np.sqrt(areas / np.pi))


def half_nearest_distance(distances: pd.DataFrame) -> "pd.Series[float]":
    """Return half the distance of each place to its nearest neighbour.

    One of the stand-ins for internal distance that [HeadMayer2010]_ compare.

    Parameters
    ----------
    distances
        Places by places; the diagonal is not looked at.

    Raises
    ------
    DataError
        If there is one place only, the labels of rows and columns differ, or a distance is
        missing.
    """
    d = np.array(distances, dtype=np.float64)
    if len(d) < 2 or not distances.index.equals(distances.columns):
        raise DataError("a nearest neighbour needs a square matrix of two places or more.")
    np.fill_diagonal(d, np.inf)
    if np.isnan(d).any():
        raise DataError("distances are missing; without them the nearest place is not known.")
    return pd.Series(d.min(axis=1) / 2, index=distances.index, name="internal")


def weighted_distance(
    latitude: ArrayLike,
    longitude: ArrayLike,
    population: ArrayLike,
    place: ArrayLike,
    *,
    theta: float = 1.0,
    internal: ArrayLike | None = None,
    radius: float = EARTH_RADIUS,
) -> pd.DataFrame:
    """Measure distances between places that are made of units with populations.

    The generalized mean of the distances between the units k of i and l of j
    [HeadMayer2010]_,

        d_ij = (sum_k sum_l s_k s_l d_kl^theta)^(1 / theta),

    with s the share of a unit in the population of its place. With ``theta`` the elasticity
    of flows to distance (about -1), flows between places add up as those between units do;
    1 is the arithmetic mean, and 0 the geometric one.

    Parameters
    ----------
    latitude, longitude
        Of the units, in degrees, shape (U,).
    population
        Weights of the units, zero or more, shape (U,).
    place
        Which place each unit belongs to, shape (U,).
    theta
        Exponent of the mean.
    internal
        Distance within each unit, shape (U,), in the unit of the radius. By default zero,
        which only a positive theta can average.
    radius
        Of the sphere.

    Returns
    -------
    DataFrame, shape (P, P)
        Places in sorted order; the diagonal holds internal distances.

    Raises
    ------
    DataError
        If coordinates or populations are not what they should be, a place has no population,
        or units lie at distance zero and theta is not positive.
    SpecificationError
        If theta is not finite.
    """
    if not np.isfinite(theta):
        raise SpecificationError(f"theta is {theta}; give a finite exponent, such as -1 or 1.")
    labels = pd.Series(np.asarray(place))
    if labels.isna().any():
        raise DataError("a unit has no place; drop it or say where it belongs.")
    codes, places = sorted_codes(labels)
    share = _shares(np.asarray(population, dtype=np.float64), codes, places)
    order = np.argsort(codes, kind="stable")
    order = order[share[order] > 0]
    share, of = share[order], np.asarray(places)[codes[order]]
    phi, lam = (np.asarray(x, dtype=np.float64)[order] for x in (latitude, longitude))
    own = np.zeros(len(order)) if internal is None else np.asarray(internal, np.float64)[order]
    starts = np.searchsorted(codes[order], np.arange(len(places) + 1))
    result = np.empty((len(places), len(places)))
    for i, (low, high) in enumerate(pairwise(starts)):
        d = great_circle(phi[low:high, None], lam[low:high, None], phi, lam, radius=radius)
        d[np.arange(high - low), np.arange(low, high)] = own[low:high]
        if theta <= 0:
            _refuse_zero(d, of[low:high], of, theta)
        powers = d**theta if theta else np.log(d)
        mean = np.add.reduceat(share[low:high] @ powers * share, starts[:-1])
        result[i] = mean ** (1 / theta) if theta else np.exp(mean)
    return pd.DataFrame(result, index=places, columns=places)


def _shares(population: Array, codes: NDArray[Any], places: Any) -> Array:
    bad = np.flatnonzero(~(np.isfinite(population) & (population >= 0)))
    if len(bad):
        raise DataError(
            f"the population is negative or not finite in {len(bad):,} units (first at "
            f"{enumerate_some(bad.tolist())}: {population[bad[0]]:g})."
        )
    total = np.bincount(codes, weights=population)
    empty = [places[i] for i in np.flatnonzero(total == 0)]
    if empty:
        raise DataError(
            f"no unit of {enumerate_some(empty)} has population, so there is nothing to weigh "
            "distances by; give equal weights, or leave the place out."
        )
    return np.asarray(population / total[codes])


def _refuse_zero(d: Array, of: Any, to: Any, theta: float) -> None:
    touching = np.argwhere(~(d > 0))
    if len(touching):
        k, other = touching[0]
        raise DataError(
            f"units of {of[k]} and {to[other]} lie at distance zero, which theta={theta:g} "
            "cannot average; give internal= (see internal_distance), and move units that share "
            "a point."
        )


def contiguity(
    neighbours: Any, places: Sequence[Any], *, first: str = "place", second: str = "neighbour"
) -> pd.DataFrame:
    """Turn a table of neighbours into a symmetric matrix of zeros and ones.

    Parameters
    ----------
    neighbours
        One row for two places that touch, in either order or in both.
    places
        All places, also those without neighbours.
    first, second
        Names of the columns.

    Returns
    -------
    DataFrame, shape (P, P)
        Zero on the diagonal.

    Raises
    ------
    DataError
        If a place is unknown or repeated, or is listed as its own neighbour.
    """
    frame = to_pandas(neighbours, what="the table of neighbours")
    require_columns(frame, [first, second], what="the table of neighbours")
    index = pd.Index(places)
    _refuse_twice(index)
    known = pd.Index(text_keys(index.to_series(), "place", "the places"))
    a, b = (
        known.get_indexer(pd.Index(text_keys(frame[name], name, "the table of neighbours")))
        for name in (first, second)
    )
    for name, codes in ((first, a), (second, b)):
        unknown = frame[name][codes < 0].unique().tolist()
        if unknown:
            raise DataError(
                f"the table of neighbours names {enumerate_some(unknown)} in column '{name}', "
                "which is none of the places."
            )
    alone = frame[first][a == b].tolist()
    if alone:
        raise DataError(f"{enumerate_some(alone)} is listed as its own neighbour.")
    matrix = np.zeros((len(index), len(index)))
    matrix[a, b] = matrix[b, a] = 1.0
    return pd.DataFrame(matrix, index=index, columns=index)


def shared_boundaries(
    shapes: "pd.Series[Any]", *, relation: Literal["touches", "intersects"] = "touches"
) -> pd.DataFrame:
    """Find which places share a boundary, from their shapes.

    Parameters
    ----------
    shapes
        Geometries by place, as shapely and geopandas make them: they have ``bounds`` and the
        relation as a method.
    relation
        ``"intersects"`` also takes shapes that overlap a little, as boundaries drawn
        separately do.

    Returns
    -------
    DataFrame, shape (P, P)
        Symmetric, of zeros and ones, zero on the diagonal.

    Raises
    ------
    DataError
        If a place is listed twice, or what it has is no shape.
    SpecificationError
        If the relation is neither.
    """
    if relation not in ("touches", "intersects"):
        raise SpecificationError(f"relation is '{relation}'; it is 'touches' or 'intersects'.")
    _refuse_twice(shapes.index)
    bad = [
        name for name, shape in shapes.items()
        if not (hasattr(shape, "bounds") and hasattr(shape, relation))
    ]  # fmt: skip
    if bad:
        raise DataError(
            f"{enumerate_some(bad)} has no shape with bounds and {relation}(); make geometries "
            "with shapely or geopandas."
        )
    boxes = np.array([shape.bounds for shape in shapes], dtype=np.float64).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, 2:]
    # Only shapes whose boxes meet are worth the exact comparison.
    near = ((low[:, None] <= high) & (low <= high[:, None])).all(axis=2)
    matrix = np.zeros(near.shape)
    for i, j in np.argwhere(np.triu(near, 1)):
        matrix[i, j] = matrix[j, i] = float(getattr(shapes.iloc[i], relation)(shapes.iloc[j]))
    return pd.DataFrame(matrix, index=shapes.index, columns=shapes.index)


def _refuse_twice(places: pd.Index) -> None:
    twice = places[places.duplicated()].unique().tolist()
    if twice:
        raise DataError(f"the places {enumerate_some(twice)} are listed more than once.")


def _refuse_not_positive(values: Array, what: str) -> None:
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise DataError(
            f"{what} is not above zero in {len(bad):,} places (first at "
            f"{enumerate_some(bad.tolist())}: {np.ravel(values)[bad[0]]:g})."
        )
