"""The log-likelihood of constants alone, without carrying a column for each of them."""

import numpy as np
from numpy.typing import NDArray

from choicemodels.choicedata import ChoiceData

__all__ = ["constants_only"]

Array = NDArray[np.float64]


def constants_only(data: ChoiceData) -> float:
    """Maximize the multinomial logit with a constant for every alternative.

    With equal choice sets the maximum is ``sum_j n_j log(n_j / N)``. Otherwise cases with the
    same choice set are taken together and the constants solve ``observed = predicted`` by
    the fixed point of [BerryLevinsohnPakes1995]_. Alternatives that nobody chose have a
    probability of zero and are left out.

    Parameters
    ----------
    data
        Cases with known choices.

    Returns
    -------
    float
        The weighted log-likelihood.
    """
    J = len(data.alternatives)
    taken = data.alternative[data.chosen]
    observed = np.bincount(taken, weights=data.weights, minlength=J)
    patterns, weight = _patterns(data, observed > 0)
    chosen = np.flatnonzero(observed > 0)
    patterns, n = patterns[:, chosen], observed[chosen]
    constants = np.log(n)
    for _ in range(10_000):
        logP = _log_probabilities(constants, patterns)
        predicted = weight @ np.exp(logP)
        gap = np.log(n) - np.log(predicted)
        constants = constants + gap
        if np.abs(gap).max() < 1e-12:
            break
    denominator = np.log((patterns * np.exp(constants - constants.max())).sum(axis=1))
    return float(n @ (constants - constants.max()) - weight @ denominator)


def _patterns(data: ChoiceData, ever: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return the distinct choice sets (G, J) and the weight of the cases that face each (G,)."""
    J = len(ever)
    sizes = data.set_sizes
    # A random 64-bit mark for each alternative: equal sums are equal sets, but for a chance
    # of about N^2 / 2^64.
    marks = np.random.Generator(np.random.Philox(key=7)).integers(1, 2**63, size=J, dtype=np.uint64)
    marks[~ever] = 0
    keys = np.add.reduceat(marks[data.alternative], data.offsets[:-1])
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    patterns = np.zeros((len(first), J))
    for g, n in enumerate(first):
        start = data.offsets[n]
        patterns[g, data.alternative[start : start + sizes[n]]] = 1.0
    patterns[:, ~ever] = 0.0
    return patterns, np.bincount(group, weights=data.weights).astype(np.float64)


def _log_probabilities(constants: Array, patterns: Array) -> Array:
    with np.errstate(divide="ignore"):
        V = np.where(patterns > 0, constants, -np.inf)
    top = V.max(axis=1, keepdims=True)
    return np.asarray(V - top - np.log(np.exp(V - top).sum(axis=1, keepdims=True)))
