"""Absorbed constants: the model with explicit ones, without their columns."""

from dataclasses import replace

import numba
import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.choices.sampling import sample_alternatives
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    SpecificationError,
)
from choicemodels.specify import specify
from estimation import fit, load_result

ALTERNATIVES = list("abcdefg")
NESTS = {"A": {"A1": ["a", "b"], "A2": ["c", "d"]}, "B": ["e"], "C": ["f", "g"]}
CONSTANTS = dict(zip(ALTERNATIVES, [0.0, 0.6, -0.4, 0.3, 0.8, -0.7, 0.2], strict=True))
BASE = {"base": "c"}
MODELS = {
    "multinomial": MultinomialLogit("x + y | 0 + z", **BASE),
    "size": MultinomialLogit("x", size="q + r", size_coefficient="free", offset="y / 4", **BASE),
    "scale": MultinomialLogit("x + y", scale="z", **BASE),
    "free": NestedLogit("x + y", nests=NESTS, **BASE),
    "shared": NestedLogit("x + y", nests=NESTS, lambdas="shared", **BASE),
    "fixed": NestedLogit("x + y", nests=NESTS, lambdas={"A": 0.9, "A2": 0.6}, **BASE),
    "tau": NestedLogit("x + y", nests=NESTS, normalization="nonnormalized", **BASE),
    "nested, scale": NestedLogit("x + y", nests={"C": ["f", "g"]}, scale="z", **BASE),
}


