"""Estimated fixed effects: normalized, labelled, looked up and stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some
from choicemodels.flows.factor import Factor
from choicemodels.formula import term_values
from choicemodels.frames import require_columns
from choicemodels.utility import Term

if TYPE_CHECKING:
    # Kernels are not loaded by those who only read results.
    from estimation.gravity.absorb import Effects

__all__ = ["EffectEstimate", "label_effects", "refuse_unconnected"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class EffectEstimate:
    """The estimated levels of one fixed effect, or its slopes of one variable.

    Attributes
    ----------
    name : str
        Such as ``"origin^year"``, or ``"origin[log(distance)]"`` for slopes.
    levels : tuple of Index
        All labels of each joined column.
    codes : ndarray of int64, shape (L,)
        Ascending; the last column varies fastest.
    values : ndarray, shape (L,)
    variable : str
        The expression with these slopes; empty for levels.
    sets : ndarray of int64, shape (L,), or None
        Of two effects in levels, which connected set of rows each level belongs to; None if all
        are connected, or there is another number of effects.
    """

    name: str
    levels: tuple[pd.Index, ...]
    codes: NDArray[np.int64]
    values: Array
    variable: str = ""
    sets: Codes | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the joined columns."""
        return self.name.removesuffix(f"[{self.variable}]").split("^")

    def series(self) -> "pd.Series[float]":
        """Return the values with their labels as index."""
        codes, digits = self.codes, []
        for level in reversed(self.levels):
            codes, digit = np.divmod(codes, len(level))
            digits.append(level.take(digit))
        if len(digits) == 1:
            index = digits[0].rename(self.name)
        else:
            index = pd.MultiIndex.from_arrays(digits[::-1], names=self.columns)
        return pd.Series(self.values.copy(), index=index, name=self.name)

    def at(self, frame: pd.DataFrame) -> Array:
        """Return what the effect adds to eta in each row of a table.

        Raises
        ------
        DataError
            If a row has a level that the estimation did not see, or the variable is missing.
        """
        values = self.values[self.positions(frame)]
        return values * self.variable_at(frame) if self.variable else values

    def variable_at(self, frame: pd.DataFrame) -> Array:
        """Return the variable with slopes in each row of a table."""
        values = term_values(Term(self.name, (self.variable,)), frame, what="the new table")
        return np.array(np.broadcast_to(values, len(frame)))

    def positions(self, frame: pd.DataFrame) -> Codes:
        """Return where in ``codes`` the level of each row of a table stands.

        Raises
        ------
        DataError
            If a row has a level that the estimation did not see.
        """
        require_columns(frame, self.columns, what="the new table")
        code = np.zeros(len(frame), dtype=np.int64)
        unknown = np.zeros(len(frame), dtype=np.bool_)
        for column, level in zip(self.columns, self.levels, strict=True):
            digit = level.get_indexer(pd.Index(frame[column]))
            unknown |= digit < 0
            code = code * len(level) + np.maximum(digit, 0)
        place = np.minimum(np.searchsorted(self.codes, code), len(self.codes) - 1)
        unknown |= self.codes[place] != code
        if unknown.any():
            rows = np.flatnonzero(unknown)
            label = "^".join(str(frame[column].iloc[rows[0]]) for column in self.columns)
            raise DataError(
                f"{len(rows):,} rows have a level of '{self.name}' that was not estimated "
                f"(row {rows[0]} has {label}); predict only for levels among the rows used."
            )
        return place.astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists for JSON.

        Raises
        ------
        DataError
            If a label is of a kind that a file cannot hold.
        """
        return {
            "name": self.name,
            "levels": [_level_to_dict(level) for level in self.levels],
            "codes": self.codes.tolist(),
            "values": self.values.tolist(),
            "variable": self.variable,
            "sets": None if self.sets is None else self.sets.tolist(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "EffectEstimate":
        """Rebuild from :meth:`to_dict`."""
        return cls(
            stored["name"],
            tuple(_level_from_dict(level) for level in stored["levels"]),
            np.asarray(stored["codes"], dtype=np.int64),
            np.asarray(stored["values"], dtype=np.float64),
            stored["variable"],
            None if stored["sets"] is None else np.asarray(stored["sets"], dtype=np.int64),
        )


def _level_to_dict(level: pd.Index) -> dict[str, Any]:
    """Return labels as JSON knows them, and their type; what is no number becomes text."""
    if isinstance(level, pd.IntervalIndex):
        ends = [_level_to_dict(side) for side in (level.left, level.right)]
        return {"dtype": "interval", "closed": level.closed, "labels": ends}
    if level.inferred_type == "date":
        return {"dtype": "date", "labels": [day.isoformat() for day in level]}
    dated = isinstance(level, pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex)
    labels = [
        label.item() if isinstance(label, np.generic) else label
        for label in (level.map(str) if dated else level).tolist()
    ]
    strange = [label for label in labels if not isinstance(label, str | int | float)]
    if strange:
        raise DataError(
            f"the label {strange[0]!r} of a fixed effect is a {type(strange[0]).__name__}, which "
            "cannot be saved; make the column text or numbers before the fit."
        )
    return {"dtype": str(level.dtype), "labels": labels}


def _level_from_dict(stored: Mapping[str, Any]) -> pd.Index:
    """Rebuild labels from :func:`_level_to_dict`."""
    labels, dtype = stored["labels"], stored["dtype"]
    if dtype == "interval":
        left, right = (_level_from_dict(side) for side in labels)
        return pd.IntervalIndex.from_arrays(left, right, closed=stored["closed"])
    if dtype == "date":
        return pd.Index([date.fromisoformat(day) for day in labels], dtype=object)
    found: pd.Index[Any] = pd.Index(labels).astype(dtype)
    return found


def refuse_unconnected(effects: Sequence[EffectEstimate], frame: pd.DataFrame) -> None:
    """Refuse rows that join levels of two connected sets, whose sum is not identified.

    Raises
    ------
    DataError
        If there are any, or a level was not estimated.
    """
    known = [(e.name, e.sets[e.positions(frame)]) for e in effects if e.sets is not None]
    if len(known) < 2:
        return
    (one, first), (two, second) = known
    rows = np.flatnonzero(first != second)
    if len(rows):
        raise DataError(
            f"{len(rows):,} rows (rows {enumerate_some(rows.tolist())}) join levels of '{one}' and "
            f"'{two}' that no chain of estimated rows connects, so that the sum of their effects "
            "is not identified; leave these rows out."
        )


def label_effects(
    coefficients: Sequence[Array],
    effects: "Effects | None",
    factors: Sequence[Factor],
    slopes: Sequence[tuple[Factor, str]] = (),
) -> tuple[EffectEstimate, ...]:
    """Bring the effects into the formula's order, normalize and label them.

    Parameters
    ----------
    coefficients
        Levels of each effect, in the order of ``effects.levels``.
    effects
        The arranged effects; None if the model has none.
    factors
        The effects in the formula's order.
    slopes
        Effect and variable of each set of slopes.
    """
    if effects is None:
        return ()
    order = [effects.first, *(j for j in range(len(factors)) if j != effects.first)]
    J = len(factors)
    values = dict(zip(order, coefficients[:J], strict=True))
    levels = dict(zip(order, effects.levels[:J], strict=True))
    sets = _normalize(values, effects)
    out = [
        _ascending(factor, "", levels[j], values[j], sets.get(j))
        for j, factor in enumerate(factors)
    ]
    for (factor, variable), found, slope in zip(
        slopes, effects.levels[J:], coefficients[J:], strict=True
    ):
        out.append(_ascending(factor, variable, found, slope))
    return tuple(out)


def _ascending(
    factor: Factor, variable: str, codes: Codes, values: Array, sets: Codes | None = None
) -> EffectEstimate:
    order = np.argsort(codes)
    name = f"{factor.name}[{variable}]" if variable else factor.name
    ordered = None if sets is None else sets[order]
    return EffectEstimate(name, factor.levels, codes[order], values[order], variable, ordered)


def _normalize(values: dict[int, Array], effects: "Effects") -> dict[int, Codes]:
    """Let each effect after the first sum to zero; of two, within each connected set.

    Returns the connected sets of the levels of each effect, if there are several.
    """
    if len(values) == 2:
        found = _connected_sets(effects)
        first, second = found[effects.first != 0], found[effects.first == 0]
        mean = np.bincount(second, weights=values[1]) / np.bincount(second)
        values[1] = values[1] - mean[second]
        values[0] = values[0] + mean[first]
        return {0: first, 1: second} if len(mean) > 1 else {}
    for j in range(1, len(values)):
        mean = values[j].mean()
        values[j] = values[j] - mean
        values[0] = values[0] + mean
    return {}


def _connected_sets(effects: "Effects") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the connected set of each level: of the sorted effect, and of the other."""
    # The sparse graphs of scipy take a while to load, and few results need them.
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    G, L = len(effects.starts) - 1, int(effects.offsets[1])
    group = np.repeat(np.arange(G), np.diff(effects.starts))
    links = coo_matrix(
        (np.ones(len(group)), (group, effects.columns.codes[0] + G)), shape=(G + L, G + L)
    )
    labels = connected_components(links, directed=False)[1].astype(np.int64)
    return labels[:G], labels[G:]
