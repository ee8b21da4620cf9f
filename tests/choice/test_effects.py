"""Elasticities and marginal effects: published, closed forms, finite changes, bad requests."""

import tomllib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels import (
    ChoiceData,
    CrossNestedLogit,
    MixedLogit,
    MultinomialLogit,
    NestedLogit,
    NestflowWarning,
)
from choicemodels.choices.scenario_data import change, keep_cases
from choicemodels.errors import DataError, SpecificationError
from estimation import fit
from estimation.choice.effects import effects, elasticities, marginal_effects, semi_elasticities

PUBLISHED = Path(__file__).parents[1] / "published"
MODES = ["car", "train", "air"]


@pytest.fixture(scope="module")
def canada(mode_canada):
    return fit(MultinomialLogit("cost + freq | income | time"), mode_canada, cov="hessian")


@pytest.fixture(scope="module")
def some(mode_canada):
    """Every tenth case."""
    return keep_cases(mode_canada, np.arange(0, mode_canada.n_cases, 10))


@pytest.fixture(scope="module")
def nested(travel_mode):
    model = NestedLogit("gc + ttme", nests={"ground": ["train", "bus", "car"]}, base="car")
    return fit(model, travel_mode)


def dense(result, data, column):
    """Probabilities and a column as (N, J), alternatives in the data's order."""
    N, J = data.n_cases, len(data.alternatives)
    P, x = np.zeros((N, J)), np.zeros((N, J))
    case = np.repeat(np.arange(N), data.set_sizes)
    P[case, data.alternative] = result.predict(data)["probability"]
    x[case, data.alternative] = data.table[column]
    return P, x


def as_matrix(found, alternatives):
    return found.matrix.loc[list(alternatives), list(alternatives)].to_numpy()


def test_mlogit_effects_of_mode_canada(canada):
    want = tomllib.loads((PUBLISHED / "Croissant2020/mode_canada_effects.toml").read_text("utf-8"))
    income = effects(canada, "income", measure="dyex", kind="at_means")
    assert income.table["estimate"].droplevel("variable of").to_dict() == pytest.approx(
        want["income"], abs=6e-8
    )
    matrix = elasticities(canada, "cost", kind="at_means").matrix
    for moved, of in want["cost"].items():
        # mlogit's coefficient of cost is known to its last printed digit: 2e-7 of itself.
        assert matrix[moved].to_dict() == pytest.approx(of, rel=2e-7)


def test_multinomial_closed_form(canada, some):
    P, cost = dense(canada, some, "cost")
    b = canada.params["cost"]
    by_unit = b * (np.eye(3) - P[:, None, :])  # (N, of, moved)
    found = semi_elasticities(canada, "cost", some, kind="point").table["estimate"]
    want = pd.DataFrame(by_unit.reshape(len(P), 9))
    want.columns = pd.MultiIndex.from_product([MODES, MODES])
    got = found.unstack(["probability of", "variable of"]).loc[some.case_ids, want.columns]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-11)
    by_percent = by_unit * cost[:, None, :]
    average = as_matrix(elasticities(canada, "cost", some), MODES)
    np.testing.assert_allclose(average, by_percent.mean(axis=0), rtol=1e-11)
    weighted = (P[:, :, None] * by_percent).sum(axis=0) / P.sum(axis=0)[:, None]
    aggregate = as_matrix(elasticities(canada, "cost", some, kind="aggregate"), MODES)
    np.testing.assert_allclose(aggregate, weighted, rtol=1e-11)
    changes = (P[:, :, None] * by_unit).mean(axis=0)
    for kind in ("average", "aggregate"):
        found = as_matrix(marginal_effects(canada, "cost", some, kind=kind), MODES)
        np.testing.assert_allclose(found, changes, rtol=1e-10)
        np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-14)


def test_two_level_nested_closed_form(nested, travel_mode):
    """``d log P_j / dV_k = 1[j=k] / lambda - 1[k in m] (1 - lambda) / lambda P_k|m - P_k``."""
    P, gc = dense(nested, travel_mode, "gc")
    names = travel_mode.alternatives
    ground = np.array([name != "air" for name in names])
    lam = np.where(ground, nested.params["lambda:ground"], 1.0)
    within = np.where(ground, P / P[:, ground].sum(axis=1, keepdims=True), 1.0)
    same = ground[:, None] & ground[None, :]
    slope = (
        np.eye(4) / lam[:, None]
        - np.where(same, (1 - lam) / lam, 0.0) * within[:, None, :]
        - P[:, None, :]
    )
    want = nested.params["gc"] * slope * gc[:, None, :]
    found = as_matrix(elasticities(nested, "gc"), names)
    np.testing.assert_allclose(found, want.mean(axis=0), rtol=1e-10)
    point = elasticities(nested, "gc", kind="point", of="bus").table["estimate"]
    bus = names.index("bus")
    np.testing.assert_allclose(
        point.unstack("variable of").loc[travel_mode.case_ids, list(names)],
        want[:, bus, :],
        rtol=1e-11,
        atol=1e-11,
    )


