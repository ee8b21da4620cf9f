"""Histories of workers: the months of a sample of them, the same in every run of a seed."""

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams
from microsim.state import State
from microsim.world import World

__all__ = ["SCHEMA", "history_rows", "sampled_workers"]

SCHEMA = pa.schema(
    [
        ("replicate", pa.int32()),
        ("month", pa.int32()),
        ("date", pa.date32()),
        ("id", pa.int64()),
        ("cbsa", pa.string()),
        ("employed", pa.bool_()),
        ("wage", pa.float64()),
        ("savings", pa.float64()),
        ("displaced", pa.bool_()),
        ("moved", pa.bool_()),
    ]
)
"""Of the files: wage in dollars a year, of the last job for the unemployed; savings in dollars;
metro, job and savings at the end of the month; displaced and moved, in the month."""


def sampled_workers(world: World, fraction: float) -> NDArray[np.int64]:
    """Return the rows of the workers whose histories are written, in the order of their ids.

    Each worker draws by seed and id alone, so that replicates and scenarios follow the same
    people, and a larger fraction follows those of a smaller one and others.

    Parameters
    ----------
    world
    fraction
        Share of the workers, 0 to 1.
    """
    ids = world.population.workers.id
    drawn = Streams(world.streams.seed).uniform("worker histories", ids) < fraction
    rows = np.flatnonzero(drawn)
    return rows[np.argsort(ids[rows])]


def history_rows(
    before: State, after: State, world: World, start: str, rows: NDArray[np.int64]
) -> pd.DataFrame:
    """Return a month of the histories of the workers in ``rows``; its columns are `SCHEMA`."""
    metro = after.metro[rows]
    return pd.DataFrame(
        {
            "replicate": world.streams.replicate,
            "month": after.month,
            "date": (pd.Period(start, "M") + after.month).start_time.date(),
            "id": world.population.workers.id[rows],
            "cbsa": world.population.metros.cbsa[metro],
            "employed": after.employed[rows],
            "wage": after.wage[rows],
            "savings": after.savings[rows] / 100.0,
            "displaced": after.displaced_in[rows] == after.month,
            "moved": metro != before.metro[rows],
        }
    )
