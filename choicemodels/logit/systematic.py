"""Systematic utilities over rows of choice data, as functions of their parameters.

    V = scale_n (x'beta + offset + kappa log sum_k exp(gamma_k) q_k),   scale_n = exp(z_n'tau)

Kernels take utilities that are linear, ``X' beta + offset``, and differentiate along X. Where V
bends, X is its Jacobian at a point, the offset is V itself, and the part of the Hessian that the
bending adds follows from the derivatives of the log-likelihood by the rows' utilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some
from choicemodels.formula import term_values
from choicemodels.logit.design import UtilityTerms
from choicemodels.utility import Term

__all__ = ["Design", "Linearization"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Linearization:
    """Utilities near a point: ``V = X' beta + offset`` there, and X its derivatives.

    Attributes
    ----------
    X : ndarray, shape (U, R), C-contiguous
        By columns: the transpose of the usual design, see :mod:`choicemodels.logit.probabilities`.
    beta : ndarray, shape (U,)
    offset : ndarray, shape (R,) or (0,)
    """

    X: Array
    beta: Array
    offset: Array


@dataclass(frozen=True, eq=False)
class Design:
    """The variables of the utilities over R rows.

    Attributes
    ----------
    X : ndarray, shape (K, R)
        Columns with a coefficient; a single quantity's logarithm with a free coefficient is
        one of them.
    offset : ndarray, shape (R,) or (0,)
    quantities : ndarray, shape (S, R)
        Of the size; no rows unless there are at least two quantities.
    size_free : bool
        Whether the size has a coefficient that is not among those of X.
    Z : ndarray, shape (T, R)
        Variables that scale the utilities.
    correction : ndarray, shape (R,) or (0,)
        Added to utilities that are not linear after they are scaled.
    """

    X: Array
    offset: Array
    quantities: Array
    size_free: bool
    Z: Array
    correction: Array = field(default_factory=lambda: np.empty(0))

    @classmethod
    def build(
        cls,
        terms: UtilityTerms,
        table: pd.DataFrame,
        alternative: Ints,
        alternatives: tuple[str, ...],
    ) -> Self:
        """Evaluate the terms over the rows of choice data.

        Parameters
        ----------
        terms
            What the utilities are made of.
        table
            The columns, R rows.
        alternative
            Position of each row's alternative, shape (R,).
        alternatives
            Names of the alternatives.

        Raises
        ------
        DataError
            If a variable is missing, a value is not finite, or a size is not positive; it names
            column and rows.
        """
        log_size, quantities = _size(terms, table)
        linear = terms.linear
        X = np.zeros((len(linear) + (len(quantities) == 0 and terms.size_free), len(table)))
        _fill(X, linear, table, alternative, alternatives)
        offset = np.empty(0)
        if terms.offset is not None:
            offset = _rows(terms.offset, table)
        if len(log_size) and terms.size_free:
            X[-1] = log_size
        elif len(log_size):
            offset = offset + log_size if len(offset) else log_size
        Z = np.array([_rows(term, table) for term in terms.scale]).reshape(-1, len(table))
        free = terms.size_free and len(quantities) > 0
        return cls(X, offset, quantities, free, np.ascontiguousarray(Z))

    @property
    def linear(self) -> bool:
        """Whether the utilities are linear in all parameters."""
        return len(self.quantities) == 0 and len(self.Z) == 0

    @property
    def size(self) -> int:
        """Number of parameters, U."""
        return len(self.X) + self.size_free + max(len(self.quantities) - 1, 0) + len(self.Z)

    def scale(self, theta: Array) -> Array:
        """Return what multiplies each row's utility, shape (R,)."""
        T = len(self.Z)
        return np.exp(theta[-T:] @ self.Z) if T else np.ones(self.X.shape[1])

    def shifted(self, shift: Array) -> Self:
        """Add to the offset of each row, shape (R,)."""
        return replace(self, offset=self.offset + shift if len(self.offset) else shift)

    def corrected(self, correction: Array) -> Self:
        """Add what corrects for sampled choice sets, which no scale multiplies, shape (R,)."""
        return self.shifted(correction) if self.linear else replace(self, correction=correction)

    def at(self, theta: Array) -> Linearization:
        """Return the utilities and their Jacobian at a point, shape (U,)."""
        if self.linear:
            return Linearization(self.X, np.ascontiguousarray(theta), self.offset)
        K, S, T = len(self.X), len(self.quantities), len(self.Z)
        jacobian = np.empty((self.size, self.X.shape[1]))
        jacobian[:K] = self.X
        V = theta[:K] @ self.X
        if len(self.offset):
            V += self.offset
        if S:
            kappa = theta[K] if self.size_free else 1.0
            gammas = slice(K + self.size_free, K + self.size_free + S - 1)
            log_size, shares = self._size_at(theta[gammas])
            jacobian[gammas] = kappa * shares[1:]
            if self.size_free:
                jacobian[K] = log_size
            V += kappa * log_size
        if T:
            scale = self.scale(theta)
            V *= scale
            jacobian[:-T] *= scale
            jacobian[-T:] = V * self.Z
        if len(self.correction):
            V += self.correction
        return Linearization(jacobian, np.zeros(self.size), V)

    def _size_at(self, gamma: Array) -> tuple[Array, Array]:
        """Return the log of the size (R,) and the quantities' shares of it (S, R)."""
        with np.errstate(divide="ignore"):
            logs = np.log(self.quantities) + np.concatenate([[0.0], gamma])[:, None]
        top = logs.max(axis=0)
        parts = np.exp(logs - top)
        total = parts.sum(axis=0)
        return top + np.log(total), parts / total

    def curvature(self, theta: Array, at: Linearization, score_rows: Array) -> Array:
        """Return ``sum_r score_r d2V_r / dtheta dtheta'``, shape (U, U).

        Parameters
        ----------
        theta
            The point, shape (U,).
        at
            The linearization there.
        score_rows
            Derivatives of the log-likelihood by the rows' utilities, shape (R,).
        """
        H = np.zeros((self.size, self.size))
        K, S, T = len(self.X), len(self.quantities), len(self.Z)
        if S:
            weight = score_rows * self.scale(theta)
            first = K + self.size_free
            gammas = slice(first, first + S - 1)
            _, shares = self._size_at(theta[gammas])
            mean = shares[1:] @ weight
            kappa = theta[K] if self.size_free else 1.0
            H[gammas, gammas] = kappa * (np.diag(mean) - (shares[1:] * weight) @ shares[1:].T)
            if self.size_free:
                H[K, gammas] = H[gammas, K] = mean
        if T:
            cross = (at.X * score_rows) @ self.Z.T
            H[:, -T:] = cross
            H[-T:, :] = cross.T
        return H

    def rows(self, rows: Ints) -> Self:
        """Keep some rows."""
        return replace(
            self,
            X=np.ascontiguousarray(self.X[:, rows]),
            offset=self.offset[rows] if len(self.offset) else self.offset,
            quantities=np.ascontiguousarray(self.quantities[:, rows]),
            Z=np.ascontiguousarray(self.Z[:, rows]),
            correction=self.correction[rows] if len(self.correction) else self.correction,
        )


