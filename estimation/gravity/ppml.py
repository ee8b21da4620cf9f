"""Poisson pseudo-maximum likelihood with absorbed fixed effects.

The mean is ``mu_i = exp(x_i' beta + sum_j alpha_j(i))``. The first effect is balanced exactly at
every step, ``sum of mu over a group = sum of y over it``, as the multinomial logit does with its
constants; what is left is a concentrated likelihood in ``beta`` and the other effects. Newton's
method on it is iteratively reweighted least squares [CorreiaGuimaraesZylkin2020]_: the weights
are ``mu``, and a step solves

    X~' W X~ d_beta = X~' (y - mu),    d_alpha = e - A d_beta,

where ``A`` and ``e`` solve the normal equations of :mod:`estimation.gravity.absorb` for the
columns of X and for ``(y - mu) / mu``, and ``X~ = X - D A`` less the group means. The equations
are solved as accurately as the step deserves: coarsely at first, finely at the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import xlogy

from choicemodels.errors import IdentificationError, enumerate_some
from estimation.covariance import inverse_information
from estimation.gravity.absorb import Effects, invert, solve, sum_by
from estimation.gravity.ppml_kernels import Moments, advance, moments, partial_out
from estimation.gravity.within import level_coefficients

__all__ = ["PpmlFit", "Progress", "Stopping", "ppml", "ppml_dense"]

Array = NDArray[np.float64]
Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Stopping:
    """When the iterations end, and who is told on the way.

    Attributes
    ----------
    tol : float
        The last step changes the deviance by less than this share of it.
    max_iterations : int
        Newton steps at most.
    progress : callable, optional
        Called with the number and the deviance of each step.
    """

    tol: float = 1e-8
    max_iterations: int = 50
    progress: Progress | None = None


DEFAULT = Stopping()

# Rows without flow whose mean falls below this share of the average flow may be separated.
_SUSPECT = 1e-6
# So may rows whose eta still falls by this much in a step: under separation it falls by one.
_FALL = -0.1


@dataclass(frozen=True, eq=False)
class PpmlFit:
    """A Poisson pseudo-maximum likelihood fit; rows in the order of the data.

    Attributes
    ----------
    beta : ndarray, shape (K,)
    effects : tuple of ndarray
        Coefficients of each effect, in the order of ``Effects.levels``.
    eta, mu : ndarray, shape (N,)
    X_within : ndarray, shape (K, N)
        Columns of X less their weighted projection on the effects.
    hessian : ndarray, shape (K, K)
        Of the log-likelihood, the effects concentrated out.
    deviance : float
    iterations, inner_iterations : int
        Newton steps, and passes over the rows in solving for them.
    converged : bool
    falling : ndarray of bool, shape (N,)
        Rows without flow whose eta still fell in the last step; they may be separated.
    """

    beta: Array
    effects: tuple[Array, ...]
    eta: Array
    mu: Array
    X_within: Array
    hessian: Array
    deviance: float
    iterations: int
    inner_iterations: int
    converged: bool
    falling: NDArray[np.bool_]


@dataclass(eq=False)
class _State:
    """The point that Newton's method has reached; arrays over sorted rows change in place."""

    effects: Effects
    y: Array
    X: Array
    projection: Array
    eta: Array
    mu: Array
    r: Array
    beta: Array
    alpha: Array
    A: Array
    at: Moments
    inner: int
    value: float = -np.inf
    drift: float = 0.0
    lowest: float = np.inf

    def advance(self, d_beta: Array, d_alpha: Array) -> None:
        """Take a step and evaluate the moments where it leads."""
        self.beta = self.beta + d_beta
        self.alpha = self.alpha + d_alpha
        now = advance(
            self.effects, self.eta, self.mu, self.r, self.y, self.X, self.at.total,
            d_beta, d_alpha,
        )  # fmt: skip
        self.at, self.value, self.drift, self.lowest = now.at, now.value, now.drift, now.lowest

    def step(self, accuracy: float, floor: float = np.inf) -> tuple[Array, Array]:
        """Solve for a Newton step, to a relative accuracy."""
        K, at = len(self.beta), self.at
        reference = np.einsum("l,l,l->", at.rhs[K], at.rhs[K], invert(at.diagonal))
        bound = accuracy**2 * np.append(np.diag(at.gram)[:K], reference)
        bound[K] = min(bound[K], floor)
        start = np.vstack([self.A, np.zeros_like(self.alpha)])
        found = solve(
            self.effects, self.mu, at.total, at.diagonal, at.rhs, bound=bound, start=start
        )
        self.inner += found.iterations
        self.A, e = found.coefficients[:K], found.coefficients[K]
        gradient = at.gram[:K, K] - np.einsum("kl,l->k", self.A, at.rhs[K])
        d_beta = _solve_symmetric(_information(at, self.A, found.residual[:K]), gradient)
        return d_beta, e - np.einsum("k,kl->l", d_beta, self.A)


