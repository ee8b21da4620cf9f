"""The biased and noisy matrix that address histories make of a generated nation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.nation.counts import binomial_counts
from choicemodels.nation.histories_kernels import observe_zips
from choicemodels.nation.inhabitants import by_group, leaving_rates, shares_of
from choicemodels.nation.moves import Moves
from choicemodels.nation.parameters import NationParameters
from choicemodels.threads import run_blocks

__all__ = ["Coverage", "coverage_of", "observe", "zip_codes"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

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


def coverage_of(areas: Areas, parameters: NationParameters, streams: Streams) -> Coverage:
    """Draw who is in the data: fewer of some groups, of the poor, and where many leave.

    The usual turnover of an area stands for the young, who rent. Areas differ beyond that too.
    """
    income = areas.attribute("income")
    turnover = leaving_rates(areas, parameters, streams)
    factor = (income / np.median(income)) ** parameters.coverage_by_income
    factor *= (turnover / np.median(turnover)) ** parameters.coverage_by_leaving
    z = streams.normal("coverage", np.arange(areas.size))
    factor *= np.exp(parameters.coverage_spread * z)
    state = areas.level("state")
    z = streams.normal("reported moves", np.arange(state.size))
    moves = parameters.reported_moves * np.exp(parameters.reported_moves_spread * z)
    urban = areas.attribute("urban") > 0
    return Coverage(
        np.minimum(1.0, by_group(parameters.coverage) * factor[:, None]),
        np.minimum(1.0, moves)[state.codes],
        np.where(urban, parameters.zip_only, parameters.zip_only_rural),
        zip_codes(areas, parameters, streams),
    )


def zip_codes(areas: Areas, parameters: NationParameters, streams: Streams) -> Ints:
    """Draw ZIP codes as runs of neighbouring tracts of one county, shape (N,)."""
    tract = areas.level("tract")
    county = areas.parents("tract", "county")
    begins = streams.uniform("zip of tract", np.arange(tract.size)) < parameters.zip_starts
    begins |= np.diff(county, prepend=-1) > 0
    return (np.cumsum(begins) - 1)[tract.codes]


def observe(
    moves: Moves, truth: MigrationMatrix, coverage: Coverage, streams: Streams
) -> MigrationMatrix:
    """Return what address histories show of the moves.

    With A the people by address a year ago and now, addresses being block groups or ZIP codes,
    and G the share of each block group in an address, this is
    ``G'(A - diag A)G + diag(G' diag A)``, with at least one person staying in each area.
    """
    stayers, vague_stayers = _stayers_seen(truth, coverage, streams)
    zips = coverage.zips
    starts = np.searchsorted(zips, np.arange(zips[-1] + 2)).astype(np.int64)
    people = truth.before
    weight = people / np.maximum(np.bincount(zips, people), 1.0)[zips]
    counts = np.empty(len(zips), dtype=np.int64)
    goals = np.linspace(0, moves.starts[-1], _BLOCKS + 1)
    bounds = np.searchsorted(moves.starts[starts], goals)
    bounds[0], bounds[-1] = 0, len(starts) - 1
    parts: list[Any] = [None] * _BLOCKS
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
    return MigrationMatrix(truth.areas, indptr, indices, values, truth.year)


def _stayers_seen(
    truth: MigrationMatrix, coverage: Coverage, streams: Streams
) -> tuple[Array, Array]:
    """Return the stayers found at an exact address, and at one known by its ZIP code, (N,)."""
    who = np.arange(truth.areas.size)
    chance = (shares_of(truth.areas) * coverage.people).sum(axis=1)
    seen = binomial_counts(streams.uniform("stayers seen", who), truth.stayers, chance)
    vague = binomial_counts(streams.uniform("stayers by zip", who), seen, coverage.zip_only)
    return seen - vague, vague
