"""Origin–destination flows: one row a pair (and period), zeros kept, gaps stated."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import numeric_column, require_columns, to_pandas

__all__ = ["Factor", "FlowData", "MissingPairs"]

# Codes stay 64-bit: the product of two level counts soon outgrows 32 bits.
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Factor:
    """A categorical column, or several joined by ``^``, as integers.

    Attributes
    ----------
    name : str
        As in the formula, e.g. ``"origin^year"``.
    codes : ndarray of int64, shape (N,)
        Between 0 and ``size - 1``; not every code need occur.
    levels : tuple of Index
        The labels of each joined column; the last varies fastest in the code.
    """

    name: str
    codes: Codes
    levels: tuple[pd.Index, ...]

    @property
    def size(self) -> int:
        """Number of codes that could occur."""
        return int(np.prod([len(level) for level in self.levels], dtype=np.int64))

    def labels(self, codes: Codes) -> pd.Index:
        """Return the labels of ``codes``; for joined columns as ``"AT11^2006"``."""
        parts: list[pd.Index[Any]] = []
        for level in reversed(self.levels):
            codes, digit = np.divmod(codes, len(level))
            parts.append(level.take(digit))
        if len(parts) == 1:
            return parts[0]
        text = [part.map(str) for part in reversed(parts)]
        return pd.Index(["^".join(pieces) for pieces in zip(*text, strict=True)], dtype=object)


@dataclass(frozen=True)
class MissingPairs:
    """Pairs of an observed origin and an observed destination without a row.

    A missing pair is not a zero: nobody said that nobody moved.

    Attributes
    ----------
    count : int
        Missing combinations, summed over the periods; pairs within one place not counted.
    intrazonal : int
        Missing combinations of a place with itself.
    example : tuple or None
        The first of them, as (origin, destination) or (origin, destination, time).
    """

    count: int
    intrazonal: int
    example: tuple[object, ...] | None

    def __str__(self) -> str:
        if self.example is None:
            return "none" + (f" ({self.intrazonal:,} intrazonal)" if self.intrazonal else "")
        where = " → ".join(map(str, self.example[:2]))
        when = f" in {self.example[2]}" if len(self.example) > 2 else ""
        return f"{self.count:,} (such as {where}{when}), and {self.intrazonal:,} intrazonal"


@dataclass(frozen=True, eq=False)
class FlowData:
    """Flows between places, validated once.

    Parameters
    ----------
    table
        A pandas, polars, Arrow or DuckDB table with one row for each origin, destination
        (and period). It is copied; other columns are kept for formulas.
    origin, destination, flow : str
        Names of the columns. Flows are counts or amounts, zero or more.
    time : str, optional
        Name of the column with the period.

    Raises
    ------
    DataError
        If the table is empty, a column is missing, a flow is negative, not finite or not a
        number, a label is missing, or a pair has two rows; the message names the rows.
    """

    table: pd.DataFrame
    origin: str
    destination: str
    flow: str
    time: str | None = None

    def __post_init__(self) -> None:
        frame = to_pandas(self.table, what="the flow table")
        roles = [self.origin, self.destination, self.flow] + ([self.time] if self.time else [])
        require_columns(frame, roles, what="the flow table")
        if len(set(roles)) < len(roles):
            raise DataError(
                f"origin, destination, flow and time must be different columns; got {roles}."
            )
        object.__setattr__(self, "table", frame)
        object.__setattr__(self, "_flows", _checked_flows(frame, self.flow))
        self._refuse_duplicates()

    def _refuse_duplicates(self) -> None:
        keys = self.factor("^".join(f"`{name}`" for name in self._keys))
        if keys.size <= 8 * len(keys.codes) + 1024:
            repeated = bool((np.bincount(keys.codes, minlength=1) > 1).any())
        else:
            repeated = pd.Index(keys.codes).has_duplicates
        if not repeated:
            return
        twins = np.flatnonzero(pd.Series(keys.codes).duplicated(keep=False))
        first = twins[keys.codes[twins] == keys.codes[twins[0]]]
        label = keys.labels(keys.codes[twins[:1]])[0].replace("^", " → ", 1).replace("^", " in ")
        raise DataError(
            f"{len(twins):,} rows repeat a pair: {label} stands in rows "
            f"{enumerate_some(first.tolist())}; add them up, or name the column that tells them "
            "apart as time=."
        )

    def with_flow(self, name: str) -> Self:
        """Return the same rows with another flow column.

        Coded columns are shared and the pairs are not checked again.

        Raises
        ------
        DataError
            If the column is missing, has another role, or holds what is no flow.
        """
        if name in self._keys:
            raise DataError(f"'{name}' names the places or periods; the flow is another column.")
        other = copy(self)
        object.__setattr__(other, "flow", name)
        object.__setattr__(other, "_flows", _checked_flows(self.table, name))
        return other

    @property
    def _keys(self) -> list[str]:
        return [self.origin, self.destination] + ([self.time] if self.time else [])

    @property
    def y(self) -> NDArray[np.float64]:
        """The flows, read-only, shape (N,)."""
        flows: NDArray[np.float64] = self.__dict__["_flows"]
        return flows

    @property
    def nobs(self) -> int:
        """Number of rows."""
        return len(self.table)

    def __len__(self) -> int:
        return self.nobs

    @cached_property
    def intrazonal(self) -> NDArray[np.bool_]:
        """Whether a row's origin is its destination, shape (N,)."""
        o, d = self._column(self.origin), self._column(self.destination)
        same = d.levels[0].get_indexer(o.levels[0])
        return np.asarray(same[o.codes] == d.codes)

    @cached_property
    def missing_pairs(self) -> MissingPairs:
        """Combinations of observed origins, destinations and periods that have no row."""
        keys = self.factor("^".join(f"`{name}`" for name in self._keys))
        o, d = keys.levels[0], keys.levels[1]
        periods = keys.size // (len(o) * len(d))
        within = len(o.intersection(d)) * periods
        present_within = int(self.intrazonal.sum())
        count = (keys.size - within) - (self.nobs - present_within)
        example = self._first_gap(keys) if count else None
        return MissingPairs(int(count), within - present_within, example)

    def _first_gap(self, keys: Factor) -> tuple[object, ...] | None:
        present = np.unique(keys.codes)
        place = keys.levels[1].get_indexer(keys.levels[0])
        D = len(keys.levels[1])
        periods = keys.size // (len(keys.levels[0]) * D)
        # Rows follow each other by one, but at a gap; look at a few gaps to pass intrazonal ones.
        edges = np.concatenate(([-1], present, [keys.size]))
        for after in np.flatnonzero(np.diff(edges) > 1):
            for code in range(int(edges[after]) + 1, int(edges[after + 1])):
                o, d = code // periods // D, code // periods % D
                if place[o] != d:
                    digits = (o, d) if len(keys.levels) == 2 else (o, d, code % periods)
                    return tuple(level[i] for level, i in zip(keys.levels, digits, strict=True))
        return None

    def factor(self, name: str) -> Factor:
        """Return a column, or several joined by ``^``, as integer codes.

        Parameters
        ----------
        name
            For example ``"origin"`` or ``"origin^year"``; names may stand in backticks.

        Raises
        ------
        DataError
            If a column is missing or lacks labels in some rows.
        """
        parts = [part.strip().strip("`") for part in name.split("^")]
        if not all(parts):
            raise SpecificationError(f"'{name}' joins columns with '^', but one has no name.")
        factors = [self._column(part) for part in parts]
        codes = factors[0].codes
        for other in factors[1:]:
            codes = codes * other.size + other.codes
        levels = tuple(factor.levels[0] for factor in factors)
        return Factor("^".join(parts), codes, levels)

    def _column(self, name: str) -> Factor:
        """Turn one column into numbers, labels in sorted order; done once a column."""
        known: dict[str, Factor] = self.__dict__.setdefault("_factors", {})
        if name not in known:
            require_columns(self.table, [name], what="the flow table")
            codes, levels = _sorted_codes(self.table[name])
            missing = np.flatnonzero(codes < 0)
            if len(missing):
                raise DataError(
                    f"column '{name}' of the flow table has no label in {len(missing):,} rows "
                    f"(rows {enumerate_some(missing.tolist())}); drop them or fill them in."
                )
            known[name] = Factor(name, codes.astype(np.int64), (levels,))
        return known[name]

    def describe(self) -> pd.DataFrame:
        """Return a table of what is there: sizes, zeros, intrazonal rows, gaps and the total."""
        o, d = self._column(self.origin), self._column(self.destination)
        rows: dict[str, object] = {
            "rows": self.nobs,
            "origins": o.size,
            "destinations": d.size,
            "periods": self._column(self.time).size if self.time else 1,
            "zero flows": int((self.y == 0).sum()),
            "share of zero flows": float((self.y == 0).mean()),
            "intrazonal rows": int(self.intrazonal.sum()),
            "missing pairs": self.missing_pairs.count,
            "missing intrazonal pairs": self.missing_pairs.intrazonal,
            "total flow": float(self.y.sum()),
        }
        return pd.Series(rows, dtype=object).to_frame("value")

    def to_matrix(self, period: object | None = None) -> pd.DataFrame:
        """Return the flows as a matrix, origins by destinations; missing pairs are NaN.

        Parameters
        ----------
        period
            Which period; needed if there are several.

        Raises
        ------
        DataError
            If the period is not given where it is needed, or does not occur.
        """
        if self.time is None:
            return self._wide(slice(None))
        time = self._column(self.time)
        periods: Sequence[Any] = time.levels[0].tolist()
        if period is None and len(periods) == 1:
            period = periods[0]
        if period not in periods:
            raise DataError(
                f"period {period!r} is not in column '{self.time}'; choose one of: "
                f"{enumerate_some(periods)}."
            )
        return self._wide(time.codes == periods.index(period))

    def _wide(self, rows: Any) -> pd.DataFrame:
        o, d = self._column(self.origin), self._column(self.destination)
        matrix = np.full((o.size, d.size), np.nan)
        matrix[o.codes[rows], d.codes[rows]] = self.y[rows]
        index = o.levels[0].rename(self.origin)
        return pd.DataFrame(matrix, index=index, columns=d.levels[0].rename(self.destination))


def _checked_flows(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column of flows, read-only, and refuse what is no flow."""
    y = numeric_column(frame, name, what="the flow table")
    _refuse(~np.isfinite(y), name, "not a finite number", "drop them or fill them in", y)
    _refuse(y < 0, name, "negative", "flows count moves and cannot be below zero", y)
    y.flags.writeable = False
    return y


def _refuse(bad: NDArray[np.bool_], name: str, what: str, remedy: str, y: Any) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise DataError(
            f"the flow column '{name}' is {what} in {len(rows):,} rows (rows "
            f"{enumerate_some(rows.tolist())}; the first holds {y[rows[0]]}); {remedy}."
        )


def _sorted_codes(column: "pd.Series[Any]") -> tuple[Codes, pd.Index]:
    """Factorize a column, its levels sorted where they can be."""
    try:
        codes, levels = pd.factorize(column, sort=True)
    except TypeError:  # labels of mixed kinds have no order
        codes, levels = pd.factorize(column)
    if isinstance(levels, pd.CategoricalIndex):
        levels = levels.astype(levels.categories.dtype)
    return codes, pd.Index(levels)
