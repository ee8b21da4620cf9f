"""How well expected flows fit observed ones, in the measures of the literature."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from choicemodels.errors import DataError, SpecificationError
from choicemodels.flows.flowdata import FlowData
from choicemodels.frames import numeric_column
from estimation.gravity.result import GravityResult
from estimation.interaction.result import InteractionResult

__all__ = ["Goodness", "compare_fits", "goodness"]

Array = NDArray[np.float64]

_BANDS = 20


@dataclass(frozen=True)
class Goodness:
    """Measures of fit of expected flows ``mu`` to observed flows ``y``.

    Attributes
    ----------
    cells : int
        Number N of pairs compared.
    cpc : float
        Common part of commuters, ``2 sum min(y, mu) / (sum y + sum mu)``, between 0 and 1
        [LenormandBassolasRamasco2016]_.
    mean_cell_sorensen : float
        Mean over the cells of ``2 min(y, mu) / (y + mu)``; cells where both are zero fit
        perfectly. spint calls it SSI.
    rmse : float
        Root of the mean square error.
    srmse : float
        That over the mean observed flow [KnudsenFotheringham1986]_.
    r2 : float or None
        ``1 - sum (y - mu)^2 / sum (y - mean y)^2``; it can be negative. None if y does not vary.
    r2_pearson : float or None
        Squared correlation of the two, which is blind to level and scale. None if either does
        not vary.
    deviance : float
        Of Poisson counts; infinite if a flow was observed where none is expected.
    information_gain : float
        ``sum p ln(p / q)`` of the observed shares p over the expected shares q: what is gained by
        looking, zero for a perfect fit [KnudsenFotheringham1986]_.
    mean_cost_observed, mean_cost_fitted : float or None
        Mean cost of a trip; None without costs.
    cpc_distance : float or None
        Common part of the distributions of trips over bands of cost; None without costs.
    """

    cells: int
    cpc: float
    mean_cell_sorensen: float
    rmse: float
    srmse: float
    r2: float | None
    r2_pearson: float | None
    deviance: float
    information_gain: float
    mean_cost_observed: float | None = None
    mean_cost_fitted: float | None = None
    cpc_distance: float | None = None


def goodness(
    observed: ArrayLike,
    fitted: ArrayLike,
    cost: ArrayLike | None = None,
    *,
    bands: int | Sequence[float] = _BANDS,
) -> Goodness:
    """Compare expected with observed flows.

    Parameters
    ----------
    observed, fitted
        Flows of the same pairs in the same order, zero or more, of any one shape.
    cost
        Their costs.
    bands
        For ``cpc_distance``: how many bands of equal width up to the largest cost, or where they
        end.

    Raises
    ------
    DataError
        If shapes differ, a value is negative or not finite, or no flow is above zero.
    SpecificationError
        If the bands are not ascending or fewer than one.
    """
    y, mu = (
        _checked(values, what) for values, what in ((observed, "observed"), (fitted, "fitted"))
    )
    if y.shape != mu.shape:
        raise DataError(
            f"{y.size:,} observed flows stand against {mu.size:,} fitted ones; give both for the "
            "same pairs."
        )
    for total, what in ((y.sum(), "observed"), (mu.sum(), "fitted")):
        if not total > 0:
            raise DataError(f"every {what} flow is zero; there is nothing to compare.")
    p, q = y / y.sum(), mu / mu.sum()
    both = y + mu
    share = np.divide(2 * np.minimum(y, mu), both, out=np.ones_like(y), where=both > 0)
    error = float(((y - mu) ** 2).sum())
    spread = [float(((v - v.mean()) ** 2).sum()) for v in (y, mu)]
    with np.errstate(divide="ignore", invalid="ignore"):
        # y ln(y / mu) is infinite where only mu is zero, and zero where y is.
        logs = np.where(y > 0, xlogy(y, y) - y * np.log(mu), 0.0)
        gain = np.where(y > 0, p * (np.log(p) - np.log(q)), 0.0)
        product = float(((y - y.mean()) * (mu - mu.mean())).sum())
    costs = {} if cost is None else _distance_fit(y, mu, _checked(cost, "costs"), bands)
    return Goodness(
        cells=y.size,
        cpc=float(2 * np.minimum(y, mu).sum() / both.sum()),
        mean_cell_sorensen=float(share.mean()),
        rmse=float(np.sqrt(error / y.size)),
        srmse=float(np.sqrt(error / y.size) / y.mean()),
        r2=1 - error / spread[0] if spread[0] > 0 else None,
        r2_pearson=product**2 / (spread[0] * spread[1]) if min(spread) > 0 else None,
        deviance=float(2 * (logs - (y - mu)).sum()),
        information_gain=float(gain.sum()),
        **costs,
    )


def _checked(values: ArrayLike, what: str) -> Array:
    array = np.asarray(values, dtype=np.float64).ravel()
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        raise DataError(
            f"the {what} values are negative or not finite in {len(bad):,} places (the first, at "
            f"{bad[0]}, is {array[bad[0]]}); compare pairs that both sides have."
        )
    return array


def _distance_fit(
    y: Array, mu: Array, cost: Array, bands: int | Sequence[float]
) -> dict[str, float]:
    if cost.shape != y.shape:
        raise DataError(f"{cost.size:,} costs stand against {y.size:,} flows; give one for each.")
    if isinstance(bands, int):
        if bands < 1:
            raise SpecificationError(f"bands is {bands}; at least 1 is needed.")
        ends = np.linspace(0.0, cost.max(), bands + 1)[1:-1]
    else:
        ends = np.asarray(bands, dtype=np.float64)
        if (np.diff(ends) <= 0).any():
            raise SpecificationError("the ends of the bands must ascend, as in [50, 100, 200].")
    band = np.searchsorted(ends, cost, side="right")
    counts = [np.bincount(band, v, minlength=len(ends) + 1) for v in (y, mu)]
    return {
        "mean_cost_observed": float((y * cost).sum() / y.sum()),
        "mean_cost_fitted": float((mu * cost).sum() / mu.sum()),
        "cpc_distance": float(2 * np.minimum(*counts).sum() / (y.sum() + mu.sum())),
    }


def compare_fits(
    results: Mapping[str, InteractionResult | GravityResult],
    *,
    cost: str | None = None,
    bands: int | Sequence[float] = _BANDS,
) -> pd.DataFrame:
    """Return one table of how well several models fit the same flows.

    The models are compared on the pairs to which all of them speak; ``cells`` says how many.

    Parameters
    ----------
    results
        Fitted models, by the name to show.
    cost
        The column of costs for the fit by distance; by default that of the first
        spatial-interaction model.
    bands
        As of :func:`goodness`.

    Returns
    -------
    DataFrame
        One row a model: ``parameters`` and the fields of :class:`Goodness`.

    Raises
    ------
    DataError
        If there is no model, or the models were not fitted to the same flows.
    """
    if not results or not isinstance(results, Mapping):
        given = f"a {type(results).__name__} was given" if results else "no model was given"
        raise DataError(
            f"{given} to compare; pass a dictionary of results, by the name to show for each."
        )
    predictions = {name: result.predict() for name, result in results.items()}
    frames = [_flows(result) for result in results.values()]
    y = frames[0].y
    for name, frame in zip(results, frames, strict=True):
        if not np.array_equal(frame.y, y):
            raise DataError(
                f"'{name}' was not fitted to the same flows as '{next(iter(results))}'; fit all "
                "models to one FlowData."
            )
    rows = next(iter(predictions.values())).index
    for prediction in predictions.values():
        rows = rows.intersection(prediction.index)
    if len(rows) == 0:
        raise DataError("the models have no pair in common; there is nothing to compare.")
    column = cost or next(
        (r.model.cost for r in results.values() if isinstance(r, InteractionResult)), None
    )
    costs = None
    if column is not None:
        costs = numeric_column(frames[0].table, column, what="the flow table")[rows]
    table = {
        name: {
            "parameters": len(result.names),
            **asdict(goodness(y[rows], predictions[name].loc[rows], costs, bands=bands)),
        }
        for name, result in results.items()
    }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("model")


def _flows(result: InteractionResult | GravityResult) -> FlowData:
    if isinstance(result, InteractionResult):
        return result.data
    if result.sample is None:
        raise DataError("a result that was read from a file has no flows to compare with.")
    return result.sample.data
