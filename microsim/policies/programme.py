"""What every policy says of itself."""

from typing import ClassVar

from pydantic import Field

from microsim.assumptions.governments import Level
from microsim.policies.eligibility import Eligibility
from microsim.scenario_part import Lasting

__all__ = ["Programme"]


class Programme(Lasting):
    """A programme of a government: who may have it, who takes it up, and what it may cost.

    What it changes is the business of the process that reads it. Whom it changes is found by
    comparison with the same draws without it: see `microsim.contrast`.

    Attributes
    ----------
    name
        Unique in a scenario; it keys the draws of the take-up.
    start_month, end_month, start, end
        First and last month of the programme, counted from 0 or of the calendar; without the
        latter it does not end.
    eligibility
    take_up
        Share of the eligible who know of the programme and would claim.
    budget
        Dollars in all; when it is spent, nobody is paid any more.
    paid_by
        The level of government whose account pays: "federal", "state" or "local", the latter two
        of the metro where a payment is counted.
    is_choice : bool
        Whether it pays for something that some would have done without it, who can be told: the
        inframarginal payments of `microsim.results.run.Run.policies`.
    """

    is_choice: ClassVar[bool] = False
    name: str
    eligibility: Eligibility = Eligibility()
    take_up: float = Field(default=1.0, ge=0, le=1)
    budget: float | None = Field(default=None, ge=0, le=1e13)
    paid_by: Level = "federal"

    @property
    def metros_named(self) -> dict[str, tuple[str, ...]]:
        """The CBSA codes that it names, by the key that names them."""
        return {"eligibility.origins": self.eligibility.origins or ()}

    def runs(self, month: int) -> bool:
        """Whether the programme pays in ``month``."""
        ended = self.end_month is not None and month > self.end_month
        return self.start_month <= month and not ended

    def left(self, spent: int) -> int | None:
        """Return the cents left of the budget after ``spent``; None if it has no limit."""
        return None if self.budget is None else round(100 * self.budget) - spent
