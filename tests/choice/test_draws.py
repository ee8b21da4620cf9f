"""Quasi-random points: against scipy's, and what makes them what they are."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

from choicemodels.errors import SpecificationError
from choicemodels.mixed.distributions import DISTRIBUTIONS, moments, standardize
from choicemodels.mixed.draws import SEQUENCES, halton, standard_draws, uniform_draws


@pytest.mark.parametrize(("column", "base"), [(0, 2), (1, 3), (2, 5), (3, 7), (4, 11)])
def test_halton_without_permutations_is_scipys(column, base):
    want = qmc.Halton(5, scramble=False).random(1_000)[:, column]
    np.testing.assert_allclose(halton(1_000, base), want, rtol=0, atol=1e-15)


def test_permuted_digits_keep_every_interval_equally_full():
    points = halton(3**6, 3, np.random.default_rng(1))
    counts = np.bincount((points * 3**6).astype(int), minlength=3**6)
    assert (counts == 1).all()
    # The zeros that precede a number are exchanged too: the first point is not the origin.
    assert 0.01 < points[0] < 0.99
    assert np.abs(points - halton(3**6, 3)).max() > 0.1


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_points_belong_to_makers_by_order_and_seed(sequence):
    many = uniform_draws(sequence, 50, 3, 64, seed=5)
    few = uniform_draws(sequence, 20, 3, 64, seed=5)
    assert many.shape == (50, 3, 64)
    assert (many > 0).all()
    assert (many < 1).all()
    np.testing.assert_allclose(many[:20], few, rtol=0, atol=1e-15)
    assert np.abs(uniform_draws(sequence, 50, 3, 64, seed=6) - many).max() > 0.5


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_points_fill_the_cube_more_evenly_than_random_ones(sequence):
    points = uniform_draws(sequence, 16, 2, 128, seed=0)
    flat = points.transpose(0, 2, 1).reshape(-1, 2)
    assert np.abs(flat.mean(axis=0) - 0.5).max() < 2e-3
    assert np.abs(np.corrcoef(flat.T)[0, 1]) < 0.05
    within = points.std(axis=(1, 2)).std()
    assert within < np.random.default_rng(0).random(points.shape).std(axis=(1, 2)).std()


def test_a_latin_hypercube_has_one_point_in_every_slice():
    points = uniform_draws("mlhs", 7, 3, 40, seed=2)
    slices = np.sort((points * 40).astype(int), axis=2)
    assert (slices == np.arange(40)).all()
    steps = np.diff(np.sort(points, axis=2), axis=2)
    np.testing.assert_allclose(steps, 1 / 40, rtol=1e-12)


def test_scrambled_sobol_points_are_scipys():
    points = uniform_draws("sobol", 4, 2, 16, seed=3)
    sampler = qmc.Sobol(2, scramble=True, rng=np.random.default_rng(3))
    want = sampler.random(64).reshape(4, 16, 2).transpose(0, 2, 1)
    np.testing.assert_array_equal(points, want)


def test_a_sobol_sequence_that_is_too_short_is_refused():
    with pytest.raises(SpecificationError, match=r"more points than Sobol's.*'halton' or 'mlhs'"):
        uniform_draws("sobol", 2_000_000, 1, 1_000, seed=0)


LAWS = {
    "normal": stats.norm(0.4, 0.7),
    "lognormal": stats.lognorm(0.7, scale=np.exp(0.4)),
    "truncated": stats.truncnorm(-0.4 / 0.7, np.inf, 0.4, 0.7),
    "uniform": stats.uniform(0.4 - 0.7, 1.4),
    "triangular": stats.triang(0.5, 0.4 - 0.7, 1.4),
    "zbt": stats.triang(0.5, 0.0, 0.8),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_moments_are_scipys(name):
    law, sign = LAWS[name.removeprefix("-")], -1 if name.startswith("-") else 1
    got = moments(DISTRIBUTIONS[name], 0.4, 0.7)
    share = law.sf(0) if sign > 0 else law.cdf(0)
    want = (sign * law.mean(), sign * law.median(), law.std(), share)
    assert tuple(vars(got).values()) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("name", ["normal", "uniform", "triangular", "zbt"])
def test_standard_draws_follow_their_law(name):
    u = (np.arange(10_000) + 0.5) / 10_000
    draws = standardize(DISTRIBUTIONS[name], u)
    value = 0.4 * draws if name == "zbt" else 0.4 + 0.7 * draws
    np.testing.assert_allclose(value, LAWS[name].ppf(u), rtol=1e-9, atol=1e-9)


def test_each_dimension_follows_its_own_law():
    laws = [DISTRIBUTIONS["normal"], DISTRIBUTIONS["truncated"], DISTRIBUTIONS["uniform"]]
    draws = standard_draws(laws, "halton", 30, 200, 0)
    uniform = uniform_draws("halton", 30, 3, 200, 0)
    np.testing.assert_allclose(draws[:, 0], stats.norm.ppf(uniform[:, 0]), rtol=1e-12)
    np.testing.assert_array_equal(draws[:, 1], 1 - uniform[:, 1])
    np.testing.assert_array_equal(draws[:, 2], 2 * uniform[:, 2] - 1)


def test_the_compiled_normal_quantile_is_scipys():
    from choicemodels.mixed.normal_quantile import normal_quantile

    p = np.concatenate([np.logspace(-300, -1, 400), np.linspace(0.05, 0.95, 200)])
    p = np.concatenate([p, 1 - np.logspace(-15, -1, 100)])
    np.testing.assert_allclose([normal_quantile(x) for x in p], stats.norm.ppf(p), rtol=1e-13)
