"""Tests of specifications: published values, brute force, other software, and when they refuse."""

import tomllib
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit, OrderedChoice
from choicemodels.choices.scenario_data import drop_alternatives, keep_cases
from choicemodels.errors import SpecificationError
from choicemodels.specify import specify
from estimation import fit, load_result
from estimation.choice.specification_tests import (
    HypothesisTest,
    ben_akiva_swait_test,
    hausman_mcfadden_test,
    lambda_one_test,
    lr_test,
    score_test,
    small_hsiao_test,
)

# Estimates above one are welcome here.
pytestmark = pytest.mark.filterwarnings("ignore:the dissimilarity")

PUBLISHED = Path(__file__).parents[1] / "published"
GREENE = MultinomialLogit("gc + ttme", specific={"air": "0 + hinc"}, base="car")


def values(key):
    return tomllib.loads((PUBLISHED / key / "values.toml").read_text(encoding="utf-8"))


def weighted(data, weights):
    return replace(data, weights=np.asarray(weights, dtype=float))


@pytest.fixture(scope="module")
def greene(travel_mode):
    return fit(GREENE, travel_mode)


@pytest.fixture(scope="module")
def small(travel_mode):
    return fit(MultinomialLogit("gc + ttme", base="car"), travel_mode)


@pytest.fixture(scope="module")
def large(travel_mode):
    return fit(MultinomialLogit("gc + ttme + invt | hinc", base="car"), travel_mode)


# The object


def test_a_test_speaks_one_sentence():
    test = HypothesisTest.chi2("Wald test", "cost = 0", 4.3234, 1)
    assert str(test) == "Wald test of cost = 0: chi2(1) = 4.3234, p = 0.0376."
    assert test.applies
    refused = HypothesisTest.refused("Wald test", "cost = 0", "it is fixed")
    assert str(refused) == "Wald test of cost = 0 does not apply: it is fixed."
    assert not refused.applies
    assert refused.pvalue is None
    assert str(HypothesisTest.chi2("W", "x", 100.0, 1, "n")).endswith("p < 0.0001 (n).")
    with pytest.raises(FrozenInstanceError):
        test.statistic = 0.0


def test_wald_tests_give_the_same_object(greene):
    test = greene.wald_test("gc = 0, ttme = 0")
    assert isinstance(test, HypothesisTest)
    assert test.df == 2


def test_a_wald_test_of_what_a_constraint_fixes_does_not_apply(travel_mode):
    model = MultinomialLogit("gc + invt", base="car", constraints=["gc = invt"])
    test = fit(model, travel_mode).wald_test("gc = invt")
    assert not test.applies
    assert "constraints fix a combination" in test.reason


# Likelihood ratio

HC = "ich + och + icca + occa + inc_room + inc_cooling + cooling | 0"
COOLING = {"cooling": ["gcc", "ecc", "erc", "hpc"], "other": ["gc", "ec", "er"]}
CENTRAL = {"central": ["ec", "ecc", "gc", "gcc", "hpc"], "room": ["er", "erc"]}


def test_too_few_clusters_are_not_taken_for_constraints(travel_mode):
    model = MultinomialLogit("gc + ttme + invt")
    result = fit(model, travel_mode, cov="cluster", groups=np.arange(210) % 2)
    test = result.wald_test("gc = ttme = invt = 0")
    assert not test.applies
    assert "2 clusters tell 1 restrictions apart at most" in test.reason


def test_samples_in_another_order_are_the_same(travel_mode, small, large):
    table = travel_mode.table.sample(frac=1, random_state=1)
    data = ChoiceData.from_long(
        table, "individual", "mode", "choice", alternatives=["train", "car", "air", "bus"]
    )
    shuffled = fit(large.model, data)
    assert lr_test(small, shuffled).statistic == pytest.approx(lr_test(small, large).statistic)


