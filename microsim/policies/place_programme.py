"""What policies for places have in common."""

from pydantic import Field

from microsim.policies.programme import Programme
from microsim.scenario_part import CBSA, Dollars

__all__ = ["PlaceProgramme"]


class PlaceProgramme(Programme):
    """A programme for some metros, which buys services or pays firms; see `place_programmes`.

    Attributes
    ----------
    metros
        CBSA codes of the metros that have it.
    amount
        Dollars for each unit of what it buys; a programme of zero dollars never runs.
    """

    metros: tuple[CBSA, ...] = Field(min_length=1)
    amount: Dollars

    @property
    def cents(self) -> int:
        """The amount in whole cents."""
        return round(100 * self.amount)

    @property
    def metros_named(self) -> dict[str, tuple[str, ...]]:
        """The CBSA codes that it names, by the key that names them."""
        return {"metros": self.metros, **super().metros_named}

    def runs(self, month: int) -> bool:
        """Whether the programme pays in ``month``; one of zero dollars never does."""
        return self.cents > 0 and super().runs(month)
