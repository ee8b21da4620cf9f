"""A year of moves whose true model is known, as data to estimate from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from choicemodels.logit.tree import NestTree, branch_logsum, build_tree, log_probabilities
from choicemodels.utility import UtilityTerm, variables
from microsim.mobility.behaviour import Behaviour
from microsim.mobility.utility import MobilityUtility
from microsim.mobility.variables import (
    PRODUCTS,
    STAY_METRO,
    STAY_PAIR,
    VARIABLES,
    PlaceColumns,
    WorkerColumns,
    first_columns,
)
from microsim.parameters import Parameters
from microsim.people.population import Population
from microsim.processes.choosing import Choosers, Prospects, choose

__all__ = ["MoveTruth", "choice_table", "flow_table", "sample_cases", "year_of_moves"]

Floats = NDArray[np.float64]

MOVING = {
    "log(distance)": -0.55,
    "moving_cost": -0.08,
    "log(population)": 0.6,
    "log(wage)": 1.0,
    "log(home_value)": -0.4,
    "same_division": 0.3,
}
STAYING = {
    "(Intercept)": 8.6,
    "age": 0.03,
    "homeowner": 0.7,
    "unemployed": -0.6,
    "college": -0.4,
}

PERSONAL_MOVING = {
    "log(distance)": -0.55,
    "moving_cost": -0.08,
    "log(population)": 0.6,
    "onsite:log(expected_wage)": 1.0,
    "housing_cost": -0.03,
    "same_division": 0.3,
    "family_weight:family": 2.0,
    "warmth_taste:warmth": 0.3,
    "urban_taste:log(density)": 0.2,
    "log(cluster)": 0.3,
}
PERSONAL_STAYING = {**STAYING, "(Intercept)": 8.0, "network": 1.0}


@dataclass(frozen=True)
class MoveTruth:
    """A nested logit of staying or moving with known parameters; a `MobilityModel`.

    Attributes
    ----------
    cbsa : tuple of str
        The metros one can move to.
    moving, staying : mapping
        Coefficients by the expression they multiply: of all alternatives, and of "stay".
    dissimilarity : float
        Of the nest of all metros, 0 < lambda <= 1 (RUM-normalized).

    Notes
    -----
    The defaults are assumptions: about 4 % of workers change metro in a year, and 2.3 % the state,
    as docs/calibration.md shows.
    """

    cbsa: tuple[str, ...]
    moving: Mapping[str, float] = field(default_factory=lambda: dict(MOVING))
    staying: Mapping[str, float] = field(default_factory=lambda: dict(STAYING))
    dissimilarity: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.dissimilarity <= 1:
            raise SpecificationError(
                f"the dissimilarity is {self.dissimilarity}; a RUM-consistent one is above 0 and "
                "at most 1."
            )

    @classmethod
    def personal(cls, cbsa: Sequence[str]) -> "MoveTruth":
        """Return a truth in which family, ties, tastes, occupation and remote work matter too."""
        return cls(tuple(cbsa), dict(PERSONAL_MOVING), dict(PERSONAL_STAYING))

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the utilities, for `choice_table`."""
        factors = [factor for term in self.utility_terms() for factor in term.factors]
        return tuple(sorted(frozenset().union(*(variables(factor) for factor in factors))))

    @property
    def alternatives(self) -> tuple[str, ...]:
        """The alternative to stay, then the metros."""
        return ("stay", *self.cbsa)

    @property
    def params(self) -> "pd.Series[float]":
        """The true values under the names that a fitted model gives them."""
        stay = {f"{name}:stay": value for name, value in self.staying.items()}
        return pd.Series({**self.moving, **stay, "lambda:move": self.dissimilarity})

    def utility_terms(self) -> tuple[UtilityTerm, ...]:
        """Return the terms of the systematic utility."""
        moving = [
            UtilityTerm(name, value, _factors(name), None) for name, value in self.moving.items()
        ]
        staying = [
            UtilityTerm(f"{name}:stay", value, _factors(name), ("stay",))
            for name, value in self.staying.items()
        ]
        return (*moving, *staying)

    @cached_property
    def tree(self) -> NestTree:
        """The nest of all metros, beside the alternative to stay."""
        return build_tree({"move": self.cbsa}, self.alternatives)

    def nesting(self) -> tuple[NestTree, Floats]:
        """Return the tree and its dissimilarity, shape (1,)."""
        return self.tree, np.array([self.dissimilarity])

    def branch_logsum(
        self, V: Floats, available: NDArray[np.bool_] | None, exclude: str = "stay"
    ) -> Floats:
        """Return the logsum of all alternatives but one; see `choicemodels.logit.tree`."""
        lam = np.array([self.dissimilarity])
        return branch_logsum(V, self.tree, lam, exclude, available=available)

    def log_probabilities(self, V: Floats, available: NDArray[np.bool_] | None) -> Floats:
        """Return log probabilities, shape (..., J); see `choicemodels.logit.tree`."""
        return log_probabilities(V, self.tree, np.array([self.dissimilarity]), available=available)


