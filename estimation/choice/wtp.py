"""Willingness to pay: ratios of coefficients, with three kinds of intervals.

``w = -a / c`` for the coefficient a of what is paid for and c of cost. The delta method takes w
for normal; Fieller inverts the test of ``a + w c = 0``, which needs no such assumption and knows
when the data leave w open [Fieller1954]_; Krinsky and Robb draw (a, c) from their normal
distribution [KrinskyRobb1986]_. [Hole2007]_ compares them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.frames import closest
from estimation.delta import delta_method
from estimation.results import Result
from estimation.summary import format_table

__all__ = ["WillingnessToPay", "fieller_limits", "willingness_to_pay"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WillingnessToPay:
    """Ratios of coefficients and their limits.

    Attributes
    ----------
    table : DataFrame
        One row a numerator: estimate, std err (by the delta method, whatever the limits), lower
        and upper limit. Limits are infinite where the data leave the ratio open on a side.
    method : str
        ``"delta"``, ``"fieller"`` or ``"krinsky-robb"``.
    alpha : float
        The limits are those of level ``1 - alpha``.
    notes : tuple of str
        Which covariance was used, and where limits are open, and why.
    """

    table: pd.DataFrame
    method: str
    alpha: float
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([format_table(self.table).to_string(), *self.notes])


def willingness_to_pay(
    result: Result,
    numerator: str | Sequence[str],
    denominator: str,
    *,
    method: Literal["delta", "fieller", "krinsky-robb"] = "delta",
    alpha: float = 0.05,
    draws: int = 10_000,
    seed: int = 0,
) -> WillingnessToPay:
    """Estimate what one more unit is worth: ``-numerator / denominator``.

    Parameters
    ----------
    result
        Its covariance is used as it is: choose it with ``with_cov`` first.
    numerator
        Names of the coefficients of what is paid for.
    denominator
        Name of the coefficient of cost, in whose unit the values are.
    method
        How the limits are found.
    alpha
        The limits are those of level ``1 - alpha``.
    draws, seed
        Of Krinsky and Robb's simulation.

    Raises
    ------
    SpecificationError
        If a name is unknown, or the method or the level is not one.
    EstimationError
        If the coefficient of cost is zero.
    """
    listed = (numerator,) if isinstance(numerator, str) else tuple(numerator)
    _check(result, (*listed, denominator), method, alpha, draws)
    cost = float(result.params[denominator])
    if cost == 0.0:
        raise EstimationError(f"the coefficient of '{denominator}' is zero: nothing has a price.")
    delta = delta_method(result, lambda b: -b[list(listed)] / b[denominator])
    notes = [f"Limits by the method '{method}'; standard errors: {delta.covariance.label}."]
    if method == "delta":
        limits = delta.conf_int(alpha).to_numpy()
    elif method == "fieller":
        limits = np.empty((len(listed), 2))
        for row, name in enumerate(listed):
            limits[row], note = _fieller(result, name, denominator, alpha)
            notes += [note] if note else []
    else:
        limits = _krinsky_robb(result, listed, denominator, alpha, draws, seed)
        notes.append(f"{draws:,} draws, seed {seed}.")
    table = pd.DataFrame(
        {
            "estimate": delta.params,
            "std err": delta.bse,
            "lower": limits[:, 0],
            "upper": limits[:, 1],
        },
        index=pd.Index(listed, name=f"per unit of {denominator}"),
    )
    return WillingnessToPay(table, method, alpha, tuple(notes))


def _check(result: Result, names: tuple[str, ...], method: str, alpha: float, draws: int) -> None:
    for name in names:
        if name not in result.names:
            raise SpecificationError(
                f"no parameter is called '{name}'{closest(name, result.names)}; there are: "
                f"{', '.join(result.names)}."
            )
    methods = ("delta", "fieller", "krinsky-robb")
    if method not in methods:
        raise SpecificationError(
            f"method is '{method}'{closest(method, methods)}; it is one of {', '.join(methods)}."
        )
    if not 0 < alpha < 1:
        raise SpecificationError(f"alpha is {alpha}; it must lie between 0 and 1.")
    if draws < 100:
        raise SpecificationError(f"draws is {draws}; limits need at least 100.")


def fieller_limits(
    a: float, c: float, variance: Array, alpha: float = 0.05
) -> tuple[float, float, str]:
    """Return Fieller's limits of ``a / c``.

    The set of all r with ``(a - r c)^2 <= z^2 (v_aa - 2 r v_ac + r^2 v_cc)`` is an interval if c
    differs significantly from zero; otherwise it leaves out an interval, or nothing.

    Parameters
    ----------
    a, c
        Normal estimates.
    variance
        Their covariance, shape (2, 2).
    alpha
        The limits are those of level ``1 - alpha``.

    Returns
    -------
    lower, upper : float
        Infinite if the set is not an interval.
    left_out : str
        ``""`` for an interval, else ``"nothing"`` or the interval that the set leaves out.
    """
    z2 = float(-ndtri(alpha / 2)) ** 2
    # The set solves A r^2 - 2 B r + C <= 0.
    A = c * c - z2 * variance[1, 1]
    B = a * c - z2 * variance[0, 1]
    C = a * a - z2 * variance[0, 0]
    discriminant = B * B - A * C
    if A > 0:
        # With c significant the set holds a / c, so the roots are real.
        reach = np.sqrt(max(discriminant, 0.0))
        return (B - reach) / A, (B + reach) / A, ""
    if discriminant <= 0 or A == 0:
        return -np.inf, np.inf, "nothing"
    low, high = sorted([(B - np.sqrt(discriminant)) / A, (B + np.sqrt(discriminant)) / A])
    return -np.inf, np.inf, f"({low:.5g}, {high:.5g})"


def _fieller(
    result: Result, name: str, denominator: str, alpha: float
) -> tuple[tuple[float, float], str]:
    pair = [name, denominator]
    variance = result.cov_params().loc[pair, pair].to_numpy()
    lower, upper, left_out = fieller_limits(
        -float(result.params[name]),
        float(result.params[denominator]),
        variance * np.array([[1.0, -1.0], [-1.0, 1.0]]),
        alpha,
    )
    if not left_out:
        return (lower, upper), ""
    note = (
        f"'{denominator}' does not differ from zero at the level {alpha:g}, so the data do not "
        f"bound the value of '{name}': all values"
        + ("" if left_out == "nothing" else f" outside of {left_out}")
        + " are compatible with them."
    )
    return (lower, upper), note


def _krinsky_robb(
    result: Result, listed: tuple[str, ...], denominator: str, alpha: float, draws: int, seed: int
) -> Array:
    """Simulate the limits, shape (Q, 2)."""
    kept = list(dict.fromkeys([*listed, denominator]))
    variance = result.cov_params().loc[kept, kept].to_numpy()
    drawn = np.random.default_rng(seed).multivariate_normal(
        result.params[kept].to_numpy(), variance, size=draws, method="eigh"
    )
    cost = drawn[:, kept.index(denominator)]
    ratios = np.column_stack([-drawn[:, kept.index(name)] / cost for name in listed])
    return np.quantile(ratios, [alpha / 2, 1 - alpha / 2], axis=0).T
