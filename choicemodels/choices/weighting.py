"""Samples drawn by what people chose, weighted back to the population."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some
from choicemodels.frames import closest

if TYPE_CHECKING:
    from choicemodels.choices.choicedata import ChoiceData
    from choicemodels.choices.factored import FactoredChoiceData

__all__ = ["less_stratum_means", "weigh_choice_based"]

Array = NDArray[np.float64]

AnyChoiceData = TypeVar("AnyChoiceData", bound="ChoiceData | FactoredChoiceData")


def weigh_choice_based(
    data: AnyChoiceData, population_shares: Mapping[str, float]
) -> AnyChoiceData:
    """Weight a sample that was drawn by the chosen alternative (WESML).

    Cases that chose j get the weight ``Q_j / H_j``, the population's share over the sample's
    [ManskiLerman1977]_, times the weight that they have. Maximizing the weighted likelihood is
    consistent, but it is no likelihood: its standard errors are the robust ones. These take the
    number of cases sampled of each alternative as given, by :func:`less_stratum_means`.

    Parameters
    ----------
    data
        Cases with known choices.
    population_shares
        ``Q``: for each alternative the share of the population that chooses it.

    Raises
    ------
    DataError
        If a choice is unknown, an alternative has no share or was chosen by nobody in the
        sample, a share is not positive, or the shares do not sum to one.
    """
    if data.population_shares is not None:
        raise DataError("the sample is weighted to population shares already; start from its data.")
    if not data.has_choices:
        raise DataError("weighting by the chosen alternative needs every case's choice.")
    shares = {str(name): float(share) for name, share in population_shares.items()}
    _check_shares(shares, data.alternatives)
    J = len(data.alternatives)
    taken = np.bincount(data.chosen_alternative, weights=data.weights, minlength=J)
    lost = [name for name, count in zip(data.alternatives, taken, strict=True) if count == 0]
    if lost:
        raise DataError(
            f"nobody in the sample chose {enumerate_some([repr(name) for name in lost])}, so no "
            "weight makes the sample stand for those who do; leave the alternative out, and give "
            "the shares among the others."
        )
    Q = np.array([shares[name] for name in data.alternatives])
    ratios = Q / (taken / taken.sum())
    weights: Array = data.weights * ratios[data.chosen_alternative]
    return replace(data, weights=weights, population_shares=shares)


def less_stratum_means(scores: Array, strata: NDArray[np.int64]) -> Array:
    """Take the mean of its stratum from each case's score.

    With the population's shares known, what the strata's mean scores add to the variance drops
    out, whether the strata's sizes were fixed in advance or fell out so [Wooldridge2001]_.

    Parameters
    ----------
    scores
        Shape (N, P).
    strata
        Numbers of the strata, here the chosen alternatives, shape (N,).
    """
    counts = np.bincount(strata)
    sums = np.stack([np.bincount(strata, weights=s, minlength=len(counts)) for s in scores.T])
    means = (sums / np.maximum(counts, 1)).T
    return np.asarray(scores - means[strata])


def _check_shares(shares: Mapping[str, float], alternatives: tuple[str, ...]) -> None:
    unknown = [name for name in shares if name not in alternatives]
    if unknown:
        raise DataError(
            f"population_shares names '{unknown[0]}'{closest(unknown[0], alternatives)}, which is "
            f"no alternative of the data; these are {enumerate_some(alternatives, 12)}."
        )
    missing = [name for name in alternatives if name not in shares]
    if missing:
        raise DataError(
            f"population_shares has no share for {enumerate_some([repr(m) for m in missing])}; "
            "give one for each alternative."
        )
    for name, share in shares.items():
        if not 0 < share <= 1:
            raise DataError(
                f"population_shares gives '{name}' the share {share}; a share lies above 0 and not "
                "above 1."
            )
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise DataError(
            f"population_shares sum to {total:.6g}; they are shares of one population and sum to 1."
        )
