"""From a model's formula and data to the design: terms with names, and the matrix X (K, R)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choicedata import ChoiceData
from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.formula import expand, split_parts, term_values
from choicemodels.frames import closest
from choicemodels.models import ChoiceModel
from choicemodels.utility import Term

__all__ = ["design_matrix", "design_terms"]

Array = NDArray[np.float64]


def design_terms(model: ChoiceModel, data: ChoiceData) -> tuple[Term, ...]:
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
    generic = expand(parts[0], data.table, drop_intercept=True)
    of_case = expand(parts[1] or "1", data.table)
    of_alternative = expand(parts[2], data.table, drop_intercept=True)
    _check_case_variables(of_case, data, parts[1])
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
            for term in expand(rhs, data.table)
        ),
    ]
    _check_terms(terms, parts)
    return tuple(terms)


def _for(term: Term, alternative: str) -> Term:
    return replace(term, name=f"{term.name}:{alternative}", alternatives=(alternative,))


def _check_terms(terms: list[Term], parts: list[str]) -> None:
    if not terms:
        raise SpecificationError("the formula leaves no parameter to estimate; add a variable.")
    repeated = [name for name, count in Counter(t.name for t in terms).items() if count > 1]
    if repeated:
        remedy = (
            "write '| 0' as the second part to leave out the constants"
            if repeated[0].startswith("(Intercept)") and not parts[1]
            else "write it once"
        )
        raise SpecificationError(f"the term '{repeated[0]}' stands twice in the model; {remedy}.")


def _known(names: list[str], alternatives: tuple[str, ...], where: str) -> None:
    for name in names:
        if name not in alternatives:
            raise SpecificationError(
                f"{where} names the alternative '{name}'{closest(name, alternatives)}, which the "
                f"data do not have; they have: {enumerate_some(alternatives, 12)}."
            )


def _check_case_variables(terms: tuple[Term, ...], data: ChoiceData, part: str) -> None:
    """Refuse a variable in the second part that differs between the alternatives of a case."""
    sizes = data.set_sizes
    for name in sorted(frozenset().union(*(t.variables for t in terms))):
        codes = pd.factorize(data.table[name])[0]
        varies = np.flatnonzero(codes != np.repeat(codes[data.offsets[:-1]], sizes))
        if len(varies):
            case = data.table[data.case_name].iloc[varies[0]]
            raise SpecificationError(
                f"'{name}' stands in the second part of the formula ('{part}') but varies within "
                f"the case {case}; put it into the first part (one coefficient) or the third (one "
                "for each alternative)."
            )


def design_matrix(
    terms: tuple[Term, ...],
    table: pd.DataFrame,
    alternative: NDArray[np.int64],
    alternatives: tuple[str, ...],
) -> Array:
    """Evaluate the terms over the rows of choice data.

    Parameters
    ----------
    terms
        The K terms.
    table
        The columns, R rows.
    alternative
        Position of each row's alternative, shape (R,).
    alternatives
        Names of the alternatives.

    Returns
    -------
    ndarray of float64, shape (K, R), C-contiguous
        One row for each term: the transpose of the usual design, see
        :mod:`choicemodels.probabilities`.

    Raises
    ------
    DataError
        If a variable is missing, or a value is not finite; it names column and rows.
    """
    position = {name: j for j, name in enumerate(alternatives)}
    X = np.zeros((len(terms), len(table)))
    cache: dict[tuple[str, ...], Array] = {}
    rows_of: Mapping[int, NDArray[np.int64]] = {}
    if any(term.alternatives is not None for term in terms):
        order = np.argsort(alternative, kind="stable")
        bounds = np.searchsorted(alternative[order], np.arange(len(alternatives) + 1))
        rows_of = {j: order[bounds[j] : bounds[j + 1]] for j in range(len(alternatives))}
    for k, term in enumerate(terms):
        if term.factors not in cache:
            cache[term.factors] = term_values(term, table)
        values = cache[term.factors]
        if term.alternatives is None:
            X[k] = values
            continue
        for name in term.alternatives:
            rows = rows_of[position[name]]
            X[k, rows] = values[rows] if values.ndim else values
    return X
