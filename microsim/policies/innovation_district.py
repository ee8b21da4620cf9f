"""Jobs in traded industries, bought for a metro."""

from typing import Literal

from pydantic import Field, model_validator

from microsim.policies.eligibility import Eligibility
from microsim.policies.place_programme import PlaceProgramme
from microsim.scenario_part import Dollars

__all__ = ["InnovationDistrict"]


class InnovationDistrict(PlaceProgramme):
    """Positions that firms of traded industries open in a metro for a subsidy, and keep.

    What such a position costs is uncertain: [Bartik2020]_ reckons with $34,000 to $196,000 for a
    job that would not have come by itself. The local jobs that follow from it come by
    ``local_economy.local_multiplier``. Whoever finds such a job finds it: there is nobody to be
    eligible.

    Attributes
    ----------
    positions
        Opened in a month for every thousand workers who live in the metro, if all firms take it
        up.
    amount
        Dollars for a position, paid to the firm when it opens it.
    """

    kind: Literal["innovation_district"]
    name: str = "innovation_district"
    positions: float = Field(default=0.5, ge=0, le=100)
    amount: Dollars = 100_000.0

    @model_validator(mode="after")
    def _buys_positions(self) -> "InnovationDistrict":
        if self.eligibility != Eligibility():
            raise ValueError(
                "an innovation district buys positions and asks nobody for eligibility; leave "
                "eligibility out, or use place_based_hiring for whom firms hire"
            )
        return self
