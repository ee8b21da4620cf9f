"""Figures of who moves where, drawn from the tables of the analyses."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from choicemodels.errors import DataError
from choicemodels.frames import require_columns
from estimation.drawing import COLOURS, plain_axes
from estimation.migration.event_study import EventStudy

__all__ = [
    "figure_event_study",
    "figure_shares",
    "figure_type_flows",
    "figure_upward",
    "figure_years",
]

_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def figure_type_flows(table: pd.DataFrame) -> Figure:
    """Draw the flows of one year between types: colours for ratios, numbers for shares.

    Tiles stay white where nobody moved.

    Parameters
    ----------
    table
        Of :func:`~estimation.migration.type_flows.flows_between_types`, of one year.

    Raises
    ------
    DataError
        If the table is another.
    """
    _refuse_years(table)
    require_columns(table, ["share", "ratio"], what="the table of flows between types")
    rows, columns = (table.index.unique(name) for name in ("origin", "destination"))
    share, ratio = (
        table[name].unstack().loc[rows, columns].to_numpy(float) for name in ("share", "ratio")
    )
    figure, axes = _canvas(2.6 + 1.1 * len(columns), 1.8 + 0.6 * len(rows))
    logs = np.log2(ratio, out=np.full(ratio.shape, np.nan), where=ratio > 0)
    far = max(1.0, float(np.nanmax(np.abs(logs))))
    tiles = axes.imshow(logs, cmap="PuOr_r", vmin=-far, vmax=far, aspect="auto")
    for (r, c), value in np.ndenumerate(share):
        ink = "white" if abs(np.nan_to_num(logs[r, c])) > 0.65 * far else "black"
        text = "nobody moved" if np.isnan(value) else f"{value:.1%}"
        axes.text(c, r, text, ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("to")
    axes.set_ylabel("from")
    axes.set_title("Where movers go, % of those who leave a type", loc="left", fontsize=10)
    bar = figure.colorbar(tiles, ax=axes, shrink=0.8, label="times the base rate")
    ticks = np.arange(-int(far), int(far) + 1)
    bar.set_ticks(ticks.tolist(), labels=[f"{2.0**t:g}" for t in ticks])
    return figure


def figure_shares(table: pd.DataFrame, label: str = "Movers, %") -> Figure:
    """Draw shares that add up to one as bars, a row for each stratum or year.

    Parameters
    ----------
    table
        Of :func:`~estimation.migration.distance.distance_distribution`: the bands of distance.
        Or any table whose columns are shares, such as those of
        :func:`~estimation.migration.rates.moves_within_levels` unstacked.
    label
        What the bars add up to.

    Raises
    ------
    DataError
        If the shares do not add up to one.
    """
    shares = table.drop(columns=["movers", "mean", "median"], errors="ignore")
    shares = shares[shares.notna().all(axis=1)]
    if len(shares) == 0 or not np.allclose(shares.sum(axis=1), 1):
        raise DataError("the columns of the table are no shares that add up to one.")
    names = [", ".join(map(str, key)) if isinstance(key, tuple) else str(key)
             for key in shares.index]  # fmt: skip
    figure, axes = _canvas(8, 1.6 + 0.4 * len(shares))
    left = np.zeros(len(shares))
    for k, (name, column) in enumerate(shares.items()):
        width = 100 * column.to_numpy(float)
        axes.barh(names, width, left=left, color=COLOURS[k % 7], label=str(name), height=0.7)
        left += width
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel(label)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=9, ncols=3,
                  loc="outside upper center")  # fmt: skip
    plain_axes(axes, "", grid="x")
    return figure


def figure_upward(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the share of movers who move up against the income of the areas that they leave.

    Parameters
    ----------
    tables
        Name of a line to a table of :func:`~estimation.migration.mobility.upward_mobility` by
        quantiles; all with one index.

    Raises
    ------
    DataError
        If there is no table, or one is another.
    """
    if not tables:
        raise DataError("no table was given to draw.")
    figure, axes = _canvas(7, 4.4)
    for k, (name, table) in enumerate(tables.items()):
        require_columns(table, ["share_upward"], what=f"the table of {name}")
        _refuse_years(table)
        share = 100 * table["share_upward"]
        axes.plot(range(len(share)), share, color=COLOURS[k % 7], marker=_MARKS[k % 7], label=name)
    first = next(iter(tables.values()))
    axes.set_xticks(range(len(first)), first.index)
    axes.set_xlabel(f"Type of the area they leave, by {first.index.name}, from low to high")
    axes.set_ylim(0, 100)
    axes.legend(frameon=False, fontsize=9)
    plain_axes(axes, "Movers who move up, %")
    return figure


def figure_years(table: pd.DataFrame, column: str, label: str, factor: float = 1.0) -> Figure:
    """Draw a column of a table by year, a line for each of its other rows.

    Parameters
    ----------
    table
        Of any analysis that was given several years.
    column
    label
        What the lines show, with the unit.
    factor
        By which to multiply, such as 100 for per cent.

    Raises
    ------
    DataError
        If the table has no years or no such column.
    """
    require_columns(table, [column], what="the table")
    if "year" not in table.index.names:
        raise DataError("the table has no years; give the analysis a mapping of years to matrices.")
    others = [name for name in table.index.names if name != "year"]
    wide = table[column].unstack(others, sort=False)
    figure, axes = _canvas(7, 4.2)
    for k, (name, line) in enumerate(wide.items()):
        text = ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
        axes.plot(wide.index, factor * line, color=COLOURS[k % 7], marker=_MARKS[k % 7],
                  label=text)  # fmt: skip
    axes.set_xticks(list(wide.index))
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=9,
                  loc="outside right upper")  # fmt: skip
    plain_axes(axes, label)
    return figure


def figure_event_study(study: EventStudy) -> Figure:
    """Draw the rates of the rings by year, and the effects with their 95 % intervals."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    wide = study.rates["rate"].unstack(sort=False)
    for k, (name, line) in enumerate(wide.items()):
        left.plot(wide.index, line, color=COLOURS[k], marker=_MARKS[k], label=str(name))
    left.legend(frameon=False, fontsize=9)
    left.set_ylim(bottom=0)
    moves = {"out": "Out-migration", "in": "In-migration"}[study.direction]
    plain_axes(left, f"{moves} per 1,000 people")
    effects = study.effects
    half = (effects["upper"] - effects["effect"]).fillna(0)
    right.errorbar(
        effects.index, effects["effect"], yerr=half, fmt="o", color=COLOURS[0], capsize=3
    )
    right.axhline(0, color="black", linewidth=0.8)
    plain_axes(right, f"Change of '{study.treated}' beyond '{study.control}', per 1,000 people")
    for axes in (left, right):
        axes.axvline(study.event, color="#999999", linestyle=":", linewidth=1)
        axes.set_xticks(list(wide.index))
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _refuse_years(table: pd.DataFrame) -> None:
    if "year" in table.index.names:
        raise DataError("the table is of several years; choose one, as in table.loc[2019].")
