"""What stays the same over the months of a replicate."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams
from microsim.local_start import LocalStart, local_start
from microsim.mobility.utility import MobilityUtility
from microsim.mobility.variables import PlaceColumns
from microsim.parameters import Parameters
from microsim.people.population import Population
from microsim.policies import Broadband
from microsim.scenario import Scenario
from microsim.shocks import AIAdoption, AIDisplacement, Recession, RemoteWork, exposure_path
from microsim.skills import JobMarket, job_market

__all__ = ["Coupling", "World", "make_world"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Coupling = Literal["independent", "full"]


@dataclass(frozen=True)
class World:
    """What stays the same over the months of one replicate.

    Attributes
    ----------
    population : Population
    scenario : Scenario
    utility : MobilityUtility
    streams : Streams
    places : PlaceColumns
        Variables of metros and pairs in the base year.
    intensity : ndarray (T, M) float64
        Displacement intensity ``-log(1 - path)`` by month and metro, shocks added up.
    firm_order : ndarray (F,) int64
        Firms sorted by metro.
    firm_starts : ndarray (M + 1,) int64
        Where each metro's firms begin in ``firm_order``.
    jobs_per_worker : ndarray (M,) float64
        Positions over workers at the start.
    start : LocalStart
        What the metros' markets were before month 0.
    first_month : int
        Calendar month of month 0, 1 to 12.
    exposure : ndarray (T, O) float64
        Of every occupation to AI, by month.
    jobs : JobMarket
        Which occupations the jobs are for, and how far skills carry.
    coupling : "independent" or "full"
        How the moves of two scenarios share their draws; see `microsim.simulate`.
    """

    population: Population
    scenario: Scenario
    utility: MobilityUtility
    streams: Streams
    places: PlaceColumns
    intensity: Floats
    firm_order: Ints
    firm_starts: Ints
    jobs_per_worker: Floats
    start: LocalStart
    first_month: int
    exposure: Floats
    jobs: JobMarket
    coupling: Coupling = "independent"

    @property
    def parameters(self) -> Parameters:
        """The scenario's parameters."""
        return self.scenario.parameters

    @property
    def adoptions(self) -> tuple[AIAdoption, ...]:
        """The scenario's shocks of adoption."""
        return tuple(shock for shock in self.scenario.shocks if isinstance(shock, AIAdoption))

    @property
    def recessions(self) -> tuple[Recession, ...]:
        """The scenario's recessions, R of them."""
        return tuple(shock for shock in self.scenario.shocks if isinstance(shock, Recession))

    @property
    def remote_shocks(self) -> tuple[RemoteWork, ...]:
        """The scenario's shocks of remote work."""
        return tuple(shock for shock in self.scenario.shocks if isinstance(shock, RemoteWork))

    @property
    def telework_gain(self) -> float:
        """By how much a connection raises the chance that a job can be done from anywhere."""
        return max((b.telework for _, b in self.scenario.policies_of(Broadband)), default=0.0)

    @property
    def metros(self) -> int:
        """How many metros there are, M."""
        return len(self.population.metros)

    @property
    def states(self) -> list[str]:
        """Each metro's state by postal code; of several, the first."""
        return self.population.metros.principal_states


def make_world(
    population: Population,
    utility: MobilityUtility,
    scenario: Scenario,
    months: int,
    streams: Streams,
    first_month: int,
    coupling: Coupling = "independent",
) -> World:
    """Prepare what the months of a replicate share."""
    size = len(population.metros)
    firm_metro = population.firms.metro.astype(np.int64)
    order = np.argsort(firm_metro, kind="stable")
    starts = np.searchsorted(firm_metro[order], np.arange(size + 1))
    stock = np.bincount(population.workers.metro, minlength=size)
    staff = np.bincount(firm_metro, population.firms.size, minlength=size)
    open_share = scenario.parameters.labour.initial_vacancy_rate
    return World(
        population=population,
        scenario=scenario,
        utility=utility,
        streams=streams,
        places=PlaceColumns.at_start(population, scenario.parameters),
        intensity=sum(
            (
                _intensity(shock, months, population)
                for shock in scenario.shocks
                if isinstance(shock, AIDisplacement)
            ),
            start=np.zeros((months, size)),
        ),
        firm_order=order,
        firm_starts=starts,
        jobs_per_worker=staff / (1 - open_share) / np.maximum(stock, 1),
        start=local_start(
            population, scenario.parameters.housing, scenario.parameters.labour.minimum_wage
        ),
        first_month=first_month,
        exposure=exposure_path(
            scenario.shocks,
            list(population.occupations["soc"]),
            population.occupations["exposure"].to_numpy(dtype=np.float64),
            months,
        ),
        jobs=job_market(population, scenario.parameters.skills),
        coupling=coupling,
    )


def _intensity(shock: AIDisplacement, months: int, population: Population) -> Floats:
    """Return ``-log(1 - path)`` by month and metro, (T, M), with the shock's spread."""
    w, size = population.workers, len(population.metros)
    stock = np.maximum(np.bincount(w.metro, minlength=size), 1)
    exposure = np.bincount(w.metro, w.exposure, minlength=size) / stock
    rank = np.empty(size)
    rank[np.argsort(-exposure, kind="stable")] = np.arange(size)
    delay = np.rint(shock.spread_months * rank / max(size - 1, 1))
    since = np.arange(months)[:, None] - shock.start_month - delay
    knots = [point.month for point in shock.hazard]
    path = np.interp(since, knots, [point.rate for point in shock.hazard], left=0.0)
    # Just short of 1, so that the intensity times an exposure of 0 stays 0.
    return np.where(since >= 0, -np.log1p(-np.minimum(path, 1 - 1e-12)), 0.0)
