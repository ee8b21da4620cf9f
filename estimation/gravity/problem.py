"""The estimation problem behind a result, laid out again over the rows that it used."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError
from choicemodels.flows.gravity import Gravity
from choicemodels.utility import Term
from estimation.gravity.absorb import Effects, arrange
from estimation.gravity.inputs import design, varying
from estimation.gravity.ppml import Stopping
from estimation.gravity.sample import Sample
from estimation.gravity.search import Search

__all__ = ["arranged", "problem_of", "refuse_moved"]

Array = NDArray[np.float64]

# Refits differ by little from the estimate: their own error must be smaller still.
_STOPPING = Stopping(tol=1e-12)
# Share of a standard error by which a refit may end beside the estimate.
_AT_REST = 1e-3


def problem_of(sample: Sample, terms: Sequence[Term], model: Gravity) -> Search:
    """Lay out flows, regressors and effects of the rows used, ready to be fitted again.

    Parameters
    ----------
    sample
        The data behind the result.
    terms
        Its regressors.
    model
        Its specification.
    """
    data, rows = sample.data, sample.rows
    factors = [data.factor(name) for name in model.effects]
    y, offset = data.y[rows], sample.offset
    if sample.weights is not None:
        y, logs = sample.weights * y, np.log(sample.weights)
        offset = logs if offset is None else offset + logs
    return Search(
        y=y,
        X=np.ascontiguousarray(design(terms, data)[:, rows]),
        offset=offset,
        factors=[replace(factor, codes=factor.codes[rows]) for factor in factors],
        varying=[
            replace(v, codes=v.codes[rows], values=v.values[rows]) for v in varying(model, data)
        ],
        names=tuple(term.name for term in terms),
        stopping=_STOPPING,
        start=np.array(sample.working_weights),
    )


def arranged(problem: Search) -> Effects | None:
    """Sort the rows of a problem by its effects; None if it has none."""
    if not problem.factors:
        return None
    codes = [factor.codes for factor in problem.factors]
    return arrange(codes, [factor.size for factor in problem.factors], problem.varying)


def refuse_moved(problem: Search, estimate: Array, spread: Array) -> None:
    """Refuse refits around an estimate that is not the maximum which they find.

    Parameters
    ----------
    problem
        Over the rows used.
    estimate, spread
        Coefficients and their standard errors, shape (K,).

    Raises
    ------
    EstimationError
        If a fit to all rows ends elsewhere.
    """
    found = problem.run(np.arange(len(problem.y)), drop_separated=True, singletons=False)
    moved = np.flatnonzero(np.abs(found.fit.beta - estimate) > _AT_REST * spread)
    if len(moved):
        raise EstimationError(
            f"the coefficient of '{problem.names[int(moved[0])]}' is not where the "
            "pseudo-likelihood has its maximum: it was corrected, or the fit did not converge; "
            "ask the converged, uncorrected result."
        )
