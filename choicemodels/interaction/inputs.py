"""Flow data as the laws of spatial interaction look at them, checked once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some
from choicemodels.flows.flowdata import FlowData
from choicemodels.frames import numeric_column
from choicemodels.interaction.balancing import totals
from choicemodels.interaction.opportunities import Ties, nearer

__all__ = [
    "LawInputs",
    "accessibility",
    "law_inputs",
    "pair",
    "positive_mass",
    "refuse_periods",
    "valid_cost",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LawInputs:
    """The rows between different places, in the order of the data.

    Attributes
    ----------
    rows : ndarray of int64, shape (N,)
        Positions in the data.
    origin, destination : ndarray of int64, shape (N,)
        Codes; a place has the same code at both ends.
    cost, origin_mass, destination_mass : ndarray, shape (N,)
    ties : str
    """

    rows: Codes
    origin: Codes
    destination: Codes
    cost: Array
    origin_mass: Array
    destination_mass: Array
    ties: Ties

    @cached_property
    def nearer(self) -> Array:
        """Opportunities nearer to the origin than the destination, shape (N,)."""
        return nearer(self.origin, self.cost, self.destination_mass, self.ties)

    @cached_property
    def circle(self) -> Array:
        """Mass around the destination as far as the origin, both included, shape (N,)."""
        around = self._mass_of_places[self.origin]
        between = nearer(self.destination, self.cost, around, self.ties)
        return between + around + self.destination_mass

    def of_origins(self, rows: NDArray[np.bool_]) -> "LawInputs":
        """Return some of the rows: all or none of each origin."""
        return LawInputs(
            self.rows[rows],
            self.origin[rows],
            self.destination[rows],
            self.cost[rows],
            self.origin_mass[rows],
            self.destination_mass[rows],
            self.ties,
        )

    @property
    def total(self) -> float:
        """Mass of all places."""
        return float(self._mass_of_places.sum())

    @cached_property
    def _mass_of_places(self) -> Array:
        """The mass of each place as a destination; a place that is none has that of an origin."""
        mass = np.zeros(int(max(self.origin.max(), self.destination.max())) + 1)
        mass[self.origin] = self.origin_mass
        mass[self.destination] = self.destination_mass
        return mass


def law_inputs(
    data: FlowData, cost: str, origin_mass: str, destination_mass: str, ties: Ties
) -> LawInputs:
    """Bring flow data into the form that the laws take.

    Raises
    ------
    DataError
        If there are several periods, a pair has no row, a cost or a mass is missing or cannot
        be one, or a place has two masses.
    """
    refuse_periods(data)
    missing = data.missing_pairs
    if missing.count:
        raise DataError(
            f"{missing.count:,} pairs of places have no row (such as "
            f"{' → '.join(map(str, (missing.example or ())[:2]))}), so that the opportunities "
            "between places cannot be counted; add the pairs, with a flow of zero if nobody moved."
        )
    between = np.flatnonzero(~data.intrazonal)
    if len(between) == 0:
        raise DataError("every row is a flow within one place; there are no trips to distribute.")
    o, d = data.factor(f"`{data.origin}`"), data.factor(f"`{data.destination}`")
    place = o.levels[0].get_indexer(d.levels[0])
    new = place < 0
    place[new] = o.size + np.arange(int(new.sum()))
    return LawInputs(
        between,
        o.codes[between],
        place.astype(np.int64)[d.codes[between]],
        valid_cost(data, cost, positive=False)[between],
        positive_mass(data, origin_mass, data.origin)[between],
        positive_mass(data, destination_mass, data.destination)[between],
        ties,
    )


def refuse_periods(data: FlowData) -> None:
    """Refuse flows of several periods, which have margins of their own each.

    Raises
    ------
    DataError
        If there are several.
    """
    if data.time is not None and data.factor(f"`{data.time}`").size > 1:
        raise DataError(
            f"the flows cover several periods (column '{data.time}'), and the margins of a "
            "spatial-interaction model are those of one; pick one, or use Gravity with effects "
            "such as origin^year."
        )


def pair(data: FlowData, row: int) -> str:
    """Return the places of a row, for messages."""
    o, d = (data.table[name].iloc[row] for name in (data.origin, data.destination))
    return f"{o} → {d}"


def valid_cost(data: FlowData, name: str, *, positive: bool) -> Array:
    """Return the costs of all rows, refusing what cannot be one.

    Raises
    ------
    DataError
        If a cost is missing, not finite or negative, or zero where it must be positive.
    """
    cost = numeric_column(data.table, name, what="the flow table")
    bad = np.flatnonzero(~(np.isfinite(cost) & (cost >= 0)))
    if len(bad):
        raise DataError(
            f"the cost '{name}' is missing, not finite or negative in {len(bad):,} rows (rows "
            f"{enumerate_some(bad.tolist())}; the first is {pair(data, bad[0])}); fill it in, or "
            "drop these rows."
        )
    zero = np.flatnonzero(cost == 0) if positive else bad
    if len(zero):
        raise DataError(
            f"the cost '{name}' is zero in {len(zero):,} rows (rows "
            f"{enumerate_some(zero.tolist())}; the first is {pair(data, zero[0])}), where a power "
            "law has no finite value; give internal distances, drop these rows, or choose "
            "deterrence='exponential'."
        )
    return cost


def positive_mass(data: FlowData, name: str, side: str) -> Array:
    """Return the masses of all rows, one a place.

    Parameters
    ----------
    data
    name
        The column with the masses.
    side
        The column with the places that have them.

    Raises
    ------
    DataError
        If a mass is not above zero, or a place has two.
    """
    mass = numeric_column(data.table, name, what="the flow table")
    bad = np.flatnonzero(~(np.isfinite(mass) & (mass > 0)))
    if len(bad):
        raise DataError(
            f"the mass '{name}' is not a number above zero in {len(bad):,} rows (rows "
            f"{enumerate_some(bad.tolist())}; {data.table[side].iloc[bad[0]]} has {mass[bad[0]]}); "
            "a place without mass neither sends nor draws: drop it."
        )
    places = data.factor(f"`{side}`")
    low = pd.Series(mass).groupby(places.codes).agg(["min", "max"])
    twice = low.index[low["min"] != low["max"]]
    if len(twice):
        label = places.labels(twice.to_numpy()[:1])[0]
        raise DataError(
            f"the mass '{name}' differs between the rows of {len(twice):,} places in '{side}' "
            f"(such as {label}: {low['min'][twice[0]]:g} and {low['max'][twice[0]]:g}); a place "
            "has one."
        )
    return mass


def accessibility(data: FlowData, cost: str, mass: str, decay: float) -> Array:
    """Return the accessibility of each row's destination to its rivals, shape (N,).

    ``A_od = sum over k of n_k c_dk^(-decay)``, k being neither o nor d [Fotheringham1983]_.

    Raises
    ------
    DataError
        If a destination is not an origin too, so that its costs to the rivals are unknown, a
        pair has no row or a cost of zero, or a destination has no rival.
    """
    refuse_periods(data)
    o, d = data.factor(f"`{data.origin}`"), data.factor(f"`{data.destination}`")
    place = o.levels[0].get_indexer(d.levels[0])
    if (place < 0).any() or data.missing_pairs.count:
        which = d.levels[0][place < 0].tolist()
        lack = f"{enumerate_some(which)} send nobody" if which else f"{data.missing_pairs}"
        raise DataError(
            f"the costs between all destinations are needed, and some have no row ({lack}); give "
            "a row to every pair of places, with a flow of zero if nobody moved."
        )
    between = ~data.intrazonal
    c = valid_cost(data, cost, positive=False)
    zero = np.flatnonzero(between & (c == 0))
    if len(zero):
        raise DataError(
            f"the cost '{cost}' between two places is zero (row {zero[0]}, {pair(data, zero[0])}), "
            "which makes their accessibility infinite; give the distance between them."
        )
    n = positive_mass(data, mass, data.destination)
    pull = np.zeros(data.nobs)
    pull[between] = n[between] * c[between] ** -decay
    # Row (j, k) holds the pull of k on j; row (o, d) needs the sum over j = d, less k = o.
    to = place[d.codes]
    everyone = totals(o.codes, pull, o.size)[to]
    back = pd.Series(pull, index=o.codes * o.size + to).reindex(to * o.size + o.codes)
    rivals = everyone - np.where(between, back.fillna(0.0).to_numpy(), 0.0)
    alone = np.flatnonzero(rivals <= 1e-12 * everyone)
    if len(alone):
        raise DataError(
            f"the destination of row {alone[0]} ({pair(data, alone[0])}) has no rival: competing "
            "destinations need three places or more."
        )
    return np.asarray(rivals)
