"""Taxes forgone for those who move."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from microsim.policies.moving_aid import MovingAid
from microsim.scenario_part import Dollars

__all__ = ["MovingTaxCredit"]

Floats = NDArray[np.float64]
STEPS = 4


class MovingTaxCredit(MovingAid):
    """A refundable credit for the moving expenses of an eligible household, once.

    It is ``min(share * moving cost, maximum)``, times what the phase-out leaves: the whole up to
    its first income, nothing from its second on, and between them
    ``(second - wage) / (second - first)``, rounded up to quarters, as the tax law phases out in
    steps. Being refunded after the move, it does not help to pay for it.

    Attributes
    ----------
    share
        Of the moving cost, 0 to 1.
    maximum
        Dollars.
    basis
        "cost", or "flat": the maximum, whatever the cost.
    phase_out
        Two incomes, dollars a year.
    """

    at_hand: ClassVar[bool] = False
    kind: Literal["moving_tax_credit"]
    name: str = "moving_tax_credit"
    share: float = Field(default=1.0, ge=0, le=1)
    maximum: Dollars
    basis: Literal["cost", "flat"] = "cost"
    phase_out: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _descends(self) -> "MovingTaxCredit":
        if self.phase_out is not None and not 0 <= self.phase_out[0] < self.phase_out[1]:
            raise ValueError(
                f"phase_out goes from {self.phase_out[0]:g} to {self.phase_out[1]:g}; give two "
                "incomes, the lower one first"
            )
        return self

    @property
    def most_cents(self) -> int:
        """The most that one household is credited, cents."""
        return 0 if self.basis == "cost" and self.share == 0 else round(100 * self.maximum)

    def least_cents(self, share: float) -> int:
        """Return the least that an offer of ``share`` may come to, cents: of a cost, any."""
        return super().least_cents(share) if self.basis == "flat" else 1

    @property
    def shares(self) -> tuple[float, ...]:
        """What the phase-out may leave."""
        if self.phase_out is None:
            return (1.0,)
        return tuple(step / STEPS for step in range(STEPS, 0, -1))

    def share_of(self, wage: Floats) -> Floats:
        """Return what the phase-out leaves for wages in dollars a year."""
        if self.phase_out is None:
            return np.ones(len(wage))
        first, second = self.phase_out
        left = np.clip((second - wage) / (second - first), 0.0, 1.0)
        steps: Floats = np.ceil(STEPS * left) / STEPS
        return steps

    def cents(self, share: float | Floats, cost: Floats) -> Floats:
        """Return the credit for moves that cost ``cost`` cents."""
        full = np.full(cost.shape, float(self.most_cents))
        return share * (full if self.basis == "flat" else np.minimum(self.share * cost, full))