def generated(cases=700, seed=0):
    """Ragged choice sets of three to seven alternatives with constants, weights and groups."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 7),
            "alt": ALTERNATIVES * cases,
            "x": rng.normal(size=7 * cases),
            "y": rng.normal(size=7 * cases),
            "z": np.repeat(rng.integers(0, 2, size=cases), 7).astype(float),
            "q": rng.uniform(1, 5, size=7 * cases),
            "r": rng.uniform(1, 5, size=7 * cases),
            "w": np.repeat(rng.uniform(0.5, 1.5, size=cases), 7),
            "region": np.repeat(rng.integers(0, 40, size=cases), 7),
        }
    )
    offered = rng.random(len(table)) < 0.7
    offered |= table.groupby("case").cumcount().to_numpy() % 3 == 0
    table = table[offered].reset_index(drop=True)
    V = 0.8 * table["x"] - 0.5 * table["y"] + table["alt"].map(CONSTANTS)
    V += np.log(table["q"] + 2 * table["r"])
    U = (V + rng.gumbel(size=len(table))).groupby(table["case"])
    table["chosen"] = (U.rank(ascending=False) == 1).astype(int)
    return load(table)


def load(table, **options):
    options = {"weights": "w", "alternatives": ALTERNATIVES, **options}
    return ChoiceData.from_long(table, "case", "alt", "chosen", **options)


def explicit(model):
    """Return the formula with the constants in it, for a model whose formula leaves them out."""
    return replace(model, formula=model.formula.replace("| 0", "| 1"))


def absorbed(model):
    return replace(model, constants="absorbed")


@pytest.fixture(scope="module")
def data():
    return generated()


@pytest.mark.parametrize("name", MODELS)
def test_derivatives_by_constants_are_those_by_their_columns(name, data):
    joint = specify(absorbed(MODELS[name]), data)
    columns = specify(explicit(MODELS[name]), data)
    names = joint.parameters.names
    assert sorted(names) == sorted(columns.parameters.names)
    rng = np.random.default_rng(1)
    theta = rng.uniform(-0.6, 0.6, len(names))
    lambdas = [k for k, name in enumerate(names) if name.startswith("lambda")]
    theta[lambdas] = rng.uniform(0.4, 1.3, len(lambdas))
    place = [names.index(name) for name in columns.parameters.names]
    got, want = joint.evaluate(theta), columns.evaluate(theta[place])
    assert got[0] == pytest.approx(want[0], rel=1e-14)
    np.testing.assert_allclose(got[1][place], want[1], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(got[2][np.ix_(place, place)], want[2], rtol=1e-10, atol=1e-10)
    step = 1e-6
    up, down = (
        [joint.evaluate(theta + sign * shift)[1] for shift in step * np.eye(len(theta))]
        for sign in (1, -1)
    )
    numeric = (np.array(up) - np.array(down)) / (2 * step)
    np.testing.assert_allclose(got[2], numeric, rtol=1e-6, atol=1e-5)


@pytest.fixture(scope="module")
def pairs(data):
    """Each model with its constants estimated and absorbed."""
    found = {}

    def pair(name):
        if name not in found:
            model = MODELS[name]
            found[name] = fit(explicit(model), data), fit(absorbed(model), data)
        return found[name]

    return pair


ESTIMABLE = ["multinomial", "size", "scale", "free", "shared", "tau"]


@pytest.mark.parametrize("name", ESTIMABLE)
@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_estimates_and_all_covariances_equal_those_with_columns(name, pairs):
    columns, result = pairs(name)
    assert not [name for name in result.names if "Intercept" in name]
    assert result.llf == pytest.approx(columns.llf, rel=1e-13)
    assert result.df_model == columns.df_model == len(columns.names)
    assert result.bic == pytest.approx(columns.bic, rel=1e-13)
    names = list(result.names)
    np.testing.assert_allclose(result.params, columns.params[names], atol=1e-8)
    ways = {"hessian": None, "bhhh": None, "robust": None, "cluster": "region"}
    for kind, groups in ways.items():
        got = result.with_cov(kind, groups=groups, ssc="stata").cov_params()
        want = columns.with_cov(kind, groups=groups, ssc="stata").cov_params()
        np.testing.assert_allclose(got, want.loc[names, names], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", ESTIMABLE)
@pytest.mark.parametrize("kind", ["hessian", "bhhh", "robust"])
@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_the_constants_and_their_standard_errors_are_those_of_columns(name, kind, pairs):
    columns, result = pairs(name)
    assert result.constants["c"] == 0
    table = result.with_cov(kind).constants_table()
    assert table.index.tolist() == [a for a in ALTERNATIVES if a != "c"]
    names = [f"(Intercept):{a}" for a in table.index]
    np.testing.assert_allclose(table["coef"], columns.params[names], atol=1e-8)
    np.testing.assert_allclose(result.constants[table.index], columns.params[names], atol=1e-8)
    bse = columns.with_cov(kind).bse[names]
    np.testing.assert_allclose(table["std err"], bse, rtol=1e-7)


@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_constraints_and_bounds_hold_beside_absorbed_constants(data):
    model = replace(
        MODELS["free"],
        constraints=["lambda:A1 = lambda:C", "x = -1.5*y"],
        bounds={"lambda:A": (1.0, 3.0)},
    )
    columns, result = fit(explicit(model), data), fit(absorbed(model), data)
    names = list(result.names)
    assert names == [name for name in columns.names if "Intercept" not in name]
    assert result.df_model == columns.df_model
    for kind in ("hessian", "bhhh", "robust"):
        want = columns.with_cov(kind).cov_params().loc[names, names]
        np.testing.assert_allclose(result.with_cov(kind).cov_params(), want, atol=1e-9)
    table = result.with_cov("robust").constants_table()
    want = columns.bse[[f"(Intercept):{a}" for a in table.index]]
    np.testing.assert_allclose(table["std err"], want, rtol=1e-7)


def sums(result, data):
    """Return observed and expected weighted choices of the alternatives."""
    rows = np.repeat(data.weights, data.set_sizes) * result.predict(data)["probability"]
    expected = np.bincount(data.alternative, weights=rows, minlength=7)
    taken = np.bincount(data.chosen_alternative, weights=data.weights, minlength=7)
    return taken, expected


def test_the_multinomial_logit_reproduces_the_shares(data, pairs):
    taken, expected = sums(pairs("multinomial")[1], data)
    np.testing.assert_allclose(expected, taken, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_the_nested_logit_reproduces_the_shares_of_its_top_nests_alone(data, pairs):
    # The score of a constant inside a nest weighs what the nest gets against how it is shared,
    # so that only sums over whole nests come out (docs/absorbed_constants.md).
    taken, expected = sums(pairs("free")[1], data)
    tops = [[0, 1, 2, 3], [4], [5, 6]]
    for top in tops:
        assert expected[top].sum() == pytest.approx(taken[top].sum(), rel=1e-9)
    assert np.abs(expected / taken - 1).max() > 1e-3


def test_swissmetro_to_its_published_value(swissmetro):
    result = fit(MultinomialLogit("time + cost", base="sm", constants="absorbed"), swissmetro)
    assert result.llf == pytest.approx(-5331.252007, abs=1e-6)
    assert result.with_cov("cluster", groups="ID").bse["time"] == pytest.approx(0.238, abs=5e-4)
    P = result.predict().groupby("alternative")["probability"].sum()
    taken = swissmetro.describe().alternatives["chosen"]
    np.testing.assert_allclose(P[taken.index], taken, rtol=1e-9)


def test_forty_constants_are_recovered():
    rng = np.random.default_rng(4)
    J, N = 40, 4_000
    constants, names = rng.normal(size=J), [f"p{j}" for j in range(J)]
    x = rng.normal(size=(N, J))
    chosen = (0.7 * x + constants + rng.gumbel(size=(N, J))).argmax(axis=1)
    table = pd.DataFrame({"case": np.repeat(np.arange(N), J), "alt": names * N, "x": x.ravel()})
    table["chosen"] = (np.arange(J) == chosen[:, None]).ravel().astype(int)
    result = fit(
        MultinomialLogit("x", constants="absorbed"),
        ChoiceData.from_long(table, "case", "alt", "chosen"),
    )
    assert abs(result.params["x"] - 0.7) < 3 * result.bse["x"]
    errors = result.constants_table()["std err"]
    z = (result.constants[errors.index] - (constants[1:] - constants[0])) / errors
    assert np.abs(z).max() < 4
    assert result.optimum.record.shape[0] < 10


@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_everything_a_result_does_knows_the_constants(data, pairs, tmp_path):
    columns, result = pairs("free")
    np.testing.assert_allclose(result.predict()["probability"], columns.predict()["probability"])
    np.testing.assert_allclose(result.logsum(), columns.logsum())
    back = load_result(result.save(tmp_path / "absorbed.json"))
    assert back.constants.equals(result.constants)
    assert back.df_model == result.df_model
    assert str(back.summary()) == str(result.summary())
    for kind in ("hessian", "bhhh", "robust"):
        again, now = back.with_cov(kind), result.with_cov(kind)
        np.testing.assert_array_equal(again.bse, now.bse)
        np.testing.assert_array_equal(again.constants_table(), now.constants_table())
    np.testing.assert_array_equal(
        back.predict(data)["probability"], result.predict()["probability"]
    )
    some = load(data.table[data.table["case"] < 20], alternatives=None)
    np.testing.assert_allclose(
        back.predict(some)["probability"], result.predict()["probability"][: len(some.table)]
    )
    ours = {t.name.replace("constant:", "(Intercept):"): t for t in result.utility_terms()}
    assert ours.pop("(Intercept):c").coefficient == 0
    for term in columns.utility_terms():
        assert ours[term.name].coefficient == pytest.approx(term.coefficient, abs=1e-8)
        assert ours[term.name].alternatives == term.alternatives
    assert "6 + 6 absorbed constants" in str(result.summary())
    assert columns.constants is None


@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_interrupted_it_goes_on_to_the_same_answer(data, tmp_path):
    model, path = absorbed(MODELS["free"]), tmp_path / "search.json"

    def stop(number, llf):
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, data, progress=stop, checkpoint=path)
    resumed, whole = fit(model, data, checkpoint=path), fit(model, data)
    assert resumed.llf == whole.llf
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    np.testing.assert_array_equal(resumed.constants, whole.constants)


def test_starting_values_may_name_constants(data):
    model = absorbed(MODELS["multinomial"])
    usual = fit(model, data)
    other = fit(model, data, start={"x": -1.0, "(Intercept):a": 2.0})
    np.testing.assert_allclose(other.params, usual.params, atol=1e-8)


def test_sums_do_not_depend_on_the_number_of_threads(data):
    likelihood = specify(absorbed(MODELS["free"]), data)
    theta = likelihood.parameters.start_from(np.array([0.4, -0.2]))
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = likelihood.evaluate(theta)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(one[2], likelihood.evaluate(theta)[2])


# --- factored data ------------------------------------------------------------------------------

PLACES = [f"p{i}" for i in range(6)]


def factored(seed=2, choosers=500):
    rng = np.random.default_rng(seed)
    alternatives = pd.DataFrame({"place": PLACES, "wage": rng.normal(size=6)})
    pairs = pd.MultiIndex.from_product([PLACES, PLACES], names=["home", "place"]).to_frame(False)
    pairs["distance"] = np.where(pairs["home"] == pairs["place"], 1.0, rng.uniform(1, 9, 36))
    people = pd.DataFrame(
        {
            "id": np.arange(choosers),
            "home": rng.choice(PLACES, choosers),
            "college": rng.integers(0, 2, choosers).astype(float),
        }
    )
    took = rng.choice(PLACES, choosers)
    people["took"] = np.where(took == people["home"], "stay", took)
    return ChoiceData.from_factors(
        people, alternatives, pairs, chooser="id", origin="home", alternative="place", chosen="took"
    )


@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_factored_data_give_the_same_answers():
    data = factored()
    model = NestedLogit.move_stay(
        "college:wage + log(distance)",
        groups={"north": PLACES[:3], "south": PLACES[3:]},
        constants="absorbed",
        base="stay",
        lambdas="shared",
    )
    result, long = fit(model, data), fit(model, data.to_long())
    np.testing.assert_allclose(result.params, long.params, atol=1e-9)
    np.testing.assert_allclose(result.constants, long.constants, atol=1e-8)
    for kind in ("hessian", "bhhh", "robust"):
        np.testing.assert_allclose(
            result.with_cov(kind).cov_params(), long.with_cov(kind).cov_params(), atol=1e-9
        )
    np.testing.assert_allclose(result.logsum(), long.logsum(), atol=1e-9)
    expected = result.expected_choices().groupby("place")["expected"].sum()
    assert expected["stay"] == pytest.approx((data.choosers["took"] == "stay").sum(), rel=1e-9)


# --- refusals -----------------------------------------------------------------------------------


def small(rows):
    """Return choices from (chosen, all offered)."""
    table = pd.DataFrame(
        [
            (case, alternative, int(alternative == chosen))
            for case, (chosen, offered) in enumerate(rows)
            for alternative in offered
        ],
        columns=["case", "alt", "chosen"],
    )
    table["x"] = np.random.default_rng(0).normal(size=len(table))
    return ChoiceData.from_long(
        table, "case", "alt", "chosen", alternatives=sorted({*table["alt"], "c"})
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "ab"), ("b", "ab")] * 9, "nobody was offered 'c'"),
        ([("a", "abc"), ("b", "abc")] * 9, "nobody chose 'c', so the absorbed constant"),
        (
            [("a", "abcd"), ("b", "abcd"), ("c", "cd"), ("d", "cd")] * 9,
            "everybody who was offered 'a', 'b' chose it, or one of these",
        ),
        (
            [("a", "ab"), ("b", "ab"), ("c", "cd"), ("d", "cd")] * 9,
            "everybody who was offered 'a', 'b' chose it",
        ),
    ],
)
def test_constants_that_run_to_infinity_are_named(rows, message):
    with pytest.raises(IdentificationError, match=message):
        fit(MultinomialLogit("x", constants="absorbed"), small(rows))


def test_a_case_without_weight_compares_nothing(data):
    table = data.table.assign(w=np.where(data.table["alt"] == "e", 0.0, data.table["w"]))
    took_e = table.loc[table["chosen"].eq(1) & table["alt"].eq("e"), "case"]
    table["w"] = np.where(table["case"].isin(took_e), 0.0, 1.0)
    with pytest.raises(IdentificationError, match="nobody chose 'e'"):
        fit(absorbed(MODELS["multinomial"]), load(table))


def test_a_variable_of_the_alternatives_alone_is_collinear(data):
    table = data.table.assign(level=data.table["alt"].map(CONSTANTS) + 2)
    with pytest.raises(IdentificationError, match=r"'level', '\(Intercept\):b'.* collinear"):
        fit(MultinomialLogit("x + level", constants="absorbed"), load(table))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MultinomialLogit("x", specific={"a": "1 + z"}), r"'\(Intercept\):a' is a constant, and"),
        (MultinomialLogit("x", constraints=["(Intercept):b = 0"]), "cannot read the restriction"),
        (MultinomialLogit("x", bounds={"(Intercept):b": (0, 1)}), "which the model does not have"),
        (MultinomialLogit("| 1"), "leaves no parameter"),
    ],
)
def test_specifications_that_do_not_go_with_absorption(model, message, data):
    with pytest.raises(SpecificationError, match=message):
        fit(absorbed(model), data)


def test_constants_is_one_of_two_words():
    for family in (MultinomialLogit, lambda *a, **k: NestedLogit(*a, nests=NESTS, **k)):
        with pytest.raises(SpecificationError, match="'estimated' or 'absorbed'"):
            family("x", constants="none")


def test_logsums_of_sampled_choice_sets_are_refused(data):
    sampled = sample_alternatives(data, 3, seed=1)
    with pytest.raises(SpecificationError, match="need the full choice sets"):
        fit(absorbed(MODELS["free"]), sampled)
    columns = fit(explicit(MODELS["multinomial"]), sampled)
    result = fit(absorbed(MODELS["multinomial"]), sampled)
    np.testing.assert_allclose(result.params, columns.params[list(result.names)], atol=1e-8)


def test_tables_of_constants_that_were_not_kept(data, pairs):
    columns, result = pairs("multinomial")
    with pytest.raises(SpecificationError, match="no constants were absorbed"):
        columns.constants_table()
    with pytest.raises(SpecificationError, match="kept for hessian, robust, bhhh, not for 'cl"):
        result.with_cov("cluster", groups="region").constants_table()


def test_bhhh_needs_more_cases_than_alternatives():
    names = "abcdefghijkl"
    result = fit(MultinomialLogit("x", constants="absorbed"), small([(a, names) for a in names]))
    assert result.converged
    with pytest.raises(EstimationError, match="absorbed constants are collinear"):
        result.with_cov("bhhh")


def test_prediction_refuses_an_alternative_without_a_constant(data, pairs):
    other = data.table.assign(alt=data.table["alt"].replace("g", "h"))
    new = ChoiceData.from_long(other, "case", "alt")
    with pytest.raises(DataError, match="'h', which the model was not estimated with"):
        pairs("multinomial")[1].predict(new)
