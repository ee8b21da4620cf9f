"""Figures of the household grid, those of the paper among them: drawn from a run's tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, NullFormatter

from estimation.drawing import COLOURS, plain_axes
from microsim.household_grid.outcomes import grid_series, grid_times
from microsim.household_grid.run import GridRun

__all__ = [
    "capacity_map",
    "median_income_distributions",
    "move_activity",
    "occupancy_by_capacity",
    "population_maps",
    "pressure_series",
]

_GREY = "#666666"
_FIFTHS = ("poorest", "second", "third", "fourth", "richest")


def capacity_map(run: GridRun) -> Figure:
    """Draw how many places every cell has."""
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.subplots()
    image = _map(axes, run.cells_at(0)["places"], run.parameters.side, "Places of a cell")
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure


def occupancy_by_capacity(run: GridRun) -> Figure:
    """Draw the occupancy of cells against their places, before the shock and at the end."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    shock, width, last = grid_times(run)
    spans = {"before the shock": (shock - width, shock), "at the end": (last - width, last)}
    for (label, (begin, end)), colour in zip(spans.items(), COLOURS, strict=False):
        span = run.cells[(run.cells["step"] > begin) & (run.cells["step"] <= end)]
        cells = span[span["places"] > 0].groupby("cell")[["places", "occupancy"]].mean()
        axes.scatter(cells["places"], cells["occupancy"], s=10, alpha=0.4, color=colour, lw=0)
        by_size = cells.groupby(pd.qcut(cells["places"], 10, duplicates="drop"), observed=True)
        means = by_size.mean()
        axes.plot(means["places"], means["occupancy"], "o-", color=colour, label=label)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Places of a cell")
    axes.legend(frameon=False)
    plain_axes(axes, "Occupancy, mean over moments; lines join tenths of the cells")
    return figure


def population_maps(run: GridRun, moments: Sequence[int] | None = None) -> Figure:
    """Draw where each fifth of the incomes lives, a row a moment, on one scale a row.

    Parameters
    ----------
    run
    moments
        At which the cells were recorded: the first, the shock and the last unless given.
    """
    shock, _, last = grid_times(run)
    rows = list(moments) if moments is not None else sorted({0, shock, last})
    figure = Figure(figsize=(11, 2.3 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 5, squeeze=False)
    for line, moment in zip(panels, rows, strict=True):
        cells = run.cells_at(moment).filter(like="quintile_")
        most = int(cells.to_numpy().max())
        for axes, q, name in zip(line, range(1, 6), _FIFTHS, strict=True):
            title = f"{name} fifth, step {moment}"
            image = _map(axes, cells[f"quintile_{q}"], run.parameters.side, title, most)
        figure.colorbar(image, ax=list(line), shrink=0.9, label="Households")
    return figure


def move_activity(run: GridRun) -> Figure:
    """Draw moves a step by fifth of the incomes, as running means."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    window = max(run.parameters.steps // 50, 1)
    wide = run.activity.pivot(index="step", columns="quintile", values="moves")
    smooth = wide.rolling(window, min_periods=1).mean()
    for q, name, colour in zip(range(1, 6), _FIFTHS, COLOURS, strict=False):
        axes.plot(smooth.index, smooth[q], color=colour, label=name)
    # The first homes are drawn at random: the moves that mend them would dwarf all later ones.
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_formatter("{x:g}")
    _mark_shock(axes, run)
    axes.set_xlabel("Step")
    axes.legend(frameon=False, fontsize=9, title="Fifth of incomes")
    plain_axes(axes, f"Moves a step, means over {window} steps; logarithms above 1")
    return figure


def median_income_distributions(runs: Mapping[str, GridRun]) -> Figure:
    """Draw the distribution of cells' median incomes at the shock and at the end, a row a run.

    Parameters
    ----------
    runs
        By the label of their law of incomes.
    """
    figure = Figure(figsize=(6.8, 2.8 * len(runs)), layout="constrained")
    panels = figure.subplots(len(runs), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (label, run) in zip(panels, runs.items(), strict=True):
        shock, _, last = grid_times(run)
        bins = np.geomspace(*run.parameters.income_range, 41)
        for moment, when, colour in zip((shock, last), ("shock", "end"), COLOURS, strict=False):
            median = run.cells_at(moment)["median_income"].dropna()
            text = f"at the {when}, standard deviation {median.std():,.0f}"
            axes.hist(median, bins=bins, color=colour, alpha=0.5, label=text)
        axes.set_xscale("log")
        axes.margins(y=0.4)
        axes.legend(frameon=False, fontsize=9, loc="upper left")
        plain_axes(axes, f"Cells by median income, {label} incomes")
    panels[-1].set_xlabel("Dollars")
    return figure


def pressure_series(runs: Mapping[str, GridRun]) -> Figure:
    """Draw the mean pressure of housing costs, alpha h / I, by step.

    Parameters
    ----------
    runs
        By label.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (label, run), colour in zip(runs.items(), COLOURS, strict=False):
        series = grid_series(run)["pressure"]
        axes.plot(series.index, series, color=colour, lw=1, label=label)
    _mark_shock(axes, next(iter(runs.values())))
    axes.set_xlabel("Step")
    axes.legend(frameon=False)
    plain_axes(axes, "Pressure of housing costs, mean of alpha h / I")
    return figure


def _map(
    axes: Axes, values: "pd.Series[int]", side: int, title: str, top: int | None = None
) -> AxesImage:
    grid = values.to_numpy().reshape(side, side)
    axes.set_title(title, loc="left", fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(grid, cmap="cividis", origin="lower", vmin=0, vmax=top)


def _mark_shock(axes: Axes, run: GridRun) -> None:
    for moment, text in ((run.parameters.shock, "remote"), (run.parameters.reopening, "reopened")):
        if moment is not None:
            axes.axvline(moment, color=_GREY, lw=0.8, ls=":")
            axes.text(moment, 1.0, f" {text}", transform=axes.get_xaxis_transform(),
                      va="top", fontsize=8, color=_GREY)  # fmt: skip
