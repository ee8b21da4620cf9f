"""Fast internet for the households of a metro."""

from typing import Literal

from pydantic import Field

from microsim.policies.place_programme import PlaceProgramme
from microsim.scenario_part import Dollars

__all__ = ["Broadband"]


class Broadband(PlaceProgramme):
    """Households connected to fast internet, once each.

    Attributes
    ----------
    amount
        Dollars for a connection, paid to the company that builds it.
    pace
        Share of the households that would take it up and wait, connected in a month.
    job_growth
        How many more positions a metro's employers want when all its households are connected.
        By default 0.06, the growth of employment in the seven years after broadband came
        ([Kolko2012]_).
    telework
        Share by which the chance rises that a connected worker's job can be done from anywhere;
        whose employer is remote then is. The default is an assumption.
    """

    kind: Literal["broadband"]
    name: str = "broadband"
    amount: Dollars = 4_000.0
    pace: float = Field(default=0.03, ge=0, le=1)
    job_growth: float = Field(default=0.06, ge=0, le=1)
    telework: float = Field(default=0.1, ge=0, le=1)
