"""What is done about it: policies that a scenario may name, one a file."""

from microsim.policies.eligibility import Eligibility
from microsim.policies.programme import Programme
from microsim.policies.relocation_grant import RelocationGrant

__all__ = ["Eligibility", "Programme", "RelocationGrant"]
