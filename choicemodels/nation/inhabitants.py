"""Who lives in the areas of a generated nation: people, groups, incomes, and how many leave."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.apportion import cumulative_rounding
from choicemodels.keyed_random import Streams
from choicemodels.migration.areas import Areas
from choicemodels.nation.geography import Places
from choicemodels.nation.parameters import GROUPS, NationParameters

__all__ = ["by_group", "groups_of", "leaving_rates", "settle", "shares_of"]

Array = NDArray[np.float64]

# Rounds of rescaling shares or rates to their mean; a few suffice.
_ROUNDS = 30


def settle(places: Places, parameters: NationParameters, streams: Streams) -> Areas:
    """Draw people, groups and incomes.

    The log odds of groups and the log of incomes are sums of normal parts of the state, the
    county, the tract and the block group, so that neighbours resemble each other.
    """
    who = np.arange(len(places.tract))
    spread = parameters.people_spread
    z = streams.normal("people of block group", who)
    people = np.maximum(1, np.rint(parameters.people * np.exp(spread * z - spread**2 / 2)))
    shares = _shares(places, people, parameters, streams)
    offsets = streams.uniform("rounding of groups", who)
    groups = cumulative_rounding(shares * people[:, None], offsets)
    log_income = _nested("income", parameters.income_spreads, places, streams)
    log_income += shares @ by_group(parameters.income_by_group)
    income = parameters.income * np.exp(log_income - np.median(log_income))
    density = np.bincount(places.tract, people) / np.bincount(places.tract, places.square_km)
    west, south, east, north = places.bounds.T
    table = pd.DataFrame(
        {
            "longitude": (west + east) / 2,
            "latitude": (south + north) / 2,
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "square_km": places.square_km,
            "population": people,
            **{name: groups[:, k].astype(np.float64) for k, name in enumerate(GROUPS)},
            "income": np.rint(income),
            "urban": density[places.tract] >= parameters.urban_density,
        }
    )
    return Areas.from_geoids(places.geoids.tolist(), table)


def leaving_rates(areas: Areas, parameters: NationParameters, streams: Streams) -> Array:
    """Return the chance of leaving each block group within a year, shape (N,).

    It depends on groups, incomes and density, and averages ``parameters.leaving`` over people.
    """
    people = areas.attribute("population")
    income, urban = areas.attribute("income"), areas.attribute("urban")
    z = streams.normal("leaving", np.arange(areas.size))
    # The rate of whoever settles where nobody lives.
    relative = shares_of(areas) @ by_group(parameters.leaving_by_group)
    rate = (
        np.where(people > 0, relative, 1.0)
        * (income / parameters.income) ** parameters.leaving_by_income
        * np.exp(parameters.leaving_urban * urban + parameters.leaving_spread * z)
    )
    for _ in range(_ROUNDS):
        rate *= parameters.leaving * people.sum() / (rate @ people)
        np.minimum(rate, parameters.most_leaving, out=rate)
    return np.asarray(rate)


def groups_of(areas: Areas) -> Array:
    """Return people by group, shape (N, 5)."""
    return np.ascontiguousarray(areas.table[list(GROUPS)].to_numpy(dtype=np.float64))


def shares_of(areas: Areas) -> Array:
    """Return the share of each group in each area, zero where nobody lives, shape (N, 5)."""
    return np.asarray(groups_of(areas) / np.maximum(areas.attribute("population"), 1.0)[:, None])


def by_group(values: Mapping[str, float]) -> Array:
    """Return a parameter of the groups in their order, shape (5,)."""
    return np.array([values[group] for group in GROUPS])


def _shares(places: Places, people: Array, parameters: NationParameters, streams: Streams) -> Array:
    """Return the share of each group in each area, the nation's as given, shape (N, 5)."""
    national = by_group(parameters.shares)
    log_odds = np.log(national) + by_group(parameters.share_core) * places.centrality[:, None]
    for k, group in enumerate(GROUPS):
        log_odds[:, k] += _nested(group, parameters.share_spreads, places, streams)
    odds = np.exp(log_odds)
    for _ in range(_ROUNDS):
        odds /= odds.sum(axis=1, keepdims=True)
        odds *= national / (people @ odds / people.sum())
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _nested(name: str, spreads: Mapping[str, float], places: Places, streams: Streams) -> Array:
    """Add up a normal draw for each level's own area, shape (N,)."""
    N = len(places.tract)
    codes = {
        "state": places.state,
        "county": places.county,
        "tract": places.tract,
        "block_group": np.arange(N),
    }
    total = np.zeros(N)
    for level, code in codes.items():
        draws = streams.normal(f"{name} of {level}", np.arange(code[-1] + 1))
        total += spreads[level] * draws[code]
    return total
