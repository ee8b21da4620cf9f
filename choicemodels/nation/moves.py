"""Who moves where in a generated nation: gravity within and between counties, and homophily."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.migration.matrix_kernels import by_rows
from choicemodels.nation.counts import binomial_counts
from choicemodels.nation.geography import Places
from choicemodels.nation.inhabitants import Inhabitants
from choicemodels.nation.moves_kernels import count_pairs, draw_county, fill_pairs
from choicemodels.nation.parameters import GROUPS, NationParameters
from choicemodels.threads import run_blocks

__all__ = ["Moves", "draw_moves", "matrix_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moves:
    """Everybody who left a block group.

    Attributes
    ----------
    starts : ndarray of int64, shape (N + 1,)
        Those who left area i are ``starts[i]:starts[i + 1]``.
    codes : ndarray of int32, shape (M,)
        Area of destination times 5, plus the group; rising by area of origin.
    first_person : ndarray of int64, shape (N,)
        Number of the first person of each area.
    """

    starts: NDArray[np.int64]
    codes: NDArray[np.int32]
    first_person: NDArray[np.int64]


def draw_moves(
    places: Places,
    inhabitants: Inhabitants,
    rates: Array,
    parameters: NationParameters,
    streams: Streams,
) -> Moves:
    """Draw who leaves, and where to.

    A person of group g who leaves area i stays in the county with a given chance, and then picks

        P(j | i, g) ~ n_j exp(h s_gj + a_c) (1 + d_ij / d_0)^-b exp(-k |ln y_i - ln y_j|),

    n being people, s the share of the group, a the pull of the county, d the distance, and y the
    income; others pick a county by the sums of ``n_j exp(h s_gj + a_c)`` and the distance
    between counties, those of the own state counting for more, and in it an area by the summand.

    Parameters
    ----------
    rates : (N,)
        Chance of leaving each area.
    """
    people = inhabitants.people
    N = len(people)
    leavers = binomial_counts(streams.uniform("leavers", np.arange(N)), people, rates)
    starts = np.concatenate([[0], np.cumsum(leavers)]).astype(np.int64)
    first_person = np.concatenate([[0], np.cumsum(people)[:-1]]).astype(np.int64)
    codes = np.empty(starts[-1], dtype=np.int32)
    C = int(places.county[-1]) + 1
    counties = np.searchsorted(places.county, np.arange(C + 1)).astype(np.int64)
    shared: Any = (
        _leaver_shares(inhabitants, parameters),
        streams.key("moves"),
        parameters.within_county,
        *_attractions(places, inhabitants, counties, parameters, streams),
        codes,
    )

    def work(c: int) -> None:
        draw_county(c, counties, starts, first_person, *shared)

    run_blocks(work, C)
    return Moves(starts, codes, first_person)


def matrix_of(moves: Moves, people: Array, areas: Areas, year: int) -> MigrationMatrix:
    """Add up moves to the matrix of everybody; its rows add up to ``people``, shape (N,)."""
    starts, codes, G = moves.starts, moves.codes, len(GROUPS)
    counts = np.empty(len(people), dtype=np.int64)
    by_rows(starts, lambda _, first, last: count_pairs(first, last, starts, codes, G, counts))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = np.empty(indptr[-1], dtype=np.int32)
    values = np.empty(indptr[-1])

    def work(_: int, first: int, last: int) -> None:
        fill_pairs(first, last, starts, codes, G, people, indptr, indices, values)

    by_rows(starts, work)
    return MigrationMatrix(areas, indptr, indices, values, year)


def _leaver_shares(inhabitants: Inhabitants, parameters: NationParameters) -> Array:
    """Return the cumulative shares of groups among those who leave, shape (N, 5)."""
    weight = np.array([parameters.leaving_by_group[group] for group in GROUPS])
    leaving = inhabitants.groups * weight
    return np.cumsum(leaving, axis=1) / leaving.sum(axis=1, keepdims=True)


def _attractions(
    places: Places,
    inhabitants: Inhabitants,
    counties: NDArray[np.int64],
    parameters: NationParameters,
    streams: Streams,
) -> tuple[Any, ...]:
    people = inhabitants.people
    county = places.county
    z = streams.normal("pull of county", np.arange(len(counties) - 1))
    pull = people * np.exp(
        parameters.homophily * (inhabitants.groups / people[:, None]).T
        + parameters.pull_spread * z[county]
    )
    points = unit_vectors(places)
    centres = np.stack([np.bincount(county, people * points[:, k]) for k in range(3)], axis=1)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    near = (parameters.decay, parameters.decay_from, parameters.income_homophily)
    far = (parameters.decay_between, parameters.decay_between_from, parameters.same_state)
    return (
        points,
        np.log(inhabitants.income),
        np.ascontiguousarray(pull),
        np.cumsum(pull, axis=1),
        near,
        centres,
        places.state[counties[:-1]],
        np.stack([np.bincount(county, row) for row in pull]),
        far,
    )


def unit_vectors(places: Places) -> Array:
    """Return the middles of areas as points of the unit sphere, shape (N, 3)."""
    longitude = np.radians(places.bounds[:, [0, 2]].mean(axis=1))
    latitude = np.radians(places.bounds[:, [1, 3]].mean(axis=1))
    cosine = np.cos(latitude)
    return np.stack(
        [cosine * np.cos(longitude), cosine * np.sin(longitude), np.sin(latitude)], axis=1
    )
