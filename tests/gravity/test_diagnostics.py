"""Diagnostics: against statsmodels on explicit dummies, by hand, and on data of a known kind."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.discrete._diagnostics_count import test_poisson_dispersion as dispersion_of

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit, load_result
from estimation.gravity.bias import bias_corrected
from estimation.gravity.diagnostics import (
    diagnose,
    overdispersion_test,
    park_test,
    reset_test,
    zero_share,
)

FORMULA = "x + log(distance) | o + d"


def draw(kind="poisson", places=14, seed=0, *, misspecified=False, size=1.0):
    """Counts of a known distribution around a gravity mean."""
    rng = np.random.default_rng(seed)
    o, d = (a.ravel() for a in np.indices((places, places)))
    distance = rng.uniform(1, 10, len(o))
    x = rng.normal(0, 0.7, len(o))
    out, into = rng.normal(0, 0.5, places), rng.normal(0, 0.5, places)
    eta = np.log(size) + 2 + 0.6 * x - np.log(distance) + out[o] + into[d]
    if misspecified:
        eta = eta + 0.3 * x**2
    mean = np.exp(eta)
    if kind == "poisson":
        y = rng.poisson(mean).astype(float)
    elif kind == "negative binomial":
        y = rng.poisson(mean * rng.gamma(1.0, 1.0, len(mean))).astype(float)
    else:
        y = mean * rng.gamma(2.0, 0.5, len(mean))
    return pd.DataFrame({"o": o, "d": d, "x": x, "distance": distance, "y": y})


def estimate(frame, formula=FORMULA, **options):
    return fit(Gravity(formula), FlowData(frame, "o", "d", "y"), tol=1e-13, **options)


def glm(frame, extra=(), **options):
    dummies = pd.get_dummies(frame[["o", "d"]].astype(str), dtype=float).drop(columns="d_0")
    X = pd.concat([frame[["x"]].assign(l=np.log(frame["distance"])), dummies], axis=1)
    for name, values in extra:
        X[name] = values
    return sm.GLM(frame["y"], X, family=sm.families.Poisson(), **options).fit(
        cov_type="HC0", tol=1e-14, maxiter=200
    )


@pytest.fixture(scope="module")
def counts():
    return draw("negative binomial", seed=3)


@pytest.mark.parametrize("powers", [(2,), (2, 3)])
def test_reset_agrees_with_statsmodels(counts, powers):
    ours = reset_test(estimate(counts, ssc="none"), powers)
    eta = np.log(glm(counts).fittedvalues)
    larger = glm(counts, [(f"p{p}", eta**p) for p in powers])
    theirs = larger.wald_test(", ".join(f"p{p} = 0" for p in powers), use_f=False, scalar=True)
    assert ours.df == len(powers)
    assert ours.statistic == pytest.approx(float(theirs.statistic), rel=1e-6)
    assert ours.pvalue == pytest.approx(float(theirs.pvalue), rel=1e-6)
    assert "standard errors: robust" in str(ours)


def test_reset_goes_with_weights_and_offset(counts):
    frame = counts.assign(w=np.random.default_rng(1).integers(1, 4, len(counts)).astype(float))
    model = Gravity(FORMULA, offset="0.2 * x")
    ours = fit(model, FlowData(frame, "o", "d", "y"), tol=1e-13, weights="w", cov="hessian")
    test = reset_test(ours.with_cov("hessian", ssc="none"))
    options = {"freq_weights": frame["w"], "offset": 0.2 * frame["x"]}
    eta = np.log(glm(frame, **options).fittedvalues)
    dummies = glm(frame, [("p", eta**2)], **options)
    z = dummies.params["p"] / np.sqrt(np.diag(dummies.normalized_cov_params)[-1])
    assert test.statistic == pytest.approx(z**2, rel=1e-6)


def test_reset_uses_the_covariance_shown(counts):
    result = estimate(counts)
    robust = reset_test(result).statistic
    for kind in ({"kind": "cluster", "groups": "o"}, {"kind": "dyadic"}, {"kind": "hessian"}):
        test = reset_test(result.with_cov(**kind))
        assert test.applies
        assert test.statistic != pytest.approx(robust, rel=1e-3)
    assert "by o (14)" in str(reset_test(result.with_cov("cluster", groups="o")))


def test_reset_finds_a_wrong_mean_and_passes_a_right_one():
    right = [reset_test(estimate(draw(seed=s))).pvalue < 0.05 for s in range(20)]
    bent = [draw(places=25, seed=s, misspecified=True, size=3) for s in range(3)]
    wrong = [reset_test(estimate(frame)).pvalue for frame in bent]
    assert np.mean(right) < 0.25
    assert max(wrong) < 0.001


def test_reset_that_does_not_apply_says_why(counts, tmp_path):
    result = estimate(counts)
    back = load_result(result.save(tmp_path / "r.json"))
    assert "does not keep the data" in reset_test(back).reason
    assert "choose with_cov('cluster')" in reset_test(result.with_cov("CRV3", groups="o")).reason
    assert "'corrected'" in reset_test(bias_corrected(result)).reason
    alone = estimate(counts, "1 | o")
    assert "swallowed" in reset_test(alone).reason
    assert not reset_test(alone).applies
    for powers in ((), (1,), (2, 2)):
        with pytest.raises(SpecificationError, match="two or more"):
            reset_test(result, powers)


def test_park_agrees_with_statsmodels(counts):
    result = estimate(counts)
    ours = park_test(result)
    mu = result.predict().to_numpy()
    squares = (counts["y"].to_numpy() - mu) ** 2
    X = np.column_stack([np.ones_like(mu), np.log(mu)])
    park = sm.GLM(squares, X, family=sm.families.Poisson()).fit(cov_type="HC0", tol=1e-14)
    np.testing.assert_allclose(ours.variance.params, park.params, rtol=1e-7)
    np.testing.assert_allclose(ours.variance.bse, park.bse, rtol=1e-7)
    for power, test in enumerate(ours.tests):
        z = (park.params[1] - power) / park.bse[1]
        assert test.statistic == pytest.approx(z**2, rel=1e-6)
        assert f"mu^{power}" in test.hypothesis
    root = np.sqrt(mu)
    gnr = sm.OLS(squares / root, np.column_stack([root, root * np.log(mu)])).fit(cov_type="HC0")
    assert ours.gnr.statistic == pytest.approx(gnr.tvalues[1] ** 2, rel=1e-7)
    assert ours.power == ours.variance.params["power"]
    assert f"{ours.power:.4f}" in str(ours)


def test_park_does_not_depend_on_the_unit_of_flows():
    frame = draw("gamma")
    small, large = estimate(frame), estimate(frame.assign(y=1e6 * frame["y"]))
    assert park_test(small).power == pytest.approx(park_test(large).power, rel=1e-6)
    assert park_test(small).gnr.statistic == pytest.approx(park_test(large).gnr.statistic, rel=1e-6)


@pytest.mark.parametrize(("kind", "power"), [("poisson", 1), ("gamma", 2)])
def test_park_recovers_the_power(kind, power):
    park = park_test(estimate(draw(kind, places=30, seed=2, size=3)))
    assert park.power == pytest.approx(power, abs=3 * park.variance.bse["power"])
    assert park.variance.bse["power"] < 0.2
    assert park.tests[power].pvalue > 0.01
    assert park.tests[0].pvalue < 1e-4
    assert (park.gnr.pvalue > 0.01) == (power == 1)


def test_weights_of_diagnostics_are_rows_that_repeat(counts):
    w = np.random.default_rng(1).integers(1, 4, len(counts))
    weighted = estimate(counts.assign(w=w.astype(float)), weights="w")
    again = counts.loc[counts.index.repeat(w)].assign(copy=np.arange(w.sum()))
    plain = fit(Gravity(FORMULA), FlowData(again, "o", "d", "y", time="copy"), tol=1e-13)
    one, two = park_test(weighted), park_test(plain)
    np.testing.assert_allclose(one.variance.params, two.variance.params, rtol=1e-6)
    zeros, again = zero_share(weighted), zero_share(plain)
    assert zeros.alpha == pytest.approx(again.alpha, rel=1e-8)
    assert zeros.negative_binomial == pytest.approx(again.negative_binomial, rel=1e-8)
    assert "weighted" in overdispersion_test(weighted).reason


@pytest.mark.parametrize(("against", "row"), [("nb2", "CT nb2 HC3"), ("nb1", "CT nb1 HC3")])
def test_overdispersion_agrees_with_statsmodels(counts, against, row):
    ours = overdispersion_test(estimate(counts), against, adjust=False)
    model = sm.Poisson(counts["y"], glm(counts).model.exog)
    theirs = model.fit(disp=0, method="newton", maxiter=100, tol=1e-12)
    table = dispersion_of(theirs)
    values = dict(zip(table.method, zip(table.statistic, table.pvalue, strict=True), strict=True))
    assert ours.statistic == pytest.approx(values[row][0] ** 2, rel=1e-6)


def test_overdispersion_knows_that_effects_follow_the_flows(counts, monkeypatch):
    """Without the leverages, Poisson flows look underdispersed, the more so the more effects."""
    result = estimate(draw(seed=1))
    plain, adjusted = (overdispersion_test(result, "nb1", adjust=a) for a in (False, True))
    alpha = [float(test.note.split()[1].strip(",")) for test in (plain, adjusted)]
    assert alpha[1] - alpha[0] == pytest.approx(result.leverages().mean(), abs=1e-4)
    monkeypatch.setattr("estimation.gravity.working._MOST_LEVELS", 3)
    assert "adjust=False" in overdispersion_test(result).reason


def test_overdispersion_finds_what_was_drawn():
    tests = [overdispersion_test(estimate(draw(seed=s, size=3))) for s in range(20)]
    assert np.mean([test.pvalue < 0.05 for test in tests]) < 0.25
    rng = np.random.default_rng(1)
    o, d = (a.ravel() for a in np.indices((60, 60)))
    frame = pd.DataFrame({"o": o, "d": d, "x": rng.normal(size=3600)})
    mean = np.exp(1 + 0.4 * frame["x"].to_numpy())
    frame["y"] = rng.poisson(mean * rng.gamma(2, 0.5, 3600)).astype(float)
    test = overdispersion_test(estimate(frame, "x"))
    assert test.pvalue < 1e-6
    alpha, error = (float(word.strip(",")) for word in test.note.split()[1::3])
    assert alpha == pytest.approx(0.5, abs=3 * error)
    assert error < 0.05
    assert "amounts" in overdispersion_test(estimate(draw("gamma"))).reason
    with pytest.raises(SpecificationError, match="choose nb2 or nb1"):
        overdispersion_test(estimate(draw()), "nb3")


def test_zero_shares_by_hand(counts):
    result = estimate(counts)
    zeros = zero_share(result)
    mu, y = result.predict().to_numpy(), counts["y"].to_numpy()
    assert zeros.observed == (y == 0).mean()
    assert zeros.poisson == pytest.approx(np.exp(-mu).mean(), rel=1e-12)
    alpha = ((y - mu) ** 2 - y).sum() / (mu**2).sum()
    assert zeros.alpha == pytest.approx(alpha, rel=1e-10)
    want = ((1 + alpha * mu) ** (-1 / alpha)).mean()
    assert zeros.negative_binomial == pytest.approx(want, rel=1e-10)
    assert zeros.poisson < zeros.negative_binomial
    assert zeros.left_out == 0
    assert f"{zeros.observed:.1%} observed" in str(zeros)


def test_zeros_without_overdispersion_are_poisson(counts):
    even = counts.assign(y=np.round(estimate(counts).predict()))
    zeros = zero_share(estimate(even))
    assert zeros.alpha == 0
    assert zeros.negative_binomial == zeros.poisson


def test_zeros_that_were_left_out_are_counted(counts):
    dead = counts.assign(y=counts["y"].where(counts["o"] != 3, 0.0))
    zeros = zero_share(estimate(dead))
    assert zeros.left_out == 14
    assert zeros.observed == (dead.loc[dead["o"] != 3, "y"] == 0).mean()


def test_diagnose_collects_everything(counts, tmp_path):
    result = estimate(counts)
    found = diagnose(result, powers=(2, 3))
    assert [test.name for test in found.tests] == [
        "RESET", *["Park test"] * 3, "Gauss-Newton regression", *["Overdispersion test"] * 2,
    ]  # fmt: skip
    assert found.frame.loc["RESET", "statistic"] == reset_test(result, (2, 3)).statistic
    text = str(found)
    assert str(zero_share(result)) in text
    assert str(park_test(result).gnr) in text
    assert "RESET" in found.table().save(tmp_path / "d.md").read_text(encoding="utf-8")


def test_one_power_is_given_as_itself(counts):
    result = estimate(counts)
    assert reset_test(result, 3) == reset_test(result, (3,))


def test_diagnose_of_amounts_says_what_does_not_apply():
    result = estimate(draw("gamma"))
    found = diagnose(result)
    assert found.zeros is None
    assert "amounts" in found.frame.loc["Overdispersion test", "note"].iloc[0]
    assert "Zeros" not in str(found)
    assert found.table().note == ""
    with pytest.raises(DataError, match="amounts and not counts"):
        zero_share(result)


def test_what_has_no_data_is_refused(counts, tmp_path):
    back = load_result(estimate(counts).save(tmp_path / "r.json"))
    for ask in (park_test, zero_share, diagnose):
        with pytest.raises(EstimationError, match="read from a file"):
            ask(back)
    assert overdispersion_test(back).reason == "a saved result does not keep the data"


def test_a_model_that_fits_every_flow_has_no_variance_to_look_at(counts):
    flat = counts.assign(y=4.0)
    with pytest.raises(EstimationError, match="all alike"):
        park_test(estimate(flat, "1 | o"))
