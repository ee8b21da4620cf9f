"""Values from the literature and from other software; origins in tests/published."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit, NestflowWarning
from estimation import fit

PUBLISHED = Path(__file__).parents[1] / "published"


def values(key, file="values"):
    return tomllib.loads((PUBLISHED / key / f"{file}.toml").read_text(encoding="utf-8"))


def standard_errors(result, name, kinds, groups=None):
    return {
        kind: result.with_cov(kind, groups=groups if kind == "cluster" else None).bse[name]
        for kind in kinds
    }


@pytest.fixture(scope="module")
def swissmetro_nested(swissmetro):
    model = NestedLogit("time + cost", nests={"existing": ["train", "car"]}, base="sm")
    return fit(model, swissmetro)


def test_swissmetro_multinomial(swissmetro):
    want = values("Bierlaire2001")["mnl"]
    result = fit(MultinomialLogit("time + cost", base="sm"), swissmetro)
    assert result.nobs == 6_768
    assert result.llf == pytest.approx(want["llf"], abs=1e-6)
    # The published coefficient is 1.3e-6 from the root of the score, which we meet to 1e-9.
    off = np.linalg.solve(result.hessian, result.score_obs.sum(axis=0))
    assert np.abs(off).max() < 1e-9
    assert result.params["time"] == pytest.approx(want["time"], abs=2e-6)
    got = standard_errors(result, "time", want["bse_time"], groups="ID")
    assert got == pytest.approx(want["bse_time"], abs=5e-6)


def test_swissmetro_nested(swissmetro, swissmetro_nested):
    want = values("Bierlaire2001")["nested"]
    result = swissmetro_nested
    assert result.llf == pytest.approx(want["llf"], abs=2e-6)
    got = standard_errors(result, "lambda:existing", want["bse_lambda"], groups="ID")
    assert got == pytest.approx(want["bse_lambda"], abs=5e-6)
    assert result.params["lambda:existing"] == pytest.approx(want["lambda"], abs=5e-5)


def test_the_published_swissmetro_lambda_has_a_lower_likelihood(swissmetro, swissmetro_nested):
    published = values("Bierlaire2001")["nested"]["lambda"]
    model = replace(swissmetro_nested.model, lambdas={"existing": published})
    there = fit(model, swissmetro)
    assert there.llf < swissmetro_nested.llf
    assert "lambda:existing is fixed at 0.486866 as asked." in there.notes


def test_travel_mode_conditional(travel_mode):
    model = MultinomialLogit("gc + ttme", specific={"air": "0 + hinc"}, base="car")
    result = fit(model, travel_mode)
    assert result.llf == pytest.approx(values("Greene2018")["conditional"]["llf"], abs=1e-7)


def travel_mode_nested(normalization):
    return NestedLogit(
        "gc + ttme",
        specific={"air": "0 + hinc"},
        base="car",
        nests={"fly": ["air"], "ground": ["train", "bus", "car"]},
        normalization=normalization,
    )


def test_travel_mode_nonnormalized(travel_mode):
    want = values("Greene2018")["nonnormalized"]
    result = fit(travel_mode_nested("nonnormalized"), travel_mode)
    assert result.llf == pytest.approx(want["llf"], abs=1e-7)
    assert result.lambdas.to_dict() == pytest.approx(want["tau"], abs=1e-6)


def test_travel_mode_rum_fixes_the_singleton(travel_mode):
    want = values("Greene2018")["rum"]
    result = fit(travel_mode_nested("rum"), travel_mode)
    assert result.llf == pytest.approx(want["llf"], abs=1e-6)
    assert result.lambdas["ground"] == pytest.approx(want["lambda_ground"], abs=5e-6)
    assert result.lambdas["fly"] == 1.0
    assert "lambda:fly" not in result.names
    assert "lambda:fly is fixed at 1" in result.notes[0]


COOLING = {"cooling": ["gcc", "ecc", "erc", "hpc"], "other": ["gc", "ec", "er"]}
THREE = {"n1": ["gcc", "ecc", "erc"], "n2": ["hpc"], "n3": ["gc", "ec", "er"]}
CENTRAL = {"central": ["ec", "ecc", "gc", "gcc", "hpc"], "room": ["er", "erc"]}
HC = "ich + och + icca + occa + inc_room + inc_cooling + cooling | 0"


def assert_at_maximum_near(result, published, share):
    """Hold the estimate to its score, and to published digits up to a share of a standard error."""
    newton = np.linalg.solve(result.hessian, result.score_obs.sum(axis=0))
    hessian = result.with_cov("hessian").bse
    assert np.abs(newton / hessian).max() < 1e-7
    off = (result.params - pd.Series(published)).abs() / hessian
    assert set(published) == set(result.names)
    assert off.max() < share


def test_hc_multinomial(hc):
    result = fit(MultinomialLogit(HC), hc)
    assert result.llf == pytest.approx(values("Croissant2020")["multinomial"]["llf"], abs=1e-6)


def test_hc_one_lambda(hc):
    want = values("Croissant2020")["shared"]
    result = fit(NestedLogit(HC, nests=COOLING, lambdas="shared"), hc)
    assert result.llf == pytest.approx(want["llf"], abs=1e-6)
    assert result.params["lambda"] == pytest.approx(want["lambda"], abs=2e-6)
    got = standard_errors(result, "lambda", want["bse_lambda"])
    assert got == pytest.approx(want["bse_lambda"], abs=2e-6)


def test_hc_two_lambdas(hc):
    want = values("Croissant2020")["two"]
    result = fit(NestedLogit(HC, nests=COOLING), hc)
    assert result.llf == pytest.approx(want["llf"], abs=1e-6)
    assert result.lambdas.to_dict() == pytest.approx(want["lambda"], abs=5e-3)


def test_hc_three_nests(hc):
    want = values("Croissant2020")["three"]
    result = fit(NestedLogit(HC, nests=THREE, lambdas="shared"), hc)
    assert result.llf == pytest.approx(want["llf"], abs=1e-6)
    assert_at_maximum_near(result, want["params"], share=5e-5)
    assert result.with_cov("bhhh").bse.to_dict() == pytest.approx(want["bse_bhhh"], rel=1e-5)
    assert result.lambdas["n2"] == 1.0
    assert "lambda:n2 is fixed at 1" in result.notes[0]


def test_hc_lambda_above_one_is_reported_with_a_warning(hc):
    want = values("Croissant2020")["central"]
    with (
        pytest.warns(NestflowWarning, match=r"lambda:room \(1.3621\).*utility maximization"),
        pytest.warns(NestflowWarning, match=r"lambda:central \(1.3621\).*utility maximization"),
    ):
        result = fit(NestedLogit(HC, nests=CENTRAL, lambdas="shared"), hc)
    assert result.llf == pytest.approx(want["llf"], abs=1e-6)
    assert_at_maximum_near(result, want["params"], share=3e-4)
    assert result.with_cov("bhhh").bse.to_dict() == pytest.approx(want["bse_bhhh"], rel=1e-4)
    assert "lambda:central (1.3621)" in str(result.summary())


@pytest.fixture(scope="module")
def canada(mode_canada):
    return fit(MultinomialLogit("cost + freq | income | time"), mode_canada, cov="hessian")


@pytest.fixture(scope="module")
def faster_train(mode_canada):
    table = mode_canada.table
    shorter = np.where(table["alt"] == "train", 0.8, 1.0)
    return ChoiceData.from_long(
        table.assign(time=shorter * table["time"]),
        "case",
        "alt",
        alternatives=mode_canada.alternatives,
    )


def shares(result, data=None):
    return result.predict(data).groupby("alt")["probability"].mean().to_dict()


def test_mode_canada_estimates(canada):
    want = values("Croissant2020", "mode_canada")
    assert canada.nobs == want["nobs"]
    assert canada.llf == pytest.approx(want["llf"], abs=5e-4)
    assert 1 - canada.llf / canada.llconstants == pytest.approx(want["mcfadden_r2"], abs=5e-6)
    assert_at_maximum_near(canada, want["params"], share=1e-5)
    assert canada.bse.to_dict() == pytest.approx(want["bse_hessian"], abs=6e-9)
    worth = {mode: 60 * canada.params[f"time:{mode}"] / canada.params["cost"]
             for mode in want["value_of_time"]}  # fmt: skip
    assert worth == pytest.approx(want["value_of_time"], abs=6e-6)


def test_mode_canada_probabilities(canada, faster_train):
    want = values("Croissant2020", "mode_canada")
    fitted = canada.predict().pivot(index="case", columns="alt", values="probability")
    for case, probabilities in want["fitted"].items():
        got = fitted.loc[int(case), ["car", "train", "air"]]
        np.testing.assert_allclose(got, probabilities, atol=6e-8)
    assert shares(canada) == pytest.approx(want["shares"]["observed"], abs=6e-8)
    assert shares(canada, faster_train) == pytest.approx(want["shares"]["faster_train"], abs=6e-8)


def test_mode_canada_probabilities_at_sample_means(canada, mode_canada):
    want = values("Croissant2020", "mode_canada")["shares"]["at_means"]
    means = mode_canada.table.groupby("alt")[["cost", "freq", "time", "income"]].mean()
    typical = ChoiceData.from_long(
        means.reset_index().assign(case=1), "case", "alt", alternatives=mode_canada.alternatives
    )
    assert shares(canada, typical) == pytest.approx(want, abs=6e-8)


def test_mode_canada_consumer_surplus(canada, faster_train):
    want = values("Croissant2020", "mode_canada")["surplus"]
    surplus = (canada.logsum(faster_train) - canada.logsum()) / -canada.params["cost"]
    found = surplus.describe().rename({"25%": "q25", "50%": "median", "75%": "q75"})
    assert found[list(want)].to_dict() == pytest.approx(want, abs=6e-5)


MTC = (
    "I(totcost / hhinc) + motorized:tottime + I(1 - motorized):tottime"
    " + motorized:I(ovtt / dist) + shared:vehbywrk | cbd + wkempden"
)
MTC_SPECIFIC = dict.fromkeys(("Transit", "Bike", "Walk"), "0 + hhinc + vehbywrk")
MTC_NESTS = {"motorized": ["DA", "SR2", "SR3+", "Transit"], "nonmotorized": ["Bike", "Walk"]}


def test_mtc_model_1(mtc):
    want = values("KoppelmanBhat2006")["model_1"]
    result = fit(MultinomialLogit("tottime + totcost | hhinc"), mtc, cov="hessian")
    assert result.nobs == 5_029
    assert result.llf == pytest.approx(want["llf"], abs=1e-8)
    assert result.llnull == pytest.approx(-7309.600971749634, abs=1e-8)
    assert_at_maximum_near(result, want["params"], share=1e-5)
    # larch takes the Hessian by coarse differences; see the README.
    assert result.bse.to_dict() == pytest.approx(want["bse_hessian"], rel=1e-4)


def test_mtc_model_17(mtc):
    result = fit(MultinomialLogit(MTC, specific=MTC_SPECIFIC), mtc)
    assert result.llf == pytest.approx(values("KoppelmanBhat2006")["model_17"]["llf"], abs=2e-6)


def test_mtc_model_22(mtc):
    want = values("KoppelmanBhat2006")["model_22"]
    model = NestedLogit(MTC, nests=MTC_NESTS, specific=MTC_SPECIFIC)
    result = fit(model, mtc, cov="hessian")
    assert result.llf == pytest.approx(want["llf"], abs=1e-8)
    assert_at_maximum_near(result, want["params"], share=1e-5)
    assert result.bse.to_dict() == pytest.approx(want["bse_hessian"], rel=1e-4)
    # larch's own test stops short of the maximum, at a hundredth of a standard error from it.
    printed = want["printed"]
    assert result.llf > printed["llf"]
    assert result.llf == pytest.approx(printed["llf"], abs=1e-6)
    for nest, value in printed["lambda"].items():
        name = f"lambda:{nest}"
        assert result.params[name] == pytest.approx(value, abs=0.01 * result.bse[name])
