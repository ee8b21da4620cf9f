"""Areas that nest: block groups within tracts within counties within states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest, require_columns, to_pandas

__all__ = ["Areas", "Level"]

Codes = NDArray[np.int32]

# Digits of a census GEOID that name the area of each level.
_GEOID = {"block_group": 12, "tract": 11, "county": 5, "state": 2}


@dataclass(frozen=True, eq=False, repr=False)
class Level:
    """Which coarser area each area belongs to.

    Attributes
    ----------
    codes : ndarray of int32, shape (N,)
        Position of each area's own in ``labels``.
    labels : Index, shape (C,)
        Names, sorted.
    """

    codes: Codes
    labels: pd.Index

    @property
    def size(self) -> int:
        """Return the number of areas of this level."""
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Level({self.size:,} areas of {len(self.codes):,})"

    def totals(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up values of the finest areas, shape (N,), by area of this level, shape (C,)."""
        return np.asarray(np.bincount(self.codes, values, minlength=self.size), dtype=np.float64)


@dataclass(frozen=True, eq=False, repr=False)
class Areas:
    """Areas, the levels they nest in, and what is known of them.

    Build one from a table (:meth:`from_table`) or from census GEOIDs (:meth:`from_geoids`).

    Attributes
    ----------
    labels : Index of str, shape (N,)
        Names of the finest areas; none repeats.
    name : str
        Of the finest level, such as ``"block_group"``.
    levels : mapping of str to Level
        Coarser levels, from fine to coarse; each nests in the next.
    table : DataFrame, shape (N, ...)
        Attributes, indexed by ``labels``: coordinates, populations of groups, incomes.

    Raises
    ------
    DataError
        If a label is missing or repeats, or an area of one level lies in two of the next: the
        message names them.
    """

    labels: pd.Index
    name: str
    levels: Mapping[str, Level]
    table: pd.DataFrame = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.labels) == 0:
            raise DataError("there are no areas; the table of areas is empty.")
        twice = self.labels[self.labels.duplicated()].unique().tolist()
        if twice:
            raise DataError(
                f"{enumerate_some(twice)} labels several {self.name}s; give each area one row."
            )
        if self.name in self.levels:
            raise SpecificationError(f"'{self.name}' names both the areas and a level of them.")
        for fine, coarse in pairwise(self.levels):
            self._refuse_split(fine, coarse)

    def _refuse_split(self, fine: str, coarse: str) -> None:
        inner, outer = self.levels[fine], self.levels[coarse]
        parents = _first(inner, outer.codes)
        torn = np.flatnonzero(parents[inner.codes] != outer.codes)
        if len(torn):
            where = inner.codes[torn[0]]
            names = outer.labels[np.unique(outer.codes[inner.codes == where])].tolist()
            raise DataError(
                f"the {fine} {inner.labels[where]} lies in several {coarse}s "
                f"({enumerate_some(names)}); each must lie in one. Order levels from fine to "
                "coarse, and give areas of different places different labels."
            )

    @classmethod
    def from_table(cls, table: Any, area: str, levels: str | Sequence[str]) -> Self:
        """Read areas from a table with a row for each.

        Parameters
        ----------
        table
            A pandas, polars, Arrow or DuckDB table. Columns besides ``area`` and ``levels``
            become attributes.
        area
            Column with the labels of the finest areas; it names their level too.
        levels
            Column or columns with the coarser areas, from fine to coarse.

        Raises
        ------
        DataError
            If a column is missing, a label is missing or repeats, or levels do not nest.
        """
        levels = [levels] if isinstance(levels, str) else levels
        frame = to_pandas(table, what="the table of areas")
        require_columns(frame, [area, *levels], what="the table of areas")
        for name in (area, *levels):
            _refuse_missing(frame[name], name)
        labels = pd.Index(frame[area].map(str), name=area)
        rest = frame.drop(columns=[area, *levels]).set_axis(labels, axis=0)
        return cls(labels, area, {name: level_of(frame[name]) for name in levels}, rest)

    @classmethod
    def from_geoids(cls, geoids: Sequence[str], table: pd.DataFrame | None = None) -> Self:
        """Read tract, county and state off the twelve digits of block groups.

        Parameters
        ----------
        geoids
            Texts of 12 digits (a leading zero counts), shape (N,).
        table
            Attributes, one row an area, in the same order.

        Raises
        ------
        DataError
            If one is not 12 digits long.
        """
        texts = pd.Series(list(geoids), dtype=object).map(str)
        wrong = texts[~texts.str.fullmatch(r"\d{12}")].tolist()
        if wrong:
            raise DataError(
                f"{len(wrong):,} labels are not the 12 digits of a block group "
                f"({enumerate_some(wrong)}); read GEOIDs as text, or their leading zeros are lost."
            )
        levels = {name: level_of(texts.str[:digits]) for name, digits in list(_GEOID.items())[1:]}
        labels = pd.Index(texts, name="block_group")
        rest = pd.DataFrame(index=labels) if table is None else table.set_axis(labels, axis=0)
        return cls(labels, "block_group", levels, rest)

    @property
    def size(self) -> int:
        """Return the number of finest areas."""
        return len(self.labels)

    def __repr__(self) -> str:
        sizes = [(self.size, self.name), *((level.size, n) for n, level in self.levels.items())]
        return f"Areas({' in '.join(f'{size:,} {name}' for size, name in sizes)})"

    def level(self, name: str) -> Level:
        """Return a level; the finest, by its own name, maps every area to itself.

        Raises
        ------
        SpecificationError
            If there is no such level.
        """
        if name == self.name:
            return self._finest
        if name not in self.levels:
            known = [self.name, *self.levels]
            raise SpecificationError(
                f"there is no level '{name}'{closest(name, known)}; the areas have "
                f"{', '.join(known)}."
            )
        return self.levels[name]

    @cached_property
    def _finest(self) -> Level:
        return Level(np.arange(self.size, dtype=np.int32), self.labels)

    @cached_property
    def position(self) -> "pd.Series[int]":
        """Return where each label stands, indexed by label."""
        return pd.Series(np.arange(self.size), index=self.labels)

    def parents(self, fine: str, coarse: str) -> Codes:
        """Return, for each area of level ``fine``, its own of level ``coarse``, shape (F,)."""
        return _first(self.level(fine), self.level(coarse).codes)

    def attribute(self, name: str) -> NDArray[np.float64]:
        """Return a numeric column of the table, shape (N,); missing values stay NaN.

        Raises
        ------
        DataError
            If there is no such column, or it holds no numbers.
        """
        require_columns(self.table, [name], what="the table of areas")
        try:
            return self.table[name].to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            raise DataError(f"column '{name}' of the table of areas holds no numbers.") from None

    def coarsen(self, name: str) -> Self:
        """Return the areas of a coarser level, with the levels above it and no attributes."""
        chosen = self.level(name)
        above = list(self.levels)[list(self.levels).index(name) + 1 :] if name in self.levels else (
            list(self.levels)
        )  # fmt: skip
        levels = {
            outer: Level(self.parents(name, outer), self.levels[outer].labels) for outer in above
        }
        table = pd.DataFrame(index=chosen.labels) if name in self.levels else self.table
        return type(self)(chosen.labels, name, levels, table)


