"""Estimation: recovery, covariances, tests, bad data, prediction."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from choicemodels import (
    ChoiceData,
    CrossNestedLogit,
    MultinomialLogit,
    NestedLogit,
    NestflowWarning,
    OrderedChoice,
)
from choicemodels.errors import DataError, EstimationError, IdentificationError, SpecificationError
from choicemodels.specify import specify
from estimation import compare, elasticities, fit, table
from estimation.choice.constants import constants_only
from estimation.choice.validation import validate
from estimation.estimates import Covariance, Estimates
from estimation.newton import maximize

GROUND = {"ground": ["train", "bus", "car"]}


@pytest.fixture(scope="module")
def conditional(travel_mode):
    return fit(MultinomialLogit("gc + ttme + invt | hinc", base="car"), travel_mode)


def test_statsmodels_agrees_on_every_covariance_but_the_cluster(travel_mode):
    from statsmodels.discrete.conditional_models import ConditionalLogit

    table = travel_mode.table
    ours = fit(MultinomialLogit("gc + ttme + invc | 0"), travel_mode)
    theirs = ConditionalLogit(
        table["choice"].to_numpy(),
        table[["gc", "ttme", "invc"]].to_numpy(),
        groups=table["individual"].to_numpy(),
    ).fit(disp=0, method="newton", tol=1e-12)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-6)
    np.testing.assert_allclose(ours.with_cov("hessian").bse, theirs.bse, rtol=1e-5)


def simulated(seed, cases=4_000, lam=0.5):
    """Nested choices among {a, b}, {c, d} and e, drawn from the model itself."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 5),
            "alt": list("abcde") * cases,
            "x": rng.normal(size=5 * cases),
            "z": np.repeat(rng.normal(size=cases), 5),
        }
    )
    data = ChoiceData.from_long(table, "case", "alt")
    model = NestedLogit("x | z", nests={"m": ["a", "b"], "n": ["c", "d"]}, base="e", lambdas="free")
    likelihood = specify(model, data)
    truth = np.array([0.3, -0.2, 0.1, 0.4, 0.8, 0.5, -0.5, 0.2, 0.3, lam, 0.8])
    P, _ = likelihood.probabilities(truth)
    cumulative = P.reshape(cases, 5).cumsum(axis=1)
    pick = (rng.random((cases, 1)) > cumulative).sum(axis=1)
    table["chosen"] = (np.arange(5) == pick[:, None]).ravel()
    return model, ChoiceData.from_long(table, "case", "alt", "chosen"), truth


@pytest.mark.parametrize("seed", range(5))
def test_every_parameter_is_recovered(seed):
    model, data, truth = simulated(seed)
    result = fit(model, data)
    z = (result.estimate - truth) / result.bse
    assert np.abs(z).max() < 3
    assert result.converged
    assert result.optimum.record["llf"].is_monotonic_increasing


def test_a_general_optimiser_finds_the_same_maximum():
    model, data, _ = simulated(1, cases=800)
    result = fit(model, data)
    likelihood = specify(model, data)
    found = optimize.minimize(
        lambda theta: -likelihood.evaluate(theta)[0],
        likelihood.parameters.start_from(np.zeros(likelihood.parameters.n_utility)),
        jac=lambda theta: -likelihood.evaluate(theta)[1],
        method="BFGS",
        options={"gtol": 1e-7},
    )
    assert result.llf == pytest.approx(-found.fun, abs=1e-8)
    np.testing.assert_allclose(result.estimate, found.x, atol=1e-5)


def test_the_sandwiches_by_hand(conditional, travel_mode):
    scores = conditional.score_obs
    bread = np.linalg.inv(-conditional.hessian)
    robust = bread @ scores.T @ scores @ bread
    np.testing.assert_allclose(conditional.cov_params(), robust, rtol=1e-9)
    groups = np.arange(210) // 3
    sums = pd.DataFrame(scores).groupby(groups).sum().to_numpy()
    clustered = conditional.with_cov("cluster", groups=groups)
    np.testing.assert_allclose(clustered.cov_params(), bread @ sums.T @ sums @ bread, rtol=1e-9)
    corrected = conditional.with_cov("cluster", groups=groups, ssc="stata")
    np.testing.assert_allclose(corrected.bse / clustered.bse, np.sqrt(70 / 69), rtol=1e-12)
    bhhh = np.linalg.inv(scores.T @ scores)
    np.testing.assert_allclose(conditional.with_cov("bhhh").cov_params(), bhhh, rtol=1e-7)
    assert conditional.with_cov("cluster", groups=np.arange(210)).bse.to_numpy() == pytest.approx(
        conditional.bse.to_numpy()
    )


