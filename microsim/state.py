"""What changes from month to month."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from choicemodels.apportion import cumulative_rounding
from microsim.assumptions.governments import LEVELS
from microsim.displaced_before import displaced_before
from microsim.flows import Flows
from microsim.mobility.remote_work import remote_status, teleworkable
from microsim.world import World

__all__ = ["Aligned", "State", "initial_state"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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
    education : ndarray (N,) int8
        As `Workers.education`; university partnerships raise it.
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
    lost_positions, closing_stock : ndarray (M,) int64
        Positions that closed firms took with them and nobody replaced when a firm closed last,
        and the workers whom the metro had then.
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
    education: NDArray[np.int8]
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
    lost_positions: Ints
    closing_stock: Ints
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

    def fresh(self, world: World) -> NDArray[np.bool_]:
        """Return who lost their job this month, and will search from the next one on, (N,)."""
        lost: NDArray[np.bool_] = ~self.employed & (self.months_out == 0)
        # Nobody has been out for a month when the run begins, though some are out from before.
        return lost & (world.population.workers.firm >= 0) if self.month == 0 else lost

    def exposure(self, world: World) -> Floats:
        """Return the exposure of each worker's occupation as it stands now, (N,)."""
        # A replicate that has ended stands one month after its last.
        month = min(self.month, len(world.exposure) - 1)
        exposure: Floats = world.exposure[month][self.occupation]
        return exposure

    def columns(self, world: World) -> Mapping[str, NDArray[np.generic]]:
        """Return the workers' columns as they stand now, for `microsim.mobility.variables`."""
        w = world.population.workers
        return {
            "age": self.age,
            "education": self.education,
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
        gain = world.telework_gain * self.connected if world.telework_gain > 0 else 0.0
        can = teleworkable(world.population, self.occupation, rules, gain)
        return remote_status(self.firm, self.remote, can)

    def next_month(self, world: World) -> "State":
        """Return the state at the beginning of the next month."""
        blank = Flows.none(world.metros, len(self.spent))
        return replace(self, month=self.month + 1, flows=blank)


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
        education=w.education.copy(),
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
        lost_positions=np.zeros(world.metros, dtype=np.int64),
        closing_stock=np.zeros(world.metros, dtype=np.int64),
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
