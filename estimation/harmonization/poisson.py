"""What balancing estimates: the effects of a Poisson model with the matrix as offset."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from estimation.harmonization.result import Harmonized
from estimation.harmonization.steps import Margins

__all__ = ["poisson_effects"]

Array = NDArray[np.float64]

# Covariances take a dense inverse of this many areas at most.
_MOST = 5_000


def poisson_effects(result: Harmonized, step: int = -1) -> pd.DataFrame:
    """Return the log factors of a balancing step as estimates, with standard errors.

    If flows between areas are independent Poisson counts with means ``E_cd exp(alpha_c + beta_d)``,
    their sums over rows and columns are sufficient for the effects, and the factors of
    :class:`~estimation.harmonization.steps.Margins` are their maximum-likelihood estimates
    [ChangKoehlerQuLeskovecUgander2024]_. The covariance is the inverse of the information,
    ``[[diag(r), M], [M', diag(c)]]``, where both kinds of effects have a mean of zero.

    The standard errors are those of counting people who move independently. They know nothing of
    the error of the raw matrix, nor of the tables': resample the tables for that.

    Parameters
    ----------
    result
    step
        Number of the step, from 0; it must be the last one on flows, so that the result holds
        what it fitted.

    Returns
    -------
    DataFrame, shape (C, 4)
        By area: ``origin`` and ``destination`` effects and their standard errors, ``origin se``
        and ``destination se``.

    Raises
    ------
    SpecificationError
        If the step did not balance two margins, later ones changed what it fitted, or there are
        too many areas.
    """
    steps = result.steps
    if not -len(steps) <= step < len(steps):
        raise SpecificationError(f"there are {len(steps)} steps; {step} is none of them.")
    number = step % len(steps)
    name = f"{number + 1} {steps[number].name}"
    if not isinstance(steps[number], Margins):
        raise SpecificationError(
            f"step {name} is a ratio of sums; only margins estimate effects of origins and "
            "destinations."
        )
    if number != len(steps) - 1:
        raise SpecificationError(
            f"steps after {name} changed the flows that it fitted; leave them out."
        )
    found = result.adjustments[number]
    flows = result.matrix.aggregate(found.level)
    if flows.areas.size > _MOST:
        raise SpecificationError(
            f"{flows.areas.size:,} areas are too many for the covariance of effects; balance at "
            f"a level of at most {_MOST:,}."
        )
    M = flows.flows.toarray()
    origin, destination = np.log(found.rows), np.log(found.columns)
    return pd.DataFrame(
        {
            "origin": origin - origin.mean(),
            "origin se": _standard_errors(M),
            "destination": destination - destination.mean(),
            "destination se": _standard_errors(M.T),
        },
        index=flows.areas.labels,
    )


def _standard_errors(M: Array) -> Array:
    """Return those of the rows' effects around their mean, with the columns' profiled out."""
    from scipy.linalg import pinvh

    columns = M.sum(axis=0)
    scale = np.divide(1.0, columns, out=np.zeros_like(columns), where=columns > 0)
    information = np.diag(M.sum(axis=1)) - (M * scale) @ M.T
    return np.asarray(np.sqrt(np.maximum(np.diag(pinvh(information)), 0.0)))
