"""The weighted regression of the last Newton step, its effects absorbed.

At the estimate, Newton's method regresses on ``Z = (X, D)``, all effects written out as the
dummies D, with the weights ``W = w mu``. A linear predictor ``eta_* = z_*' theta``, of a row that
was used or of a new one, moves with the residuals of the rows through its kernel

    l_* = Z (Z' W Z)^- z_*,    d eta_* = l_*' w (y - mu),

and the leverage of a row is ``h_i = W_i l_ii``. Splitting Z into X, less its projection on the
effects, the effect with the most levels and the others leaves one system with as many unknowns
as these others have levels (:mod:`estimation.gravity.absorb`): kernels solve it by conjugate
gradients, leverages, of which all rows are asked, by one dense inverse.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError, EstimationError, enumerate_some
from choicemodels.flows.gravity import Gravity
from choicemodels.utility import Term
from estimation.covariance import inverse_information
from estimation.gravity.absorb import Effects, invert, solve, sum_by
from estimation.gravity.inverse import generalized_inverse
from estimation.gravity.ppml_kernels import moments, partial_out
from estimation.gravity.problem import arranged, problem_of
from estimation.gravity.sample import Sample

__all__ = ["LinearForms", "WorkingRegression", "sparse_rows", "working_of", "working_regression"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

# Levels beside the largest effect up to which the leverages are computed, in a dense inverse.
_MOST_LEVELS = 5_000
# Entries of the largest temporary array.
_ROOM = 4_000_000


@dataclass(frozen=True, eq=False)
class LinearForms:
    """Linear combinations of the coefficients and effects, such as the predictor of a row.

    Attributes
    ----------
    X : ndarray, shape (K, M)
        What multiplies the coefficients.
    first : sparse array, shape (M, G)
        And the levels of the first effect; None without effects.
    others : sparse array, shape (M, L)
        And those of the others; None without effects.
    scale : ndarray, shape (M,)
        Size of the entries before any of them cancelled: against it, rounding shows as such.
    """

    X: Array
    first: Any
    others: Any
    scale: Array

    def rows(self, rows: slice) -> "LinearForms":
        """Keep some of them."""
        if self.first is None:
            return LinearForms(self.X[:, rows], None, None, self.scale[rows])
        return LinearForms(self.X[:, rows], self.first[rows], self.others[rows], self.scale[rows])

    def combined(self, S: Any) -> "LinearForms":
        """Return the combinations of them in the rows of a sparse array S of shape (Q, M)."""
        X, scale = np.asarray((S @ self.X.T).T), np.asarray(abs(S) @ self.scale)
        if self.first is None:
            return LinearForms(X, None, None, scale)
        return LinearForms(X, (S @ self.first).tocsr(), (S @ self.others).tocsr(), scale)

    def plus(self, other: "LinearForms") -> "LinearForms":
        """Add as many others, one by one."""
        X, scale = self.X + other.X, self.scale + other.scale
        if self.first is None:
            return LinearForms(X, None, None, scale)
        first, others = self.first + other.first, self.others + other.others
        return LinearForms(X, first.tocsr(), others.tocsr(), scale)


@dataclass(frozen=True, eq=False)
class WorkingRegression:
    """A weighted regression on X and absorbed effects; rows in their sorted order.

    Attributes
    ----------
    effects : Effects or None
    w : ndarray, shape (N,)
        Weights, ``w mu``.
    total : ndarray, shape (G,)
        Their sums by group of the first effect.
    within : ndarray, shape (K, N)
        Columns of X less their weighted projection on the effects.
    A : ndarray, shape (K, L)
        Coefficients of that projection on the other effects.
    means : ndarray, shape (K, G)
        And on the first.
    inverse : ndarray, shape (K, K)
        Of ``X~' W X~``.
    """

    effects: Effects | None
    w: Array
    total: Array
    within: Array
    A: Array
    means: Array
    inverse: Array

    @cached_property
    def dummies(self) -> Any:
        """The columns of the other effects, a sparse array of shape (N, L)."""
        assert self.effects is not None
        return _sparse_columns(self.effects)

    @cached_property
    def centres(self) -> Any:
        """Weighted means of these columns by group, a sparse array of shape (G, L)."""
        from scipy.sparse import csr_array

        assert self.effects is not None
        starts, N = self.effects.starts, len(self.w)
        shares = self.w / np.repeat(self.total, np.diff(starts))
        averaging = csr_array((shares, np.arange(N), starts), shape=(len(starts) - 1, N))
        return (averaging @ self.dummies).tocsr()

    def unsort(self, values: Array) -> Array:
        """Bring values, shape (..., N), back into the order of the rows used."""
        return values if self.effects is None else self.effects.unsort(values)

    def kernels(self, forms: LinearForms) -> Array:
        """Return the kernel of each linear form, shape (M, N), in the order of the rows used.

        Raises
        ------
        DataError
            If a sum of effects is not identified: no chain of rows connects the levels.
        """
        effects = self.effects
        if effects is None:
            return np.asarray(forms.X.T @ self.inverse @ self.within)
        rhs = np.ascontiguousarray((forms.others - forms.first @ self.centres).toarray())
        diagonal = self._diagonal
        inverse = invert(diagonal)
        bound = 1e-22 * np.einsum("ml,ml,l->m", rhs, rhs, inverse)
        bound += 1e-28 * forms.scale**2 * inverse.sum()
        found = solve(effects, self.w, self.total, diagonal, rhs, bound=bound)
        _refuse_unidentified(found.residual, forms.scale)
        own = forms.X - np.asarray((forms.first @ self.means.T + forms.others @ self.A.T).T)
        out = partial_out(
            effects, np.zeros((len(rhs), len(self.w))), self.w, self.total, -found.coefficients
        )
        out += own.T @ self.inverse @ self.within
        out += np.repeat(forms.first.toarray() / self.total, np.diff(effects.starts), axis=1)
        return effects.unsort(out)

    @cached_property
    def _diagonal(self) -> Array:
        assert self.effects is not None
        none = self.within[:0]
        return moments(self.effects, self.w, self.w, none, self.total).diagonal

    def leverages(self) -> Array:
        """Return how much each row's flow moves its own fit, shape (N,), between zero and one.

        They sum to the number of parameters, the independent levels of the effects among them.

        Raises
        ------
        EstimationError
            If the effects beside the largest have too many levels.
        """
        h = np.einsum("kn,km,mn->n", self.within, self.inverse, self.within, optimize=True)
        if self.effects is not None:
            h += self._of_effects(self.effects)
        return self.unsort(self.w * h)

    def _of_effects(self, effects: Effects) -> Array:
        """Return ``d_i' (D' W D)^- d_i`` of the sorted rows, shape (N,)."""
        if effects.others > _MOST_LEVELS:
            raise EstimationError(
                f"the exact leverages of this model need the inverse of a matrix of "
                f"{effects.others:,} levels (all effects but the largest), more than the "
                f"{_MOST_LEVELS:,} that are done; choose 'robust', 'cluster' or 'CRV3'."
            )
        sizes = np.diff(effects.starts)
        group = np.repeat(np.arange(len(sizes)), sizes)
        out = 1 / self.total[group]
        if effects.others == 0:
            return np.asarray(out)
        inverse = self._inverse_of_effects()
        step = max(_ROOM // effects.others, 1)
        for low in range(0, len(sizes), step):
            high = min(low + step, len(sizes))
            rows = slice(effects.starts[low], effects.starts[high])
            centre = self.centres[low:high]
            moved = np.asarray(centre @ inverse)
            own = np.asarray(centre.multiply(moved).sum(axis=1)).ravel()
            out[rows] += own[group[rows] - low]
            out[rows] += _quadratic(effects, rows, inverse, moved, group[rows] - low)
        return np.asarray(out)

    def _inverse_of_effects(self) -> Array:
        """Return a generalized inverse of the normal equations of the other effects, (L, L)."""
        D, centres = self.dummies, self.centres
        whole = (D.T @ D.multiply(self.w[:, None])).toarray()
        S = whole - (centres.T @ centres.multiply(self.total[:, None])).toarray()
        return generalized_inverse(S, np.diag(whole))


def _quadratic(effects: Effects, rows: slice, inverse: Array, moved: Array, group: Codes) -> Array:
    """Return ``d' G d - 2 d' G c`` of some rows: d their columns, c the centre of their group."""
    columns = effects.columns
    out = np.zeros(rows.stop - rows.start)
    entries = [
        (code[rows], columns.values[s, rows] if s >= 0 else 1.0)
        for code, s in zip(columns.codes, columns.slope, strict=True)
    ]
    for code, value in entries:
        out -= 2 * value * moved[group, code]
        for other, factor in entries:
            out += value * factor * inverse[code, other]
    return out


def sparse_rows(codes: Codes, values: Array, width: int) -> Any:
    """Return a sparse array of shape (M, width) with the entries of each row, shape (M, J)."""
    # The sparse arrays of scipy take a while to load, and few results need them.
    from scipy.sparse import csr_array

    M, J = codes.shape
    return csr_array((values.ravel(), codes.ravel(), J * np.arange(M + 1)), shape=(M, width))


def _sparse_columns(effects: Effects) -> Any:
    columns = effects.columns
    values = np.ones(columns.codes.shape)
    for j, s in enumerate(columns.slope):
        if s >= 0:
            values[j] = columns.values[s]
    codes = np.ascontiguousarray(columns.codes.T, dtype=np.int64)
    return sparse_rows(codes, np.ascontiguousarray(values.T), effects.others)


def _refuse_unidentified(residual: Array, scale: Array) -> None:
    bad = np.flatnonzero(np.abs(residual).max(axis=1, initial=0.0) > 1e-6 * scale)
    if len(bad):
        raise DataError(
            f"the fixed effects of {len(bad):,} rows (rows {enumerate_some(bad.tolist())}) do not "
            "add up to anything identified: no chain of estimated rows connects their levels; "
            "leave these rows out."
        )


def working_of(sample: Sample, terms: Sequence[Term], model: Gravity) -> WorkingRegression:
    """Lay out the working regression of a result with these regressors."""
    problem = problem_of(sample, terms, model)
    return working_regression(problem.X, sample.working_weights, arranged(problem), problem.names)


def working_regression(
    X: Array, w: Array, effects: Effects | None, names: Sequence[str]
) -> WorkingRegression:
    """Project the columns on the effects and invert what is left.

    Parameters
    ----------
    X
        Regressors in the order of the rows used, shape (K, N).
    w
        Weights ``w mu``, shape (N,), positive.
    effects
        Fixed effects, or None.
    names
        Of the regressors, for messages.

    Raises
    ------
    IdentificationError
        If regressors are collinear.
    """
    K = len(X)
    if effects is None:
        gram = np.einsum("kn,mn,n->km", X, X, w)
        nothing = np.empty((K, 0))
        inverse = inverse_information(-gram, names)
        return WorkingRegression(None, w, np.empty(0), X, nothing, nothing, inverse)
    X, w = np.ascontiguousarray(effects.sort(X)), np.array(effects.sort(w))
    total = sum_by(w, effects)
    at = moments(effects, w, w, X, total)
    raw = np.diag(at.gram)[:K]
    A = solve(effects, w, total, at.diagonal, at.rhs[:K], bound=1e-22 * raw).coefficients
    within = partial_out(effects, X, w, total, A)
    first = effects.starts[:-1]
    fitted = np.asarray((_sparse_columns(effects)[first] @ A.T).T) if effects.others else 0.0
    means = X[:, first] - fitted - within[:, first]
    gram = np.einsum("kn,mn,n->km", within, within, w)
    inverse = inverse_information(-gram, names) if K else np.empty((0, 0))
    return WorkingRegression(effects, w, total, within, A, means, inverse)
