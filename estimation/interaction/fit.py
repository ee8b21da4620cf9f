"""Calibration of spatial-interaction models by maximum likelihood."""

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from choicemodels.errors import DataError, NestflowWarning, SpecificationError
from choicemodels.flows.flowdata import FlowData
from choicemodels.interaction.inputs import (
    accessibility,
    positive_mass,
    refuse_periods,
    valid_cost,
)
from choicemodels.interaction.models import (
    CompetingDestinations,
    InteractionModel,
    OpportunityModel,
    SpatialInteraction,
)
from estimation.gravity.fit import fit_gravity
from estimation.gravity.result import GravityResult
from estimation.interaction.law_fit import fit_law, without_flow
from estimation.interaction.result import InteractionResult, InteractionSample

__all__ = ["fit_interaction", "prepared"]

# Tight enough for the margins to be met to 1e-10 and better.
_TOL = 1e-12


def fit_interaction(
    model: InteractionModel,
    data: FlowData,
    *,
    cov: str = "robust",
    groups: Any = None,
    ssc: Any = "fixest",
) -> InteractionResult:
    """Calibrate a spatial-interaction model.

    The likelihood is Poisson, which with the totals of origins given is the multinomial one of
    their trips: both have the same estimates and the same Hessian.

    Parameters
    ----------
    model
    data
        Flows of one period. The laws of opportunities need a row for every pair of places.
    cov, groups, ssc
        The covariance to show first; see :meth:`InteractionResult.with_cov`.

    Raises
    ------
    SpecificationError
        If the model or an option is unknown.
    DataError
        If there are several periods, or a cost or a mass is missing or cannot be one.
    IdentificationError
        If the constraint absorbs what is to be estimated.
    EstimationError
        If the likelihood has no maximum.

    Warns
    -----
    NestflowWarning
        If an origin or destination has no flow at all.
    """
    refuse_periods(data)
    if isinstance(model, OpportunityModel):
        result = fit_law(model, data, cov=cov, groups=groups, ssc=ssc)
    elif isinstance(model, SpatialInteraction):
        result = _fit_wilson(model, data, cov=cov, groups=groups, ssc=ssc)
    else:
        raise SpecificationError(f"{type(model).__name__} is no model of spatial interaction.")
    for note in result.notes:
        warnings.warn(note, NestflowWarning, stacklevel=3)
    return result


def prepared(model: InteractionModel, data: FlowData) -> FlowData:
    """Check the columns that a model of Wilson's family uses, and add the one it derives.

    Raises
    ------
    DataError
        As :func:`fit_interaction`.
    """
    assert isinstance(model, SpatialInteraction)
    valid_cost(data, model.cost, positive=model.needs_positive_cost)
    if not model.constrains_origins:
        positive_mass(data, model.origin_mass, data.origin)
    if not model.constrains_destinations:
        positive_mass(data, model.destination_mass, data.destination)
    if not isinstance(model, CompetingDestinations):
        return data
    name = model.ACCESSIBILITY
    if name in data.table.columns:
        raise DataError(
            f"the flow table has a column '{name}', which is what this model derives; rename it."
        )
    values = accessibility(data, model.cost, model.destination_mass, model.decay)
    return data.with_columns(**{name: values})


def _fit_wilson(
    model: SpatialInteraction, data: FlowData, *, cov: str, groups: Any, ssc: Any
) -> InteractionResult:
    complete = prepared(model, data)
    poisson = model.gravity(data.origin, data.destination)
    gravity = fit_gravity(
        poisson, complete, cov=cov, groups=groups, ssc=ssc, tol=_TOL, drop_singletons=False
    )
    gravity = _renamed(gravity, model)
    assert gravity.sample is not None
    mu = np.zeros(data.nobs)
    mu[gravity.sample.rows] = gravity.sample.mu
    levels = {e.name: e.series().map(math.exp).rename(None) for e in gravity.effects}
    none = pd.Series(dtype=np.float64)
    return InteractionResult(
        names=gravity.names,
        estimate=gravity.estimate,
        covariance=gravity.covariance,
        llf=gravity.llf,
        nobs=gravity.nobs,
        model=model,
        depvar=data.flow,
        sample=InteractionSample(data, np.arange(data.nobs), mu),
        row_factors=levels.get(data.origin, none),
        column_factors=levels.get(data.destination, none),
        deviance=gravity.deviance,
        gravity=gravity,
        notes=without_flow(model, data),
    )


def _renamed(gravity: GravityResult, model: SpatialInteraction) -> GravityResult:
    """Give the bands of cost names that can be read."""
    shown = {_squeezed(text): name for name, text in model.regressors.items()}
    names = tuple(shown.get(_squeezed(name), name) for name in gravity.names)
    return replace(gravity, names=names)


def _squeezed(expression: str) -> str:
    return "".join(expression.split())
