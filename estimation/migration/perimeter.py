"""Areas inside a perimeter, their neighbours, the rest of their county, and everybody else."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.flows.geography import EARTH_RADIUS
from choicemodels.migration.areas import Areas
from estimation.migration.inputs import in_order, known_attribute, radians
from estimation.migration.strata import AreaTypes

if TYPE_CHECKING:
    from shapely import Geometry

__all__ = ["Chosen", "areas_in_polygon", "areas_near", "areas_touching", "chosen_areas", "rings"]

Mask: TypeAlias = NDArray[np.bool_]
Chosen: TypeAlias = "Sequence[str] | pd.Index | pd.Series[Any] | Mask"


def chosen_areas(areas: Areas, chosen: Chosen, what: str = "the perimeter") -> Mask:
    """Return which areas were chosen, by labels or by a truth value for each, shape (N,).

    Raises
    ------
    SpecificationError
        If one text was given.
    DataError
        If a label is no area's, the length is wrong, or nothing was chosen.
    """
    if isinstance(chosen, str):
        raise SpecificationError(f"{what} is the text '{chosen}'; give a list of labels.")
    given = np.asarray(chosen)
    if given.dtype == bool:
        given = np.asarray(in_order(areas, chosen))
        if given.shape != (areas.size,):
            raise DataError(
                f"{what} has {given.size:,} truth values; give one for each of the "
                f"{areas.size:,} areas, or labels."
            )
        mask = given.copy()
    else:
        labels = pd.Index([str(label) for label in given])
        strangers = labels[~labels.isin(areas.labels)].unique().tolist()
        if strangers:
            raise DataError(
                f"{what} names {len(strangers):,} places that are no {areas.name} of the areas "
                f"({enumerate_some(strangers)})."
            )
        mask = areas.labels.isin(labels)
    if not mask.any():
        raise DataError(f"{what} is empty: no {areas.name} lies in it.")
    return mask


def areas_in_polygon(
    areas: Areas,
    polygon: Any,
    *,
    shapes: "Mapping[str, Geometry] | pd.Series[Any] | None" = None,
    square_km: str | ArrayLike | None = None,
    share: float = 0.1,
) -> Mask:
    """Find the areas of which a polygon covers a share.

    Shares are measured on the cylindrical equal-area projection, after which corners are joined
    by straight lines. The published study of wildfires takes a share of 10 %
    [AgostiniYoungFitzpatrickGargPierson2025]_.

    Parameters
    ----------
    areas
    polygon
        A shapely (multi)polygon in degrees of longitude and latitude, or its corners as pairs
        of longitude and latitude, shape (C, 2). It must not cross the 180th meridian.
    shapes
        The polygon of each area, by label, in degrees.
    square_km
        Instead: the size of each area, as a column or a value for each; areas are then taken
        for squares around their centres.
    share
        Of the area that must be covered, above zero and at most one.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    SpecificationError
        If the share is out of range, or not exactly one of ``shapes`` and ``square_km`` is
        given.
    DataError
        If the polygon is not valid, an area has no shape or a size that is not above zero, or no
        area is covered enough.
    """
    import shapely

    if not 0 < share <= 1:
        raise SpecificationError(f"share={share}; give a share above zero and at most one.")
    if (shapes is None) == (square_km is None):
        raise SpecificationError("give shapes= or square_km=, one of them: how large areas are.")
    perimeter = _projected(_polygon(polygon))
    cells = (
        _squares(areas, known_attribute(areas, square_km))
        if square_km is not None
        else _projected(_shapes(areas, shapes))
    )
    shapely.prepare(perimeter)
    covered = np.zeros(areas.size)
    met = np.flatnonzero(shapely.intersects(perimeter, cells))
    covered[met] = shapely.area(shapely.intersection(cells[met], perimeter))
    # Rounding must not lose an area of which exactly this share is covered.
    mask = covered >= share * shapely.area(cells) * (1 - 1e-9)
    if not (mask & (covered > 0)).any():
        raise DataError(
            f"no {areas.name} lies in the perimeter with {share:.0%} of its area or more; are "
            "longitude and latitude swapped?"
        )
    return np.asarray(mask & (covered > 0))


def areas_touching(
    areas: Areas, inside: Chosen, shapes: "Mapping[str, Geometry] | pd.Series[Any]"
) -> Mask:
    """Find the areas that touch or overlap those inside, without them.

    Parameters
    ----------
    areas
    inside
        Labels, or a truth value for each area.
    shapes
        The polygon of each area, by label.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    DataError
        If nothing is inside, or an area has no shape.
    """
    import shapely

    mask = chosen_areas(areas, inside)
    cells = _shapes(areas, shapes)
    union = shapely.union_all(cells[mask])
    shapely.prepare(union)
    return np.asarray(shapely.intersects(union, cells) & ~mask)


def areas_near(areas: Areas, inside: Chosen, within_km: float) -> Mask:
    """Find the areas whose centres lie near a centre inside, without those inside.

    Parameters
    ----------
    areas
        With columns ``latitude`` and ``longitude``.
    inside
        Labels, or a truth value for each area.
    within_km
        Greatest great-circle distance, in kilometres.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    SpecificationError
        If the distance is not above zero.
    DataError
        If nothing is inside, or a coordinate is missing.
    """
    from scipy.spatial import cKDTree

    if not (np.isfinite(within_km) and within_km > 0):
        raise SpecificationError(f"within_km={within_km}; give a distance above zero.")
    mask = chosen_areas(areas, inside)
    phi, lam = radians(areas)
    points = np.column_stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    # The chord of an arc orders points as the arc does.
    chord = 2 * np.sin(min(within_km / (2 * EARTH_RADIUS), np.pi / 2))
    nearest, _ = cKDTree(points[mask]).query(points)
    return np.asarray((nearest <= chord) & ~mask)


def rings(
    areas: Areas, inside: Chosen, neighbours: "Chosen | None" = None, *, level: str = "county"
) -> AreaTypes:
    """Tell areas apart by how near they are to a perimeter.

    Parameters
    ----------
    areas
    inside
        Areas inside the perimeter: labels, or a truth value for each area.
    neighbours
        Areas next to it, see :func:`areas_touching` and :func:`areas_near`; those inside are left
        out. None tells no neighbours apart.
    level
        Whose areas around the perimeter make the third ring.

    Returns
    -------
    AreaTypes
        ``inside``, ``neighbours``, ``same county`` and ``rest``, as far as there are any.

    Raises
    ------
    DataError
        If nothing is inside, or a label is no area's.
    SpecificationError
        If the level is unknown.
    """
    mask = chosen_areas(areas, inside)
    group = areas.level(level)
    near = np.isin(group.codes, np.unique(group.codes[mask]))
    ring = np.where(near, 2, 3)
    if neighbours is not None:
        ring[chosen_areas(areas, neighbours, "the neighbourhood")] = 1
    ring[mask] = 0
    names = np.array(["inside", "neighbours", f"same {level}", "rest"])
    there, codes = np.unique(ring, return_inverse=True)
    return AreaTypes(codes.astype(np.int32), pd.Index(names[there], name="ring"), "ring")


def _polygon(polygon: Any) -> "Geometry":
    import shapely

    if not isinstance(polygon, shapely.Geometry):
        try:
            corners = np.asarray(polygon, dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError(
                f"the perimeter is a {type(polygon).__name__}; give a shapely polygon, or pairs of "
                "longitude and latitude."
            ) from None
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise DataError(
                f"the corners of the perimeter have the shape {corners.shape}; give three pairs "
                "of longitude and latitude or more."
            )
        polygon = shapely.Polygon(corners)
    if not shapely.is_valid(polygon) or shapely.area(polygon) == 0:
        reason = shapely.is_valid_reason(polygon)
        raise DataError(f"the perimeter is no valid polygon with an inside: {reason}.")
    return polygon


def _shapes(areas: Areas, shapes: Any) -> NDArray[Any]:
    given = pd.Series(shapes, dtype=object)
    if given.index.has_duplicates:
        raise DataError("shapes hold a label twice; give each area one.")
    found = given.reindex(areas.labels)
    missing = areas.labels[found.isna().to_numpy()].tolist()
    if missing:
        raise DataError(
            f"{len(missing):,} areas have no shape ({enumerate_some(missing)}); give one for "
            "each, by its label."
        )
    return found.to_numpy()


def _squares(areas: Areas, square_km: NDArray[np.float64]) -> NDArray[Any]:
    """Return squares of these sizes around the centres, projected."""
    import shapely

    flat = areas.labels[~(square_km > 0)].tolist()
    if flat:
        raise DataError(f"the size of {len(flat):,} areas is not above zero "
                        f"({enumerate_some(flat)}).")  # fmt: skip
    phi, lam = radians(areas)
    half = np.sqrt(square_km) / (2 * EARTH_RADIUS)
    # A square of height 2h on the sphere is 2h cos(latitude) high and 2h / cos(latitude) wide.
    x, y = half / np.cos(phi), half * np.cos(phi)
    return np.asarray(shapely.box(lam - x, np.sin(phi) - y, lam + x, np.sin(phi) + y))


def _projected(geometry: Any) -> Any:
    """Project degrees by Lambert's cylindrical equal-area projection, on the unit sphere."""
    import shapely

    def project(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
        lam, phi = np.radians(degrees).T
        return np.column_stack([lam, np.sin(phi)])

    return shapely.transform(geometry, project)
