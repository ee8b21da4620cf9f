"""The variables that a mobility model may use: one table, one code, for estimation and simulation.

A variable varies by worker, by metro (as a destination, or as the origin the worker lives in), by
pair of origin and destination, or by how a metro matches the worker: by occupation, or by where the
family lives. Everything else that varies by worker *and* metro is a product of such variables, so
that the engine never builds workers x metros.

On the row of the alternative "stay", a metro's variables are those of the worker's own metro, and
the variables of a pair take the values at which a move has not happened: distance 1 km (its log is
0), cost 0 and indicators 0. Population, which stands for how many places to move to a destination
holds, is 1 there (its log is 0): staying is one place.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microsim.local_start import remote_incentives
from microsim.mobility.remote_work import remote_status, teleworkable
from microsim.parameters import MovingParameters, Parameters
from microsim.people.population import Population

__all__ = [
    "MATCHED_BY",
    "PRODUCTS",
    "VARIABLES",
    "PlaceColumns",
    "Variable",
    "WorkerColumns",
    "first_columns",
    "great_circle",
    "moving_scale",
    "variable_table",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind = Literal["worker", "metro", "origin", "pair", "match", "product"]


@dataclass(frozen=True)
class Variable:
    """One variable of a mobility model.

    Attributes
    ----------
    name
    kind
        What it varies by.
    unit, description
    moves
        Whether it changes during a simulation.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    moves: bool = False


_TABLE = (
    Variable("age", "worker", "years", "Age; a year older every January.", True),
    Variable("college", "worker", "0 or 1", "Bachelor's degree or more.", True),
    Variable("homeowner", "worker", "0 or 1", "Owns the home."),
    Variable("household_size", "worker", "persons", "Size of the household."),
    Variable("unemployed", "worker", "0 or 1", "Has no job.", True),
    Variable("own_wage", "worker", "dollars a year", "Own wage, or that of the last job.", True),
    Variable("savings", "worker", "dollars", "Liquid savings.", True),
    Variable("ai_exposure", "worker", "share", "AI exposure of the occupation.", True),
    Variable("moving_scale", "worker", "factor", "Household's and owner's factor on moving costs."),
    Variable("network", "worker", "0 to 1", "Strength of the ties to where one lives.", True),
    Variable("family_weight", "worker", "0 to 1", "Weight on living near the family."),
    Variable("warmth_taste", "worker", "standard deviations", "Taste for a warm climate."),
    Variable("urban_taste", "worker", "standard deviations", "Taste for city life."),
    Variable("remote", "worker", "0 or 1", "Keeps job and wage wherever one lives.", True),
    Variable("onsite", "worker", "0 or 1", "1 - remote: the wage depends on the metro.", True),
    Variable("population", "metro", "persons", "Residents in the base year."),
    Variable("wage", "metro", "dollars a year", "Mean wage.", True),
    Variable("income", "metro", "dollars a year", "Median household income in the base year."),
    Variable("home_value", "metro", "dollars", "Median home value times the price index.", True),
    Variable("rent", "metro", "dollars a month", "Mean rent.", True),
    Variable("housing_cost", "metro", "thousand dollars a year", "Rent of a year.", True),
    Variable("net_wage", "metro", "thousand dollars a year", "Mean wage less taxes on it.", True),
    Variable("net_income", "metro", "thousand dollars a year", "net_wage - housing_cost.", True),
    Variable("warmth", "metro", "10 degrees", "Latitudes south of 40 degrees north."),
    Variable("density", "metro", "persons per square mile", "Residents over land area."),
    Variable("unemployment", "metro", "share", "Unemployed over workers.", True),
    Variable("bachelor_share", "metro", "share", "Adults with a bachelor's degree."),
    Variable("employed_share", "metro", "share", "Adults employed in the base year."),
    Variable("owner_share", "metro", "share", "Households that own."),
    Variable("vacancy_share", "metro", "share", "Dwellings vacant."),
    Variable("commute", "metro", "miles", "Mean way to work, times the time it takes.", True),
    Variable("remote_incentive", "metro", "thousand dollars", "Offered to remote movers, 2024."),
    Variable("latitude", "metro", "degrees", "Latitude, weighted by population."),
    Variable("longitude", "metro", "degrees", "Longitude, weighted by population."),
    Variable("distance", "pair", "km", "Great-circle distance between the metros."),
    Variable("distance_cost", "pair", "thousand dollars", "Moving cost before moving_scale."),
    Variable("same_division", "pair", "0 or 1", "In one Census division."),
    Variable("same_state", "pair", "0 or 1", "Share a state."),
    Variable("family", "match", "0 or 1", "The worker's family lives there."),
    Variable("cluster", "match", "ratio", "Location quotient of the worker's occupation."),
    Variable(
        "expected_wage",
        "match",
        "thousand dollars a year",
        "Median wage of the worker's occupation there, less taxes on it.",
        True,
    ),
    Variable(
        "expected_income",
        "match",
        "thousand dollars a year",
        "expected_wage - housing_cost.",
        True,
    ),
    Variable("moving_cost", "product", "thousand dollars", "moving_scale times distance_cost."),
)

