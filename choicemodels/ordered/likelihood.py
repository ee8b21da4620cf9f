"""The likelihood of ordered logit and probit.

The log-likelihood is concave in coefficients and thresholds [Pratt1981]_. OrderedModel of
statsmodels has the same one, with thresholds transformed and derivatives by differences.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.formula import expand, term_values
from choicemodels.frames import numeric_column, require_columns, to_pandas
from choicemodels.logit.likelihood import Contributions
from choicemodels.ordered.specification import Level, OrderedChoice, plain_level
from choicemodels.restrictions import Evaluation
from choicemodels.utility import Term

__all__ = ["OrderedLayout", "OrderedLikelihood", "specify_ordered"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OrderedLayout:
    """How ``theta = (beta, thresholds)`` is laid out: all that prediction needs to know.

    Attributes
    ----------
    terms : tuple of Term, length K
    levels : tuple, length L
        From the lowest to the highest.
    link : {"logit", "probit"}
    """

    terms: tuple[Term, ...]
    levels: tuple[Level, ...]
    link: Literal["logit", "probit"]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the K coefficients and L - 1 thresholds."""
        thresholds = [f"threshold:{low}|{high}" for low, high in pairwise(self.levels)]
        return (*(term.name for term in self.terms), *thresholds)

    def design(self, table: pd.DataFrame) -> Array:
        """Evaluate the terms over a table, shape (N, K).

        Raises
        ------
        DataError
            If a variable is missing, or a value is not finite; it names column and rows.
        """
        columns = [np.broadcast_to(term_values(term, table), len(table)) for term in self.terms]
        return np.array(columns, dtype=np.float64).reshape(len(self.terms), len(table)).T

    def probabilities(self, theta: Array, X: Array) -> Array:
        """Return the probability of every level, shape (N, L)."""
        K = len(self.terms)
        inner = theta[K:] - (X @ theta[:K])[:, None]
        edge = np.full((len(X), 1), np.inf)
        bounds = np.hstack([-edge, inner, edge])
        return np.exp(_log_interval(bounds[:, :-1], bounds[:, 1:], self.link))


@dataclass(frozen=True, eq=False)
class OrderedLikelihood:
    """The likelihood of an ordered logit or probit over given data.

    Attributes
    ----------
    parameters : OrderedLayout
    X : ndarray, shape (N, K)
    level : ndarray of int64, shape (N,)
        Position of each outcome among the levels.
    weights : ndarray, shape (N,)
    """

    parameters: OrderedLayout
    X: Array
    level: Ints
    weights: Array

    @property
    def start(self) -> Array:
        """No effects, and the thresholds that give the observed shares, shape (P,)."""
        from scipy.special import logit, ndtri

        L = len(self.parameters.levels)
        shares = np.bincount(self.level, weights=self.weights, minlength=L) / self.weights.sum()
        inverse = logit if self.parameters.link == "logit" else ndtri
        thresholds = inverse(np.cumsum(shares)[:-1])
        return np.concatenate([np.zeros(self.X.shape[1]), thresholds])

    def reweighted(self, weights: Array) -> Self:
        """Give the observations other weights, shape (N,)."""
        return replace(self, weights=weights)

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and exact Hessian (P, P).

        Unless the thresholds rise the log-likelihood is minus infinity.
        """
        P = len(theta)
        if not (np.isfinite(theta).all() and (np.diff(theta[self.X.shape[1] :]) > 0).all()):
            return -np.inf, np.zeros(P), np.zeros((P, P))
        at = self.contributions(theta)
        return at.llf, at.score, at.hessian

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with the contribution of every row."""
        K, w = self.X.shape[1], self.weights
        edges = np.concatenate([[-np.inf], theta[K:], [np.inf]])
        index = self.X @ theta[:K]
        low, high = edges[self.level] - index, edges[self.level + 1] - index
        logp = _log_interval(low, high, self.parameters.link)
        d_low, bend_low = _density(low, logp, self.parameters.link)
        d_high, bend_high = _density(high, logp, self.parameters.link)
        # First and second derivatives of log P by the two bounds of the row's interval.
        both = w * d_high * d_low
        second_high = w * (bend_high - d_high**2)
        second_low = -w * (bend_low + d_low**2)
        score_obs = self._by_bounds(w * d_high, -w * d_low)
        hessian = self._hessian(second_high, second_low, both)
        loglike_obs = w * logp
        return Contributions(
            float(loglike_obs.sum()), score_obs.sum(axis=0), hessian, loglike_obs, score_obs
        )

    def _by_bounds(self, high: Array, low: Array) -> Array:
        """Turn derivatives by the bounds of the intervals into those by theta, shape (N, P)."""
        rows = np.arange(len(self.level))
        edges = np.zeros((len(rows), len(self.parameters.levels) + 1))
        edges[rows, self.level + 1] = high
        edges[rows, self.level] += low
        return np.hstack([-(high + low)[:, None] * self.X, edges[:, 1:-1]])

    def _hessian(self, high: Array, low: Array, both: Array) -> Array:
        X, level, L = self.X, self.level, len(self.parameters.levels)
        K = X.shape[1]
        H = np.zeros((K + L - 1, K + L - 1))
        H[:K, :K] = (X * (high + low + 2 * both)[:, None]).T @ X
        for t in range(L - 1):
            below, above = level == t, level == t + 1
            cross = X[below].T @ (high + both)[below] + X[above].T @ (low + both)[above]
            H[:K, K + t] = H[K + t, :K] = -cross
            H[K + t, K + t] = high[below].sum() + low[above].sum()
            if t:
                H[K + t - 1, K + t] = H[K + t, K + t - 1] = both[below].sum()
        return H


