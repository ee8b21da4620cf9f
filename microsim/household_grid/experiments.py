"""What the paper and its code differ in, and what its authors left open, as parameter sets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from microsim.household_grid.claims import check_claims, verdicts
from microsim.household_grid.ensemble import GridEnsemble
from microsim.household_grid.outcomes import GRID_OUTCOMES
from microsim.household_grid.parameters import GridParameters

__all__ = [
    "DEVIATIONS",
    "Deviation",
    "deviation_sets",
    "deviation_table",
    "effect_table",
    "holding",
    "open_questions",
]


@dataclass(frozen=True)
class Deviation:
    """One way in which the paper's text, its equations and its code differ.

    Attributes
    ----------
    name : str
    says, does : str
        What the preset ``paper`` does; what the printed equation or the code does instead.
    changes : dict of str to Any
        Of the preset ``paper``, to have the other; empty where nothing can be run, or nothing
        would change.
    """

    name: str
    says: str
    does: str
    changes: dict[str, Any] = field(default_factory=dict)


DEVIATIONS = (
    Deviation(
        "signs as printed",
        "a distance from the preferred size or from one's income is a penalty",
        "paper's equation: both enter C with a plus",
        {"weights": (-3.0, 2.0, -5e-4, 2.0)},
    ),
    Deviation(
        "exponent as printed",
        "richer households search farther: the exponent falls from 4 to 1.2 with income",
        "paper's equation: it rises from 1.2 to 5.0 (not 4) at 200,000 dollars",
        {"distance_exponents": (1.2, 5.0)},
    ),
    Deviation(
        "width as printed",
        "a city's variance is (log k + 1) / 2",
        "paper's equation: log(k) / 2, which leaves three cities in four without width",
        {"width_offset": 0.0},
    ),
    Deviation(
        "capacity as printed",
        "there are N / phi places",
        "paper's equation: phi N, fewer places than households; cannot be run",
    ),
    Deviation(
        "unlikeness attracts",
        "a distance from one's income is a penalty",
        "code: it is a bonus",
        {"weights": (3.0, 2.0, -5e-4, 2.0)},
    ),
    Deviation(
        "own housing cost",
        "C has the housing cost of the cell that is looked at",
        "code: that of the household's own cell, so that b3 changes nothing",
        {"own_cost": True},
    ),
    Deviation("mean income", "a cell's median income", "code: its mean", {"centre": "mean"}),
    Deviation(
        "0.2 of income",
        "housing costs 0.3 of the cell's income",
        "code: 0.2",
        {"affordable_share": 0.2},
    ),
    Deviation(
        "empty cells win",
        "a cell where nobody lives is priced by the income of all households",
        "code: its score is NaN, which the search takes for the best",
        {"empty_cells": "win"},
    ),
    Deviation(
        "wide cities",
        "a city's variance is (log k + 1) / 2",
        "code: 2 (log k + 1)",
        {"width_scale": 2.0},
    ),
    Deviation(
        "edges",
        "cities reach across the edges of the periodic grid",
        "code: they are cut off",
        {"periodic_cities": False},
    ),
    Deviation(
        "countryside",
        "places are the cities'",
        "code: each cell has one, and a tenth more is spread over all",
        {"rural_share": 0.1, "least_places": 1},
    ),
    Deviation("number of cities", "2 g cities", "code: g^2 / 10, the same where g is 20"),
    Deviation(
        "log-normal incomes",
        "incomes follow a power law, whose exponent the paper does not give",
        "code: what it calls 'power' is log-normal, median 30,000, cut to 1,000 and 200,000",
        {"income": "lognormal"},
    ),
    Deviation(
        "narrow preferences",
        "preferred sizes have log-standard deviation 0.5",
        "code: 0.25",
        {"preference_sigma": 0.25},
    ),
    Deviation(
        "overfull cells",
        "first homes are vacant places at random",
        "code: cells drawn independently, a quarter of them overfull",
        {"placement": "independent"},
    ),
    Deviation(
        "whole distances",
        "distances are real numbers",
        "code: whole ones of Zipf's law, up to five angles each until the place is new",
        {"distance": "zipf", "attempts": 5},
    ),
    Deviation(
        "fixed order",
        "who comes first is drawn anew every step (the paper does not say)",
        "code: always in the order of ids",
        {"order": "fixed"},
    ),
    Deviation(
        "full cells without bound",
        "full cells cost 1,000,000 dollars, as in the code",
        "paper: the cost goes to infinity",
        {"full_cost": 1e12},
    ),
    Deviation(
        "early weights",
        "weights (3, 2, 5e-4, 2), as in the code; the paper gives none",
        "an earlier version of the code: (1, 3, 5e-4, 0.01)",
        {"weights": (1.0, 3.0, 5e-4, 0.01)},
    ),
    Deviation(
        "rounding", "places add up to N / phi exactly", "code: rounded cell by cell, 0.2 % off"
    ),
    Deviation("seeds", "every draw is keyed by the seed", "code: one of two generators is seeded"),
)
"""Every difference that was found, against the preset ``paper``."""


def effect_table(
    ensemble: GridEnsemble, baseline: str, outcomes: Iterable[str] = tuple(GRID_OUTCOMES)
) -> pd.DataFrame:
    """Return what each set of an ensemble changes of a baseline, and which claims hold in it.

    Parameters
    ----------
    ensemble
    baseline
        Name of a set.
    outcomes
        Names in `GRID_OUTCOMES`.

    Returns
    -------
    DataFrame
        Index set; columns claims, the numbers of those that hold (exponential incomes not asked),
        and for each outcome the mean difference from the baseline, paired by seed, with its
        standard error in ``(outcome) mc_se``.
    """
    names = list(outcomes)
    rows = {}
    for name in ensemble.parameters:
        found = ensemble.contrast(baseline, name).loc[names]
        rows[name] = {"claims": holding(ensemble.of(name)), **found["difference"]}
        rows[name] |= found["mc_se"].add_suffix(" mc_se")
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("set")


def deviation_table(
    ensemble: GridEnsemble, outcomes: Iterable[str] = tuple(GRID_OUTCOMES)
) -> pd.DataFrame:
    """Return the effect of each deviation on outcomes and on the verdicts.

    Parameters
    ----------
    ensemble
        Of ``paper`` and the sets of `deviation_sets`.
    outcomes
        Names in `GRID_OUTCOMES`.

    Returns
    -------
    DataFrame
        Index deviation; columns says, does, and those of `effect_table`. Where nothing can be run,
        or changes, these are missing.
    """
    told = pd.DataFrame({d.name: {"says": d.says, "does": d.does} for d in DEVIATIONS}).T
    return told.join(effect_table(ensemble, "paper", outcomes)).rename_axis("deviation")


def holding(outcomes: pd.DataFrame) -> str:
    """Return the numbers of the claims that hold in an ensemble, that on laws of incomes apart."""
    table = check_claims(outcomes)
    found = verdicts(table)
    numbers = table.drop_duplicates("claim").set_index("claim")["number"]
    return ", ".join(str(numbers[claim]) for claim in found.index if found[claim] == "holds")


def deviation_sets(**changes: Any) -> dict[str, GridParameters]:
    """Return ``paper``, and ``paper`` with each deviation alone, by name.

    Parameters
    ----------
    changes
        Of all of them, such as their size.
    """
    sets = {"paper": GridParameters.preset("paper", **changes)}
    for deviation in DEVIATIONS:
        if deviation.changes:
            sets[deviation.name] = sets["paper"].replace(**deviation.changes)
    return sets


def open_questions(base: GridParameters) -> dict[str, GridParameters]:
    """Return the parameter sets that answer what [WeisEtAl2021]_ leave open, by name.

    Re-opening at three quarters of the steps; remote work above an income; each weight at none, a
    half and twice its value; occupancies from 0.5 to 0.95; other laws of preferred sizes. "base"
    is what they are compared with; where it has no shock, nothing is asked about remote work.
    """
    questions: dict[str, Mapping[str, Any]] = {"base": {}}
    if base.shock is not None:
        questions["without remote work"] = {"shock": None, "reopening": None}
        questions["re-opened"] = {"reopening": (base.steps + base.shock) // 2}
        questions |= {
            f"remote above {income:,.0f}": {"remote_income": income}
            for income in (30_000.0, 60_000.0, 100_000.0)
        }
    for k, name in enumerate(("b0", "b1", "b2", "b3")):
        for factor in (0.0, 0.5, 2.0):
            weights = list(base.weights)
            weights[k] *= factor
            questions[f"{name} times {factor:g}"] = {"weights": tuple(weights)}
    questions |= {f"occupancy {phi:.2f}": {"occupancy": phi} for phi in (0.5, 0.6, 0.7, 0.8, 0.95)}
    questions |= {
        "preferences uniform": {"preference": "uniform"},
        "preferences exponential": {"preference": "exponential"},
        "preferences as the places": {"preference": "places"},
        "preferences half as large": {"preference_level": 0.5},
        "preferences twice as large": {"preference_level": 2.0},
    }
    return {name: base.replace(**changes) for name, changes in questions.items()}
