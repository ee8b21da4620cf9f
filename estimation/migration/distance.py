"""How far people move."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.flows.geography import EARTH_RADIUS
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.inputs import Matrices, each_year, leaving, radians
from estimation.migration.kernels import FIRST, HALVES, SHORTEST, distance_sums
from estimation.migration.ratios import ratio
from estimation.migration.strata import Strata, by_stratum, checked_strata

__all__ = ["distance_distribution"]

Array = NDArray[np.float64]

# The international mile is 1.609344 km exactly.
_KILOMETRES = {"mile": 1.609344, "km": 1.0}
# Each stratum keeps a grid of distances on every block of rows, 1.4 MB in all.
_MOST = 256
_PLURAL = {"mile": "miles", "km": "km"}


def distance_distribution(
    matrices: Matrices,
    bins: Sequence[float] | float = (5.0, 50.0),
    strata: Strata | None = None,
    *,
    unit: str = "mile",
    beyond: str | None = None,
) -> pd.DataFrame:
    """Tell moves apart by the great-circle distance between the centres of areas.

    Moves within a finest area have no distance and do not count. Distances follow the haversine
    formula [Sinnott1984]_ on a sphere of the mean radius of the earth [Moritz2000]_, from the
    columns ``latitude`` and ``longitude`` of the areas.

    Parameters
    ----------
    matrices
        A matrix, or a mapping of years to matrices: the table then has an index level ``year``.
    bins
        Bounds of the bands, rising; a distance on a bound belongs to the upper band.
    strata
        Types of the origins, or shares of groups in them.
    unit
        ``"mile"`` or ``"km"``.
    beyond
        A level: only moves that leave its area count. By default the finest.

    Returns
    -------
    DataFrame
        By stratum: ``movers``, the share of each band (``under 5 miles``, ``5 to 50 miles``,
        ``over 50 miles``), ``mean``, and ``median``. Sums are exact up to rounding; the median
        is read off cells 0.2 % wide, in one pass, and off by no more (ten metres for shorter
        ones).

    Raises
    ------
    SpecificationError
        If the bounds do not rise from above zero, unit or level are unknown, or there are more
        than 256 strata.
    DataError
        If a coordinate is missing or out of range, or strata are of other areas.
    """
    if unit not in _KILOMETRES:
        raise SpecificationError(f"unit='{unit}' is not one of {', '.join(_KILOMETRES)}.")
    bounds = np.atleast_1d(np.asarray(bins, dtype=np.float64))
    if bounds.ndim != 1 or len(bounds) == 0 or not bool((np.diff([0, *bounds]) > 0).all()):
        raise SpecificationError(f"bins={bounds.tolist()}: give bounds that rise from above zero.")
    radius = EARTH_RADIUS / _KILOMETRES[unit]
    names = _band_names(bounds, _PLURAL[unit])

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        kept = checked_strata(strata, matrix.areas)
        if kept.size > _MOST:
            raise SpecificationError(
                f"'{kept.name}' has {kept.size:,} strata; medians of distance are kept for "
                f"{_MOST} at most."
            )
        rows, counts = distance_sums(
            matrix, radians(matrix.areas), radius, bounds, kept.entries(), kept.size,
            leaving(matrix.areas, beyond),
        )  # fmt: skip
        sums = by_stratum(kept, rows)
        people, travelled = sums[:, :-1], sums[:, -1]
        movers = people.sum(axis=1)
        frame = pd.DataFrame(
            ratio(people, movers[:, None]),
            index=pd.Index(kept.labels, name=kept.name),
            columns=names,
        )
        frame.insert(0, "movers", movers)
        frame["mean"] = ratio(travelled, movers)
        frame["median"] = [_median(row, radius) for row in counts]
        return frame

    return each_year(matrices, table)


def _band_names(bounds: Array, unit: str) -> list[str]:
    text = [f"{bound:g}" for bound in bounds]
    between = [f"{a} to {b} {unit}" for a, b in pairwise(text)]
    return [f"under {text[0]} {unit}", *between, f"over {text[-1]} {unit}"]


def _median(counts: Array, radius: float) -> float:
    """Return the distance that half the moves of a grid of haversines do not exceed."""
    reached = np.cumsum(counts)
    if reached[-1] == 0:
        return math.nan
    half = reached[-1] / 2
    cell = int(np.searchsorted(reached, half))
    within = (half - (reached[cell] - counts[cell])) / counts[cell]
    if cell == 0:
        h = within * SHORTEST
    else:
        doublings, part = divmod(cell - 1, HALVES)
        h = math.ldexp(0.5 + (part + within) / (2 * HALVES), FIRST + doublings)
    return 2 * radius * math.asin(math.sqrt(min(h, 1.0)))
