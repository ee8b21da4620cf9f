import numpy as np
import pytest
from scipy import stats

from choicemodels.nation.counts import binomial_counts, poisson_counts

uniforms = (np.arange(2_000) + 0.5) / 2_000


@pytest.mark.parametrize(("trials", "chance"), [(1, 0.3), (20, 0.5), (40, 0.97), (300, 0.02)])
def test_small_binomial_counts_are_exact_quantiles(trials, chance):
    counts = binomial_counts(uniforms, np.full(2_000, trials), np.full(2_000, chance))
    np.testing.assert_array_equal(counts, stats.binom.ppf(uniforms, trials, chance))


def test_large_binomial_counts_have_mean_and_variance():
    counts = binomial_counts(uniforms, np.full(2_000, 1_400), np.full(2_000, 0.13))
    assert counts.mean() == pytest.approx(182, abs=0.05)
    assert counts.std() == pytest.approx(np.sqrt(1_400 * 0.13 * 0.87), rel=0.01)


def test_certain_and_impossible_events():
    n = np.full(3, 500.0)
    np.testing.assert_array_equal(binomial_counts(uniforms[[0, 9, -1]], n, np.ones(3)), n)
    np.testing.assert_array_equal(binomial_counts(uniforms[[0, 9, -1]], n, np.zeros(3)), 0)


@pytest.mark.parametrize("mean", [0.0, 0.2, 4.0, 90.0])
def test_small_poisson_counts_are_exact_quantiles(mean):
    counts = poisson_counts(uniforms, np.full(2_000, mean))
    np.testing.assert_array_equal(counts, np.maximum(stats.poisson.ppf(uniforms, mean), 0))


def test_large_poisson_counts_have_mean_and_variance():
    counts = poisson_counts(uniforms, np.full(2_000, 2_500.0))
    assert counts.mean() == pytest.approx(2_500, abs=0.1)
    assert counts.std() == pytest.approx(50, rel=0.01)


def test_counts_end_where_a_uniform_is_next_to_one():
    last = np.array([1 - 2.0**-53])
    assert poisson_counts(last, np.array([3.0]))[0] < 60
    assert binomial_counts(last, np.array([30.0]), np.array([0.4]))[0] <= 30
