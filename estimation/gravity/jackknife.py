"""The cluster jackknife: the model is fitted again without each group in turn.

With b the estimate and b_g that without group g of G,

    CRV3 = (G - 1) / G sum_g (b_g - b) (b_g - b)',

which errs less than other cluster-robust covariances where groups are few or unequal
[MacKinnonNielsenWebb2023]_. Levels of fixed effects that only occur in the group vanish with it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError, EstimationError, NestflowError, SpecificationError
from estimation.covariance import SmallSample
from estimation.gravity.covariance import Grouping
from estimation.gravity.search import Search
from estimation.results import Covariance

__all__ = ["jackknife_covariance", "leave_one_out"]

Array = NDArray[np.float64]


def leave_one_out(problem: Search, grouping: Grouping) -> Array:
    """Estimate without each group in turn, shape (G, K).

    Parameters
    ----------
    problem
        Over the rows used.
    grouping
        Of these rows.

    Raises
    ------
    EstimationError
        If a coefficient is not identified without some group, or the fit does not exist; the
        group is named.
    """
    G, K = grouping.size, len(problem.names)
    out = np.empty((G, K))
    for g, label in enumerate(grouping.labels()):
        rows = np.flatnonzero(grouping.codes != g)
        try:
            found = problem.run(rows, drop_separated=True, singletons=True)
        except NestflowError as error:
            raise EstimationError(
                f"without the group {label} of '{grouping.name}' there is no estimate: {error}"
            ) from error
        if len(found.columns) < K:
            lost = sorted(set(range(K)) - set(found.columns.tolist()))
            raise EstimationError(
                f"without the group {label} of '{grouping.name}' the coefficient of "
                f"'{problem.names[lost[0]]}' is not identified, so the jackknife is not defined; "
                "choose cov='cluster', or drop the regressor."
            )
        if not found.fit.converged:
            raise EstimationError(
                f"the fit without the group {label} of '{grouping.name}' did not converge; choose "
                "cov='cluster'."
            )
        out[g] = found.fit.beta
    return out


def jackknife_covariance(
    problem: Search, estimate: Array, groupings: Sequence[Grouping], ssc: SmallSample
) -> Covariance:
    """Compute the cluster-jackknife covariance around the estimate.

    Parameters
    ----------
    problem
        Over the rows used.
    estimate
        Shape (K,).
    groupings
        A single way of clustering.
    ssc
        Only kept, for covariances chosen afterwards: the jackknife has its own factor.

    Raises
    ------
    SpecificationError
        If there are several ways of clustering.
    DataError
        If there is a single group.
    EstimationError
        As of :func:`leave_one_out`.
    """
    if len(groupings) > 1:
        raise SpecificationError(
            "the jackknife leaves out the groups of one clustering; several ways are for "
            "cov='cluster'."
        )
    grouping = groupings[0]
    G = grouping.size
    if G < 2:
        raise DataError(
            f"'{grouping.name}' has a single group; the jackknife needs at least two: choose a "
            "finer grouping."
        )
    if not problem.names:
        return Covariance(np.zeros((0, 0)), "CRV3", (grouping.name,), (G,), ssc)
    gaps = leave_one_out(problem, grouping) - estimate
    matrix = (G - 1) / G * np.einsum("gk,gm->km", gaps, gaps)
    return Covariance(matrix, "CRV3", (grouping.name,), (G,), ssc)
