"""Choice data as they would be: other values, other choice sets, fewer cases.

Every function returns new data and leaves the old as they are. Values are expressions of the
language of :mod:`choicemodels.utility` over the columns of the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest
from choicemodels.utility import evaluate

__all__ = ["add_alternative", "average_case", "change", "drop_alternatives", "keep_cases"]

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def change(
    data: ChoiceData,
    values: Mapping[str, str | float],
    *,
    alternatives: Sequence[str] | str | None = None,
    where: str = "",
) -> ChoiceData:
    """Give columns other values.

    Parameters
    ----------
    data
        The choices as they are.
    values
        Column to its new value: a number, or an expression such as ``"ivt * 0.8"`` over the
        columns as they were before any change.
    alternatives
        Change the rows of these alternatives alone.
    where
        Change the rows alone for which this expression is true (not zero), such as
        ``"income > 50"``.

    Raises
    ------
    SpecificationError
        If an alternative is unknown, the column says which case or alternative a row is, or a new
        column would be left without values in some rows.
    DataError
        If an expression names no column, or a value is not finite.
    """
    rows = _rows(data, alternatives, where)
    table = data.table.copy()
    for column, value in values.items():
        if column in (data.case_name, data.alternative_name):
            raise SpecificationError(
                f"'{column}' says which case or alternative a row is and cannot be changed."
            )
        if column not in table and not rows.all():
            raise SpecificationError(
                f"the table has no column '{column}'{closest(column, map(str, table.columns))} to "
                "change in some rows; a new column needs a value in all of them."
            )
        new = _evaluated(data, column, value)
        table[column] = new if rows.all() else np.where(rows, new, _numbers(data, column))
        wrong = np.flatnonzero(~np.isfinite(new) & rows)
        if len(wrong):
            raise DataError(
                f"the new '{column}' ({value}) is not finite in {len(wrong):,} rows (first: "
                f"{_name_rows(data, wrong)}); mend the expression or leave these rows out by "
                "where=."
            )
    return replace(data, table=table)


def drop_alternatives(
    data: ChoiceData, alternatives: Sequence[str] | str, *, where: str = ""
) -> ChoiceData:
    """Take alternatives out of choice sets, of all cases or some.

    Cases that had chosen one of them are left without a known choice. An alternative that is
    offered nowhere any more is forgotten.

    Parameters
    ----------
    data
        The choices as they are.
    alternatives
        What is no longer offered.
    where
        Take them out of the rows alone for which this expression is true.

    Raises
    ------
    SpecificationError
        If an alternative is unknown.
    DataError
        If a case would be left without any alternative.
    """
    _refuse_sampled(data)
    keep = ~_rows(data, alternatives, where)
    sizes = np.add.reduceat(keep, data.offsets[:-1], dtype=np.int64)
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        raise DataError(
            f"{len(empty):,} cases would be left without any alternative (first: "
            f"{enumerate_some(data.case_ids[empty].tolist())}); drop these cases instead."
        )
    rows = np.flatnonzero(keep)
    place = np.full(len(keep), -1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    chosen = np.where(data.chosen >= 0, place[data.chosen], -1)
    return _without_names(_of_rows(replace(data, chosen=chosen), rows, sizes))


def keep_cases(data: ChoiceData, cases: Any) -> ChoiceData:
    """Keep some cases.

    Parameters
    ----------
    data
        N cases.
    cases
        Their positions from 0, in the order wanted, or one flag for each, shape (N,): an array,
        a Series or a list.

    Raises
    ------
    DataError
        If no case is left, there is not one flag for each case, or a position is not a whole
        number from 0 to N - 1.
    """
    kept = _positions(cases, data.n_cases)
    if len(kept) == 0:
        raise DataError("no case is left; at least one is needed.")
    sizes = data.set_sizes[kept]
    shift = data.offsets[kept] - (np.cumsum(sizes) - sizes)
    chosen = data.chosen[kept]
    rows = np.arange(sizes.sum()) + np.repeat(shift, sizes)
    sample = data.sample
    if sample is not None:
        second = None if sample.logsums is None else keep_cases(sample.logsums, kept)
        sample = replace(sample.of_rows(rows), logsums=second)
    some = replace(
        data,
        chosen=np.where(chosen >= 0, chosen - shift, -1),
        weights=data.weights[kept],
        case_ids=data.case_ids[kept],
        sample=sample,
    )
    return _of_rows(some, rows, sizes)


def add_alternative(
    data: ChoiceData,
    name: str,
    *,
    like: str,
    values: Mapping[str, str | float] | None = None,
    where: str = "",
) -> ChoiceData:
    """Offer one more alternative, beside one that it resembles.

    Parameters
    ----------
    data
        The choices as they are.
    name
        The new alternative.
    like
        The alternative whose rows it copies: it is offered where that one is.
    values
        What differs, as in :func:`change`.
    where
        Offer it alone where this expression is true of the row that it copies.

    Raises
    ------
    SpecificationError
        If the name is taken, or ``like`` or a column of ``values`` is unknown.
    DataError
        If it would be offered nowhere, or a value is not finite.
    """
    _refuse_sampled(data)
    if name in data.alternatives:
        raise SpecificationError(f"there is an alternative '{name}' already; choose another name.")
    copied = np.flatnonzero(_rows(data, like, where))
    if len(copied) == 0:
        raise DataError(f"'{name}' would be offered in no case: where='{where}' holds nowhere.")
    R = len(data.table)
    case = np.repeat(np.arange(data.n_cases), data.set_sizes)
    source = np.concatenate([np.arange(R), copied])
    order = np.argsort(case[source], kind="stable")
    source, is_new = source[order], order >= R
    table = data.table.iloc[source].reset_index(drop=True)
    table[data.alternative_name] = _renamed(table[data.alternative_name], is_new, name)
    sizes = np.bincount(case[source], minlength=data.n_cases)
    place = np.full(R, -1, dtype=np.int64)
    place[source[~is_new]] = np.flatnonzero(~is_new)
    extended = replace(
        data,
        table=table,
        alternatives=(*data.alternatives, name),
        alternative=np.where(is_new, len(data.alternatives), data.alternative[source]),
        offsets=_offsets(sizes),
        chosen=np.where(data.chosen >= 0, place[data.chosen], -1),
    )
    return change(extended, values, alternatives=name) if values else extended


def average_case(data: ChoiceData) -> ChoiceData:
    """Make one case that offers every alternative with the mean of its numeric columns.

    Means are over the cases that offer the alternative, with their weights; other columns are
    left out.
    """
    numeric = data.table.select_dtypes(include=["number", "bool"]).astype(np.float64)
    weights = np.repeat(data.weights, data.set_sizes)
    offered, codes = np.unique(data.alternative, return_inverse=True)
    total = np.bincount(codes, weights=weights)
    means = {
        name: np.bincount(codes, weights=weights * numeric[name].to_numpy()) / total
        for name in numeric.columns
    }
    J = len(offered)
    table = pd.DataFrame(means)
    table[data.case_name] = 0
    table[data.alternative_name] = [data.alternatives[int(j)] for j in offered]
    return replace(
        data,
        table=table,
        offsets=np.array([0, J]),
        alternative=offered.astype(np.int64),
        chosen=np.array([-1]),
        weights=np.ones(1),
        case_ids=np.zeros(1, dtype=np.int64),
        panel_name=None,
    )


def _positions(cases: Any, n_cases: int) -> Ints:
    """Return the positions of the cases to keep."""
    given = pd.Series(cases).infer_objects()
    if given.isna().any():
        raise DataError(
            f"cases= is missing in {int(given.isna().sum()):,} places (first: "
            f"{int(np.flatnonzero(given.isna())[0])}); say for every case whether to keep it."
        )
    if len(given) == 0:
        return np.empty(0, dtype=np.int64)
    if pd.api.types.is_bool_dtype(given):
        if len(given) != n_cases:
            raise DataError(
                f"cases= holds {len(given):,} flags for {n_cases:,} cases; give one for each case, "
                "or positions."
            )
        return np.flatnonzero(given.to_numpy(dtype=bool)).astype(np.int64)
    if not pd.api.types.is_integer_dtype(given):
        raise DataError(
            f"cases= holds '{given.iloc[0]}', which is neither a position nor True or False."
        )
    outside = given[(given < 0) | (given >= n_cases)]
    if len(outside):
        raise DataError(
            f"cases= asks for position {outside.iloc[0]}, and the {n_cases:,} cases have the "
            f"positions 0 to {n_cases - 1:,}."
        )
    return given.to_numpy(dtype=np.int64)


def _rows(data: ChoiceData, alternatives: Sequence[str] | str | None, where: str) -> Flags:
    """Return which rows are meant, shape (R,)."""
    chosen = np.ones(len(data.table), dtype=bool)
    if alternatives is not None:
        listed = [str(a) for a in ([alternatives] if np.isscalar(alternatives) else alternatives)]
        for name in listed:
            if name not in data.alternatives:
                raise SpecificationError(
                    f"the data have no alternative '{name}'{closest(name, data.alternatives)}; "
                    f"they have: {enumerate_some(data.alternatives, 12)}."
                )
        codes = [data.alternatives.index(name) for name in listed]
        chosen = np.isin(data.alternative, codes)
    if where.strip():
        true = evaluate(where, data.table)
        if not np.isfinite(true).all():
            wrong = np.flatnonzero(~np.isfinite(np.broadcast_to(true, chosen.shape)))
            raise DataError(
                f"where='{where}' is not finite in {len(wrong):,} rows (first: "
                f"{_name_rows(data, wrong)})."
            )
        chosen &= np.broadcast_to(true != 0, chosen.shape)
    return chosen


def _evaluated(data: ChoiceData, column: str, value: str | float) -> NDArray[np.float64]:
    if not isinstance(value, str | int | float | np.number):
        raise SpecificationError(
            f"the new value of '{column}' is a {type(value).__name__}; write a number or an "
            f"expression, such as '{column} * 0.8'."
        )
    new = evaluate(value, data.table) if isinstance(value, str) else np.asarray(float(value))
    return np.array(np.broadcast_to(new, len(data.table)))


def _numbers(data: ChoiceData, column: str) -> NDArray[np.float64]:
    return evaluate(f"`{column}`", data.table)


def _name_rows(data: ChoiceData, rows: Ints) -> str:
    cases = data.table[data.case_name].to_numpy()
    names = [f"case {cases[r]}, {data.alternatives[data.alternative[r]]}" for r in rows[:3]]
    return "; ".join(names)


def _renamed(column: "pd.Series[str]", is_new: Flags, name: str) -> "pd.Series[str]":
    """Return the alternatives as text, the new rows with their name."""
    return pd.Series(np.where(is_new, name, column.astype(str).to_numpy()), dtype=object)


def _refuse_sampled(data: ChoiceData) -> None:
    if data.sample is not None:
        raise DataError(
            "the choice sets are samples, drawn from sets as they were; change the full choice "
            "sets, and sample these."
        )


def _of_rows(data: ChoiceData, rows: Ints, sizes: Ints) -> ChoiceData:
    """Keep some rows, the cases of given sizes one after another."""
    return replace(
        data,
        table=data.table.iloc[rows].reset_index(drop=True),
        offsets=_offsets(sizes),
        alternative=data.alternative[rows],
    )


def _without_names(data: ChoiceData) -> ChoiceData:
    """Forget alternatives that no case is offered: no constant of theirs could be estimated."""
    left, codes = np.unique(data.alternative, return_inverse=True)
    names = tuple(data.alternatives[int(j)] for j in left)
    return replace(data, alternatives=names, alternative=codes.astype(np.int64))


def _offsets(sizes: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
