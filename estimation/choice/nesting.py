"""One model within another: where the estimate of a small model lies in a larger one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.logit.absorbed import AbsorbedParameters
from choicemodels.logit.likelihood import Layout, LogitParameters
from choicemodels.logit.tree import NestTree
from choicemodels.utility import Term
from estimation.choice.result import ChoiceResult

__all__ = ["Embedding", "embed"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Embedding:
    """The larger model's parameters as a function of the smaller one's.

    Attributes
    ----------
    theta : ndarray, shape (P,)
        The larger model's parameters at the smaller one's estimate.
    tangent : ndarray, shape (P, F)
        Their derivatives by the smaller model's free parameters.
    point : ndarray, shape (P,) or (P + J - 1,)
        Where to evaluate the larger likelihood: theta, and the constants if it absorbs them.
    lost : tuple of str
        Parameters of the smaller model that have no place in the larger: not nested.
    """

    theta: Array
    tangent: Array
    point: Array
    lost: tuple[str, ...] = ()


def embed(result: ChoiceResult, layout: Layout | AbsorbedParameters) -> Embedding:
    """Find the estimate of a model within a larger one.

    Terms with the same factors are matched by the alternatives that they enter, so that one
    coefficient lies within one for each alternative, and constants within constants against
    another base. Nests are matched by their alternatives, and a nest that the smaller model lacks
    has the lambda of what it stands in. What else is new starts where it has no effect.

    Parameters
    ----------
    result
        The smaller model.
    layout
        Of the larger model over the same alternatives.
    """
    own = result.parameters
    larger = layout.inner if isinstance(layout, AbsorbedParameters) else layout
    origin = np.array(larger.start_from(np.array(larger.utility.start)))
    if larger.utility.size_free and not own.utility.size:
        origin[larger.names.index("size")] = 0.0
    matrix = np.zeros((len(larger.names), len(own.names)))
    for k, name in enumerate(larger.names):
        if name in own.names:
            origin[k], matrix[k, own.names.index(name)] = 0.0, 1.0
    _match_terms(own, larger, matrix)
    if isinstance(own, LogitParameters) and isinstance(larger, LogitParameters):
        _match_nests(own, larger, origin, matrix)
    placed = (matrix != 0).any(axis=0)
    lost = tuple(name for name, found in zip(own.names, placed, strict=True) if not found)
    theta = origin + matrix @ result.theta
    point = theta
    if isinstance(layout, AbsorbedParameters) and isinstance(own, LogitParameters):
        point = layout.join(theta, own.constants)
    return Embedding(theta, matrix @ result.basis, point, lost)


def _match_terms(own: Layout, larger: Layout, matrix: Array) -> None:
    """Write the rows of ``matrix`` for the terms that have a coefficient."""
    mine, theirs = own.utility.linear, larger.utility.linear
    matrix[: len(theirs)] = 0.0
    for factors in {tuple(sorted(term.factors)) for term in mine}:
        here = [k for k, term in enumerate(mine) if tuple(sorted(term.factors)) == factors]
        there = [k for k, term in enumerate(theirs) if tuple(sorted(term.factors)) == factors]
        small = _enters([mine[k] for k in here], larger.alternatives)
        large = _enters([theirs[k] for k in there], larger.alternatives)
        # A variable of the case may also move by the same amount in all alternatives.
        for span in (large, np.column_stack([large, np.ones(len(large))])):
            weights = np.linalg.lstsq(span, small, rcond=None)[0]
            if np.allclose(span @ weights, small, atol=1e-9):
                matrix[np.ix_(there, here)] = np.round(weights[: len(there)], 12)
                break


def _enters(terms: list[Term], alternatives: tuple[str, ...]) -> Array:
    """Say which alternatives' utilities each term enters, shape (J, terms)."""
    columns = [
        [t.alternatives is None or name in t.alternatives for t in terms] for name in alternatives
    ]
    return np.array(columns, dtype=np.float64).reshape(len(alternatives), len(terms))


def _match_nests(
    own: LogitParameters, larger: LogitParameters, origin: Array, matrix: Array
) -> None:
    """Write the rows of ``matrix`` for the lambdas, which measure from the root under RUM."""
    mine = _members(own.tree)
    for nest, members in enumerate(_members(larger.tree)):
        row = int(larger.slot[nest])
        if row < 0:
            continue
        around = [m for m, inside in enumerate(mine) if members <= inside]
        if not larger.rum:
            around = [m for m in around if mine[m] == members]
        matrix[row] = 0.0
        origin[row] = 1.0
        if around:
            nearest = min(around, key=lambda m: len(mine[m]))
            slot = int(own.slot[nearest])
            origin[row] = 0.0 if slot >= 0 else own.fixed[nearest]
            matrix[row, slot] = float(slot >= 0)


def _members(tree: NestTree) -> list[frozenset[str]]:
    """Return the alternatives below each nest."""
    J = len(tree.alternatives)
    below: list[set[str]] = [set() for _ in range(len(tree.nests) + 1)]
    for j, name in enumerate(tree.alternatives):
        below[tree.parent[j]].add(name)
    for m in range(len(tree.nests)):
        below[tree.parent[J + m]] |= below[m]
    return [frozenset(inside) for inside in below[:-1]]