def test_two_way_clusters_by_inclusion_and_exclusion(conditional):
    a, b = np.arange(210) % 70, np.arange(210) // 3
    meats = {}
    for name, groups in {"a": a, "b": b, "ab": a * 1000 + b}.items():
        sums = pd.DataFrame(conditional.score_obs).groupby(groups).sum().to_numpy()
        meats[name] = sums.T @ sums
    bread = np.linalg.inv(-conditional.hessian)
    want = bread @ (meats["a"] + meats["b"] - meats["ab"]) @ bread
    got = conditional.with_cov("cluster", groups=[a, b])
    if got.covariance.notes:
        pytest.fail("the example was meant to be positive definite")
    np.testing.assert_allclose(got.cov_params(), want, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r, t: r.predict(t), r"predict\(\) takes choice data and was given a DataFrame"),
        (lambda r, t: elasticities(r, "gc", t), r"effects\(\) takes choice data"),
        (lambda r, t: elasticities(r, "gc", alternatives=1), "alternatives= names '1'"),
        (lambda r, t: validate(r, t), r"validate\(\) takes choice data"),
        (lambda r, t: compare(r, [t, t]), "was given a list of scenarios; give them names"),
        (lambda r, t: compare(r, {"a": t, "b": t}), "a takes choice data"),
        (lambda r, t: elasticities(3, "gc"), "was given a int"),
    ],
)
def test_what_is_no_choice_data_is_refused(conditional, travel_mode, call, message):
    with pytest.raises(SpecificationError, match=message):
        call(conditional, travel_mode.table)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("zero", "start is 'zero', which is no list of numbers"),
        ({"gc": "x"}, "start gives 'gc' the value 'x'"),
        ({"gc": None}, "start gives 'gc' the value None"),
    ],
)
def test_starting_values_are_numbers(travel_mode, start, message):
    with pytest.raises(EstimationError, match=message):
        fit(MultinomialLogit("gc"), travel_mode, start=start)


def test_a_result_is_not_saved_over_a_folder_or_a_table(conditional, tmp_path):
    with pytest.raises(DataError, match="is a folder; name a file in it"):
        conditional.save(tmp_path)
    with pytest.raises(DataError, match=r"data.csv' is called otherwise; end it in .json"):
        conditional.save(tmp_path / "data.csv")
    assert not list(tmp_path.iterdir())
    assert not list(tmp_path.parent.glob(f"{tmp_path.name}.part"))


def test_statistics_have_names_for_readers(conditional):
    assert "Log-likelihood (constants)" in str(table(conditional, stats=["ll_constants"]))


def test_a_base_and_terms_may_be_named_by_number(travel_mode):
    codes = {"air": 1, "train": 2, "bus": 3, "car": 4}
    rows = travel_mode.table.assign(mode=travel_mode.table["mode"].astype(str).map(codes))
    data = ChoiceData.from_long(rows, "individual", "mode", "choice")
    model = MultinomialLogit("gc", base=4, specific={1: "0 + hinc"})
    assert model == MultinomialLogit("gc", base="4", specific={"1": "0 + hinc"})
    assert fit(model, data).converged


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MultinomialLogit(None), "formula is None; write text"),
        (lambda: MultinomialLogit("x", size=None), "size is None; write text"),
        (lambda: MultinomialLogit("x", specific=["a"]), r"specific is \['a'\]; map alternatives"),
        (lambda: MultinomialLogit("x", base=["a"]), r"base is \['a'\]; name one alternative"),
        (lambda: MultinomialLogit("x", bounds=[1]), r"bounds is \[1\]; map parameters"),
        (lambda: NestedLogit("x", [["a"]]), r"nests is \[\['a'\]\]; map nests"),
        (lambda: NestedLogit("x", {"g": 3}), r"nests\['g'\] is 3; list the alternatives"),
        (lambda: NestedLogit("x", {"g": ["a"]}, lambdas=0.5), r"such as \{'g': 0.5\}"),
        (lambda: NestedLogit("x", {"g": ["a"]}, lambdas=None), "lambdas is None"),
        (lambda: NestedLogit("x", {"g": ["a"]}, lambdas={"g": "x"}), "'g' at 'x'"),
        (lambda: CrossNestedLogit("x", [["a"]]), r"nests is \[\['a'\]\]; map nests"),
        (lambda: NestedLogit.move_stay("x", groups=[["a"]]), "map groups to destinations"),
        (lambda: NestedLogit.move_stay("x", destinations="ab"), "destinations is 'ab'; list"),
        (lambda: OrderedChoice(None, outcome="y"), "the formula is None"),
    ],
)
def test_what_is_no_specification_is_refused(build, message):
    with pytest.raises(SpecificationError, match=message):
        build()


