"""Figures of a simulation: drawn from labelled tables, saved where the caller says."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from choicemodels.errors import SpecificationError
from estimation.drawing import COLOURS, plain_axes
from microsim.results.run import Run

__all__ = ["distance_decay", "metro_map", "monthly_outcomes", "region_bars"]

_LINES = ("-", "-", "--", ":", "-.")
_GREY = "#666666"

_SERIES: Mapping[str, tuple[str, float]] = {
    "unemployment_rate": ("Unemployed, % of workers", 100.0),
    "displaced": ("Displaced in the month, % of workers", 100.0),
    "moves": ("Moves between metros in the month, % of workers", 100.0),
    "mean_price_index": ("House prices, base year = 1", 1.0),
}
_PER_WORKER = ("displaced", "moves")


def monthly_outcomes(runs: Sequence[Run]) -> Figure:
    """Draw the national series of several runs month by month.

    Lines are means over replicates; bands run from the lowest to the highest replicate.

    Raises
    ------
    SpecificationError
        If there are no runs.
    """
    if not runs:
        raise SpecificationError("there are no runs to draw; give at least one.")
    figure = Figure(figsize=(10, 6.6), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    for axes, (name, (title, factor)) in zip(panels, _SERIES.items(), strict=True):
        # Five lines and seven colours: their pairs come again after 35 runs.
        for run, colour, line in zip(runs, cycle(COLOURS), cycle(_LINES), strict=False):
            national = run.national
            values = national[name] / (national["population"] if name in _PER_WORKER else 1)
            wide = (factor * values).groupby([national["date"], national["replicate"]]).mean()
            by_month = wide.unstack()
            dates = pd.to_datetime(by_month.index)
            axes.plot(dates, by_month.mean(axis=1), color=colour, ls=line, label=run.scenario.name)
            axes.fill_between(
                dates, by_month.min(axis=1), by_month.max(axis=1), color=colour, alpha=0.18, lw=0
            )
        ticks = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(ticks)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(ticks))  # type: ignore[no-untyped-call]
        plain_axes(axes, title)
    panels[0].legend(frameon=False, fontsize=9)
    return figure


def metro_map(metros: pd.DataFrame, values: "pd.Series[float]", label: str) -> Figure:
    """Draw metros as discs at their place, coloured by a value.

    Parameters
    ----------
    metros
        Columns cbsa, latitude, longitude and population.
    values
        By CBSA.
    label
        What the colours mean, with the unit.

    Notes
    -----
    The contiguous states only; Alaska and Hawaii are in the tables. The projection is Albers'
    equal-area conic with the standard parallels 29.5 and 45.5 degrees north.
    """
    shown = metros[(metros["longitude"] > -130) & (metros["latitude"] > 23)]
    x, y = _albers(shown["latitude"].to_numpy(), shown["longitude"].to_numpy())
    colour = values.reindex(shown["cbsa"]).to_numpy(dtype=float)
    low, high = np.nanquantile(colour, [0.02, 0.98])
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    axes = figure.subplots()
    discs = axes.scatter(
        x,
        y,
        s=8 + 0.02 * np.sqrt(shown["population"].to_numpy(dtype=float)) * 4,
        c=colour,
        cmap="cividis",
        vmin=low,
        vmax=max(high, low + 1e-9),
        edgecolors=_GREY,
        linewidths=0.3,
    )
    axes.set_aspect("equal")
    axes.axis("off")
    figure.colorbar(discs, ax=axes, shrink=0.6, label=label, extend="both")
    return figure


def _albers(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project degrees to the plane, in units of the earth's radius [Snyder1987]_."""
    first, second, origin, meridian = np.radians([29.5, 45.5, 37.5, -96.0])
    n = (np.sin(first) + np.sin(second)) / 2
    c = np.cos(first) ** 2 + 2 * n * np.sin(first)
    rho = np.sqrt(c - 2 * n * np.sin(np.radians(latitude))) / n
    rho_origin = np.sqrt(c - 2 * n * np.sin(origin)) / n
    theta = n * (np.radians(longitude) - meridian)
    return rho * np.sin(theta), rho_origin - rho * np.cos(theta)


def distance_decay(flows: pd.DataFrame, fitted: "pd.Series[float]") -> Figure:
    """Draw observed and fitted moves by distance, in bins of equal counts of pairs.

    Parameters
    ----------
    flows
        Columns distance (km) and migrants.
    fitted
        Expected moves, on the index of ``flows`` (rows that were dropped may be missing).
    """
    used = flows.loc[fitted.index]
    bins = pd.qcut(used["distance"], 24, duplicates="drop")
    groups = used.assign(fitted=fitted).groupby(bins, observed=True)
    centre = groups["distance"].median()
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(centre, groups["migrants"].mean(), "o", color=COLOURS[0], label="observed")
    axes.plot(centre, groups["fitted"].mean(), "-", color=COLOURS[1], label="fitted by PPML")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator([100, 200, 500, 1000, 2000, 4000]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Distance, km")
    axes.legend(frameon=False)
    plain_axes(axes, "Moves in a year for a pair of metros")
    return figure


def region_bars(tables: Mapping[str, "pd.Series[float]"], label: str) -> Figure:
    """Draw horizontal bars side by side: one group a row, one colour a scenario.

    Parameters
    ----------
    tables
        Scenario name to values by region class; all with one index.
    label
        What the bars measure, with the unit.

    Raises
    ------
    SpecificationError
        If there are no tables.
    """
    if not tables:
        raise SpecificationError("there are no tables to draw; give at least one.")
    names = list(next(iter(tables.values())).index)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(tables)
    for i, ((scenario, values), colour) in enumerate(
        zip(tables.items(), cycle(COLOURS), strict=False)
    ):
        at = np.arange(len(names)) + (i - (len(tables) - 1) / 2) * height
        axes.barh(at, values.reindex(names), height, label=scenario, color=colour)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(label)
    axes.legend(frameon=False, fontsize=9)
    plain_axes(axes, "")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    return figure
