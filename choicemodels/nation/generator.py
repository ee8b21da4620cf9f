"""A nation from a seed: its areas, who moves where, and what data and surveys show of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from choicemodels.errors import SpecificationError
from choicemodels.frames import closest
from choicemodels.migration.areas import Areas
from choicemodels.migration.census import CensusTables
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.nation.parameters import GROUPS, SIZES, NationParameters, NationSize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from choicemodels.keyed_random import Streams
    from choicemodels.nation.geography import Places
    from choicemodels.nation.inhabitants import Inhabitants

__all__ = ["Nation", "generate_nation"]


@dataclass(frozen=True, eq=False)
class Nation:
    """A generated nation whose truth is known.

    Attributes
    ----------
    size : NationSize
    parameters : NationParameters
    seed : int
    year : int
        The year t; people are asked where they lived in t - 1.
    areas : Areas
        Block groups, in tracts, counties and states. The table holds ``longitude``,
        ``latitude``, the bounds ``west``, ``south``, ``east`` and ``north``, ``square_km``,
        ``population`` in t - 1, its groups (``white``, ``black``, ``hispanic``, ``asian``,
        ``other``), median household ``income`` in dollars, and ``urban``.
    truth : MigrationMatrix
        Everybody who lived here in t - 1, by where they did and do.
    raw : MigrationMatrix
        What address histories show of it: too few people, some groups fewer than others, moves
        unreported, addresses known by their ZIP code alone.
    components : DataFrame, shape (C, 4)
        By county: ``births``, ``deaths``, ``immigrants`` and ``emigrants`` between t - 1 and t.
    people_now : Series, shape (C,)
        By county: the residents of t, that is ``exact_tables.after + births - deaths +
        immigrants - emigrants``.
    tables, exact_tables : CensusTables
        With and without the error of surveys.
    county_flows : DataFrame
        A survey's table of everybody by county of ``origin`` and ``destination``, with ``people``
        and ``moe``; no other table uses it.
    """

    size: NationSize
    parameters: NationParameters
    seed: int
    year: int
    areas: Areas
    truth: MigrationMatrix
    raw: MigrationMatrix
    components: pd.DataFrame
    people_now: "pd.Series[float]"
    tables: CensusTables
    exact_tables: CensusTables
    county_flows: pd.DataFrame


def generate_nation(
    size: str | NationSize = "village",
    *,
    seed: int = 1,
    year: int = 2019,
    parameters: NationParameters | None = None,
) -> Nation:
    """Generate a nation: the same seed makes the same one, on any number of threads.

    Parameters
    ----------
    size
        ``"village"`` (100 block groups), ``"town"`` (1,000), ``"state"`` (10,000), ``"nation"``
        (217,740), or numbers of your own.
    seed
    year
        The year t.
    parameters
        What to assume; None takes the defaults.

    Raises
    ------
    SpecificationError
        If there is no such size, or the seed is negative.
    """
    from choicemodels.keyed_random import Streams
    from choicemodels.nation.geography import lay_out
    from choicemodels.nation.inhabitants import leaving_rates, settle

    assumed = NationParameters() if parameters is None else parameters
    chosen = _size(size)
    streams = Streams(seed)
    places = lay_out(chosen, assumed, streams)
    inhabitants = settle(places, assumed, streams)
    rates = leaving_rates(inhabitants, assumed, streams)
    return _live(chosen, assumed, seed, year, places, inhabitants, rates, streams)


def _live(
    size: NationSize,
    parameters: NationParameters,
    seed: int,
    year: int,
    places: "Places",
    inhabitants: "Inhabitants",
    rates: "NDArray[np.float64]",
    streams: "Streams",
) -> Nation:
    """Let a year go by."""
    from choicemodels.nation.histories import coverage_of, observe
    from choicemodels.nation.moves import draw_moves, matrix_of
    from choicemodels.nation.surveys import count_all, survey, survey_county_flows
    from choicemodels.nation.vital import vital_events

    areas = _areas(places, inhabitants)
    moves = draw_moves(places, inhabitants, rates, parameters, streams)
    truth = matrix_of(moves, inhabitants.people, areas, year)
    coverage = coverage_of(places, inhabitants, rates, parameters, streams)
    exact = count_all(truth)
    components = vital_events(truth, parameters, streams)
    change = components["births"] - components["deaths"]
    change += components["immigrants"] - components["emigrants"]
    return Nation(
        size=size,
        parameters=parameters,
        seed=seed,
        year=year,
        areas=areas,
        truth=truth,
        raw=observe(moves, truth, inhabitants, coverage, streams),
        components=components,
        people_now=exact.after + change,
        tables=survey(exact, truth, parameters, streams),
        exact_tables=exact,
        county_flows=survey_county_flows(truth, parameters, streams),
    )


def _areas(places: "Places", inhabitants: "Inhabitants") -> Areas:
    west, south, east, north = places.bounds.T
    table = pd.DataFrame(
        {
            "longitude": (west + east) / 2,
            "latitude": (south + north) / 2,
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "square_km": places.square_km,
            "population": inhabitants.people,
            **dict(zip(GROUPS, inhabitants.groups.T, strict=True)),
            "income": inhabitants.income,
            "urban": inhabitants.urban,
        }
    )
    return Areas.from_geoids(places.geoids.tolist(), table)


def _size(size: str | NationSize) -> NationSize:
    if isinstance(size, NationSize):
        return size
    if size not in SIZES:
        raise SpecificationError(
            f"there is no size {size!r}{closest(str(size), SIZES)}; choose {', '.join(SIZES)}, or "
            "give a NationSize."
        )
    return SIZES[size]