def test_a_name_does_not_make_a_sample_weighted(travel_mode):
    table = travel_mode.table.rename(columns={"invt": "weighted_invt"})
    data = ChoiceData.from_long(table, "individual", "mode", "choice")
    larger = MultinomialLogit("gc + weighted_invt")
    smaller = replace(larger, constraints=["weighted_invt = -0.001"])
    assert lr_test(fit(smaller, data), fit(larger, data)).applies


def test_what_the_score_test_cannot_take(small, large):
    with pytest.raises(SpecificationError, match="not a ChoiceResult and a ChoiceResult"):
        score_test(small, large)


def test_published_likelihood_ratios_on_hc(hc):
    want = values("TrainCroissant2020")
    mnl = fit(MultinomialLogit(HC), hc)
    one = fit(NestedLogit(HC, COOLING, lambdas="shared"), hc)
    two = fit(NestedLogit(HC, COOLING), hc)
    test = lr_test(mnl, one)
    assert test.statistic == pytest.approx(want["one_lambda"]["statistic"], abs=1e-4)
    assert test.pvalue == pytest.approx(want["one_lambda"]["pvalue"], abs=1e-5)
    assert test.df == 1
    z = one.with_cov("bhhh").t_test("lambda = 1").iloc[0]["z"]
    assert z == pytest.approx(want["one_lambda"]["z_bhhh"], abs=2e-5)
    test = lr_test(one, two)
    assert test.statistic == pytest.approx(want["two_against_one"]["statistic"], abs=1e-4)
    assert lr_test(mnl, two).df == 2


def test_published_test_of_a_lambda_above_one(hc):
    want = values("TrainCroissant2020")["central_room"]
    result = fit(NestedLogit(HC, CENTRAL, lambdas="shared"), hc)
    test = lambda_one_test(result)
    assert test.statistic == pytest.approx(want["statistic"], abs=1e-4)
    assert test.pvalue == pytest.approx(want["pvalue"], abs=1e-3)
    assert test.hypothesis == "lambda = 1"
    z = result.with_cov("bhhh").t_test("lambda = 1").iloc[0]["z"]
    # mlogit stopped at a Newton decrement of 5.87e-7, 7.7e-4 standard errors from its maximum.
    assert z == pytest.approx(want["z_bhhh"], abs=7.7e-4)


def test_lambda_one_is_the_ratio_to_the_multinomial_logit(hc):
    two = fit(NestedLogit(HC, COOLING), hc)
    by_hand = lr_test(fit(MultinomialLogit(HC), hc), two)
    test = lambda_one_test(two)
    assert test.statistic == pytest.approx(by_hand.statistic, abs=1e-8)
    assert test.df == 2
    half = fit(NestedLogit(HC, COOLING, lambdas={"other": 0.5}), hc)
    fixed = fit(NestedLogit(HC, COOLING, lambdas={"other": 0.5, "cooling": 1.0}), hc)
    assert lambda_one_test(half).statistic == pytest.approx(2 * (half.llf - fixed.llf), abs=1e-8)


@pytest.mark.parametrize(
    ("restricted", "unrestricted"),
    [
        ("gc | 0", "gc + ttme | 0"),
        ("gc + invt | hinc", "gc | hinc | invt"),
        ("gc + invt", "| | gc + invt"),
        ("gc", "gc | hinc"),
    ],
)
def test_nesting_is_seen_across_kinds_of_coefficients(travel_mode, restricted, unrestricted):
    first = fit(MultinomialLogit(restricted, base="car"), travel_mode)
    second = fit(MultinomialLogit(unrestricted, base="air"), travel_mode)
    test = lr_test(first, second)
    assert test.applies, test.reason
    assert test.statistic == pytest.approx(2 * (second.llf - first.llf))
    assert test.df == second.df_model - first.df_model


