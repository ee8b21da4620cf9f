"""From a model's formula and data to the terms of its utilities, with their names."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from choicemodels.choices.source import ChoiceSource
from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.formula import expand, split_parts
from choicemodels.frames import closest
from choicemodels.logit.models import LogitUtility
from choicemodels.utility import Term

__all__ = ["UtilityTerms", "design_terms"]


@dataclass(frozen=True)
class UtilityTerms:
    """What systematic utilities are made of, see :class:`~choicemodels.logit.models.LogitUtility`.

    Attributes
    ----------
    linear : tuple of Term, length K
        Columns with a coefficient.
    offset : Term or None
        Enters with a coefficient of one.
    size : tuple of Term
        Quantities of the size of an alternative.
    size_free : bool
        Whether the logarithm of the size has a coefficient.
    scale : tuple of Term
        Variables of the case that scale the utilities.
    """

    linear: tuple[Term, ...]
    offset: Term | None = None
    size: tuple[Term, ...] = ()
    size_free: bool = False
    scale: tuple[Term, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters ``(beta, size coefficient, gamma, tau)``."""
        return (
            *(term.name for term in self.linear),
            *(("size",) if self.size_free else ()),
            *(f"size:{term.name}" for term in self.size[1:]),
            *(f"scale:{term.name}" for term in self.scale),
        )

    @property
    def start(self) -> tuple[float, ...]:
        """Starting values: one for the coefficient of the size, zero for the others."""
        return tuple(float(name == "size") for name in self.names)

    def to_dict(self) -> dict[str, Any]:
        """Return the terms ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Rebuild the terms from :meth:`to_dict`."""
        return cls(
            _terms(saved["linear"]),
            Term.from_dict(saved["offset"]) if saved["offset"] else None,
            _terms(saved["size"]),
            saved["size_free"],
            _terms(saved["scale"]),
        )


def _terms(saved: list[dict[str, Any]]) -> tuple[Term, ...]:
    return tuple(Term.from_dict(term) for term in saved)


def design_terms(model: LogitUtility, data: ChoiceSource) -> UtilityTerms:
    """Expand a model's formula into the terms of its utilities, in the order of the parameters.

    Constants come first, then variables with one coefficient, those of the case, those of the
    alternatives, and the terms of ``specific``. Names are those of R's mlogit.

    Raises
    ------
    SpecificationError
        If the base or an alternative of ``specific`` is unknown, a variable of the case varies
        within a case, or two terms have one name.
    """
    parts = [*split_parts(model.formula, most=3), "", ""]
    generic = expand(parts[0], data.variables, drop_intercept=True)
    of_case = expand(parts[1] or "1", data.variables, drop_intercept=model.absorbs_constants)
    of_alternative = expand(parts[2], data.variables, drop_intercept=True)
    _check_case_variables(of_case, data, parts[1], "the second part of the formula")
    _known([model.base] if model.base is not None else [], data.alternatives, "base=")
    _known(list(model.specific), data.alternatives, "specific=")
    base = model.base if model.base is not None else data.alternatives[0]
    others = [name for name in data.alternatives if name != base]
    constants = [t for t in of_case if not t.factors]
    slopes = [t for t in of_case if t.factors]
    terms = [
        *(_for(term, name) for term in constants for name in others),
        *generic,
        *(_for(term, name) for term in slopes for name in others),
        *(_for(term, name) for term in of_alternative for name in data.alternatives),
        *(
            _for(term, name)
            for name, rhs in model.specific.items()
            for term in expand(rhs, data.variables)
        ),
    ]
    size = expand(model.size, data.variables, drop_intercept=True)
    scale = expand(model.scale, data.variables, drop_intercept=True)
    _check_case_variables(scale, data, model.scale, "scale=")
    found = UtilityTerms(
        tuple(terms),
        Term("offset", (model.offset,)) if model.offset.strip() else None,
        size,
        model.size_coefficient == "free" and bool(size),
        scale,
    )
    _check_terms(found, parts)
    if model.absorbs_constants:
        _refuse_constants(found)
    return found


def _for(term: Term, alternative: str) -> Term:
    return replace(term, name=f"{term.name}:{alternative}", alternatives=(alternative,))


def _check_terms(terms: UtilityTerms, parts: list[str]) -> None:
    if not terms.names:
        raise SpecificationError("the formula leaves no parameter to estimate; add a variable.")
    repeated = [name for name, count in Counter(terms.names).items() if count > 1]
    if repeated:
        remedy = (
            "write '| 0' as the second part to leave out the constants"
            if repeated[0].startswith("(Intercept)") and not parts[1]
            else "write it once"
        )
        raise SpecificationError(f"the term '{repeated[0]}' stands twice in the model; {remedy}.")


def _refuse_constants(terms: UtilityTerms) -> None:
    constants = [term.name for term in terms.linear if not term.factors]
    if constants:
        raise SpecificationError(
            f"'{constants[0]}' is a constant, and constants are absorbed: the alternative has one "
            "already; write '0 + ...' in specific=, or estimate all constants."
        )


def _known(names: list[str], alternatives: tuple[str, ...], where: str) -> None:
    for name in names:
        if name not in alternatives:
            raise SpecificationError(
                f"{where} names the alternative '{name}'{closest(name, alternatives)}, which the "
                f"data do not have; they have: {enumerate_some(alternatives, 12)}."
            )


def _check_case_variables(
    terms: tuple[Term, ...], data: ChoiceSource, part: str, where: str
) -> None:
    """Refuse a variable that differs between the alternatives of a case where none may."""
    for name in sorted(frozenset().union(*(t.variables for t in terms))):
        case = data.varying_case(name)
        if case is not None:
            raise SpecificationError(
                f"'{name}' stands in {where} ('{part}') but varies within the case {case}; put it "
                "into the first part of the formula (one coefficient) or the third (one for each "
                "alternative)."
            )
