"""Mixed logits estimated: published values, models with a known truth, and bad input."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from choicemodels import ChoiceData, MixedLogit, MultinomialLogit, load_data
from choicemodels.errors import EstimationError, NestflowWarning, SpecificationError
from choicemodels.mixed.distributions import DISTRIBUTIONS, moments, standardize
from choicemodels.mixed.draws import halton
from choicemodels.specify import specify
from estimation import fit, load_result
from estimation.choice.mixed_result import (
    coefficient_correlations,
    coefficient_moments,
    individual_parameters,
)
from estimation.newton import maximize

PUBLISHED = Path(__file__).parents[1] / "published"
FORMULA = "pf + cl + loc + wk + tod + seas | 0"
NORMAL = dict.fromkeys(("cl", "loc", "wk", "tod", "seas"), "normal")
MLOGIT = {
    "all_normal": {"pf": "normal", **NORMAL},
    "fixed_price": NORMAL,
    "uniform": {**NORMAL, "wk": "uniform"},
    "lognormal": {**NORMAL, "wk": "uniform", "tod": "-lognormal", "seas": "-lognormal"},
}
XLOGIT = {
    "normal": {"pf": "normal", **NORMAL},
    "bounded": {"cl": "normal", "loc": "triangular", "tod": "uniform"},
}


def published(key, file="values.toml"):
    return tomllib.loads((PUBLISHED / key / file).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def electricity():
    return ChoiceData.from_long(load_data("electricity"), "chid", "alt", "choice", panel="id")


@pytest.fixture(scope="module")
def train():
    """The trips with all signs turned, hours and euros, as mlogit's vignette has them."""
    wide = load_data("train")
    wide["choice"] = wide["choice"].str.removeprefix("choice").astype(int)
    units = {"price": 2.20371 / 100, "time": 1 / 60, "change": 1.0, "comfort": 1.0}
    for name, unit in units.items():
        for trip in "12":
            wide[f"{name}{trip}"] *= -unit
    return ChoiceData.from_wide(
        wide,
        choice="choice",
        alternatives={1: "first", 2: "second"},
        varying={name: {"first": f"{name}1", "second": f"{name}2"} for name in units},
        panel="id",
    )


def with_their_draws(model, data):
    """Give a likelihood the Halton points of mlogit and xlogit."""
    likelihood = specify(model, data)
    M, _, S = likelihood.draws.shape
    laws = [c.law for c in likelihood.parameters.coefficients if c.varies]
    draws = np.stack(
        [
            standardize(law, halton(M * S + 100, base)[100:]).reshape(M, S)
            for law, base in zip(laws, (2, 3, 5, 7, 11, 13), strict=False)
        ],
        axis=1,
    )
    return replace(likelihood, draws=draws)


def scores_of_choices(likelihood, theta):
    """Return the scores of the choices rather than of the makers, for normal coefficients only.

    ``s_t = sum_r w_r d log P_tr / d theta``; their sum over the choices of a maker is its score.
    """
    o, p = likelihood.observations, likelihood.parameters
    X = o.design.X.T.reshape(o.n_cases, 4, -1)
    drawn = [c.term for c in p.coefficients]
    e, unit = likelihood.draws, likelihood.unit
    b = np.repeat(theta[None, : X.shape[2], None], len(e), axis=0) * np.ones(e.shape[2])
    b[:, drawn] += theta[X.shape[2] :, None] * e
    V = np.einsum("njk,nkr->njr", X, b[unit])
    P = np.exp(V - np.logaddexp.reduce(V, axis=1)[:, None])
    cases = np.arange(o.n_cases)
    chosen = o.chosen - o.offsets[:-1]
    L = np.ones((len(e), e.shape[2]))
    np.multiply.at(L, unit, P[cases, chosen])
    w = (L / L.sum(axis=1, keepdims=True))[unit]
    s = X[cases, chosen][:, :, None] - np.einsum("njk,njr->nkr", X, P)
    means = np.einsum("nkr,nr->nk", s, w)
    return np.hstack([means, np.einsum("nkr,nkr,nr->nk", s[:, drawn], e[unit], w)])


