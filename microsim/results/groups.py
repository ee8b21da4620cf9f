"""Who did what: a run's events by kind of worker, by occupation, and by where movers went."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microsim.assumptions.synthesis import EDUCATION_LEVELS
from microsim.people.persons import AGE_BRACKETS, age_bracket
from microsim.results.panel import Month
from microsim.state import State
from microsim.world import World

__all__ = ["EVENTS", "RECENT_MONTHS", "RENT_BANDS", "Tallies"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EVENTS = (
    "worker_months",
    "unemployed_months",
    "displaced",
    "found_work",
    "moves",
    "local_moves",
    "retraining",
    "retrained",
    "stayed_months",
)
"""What is counted by group of workers. ``unemployed_months`` are months that end without a job;
``found_work`` are months that began without one and end in one; ``moves`` lead to another metro,
``local_moves`` do not; ``displaced`` stand with those whom they were among before the month;
``retraining`` are courses begun, ``retrained`` those completed; in
``stayed_months`` a worker neither moved to another metro nor began a course."""

RECENT_MONTHS = 12
"""A worker counts as displaced recently in the month itself and up to so many months after it; a
displacement itself counts as one of the recently displaced only if another came before."""

RENT_BANDS = (
    "below 0.80",
    "0.80 to 0.95",
    "0.95 to 1.05",
    "1.05 to 1.25",
    "1.25 and above",
)
"""Classes of the mean rent at a move's destination over that at its origin."""
_BAND_STARTS = np.array([0.80, 0.95, 1.05, 1.25])


