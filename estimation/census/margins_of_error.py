"""Margins of error of what is computed from survey estimates.

The formulas treat estimates as independent and are first-order approximations [ACSHandbook2018]_.
"""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.migration.areas import Areas
from estimation.census.labels import aligned

__all__ = [
    "Z_90",
    "level_margin",
    "margin_of_error",
    "product_margin",
    "proportion_margin",
    "ratio_margin",
    "standard_error",
    "sum_margin",
]

Array = NDArray[np.float64]
Zeros = Literal["all", "largest"]

# What the Census Bureau divides by, rounded as it does: published margins reach to 90 percent.
Z_90 = 1.645


def standard_error(margin: ArrayLike, z: float = Z_90) -> Array:
    """Turn margins of error into standard errors, ``margin / z``."""
    return _margins(margin) / z


def margin_of_error(error: ArrayLike, z: float = Z_90) -> Array:
    """Turn standard errors into margins of error, ``z * error``."""
    return _margins(error) * z


def sum_margin(
    margins: ArrayLike, estimates: ArrayLike | None = None, *, zeros: Zeros = "all", axis: int = 0
) -> Array:
    """Return the margin of error of a sum, or of a difference: ``sqrt(sum of squares)``.

    The margins of estimates of zero all come from one model rather than from a sample, and
    adding up many of them overstates the error: with ``zeros="largest"`` only the largest of
    them counts [ACSHandbook2018]_.

    Parameters
    ----------
    margins
        Of the parts, any shape.
    estimates
        The parts, of the same shape; ``zeros="largest"`` needs them.
    zeros
        Which margins of estimates of zero count.
    axis
        Along which the parts stand.

    Raises
    ------
    DataError
        If a margin is negative or not finite, or the shapes or the labels of Series differ.
    SpecificationError
        If ``zeros`` is unknown, or needs estimates.
    """
    _refuse_other_labels(margins, estimates)
    m = np.moveaxis(_margins(margins), axis, 0)
    squares = m**2
    if _only_largest(zeros, estimates):
        zero = np.moveaxis(np.asarray(estimates, dtype=np.float64), axis, 0) == 0
        if zero.shape != m.shape:
            raise DataError(f"{m.shape} margins of error cannot belong to {zero.shape} estimates.")
        counted = np.where(zero, 0.0, squares).sum(axis=0)
        return np.asarray(np.sqrt(counted + np.where(zero, squares, 0.0).max(axis=0, initial=0.0)))
    return np.asarray(np.sqrt(squares.sum(axis=0)))


def level_margin(
    areas: Areas,
    level: str,
    margins: "pd.Series[float]",
    estimates: "pd.Series[float] | None" = None,
    *,
    zeros: Zeros = "all",
) -> "pd.Series[float]":
    """Return the margins of error of sums by the areas of a coarser level.

    Parameters
    ----------
    areas
    level
        A level of theirs, C areas.
    margins, estimates
        By finest area, indexed by label, as in :func:`sum_margin`.
    zeros
        Which margins of estimates of zero count.

    Returns
    -------
    Series, shape (C,)

    Raises
    ------
    DataError
        If labels are missing or strange, or a margin is negative or not finite.
    """
    group = areas.level(level)
    squares = _margins(aligned(margins, areas.labels, "the margins of error", "the table")) ** 2
    if _only_largest(zeros, estimates):
        assert estimates is not None
        zero = aligned(estimates, areas.labels, "the estimates", "the table") == 0
        largest = np.zeros(group.size)
        np.maximum.at(largest, group.codes[zero], squares[zero])
        total = group.totals(np.where(zero, 0.0, squares)) + largest
    else:
        total = group.totals(squares)
    return pd.Series(np.sqrt(total), index=group.labels)


