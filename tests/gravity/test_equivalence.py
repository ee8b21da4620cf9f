"""Gravity with effects of the origin against the house's own conditional logit."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit, load_result
from estimation.gravity.equivalence import (
    as_choices,
    destination_elasticities,
    equivalent_logit,
)

MODEL = Gravity("distance + log(destination_mass) | origin")


@pytest.fixture(scope="module")
def result(austria):
    return fit(MODEL, austria, tol=1e-14, cov="hessian", ssc="none")


@pytest.fixture(scope="module")
def logit(result):
    return fit(equivalent_logit(result).model, as_choices(result), cov="hessian")


def test_the_logit_has_the_same_estimates(result, logit):
    np.testing.assert_allclose(logit.params, result.params, rtol=1e-8)
    np.testing.assert_allclose(logit.bse, result.bse, rtol=1e-8)
    np.testing.assert_allclose(logit.covariance.matrix, result.covariance.matrix, rtol=1e-7)


def test_the_likelihoods_differ_by_what_has_no_coefficients(austria, result, logit):
    same = equivalent_logit(result)
    assert same.llf == pytest.approx(logit.llf, rel=1e-12)
    assert same.llf + same.constant == pytest.approx(result.llf, rel=1e-12)
    np.testing.assert_allclose(same.hessian, result.hessian, rtol=1e-8)
    np.testing.assert_allclose(same.score / np.sqrt(-np.diag(same.hessian)), 0, atol=1e-6)
    other = equivalent_logit(fit(Gravity("distance | origin"), austria, tol=1e-14))
    assert other.constant == pytest.approx(same.constant, rel=1e-9)
    Y = austria.table.groupby("origin")["flow"].sum()
    constant = (Y * np.log(Y) - Y).sum() - gammaln(austria.y + 1).sum()
    assert same.constant == pytest.approx(constant, rel=1e-12)


def test_the_fitted_flows_are_totals_times_probabilities(austria, result):
    P = equivalent_logit(result).probabilities
    Y = austria.table.groupby("origin")["flow"].transform("sum")
    np.testing.assert_allclose(Y * P, result.predict(), rtol=1e-8)
    np.testing.assert_allclose(P.groupby(austria.table["origin"]).sum(), 1, rtol=1e-12)


def test_panels_offsets_and_missing_pairs(panel_table):
    frame = panel_table[panel_table["migrants"] + panel_table["year"] % 7 > 0]
    frame = frame.iloc[::2].assign(case=1.0, weight=2.0).reset_index(drop=True)
    flows = FlowData(frame, "origin", "destination", "migrants", time="year")
    model = Gravity("treaty + C(year):gap | origin^year", offset="-0.8 * log(distance)")
    ours = fit(model, flows, tol=1e-14, cov="hessian", ssc="none")
    choices = as_choices(ours)
    assert {"case", "case_", "weight", "weight_"} <= set(choices.table.columns)
    assert choices.weights.sum() == frame["migrants"].sum()
    theirs = fit(equivalent_logit(ours).model, choices, cov="hessian")
    np.testing.assert_allclose(theirs.params, ours.params, rtol=1e-7)
    np.testing.assert_allclose(theirs.bse, ours.bse, rtol=1e-7)
    np.testing.assert_allclose(equivalent_logit(ours).hessian, ours.hessian, rtol=1e-7)


def arrivals(result, table, kind):
    """Expected arrivals in each place, after the table has changed."""
    mu = result.predict(table)
    if kind == "zero-sum":
        before = result.predict(result.sample.data.table)
        total = before.groupby(table["origin"]).transform("sum")
        mu = mu * total / mu.groupby(table["origin"]).transform("sum")
    return mu.groupby(table["destination"]).sum()


@pytest.mark.parametrize("kind", ["zero-sum", "positive-sum"])
@pytest.mark.parametrize("variable", ["destination_mass", "distance"])
def test_elasticities_are_what_the_model_predicts(austria, result, kind, variable):
    found = destination_elasticities(result, variable, kind)
    h = 1e-4
    for place in found.names:
        here = austria.table["destination"] == place
        up, down = (
            austria.table.assign(
                **{variable: austria.table[variable] * np.where(here, np.exp(s * h), 1)}
            )
            for s in (1, -1)
        )
        change = np.log(arrivals(result, up, kind)[place] / arrivals(result, down, kind)[place])
        assert found.params[place] == pytest.approx(change / (2 * h), rel=1e-6)


def test_the_elasticities_by_the_formulas_of_schmidheiny_and_bruelhart(austria, result):
    beta = result.params["log(destination_mass)"]
    positive = destination_elasticities(result, "destination_mass", "positive-sum")
    np.testing.assert_allclose(positive.params, beta, rtol=1e-9)
    np.testing.assert_allclose(positive.bse, result.bse["log(destination_mass)"], rtol=1e-7)
    zero = destination_elasticities(result, "destination_mass")
    P, mu = equivalent_logit(result).probabilities, result.predict()
    kept = (mu * (1 - P)).groupby(austria.table["destination"]).sum()
    kept /= mu.groupby(austria.table["destination"]).sum()
    np.testing.assert_allclose(zero.params, beta * kept[list(zero.names)], rtol=1e-8)
    assert (zero.params < positive.params).all()


def test_standard_errors_of_elasticities_by_the_delta_method(result):
    found = destination_elasticities(result, "destination_mass")

    def moved(k, step):
        beta = result.estimate + step * (np.arange(2) == k)
        other = dataclasses.replace(result, estimate=beta)
        return destination_elasticities(other, "destination_mass").estimate

    steps = 1e-3 * result.bse.to_numpy()
    G = np.column_stack([(moved(k, h) - moved(k, -h)) / (2 * h) for k, h in enumerate(steps)])
    V = G @ result.covariance.matrix @ G.T
    np.testing.assert_allclose(found.bse, np.sqrt(np.diag(V)), rtol=1e-6)


def test_elasticities_take_the_covariance_shown(result):
    robust = destination_elasticities(result.with_cov("robust"), "distance")
    plain = destination_elasticities(result, "distance")
    assert robust.covariance.kind == "robust"
    assert (robust.params == plain.params).all()
    assert (robust.bse != plain.bse).all()
    assert "by the delta method" in str(robust)


def test_an_offset_responds_too(austria):
    model = Gravity("distance | origin", offset="0.5 * log(destination_mass)")
    found = destination_elasticities(fit(model, austria), "destination_mass", "positive-sum")
    np.testing.assert_allclose(found.params, 0.5, rtol=1e-8)
    np.testing.assert_allclose(found.bse, 0, atol=1e-9)


@pytest.mark.parametrize(
    "formula",
    [
        "distance",
        "distance | destination",
        "distance | origin + destination",
        "1 | origin[distance]",
    ],
)
def test_other_effects_are_refused(austria, formula):
    other = fit(Gravity(formula), austria)
    for ask in (equivalent_logit, as_choices):
        with pytest.raises(SpecificationError, match="the fixed effect 'origin'"):
            ask(other)
    with pytest.raises(SpecificationError, match="this model has: "):
        destination_elasticities(other, "distance")


@pytest.mark.parametrize("effect", ["origin", "pair"])
def test_a_choice_set_offers_a_destination_once(panel, effect):
    with pytest.raises(SpecificationError, match=f"'{effect}' offers the same destination in"):
        equivalent_logit(fit(Gravity(f"treaty + gap | {effect}"), panel))


def test_slopes_by_origin_are_refused(austria):
    sloped = fit(Gravity("log(destination_mass) | origin[distance]"), austria)
    with pytest.raises(SpecificationError, match=r"this model has: origin \+ origin\[distance\]"):
        equivalent_logit(sloped)


def test_what_makes_no_sense_is_refused(austria, result, tmp_path):
    with pytest.raises(SpecificationError, match="choose zero-sum or positive-sum"):
        destination_elasticities(result, "distance", "negative-sum")
    with pytest.raises(SpecificationError, match="'origin_mass' does not enter"):
        destination_elasticities(result, "origin_mass")
    with pytest.raises(SpecificationError, match="does not enter"):
        destination_elasticities(fit(Gravity("1 | origin"), austria), "distance")
    with pytest.raises(DataError, match="no column 'mass'"):
        destination_elasticities(result, "mass")
    back = load_result(result.save(tmp_path / "r.json"))
    with pytest.raises(EstimationError, match="read from a file"):
        equivalent_logit(back)
    heavy = FlowData(austria.table.assign(w=1.0), "origin", "destination", "flow")
    with pytest.raises(EstimationError, match="fit without weights"):
        as_choices(fit(MODEL, heavy, weights="w"))


def test_a_model_without_coefficients_is_the_logit_of_equal_chances(austria):
    same = equivalent_logit(fit(Gravity("1 | origin"), austria))
    np.testing.assert_allclose(same.probabilities, 1 / 8, rtol=1e-12)
    assert same.hessian.shape == (0, 0)
    assert isinstance(same.probabilities, pd.Series)
