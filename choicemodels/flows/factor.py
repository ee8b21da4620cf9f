"""Labels as integers, for grouping, joining and absorbing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some

__all__ = ["Factor", "compress", "factor_of", "outnumber", "sorted_codes"]

# Codes stay 64-bit: the product of two level counts soon outgrows 32 bits.
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Factor:
    """A categorical column, or several joined by ``^``, as integers.

    Attributes
    ----------
    name : str
        As in the formula, e.g. ``"origin^year"``.
    codes : ndarray of int64, shape (N,)
        Between 0 and ``size - 1``; not every code need occur.
    levels : tuple of Index
        The labels of each joined column; the last varies fastest in the code.
    """

    name: str
    codes: Codes
    levels: tuple[pd.Index, ...]

    @property
    def size(self) -> int:
        """Number of codes that could occur."""
        return int(np.prod([len(level) for level in self.levels], dtype=np.int64))

    def labels(self, codes: Codes) -> pd.Index:
        """Return the labels of ``codes``; for joined columns as ``"AT11^2006"``."""
        parts: list[pd.Index[Any]] = []
        for level in reversed(self.levels):
            codes, digit = np.divmod(codes, len(level))
            parts.append(level.take(digit))
        if len(parts) == 1:
            return parts[0]
        text = [part.map(str) for part in reversed(parts)]
        return pd.Index(["^".join(pieces) for pieces in zip(*text, strict=True)], dtype=object)


def factor_of(column: "pd.Series[Any]", name: str) -> Factor:
    """Code one column, its labels in sorted order.

    Parameters
    ----------
    column
        Of the flow table.
    name
        What to call it.

    Raises
    ------
    DataError
        If a label is missing; the message names the rows.
    """
    codes, levels = sorted_codes(column)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise DataError(
            f"column '{name}' of the flow table has no label in {len(missing):,} rows "
            f"(rows {enumerate_some(missing.tolist())}); drop them or fill them in."
        )
    return Factor(name, codes.astype(np.int64), (levels,))


def outnumber(size: int, rows: int) -> bool:
    """Say whether far more codes could occur than there are rows, too many to count each."""
    return size > 8 * rows + 1024


def compress(codes: Codes, size: int) -> tuple[Codes, int, Codes | None]:
    """Close the gaps between codes where far more of them could occur than there are rows.

    Parameters
    ----------
    codes
        Shape (N,), between 0 and ``size - 1``; their order stays.
    size
        How many could occur, such as origins times destinations.

    Returns
    -------
    ndarray of int64, shape (N,)
        Codes.
    int
        One more than the largest possible of them.
    ndarray of int64 or None
        The code that was given for each number; None if the codes are as they were.
    """
    if not outnumber(size, len(codes)):
        return codes, size, None
    given, numbers = np.unique(codes, return_inverse=True)
    return numbers.astype(np.int64), len(given), given


def sorted_codes(column: "pd.Series[Any]") -> tuple[Codes, pd.Index]:
    """Factorize a column, its levels sorted where they can be."""
    try:
        codes, levels = pd.factorize(column, sort=True)
    except TypeError:  # labels of mixed kinds have no order
        codes, levels = pd.factorize(column)
    if isinstance(levels, pd.CategoricalIndex):
        levels = levels.astype(levels.categories.dtype)
    return codes, pd.Index(levels)