def product_margin(x: ArrayLike, x_margin: ArrayLike, y: ArrayLike, y_margin: ArrayLike) -> Array:
    """Return the margin of error of ``x * y``: ``sqrt(x² m_y² + y² m_x²)``.

    Raises
    ------
    DataError
        If Series are labelled differently, or a margin is negative or not finite.
    """
    _refuse_other_labels(x, x_margin, y, y_margin)
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return np.asarray(np.hypot(a * _margins(y_margin), b * _margins(x_margin)))


def ratio_margin(
    numerator: ArrayLike,
    numerator_margin: ArrayLike,
    denominator: ArrayLike,
    denominator_margin: ArrayLike,
) -> Array:
    """Return the margin of error of ``R = x / y``: ``sqrt(m_x² + R² m_y²) / y``.

    The numerator need not be part of the denominator.

    Raises
    ------
    DataError
        If a denominator is not above zero, Series are labelled differently, or a margin is
        negative or not finite.
    """
    _refuse_other_labels(numerator, numerator_margin, denominator, denominator_margin)
    x, y = _fraction(numerator, denominator)
    return np.asarray(
        np.hypot(_margins(numerator_margin), x / y * _margins(denominator_margin)) / y
    )


def proportion_margin(
    part: ArrayLike, part_margin: ArrayLike, whole: ArrayLike, whole_margin: ArrayLike
) -> Array:
    """Return the margin of error of a proportion, whose numerator is part of the denominator.

    ``sqrt(m_x² - P² m_y²) / y``. Where the radicand is negative the margin of a ratio takes its
    place, and where the part is the whole ``m_x / y`` does [ACSHandbook2018]_.

    Raises
    ------
    DataError
        If a part exceeds its whole, a whole is not above zero, Series are labelled differently,
        or a margin is negative or not finite.
    """
    _refuse_other_labels(part, part_margin, whole, whole_margin)
    x, y = _fraction(part, whole)
    if np.any(x > y):
        raise DataError(
            f"{int(np.sum(x > y)):,} parts exceed their whole; use ratio_margin where the "
            "numerator is no part of the denominator."
        )
    m_x, m_y = _margins(part_margin), _margins(whole_margin)
    radicand = m_x**2 - (x / y * m_y) ** 2
    ratio = np.hypot(m_x, x / y * m_y)
    proportion = np.where(radicand >= 0, np.sqrt(np.maximum(radicand, 0.0)), ratio)
    return np.asarray(np.where(x == y, m_x, proportion) / y)


def _refuse_other_labels(*values: object) -> None:
    """Refuse Series that are labelled differently: they would be paired by position."""
    labels = [
        value.index
        for value in values
        if isinstance(value, pd.Series) and not isinstance(value.index, pd.RangeIndex)
    ]
    for other in labels[1:]:
        if not other.equals(labels[0]):
            raise DataError(
                "estimates and margins of error are matched by position, but one is labelled "
                f"{enumerate_some(labels[0].tolist())} and another "
                f"{enumerate_some(other.tolist())}; bring them into the same order first."
            )


def _fraction(numerator: ArrayLike, denominator: ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    if not np.all(y > 0):
        raise DataError(
            f"{int(np.sum(~(y > 0))):,} denominators are not above zero; leave these out: nothing "
            "is known of a share of nobody."
        )
    return x, y


def _margins(values: ArrayLike) -> Array:
    margins = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(margins) & (margins >= 0)).ravel())
    if len(bad):
        raise DataError(
            f"{len(bad):,} margins of error are negative or not finite (at "
            f"{enumerate_some(bad.tolist())}: {margins.ravel()[bad[0]]}); the census marks "
            "controlled totals with such codes: give them a margin of zero."
        )
    return margins


def _only_largest(zeros: Zeros, estimates: object) -> bool:
    if zeros not in ("all", "largest"):
        raise SpecificationError(f"zeros is '{zeros}'; it is 'all' or 'largest'.")
    if zeros == "largest" and estimates is None:
        raise SpecificationError("zeros='largest' needs the estimates, to see which are zero.")
    return zeros == "largest"
