"""Origin–destination flows: one row a pair (and period), zeros kept, gaps stated."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.flows.attach import attach, covariates, match_rows
from choicemodels.flows.factor import Factor, factor_of, outnumber
from choicemodels.flows.gaps import MissingPairs, fill_gaps, find_gaps
from choicemodels.flows.matrices import refuse_two_types, stack_matrices, stack_matrix
from choicemodels.frames import numeric_column, require_columns, to_pandas

__all__ = ["FlowData"]


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
    record : mapping of str to number
        What was done on the way to these rows, such as ``{"pairs filled with 0": 12}``;
        :meth:`describe` shows it.

    Raises
    ------
    DataError
        If the table is empty, a column is missing, a flow is negative, not finite or not a
        number, a label is missing, or a pair has two rows; the message names the rows. If the
        same places are text on one side and numbers on the other.
    """

    table: pd.DataFrame
    origin: str
    destination: str
    flow: str
    time: str | None = None
    record: Mapping[str, float] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        frame = to_pandas(self.table, what="the flow table")
        roles = [self.origin, self.destination, self.flow]
        roles += [] if self.time is None else [self.time]
        require_columns(frame, roles, what="the flow table")
        if len(set(roles)) < len(roles):
            raise DataError(
                f"origin, destination, flow and time must be different columns; got {roles}."
            )
        object.__setattr__(self, "table", frame)
        object.__setattr__(self, "_flows", _checked_flows(frame, self.flow))
        o, d = (self._column(name).levels[0] for name in (self.origin, self.destination))
        refuse_two_types(o, d, "the origins and destinations of the flow table")
        self._refuse_duplicates()

    def _refuse_duplicates(self) -> None:
        keys = self._pairs
        if not outnumber(keys.size, len(keys.codes)):
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

    @classmethod
    def from_matrix(
        cls,
        matrix: Any,
        *,
        origins: Sequence[Any] | None = None,
        destinations: Sequence[Any] | None = None,
        origin: str = "origin",
        destination: str = "destination",
        flow: str = "flow",
        time: str = "time",
    ) -> Self:
        """Take a matrix of flows, origins by destinations, or one for each period.

        A missing cell (NaN) is a missing pair and gets no row; a zero is a flow of zero.

        Parameters
        ----------
        matrix
            A DataFrame labelled by places, an array of shape (O, D), or a dict of such by
            period.
        origins, destinations
            Labels of an array; without ``destinations`` those of the origins.
        origin, destination, flow, time
            What to call the columns.

        Raises
        ------
        DataError
            If labels are missing, repeat or do not fit, or a cell is no flow.
        """
        if isinstance(matrix, Mapping):
            names = (origin, destination, flow, time)
            table, missing = stack_matrices(matrix, names, origins, destinations)
            return cls(table, *names, record={"missing cells": missing})
        columns = (origin, destination, flow)
        table, missing = stack_matrix(matrix, columns, origins, destinations)
        return cls(table, *columns, record={"missing cells": missing})

    @classmethod
    def from_cells(
        cls,
        source: Any,
        *,
        origin: str,
        destination: str,
        flow: str | None = None,
        time: str | None = None,
        name: str = "flow",
    ) -> Self:
        """Add up microdata, or cells finer than pairs, without loading them.

        DuckDB reads the source once; only the sums come into memory, and what it cannot keep
        there meanwhile it puts into a temporary folder. Rows without a place or a finite flow
        are left out and counted. A pair without any row stays missing.

        Parameters
        ----------
        source
            A DuckDB relation, the path of a Parquet or CSV file or a list of such paths (with
            ``*`` for many), or a table.
        origin, destination
            Names of the columns.
        flow
            Column to add up; by default each row is one move.
        time
            Column of the period.
        name
            What to call the sums.

        Raises
        ------
        DataError
            If a file or column is missing, a flow is negative, or no row is left.
        """
        from choicemodels.flows.cells import add_up_cells

        keys = [origin, destination] + ([time] if time else [])
        table, record = add_up_cells(source, keys, flow, name)
        return cls(table, origin, destination, name, time, record=record)

    def with_columns(self, **columns: Any) -> Self:
        """Return the same flows with further columns, one value a row.

        Raises
        ------
        DataError
            If a column exists already, has another length, or is more than one column.
        """
        other = copy(self)
        object.__setattr__(other, "table", attach(self.table, columns))
        return other

    def with_places(
        self,
        table: Any,
        *,
        place: str = "place",
        time: str | None = None,
        columns: str | Sequence[str] | None = None,
    ) -> Self:
        """Attach covariates of places, as ``origin_...`` and ``destination_...``.

        Parameters
        ----------
        table
            One row for each place (and period).
        place
            Its column of the place; labels are compared as text.
        time
            Its column of the period, if the covariates change.
        columns
            What to attach; by default all other columns.

        Raises
        ------
        DataError
            If a place of the flows is not in the table, or twice, or a column exists already.
        SpecificationError
            If ``time`` is given to flows without periods.
        """
        frame = to_pandas(table, what="the table of places")
        if time and not self.time:
            raise SpecificationError("the flows have no periods; leave time= out.")
        keys = [place, time] if time else [place]
        chosen = covariates(frame, keys, columns, "the table of places")
        new: dict[str, Any] = {}
        for side, column in (("origin", self.origin), ("destination", self.destination)):
            factor = self.factor(f"`{column}`^`{self.time}`" if time else f"`{column}`")
            rows = match_rows(factor, frame, keys, "the table of places")
            new |= {f"{side}_{name}": frame[name].take(rows) for name in chosen}
        return self.with_columns(**new)

    def with_pairs(
        self,
        table: Any,
        *,
        origin: str | None = None,
        destination: str | None = None,
        time: str | None = None,
        columns: str | Sequence[str] | None = None,
        symmetric: bool = False,
    ) -> Self:
        """Attach covariates of pairs of places.

        Parameters
        ----------
        table
            One row for each pair (and period).
        origin, destination
            Its columns of the places; by default called as those of the flows.
        time
            Its column of the period, if the covariates change.
        columns
            What to attach; by default all other columns.
        symmetric
            The table has each pair once, and holds both ways.

        Raises
        ------
        DataError
            If a pair of the flows is not in the table, or twice, or a column exists already.
        SpecificationError
            If ``time`` is given to flows without periods.
        """
        frame = to_pandas(table, what="the table of pairs")
        if time and not self.time:
            raise SpecificationError("the flows have no periods; leave time= out.")
        keys = [origin or self.origin, destination or self.destination] + ([time] if time else [])
        chosen = covariates(frame, keys, columns, "the table of pairs")
        if symmetric:
            turned = frame.rename(columns={keys[0]: keys[1], keys[1]: keys[0]})
            other = turned[(frame[keys[0]] != frame[keys[1]]).to_numpy()]
            frame = pd.concat([frame, other], ignore_index=True)
        names = [self.origin, self.destination] + ([self.time] if time and self.time else [])
        factor = self.factor("^".join(f"`{name}`" for name in names))
        rows = match_rows(factor, frame, keys, "the table of pairs")
        return self.with_columns(**{name: frame[name].take(rows) for name in chosen})

    def with_matrix(self, matrix: Any, name: str) -> Self:
        """Attach a covariate of pairs that stands in a labelled matrix, such as travel time.

        Parameters
        ----------
        matrix
            DataFrame, origins by destinations; places that the flows lack are ignored.
        name
            What to call the column.

        Raises
        ------
        DataError
            If a pair of the flows has no cell or a missing one, the matrix has no labels, or the
            column exists already.
        """
        if not isinstance(matrix, pd.DataFrame):
            raise DataError(
                f"'{name}' is a {type(matrix).__name__}, which has no labels; give a DataFrame "
                "with the origins as its index and the destinations as its columns."
            )
        table, _ = stack_matrix(matrix, (self.origin, self.destination, name), what=f"'{name}'")
        return self.with_pairs(table)

    def complete(
        self,
        fill: float = 0.0,
        *,
        intrazonal: bool = False,
        places: str | Sequence[Any] | None = None,
    ) -> "FlowData":
        """Declare the missing pairs to be flows of zero, and give each a row.

        Only who made the data knows whether a pair without a row had no flow or was not
        observed; this says the former, and :meth:`describe` shows how many rows it made.
        Other columns are missing in these rows: attach covariates afterwards.

        Parameters
        ----------
        fill
            The flow declared.
        intrazonal
            Fill pairs of a place with itself too.
        places
            Place or places that belong to both sides, also if no row names them.

        Raises
        ------
        SpecificationError
            If the fill is negative or not finite.
        """
        if not (np.isfinite(fill) and fill >= 0):
            raise SpecificationError(f"fill is {fill}; a flow is finite, zero or more.")
        table, count = fill_gaps(
            self._pairs, self.table, self._keys, self.flow, fill, intrazonal, places
        )
        record = {**self.record, f"pairs filled with {fill:g}": count}
        return replace(self, table=table, record=record)

    def aggregate(
        self,
        crosswalk: Any,
        *,
        source: str = "from",
        target: str = "to",
        weight: str | None = "weight",
        sides: Sequence[str] = ("origin", "destination"),
    ) -> "FlowData":
        """Add up flows to other places by a crosswalk; the total stays.

        The flow of a pair goes to the pairs of target places in the product of their shares,
        which takes flows to be spread over a place as the weights are. What is missing stays
        so: a target pair of which no part is known has no row, and :meth:`describe` counts
        those of which some part is missing, whose sums are therefore too small. Other columns
        are not kept.

        Parameters
        ----------
        crosswalk
            A table with one row for each source place and a target place with a part of it.
        source, target, weight
            Names of its columns; ``weight=None`` if every source lies within one target.
        sides
            ``"origin"``, ``"destination"`` or both.

        Raises
        ------
        DataError
            If a place is not in the crosswalk, or the weights of a source do not sum to one.
        SpecificationError
            If ``sides`` is neither.
        """
        from choicemodels.flows.crosswalk import read_crosswalk
        from choicemodels.flows.regroup import regroup

        chosen = {sides} if isinstance(sides, str) else set(sides)
        if not chosen or not chosen <= {"origin", "destination"}:
            raise SpecificationError(f"sides is {sides}; it names 'origin', 'destination' or both.")
        table, record = regroup(self, read_crosswalk(crosswalk, source, target, weight), chosen)
        return replace(self, table=table, record={**self.record, **record})

    @property
    def _keys(self) -> list[str]:
        return [self.origin, self.destination] + ([self.time] if self.time else [])

    @property
    def _pairs(self) -> Factor:
        """What tells rows apart."""
        return self.factor("^".join(f"`{name}`" for name in self._keys))

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
        return find_gaps(self._pairs, int(self.intrazonal.sum()))

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
            known[name] = factor_of(self.table[name], name)
        return known[name]

    def describe(self) -> pd.DataFrame:
        """Return a table of what is there: sizes, zeros, intrazonal rows, gaps, total, record."""
        from choicemodels.flows.describe import describe

        return describe(self)

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
