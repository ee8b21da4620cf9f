"""Ordered logit and probit as a specification: one outcome on an ordered scale."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from choicemodels.errors import SpecificationError
from choicemodels.formula import split_parts

__all__ = ["Level", "OrderedChoice", "plain_level"]

Level: TypeAlias = str | int | float | bool


def plain_level(level: Any) -> Level:
    """Return a level as a file can hold it: a Python scalar, or text, as for intervals."""
    scalar = level.item() if isinstance(level, np.generic) else level
    return scalar if isinstance(scalar, str | int | float | bool) else str(level)


@dataclass(frozen=True)
class OrderedChoice:
    """Ordered logit or probit.

    A latent index ``x'beta + e`` crosses the thresholds ``t_1 < ... < t_{L-1}`` between L levels,

        P(y = l) = F(t_l - x'beta) - F(t_{l-1} - x'beta),   t_0 = -inf, t_L = inf,

    with F the logistic or the normal distribution [McKelveyZavoina1975]_ [McCullagh1980]_. There
    is no constant: it would shift all thresholds.

    Attributes
    ----------
    formula : str
        One part: the variables of the index. A constant is left out, whatever is written.
    outcome : str
        Column of the outcome.
    link : {"logit", "probit"}
        Distribution of what is not observed.
    levels : sequence or None
        The levels from the lowest to the highest. By default the order of the categories of an
        ordered categorical, or of the numbers; text has none.
    weights : str or None
        Column of weights.

    Raises
    ------
    SpecificationError
        If the formula has several parts or a left-hand side, the link is unknown, or a level is
        listed twice.
    """

    formula: str
    outcome: str = field(kw_only=True)
    link: Literal["logit", "probit"] = field(default="logit", kw_only=True)
    levels: Sequence[Level] | None = field(default=None, kw_only=True)
    weights: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.formula, str):
            raise SpecificationError(f"the formula is {self.formula!r}; write text, such as 'age'.")
        split_parts(self.formula, most=1)
        if self.link not in ("logit", "probit"):
            raise SpecificationError(f"link is '{self.link}'; it is 'logit' or 'probit'.")
        if self.levels is not None:
            levels = tuple(plain_level(level) for level in self.levels)
            if len(set(levels)) < len(levels) or len(levels) < 2:
                raise SpecificationError(
                    f"levels lists {', '.join(map(str, levels))}; give at least two, each once."
                )
            object.__setattr__(self, "levels", levels)
