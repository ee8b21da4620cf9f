"""The biased and noisy matrix that address histories make of a generated nation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.nation.counts import binomial_counts
from choicemodels.nation.geography import Places
from choicemodels.nation.histories_kernels import observe_zips
from choicemodels.nation.inhabitants import Inhabitants
from choicemodels.nation.moves import Moves
from choicemodels.nation.parameters import GROUPS, NationParameters
from choicemodels.threads import run_blocks

__all__ = ["Coverage", "coverage_of", "observe", "zip_codes"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Nobody's chance of being in the data is higher.
_MOST = 0.98
# A fixed number, so that memory and not the number of threads decides.
_BLOCKS = 64


@dataclass(frozen=True, eq=False)
class Coverage:
    """How well address histories cover a nation.

    Attributes
    ----------
    people : ndarray, shape (N, 5)
        Chance that somebody is in the data, by area and group.
    moves : ndarray, shape (N,)
        Chance that a move into the area is in the data of a person who is; otherwise the person
        is found at the old address.
    zip_only : ndarray, shape (N,)
        Chance that an address in the area is known by its ZIP code alone.
    zips : ndarray of int64, shape (N,)
        ZIP code of each area, numbered from zero; they rise.
    """

    people: Array
    moves: Array
    zip_only: Array
    zips: Ints


def coverage_of(
    places: Places,
    inhabitants: Inhabitants,
    rates: Array,
    parameters: NationParameters,
    streams: Streams,
) -> Coverage:
    """Draw who is in the data: fewer of some groups, of the poor, and where many leave.

    Parameters
    ----------
    rates : (N,)
        Chance of leaving each area; it stands for the young, who rent.
    """
    by_group = np.array([parameters.coverage[group] for group in GROUPS])
    income = inhabitants.income / np.median(inhabitants.income)
    turnover = rates / np.median(rates)
    factor = income**parameters.coverage_by_income * turnover**parameters.coverage_by_leaving
    z = streams.normal("reported moves", np.arange(places.state[-1] + 1))
    moves = parameters.reported_moves * np.exp(parameters.reported_moves_spread * z)
    vague = np.where(inhabitants.urban, parameters.zip_only, parameters.zip_only_rural)
    return Coverage(
        np.minimum(_MOST, by_group * factor[:, None]),
        np.minimum(_MOST, moves)[places.state],
        vague,
        zip_codes(places, parameters, streams),
    )


def zip_codes(places: Places, parameters: NationParameters, streams: Streams) -> Ints:
    """Draw ZIP codes as runs of neighbouring tracts of one county, shape (N,)."""
    tracts, first = np.unique(places.tract, return_index=True)
    county = places.county[first]
    begins = streams.uniform("zip of tract", tracts) < parameters.zip_starts
    begins |= np.diff(county, prepend=-1) > 0
    return np.asarray(np.cumsum(begins) - 1)[places.tract]


def observe(
    moves: Moves,
    truth: MigrationMatrix,
    inhabitants: Inhabitants,
    coverage: Coverage,
    streams: Streams,
) -> MigrationMatrix:
    """Return what address histories show of the moves.

    With A the people by address a year ago and now, addresses being block groups or ZIP codes,
    and G the share of each block group in an address, this is
    ``G'(A - diag A)G + diag(G' diag A)``, with at least one person staying in each area.
    """
    areas: Areas = truth.areas
    N = areas.size
    who = np.arange(N)
    stayers, vague_stayers = _stayers_seen(truth, inhabitants, coverage, streams)
    zips = coverage.zips
    starts = np.searchsorted(zips, np.arange(zips[-1] + 2)).astype(np.int64)
    people = inhabitants.people
    weight = people / np.bincount(zips, people)[zips]
    counts = np.empty(N, dtype=np.int64)
    goals = np.linspace(0, moves.starts[-1], _BLOCKS + 1)
    bounds = np.searchsorted(moves.starts[starts], goals)
    bounds[0], bounds[-1] = 0, len(starts) - 1
    parts: list[tuple[NDArray[np.int32], Array]] = [
        (who[:0].astype(np.int32), weight[:0])
    ] * _BLOCKS
    key = streams.key("histories")

    def work(block: int) -> None:
        parts[block] = observe_zips(
            bounds[block], bounds[block + 1], starts, zips, weight, moves.starts, moves.codes,
            moves.first_person, key, coverage.people, coverage.moves, coverage.zip_only,
            stayers, vague_stayers, counts,
        )  # fmt: skip

    run_blocks(work, _BLOCKS)
    indices = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return MigrationMatrix(areas, indptr, indices, values, truth.year)


def _stayers_seen(
    truth: MigrationMatrix, inhabitants: Inhabitants, coverage: Coverage, streams: Streams
) -> tuple[Array, Array]:
    """Return the stayers found at an exact address, and at one known by its ZIP code, (N,)."""
    who = np.arange(truth.areas.size)
    chance = (inhabitants.groups * coverage.people).sum(axis=1) / inhabitants.people
    seen = binomial_counts(streams.uniform("stayers seen", who), truth.stayers, chance)
    vague = binomial_counts(streams.uniform("stayers by zip", who), seen, coverage.zip_only)
    return seen - vague, vague
