"""Sort the factors of a utility's terms by what they vary with: workers, places, matches."""

from collections.abc import Sequence
from dataclasses import dataclass

from choicemodels.errors import SpecificationError
from choicemodels.frames import closest
from choicemodels.utility import variables
from microsim.mobility.behaviour import TermLike
from microsim.mobility.variables import MATCHED_BY, PRODUCTS, VARIABLES

__all__ = ["SplitTerm", "match_of", "split_terms"]


@dataclass(frozen=True)
class SplitTerm:
    """A term, its factors sorted by what they vary with.

    Attributes
    ----------
    name, coefficient
    worker : tuple of str
        Factors over workers' variables only.
    place : tuple of str
        Factors over variables of metros, origins and pairs, and constants.
    match : tuple of str
        Factors over match variables, all of them found by the same code of the worker.
    mixed : tuple of str
        Factors that mix the two; possible for "stay" alone.
    stay : bool
        Whether it enters the utility of staying.
    destinations : tuple of str or None
        The metros whose utility it enters; None for all.
    """

    name: str
    coefficient: float
    worker: tuple[str, ...]
    place: tuple[str, ...]
    match: tuple[str, ...]
    mixed: tuple[str, ...]
    stay: bool
    destinations: tuple[str, ...] | None


def split_terms(terms: Sequence[TermLike]) -> tuple[SplitTerm, ...]:
    """Sort the factors of every term.

    Raises
    ------
    SpecificationError
        If a term names an unknown variable, or mixes a worker's variable with a place's in one
        factor of a destination's utility; the message names the term.
    """
    return tuple(_split(term) for term in terms)


def _split(term: TermLike) -> SplitTerm:
    worker, place, match, mixed = [], [], [], []
    only = term.alternatives
    destinations = None if only is None else tuple(a for a in only if a != "stay")
    for factor in _expand(term):
        kinds = {_kind(name, term) for name in variables(factor)}
        if kinds == {"worker"}:
            worker.append(factor)
        elif not kinds & {"worker", "match"}:
            place.append(factor)
        elif kinds == {"match"}:
            match.append(factor)
        elif destinations == () and "match" not in kinds:
            mixed.append(factor)
        else:
            raise SpecificationError(
                f"the term '{term.name}' mixes a worker's and a place's variables in "
                f"'{factor}', so that it would need every worker times every metro; write it as "
                "a product of one factor for each, such as college:log(wage)."
            )
    _check_match(term, match, place)
    stay = only is None or "stay" in only
    parts = (tuple(worker), tuple(place), tuple(match), tuple(mixed))
    return SplitTerm(term.name, float(term.coefficient), *parts, stay, destinations)


def _check_match(term: TermLike, match: list[str], place: list[str]) -> None:
    """Raise if a term's matches are not one table of codes by metros."""
    codes = {MATCHED_BY[name] for factor in match for name in variables(factor)}
    kinds = {_kind(name, term) for factor in place for name in variables(factor)}
    if len(codes) > 1:
        problem = f"matches metros by {' and by '.join(sorted(codes))}"
    elif match and kinds & {"origin", "pair"}:
        problem = f"multiplies {match[0]} by what varies with the origin"
    else:
        return
    raise SpecificationError(
        f"the term '{term.name}' {problem}, so that it would need every worker times every metro; "
        "interact a match with workers' variables and one metro's variables only."
    )


def _expand(term: TermLike) -> list[str]:
    """Replace a bare product variable by its two factors; refuse it inside an expression."""
    factors: list[str] = []
    for factor in term.factors:
        name = factor.strip()
        if name in PRODUCTS:
            factors.extend(PRODUCTS[name])
            continue
        inside = sorted(set(PRODUCTS) & variables(factor))
        if inside:
            raise SpecificationError(
                f"the term '{term.name}' uses {inside[0]} inside '{factor}', but {inside[0]} is "
                f"the product of {' and '.join(PRODUCTS[inside[0]])}; use it by itself, or use "
                "those two."
            )
        factors.append(factor)
    return factors


def _kind(name: str, term: TermLike) -> str:
    if name not in VARIABLES:
        raise SpecificationError(
            f"the term '{term.name}' of the mobility model uses '{name}', which the simulation "
            f"does not know{closest(name, VARIABLES)}; it knows {', '.join(sorted(VARIABLES))}."
        )
    return VARIABLES[name].kind


def match_of(term: SplitTerm) -> str:
    """Return one of a term's match variables; they share their code."""
    return min(variables(term.match[0]))
