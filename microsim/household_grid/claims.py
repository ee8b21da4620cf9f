"""The published claims, each as numbers that an ensemble of seeds can bear out or not."""

from dataclasses import dataclass
from math import isnan
from typing import Literal

import pandas as pd

from choicemodels.errors import DataError
from microsim.household_grid.outcomes import GRID_OUTCOMES
from microsim.results.paired import mean_interval

__all__ = ["CLAIMS", "Claim", "check_claims", "verdicts"]


@dataclass(frozen=True)
class Claim:
    """A published claim.

    Attributes
    ----------
    number : int
    text : str
    signs : dict of str to {-1, 1}
        Outcomes whose sign it tells; all must agree for it to hold. Where it compares incomes'
        laws, the outcome is that under the preset's less that under exponential incomes.
    against_exponential : bool
    """

    number: int
    text: str
    signs: dict[str, Literal[-1, 1]]
    against_exponential: bool = False


CLAIMS = (
    Claim(
        1,
        "the occupancy of the largest cells falls after the shock",
        {"occupancy of the largest cells, change": -1},
    ),
    Claim(2, "that of the smallest rises", {"occupancy of the smallest cells, change": 1}),
    Claim(
        3,
        "moves spike after the shock and settle",
        {"moves at the shock, change": 1, "moves settled since": 1},
    ),
    Claim(
        4,
        "the pressure of housing costs dips and ends above its level before",
        {"pressure at the shock, change": -1, "pressure at the end, change": 1},
    ),
    Claim(
        5,
        "households of the lowest incomes move most often",
        {"moves of the poorest over others": 1},
    ),
    Claim(
        6,
        "households of higher incomes move farther",
        {"distance of the richest over the poorest": 1},
    ),
    Claim(
        7,
        "median incomes spread more under the power law than under the exponential",
        {"spread of median incomes": 1},
        against_exponential=True,
    ),
)
"""What [WeisEtAl2021]_ report of their model."""


def check_claims(
    outcomes: pd.DataFrame, exponential: pd.DataFrame | None = None, *, level: float = 0.95
) -> pd.DataFrame:
    """Return what an ensemble says of every claim.

    Parameters
    ----------
    outcomes, exponential
        A row a seed, columns `GRID_OUTCOMES`: of the preset, and of the same with exponential
        incomes. Without the second, claims that compare the two are left out.
    level
        Of the intervals, Student's t over seeds.

    Returns
    -------
    DataFrame
        A row a claim and outcome: number, claim, outcome, unit, mean, low, high and verdict. It
        holds if the whole interval has the sign claimed, does not hold if the whole has the other,
        and is undecided in between; it is not defined if some seed has no such outcome, as where
        nobody of a fifth moves. Under exponential incomes the last claim compares a law with
        itself.

    Raises
    ------
    DataError
        If there are fewer than two seeds, or the two ensembles have others.
    """
    if len(outcomes) < 2:
        raise DataError(f"{len(outcomes)} seed has no interval; run two or more, best 20.")
    if exponential is not None and not outcomes.index.equals(exponential.index):
        raise DataError("the ensembles have other seeds; run both with the same.")
    rows = []
    for claim in CLAIMS:
        if claim.against_exponential and exponential is None:
            continue
        for name, sign in claim.signs.items():
            values = outcomes[name]
            if claim.against_exponential and exponential is not None:
                values = values - exponential[name]
            low, high = mean_interval(values.to_numpy(dtype=float), level)
            verdict = _verdict(sign * low, sign * high)
            unit = GRID_OUTCOMES[name]
            rows.append([claim.number, claim.text, name, unit, values.mean(), low, high, verdict])
    columns = ["number", "claim", "outcome", "unit", "mean", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def verdicts(table: pd.DataFrame) -> "pd.Series[str]":
    """Return the verdict on every claim, by its text: it holds only if all its parts do.

    Parameters
    ----------
    table
        From `check_claims`.
    """
    worst = {}
    for text, parts in table.groupby("claim", sort=False)["verdict"]:
        found = set(parts)
        order = ("does not hold", "not defined", "undecided", "holds")
        worst[text] = next(verdict for verdict in order if verdict in found)
    return pd.Series(worst, name="verdict", dtype=str).rename_axis("claim")


def _verdict(one: float, other: float) -> str:
    if isnan(one):
        return "not defined"
    if min(one, other) > 0:
        return "holds"
    return "does not hold" if max(one, other) < 0 else "undecided"
