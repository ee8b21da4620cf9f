from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest, spearmanr

from choicemodels.errors import DataError, SpecificationError
from choicemodels.keyed_random import Streams
from microsim import synthesize
from microsim.assumptions.finance import FinanceParameters
from microsim.assumptions.synthesis import SynthesisParameters
from microsim.mobility.variables import PlaceColumns
from microsim.parameters import Parameters
from microsim.people.finance import finance_scores

SIZE = {"workers": 40_000, "firms": 1_000, "metros": 20, "seed": 5}
IDS = np.arange(100_000)
UPPER = np.triu_indices(4, 1)


@pytest.fixture(scope="module")
def people():
    return synthesize(**SIZE)


def test_scores_are_normal_with_the_rank_correlations_assumed():
    assumed = FinanceParameters()
    scores = finance_scores(IDS, Streams(1), assumed)
    assert_allclose(spearmanr(scores).statistic[UPPER], assumed.rank_correlations, atol=0.012)
    for score in scores.T:
        assert kstest(score, "norm").pvalue > 0.001


def test_savings_are_drawn_as_if_there_were_no_copula():
    streams = Streams(1)
    scores = finance_scores(IDS, streams, FinanceParameters())
    assert_array_equal(scores[:, 0], streams.normal("synthesis: savings", IDS))


def test_without_correlations_every_score_is_its_own_draw():
    streams, names = Streams(1), ("savings", "debt", "home equity", "credit score")
    scores = finance_scores(IDS, streams, FinanceParameters(rank_correlations=(0.0,) * 6))
    for name, score in zip(names, scores.T, strict=True):
        assert_array_equal(score, streams.normal(f"synthesis: {name}", IDS))


def test_marginal_laws_are_met(people):
    gap = people.check().set_index(["margin", "where"])["difference"].abs()
    # Scores are whole numbers, so a band's edge may take one or two workers more.
    assert gap["credit share"].max() < 1e-4
    assert gap["debtor share"].max() < 0.01
    assert gap["median savings, years of wage at 40"].iloc[0] < 0.005
    assert gap["median debt, years of wage at 40"].iloc[0] < 0.005
    w, assumed = people.workers, SynthesisParameters().finance
    median = assumed.debt_median * w.wage * np.exp(assumed.debt_age_slope * (w.age - 40))
    owing = w.debt > 0
    residual = np.log(w.debt[owing] / 100 / median[owing]) / assumed.debt_sigma
    assert kstest(residual, "norm").pvalue > 0.001


def test_owners_homes_have_the_metros_median_value(people):
    w = people.workers
    check = people.check().set_index("margin").loc["median home value"]
    assert (check["realized"] / check["target"] - 1).abs().max() < 1e-4
    assert (w.home_equity[~w.homeowner] == 0).all()
    # Equity is within the value just where its upkeep is within the cost.
    assumed = SynthesisParameters().finance
    owned = w.homeowner
    highest = 12 * w.housing_cost[owned].astype(float) / assumed.upkeep
    assert (w.home_equity[owned] / 100 <= highest * (1 + 1e-5)).all()


def test_finances_are_joint(people):
    w = people.workers.to_frame()
    rank = w.corr("spearman", numeric_only=True)
    assert rank.loc["credit_score", "savings"] > 0.35
    assert rank.loc["credit_score", "age"] > 0.25
    assert rank.loc["home_equity", "age"] > 0.25
    assert rank.loc["debt", "wage"] > 0.1
    assert rank.loc["housing_cost", "wage"] > 0.2


def test_what_is_assumed_of_finances_changes_nothing_else(people):
    assumed = SynthesisParameters(finance=FinanceParameters(rank_correlations=(0.0,) * 6))
    other = synthesize(**SIZE, parameters=assumed).workers
    changed = {
        name
        for name, values in people.workers.columns().items()
        if not np.array_equal(values, getattr(other, name))
    }
    assert changed == {"debt", "home_equity", "credit_score", "housing_cost"}


def test_nobody_owes_where_nobody_is_assumed_to():
    small = {"workers": 400, "firms": 20, "metros": 4}
    for share in (0.0, 1.0):
        assumed = SynthesisParameters(finance=FinanceParameters(debt_share=share))
        debt = synthesize(**small, parameters=assumed).workers.debt
        assert np.mean(debt > 0) == share


def test_rents_of_the_months_are_those_of_the_population():
    small = {"workers": 400, "firms": 20, "metros": 4}
    for rent_yield in (0.04, 0.08):
        assumed = SynthesisParameters(finance=FinanceParameters(rent_yield=rent_yield))
        population = synthesize(**small, parameters=assumed)
        columns = PlaceColumns.at_start(population, Parameters())
        assert_allclose(columns.metro["rent"], population.metros.home_value * rent_yield / 12)


def test_impossible_correlations_and_scores_are_refused(people):
    with pytest.raises(SpecificationError, match="no four quantities can have these rank"):
        FinanceParameters(rank_correlations=(0.9, 0.9, 0.0, -0.9, 0.0, 0.0))
    w = people.workers
    with pytest.raises(DataError, match="'credit_score' of the workers is 200"):
        replace(w, credit_score=np.full(len(w), 200))
    with pytest.raises(DataError, match="'debt' of the workers is -5"):
        replace(w, debt=np.full(len(w), -5))
