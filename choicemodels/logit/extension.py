"""A fitted logit's layout with more in it: fixed terms, and alternatives it was not fitted with.

Coefficients that all alternatives share say what an alternative would be worth that nobody could
choose so far: a new destination, a new line. Coefficients of single alternatives do not, so those
of a new one must be said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest
from choicemodels.logit.likelihood import LogitParameters
from choicemodels.logit.tree import NestTree
from choicemodels.utility import Term

__all__ = ["Extension", "add_alternatives", "add_terms"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Extension:
    """A layout with parameters added, whose values are known.

    Attributes
    ----------
    layout : LogitParameters
    at : int
        Where in the old vector of parameters the new ones are put in.
    values : ndarray, shape (A,)
        Values of the new parameters.
    """

    layout: LogitParameters
    at: int
    values: Array

    @property
    def added(self) -> tuple[str, ...]:
        """Names of the new parameters."""
        return self.layout.names[self.at : self.at + len(self.values)]

    def theta(self, theta: Array) -> Array:
        """Return a vector of parameters with the new ones put in."""
        return np.insert(theta, self.at, self.values)


def add_terms(layout: LogitParameters, terms: Sequence[Term], values: Array) -> Extension:
    """Put terms with known coefficients into the utilities.

    Parameters
    ----------
    layout
        Of a multinomial or nested logit.
    terms
        The A terms, whose names must be new.
    values
        Their coefficients, shape (A,).

    Raises
    ------
    SpecificationError
        If a name is taken.
    """
    for term in terms:
        if term.name in layout.names:
            raise SpecificationError(f"the model has a parameter '{term.name}' already.")
    K, A = len(layout.utility.linear), len(terms)
    added = tuple(term.name for term in terms)
    extended = replace(
        layout,
        utility=replace(layout.utility, linear=(*layout.utility.linear, *terms)),
        slot=np.where(layout.slot >= 0, layout.slot + A, layout.slot),
        names=(*layout.names[:K], *added, *layout.names[K:]),
    )
    return Extension(extended, K, np.asarray(values, dtype=np.float64))


def add_alternatives(
    layout: LogitParameters,
    names: Sequence[str],
    *,
    like: Mapping[str, str] | None = None,
    nests: Mapping[str, str | None] | None = None,
    constants: Mapping[str, float] | None = None,
) -> LogitParameters:
    """Let a model know alternatives that it was not fitted with.

    Its parameters stay as they are.

    Parameters
    ----------
    layout
        Of a multinomial or nested logit.
    names
        The new alternatives.
    like
        New alternative to one whose coefficients and constant it shares, and whose nest.
    nests
        New alternative to its nest, or None to hang it on the root. Needed of a nested logit,
        unless ``like`` says it.
    constants
        New alternative to a constant in its utility, on top of what it shares.

    Raises
    ------
    SpecificationError
        If a name is taken or unknown, or the model has coefficients for each alternative and
        nothing says what those of a new one are, or the nest's lambda is not known.
    """
    like, nests, constants = dict(like or {}), dict(nests or {}), dict(constants or {})
    _check_names(layout, names, like, nests, constants)
    for name in names:
        if name not in like:
            _check_exchangeable(layout, name, name in constants)
    given = layout.constants if len(layout.constants) else np.zeros(len(layout.alternatives))
    known = dict(zip(layout.alternatives, given, strict=True))
    of_new = [constants.get(name, 0.0) + known.get(like.get(name, ""), 0.0) for name in names]
    grown = np.concatenate([given, of_new])
    linear = tuple(_shared(term, like) for term in layout.utility.linear)
    return replace(
        layout,
        utility=replace(layout.utility, linear=linear),
        tree=_place(layout, names, like, nests),
        constants=grown if grown.any() else np.empty(0),
    )


def _check_names(
    layout: LogitParameters,
    names: Sequence[str],
    like: Mapping[str, str],
    nests: Mapping[str, str | None],
    constants: Mapping[str, float],
) -> None:
    if isinstance(names, str) or not names or len(set(names)) < len(names):
        raise SpecificationError("name the new alternatives in a list, each once.")
    for name in names:
        if name in layout.alternatives:
            raise SpecificationError(f"the model knows the alternative '{name}' already.")
    for where, given in (("like", like), ("nests", nests), ("constants", constants)):
        for name in given:
            if name not in names:
                raise SpecificationError(
                    f"{where}= names '{name}'{closest(name, names)}, which is no new alternative."
                )
    for name in like.values():
        if name not in layout.alternatives:
            raise SpecificationError(
                f"like= names '{name}'{closest(name, layout.alternatives)}, which the model does "
                f"not have; it has: {enumerate_some(layout.alternatives, 12)}."
            )


def _check_exchangeable(layout: LogitParameters, name: str, has_constant: bool) -> None:
    """Refuse a new alternative whose coefficients nobody knows.

    Where two alternatives or more have no coefficients of their own, the new one is one of them;
    a single one is the base, whose coefficients are zero by convention alone.
    """
    own = [term for term in layout.utility.linear if term.alternatives is not None]
    named = {a for term in own for a in term.alternatives or ()}
    named |= {a for a, c in zip(layout.alternatives, layout.constants, strict=False) if c != 0}
    if not named or len(layout.alternatives) - len(named) >= 2:
        return
    slopes = [term.name for term in own if term.factors]
    if slopes:
        raise SpecificationError(
            f"the model has coefficients for each alternative ({enumerate_some(slopes, 3)}), and "
            f"none for '{name}'; say whose it shares: like={{'{name}': "
            f"'{layout.alternatives[0]}'}}."
        )
    if not has_constant:
        raise SpecificationError(
            f"the model has a constant for each alternative, and none for '{name}'; say "
            f"constants={{'{name}': value}} (the base has zero), or whose it shares: "
            f"like={{'{name}': '{layout.alternatives[0]}'}}."
        )


def _shared(term: Term, like: Mapping[str, str]) -> Term:
    if term.alternatives is None:
        return term
    joined = tuple(name for name, known in like.items() if known in term.alternatives)
    return replace(term, alternatives=(*term.alternatives, *joined))


def _place(
    layout: LogitParameters,
    names: Sequence[str],
    like: Mapping[str, str],
    nests: Mapping[str, str | None],
) -> NestTree:
    """Hang the new alternatives into the tree."""
    tree, J, M = layout.tree, len(layout.alternatives), len(layout.tree.nests)
    places = []
    for name in names:
        if name in nests:
            places.append(_nest(layout, name, nests[name]))
        elif name in like:
            places.append(int(tree.parent[layout.alternatives.index(like[name])]))
        elif M:
            raise SpecificationError(
                f"nothing says which nest '{name}' belongs to; write "
                f"nests={{'{name}': '{tree.nests[0]}'}}, or None for no nest."
            )
        else:
            places.append(M)
        _check_lambda(layout, name, places[-1])
    parent = np.concatenate([tree.parent[:J], places, tree.parent[J:]]).astype(np.int64)
    return NestTree((*tree.alternatives, *names), tree.nests, parent)


def _nest(layout: LogitParameters, name: str, nest: str | None) -> int:
    nests = layout.tree.nests
    if nest is None:
        return len(nests)
    if nest not in nests:
        raise SpecificationError(
            f"nests= puts '{name}' into '{nest}'{closest(nest, nests)}, which the model does not "
            f"have; it has: {', '.join(nests) or 'none'}."
        )
    return nests.index(nest)


def _check_lambda(layout: LogitParameters, name: str, nest: int) -> None:
    if nest == len(layout.tree.nests):
        return
    label = layout.tree.nests[nest]
    if layout.rum and layout.slot[nest] < 0 and label in layout.tree.singletons:
        raise SpecificationError(
            f"the nest '{label}' had one member, so the data did not identify its lambda and "
            f"'{name}' cannot join it; put it elsewhere with nests=."
        )
