"""Who may claim from a programme."""

from typing import Literal

from pydantic import Field, model_validator

from microsim.scenario_part import CBSA, Part

__all__ = ["Eligibility"]


class Eligibility(Part):
    """Who may claim; a worker must meet every condition that is given.

    Attributes
    ----------
    status
        "any", "unemployed", or "displaced" (lost a job to a shock, whether working again or not).
    within_months
        Unemployed or displaced no longer ago than this.
    income_ceiling
        Dollars a year: the wage, or the last wage of the unemployed, is at most this.
    college
        Yes for those with a college degree only, no for those without.
    remote
        Yes for those who work from anywhere only, no for the others.
    exposure_at_least
        Exposure to AI of the worker's occupation, 0 to 1.
    origins
        CBSA codes of the metros that one must live in.
    """

    status: Literal["any", "unemployed", "displaced"] = "any"
    within_months: int | None = Field(default=None, ge=0)
    income_ceiling: float | None = Field(default=None, ge=0)
    college: bool | None = None
    remote: bool | None = None
    exposure_at_least: float | None = Field(default=None, ge=0, le=1)
    origins: tuple[CBSA, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _sensible(self) -> "Eligibility":
        if self.within_months is not None and self.status == "any":
            raise ValueError(
                "within_months needs a status to count from; set status to unemployed or displaced"
            )
        return self
