"""The simulated likelihood against brute force, quadrature, and the models it must collapse to."""

from dataclasses import replace

import numba
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import ndtr, ndtri

from choicemodels import ChoiceData, MixedLogit, MultinomialLogit
from choicemodels.errors import DataError
from choicemodels.mixed.distributions import DISTRIBUTIONS, standardize
from choicemodels.mixed.parameters import MixedParameters
from choicemodels.specify import layout_from_dict, model_from_dict, model_to_dict, specify

ALTERNATIVES = list("abcd")


def generated(cases=40, makers=12, seed=0, weighted=True):
    """Ragged choice sets, whose makers take turns, so that no maker's cases are neighbours."""
    rng = np.random.default_rng(seed)
    rows = []
    for case in range(cases):
        offered = sorted(rng.permutation(4)[: rng.integers(1 if case == 3 else 2, 5)])
        if case == 3:
            offered = offered[:1]
        chosen = rng.integers(len(offered))
        for i, j in enumerate(offered):
            values = (*rng.normal(size=3), *(0.3 + rng.random(3)))
            rows.append((case, ALTERNATIVES[j], i == chosen, case % makers, *values))
    names = ["case", "alt", "chosen", "maker", "x", "y", "z", "p", "q1", "q2"]
    table = pd.DataFrame(rows, columns=names)
    table["w"] = (0.5 + rng.random(makers))[table["maker"]] if weighted else 1.0
    return ChoiceData.from_long(
        table, "case", "alt", "chosen", panel="maker", weights="w", alternatives=ALTERNATIVES
    )


MODELS = {
    "normal": MixedLogit("x + y + z", {"x": "normal", "y": "normal"}, draws=150),
    "every law": MixedLogit(
        "x + y + z + p | 0",
        {"x": "lognormal", "y": "-lognormal", "z": "uniform", "p": "triangular"},
        draws=128,
        sequence="sobol",
    ),
    "bounded": MixedLogit(
        "x + y + z + p | 0",
        {"x": "zbt", "y": "truncated", "z": "-truncated"},
        draws=129,
        sequence="mlhs",
    ),
    "correlated": MixedLogit(
        "x + y + z + p | 0",
        {"x": "normal", "z": "uniform", "y": "-lognormal", "p": "lognormal"},
        correlated=["p", "x", "y"],
        draws=127,
    ),
    "all correlated": MixedLogit(
        "x + y", {"y": "normal", "(Intercept):b": "normal"}, correlated=True, draws=300
    ),
    "components": MixedLogit(
        "x + y",
        {"x": "normal"},
        error_components={"shared": ["b", "c"], "own": ["d"]},
        draws=50,
    ),
    "money": MixedLogit(
        "x + y + z + p",
        {"x": "normal", "p": "-lognormal", "y": "lognormal"},
        correlated=["x", "p"],
        error_components={"shared": ["b", "c"]},
        space="wtp",
        price="p",
        draws=150,
    ),
    "money, price fixed": MixedLogit(
        "p + x + y | 0", {"x": "zbt"}, space="wtp", price="p", draws=60
    ),
    "size": MixedLogit(
        "x + y | 0", {"x": "normal"}, size="q1 + q2", size_coefficient="free", draws=60
    ),
    "log size": MixedLogit(
        "x + y | 0", {"x": "normal"}, size="q1", size_coefficient="free", offset="z", draws=60
    ),
    "money and size": MixedLogit(
        "x + p | 0",
        {"x": "normal", "p": "-lognormal"},
        size="q1 + q2",
        space="wtp",
        price="p",
        draws=60,
    ),
}


def point(likelihood, seed=1):
    """Parameters with positive spreads, and a price that repels."""
    rng = np.random.default_rng(seed)
    p = likelihood.parameters
    theta = 0.5 * rng.normal(size=len(p.names))
    for k, name in enumerate(p.names):
        if name.startswith("sd:"):
            theta[k] = 0.3 + rng.random()
    for c in p.coefficients:
        if c.law.transform == "exponential" or (p.price >= 0 and c.name == "p"):
            theta[c.term] = -0.6
    return theta


