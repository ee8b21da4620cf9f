"""Boundaries that change: areas of two vintages merged to the finest that both can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.places import text_keys
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import require_columns, to_pandas
from choicemodels.migration.areas import Areas, Level
from choicemodels.migration.matrix import MigrationMatrix
from estimation.census.labels import aligned

__all__ = ["Merger", "merge_areas", "merge_margins", "merge_matrix", "merge_table"]

Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Merger:
    """Areas before and after a merger.

    Attributes
    ----------
    before, areas : Areas
        As they were, and merged.
    mapping : Series
        Name of the merged area of every label, of any vintage, indexed by label.
    """

    before: Areas
    areas: Areas
    mapping: "pd.Series[str]" = field(repr=False)

    @property
    def merged(self) -> "pd.Series[str]":
        """Return the part of the mapping that changes something."""
        changed = self.mapping.to_numpy() != self.mapping.index.to_numpy()
        found: pd.Series[str] = self.mapping.loc[changed]
        return found

    @property
    def crosswalk(self) -> pd.DataFrame:
        """Return the mapping as a table of weights, for ``FlowData.aggregate``."""
        return pd.DataFrame(
            {"from": self.mapping.index, "to": self.mapping.to_numpy(), "weight": 1.0}
        )

    def codes(self, labels: pd.Index, what: str) -> Codes:
        """Return the merged area of each label of any vintage, shape (R,).

        Raises
        ------
        DataError
            If a label is of no vintage, or of an area that the merged ones lack.
        """
        places = self.mapping.index.get_indexer(pd.Index(labels.map(str)))
        unknown = labels[places < 0].tolist()
        if unknown:
            raise DataError(
                f"{what} have {len(unknown):,} labels that neither the areas nor the relations "
                f"know ({enumerate_some(unknown)}); add the relation of their vintage."
            )
        found = self.areas.labels.get_indexer(pd.Index(self.mapping.to_numpy()[places]))
        absent = labels[found < 0].tolist()
        if absent:
            raise DataError(
                f"{what} have {len(absent):,} labels of areas that are not among the merged ones "
                f"({enumerate_some(absent)}); the areas that were merged lack them."
            )
        return found.astype(np.int64)


def merge_areas(
    areas: Areas,
    relations: Any,
    *,
    old: str = "old",
    new: str = "new",
    attributes: Mapping[str, str] | None = None,
    weight: str | None = None,
) -> Merger:
    """Merge areas until boundaries that changed lie within them.

    Areas that a relation connects, directly or over others, become one: with an old area that
    was split its parts, with two that exchanged a strip both. A rename is a relation of one to
    one. Where a merged area lies in several areas of a coarser level, these are merged too, so
    that levels nest. A merged area is named after the one area that covers it in the latest
    vintage that has such; without one after the first of its latest parts, as in ``"0100+2"``.

    Parameters
    ----------
    areas
        Of one vintage.
    relations
        A table with a row for each pair of an old area and a new one that share people, or a
        list of such tables from the oldest to the latest.
    old, new
        Columns of the tables.
    attributes
        What becomes of columns of the table of areas: ``"sum"``, ``"mean"`` (weighted by
        ``weight``) or ``"first"``; columns that are not named are dropped.
    weight
        Column to weight means by, such as the population.

    Raises
    ------
    DataError
        If a column or a label is missing.
    SpecificationError
        If there are no relations, or an attribute is to become what is not known.
    """
    sides = [
        text_keys(frame[column], column, "the relations")
        for frame in _frames(relations, old, new)
        for column in (old, new)
    ]
    own = areas.labels.map(str).to_numpy(dtype=object)
    codes, known = pd.factorize(np.concatenate([own, *sides]), sort=True)
    _, *ends = np.split(codes, np.cumsum([len(own), *map(len, sides)])[:-1])
    group = _components(len(known), ends)
    names = _names(known, group, ends)
    mapping = pd.Series(names, index=pd.Index(known))
    codes, labels = pd.factorize(names[codes[: len(own)]])
    levels, above = {}, codes
    for name, level in areas.levels.items():
        levels[name], above = _merge_level(level, above)
    table = _merge_attributes(areas, codes, pd.Index(labels), attributes or {}, weight)
    first = _first(codes, len(labels))
    merged = Areas(
        pd.Index(labels, name=areas.name),
        areas.name,
        {name: Level(level.codes[first], level.labels) for name, level in levels.items()},
        table,
    )
    return Merger(areas, merged, mapping)


def merge_matrix(matrix: MigrationMatrix, merger: Merger) -> MigrationMatrix:
    """Add up a matrix by merged areas; who moved between two that became one stayed.

    Raises
    ------
    DataError
        If an area of the matrix is not known to the merger.
    """
    from scipy.sparse import coo_array

    codes = merger.codes(matrix.areas.labels, "the matrix")
    rows = np.repeat(codes.astype(np.int32), np.diff(matrix.indptr))
    columns = codes.astype(np.int32)[matrix.indices]
    N = merger.areas.size
    sums = coo_array((matrix.values, (rows, columns)), shape=(N, N)).tocsr()
    return MigrationMatrix.from_scipy(sums, merger.areas, matrix.year)


def merge_table(
    table: "pd.DataFrame | pd.Series[Any]", merger: Merger
) -> "pd.DataFrame | pd.Series[Any]":
    """Add up a table of people by area, in the order of the merged areas.

    Parameters
    ----------
    table
        Numbers indexed by labels of one vintage, any that the merger knows.
    merger

    Raises
    ------
    DataError
        If a label is not known or stands twice, an area is missing, or a value is not finite.
    """
    return _like(table, _sum(table, merger, "the table", squares=False))


def merge_margins(
    margins: "pd.DataFrame | pd.Series[Any]", merger: Merger
) -> "pd.DataFrame | pd.Series[Any]":
    """Return the margins of error of sums by merged area: ``sqrt(sum of squares)``.

    Parameters and errors as :func:`merge_table`.
    """
    return _like(margins, _sum(margins, merger, "the margins of error", squares=True) ** 0.5)


def _like(
    table: "pd.DataFrame | pd.Series[Any]", sums: pd.DataFrame
) -> "pd.DataFrame | pd.Series[Any]":
    if not isinstance(table, pd.Series):
        return sums
    column = sums.iloc[:, 0]
    column.name = table.name
    return column


def _sum(
    table: "pd.DataFrame | pd.Series[Any]", merger: Merger, what: str, *, squares: bool
) -> pd.DataFrame:
    frame = pd.DataFrame(table)
    labels = pd.Index(frame.index.map(str))
    codes = merger.codes(labels, what)
    N = merger.areas.size
    missing = merger.areas.labels[np.bincount(codes, minlength=N) == 0].tolist()
    if missing:
        raise DataError(
            f"{what} have nothing of {len(missing):,} areas ({enumerate_some(missing)}); give "
            "every area a row."
        )
    sums = {}
    for column in frame.columns:
        values = aligned(frame[column].set_axis(labels), labels, what, "its own rows")
        sums[column] = np.bincount(codes, values**2 if squares else values, minlength=N)
    return pd.DataFrame(sums, index=merger.areas.labels)


def _frames(relations: Any, old: str, new: str) -> list[pd.DataFrame]:
    tables = relations if isinstance(relations, list | tuple) else [relations]
    if not tables:
        raise SpecificationError("there is no table of relations, so nothing is to be merged.")
    frames = [to_pandas(table, what="the table of relations") for table in tables]
    for frame in frames:
        require_columns(frame, [old, new], what="the table of relations")
    return frames


def _components(size: int, ends: Sequence[Codes]) -> Codes:
    """Return the connected component of each label."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row, column = np.concatenate(ends[::2]), np.concatenate(ends[1::2])
    graph = coo_array((np.ones(len(row)), (row, column)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _names(known: NDArray[Any], group: Codes, ends: Sequence[Codes]) -> NDArray[Any]:
    """Return the name of the component of each label, the labels being sorted.

    A label lives from the relation that first makes it to the one that ends it. In the latest
    vintage in which a component has one living label, that label covers all of it.
    """
    vintages = len(ends) // 2
    born, died = np.full(len(known), -1), np.full(len(known), vintages)
    for k in range(vintages):
        was, is_ = (np.bincount(end, minlength=len(known)) > 0 for end in ends[2 * k : 2 * k + 2])
        born[is_ & ~was] = k
        died[was & ~is_] = k
    names = np.full(int(group.max()) + 1, None, dtype=object)
    fallback = names.copy()
    for k in range(vintages - 1, -2, -1):
        living = np.flatnonzero((born <= k) & (k < died))
        count = np.bincount(group[living], minlength=len(names))
        first = living[_first(group[living], len(names))]
        alone = (count == 1) & pd.isna(names)
        names[alone] = known[first[alone]]
        several = (count > 1) & pd.isna(fallback)
        fallback[several] = [f"{known[i]}+{count[group[i]] - 1}" for i in first[several]]
    return np.where(pd.isna(names), fallback, names)[group]


def _first(codes: Codes, size: int) -> Codes:
    """Return where each code stands first, shape (size,); zero where it does not."""
    first = np.zeros(size, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first


def _merge_level(level: Level, inner: Codes) -> tuple[Level, Codes]:
    """Merge the areas of a level that share a merged area within; return them by finest area."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    shape = (level.size + int(inner.max()) + 1,) * 2
    graph = coo_array((np.ones(len(inner)), (level.codes, level.size + inner)), shape=shape)
    group = np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)[: level.size]
    count = np.bincount(group)
    first = level.labels[_first(group, len(count))]
    names = [f"{x}+{n - 1}" if n > 1 else str(x) for x, n in zip(first, count, strict=True)]
    codes, labels = pd.factorize(np.array(names, dtype=object)[group][level.codes], sort=True)
    return Level(codes.astype(np.int32), pd.Index(labels)), codes.astype(np.int64)


def _merge_attributes(
    areas: Areas,
    codes: Codes,
    labels: pd.Index,
    attributes: Mapping[str, str],
    weight: str | None,
) -> pd.DataFrame:
    N = len(labels)
    found: dict[str, Any] = {}
    for name, how in attributes.items():
        require_columns(areas.table, [name], what="the table of areas")
        if how == "first":
            found[name] = areas.table[name].to_numpy()[_first(codes, N)]
        elif how == "sum":
            found[name] = np.bincount(codes, areas.attribute(name), minlength=N)
        elif how == "mean":
            w = np.ones(areas.size) if weight is None else areas.attribute(weight)
            total = np.bincount(codes, w, minlength=N)
            # Where nobody lives all parts weigh alike.
            w = np.where(total[codes] > 0, w, 1.0)
            total = np.bincount(codes, w, minlength=N)
            found[name] = np.bincount(codes, w * areas.attribute(name), minlength=N) / total
        else:
            raise SpecificationError(
                f"the attribute '{name}' shall become '{how}'; it is 'sum', 'mean' or 'first'."
            )
    return pd.DataFrame(found, index=pd.Index(labels, name=areas.name))