def _information(at: Moments, A: Array, residual: Array) -> Array:
    """Return ``X~' W X~``, right to second order in the error of A."""
    K = len(A)
    raw = at.gram[:K, :K] - np.einsum("kl,ml->km", at.rhs[:K], A)
    raw -= np.einsum("kl,ml->km", A, residual)
    return np.asarray(0.5 * (raw + raw.T))


def _solve_symmetric(H: Array, g: Array) -> Array:
    """Solve ``H x = g`` after scaling H to a unit diagonal."""
    if len(g) == 0:
        return g
    scale = 1.0 / np.sqrt(np.maximum(np.diag(H), np.finfo(float).tiny))
    scaled = H * np.outer(scale, scale)
    return np.asarray(scale * linalg.lstsq(scaled, scale * g, cond=1e-13)[0])


def _begin(
    effects: Effects, y: Array, X: Array, offset: Array, w: Array, names: Sequence[str]
) -> _State:
    """Take the first step from the means w, by default ``(y + mean of y) / 2`` as in ppmlhdfe."""
    K, L = len(X), effects.others
    z = w * (np.log(w) - offset) + y - w
    total = sum_by(w, effects)
    # Columns without most of what the effects explain keep later cross-products accurate.
    within, projection, inner = _project(effects, w, z, X, total, names)
    at = moments(effects, w, z, within, total)
    state = _State(
        effects, y, within, projection, offset.copy(), w, z, np.zeros(K), np.zeros(L),
        np.zeros((K, L)), at, inner,
    )  # fmt: skip
    d_beta, d_alpha = state.step(1e-2)
    state.at = Moments(sum_by(y, effects), at.rhs, at.gram, at.diagonal)
    state.mu, state.r = np.empty_like(y), np.empty_like(y)
    state.advance(d_beta, d_alpha)
    return state


def _project(
    effects: Effects, w: Array, z: Array, X: Array, total: Array, names: Sequence[str]
) -> tuple[Array, Array, int]:
    """Take the effects out of the columns, roughly, or name the columns that they swallow."""
    K = len(X)
    at = moments(effects, w, z, X, total)
    raw = np.diag(at.gram)[:K]
    size = np.einsum("kn,kn,n->k", X, X, w)
    rough = solve(effects, w, total, at.diagonal, at.rhs[:K], bound=1e-6 * raw)
    left = _information(at, rough.coefficients, rough.residual)
    constant = raw <= 1e-20 * size
    inner, A = rough.iterations, rough.coefficients
    if not constant.any() and _doubtful(left, raw):
        fine = solve(effects, w, total, at.diagonal, at.rhs[:K], bound=1e-24 * raw, start=A)
        inner, A = inner + fine.iterations, fine.coefficients
    within = partial_out(effects, X, w, total, A)
    left_over = np.einsum("kn,kn,n->k", within, within, w)
    swallowed = np.flatnonzero(constant | (left_over <= 1e-10 * raw))
    if len(swallowed):
        listed = enumerate_some([f"'{names[k]}'" for k in swallowed.tolist()])
        raise IdentificationError(
            f"{listed}: swallowed by the fixed effects, within whose groups nothing of it varies; "
            "drop it, or the effect that absorbs it."
        )
    return within, A, inner