def _rows(term: Term, table: pd.DataFrame) -> Array:
    """Evaluate a term over all rows, a constant too, shape (R,)."""
    return np.array(np.broadcast_to(term_values(term, table), len(table)))


def _size(terms: UtilityTerms, table: pd.DataFrame) -> tuple[Array, Array]:
    """Return the log of a single quantity (R,) or several quantities (S, R), the other empty."""
    if not terms.size:
        return np.empty(0), np.empty((0, len(table)))
    quantities = np.array([_rows(term, table) for term in terms.size])
    wrong = np.flatnonzero((quantities < 0).any(axis=0) | ~(quantities.sum(axis=0) > 0))
    if len(wrong):
        raise DataError(
            f"the size {' + '.join(term.name for term in terms.size)} is not positive in "
            f"{len(wrong):,} rows (first: rows {enumerate_some(wrong.tolist())}); quantities must "
            "not be negative, and an alternative without any is no option: leave its rows out."
        )
    if len(quantities) == 1:
        return np.log(quantities[0]), np.empty((0, len(table)))
    return np.empty(0), quantities


def _fill(
    X: Array,
    linear: tuple[Term, ...],
    table: pd.DataFrame,
    alternative: Ints,
    alternatives: tuple[str, ...],
) -> None:
    """Evaluate the terms with a coefficient into the first rows of X, which holds zeros."""
    position = {name: j for j, name in enumerate(alternatives)}
    cache: dict[tuple[str, ...], Array] = {}
    rows_of: Mapping[int, Ints] = {}
    if any(term.alternatives is not None for term in linear):
        order = np.argsort(alternative, kind="stable")
        bounds = np.searchsorted(alternative[order], np.arange(len(alternatives) + 1))
        rows_of = {j: order[bounds[j] : bounds[j + 1]] for j in range(len(alternatives))}
    for k, term in enumerate(linear):
        if term.factors not in cache:
            cache[term.factors] = term_values(term, table)
        values = cache[term.factors]
        if term.alternatives is None:
            X[k] = values
            continue
        for name in term.alternatives:
            rows = rows_of[position[name]]
            X[k, rows] = values[rows] if values.ndim else values
