"""Flows as they would be with other regressors: what a gravity model says of a scenario."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, EstimationError, SpecificationError, enumerate_some
from choicemodels.flows.flowdata import FlowData
from choicemodels.formula import term_values
from choicemodels.frames import closest, require_columns, to_pandas
from choicemodels.utility import Term, evaluate
from estimation.gravity.result import GravityResult, Sample

__all__ = ["FlowScenario", "flow_scenario", "period_rows"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FlowScenario:
    """A change of the regressors behind N x N flows.

    Attributes
    ----------
    places : tuple of str, length N
    change : ndarray, shape (K, N, N)
        New less old values of each regressor.
    offset : ndarray, shape (N, N)
        What changes without an estimated coefficient: offset, and slopes of fixed effects.
    text : str
        What is changed, for a summary.
    """

    places: tuple[str, ...]
    change: Array
    offset: Array
    text: str

    def log_partial(self, estimate: Array) -> Array:
        """Return the logarithm of each flow's ratio, all effects held, shape (N, N)."""
        log_ratio: Array = np.tensordot(estimate, self.change, axes=1) + self.offset
        return log_ratio


def flow_scenario(
    result: GravityResult, scenario: Any, where: str, period: Any, *, fitted: bool
) -> tuple[FlowScenario, Array]:
    """Lay a scenario and the flows of the baseline out over all pairs of places.

    Parameters
    ----------
    result
        With its data.
    scenario, where, period
        As in :func:`estimation.equilibrium.trade.counterfactual`.
    fitted
        Return expected flows, not observed ones.

    Returns
    -------
    scenario : FlowScenario
    flows : ndarray, shape (N, N)

    Raises
    ------
    EstimationError
        If the result has no data.
    DataError
        If a pair has no row.
    SpecificationError
        If the scenario names an unknown column or place, or moves no regressor.
    """
    if result.sample is None:
        raise EstimationError(
            "this result was read from a file, without its flows; fit again for a counterfactual."
        )
    data = result.sample.data
    rows = period_rows(data, period)
    places, cells = _grid(data, rows)
    before = data.table.iloc[rows].reset_index(drop=True)
    _refuse_levels(result, scenario)
    after, text = _changed(before, data, scenario, where)
    N = len(places)
    change, offset = np.zeros((len(result.terms), N * N)), np.zeros(N * N)
    for k, term in enumerate(result.terms):
        change[k, cells] = _difference(term, before, after)
    if result.offset:
        offset[cells] = _difference(Term("offset", (result.offset,)), before, after)
    for effect in result.effects:
        if effect.variable:
            offset[cells] += effect.at(after) - effect.at(before)
    if not (change.any() or offset.any()):
        raise SpecificationError(
            f"the scenario ({text}) changes none of the regressors "
            f"{', '.join(result.names)} in the chosen rows, so nothing would follow from it."
        )
    y = _expected(result, result.sample)[rows] if fitted else data.y[rows]
    flows = np.empty(N * N)
    flows[cells] = y
    laid_out = FlowScenario(places, change.reshape(-1, N, N), offset.reshape(N, N), text)
    return laid_out, flows.reshape(N, N)


def period_rows(data: FlowData, period: Any) -> Ints:
    """Return the rows of one period, which may be left out where there is one.

    Raises
    ------
    SpecificationError
        If the period is needed and not given, or does not occur.
    """
    if data.time is None:
        if period is not None:
            raise SpecificationError("the flows have no periods; leave period= out.")
        return np.arange(data.nobs)
    time = data.factor(f"`{data.time}`")
    periods = time.levels[0].tolist()
    if period is None and len(periods) == 1:
        period = periods[0]
    if period not in periods:
        raise SpecificationError(
            f"period {period!r} is not in column '{data.time}'; the baseline is one of: "
            f"{enumerate_some(periods)}."
        )
    return np.flatnonzero(time.codes == periods.index(period))


def _grid(data: FlowData, rows: Ints) -> tuple[tuple[str, ...], Ints]:
    """Return the places and the position of each row in the grid of all pairs."""
    o, d = data.factor(f"`{data.origin}`"), data.factor(f"`{data.destination}`")
    origins = o.levels[0].take(np.unique(o.codes[rows]))
    destinations = d.levels[0].take(np.unique(d.codes[rows]))
    alone = origins.symmetric_difference(destinations)
    if len(alone):
        raise DataError(
            f"{len(alone)} places are origins or destinations alone "
            f"({enumerate_some(alone.tolist())}); a closed economy needs each as both."
        )
    N = len(origins)
    i = origins.get_indexer(o.levels[0].take(o.codes[rows]))
    j = origins.get_indexer(d.levels[0].take(d.codes[rows]))
    missing = np.ones((N, N), dtype=bool)
    missing[i, j] = False
    names = tuple(map(str, origins))
    if np.diag(missing).any():
        lost = [names[k] for k in np.flatnonzero(np.diag(missing))]
        raise DataError(
            f"{len(lost)} places ({enumerate_some(lost)}) have no row for the flow within the "
            "place; general equilibrium needs what each place sells at home: its output less its "
            "exports."
        )
    if missing.any():
        first = np.argwhere(missing)[0]
        raise DataError(
            f"{int(missing.sum())} pairs of places have no row (such as {names[first[0]]} → "
            f"{names[first[1]]}); give each a flow, zero where there was none."
        )
    return names, (i * N + j).astype(np.int64)