def _doubtful(left: Array, raw: Array) -> bool:
    """Say whether a column, or a combination, may have nothing left."""
    diagonal = np.diag(left)
    if len(raw) == 0:
        return False
    if (diagonal <= 1e-4 * raw).any():
        return True
    scale = 1.0 / np.sqrt(diagonal)
    return bool(linalg.eigvalsh(left * np.outer(scale, scale))[0] < 1e-4)


def ppml(
    effects: Effects,
    y: Array,
    X: Array,
    names: Sequence[str],
    stopping: Stopping = DEFAULT,
    offset: Array | None = None,
    start: Array | None = None,
) -> PpmlFit:
    """Fit by Newton's method on the concentrated pseudo-likelihood.

    Parameters
    ----------
    effects
        Fixed effects; every group of the first has a positive sum of y.
    y
        Flows in the order of the data, shape (N,), zero or more.
    X
        Regressors, shape (K, N).
    names
        Names of the regressors, for messages.
    stopping
        When the iterations end.
    offset
        What enters eta with the coefficient one, shape (N,). Weights w are an offset too: the
        estimate is that for the flows ``w y`` with ``log w`` added to the offset.
    start
        Means to begin with, shape (N,), positive.

    Raises
    ------
    IdentificationError
        If the fixed effects swallow a regressor.
    """
    # Fresh arrays: one writeable layout is one compilation of each kernel.
    y_sorted, X_sorted = np.array(effects.sort(y)), np.ascontiguousarray(effects.sort(X))
    fixed = np.zeros_like(y_sorted) if offset is None else np.array(effects.sort(offset))
    w = 0.5 * (y_sorted + y_sorted.mean()) if start is None else np.array(effects.sort(start))
    state = _begin(effects, y_sorted, X_sorted, fixed, w, names)
    saturated = float(xlogy(y_sorted, y_sorted).sum())
    share, converged, iteration = 1.0, False, 1
    while not converged and iteration < stopping.max_iterations:
        before = state.value
        # A step off by a tenth of the square root of the last gain costs Newton's rate nothing.
        accuracy = float(np.clip(0.1 * np.sqrt(share), 1e-5, 1e-2))
        d_beta, d_alpha = state.step(accuracy)
        state.advance(d_beta, d_alpha)
        halvings = _shorten(state, d_beta, d_alpha, before)
        iteration += 1
        deviance = 2 * (saturated - state.value)
        share = 2 * abs(state.value - before) / (0.1 + abs(deviance))
        converged = share < stopping.tol and halvings == 0
        if stopping.progress is not None:
            stopping.progress(iteration, deviance)
    falling = np.zeros(len(y), dtype=np.bool_)
    if state.drift < _FALL or state.lowest < _SUSPECT * y.mean():
        # Rows that hardly count may lag behind: one step that counts them shows if they fall.
        before_step = state.eta.copy()
        state.advance(*state.step(1e-5, floor=max(1e-4 * state.lowest, 1e-30)))
        falling = (y_sorted == 0) & (state.eta - before_step < _FALL)
    return _finish(state, X_sorted, fixed, saturated, iteration, converged, falling)


def _shorten(state: _State, d_beta: Array, d_alpha: Array, before: float) -> int:
    """Halve the step until the likelihood no longer falls; return how often."""
    share, halvings = 1.0, 0
    slack = 1e-12 * abs(before)
    while not state.value >= before - slack and halvings < 30:
        share, halvings = share / 2, halvings + 1
        state.advance(-share * d_beta, -share * d_alpha)
    return halvings


