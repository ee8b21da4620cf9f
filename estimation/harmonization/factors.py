"""What the steps multiply a matrix by, small whatever its size."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import AreaFlows, MigrationMatrix
from choicemodels.migration.matrix_kernels import by_rows

__all__ = ["Adjustment", "Factors"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Adjustment:
    """The factors of one step, by the areas of its level.

    A mover from c to d is multiplied by ``rows[c] * columns[d] * pairs[c, d]``, a stayer of c by
    ``stayers[c]``.

    Attributes
    ----------
    level : str
    rows, columns, stayers : ndarray, shape (C,)
    pairs : ndarray, shape (C, C), optional
    iterations : int
        Steps of the solver; 1 where factors are ratios.
    """

    level: str
    rows: Array
    columns: Array
    stayers: Array
    pairs: Array | None = None
    iterations: int = 1

    def values(self) -> Array:
        """Return every factor that changes something, in one row, shape (F,)."""
        parts = [self.rows, self.columns, self.stayers]
        if self.pairs is not None:
            parts = [self.pairs.ravel()]
        factors = np.concatenate([part for part in parts if (part != 1).any()] or [np.ones(1)])
        return np.asarray(factors)

    def apply(self, flows: AreaFlows, to_own: NDArray[np.int32]) -> AreaFlows:
        """Scale flows between areas, each of which lies in one of this level.

        Parameters
        ----------
        flows
        to_own : (G,)
            The area of this level of each area of ``flows``.
        """
        movers = flows.movers.copy()
        origin = np.repeat(to_own, np.diff(movers.indptr))
        destination = to_own[movers.indices]
        movers.data *= self.rows[origin] * self.columns[destination]
        if self.pairs is not None:
            movers.data *= self.pairs[origin, destination]
        return AreaFlows(flows.areas, flows.stayers * self.stayers[to_own], movers)


@dataclass(frozen=True, eq=False)
class Factors:
    """The product of all adjustments so far.

    A mover from area i to j is multiplied by ``rows[i] * columns[j] * pairs[c(i), c(j)]``, a
    stayer of i by ``stayers[i]``.

    Attributes
    ----------
    areas : Areas
    rows, columns, stayers : ndarray, shape (N,)
    pairs : ndarray, shape (C, C)
        By level ``pair_level``; shape (1, 1) if no step scaled pairs.
    pair_level : str, optional
    """

    areas: Areas
    rows: Array
    columns: Array
    stayers: Array
    pairs: Array
    pair_level: str | None = None

    @classmethod
    def ones(cls, areas: Areas) -> Self:
        """Return factors that change nothing."""
        one = np.ones(areas.size)
        return cls(areas, one, one, one, np.ones((1, 1)))

    def then(self, step: Adjustment) -> Self:
        """Return the product with one more adjustment."""
        codes = self.areas.level(step.level).codes
        scaled = replace(
            self,
            rows=self.rows * step.rows[codes],
            columns=self.columns * step.columns[codes],
            stayers=self.stayers * step.stayers[codes],
        )
        return scaled if step.pairs is None else scaled._with_pairs(step.pairs, step.level)

    def _with_pairs(self, pairs: Array, level: str) -> Self:
        if self.pair_level is None:
            return replace(self, pairs=pairs, pair_level=level)
        order = [self.areas.name, *self.areas.levels]
        fine = min(level, self.pair_level, key=order.index)
        product = np.ones((1, 1))
        for part, name in ((self.pairs, self.pair_level), (pairs, level)):
            up = self.areas.parents(fine, name)
            product = product * part[up][:, up]
        return replace(self, pairs=product, pair_level=fine)

    def apply(self, matrix: MigrationMatrix) -> MigrationMatrix:
        """Scale a matrix: one pass over its nonzeros."""
        if self.pair_level is None:
            codes = np.zeros(self.areas.size, dtype=np.int32)
        else:
            codes = self.areas.level(self.pair_level).codes
        out = np.empty_like(matrix.values)
        pairs = np.ascontiguousarray(self.pairs)
        by_rows(
            matrix.indptr,
            lambda _, first, last: _scale(
                first, last, matrix.indptr, matrix.indices, matrix.values,
                self.rows, self.columns, self.stayers, codes, pairs, out,
            ),
        )  # fmt: skip
        return matrix.with_values(out)


@njit(cache=True, nogil=True)
def _scale(
    first: int, last: int, indptr: Any, indices: Any, values: Any,
    rows: Any, columns: Any, stayers: Any, codes: Any, pairs: Any, out: Any,
) -> None:  # fmt: skip
    for i in range(first, last):
        c = codes[i]
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if i == j:
                out[k] = values[k] * stayers[i]
            else:
                out[k] = values[k] * rows[i] * columns[j] * pairs[c, codes[j]]
