"""What the household grid assumes: every number with its unit and source, and named sets of them.

Three presets: ``paper``, the equations as the text of [WeisEtAl2021]_ intends them; ``code``, what
the code published with it does, faults included; ``code_early``, that code with the weights of an
earlier version. `docs/household_grid.md` has a row for each difference between them.
"""

from collections.abc import Mapping
from numbers import Integral
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ValidationError, model_validator

from choicemodels.errors import SpecificationError
from choicemodels.frames import closest
from microsim.assumptions.fields import Group, Range, parameter
from microsim.settings_file import explain

__all__ = ["PRESETS", "GridParameters"]

_PAPER = "[WeisEtAl2021]"
_CODE = "the code of [WeisEtAl2021]"


def _four(value: Any) -> Any:
    if isinstance(value, list | tuple) and len(value) != 4:
        raise ValueError(
            f"there are {len(value)} weights; give four: of the distance from the preferred size, "
            "of places, of the distance from one's own income and of housing cost over income"
        )
    return value


def _summable(values: tuple[float, float]) -> tuple[float, float]:
    if min(values) <= 1:
        raise ValueError(f"exponents must be above 1, or distances have no law, not {values}")
    return values


def _some(values: tuple[float, float]) -> tuple[float, float]:
    if not 1 <= values[0] <= values[1]:
        raise ValueError(f"places searched must be 1 or more, the poorest's first, not {values}")
    return values


Weights = Annotated[tuple[float, float, float, float], BeforeValidator(_four)]
Exponents = Annotated[tuple[float, float], AfterValidator(_summable)]
Searches = Annotated[tuple[float, float], AfterValidator(_some)]


