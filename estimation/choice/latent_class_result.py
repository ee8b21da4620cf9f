"""What latent classes say: how large they are, who is in them, and what they choose."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.latent_class.likelihood import LatentClassLikelihood
from choicemodels.latent_class.specification import LatentClassLogit
from estimation.choice.fit import fit_choice
from estimation.choice.result import ChoiceResult
from estimation.delta import DerivedEstimates

__all__ = [
    "ClassComparison",
    "choose_classes",
    "class_probabilities",
    "class_shares",
    "entropy_r2",
    "posterior_coefficients",
    "posterior_memberships",
]

Array = NDArray[np.float64]
_CRITERIA = ("bic", "aic", "caic")


@dataclass(frozen=True, eq=False)
class ClassComparison:
    """Models with different numbers of classes, side by side.

    Attributes
    ----------
    table : DataFrame
        One row for each number of classes: log-likelihood, parameters, criteria, the share of
        the smallest class, entropy R², and why, where a model could not be estimated.
    results : dict
        Number of classes to the fitted model, for those that could be estimated.
    criterion : str
        ``"bic"``, ``"aic"`` or ``"caic"``.
    """

    table: pd.DataFrame
    results: Mapping[int, ChoiceResult]
    criterion: str

    @property
    def best(self) -> ChoiceResult:
        """The model with the lowest criterion."""
        return self.results[self._lowest]

    @property
    def _lowest(self) -> int:
        values = self.table[self.criterion]
        return int(values.index[int(values.argmin())])

    def __str__(self) -> str:
        shown = self.table.to_string(float_format=lambda value: f"{value:.4f}", na_rep="")
        return f"{shown}\nLowest {self.criterion.upper()}: {self._lowest} classes."


def choose_classes(
    model: LatentClassLogit,
    data: ChoiceData,
    numbers: Iterable[int],
    *,
    criterion: Literal["bic", "aic", "caic"] = "bic",
    **options: Any,
) -> ClassComparison:
    """Fit a model with different numbers of classes and compare.

    ``BIC = -2 llf + P log D`` and ``CAIC = -2 llf + P (log D + 1)`` count the D decision makers,
    whose choices are the independent contributions; a result's own ``bic`` counts cases.

    Parameters
    ----------
    model
        The specification, whatever its number of classes.
    data
        Cases with known choices.
    numbers
        Numbers of classes, such as ``range(1, 6)``.
    criterion
        What :attr:`ClassComparison.best` goes by.
    **options
        Those of :func:`estimation.choice.fit.fit_choice`.

    Raises
    ------
    SpecificationError
        If the criterion is unknown, or no number of classes is given.
    EstimationError
        If no model could be estimated.
    """
    if criterion not in _CRITERIA:
        raise SpecificationError(
            f"criterion is '{criterion}'; it is one of {', '.join(_CRITERIA)}."
        )
    results, rows = {}, {}
    for number in numbers:
        membership = model.membership if number > 1 else ""
        try:
            sized = replace(model, classes=number, membership=membership)
            result = fit_choice(sized, data, **options)
        except EstimationError as problem:
            rows[number] = {"problem": str(problem)}
            continue
        results[number], rows[number] = result, _compared(result)
    if not rows:
        raise SpecificationError("no number of classes was given; write for example range(1, 6).")
    if not results:
        raise EstimationError(f"no model could be estimated: {rows[max(rows)]['problem']}")
    columns = ["llf", "parameters", *_CRITERIA, "smallest", "entropy_r2", "problem"]
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    return ClassComparison(table.rename_axis("classes"), results, criterion)


def _compared(result: ChoiceResult) -> dict[str, Any]:
    likelihood = _classes(result, None, "choose_classes()")[1]
    D, P = len(likelihood.Z), result.df_model
    deviance = -2 * result.llf
    return {
        "llf": result.llf,
        "parameters": P,
        "bic": deviance + P * np.log(D),
        "aic": deviance + 2 * P,
        "caic": deviance + P * (np.log(D) + 1),
        "smallest": float(_shares(likelihood, result.theta).min()),
        "entropy_r2": _entropy_r2(likelihood.posteriors(result.theta)[1]),
        "problem": "",
    }


def class_shares(result: ChoiceResult, data: ChoiceData | None = None) -> DerivedEstimates:
    """Return the shares of the classes among the decision makers, with standard errors.

    Parameters
    ----------
    result
        A fitted latent class logit; its covariance is used as it is.
    data
        Other data with the variables of membership; by default those of the estimation.

    Returns
    -------
    DerivedEstimates
        ``sum_n w_n pi_nc / sum_n w_n``, by the delta method; the values of membership variables
        are taken as they are.

    Raises
    ------
    SpecificationError, EstimationError
        If the model has no classes, or a saved result is asked without data.
    """
    _, likelihood = _classes(result, data, "class_shares()")
    p, theta = likelihood.parameters, result.theta
    pi, w = np.exp(likelihood.memberships(theta)), likelihood.weights
    slope = np.zeros((p.n_classes, len(theta)))
    for d, at in enumerate(p.slot, start=1):
        away = pi * ((np.arange(p.n_classes) == d) - pi[:, [d]])
        slope[:, at] = (away * w[:, None]).T @ likelihood.Z / w.sum()
    jacobian = slope[:, result.estimated]
    matrix = jacobian @ result.covariance.matrix @ jacobian.T
    covariance = replace(result.covariance, matrix=matrix)
    return DerivedEstimates(p.classes, _shares(likelihood, theta), covariance, jacobian)


def posterior_memberships(result: ChoiceResult, data: ChoiceData | None = None) -> pd.DataFrame:
    """Return the probability of each class given the choices, one row a decision maker.

    Parameters
    ----------
    result
        A fitted latent class logit.
    data
        Other data with known choices; by default those of the estimation.

    Raises
    ------
    DataError
        If choices are not known.
    SpecificationError, EstimationError
        If the model has no classes, or a saved result is asked without data.
    """
    data, likelihood = _with_choices(result, data, "posterior_memberships()")
    _, posterior = likelihood.posteriors(result.theta)
    index = _makers(data, likelihood)
    return pd.DataFrame(posterior, index=index, columns=list(likelihood.parameters.classes))


def posterior_coefficients(result: ChoiceResult, data: ChoiceData | None = None) -> pd.DataFrame:
    """Return the expected coefficients given the choices, one row a decision maker.

    The arguments and errors are those of :func:`posterior_memberships`.
    """
    data, likelihood = _with_choices(result, data, "posterior_coefficients()")
    p = likelihood.parameters
    _, posterior = likelihood.posteriors(result.theta)
    means = posterior @ result.theta[p.position]
    return pd.DataFrame(means, index=_makers(data, likelihood), columns=list(p.utility.names))


def class_probabilities(result: ChoiceResult, data: ChoiceData | None = None) -> pd.DataFrame:
    """Return the choice probabilities within each class, one row for each case and alternative.

    Parameters
    ----------
    result
        A fitted latent class logit.
    data
        Other data; choices are not needed. By default those of the estimation.

    Raises
    ------
    SpecificationError, EstimationError
        If the model has no classes, or a saved result is asked without data.
    """
    data, likelihood = _classes(result, data, "class_probabilities()")
    P, _ = likelihood.by_class(result.theta)
    names = np.array(data.alternatives)[data.alternative]
    return pd.DataFrame(
        {
            data.case_name: data.table[data.case_name],
            data.alternative_name: names,
            **dict(zip(likelihood.parameters.classes, P, strict=True)),
        }
    )


def entropy_r2(result: ChoiceResult, data: ChoiceData | None = None) -> float:
    """Return how clearly decision makers are told apart: 1 if surely, 0 if not at all.

    ``1 + sum_nc h_nc log h_nc / (D log C)`` with the posteriors h; 1 for a single class.

    The arguments and errors are those of :func:`posterior_memberships`.
    """
    _, likelihood = _with_choices(result, data, "entropy_r2()")
    return _entropy_r2(likelihood.posteriors(result.theta)[1])


def _entropy_r2(posterior: Array) -> float:
    D, C = posterior.shape
    if C == 1:
        return 1.0
    h = posterior[posterior > 0]
    return float(1.0 + (h * np.log(h)).sum() / (D * np.log(C)))


def _shares(likelihood: LatentClassLikelihood, theta: Array) -> Array:
    weights = likelihood.weights
    return np.asarray(weights @ np.exp(likelihood.memberships(theta)) / weights.sum())


def _makers(data: ChoiceData, likelihood: LatentClassLikelihood) -> pd.Index:
    """Return the labels of the decision makers."""
    name = data.panel_name or data.case_name
    _, first = np.unique(likelihood.observations.maker, return_index=True)
    labels: pd.Index = pd.Index(data.table[name].iloc[data.offsets[first]], name=name)
    return labels


def _with_choices(
    result: ChoiceResult, data: ChoiceData | None, purpose: str
) -> tuple[ChoiceData, LatentClassLikelihood]:
    data, likelihood = _classes(result, data, purpose)
    if not data.has_choices:
        raise DataError(
            f"{purpose}: posteriors need known choices; name their column with chosen=."
        )
    return data, likelihood


def _classes(
    result: ChoiceResult, data: ChoiceData | None, purpose: str
) -> tuple[ChoiceData, LatentClassLikelihood]:
    rows, likelihood = result.over(data, purpose)
    if not isinstance(likelihood, LatentClassLikelihood):
        raise SpecificationError(
            f"{purpose}: only latent class models have classes; this is a "
            f"{result.parameters.title.lower()}."
        )
    return rows, likelihood
