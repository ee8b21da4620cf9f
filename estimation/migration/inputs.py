"""What the analyses of moves are given: one matrix or one a year, attributes, coordinates."""

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix

__all__ = [
    "Matrices",
    "Missing",
    "each_year",
    "in_order",
    "known_attribute",
    "leaving",
    "radians",
    "yearly",
]

Array = NDArray[np.float64]
Matrices: TypeAlias = MigrationMatrix | Mapping[int, MigrationMatrix]
Missing: TypeAlias = Literal["refuse", "apart"]


def each_year(matrices: Matrices, work: Callable[[MigrationMatrix], pd.DataFrame]) -> pd.DataFrame:
    """Return the table of one matrix, or those of several years under an index level ``year``."""
    if isinstance(matrices, MigrationMatrix):
        return work(matrices)
    return pd.concat({year: work(m) for year, m in yearly(matrices).items()}, names=["year"])


def yearly(matrices: Mapping[int, MigrationMatrix]) -> dict[int, MigrationMatrix]:
    """Return the matrices in the order of their years.

    Raises
    ------
    SpecificationError
        If they are no mapping of whole numbers.
    DataError
        If there is none, a matrix is of another year than its key, or two have other areas.
    """
    if not isinstance(matrices, Mapping):
        raise SpecificationError(
            f"matrices are a {type(matrices).__name__}; give a mapping of years to matrices."
        )
    strange = [year for year in matrices if not _is_whole(year)]
    if strange:
        raise SpecificationError(f"{strange[0]!r} is no year; key matrices by whole numbers.")
    if not matrices:
        raise DataError("no matrix was given; give one, or a mapping of years to matrices.")
    found = {int(year): matrix for year, matrix in sorted(matrices.items())}
    first = next(iter(found.values())).areas
    for year, matrix in found.items():
        if matrix.year is not None and matrix.year != year:
            raise DataError(
                f"the matrix given for {year} is of {matrix.year}; key each by its own year, the "
                "one in which people are asked."
            )
        if matrix.areas is not first and not matrix.areas.labels.equals(first.labels):
            raise DataError(
                f"the matrix of {year} has other areas than that of {next(iter(found))}; bring "
                "the years to the same areas, in the same order."
            )
    return found


def _is_whole(year: object) -> bool:
    return isinstance(year, Integral) and not isinstance(year, bool)


def leaving(areas: Areas, beyond: str | None) -> NDArray[np.int32]:
    """Return the area that a move must leave to be counted, for each finest area, shape (N,)."""
    return areas.level(areas.name if beyond is None else beyond).codes


def known_attribute(areas: Areas, attribute: str | ArrayLike, missing: Missing = "refuse") -> Array:
    """Return an attribute of the areas, shape (N,), NaN where it is missing.

    Parameters
    ----------
    attribute
        A column of the table of areas, or a value for each area; a Series by label.
    missing
        ``"refuse"`` raises if a value is missing; ``"apart"`` lets it through.

    Raises
    ------
    DataError
        If the column is not there, the length is wrong, or a value is missing or infinite.
    """
    _refuse_other(missing)
    name = f"'{attribute}'" if isinstance(attribute, str) else "the attribute"
    values = np.asarray(
        areas.attribute(attribute) if isinstance(attribute, str) else in_order(areas, attribute),
        dtype=np.float64,
    )
    if values.shape != (areas.size,):
        raise DataError(f"{name} has the shape {values.shape}; give a value for each of the "
                        f"{areas.size:,} areas.")  # fmt: skip
    infinite = areas.labels[np.isinf(values)].tolist()
    if infinite:
        raise DataError(f"{name} is infinite in {len(infinite):,} areas "
                        f"({enumerate_some(infinite)}).")  # fmt: skip
    unknown = areas.labels[np.isnan(values)].tolist()
    if unknown and missing == "refuse":
        raise DataError(
            f"{name} is missing in {len(unknown):,} areas ({enumerate_some(unknown)}); fill it "
            "in, or count their people apart with missing='apart'."
        )
    if len(unknown) == areas.size:
        raise DataError(f"{name} is missing everywhere.")
    return values


def in_order(areas: Areas, values: Any) -> Any:
    """Return a Series in the order of the areas; whatever is no Series is in order already.

    Raises
    ------
    DataError
        If an area has no value, or a label stands twice.
    """
    if not isinstance(values, pd.Series) or values.index.equals(areas.labels):
        return values
    lost = areas.labels[~areas.labels.isin(values.index)].tolist()
    if lost or values.index.has_duplicates:
        what = f"lacks {enumerate_some(lost)}" if lost else "holds a label twice"
        raise DataError(f"a Series {what}; index it by the labels of the areas, or give an array.")
    return values.reindex(areas.labels)


def _refuse_other(missing: str) -> None:
    if missing not in ("refuse", "apart"):
        raise SpecificationError(f"missing='{missing}' is not one of 'refuse', 'apart'.")


def radians(areas: Areas) -> tuple[Array, Array]:
    """Return latitude and longitude of the areas in radians, each of shape (N,).

    Raises
    ------
    DataError
        If the table of areas has no columns ``latitude`` and ``longitude``, or a coordinate is
        missing or out of range; the message names the areas.
    """
    found = []
    for name, limit in (("latitude", 90.0), ("longitude", 360.0)):
        degrees = areas.attribute(name)
        bad = areas.labels[~(np.abs(degrees) <= limit)].tolist()
        if bad:
            raise DataError(
                f"the {name} is missing or not between -{limit:g} and {limit:g} in {len(bad):,} "
                f"areas ({enumerate_some(bad)}); distances need it for every area, in degrees."
            )
        found.append(np.radians(degrees))
    return found[0], found[1]
