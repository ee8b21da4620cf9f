"""Types of areas, and shares of groups in them: by what moves are told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import require_columns
from choicemodels.migration.areas import Areas, Level
from estimation.migration.inputs import Missing, known_attribute

__all__ = [
    "AreaTypes",
    "GroupShares",
    "Strata",
    "by_stratum",
    "checked_strata",
    "crossed_types",
    "group_shares",
    "labelled_types",
    "plurality_types",
    "quantile_types",
    "refuse_no_strata",
]

Array = NDArray[np.float64]

UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)
class AreaTypes(Level):
    """Which type each area is of; types need not nest in anything.

    Attributes
    ----------
    codes : ndarray of int32, shape (N,)
        Position of each area's type in ``labels``.
    labels : Index, shape (K,)
    name : str
        What tells the types apart, such as ``"income"``.

    Raises
    ------
    DataError
        If a code is not the position of a label.
    """

    name: str

    def __post_init__(self) -> None:
        codes = np.ascontiguousarray(self.codes, dtype=np.int32)
        object.__setattr__(self, "codes", codes)
        if len(codes) and (codes.min() < 0 or codes.max() >= len(self.labels)):
            raise DataError(f"a type of '{self.name}' is not one of {len(self.labels)} labels.")

    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int32], Array]:
        """Return the one stratum of each area by rows: pointers, strata and weights."""
        N = len(self.codes)
        return np.arange(N + 1, dtype=np.int64), self.codes, np.ones(N)


@dataclass(frozen=True, eq=False)
class GroupShares:
    """Shares of groups in the people of each area.

    Moves out of an area are divided among groups by these shares: nobody knows who of an area
    moved, so this takes everybody of an area to move alike.

    Attributes
    ----------
    shares : ndarray, shape (N, G)
        Zero or more; rows add up to one.
    labels : Index, shape (G,)
    name : str
    """

    shares: Array
    labels: pd.Index
    name: str

    @property
    def size(self) -> int:
        """Return the number of groups."""
        return len(self.labels)

    def totals(self, values: Array) -> Array:
        """Divide values of the areas, shape (N,), among the groups and add them up, (G,)."""
        return np.asarray(self.shares.T @ values)

    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int32], Array]:
        """Return the groups of each area by rows: pointers, groups and weights."""
        N, G = self.shares.shape
        groups = np.tile(np.arange(G, dtype=np.int32), N)
        return np.arange(0, N * G + 1, G, dtype=np.int64), groups, self.shares.ravel()


Strata: TypeAlias = AreaTypes | GroupShares


def checked_strata(strata: Strata | None, areas: Areas) -> Strata:
    """Return strata that fit the areas; None makes one stratum of all.

    Raises
    ------
    SpecificationError
        If they are no strata.
    DataError
        If they are of another number of areas.
    """
    if strata is None:
        return AreaTypes(np.zeros(areas.size, dtype=np.int32), pd.Index(["all"]), "stratum")
    refuse_no_strata(strata)
    size = len(strata.codes) if isinstance(strata, AreaTypes) else len(strata.shares)
    if size != areas.size:
        raise DataError(
            f"'{strata.name}' tells {size:,} areas apart, but the matrix has {areas.size:,}; make "
            "it from the areas of the matrix."
        )
    return strata


def refuse_no_strata(strata: object) -> None:
    """Raise if an object is neither types of areas nor shares of groups."""
    if not isinstance(strata, AreaTypes | GroupShares):
        raise SpecificationError(
            f"strata are a {type(strata).__name__}; make them with plurality_types, "
            "labelled_types, quantile_types or group_shares."
        )


def by_stratum(strata: Strata, rows: Array) -> Array:
    """Add up columns of the areas, shape (N, C), by stratum, shape (S, C)."""
    return np.column_stack([strata.totals(column) for column in rows.T])


def plurality_types(
    areas: Areas, groups: Sequence[str], *, name: str = "plurality", missing: Missing = "refuse"
) -> AreaTypes:
    """Tell areas apart by their largest group; a group that is the largest nowhere has no type.

    Parameters
    ----------
    areas
    groups
        Columns of the table of areas with the people (or shares) of each group. Of equal groups
        the first named wins, as in the published code [AgostiniYoungFitzpatrickGargPierson2025]_.
    name
        What to call the types.
    missing
        What of areas without people or with a missing count: ``"refuse"`` them, or set them
        ``"apart"`` as a type of their own, ``"unknown"``.

    Raises
    ------
    DataError
        If a column is missing or negative, or an area has no people and ``missing="refuse"``.
    """
    counts = _group_counts(areas, groups)
    known = _with_people(areas, counts, name, missing)
    largest = np.where(known, np.nan_to_num(counts).argmax(axis=1), len(groups))
    there, codes = np.unique(largest, return_inverse=True)
    return AreaTypes(codes.astype(np.int32), _with_unknown(groups, known, name)[there], name)


def group_shares(
    areas: Areas, groups: Sequence[str], *, name: str = "group", missing: Missing = "refuse"
) -> GroupShares:
    """Return the shares of groups in each area.

    Parameters
    ----------
    areas, groups, name, missing
        As of :func:`plurality_types`.

    Raises
    ------
    DataError
        As :func:`plurality_types`.
    """
    counts = _group_counts(areas, groups)
    known = _with_people(areas, counts, name, missing)
    labels = _with_unknown(groups, known, name)
    shares = np.zeros((areas.size, len(labels)))
    shares[known, : len(groups)] = counts[known] / counts[known].sum(axis=1, keepdims=True)
    shares[~known, -1] = 1.0
    return GroupShares(shares, labels, name)


def labelled_types(
    areas: Areas,
    column: str,
    *,
    labels: Mapping[object, str] | None = None,
    missing: Missing = "refuse",
) -> AreaTypes:
    """Tell areas apart by what a column of their table says.

    Parameters
    ----------
    areas
    column
        Text, categories or truth values.
    labels
        What to call the values, such as ``{True: "urban", False: "rural"}``; its order is that of
        the types. By default values in sorted order.
    missing
        As of :func:`plurality_types`.

    Raises
    ------
    DataError
        If the column is not there, a value has no label, or is missing and
        ``missing="refuse"``.
    """
    require_columns(areas.table, [column], what="the table of areas")
    values = areas.table[column]
    known = values.notna().to_numpy()
    _refuse_unknown(areas, known, column, missing)
    if labels is None:
        there = sorted(values[known].unique().tolist())
        labels = {value: str(value) for value in there}
    strange = [v for v in values[known].unique().tolist() if v not in labels]
    if strange:
        raise DataError(f"column '{column}' holds {enumerate_some(strange)}, for which no label "
                        "was given.")  # fmt: skip
    position = {value: k for k, value in enumerate(labels)}
    codes = [position[v] if k else len(position) for v, k in zip(values, known, strict=True)]
    return AreaTypes(np.array(codes), _with_unknown(list(labels.values()), known, column), column)


def quantile_types(
    areas: Areas,
    attribute: str | ArrayLike,
    bins: int = 4,
    *,
    weights: str | ArrayLike | None = None,
    name: str | None = None,
    missing: Missing = "refuse",
) -> AreaTypes:
    """Tell areas apart by quantiles of an attribute, from low to high.

    Parameters
    ----------
    areas
    attribute
        Column of the table of areas, or a value for each area.
    bins
        Number of types: 4 for quartiles, 10 for deciles.
    weights
        Column with people, so that each type holds about as many people. By default each type
        holds as many *areas*, as ``pandas.qcut`` does in the published code
        [AgostiniYoungFitzpatrickGargPierson2025]_. A value on a bound belongs to the lower type.
    name
        What to call the types; the column by default.
    missing
        As of :func:`plurality_types`.

    Raises
    ------
    SpecificationError
        If there are fewer than two bins.
    DataError
        If a value is missing and ``missing="refuse"``, weights are negative or missing, or the
        attribute takes too few values for so many types.
    """
    if bins < 2 or bins != int(bins):
        raise SpecificationError(f"bins={bins}: quantiles divide areas into two types or more.")
    name = name or (attribute if isinstance(attribute, str) else "quantile")
    values = known_attribute(areas, attribute, missing)
    known = ~np.isnan(values)
    bins = int(bins)
    at = np.arange(1, bins) / bins
    if weights is None:
        bounds = np.quantile(values[known], at)
    else:
        bounds = _weighted_quantiles(values[known], known_attribute(areas, weights)[known], at)
    codes = np.where(known, np.searchsorted(bounds, values, side="left"), bins)
    if len(np.unique(codes[known])) < bins:
        raise DataError(
            f"'{name}' takes too few values for {bins} types: two bounds fall on one value; ask "
            "for fewer."
        )
    labels = [f"{k} of {bins}" for k in range(1, bins + 1)]
    return AreaTypes(codes, _with_unknown(labels, known, name), name)


def crossed_types(first: AreaTypes, second: AreaTypes) -> AreaTypes:
    """Tell areas apart by two kinds of types at once, such as group and income.

    Returns
    -------
    AreaTypes
        Labels read ``"first, second"``; pairs that no area has are left out.

    Raises
    ------
    DataError
        If the two are of other numbers of areas.
    """
    if len(first.codes) != len(second.codes):
        raise DataError(
            f"'{first.name}' tells {len(first.codes):,} areas apart and '{second.name}' "
            f"{len(second.codes):,}; make both from the same areas."
        )
    pairs, codes = np.unique(first.codes * second.size + second.codes, return_inverse=True)
    labels = [
        f"{first.labels[pair // second.size]}, {second.labels[pair % second.size]}"
        for pair in pairs
    ]
    name = f"{first.name}, {second.name}"
    return AreaTypes(codes, pd.Index(labels, name=name), name)


def _weighted_quantiles(values: Array, weights: Array, at: Array) -> Array:
    """Return the smallest values that at least these shares of the weight do not exceed."""
    if (weights < 0).any() or weights.sum() <= 0:
        raise DataError("weights of quantiles must be zero or more, and not all zero.")
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    # Rounding must not push a share that is met exactly to the next area.
    where = np.searchsorted(reached, at * reached[-1] * (1 - 1e-12))
    return np.asarray(values[order][where])


def _group_counts(areas: Areas, groups: Sequence[str]) -> Array:
    if isinstance(groups, str) or len(groups) < 2:
        raise SpecificationError("name the columns of two groups or more.")
    counts = np.column_stack([areas.attribute(group) for group in groups])
    for group, column in zip(groups, counts.T, strict=True):
        negative = areas.labels[column < 0].tolist()
        if negative:
            raise DataError(f"'{group}' is negative in {len(negative):,} areas "
                            f"({enumerate_some(negative)}).")  # fmt: skip
    return counts


def _with_people(areas: Areas, counts: Array, name: str, missing: Missing) -> NDArray[np.bool_]:
    known = np.isfinite(counts).all(axis=1) & (np.nan_to_num(counts).sum(axis=1) > 0)
    _refuse_unknown(areas, known, name, missing)
    return np.asarray(known)


def _refuse_unknown(areas: Areas, known: NDArray[np.bool_], name: str, missing: Missing) -> None:
    unknown = areas.labels[~known].tolist()
    if missing not in ("refuse", "apart"):
        raise SpecificationError(f"missing='{missing}' is not one of 'refuse', 'apart'.")
    if unknown and missing == "refuse":
        raise DataError(
            f"'{name}' is not known of {len(unknown):,} areas ({enumerate_some(unknown)}): "
            "nothing is stated, or nobody lives there. Set them apart with missing='apart'."
        )


def _with_unknown(labels: Sequence[str], known: NDArray[np.bool_], name: str) -> pd.Index:
    return pd.Index([*labels] if known.all() else [*labels, UNKNOWN], name=name)