def level_of(labels: "pd.Series[Any]") -> Level:
    """Turn the label of each area into a level, its names sorted as text."""
    codes, names = pd.factorize(labels.map(str), sort=True)
    return Level(codes.astype(np.int32), pd.Index(names))


def match_labels(found: pd.Index, labels: pd.Index) -> tuple[NDArray[np.intp], pd.Index, pd.Index]:
    """Return where each label stands among others, compared as text.

    Parameters
    ----------
    found
        Labels of a table, none of which repeats.
    labels
        Those looked for, shape (C,).

    Returns
    -------
    ndarray, shape (C,)
        Positions in ``found``; -1 where it lacks the label.
    Index
        Labels that ``found`` lacks.
    Index
        Labels of ``found`` that are not looked for.
    """
    if found.equals(labels):
        return np.arange(len(labels)), labels[:0], labels[:0]
    texts = pd.Index(found.map(str))
    order = np.asarray(texts.get_indexer(labels), dtype=np.intp)
    return order, labels[order < 0], texts[labels.get_indexer(texts) < 0]


def _first(inner: Level, outer: Codes) -> Codes:
    """Return the outer code of the last area of each inner one."""
    found = np.zeros(inner.size, dtype=np.int32)
    found[inner.codes] = outer
    return found


def _refuse_missing(column: "pd.Series[Any]", name: str) -> None:
    missing = np.flatnonzero(column.isna().to_numpy())
    if len(missing):
        raise DataError(
            f"column '{name}' of the table of areas is missing in {len(missing):,} rows (the "
            f"first: {enumerate_some(missing.tolist())}); every area needs a label at every level."
        )
