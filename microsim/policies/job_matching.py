"""Help with the search for a job."""

from typing import Literal

from pydantic import Field

from microsim.policies.programme import Programme
from microsim.scenario_part import Dollars

__all__ = ["JobMatching"]


class JobMatching(Programme):
    """Counselling and placement that make a seeker's search more effective.

    The search of those served counts ``factor`` times, also in the competition for the same
    openings: whom they crowd out is part of the outcome. Evaluations of job search assistance
    find gains soon after, that fade ([CardKluveWeber2018]_). See `microsim.processes.search`.

    Attributes
    ----------
    factor
        On the effort of search, at least 1.
    cost
        Dollars a seeker a month, for the service.
    """

    kind: Literal["job_matching"]
    name: str = "job_matching"
    factor: float = Field(ge=1)
    cost: Dollars

    @property
    def cents(self) -> int:
        """The cost in whole cents."""
        return round(100 * self.cost)

    def runs(self, month: int) -> bool:
        """Whether anybody is served; a service that changes and costs nothing serves nobody."""
        return (self.factor > 1 or self.cents > 0) and super().runs(month)
