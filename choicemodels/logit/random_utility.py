"""Random utilities of a nested logit, drawn one by one: the model as a maximum.

The errors of a nested logit are sums of independent parts, one for the alternative and one for
each nest above it ([Cardell1997]_). With ``S`` positive stable of index rho, whose Laplace
transform is ``exp(-t**rho)``, and ``G`` standard Gumbel,

    lambda * G + lambda * log(S)   is Gumbel with scale lambda / rho,

so that an alternative's error is ``lambda * G`` with the dissimilarity of its nest, plus
``lambda_m * log(S_m)`` for every nest m above it, where ``rho_m = lambda_m / lambda_parent``.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from choicemodels.errors import SpecificationError
from choicemodels.logit.tree import NestTree

__all__ = ["log_stable", "nested_errors", "staying_error"]

Array = NDArray[np.float64]


def log_stable(rho: float, angle: Array, exponential: Array) -> Array:
    """Return the logarithm of positive stable variates of index ``rho``, by Kanter's formula.

    Parameters
    ----------
    rho
        0 < rho <= 1; at 1 the variate is 1.
    angle, exponential : (N,)
        Independent uniforms in (0, 1).

    Notes
    -----
    With ``a = pi * angle`` and ``e = -log(exponential)``, S is
    ``sin(rho a) / sin(a)**(1/rho) * (sin((1 - rho) a) / e)**((1 - rho)/rho)`` ([Kanter1975]_).
    """
    if rho == 1.0:
        return np.zeros(len(angle))
    a, e = np.pi * angle, -np.log(exponential)
    out: Array = np.log(np.sin(rho * a)) - np.log(np.sin(a)) / rho
    out += (1.0 - rho) / rho * (np.log(np.sin((1.0 - rho) * a)) - np.log(e))
    return out


def nested_errors(
    tree: NestTree, lam: Array, draw: Callable[[str], Array], alternatives: Sequence[str]
) -> Array:
    """Return errors whose maximum rule gives the nested logit's probabilities, (N, J).

    Parameters
    ----------
    tree
    lam : (M,)
        Dissimilarities.
    draw
        Gives N uniforms in (0, 1) for a name: of an alternative, or "angle of ..." and
        "scale of ..." a nest.
    alternatives
        The J of which errors are wanted.

    Raises
    ------
    SpecificationError
        If a dissimilarity lies above its parent's or is not positive: then there are no random
        utilities.
    """
    full = np.append(lam, 1.0)
    J, M = len(tree.alternatives), len(tree.nests)
    above: dict[int, Array | float] = {M: 0.0}
    for m in reversed(range(M)):
        rho = float(full[m] / full[tree.parent[J + m]])
        if not 0.0 < rho <= 1.0:
            raise SpecificationError(
                f"the dissimilarity of nest '{tree.nests[m]}' is {full[m]:.4g}, which no random "
                "utilities have: it must be above 0 and at most its parent's; use "
                "coupling='independent', or fit the model with bounds."
            )
        name = tree.nests[m]
        stable = log_stable(rho, draw(f"angle of {name}"), draw(f"scale of {name}"))
        above[m] = above[tree.parent[J + m]] + full[m] * stable
    position = {name: j for j, name in enumerate(tree.alternatives)}
    columns = []
    for name in alternatives:
        nest = tree.parent[position[name]]
        columns.append(above[nest] - full[nest] * np.log(-np.log(draw(name))))
    return np.column_stack(columns)


def staying_error(u: Array, years: float) -> Array:
    """Return the error of the outside alternative over a part of a year, (N,).

    ``-log(X)`` with X gamma of shape ``years``. If the best of all others is ``W`` plus a
    standard Gumbel, they lose with probability
    ``E[exp(-X * exp(W - V))] = (1 + exp(W - V))**(-years)``: the annual logit probability of
    staying to the power ``years``. For a whole year X is exponential and the error Gumbel.

    Parameters
    ----------
    u : (N,)
        Uniforms in (0, 1).
    years
        Above 0.
    """
    x: Array = np.asarray(gammaincinv(years, u), dtype=np.float64)
    return -np.log(np.maximum(x, np.finfo(np.float64).tiny))
