"""The metro panel: what is known of every metro in every month, each column with its unit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microsim.assumptions.governments import LEVELS, Level
from microsim.assumptions.synthesis import INDUSTRIES
from microsim.processes.local_economy import commute_index
from microsim.processes.tightness import openings_by_occupation
from microsim.state import State
from microsim.world import World

__all__ = ["COUNTS", "PANEL", "PanelColumn", "metro_rows", "panel_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COUNTS = (
    "arrivals",
    "departures",
    "displaced",
    "separations",
    "quits",
    "hires",
    "switches",
    "job_changes",
    "retraining",
    "retrained",
    "dropouts",
    "eligible",
    "eligible_moves",
    "grants",
    "constrained",
)
"""Columns that count what happened in the month; `microsim.flows.Flows` has them."""

LEAST_INTENSITY = 0.01
"""Labour intensity below which a firm's output is reckoned as if it were this."""

YOUNG_FIRM = 1
"""Age in whole years up to which a firm is a start-up."""


@dataclass(frozen=True)
class Month:
    """A month, and the counts by metro that several columns are made of.

    Attributes
    ----------
    before, state : State
        At the beginning and at the end of the month.
    world : World
    """

    before: State
    state: State
    world: World

    def by_metro(self, state: State | None = None) -> Ints:
        """Return the workers of every metro, (M,)."""
        return np.bincount((state or self.state).metro, minlength=self.world.metros)

    def share(self, who: NDArray[np.bool_]) -> Floats:
        """Return the share of every metro's workers for whom ``who`` (N,) holds, (M,)."""
        count = np.bincount(self.state.metro, who, minlength=self.world.metros)
        return ratio(count, self.population)

    def of_firms(self, values: NDArray[Any]) -> Floats:
        """Add up ``values`` (F,) by the firms' metro, (M,)."""
        metro, size = self.world.population.firms.metro, self.world.metros
        total: Floats = np.bincount(metro, values, minlength=size).astype(np.float64)
        return total

    @cached_property
    def population(self) -> Ints:
        """Workers by metro, (M,)."""
        return self.by_metro()

    @cached_property
    def employed(self) -> Ints:
        """Those with a job, (M,)."""
        count = np.bincount(self.state.metro, self.state.employed, minlength=self.world.metros)
        return count.astype(np.int64)

    @cached_property
    def jobs(self) -> Floats:
        """Jobs that the metro's firms have filled, (M,); some may be done from elsewhere."""
        return self.of_firms(self.state.headcount)

    @cached_property
    def vacancies(self) -> Ints:
        """Open positions, (M,)."""
        return self.of_firms(self.state.positions - self.state.headcount).astype(np.int64)

    @cached_property
    def rent(self) -> Floats:
        """Mean rents, dollars a month, (M,)."""
        yearly = self.world.population.metros.home_value * self.state.rent_index
        return yearly * (self.world.population.parameters.finance.rent_yield / 12.0)

    @cached_property
    def output(self) -> Floats:
        """Output at yearly rates by metro, (M,); see the column."""
        return output(self.state, self.world)


def ratio(top: NDArray[Any], bottom: NDArray[Any]) -> Floats:
    """Return ``top / bottom``, 0 where there is nothing to divide by."""
    out = np.zeros(len(top))
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def output(state: State, world: World) -> Floats:
    """Return what the firms of every metro produce, dollars a year, (M,).

    The payroll of each firm over its labour intensity, which is payroll over revenue.
    """
    firms = world.population.firms
    # The first bin is that of the unemployed, who are employed by firm -1.
    payroll = np.bincount(state.firm + 1, state.wage, minlength=len(firms) + 1)[1:]
    # A firm whose payroll is next to none of its revenue says nothing of what workers produce.
    produced = payroll / np.maximum(firms.labour_intensity, LEAST_INTENSITY)
    total = np.bincount(firms.metro, produced, minlength=world.metros)
    return total.astype(np.float64)


def mismatch(month: Month) -> Floats:
    """Return half the sum of the absolute differences of two mixes of occupations, (M,).

    Those of the unemployed against those of the open positions: the index of dissimilarity of
    [DuncanDuncan1955]_, the share of the seekers who would have to change occupation to have as
    many seekers as positions in each. 0 where nobody is unemployed or nothing open.
    """
    state, world = month.state, month.world
    openings = openings_by_occupation(state, world)
    out = np.flatnonzero(~state.employed)
    code = state.metro[out] * openings.shape[1] + state.occupation[out]
    seekers = np.bincount(code, minlength=openings.size).reshape(openings.shape)
    many, few = seekers.sum(axis=1), openings.sum(axis=1)
    gap = seekers / np.maximum(many, 1)[:, None] - openings / np.where(few > 0, few, 1.0)[:, None]
    index: Floats = np.where((many > 0) & (few > 0), np.abs(gap).sum(axis=1) / 2.0, 0.0)
    return index


