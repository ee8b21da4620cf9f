"""A run of the household grid: from parameters and a seed to tidy tables."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.keyed_random import Streams
from microsim.counts import whole
from microsim.household_grid.arrays import Tally
from microsim.household_grid.parameters import GridParameters
from microsim.household_grid.state import (
    GridState,
    initial_grid,
    periodic_distance,
    scratch_for,
    set_remote,
)
from microsim.household_grid.turns import step

__all__ = ["GridRun", "load_grid_run", "simulate_grid", "writing"]

_NOTES = "run.json"
_TABLES = ("households", "moves", "cells", "activity")

# Households that take their turns together: few enough to stay in a processor's first cache.
_BLOCK = 1_024

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GridRun:
    """What happened on the grid, in tidy tables.

    Attributes
    ----------
    parameters : GridParameters
    seed, replicate : int
    households : DataFrame
        Index household; columns income (dollars), quintile (1 the poorest fifth), preferred_size
        (places), first_cell and last_cell.
    moves : DataFrame
        A row a move: step, household, quintile, origin, destination and distance (cells, around
        the edges where that is nearer).
    cells : DataFrame
        A row a cell and moment: step (how many had been taken), cell, x, y, places, households,
        occupancy, median_income (dollars; none where nobody lives), housing_cost (dollars) and
        ``quintile_1`` to ``quintile_5`` (households of each).
    activity : DataFrame
        A row a step and quintile: step, quintile, households, decisions, moves and pressure, the
        mean of ``alpha h / I`` as the households' turns came.
    """

    parameters: GridParameters
    seed: int
    replicate: int
    households: pd.DataFrame
    moves: pd.DataFrame
    cells: pd.DataFrame
    activity: pd.DataFrame

    def save(self, folder: str | Path) -> Path:
        """Write the tables to Parquet files in a folder, parameters and seed to ``run.json``.

        Raises
        ------
        DataError
            If the folder cannot be written.
        """
        path = Path(folder)
        notes = {
            "seed": self.seed,
            "replicate": self.replicate,
            "parameters": self.parameters.model_dump(mode="json"),
        }
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            for name in _TABLES:
                getattr(self, name).to_parquet(path / f"{name}.parquet")
            (path / _NOTES).write_text(json.dumps(notes, indent=1), encoding="utf-8")
        return path

    def cells_at(self, moment: int) -> pd.DataFrame:
        """Return the cells, indexed by cell, when ``moment`` steps had been taken.

        Raises
        ------
        DataError
            If the cells were not recorded at that moment.
        """
        found = self.cells[self.cells["step"] == moment]
        if found.empty:
            recorded = enumerate_some(sorted(self.cells["step"].unique()))
            raise DataError(
                f"the cells were not recorded at {moment}, only at {recorded}; take one of these, "
                "or simulate with another every=."
            )
        return found.set_index("cell")

    def homes_at(self, moment: int) -> Ints:
        """Return the cell where each household lived when ``moment`` steps had been taken, (N,)."""
        home = self.households["first_cell"].to_numpy(dtype=np.int64, copy=True)
        taken = self.moves[self.moves["step"] < moment]
        # Moves stand in the order in which they were made: the last of a household counts.
        home[taken["household"]] = taken["destination"]
        return home


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in a sentence why what is written to a folder cannot be."""
    try:
        yield
    except OSError as problem:
        raise DataError(
            f"the grid's tables cannot be written to {path} ({problem.strerror}); give a folder "
            "that you may write to, with space left."
        ) from None


def load_grid_run(folder: str | Path) -> GridRun:
    """Read a run that was saved.

    Raises
    ------
    DataError
        If the folder holds none.
    """
    path = Path(folder)
    try:
        notes = json.loads((path / _NOTES).read_text("utf-8"))
        tables = {name: pd.read_parquet(path / f"{name}.parquet") for name in _TABLES}
        parameters = GridParameters.model_validate(notes["parameters"])
    except (OSError, ValueError, KeyError) as problem:
        raise DataError(
            f"{path} holds no run of the grid ({type(problem).__name__}); save one there, or check "
            "the path."
        ) from None
    return GridRun(parameters, notes["seed"], notes["replicate"], **tables)