def coefficients(likelihood, theta, maker):
    """Draw the coefficients of a maker, by the names of the parameters."""
    p = likelihood.parameters
    at = dict(zip(p.names, theta, strict=True))
    drawn = {}
    varying = [c for c in p.coefficients if c.varies]
    e = {c.name: likelihood.draws[maker, d] for d, c in enumerate(varying)}
    for c in p.coefficients:
        location = at[c.name] if c.term >= 0 else 0.0
        if c.name in p.correlated:
            before = p.correlated[: p.correlated.index(c.name) + 1]
            z = location + sum(at[f"chol:{other}:{c.name}"] * e[other] for other in before)
        elif not c.varies:
            z = np.full(likelihood.draws.shape[2], location)
        elif not c.law.free_spread:
            z = location * e[c.name]
        elif c.law.transform == "truncated":
            spread, u = at[f"sd:{c.name}"], 1 - e[c.name]
            z = location + spread * ndtri(1 - ndtr(location / spread) * (1 - u))
        else:
            z = location + at[f"sd:{c.name}"] * e[c.name]
        drawn[c.name] = c.law.sign * (np.exp(z) if c.law.transform == "exponential" else z)
    return drawn


def utilities(likelihood, theta, case, b):
    """Return the utilities of a case in every draw, shape (alternatives, draws)."""
    p, o = likelihood.parameters, likelihood.observations
    rows = slice(o.offsets[case], o.offsets[case + 1])
    fixed = np.zeros(len(p.utility.names))
    fixed[p.fixed] = theta[p.fixed]
    at = o.design.at(fixed)
    V = (at.beta @ at.X)[rows] + (at.offset[rows] if len(at.offset) else 0.0)
    V = np.repeat(V[:, None], likelihood.draws.shape[2], axis=1)
    for q, c in enumerate(p.coefficients):
        x = likelihood.columns[q, rows, None]
        price = b["p"] if p.price >= 0 and c.term >= 0 else None
        if price is None or c.name == "p":
            V += b[c.name] * x
        else:
            V -= price * b[c.name] * x
    return V


def brute_force(likelihood, theta):
    """Return log-likelihoods of the makers, probabilities, logsums, and posterior moments."""
    o, M = likelihood.observations, len(likelihood.draws)
    loglike, posterior = np.zeros(M), []
    P, logsum = np.zeros(len(o.alternative)), np.zeros(o.n_cases)
    for maker in range(M):
        b = coefficients(likelihood, theta, maker)
        log_L = np.zeros(likelihood.draws.shape[2])
        for case in np.flatnonzero(likelihood.unit == maker):
            V = utilities(likelihood, theta, case, b)
            inclusive = np.logaddexp.reduce(V, axis=0)
            P[o.offsets[case] : o.offsets[case + 1]] = np.exp(V - inclusive).mean(axis=1)
            logsum[case] = inclusive.mean()
            log_L += V[o.chosen[case] - o.offsets[case]] - inclusive
        w = np.exp(log_L - log_L.max())
        loglike[maker] = log_L.max() + np.log(w.mean())
        w /= w.sum()
        means = {name: w @ value for name, value in b.items()}
        posterior.append([(means[n], np.sqrt(w @ (v - means[n]) ** 2)) for n, v in b.items()])
    return likelihood.weights * loglike, P, logsum, np.array(posterior)


