"""Log-linear gravity beside pyfixest, linearmodels and dummies written out."""

import warnings

import numpy as np
import pandas as pd
import pyfixest
import pytest
from linearmodels.iv import IV2SLS, AbsorbingLS

from choicemodels import FlowData, Gravity
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    SpecificationError,
)
from estimation import fit, load_result, table
from estimation.gravity.linear import fit_linear

FORMULAS = [
    "treaty + gap + log(distance)",
    "treaty + gap | origin + destination",
    "treaty + gap | origin^year + destination^year + origin^destination",
]


@pytest.fixture(scope="module")
def frame(panel_table):
    rng = np.random.default_rng(5)
    frame = panel_table.copy()
    frame["z1"] = frame["gap"] + rng.normal(size=len(frame))
    frame["z2"] = 0.5 * frame["gap"] + rng.normal(size=len(frame))
    frame["weight"] = rng.uniform(0.5, 2, len(frame))
    frame["logs"] = np.log(frame["migrants"].where(frame["migrants"] > 0))
    return frame


@pytest.fixture(scope="module")
def flows(frame):
    return FlowData(frame, origin="origin", destination="destination", flow="migrants", time="year")


def referee(formula, frame, vcov, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its notices of dropped rows
        return pyfixest.feols(
            f"logs ~ {formula}",
            frame,
            vcov=vcov,
            demeaner=pyfixest.MapDemeaner(fixef_tol=1e-12),
            **more,
        )


@pytest.mark.parametrize("formula", FORMULAS)
def test_pyfixest_finds_the_same(formula, flows, frame):
    ours = fit_linear(Gravity(formula), flows)
    theirs = referee(formula, frame, "hetero")
    names = [name.replace("(Intercept)", "Intercept") for name in ours.names]
    assert ours.estimate == pytest.approx(theirs.coef()[names].to_numpy(), rel=1e-9)
    assert ours.nobs == theirs._N
    assert ours.rsquared == pytest.approx(theirs._r2, rel=1e-9)
    if "|" in formula:
        assert ours.rsquared_within == pytest.approx(theirs._r2_within, rel=1e-9)
    for kind, vcov in (("hessian", "iid"), ("robust", "hetero")):
        se = referee(formula, frame, vcov).se()[names].to_numpy()
        assert ours.with_cov(kind).bse.to_numpy() == pytest.approx(se, rel=1e-7)


@pytest.mark.parametrize(
    ("groups", "vcov"),
    [("origin", "origin"), (["origin", "destination"], "origin + destination")],
    ids=["one way", "two ways"],
)
def test_pyfixest_finds_the_same_clustered_errors(groups, vcov, flows, frame):
    formula = "treaty + gap + log(distance) | year"
    ours = fit_linear(Gravity(formula), flows, cov="cluster", groups=groups)
    theirs = referee(formula, frame, {"CRV1": vcov})
    assert ours.bse.to_numpy() == pytest.approx(theirs.se().to_numpy(), rel=1e-7)


def test_pyfixest_finds_the_same_with_weights(flows, frame):
    ours = fit_linear(Gravity(FORMULAS[1]), flows, weights="weight")
    theirs = referee(FORMULAS[1], frame, "hetero", weights="weight")
    assert ours.estimate == pytest.approx(theirs.coef().to_numpy(), rel=1e-9)
    assert ours.bse.to_numpy() == pytest.approx(theirs.se().to_numpy(), rel=1e-7)


def test_dyadic_errors_sum_over_all_rows_that_share_a_place(flows, frame):
    ours = fit_linear(Gravity("treaty + gap + log(distance)"), flows, cov="dyadic", ssc="none")
    used = frame.iloc[ours.sample.rows]
    o, d = used["origin"].to_numpy(), used["destination"].to_numpy()
    share = (o[:, None] == o) | (o[:, None] == d) | (d[:, None] == o) | (d[:, None] == d)
    S, bread = ours.sample.scores, np.linalg.inv(-ours.hessian)
    values, vectors = np.linalg.eigh(bread @ (S.T @ share @ S) @ bread)
    # With twelve places the sum is indefinite, and its negative eigenvalue is set to zero.
    expected = (vectors * np.maximum(values, 0)) @ vectors.T
    assert ours.cov_params().to_numpy() == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_absorbing_ls_finds_the_same(flows, frame):
    ours = fit_linear(Gravity(FORMULAS[2]), flows, cov="HC0")
    used = frame.iloc[ours.sample.rows]
    absorb = pd.DataFrame(
        {
            "o": pd.Categorical(used["origin"] + used["year"].astype(str)),
            "d": pd.Categorical(used["destination"] + used["year"].astype(str)),
            "p": pd.Categorical(used["pair"]),
        },
        index=used.index,
    )
    theirs = AbsorbingLS(used["logs"], used[["treaty", "gap"]], absorb=absorb).fit()
    assert ours.estimate == pytest.approx(theirs.params.to_numpy(), rel=1e-6)
    assert ours.bse.to_numpy() == pytest.approx(theirs.std_errors.to_numpy(), rel=1e-6)


@pytest.mark.parametrize("instruments", ["z1", "z1 + z2"])
def test_dummies_written_out_give_the_same_with_instruments(instruments, flows, frame):
    ours = fit_linear(
        Gravity("treaty + gap | origin + year"),
        flows,
        endogenous="gap",
        instruments=instruments,
        cov="HC0",
    )
    used = frame.iloc[ours.sample.rows]
    dummies = pd.get_dummies(used["origin"], dtype=float).join(
        pd.get_dummies(used["year"], dtype=float, drop_first=True).add_prefix("y")
    )
    excluded = used[instruments.split(" + ")]
    theirs = IV2SLS(used["logs"], dummies.join(used["treaty"]), used["gap"], excluded).fit()
    assert ours.estimate == pytest.approx(theirs.params[["treaty", "gap"]].to_numpy(), rel=1e-9)
    errors = theirs.std_errors[["treaty", "gap"]].to_numpy()
    assert ours.bse.to_numpy() == pytest.approx(errors, rel=1e-9)
    tests = {test.name: test for test in ours.tests}
    assert tests["Durbin test"].statistic == pytest.approx(theirs.durbin().stat, rel=1e-8)
    sargan, robust = tests["Sargan test"], tests["Wooldridge's overidentification test"]
    assert sargan.applies == robust.applies == (instruments == "z1 + z2")
    if sargan.applies:
        assert sargan.statistic == pytest.approx(theirs.sargan.stat, rel=1e-8)
        assert robust.statistic == pytest.approx(theirs.wooldridge_overid.stat, rel=1e-8)


def test_pyfixest_finds_the_same_with_an_instrument(flows, frame):
    model = Gravity("treaty + gap | origin^year + destination^year")
    ours = fit_linear(model, flows, endogenous="gap", instruments="z1")
    theirs = referee("treaty | origin^year + destination^year | gap ~ z1", frame, "hetero")
    order = list(ours.names)
    assert ours.estimate == pytest.approx(theirs.coef()[order].to_numpy(), rel=1e-8)
    assert ours.bse.to_numpy() == pytest.approx(theirs.se()[order].to_numpy(), rel=1e-6)
    assert ours.first_stage_f["gap"] == pytest.approx(theirs._f_stat_1st_stage, rel=1e-6)
    assert ours.first_stages[0].depvar == "gap"
    assert ours.first_stages[0].formula == "treaty + z1 | origin^year + destination^year"
    assert ours.first_stages[0].covariance.kind == "robust"


def test_an_exogenous_regressor_as_its_own_instrument_changes_nothing(frame):
    flows = FlowData(frame.assign(same=frame["gap"]), "origin", "destination", "migrants", "year")
    model = Gravity("treaty + gap | origin + destination")
    plain = fit_linear(model, flows)
    twice = fit_linear(model, flows, endogenous="gap", instruments="same", cov="robust")
    assert twice.estimate == pytest.approx(plain.estimate, rel=1e-10)
    assert twice.bse.to_numpy() == pytest.approx(plain.bse.to_numpy(), rel=1e-10)


def test_slopes_by_level_are_dummies_times_the_variable(flows, frame):
    ours = fit_linear(Gravity("treaty | origin[gap]"), flows, cov="HC0")
    used = frame.iloc[ours.sample.rows]
    dummies = pd.get_dummies(used["origin"], dtype=float)
    slopes = dummies.mul(used["gap"], axis=0).add_prefix("gap:")
    X = used[["treaty"]].join(dummies).join(slopes).to_numpy()
    beta, *_ = np.linalg.lstsq(X, used["logs"].to_numpy(), rcond=None)
    assert ours.estimate[0] == pytest.approx(beta[0], rel=1e-9)
    levels = ours.fixed_effects()
    assert levels["origin"].to_numpy() == pytest.approx(beta[1:13], rel=1e-8)
    assert levels["origin[gap]"].to_numpy() == pytest.approx(beta[13:], rel=1e-8)


def test_an_offset_is_taken_off_the_logarithm(flows, frame):
    ours = fit_linear(Gravity("treaty | origin", offset="log(distance)"), flows)
    scaled = FlowData(
        frame.assign(rate=frame["migrants"] / frame["distance"]), "origin", "destination",
        "rate", "year",
    )  # fmt: skip
    assert ours.estimate == pytest.approx(
        fit_linear(Gravity("treaty | origin"), scaled).estimate, rel=1e-10
    )
    assert ours.predict().to_numpy() == pytest.approx(
        ours.predict(frame.iloc[ours.sample.rows]).to_numpy(), rel=1e-10
    )


@pytest.mark.parametrize("formula", FORMULAS)
def test_predictions_add_up_regressors_and_effects(formula, flows, frame):
    ours = fit_linear(Gravity(formula), flows)
    again = ours.predict(frame.iloc[ours.sample.rows])
    assert ours.predict().to_numpy() == pytest.approx(again.to_numpy(), rel=1e-9)
    residuals = frame["logs"].iloc[ours.sample.rows].to_numpy() - again.to_numpy()
    assert residuals.sum() == pytest.approx(0, abs=1e-7)


def test_rows_without_flow_are_counted(flows, frame):
    ours = fit_linear(Gravity("treaty | origin^year"), flows)
    counts = dict(ours.dropped.groupby("reason")["rows"].sum())
    assert counts["zero flow"] == (frame["migrants"] == 0).sum()
    assert ours.nobs + sum(counts.values()) == len(frame)
    assert (ours.dropped_rows == "zero flow").sum() == counts["zero flow"]
    assert "rows dropped: zero flow" in str(ours.summary())


def test_without_effects_there_is_nothing_within(flows, tmp_path):
    ours = fit_linear(Gravity("treaty + gap"), flows)
    assert ours.rsquared_within is None
    for text in (str(ours.summary()), str(table(ours)), str(table(ours, stats=["N", "r2"]))):
        assert "R²" in text
        assert "within" not in text
    loaded = load_result(ours.save(tmp_path / "ols.json"))
    assert str(loaded.summary()) == str(ours.summary())


def test_results_are_saved_and_stand_beside_ppml(flows, tmp_path):
    model = Gravity("treaty + gap | origin + destination")
    ols = fit_linear(model, flows)
    iv = fit_linear(model, flows, endogenous="gap", instruments="z1 + z2")
    text = str(table(fit(model, flows), ols, iv))
    assert "R² within" in text
    assert "First-stage F" in text
    loaded = load_result(iv.save(tmp_path / "iv.json"))
    assert str(loaded.summary()) == str(iv.summary())
    assert loaded.with_cov("hessian").bse.equals(iv.with_cov("hessian").bse)
    with pytest.raises(EstimationError, match="read from a file, without its rows"):
        loaded.with_cov("cluster", groups="origin")
    with pytest.raises(EstimationError, match="read from a file"):
        loaded.predict()


def test_instruments_recover_what_least_squares_misses():
    rng = np.random.default_rng(2)
    o, d, t = (a.ravel() for a in np.indices((25, 25, 4)))
    v, z = rng.normal(size=(2, len(o)))
    x = z + v + 0.3 * o / 25
    y = np.exp(0.5 * x + 0.8 * v + o / 25 + rng.normal(0, 0.5, len(o)))
    frame = pd.DataFrame({"o": o, "d": d, "t": t, "y": y, "x": x, "z": z})
    flows, model = FlowData(frame, "o", "d", "y", "t"), Gravity("x | o^t + d^t")
    iv = fit_linear(model, flows, endogenous="x", instruments="z", cov="cluster", groups="o^d")
    assert abs(iv.params["x"] - 0.5) < 3 * iv.bse["x"] < 0.2
    assert fit_linear(model, flows).params["x"] > 0.8
    assert all(test.pvalue < 1e-6 for test in iv.tests if test.applies)


@pytest.mark.parametrize(
    ("formula", "options", "error", "message"),
    [
        ("gap | origin", {"endogenous": "gab"}, SpecificationError, "did you mean 'gap'"),
        ("gap", {"endogenous": ["gap", "gap"]}, SpecificationError, "named twice"),
        ("gap", {"endogenous": "gap"}, SpecificationError, "as many instruments or more"),
        ("gap", {"instruments": "z1"}, SpecificationError, "needs endogenous="),
        (
            "gap + treaty",
            {"endogenous": "gap", "instruments": "treaty"},
            SpecificationError,
            "treaty is a regressor and an excluded instrument",
        ),
        ("gap | origin", {"cov": "HC3"}, SpecificationError, "offered for PPML alone"),
        ("gap | origin", {"cov": "bhhh"}, SpecificationError, "'bhhh' is unknown"),
        ("gap | origin", {"groups": "origin"}, SpecificationError, "groups= goes with"),
        ("distance | origin^destination", {}, IdentificationError, "'distance'.*swallowed"),
        ("gap + I(2 * gap) | origin", {}, IdentificationError, "collinear"),
        (
            "gap + treaty",
            {"endogenous": ["gap", "treaty"], "instruments": "z1 + I(z1 * 2)"},
            IdentificationError,
            "collinear",
        ),
    ],
)
def test_bad_requests_are_refused(formula, options, error, message, flows):
    with pytest.raises(error, match=message):
        fit_linear(Gravity(formula), flows, **options)


def test_flows_that_are_all_zero_have_no_logarithm(frame):
    flows = FlowData(frame.assign(migrants=0.0), "origin", "destination", "migrants", "year")
    with pytest.raises(DataError, match=r"no row is left .*576 zero flow"):
        fit_linear(Gravity("gap"), flows)
