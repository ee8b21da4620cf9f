"""Prediction of origins that were left out of the calibration."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.flows.flowdata import FlowData
from choicemodels.interaction.balancing import totals
from choicemodels.interaction.inputs import law_inputs, refuse_periods
from choicemodels.interaction.models import (
    InteractionModel,
    OpportunityModel,
    SpatialInteraction,
)
from estimation.gravity.fit import fit_gravity
from estimation.interaction.fit import prepared
from estimation.interaction.goodness import Goodness, goodness
from estimation.interaction.law_fit import LawProblem

__all__ = ["Holdout", "holdout"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Holdout:
    """How well origins are predicted that the calibration did not see, or why they are not.

    Attributes
    ----------
    goodness : Goodness or None
        Over the rows of all folds.
    predicted : Series or None
        Expected flows by position of the row.
    folds : Series or None
        The fold in which each origin was left out.
    reason : str
        Why there is no prediction; empty if there is.
    """

    goodness: Goodness | None
    predicted: "pd.Series[float] | None"
    folds: "pd.Series[int] | None"
    reason: str = ""


def holdout(model: InteractionModel, data: FlowData, *, folds: int = 5, seed: int = 0) -> Holdout:
    """Calibrate on some origins, predict the others, and see how well.

    Every origin is left out once. The flows out of it are distributed over the destinations: as
    many as there were if the model is constrained by production, as many as its mass says if it
    is unconstrained. A model that is constrained by destinations reproduces totals to which the
    origins left out contribute, and cannot be tested so: the answer says it.

    Parameters
    ----------
    model
    data
        As of :func:`estimation.interaction.fit.fit_interaction`.
    folds
        In how many parts the origins fall.
    seed
        The fold of an origin depends on the seed and the sorted labels of the origins.

    Raises
    ------
    SpecificationError
        If there are fewer than two folds, or more than origins.
    DataError, EstimationError
        As the calibration.
    """
    refuse_periods(data)
    origins = data.factor(f"`{data.origin}`")
    if not 2 <= folds <= origins.size:
        raise SpecificationError(
            f"folds is {folds}; give between 2 and the number of origins, {origins.size}."
        )
    if model.constrains_destinations:
        reason = (
            f"constraint='{model.constraint}' reproduces the flows into each destination, which "
            "include those of the origins to be left out; use 'production' or 'none'"
        )
        return Holdout(None, None, None, reason)
    order = np.random.default_rng(seed).permutation(origins.size)
    fold = np.empty(origins.size, dtype=np.int64)
    fold[order] = np.arange(origins.size) % folds
    of_row = fold[origins.codes]
    if isinstance(model, OpportunityModel):
        rows, predicted = _by_law(model, data, of_row, folds)
    else:
        assert isinstance(model, SpatialInteraction)
        rows, predicted = _by_gravity(model, data, of_row, folds)
    cost = data.table[model.cost].to_numpy(dtype=np.float64)[rows]
    return Holdout(
        goodness(data.y[rows], predicted, cost),
        pd.Series(predicted, index=rows, name="mu"),
        pd.Series(fold, index=origins.levels[0], name="fold"),
    )


def _by_law(
    model: OpportunityModel, data: FlowData, fold: Codes, folds: int
) -> tuple[Codes, Array]:
    at = law_inputs(data, model.cost, model.origin_mass, model.destination_mass, model.ties)
    y, fold, predicted = data.y[at.rows], fold[at.rows], np.zeros(len(at.rows))
    whole = LawProblem(model, at, y)
    for number in range(folds):
        out = fold == number
        # A law with a parameter looks out from each origin, so the others may be missing.
        seen = LawProblem(model, at.of_origins(~out), y[~out])
        theta = seen.estimate() if model.parameter else np.nan
        f = np.exp(whole.law(theta).log)
        if model.constrains_origins:
            predicted[out] = _to_totals(np.asarray(f[out]), at.origin[out], y[out])
        else:
            predicted[out] = f[out] * y[~out].sum() / f[~out].sum()
    return at.rows, predicted


def _by_gravity(
    model: SpatialInteraction, data: FlowData, fold: Codes, folds: int
) -> tuple[Codes, Array]:
    complete, predicted = prepared(model, data), np.zeros(data.nobs)
    poisson = model.gravity(data.origin, data.destination)
    origin = data.factor(f"`{data.origin}`").codes
    columns = (data.origin, data.destination, data.flow)
    for number in range(folds):
        out = fold == number
        seen = FlowData(complete.table[~out], *columns)
        result = fit_gravity(poisson, seen, cov="hessian", ssc="none", drop_singletons=False)
        # The effect of an origin left out is unknown; its total takes the effect's place.
        raw = np.asarray(replace(result, effects=()).predict(complete.table[out]))
        held = model.constrains_origins
        predicted[out] = _to_totals(raw, origin[out], data.y[out]) if held else raw
    return np.arange(data.nobs), predicted


def _to_totals(f: Array, origin: Codes, y: Array) -> Array:
    """Scale the flows of each origin to what went out of it."""
    count = int(origin.max()) + 1
    total, reach = totals(origin, y, count), totals(origin, f, count)
    scale = np.divide(total, reach, out=np.zeros_like(total), where=reach > 0)
    return np.asarray(f * scale[origin])
