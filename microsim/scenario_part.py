"""What every part of a scenario has in common."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

__all__ = ["CBSA", "Part"]


def _code(value: Any) -> Any:
    """Take a CBSA code that YAML read as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


CBSA = Annotated[str, BeforeValidator(_code)]


class Part(BaseModel):
    """Keys and values that refuse unknown keys, and do not change once built."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
