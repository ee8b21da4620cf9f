"""Targets, checked and brought into the order of the areas."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.migration.areas import Level, match_labels

__all__ = ["align_flows", "align_people", "refuse_empty", "refuse_values"]

Array = NDArray[np.float64]


def refuse_values(
    targets: "pd.Series[Any] | pd.DataFrame", what: str, *, pairs: bool = False
) -> None:
    """Refuse targets that are not a labelled table of people.

    Parameters
    ----------
    targets
    what
        How the message calls the step.
    pairs
        Whether the targets are a DataFrame, origins by destinations, rather than a Series.

    Raises
    ------
    SpecificationError
        If the targets are of another kind, a label repeats, or a value is missing, negative or
        not finite; the message names the areas.
    """
    if not isinstance(targets, pd.DataFrame if pairs else pd.Series):
        raise SpecificationError(
            f"the targets of {what} are a {type(targets).__name__}; give a pandas "
            + ("DataFrame, origins by destinations." if pairs else "Series labelled by area.")
        )
    for labels in (targets.index, *([targets.columns] if targets.ndim == 2 else [])):
        twice = labels[labels.duplicated()].unique().tolist()
        if twice:
            raise SpecificationError(
                f"the targets of {what} name {enumerate_some(twice)} more than once; add them up."
            )
    try:
        values = targets.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise SpecificationError(f"the targets of {what} are not numbers.") from None
    bad = np.argwhere(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        where = [_name(targets, place) for place in bad[:5].tolist()]
        raise SpecificationError(
            f"{len(bad):,} targets of {what} are missing, negative or infinite (at "
            f"{enumerate_some(where, 5)}{' and others' if len(bad) > 5 else ''}: "
            f"{values[tuple(bad[0])]}); give people, zero or more. A zero is not imposed."
        )


def _name(targets: "pd.Series[Any] | pd.DataFrame", place: list[int]) -> str:
    axes = [targets.index] if targets.ndim == 1 else [targets.index, targets.columns]
    return " → ".join(str(axis[i]) for axis, i in zip(axes, place, strict=True))


def align_people(targets: "pd.Series[Any]", level: Level, what: str) -> Array:
    """Return targets in the order of a level, shape (C,).

    Raises
    ------
    DataError
        If the labels are not those of the level; the message names which.
    """
    order = _order(targets.index, level, what)
    return np.asarray(targets.to_numpy(dtype=np.float64)[order])


def align_flows(targets: pd.DataFrame, level: Level, what: str) -> Array:
    """Return targets by origin and destination in the order of a level, shape (C, C).

    Raises
    ------
    DataError
        If the labels of rows or columns are not those of the level.
    """
    rows = _order(targets.index, level, f"{what} (origins)")
    columns = _order(targets.columns, level, f"{what} (destinations)")
    return np.asarray(targets.to_numpy(dtype=np.float64)[np.ix_(rows, columns)])


def _order(found: pd.Index, level: Level, what: str) -> NDArray[np.intp]:
    """Return where each area of a level stands among labels that must be its own."""
    order, lacking, extra = match_labels(found, level.labels)
    if len(lacking) or len(extra):
        parts = []
        if len(lacking):
            parts.append(f"lack {len(lacking):,} areas ({enumerate_some(lacking.tolist())})")
        if len(extra):
            parts.append(f"name {len(extra):,} that are none ({enumerate_some(extra.tolist())})")
        raise DataError(
            f"the targets of {what} {' and '.join(parts)}; give one target to each of the "
            f"{level.size:,} areas, under the labels of the table of areas (a target of zero is "
            "not imposed)."
        )
    return order


def refuse_empty(
    targets: Array, current: Array, names: "pd.Index | list[str]", what: str, remedy: str
) -> None:
    """Refuse positive targets for which the matrix holds nobody to scale.

    Parameters
    ----------
    targets, current : (C,)
    names
        Of the C cells.
    what
        How the message calls the step.
    remedy
        What to do, the end of the sentence.

    Raises
    ------
    DataError
        If a target is positive where ``current`` is zero; the message names the areas.
    """
    empty = np.flatnonzero((targets > 0) & (current <= 0))
    if len(empty):
        some = [f"{names[i]} ({targets[i]:,.6g} people)" for i in empty[:5].tolist()]
        more = f" and {len(empty) - 5:,} more" if len(empty) > 5 else ""
        raise DataError(
            f"{what} must make people appear where the matrix has none, which no factor can: "
            f"{', '.join(some)}{more}; {remedy}."
        )
