"""Offsets, sizes and scales: what utilities are besides sums of columns."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit, NestflowWarning
from choicemodels.errors import DataError, IdentificationError, SpecificationError
from choicemodels.logit.tree import log_probabilities
from choicemodels.specify import specify
from estimation import fit, load_result

PUBLISHED = Path(__file__).parents[1] / "published"


def values(key):
    return tomllib.loads((PUBLISHED / key / "values.toml").read_text(encoding="utf-8"))


# --- other software's values --------------------------------------------------------------------

SIZE = "retail + I(other * high) + I(other * (1 - high))"
NEAR = {"near": ["1", "2", "3", "4", "5"]}
ZONES = {
    "one": MultinomialLogit("distance | 0", size=SIZE),
    "free": MultinomialLogit("distance | 0", size=SIZE, size_coefficient="free"),
    "nested": NestedLogit("distance | 0", nests=NEAR, size=SIZE, size_coefficient="free"),
}


@pytest.fixture(scope="module")
def zones():
    folder = PUBLISHED / "larch_6_0_46"
    places, distances, choosers = (
        pd.read_csv(folder / f"{name}.csv") for name in ("zones", "distances", "choosers")
    )
    return ChoiceData.from_factors(
        choosers,
        places,
        distances,
        origin="home",
        alternative="zone",
        chosen="chosen",
        stay=None,
    )


@pytest.mark.parametrize("name", ZONES)
def test_larch_agrees_on_sizes_of_destinations(name, zones):
    want = values("larch_6_0_46")[name]
    result = fit(ZONES[name], zones.to_long(), cov="hessian")
    assert result.llf == pytest.approx(want["llf"], abs=1e-8)
    names = list(want["params"])
    assert sorted(result.names) == sorted(names)
    # In standard errors: larch stops where we do to a millionth of them.
    off = (result.params[names] - pd.Series(want["params"])) / result.bse[names]
    assert np.abs(off).max() < 1e-6
    np.testing.assert_allclose(result.bse[names], list(want["bse_hessian"].values()), rtol=2e-6)


def test_factored_data_give_the_same_sizes(zones):
    factored, long = fit(ZONES["free"], zones), fit(ZONES["free"], zones.to_long())
    np.testing.assert_allclose(factored.params, long.params, atol=1e-9)
    np.testing.assert_allclose(factored.bse, long.bse, rtol=1e-9)


def test_biogeme_agrees_on_a_scale_group(swissmetro):
    want = values("biogeme_3_2_7")["scale"]
    model = MultinomialLogit("time + cost", base="sm", scale="I(GROUP == 3)")
    result = fit(model, swissmetro)
    assert result.llf == pytest.approx(want["llf"], abs=5e-4)
    tau = "scale:I(GROUP == 3)"
    scale = np.exp(result.params[tau])
    assert scale == pytest.approx(want["scale"]["value"], abs=5e-3)
    for kind in ("hessian", "robust"):
        other = result.with_cov(kind)
        for name, value in want["params"].items():
            # Rounding, and half a hundredth of a standard error: Biogeme's gradient is 0.03.
            assert result.params[name] == pytest.approx(value, abs=5e-4 + 0.005 * other.bse[name])
            assert other.bse[name] == pytest.approx(want[kind][name], abs=5e-5)
        assert scale * other.bse[tau] == pytest.approx(want["scale"][kind], abs=5e-4 + 5e-4)


def test_biogeme_agrees_on_weights(swissmetro):
    want = values("biogeme_3_2_7")["weight"]
    table = swissmetro.table
    table = table.assign(w=8.890991e-01 * np.where(table["GROUP"] == 3, 1.2, 1.0))
    data = ChoiceData.from_long(
        table, "case", "alternative", "chosen", weights="w", alternatives=["train", "sm", "car"]
    )
    result = fit(MultinomialLogit("time + cost", base="sm"), data)
    assert result.llf == pytest.approx(want["llf"], abs=5e-4)
    # Biogeme's sandwich has each case's weight once, a sandwich of the weighted likelihood twice.
    scores = result.score_obs
    once = (scores / data.weights[:, None]).T @ scores
    bread = np.linalg.inv(-result.hessian)
    theirs = pd.Series(np.sqrt(np.diag(bread @ once @ bread)), index=list(result.names))
    for name, value in want["params"].items():
        assert result.params[name] == pytest.approx(value, abs=5e-3)
        assert result.with_cov("hessian").bse[name] == pytest.approx(
            want["hessian"][name], abs=5e-5 if value > -1 else 5e-4
        )
        assert theirs[name] == pytest.approx(want["robust"][name], abs=5e-4)


# --- brute force --------------------------------------------------------------------------------

ALTERNATIVES = list("abcde")
NESTS = {"A": ["a", "b"], "B": ["c", "d"]}


def generated(cases=300, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 5),
            "alt": ALTERNATIVES * cases,
            "x": rng.normal(size=5 * cases),
            "off": rng.normal(size=5 * cases),
            "q": rng.integers(0, 4, size=5 * cases).astype(float),
            "r": rng.uniform(0.5, 5, size=5 * cases),
            "s": rng.uniform(0.5, 5, size=5 * cases),
            "z": np.repeat(rng.normal(size=cases), 5),
            "g": np.repeat(rng.integers(0, 2, size=cases), 5).astype(float),
            "w": np.repeat(rng.uniform(0.5, 1.5, size=cases), 5),
        }
    )
    # Quantities may be zero where others are not; a single one may not.
    table["one"] = table["q"] + 1
    V = 0.8 * table["x"] + np.log(table["q"] + 2 * table["r"] + 0.5 * table["s"]) + table["off"]
    U = (np.exp(0.5 * table["g"]) * V + rng.gumbel(size=len(table))).groupby(table["case"])
    table["chosen"] = (U.rank(ascending=False) == 1).astype(int)
    return ChoiceData.from_long(
        table, "case", "alt", "chosen", weights="w", alternatives=ALTERNATIVES
    )


@pytest.fixture(scope="module")
def data():
    return generated()


OPTIONS = {
    "offset": {"offset": "off"},
    "one quantity": {"size": "one"},
    "one quantity, free": {"size": "one", "size_coefficient": "free", "offset": "off"},
    "quantities": {"size": "q + r + s"},
    "quantities, free": {"size": "q + r + s", "size_coefficient": "free"},
    "scale": {"scale": "g + z", "offset": "off"},
    "all": {"size": "q + r + s", "size_coefficient": "free", "scale": "g + z", "offset": "off"},
}


def utilities(table, p, size=(), offset=False, scale=()):
    """Compute the utilities of the rows by the formula of the documentation."""
    V = p["x"] * table["x"]
    if offset:
        V = V + table["off"]
    if size:
        weights = [1.0, *(np.exp(p[f"size:{name}"]) for name in size[1:])]
        total = sum(w * table[name] for w, name in zip(weights, size, strict=True))
        V = V + p.get("size", 1.0) * np.log(total)
    return V * np.exp(sum(p[f"scale:{name}"] * table[name] for name in scale))


@pytest.mark.parametrize("family", ["multinomial", "nested"])
@pytest.mark.parametrize("name", OPTIONS)
def test_utilities_and_their_derivatives_by_brute_force(name, family, data):
    options = OPTIONS[name]
    if family == "multinomial":
        model = MultinomialLogit("x | 0", **options)
    else:
        model = NestedLogit("x | 0", nests=NESTS, **options)
    likelihood = specify(model, data)
    rng = np.random.default_rng(3)
    names = likelihood.parameters.names
    theta = np.where(
        [name.startswith("lambda") for name in names],
        rng.uniform(0.4, 1.2, len(names)),
        rng.uniform(-0.7, 0.7, len(names)),
    )
    p = dict(zip(names, theta, strict=True))

    def parts(text):
        return tuple(part.strip() for part in options.get(text, "").split("+") if part.strip())

    V = utilities(data.table, p, parts("size"), "offset" in options, parts("scale"))
    tree, lam = likelihood.parameters.tree, likelihood.parameters.lambdas(theta)[:-1]
    logP = log_probabilities(V.to_numpy().reshape(-1, 5), tree, lam).ravel()
    got = likelihood.contributions(theta)
    np.testing.assert_allclose(got.loglike_obs, data.weights * logP[data.chosen], rtol=1e-11)
    P, _ = likelihood.probabilities(theta)
    np.testing.assert_allclose(P, np.exp(logP), rtol=1e-11)
    step = 1e-6
    up, down = (
        [likelihood.evaluate(theta + sign * shift) for shift in step * np.eye(len(theta))]
        for sign in (1, -1)
    )
    score = [(a[0] - b[0]) / (2 * step) for a, b in zip(up, down, strict=True)]
    hessian = [(a[1] - b[1]) / (2 * step) for a, b in zip(up, down, strict=True)]
    np.testing.assert_allclose(got.score, score, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(got.hessian, hessian, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(got.score_obs.sum(axis=0), got.score, rtol=1e-10, atol=1e-10)


# --- special cases ------------------------------------------------------------------------------


def same(one, other, names=None):
    """Hold two results to each other, standard errors as well."""
    names = list(names if names is not None else one.names)
    assert one.llf == pytest.approx(other.llf, rel=1e-12)
    np.testing.assert_allclose(one.params[names], other.params[names], atol=1e-7)
    for kind in ("hessian", "bhhh", "robust"):
        np.testing.assert_allclose(
            one.with_cov(kind).bse[names], other.with_cov(kind).bse[names], rtol=1e-6
        )


@pytest.mark.filterwarnings("ignore:the dissimilarity")
@pytest.mark.parametrize("nests", [None, NESTS])
def test_an_offset_is_a_coefficient_of_one(nests, data):
    def model(formula, **options):
        if nests is None:
            return MultinomialLogit(formula, **options)
        return NestedLogit(formula, nests=nests, **options)

    given = fit(model("x", offset="off"), data)
    fixed = fit(model("x + off", constraints=["off = 1"]), data)
    assert given.names == fixed.names
    same(given, fixed)
    np.testing.assert_allclose(
        given.predict()["probability"], fixed.predict()["probability"], atol=1e-8
    )


def test_one_quantity_is_its_logarithm(data):
    free = fit(MultinomialLogit("x", size="one", size_coefficient="free"), data)
    column = fit(MultinomialLogit("x + log(one)"), data)
    assert free.params["size"] == pytest.approx(column.params["log(one)"], abs=1e-8)
    assert free.bse["size"] == pytest.approx(column.bse["log(one)"], rel=1e-7)
    one = fit(MultinomialLogit("x", size="one"), data)
    same(one, fit(MultinomialLogit("x", offset="log(one)"), data))


def test_equal_weights_are_the_log_of_the_sum(data):
    model = MultinomialLogit("x", size="q + r + s", constraints=["size:r = 0", "size:s = 0"])
    same(fit(model, data), fit(MultinomialLogit("x", offset="log(q + r + s)"), data))


def test_the_order_of_quantities_is_a_matter_of_normalization(data):
    one = fit(MultinomialLogit("x", size="q + r + s", size_coefficient="free"), data)
    other = fit(MultinomialLogit("x", size="r + q + s", size_coefficient="free"), data)
    same(one, other, ["x", "size"])
    assert other.params["size:q"] == pytest.approx(-one.params["size:r"], abs=1e-6)
    assert other.bse["size:q"] == pytest.approx(one.bse["size:r"], rel=1e-6)
    gap = one.params["size:s"] - one.params["size:r"]
    assert other.params["size:s"] == pytest.approx(gap, abs=1e-6)


def test_a_unit_of_measurement_moves_the_weight_alone(data):
    table = data.table.assign(r=1000 * data.table["r"])
    other = ChoiceData.from_long(
        table, "case", "alt", "chosen", weights="w", alternatives=ALTERNATIVES
    )
    model = MultinomialLogit("x", size="q + r", size_coefficient="free")
    one, big = fit(model, data), fit(model, other)
    same(one, big, ["x", "size"])
    moved = one.params["size:r"] - np.log(1000)
    assert big.params["size:r"] == pytest.approx(moved, abs=1e-6)


def test_with_the_scale_at_zero_groups_are_alike(data):
    model = MultinomialLogit("x", scale="g", constraints=["scale:g = 0"])
    same(fit(model, data), fit(MultinomialLogit("x"), data))


def test_scale_groups_with_one_variable_are_two_models(data):
    # V = exp(tau g) b x: with nothing else the groups share no parameter.
    joint = fit(MultinomialLogit("x | 0", scale="g"), data)
    apart = []
    for g in (0, 1):
        rows = data.table[data.table["g"] == g]
        own = ChoiceData.from_long(
            rows, "case", "alt", "chosen", weights="w", alternatives=ALTERNATIVES
        )
        apart.append(fit(MultinomialLogit("x | 0"), own))
    b = [result.params["x"] for result in apart]
    assert joint.llf == pytest.approx(apart[0].llf + apart[1].llf, rel=1e-12)
    assert joint.params["x"] == pytest.approx(b[0], abs=1e-8)
    assert joint.params["scale:g"] == pytest.approx(np.log(b[1] / b[0]), abs=1e-8)
    for kind in ("hessian", "bhhh", "robust"):
        se = [result.with_cov(kind).bse["x"] for result in apart]
        want = np.hypot(se[0] / b[0], se[1] / b[1])
        assert joint.with_cov(kind).bse["scale:g"] == pytest.approx(want, rel=1e-7)


def test_scale_and_quantities_are_recovered():
    result = fit(
        MultinomialLogit("x | 0", size="q + r + s", offset="off", scale="g"), generated(4_000, 7)
    )
    truth = pd.Series({"x": 0.8, "size:r": np.log(2), "size:s": np.log(0.5), "scale:g": 0.5})
    z = (result.params - truth[result.params.index]) / result.bse
    assert np.abs(z).max() < 3


# --- everything else that a result does ---------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the dissimilarity")
@pytest.mark.parametrize("name", OPTIONS)
def test_results_survive_a_file(name, data, tmp_path):
    model = NestedLogit(
        "x",
        nests=NESTS,
        constraints=["lambda:A = lambda:B"],
        bounds={"x": (0, None)},
        **OPTIONS[name],
    )
    result = fit(model, data)
    back = load_result(result.save(tmp_path / "result.json"))
    assert back.model == model
    assert back.parameters.utility == result.parameters.utility
    np.testing.assert_array_equal(back.theta, result.theta)
    np.testing.assert_array_equal(back.basis, result.basis)
    assert str(back.summary()) == str(result.summary())
    for kind in ("hessian", "bhhh", "robust"):
        np.testing.assert_array_equal(back.with_cov(kind).bse, result.with_cov(kind).bse)
    np.testing.assert_array_equal(
        back.predict(data)["probability"], result.predict()["probability"]
    )
    np.testing.assert_array_equal(back.logsum(data), result.logsum())


def test_utilities_with_a_size_are_no_sum_of_products(data):
    with pytest.raises(SpecificationError, match="hold a size or a scale"):
        fit(MultinomialLogit("x", size="one"), data).utility_terms()
    terms = fit(MultinomialLogit("x", offset="off"), data).utility_terms()
    assert [(t.name, t.coefficient) for t in terms][-1] == ("offset", 1.0)


# --- refusals and warnings ----------------------------------------------------------------------


def test_a_quantity_that_adds_nothing_is_named(data):
    rng = np.random.default_rng(9)
    table = data.table.assign(noise=np.exp(6 * rng.normal(size=len(data.table))))
    other = ChoiceData.from_long(table, "case", "alt", "chosen", alternatives=ALTERNATIVES)
    with pytest.warns(NestflowWarning, match=r"size:noise \(-\d.*one of the quantities adds nothi"):
        result = fit(MultinomialLogit("x", size="r + noise"), other)
    assert any("size:noise" in note for note in result.notes)
    assert result.llf == pytest.approx(fit(MultinomialLogit("x", size="r"), other).llf, abs=1e-5)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("q", -1.0, r"the size q \+ r is not positive in 1 rows"),
        ("one", 0.0, r"the size one is not positive in 1 rows \(first: rows 3\)"),
        ("one", np.nan, "'one' is not finite in 1 rows"),
        ("off", np.inf, "'off' is not finite in 1 rows"),
    ],
)
def test_sizes_and_offsets_that_cannot_be(column, value, message, data):
    table = data.table.copy()
    table.loc[3, column] = value
    other = ChoiceData.from_long(table, "case", "alt", "chosen", alternatives=ALTERNATIVES)
    options = {"q": {"size": "q + r"}, "one": {"size": "one"}, "off": {"offset": "off"}}
    with pytest.raises(DataError, match=message):
        fit(MultinomialLogit("x", **options[column]), other)


def test_a_row_without_any_quantity_is_refused(data):
    table = data.table.copy()
    table.loc[3, ["q", "r"]] = 0.0
    other = ChoiceData.from_long(table, "case", "alt", "chosen", alternatives=ALTERNATIVES)
    with pytest.raises(DataError, match="an alternative without any is no option"):
        fit(MultinomialLogit("x", size="q + r"), other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "q | r"}, "has 2 parts between bars; at most 1"),
        ({"scale": "g | z"}, "has 2 parts between bars; at most 1"),
        ({"size_coefficient": "two"}, "it is 'one' or 'free'"),
    ],
)
def test_specifications_are_valid_once_built(options, message):
    with pytest.raises(SpecificationError, match=message):
        MultinomialLogit("x", **options)


def test_a_scale_by_what_varies_within_a_case_is_refused(data):
    with pytest.raises(SpecificationError, match=r"'r' stands in scale= .* varies within"):
        fit(MultinomialLogit("x", scale="r"), data)


def test_a_scale_that_is_the_same_for_all_needs_something_to_scale_against(data):
    table = data.table.assign(g=1.0)
    other = ChoiceData.from_long(table, "case", "alt", "chosen", alternatives=ALTERNATIVES)
    with pytest.raises(IdentificationError, match="'scale:g' are collinear"):
        fit(MultinomialLogit("x", scale="g"), other)
    free = fit(MultinomialLogit("x"), other)
    fixed = fit(MultinomialLogit("x", scale="g", constraints=["x = 1"]), other)
    assert fixed.llf == pytest.approx(free.llf, rel=1e-12)
    assert np.exp(fixed.params["scale:g"]) == pytest.approx(free.params["x"], abs=1e-8)
    assert fixed.bse["scale:g"] == pytest.approx(free.bse["x"] / free.params["x"], rel=1e-7)


# --- move or stay -------------------------------------------------------------------------------


def test_move_stay_is_the_tree_written_out():
    groups = {"north": ["p", "q"], "south": ["r", "s"]}
    model = NestedLogit.move_stay("x", groups=groups, base="stay", lambdas="shared")
    written = NestedLogit("x", nests={"move": groups}, base="stay", lambdas="shared")
    assert model == written
    flat = NestedLogit.move_stay("x", destinations=["p", "q"], stay="home")
    assert flat == NestedLogit("x", nests={"move": ["p", "q"]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either groups=.* or destinations="),
        ({"groups": {"g": ["p"]}, "destinations": ["p"]}, "either groups=.* or destinations="),
        ({"destinations": ["p", "stay"]}, "'stay' is the alternative to stay"),
        ({"groups": {"g": ["p", "home"]}, "stay": "home"}, "'home' is the alternative to stay"),
    ],
)
def test_move_stay_needs_destinations_apart_from_staying(options, message):
    with pytest.raises(SpecificationError, match=message):
        NestedLogit.move_stay("x", **options)
