"""What the monthly processes read and return: the fixed world and the changing state."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from choicemodels.apportion import cumulative_rounding
from choicemodels.keyed_random import Streams
from microsim.displaced_before import displaced_before
from microsim.government_parameters import LEVELS
from microsim.local_start import LocalStart, local_start
from microsim.mobility_utility import MobilityUtility
from microsim.parameters import Parameters
from microsim.population import Population
from microsim.remote_work import remote_status, teleworkable
from microsim.scenario import Scenario
from microsim.shocks import AIAdoption, AIDisplacement, Recession, RemoteWork, exposure_path
from microsim.skills import JobMarket, job_market
from microsim.variables import PlaceColumns

__all__ = ["Flows", "State", "World", "initial_state", "make_world"]

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
    def metros(self) -> int:
        """How many metros there are, M."""
        return len(self.population.metros)

    @property
    def states(self) -> list[str]:
        """Each metro's state by postal code; of several, the first."""
        return [str(states).split("-")[0] for states in self.population.metros.states]


@dataclass(frozen=True)
class Flows:
    """What happened in a month.

    Attributes
    ----------
    separations, displaced, quits, hires, departures, arrivals, eligible, eligible_moves, grants, \
    switches, retraining, retrained, dropouts \
    : ndarray (M,) int64
        Counts by metro. ``switches`` are hires in another occupation, ``retraining`` courses begun,
        which end as ``retrained`` or ``dropouts``. ``quits`` are the jobs that movers leave;
        ``eligible`` (for a grant) are counted where they live, ``eligible_moves`` and ``grants`` at
        the origin of the move.
    permits, completions, lost_dwellings : ndarray (M,) int64
        Dwellings permitted, completed and lost.
    payments : ndarray (G,) int64
        How many payments each policy made.
    outlays : ndarray (G, M) int64
        Cents that each policy paid, by metro; to movers, by the metro they left.
    inframarginal : ndarray (G,) int64
        How many of ``payments`` went to households that would have done the same without.
    constrained : ndarray (M,) int64
        Workers who would have moved, but could not pay for it, by metro.
    services : ndarray (G, M) int64
        The part of ``outlays`` that bought a service and went into no household's savings.
    benefit_cents : ndarray (M,) int64
        Unemployment insurance, its extensions left out.
    tax_cents : ndarray (L, M) int64
        Taxes by level of government and metro.
    wages, take_home : int
        Cents earned in the month, before and after taxes.
    saved, drawn, moving_cost, credit : int
        Cents put by, taken out for living and debts, paid to movers from savings and grants, and
        the part of moving costs that neither covered.
    borrowed, interest, repaid : int
        Cents lent for living, charged on debts, and paid by the debtors.
    tuition : int
        Cents that households paid for courses.
    carried : ndarray (M,) int64
        Remote workers who came with their job, less those who left with it.
    local_moves : ndarray (3,) int64
        Moves within metros, by `microsim.distances.DISTANCE_CLASSES`.
    movers, origin, destination : ndarray (moves,) int64
        Row of the worker, and the metros, of every move between metros.
    """

    separations: Ints
    displaced: Ints
    quits: Ints
    hires: Ints
    departures: Ints
    arrivals: Ints
    eligible: Ints
    eligible_moves: Ints
    grants: Ints
    switches: Ints
    retraining: Ints
    retrained: Ints
    dropouts: Ints
    permits: Ints
    completions: Ints
    lost_dwellings: Ints
    payments: Ints
    inframarginal: Ints
    constrained: Ints
    outlays: Ints
    services: Ints
    benefit_cents: Ints
    tax_cents: Ints
    wages: int
    take_home: int
    saved: int
    drawn: int
    moving_cost: int
    credit: int
    tuition: int
    borrowed: int
    interest: int
    repaid: int
    carried: Ints
    local_moves: Ints
    movers: Ints
    origin: Ints
    destination: Ints

    @classmethod
    def none(cls, metros: int, policies: int) -> "Flows":
        """Return the flows of a month in which nothing has happened yet."""
        zero, nobody = np.zeros(metros, dtype=np.int64), np.empty(0, dtype=np.int64)
        by_metro = {f.name: zero for f in fields(cls)[:16]}
        return cls(
            **by_metro,
            payments=np.zeros(policies, dtype=np.int64),
            inframarginal=np.zeros(policies, dtype=np.int64),
            constrained=zero,
            outlays=np.zeros((policies, metros), dtype=np.int64),
            services=np.zeros((policies, metros), dtype=np.int64),
            benefit_cents=zero,
            tax_cents=np.zeros((len(LEVELS), metros), dtype=np.int64),
            wages=0,
            take_home=0,
            saved=0,
            drawn=0,
            moving_cost=0,
            credit=0,
            borrowed=0,
            interest=0,
            repaid=0,
            tuition=0,
            carried=zero,
            local_moves=np.zeros(3, dtype=np.int64),
            movers=nobody,
            origin=nobody,
            destination=nobody,
        )


