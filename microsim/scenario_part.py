"""What every part of a scenario has in common, and how its parts are dated."""

import re
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from microsim.assumptions.fields import Settings

__all__ = ["CBSA", "Dollars", "Lasting", "Month", "Part", "Starting"]


def _code(value: Any) -> Any:
    """Take a CBSA code that YAML read as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _month(value: Any) -> Any:
    if value is not None and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", str(value)):
        raise ValueError(f"{value} is not a month; write one such as 2025-01")
    return value


CBSA = Annotated[str, BeforeValidator(_code)]
Dollars = Annotated[float, Field(ge=0, le=1e9)]
"""A payment; sums of so many cents over everybody are still whole numbers of 64 bits."""
Month = Annotated[str, BeforeValidator(_month)]
"""A month of the calendar, "YYYY-MM"."""


class Part(Settings):
    """A part of a scenario."""


class Starting(Part):
    """A part that begins some time.

    Attributes
    ----------
    start_month
        Months after the run's first, from 0.
    start
        The same as a month of the calendar, such as 2025-01; give one of the two.
    """

    start_month: int = Field(default=0, ge=0)
    start: Month | None = None

    @property
    def metros_named(self) -> dict[str, tuple[str, ...]]:
        """The CBSA codes that it names, by the key that names them."""
        return {}

    @model_validator(mode="after")
    def _dated_once(self) -> Self:
        for key in ("start", "end"):
            date, count = getattr(self, key, None), getattr(self, f"{key}_month", None)
            if date is not None and count != type(self).model_fields[f"{key}_month"].default:
                raise ValueError(f"{key} is {date} and {key}_month is {count}; give one of the two")
        return self

    def counted(self, first: str) -> dict[str, Any]:
        """Return its keys and values, dates counted as months of a run.

        Parameters
        ----------
        first
            First month of the run, "YYYY-MM".

        Raises
        ------
        ValueError
            If a date lies before the run.
        """
        content = self.model_dump()
        for key in ("start", "end"):
            date = content.get(key)
            if date is None:
                continue
            count = _months(date) - _months(first)
            if count < 0:
                raise ValueError(
                    f"{key} is {date}, before the run's first month {first}; give a later month, "
                    "or start the run earlier"
                )
            content |= {key: None, f"{key}_month": count}
        return content


class Lasting(Starting):
    """A part that begins some time, and may end.

    Attributes
    ----------
    end_month
        Its last month, counted as ``start_month``; without it, it does not end.
    end
        The same as a month of the calendar; give one of the two.
    """

    end_month: int | None = Field(default=None, ge=0)
    end: Month | None = None

    @model_validator(mode="after")
    def _ends_later(self) -> Self:
        counts, dates = (self.start_month, self.end_month), (self.start, self.end)
        # Where only one of them is a date, a run's first month has yet to bring them together.
        if dates == (None, None) and counts[1] is not None and counts[1] < counts[0]:
            raise ValueError(
                f"end_month is {counts[1]}, before start_month {counts[0]}; give a later one"
            )
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError(f"end is {self.end}, before start {self.start}; give a later one")
        return self


def _months(date: str) -> int:
    """Return the months from year 0 to ``date``, "YYYY-MM"."""
    return 12 * int(date[:4]) + int(date[5:])
