"""Who moves where, as fitted, at other wages, rents and amenities."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.errors import (
    DataError,
    EstimationError,
    SpecificationError,
    enumerate_some,
)
from choicemodels.frames import closest
from choicemodels.logit.factored_likelihood import FactoredLikelihood
from choicemodels.specify import specify
from choicemodels.utility import Term, product, variables
from estimation.choice.result import ChoiceResult
from estimation.equilibrium.spatial_economy import PlaceChange, SpatialEconomy

__all__ = ["ChoiceMobility", "Choices", "Mobility", "place_columns"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Half the difference of logarithms over which a slope is taken.
_STEP = 1e-5


@dataclass(frozen=True, eq=False)
class Choices:
    """Where the residents of J places will live.

    Attributes
    ----------
    flows : ndarray, shape (J, J)
        From the row's place to the column's; those who stay on the diagonal.
    logsum : ndarray, shape (J,)
        Mean expected maximum utility of the residents of each place, up to a constant.
    """

    flows: Array
    logsum: Array


class Mobility(Protocol):
    """A fitted model of moves between J places."""

    @property
    def places(self) -> tuple[str, ...]:
        """Names, length J."""
        ...

    @property
    def substitutes(self) -> bool:
        """Whether a place that gets better takes residents from every other place."""
        ...

    def choose(self, change: PlaceChange) -> Choices:
        """Return what residents choose after a change."""
        ...

    def steepest(self, change: PlaceChange, wage: Array, rent: Array) -> float:
        """Return the largest slope of anybody's utility of a place along its wage and rent.

        Parameters
        ----------
        change
            Where the slope is taken.
        wage, rent
            Changes of the logarithms for a step of one, shape (J,).
        """
        ...

    def at(self, estimate: Array) -> Self:
        """Return the same residents with other coefficients."""
        ...


@dataclass(frozen=True, eq=False)
class ChoiceMobility:
    """Moves by a fitted (nested) logit over the places.

    Attributes
    ----------
    result : ChoiceResult
    theta : ndarray, shape (P,)
        All parameters.
    likelihood : FactoredLikelihood
        Over the residents, whose choices are not looked at.
    places : tuple of str, length J
    origin, place : ndarray of int64, shape (R,)
        Where the residents of each cell live, and would live; cells as the likelihood sorts them.
    resident : ndarray of int64, shape (N,)
        Place of each chooser.
    columns : mapping of str to ndarray (R,)
        What the terms with wages or rents need.
    economy : SpatialEconomy
    """

    result: ChoiceResult
    theta: Array
    likelihood: FactoredLikelihood
    places: tuple[str, ...]
    origin: Ints
    place: Ints
    resident: Ints
    columns: dict[str, Any]
    economy: SpatialEconomy

    @classmethod
    def build(
        cls, result: ChoiceResult, economy: SpatialEconomy, residents: FactoredChoiceData | None
    ) -> Self:
        """Lay a fitted model over residents.

        Raises
        ------
        SpecificationError
            If the data are not factored or have no origins, the model is not a multinomial or
            nested logit, or its utilities do not know the wage or the rent.
        DataError
            If a place has no residents.
        """
        data = result.need_data("equilibrium()") if residents is None else residents
        if not isinstance(data, FactoredChoiceData) or data.choosers.empty:
            raise SpecificationError(
                "an equilibrium needs factored data: choosers with an origin, alternatives and "
                "pairs, from ChoiceData.from_factors()."
            )
        unknown = np.full(data.n_cases, -1, dtype=np.int64)
        likelihood = specify(
            result.model, replace(data, chosen_alternative=unknown), result.parameters
        )
        if not isinstance(likelihood, FactoredLikelihood):
            raise SpecificationError(
                f"a {type(result.model).__name__} with these terms has no equilibrium here; it "
                "takes multinomial and nested logits without sizes and scales."
            )
        places, origin, place = _cells(data, likelihood.places.order)
        columns = _columns(likelihood, data, economy)
        resident = pd.Index(places).get_indexer(pd.Index(data.places.origins))[data.origin]
        _refuse_empty(places, resident, data.weights)
        return cls(
            result, result.theta, likelihood, places, origin, place, resident, columns, economy
        )

    @property
    def substitutes(self) -> bool:
        """Whether a place that gets better takes residents from every other place.

        It does in a nested logit under random utility, no dissimilarity above its parent's.
        """
        p = self.likelihood.parameters
        lam = np.asarray(p.lambdas(self.theta))
        M = len(p.tree.nests)
        above = p.tree.parent[len(p.tree.alternatives) :]
        return M == 0 or (p.rum and bool((lam[:M] <= lam[above] + 1e-12).all()))

    def at(self, estimate: Array) -> Self:
        """Return the same residents with other estimated parameters; absorbed constants stay."""
        theta = self.result.theta.copy()
        theta[self.result.estimated] = estimate
        lam = self.likelihood.parameters.lambdas(theta)
        if not (lam > 0).all():
            raise EstimationError("a dissimilarity is not above zero")
        return replace(self, theta=theta)

    def choose(self, change: PlaceChange) -> Choices:
        """Return what residents choose after a change."""
        cells = self.likelihood.places
        added = change.amenities[self.place]
        offset = cells.offset + added if len(cells.offset) else added
        moved = replace(cells, B=self._place_parts(change), offset=offset)
        expected, logsum = replace(self.likelihood, places=moved).expected(self.theta)
        J = len(self.places)
        flows = np.zeros((J, J))
        flows[self.origin, self.place] = expected[cells.order]
        weights = self.likelihood.choosers.case_weights
        total = np.bincount(self.resident, weights=weights * logsum, minlength=J)
        return Choices(flows, total / np.bincount(self.resident, weights=weights, minlength=J))

    def steepest(self, change: PlaceChange, wage: Array, rent: Array) -> float:
        """Return an upper bound of the slope of anybody's utility, exact for independent parts."""
        ahead, behind = (
            self._place_parts(
                replace(
                    change,
                    log_wage=change.log_wage + side * _STEP * wage,
                    log_rent=change.log_rent + side * _STEP * rent,
                )
            )
            for side in (1, -1)
        )
        terms = self._moving()
        slopes = (ahead[terms] - behind[terms]) / (2 * _STEP)
        slopes = slopes * self.theta[terms][:, None]
        bound = np.zeros(len(self.place))
        for part in np.unique(self.likelihood.places.part[terms]):
            slope = slopes[self.likelihood.places.part[terms] == part].sum(axis=0)
            values = self.likelihood.choosers.a[part]
            bound += np.maximum(values.min() * slope, values.max() * slope)
        return float(bound.max())

    def _moving(self) -> list[int]:
        """Return the terms that wages or rents enter."""
        names = {self.economy.wage, self.economy.rent}
        linear = self.likelihood.parameters.utility.linear
        return [k for k, term in enumerate(linear) if term.variables & names]

    def _place_parts(self, change: PlaceChange) -> Array:
        """Return the places' parts of all terms after a change, shape (K, R)."""
        p, cells = self.likelihood.parameters, self.likelihood.places
        columns = dict(self.columns)
        wage, rent = self.economy.wage, self.economy.rent
        moved_in = (self.place != self.origin) * change.grant[self.place]
        with np.errstate(over="ignore"):  # what is not finite is refused below
            columns[wage] = columns[wage] * np.exp(change.log_wage)[self.place] + moved_in
            if rent:
                columns[rent] = columns[rent] * np.exp(change.log_rent)[self.place]
        B = cells.B.copy()
        for k in self._moving():
            term = p.utility.linear[k]
            factors = tuple(f for f in term.factors if variables(f) <= columns.keys())
            values = product(factors, columns)
            if term.alternatives is not None:
                names = np.array(p.tree.alternatives, dtype=object)[cells.alternative]
                values = np.where(np.isin(names, term.alternatives), values, 0.0)
            _refuse_not_finite(values, term, self.places, self.place)
            B[k] = values
        return B


