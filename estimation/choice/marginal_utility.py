"""The marginal utility of income: what a unit of money is worth in utility."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.scenario_data import change
from choicemodels.errors import EstimationError, SpecificationError, enumerate_some
from choicemodels.frames import closest, numeric_column
from choicemodels.restrictions import plain_names, quote_names
from choicemodels.utility import evaluate, variables
from estimation.choice.populations import Component
from estimation.choice.result import ChoiceResult

__all__ = ["alpha_of_parameters", "alpha_of_price", "refuse_no_logsum"]

Array = NDArray[np.float64]

# Probabilities that differ by less are equal.
_SAME = 1e-9


def refuse_no_logsum(result: ChoiceResult, price: str | None) -> None:
    """Refuse models whose logsum over a number is no expected gain in money.

    Raises
    ------
    SpecificationError
        If there is no RUM normalization, or the coefficient of the price is drawn from a
        distribution.
    """
    if not getattr(result.parameters, "rum", True):
        raise SpecificationError(
            "without the RUM normalization the logsum is no expected utility; fit the model with "
            "normalization='rum'."
        )
    random = getattr(result.model, "random", {})
    for term in result.parameters.utility.linear:
        if term.name in random and price in term.variables:
            raise SpecificationError(
                f"the coefficient of '{term.name}' varies in the population, so there is no one "
                "marginal utility of income to divide the logsum by; let the price have one "
                "coefficient."
            )


def alpha_of_parameters(result: ChoiceResult, text: str) -> Callable[[Array], Array]:
    """Return the marginal utility of income, an expression in the parameters, shape (1,).

    Raises
    ------
    SpecificationError
        If the expression names an unknown parameter.
    """
    names = result.parameters.names
    quoted, known = quote_names(text, names), plain_names(names)
    for name in sorted(variables(quoted)):
        if name not in known:
            raise SpecificationError(
                f"marginal_utility='{text}' names the parameter '{name}'{closest(name, names)}, "
                f"which the model does not have; it has: {enumerate_some(names, 12)}."
            )

    def alpha(theta: Array) -> Array:
        value = np.atleast_1d(evaluate(quoted, dict(zip(known, theta, strict=True))))
        _refuse_not_positive(value, "marginal_utility=", None)
        return value

    return alpha


def alpha_of_price(
    part: Component, theta: Array, before: ChoiceData, after: ChoiceData, price: str
) -> Callable[[Array], Array]:
    """Return the marginal utility of income, shape (N,): what the price takes from the logsum.

    Parameters
    ----------
    part
        By what the cases choose.
    theta
        The estimate, at which the price is examined.
    before, after
        The two states.
    price
        The column.

    Raises
    ------
    SpecificationError
        If a higher price of all alternatives changes the probabilities, or the marginal utility
        differs between the states.
    EstimationError
        If it is not positive.
    """
    rise = float(np.abs(numeric_column(before.table, price)).mean()) or 1.0
    alphas = []
    for data in (before, after):
        now, then = part.over(data), part.over(change(data, {price: f"`{price}` + {rise!r}"}))
        if np.abs(now(theta)[0] - then(theta)[0]).max() > _SAME:
            raise SpecificationError(
                f"a higher '{price}' of all alternatives by the same amount changes the choice "
                "probabilities, so the marginal utility of income is not constant; use "
                "compensating_variation(), or give marginal_utility=."
            )
        alphas.append(_difference(now, then, rise))
        _refuse_not_positive(alphas[-1](theta), f"'{price}'", data)
    if not np.allclose(alphas[0](theta), alphas[1](theta), rtol=1e-6, atol=0):
        raise SpecificationError(
            f"the marginal utility of income that '{price}' shows is not the same before and "
            "after the change; use compensating_variation(), or give marginal_utility=."
        )
    return alphas[0]


def _difference(
    now: Callable[[Array], tuple[Array, Array]],
    then: Callable[[Array], tuple[Array, Array]],
    rise: float,
) -> Callable[[Array], Array]:
    """Return what the logsum loses for each unit that the price rises."""
    return lambda theta: np.asarray((now(theta)[1] - then(theta)[1]) / rise)


def _refuse_not_positive(alpha: Array, what: str, data: ChoiceData | None) -> None:
    wrong = np.flatnonzero(~(alpha > 0))
    if len(wrong):
        cases = (
            "" if data is None else f" in {len(wrong):,} cases (first: {data.case_ids[wrong[0]]})"
        )
        raise EstimationError(
            f"the marginal utility of income by {what} is not positive{cases}: a higher price "
            "would be a gain, and surplus has no meaning."
        )
