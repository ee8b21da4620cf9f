"""Rows that no finite estimate can fit: found, certified, and dropped with a reason.

A Poisson pseudo-likelihood has no finite maximum if some combination ``z = X d + D a`` is zero
in every row with a positive flow, and non-negative, somewhere positive, in the rows without.
Along ``-z`` the likelihood rises for ever. Rows with ``z > 0`` are separated; they say nothing
about the other parameters and are dropped [CorreiaGuimaraesZylkin2021]_. A fixed effect whose
rows are all zero is the plainest case.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.flows.factor import Factor, compress
from estimation.gravity.absorb import Effects, solve, sum_by
from estimation.gravity.ppml_kernels import moments, partial_out

__all__ = ["Drop", "prune", "rectify", "rectify_absorbed", "rectify_dense", "redundant_columns"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Unknowns times rows up to which dummies are written out and projected exactly.
_DENSE = 4_000_000
# How much a row outside the suspects weighs; the multiplier steps do the rest.
_PENALTY = 1e3
_MULTIPLIER_STEPS = 200
# How close to zero the fit is held there.
_HELD = 1e-8


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
    certificate : ndarray, or None
        Of separated rows, the combination ``z > 0`` of regressors and effects that is zero in
        every row with a flow.
    """

    reason: str
    effect: str
    rows: NDArray[np.int64]
    certificate: Array | None = None


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
            codes, size, _ = compress(codes, factor.size)
            flows = y if len(rows) == len(y) else y[rows]
            bad = np.bincount(codes, weights=flows, minlength=size) == 0
            tests = [("zero group", bad)]
            if singletons:
                tests.append(("singleton", (np.bincount(codes, minlength=size) == 1) & ~bad))
            out = np.zeros(len(rows), dtype=np.bool_)
            for reason, levels in tests:
                hit = levels[codes] if levels.any() else np.zeros(0, dtype=np.bool_)
                if hit.any():
                    drops.append(Drop(reason, factor.name, rows[hit]))
                    out |= hit
            if out.any():
                rows, again = rows[~out], True
    return rows, drops


def redundant_columns(X: Array, effects: Effects | None) -> Mask:
    """Mark the columns that those before them and the effects determine.

    Parameters
    ----------
    X
        Regressors, shape (K, N).
    effects
        Fixed effects, or None.

    Returns
    -------
    ndarray of bool, shape (K,)
    """
    within, size = X, np.einsum("kn,kn->k", X, X)
    if effects is not None:
        w = np.ones(X.shape[1])
        total = sum_by(w, effects)
        sorted_X = np.ascontiguousarray(effects.sort(X))
        at = moments(effects, w, w, sorted_X, total)
        raw = np.diag(at.gram)[: len(X)]
        found = solve(
            effects, w, total, at.diagonal, at.rhs[: len(X)], bound=np.maximum(1e-24 * raw, 1e-20)
        )
        within = partial_out(effects, sorted_X, w, total, found.coefficients)
    redundant = np.zeros(len(X), dtype=np.bool_)
    kept: list[Array] = []
    for k, column in enumerate(within):
        left = column.copy()
        for direction in kept:
            left -= (direction @ left) * direction
        square = float(left @ left)
        redundant[k] = square <= 1e-10 * size[k]
        if not redundant[k]:
            kept.append(left / np.sqrt(square))
    return redundant


def rectify(y: Array, X: Array, effects: Effects | None, suspects: Mask) -> Array:
    """Find separated rows by the iterative rectifier [CorreiaGuimaraesZylkin2021]_.

    Regress ``u = 1`` in the suspect rows and 0 elsewhere on X and the effects, the fit held at
    zero outside the suspects; replace u by the positive part of the fit; repeat until the
    residual is nowhere negative. Where the fit is positive, rows are separated, and the fit is
    the certificate.

    Parameters
    ----------
    y
        Flows in the order of the data, shape (N,).
    X
        Regressors, shape (K, N).
    effects
        Fixed effects, or None.
    suspects
        Rows without flow that may be separated, shape (N,).

    Returns
    -------
    ndarray, shape (N,)
        The certificate: where it is positive, rows are separated; once they are dropped, more may
        come to light. Elsewhere it is zero.
    """
    suspects = suspects & (y == 0)
    if effects is None:
        return rectify_dense(X, suspects)
    unknowns = len(X) + sum(len(found) for found in effects.levels)
    if unknowns * len(y) <= _DENSE:
        return rectify_dense(np.vstack([X, _dummies(effects)]), suspects)
    return rectify_absorbed(X, effects, suspects)


def _dummies(effects: Effects) -> Array:
    """Write the effects out as columns, shape (levels, N), in the order of the data."""
    G = len(effects.starts) - 1
    out = np.zeros((G + effects.others, int(effects.starts[-1])))
    rows = np.arange(out.shape[1])
    out[np.repeat(np.arange(G), np.diff(effects.starts)), rows] = 1.0
    columns = effects.columns
    for codes, s in zip(columns.codes, columns.slope, strict=True):
        out[G + codes, rows] = 1.0 if s < 0 else columns.values[s]
    return effects.unsort(out)


