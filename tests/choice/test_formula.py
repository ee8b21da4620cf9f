"""Formulas: the coding agrees with formulaic's, and nothing but the language is let in."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from formulaic import model_matrix

from choicemodels import ChoiceData, MultinomialLogit
from choicemodels.errors import DataError, SpecificationError
from choicemodels.formula import expand, term_values
from choicemodels.logit.design import design_terms
from choicemodels.logit.systematic import Design
from choicemodels.utility import Term, evaluate, product, variables

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
        ("(lambda: 1)()", "cannot read|no column 'lambda'"),
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


def test_every_function_that_is_offered_works():
    table = TABLE.assign(other=[4.0, 1.0, 9.0, 16.0])
    rhs = "sqrt(other) + log1p(b) + expm1(b) + maximum(b, other) + minimum(b, 2) + log10(b)"
    got = [product(t.factors, table) for t in expand(rhs, table)][1:]
    b, other = table["b"].to_numpy(), table["other"].to_numpy()
    want = [
        np.sqrt(other),
        np.log1p(b),
        np.expm1(b),
        np.maximum(b, other),
        np.minimum(b, 2),
        np.log10(b),
    ]
    np.testing.assert_allclose(got, want)


def test_columns_may_have_the_names_of_pythons_words_and_functions():
    table = pd.DataFrame(
        {"from": [1.0, 2.0], "class": ["u", "v"], "log": [3.0, 4.0], "b": [1.0, 5.0]}
    )
    terms = expand("`from` + `class` + `class`:`from` + log(b)", table, drop_intercept=True)
    got = [product(t.factors, table).tolist() for t in terms]
    assert got == [[1, 2], [0, 1], [0, np.log(5.0)], [0, 2]]


def test_what_is_missing_is_neither_above_nor_below():
    table = pd.DataFrame({"km": [100.0, np.nan, 300.0], "name": ["a", None, "b"]})
    assert evaluate("km > 200", table).tolist()[::2] == [0.0, 1.0]
    assert np.isnan(evaluate("km > 200", table)[1])
    assert np.isnan(evaluate("name == 'a'", table)[1])
    (term,) = expand("0 + I(km > 200)", table)
    with pytest.raises(DataError, match=r"is not finite in 1 rows of the table .first: rows 1"):
        term_values(term, table)


@pytest.mark.parametrize(
    ("rhs", "column", "new"),
    [("a", "a", "X"), ("C(g):b", "g", "1"), ("C(g)", "g", np.nan), ("`my cat` * b", "my cat", "")],
)
def test_a_category_that_is_new_does_not_pass_for_the_base(rhs, column, new):
    terms = expand(rhs, TABLE, drop_intercept=True)
    known = TABLE.iloc[[0, 1]]
    for term in terms:
        term_values(term, known)  # some of the levels are enough
    table = known.astype({column: object})
    table.iloc[1, table.columns.get_loc(column)] = new
    with pytest.raises(DataError, match=f"'{column}' is .*not fitted|'{column}' is missing"):
        [term_values(term, table) for term in terms]
    again = Term.from_dict(json.loads(json.dumps(asdict(terms[0]))))
    assert again == terms[0]


def test_categories_that_a_formula_cannot_write_are_refused():
    bands = TABLE.assign(band=pd.cut(TABLE["b"], [0, 2, 5]), x=[1.0, np.inf, 2.0, 3.0])
    with pytest.raises(DataError, match=r"a Interval, .*make the levels text"):
        expand("band", bands)
    with pytest.raises(DataError, match="has the level inf"):
        expand("C(x)", bands)
