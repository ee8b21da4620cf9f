"""The gravity model: which covariates and which fixed effects stand behind a flow."""

import re
from dataclasses import dataclass, field

from choicemodels.errors import SpecificationError
from choicemodels.formula import split_parts

__all__ = ["Gravity"]

_NAME = re.compile(r"`[^`]+`|[^\W\d]\w*", re.UNICODE)


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
        has fixed effects only. There is no left-hand side: the data know the flow column.
    offset : str
        An expression that enters with the coefficient one, such as ``"log(population)"``.

    Raises
    ------
    SpecificationError
        If the formula has a left-hand side, too many parts, no content, or an effect that is
        not a name, or names one twice.
    """

    formula: str
    offset: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
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
        effects = self.effects
        if len(set(effects)) < len(effects):
            twice = next(e for e in effects if effects.count(e) > 1)
            raise SpecificationError(f"the fixed effect '{twice}' is named twice; once is enough.")

    @property
    def regressors(self) -> str:
        """The first part of the formula."""
        return split_parts(self.formula, 2)[0]

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of the fixed effects, such as ``"origin^year"``, in order."""
        parts = split_parts(self.formula, 2)
        if len(parts) == 1:
            return ()
        return tuple(_effect(text, self.formula) for text in parts[1].split("+"))


def _effect(text: str, formula: str) -> str:
    names = [name.strip() for name in text.split("^")]
    for name in names:
        if not _NAME.fullmatch(name):
            raise SpecificationError(
                f"the fixed effect '{text.strip()}' in '{formula}' is not a column or columns "
                "joined by '^'; write for example 'origin^year + destination^year'."
            )
    stripped = [name.strip("`") for name in names]
    return "^".join(stripped)
