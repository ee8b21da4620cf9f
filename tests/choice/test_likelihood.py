"""The kernel against brute force, finite differences, and the models it must collapse to."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.logit.tree import branch_logsum, build_tree, log_probabilities
from choicemodels.specify import specify

ALTERNATIVES = list("abcdefg")
NESTS = {"A": {"A1": ["a", "b"], "A2": ["c", "d"]}, "B": ["e"], "C": ["f", "g"]}


def generated(cases=60, seed=0):
    """Ragged choice sets of two to seven alternatives, three variables and weights."""
    rng = np.random.default_rng(seed)
    rows = []
    for case in range(cases):
        offered = rng.permutation(7)[: rng.integers(2, 8)]
        for rank, j in enumerate(sorted(offered)):
            rows.append((case, ALTERNATIVES[j], rank == 0, *rng.normal(size=3)))
    table = pd.DataFrame(rows, columns=["case", "alt", "chosen", "x", "y", "z"])
    table["w"] = 0.5 + rng.random(cases)[table["case"]]
    shuffled = table.groupby("case")["chosen"].transform(
        lambda flags: np.roll(flags, rng.integers(len(flags)))
    )
    return ChoiceData.from_long(
        table.assign(chosen=shuffled),
        "case",
        "alt",
        "chosen",
        weights="w",
        alternatives=ALTERNATIVES,
    )


MODELS = {
    "multinomial": MultinomialLogit("x + y + z | 0"),
    "free": NestedLogit("x + y + z | 0", nests=NESTS),
    "shared": NestedLogit("x + y + z | 0", nests=NESTS, lambdas="shared"),
    "fixed": NestedLogit("x + y + z | 0", nests=NESTS, lambdas={"A": 0.8, "A2": 0.6}),
    "plain tau": NestedLogit("x + y + z | 0", nests=NESTS, normalization="nonnormalized"),
    "shared tau": NestedLogit(
        "x + y + z | 0", nests=NESTS, normalization="nonnormalized", lambdas="shared"
    ),
}


def point(likelihood, seed=1):
    rng = np.random.default_rng(seed)
    p = likelihood.parameters
    return np.concatenate([rng.normal(size=p.n_utility), rng.uniform(0.4, 1.4, p.n_free)])


@pytest.mark.parametrize("name", MODELS)
def test_loglikelihood_and_probabilities_against_dense_brute_force(name):
    data = generated()
    likelihood = specify(MODELS[name], data)
    theta = point(likelihood)
    p = likelihood.parameters
    V = np.zeros((data.n_cases, 7))
    offered = np.zeros(V.shape, dtype=bool)
    case = np.repeat(np.arange(data.n_cases), data.set_sizes)
    V[case, data.alternative] = theta[: p.n_utility] @ likelihood.observations.design.X
    offered[case, data.alternative] = True
    logP = log_probabilities(V, p.tree, p.lambdas(theta)[:-1], rum=p.rum, available=offered)
    chosen = data.alternative[data.chosen]
    want = data.weights * logP[np.arange(data.n_cases), chosen]
    got = likelihood.contributions(theta)
    np.testing.assert_allclose(got.loglike_obs, want, rtol=1e-12, atol=1e-12)
    assert got.llf == pytest.approx(want.sum(), rel=1e-13)
    P, logsum = likelihood.probabilities(theta)
    np.testing.assert_allclose(P, np.exp(logP)[offered], rtol=1e-12)
    np.testing.assert_allclose(np.bincount(case, weights=P), 1.0, rtol=1e-12)
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


def test_a_weight_of_two_is_the_case_twice():
    data = generated()
    likelihood = specify(MODELS["free"], data)
    theta = point(likelihood)
    once = likelihood.reweighted(np.ones(data.n_cases)).contributions(theta)
    twice = likelihood.reweighted(np.full(data.n_cases, 2.0)).contributions(theta)
    np.testing.assert_allclose(twice.hessian, 2 * once.hessian, rtol=1e-12)
    np.testing.assert_allclose(twice.score_obs, 2 * once.score_obs, rtol=1e-12)


@pytest.mark.parametrize("normalization", ["rum", "nonnormalized"])
def test_with_every_lambda_at_one_nests_dissolve(normalization):
    data = generated()
    nested = specify(NestedLogit("x + y + z | 0", nests=NESTS, normalization=normalization), data)
    flat = specify(MODELS["multinomial"], data)
    beta = point(flat)
    theta = np.concatenate([beta, np.ones(nested.parameters.n_free)])
    assert nested.evaluate(theta)[0] == pytest.approx(flat.evaluate(beta)[0], rel=1e-13)


def test_a_deep_tree_with_equal_lambdas_is_the_shallow_one():
    data = generated()
    deep = specify(NestedLogit("x | 0", nests={"A": {"A1": ["a", "b"], "A2": ["c"]}}), data)
    shallow = specify(NestedLogit("x | 0", nests={"A": ["a", "b", "c"]}), data)
    # A2 has one member, so its lambda is fixed at 1: the free ones are A1 and A.
    assert deep.parameters.names == ("x", "lambda:A1", "lambda:A")
    at = deep.parameters
    same = replace(at, slot=np.array([-1, -1, 1, -1]), fixed=np.array([0.7, 0.7, 1.0, 1.0]))
    got = replace(deep, parameters=replace(same, names=("x", "lambda:A")))
    assert got.evaluate(np.array([0.3, 0.7]))[0] == pytest.approx(
        shallow.evaluate(np.array([0.3, 0.7]))[0], rel=1e-13
    )


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
    for model in (
        MultinomialLogit("x | 0"),
        NestedLogit("x | 0", nests={"m": ["a", "b"]}, lambdas={"m": 0.1}),
    ):
        likelihood = specify(model, data)
        got = likelihood.contributions(np.ones(1))
        P, _ = likelihood.probabilities(np.ones(1))
        assert np.isfinite([got.llf, *got.score, *got.hessian.ravel()]).all()
        np.testing.assert_allclose(P.reshape(4, 3).sum(axis=1), 1.0)


utilities = st.lists(st.floats(-1e4, 1e4), min_size=7, max_size=7)
lambdas = st.lists(st.floats(0.05, 2.0), min_size=5, max_size=5)


@settings(max_examples=100, deadline=None)
@given(utilities, lambdas, st.floats(-1e3, 1e3))
def test_probabilities_sum_to_one_and_ignore_a_common_constant(V, lam, constant):
    tree = build_tree(NESTS, ALTERNATIVES)
    V = np.array(V)
    P = np.exp(log_probabilities(V, tree, np.array(lam)))
    shifted = np.exp(log_probabilities(V + constant, tree, np.array(lam)))
    # V / lambda reaches 2e5, whose rounding error is 3e-11: no formula in logs does better.
    assert P.sum() == pytest.approx(1.0, abs=1e-10)
    np.testing.assert_allclose(shifted, P, atol=1e-8)


@settings(max_examples=50, deadline=None)
@given(utilities, lambdas, st.permutations(range(7)))
def test_probabilities_follow_their_alternatives_when_permuted(V, lam, order):
    V, lam = np.array(V), np.array(lam)
    P = np.exp(log_probabilities(V, build_tree(NESTS, ALTERNATIVES), lam))
    names = [ALTERNATIVES[j] for j in order]
    permuted = np.exp(log_probabilities(V[list(order)], build_tree(NESTS, names), lam))
    np.testing.assert_allclose(permuted, P[list(order)], atol=1e-12)


def test_the_branch_logsum_rebuilds_the_full_probabilities():
    rng = np.random.default_rng(3)
    V, lam = rng.normal(size=(5, 7)), np.array([0.3, 0.5, 0.6, 1.0, 0.8])
    tree = build_tree(NESTS, ALTERNATIVES)
    offered = rng.random((5, 7)) < 0.8
    offered[:, 4] = True
    full = np.exp(log_probabilities(V, tree, lam, available=offered))
    W = branch_logsum(V, tree, lam, "e", available=offered)
    others = offered & (np.arange(7) != 4)
    conditional = log_probabilities(V, tree, lam, available=others)
    stay = np.exp(V[:, 4]) / (np.exp(V[:, 4]) + np.exp(W))
    np.testing.assert_allclose(stay, full[:, 4], rtol=1e-12)
    rebuilt = (1 - stay)[:, None] * np.exp(conditional)
    np.testing.assert_allclose(
        np.delete(rebuilt, 4, axis=1), np.delete(full, 4, axis=1), atol=1e-14
    )


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
