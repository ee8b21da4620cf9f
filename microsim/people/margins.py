"""The margins of a population: what the synthesis aims at, and what came out."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microsim.assumptions.finance import CREDIT_BANDS
from microsim.assumptions.firms import REMOTE_POLICIES
from microsim.assumptions.persons import MARITAL_STATUSES, RACES
from microsim.assumptions.synthesis import (
    ADOPTION_STAGES,
    EDUCATION_LEVELS,
    INDUSTRIES,
    SynthesisParameters,
)
from microsim.people.agents import Firms, Workers
from microsim.people.persons import AGE_BRACKETS, age_bracket, race_shares
from microsim.people.population import Population

__all__ = ["realized_margins", "target_margins"]

Floats = NDArray[np.float64]
Block = tuple[str, Iterable[str], Any]

_BANDS = tuple(f"{low}-{high}" for low, high in pairwise(CREDIT_BANDS))
_HOUSEHOLDS = ("1", "2", "3", "4 or more")
_SCHOOL = EDUCATION_LEVELS[:3]
_COLLEGE = 3
_TASTES = ("warmth, the south", "city life, the city")


def target_margins(
    places: pd.DataFrame,
    occupations: pd.DataFrame,
    expected: Floats,
    industries: Floats,
    wage_means: Floats,
    size: Floats,
    assumed: SynthesisParameters,
) -> pd.DataFrame:
    """Return what the synthesis aims at.

    Parameters
    ----------
    places
        The metros, as in ``data/metros.csv``, M rows.
    occupations
        With the column soc, O rows.
    expected : (M, O)
        Workers by metro and occupation.
    industries : (O, I)
        Shares of the industries by occupation.
    wage_means : (M, O)
        Dollars a year.
    size : (M,)
        Labour force, persons.
    assumed
        Margins that are not in the data.

    Returns
    -------
    DataFrame
        Columns margin, where, target.
    """
    cbsa, soc, in_all = places["cbsa"], occupations["soc"], expected.sum(axis=0)
    blocks: list[Block] = [
        ("workers", cbsa, expected.sum(axis=1)),
        ("persons", cbsa, size),
        ("occupation share", soc, in_all / in_all.sum()),
        ("industry share", INDUSTRIES, in_all / in_all.sum() @ industries),
        ("mean wage", soc, (expected * wage_means).sum(axis=0) / in_all),
        ("share below the median wage", soc, np.full(len(soc), 0.5)),
        ("age share", AGE_BRACKETS, assumed.age_shares),
        ("bachelor share", cbsa, places["bachelor_share"]),
        ("school share", _SCHOOL, assumed.school_shares),
        ("graduate share", ["nation"], [assumed.graduate_share]),
        ("unemployment rate", ["nation"], [assumed.unemployment_rate]),
        (
            "unemployment by schooling",
            EDUCATION_LEVELS,
            _unemployment(np.average(places["bachelor_share"], weights=size), assumed),
        ),
        ("household share", _HOUSEHOLDS, assumed.household_shares),
        ("owner share", cbsa, places["owner_share"]),
        *_person_targets(places, list(soc), assumed),
        *_finance_targets(places, assumed),
        *_firm_targets(assumed),
    ]
    return _frame(blocks, "target")


def _unemployment(bachelors: float, assumed: SynthesisParameters) -> Floats:
    """Return the rates by schooling that their relative risks and the national rate imply."""
    risk = np.array(assumed.unemployment_by_education)
    graduate = assumed.graduate_share
    school = (1.0 - bachelors) * np.array(assumed.school_shares)
    shares = np.array([*school, bachelors * (1.0 - graduate), bachelors * graduate])
    rates: Floats = assumed.unemployment_rate * risk / (shares @ risk)
    return rates


def _person_targets(
    places: pd.DataFrame, soc: list[str], assumed: SynthesisParameters
) -> list[Block]:
    people, cbsa = assumed.people, places["cbsa"]
    return [
        ("female share", soc, [people.female_by_occupation[code[:2]] for code in soc]),
        ("race share", _pairs(cbsa, RACES), race_shares(places).ravel()),
        ("marital share", _pairs(AGE_BRACKETS, MARITAL_STATUSES), np.ravel(people.marital_by_age)),
        ("median tenure", AGE_BRACKETS, people.tenure_medians),
        ("city share", cbsa, np.full(len(cbsa), people.city_share)),
        ("mean commute", cbsa, people.commute_speed * places["mean_commute_minutes"]),
        ("eligible share of the unemployed", ["nation"], [people.benefit_unemployed_share]),
        ("taste correlation", _TASTES, [people.climate_sorting, people.urban_sorting]),
        ("near family share", ["nation"], [people.near_family_share]),
        ("mean network", ["nation"], [people.network_mean]),
        ("mean family weight", ["nation"], [people.family_weight_mean]),
    ]


def _finance_targets(places: pd.DataFrame, assumed: SynthesisParameters) -> list[Block]:
    finance = assumed.finance
    return [
        ("median savings, years of wage at 40", ["nation"], [assumed.savings_share]),
        ("debtor share", ["nation"], [finance.debt_share]),
        ("median debt, years of wage at 40", ["nation"], [finance.debt_median]),
        ("median home value", places["cbsa"], places["median_home_value"]),
        ("credit share", _BANDS, finance.credit_shares),
    ]


def _firm_targets(assumed: SynthesisParameters) -> list[Block]:
    firm = assumed.firm
    remote = [firm.remote_by_industry[name] for name in INDUSTRIES]
    labour = [firm.labour_by_industry[name] for name in INDUSTRIES]
    return [
        ("stage share of firms not large", ADOPTION_STAGES, assumed.adoption_shares),
        ("median firm age", ["nation"], [firm.age_median]),
        ("remote share", _pairs(INDUSTRIES, REMOTE_POLICIES), np.ravel(remote)),
        ("mean revenue growth", ["nation"], [firm.growth_mean]),
        ("mean labour intensity", INDUSTRIES, labour),
        ("median automation investment", ADOPTION_STAGES, firm.automation_by_stage),
    ]


def realized_margins(population: Population) -> pd.DataFrame:
    """Count the margins that the synthesis controls.

    Returns
    -------
    DataFrame
        Columns margin, where, realized; the rows of `target_margins`. NaN where nobody is.
    """
    w, metros = population.workers, population.metros
    soc = population.occupations["soc"]
    out, college = w.firm < 0, w.education >= _COLLEGE
    below = w.wage < population.wages[w.metro, w.occupation]
    household = np.minimum(w.household_size, len(_HOUSEHOLDS)) - 1
    blocks: list[Block] = [
        ("workers", metros.cbsa, np.bincount(w.metro, minlength=len(metros))),
        ("persons", metros.cbsa, np.bincount(w.metro, w.weight, minlength=len(metros))),
        ("occupation share", soc, _shares(w.occupation, len(soc))),
        ("industry share", INDUSTRIES, _shares(w.industry, len(INDUSTRIES))),
        ("mean wage", soc, _means(w.wage, w.occupation, len(soc))),
        ("share below the median wage", soc, _means(below, w.occupation, len(soc))),
        ("age share", AGE_BRACKETS, _shares(age_bracket(w.age), len(AGE_BRACKETS))),
        ("bachelor share", metros.cbsa, _means(college, w.metro, len(metros))),
        ("school share", _SCHOOL, _shares(w.education[~college], len(_SCHOOL))),
        ("graduate share", ["nation"], [np.mean(w.education[college] > _COLLEGE)]),
        ("unemployment rate", ["nation"], [np.mean(out)]),
        (
            "unemployment by schooling",
            EDUCATION_LEVELS,
            _means(out, w.education, len(EDUCATION_LEVELS)),
        ),
        ("household share", _HOUSEHOLDS, _shares(household, len(_HOUSEHOLDS))),
        ("owner share", metros.cbsa, _means(w.homeowner, w.metro, len(metros))),
        *_person_blocks(population),
        *_finance_blocks(population),
        *_firm_blocks(population.firms, population.parameters),
    ]
    return _frame(blocks, "realized")


def _person_blocks(population: Population) -> list[Block]:
    w, metros = population.workers, population.metros
    soc, size = population.occupations["soc"], len(metros)
    bracket, brackets = age_bracket(w.age), len(AGE_BRACKETS)
    by_race = [_means(w.race == k, w.metro, size) for k in range(len(RACES))]
    by_status = [_means(w.marital == k, bracket, brackets) for k in range(len(MARITAL_STATUSES))]
    employed = w.firm >= 0
    tastes = [
        np.corrcoef(w.warmth_taste, -metros.latitude[w.metro])[0, 1],
        np.corrcoef(w.urban_taste, w.ring == 0)[0, 1],
    ]
    return [
        ("female share", soc, _means(w.sex == 1, w.occupation, len(soc))),
        ("race share", _pairs(metros.cbsa, RACES), np.ravel(by_race, order="F")),
        ("marital share", _pairs(AGE_BRACKETS, MARITAL_STATUSES), np.ravel(by_status, order="F")),
        ("median tenure", AGE_BRACKETS, _medians(w.tenure[employed], bracket[employed], brackets)),
        ("city share", metros.cbsa, _means(w.ring == 0, w.metro, size)),
        ("mean commute", metros.cbsa, _means(w.commute, w.metro, size)),
        ("eligible share of the unemployed", ["nation"], [_mean(w.benefit_eligible[~employed])]),
        ("taste correlation", _TASTES, tastes),
        ("near family share", ["nation"], [np.mean(w.family_metro == w.metro)]),
        ("mean network", ["nation"], [_mean(w.network)]),
        ("mean family weight", ["nation"], [_mean(w.family_weight)]),
    ]


def _finance_blocks(population: Population) -> list[Block]:
    w, metros, assumed = population.workers, population.metros, population.parameters
    finance, years = assumed.finance, w.age - 40.0
    savings = w.savings / (100.0 * w.wage * np.exp(assumed.savings_age_slope * years))
    debt = w.debt / (100.0 * w.wage * np.exp(finance.debt_age_slope * years))
    band = np.searchsorted(CREDIT_BANDS[1:-1], w.credit_score, side="right")
    values = _medians(_home_values(w, assumed), w.metro[w.homeowner], len(metros))
    return [
        ("median savings, years of wage at 40", ["nation"], [np.median(savings)]),
        ("debtor share", ["nation"], [np.mean(w.debt > 0)]),
        ("median debt, years of wage at 40", ["nation"], [_median(debt[w.debt > 0])]),
        ("median home value", metros.cbsa, values),
        ("credit share", _BANDS, _shares(band, len(_BANDS))),
    ]


def _home_values(w: Workers, assumed: SynthesisParameters) -> Floats:
    """Return the values of the owners' homes that their costs and equity imply, dollars.

    A year's cost is ``upkeep * value + payment * (value - equity)``, solved for the value.
    """
    finance = assumed.finance
    yearly = 12.0 * w.housing_cost[w.homeowner].astype(np.float64)
    equity = w.home_equity[w.homeowner] / 100.0
    per_dollar = finance.upkeep + finance.loan_payment
    if per_dollar == 0.0:
        return np.full(len(yearly), np.nan)
    values: Floats = (yearly + finance.loan_payment * equity) / per_dollar
    return values


def _firm_blocks(firms: Firms, assumed: SynthesisParameters) -> list[Block]:
    kinds, stages = range(len(REMOTE_POLICIES)), len(ADOPTION_STAGES)
    remote = [_means(firms.remote == k, firms.industry, len(INDUSTRIES)) for k in kinds]
    intensity = _means(firms.labour_intensity, firms.industry, len(INDUSTRIES))
    small = firms.size < assumed.large_firm
    return [
        ("stage share of firms not large", ADOPTION_STAGES, _shares(firms.stage[small], stages)),
        ("median firm age", ["nation"], [_median(firms.age)]),
        ("remote share", _pairs(INDUSTRIES, REMOTE_POLICIES), np.ravel(remote, order="F")),
        ("mean revenue growth", ["nation"], [_mean(firms.revenue_growth)]),
        ("mean labour intensity", INDUSTRIES, intensity),
        (
            "median automation investment",
            ADOPTION_STAGES,
            _medians(firms.automation_investment, firms.stage, stages),
        ),
    ]


def _shares(codes: NDArray[np.integer], classes: int) -> Floats:
    """Return the share of each class, (classes,)."""
    count = np.bincount(codes, minlength=classes)
    shares: Floats = count / count.sum() if count.any() else np.full(classes, np.nan)
    return shares


def _means(values: NDArray[Any], group: NDArray[np.integer], groups: int) -> Floats:
    """Return the mean by group, (groups,); NaN where nobody is."""
    count = np.bincount(group, minlength=groups)
    totals = np.bincount(group, values, minlength=groups).astype(np.float64)
    means: Floats = np.divide(totals, count, out=np.full(groups, np.nan), where=count > 0)
    return means


def _medians(values: NDArray[Any], group: NDArray[np.integer], groups: int) -> Floats:
    """Return the median by group, (groups,); NaN where nobody is."""
    medians = pd.Series(values).groupby(group).median()
    return np.asarray(medians.reindex(range(groups)), dtype=np.float64)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean(dtype=np.float64)) if len(values) else np.nan


def _median(values: NDArray[Any]) -> float:
    return float(np.median(values)) if len(values) else np.nan


def _pairs(left: Iterable[str], right: Iterable[str]) -> list[str]:
    return [f"{one}, {other}" for one in left for other in right]


def _frame(blocks: list[Block], column: str) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"margin": margin, "where": list(where), column: np.asarray(values)})
        for margin, where, values in blocks
    ]
    return pd.concat(parts, ignore_index=True)
