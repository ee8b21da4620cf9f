"""Certificates that a university gives to a metro's workers."""

from typing import Literal

from pydantic import Field

from microsim.assumptions.synthesis import EDUCATION_LEVELS
from microsim.policies.place_programme import PlaceProgramme
from microsim.scenario_part import Dollars

__all__ = ["UniversityPartnership"]


class UniversityPartnership(PlaceProgramme):
    """Workers whom a university trains beside their work, once each, for what employers pay for.

    Attributes
    ----------
    amount
        Dollars for a certificate, paid to the university.
    pace
        Share of those who would take it up and have not yet, who finish in a month.
    award
        What those who finish hold: with a "certificate" at least some college, with a "degree" a
        bachelor's degree, if they had less.
    premium
        Share by which their wage rises. The default is an assumption, within what
        [JepsenTroskeCoomes2014]_ find for certificates.
    """

    kind: Literal["university_partnership"]
    name: str = "university_partnership"
    amount: Dollars = 6_000.0
    award: Literal["certificate", "degree"] = "certificate"
    pace: float = Field(default=0.02, ge=0, le=1)
    premium: float = Field(default=0.05, ge=0, le=1)

    @property
    def level(self) -> int:
        """The level of education of those who finish, a code of `EDUCATION_LEVELS`."""
        held = {"certificate": "some college", "degree": "bachelor"}[self.award]
        return EDUCATION_LEVELS.index(held)