def test_destinations_may_come_from_a_column():
    want = NestedLogit.move_stay("x", destinations=["a", "b"])
    for destinations in (pd.Series(["a", "b"]), np.array(["a", "b"])):
        assert NestedLogit.move_stay("x", destinations=destinations) == want


def test_an_unknown_small_sample_factor_is_refused(conditional):
    with pytest.raises(SpecificationError, match=r"ssc is 'stat' \(did you mean 'stata'"):
        conditional.with_cov("cluster", groups=np.arange(210) // 3, ssc="stat")
    with pytest.raises(SpecificationError, match="ssc is 'stat'"):
        conditional.with_cov("robust", ssc="stat")
    with pytest.raises(SpecificationError, match="cov is 'None'"):
        conditional.with_cov(None)


def test_wald_and_t_tests(conditional):
    single = conditional.wald_test("gc = 0")
    assert single.statistic == pytest.approx(conditional.tvalues["gc"] ** 2)
    assert single.pvalue == pytest.approx(conditional.pvalues["gc"])
    joint = conditional.wald_test("(Intercept):air = (Intercept):train, hinc:air = 0")
    assert joint.df == 2
    rows = conditional.t_test(["2*gc - ttme = 0.1", "invt = 0"])
    assert rows.loc["invt = 0", "z"] == pytest.approx(conditional.tvalues["invt"])
    with pytest.raises(SpecificationError, match="cannot read the restriction 'costs = 0'"):
        conditional.wald_test("costs = 0")
    with pytest.raises(SpecificationError, match="repeat or contradict"):
        conditional.wald_test(["gc = 0", "2*gc = 0"])


def test_null_likelihoods(conditional, travel_mode):
    assert conditional.llnull == pytest.approx(-210 * np.log(4))
    constants = fit(MultinomialLogit("1"), travel_mode)
    assert constants.llf == pytest.approx(conditional.llconstants, abs=1e-9)
    assert conditional.prsquared == pytest.approx(1 - conditional.llf / conditional.llnull)


def test_constants_only_with_ragged_sets(swissmetro):
    explicit = fit(MultinomialLogit("1"), swissmetro)
    assert constants_only(swissmetro) == pytest.approx(explicit.llf, abs=1e-8)


def test_prediction_reproduces_shares_and_takes_new_data(conditional, travel_mode):
    shares = conditional.predict().groupby("mode")["probability"].sum()
    taken = travel_mode.describe().alternatives["chosen"]
    np.testing.assert_allclose(shares[taken.index], taken, rtol=1e-8)
    one = travel_mode.table.iloc[4:7].drop(columns="choice")
    new = ChoiceData.from_long(one, "individual", "mode")
    P = conditional.predict(new)
    assert P["probability"].sum() == pytest.approx(1)
    V = sum(
        term.coefficient
        * np.prod([one[f].to_numpy() for f in term.factors] or [np.ones(3)], axis=0)
        * (one["mode"].isin(term.alternatives or one["mode"])).to_numpy()
        for term in conditional.utility_terms()
    )
    np.testing.assert_allclose(P["probability"], np.exp(V) / np.exp(V).sum(), rtol=1e-10)
    assert conditional.logsum(new).iloc[0] == pytest.approx(np.log(np.exp(V).sum()))
    unknown = ChoiceData.from_long(one.assign(mode=["air", "boat", "car"]), "individual", "mode")
    with pytest.raises(DataError, match="alternative 'boat', which the model was not estimated"):
        conditional.predict(unknown)


def test_a_lambda_above_one_is_reported_with_a_warning(travel_mode):
    model = NestedLogit("gc + invt", nests={"odd": ["air", "bus"]}, base="car")
    with pytest.warns(NestflowWarning, match="lies above that of its parent"):
        result = fit(model, travel_mode)
    assert result.lambdas["odd"] > 1
    assert "not consistent with random utility maximization" in str(result.summary())


def test_shared_lambda_equals_equal_free_lambdas(hc):
    formula = "ich + och + icca + occa + inc_room + inc_cooling + cooling | 0"
    nests = {"cooling": ["gcc", "ecc", "erc", "hpc"], "other": ["gc", "ec", "er"]}
    shared = fit(NestedLogit(formula, nests=nests, lambdas="shared"), hc)
    value = shared.params["lambda"]
    fixed = fit(NestedLogit(formula, nests=nests, lambdas={"cooling": value, "other": value}), hc)
    assert fixed.llf == pytest.approx(shared.llf, abs=1e-9)


def faulty(travel_mode, **columns):
    return ChoiceData.from_long(travel_mode.table.assign(**columns), "individual", "mode", "choice")


def test_collinear_columns_are_named(travel_mode):
    data = faulty(travel_mode, twice=2 * travel_mode.table["gc"])
    with pytest.raises(IdentificationError, match="'gc', 'twice' are collinear"):
        fit(MultinomialLogit("gc + twice + ttme"), data)


def test_a_variable_without_variation_within_cases_is_named(travel_mode):
    with pytest.raises(IdentificationError, match="flat or convex in hinc"):
        fit(MultinomialLogit("gc + hinc | 0"), travel_mode)


def test_nan_is_named_with_its_rows(travel_mode):
    gc = travel_mode.table["gc"].astype(float)
    gc.iloc[[5, 9]] = np.nan
    with pytest.raises(DataError, match=r"'gc' is not finite in 2 rows .*: rows 5, 9\)"):
        fit(MultinomialLogit("gc"), faulty(travel_mode, gc=gc))
    with pytest.raises(DataError, match="'log\\(gc - 1000\\)' is not finite"):
        fit(MultinomialLogit("log(gc - 1000)"), travel_mode)


def test_an_alternative_never_chosen(travel_mode):
    table = travel_mode.table
    air = table.loc[table["choice"].eq(1) & table["mode"].eq("air"), "individual"]
    rest = table[~table["individual"].isin(air)]
    data = ChoiceData.from_long(rest, "individual", "mode", "choice")
    with pytest.raises(IdentificationError, match="nobody chose 'air'"):
        fit(MultinomialLogit("gc", base="car"), data)
    assert fit(MultinomialLogit("gc | 0"), data).converged


def test_perfect_prediction(travel_mode):
    data = faulty(travel_mode, oracle=travel_mode.table["choice"].astype(float))
    with pytest.raises(EstimationError, match="predict every choice perfectly"):
        fit(MultinomialLogit("oracle | 0"), data)


@pytest.mark.parametrize(
    ("nests", "message"),
    [
        ({"m": ["train", "tram"]}, "names the alternative 'tram'.*did you mean 'train'"),
        ({"m": ["train", "bus"], "n": ["bus", "car"]}, "'bus' stands in the nests 'm' and 'n'"),
        ({"m": []}, "must list its alternatives"),
        ({"m": "train"}, "must list its alternatives"),
    ],
)
def test_nests_that_do_not_fit(travel_mode, nests, message):
    with pytest.raises(SpecificationError, match=message):
        fit(NestedLogit("gc", nests=nests), travel_mode)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nests": {}}, "use MultinomialLogit"),
        ({"normalization": "none"}, "'rum' or 'nonnormalized'"),
        ({"lambdas": "equal"}, "'free', 'shared' or a mapping"),
        ({"lambdas": {"grond": 0.5}}, "mean 'ground'"),
        ({"lambdas": {"ground": -1}}, "must be positive"),
    ],
)
def test_specifications_are_valid_once_built(options, message):
    with pytest.raises(SpecificationError, match=message):
        NestedLogit("gc", **{"nests": GROUND, **options})


