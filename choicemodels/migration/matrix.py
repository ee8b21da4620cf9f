"""A matrix of who lived where a year ago, sparse and labelled."""

from dataclasses import dataclass, replace
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

    from choicemodels.flows.flowdata import FlowData

__all__ = ["AreaFlows", "MigrationMatrix"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AreaFlows:
    """People by the coarser area they lived in and live in.

    Attributes
    ----------
    areas : Areas
        Of the coarser level.
    stayers : ndarray, shape (C,)
        People who did not change their *finest* area.
    movers : csr_array, shape (C, C)
        People who did; those who stayed within the coarser area stand on the diagonal.
    """

    areas: Areas
    stayers: Array
    movers: "csr_array[Any]"

    @property
    def before(self) -> Array:
        """Return the people by area a year ago, shape (C,)."""
        return np.asarray(self.movers.sum(axis=1) + self.stayers)

    @property
    def after(self) -> Array:
        """Return the people by area now, shape (C,)."""
        return np.asarray(self.movers.sum(axis=0) + self.stayers)

    @property
    def flows(self) -> "csr_array[Any]":
        """Return everybody, stayers on the diagonal, shape (C, C)."""
        from scipy.sparse import csr_array, diags_array

        return csr_array(self.movers + diags_array(self.stayers, format="csr"))

    def change(self, other: Self) -> float:
        """Return how many people stand elsewhere in other flows with the same pairs.

        Half the sum of the absolute differences, in people.
        """
        movers = np.abs(self.movers.data - other.movers.data).sum()
        return float((movers + np.abs(self.stayers - other.stayers).sum()) / 2)

    def to_frame(self) -> pd.DataFrame:
        """Return everybody as a dense table, origins by destinations, shape (C, C)."""
        labels = self.areas.labels
        return pd.DataFrame(self.flows.toarray(), index=labels, columns=labels)


@dataclass(frozen=True, eq=False, repr=False)
class MigrationMatrix:
    """People by the area they lived in a year ago (rows) and live in now (columns).

    The diagonal holds those who did not leave their area. Rows are stored one after the other
    (compressed sparse rows) with sorted columns.

    Attributes
    ----------
    areas : Areas
    indptr : ndarray of int64, shape (N + 1,)
        Row i holds the places ``indptr[i]`` to ``indptr[i + 1]`` of the next two.
    indices : ndarray of int32, shape (Z,)
        Columns.
    values : ndarray, shape (Z,)
        People: counts or expectations, zero or more.
    year : int, optional
        The year t in which people are asked where they lived in t - 1.

    Raises
    ------
    DataError
        If the shapes disagree, columns are unsorted or repeat, or a value is negative or not
        finite; the message names the areas.
    """

    areas: Areas
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: Array
    year: int | None = None

    def __post_init__(self) -> None:
        for name, dtype in (("indptr", np.int64), ("indices", np.int32), ("values", np.float64)):
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            object.__setattr__(self, name, array)
        N, Z = self.areas.size, len(self.indices)
        if self.indptr.shape != (N + 1,) or self.values.shape != (Z,) or self.indptr[-1] != Z:
            raise DataError(
                f"the matrix does not fit {N:,} areas: it needs {N + 1:,} row pointers that "
                f"end with the number of nonzeros; got {len(self.indptr):,} pointers, {Z:,} "
                f"columns and {len(self.values):,} values."
            )
        self._refuse_values()
        self._refuse_order()

    def __repr__(self) -> str:
        when = "" if self.year is None else f", {self.year}"
        return f"MigrationMatrix({self.nnz:,} pairs of {self.areas!r}{when})"

    def _refuse_values(self) -> None:
        # The smallest and largest value tell without a mask as long as the matrix.
        if len(self.values) == 0 or (self.values.min() >= 0 and self.values.max() < np.inf):
            return
        bad = np.flatnonzero(~((self.values >= 0) & (self.values < np.inf)))
        raise DataError(
            f"{len(bad):,} nonzeros are negative or not finite (the first, {self._pair(bad[0])}, "
            f"is {self.values[bad[0]]}); people are counted from zero."
        )

    def _refuse_order(self) -> None:
        if len(self.indices) == 0:
            return
        if self.indices.min() < 0 or self.indices.max() >= self.areas.size:
            raise DataError(f"a column lies outside of the {self.areas.size:,} areas.")
        from choicemodels.migration.matrix_kernels import first_disorder

        if np.any(np.diff(self.indptr) < 0):
            raise DataError("the row pointers of the matrix go down; they must go up.")
        k = first_disorder(self.indptr, self.indices)
        if k >= 0:
            what = "repeats" if self.indices[k] == self.indices[k - 1] else "is out of order"
            raise DataError(
                f"the nonzero {self._pair(k)} {what}: columns must rise within each row, and each "
                "pair must stand once. from_rows and from_scipy sort and add up."
            )

    def _pair(self, k: int) -> str:
        row = int(np.searchsorted(self.indptr, k, side="right")) - 1
        return f"{self.areas.labels[row]} → {self.areas.labels[self.indices[k]]}"

    @classmethod
    def from_scipy(cls, matrix: Any, areas: Areas, year: int | None = None) -> Self:
        """Take a scipy sparse matrix, shape (N, N); pairs that repeat are added up.

        Raises
        ------
        DataError
            If its shape is not that of the areas, or a value is negative or not finite.
        """
        if matrix.shape != (areas.size, areas.size):
            raise DataError(
                f"the matrix has the shape {matrix.shape}, but there are {areas.size:,} areas; "
                "rows and columns must be the areas, in their order."
            )
        sparse: Any = matrix.tocsr()
        if not sparse.has_canonical_format:
            sparse = sparse.copy()
            sparse.sum_duplicates()
        return cls(areas, sparse.indptr, sparse.indices, sparse.data, year)

    @classmethod
    def from_rows(
        cls,
        table: Any,
        areas: Areas,
        *,
        origin: str = "origin",
        destination: str = "destination",
        people: str = "people",
        year: int | None = None,
    ) -> Self:
        """Read a table with a row for each pair of areas.

        Parameters
        ----------
        table
            A pandas, polars, Arrow or DuckDB table.
        areas
        origin, destination, people
            Its columns; the first two hold labels of areas.
        year

        Raises
        ------
        DataError
            If a column is missing, a label is no area's, a pair repeats, or people are negative
            or not finite.
        """
        from scipy.sparse import coo_array

        frame = to_pandas(table, what="the table of moves")
        require_columns(frame, [origin, destination, people], what="the table of moves")
        values = numeric_column(frame, people, what="the table of moves")
        row, column = (_positions(frame[name], areas, name) for name in (origin, destination))
        sparse: Any = coo_array((values, (row, column)), shape=(areas.size, areas.size)).tocsr()
        if sparse.nnz < len(values):
            key = pd.Series(row * areas.size + column)
            first = int(np.flatnonzero(key.duplicated().to_numpy())[0])
            raise DataError(
                f"{len(values) - sparse.nnz:,} rows of the table of moves repeat a pair (the "
                f"first: {areas.labels[row[first]]} → {areas.labels[column[first]]}, row {first}); "
                "add them up first."
            )
        sparse.sort_indices()
        return cls(areas, sparse.indptr, sparse.indices, sparse.data, year)

    @property
    def nnz(self) -> int:
        """Return the number of stored pairs."""
        return len(self.indices)

    @cached_property
    def before(self) -> Array:
        """Return the people by area a year ago: sums of the rows, shape (N,)."""
        from choicemodels.migration.matrix_kernels import row_sums

        return row_sums(self.indptr, self.values)

    @cached_property
    def after(self) -> Array:
        """Return the people by area now: sums of the columns, shape (N,)."""
        from choicemodels.migration.matrix_kernels import column_sums

        return column_sums(self.indptr, self.indices, self.values, self.areas.size)

    @cached_property
    def stayers(self) -> Array:
        """Return those who did not leave their area: the diagonal, shape (N,)."""
        from choicemodels.migration.matrix_kernels import diagonal

        return diagonal(self.indptr, self.indices, self.values)

    @property
    def total(self) -> float:
        """Return the number of people."""
        return float(self.before.sum())

    @property
    def flows(self) -> "csr_array[Any]":
        """Return everybody as scipy's matrix, sharing the arrays, shape (N, N)."""
        from scipy.sparse import csr_array

        shape = (self.areas.size, self.areas.size)
        return csr_array((self.values, self.indices, self.indptr), shape=shape)

    def with_values(self, values: Array) -> Self:
        """Return the same pairs with other people, shape (Z,)."""
        return replace(self, values=values)

    def aggregate(self, level: str) -> AreaFlows:
        """Add people up by the areas of a coarser level.

        Parameters
        ----------
        level
            Name of a level of ``areas``.
        """
        from scipy.sparse import csr_array

        from choicemodels.migration.matrix_kernels import group_sums

        group = self.areas.level(level)
        indptr, indices, values = group_sums(
            group.codes, group.size, self.indptr, self.indices, self.values
        )
        movers = csr_array((values, indices, indptr), shape=(group.size, group.size))
        stayers = group.totals(self.stayers)
        return AreaFlows(self.areas.coarsen(level), stayers, movers)

    def change(self, other: Self) -> float:
        """Return how many people stand elsewhere in another matrix with the same pairs.

        Half the sum of the absolute differences, in people.
        """
        return float(np.abs(self.values - other.values).sum() / 2)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each stored pair: origin, destination, people."""
        rows = np.repeat(np.arange(self.areas.size), np.diff(self.indptr))
        labels = self.areas.labels
        return pd.DataFrame(
            {
                "origin": labels.take(rows),
                "destination": labels.take(self.indices),
                "people": self.values,
            }
        )

    def to_flows(self, level: str | None = None) -> "FlowData":
        """Return flows for the gravity models, pairs that are stored only.

        Parameters
        ----------
        level
            Adds up to this level first; None keeps the finest areas.
        """
        from choicemodels.flows.flowdata import FlowData

        if level is None or level == self.areas.name:
            table = self.to_frame()
        else:
            sums = self.aggregate(level)
            cells = sums.flows.tocoo()
            labels = sums.areas.labels
            table = pd.DataFrame(
                {
                    "origin": labels.take(cells.row),
                    "destination": labels.take(cells.col),
                    "people": cells.data,
                }
            )
        if self.year is None:
            return FlowData(table, "origin", "destination", "people")
        return FlowData(table.assign(year=self.year), "origin", "destination", "people", "year")


def _positions(column: "pd.Series[Any]", areas: Areas, name: str) -> NDArray[np.int64]:
    found = areas.labels.get_indexer(pd.Index(column.map(str)))
    strangers = column[found < 0].unique().tolist()
    if strangers:
        raise DataError(
            f"column '{name}' names {len(strangers):,} places that are no {areas.name} of the "
            f"table of areas ({enumerate_some(strangers)}); add them there, or leave these moves "
            "out."
        )
    return found.astype(np.int64)
