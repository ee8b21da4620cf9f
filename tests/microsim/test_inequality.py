"""Measures of inequality and segregation: by hand, at their limits, and by brute force."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from choicemodels.errors import DataError
from microsim.results.inequality import dissimilarity, gini, rank_order_information, theil

RNG = np.random.default_rng(7)
INCOME = RNG.lognormal(10, 1, 400)
place = RNG.integers(0, 12, 400)


def test_the_gini_index_is_half_the_relative_mean_difference():
    gaps = np.abs(INCOME[:, None] - INCOME[None, :])
    by_hand = gaps.sum() / (400 * 399) / (2 * INCOME.mean())
    assert gini(INCOME) == pytest.approx(by_hand, rel=1e-12)
    assert gini(np.full(5, 3.0)) == pytest.approx(0, abs=1e-15)


def test_theil_splits_into_places_and_the_rest():
    split = theil(INCOME, place)
    assert split.total == pytest.approx(split.between + split.within, rel=1e-12)
    within = 0.0
    for j in range(12):
        mine = INCOME[place == j]
        relative = mine / mine.mean()
        within += mine.sum() / INCOME.sum() * (relative * np.log(relative)).mean()
    assert split.within == pytest.approx(within, rel=1e-12)
    assert theil(INCOME, np.arange(400)).share_between == pytest.approx(1)
    assert theil(INCOME, np.zeros(400, dtype=int)).share_between == pytest.approx(0, abs=1e-12)
    assert theil(np.full(400, 2.0), place).share_between == 0


def test_rank_order_information_by_brute_force():
    """The mean over thresholds of the two-group index, weighted by the thresholds' entropy."""

    def entropy(p):
        return 0.0 if p in (0, 1) else -(p * np.log2(p) + (1 - p) * np.log2(1 - p))

    rank = INCOME.argsort().argsort()
    top = bottom = 0.0
    for k in range(1, 100):
        below = rank < k * 4
        E = entropy(below.mean())
        H = 1 - sum(
            (place == j).mean() * entropy(below[place == j].mean()) / E for j in np.unique(place)
        )
        top, bottom = top + E * H, bottom + E
    assert rank_order_information(INCOME, place) == pytest.approx(top / bottom, rel=1e-12)


def test_rank_order_information_at_its_limits():
    sorted_places = np.arange(400) // 4
    assert rank_order_information(np.sort(INCOME), sorted_places) == pytest.approx(1)
    alike = np.tile([0, 1], 200)
    assert rank_order_information(np.repeat(INCOME[:200], 2), alike) == pytest.approx(0, abs=1e-4)
    assert_allclose(
        rank_order_information(INCOME, place), rank_order_information(np.log(INCOME), place)
    )


def test_dissimilarity_is_the_share_that_would_have_to_move():
    assert dissimilarity(np.array([10, 0]), np.array([0, 4])) == 1
    assert dissimilarity(np.array([10, 20]), np.array([1, 2])) == pytest.approx(0)
    assert dissimilarity(np.array([3, 1]), np.array([1, 1])) == 0.25


def test_a_measure_without_meaning_says_why():
    with pytest.raises(DataError, match="two or more positive incomes"):
        gini(np.array([0.0, 1.0]))
    with pytest.raises(DataError, match="the least of them missing"):
        theil(np.empty(0), np.empty(0, dtype=int))
    with pytest.raises(DataError, match="group without members"):
        dissimilarity(np.zeros(3), np.ones(3))
