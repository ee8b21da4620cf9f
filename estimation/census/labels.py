"""Tables by area, brought into one order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some
from choicemodels.migration.areas import match_labels

__all__ = ["aligned", "aligned_matrix", "refuse_negative"]

Array = NDArray[np.float64]


def aligned(table: "pd.Series[Any]", labels: pd.Index, what: str, whose: str) -> Array:
    """Return the numbers of a table by area in the order of ``labels``, shape (C,).

    Parameters
    ----------
    table
        Indexed by label; texts and numbers that read alike are one label.
    labels
        Of the areas; the table has them all and no other.
    what, whose
        How messages call the table, and who has these labels (``"level 'state'"``).

    Raises
    ------
    DataError
        If a label is missing, strange or stands twice, or a value is no finite number.
    """
    order = _order(table.index, labels, what, whose)
    try:
        values = table.to_numpy(dtype=np.float64, na_value=np.nan)[order]
    except (TypeError, ValueError):
        raise DataError(
            f"{what} must be numbers, and some are text; convert or mend them."
        ) from None
    bad = labels[~np.isfinite(values)].tolist()
    if bad:
        raise DataError(
            f"{what} must be finite numbers, and not so in {len(bad):,} areas of {whose} "
            f"({enumerate_some(bad)}); fill them in, or merge these areas with others."
        )
    return values


def aligned_matrix(table: pd.DataFrame, labels: pd.Index, what: str, whose: str) -> Array:
    """Return a table of origins by destinations in the order of ``labels``, shape (C, C).

    Raises
    ------
    DataError
        As :func:`aligned`, for rows or columns.
    """
    rows = _order(table.index, labels, f"the rows of {what}", whose)
    columns = _order(table.columns, labels, f"the columns of {what}", whose)
    try:
        values = table.to_numpy(dtype=np.float64, na_value=np.nan)[np.ix_(rows, columns)]
    except (TypeError, ValueError):
        raise DataError(
            f"{what} must be numbers, and some are text; convert or mend them."
        ) from None
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        named = [f"{labels[i]} → {labels[j]}" for i, j in bad]
        raise DataError(
            f"{what} must be finite numbers, and not so in {len(bad):,} cells "
            f"({enumerate_some(named)}); a flow that was not observed is zero, and zeros are never "
            "imposed."
        )
    return values


def refuse_negative(values: Array, labels: Sequence[Any] | pd.Index, what: str, why: str) -> None:
    """Raise if a number of people is negative.

    Raises
    ------
    DataError
        Naming the areas with the most negative numbers.
    """
    bad = np.flatnonzero(values < 0)
    if len(bad):
        worst = bad[np.argsort(values[bad], kind="stable")]
        named = [f"{labels[k]} ({values[k]:,.0f})" for k in worst]
        raise DataError(f"{what} cannot be below zero, as in {enumerate_some(named)}; {why}.")


def _order(index: pd.Index, labels: pd.Index, what: str, whose: str) -> NDArray[np.intp]:
    """Return where each label stands in the index."""
    texts = index if index.equals(labels) else pd.Index(index.map(str))
    if not texts.is_unique:
        twice = texts[texts.duplicated()].unique().tolist()
        raise DataError(
            f"{what} must not repeat an area, as {enumerate_some(twice)}; add its rows up."
        )
    order, missing, strange = match_labels(texts, labels)
    if len(missing) or len(strange):
        parts = [
            f"{len(names):,} {fault} ({enumerate_some(names.tolist())})"
            for names, fault in ((missing, "areas are missing"), (strange, "labels are of none"))
            if len(names)
        ]
        raise DataError(
            f"{what} must have the {len(labels):,} areas of {whose}, but {' and '.join(parts)}; "
            "labels are compared as text, leading zeros included."
        )
    return order
