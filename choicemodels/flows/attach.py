"""Covariates of places and of pairs, looked up for every row of flows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.places import text_keys
from choicemodels.errors import DataError, enumerate_some
from choicemodels.flows.factor import Factor
from choicemodels.frames import require_columns

__all__ = ["attach", "covariates", "match_rows"]


def covariates(
    frame: pd.DataFrame, keys: Sequence[str], columns: str | Sequence[str] | None, what: str
) -> list[str]:
    """Return the columns to attach: that or those named, or all but the keys.

    Raises
    ------
    DataError
        If a column is missing, or there is none to attach.
    """
    columns = [columns] if isinstance(columns, str) else columns
    require_columns(frame, [*keys, *(columns or ())], what=what)
    chosen = [str(c) for c in frame.columns if c not in keys] if columns is None else list(columns)
    if not chosen:
        raise DataError(f"{what} has no column besides {enumerate_some(keys)} to attach.")
    return chosen


def match_rows(
    factor: Factor, frame: pd.DataFrame, keys: Sequence[str], what: str
) -> NDArray[np.int64]:
    """Find for each row of flows the row of a table with the same keys.

    Parameters
    ----------
    factor
        Joined key columns of the flows; labels are compared as text.
    frame
        The table.
    keys
        Its key columns, in the order of the factor's.
    what
        How the error message calls the table.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    DataError
        If a key repeats in the table, or one of the flows is not in it; the message names it.
    """
    code = np.zeros(len(frame), dtype=np.int64)
    known = np.ones(len(frame), dtype=np.bool_)
    for key, level in zip(keys, factor.levels, strict=True):
        labels = pd.Index(text_keys(level.to_series(), key, "the flow table"))
        digit = labels.get_indexer(pd.Index(text_keys(frame[key], key, what)))
        known &= digit >= 0
        code = code * len(labels) + digit
    rows = np.flatnonzero(known)
    index = pd.Index(code[rows])
    if index.has_duplicates:
        twice = factor.labels(index[index.duplicated()].unique().to_numpy()).tolist()
        raise DataError(
            f"{what} has several rows for {enumerate_some(twice)}; one row is needed for each "
            f"{' and '.join(keys)}."
        )
    found = index.get_indexer(pd.Index(factor.codes))
    lacking = np.flatnonzero(found < 0)
    if len(lacking):
        codes = np.unique(factor.codes[lacking])
        raise DataError(
            f"{what} has no row for {len(codes):,} of '{factor.name}' in the flows "
            f"({enumerate_some(factor.labels(codes[:5]).tolist())}); add them, or drop these flows."
        )
    return rows[found]


def attach(table: pd.DataFrame, new: dict[str, Any]) -> pd.DataFrame:
    """Return the table with further columns.

    Raises
    ------
    DataError
        If a column exists, has another length, or is more than one column.
    """
    taken = [name for name in new if name in table.columns]
    if taken:
        raise DataError(
            f"the flow table has {enumerate_some(taken)} already; rename or drop one of the two."
        )
    for name, values in new.items():
        if np.ndim(values) > 1:
            raise DataError(
                f"the new column '{name}' has the shape {np.shape(values)}; give one value a row, "
                "and each column a name of its own."
            )
        if np.ndim(values) and len(values) != len(table):
            raise DataError(
                f"the new column '{name}' has {len(values):,} values, but there are "
                f"{len(table):,} rows of flows."
            )
    plain = {name: v.array if isinstance(v, pd.Series) else v for name, v in new.items()}
    return table.assign(**plain)
