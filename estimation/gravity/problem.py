"""The estimation problem behind a result, laid out again over the rows that it used."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from choicemodels.formula import term_values
from choicemodels.utility import Term
from estimation.gravity.absorb import Effects, Varying, arrange
from estimation.gravity.effects import EffectEstimate
from estimation.gravity.ppml import Stopping
from estimation.gravity.sample import Sample
from estimation.gravity.search import Search

__all__ = ["arranged", "problem_of"]

Array = NDArray[np.float64]

# Refits differ by little from the estimate: their own error must be smaller still.
_STOPPING = Stopping(tol=1e-12)


def problem_of(sample: Sample, terms: Sequence[Term], effects: Sequence[EffectEstimate]) -> Search:
    """Lay out flows, regressors and effects of the rows used, ready to be fitted again.

    Parameters
    ----------
    sample
        The data behind the result.
    terms
        Its regressors.
    effects
        Its fixed effects and slopes by level.
    """
    data, rows = sample.data, sample.rows
    X = np.empty((len(terms), len(rows)))
    for column, term in zip(X, terms, strict=True):
        column[:] = _over(term, sample)
    names = [effect.name for effect in effects if not effect.variable]
    factors, varying = [], []
    for effect in effects:
        factor = data.factor("^".join(f"`{column}`" for column in effect.columns))
        factor = replace(factor, codes=factor.codes[rows])
        if not effect.variable:
            factors.append(factor)
            continue
        base = names.index(factor.name) if factor.name in names else -1
        values = _over(Term(effect.name, (effect.variable,)), sample)
        varying.append(Varying(factor.codes, factor.size, values, base))
    y, offset = data.y[rows], sample.offset
    if sample.weights is not None:
        y, logs = sample.weights * y, np.log(sample.weights)
        offset = logs if offset is None else offset + logs
    return Search(
        y=y,
        X=X,
        offset=offset,
        factors=factors,
        varying=varying,
        names=tuple(term.name for term in terms),
        stopping=_STOPPING,
    )


def _over(term: Term, sample: Sample) -> Array:
    values = term_values(term, sample.data.table)
    return np.array(np.broadcast_to(values, sample.data.nobs)[sample.rows])


def arranged(problem: Search) -> Effects | None:
    """Sort the rows of a problem by its effects; None if it has none."""
    if not problem.factors:
        return None
    codes = [factor.codes for factor in problem.factors]
    return arrange(codes, [factor.size for factor in problem.factors], problem.varying)
