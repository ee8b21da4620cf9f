import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams, normal, philox, stream_key, uniform

# kat_vectors of the Random123 distribution, philox4x32 with 10 rounds: counter, key, answer.
KNOWN = [
    ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (" ".join(["ffffffff"] * 4), "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


STORED = [0.7522477983866996, 0.47815055313124166, 0.5516203318742433]


def words(text):
    return [np.uint64(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_published_answers(counter, key, answer):
    assert [int(w) for w in philox(*words(counter), *words(key))] == [int(w) for w in words(answer)]


def test_streams_keep_their_values_across_releases():
    draws = Streams(seed=1, replicate=0).uniform("displacement", np.arange(3), 7)
    assert_allclose(draws, STORED, rtol=0, atol=0)


def test_uniforms_are_uniform_and_open():
    draws = uniform(stream_key(3, 0, "u"), np.arange(400_000), 5)
    assert draws.min() > 0
    assert draws.max() < 1
    assert stats.kstest(draws, "uniform").pvalue > 1e-4
    counts = np.bincount((draws * 256).astype(int), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_normals_are_normal():
    draws = normal(stream_key(3, 0, "n"), np.arange(200_000), 0)
    assert stats.kstest(draws, "norm").pvalue > 1e-4


@pytest.mark.parametrize(
    "other",
    [
        lambda ids: Streams(1, 0).uniform("a", ids + 1, 0),
        lambda ids: Streams(1, 0).uniform("a", ids, 1),
        lambda ids: Streams(1, 0).uniform("b", ids, 0),
        lambda ids: Streams(1, 1).uniform("a", ids, 0),
        lambda ids: Streams(2, 0).uniform("a", ids, 0),
    ],
    ids=["id", "month", "stream", "replicate", "seed"],
)
def test_neighbouring_keys_are_independent(other):
    ids = np.arange(300_000)
    x, y = Streams(1, 0).uniform("a", ids, 0), other(ids)
    assert abs(np.corrcoef(x, y)[0, 1]) < 5 / np.sqrt(len(ids))
    table = np.histogram2d(x, y, bins=16, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(table.ravel()).pvalue > 1e-4


def test_one_agents_months_are_uniform():
    key = stream_key(1, 0, "months")
    draws = np.array([uniform(key, np.array([12]), t)[0] for t in range(4000)])
    assert stats.kstest(draws, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 5 / np.sqrt(len(draws))


def test_sorting_or_dropping_agents_changes_nobodys_draw():
    ids = np.arange(10_000)
    draws = Streams(1).uniform("a", ids, 3)
    order = np.random.default_rng(0).permutation(ids)
    assert_array_equal(Streams(1).uniform("a", order, 3), draws[order])
    assert_array_equal(Streams(1).uniform("a", ids[::7], 3), draws[::7])


def test_ids_beyond_32_bits_do_not_collide():
    ids = np.array([5, 5 + 2**32])
    draws = Streams(1).uniform("a", ids, 0)
    assert draws[0] != draws[1]


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1"])
def test_a_seed_that_is_no_count_is_refused(seed):
    with pytest.raises(SpecificationError, match="the seed is"):
        stream_key(seed, 0, "a")
