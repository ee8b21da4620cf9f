"""What is done about it: policies that a scenario may name."""

from typing import Literal

from pydantic import Field, model_validator

from microsim.scenario_part import CBSA, Part

__all__ = ["Eligibility", "RelocationGrant"]


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
    origins
        CBSA codes of the metros that one must live in.
    """

    status: Literal["any", "unemployed", "displaced"] = "any"
    within_months: int | None = Field(default=None, ge=0)
    income_ceiling: float | None = Field(default=None, ge=0)
    origins: tuple[CBSA, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _sensible(self) -> "Eligibility":
        if self.within_months is not None and self.status == "any":
            raise ValueError(
                "within_months needs a status to count from; set status to unemployed or displaced"
            )
        return self


class RelocationGrant(Part):
    """Dollars paid to an eligible household that moves to another metro, once.

    The grant lowers the moving cost that the household reckons with; see `microsim.processes`.

    Attributes
    ----------
    amount
        Dollars.
    start_month, end_month
        First and last month of the programme, from 0; without the latter it does not end.
    eligibility
    destinations
        CBSA codes of the metros that one must move to; without it, any.
    take_up
        Share of the eligible who know of the grant and would claim it.
    budget
        Dollars in all; when it is spent, nobody is paid any more.
    """

    kind: Literal["relocation_grant"]
    name: str = "relocation_grant"
    amount: float = Field(ge=0)
    start_month: int = Field(default=0, ge=0)
    end_month: int | None = Field(default=None, ge=0)
    eligibility: Eligibility = Eligibility()
    destinations: tuple[CBSA, ...] | None = Field(default=None, min_length=1)
    take_up: float = Field(default=1.0, ge=0, le=1)
    budget: float | None = Field(default=None, ge=0)

    @property
    def cents(self) -> int:
        """The amount in whole cents."""
        return round(100 * self.amount)

    def runs(self, month: int) -> bool:
        """Whether the programme pays in ``month``; one of zero dollars never does."""
        ended = self.end_month is not None and month > self.end_month
        return self.cents > 0 and self.start_month <= month and not ended
