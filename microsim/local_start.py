"""What the markets of every metro were at the start, against which they are measured later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.datasets import load_data
from microsim.assumptions.places import HousingParameters
from microsim.assumptions.synthesis import INDUSTRIES
from microsim.people.agents import Metros
from microsim.people.population import Population

__all__ = ["TRADED", "LocalStart", "local_start", "remote_incentives"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TRADED = ("manufacturing", "information", "professional and business services")
"""Industries that sell beyond their metro, as far as supersectors tell ([Moretti2010]_)."""

REMOTE_INCENTIVES = {"46140": 10_000, "34060": 12_000, "45820": 15_000, "22520": 10_000}
"""Dollars that programmes pay at most to a remote worker who comes, January 2024, by CBSA: Tulsa
Remote, Ascend West Virginia (Morgantown), Choose Topeka, Remote Shoals."""


@dataclass(frozen=True)
class LocalStart:
    """The start of the metros' markets, and the rules of their states.

    Attributes
    ----------
    households_per_worker : int
        Households, and so dwellings, for which a worker stands.
    workers, employed, unemployed : ndarray (M,) int64
    national_unemployment : float
        Share of all workers.
    dwellings, under_construction : ndarray (M,) int64
    natural_vacancy : ndarray (M,) float64
        Share of the dwellings that is vacant; prices and rents rest at it.
    supply_elasticity : ndarray (M,) float64
        Of housing.
    traded : ndarray (F,) bool
        Which firms sell beyond their metro.
    traded_jobs : ndarray (M,) int64
        Workers whom those firms employ.
    minimum_wage : ndarray (M,) float64
        Dollars an hour: of the metro's principal state in January 2024, or the scenario's.
    right_to_work : ndarray (M,) bool
        Whether that state has a right-to-work law.
    remote_incentive : ndarray (M,) float64
        Dollars offered to a remote worker who moves in.
    """

    households_per_worker: int
    workers: Ints
    employed: Ints
    unemployed: Ints
    national_unemployment: float
    dwellings: Ints
    under_construction: Ints
    natural_vacancy: Floats
    supply_elasticity: Floats
    traded: NDArray[np.bool_]
    traded_jobs: Ints
    minimum_wage: Floats
    right_to_work: NDArray[np.bool_]
    remote_incentive: Floats


def local_start(
    population: Population, assumed: HousingParameters, minimum_wage: float | None = None
) -> LocalStart:
    """Measure the metros' markets before the first month.

    A worker stands for as many households as the weights say on average, in whole numbers, so that
    dwellings are counted one by one. As many are under construction as it takes to replace those
    that are lost. ``minimum_wage`` is a scenario's for all states, if it has one.
    """
    w, metros, firms = population.workers, population.metros, population.firms
    size = len(metros)
    stock = np.bincount(w.metro, minlength=size)
    unemployed = np.bincount(w.metro[w.firm < 0], minlength=size)
    scale = max(round(float(w.weight.mean(dtype=np.float64))), 1)
    dwellings = np.rint(scale * stock / (1.0 - metros.vacancy_share)).astype(np.int64)
    started = assumed.loss_rate / 12.0 * assumed.building_months * dwellings
    traded = np.isin(np.array(INDUSTRIES)[firms.industry], TRADED)
    rules = load_data("labour_laws").set_index("state").loc[metros.principal_states]
    return LocalStart(
        households_per_worker=scale,
        workers=stock,
        employed=stock - unemployed,
        unemployed=unemployed,
        national_unemployment=float(unemployed.sum() / max(stock.sum(), 1)),
        dwellings=dwellings,
        under_construction=np.rint(started).astype(np.int64),
        natural_vacancy=1.0 - scale * stock / np.maximum(dwellings, 1),
        supply_elasticity=_supply_elasticity(metros, assumed),
        traded=traded,
        traded_jobs=np.bincount(firms.metro, firms.size * traded, minlength=size).astype(np.int64),
        minimum_wage=rules["minimum_wage"].to_numpy(dtype=np.float64)
        if minimum_wage is None
        else np.full(size, minimum_wage),
        right_to_work=rules["right_to_work"].to_numpy(dtype=np.bool_),
        remote_incentive=remote_incentives(metros),
    )


def remote_incentives(metros: Metros) -> Floats:
    """Return the dollars that each metro offered to a remote worker who moves in, (M,)."""
    return np.array([REMOTE_INCENTIVES.get(code, 0.0) for code in metros.cbsa], dtype=np.float64)


def _supply_elasticity(metros: Metros, assumed: HousingParameters) -> Floats:
    """Return the supply elasticity of housing, (M,): the dearer the metro, the lower."""
    relative = np.median(metros.home_value) / metros.home_value
    elasticity = assumed.supply_elasticity * relative**assumed.elasticity_gradient
    bounded: Floats = np.clip(elasticity, *assumed.elasticity_range)
    return bounded
