"""Several gravity models written as one formula, in the words of R's fixest."""

import re
from itertools import product

from choicemodels.errors import SpecificationError
from choicemodels.flows.gravity import Gravity
from choicemodels.formula import split_outside

__all__ = ["stepwise"]

_CALL = re.compile(r"(?<![\w.])(c?sw0?)\s*\(")


def stepwise(formula: str, *, offset: str = "") -> tuple[Gravity, ...]:
    """Read a formula with stepwise parts as several models.

    Parameters
    ----------
    formula
        A formula of :class:`~choicemodels.Gravity` in which ``sw(a, b)`` stands for a, then b,
        one at a time; ``csw(a, b)`` for a, then a + b; ``sw0`` and ``csw0`` begin with nothing.
        They may stand in both parts; every combination is a model, the last part varying
        fastest.
    offset
        Of all models.

    Raises
    ------
    SpecificationError
        If a stepwise part is not closed, holds nothing, or stands inside of another term; or if
        one of the models is not valid.
    """
    pieces = [_choices(piece, formula) for piece in _pieces(formula)]
    return tuple(Gravity(_tidy("".join(chosen)), offset=offset) for chosen in product(*pieces))


def _pieces(formula: str) -> list[str]:
    """Cut the formula into stepwise calls and the text between them."""
    out, at = [], 0
    while found := _CALL.search(formula, at):
        depth, end = 1, found.end()
        while depth and end < len(formula):
            depth += (formula[end] in "([") - (formula[end] in ")]")
            end += 1
        if depth:
            raise SpecificationError(f"'{found[1]}(' is not closed in the formula '{formula}'.")
        before, after = formula[at : found.start()].rstrip(), formula[end:].lstrip()
        if (before and before[-1] not in "+|") or (after and after[0] not in "+|"):
            raise SpecificationError(
                f"'{formula[found.start() : end]}' stands inside of another term of '{formula}'; "
                "stepwise parts are added with '+'."
            )
        out += [formula[at : found.start()], formula[found.start() : end]]
        at = end
    return [*out, formula[at:]]


def _choices(piece: str, formula: str) -> list[str]:
    found = _CALL.match(piece)
    if found is None:
        return [piece]
    terms = split_outside(piece[found.end() : -1], ",")
    if not all(terms):
        raise SpecificationError(f"'{piece}' in the formula '{formula}' has an empty step.")
    if found[1].startswith("c"):
        terms = [" + ".join(terms[: k + 1]) for k in range(len(terms))]
    return ["", *terms] if found[1].endswith("0") else terms


def _tidy(formula: str) -> str:
    """Take out the plus signs that empty steps leave behind."""
    parts = []
    for part in split_outside(formula, "|"):
        terms = [term for term in split_outside(part, "+") if term]
        parts.append(" + ".join(terms))
    return " | ".join(parts if len(parts) == 1 or parts[-1] else parts[:-1])
