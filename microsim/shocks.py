"""What happens to the economy: shocks that a scenario may name."""

from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from microsim.scenario_part import Lasting, Part, Starting

__all__ = ["AIAdoption", "AIDisplacement", "HazardPoint", "Recession", "Shock"]


class HazardPoint(Part):
    """A point of a hazard path; between points the path is linear, after the last it is constant.

    Attributes
    ----------
    month
        Months since the shock began, from 0.
    rate
        Monthly probability of displacement at full exposure in a firm with multiplier 1.
    """

    month: int = Field(ge=0)
    rate: float = Field(ge=0, le=1)


class AIDisplacement(Starting):
    """Jobs that AI takes over, by the occupation's exposure and the employer's adoption stage.

    The monthly hazard of an employed worker is ``1 - (1 - path(t))**(exposure * multiplier)``.

    Attributes
    ----------
    start_month, start
        First month, counted from 0 or of the calendar.
    hazard
        Path of the hazard, in ascending months.
    spread_months
        The shock reaches the metros one after the other, those with the most exposed workers
        first, over so many months; 0 reaches all at once.
    """

    kind: Literal["ai_displacement"]
    hazard: tuple[HazardPoint, ...] = Field(min_length=1)
    spread_months: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _ascending(self) -> "AIDisplacement":
        months = [point.month for point in self.hazard]
        if any(b <= a for a, b in pairwise(months)):
            raise ValueError(f"the months of the hazard path are {months}; put them in order")
        return self


class Recession(Lasting):
    """A recession that may come, or one that does; see `microsim.processes.macro`.

    Attributes
    ----------
    timing
        "chain" draws it: in each month at risk it starts with the hazard that adds up to
        ``macro.recession_probability`` in a year, and it ends at random. "fixed" dates it.
    start_month, end_month, start, end
        First and last month at risk of a start, or of the recession itself if it is fixed,
        counted from 0 or of the calendar. The defaults are the year 2025 of a simulation that
        starts in January 2024.
    severity
        Power to which the factors of the recession are raised: 1 as they are, 0 without effect.
    """

    kind: Literal["recession"]
    timing: Literal["chain", "fixed"] = "chain"
    start_month: int = Field(default=12, ge=0)
    end_month: int = Field(default=23, ge=0)
    severity: float = Field(default=1.0, ge=0)


class AIAdoption(Starting):
    """Firms that go on adopting AI, stage by stage; see `microsim.processes.adoption`.

    Without it every firm stays at the stage that the population gives it.

    Attributes
    ----------
    trajectory
        "slow", "base" or "fast": the factors on all intensities are ``adoption.slow_factor``, 1
        and ``adoption.fast_factor``.
    start_month, start
        First month, counted from 0 or of the calendar.
    """

    kind: Literal["ai_adoption"]
    trajectory: Literal["slow", "base", "fast"] = "base"


Shock: TypeAlias = Annotated[AIDisplacement | AIAdoption | Recession, Field(discriminator="kind")]
