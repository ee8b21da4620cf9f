"""Where addresses lie: in an area, or anywhere in the areas of a ZIP code."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some
from choicemodels.frames import numeric_column, require_columns, to_pandas
from choicemodels.migration.areas import Areas

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Geocoder"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Geocoder:
    r"""The areas in which an address may lie, and how likely.

    An address with an exact geocode lies in one area. One of which only the ZIP code is known
    lies in area b with probability

    .. math:: g_{zb} = \sum_t \frac{w_{zt}}{\sum_u w_{zu}} \frac{n_b}{\sum_{c \in t} n_c},

    the sum being over the tracts t that hold b, w the weights of the crosswalk and n the
    populations. All addresses of one area or one ZIP code thus share a row of the row-stochastic
    matrix G: there are no more *places*, areas first and ZIP codes after them, than rows to know.

    Attributes
    ----------
    areas : Areas
    zips : Index of str, shape (Z,)
        ZIP codes, or whatever the crosswalk calls them.
    shares : csr_array, shape (Z, N)
        Probabilities; each row adds up to 1.
    record : mapping of str to int
        What of the crosswalk could not be used, and why.

    Notes
    -----
    Source: [AgostiniYoungFitzpatrickGargPierson2025]_.
    """

    areas: Areas
    zips: pd.Index
    shares: "csr_array[Any]"
    record: dict[str, int] = field(default_factory=dict)

    @classmethod
    def exact(cls, areas: Areas) -> Self:
        """Place addresses by exact geocodes only."""
        from scipy.sparse import csr_array

        return cls(areas, pd.Index([], dtype=object), csr_array((0, areas.size)))

    @classmethod
    def from_crosswalk(
        cls,
        areas: Areas,
        crosswalk: Any,
        *,
        zip: str = "zip",
        area: str = "tract",
        weight: str = "weight",
        population: str = "population",
    ) -> Self:
        """Spread ZIP codes over areas by a crosswalk and populations.

        Where nobody lives in a tract, its areas share equally; where all weights of a ZIP code
        are zero, its tracts do. Rows that name an unknown tract are left out and counted, and the
        other tracts of the ZIP code take their part; one that is left without tracts places no
        address.

        Parameters
        ----------
        areas
        crosswalk
            A pandas, polars, Arrow or DuckDB table with a row for each ZIP code and tract.
        zip, area, weight
            Its columns; ``area`` is also the level of ``areas`` that it names (or the finest).
        population
            Column of ``areas.table``.

        Raises
        ------
        DataError
            If a column is missing, a pair repeats, a weight or population is negative or not
            finite, or no row names a known tract.
        """
        frame = to_pandas(crosswalk, what="the crosswalk")
        require_columns(frame, [zip, area, weight], what="the crosswalk")
        weights = _counted(numeric_column(frame, weight, what="the crosswalk"), frame[zip], weight)
        people = _counted(areas.attribute(population), areas.labels, population)
        level = areas.level(area)
        inner = level.labels.get_indexer(pd.Index(frame[area].map(str)))
        known = (inner >= 0) & frame[zip].notna().to_numpy()
        if not known.any():
            raise DataError(
                f"no row of the crosswalk names a {area} of the areas (it has "
                f"{enumerate_some(frame[area].unique().tolist())}; the areas "
                f"{enumerate_some(level.labels.tolist())}); read both as text, with leading zeros."
            )
        codes, zips = pd.factorize(frame.loc[known, zip].map(str), sort=True)
        _refuse_repeats(codes, inner[known], zips, level.labels)
        outer = _stochastic(codes, inner[known], weights[known], (len(zips), level.size))
        within = _stochastic(level.codes, np.arange(areas.size), people, (level.size, areas.size))
        lost = len(frame[zip].dropna().map(str).unique()) - len(zips)
        record = {"rows of the crosswalk without a known area": int((~known).sum())}
        record |= {"ZIP codes without a known area": lost}
        shares: Any = outer @ within
        return cls(areas, pd.Index(zips), shares, {k: v for k, v in record.items() if v})

    def __repr__(self) -> str:
        return f"<places: {self.areas.size:,} {self.areas.name}s, {len(self.zips):,} ZIP codes>"

    @property
    def size(self) -> int:
        """Return the number of places, areas and ZIP codes."""
        return self.areas.size + len(self.zips)

    @cached_property
    def matrix(self) -> "csr_array[Any]":
        """Return the distinct rows of G: the identity over the shares, shape (N + Z, N)."""
        from scipy.sparse import csr_array, eye_array, vstack

        return csr_array(vstack([eye_array(self.areas.size, format="csr"), self.shares]))


def _counted(values: Array, labels: Any, name: str) -> Array:
    bad = np.flatnonzero(~((values >= 0) & np.isfinite(values)))
    if len(bad):
        raise DataError(
            f"'{name}' is negative or not finite in {len(bad):,} rows (such as "
            f"{labels[bad[0]]}: {values[bad[0]]}); it must be zero or more to be a share."
        )
    return values


def _refuse_repeats(
    codes: NDArray[Any], inner: NDArray[Any], zips: pd.Index, labels: pd.Index
) -> None:
    twice = np.flatnonzero(pd.DataFrame({"zip": codes, "area": inner}).duplicated().to_numpy())
    if len(twice):
        pair = f"{zips[codes[twice[0]]]} and {labels[inner[twice[0]]]}"
        raise DataError(
            f"{len(twice):,} rows of the crosswalk repeat a pair (the first: {pair}); keep one "
            "date of the crosswalk, or add the rows up."
        )


def _stochastic(
    rows: NDArray[Any], columns: NDArray[Any], weights: Array, shape: tuple[int, int]
) -> "csr_array[Any]":
    """Divide weights by their sum over the row, equally where it is zero."""
    from scipy.sparse import csr_array

    totals = np.bincount(rows, weights, minlength=shape[0])
    equal = np.where(totals[rows] > 0, weights, 1.0)
    shares = equal / np.bincount(rows, equal, minlength=shape[0])[rows]
    matrix: Any = csr_array((shares, (rows, columns)), shape=shape)
    matrix.eliminate_zeros()
    return csr_array(matrix)