@dataclass(frozen=True)
class Tallies:
    """Counts so far, to which `add` adds a month.

    Attributes
    ----------
    people : ndarray (Y, 6, 5, 2, 9) int64
        By calendar year, bracket of age, education, whether displaced recently, and `EVENTS`. Age
        is that at the beginning of the month.
    occupations : ndarray (M, O, 3) int64
        Worker-months, those of them that began in a job, and displacements, by metro and
        occupation at the beginning of the month.
    destinations : ndarray (Y, 2, 5) int64
        Moves between metros by year, whether the mover works from anywhere, and `RENT_BANDS`.
    rents : ndarray (Y, 2, 5, 2) float64
        Mean monthly rents at the origins and at the destinations of these moves, added up.
    remote_moves : ndarray (M, M) int64
        Moves of those who work from anywhere, from metro to metro.
    """

    people: Ints
    occupations: Ints
    destinations: Ints
    rents: Floats
    remote_moves: Ints

    @classmethod
    def empty(cls, world: World) -> "Tallies":
        """Return the counts of no month."""
        years = (world.first_month - 1 + len(world.exposure) - 1) // 12 + 1
        metros, bands = world.metros, len(RENT_BANDS)
        groups = (years, len(AGE_BRACKETS), len(EDUCATION_LEVELS), 2)
        return cls(
            people=np.zeros((*groups, len(EVENTS)), dtype=np.int64),
            occupations=np.zeros((metros, len(world.population.occupations), 3), dtype=np.int64),
            destinations=np.zeros((years, 2, bands), dtype=np.int64),
            rents=np.zeros((years, 2, bands, 2)),
            remote_moves=np.zeros((metros, metros), dtype=np.int64),
        )

    def add(self, before: State, state: State, world: World) -> None:
        """Add the month from ``before`` to ``state``."""
        year = (world.first_month - 1 + state.month) // 12
        displaced = np.flatnonzero(state.displaced_in == state.month)
        self._add_people(self.people[year], displaced, before, state, world)
        self._add_occupations(displaced, before)
        self._add_moves(year, before, state, world)

    def _add_people(
        self, counts: Ints, displaced: Ints, before: State, state: State, world: World
    ) -> None:
        group, cells = _groups(before, state, state.displaced_in), counts[..., 0].size
        was = _groups(before, state, before.displaced_in)
        begun = (state.course >= 0) & ((before.course < 0) | (before.course_left == 1))
        # Rows of the few are quicker to count than masks of all.
        rows = {
            "unemployed_months": np.flatnonzero(~state.employed),
            "found_work": np.flatnonzero(~before.employed & state.employed),
            "moves": state.flows.movers,
            "local_moves": state.flows.local_movers,
            "retraining": np.flatnonzero(begun),
            "retrained": state.flows.graduates,
        }
        found = {name: np.bincount(group[who], minlength=cells) for name, who in rows.items()}
        # Being displaced makes everybody one of the recently displaced.
        found["displaced"] = np.bincount(was[displaced], minlength=cells)
        found["worker_months"] = np.bincount(group, minlength=cells)
        active = np.union1d(rows["moves"], rows["retraining"])
        found["stayed_months"] = found["worker_months"] - np.bincount(
            group[active], minlength=cells
        )
        for event, name in enumerate(EVENTS):
            counts[..., event] += found[name].reshape(counts.shape[:-1])

    def _add_occupations(self, displaced: Ints, before: State) -> None:
        metros, occupations, _ = self.occupations.shape
        cell, size = before.metro * occupations + before.occupation, metros * occupations
        workers = np.bincount(cell, minlength=size)
        without = np.bincount(cell[np.flatnonzero(~before.employed)], minlength=size)
        lost = np.bincount(cell[displaced], minlength=size)
        for i, found in enumerate((workers, workers - without, lost)):
            self.occupations[..., i] += found.reshape(metros, occupations)

    def _add_moves(self, year: int, before: State, state: State, world: World) -> None:
        flows = state.flows
        rent = Month(before, before, world).rent
        there, here = rent[flows.destination], rent[flows.origin]
        band = np.searchsorted(_BAND_STARTS, there / here, side="right")
        cell = flows.remote.astype(np.int64) * len(RENT_BANDS) + band
        shape = self.destinations.shape[1:]
        size = self.destinations[year].size
        self.destinations[year] += np.bincount(cell, minlength=size).reshape(shape)
        for end, rents in enumerate((here, there)):
            self.rents[year, ..., end] += np.bincount(cell, rents, minlength=size).reshape(shape)
        remote = flows.remote
        np.add.at(self.remote_moves, (flows.origin[remote], flows.destination[remote]), 1)

    def group_table(self, replicate: int, first_year: int) -> pd.DataFrame:
        """Return the events by group; see `microsim.results.run.Run.groups`."""
        year, age, education, recent = np.nonzero(self.people.any(axis=-1))
        return pd.DataFrame(
            {
                "replicate": np.full(len(year), replicate),
                "year": first_year + year,
                "age": np.array(AGE_BRACKETS, dtype=object)[age],
                "education": np.array(EDUCATION_LEVELS, dtype=object)[education],
                "displaced_recently": recent == 1,
                **{
                    name: self.people[year, age, education, recent, event]
                    for event, name in enumerate(EVENTS)
                },
            }
        )

    def occupation_table(self, replicate: int, world: World) -> pd.DataFrame:
        """Return displacement by metro and occupation, as `Run.occupations` has it."""
        metro, occupation = np.nonzero(self.occupations[..., 0])
        known = world.population.occupations.iloc[occupation]
        counts = self.occupations[metro, occupation]
        return pd.DataFrame(
            {
                "replicate": np.full(len(metro), replicate),
                "cbsa": world.population.metros.cbsa[metro],
                "soc": known["soc"].to_numpy(),
                "occupation": known["title"].to_numpy(),
                "exposure": known["exposure"].to_numpy(dtype=np.float64),
                "worker_months": counts[:, 0],
                "employed_months": counts[:, 1],
                "displaced": counts[:, 2],
            }
        )

    def destination_table(self, replicate: int, first_year: int) -> pd.DataFrame:
        """Return the moves by change of rent; see `microsim.results.run.Run.destinations`."""
        year, remote, band = np.nonzero(self.destinations)
        moves = self.destinations[year, remote, band]
        origin, destination = (self.rents[year, remote, band] / moves[:, None]).T
        return pd.DataFrame(
            {
                "replicate": np.full(len(year), replicate),
                "year": first_year + year,
                "remote": remote == 1,
                "rent_ratio": np.array(RENT_BANDS, dtype=object)[band],
                "moves": moves,
                "origin_rent": origin,
                "destination_rent": destination,
            }
        )


def _groups(before: State, state: State, displaced_in: NDArray[np.int16]) -> Ints:
    """Return each worker's cell of age, education and recent displacement, (N,)."""
    recent = (displaced_in != -1) & (state.month - displaced_in <= RECENT_MONTHS)
    # Ages are few: their brackets are looked up, not searched for worker by worker.
    cell = 2 * len(EDUCATION_LEVELS) * age_bracket(np.arange(before.age.max() + 1))
    group: Ints = cell[before.age]
    group += 2 * before.education
    group += recent
    return group
