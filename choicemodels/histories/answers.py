"""The answers of all people, added up piece by piece."""

import numpy as np
import pandas as pd
from numba import get_num_threads
from numpy.typing import NDArray

from choicemodels.histories.kernels import COUNTS, UNIT, survey_people
from choicemodels.histories.people import LOST, NO_ADDRESS, People
from choicemodels.histories.place_moves import MoverCells, PlaceMoves
from choicemodels.histories.rules import HistoryRules
from choicemodels.threads import run_blocks

__all__ = ["Answers"]

# Each thread keeps sums of its own, as long as years times places.
_MOST_THREADS = 8
_NEVER = np.iinfo(np.int64).max


class Answers:
    """Sums of the survey, in whole numbers: neither order nor threads change them.

    Parameters
    ----------
    years : (T,)
        Rising.
    places
        Their number, P.
    rules
    """

    def __init__(self, years: NDArray[np.int64], places: int, rules: HistoryRules) -> None:
        self._years, self._rules = years, rules
        blocks = min(get_num_threads(), _MOST_THREADS)
        self._stayers = np.zeros((blocks, len(years), places), dtype=np.int64)
        # Python's own numbers: those of a nation would not fit into 64 bits.
        self._lost = [0] * len(years)
        self._asked = np.zeros((blocks, len(years)), dtype=np.int64)
        self._counts = np.zeros((blocks, len(COUNTS)), dtype=np.int64)
        self._span = np.tile([_NEVER, -_NEVER], (blocks, 1))
        self._movers = MoverCells(places)
        self._rows = {NO_ADDRESS: 0, LOST: 0}

    def add(self, people: People) -> None:
        """Survey some people."""
        place = people.columns["place"]
        for code in self._rows:
            self._rows[code] += int(np.count_nonzero(place == code))
        blocks = len(self._counts)
        lost = np.zeros((blocks, len(self._years)), dtype=np.int64)
        # Cut by addresses, so that the threads have about as much to do.
        goals = np.linspace(0, people.bounds[-1], blocks + 1)
        cuts = np.searchsorted(people.bounds, goals)
        found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = [()] * blocks  # type: ignore[list-item]

        def work(b: int) -> None:
            found[b] = self._survey(b, int(cuts[b]), int(cuts[b + 1]), people, lost[b])

        run_blocks(work, blocks)
        for keys, weights in found:
            self._movers.add(keys, weights)
        self._lost = [n + int(m) for n, m in zip(self._lost, lost.sum(axis=0), strict=True)]

    def _survey(
        self, b: int, first: int, last: int, people: People, lost: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rules, known = self._rules, people.columns
        keys, weights = survey_people(
            first, last, people.bounds, known["effective"], known["address"],
            known["place"], known["box"], known["start"], known["end"], known["deceased"],
            self._years, rules.pad_days, rules.pad_deceased, max(rules.box_days, 1),
            rules.least_months, self._stayers[b], lost, self._asked[b],
            self._counts[b], self._span[b],
        )  # fmt: skip
        return keys, weights

    @property
    def any_lost(self) -> bool:
        """Return whether some address lies nowhere."""
        return self._rows[LOST] > 0

    @property
    def active(self) -> str | None:
        """Return the first and last month in which somebody is active, None if there is none."""
        first, last = int(self._span[:, 0].min()), int(self._span[:, 1].max())
        if first > last:
            return None
        return " to ".join(f"{1970 + month // 12}-{month % 12 + 1:02d}" for month in (first, last))

    def counted(self) -> dict[str, int]:
        """Return what was counted while people were cleaned, by its reason."""
        totals = self._counts.sum(axis=0)
        rows = {
            "rows without an address": self._rows[NO_ADDRESS],
            "rows with an address that lies nowhere": self._rows[LOST],
        }
        return rows | {name: int(n) for name, n in zip(COUNTS, totals, strict=True)}

    def moves(self) -> dict[int, PlaceMoves]:
        """Return the moves between places, by year."""
        stayers = self._stayers.sum(axis=0) / UNIT
        movers = self._movers.matrices(len(self._years), UNIT)
        return {int(year): PlaceMoves(stayers[t], movers[t]) for t, year in enumerate(self._years)}

    def by_year(self, moves: dict[int, PlaceMoves]) -> pd.DataFrame:
        """Return people surveyed and what became of their answers, by year."""
        return pd.DataFrame(
            {
                "surveyed": self._asked.sum(axis=0),
                "stayers": [part.stayers.sum() for part in moves.values()],
                "movers": [part.movers.sum() for part in moves.values()],
                "lost": [units / UNIT for units in self._lost],
            },
            index=pd.Index(self._years, name="year"),
        )
