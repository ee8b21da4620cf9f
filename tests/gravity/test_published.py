"""Values from the literature and from other software; origins in tests/published."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from choicemodels import Gravity
from estimation import fit

PUBLISHED = Path(__file__).parents[1] / "published"


def values(key):
    return tomllib.loads((PUBLISHED / key / "values.toml").read_text(encoding="utf-8"))


def test_austria_doubly_constrained_exponential(austria):
    want = values("Dennett2012")["doubly_exponential"]
    result = fit(Gravity("distance | origin + destination"), austria, ssc="none")
    assert result.nobs == 72
    assert result.params["distance"] == pytest.approx(want["distance"], abs=5e-9)
    assert result.bse["distance"] == pytest.approx(want["hc0"], abs=5e-9)


def test_austria_doubly_constrained_power(austria):
    want = values("Dennett2012")["doubly_power"]
    result = fit(Gravity("log(distance) | origin + destination"), austria, ssc="none")
    assert result.params["log(distance)"] == pytest.approx(want["log_distance"], abs=5e-9)
    assert result.bse["log(distance)"] == pytest.approx(want["hc0"], abs=5e-9)


def test_austria_unconstrained(austria):
    want = values("Dennett2012")["unconstrained_exponential"]
    model = Gravity("log(origin_mass) + log(destination_mass) + distance")
    result = fit(model, austria, cov="hessian", ssc="none")
    names = ["intercept", "log_origin_mass", "log_destination_mass", "distance"]
    # Nine significant digits are printed.
    assert result.estimate == pytest.approx([want[name] for name in names], rel=5e-9)
    # spint stops a step earlier than we do; its README says how we know.
    assert result.bse.to_numpy() == pytest.approx(want["hessian"], rel=2e-5)
    assert result.deviance == pytest.approx(want["deviance"], rel=1e-8)
    assert result.llf == pytest.approx(want["llf"], abs=1e-6)
    assert result.llnull == pytest.approx(want["llnull"], abs=1e-6)
    assert result.prsquared == pytest.approx(want["pseudo_r2"], abs=1e-10)


def test_austria_production_constrained(austria):
    want = values("Dennett2012")["production_exponential"]
    model = Gravity("log(destination_mass) + distance | origin")
    result = fit(model, austria, cov="hessian", ssc="none")
    assert result.params["distance"] == pytest.approx(want["distance"], abs=5e-9)
    mass = result.params["log(destination_mass)"]
    assert mass == pytest.approx(want["log_destination_mass"], abs=5e-9)
    assert result.bse["distance"] ** 2 == pytest.approx(want["distance_variance"], rel=5e-5)
    assert result.deviance == pytest.approx(want["deviance"], rel=1e-8)
    assert result.llf == pytest.approx(want["llf"], abs=1e-6)


def test_austria_attraction_constrained(austria):
    want = values("Dennett2012")["attraction_exponential"]
    result = fit(Gravity("log(origin_mass) + distance | destination"), austria)
    assert result.params["distance"] == pytest.approx(want["distance"], abs=5e-9)
    mass = result.params["log(origin_mass)"]
    assert mass == pytest.approx(want["log_origin_mass"], abs=5e-9)


def test_canada_source_and_destination_effects(canada):
    want = values("FoxWeisberg2019")["source_and_destination"]
    result = fit(Gravity("log(distance) | source + destination"), canada)
    assert result.params["log(distance)"] == pytest.approx(want["log_distance"], abs=5e-7)


def test_constrained_models_reproduce_the_margins(austria):
    result = fit(Gravity("distance | origin + destination"), austria, tol=1e-12)
    table = austria.table.assign(mu=result.predict())
    for side in ("origin", "destination"):
        sums = table.groupby(side)[["flow", "mu"]].sum()
        assert np.abs(sums["mu"] / sums["flow"] - 1).max() < 1e-10
