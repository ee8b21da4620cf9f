"""The delta method: functions of the parameters with their standard errors.

For ``g = f(theta)`` with Jacobian ``G``, the covariance of g is ``G V G'`` to first order
[Oehlert1992]_.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, SpecificationError, enumerate_some
from choicemodels.frames import closest
from choicemodels.restrictions import plain_names, quote_names
from choicemodels.utility import evaluate, variables
from estimation.estimates import Estimates
from estimation.results import Result
from estimation.summary import coefficient_table, format_table

__all__ = ["DerivedEstimates", "delta_method", "jacobian"]

Array = NDArray[np.float64]
# One expression, several by name, or a function of the parameters.
Function: TypeAlias = str | Sequence[str] | Mapping[str, str] | Callable[[pd.Series], Any]

# The step that balances rounding against truncation in a difference of fourth order.
_STEP = float(np.finfo(np.float64).eps ** 0.2)


@dataclass(frozen=True, eq=False, repr=False)
class DerivedEstimates(Estimates):
    """Functions of estimated parameters, with standard errors by the delta method.

    Attributes
    ----------
    names : tuple of str, length Q
    estimate : ndarray, shape (Q,)
    covariance : Covariance
        Of the kind that the result showed.
    jacobian : ndarray, shape (Q, K)
        Derivatives by the parameters of the result.
    """

    jacobian: Array

    @property
    def table(self) -> pd.DataFrame:
        """One row a function: coef, std err, z, P>|z| and limits at 95 percent."""
        return coefficient_table(self.params, self.bse, self.tvalues, self.pvalues, self.conf_int())

    def __str__(self) -> str:
        note = f"Standard errors: {self.covariance.label}, by the delta method."
        return f"{format_table(self.table).to_string()}\n{note}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(format_table(self.table).to_html(border=0))


def delta_method(
    result: Result, function: Function, names: Sequence[str] | None = None
) -> DerivedEstimates:
    """Estimate functions of the parameters, with standard errors.

    Parameters
    ----------
    result
        Its covariance is used as it is: choose it with ``with_cov`` first.
    function
        An expression in the parameters' names such as ``"-time / cost"`` (names may stand in
        backticks), a list of expressions, a mapping from names to expressions, or a function of
        the Series of parameters that returns a number, a Series or an array.
    names
        What to call the values; by default the expressions, the keys of a mapping, the index of
        a Series, or the name of the function.

    Raises
    ------
    SpecificationError
        If an expression cannot be read, names an unknown parameter, or the names do not match
        the values in number.
    EstimationError
        If a value or a derivative is not finite at the estimate.
    """
    labels, value_of = _values(result, function)
    theta = result.estimate
    value = value_of(theta)
    labels = _labels(labels, names, len(value))
    with np.errstate(all="ignore"):  # what is not finite is refused below, by name
        G = jacobian(value_of, theta, result.bse.to_numpy())
    wrong = ~(np.isfinite(value) & np.isfinite(G).all(axis=1))
    if wrong.any():
        some = enumerate_some([f"'{labels[int(q)]}'" for q in np.flatnonzero(wrong)])
        raise EstimationError(
            f"the value or a derivative of {some} is not finite at the estimates; check for "
            "a division by zero or the logarithm of a negative number."
        )
    V = result.covariance.matrix
    matrix = G @ V @ G.T
    # What does not vary has a variance of rounding errors, of either sign.
    size = np.einsum("qk,kl,ql->q", np.abs(G), np.abs(V), np.abs(G))
    still = np.abs(np.diag(matrix)) <= 1e-15 * size
    matrix[np.diag_indices(len(matrix))] = np.where(still, 0.0, np.diag(matrix))
    covariance = replace(result.covariance, matrix=matrix)
    return DerivedEstimates(labels, value, covariance, G)


def jacobian(
    function: Callable[[Array], Array], theta: Array, spread: Array | None = None
) -> Array:
    """Differentiate numerically, by central differences of fourth order.

    Parameters
    ----------
    function
        From parameters, shape (K,), to values, shape (Q,).
    theta
        The point, shape (K,).
    spread
        Standard errors of the parameters, shape (K,): they set the step where a parameter is
        next to zero.

    Returns
    -------
    ndarray, shape (Q, K)
    """
    typical = np.abs(theta) if spread is None else np.maximum(np.abs(theta), 0.01 * spread)
    columns = []
    for k, size in enumerate(np.where(typical > 0, typical, 1.0)):

        def at(steps: int, k: int = k, h: float = _STEP * size) -> Array:
            moved = theta.copy()
            moved[k] += steps * h
            return function(moved)

        h = _STEP * size
        columns.append((8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h))
    return np.column_stack(columns)


def _values(
    result: Result, function: Function
) -> tuple[tuple[str, ...] | str, Callable[[Array], Array]]:
    """Return default names (a stem, if they depend on the number) and a function of arrays."""
    if callable(function):
        index = pd.Index(result.names)
        first = function(result.params.copy())
        labels = getattr(first, "index", None)
        stem = getattr(function, "__name__", "value")
        stem = "value" if stem == "<lambda>" else stem

        def call(theta: Array) -> Array:
            value = function(pd.Series(theta, index=index))
            return np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel()

        return (stem if labels is None else tuple(map(str, labels))), call
    if isinstance(function, str):
        named = {function: function}
    elif isinstance(function, Mapping):
        named = {str(name): text for name, text in function.items()}
    else:
        named = {text: text for text in function}
    quoted = [_checked(text, result.names) for text in named.values()]

    def compute(theta: Array) -> Array:
        columns = dict(zip(plain_names(result.names), theta, strict=True))
        return np.array([float(evaluate(text, columns)) for text in quoted])

    return tuple(named), compute


def _checked(text: str, names: Sequence[str]) -> str:
    """Quote the names in an expression and refuse unknown ones."""
    quoted = quote_names(text, names)
    for name in sorted(variables(quoted)):
        if name not in plain_names(names):
            raise SpecificationError(
                f"'{text}' names the parameter '{name}'{closest(name, names)}, which the result "
                f"does not have; it has: {', '.join(names)}."
            )
    return quoted


def _labels(
    labels: tuple[str, ...] | str, names: Sequence[str] | None, count: int
) -> tuple[str, ...]:
    if names is not None:
        given = (names,) if isinstance(names, str) else tuple(map(str, names))
        if len(given) != count:
            raise SpecificationError(f"{len(given)} names were given for {count} values.")
        return given
    if not isinstance(labels, str):
        return labels
    return (labels,) if count == 1 else tuple(f"{labels}[{q}]" for q in range(count))
