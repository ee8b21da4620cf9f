"""Covariances of gravity models, with the small-sample factors of fixest and of Stata.

With H the Hessian of the concentrated likelihood, s_i the scores, h_i the leverages (the absorbed
effects included) and G the smallest number of groups:

    hessian   (-H)^-1
    HC0       (-H)^-1 [ sum_i s_i s_i' ] (-H)^-1
    HC1       HC0 times N / (N - k)
    HC2       (-H)^-1 [ sum_i s_i s_i' / (1 - h_i) ] (-H)^-1
    HC3       (-H)^-1 [ sum_i s_i s_i' / (1 - h_i)^2 ] (-H)^-1
    robust    HC0 times a small-sample factor
    cluster   (-H)^-1 [ sum_g s_g s_g' ] (-H)^-1, s_g the sums by group, in any number of ways
    dyadic    the same, over all pairs of rows that share a place [AronowSamiiAssenova2015]_
    CRV3      the cluster jackknife (:mod:`estimation.gravity.jackknife`)

k counts the coefficients and the levels of the fixed effects (less one for each effect after the
first); with groups, an effect nested in one of them counts as one level. ``ssc="fixest"`` is the
default of R's fixest and of pyfixest [BergeButtsMcDermott2026]_, ``"stata"`` what ppmlhdfe
reports [CorreiaGuimaraesZylkin2020]_; dyadic counts the places as groups:

    ssc       hessian            robust       cluster, dyadic
    fixest    (N - 1) / (N - k)  N / (N - k)  G / (G - 1) (N - 1) / (N - k)
    stata     1                  N / (N - 1)  G / (G - 1)
    none      1                  1            1

HC0 to HC3 and CRV3 bring their own factor, whatever ``ssc``. HC2 and HC3 are those of R's
sandwich for a Poisson regression with all dummies written out [Zeileis2006]_.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError, EstimationError, SpecificationError, enumerate_some
from choicemodels.flows.factor import Factor, compress
from choicemodels.frames import closest
from estimation.covariance import REPAIRED, SmallSample, inverse_information, sandwich
from estimation.meat import BY_ROW, Part, by_cluster, by_dyad, cross_product, repair
from estimation.results import Covariance

__all__ = [
    "KINDS",
    "Grouping",
    "LevelCount",
    "Middle",
    "check_kind",
    "gravity_covariance",
    "middle_of",
    "nested_in",
    "rescaling",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

KINDS = ("hessian", "robust", "HC0", "HC1", "HC2", "HC3", "cluster", "dyadic", "CRV3")

# A leverage this close to one leaves nothing of the row's residual but rounding.
_WHOLE = 1e-8


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
    heads : ndarray, shape (G,)
        Of each group the label in the data, or its code in the factor.
    factor : Factor or None
        The columns that were named.
    """

    name: str
    codes: Codes
    nests: tuple[bool, ...]
    heads: NDArray[Any]
    factor: Factor | None = None

    @property
    def size(self) -> int:
        """Number of groups, G."""
        return len(self.heads)

    def labels(self) -> tuple[str, ...]:
        """Return the name of each group."""
        shown = self.heads if self.factor is None else self.factor.labels(self.heads)
        return tuple(map(str, shown))


@dataclass(frozen=True, eq=False)
class Middle:
    """What stands between the two inverse Hessians, as a function of the rows' contributions.

    Attributes
    ----------
    kind : str
    ssc : str
    factor : float
        Of the small sample.
    parts : tuple of Part
        How contributions are summed; empty for ``"hessian"``, which has no middle.
    rescale : ndarray, shape (N,), or None
        By which the scores of the rows are multiplied before.
    groups : tuple of str
    group_counts : tuple of int
    notes : tuple of str
    """

    kind: str
    ssc: SmallSample
    factor: float
    parts: tuple[Part, ...]
    rescale: Array | None = None
    groups: tuple[str, ...] = ()
    group_counts: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def nested_in(effect: Codes, groups: Codes) -> bool:
    """Say whether every level of an effect lies within one group."""
    effect, size, _ = compress(effect, int(effect.max()) + 1)
    home = np.zeros(size, dtype=np.int64)
    home[effect] = groups
    return bool((home[effect] == groups).all())


