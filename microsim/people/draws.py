"""How attributes are drawn: to a quota, to a margin, by rank; every draw from a named stream."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from choicemodels.apportion import cumulative_rounding, select
from choicemodels.errors import SpecificationError
from choicemodels.interaction.balancing import balance
from choicemodels.keyed_random import Streams

__all__ = [
    "allot",
    "look_up",
    "normal_scores",
    "ranks",
    "select_by_group",
    "standardize",
    "start",
    "weibull",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Value = TypeVar("Value")


def start(stream: str, streams: Streams) -> float:
    """Return the one draw that starts a systematic sample of all agents."""
    return float(streams.uniform(stream, np.zeros(1, dtype=np.int64))[0])


def standardize(values: Floats | Ints) -> Floats:
    """Return the values less their mean, over their standard deviation, (N,)."""
    spread = values.std()
    scores: Floats = (values - values.mean()) / (spread if spread > 0 else 1.0)
    return scores


def ranks(values: NDArray[np.number], group: NDArray[np.integer]) -> Floats:
    """Return the share of the group that each value is above, its own half among it, (N,).

    Equal values are ranked in the order of their rows.

    Parameters
    ----------
    values : (N,)
    group : (N,)
        Codes from 0.
    """
    order = np.lexsort((values, group))
    count = np.bincount(group)
    first = np.cumsum(count) - count
    rank = np.empty(len(group))
    rank[order] = np.arange(len(group)) - first[group[order]]
    shares: Floats = (rank + 0.5) / count[group]
    return shares


def normal_scores(values: NDArray[np.number], group: NDArray[np.integer]) -> Floats:
    """Return the normal score of each value's rank among its group, (N,); see `ranks`."""
    scores: Floats = ndtri(ranks(values, group))
    return scores


def weibull(score: Floats, median: Floats | float, shape: float) -> Floats:
    """Return Weibull quantities whose ranks are those of normal scores, (N,).

    Parameters
    ----------
    score : (N,)
        Standard normal.
    median
        Of the law, a number or (N,).
    shape
        Above 0; 1 is the exponential law.

    Notes
    -----
    Solves ``2 ** -(t / median) ** shape = 1 - Phi(score)`` for t.
    """
    quantities: Floats = median * (-np.log2(ndtr(-score))) ** (1.0 / shape)
    return quantities


def select_by_group(probability: Floats, group: Ints, offset: float) -> NDArray[np.bool_]:
    """Select systematically, so that every group holds its expected count within one.

    Parameters
    ----------
    probability : (N,)
    group : (N,)
        Codes; members of a group need not be neighbours.
    offset
        A uniform in (0, 1).
    """
    order = np.argsort(group, kind="stable")
    chosen = np.empty(len(group), dtype=np.bool_)
    chosen[order] = select(probability[order], offset)
    return chosen


def allot(
    stream: str,
    streams: Streams,
    ids: Ints,
    group: Ints,
    kind: Ints,
    tilt: Floats,
    margins: Floats,
) -> Ints:
    """Give every agent one of K classes, such that each group's classes have given shares.

    Parameters
    ----------
    stream, streams
        Name of the draws, and where they come from.
    ids, group, kind : (N,)
        Ids; the group that has margins, codes 0 to G - 1; what the classes depend on within
        a group, codes 0 to L - 1.
    tilt : (L, K)
        Relative odds of the classes by kind.
    margins : (G, K)
        Shares of the classes by group, rows adding up to 1.

    Returns
    -------
    (N,) int64
        Class, 0 to K - 1.

    Notes
    -----
    The expected counts of a group's kinds and classes are the ``tilt`` balanced to the kinds'
    counts and the classes' shares ([DemingStephan1940]_). They are rounded to quotas, which the
    members of a kind fill in the order of their draws.
    """
    kinds, classes = tilt.shape
    cell = group * kinds + kind
    counts = np.bincount(cell, minlength=len(margins) * kinds).reshape(len(margins), kinds)
    expected = np.zeros((len(margins), kinds, classes))
    for g, row in enumerate(counts):
        if row.any():
            shares = margins[g] / margins[g].sum()
            expected[g] = balance(tilt, row.astype(np.float64), shares * row.sum()).matrix
    cells = len(margins) * kinds
    offsets = streams.uniform(f"{stream}, quota", np.arange(cells))
    edges = np.cumsum(cumulative_rounding(expected.reshape(cells, classes), offsets), axis=1)
    order = np.lexsort((streams.uniform(stream, ids), cell))
    members = counts.ravel()
    first = np.cumsum(members) - members
    place = np.arange(len(ids)) - first[cell[order]]
    chosen = np.zeros(len(ids), dtype=np.int64)
    chosen[order] = (place[:, None] >= edges[cell[order], :-1]).sum(axis=1)
    return chosen


def look_up(table: Mapping[str, Value], keys: Sequence[str], name: str) -> list[Value]:
    """Return a parameter's values for ``keys``.

    Raises
    ------
    SpecificationError
        If the parameter lacks one of them.
    """
    missing = sorted(set(keys) - set(table))
    if missing:
        raise SpecificationError(
            f"the parameter {name} has no entry for {', '.join(missing)}; give one for each."
        )
    return [table[key] for key in keys]
