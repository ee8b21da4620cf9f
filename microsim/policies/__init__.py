"""What is done about it: policies that a scenario may name, one a file."""

from typing import Annotated, TypeAlias

from pydantic import Field

from microsim.policies.eligibility import Eligibility
from microsim.policies.extended_insurance import ExtendedInsurance
from microsim.policies.programme import Programme
from microsim.policies.relocation_grant import RelocationGrant

__all__ = ["Eligibility", "ExtendedInsurance", "Policy", "Programme", "RelocationGrant"]

Policy: TypeAlias = Annotated[RelocationGrant | ExtendedInsurance, Field(discriminator="kind")]
"""Any policy; its ``kind`` says which."""
