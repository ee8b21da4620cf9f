"""Proof, before balancing, that the zeros of a matrix leave room for its margins."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some
from choicemodels.migration.areas import Areas

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["deficient_block", "refuse_infeasible"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Flows are whole numbers of this many parts of everybody.
_PARTS = 2**30
_SAME = 1e-9


def refuse_infeasible(seed: "csr_array[Any]", rows: Array, columns: Array, areas: Areas) -> None:
    """Refuse margins that no matrix with these zeros has.

    A maximum flow from rows through the nonzeros to columns either carries every margin, or a
    minimum cut shows rows whose totals exceed those of all the columns that they reach (or
    the mirror image): that block is named [FordFulkerson1962]_.

    Parameters
    ----------
    seed : (C, C)
    rows, columns : (C,)
        Totals; zeros are not imposed.
    areas
        Of the C rows and columns.

    Raises
    ------
    DataError
        With the deficient block.
    """
    for side, other, matrix, wanted, room in (
        ("before", "after", seed, rows, columns),
        ("after", "before", seed.T.tocsr(), columns, rows),
    ):
        block = deficient_block(matrix, wanted, room)
        if block is not None:
            some, reached = block
            raise DataError(
                f"no matrix with these zeros has these margins: {int(some.sum()):,} "
                f"{areas.name} areas ({enumerate_some(areas.labels[some].tolist())}) must hold "
                f"{wanted[some].sum():,.10g} people {side}, but flows connect them only to "
                f"{int(reached.sum()):,} ({enumerate_some(areas.labels[reached].tolist())}) that "
                f"hold {room[reached].sum():,.10g} {other}; mend the targets, or add "
                "the missing flows to the matrix."
            )
        if (rows > 0).all() and (columns > 0).all():
            return  # equal totals: what carries one margin carries the other


def deficient_block(
    seed: "csr_array[Any]", rows: Array, columns: Array
) -> tuple[Mask, Mask] | None:
    """Find rows whose totals exceed those of all the columns that they reach.

    Parameters
    ----------
    seed : (C, D)
    rows, columns : (C,), (D,)
        Totals; a column of zero is not imposed and takes any amount.

    Returns
    -------
    rows (C,), columns (D,)
        The block, or None if there is none beyond rounding.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    C, D = seed.shape
    cells = seed.tocoo()
    some = (cells.data > 0) & (rows[cells.row] > 0)
    o, d = cells.row[some], cells.col[some]
    total = float(rows.sum())
    if total == 0:
        return None
    scale = _PARTS / max(total, float(columns.sum()))
    supply = np.floor(rows * scale).astype(np.int64)
    demand = np.where(columns > 0, np.ceil(columns * scale), _PARTS).astype(np.int64)
    source, sink = C + D, C + D + 1
    tail = np.concatenate([np.full(C, source), o, np.arange(C, C + D)])
    head = np.concatenate([np.arange(C), d + C, np.full(D, sink)])
    size = np.concatenate([supply, np.full(len(o), _PARTS), demand]).astype(np.int32)
    graph = csr_array((size, (tail, head)), shape=(C + D + 2, C + D + 2))
    carried = maximum_flow(graph, source, sink)
    if carried.flow_value == supply.sum():
        return None
    left = csr_array(graph - carried.flow)
    left.eliminate_zeros()
    reached = np.zeros(C + D + 2, dtype=bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    block = reached[:C] & (rows > 0)
    # The cut was found in whole parts; the sums of its own totals are proof.
    theirs = np.zeros(D, dtype=bool)
    theirs[d[block[o]]] = True
    if (columns[theirs] == 0).any():
        return None
    if rows[block].sum() - columns[theirs].sum() <= _SAME * total:
        return None
    return block, theirs
