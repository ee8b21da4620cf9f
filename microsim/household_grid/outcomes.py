"""What a run of the grid came to: numbers that ensembles compare."""

import numpy as np
import pandas as pd

from estimation.interaction.autocorrelation import moran_statistic
from microsim.household_grid.run import GridRun
from microsim.results.inequality import dissimilarity, gini, rank_order_information, theil

__all__ = [
    "GRID_OUTCOMES",
    "grid_outcomes",
    "grid_segregation",
    "grid_series",
    "grid_times",
]

GRID_OUTCOMES = {
    "decisions": "% of households a step",
    "moves": "% of households a step",
    "occupancy of the largest cells, change": "points",
    "occupancy of the smallest cells, change": "points",
    "moves at the shock, change": "% of households a step",
    "moves settled since": "% of households a step",
    "pressure at the shock, change": "alpha h / I",
    "pressure at the end, change": "alpha h / I",
    "moves of the poorest over others": "% of households a step",
    "distance of the richest over the poorest": "cells",
    "spread of median incomes": "dollars, standard deviation over cells at the end",
    "Gini index": "of all incomes, which stay as they are",
    "Theil between cells": "% of Theil's index, at the end",
    "Theil between cells, change": "points",
    "rank-order information": "0 to 1, at the end",
    "rank-order information, change": "0 to 1",
    "dissimilarity": "richest fifth against poorest, 0 to 1, at the end",
    "dissimilarity, change": "0 to 1",
    "Moran's I": "of median incomes, at the end",
    "Moran's I, change": "",
}
"""The outcomes and their units; a change is from before the shock to the end, or as it says."""

_TENTH = 0.1


def grid_outcomes(run: GridRun) -> "pd.Series[float]":
    """Return the outcomes of a run, indexed as `GRID_OUTCOMES`.

    "Before" are the last steps before the shock, "at the shock" the first from it on, and "the end"
    the last of all: a fifth of the shorter side of the shock each. Without a shock half the steps
    stand for its time, so that runs with and without compare. The largest and smallest cells are a
    tenth of those with places, by places.

    Notes
    -----
    "moves settled since" is what the moves at the shock exceed those at the end by; "moves of the
    poorest over others" compares the poorest fifth with the busiest of the other fifths.
    """
    shock, width, last = grid_times(run)
    before, at, end = slice(shock - width, shock), slice(shock, shock + width), slice(-width, None)
    steps = run.activity.groupby("step")[["decisions", "moves"]].sum()
    steps *= 100.0 / run.parameters.households
    moves, pressure = steps["moves"], grid_series(run)["pressure"]
    found = {
        "decisions": steps["decisions"].mean(),
        "moves": moves.mean(),
        "moves at the shock, change": moves.iloc[at].mean() - moves.iloc[before].mean(),
        "moves settled since": moves.iloc[at].mean() - moves.iloc[end].mean(),
        "pressure at the shock, change": pressure.iloc[at].mean() - pressure.iloc[before].mean(),
        "pressure at the end, change": pressure.iloc[end].mean() - pressure.iloc[before].mean(),
        "moves of the poorest over others": _poorest_over_others(run),
        "distance of the richest over the poorest": _distance_gap(run),
        "spread of median incomes": run.cells_at(last)["median_income"].std(),
        "Gini index": gini(run.households["income"].to_numpy()),
    }
    for which, share in _occupancies(run).items():
        now, was = share.loc[last - width + 1 :].mean(), share.loc[shock - width + 1 : shock].mean()
        found[f"occupancy of the {which} cells, change"] = 100.0 * (now - was)
    late, early = grid_segregation(run, last), grid_segregation(run, shock)
    found |= {**late, **(late - early).add_suffix(", change")}
    return pd.Series({name: float(found[name]) for name in GRID_OUTCOMES})


def grid_series(run: GridRun) -> pd.DataFrame:
    """Return decisions and moves by step, and the pressure that all households feel on average.

    Returns
    -------
    DataFrame
        Index step; columns decisions, moves (households) and pressure (mean of alpha h / I).
    """
    felt = run.activity["pressure"] * run.activity["households"]
    table = run.activity.assign(felt=felt).groupby("step")
    sums = table[["decisions", "moves", "felt", "households"]].sum()
    return sums[["decisions", "moves"]].assign(pressure=sums["felt"] / sums["households"])


def grid_segregation(run: GridRun, moment: int) -> "pd.Series[float]":
    """Return how far the incomes of cells differ when ``moment`` steps had been taken.

    Households are first placed without regard to their incomes: at 0 it is what chance alone makes.

    Parameters
    ----------
    run
    moment
        At which the cells were recorded.

    Returns
    -------
    Series
        Indexed "Theil between cells" (% of Theil's index), "rank-order information",
        "dissimilarity" (of the richest and poorest fifth) and "Moran's I" (of median incomes); see
        `microsim.results.inequality`.

    Raises
    ------
    DataError
        If the cells were not recorded at that moment.
    """
    cells = run.cells_at(moment)
    income = run.households["income"].to_numpy()
    home = run.homes_at(moment)
    richest, poorest = cells["quintile_5"].to_numpy(), cells["quintile_1"].to_numpy()
    return pd.Series(
        {
            "Theil between cells": 100.0 * theil(income, home).share_between,
            "rank-order information": rank_order_information(income, home),
            "dissimilarity": dissimilarity(richest, poorest),
            "Moran's I": _moran(cells["median_income"].to_numpy(), run.parameters.side),
        }
    )


def grid_times(run: GridRun) -> tuple[int, int, int]:
    """Return the step of the shock, how many steps are averaged, and the last moment."""
    p = run.parameters
    shock = p.shock if p.shock is not None else p.steps // 2
    return shock, max(min(shock, p.steps - shock) // 5, 1), p.steps


def _occupancies(run: GridRun) -> dict[str, "pd.Series[float]"]:
    """Return the occupancy of the largest and of the smallest cells by moment."""
    places = run.cells_at(0)["places"]
    places = places[places > 0].sort_values(kind="stable")
    tenth = max(round(_TENTH * len(places)), 1)
    chosen = {"largest": places.index[-tenth:], "smallest": places.index[:tenth]}
    found = {}
    for which, cells in chosen.items():
        mine = run.cells[run.cells["cell"].isin(cells)].groupby("step")
        found[which] = mine["households"].sum() / mine["places"].sum()
    return found


def _poorest_over_others(run: GridRun) -> float:
    by_quintile = run.activity.groupby("quintile")[["moves", "households"]].sum()
    rate = 100.0 * by_quintile["moves"] / by_quintile["households"]
    return float(rate.iloc[0] - rate.iloc[1:].max())


def _distance_gap(run: GridRun) -> float:
    """Return how much farther a move of the richest fifth goes; NaN if a fifth never moves."""
    distance = run.moves.groupby("quintile")["distance"].mean().reindex([1, 5])
    return float(distance[5] - distance[1])


def _moran(median: np.ndarray, side: int) -> float:
    """Return Moran's I of median incomes over the four neighbours on the torus that have any."""
    from scipy.sparse import csr_array

    cell = np.arange(side**2).reshape(side, side)
    near = [np.roll(cell, turn, axis) for axis in (0, 1) for turn in (-1, 1)]
    rows, columns = np.tile(cell.ravel(), 4), np.concatenate([n.ravel() for n in near])
    W = csr_array((np.ones(len(rows)), (rows, columns)), shape=(side**2, side**2))
    lived = np.flatnonzero(~np.isnan(median))
    z = median[lived] - median[lived].mean()
    return moran_statistic(z, W[lived][:, lived]) if z.any() else float("nan")
