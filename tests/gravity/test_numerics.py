"""The estimator itself: derivatives, conditions, invariances, and recovery of the truth."""

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import xlogy

from choicemodels import FlowData, Gravity
from estimation import fit
from estimation.gravity.absorb import Varying, arrange, solve, sum_by
from estimation.gravity.ppml import ppml
from estimation.gravity.ppml_kernels import moments, partial_out

MODELS = [
    "log(distance) + treaty | origin",
    "log(distance) + treaty | origin + destination",
    "treaty + gap | origin^year + destination^year",
    "treaty + gap | origin^year + destination^year + origin^destination",
]


def table_of(frame):
    return FlowData(frame, "origin", "destination", "migrants", "year")


def concentrated(result, data, X, offset):
    """Log-likelihood at fixed coefficients, maximized over the effects by balancing alone."""
    used = data.table.iloc[result.predict().index]
    y = used["migrants"].to_numpy()
    groups = [
        pd.factorize(used[effect.columns].astype(str).agg("^".join, axis=1))[0]
        for effect in result.effects
    ]
    mu = np.exp(X @ (result.estimate + offset) - (X @ result.estimate).mean())
    for _ in range(3000):
        before = mu
        for g in groups:
            mu = mu * (np.bincount(g, y) / np.bincount(g, mu))[g]
        if np.abs(mu - before).max() < 1e-13 * mu.max():
            break
    return float((xlogy(y, mu) - mu).sum())


@pytest.mark.parametrize("formula", MODELS[1:])
def test_hessian_is_that_of_the_concentrated_likelihood(formula, draw_panel):
    panel = table_of(draw_panel(places=7, years=3, seed=2))
    result = fit(Gravity(formula), panel, tol=1e-12)
    rows = result.predict().index
    used = panel.table.iloc[rows].assign(log_distance=lambda f: np.log(f["distance"]))
    names = [name.replace("log(distance)", "log_distance") for name in result.names]
    X = used[names].to_numpy()
    h = 1e-3
    steps = h * np.eye(2)
    at = {
        (i, j): concentrated(result, panel, X, i * steps[0] + j * steps[1])
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    }
    gradient = np.array([at[1, 0] - at[-1, 0], at[0, 1] - at[0, -1]]) / (2 * h)
    hessian = np.empty((2, 2))
    hessian[0, 0] = at[1, 0] - 2 * at[0, 0] + at[-1, 0]
    hessian[1, 1] = at[0, 1] - 2 * at[0, 0] + at[0, -1]
    hessian[0, 1] = hessian[1, 0] = (at[1, 1] - at[1, -1] - at[-1, 1] + at[-1, -1]) / 4
    hessian /= h**2
    assert hessian == pytest.approx(result.hessian, rel=2e-5)
    assert np.abs(gradient) == pytest.approx(0, abs=1e-5 * np.abs(np.diag(hessian)).max())


@pytest.mark.parametrize("formula", MODELS)
def test_first_order_conditions_hold(formula, panel):
    result = fit(Gravity(formula), panel, tol=1e-12)
    used = panel.table.iloc[result.predict().index].assign(mu=result.predict().to_numpy())
    for effect in result.effects:
        sums = used.groupby(effect.columns)[["migrants", "mu"]].sum()
        assert np.abs(sums["mu"] / sums["migrants"] - 1).max() < 1e-9
    scores = result.sample.scores
    assert np.abs(scores.sum(axis=0)).max() < 1e-9 * np.abs(scores).sum(axis=0).max()


@pytest.mark.parametrize("formula", MODELS)
def test_the_default_tolerance_is_fine_enough(formula, panel):
    loose, tight = fit(Gravity(formula), panel), fit(Gravity(formula), panel, tol=1e-14)
    assert loose.estimate == pytest.approx(tight.estimate, rel=1e-8)
    assert loose.bse.to_numpy() == pytest.approx(tight.bse.to_numpy(), rel=1e-7)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-6, 1e6), formula=st.sampled_from(MODELS))
def test_the_unit_of_flows_does_not_move_slopes(scale, formula, panel):
    base = fit(Gravity(formula), panel, tol=1e-11)
    table = panel.table.assign(migrants=panel.table["migrants"] * scale)
    scaled = fit(Gravity(formula), table_of(table), tol=1e-11)
    assert scaled.estimate == pytest.approx(base.estimate, rel=1e-6, abs=1e-8)
    assert scaled.bse.to_numpy() == pytest.approx(base.bse.to_numpy(), rel=1e-6)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), formula=st.sampled_from(MODELS))
def test_the_order_of_rows_changes_nothing(seed, formula, panel):
    base = fit(Gravity(formula), panel, tol=1e-11)
    shuffled = panel.table.sample(frac=1, random_state=seed)
    again = fit(Gravity(formula), table_of(shuffled), tol=1e-11)
    assert again.estimate == pytest.approx(base.estimate, rel=1e-8)
    assert again.bse.to_numpy() == pytest.approx(base.bse.to_numpy(), rel=1e-7)
    mu = pd.Series(again.predict().to_numpy(), index=shuffled.index[again.predict().index])
    assert mu.sort_index().to_numpy() == pytest.approx(base.predict().to_numpy(), rel=1e-6)


