"""The cross-nested logit: published values, brute force, collapses, derivatives, recovery."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choicemodels import (
    ChoiceData,
    CrossNestedLogit,
    MultinomialLogit,
    NestedLogit,
    NestflowWarning,
)
from choicemodels.cross_nested.probabilities import cross_nested_probabilities
from choicemodels.errors import IdentificationError, SpecificationError
from choicemodels.specify import specify
from estimation import fit, load_result

PUBLISHED = Path(__file__).parents[1] / "published/Bierlaire2023/values.toml"
ALTERNATIVES = list("abcdef")
# b and d are in two nests, c in three, f in none; "own" has one member.
NESTS = {"m": ["a", "b", "c"], "n": ["b", "c", "d"], "own": ["c"], "o": ["d", "e"]}
SWISSMETRO = {"existing": ["train", "car"], "public": ["train", "sm"]}


def generated(cases=80, seed=0):
    """Ragged choice sets of two to six alternatives, three variables and weights."""
    rng = np.random.default_rng(seed)
    rows = []
    for case in range(cases):
        offered = np.sort(rng.permutation(6)[: rng.integers(2, 7)])
        taken = rng.integers(len(offered))
        for rank, j in enumerate(offered):
            rows.append((case, ALTERNATIVES[j], rank == taken, *rng.normal(size=3)))
    table = pd.DataFrame(rows, columns=["case", "alt", "chosen", "x", "y", "z"])
    table["w"] = 0.5 + rng.random(cases)[table["case"]]
    table["q"], table["s"] = np.exp(table["y"]), (table["case"] % 3 == 0).astype(float)
    return ChoiceData.from_long(
        table, "case", "alt", "chosen", weights="w", alternatives=ALTERNATIVES
    )


MODELS = {
    "free": CrossNestedLogit("x + y + z | 0", NESTS),
    "shared lambda": CrossNestedLogit("x + y + z | 0", NESTS, lambdas="shared"),
    "fixed": CrossNestedLogit(
        "x + y + z | 0",
        NESTS,
        lambdas={"m": 0.6},
        allocations={"c": {"m": 0.2, "n": 0.5, "own": 0.3}},
    ),
    "equal": CrossNestedLogit("x + y + z | 0", NESTS, allocations="equal"),
    "size and scale": CrossNestedLogit("x + y | 0", NESTS, size="q + exp(z)", scale="s"),
}


def point(likelihood, seed=1):
    rng = np.random.default_rng(seed)
    p = likelihood.parameters
    values = {
        "lambda": (0.4, 1.2),
        "alpha:c": (0.2, 0.4),
        "alpha:b": (0.2, 0.8),
        "alpha:d": (0.2, 0.8),
    }
    theta = rng.normal(size=len(p.names))
    for k, name in enumerate(p.names):
        for start, (low, high) in values.items():
            if name.startswith(start):
                theta[k] = rng.uniform(low, high)
    return theta


def brute_force(V, alpha, lam):
    """Return the choice probabilities of one case, nest by nest as in the formula."""
    total, P = 0.0, np.zeros(len(V))
    for m, scale in enumerate(lam):
        parts = np.where(alpha[:, m] > 0, (alpha[:, m] * np.exp(V)) ** (1 / scale), 0.0)
        if parts.sum() > 0:
            value = parts.sum() ** scale
            P += value * parts / parts.sum()
            total += value
    alone = np.exp(V) * (alpha.sum(axis=1) == 0)
    return (P + alone) / (total + alone.sum())


@pytest.fixture(scope="module")
def swissmetro_crossed(swissmetro):
    return fit(CrossNestedLogit("time + cost", SWISSMETRO, base="sm"), swissmetro)


def in_mu(names, theta, score, hessian, scores):
    """Turn derivatives by the lambdas into derivatives by mu = 1 / lambda."""
    slope, bend = np.ones(len(names)), np.zeros(len(names))
    for k, name in enumerate(names):
        if name.startswith("lambda"):
            slope[k], bend[k] = -(theta[k] ** 2), 2 * theta[k] ** 3
    return score * slope, hessian * np.outer(slope, slope) + np.diag(score * bend), scores * slope


def test_biogeme_has_the_same_likelihood_scores_and_hessian(swissmetro, swissmetro_crossed):
    want = tomllib.loads(PUBLISHED.read_text("utf-8"))["cross_nested"]
    names = list(swissmetro_crossed.parameters.names)
    order = [want["names"].index(name.replace("lambda", "mu")) for name in names]
    theirs = np.array(want["values"])[order]
    theta = np.array(
        [
            1 / value if name.startswith("lambda") else value
            for name, value in zip(names, theirs, strict=True)
        ]
    )
    got = specify(swissmetro_crossed.model, swissmetro).contributions(theta)
    assert got.llf == pytest.approx(want["llf"], abs=1e-8)
    score, hessian, scores = in_mu(names, theta, got.score, got.hessian, got.score_obs)
    np.testing.assert_allclose(score, np.array(want["gradient"])[order], atol=1e-7)
    matrix = np.ix_(order, order)
    np.testing.assert_allclose(hessian, np.array(want["hessian"])[matrix], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        scores.T @ scores, np.array(want["bhhh"])[matrix], rtol=1e-8, atol=1e-8
    )
    # Biogeme stops short of the maximum: ours is higher, and a Newton step from theirs away.
    assert swissmetro_crossed.llf == pytest.approx(-5214.049, abs=5e-4)
    assert 0 < swissmetro_crossed.llf - want["llf"] < 1e-6
    short = (swissmetro_crossed.theta - theta) / swissmetro_crossed.bse
    assert np.abs(short).max() < 5e-4


@pytest.mark.parametrize("name", MODELS)
def test_likelihood_and_probabilities_against_brute_force(name):
    data = generated()
    likelihood = specify(MODELS[name], data)
    theta = point(likelihood)
    p = likelihood.parameters
    at = likelihood.observations.design.at(theta[: p.n_utility])
    V = at.beta @ at.X + (at.offset if len(at.offset) else 0.0)
    alpha, lam = p.allocations(theta).to_numpy(), p.lambdas(theta)
    np.testing.assert_allclose(alpha[:5].sum(axis=1), 1.0)
    P = np.empty(len(V))
    for first, last in zip(data.offsets[:-1], data.offsets[1:], strict=True):
        P[first:last] = brute_force(V[first:last], alpha[data.alternative[first:last]], lam)
    got, logsum = likelihood.probabilities(theta)
    np.testing.assert_allclose(got, P, rtol=1e-11)
    contributions = likelihood.contributions(theta)
    want = data.weights * np.log(P[data.chosen])
    np.testing.assert_allclose(contributions.loglike_obs, want, rtol=1e-11, atol=1e-12)
    assert contributions.llf == pytest.approx(want.sum(), rel=1e-13)
    assert np.isfinite(logsum).all()


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


def test_one_nest_for_each_alternative_is_the_nested_logit():
    nests, data = {"m": ["a", "b"], "n": ["c", "d"]}, generated()
    crossed = specify(CrossNestedLogit("x + y | 0", nests), data)
    nested = specify(NestedLogit("x + y | 0", nests), data)
    assert crossed.parameters.names == nested.parameters.names
    theta = np.array([0.4, -0.6, 0.5, 0.8])
    for a, b in zip(crossed.evaluate(theta), nested.evaluate(theta), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
    for a, b in zip(crossed.probabilities(theta), nested.probabilities(theta), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_an_estimate_with_one_nest_each_is_that_of_the_nested_logit(swissmetro):
    nests = {"existing": ["train", "car"]}
    crossed = fit(CrossNestedLogit("time + cost", nests, base="sm"), swissmetro)
    nested = fit(NestedLogit("time + cost", nests, base="sm"), swissmetro)
    np.testing.assert_allclose(crossed.params, nested.params, rtol=1e-7)
    np.testing.assert_allclose(crossed.bse, nested.bse, rtol=1e-6)


def test_with_every_lambda_at_one_allocations_do_not_matter():
    data = generated()
    model = replace(MODELS["free"], lambdas=dict.fromkeys(NESTS, 1.0))
    crossed = specify(model, data)
    assert crossed.parameters.names == ("x", "y", "z")
    assert "data do not identify them" in crossed.parameters.notes[-1]
    flat = specify(MultinomialLogit("x + y + z | 0"), data)
    theta = np.array([0.4, -0.6, 0.3])
    for a, b in zip(crossed.evaluate(theta), flat.evaluate(theta), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def drawn(likelihood, theta, table, seed):
    """Choose for every case of the table according to the model."""
    P, _ = likelihood.probabilities(theta)
    offsets = likelihood.observations.offsets
    rng = np.random.default_rng(seed)
    cumulative = P.cumsum() - np.repeat(
        np.concatenate([[0], P.cumsum()])[offsets[:-1]], np.diff(offsets)
    )
    pick = np.repeat(rng.random(len(offsets) - 1), np.diff(offsets))
    above = cumulative > pick
    first = np.add.reduceat(above, offsets[:-1])
    chosen = np.zeros(len(P), dtype=bool)
    chosen[offsets[1:] - first] = True
    return ChoiceData.from_long(table.assign(chosen=chosen), "case", "alt", "chosen")


def crossed_truth(seed, cases=6_000, alpha=0.4):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 4),
            "alt": list("abcd") * cases,
            "x": 1.5 * rng.normal(size=4 * cases),
        }
    )
    data = ChoiceData.from_long(table, "case", "alt")
    model = CrossNestedLogit("x", {"m": ["a", "b"], "n": ["b", "c"]}, base="d")
    likelihood = specify(model, data)
    assert likelihood.parameters.names[-3:] == ("lambda:m", "lambda:n", "alpha:b:m")
    truth = np.array([0.3, 0.2, -0.1, 0.8, 0.4, 0.6, alpha])
    return model, drawn(likelihood, truth, table, seed), truth


@pytest.mark.parametrize("seed", range(4))
def test_every_parameter_is_recovered(seed):
    model, data, truth = crossed_truth(seed)
    result = fit(model, data)
    assert result.converged
    z = (result.estimate - truth) / result.bse
    assert np.abs(z).max() < 3.2


def test_an_allocation_at_its_bound_is_held_there_and_said():
    model, data, _ = crossed_truth(5, alpha=1e-9)
    wider = replace(model, nests={"m": ["a", "b", "d"], "n": ["b", "c"]})
    with (
        pytest.warns(NestflowWarning, match="hardly anything of 'b' is in the nest 'm'"),
        pytest.warns(NestflowWarning, match="alpha:b:m lies on its bound"),
    ):
        result = fit(wider, data)
    assert result.theta[result.parameters.names.index("alpha:b:m")] == 0.0
    assert "alpha:b:m" not in result.names
    assert any("alpha:b:m lies on its bound 0" in note for note in result.notes)
    without = fit(replace(model, nests={"m": ["a", "d"], "n": ["b", "c"]}), data)
    assert result.llf == pytest.approx(without.llf, abs=1e-6)
    np.testing.assert_allclose(result.bse, without.bse, rtol=1e-4)


@pytest.mark.parametrize("begin", [0.0, 1.0])
def test_the_search_leaves_a_bound_that_is_not_the_maximum(begin):
    model, data, _ = crossed_truth(1)
    own = replace(model, nests={"m": ["a", "b"], "own": ["b"]})
    usual = fit(own, data)
    assert 0 < usual.params["alpha:b:m"] < 1
    other = fit(own, data, start={"alpha:b:m": begin})
    np.testing.assert_allclose(other.params, usual.params, atol=1e-5)


def test_allocations_take_constraints_bounds_and_values():
    model, data, _ = crossed_truth(2)
    free = fit(model, data)
    alpha = float(free.params["alpha:b:m"])
    fixed = fit(replace(model, allocations={"b": {"m": alpha, "n": 1 - alpha}}), data)
    constrained = fit(replace(model, constraints=[f"alpha:b:m = {alpha!r}"]), data)
    for other in (fixed, constrained):
        assert other.llf == pytest.approx(free.llf, abs=1e-8)
        assert other.df_model == free.df_model - 1
        assert "alpha:b:m" not in other.names
    with pytest.warns(NestflowWarning, match="alpha:b:m lies on its bound"):
        low = fit(replace(model, bounds={"alpha:b:m": (None, alpha - 0.2)}), data)
    assert low.theta[-1] == pytest.approx(alpha - 0.2)
    assert low.llf < free.llf
    with pytest.raises(SpecificationError, match="lies between 0 and 1 by its nature"):
        fit(replace(model, bounds={"alpha:b:m": (1.5, 2.0)}), data)


def test_equal_allocations_and_a_shared_lambda(swissmetro):
    model = CrossNestedLogit(
        "time + cost", SWISSMETRO, base="sm", allocations="equal", lambdas="shared"
    )
    result = fit(model, swissmetro)
    assert result.names[-1] == "lambda"
    table = result.parameters.allocations(result.theta)
    assert table.loc["train"].to_dict() == {"existing": 0.5, "public": 0.5}
    same = replace(model, lambdas="free", constraints=["lambda:existing = lambda:public"])
    assert fit(same, swissmetro).llf == pytest.approx(result.llf, abs=1e-8)


def test_a_lambda_without_comparisons_is_fixed(swissmetro):
    nests = {**SWISSMETRO, "own": ["sm"]}
    result = fit(
        CrossNestedLogit(
            "time + cost", nests, base="sm", allocations={"sm": {"public": 0.9, "own": 0.1}}
        ),
        swissmetro,
    )
    assert "lambda:own" not in result.names
    assert "lambda:own is fixed at 1" in result.notes[0]
    assert "The allocations of sm are fixed as asked." in result.notes


def test_a_lambda_above_one_is_reported_with_a_warning():
    parameters = specify(MODELS["free"], generated()).parameters
    theta = point(specify(MODELS["free"], generated()))
    theta[parameters.names.index("lambda:n")] = 1.3
    theta[parameters.names.index("lambda:m")] = 0.9
    (caution,) = parameters.cautions(theta)
    assert caution.startswith("the dissimilarity lambda:n (1.3000) lies above 1")


def test_a_saved_result_predicts_as_before(swissmetro, swissmetro_crossed, tmp_path):
    result = swissmetro_crossed
    again = load_result(result.save(tmp_path / "crossed.json"))
    assert again.model == result.model
    assert again.parameters.names == result.parameters.names
    want = result.predict(swissmetro)["probability"]
    np.testing.assert_array_equal(again.predict(swissmetro)["probability"], want)
    by_case = result.predict().groupby("case")["probability"].sum()
    np.testing.assert_allclose(by_case, 1.0, rtol=1e-12)


def test_utilities_of_ten_thousand_do_not_overflow():
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(4), 3),
            "alt": list("abc") * 4,
            "chosen": [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0],
            "x": [1e4, -1e4, 0.0] * 4,
        }
    )
    data = ChoiceData.from_long(table, "case", "alt", "chosen")
    model = CrossNestedLogit("x | 0", {"m": ["a", "b"], "n": ["b", "c"]}, lambdas="shared")
    likelihood = specify(model, data)
    theta = np.array([1.0, 0.1, 0.3])
    got = likelihood.contributions(theta)
    P, _ = likelihood.probabilities(theta)
    assert np.isfinite([got.llf, *got.score, *got.hessian.ravel()]).all()
    np.testing.assert_allclose(P.reshape(4, 3).sum(axis=1), 1.0)


LAYOUT = specify(MODELS["free"], generated()).parameters


def probabilities_of(V, lam, alpha, order):
    """Return the probabilities of one case, its rows in the order given."""
    K = LAYOUT.n_utility
    theta = np.concatenate([np.zeros(K), lam, alpha])
    values = np.concatenate([lam[:2], [1.0], lam[2:]])
    P, logsum = cross_nested_probabilities(
        np.array([V])[:, order],
        np.array([0, 6]),
        np.array(order, dtype=np.int64),
        np.ones(1),
        np.empty(0),
        values,
        LAYOUT.elements(theta),
    )
    return P, logsum[0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1e4, 1e4), min_size=6, max_size=6),
    st.lists(st.floats(0.05, 2.0), min_size=3, max_size=3),
    st.lists(st.floats(0.0, 0.5), min_size=4, max_size=4),
    st.floats(-1e3, 1e3),
    st.permutations(range(6)),
)
def test_probabilities_sum_to_one_and_ignore_constants_and_order(V, lam, alpha, constant, order):
    V, lam, alpha = np.array(V), np.array(lam), np.array(alpha)
    P, logsum = probabilities_of(V, lam, alpha, list(range(6)))
    assert P.sum() == pytest.approx(1.0, abs=1e-10)
    shifted, higher = probabilities_of(V + constant, lam, alpha, list(range(6)))
    np.testing.assert_allclose(shifted, P, atol=1e-8)
    assert higher == pytest.approx(logsum + constant, abs=1e-8)
    permuted, _ = probabilities_of(V, lam, alpha, list(order))
    np.testing.assert_allclose(permuted, P[list(order)], atol=1e-10)


def test_factored_data_give_the_same_answer():
    rng = np.random.default_rng(2)
    choosers = pd.DataFrame({"id": np.arange(300), "home": "h", "z": rng.normal(size=300)})
    choosers["took"] = rng.choice(["p0", "p1", "p2", "p3"], 300)
    places = pd.DataFrame({"place": ["p0", "p1", "p2", "p3"], "wage": [0.0, 1.0, 2.0, 0.5]})
    pairs = places[["place"]].assign(home="h", far=[0.5, -1.0, 0.7, 0.1])
    data = ChoiceData.from_factors(
        choosers,
        places,
        pairs,
        chooser="id",
        origin="home",
        alternative="place",
        chosen="took",
        stay=None,
    )
    model = CrossNestedLogit(
        "wage:z + far | 0", {"m": ["p0", "p1"], "n": ["p1", "p2"]}, lambdas="shared"
    )
    factored, rows = specify(model, data), specify(model, data.to_long())
    theta = np.array([0.4, -0.3, 0.6, 0.3])
    for a, b in zip(factored.evaluate(theta), rows.evaluate(theta), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_sums_do_not_depend_on_the_number_of_threads():
    import numba

    likelihood = specify(MODELS["free"], generated(cases=500))
    theta = point(likelihood)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = likelihood.evaluate(theta)
    finally:
        numba.set_num_threads(before)
    many = likelihood.evaluate(theta)
    assert one[0] == many[0]
    np.testing.assert_array_equal(one[2], many[2])


def test_outside_of_the_domain_the_loglikelihood_is_minus_infinity():
    likelihood = specify(MODELS["free"], generated())
    names = likelihood.parameters.names
    for name, value in {"lambda:m": 0.0, "alpha:b:m": -0.1, "alpha:c:m": 0.9}.items():
        theta = point(likelihood)
        theta[names.index("alpha:c:n")] = 0.3
        theta[names.index(name)] = value
        assert likelihood.evaluate(theta)[0] == -np.inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nests": {}}, "use MultinomialLogit"),
        ({"nests": {"m": {"k": ["a"]}}}, "holds other nests"),
        ({"nests": {"m": "ab"}}, "must list its alternatives"),
        ({"nests": {"m": ["a", "a"]}}, "lists 'a' twice"),
        ({"lambdas": "equal"}, "'free', 'shared' or a mapping"),
        ({"lambdas": {"x": 0.5}}, "'x', which does not exist"),
        ({"allocations": "shared"}, "'free', 'equal' or a mapping"),
        ({"allocations": {"a": {"m": 1.0}}}, "'a'.*not in several nests; those that are: b"),
        ({"allocations": {"b": {"m": 1.0}}}, "its nests are m, n, and each needs one"),
        ({"allocations": {"b": {"m": 0.5, "n": 0.6}}}, "must be positive and sum to one"),
        ({"allocations": {"b": {"m": 1.0, "n": 0.0}}}, "must be positive and sum to one"),
    ],
)
def test_specifications_are_valid_once_built(options, message):
    given = {"nests": {"m": ["a", "b"], "n": ["b", "c"]}, **options}
    with pytest.raises(SpecificationError, match=message):
        CrossNestedLogit("x", **given)


def test_nests_must_name_alternatives_of_the_data(travel_mode):
    with pytest.raises(SpecificationError, match=r"names the alternative 'tram'.*mean 'train'"):
        fit(CrossNestedLogit("gc", {"m": ["tram", "bus"]}), travel_mode)


def test_a_nest_emptied_by_constraints_is_named(swissmetro):
    model = CrossNestedLogit(
        "time + cost", SWISSMETRO, base="sm", constraints=["alpha:train:existing = 1"]
    )
    with pytest.raises(IdentificationError, match="lambda:public"):
        fit(model, swissmetro)
