"""Counts that a caller asks for: whole numbers, of Python or of numpy."""

from numbers import Integral
from typing import Any

from choicemodels.errors import SpecificationError

__all__ = ["whole"]


def whole(value: Any, name: str) -> int:
    """Return a count as an integer.

    Parameters
    ----------
    value
    name
        What the message calls it.

    Raises
    ------
    SpecificationError
        If it is no whole number; 2.0 is none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise SpecificationError(f"{name} is {value!r}; give a whole number.")
    return int(value)