@pytest.mark.parametrize("name", MLOGIT)
def test_electricity_as_in_mlogit(electricity, name):
    want = published("TrainCroissant2020b")[name]
    likelihood = with_their_draws(MixedLogit(FORMULA, MLOGIT[name], draws=100), electricity)
    names = likelihood.parameters.names
    there = np.array([want["params"][name] for name in names])
    found = maximize(likelihood.evaluate, there)
    at = likelihood.contributions(found.theta)
    assert round(at.llf, 1) == want["llf"]
    # Their search stops where it gains 1e-7 or so.
    np.testing.assert_allclose(found.theta, there, rtol=0, atol=2e-5)
    if name in ("all_normal", "fixed_price"):
        scores = scores_of_choices(likelihood, there)
        by_maker = np.zeros(at.score_obs.shape)
        np.add.at(by_maker, likelihood.unit, scores)
        own = likelihood.contributions(there).score_obs
        np.testing.assert_allclose(by_maker, own, rtol=1e-9, atol=1e-9)
        bse = np.sqrt(np.diag(np.linalg.inv(scores.T @ scores)))
        np.testing.assert_allclose(bse, [want["bse"][k] for k in names], rtol=0, atol=1.5e-6)


@pytest.mark.parametrize("name", XLOGIT)
def test_electricity_as_in_xlogit(electricity, name):
    want = published("Arteaga2022")[name]
    likelihood = with_their_draws(MixedLogit(FORMULA, XLOGIT[name], draws=100), electricity)
    theirs = [k.replace("sd:", "sd.") for k in likelihood.parameters.names]
    there = np.array([want["params"][k] for k in theirs])
    at = likelihood.contributions(there)
    assert at.llf == pytest.approx(want["llf"], abs=5e-8)
    step = np.linalg.solve(at.hessian, at.score)
    bse = np.sqrt(np.diag(np.linalg.inv(-at.hessian)))
    assert np.abs(step / bse).max() < 5e-4
    # Theirs is a Hessian by differences.
    np.testing.assert_allclose(bse, [want["bse"][k] for k in theirs], rtol=1e-6)


def test_train_as_in_mlogit(train):
    want = published("Croissant2020", "train.toml")["correlated"]
    formula, names = "price + time + change + comfort | 0", ("time", "change", "comfort")
    random = dict.fromkeys(names, "normal")
    fitted = {}
    for correlated in (False, True):
        model = MixedLogit(formula, random, correlated=correlated, draws=100)
        likelihood = with_their_draws(model, train)
        plain = fit(MultinomialLogit(formula), train, cov="hessian")
        start = likelihood.parameters.start_from(plain.theta)
        fitted[correlated] = maximize(likelihood.evaluate, start).theta
        llf = likelihood.evaluate(fitted[correlated])[0]
        fitted[correlated, "llf"] = llf
    against_fixed = 2 * (fitted[True, "llf"] - plain.llf)
    assert against_fixed == pytest.approx(want["statistic_against_fixed"], abs=5e-4)
    against = 2 * (fitted[True, "llf"] - fitted[False, "llf"])
    assert against == pytest.approx(want["statistic_against_uncorrelated"], abs=5e-4)
    theta = fitted[True]
    factor = np.zeros((3, 3))
    factor[np.tril_indices(3)] = theta[4:]
    covariance = pd.DataFrame(factor @ factor.T, names, names)
    for pair, value in want["covariance"].items():
        a, b = pair.split(",")
        near = 5e-5 * np.sqrt(covariance.loc[a, a] * covariance.loc[b, b])
        assert covariance.loc[a, b] == pytest.approx(value, abs=near)
    worth = want["wtp_of_time"]
    assert theta[1] / theta[0] == pytest.approx(worth["mean"], rel=1e-4)
    assert factor[0, 0] / theta[0] == pytest.approx(worth["sd"], rel=1e-4)


def test_what_the_distributions_imply_as_in_mlogit():
    want = published("TrainCroissant2020b")
    normal, skewed = want["all_normal"]["params"], want["lognormal"]["params"]
    implied = want["implied"]
    for name, key in (("cl", "share_disliking_length"), ("pf", "share_disliking_price")):
        got = moments(DISTRIBUTIONS["normal"], normal[name], normal[f"sd:{name}"])
        assert 1 - got.share_positive == pytest.approx(implied[key], abs=1e-6)
    for name in ("tod", "seas"):
        got = moments(DISTRIBUTIONS["-lognormal"], skewed[name], skewed[f"sd:{name}"])
        assert got.mean == pytest.approx(-implied[f"mean_{name}"], abs=2e-5)


