"""Indices of internal migration: intensity, effectiveness, impact, connectivity, inequality."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.inputs import Matrices, each_year
from estimation.migration.kernels import rank_sums

if TYPE_CHECKING:
    from scipy.sparse import csr_array

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
        moves, people = _moves(matrix, level)
        n = len(people)
        if n < 3:
            raise DataError(
                f"indices of migration need three {level or matrix.areas.name} areas or more; "
                f"there are {n}."
            )
        if people.sum() <= 0:
            raise DataError("the matrix holds no people; indices of migration need some.")
        found = {"areas": n, **_balance(moves, people), **_spread(moves, n)}
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


def _moves(matrix: MigrationMatrix, level: str | None) -> tuple["csr_array[Any]", Array]:
    """Return the moves between areas, without a diagonal or zeros, and their people (n,)."""
    if level is None or level == matrix.areas.name:
        moves, people = matrix.flows.copy(), matrix.before
    else:
        moves = matrix.aggregate(level).movers
        people = matrix.areas.level(level).totals(matrix.before)
    moves.data[moves.indices == np.repeat(np.arange(len(people)), np.diff(moves.indptr))] = 0
    moves.eliminate_zeros()
    return moves, people


def _balance(moves: "csr_array[Any]", people: Array) -> dict[str, float]:
    out, into = moves.sum(axis=1), moves.sum(axis=0)
    P, M = people.sum(), out.sum()
    unbalanced = np.abs(into - out).sum()
    intensity = 100 * M / P
    return {
        "intensity": intensity,
        "courgeau_k": intensity / np.log(float(len(people)) ** 2),
        "effectiveness": 100 * unbalanced / (2 * M) if M > 0 else float("nan"),
        "impact": 50 * unbalanced / P,
    }


def _spread(moves: "csr_array[Any]", n: int) -> dict[str, float]:
    flows = moves.data
    cells, M = n * (n - 1), flows.sum()
    if M == 0:
        return {"connectivity": 0.0} | dict.fromkeys(_SPREAD, float("nan"))
    share = flows / M
    empty = cells - len(flows)
    out, into = (_field_gini(by, n) for by in (moves, moves.T.tocsr()))
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


def _field_gini(fields: "csr_array[Any]", n: int) -> float:
    """Average the Gini index of the flows of each row, weighted by its flows."""
    # The weights cancel the totals of the rows, so that one sum over all of them does.
    indptr = np.asarray(fields.indptr, dtype=np.int64)
    return rank_sums(indptr, fields.data, n - 1) / ((n - 2) * float(fields.data.sum()))
