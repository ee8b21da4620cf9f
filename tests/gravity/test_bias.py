"""The incidental-parameter bias: against dense matrices, the expansion itself, and simulation."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData, Gravity
from choicemodels.errors import EstimationError, SpecificationError
from estimation import fit, load_result, table
from estimation.gravity.absorb import arrange
from estimation.gravity.bias import bias_corrected
from estimation.gravity.inverse import generalized_inverse
from estimation.gravity.ppml import Stopping, ppml

PUBLISHED = Path(__file__).parents[1] / "published"
THREE_WAY = "x + z | o^t + d^t + o^d"
TWO_WAY = "x + z | o^t + d^t"


def draw(places=6, periods=3, seed=0, *, internal=True, noise=1.0, size=3.0, destinations=None):
    """Flows of a three-way panel, log-normal about a mean that x, z and the effects move."""
    rng = np.random.default_rng(seed)
    N, J, T = places, destinations or places, periods
    alpha, gamma = rng.normal(0, 0.3, (N, 1, T)), rng.normal(0, 0.3, (1, J, T))
    eta = rng.normal(0, 0.3, (N, J, 1))
    x = 0.5 * (alpha + gamma + eta) + rng.normal(0, 0.5, (N, J, T))
    z = (rng.uniform(size=(N, J, T)) < 0.4).astype(float)
    mean = size * np.exp(x + 0.5 * z + alpha + gamma + eta)
    spread = np.log1p(noise**2)
    y = mean * np.exp(np.sqrt(spread) * rng.normal(size=mean.shape) - spread / 2)
    o, d, t = (a.ravel() for a in np.indices((N, J, T)))
    frame = pd.DataFrame(
        {"o": o, "d": d, "t": t, "x": x.ravel(), "z": z.ravel(), "y": y.ravel()}
    ).assign(mean=mean.ravel())
    return frame if internal else frame[frame["o"] != frame["d"]].reset_index(drop=True)


def flows(frame, time="t"):
    return FlowData(frame, origin="o", destination="d", flow="y", time=time)


def estimate(frame, formula=THREE_WAY, **options):
    return fit(Gravity(formula), flows(frame), tol=1e-13, drop_singletons=False, **options)


def dummies(*codes):
    joint = pd.MultiIndex.from_arrays(codes)
    return (joint.factorize()[0][:, None] == np.arange(joint.nunique())).astype(float)


def dense(frame, mu, weights=None, *, paired=True):
    """Regressors within the effects, and the hat matrix of the effects, by explicit dummies."""
    o, d, t = (frame[c].to_numpy() for c in "odt")
    blocks = [dummies(o, t), dummies(d, t)] + ([dummies(o, d)] if paired else [])
    D, X = np.hstack(blocks), frame[["x", "z"]].to_numpy()
    root = np.sqrt(mu)[:, None]
    hat = (root * D) @ np.linalg.pinv(root * D, rcond=1e-11)
    return X - (hat @ (root * X)) / root, hat


def dense_score_bias(frame, lam, x, SS, YS, side):
    """Weidner and Zylkin's B or D as they are printed, third derivatives case by case.

    SS (P, T, T) stands for S S' of each pair, YS (P, T) for the pair's total times S.
    """
    pairs = list(frame.groupby(["o", "d"]).indices.items())
    T, K = len(frame["t"].unique()), x.shape[1]
    out = np.zeros(K)
    for place in {key[side] for key, _ in pairs}:
        H, outer, first, second = np.zeros((T, T)), np.zeros((T, T)), np.zeros((K, T, T)), 0
        for number, (key, rows) in enumerate(pairs):
            if key[side] != place:
                continue
            at, scale = frame["t"].to_numpy()[rows], lam[rows].sum()
            theta, xs = np.zeros(T), np.zeros((T, K))
            theta[at], xs[at] = lam[rows] / scale, x[rows]
            M = np.diag(theta) - np.outer(theta, theta)
            H += scale * M
            outer += SS[number]
            first += np.array([np.outer(M @ xs[:, k], YS[number]) for k in range(K)])
            second = second + scale * np.einsum("tsr,rk->kts", third_derivatives(theta), xs)
        inverse = np.linalg.pinv(H, rcond=1e-10)
        for k in range(K):
            out[k] -= np.trace(inverse @ first[k])
            out[k] += 0.5 * np.trace(second[k] @ inverse @ outer @ inverse)
    return out


def third_derivatives(theta):
    """Of the log-likelihood of a pair with a total of one, shape (T, T, T)."""
    T = len(theta)
    G = np.empty((T, T, T))
    for t, s, r in np.ndindex(T, T, T):
        same = (t == s) + (s == r) + (r == t)
        if same == 3:
            G[t, s, r] = -theta[t] * (1 - theta[t]) * (1 - 2 * theta[t])
        elif same == 0:
            G[t, s, r] = -2 * theta[t] * theta[s] * theta[r]
        else:
            twice, once = (t, s) if t == r else (s, r) if s == t else (r, t)
            G[t, s, r] = theta[twice] * (1 - 2 * theta[twice]) * theta[once]
    return G


def dense_bias(frame, lam, x, y):
    """The bias of the coefficients at the estimate."""
    T = len(frame["t"].unique())
    SS, YS = [], []
    for rows in frame.groupby(["o", "d"]).indices.values():
        S = np.zeros(T)
        S[frame["t"].to_numpy()[rows]] = (y - lam)[rows]
        SS.append(np.outer(S, S))
        YS.append(y[rows].sum() * S)
    N, J = frame["o"].nunique(), frame["d"].nunique()
    score = N / (N - 1) * dense_score_bias(frame, lam, x, SS, YS, 0)
    score += J / (J - 1) * dense_score_bias(frame, lam, x, SS, YS, 1)
    return np.linalg.solve((lam[:, None] * x).T @ x, score)


def dense_covariance(frame, lam, x, hat, y, *, paired=True):
    """Sandwich with each pair's residuals inflated by the leverage in the whole regression."""
    root = np.sqrt(lam)
    bread = np.linalg.inv((lam[:, None] * x).T @ x)
    whole = hat + (root[:, None] * x) @ bread @ (root[:, None] * x).T
    middle = np.zeros((2, 2))
    pairs = list(frame.groupby(["o", "d"]).indices.values())
    for rows in pairs:
        P = whole[np.ix_(rows, rows)]
        if paired:
            theta = np.sqrt(lam[rows] / lam[rows].sum())
            P = P - np.outer(theta, theta)
        S = (y - lam)[rows] / root[rows]
        inflated = root[rows] * (np.linalg.inv(np.eye(len(rows)) - P) @ S)
        middle += np.outer(x[rows].T @ inflated, x[rows].T @ (y - lam)[rows])
    n = len(pairs)
    return n / (n - 1) * bread @ (middle + middle.T) / 2 @ bread


