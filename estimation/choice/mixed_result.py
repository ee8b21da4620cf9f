"""What a mixed logit says about people: their own coefficients, and how these are distributed."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import SpecificationError
from choicemodels.mixed.distributions import moments
from choicemodels.mixed.likelihood import MixedLikelihood
from choicemodels.mixed.parameters import MixedParameters
from estimation.choice.result import ChoiceResult
from estimation.delta import DerivedEstimates, delta_method

__all__ = ["coefficient_correlations", "coefficient_moments", "individual_parameters"]

Array = NDArray[np.float64]


def individual_parameters(result: ChoiceResult, data: ChoiceData | None = None) -> pd.DataFrame:
    """Return the coefficients of each decision maker given the choices made.

    The posterior mean is ``sum_r w_r b_r``, with weights ``w_r`` proportional to the probability
    of the maker's choices in draw r [ReveltTrain2000]_; the mean over the makers is close to the
    population's, the variance of the means lower, because some of it lies within the makers.

    Parameters
    ----------
    result
        A fitted mixed logit.
    data
        Other choices; by default those of the estimation.

    Returns
    -------
    DataFrame
        One row a decision maker (without a panel, a case); for every coefficient that varies the
        columns ``mean`` and ``sd``.

    Raises
    ------
    SpecificationError
        If the model is no mixed logit, or a choice is not known.
    """
    parameters = _mixed(result, "individual_parameters()")
    found, likelihood = result.over(data, "individual_parameters()")
    assert isinstance(likelihood, MixedLikelihood)
    if not found.has_choices:
        raise SpecificationError(
            "individual_parameters() needs the choices; name their column with chosen=."
        )
    mean, sd = likelihood.posterior(result.theta)
    varying = [q for q, c in enumerate(parameters.coefficients) if c.varies]
    names = [parameters.coefficients[q].name for q in varying]
    values = np.stack([mean[:, varying], sd[:, varying]], axis=2).reshape(len(mean), -1)
    columns = pd.MultiIndex.from_product([names, ["mean", "sd"]], names=["coefficient", None])
    _, first = np.unique(likelihood.unit, return_index=True)
    by = found.panel_name or found.case_name
    labels = found.table[by].to_numpy()[found.offsets[first]]
    return pd.DataFrame(values, index=pd.Index(labels, name=by), columns=columns)


def coefficient_moments(result: ChoiceResult) -> DerivedEstimates:
    """Estimate the mean, median, standard deviation and share above zero of each coefficient.

    What a distribution fixes by itself, such as the share above zero of a lognormal, is left out.
    Standard errors are those of the delta method; error components have no more than their
    standard deviation, which is a parameter.

    Parameters
    ----------
    result
        A fitted mixed logit; its covariance is used as it is.

    Raises
    ------
    SpecificationError
        If the model is no mixed logit, or nothing but error components varies.
    EstimationError
        If a moment is not finite.
    """
    parameters = _mixed(result, "coefficient_moments()")
    fixed = dict(_moments(parameters, result.theta))
    names = [name for name, value in fixed.items() if _open_to_data(name, value)]
    if not names:
        raise SpecificationError(
            "coefficient_moments(): only error components vary; their standard deviations are "
            "parameters."
        )

    def values(params: "pd.Series[float]") -> Array:
        found = dict(_moments(parameters, _theta(result, params)))
        return np.array([found[name] for name in names])

    return delta_method(result, values, names)


def coefficient_correlations(result: ChoiceResult) -> DerivedEstimates:
    """Estimate standard deviations and correlations from the Cholesky factor.

    Of a lognormal coefficient they are those of the logarithm.

    Parameters
    ----------
    result
        A fitted mixed logit with correlated coefficients; its covariance is used as it is.

    Returns
    -------
    DerivedEstimates
        ``sd:time`` for every coefficient, and ``cor:time:cost`` for every pair.

    Raises
    ------
    SpecificationError
        If the model is no mixed logit, or no coefficients correlate.
    """
    parameters = _mixed(result, "coefficient_correlations()")
    group = parameters.correlated
    if not group:
        raise SpecificationError(
            "coefficient_correlations(): no coefficients correlate; fit the model with "
            "correlated=True."
        )
    place = {name: k for k, name in enumerate(parameters.names)}
    slots = [place[f"chol:{b}:{a}"] for i, a in enumerate(group) for b in group[: i + 1]]
    lower = np.tril_indices(len(group))
    below = np.tril_indices(len(group), -1)

    def values(params: "pd.Series[float]") -> Array:
        factor = np.zeros((len(group), len(group)))
        factor[lower] = _theta(result, params)[slots]
        covariance = factor @ factor.T
        sd = np.sqrt(np.diag(covariance))
        return np.concatenate([sd, (covariance / np.outer(sd, sd))[below]])

    pairs = [f"cor:{group[j]}:{group[i]}" for i, j in zip(*below, strict=True)]
    return delta_method(result, values, [*(f"sd:{name}" for name in group), *pairs])


def _mixed(result: ChoiceResult, purpose: str) -> MixedParameters:
    parameters = result.parameters
    if not isinstance(parameters, MixedParameters):
        raise SpecificationError(
            f"{purpose}: only in a mixed logit do coefficients vary; this is a "
            f"{parameters.title.lower()}."
        )
    return parameters


def _theta(result: ChoiceResult, params: "pd.Series[float]") -> Array:
    """Return all parameters, given those that were estimated."""
    theta = result.theta.copy()
    theta[result.estimated] = params.to_numpy()
    return theta


def _moments(parameters: MixedParameters, theta: Array) -> Iterator[tuple[str, float]]:
    spreads = parameters.spreads(theta)
    for c, spread in zip(parameters.coefficients, spreads, strict=True):
        if c.varies and c.term >= 0:
            found = moments(c.law, float(theta[c.term]), float(spread))
            yield f"{c.name}: mean", found.mean
            yield f"{c.name}: median", found.median
            yield f"{c.name}: sd", found.sd
            yield f"{c.name}: share > 0", found.share_positive


def _open_to_data(name: str, value: float) -> bool:
    return not (name.endswith("share > 0") and value in (0.0, 1.0))
