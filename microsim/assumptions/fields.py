"""How a parameter is declared: default, unit, source, meaning and bounds."""

from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from choicemodels.errors import SpecificationError
from microsim.settings_file import explain

__all__ = [
    "EightFactors",
    "FiveFactors",
    "FiveShares",
    "FourFactors",
    "FourShares",
    "Group",
    "Range",
    "Settings",
    "Share",
    "Shares",
    "SixFactors",
    "ThreeFactors",
    "ThreeShares",
    "parameter",
]


def parameter(default: Any, unit: str, source: str, description: str, **bounds: Any) -> Any:
    """Declare one parameter."""
    return Field(
        default=default,
        description=description,
        json_schema_extra={"unit": unit, "source": source},
        **bounds,
    )


def _shares(values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values) < 0 or abs(sum(values) - 1.0) > 1e-9:
        raise ValueError("shares must each be at least 0 and add up to 1")
    return values


def _ascending(values: tuple[float, float]) -> tuple[float, float]:
    if not 0 < values[0] <= values[1]:
        raise ValueError("bounds must be positive, the lower one first")
    return values


def _not_negative(values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values) < 0:
        raise ValueError("values must be at least 0")
    return values


ThreeFactors = Annotated[tuple[float, float, float], AfterValidator(_not_negative)]
FourFactors = Annotated[tuple[float, float, float, float], AfterValidator(_not_negative)]
FiveFactors = Annotated[tuple[float, float, float, float, float], AfterValidator(_not_negative)]
SixFactors = Annotated[
    tuple[float, float, float, float, float, float], AfterValidator(_not_negative)
]
EightFactors = Annotated[
    tuple[float, float, float, float, float, float, float, float], AfterValidator(_not_negative)
]
Share = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[float, float], AfterValidator(_ascending)]
ThreeShares = Annotated[tuple[float, float, float], AfterValidator(_shares)]
FiveShares = Annotated[tuple[float, float, float, float, float], AfterValidator(_shares)]
FourShares = Annotated[tuple[float, float, float, float], AfterValidator(_shares)]
Shares = Annotated[tuple[float, ...], AfterValidator(_shares)]


class Settings(BaseModel):
    """Keys and values that refuse unknown keys, and do not change once built.

    Raises
    ------
    SpecificationError
        If a value cannot be, where one is built by its name; inside of others, and by
        ``model_validate``, pydantic's own error is raised.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise SpecificationError(explain(error, type(self), type(self).__name__)) from None

    # pydantic then builds nested parts without it, and locates itself what is wrong in them.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_no_flags(cls, content: Any) -> Any:
        # YAML reads a bare yes as true, which Python would take for 1.
        for key, value in content.items() if isinstance(content, dict) else ():
            field = cls.model_fields.get(key)
            if field is not None and _has_flag(value) and _is_numeric(field.annotation):
                raise ValueError(f"{key} has yes or no (true or false) for a number; give a number")
        return content


class Group(Settings):
    """A frozen group of parameters that refuses unknown names."""


def _has_flag(value: Any) -> bool:
    """Say whether a value, or one inside it, is true or false."""
    if isinstance(value, dict):
        return any(_has_flag(entry) for entry in value.values())
    if isinstance(value, list | tuple):
        return any(_has_flag(entry) for entry in value)
    return isinstance(value, bool)


def _is_numeric(annotation: Any) -> bool:
    """Say whether a field holds numbers, and neither flags nor keys and values of its own."""
    leaves = _leaves(annotation)
    flags = any(leaf is bool for leaf in leaves)
    return not flags and any(leaf is int or leaf is float for leaf in leaves)


def _leaves(annotation: Any) -> list[Any]:
    """Return the types that a type such as ``tuple[float, ...] | None`` is made of."""
    inner = get_args(annotation)
    return [leaf for part in inner for leaf in _leaves(part)] if inner else [annotation]