def holes(frame):
    """An unbalanced panel: pairs without some periods, and pairs that are not there at all."""
    gone = np.random.default_rng(3).uniform(size=len(frame)) < 0.12
    gone |= (frame["o"] == 1) & (frame["d"] == 4)
    return frame[~gone].reset_index(drop=True)


PANELS = {
    "with internal flows": draw(),
    "without internal flows": draw(internal=False),
    "unbalanced": holes(draw(places=7, seed=2)),
    "fewer destinations": draw(places=8, destinations=5, seed=5),
    "few periods": draw(periods=2, seed=6),
}


def test_the_published_value_of_another_package():
    """Its data and origin are in tests/published/GLFixedEffectModels_jl."""
    table = pd.read_csv(PUBLISHED / "GLFixedEffectModels_jl" / "flows.csv")
    data = FlowData(table, origin="i", destination="j", flow="y", time="t")
    plain = fit(Gravity("x | i^t + j^t + i^j"), data, tol=1e-13)
    assert bias_corrected(plain).params["x"] == pytest.approx(-0.0088560, abs=5e-8)


@pytest.mark.parametrize("name", PANELS)
def test_three_way_agrees_with_dense_matrices(name):
    frame = PANELS[name]
    plain = estimate(frame)
    corrected = bias_corrected(plain)
    lam, y = plain.predict().to_numpy(), frame["y"].to_numpy()
    x, hat = dense(frame, lam)
    shift = (plain.params - corrected.params).to_numpy()
    np.testing.assert_allclose(shift, dense_bias(frame, lam, x, y), rtol=1e-6, atol=1e-10)
    want = dense_covariance(frame, lam, x, hat, y)
    np.testing.assert_allclose(corrected.covariance.matrix, want, rtol=1e-6)
    naive = plain.with_cov("cluster", groups="o^d", ssc="stata")
    assert (corrected.bse > naive.bse).all()


