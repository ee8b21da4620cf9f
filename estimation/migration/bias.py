"""Whom matrices of moves count too often or too seldom: bias by group of people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from estimation.harmonization.result import Harmonized
from estimation.harmonization.targets import align_people, refuse_values
from estimation.migration.agreement import refuse_other_areas
from estimation.migration.strata import Strata, checked_strata
from estimation.migration.validation_references import matrix_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from estimation.table import Table

__all__ = ["DemographicBias", "demographic_bias"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DemographicBias:
    """How far the people that matrices imply differ from the census's, group by group.

    Attributes
    ----------
    people : Series
        In the census, by ``class`` (what tells groups apart) and ``group``.
    bias : DataFrame
        Implied over census people, less one; a column for each matrix. NaN where the census has
        nobody of a group.
    """

    people: "pd.Series[float]"
    bias: pd.DataFrame

    def table(self) -> "Table":
        """Return the biases in per cent, to print or save."""
        from estimation.table import frame_table

        shown = (100 * self.bias).map(lambda v: f"{v:+.1f}" if np.isfinite(v) else "nobody")
        shown.insert(0, "people", [f"{count:,.0f}" for count in self.people])
        shown.index = pd.Index([f"{name}: {group}" for name, group in self.bias.index])
        note = (
            "Over- (+) and undercount (−) of each group in per cent of the census, after scaling "
            "every matrix to the people of the census."
        )
        return frame_table(shown, note=note)

    def figure(self) -> "Figure":
        """Draw the biases as bars, a panel for each class of groups."""
        from estimation.migration.bias_figure import bias_bars

        return bias_bars(self.bias)


def demographic_bias(
    estimates: Mapping[str, MigrationMatrix | Harmonized],
    strata: Sequence[Strata],
    people: Any | None = None,
) -> DemographicBias:
    """Compare the groups that matrices imply with those of the census.

    The people of group g that a matrix implies are ``sum_i n_i s_ig``: those of area i a year
    ago, n_i, times the share of g among them in the census. Every matrix is scaled to the people
    of the census first, so that a general undercount is no bias
    [AgostiniYoungFitzpatrickGargPierson2025]_.

    Parameters
    ----------
    estimates
        By name, of the same areas: the raw matrix and harmonized ones, or results of
        harmonization.
    strata
        Shares of groups in areas, or types of areas, from :mod:`estimation.migration.strata`.
    people
        Census population by area, a Series under the labels of the areas; None takes column
        ``population`` of their table.

    Raises
    ------
    SpecificationError
        If there is no matrix or no stratum.
    DataError
        If areas differ, labels do not match, or people are missing or negative.
    """
    if not isinstance(estimates, Mapping) or not estimates or not strata:
        raise SpecificationError("give one matrix at least, by name, and one kind of groups.")
    matrices = {name: matrix_of(estimate) for name, estimate in estimates.items()}
    first = next(iter(matrices.values()))
    census = _people(people, first.areas)
    checked = [checked_strata(some, first.areas) for some in strata]
    keys = [(some.name, str(label)) for some in checked for label in some.labels]
    index = pd.MultiIndex.from_tuples(keys, names=["class", "group"])
    counts = np.concatenate([some.totals(census) for some in checked])
    bias = {}
    for name, matrix in matrices.items():
        refuse_other_areas(first, matrix)
        if not matrix.total > 0:
            raise DataError(f"the matrix '{name}' holds nobody; it implies no groups.")
        scaled = matrix.before * (census.sum() / matrix.total)
        implied = np.concatenate([some.totals(scaled) for some in checked])
        bias[name] = np.divide(implied, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return DemographicBias(
        pd.Series(counts, index=index, name="people"), pd.DataFrame(bias, index=index) - 1
    )


def _people(people: Any | None, areas: Areas) -> Array:
    if people is None:
        table = pd.Series(areas.attribute("population"), index=areas.labels)
    elif isinstance(people, pd.Series):
        table = people
    else:
        raise SpecificationError(
            f"people are a {type(people).__name__}; give a Series labelled by {areas.name}."
        )
    refuse_values(table, "the census population")
    found = align_people(table, areas.level(areas.name), "the census population")
    if not found.sum() > 0:
        raise DataError("the census population is zero everywhere; there is nobody to compare.")
    return found
