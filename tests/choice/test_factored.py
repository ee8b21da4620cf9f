"""Factored data against the long layout: the same models, the same answers."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.choices.partitioned import PartitionedChoiceData
from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.logit.observations import decision_makers
from choicemodels.logit.tree import build_tree, log_probabilities
from choicemodels.specify import specify
from estimation import fit, load_result

PLACES = [f"p{i}" for i in range(8)]
REGIONS = {"north": PLACES[:3], "south": PLACES[3:6], "isle": PLACES[6:]}


def tables(choosers=400, seed=0, *, discrete=False):
    """Draw movers and stayers among eight places in three regions from a nested logit."""
    rng = np.random.default_rng(seed)
    alternatives = pd.DataFrame(
        {
            "place": PLACES,
            "wage": rng.normal(10, 1, 8),
            "coast": rng.choice(["yes", "no"], 8),
            "stock": rng.uniform(1, 5, 8),
            "jobs": rng.uniform(1, 9, 8),
            "homes": rng.uniform(1, 9, 8),
        }
    )
    grid = pd.MultiIndex.from_product([PLACES, PLACES], names=["home", "place"]).to_frame(False)
    distance = rng.uniform(1, 9, len(grid))
    pairs = grid.assign(distance=np.where(grid["home"] == grid["place"], 1.0, distance))
    people = pd.DataFrame(
        {
            "id": np.arange(choosers) + 100,
            "home": rng.choice(PLACES[:5], choosers),
            "college": rng.integers(0, 2, choosers).astype(float),
            "age": rng.integers(20, 23, choosers) if discrete else rng.uniform(20, 60, choosers),
            "w": rng.uniform(0.5, 1.5, choosers),
            "band": rng.choice(["a", "b", "c"], choosers),
        }
    )
    data = build(people.assign(took="stay"), alternatives, pairs)
    long = data.to_long()
    t = long.table
    V = 0.3 * (t["wage"] - 10) + 0.5 * t["college"] * (t["coast"] == "yes")
    V += -0.6 * np.log(t["distance"]) + (t["place"] == "stay") * (0.5 + 0.02 * (t["age"] - 20))
    dense = np.full((choosers, 9), 0.0)
    offered = np.zeros(dense.shape, dtype=bool)
    case = np.repeat(np.arange(choosers), long.set_sizes)
    dense[case, long.alternative], offered[case, long.alternative] = V, True
    tree = build_tree({"move": REGIONS}, long.alternatives)
    P = np.exp(log_probabilities(dense, tree, np.array([0.5, 0.5, 0.5, 0.7]), available=offered))
    draws = (P.cumsum(axis=1) < rng.uniform(size=(choosers, 1))).sum(axis=1)
    people["took"] = np.array(long.alternatives)[draws]
    return people, alternatives, pairs


def build(people, alternatives, pairs, **options):
    return ChoiceData.from_factors(
        people,
        alternatives,
        pairs,
        chooser="id",
        origin="home",
        alternative="place",
        chosen="took",
        weights="w",
        **options,
    )


FORMULA = "wage + college:I(coast == 'yes') + log(distance) + college:wage | 0"
SPECIFIC = {"stay": "1 + age"}
MODELS = {
    "multinomial": MultinomialLogit(FORMULA, specific=SPECIFIC),
    "constants": MultinomialLogit("wage:college + log(distance)", specific={"stay": "age"}),
    "case variables": MultinomialLogit("log(distance) | college", base="stay"),
    "offset": MultinomialLogit(FORMULA, specific=SPECIFIC, offset="log(stock)"),
    "move or stay": NestedLogit.move_stay(FORMULA, destinations=PLACES, specific=SPECIFIC),
    "regions": NestedLogit.move_stay(FORMULA, groups=REGIONS, specific=SPECIFIC),
    "shared": NestedLogit(FORMULA, {"move": REGIONS}, specific=SPECIFIC, lambdas="shared"),
    "nonnormalized": NestedLogit(
        FORMULA, REGIONS, specific=SPECIFIC, normalization="nonnormalized"
    ),
    "size": MultinomialLogit(FORMULA, specific=SPECIFIC, size="jobs + homes"),
    "scale": NestedLogit.move_stay(
        FORMULA, destinations=PLACES, specific=SPECIFIC, scale="college"
    ),
}


@pytest.mark.parametrize("discrete", [False, True], ids=["each apart", "grouped"])
@pytest.mark.parametrize("name", MODELS)
def test_likelihood_equals_that_of_the_long_layout(name, discrete):
    data = build(*tables(discrete=discrete))
    factored, long = specify(MODELS[name], data), specify(MODELS[name], data.to_long())
    p = long.parameters
    assert factored.parameters.names == p.names
    rng = np.random.default_rng(3)
    theta = np.concatenate([rng.normal(0, 0.3, p.n_utility), rng.uniform(0.5, 1.1, p.n_free)])
    a, b = factored.contributions(theta), long.contributions(theta)
    assert a.llf == pytest.approx(b.llf, rel=1e-12)
    np.testing.assert_allclose(a.score, b.score, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.hessian, b.hessian, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(a.score_obs, b.score_obs, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(a.loglike_obs, b.loglike_obs, rtol=1e-11, atol=1e-12)
    for found, want in zip(factored.evaluate(theta), long.evaluate(theta), strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("name", ["regions", "offset", "scale"])
def test_a_fit_equals_that_of_the_long_layout(name):
    data = build(*tables(2_000))
    ours, theirs = fit(MODELS[name], data), fit(MODELS[name], data.to_long())
    np.testing.assert_allclose(ours.estimate, theirs.estimate, rtol=0, atol=1e-9)
    assert ours.llf == pytest.approx(theirs.llf, abs=1e-9)
    assert ours.llconstants == pytest.approx(theirs.llconstants, abs=1e-9)
    assert ours.llnull == pytest.approx(theirs.llnull, abs=1e-9)
    for kind in ("robust", "hessian", "bhhh"):
        got, want = ours.with_cov(kind).cov_params(), theirs.with_cov(kind).cov_params()
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-12)
    got = ours.with_cov("cluster", groups="home^band").bse
    np.testing.assert_allclose(got, theirs.with_cov("cluster", groups="home^band").bse, rtol=1e-7)


@pytest.mark.parametrize("name", ["regions", "size"])
def test_expected_choices_and_logsums_are_sums_of_predictions(name):
    data = build(*tables(300))
    result = fit(MODELS[name], data)
    rows = result.predict()
    long = data.to_long()
    rows["w"] = rows["probability"] * long.table["w"]
    want = rows.assign(origin=long.table["home"]).groupby(["origin", "place"])["w"].sum()
    got = result.expected_choices().set_index(["origin", "place"])["expected"]
    pd.testing.assert_series_equal(
        got.sort_index(), want.sort_index(), check_names=False, rtol=1e-12
    )
    np.testing.assert_allclose(result.logsum(), result.logsum(long), rtol=1e-12)


def test_choosers_in_files_and_places_in_tables(tmp_path):
    people, alternatives, pairs = tables(500)
    for k, rows in enumerate(np.array_split(np.arange(500), 3)):
        people.iloc[rows].to_parquet(tmp_path / f"{k}.parquet")
    data = PartitionedChoiceData.from_factors(
        tmp_path,
        alternatives,
        pairs,
        chooser="id",
        origin="home",
        alternative="place",
        chosen="took",
        weights="w",
    )
    model = MODELS["move or stay"]
    ours, theirs = fit(model, data), fit(model, build(people, alternatives, pairs))
    assert ours.llf == pytest.approx(theirs.llf, abs=1e-9)
    np.testing.assert_allclose(ours.estimate, theirs.estimate, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.bse, theirs.bse, rtol=1e-8)


def test_groups_are_formed_only_where_choosers_are_alike():
    alike = specify(MODELS["regions"], build(*tables(3_000, discrete=True)))
    apart = specify(MODELS["regions"], build(*tables(3_000)))
    assert len(alike.choosers.origin) < 500
    assert len(apart.choosers.origin) == 3_000
    assert alike.choosers.weights.sum() == pytest.approx(alike.choosers.case_weights.sum())


def test_subsets_and_weights_follow_the_choosers():
    data = build(*tables(500, discrete=True))
    likelihood = specify(MODELS["regions"], data)
    theta = np.array([0.2, 0.5, -0.4, 0.1, 0.4, 0.01, 0.6, 0.7, 0.8, 0.9])
    theta = theta[: len(likelihood.parameters.names)]
    cases = np.arange(0, 500, 7)
    some = likelihood.subset(cases).contributions(theta)
    every = likelihood.contributions(theta)
    np.testing.assert_allclose(some.score_obs, every.score_obs[cases], rtol=1e-12)
    twice = likelihood.reweighted(2 * data.weights).contributions(theta)
    np.testing.assert_allclose(twice.hessian, 2 * every.hessian, rtol=1e-12)


def test_staying_takes_the_own_place_and_the_own_place_is_no_destination():
    people, alternatives, pairs = tables(50)
    data = build(people, alternatives, pairs)
    t = data.to_long().table
    own = t[t["place"] == "stay"].merge(alternatives, left_on="home", right_on="place")
    assert (own["wage_x"] == own["wage_y"]).all()
    assert (t.loc[t["place"] == "stay", "distance"] == 1.0).all()
    assert not (t["place"] == t["home"]).any()
    assert (data.set_sizes == 8).all()


def test_values_of_its_own_for_staying():
    people, alternatives, pairs = tables(50)
    own = alternatives.iloc[:1].assign(place="stay", wage=-3.0)
    rows = pairs[pairs["home"] != pairs["place"]]
    staying = rows.drop_duplicates("home").assign(place="stay", distance=0.5)
    t = build(people, pd.concat([alternatives, own]), pd.concat([rows, staying])).to_long().table
    at_home = t[t["place"] == "stay"]
    assert (at_home["wage"] == -3.0).all()
    assert (at_home["distance"] == 0.5).all()


def test_without_an_origin_everybody_is_offered_everything():
    people, alternatives, _ = tables(300)
    moved = people[people["took"] != "stay"]
    data = ChoiceData.from_factors(
        moved, alternatives, alternative="place", chosen="took", stay=None
    )
    assert (data.set_sizes == 8).all()
    model = MultinomialLogit("wage + college:I(coast == 'yes') | 0")
    ours, theirs = fit(model, data), fit(model, data.to_long())
    np.testing.assert_allclose(ours.estimate, theirs.estimate, atol=1e-9)


def test_a_description_counts_as_the_long_layout_does():
    data = build(*tables(300))
    pd.testing.assert_frame_equal(
        data.describe().alternatives, data.to_long().describe().alternatives
    )
    assert "rows if expanded" in str(data.describe())


def test_a_saved_result_predicts_from_factors(tmp_path):
    data = build(*tables(300))
    result = fit(MODELS["regions"], data)
    again = load_result(result.save(tmp_path / "moves.json"))
    pd.testing.assert_frame_equal(again.expected_choices(data), result.expected_choices())


def test_too_many_rows_are_refused(monkeypatch):
    data = build(*tables(300))
    result = fit(MODELS["multinomial"], data)
    monkeypatch.setattr("estimation.choice.result._MOST_ROWS", 1_000)
    with pytest.raises(EstimationError, match=r"predict\(\) would lay out 2,400 rows"):
        result.predict()


def bad_tables(change):
    people, alternatives, pairs = tables(60)
    return change(people, alternatives, pairs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, a, d: (p.assign(took=p["home"]), a, d), "was not offered there"),
        (lambda p, a, d: (p.assign(took="p9"), a, d), "chose 'p9', which is not among"),
        (lambda p, a, d: (p, a.iloc[1:], d), "origin 'p0' is not among the alternatives"),
        (lambda p, a, d: (p, pd.concat([a, a.iloc[:1]]), d), r"repeated rows \(first: p0\)"),
        (lambda p, a, d: (p, a, d.iloc[1:]), r"Staying needs a row \(home, 'stay'\)"),
        (lambda p, a, d: (p, a, d.drop(index=1)), r"no row for 1 pairs \(first: p0 to p1\)"),
        (lambda p, a, d: (p.assign(wage=1.0), a, d), "'wage' stands in choosers= and in"),
        (lambda p, a, d: (p, a.assign(distance=1.0), d), "'distance' stands in alternatives="),
        (lambda p, a, d: (p.assign(home=None), a, d), "'home' of choosers= is missing in 60"),
        (lambda p, a, d: (p.assign(id=7), a, d), "id 7 stands twice"),
        (lambda p, a, d: (p.assign(w=-1.0), a, d), "weights must be finite"),
        (lambda p, a, d: (p, a.rename(columns={"place": "x"}), d), "has no column 'place'"),
    ],
)
def test_tables_that_do_not_fit_together(change, message):
    with pytest.raises(DataError, match=message):
        build(*bad_tables(change))


@pytest.mark.parametrize("strict", [True, False])
def test_a_missing_decision_maker_is_refused(strict):
    people, alternatives, pairs = tables()
    people["who"] = pd.Series(["a", None] * len(people))[: len(people)]
    with pytest.raises(DataError, match=r"panel: case 101 .* must name it"):
        fit(
            MultinomialLogit("wage | 0"),
            build(people, alternatives, pairs, panel="who", strict=strict),
        )
    with pytest.raises(DataError, match="'who' names no decision maker in"):
        decision_makers(people["who"])


def test_pairs_need_an_origin():
    people, alternatives, pairs = tables(60)
    with pytest.raises(SpecificationError, match="need origin="):
        ChoiceData.from_factors(people, alternatives, pairs, alternative="place")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MultinomialLogit("log(wage - age) | 0"), "mixes the chooser's 'age' and the place's"),
        (MultinomialLogit("wage | coast"), "varies within the case"),
        (MultinomialLogit("wage | 0", offset="age"), "varies by chooser"),
    ],
)
def test_formulas_that_would_need_every_pair_of_chooser_and_place(model, message):
    with pytest.raises(SpecificationError, match=message):
        specify(model, build(*tables(60)))


def test_a_part_that_is_not_finite_names_the_table():
    people, alternatives, pairs = tables(60)
    data = build(people.assign(age=np.nan), alternatives, pairs)
    with pytest.raises(DataError, match="choosers="):
        specify(MODELS["multinomial"], data)


def test_a_search_begun_on_some_choosers_ends_where_it_would_have(monkeypatch):
    data = build(*tables(2_000))
    plain = fit(MODELS["move or stay"], data)
    monkeypatch.setattr("estimation.choice.starting._MANY", 500)
    begun = fit(MODELS["move or stay"], data)
    np.testing.assert_allclose(begun.estimate, plain.estimate, rtol=0, atol=1e-8)
    assert begun.optimum.iterations[0].llf != plain.optimum.iterations[0].llf
