"""Fitted choice models with more in them than was estimated.

What is added is taken as given: standard errors are those of the estimation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.logit.extension import add_alternatives, add_terms
from choicemodels.logit.likelihood import LogitParameters
from choicemodels.utility import Term
from estimation.choice.result import ChoiceResult

__all__ = ["logit_layout", "with_alternatives", "with_terms"]

Array = NDArray[np.float64]


def with_alternatives(
    result: ChoiceResult,
    names: Sequence[str],
    *,
    like: Mapping[str, str] | None = None,
    nests: Mapping[str, str | None] | None = None,
    constants: Mapping[str, float] | None = None,
) -> ChoiceResult:
    """Let a fitted model predict alternatives that it was not fitted with.

    Parameters
    ----------
    result
        A multinomial or nested logit.
    names, like, nests, constants
        As in :func:`choicemodels.logit.extension.add_alternatives`.

    Returns
    -------
    ChoiceResult
        The same estimate, whose ``predict``, ``logsum`` and the rest take data with the new
        alternatives.

    Raises
    ------
    SpecificationError
        If the model is of another family, or nothing says what a new alternative is worth.
    """
    layout = logit_layout(result, "with_alternatives()")
    grown = add_alternatives(layout, names, like=like, nests=nests, constants=constants)
    listed = [f"{name} (like {like[name]})" if like and name in like else name for name in names]
    note = f"Alternatives added after the estimation: {', '.join(listed)}."
    absorbed = result.absorbed
    if absorbed is not None:
        certain = np.zeros(len(names))
        bse = {kind: np.append(of_old, certain) for kind, of_old in absorbed.bse.items()}
        absorbed = replace(absorbed, bse=bse)
    return replace(result, parameters=grown, absorbed=absorbed, notes=(*result.notes, note))


def with_terms(
    result: ChoiceResult, terms: Sequence[Term], values: Array, note: str
) -> ChoiceResult:
    """Add terms with given coefficients to the utilities of a multinomial or nested logit.

    Parameters
    ----------
    result
        The estimate; what was added to it before under the same name grows by the value.
    terms
        A of them.
    values
        Their coefficients, shape (A,).
    note
        What the result shall say of them.
    """
    layout = logit_layout(result, "with_terms()")
    theta, known = result.theta.copy(), [term.name in layout.names for term in terms]
    for term, value, there in zip(terms, values, known, strict=True):
        if there:
            theta[layout.names.index(term.name)] += value
    new = [term for term, there in zip(terms, known, strict=True) if not there]
    extension = add_terms(layout, new, values[~np.array(known, dtype=bool)])
    gaps = np.full(len(new), extension.at)
    scores = result.score_obs
    return replace(
        result,
        parameters=extension.layout,
        theta=extension.theta(theta),
        basis=np.insert(result.basis, gaps, 0.0, axis=0),
        hessian=_pad(result.hessian, gaps),
        meat=_pad(result.meat, gaps),
        score_obs=None if scores is None else np.insert(scores, gaps, 0.0, axis=1),
        notes=(*result.notes, note),
    )


def logit_layout(result: ChoiceResult, purpose: str) -> LogitParameters:
    """Return the layout of a multinomial or nested logit.

    Raises
    ------
    SpecificationError
        If the model is of another family.
    """
    if not isinstance(result.parameters, LogitParameters):
        raise SpecificationError(
            f"{purpose} is for multinomial and nested logits; this is a "
            f"{result.parameters.title.lower()}."
        )
    return result.parameters


def _pad(matrix: Array, gaps: NDArray[np.int64]) -> Array:
    return np.insert(np.insert(matrix, gaps, 0.0, axis=0), gaps, 0.0, axis=1)