@settings(max_examples=12, deadline=None)
@given(shift=st.floats(-50, 50), factor=st.floats(0.01, 100), formula=st.sampled_from(MODELS[2:]))
def test_units_of_regressors_do_not_matter(shift, factor, formula, panel):
    base = fit(Gravity(formula), panel, tol=1e-11)
    table = panel.table.assign(gap=panel.table["gap"] * factor + shift)
    other = fit(Gravity(formula), table_of(table), tol=1e-11)
    assert other.params["gap"] * factor == pytest.approx(base.params["gap"], rel=1e-6)
    assert other.llf == pytest.approx(base.llf, rel=1e-10)


def test_flows_scaled_by_pair_effects_move_only_the_effects(panel):
    rng = np.random.default_rng(4)
    factors = dict(zip(panel.table["pair"].unique(), rng.uniform(0.5, 2, 144), strict=True))
    base = fit(Gravity(MODELS[3]), panel, tol=1e-12)
    known = panel.table["pair"].map(factors)
    table = panel.table.assign(migrants=panel.table["migrants"] * known, known=np.log(known))
    # An effect that absorbs log(known) exactly: adding it as a regressor is refused, not noise.
    with pytest.raises(ValueError, match="'known': swallowed"):
        fit(Gravity("treaty + known | " + MODELS[3].split("|")[1]), table_of(table))
    assert base.converged


def test_simulate_estimate_recover():
    estimates = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        o, d, t = (a.ravel() for a in np.indices((15, 15, 3)))
        x, z = rng.normal(size=(2, len(o)))
        push, pull, pair = (rng.normal(size=s) for s in ((15, 3), (15, 3), (15, 15)))
        eta = 0.5 * x - 0.25 * z + push[o, t] + pull[d, t] + pair[o, d]
        frame = pd.DataFrame({"origin": o, "destination": d, "year": t, "x": x, "z": z})
        frame["migrants"] = rng.poisson(np.exp(eta + 1))
        result = fit(
            Gravity("x + z | origin^year + destination^year + origin^destination"),
            table_of(frame),
            cov="hessian",
        )
        estimates.append((result.estimate - [0.5, -0.25]) / result.bse.to_numpy())
    z = np.array(estimates)
    # Twenty standardized errors for each coefficient: mean within 3 / sqrt(20), none beyond 4.
    assert np.abs(z.mean(axis=0)).max() < 3 / np.sqrt(20)
    assert np.abs(z).max() < 4


def test_the_number_of_threads_does_not_change_a_bit():
    rng = np.random.default_rng(2)
    n = 80_000
    codes = [rng.integers(0, k, n) for k in (900, 60, 40)]
    y, X = rng.poisson(2.0, n).astype(float), rng.normal(size=(2, n))
    effects = arrange(codes, [900, 60, 40])
    assert len(effects.blocks) > 2
    before = numba.get_num_threads()
    results = []
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            results.append(ppml(effects, y, X, ("x", "w")))
    finally:
        numba.set_num_threads(before)
    for other in results[1:]:
        assert (other.beta == results[0].beta).all()
        assert (other.hessian == results[0].hessian).all()
        assert (other.mu == results[0].mu).all()


@pytest.mark.parametrize("n", [120, 600], ids=["short groups", "wide groups"])
@pytest.mark.parametrize("sizes", [(7,), (9, 4), (5, 8, 3), (4, 4, 6, 3)])
@pytest.mark.parametrize("slopes", [False, True])
def test_absorbing_is_the_projection_on_dummies(sizes, n, slopes):
    rng = np.random.default_rng(len(sizes))
    codes = [rng.integers(0, k, n) for k in sizes]
    w, X = rng.exponential(size=n), rng.normal(size=(3, n))
    z = rng.normal(size=n)
    varying = [Varying(codes[-1], sizes[-1], z, len(sizes) - 1)] if slopes else []
    effects = arrange(codes, list(sizes), varying)
    ws, Xs = effects.sort(w), np.ascontiguousarray(effects.sort(X))
    total = sum_by(ws, effects)
    at = moments(effects, ws, ws, Xs, total)
    found = solve(effects, ws, total, at.diagonal, at.rhs[:3], bound=1e-26 * np.diag(at.gram)[:3])
    within = effects.unsort(partial_out(effects, Xs, ws, total, found.coefficients))
    D = np.hstack([np.eye(k)[c] for k, c in zip(sizes, codes, strict=True)])
    if slopes:
        D = np.hstack([D, z[:, None] * np.eye(sizes[-1])[codes[-1]]])
    root = np.sqrt(w)[:, None]
    coefficients = np.linalg.lstsq(root * D, root * X.T, rcond=None)[0]
    assert within == pytest.approx((X.T - D @ coefficients).T, abs=1e-10)


def test_extreme_flows_do_not_overflow():
    rng = np.random.default_rng(6)
    o, d = (a.ravel() for a in np.indices((8, 8)))
    x = rng.normal(size=64)
    frame = pd.DataFrame({"origin": o, "destination": d, "x": x, "year": 1})
    frame["migrants"] = np.exp(12 * x + 30 * rng.normal(size=8)[o])
    result = fit(Gravity("x | origin + destination"), table_of(frame))
    assert result.converged
    assert result.params["x"] == pytest.approx(12, abs=0.5)
