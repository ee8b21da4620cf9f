"""Who lives in the areas of a generated nation: people, groups, incomes, and how many leave."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.apportion import cumulative_rounding
from choicemodels.keyed_random import Streams
from choicemodels.nation.geography import Places
from choicemodels.nation.parameters import GROUPS, NationParameters

__all__ = ["Inhabitants", "leaving_rates", "settle"]

Array = NDArray[np.float64]

_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Inhabitants:
    """People by block group.

    Attributes
    ----------
    groups : ndarray, shape (N, 5)
        People by group, whole numbers.
    income : ndarray, shape (N,)
        Median household income, in dollars.
    urban : ndarray of bool, shape (N,)
        Whether the tract is as dense as an urban core of the census.
    """

    groups: Array
    income: Array
    urban: NDArray[np.bool_]

    @property
    def people(self) -> Array:
        """Return everybody, shape (N,)."""
        return np.asarray(self.groups.sum(axis=1))


def settle(places: Places, parameters: NationParameters, streams: Streams) -> Inhabitants:
    """Draw people, groups and incomes.

    The log odds of groups and the log of incomes are sums of normal parts of the state, the
    county, the tract and the block group, so that neighbours resemble each other.
    """
    N = len(places.tract)
    z = streams.normal("people of block group", np.arange(N))
    spread = parameters.people_spread
    people = np.maximum(1, np.rint(parameters.people * np.exp(spread * z - spread**2 / 2)))
    shares = _shares(places, people, parameters, streams)
    offsets = streams.uniform("rounding of groups", np.arange(N))
    groups = cumulative_rounding(shares * people[:, None], offsets).astype(np.float64)
    by_group = _vector(parameters.income_by_group)
    log_income = shares @ by_group + _nested("income", parameters.income_spreads, places, streams)
    income = parameters.income * np.exp(log_income - np.median(log_income))
    density = np.bincount(places.tract, people) / np.bincount(places.tract, places.square_km)
    urban = density[places.tract] >= parameters.urban_density
    return Inhabitants(groups, np.rint(income), urban)


def leaving_rates(
    inhabitants: Inhabitants, parameters: NationParameters, streams: Streams
) -> Array:
    """Return the chance of leaving each block group within the year, shape (N,).

    It depends on groups, incomes and density, and averages ``parameters.leaving`` over people.
    """
    people = inhabitants.people
    shares = inhabitants.groups / people[:, None]
    z = streams.normal("leaving", np.arange(len(people)))
    rate = (
        (shares @ _vector(parameters.leaving_by_group))
        * (inhabitants.income / parameters.income) ** parameters.leaving_by_income
        * np.exp(parameters.leaving_urban * inhabitants.urban + parameters.leaving_spread * z)
    )
    for _ in range(_ROUNDS):
        rate *= parameters.leaving * people.sum() / (rate @ people)
        np.minimum(rate, parameters.most_leaving, out=rate)
    return np.asarray(rate)


def _shares(places: Places, people: Array, parameters: NationParameters, streams: Streams) -> Array:
    """Return the share of each group in each area, the nation's as given, shape (N, 5)."""
    national = _vector(parameters.shares)
    log_odds = np.log(national) + _vector(parameters.share_core) * places.centrality[:, None]
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


def _vector(by_group: Mapping[str, float]) -> Array:
    return np.array([by_group[group] for group in GROUPS])