VARIABLES: Mapping[str, Variable] = {v.name: v for v in _TABLE} | {
    f"origin_{v.name}": Variable(
        f"origin_{v.name}", "origin", v.unit, f"In the worker's own metro: {v.description}", v.moves
    )
    for v in _TABLE
    if v.kind == "metro"
}
"""Every variable by name; those of the own metro are called ``origin_`` and the metro's name."""

PRODUCTS: Mapping[str, tuple[str, str]] = {"moving_cost": ("moving_scale", "distance_cost")}
"""Variables that are a worker's factor times a pair's; usable in a formula only by themselves."""

MATCHED_BY: Mapping[str, str] = {
    "family": "family_metro",
    "cluster": "occupation",
    "expected_wage": "occupation",
    "expected_income": "occupation",
}
"""The worker's column whose code says which row of a match variable's table is theirs."""

STAY_METRO: Mapping[str, float] = {"population": 1.0}
STAY_PAIR: Mapping[str, float] = {
    "distance": 1.0,
    "distance_cost": 0.0,
    "same_division": 0.0,
    "same_state": 0.0,
}


def variable_table() -> pd.DataFrame:
    """Return the documented variables, one row each."""
    return pd.DataFrame([vars(v) for v in VARIABLES.values()])


def great_circle(latitude: Floats, longitude: Floats) -> Floats:
    """Return the distances between all points in km, (M, M), by the haversine formula.

    Parameters
    ----------
    latitude, longitude : (M,)
        Degrees.
    """
    phi, lam = np.radians(latitude), np.radians(longitude)
    half = np.sin((phi[:, None] - phi) / 2) ** 2
    half += np.cos(phi)[:, None] * np.cos(phi) * np.sin((lam[:, None] - lam) / 2) ** 2
    km: Floats = 2 * 6371.0088 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))
    return km


def distance_cost(distance: Floats, moving: MovingParameters) -> Floats:
    """Return the moving cost of a one-person renting household, thousand dollars.

    ``cost_base + cost_distance * (1 - exp(-distance / cost_distance_scale))``.
    """
    far = -np.expm1(-distance / moving.cost_distance_scale)
    return moving.cost_base + moving.cost_distance * far


def mean_commute(population: Population) -> Floats:
    """Return the mean way to work of each metro's workers, (M,); the nation's where none live."""
    w, size = population.workers, len(population.metros)
    stock = np.bincount(w.metro, minlength=size)
    miles = np.bincount(w.metro, w.commute, minlength=size)
    mean: Floats = np.where(stock > 0, miles / np.maximum(stock, 1), w.commute.mean(dtype=float))
    return mean


def location_quotients(population: Population, smoothing: float) -> Floats:
    """Return each occupation's share of a metro's workers over its share of the nation's, (O, M).

    ``smoothing`` workers with the nation's occupations are added to every metro, which keeps the
    quotients of small metros near 1 and all of them above 0.
    """
    w, shape = population.workers, (len(population.occupations), len(population.metros))
    flat = w.occupation.astype(np.int64) * shape[1] + w.metro
    counts = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    nation = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    nation /= nation.sum()
    quotients: Floats = (counts / nation + smoothing) / (counts.sum(axis=0) + smoothing)
    return quotients


def moving_scale(
    household_size: NDArray[np.integer[Any]], homeowner: NDArray[np.bool_], moving: MovingParameters
) -> Floats:
    """Return the factor on moving costs of households, (N,)."""
    factors = np.asarray(moving.household_factors)
    size = np.clip(household_size, 1, len(factors))
    scale: Floats = factors[size - 1] * np.where(homeowner, moving.owner_factor, 1.0)
    return scale


class WorkerColumns(Mapping[str, Floats]):
    """The workers' variables, (N,) float64, made when asked for.

    Parameters
    ----------
    columns
        Arrays by the names of `microsim.people.agents.Workers`, as they stand now, and
        "remote"; as `first_columns` has them.
    moving
        Factors of the moving cost.
    """

    def __init__(
        self, columns: Mapping[str, NDArray[np.generic]], moving: MovingParameters
    ) -> None:
        self._columns = columns
        self._moving = moving

    _MADE: Mapping[str, Callable[["WorkerColumns"], Floats]] = {
        "age": lambda w: w._float("age"),
        "college": lambda w: (w._columns["education"] >= 3).astype(np.float64),  # type: ignore[operator]
        "homeowner": lambda w: w._float("homeowner"),
        "household_size": lambda w: w._float("household_size"),
        "unemployed": lambda w: (w._columns["firm"] < 0).astype(np.float64),  # type: ignore[operator]
        "own_wage": lambda w: w._float("wage"),
        "savings": lambda w: w._float("savings") / 100.0,
        "ai_exposure": lambda w: w._float("exposure"),
        "moving_scale": lambda w: w._scale(),
        "network": lambda w: w._float("network"),
        "family_weight": lambda w: w._float("family_weight"),
        "warmth_taste": lambda w: w._float("warmth_taste"),
        "urban_taste": lambda w: w._float("urban_taste"),
        "remote": lambda w: w._float("remote"),
        "onsite": lambda w: 1.0 - w._float("remote"),
    }

    def _float(self, name: str) -> Floats:
        return self._columns[name].astype(np.float64)

    def _scale(self) -> Floats:
        size, owner = self._columns["household_size"], self._columns["homeowner"]
        return moving_scale(size.astype(np.int64), owner.astype(np.bool_), self._moving)

    def codes(self, match: str) -> Ints:
        """Return each worker's row in the table of a match variable, (N,)."""
        return self._columns[MATCHED_BY[match]].astype(np.int64)

    def __getitem__(self, name: str) -> Floats:
        return self._MADE[name](self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._MADE)

    def __len__(self) -> int:
        return len(self._MADE)


