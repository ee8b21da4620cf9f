"""Ordered logit and probit: published values, brute force, derivatives, recovery, bad input."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from choicemodels import NestflowWarning, OrderedChoice
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    SpecificationError,
)
from choicemodels.ordered.likelihood import specify_ordered
from estimation import fit, load_result, table

PUBLISHED = Path(__file__).parents[1] / "published" / "Christensen2019"
LEVELS = ("unlikely", "somewhat likely", "very likely")


@pytest.fixture(scope="module")
def applications():
    data = pd.read_csv(PUBLISHED / "ologit_ucla.csv")
    return data.assign(w=np.tile([1, 2, 3, 0.5], 100), four=np.arange(400) // 4)


@pytest.fixture(scope="module")
def published():
    return tomllib.loads((PUBLISHED / "values.toml").read_text(encoding="utf-8"))


def applied(**options):
    return OrderedChoice("pared + public + gpa", outcome="apply", levels=LEVELS, **options)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_published_estimates_and_all_standard_errors(applications, published, link):
    want = published[link]
    result = fit(applied(link=link), applications)
    assert list(result.names) == published["names"]
    assert result.llf == pytest.approx(want["llf"], abs=1e-8)
    np.testing.assert_allclose(result.params, want["params"], rtol=1e-9)
    for kind in ("hessian", "robust"):
        np.testing.assert_allclose(result.with_cov(kind).bse, want[kind], rtol=1e-8)
    clustered = result.with_cov("cluster", groups="four")
    np.testing.assert_allclose(clustered.bse, want["cluster"], rtol=1e-8)
    new = pd.DataFrame({"pared": [1], "public": [0], "gpa": [3.5]})
    np.testing.assert_allclose(result.predict(new).iloc[0], want["prediction"], rtol=1e-8)
    assert list(result.predict(new).columns) == list(LEVELS)


def test_published_weighted_estimates(applications, published):
    want = published["weighted"]
    result = fit(applied(weights="w"), applications, cov="hessian")
    assert result.llf == pytest.approx(want["llf"], abs=1e-8)
    np.testing.assert_allclose(result.params, want["params"], rtol=1e-9)
    np.testing.assert_allclose(result.bse, want["hessian"], rtol=1e-8)
    assert "Rows are weighted" in str(result.summary())


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_statsmodels_finds_the_same_maximum(applications, link):
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    ours = fit(applied(link=link), applications, cov="hessian")
    outcome = pd.Categorical(applications["apply"], categories=LEVELS, ordered=True)
    theirs = OrderedModel(
        pd.Series(outcome), applications[["pared", "public", "gpa"]], distr=link
    ).fit(method="bfgs", gtol=1e-8, disp=False)
    assert ours.llf == pytest.approx(theirs.llf, abs=1e-7)
    np.testing.assert_allclose(ours.params.iloc[:3], theirs.params.iloc[:3], atol=1e-5)
    np.testing.assert_allclose(ours.bse.iloc[:3], theirs.bse.iloc[:3], rtol=1e-4)
    thresholds = theirs.model.transform_threshold_params(theirs.params.to_numpy())[1:-1]
    np.testing.assert_allclose(ours.thresholds, thresholds, atol=1e-5)
    np.testing.assert_allclose(ours.predict(), theirs.predict(), atol=1e-6)


def scale_of_four(seed=0, rows=400):
    rng = np.random.default_rng(seed)
    x, group = rng.normal(size=rows), rng.choice(["a", "b", "c"], size=rows)
    index = 0.8 * x - 0.5 * (group == "b") + 0.7 * (group == "c")
    latent = index + rng.logistic(size=rows)
    score = np.searchsorted([-1.0, 0.3, 1.5], latent)
    return pd.DataFrame({"x": x, "group": group, "score": score, "w": rng.uniform(0.2, 3, rows)})


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_brute_force_and_finite_differences(link):
    data = scale_of_four(rows=60)
    model = OrderedChoice("x + group", outcome="score", link=link, weights="w")
    likelihood, _ = specify_ordered(model, data)
    theta = np.array([0.4, -0.3, 0.2, -0.8, 0.2, 1.1])
    F = (stats.logistic if link == "logit" else stats.norm).cdf
    index = 0.4 * data["x"] - 0.3 * (data["group"] == "b") + 0.2 * (data["group"] == "c")
    edges = np.array([-np.inf, -0.8, 0.2, 1.1, np.inf])
    P = F(edges[data["score"] + 1] - index) - F(edges[data["score"]] - index)
    at = likelihood.contributions(theta)
    np.testing.assert_allclose(at.loglike_obs, data["w"] * np.log(P), rtol=1e-12)

    def slope(f, k, h=1e-5):
        step = h * np.eye(6)[k]
        return (f(theta + step) - f(theta - step)) / (2 * h)

    for k in range(6):
        scores = slope(lambda t: likelihood.contributions(t).loglike_obs, k)
        np.testing.assert_allclose(at.score_obs[:, k], scores, atol=1e-8)
        row = slope(lambda t: likelihood.evaluate(t)[1], k)
        np.testing.assert_allclose(at.hessian[k], row, atol=1e-7)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_two_levels_are_the_binary_model(link):
    import statsmodels.api as sm

    data = scale_of_four().assign(high=lambda d: d["score"] > 1)
    ours = fit(OrderedChoice("x", outcome="high", link=link), data, cov="hessian")
    binary = sm.Logit if link == "logit" else sm.Probit
    theirs = binary(data["high"].astype(float), sm.add_constant(data["x"])).fit(disp=0)
    assert ours.llf == pytest.approx(theirs.llf, abs=1e-9)
    np.testing.assert_allclose(
        ours.params, [theirs.params["x"], -theirs.params["const"]], rtol=1e-6
    )
    np.testing.assert_allclose(ours.bse, theirs.bse[["x", "const"]], rtol=1e-5)


def test_whole_weights_are_repeated_rows():
    data = scale_of_four(rows=200).assign(n=lambda d: 1 + np.arange(200) % 3)
    weighted = fit(OrderedChoice("x + group", outcome="score", weights="n"), data, cov="hessian")
    repeated = fit(
        OrderedChoice("x + group", outcome="score"), data.loc[data.index.repeat(data["n"])],
        cov="hessian",
    )  # fmt: skip
    np.testing.assert_allclose(weighted.params, repeated.params, rtol=1e-9)
    np.testing.assert_allclose(weighted.bse, repeated.bse, rtol=1e-9)


def test_thresholds_alone_give_the_shares():
    data = scale_of_four()
    result = fit(OrderedChoice("1", outcome="score"), data)
    assert result.llf == pytest.approx(result.llnull, abs=1e-9)
    shares = data["score"].value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(result.predict().iloc[0], shares, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_every_parameter_is_recovered(seed):
    data = scale_of_four(seed, rows=4_000)
    result = fit(OrderedChoice("x + group", outcome="score"), data)
    truth = [0.8, -0.5, 0.7, -1.0, 0.3, 1.5]
    assert (np.abs(result.params - truth) / result.bse).max() < 3.3


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_extreme_indices_leave_no_nan(link):
    data = scale_of_four(rows=50)
    data["x"] = data["x"] * 1e4
    likelihood, _ = specify_ordered(OrderedChoice("x", outcome="score", link=link), data)
    at = likelihood.contributions(np.array([1.0, -1.0, 0.3, 1.5]))
    assert np.isfinite(at.loglike_obs).all()
    assert np.isfinite(at.score_obs).all()
    assert np.isfinite(at.hessian).all()
    P = likelihood.parameters.probabilities(np.array([1.0, -1.0, 0.3, 1.5]), likelihood.X)
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-12)


def test_the_result_survives_a_file_and_stands_in_a_table(applications, tmp_path):
    result = fit(applied(), applications).with_cov("cluster", groups="four")
    back = load_result(result.save(tmp_path / "ordered.json"))
    assert back.params.equals(result.params)
    assert back.bse.equals(result.bse)
    assert str(back.summary()) == str(result.summary())
    assert back.predict(applications).equals(result.predict())
    with pytest.raises(EstimationError, match="does not keep the data"):
        back.predict()
    both = table(result, fit(applied(link="probit"), applications))
    assert "unlikely|somewhat likely" in str(both)
    assert "McFadden R²" in str(both)
    rows = both.to_markdown().split("\n")
    assert r"unlikely\|somewhat likely" in "".join(rows)


def test_polars_and_categories(applications):
    import polars as pl

    ordered = applications.assign(
        apply=pd.Categorical(applications["apply"], categories=LEVELS, ordered=True)
    )
    model = OrderedChoice("pared + public + gpa", outcome="apply")
    want = fit(applied(), applications)
    np.testing.assert_array_equal(fit(model, ordered).params, want.params)
    np.testing.assert_array_equal(fit(applied(), pl.from_pandas(applications)).params, want.params)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formula": "apply ~ gpa"}, "left-hand side"),
        ({"formula": "gpa | pared"}, "2 parts"),
        ({"link": "cloglog"}, "'logit' or 'probit'"),
        ({"levels": ("low", "low")}, "each once"),
        ({"levels": ("low",)}, "at least two"),
    ],
)
def test_specifications_are_valid_once_built(options, message):
    with pytest.raises(SpecificationError, match=message):
        OrderedChoice(**{"formula": "gpa", "outcome": "apply", **options})


@pytest.mark.parametrize(
    ("model", "change", "error", "message"),
    [
        (OrderedChoice("gpa", outcome="apply"), {}, SpecificationError, "which has no order"),
        (OrderedChoice("gpa", outcome="aply"), {}, DataError, "did you mean 'apply'"),
        (
            OrderedChoice("gpa", outcome="apply", levels=LEVELS[:2]),
            {},
            DataError,
            "'very likely' in row 0, which is none of the levels",
        ),
        (
            OrderedChoice("gpa", outcome="apply", levels=(*LEVELS, "sure")),
            {},
            DataError,
            "never takes the level sure",
        ),
        (applied(), {"gpa": np.nan}, DataError, "'gpa' is not finite"),
        (applied(), {"apply": None}, DataError, "'apply' is missing in 400 rows"),
        (applied(), {"pared": 1}, IdentificationError, "pared"),
        (applied(weights="w"), {"w": -1.0}, DataError, "must be finite and not negative"),
        (
            OrderedChoice("C(apply) + gpa", outcome="apply", levels=LEVELS),
            {},
            SpecificationError,
            "stands in its own formula",
        ),
    ],
)
def test_data_that_do_not_fit(applications, model, change, error, message):
    with pytest.raises(error, match=message):
        fit(model, applications.assign(**change))


def test_collinear_columns_are_named(applications):
    data = applications.assign(twice=2 * applications["gpa"])
    with pytest.raises(IdentificationError, match="'gpa', 'twice' are collinear"):
        fit(OrderedChoice("gpa + twice", outcome="apply", levels=LEVELS), data)


def test_predictions_keep_the_index_of_the_table(applications):
    some = applications.iloc[10:15]
    assert fit(applied(), applications).predict(some).index.equals(some.index)


@pytest.mark.parametrize("kind", ["array", "intervals", "listed intervals"])
def test_levels_of_any_kind_can_be_saved(applications, kind, tmp_path):
    cut = pd.cut(applications["gpa"], 3)
    codes = cut.cat.codes.to_numpy()
    outcome, levels = {
        "array": (codes, np.arange(3)),
        "intervals": (cut, None),
        "listed intervals": (cut, cut.cat.categories),
    }[kind]
    table = applications.assign(y=outcome)
    result = fit(OrderedChoice("pared", outcome="y", levels=levels), table)
    back = load_result(result.save(tmp_path / "r.json"))
    assert back.levels == result.levels
    assert back.levels[0] == (0 if kind == "array" else str(cut.cat.categories[0]))
    assert back.predict(table).equals(result.predict(table))


def test_perfect_prediction():
    data = pd.DataFrame({"y": np.repeat([0, 1, 2], 20), "x": np.arange(60.0)})
    with pytest.raises(EstimationError, match="perfectly"):
        fit(OrderedChoice("x", outcome="y"), data)


def test_coefficients_that_run_to_infinity_are_named():
    x = np.random.default_rng(0).normal(size=300)
    always = np.arange(300) % 5 == 0
    y = np.where(always, 2, np.digitize(np.roll(x, 1) + x, [-0.5, 0.5]))
    data = pd.DataFrame({"x": x, "always": always, "y": y})
    with pytest.warns(NestflowWarning, match="do not bound 'always'"):
        result = fit(OrderedChoice("x + always", outcome="y"), data)
    assert "do not bound" in result.notes[0]
    assert not fit(OrderedChoice("x", outcome="y"), data).notes


def test_too_few_iterations_warn(applications):
    with pytest.warns(NestflowWarning, match="did not converge"):
        fit(applied(), applications, max_iterations=1)


def test_clusters_that_do_not_fit(applications):
    result = fit(applied(), applications)
    with pytest.raises(DataError, match=r"has shape \(3,\)"):
        result.with_cov("cluster", groups=np.arange(3))
    with pytest.raises(SpecificationError, match="no other covariance takes them"):
        result.with_cov("robust", groups="four")
