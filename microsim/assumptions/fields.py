"""How a parameter is declared: default, unit, source, meaning and bounds."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = [
    "EightFactors",
    "FiveFactors",
    "FiveShares",
    "FourFactors",
    "FourShares",
    "Group",
    "Range",
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


class Group(BaseModel):
    """A frozen group of parameters that refuses unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
