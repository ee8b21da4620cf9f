"""The log-likelihood of constants alone, without carrying a column for each of them."""

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.partitioned import AnyChoiceData

__all__ = ["constants_only"]

Array = NDArray[np.float64]


def constants_only(data: AnyChoiceData) -> float:
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
    observed = np.bincount(data.chosen_alternative, weights=data.weights, minlength=J)
    sets, group = data.choice_sets()
    weight = np.bincount(group, weights=data.weights, minlength=len(sets)).astype(np.float64)
    chosen = np.flatnonzero(observed > 0)
    patterns, n = sets[:, chosen].astype(np.float64), observed[chosen]
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


def _log_probabilities(constants: Array, patterns: Array) -> Array:
    with np.errstate(divide="ignore"):
        V = np.where(patterns > 0, constants, -np.inf)
    top = V.max(axis=1, keepdims=True)
    return np.asarray(V - top - np.log(np.exp(V - top).sum(axis=1, keepdims=True)))
