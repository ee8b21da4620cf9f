"""Draws of alternatives against enumeration, and the models corrected for them."""

import math
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest

from choicemodels import (
    ChoiceData,
    CrossNestedLogit,
    MultinomialLogit,
    NestedLogit,
    sample_alternatives,
)
from choicemodels.choices.sampling_kernels import draw
from choicemodels.choices.scenario_data import keep_cases
from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.keyed_random import stream_key
from choicemodels.specify import specify
from estimation import fit, load_result
from tests.choice.test_factored import build, tables

J = 12
NAMES = [f"a{j:02d}" for j in range(J)]
GROUPS = {"left": NAMES[:5], "right": NAMES[5:]}
WEIGHT = np.array([1.0, 2.0, 0.5, 4.0, 8.0, 0.1])


def generated(cases=300, seed=0, ragged=True):
    """Choices from a multinomial logit with coefficients 1 and -0.5, most sets incomplete."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "case": np.repeat([f"c{n}" for n in range(cases)], J),
            "alt": np.tile(NAMES, cases),
            "side": np.tile(np.repeat(["left", "right"], [5, 7]), cases),
            "x": rng.normal(size=cases * J),
            "y": rng.normal(size=cases * J),
        }
    )
    table["q"] = np.exp(0.8 * table["x"])
    V = (table["x"] - 0.5 * table["y"]).to_numpy()
    offered = rng.random(cases * J) < (0.8 if ragged else 2.0)
    best = np.where(offered, V + rng.gumbel(size=len(V)), -np.inf).reshape(cases, J)
    table["chosen"] = (np.arange(J) == best.argmax(axis=1)[:, None]).ravel().astype(int)
    table = table[offered]
    return ChoiceData.from_long(table, "case", "alt", "chosen", alternatives=NAMES)


def drawn(size, forced, weight=(), *, replace=False, cases=40_000, cells=6, stratum=None):
    """Draw from the same cells for many cases; return the draws by case."""
    return draw(
        np.zeros(cases, dtype=np.int64),
        np.full(cases, cells),
        np.arange(cells),
        np.zeros(cells, dtype=np.int64) if stratum is None else stratum,
        np.asarray(weight, dtype=np.float64),
        np.full(cases, forced),
        np.arange(cases, dtype=np.uint64),
        np.atleast_1d(size),
        replace,
        True,
        stream_key(3, 0, "test"),
    )


def entropy_design(weight, size, forced):
    """Probabilities of all sets under the maximum-entropy design, one alternative forced."""
    sets = [D for D in combinations(range(len(weight)), size) if forced < 0 or forced in D]
    odds = [math.prod(weight[j] for j in D if j != forced) for D in sets]
    return {D: o / sum(odds) for D, o in zip(sets, odds, strict=True)}


def inclusion(design, j):
    return sum(p for D, p in design.items() if j in D)


@pytest.mark.parametrize("forced", [-1, 0, 4])
@pytest.mark.parametrize(
    "weight",
    [WEIGHT, np.ones(6), np.array([2.0, 2, 2, 8, 8, 1]), np.array([1e3, 1e3, 1, 1, 1e-3, 1e-3])],
    ids=["unequal", "equal", "tied", "far apart"],
)
def test_draws_without_replacement_follow_the_design_exactly(weight, forced):
    size, N = 3, 40_000
    found = drawn(size, forced, () if (weight == 1).all() else weight)
    sets = found.cell.reshape(N, size)
    design = entropy_design(weight, size, forced)
    for D, p in design.items():
        share = (sets == D).all(axis=1).mean()
        assert abs(share - p) < 5 * math.sqrt(p / N)
    free = entropy_design(weight, size, -1)
    want = np.array([-math.log(inclusion(free, j)) for j in range(6)])
    np.testing.assert_allclose(found.correction, want[found.cell], rtol=1e-12)
    given = np.array(
        [[inclusion(entropy_design(weight, size, i), j) for j in range(6)] for i in range(6)]
    )
    beside = found.beside.reshape(N, size)
    for n in range(50):
        for k, j in enumerate(sets[n]):
            mean = np.mean([1 / given[i, j] for i in sets[n] if i != j])
            assert beside[n, k] == pytest.approx(mean, rel=1e-10)


def test_corrections_are_the_log_probabilities_of_the_set_given_each_choice():
    """pr(D | j) by enumeration, for two strata without and one with replacement."""
    stratum, size = np.array([0, 0, 0, 1, 1, 1]), np.array([2, 2])
    found = drawn(size, 1, WEIGHT, stratum=stratum, cases=200)
    designs = [
        {j: entropy_design(WEIGHT[s], 2, j) for j in (-1, 0, 1, 2)} for s in (slice(3), slice(3, 6))
    ]
    for n in range(200):
        part = slice(found.offsets[n], found.offsets[n + 1])
        D, correction = found.cell[part], found.correction[part]
        inside = [tuple(D[D < 3]), tuple(D[D >= 3] - 3)]
        want = [
            math.log(designs[0][j if j < 3 else -1][inside[0]])
            + math.log(designs[1][j - 3 if j >= 3 else -1][inside[1]])
            for j in D
        ]
        np.testing.assert_allclose(np.diff(correction), np.diff(want), atol=1e-12)


def test_corrections_with_replacement_by_enumeration():
    q = WEIGHT / WEIGHT.sum()
    found = drawn(4, 2, WEIGHT, replace=True, cases=300)

    def pr(times, j):
        """Sum over the ordered draws that, with j added, give these times."""
        rest = [k for k, count in times.items() for _ in range(count - (k == j))]
        return sum(math.prod(q[k] for k in order) for order in set(permutations(rest)))

    sizes = set()
    for n in range(300):
        part = slice(found.offsets[n], found.offsets[n + 1])
        D, correction = found.cell[part], found.correction[part]
        times = dict(zip(D, np.rint(np.exp(correction) * 4 * q[D]).astype(int), strict=True))
        assert sum(times.values()) == 4
        assert 2 in times
        want = [math.log(pr(times, j)) for j in D]
        np.testing.assert_allclose(np.diff(correction), np.diff(want), atol=1e-12)
        np.testing.assert_allclose(found.beside[part], np.exp(correction) * 4 / 3, rtol=1e-12)
        sizes.add(len(D))
    assert sizes >= {2, 3, 4}


def test_draws_with_replacement_follow_the_weights():
    found = drawn(4, -1, WEIGHT, replace=True)
    times = np.exp(found.correction) * 4 * (WEIGHT / WEIGHT.sum())[found.cell]
    total = np.bincount(found.cell, weights=times, minlength=6)
    expected = 4 * 40_000 * WEIGHT / WEIGHT.sum()
    assert (np.abs(total - expected) < 5 * np.sqrt(expected)).all()


def test_the_corrected_score_is_zero_at_the_truth_whatever_the_sample():
    """E[score] by enumeration of choices and samples, three of five by importance."""
    rng = np.random.default_rng(5)
    x, q = rng.normal(size=5), rng.uniform(0.2, 3.0, size=5)
    P = np.exp(x) / np.exp(x).sum()
    free = entropy_design(q, 3, -1)
    correction = np.array([-math.log(inclusion(free, j)) for j in range(5)])

    def score(D, i, offset):
        members = list(D)
        p = np.exp(x[members] + offset[members])
        return x[i] - (p / p.sum()) @ x[members]

    for offset, zero in ((correction, True), (np.zeros(5), False)):
        expected = sum(
            P[i] * p * score(D, i, offset)
            for i in range(5)
            for D, p in entropy_design(q, 3, i).items()
        )
        assert (abs(expected) < 1e-14) == zero


def test_extreme_weights_and_large_sets_stay_finite():
    rng = np.random.default_rng(0)
    for scale, size in ((1.0, 150), (30.0, 5), (30.0, 299)):
        weight = np.exp(scale * rng.normal(size=300))
        found = drawn(size, 7, weight / weight.max(), cases=3, cells=300)
        assert (np.diff(found.offsets) == size).all()
        assert np.isfinite([found.correction, found.beside]).all()
        assert (found.beside >= 1 - 1e-9).all()


SCHEMES = {
    "uniform": {"size": 5},
    "uniform, again": {"size": 5, "replace": True},
    "stratified": {"size": {"left": 2, "right": 4}, "scheme": "stratified", "strata": GROUPS},
    "importance": {"size": 5, "scheme": "importance", "weights": "q"},
    "importance, again": {
        "size": 5, "scheme": "importance", "weights": "exp(0.8 * x)", "replace": True,
    },
    "importance within strata": {
        "size": 3, "scheme": "importance", "weights": "q", "strata": "side",
    },
    "always": {"size": 4, "always": ["a03", "a07"]},
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMES)
def test_samples_hold_the_chosen_and_follow_the_seed(name):
    data = generated()
    sampled = sample_alternatives(data, **SCHEMES[name], seed=1)
    kept = sampled.table.iloc[sampled.chosen].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, data.table.iloc[data.chosen].reset_index(drop=True))
    assert sampled.sample.note.startswith("Choice sets are samples")
    assert not sampled.table.duplicated(["case", "alt"]).any()
    again = sample_alternatives(data, **SCHEMES[name], seed=1)
    pd.testing.assert_frame_equal(sampled.table, again.table)
    np.testing.assert_array_equal(sampled.sample.correction, again.sample.correction)
    other = sample_alternatives(data, **SCHEMES[name], seed=2)
    assert not sampled.table.equals(other.table)


def test_dropping_and_reordering_cases_changes_no_other_draw():
    data = generated()
    cases = data.table["case"].unique()[::-1][5:]
    parts = [data.table[data.table["case"] == case] for case in cases]
    some = ChoiceData.from_long(pd.concat(parts), "case", "alt", "chosen", alternatives=NAMES)
    for options in SCHEMES.values():
        full = sample_alternatives(data, **options, seed=1)
        moved = sample_alternatives(some, **options, seed=1)
        one, two = (
            d.table.assign(c=d.sample.correction)
            .sort_values(["case", "alt"])
            .reset_index(drop=True)
            for d in (full, moved)
        )
        one = one[one["case"].isin(cases)].reset_index(drop=True)
        pd.testing.assert_frame_equal(one, two)


def test_draws_do_not_depend_on_the_number_of_threads():
    import numba

    data = generated()
    options = SCHEMES["importance within strata"]
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = sample_alternatives(data, **options, seed=1)
    finally:
        numba.set_num_threads(before)
    pd.testing.assert_frame_equal(one.table, sample_alternatives(data, **options, seed=1).table)


def test_a_sample_of_everything_is_everything():
    data = generated()
    for options in (
        {"size": J},
        {"size": 7, "scheme": "stratified", "strata": GROUPS},
        {"size": J, "scheme": "importance", "weights": "q"},
    ):
        sampled = sample_alternatives(data, **options, seed=1)
        pd.testing.assert_frame_equal(sampled.table, data.table)
        np.testing.assert_array_equal(sampled.sample.correction, 0.0)
        np.testing.assert_array_equal(sampled.sample.beside, 1.0)


def test_smaller_sets_are_kept_whole_and_strata_get_their_numbers():
    data = generated()
    sampled = sample_alternatives(data, 9, seed=1)
    np.testing.assert_array_equal(sampled.set_sizes, np.minimum(data.set_sizes, 9))
    small = np.repeat(data.set_sizes <= 9, sampled.set_sizes)
    np.testing.assert_array_equal(sampled.sample.correction[small], 0.0)
    sampled = sample_alternatives(data, **SCHEMES["stratified"], seed=1)
    counts = sampled.table.groupby(["case", "side"], sort=False).size().unstack()
    offered = data.table.groupby(["case", "side"], sort=False).size().unstack()
    assert (counts["left"] == np.minimum(offered["left"], 2)).all()
    assert (counts["right"] == np.minimum(offered["right"], 4)).all()
    sampled = sample_alternatives(data, **SCHEMES["always"], seed=1)
    for name in ("a03", "a07"):
        assert (sampled.table["alt"] == name).sum() == (data.table["alt"] == name).sum()


@pytest.mark.parametrize(
    "options",
    [
        {"size": 4, "always": ["stay"]},
        {"size": 4, "scheme": "importance", "weights": "1 / distance", "always": ["stay"]},
        {"size": 5, "replace": True},
    ],
)
def test_factored_data_are_sampled_as_the_long_layout_is(options):
    data = build(*tables(choosers=60))
    ours = sample_alternatives(data, **options, seed=4)
    theirs = sample_alternatives(data.to_long(), **options, seed=4)
    pd.testing.assert_frame_equal(ours.table, theirs.table)
    np.testing.assert_array_equal(ours.offsets, theirs.offsets)
    np.testing.assert_array_equal(ours.chosen, theirs.chosen)
    np.testing.assert_array_equal(ours.alternative, theirs.alternative)
    np.testing.assert_array_equal(ours.sample.correction, theirs.sample.correction)
    some = np.flatnonzero(data.origin == 2)[::-1]
    few = sample_alternatives(data.take(some), **options, seed=4)
    kept = keep_cases(ours, some)
    pd.testing.assert_frame_equal(few.table, kept.table)
    np.testing.assert_array_equal(few.sample.correction, kept.sample.correction)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_multinomial_logit_recovers_the_truth_from_any_sample(name):
    data = generated(cases=3000, seed=11)
    model = MultinomialLogit("x + y | 0")
    result = fit(model, sample_alternatives(data, **SCHEMES[name], seed=1))
    full = fit(model, data)
    truth = np.array([1.0, -0.5])
    assert (np.abs(result.params - truth) < 3 * result.bse).all()
    # Samples of the same choices: the estimates differ by what the sample leaves out.
    spread = np.sqrt(result.bse**2 - full.bse**2)
    assert (np.abs(result.params - full.params) < 3.5 * spread).all()
    assert (result.bse > full.bse).all()


def test_without_the_correction_importance_sampling_misleads():
    data = generated(cases=3000, seed=11)
    sampled = sample_alternatives(data, **SCHEMES["importance"], seed=1)
    wrong = fit(MultinomialLogit("x + y | 0"), replace(sampled, sample=None))
    assert abs(wrong.params["x"] - 1.0) > 8 * wrong.bse["x"]


@pytest.mark.slow
def test_constants_survive_uneven_sampling():
    data = generated(cases=3000, seed=11)
    model = MultinomialLogit("x + y")
    weights = {name: 1.0 + 5.0 * (j % 3) for j, name in enumerate(NAMES)}
    sampled = sample_alternatives(data, 6, scheme="importance", weights=weights, seed=1)
    result, wrong = fit(model, sampled), fit(model, replace(sampled, sample=None))
    constants = [name for name in result.names if name.startswith("(Intercept)")]
    z = (result.params / result.bse)[constants]
    assert (np.abs(z) < 3.5).all()
    assert (wrong.params / wrong.bse)[constants].abs().max() > 8
    absorbed = fit(replace(model, constants="absorbed", formula="x + y | 0"), sampled)
    np.testing.assert_allclose(absorbed.params, result.params[["x", "y"]], rtol=1e-6)


def test_the_correction_is_added_to_the_utilities_outside_of_any_scale():
    data = generated(cases=80)
    table = data.table.assign(z=data.table["case"].str.len() - 2.0, a=1.0 + data.table["q"], b=2.0)
    data = replace(data, table=table)
    model = MultinomialLogit("x + y | 0", scale="z", size="a + b", size_coefficient="free")
    likelihood = specify(model, sample_alternatives(data, **SCHEMES["importance"], seed=1))
    theta = np.array([0.4, -0.3, 0.7, 0.2, 0.3])
    t, sample = likelihood.observations, sample_alternatives(data, **SCHEMES["importance"], seed=1)
    rows = sample.table
    V = np.exp(0.3 * rows["z"]) * (
        0.4 * rows["x"] - 0.3 * rows["y"] + 0.7 * np.log(rows["a"] + np.exp(0.2) * rows["b"])
    )
    U = (V + sample.sample.correction).to_numpy()
    case = np.repeat(np.arange(sample.n_cases), sample.set_sizes)
    logsum = np.log(np.bincount(case, weights=np.exp(U)))
    at = likelihood.contributions(theta)
    np.testing.assert_allclose(at.loglike_obs, U[sample.chosen] - logsum, rtol=1e-11)
    step = 1e-6 * np.eye(len(theta))
    score = [(likelihood.evaluate(theta + h)[0] - likelihood.evaluate(theta - h)[0]) / 2e-6
             for h in step]  # fmt: skip
    hessian = [(likelihood.evaluate(theta + h)[1] - likelihood.evaluate(theta - h)[1]) / 2e-6
               for h in step]  # fmt: skip
    np.testing.assert_allclose(at.score, score, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(at.hessian, hessian, rtol=1e-6, atol=1e-6)
    some = likelihood.subset(np.array([3, 1]))
    np.testing.assert_allclose(some.contributions(theta).loglike_obs, at.loglike_obs[[3, 1]])
    assert t.n_cases == sample.n_cases


def test_predictions_are_for_full_choice_sets(tmp_path):
    data = generated(cases=500)
    sampled = sample_alternatives(data, **SCHEMES["importance"], seed=1)
    result = fit(MultinomialLogit("x + y | 0"), sampled)
    for ask in (result.predict, result.logsum):
        with pytest.raises(EstimationError, match="the choice sets are samples"):
            ask()
    got = result.predict(data)["probability"]
    V = data.table[["x", "y"]].to_numpy() @ result.params.to_numpy()
    case = np.repeat(np.arange(500), data.set_sizes)
    want = np.exp(V) / np.bincount(case, weights=np.exp(V))[case]
    np.testing.assert_allclose(got, want, rtol=1e-10)
    text = str(result.summary())
    assert "samples of alternatives (5; importance, without replacement, seed 1)" in text
    assert "Constants only" not in text
    assert result.llconstants is None
    assert "ll_constants" not in result.statistics
    result.save(tmp_path / "r.json")
    saved = load_result(tmp_path / "r.json")
    assert saved.llconstants is None
    assert str(saved.summary()) == text


def test_models_without_a_correction_refuse_samples():
    sampled = sample_alternatives(generated(), 5, seed=1)
    model = CrossNestedLogit("x + y | 0", nests={"a": NAMES[:8], "b": NAMES[4:]})
    with pytest.raises(DataError, match="the choice sets are samples"):
        fit(model, sampled)


BAD = {
    "more than there are": ({"size": J + 1}, SpecificationError, r"size is 13.*more than 12"),
    "one": ({"size": 1}, SpecificationError, "at least 2"),
    "not whole": ({"size": 2.5}, SpecificationError, "whole number"),
    "unknown scheme": ({"size": 5, "scheme": "random"}, SpecificationError, "'uniform'"),
    "no strata": ({"size": 5, "scheme": "stratified"}, SpecificationError, "give strata="),
    "idle strata": ({"size": 5, "strata": GROUPS}, SpecificationError, "give strata="),
    "no weights": ({"size": 5, "scheme": "importance"}, SpecificationError, "give weights="),
    "idle weights": ({"size": 5, "weights": "q"}, SpecificationError, "give weights="),
    "weight of zero": (
        {"size": 5, "scheme": "importance", "weights": "maximum(x, 0)"},
        DataError,
        r"the weight of 'a\d\d' is 0 .*rows",
    ),
    "weights too far apart": (
        {"size": 5, "scheme": "importance", "weights": "exp(100 * x)"},
        DataError,
        "span more than 1e\\+100",
    ),
    "weights that lack one": (
        {"size": 5, "scheme": "importance", "weights": dict.fromkeys(NAMES[1:], 1.0)},
        SpecificationError,
        "gives none for 'a00'",
    ),
    "weight of a stranger": (
        {"size": 5, "scheme": "importance", "weights": {"b": 1.0}},
        SpecificationError,
        "weights= names the alternative 'b'",
    ),
    "weights without a column": (
        {"size": 5, "scheme": "importance", "weights": "nope"},
        DataError,
        "'nope'",
    ),
    "empty stratum": (
        {"size": 2, "scheme": "stratified", "strata": {**GROUPS, "none": []}},
        SpecificationError,
        "stratum 'none' is empty",
    ),
    "alternative in no stratum": (
        {"size": 2, "scheme": "stratified", "strata": {"left": NAMES[:5]}},
        DataError,
        r"'a\d\d' stands in no stratum",
    ),
    "alternative in two strata": (
        {"size": 2, "scheme": "stratified", "strata": {"left": NAMES, "right": NAMES[5:]}},
        SpecificationError,
        "'a05' stands in two strata",
    ),
    "stranger in a stratum": (
        {"size": 2, "scheme": "stratified", "strata": {"left": ["a0"]}},
        SpecificationError,
        "did you mean",
    ),
    "strata without a column": (
        {"size": 2, "scheme": "stratified", "strata": "region"},
        DataError,
        "no column 'region'",
    ),
    "size of no stratum": (
        {"size": {"left": 2, "rigt": 2}, "scheme": "stratified", "strata": GROUPS},
        SpecificationError,
        "stratum 'rigt'",
    ),
    "size left out": (
        {"size": {"left": 2}, "scheme": "stratified", "strata": GROUPS},
        SpecificationError,
        "stratum 'right' is None",
    ),
    "size above the stratum's": (
        {"size": {"left": 6, "right": 2}, "scheme": "stratified", "strata": GROUPS},
        SpecificationError,
        "stratum 'left' is 6, but no case is offered more than 5",
    ),
    "always a stranger": ({"size": 5, "always": ["stay"]}, SpecificationError, "always="),
    "negative seed": ({"size": 5, "seed": -1}, SpecificationError, "seed"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_sentence(name):
    options, error, message = BAD[name]
    with pytest.raises(error, match=message):
        sample_alternatives(generated(), **{"seed": 1, **options})


def test_cases_without_a_choice_are_refused():
    data = generated()
    unknown = replace(data, chosen=np.where(np.arange(data.n_cases) == 4, -1, data.chosen))
    with pytest.raises(DataError, match=r"1 cases have no known choice \(first: c4\)"):
        sample_alternatives(unknown, 5, seed=1)


def test_samples_are_drawn_once_and_from_choice_data():
    sampled = sample_alternatives(generated(), np.int64(5), seed=1)
    with pytest.raises(DataError, match="samples already"):
        sample_alternatives(sampled, 4, seed=1)
    with pytest.raises(SpecificationError, match="was given a DataFrame"):
        sample_alternatives(sampled.table, 4, seed=1)


def test_nests_are_no_obstacle_to_sampling_but_need_members():
    data = generated(ragged=False)
    model = NestedLogit("x + y | 0", nests=GROUPS)
    thin = sample_alternatives(data, 1, scheme="stratified", strata=GROUPS, seed=1)
    with pytest.raises(DataError, match="holds two members"):
        fit(model, thin)
