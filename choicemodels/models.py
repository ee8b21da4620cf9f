"""Choice models as specifications: what is assumed, with no data and no optimiser."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from choicemodels.errors import SpecificationError
from choicemodels.formula import split_parts
from choicemodels.frames import closest
from choicemodels.tree import Nests

__all__ = ["ChoiceModel", "Lambdas", "MultinomialLogit", "NestedLogit"]

Lambdas: TypeAlias = Literal["free", "shared"] | Mapping[str, float]


def _check_formula(formula: str, specific: Mapping[str, str]) -> None:
    split_parts(formula, most=3)
    for alternative, rhs in specific.items():
        if len(split_parts(rhs, most=1)) != 1 or not rhs.strip():
            raise SpecificationError(
                f"specific['{alternative}'] is '{rhs}'; write one part, such as '1 + age'."
            )


@dataclass(frozen=True)
class MultinomialLogit:
    """Multinomial (conditional) logit.

    ``P(j) = exp(V_j) / sum_k exp(V_k)``, the sum over the case's choice set [McFadden1974]_.

    Attributes
    ----------
    formula : str
        Up to three parts, as in R's mlogit: variables with one coefficient | variables of the
        case, with one coefficient for each alternative but the base (and constants, unless the
        part holds ``0``) | variables with one coefficient for each alternative.
    specific : mapping
        Terms that enter the utility of one alternative alone: ``{"stay": "1 + age"}``.
    base : str or None
        The alternative without constants; the first of the data by default.

    Raises
    ------
    SpecificationError
        If the formula has more than three parts or a left-hand side.
    """

    formula: str
    specific: Mapping[str, str] = field(default_factory=dict)
    base: str | None = None

    def __post_init__(self) -> None:
        _check_formula(self.formula, self.specific)
        object.__setattr__(self, "specific", dict(self.specific))


@dataclass(frozen=True)
class NestedLogit:
    """Nested logit of any depth.

    A nest m has the inclusive value ``I_m = log sum_c exp(W_c / lambda_m)`` over its members c,
    where ``W_c`` is the utility ``V_c`` of an alternative or ``lambda_c I_c`` of a nest, and the
    probability of an alternative is the product of ``exp(W_c / lambda_m - I_m)`` along its path
    [McFadden1978]_. Without the normalization the utilities are not divided by lambda
    [Greene2018]_: another model, whose lambda is called tau in some tables.

    Attributes
    ----------
    formula, specific, base
        As in :class:`MultinomialLogit`.
    nests : mapping
        Nest to its alternatives, or to nests in turn. Alternatives in no nest stand alone.
    normalization : {"rum", "nonnormalized"}
        Random-utility normalization (dissimilarities measured from the root; consistent with
        utility maximization if 0 < lambda <= 1 and no lambda exceeds its parent's), or none.
    lambdas : "free", "shared" or mapping
        One parameter for each nest, one for all, or values to fix for the nests named (the
        others are free). The lambda of a nest with one member is fixed at 1 under ``"rum"``,
        because it is not identified.

    Raises
    ------
    SpecificationError
        If there is no nest, or a choice of words or a value is not one of those above.
    """

    formula: str
    nests: Nests
    specific: Mapping[str, str] = field(default_factory=dict)
    base: str | None = None
    normalization: Literal["rum", "nonnormalized"] = "rum"
    lambdas: Lambdas = "free"

    def __post_init__(self) -> None:
        _check_formula(self.formula, self.specific)
        if not self.nests:
            raise SpecificationError("nests= is empty; use MultinomialLogit for a model without.")
        if self.normalization not in ("rum", "nonnormalized"):
            raise SpecificationError(
                f"normalization is '{self.normalization}'; it is 'rum' or 'nonnormalized'."
            )
        object.__setattr__(self, "specific", dict(self.specific))
        object.__setattr__(self, "nests", _freeze(self.nests))
        self._check_lambdas()

    def _check_lambdas(self) -> None:
        if isinstance(self.lambdas, str):
            if self.lambdas not in ("free", "shared"):
                raise SpecificationError(
                    f"lambdas is '{self.lambdas}'; it is 'free', 'shared' or a mapping of nests to "
                    "fixed values."
                )
            return
        names = _nest_names(self.nests)
        for nest, value in self.lambdas.items():
            if nest not in names:
                raise SpecificationError(
                    f"lambdas fixes the nest '{nest}'{closest(nest, names)}, which does not exist; "
                    f"the nests are {', '.join(names)}."
                )
            if not value > 0:
                raise SpecificationError(f"lambdas fixes '{nest}' at {value}; it must be positive.")
        object.__setattr__(self, "lambdas", {k: float(v) for k, v in self.lambdas.items()})


ChoiceModel: TypeAlias = MultinomialLogit | NestedLogit


def _freeze(nests: Nests) -> Nests:
    return {
        str(name): _freeze(inside)
        if isinstance(inside, Mapping)
        else inside
        if isinstance(inside, str)
        else tuple(map(str, inside))
        for name, inside in nests.items()
    }


def _nest_names(nests: Nests) -> list[str]:
    names = []
    for name, inside in nests.items():
        if isinstance(inside, Mapping):
            names += _nest_names(inside)
        names.append(name)
    return names
