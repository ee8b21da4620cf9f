"""Formulas: the coding agrees with formulaic's, and nothing but the language is let in."""

import numpy as np
import pandas as pd
import pytest
from formulaic import model_matrix

from choicemodels import ChoiceData, MultinomialLogit
from choicemodels.errors import DataError, SpecificationError
from choicemodels.formula import expand
from choicemodels.logit.design import design_terms
from choicemodels.logit.systematic import Design
from choicemodels.utility import evaluate, product, variables

TABLE = pd.DataFrame(
    {
        "a": ["x", "y", "z", "x"],
        "b": [1.0, 2.0, 3.0, 4.0],
        "flag": [True, False, True, True],
        "g": [1, 2, 1, 2],
        "wait time": [1.0, 2.0, 3.0, 5.0],
        "h": ["p", "q", "p", "q"],
        "my cat": ["u", "v", "u", "w"],
    }
)


@pytest.mark.parametrize(
    "rhs",
    [
        "C(a) * b + log(b) + flag",
        "a:h + b",
        "0 + a",
        "C(g)",
        "C(a, contr.treatment(base='y')):b",
        "`wait time`:b + I(b ** 2)",
        "1",
        "(b + g) ** 2",
        "`my cat` * h",
        "b * a * h",
    ],
)
@pytest.mark.parametrize("drop_intercept", [False, True])
def test_columns_equal_formulaics(rhs, drop_intercept):
    terms = expand(rhs, TABLE, drop_intercept=drop_intercept)
    got = [np.broadcast_to(product(t.factors, TABLE), 4) for t in terms]
    want = model_matrix(f"{rhs} + 1" if drop_intercept else rhs, TABLE)
    if drop_intercept:
        want = want.drop(columns="Intercept")
    np.testing.assert_allclose(np.array(got).reshape(-1, 4).T, want.to_numpy(dtype=float))


@pytest.mark.parametrize(
    ("rhs", "message"),
    [
        ("b +", "cannot read the formula part 'b \\+'"),
        ("bb", "no column 'bb' \\(did you mean 'b'\\?\\)"),
        ("bs(b, 4)", "uses the function 'bs'"),
        ("__import__('os').system('x')", "cannot read|not allowed|not a function"),
        ("b.mean()", "not a function name"),
        ("b[0]", "not allowed in a formula"),
        ("C(a, __import__('os'))", "write C\\(column\\)"),
        ("(lambda: 1)()", "cannot read|not allowed|not a function"),
    ],
)
def test_only_the_language_is_let_in(rhs, message):
    with pytest.raises((SpecificationError, DataError), match=message):
        expand(rhs, TABLE)


def test_text_is_not_a_number():
    with pytest.raises(DataError, match=r"its values are like 'x'"):
        evaluate("log(a)", TABLE)


def test_variables_are_found_inside_functions_and_backticks():
    assert variables("log(distance) * (age > 65) + `wait time`") == {"distance", "age", "wait time"}
    assert evaluate("(b > 2) * `wait time`", TABLE).tolist() == [0.0, 0.0, 3.0, 5.0]


def choice_data():
    return ChoiceData.from_long(
        pd.DataFrame(
            {
                "case": np.repeat([1, 2], 3),
                "mode": ["car", "bus", "stay"] * 2,
                "chosen": [1, 0, 0, 0, 0, 1],
                "cost": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
                "wait": [1.0, 0.0, 0.0, 2.0, 1.0, 1.0],
                "age": np.repeat([30.0, 50.0], 3),
            }
        ),
        "case",
        "mode",
        "chosen",
    )


def test_three_parts_are_named_as_in_mlogit():
    data = choice_data()
    terms = design_terms(MultinomialLogit("cost | age | wait"), data)
    assert [t.name for t in terms.linear] == [
        "(Intercept):bus",
        "(Intercept):stay",
        "cost",
        "age:bus",
        "age:stay",
        "wait:car",
        "wait:bus",
        "wait:stay",
    ]
    X = Design.build(terms, data.table, data.alternative, data.alternatives).X.T
    assert X[1].tolist() == [1, 0, 2, 30, 0, 0, 0, 0]
    assert X[3].tolist() == [0, 0, 4, 0, 0, 2, 0, 0]


def test_specific_terms_enter_one_utility():
    data = choice_data()
    model = MultinomialLogit("cost | 0", specific={"stay": "1 + age"})
    terms = design_terms(model, data)
    assert [t.name for t in terms.linear] == ["cost", "(Intercept):stay", "age:stay"]
    X = Design.build(terms, data.table, data.alternative, data.alternatives).X.T
    assert X[:3].tolist() == [[1, 0, 0], [2, 0, 0], [3, 1, 30]]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MultinomialLogit("cost | cost"), "varies within the case 1"),
        (
            MultinomialLogit("cost", specific={"stay": "1 + age"}),
            "stands twice in the model; write '\\| 0'",
        ),
        (
            MultinomialLogit("cost", specific={"boat": "age"}),
            "specific= names the alternative 'boat'",
        ),
        (MultinomialLogit("0 | 0"), "leaves no parameter"),
    ],
)
def test_a_specification_that_does_not_fit_the_data(model, message):
    with pytest.raises(SpecificationError, match=message):
        design_terms(model, choice_data())


def test_a_base_that_is_not_there():
    with pytest.raises(SpecificationError, match=r"base= names the alternative 'cra'.*mean 'car'"):
        design_terms(MultinomialLogit("cost", base="cra"), choice_data())


@pytest.mark.parametrize("formula", ["choice ~ cost", "a | b | c | d"])
def test_a_formula_that_no_data_can_fit(formula):
    with pytest.raises(SpecificationError):
        MultinomialLogit(formula)
