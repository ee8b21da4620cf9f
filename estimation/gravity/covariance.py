"""Covariances of gravity models, with the small-sample factors of fixest and of Stata.

With H the Hessian of the concentrated likelihood, S the scores and G the smallest number of
groups, ``ssc="fixest"`` is the default of R's fixest and of pyfixest [BergeButtsMcDermott2026]_:

    hessian   (-H)^-1 (N - 1) / (N - k)
    robust    (-H)^-1 S'S (-H)^-1 N / (N - k)
    cluster   (-H)^-1 M (-H)^-1 G / (G - 1) (N - 1) / (N - k)

where k counts the coefficients and the levels of the fixed effects (less one for each effect
after the first); for the clustered one, an effect nested in a clustering counts as one level.
``"stata"`` is what ppmlhdfe reports [CorreiaGuimaraesZylkin2020]_: no factor for the hessian,
N / (N - 1) for robust and G / (G - 1) for cluster. ``"none"`` has no factor at all (HC0).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.frames import closest
from estimation.covariance import (
    REPAIRED,
    SmallSample,
    cluster_covariance,
    inverse_information,
    sandwich,
)
from estimation.results import Covariance

__all__ = ["KINDS", "Grouping", "LevelCount", "gravity_covariance", "nested_in"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

KINDS = ("hessian", "robust", "cluster")


@dataclass(frozen=True)
class LevelCount:
    """How many levels one fixed effect has among the rows used, e.g. 3,840 of origin^year.

    Slopes by level are counted as well; unlike levels, they all are parameters of their own.
    """

    name: str
    levels: int
    slopes: bool = False


@dataclass(frozen=True, eq=False)
class Grouping:
    """One way of clustering.

    Attributes
    ----------
    name : str
    codes : ndarray of int64, shape (N,)
        Numbered without gaps, over the rows used.
    nests : tuple of bool
        For each fixed effect, whether every level lies within one group.
    """

    name: str
    codes: Codes
    nests: tuple[bool, ...]


def nested_in(effect: Codes, groups: Codes) -> bool:
    """Say whether every level of an effect lies within one group."""
    home = np.zeros(int(effect.max()) + 1, dtype=np.int64)
    home[effect] = groups
    return bool((home[effect] == groups).all())


def gravity_covariance(
    kind: str,
    hessian: Array,
    scores_product: Array,
    names: Sequence[str],
    counts: Sequence[LevelCount],
    nobs: int,
    *,
    ssc: SmallSample = "fixest",
    scores: Array | None = None,
    groupings: Sequence[Grouping] = (),
) -> Covariance:
    """Compute one covariance of the coefficients.

    Parameters
    ----------
    kind
        ``"hessian"``, ``"robust"`` or ``"cluster"``.
    hessian
        Of the concentrated log-likelihood, shape (K, K).
    scores_product
        Cross-product of the scores, shape (K, K).
    names
        Of the coefficients.
    counts
        Levels of the fixed effects.
    nobs
        Rows used.
    ssc
        ``"fixest"``, ``"stata"`` or ``"none"``.
    scores
        Shape (N, K); needed for ``"cluster"``.
    groupings
        Ways of clustering; needed for ``"cluster"``.

    Raises
    ------
    SpecificationError
        If the kind or the convention is unknown.
    EstimationError
        If there are no rows left for the small-sample factor.
    IdentificationError
        If the Hessian is singular.
    """
    if kind not in KINDS:
        raise SpecificationError(
            f"the covariance '{kind}' is unknown{closest(kind, KINDS)}; "
            f"choose one of {', '.join(KINDS)}."
        )
    if ssc not in get_args(SmallSample):
        raise SpecificationError(
            f"the small-sample convention '{ssc}' is unknown; choose fixest, stata or none."
        )
    if not names:
        return Covariance(np.zeros((0, 0)), kind, ssc=ssc)
    bread = inverse_information(hessian, names)
    k = _parameters(len(names), counts, groupings if kind == "cluster" else ())
    if kind == "hessian":
        factor = _over(nobs - 1, nobs - k) if ssc == "fixest" else 1.0
        return Covariance(factor * bread, kind, ssc=ssc)
    if kind == "robust":
        factors = {"none": 1.0, "stata": _over(nobs, nobs - 1)}
        factor = factors[ssc] if ssc in factors else _over(nobs, nobs - k)
        return Covariance(factor * sandwich(bread, scores_product), kind, ssc=ssc)
    if scores is None or not groupings:
        raise SpecificationError("a clustered covariance needs groups=, such as groups='origin'.")
    clustering = cluster_covariance(bread, scores, [g.codes for g in groupings], ssc)
    factor = _over(nobs - 1, nobs - k) if ssc == "fixest" else 1.0
    return Covariance(
        factor * clustering.matrix,
        kind,
        tuple(g.name for g in groupings),
        clustering.groups,
        ssc,
        (REPAIRED,) if clustering.adjusted else (),
    )


def _parameters(K: int, counts: Sequence[LevelCount], groupings: Sequence[Grouping]) -> int:
    """Count parameters as fixest does; effects nested in a clustering count as one."""
    in_levels = sum(not count.slopes for count in counts)
    k = K + sum(count.levels for count in counts) - max(in_levels - 1, 0)
    for j, count in enumerate(counts):
        if any(grouping.nests[j] for grouping in groupings):
            k -= count.levels - (not count.slopes)
    return k


def _over(numerator: int, denominator: int) -> float:
    if denominator <= 0:
        raise EstimationError(
            "the model has as many parameters as rows, so the small-sample factor does not "
            "exist; use ssc='stata' or 'none', or fewer fixed effects."
        )
    return numerator / denominator
