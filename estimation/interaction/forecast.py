"""Expected flows under other costs, masses or totals, with the calibrated parameters."""

from dataclasses import replace

import numpy as np
import pandas as pd

from choicemodels.flows.flowdata import FlowData
from choicemodels.interaction.inputs import law_inputs, refuse_periods
from choicemodels.interaction.models import OpportunityModel, SpatialInteraction
from estimation.interaction.constraints import constrained
from estimation.interaction.fit import prepared
from estimation.interaction.law_fit import LawProblem
from estimation.interaction.result import InteractionResult

__all__ = ["forecast"]


def forecast(result: InteractionResult, data: FlowData) -> "pd.Series[float]":
    """Distribute trips over other data as the calibrated model says.

    The parameters are those of the calibration; costs and masses are those of ``data``, and so are
    the totals that the constraint names, which the flow column gives: with the old flows and
    new costs, the same numbers leave and arrive, between other places. An unconstrained model
    keeps its constant, and looks at no flow.

    Parameters
    ----------
    result
        Of :func:`estimation.fit`; for an unconstrained law of opportunities not one read from a
        file.
    data
        Flows of one period with the columns that the model uses.

    Returns
    -------
    Series
        Expected flows by position of the row.

    Raises
    ------
    DataError
        As the calibration, or if the totals cannot be met.
    EstimationError
        If a result read from a file lacks what is needed.
    """
    refuse_periods(data)
    model = result.model
    if isinstance(model, OpportunityModel):
        at = law_inputs(data, model.cost, model.origin_mass, model.destination_mass, model.ties)
        theta = float(result.params[model.parameter]) if model.parameter else np.nan
        new = LawProblem(model, at, data.y[at.rows])
        if model.constraint != "none":
            return pd.Series(new.flows(theta).mu, index=at.rows, name="mu")
        then = law_inputs(
            result.data, model.cost, model.origin_mass, model.destination_mass, model.ties
        )
        factor = LawProblem(model, then, result.observed).flows(theta).row_factors[0]
        return pd.Series(factor * np.exp(new.law(theta).log), index=at.rows, name="mu")
    assert isinstance(model, SpatialInteraction)
    assert result.gravity is not None
    complete = prepared(model, data)
    # The totals take the place of the effects.
    log = np.asarray(replace(result.gravity, effects=()).predict(complete.table, scale="eta"))
    o, d = (data.factor(f"`{side}`").codes for side in (data.origin, data.destination))
    free = model.constraint == "none"
    mu = np.exp(log) if free else constrained(log, o, d, data.y, model).mu
    return pd.Series(mu, index=np.arange(data.nobs), name="mu")
