"""The delta method and willingness to pay: referees, closed forms, brute force, bad input."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.errors import EstimationError, SpecificationError
from estimation import fit
from estimation.choice.wtp import fieller_limits, willingness_to_pay
from estimation.delta import delta_method, jacobian


@pytest.fixture(scope="module")
def modes(travel_mode):
    return fit(MultinomialLogit("gc + ttme + invt", base="car"), travel_mode)


@pytest.fixture(scope="module")
def train_time(swissmetro):
    return fit(MultinomialLogit("time + cost", base="sm"), swissmetro)


def test_statsmodels_agrees_on_values_and_covariance(modes):
    from statsmodels.stats._delta_method import NonlinearDeltaCov

    def values(b):
        return np.array([-b[5] / b[3], np.exp(b[4]) - b[3] * b[5], b[0]])

    ours = delta_method(modes, lambda b: values(b.to_numpy()), ["ratio", "other", "constant"])
    theirs = NonlinearDeltaCov(values, modes.estimate, modes.cov_params().to_numpy())
    np.testing.assert_allclose(ours.params, theirs.predicted(), rtol=1e-12)
    np.testing.assert_allclose(ours.cov_params(), theirs.cov(), rtol=1e-6)
    assert list(ours.names) == ["ratio", "other", "constant"]


def test_a_ratio_in_closed_form(modes):
    got = delta_method(modes, "-ttme / gc")
    a, c = -modes.params["ttme"], modes.params["gc"]
    V = modes.cov_params()
    variance = (
        V.loc["ttme", "ttme"] / c**2
        + V.loc["gc", "gc"] * a**2 / c**4
        + 2 * V.loc["ttme", "gc"] * a / c**3
    )
    assert got.params["-ttme / gc"] == pytest.approx(a / c, rel=1e-14)
    assert got.bse.iloc[0] == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert got.tvalues.iloc[0] == pytest.approx(got.params.iloc[0] / got.bse.iloc[0])
    limits = got.conf_int(0.1).iloc[0]
    assert limits["upper"] - limits["lower"] == pytest.approx(2 * 1.6448536 * got.bse.iloc[0])


def test_linear_functions_are_exact(modes):
    got = delta_method(modes, {"sum": "gc + 2 * ttme", "self": "invt"})
    R = np.zeros((2, 6))
    R[0, 3], R[0, 4], R[1, 5] = 1, 2, 1
    np.testing.assert_allclose(got.jacobian, R, atol=1e-11)
    want = R @ modes.cov_params().to_numpy() @ R.T
    np.testing.assert_allclose(got.cov_params(), want, rtol=1e-9)
    test = got.wald_test("sum = 0")
    assert test.statistic == pytest.approx(modes.wald_test("gc + 2*ttme = 0").statistic, rel=1e-8)


def test_names_of_any_kind(travel_mode):
    result = fit(NestedLogit("log(gc) + ttme", {"g": ["train", "bus", "car"]}), travel_mode)
    for text in ("1 - lambda:g**2", "1 - `lambda:g` ** 2"):
        got = delta_method(result, text)
        assert got.params.iloc[0] == pytest.approx(1 - result.params["lambda:g"] ** 2)
        slope = 2 * result.params["lambda:g"] * result.bse["lambda:g"]
        assert got.bse.iloc[0] == pytest.approx(slope, rel=1e-9)
    value = delta_method(result, "exp((Intercept):train) / log(gc)").params.iloc[0]
    want = np.exp(result.params["(Intercept):train"]) / result.params["log(gc)"]
    assert value == pytest.approx(want)


def test_a_name_may_hold_backticks(travel_mode):
    table = travel_mode.table.assign(**{"my km": travel_mode.table["ttme"] + 1})
    data = ChoiceData.from_long(table, "individual", "mode", "choice")
    result = fit(MultinomialLogit("gc + log(`my km`)"), data)
    for text in ("2 * log(`my km`)", "2 * `log(`my km`)`"):
        value = delta_method(result, text)
        assert value.estimate[0] == pytest.approx(2 * result.params["log(`my km`)"])


def test_what_functions_may_return(modes):
    def ratio(b):
        return b["gc"] / b["ttme"]

    assert delta_method(modes, ratio).names == ("ratio",)
    assert delta_method(modes, lambda b: b["gc"] ** 2).names == ("value",)
    assert delta_method(modes, lambda b: b.to_numpy()[:2]).names == ("value[0]", "value[1]")
    assert delta_method(modes, lambda b: b[["gc", "ttme"]] * 2).names == ("gc", "ttme")
    assert delta_method(modes, ["gc", "ttme * 2"]).names == ("gc", "ttme * 2")
    assert delta_method(modes, "gc", names="price").names == ("price",)


def test_the_covariance_is_the_one_shown(modes):
    clustered = modes.with_cov("cluster", groups=np.arange(210) // 3)
    got = delta_method(clustered, "gc")
    assert got.bse.iloc[0] == pytest.approx(clustered.bse["gc"], rel=1e-10)
    assert "cluster by groups (70)" in str(got)
    assert list(got.table.columns)[:4] == ["coef", "std err", "z", "P>|z|"]
    assert "<table" in got._repr_html_()


@pytest.mark.parametrize("theta", [[0.0, 0.0], [1e-12, 3.0], [1e6, -1e-6], [2.0, -0.5]])
def test_numeric_derivatives(theta):
    theta = np.array(theta)

    def f(t):
        return np.array([np.exp(t[1] / 5) + t[0] ** 3 / 1e18, t[0] * t[1], np.sin(t[1])])

    want = [
        [3 * theta[0] ** 2 / 1e18, np.exp(theta[1] / 5) / 5],
        [theta[1], theta[0]],
        [0.0, np.cos(theta[1])],
    ]
    got = jacobian(f, theta, np.array([1.0, 1.0]))
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("gcc / ttme", {}, "parameter 'gcc'.*did you mean 'gc'"),
        ("gc ttme", {}, "cannot read"),
        ("__import__('os')", {}, "is not allowed|does not offer|do not offer"),
        (["gc", "ttme"], {"names": ["one"]}, "1 names were given for 2 values"),
    ],
)
def test_expressions_that_cannot_be_used(modes, function, options, message):
    with pytest.raises(SpecificationError, match=message):
        delta_method(modes, function, **options)


def test_what_is_not_finite_is_named(modes):
    with pytest.raises(EstimationError, match=r"'log\(gc\)' is not finite at the estimates"):
        delta_method(modes, ["ttme", "log(gc)"])
    with pytest.raises(EstimationError, match="'ttme/0' is not finite"):
        delta_method(modes, "ttme/0")


# Willingness to pay


def test_fieller_inverts_the_wald_test(train_time):
    got = willingness_to_pay(train_time, "time", "cost", method="fieller").table.iloc[0]
    for limit in (got["lower"], got["upper"]):
        # At the limit r of -time / cost the hypothesis time + r cost = 0 has p = 0.05.
        row = train_time.t_test(np.array([[0, 0, 1.0, limit]])).iloc[0]
        assert row["pvalue"] == pytest.approx(0.05, abs=1e-10)
    assert got["lower"] < got["estimate"] < got["upper"]


def test_the_three_intervals_agree_where_cost_is_sure(train_time):
    tables = {
        method: willingness_to_pay(train_time, "time", "cost", method=method).table.iloc[0]
        for method in ("delta", "fieller", "krinsky-robb")
    }
    assert abs(train_time.tvalues["cost"]) > 15
    for side in ("lower", "upper"):
        delta = tables["delta"][side]
        assert tables["fieller"][side] == pytest.approx(delta, rel=0.02)
        assert tables["krinsky-robb"][side] == pytest.approx(delta, rel=0.02)
    assert tables["delta"]["estimate"] == -train_time.params["time"] / train_time.params["cost"]


def test_krinsky_and_robb_by_brute_force(modes):
    got = willingness_to_pay(modes, ["ttme", "invt"], "gc", method="krinsky-robb", seed=3)
    again = willingness_to_pay(modes, ["ttme", "invt"], "gc", method="krinsky-robb", seed=3)
    assert got.table.equals(again.table)
    other = willingness_to_pay(
        modes, ["ttme", "invt"], "gc", method="krinsky-robb", seed=4, draws=200_000
    )
    draws = np.random.default_rng(9).multivariate_normal(
        modes.estimate, modes.cov_params().to_numpy(), size=200_000
    )
    ratios = -draws[:, [4, 5]] / draws[:, [3]]
    want = np.quantile(ratios, [0.025, 0.975], axis=0).T
    np.testing.assert_allclose(other.table[["lower", "upper"]], want, rtol=0.05)


def brute_force_set(a, c, V, z):
    grid = np.linspace(-50, 50, 200_001)
    inside = (a - grid * c) ** 2 <= z**2 * (V[0, 0] - 2 * grid * V[0, 1] + grid**2 * V[1, 1])
    return grid[inside]


def test_fieller_sets_of_each_shape():
    z = stats.norm.isf(0.025)
    V = np.array([[0.04, 0.01], [0.01, 0.09]])
    lower, upper, out = fieller_limits(1.0, 1.0, V)
    inside = brute_force_set(1.0, 1.0, V, z)
    assert out == ""
    assert (lower, upper) == pytest.approx((inside.min(), inside.max()), abs=1e-3)
    # Cost is not significant, the numerator is: the set leaves out an interval around zero.
    lower, upper, out = fieller_limits(1.0, 0.2, V)
    left_out = np.setdiff1d(np.linspace(-50, 50, 200_001), brute_force_set(1.0, 0.2, V, z))
    assert (lower, upper) == (-np.inf, np.inf)
    edges = [float(edge) for edge in out.strip("()").split(",")]
    assert edges == pytest.approx([left_out.min(), left_out.max()], abs=1e-3)
    # Neither is significant: everything is possible.
    assert fieller_limits(0.1, 0.2, V) == (-np.inf, np.inf, "nothing")
    assert len(brute_force_set(0.1, 0.2, V, z)) == 200_001


def test_coverage_of_fieller_where_the_delta_method_fails():
    """With a cost at two standard errors, Fieller's coverage is exact and delta's is not sought."""
    rng = np.random.default_rng(0)
    V = np.array([[0.25, 0.0], [0.0, 0.25]])
    truth, hits = 2.0, 0
    for a, c in rng.multivariate_normal([2.0, 1.0], V, size=2_000):
        gap, spread = a - truth * c, V[0, 0] + truth**2 * V[1, 1]
        lower, upper, out = fieller_limits(a, c, V)
        inside = lower <= truth <= upper
        if out not in ("", "nothing"):
            low, high = (float(edge) for edge in out.strip("()").split(","))
            inside = not low < truth < high
        assert inside == (gap**2 / spread <= stats.norm.isf(0.025) ** 2)
        hits += inside
    assert 0.94 < hits / 2_000 < 0.96


def test_an_unbounded_value_says_why(travel_mode):
    few = fit(MultinomialLogit("invc + ttme + gc", base="car"), travel_mode)
    weak = min(("invc", "gc"), key=lambda k: abs(few.tvalues[k]))
    got = willingness_to_pay(few, "ttme", weak, method="fieller", alpha=1e-9)
    assert np.isinf(got.table["upper"]).all()
    assert f"'{weak}' does not differ from zero at the level 1e-09" in str(got)


def test_the_table_says_which_method_and_covariance(modes):
    text = str(willingness_to_pay(modes, ["ttme", "invt"], "gc", method="krinsky-robb"))
    assert "Limits by the method 'krinsky-robb'; standard errors: robust." in text
    assert "10,000 draws, seed 0." in text
    assert "per unit of gc" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numerator": "time"}, "no parameter is called 'time'"),
        ({"denominator": "cost"}, "no parameter is called 'cost'"),
        ({"method": "feiller"}, "did you mean 'fieller'"),
        ({"alpha": 1.0}, "between 0 and 1"),
        ({"draws": 5}, "at least 100"),
    ],
)
def test_wrong_questions(modes, options, message):
    with pytest.raises(SpecificationError, match=message):
        willingness_to_pay(modes, **{"numerator": "ttme", "denominator": "gc", **options})


def test_series_of_results_keep_their_words(modes):
    got = delta_method(modes, ["gc", "ttme"])
    assert isinstance(got.params, pd.Series)
    assert got.cov_params().shape == (2, 2)
    assert got.t_test("gc = ttme").shape[0] == 1
