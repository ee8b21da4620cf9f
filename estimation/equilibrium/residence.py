"""Populations that reproduce themselves: the fixed point of moves, wages and rents."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import EstimationError
from estimation.fixed_point import anderson

__all__ = ["Settlement", "dominant_feedback", "settle", "settle_from", "stationary"]

Array = NDArray[np.float64]
# From log populations relative to the baseline, to those that follow from them.
PopulationMap = Callable[[Array], Array]

_TOLERANCE = 1e-11
_MOST_STEPS = 300
# Two equilibria are told apart by differences of log populations above this.
_DISTINCT = 1e-5
# Other starts have log populations this much off, as a standard deviation.
_SPREAD = 0.5
_STEP = 1e-5
# Directions along which the map is differentiated.
_KRYLOV = 24


@dataclass(frozen=True, eq=False, repr=False)
class Settlement:
    """A fixed point.

    Attributes
    ----------
    log_population : ndarray, shape (J,)
        Relative to the baseline.
    residual : float
        Largest difference between log populations and those that follow from them.
    evaluations : int
        Of the map.
    """

    log_population: Array
    residual: float
    evaluations: int

    def __repr__(self) -> str:
        return f"<Settlement: {len(self.log_population)} places, residual {self.residual:.1g}>"


def settle(follow: PopulationMap, start: Array, repulsion: float = 0.0) -> Settlement:
    """Find populations that reproduce themselves.

    Parameters
    ----------
    follow
    start
        Log populations relative to the baseline, shape (J,).
    repulsion
        By how much utility falls in log population where it falls most: steps are as much
        shorter, so that a place that was left does not fill beyond all bounds in the next.

    Raises
    ------
    EstimationError
        If none were found.
    """
    evaluations = 0

    def gap(x: Array) -> Array:
        nonlocal evaluations
        evaluations += 1
        return (follow(x) - x) / (1 + repulsion)

    def size(r: Array) -> float:
        return (1 + repulsion) * float(np.abs(r).max())

    found = anderson(gap, start, size, _TOLERANCE, max_steps=_MOST_STEPS)
    return Settlement(found, size(gap(found)), evaluations)


def settle_from(
    follow: PopulationMap, starts: int, seed: int, known: Settlement, repulsion: float = 0.0
) -> tuple[tuple[Settlement, ...], int]:
    """Look for other fixed points from scattered starts.

    Parameters
    ----------
    follow
    starts
        How many.
    seed
        Of the starts.
    known
        The fixed point found first.
    repulsion
        As in :func:`settle`.

    Returns
    -------
    others : tuple of Settlement
        Fixed points that differ from the known one and from each other.
    failures : int
        Starts from which none was found.
    """
    rng = np.random.default_rng(seed)
    distinct, failures = [known], 0
    for _ in range(starts):
        try:
            start = _SPREAD * rng.standard_normal(len(known.log_population))
            found = settle(follow, start, repulsion)
        except EstimationError:
            failures += 1
            continue
        gaps = [np.abs(found.log_population - old.log_population).max() for old in distinct]
        if min(gaps) > _DISTINCT:
            distinct.append(found)
    return tuple(distinct[1:]), failures


def dominant_feedback(follow: PopulationMap, at: Array) -> tuple[complex, complex]:
    """Return two eigenvalues of the map's derivative at a fixed point.

    Returns
    -------
    largest : complex
        The one of the largest real part. Below one, populations that adjust slowly towards those
        that follow from them return to the fixed point.
    modulus : complex
        The one of the largest modulus. Below one in modulus the map contracts there.
    """
    J = len(at)

    def along(v: Array) -> Array:
        step = _STEP / float(np.abs(v).max())
        return np.asarray((follow(at + step * v) - follow(at - step * v)) / (2 * step))

    # Arnoldi's method from a fixed start; in small systems its subspace is the whole space.
    size = min(J, _KRYLOV)
    Q, H = np.zeros((J, size + 1)), np.zeros((size + 1, size))
    start = np.cos(np.arange(1.0, J + 1) ** 2)
    Q[:, 0] = start / np.linalg.norm(start)
    for k in range(size):
        v = along(Q[:, k])
        scale = np.linalg.norm(v)
        for _ in range(2):
            overlap = Q[:, : k + 1].T @ v
            H[: k + 1, k] += overlap
            v = v - Q[:, : k + 1] @ overlap
        H[k + 1, k] = np.linalg.norm(v)
        if H[k + 1, k] <= 1e-8 * scale:
            size = k + 1
            break
        Q[:, k + 1] = v / H[k + 1, k]
    values = np.linalg.eigvals(H[:size, :size])
    largest, modulus = values[np.argmax(values.real)], values[np.argmax(np.abs(values))]
    return complex(largest), complex(modulus)


def stationary(moves: Array) -> Array:
    """Return the shares of people that moves with these probabilities leave as they are.

    Parameters
    ----------
    moves
        Rows sum to one, shape (J, J).

    Raises
    ------
    EstimationError
        If people cannot get from everywhere to everywhere, so that the shares are not unique.
    """
    system = np.eye(len(moves)) - moves.T
    # The equations sum to zero; added to each, "shares sum to one" takes the redundant one's place.
    weight = np.diag(system).mean()
    try:
        shares = np.linalg.solve(system + weight, np.full(len(moves), weight))
    except np.linalg.LinAlgError:
        shares = np.full(len(moves), np.nan)
    if not (shares > 0).all():
        raise EstimationError(
            "the moves have no unique stationary population: some places cannot be reached from "
            "others."
        )
    return np.asarray(shares / shares.sum())