def _factors(name: str) -> tuple[str, ...]:
    """Return the factors of a term from its name, as a formula has it."""
    return () if name == "(Intercept)" else tuple(name.split(":"))


def year_of_moves(
    population: Population,
    truth: MoveTruth | None = None,
    *,
    seed: int = 1,
    parameters: Parameters | None = None,
) -> pd.DataFrame:
    """Let every worker choose once, for a year, from a known nested logit.

    Parameters
    ----------
    population
    truth
        By default `MoveTruth` over the population's metros.
    seed
        Of the draws, keyed by worker id.
    parameters
        Of the moving cost.

    Returns
    -------
    DataFrame
        Columns worker (id), origin (CBSA) and choice ("stay" or a CBSA), one row a worker.
    """
    cbsa = tuple(population.metros.cbsa)
    model = truth or MoveTruth(cbsa)
    assumed = parameters or Parameters()
    utility = MobilityUtility.build(Behaviour(model), cbsa)
    w, places = population.workers, PlaceColumns.at_start(population, assumed)
    workers = WorkerColumns(first_columns(population, assumed), assumed.moving)
    metro = w.metro.astype(np.int64)
    kinds = utility.types(workers, len(w))
    V = utility.destinations(kinds.parts, places)
    view = Prospects(utility.logsums(V)[None], (V,), np.zeros((1, len(kinds.parts))))
    nothing = np.full(len(w), -1, dtype=np.int64)
    who = Choosers.build(utility, workers, kinds, places, w.id, metro, nothing)
    names = ("year of moves", "year of moves: destination")
    movers, destination = choose(who, view, Streams(seed), 0, names=names, years=1.0)
    choice = np.full(len(w), "stay", dtype=object)
    choice[movers] = population.metros.cbsa[destination]
    return pd.DataFrame({"worker": w.id, "origin": population.metros.cbsa[metro], "choice": choice})


def sample_cases(moves: pd.DataFrame, cases: int, *, seed: int = 1) -> pd.DataFrame:
    """Sample workers to estimate from, half of them movers, with the weights that undo it.

    Movers are few, and they alone tell of destinations: sampling by the choice made and weighting
    ([ManskiLerman1977]_) estimates the destinations' coefficients and the dissimilarity far more
    sharply from as many cases. Report robust standard errors with weights.

    Parameters
    ----------
    moves
        From `year_of_moves`.
    cases
        How many workers; fewer if there are not that many movers or stayers.
    seed
        Of the draws, keyed by worker id.

    Returns
    -------
    DataFrame
        Columns worker (ids, ascending) and weight (mean 1).

    Raises
    ------
    SpecificationError
        If nobody moved, or fewer than 2 cases are asked for.
    """
    moved = (moves["choice"] != "stay").to_numpy()
    if cases < 2 or not moved.any() or moved.all():
        raise SpecificationError(
            f"{cases} cases cannot be sampled from {moved.sum():,} movers and "
            f"{(~moved).sum():,} stayers; ask for at least 2, from moves that hold both."
        )
    ids = moves["worker"].to_numpy(dtype=np.int64)
    order = np.argsort(Streams(seed).uniform("sample of cases", ids), kind="stable")
    parts = []
    for stratum in (moved, ~moved):
        chosen = order[stratum[order]][: cases // 2]
        weight = stratum.sum() / len(chosen)
        parts.append(pd.DataFrame({"worker": ids[chosen], "weight": weight}))
    sample = pd.concat(parts).sort_values("worker", ignore_index=True)
    sample["weight"] /= sample["weight"].mean()
    return sample


def choice_table(
    population: Population,
    workers: Sequence[int] | NDArray[np.int64] | pd.DataFrame,
    moves: pd.DataFrame,
    *,
    variables: Sequence[str] | None = None,
    parameters: Parameters | None = None,
) -> pd.DataFrame:
    """Lay out the choices of some workers, one row for each alternative they had.

    Parameters
    ----------
    population
    workers : (S,)
        Ids, without repetition.
    moves
        From `year_of_moves`.
    variables
        Names in `microsim.mobility.variables.VARIABLES`; by default those of `MoveTruth`.
    parameters
        Of the moving cost.

    Returns
    -------
    DataFrame
        ``S * M`` rows ("stay" and all metros but the own one): worker, alternative, chosen
        (0 or 1), origin, weight if given, and the variables, by the code the simulation uses.

    Raises
    ------
    SpecificationError
        If a worker or a variable is unknown.
    """
    assumed = parameters or Parameters()
    names = list(MoveTruth(()).variables if variables is None else variables)
    unknown = [name for name in names if name not in VARIABLES]
    if unknown:
        raise SpecificationError(
            f"there is no variable '{unknown[0]}'; use some of {', '.join(sorted(VARIABLES))}."
        )
    ids = workers["worker"] if isinstance(workers, pd.DataFrame) else workers
    case = _rows_of(population, np.asarray(ids, dtype=np.int64))
    size, cbsa = len(population.metros), population.metros.cbsa
    origin = population.workers.metro.astype(np.int64)[case]
    # Column 0 is "stay"; the others are the metros in order, the own one left out.
    others = np.arange(size - 1)[None, :] + (np.arange(size - 1)[None, :] >= origin[:, None])
    destination = np.column_stack([origin, others])
    labels = cbsa[destination]
    labels[:, 0] = "stay"
    choice = moves.set_index("worker")["choice"].reindex(population.workers.id[case]).to_numpy()
    table = {
        "worker": np.repeat(population.workers.id[case], size),
        "alternative": labels.ravel(),
        "chosen": (labels == choice[:, None]).ravel().astype(np.int8),
        "origin": np.repeat(cbsa[origin], size),
    }
    if isinstance(workers, pd.DataFrame):
        table["weight"] = np.repeat(workers["weight"].to_numpy(dtype=np.float64), size)
    places = PlaceColumns.at_start(population, assumed)
    columns = WorkerColumns(first_columns(population, assumed), assumed.moving)
    for name in names:
        table[name] = _values(name, columns, places, case, origin, destination).ravel()
    return pd.DataFrame(table)


def _rows_of(population: Population, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    known = population.workers.id
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known, ids, sorter=order), len(known) - 1)
    rows: NDArray[np.int64] = order[at]
    missing = ids[known[rows] != ids]
    if missing.size or len(np.unique(ids)) != len(ids):
        which = f"{missing[0]} is not in the population" if missing.size else "one stands twice"
        raise SpecificationError(f"of the workers asked for, {which}; give ids, each once.")
    return rows