class GridParameters(Group):
    """The household grid model, valid once built; the defaults are those of ``paper``."""

    households: int = parameter(10_000, "households", _PAPER, "N.", ge=5, lt=2**31)
    side: int = parameter(20, "cells", _PAPER, "g, the side of the periodic grid.", ge=2, le=4096)
    steps: int = parameter(1_000, "steps", _PAPER, "t_max.", ge=1, lt=2**32)
    occupancy: float = parameter(
        0.9, "share of places", _CODE, "Households over places, in all.", gt=0, lt=1
    )

    city_rule: Literal["2g", "g^2/10"] = parameter(
        "2g", "", _PAPER, "How many cities there are; both are 40 where g is 20."
    )
    city_exponent: float = parameter(
        2.5, "exponent", _PAPER, "Of the inverse power law of city sizes k = 1, 2 ...", gt=1
    )
    width_scale: float = parameter(
        0.5, "cells squared", _PAPER, "Variance of a city is width_scale (log k + width_offset).",
        ge=0,
    )  # fmt: skip
    width_offset: float = parameter(
        1.0, "log size", "assumption: 0 in the paper, which leaves cities of size 1 without width",
        "See width_scale.", ge=0,
    )  # fmt: skip
    periodic_cities: bool = parameter(
        True, "", "assumption: the grid is periodic", "Cities reach across the edges."
    )
    rural_share: float = parameter(
        0.0, "share of the cities' places", _PAPER, "Spread evenly over all cells.", ge=0
    )
    least_places: int = parameter(0, "places", _PAPER, "That every cell has.", ge=0)

    income: Literal["power", "exponential", "lognormal"] = parameter(
        "power", "", _PAPER, "Law of incomes, which stay as they are."
    )
    income_exponent: float = parameter(
        1.125,
        "exponent",
        "assumption: gives the power law on income_range a mean near 30,000, that of the others",
        "Of the inverse power law of incomes.",
        gt=0,
    )
    income_scale: float = parameter(
        30_000.0, "dollars", _CODE, "Mean of the exponential law, median of the log-normal.", gt=0
    )
    income_sigma: float = parameter(
        1.6, "log points", _CODE, "Of the log-normal law, which the code calls 'power'.", gt=0
    )
    income_range: Range = parameter(
        (1_000.0, 200_000.0), "dollars", _CODE, "Least and largest income."
    )

    preference: Literal["lognormal", "uniform", "exponential", "places"] = parameter(
        "lognormal",
        "",
        _PAPER,
        "Law of preferred sizes; 'places' draws the places of a cell, so that every taste has a "
        "home.",
    )
    preference_sigma: float = parameter(
        0.5, "log points", _PAPER, "Spread of log-normal preferred sizes.", ge=0
    )
    preference_level: float = parameter(
        1.0,
        "mean places of a cell",
        _CODE,
        "Median of log-normal, mean of other preferred sizes; without effect on 'places'.",
        gt=0,
    )
    placement: Literal["vacancies", "independent"] = parameter(
        "vacancies",
        "",
        "assumption: an occupancy is at most 1",
        "Who lives where at first: vacant places at random, or cells drawn by their places, which "
        "may overfill.",
    )

    centre: Literal["median", "mean"] = parameter(
        "median", "", _PAPER, "Which income of a cell prices it and is compared with one's own."
    )
    affordable_share: float = parameter(
        0.3, "share of income", _PAPER, "Of the cell's income, in the cost of housing.", ge=0
    )
    demand_price: float = parameter(
        1_500.0, "dollars", _PAPER, "gamma, per unit of occupancy over vacancy.", ge=0
    )
    full_cost: float = parameter(
        1e6, "dollars", f"{_CODE}; the paper: without bound", "Cost where every place is taken.",
        gt=0,
    )  # fmt: skip
    empty_cells: Literal["average", "win"] = parameter(
        "average",
        "",
        "assumption",
        "Where nobody lives: the income of all households stands in, or whoever finds it goes.",
    )

    pressure_weight: float = parameter(
        0.01, "per cost over income", _CODE, "alpha of the pressure D = alpha h / I.", ge=0
    )
    decision_slope: float = parameter(1.25, "log odds per unit of D", _PAPER, "m.", ge=0)
    decision_intercept: float = parameter(6.0, "log odds", _PAPER, "b.", ge=-30, le=30)

    searches: Searches = parameter(
        (3.0, 25.0), "places", _PAPER, "Searched at no income and at top_income; linear between."
    )
    distance_exponents: Exponents = parameter(
        (4.0, 1.2),
        "exponent",
        f"{_CODE}; the paper prints them the other way round",
        "Of the power law of distances, at no income and at top_income; linear between.",
    )
    top_income: float = parameter(200_000.0, "dollars", _PAPER, "See searches.", gt=0)
    distance: Literal["continuous", "zipf"] = parameter(
        "continuous", "", _PAPER, "Distances are real numbers, or whole ones."
    )
    attempts: int = parameter(
        1, "angles", _PAPER, "Drawn for a distance until it leads to a new place.", ge=1
    )

    weights: Weights = parameter(
        (3.0, 2.0, 5e-4, 2.0),
        "score",
        _CODE,
        "beta of C = -b0 |s' - s| + b1 (1 - q) s - b2 |I* - I| - b3 h / I.",
    )
    own_cost: bool = parameter(
        False, "", _PAPER, "Whether h in C is that of the household's own cell, wherever it looks."
    )
    order: Literal["shuffled", "fixed"] = parameter(
        "shuffled", "", "assumption", "Who comes first: drawn anew each step, or always the same."
    )

    shock: int | None = parameter(
        500, "step", _PAPER, "t*, at which households become remote; none without.", ge=0
    )
    remote_income: float = parameter(
        0.0, "dollars", _PAPER, "I_rt: who earns more becomes remote.", ge=0
    )
    remote_share: float = parameter(
        1.0, "share of households", _CODE, "Of those above remote_income.", ge=0, le=1
    )
    remote_steps: int = parameter(
        1, "steps", _PAPER, "Over which they become remote, evenly; all at once by default.", ge=1
    )
    reopening: int | None = parameter(
        None, "step", "assumption", "At which nobody is remote any more; never without.", ge=1
    )

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.shock is not None and self.shock >= self.steps:
            raise ValueError(
                f"the shock is at step {self.shock}, but the last step is {self.steps - 1}; make "
                "it earlier, or run more steps"
            )
        if self.reopening is None:
            return self
        if self.shock is None or not self.shock < self.reopening < self.steps:
            raise ValueError(
                f"the reopening is at step {self.reopening}, which is not between the shock "
                f"({self.shock}) and the last step ({self.steps - 1}); give a step between them"
            )
        return self

    @model_validator(mode="after")
    def _room(self) -> Self:
        places = round(self.households / self.occupancy)
        if places < self.least_places * self.side**2:
            raise ValueError(
                f"{self.households:,} households at an occupancy of {self.occupancy:g} make "
                f"{places:,} places, fewer than {self.least_places} for each of "
                f"{self.side**2:,} cells; take a smaller side or more households"
            )
        if places <= self.households:
            raise ValueError(
                f"{self.households:,} households at an occupancy of {self.occupancy:g} leave no "
                "place vacant; lower the occupancy"
            )
        if self.income_range[1] > self.top_income:
            raise ValueError(
                f"incomes reach {self.income_range[1]:,.0f}, above top_income "
                f"({self.top_income:,.0f}), where the exponent of distances would leave its "
                "range; raise top_income"
            )
        return self

    @classmethod
    def preset(cls, name: str = "paper", /, **changes: Any) -> Self:
        """Return a named set of parameters, some of them changed.

        Parameters
        ----------
        name
            ``"paper"``, ``"code"`` or ``"code_early"``.
        changes
            Parameters by name. Changing ``steps`` alone moves the shock to half of them.

        Raises
        ------
        SpecificationError
            If there is no such preset or parameter, or a value cannot be; says why.
        """
        if name not in PRESETS:
            raise SpecificationError(
                f"there is no preset '{name}'{closest(name, list(PRESETS))}; use one of "
                f"{', '.join(PRESETS)}."
            )
        settings = {**PRESETS[name], **changes}
        if "steps" in changes and "shock" not in changes and isinstance(changes["steps"], Integral):
            settings["shock"] = int(changes["steps"]) // 2
        return cls._checked(settings)

    def replace(self, **changes: Any) -> Self:
        """Return the parameters with some changed.

        Raises
        ------
        SpecificationError
            As `preset`.
        """
        return self._checked({**self.model_dump(), **changes})

    @classmethod
    def _checked(cls, settings: Mapping[str, Any]) -> Self:
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            raise SpecificationError(explain(error, cls, "the grid's parameters")) from None


_CODE_SETTINGS: dict[str, Any] = {
    "city_rule": "g^2/10",
    "width_scale": 2.0,
    "periodic_cities": False,
    "rural_share": 0.1,
    "least_places": 1,
    "income": "lognormal",
    "preference_sigma": 0.25,
    "placement": "independent",
    "centre": "mean",
    "affordable_share": 0.2,
    "empty_cells": "win",
    "distance": "zipf",
    "attempts": 5,
    "weights": (3.0, 2.0, -5e-4, 2.0),
    "own_cost": True,
    "order": "fixed",
}

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "code": _CODE_SETTINGS,
    "code_early": {**_CODE_SETTINGS, "weights": (1.0, 3.0, -5e-4, 0.01)},
}
"""What each named set changes of the defaults."""
