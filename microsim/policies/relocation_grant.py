"""Money for those who move."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from microsim.policies.moving_aid import MovingAid
from microsim.scenario_part import Dollars

__all__ = ["RelocationGrant"]

Floats = NDArray[np.float64]


class RelocationGrant(MovingAid):
    """Dollars paid to an eligible household that moves to another metro, once.

    Attributes
    ----------
    amount
        Dollars.
    destinations
        CBSA codes of the metros that one must move to; without it, any.
    """

    kind: Literal["relocation_grant"]
    name: str = "relocation_grant"
    amount: Dollars

    @property
    def most_cents(self) -> int:
        """The amount in whole cents."""
        return round(100 * self.amount)

    def cents(self, share: float | Floats, cost: Floats) -> Floats:
        """Return the amount, whatever the cost."""
        return np.full(cost.shape, float(self.most_cents)) * share
