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
from choicemodels.nation.inhabitants import by_group, shares_of
from choicemodels.nation.moves_kernels import count_pairs, draw_county, fill_pairs
from choicemodels.nation.parameters import GROUPS, NationParameters
from choicemodels.threads import run_blocks

__all__ = ["Attraction", "Moves", "attraction", "draw_moves", "group_changes", "matrix_of"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


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

    starts: Ints
    codes: NDArray[np.int32]
    first_person: Ints


@dataclass(frozen=True, eq=False)
class Attraction:
    """What draws people to areas and counties.

    Attributes
    ----------
    starts : ndarray of int64, shape (C + 1,)
        The areas of county c are ``starts[c]:starts[c + 1]``.
    state : ndarray of int32, shape (C,)
    points, centres : ndarray, shapes (N, 3) and (C, 3)
        Middles of areas, and of the people of counties, on the unit sphere.
    log_income : ndarray, shape (N,)
    pull, county_pull : ndarray, shapes (5, N) and (5, C)
        By group, ``n_j exp(h s_gj + a_c)`` and its sum over the county's areas.
    """

    starts: Ints
    state: NDArray[np.int32]
    points: Array
    centres: Array
    log_income: Array
    pull: Array
    county_pull: Array


def attraction(areas: Areas, parameters: NationParameters, streams: Streams) -> Attraction:
    """Return what draws people to each area: its people, more so if they are of one's group."""
    people = areas.attribute("population")
    county = areas.level("county")
    z = streams.normal("pull of county", np.arange(county.size))
    pull = people * np.exp(
        parameters.homophily * shares_of(areas).T + parameters.pull_spread * z[county.codes]
    )
    points = _unit_vectors(areas.attribute("longitude"), areas.attribute("latitude"))
    centres = np.stack(
        [county.totals(np.maximum(people, 1.0) * points[:, k]) for k in range(3)], axis=1
    )
    return Attraction(
        starts=np.searchsorted(county.codes, np.arange(county.size + 1)).astype(np.int64),
        state=areas.parents("county", "state"),
        points=points,
        centres=centres / np.linalg.norm(centres, axis=1)[:, None],
        log_income=np.log(areas.attribute("income")),
        pull=np.ascontiguousarray(pull),
        county_pull=np.stack([county.totals(row) for row in pull]),
    )


def draw_moves(
    areas: Areas,
    rates: Array,
    attracted: Attraction,
    parameters: NationParameters,
    streams: Streams,
) -> Moves:
    """Draw who leaves, and where to.

    A person of group g who leaves area i stays in the county with a given chance, and then picks

        P(j | i, g) ~ n_j exp(h s_gj + a_c) (1 + d_ij / d_0)^-b exp(-k |ln y_i - ln y_j|),

    n being people, s the share of the group, a the pull of the county, d the distance, and y the
    income. Others pick a county by the sums of ``n_j exp(h s_gj + a_c)`` and the distance
    between counties, those of the own state counting for more, and in it an area by the summand.

    Parameters
    ----------
    rates : (N,)
        Chance of leaving each area.
    """
    people = areas.attribute("population")
    leavers = binomial_counts(streams.uniform("leavers", np.arange(areas.size)), people, rates)
    starts = np.concatenate([[0], np.cumsum(leavers)]).astype(np.int64)
    first_person = np.concatenate([[0], np.cumsum(people)[:-1]]).astype(np.int64)
    codes = np.empty(starts[-1], dtype=np.int32)
    a, p = attracted, parameters
    leaving = np.cumsum(shares_of(areas) * by_group(p.leaving_by_group), axis=1)
    # Where nobody lives nobody leaves, and any shares will do.
    shares = leaving / np.where(people > 0, leaving[:, -1], 1.0)[:, None]
    near = (p.decay, p.decay_from, p.income_homophily)
    far = (p.decay_between, p.decay_between_from, p.same_state)
    shared: Any = (
        *(a.starts, starts, first_person, shares, streams.key("moves"), p.within_county),
        *(a.points, a.log_income, a.pull, np.cumsum(a.pull, axis=1), near),
        *(a.centres, a.state, a.county_pull, far),
        codes,
    )
    run_blocks(lambda c: draw_county(c, *shared), len(a.state))
    return Moves(starts, codes, first_person)


def matrix_of(moves: Moves, areas: Areas, year: int) -> MigrationMatrix:
    """Add up moves to the matrix of everybody; its rows add up to the population."""
    starts, codes, G = moves.starts, moves.codes, len(GROUPS)
    people = areas.attribute("population")
    counts = np.empty(areas.size, dtype=np.int64)
    by_rows(starts, lambda _, first, last: count_pairs(first, last, starts, codes, G, counts))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = np.empty(indptr[-1], dtype=np.int32)
    values = np.empty(indptr[-1])

    def work(_: int, first: int, last: int) -> None:
        fill_pairs(first, last, starts, codes, G, people, indptr, indices, values)

    by_rows(starts, work)
    return MigrationMatrix(areas, indptr, indices, values, year)


def group_changes(moves: Moves) -> Array:
    """Return arrivals less leavers of each area by group, shape (N, 5)."""
    G = len(GROUPS)
    N = len(moves.first_person)
    arrivals = np.bincount(moves.codes, minlength=N * G)
    origin = np.repeat(np.arange(N), np.diff(moves.starts))
    leavers = np.bincount(origin * G + moves.codes % G, minlength=N * G)
    return (arrivals - leavers).reshape(N, G).astype(np.float64)


def _unit_vectors(longitude: Array, latitude: Array) -> Array:
    """Return points of the unit sphere, shape (N, 3)."""
    x, y = np.radians(longitude), np.radians(latitude)
    cosine = np.cos(y)
    return np.stack([cosine * np.cos(x), cosine * np.sin(x), np.sin(y)], axis=1)