@pytest.mark.parametrize("name", MODELS)
def test_likelihood_probabilities_and_posteriors_against_brute_force(name):
    likelihood = specify(MODELS[name], generated())
    theta = point(likelihood)
    loglike, P, logsum, posterior = brute_force(likelihood, theta)
    got = likelihood.contributions(theta)
    np.testing.assert_allclose(got.loglike_obs, loglike, rtol=1e-12, atol=1e-12)
    assert got.llf == pytest.approx(loglike.sum(), rel=1e-13)
    got_P, got_logsum = likelihood.probabilities(theta)
    np.testing.assert_allclose(got_P, P, rtol=1e-11)
    np.testing.assert_allclose(got_logsum, logsum, rtol=1e-11, atol=1e-12)
    mean, sd = likelihood.posterior(theta)
    np.testing.assert_allclose(mean, posterior[:, :, 0], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(sd, posterior[:, :, 1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", MODELS)
def test_score_and_hessian_against_finite_differences(name):
    likelihood = specify(MODELS[name], generated())
    theta = point(likelihood)
    got = likelihood.contributions(theta)
    step = 1e-6
    shifts = step * np.eye(len(theta))
    up = [likelihood.evaluate(theta + shift) for shift in shifts]
    down = [likelihood.evaluate(theta - shift) for shift in shifts]
    score = [(a[0] - b[0]) / (2 * step) for a, b in zip(up, down, strict=True)]
    hessian = [(a[1] - b[1]) / (2 * step) for a, b in zip(up, down, strict=True)]
    np.testing.assert_allclose(got.score, score, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got.hessian, hessian, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got.score_obs.sum(axis=0), got.score, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(got.hessian, got.hessian.T)


@pytest.mark.parametrize("draws", [1, 2, 127, 128, 129, 256, 257])
def test_draws_that_do_not_fill_a_block(draws):
    likelihood = specify(replace(MODELS["bounded"], draws=draws), generated())
    theta = point(likelihood)
    loglike, *_ = brute_force(likelihood, theta)
    got = likelihood.contributions(theta)
    np.testing.assert_allclose(got.loglike_obs, loglike, rtol=1e-12, atol=1e-12)


def quadrature(density, x, chosen, low, high):
    """Integrate the probability of the choices of one maker, shape (T, J) variables."""

    def product(b):
        V = b * x
        logP = V[np.arange(len(x)), chosen] - np.logaddexp.reduce(V, axis=1)
        return np.exp(logP.sum()) * density(b)

    return integrate.quad(product, low, high, epsabs=0, epsrel=1e-12, limit=500)[0]


LAWS = {
    "normal": (stats.norm(0.4, 0.7), -8.0, 8.0),
    "lognormal": (stats.lognorm(0.7, scale=np.exp(0.4)), 0.0, 60.0),
    "truncated": (stats.truncnorm(-0.4 / 0.7, np.inf, 0.4, 0.7), 0.0, 8.0),
    "uniform": (stats.uniform(-0.3, 1.4), -0.3, 1.1),
    "triangular": (stats.triang(0.5, -0.3, 1.4), -0.3, 1.1),
    "zbt": (stats.triang(0.5, 0.0, 0.8), 0.0, 0.8),
}


@pytest.mark.parametrize("name", LAWS)
def test_many_draws_reach_the_integral_over_the_distribution(name):
    law, low, high = LAWS[name]
    rng = np.random.default_rng(4)
    x, chosen = rng.normal(size=(5, 3)), rng.integers(0, 3, 5)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(5), 3),
            "alt": list("abc") * 5,
            "x": x.ravel(),
            "chosen": (np.arange(3) == chosen[:, None]).ravel(),
            "who": 1,
        }
    )
    data = ChoiceData.from_long(table, "case", "alt", "chosen", panel="who")
    likelihood = specify(MixedLogit("x | 0", {"x": name}, draws=1), data)
    midpoints = (np.arange(50_000) + 0.5) / 50_000
    draws = standardize(DISTRIBUTIONS[name], midpoints).reshape(1, 1, -1)
    theta = np.array([0.4, 0.7])[: len(likelihood.parameters.names)]
    want = np.log(quadrature(law.pdf, x, chosen, low, high))
    got = replace(likelihood, draws=draws).evaluate(theta)[0]
    # What the midpoint rule leaves, largest where the density has an infinite slope.
    assert got == pytest.approx(want, abs=3e-7)


def test_without_spread_it_is_the_multinomial_logit():
    data = generated()
    mixed = specify(MODELS["normal"], data)
    plain = specify(MultinomialLogit("x + y + z"), data)
    beta = point(mixed)[:6]
    got = mixed.contributions(np.concatenate([beta, np.zeros(2)]))
    want = plain.contributions(beta)
    assert got.llf == pytest.approx(want.llf, rel=1e-13)
    np.testing.assert_allclose(got.score[:6], want.score, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(got.hessian[:6, :6], want.hessian, rtol=1e-11, atol=1e-12)


def test_money_and_preferences_are_one_model_if_the_price_is_fixed():
    """With b = -price * w, normal if w is, both spaces have the same likelihood."""
    data = generated()
    options = {"draws": 200, "seed": 3}
    preference = specify(MixedLogit("x + y + p", {"x": "normal"}, **options), data)
    money = specify(
        MixedLogit("x + y + p", {"x": "normal"}, space="wtp", price="p", **options), data
    )
    names = money.parameters.names
    assert names == preference.parameters.names
    w = point(money)
    price = w[names.index("p")]
    b = np.where([name == "p" for name in names], w, -price * w)
    assert money.evaluate(w)[0] == pytest.approx(preference.evaluate(b)[0], rel=1e-13)


def test_a_panel_of_single_choices_is_a_cross_section():
    data = generated(weighted=False)
    alone = ChoiceData.from_long(data.table, "case", "alt", "chosen", alternatives=ALTERNATIVES)
    panel = replace(data, panel_name="case")
    likelihood, other = (specify(MODELS["normal"], d) for d in (alone, panel))
    theta = point(likelihood)
    got, want = likelihood.contributions(theta), other.contributions(theta)
    np.testing.assert_array_equal(got.score_obs, want.score_obs)
    assert got.unit is None
    assert len(got.loglike_obs) == data.n_cases
    assert specify(MODELS["normal"], data).contributions(theta).llf != pytest.approx(got.llf)


def test_one_choice_made_by_all_is_their_product():
    """Two cases of one maker with a single draw multiply."""
    data = generated(weighted=False)
    likelihood = specify(replace(MODELS["normal"], draws=1), data)
    theta = point(likelihood)
    got = likelihood.contributions(theta)
    assert got.llf == pytest.approx(brute_force(likelihood, theta)[0].sum(), rel=1e-13)
    np.testing.assert_array_equal(np.bincount(got.unit), np.bincount(np.arange(40) % 12))


def test_long_panels_do_not_underflow():
    rng = np.random.default_rng(2)
    cases = 3_000
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 2),
            "alt": list("ab") * cases,
            "chosen": (np.arange(2) == rng.integers(0, 2, cases)[:, None]).ravel(),
            "x": rng.normal(size=2 * cases),
            "who": np.repeat(np.arange(cases) // 1_500, 2),
        }
    )
    data = ChoiceData.from_long(table, "case", "alt", "chosen", panel="who")
    likelihood = specify(MixedLogit("x", {"x": "normal"}, draws=200), data)
    theta = np.array([0.1, 0.3, 0.5])
    loglike, _, _, posterior = brute_force(likelihood, theta)
    assert loglike.max() < -1_000
    got = likelihood.contributions(theta)
    np.testing.assert_allclose(got.loglike_obs, loglike, rtol=1e-12)
    assert np.isfinite(got.hessian).all()
    np.testing.assert_allclose(likelihood.posterior(theta)[0], posterior[:, :, 0], rtol=1e-10)