@dataclass(frozen=True)
class Aligned:
    """Where the alignment of displacement stands; see `microsim.processes.alignment`.

    Attributes
    ----------
    factors : ndarray (2,) float64
        On intensities in manufacturing, and in firms that have not cut yet.
    manufacturing : float
        Workers displaced from manufacturing so far, weighted.
    cut : ndarray (F,) bool
        Firms that have displaced somebody so far.
    """

    factors: Floats
    manufacturing: float
    cut: NDArray[np.bool_]


@dataclass(frozen=True)
class State:
    """What changes: a process takes one and returns another; arrays are never written in place.

    Attributes
    ----------
    month : int
        From 0.
    age : ndarray (N,) int16
    metro : ndarray (N,) int64
    ring : ndarray (N,) int8
        Where in the metro, as `Workers.ring`.
    network : ndarray (N,) float64
        Strength of local networks, 0 to 1.
    firm : ndarray (N,) int64
        Row of the employer, -1 for the unemployed.
    occupation : ndarray (N,) int8
        Row of `Population.occupations`; of the last job for the unemployed.
    wage : ndarray (N,) float64
        Dollars a year.
    savings : ndarray (N,) int64
        Cents.
    debt : ndarray (N,) int64
        Besides the mortgage, cents.
    credit_score : ndarray (N,) int16
    months_out : ndarray (N,) int16
        Whole months without a job.
    displaced_in : ndarray (N,) int16
        Month of the last displacement, -1 for never; -2 and less before the run.
    scarred : ndarray (N,) bool
        Displaced and not hired since; the next job pays less.
    granted : ndarray (N,) bool
        Has received a grant.
    benefit : ndarray (N,) int64
        Cents a month of unemployment insurance, 0 without a claim.
    benefit_months : ndarray (N,) int16
        Months of benefits received on this claim.
    insured : ndarray (N,) bool
        Was paid a benefit, an extension's among them, when benefits were last paid.
    course : ndarray (N,) int8
        Occupation that a worker retrains for, -1 for none.
    course_left : ndarray (N,) int16
        Months until the course ends, 0 without one.
    programme : ndarray (N,) int16
        Row of the policy that supports the course, -1 for none.
    headcount, positions : ndarray (F,) int64
        Workers employed, and jobs filled or open.
    stage : ndarray (F,) int8
        Of adoption, as `Firms.stage`.
    remote : ndarray (F,) int8
        Policy of remote work, as `Firms.remote`.
    closed : ndarray (F,) bool
        Which firms have closed for good.
    aligned : Aligned
    price_index, rent_index : ndarray (M,) float64
        House prices and mean rents, 1 in the base year.
    dwellings, under_construction : ndarray (M,) int64
        Counted one by one; a worker's household lives in `LocalStart.households_per_worker`.
    wage_index : ndarray (M,) float64
        Wages for the same work, 1 at the start.
    sponsored : ndarray (M,) int64
        Positions that innovation districts have bought.
    connected, certified : ndarray (N,) bool
        Whose household a broadband programme, and whom a university partnership, has served.
    spent : ndarray (G,) int64
        Cents each policy has paid so far.
    treasury : ndarray (L, M) int64
        Cents of taxes less outlays so far, by level of government and metro; a government's
        balance is the sum over its metros.
    recession : ndarray (R,) bool
        Which of the scenario's recessions are on.
    flows : Flows
        Of this month, so far.
    """

    month: int
    age: NDArray[np.int16]
    metro: Ints
    ring: NDArray[np.int8]
    network: Floats
    firm: Ints
    occupation: NDArray[np.int8]
    wage: Floats
    savings: Ints
    debt: Ints
    credit_score: NDArray[np.int16]
    months_out: NDArray[np.int16]
    displaced_in: NDArray[np.int16]
    scarred: NDArray[np.bool_]
    granted: NDArray[np.bool_]
    benefit: Ints
    benefit_months: NDArray[np.int16]
    insured: NDArray[np.bool_]
    course: NDArray[np.int8]
    course_left: NDArray[np.int16]
    programme: NDArray[np.int16]
    headcount: Ints
    positions: Ints
    stage: NDArray[np.int8]
    remote: NDArray[np.int8]
    closed: NDArray[np.bool_]
    aligned: Aligned
    price_index: Floats
    rent_index: Floats
    dwellings: Ints
    under_construction: Ints
    wage_index: Floats
    sponsored: Ints
    connected: NDArray[np.bool_]
    certified: NDArray[np.bool_]
    spent: Ints
    treasury: Ints
    recession: NDArray[np.bool_]
    flows: Flows

    @property
    def employed(self) -> NDArray[np.bool_]:
        """Who has a job, (N,)."""
        return self.firm >= 0

    def exposure(self, world: World) -> Floats:
        """Return the exposure of each worker's occupation as it stands now, (N,)."""
        # A replicate that has ended stands one month after its last.
        month = min(self.month, len(world.exposure) - 1)
        exposure: Floats = world.exposure[month][self.occupation]
        return exposure

    def columns(self, world: World) -> Mapping[str, NDArray[np.generic]]:
        """Return the workers' columns as they stand now, for `microsim.variables`."""
        w = world.population.workers
        return {
            "age": self.age,
            "education": w.education,
            "homeowner": w.homeowner,
            "household_size": w.household_size,
            "firm": self.firm,
            "occupation": self.occupation,
            "wage": self.wage,
            "savings": self.savings,
            "exposure": self.exposure(world),
            "network": self.network,
            "family_metro": w.family_metro,
            "family_weight": w.family_weight,
            "warmth_taste": w.warmth_taste,
            "urban_taste": w.urban_taste,
            "remote": self.remote_workers(world),
        }

    def workplace(self, world: World) -> Ints:
        """Return the metro of each worker's employer, their own without one, (N,)."""
        place: Ints = np.append(world.population.firms.metro.astype(np.int64), -1)[self.firm]
        return np.where(self.firm >= 0, place, self.metro)

    def remote_workers(self, world: World) -> NDArray[np.bool_]:
        """Return who works from anywhere, (N,)."""
        rules = world.parameters.remote
        can = teleworkable(world.population, self.occupation, rules)
        return remote_status(self.firm, self.remote, can)

    def next_month(self, world: World) -> "State":
        """Return the state at the beginning of the next month."""
        blank = Flows.none(world.metros, len(self.spent))
        return replace(self, month=self.month + 1, flows=blank)


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
        start=local_start(population, scenario.parameters.housing),
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
    path = np.interp(since, knots, [point.rate for point in shock.hazard])
    # Just short of 1, so that the intensity times an exposure of 0 stays 0.
    return np.where(since >= 0, -np.log1p(-np.minimum(path, 1 - 1e-12)), 0.0)


