"""Rows that no finite estimate can fit: found, certified, and dropped with a reason.

A Poisson pseudo-likelihood has no finite maximum if some combination ``z = X d + D a`` is zero
in every row with a positive flow, and non-negative, somewhere positive, in the rows without.
Along ``-z`` the likelihood rises for ever. Rows with ``z > 0`` are separated; they say nothing
about the other parameters and are dropped [CorreiaGuimaraesZylkin2021]_. A fixed effect whose
rows are all zero is the plainest case.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.flowdata import Factor
from estimation.absorb import Effects, solve, sum_by
from estimation.ppml_kernels import moments, partial_out

__all__ = ["Drop", "prune", "rectify", "rectify_absorbed", "rectify_dense"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# A certificate is read with this tolerance, and more strictly below zero than above it.
_TOLERANCE = 1e-5
# Unknowns times rows up to which dummies are written out and projected exactly.
_DENSE = 4_000_000
# How much a row with a positive flow weighs; the multiplier steps do the rest.
_PENALTY = 1e3


@dataclass(frozen=True, eq=False)
class Drop:
    """Rows left out for one reason.

    Attributes
    ----------
    reason : str
        ``"zero group"``, ``"singleton"`` or ``"separated"``.
    effect : str
        The fixed effect concerned; empty if there is none.
    rows : ndarray of int64
        Positions in the table that was given.
    """

    reason: str
    effect: str
    rows: NDArray[np.int64]


def prune(
    y: Array, factors: Sequence[Factor], rows: NDArray[np.int64], *, singletons: bool
) -> tuple[NDArray[np.int64], list[Drop]]:
    """Drop groups that only hold zeros, and groups of one row, until there are none.

    Parameters
    ----------
    y
        All flows, shape (N,).
    factors
        The fixed effects, over all rows.
    rows
        Positions still in use.
    singletons
        Whether groups of one row go too.

    Returns
    -------
    ndarray of int64
        Positions that stay.
    list of Drop
    """
    drops: list[Drop] = []
    again = True
    while again and len(rows):
        again = False
        for factor in factors:
            codes = factor.codes if len(rows) == len(factor.codes) else factor.codes[rows]
            flows = y if len(rows) == len(y) else y[rows]
            bad = np.bincount(codes, weights=flows, minlength=factor.size) == 0
            tests = [("zero group", bad)]
            if singletons:
                tests.append(("singleton", (np.bincount(codes, minlength=factor.size) == 1) & ~bad))
            out = np.zeros(len(rows), dtype=np.bool_)
            for reason, levels in tests:
                hit = levels[codes] if levels.any() else np.zeros(0, dtype=np.bool_)
                if hit.any():
                    drops.append(Drop(reason, factor.name, rows[hit]))
                    out |= hit
            if out.any():
                rows, again = rows[~out], True
    return rows, drops


def rectify(y: Array, X: Array, effects: Effects | None) -> Mask:
    """Find all separated rows by the iterative rectifier [CorreiaGuimaraesZylkin2021]_.

    Regress ``u = 1[y = 0]`` on X and the effects, the fit held at zero where y is positive;
    replace u by the positive part of the fit; repeat until the fit is nowhere negative. Where it
    is positive, rows are separated, and the fit is the certificate.

    Parameters
    ----------
    y
        Flows in the order of the data, shape (N,).
    X
        Regressors, shape (K, N).
    effects
        Fixed effects, or None.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    if effects is None:
        return rectify_dense(y, X)
    unknowns = len(X) + sum(len(found) for found in effects.levels)
    if unknowns * len(y) <= _DENSE:
        return rectify_dense(y, np.vstack([X, _dummies(effects)]))
    return rectify_absorbed(y, X, effects)


def _dummies(effects: Effects) -> Array:
    """Write the effects out as columns, shape (levels, N), in the order of the data."""
    G = len(effects.starts) - 1
    out = np.zeros((G + effects.others, int(effects.starts[-1])))
    rows = np.arange(out.shape[1])
    out[np.repeat(np.arange(G), np.diff(effects.starts)), rows] = 1.0
    for codes in effects.codes:
        out[G + codes, rows] = 1.0
    return effects.unsort(out)


