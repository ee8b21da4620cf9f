"""What is done about it: policies that a scenario may name, one a file."""

from typing import Annotated, TypeAlias

from pydantic import Field

from microsim.policies.broadband import Broadband
from microsim.policies.eligibility import Eligibility
from microsim.policies.extended_insurance import ExtendedInsurance
from microsim.policies.innovation_district import InnovationDistrict
from microsim.policies.job_matching import JobMatching
from microsim.policies.moving_aid import MovingAid
from microsim.policies.moving_tax_credit import MovingTaxCredit
from microsim.policies.place_based_hiring import PlaceBasedHiring
from microsim.policies.place_programme import PlaceProgramme
from microsim.policies.programme import Programme
from microsim.policies.relocation_grant import RelocationGrant
from microsim.policies.retraining import Retraining
from microsim.policies.university_partnership import UniversityPartnership

__all__ = [
    "Broadband",
    "Eligibility",
    "ExtendedInsurance",
    "InnovationDistrict",
    "JobMatching",
    "MovingAid",
    "MovingTaxCredit",
    "PlaceBasedHiring",
    "PlaceProgramme",
    "Policy",
    "Programme",
    "RelocationGrant",
    "Retraining",
    "UniversityPartnership",
]

Policy: TypeAlias = Annotated[
    RelocationGrant
    | MovingTaxCredit
    | ExtendedInsurance
    | Retraining
    | JobMatching
    | Broadband
    | InnovationDistrict
    | PlaceBasedHiring
    | UniversityPartnership,
    Field(discriminator="kind"),
]
"""Any policy; its ``kind`` says which."""
