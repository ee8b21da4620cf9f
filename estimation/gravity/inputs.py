"""What a gravity model reads from flow data, and the account of rows left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.flows.factor import Factor
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.formula import expand, term_values
from choicemodels.frames import numeric_column
from choicemodels.utility import Term
from estimation.gravity.absorb import Effects, Varying, arrange
from estimation.gravity.separation import Drop

__all__ = [
    "Inputs",
    "design",
    "list_certificates",
    "list_dropped_rows",
    "read_inputs",
    "regressors",
    "tabulate_drops",
    "varying",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a gravity model reads from the data, over all N rows.

    Attributes
    ----------
    model : Gravity
    data : FlowData
    terms : tuple of Term
        The regressors.
    factors : list of Factor
        The fixed effects in levels.
    weights : str or None
        Name of their column.
    w, offset : ndarray, shape (N,), or None
    """

    model: Gravity
    data: FlowData
    terms: tuple[Term, ...]
    factors: list[Factor]
    weights: str | None
    w: Array | None
    offset: Array | None

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Whether a row has some weight, shape (N,)."""
        return np.ones(self.data.nobs, dtype=np.bool_) if self.w is None else self.w > 0

    @property
    def weighted_flows(self) -> Array:
        """The flows times their weights, shape (N,)."""
        return self.data.y if self.w is None else self.w * self.data.y

    @property
    def offset_with_weights(self) -> Array | None:
        """What enters eta once weights are an offset too, shape (N,); None for nothing."""
        if self.w is None:
            return self.offset
        logs = np.log(np.where(self.w > 0, self.w, 1.0))
        return logs if self.offset is None else self.offset + logs

    def effects(self, rows: NDArray[np.int64]) -> Effects | None:
        """Arrange fixed effects and slopes over the rows at these positions; None if none."""
        if not self.factors:
            return None
        return arrange(
            [factor.codes[rows] for factor in self.factors],
            [factor.size for factor in self.factors],
            [
                replace(v, codes=v.codes[rows], values=v.values[rows])
                for v in varying(self.model, self.data)
            ],
        )


def read_inputs(model: Gravity, data: FlowData, weights: str | None = None) -> Inputs:
    """Read regressors, effects, weights and offset.

    Raises
    ------
    SpecificationError
        If the formula leaves nothing to estimate, or the weights are no name.
    DataError
        If a column is missing, or holds what it must not.
    """
    return Inputs(
        model,
        data,
        regressors(model, data),
        [data.factor(name) for name in model.effects],
        weights,
        _weights(weights, data),
        _offset(model.offset, data),
    )


def regressors(model: Gravity, data: FlowData) -> tuple[Term, ...]:
    """Expand the first part of the formula.

    Raises
    ------
    SpecificationError
        If the formula leaves nothing to estimate.
    """
    terms = expand(model.regressors, data.table, drop_intercept=bool(model.effects))
    if not terms and not model.effects:
        raise SpecificationError(f"the formula '{model.formula}' leaves nothing to estimate.")
    return terms


def design(terms: Sequence[Term], data: FlowData) -> Array:
    """Fill the regressors, shape (K, N), and refuse what is not finite."""
    X = np.empty((len(terms), data.nobs))
    for column, term in zip(X, terms, strict=True):
        column[:] = term_values(term, data.table)
    return X


def varying(model: Gravity, data: FlowData) -> list[Varying]:
    """Evaluate the variables with slopes by level."""
    out = []
    for slope in model.slopes:
        factor = data.factor(slope.effect)
        values = term_values(Term(slope.name, (slope.variable,)), data.table)
        base = model.effects.index(slope.effect) if slope.effect in model.effects else -1
        filled = np.array(np.broadcast_to(values, data.nobs))
        out.append(Varying(factor.codes, factor.size, filled, base))
    return out


def _weights(name: str | None, data: FlowData) -> Array | None:
    """Return the weights of all rows, and refuse what cannot be one."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise SpecificationError(
            f"weights is a {type(name).__name__}; give the name of a column of the flow table "
            "(with_columns adds one)."
        )
    w = numeric_column(data.table, name, what="the flow table")
    bad = np.flatnonzero(~(np.isfinite(w) & (w >= 0)))
    if len(bad):
        raise DataError(
            f"the weights '{name}' are negative or not finite in {len(bad):,} rows (rows "
            f"{enumerate_some(bad.tolist())}; the first holds {w[bad[0]]}); a weight is zero or "
            "more."
        )
    if not w.any():
        raise DataError(f"the weights '{name}' are zero in every row.")
    return w


def _offset(expression: str, data: FlowData) -> Array | None:
    """Return the offset of all rows."""
    if not expression.strip():
        return None
    values = term_values(Term("offset", (expression,)), data.table, what="the flow table")
    return np.array(np.broadcast_to(values, data.nobs))


def tabulate_drops(drops: Sequence[Drop]) -> pd.DataFrame:
    """Count dropped rows by reason and effect."""
    table = pd.DataFrame(
        [(drop.reason, drop.effect, len(drop.rows)) for drop in drops],
        columns=["reason", "effect", "rows"],
    )
    return table.groupby(["reason", "effect"], as_index=False, sort=False).sum()


def list_certificates(drops: Sequence[Drop]) -> "pd.Series[float]":
    """Return the certificate of each separated row, by its position in the data."""
    some = [pd.Series(d.certificate, index=d.rows) for d in drops if d.certificate is not None]
    empty = pd.Series(dtype=float, index=pd.Index([], dtype="int64"))
    return (pd.concat(some) if some else empty).rename("certificate").sort_index()


def list_dropped_rows(drops: Sequence[Drop]) -> "pd.Series[str]":
    """Return the reason of each dropped row, by its position in the data."""
    rows = [drop.rows for drop in drops]
    reasons = [np.full(len(drop.rows), drop.reason, dtype=object) for drop in drops]
    index = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    values = np.concatenate(reasons) if reasons else np.empty(0, dtype=object)
    return pd.Series(values, index=index, name="reason", dtype=object).sort_index()
