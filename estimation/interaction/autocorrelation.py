"""Spatial autocorrelation of what a model of flows leaves over."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from choicemodels.errors import DataError, SpecificationError
from choicemodels.flows.flowdata import FlowData
from estimation.gravity.result import GravityResult
from estimation.interaction.neighbours import (
    FlowLink,
    flow_weights,
    place_weights,
)
from estimation.interaction.result import InteractionResult

__all__ = [
    "MoranTest",
    "moran",
    "moran_statistic",
    "pearson_residuals",
    "residual_autocorrelation",
    "row_standardized",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MoranTest:
    """Moran's I, or why there is none.

    Attributes
    ----------
    statistic : float or None
        ``(n / sum w) sum w_ij z_i z_j / sum z_i^2``, weights standardized by row.
    expected : float or None
        ``-1 / (n - 1)``, without autocorrelation.
    z : float or None
        Distance from the expectation in standard deviations under randomization [CliffOrd1981]_.
    pvalue : float or None
        Two-sided, from z.
    pvalue_permutations : float or None
        Share of permutations, itself included, at least as far from the expectation.
    units : int
        Number n.
    islands : int
        Units without neighbours.
    reason : str
        Why there is no statistic; empty if there is.
    """

    statistic: float | None
    expected: float | None
    z: float | None
    pvalue: float | None
    pvalue_permutations: float | None
    units: int
    islands: int
    reason: str = ""


def moran(values: Any, weights: Any, *, permutations: int = 999, seed: int = 0) -> MoranTest:
    """Test values for spatial autocorrelation by Moran's I [Moran1950]_.

    Parameters
    ----------
    values : (n,)
    weights : sparse array (n, n)
        Zero or more; standardized by row here.
    permutations
        Number of random permutations; zero for none.
    seed
        Of the permutations.

    Raises
    ------
    SpecificationError
        If ``permutations`` is negative.
    DataError
        If the shapes do not agree or a value is not finite.
    """
    if permutations < 0:
        raise SpecificationError(f"permutations is {permutations}; give zero or more.")
    given = np.asarray(values, dtype=np.float64)
    n = len(given)
    if weights.shape != (n, n):
        raise DataError(f"{n:,} values need weights of shape ({n}, {n}), not {weights.shape}.")
    if not np.isfinite(given).all():
        raise DataError("a value to test for autocorrelation is not finite.")
    z = given - given.mean()
    W, islands = row_standardized(weights)
    spread = float(z @ z)
    reason = ""
    if n < 4:
        reason = "fewer than four units"
    elif islands == n:
        reason = "no unit has a neighbour"
    elif spread <= 1e-20 * float(given @ given):
        reason = "the values do not vary"
    if reason:
        return MoranTest(None, None, None, None, None, n, islands, reason)
    statistic, expected = moran_statistic(z, W), -1 / (n - 1)
    deviation = (statistic - expected) / _spread(W, z)
    p = None
    if permutations:
        rng, scale = np.random.default_rng(seed), n / float(W.sum()) / spread
        drawn = np.empty(permutations)
        for r in range(permutations):
            shuffled = rng.permutation(z)
            drawn[r] = scale * float(shuffled @ (W @ shuffled))
        # Equal up to rounding is as far.
        far = np.abs(drawn - expected) >= abs(statistic - expected) * (1 - 1e-12)
        p = (1 + int(far.sum())) / (1 + permutations)
    normal = 2 * float(ndtr(-abs(deviation)))
    return MoranTest(statistic, expected, deviation, normal, p, n, islands)


def moran_statistic(z: Array, W: Any) -> float:
    """Return Moran's I of values whose mean is zero, under weights as they are."""
    return len(z) / float(W.sum()) * float(z @ (W @ z)) / float(z @ z)


def row_standardized(weights: Any) -> tuple[Any, int]:
    """Return weights that sum to one in each row that has any, and the rows that have none."""
    from scipy.sparse import diags_array

    sums = np.asarray(weights.sum(axis=1)).ravel()
    over = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0)
    return diags_array(over) @ weights, int((sums == 0).sum())


def _spread(W: Any, z: Array) -> float:
    """Return the standard deviation of I over all permutations of z [CliffOrd1981]_."""
    n, s0 = len(z), float(W.sum())
    both = W + W.T
    s1 = 0.5 * float((both.multiply(both)).sum())
    s2 = float(((W.sum(axis=1) + W.sum(axis=0)) ** 2).sum())
    kurtosis = n * float((z**4).sum()) / float((z**2).sum()) ** 2
    first = n * ((n**2 - 3 * n + 3) * s1 - n * s2 + 3 * s0**2)
    second = kurtosis * ((n**2 - n) * s1 - 2 * n * s2 + 6 * s0**2)
    square = (first - second) / ((n - 1) * (n - 2) * (n - 3) * s0**2)
    return float(np.sqrt(square - 1 / (n - 1) ** 2))


def residual_autocorrelation(
    result: InteractionResult | GravityResult,
    weights: Any,
    *,
    link: FlowLink = "both",
    permutations: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Test the Pearson residuals of a model of flows for spatial autocorrelation.

    Parameters
    ----------
    result
        Of flows of one period.
    weights
        Neighbourhood of places; see :func:`estimation.interaction.neighbours.place_weights` and
        :func:`~estimation.interaction.neighbours.nearest_places`.
    link
        Which flows are neighbours; see :func:`estimation.interaction.neighbours.flow_weights`.
    permutations, seed
        As of :func:`moran`.

    Returns
    -------
    DataFrame
        A row for the mean residual of each origin, one for that of each destination, and one for
        the residuals of the flows; the columns are the fields of :class:`MoranTest`.

    Raises
    ------
    DataError
        If a place has no weights, or there are several periods.
    EstimationError
        If the result was read from a file, or a flow was observed where none is expected.
    """
    data, residuals = pearson_residuals(result)
    places = place_weights(weights)
    rows = residuals.index.to_numpy()
    tests = {}
    for side in (data.origin, data.destination):
        labels = data.table[side].to_numpy()[rows]
        mean = residuals.groupby(labels).mean()
        W = places.select(mean.index)
        tests[side] = moran(mean, W, permutations=permutations, seed=seed)
    W = flow_weights(data, rows, places, link)
    tests["network"] = moran(residuals, W, permutations=permutations, seed=seed)
    return pd.DataFrame.from_dict({k: asdict(v) for k, v in tests.items()}, orient="index")


def pearson_residuals(
    result: InteractionResult | GravityResult,
) -> "tuple[FlowData, pd.Series[float]]":
    """Return the flows behind a result, and ``(y - mu) / sqrt(mu)`` by position of the row.

    Raises
    ------
    DataError
        If the result was read from a file, without its data.
    """
    if isinstance(result, InteractionResult):
        kept = result.residuals("pearson")
        # Rows that a constraint gives no flow have no residual either.
        return result.data, kept[result.mu > 0]
    if result.sample is None:
        raise DataError(
            "this result was read from a file, without its data: fit again to see its residuals."
        )
    sample = result.sample
    y = sample.data.y[sample.rows]
    value = (y - sample.mu) / np.sqrt(sample.mu)
    return sample.data, pd.Series(value, index=sample.rows, name="pearson")