def specify_ordered(model: OrderedChoice, table: Any) -> tuple[OrderedLikelihood, pd.DataFrame]:
    """Put an ordered model over a table; return also the table as it was read.

    Parameters
    ----------
    model
        The specification.
    table
        A pandas, polars, Arrow or DuckDB table, one row an observation.

    Raises
    ------
    DataError
        If a column is missing, a value is not finite or not a level, or a level never occurs.
    SpecificationError
        If the formula cannot be read, or the levels have no order.
    """
    frame = to_pandas(table)
    require_columns(frame, [model.outcome])
    levels, codes = _levels(frame[model.outcome], model)
    terms = expand(model.formula, frame, drop_intercept=True)
    if any(model.outcome in term.variables for term in terms):
        raise SpecificationError(f"the outcome '{model.outcome}' stands in its own formula.")
    layout = OrderedLayout(terms, levels, model.link)
    weights = np.ones(len(frame))
    if model.weights is not None:
        weights = numeric_column(frame, model.weights)
        bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if len(bad):
            raise DataError(
                f"the weights '{model.weights}' must be finite and not negative; rows "
                f"{enumerate_some(bad.tolist())} are not."
            )
    return OrderedLikelihood(layout, layout.design(frame), codes, weights), frame


def _levels(column: "pd.Series[Any]", model: OrderedChoice) -> tuple[tuple[Level, ...], Ints]:
    """Return the levels in their order and the position of each outcome."""
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise DataError(
            f"the outcome '{model.outcome}' is missing in {len(missing):,} rows (first: rows "
            f"{enumerate_some(missing.tolist())}); drop them."
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.rename_categories(list(map(plain_level, column.cat.categories)))
    elif column.dtype == object:
        column = column.map(plain_level)
    levels: tuple[Level, ...]
    if model.levels is not None:
        levels = tuple(model.levels)
    elif isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        levels = tuple(column.cat.categories.tolist())
    elif pd.api.types.is_numeric_dtype(column):
        levels = tuple(_plain(level) for level in np.unique(column.to_numpy()).tolist())
    else:
        raise SpecificationError(
            f"the outcome '{model.outcome}' is text, which has no order; list the levels from the "
            "lowest to the highest with levels=."
        )
    codes = pd.Index(levels).get_indexer(pd.Index(column.to_numpy()))
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        raise DataError(
            f"the outcome '{model.outcome}' holds {column.iloc[int(unknown[0])]!r} in row "
            f"{unknown[0]}, which is none of the levels {', '.join(map(str, levels))}."
        )
    counts = np.bincount(codes, minlength=len(levels))
    if len(levels) < 2 or (counts == 0).any():
        empty = [str(level) for level, count in zip(levels, counts, strict=True) if count == 0]
        what = f"never takes the level {enumerate_some(empty)}" if empty else "has a single level"
        raise DataError(
            f"the outcome '{model.outcome}' {what}: its thresholds are not identified; merge the "
            "level with a neighbour."
        )
    return levels, codes.astype(np.int64)


def _plain(level: float) -> float:
    return int(level) if isinstance(level, float) and level.is_integer() else level


def _log_interval(low: Array, high: Array, link: str) -> Array:
    """Return ``log(F(high) - F(low))``, in the tail where F is small."""
    from scipy.special import log_expit, log_ndtr

    log_cdf = log_expit if link == "logit" else log_ndtr
    upper_tail = low > 0
    a, b = np.where(upper_tail, -high, low), np.where(upper_tail, -low, high)
    top = log_cdf(b)
    return np.asarray(top + np.log1p(-np.exp(log_cdf(a) - top)))


def _density(z: Array, logp: Array, link: str) -> tuple[Array, Array]:
    """Return ``f(z) / P`` and ``f'(z) / P`` for finite z, and zeros at infinity."""
    from scipy.special import log_expit

    finite = np.isfinite(z)
    at = np.where(finite, z, 0.0)
    if link == "logit":
        log_density, bend = log_expit(at) + log_expit(-at), -np.tanh(at / 2)
    else:
        log_density, bend = -0.5 * (at**2 + np.log(2 * np.pi)), -at
    ratio = np.where(finite, np.exp(np.where(finite, log_density - logp, -np.inf)), 0.0)
    return ratio, ratio * bend