def diversification(month: Month) -> Floats:
    """Return 1 less the Herfindahl index of employment by industry, (M,)."""
    firms, size = month.world.population.firms, month.world.metros
    code = firms.metro.astype(np.int64) * len(INDUSTRIES) + firms.industry
    jobs = np.bincount(code, month.state.headcount, minlength=size * len(INDUSTRIES))
    shares = jobs.reshape(size, -1) / np.maximum(month.jobs, 1)[:, None]
    index: Floats = np.where(month.jobs > 0, 1.0 - (shares**2).sum(axis=1), 0.0)
    return index


def mean_wage(state: State, world: World) -> Floats:
    """Return the mean wage of the employed of every metro, (M,); 0 where nobody is."""
    at_work = state.employed
    total = np.bincount(state.metro, np.where(at_work, state.wage, 0.0), minlength=world.metros)
    return ratio(total, np.bincount(state.metro, at_work, minlength=world.metros))


def retraining_funds(month: Month) -> Floats:
    """Return dollars that retraining programmes spent in every metro, (M,)."""
    kinds: list[str] = [policy.kind for policy in month.world.scenario.policies]
    mine = [g for g, kind in enumerate(kinds) if kind == "retraining"]
    dollars: Floats = month.state.flows.outlays[mine].sum(axis=0) / 100.0
    return dollars


@dataclass(frozen=True)
class PanelColumn:
    """A column of the metro panel.

    Attributes
    ----------
    name, unit, description : str
    values : callable
        From a `Month` to (M,) values.
    """

    name: str
    unit: str
    description: str
    values: Callable[[Month], NDArray[Any]]


def _metro(name: str) -> Callable[[Month], NDArray[Any]]:
    return lambda m: getattr(m.world.population.metros, name)


def _state(name: str) -> Callable[[Month], NDArray[Any]]:
    return lambda m: getattr(m.state, name)


def _flow(name: str) -> Callable[[Month], NDArray[Any]]:
    return lambda m: getattr(m.state.flows, name)


def _start(name: str) -> Callable[[Month], NDArray[Any]]:
    return lambda m: getattr(m.world.start, name)


def _growth(now: NDArray[Any], before: NDArray[Any]) -> Floats:
    """Return relative growth, 0 from nothing."""
    return np.where(before > 0, ratio(now, before) - 1.0, 0.0)


def _balance(level: Level) -> PanelColumn:
    i = LEVELS.index(level)
    return PanelColumn(
        f"{level}_balance",
        "dollars",
        f"Taxes less outlays of the {level} government so far.",
        lambda m: m.state.treasury[i] / 100.0,
    )


