"""Flows in proportion to a law, brought to the totals that a constraint names."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.interaction.balancing import balance_cells, totals
from choicemodels.interaction.models import InteractionModel

__all__ = ["ConstrainedFlows", "constrained"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

# A flow below this share (in logarithms) of the largest of its origin counts as this share.
_LEAST_LOG = -690.0


@dataclass(frozen=True, eq=False)
class ConstrainedFlows:
    """Expected flows that meet the totals.

    Attributes
    ----------
    mu : ndarray, shape (N,)
    log_mu : ndarray, shape (N,)
        Minus infinity where there is no flow.
    row_factors, column_factors : ndarray, shapes (P,)
        By place; ones where the constraint has none. The level of the unconstrained model
        is in the row factors.
    """

    mu: Array
    log_mu: Array
    row_factors: Array
    column_factors: Array


def constrained(
    log: Array,
    origin: Codes,
    destination: Codes,
    y: Array,
    model: InteractionModel,
    *,
    tol: float = 1e-12,
    max_iterations: int = 10_000,
) -> ConstrainedFlows:
    """Bring flows in proportion to ``exp(log)`` to the totals of y.

    Parameters
    ----------
    log : (N,)
        Minus infinity where there is no flow.
    origin, destination : (N,)
        Codes of places.
    y : (N,)
        Flows, of which only the totals that the constraint names are used.
    model
        For its constraint.
    tol, max_iterations
        As of :func:`choicemodels.interaction.balancing.balance`.

    Raises
    ------
    DataError, EstimationError
        If the totals cannot be met.
    """
    P = int(max(origin.max(), destination.max())) + 1
    # What an origin's factor carries anyway is taken out, so that nothing underflows.
    top = np.full(P, -np.inf)
    np.maximum.at(top, origin, log)
    level = np.where(np.isfinite(top), top, 0.0)
    if not model.constrains_origins:
        level = np.full(P, float(level.max()))
    shifted = log - level[origin]
    f = np.where(np.isfinite(log), np.exp(np.maximum(shifted, _LEAST_LOG)), 0.0)
    A, B = np.ones(P), np.ones(P)
    if model.constraint == "doubly":
        some = f > 0
        found = balance_cells(
            f[some], origin[some], destination[some],
            totals(origin, y, P), totals(destination, y, P), tol=tol, max_iterations=max_iterations,
        )  # fmt: skip
        A, B = found.row_factors, found.column_factors
    elif model.constraint == "production":
        A = _ratio(totals(origin, y, P), totals(origin, f, P))
    elif model.constraint == "attraction":
        B = _ratio(totals(destination, y, P), totals(destination, f, P))
    else:
        A = A * (y.sum() / f.sum())
    with np.errstate(divide="ignore"):
        log_mu = np.where(f > 0, shifted, -np.inf)
        log_mu = log_mu + np.log(A)[origin] + np.log(B)[destination]
    mu = A[origin] * f * B[destination]
    return ConstrainedFlows(mu, log_mu, A * np.exp(-level), B)


def _ratio(total: Array, reach: Array) -> Array:
    return np.divide(total, reach, out=np.zeros_like(total), where=reach > 0)