def rectify_dense(X: Array, suspects: Mask) -> Array:
    """Run the iterative rectifier with exact projections; see :func:`rectify`.

    Where it creeps, as it does if the cone of certificates is thin, a linear program decides.
    """
    zero = np.flatnonzero(suspects)
    scale = np.sqrt(np.einsum("kn,kn->k", X, X))
    columns = (X / np.where(scale > 0, scale, 1.0)[:, None]).T
    triangle = np.linalg.qr(columns[~suspects], mode="r")
    # Combinations that vanish outside the suspects, seen in the suspects.
    free = columns[zero] @ linalg.null_space(triangle, rcond=1e-10)
    left = np.ones(len(zero), dtype=np.bool_)
    certificate = np.zeros(len(suspects))
    while left.any():
        basis = _range(free[left])
        found = _rectify(partial(_project, basis), int(left.sum()), 1e-12)
        if found is None:
            found = _largest_certificate(basis)
        if not found.any():
            break
        certificate[zero[left]] += found
        # One certificate need not cover all rows: without its own, the others may show.
        left[np.flatnonzero(left)[found > 0]] = False
    return certificate


def _range(A: Array) -> Array:
    """Return an orthonormal basis of the columns of A, whose size is about one or nothing."""
    U, size, _ = linalg.svd(A, full_matrices=False)
    return np.asarray(U[:, size > 1e-9])


def _project(basis: Array, u: Array) -> Array:
    return np.asarray(basis @ (basis.T @ u))


def _largest_certificate(basis: Array) -> Array:
    """Return some ``basis @ d >= 0`` that is positive wherever one is, by a linear program.

    Certificates can be scaled and added, so the largest ``sum of min(1, z)`` covers all rows.
    """
    from scipy import optimize

    rows, unknowns = basis.shape
    program = optimize.linprog(
        np.concatenate([np.zeros(unknowns), -np.ones(rows)]),
        A_ub=np.hstack([-basis, np.eye(rows)]),
        b_ub=np.zeros(rows),
        bounds=[(None, None)] * unknowns + [(0.0, 1.0)] * rows,
    )
    if program.x is None:
        return np.zeros(rows)
    return np.where(program.x[unknowns:] > 0.5, basis @ program.x[:unknowns], 0.0)


def _rectify(
    project: Callable[[Array], Array], rows: int, precision: float, max_iterations: int = 500
) -> Array | None:
    """Iterate the rectifier on the rows without flow; return the certificate, zero where none.

    Returns None if the iterations end without an answer.
    """
    u = np.ones(rows)
    for _ in range(max_iterations):
        fitted = project(u)
        residual = u - fitted
        if fitted.max(initial=0.0) <= 100 * precision:
            return np.zeros(rows)
        if residual.min() >= -precision:
            # The residual is orthogonal to every certificate: where it is positive, none can be.
            positive = (fitted > 100 * precision) & (residual <= 100 * precision)
            return np.where(positive, fitted, 0.0)
        u = np.maximum(fitted, 0.0)
    return None


def rectify_absorbed(X: Array, effects: Effects, suspects: Mask) -> Array:
    """Run the iterative rectifier once, with absorbed effects; see :func:`rectify`.

    What it finds is separated, but there may be more: drop it, and look again.
    """
    zero = effects.sort(suspects)
    regression = _Regression(effects, zero, np.ascontiguousarray(effects.sort(X)))
    rows = _rectify(regression.project, int(zero.sum()), 1e-7)
    found = np.zeros(len(suspects))
    found[zero] = 0.0 if rows is None else rows
    return effects.unsort(found)


class _Regression:
    """Least squares on X and absorbed effects, the fit held at zero outside the suspects.

    It is held there by a penalty, and by multipliers that move the target until the fit is zero.
    """

    def __init__(self, effects: Effects, zero: Mask, X: Array) -> None:
        self.effects, self.zero = effects, zero
        self.w = np.where(zero, 1.0, _PENALTY)
        self.total = sum_by(self.w, effects)
        at = moments(effects, self.w, self.w, X, self.total)
        self.diagonal, raw = at.diagonal, np.diag(at.gram)[: len(X)]
        found = solve(effects, self.w, self.total, at.diagonal, at.rhs[: len(X)], bound=1e-24 * raw)
        self.X = partial_out(effects, X, self.w, self.total, found.coefficients)
        gram = np.einsum("kn,mn,n->km", self.X, self.X, self.w)
        self.inverse = linalg.pinvh(gram, rtol=1e-12)
        self.a = np.zeros((1, effects.others))
        self.shift = np.zeros(int((~zero).sum()))

    def project(self, u: Array) -> Array:
        """Return the fit of u over the rows without flow."""
        target = np.zeros(len(self.zero))
        target[self.zero] = u
        for _ in range(_MULTIPLIER_STEPS):
            target[~self.zero] = self.shift
            fitted = self._fit(target)
            gap = fitted[~self.zero]
            if np.abs(gap).max(initial=0.0) < _HELD:
                break
            self.shift = self.shift - gap
        return np.asarray(fitted[self.zero])

    def _fit(self, u: Array) -> Array:
        column = u[None, :]
        at = moments(self.effects, self.w, self.w * u, column[:0], self.total)
        bound = np.array([0.01 * _HELD**2])
        found = solve(
            self.effects, self.w, self.total, self.diagonal, at.rhs, bound=bound, start=self.a
        )
        self.a = found.coefficients
        left = partial_out(self.effects, column, self.w, self.total, self.a)[0]
        b = np.einsum("km,mn,n->k", self.inverse, self.X, self.w * left)
        return np.asarray(u - left + np.einsum("k,kn->n", b, self.X))
