"""What choice data hold, in a few facts and one row for each alternative."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Description", "describe_choices"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Description:
    """What choice data hold.

    Attributes
    ----------
    facts : dict
        Counts of cases and rows, and sizes of the choice sets.
    alternatives : DataFrame
        Times available, times chosen, and the two shares.
    """

    facts: Mapping[str, str]
    alternatives: pd.DataFrame

    def __str__(self) -> str:
        width = max(len(label) for label in self.facts)
        lines = [f"{label:<{width}}  {value}" for label, value in self.facts.items()]
        table = self.alternatives.to_string(float_format=lambda share: f"{share:.4f}", max_rows=40)
        return "\n".join([*lines, "", table])


def describe_choices(
    facts: Mapping[str, str], alternatives: Sequence[str], offered: Ints, taken: Ints
) -> Description:
    """Put counts of offers and choices, shape (J,), beside their shares."""
    with np.errstate(invalid="ignore", divide="ignore"):
        table = pd.DataFrame(
            {
                "available": offered,
                "chosen": taken,
                "share": taken / max(taken.sum(), 1),
                "share where available": np.where(offered > 0, taken / offered, 0.0),
            },
            index=pd.Index(alternatives, name="alternative"),
        )
    return Description(facts, table)
