"""Births, deaths and moves across the border, put where a matrix of survivors expects them.

A matrix of moves describes people by where they lived in t - 1 and in t. Those born in between
had no address a year ago, those who arrived from abroad none in the country; those who died or
left have none now. Census tables of a year count the former and miss the latter. The functions
below bring them to describe one population, in which those who died or left the country stayed
where they lived [AgostiniYoungFitzpatrickGargPierson2025]_. All take and return tables by area,
indexed by label.
"""

import warnings
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, NestflowWarning, SpecificationError, enumerate_some
from choicemodels.migration.areas import Areas
from estimation.census.labels import aligned, aligned_matrix, refuse_negative

__all__ = [
    "Negative",
    "emigrants",
    "flows_with_departures",
    "movers",
    "nonmovers",
    "rescale_flows",
    "rescale_margins",
    "survivors_after",
]

Array = NDArray[np.float64]
Negative = Literal["refuse", "zero"]


def emigrants(
    immigrants: "pd.Series[float]",
    net_international: "pd.Series[float]",
    *,
    negative: Negative = "refuse",
) -> "pd.Series[float]":
    """Return who left the country: ``immigrants - net international migration``.

    Immigrants are of the survey, the net number of the population estimates. As the two are
    measured apart, the difference can fall below zero.

    Parameters
    ----------
    immigrants, net_international
        By area, from t - 1 to t.
    negative
        ``"refuse"``, or ``"zero"`` to take negative differences as nobody, with a warning.

    Raises
    ------
    DataError
        If labels or values do not fit, or a difference is negative.
    """
    came, net = _in_order(immigrants=immigrants, net_international=net_international)
    return _people(
        came - net,
        immigrants.index,
        "emigrants",
        "fewer immigrated than the net international migration says: take immigrants of a "
        "longer survey period, or negative='zero'",
        negative,
    )


def survivors_after(
    people: "pd.Series[float]",
    births: "pd.Series[float]",
    deaths: "pd.Series[float]",
    net_international: "pd.Series[float]",
    *,
    negative: Negative = "refuse",
) -> "pd.Series[float]":
    """Return the people of t - 1 by where they are in t: ``P1 - births + deaths - net``.

    Parameters
    ----------
    people
        P1, the population in t.
    births, deaths, net_international
        From t - 1 to t.
    negative
        As in :func:`emigrants`.

    Raises
    ------
    DataError
        If labels or values do not fit, or a result is negative.
    """
    after, born, died, net = _in_order(
        people=people, births=births, deaths=deaths, net_international=net_international
    )
    return _people(
        after - born + died - net,
        people.index,
        "the people of a year ago",
        "births and immigration exceed the population; see whether the tables are of one year "
        "and one geography",
        negative,
    )


def nonmovers(
    same_house: "pd.Series[float]",
    deaths: "pd.Series[float]",
    emigrants: "pd.Series[float]",
) -> "pd.Series[float]":
    """Return who did not move: ``same house + deaths + emigrants``.

    Parameters
    ----------
    same_house
        Who lived in the same house in t - 1, of the survey of t.
    deaths, emigrants
        From t - 1 to t, by where they lived.

    Raises
    ------
    DataError
        If labels or values do not fit.
    """
    stayed, died, left = _in_order(same_house=same_house, deaths=deaths, emigrants=emigrants)
    return pd.Series(stayed + died + left, index=same_house.index)


def movers(
    people: "pd.Series[float]",
    immigrants: "pd.Series[float]",
    births: "pd.Series[float]",
    same_house: "pd.Series[float]",
    *,
    negative: Negative = "refuse",
) -> "pd.Series[float]":
    """Return who moved here within the country: ``P1 - immigrants - births - same house``.

    Movers and :func:`nonmovers` add up to :func:`survivors_after`.

    Parameters
    ----------
    people
        P1, the population in t.
    immigrants, births
        From t - 1 to t.
    same_house
        Who lived in the same house in t - 1.
    negative
        As in :func:`emigrants`.

    Raises
    ------
    DataError
        If labels or values do not fit, or a result is negative.
    """
    after, came, born, stayed = _in_order(
        people=people, immigrants=immigrants, births=births, same_house=same_house
    )
    return _people(
        after - came - born - stayed,
        people.index,
        "movers",
        "more lived in the same house than the population leaves room for; see whether the "
        "tables are of one year and one geography",
        negative,
    )