def test_a_model_can_be_changed_with_replace(travel_mode):
    model = NestedLogit("gc + ttme", nests=GROUND, base="car")
    other = replace(model, formula="gc + ttme + invt")
    assert fit(other, travel_mode).llf > fit(model, travel_mode).llf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cov": "robst"}, "mean 'robust'"),
        ({"cov": "cluster"}, "needs groups="),
        ({"cov": "robust", "groups": "hinc"}, "no other covariance takes them"),
    ],
)
def test_covariance_options(travel_mode, options, message):
    with pytest.raises(SpecificationError, match=message):
        fit(MultinomialLogit("gc"), travel_mode, **options)


def test_prediction_data_cannot_be_fitted(travel_mode):
    data = ChoiceData.from_long(travel_mode.table, "individual", "mode")
    with pytest.raises(DataError, match="210 cases have no known choice"):
        fit(MultinomialLogit("gc"), data)


def test_fit_wants_a_model_and_its_data(travel_mode):
    with pytest.raises(SpecificationError, match="given a str and a ChoiceData"):
        fit("gc", travel_mode)


def test_too_few_iterations_warn_and_say_so(travel_mode):
    with pytest.warns(NestflowWarning, match="did not converge"):
        result = fit(MultinomialLogit("gc + ttme"), travel_mode, max_iterations=2)
    assert not result.converged
    assert "NO: no convergence in 2 iterations" in str(result.summary())