@pytest.mark.parametrize("name", PANELS)
def test_two_way_corrects_the_standard_errors_alone(name):
    frame = PANELS[name]
    plain = estimate(frame, TWO_WAY)
    corrected = bias_corrected(plain)
    assert (corrected.estimate == plain.estimate).all()
    lam, y = plain.predict().to_numpy(), frame["y"].to_numpy()
    x, hat = dense(frame, lam, paired=False)
    want = dense_covariance(frame, lam, x, hat, y, paired=False)
    np.testing.assert_allclose(corrected.covariance.matrix, want, rtol=1e-6)
    assert "no incidental bias" in str(corrected.summary())


def test_one_cross_section_needs_no_period():
    frame = draw(periods=1)
    timeless = fit(Gravity("x + z | o + d"), flows(frame, time=None), tol=1e-13)
    dated = estimate(frame, "x + z | o + d")
    joined = estimate(frame, TWO_WAY)
    matrices = [bias_corrected(r).covariance.matrix for r in (timeless, dated, joined)]
    np.testing.assert_allclose(matrices[1], matrices[0], rtol=1e-8)
    np.testing.assert_allclose(matrices[2], matrices[0], rtol=1e-8)


def test_a_weight_multiplies_mean_and_flow():
    frame = draw(seed=8).assign(w=lambda f: np.random.default_rng(0).uniform(0.5, 2, len(f)))
    scaled = frame.assign(y=frame["w"] * frame["y"], log_w=np.log(frame["w"]))
    weighted = bias_corrected(estimate(frame, weights="w"))
    offset = bias_corrected(
        fit(Gravity(THREE_WAY, offset="log_w"), flows(scaled), tol=1e-13, drop_singletons=False)
    )
    np.testing.assert_allclose(weighted.params, offset.params, rtol=1e-8)
    np.testing.assert_allclose(weighted.bse, offset.bse, rtol=1e-7)
    np.testing.assert_allclose(weighted.predict() * frame["w"], offset.predict(), rtol=1e-7)


def test_neither_the_scale_of_flows_nor_the_names_of_places_matter():
    frame = draw(seed=4)
    base = bias_corrected(estimate(frame))
    turned = frame.rename(columns={"o": "d", "d": "o"}).sample(frac=1, random_state=1)
    turned["y"] *= 1e6
    other = bias_corrected(estimate(turned.reset_index(drop=True)))
    np.testing.assert_allclose(other.params, base.params, rtol=1e-7)
    np.testing.assert_allclose(other.bse, base.bse, rtol=1e-7)


def test_columns_may_have_any_name():
    frame = draw(seed=4)
    odd = frame.rename(columns={"o": "from here", "d": "to there", "t": "the year"})
    result = fit(
        Gravity("x + z | `from here`^`the year` + `to there`^`the year`"),
        FlowData(odd, "from here", "to there", "y", time="the year"),
        tol=1e-13,
    )
    want = bias_corrected(estimate(frame, TWO_WAY)).bse
    np.testing.assert_allclose(bias_corrected(result).bse, want, rtol=1e-8)


def test_too_few_pairs_are_refused(monkeypatch):
    result = estimate(draw())
    monkeypatch.setattr("estimation.gravity.bias._sandwich", lambda *_: (np.diag([1.0, -1e-3]), 0))
    with pytest.raises(EstimationError, match="corrected variance of 'z' is not positive"):
        bias_corrected(result)
    monkeypatch.setattr("estimation.gravity.bias._MOST_EFFECTS", 17)
    with pytest.raises(EstimationError, match="over 18 effects of places and periods, and 17"):
        bias_corrected(result)


