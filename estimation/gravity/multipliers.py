"""Random multipliers of the wild bootstrap: mean zero, variance one, a draw for each group.

Rademacher's are 1 or -1, all combinations of which can be enumerated where groups are few. Webb's
take six values, so that few groups have more different draws [Webb2023]_; Mammen's take two and are
skewed [Mammen1993]_.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Weights", "enumerable", "multipliers"]

Array = NDArray[np.float64]
Weights: TypeAlias = Literal["rademacher", "webb", "mammen"]

_ROOT_5 = float(np.sqrt(5.0))
_WEBB = np.sqrt(np.array([0.5, 1.0, 1.5]))
# Values of the multipliers, and their probabilities if they are not all alike.
_POINTS: dict[Weights, tuple[Array, Array | None]] = {
    "rademacher": (np.array([-1.0, 1.0]), None),
    "webb": (np.concatenate([-_WEBB, _WEBB]), None),
    "mammen": (
        np.array([(1 - _ROOT_5) / 2, (1 + _ROOT_5) / 2]),
        np.array([(_ROOT_5 + 1) / (2 * _ROOT_5), (_ROOT_5 - 1) / (2 * _ROOT_5)]),
    ),
}
# Draws are made this many entries at a time.
_ROOM = 4_000_000


def enumerable(weights: Weights, groups: int, draws: int) -> bool:
    """Say whether there are no more different draws than were asked for."""
    return weights == "rademacher" and 2 ** min(groups - 1, 62) <= draws


def multipliers(weights: Weights, groups: int, draws: int, seed: int) -> Iterator[Array]:
    """Yield multipliers, some draws at a time, shape (b, G).

    Parameters
    ----------
    weights
        Their distribution.
    groups
        Number of groups, G.
    draws
        How many; where they are :func:`enumerable`, all that there are come instead, of two that
        mirror each other one.
    seed
        Of the draws.
    """
    every = enumerable(weights, groups, draws)
    total = 2 ** (groups - 1) if every else draws
    step = max(_ROOM // groups, 1)
    stream = np.random.default_rng(seed)
    points, chances = _POINTS[weights]
    for low in range(0, total, step):
        count = min(step, total - low)
        if every:
            bits = np.arange(low, low + count)[:, None] >> np.arange(groups - 1) & 1
            yield np.hstack([np.ones((count, 1)), 1.0 - 2.0 * bits])
        else:
            yield stream.choice(points, p=chances, size=(count, groups))
