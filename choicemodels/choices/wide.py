"""From one row a case to one row for each alternative of a case."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest, numeric_column, require_columns

__all__ = ["melt"]


def melt(
    frame: pd.DataFrame,
    choice: str | None,
    alternatives: Sequence[str] | Mapping[Any, str],
    varying: Mapping[str, Mapping[str, str]],
    available: Mapping[str, str] | None,
    case: str | None,
) -> tuple[pd.DataFrame, str, str | None, str | None]:
    """Lay out a wide table long; the arguments are those of ``ChoiceData.from_wide``.

    Returns
    -------
    tuple
        The long table, and the names of its case, choice and availability columns.

    Raises
    ------
    DataError
        If a column is missing or ``choice`` holds an unknown code.
    SpecificationError
        If ``varying`` or ``available`` names an unknown alternative.
    """
    codes = _codes(alternatives)
    names = list(dict.fromkeys(codes.values()))
    if not isinstance(varying, Mapping):
        raise SpecificationError(
            f"varying is {varying!r}; write for each variable the column of each alternative, such "
            "as {'cost': {'train': 'TRAIN_CO', 'car': 'CAR_CO'}}."
        )
    varying = {name: _as_text(f"varying['{name}']", source) for name, source in varying.items()}
    available = None if available is None else _as_text("available", available)
    sources = [*varying.values(), available or {}]
    for source in sources:
        for alternative, column in source.items():
            if alternative not in names:
                raise SpecificationError(
                    f"'{alternative}'{closest(alternative, names)} is not among the alternatives "
                    f"{', '.join(names)}."
                )
            require_columns(frame, [column])
    N, J = len(frame), len(names)
    consumed = {column for source in sources for column in source.values()}
    kept = [c for c in frame.columns if c not in consumed or c in (choice, case)]
    made = {
        *({"case"} if case is None else set()),
        "alternative",
        *({"chosen"} - {choice} if choice is not None else set()),
        *({"available"} if available is not None else set()),
    }
    _refuse_taken(made, [*kept, *varying])
    long = frame[kept].loc[frame.index.repeat(J)].reset_index(drop=True)
    if case is None:
        case = "case"
        long[case] = np.repeat(np.arange(N), J)
    long["alternative"] = pd.Categorical.from_codes(
        np.tile(np.arange(J), N), categories=pd.Index(names)
    )
    for variable, source in varying.items():
        long[variable] = _interleave(frame, source, names, missing=0.0)
    if available is not None:
        long["available"] = _interleave(frame, available, names, missing=1.0)
    chosen = None
    if choice is not None:
        chosen = "chosen"
        long[chosen] = _mark(frame, choice, codes).ravel()
    return long, case, chosen, "available" if available is not None else None


def _interleave(
    frame: pd.DataFrame, source: Mapping[str, str], names: Sequence[str], missing: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    block = np.full((len(frame), len(names)), missing)
    for j, name in enumerate(names):
        if name in source:
            block[:, j] = numeric_column(frame, source[name])
    return block.ravel()


def _mark(
    frame: pd.DataFrame, choice: str, codes: Mapping[Any, str]
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Return (N, J) flags of the choice."""
    require_columns(frame, [choice])
    values = frame[choice]
    unknown = ~values.isin(list(codes)).to_numpy()
    if unknown.any():
        rows = np.flatnonzero(unknown)
        found = pd.unique(values[unknown]).tolist()
        seen = enumerate_some(found)
        if {str(value) for value in found} & {str(code) for code in codes}:
            raise DataError(
                f"column '{choice}' holds values such as {found[0]!r} and alternatives= codes such "
                f"as {next(iter(codes))!r}: one is text and the other is not; write both alike."
            )
        raise DataError(
            f"column '{choice}' holds {seen} in {len(rows):,} rows (first: row {rows[0]}), which "
            f"is none of the alternatives {enumerate_some(list(codes), 12)}; drop those rows or "
            "name the alternative."
        )
    named = {name: [c for c in codes if codes[c] == name] for name in codes.values()}
    return np.column_stack([values.isin(same).to_numpy() for same in named.values()])


def _codes(alternatives: Sequence[str] | Mapping[Any, str]) -> dict[Any, str]:
    """Return the name of each code, as text."""
    if isinstance(alternatives, Mapping):
        return {code: str(name) for code, name in alternatives.items()}
    if isinstance(alternatives, str) or not isinstance(alternatives, Iterable):
        raise SpecificationError(
            f"alternatives is {alternatives!r}; list the names, such as ['train', 'car'], or map "
            "codes to names."
        )
    return {name: str(name) for name in alternatives}


def _as_text(what: str, source: Mapping[Any, str]) -> dict[str, str]:
    """Return the columns by the names of the alternatives as text."""
    if not isinstance(source, Mapping):
        raise SpecificationError(
            f"{what} is {source!r}; write the column of each alternative, such as "
            "{'train': 'TRAIN_CO', 'car': 'CAR_CO'}."
        )
    return {str(alternative): column for alternative, column in source.items()}


def _refuse_taken(made: set[str], columns: Sequence[str]) -> None:
    taken = sorted(made & set(columns))
    if taken:
        raise DataError(
            f"the table has a column '{taken[0]}' of its own, which the long layout would "
            "overwrite; rename it first."
        )