def rectify_dense(y: Array, X: Array, *, max_iterations: int = 20_000) -> Mask:
    """Run the iterative rectifier with exact projections; see :func:`rectify`."""
    zero = y == 0
    separated = np.zeros(len(y), dtype=np.bool_)
    scale = np.sqrt(np.einsum("kn,kn->k", X, X))
    columns = (X / np.where(scale > 0, scale, 1.0)[:, None]).T
    # Combinations that vanish wherever there is a flow, seen where there is none.
    triangle = np.linalg.qr(columns[~zero], mode="r")
    free = columns[zero] @ linalg.null_space(triangle, rcond=1e-10)
    basis = linalg.orth(free, rcond=1e-10)
    if basis.shape[1] == 0:
        return separated
    u = np.ones(int(zero.sum()))
    for _ in range(max_iterations):
        fitted = basis @ (basis.T @ u)
        done, found = _verdict(u, fitted)
        if done:
            separated[zero] = found
            break
        u = np.maximum(fitted, 0.0)
    return separated


def _verdict(u: Array, fitted: Array) -> tuple[bool, Mask]:
    """Decide whether the fit, over the rows without flow, is a certificate yet."""
    within = (fitted > -0.1 * _TOLERANCE) & (fitted < _TOLERANCE)
    positive = (fitted > 0) & ~within
    if not ((fitted < 0) & ~within).any():
        return True, positive
    residual = u - fitted
    if residual.min() >= -1e-3 * _TOLERANCE:
        # No negative residual is left: what u exceeds its fit by cannot be separated.
        return True, positive & (residual <= _TOLERANCE)
    return False, positive


def rectify_absorbed(y: Array, X: Array, effects: Effects, *, max_iterations: int = 1000) -> Mask:
    """Run the iterative rectifier with absorbed effects; see :func:`rectify`.

    The fit is held at zero by weights on the rows with flow, and by multipliers that move their
    target until the fit there is zero.
    """
    flows = effects.sort(y)
    zero = flows == 0
    w = np.where(zero, 1.0, _PENALTY)
    regression = _Regression(effects, w, np.ascontiguousarray(effects.sort(X)))
    u = zero.astype(np.float64)
    separated = np.zeros(len(y))
    for _ in range(max_iterations):
        fitted = regression.fit_held(u, zero)[zero]
        done, found = _verdict(u[zero], fitted)
        if done:
            separated[zero] = found
            break
        u[zero] = np.maximum(fitted, 0.0)
    return np.asarray(effects.unsort(separated) > 0)


class _Regression:
    """Weighted least squares on X and absorbed effects, for one set of weights."""

    def __init__(self, effects: Effects, w: Array, X: Array) -> None:
        self.effects, self.w, self.total = effects, w, sum_by(w, effects)
        at = moments(effects, w, w, X, self.total)
        self.diagonal = at.diagonal
        K = len(X)
        found = solve(
            effects, w, self.total, at.diagonal, at.rhs[:K], bound=1e-22 * np.diag(at.gram)[:K]
        )
        self.X = partial_out(effects, X, w, self.total, found.coefficients)
        gram = np.einsum("kn,mn,n->km", self.X, self.X, w)
        self.inverse = linalg.pinvh(gram, rtol=1e-12)
        self.a = np.zeros((1, effects.others))

    def fit(self, u: Array) -> Array:
        """Return the fitted values of u."""
        column = u[None, :]
        at = moments(self.effects, self.w, self.w * u, column[:0], self.total)
        bound = np.array([1e-14 * _TOLERANCE**2 * len(u) * self.w.max()])
        found = solve(
            self.effects, self.w, self.total, self.diagonal, at.rhs, bound=bound, start=self.a
        )
        self.a = found.coefficients
        left = partial_out(self.effects, column, self.w, self.total, self.a)[0]
        b = self.inverse @ np.einsum("kn,n->k", self.X, self.w * left)
        return np.asarray(u - left + np.einsum("k,kn->n", b, self.X))

    def fit_held(self, u: Array, zero: Mask) -> Array:
        """Return the fit with the rows outside ``zero`` held at zero."""
        target = u.copy()
        for _ in range(100):
            fitted = self.fit(target)
            if np.abs(fitted[~zero]).max(initial=0.0) < 0.01 * _TOLERANCE:
                break
            target[~zero] -= fitted[~zero]
        return fitted
