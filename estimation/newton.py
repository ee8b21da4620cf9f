"""Newton's method with a trust region, for log-likelihoods with an exact Hessian.

The model ``f + g'p - p'Bp/2`` with ``B = -H`` is maximized over ``|p| <= radius`` in scaled
coordinates, exactly, through the eigenvalues of B: the number of parameters is small where a
pass over the data is dear [NocedalWright2006]_.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.errors import EstimationError
from choicemodels.restrictions import Evaluation

__all__ = ["Iteration", "Optimum", "SearchState", "maximize"]

Array = NDArray[np.float64]
Objective: TypeAlias = Callable[[Array], Evaluation]

# A gain in log-likelihood that Newton's model predicts below this ends the search; one more
# step, which converges quadratically, then brings the gradient to rounding error.
_ENOUGH = 1e-8


@dataclass(frozen=True)
class Iteration:
    """One step of the search.

    Attributes
    ----------
    llf : float
        Log-likelihood before the step.
    predicted_gain : float
        What an unrestricted Newton step promises; the measure of convergence.
    step : float
        Length of the step taken in scaled coordinates; zero if it was rejected.
    radius : float
        Trust radius during the step.
    """

    llf: float
    predicted_gain: float
    step: float
    radius: float

    def to_dict(self) -> dict[str, float | None]:
        """Return the fields for JSON, which knows no infinity."""
        return {key: value if np.isfinite(value) else None for key, value in vars(self).items()}

    @classmethod
    def from_dict(cls, saved: dict[str, float | None]) -> Self:
        """Rebuild an iteration from :meth:`to_dict`."""
        return cls(**{key: np.inf if value is None else value for key, value in saved.items()})


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the search ended, and the record of it.

    Attributes
    ----------
    theta : ndarray, shape (P,)
    converged : bool
    message : str
    iterations : tuple of Iteration
    """

    theta: Array
    converged: bool
    message: str
    iterations: tuple[Iteration, ...]

    @property
    def record(self) -> pd.DataFrame:
        """One row for each iteration."""
        return pd.DataFrame([vars(step) for step in self.iterations])


