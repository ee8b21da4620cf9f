"""Functions of a fitted choice model's predictions, with standard errors by the delta method."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.logit.design import UtilityTerms
from choicemodels.utility import Term
from estimation.choice.result import ChoiceResult
from estimation.delta import jacobian

__all__ = [
    "CaseGroups",
    "Derived",
    "all_terms",
    "case_groups",
    "derive",
    "estimate_table",
    "fitted_over",
    "weighted_shares",
]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Derived:
    """Values that follow from estimated parameters.

    Attributes
    ----------
    value : ndarray, shape (Q,)
    jacobian : ndarray, shape (Q, K)
        Derivatives by the estimated parameters.
    covariance : ndarray, shape (K, K)
        Of the estimated parameters.
    """

    value: Array
    jacobian: Array
    covariance: Array

    @property
    def std_err(self) -> Array:
        """Standard errors, shape (Q,)."""
        variance = np.einsum("qk,kl,ql->q", self.jacobian, self.covariance, self.jacobian)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))

    def times(self, weights: Array) -> "Derived":
        """Return linear combinations of the values; ``weights`` has the shape (S, Q)."""
        return Derived(weights @ self.value, weights @ self.jacobian, self.covariance)

    def rows(self, rows: Any) -> "Derived":
        """Keep some values."""
        return Derived(self.value[rows], self.jacobian[rows], self.covariance)


@dataclass(frozen=True, eq=False)
class CaseGroups:
    """A grouping of N cases into G groups.

    Attributes
    ----------
    name : str
    labels : Index, length G
    codes : ndarray of int64, shape (N,)
    """

    name: str
    labels: pd.Index
    codes: Ints


def derive(result: ChoiceResult, function: Callable[[Array], Array]) -> Derived:
    """Evaluate a function of all parameters at the estimate, and its derivatives.

    Parameters
    ----------
    result
        Its covariance is used as it is: choose it with ``with_cov`` first.
    function
        From all P parameters to the values, shape (Q,).

    Raises
    ------
    EstimationError
        If a value or a derivative is not finite.
    """

    def of_estimate(estimate: Array) -> Array:
        theta = result.theta.copy()
        theta[result.estimated] = estimate
        return function(theta)

    value = of_estimate(result.estimate)
    G = jacobian(of_estimate, result.estimate, result.bse.to_numpy())
    if not (np.isfinite(value).all() and np.isfinite(G).all()):
        raise EstimationError(
            "a prediction or its derivative by the parameters is not finite at the estimate; look "
            "for a case whose utilities are extreme."
        )
    return Derived(value, G, result.covariance.matrix)


def estimate_table(value: Array, std_err: Array, index: pd.Index) -> pd.DataFrame:
    """Lay out estimates, standard errors, z, p-values and limits at 95 percent.

    A value that no parameter moves has a standard error of zero, and no z.
    """
    reach = -ndtri(0.025) * std_err
    z = np.divide(value, std_err, out=np.full(len(value), np.nan), where=std_err > 0)
    return pd.DataFrame(
        {
            "estimate": value,
            "std err": std_err,
            "z": z,
            "P>|z|": 2 * ndtr(-np.abs(z)),
            "[0.025": value - reach,
            "0.975]": value + reach,
        },
        index=index,
    )


def all_terms(utility: UtilityTerms) -> tuple[Term, ...]:
    """Return every term of the utilities: with a coefficient, offset, size and scale."""
    offset = () if utility.offset is None else (utility.offset,)
    return (*utility.linear, *offset, *utility.size, *utility.scale)


def fitted_over(
    result: ChoiceResult, data: ChoiceData | FactoredChoiceData | None, purpose: str
) -> tuple[ChoiceData, Callable[[Array], tuple[Array, Array]]]:
    """Return data and the function from parameters to probabilities (R,) and logsums (N,) there.

    Raises
    ------
    SpecificationError
        If the result is of no choice model, or the data are no choice data.
    EstimationError
        If there are no data, or they are too many to be laid out.
    """
    if not isinstance(result, ChoiceResult):
        raise SpecificationError(
            f"{purpose} is for fitted choice models and was given a {type(result).__name__}."
        )
    rows, likelihood = result.over(data, purpose)
    return rows, likelihood.probabilities


def case_groups(data: ChoiceData, by: str | None) -> CaseGroups:
    """Group the cases by a column (``"a^b"`` joins two), or put all into the group "all".

    Raises
    ------
    DataError
        If a column is missing or varies within a case.
    """
    if by is None:
        return CaseGroups("group", pd.Index(["all"]), np.zeros(data.n_cases, dtype=np.int64))
    name, _ = data.case_groups(by)
    of_cases = data.table.iloc[data.offsets[:-1]]
    columns = [part.strip() for part in by.split("^")]
    keys = of_cases[columns[0]]
    for column in columns[1:]:
        keys = keys.astype(str) + "^" + of_cases[column].astype(str)
    codes, labels = pd.factorize(keys, sort=True)
    return CaseGroups(name, pd.Index(labels), codes.astype(np.int64))


def weighted_shares(
    P: Array, data: ChoiceData, groups: CaseGroups, positions: Ints, J: int
) -> Array:
    """Return the weighted mean probability of each alternative in each group, shape (G, J).

    Parameters
    ----------
    P
        Probabilities of the rows, shape (R,).
    data
        Whose rows these are.
    groups
        Of the cases.
    positions
        Column of the answer for each of the data's alternatives.
    J
        Number of columns.
    """
    G = len(groups.labels)
    weights = np.repeat(data.weights, data.set_sizes)
    cell = np.repeat(groups.codes, data.set_sizes) * J + positions[data.alternative]
    summed = np.bincount(cell, weights=weights * P, minlength=G * J).reshape(G, J)
    return summed / np.bincount(groups.codes, weights=data.weights, minlength=G)[:, None]
