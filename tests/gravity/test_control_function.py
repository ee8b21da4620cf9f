"""PPML with endogenous regressors: by hand, without need, under Monte Carlo, and refused."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData, Gravity
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    SpecificationError,
)
from estimation import fit, table
from estimation.gravity.control_function import control_function
from estimation.gravity.linear import fit_linear

MODEL = Gravity("x + w | o + d^t")
IV = {"endogenous": "x", "instruments": "z1 + z2"}


def draw(seed, places=10, years=3, rho=0.6, spread=1.0):
    """Flows whose regressor x moves with what is left out; z1 and z2 move x alone."""
    rng = np.random.default_rng(seed)
    o, d, t = (a.ravel() for a in np.indices((places, places, years)))
    v, w, z1, z2 = rng.normal(size=(4, len(o)))
    x = 0.5 * z1 + 0.5 * z2 + 0.3 * w + v + 0.05 * (o - d)
    # What x and the flow share, and noise that only the flow has.
    eta = 1 + 0.4 * x - 0.3 * w + rho * v + 0.1 * rng.normal(size=places)[o] + 0.05 * d
    mu = np.exp(eta) * rng.gamma(1 / spread, spread, len(o))
    y = rng.poisson(mu).astype(float)
    return pd.DataFrame({"o": o, "d": d, "t": t, "x": x, "w": w, "z1": z1, "z2": z2, "y": y})


def flows_of(frame):
    return FlowData(frame, origin="o", destination="d", flow="y", time="t")


@pytest.fixture(scope="module")
def frame():
    return draw(1)


@pytest.fixture(scope="module")
def flows(frame):
    return flows_of(frame)


@pytest.fixture(scope="module")
def found(flows):
    return control_function(MODEL, flows, **IV, replications=40, seed=3)


def by_hand(frame, weights=None):
    """Both stages with dummies written out: residuals, then a Poisson regression."""
    dummies = np.column_stack(
        [pd.get_dummies(frame["o"]), pd.get_dummies(frame["d"] * 100 + frame["t"])]
    ).astype(float)
    root = np.ones(len(frame)) if weights is None else np.sqrt(weights)
    Z = np.column_stack([frame[["w", "z1", "z2"]], dummies])
    coefficients, *_ = np.linalg.lstsq(Z * root[:, None], frame["x"] * root, rcond=None)
    augmented = frame.assign(v=frame["x"] - Z @ coefficients, weight=root**2)
    model = Gravity("x + w + v | o + d^t")
    weight = None if weights is None else "weight"
    return fit(model, flows_of(augmented), weights=weight)


def test_both_stages_are_what_they_are_by_hand(found, frame):
    hand = by_hand(frame)
    assert found.result.names == ("x", "w", "residual(x)")
    assert found.result.estimate == pytest.approx(hand.estimate, rel=1e-7)


def test_a_replicate_is_an_estimate_on_the_resampled_pairs(found, frame):
    pairs, _ = pd.factorize(frame["o"] * 100 + frame["d"])
    stream = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(5,)))
    counts = np.bincount(stream.integers(0, 100, size=100), minlength=100)[pairs]
    hand = by_hand(frame, counts.astype(float))
    assert found.draws.loc[5].to_numpy() == pytest.approx(hand.estimate, rel=1e-5)


def test_replicates_depend_on_the_seed_and_their_number_alone(found, flows):
    again = control_function(MODEL, flows, **IV, replications=7, seed=3)
    pd.testing.assert_frame_equal(again.draws, found.draws[:7])
    other = control_function(MODEL, flows, **IV, replications=2, seed=4)
    assert (other.draws.to_numpy() != found.draws[:2].to_numpy()).all()


def test_the_covariance_is_that_of_the_draws(found):
    expected = np.cov(found.draws.to_numpy(), rowvar=False)
    assert found.result.cov_params().to_numpy() == pytest.approx(expected)
    assert found.result.cov_type == "bootstrap"
    assert "40 resamples of 100 'o^d', seed 3" in str(found)
    assert found.failures.empty


def test_the_first_stage_is_a_result_like_any_other(found, frame):
    stage = found.first_stages[0]
    assert stage.depvar == "x"
    assert stage.names == ("w", "z1", "z2")
    assert stage.nobs == len(frame)
    R = np.eye(3)[1:]
    assert found.first_stage_f["x"] == pytest.approx(stage.wald_test(R).statistic / 2, rel=1e-10)
    assert found.first_stage_f["x"] > 30


def test_exogeneity_is_the_wald_test_of_the_residual(found, frame):
    hand = by_hand(frame).with_cov("cluster", groups="o^d")
    assert found.exogeneity.statistic == pytest.approx(hand.wald_test("v = 0").statistic, rel=1e-5)
    assert found.exogeneity.pvalue < 1e-4


def test_an_exogenous_regressor_is_left_alone():
    flows = flows_of(draw(8, rho=0.0))
    found = control_function(MODEL, flows, **IV, replications=30, seed=1)
    assert found.exogeneity.pvalue > 0.01
    naive = fit(MODEL, flows)
    assert abs(found.result.params["x"] - naive.params["x"]) < 3 * found.result.bse["x"]


def test_a_linear_second_stage_would_be_two_stage_least_squares(frame):
    """Residuals of the first stage beside x in least squares are two-stage least squares."""
    positive = frame[frame["y"] > 0]
    flows = flows_of(positive)
    found = control_function(MODEL, flows, **IV, replications=2)
    v = found.result.sample.data.table["residual(x)"]
    ols = fit_linear(Gravity("x + w + v | o + d^t"), flows_of(positive.assign(v=v.to_numpy())))
    iv = fit_linear(MODEL, flows, **IV, drop_singletons=False)
    assert ols.params[["x", "w"]].to_numpy() == pytest.approx(iv.estimate, rel=1e-8)


def test_powers_of_the_residual_enter(flows, frame):
    found = control_function(MODEL, flows, **IV, degree=3, replications=5)
    assert found.result.names[2:] == ("residual(x)", "residual(x)^2", "residual(x)^3")
    assert found.exogeneity.df == 3
    v = found.result.sample.data.table["residual(x)"]
    hand = fit(Gravity("x + w + v + I(v**2) + I(v**3) | o + d^t"), flows_of(frame.assign(v=v)))
    assert found.result.estimate == pytest.approx(hand.estimate, rel=1e-7)


def test_two_endogenous_regressors_take_two_residuals(flows):
    found = control_function(
        Gravity("x + w"), flows, endogenous=["x", "w"], instruments="z1 + z2", replications=5
    )
    assert found.result.names[-2:] == ("residual(x)", "residual(w)")
    assert len(found.first_stages) == 2


def test_the_bootstrap_agrees_with_the_sandwich_of_both_stages_stacked():
    """Without effects, the moments of the two least-squares and Poisson stages together."""
    frame = draw(11, places=25, years=1, spread=0.3)
    flows = FlowData(frame, origin="o", destination="d", flow="y")
    found = control_function(Gravity("x + w"), flows, **IV, replications=400, seed=5)
    Z = np.column_stack([np.ones(len(frame)), frame[["w", "z1", "z2"]]])
    pi = np.linalg.lstsq(Z, frame["x"], rcond=None)[0]
    v = frame["x"].to_numpy() - Z @ pi
    X = np.column_stack([np.ones(len(frame)), frame[["x", "w"]], v])
    beta, y = found.result.estimate, frame["y"].to_numpy()
    mu = np.exp(X @ beta)
    scores = np.hstack([Z * v[:, None], X * (y - mu)[:, None]])
    # v falls by Z for each unit of pi: in the Poisson scores as a regressor and through mu.
    through = X.T @ (Z * (beta[3] * mu)[:, None])
    through[3] -= Z.T @ (y - mu)
    jacobian = np.block([[-Z.T @ Z, np.zeros((4, 4))], [through, -(X * mu[:, None]).T @ X]])
    inverse = np.linalg.inv(jacobian)
    errors = np.sqrt(np.diag(inverse @ scores.T @ scores @ inverse.T))[4:]
    assert found.result.bse.to_numpy() == pytest.approx(errors, rel=0.12)
    # The second stage alone is too sure of itself where the residual matters.
    alone = found.result.with_cov("HC0").bse.to_numpy()
    assert (alone[1:3] < 0.95 * errors[1:3]).all()


def test_weights_count_in_both_stages(frame):
    weights = 1.0 + (np.arange(len(frame)) % 3)
    flows = flows_of(frame.assign(weight=weights))
    found = control_function(MODEL, flows, **IV, weights="weight", replications=2)
    assert found.result.estimate == pytest.approx(by_hand(frame, weights).estimate, rel=1e-7)


def test_it_stands_in_a_table_beside_what_it_corrects(found, flows):
    text = str(table(fit(MODEL, flows), found.result, heads=["PPML", "Control function"]))
    assert "residual(x)" in text
    assert "Control function" in text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"replications": 1}, SpecificationError, "a covariance needs two"),
        ({"degree": 4}, SpecificationError, "degree is 4"),
        ({"endogenous": ()}, SpecificationError, "no regressor is endogenous"),
        ({"endogenous": "q"}, SpecificationError, "'q' is endogenous but no regressor"),
        ({"instruments": "o"}, IdentificationError, "'o': zero or swallowed"),
        ({"instruments": "nothing"}, DataError, "no column 'nothing'"),
        ({"groups": ["o", "d"]}, DataError, "resamples one grouping"),
        ({"groups": np.zeros(300)}, SpecificationError, "'groups' has a single group"),
    ],
)
def test_bad_requests_are_refused(options, error, message, flows):
    with pytest.raises(error, match=message):
        control_function(MODEL, flows, **{**IV, "replications": 2, **options})


def test_replicates_that_fail_are_counted_or_refused(frame):
    """A dummy for one pair is lost in the resamples without it."""
    rare = ((frame["o"] == 2) & (frame["d"] == 5)).astype(float)
    flows = flows_of(frame.assign(rare=rare))
    found = control_function(Gravity("x + w + rare | o"), flows, **IV, replications=20, seed=2)
    assert 0 < len(found.failures) < 10
    assert len(found.draws) + len(found.failures) == 20
    assert "failed and are left out" in str(found.result.summary())
    few = flows_of(frame.assign(rare=rare, pair=np.where(rare > 0, 1, frame["o"] * 0)))
    with pytest.raises(EstimationError, match="of 2 replicates failed"):
        control_function(
            Gravity("x + w + rare | o"), few, **IV, replications=2, groups="pair", seed=0
        )


@pytest.mark.slow
def test_the_bias_goes_away_and_intervals_cover():
    """200 samples: the mean within three Monte-Carlo errors of the truth, coverage near 95."""
    truth, estimates, naive, covered = 0.4, [], [], 0
    for seed in range(200):
        flows = flows_of(draw(1000 + seed, spread=0.5))
        found = control_function(MODEL, flows, **IV, replications=59, seed=seed)
        estimates.append(found.result.params["x"])
        naive.append(fit(MODEL, flows).params["x"])
        limits = found.result.conf_int().loc["x"]
        covered += limits["lower"] < truth < limits["upper"]
    error = np.std(estimates) / np.sqrt(200)
    assert abs(np.mean(estimates) - truth) < 3 * error + 0.005
    assert np.mean(naive) - truth > 0.2
    assert 0.89 < covered / 200 < 0.99
