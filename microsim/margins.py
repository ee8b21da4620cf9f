"""The margins of a population: what the synthesis aims at, and what came out."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microsim.agents import Firms, Workers
from microsim.finance_parameters import CREDIT_BANDS
from microsim.firm_parameters import REMOTE_POLICIES
from microsim.person_parameters import MARITAL_STATUSES, RACES
from microsim.population import Population
from microsim.synthesis_parameters import INDUSTRIES, SynthesisParameters
from microsim.synthesis_people import AGE_BRACKETS, age_bracket

__all__ = ["realized_margins", "target_margins"]

Floats = NDArray[np.float64]
_BANDS = tuple(f"{low}-{high}" for low, high in pairwise(CREDIT_BANDS))
Block = tuple[str, Iterable[str], Any]


def target_margins(
    places: pd.DataFrame,
    occupations: pd.DataFrame,
    jobs: Floats,
    size: Floats,
    workers: int,
    assumed: SynthesisParameters,
) -> pd.DataFrame:
    """Return what the synthesis aims at.

    Parameters
    ----------
    places
        The metros, as in ``data/metros.csv``, M rows.
    occupations
        With the column soc, O rows.
    jobs : (M, O)
        By metro and occupation.
    size : (M,)
        Labour force, persons.
    workers
        How many stand for them.
    assumed
        Margins that are not in the data.

    Returns
    -------
    DataFrame
        Columns margin, where, target.
    """
    national = (jobs / jobs.sum(axis=1, keepdims=True) * size[:, None]).sum(axis=0) / size.sum()
    people = assumed.people
    divisions = sorted(set(places["division"]))
    blocks: list[Block] = [
        ("workers", places["cbsa"], size / size.sum() * workers),
        ("persons", places["cbsa"], size),
        ("bachelor share", places["cbsa"], places["bachelor_share"]),
        ("owner share", places["cbsa"], places["owner_share"]),
        ("occupation share", occupations["soc"], national),
        ("unemployment rate", ["nation"], [assumed.unemployment_rate]),
        (
            "female share",
            occupations["soc"],
            [people.female_by_occupation[code[:2]] for code in occupations["soc"]],
        ),
        (
            "race share",
            _pairs(divisions, RACES),
            np.ravel([people.race_by_division[division] for division in divisions]),
        ),
        ("marital share", _pairs(AGE_BRACKETS, MARITAL_STATUSES), np.ravel(people.marital_by_age)),
        ("median tenure", AGE_BRACKETS, people.tenure_medians),
        ("city share", places["cbsa"], np.full(len(places), people.city_share)),
        (
            "mean commute",
            places["cbsa"],
            people.commute_speed * places["mean_commute_minutes"],
        ),
        ("credit share", _BANDS, assumed.finance.credit_shares),
        ("debtor share", ["nation"], [assumed.finance.debt_share]),
        (
            "remote share",
            _pairs(INDUSTRIES, REMOTE_POLICIES),
            np.ravel([assumed.firm.remote_by_industry[name] for name in INDUSTRIES]),
        ),
        (
            "mean labour intensity",
            INDUSTRIES,
            [assumed.firm.labour_by_industry[name] for name in INDUSTRIES],
        ),
        ("near family share", ["nation"], [people.near_family_share]),
        ("mean network", ["nation"], [people.network_mean]),
        ("mean family weight", ["nation"], [people.family_weight_mean]),
    ]
    return _frame(blocks, "target")


def realized_margins(population: Population) -> pd.DataFrame:
    """Count the margins that the synthesis controls.

    Returns
    -------
    DataFrame
        Columns margin, where, realized; the rows of `target_margins`.
    """
    w, metros = population.workers, population.metros
    soc = population.occupations["soc"]
    jobs = np.bincount(w.occupation, minlength=len(soc))
    blocks: list[Block] = [
        ("workers", metros.cbsa, np.bincount(w.metro, minlength=len(metros))),
        ("persons", metros.cbsa, np.bincount(w.metro, w.weight, minlength=len(metros))),
        ("bachelor share", metros.cbsa, _means(w.education >= 3, w.metro, len(metros))),
        ("owner share", metros.cbsa, _means(w.homeowner, w.metro, len(metros))),
        ("occupation share", soc, jobs / jobs.sum()),
        ("unemployment rate", ["nation"], [np.mean(w.firm < 0)]),
        ("female share", soc, _means(w.sex == 1, w.occupation, len(soc))),
        *_person_blocks(population),
        *_firm_blocks(population.firms),
    ]
    return _frame(blocks, "realized")


def _person_blocks(population: Population) -> list[Block]:
    w, metros = population.workers, population.metros
    division, divisions = pd.factorize(metros.division, sort=True)
    bracket, brackets = age_bracket(w.age), len(AGE_BRACKETS)
    by_race = [_means(w.race == k, division[w.metro], len(divisions)) for k in range(len(RACES))]
    by_status = [_means(w.marital == k, bracket, brackets) for k in range(len(MARITAL_STATUSES))]
    return [
        ("race share", _pairs(divisions, RACES), np.ravel(by_race, order="F")),
        ("marital share", _pairs(AGE_BRACKETS, MARITAL_STATUSES), np.ravel(by_status, order="F")),
        ("median tenure", AGE_BRACKETS, _median_tenure(w, bracket)),
        ("city share", metros.cbsa, _means(w.ring == 0, w.metro, len(metros))),
        ("mean commute", metros.cbsa, _means(w.commute, w.metro, len(metros))),
        ("credit share", _BANDS, _credit_shares(w)),
        ("debtor share", ["nation"], [np.mean(w.debt > 0)]),
        ("near family share", ["nation"], [np.mean(w.family_metro == w.metro)]),
        ("mean network", ["nation"], [w.network.mean(dtype=np.float64)]),
        ("mean family weight", ["nation"], [w.family_weight.mean(dtype=np.float64)]),
    ]


def _firm_blocks(firms: Firms) -> list[Block]:
    kinds = range(len(REMOTE_POLICIES))
    remote = [_means(firms.remote == k, firms.industry, len(INDUSTRIES)) for k in kinds]
    intensity = _means(firms.labour_intensity, firms.industry, len(INDUSTRIES))
    return [
        ("remote share", _pairs(INDUSTRIES, REMOTE_POLICIES), np.ravel(remote, order="F")),
        ("mean labour intensity", INDUSTRIES, intensity),
    ]


def _median_tenure(w: Workers, bracket: NDArray[np.int64]) -> Floats:
    """Return the median years with the employer, of the employed, by age bracket."""
    employed = w.firm >= 0
    years = pd.Series(w.tenure[employed]).groupby(bracket[employed]).median()
    return np.asarray(years.reindex(range(len(AGE_BRACKETS))), dtype=np.float64)


def _credit_shares(w: Workers) -> Floats:
    band = np.searchsorted(CREDIT_BANDS[1:-1], w.credit_score, side="right")
    return np.bincount(band, minlength=len(_BANDS)) / len(w)


def _means(values: NDArray[Any], group: NDArray[np.integer], groups: int) -> Floats:
    """Return the mean by group, 0 where nobody is; shape (groups,)."""
    count = np.bincount(group, minlength=groups)
    totals = np.bincount(group, values, minlength=groups).astype(np.float64)
    means: Floats = totals / np.maximum(count, 1)
    return means


def _pairs(left: Iterable[str], right: Iterable[str]) -> list[str]:
    return [f"{one}, {other}" for one in left for other in right]


def _frame(blocks: list[Block], column: str) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"margin": margin, "where": list(where), column: np.asarray(values)})
        for margin, where, values in blocks
    ]
    return pd.concat(parts, ignore_index=True)
