"""Negative binomial and zero-inflated gravity: statsmodels, formulas, special cases, refusals."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nbinom, poisson
from statsmodels.discrete.count_model import ZeroInflatedNegativeBinomialP, ZeroInflatedPoisson
from statsmodels.discrete.discrete_model import NegativeBinomialP
from statsmodels.tools.numdiff import approx_fprime

from choicemodels import FlowData, Gravity
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    NestflowWarning,
    SpecificationError,
)
from estimation import fit, load_result, table
from estimation.gravity.counts import fit_counts

FAMILIES = (
    "negative_binomial",
    "negative_binomial_1",
    "zero_inflated_poisson",
    "zero_inflated_negative_binomial",
)
INFLATED = FAMILIES[2:]


def draw(seed=0, places=30, alpha=0.7, inflated=True):
    rng = np.random.default_rng(seed)
    o, d = (a.ravel() for a in np.indices((places, places)))
    x, z = rng.normal(size=(2, len(o)))
    mu = np.exp(1 + 0.5 * x + 0.3 * rng.normal(size=places)[o])
    y = rng.poisson(mu * (rng.gamma(1 / alpha, alpha, len(o)) if alpha else 1.0))
    certain = rng.uniform(size=len(o)) < 1 / (1 + np.exp(1 - 0.8 * z))
    frame = pd.DataFrame({"o": o, "d": d, "x": x, "z": z, "y": y, "kind": o % 4})
    frame["half"] = np.where(certain & inflated, 0, y)
    frame["exposure"] = rng.uniform(1, 3, len(o))
    return frame


@pytest.fixture(scope="module")
def frame():
    return draw()


@pytest.fixture(scope="module")
def flows(frame):
    return FlowData(frame, origin="o", destination="d", flow="y")


def of(flows, family):
    """The flows that the family is about."""
    return flows.with_flow("half") if family in INFLATED else flows


def only_inflated(family):
    """What else the family is told."""
    return {"inflation": "1 + z"} if family in INFLATED else {}


def loglike(family, y, X, Z, params):
    """Write the log-likelihood out, from the distributions of scipy."""
    beta, rest = params[: X.shape[1]], params[X.shape[1] :]
    mu = np.exp(X @ beta)
    if family == "zero_inflated_poisson":
        logs = poisson.logpmf(y, mu)
    else:
        size = mu / rest[0] if family == "negative_binomial_1" else 1 / rest[0] * np.ones(len(mu))
        logs, rest = nbinom.logpmf(y, size, size / (size + mu)), rest[1:]
    if family in INFLATED:
        pi = 1 / (1 + np.exp(-(Z @ rest)))
        logs = np.where(y == 0, np.log(pi + (1 - pi) * np.exp(logs)), np.log1p(-pi) + logs)
    return logs.sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_estimate_is_where_the_likelihood_written_out_is_highest(family, flows, frame):
    ours = fit_counts(Gravity("x"), of(flows, family), family=family, **only_inflated(family))
    y = frame["half" if family in INFLATED else "y"].to_numpy()
    X, Z = (np.column_stack([np.ones(len(frame)), frame[name]]) for name in ("x", "z"))
    assert ours.converged
    assert ours.llf == pytest.approx(loglike(family, y, X, Z, ours.estimate), rel=1e-10)
    # Central differences: the score is zero, and their curvature gives the Hessian's errors.
    K, h = len(ours.estimate), 1e-4
    E = h * np.eye(K)

    def at(shift):
        return loglike(family, y, X, Z, ours.estimate + shift)

    score = np.array([(at(e) - at(-e)) / (2 * h) for e in E])
    H = np.array([[at(a + b) - at(a - b) - at(b - a) + at(-a - b) for b in E] for a in E])
    errors = np.sqrt(np.diag(np.linalg.inv(-H / (4 * h * h))))
    assert np.abs(score * errors).max() < 1e-4
    assert ours.with_cov("hessian", ssc="none").bse.to_numpy() == pytest.approx(errors, rel=1e-4)


def statsmodels_fit(family, y, X, Z, **more):
    classes = {
        "negative_binomial": (NegativeBinomialP, {"p": 2}),
        "negative_binomial_1": (NegativeBinomialP, {"p": 1}),
        "zero_inflated_poisson": (ZeroInflatedPoisson, {"exog_infl": Z}),
        "zero_inflated_negative_binomial": (ZeroInflatedNegativeBinomialP, {"exog_infl": Z}),
    }
    engine, options = classes[family]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return engine(y, X, **options).fit(method="bfgs", maxiter=2000, gtol=1e-9, disp=0, **more)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("formula", ["x", "x | kind"])
def test_statsmodels_finds_the_same(family, formula, flows, frame):
    ours = fit_counts(
        Gravity(formula), of(flows, family), family=family, cov="HC0", **only_inflated(family)
    )
    dummies = pd.get_dummies(frame["kind"], prefix="k", dtype=float)
    X = frame[["x"]].assign(const=1.0) if "|" not in formula else frame[["x"]].join(dummies)
    Z = frame[["z"]].assign(const=1.0)
    y = frame["half" if family in INFLATED else "y"]
    theirs = statsmodels_fit(family, y, X, Z)
    # Its Hessian of the zero-inflated Poisson has no block between inflation and mean.
    theta, engine = theirs.params.to_numpy(), theirs.model
    bread = np.linalg.inv(approx_fprime(theta, engine.score, centered=True))
    scores = engine.score_obs(theta)
    errors = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread))
    errors = pd.Series(errors, index=theirs.params.index)
    names = {"x": "x", "alpha": "alpha", "inflate(z)": "inflate_z"}
    names["inflate((Intercept))"] = "inflate_const"
    for name in set(ours.names) & set(names):
        assert ours.params[name] == pytest.approx(theirs.params[names[name]], abs=2e-5)
        assert ours.bse[name] == pytest.approx(errors[names[name]], rel=1e-3)
    assert ours.llf == pytest.approx(theirs.llf, rel=1e-8)
    assert ours.df_model == len(theirs.params)
    if "|" in formula:
        found = ours.fixed_effects()["kind"]
        assert found.to_numpy() == pytest.approx(
            theirs.params[list(dummies.columns)].to_numpy(), abs=1e-4
        )


def test_two_effects_are_dummies_without_the_redundant_ones(flows, frame):
    ours = fit_counts(Gravity("x | kind + o"), flows)
    plain = fit_counts(Gravity("x | o"), flows)
    assert ours.params["x"] == pytest.approx(plain.params["x"], rel=1e-6)
    assert ours.bse["x"] == pytest.approx(plain.bse["x"], rel=1e-2)
    assert ours.predict(frame).to_numpy() == pytest.approx(plain.predict(frame).to_numpy(), 1e-5)


def test_without_overdispersion_the_negative_binomial_is_ppml():
    flows = FlowData(draw(3, places=50, alpha=0.03), "o", "d", "y")
    poisson_fit = fit(Gravity("x | o"), flows)
    nb = fit_counts(Gravity("x | o"), flows)
    assert 0 < nb.params["alpha"] < 0.06
    assert nb.params["x"] == pytest.approx(poisson_fit.params["x"], abs=0.003)
    errors = poisson_fit.with_cov("robust").bse["x"]
    assert nb.bse["x"] == pytest.approx(errors, rel=0.05)
    assert nb.overdispersion.statistic == pytest.approx(2 * (nb.llf - poisson_fit.llf))


def test_less_variance_than_a_poisson_has_is_refused(frame):
    flows = FlowData(frame.assign(y=np.round(np.exp(1 + 0.5 * frame["x"]))), "o", "d", "y")
    with pytest.raises(EstimationError, match=r"alpha goes to zero.*use PPML"):
        fit_counts(Gravity("x"), flows)


def test_no_more_zeros_than_there_should_be_are_refused(frame):
    flows = FlowData(frame.assign(y=frame["y"] + 1), "o", "d", "y")
    with pytest.raises(EstimationError, match="no more zeros than"):
        fit_counts(Gravity("x"), flows, family="zero_inflated_poisson")


@pytest.mark.parametrize("family", FAMILIES)
def test_predictions_zeros_and_storage(family, flows, frame, tmp_path):
    model = Gravity("x | kind", offset="log(exposure)")
    ours = fit_counts(model, of(flows, family), family=family, **only_inflated(family))
    assert ours.predict().to_numpy() == pytest.approx(ours.predict(frame).to_numpy(), rel=1e-9)
    observed, expected = ours.zeros
    assert observed == pytest.approx((of(flows, family).y == 0).mean())
    assert expected == pytest.approx(observed, abs=0.05)
    loaded = load_result(ours.save(tmp_path / "counts.json"))
    assert str(loaded.summary()) == str(ours.summary())
    assert loaded.predict(frame).equals(ours.predict(frame))
    assert loaded.with_cov("hessian").bse.equals(ours.with_cov("hessian").bse)


def test_the_offset_is_that_of_statsmodels(flows, frame):
    ours = fit_counts(Gravity("x", offset="log(exposure)"), flows)
    X = frame[["x"]].assign(const=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = NegativeBinomialP(frame["y"], X, offset=np.log(frame["exposure"])).fit(
            method="bfgs", gtol=1e-9, disp=0
        )
    assert ours.params["x"] == pytest.approx(theirs.params["x"], abs=2e-5)


def test_clustered_errors_sum_scores_within_groups(flows, frame):
    ours = fit_counts(Gravity("x | kind"), flows, cov="cluster", groups="o", ssc="none")
    S = pd.DataFrame(ours.sample.scores).groupby(frame["o"].to_numpy()).sum().to_numpy()
    bread = np.linalg.inv(-ours.hessian)
    expected = bread @ (S.T @ S) @ bread
    assert ours.cov_params().to_numpy() == pytest.approx(expected, rel=1e-10)


def test_groups_without_flows_are_dropped_and_counted(frame):
    flows = FlowData(frame.assign(y=frame["y"].where(frame["o"] != 3, 0)), "o", "d", "y")
    ours = fit_counts(Gravity("x | o"), flows)
    assert ours.nobs == len(frame) - 30
    assert dict(ours.dropped[["reason", "rows"]].to_numpy()) == {"zero group": 30}
    assert "30 rows dropped: zero group of o" in str(ours.summary())


def test_they_stand_beside_ppml_in_a_table(flows):
    nb = fit_counts(Gravity("x | kind"), flows)
    text = str(table(fit(Gravity("x | kind"), flows), nb))
    assert "alpha" in text
    assert "AIC" in text


@pytest.mark.parametrize("family", ["negative_binomial", *INFLATED])
def test_the_truth_is_recovered(family):
    frame = draw(7, places=40, alpha=0.0 if family == "zero_inflated_poisson" else 0.7)
    flows = FlowData(frame, "o", "d", "half" if family in INFLATED else "y")
    found = fit_counts(Gravity("x | o"), flows, family=family, **only_inflated(family))
    truth = {"x": 0.5, "alpha": 0.7, "inflate((Intercept))": -1.0, "inflate(z)": 0.8}
    for name in found.names:
        assert abs(found.params[name] - truth[name]) < 3.5 * found.bse[name]
        assert found.bse[name] < 0.25


def test_too_few_steps_are_said(flows, monkeypatch):
    monkeypatch.setattr("estimation.gravity.counts._GAIN", -1.0)
    with pytest.warns(NestflowWarning, match="did not converge"):
        found = fit_counts(Gravity("x"), flows, max_iterations=1)
    assert not found.converged
    assert "did not converge" in str(found.summary())


@pytest.mark.parametrize(
    ("formula", "options", "error", "message"),
    [
        ("x", {"family": "negative_binomal"}, SpecificationError, "did you mean 'negative_bin"),
        ("x | o^d", {}, SpecificationError, "levels, which would have to be written out"),
        ("x | o[z]", {}, SpecificationError, "slopes by level are for PPML"),
        ("x + I(2 * x)", {}, IdentificationError, "collinear"),
        (
            "x",
            {"family": INFLATED[0], "inflation": "1 + z + I(3 * z)"},
            IdentificationError,
            "inflation='1 . z . I.3 . z.' are collinear",
        ),
        ("x", {"family": INFLATED[0], "inflation": ""}, SpecificationError, "inflation= is empty"),
        ("x", {"inflation": "z"}, SpecificationError, "inflation='z' goes with the zero-inflated"),
        ("x", {"cov": "HC3"}, SpecificationError, "offered for PPML alone"),
    ],
)
def test_bad_requests_are_refused(formula, options, error, message, flows):
    with pytest.raises(error, match=message):
        fit_counts(Gravity(formula), flows, **options)


def test_fractions_are_no_counts(frame):
    flows = FlowData(frame.assign(y=frame["y"] + 0.5), "o", "d", "y")
    with pytest.raises(DataError, match=r"'y' is not a whole number in 900 rows .* use PPML"):
        fit_counts(Gravity("x"), flows)