def panel(makers, choices, alternatives=3, seed=0, law=None):
    """Choices by people whose coefficients are drawn by ``law(rng, makers)``, shape (makers, K)."""
    rng = np.random.default_rng(seed)
    b = law(rng, makers)
    K, N = b.shape[1], makers * choices
    X = rng.normal(size=(N, alternatives, K))
    V = np.einsum("njk,nk->nj", X, np.repeat(b, choices, axis=0)) + rng.gumbel(
        size=(N, alternatives)
    )
    chosen = V.argmax(axis=1)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(N), alternatives),
            "who": np.repeat(np.arange(makers), choices * alternatives),
            "alt": np.tile(list("abcdef")[:alternatives], N),
            "chosen": (np.arange(alternatives) == chosen[:, None]).ravel(),
            **{f"x{k}": X[:, :, k].ravel() for k in range(K)},
        }
    )
    return ChoiceData.from_long(table, "case", "alt", "chosen", panel="who"), b


COVARIANCE = np.array([[1.0, 0.5, 0.0], [0.5, 0.8, -0.3], [0.0, -0.3, 0.6]])


def correlated(rng, makers):
    return rng.multivariate_normal([1.0, -0.5, 0.3], COVARIANCE, size=makers)


@pytest.fixture(scope="module")
def recovered():
    data, b = panel(400, 8, law=correlated)
    model = MixedLogit(
        "x0 + x1 + x2 | 0", {f"x{k}": "normal" for k in range(3)}, correlated=True, draws=256
    )
    return fit(model, data), data, b


def test_a_price_with_its_sign_turned_changes_nothing_but_the_sign(electricity):
    table = electricity.table.assign(rebate=-electricity.table["pf"])
    data = ChoiceData.from_long(table, "chid", "alt", "choice", panel="id")
    options = {"random": {"cl": "normal"}, "space": "wtp", "draws": 100}
    price = fit(MixedLogit("pf + cl + loc | 0", price="pf", **options), data)
    rebate = fit(MixedLogit("rebate + cl + loc | 0", price="rebate", **options), data)
    assert price.converged
    assert rebate.converged
    # The draws of what it is worth change sign, and they are not quite symmetric.
    assert rebate.llf == pytest.approx(price.llf, abs=1.0)
    assert rebate.params["rebate"] == pytest.approx(-price.params["pf"], rel=0.02)


def test_a_correlated_panel_is_recovered(recovered):
    result, _, _ = recovered
    truth = np.concatenate([[1.0, -0.5, 0.3], np.linalg.cholesky(COVARIANCE)[np.tril_indices(3)]])
    assert np.abs((result.estimate - truth) / result.bse.to_numpy()).max() < 3
    assert result.cov_type == "robust"
    # The information equality: three covariances of one estimate.
    for kind in ("hessian", "bhhh"):
        ratio = result.with_cov(kind).bse / result.bse
        assert ratio.between(0.75, 1.35).all(), kind


def test_clusters_hold_whole_makers(recovered):
    result, data, _ = recovered
    by_person = result.with_cov("cluster", groups="who")
    np.testing.assert_allclose(by_person.bse, result.bse, rtol=1e-10)
    with pytest.raises(SpecificationError, match="varies within a decision maker"):
        result.with_cov("cluster", groups=np.arange(data.n_cases))


def test_coefficients_of_people_follow_their_true_ones(recovered):
    result, data, b = recovered
    own = individual_parameters(result)
    assert own.index.name == "who"
    assert own.index.tolist() == list(range(400))
    means = own.xs("mean", axis=1, level=1)
    for k in range(3):
        assert np.corrcoef(means[f"x{k}"], b[:, k])[0, 1] > 0.7
        # Revelt and Train: their mean is the population's, their variance lower.
        assert means[f"x{k}"].mean() == pytest.approx(result.params[f"x{k}"], abs=0.03)
    sd = coefficient_correlations(result).params[:3].to_numpy()
    assert (means.std().to_numpy() < sd).all()
    within = (own.xs("sd", axis=1, level=1) ** 2).mean().to_numpy()
    np.testing.assert_allclose(means.var().to_numpy() + within, sd**2, rtol=0.1)
    no_choices = replace(data, chosen=np.full(data.n_cases, -1))
    with pytest.raises(SpecificationError, match="needs the choices"):
        individual_parameters(result, no_choices)


