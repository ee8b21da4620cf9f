"""Make a population: joint attributes, drawn in turn, each given those before it.

metro -> occupation -> age -> education -> unemployment -> wage -> household -> home -> savings ->
employer, and then who they are beside their work (`microsim.people.persons`) and what
they own and owe (`microsim.people.finance`). Shares by metro
meet ``data/metros.csv`` and ``data/metro_occupations.csv`` within one worker a metro, because
members are selected systematically and not by independent coins.
"""

from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit, ndtri

from choicemodels.apportion import apportion, cumulative_rounding, select, shift_to_margins
from choicemodels.datasets import load_data
from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import numeric_column, require_columns, to_pandas
from choicemodels.keyed_random import Streams
from microsim.assumptions.synthesis import INDUSTRIES, SynthesisParameters
from microsim.counts import whole
from microsim.people.agents import Metros, Workers
from microsim.people.draws import look_up, ranks, select_by_group, standardize, start
from microsim.people.exposure import load_exposure
from microsim.people.finance import make_finances
from microsim.people.firm_sizes import make_firms
from microsim.people.first_adopters import log_odds_by_metro
from microsim.people.margins import target_margins
from microsim.people.persons import Profile, make_people
from microsim.people.population import Population

__all__ = ["synthesize"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_AGE_EDGES = np.array([18, 25, 35, 45, 55, 65, 75])
_PERCENTILES = np.array([0.10, 0.25, 0.50, 0.75, 0.90])


def synthesize(
    workers: int = 500_000,
    firms: int = 50_000,
    metros: int = 384,
    seed: int = 1,
    *,
    exposure: Any = None,
    parameters: SynthesisParameters | None = None,
) -> Population:
    """Make a population of workers and firms in the most populous metros.

    Parameters
    ----------
    workers, firms
        Counts; at least one firm a metro and on average two workers a firm.
    metros
        The most populous, 2 to 384.
    seed
        Every draw is a function of it and of the agent's id.
    exposure
        From `load_exposure`; the shipped table if not given. A pandas, polars, Arrow or DuckDB
        table with the columns soc and exposure.
    parameters
        What is assumed beside the margins.

    Returns
    -------
    Population
        With ids from 0, workers sorted by metro and occupation.

    Raises
    ------
    SpecificationError
        If the counts are no whole numbers or out of range, or the table of exposures lacks an
        occupation or has it twice.
    DataError
        If the exposures are no table of numbers.
    """
    workers, firms, metros, seed = (
        whole(value, name)
        for name, value in (
            ("workers", workers),
            ("firms", firms),
            ("metros", metros),
            ("seed", seed),
        )
    )
    _check_counts(workers, firms, metros)
    assumed = parameters or SynthesisParameters()
    streams = Streams(seed)
    places = load_data("metros").nlargest(metros, "population").reset_index(drop=True)
    occupations = _occupations(exposure)
    jobs, wage_quantiles, wage_means = _metro_occupations(places, occupations)

    size = _labour_force(places)
    counts = cumulative_rounding(
        _expected(jobs, apportion(size, workers, least=1)),
        streams.uniform("synthesis: occupation", np.arange(metros)),
    )
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    metro, occupation = np.divmod(cell, counts.shape[1])
    ids = np.arange(workers, dtype=np.int64)

    age = _ages(ids, streams, assumed)
    education = _education(ids, age, metro, occupation, places, occupations, streams, assumed)
    unemployed = _unemployed(education, streams, assumed)
    wage = _wages(ids, age, education, cell, wage_quantiles, streams, assumed)
    household = _households(ids, age, streams, assumed)
    owner = _owners(age, wage, household, metro, places, streams, assumed)
    savings = _savings(ids, age, wage, streams, assumed)
    industries = _industries(occupations)
    ai_use = log_odds_by_metro(places, assumed)
    made, employer, industry = make_firms(
        firms, metro, occupation, wage, ~unemployed, industries, ai_use, streams, assumed
    )
    profile = Profile(
        ids, age, education, metro, occupation, household, wage, owner, employed=~unemployed
    )
    people = make_people(profile, places, list(occupations["soc"]), size, streams, assumed.people)
    return Population(
        workers=Workers(
            id=ids,
            age=age.astype(np.int16),
            education=education.astype(np.int8),
            household_size=household.astype(np.int8),
            homeowner=owner,
            occupation=occupation.astype(np.int8),
            industry=industry.astype(np.int8),
            wage=wage,
            savings=savings,
            metro=metro.astype(np.int16),
            firm=employer.astype(np.int32),
            exposure=occupations["exposure"].to_numpy(dtype=np.float64)[occupation],
            **people,
            **make_finances(profile, places, streams, assumed.finance),
        ),
        firms=made,
        metros=_metros(places, jobs, wage_means),
        occupations=occupations,
        wages=np.ascontiguousarray(wage_quantiles[:, :, 2]),
        targets=target_margins(
            places,
            occupations,
            _expected(jobs, size / size.sum() * workers),
            industries,
            wage_means,
            size,
            assumed,
        ),
        seed=seed,
        parameters=assumed,
    )


def _check_counts(workers: int, firms: int, metros: int) -> None:
    if not 2 <= metros <= 384:
        raise SpecificationError(
            f"metros is {metros}; there are 384 in the data, so ask for 2 to 384 of them."
        )
    if firms < metros:
        raise SpecificationError(
            f"{firms:,} firms cannot be spread over {metros} metros; ask for at least {metros}."
        )
    if workers < 2 * firms:
        raise SpecificationError(
            f"{workers:,} workers are too few for {firms:,} firms; ask for at least "
            f"{2 * firms:,} workers, or fewer firms."
        )


def _occupations(exposure: Any) -> pd.DataFrame:
    """Return soc, title and exposure of the SOC major groups; shape (O, 3)."""
    what = "the exposure table"
    if isinstance(exposure, str | PathLike):
        raise SpecificationError(
            f"exposure is the path '{exposure}', not a table; read it with "
            f"load_exposure('{exposure}')."
        )
    table = load_exposure() if exposure is None else to_pandas(exposure, what=what)
    require_columns(table, ["soc", "exposure"], what=what)
    table = table.assign(exposure=numeric_column(table, "exposure", what=what))
    groups = load_data("occupations")[["soc", "title"]]
    given = table.loc[table["soc"].isin(groups["soc"]), "soc"]
    if given.duplicated().any():
        twice = enumerate_some(list(given[given.duplicated()].unique()))
        raise SpecificationError(f"{what} has several rows for {twice}; keep one of each.")
    merged = groups.merge(table[["soc", "exposure"]], on="soc", how="left")
    if merged["exposure"].isna().any():
        missing = ", ".join(merged.loc[merged["exposure"].isna(), "soc"])
        raise SpecificationError(
            f"the exposure table has no row for {missing}; add one for each SOC major group."
        )
    return merged


def _metro_occupations(
    places: pd.DataFrame, occupations: pd.DataFrame
) -> tuple[Floats, Floats, Floats]:
    """Return jobs (M, O), wage percentiles p10 to p90 (M, O, 5) and mean wages (M, O), dollars.

    Where the source suppresses a cell, the nation's figure stands in: its share of jobs, and its
    percentiles scaled by the metro's mean relative wage.
    """
    names = [*(f"wage_p{round(100 * p)}" for p in _PERCENTILES), "wage_mean"]
    keys = pd.MultiIndex.from_product([places["cbsa"], occupations["soc"]], names=["cbsa", "soc"])
    table = load_data("metro_occupations").set_index(["cbsa", "soc"]).reindex(keys)
    shape = (len(places), len(occupations))
    nation = load_data("occupations").set_index("soc").loc[list(occupations["soc"])]
    jobs = table["employment"].to_numpy(dtype=np.float64).reshape(shape)
    shares = nation["employment"].to_numpy(dtype=np.float64) / nation["employment"].sum()
    jobs = np.where(np.isnan(jobs), np.nansum(jobs, axis=1, keepdims=True) * shares, jobs)
    wages = table[names].to_numpy(dtype=np.float64).reshape(*shape, len(names))
    national = nation[names].to_numpy(dtype=np.float64)
    relative = np.nanmean(wages / national, axis=(1, 2))
    wages = np.where(np.isnan(wages), national * relative[:, None, None], wages)
    # Rounded or filled percentiles may touch; a wage distribution may not run backwards.
    return jobs, np.maximum.accumulate(wages[:, :, :-1], axis=2), wages[:, :, -1]


def _industries(occupations: pd.DataFrame) -> Floats:
    """Return the shares of the industries by occupation, (O, I)."""
    table = load_data("industry_occupations").pivot(
        index="soc", columns="industry", values="employment"
    )
    jobs = table.loc[list(occupations["soc"]), list(INDUSTRIES)].to_numpy(dtype=np.float64)
    shares: Floats = jobs / jobs.sum(axis=1, keepdims=True)
    return shares


def _labour_force(places: pd.DataFrame) -> Floats:
    """Return the adults at work of each metro, (M,) persons."""
    adults = places["population"] * (1.0 - places["under_18_share"])
    return (adults * places["employed_share"]).to_numpy(dtype=np.float64)


def _expected(jobs: Floats, workers: Floats | Ints) -> Floats:
    """Return workers by metro and occupation, (M, O), as the jobs divide each metro's."""
    expected: Floats = jobs / jobs.sum(axis=1, keepdims=True) * workers[:, None]
    return expected


def _ages(ids: Ints, streams: Streams, assumed: SynthesisParameters) -> Ints:
    """Return ages in years, uniform within the brackets of ``age_shares``."""
    u = streams.uniform("synthesis: age", ids)
    edges = np.concatenate([[0.0], np.cumsum(assumed.age_shares)])
    ages: Ints = np.floor(np.interp(u, edges, _AGE_EDGES)).astype(np.int64)
    return ages


def _education(
    ids: Ints,
    age: Ints,
    metro: Ints,
    occupation: Ints,
    places: pd.DataFrame,
    occupations: pd.DataFrame,
    streams: Streams,
    assumed: SynthesisParameters,
) -> Ints:
    """Return the level of schooling given occupation, age and the metro's share of bachelors."""
    groups = occupations["soc"].str[:2]
    by_occupation = np.array(
        look_up(assumed.bachelor_by_occupation, list(groups), "bachelor_by_occupation")
    )
    # Few hold the degree before 22, and later cohorts hold it somewhat more often.
    by_age = np.where(age < 22, -3.0, -0.008 * (age - 40))
    bachelor = select(
        shift_to_margins(
            logit(by_occupation)[occupation] + by_age,
            metro,
            places["bachelor_share"].to_numpy(dtype=np.float64),
        ),
        start("synthesis: bachelor", streams),
    )
    u = streams.uniform("synthesis: schooling", ids)
    old_enough = age >= 24
    share = assumed.graduate_share * bachelor.sum() / max(int((bachelor & old_enough).sum()), 1)
    graduate = u < np.where(old_enough, share, 0.0)
    school = np.searchsorted(np.cumsum(assumed.school_shares)[:-1], u, side="right")
    return np.where(bachelor, 3 + graduate, school)


def _unemployed(
    education: Ints, streams: Streams, assumed: SynthesisParameters
) -> NDArray[np.bool_]:
    """Return who is out of work at the start, by schooling, at the national rate."""
    risk = np.asarray(assumed.unemployment_by_education)[education]
    rate = np.minimum(assumed.unemployment_rate * risk / risk.mean(), 0.95)
    return select_by_group(rate, education, start("synthesis: unemployed", streams))


def _wages(
    ids: Ints,
    age: Ints,
    education: Ints,
    cell: Ints,
    quantiles: Floats,
    streams: Streams,
    assumed: SynthesisParameters,
) -> Floats:
    """Return wages whose distribution in every metro and occupation has the given percentiles.

    A score of schooling, age and luck ranks the workers of a cell, and the ranks, spread evenly
    over (0, 1), are put through the cell's quantile function: linear in the log wage against the
    normal score, extended beyond p10 and p90 with the slopes there.
    """
    a, b = assumed.wage_rank_by_education, assumed.wage_rank_by_age
    profile = -((np.minimum(age, 65) - 50.0) ** 2)
    luck = streams.normal("synthesis: wage", ids)
    score = a * standardize(education) + b * standardize(profile)
    score += np.sqrt(1.0 - a * a - b * b) * luck
    order = np.lexsort((score, cell))
    counts = np.bincount(cell, minlength=quantiles.shape[0] * quantiles.shape[1])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(len(cell))
    rank[order] = np.arange(len(cell)) - starts[cell[order]]
    jitter = streams.uniform("synthesis: wage rank", ids)
    z = ndtri(np.clip((rank + jitter) / counts[cell], 0.005, 0.995))
    return _quantile(z, np.log(quantiles).reshape(-1, len(_PERCENTILES))[cell])


def _quantile(z: Floats, log_quantiles: Floats) -> Floats:
    """Interpolate each row's log quantiles at normal scores ``z``; dollars, to the cent."""
    knots = ndtri(_PERCENTILES)
    left = np.clip(np.searchsorted(knots, z) - 1, 0, len(knots) - 2)
    rows = np.arange(len(z))
    low, high = log_quantiles[rows, left], log_quantiles[rows, left + 1]
    slope = (high - low) / (knots[left + 1] - knots[left])
    wages: Floats = np.round(np.exp(low + slope * (z - knots[left])), 2)
    return wages


def _households(ids: Ints, age: Ints, streams: Streams, assumed: SynthesisParameters) -> Ints:
    """Return the household's size, 1 to 6; largest around 40."""
    z = streams.normal("synthesis: household", ids)
    lift = standardize(-np.abs(age - 40.0))
    u = ranks(0.9 * z + np.sqrt(1 - 0.9**2) * lift, np.zeros(len(ids), dtype=np.int64))
    size = 1 + np.searchsorted(np.cumsum(assumed.household_shares)[:-1], u, side="right")
    # The open class of four or more: half have four, a third five, the rest six.
    extra = np.searchsorted([1 / 2, 5 / 6], streams.uniform("synthesis: large household", ids))
    return np.where(size == 4, 4 + extra, size)


def _owners(
    age: Ints,
    wage: Floats,
    household: Ints,
    metro: Ints,
    places: pd.DataFrame,
    streams: Streams,
    assumed: SynthesisParameters,
) -> NDArray[np.bool_]:
    """Return who owns a home, given age, wage, household and the metro's share of owners."""
    log_odds = (
        assumed.owner_age_slope * np.minimum(age, 65)
        + assumed.owner_wage_slope * np.log(wage)
        + assumed.owner_household_slope * household
    )
    margins = places["owner_share"].to_numpy(dtype=np.float64)
    probability = shift_to_margins(log_odds - log_odds.mean(), metro, margins)
    return select(probability, start("synthesis: owner", streams))


def _savings(
    ids: Ints, age: Ints, wage: Floats, streams: Streams, assumed: SynthesisParameters
) -> Ints:
    """Return liquid savings in cents: log-normal around a share of the wage that grows with age."""
    median = assumed.savings_share * wage * np.exp(assumed.savings_age_slope * (age - 40))
    spread = np.exp(assumed.savings_sigma * streams.normal("synthesis: savings", ids))
    cents: Ints = np.rint(100.0 * median * spread).astype(np.int64)
    return cents


def _metros(places: pd.DataFrame, jobs: Floats, wage_means: Floats) -> Metros:
    frame = places.rename(
        columns={"median_household_income": "income", "median_home_value": "home_value"}
    )
    frame["wage"] = (wage_means * jobs).sum(axis=1) / jobs.sum(axis=1)
    return Metros.from_frame(frame, what="the metros")