@dataclass(frozen=True, eq=False)
class SearchState:
    """Everything that the search needs to go on from where it is.

    Attributes
    ----------
    theta : ndarray, shape (P,)
        The best point so far.
    curvature : ndarray, shape (P,)
        Largest root of the Hessian's diagonal seen, which scales the region.
    radius : float
    iterations : tuple of Iteration
    """

    theta: Array
    curvature: Array
    radius: float
    iterations: tuple[Iteration, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "theta": self.theta.tolist(),
            "curvature": self.curvature.tolist(),
            "radius": self.radius if np.isfinite(self.radius) else None,
            "iterations": [step.to_dict() for step in self.iterations],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild the state from :meth:`to_dict`."""
        return cls(
            np.array(saved["theta"], dtype=np.float64),
            np.array(saved["curvature"], dtype=np.float64),
            np.inf if saved["radius"] is None else float(saved["radius"]),
            tuple(Iteration.from_dict(step) for step in saved["iterations"]),
        )


def maximize(
    objective: Objective,
    start: Array | SearchState,
    *,
    first: Evaluation | None = None,
    lower: Array | None = None,
    upper: Array | None = None,
    max_iterations: int = 100,
    progress: Callable[[int, float], None] | None = None,
    keep: Callable[[SearchState], None] | None = None,
) -> Optimum:
    """Maximize a log-likelihood.

    With bounds, coordinates on a bound that the score pushes outward are held, and the step in
    the others is cut at the box [Bertsekas1982]_.

    Parameters
    ----------
    objective
        Value (minus infinity outside the domain), score (P,) and Hessian (P, P) at a point.
    start
        Where to begin, shape (P,), in the domain and within the bounds; or the state of an
        interrupted search, which goes on as if it had not been interrupted.
    first
        The objective at ``start``, if it is known already.
    lower, upper
        Bounds, shape (P,).
    max_iterations
        Passes over the data before giving up.
    progress
        Called with the iteration number and the log-likelihood.
    keep
        Called with the state before every step.

    Raises
    ------
    EstimationError
        If the log-likelihood is not finite at the start.
    """
    state = start
    if not isinstance(state, SearchState):
        theta = np.array(state, dtype=np.float64)
        state = SearchState(theta, np.zeros(len(theta)), np.inf)
    theta, curvature, radius = state.theta, state.curvature, state.radius
    low = np.full(len(theta), -np.inf) if lower is None else lower
    high = np.full(len(theta), np.inf) if upper is None else upper
    iterations = list(state.iterations)
    f, g, H = objective(theta) if first is None else first
    if not np.isfinite(f):
        raise EstimationError(
            f"the log-likelihood is {f} at the starting values; check the scale of the variables."
        )
    for number in range(len(iterations), max_iterations):
        if keep is not None:
            keep(SearchState(theta, curvature, radius, tuple(iterations)))
        # Never falling, so that the region fits every unit of measurement throughout.
        curvature = np.maximum(curvature, np.sqrt(np.abs(np.diag(H))))
        scale = np.where(curvature > 0, curvature, 1.0)
        moving = ~(((theta <= low) & (g <= 0)) | ((theta >= high) & (g >= 0)))
        if not moving.any():
            return Optimum(theta, True, "converged at the bounds", tuple(iterations))
        B = (-0.5 * (H + H.T) / np.outer(scale, scale))[np.ix_(moving, moving)]
        values, vectors = linalg.eigh(B)
        along = vectors.T @ (g / scale)[moving]
        gain = _newton_gain(values, along)
        p = _step(values, along, radius)
        if progress is not None:
            progress(number, f)
        step = np.zeros(len(theta))
        step[moving] = vectors @ p
        proposal = np.clip(theta + step / scale, low, high)
        if gain < _ENOUGH:
            iterations.append(Iteration(f, gain, float(np.linalg.norm(p)), radius))
            return Optimum(proposal, True, "converged", tuple(iterations))
        step = (proposal - theta) * scale
        f_new, g_new, H_new = objective(proposal)
        inner = step[moving]
        promised = float((g / scale)[moving] @ inner - 0.5 * inner @ B @ inner)
        length = float(np.linalg.norm(step))
        rounding = 1e-13 * max(1.0, abs(f))
        gained = f_new - f + rounding
        # A step cut at the bounds may promise nothing at all.
        ratio = gained / (promised + rounding) if promised > -rounding else 0.0
        accepted = bool(gained > 0 and ratio > 1e-4)
        iterations.append(Iteration(f, gain, length if accepted else 0.0, radius))
        if ratio < 0.25 or not np.isfinite(f_new):
            radius = 0.25 * length
        elif ratio > 0.75 and length > 0.99 * radius:
            radius = 2.0 * radius
        if accepted:
            theta, f, g, H = proposal, f_new, g_new, H_new
        if length < 1e-14 * max(1.0, float(np.linalg.norm(theta * scale))):
            return Optimum(theta, False, "the steps shrank to nothing", tuple(iterations))
    message = f"no convergence in {max_iterations} iterations"
    return Optimum(theta, False, message, tuple(iterations))


def _newton_gain(values: Array, along: Array) -> float:
    """Predict the gain of a full step; infinite while B is not positive definite."""
    if values[0] <= 1e-12 * values[-1]:
        flat = values <= 1e-12 * values[-1]
        # A flat direction without slope does not keep us from the optimum: the covariance
        # will name it.
        if (values[flat] < -1e-8 * values[-1]).any() or np.abs(along[flat]).max() > 1e-6:
            return np.inf
        values, along = values[~flat], along[~flat]
    return float(0.5 * (along**2 / values).sum())


def _step(values: Array, along: Array, radius: float) -> Array:
    """Solve ``max along'p - p' diag(values) p / 2`` over ``|p| <= radius``, shape (P,)."""
    floor = 1e-12 * max(float(values[-1]), 1.0)
    if values[0] > floor:
        p: Array = along / values
        if np.linalg.norm(p) <= radius:
            return p
    if not np.isfinite(radius):
        # No radius yet and no curvature to set it: as far as the steepest ascent suggests.
        radius = max(1.0, float(np.linalg.norm(along / np.maximum(np.abs(values), 1.0))))
    # |p(mu)| falls in mu: bracket and bisect on a logarithmic scale.
    low = max(0.0, -float(values[0])) + floor
    if np.linalg.norm(along / (values + low)) <= radius:
        return np.asarray(along / (values + low))
    high = low + float(np.linalg.norm(along)) / radius
    for _ in range(100):
        middle = 0.5 * (low + high)
        if np.linalg.norm(along / (values + middle)) > radius:
            low = middle
        else:
            high = middle
        if high - low <= 1e-10 * high:
            break
    return np.asarray(along / (values + high))
