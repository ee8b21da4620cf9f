"""Courses for those whose work is at risk."""

from typing import Literal

from pydantic import Field

from microsim.policies.programme import Programme
from microsim.scenario_part import Dollars

__all__ = ["Retraining"]


class Retraining(Programme):
    """Tuition, support and guidance for workers who retrain for a less exposed occupation.

    It takes ``parameters.retraining.active``; see `microsim.processes.retraining`.

    Attributes
    ----------
    covers
        Share of the tuition that is paid to the college.
    guidance
        Dollars a course, for counselling and placement beside the tuition.
    stipend
        Dollars a month paid to the household during the course, while the budget lasts.
    outreach
        Factor, at least 1, on how often those reached consider to retrain.
    completion_gain
        Added to the chance of completing the course.
    months
        Length of its courses; without it, that of any.
    """

    kind: Literal["retraining"]
    name: str = "retraining"
    covers: float = Field(default=1.0, ge=0, le=1)
    guidance: Dollars = 0.0
    stipend: Dollars = 0.0
    outreach: float = Field(default=1.0, ge=1)
    completion_gain: float = Field(default=0.0, ge=0, le=1)
    months: int | None = Field(default=None, ge=1, le=120)

    @property
    def guidance_cents(self) -> int:
        """The price of guidance in whole cents."""
        return round(100 * self.guidance)

    @property
    def stipend_cents(self) -> int:
        """The stipend in whole cents."""
        return round(100 * self.stipend)

    def runs(self, month: int) -> bool:
        """Whether new courses may begin; a programme that offers nothing has none."""
        money = (self.covers, self.guidance_cents, self.stipend_cents)
        help_ = (self.outreach - 1.0, self.completion_gain, self.months)
        return (any(money) or any(help_)) and super().runs(month)