def test_correlations_with_standard_errors(recovered):
    result, _, _ = recovered
    got = coefficient_correlations(result)
    assert got.names == (
        "sd:x0", "sd:x1", "sd:x2", "cor:x0:x1", "cor:x0:x2", "cor:x1:x2"
    )  # fmt: skip
    sd = np.sqrt(np.diag(COVARIANCE))
    truth = [*sd, *(COVARIANCE / np.outer(sd, sd))[np.tril_indices(3, -1)]]
    assert (np.abs(got.estimate - truth) < 3 * got.bse).all()
    # The first standard deviation is itself an element of the factor.
    assert got.bse["sd:x0"] == pytest.approx(result.bse["chol:x0:x0"], rel=1e-6)


def test_moments_of_the_coefficients(recovered):
    result, _, _ = recovered
    got = coefficient_moments(result)
    sd = coefficient_correlations(result).params
    assert got.params["x1: mean"] == result.params["x1"]
    assert got.params["x1: sd"] == pytest.approx(sd["sd:x1"], rel=1e-12)
    share = stats.norm.cdf(result.params["x1"] / sd["sd:x1"])
    assert got.params["x1: share > 0"] == pytest.approx(share, rel=1e-12)
    assert got.bse["x1: mean"] == pytest.approx(result.bse["x1"], rel=1e-6)


def test_probabilities_are_averages_over_the_population(recovered):
    """A new person has the population's coefficients, not those of anybody in the sample."""
    result, data, _ = recovered
    factor = np.zeros((3, 3))
    factor[np.tril_indices(3)] = result.estimate[3:]
    drawn = np.random.default_rng(1).normal(size=(40_000, 3)) @ factor.T + result.estimate[:3]
    P, logsum = result.predict()["probability"].to_numpy(), result.logsum().to_numpy()
    np.testing.assert_allclose(np.add.reduceat(P, data.offsets[:-1]), 1.0, rtol=1e-12)
    for case in (0, 700, 2_900):
        rows = slice(data.offsets[case], data.offsets[case + 1])
        V = drawn @ data.table.loc[data.table.index[rows], ["x0", "x1", "x2"]].to_numpy().T
        inclusive = np.logaddexp.reduce(V, axis=1)
        np.testing.assert_allclose(P[rows], np.exp(V - inclusive[:, None]).mean(axis=0), atol=0.01)
        assert logsum[case] == pytest.approx(inclusive.mean(), abs=0.03)


def test_saving_and_loading(recovered, tmp_path):
    result, data, _ = recovered
    again = load_result(result.save(tmp_path / "mixed.json"))
    assert again.parameters.names == result.parameters.names
    np.testing.assert_array_equal(
        again.predict(data)["probability"], result.predict()["probability"]
    )
    pd.testing.assert_frame_equal(
        coefficient_moments(again).table, coefficient_moments(result).table
    )


def skewed(rng, makers):
    return np.column_stack(
        [
            -np.exp(-0.2 + 0.5 * rng.normal(size=makers)),
            rng.triangular(-0.5, 0.8, 2.1, size=makers),
            stats.truncnorm.rvs(-0.5, np.inf, 0.4, 0.8, size=makers, random_state=rng),
        ]
    )


def test_other_distributions_are_recovered():
    data, _ = panel(600, 8, seed=3, law=skewed)
    laws = {"x0": "-lognormal", "x1": "triangular", "x2": "truncated"}
    result = fit(MixedLogit("x0 + x1 + x2 | 0", laws, draws=200), data)
    truth = np.array([-0.2, 0.8, 0.4, 0.5, 1.3, 0.8])
    assert np.abs((result.estimate - truth) / result.bse.to_numpy()).max() < 3


def test_willingness_to_pay_is_recovered():
    def money(rng, makers):
        price = -np.exp(0.1 + 0.4 * rng.normal(size=makers))
        worth = 1.5 + 0.6 * rng.normal(size=makers)
        return np.column_stack([price, -price * worth, -price * 0.8])

    data, _ = panel(500, 8, seed=5, law=money)
    model = MixedLogit(
        "x0 + x1 + x2 | 0",
        {"x0": "-lognormal", "x1": "normal"},
        space="wtp",
        price="x0",
        draws=200,
    )
    result = fit(model, data)
    truth = np.array([0.1, 1.5, 0.8, 0.4, 0.6])
    assert result.names == ("x0", "x1", "x2", "sd:x0", "sd:x1")
    assert np.abs((result.estimate - truth) / result.bse.to_numpy()).max() < 3
    implied = coefficient_moments(result).params
    assert implied["x0: median"] == pytest.approx(-np.exp(result.params["x0"]), rel=1e-12)


