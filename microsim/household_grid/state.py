"""The grid at one moment: how it begins, what changes it from outside, what must always hold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import zeta

from choicemodels.errors import NestflowError
from choicemodels.keyed_random import Streams
from microsim.household_grid.arrays import CELL, Households, Keys, Ranks, Rules, Scratch
from microsim.household_grid.cities import draw_places
from microsim.household_grid.households import draw_homes, draw_incomes, draw_preferences
from microsim.household_grid.parameters import GridParameters
from microsim.household_grid.turns import settle
from microsim.mobility.remote_work import turns_remote

__all__ = [
    "GridState",
    "grid_rules",
    "initial_grid",
    "periodic_distance",
    "scratch_for",
    "set_remote",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GridState:
    """The grid at one moment; `microsim.household_grid.turns.step` changes its arrays in place.

    Attributes
    ----------
    rules : Rules
    keys : Keys
    households : Households
    cells : ndarray (C,) of CELL
    ranks : Ranks
    streams : Streams
        That everything is drawn from.
    """

    rules: Rules
    keys: Keys
    households: Households
    cells: NDArray[np.void]
    ranks: Ranks
    streams: Streams

    def check(self) -> None:
        """Raise unless households, places and incomes add up in every cell.

        Raises
        ------
        NestflowError
            If a household was lost or counted twice: a fault of the program.
        """
        h, c = self.households, self.cells
        number = len(c)
        count = np.bincount(h.cell, minlength=number)
        total = np.bincount(h.cell, weights=h.income, minlength=number)
        # Incomes are whole dollars, so that their sums are exact.
        if not (np.array_equal(count, c["residents"]) and np.array_equal(total, c["total"])):
            raise NestflowError(
                "households of the grid were lost between cells; this is a fault of nestflow, "
                "please report it with the parameters and the seed."
            )


def initial_grid(parameters: GridParameters, streams: Streams) -> GridState:
    """Draw cities and households, and let them in.

    Parameters
    ----------
    parameters
    streams
        Of one seed and replicate.

    Returns
    -------
    GridState
    """
    places = draw_places(parameters, streams)
    income = draw_incomes(parameters, streams)
    home = draw_homes(parameters, places, streams)
    N, number = len(income), len(places)
    rules = grid_rules(parameters, income)
    exponent = rules.poorest_exponent + rules.exponent_per_dollar * income
    rank = np.empty(N, dtype=np.int32)
    rank[np.argsort(income, kind="stable")] = np.arange(N)
    households = Households(
        income=income,
        inverse=1.0 / income,
        rank=rank,
        preferred=draw_preferences(parameters, places, streams),
        nearest=1.0 / zeta(exponent) if rules.zipf else np.ones(N),
        remote=np.zeros(N, dtype=np.bool_),
        quintile=(rank.astype(np.int64) * 5 // N).astype(np.int8),
        cell=np.full(N, -1, dtype=np.int32),
    )
    # Nobody enters a cell without a vacant place: no cell ever has more than this.
    room = np.maximum(places, np.bincount(home, minlength=number))
    cells = np.zeros(number, dtype=CELL)
    cells["places"] = places
    cells["start"], cells["end"] = np.cumsum(room) - room, np.cumsum(room)
    ranks = Ranks(
        member=np.empty(int(room.sum()), dtype=np.int32),
        slot=np.empty(N, dtype=np.int32),
        income=np.sort(income),
    )
    settle(home, rules, households, cells, ranks)
    keys = Keys(*(streams.key(f"grid: {name}") for name in Keys._fields))
    return GridState(rules, keys, households, cells, ranks, streams)


def grid_rules(parameters: GridParameters, income: Floats) -> Rules:
    """Return what the kernel asks of the parameters."""
    p = parameters
    use_median = p.centre == "median"
    fewest, most = p.searches
    poorest, richest = p.distance_exponents
    return Rules(
        side=p.side,
        affordable_share=p.affordable_share,
        demand_price=p.demand_price,
        full_cost=p.full_cost,
        use_median=use_median,
        neutral_income=float(np.median(income) if use_median else np.mean(income)),
        pressure_weight=p.pressure_weight,
        slope=p.decision_slope,
        intercept=p.decision_intercept,
        least_searches=fewest,
        searches_per_dollar=(most - fewest) / p.top_income,
        poorest_exponent=poorest,
        exponent_per_dollar=(richest - poorest) / p.top_income,
        zipf=p.distance == "zipf",
        attempts=p.attempts,
        weights=p.weights,
        own_cost=p.own_cost,
        empty_wins=p.empty_cells == "win",
        shuffled=p.order == "shuffled",
    )


def scratch_for(parameters: GridParameters) -> Scratch:
    """Make room for the longest search."""
    most = int(max(parameters.searches)) // 2 * 2 + 2
    radius, turn, dx, dy = np.empty((4, most))
    return Scratch(radius, turn, dx, dy, found=np.empty(most, dtype=np.int64))


def set_remote(grid: GridState, parameters: GridParameters, now: int) -> None:
    """Make those households remote whom the shock has reached by now; nobody once re-opened.

    Streams: "remote work", "remote work: step", by household.
    """
    p, h = parameters, grid.households
    open_again = p.reopening is not None and now >= p.reopening
    if p.shock is None or now < p.shock or open_again:
        h.remote[:] = False
        return
    ids = np.arange(len(h.income), dtype=np.int64)
    whether = grid.streams.uniform("remote work", ids)
    when = grid.streams.uniform("remote work: step", ids)
    chance = np.where(h.income > p.remote_income, p.remote_share, 0.0)
    h.remote[:] = turns_remote(whether, when, chance, now - p.shock, p.remote_steps)


def periodic_distance(a: Ints, b: Ints, side: int) -> Floats:
    """Return the distances of cells on the torus, in cells.

    Parameters
    ----------
    a, b : (R,)
        Cells, numbered ``x * side + y``.
    side
        Of the grid.

    Returns
    -------
    (R,) float64
    """
    dx = np.abs(a // side - b // side)
    dy = np.abs(a % side - b % side)
    out: Floats = np.hypot(np.minimum(dx, side - dx), np.minimum(dy, side - dy))
    return out
