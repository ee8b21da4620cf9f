"""Inequality of incomes, and how far it is a matter of where people live.

Measures of segregation work where incomes themselves never change: they ask whether places differ,
not whether people do. All take one entry a household, or counts by place, so that any simulation
can use them. In small places chance alone makes households differ: compare a measure with its value
before, or with that of a random allocation, rather than with zero.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from choicemodels.errors import DataError
from estimation.migration.indices import flow_gini

__all__ = ["TheilSplit", "dissimilarity", "gini", "rank_order_information", "theil"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TheilSplit:
    """Theil's index and its parts.

    Attributes
    ----------
    total, between, within : float
        Of all households; of the places' mean incomes; what is left, within the places.
    """

    total: float
    between: float
    within: float

    @property
    def share_between(self) -> float:
        """The share of inequality that lies between places; none where all incomes are equal."""
        return self.between / self.total if self.total > 0 else 0.0


def gini(income: Floats) -> float:
    """Return the Gini index of positive incomes (N,), with the factor N / (N - 1).

    Raises
    ------
    DataError
        If there are fewer than two incomes, or one is not positive.
    """
    return flow_gini(_positive(income), len(income))


def theil(income: Floats, place: Ints) -> TheilSplit:
    """Return Theil's index of incomes, split into between and within places.

    ``T = mean((I / mu) log(I / mu))``; between places, with shares ``S_j`` of all income,
    ``sum_j S_j log(mu_j / mu)`` ([Shorrocks1980]_).

    Parameters
    ----------
    income : (N,)
        Positive.
    place : (N,)
        Codes from 0.

    Raises
    ------
    DataError
        As `gini`.
    """
    relative = _positive(income) / income.mean()
    total = float((relative * np.log(relative)).mean())
    people = np.bincount(place)
    sums = np.bincount(place, weights=relative)[people > 0]
    between = float((sums * np.log(sums / people[people > 0])).sum() / len(income))
    return TheilSplit(total, between, total - between)


def rank_order_information(income: Floats, place: Ints, *, thresholds: int = 100) -> float:
    """Return the rank-order information theory index of segregation by income.

    ``H = 2 log(2) * integral of E(p) H(p) dp``, where E(p) is the entropy of being above the p-th
    quantile and H(p) the information theory index of that split among places: the mean of H(p)
    weighted by E(p) ([Reardon2011]_). Ranks alone matter, so that it is the same whatever the
    distribution of incomes. 0 where all places are alike, 1 where nobody has neighbours of another
    income.

    Parameters
    ----------
    income : (N,)
    place : (N,)
        Codes from 0.
    thresholds
        Quantiles at which the integral is evaluated.

    Raises
    ------
    DataError
        As `gini`.
    """
    N = len(_positive(income))
    rank = np.empty(N, dtype=np.int64)
    rank[np.argsort(income, kind="stable")] = np.arange(N)
    bins = rank * thresholds // N
    people = np.bincount(place)
    by_bin = np.bincount(place * thresholds + bins, minlength=len(people) * thresholds)
    below = by_bin.reshape(len(people), thresholds).cumsum(axis=1)[:, :-1]
    lived, below = people[people > 0], below[people > 0]
    overall = _entropy(below.sum(axis=0) / N)
    mean = (lived[:, None] / N * _entropy(below / lived[:, None])).sum(axis=0)
    return float((overall - mean).sum() / overall.sum())


def dissimilarity(first: Ints, second: Ints) -> float:
    """Return the share of one group that would have to move to live as the other does.

    ``0.5 sum_j |a_j / A - b_j / B|`` ([DuncanDuncan1955]_).

    Parameters
    ----------
    first, second : (C,)
        Households of each group by place.

    Raises
    ------
    DataError
        If a group has no members.
    """
    if not (first.sum() > 0 and second.sum() > 0):
        raise DataError("a group without members cannot be compared with another; give both some.")
    return float(0.5 * np.abs(first / first.sum() - second / second.sum()).sum())


def _entropy(p: Floats) -> Floats:
    """Return the entropy of a share and its complement, in nats."""
    return np.asarray(entr(p) + entr(1.0 - p))


def _positive(income: Floats) -> Floats:
    if len(income) < 2 or not (income > 0).all():
        raise DataError(
            f"inequality needs two or more positive incomes; these are {len(income):,}, the least "
            f"of them {income.min() if len(income) else 'missing'}. Leave out who has none."
        )
    return income
