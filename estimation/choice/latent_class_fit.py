"""Where the search for latent classes begins: climbs from several random points.

The likelihood of a mixture has several maxima, and a saddle point where all classes are alike.
Each start spreads the classes around the multinomial logit as far as the coefficients of single
decision makers might lie, and takes a few steps of the EM algorithm [DempsterLairdRubin1977]_ with
squared extrapolation [VaradhanRoland2008]_, which finds the way up from anywhere but is slow to
arrive. Newton's method, fast near a maximum, does the rest of the way.
"""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from choicemodels.errors import EstimationError, IdentificationError
from choicemodels.latent_class.likelihood import LatentClassLikelihood
from choicemodels.restrictions import Restrictions, restrict
from estimation.newton import maximize

__all__ = ["Climb", "RandomStarts", "climb", "random_point", "start_classes"]

Array = NDArray[np.float64]

_log = logging.getLogger(__name__)

# Cycles of EM before Newton's method takes over; one that gains less ends them early.
_CYCLES = 3
_ENOUGH = 1e-3
# Most Newton steps of one M-step, which is a weighted multinomial logit.
_STEPS = 10


@dataclass(frozen=True)
class RandomStarts:
    """How often and from which seed the search for latent classes begins.

    Attributes
    ----------
    number : int
    seed : int
    """

    number: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.number < 1:
            raise EstimationError(f"RandomStarts asks for {self.number} starts; one is the least.")


@dataclass(frozen=True, eq=False)
class Climb:
    """What the EM algorithm reached from one point.

    Attributes
    ----------
    phi : ndarray, shape (F,)
        Free parameters.
    llf : float
        Log-likelihood there.
    record : tuple of float
        Log-likelihoods of the points on the way.
    """

    phi: Array
    llf: float
    record: tuple[float, ...]


def start_classes(
    likelihood: LatentClassLikelihood,
    restrictions: Restrictions,
    utility: Array,
    starts: RandomStarts,
) -> Array:
    """Return the highest maximum found, shape (P,), the largest class first.

    Parameters
    ----------
    likelihood
        The model over the data.
    restrictions
        What is asked of the parameters; if they tell the classes apart, the order stays.
    utility
        Estimates of the multinomial logit with the same utilities, shape (U,).
    starts
        How often to begin.

    Raises
    ------
    IdentificationError
        If the best point leaves a class to less than one decision maker.
    """
    spread = _spread(likelihood, utility)
    objective = restrict(likelihood.evaluate, restrictions)
    found: list[tuple[float, Array]] = []
    for generator in np.random.default_rng(starts.seed).spawn(starts.number):
        begin = restrictions.reduce(random_point(likelihood, utility, spread, generator))
        near = climb(likelihood, restrictions, begin).phi
        phi = maximize(objective, near, lower=restrictions.lower, upper=restrictions.upper).theta
        found.append((objective(phi)[0], phi))
    llf, best = max(found, key=lambda pair: pair[0])
    reached = sum(value > llf - 1e-4 for value, _ in found)
    _log.info("%d of %d starts reached the log-likelihood %.4f.", reached, len(found), llf)
    theta = restrictions.full(best)
    _, posterior = likelihood.posteriors(theta)
    _refuse_empty(likelihood, posterior)
    order = np.argsort(-(likelihood.weights @ posterior), kind="stable")
    sorted_classes = likelihood.parameters.relabelled(theta, order)
    allowed = restrictions.full(restrictions.reduce(sorted_classes))
    return sorted_classes if np.allclose(allowed, sorted_classes, rtol=1e-10, atol=1e-10) else theta