def test_utilities_of_ten_thousand_do_not_overflow():
    data = generated()
    likelihood = specify(MODELS["components"], data)
    theta = point(likelihood)
    theta[likelihood.parameters.names.index("x")] = 1e4
    got = likelihood.contributions(theta)
    loglike, P, _, _ = brute_force(likelihood, theta)
    assert loglike.min() < -1e3
    np.testing.assert_allclose(got.loglike_obs, loglike, rtol=1e-12)
    assert np.isfinite([*got.score, *got.hessian.ravel()]).all()
    np.testing.assert_allclose(likelihood.probabilities(theta)[0], P, atol=1e-12)


def test_a_lognormal_without_measure_has_no_likelihood_and_no_accident():
    likelihood = specify(MODELS["every law"], generated())
    theta = point(likelihood)
    for location in (400.0, 1e5, np.inf, np.nan):
        theta[0] = location
        llf, score, hessian = likelihood.evaluate(theta)
        assert llf < -1e10
        assert not np.isnan([*score, *hessian.ravel()]).any()


def test_a_truncated_normal_needs_a_positive_spread():
    likelihood = specify(MODELS["bounded"], generated())
    theta = point(likelihood)
    theta[likelihood.parameters.names.index("sd:y")] = 0.0
    assert likelihood.evaluate(theta)[0] == -np.inf


