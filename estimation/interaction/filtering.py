"""Eigenvectors of the network of flows as regressors, so that no autocorrelation is left.

With K the symmetric weights between flows and ``M = I - 11'/N``, the eigenvectors of ``M K M`` are
the patterns that Moran's I can see, uncorrelated with each other, from the most positive
autocorrelation downwards. Added to a Poisson model of flows, a few of them stand for the omitted
variables that make neighbouring flows alike [ChunGriffith2011]_. They are chosen one by one, each
the one that brings the residuals' Moran's I nearest to its expectation [TiefelsdorfGriffith2007]_.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.interaction.models import SpatialInteraction
from estimation.gravity.absorb import solve, sum_by
from estimation.gravity.fit import fit_gravity
from estimation.gravity.ppml_kernels import moments, partial_out
from estimation.gravity.problem import arranged, problem_of
from estimation.gravity.result import GravityResult
from estimation.interaction.autocorrelation import (
    moran,
    moran_statistic,
    pearson_residuals,
    row_standardized,
)
from estimation.interaction.fit import prepared
from estimation.interaction.neighbours import FlowLink, flow_weights, place_weights

__all__ = ["FilteredFit", "filter_autocorrelation", "network_eigenvectors"]

Array = NDArray[np.float64]

# Columns of which less than this share is left within the effects are taken for absorbed.
_ABSORBED = 1e-8


@dataclass(frozen=True, eq=False)
class FilteredFit:
    """A model of flows with the eigenvectors that were chosen.

    Attributes
    ----------
    result : GravityResult
        The eigenvectors stand among the regressors as ``eigenvector_1``, ...: by their rank.
    vectors : DataFrame
        The chosen eigenvectors, by position of the row in the table that was given.
    steps : DataFrame
        One row before the first and after each choice: vector, eigenvalue, moran, expected, z.
    notes : tuple of str
        Why the choice ended, if not because nothing was left to remove.
    """

    result: GravityResult
    vectors: pd.DataFrame
    steps: pd.DataFrame
    notes: tuple[str, ...] = ()


def filter_autocorrelation(
    model: Gravity | SpatialInteraction,
    data: FlowData,
    weights: Any,
    *,
    link: FlowLink = "both",
    candidates: int = 50,
    most: int = 20,
    alpha: float = 0.1,
    **options: Any,
) -> FilteredFit:
    """Add eigenvectors to a model of flows until its residuals are not autocorrelated.

    Parameters
    ----------
    model
        A gravity model, or one of Wilson's family.
    data
        Flows of one period.
    weights
        Neighbourhood of places; see :func:`estimation.interaction.neighbours.place_weights`.
    link
        Which flows are neighbours; see :func:`estimation.interaction.neighbours.flow_weights`.
    candidates
        How many eigenvectors, from the largest eigenvalue down, are looked at.
    most
        How many may be chosen.
    alpha
        The choice ends once the two-sided p-value of the residuals' Moran's I exceeds this.
    **options
        Of :func:`estimation.gravity.fit.fit_gravity`.

    Raises
    ------
    SpecificationError
        If an option cannot be, or the model is not log-linear.
    DataError
        If a place has no weights, or there are several periods.
    EstimationError
        If Moran's I cannot be computed, or no eigenvalue is positive.
    """
    if candidates < 1 or most < 1 or not 0 < alpha < 1:
        raise SpecificationError(
            f"candidates={candidates}, most={most}, alpha={alpha}: the first two must be 1 or "
            "more, the last between 0 and 1."
        )
    gravity, data = _poisson(model, data)
    start = fit_gravity(gravity, data, **options)
    assert start.sample is not None
    rows = start.sample.rows
    W = flow_weights(data, rows, place_weights(weights), link)
    values, vectors = network_eigenvectors(W, candidates)
    chosen: list[int] = []
    result, steps, notes = start, [_step(start, W)], []
    linked, _ = row_standardized(W)
    while steps[-1]["pvalue"] <= alpha:
        if steps[-1]["z"] < 0:
            notes.append("negative autocorrelation is left, which these vectors do not model.")
            break
        best = _next(result, gravity, vectors, chosen, linked)
        if best is None or len(chosen) == most:
            notes.append(
                "autocorrelation is left, but "
                + ("no candidate lowers it." if best is None else f"{most} vectors are the most.")
            )
            break
        added = _fit_with([*chosen, best], gravity, data, rows, vectors, options)
        step = {**_step(added, W), "vector": best + 1, "eigenvalue": float(values[best])}
        if abs(step["z"]) >= abs(steps[-1]["z"]):
            notes.append("autocorrelation is left, but no candidate lowers it.")
            break
        chosen.append(best)
        result = added
        steps.append(step)
    columns = [f"eigenvector_{j + 1}" for j in chosen]
    order = ["vector", "eigenvalue", "moran", "expected", "z", "pvalue"]
    return FilteredFit(
        result,
        pd.DataFrame(vectors[chosen].T, index=rows, columns=pd.Index(columns)),
        pd.DataFrame(steps, columns=order).astype({"vector": "Int64", "eigenvalue": "Float64"}),
        tuple(notes),
    )


def _poisson(model: Gravity | SpatialInteraction, data: FlowData) -> tuple[Gravity, FlowData]:
    if isinstance(model, Gravity):
        return model, data
    if isinstance(model, SpatialInteraction):
        return model.gravity(data.origin, data.destination), prepared(model, data)
    raise SpecificationError(
        f"a {type(model).__name__} is not log-linear, so eigenvectors cannot be added to it; "
        "filter a Gravity or a SpatialInteraction."
    )


def network_eigenvectors(weights: Any, count: int) -> tuple[Array, Array]:
    """Return the eigenvectors of ``M K M`` with the largest positive eigenvalues.

    Parameters
    ----------
    weights : sparse array, shape (N, N)
        Made symmetric here, ``K = (W + W') / 2``.
    count
        How many at most.

    Returns
    -------
    values : ndarray, shape (k,)
        Eigenvalues, falling.
    vectors : ndarray, shape (k, N)
        Of length one; the largest entry of each is positive.

    Raises
    ------
    EstimationError
        If no eigenvalue is positive.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    K, N = 0.5 * (weights + weights.T), weights.shape[0]
    if min(count, N) >= N - 1:
        M = np.eye(N) - 1 / N
        values, columns = np.linalg.eigh(M @ K.toarray() @ M)
    else:

        def centred(v: Array) -> Array:
            moved = K @ (v - v.mean())
            return np.asarray(moved - moved.mean())

        operator = LinearOperator((N, N), matvec=centred, dtype=np.float64)
        # Lanczos begins somewhere; a fixed place makes the answer reproducible.
        values, columns = eigsh(operator, k=count, which="LA", v0=np.cos(np.arange(N) + 1.0))
    keep = np.argsort(-values)[:count]
    keep = keep[values[keep] > 1e-10 * max(float(np.abs(values).max()), 1e-300)]
    if len(keep) == 0:
        raise EstimationError(
            "no pattern of positive autocorrelation exists under these weights; give places more "
            "neighbours, or choose another link."
        )
    vectors = np.ascontiguousarray(columns[:, keep].T)
    top = vectors[np.arange(len(keep)), np.abs(vectors).argmax(axis=1)]
    return values[keep], vectors * np.sign(top)[:, None]


def _fit_with(
    chosen: list[int],
    gravity: Gravity,
    data: FlowData,
    rows: NDArray[np.int64],
    vectors: Array,
    options: dict[str, Any],
) -> GravityResult:
    """Fit the model with the chosen eigenvectors among its regressors, on the same rows."""
    columns = {}
    for j in chosen:
        # Rows that were left out stay out, and must not be missing.
        columns[f"eigenvector_{j + 1}"] = np.zeros(data.nobs)
        columns[f"eigenvector_{j + 1}"][rows] = vectors[j]
    wider = data.with_columns(**columns)
    terms, bar, effects = gravity.formula.partition("|")
    formula = f"{terms.strip()} + {' + '.join(columns)}" + (f" | {effects.strip()}" if bar else "")
    result = fit_gravity(Gravity(formula, offset=gravity.offset), wider, **options)
    assert result.sample is not None
    if not np.array_equal(result.sample.rows, rows):
        raise EstimationError(
            f"with {', '.join(columns)} other rows are separated than without; lower most=."
        )
    return result


def _step(result: GravityResult, W: Any) -> dict[str, Any]:
    """Return Moran's I of the residuals."""
    _, residuals = pearson_residuals(result)
    test = moran(residuals, W, permutations=0)
    if test.statistic is None:
        raise EstimationError(f"Moran's I of the residuals does not exist: {test.reason}.")
    return {
        "vector": None,
        "eigenvalue": None,
        "moran": test.statistic,
        "expected": test.expected,
        "z": test.z,
        "pvalue": test.pvalue,
    }


def _next(
    result: GravityResult, gravity: Gravity, vectors: Array, chosen: list[int], W: Any
) -> int | None:
    """Return the candidate whose Newton step brings Moran's I nearest to its expectation.

    Adding a column e moves the residuals, to first order, by ``-sqrt(mu) e~ b`` with
    ``b = e~'(y - mu) / e~' diag(mu) e~``, e~ being e less its projection on what is there.
    """
    assert result.sample is not None
    sample = result.sample
    left = _within(result, gravity, vectors)
    size = np.einsum("kn,kn,n->k", left, left, sample.mu)
    whole = np.einsum("kn,kn,n->k", vectors, vectors, sample.mu)
    residuals, root = pearson_residuals(result)[1].to_numpy(), np.sqrt(sample.mu)
    expected, distance = -1 / (len(root) - 1), np.full(len(vectors), np.inf)
    for j in range(len(vectors)):
        if j not in chosen and size[j] > _ABSORBED * whole[j]:
            b = float(left[j] @ (residuals * root)) / size[j]
            moved = residuals - root * left[j] * b
            distance[j] = abs(moran_statistic(moved - moved.mean(), W) - expected)
    best = int(distance.argmin())
    return best if np.isfinite(distance[best]) else None


def _within(result: GravityResult, gravity: Gravity, columns: Array) -> Array:
    """Take effects and regressors out of columns, under the weights mu."""
    assert result.sample is not None
    now = Gravity(result.formula, offset=gravity.offset)
    problem = problem_of(result.sample, result.terms, now)
    effects, w = arranged(problem), result.sample.mu
    stacked = np.vstack([problem.X, columns])
    if effects is not None:
        weights = np.array(effects.sort(w))
        total = sum_by(weights, effects)
        X = np.ascontiguousarray(effects.sort(stacked))
        at = moments(effects, weights, weights, X, total)
        bound = 1e-20 * np.diag(at.gram)[: len(X)]
        A = solve(effects, weights, total, at.diagonal, at.rhs[: len(X)], bound=bound).coefficients
        stacked = effects.unsort(partial_out(effects, X, weights, total, A))
    own, rest = stacked[: len(problem.X)], stacked[len(problem.X) :]
    root = np.sqrt(w)
    fitted = np.linalg.lstsq((own * root).T, (rest * root).T, rcond=None)[0]
    return np.asarray(rest - fitted.T @ own)