def test_spreads_fixed_at_zero_give_the_multinomial_logit(electricity):
    model = MixedLogit(
        FORMULA,
        {"cl": "normal", "wk": "uniform"},
        constraints=["sd:cl = 0", "sd:wk = 0"],
        draws=50,
    )
    with pytest.warns(NestflowWarning):
        mixed = fit(model, electricity)
    plain = fit(MultinomialLogit(FORMULA), electricity)
    assert mixed.llf == pytest.approx(plain.llf, abs=1e-8)
    np.testing.assert_allclose(mixed.params, plain.params, rtol=1e-7)
    np.testing.assert_allclose(
        mixed.with_cov("hessian").bse, plain.with_cov("hessian").bse, rtol=1e-6
    )
    by_person = plain.with_cov("cluster", groups="id")
    np.testing.assert_allclose(mixed.bse, by_person.bse, rtol=1e-6)


def test_more_draws_and_other_seeds_agree_within_simulation_error():
    data, _ = panel(200, 4, seed=8, law=correlated)
    random = {f"x{k}": "normal" for k in range(3)}
    estimates = []
    for sequence in ("halton", "sobol", "mlhs"):
        for seed in (0, 1):
            model = MixedLogit("x0 + x1 + x2 | 0", random, draws=512, sequence=sequence, seed=seed)
            result = fit(model, data)
            estimates.append(result.estimate)
    spread = np.std(estimates, axis=0)
    assert (spread < 0.2 * result.bse.to_numpy()).all()
    assert np.min(estimates, axis=0)[3:].min() > 0


def test_error_components_correlate_alternatives(travel_mode):
    """Train and bus share what is not observed, much as in a nest."""
    model = MixedLogit(
        "gc + ttme", error_components={"ground": ["train", "bus", "car"]}, base="car", draws=500
    )
    result = fit(model, travel_mode, cov="hessian")
    plain = fit(MultinomialLogit("gc + ttme", base="car"), travel_mode)
    assert result.llf > plain.llf + 2
    assert result.params["sd:ground"] > 2
    with pytest.raises(SpecificationError, match="only error components vary"):
        coefficient_moments(result)


