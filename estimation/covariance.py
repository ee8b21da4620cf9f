"""Covariance matrices of M-estimators, as pure functions of the scores and the Hessian.

With ``s_i`` the score of observation i (weights already in it) and ``H`` the Hessian of the
log-likelihood at the estimate, the asymptotic covariances are

    hessian   (-H)^-1
    bhhh      (S'S)^-1
    robust    (-H)^-1 S'S (-H)^-1
    cluster   (-H)^-1 [ sum_g s_g s_g' ] (-H)^-1,  s_g the sum of the scores of group g

and several ways of grouping combine by inclusion and exclusion [CameronGelbachMiller2011]_.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.errors import DataError, IdentificationError, enumerate_some
from estimation.meat import by_cluster, cross_product, repair

__all__ = [
    "REPAIRED",
    "Clustering",
    "InformationSpectrum",
    "SmallSample",
    "cluster_covariance",
    "group_codes",
    "information_spectrum",
    "inverse_information",
    "sandwich",
]

Array = NDArray[np.float64]
SmallSample = Literal["none", "fixest", "stata"]

REPAIRED = "Negative eigenvalues of the clustered covariance were set to zero."

# Below this ratio of the smallest to the largest eigenvalue of the scaled information
# matrix, double precision cannot tell the direction from a flat one.
_FLAT = 1e-13


@dataclass(frozen=True)
class Clustering:
    """A clustered covariance, and what it was computed from.

    Attributes
    ----------
    matrix : ndarray, shape (K, K)
        The covariance.
    groups : tuple of int
        Number of groups in each way of clustering.
    adjusted : bool
        Whether a negative eigenvalue was set to zero to keep the matrix positive semidefinite.
    """

    matrix: Array
    groups: tuple[int, ...]
    adjusted: bool


def group_codes(
    values: Sequence[object] | NDArray[np.generic] | pd.Series, name: str
) -> NDArray[np.int64]:
    """Give the groups the numbers 0, 1, ... in the order of their appearance.

    Parameters
    ----------
    values
        One label for each observation, shape (N,).
    name
        How the error message calls the grouping.

    Raises
    ------
    DataError
        If a label is missing.
    """
    codes, _ = pd.factorize(np.asarray(values), use_na_sentinel=True)
    if (codes < 0).any():
        rows = np.flatnonzero(codes < 0)
        raise DataError(
            f"the clustering '{name}' has no label in {len(rows):,} observations "
            f"(first at {enumerate_some(rows.tolist())}); drop them or give them a group."
        )
    return codes.astype(np.int64)


@dataclass(frozen=True)
class InformationSpectrum:
    """Eigenvalues of the information matrix, scaled to a unit diagonal.

    The scaling keeps units of measurement from deciding what counts as singular.

    Attributes
    ----------
    values : ndarray, shape (K,)
        Eigenvalues, smallest first.
    vectors : ndarray, shape (K, K)
        Eigenvectors in its columns.
    scale : ndarray, shape (K,)
        One over the roots of the diagonal: ``vectors[:, j] * scale`` are directions in the
        parameters.
    """

    values: Array
    vectors: Array
    scale: Array

    @property
    def flat(self) -> NDArray[np.bool_]:
        """Which directions double precision cannot tell from flat ones, shape (K,)."""
        return np.asarray(self.values < _FLAT * self.values[-1])

    @property
    def indefinite(self) -> bool:
        """Whether the log-likelihood rises along some direction by more than rounding."""
        return bool(self.values[0] < -100 * _FLAT * self.values[-1])


def information_spectrum(hessian: Array, names: Sequence[str]) -> InformationSpectrum:
    """Decompose the negative Hessian.

    Parameters
    ----------
    hessian
        Second derivatives of the log-likelihood, shape (K, K).
    names
        Parameter names, for the message.

    Raises
    ------
    IdentificationError
        If a parameter has no information at all.
    """
    information = -0.5 * (hessian + hessian.T)
    diagonal = np.diag(information)
    flat = [names[int(k)] for k in np.flatnonzero(~(diagonal > 0))]
    if flat:
        raise IdentificationError(
            f"the log-likelihood is flat or convex in {enumerate_some(flat)}: the data say nothing "
            "about it; drop it, or check that it varies between the alternatives of a case."
        )
    scale = 1.0 / np.sqrt(diagonal)
    values, vectors = linalg.eigh(information * np.outer(scale, scale))
    return InformationSpectrum(values, vectors, scale)


def inverse_information(hessian: Array, names: Sequence[str]) -> Array:
    """Invert the negative Hessian, or name the columns that make it singular.

    Parameters
    ----------
    hessian
        Second derivatives of the log-likelihood, shape (K, K).
    names
        Parameter names, for the message.

    Raises
    ------
    IdentificationError
        If the information matrix is singular or indefinite.
    """
    spectrum = information_spectrum(hessian, names)
    vectors, scale = spectrum.vectors, spectrum.scale
    if spectrum.indefinite:
        raise IdentificationError(
            "the Hessian is not negative definite: the estimate is a saddle point, mostly in "
            f"{_heaviest(np.abs(vectors[:, 0]), names)}; try other starting values or a simpler "
            "model."
        )
    if spectrum.flat.any():
        weights = np.abs(vectors[:, spectrum.flat]).max(axis=1)
        raise IdentificationError(
            f"the columns {_heaviest(weights, names)} are collinear (within every choice set, or "
            "after the fixed effects), so the Hessian is singular; drop one of them."
        )
    inverse = (vectors / spectrum.values) @ vectors.T
    return np.asarray(inverse * np.outer(scale, scale))


def _heaviest(weights: Array, names: Sequence[str]) -> str:
    chosen = np.flatnonzero(weights > 0.1 * weights.max())
    return enumerate_some([f"'{names[int(k)]}'" for k in chosen], most=8)


def sandwich(bread: Array, meat: Array) -> Array:
    """Return ``bread @ meat @ bread``, symmetric to the last bit."""
    product = bread @ meat @ bread
    return np.asarray(0.5 * (product + product.T))


def cluster_covariance(
    bread: Array, scores: Array, groupings: Sequence[NDArray[np.int64]], ssc: SmallSample = "none"
) -> Clustering:
    """Return the clustered covariance, in any number of ways.

    Several ways combine by inclusion and exclusion (:func:`estimation.meat.by_cluster`), which
    can leave negative eigenvalues; they are set to zero.

    Parameters
    ----------
    bread
        Inverse information, shape (K, K).
    scores
        Scores, shape (N, K).
    groupings
        For each way of clustering the codes of :func:`group_codes`, shape (N,).
    ssc
        ``"fixest"`` and ``"stata"`` multiply by ``G / (G - 1)``, G the smallest number of groups
        of the ways; factors for the number of parameters are left to the caller, who knows it.

    Raises
    ------
    DataError
        If a way of clustering has a single group.
    """
    parts = by_cluster(groupings)
    counts = tuple(int(g.max()) + 1 for g in groupings)
    smallest = min(counts)
    factor = 1.0 if ssc == "none" else smallest / (smallest - 1)
    matrix = factor * sandwich(bread, cross_product(parts, scores))
    matrix, adjusted = (matrix, False) if len(groupings) == 1 else repair(matrix)
    return Clustering(matrix, counts, adjusted)
