"""How far skills carry from one occupation to another, and which jobs industries post."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.datasets import load_data
from choicemodels.errors import DataError
from microsim.assumptions.skills import SkillParameters
from microsim.people.population import Population

__all__ = ["JobMarket", "job_market", "postings", "skill_distances", "transferability"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class JobMarket:
    """Where workers of every occupation can work.

    Attributes
    ----------
    distance : ndarray (O, O) float64
        Of skills, as `skill_distances`.
    transferability : ndarray (O, O) float64
        From the occupation in the row to that in the column, as `transferability`.
    postings : ndarray (M, I, O) float64
        Shares of the occupations in the jobs that a metro's firms of an industry post.
    """

    distance: Floats
    transferability: Floats
    postings: Floats


def job_market(population: Population, assumed: SkillParameters) -> JobMarket:
    """Return the market in which a population's workers look for jobs.

    Raises
    ------
    DataError
        If the population has an occupation without skills.
    """
    soc = population.occupations["soc"]
    distance = skill_distances(soc)
    if assumed.active:
        pay = load_data("occupations").set_index("soc")["wage_p50"].loc[list(soc)]
        carries = transferability(distance, pay.to_numpy(dtype=np.float64), assumed)
        posted = postings(population)
    else:
        carries = np.ones_like(distance)
        industries = int(population.firms.industry.max(initial=0)) + 1
        shape = (len(population.metros), industries, len(soc))
        posted = np.full(shape, 1.0 / len(soc))
    return JobMarket(distance, carries, posted)


def skill_distances(soc: "pd.Series[str]") -> Floats:
    """Return how far apart occupations are in what they do, (O, O).

    The root mean square difference of six work activities' importance, each in standard
    deviations over the major groups: analyzing, processing and documenting information, working
    with computers, caring for others, and handling objects. [Robinson2018]_ measures the distance
    of occupations by such portfolios.

    Raises
    ------
    DataError
        If an occupation is none of the major groups.
    """
    skills = load_data("occupation_skills").set_index("soc")
    unknown = [code for code in soc if code not in skills.index]
    if unknown:
        raise DataError(
            f"nothing is known of the skills of occupation '{unknown[0]}'; give the population's "
            "occupations as SOC major groups, such as '43-0000'."
        )
    z = skills.loc[list(soc)].to_numpy(dtype=np.float64)
    return np.asarray(np.sqrt(np.mean((z[:, None] - z[None]) ** 2, axis=2)), dtype=np.float64)


def transferability(distance: Floats, pay: Floats, assumed: SkillParameters) -> Floats:
    """Return how far skills carry from occupation to occupation, (O, O), 0 to 1.

    ``exp(-distance / transfer_scale - climb * max(log(pay_to / pay_from), 0))``; 1 within an
    occupation, and 0 between any two if the scale is 0.

    Parameters
    ----------
    distance : (O, O)
    pay : (O,)
        Median wages in the nation.
    assumed
    """
    if assumed.transfer_scale == 0.0:
        return np.eye(len(pay))
    more = np.maximum(np.log(pay[None, :] / pay[:, None]), 0.0)
    carries: Floats = np.exp(-distance / assumed.transfer_scale - assumed.climb * more)
    return carries


def postings(population: Population) -> Floats:
    """Return the shares of the occupations in the jobs posted, by metro and industry, (M, I, O).

    ``n_mo * h_io`` divided by its sum over occupations: the metro's workers in the occupation
    times the share of the occupation's employed who work in the industry. Where an industry
    employs none of a metro's occupations, its shares are those in the nation.
    """
    w, f = population.workers, population.firms
    metros, count = len(population.metros), len(population.occupations)
    industries = int(f.industry.max(initial=0)) + 1
    by_metro = _cross(w.metro, w.occupation, metros, count)
    at_work = w.firm >= 0
    by_industry = _cross(f.industry[w.firm[at_work]], w.occupation[at_work], industries, count)
    employs = by_industry / np.maximum(by_industry.sum(axis=0), 1.0)
    joint = by_metro[:, None, :] * employs[None]
    nation = np.where(by_industry.sum(axis=1, keepdims=True) > 0, by_industry, 1.0)
    joint = np.where(joint.sum(axis=2, keepdims=True) > 0, joint, nation[None])
    return np.asarray(joint / joint.sum(axis=2, keepdims=True), dtype=np.float64)


def _cross(
    row: NDArray[np.integer], column: NDArray[np.integer], rows: int, columns: int
) -> Floats:
    """Count by row and column, (rows, columns)."""
    flat = row.astype(np.int64) * columns + column
    return np.bincount(flat, minlength=rows * columns).reshape(rows, columns).astype(np.float64)
