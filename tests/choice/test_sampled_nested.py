"""Expanded nested logits against brute force, finite differences, the full set, and the truth."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit, sample_alternatives
from choicemodels.choices.scenario_data import add_alternative, drop_alternatives, keep_cases
from choicemodels.errors import DataError, SpecificationError
from choicemodels.logit.sampled_nested_likelihood import SampledNestedLikelihood
from choicemodels.logit.tree import build_tree, log_probabilities
from choicemodels.specify import specify
from estimation import fit
from estimation.bootstrap import bootstrap
from estimation.choice.iia_tests import lambda_one_test

NAMES = [f"a{j:02d}" for j in range(14)]
DEEP = {"A": {"A1": NAMES[:4], "A2": NAMES[4:8]}, "B": NAMES[8:12]}
STRATA = {"A1": NAMES[:4], "A2": NAMES[4:8], "B": NAMES[8:12], "alone": NAMES[12:]}


def generated(cases=60, seed=0, ragged=True):
    rng = np.random.default_rng(seed)
    size = cases * len(NAMES)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), len(NAMES)),
            "alt": np.tile(NAMES, cases),
            "x": rng.normal(size=size),
            "y": rng.normal(size=size),
            "a": rng.uniform(1, 4, size),
            "b": rng.uniform(1, 4, size),
            "z": np.repeat(rng.normal(size=cases), len(NAMES)),
            "w": np.repeat(rng.uniform(0.5, 1.5, cases), len(NAMES)),
        }
    )
    first = {name: k for members in STRATA.values() for k, name in enumerate(members)}
    keep = (rng.random(size) < 0.8) | (table["alt"].map(first) < 2) | (not ragged)
    table = table[keep].reset_index(drop=True)
    taken = table.groupby("case").sample(1, random_state=seed).index
    table["chosen"] = table.index.isin(taken).astype(int)
    return ChoiceData.from_long(table, "case", "alt", "chosen", weights="w", alternatives=NAMES)


MODELS = {
    "free": NestedLogit("x + y | 0", nests=DEEP),
    "shared": NestedLogit("x + y | 0", nests=DEEP, lambdas="shared"),
    "fixed": NestedLogit("x + y | 0", nests=DEEP, lambdas={"A": 0.8, "A2": 0.6}),
    "plain tau": NestedLogit("x + y | 0", nests=DEEP, normalization="nonnormalized"),
    "bent": NestedLogit("x + y | 0", nests=DEEP, size="a + b", size_coefficient="free", scale="z"),
}
SAMPLES = {
    "stratified": {"size": 2, "scheme": "stratified", "strata": STRATA},
    "importance": {
        "size": 3, "scheme": "importance", "strata": STRATA, "weights": "exp(x)",
    },
    "again": {
        "size": 4, "scheme": "stratified", "strata": STRATA, "replace": True,
    },
    "second sample": {"size": 2, "scheme": "stratified", "strata": STRATA, "logsums": 3},
}  # fmt: skip


def over(model, sample, **options):
    return specify(
        MODELS[model], sample_alternatives(generated(**options), **SAMPLES[sample], seed=2)
    )


def point(likelihood, seed=1):
    rng = np.random.default_rng(seed)
    p = likelihood.parameters
    return np.concatenate([0.5 * rng.normal(size=p.n_utility), rng.uniform(0.4, 1.4, p.n_free)])


def brute_force(likelihood, theta):
    """Return P(i | D) by case, from the formulas, one alternative after the other."""
    p, o, members = likelihood.parameters, likelihood.options, likelihood.members
    lam, tree, J = p.lambdas(theta), p.tree, len(p.alternatives)
    V, V2 = (
        d.at(theta[: p.n_utility]).offset + d.at(theta[: p.n_utility]).beta @ d.X[: p.n_utility]
        if d.linear
        else d.at(theta[: p.n_utility]).offset
        for d in (replace(x.design, offset=np.zeros(x.design.X.shape[1])) for x in (o, members))
    )
    weight = np.exp(likelihood.log_weight)
    scale = lam if p.rum else np.ones_like(lam)
    found = []
    for n in range(o.n_cases):
        sums = np.zeros(len(lam))
        for r in range(members.offsets[n], members.offsets[n + 1]):
            m = tree.parent[members.alternative[r]]
            sums[m] += weight[r] * np.exp(V2[r] / scale[m])
        for m in range(len(lam) - 1):
            up = tree.parent[J + m]
            sums[up] += np.exp(lam[m] * np.log(sums[m]) / scale[up])
        U = []
        for r in range(o.offsets[n], o.offsets[n + 1]):
            m = tree.parent[o.alternative[r]]
            u = V[r] / scale[m] + likelihood.sample.correction[r]
            while m < len(lam) - 1:
                up = tree.parent[J + m]
                u += np.log(sums[m]) * (lam[m] / scale[up] - 1.0)
                m = up
            U.append(u)
        found.append(np.exp(U) / np.exp(U).sum())
    return np.concatenate(found)


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("model", MODELS)
def test_probabilities_and_loglikelihood_against_brute_force(model, sample):
    likelihood = over(model, sample)
    assert isinstance(likelihood, SampledNestedLikelihood)
    assert (likelihood.members is likelihood.options) == (sample != "second sample")
    theta = point(likelihood)
    P = brute_force(likelihood, theta)
    got, _ = likelihood.probabilities(theta)
    np.testing.assert_allclose(got, P, rtol=1e-11)
    o = likelihood.options
    want = o.weights * np.log(P[o.chosen])
    at = likelihood.contributions(theta)
    np.testing.assert_allclose(at.loglike_obs, want, rtol=1e-10)
    assert at.llf == pytest.approx(want.sum(), rel=1e-12)


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("model", MODELS)
def test_score_and_hessian_against_finite_differences(model, sample):
    likelihood = over(model, sample)
    theta, step = point(likelihood), 1e-6
    at = likelihood.contributions(theta)
    up = [likelihood.evaluate(theta + h) for h in step * np.eye(len(theta))]
    down = [likelihood.evaluate(theta - h) for h in step * np.eye(len(theta))]
    score = [(a[0] - b[0]) / (2 * step) for a, b in zip(up, down, strict=True)]
    hessian = [(a[1] - b[1]) / (2 * step) for a, b in zip(up, down, strict=True)]
    np.testing.assert_allclose(at.score, score, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(at.hessian, hessian, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(at.score_obs.sum(axis=0), at.score, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(at.hessian, at.hessian.T)
    assert likelihood.evaluate(theta)[0] == at.llf


@pytest.mark.parametrize("second", [{}, {"logsums": 4}], ids=["one sample", "two samples"])
@pytest.mark.parametrize("model", MODELS)
def test_a_sample_of_everything_gives_the_full_nested_logit(model, second):
    data = generated()
    everything = sample_alternatives(data, 4, scheme="stratified", strata=STRATA, seed=1, **second)
    sampled, full = specify(MODELS[model], everything), specify(MODELS[model], data)
    assert isinstance(sampled, SampledNestedLikelihood)
    theta = point(full)
    one, other = sampled.contributions(theta), full.contributions(theta)
    assert one.llf == pytest.approx(other.llf, rel=1e-13)
    np.testing.assert_allclose(one.score_obs, other.score_obs, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.hessian, other.hessian, rtol=1e-9, atol=1e-10)
    for a, b in zip(sampled.probabilities(theta), full.probabilities(theta), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)
    # What stands for itself alone does so whatever the parameters.
    again = sampled.updated(theta).contributions(theta)
    assert again.llf == pytest.approx(other.llf, rel=1e-12)


@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_a_fit_to_everything_is_the_full_fit():
    data = generated(cases=400)
    everything = sample_alternatives(data, len(NAMES), seed=1)
    one, other = fit(MODELS["free"], everything), fit(MODELS["free"], data)
    np.testing.assert_allclose(one.params, other.params, atol=1e-7)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-6)


@pytest.mark.parametrize("sample", SAMPLES)
def test_with_every_lambda_at_one_nests_dissolve(sample):
    nested = over("free", sample)
    flat = over_flat(sample)
    theta = np.array([0.4, -0.7, 1.0, 1.0, 1.0, 1.0])
    one, other = nested.contributions(theta), flat.contributions(theta[:2])
    np.testing.assert_allclose(one.loglike_obs, other.loglike_obs, rtol=1e-11)
    np.testing.assert_allclose(one.score[:2], other.score, rtol=1e-9)
    np.testing.assert_allclose(one.hessian[:2, :2], other.hessian, rtol=1e-9)


def over_flat(sample):
    data = sample_alternatives(generated(), **SAMPLES[sample], seed=2)
    return specify(MultinomialLogit("x + y | 0"), data)


def test_alternatives_stand_for_the_mean_over_who_might_have_been_chosen():
    likelihood = over("free", "stratified")
    theta = point(likelihood)
    P, _ = likelihood.probabilities(theta)
    weight = np.exp(likelihood.updated(theta).log_weight)
    full = generated()
    offered = full.table.groupby(["case", full.table["alt"].map(stratum_of)]).size()
    o = likelihood.options
    for n in range(o.n_cases):
        rows = np.arange(o.offsets[n], o.offsets[n + 1])
        names = [NAMES[j] for j in o.alternative[rows]]
        for j in rows:
            mean = 0.0
            for i in rows:
                s, t = (stratum_of(names[k - rows[0]]) for k in (i, j))
                count = offered[n, t]
                # Two of each stratum: beside i one of its others, and two of any other stratum.
                stands_for = 1.0 if i == j else count - 1 if s == t else count / 2
                mean += P[i] * stands_for
            assert weight[j] == pytest.approx(mean, rel=1e-10)


def stratum_of(name):
    return next(s for s, members in STRATA.items() if name in members)


def test_estimates_and_expansions_agree():
    data = generated(cases=500)
    sampled = sample_alternatives(data, **SAMPLES["stratified"], seed=2)
    result = fit(MODELS["shared"], sampled)
    assert result.converged
    likelihood = specify(MODELS["shared"], result.data)
    at = likelihood.contributions(result.theta)
    newton = np.linalg.solve(-at.hessian, at.score)
    assert (np.abs(newton) < 1e-6 * result.bse).all()
    updated = likelihood.updated(result.theta)
    np.testing.assert_allclose(updated.log_weight, likelihood.log_weight, atol=1e-4)
    assert at.llf == pytest.approx(result.llf, abs=1e-9)
    again = fit(MODELS["shared"], result.data)
    np.testing.assert_allclose(again.params, result.params, atol=1e-3 * result.bse.min())
    assert any("samples of alternatives" in note for note in result.notes)


def test_the_only_member_of_a_nest_needs_no_expansion():
    data = generated()
    sampled = sample_alternatives(data, 8, seed=5)
    hanging = {"B": NAMES[8:12], "C": NAMES[:8]}
    alone = {**hanging, "D": NAMES[12:13], "E": {"F": NAMES[13:]}}
    one = specify(NestedLogit("x + y | 0", nests=hanging), sampled)
    other = specify(NestedLogit("x + y | 0", nests=alone), sampled)
    assert other.parameters.names == one.parameters.names
    theta = point(one)
    a, b = one.contributions(theta), other.contributions(theta)
    np.testing.assert_allclose(a.loglike_obs, b.loglike_obs, rtol=1e-12)
    np.testing.assert_allclose(a.hessian, b.hessian, rtol=1e-9, atol=1e-11)


def test_alternatives_may_come_in_any_order():
    sampled = sample_alternatives(generated(), **SAMPLES["importance"], seed=2)
    order = np.random.default_rng(0).permutation(len(NAMES))
    position = np.argsort(order)
    shuffled = replace(
        sampled,
        alternatives=tuple(NAMES[j] for j in order),
        alternative=position[sampled.alternative],
    )
    one, other = (specify(MODELS["free"], d) for d in (sampled, shuffled))
    theta = point(one)
    a, b = one.contributions(theta), other.contributions(theta)
    np.testing.assert_allclose(a.loglike_obs, b.loglike_obs, rtol=1e-12)
    np.testing.assert_allclose(a.hessian, b.hessian, rtol=1e-10, atol=1e-11)


def test_utilities_of_ten_thousand_do_not_overflow():
    data = generated()
    table = data.table.assign(x=1e4 * np.sign(data.table["x"]), y=0.0)
    sampled = sample_alternatives(replace(data, table=table), **SAMPLES["stratified"], seed=2)
    likelihood = specify(MODELS["free"], sampled)
    theta = np.array([1.0, 0.0, 0.1, 0.1, 0.3, 0.2])
    at = likelihood.contributions(theta)
    P, logsum = likelihood.probabilities(theta)
    assert np.isfinite([at.llf, *at.score, *at.hessian.ravel(), *P, *logsum]).all()
    assert np.isfinite(likelihood.updated(theta).log_weight).all()


def test_a_weight_of_two_is_the_case_twice():
    likelihood = over("free", "stratified")
    theta = point(likelihood)
    once = likelihood.reweighted(np.ones(60)).contributions(theta)
    twice = likelihood.reweighted(np.full(60, 2.0)).contributions(theta)
    np.testing.assert_allclose(twice.hessian, 2 * once.hessian, rtol=1e-12)
    np.testing.assert_allclose(twice.score_obs, 2 * once.score_obs, rtol=1e-12)


def test_sums_do_not_depend_on_the_number_of_threads():
    import numba

    likelihood = over("free", "importance", cases=300)
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


def test_outside_of_the_domain_the_likelihood_is_zero():
    likelihood = over("free", "stratified")
    assert likelihood.evaluate(np.array([0.1, 0.1, -0.5, 0.5, 0.5, 0.5]))[0] == -np.inf


def test_samples_that_cannot_be_expanded_are_refused():
    data, model = generated(ragged=False), MODELS["free"]
    one = {**dict.fromkeys(STRATA, 2), "B": 1}
    thin = sample_alternatives(data, one, scheme="stratified", strata=STRATA, seed=1)
    with pytest.raises(DataError, match="no sample holds two members of the nest 'B'"):
        fit(model, thin)
    halves = {"low": NAMES[:13], "high": NAMES[13:]}
    single = {"low": 9, "high": 1}
    kept = sample_alternatives(data, single, scheme="stratified", strata=halves, seed=1)
    assert isinstance(specify(model, kept), SampledNestedLikelihood)
    halves = {"low": NAMES[:10], "high": NAMES[10:]}
    single = sample_alternatives(data, single, scheme="stratified", strata=halves, seed=1)
    with pytest.raises(DataError, match="draw at least two from each stratum"):
        fit(model, single)
    lost = sample_alternatives(data, 6, logsums=3, seed=1)
    with pytest.raises(DataError, match=r"no member of the nest '\w+' for the case \d+"):
        fit(model, lost)
    sampled = sample_alternatives(data, **SAMPLES["stratified"], seed=1)
    with pytest.raises(SpecificationError, match="constants='absorbed' of a nested logit"):
        fit(replace(model, constants="absorbed"), sampled)


def test_one_member_of_each_nest_can_be_offered_if_a_second_sample_has_more():
    data = generated(ragged=False)
    sampled = sample_alternatives(data, 1, scheme="stratified", strata=STRATA, logsums=3, seed=1)
    likelihood = specify(MODELS["free"], sampled)
    assert likelihood.parameters.n_free == 4
    assert likelihood.parameters.notes == ()


@pytest.mark.parametrize("sample", ["stratified", "second sample"])
def test_some_cases_of_a_sample_are_a_sample(sample):
    data = sample_alternatives(generated(), **SAMPLES[sample], seed=2)
    every = specify(MODELS["free"], data)
    theta = point(every)
    if sample == "stratified":
        every = every.updated(theta)
        data = replace(data, sample=every.sample)
    kept = np.array([30, 2, 17])
    some = specify(MODELS["free"], keep_cases(data, kept))
    np.testing.assert_allclose(
        some.contributions(theta).loglike_obs,
        every.contributions(theta).loglike_obs[kept],
        rtol=1e-12,
    )
    for alter in (
        lambda: drop_alternatives(data, NAMES[0]),
        lambda: add_alternative(data, "new", like=NAMES[0]),
    ):
        with pytest.raises(DataError, match="sample these"):
            alter()


def test_what_follows_an_estimate_knows_of_the_samples():
    data, nests = hundred(3, 400)
    sampled = sample_alternatives(data, 20, scheme="importance", weights=GUESS, seed=1)
    result = fit(NestedLogit("x + y + z | 0", nests=nests, lambdas="shared"), sampled)
    test = lambda_one_test(result)
    assert not test.applies
    assert "expanded from samples" in test.reason
    draws = bootstrap(result, replications=60, seed=1)
    np.testing.assert_allclose(draws.result.bse, result.bse, rtol=0.35)
    held = fit(replace(result.model, constraints=["lambda = 0.5", "x = 1"]), sampled)
    assert held.params.index.tolist() == ["y", "z"]


def hundred(seed, cases):
    """Choices among 100 alternatives in five nests, lambda 0.5, and variables of both levels."""
    rng = np.random.default_rng([2013, seed])
    names = [f"a{j:03d}" for j in range(100)]
    nest = np.repeat(np.arange(5), 20)
    nests = {f"n{m}": [names[j] for j in np.flatnonzero(nest == m)] for m in range(5)}
    X = 0.5 * rng.normal(size=(cases, 100, 3)) + rng.normal(size=(cases, 5, 3))[:, nest]
    P = np.exp(log_probabilities(X @ TRUTH[:3], build_tree(nests, names), np.full(5, TRUTH[3])))
    chosen = (P.cumsum(axis=1) < rng.random((cases, 1))).sum(axis=1)
    table = pd.DataFrame(X.reshape(-1, 3), columns=["x", "y", "z"]).assign(
        case=np.repeat(np.arange(cases), 100),
        alt=np.tile(names, cases),
        chosen=(np.arange(100) == chosen[:, None]).ravel().astype(int),
    )
    return ChoiceData.from_long(table, "case", "alt", "chosen"), nests


TRUTH = np.array([1.0, -1.0, 0.5, 0.5])
GUESS = "exp(x - y + 0.5 * z)"


def replications(count, cases):
    """Estimate (x, y, z, lambda) corrected in full, without expansion, and not at all."""
    estimates = {"corrected": [], "not expanded": [], "uncorrected": []}
    errors = {name: [] for name in estimates}
    for seed in range(count):
        data, nests = hundred(seed, cases)
        model = NestedLogit("x + y + z | 0", nests=nests, lambdas="shared")
        strata = {"A": nests["n0"] + nests["n1"], "B": nests["n2"] + nests["n3"], "C": nests["n4"]}
        sampled = sample_alternatives(
            data,
            {"A": 8, "B": 8, "C": 4},
            scheme="importance",
            strata=strata,
            weights=GUESS,
            seed=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # uncorrected, lambda may lie above one
            for name, result in (
                ("corrected", fit(model, sampled)),
                ("not expanded", not_expanded(model, sampled)),
                ("uncorrected", fit(model, replace(sampled, sample=None))),
            ):
                estimates[name].append(result.theta)
                errors[name].append(result.bse.to_numpy())
    return {name: (np.array(estimates[name]), np.array(errors[name])) for name in estimates}


def not_expanded(model, sampled):
    """Fit with ``ln pr(D | j)`` alone: the nests' sums are those of the sample."""
    as_drawn = replace(sampled.sample, correction=np.zeros(len(sampled.table)))
    logsums = replace(sampled, sample=as_drawn)
    return fit(model, replace(sampled, sample=replace(sampled.sample, logsums=logsums)))


def coverage(estimates, errors):
    return (np.abs(estimates - TRUTH) < 1.959964 * errors).mean(axis=0)


def test_corrected_estimates_find_the_truth_and_the_others_do_not():
    found = replications(1, 1500)
    z = {name: (estimates - TRUTH) / errors for name, (estimates, errors) in found.items()}
    assert (np.abs(z["corrected"]) < 3).all()
    assert (np.abs(z["not expanded"][:, :2]) > 3).all()
    assert (np.abs(z["uncorrected"][:, :2]) > 3).all()


@pytest.mark.slow
def test_corrected_intervals_cover_the_truth_and_the_others_do_not():
    """The table of docs/sampling.md: 200 samples of 20 of 100 alternatives, by importance."""
    found = replications(200, 1500)
    shares = {name: coverage(*both) for name, both in found.items()}
    assert ((shares["corrected"] >= 0.90) & (shares["corrected"] <= 0.99)).all(), shares
    assert (shares["not expanded"] < 0.5).all(), shares
    assert (shares["uncorrected"] < 0.5).all(), shares
    estimates, errors = found["corrected"]
    # The intervals are as wide as the estimates' spread asks.
    np.testing.assert_allclose(errors.mean(axis=0), estimates.std(axis=0), rtol=0.2)
