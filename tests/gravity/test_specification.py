"""The specification: what a gravity formula may say, and what its options may be."""

import pandas as pd
import pytest

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, EstimationError, IdentificationError, SpecificationError
from estimation import fit


@pytest.mark.parametrize(
    ("formula", "regressors", "effects"),
    [
        ("log(distance) + x | o^t + d^t", "log(distance) + x", ("o^t", "d^t")),
        ("x", "x", ()),
        ("1 | o + d", "1", ("o", "d")),
        ("| o", "", ("o",)),
        ("x | `my place` ^ year", "x", ("my place^year",)),
    ],
)
def test_formulas_are_read(formula, regressors, effects):
    model = Gravity(formula)
    assert model.regressors == regressors
    assert model.effects == effects


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("migrants ~ distance", "has a left-hand side"),
        ("distance | origin | year", "has 3 parts"),
        ("distance |", "no fixed effect after it"),
        ("", "is empty"),
        ("distance | origin + origin", "'origin' is named twice"),
        ("distance | origin + C(year)", r"'C\(year\)' .* is not a column"),
        ("distance | origin * year", "is not a column"),
    ],
)
def test_bad_formulas_are_refused(formula, message):
    with pytest.raises(SpecificationError, match=message):
        Gravity(formula)


@pytest.mark.parametrize("value", [None, 3, pd.Series([1.0])])
def test_formulas_and_offsets_are_text(value):
    kind = type(value).__name__
    with pytest.raises(SpecificationError, match=f"formula is a {kind}; give it as text"):
        Gravity(value)
    with pytest.raises(SpecificationError, match=f"offset is a {kind}; give it as text"):
        Gravity("distance", offset=value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cov": "HC9"}, "'HC9' is unknown"),
        ({"ssc": "sas"}, "'sas' is unknown"),
        ({"tol": 0.0}, "tol is 0"),
        ({"tol": "1e-8"}, "tol is '1e-8'; it must be a number"),
        ({"weights": pd.Series([1.0])}, "weights is a Series; give the name of a column"),
        ({"cov": "cluster", "groups": []}, "needs groups="),
        (
            {"cov": "cluster", "groups": pd.DataFrame({"a": [1], "b": [2]})},
            r"the groups are a DataFrame of shape \(1, 2\); give the name of a column",
        ),
        ({"max_iterations": 1}, "at least 2"),
        ({"cov": "cluster"}, "needs groups="),
        ({"cov": "robust", "groups": "origin"}, "goes with cov='cluster'"),
    ],
)
def test_bad_options_are_refused(austria, options, message):
    with pytest.raises(SpecificationError, match=message):
        fit(Gravity("distance | origin"), austria, **options)


@pytest.mark.parametrize(
    ("formula", "kind", "message"),
    [
        ("log(distanc) | origin", DataError, "no column 'distanc'"),
        ("distance | region", DataError, "no column 'region'"),
        (
            "log(distance - 100) | origin",
            DataError,
            r"not finite in \d+ rows of .* \(first: rows",
        ),
        ("log(origin_mass) + distance | origin", IdentificationError, "'log.origin_mass.': swall"),
        ("distance + I(2 * distance) | origin", IdentificationError, "'distance'.*collinear"),
        ("distance + I(3 - distance)", IdentificationError, "'distance'.*collinear"),
        ("0", SpecificationError, "nothing to estimate"),
    ],
)
def test_what_cannot_be_estimated_is_named(austria, formula, kind, message):
    with pytest.raises(kind, match=message):
        fit(Gravity(formula), austria)


def test_a_combination_swallowed_by_two_effects_is_named(austria):
    table = austria.table.assign(gap=lambda f: f["origin_mass"] - 2.0 * f["destination_mass"])
    data = FlowData(table, origin="origin", destination="destination", flow="flow")
    with pytest.raises(IdentificationError, match="'gap': swallowed by the fixed effects"):
        fit(Gravity("distance + gap | origin + destination"), data)


def test_a_zero_distance_under_a_logarithm_is_named(austria):
    table = austria.table.copy()
    table.loc[[3, 8], "distance"] = 0.0
    data = FlowData(table, origin="origin", destination="destination", flow="flow")
    with pytest.raises(
        DataError,
        match=r"'log\(distance\)' is not finite in 2 rows .*: rows 3, 8",
    ):
        fit(Gravity("log(distance) | origin"), data)


def test_flows_that_are_all_zero_are_refused():
    table = pd.DataFrame({"o": [1, 2], "d": [2, 1], "y": [0, 0], "x": [1.0, 2.0]})
    data = FlowData(table, origin="o", destination="d", flow="y")
    for formula in ("x", "x | o"):
        with pytest.raises(DataError, match="every flow is zero"):
            fit(Gravity(formula), data)


def test_effects_that_leave_no_row_are_refused():
    table = pd.DataFrame({"o": [1, 2], "d": [2, 1], "y": [1, 2], "x": [1.0, 2.0]})
    data = FlowData(table, origin="o", destination="d", flow="y")
    with pytest.raises(DataError, match="no row is left"):
        fit(Gravity("x | o"), data)


def test_as_many_parameters_as_rows_have_no_small_sample_factor():
    table = pd.DataFrame({"o": [1, 1, 2], "d": [1, 2, 1], "y": [1, 2, 4], "x": [1.0, 2.0, 4.0]})
    data = FlowData(table, origin="o", destination="d", flow="y")
    with pytest.raises(EstimationError, match="as many parameters as rows"):
        fit(Gravity("x + I(x ** 2)"), data)
    assert fit(Gravity("x + I(x ** 2)"), data, ssc="none").nobs == 3
