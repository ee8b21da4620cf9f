"""Moves up and down: to areas with more of an attribute, and what movers find on average."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from choicemodels.errors import SpecificationError
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.inputs import Matrices, Missing, each_year, known_attribute, leaving
from estimation.migration.kernels import destination_sums, moves_upward
from estimation.migration.ratios import ratio
from estimation.migration.strata import Strata, by_stratum, checked_strata

__all__ = ["destination_average", "upward_mobility"]


def upward_mobility(
    matrices: Matrices,
    attribute: str | ArrayLike = "income",
    strata: Strata | None = None,
    *,
    threshold: float = 0.0,
    beyond: str | None = None,
    missing: Missing = "refuse",
) -> pd.DataFrame:
    """Count moves to areas with a higher attribute, such as the median income.

    A move from i to j leads upward if ``x_j - x_i > threshold * x_i``, as in the published code
    [AgostiniYoungFitzpatrickGargPierson2025]_; with the default, if x_j exceeds x_i at all.

    Parameters
    ----------
    matrices
        A matrix, or a mapping of years to matrices: the table then has an index level ``year``.
    attribute
        Column of the table of areas, or a value for each area.
    strata
        Types of the origins, or shares of groups in them; see :mod:`estimation.migration.strata`.
    threshold
        By how much the attribute must rise, as a share of that of the origin.
    beyond
        A level: only moves that leave its area count. By default the finest.
    missing
        ``"apart"`` counts moves from or to areas where the attribute is missing as ``unknown``.

    Returns
    -------
    DataFrame
        By stratum: ``movers``, ``upward``, ``unknown``, and ``share_upward`` among movers that
        are not unknown (missing where there are none).

    Raises
    ------
    SpecificationError
        If the level is unknown or the threshold no finite number.
    DataError
        If the attribute is missing in an area and ``missing="refuse"``, or strata are of other
        areas.
    """
    if not np.isfinite(threshold):
        raise SpecificationError(f"threshold={threshold}; give a share such as 0 or 0.1.")

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        kept = checked_strata(strata, matrix.areas)
        values = known_attribute(matrix.areas, attribute, missing)
        rows = moves_upward(matrix, values, threshold, leaving(matrix.areas, beyond))
        up, other, unknown = by_stratum(kept, rows).T
        columns = {
            "movers": up + other + unknown,
            "upward": up,
            "unknown": unknown,
            "share_upward": ratio(up, up + other),
        }
        return pd.DataFrame(columns, index=pd.Index(kept.labels, name=kept.name))

    return each_year(matrices, table)


def destination_average(
    matrices: Matrices,
    attribute: str | ArrayLike = "income",
    strata: Strata | None = None,
    *,
    beyond: str | None = None,
    missing: Missing = "refuse",
) -> pd.DataFrame:
    """Average an attribute over the areas that people move to, and over those they leave.

    ``sum_ij M_ij x_j / sum_ij M_ij`` and the same with x_i, over the moves from areas i of a
    stratum whose origin and destination are known.

    Parameters
    ----------
    matrices, attribute, strata, beyond, missing
        As of :func:`upward_mobility`.

    Returns
    -------
    DataFrame
        By stratum: ``movers``, ``unknown`` (moves from or to areas where the attribute is
        missing), ``origin`` and ``destination`` (averages), and ``difference``.

    Raises
    ------
    SpecificationError, DataError
        As of :func:`upward_mobility`.
    """

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        kept = checked_strata(strata, matrix.areas)
        values = known_attribute(matrix.areas, attribute, missing)
        rows = destination_sums(matrix, values, leaving(matrix.areas, beyond))
        nowhere = np.isnan(values)
        rows[nowhere, 2] += rows[nowhere, 0]
        rows[nowhere, :2] = 0
        rows = np.column_stack([rows, rows[:, 0] * np.nan_to_num(values)])
        known, there, unknown, here = by_stratum(kept, rows).T
        origin, destination = ratio(here, known), ratio(there, known)
        columns = {
            "movers": known + unknown,
            "unknown": unknown,
            "origin": origin,
            "destination": destination,
            "difference": destination - origin,
        }
        return pd.DataFrame(columns, index=pd.Index(kept.labels, name=kept.name))

    return each_year(matrices, table)