BAD_MODELS = {
    "nothing varies": ({}, "nothing varies"),
    "distribution": ({"random": {"x": "gamma"}}, r"distribution 'gamma'.*normal, lognormal"),
    "misspelt": ({"random": {"x": "lognormall"}}, r"did you mean 'lognormal'"),
    "correlated stranger": (
        {"random": {"x": "normal"}, "correlated": ["y"]},
        "correlated names 'y'.*not in random",
    ),
    "correlated uniform": (
        {"random": {"x": "normal", "y": "uniform"}, "correlated": True},
        "'y' is uniform and cannot correlate",
    ),
    "correlated alone": (
        {"random": {"x": "normal", "y": "normal"}, "correlated": ["x"]},
        "'x' alone correlates with nothing",
    ),
    "component of a name": (
        {"random": {"x": "normal"}, "error_components": {"x": ["a"]}},
        "'x' names an error component and a coefficient",
    ),
    "empty component": ({"error_components": {"e": []}}, r"error_components\['e'\] holds \[\]"),
    "draws": ({"random": {"x": "normal"}, "draws": 0}, "draws is 0; it is a whole number"),
    "seed": ({"random": {"x": "normal"}, "seed": 1.5}, "seed is 1.5"),
    "sequence": ({"random": {"x": "normal"}, "sequence": "sobel"}, "did you mean 'sobol'"),
    "space": ({"random": {"x": "normal"}, "space": "money"}, "space is 'money'"),
    "no price": ({"random": {"x": "normal"}, "space": "wtp"}, "needs the term of the price"),
    "price without space": ({"random": {"x": "normal"}, "price": "x"}, "has no meaning without"),
    "price normal": (
        {"random": {"x": "normal"}, "space": "wtp", "price": "x"},
        "must not cross zero: it is '-lognormal'",
    ),
    "scale": ({"random": {"x": "normal"}, "scale": "y"}, "cannot go together with coefficients"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_specifications_that_cannot_be(name):
    options, message = BAD_MODELS[name]
    with pytest.raises(SpecificationError, match=message):
        MixedLogit("x + y", **options)


BAD_FITS = {
    "unknown term": ({"random": {"prise": "normal"}}, "random names 'prise'"),
    "unknown price": (
        {"random": {"cl": "normal"}, "space": "wtp", "price": "pg"},
        "price names 'pg', which is no term with a coefficient; these are: pf, cl",
    ),
    "unknown member": ({"error_components": {"e": ["1", "9"]}}, "names the alternative '9'"),
    "all members": (
        {"error_components": {"e": ["1", "2", "3", "4"]}},
        "enters all alternatives of every choice set",
    ),
    "twice": (
        {"error_components": {"e": ["1"], "f": ["2", "3", "4"]}},
        "'e' and 'f' move the same alternatives",
    ),
}


@pytest.mark.parametrize("name", BAD_FITS)
def test_specifications_that_do_not_fit_the_data(name, electricity):
    options, message = BAD_FITS[name]
    with pytest.raises(SpecificationError, match=message):
        fit(MixedLogit(FORMULA, **options), electricity)


@pytest.mark.parametrize("law", ["lognormal", "truncated"])
def test_a_sign_that_the_data_deny_is_refused(law, electricity):
    model = MixedLogit(FORMULA, {"pf": law}, draws=50)
    with pytest.raises(EstimationError, match=rf"'pf' is {law}, hence positive.*'-{law}'"):
        fit(model, electricity)


def test_a_lognormal_that_vanishes_is_named(electricity):
    model = MixedLogit(FORMULA, {"pf": "lognormal"}, draws=100)
    layout = specify(model, electricity).parameters
    theta = np.zeros(7)
    theta[layout.names.index("pf")], theta[-1] = -15.0, 0.5
    (caution,) = layout.cautions(theta)
    assert "its location runs to minus infinity" in caution
    assert "use '-lognormal' or 'normal'" in caution


def test_few_draws_are_said():
    data, _ = panel(60, 4, seed=8, law=correlated)
    with pytest.warns(NestflowWarning, match="20 draws for each decision maker are few"):
        fit(MixedLogit("x0 + x1 + x2 | 0", {"x0": "normal"}, draws=20), data)


def test_a_panel_of_single_choices_is_said():
    data, _ = panel(300, 1, law=correlated)
    with pytest.warns(NestflowWarning, match=r"\('who'\) makes one choice.*spreads of x0 rest on"):
        fit(MixedLogit("x0 + x1 + x2 | 0", {"x0": "normal"}, draws=100), data)


def test_a_coefficient_that_does_not_vary_is_said():
    data, _ = panel(300, 5, seed=2, law=lambda rng, makers: np.full((makers, 2), 0.8))
    model = MixedLogit("x0 + x1 | 0", {"x0": "normal"}, draws=100)
    layout = specify(model, data).parameters
    (caution,) = layout.cautions(np.array([0.8, 0.8, 1e-4]))
    assert "'x0' hardly varies" in caution
    assert not layout.cautions(np.array([0.8, 0.8, 0.3]))


def test_collinear_columns_are_named_whether_they_vary_or_not(electricity):
    table = electricity.table.assign(twice=2 * electricity.table["cl"])
    data = replace(electricity, table=table)
    model = MixedLogit("pf + cl + twice | 0", {"cl": "normal", "twice": "normal"}, draws=100)
    with pytest.raises(EstimationError, match=r"'cl', 'twice' are collinear"):
        fit(model, data)


def test_individual_parameters_need_a_mixed_logit(electricity):
    plain = fit(MultinomialLogit(FORMULA), electricity)
    with pytest.raises(SpecificationError, match="only in a mixed logit do coefficients vary"):
        individual_parameters(plain)


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """Over 200 samples, the robust 95 percent intervals hold the truth about as often."""
    truth = np.array([1.0, -0.5, 0.8, 0.6])

    def law(rng, makers):
        return truth[:2] + truth[2:] * rng.normal(size=(makers, 2))

    covered = []
    for seed in range(200):
        data, _ = panel(200, 6, seed=seed, law=law)
        model = MixedLogit("x0 + x1 | 0", {"x0": "normal", "x1": "normal"}, draws=200, seed=seed)
        limits = fit(model, data).conf_int()
        covered.append((limits["lower"] < truth) & (truth < limits["upper"]))
    share = np.mean(covered, axis=0)
    assert ((share > 0.9) & (share < 0.99)).all()
