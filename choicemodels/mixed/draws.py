"""Points that fill the unit cube more evenly than random ones, for simulation.

Points belong to decision makers in their order: maker m has the points ``m * draws`` to
``(m + 1) * draws`` of one sequence (or a Latin hypercube of its own), whoever comes after.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.mixed.distributions import Distribution, standardize
from choicemodels.threads import run_blocks

__all__ = ["SEQUENCES", "Sequence", "halton", "standard_draws", "uniform_draws"]

Array = NDArray[np.float64]
Sequence: TypeAlias = Literal["halton", "sobol", "mlhs"]

SEQUENCES = ("halton", "sobol", "mlhs")

# Digits of scipy's Sobol sequence, and so the logarithm of its length.
_BITS = 30
# Beyond this a digit is below the precision of the numbers.
_FINEST = 2.0**-54


def uniform_draws(sequence: Sequence, makers: int, dimensions: int, draws: int, seed: int) -> Array:
    """Return points in the open unit cube, shape (makers, dimensions, draws).

    Parameters
    ----------
    sequence
        ``"halton"``, with digits permuted at random [Owen2017]_; ``"sobol"``, scrambled
        [Owen1998]_; or ``"mlhs"``, modified Latin hypercube sampling [HessTrainPolak2006]_.
    makers, dimensions, draws
        The numbers of decision makers, of coefficients that vary, and of points for each maker.
    seed
        Of the permutations, the scrambling, or the shifts and the order.

    Raises
    ------
    SpecificationError
        If Sobol's sequence is not long enough.
    """
    if sequence == "mlhs":
        points = _latin_hypercubes(makers, dimensions, draws, seed)
    elif sequence == "sobol":
        points = _sobol(makers, dimensions, draws, seed)
    else:
        points = np.empty((makers, dimensions, draws))
        generators = np.random.SeedSequence(seed).spawn(dimensions)
        for d, base in enumerate(_primes(dimensions)):
            column = halton(makers * draws, base, np.random.default_rng(generators[d]))
            points[:, d] = column.reshape(makers, draws)
    return np.clip(points, 2.0**-53, 1.0 - 2.0**-53, out=points)


def halton(count: int, base: int, rng: np.random.Generator | None = None) -> Array:
    """Return one dimension of Halton's sequence, from 0 on, shape (count,).

    The number i is mirrored at the point in the given base: ``i = sum_k d_k base^k`` becomes
    ``sum_k d_k base^-(k + 1)`` [Halton1960]_. With a generator every digit, also the zeros that
    precede i, is exchanged through a random permutation of its own.

    Parameters
    ----------
    count
        Number of points.
    base
        A prime; another one for each dimension.
    rng
        Draws the permutations.
    """
    points, rest, unit = np.zeros(1), 0.0, 1.0 / base
    while unit > _FINEST:
        digits = np.arange(base) if rng is None else rng.permutation(base)
        if len(points) < count:
            # The next digit of all numbers so far: those below base^(k+1) in order.
            needed = -(-count // len(points))
            points = (digits[:needed, None] * unit + points).ravel()
        else:
            rest += digits[0] * unit
        unit /= base
    return points[:count] + rest


def _sobol(makers: int, dimensions: int, draws: int, seed: int) -> Array:
    from scipy.stats import qmc

    power = int(np.ceil(np.log2(max(makers * draws, 1))))
    if power > _BITS:
        raise SpecificationError(
            f"{makers:,} decision makers times {draws:,} draws are more points than Sobol's "
            "sequence of 30 digits has; use sequence='halton' or 'mlhs'."
        )
    sampler = qmc.Sobol(dimensions, scramble=True, bits=_BITS, rng=np.random.default_rng(seed))
    points = sampler.random_base2(power)[: makers * draws].reshape(makers, draws, dimensions)
    return np.ascontiguousarray(points.transpose(0, 2, 1))


def _latin_hypercubes(makers: int, dimensions: int, draws: int, seed: int) -> Array:
    """Shift equally spaced points at random, and shuffle each dimension by itself."""
    shifts, orders = np.random.SeedSequence(seed).spawn(2)
    shift = np.random.default_rng(shifts).random((makers, dimensions, 1))
    points = np.empty((makers, dimensions, draws))
    points[:] = np.arange(draws)
    np.random.default_rng(orders).permuted(points, axis=2, out=points)
    points += shift
    points /= draws
    return points


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def standard_draws(
    laws: Iterable[Distribution], sequence: Sequence, makers: int, draws: int, seed: int
) -> Array:
    """Return the standard draws of coefficients, shape (makers, dimensions, draws).

    Parameters
    ----------
    laws
        How each coefficient that varies does so, one for each dimension.
    sequence, makers, draws, seed
        As in :func:`uniform_draws`.
    """
    laws = tuple(laws)
    points = uniform_draws(sequence, makers, len(laws), draws, seed)

    def work(d: int) -> None:
        points[:, d] = standardize(laws[d], points[:, d])

    run_blocks(work, len(laws))
    return points
