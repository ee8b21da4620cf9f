"""Welfare of a change: consumer surplus, compensating and equivalent variation, in money.

Where the marginal utility of income alpha is constant, the surplus of a case is the difference of
its logsums over alpha [SmallRosen1981]_. Where it is not, the compensating variation is what may
be taken from income after the change to leave the case as well off as before, and the equivalent
variation is what it would have to be given in place of the change; their expectations are in
:mod:`estimation.choice.compensation`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.scenario_data import keep_cases
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from estimation.choice.compensation import IncomeChange, generating
from estimation.choice.gev_errors import simulated_compensation
from estimation.choice.marginal_utility import alpha_of_parameters, alpha_of_price, refuse_no_logsum
from estimation.choice.populations import components
from estimation.choice.predicted import case_groups, derive, fitted_over
from estimation.choice.result import ChoiceResult
from estimation.summary import format_table

__all__ = ["Welfare", "compensating_variation", "equivalent_variation", "surplus"]

Array = NDArray[np.float64]


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
        A model with the logsum as expected utility; its covariance is used as it is. Classes of
        people are valued with a marginal utility of their own, and averaged.
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
    refuse_no_logsum(result, price)
    before, after = _aligned(result, before, after)
    parts = components(result, before)
    states = [(part.share, part.over(before), part.over(after)) for part in parts]
    if price is not None:
        alphas = [alpha_of_price(part, result.theta, before, after, price) for part in parts]
    else:
        alphas = [alpha_of_parameters(result, str(marginal_utility))] * len(parts)

    def gains(theta: Array) -> Array:
        total = np.zeros(before.n_cases)
        for (share, old, new), alpha in zip(states, alphas, strict=True):
            total += share(theta) * (new(theta)[1] - old(theta)[1]) / alpha(theta)
        return total

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
        A multinomial, (RUM-normalized) nested or cross-nested logit, or classes of the first; its
        covariance is used as it is.
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
    refuse_no_logsum(result, None)
    if method not in ("integral", "simulation"):
        raise SpecificationError(f"method is '{method}'; it is 'integral' or 'simulation'.")
    if draws < 2:
        raise SpecificationError(f"draws is {draws}; a simulation needs at least 2.")
    start, end = _aligned(result, start, end)
    pairs = [
        (part, IncomeChange.build(generating(part.layout, what), start, end, income))
        for part in components(result, start)
    ]
    averages = _Averages.of(start, by)

    def drawn(theta: Array) -> tuple[Array, Array]:
        """Return simulated means of the cases (N,), and of each draw over them (D,)."""
        of_cases, of_draws = np.zeros(start.n_cases), np.zeros(draws)
        for part, pair in pairs:
            share, fitted = part.share(theta), pair.at(part.parameters(theta))
            mean, each = simulated_compensation(fitted, averages.weights[0] * share, draws, seed)
            of_cases += share * mean
            of_draws += each
        return of_cases, of_draws

    def gains(theta: Array) -> Array:
        if method == "simulation":
            return sign * drawn(theta)[0]
        total = np.zeros(start.n_cases)
        for part, pair in pairs:
            total += part.share(theta) * pair.at(part.parameters(theta)).mean()
        return sign * total

    note = "Expectations by integration over the amount."
    if method == "simulation":
        error = drawn(result.theta)[1].std(ddof=1) / np.sqrt(draws)
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
    se, reach = means.std_err, -ndtri(0.025) * means.std_err
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
