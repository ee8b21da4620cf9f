"""How far an estimate agrees with a table: correlation, error, and the error that was removed."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.matrix import MigrationMatrix

__all__ = ["Agreement", "Pairs", "agreement", "flow_agreement", "rmse_reduction"]

Array = NDArray[np.float64]
Pairs: TypeAlias = Literal["all", "stored"]

# A spread below this share of the size is rounding: the values are one and the same.
_NO_SPREAD = 1e-13


@dataclass(frozen=True)
class Agreement:
    """How far estimates x agree with the values y of a table.

    Attributes
    ----------
    cells : int
        Number of values compared.
    rmse : float
        ``(sum w (x - y)^2 / sum w)^(1/2)``, in people or, of a rate, in shares.
    correlation : float or None
        Pearson's, weighted by w; None where it does not exist.
    reason : str
        Why it does not; empty otherwise.
    """

    cells: int
    rmse: float
    correlation: float | None
    reason: str = ""


def agreement(estimate: ArrayLike, table: ArrayLike, weights: ArrayLike | None = None) -> Agreement:
    """Compare estimates with the values of a table.

    Values that are not finite on either side are left out, as a rate of an area without people
    is [AgostiniYoungFitzpatrickGargPierson2025]_.

    Parameters
    ----------
    estimate, table
        Of the same cells in the same order, of any one shape.
    weights
        Zero or more; the same shape. None weighs all alike.

    Raises
    ------
    DataError
        If shapes differ, a weight is negative or not finite, or nothing is left to compare.
    """
    x, y = (np.asarray(values, dtype=np.float64).ravel() for values in (estimate, table))
    if x.shape != y.shape:
        raise DataError(
            f"{x.size:,} estimates stand against {y.size:,} values of the table; give both for "
            "the same cells."
        )
    w = np.ones_like(x) if weights is None else _valid_weights(weights, x.size)
    kept = np.isfinite(x) & np.isfinite(y)
    x, y, w = x[kept], y[kept], w[kept]
    total = float(w.sum())
    if not total > 0:
        raise DataError(
            f"of {kept.size:,} cells none has an estimate, a value of the table and a weight "
            "above zero; there is nothing to compare."
        )
    shift = float(w @ x) / total, float(w @ y) / total
    dx, dy = x - shift[0], y - shift[1]
    sums = [total, w @ dx, w @ dy, w @ dx**2, w @ dy**2, w @ (dx * dy), w @ (x - y) ** 2]
    return _from_moments(np.array(sums), shift, int(kept.sum()))


def _valid_weights(weights: ArrayLike, cells: int) -> Array:
    w = np.asarray(weights, dtype=np.float64).ravel()
    if w.shape != (cells,):
        raise DataError(f"{w.size:,} weights were given for {cells:,} cells; give one for each.")
    bad = np.flatnonzero(~(np.isfinite(w) & (w >= 0)))
    if len(bad):
        raise DataError(
            f"{len(bad):,} weights are negative or not finite (the first, at {bad[0]}, is "
            f"{w[bad[0]]}); weigh by people, from zero."
        )
    return w


def flow_agreement(
    estimate: MigrationMatrix,
    table: MigrationMatrix,
    *,
    stayers: bool = True,
    pairs: Pairs = "all",
) -> Agreement:
    """Compare two matrices of moves pair by pair, without ever filling them.

    Parameters
    ----------
    estimate, table
        Of the same areas in the same order.
    stayers
        Whether the diagonal is compared too.
    pairs
        ``"all"`` compares every pair of areas, those with no move in either among them, as the
        literature does for states and counties; ``"stored"`` only those that either matrix
        stores, so that billions of empty pairs do not decide.

    Raises
    ------
    DataError
        If the areas differ, or no pair is left.
    SpecificationError
        If ``pairs`` is another word.
    """
    if pairs not in ("all", "stored"):
        raise SpecificationError(f"pairs='{pairs}' is unknown; choose 'all' or 'stored'.")
    # A merge of a few thousand pairs shall not make importing this module wait for numba.
    from estimation.migration.agreement_kernels import paired_moments

    refuse_other_areas(estimate, table)
    N = estimate.areas.size
    everything = float(N) ** 2 - (0 if stayers else N)
    totals = [m.total - (0.0 if stayers else float(m.stayers.sum())) for m in (estimate, table)]
    cells = everything if pairs == "all" else float(max(estimate.nnz, table.nnz, 1))
    shift = totals[0] / max(cells, 1), totals[1] / max(cells, 1)
    sums = paired_moments(estimate, table, *shift, diagonal=stayers)
    if pairs == "all":
        empty = everything - sums[0]
        a, b = -shift[0], -shift[1]
        sums = sums + empty * np.array([1.0, a, b, a * a, b * b, a * b, 0.0])
    if not sums[0] > 0:
        raise DataError(
            "there is no pair to compare; the areas are too few or nobody moves in either matrix."
        )
    return _from_moments(sums, shift, int(sums[0]))


def refuse_other_areas(estimate: MigrationMatrix, table: MigrationMatrix) -> None:
    """Raise unless both matrices are of the same areas in the same order.

    Raises
    ------
    DataError
        Naming the first area that differs.
    """
    ours, theirs = estimate.areas.labels, table.areas.labels
    if ours.equals(theirs):
        return
    if len(ours) != len(theirs):
        raise DataError(
            f"the estimate has {len(ours):,} {estimate.areas.name}s and the table {len(theirs):,} "
            f"{table.areas.name}s; build both on the same areas."
        )
    first = int(np.flatnonzero(np.asarray(ours != theirs))[0])
    raise DataError(
        f"area {first} is {ours[first]} in the estimate and {theirs[first]} in the table; build "
        "both on the same areas, in the same order."
    )


def _from_moments(sums: Array, shift: tuple[float, float], cells: int) -> Agreement:
    """Turn sums of weights, shifted values and their products into measures."""
    total = sums[0]
    mean = sums[1:3] / total
    spread = sums[3:5] / total - mean**2
    product = sums[5] / total - mean[0] * mean[1]
    rmse = float(np.sqrt(sums[6] / total))
    size = spread + (mean + np.array(shift)) ** 2
    for name, s, e in zip(("estimate", "table"), spread, size, strict=True):
        if s <= e * _NO_SPREAD**2:
            return Agreement(cells, rmse, None, f"the {name} does not vary")
    return Agreement(cells, rmse, float(np.clip(product / np.sqrt(spread.prod()), -1.0, 1.0)))


def rmse_reduction(rmse: float, raw_rmse: float) -> float | None:
    """Return the share of the raw matrix's error that is gone, ``1 - rmse / raw_rmse``.

    None if the raw matrix makes no error. Over several releases the literature averages these
    shares, not the errors [AgostiniYoungFitzpatrickGargPierson2025]_.

    Raises
    ------
    DataError
        If an error is negative or not finite.
    """
    for value in (rmse, raw_rmse):
        if not (np.isfinite(value) and value >= 0):
            raise DataError(f"a root mean square error cannot be {value}; it starts at zero.")
    return None if raw_rmse == 0 else 1 - rmse / raw_rmse