def test_nesting_is_seen_across_trees(travel_mode):
    mnl = fit(MultinomialLogit("gc + ttme", base="car"), travel_mode)
    flat = fit(
        NestedLogit("gc + ttme", {"ground": ["train", "bus", "car"]}, base="car"), travel_mode
    )
    deep = NestedLogit(
        "gc + ttme", {"ground": {"public": ["train", "bus"], "own": ["car"]}}, base="car"
    )
    deep = fit(deep, travel_mode)
    assert lr_test(mnl, flat).df == 1
    assert lr_test(flat, deep).applies
    other = fit(NestedLogit("gc + ttme", {"fast": ["air", "car"]}, base="car"), travel_mode)
    test = lr_test(other, deep)
    assert not test.applies
    assert "not nested" in test.reason


def test_constraints_are_degrees_of_freedom(travel_mode):
    equal = MultinomialLogit("gc + invt + ttme", base="car", constraints=["gc = invt"])
    first = fit(equal, travel_mode)
    second = fit(MultinomialLogit("gc + invt + ttme", base="car"), travel_mode)
    assert lr_test(first, second).df == 1
    assert score_test(first, replace(equal, constraints=())).df == 1


def test_likelihood_ratios_that_do_not_apply(travel_mode, small, large, greene, tmp_path):
    other = fit(MultinomialLogit("invc", base="car"), travel_mode)
    assert "'invc' of the first model has no place" in lr_test(other, large).reason
    assert "restricted model comes first" in lr_test(large, small).reason
    half = fit(small.model, keep_cases(travel_mode, np.arange(100)))
    assert "the samples differ: 100 and 210" in lr_test(half, large).reason
    moved = keep_cases(travel_mode, np.roll(np.arange(210), 1))
    shifted = replace(moved, case_ids=travel_mode.case_ids)
    assert "choices or the choice sets" in lr_test(fit(small.model, shifted), large).reason
    weights = 1 + np.arange(210) % 2
    pair = [fit(r.model, weighted(travel_mode, weights)) for r in (small, large)]
    assert "the observations are weighted" in lr_test(*pair).reason
    test = lr_test(small, replace(large, llf=small.llf - 1))
    assert "stopped short of the maximum" in test.reason
    assert test.statistic == pytest.approx(-2)
    stopped = replace(large, optimum=replace(large.optimum, converged=False))
    assert "the second model did not converge" in lr_test(small, stopped).reason
    back = load_result(small.save(tmp_path / "small.json"))
    assert lr_test(back, large).applies
    assert not lr_test(load_result(other.save(tmp_path / "other.json")), large).applies


