"""Identification reports: closed forms, brute force, special cases."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit, OrderedChoice
from choicemodels.errors import IdentificationError, SpecificationError
from estimation import fit
from estimation.choice.identification import collinearity_report, examine, identification_report


@pytest.fixture(scope="module")
def generated():
    rng = np.random.default_rng(0)
    N = 500
    x, noise = rng.normal(size=3 * N), rng.normal(size=3 * N)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(N), 3),
            "alt": list("abc") * N,
            "x": x,
            "twice": 2 * x,
            "near": 10 * x + 0.01 * noise,
            "other": rng.normal(size=3 * N),
            "age": np.repeat(rng.normal(size=N), 3),
        }
    )
    table["chosen"] = np.arange(3 * N) % 3 == np.repeat(rng.integers(0, 3, size=N), 3)
    return ChoiceData.from_long(table, "case", "alt", "chosen")


def test_two_columns_in_closed_form():
    """With a correlation r of the scaled information the condition number is known."""
    for r in (0.0, 0.5, -0.99, 0.9999):
        scale = np.array([3.0, 0.01])
        information = np.array([[1.0, r], [r, 1.0]]) * np.outer(scale, scale)
        report = examine(-information, ["a", "b"])
        want = np.sqrt((1 + abs(r)) / (1 - abs(r)))
        assert report.condition_number == pytest.approx(want, rel=1e-9)
        assert bool(report.directions) == (want > 30)
    worst = report.directions[0]
    # Along the weak direction the two scaled coefficients move against each other.
    assert worst.combination["b"] / worst.combination["a"] == pytest.approx(-300, rel=1e-9)
    assert worst.shares.to_numpy() == pytest.approx([1.0, 1.0], abs=1e-3)


def test_variance_shares_are_those_of_the_inverse():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(40, 4)) @ np.diag([1, 10, 100, 1])
    A[:, 3] = A[:, 0] + 0.01 * A[:, 3]
    information = A.T @ A
    report = examine(-information, list("abcd"))
    (weak,) = report.directions
    scale = 1 / np.sqrt(np.diag(information))
    values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
    parts = vectors**2 / values
    want = pd.Series(parts[:, 0] / parts.sum(axis=1), index=list("abcd"))
    np.testing.assert_allclose(weak.shares, want[weak.shares.index])
    assert set(weak.loadings.index) == {"a", "d"}
    inverse = np.linalg.inv(information)
    np.testing.assert_allclose(parts.sum(axis=1) * scale**2, np.diag(inverse), rtol=1e-8)


def test_a_fitted_model_names_its_weak_combination(generated):
    result = fit(MultinomialLogit("x + near + other"), generated)
    report = identification_report(result)
    assert report.identified
    assert report.condition_number > 500
    (direction,) = report.directions
    assert set(direction.combination.index) == {"x", "near"}
    ratio = direction.combination["x"] / direction.combination["near"]
    assert ratio == pytest.approx(-10, rel=1e-3)
    assert "Weak (condition index" in str(report)
    assert "other" not in str(report).split("\n")[1]
    assert report.table.loc[(1, "x"), "variance share"] > 0.99
    calm = identification_report(fit(MultinomialLogit("x + other"), generated))
    assert calm.condition_number < 5
    assert "Every parameter has variation of its own." in str(calm)


def test_exact_collinearity_before_the_fit(generated):
    report = collinearity_report(MultinomialLogit("x + twice + other"), generated)
    assert not report.identified
    assert np.isinf(report.condition_number)
    (direction,) = report.directions
    weights = direction.combination
    assert weights["x"] / weights["twice"] == pytest.approx(-2)
    X = generated.table[list(weights.index)].to_numpy() @ weights.to_numpy()
    np.testing.assert_allclose(X, 0, atol=1e-12)
    assert "Not identified: " in str(report)
    with pytest.raises(IdentificationError, match="'x', 'twice' are collinear"):
        fit(MultinomialLogit("x + twice + other"), generated)


def test_a_variable_of_the_case_says_nothing(generated):
    report = collinearity_report(MultinomialLogit("x + age | 0"), generated)
    assert report.silent == ("age",)
    assert "The data say nothing about age." in str(report)
    assert not report.identified
    only = collinearity_report(MultinomialLogit("age | 0"), generated)
    assert only.silent == ("age",)


def test_constants_and_a_dummy_for_each_alternative(generated):
    table = generated.table.assign(is_b=lambda t: (t["alt"] == "b").astype(float))
    data = ChoiceData.from_long(table, "case", "alt", "chosen")
    report = collinearity_report(MultinomialLogit("x + is_b"), data)
    assert set(report.directions[0].combination.index) == {"(Intercept):b", "is_b"}


def test_nested_constrained_and_ordered_results(travel_mode, generated):
    nested = fit(NestedLogit("gc + ttme", {"g": ["train", "bus", "car"]}, base="car"), travel_mode)
    assert identification_report(nested).names == nested.names
    equal = MultinomialLogit("gc + invt + ttme", base="car", constraints=["gc = invt"])
    result = fit(equal, travel_mode)
    assert len(identification_report(result).names) == result.df_model
    ordered = fit(
        OrderedChoice("x + near", outcome="age_group"),
        generated.table.assign(age_group=lambda t: np.digitize(t["age"], [-0.5, 0.5])),
    )
    assert identification_report(ordered).condition_number > 500


def test_a_saddle_is_called_one():
    report = examine(-np.array([[1.0, 2.0], [2.0, 1.0]]), ["a", "b"])
    assert report.saddle
    assert not report.identified
    assert "No maximum: the log-likelihood rises along a - b" in str(report)


def test_choices_are_needed(generated):
    data = ChoiceData.from_long(generated.table, "case", "alt")
    with pytest.raises(SpecificationError, match="needs the choices"):
        collinearity_report(MultinomialLogit("x"), data)


@pytest.mark.parametrize("seed", range(6))
def test_rounding_does_not_pass_for_information(seed):
    """The curvature in age is a difference of equal numbers, and may round to either sign."""
    rng = np.random.default_rng(seed)
    N = (300, 500, 811)[seed % 3]
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(N), 3),
            "alt": np.tile(list("abc"), N),
            "x": rng.normal(size=3 * N),
            "age": np.repeat(rng.uniform(20, 60, N), 3),
        }
    )
    utility = table["x"] + rng.gumbel(size=3 * N)
    table["chosen"] = (utility.groupby(table["case"]).transform("max") == utility).astype(int)
    data = ChoiceData.from_long(table, "case", "alt", "chosen")
    for model in (
        MultinomialLogit("x + age | 0"),
        NestedLogit("x + age | 0", {"n": ["a", "b"]}),
        MultinomialLogit("x + age | 0", constants="absorbed"),
    ):
        with pytest.raises(IdentificationError, match="flat or convex in age"):
            fit(model, data)
