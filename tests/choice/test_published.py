"""Values from the literature and from other software; origins in tests/published."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from choicemodels import MultinomialLogit, NestedLogit
from estimation import fit

PUBLISHED = Path(__file__).parents[1] / "published"


def values(key):
    return tomllib.loads((PUBLISHED / key / "values.toml").read_text(encoding="utf-8"))


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


def hc_model(lambdas):
    return NestedLogit(
        "ich + och + icca + occa + inc_room + inc_cooling + cooling | 0",
        nests={"cooling": ["gcc", "ecc", "erc", "hpc"], "other": ["gc", "ec", "er"]},
        lambdas=lambdas,
    )


def test_hc_one_lambda(hc):
    want = values("Croissant2020")["shared"]
    result = fit(hc_model("shared"), hc)
    assert result.llf == pytest.approx(want["llf"], abs=1e-6)
    assert result.params["lambda"] == pytest.approx(want["lambda"], abs=2e-6)
    got = standard_errors(result, "lambda", want["bse_lambda"])
    assert got == pytest.approx(want["bse_lambda"], abs=2e-6)


def test_hc_two_lambdas(hc):
    result = fit(hc_model("free"), hc)
    assert result.llf == pytest.approx(values("Croissant2020")["two"]["llf"], abs=1e-6)
