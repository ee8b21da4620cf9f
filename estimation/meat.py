"""The middle of a sandwich covariance, from the scores of the rows.

Scores are summed within groups, and the cross-products of the sums are added with signs,

    M = sum over parts of sign * sum_g s_g s_g',    s_g = sum of s_i over the rows of group g.

Rows that are independent are groups of their own. Clustering in several ways adds over the
non-empty subsets of the ways, with the sign ``(-1)^(size + 1)``, the intersections of their
groups [CameronGelbachMiller2011]_. For dyadic dependence, where any two rows that share a place
may be correlated, each place gathers all rows in which it takes part; two rows between the same
two places then count twice, and are subtracted once [AronowSamiiAssenova2015]_.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.errors import DataError

__all__ = ["BY_ROW", "Part", "by_cluster", "by_dyad", "cross_product", "repair", "squares"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """One term of the sum: a sign, and which groups the rows belong to.

    Attributes
    ----------
    sign : int
    codes : tuple of ndarray of int64, shape (N,)
        A row belongs to the group in each of them; ``groups`` stands for none. Empty, if each
        row is a group of its own.
    groups : int
    """

    sign: int
    codes: tuple[Codes, ...] = ()
    groups: int = 0

    def sums(self, scores: Array) -> Array:
        """Sum scores, shape (N, K), within the groups, shape (G, K)."""
        if not self.codes:
            return scores
        out = np.empty((self.groups, scores.shape[1]))
        for k, column in enumerate(scores.T):
            out[:, k] = sum(
                np.bincount(codes, weights=column, minlength=self.groups)[: self.groups]
                for codes in self.codes
            )
        return out


BY_ROW = (Part(1),)


def by_cluster(groupings: Sequence[Codes]) -> tuple[Part, ...]:
    """Return the parts of clustering in any number of ways.

    Parameters
    ----------
    groupings
        For each way the group of each row, numbered without gaps, shape (N,).

    Raises
    ------
    DataError
        If a way of clustering has a single group.
    """
    for way, codes in enumerate(groupings):
        if int(codes.max()) < 1:
            raise DataError(
                f"clustering number {way + 1} has a single group; clustered standard errors "
                "need at least two: choose a finer grouping or cov='robust'."
            )
    parts = []
    for size in range(1, len(groupings) + 1):
        for ways in combinations(groupings, size):
            codes = _intersect(ways)
            parts.append(Part((-1) ** (size + 1), (codes,), int(codes.max()) + 1))
    return tuple(parts)


def _intersect(groupings: Sequence[Codes]) -> Codes:
    codes = groupings[0]
    for other in groupings[1:]:
        joint = codes * (int(other.max()) + 1) + other
        codes = pd.factorize(joint)[0].astype(np.int64)
    return codes


def by_dyad(origin: Codes, destination: Codes) -> tuple[Part, ...]:
    """Return the parts of dyadic dependence.

    Parameters
    ----------
    origin, destination
        The two places of each row, in one numbering of all places without gaps, shape (N,).

    Raises
    ------
    DataError
        If there are fewer than three places: any two rows then share one.
    """
    places = int(max(origin.max(), destination.max())) + 1
    if places < 3:
        raise DataError(
            f"a dyadic covariance needs at least three places, the rows used have {places}; "
            "choose cov='robust'."
        )
    within = origin == destination
    low, high = np.minimum(origin, destination), np.maximum(origin, destination)
    pair, labels = pd.factorize(low * places + high)
    pair = np.where(within, len(labels), pair).astype(np.int64)
    other = np.where(within, places, destination)
    return Part(1, (origin, other), places), Part(-1, (pair,), len(labels))


def cross_product(parts: Sequence[Part], scores: Array) -> Array:
    """Return the middle of the sandwich for scores of shape (N, K), shape (K, K)."""
    K = scores.shape[1]
    middle = np.zeros((K, K))
    for part in parts:
        sums = part.sums(scores)
        middle += part.sign * np.einsum("gk,gm->km", sums, sums)
    return middle


def squares(parts: Sequence[Part], scores: Array) -> Array:
    """Return the diagonal of :func:`cross_product`, shape (K,)."""
    total = np.zeros(scores.shape[1])
    for part in parts:
        sums = part.sums(scores)
        total += part.sign * np.einsum("gk,gk->k", sums, sums)
    return total


def repair(matrix: Array) -> tuple[Array, bool]:
    """Set negative eigenvalues to zero, and say whether there were any.

    Signs can leave an indefinite covariance; this is the usual repair, fixest's and reghdfe's too.
    """
    values, vectors = linalg.eigh(matrix)
    if not len(values) or values[0] >= 0:
        return matrix, False
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T), True
