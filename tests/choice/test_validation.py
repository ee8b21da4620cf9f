"""Scores, shares and cross-validation."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.choices.scenario_data import keep_cases
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit
from estimation.choice.validation import cross_validate, validate

MODEL = MultinomialLogit("gc + ttme | hinc", base="car")


@pytest.fixture(scope="module")
def result(travel_mode):
    return fit(MODEL, travel_mode)


def brute(result, data):
    """Scores case by case."""
    P = result.predict(data)["probability"].to_numpy()
    rows = []
    for n in range(data.n_cases):
        at = slice(data.offsets[n], data.offsets[n + 1])
        p, k = P[at], int(data.chosen[n] - data.offsets[n])
        hit = (p[k] == p.max()) / (p == p.max()).sum()
        rows.append((np.log(p[k]), ((p - np.eye(len(p))[k]) ** 2).sum(), hit))
    return np.array(rows)


def test_scores_in_the_sample(result, travel_mode):
    found = validate(result)
    np.testing.assert_allclose(found.cases, brute(result, travel_mode), rtol=1e-12)
    table = found.table
    assert table["log-likelihood"] == pytest.approx(result.llf, rel=1e-12)
    assert table["McFadden R² (equal shares)"] == pytest.approx(result.prsquared, rel=1e-12)
    adjusted = 1 - (result.llf - result.df_model) / result.llnull
    assert table["adjusted McFadden R²"] == pytest.approx(adjusted, rel=1e-12)
    constants = 1 - result.llf / result.llconstants
    assert table["McFadden R² (constants)"] == pytest.approx(constants, rel=1e-10)
    assert table["mean hit"] == found.cases["hit"].mean()
    # A model with constants reproduces the shares.
    np.testing.assert_allclose(found.shares["difference"], 0, atol=1e-9)
    assert found.shares["observed"].to_dict() == pytest.approx(
        {"air": 58 / 210, "train": 63 / 210, "bus": 30 / 210, "car": 59 / 210}
    )
    assert "mean brier" in str(found)


def test_scores_of_other_cases_and_weights(result, travel_mode):
    weights = 1.0 + np.arange(210) % 4
    table = travel_mode.table.assign(w=np.repeat(weights, 4))
    weighted = ChoiceData.from_long(table, "individual", "mode", "choice", weights="w")
    half = keep_cases(weighted, np.arange(100))
    found = validate(result, half)
    scores = brute(result, half)
    want = np.average(scores, axis=0, weights=weights[:100])
    got = found.table[["mean log", "mean brier", "mean hit"]]
    np.testing.assert_allclose(got, want, rtol=1e-12)
    assert found.table["log-likelihood"] == pytest.approx(weights[:100] @ scores[:, 0])
    repeated = keep_cases(travel_mode, np.repeat(np.arange(100), weights[:100].astype(int)))
    pd.testing.assert_series_equal(
        found.shares["predicted"], validate(result, repeated).shares["predicted"]
    )


def test_ragged_sets(swissmetro):
    some = keep_cases(swissmetro, np.arange(0, swissmetro.n_cases, 20))
    result = fit(MultinomialLogit("time + cost", base="sm"), some)
    assert len(np.unique(some.set_sizes)) > 1
    np.testing.assert_allclose(validate(result).cases, brute(result, some), rtol=1e-12)


def test_ties_are_hits_in_part(travel_mode):
    result = fit(MultinomialLogit("gc | 0"), travel_mode)
    flat = replace(result, theta=np.zeros(1), estimate=np.zeros(1))
    found = validate(flat)
    assert (found.cases["hit"] == 0.25).all()
    assert found.table["mean brier"] == pytest.approx(0.75)
    assert found.table["McFadden R² (equal shares)"] == pytest.approx(0, abs=1e-12)


def test_the_sampling_error_of_a_share(result, travel_mode):
    """The spread of simulated shares, were the model true."""
    rng = np.random.default_rng(2)
    P = result.predict()["probability"].to_numpy().reshape(-1, 4)
    draws = (rng.random((2_000, 210, 1)) > P.cumsum(axis=1)).sum(axis=2)
    names = travel_mode.alternatives
    for j in range(4):
        name = names[int(travel_mode.alternative[j])]
        spread = (draws == j).mean(axis=1).std()
        assert validate(result).shares.loc[name, "sampling error"] == pytest.approx(
            spread, rel=0.06
        )


def test_cross_validation_predicts_each_case_by_the_others(travel_mode):
    found = cross_validate(MODEL, travel_mode, folds=3, seed=4)
    fold = found.cases["fold"].to_numpy()
    assert np.bincount(fold).tolist() == [0, 70, 70, 70]
    for k in (1, 2, 3):
        others = fit(MODEL, keep_cases(travel_mode, fold != k))
        pd.testing.assert_series_equal(found.params[k], others.params, check_names=False)
        left_out = keep_cases(travel_mode, fold == k)
        np.testing.assert_allclose(
            found.cases.loc[left_out.case_ids, ["log", "brier", "hit"]],
            brute(others, left_out),
            rtol=1e-9,
        )
        want = validate(others, left_out).table
        assert found.table.loc[k, "log"] == pytest.approx(want["mean log"])
        within = validate(others).table["mean brier"]
        assert found.table.loc[k, "brier within"] == pytest.approx(within)
    assert found.table.loc["all", "log"] == pytest.approx(found.cases["log"].mean())
    assert found.table.loc["all", "log"] < found.table.loc["all", "log within"]
    assert "seed 4" in str(found)


def test_the_partition_depends_on_the_seed_alone(travel_mode):
    one = cross_validate(MODEL, travel_mode, folds=3, seed=1)
    again = cross_validate(MODEL, travel_mode, folds=3, seed=1, workers=2)
    other = cross_validate(MODEL, travel_mode, folds=3, seed=2)
    pd.testing.assert_frame_equal(one.table, again.table)
    assert (one.cases["fold"] != other.cases["fold"]).any()
    turned = keep_cases(travel_mode, np.arange(210)[::-1])
    back = cross_validate(MODEL, turned, folds=3, seed=1)
    pd.testing.assert_series_equal(back.cases["fold"].sort_index(), one.cases["fold"].sort_index())


def test_decision_makers_stay_together(swissmetro):
    some = keep_cases(swissmetro, np.arange(900))
    seen = []
    found = cross_validate(
        MultinomialLogit("time + cost", base="sm"), some, folds=5, progress=seen.append
    )
    people = pd.Series(some.table["ID"].to_numpy()[some.offsets[:-1]], index=some.case_ids)
    assert (found.cases["fold"].groupby(people.to_numpy()).nunique() == 1).all()
    assert sorted(seen) == [1, 2, 3, 4, 5]
    assert found.by == "ID"
    every = keep_cases(swissmetro, np.arange(0, swissmetro.n_cases, 8))
    model = MultinomialLogit("time + cost", base="sm")
    other = cross_validate(model, every, folds=2, groups="PURPOSE")
    purpose = every.table["PURPOSE"].to_numpy()[every.offsets[:-1]]
    assert other.table["cases"].iloc[0] in np.bincount(purpose)
    assert other.by == "PURPOSE"


def test_a_better_model_scores_better_out_of_sample(travel_mode):
    nested = NestedLogit("gc + ttme | hinc", {"ground": ["train", "bus", "car"]}, base="car")
    plain = cross_validate(MultinomialLogit("gc", base="car"), travel_mode, folds=3)
    scores = [cross_validate(model, travel_mode, folds=3).table for model in (MODEL, nested)]
    for table in scores:
        assert table.loc["all", "log"] > plain.table.loc["all", "log"]
        assert table.loc["all", "brier"] < plain.table.loc["all", "brier"]


@pytest.mark.parametrize("folds", [1, 211])
def test_folds_must_hold_cases(travel_mode, folds):
    with pytest.raises(SpecificationError, match=r"at least 2 and at most the 210 groups"):
        cross_validate(MODEL, travel_mode, folds=folds)


def test_a_fold_that_cannot_be_fitted_says_why(travel_mode):
    rare = np.where(travel_mode.table["individual"] == 7, "rare", "common")
    data = ChoiceData.from_long(travel_mode.table.assign(kind=rare), "individual", "mode", "choice")
    with pytest.raises(EstimationError, match=r"do not hold what ttme:kind\[rare\]") as error:
        cross_validate(MultinomialLogit("gc + ttme:kind | hinc", base="car"), data, folds=3)
    assert "groups=, may help" in str(error.value)


def test_choices_must_be_known(result, travel_mode):
    unknown = ChoiceData.from_long(travel_mode.table, "individual", "mode")
    with pytest.raises(DataError, match=r"validate\(\) needs a known choice"):
        validate(result, unknown)
    with pytest.raises(DataError, match=r"cross_validate\(\) needs a known choice"):
        cross_validate(MODEL, unknown)
