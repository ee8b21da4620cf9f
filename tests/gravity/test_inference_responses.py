"""Elasticities, marginal effects and discrete changes of flows, with their standard errors."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import delta_method, fit
from estimation.gravity.responses import discrete_change, marginal_effects

TWO = "log(distance) + treaty + gap | origin + destination"
CURVED = "log(distance) + gap + I(gap**2) + treaty:gap | origin + destination"


@pytest.fixture(scope="module")
def table(draw_panel):
    return draw_panel(places=7, years=3, seed=5)


@pytest.fixture(scope="module")
def data(table):
    return FlowData(table, "origin", "destination", "migrants", "year")


def test_the_coefficient_of_a_logarithm_is_the_elasticity(data):
    result = fit(Gravity(TWO), data, cov="cluster", groups="origin")
    found = marginal_effects(result, "distance", measure="eyex")
    assert found.estimate[0] == pytest.approx(result.params["log(distance)"], rel=1e-9)
    assert found.bse["all"] == pytest.approx(result.bse["log(distance)"], rel=1e-6)
    assert "cluster by origin (7)" in str(found)
    assert "Elasticities (average), 'distance'" in str(found)
    semi = marginal_effects(result, "gap", measure="eydx")
    assert semi.estimate[0] == pytest.approx(result.params["gap"], rel=1e-9)
    assert semi.bse["all"] == pytest.approx(result.bse["gap"], rel=1e-6)


def test_a_dummy_changes_flows_by_exp_b_less_one(data):
    result = fit(Gravity(TWO), data)
    found = discrete_change(result, "treaty")
    expected = delta_method(result, "exp(treaty) - 1")
    assert found.estimate == pytest.approx(expected.estimate, rel=1e-9)
    assert found.bse.to_numpy() == pytest.approx(expected.bse.to_numpy(), rel=1e-6)


def test_statsmodels_margins_without_effects(data, table):
    """Its margeff differentiates by the column as it stands in the design."""
    result = fit(Gravity("gap + treaty"), data, cov="HC0", tol=1e-12)
    poisson = sm.Poisson(table["migrants"], sm.add_constant(table[["gap", "treaty"]]))
    theirs = poisson.fit(cov_type="HC0", disp=0, tol=1e-12, maxiter=200)
    for measure in ("dydx", "eyex", "eydx", "dyex"):
        margins = theirs.get_margeff(method=measure)
        ours = marginal_effects(result, "gap", measure=measure)
        assert ours.estimate[0] == pytest.approx(margins.margeff[0], rel=1e-6)
        assert ours.bse["all"] == pytest.approx(margins.margeff_se[0], rel=1e-5)
    margins = theirs.get_margeff(dummy=True)
    ours = discrete_change(result, "treaty", compare="difference")
    assert ours.estimate[0] == pytest.approx(margins.margeff[1], rel=1e-6)
    assert ours.bse["all"] == pytest.approx(margins.margeff_se[1], rel=1e-5)


def everything(result, table):
    """Coefficients and dummies of a two-way model, and their covariance, written out."""
    used = table.iloc[result.sample.rows]
    base = {
        "log(distance)": lambda f: np.log(f["distance"]),
        "gap": lambda f: f["gap"],
        "gap**2": lambda f: f["gap"] ** 2,
        "treaty:gap": lambda f: f["treaty"] * f["gap"],
    }

    def design(frame):
        dummies = pd.get_dummies(frame[["origin", "destination"]], dtype=float)
        return np.column_stack([*(f(frame) for f in base.values()), dummies])

    Z, w = design(used), result.sample.mu
    bread = np.linalg.pinv(Z.T @ (Z * w[:, None]), rcond=1e-12, hermitian=True)
    scores = Z * result.sample.residuals[:, None]
    theta = np.concatenate(
        [result.estimate, *(result.fixed_effects()[e] for e in ("origin", "destination"))]
    )
    return design, theta, bread @ scores.T @ scores @ bread


@pytest.mark.parametrize("measure", ["dydx", "eyex", "eydx", "dyex"])
def test_wherever_the_variable_enters(measure, data, table):
    """Against the delta method by finite differences over all coefficients and dummies."""
    result = fit(Gravity(CURVED), data, cov="HC0", tol=1e-12)
    design, theta, V = everything(result, table)
    used = table.iloc[result.sample.rows]

    def average(theta):
        h = 1e-5
        up, down = (used.assign(gap=used["gap"] + s * h) for s in (1, -1))
        eta = design(used) @ theta
        slope = (design(up) @ theta - design(down) @ theta) / (2 * h)
        x = used["gap"].to_numpy() if measure.endswith("ex") else 1.0
        y = np.exp(eta) if measure.startswith("dy") else 1.0
        values = pd.Series(slope * x * y).groupby(used["year"].to_numpy()).mean()
        return values.to_numpy()

    steps = 1e-5 * np.eye(len(theta))
    G = np.column_stack([(average(theta + s) - average(theta - s)) / 2e-5 for s in steps])
    found = marginal_effects(result, "gap", measure=measure, by="year")
    assert found.names == ("2000", "2001", "2002")
    assert found.estimate == pytest.approx(average(theta), rel=1e-6)
    expected = G @ V @ G.T
    scale = np.sqrt(np.diag(expected))
    scale = np.outer(scale, scale)  # years hardly covary: differences leave noise there
    assert found.covariance.matrix / scale == pytest.approx(expected / scale, abs=1e-5)


@pytest.mark.parametrize("compare", ["ratio", "difference"])
def test_discrete_changes_in_an_interaction(compare, data, table):
    result = fit(Gravity(CURVED), data, cov="HC0", tol=1e-12)
    design, theta, V = everything(result, table)
    used = table.iloc[result.sample.rows]

    def change(theta):
        low, high = (np.exp(design(used.assign(gap=x)) @ theta) for x in (0.0, 0.5))
        gap = (high - low).mean()
        return gap / low.mean() if compare == "ratio" else gap

    steps = 1e-5 * np.eye(len(theta))
    g = np.array([(change(theta + s) - change(theta - s)) / 2e-5 for s in steps])
    found = discrete_change(result, "gap", 0.0, 0.5, compare=compare)
    assert found.estimate[0] == pytest.approx(change(theta), rel=1e-7)
    assert found.covariance.matrix[0, 0] == pytest.approx(g @ V @ g, rel=1e-5)


def test_slopes_and_offsets_move_with_the_variable(data):
    slopes = fit(Gravity("treaty | origin[log(distance)] + destination"), data)
    found = marginal_effects(slopes, "distance", measure="eyex", by="origin")
    own = slopes.fixed_effects()["origin[log(distance)]"]
    assert found.params[own.index].to_numpy() == pytest.approx(own.to_numpy(), rel=1e-7)
    assert (found.bse > 0).all()
    offset = fit(Gravity("treaty | origin", offset="-2 * log(distance)"), data)
    fixed = marginal_effects(offset, "distance", measure="eyex")
    assert fixed.estimate[0] == pytest.approx(-2, rel=1e-9)
    assert fixed.bse["all"] == 0


def test_another_table_may_be_asked_about(data, table):
    result = fit(Gravity(TWO), data)
    few = table.iloc[result.sample.rows[:9]].assign(gap=0.0)
    found = marginal_effects(result, "gap", few)
    expected = result.params["gap"] * result.predict(few).mean()
    assert found.estimate[0] == pytest.approx(expected, rel=1e-9)


def test_what_cannot_be_asked(data, table):
    result = fit(Gravity(TWO + " + year"), data)
    with pytest.raises(SpecificationError, match="does not use the variable 'gab'"):
        marginal_effects(result, "gab")
    with pytest.raises(SpecificationError, match="the measure 'dxdy' is unknown"):
        marginal_effects(result, "gap", measure="dxdy")
    with pytest.raises(SpecificationError, match="compare is 'odds'"):
        discrete_change(result, "gap", compare="odds")
    with pytest.raises(DataError, match="no column 'gap'"):
        marginal_effects(result, "gap", table.drop(columns="gap"))
    with pytest.raises(DataError, match="column 'kind' has no label in 147 rows"):
        marginal_effects(result, "gap", table.assign(kind=np.nan), by="kind")
    jumps = fit(Gravity("I(gap > 0) + treaty | origin"), data)
    with pytest.raises(SpecificationError, match="jumps in 'gap'"):
        marginal_effects(jumps, "gap")
    with pytest.raises(EstimationError, match="'CRV3' does not say"):
        marginal_effects(result.with_cov("CRV3", groups="origin"), "gap")
