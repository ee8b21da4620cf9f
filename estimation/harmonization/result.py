"""A matrix that agrees with its tables, and the record of how it came about."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from choicemodels.migration.matrix import MigrationMatrix
from estimation.harmonization.factors import Adjustment, Factors
from estimation.harmonization.steps import Step

if TYPE_CHECKING:
    from estimation.table import Table

__all__ = ["Harmonized"]


@dataclass(frozen=True, eq=False)
class Harmonized:
    """A harmonized matrix.

    Attributes
    ----------
    matrix : MigrationMatrix
        The factors times the matrix that was given.
    factors : Factors
        The product of all steps.
    steps : tuple of Step
    adjustments : tuple of Adjustment
        What each step multiplied by.
    log : DataFrame
        A row for each step and margin: ``step``, ``level``, ``margin``, ``targets`` (above zero),
        ``not imposed`` (zero, or nobody there), residuals ``before``, ``after`` the step and ``at
        the end`` of all (the largest distance from a target, as a share of it), quantiles of the
        step's factors, ``people`` after it, ``moved`` (half the sum of its absolute changes of
        flows at its level), ``iterations`` and ``seconds``.
    """

    matrix: MigrationMatrix
    factors: Factors
    steps: tuple[Step, ...]
    adjustments: tuple[Adjustment, ...]
    log: pd.DataFrame

    def table(self) -> "Table":
        """Return the log as a table to print or save: residuals, factors, people moved."""
        from estimation.table import frame_table

        log = self.log
        shown = pd.DataFrame(
            {
                "step": log["step"],
                "level": log["level"],
                "margin": log["margin"],
                "targets": log["targets"].map("{:,}".format),
                "not imposed": log["not imposed"].map("{:,}".format),
                "before": log["before"].map("{:.1e}".format),
                "after": log["after"].map("{:.1e}".format),
                "at the end": log["at the end"].map("{:.1e}".format),
                "factors, 5 to 95 %": [
                    f"{low:.3f} to {high:.3f}"
                    for low, high in zip(log["5 %"], log["95 %"], strict=True)
                ],
                "people moved": log["moved"].map("{:,.0f}".format),
                "seconds": log["seconds"].map("{:.2f}".format),
            }
        ).set_index("step")
        note = (
            "Residuals are the largest distance from a target, as a share of it: before and after "
            "the step, and at the end of all steps."
        )
        return frame_table(shown, caption="Harmonization", note=note)
