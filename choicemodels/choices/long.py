"""From a table with a row for each alternative of each case to codes, and what is wrong with it."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.check import Problem
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest, numeric_column

__all__ = [
    "NO_OFFER",
    "alternative_codes",
    "case_offsets",
    "check_offers",
    "check_panel",
    "check_weights",
    "chosen_rows",
    "flags",
    "together",
]

NO_OFFER = "no alternative available"

Ints = NDArray[np.int64]
Array = NDArray[np.float64]


def together(frame: pd.DataFrame, case: str) -> tuple[pd.DataFrame, Ints]:
    """Bring the rows of each case together, in order of first appearance; return case codes."""
    if frame[case].isna().any():
        rows = np.flatnonzero(frame[case].isna())
        raise DataError(
            f"the case column '{case}' is missing in rows {enumerate_some(rows.tolist())}; "
            "every row must say which case it belongs to."
        )
    codes = pd.factorize(frame[case])[0].astype(np.int64)
    if (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        frame, codes = frame.iloc[order].reset_index(drop=True), codes[order]
    return frame, codes


def case_offsets(case_codes: Ints) -> Ints:
    """Return the first row of each case, and the number of rows, shape (N + 1,)."""
    starts = np.flatnonzero(np.diff(case_codes, prepend=-1))
    return np.append(starts, len(case_codes)).astype(np.int64)


def alternative_codes(
    column: "pd.Series[Any]", name: str, order: Sequence[str] | None
) -> tuple[tuple[str, ...], Ints]:
    """Name the alternatives in their order and code each row by position."""
    if column.isna().any():
        rows = np.flatnonzero(column.isna())
        raise DataError(
            f"the alternative column '{name}' is missing in rows {enumerate_some(rows.tolist())}."
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        codes, levels = column.cat.codes.to_numpy(), list(column.cat.categories)
    else:
        numeric = pd.api.types.is_numeric_dtype(column)
        codes, uniques = pd.factorize(column, sort=numeric)
        levels = list(uniques)
    names = [_name(level) for level in levels]
    again = next((a for a in names if names.count(a) > 1), None) if _repeats(names) else None
    if again is not None:
        values = " and ".join(repr(v) for v, a in zip(levels, names, strict=True) if a == again)
        raise DataError(
            f"the alternative column '{name}' holds {values}, which are both called '{again}'; "
            "write the column as numbers or as text throughout."
        )
    if order is not None:
        if isinstance(order, str) or not isinstance(order, Iterable):
            raise SpecificationError(
                f"alternatives= is {order!r}; list the names, such as ['train', 'car']."
            )
        listed = [str(a) for a in order]
        if _repeats(listed):
            raise SpecificationError(f"alternatives= lists a name twice: {', '.join(listed)}.")
        position = {a: j for j, a in enumerate(listed)}
        unknown = [a for a in names if a not in position]
        if unknown:
            raise SpecificationError(
                f"the data hold the alternative '{unknown[0]}'{closest(unknown[0], position)}, "
                "which alternatives= does not list."
            )
        codes = np.array([position[a] for a in names], dtype=np.int64)[codes]
        names = list(position)
    return tuple(names), codes.astype(np.int64)


def _repeats(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)


def _name(level: Any) -> str:
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)


def flags(frame: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Read a column of 0/1 or True/False."""
    values = numeric_column(frame, name)
    bad = np.flatnonzero(~((values == 0) | (values == 1)))
    if len(bad):
        raise DataError(
            f"column '{name}' must be 0 or 1: row {bad[0]} holds {frame[name].iloc[bad[0]]} "
            f"({len(bad):,} such rows)."
        )
    return np.asarray(values == 1)


def chosen_rows(is_chosen: NDArray[np.bool_] | None, offsets: Ints) -> Ints:
    """Return the first chosen row of each case, or -1."""
    rows = np.full(len(offsets) - 1, -1, dtype=np.int64)
    if is_chosen is None:
        return rows
    marked = np.flatnonzero(is_chosen)[::-1]
    rows[np.searchsorted(offsets, marked, side="right") - 1] = marked
    return rows


def check_offers(
    is_available: NDArray[np.bool_] | None, offsets: Ints, cases: "pd.Series[Any]"
) -> tuple[Problem, ...]:
    """Find cases without any alternative, which leave the data."""
    if is_available is None:
        return ()
    lost = np.flatnonzero(~np.logical_or.reduceat(is_available, offsets[:-1]))
    if len(lost) == 0:
        return ()
    shown = enumerate_some([f"case {case}" for case in cases.iloc[offsets[lost]]])
    remedy = "these cases are left out: correct the availability, or drop them yourself"
    return (Problem(NO_OFFER, "note", len(lost), shown, remedy),)


def check_panel(
    column: "pd.Series[Any]", name: str, offsets: Ints, cases: "pd.Series[Any]"
) -> tuple[Problem, ...]:
    """Find cases in which the decision maker is missing or changes."""
    codes = pd.factorize(column)[0]
    wrong = np.flatnonzero(
        (codes < 0) | (codes != np.repeat(codes[offsets[:-1]], np.diff(offsets)))
    )
    if len(wrong) == 0:
        return ()
    remedy = f"a case has one decision maker, and '{name}' must name it in every row"
    return (Problem("panel", "error", len(wrong), f"case {cases.iloc[wrong[0]]}", remedy),)


def check_weights(
    weights: Array | None, offsets: Ints, cases: "pd.Series[Any]"
) -> tuple[Problem, ...]:
    """Find weights that are negative, not finite, or vary within a case."""
    if weights is None:
        return ()
    problems = []
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        problems.append(
            Problem("weights", "error", len(bad), f"case {cases.iloc[bad[0]]}",
                    "weights must be finite and not negative")
        )  # fmt: skip
    varying = np.flatnonzero(weights != np.repeat(weights[offsets[:-1]], np.diff(offsets)))
    if len(varying):
        problems.append(
            Problem("weights", "error", len(varying), f"case {cases.iloc[varying[0]]}",
                    "a weight belongs to a case and must not vary within it")
        )  # fmt: skip
    return tuple(problems)
