"""What nestflow raises and warns: one family, so that a caller can catch it whole.

Every message says what is wrong, where (case, alternative, row, column), and what to do.
"""

from collections.abc import Sequence

__all__ = [
    "DataError",
    "EstimationError",
    "IdentificationError",
    "NestflowError",
    "NestflowWarning",
    "SpecificationError",
    "enumerate_some",
]


class NestflowError(ValueError):
    """The root of the errors that nestflow raises for what a user can mend."""


class DataError(NestflowError):
    """The data cannot be used as given."""


class SpecificationError(NestflowError):
    """The model, scenario or option is not one that can be built."""


class EstimationError(NestflowError):
    """The estimation could not be finished."""


class IdentificationError(EstimationError):
    """The data do not tell the parameters apart; the message names the columns."""


class NestflowWarning(UserWarning):
    """Something the user should know, that does not stop the work."""


def enumerate_some(items: Sequence[object], most: int = 5) -> str:
    """List the first few of ``items`` for a message, and say how many were left out."""
    shown = ", ".join(str(item) for item in items[:most])
    rest = len(items) - most
    return f"{shown} and {rest:,} more" if rest > 0 else shown
