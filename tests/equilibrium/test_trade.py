"""Counterfactual trade from a fitted gravity model."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import Gravity
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit, load_result
from estimation.equilibrium.parametric import bootstrap
from estimation.equilibrium.trade import Armington, counterfactual
from tests.equilibrium.conftest import BETA, SIGMA, as_flows, make_trade

FORMULA = "log(distance) + agreement + border | exporter + importer"


@pytest.fixture(scope="module")
def exact(trade):
    return fit(Gravity(FORMULA), trade, tol=1e-14)


@pytest.fixture(scope="module")
def result(noisy):
    return fit(Gravity(FORMULA), noisy)


def test_estimate_and_solve_recovers_the_economy(exact, trade_table):
    assert exact.params.to_dict() == pytest.approx(BETA, abs=1e-8)
    found = counterfactual(Armington(SIGMA), exact, {"agreement": 0})
    truth = make_trade(agreement=np.zeros(49))["trade"].to_numpy()
    full = found.flows["full"].to_numpy()
    assert full / full.sum() == pytest.approx(truth / truth.sum(), rel=1e-7)
    assert found.flows["baseline"].to_numpy() == pytest.approx(trade_table["trade"].to_numpy())
    assert list(found.flows.index[1]) == ["P0", "P1"]


def test_conditional_equilibrium_is_an_estimation_with_the_coefficients_held(noisy, result):
    found = counterfactual(Armington(SIGMA), result, {"border": 0}, baseline="fitted")
    b = result.params
    frame = noisy.table.copy()
    frame["fixed"] = b["log(distance)"] * np.log(frame["distance"])
    frame["fixed"] += b["agreement"] * frame["agreement"]
    held = fit(Gravity("1 | exporter + importer", offset="fixed"), as_flows(frame), tol=1e-14)
    rows = np.arange(noisy.nobs)
    assert held.predict(frame).to_numpy()[rows] == pytest.approx(
        found.flows["conditional"].to_numpy(), rel=1e-7
    )


def test_both_methods_agree_on_fitted_flows(result):
    model, scenario = Armington(4.0), {"distance": "distance * 0.9"}
    hat = counterfactual(model, result, scenario, where="border == 1", baseline="fitted")
    loop = counterfactual(
        model, result, scenario, where="border == 1", baseline="fitted", method="geppml"
    )
    pd.testing.assert_frame_equal(hat.places, loop.places, rtol=1e-8, atol=1e-8)
    observed = counterfactual(model, result, scenario, where="border == 1")
    assert np.abs(observed.places - hat.places).to_numpy().max() > 1e-3


def test_stages_and_their_decomposition(noisy, result):
    found = counterfactual(Armington(SIGMA), result, {"agreement": 1}, where="border == 1")
    flows = found.flows
    gain = np.exp(result.params["agreement"] * ((noisy.table["border"] == 1)
                                                & (noisy.table["agreement"] == 0)))  # fmt: skip
    assert (flows["partial"] / flows["baseline"]).dropna().to_numpy() == pytest.approx(
        gain[noisy.y > 0].to_numpy()
    )
    assert (flows.loc[("P0", "P1")] == 0).all()
    for margin in ("origin", "destination"):
        sums = flows.groupby(margin).sum()
        assert sums["conditional"].to_numpy() == pytest.approx(sums["baseline"].to_numpy())
    parts = found.decompose()
    assert parts["total"].to_numpy() == pytest.approx(found.places["exports"].to_numpy())
    assert found.decompose("imports")["total"].to_numpy() == pytest.approx(
        found.places["imports"].to_numpy()
    )
    one = counterfactual(Armington(SIGMA), result, {"border": 1.2}, where="exporter == 'P2'")
    elsewhere = one.decompose().drop("P2")
    assert (elsewhere["direct"] == 0).all()
    assert (elsewhere["total"].abs() > 1e-4).all()
    with pytest.raises(SpecificationError, match="'exports' or 'imports'"):
        found.decompose("both")


def test_a_scenario_is_values_or_a_table(noisy, result):
    model = Armington(SIGMA)
    values = counterfactual(model, result, {"agreement": 0}, where="exporter == 'P2'")
    new = noisy.table.copy()
    new.loc[new["exporter"] == "P2", "agreement"] = 0.0
    table = counterfactual(model, result, new.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(values.places, table.places)
    again = values.at(result.estimate)
    pd.testing.assert_frame_equal(values.places, again.places)


def test_a_period_is_chosen(trade_table):
    later = make_trade(agreement=np.zeros(49))
    both = pd.concat([trade_table.assign(year=2000), later.assign(year=2010)])
    data = as_flows(both, time="year")
    result = fit(
        Gravity("log(distance) + agreement + border | exporter^year + importer^year"), data
    )
    model = Armington(SIGMA)
    with pytest.raises(SpecificationError, match="one of: 2000, 2010"):
        counterfactual(model, result, {"agreement": 0})
    found = counterfactual(model, result, {"agreement": 0}, period=2000)
    assert found.flows["baseline"].to_numpy() == pytest.approx(trade_table["trade"].to_numpy())
    assert not found.notes
    with pytest.raises(SpecificationError, match="none of the regressors"):
        counterfactual(model, result, {"agreement": 0}, period=2010)


def test_standard_errors_by_the_parametric_bootstrap(result):
    found = counterfactual(Armington(SIGMA), result, {"agreement": 0})
    draws = bootstrap(found, replications=300, seed=4)
    again = bootstrap(found, replications=5, seed=4)
    pd.testing.assert_frame_equal(draws.draws.iloc[:5], again.draws)
    h = 1e-4 * result.bse.to_numpy()
    G = np.column_stack(
        [
            (
                found.at(result.estimate + step).places["welfare"]
                - found.at(result.estimate - step).places["welfare"]
            )
            / (2 * step.max())
            for step in np.diag(h)
        ]
    )
    delta = np.sqrt(np.einsum("nk,kl,nl->n", G, result.cov_params().to_numpy(), G))
    table = draws.table("welfare")
    # The standard deviation of 300 draws is itself uncertain by 1 / sqrt(600) = 4 percent.
    assert table["std err"].to_numpy() == pytest.approx(delta, rel=0.15)
    assert (table["lower"] < table["estimate"]).all()
    assert (table["estimate"] < table["upper"]).all()
    assert "300 draws" in draws.note
    assert "robust" in draws.note
    hessian = counterfactual(Armington(SIGMA), result.with_cov("hessian"), {"agreement": 0})
    assert "hessian" in bootstrap(hessian, replications=2).note
    with pytest.raises(SpecificationError, match="needs two"):
        bootstrap(found, replications=1)
    with pytest.raises(SpecificationError, match="did you mean 'welfare'"):
        draws.table("welfar")
    with pytest.raises(SpecificationError, match="alpha"):
        draws.conf_int(1.0)


def test_the_page(result):
    found = counterfactual(Armington(SIGMA, 0.5), result, {"agreement": 0})
    page = str(found.summary())
    assert "agreement = 0" in page
    assert "Elasticity of substitution: 5" in page
    assert "only one" in page
    assert "P6" in str(found)
    assert "7 places" in repr(found)
    assert list(found.resistances.columns) == ["inward_resistance", "outward_resistance"]
    added = counterfactual(Armington(SIGMA, deficits="additive"), result, {"agreement": 0})
    assert added.full.substitutes
    assert "no theorem" in added.uniqueness


def test_slopes_and_offsets_move_with_their_variables(noisy):
    slopes = fit(Gravity("agreement + border | exporter[log(distance)] + importer"), noisy)
    found = counterfactual(Armington(SIGMA), slopes, {"distance": "distance * 1.2"})
    each = slopes.fixed_effects()["exporter[log(distance)]"]
    change = np.log(found.flows["partial"] / found.flows["baseline"]).dropna()
    for place in ("P0", "P5"):
        assert change[place].to_numpy() == pytest.approx(
            np.full(len(change[place]), each[place] * np.log(1.2))
        )
    assert not found.notes
    fixed = fit(Gravity("agreement + border | exporter + importer", offset="-log(distance)"), noisy)
    found = counterfactual(Armington(SIGMA), fixed, {"distance": "distance * 1.2"})
    ratio = (found.flows["partial"] / found.flows["baseline"]).dropna()
    assert ratio.to_numpy() == pytest.approx(np.full(48, 1 / 1.2))


def test_effects_that_are_lacking_are_said(noisy):
    result = fit(Gravity("log(distance) + agreement + border | exporter"), noisy)
    found = counterfactual(Armington(SIGMA), result, {"agreement": 0})
    assert "no fixed effects of 'importer'" in found.notes[0]


@pytest.mark.parametrize(
    ("scenario", "options", "error", "complaint"),
    [
        ({"agrement": 0}, {}, SpecificationError, "did you mean 'agreement'"),
        ({"trade": 0}, {}, SpecificationError, "none of the regressors"),
        ({}, {}, SpecificationError, "empty"),
        ({"agreement": [0] * 49}, {}, SpecificationError, "'agreement' is set to a list; give one"),
        ({"agreement": "'a'"}, {}, DataError, "\"'a'\" is not numeric .its values are like 'a'"),
        ({"agreement": None}, {}, SpecificationError, "'agreement' is set to a NoneType"),
        ({"importer": "P1"}, {}, SpecificationError, "part of a fixed effect"),
        ({"agreement": 0}, {"where": "exporter == 'P99'"}, SpecificationError, "for no pair"),
        ({"distance": 0}, {}, DataError, "not finite"),
        ({"agreement": 0}, {"period": 2000}, SpecificationError, "no periods"),
        ({"agreement": 0}, {"baseline": "true"}, SpecificationError, "'observed' or 'fitted'"),
        ({"agreement": 0}, {"method": "root"}, SpecificationError, "'hat' or 'geppml'"),
    ],
)
def test_scenarios_that_mean_nothing_are_refused(result, scenario, options, error, complaint):
    with pytest.raises(error, match=complaint):
        counterfactual(Armington(SIGMA), result, scenario, **options)


def test_labels_are_not_set_by_a_scenario(noisy):
    labelled = noisy.with_columns(kind=np.where(noisy.table["agreement"] > 0, "new", "old"))
    found = fit(Gravity("C(kind) + border | exporter + importer"), labelled)
    for value in ("old", "'old'"):
        with pytest.raises(SpecificationError, match="but the column holds labels") as caught:
            counterfactual(Armington(SIGMA), found, {"kind": value})
        assert "np.str_" not in str(caught.value)


def test_tables_that_do_not_fit_are_refused(noisy, result):
    model, table = Armington(SIGMA), noisy.table
    with pytest.raises(DataError, match="no row for 1 pairs"):
        counterfactual(model, result, table.iloc[1:])
    with pytest.raises(DataError, match="several rows for P0 → P0"):
        counterfactual(model, result, pd.concat([table, table.iloc[:1]]))
    with pytest.raises(SpecificationError, match="not with a table"):
        counterfactual(model, result, table, where="border == 1")


@pytest.mark.parametrize(
    ("keep", "complaint"),
    [
        ("border == 1", r"7 places \(P0.* no row for the flow within"),
        ("not (exporter == 'P2' and importer == 'P4')", "1 pairs .* P2 → P4"),
        ("exporter != 'P3'", r"origins or destinations alone \(P3\)"),
    ],
)
def test_flows_that_are_not_closed_are_refused(trade_table, keep, complaint):
    some = trade_table.query(keep)
    result = fit(Gravity("log(distance) + agreement | exporter + importer"), as_flows(some))
    with pytest.raises(DataError, match=complaint):
        counterfactual(Armington(SIGMA), result, {"agreement": 0})


def test_a_result_without_data_is_refused(result, tmp_path):
    stored = load_result(result.save(tmp_path / "result.json"))
    with pytest.raises(EstimationError, match="read from a file"):
        counterfactual(Armington(SIGMA), stored, {"agreement": 0})


def test_rows_of_no_weight_have_no_expected_flow(noisy):
    frame = noisy.table.assign(w=1.0)
    frame.loc[8, "w"] = 0.0
    result = fit(Gravity(FORMULA), as_flows(frame), weights="w")
    counterfactual(Armington(SIGMA), result, {"agreement": 0})
    with pytest.raises(SpecificationError, match="no weight"):
        counterfactual(Armington(SIGMA), result, {"agreement": 0}, baseline="fitted")