def _finish(
    state: _State,
    X: Array,
    offset: Array,
    saturated: float,
    iterations: int,
    converged: bool,
    falling: NDArray[np.bool_],
) -> PpmlFit:
    """Solve for the columns once more, finely, and bring everything into the data's order."""
    effects, at, K = state.effects, state.at, len(state.beta)
    fine = solve(
        effects, state.mu, at.total, at.diagonal, at.rhs[:K],
        bound=1e-16 * np.diag(at.gram)[:K], start=state.A,
    )  # fmt: skip
    within = partial_out(effects, state.X, state.mu, at.total, fine.coefficients, in_place=True)
    information = np.einsum("kn,mn,n->km", within, within, state.mu)
    return PpmlFit(
        beta=state.beta,
        effects=_recover(state, X, offset),
        eta=effects.unsort(state.eta),
        mu=effects.unsort(state.mu),
        X_within=effects.unsort(within),
        hessian=-0.5 * (information + information.T),
        deviance=2 * (saturated - state.value),
        iterations=iterations,
        inner_iterations=state.inner + fine.iterations,
        converged=converged,
        falling=effects.unsort(falling),
    )


def _recover(state: _State, X: Array, offset: Array) -> tuple[Array, ...]:
    """Return the effects that go with X itself, the first one last to be known."""
    effects = state.effects
    alpha = state.alpha - np.einsum("kl,k->l", state.projection, state.beta)
    rest = state.eta - offset - np.einsum("kn,k->n", X, state.beta)
    return level_coefficients(effects, rest, alpha)


def ppml_dense(
    y: Array,
    X: Array,
    names: Sequence[str],
    stopping: Stopping = DEFAULT,
    offset: Array | None = None,
    start: Array | None = None,
) -> PpmlFit:
    """Fit a model without fixed effects; an intercept is a column of X like any other.

    Parameters
    ----------
    y
        Flows, shape (N,), with a positive sum.
    X
        Regressors, shape (K, N).
    names
        Names of the regressors, for messages.
    stopping
        When the iterations end.
    offset, start
        As of :func:`ppml`.

    Raises
    ------
    IdentificationError
        If regressors are collinear.
    """
    fixed = np.zeros_like(y) if offset is None else offset
    w = 0.5 * (y + y.mean()) if start is None else start
    gram = _weighted_gram(X, w)
    flat = [f"'{name}'" for name, square in zip(names, np.diag(gram), strict=True) if square == 0]
    if flat:
        raise IdentificationError(f"{enumerate_some(flat)}: zero in every row used; drop it.")
    inverse_information(-gram, names)
    beta = _solve_symmetric(gram, np.einsum("kn,n->k", X, w * (np.log(w) - fixed) + y - w))
    eta = fixed + np.einsum("kn,k->n", X, beta)
    value = _value(y, eta)
    saturated = float((xlogy(y, y) - y).sum())
    converged, iteration, change = False, 1, eta
    while not converged and iteration < stopping.max_iterations:
        mu = np.exp(eta)
        step = _solve_symmetric(_weighted_gram(X, mu), np.einsum("kn,n->k", X, y - mu))
        change = np.einsum("kn,k->n", X, step)
        before, share = value, 1.0
        while not (value := _value(y, eta + share * change)) >= before - 1e-12 * abs(before):
            if share < 1e-9:
                break
            share /= 2
        beta, eta = beta + share * step, eta + share * change
        iteration += 1
        deviance = 2 * (saturated - value)
        converged = share == 1 and 2 * abs(value - before) < stopping.tol * (0.1 + abs(deviance))
        if stopping.progress is not None:
            stopping.progress(iteration, deviance)
    mu = np.exp(eta)
    return PpmlFit(
        beta=beta,
        effects=(),
        eta=eta,
        mu=mu,
        X_within=X,
        hessian=-_weighted_gram(X, mu),
        deviance=2 * (saturated - value),
        iterations=iteration,
        inner_iterations=0,
        converged=converged,
        falling=(y == 0) & (change < _FALL),
    )


def _weighted_gram(X: Array, w: Array) -> Array:
    return np.asarray(np.einsum("kn,mn,n->km", X, X, w))


def _value(y: Array, eta: Array) -> float:
    with np.errstate(over="ignore"):
        return float((y * eta - np.exp(eta)).sum())
