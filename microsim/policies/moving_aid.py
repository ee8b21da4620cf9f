"""What all policies that pay for a move share."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from microsim.policies.programme import Programme
from microsim.scenario_part import CBSA

__all__ = ["MovingAid"]

Floats = NDArray[np.float64]


class MovingAid(Programme, ABC):
    """Money for an eligible household that moves to another metro, once.

    It lowers the moving cost that the household reckons with; see `microsim.processes.offers`.

    Attributes
    ----------
    destinations
        CBSA codes of the metros that one must move to; without it, any. Payments are counted in
        the metro that the household moves to; without it, in the one that it leaves.
    at_hand : bool
        Whether the money is there in time to pay for the move.
    """

    is_choice: ClassVar[bool] = True
    at_hand: ClassVar[bool] = True
    destinations: tuple[CBSA, ...] | None = Field(default=None, min_length=1)

    @property
    def metros_named(self) -> dict[str, tuple[str, ...]]:
        """The CBSA codes that it names, by the key that names them."""
        return {"destinations": self.destinations or (), **super().metros_named}

    @property
    @abstractmethod
    def most_cents(self) -> int:
        """The most that one household is paid, cents."""

    def least_cents(self, share: float) -> int:
        """Return the least that an offer of ``share`` may come to, cents; at least 1."""
        return max(round(share * self.most_cents), 1)

    @abstractmethod
    def cents(self, share: float | Floats, cost: Floats) -> Floats:
        """Return what is paid for moves that cost ``cost`` cents, cents, not rounded."""

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares of the full amount that households are offered, none of them 0."""
        return (1.0,)

    def share_of(self, wage: Floats) -> Floats:
        """Return the share of the full amount for wages in dollars a year: of `shares`, or 0."""
        return np.ones(len(wage))

    def runs(self, month: int) -> bool:
        """Whether the programme pays in ``month``; one of zero dollars never does."""
        return self.most_cents > 0 and super().runs(month)
