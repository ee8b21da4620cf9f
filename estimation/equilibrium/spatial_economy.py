"""How wages and rents answer to population, and what may hit a place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest

__all__ = ["PlaceChange", "Responses", "Shock", "SpatialEconomy"]

Array = NDArray[np.float64]
# One elasticity for all places, or one for each by name.
PlaceValues: TypeAlias = "float | Mapping[str, float] | pd.Series[float]"


@dataclass(frozen=True)
class SpatialEconomy:
    """Labour and housing markets of places between which people move.

    In logarithms, with the population L, and A and Z what shifts labour demand and housing cost,

        wage = A + (agglomeration + 1 / labour_demand) L,      rent = Z + L / housing_supply:

    wages fall where more people work and rents rise where more people live, unless firms gain
    from each other's company [Roback1982]_ [Moretti2011]_ [Diamond2016]_. A resident works one
    job and lives in one dwelling.

    Parameters
    ----------
    wage, rent : str
        Columns of the mobility model that hold the wage and the rent (or price of a home) of the
        place to live in, for those who stay their own; an empty rent means that the model knows
        none. Other columns do not change, a wage of the origin under a name of its own or a
        population among the regressors not either.
    labour_demand : float or mapping
        Elasticity of labour demand in the wage, below zero; minus infinity leaves wages alone.
        One for all places, or one for each by name.
    housing_supply : float or mapping
        Elasticity of the housing stock in the rent, above zero; infinity leaves rents alone.
    agglomeration : float or mapping
        Elasticity of productivity in population, between zero and one.

    Raises
    ------
    SpecificationError
        If an elasticity has the wrong sign, or a column has no name.
    """

    wage: str = "wage"
    rent: str = "rent"
    labour_demand: PlaceValues = -np.inf
    housing_supply: PlaceValues = np.inf
    agglomeration: PlaceValues = 0.0

    def __post_init__(self) -> None:
        if not self.wage or self.wage == self.rent:
            raise SpecificationError(
                "wage= and rent= name different columns of the mobility model; rent='' if it has "
                "none."
            )
        for name, low, high, range_ in (
            ("labour_demand", -np.inf, 0.0, "below zero"),
            ("housing_supply", 0.0, np.inf, "above zero"),
            ("agglomeration", 0.0, 1.0, "between zero and one"),
        ):
            for place, value in self._named(name).items():
                inside = low <= value <= high
                if not inside or (value == 0.0 and name != "agglomeration"):
                    raise SpecificationError(f"{name} is {value} in {place}; it must be {range_}.")

    def _named(self, name: str) -> Mapping[str, float]:
        """Return an elasticity by place, and keep it so."""
        given = getattr(self, name)
        if not isinstance(given, pd.Series | Mapping):
            return {"all places": float(given)}
        named = {str(place): float(value) for place, value in given.items()}
        object.__setattr__(self, name, named)
        return named

    def responses(self, places: Sequence[str]) -> "Responses":
        """Return the elasticities of wages and rents in population.

        Raises
        ------
        SpecificationError
            If values by place leave one out or name an unknown one.
        """
        demand = self._values("labour_demand", places)
        supply = self._values("housing_supply", places)
        wage = self._values("agglomeration", places) + 1 / demand
        return Responses(wage, 1 / supply if self.rent else np.zeros(len(places)))

    def _values(self, name: str, places: Sequence[str]) -> Array:
        given = getattr(self, name)
        if not isinstance(given, Mapping):
            return np.full(len(places), float(given))
        refuse_unknown(given, places, name)
        lost = [place for place in places if place not in given]
        if lost:
            raise SpecificationError(
                f"{name} has no value for {len(lost)} places ({enumerate_some(lost)}); give each "
                "one, or one number for all."
            )
        return np.array([given[place] for place in places], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Responses:
    """Elasticities in a place's population.

    Attributes
    ----------
    wage, rent : ndarray, shape (J,)
    """

    wage: Array
    rent: Array


@dataclass(frozen=True)
class Shock:
    """What happens to a place.

    Parameters
    ----------
    productivity : float
        Relative change of the wage at a given population: 0.1 is ten percent more.
    rent : float
        Relative change of the rent at a given population.
    amenities : float
        Added to everybody's utility of living there, in units of the fitted utility.
    grant : float
        Paid to those who move in, in the unit of the wage and added to it.

    Raises
    ------
    SpecificationError
        If a value is not finite, or takes more than all of a wage or a rent.
    """

    productivity: float = 0.0
    rent: float = 0.0
    amenities: float = 0.0
    grant: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not np.isfinite(value):
                raise SpecificationError(f"the shock's {field.name} is {value}; it must be finite.")
        for name in ("productivity", "rent"):
            if getattr(self, name) <= -1:
                raise SpecificationError(
                    f"the shock's {name} is {getattr(self, name)}, a relative change: it must be "
                    "above -1 (0.1 is ten percent more)."
                )


@dataclass(frozen=True, eq=False)
class PlaceChange:
    """How places differ from the baseline.

    Attributes
    ----------
    log_wage, log_rent : ndarray, shape (J,)
        Logarithms of the ratios.
    amenities, grant : ndarray, shape (J,)
        As in :class:`Shock`.
    """

    log_wage: Array
    log_rent: Array
    amenities: Array
    grant: Array

    @classmethod
    def none(cls, J: int) -> "PlaceChange":
        """Return the baseline."""
        return cls(*np.zeros((4, J)))

    @classmethod
    def of_shocks(cls, shocks: Mapping[str, Shock], places: Sequence[str]) -> "PlaceChange":
        """Lay shocks out over the places.

        Raises
        ------
        SpecificationError
            If a place is unknown, or what hits it is no shock.
        """
        refuse_unknown(shocks, places, "the shocks")
        hit = [shocks.get(place, Shock()) for place in places]
        for place, shock in zip(places, hit, strict=True):
            if not isinstance(shock, Shock):
                raise SpecificationError(
                    f"what hits {place} is {shock!r}; write {{'{place}': Shock(productivity=0.1)}}."
                )
        return cls(
            np.log1p([shock.productivity for shock in hit]),
            np.log1p([shock.rent for shock in hit]),
            np.array([shock.amenities for shock in hit], dtype=np.float64),
            np.array([shock.grant for shock in hit], dtype=np.float64),
        )

    def crowded(self, log_population: Array, responses: Responses) -> "PlaceChange":
        """Let wages and rents answer to population, in logarithms relative to the baseline."""
        return PlaceChange(
            self.log_wage + responses.wage * log_population,
            self.log_rent + responses.rent * log_population,
            self.amenities,
            self.grant,
        )


def refuse_unknown(named: Mapping[str, Any], places: Sequence[str], what: str) -> None:
    """Refuse names that are no places.

    Raises
    ------
    SpecificationError
        Naming the first of them and its nearest match.
    """
    unknown = [str(name) for name in named if name not in places]
    if unknown:
        raise SpecificationError(
            f"{what} name the place '{unknown[0]}'{closest(unknown[0], places)}, which the "
            f"mobility model does not have ({len(unknown)} such names); its places are "
            f"{enumerate_some(places)}."
        )
