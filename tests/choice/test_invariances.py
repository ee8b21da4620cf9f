"""What holds for every model of choice among alternatives, whatever the utilities.

The systematic utility of each row is drawn and enters as an offset, beside two variables and
constants with coefficients. A new family is one line in ``FAMILIES``.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from choicemodels import (
    ChoiceData,
    CrossNestedLogit,
    LatentClassLogit,
    MixedLogit,
    MultinomialLogit,
    NestedLogit,
)
from choicemodels.specify import specify

ALTERNATIVES = list("abcdef")
CASES, J = 12, len(ALTERNATIVES)
NESTS = {"upper": {"left": ["a", "b"], "right": ["c", "d"]}, "alone": ["e"]}
CROSSED = {"left": ["a", "b", "c"], "right": ["b", "c", "d", "f"]}
SPREAD = {"x": "normal", "y:c": "uniform"}
WHAT = {"formula": "x | y", "base": "a", "offset": "u"}

FAMILIES = {
    "multinomial": MultinomialLogit(**WHAT),
    "nested": NestedLogit(nests=NESTS, **WHAT),
    "nested, small lambdas": NestedLogit(nests=NESTS, lambdas={"upper": 0.3, "left": 0.05}, **WHAT),
    "nested, lambda above one": NestedLogit(nests=NESTS, lambdas={"left": 1.8}, **WHAT),
    "nested, shared lambda": NestedLogit(nests=NESTS, lambdas="shared", **WHAT),
    "latent classes": LatentClassLogit(membership="y", **WHAT),
    "nested, not normalized": NestedLogit(nests=NESTS, normalization="nonnormalized", **WHAT),
    "cross-nested": CrossNestedLogit(nests=CROSSED, **WHAT),
    "cross-nested, small lambda": CrossNestedLogit(nests=CROSSED, lambdas={"left": 0.05}, **WHAT),
    "mixed": MixedLogit(random=SPREAD, draws=20, **WHAT),
    "mixed, correlated": MixedLogit(
        random={"x": "lognormal", "y:c": "normal"}, correlated=True, draws=20, **WHAT
    ),
    "mixed, error components": MixedLogit(
        error_components={"left": ["a", "b"], "right": ["c", "d"]}, draws=20, **WHAT
    ),
}
# Without the normalization nests of different tau see a common constant differently.
SHIFTABLE = [name for name in FAMILIES if name != "nested, not normalized"]

every_family = pytest.mark.parametrize("family", FAMILIES)
utilities = arrays(np.float64, (CASES, J), elements=st.floats(-1e4, 1e4))
EXTREMES = np.tile([1e4, -1e4, 0.0, 1e4, 1e4, -1e4], (CASES, 1))


def cases(u):
    """Lay out choice sets that lack one alternative in turn, or none."""
    rng = np.random.default_rng(5)
    case, alternative = (index.ravel() for index in np.indices((CASES, J)))
    table = pd.DataFrame(
        {
            "case": case,
            "alt": np.array(ALTERNATIVES)[alternative],
            "chosen": alternative == (case + 2) % J,
            "x": rng.normal(size=CASES * J),
            "y": rng.normal(size=CASES)[case],
            "u": u.ravel(),
        }
    )
    return table[alternative != case % (J + 1)]


def over(family, table, alternatives=ALTERNATIVES):
    data = ChoiceData.from_long(table, "case", "alt", "chosen", alternatives=alternatives)
    return data, specify(FAMILIES[family], data)


def point(likelihood):
    """Choose parameters by name, away from where a search starts and inside their domain."""
    layout = likelihood.parameters
    at = layout.start_from(layout.utility.start)
    steps = 0.1 + 0.02 * np.arange(len(at))
    return dict(zip(layout.names, at + np.where(at > 0.5, -steps, steps), strict=True))


def answers(likelihood, parameters, data):
    """Return contributions, and probabilities by case and alternative."""
    theta = np.array([parameters[name] for name in likelihood.parameters.names])
    P, _ = likelihood.probabilities(theta)
    names = np.array(data.alternatives)[data.alternative]
    cases = data.table["case"].to_numpy()
    by_row = pd.Series(P, index=pd.MultiIndex.from_arrays([cases, names])).sort_index()
    return likelihood.contributions(theta), by_row


def data_order(data):
    """Find the chosen rows among the rows sorted by case and alternative."""
    names = np.array(data.alternatives)[data.alternative]
    order = np.lexsort([names, data.table["case"]])
    return np.argsort(order)[data.chosen]


@every_family
@settings(max_examples=8, deadline=None)
@example(EXTREMES)
@example(-EXTREMES)
@given(utilities)
def test_probabilities_sum_to_one_and_nothing_overflows(family, u):
    data, likelihood = over(family, cases(u))
    at, P = answers(likelihood, point(likelihood), data)
    assert P.between(0, 1 + 1e-12).all()
    np.testing.assert_allclose(P.groupby(level=0).sum(), 1.0, atol=1e-9)
    for finite in (at.llf, at.score, at.hessian, at.loglike_obs, at.score_obs):
        assert np.isfinite(finite).all()
    assert at.llf <= 0
    # Where the probability of a choice is no rounding error, its logarithm is its contribution.
    chosen = P.to_numpy()[data_order(data)]
    likely = chosen > 1e-6
    np.testing.assert_allclose(at.loglike_obs[likely], np.log(chosen[likely]), atol=1e-6)


@pytest.mark.parametrize("family", SHIFTABLE)
@settings(max_examples=8, deadline=None)
@given(utilities, arrays(np.float64, CASES, elements=st.floats(-1e4, 1e4)))
def test_a_constant_added_to_all_utilities_of_a_case_changes_nothing(family, u, constant):
    data, likelihood = over(family, cases(u))
    moved, after = over(family, cases(u + constant[:, None]))
    parameters = point(likelihood)
    at, P = answers(likelihood, parameters, data)
    shifted, P_shifted = answers(after, parameters, moved)
    # u / lambda reaches 4e5, whose rounding is 6e-11.
    np.testing.assert_allclose(P_shifted, P, atol=1e-8)
    np.testing.assert_allclose(shifted.loglike_obs, at.loglike_obs, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(shifted.score, at.score, rtol=1e-7, atol=1e-3)


@every_family
@settings(max_examples=8, deadline=None)
@given(utilities, st.permutations(ALTERNATIVES), st.randoms(use_true_random=False))
def test_the_order_of_alternatives_does_not_matter(family, u, order, random):
    table = cases(u)
    data, likelihood = over(family, table)
    rows = list(range(len(table)))
    random.shuffle(rows)
    # Cases keep their order, so that draws which belong to cases stay with them.
    shuffled = table.iloc[rows].sort_values("case", kind="stable")
    permuted, after = over(family, shuffled, order)
    parameters = point(likelihood)
    assert set(after.parameters.names) == set(parameters)
    at, P = answers(likelihood, parameters, data)
    other, P_permuted = answers(after, parameters, permuted)
    np.testing.assert_allclose(P_permuted, P, atol=1e-9)
    np.testing.assert_allclose(other.loglike_obs, at.loglike_obs, rtol=1e-9, atol=1e-9)
    by_name = dict(zip(after.parameters.names, other.score, strict=True))
    again = [by_name[name] for name in likelihood.parameters.names]
    np.testing.assert_allclose(again, at.score, rtol=1e-7, atol=1e-3)
