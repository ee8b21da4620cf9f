"""More months of unemployment insurance."""

from typing import Literal

from pydantic import Field

from microsim.policies.programme import Programme

__all__ = ["ExtendedInsurance"]


class ExtendedInsurance(Programme):
    """Further months of the same benefit for those whose unemployment insurance has run out.

    See `microsim.processes.insurance`.

    Attributes
    ----------
    months
        How many months more.
    """

    kind: Literal["extended_insurance"]
    name: str = "extended_insurance"
    months: int = Field(ge=0)
