"""The census tables of a year, from what the census publishes to what a matrix can meet."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.frames import require_columns
from choicemodels.migration.areas import Areas, Level
from choicemodels.migration.census import CensusTables
from estimation.census.components import (
    Negative,
    emigrants,
    flows_with_departures,
    movers,
    nonmovers,
    rescale_flows,
    rescale_margins,
    survivors_after,
)
from estimation.census.labels import aligned, aligned_matrix, refuse_negative
from estimation.census.margins_of_error import sum_margin

__all__ = ["census_tables", "consistency"]

Array = NDArray[np.float64]
Rescale = Literal["none", "flows", "margins"]

_COUNTY_COLUMNS = ["before", "after", "births", "deaths", "net_international"]
_STATE_COLUMNS = ["same_house", "immigrants"]


def census_tables(
    areas: Areas,
    *,
    year: int,
    populations: "pd.Series[float]",
    counties: pd.DataFrame,
    states: pd.DataFrame,
    flows: pd.DataFrame,
    populations_moe: "pd.Series[float] | None" = None,
    flows_moe: pd.DataFrame | None = None,
    rescale: Rescale = "flows",
    negative: Negative = "refuse",
    county: str = "county",
    state: str = "state",
) -> CensusTables:
    """Bring the tables of a year to describe the people of a matrix of moves.

    Survivors by county, movers and non-movers by state of destination, and flows between states
    with who died or left the country on the diagonal: the functions of
    :mod:`estimation.census.components`, in that order [AgostiniYoungFitzpatrickGargPierson2025]_.

    Parameters
    ----------
    areas
        Block groups, with levels ``county`` and ``state``.
    year
        The year t.
    populations
        People by block group in t - 1, such as a column of
        :func:`~estimation.census.populations.yearly_populations`.
    counties
        One row a county, of the population estimates: ``before`` and ``after`` (people in t - 1
        and t), ``births``, ``deaths`` and ``net_international`` in between.
    states
        One row a state, of the survey of t: people in the ``same_house`` as a year ago and
        ``immigrants``; ``same_house_moe`` and ``immigrants_moe`` if they are known.
    flows
        People by state of origin (rows) and of destination, of the survey of t; on the diagonal
        who moved within the state or did not move.
    populations_moe, flows_moe
        Margins of error, as the estimates.
    rescale
        ``"flows"`` scales the flows to the people in t - 1; ``"margins"`` scales also the people
        of the counties to the row and column sums of the flows; ``"none"`` neither.
    negative
        What to do where a difference of two tables falls below zero: ``"refuse"`` it, or take
        it for ``"zero"`` with a warning.
    county, state
        Names of the levels.

    Raises
    ------
    DataError
        If a column, a label or a value is missing, people are negative, or a difference is; the
        message names the areas.
    SpecificationError
        If an option is unknown.
    """
    if rescale not in ("none", "flows", "margins"):
        raise SpecificationError(f"rescale is '{rescale}'; it is 'none', 'flows' or 'margins'.")
    pep = _read(counties, areas.level(county), county, _COUNTY_COLUMNS, "counties")
    acs = _read(states, areas.level(state), state, _STATE_COLUMNS, "states")
    people = aligned(populations, areas.labels, "the populations", f"level '{areas.name}'")
    refuse_negative(people, areas.labels, "the populations", "people are counted from zero")
    by_state = _add_up(pep, areas, county, state)
    left = emigrants(acs["immigrants"], by_state["net_international"], negative=negative)
    F = flows_with_departures(flows, by_state["deaths"], left)
    F = F.set_axis(F.index.map(str)).set_axis(F.columns.map(str), axis=1)
    F = pd.DataFrame(F.loc[acs.index, acs.index])
    before = pep["before"]
    after = survivors_after(
        pep["after"], pep["births"], pep["deaths"], pep["net_international"], negative=negative
    )
    scale = 1.0
    if rescale != "none":
        scale = float(before.sum() / F.to_numpy().sum())
        F = rescale_flows(F, float(before.sum()))
    if rescale == "margins":
        before = rescale_margins(before, F.sum(axis=1), areas, county, state)
        after = rescale_margins(after, F.sum(axis=0), areas, county, state)
    moved = movers(
        by_state["after"], acs["immigrants"], by_state["births"], acs["same_house"],
        negative=negative,
    )  # fmt: skip
    stayed = nonmovers(acs["same_house"], by_state["deaths"], left)
    return CensusTables(
        year=year,
        populations=pd.Series(people, index=areas.labels),
        movers=moved,
        stayers=stayed,
        flows=F,
        before=before,
        after=after,
        margins_of_error=_margins(areas, states, acs.index, populations_moe, flows_moe, scale),
    )


def _read(
    table: pd.DataFrame, level: Level, name: str, columns: list[str], what: str
) -> pd.DataFrame:
    """Return columns in the order of a level, refusing what is no number of people."""
    require_columns(table, columns, what=f"the table of {what}")
    found = {}
    for column in columns:
        called = f"the column '{column}' of {what}"
        values = aligned(table[column], level.labels, called, f"level '{name}'")
        # More can leave the country than come.
        if column != "net_international":
            refuse_negative(values, level.labels, called, "people are counted from zero")
        found[column] = values
    return pd.DataFrame(found, index=level.labels)


def _add_up(table: pd.DataFrame, areas: Areas, fine: str, coarse: str) -> pd.DataFrame:
    parents, outer = areas.parents(fine, coarse), areas.level(coarse)
    return pd.DataFrame(
        {
            name: np.bincount(parents, table[name].to_numpy(), minlength=outer.size)
            for name in table.columns
        },
        index=outer.labels,
    )


def _margins(
    areas: Areas,
    states: pd.DataFrame,
    labels: pd.Index,
    populations_moe: "pd.Series[float] | None",
    flows_moe: pd.DataFrame | None,
    scale: float,
) -> dict[str, "pd.Series[float] | pd.DataFrame"]:
    """Propagate margins of error; the population estimates have none."""
    known: dict[str, pd.Series[float] | pd.DataFrame] = {}
    if populations_moe is not None:
        values = aligned(populations_moe, areas.labels, "populations_moe", f"level '{areas.name}'")
        known["populations"] = pd.Series(values, index=areas.labels)
    survey = {
        name: aligned(states[f"{name}_moe"], labels, f"the column '{name}_moe'", "the states")
        for name in _STATE_COLUMNS
        if f"{name}_moe" in states.columns
    }
    if survey:
        # Both movers and non-movers are a sum or difference of the two and of exact numbers.
        both = pd.Series(sum_margin(np.stack(list(survey.values()))), index=labels)
        known |= {"movers": both, "stayers": both}
    if flows_moe is not None:
        m = aligned_matrix(flows_moe, labels, "flows_moe", "the states")
        if "immigrants" in survey:
            np.fill_diagonal(m, sum_margin(np.stack([np.diag(m), survey["immigrants"]])))
        known["flows"] = pd.DataFrame(m * scale, index=labels, columns=labels)
    return known


def consistency(
    tables: CensusTables,
    areas: Areas,
    *,
    tolerance: float = 1e-6,
    county: str = "county",
    state: str = "state",
) -> pd.DataFrame:
    """Compare what several tables say of the same people.

    Parameters
    ----------
    tables
    areas
        Block groups, with levels ``county`` and ``state``.
    tolerance
        By how much of the larger number two may differ and still count as equal.
    county, state
        Names of the levels.

    Returns
    -------
    DataFrame
        One row a pair of tables: the two, the level, people in each (``left``, ``right``), their
        difference relative to the left, how many areas differ, and by how much the one that
        differs most does (``largest``, ``where``). The last row tells where there are more
        non-movers than flows on the diagonal.

    Raises
    ------
    DataError
        If labels do not fit the areas.
    """
    inner, outer = areas.level(county), areas.level(state)
    parents = areas.parents(county, state)
    P = aligned(tables.populations, areas.labels, "the populations", f"level '{areas.name}'")
    of_state, of_county = f"level '{state}'", f"level '{county}'"
    before = aligned(tables.before, inner.labels, "the people before", of_county)
    after = aligned(tables.after, inner.labels, "the people after", of_county)
    moved = aligned(tables.movers, outer.labels, "the movers", of_state)
    stayed = aligned(tables.stayers, outer.labels, "the stayers", of_state)
    F = aligned_matrix(tables.flows, outer.labels, "the flows", of_state)
    up = [np.bincount(parents, x, minlength=outer.size) for x in (before, after)]
    rows = [
        ("populations", "before", county, areas.level(county).totals(P), before, inner.labels),
        ("before", "rows of flows", state, up[0], F.sum(axis=1), outer.labels),
        ("after", "columns of flows", state, up[1], F.sum(axis=0), outer.labels),
        ("after", "movers + stayers", state, up[1], moved + stayed, outer.labels),
        ("columns of flows", "movers + stayers", state, F.sum(axis=0), moved + stayed,
         outer.labels),
        ("before", "after", "nation", up[0].sum(keepdims=True), up[1].sum(keepdims=True),
         pd.Index(["nation"])),
        ("stayers", "stayers the diagonal of flows has room for", state, stayed,
         np.minimum(stayed, np.diag(F)), outer.labels),
    ]  # fmt: skip
    return pd.DataFrame([_compare(*row, tolerance) for row in rows])


def _compare(
    left: str, right: str, level: str, a: Array, b: Array, labels: pd.Index, tolerance: float
) -> dict[str, object]:
    difference = (b - a) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1.0)
    worst = int(np.abs(difference).argmax())
    return {
        "left table": left,
        "right table": right,
        "level": level,
        "left": float(a.sum()),
        "right": float(b.sum()),
        "difference": float((b.sum() - a.sum()) / max(abs(a.sum()), 1.0)),
        "areas that differ": int((np.abs(difference) > tolerance).sum()),
        "largest": float(difference[worst]),
        "where": labels[worst] if abs(difference[worst]) > tolerance else "",
    }