def random_point(
    likelihood: LatentClassLikelihood,
    utility: Array,
    spread: Array,
    generator: np.random.Generator,
) -> Array:
    """Draw the coefficients of every class around those of all, shape (P,).

    Parameters
    ----------
    likelihood
        The model over the data.
    utility
        Where the draws centre, shape (U,).
    spread
        Its product with standard normal draws is the deviation, shape (U, U).
    generator
        The source of randomness.
    """
    p = likelihood.parameters
    theta = p.start_from(utility)
    draws = generator.standard_normal(p.position.shape)
    theta[p.position] = np.where(p.common, utility, utility + draws @ spread.T)
    return theta


def _spread(likelihood: LatentClassLikelihood, utility: Array) -> Array:
    """Return a root of the inverse information of one decision maker, shape (U, U).

    Directions without information stay where they are.
    """
    _, _, hessian = likelihood.flat.evaluate(utility)
    values, vectors = linalg.eigh(-0.5 * (hessian + hessian.T) / likelihood.weights.sum())
    known = values > 1e-12 * max(float(values[-1]), 0.0)
    root = np.where(known, 1.0 / np.sqrt(np.where(known, values, 1.0)), 0.0)
    return np.asarray(vectors * root)


def climb(
    likelihood: LatentClassLikelihood,
    restrictions: Restrictions,
    phi: Array,
    *,
    enough: float = _ENOUGH,
    cycles: int = _CYCLES,
) -> Climb:
    """Run the EM algorithm with squared extrapolation; the log-likelihood never falls.

    A cycle makes two EM steps, from x to ``x + r`` and to ``x + 2 r + v``, and tries
    ``x + 2 a r + a^2 v`` with ``a = |r| / |v|``, which it keeps if that is no lower.

    Parameters
    ----------
    likelihood
        The model over the data.
    restrictions
        What is asked of the parameters.
    phi
        Free parameters to begin with, shape (F,).
    enough
        A cycle that gains less ends the climb.
    cycles
        The most to make.
    """
    record: list[float] = []
    scale = np.ones(len(phi))
    for _ in range(cycles):
        before, one = _em_step(likelihood, restrictions, phi)
        middle, two = _em_step(likelihood, restrictions, one)
        record += [before, middle]
        r, v = one - phi, (two - one) - (one - phi)
        scale = np.maximum(scale, np.abs(phi))
        bend = float(np.linalg.norm(v / scale))
        phi = two
        if bend > 0:
            a = max(1.0, float(np.linalg.norm(r / scale)) / bend)
            leap = np.clip(one - r + 2 * a * r + a * a * v, restrictions.lower, restrictions.upper)
            after, landed = _em_step(likelihood, restrictions, leap)
            if after >= middle:
                phi = landed
                record.append(after)
        if record[-1] - before < enough:
            break
    llf, _ = likelihood.posteriors(restrictions.full(phi))
    return Climb(phi, float(likelihood.weights @ llf), tuple(record))


def _em_step(
    likelihood: LatentClassLikelihood, restrictions: Restrictions, phi: Array
) -> tuple[float, Array]:
    """Return the log-likelihood at phi, and where one step of EM leads."""
    loglike, posterior = likelihood.posteriors(restrictions.full(phi))
    expected = restrict(lambda theta: likelihood.completed(theta, posterior), restrictions)
    first = expected(phi)
    after = phi
    # One Newton step nearly always does; one too long is taken again with care.
    for most in (1, _STEPS):
        if (after == phi).all():
            after = maximize(
                expected,
                phi,
                first=first,
                lower=restrictions.lower,
                upper=restrictions.upper,
                max_iterations=most,
            ).theta
    return float(likelihood.weights @ loglike), after


def _refuse_empty(likelihood: LatentClassLikelihood, posterior: Array) -> None:
    p = likelihood.parameters
    members = posterior.sum(axis=0)
    empty = int(members.argmin())
    if members[empty] < 1.0:
        raise IdentificationError(
            f"with {p.n_classes} classes one is left with {members[empty]:.2g} of "
            f"{len(posterior):,} decision makers; the data tell no more than "
            f"{p.n_classes - 1} apart, so ask for fewer classes."
        )