def test_a_constant_added_to_all_utilities_changes_nothing_but_the_logsum():
    data = generated()
    moved = replace(data, table=data.table.assign(z=data.table["z"] + 2.5))
    model = MODELS["log size"]
    a, b = specify(model, data), specify(model, moved)
    theta = point(a)
    assert a.evaluate(theta)[0] == pytest.approx(b.evaluate(theta)[0], rel=1e-13)
    (P, logsum), (P_moved, logsum_moved) = a.probabilities(theta), b.probabilities(theta)
    np.testing.assert_allclose(P_moved, P, rtol=1e-12)
    np.testing.assert_allclose(logsum_moved, logsum + 2.5, rtol=1e-12)
    case = np.repeat(np.arange(data.n_cases), data.set_sizes)
    np.testing.assert_allclose(np.bincount(case, weights=P), 1.0, rtol=1e-12)


def test_sums_do_not_depend_on_the_number_of_threads():
    likelihood = specify(MODELS["money"], generated(cases=300, makers=100))
    theta = point(likelihood)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = specify(MODELS["money"], generated(cases=300, makers=100)).evaluate(theta)
    finally:
        numba.set_num_threads(before)
    many = likelihood.evaluate(theta)
    assert one[0] == many[0]
    np.testing.assert_array_equal(one[2], many[2])


def test_weights_belong_to_makers():
    data = generated()
    likelihood = specify(MODELS["normal"], data)
    theta = point(likelihood)
    once = likelihood.reweighted(np.ones(data.n_cases)).contributions(theta)
    twice = likelihood.reweighted(np.full(data.n_cases, 2.0)).contributions(theta)
    np.testing.assert_allclose(twice.hessian, 2 * once.hessian, rtol=1e-12)
    weights = np.where(np.arange(data.n_cases) == 5, 2.0, 1.0)
    with pytest.raises(DataError, match="weights differ between the cases of a decision maker"):
        likelihood.reweighted(weights).evaluate(theta)


def test_some_cases_keep_the_draws_of_their_makers():
    data = generated()
    likelihood = specify(MODELS["components"], data)
    theta = point(likelihood)
    whole = likelihood.contributions(theta)
    cases = np.flatnonzero(likelihood.unit >= 4)
    some = likelihood.subset(cases).contributions(theta)
    np.testing.assert_allclose(some.loglike_obs, whole.loglike_obs[4:], rtol=1e-13)
    np.testing.assert_allclose(some.score_obs, whole.score_obs[4:], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", MODELS)
def test_model_and_layout_survive_json(name):
    import json

    model, data = MODELS[name], generated()
    saved = json.loads(json.dumps(model_to_dict(model)))
    assert model_from_dict(saved) == model
    layout = MixedParameters.lay_out(model, data)
    again = layout_from_dict(model, json.loads(json.dumps(layout.to_dict())))
    assert again.names == layout.names
    theta = point(layout.over(data))
    assert again.over(data).evaluate(theta)[0] == layout.over(data).evaluate(theta)[0]


def test_parameters_are_named_as_in_mlogit():
    layout = MixedParameters.lay_out(MODELS["correlated"], generated())
    assert layout.names == (
        "x", "y", "z", "p", "sd:z", "chol:x:x", "chol:x:y", "chol:y:y", "chol:x:p", "chol:y:p",
        "chol:p:p",
    )  # fmt: skip
    layout = MixedParameters.lay_out(MODELS["components"], generated())
    assert layout.names[-3:] == ("sd:x", "sd:shared", "sd:own")


def test_spreads_turn_positive_without_changing_the_distribution():
    layout = MixedParameters.lay_out(MODELS["correlated"], generated())
    theta = np.array([0.1, 0.2, 0.3, 0.4, -0.5, -1.0, 0.3, -0.7, 0.2, 0.1, 0.6])
    turned = layout.canonical(theta)

    def factor(values):
        lower = np.zeros((3, 3))
        lower[np.tril_indices(3)] = values[5:]
        return lower

    np.testing.assert_allclose(
        factor(turned) @ factor(turned).T, factor(theta) @ factor(theta).T, rtol=1e-14
    )
    assert (np.diag(factor(turned)) > 0).all()
    assert turned[4] == 0.5
