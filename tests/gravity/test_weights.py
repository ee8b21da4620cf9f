"""Offsets and weights: statsmodels with explicit dummies, and what they must collapse to."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError
from estimation import fit, load_result

FORMULA = "treaty + gap | origin + destination"


@pytest.fixture(scope="module")
def table(draw_panel):
    rng = np.random.default_rng(5)
    frame = draw_panel(places=9, years=2, seed=4)
    frame["size"] = rng.uniform(0.5, 4, len(frame))
    frame["w"] = rng.integers(1, 5, len(frame)).astype(float)
    return frame


def flows(frame):
    return FlowData(frame, "origin", "destination", "migrants", time="year")


def glm(frame, *, weights=None, offset=None):
    dummies = pd.get_dummies(frame[["origin", "destination"]], dtype=float).drop(
        columns="destination_P0"
    )
    X = pd.concat([frame[["treaty", "gap"]], dummies], axis=1)
    return sm.GLM(
        frame["migrants"], X, family=sm.families.Poisson(), freq_weights=weights, offset=offset
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("formula", [FORMULA, "treaty + gap + C(origin) + C(destination)"])
def test_offset_and_weights_agree_with_statsmodels(table, weighted, formula):
    ours = fit(
        Gravity(formula, offset="log(size)"),
        flows(table),
        weights="w" if weighted else None,
        cov="hessian",
        ssc="none",
        tol=1e-12,
    )
    weights = table["w"] if weighted else None
    model = glm(table, weights=weights, offset=np.log(table["size"]))
    theirs = model.fit(tol=1e-13, maxiter=100)
    names = ["treaty", "gap"]
    np.testing.assert_allclose(ours.params[names], theirs.params[names], rtol=1e-8)
    np.testing.assert_allclose(ours.bse[names], theirs.bse[names], rtol=1e-7)
    np.testing.assert_allclose(ours.llf, theirs.llf, rtol=1e-11)
    np.testing.assert_allclose(ours.predict(), theirs.fittedvalues, rtol=1e-7)
    np.testing.assert_allclose(ours.predict(table), theirs.fittedvalues, rtol=1e-7)
    null = sm.GLM(
        table["migrants"],
        np.ones(len(table)),
        family=sm.families.Poisson(),
        freq_weights=weights,
        offset=np.log(table["size"]),
    ).fit(tol=1e-13)
    assert ours.llnull == pytest.approx(null.llf, rel=1e-11)


def test_weights_are_rows_that_repeat(table):
    weighted = fit(
        Gravity(FORMULA), flows(table), weights="w", cov="hessian", ssc="none", tol=1e-12
    )
    repeated = table.loc[table.index.repeat(table["w"].astype(int))].copy()
    repeated["year"] = np.arange(len(repeated))
    plain = fit(Gravity(FORMULA), flows(repeated), cov="hessian", ssc="none", tol=1e-12)
    np.testing.assert_allclose(weighted.params, plain.params, rtol=1e-9)
    np.testing.assert_allclose(weighted.bse, plain.bse, rtol=1e-8)
    np.testing.assert_allclose(
        [weighted.llf, weighted.llnull, weighted.deviance],
        [plain.llf, plain.llnull, plain.deviance],
        rtol=1e-11,
    )


def test_robust_errors_weigh_the_scores(table):
    ours = fit(
        Gravity("treaty + gap"), flows(table), weights="w", cov="robust", ssc="none", tol=1e-12
    )
    X = np.column_stack([np.ones(len(table)), table["treaty"], table["gap"]])
    mu, w = ours.predict().to_numpy(), table["w"].to_numpy()
    bread = np.linalg.inv(X.T @ (X * (w * mu)[:, None]))
    scores = X * (w * (table["migrants"].to_numpy() - mu))[:, None]
    expected = np.sqrt(np.diag(bread @ scores.T @ scores @ bread))
    np.testing.assert_allclose(ours.bse, expected, rtol=1e-8)


def test_an_offset_takes_its_share_of_a_coefficient(table):
    free = fit(Gravity("log(distance) | origin + destination"), flows(table), tol=1e-12)
    moved = fit(
        Gravity("log(distance) | origin + destination", offset="0.5 * log(distance)"),
        flows(table),
        tol=1e-12,
    )
    np.testing.assert_allclose(moved.params + 0.5, free.params, rtol=1e-8)
    np.testing.assert_allclose(moved.bse, free.bse, rtol=1e-7)
    assert moved.llf == pytest.approx(free.llf, rel=1e-12)


def test_rows_without_weight_are_left_out_and_counted(table):
    frame = table.copy()
    frame.loc[frame.index[:7], "w"] = 0.0
    ours = fit(Gravity(FORMULA), flows(frame), weights="w")
    without = fit(Gravity(FORMULA), flows(frame.iloc[7:].reset_index(drop=True)), weights="w")
    np.testing.assert_allclose(ours.params, without.params, rtol=1e-9)
    np.testing.assert_allclose(ours.bse, without.bse, rtol=1e-8)
    assert ours.dropped.query("reason == 'no weight'")["rows"].tolist() == [7]
    assert (ours.dropped_rows.loc[:6] == "no weight").all()


def test_survives_the_file(table, tmp_path):
    ours = fit(Gravity(FORMULA, offset="log(size)"), flows(table), weights="w")
    again = load_result(ours.save(tmp_path / "fit.json"))
    assert (again.offset, again.weights) == ("log(size)", "w")
    np.testing.assert_allclose(again.predict(table), ours.predict(table), rtol=1e-12)
    assert "log(size)" in str(again.summary())


def test_bad_weights_are_named(table):
    frame = table.copy()
    frame.loc[3, "w"] = -1.0
    with pytest.raises(DataError, match=r"'w' are negative or not finite in 1 rows \(rows 3"):
        fit(Gravity(FORMULA), flows(frame), weights="w")
    with pytest.raises(DataError, match="zero in every row"):
        fit(Gravity(FORMULA), flows(frame.assign(w=0.0)), weights="w")
    with pytest.raises(DataError, match="no column 'v'"):
        fit(Gravity(FORMULA), flows(frame), weights="v")
    with pytest.raises(DataError, match=r"'log\(size - 5\)' is not finite"):
        fit(Gravity(FORMULA, offset="log(size - 5)"), flows(table))
