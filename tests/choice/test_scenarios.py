"""Data as they would be, alternatives nobody could choose yet, and scenarios side by side."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.choices.scenario_data import (
    add_alternative,
    average_case,
    change,
    drop_alternatives,
    keep_cases,
)
from choicemodels.errors import DataError, SpecificationError
from estimation import fit, load_result
from estimation.choice.adjusted import with_alternatives
from estimation.choice.scenarios import compare
from estimation.choice.welfare import surplus

PUBLISHED = Path(__file__).parents[1] / "published"
MODES = ["car", "train", "air"]


@pytest.fixture(scope="module")
def canada(mode_canada):
    return fit(MultinomialLogit("cost + freq | income | time"), mode_canada, cov="hessian")


@pytest.fixture(scope="module")
def generic(mode_canada):
    return fit(MultinomialLogit("cost + freq + time | 0"), mode_canada)


@pytest.fixture(scope="module")
def nested(mode_canada):
    model = NestedLogit("cost + freq + time | 0", {"public": ["train", "air"]})
    return fit(model, mode_canada)


# Data as they would be


def test_change_gives_new_values_to_some_rows(mode_canada):
    new = change(
        mode_canada, {"time": "time * 0.8", "cost": 5}, alternatives="train", where="income > 50"
    )
    table, old = new.table, mode_canada.table
    rows = (old["alt"] == "train") & (old["income"] > 50)
    assert 0 < rows.sum() < (old["alt"] == "train").sum()
    np.testing.assert_array_equal(table["time"][rows], old["time"][rows] * 0.8)
    assert (table["cost"][rows] == 5).all()
    pd.testing.assert_frame_equal(table[~rows], old[~rows], check_dtype=False)
    assert new.chosen is mode_canada.chosen
    assert old["cost"].nunique() > 1


def test_changes_are_of_the_columns_as_they_were(mode_canada):
    new = change(mode_canada, {"ivt": "ovt", "ovt": "ivt", "speed": "dist / (ivt + 1)"})
    old = mode_canada.table
    np.testing.assert_array_equal(new.table["ivt"], old["ovt"])
    np.testing.assert_array_equal(new.table["ovt"], old["ivt"])
    np.testing.assert_allclose(new.table["speed"], old["dist"] / (old["ivt"] + 1))


def test_dropped_alternatives_leave_choice_sets_and_choices(mode_canada):
    everywhere = drop_alternatives(mode_canada, "air")
    assert everywhere.alternatives == ("car", "train")
    assert (everywhere.set_sizes == 2).all()
    flew = mode_canada.table["alt"].to_numpy()[mode_canada.chosen] == "air"
    np.testing.assert_array_equal(everywhere.chosen < 0, flew)
    stayed = keep_cases(everywhere, ~flew)
    assert stayed.has_choices
    rebuilt = ChoiceData.from_long(
        stayed.table, "case", "alt", "choice", alternatives=stayed.alternatives
    )
    for name in ("offsets", "alternative", "chosen", "case_ids", "weights"):
        np.testing.assert_array_equal(getattr(rebuilt, name), getattr(stayed, name))
    somewhere = drop_alternatives(mode_canada, ["air"], where="urban == 1")
    assert somewhere.alternatives == mode_canada.alternatives
    urban = mode_canada.table["urban"].to_numpy()[::3] == 1
    np.testing.assert_array_equal(somewhere.set_sizes, np.where(urban, 2, 3))


def test_kept_cases_may_be_turned_and_repeated(mode_canada):
    cases = np.array([7, 3, 3, 0])
    some = keep_cases(mode_canada, cases)
    assert some.case_ids.tolist() == mode_canada.case_ids[cases].tolist()
    assert some.table["case"].tolist() == np.repeat(mode_canada.case_ids[cases], 3).tolist()
    assert (some.table["choice"].to_numpy()[some.chosen] == 1).all()
    assert (some.chosen // 3).tolist() == [0, 1, 2, 3]


def test_an_added_alternative_copies_one(mode_canada):
    new = add_alternative(
        mode_canada, "maglev", like="train", values={"time": "time / 2"}, where="dist > 300"
    )
    far = mode_canada.table["dist"].to_numpy()[::3] > 300
    assert 0 < far.sum() < len(far)
    assert new.alternatives == ("car", "train", "air", "maglev")
    np.testing.assert_array_equal(new.set_sizes, np.where(far, 4, 3))
    table = new.table.set_index(["case", "alt"])
    train = mode_canada.table[mode_canada.table["alt"] == "train"].set_index("case")[far]
    maglev = table.xs("maglev", level="alt")
    np.testing.assert_array_equal(maglev["time"], train["time"] / 2)
    np.testing.assert_array_equal(maglev["cost"], train["cost"])
    old = new.table[new.table["alt"] != "maglev"].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, mode_canada.table, check_dtype=False)
    chosen = new.table["alt"].to_numpy()[new.chosen]
    want = mode_canada.table["alt"].to_numpy()[mode_canada.chosen]
    np.testing.assert_array_equal(chosen, want)


def test_the_average_case_has_weighted_means(swissmetro):
    case = average_case(swissmetro)
    assert case.n_cases == 1
    table = swissmetro.table
    want = table.groupby("alternative", observed=True)["cost"].mean()
    np.testing.assert_allclose(case.table["cost"], want[case.table["alternative"]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: change(d, {"case": 1}), SpecificationError, "'case' says which case"),
        (lambda d: change(d, {"alt": "time"}), SpecificationError, "'alt' says which case"),
        (lambda d: change(d, {"tme": 1}, alternatives="car"), SpecificationError, "mean 'time'"),
        (lambda d: change(d, {"time": "tme"}), DataError, "needs the variable 'tme'"),
        (lambda d: change(d, {"time": [1]}), SpecificationError, "'time' is a list; write a"),
        (lambda d: change(d, {"time": "log(0 * time)"}), DataError, "not finite in 8,307 rows"),
        (lambda d: change(d, {"time": 1}, alternatives="bus"), SpecificationError, "'bus'"),
        (lambda d: change(d, {"time": 1}, where="log(-time)"), DataError, "where='log"),
        (lambda d: drop_alternatives(d, MODES), DataError, "2,769 cases would be left without"),
        (lambda d: keep_cases(d, np.zeros(2769, bool)), DataError, "no case is left"),
        (lambda d: keep_cases(d, [True, False]), DataError, "2 flags for 2,769 cases"),
        (lambda d: keep_cases(d, [0.0, 1.0]), DataError, "'0.0', which is neither a position"),
        (lambda d: keep_cases(d, [2769]), DataError, "position 2769"),
        (lambda d: keep_cases(d, [-1]), DataError, "position -1"),
        (lambda d: keep_cases(d, [True, None]), DataError, "missing in 1 places"),
        (lambda d: change(d, {"time": 1}, alternatives=4), SpecificationError, "'4'"),
        (lambda d: drop_alternatives(d, 4), SpecificationError, "'4'"),
        (lambda d: add_alternative(d, "air", like="car"), SpecificationError, "'air' already"),
        (lambda d: add_alternative(d, "b", like="c"), SpecificationError, "no alternative 'c'"),
        (lambda d: add_alternative(d, "b", like="car", where="dist < 0"), DataError, "no case"),
    ],
)
def test_mistakes_about_data(mode_canada, call, error, message):
    with pytest.raises(error, match=message):
        call(mode_canada)


def test_flags_and_positions_of_any_kind_keep_the_same_cases(mode_canada):
    flags = pd.Series(np.arange(mode_canada.n_cases) < 5)
    want = mode_canada.case_ids[:5].tolist()
    kinds = (flags, flags.astype("boolean"), flags.astype(object), flags.tolist(), range(5))
    for cases in (*kinds, pd.Series(range(5), index=[9, 8, 7, 6, 5])):
        assert keep_cases(mode_canada, cases).case_ids.tolist() == want


# Alternatives that the model was not fitted with


def shares(result, data):
    P = result.predict(data)
    return P.groupby("alt")["probability"].sum() / data.n_cases


def test_a_copy_takes_its_part_of_everybody_in_a_multinomial_logit(generic, mode_canada):
    grown = with_alternatives(generic, ["maglev"])
    data = add_alternative(mode_canada, "maglev", like="train")
    P = grown.predict(data).pivot(index="case", columns="alt", values="probability")
    np.testing.assert_allclose(P["maglev"], P["train"], rtol=1e-14)
    old = generic.predict().pivot(index="case", columns="alt", values="probability")
    np.testing.assert_allclose(P["car"] / P["air"], old["car"] / old["air"], rtol=1e-12)
    pd.testing.assert_series_equal(grown.bse, generic.bse)
    pd.testing.assert_frame_equal(grown.predict(), generic.predict())
    assert "maglev" in grown.notes[-1]


def test_the_blue_bus_joins_the_nest_of_the_red_one(nested, mode_canada):
    data = add_alternative(mode_canada, "maglev", like="train")
    lam = nested.params["lambda:public"]
    inside = with_alternatives(nested, ["maglev"], nests={"maglev": "public"})
    P = inside.predict(data).pivot(index="case", columns="alt", values="probability")
    old = nested.predict().pivot(index="case", columns="alt", values="probability")
    # The nest's inclusive value grows by what a copy of the train adds to it.
    within = old["train"] / (old["train"] + old["air"])
    grown = (1 - old["car"]) * (1 + within) ** lam
    np.testing.assert_allclose(P["car"], old["car"] / (old["car"] + grown), rtol=1e-12)
    alone = with_alternatives(nested, ["maglev"], nests={"maglev": None})
    P = alone.predict(data).pivot(index="case", columns="alt", values="probability")
    np.testing.assert_allclose(P["air"] / P["car"], old["air"] / old["car"], rtol=1e-12)
    like = with_alternatives(nested, ["maglev"], like={"maglev": "train"})
    pd.testing.assert_frame_equal(like.predict(data), inside.predict(data))


def test_like_shares_the_coefficients_of_an_alternative(canada, mode_canada):
    grown = with_alternatives(canada, ["maglev"], like={"maglev": "train"})
    data = add_alternative(mode_canada, "maglev", like="train")
    P = grown.predict(data).pivot(index="case", columns="alt", values="probability")
    np.testing.assert_allclose(P["maglev"], P["train"], rtol=1e-14)
    better = with_alternatives(
        canada, ["maglev"], like={"maglev": "train"}, constants={"maglev": 0.5}
    )
    Q = better.predict(data).pivot(index="case", columns="alt", values="probability")
    np.testing.assert_allclose(Q["maglev"] / Q["train"], np.exp(0.5), rtol=1e-12)


def test_a_model_with_constants_asks_for_one(mode_canada):
    result = fit(MultinomialLogit("cost + freq + time"), mode_canada)
    data = add_alternative(mode_canada, "maglev", like="car")
    same = with_alternatives(result, ["maglev"], constants={"maglev": 0.0})
    P = same.predict(data).pivot(index="case", columns="alt", values="probability")
    np.testing.assert_allclose(P["maglev"], P["car"], rtol=1e-14)
    with pytest.raises(SpecificationError, match=r"a constant for each alternative, and none for"):
        with_alternatives(result, ["maglev"])


def test_destinations_are_exchangeable_beside_a_place_to_stay():
    """Terms of "stay" alone do not keep a new destination out."""
    rng = np.random.default_rng(5)
    places = ["stay", "A", "B", "C"]
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(300), 4),
            "place": places * 300,
            "wage": rng.normal(size=1200),
            "age": np.repeat(rng.uniform(20, 60, 300), 4),
            "jobs": rng.uniform(1, 5, 1200),
            "chosen": rng.multinomial(1, [0.55, 0.15, 0.15, 0.15], 300).ravel(),
        }
    )
    data = ChoiceData.from_long(table, "case", "place", "chosen", alternatives=places)
    result = fit(
        NestedLogit.move_stay(
            "wage | 0", destinations=["A", "B", "C"], specific={"stay": "1 + age"}, size="jobs",
            lambdas={"move": 0.6},
        ),
        data,
    )  # fmt: skip
    new = add_alternative(data, "D", like="C", values={"jobs": "jobs * 2"})
    grown = with_alternatives(result, ["D"], nests={"D": "move"})
    P = grown.predict(new).pivot(index="case", columns="place", values="probability")
    np.testing.assert_allclose(P.sum(axis=1), 1)
    # Twice the jobs are worth log 2 within the nest, over its lambda.
    np.testing.assert_allclose(P["D"] / P["C"], 2 ** (1 / 0.6), rtol=1e-10)


def test_absorbed_constants_and_a_new_alternative(mode_canada):
    """As with explicit constants: shared, or said."""
    explicit = fit(MultinomialLogit("cost + freq + time"), mode_canada)
    absorbed = fit(MultinomialLogit("cost + freq + time | 0", constants="absorbed"), mode_canada)
    data = add_alternative(mode_canada, "maglev", like="train")
    for options in ({"like": {"maglev": "train"}}, {"constants": {"maglev": -0.5}}):
        P, Q = (
            with_alternatives(r, ["maglev"], **options).predict(data)["probability"]
            for r in (explicit, absorbed)
        )
        np.testing.assert_allclose(Q, P, rtol=1e-7)
    grown = with_alternatives(absorbed, ["maglev"], constants={"maglev": -0.5})
    assert grown.constants["maglev"] == -0.5
    assert "maglev" not in grown.constants_table().index
    with pytest.raises(SpecificationError, match=r"a constant for each alternative, and none for"):
        with_alternatives(absorbed, ["maglev"])


def test_the_terms_of_a_new_alternative_are_its_utility(canada):
    grown = with_alternatives(
        canada, ["maglev"], like={"maglev": "train"}, constants={"maglev": 0.5}
    )
    of_new = {t.name: t for t in grown.utility_terms() if "maglev" in (t.alternatives or ())}
    constants = [t.coefficient for t in of_new.values() if not t.factors]
    assert sorted(constants) == sorted([0.5, canada.params["(Intercept):train"]])
    assert of_new["time:train"].coefficient == canada.params["time:train"]


def test_a_grown_model_survives_a_file(canada, mode_canada, tmp_path):
    grown = with_alternatives(
        canada, ["maglev"], like={"maglev": "train"}, constants={"maglev": 0.5}
    )
    data = add_alternative(mode_canada, "maglev", like="train")
    back = load_result(grown.save(tmp_path / "grown.json"))
    pd.testing.assert_frame_equal(back.predict(data), grown.predict(data))
    pd.testing.assert_series_equal(back.with_cov("bhhh").bse, canada.with_cov("bhhh").bse)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": "maglev"}, "in a list, each once"),
        ({"names": []}, "in a list, each once"),
        ({"names": ["air"]}, "knows the alternative 'air' already"),
        ({"names": ["m"], "like": {"n": "air"}}, "like= names 'n'"),
        ({"names": ["m"], "like": {"m": "trian"}}, "did you mean 'train'"),
        ({"names": ["m"], "constants": {"n": 1.0}}, "constants= names 'n'"),
        ({"names": ["m"]}, "nothing says which nest 'm' belongs to"),
        ({"names": ["m"], "nests": {"m": "publc"}}, "did you mean 'public'"),
    ],
)
def test_mistakes_about_new_alternatives(nested, options, message):
    with pytest.raises(SpecificationError, match=message):
        with_alternatives(nested, **options)


def test_coefficients_of_its_own_must_be_said(canada):
    with pytest.raises(
        SpecificationError, match=r"for each alternative \(income:train, .*'maglev'"
    ):
        with_alternatives(canada, ["maglev"], constants={"maglev": 0.0})


def test_a_nest_of_one_takes_no_second(mode_canada):
    nests = {"fly": ["air"], "ground": ["car", "train"]}
    model = NestedLogit("cost + freq + time | 0", nests, lambdas={"ground": 0.7})
    result = fit(model, mode_canada)
    with pytest.raises(SpecificationError, match=r"the nest 'fly' had one member"):
        with_alternatives(result, ["jet"], nests={"jet": "fly"})
    with_alternatives(result, ["maglev"], nests={"maglev": "ground"})


# Scenarios side by side


@pytest.fixture(scope="module")
def comparison(canada, mode_canada):
    scenarios = {
        "today": mode_canada,
        "faster train": change(mode_canada, {"time": "time * 0.8"}, alternatives="train"),
        "no planes": drop_alternatives(mode_canada, "air"),
    }
    return compare(canada, scenarios, price="cost"), scenarios


def test_shares_of_mode_canada(comparison):
    want = tomllib.loads((PUBLISHED / "Croissant2020/mode_canada.toml").read_text("utf-8"))
    found = comparison[0].shares["share"]
    assert found["today"].to_dict() == pytest.approx(want["shares"]["observed"], abs=6e-8)
    assert found["faster train"].to_dict() == pytest.approx(
        want["shares"]["faster_train"], abs=6e-8
    )
    assert comparison[0].welfare.loc[("faster train", "all"), "mean"] == pytest.approx(
        want["surplus"]["mean"], abs=6e-5
    )
    assert found["no planes", "air"] == 0
    assert found["no planes"].sum() == pytest.approx(1)


def test_standard_errors_of_shares_and_changes(canada, comparison):
    """Against the closed form ``ds_j / dtheta = mean_n P_nj (x_nj - sum_k P_nk x_nk)``."""
    found, scenarios = comparison
    V = canada.cov_params().to_numpy()

    def slopes(data):
        likelihood = canada.parameters.over(data)
        X = likelihood.observations.design.X.T.reshape(data.n_cases, 3, -1)
        P = likelihood.probabilities(canada.theta)[0].reshape(-1, 3)
        mean = np.einsum("nj,njk->nk", P, X)
        G = np.einsum("nj,njk->jk", P, X - mean[:, None, :]) / data.n_cases
        return pd.DataFrame(G, index=data.table["alt"].iloc[:3]).loc[MODES].to_numpy()

    old, new = slopes(scenarios["today"]), slopes(scenarios["faster train"])
    se = np.sqrt(np.diag(new @ V @ new.T))
    np.testing.assert_allclose(found.shares.loc["faster train", "std err"], se, rtol=1e-8)
    se = np.sqrt(np.diag((new - old) @ V @ (new - old).T))
    np.testing.assert_allclose(found.changes.loc["faster train", "std err"], se, rtol=1e-7)
    change = found.shares["share"]["faster train"] - found.shares["share"]["today"]
    pd.testing.assert_series_equal(
        found.changes.loc["faster train", "change"], change, check_names=False
    )


def test_diversion_says_where_it_comes_from(comparison):
    found, _ = comparison
    ratios = found.diversion("faster train")
    assert list(ratios.index) == ["car", "air"]
    assert ratios["diversion of train"].sum() == pytest.approx(1)
    change = found.changes.loc["faster train", "change"]
    assert ratios.loc["car", "diversion of train"] == pytest.approx(
        -change["car"] / change["train"], rel=1e-12
    )
    # The two ratios sum to one whatever the parameters.
    assert ratios["std err"].iloc[0] == pytest.approx(ratios["std err"].iloc[1], rel=1e-6)
    gone = found.diversion("no planes", of="air")
    assert gone["diversion of air"].sum() == pytest.approx(1)


def test_the_delta_method_of_a_diversion(comparison):
    found, _ = comparison
    cells = found.cells.droplevel("group")
    G = found.estimates.jacobian[cells.get_level_values("scenario") == "faster train"]
    G = G - found.estimates.jacobian[cells.get_level_values("scenario") == "today"]
    change = found.changes.loc["faster train", "change"].to_numpy()
    spread = found.estimates.covariance

    def ratio(d):
        return -d[0] / d[1]

    h = 1e-6
    slope = [(ratio(change + h * e) - ratio(change - h * e)) / (2 * h) for e in np.eye(3)] @ G
    want = np.sqrt(slope @ spread @ slope)
    assert found.diversion("faster train")["std err"]["car"] == pytest.approx(want, rel=1e-6)


def test_groups_side_by_side(canada, mode_canada, comparison):
    _, scenarios = comparison
    by = compare(canada, scenarios, by="urban", marginal_utility="-cost")
    urban = mode_canada.table["urban"].to_numpy()[::3]
    counts = np.bincount(urban) / len(urban)
    want = comparison[0].shares["share"]
    means = (by.shares["share"].unstack("urban") @ counts).loc[want.index]
    pd.testing.assert_series_equal(means, want, check_names=False, rtol=1e-12)
    assert by.diversion("faster train", of="train").groupby("urban").sum().iloc[
        :, 0
    ].to_numpy() == pytest.approx(1)
    alone = surplus(canada, mode_canada, scenarios["no planes"], price="cost", by="urban")
    pd.testing.assert_frame_equal(by.welfare.loc["no planes"], alone.table, rtol=1e-6)


def test_a_new_alternative_among_scenarios(canada, mode_canada):
    grown = with_alternatives(canada, ["maglev"], like={"maglev": "train"})
    scenarios = {
        "with": add_alternative(mode_canada, "maglev", like="train"),
        "without": mode_canada,
    }
    found = compare(grown, scenarios, base="without")
    assert found.shares["share"]["without", "maglev"] == 0
    assert found.changes["change"]["with", "maglev"] == found.shares["share"]["with", "maglev"]
    text = str(found)
    assert "Changes from 'without'" in text
    assert "hessian, by the delta method" in text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"base": "tomorrow"}, SpecificationError, "base='tomorrow' is no scenario"),
        ({"by": "alt"}, DataError, "'alt' varies within the case"),
        ({"price": "cost", "marginal_utility": "-cost"}, SpecificationError, "give the column"),
    ],
)
def test_mistakes_of_comparisons(canada, comparison, options, error, message):
    with pytest.raises(error, match=message):
        compare(canada, comparison[1], **options)


def test_more_mistakes_of_comparisons(canada, comparison, mode_canada):
    found, _ = comparison
    with pytest.raises(SpecificationError, match="at least two scenarios"):
        compare(canada, {"today": mode_canada})
    with pytest.raises(SpecificationError, match="no scenario 'today'"):
        found.diversion("today")
    with pytest.raises(SpecificationError, match="no alternative 'bus'"):
        found.diversion("no planes", of="bus")
    same = compare(canada, {"a": mode_canada, "b": mode_canada})
    with pytest.raises(SpecificationError, match="the share of 'car' does not change in 'b'"):
        same.diversion("b", of="car")
    some = keep_cases(mode_canada, mode_canada.table["urban"].to_numpy()[::3] > 0)
    with pytest.raises(DataError, match=r"do not hold the same groups of 'urban' \(0 in one"):
        compare(canada, {"a": mode_canada, "b": some}, by="urban")
