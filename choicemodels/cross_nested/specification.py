"""The cross-nested logit as a specification: alternatives that belong to several nests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose
from typing import Literal, TypeAlias

from choicemodels.errors import SpecificationError
from choicemodels.frames import closest
from choicemodels.logit.models import Lambdas, LogitUtility, check_lambdas
from choicemodels.restrictions import Bounds

__all__ = ["Allocations", "CrossNestedLogit"]

Allocations: TypeAlias = Literal["free", "equal"] | Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class CrossNestedLogit(LogitUtility):
    """Cross-nested logit: an alternative may belong to several nests in part.

    With ``I_m = log sum_j (alpha_jm exp(V_j))^(1 / lambda_m)`` over the members of nest m,

        P(i) = sum_m P(i | m) P(m),
        P(i | m) = (alpha_im exp(V_i))^(1 / lambda_m) / exp(I_m),
        P(m) = exp(lambda_m I_m) / sum_l exp(lambda_l I_l),

    and the allocations of an alternative are not negative and sum to one over its nests
    [Vovsha1997]_ [WenKoppelman2001]_. This is the model of [Bierlaire2006]_ with
    ``mu_m = 1 / lambda_m``. With one nest for each alternative it is the nested logit, with all
    lambdas at 1 the multinomial logit.

    The parameters are those of the utilities, ``lambda:nest``, and ``alpha:alternative:nest`` for
    all nests of an alternative but the last, whose allocation is what the others leave. The
    other arguments are those of :class:`~choicemodels.logit.models.LogitUtility`.

    Attributes
    ----------
    nests : mapping
        Nest to its alternatives. Alternatives in no nest stand alone.
    allocations : "free", "equal" or mapping
        Estimated, the same for all nests of an alternative, or ``{alternative: {nest: value}}``
        to fix those of the alternatives named (the others are free).
    lambdas : "free", "shared" or mapping
        One parameter for each nest, one for all, or values to fix for the nests named (the
        others are free). The lambda of a nest that never offers two members at once is fixed at 1.

    Raises
    ------
    SpecificationError
        If there is no nest, a nest repeats a member or holds other nests, or an allocation or a
        lambda cannot be.
    """

    nests: Mapping[str, Sequence[str]]
    allocations: Allocations = field(default="free", kw_only=True)
    lambdas: Lambdas = field(default="free", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.nests, Mapping):
            raise SpecificationError(
                f"nests is {self.nests!r}; map nests to alternatives, such as "
                "{'a': ['bus', 'car']}."
            )
        nests = {str(name): _members(str(name), inside) for name, inside in self.nests.items()}
        if not nests:
            raise SpecificationError("nests= is empty; use MultinomialLogit for a model without.")
        object.__setattr__(self, "nests", nests)
        object.__setattr__(self, "lambdas", check_lambdas(self.lambdas, list(nests)))
        object.__setattr__(self, "allocations", self._check_allocations())

    @property
    def domain(self) -> Bounds:
        """Free allocations lie between 0 and 1."""
        return {
            f"alpha:{name}:{nest}": (0.0, 1.0)
            for name, nests in self.shared.items()
            for nest in nests[:-1]
        }

    @property
    def shared(self) -> dict[str, tuple[str, ...]]:
        """The alternatives in several nests, each with these, in the order of ``nests``."""
        homes: dict[str, tuple[str, ...]] = {}
        for nest, members in self.nests.items():
            for name in members:
                homes[name] = (*homes.get(name, ()), nest)
        return {name: nests for name, nests in homes.items() if len(nests) > 1}

    def _check_allocations(self) -> Allocations:
        if isinstance(self.allocations, str):
            if self.allocations not in ("free", "equal"):
                raise SpecificationError(
                    f"allocations is '{self.allocations}'; it is 'free', 'equal' or a mapping of "
                    "alternatives to the values in their nests."
                )
            return self.allocations
        checked = {}
        for name, values in self.allocations.items():
            if name not in self.shared:
                raise SpecificationError(
                    f"allocations fixes '{name}'{closest(name, self.shared)}, which is not in "
                    f"several nests; those that are: {', '.join(self.shared) or 'none'}."
                )
            if set(values) != set(self.shared[name]):
                raise SpecificationError(
                    f"allocations gives '{name}' values in {', '.join(values) or 'no nest'}; its "
                    f"nests are {', '.join(self.shared[name])}, and each needs one."
                )
            numbers = {nest: float(values[nest]) for nest in self.shared[name]}
            total = sum(numbers.values())
            if not (min(numbers.values()) > 0 and isclose(total, 1.0, abs_tol=1e-9)):
                raise SpecificationError(
                    f"the allocations of '{name}' are {', '.join(map(str, numbers.values()))}; "
                    "they must be positive and sum to one (leave it out of a nest with none)."
                )
            checked[name] = numbers
        return checked


def _members(nest: str, members: object) -> tuple[str, ...]:
    if isinstance(members, Mapping):
        raise SpecificationError(
            f"nest '{nest}' holds other nests; a cross-nested logit has one level."
        )
    if isinstance(members, str) or not isinstance(members, Sequence) or not members:
        raise SpecificationError(
            f"nest '{nest}' must list its alternatives, as in {{'{nest}': ['a', 'b']}}."
        )
    names = tuple(map(str, members))
    for name in names:
        if names.count(name) > 1:
            raise SpecificationError(f"nest '{nest}' lists '{name}' twice; list it once.")
    return names