def test_greene_elasticities_of_generalized_cost(travel_mode):
    want = tomllib.loads((PUBLISHED / "Greene2018/elasticities.toml").read_text("utf-8"))
    model = MultinomialLogit("gc + ttme", specific={"air": "0 + hinc"}, base="car")
    matrix = elasticities(fit(model, travel_mode), "gc").matrix
    for moved, of in want["gc"].items():
        assert matrix[moved].to_dict() == pytest.approx(of, abs=5e-4)


def complex_shares(canada, data, theta):
    """Dense multinomial probabilities of complex parameters, and the cost."""
    terms = canada.parameters.utility.linear
    V = np.zeros((data.n_cases, 3), dtype=complex)
    case = np.repeat(np.arange(data.n_cases), data.set_sizes)
    X = canada.parameters.over(data).observations.design.X
    assert len(X) == len(terms)
    V[case, data.alternative] = theta @ X
    e = np.exp(V - V.real.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["average", "aggregate"])
def test_standard_errors_by_the_complex_step(canada, some, kind):
    _, cost = dense(canada, some, "cost")
    k = canada.names.index("cost")

    def value(theta):
        P = complex_shares(canada, some, theta)
        E = theta[k] * (np.eye(3) - P[:, None, :]) * cost[:, None, :]
        if kind == "aggregate":
            return ((P[:, :, None] * E).sum(axis=0) / P.sum(axis=0)[:, None]).ravel()
        return E.mean(axis=0).ravel()

    steps = 1e-30j * np.eye(len(canada.estimate))
    G = np.column_stack([value(canada.estimate + step).imag / 1e-30 for step in steps])
    se = np.sqrt(np.diag(G @ canada.cov_params().to_numpy() @ G.T)).reshape(3, 3)
    found = elasticities(canada, "cost", some, kind=kind).table["std err"].unstack("variable of")
    np.testing.assert_allclose(found.loc[MODES, MODES], se, rtol=1e-7)


def test_the_covariance_is_the_one_shown(canada, some):
    robust = elasticities(canada.with_cov("robust"), "cost", some, alternatives="train")
    hessian = elasticities(canada, "cost", some, alternatives="train")
    assert "robust" in robust.notes[0]
    pd.testing.assert_series_equal(robust.table["estimate"], hessian.table["estimate"])
    assert (robust.table["std err"] > hessian.table["std err"]).all()


@pytest.mark.parametrize(
    ("variable", "moved"), [("cost", "train"), ("freq", "air"), ("income", "all")]
)
def test_the_variable_is_followed_through_every_term(sized, variable, moved):
    """Logarithms, interactions, a size and a scale: against a small change of the data."""
    data = sized.data

    def shares(factor):
        who = None if moved == "all" else moved
        changed = change(data, {variable: f"{variable} * {factor!r}"}, alternatives=who)
        return sized.predict(changed).groupby("alt")["probability"].mean()

    h = 1e-5
    want = (shares(1 + h) - shares(1 - h)) / (2 * h) / shares(1.0)
    alone = None if moved == "all" else moved
    found = elasticities(sized, variable, kind="aggregate", alternatives=alone).matrix[moved]
    np.testing.assert_allclose(found[MODES], want[MODES], rtol=1e-7)


@pytest.fixture(scope="module")
def sized(some):
    model = MultinomialLogit(
        "log(cost) + I(cost / income) + ivt | 1", size="freq + dist", scale="log(income)"
    )
    return fit(model, change(some, {"freq": "freq + 1"}))


