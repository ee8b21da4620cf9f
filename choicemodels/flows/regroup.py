"""Flows between other places: split and added up by a crosswalk, parts counted."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.flows.crosswalk import Crosswalk, expand

if TYPE_CHECKING:
    from choicemodels.flows.flowdata import FlowData

__all__ = ["regroup"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Side:
    """How the places of one side become others.

    Attributes
    ----------
    labels : Index
        Of the new places.
    place, target : ndarray of int64, shape (E,)
        Each old place with each new one that holds a part of it, by place.
    share : ndarray, shape (E,)
    starts : ndarray of int64
        First entry of each old place.
    """

    labels: pd.Index
    place: Codes
    target: Codes
    share: Array
    starts: Codes

    @property
    def parts(self) -> Codes:
        """Number of old places that have a part in each new one."""
        return np.bincount(self.target, minlength=len(self.labels))


def regroup(
    flows: "FlowData", crosswalk: Crosswalk, sides: Collection[str]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Add up flows by new places of origin, of destination, or both.

    Parameters
    ----------
    flows
    crosswalk
    sides
        ``"origin"``, ``"destination"`` or both.

    Returns
    -------
    DataFrame
        One row for each new pair (and period) of which a part is known.
    dict
        What was there before, and how many of the new pairs lack a part.

    Raises
    ------
    DataError
        If a place is not in the crosswalk.
    """
    o, d = flows.factor(f"`{flows.origin}`"), flows.factor(f"`{flows.destination}`")
    time = flows.factor(f"`{flows.time}`") if flows.time else None
    origin = _side(o.levels[0], flows.origin, crosswalk if "origin" in sides else None)
    destination = _side(
        d.levels[0], flows.destination, crosswalk if "destination" in sides else None
    )
    # Columns: the flow, rows that are parts of it, and those of them within one old place.
    values = np.stack([flows.y, np.ones(flows.nobs), flows.intrazonal.astype(np.float64)])
    periods = np.zeros(flows.nobs, dtype=np.int64) if time is None else time.codes
    keys = [o.codes, d.codes, periods]
    for position, side in ((0, origin), (1, destination)):
        keys, values = _move(keys, values, position, side)
    table = pd.DataFrame(
        {
            flows.origin: origin.labels.take(keys[0]),
            flows.destination: destination.labels.take(keys[1]),
            flows.flow: values[0],
        }
    )
    if time is not None:
        table[flows.time] = time.levels[0].take(keys[2])
    common = _common(o.levels[0], d.levels[0], origin, destination)
    own = common[keys[0] * len(destination.labels) + keys[1]]
    between = origin.parts[keys[0]] * destination.parts[keys[1]] - own
    record = {
        "rows before aggregation": flows.nobs,
        "total flow before aggregation": float(flows.y.sum()),
        "aggregated pairs with a part missing": int((values[1] - values[2] < between).sum()),
        "aggregated pairs without a flow within a part": int((values[2] < own).sum()),
    }
    return table, record


def _side(places: pd.Index, name: str, crosswalk: Crosswalk | None) -> _Side:
    if crosswalk is None:
        each = np.arange(len(places))
        return _Side(places, each, each, np.ones(len(places)), np.arange(len(places) + 1))
    place, target, share = crosswalk.spread(crosswalk.locate(places, name))
    starts = np.searchsorted(place, np.arange(len(places) + 1))
    return _Side(crosswalk.targets, place, target, share, starts)


def _move(
    keys: list[Codes], values: Array, position: int, side: _Side
) -> tuple[list[Codes], Array]:
    """Split rows over the new places of one side and add up rows of the same keys."""
    rows, entries = expand(side.starts, keys[position])
    split = [key[rows] for key in keys]
    split[position] = side.target[entries]
    sizes = [int(key.max()) + 1 for key in split]
    code = (split[0] * sizes[1] + split[1]) * sizes[2] + split[2]
    found, group = np.unique(code, return_inverse=True)
    weights = np.stack([values[0, rows] * side.share[entries], values[1, rows], values[2, rows]])
    total = np.stack([np.bincount(group, weights=w) for w in weights]).astype(np.float64)
    first, period = np.divmod(found, sizes[2])
    return [*np.divmod(first, sizes[1]), period], total


def _common(o: pd.Index, d: pd.Index, origin: _Side, destination: _Side) -> Codes:
    """Count, for each pair of new places, the old ones with a part in both, shape (O * D,)."""
    same = d.get_indexer(o)
    left = pd.DataFrame({"place": same[origin.place], "o": origin.target})
    right = pd.DataFrame({"place": destination.place, "d": destination.target})
    both = left[left["place"] >= 0].merge(right, on="place")
    D = len(destination.labels)
    codes = both["o"].to_numpy(np.int64) * D + both["d"].to_numpy(np.int64)
    return np.bincount(codes, minlength=len(origin.labels) * D)
