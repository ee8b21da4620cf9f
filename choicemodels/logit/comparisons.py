"""Whether choices compare all alternatives with each other, as a constant for each one asks."""

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.source import ChoiceSource
from choicemodels.errors import IdentificationError, enumerate_some

__all__ = ["refuse_unidentified"]


def refuse_unidentified(data: ChoiceSource) -> None:
    """Refuse data in which some constant would run to infinity.

    Say that i beats j if somebody chose i and was offered j as well. The constants have a finite
    maximum exactly if, from each alternative, a chain of such comparisons leads to every other
    one.

    Raises
    ------
    IdentificationError
        If an alternative is never offered or never chosen, or alternatives are never compared
        with the rest, both ways.
    """
    from scipy.sparse.csgraph import connected_components

    sets, group = data.choice_sets()
    counted = data.weights > 0
    J = len(data.alternatives)
    pairs = np.unique(group[counted] * J + data.chosen_alternative[counted])
    beats = np.zeros((J, J), dtype=bool)
    np.logical_or.at(beats, pairs % J, sets[pairs // J])
    names = np.array(data.alternatives)
    absent = names[~sets[np.unique(group[counted])].any(axis=0)]
    if len(absent):
        raise IdentificationError(
            f"nobody was offered {_quoted(absent)}, so there is no constant to absorb; leave it "
            "out of the alternatives."
        )
    losers = names[~beats.any(axis=1)]
    if len(losers):
        raise IdentificationError(
            f"nobody chose {_quoted(losers)}, so the absorbed constant of it runs to minus "
            "infinity; leave the alternative out of the choice sets, or merge it with another."
        )
    count, component = connected_components(beats, directed=True, connection="strong")
    for c in range(count if count > 1 else 0):
        inside = component == c
        if not beats[np.ix_(~inside, inside)].any():
            raise IdentificationError(
                f"everybody who was offered {_quoted(names[inside])} chose it, or one of these: "
                "nothing compares their absorbed constants with those of the others, both ways; "
                "leave them out of the choice sets, or merge them with others."
            )


def _quoted(names: NDArray[np.str_]) -> str:
    return enumerate_some([f"'{name}'" for name in names])