C = PanelColumn
PANEL: tuple[PanelColumn, ...] = (
    C("cbsa", "code", "The metro.", _metro("cbsa")),
    C("region_class", "class", "As in data/README.md.", _metro("region_class")),
    C("latitude", "degrees", "Of the mean resident.", _metro("latitude")),
    C("longitude", "degrees", "Of the mean resident.", _metro("longitude")),
    C("population", "workers", "Who live there.", lambda m: m.population),
    C("employed", "workers", "Of these, with a job.", lambda m: m.employed),
    C("unemployed", "workers", "Without one.", lambda m: m.population - m.employed),
    C("arrivals", "workers", "Who moved in.", _flow("arrivals")),
    C("departures", "workers", "Who moved out.", _flow("departures")),
    C("displaced", "workers", "Who lost a job to AI or a plant's closing.", _flow("displaced")),
    C("separations", "workers", "Who lost a job otherwise.", _flow("separations")),
    C("quits", "jobs", "Left for another, or by movers.", _flow("quits")),
    C("hires", "workers", "Who found a job.", _flow("hires")),
    C("switches", "workers", "Of these, in another occupation.", _flow("switches")),
    C("job_changes", "workers", "Of these, from another job.", _flow("job_changes")),
    C("retraining", "workers", "Who began a course.", _flow("retraining")),
    C("retrained", "workers", "Who completed one.", _flow("retrained")),
    C("dropouts", "workers", "Who ended one without.", _flow("dropouts")),
    C("eligible", "workers", "Eligible for a relocation grant.", _flow("eligible")),
    C("eligible_moves", "workers", "Of these, who moved out.", _flow("eligible_moves")),
    C("constrained", "workers", "Would have moved, but could not pay.", _flow("constrained")),
    C("grants", "grants", "Paid to those who left.", _flow("grants")),
    C("vacancies", "positions", "Open.", lambda m: m.vacancies),
    C(
        "adopting_firms",
        "firms",
        "Beyond the stage none of AI adoption.",
        lambda m: m.of_firms(m.state.stage > 0).astype(np.int64),
    ),
    C(
        "unemployment_rate",
        "share of workers",
        "Unemployed over workers.",
        lambda m: ratio(m.population - m.employed, m.population),
    ),
    C("wage_index", "start = 1", "Wages for the same work.", _state("wage_index")),
    C("mean_wage", "dollars a year", "Of the employed.", lambda m: mean_wage(m.state, m.world)),
    C(
        "wage_growth",
        "share per month",
        "Growth of the wage index.",
        lambda m: _growth(m.state.wage_index, m.before.wage_index),
    ),
    C(
        "openings_rate",
        "share of positions",
        "Vacancies over vacancies and filled jobs.",
        lambda m: ratio(m.vacancies, m.vacancies + m.jobs),
    ),
    C(
        "skills_mismatch",
        "share of seekers",
        "Dissimilarity of the occupations of the unemployed and of open positions.",
        mismatch,
    ),
    C("price_index", "base year = 1", "House prices.", _state("price_index")),
    C(
        "home_value",
        "dollars",
        "Median home value.",
        lambda m: m.world.population.metros.home_value * m.state.price_index,
    ),
    C("rent_index", "base year = 1", "Mean rents.", _state("rent_index")),
    C("rent", "dollars a month", "Mean rent.", lambda m: m.rent),
    C(
        "rent_burden",
        "share of income",
        "Mean rent over the median household income, which grows with the wage index.",
        lambda m: 12.0 * m.rent / (m.world.population.metros.income * m.state.wage_index),
    ),
    C("dwellings", "dwellings", "That stand.", _state("dwellings")),
    C(
        "under_construction",
        "dwellings",
        "Permitted and not completed.",
        _state("under_construction"),
    ),
    C("permits", "dwellings", "Permitted in the month.", _flow("permits")),
    C(
        "vacancy_rate",
        "share of dwellings",
        "Vacant; below 0 where households share dwellings.",
        lambda m: (
            1.0 - ratio(m.world.start.households_per_worker * m.population, m.state.dwellings)
        ),
    ),
    C("commute_index", "start = 1", "Time to work.", lambda m: commute_index(m.state, m.world)),
    C(
        "population_growth",
        "share per month",
        "Of the workers.",
        lambda m: _growth(m.population, m.by_metro(m.before)),
    ),
    C(
        "mean_age",
        "years",
        "Of the workers.",
        lambda m: ratio(
            np.bincount(m.state.metro, m.state.age, minlength=m.world.metros), m.population
        ),
    ),
    C(
        "under_30_share",
        "share of workers",
        "Younger than 30.",
        lambda m: m.share(m.state.age < 30),
    ),
    C("over_55_share", "share of workers", "55 or older.", lambda m: m.share(m.state.age >= 55)),
    C(
        "output",
        "dollars a year",
        "Payroll of the metro's firms over their labour intensity, of the workers simulated.",
        lambda m: m.output,
    ),
    C(
        "output_growth",
        "share per month",
        "Of output.",
        lambda m: _growth(m.output, output(m.before, m.world)),
    ),
    C(
        "productivity",
        "dollars a year",
        "Output per filled job.",
        lambda m: ratio(m.output, m.jobs),
    ),
    C("diversification", "0 to 1", "1 less the Herfindahl index of industries.", diversification),
    C(
        "startup_density",
        "firms per 1,000 workers",
        "Employers at most a year old at the start: who closes is thought to be replaced.",
        lambda m: ratio(
            1000.0
            * m.of_firms((m.world.population.firms.age <= YOUNG_FIRM) & (m.state.headcount > 0)),
            m.population,
        ),
    ),
    C("minimum_wage", "dollars an hour", "Least pay of a new job.", _start("minimum_wage")),
    C("right_to_work", "yes or no", "Law of the principal state.", _start("right_to_work")),
    C("remote_incentive", "dollars", "Offered to remote workers.", _start("remote_incentive")),
    C("retraining_funds", "dollars", "Spent on retraining in the month.", retraining_funds),
    C(
        "policy_dollars",
        "dollars",
        "Paid by all policies in the month.",
        lambda m: m.state.flows.outlays.sum(axis=0) / 100.0,
    ),
    *(_balance(level) for level in LEVELS),
)
"""The columns, after replicate, month and date. Stocks are those at the end of the month."""


def panel_table() -> pd.DataFrame:
    """Return the columns of the metro panel: column, unit and description, one row each."""
    return pd.DataFrame(
        [{"column": c.name, "unit": c.unit, "description": c.description} for c in PANEL]
    )


def metro_rows(before: State, state: State, world: World, start: str) -> pd.DataFrame:
    """Return the month's rows of the metro panel, one a metro.

    Parameters
    ----------
    before, state
        At the beginning and at the end of the month.
    world
    start
        First month, "YYYY-MM".
    """
    size, month = world.metros, Month(before, state, world)
    when: Mapping[str, object] = {
        "replicate": np.full(size, world.streams.replicate),
        "month": np.full(size, state.month),
        "date": pd.Series(pd.Period(start, "M") + state.month, index=range(size)).dt.start_time,
    }
    return pd.DataFrame({**when, **{column.name: column.values(month) for column in PANEL}})
