"""The vectorized exponential against extended precision."""

import numpy as np
from numba import njit

from choicemodels.vector_exp import vector_exp


@njit
def over(x, out):
    for i in range(x.shape[0]):
        out[i] = vector_exp(x[i])


def test_it_is_exact_to_the_last_bits():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            rng.uniform(-707, 709, 200_000),
            rng.normal(size=100_000),
            rng.normal(size=1_000) * 1e-8,
            np.arange(-700, 700) * np.log(2) / 2,  # where the rounding of k turns
        ]
    )
    x = x[np.abs(x) < 709]
    out = np.empty_like(x)
    over(x, out)
    reference = np.exp(x.astype(np.longdouble))
    assert np.abs((out - reference) / reference).max() < 2.5e-16


def test_the_ends():
    x = np.array([0.0, -708.5, -1e5, -np.inf])
    out = np.empty_like(x)
    over(x, out)
    assert out.tolist() == [1.0, 0.0, 0.0, 0.0]
