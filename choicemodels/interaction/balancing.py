"""Balancing a matrix to known margins (Furness, iterative proportional fitting)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from choicemodels.errors import DataError, EstimationError, SpecificationError, enumerate_some

__all__ = ["Balanced", "CellBalance", "balance", "balance_cells", "refuse_other_labels", "totals"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

# Totals of the two margins may differ by rounding, and by no more.
_SAME_TOTAL = 1e-9


@dataclass(frozen=True, eq=False)
class CellBalance:
    """Factors that bring cells to their margins.

    Attributes
    ----------
    row_factors : ndarray, shape (O,)
    column_factors : ndarray, shape (D,)
    residual : float
        Largest distance of a margin from its total, as a share of the total.
    iterations : int
        Sweeps over the cells.
    """

    row_factors: Array
    column_factors: Array
    residual: float
    iterations: int


@dataclass(frozen=True, eq=False)
class Balanced:
    """A matrix that meets its margins.

    Attributes
    ----------
    matrix : ndarray, shape (O, D)
        ``row_factors[:, None] * seed * column_factors``.
    row_factors : ndarray, shape (O,)
        Wilson's A times the row totals; the level of the factors is carried here.
    column_factors : ndarray, shape (D,)
        Wilson's B times the column totals; their geometric mean is one.
    residual : float
        Largest distance of a margin from its total, as a share of the total.
    iterations : int
        Sweeps over the matrix.
    """

    matrix: Array
    row_factors: Array
    column_factors: Array
    residual: float
    iterations: int


def balance(
    seed: ArrayLike | pd.DataFrame,
    rows: ArrayLike | pd.Series,
    columns: ArrayLike | pd.Series,
    *,
    tol: float = 1e-12,
    max_iterations: int = 10_000,
) -> Balanced:
    """Scale the rows and columns of a matrix until they add up to given totals.

    The result is the matrix nearest to the seed, in the sense of information, among those with
    these margins [DemingStephan1940]_; in Wilson's terms it holds the doubly constrained flows
    ``A_i O_i B_j D_j seed_ij`` [Wilson1971]_.

    Parameters
    ----------
    seed
        Matrix of shape (O, D), zero or more. Zeros stay zeros. The labels of a DataFrame name
        rows and columns in messages.
    rows, columns
        Totals, shapes (O,) and (D,), zero or more, with the same sum. They are matched by
        position; labels on both sides must agree.
    tol
        The largest residual that ends the sweeps: of a margin, as a share of its total.
    max_iterations
        Sweeps at most.

    Raises
    ------
    DataError
        If a value is negative or not finite, the labels, the shapes or the sums of the margins
        disagree, or the zeros of the seed cannot carry the margins: the message names rows whose
        totals exceed those of all the columns that they reach.
    EstimationError
        If the sweeps end before the residual is small enough.
    """
    names = _labels(seed)
    if isinstance(seed, pd.DataFrame):
        refuse_other_labels("row", rows, seed.index)
        refuse_other_labels("column", columns, seed.columns)
    values = np.asarray(seed, dtype=np.float64)
    r, c = (np.asarray(side, dtype=np.float64) for side in (rows, columns))
    if values.ndim != 2 or r.shape != values.shape[:1] or c.shape != values.shape[1:]:
        raise DataError(
            f"the seed has the shape {values.shape}, with {r.shape} row and {c.shape} column "
            "totals; give one total for each row and each column of a matrix."
        )
    for what, part in (("seed", values), ("row totals", r), ("column totals", c)):
        bad = np.argwhere(~(np.isfinite(part) & (part >= 0)))
        if len(bad):
            where = tuple(bad[0].tolist())
            raise DataError(
                f"the {what} are negative or not finite in {len(bad):,} places (the first, at "
                f"{enumerate_some(where)}, holds {part[where]}); counts are zero or more."
            )
    row, column = np.nonzero(values)
    found = balance_cells(
        values[row, column], row, column, r, c, tol=tol, max_iterations=max_iterations, names=names
    )
    matrix = found.row_factors[:, None] * values * found.column_factors
    return Balanced(
        matrix, found.row_factors, found.column_factors, found.residual, found.iterations
    )


def _labels(seed: Any) -> tuple[Sequence[object], Sequence[object]] | None:
    if isinstance(seed, pd.DataFrame):
        return seed.index.tolist(), seed.columns.tolist()
    return None


def refuse_other_labels(side: str, wanted: Any, labels: pd.Index, what: str = "seed") -> None:
    """Refuse totals of rows or columns that are labelled otherwise than the matrix.

    Parameters
    ----------
    side
        ``"row"`` or ``"column"``.
    wanted
        The totals; only a Series with labels of its own is looked at.
    labels
        Of that side of the matrix.
    what
        How the message calls the matrix.

    Raises
    ------
    DataError
        If the labels, or their order, differ.
    """
    if not isinstance(wanted, pd.Series) or isinstance(wanted.index, pd.RangeIndex):
        return
    if not wanted.index.equals(labels):
        raise DataError(
            f"the {side} totals are labelled {enumerate_some(wanted.index.tolist())}, but the "
            f"{side}s of the {what} {enumerate_some(labels.tolist())}; bring them into the same "
            "order first."
        )


def balance_cells(
    values: Array,
    row: Codes,
    column: Codes,
    rows: Array,
    columns: Array,
    *,
    tol: float = 1e-12,
    max_iterations: int = 10_000,
    names: tuple[Sequence[object], Sequence[object]] | None = None,
) -> CellBalance:
    """Find the factors of cells that are given one by one.

    Parameters
    ----------
    values : (N,)
        Cells above zero; all others are zero.
    row, column : (N,)
        Where each cell stands.
    rows, columns : (O,), (D,)
        Totals.
    tol, max_iterations
        As of :func:`balance`.
    names
        Labels of the rows and of the columns, for messages.

    Raises
    ------
    DataError, EstimationError
        As :func:`balance`.
    """
    if not 0 < tol < 1:
        raise SpecificationError(f"tol is {tol}; it must lie between 0 and 1.")
    labels = names or (range(len(rows)), range(len(columns)))
    _refuse_different_totals(rows, columns)
    live = (rows[row] > 0) & (columns[column] > 0)
    values, row, column = values[live], row[live], column[live]
    _refuse_empty("row", "column", labels[0], rows, np.bincount(row, minlength=len(rows)))
    _refuse_empty("column", "row", labels[1], columns, np.bincount(column, minlength=len(columns)))
    A, B = (rows > 0).astype(np.float64), (columns > 0).astype(np.float64)
    cells, iteration = _cells(values, row, column, (len(rows), len(columns))), 0
    while True:
        # The columns fit once they have been scaled: what is left is the rows' distance.
        reach = cells.over_columns(B)
        residual = _residual(A * reach, rows)
        if iteration and (residual <= tol or iteration >= max_iterations):
            break
        A = _over(rows, reach)
        B = _over(columns, cells.over_rows(A))
        iteration += 1
        # What cannot converge shows early, and need not run to the end.
        if iteration in (100, 1_000, max_iterations) and len(values) < rows.size * columns.size:
            _refuse_infeasible(A, row, column, rows, columns, labels)
    if residual > tol:
        raise EstimationError(
            f"balancing left a margin {residual:.2g} of its total away after {iteration:,} "
            "sweeps; raise max_iterations, or look for zeros in the seed that leave the margins "
            "only just possible."
        )
    level = np.exp(np.log(B[B > 0]).mean()) if (B > 0).any() else 1.0
    return CellBalance(A * level, B / level, float(residual), iteration)


@dataclass(frozen=True, eq=False)
class _Matrix:
    """A matrix of which most cells are there."""

    matrix: Array

    def over_columns(self, B: Array) -> Array:
        return np.asarray(np.einsum("od,d->o", self.matrix, B))

    def over_rows(self, A: Array) -> Array:
        return np.asarray(np.einsum("od,o->d", self.matrix, A))


@dataclass(frozen=True, eq=False)
class _Cells:
    """A matrix of which few cells are there."""

    values: Array
    row: Codes
    column: Codes
    shape: tuple[int, int]

    def over_columns(self, B: Array) -> Array:
        return totals(self.row, self.values * B[self.column], self.shape[0])

    def over_rows(self, A: Array) -> Array:
        return totals(self.column, self.values * A[self.row], self.shape[1])


def _cells(values: Array, row: Codes, column: Codes, shape: tuple[int, int]) -> _Matrix | _Cells:
    if 5 * len(values) < shape[0] * shape[1]:
        return _Cells(values, row, column, shape)
    matrix = np.zeros(shape)
    np.add.at(matrix, (row, column), values)
    return _Matrix(matrix)


def totals(code: Codes, values: Array, count: int) -> Array:
    """Add up the values of each of ``count`` codes."""
    return np.asarray(np.bincount(code, values, minlength=count), dtype=np.float64)


def _over(total: Array, reach: Array) -> Array:
    return np.divide(total, reach, out=np.zeros_like(total), where=(total > 0) & (reach > 0))


def _residual(sums: Array, wanted: Array) -> float:
    """Return the largest relative distance of a margin from its total."""
    some = wanted > 0
    return float((np.abs(sums[some] - wanted[some]) / wanted[some]).max(initial=0.0))


def _refuse_different_totals(rows: Array, columns: Array) -> None:
    R, C = float(rows.sum()), float(columns.sum())
    if abs(R - C) > _SAME_TOTAL * max(R, C):
        raise DataError(
            f"the row totals sum to {R:,.10g} and the column totals to {C:,.10g}, a difference of "
            f"{R - C:,.10g}: no matrix has both; scale one side to the other first."
        )
    if R == 0:
        raise DataError("every margin is zero; there is nothing to balance.")


def _refuse_empty(
    side: str, other: str, labels: Sequence[object], wanted: Array, cells: Codes
) -> None:
    empty = np.flatnonzero((wanted > 0) & (cells == 0))
    if len(empty):
        raise DataError(
            f"{len(empty):,} {side}s have a positive total but only zeros in the seed, {other}s "
            f"without a total left aside ({enumerate_some([labels[i] for i in empty.tolist()])}); "
            "give the seed a positive cell there, or set the total to zero."
        )


def _refuse_infeasible(
    A: Array,
    row: Codes,
    column: Codes,
    rows: Array,
    columns: Array,
    labels: tuple[Sequence[object], Sequence[object]],
) -> None:
    """Look for rows whose totals exceed those of every column they reach.

    Where there is no solution, the factors of such rows outgrow the others: the sets to try are
    the rows with the largest factors. What is found is proof in itself.
    """
    # Where the other side's factors have run to zero, a row has lost its own.
    size = np.log(A, out=np.full_like(A, np.inf), where=A > 0)
    order = np.lexsort((-size, rows == 0))
    rank = np.empty(len(A), dtype=np.int64)
    rank[order] = np.arange(len(A))
    first = np.full(len(columns), len(A))
    np.minimum.at(first, column, rank[row])
    reached = np.bincount(first, columns, minlength=len(A) + 1)[: len(A)].cumsum()
    excess = rows[order].cumsum() - reached
    worst = int(excess.argmax())
    if excess[worst] <= _SAME_TOTAL * rows.sum():
        return
    some = [labels[0][i] for i in order[: worst + 1].tolist()]
    theirs = [labels[1][j] for j in np.flatnonzero(first <= worst).tolist()]
    raise DataError(
        f"no matrix with these zeros has these margins: rows {enumerate_some(some)} total "
        f"{rows[order[: worst + 1]].sum():,.10g}, but the only columns they reach "
        f"({enumerate_some(theirs)}) total {reached[worst]:,.10g}; open a cell of the seed, or "
        "change the margins."
    )
