"""Who had lost a job to a shock before the run began."""

import numpy as np
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams
from microsim.assumptions.alignment import AlignmentParameters
from microsim.people.agents import Workers

__all__ = ["displaced_before"]


def displaced_before(
    workers: Workers, rules: AlignmentParameters, streams: Streams
) -> NDArray[np.int16]:
    """Return the month of each worker's displacement before the run, -1 for never, (N,).

    Nobody's, unless displacement is aligned. Then the chance is in proportion to the exposure of
    the occupation, ``displaced_before`` on average and 1 at most, and the month one of
    ``months_before``, of which the last is -2: -1 says never.

    Streams: "displaced before", "displaced before: month".
    """
    never = np.full(len(workers), -1, dtype=np.int16)
    mean = float(workers.exposure.mean())
    if not rules.active or mean == 0:
        return never
    chance = np.minimum(rules.displaced_before * workers.exposure / mean, 1.0)
    drawn = streams.uniform("displaced before", workers.id) < chance
    u = streams.uniform("displaced before: month", workers.id)
    month = -2 - np.floor(u * rules.months_before)
    return np.where(drawn, month, never).astype(np.int16)
