"""Money for those who move."""

from typing import Literal

from pydantic import Field

from microsim.policies.programme import Programme
from microsim.scenario_part import CBSA

__all__ = ["RelocationGrant"]


class RelocationGrant(Programme):
    """Dollars paid to an eligible household that moves to another metro, once.

    The grant lowers the moving cost that the household reckons with; see
    `microsim.processes.mobility`.

    Attributes
    ----------
    amount
        Dollars.
    destinations
        CBSA codes of the metros that one must move to; without it, any.
    """

    kind: Literal["relocation_grant"]
    name: str = "relocation_grant"
    amount: float = Field(ge=0)
    destinations: tuple[CBSA, ...] | None = Field(default=None, min_length=1)

    @property
    def cents(self) -> int:
        """The amount in whole cents."""
        return round(100 * self.amount)

    @property
    def metros_named(self) -> dict[str, tuple[str, ...]]:
        """The CBSA codes that it names, by the key that names them."""
        return {"destinations": self.destinations or (), **super().metros_named}

    def runs(self, month: int) -> bool:
        """Whether the programme pays in ``month``; one of zero dollars never does."""
        return self.cents > 0 and super().runs(month)