def check_kind(kind: str, ssc: str) -> None:
    """Refuse an unknown covariance or small-sample convention.

    Raises
    ------
    SpecificationError
        If the kind or the convention is unknown.
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


def rescaling(kind: str, leverages: Array, rows: Codes) -> Array:
    """Return what HC2 and HC3 multiply the scores by, shape (N,).

    Parameters
    ----------
    kind
        ``"HC2"`` or ``"HC3"``.
    leverages
        Shape (N,).
    rows
        Positions of the rows in the table that was given, for the message.

    Raises
    ------
    EstimationError
        If a row has the leverage one: the model fits it whatever its flow.
    """
    left = 1.0 - leverages
    whole = rows[left < _WHOLE]
    if len(whole):
        raise EstimationError(
            f"{kind} is not defined: {len(whole):,} rows have the leverage one (rows "
            f"{enumerate_some(whole.tolist())}), some effect or regressor fits each of them alone; "
            "choose 'robust' or 'cluster', or drop these rows."
        )
    return np.asarray(left**-0.5 if kind == "HC2" else left**-1.0)


def middle_of(
    kind: str,
    ssc: SmallSample,
    coefficients: int,
    counts: Sequence[LevelCount],
    nobs: int,
    *,
    groupings: Sequence[Grouping] = (),
    places: tuple[Codes, Codes] | None = None,
    rescale: Array | None = None,
) -> Middle:
    """Say how one kind of covariance is put together, all but the jackknife.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    ssc
        ``"fixest"``, ``"stata"`` or ``"none"``.
    coefficients
        How many there are.
    counts
        Levels of the fixed effects.
    nobs
        Rows used.
    groupings
        Ways of clustering, for ``"cluster"``; for ``"dyadic"`` those by origin and destination,
        of which only the nesting counts.
    places
        Origin and destination of each row in one numbering; for ``"dyadic"``.
    rescale
        For ``"HC2"`` and ``"HC3"``, of :func:`rescaling`.

    Raises
    ------
    DataError
        If a way of clustering has a single group.
    EstimationError
        If there are no rows left for the small-sample factor.
    """
    k = _parameters(coefficients, counts, groupings)
    if kind == "hessian":
        factor = _over(nobs - 1, nobs - k) if ssc == "fixest" else 1.0
        return Middle(kind, ssc, factor, ())
    if kind in ("HC0", "HC1", "HC2", "HC3", "robust"):
        if kind == "HC1" or (kind == "robust" and ssc == "fixest"):
            factor = _over(nobs, nobs - k)
        else:
            factor = _over(nobs, nobs - 1) if kind == "robust" and ssc == "stata" else 1.0
        return Middle(kind, ssc, factor, BY_ROW, rescale)
    factor = _over(nobs - 1, nobs - k) if ssc == "fixest" else 1.0
    if kind == "dyadic":
        assert places is not None
        parts = by_dyad(*places)
        G = parts[0].groups
        note = f"Rows that share one of the {G:,} places may be correlated; factor: {ssc}."
        return Middle(kind, ssc, factor * _of_groups(G, ssc), parts, notes=(note,))
    for grouping in groupings:
        if grouping.size < 2:
            raise DataError(
                f"'{grouping.name}' has a single group; clustered standard errors need at least "
                "two: choose a finer grouping or cov='robust'."
            )
    sizes = tuple(grouping.size for grouping in groupings)
    return Middle(
        kind,
        ssc,
        factor * _of_groups(min(sizes), ssc),
        by_cluster([grouping.codes for grouping in groupings]),
        groups=tuple(grouping.name for grouping in groupings),
        group_counts=sizes,
    )


def gravity_covariance(
    middle: Middle, hessian: Array, names: Sequence[str], scores: Array | None, product: Array
) -> Covariance:
    """Compute one covariance of the coefficients.

    Parameters
    ----------
    middle
        How it is put together.
    hessian
        Of the concentrated log-likelihood, shape (K, K).
    names
        Of the coefficients.
    scores
        Shape (N, K); needed unless the rows count one by one.
    product
        Cross-product of the scores, shape (K, K).

    Raises
    ------
    IdentificationError
        If the Hessian is singular.
    """
    K, notes = len(names), middle.notes
    bread = inverse_information(hessian, names) if K else np.zeros((0, 0))
    matrix = middle.factor * bread
    if middle.parts and K:
        if middle.parts is not BY_ROW or middle.rescale is not None:
            assert scores is not None
            rescaled = scores if middle.rescale is None else scores * middle.rescale[:, None]
            product = cross_product(middle.parts, rescaled)
        matrix = middle.factor * sandwich(bread, product)
        if len(middle.parts) > 1:
            matrix, repaired = repair(matrix)
            notes = (*notes, REPAIRED) if repaired else notes
    return Covariance(matrix, middle.kind, middle.groups, middle.group_counts, middle.ssc, notes)


def _parameters(K: int, counts: Sequence[LevelCount], groupings: Sequence[Grouping]) -> int:
    """Count parameters as fixest does; effects nested in a clustering count as one."""
    in_levels = sum(not count.slopes for count in counts)
    k = K + sum(count.levels for count in counts) - max(in_levels - 1, 0)
    for j, count in enumerate(counts):
        if any(grouping.nests[j] for grouping in groupings):
            k -= count.levels - (not count.slopes)
    return k


def _of_groups(groups: int, ssc: SmallSample) -> float:
    return 1.0 if ssc == "none" else groups / (groups - 1)


def _over(numerator: int, denominator: int) -> float:
    if denominator <= 0:
        raise EstimationError(
            "the model has as many parameters as rows, so the small-sample factor does not "
            "exist; use ssc='stata' or 'none', or fewer fixed effects."
        )
    return numerator / denominator
