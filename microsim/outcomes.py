"""What a run came to: outcomes by replicate, for the nation and by metro."""

import pandas as pd

from microsim.run import Run
from microsim.spatial import moran_by_metro

__all__ = ["METRO_OUTCOMES", "OUTCOMES", "metro_outcomes", "national_outcomes"]

OUTCOMES = {
    "moves": "moves in all months",
    "annual move rate": "% of workers a year",
    "displaced": "workers in all months",
    "displacement clustering": "Moran's I by metro",
    "mean unemployment rate": "% of workers, mean over months",
    "final unemployment rate": "% of workers, last month",
    "final price index": "base year 1, weighted by workers",
    "final rent index": "base year 1, weighted by workers",
    "final wage index": "start 1, weighted by workers",
    "savings per worker": "dollars, last month",
    "eligible moves": "moves by workers eligible for a grant",
    "grants paid": "grants",
    "policy cost": "dollars",
}
"""The national outcomes and their units; net migration of every region class is added."""

METRO_OUTCOMES = {
    "final population": "workers",
    "net migration": "workers in all months",
    "displaced": "workers in all months",
    "mean unemployment rate": "% of workers, mean over months",
    "final price index": "base year 1",
    "grants paid": "grants, by the metro left",
}
"""The outcomes by metro and their units."""


def national_outcomes(run: Run) -> pd.DataFrame:
    """Return the outcomes of every replicate.

    Returns
    -------
    DataFrame
        One row a replicate; columns as `OUTCOMES` and "net migration: " with the region class.
    """
    series = run.national.groupby("replicate")
    last = series.last()
    total = series.sum(numeric_only=True)
    person_years = total["population"] / 12.0
    table = pd.DataFrame(
        {
            "moves": total["moves"].astype(float),
            "annual move rate": 100.0 * total["moves"] / person_years,
            "displaced": total["displaced"].astype(float),
            "displacement clustering": moran_by_metro(run, "displaced")["statistic"],
            "mean unemployment rate": 100.0 * series["unemployment_rate"].mean(),
            "final unemployment rate": 100.0 * last["unemployment_rate"],
            "final price index": last["mean_price_index"],
            "final rent index": last["mean_rent_index"],
            "final wage index": last["mean_wage_index"],
            "savings per worker": last["savings"] / last["population"],
            "eligible moves": total["eligible_moves"].astype(float),
            "grants paid": total["grants"].astype(float),
            "policy cost": total["grant_dollars"],
        }
    )
    panel = run.metros.assign(net=run.metros["arrivals"] - run.metros["departures"])
    net = panel.groupby(["replicate", "region_class"])["net"].sum().unstack("region_class")
    return table.join(net.astype(float).add_prefix("net migration: "))


def metro_outcomes(run: Run) -> pd.DataFrame:
    """Return the outcomes of every replicate and metro.

    Returns
    -------
    DataFrame
        Index replicate and cbsa; columns as `METRO_OUTCOMES`.
    """
    groups = run.metros.groupby(["replicate", "cbsa"], sort=False)
    total, last = groups.sum(numeric_only=True), groups.last()
    unemployed = total["unemployed"] / total["population"].clip(lower=1)
    return pd.DataFrame(
        {
            "final population": last["population"].astype(float),
            "net migration": (total["arrivals"] - total["departures"]).astype(float),
            "displaced": total["displaced"].astype(float),
            "mean unemployment rate": 100.0 * unemployed,
            "final price index": last["price_index"],
            "grants paid": total["grants"].astype(float),
        }
    )