def place_columns(terms: "tuple[Term, ...]", economy: SpatialEconomy) -> set[str]:
    """Return the variables of the terms that wages and rents enter.

    Raises
    ------
    SpecificationError
        If no term has the wage or the rent.
    """
    known = sorted(set().union(*(term.variables for term in terms))) if terms else []
    used: set[str] = set()
    for role, name in (("wage", economy.wage), ("rent", economy.rent)):
        moved = [term for term in terms if name in term.variables]
        if name and not moved:
            raise SpecificationError(
                f"no term of the model has the {role} '{name}'{closest(name, known)}, so that "
                f"nobody would move for it; its variables are {', '.join(known)}."
            )
        used = used.union(*(term.variables for term in moved))
    return used


def _cells(data: FactoredChoiceData, order: Ints) -> tuple[tuple[str, ...], Ints, Ints]:
    """Return the places, and origin and place of each cell in the order given."""
    origins = data.places.origins
    stay = data.stay if data.stay in data.alternatives else None
    places = tuple(name for name in data.alternatives if name != stay)
    index = pd.Index(places)
    of_origin = index.get_indexer(pd.Index(origins))
    if (of_origin < 0).any():
        lost = [origins[o] for o in np.flatnonzero(of_origin < 0)]
        raise SpecificationError(
            f"{len(lost)} origins ({enumerate_some(lost)}) are not among the places to live in; "
            "an equilibrium needs the same places on both sides."
        )
    origin = of_origin[data.places.origin]
    place = index.get_indexer(pd.Index(data.alternatives))[data.places.alternative]
    place = np.where(place < 0, origin, place)
    return places, origin[order], place[order]


def _columns(
    likelihood: FactoredLikelihood, data: FactoredChoiceData, economy: SpatialEconomy
) -> dict[str, Any]:
    """Return what the terms with wages or rents need, cells as the likelihood sorts them.

    Wages and rents are refused where changes of them could not be followed.
    """
    utility, table = likelihood.parameters.utility, data.places.table
    used = place_columns(utility.linear, economy)
    names = {economy.wage, economy.rent} - {""}
    offset = utility.offset
    if offset is not None and offset.variables & names:
        raise SpecificationError(
            f"the offset '{offset.name}' holds the wage or the rent; make it a term, fixed by a "
            "constraint if need be."
        )
    both = sorted(names & set(data.choosers.columns))
    if both:
        raise SpecificationError(
            f"'{both[0]}' is a column of the choosers, so that it cannot differ between places."
        )
    order = likelihood.places.order
    return {name: table[name].to_numpy()[order] for name in used if name in table}


def _refuse_empty(places: tuple[str, ...], resident: Ints, weights: Array) -> None:
    empty = np.bincount(resident, weights=weights, minlength=len(places)) == 0
    if empty.any():
        names = [places[j] for j in np.flatnonzero(empty)]
        raise DataError(
            f"{len(names)} places ({enumerate_some(names)}) have no choosers, so that nobody "
            "knows who would leave them; give residents= with choosers in every place."
        )


def _refuse_not_finite(values: Array, term: Term, places: tuple[str, ...], place: Ints) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise EstimationError(
            f"the term '{term.name}' is not finite in {places[place[bad[0]]]} at the wages and "
            "rents tried; look at the size of the shock."
        )
