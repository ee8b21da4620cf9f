"""How tight the job markets are, and how soon they let a seeker find a job."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microsim.state import State
from microsim.world import World

__all__ = ["Tightness", "finding_chances", "openings_by_occupation", "tightness"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tightness:
    """What the job markets of the metros hold for seekers of every occupation.

    Attributes
    ----------
    openings : ndarray (M, O) float64
        Positions open, by the occupation they are for.
    chances : ndarray (M, O) float64
        Openings for each unit of search that competes for them.
    jobs : ndarray (M, O) float64
        Openings that fall to a seeker of an occupation: its transferability times ``chances``,
        added up over where it leads.
    """

    openings: Floats
    chances: Floats
    jobs: Floats


def tightness(effort: Floats, state: State, world: World) -> Tightness:
    """Return how tight the job markets are.

    Positions that the firms of an industry have open are for occupations in the proportions of
    `JobMarket.postings`. With transferability ``T``, openings ``V_p`` and search ``U_o`` (the sum
    of the unemployed's efforts, also of those who lost their job this month), seekers compete for
    the openings of occupation p with ``S_p = sum_o T_op U_o``, and an occupation's tightness is
    ``sum_p T_op V_p / S_p``. Tightness times search adds up to the metro's openings; it is V / U
    of the metro where skills carry everywhere, and of the occupation where they carry nowhere.

    Parameters
    ----------
    effort : (N,)
        Of search, 1 for a seeker of full effort.
    state, world
    """
    jobs = world.jobs
    openings = openings_by_occupation(state, world)
    metros, count = openings.shape
    out = np.flatnonzero(~state.employed)
    where = state.metro[out] * count + state.occupation[out]
    searching = np.bincount(where, effort[out], minlength=metros * count).reshape(metros, count)
    competition = searching @ jobs.transferability
    contested = competition > 0
    chances = np.divide(openings, competition, out=np.zeros_like(openings), where=contested)
    return Tightness(openings, chances, chances @ jobs.transferability.T)


def openings_by_occupation(state: State, world: World) -> Floats:
    """Return the positions open, by metro and the occupation they are for, (M, O)."""
    postings, firms = world.jobs.postings, world.population.firms
    metros, industries, _ = postings.shape
    cell = firms.metro.astype(np.int64) * industries + firms.industry
    vacant = np.bincount(cell, state.positions - state.headcount, minlength=metros * industries)
    openings: Floats = np.einsum("mi,mio->mo", vacant.reshape(metros, industries), postings)
    return openings


def finding_chances(market: Tightness, world: World) -> Floats:
    """Return the chance of finding a job at full effort, by metro and occupation, (M, O).

    ``job_finding_rate * (tightness / reference_tightness) ** matching_elasticity``, 1 or more where
    jobs abound, and 0 where there is none, whatever the elasticity.
    """
    labour = world.parameters.labour
    relative = market.jobs / labour.reference_tightness
    chances = labour.job_finding_rate * relative**labour.matching_elasticity
    return np.where(market.jobs > 0, chances, 0.0)
