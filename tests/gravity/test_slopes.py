"""Slopes by level of an effect: against explicit interactions with dummies."""

import numpy as np
import pytest

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, IdentificationError, SpecificationError
from choicemodels.flows.gravity import Slope
from estimation import fit, load_result

TIGHT = {"tol": 1e-13, "cov": "hessian", "ssc": "none", "drop_singletons": False}


@pytest.fixture(scope="module")
def table(draw_panel):
    frame = draw_panel(places=8, years=3, seed=11)
    frame["trend"] = frame["year"] - 2000.0
    frame["origin_year"] = frame["origin"] + frame["year"].astype(str)
    return frame


@pytest.fixture(scope="module")
def flows(table):
    return FlowData(table, "origin", "destination", "migrants", time="year")


@pytest.mark.parametrize(
    ("absorbed", "explicit"),
    [
        (
            "treaty | origin[log(distance)] + destination",
            "treaty + C(origin) + C(destination) + C(origin):log(distance)",
        ),
        (
            "treaty | destination + origin[[gap]]",
            "treaty + C(destination) + C(origin):gap",
        ),
        (
            "treaty | origin + destination[gap, trend]",
            "treaty + C(origin) + C(destination) + C(destination):gap + C(destination):trend",
        ),
        (
            "treaty + log(distance) | origin^year + destination[[gap]]",
            "treaty + log(distance) + C(origin_year) + C(destination):gap",
        ),
    ],
)
def test_slopes_equal_interactions_with_dummies(absorbed, explicit, flows, table):
    ours = fit(Gravity(absorbed), flows, **TIGHT)
    names = list(ours.names)
    used = np.sort(ours.sample.rows)
    sample = FlowData(
        table.iloc[used].reset_index(drop=True), "origin", "destination", "migrants", time="year"
    )
    theirs = fit(Gravity(explicit), sample, **TIGHT)
    np.testing.assert_allclose(ours.params, theirs.params[names], rtol=2e-8)
    np.testing.assert_allclose(ours.bse, theirs.bse[names], rtol=1e-7)
    assert ours.llf == pytest.approx(theirs.llf, rel=1e-12)
    np.testing.assert_allclose(ours.predict().sort_index(), theirs.predict(), rtol=1e-7)
    assert ours.df_model == theirs.df_model


def test_slopes_are_reported_predicted_and_stored(flows, table, tmp_path):
    ours = fit(Gravity("treaty | origin[log(distance)] + destination"), flows, **TIGHT)
    slopes = ours.fixed_effects()["origin[log(distance)]"]
    assert slopes.index.tolist() == sorted(table["origin"].unique())
    explicit = fit(
        Gravity("0 + treaty + C(origin) + C(destination) + C(origin):log(distance)"), flows, **TIGHT
    )
    for place, value in slopes.items():
        name = next(n for n in explicit.names if f"[{place}]" in n and "log(" in n)
        assert value == pytest.approx(explicit.params[name], rel=1e-6)
    again = load_result(ours.save(tmp_path / "fit.json"))
    np.testing.assert_allclose(again.predict(table), ours.predict(table), rtol=1e-12)
    np.testing.assert_allclose(
        ours.predict(table.iloc[ours.sample.rows]), ours.predict(), rtol=1e-8
    )


def test_clusters_that_nest_the_slopes_do_not_count_them(flows):
    ours = fit(Gravity("treaty | origin[gap] + destination"), flows)
    k = ours.with_cov("robust", ssc="none").bse / ours.with_cov("robust", ssc="fixest").bse
    N, levels = ours.nobs, 8
    np.testing.assert_allclose(k**2, (N - (1 + levels + levels + levels - 1)) / N, rtol=1e-12)
    some = ours.with_cov("cluster", groups="origin", ssc="stata").bse
    every = ours.with_cov("cluster", groups="origin", ssc="fixest").bse
    np.testing.assert_allclose((some / every) ** 2, (N - (1 + levels)) / (N - 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("formula", "effects", "slopes"),
    [
        ("x | o[log(d)] + e", ("o", "e"), [("o", "log(d)")]),
        ("x | o^t[a, log(b + c)] + e", ("o^t", "e"), [("o^t", "a"), ("o^t", "log(b + c)")]),
        ("x | e + o [[ a ]]", ("e",), [("o", "a")]),
    ],
)
def test_formulas_with_slopes_are_read(formula, effects, slopes):
    model = Gravity(formula)
    assert model.effects == effects
    assert model.slopes == tuple(Slope(*slope) for slope in slopes)


def test_bad_slopes_are_refused(flows):
    with pytest.raises(SpecificationError, match="without a fixed effect in levels"):
        Gravity("x | origin[[gap]]")
    with pytest.raises(SpecificationError, match="has no variable"):
        Gravity("x | origin[gap,]")
    with pytest.raises(SpecificationError, match="named twice"):
        Gravity("x | origin[gap] + destination + origin[[gap]]")
    with pytest.raises(SpecificationError, match="is not a column"):
        Gravity("x | origin[gap")
    with pytest.raises(DataError, match="gdp"):
        fit(Gravity("treaty | origin[gdp] + destination"), flows)
    with pytest.raises(IdentificationError, match=r"gap.*swallowed"):
        fit(Gravity("treaty + gap | origin[gap] + destination"), flows)