def test_starting_values_do_not_matter_but_must_fit(travel_mode):
    model = NestedLogit("gc + ttme", nests=GROUND, base="car")
    usual = fit(model, travel_mode)
    other = fit(model, travel_mode, start=pd.Series(0.3, index=list(usual.names)))
    np.testing.assert_allclose(other.params, usual.params, atol=1e-6)
    with pytest.raises(EstimationError, match="finite value for each of the"):
        fit(model, travel_mode, start=[0.0])


def test_the_trust_region_climbs_out_of_a_convex_start():
    def rosenbrock(theta):
        x, y = theta
        f = -((1 - x) ** 2 + 100 * (y - x * x) ** 2)
        g = np.array([2 * (1 - x) + 400 * x * (y - x * x), -200 * (y - x * x)])
        H = np.array([[-2 + 400 * y - 1200 * x * x, 400 * x], [400 * x, -200.0]])
        return f, g, H

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = maximize(rosenbrock, np.array([-1.2, 3.0]))
    assert found.converged
    np.testing.assert_allclose(found.theta, [1.0, 1.0], atol=1e-6)


def test_constraints_that_leave_nothing_to_estimate(travel_mode):
    model = MultinomialLogit("gc | 0", constraints=["gc = -1"])
    with pytest.raises(SpecificationError, match="fix every parameter"):
        fit(model, travel_mode)


# --- coefficients without bounds ----------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        MultinomialLogit("gc | I(hinc > 60)", base="car"),
        MultinomialLogit("I(gc / 1e6) | I(hinc > 60)", base="car"),
        NestedLogit("gc | I(hinc > 60)", {"public": ["bus", "train"]}, base="car"),
    ],
)
def test_coefficients_that_run_to_infinity_are_named(model, travel_mode):
    # Nobody with an income above 60 took the bus.
    with pytest.warns(NestflowWarning, match=r"do not bound 'I\(hinc > 60\):bus': larger"):
        result = fit(model, travel_mode)
    assert any("do not bound" in note for note in result.notes)


def test_absorbed_constants_do_not_hide_coefficients_that_run_to_infinity(travel_mode):
    table = travel_mode.table
    rich_bus = (table["hinc"] > 60) & (table["mode"] == "bus")
    data = ChoiceData.from_long(table.assign(rich_bus=rich_bus), "individual", "mode", "choice")
    model = MultinomialLogit("gc + rich_bus | 0", constants="absorbed")
    with pytest.warns(NestflowWarning, match="do not bound 'rich_bus'"):
        fit(model, data)


def test_a_negative_variance_has_no_standard_error():
    bad = Estimates(("a", "b"), np.ones(2), Covariance(np.diag([1.0, -1.0]), "hessian"))
    with pytest.raises(EstimationError, match="gives 'b' a negative variance"):
        _ = bad.bse
    rounding = Estimates(("a", "b"), np.ones(2), Covariance(np.diag([1.0, -1e-18]), "hessian"))
    assert rounding.bse["b"] == 0
