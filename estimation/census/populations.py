"""Populations of single years, from survey periods that overlap and from counts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import (
    DataError,
    IdentificationError,
    SpecificationError,
    enumerate_some,
)
from estimation.census.labels import aligned, refuse_negative
from estimation.census.margins_of_error import standard_error
from estimation.census.nonnegative import nonnegative_least_squares, null_columns

__all__ = ["window_design", "yearly_margins", "yearly_populations"]

Array = NDArray[np.float64]


def yearly_populations(
    windows: pd.DataFrame,
    census: "Mapping[int, pd.Series[float]] | pd.DataFrame | pd.Series[float] | None" = None,
    *,
    window: int = 5,
    years: Sequence[int] | None = None,
    margins_of_error: pd.DataFrame | None = None,
    census_margin: float = 1.0,
    smoothing: float = 0.0,
) -> pd.DataFrame:
    """Estimate people by area and year from averages over overlapping periods of years.

    A survey estimate of the period that ends in e is taken as the mean of its years, a count as
    the people of its year; what is left over is minimized by least squares over people of zero
    or more, for each area [AgostiniYoungFitzpatrickGargPierson2025]_:

        min over x >= 0 of  sum_e w_e² (y_e - mean of x over e's years)²
            + sum_c w_c² (y_c - x_c)² + smoothing * sum_t (x_{t+1} - x_t)²

    Parameters
    ----------
    windows
        People by area (rows) and last year of the period (columns), N areas.
    census
        Counts: a series named by its year, or one for each year. They are what tells single
        years apart: periods alone never do, as each begins with years of which no other
        tells.
    window
        Length of a period in years.
    years
        Which to estimate, T of them, without a gap; by default from the first count (or the end
        of the first period) to the end of the last period. Of a period that begins earlier the
        years that are left are taken to have the same mean; where these were all counted the
        period is left out, as the counts say it better. Beginning a year before the first count
        keeps the period that ends with it, cut to its last two years, as the published
        populations do.
    margins_of_error
        Of the windows. By default all residuals weigh alike; with margins they weigh by 1 /
        margin, scaled so that the squared weights of an area average to one.
    census_margin
        Margin of error of the counts, in people, where margins are given.
    smoothing
        Weight of changes from year to year. Where the periods do not tell years apart, a small
        one (1e-6) chooses the least change among the populations that fit.

    Returns
    -------
    DataFrame, shape (N, T)

    Raises
    ------
    DataError
        If labels, years or values do not fit; the message names the areas.
    SpecificationError
        If an option is out of range.
    IdentificationError
        If years are not told apart; the message names them.
    """
    if window < 1 or smoothing < 0 or not census_margin > 0:
        raise SpecificationError(
            f"window is {window}, smoothing {smoothing:g} and census_margin {census_margin:g}; "
            "they must be at least 1, at least 0, and above 0."
        )
    ends = _years(windows.columns, "the periods")
    areas = _texts(windows.index)
    counts = _counts(census, areas)
    span = _span(years, ends, list(counts))
    kept, design = window_design(ends, list(counts), span, window)
    people = windows.set_axis(areas)
    Y = [_columns(people, kept, areas, "the period"), *(c[:, None] for c in counts.values())]
    weights = None
    if margins_of_error is not None:
        weights = _weights(margins_of_error, areas, kept, len(counts), census_margin)
    y, A = np.hstack(Y), design
    T = len(span)
    if smoothing > 0 and T > 1:
        A = np.vstack([A, np.sqrt(smoothing) * np.diff(np.eye(T), axis=0)])
        y = np.hstack([y, np.zeros((len(y), T - 1))])
        if weights is not None:
            weights = np.hstack([weights, np.ones((len(y), T - 1))])
    null = null_columns(A)
    if len(null):
        raise IdentificationError(
            f"the {len(kept)} periods and {len(counts)} counts do not tell the years "
            f"{', '.join(str(span[k]) for k in null)} apart; give a count of one of them, fewer "
            "years=, or a small smoothing= such as 1e-6, which takes the populations that change "
            "least."
        )
    X = nonnegative_least_squares(A, y, weights)
    return pd.DataFrame(X, index=windows.index, columns=pd.Index(span, name="year"))


def yearly_margins(
    margins_of_error: pd.DataFrame,
    *,
    window: int = 5,
    years: Sequence[int] | None = None,
    smoothing: float = 1e-6,
) -> pd.DataFrame:
    """Return margins of error of yearly populations that periods were taken apart into.

    A period of W years averages their samples, so that its squared margin is the mean of those
    of its years over W; :func:`yearly_populations` with the same years finds the samples again,
    and with them their errors. For populations that were smoothed, or a year that was counted,
    these margins are too large.

    Parameters
    ----------
    margins_of_error
        Of the periods: areas by last year.
    window, years
        As of :func:`yearly_populations`; by default all years from the end of the first period.
    smoothing
        Weight of changes from year to year: of all margins that fit the least changing are
        taken.

    Returns
    -------
    DataFrame, shape (N, T)

    Raises
    ------
    DataError
        If labels, years or values do not fit.
    """
    table = margins_of_error
    m = standard_error(table.to_numpy(dtype=np.float64, na_value=np.nan), z=1.0)
    # In units of the largest, so that rounding and smoothing do not depend on the scale.
    unit = float(m.max(initial=0.0)) or 1.0
    squares = pd.DataFrame(window * (m / unit) ** 2, index=table.index, columns=table.columns)
    found = yearly_populations(squares, window=window, years=years, smoothing=smoothing)
    return unit * found**0.5


def window_design(
    ends: Sequence[int], counted: Sequence[int], years: Sequence[int], window: int
) -> tuple[list[int], Array]:
    """Return the means that periods and counts are of years.

    Parameters
    ----------
    ends
        Last years of the periods.
    counted
        Years with a count.
    years
        Without a gap, T of them.
    window
        Length of a period.

    Returns
    -------
    list of int
        Ends of the E periods that are used.
    ndarray, shape (E + C, T)
        Rows of the periods, each of equal shares of its years, and of the C counts.
    """
    kept, rows = [], []
    for end in ends:
        inside = [t for t in years if end - window < t <= end]
        cut = len(inside) < window and set(inside) <= set(counted)
        if inside and not cut:
            kept.append(end)
            rows.append(np.isin(years, inside) / len(inside))
    rows += [np.equal(years, year).astype(np.float64) for year in counted]
    return kept, np.array(rows).reshape(-1, len(years))


def _years(labels: Any, what: str) -> list[int]:
    try:
        years = [int(label) for label in labels]
    except (TypeError, ValueError):
        raise DataError(
            f"{what} are labelled {enumerate_some(list(labels))}; label them by their year."
        ) from None
    if len(set(years)) < len(years):
        raise DataError(f"{what} name a year twice ({enumerate_some(sorted(years))}).")
    return years


def _counts(
    census: "Mapping[int, pd.Series[float]] | pd.DataFrame | pd.Series[float] | None",
    areas: pd.Index,
) -> dict[int, Array]:
    """Return the counts by year, in the order of the areas."""
    if census is None:
        return {}
    tables = {census.name: census} if isinstance(census, pd.Series) else dict(census.items())
    found = {}
    for year, table in zip(_years(tables, "the counts"), tables.values(), strict=True):
        what = f"the counts of {year}"
        found[year] = aligned(table, areas, what, "the periods")
        refuse_negative(found[year], areas, what, "people are counted from zero")
    return dict(sorted(found.items()))


def _span(years: Sequence[int] | None, ends: list[int], counted: list[int]) -> list[int]:
    first = min(counted) if counted else min(ends)
    span = list(range(first, max(ends) + 1)) if years is None else [int(t) for t in years]
    if not span or span != list(range(span[0], span[0] + len(span))):
        raise SpecificationError(
            f"years must follow each other without a gap; got {enumerate_some(span)}."
        )
    outside = [year for year in counted if year not in span]
    if outside:
        raise SpecificationError(
            f"the counts of {enumerate_some(outside)} lie outside of the years {span[0]} to "
            f"{span[-1]}; widen years=, or leave these counts out."
        )
    return span


def _texts(areas: pd.Index) -> pd.Index:
    """Return labels as text, which must not repeat."""
    texts: pd.Index = pd.Index(areas.map(str))
    twice = texts[texts.duplicated()].unique().tolist()
    if twice:
        raise DataError(
            f"the table of periods has {enumerate_some(twice)} twice; give each area one row."
        )
    return texts


def _columns(table: pd.DataFrame, ends: Sequence[int], areas: pd.Index, what: str) -> Array:
    """Return columns of people in the order of the areas, shape (N, E)."""
    position = {int(label): k for k, label in enumerate(table.columns)}
    labels = _texts(table.index) if table.index is not areas else areas
    found = np.empty((len(areas), len(ends)))
    for k, end in enumerate(ends):
        named = f"{what} that ends in {end}"
        column = table.iloc[:, position[end]].set_axis(labels)
        found[:, k] = aligned(column, areas, named, "the periods")
        refuse_negative(found[:, k], areas, named, "people are counted from zero")
    return found


def _weights(
    margins: pd.DataFrame, areas: pd.Index, kept: list[int], counts: int, count_margin: float
) -> Array:
    """Return weights of the residuals, shape (N, E + C)."""
    known = _years(margins.columns, "margins_of_error")
    missing = [end for end in kept if end not in known]
    if missing:
        raise DataError(
            f"margins_of_error lack the periods that end in {enumerate_some(missing)}; give all "
            "periods margins, or leave these periods out."
        )
    M = _columns(margins, kept, areas, "the margin of error of the period")
    if not np.all(M > 0):
        area = areas[int(np.flatnonzero((M <= 0).any(axis=1))[0])]
        raise DataError(
            f"a margin of error of {area} is zero, so its estimate would outweigh all others; "
            "give the margin that its estimate has (no survey estimate is exact)."
        )
    w = 1 / np.hstack([M, np.full((len(M), counts), count_margin)])
    return np.asarray(w / np.sqrt((w**2).mean(axis=1, keepdims=True)))
