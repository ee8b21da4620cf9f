"""The within transformation: columns less their weighted projection on fixed effects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import IdentificationError, enumerate_some
from estimation.gravity.absorb import Effects, solve, sum_by
from estimation.gravity.ppml_kernels import moments, partial_out

__all__ = ["Within", "absorb_effects", "level_coefficients"]

Array = NDArray[np.float64]

# Share of a column's variation that counts as nothing.
_SWALLOWED = 1e-10


@dataclass(frozen=True, eq=False)
class Within:
    """Columns without what fixed effects explain of them.

    Attributes
    ----------
    columns : ndarray, shape (K, N)
        In the order of the data.
    coefficients : ndarray, shape (K, L)
        Of the projection on all effects but the first.
    """

    columns: Array
    coefficients: Array

    def refuse_swallowed(self, columns: Array, w: Array, names: Sequence[str]) -> None:
        """Refuse columns of which nothing is left.

        Parameters
        ----------
        columns
            What they were, shape (K, N).
        w
            Weights, shape (N,).
        names
            Of the columns.

        Raises
        ------
        IdentificationError
            Naming them.
        """
        left = np.einsum("kn,kn,n->k", self.columns, self.columns, w)
        size = np.einsum("kn,kn,n->k", columns, columns, w)
        gone = [f"'{names[k]}'" for k in np.flatnonzero(left <= _SWALLOWED * size).tolist()]
        if gone:
            raise IdentificationError(
                f"{enumerate_some(gone)}: zero or swallowed by the fixed effects, within whose "
                "groups nothing of it varies; drop it, or the effect that absorbs it."
            )


def absorb_effects(columns: Array, effects: Effects | None, w: Array) -> Within:
    """Take fixed effects and slopes by level out of columns, to twelve digits.

    Parameters
    ----------
    columns
        Shape (K, N), in the order of the data.
    effects
        None takes out nothing.
    w
        Weights, positive, shape (N,).
    """
    if effects is None:
        return Within(columns, np.zeros((len(columns), 0)))
    X, weights = np.ascontiguousarray(effects.sort(columns)), np.array(effects.sort(w))
    total = sum_by(weights, effects)
    at = moments(effects, weights, weights, X, total)
    K = len(X)
    found = solve(
        effects, weights, total, at.diagonal, at.rhs[:K], bound=1e-24 * np.diag(at.gram)[:K]
    )
    within = partial_out(effects, X, weights, total, found.coefficients)
    return Within(effects.unsort(within), found.coefficients)


def level_coefficients(effects: Effects, explained: Array, alpha: Array) -> tuple[Array, ...]:
    """Return the coefficients of every effect, given those of all but the first.

    Parameters
    ----------
    effects
    explained
        What all effects explain together of each row, in the order of the effects, shape (N,).
    alpha
        Coefficients of the effects but the first, and of the slopes, shape (L,).

    Returns
    -------
    tuple of ndarray
        In the order of ``effects.levels``.
    """
    columns, rest = effects.columns, explained.copy()
    for codes, s in zip(columns.codes, columns.slope, strict=True):
        rest -= alpha[codes] if s < 0 else alpha[codes] * columns.values[s]
    first = sum_by(rest, effects) / np.diff(effects.starts)
    found = [first, *np.split(alpha, effects.offsets[1:-1])][: len(columns.codes) + 1]
    for s, (base, mean) in enumerate(effects.centres, start=len(found) - len(effects.centres)):
        if base >= 0:
            found[base] = found[base] - found[s] * mean
    return tuple(found)
