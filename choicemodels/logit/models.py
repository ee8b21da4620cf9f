"""Choice models as specifications: what is assumed, with no data and no optimiser."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np

from choicemodels.errors import SpecificationError
from choicemodels.formula import split_parts
from choicemodels.frames import closest
from choicemodels.logit.tree import Nests
from choicemodels.restrictions import Bounds, check_bounds, equation_lines

if TYPE_CHECKING:
    from choicemodels.choices.choicedata import ChoiceData
    from choicemodels.choices.factored import FactoredChoiceData
    from choicemodels.logit.tree_report import TreeReport

__all__ = ["Lambdas", "LogitUtility", "MultinomialLogit", "NestedLogit", "check_lambdas"]

Lambdas: TypeAlias = Literal["free", "shared"] | Mapping[str, float]


@dataclass(frozen=True)
class LogitUtility:
    """What all choice models assume about the systematic utility.

    ``V_nj = scale_n (x_nj' beta + offset_nj + size coefficient * log sum_k exp(gamma_k) q_jk)``,
    ``scale_n = exp(z_n' tau)``.

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
    offset : str
        Expression that enters with a coefficient of one.
    size : str
        Quantities ``q``, as in ``"jobs + shops"``: destinations are aggregates of opportunities
        [BenAkivaLerman1985]_. The first has a weight of one; the others have
        ``exp(gamma)``, and the parameters ``size:shops`` are these gammas.
    size_coefficient : "one" or "free"
        One, as theory has it for aggregates of equal opportunities, or the parameter ``size``.
    scale : str
        Variables of the case that scale all its utilities (heteroskedastic logit, scale groups):
        the parameters ``scale:variable`` are tau; there is no intercept.
    constraints : sequence of str or mapping
        Linear equations among parameters, as in ``wald_test``: ``"cost = -1"`` or
        ``{"cost": -1}`` fixes one, ``"lambda:a = lambda:b"`` equates two.
    bounds : mapping
        Parameter to (lowest, highest); None leaves a side open.
    """

    formula: str
    specific: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    base: str | None = field(default=None, kw_only=True)
    offset: str = field(default="", kw_only=True)
    size: str = field(default="", kw_only=True)
    size_coefficient: Literal["one", "free"] = field(default="one", kw_only=True)
    scale: str = field(default="", kw_only=True)
    constraints: Sequence[str] | Mapping[str, float] = field(default=(), kw_only=True)
    bounds: Bounds = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("formula", "offset", "size", "scale"):
            if not isinstance(getattr(self, name), str):
                raise SpecificationError(
                    f"{name} is {getattr(self, name)!r}; write text, such as 'cost + time'."
                )
        split_parts(self.formula, most=3)
        if not isinstance(self.specific, Mapping):
            raise SpecificationError(
                f"specific is {self.specific!r}; map alternatives to terms, such as "
                "{'stay': '1 + age'}."
            )
        if not isinstance(self.base, str | int | np.integer | None):
            raise SpecificationError(f"base is {self.base!r}; name one alternative.")
        for alternative, rhs in self.specific.items():
            if not isinstance(rhs, str) or len(split_parts(rhs, most=1)) != 1 or not rhs.strip():
                raise SpecificationError(
                    f"specific['{alternative}'] is '{rhs}'; write one part, such as '1 + age'."
                )
        for name in ("size", "scale"):
            split_parts(getattr(self, name), most=1)
        if self.size_coefficient not in ("one", "free"):
            raise SpecificationError(
                f"size_coefficient is '{self.size_coefficient}'; it is 'one' or 'free'."
            )
        constraints = equation_lines(self.constraints, "constraints=")
        specific = {str(alternative): rhs for alternative, rhs in self.specific.items()}
        object.__setattr__(self, "base", None if self.base is None else str(self.base))
        object.__setattr__(self, "specific", specific)
        object.__setattr__(self, "constraints", constraints)
        object.__setattr__(self, "bounds", check_bounds(self.bounds))

    @property
    def domain(self) -> Bounds:
        """Bounds of parameters by their nature, which hold where ``bounds`` says nothing else."""
        return {}

    @property
    def absorbs_constants(self) -> bool:
        """Whether alternatives have constants that are not among the parameters."""
        return getattr(self, "constants", "estimated") == "absorbed"


@dataclass(frozen=True)
class MultinomialLogit(LogitUtility):
    """Multinomial (conditional) logit.

    ``P(j) = exp(V_j) / sum_k exp(V_k)``, the sum over the case's choice set [McFadden1974]_.
    The arguments are those of :class:`LogitUtility`, and

    Attributes
    ----------
    constants : "estimated" or "absorbed"
        Absorbed, there is a constant for every alternative but the base that carries no column
        and is not in the table: for choices among hundreds of destinations. Leave the
        constants out of the formula.

    Raises
    ------
    SpecificationError
        If the formula has more than three parts or a left-hand side.
    """

    constants: Literal["estimated", "absorbed"] = field(default="estimated", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_constants(self.constants)


@dataclass(frozen=True)
class NestedLogit(LogitUtility):
    """Nested logit of any depth.

    A nest m has the inclusive value ``I_m = log sum_c exp(W_c / lambda_m)`` over its members c,
    where ``W_c`` is the utility ``V_c`` of an alternative or ``lambda_c I_c`` of a nest, and the
    probability of an alternative is the product of ``exp(W_c / lambda_m - I_m)`` along its path
    [McFadden1978]_. Without the normalization the utilities are not divided by lambda
    [Greene2018]_: another model, whose lambda is called tau in some tables.

    The other arguments are those of :class:`MultinomialLogit`.

    Attributes
    ----------
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

    nests: Nests
    constants: Literal["estimated", "absorbed"] = field(default="estimated", kw_only=True)
    normalization: Literal["rum", "nonnormalized"] = field(default="rum", kw_only=True)
    lambdas: Lambdas = field(default="free", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_constants(self.constants)
        if isinstance(self.nests, Mapping) and not self.nests:
            raise SpecificationError("nests= is empty; use MultinomialLogit for a model without.")
        if self.normalization not in ("rum", "nonnormalized"):
            raise SpecificationError(
                f"normalization is '{self.normalization}'; it is 'rum' or 'nonnormalized'."
            )
        object.__setattr__(self, "nests", freeze_nests(self.nests))
        object.__setattr__(self, "lambdas", check_lambdas(self.lambdas, _nest_names(self.nests)))

    @classmethod
    def move_stay(
        cls,
        formula: str,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        destinations: Sequence[str] = (),
        stay: str = "stay",
        **options: Any,
    ) -> Self:
        """Build the tree stay | move → group → destination.

        Parameters
        ----------
        formula
            As for the class.
        groups
            Groups of destinations, such as states; their nests stand within the nest "move".
        destinations
            The destinations, if they are not grouped.
        stay
            Name of the alternative that stands beside the nest "move".
        **options
            The class's other arguments.

        Raises
        ------
        SpecificationError
            If there are neither groups nor destinations, or both, or ``stay`` is among them.
        """
        if groups is not None and not isinstance(groups, Mapping):
            raise SpecificationError(
                f"groups is {groups!r}; map groups to destinations, as in {{'west': ['LA', 'SF']}}."
            )
        listed = _listed("destinations", destinations)
        if bool(groups) == bool(listed):
            raise SpecificationError(
                "give move_stay either groups={'west': ['LA', 'SF'], ...} or "
                "destinations=['LA', 'SF', ...]."
            )
        members = [a for g in groups.values() for a in g] if groups else listed
        if stay in members:
            raise SpecificationError(
                f"'{stay}' is the alternative to stay and cannot be a destination as well."
            )
        inside: Nests | list[str] = dict(groups) if groups else listed
        return cls(formula, {"move": inside}, **options)

    def tree(self, data: "ChoiceData | FactoredChoiceData") -> "TreeReport":
        """Show the nests over data, with counts and what is amiss; print it.

        Parameters
        ----------
        data
            Choices; the nests must name alternatives of theirs.

        Raises
        ------
        SpecificationError
            If the nests do not fit the alternatives of the data.
        """
        from choicemodels.logit.tree_report import report_tree

        return report_tree(self, data)


def check_constants(constants: str) -> None:
    """Refuse any word but the two for constants."""
    if constants not in ("estimated", "absorbed"):
        raise SpecificationError(f"constants is '{constants}'; it is 'estimated' or 'absorbed'.")


def check_lambdas(lambdas: Lambdas, nests: Sequence[str]) -> Lambdas:
    """Return what is said of the lambdas, fixed values as numbers.

    Raises
    ------
    SpecificationError
        If the word is unknown, a nest does not exist, or a value is not positive.
    """
    if isinstance(lambdas, str):
        if lambdas not in ("free", "shared"):
            raise SpecificationError(
                f"lambdas is '{lambdas}'; it is 'free', 'shared' or a mapping of nests to fixed "
                "values."
            )
        return lambdas
    if not isinstance(lambdas, Mapping):
        raise SpecificationError(
            f"lambdas is {lambdas!r}; it is 'free', 'shared' or a mapping of nests to fixed "
            f"values, such as {{'{nests[0]}': 0.5}}."
        )
    fixed: dict[str, Any] = {str(nest): value for nest, value in lambdas.items()}
    for nest, value in fixed.items():
        if nest not in nests:
            raise SpecificationError(
                f"lambdas fixes the nest '{nest}'{closest(nest, nests)}, which does not exist; "
                f"the nests are {', '.join(nests)}."
            )
        if not isinstance(value, int | float | np.number) or not value > 0:
            raise SpecificationError(f"lambdas fixes '{nest}' at {value!r}; it must be positive.")
    return {nest: float(value) for nest, value in fixed.items()}


def _listed(what: str, names: Iterable[str]) -> list[str]:
    """Return names as a list of text."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise SpecificationError(f"{what} is {names!r}; list the alternatives, as in ['a', 'b'].")
    return [str(name) for name in names]


def freeze_nests(nests: Nests) -> Nests:
    """Return the nests as plain dictionaries of tuples of text."""
    if not isinstance(nests, Mapping):
        raise SpecificationError(
            f"nests is {nests!r}; map nests to alternatives, as in {{'ground': ['bus', 'train']}}."
        )
    return {
        str(name): freeze_nests(inside)
        if isinstance(inside, Mapping)
        else inside
        if isinstance(inside, str)
        else tuple(_listed(f"nests['{name}']", inside))
        for name, inside in nests.items()
    }


def _nest_names(nests: Nests) -> list[str]:
    names = []
    for name, inside in nests.items():
        if isinstance(inside, Mapping):
            names += _nest_names(inside)
        names.append(name)
    return names
