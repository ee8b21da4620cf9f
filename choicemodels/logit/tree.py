"""Nests as arrays: a tree whose leaves are the alternatives.

Nodes are numbered so that every child comes before its parent: alternatives 0 … J-1, then the
nests from the deepest upwards, the root last. ``lambda_m`` is the dissimilarity of nest m,
measured relative to the root (so the random-utility condition is that it does not rise from a
parent to its child), and the root has ``lambda = 1`` [McFadden1978]_ [Train2009]_.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest

__all__ = ["NestTree", "Nests", "branch_logsum", "build_tree", "log_probabilities"]

Array = NDArray[np.float64]
Nests: TypeAlias = Mapping[str, "Sequence[str] | Nests"]


@dataclass(frozen=True, eq=False)
class NestTree:
    """The nesting of J alternatives under M nests and a root.

    Attributes
    ----------
    alternatives : tuple of str, length J
    nests : tuple of str, length M
        Names of the nests, children before parents; the root has none.
    parent : ndarray of int64, shape (J + M,)
        For every alternative and nest the position of its parent among the nests, the root
        being M.
    """

    alternatives: tuple[str, ...]
    nests: tuple[str, ...]
    parent: NDArray[np.int64]

    @property
    def singletons(self) -> tuple[str, ...]:
        """Nests with a single child, whose lambda is not identified under RUM."""
        counts = np.bincount(self.parent, minlength=len(self.nests) + 1)
        return tuple(name for m, name in enumerate(self.nests) if counts[m] == 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the tree ready for JSON."""
        return {
            "alternatives": list(self.alternatives),
            "nests": list(self.nests),
            "parent": self.parent.tolist(),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild the tree from :meth:`to_dict`."""
        parent = np.array(saved["parent"], dtype=np.int64)
        return cls(tuple(saved["alternatives"]), tuple(saved["nests"]), parent)

    def describe(self) -> str:
        """Draw the tree as indented text."""
        J, M = len(self.alternatives), len(self.nests)
        lines: list[str] = []

        def visit(node: int, depth: int) -> None:
            for child in np.flatnonzero(self.parent == node):
                leaf = child < J
                name = self.alternatives[child] if leaf else self.nests[child - J] + ":"
                lines.append("  " * depth + name)
                if not leaf:
                    visit(int(child) - J, depth + 1)

        visit(M, 0)
        return "\n".join(lines)


def build_tree(nests: Nests, alternatives: Sequence[str]) -> NestTree:
    """Make a tree of a nested mapping; alternatives in no nest hang on the root.

    Parameters
    ----------
    nests
        Nest name to its alternatives, or to nests in turn.
    alternatives
        All alternatives of the data, in their order.

    Raises
    ------
    SpecificationError
        If a nest is empty, names an unknown alternative, or two share a name or a member.
    """
    J = len(alternatives)
    position = {name: j for j, name in enumerate(alternatives)}
    names: list[str] = []
    children: list[list[int]] = []  # of each nest: an alternative j, or J + nest number
    placed: dict[str, str] = {}

    def place(name: str, members: "Sequence[str] | Nests") -> int:
        if isinstance(members, str) or len(members) == 0:
            raise SpecificationError(
                f"nest '{name}' must list its alternatives, as in {{'{name}': ['a', 'b']}}."
            )
        if isinstance(members, Mapping):
            inside = [place(str(key), value) for key, value in members.items()]
        else:
            inside = [leaf(str(member), name) for member in members]
        if name in names:
            raise SpecificationError(f"two nests are called '{name}'; give each its own name.")
        names.append(name)
        children.append(inside)
        return J + len(names) - 1

    def leaf(member: str, nest: str) -> int:
        if member not in position:
            raise SpecificationError(
                f"nest '{nest}' names the alternative '{member}'{closest(member, position)}, which "
                f"the data do not have; they have: {enumerate_some(alternatives, 12)}."
            )
        if member in placed:
            raise SpecificationError(
                f"alternative '{member}' stands in the nests '{placed[member]}' and '{nest}'; "
                "in a nested logit it belongs to one."
            )
        placed[member] = nest
        return position[member]

    for key, value in nests.items():
        place(str(key), value)
    M = len(names)
    parent = np.full(J + M, M, dtype=np.int64)
    for m, inside in enumerate(children):
        parent[inside] = m
    return NestTree(tuple(alternatives), tuple(names), parent)


def log_probabilities(
    V: Array,
    tree: NestTree,
    lam: Array,
    *,
    rum: bool = True,
    available: NDArray[np.bool_] | None = None,
) -> Array:
    """Return log choice probabilities of a nested logit for dense utilities.

    Parameters
    ----------
    V
        Systematic utilities, shape (..., J).
    tree
        The nesting; without nests this is the multinomial logit.
    lam
        Dissimilarities, shape (M,).
    rum
        Utilities divided by the nest's lambda (True) or not ("nonnormalized").
    available
        Shape (..., J); an alternative that is not available gets minus infinity.

    Returns
    -------
    ndarray, shape (..., J)
    """
    u, inclusive = _upward(V, tree, lam, rum, available)
    J, M = len(tree.alternatives), len(tree.nests)
    # Log probability of reaching each nest, the root last, from the root down.
    reach = np.zeros(inclusive.shape)
    leaves, nest = u[..., :J], tree.parent[:J]
    with np.errstate(invalid="ignore"):  # -inf - -inf in an empty nest, set to -inf below
        for m in reversed(range(M)):
            above = tree.parent[J + m]
            reach[..., m] = reach[..., above] + u[..., J + m] - inclusive[..., above]
        logP = leaves - inclusive[..., nest] + reach[..., nest]
    logP[np.isneginf(leaves)] = -np.inf
    return np.asarray(logP)


def branch_logsum(
    V: Array,
    tree: NestTree,
    lam: Array,
    exclude: str,
    *,
    available: NDArray[np.bool_] | None = None,
) -> Array:
    """Return the logsum of all alternatives but one that hangs on the root.

    Given that the one is not chosen, the others have the log probabilities of
    :func:`log_probabilities` with it unavailable.

    Parameters
    ----------
    V, tree, lam, available
        As in :func:`log_probabilities`, under the RUM normalization.
    exclude
        The alternative to leave out, which must hang on the root (alone in its nest, or in none).

    Returns
    -------
    W : ndarray, shape (...,)
        On the root's scale, so that the probability of the excluded alternative is
        ``exp(V_e) / (exp(V_e) + exp(W))``.

    Raises
    ------
    SpecificationError
        If the excluded alternative shares a nest.
    """
    e = tree.alternatives.index(exclude)
    top, M = tree.parent[e], len(tree.nests)
    alone = top == M or (
        int((tree.parent == top).sum()) == 1 and tree.parent[len(tree.alternatives) + top] == M
    )
    if not alone:
        raise SpecificationError(
            f"'{exclude}' shares the nest '{tree.nests[top]}' with other alternatives; "
            "it must hang on the root by itself."
        )
    allowed = np.ones(len(tree.alternatives), dtype=bool)
    allowed[e] = False
    others = allowed if available is None else available & allowed
    _, inclusive = _upward(V, tree, lam, True, others)
    return np.asarray(inclusive[..., M])


def _upward(
    V: Array, tree: NestTree, lam: Array, rum: bool, available: NDArray[np.bool_] | None
) -> tuple[Array, Array]:
    """Return ``u`` (..., J + M), each node's value in its parent, and ``I`` (..., M + 1)."""
    J, M = len(tree.alternatives), len(tree.nests)
    full = np.append(np.asarray(lam, dtype=np.float64), 1.0)
    scale = full if rum else np.ones(M + 1)
    u = np.empty((*V.shape[:-1], J + M))
    inclusive = np.empty((*V.shape[:-1], M + 1))
    u[..., :J] = V / scale[tree.parent[:J]]
    if available is not None:
        u[..., :J] = np.where(available, u[..., :J], -np.inf)
    for m in range(M + 1):
        inside = np.flatnonzero(tree.parent == m)
        # Neighbours are looked at in place; scattered members must be gathered.
        adjacent = len(inside) and inside[-1] - inside[0] == len(inside) - 1
        values = u[..., inside[0] : inside[-1] + 1] if adjacent else u[..., inside]
        top = values.max(axis=-1, initial=-np.inf)
        safe = np.where(np.isfinite(top), top, 0.0)
        with np.errstate(divide="ignore"):
            inclusive[..., m] = safe + np.log(np.exp(values - safe[..., None]).sum(axis=-1))
        if m < M:
            u[..., J + m] = full[m] * inclusive[..., m] / scale[tree.parent[J + m]]
    return u, inclusive