@pytest.mark.parametrize(
    "model",
    [
        CrossNestedLogit(
            "cost + freq | 0",
            {"ground": ["car", "train"], "public": ["train", "air"]},
            lambdas={"ground": 0.8, "public": 0.6},
            allocations={"train": {"ground": 0.5, "public": 0.5}},
        ),
        MixedLogit("cost + freq | 0", random={"cost": "normal"}, draws=30),
    ],
    ids=["cross-nested", "mixed"],
)
def test_every_family_of_models(some, model):
    """Elasticities and their standard errors against changes of shares in data and parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NestflowWarning)
        result = fit(model, some)
    h = 1e-5

    def share_elasticities(at):
        P = [
            at.predict(change(some, {"cost": f"cost * {1 + s * h!r}"}, alternatives="train"))
            .groupby("alt")["probability"]
            .mean()
            for s in (1, 0, -1)
        ]
        return ((P[0] - P[2]) / (2 * h) / P[1])[MODES]

    found = elasticities(result, "cost", kind="aggregate", alternatives="train").table
    found = found.droplevel("variable of").loc[MODES]
    np.testing.assert_allclose(found["estimate"], share_elasticities(result), rtol=1e-6)
    slopes = []
    for k, value in enumerate(result.theta):
        step = 1e-3 * max(abs(value), 1e-2)
        ends = []
        for sign in (1, -1):
            theta = result.theta.copy()
            theta[k] += sign * step
            ends.append(share_elasticities(replace(result, theta=theta)))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    G = np.column_stack(slopes)[:, result.estimated]
    se = np.sqrt(np.diag(G @ result.cov_params().to_numpy() @ G.T))
    np.testing.assert_allclose(found["std err"], se, rtol=1e-3)


def test_effects_of_a_group_are_those_of_its_cases_alone(canada, some):
    found = elasticities(canada, "cost", some, by="urban", alternatives=["train"]).matrix["train"]
    urban = some.table["urban"].to_numpy()[some.offsets[:-1]]
    for level in (0, 1):
        alone = elasticities(
            canada, "cost", keep_cases(some, urban == level), alternatives="train"
        ).matrix["train"]
        pd.testing.assert_series_equal(found[level], alone, rtol=1e-12)


def test_weights_count_cases(canada, some):
    weights = np.where(np.arange(some.n_cases) % 3 == 0, 2.0, 1.0)
    table = some.table.assign(w=np.repeat(weights, some.set_sizes))
    weighted = ChoiceData.from_long(
        table, "case", "alt", weights="w", alternatives=some.alternatives
    )
    twice = keep_cases(some, np.repeat(np.arange(len(weights)), weights.astype(int)))
    for kind in ("average", "aggregate"):
        a = elasticities(canada, "cost", weighted, kind=kind, alternatives="air").table
        b = elasticities(canada, "cost", twice, kind=kind, alternatives="air").table
        pd.testing.assert_frame_equal(a, b, rtol=1e-9)


def test_what_is_not_offered_has_no_effect(swissmetro):
    data = keep_cases(swissmetro, np.arange(0, swissmetro.n_cases, 20))
    result = fit(MultinomialLogit("time + cost", base="sm"), data)
    P, time = dense(result, data, "time")
    offered = P > 0
    assert not offered.all()
    E = result.params["time"] * (np.eye(3) - P[:, None, :]) * time[:, None, :]
    names = swissmetro.alternatives
    want = (E * offered[:, :, None]).sum(axis=0) / offered.sum(axis=0)[:, None]
    np.testing.assert_allclose(as_matrix(elasticities(result, "time"), names), want, rtol=1e-9)
    changes = (P[:, :, None] * result.params["time"] * (np.eye(3) - P[:, None, :])).mean(axis=0)
    found = as_matrix(marginal_effects(result, "time"), names)
    np.testing.assert_allclose(found, changes, rtol=1e-9)


def test_a_case_variable_moves_all_alternatives_unless_one_is_named(canada, some):
    all_at_once = marginal_effects(canada, "income", some)
    assert list(all_at_once.matrix.columns) == ["all"]
    each = marginal_effects(canada, "income", some, alternatives=MODES).matrix
    np.testing.assert_allclose(
        each.sum(axis=1), all_at_once.matrix["all"].loc[each.index], rtol=1e-8, atol=1e-13
    )


def test_an_effect_that_no_parameter_moves_has_no_z(travel_mode):
    result = fit(MultinomialLogit("gc + ttme", base="car"), travel_mode)
    found = elasticities(result, "ttme", alternatives="car", of="air")
    assert found.table["estimate"].tolist() == [0.0]
    assert found.table["z"].isna().all()
    assert any("without z" in note for note in found.notes)
    assert "Elasticities (average), 'ttme'" in str(found)
    assert "<table" in found._repr_html_()


@pytest.mark.parametrize(
    ("variable", "options", "error", "message"),
    [
        ("price", {}, DataError, "has no column 'price'"),
        ("alt", {}, DataError, "'alt' of the table is not numeric"),
        ("dist", {}, SpecificationError, "does not use 'dist'.*it uses: cost, freq, income, time"),
        ("cost", {"kind": "mean"}, SpecificationError, "kind is 'mean'"),
        ("cost", {"measure": "ey"}, SpecificationError, "measure is 'ey'"),
        ("cost", {"of": "bus"}, SpecificationError, "of= names 'bus'"),
        ("cost", {"alternatives": ["trane"]}, SpecificationError, "did you mean 'train'"),
        ("cost", {"by": "urban", "kind": "point"}, SpecificationError, "has none to group"),
        ("cost", {"by": "cost"}, DataError, "'cost' varies within the case"),
    ],
)
def test_mistakes(canada, variable, options, error, message):
    with pytest.raises(error, match=message):
        effects(canada, variable, **options)


def test_a_variable_that_jumps_has_no_derivative(mode_canada):
    result = fit(MultinomialLogit("cost + ivt | I(urban == 1)"), mode_canada)
    with pytest.raises(
        SpecificationError, match=r"'I\(urban == 1\)' jumps, so it has no derivative"
    ):
        marginal_effects(result, "urban")
    with pytest.raises(SpecificationError, match=r"it has no value at the means"):
        marginal_effects(result, "cost", kind="at_means")
    marginal_effects(result, "cost", alternatives="air")
