"""Welfare of a change: consumer surplus, compensating and equivalent variation, in money.

Where the marginal utility of income alpha is constant, the surplus of a case is the difference of
its logsums over alpha [SmallRosen1981]_. Where it is not, the compensating variation is what may
be taken from income after the change to leave the case as well off as before, and the equivalent
variation is what it would have to be given in place of the change; their expectations are in
:mod:`estimation.compensation`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from choicemodels.choicedata import ChoiceData
from choicemodels.errors import DataError, EstimationError, SpecificationError, enumerate_some
from choicemodels.frames import closest, numeric_column
from choicemodels.latent_class_likelihood import LatentClassParameters
from choicemodels.restrictions import quote_names
from choicemodels.scenario_data import change, keep_cases
from choicemodels.utility import evaluate, variables
from estimation.adjusted import logit_layout
from estimation.choice_result import ChoiceResult
from estimation.compensation import IncomeChange
from estimation.gev_errors import simulated_compensation
from estimation.predicted import case_groups, derive, fitted_over
from estimation.summary import format_table

__all__ = ["Welfare", "compensating_variation", "equivalent_variation", "surplus"]

Array = NDArray[np.float64]

# Probabilities that differ by less are equal.
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Welfare:
    """What a change is worth, in money; positive if it is a gain.

    Attributes
    ----------
    table : DataFrame
        One row for all cases and one for each group: weight (the sum of the cases' weights),
        mean with its standard error by the delta method and limits at 95 percent, and total with
        its standard error.
    cases : Series
        Expected gain of each case.
    what : str
    notes : tuple of str
        Which standard errors these are, and how the values were found.
    """

    table: pd.DataFrame
    cases: "pd.Series[float]"
    what: str
    notes: tuple[str, ...]

    @property
    def mean(self) -> float:
        """The weighted mean over all cases."""
        return float(self.table["mean"].iloc[0])

    @property
    def total(self) -> float:
        """The weighted sum over all cases."""
        return float(self.table["total"].iloc[0])

    def __str__(self) -> str:
        return "\n".join([self.what, format_table(self.table).to_string(), *self.notes])


def surplus(
    result: ChoiceResult,
    before: ChoiceData,
    after: ChoiceData,
    *,
    price: str | None = None,
    marginal_utility: str | None = None,
    by: str | None = None,
) -> Welfare:
    """Estimate the change of consumer surplus between two states of the same cases.

    Parameters
    ----------
    result
        A model with the logsum as expected utility; its covariance is used as it is.
    before, after
        The cases in the two states; choice sets may differ.
    price
        The column of the price: a higher price of all alternatives by the same amount must
        leave the choice probabilities as they are, and what it takes from the logsum is the
        marginal utility of income, which may differ between cases.
    marginal_utility
        In place of ``price``, an expression in the parameters, such as ``"-cost"``.
    by
        Column of ``before`` by which to group the cases (``"a^b"`` joins two).

    Raises
    ------
    SpecificationError
        If neither or both of price and marginal utility are given, or there are effects of
        income.
    DataError
        If the two states do not hold the same cases.
    EstimationError
        If the marginal utility of income is not positive.
    """
    if (price is None) == (marginal_utility is None):
        raise SpecificationError(
            "give the column of the price, price='cost', or an expression for the marginal "
            "utility of income, marginal_utility='-cost'."
        )
    _refuse_no_logsum(result, price)
    before, after = _aligned(result, before, after)
    if price is not None:
        alpha = _alpha_of_price(result, before, after, price)
    else:
        alpha = _alpha_of_parameters(result, str(marginal_utility))
    _, old = fitted_over(result, before, "surplus()")
    _, new = fitted_over(result, after, "surplus()")

    def gains(theta: Array) -> Array:
        return np.asarray((new(theta)[1] - old(theta)[1]) / alpha(theta))

    averages = _Averages.of(before, by)
    return _welfare(result, before, averages, gains, "Change of consumer surplus", ())


def compensating_variation(
    result: ChoiceResult,
    before: ChoiceData,
    after: ChoiceData,
    *,
    income: str,
    method: Literal["integral", "simulation"] = "integral",
    draws: int = 500,
    seed: int = 0,
    by: str | None = None,
) -> Welfare:
    """Estimate what may be taken from income after a change, with effects of income.

    Parameters
    ----------
    result
        A multinomial or (RUM-normalized) nested logit; its covariance is used as it is.
    before, after
        The cases in the two states; choice sets and incomes may differ.
    income
        The column through which income enters the utilities, as in ``log(income - cost)``.
        Alternatives whose utility has no value at a lower income are out of reach there.
    method
        One integral for each case, exact to about ten digits, or draws of the errors, for which
        the amount is solved for.
    draws, seed
        Of the simulation: the number for each case, and their key.
    by
        Column of ``before`` by which to group the cases (``"a^b"`` joins two).

    Raises
    ------
    SpecificationError
        If the model is of another family, or some utility does not rise with income.
    DataError
        If the two states do not hold the same cases.
    EstimationError
        If an expectation is not finite.
    """
    what = "Compensating variation"
    return _variation(result, before, after, income, method, draws, seed, by, what, 1.0)


def equivalent_variation(
    result: ChoiceResult,
    before: ChoiceData,
    after: ChoiceData,
    *,
    income: str,
    method: Literal["integral", "simulation"] = "integral",
    draws: int = 500,
    seed: int = 0,
    by: str | None = None,
) -> Welfare:
    """Estimate what is worth as much as a change, added to income before it.

    It is minus the compensating variation of the way back; the arguments are those of
    :func:`compensating_variation`.
    """
    what = "Equivalent variation"
    return _variation(result, after, before, income, method, draws, seed, by, what, -1.0)


def _variation(
    result: ChoiceResult,
    start: ChoiceData,
    end: ChoiceData,
    income: str,
    method: str,
    draws: int,
    seed: int,
    by: str | None,
    what: str,
    sign: float,
) -> Welfare:
    """Value the way from one state to another, times a sign."""
    layout = logit_layout(result, what)
    _refuse_no_logsum(result, None)
    if method not in ("integral", "simulation"):
        raise SpecificationError(f"method is '{method}'; it is 'integral' or 'simulation'.")
    if draws < 2:
        raise SpecificationError(f"draws is {draws}; a simulation needs at least 2.")
    start, end = _aligned(result, start, end)
    pair = IncomeChange.build(layout, start, end, income)
    averages = _Averages.of(start, by)

    def drawn(theta: Array) -> tuple[Array, Array]:
        return simulated_compensation(pair.at(theta), averages.weights, draws, seed)

    def gains(theta: Array) -> Array:
        return sign * (pair.at(theta).mean() if method == "integral" else drawn(theta)[0])

    if method == "integral":
        note = "Expectations by integration over the amount."
    else:
        error = drawn(result.theta)[1][0].std(ddof=1) / np.sqrt(draws)
        note = (
            f"{draws:,} draws of the errors for each case, seed {seed}: the overall mean has a "
            f"simulation error of {error:.4g}, which is not in the standard errors."
        )
    return _welfare(result, start, averages, gains, what, (note,))


@dataclass(frozen=True, eq=False)
class _Averages:
    """Averages over all cases and over groups of them.

    Attributes
    ----------
    weights : ndarray, shape (Q, N)
        Each row sums to one.
    mass : ndarray, shape (Q,)
        Sum of the cases' weights.
    labels : Index, length Q
    """

    weights: Array
    mass: Array
    labels: pd.Index

    @classmethod
    def of(cls, data: ChoiceData, by: str | None) -> "_Averages":
        """Lay out the averages over data."""
        rows, labels = [data.weights], ["all"]
        if by is not None:
            groups = case_groups(data, by)
            rows += [
                np.where(groups.codes == g, data.weights, 0.0) for g in range(len(groups.labels))
            ]
            labels += list(groups.labels)
        weights = np.array(rows)
        mass = weights.sum(axis=1)
        return cls(weights / mass[:, None], mass, pd.Index(labels, name=by or "cases"))


def _welfare(
    result: ChoiceResult,
    data: ChoiceData,
    averages: _Averages,
    gains: Callable[[Array], Array],
    what: str,
    notes: tuple[str, ...],
) -> Welfare:
    """Average gains of the cases, shape (N,)."""
    means = derive(result, lambda theta: averages.weights @ gains(theta))
    se, reach = means.std_err, stats.norm.isf(0.025) * means.std_err
    table = pd.DataFrame(
        {
            "weight": averages.mass,
            "mean": means.value,
            "std err": se,
            "[0.025": means.value - reach,
            "0.975]": means.value + reach,
            "total": averages.mass * means.value,
            "std err of total": averages.mass * se,
        },
        index=averages.labels,
    )
    index = pd.Index(data.case_ids, name=data.case_name)
    cases = pd.Series(gains(result.theta), index=index, name=what)
    label = f"Standard errors: {result.covariance.label}, by the delta method."
    return Welfare(table, cases, what, (label, *notes))


def _aligned(
    result: ChoiceResult, before: ChoiceData, after: ChoiceData
) -> tuple[ChoiceData, ChoiceData]:
    """Return both states long, with their cases in the order of the first."""
    before, _ = fitted_over(result, before, "before=")
    after, _ = fitted_over(result, after, "after=")
    if np.array_equal(before.case_ids, after.case_ids):
        return before, after
    places = pd.Index(after.case_ids).get_indexer(pd.Index(before.case_ids))
    lost = before.case_ids[places < 0]
    if len(lost) or before.n_cases != after.n_cases:
        more = np.setdiff1d(after.case_ids, before.case_ids)
        some = enumerate_some((lost if len(lost) else more).tolist())
        where = "after=" if len(lost) else "before="
        raise DataError(
            f"{where} lacks cases that the other data hold ({some}); a change is valued for the "
            "same cases in two states."
        )
    return before, keep_cases(after, places)


def _refuse_no_logsum(result: ChoiceResult, price: str | None) -> None:
    """Refuse models whose logsum over a number is no expected gain in money."""
    if not getattr(result.parameters, "rum", True):
        raise SpecificationError(
            "without the RUM normalization the logsum is no expected utility; fit the model with "
            "normalization='rum'."
        )
    layout = result.parameters
    varying = set(getattr(result.model, "random", {}))
    if isinstance(layout, LatentClassParameters):
        pairs = zip(layout.utility.names, layout.common, strict=True)
        varying |= {name for name, common in pairs if not common}
    for term in layout.utility.linear:
        if term.name in varying and price in term.variables:
            raise SpecificationError(
                f"the coefficient of '{term.name}' varies in the population, so there is no one "
                "marginal utility of income to divide the logsum by; let the price have one "
                "coefficient."
            )


def _alpha_of_parameters(result: ChoiceResult, text: str) -> Callable[[Array], Array]:
    """Return the marginal utility of income as a function of the parameters."""
    names = result.parameters.names
    quoted = quote_names(text, names)
    for name in sorted(variables(quoted)):
        if name not in names:
            raise SpecificationError(
                f"marginal_utility='{text}' names the parameter '{name}'{closest(name, names)}, "
                f"which the model does not have; it has: {enumerate_some(names, 12)}."
            )

    def alpha(theta: Array) -> Array:
        value = np.atleast_1d(evaluate(quoted, dict(zip(names, theta, strict=True))))
        _refuse_not_positive(value, "marginal_utility=", None)
        return value

    return alpha


def _alpha_of_price(
    result: ChoiceResult, before: ChoiceData, after: ChoiceData, price: str
) -> Callable[[Array], Array]:
    """Return the marginal utility of income: what a unit of the price takes from the logsum."""
    rise = float(np.abs(numeric_column(before.table, price)).mean()) or 1.0
    alphas: list[Callable[[Array], Array]] = []
    for data in (before, after):
        _, now = fitted_over(result, data, "surplus()")
        dearer = change(data, {price: f"`{price}` + {rise!r}"})
        _, then = fitted_over(result, dearer, "surplus()")
        if np.abs(now(result.theta)[0] - then(result.theta)[0]).max() > _SAME:
            raise SpecificationError(
                f"a higher '{price}' of all alternatives by the same amount changes the choice "
                "probabilities, so the marginal utility of income is not constant; use "
                "compensating_variation(), or give marginal_utility=."
            )
        alphas.append(lambda theta, now=now, then=then: (now(theta)[1] - then(theta)[1]) / rise)  # type: ignore[misc]
        _refuse_not_positive(alphas[-1](result.theta), f"'{price}'", data)
    old, new = (alpha(result.theta) for alpha in alphas)
    if not np.allclose(old, new, rtol=1e-6, atol=0):
        raise SpecificationError(
            f"the marginal utility of income that '{price}' shows is not the same before and "
            "after the change; use compensating_variation(), or give marginal_utility=."
        )
    return alphas[0]


def _refuse_not_positive(alpha: Array, what: str, data: ChoiceData | None) -> None:
    wrong = np.flatnonzero(~(alpha > 0))
    if len(wrong):
        where = (
            "" if data is None else f" in {len(wrong):,} cases (first: {data.case_ids[wrong[0]]})"
        )
        raise EstimationError(
            f"the marginal utility of income by {what} is not positive{where}: a higher price "
            "would be a gain, and surplus has no meaning."
        )
