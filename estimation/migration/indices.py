"""Indices of internal migration: intensity, effectiveness, impact, connectivity, inequality."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.inputs import Matrices, each_year

__all__ = ["flow_gini", "migration_indices"]

Array = NDArray[np.float64]

_SPREAD = ("inequality", "gini", "gini_out", "gini_in", "gini_mean", "cv", "theil")


def migration_indices(matrices: Matrices, level: str | None = None) -> pd.DataFrame:
    """Sum migration between areas up in the indices of [BellBlakeBoyle2002]_.

    With M_ij the moves from i to j of n areas (i ≠ j), O_i and D_i those out of and into i,
    M their total, P_i the people of a year ago and P their total:

    - ``intensity``: crude migration intensity, ``100 M / P``;
    - ``courgeau_k``: that over ``ln n²``, which compares systems of different numbers of areas
      [Courgeau1973]_;
    - ``effectiveness``: ``100 sum |D_i - O_i| / sum (D_i + O_i)``, between 0 and 100;
    - ``impact``: aggregate net migration rate, ``100 · ½ sum |D_i - O_i| / P``, the product of
      the first and third over 100;
    - ``connectivity``: share of the n (n - 1) pairs between which anybody moves;
    - ``inequality``: ``½ sum |M_ij / M - 1 / (n (n - 1))|``, half the distance from equal flows;
    - ``gini``: mean absolute difference of all flows, see :func:`flow_gini`;
    - ``gini_out`` and ``gini_in``: the same within the flows out of (into) each area, averaged
      with weights O_i (D_i); ``gini_mean`` is halfway between;
    - ``cv``: standard deviation of the flows over their mean [RogersRaymer1998]_;
    - ``theil``: ``sum (M_ij / M) ln(n (n - 1) M_ij / M)``, zero for equal flows.

    Parameters
    ----------
    matrices
        A matrix, or a mapping of years to matrices: the table then has an index level ``year``.
    level
        Areas between which people move; moves within them do not count. By default the finest.

    Returns
    -------
    DataFrame
        A row (or one a year) with the number of ``areas`` and the indices. Indices of moves
        are missing where nobody moves, which ``intensity`` shows.

    Raises
    ------
    DataError
        If there are fewer than three areas, or no people.
    SpecificationError
        If the level is unknown.
    """

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        rows, columns, flows, people = _moves(matrix, level)
        n = len(people)
        if n < 3:
            raise DataError(
                f"indices of migration need three {level or matrix.areas.name} areas or more; "
                f"there are {n}."
            )
        if people.sum() <= 0:
            raise DataError("the matrix holds no people; indices of migration need some.")
        found = {
            "areas": n,
            **_balance(rows, columns, flows, people),
            **_spread(rows, columns, flows, n),
        }
        return pd.DataFrame([found], index=pd.Index([level or matrix.areas.name], name="level"))

    return each_year(matrices, table)


def flow_gini(flows: Array, cells: int) -> float:
    """Return the Gini index of flows over a number of cells, those that are not given zero.

    ``sum_k sum_l |M_k - M_l| / (2 (C - 1) sum_k M_k)`` over C cells: with C - 1 instead of C,
    as [BellBlakeBoyle2002]_ corrected [PlaneMulligan1997]_, it is one if all moves are in one
    cell.

    Parameters
    ----------
    flows
        Zero or more, shape (Z,).
    cells
        Their number C with zeros, no less than Z and two.
    """
    total = flows.sum()
    if total == 0:
        return float("nan")
    rank = np.arange(cells - len(flows) + 1, cells + 1, dtype=np.float64)
    return float(np.sum((2 * rank - cells - 1) * np.sort(flows)) / ((cells - 1) * total))


def _moves(
    matrix: MigrationMatrix, level: str | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """Return origins, destinations and people of the moves between areas, and their people."""
    if level is None or level == matrix.areas.name:
        cells, people = matrix.flows.tocoo(), matrix.before
    else:
        cells = matrix.aggregate(level).movers.tocoo()
        people = matrix.areas.level(level).totals(matrix.before)
    rows, columns = (part.astype(np.int64) for part in cells.coords)
    kept = (rows != columns) & (cells.data > 0)
    return rows[kept], columns[kept], cells.data[kept], people


def _balance(
    rows: NDArray[np.int64], columns: NDArray[np.int64], flows: Array, people: Array
) -> dict[str, float]:
    n, P, M = len(people), people.sum(), flows.sum()
    out, into = (np.bincount(where, flows, minlength=n) for where in (rows, columns))
    unbalanced = np.abs(into - out).sum()
    intensity = 100 * M / P
    return {
        "intensity": intensity,
        "courgeau_k": intensity / np.log(float(n) ** 2),
        "effectiveness": 100 * unbalanced / (2 * M) if M > 0 else float("nan"),
        "impact": 50 * unbalanced / P,
    }


def _spread(
    rows: NDArray[np.int64], columns: NDArray[np.int64], flows: Array, n: int
) -> dict[str, float]:
    cells, M = n * (n - 1), flows.sum()
    if M == 0:
        return dict.fromkeys(_SPREAD, float("nan")) | {"connectivity": 0.0}
    share = flows / M
    empty = cells - len(flows)
    out, into = _field_gini(rows, flows, n), _field_gini(columns, flows, n)
    mean_square = cells * float(np.sum(share**2))
    return {
        "connectivity": len(flows) / cells,
        "inequality": float(np.abs(share - 1 / cells).sum() + empty / cells) / 2,
        "gini": flow_gini(flows, cells),
        "gini_out": out,
        "gini_in": into,
        "gini_mean": (out + into) / 2,
        "cv": float(np.sqrt(max(mean_square - 1, 0.0))),
        "theil": float(np.sum(share * np.log(cells * share))),
    }


def _field_gini(field: NDArray[np.int64], flows: Array, n: int) -> float:
    """Average the Gini index of the flows of each field, weighted by its flows."""
    order = np.lexsort((flows, field))
    sizes = np.bincount(field, minlength=n)
    cells = n - 1
    ends = np.cumsum(sizes)
    place = np.arange(1, len(flows) + 1) - np.repeat(ends - sizes, sizes)
    rank = place + cells - np.repeat(sizes, sizes)
    # The weights cancel the totals of the fields, so one sum over all fields does.
    return float(np.sum((2.0 * rank - cells - 1) * flows[order]) / ((cells - 1) * flows.sum()))