def flows_with_departures(
    flows: pd.DataFrame, deaths: "pd.Series[float]", emigrants: "pd.Series[float]"
) -> pd.DataFrame:
    """Add who died or left the country to the diagonal: ``F + diag(deaths + emigrants)``.

    Parameters
    ----------
    flows
        People by area of origin (rows) and of destination, stayers on the diagonal.
    deaths, emigrants
        By area, from t - 1 to t.

    Raises
    ------
    DataError
        If labels or values do not fit.
    """
    labels = pd.Index(flows.index.map(str))
    F = aligned_matrix(flows, labels, "the flows", "their rows")
    _refuse_negative_flows(F, labels)
    added = aligned(deaths, labels, "the deaths", "the flows")
    added = added + aligned(emigrants, labels, "the emigrants", "the flows")
    return pd.DataFrame(F + np.diag(added), index=flows.index, columns=flows.index)


def rescale_flows(flows: pd.DataFrame, total: float) -> pd.DataFrame:
    """Scale flows to a total of people: ``F * total / sum(F)``.

    Raises
    ------
    DataError
        If the flows are empty, or the total is not above zero.
    """
    there = float(np.asarray(flows, dtype=np.float64).sum())
    if not (there > 0 and 0 < total < np.inf):
        raise DataError(
            f"flows of {there:,.0f} people cannot be scaled to {total:,.0f}; both must be above "
            "zero."
        )
    return flows * (total / there)


def rescale_margins(
    people: "pd.Series[float]",
    totals: "pd.Series[float]",
    areas: Areas,
    fine: str = "county",
    coarse: str = "state",
) -> "pd.Series[float]":
    """Scale people by area so that coarser areas have given totals: ``k P`` within each.

    Parameters
    ----------
    people
        By area of level ``fine``.
    totals
        By area of level ``coarse``.
    areas, fine, coarse
        How the levels nest.

    Raises
    ------
    DataError
        If labels or values do not fit, or an area without people has a total.
    """
    inner, outer = areas.level(fine), areas.level(coarse)
    p = aligned(people, inner.labels, "the people", f"level '{fine}'")
    goal = aligned(totals, outer.labels, "the totals", f"level '{coarse}'")
    parents = areas.parents(fine, coarse)
    there = np.bincount(parents, p, minlength=outer.size)
    empty = outer.labels[(there <= 0) & (goal > 0)].tolist()
    if empty:
        raise DataError(
            f"no {fine} of {', '.join(map(str, empty[:5]))} has people to scale up; leave the "
            "margins as they are, or mend the table."
        )
    factor = np.divide(goal, there, out=np.ones_like(goal), where=there > 0)
    return pd.Series(p * factor[parents], index=inner.labels)


def _in_order(**tables: "pd.Series[float]") -> list[Array]:
    """Return tables in the order of the first."""
    first, *_ = (name.replace("_", " ") for name in tables)
    labels = pd.Index(next(iter(tables.values())).index.map(str))
    return [
        aligned(table, labels, f"the {name.replace('_', ' ')}", f"the {first}")
        for name, table in tables.items()
    ]


def _people(
    values: Array, index: pd.Index, what: str, why: str, negative: Negative
) -> "pd.Series[float]":
    if negative not in ("refuse", "zero"):
        raise SpecificationError(f"negative is '{negative}'; it is 'refuse' or 'zero'.")
    if negative == "refuse":
        refuse_negative(values, index, what, why)
    below = index[values < 0].tolist()
    if below:
        warnings.warn(
            f"{what} fell below zero in {len(below):,} areas ({enumerate_some(below)}), where "
            f"they are taken for nobody: {-values[values < 0].sum():,.0f} people in all.",
            NestflowWarning,
            stacklevel=3,
        )
    return pd.Series(np.maximum(values, 0.0), index=index)


def _refuse_negative_flows(F: Array, labels: pd.Index) -> None:
    row, column = np.nonzero(F < 0)
    if len(row):
        raise DataError(
            f"{len(row):,} flows are negative (the first: {labels[row[0]]} → {labels[column[0]]}); "
            "people are counted from zero."
        )
