"""From one row a case to one row for each alternative of a case."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest, require_columns

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
    codes = (
        dict(alternatives) if isinstance(alternatives, Mapping) else {a: a for a in alternatives}
    )
    names = list(codes.values())
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
            block[:, j] = frame[source[name]]
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
        seen = enumerate_some(pd.unique(values[unknown]).tolist())
        raise DataError(
            f"column '{choice}' holds {seen} in {len(rows):,} rows (first: row {rows[0]}), which "
            f"is none of the alternatives {enumerate_some(list(codes), 12)}; drop those rows or "
            "name the alternative."
        )
    return np.column_stack([(values == code).to_numpy() for code in codes])
