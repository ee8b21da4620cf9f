"""The columns of the grid, and what a step asks of the parameters."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELL", "Households", "Keys", "Ranks", "Rules", "Scratch", "Tally"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Small = NDArray[np.int32]


class Keys(NamedTuple):
    """Keys of the streams that a step draws from, each uint64."""

    decide: Any
    search: Any
    order: Any


class Rules(NamedTuple):
    """What a step asks of the parameters; see `microsim.household_grid.parameters`."""

    side: int
    affordable_share: float
    demand_price: float
    full_cost: float
    use_median: bool
    neutral_income: float
    pressure_weight: float
    slope: float
    intercept: float
    least_searches: float
    searches_per_dollar: float
    poorest_exponent: float
    exponent_per_dollar: float
    zipf: bool
    attempts: int
    weights: tuple[float, float, float, float]
    own_cost: bool
    empty_wins: bool
    shuffled: bool


class Households(NamedTuple):
    """Columns of the households, each (N,).

    ``rank`` orders them by income, ties by id; ``inverse`` is one over ``income``, and
    ``nearest`` the chance that a distance from its Zipf's law is 1.
    """

    income: Floats
    inverse: Floats
    rank: Small
    preferred: Floats
    nearest: Floats
    remote: NDArray[np.bool_]
    quintile: NDArray[np.int8]
    cell: Small


class Ranks(NamedTuple):
    """The ranks of the cells' households, in the heaps of `microsim.household_grid.medians`.

    ``member`` has those of each cell one after the other, ``slot`` (N,) says where in it a rank
    stands, and ``income`` (N,) what its household earns.
    """

    member: Small
    slot: Small
    income: Floats


CELL = np.dtype(
    [
        ("places", np.float64),
        ("residents", np.int64),
        ("total", np.float64),
        ("median", np.float64),
        ("centre", np.float64),
        ("cost", np.float64),
        ("start", np.int64),
        ("end", np.int64),
    ]
)
"""A cell, numbered ``x * side + y``; in one array, which is passed to kernels at less cost.

``total`` is the sum of incomes; ``centre`` the income that prices the cell: its median or mean,
that of all households where nobody lives. Its ranks stand in ``Ranks.member`` from ``start`` to
before ``end``, with room for as many as can ever live there.
"""


class Scratch(NamedTuple):
    """Room for one search of at most K places, each (K,), K even.

    ``radius`` and ``turn`` are distance and direction (parts of a turn), ``dx`` and ``dy`` the
    whole steps that they come to, and ``found`` the cells there.
    """

    radius: Floats
    turn: Floats
    dx: Floats
    dy: Floats
    found: Ints


class Tally(NamedTuple):
    """What a step counts by quintile, each (5,), and who moved, each (N,)."""

    decisions: Ints
    moves: Ints
    pressure: Floats
    mover: Small
    origin: Small
    destination: Small