def test_clusters_are_noted(small, large):
    clustered = large.with_cov("cluster", groups=np.arange(210) // 2)
    assert "use wald_test" in lr_test(small, clustered).note


def test_ordered_models_and_what_is_no_likelihood(travel_mode, small):
    table = pd.DataFrame(
        {"y": np.arange(60) % 3, "x": np.sin(np.arange(60)), "z": np.arange(60) % 7}
    )
    one = fit(OrderedChoice("x", outcome="y"), table)
    two = fit(OrderedChoice("x + z", outcome="y"), table)
    assert lr_test(one, two).statistic == pytest.approx(2 * (two.llf - one.llf))
    other = fit(OrderedChoice("I(z ** 2)", outcome="y"), table)
    assert "'I(z ** 2)' of the first model has no place" in lr_test(other, two).reason
    assert "not comparable" in lr_test(one, small).reason


# Score


def test_the_score_test_is_statsmodels_own_in_a_binary_logit():
    import statsmodels.api as sm

    rng = np.random.default_rng(5)
    x = rng.normal(size=(400, 3))
    y = (rng.random(400) < 1 / (1 + np.exp(-x[:, 0] - 0.3 * x[:, 1]))).astype(int)
    long = pd.DataFrame(
        {
            "case": np.repeat(np.arange(400), 2),
            "alt": ["no", "yes"] * 400,
            "chosen": np.column_stack([1 - y, y]).ravel(),
            "a": np.repeat(x[:, 0], 2), "b": np.repeat(x[:, 1], 2), "c": np.repeat(x[:, 2], 2),
        }
    )  # fmt: skip
    data = ChoiceData.from_long(long, "case", "alt", "chosen")
    ours = score_test(fit(MultinomialLogit("| a"), data), MultinomialLogit("| a + b + c"))
    theirs = sm.Logit(y, sm.add_constant(x[:, :1])).fit(disp=0).score_test(exog_extra=x[:, 1:])
    assert ours.statistic == pytest.approx(theirs[0], rel=1e-6)
    assert ours.pvalue == pytest.approx(theirs[1], rel=1e-5)
    assert ours.df == 2


def by_hand(result, model, data, names, kind):
    """The textbook partition, for a larger model whose further parameters are zero or one."""
    likelihood = specify(model, data)
    all_names = list(likelihood.parameters.names)
    theta = np.array(
        [result.params.get(k, 1.0 if k.startswith("lambda") else 0.0) for k in all_names]
    )
    at = likelihood.contributions(theta)
    new = [all_names.index(k) for k in names]
    bread = np.linalg.inv(-at.hessian)
    if kind == "hessian":
        return at.score @ bread @ at.score
    if kind == "bhhh":
        return at.score @ np.linalg.inv(at.score_obs.T @ at.score_obs) @ at.score
    move = (bread @ at.score)[new]
    V = bread @ at.score_obs.T @ at.score_obs @ bread
    return move @ np.linalg.solve(V[np.ix_(new, new)], move)


@pytest.mark.parametrize("kind", ["hessian", "bhhh", "robust"])
def test_score_tests_by_the_textbook_partition(travel_mode, small, kind):
    larger = MultinomialLogit("gc + ttme + invt | hinc", base="car")
    new = ["invt", "hinc:air", "hinc:train", "hinc:bus"]
    test = score_test(small, larger, kind=kind)
    assert test.df == 4
    assert test.statistic == pytest.approx(by_hand(small, larger, travel_mode, new, kind), rel=1e-8)
    nests = NestedLogit("gc + ttme", {"ground": ["train", "bus", "car"]}, base="car")
    test = score_test(small, nests, kind=kind)
    want = by_hand(small, nests, travel_mode, ["lambda:ground"], kind)
    assert (test.df, test.statistic) == (1, pytest.approx(want, rel=1e-8))


def test_the_score_test_of_equal_coefficients(travel_mode, small):
    """A coefficient that splits up is the same hypothesis in other coordinates."""
    test = score_test(small, MultinomialLogit("gc | | ttme", base="car", specific={}))
    table = travel_mode.table.copy()
    for mode in ("train", "bus", "car"):
        table[f"ttme_{mode}"] = table["ttme"] * (table["mode"] == mode)
    data = ChoiceData.from_long(table, "individual", "mode", "choice")
    # Terminal time of the car is zero, so it carries no coefficient.
    again = fit(small.model, data)
    plus = score_test(again, MultinomialLogit("gc + ttme + ttme_train + ttme_bus", base="car"))
    assert not test.applies
    assert "ttme:car" in test.reason
    assert plus.df == 2
    split = score_test(
        again,
        MultinomialLogit("gc + ttme_train + ttme_bus", specific={"air": "0 + ttme"}, base="car"),
    )
    assert not split.applies
    generic = fit(MultinomialLogit("gc + invt", base="car"), travel_mode)
    by_mode = score_test(generic, MultinomialLogit("gc | | invt", base="car"))
    assert by_mode.df == 3
    lr = lr_test(generic, fit(MultinomialLogit("gc | | invt", base="car"), travel_mode))
    assert by_mode.statistic == pytest.approx(lr.statistic, rel=0.35)


def test_the_three_tests_agree_near_the_null():
    data = generated(seed=3, cases=5_000, lam=1.0)
    mnl, nests = MultinomialLogit("x"), NestedLogit("x", {"m": ["a", "b"]})
    first, second = fit(mnl, data), fit(nests, data, cov="hessian")
    lr = lr_test(first, second).statistic
    assert score_test(first, nests).statistic == pytest.approx(lr, rel=0.05)
    assert second.wald_test("lambda:m = 1").statistic == pytest.approx(lr, rel=0.1)


def test_clustered_score_tests(small):
    larger = MultinomialLogit("gc + ttme + invt", base="car")
    own = score_test(small, larger, kind="cluster", groups=np.arange(210))
    assert own.statistic == pytest.approx(score_test(small, larger, kind="robust").statistic)
    pairs = score_test(small, larger, kind="cluster", groups=np.arange(210) // 2)
    assert pairs.statistic != pytest.approx(own.statistic, rel=1e-3)


def test_score_tests_that_do_not_apply(travel_mode, small, tmp_path):
    larger = MultinomialLogit("gc + ttme + invt", base="car")
    assert "no place" in score_test(small, MultinomialLogit("gc + invt", base="car")).reason
    assert "no further parameter" in score_test(small, small.model).reason
    heavy = fit(small.model, weighted(travel_mode, 1 + np.arange(210) % 2))
    assert "weighted" in score_test(heavy, larger).reason
    assert score_test(heavy, larger, kind="robust").applies
    back = load_result(small.save(tmp_path / "small.json"))
    assert "does not keep the data" in score_test(back, larger).reason
    fixed = NestedLogit("gc + ttme + invt", {"g": ["train", "bus"]}, base="car", lambdas={"g": 0.5})
    assert "has the log-likelihood" in score_test(small, fixed).reason


def test_absorbed_constants_change_no_test(travel_mode):
    explicit, absorbed = (
        {"formula": "gc + ttme"},
        {"formula": "gc + ttme | 0", "constants": "absorbed"},
    )
    more = [
        {**options, "formula": f"invt + {options['formula']}"} for options in (explicit, absorbed)
    ]
    small, hidden = (
        fit(MultinomialLogit(**o, base="car"), travel_mode) for o in (explicit, absorbed)
    )
    larger = [MultinomialLogit(**options, base="car") for options in more]
    for kind in ("hessian", "robust"):
        want, got = (
            score_test(small, larger[0], kind=kind),
            score_test(hidden, larger[1], kind=kind),
        )
        assert got.statistic == pytest.approx(want.statistic, rel=1e-7)
        assert got.hypothesis == want.hypothesis
    assert "partialled out" in score_test(hidden, larger[1], kind="bhhh").reason
    want = lr_test(small, fit(larger[0], travel_mode))
    got = lr_test(hidden, fit(larger[1], travel_mode))
    assert (got.df, got.statistic) == (1, pytest.approx(want.statistic, rel=1e-8))
    assert "absorbs its constants" in lr_test(hidden, fit(larger[0], travel_mode)).reason
    assert "absorbs its constants" in score_test(hidden, larger[0]).reason
    ground = {"nests": {"ground": ["train", "bus", "car"]}, "base": "car"}
    nested = [fit(NestedLogit(**o, **ground), travel_mode) for o in (explicit, absorbed)]
    want, got = map(lambda_one_test, nested)
    assert got.statistic == pytest.approx(want.statistic, rel=1e-8)


@pytest.mark.parametrize(
    "options", [{"scale": "psize"}, {"size": "gc", "size_coefficient": "free"}]
)
def test_scales_and_sizes_are_extensions(travel_mode, options):
    small = fit(MultinomialLogit("ttme", base="car"), travel_mode)
    larger = MultinomialLogit("ttme", base="car", **options)
    ratio, score = lr_test(small, fit(larger, travel_mode)), score_test(small, larger)
    assert (ratio.df, score.df) == (1, 1)
    assert score.statistic == pytest.approx(ratio.statistic, rel=0.25)


def test_another_family_is_a_guide(travel_mode, small):
    from choicemodels.cross_nested.specification import CrossNestedLogit

    crossed = CrossNestedLogit(
        "gc + ttme", {"a": ["train", "bus", "car"], "b": ["train", "air"]}, base="car"
    )
    result = fit(crossed, travel_mode)
    assert "only a guide" in lr_test(small, result).note
    assert "is a cross-nested logit" in lambda_one_test(result).reason


# Independence of irrelevant alternatives


def test_the_published_hausman_test(greene, travel_mode):
    want = values("Greene2003")["hausman"]
    test = hausman_mcfadden_test(greene, "air")
    assert test.statistic == pytest.approx(want["statistic"], abs=5e-4)
    assert test.df == want["df"]
    assert test.pvalue == pytest.approx(stats.chi2.sf(want["statistic"], 4), rel=1e-3)
    names = list(want["full"])
    np.testing.assert_allclose(greene.params[names], list(want["full"].values()), atol=5e-4)
    ground = keep_cases(travel_mode, travel_mode.chosen_alternative != 0)
    some = fit(MultinomialLogit("gc + ttme", base="car"), drop_alternatives(ground, "air"))
    assert some.nobs == want["cases_without_air"]
    np.testing.assert_allclose(some.params[names], list(want["without_air"].values()), atol=5e-4)


def test_the_base_may_be_left_out(travel_mode):
    against_air = replace(GREENE, base="air")
    test = hausman_mcfadden_test(fit(against_air, travel_mode), ["air"])
    want = hausman_mcfadden_test(fit(GREENE, travel_mode), ["air"])
    assert test.statistic == pytest.approx(want.statistic, rel=1e-6)


def test_the_robust_hausman_test_by_brute_force(greene, travel_mode):
    test = hausman_mcfadden_test(greene, "air", cov="robust")
    some = travel_mode.chosen_alternative != 0
    smaller = fit(
        MultinomialLogit("gc + ttme", base="car"),
        drop_alternatives(keep_cases(travel_mode, some), "air"),
    )
    common = list(smaller.names)
    rows = [greene.names.index(k) for k in common]
    moves = np.zeros((210, 4))
    moves[some] = smaller.score_obs @ np.linalg.inv(-smaller.hessian)
    moves -= (greene.score_obs @ np.linalg.inv(-greene.hessian))[:, rows]
    gap = (smaller.params - greene.params[common]).to_numpy()
    want = gap @ np.linalg.solve(moves.T @ moves, gap)
    assert test.statistic == pytest.approx(want, rel=1e-9)
    assert (test.df, test.applies) == (4, True)


def generated(seed, cases, lam):
    """Choices among a, b and c, the first two in one nest."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 3),
            "alt": list("abc") * cases,
            "x": rng.normal(size=3 * cases),
            "w": np.repeat(rng.integers(1, 3, size=cases).astype(float), 3),
        }
    )
    model = NestedLogit("x", {"m": ["a", "b"]}, lambdas={"m": lam})
    likelihood = specify(model, ChoiceData.from_long(table, "case", "alt"))
    P, _ = likelihood.probabilities(np.array([0.2, -0.1, 1.0]))
    cumulative = P.reshape(cases, 3).cumsum(axis=1)
    pick = (rng.random((cases, 1)) > cumulative).sum(axis=1)
    table["chosen"] = (np.arange(3) == pick[:, None]).ravel()
    return ChoiceData.from_long(table, "case", "alt", "chosen")


def test_iia_tests_find_a_nest_and_leave_none_alone():
    mnl = MultinomialLogit("x")
    nested = fit(mnl, generated(seed=1, cases=4_000, lam=0.4))
    plain = fit(mnl, generated(seed=2, cases=4_000, lam=1.0))
    for omit in ("b", "c"):
        for cov in ("hessian", "robust"):
            assert hausman_mcfadden_test(nested, omit, cov=cov).pvalue < 1e-4
            assert hausman_mcfadden_test(plain, omit, cov=cov).pvalue > 0.05
        assert small_hsiao_test(plain, omit, seed=1).pvalue > 0.05
    assert small_hsiao_test(nested, "c", seed=1).pvalue < 1e-4
    # Far from the null the covariances differ by an indefinite matrix; the joint one does not.
    assert "not positive definite" in hausman_mcfadden_test(nested, "a").reason
    assert hausman_mcfadden_test(nested, "a", cov="robust").pvalue < 1e-4


@pytest.mark.slow
def test_the_size_of_the_iia_tests_under_the_null():
    """Rejections at 5 percent over 200 samples: binomial limits at 99.9 percent are 1 to 22."""
    found = {"hausman": 0, "robust": 0, "small-hsiao": 0}
    for seed in range(200):
        result = fit(MultinomialLogit("x"), generated(seed, cases=500, lam=1.0))
        plain = hausman_mcfadden_test(result, "a")
        found["hausman"] += plain.applies and plain.pvalue < 0.05
        found["robust"] += hausman_mcfadden_test(result, "a", cov="robust").pvalue < 0.05
        found["small-hsiao"] += small_hsiao_test(result, "a", seed=seed).pvalue < 0.05
    assert all(1 <= count <= 22 for count in found.values()), found


def test_small_hsiao_by_brute_force(greene, travel_mode):
    test = small_hsiao_test(greene, "air", seed=4)
    order = np.random.default_rng(4).permutation(210)
    halves = [keep_cases(travel_mode, np.sort(half)) for half in np.array_split(order, 2)]
    both = [fit(GREENE, half).params for half in halves]
    b = np.sqrt(0.5) * both[0] + (1 - np.sqrt(0.5)) * both[1]
    rows = halves[1].table.assign(row=np.arange(len(halves[1].table)))
    rows = rows[
        ~rows["individual"].isin(
            rows.loc[(rows["mode"] == "air") & (rows["choice"] == 1), "individual"]
        )
    ]
    rows = rows[rows["mode"] != "air"]

    def loss(theta):
        V = theta[2] * rows["gc"] + theta[3] * rows["ttme"]
        V = V + theta[0] * (rows["mode"] == "train") + theta[1] * (rows["mode"] == "bus")
        logsum = np.log(np.exp(V).groupby(rows["individual"]).sum())
        return float(logsum.sum() - V[rows["choice"] == 1].sum())

    at = b[["(Intercept):train", "(Intercept):bus", "gc", "ttme"]].to_numpy()
    best = optimize.minimize(loss, at, method="BFGS", options={"gtol": 1e-6})
    assert test.statistic == pytest.approx(2 * (loss(at) - best.fun), abs=1e-4)
    assert test.df == 4
    assert "seed 4" in test.note
    assert small_hsiao_test(greene, "air", seed=4) == test
    assert small_hsiao_test(greene, "air", seed=5) != test


def test_iia_tests_that_do_not_apply(travel_mode, greene, small, tmp_path):
    indefinite = hausman_mcfadden_test(small, "car")
    assert not indefinite.applies
    assert indefinite.pvalue is None
    assert f"so {indefinite.statistic:.4f} is no chi-squared statistic" in indefinite.reason
    assert hausman_mcfadden_test(small, "car", cov="robust").applies
    nests = fit(NestedLogit("gc", {"g": ["train", "bus"]}, base="car"), travel_mode)
    back = load_result(greene.save(tmp_path / "greene.json"))
    heavy = fit(GREENE, weighted(travel_mode, 1 + np.arange(210) % 2))
    for test in (hausman_mcfadden_test, small_hsiao_test):
        assert "on a multinomial logit" in test(nests, "air").reason
        assert "does not keep the data" in test(back, "air").reason
        assert "weighted" in test(heavy, "air").reason
    assert hausman_mcfadden_test(heavy, "air", cov="robust").applies
    table = travel_mode.table.assign(income_air=lambda t: t["hinc"] * (t["mode"] == "air"))
    data = ChoiceData.from_long(table, "individual", "mode", "choice")
    column = fit(MultinomialLogit("gc + ttme + income_air", base="car"), data)
    test = hausman_mcfadden_test(column, "air")
    assert "cannot be estimated: " in test.reason
    assert "income_air" in test.reason
    rest = MultinomialLogit("gc + ttme", base="car")
    mended = hausman_mcfadden_test(column, "air", model=rest)
    want = hausman_mcfadden_test(greene, "air")
    assert mended.statistic == pytest.approx(want.statistic, rel=1e-6)
    assert "not a nested logit" in lambda_one_test(greene).reason
    fixed = fit(
        NestedLogit("gc", {"g": ["train", "bus"]}, base="car", lambdas={"g": 0.5}), travel_mode
    )
    assert "no lambda was estimated" in lambda_one_test(fixed).reason
    back = load_result(nests.save(tmp_path / "nests.json"))
    assert "does not keep the data" in lambda_one_test(back).reason


@pytest.mark.parametrize(
    ("omit", "message"),
    [
        ("plane", "names the alternative 'plane'"),
        (["air", "train", "bus"], "leave at least two"),
        ([], "leave at least two"),
    ],
)
def test_alternatives_that_cannot_be_left_out(greene, omit, message):
    with pytest.raises(SpecificationError, match=message):
        hausman_mcfadden_test(greene, omit)
    with pytest.raises(SpecificationError, match=message):
        small_hsiao_test(greene, omit)


# Models that are not nested


def test_ben_akiva_and_swait_by_hand(travel_mode):
    one = fit(MultinomialLogit("gc + ttme", base="car"), travel_mode)
    two = fit(MultinomialLogit("invc + invt", base="car"), travel_mode)
    test = ben_akiva_swait_test(one, two)
    L0 = -210 * np.log(4)
    high, low = (1 - (r.llf - r.df_model) / L0 for r in (one, two))
    assert high > low
    want = stats.norm.cdf(-np.sqrt(-2 * (high - low) * L0 + (one.df_model - two.df_model)))
    assert test.pvalue == pytest.approx(want, rel=1e-12)
    assert ben_akiva_swait_test(two, one) == test
    assert "p < 0.0001" in str(test)
    assert f"{low:.4f} and {high:.4f}" in test.hypothesis


def test_ben_akiva_and_swait_when_it_does_not_apply(travel_mode, small):
    assert "too close" in ben_akiva_swait_test(small, small).reason
    half = fit(small.model, keep_cases(travel_mode, np.arange(100)))
    assert "samples differ" in ben_akiva_swait_test(small, half).reason
    with pytest.raises(SpecificationError, match="two fitted choice models"):
        ben_akiva_swait_test(small, "large")


def test_samples_drawn_by_choices(travel_mode):
    weights = np.array([0.5, 1.5, 0.8, 1.2])[travel_mode.chosen_alternative]
    shares = {"air": 0.14, "train": 0.45, "bus": 0.11, "car": 0.30}
    data = replace(travel_mode, weights=weights, population_shares=shares)
    result = fit(GREENE, data)
    assert "weighted" in hausman_mcfadden_test(result, "air").reason
    assert hausman_mcfadden_test(result, "air", cov="robust").applies
    nested = fit(NestedLogit("gc + ttme", {"ground": ["train", "bus", "car"]}, base="car"), data)
    assert "weighted" in lambda_one_test(nested).reason
    larger = MultinomialLogit("gc + ttme + invt", specific={"air": "0 + hinc"}, base="car")
    assert "weighted" in score_test(result, larger).reason
    assert score_test(result, larger, kind="robust").applies
