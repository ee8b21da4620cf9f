"""Flows between matrices and rows: a missing cell is no row, a zero is one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from choicemodels.errors import DataError, SpecificationError, enumerate_some

__all__ = ["refuse_two_types", "stack_matrices", "stack_matrix"]


def stack_matrix(
    matrix: Any,
    names: tuple[str, str, str],
    origins: Sequence[Any] | None = None,
    destinations: Sequence[Any] | None = None,
    *,
    what: str = "the matrix",
) -> tuple[pd.DataFrame, int]:
    """Turn a matrix, origins by destinations, into rows.

    Parameters
    ----------
    matrix
        A DataFrame with labels, or an array, shape (O, D).
    names
        What to call the columns of origins, destinations and values.
    origins, destinations
        Labels of an array; without ``destinations`` those of the origins.
    what
        How the error message calls the matrix.

    Returns
    -------
    DataFrame
        A row for each cell that is not missing.
    int
        Number of missing cells.

    Raises
    ------
    DataError
        If labels are missing, repeat, do not fit the shape, or are of two types.
    SpecificationError
        If labels are given to a DataFrame, which has its own.
    """
    if isinstance(matrix, pd.DataFrame):
        if origins is not None or destinations is not None:
            raise SpecificationError(f"{what} has labels of its own; leave origins= out.")
        rows, columns = matrix.index, matrix.columns
    else:
        if origins is None:
            raise DataError(f"{what} is an array without labels; name its rows by origins=.")
        rows = pd.Index(origins)
        columns = rows if destinations is None else pd.Index(destinations)
    values = _numbers(matrix, what)
    if values.ndim != 2 or values.shape != (len(rows), len(columns)):
        raise DataError(
            f"{what} has the shape {values.shape}, but there are {len(rows)} origins and "
            f"{len(columns)} destinations; give one label to each row and each column."
        )
    _refuse_labels(rows, columns, what)
    known = ~np.isnan(values)
    o, d = np.nonzero(known)
    table = pd.DataFrame(
        dict(zip(names, (rows.take(o), columns.take(d), values[o, d]), strict=True))
    )
    return table, int(values.size - len(o))


def stack_matrices(
    matrices: Mapping[Any, Any],
    names: tuple[str, str, str, str],
    origins: Sequence[Any] | None = None,
    destinations: Sequence[Any] | None = None,
) -> tuple[pd.DataFrame, int]:
    """Turn matrices by period into rows; see :func:`stack_matrix`.

    Parameters
    ----------
    matrices
        By period; their places may differ.
    names
        What to call the columns of origins, destinations, values and periods.
    origins, destinations
        Labels of arrays.

    Raises
    ------
    DataError
        If there is no matrix, or one cannot be read.
    """
    if not matrices:
        raise DataError("no matrix was given; the mapping from periods to matrices is empty.")
    tables, missing = [], 0
    for period, matrix in matrices.items():
        what = f"the matrix of {period}"
        table, gaps = stack_matrix(matrix, names[:3], origins, destinations, what=what)
        tables.append(table.assign(**{names[3]: period}))
        missing += gaps
    return pd.concat(tables, ignore_index=True), missing


def _numbers(matrix: Any, what: str) -> Any:
    try:
        if isinstance(matrix, pd.DataFrame):
            return matrix.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise DataError(f"{what} holds what is not a number: {problem}.") from None


def _refuse_labels(rows: pd.Index, columns: pd.Index, what: str) -> None:
    for side, labels in (("rows", rows), ("columns", columns)):
        if isinstance(labels, pd.MultiIndex):
            raise DataError(
                f"the {side} of {what} have labels of {labels.nlevels} parts; join them, so that "
                "each place has one label."
            )
        if labels.hasnans:
            raise DataError(f"a label of the {side} of {what} is missing.")
        twice = labels[labels.duplicated()].unique().tolist()
        if twice:
            raise DataError(
                f"{enumerate_some(twice)} labels several {side} of {what}; add them up, or give "
                "each place a label of its own."
            )
    refuse_two_types(rows, columns, f"the rows and columns of {what}")


def refuse_two_types(origins: pd.Index, destinations: pd.Index, what: str) -> None:
    """Refuse labels that only agree as text: place 1 and place "1" would be two.

    Parameters
    ----------
    origins, destinations
        Their labels.
    what
        How the message calls the two sides together.

    Raises
    ------
    DataError
        If no label is on both sides, but some read alike.
    """
    if len(origins.intersection(destinations)) == 0:
        alike = origins.map(str).intersection(destinations.map(str)).tolist()
        if alike:
            raise DataError(
                f"{what} are labelled in different types: "
                f"{enumerate_some(alike)} is {origins.inferred_type} among the origins and "
                f"{destinations.inferred_type} among the destinations; convert one."
            )
