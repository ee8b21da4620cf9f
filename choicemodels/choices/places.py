"""The places of a choice among destinations: variables of alternatives and of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import require_columns, to_pandas

__all__ = ["PlaceTable", "place_table", "text_keys"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PlaceTable:
    """What choosers of each origin are offered, one cell for each origin and alternative.

    Attributes
    ----------
    table : DataFrame, C rows
        The variables of alternatives and pairs, the cells of an origin together.
    origins : tuple of str, length O
    alternatives : tuple of str, length J
    offsets : ndarray of int64, shape (O + 1,)
        Origin o has the cells ``offsets[o]:offsets[o + 1]``.
    origin, alternative : ndarray of int64, shape (C,)
        Positions of each cell's origin and alternative.
    """

    table: pd.DataFrame
    origins: tuple[str, ...]
    alternatives: tuple[str, ...]
    offsets: Ints
    origin: Ints
    alternative: Ints


def text_keys(column: "pd.Series[Any]", name: str, what: str) -> NDArray[Any]:
    """Return a key column as text, so that 10180, 10180.0 and "10180" are one place.

    Raises
    ------
    DataError
        If a key is missing.
    """
    if column.isna().any():
        rows = np.flatnonzero(column.isna())
        raise DataError(
            f"the column '{name}' of {what} is missing in {len(rows):,} rows (first: "
            f"{enumerate_some(rows.tolist())}); every row must say which place it is."
        )
    if pd.api.types.is_float_dtype(column) and (column % 1 == 0).all():
        column = column.astype(np.int64)
    return np.asarray(column.astype(str).to_numpy(dtype=object))


def place_table(
    alternatives: Any,
    pairs: Any,
    origins: Sequence[str],
    origin: str | None,
    alternative: str,
    stay: str | None,
) -> PlaceTable:
    """Join the variables of alternatives and pairs over what each origin is offered.

    Parameters
    ----------
    alternatives
        Table with one row for each alternative.
    pairs
        Table with one row for each origin and alternative, or None.
    origins
        The origins that occur; none if choosers have no origin.
    origin, alternative
        Key columns.
    stay
        The alternative to stay: it takes the variables of the chooser's own place, unless the
        tables have rows of its own, and the own place is no destination. None if there is none.

    Raises
    ------
    DataError
        If a key is missing, stands twice, or a pair has no row.
    SpecificationError
        If pairs or an alternative to stay are given without an origin.
    """
    if origin is None and (pairs is not None or stay is not None):
        raise SpecificationError(
            "pairs= and stay= need origin=, the column of choosers= with the own place; write "
            "stay=None if nobody can stay."
        )
    frame = to_pandas(alternatives, what="alternatives=")
    require_columns(frame, [alternative], what="alternatives=")
    keys = text_keys(frame[alternative], alternative, "alternatives=")
    _refuse_repeated(pd.Index(keys), "alternatives=")
    own_row = stay is None or stay in keys
    names = tuple(keys) if own_row else (str(stay), *keys)
    size, J = max(len(origins), 1), len(names)
    offered = np.ones((size, J), dtype=bool)
    if stay is not None:
        home = pd.Index(names).get_indexer(pd.Index(origins))
        offered[np.flatnonzero(home >= 0), home[home >= 0]] = False
    o, j = np.nonzero(offered)
    row = pd.Index(keys).get_indexer(pd.Index(names))[j]
    if not own_row:
        row = np.where(row < 0, pd.Index(keys).get_indexer(pd.Index(origins))[o], row)
    if (row < 0).any():
        lost = origins[int(o[row < 0][0])]
        raise DataError(
            f"the origin '{lost}' is not among the alternatives, so there are no values for "
            f"staying there; add a row '{stay}' to alternatives=."
        )
    table = frame.drop(columns=[alternative]).iloc[row].reset_index(drop=True)
    if pairs is not None:
        assert origin is not None
        found = _pair_rows(pairs, origin, alternative, origins, names, o, j, stay)
        _refuse_shared(table, found)
        table = pd.concat([table, found], axis=1)
    if origin is not None:
        table[origin] = np.array(origins, dtype=object)[o]
    table[alternative] = np.array(names, dtype=object)[j]
    offsets = np.searchsorted(o, np.arange(size + 1)).astype(np.int64)
    return PlaceTable(table, tuple(origins) or ("all",), names, offsets, o, j)


def _refuse_repeated(keys: "pd.Index[Any]", what: str) -> None:
    again = keys[keys.duplicated()]
    if len(again):
        raise DataError(
            f"{what} has {len(again):,} repeated rows (first: {again[0]}); give each one row."
        )


def _refuse_shared(table: pd.DataFrame, pairs: pd.DataFrame) -> None:
    both = [name for name in table if name in pairs.columns]
    if both:
        raise DataError(
            f"the column '{both[0]}' stands in alternatives= and in pairs=; rename one, so that a "
            "formula says which it means."
        )


def _pair_rows(
    pairs: Any,
    origin: str,
    alternative: str,
    origins: Sequence[str],
    names: tuple[str, ...],
    o: Ints,
    j: Ints,
    stay: str | None,
) -> pd.DataFrame:
    """Look up the variables of pairs for every cell; staying has the pair (o, stay) or (o, o)."""
    frame = to_pandas(pairs, what="pairs=")
    require_columns(frame, [origin, alternative], what="pairs=")
    index = pd.MultiIndex.from_arrays(
        [
            text_keys(frame[origin], origin, "pairs="),
            text_keys(frame[alternative], alternative, "pairs="),
        ]
    )
    _refuse_repeated(index, "pairs=")
    left, right = np.array(origins, dtype=object)[o], np.array(names, dtype=object)[j]
    row = index.get_indexer(pd.MultiIndex.from_arrays([left, right]))
    if stay is not None:
        staying = (row < 0) & (right == stay)
        row[staying] = index.get_indexer(pd.MultiIndex.from_arrays([left, left]))[staying]
    lost = np.flatnonzero(row < 0)
    if len(lost):
        first = lost[0]
        extra = (
            f" Staying needs a row ({origin}, '{stay}') or ({origin}, {origin}) in pairs=, with "
            "the values that staying has: a distance of 1, say, if the formula takes its log."
            if right[first] == stay
            else ""
        )
        raise DataError(
            f"pairs= has no row for {len(lost):,} pairs (first: {left[first]} to {right[first]})."
            f"{extra}"
        )
    return frame.drop(columns=[origin, alternative]).iloc[row].reset_index(drop=True)