def initial_state(world: World) -> State:
    """Return the state at the beginning of month 0."""
    w, f = world.population.workers, world.population.firms
    n = len(w)
    open_share = world.parameters.labour.initial_vacancy_rate
    expected = f.size[world.firm_order].astype(np.float64) * open_share / (1 - open_share)
    vacancies = np.empty(len(f), dtype=np.int64)
    offset = world.streams.uniform("initial vacancies", np.zeros(1, dtype=np.int64))
    vacancies[world.firm_order] = cumulative_rounding(expected[None, :], offset)[0]
    policies = len(world.scenario.policies)
    before = displaced_before(w, world.parameters.alignment, world.streams)
    return State(
        month=0,
        age=w.age.copy(),
        metro=w.metro.astype(np.int64),
        ring=w.ring.copy(),
        network=w.network.astype(np.float64),
        firm=w.firm.astype(np.int64),
        occupation=w.occupation.copy(),
        wage=w.wage.copy(),
        savings=w.savings.copy(),
        debt=w.debt.copy(),
        credit_score=w.credit_score.copy(),
        months_out=np.zeros(n, dtype=np.int16),
        displaced_in=before,
        scarred=(before != -1) & (w.firm < 0),
        granted=np.zeros(n, dtype=np.bool_),
        benefit=np.zeros(n, dtype=np.int64),
        benefit_months=np.zeros(n, dtype=np.int16),
        insured=np.zeros(n, dtype=np.bool_),
        course=np.full(n, -1, dtype=np.int8),
        course_left=np.zeros(n, dtype=np.int16),
        programme=np.full(n, -1, dtype=np.int16),
        headcount=f.size.astype(np.int64),
        positions=f.size + vacancies,
        stage=f.stage.copy(),
        remote=f.remote.copy(),
        closed=np.zeros(len(f), dtype=np.bool_),
        aligned=Aligned(np.ones(2), 0.0, np.zeros(len(f), dtype=np.bool_)),
        price_index=np.ones(world.metros),
        rent_index=np.ones(world.metros),
        dwellings=world.start.dwellings,
        under_construction=world.start.under_construction,
        wage_index=np.ones(world.metros),
        sponsored=np.zeros(world.metros, dtype=np.int64),
        connected=np.zeros(n, dtype=np.bool_),
        certified=np.zeros(n, dtype=np.bool_),
        spent=np.zeros(policies, dtype=np.int64),
        treasury=np.zeros((len(LEVELS), world.metros), dtype=np.int64),
        recession=np.zeros(len(world.recessions), dtype=np.bool_),
        flows=Flows.none(world.metros, policies),
    )
