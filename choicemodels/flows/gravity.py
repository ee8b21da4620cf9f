"""The gravity model: which covariates and which fixed effects stand behind a flow."""

import re
from dataclasses import dataclass, field

from choicemodels.errors import SpecificationError
from choicemodels.formula import split_outside, split_parts

__all__ = ["Gravity", "Slope"]

_NAME = re.compile(r"`[^`]+`|[^\W\d]\w*", re.UNICODE)
_EFFECT = re.compile(r"(?P<columns>[^\[\]]+?)\s*(?:\[(?P<slopes>.+)\])?", re.DOTALL)


@dataclass(frozen=True)
class Slope:
    """A variable whose coefficient differs between the levels of a fixed effect.

    Attributes
    ----------
    effect : str
        Such as ``"origin^year"``.
    variable : str
        An expression, such as ``"log(distance)"``.
    """

    effect: str
    variable: str

    @property
    def name(self) -> str:
        """As in the formula, ``"origin[log(distance)]"``."""
        return f"{self.effect}[{self.variable}]"


@dataclass(frozen=True)
class Gravity:
    """A gravity model of flows with an exponential mean.

    ``E[y_od | x] = mu_od = exp(x_od' beta + offset_od + sum of the fixed effects of the row)``,
    the constant-elasticity model of [SantosSilvaTenreyro2006]_.

    Parameters
    ----------
    formula : str
        ``"regressors | fixed effects"``: the first part in Wilkinson's notation, the second
        names of columns joined by ``+``; ``^`` joins columns into one effect, as in
        ``"log(distance) + contiguous | origin^year + destination^year"``. Without a second
        part there is an intercept, unless ``0 +`` removes it. ``"1 | origin + destination"``
        has fixed effects only. ``origin[log(distance)]`` is an effect and a slope for each
        origin, ``origin[[log(distance)]]`` the slopes alone, as in R's fixest; several variables
        are separated by commas. There is no left-hand side: the data know the flow column.
    offset : str
        An expression that enters with the coefficient one, such as ``"log(population)"``.

    Raises
    ------
    SpecificationError
        If the formula has a left-hand side, too many parts, no content, or an effect that is
        not a name, or names one twice; or formula or offset are no text.
    """

    formula: str
    offset: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        for name in ("formula", "offset"):
            if not isinstance(getattr(self, name), str):
                raise SpecificationError(
                    f"{name} is a {type(getattr(self, name)).__name__}; give it as text, such as "
                    + ("'log(distance) | origin'." if name == "formula" else "'log(population)'.")
                )
        parts = split_parts(self.formula, 2)
        if not parts[0] and not any(parts[1:]):
            raise SpecificationError(
                "the gravity formula is empty; write for example "
                "'log(distance) | origin + destination'."
            )
        if len(parts) == 2 and not parts[1]:
            raise SpecificationError(
                f"the formula '{self.formula}' has a bar but no fixed effect after it; name "
                "columns there, or leave the bar out."
            )
        for names in (self.effects, tuple(slope.name for slope in self.slopes)):
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise SpecificationError(
                    f"the fixed effect '{twice}' is named twice; once is enough."
                )
        if self.slopes and not self.effects:
            raise SpecificationError(
                f"'{self.slopes[0].name}' stands without a fixed effect in levels; write "
                f"'{self.slopes[0].effect}[{self.slopes[0].variable}]' for both, or add another "
                "effect."
            )

    @property
    def regressors(self) -> str:
        """The first part of the formula."""
        return split_parts(self.formula, 2)[0]

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of the fixed effects in levels, such as ``"origin^year"``, in order."""
        return tuple(name for name, level, _ in self._absorbed() if level)

    @property
    def slopes(self) -> tuple[Slope, ...]:
        """The slopes that differ between levels of an effect, in order."""
        return tuple(Slope(name, v) for name, _, slopes in self._absorbed() for v in slopes)

    def _absorbed(self) -> list[tuple[str, bool, list[str]]]:
        """Read the second part: the name of each effect, whether it has levels, its slopes."""
        parts = split_parts(self.formula, 2)
        if len(parts) == 1:
            return []
        return [_effect(text, self.formula) for text in split_outside(parts[1], "+")]


def _effect(text: str, formula: str) -> tuple[str, bool, list[str]]:
    found = _EFFECT.fullmatch(text.strip())
    names = [name.strip() for name in found["columns"].split("^")] if found else [text]
    for name in names:
        if not _NAME.fullmatch(name):
            raise SpecificationError(
                f"the fixed effect '{text.strip()}' in '{formula}' is not a column or columns "
                "joined by '^'; write for example 'origin^year + destination^year', or "
                "'origin[log(distance)]' for slopes."
            )
    inside = (found["slopes"] or "" if found else "").strip()
    alone = inside.startswith("[") and inside.endswith("]")
    slopes = split_outside(inside[1:-1] if alone else inside, ",") if inside else []
    if not all(slopes):
        raise SpecificationError(f"a slope in '{text.strip()}' of '{formula}' has no variable.")
    return "^".join(name.strip("`") for name in names), not alone, slopes
