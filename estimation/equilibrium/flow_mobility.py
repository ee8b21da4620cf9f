"""Who moves where by a fitted gravity model: each origin's movers share out over destinations."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, EstimationError, SpecificationError, enumerate_some
from choicemodels.utility import Term, product, variables
from estimation.equilibrium.flow_scenario import period_rows
from estimation.equilibrium.mobility import Choices, place_columns
from estimation.equilibrium.spatial_economy import PlaceChange, SpatialEconomy, refuse_unknown
from estimation.gravity.result import GravityResult

__all__ = ["FlowMobility"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_STEP = 1e-5


@dataclass(frozen=True, eq=False)
class FlowMobility:
    """Moves by a gravity model with effects of origins.

    An origin's movers, as many as at the baseline, go where
    ``mu_od exp(change of x_od' beta)`` sends them, which is a multinomial logit
    [GuimaraesFigueiredoWoodward2003]_. Rows of a place with itself are those who stay; without
    such rows the number of movers is fixed.

    Attributes
    ----------
    estimate : ndarray, shape (K,)
    terms : tuple of Term
    names : tuple of str
        Of the places, length J.
    origin, place : ndarray of int64, shape (R,)
    mu : ndarray, shape (R,)
        Expected flows at the baseline.
    staying : ndarray, shape (J,)
        Residents who are not among the flows.
    columns : mapping of str to ndarray (R,)
        What the terms with wages or rents need.
    economy : SpatialEconomy
    """

    estimate: Array
    terms: tuple[Term, ...]
    names: tuple[str, ...]
    origin: Ints
    place: Ints
    mu: Array
    staying: Array
    columns: dict[str, Any]
    economy: SpatialEconomy

    @classmethod
    def build(
        cls,
        result: GravityResult,
        economy: SpatialEconomy,
        residents: "pd.Series[float] | None",
        period: Any,
    ) -> Self:
        """Lay a fitted model over the flows of one period.

        Raises
        ------
        EstimationError
            If the result has no data.
        SpecificationError
            If the model does not know the wage or the rent, or residents are given where flows
            say who stays, or are not given where they do not.
        DataError
            If places are origins or destinations alone, or have fewer residents than movers.
        """
        sample = result.sample
        if sample is None:
            raise EstimationError(
                "this result was read from a file, without its flows; fit again for an equilibrium."
            )
        for text in (result.offset, *(effect.variable for effect in result.effects)):
            if text and variables(text) & {economy.wage, economy.rent}:
                raise SpecificationError(
                    f"'{text}' holds the wage or the rent, but is an offset or has slopes of its "
                    "own; make it a regressor."
                )
        data = sample.data
        of_period = np.isin(sample.rows, period_rows(data, period))
        rows, mu = sample.rows[of_period], sample.mu[of_period]
        o, d = data.factor(f"`{data.origin}`"), data.factor(f"`{data.destination}`")
        origins, destinations = o.levels[0].take(o.codes[rows]), d.levels[0].take(d.codes[rows])
        alone = origins.unique().symmetric_difference(destinations.unique())
        if len(alone):
            raise DataError(
                f"{len(alone)} places are origins or destinations alone "
                f"({enumerate_some(alone.tolist())}); an equilibrium needs each as both."
            )
        index = origins.unique().sort_values()
        names = tuple(map(str, index))
        origin, place = index.get_indexer(origins), index.get_indexer(destinations)
        used = place_columns(result.terms, economy)
        frame = data.table.iloc[rows]
        movers = np.bincount(origin, weights=mu, minlength=len(names)).astype(np.float64)
        staying = _staying(residents, names, movers, bool((origin == place).any()))
        columns = {name: frame[name].to_numpy() for name in used}
        return cls(
            result.estimate, result.terms, names, origin, place, mu, staying, columns, economy
        )

    @property
    def places(self) -> tuple[str, ...]:
        """Names, length J."""
        return self.names

    @property
    def substitutes(self) -> bool:
        """A place that gets better takes movers from every other place."""
        return True

    def at(self, estimate: Array) -> Self:
        """Return the same flows with other coefficients; the baseline is held."""
        return replace(self, estimate=estimate)

    def choose(self, change: PlaceChange) -> Choices:
        """Return what residents choose after a change."""
        J = len(self.names)
        ratio = np.exp(self._utility(change) - self._utility(PlaceChange.none(J)))
        weights = self.mu * ratio
        before = np.bincount(self.origin, weights=self.mu, minlength=J)
        after = np.bincount(self.origin, weights=weights, minlength=J)
        flows = np.zeros((J, J))
        np.add.at(flows, (self.origin, self.place), weights * (before / after)[self.origin])
        flows[np.diag_indices(J)] += self.staying
        return Choices(flows, np.log(after / before))

    def steepest(self, change: PlaceChange, wage: Array, rent: Array) -> float:
        """Return the largest slope of the utility of a place along its wage and rent."""
        ahead, behind = (
            self._utility(
                replace(
                    change,
                    log_wage=change.log_wage + side * _STEP * wage,
                    log_rent=change.log_rent + side * _STEP * rent,
                )
            )
            for side in (1, -1)
        )
        return float((ahead - behind).max() / (2 * _STEP))

    def _utility(self, change: PlaceChange) -> Array:
        """Return the part of the utilities that wages, rents and amenities make, shape (R,)."""
        wage, rent = self.economy.wage, self.economy.rent
        columns = dict(self.columns)
        moved_in = (self.place != self.origin) * change.grant[self.place]
        with np.errstate(over="ignore"):  # what is not finite is refused below
            columns[wage] = columns[wage] * np.exp(change.log_wage)[self.place] + moved_in
            if rent:
                columns[rent] = columns[rent] * np.exp(change.log_rent)[self.place]
        eta = change.amenities[self.place]
        for term, coefficient in zip(self.terms, self.estimate, strict=True):
            if term.variables & {wage, rent}:
                eta = eta + coefficient * product(term.factors, columns)
        if not np.isfinite(eta).all():
            name = self.names[self.place[int(np.flatnonzero(~np.isfinite(eta))[0])]]
            raise EstimationError(
                f"the utility of {name} is not finite at the wages and rents tried; look at the "
                "size of the shock."
            )
        return eta


def _staying(
    residents: "pd.Series[float] | None", names: tuple[str, ...], movers: Array, internal: bool
) -> Array:
    """Return the residents of each place who are not among the flows, shape (J,)."""
    if internal:
        if residents is not None:
            raise SpecificationError(
                "the flows within places say who stays; leave residents= out, or these rows."
            )
        return np.zeros(len(names))
    if residents is None:
        raise SpecificationError(
            "the flows do not say who stays; give residents=, the population of each place, as a "
            "Series by name."
        )
    if not isinstance(residents, pd.Series):
        raise SpecificationError(
            "with a gravity model, residents= is a Series with the population of each place."
        )
    given = {str(name): float(value) for name, value in residents.items()}
    refuse_unknown(given, names, "residents=")
    lost = [name for name in names if name not in given]
    if lost:
        raise DataError(f"residents= lacks {len(lost)} places ({enumerate_some(lost)}).")
    staying = np.array([given[name] for name in names]) - movers
    few = [name for name, rest in zip(names, staying, strict=True) if not rest >= 0]
    if few:
        raise DataError(
            f"{len(few)} places ({enumerate_some(few)}) have fewer residents than people who "
            "leave; the population is that of the beginning of the period."
        )
    return staying