def test_the_pair_may_be_a_column_of_its_own():
    frame = draw(seed=4).assign(pair=lambda f: f["o"].astype(str) + ">" + f["d"].astype(str))
    named = bias_corrected(estimate(frame, "x + z | o^t + d^t + pair"))
    np.testing.assert_allclose(named.params, bias_corrected(estimate(frame)).params, rtol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
def test_the_formula_is_the_second_order_of_the_profile_score(side):
    """What the noise of one side's effects does to the score, by differentiating the estimator.

    At the true coefficient, with effects of one place and period and of pairs fitted to the
    flows, the expected score is, to second order and for independent flows, half the sum of its
    second derivatives by the flows times their variances. That knows nothing of the paper.
    """
    frame = draw(places=7, periods=3, seed=11).query("od"[side] + " == 2").reset_index(drop=True)
    partner, t = frame["do"[side]].to_numpy(), frame["t"].to_numpy()
    x, mean = frame[["x", "z"]].to_numpy(), frame["mean"].to_numpy()
    effects, stopping = arrange([t, partner], [3, 7]), Stopping(tol=1e-15)

    def score(y):
        none = np.empty((0, len(y)))
        return x.T @ (y - ppml(effects, y, none, (), stopping, offset=np.log(mean)).mu)

    variance, second_order = mean**1.5, np.zeros(2)
    for n, step in enumerate(1e-2 * mean):
        shift = step * (np.arange(len(mean)) == n)
        curvature = score(mean + shift) + score(mean - shift) - 2 * score(mean)
        second_order += 0.5 * variance[n] * curvature / step**2
    SS, YS = [], []
    for rows in frame.groupby(["o", "d"]).indices.values():
        theta = mean[rows] / mean[rows].sum()
        A = np.eye(len(rows)) - theta[:, None]
        SS.append(A @ np.diag(variance[rows]) @ A.T)
        YS.append(A @ variance[rows])
    root, D = np.sqrt(mean)[:, None], np.hstack([dummies(t), dummies(partner)])
    within = x - D @ np.linalg.lstsq(root * D, root * x)[0]
    formula = dense_score_bias(frame, mean, within, SS, YS, side)
    np.testing.assert_allclose(formula, second_order, rtol=1e-3)


def test_what_the_corrected_result_says():
    frame = draw(seed=9)
    plain = estimate(frame, cov="cluster", groups="o^d")
    corrected = bias_corrected(plain)
    assert corrected.cov_type == "corrected"
    assert corrected.covariance.groups == ("o^d",)
    assert corrected.covariance.group_counts == (36,)
    page = str(corrected.summary())
    assert "Coefficients less their incidental-parameter bias: x " in page
    assert "Standard errors corrected for the noise of the fixed effects." in page
    assert "Pairs: 36, 6 of them of a place with itself." in page
    without = bias_corrected(estimate(draw(seed=9, internal=False)))
    assert "Pairs: 30, 0 of them of a place with itself." in str(without.summary())
    assert "by o^d" in str(table(plain, corrected))
    mu = corrected.predict()
    frame["mu"] = mu
    for keys in (["o", "t"], ["d", "t"], ["o", "d"]):
        sums = frame.groupby(keys)[["y", "mu"]].sum()
        np.testing.assert_allclose(sums["mu"], sums["y"], rtol=1e-5)
    np.testing.assert_allclose(corrected.predict(frame), mu, rtol=1e-8)
    assert corrected.llf < plain.llf
    n = 36
    bare = bias_corrected(plain, ssc="none").covariance.matrix
    np.testing.assert_allclose(corrected.covariance.matrix, n / (n - 1) * bare, rtol=1e-12)


def test_a_corrected_result_is_saved(tmp_path):
    corrected = bias_corrected(estimate(draw(seed=9)))
    back = load_result(corrected.save(tmp_path / "r.json"))
    np.testing.assert_array_equal(back.params, corrected.params)
    np.testing.assert_array_equal(back.bse, corrected.bse)
    assert back.convergence.notes == corrected.convergence.notes
    with pytest.raises(EstimationError, match="without its data"):
        bias_corrected(back)


def test_a_pair_seen_once_says_nothing_and_breaks_nothing():
    frame = draw(seed=12)
    once = (frame["o"] == 2) & (frame["d"] == 3) & (frame["t"] > 0)
    left = frame[~once].reset_index(drop=True)
    lone = left[(left["o"] != 2) | (left["d"] != 3)].reset_index(drop=True)
    np.testing.assert_allclose(
        bias_corrected(estimate(left), ssc="none").bse,
        bias_corrected(estimate(lone), ssc="none").bse,
        rtol=1e-7,
    )


def test_a_row_with_an_effect_of_its_own_adds_nothing_to_standard_errors():
    frame = draw(seed=12)
    only = (frame["o"] == 2) & (frame["t"] == 1)
    kept = frame[~only | (frame["d"] == 3)].reset_index(drop=True)
    with_row, without = (bias_corrected(estimate(f)) for f in (kept, frame[~only]))
    np.testing.assert_allclose(with_row.bse, without.bse, rtol=1e-6)
    np.testing.assert_allclose(with_row.params, without.params, rtol=0.01)
    assert "left out there: 1." in str(with_row.summary())


def test_a_generalized_inverse_solves_what_can_be_solved():
    rng = np.random.default_rng(0)
    B = rng.normal(size=(6, 4)) * [1e3, 1, 1, 1e-3]
    A = B @ B.T
    A[2], A[:, 2] = 0, 0
    G = generalized_inverse(A, np.diag(A))
    np.testing.assert_allclose(A @ G @ A, A, atol=1e-9 * np.abs(A).max())
    assert not G[2].any()
    assert (G == G.T).all()


def test_it_is_corrected_once():
    corrected = bias_corrected(estimate(draw()))
    with pytest.raises(EstimationError, match="corrected already"):
        bias_corrected(corrected)
    with pytest.raises(EstimationError, match="corrected already"):
        bias_corrected(corrected.with_cov("robust"))


@pytest.mark.parametrize(
    "formula", ["x | o + d", "x | o^t", "x", "x | o^t + d^t + o^d + t", "x | o^t + d^t[z]"]
)
def test_other_effects_are_refused(formula):
    result = estimate(draw(), formula)
    with pytest.raises(SpecificationError, match=r"the effects '`o`\^`t` \+ `d`\^`t`', with or"):
        bias_corrected(result)


def test_symmetric_pairs_are_not_directed_pairs():
    frame = draw().assign(
        pair=lambda f: np.minimum(f["o"], f["d"]) * 10 + f[["o", "d"]].max(axis=1)
    )
    with pytest.raises(SpecificationError, match=r"this model has: .*pair"):
        bias_corrected(estimate(frame, "x | o^t + d^t + pair"))


def test_what_cannot_be_corrected_is_refused():
    result = estimate(draw())
    stopped = dataclasses.replace(
        result, convergence=dataclasses.replace(result.convergence, converged=False)
    )
    with pytest.raises(EstimationError, match="did not converge"):
        bias_corrected(stopped)
    with pytest.raises(EstimationError, match="no coefficient"):
        bias_corrected(estimate(draw(), "1 | o^t + d^t"))
    with pytest.raises(SpecificationError, match="choose stata or none"):
        bias_corrected(result, ssc="fixest")


def simulate(replications, places, variance, seed):
    """Estimates and standard errors, plain and corrected, shape (R, 4), in the paper's designs.

    Three-way panels of four periods; x is autocorrelated and moved by the effects, errors are
    log-normal and autocorrelated, and the variance of a flow is its mean to the power given.
    """
    rng = np.random.default_rng(seed)
    N, T, out = places, 4, np.empty((replications, 4))
    o, d, t = (a.ravel() for a in np.indices((N, N, T)))
    for r in range(replications):
        shape = (N, N, T + 1)
        pair = rng.normal(0, 1 / 16, (N, N, 1))
        effects = pair + rng.normal(0, 1 / 16, (N, 1, T + 1)) + rng.normal(0, 1 / 16, (1, N, T + 1))
        x, e = rng.normal(0, 0.5, shape), rng.normal(size=shape)
        x[..., 0] += pair[..., 0]
        for s in range(1, T + 1):
            x[..., s] += x[..., s - 1] / 2 + effects[..., s]
            e[..., s] = 0.3 * e[..., s - 1] + np.sqrt(1 - 0.3**2) * e[..., s]
        mean = np.exp(x + effects)
        spread = np.log1p(mean ** (variance - 2))
        y = mean * np.exp(np.sqrt(spread) * e - spread / 2)
        x, y = x[..., 1:].ravel(), y[..., 1:].ravel()
        frame = pd.DataFrame({"o": o, "d": d, "t": t, "x": x, "y": y})[o != d]
        plain = fit(
            Gravity("x | o^t + d^t + o^d"), flows(frame), cov="cluster", groups="o^d", ssc="stata"
        )
        fixed = bias_corrected(plain)
        out[r] = plain.params["x"], plain.bse["x"], fixed.params["x"], fixed.bse["x"]
    return out


def coverage(estimates, errors):
    return float((np.abs(estimates - 1) < 1.96 * errors).mean())


def test_the_bias_that_is_estimated_has_the_sign_of_the_true_one():
    plain, errors, fixed, wider = simulate(20, 10, variance=1, seed=2).T
    shift = plain - fixed
    assert shift.mean() > 3 * shift.std() / np.sqrt(len(shift))
    assert (wider > errors).all()


@pytest.mark.slow
def test_the_bias_is_removed_and_coverage_restored():
    plain, errors, fixed, wider = simulate(300, 30, variance=1, seed=1).T
    noise = plain.std() / np.sqrt(len(plain))
    assert plain.mean() - 1 > 5 * noise
    assert abs(fixed.mean() - 1) < 3 * noise
    assert coverage(plain, errors) < 0.92
    assert 0.93 < coverage(fixed, wider) < 0.97
