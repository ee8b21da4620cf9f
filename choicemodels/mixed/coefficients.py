"""The coefficients of a mixed logit over data: their variables, and what cannot be told apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest
from choicemodels.logit.design import UtilityTerms
from choicemodels.logit.systematic import Design
from choicemodels.mixed.distributions import DISTRIBUTIONS, FIXED, Distribution
from choicemodels.mixed.specification import MixedLogit
from choicemodels.utility import Term

__all__ = ["Coefficient", "coefficients_of", "varying_columns"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Coefficient:
    """A coefficient that varies, or that one that varies multiplies.

    Attributes
    ----------
    name : str
    distribution : str
        A name of :data:`~choicemodels.mixed.distributions.DISTRIBUTIONS`, or ``"fixed"``.
    term : int
        Position among the linear terms of the utility; -1 for an error component.
    alternatives : tuple of str
        Of an error component.
    size : float
        Typical deviation of the variable from its mean in a choice set.
    """

    name: str
    distribution: str
    term: int
    alternatives: tuple[str, ...] = ()
    size: float = 1.0

    @property
    def law(self) -> Distribution:
        """How it varies."""
        return FIXED if self.distribution == "fixed" else DISTRIBUTIONS[self.distribution]

    @property
    def varies(self) -> bool:
        """Whether it has draws."""
        return self.law.base != "none"


def coefficients_of(
    model: MixedLogit, utility: UtilityTerms, data: ChoiceData
) -> tuple[Coefficient, ...]:
    """Find the coefficients that vary, those that one multiplies, and the error components.

    Raises
    ------
    SpecificationError
        If a name is unknown, or an error component is not identified.
    """
    linear = [term.name for term in utility.linear]
    for name in (*model.random, *((model.price,) if model.price else ())):
        if name not in linear:
            where = "random" if name in model.random else "price"
            raise SpecificationError(
                f"{where} names '{name}'{closest(name, linear)}, which is no term with a "
                f"coefficient; these are: {enumerate_some(linear, 12)}."
            )
    found = [Coefficient(k, v, linear.index(k)) for k, v in model.random.items()]
    if model.space == "wtp":
        others = [name for name in linear if name not in model.random]
        found += [Coefficient(name, "fixed", linear.index(name)) for name in others]
    found += [
        Coefficient(name, "normal", -1, _members(name, members, data))
        for name, members in model.error_components.items()
    ]
    return _sized(found, utility, data)


def _members(name: str, members: Sequence[str], data: ChoiceData) -> tuple[str, ...]:
    """Check the alternatives of an error component."""
    for member in members:
        if member not in data.alternatives:
            raise SpecificationError(
                f"error_components['{name}'] names the alternative '{member}'"
                f"{closest(member, data.alternatives)}, which the data do not have; they have: "
                f"{enumerate_some(data.alternatives, 12)}."
            )
    return tuple(members)


def _sized(
    coefficients: list[Coefficient], utility: UtilityTerms, data: ChoiceData
) -> tuple[Coefficient, ...]:
    """Measure how far the variables of the coefficients vary within choice sets.

    Raises
    ------
    SpecificationError
        If an error component shifts all of a choice set alike, or moves with a variable whose
        coefficient varies.
    """
    X = varying_columns(coefficients, utility, data.table, data.alternative, data.alternatives)
    sizes = data.set_sizes
    X -= np.repeat(np.add.reduceat(X, data.offsets[:-1], axis=1) / sizes, sizes, axis=1)
    spread = np.sqrt((X**2).mean(axis=1))
    for q, c in enumerate(coefficients):
        if c.term >= 0:
            continue
        if spread[q] == 0:
            raise SpecificationError(
                f"the error component '{c.name}' enters all alternatives of every choice set or "
                "none, and cancels out; leave an alternative out of it."
            )
        for p, other in enumerate(coefficients):
            alike = abs(X[q] @ X[p]) > (1 - 1e-10) * len(X[q]) * spread[q] * spread[p]
            if p != q and other.varies and spread[p] > 0 and alike:
                raise SpecificationError(
                    f"the error component '{c.name}' and '{other.name}' move the same "
                    "alternatives, so that the data see but the sum of their variances; keep one."
                )
    return tuple(
        replace(c, size=float(size) or 1.0) for c, size in zip(coefficients, spread, strict=True)
    )


def varying_columns(
    coefficients: Iterable[Coefficient],
    utility: UtilityTerms,
    table: pd.DataFrame,
    alternative: Ints,
    alternatives: tuple[str, ...],
) -> Array:
    """Evaluate the variables of the coefficients, shape (Q, R).

    ``table``, ``alternative`` and ``alternatives`` are those of
    :meth:`choicemodels.logit.systematic.Design.build`.

    Raises
    ------
    DataError
        If a term cannot be evaluated.
    """
    terms = tuple(
        utility.linear[c.term] if c.term >= 0 else Term(c.name, (), c.alternatives)
        for c in coefficients
    )
    return Design.build(UtilityTerms(terms), table, alternative, alternatives).X
