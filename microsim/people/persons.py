"""Who the workers are beside their work, drawn in turn, each given what came before.

sex -> race -> marriage -> tenure -> family's metro -> ring -> commute -> networks -> benefits ->
tastes. Every attribute has streams of its own, so that none changes what is drawn before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from choicemodels.apportion import select, shift_to_margins
from choicemodels.keyed_random import Streams
from microsim.assumptions.persons import PersonParameters
from microsim.mobility.variables import great_circle
from microsim.people.draws import (
    allot,
    look_up,
    normal_scores,
    select_by_group,
    standardize,
    start,
    weibull,
)

__all__ = ["AGE_BRACKETS", "Profile", "age_bracket", "make_people", "race_shares"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

AGE_BRACKETS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65-74")
_BRACKET_STARTS = np.array([25, 35, 45, 55, 65])
_COLLEGE = 3


@dataclass(frozen=True)
class Profile:
    """What was drawn of the workers before; every column has shape (N,).

    Attributes
    ----------
    ids, age, education, metro, occupation, household : int64
        As in `microsim.people.agents.Workers`, sorted by metro.
    wage : float64
        Dollars a year.
    owner, employed : bool
    """

    ids: Ints
    age: Ints
    education: Ints
    metro: Ints
    occupation: Ints
    household: Ints
    wage: Floats
    owner: Bools
    employed: Bools


def age_bracket(age: NDArray[np.integer]) -> Ints:
    """Return the position of each age in `AGE_BRACKETS`, (N,)."""
    return np.searchsorted(_BRACKET_STARTS, age, side="right").astype(np.int64)


def make_people(
    profile: Profile,
    places: pd.DataFrame,
    soc: Sequence[str],
    labour_force: Floats,
    streams: Streams,
    assumed: PersonParameters,
) -> dict[str, NDArray[Any]]:
    """Draw the attributes that no later step of the synthesis needs.

    Parameters
    ----------
    profile
        What is known of the workers.
    places
        The metros, as in ``data/metros.csv``, M rows.
    soc
        Codes of the occupations.
    labour_force : (M,)
        Persons at work or looking for it.
    streams, assumed
        Draws and assumptions.

    Returns
    -------
    dict
        Columns of `microsim.people.agents.Workers` by name.
    """
    p = profile
    female = _female(p, soc, streams, assumed)
    tenure = _tenure(p, streams, assumed)
    home = _family_metros(p, places, streams, assumed)
    city = _city(p, streams, assumed)
    near = home == p.metro
    return {
        "sex": female,
        "race": _race(p, places, streams, assumed),
        "marital": _marital(p, streams, assumed),
        "tenure": tenure,
        "ring": ~city,
        "commute": _commute(p, city, places, streams, assumed),
        "network": _network(p, tenure, near, streams, assumed),
        "benefit_eligible": _benefit_eligible(p, tenure, streams, assumed),
        "warmth_taste": _taste(
            "synthesis: warmth taste",
            -places["latitude"].to_numpy(dtype=np.float64)[p.metro],
            assumed.climate_sorting,
            p,
            streams,
        ),
        "urban_taste": _taste(
            "synthesis: urban taste", city.astype(float), assumed.urban_sorting, p, streams
        ),
        "family_metro": home,
        "family_weight": _family_weight(p, near, streams, assumed),
        "weight": (labour_force / np.bincount(p.metro, minlength=len(places)))[p.metro],
    }


def _female(p: Profile, soc: Sequence[str], streams: Streams, assumed: PersonParameters) -> Bools:
    """Return who is a woman, given the occupation and the wage's rank in it."""
    groups = [code[:2] for code in soc]
    margins = np.array(look_up(assumed.female_by_occupation, groups, "female_by_occupation"))
    log_odds = assumed.female_wage_slope * normal_scores(p.wage, p.occupation)
    probability = shift_to_margins(log_odds, p.occupation, margins)
    return select_by_group(probability, p.occupation, start("synthesis: sex", streams))


def _race(p: Profile, places: pd.DataFrame, streams: Streams, assumed: PersonParameters) -> Ints:
    """Return race and ethnicity, given schooling, with the shares of the metro's residents."""
    tilt = np.array(assumed.race_by_education)
    margins = race_shares(places)
    return allot("synthesis: race", streams, p.ids, p.metro, p.education, tilt, margins)


def race_shares(places: pd.DataFrame) -> Floats:
    """Return the shares of `RACES` among each metro's residents, (M, 5)."""
    named = ["white_share", "black_share", "asian_share", "hispanic_share"]
    shares = places[named].to_numpy(dtype=np.float64)
    return np.column_stack([shares, 1.0 - shares.sum(axis=1)])


def _marital(p: Profile, streams: Streams, assumed: PersonParameters) -> Ints:
    """Return the marital status, given age and whether the worker lives alone."""
    margins = np.array(assumed.marital_by_age)
    tilt = np.ones((2, margins.shape[1]))
    tilt[1, 1] = assumed.married_alone
    alone = (p.household == 1).astype(np.int64)
    bracket = age_bracket(p.age)
    return allot("synthesis: marital status", streams, p.ids, bracket, alone, tilt, margins)


