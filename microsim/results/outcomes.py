"""What a run came to: outcomes by replicate, for the nation and by metro."""

import numpy as np
import pandas as pd

from microsim.assumptions.governments import LEVELS
from microsim.results.run import Run
from microsim.results.spatial import moran_by_metro

__all__ = ["METRO_OUTCOMES", "OUTCOMES", "additionality", "metro_outcomes", "national_outcomes"]

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
    "debt per worker": "dollars, last month",
    "constrained moves": "moves that could not be paid for",
    "taxes": "dollars",
    "unemployment benefits": "dollars",
    "federal balance": "dollars, last month",
    "state balance": "dollars, last month",
    "local balance": "dollars, last month",
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
            "debt per worker": last["debt"] / last["population"],
            "constrained moves": total["constrained"].astype(float),
            "taxes": sum(total[f"{level}_taxes"] for level in LEVELS),
            "unemployment benefits": total["benefits"],
            **{f"{level} balance": last[f"{level}_balance"] for level in LEVELS},
            "eligible moves": total["eligible_moves"].astype(float),
            "grants paid": total["grants"].astype(float),
            "policy cost": total["policy_dollars"],
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


def additionality(run: Run) -> pd.DataFrame:
    """Return whom each policy paid who would have done the same without, from one run.

    Each payment is judged at the household's own draws of its month. What follows from the moves
    (prices, jobs, later moves) is left out; `microsim.contrast` has it, from two runs.

    Returns
    -------
    DataFrame
        Index policy, means over replicates: payments, dollars, inframarginal and additional
        payments, additionality (% of the payments) and dollars per additional payment. Where a
        policy pays for no choice, or nobody, what is not defined is empty.
    """
    columns = ["grants", "dollars", "inframarginal"]
    counts = run.policies.astype(dict.fromkeys(columns, float))
    sums = counts.groupby(["replicate", "policy"], sort=False)
    # An empty count stays empty: a policy that pays for no choice has no needless payments.
    total = sums[columns].sum(min_count=1)
    table = total.groupby("policy", sort=False).mean().rename(columns={"grants": "payments"})
    table["additional"] = table["payments"] - table["inframarginal"]
    paid = table["payments"].where(table["payments"] > 0, np.nan)
    caused = table["additional"].where(table["additional"] > 0, np.nan)
    table["additionality"] = 100.0 * table["additional"] / paid
    table["dollars per additional"] = table["dollars"] / caused
    return table
