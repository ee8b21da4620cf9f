"""The latent class logit: published values, brute force, collapses, derivatives, recovery, EM."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from choicemodels import (
    ChoiceData,
    LatentClassLogit,
    MixedLogit,
    MultinomialLogit,
    load_data,
)
from choicemodels.choices.partitioned import PartitionedChoiceData
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    SpecificationError,
)
from choicemodels.restrictions import Restrictions
from choicemodels.specify import specify
from estimation import fit, load_result
from estimation.choice.latent_class_fit import RandomStarts, climb, random_point, start_classes
from estimation.choice.latent_class_result import (
    choose_classes,
    class_probabilities,
    class_shares,
    entropy_r2,
    posterior_coefficients,
    posterior_memberships,
)
from estimation.choice.likelihood_ratio import lr_test
from estimation.choice.welfare import surplus
from estimation.delta import delta_method
from estimation.newton import maximize

PUBLISHED = Path(__file__).parents[1] / "published"
FEW = RandomStarts(3)


def values(key):
    return tomllib.loads((PUBLISHED / key / "values.toml").read_text("utf-8"))


def generated(makers=30, seed=0, weighted=True):
    """Ragged panels of one to five choices among two to four alternatives, with weights."""
    rng = np.random.default_rng(seed)
    rows, case = [], 0
    for maker in range(makers):
        for _ in range(rng.integers(1, 6)):
            offered = np.sort(rng.permutation(4)[: rng.integers(2, 5)])
            taken = rng.integers(len(offered))
            for rank, j in enumerate(offered):
                rows.append((case, maker, "abcd"[j], rank == taken, *rng.normal(size=2)))
            case += 1
    table = pd.DataFrame(rows, columns=["case", "who", "alt", "chosen", "x", "y"])
    table["w"] = (0.5 + rng.random(makers))[table["who"]] if weighted else 1.0
    table["age"] = rng.normal(size=makers)[table["who"]]
    table["q"], table["s"] = np.exp(table["y"]), (table["case"] % 3 == 0).astype(float)
    # The choices of a decision maker need not stand together.
    order = rng.permutation(case)
    table = table.iloc[np.argsort(order[table["case"]], kind="stable")]
    return ChoiceData.from_long(
        table, "case", "alt", "chosen", weights="w", panel="who", alternatives=list("abcd")
    )


MODELS = {
    "plain": LatentClassLogit("x + y | 0"),
    "membership": LatentClassLogit("x + y | 0", classes=3, membership="age"),
    "no constant": LatentClassLogit("x + y | 0", classes=2, membership="0 + age"),
    "equal shares": LatentClassLogit("x + y | 0", classes=2, membership="0"),
    "shared": LatentClassLogit("x + y", classes=3, shared=["(Intercept)"], membership="age"),
    "size and scale": LatentClassLogit("x | 0", size="q + exp(x)", scale="s", shared="scale"),
}


def point(likelihood, seed=1):
    return np.random.default_rng(seed).normal(size=len(likelihood.parameters.names))


def test_biogeme_has_the_same_likelihood_scores_and_hessian(swissmetro):
    want = values("Bierlaire2023")["discrete_mixture"]
    model = LatentClassLogit(
        "time + cost",
        shared=["(Intercept)", "cost"],
        constraints=["time:class1 = 0"],
        base="sm",
    )
    data = replace(swissmetro, panel_name=None)
    likelihood = specify(model, data)
    theirs = dict(zip(want["names"], want["values"], strict=True))
    share = theirs["share"]
    theirs |= {
        "time:class1": 0.0,
        "time:class2": theirs["time"],
        "class2:(Intercept)": np.log((1 - share) / share),
    }
    names = list(likelihood.parameters.names)
    theta = np.array([theirs[name] for name in names])
    got = likelihood.contributions(theta)
    assert got.llf == pytest.approx(want["llf"], abs=1e-8)

    # Theirs are derivatives by the share of class 1, ours by the logit of class 2.
    ours = {"share": "class2:(Intercept)", "time": "time:class2"}
    pick = [names.index(ours.get(name, name)) for name in want["names"]]
    odds = share * (1 - share)
    slope = np.where(np.array(want["names"]) == "share", -1 / odds, 1.0)
    bend = got.score[pick] * (slope != 1.0) * (1 - 2 * share) / odds**2
    scores = got.score_obs[:, pick] * slope
    np.testing.assert_allclose(scores.sum(axis=0), want["gradient"], atol=1e-7)
    hessian = got.hessian[np.ix_(pick, pick)] * np.outer(slope, slope) + np.diag(bend)
    np.testing.assert_allclose(hessian, want["hessian"], rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(scores.T @ scores, want["bhhh"], rtol=1e-8, atol=1e-8)

    result = fit(model, data, start=FEW)
    assert result.llf == pytest.approx(-5208.498, abs=5e-4)
    np.testing.assert_allclose(result.theta, theta, atol=1e-6)
    assert any("chooses once" in note for note in result.notes)
    shares = class_shares(result.with_cov("hessian"))
    assert shares.params["class1"] == pytest.approx(share, abs=1e-6)
    inverse = np.linalg.inv(-np.array(want["hessian"]))
    assert shares.bse["class1"] == pytest.approx(np.sqrt(inverse[0, 0]), rel=1e-6)


def test_larch_on_a_panel_with_a_class_that_takes_the_cheapest(swissmetro):
    want = values("NewmanLurkinGarrow2018")
    constants = ["(Intercept):train", "(Intercept):car"]
    model = LatentClassLogit(
        "time + cost",
        classes=3,
        base="sm",
        constraints=[
            "time:class1 = 0",
            "time:class3 = 0",
            "cost:class3 = -10000",
            "cost:class2 = cost:class1",
            *(f"{name}:class2 = {name}:class1" for name in constants),
            *(f"{name}:class3 = 0" for name in constants),
        ],
    )
    result = fit(model, swissmetro, start=FEW, cov="hessian")
    assert result.llf == pytest.approx(want["llf"], rel=1e-6)
    of_class = {"time": "time:class2", "cost": "cost:class1"}
    of_class |= {name: f"{name}:class1" for name in constants}
    for name, value in want["params"].items():
        ours = of_class.get(name, name)
        assert result.params[ours] == pytest.approx(value, rel=5e-3), name
        assert result.bse[ours] == pytest.approx(want["bse_hessian"][name], rel=5e-4), name


@pytest.fixture(scope="module")
def electricity():
    return ChoiceData.from_long(
        load_data("electricity").iloc[:3_000], "chid", "alt", "choice", panel="id"
    )


@pytest.fixture(scope="module")
def suppliers(electricity):
    model = LatentClassLogit("pf + cl + loc + wk + tod + seas | 0")
    return fit(model, electricity, cov="hessian")


def test_gmnl_stops_next_to_a_local_maximum(electricity, suppliers):
    want = values("SarriasDaziano2017")
    likelihood = specify(suppliers.model, electricity)
    theta = np.array([want["params"][name] for name in likelihood.parameters.names])
    got = likelihood.contributions(theta)
    assert got.llf == pytest.approx(want["llf"], abs=5e-3)
    ours = pd.Series(
        np.sqrt(np.diag(np.linalg.inv(-got.hessian))), index=likelihood.parameters.names
    )
    theirs = pd.Series(want["bse_hessian"])
    pd.testing.assert_series_equal(
        ours.drop("class2:(Intercept)"),
        theirs.drop("class2:(Intercept)"),
        rtol=2e-4,
        check_names=False,
    )
    # gmnl counts the class of a person anew for each of twelve choices.
    ratio = ours["class2:(Intercept)"] / theirs["class2:(Intercept)"]
    assert ratio == pytest.approx(np.sqrt(12), rel=0.01)
    near = fit(suppliers.model, electricity, start=theta)
    assert near.llf == pytest.approx(-792.8546, abs=1e-4)
    assert (np.abs(near.theta - theta) / ours < 0.05).all()
    assert suppliers.llf > near.llf + 1.5


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_find_the_same_maximum(electricity, suppliers, seed):
    other = fit(suppliers.model, electricity, start=RandomStarts(seed=seed), cov="hessian")
    assert other.llf == pytest.approx(suppliers.llf, abs=1e-8)
    np.testing.assert_allclose(other.params, suppliers.params, atol=1e-5)
    np.testing.assert_allclose(other.bse, suppliers.bse, rtol=1e-5)


def brute_force(likelihood, data, theta):
    """Return log L of every decision maker, product by product."""
    p, o = likelihood.parameters, likelihood.observations
    makers = data.table["who"].iloc[data.offsets[:-1]].to_numpy()
    loglike = []
    for who in pd.unique(makers):
        own = np.flatnonzero(makers == who)
        z = data.table.iloc[data.offsets[own[0]]]
        delta = [0.0]
        for at in p.slot:
            terms = [
                d * (1.0 if t.name == "(Intercept)" else z[t.name])
                for d, t in zip(theta[at], p.membership, strict=True)
            ]
            delta.append(sum(terms))
        pi = np.exp(delta) / np.exp(delta).sum()
        total = 0.0
        for c, at in enumerate(p.position):
            linear = o.design.at(theta[at])
            V = linear.beta @ linear.X + (linear.offset if len(linear.offset) else 0.0)
            likelihood_c = 1.0
            for case in own:
                first, last = data.offsets[case], data.offsets[case + 1]
                likelihood_c *= np.exp(V[data.chosen[case]]) / np.exp(V[first:last]).sum()
            total += pi[c] * likelihood_c
        loglike.append(data.weights[own[0]] * np.log(total))
    return np.array(loglike)


@pytest.mark.parametrize("name", MODELS)
def test_likelihood_against_brute_force(name):
    data = generated()
    likelihood = specify(MODELS[name], data)
    theta = point(likelihood)
    want = brute_force(likelihood, data, theta)
    got = likelihood.contributions(theta)
    np.testing.assert_allclose(got.loglike_obs, want, rtol=1e-11)
    assert got.llf == pytest.approx(want.sum(), rel=1e-13)
    assert len(got.unit) == data.n_cases
    makers = data.table["who"].iloc[data.offsets[:-1]].to_numpy()
    assert (pd.factorize(makers)[0] == got.unit).all()


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


def test_the_expected_loglikelihood_has_its_own_derivatives():
    likelihood = specify(MODELS["shared"], generated())
    theta = point(likelihood)
    _, posterior = likelihood.posteriors(theta)
    elsewhere = point(likelihood, seed=2)
    _, score, hessian = likelihood.completed(elsewhere, posterior)
    step = 1e-6
    shifts = step * np.eye(len(theta))
    up = [likelihood.completed(elsewhere + shift, posterior) for shift in shifts]
    down = [likelihood.completed(elsewhere - shift, posterior) for shift in shifts]
    np.testing.assert_allclose(
        score, [(a[0] - b[0]) / (2 * step) for a, b in zip(up, down, strict=True)], atol=1e-6
    )
    np.testing.assert_allclose(
        hessian, [(a[1] - b[1]) / (2 * step) for a, b in zip(up, down, strict=True)], atol=1e-6
    )
    # Fisher's identity: at the point of the posteriors both have one slope.
    _, expected, _ = likelihood.completed(theta, posterior)
    np.testing.assert_allclose(expected, likelihood.evaluate(theta)[1], atol=1e-10)


def test_the_posterior_is_bayes_rule():
    data = generated()
    likelihood = specify(MODELS["membership"], data)
    theta = point(likelihood)
    loglike, posterior = likelihood.posteriors(theta)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)
    prior = np.exp(likelihood.memberships(theta))
    for c in range(3):
        # With one class alone, everyone is sure to be in it.
        sure = theta.copy()
        sure[likelihood.parameters.position] = theta[likelihood.parameters.position[c]]
        alone, _ = likelihood.posteriors(sure)
        np.testing.assert_allclose(
            posterior[:, c], prior[:, c] * np.exp(alone - loglike), rtol=1e-10
        )


def test_one_class_is_the_multinomial_logit(swissmetro):
    one = fit(LatentClassLogit("time + cost", classes=1, base="sm"), swissmetro)
    flat = fit(MultinomialLogit("time + cost", base="sm"), swissmetro)
    assert one.names == flat.names
    assert one.llf == pytest.approx(flat.llf, rel=1e-13)
    np.testing.assert_allclose(one.params, flat.params, rtol=1e-8)
    np.testing.assert_allclose(one.with_cov("hessian").bse, flat.with_cov("hessian").bse, rtol=1e-8)
    # The contributions are those of the persons: robust is clustered by them.
    np.testing.assert_allclose(one.bse, flat.with_cov("cluster", groups="ID").bse, rtol=1e-7)


def test_equal_classes_are_the_multinomial_logit_whatever_their_sizes():
    data = generated()
    likelihood = specify(MODELS["membership"], data)
    flat = specify(MultinomialLogit("x + y | 0"), data)
    beta = np.array([0.4, -0.7])
    theta = likelihood.parameters.start_from(beta)
    theta[likelihood.parameters.slot] = 0.8
    assert likelihood.evaluate(theta)[0] == pytest.approx(flat.evaluate(beta)[0], rel=1e-12)
    for a, b in zip(likelihood.probabilities(theta), flat.probabilities(beta), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_classes_may_be_numbered_in_any_order():
    likelihood = specify(MODELS["shared"], generated())
    theta = point(likelihood)
    _, posterior = likelihood.posteriors(theta)
    for order in ([1, 2, 0], [2, 1, 0], [0, 2, 1]):
        moved = likelihood.parameters.relabelled(theta, np.array(order))
        assert likelihood.evaluate(moved)[0] == pytest.approx(
            likelihood.evaluate(theta)[0], rel=1e-13
        )
        np.testing.assert_allclose(likelihood.posteriors(moved)[1], posterior[:, order], rtol=1e-9)


def drawn(seed, makers=500, choices=8):
    """Two classes, of whom the second minds price more and is younger."""
    rng = np.random.default_rng(seed)
    N = makers * choices
    age = rng.normal(size=makers)
    second = rng.random(makers) < 1 / (1 + np.exp(0.8 + 0.9 * age))
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(N), 3),
            "who": np.repeat(np.arange(makers), 3 * choices),
            "alt": list("abc") * N,
            "price": rng.normal(size=3 * N),
            "time": rng.normal(size=3 * N),
            "age": np.repeat(age, 3 * choices),
        }
    )
    beta = np.where(second, -2.0, -0.5)[table["who"]]
    gamma = np.where(second, -0.3, -1.2)[table["who"]]
    utility = beta * table["price"] + gamma * table["time"] + 0.4 * (table["alt"] == "b")
    utility += rng.gumbel(size=3 * N)
    best = utility.groupby(table["case"]).transform("max")
    data = ChoiceData.from_long(
        table.assign(chosen=utility == best), "case", "alt", "chosen", panel="who"
    )
    model = LatentClassLogit(
        "price + time", specific={"b": "1"}, membership="age", shared=["(Intercept)"]
    )
    model = replace(model, formula="price + time | 0")
    truth = {
        "price:class1": -0.5,
        "time:class1": -1.2,
        "price:class2": -2.0,
        "time:class2": -0.3,
        "(Intercept):b": 0.4,
        "class2:(Intercept)": -0.8,
        "class2:age": -0.9,
    }
    return model, data, pd.Series(truth)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_every_parameter_is_recovered(seed):
    model, data, truth = drawn(seed)
    result = fit(model, data, start=FEW)
    assert result.converged
    z = (result.params - truth[list(result.names)]) / result.bse
    assert np.abs(z).max() < 3


def test_em_never_falls_and_ends_where_newton_does():
    model, data, _ = drawn(4, makers=150)
    likelihood = specify(model, data)
    p = likelihood.parameters
    restrictions = Restrictions.build(p.names, (), {})
    flat = likelihood.flat
    utility = maximize(flat.evaluate, np.zeros(3)).theta
    for seed in range(3):
        begin = random_point(likelihood, utility, np.eye(3), np.random.default_rng(seed))
        found = climb(likelihood, restrictions, begin, enough=1e-10, cycles=500)
        assert (np.diff(found.record) >= -1e-9).all()
        assert found.llf >= found.record[-1] - 1e-9
        newton = maximize(likelihood.evaluate, found.phi)
        assert newton.theta == pytest.approx(found.phi, abs=1e-3)
        assert found.llf == pytest.approx(likelihood.evaluate(newton.theta)[0], abs=1e-6)


def test_em_keeps_to_constraints_and_bounds():
    model, data, _ = drawn(4, makers=150)
    constraints = ["price:class1 = 2 * price:class2"]
    bounds = {"time:class1": (-0.5, None)}
    result = fit(replace(model, constraints=constraints, bounds=bounds), data, start=FEW)
    theta = pd.Series(result.theta, index=result.parameters.names)
    assert theta["price:class1"] == pytest.approx(2 * theta["price:class2"], rel=1e-12)
    assert theta["time:class1"] >= -0.5
    assert result.llf < fit(model, data, start=FEW).llf


def test_classes_are_numbered_by_size_unless_constraints_name_them():
    model, data, _ = drawn(0, makers=200)
    result = fit(model, data, start=FEW)
    shares = class_shares(result).params
    assert shares["class1"] > shares["class2"]
    assert "Classes are numbered by their size, the largest first." in result.notes
    small = float(result.params["price:class2"])
    named = fit(replace(model, constraints=[f"price:class1 = {small!r}"]), data, start=FEW)
    shares = class_shares(named).params
    assert shares["class1"] < shares["class2"]
    assert named.llf == pytest.approx(result.llf, abs=1e-6)
    # Bounds that treat the classes alike leave them to be ordered.
    alike = fit(
        replace(model, bounds={f"price:class{c}": (None, 0) for c in (1, 2)}), data, start=FEW
    )
    np.testing.assert_allclose(alike.params, result.params, atol=1e-6)


def test_a_weight_of_two_is_the_decision_maker_twice():
    data = generated(weighted=False)
    likelihood = specify(MODELS["membership"], data)
    theta = point(likelihood)
    once = likelihood.contributions(theta)
    twice = likelihood.reweighted(np.full(data.n_cases, 2.0)).contributions(theta)
    np.testing.assert_allclose(twice.hessian, 2 * once.hessian, rtol=1e-12)
    np.testing.assert_allclose(twice.score_obs, 2 * once.score_obs, rtol=1e-12)
    table = data.table
    copy = table.assign(case=table["case"] + 10_000, who=table["who"] + 10_000)
    both = ChoiceData.from_long(
        pd.concat([table, copy]), "case", "alt", "chosen", panel="who", alternatives=list("abcd")
    )
    doubled = specify(MODELS["membership"], both).contributions(theta)
    np.testing.assert_allclose(doubled.hessian, twice.hessian, rtol=1e-10)


def test_shares_posteriors_and_predictions(tmp_path):
    model, data, _ = drawn(1, makers=200)
    result = fit(model, data, start=FEW)
    likelihood = specify(model, data)
    shares = class_shares(result)
    assert shares.params.sum() == pytest.approx(1.0)

    def by_hand(params):
        index = params["class2:(Intercept)"] + params["class2:age"] * likelihood.Z[:, 1]
        second = (1 / (1 + np.exp(-index))).mean()
        return pd.Series({"class1": 1 - second, "class2": second})

    numeric = delta_method(result, by_hand)
    np.testing.assert_allclose(shares.params, numeric.params, rtol=1e-12)
    np.testing.assert_allclose(shares.bse, numeric.bse, rtol=1e-7)

    posterior = posterior_memberships(result)
    assert posterior.index.name == "who"
    assert len(posterior) == 200
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)
    # At the maximum the mean posterior is the mean prior.
    np.testing.assert_allclose(posterior.mean(), shares.params, atol=1e-8)
    entropy = 1 - stats.entropy(posterior.to_numpy(), axis=1).sum() / (200 * np.log(2))
    assert entropy_r2(result) == pytest.approx(entropy)
    means = posterior_coefficients(result)
    want = posterior.to_numpy() @ result.params[["price:class1", "price:class2"]].to_numpy()
    np.testing.assert_allclose(means["price"], want, rtol=1e-12)
    assert means["(Intercept):b"].to_numpy() == pytest.approx(result.params["(Intercept):b"])

    within = class_probabilities(result)
    by_case = within.groupby("case")[["class1", "class2"]].sum()
    np.testing.assert_allclose(by_case, 1.0)
    prior = np.exp(likelihood.memberships(result.theta))[likelihood.observations.maker]
    mixed = (within[["class1", "class2"]].to_numpy() * np.repeat(prior, 3, axis=0)).sum(axis=1)
    np.testing.assert_allclose(result.predict()["probability"], mixed, rtol=1e-12)

    again = load_result(result.save(tmp_path / "classes.json"))
    assert again.model == result.model
    np.testing.assert_array_equal(
        again.predict(data)["probability"], result.predict()["probability"]
    )
    pd.testing.assert_frame_equal(posterior_memberships(again, data), posterior)
    with pytest.raises(EstimationError, match="does not keep the data"):
        class_shares(again)
    unknown = ChoiceData.from_long(data.table.drop(columns="chosen"), "case", "alt", panel="who")
    assert len(class_probabilities(result, unknown)) == len(data.table)
    with pytest.raises(DataError, match="posteriors need known choices"):
        posterior_memberships(result, unknown)


def test_files_give_the_same_answer(tmp_path):
    model, data, _ = drawn(6, makers=120)
    for number, rows in data.table.groupby(data.table["who"] // 50):
        rows.to_parquet(tmp_path / f"{number}.parquet")
    files = PartitionedChoiceData.from_long(tmp_path, "case", "alt", "chosen", panel="who")
    apart, together = fit(model, files, start=FEW), fit(model, data, start=FEW)
    assert apart.llf == pytest.approx(together.llf, abs=1e-9)
    np.testing.assert_allclose(apart.params, together.params, atol=1e-6)
    np.testing.assert_allclose(apart.bse, together.bse, rtol=1e-5)


def test_a_price_that_rises_by_one_everywhere_costs_one():
    model, data, _ = drawn(1, makers=100)
    shared = fit(replace(model, shared=["(Intercept)", "price"]), data, start=FEW)
    dearer = data.table.assign(price=data.table["price"] + 1.0)
    after = ChoiceData.from_long(dearer, "case", "alt", "chosen", panel="who")
    assert surplus(shared, data, after, price="price").mean == pytest.approx(-1.0)


def test_functions_of_classes_refuse_other_models(travel_mode):
    flat = fit(MultinomialLogit("gc"), travel_mode)
    for function in (class_shares, posterior_memberships, class_probabilities, entropy_r2):
        with pytest.raises(SpecificationError, match="only latent class models have classes"):
            function(flat)


@pytest.mark.slow
def test_the_number_of_classes_is_chosen_by_bic():
    model, data, _ = drawn(2, makers=200)
    found = choose_classes(model, data, range(1, 4), start=FEW)
    assert found.best.model.classes == 2
    table = found.table
    assert list(table.index) == [1, 2, 3]
    assert table["llf"].is_monotonic_increasing
    two = found.results[2]
    assert table.loc[2, "bic"] == pytest.approx(-2 * two.llf + 7 * np.log(200))
    assert table.loc[2, "aic"] == pytest.approx(two.aic)
    assert table.loc[2, "caic"] == pytest.approx(table.loc[2, "bic"] + 7)
    assert table.loc[2, "smallest"] == pytest.approx(class_shares(two).params.min())
    assert table.loc[1, "entropy_r2"] == 1.0
    assert "Lowest BIC: 2 classes." in str(found)
    assert "classes the shares" in lr_test(found.results[1], two).reason
    flat = fit(MultinomialLogit(model.formula, base=model.base), data)
    assert "compare bic" in lr_test(flat, two).reason
    with pytest.raises(SpecificationError, match="criterion is 'hqic'"):
        choose_classes(model, data, [1], criterion="hqic")
    with pytest.raises(SpecificationError, match="no number of classes"):
        choose_classes(model, data, [])


def test_a_number_of_classes_that_fails_says_why(monkeypatch):
    model, data, _ = drawn(2, makers=60)

    def refuse_three(model, data, **options):
        if model.classes == 3:
            raise IdentificationError("three are too many")
        return fit(model, data, **options)

    monkeypatch.setattr("estimation.choice.latent_class_result.fit_choice", refuse_three)
    found = choose_classes(model, data, [1, 3], start=FEW)
    assert found.best.model.classes == 1
    assert found.table["problem"].to_list() == ["", "three are too many"]
    assert np.isnan(found.table.loc[3, "llf"])
    with pytest.raises(EstimationError, match="no model could be estimated: three are too many"):
        choose_classes(model, data, [3])


def test_factored_data_give_the_same_answer():
    rng = np.random.default_rng(1)
    choosers = pd.DataFrame(
        {"id": np.arange(240), "who": np.arange(240) // 4, "home": "h", "took": "p1"}
    )
    choosers["age"] = rng.normal(size=60)[choosers["who"]]
    places = pd.DataFrame({"place": ["p0", "p1", "p2"], "wage": [0.0, 1.0, 2.0]})
    pairs = places[["place"]].assign(home="h", far=[0.5, -1.0, 0.7])
    names = {"chooser": "id", "origin": "home", "alternative": "place", "panel": "who"}
    blank = ChoiceData.from_factors(choosers, places, pairs, stay=None, chosen="took", **names)
    long = blank.to_long()
    slope = np.where(rng.random(60) < 0.4, 2.0, -1.0)[long.table["who"]]
    utility = slope * long.table["wage"] + rng.gumbel(size=len(long.table))
    best = utility.groupby(long.table["id"]).idxmax()
    choosers["took"] = long.table["place"].iloc[best].to_numpy()
    data = ChoiceData.from_factors(choosers, places, pairs, stay=None, chosen="took", **names)
    model = LatentClassLogit("wage + far:age | 0", membership="age")
    factored = fit(model, data, start=FEW)
    rows = fit(model, data.to_long(), start=FEW)
    assert factored.llf == pytest.approx(rows.llf, abs=1e-9)
    np.testing.assert_allclose(factored.params, rows.params, atol=1e-6)
    np.testing.assert_allclose(factored.bse, rows.bse, rtol=1e-5)


def test_covariances_know_decision_makers():
    model, data, _ = drawn(3, makers=150)
    region = data.table["who"] % 15
    data = ChoiceData.from_long(
        data.table.assign(region=region), "case", "alt", "chosen", panel="who"
    )
    result = fit(model, data, start=FEW)
    assert len(result.score_obs) == 150
    clustered = result.with_cov("cluster", groups="region")
    sums = pd.DataFrame(result.score_obs).groupby(np.arange(150) % 15).sum().to_numpy()
    bread = np.linalg.inv(-result.hessian)
    np.testing.assert_allclose(clustered.cov_params(), bread @ sums.T @ sums @ bread, rtol=1e-7)
    with pytest.raises(SpecificationError, match="varies within a decision maker"):
        result.with_cov("cluster", groups="case")


def test_starts_by_name_and_in_full(electricity, suppliers):
    full = fit(suppliers.model, electricity, start=suppliers.theta, cov="hessian")
    assert full.llf == pytest.approx(suppliers.llf, abs=1e-9)
    by_name = fit(suppliers.model, electricity, start=suppliers.params, cov="hessian")
    np.testing.assert_allclose(by_name.params, suppliers.params, atol=1e-7)
    with pytest.raises(EstimationError, match="RandomStarts are for latent class models"):
        fit(MultinomialLogit("pf | 0"), electricity, start=RandomStarts())
    with pytest.raises(EstimationError, match="one is the least"):
        RandomStarts(0)


def test_sums_do_not_depend_on_the_number_of_threads():
    import numba

    likelihood = specify(MODELS["membership"], generated(makers=200))
    theta = point(likelihood)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = likelihood.evaluate(theta)
    finally:
        numba.set_num_threads(before)
    many = likelihood.evaluate(theta)
    assert one[0] == many[0]
    np.testing.assert_array_equal(one[1], many[1])


def test_utilities_of_ten_thousand_do_not_overflow():
    data = generated()
    likelihood = specify(MODELS["plain"], data)
    theta = np.array([1e4, -1e4, -1e4, 1e4, 0.5])
    got = likelihood.contributions(theta)
    P, _ = likelihood.probabilities(theta)
    assert np.isfinite([got.llf, *got.score, *got.hessian.ravel()]).all()
    np.testing.assert_allclose(np.add.reduceat(P, data.offsets[:-1]), 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 0}, "whole number from 1 upwards"),
        ({"classes": 2.0}, "whole number from 1 upwards"),
        ({"membership": "age | income"}, "has 2 parts"),
        ({"classes": 1, "membership": "age"}, "with one class there is nothing"),
    ],
)
def test_specifications_are_valid_once_built(options, message):
    with pytest.raises(SpecificationError, match=message):
        LatentClassLogit("x", **options)


def test_whole_numbers_may_come_from_numpy():
    assert LatentClassLogit("x", classes=np.int64(3)) == LatentClassLogit("x", classes=3)
    mixed = MixedLogit("x", {"x": "normal"}, draws=np.int64(50), seed=np.int32(2))
    assert type(mixed.draws) is int
    assert type(mixed.seed) is int


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"membership": "x"}, "'x' stands in membership= but varies within a decision maker"),
        ({"membership": "s"}, "'s' stands in membership= but varies within a decision maker"),
        ({"shared": ["z"]}, "shared names the coefficient 'z'"),
        ({"shared": ["x", "y"]}, "all coefficients are shared"),
        ({"classes": 31}, "31 classes for 30 decision makers"),
    ],
)
def test_models_that_do_not_fit_the_data(options, message):
    with pytest.raises(SpecificationError, match=message):
        fit(LatentClassLogit("x + y | 0", **options), generated())


def test_weights_that_vary_within_a_decision_maker():
    data = generated()
    table = data.table.assign(w=1.0 + data.table["case"])
    varying = ChoiceData.from_long(
        table, "case", "alt", "chosen", weights="w", panel="who", alternatives=list("abcd")
    )
    with pytest.raises(DataError, match="weights vary within a decision maker"):
        fit(LatentClassLogit("x + y | 0"), varying)


def test_a_class_without_members_is_refused():
    model, data, _ = drawn(1, makers=40, choices=3)
    likelihood = specify(model, data)
    p = likelihood.parameters
    restrictions = Restrictions.build(p.names, ["class2:(Intercept) = -60"], {})
    utility = maximize(likelihood.flat.evaluate, np.zeros(3)).theta
    with pytest.raises(IdentificationError, match="ask for fewer classes"):
        start_classes(likelihood, restrictions, utility, FEW)


def test_classes_that_do_not_differ_are_named():
    parameters = specify(MODELS["plain"], generated()).parameters
    theta = parameters.start_from(np.array([0.3, 0.4]))
    (caution,) = parameters.cautions(theta)
    assert caution.startswith("class2 and class1 have the same coefficients")


def test_a_panel_is_asked_for_where_there_is_none(travel_mode):
    parameters = specify(LatentClassLogit("gc + ttme"), travel_mode).parameters
    assert "panel= of the data names decision makers" in parameters.notes[-1]
