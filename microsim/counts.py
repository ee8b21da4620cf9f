"""Counts that a caller asks for: whole numbers, of Python or of numpy."""

from numbers import Integral
from typing import Any

from choicemodels.errors import SpecificationError

__all__ = ["whole"]


def whole(value: Any, name: str, *, least: int | None = None) -> int:
    """Return a count as an integer.

    Parameters
    ----------
    value
    name
        What the message calls it.
    least
        The least that is allowed.

    Raises
    ------
    SpecificationError
        If it is no whole number, as 2.0 is none, or too small.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or (least is not None and value < least):
        bound = "" if least is None else f", at least {least}"
        raise SpecificationError(f"{name} is {value!r}; give a whole number{bound}.")
    return int(value)
