"""Calibrated models on other data, and results on disk."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData
from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.interaction.balancing import balance
from choicemodels.interaction.models import (
    Binned,
    CompetingDestinations,
    PopulationWeighted,
    Radiation,
    Schneider,
    SpatialInteraction,
    Stouffer,
)
from estimation import fit, load_result, table
from estimation.interaction.forecast import forecast

MODELS = [
    SpatialInteraction,
    CompetingDestinations,
    Stouffer,
    Schneider,
    Radiation,
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("constraint", ["none", "production", "attraction", "doubly"])
def test_nothing_new_changes_nothing(austria, masses, model, constraint):
    result = fit(model(constraint=constraint, **masses), austria)
    pd.testing.assert_series_equal(forecast(result, austria), result.predict(), rtol=1e-9)


def test_a_new_road_by_hand(austria):
    result = fit(SpatialInteraction(), austria)
    ends = austria.table["origin"].isin(["AT11", "AT33"])
    ends &= austria.table["destination"].isin(["AT11", "AT33"])
    c = austria.table["distance"].where(~ends, austria.table["distance"] / 2)
    new = FlowData(austria.table.assign(distance=c), "origin", "destination", "flow")
    found = forecast(result, new)
    y = austria.to_matrix()
    seed = new.table.pivot(index="origin", columns="destination", values="distance")
    seed = np.exp(result.params["distance"] * seed).fillna(0.0)
    by_hand = balance(seed, y.sum(axis=1), y.sum()).matrix
    wide = new.table.assign(mu=found).pivot(index="origin", columns="destination", values="mu")
    np.testing.assert_allclose(wide.fillna(0.0), by_hand, rtol=1e-9)
    assert (found[ends] > result.predict()[ends]).all()


def test_an_unconstrained_model_looks_at_no_flow(austria, masses):
    blank = FlowData(austria.table.assign(flow=1.0), "origin", "destination", "flow")
    for model in (SpatialInteraction, Schneider):
        result = fit(model(constraint="none", **masses), austria)
        pd.testing.assert_series_equal(forecast(result, blank), result.predict(), rtol=1e-9)


def test_totals_that_a_law_cannot_carry(austria, masses):
    # Population weights send nobody from the farthest origin; give all trips to such a pair.
    with pytest.warns(UserWarning, match="9 flows"):
        result = fit(PopulationWeighted(**masses), austria)
    alone = (austria.table["origin"] == "AT34") & (austria.table["destination"] == "AT12")
    assert result.predict()[alone].item() == 0
    data = FlowData(
        austria.table.assign(flow=np.where(alone, 100.0, 0.0)), "origin", "destination", "flow"
    )
    with pytest.raises(DataError, match="1 rows have a positive total but only zeros"):
        forecast(result, data)


@pytest.mark.parametrize(
    "model",
    [
        SpatialInteraction(deterrence=Binned([100, 200])),
        CompetingDestinations(destination_mass="destination_mass", decay=0.5),
        Schneider(origin_mass="origin_mass", destination_mass="destination_mass", ties="half"),
        Radiation(origin_mass="origin_mass", destination_mass="destination_mass"),
    ],
)
def test_results_on_disk(austria, tmp_path, model):
    result = fit(model, austria)
    back = load_result(result.save(tmp_path / "x.json"))
    assert back.model == model
    pd.testing.assert_series_equal(back.params, result.params)
    pd.testing.assert_frame_equal(back.cov_params(), result.cov_params())
    pd.testing.assert_series_equal(back.row_factors, result.row_factors)
    assert back.llf == result.llf
    assert str(back.summary()) == str(result.summary())
    pd.testing.assert_series_equal(forecast(back, austria), forecast(result, austria))
    with pytest.raises(EstimationError, match="keeps no flows"):
        back.predict()


def test_infinities_on_disk(austria, masses, tmp_path):
    with pytest.warns(UserWarning, match="9 flows"):
        result = fit(PopulationWeighted(**masses), austria)
    back = load_result(result.save(tmp_path / "x.json"))
    assert back.deviance == np.inf
    assert back.llf == -np.inf


def test_regression_tables(austria, masses):
    shown = table(
        fit(SpatialInteraction(deterrence="power"), austria), fit(Schneider(**masses), austria)
    )
    text = str(shown)
    assert "log(distance)" in text
    assert "gamma" in text
    assert "Deviance" in text


def test_the_jackknife_is_for_log_linear_models(austria, masses):
    result = fit(SpatialInteraction(), austria, cov="CRV3", groups="origin")
    assert result.bse["distance"] > 0
    with pytest.raises(SpecificationError, match="Schneider is not log-linear"):
        fit(Schneider(**masses), austria).with_cov("CRV3", groups="origin")
    with pytest.raises(SpecificationError, match="Radiation estimates nothing"):
        fit(Radiation(**masses), austria).with_cov("robust")