def _values(
    name: str,
    workers: WorkerColumns,
    places: PlaceColumns,
    case: NDArray[np.int64],
    origin: NDArray[np.int64],
    destination: NDArray[np.int64],
) -> Floats:
    """Return a variable for every case and alternative, (S, M); column 0 is "stay"."""
    kind = VARIABLES[name].kind
    if kind == "product":
        first, second = PRODUCTS[name]
        inputs = (workers, places, case, origin, destination)
        return _values(first, *inputs) * _values(second, *inputs)
    if kind == "worker":
        return np.broadcast_to(workers[name][case][:, None], destination.shape)
    if kind == "metro":
        values = places.metro[name][destination]
        values[:, 0] = STAY_METRO.get(name, values[:, 0])
        return values
    if kind == "match":
        return places.match[name][workers.codes(name)[case][:, None], destination]
    if kind == "origin":
        here = places.metro[name.removeprefix("origin_")][origin]
        return np.broadcast_to(here[:, None], destination.shape)
    values = places.pair[name][origin[:, None], destination]
    values[:, 0] = STAY_PAIR[name]
    return values


def flow_table(population: Population, moves: pd.DataFrame) -> pd.DataFrame:
    """Count the moves between all pairs of metros, zeros kept.

    Parameters
    ----------
    population
    moves
        From `year_of_moves`.

    Returns
    -------
    DataFrame
        ``M * (M - 1)`` rows: origin, destination, migrants, distance (km), same_division,
        same_state, and population, wage and home_value of both (``origin_...``,
        ``destination_...``).
    """
    size, cbsa = len(population.metros), population.metros.cbsa
    places = PlaceColumns.at_start(population, Parameters())
    position = pd.Index(cbsa)
    left = moves[moves["choice"] != "stay"]
    counts = np.zeros((size, size), dtype=np.int64)
    pairs = [position.get_indexer(pd.Index(left[column])) for column in ("origin", "choice")]
    np.add.at(counts, tuple(pairs), 1)
    o, d = np.nonzero(~np.eye(size, dtype=bool))
    table = {"origin": cbsa[o], "destination": cbsa[d], "migrants": counts[o, d]}
    for name in ("distance", "same_division", "same_state"):
        table[name] = places.pair[name][o, d]
    for name in ("population", "wage", "home_value"):
        table[f"origin_{name}"] = places.metro[name][o]
        table[f"destination_{name}"] = places.metro[name][d]
    return pd.DataFrame(table)
