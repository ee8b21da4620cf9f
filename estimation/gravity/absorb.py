"""Weighted least squares on fixed effects: one effect eliminated exactly, the others by CG.

Let ``D_1`` be the dummies of the effect with the most levels, ``D`` those of all the others, and
``W`` the weights. The normal equations of a column ``x`` on all dummies reduce to

    S a = D' M x,    S = D' M D,    M = W - W D_1 (D_1' W D_1)^-1 D_1' W,

with as many unknowns as the other effects have levels. ``S`` is never formed. Rows are sorted by
the first effect, so a product ``S p`` is a single pass over the rows: gather, centre within the
group, scatter. Conjugate gradients with the diagonal as preconditioner solve all columns
together; for two effects this squares the rate of alternating projections [Correia2016]_.

Sums run over a fixed number of blocks of whole groups, added in order: results do not depend on
the number of threads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.flows.factor import compress
from choicemodels.threads import run_blocks

__all__ = [
    "FAST",
    "Columns",
    "Effects",
    "Solution",
    "Varying",
    "add_products",
    "arrange",
    "fill_fitted",
    "invert",
    "over_blocks",
    "solve",
    "sum_by",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

# Everything but the assumption that no value is infinite.
FAST = {"contract", "reassoc", "arcp", "nsz"}

# Blocks bound both the number of threads that help and the memory of the partial sums.
_MOST_BLOCKS = 32
# Below this many rows a block is not worth a thread.
_LEAST_ROWS = 16_384


class Columns(NamedTuple):
    """The sparse columns of all effects but the first, as the kernels read them.

    Attributes
    ----------
    codes : ndarray of uint32, shape (J, N)
        Codes of the effects, numbered through.
    slope : ndarray of int64, shape (J,)
        Which row of ``values`` holds the entries of the columns; -1 where they are ones.
    values : ndarray, shape (S, N)
        Variables with slopes, less their means by level where the effect has levels too.
    """

    codes: Any
    slope: Any
    values: Any


@dataclass(frozen=True, eq=False)
class Varying:
    """A variable whose slope differs between the levels of an effect.

    Attributes
    ----------
    codes : ndarray of int64, shape (N,)
        The effect's codes.
    size : int
        One more than the largest possible code.
    values : ndarray, shape (N,)
    base : int
        Which of the effects in levels it is, -1 if none: from its slopes the means of the
        variable can then be taken, which keeps both apart.
    """

    codes: Codes
    size: int
    values: Array
    base: int


@dataclass(frozen=True, eq=False)
class Effects:
    """Fixed effects as codes, rows sorted by the one with the most levels.

    Attributes
    ----------
    order : ndarray of int64, shape (N,), or None
        Position in the data of each sorted row; None if the data were sorted already.
    starts : ndarray of int64, shape (G + 1,)
        First sorted row of each group of the first effect.
    columns : Columns
        The other effects, those in levels before the slopes: effect j has the codes
        ``offsets[j]`` to ``offsets[j + 1] - 1``.
    offsets : ndarray of int64, shape (J + 1,)
    blocks : ndarray of int64, shape (B + 1,)
        First group of each block.
    first : int
        Which of the given effects is the first.
    levels : tuple of ndarray of int64
        For each effect, the first one leading, the given code of each number.
    centres : tuple of (int, ndarray)
        For each slope, which of ``levels`` is its effect in levels, and the mean of its variable
        at each level; -1 and zeros if it has none.
    """

    order: Codes | None
    starts: Codes
    columns: Columns
    offsets: Codes
    blocks: Codes
    first: int
    levels: tuple[Codes, ...]
    centres: tuple[tuple[int, Array], ...] = ()

    @property
    def widest(self) -> int:
        """Rows of the largest group."""
        return int(np.diff(self.starts).max())

    @property
    def others(self) -> int:
        """Levels of all effects but the first."""
        return int(self.offsets[-1])

    def sort(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring values, shape (..., N), into the sorted order of rows."""
        return values if self.order is None else np.take(values, self.order, axis=-1)

    def unsort(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring values, shape (..., N), back into the order of the data."""
        if self.order is None:
            return values
        out = np.empty_like(values)
        out[..., self.order] = values
        return out


@dataclass(frozen=True, eq=False)
class Solution:
    """What :func:`solve` found.

    Attributes
    ----------
    coefficients : ndarray, shape (R, L)
    residual : ndarray, shape (R, L)
        ``b - S a``.
    iterations : int
        Passes over the rows.
    """

    coefficients: Array
    residual: Array
    iterations: int


def arrange(
    codes: Sequence[Codes], sizes: Sequence[int], varying: Sequence[Varying] = ()
) -> Effects:
    """Sort rows by the effect with the most levels and number all levels by appearance.

    Numbers by appearance make rows that follow each other touch neighbouring memory.

    Parameters
    ----------
    codes
        For each effect, a code for each row, shape (N,).
    sizes
        For each effect, one more than its largest possible code.
    varying
        Variables with slopes by level.
    """
    packed = [compress(c, size) for c, size in zip(codes, sizes, strict=True)]
    used = [_count_used(c, size) for c, size, _ in packed]
    first = max(range(len(codes)), key=lambda j: (used[j], _runs(codes[j]) == used[j], -j))
    order = None
    if _runs(codes[first]) != used[first]:
        order = _counting_sort(*packed[first][:2])
    levels_first = [first, *(j for j in range(len(codes)) if j != first)]
    group, found = _number(*packed[first], order)
    starts = np.concatenate(([0], np.cumsum(np.bincount(group, minlength=len(found)))))
    del group
    rows, levels, offsets = int(starts[-1]), [found], [0]
    others = np.empty((len(codes) - 1 + len(varying), rows), dtype=np.uint32)

    def add(codes: Codes, size: int, given: Codes | None) -> Codes:
        numbers, found = _number(codes, size, given, order)
        others[len(levels) - 1] = numbers + offsets[-1]
        levels.append(found)
        offsets.append(offsets[-1] + len(found))
        return numbers

    for j in levels_first[1:]:
        add(*packed[j])
    values, centres = np.empty((len(varying), rows)), []
    for s, v in enumerate(varying):
        numbers = add(*compress(v.codes, v.size))
        values[s] = v.values if order is None else v.values[order]
        mean = np.zeros(len(levels[-1]))
        if v.base >= 0:
            mean = np.bincount(numbers, weights=values[s]) / np.bincount(numbers)
            values[s] -= mean[numbers]
        centres.append((levels_first.index(v.base) if v.base >= 0 else -1, mean))
    slope = np.append(np.full(len(codes) - 1, -1), np.arange(len(varying))).astype(np.int64)
    return Effects(
        order,
        starts.astype(np.int64),
        Columns(others, slope, values),
        np.array(offsets, dtype=np.int64),
        _cut(starts, offsets[-1]),
        first,
        tuple(levels),
        tuple(centres),
    )


def _cut(starts: Codes, others: int) -> Codes:
    """Cut the groups into blocks of about as many rows each."""
    rows = int(starts[-1])
    most = int(np.clip(rows // max(4 * others, _LEAST_ROWS), 1, _MOST_BLOCKS))
    aims = np.linspace(0, rows, min(most, len(starts) - 1) + 1)
    cuts = np.unique(np.searchsorted(starts, aims[:-1]))
    return np.append(cuts[cuts < len(starts) - 1], len(starts) - 1).astype(np.int64)


@njit(cache=True)
def _count_used(codes: Any, size: int) -> int:
    seen = np.zeros(size, dtype=np.bool_)
    for code in codes:
        seen[code] = True
    return int(seen.sum())


@njit(cache=True)
def _runs(codes: Any) -> int:
    """Count the runs of equal codes; as many as levels means that rows are grouped."""
    runs = 1
    for i in range(1, len(codes)):
        runs += codes[i] != codes[i - 1]
    return runs


@njit(cache=True)
def _counting_sort(codes: Any, size: int) -> Any:
    """Return the stable order of rows by code."""
    place = np.zeros(size + 1, dtype=np.int64)
    for code in codes:
        place[code + 1] += 1
    for c in range(size):
        place[c + 1] += place[c]
    order = np.empty(len(codes), dtype=np.int64)
    for i in range(len(codes)):
        order[place[codes[i]]] = i
        place[codes[i]] += 1
    return order


def _number(
    codes: Codes, size: int, given: Codes | None, order: Codes | None
) -> tuple[Codes, Codes]:
    numbers, levels = _number_rows(codes, size, np.empty(0, np.int64) if order is None else order)
    return numbers, levels if given is None else given[levels]


@njit(cache=True)
def _number_rows(codes: Any, size: int, order: Any) -> Any:
    """Renumber codes in the order in which the sorted rows meet them."""
    known = np.full(size, -1, dtype=np.int64)
    levels = np.empty(size, dtype=np.int64)
    numbers = np.empty(len(codes), dtype=np.int64)
    found = 0
    for i in range(len(codes)):
        code = codes[order[i]] if len(order) else codes[i]
        if known[code] < 0:
            known[code] = found
            levels[found] = code
            found += 1
        numbers[i] = known[code]
    return numbers, levels[:found].copy()


@njit(cache=True, fastmath=FAST, error_model="numpy", inline="always")
def fill_fitted(columns: Any, low: int, high: int, value: Any, out: Any) -> None:
    """Fill out with ``D a`` for the coefficients in value (L,), over the rows low to high - 1."""
    # Slices and unsigned codes spare the check for negative indices in every access.
    n, J = high - low, columns.codes.shape[0]
    if J > 0 and columns.slope[0] < 0:
        code = columns.codes[0, low:high]
        for i in range(n):
            out[i] = value[code[i]]
    else:
        for i in range(n):
            out[i] = 0.0
    for j in range(J):
        code, s = columns.codes[j, low:high], columns.slope[j]
        if s >= 0:
            x = columns.values[s, low:high]
            for i in range(n):
                out[i] += value[code[i]] * x[i]
        elif j > 0:
            for i in range(n):
                out[i] += value[code[i]]


@njit(cache=True, fastmath=FAST, error_model="numpy", inline="always")
def add_products(columns: Any, low: int, high: int, column: Any, out: Any) -> None:
    """Add ``D' column`` over the rows low to high - 1 to out, shape (L,)."""
    for j in range(columns.codes.shape[0]):
        code, s = columns.codes[j, low:high], columns.slope[j]
        if s < 0:
            for i in range(high - low):
                out[code[i]] += column[i]
        else:
            x = columns.values[s, low:high]
            for i in range(high - low):
                out[code[i]] += column[i] * x[i]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _product_of_group(
    p: Any, w: Any, total: float, low: int, high: int, columns: Any, fitted: Any, out: Any
) -> None:
    n = high - low
    weight = w[low:high]
    for r in range(p.shape[0]):
        fill_fitted(columns, low, high, p[r], fitted)
        mean = 0.0
        for i in range(n):
            mean += weight[i] * fitted[i]
        mean /= total
        for i in range(n):
            fitted[i] = weight[i] * (fitted[i] - mean)
        add_products(columns, low, high, fitted, out[r])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _product_of_block(
    p: Any,
    w: Any,
    total: Any,
    starts: Any,
    columns: Any,
    first: int,
    last: int,
    widest: int,
    out: Any,
) -> None:
    fitted = np.empty(widest)
    for g in range(first, last):
        _product_of_group(p, w, total[g], starts[g], starts[g + 1], columns, fitted, out)


def over_blocks(effects: Effects, work: Callable[[int, int, int], None]) -> None:
    """Call ``work(block, first group, group after the last)`` for each block.

    They run as :func:`choicemodels.threads.run_blocks` says.
    """
    bounds = effects.blocks.tolist()
    run_blocks(lambda b: work(b, bounds[b], bounds[b + 1]), len(bounds) - 1)


def _product(effects: Effects, w: Array, total: Array, p: Array) -> Array:
    """Return ``S p`` for p of shape (R, L)."""
    parts = np.zeros((len(effects.blocks) - 1, *p.shape))

    def work(b: int, first: int, last: int) -> None:
        _product_of_block(
            p, w, total, effects.starts, effects.columns, first, last, effects.widest, parts[b]
        )

    over_blocks(effects, work)
    return np.asarray(parts.sum(axis=0))


def solve(
    effects: Effects,
    w: Array,
    total: Array,
    diagonal: Array,
    rhs: Array,
    *,
    bound: Array,
    start: Array | None = None,
    max_iterations: int = 1000,
) -> Solution:
    """Solve ``S a = b`` for several right-hand sides by preconditioned conjugate gradients.

    ``S`` is singular (a constant can move between effects), but ``b`` lies in its range, where
    the iterates stay.

    Parameters
    ----------
    effects
        Fixed effects, L levels in all but the first.
    w
        Weights of the sorted rows, shape (N,), positive.
    total
        Their sums by group, shape (G,).
    diagonal
        Diagonal of S, shape (L,); levels with a zero get a zero.
    rhs
        Right-hand sides, shape (R, L).
    bound
        Where each column is done: the square of its residual in the norm of the inverse
        diagonal, shape (R,). It is in the units of a weighted sum of squares of the column.
    start
        Where to begin, shape (R, L).
    max_iterations
        After which to return what there is.
    """
    a = np.zeros_like(rhs) if start is None else start.copy()
    residual = rhs.copy()
    if rhs.size == 0:
        return Solution(a, residual, 0)
    inverse = invert(diagonal)
    passes = 0
    if start is not None and start.any():
        residual -= _product(effects, w, total, a)
        passes = 1
    p = residual * inverse
    rho = np.einsum("rl,rl->r", residual, p)
    # Below the least normal numbers quotients are not numbers any more.
    bound = np.maximum(bound, 1e-280)
    active = np.flatnonzero(rho > bound)
    while len(active) and passes < max_iterations:
        direction = p[active]
        q = _product(effects, w, total, direction)
        passes += 1
        curvature = np.einsum("rl,rl->r", direction, q)
        # Rounding can leave a direction without curvature; there is nothing to gain in it.
        step = np.divide(rho[active], curvature, out=np.zeros(len(active)), where=curvature > 0)
        a[active] += step[:, None] * direction
        residual[active] -= step[:, None] * q
        z = residual[active] * inverse
        fresh = np.einsum("rl,rl->r", residual[active], z)
        p[active] = z + (fresh / rho[active])[:, None] * direction
        rho[active] = fresh
        active = active[(fresh > bound[active]) & (step > 0)]
    return Solution(a, residual, passes)


def invert(diagonal: Array) -> Array:
    """Invert the diagonal of S; a level that the first effect absorbs whole gets a zero."""
    positive = diagonal > 1e-14 * diagonal.max(initial=0.0)
    return np.where(positive, 1.0 / np.where(positive, diagonal, 1.0), 0.0)


def sum_by(values: Array, effects: Effects) -> Array:
    """Sum values of the sorted rows, shape (N,), by group of the first effect; shape (G,)."""
    return np.add.reduceat(values, effects.starts[:-1])
