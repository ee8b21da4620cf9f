"""The small language of utilities: products of expressions over named variables.

A utility is a sum of terms, and a term is a coefficient times a product of factors, each an
expression such as ``cost``, ``log(distance)`` or ``region == 'South'``. Expressions are read
into Python's syntax tree and evaluated by us, node by node: a formula from a file can name
variables, numbers, arithmetic, comparisons and the functions below, and nothing else.
"""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError
from choicemodels.frames import closest

__all__ = ["FUNCTIONS", "Columns", "Term", "UtilityTerm", "evaluate", "product", "variables"]

Array = NDArray[np.float64]
# Arrays or Series by variable name.
Columns: TypeAlias = Mapping[str, Any] | pd.DataFrame

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "I": lambda x: x,
    "abs": np.abs,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "sqrt": np.sqrt,
}

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Term:
    """One column of a design: a product of expressions.

    Attributes
    ----------
    name : str
        What tables call it, e.g. ``"income:train"``.
    factors : tuple of str
        Expressions whose product is the column; empty for a constant.
    alternatives : tuple of str or None
        The alternatives whose utility it enters; None for all.
    levels : tuple of (str, tuple)
        The categories among its variables, each with all levels that the model knows, the base
        among them.
    """

    name: str
    factors: tuple[str, ...]
    alternatives: tuple[str, ...] | None = None
    levels: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def variables(self) -> frozenset[str]:
        """Names of the variables that the factors use."""
        return frozenset().union(*(variables(factor) for factor in self.factors))

    def part(self, factors: tuple[str, ...]) -> Self:
        """Return the term of some of its factors, with the levels of their variables."""
        part = replace(self, factors=factors)
        levels = tuple(pair for pair in self.levels if pair[0] in part.variables)
        return replace(part, levels=levels)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild a term from its fields, lists for tuples, as JSON has them."""
        only = saved["alternatives"]
        return cls(
            saved["name"],
            tuple(saved["factors"]),
            None if only is None else tuple(only),
            tuple((name, tuple(levels)) for name, levels in saved["levels"]),
        )


@dataclass(frozen=True)
class UtilityTerm:
    """A term with its coefficient: ``coefficient * prod(factors)``, for ``alternatives``.

    Attributes
    ----------
    name : str
    coefficient : float
    factors : tuple of str
    alternatives : tuple of str or None
    """

    name: str
    coefficient: float
    factors: tuple[str, ...]
    alternatives: tuple[str, ...] | None


@lru_cache(maxsize=1024)
def _parse(expression: str) -> ast.expr:
    try:
        return ast.parse(re.sub(r"`([^`]+)`", _encode, expression), mode="eval").body
    except SyntaxError as problem:
        raise SpecificationError(
            f"cannot read '{expression}' as an expression ({problem.msg}); "
            "write for example log(distance), age / 10 or I(age ** 2)."
        ) from None


_QUOTED = "quoted_"  # a name in backticks, in hexadecimal, passes through Python's parser


def _encode(match: re.Match[str]) -> str:
    return _QUOTED + match[1].encode().hex()


def _decode(name: str) -> str:
    return bytes.fromhex(name[len(_QUOTED) :]).decode() if name.startswith(_QUOTED) else name


@lru_cache(maxsize=1024)
def variables(expression: str) -> frozenset[str]:
    """Return the names of the variables in an expression.

    Raises
    ------
    SpecificationError
        If the expression holds anything but variables, numbers, arithmetic, comparisons and
        the functions of :data:`FUNCTIONS`.
    """
    return frozenset(_names(_parse(expression), expression))


def _names(node: ast.expr, whole: str) -> set[str]:
    match node:
        case ast.Name(id=name):
            return {_decode(name)}
        case ast.Constant(value=bool() | int() | float() | str()):
            return set()
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _names(operand, whole)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return _names(left, whole) | _names(right, whole)
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if (
            type(operator) in _COMPARISONS
        ):
            return _names(left, whole) | _names(right, whole)
        case ast.Call(func=func, args=args, keywords=[]):
            _function(func, whole)
            return set().union(*(_names(arg, whole) for arg in args))
    raise SpecificationError(
        f"'{ast.unparse(node)}' in '{whole}' is not allowed in a formula; use variables, numbers, "
        "+ - * / **, one comparison, and the functions " + ", ".join(FUNCTIONS) + "."
    )


def _function(func: ast.expr, whole: str) -> Callable[..., Any]:
    """Look up ``log`` or ``np.log`` among the functions we offer."""
    match func:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name):
            if name in FUNCTIONS:
                return FUNCTIONS[name]
            raise SpecificationError(
                f"'{whole}' uses the function '{name}'{closest(name, FUNCTIONS)}, which formulas "
                f"do not offer; the functions are {', '.join(FUNCTIONS)}. Other transformations "
                "belong into the table, as a column."
            )
    raise SpecificationError(f"'{ast.unparse(func)}' in '{whole}' is not a function name.")


def evaluate(expression: str, columns: Columns) -> Array:
    """Evaluate a numeric expression over columns that broadcast together.

    Parameters
    ----------
    expression
        For example ``"log(distance)"``.
    columns
        Arrays or Series by variable name; a pandas frame will do.

    Returns
    -------
    ndarray of float64
        Of the broadcast shape; zero-dimensional if the expression names no variable.

    Raises
    ------
    DataError
        If a variable is missing or is text where a number is needed.
    SpecificationError
        If the expression is not of the language.
    """
    for name in variables(expression):
        if name not in columns:
            raise DataError(
                f"'{expression}' needs the variable '{name}', which is not there"
                f"{closest(name, map(str, columns))}; there are: {', '.join(map(str, columns))}."
            )
    with np.errstate(all="ignore"):  # non-finite results are reported by the caller, with rows
        return _number(_value(_parse(expression), columns, expression), expression)


def _number(value: Any, expression: str) -> Array:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{expression!r} is not numeric (its values are like {np.ravel(value).tolist()[0]!r}); "
            "convert the column, or write C(...) to make it a category."
        ) from None


def _value(node: ast.expr, columns: Columns, whole: str) -> Any:
    """Evaluate a syntax tree that :func:`_names` has let pass."""
    match node:
        case ast.Name(id=name):
            return columns[_decode(name)]
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=operator, operand=operand):
            inner = _number(_value(operand, columns, whole), whole)
            return -inner if isinstance(operator, ast.USub) else inner
        case ast.BinOp(left=left, op=operator, right=right):
            a, b = (_number(_value(side, columns, whole), whole) for side in (left, right))
            return _OPERATORS[type(operator)](a, b)
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            a, b = (_value(side, columns, whole) for side in (left, right))
            return _compare(_COMPARISONS[type(operator)], a, b)
        case ast.Call(func=func, args=args):
            numbers = [_number(_value(arg, columns, whole), whole) for arg in args]
            try:
                return _function(func, whole)(*numbers)
            except TypeError:
                raise SpecificationError(
                    f"'{ast.unparse(node)}' has the wrong number of arguments."
                ) from None
    raise AssertionError(f"unchecked expression {whole}")


def _compare(operator: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Compare two values; where one is missing, so is the result, which Python would call False."""
    true = operator(a, b)
    missing = pd.isna(a) | pd.isna(b)
    return np.where(missing, np.nan, true) if np.any(missing) else true


def product(factors: tuple[str, ...], columns: Columns) -> Array:
    """Return the product of the factors over ``columns``; 1.0 for no factor."""
    value: Array = np.asarray(1.0)
    for factor in factors:
        value = value * evaluate(factor, columns) if value.ndim else evaluate(factor, columns)
    return value
