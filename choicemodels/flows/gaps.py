"""Pairs without a row: counted, named, and filled only where somebody declares them zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from choicemodels.flows.factor import Factor

__all__ = ["MissingPairs", "fill_gaps", "find_gaps"]


@dataclass(frozen=True)
class MissingPairs:
    """Pairs of an observed origin and an observed destination without a row.

    A missing pair is not a zero: nobody said that nobody moved.

    Attributes
    ----------
    count : int
        Missing combinations, summed over the periods; pairs within one place not counted.
    intrazonal : int
        Missing combinations of a place with itself.
    example : tuple or None
        The first of them, as (origin, destination) or (origin, destination, time).
    """

    count: int
    intrazonal: int
    example: tuple[object, ...] | None

    def __str__(self) -> str:
        if self.example is None:
            return "none" + (f" ({self.intrazonal:,} intrazonal)" if self.intrazonal else "")
        where = " → ".join(map(str, self.example[:2]))
        when = f" in {self.example[2]}" if len(self.example) > 2 else ""
        return f"{self.count:,} (such as {where}{when}), and {self.intrazonal:,} intrazonal"


def find_gaps(keys: Factor, present_within: int) -> MissingPairs:
    """Count the combinations of origins, destinations and periods that do not occur.

    Parameters
    ----------
    keys
        Origin, destination and, if there is one, period joined; no code occurs twice.
    present_within
        Number of rows within one place.
    """
    o, d = keys.levels[0], keys.levels[1]
    within = len(o.intersection(d)) * (keys.size // (len(o) * len(d)))
    count = (keys.size - within) - (len(keys.codes) - present_within)
    example = _first_gap(keys) if count else None
    return MissingPairs(int(count), within - present_within, example)


def _first_gap(keys: Factor) -> tuple[object, ...] | None:
    present = np.unique(keys.codes)
    place = keys.levels[1].get_indexer(keys.levels[0])
    D = len(keys.levels[1])
    periods = keys.size // (len(keys.levels[0]) * D)
    # Rows follow each other by one, but at a gap; look at a few gaps to pass intrazonal ones.
    edges = np.concatenate(([-1], present, [keys.size]))
    for after in np.flatnonzero(np.diff(edges) > 1):
        for code in range(int(edges[after]) + 1, int(edges[after + 1])):
            o, d = code // periods // D, code // periods % D
            if place[o] != d:
                digits = (o, d) if len(keys.levels) == 2 else (o, d, code % periods)
                return tuple(level[i] for level, i in zip(keys.levels, digits, strict=True))
    return None


def fill_gaps(
    keys: Factor,
    table: pd.DataFrame,
    names: Sequence[str],
    flow: str,
    fill: float,
    intrazonal: bool,
    places: str | Sequence[Any] | None,
) -> tuple[pd.DataFrame, int]:
    """Add a row for each combination of origin, destination and period without one.

    Parameters
    ----------
    keys
        Origin, destination and, if there is one, period joined.
    table
        The rows there are.
    names
        Columns of origin, destination and period.
    flow
        Column of the flow.
    fill
        The flow of a new row.
    intrazonal
        Whether to fill pairs of a place with itself.
    places
        Another place or more, of both sides.

    Returns
    -------
    DataFrame
        The rows there were, then the new ones, sorted by their labels.
    int
        Number of new rows.
    """
    places = [places] if places is not None and np.ndim(places) == 0 else places
    levels = [_extend(level, places) for level in keys.levels[:2]] + list(keys.levels[2:])
    sizes = [len(level) for level in levels]
    digits = np.unravel_index(keys.codes, [len(level) for level in keys.levels])
    absent = np.ones(int(np.prod(sizes)), dtype=np.bool_)
    absent[np.ravel_multi_index(digits, sizes)] = False
    found = np.unravel_index(np.flatnonzero(absent), sizes)
    if not intrazonal:
        apart = levels[1].get_indexer(levels[0])[found[0]] != found[1]
        found = tuple(digit[apart] for digit in found)
    count = len(found[0])
    if count == 0:
        return table, 0
    new = pd.DataFrame(
        {name: level.take(d) for name, level, d in zip(names, levels, found, strict=True)}
    )
    new[flow] = int(fill) if float(fill).is_integer() else fill
    return pd.concat([table, new], ignore_index=True), count


def _extend(level: pd.Index, places: Sequence[Any] | None) -> pd.Index:
    return level if places is None else level.append(pd.Index(places).difference(level))