def _changed(
    before: pd.DataFrame, data: FlowData, scenario: Any, where: str
) -> tuple[pd.DataFrame, str]:
    """Return the rows with their new values, and what is changed."""
    if not isinstance(scenario, Mapping):
        if where:
            raise SpecificationError("where= goes with new values, not with a table of all rows.")
        return _matched(before, data, scenario), "a table"
    if not scenario:
        raise SpecificationError(
            "the scenario is empty; write for example {'agreement': 0} to take an agreement away."
        )
    rows = np.ones(len(before), dtype=bool)
    if where:
        rows = np.broadcast_to(evaluate(where, before) != 0, len(before))
        if not rows.any():
            raise SpecificationError(
                f"where='{where}' holds for no pair; look at the names in the flow table."
            )
    after = before.copy()
    for column, value in scenario.items():
        if column not in before:
            raise SpecificationError(
                f"the flow table has no column '{column}'{closest(column, map(str, before))}; a "
                "scenario changes columns that the model uses."
            )
        after[column] = np.where(rows, _new_value(column, value, before), before[column])
    text = ", ".join(f"{column} = {value}" for column, value in scenario.items())
    return after, text + (f" where {where}" if where else "")


def _new_value(column: str, value: Any, before: pd.DataFrame) -> Array:
    """Return the number, or the values of the expression, that a column is set to."""
    table = "to give each row a value of its own, pass a table of all rows"
    if not pd.api.types.is_numeric_dtype(before[column]):
        raise SpecificationError(
            f"'{column}' is set to {value!r}, but the column holds labels, and what a scenario "
            f"sets is a number; {table}."
        )
    if isinstance(value, str):
        return evaluate(value, before)
    if not isinstance(value, Real):
        raise SpecificationError(
            f"'{column}' is set to a {type(value).__name__}; give one number, or an expression "
            f"such as '0.9 * {column}'; {table}."
        )
    return np.asarray(float(value))


def _refuse_levels(result: GravityResult, scenario: Any) -> None:
    """Refuse new values of columns that say to which fixed effects a flow belongs."""
    columns = {name for effect in result.effects for name in effect.columns}
    named = sorted(columns & set(scenario)) if isinstance(scenario, Mapping) else []
    if named:
        raise SpecificationError(
            f"'{named[0]}' is part of a fixed effect, which stands for what a scenario leaves as "
            "it is; change regressors."
        )


def _matched(before: pd.DataFrame, data: FlowData, table: Any) -> pd.DataFrame:
    """Put the rows of a new table in the order of the old ones."""
    frame = to_pandas(table, what="the scenario")
    keys = [data.origin, data.destination]
    if data.time is not None and data.time in frame:
        frame = frame[frame[data.time] == before[data.time].iloc[0]]
    require_columns(frame, keys, what="the scenario")
    new = pd.MultiIndex.from_frame(frame[keys])
    if new.has_duplicates:
        o, d = new[new.duplicated()][0]
        raise DataError(f"the scenario has several rows for {o} → {d}; give each pair one.")
    found = new.get_indexer(pd.MultiIndex.from_frame(before[keys]))
    if (found < 0).any():
        o, d = before[keys].iloc[int(np.flatnonzero(found < 0)[0])]
        raise DataError(
            f"the scenario has no row for {int((found < 0).sum())} pairs (such as {o} → {d}); "
            "give every pair of the baseline one."
        )
    return frame.iloc[found].reset_index(drop=True)


def _difference(term: Term, before: pd.DataFrame, after: pd.DataFrame) -> Array:
    """Return new less old values of a term, shape (R,)."""
    old = term_values(term, before, what="the flow table")
    return np.broadcast_to(term_values(term, after, what="the scenario") - old, len(before))


def _expected(result: GravityResult, sample: Sample) -> Array:
    """Return the expected flow of every row; rows that were left out are met exactly."""
    weightless = (result.dropped["reason"] == "no weight").any()
    if weightless:
        raise SpecificationError(
            "rows of no weight have no expected flow; take baseline='observed', or give every "
            "row a weight."
        )
    mu = sample.data.y.copy()
    mu[sample.rows] = sample.mu
    return mu