def _tenure(p: Profile, streams: Streams, assumed: PersonParameters) -> Floats:
    """Return years with the employer: Weibull about the age's median, 0 for the unemployed."""
    bracket = age_bracket(p.age)
    rho = assumed.tenure_wage_correlation
    score = rho * normal_scores(p.wage, bracket)
    score += np.sqrt(1.0 - rho * rho) * streams.normal("synthesis: tenure", p.ids)
    years = weibull(score, np.array(assumed.tenure_medians)[bracket], assumed.tenure_shape)
    return np.where(p.employed, np.minimum(years, p.age - 16.0), 0.0)


def _family_metros(
    p: Profile, places: pd.DataFrame, streams: Streams, assumed: PersonParameters
) -> Ints:
    """Return where the worker's family lives: mostly here, else by population over distance."""
    log_odds: Floats = assumed.near_family_college_slope * (p.education >= _COLLEGE).astype(float)
    nation = np.zeros(len(p.ids), dtype=np.int64)
    probability = shift_to_margins(log_odds, nation, np.array([assumed.near_family_share]))
    near = select(probability, start("synthesis: near family", streams))
    latitude, longitude, population = (
        places[name].to_numpy(dtype=np.float64) for name in ("latitude", "longitude", "population")
    )
    distance = great_circle(latitude, longitude)
    np.fill_diagonal(distance, np.inf)
    pull = population * distance**-assumed.family_distance_elasticity
    np.fill_diagonal(pull, 0.0)
    metros = len(places)
    edges = np.cumsum(pull, axis=1) / pull.sum(axis=1, keepdims=True)
    # All rows' distribution functions laid end to end: one search serves every origin.
    line = (edges + np.arange(metros)[:, None]).ravel()
    drawn = p.metro + streams.uniform("synthesis: family metro", p.ids)
    away = np.searchsorted(line, drawn, side="right") - p.metro * metros
    return np.where(near, p.metro, np.minimum(away, metros - 1))


def _city(p: Profile, streams: Streams, assumed: PersonParameters) -> Bools:
    """Return who lives in a central city, given home, household and age."""
    log_odds = (
        assumed.city_owner_slope * p.owner
        + assumed.city_household_slope * p.household
        + assumed.city_age_slope * p.age
    )
    margins = np.full(int(p.metro.max()) + 1, assumed.city_share)
    probability = shift_to_margins(log_odds - log_odds.mean(), p.metro, margins)
    return select(probability, start("synthesis: ring", streams))


def _commute(
    p: Profile, city: Bools, places: pd.DataFrame, streams: Streams, assumed: PersonParameters
) -> Floats:
    """Return miles to work, log-normal, with each metro's mean."""
    log_miles = assumed.commute_sigma * streams.normal("synthesis: commute", p.ids)
    miles = np.exp(log_miles + assumed.commute_suburb * ~city)
    means = np.bincount(p.metro, miles) / np.bincount(p.metro)
    minutes = places["mean_commute_minutes"].to_numpy(dtype=np.float64)
    wanted: Floats = miles * (assumed.commute_speed * minutes / means)[p.metro]
    return wanted


def _network(
    p: Profile, tenure: Floats, near: Bools, streams: Streams, assumed: PersonParameters
) -> Floats:
    """Return the strength of local networks, 0 to 1, given tenure, home and family."""
    log_odds = (
        assumed.network_tenure_slope * np.log1p(tenure)
        + assumed.network_owner_slope * p.owner
        + assumed.network_family_slope * near
        + assumed.network_sigma * streams.normal("synthesis: network", p.ids)
    )
    return _with_mean(log_odds, assumed.network_mean)


def _benefit_eligible(
    p: Profile, tenure: Floats, streams: Streams, assumed: PersonParameters
) -> Bools:
    """Return who would qualify for unemployment benefits, or does."""
    qualified = (tenure >= assumed.benefit_least_tenure) & (p.wage >= assumed.benefit_least_wage)
    chance = np.where(p.employed, 0.0, assumed.benefit_unemployed_share)
    return np.where(p.employed, qualified, select(chance, start("synthesis: benefits", streams)))


def _taste(
    stream: str, sorted_by: Floats, correlation: float, p: Profile, streams: Streams
) -> Floats:
    """Return a taste of mean 0 and variance 1 that has led people to where they live."""
    luck = np.sqrt(1.0 - correlation**2) * streams.normal(stream, p.ids)
    taste: Floats = correlation * standardize(sorted_by) + luck
    return taste


def _family_weight(p: Profile, near: Bools, streams: Streams, assumed: PersonParameters) -> Floats:
    """Return the weight on living near the family, 0 to 1."""
    log_odds = (
        assumed.family_weight_household * p.household
        + assumed.family_weight_near * near
        + assumed.family_weight_sigma * streams.normal("synthesis: family weight", p.ids)
    )
    return _with_mean(log_odds, assumed.family_weight_mean)


def _with_mean(log_odds: Floats, mean: float) -> Floats:
    """Return shares whose mean is ``mean``, (N,)."""
    centred = log_odds - log_odds.mean() + logit(mean)
    return shift_to_margins(centred, np.zeros(len(log_odds), dtype=np.int64), np.array([mean]))