def first_columns(population: Population, parameters: Parameters) -> dict[str, NDArray[np.generic]]:
    """Return the workers' columns at the start, as `WorkerColumns` takes them."""
    w, firms = population.workers, population.firms
    can = teleworkable(population, w.occupation, parameters.remote)
    remote = remote_status(w.firm.astype(np.int64), firms.remote, can)
    return {**w.columns(), "remote": remote}


@dataclass(frozen=True)
class PlaceColumns:
    """The variables of metros, pairs and matches.

    Attributes
    ----------
    metro : mapping of (M,) arrays
        As they stand now.
    pair : mapping of (M, M) arrays
        Origins in rows. The diagonal is not a move and holds the values of "stay".
    match : mapping of (C, M) arrays
        Of the workers with code c, as `MATCHED_BY` says which.
    """

    metro: Mapping[str, Floats]
    pair: Mapping[str, Floats]
    match: Mapping[str, Floats]

    @classmethod
    def at_start(cls, population: Population, parameters: Parameters) -> "PlaceColumns":
        """Return the variables of the base year; no one is unemployed yet."""
        metros = population.metros
        distance = great_circle(metros.latitude, metros.longitude)
        states = [set(str(s).split("-")) for s in metros.states]
        pair = {
            "distance": distance,
            "distance_cost": distance_cost(distance, parameters.moving),
            "same_division": (metros.division[:, None] == metros.division).astype(np.float64),
            "same_state": np.array([[bool(a & b) for b in states] for a in states], dtype=float),
        }
        for name, values in pair.items():
            np.fill_diagonal(values, STAY_PAIR[name])
        names = [v.name for v in _TABLE if v.kind == "metro" and hasattr(metros, v.name)]
        taken = parameters.taxes.rates(metros.principal_states).sum(axis=0)
        kept = (1.0 - taken) / 1000.0
        metro = {
            **{name: getattr(metros, name) for name in names},
            "net_wage": metros.wage * kept,
            "warmth": (40.0 - metros.latitude) / 10.0,
            "commute": mean_commute(population),
            "remote_incentive": remote_incentives(metros) / 1000.0,
        }
        match = {
            "family": np.eye(len(metros)),
            "cluster": location_quotients(population, parameters.moving.cluster_smoothing),
            "expected_wage": (population.wages * kept[:, None]).T,
        }
        rent = metros.home_value * population.parameters.finance.rent_yield / 12.0
        nobody, par = np.zeros(len(metros)), np.ones(len(metros))
        base = cls({**metro, "rent": rent}, pair, match)
        return base.with_state(
            price_index=par,
            rent_index=par,
            wage_index=par,
            commute_index=par,
            unemployment=nobody,
        )

    def with_state(
        self,
        *,
        price_index: Floats,
        rent_index: Floats,
        wage_index: Floats,
        commute_index: Floats,
        unemployment: Floats,
    ) -> "PlaceColumns":
        """Return those of the base year under indices (base year 1) and unemployment, all (M,)."""
        rent = self.metro["rent"] * rent_index
        housing_cost = 12.0 * rent / 1000.0
        net_wage = self.metro["net_wage"] * wage_index
        metro = {
            "wage": self.metro["wage"] * wage_index,
            "net_wage": net_wage,
            "home_value": self.metro["home_value"] * price_index,
            "rent": rent,
            "housing_cost": housing_cost,
            "net_income": net_wage - housing_cost,
            "unemployment": unemployment,
            "commute": self.metro["commute"] * commute_index,
        }
        wage = self.match["expected_wage"] * wage_index
        match = {"expected_wage": wage, "expected_income": wage - housing_cost}
        return PlaceColumns({**self.metro, **metro}, self.pair, {**self.match, **match})

    def destinations(self) -> dict[str, Floats]:
        """Return all but the workers' variables, broadcasting to (M origins, M destinations)."""
        here = {f"origin_{name}": values[:, None] for name, values in self.metro.items()}
        there = {name: values[None, :] for name, values in self.metro.items()}
        return {**there, **here, **self.pair}

    def stay(self) -> dict[str, Floats]:
        """Return all but the workers' variables on the row "stay", broadcasting to (M,)."""
        here = {f"origin_{name}": values for name, values in self.metro.items()}
        pair = {name: np.asarray(value) for name, value in STAY_PAIR.items()}
        alone = {name: np.asarray(value) for name, value in STAY_METRO.items()}
        return {**self.metro, **here, **pair, **alone}