def simulate_grid(
    parameters: GridParameters | str = "paper",
    *,
    seed: int = 1,
    replicate: int = 0,
    every: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GridRun:
    """Run the household grid model from its first step to its last.

    Parameters
    ----------
    parameters
        Or the name of a preset.
    seed, replicate
        Of all draws; runs with other parameters but the same seed share them.
    every
        Steps between the moments at which the cells are recorded; a fiftieth of all unless given.
        The first and last moments, and those of the shock and the reopening, always are.
    progress
        Called with the steps that were taken and all.

    Returns
    -------
    GridRun

    Raises
    ------
    SpecificationError
        If there is no such preset, ``every`` is not positive, or a seed is no whole number.

    Notes
    -----
    Households take their turns one by one and see what those before have changed. The model is that
    of [WeisEtAl2021]_; `GridParameters` says which reading of it.
    """
    p = GridParameters.preset(parameters) if isinstance(parameters, str) else parameters
    if not isinstance(p, GridParameters):
        raise SpecificationError(
            f"parameters is a {type(p).__name__}; give the name of a preset, or GridParameters, "
            "such as GridParameters.preset('paper', side=40)."
        )
    seed, replicate = whole(seed, "seed"), whole(replicate, "replicate")
    if every is not None and every < 1:
        raise SpecificationError(f"every is {every}; record the cells every 1 or more steps.")
    grid = initial_grid(p, Streams(seed, replicate))
    first = grid.households.cell.copy()
    every = every if every is not None else max(p.steps // 50, 1)
    recorded = {*range(0, p.steps, every), p.steps, p.shock, p.reopening}
    shocked = range(0) if p.shock is None else range(p.shock, p.shock + p.remote_steps)
    changes = {p.reopening, *shocked}
    record = _Record(grid, p.steps)
    within = np.arange(min(_BLOCK, p.households), dtype=np.int32)
    blocks = np.arange(-(-p.households // len(within)), dtype=np.int32)
    words = np.empty(4 * -(-p.households // 4), dtype=np.uint32)
    scratch = scratch_for(p)
    for now in range(p.steps):
        if now in recorded:
            record.cells(now)
        if now in changes:
            set_remote(grid, p, now)
        moved = step(
            now, grid.keys, grid.rules, blocks, within, words, scratch, grid.households,
            grid.cells, grid.ranks, record.tally(now),
        )  # fmt: skip
        record.moves(int(moved))
        if progress is not None and (now + 1) % every == 0:
            progress(now + 1, p.steps)
    record.cells(p.steps)
    return GridRun(
        parameters=p,
        seed=seed,
        replicate=replicate,
        households=_households(grid, first),
        moves=record.move_table(),
        cells=record.cell_table(),
        activity=record.activity_table(),
    )


class _Record:
    """Collects what a run leaves behind."""

    def __init__(self, grid: GridState, steps: int) -> None:
        N = len(grid.households.income)
        self._grid = grid
        self._decisions = np.zeros((steps, 5), dtype=np.int64)
        self._moves = np.zeros((steps, 5), dtype=np.int64)
        self._pressure = np.zeros((steps, 5))
        self._who = np.empty((3, N), dtype=np.int32)
        self._moved: list[NDArray[np.int32]] = []
        self._snapshots: list[tuple[int, Ints, Floats, Floats, Ints]] = []

    def tally(self, now: int) -> Tally:
        """Return the room for what a step counts."""
        return Tally(self._decisions[now], self._moves[now], self._pressure[now], *self._who)

    def moves(self, moved: int) -> None:
        """Keep the moves of a step."""
        self._moved.append(self._who[:, :moved].copy())

    def cells(self, now: int) -> None:
        """Keep the cells as they are, once everything adds up."""
        grid = self._grid
        grid.check()
        h, c = grid.households, grid.cells
        by_quintile = np.bincount(h.cell.astype(np.int64) * 5 + h.quintile, minlength=5 * len(c))
        count, median, cost = c["residents"].copy(), c["median"].copy(), c["cost"].copy()
        self._snapshots.append((now, count, median, cost, by_quintile.reshape(-1, 5)))

    def cell_table(self) -> pd.DataFrame:
        """Return all that was kept of the cells."""
        when, count, median, cost, by_quintile = zip(*self._snapshots, strict=True)
        side, places = self._grid.rules.side, self._grid.cells["places"]
        cell = np.tile(np.arange(len(places)), len(when))
        places = np.tile(places, len(when))
        households = np.concatenate(count)
        table = pd.DataFrame(
            {
                "step": np.repeat(when, len(cell) // len(when)),
                "cell": cell,
                "x": cell // side,
                "y": cell % side,
                "places": places.astype(np.int64),
                "households": households,
                "occupancy": np.divide(
                    households, places, out=np.full(len(cell), np.nan), where=places > 0
                ),
                "median_income": np.concatenate(median),
                "housing_cost": np.concatenate(cost),
            }
        )
        shares = np.concatenate(by_quintile)
        return table.assign(**{f"quintile_{q + 1}": shares[:, q] for q in range(5)})

    def move_table(self) -> pd.DataFrame:
        """Return all moves."""
        who, origin, destination = np.concatenate(self._moved, axis=1).astype(np.int64)
        when = np.repeat(np.arange(len(self._moved)), [moved.shape[1] for moved in self._moved])
        return pd.DataFrame(
            {
                "step": when,
                "household": who,
                "quintile": self._grid.households.quintile[who].astype(np.int64) + 1,
                "origin": origin,
                "destination": destination,
                "distance": periodic_distance(origin, destination, self._grid.rules.side),
            }
        )

    def activity_table(self) -> pd.DataFrame:
        """Return decisions, moves and pressure by step and quintile."""
        steps = len(self._moves)
        size = np.bincount(self._grid.households.quintile, minlength=5)
        return pd.DataFrame(
            {
                "step": np.repeat(np.arange(steps), 5),
                "quintile": np.tile(np.arange(1, 6), steps),
                "households": np.tile(size, steps),
                "decisions": self._decisions.ravel(),
                "moves": self._moves.ravel(),
                "pressure": (self._pressure / size).ravel(),
            }
        )


def _households(grid: GridState, first: NDArray[np.int32]) -> pd.DataFrame:
    h = grid.households
    table = pd.DataFrame(
        {
            "income": h.income,
            "quintile": h.quintile.astype(np.int64) + 1,
            "preferred_size": h.preferred,
            "first_cell": first.astype(np.int64),
            "last_cell": h.cell.astype(np.int64),
        }
    )
    return table.rename_axis("household")
