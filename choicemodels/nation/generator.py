"""A nation from a seed: its areas, who moves where, and what data and surveys show of it."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest
from choicemodels.migration.areas import Areas
from choicemodels.migration.census import CensusTables
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.nation.parameters import SIZES, NationParameters, NationSize

__all__ = ["Nation", "generate_nation", "next_year", "with_leaving"]


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
    leaving : Series, shape (N,)
        Chance of leaving each area within the year, from which the moves were drawn.
    components : DataFrame, shape (C, 4)
        By county: ``births``, ``deaths``, ``immigrants`` and ``emigrants`` between t - 1 and t.
    residents : DataFrame, shape (N, 5)
        People in t by area and group. In each county they are ``exact_tables.after + births -
        deaths + immigrants - emigrants``.
    tables, exact_tables : CensusTables
        With and without the error of surveys.
    county_flows : DataFrame
        A survey's table of everybody by county of ``origin`` and ``destination``, with ``people``
        and ``moe``; no other table uses it.
    """

    size: NationSize
    parameters: NationParameters = field(repr=False)
    seed: int
    year: int
    areas: Areas = field(repr=False)
    truth: MigrationMatrix = field(repr=False)
    raw: MigrationMatrix = field(repr=False)
    leaving: "pd.Series[float]" = field(repr=False)
    components: pd.DataFrame = field(repr=False)
    residents: pd.DataFrame = field(repr=False)
    tables: CensusTables = field(repr=False)
    exact_tables: CensusTables = field(repr=False)
    county_flows: pd.DataFrame = field(repr=False)


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
        If there is no such size, the seed or the year is no whole number from zero, or the
        parameters are not `NationParameters`.
    """
    from choicemodels.keyed_random import Streams
    from choicemodels.nation.geography import lay_out
    from choicemodels.nation.inhabitants import leaving_rates, settle

    assumed = NationParameters() if parameters is None else parameters
    if not isinstance(assumed, NationParameters):
        raise SpecificationError(
            f"the parameters are a {type(assumed).__name__}; give NationParameters(...)."
        )
    chosen = _size(size)
    if isinstance(year, bool) or not isinstance(year, int) or year < 0:
        raise SpecificationError(f"the year is {year!r}; give a whole number, such as year=2019.")
    streams = Streams(seed)
    areas = settle(lay_out(chosen, assumed, streams), assumed, streams)
    rates = leaving_rates(areas, assumed, streams)
    return _live(chosen, assumed, seed, year, areas, rates)


def next_year(nation: Nation) -> Nation:
    """Generate the year after: the residents of t are the people who may move until t + 1.

    Areas keep their incomes, their attraction and how well histories cover them; who moves, is
    born or dies, and what surveys find, is drawn anew.
    """
    from choicemodels.keyed_random import Streams
    from choicemodels.nation.inhabitants import leaving_rates

    residents = nation.residents
    table = nation.areas.table.assign(population=residents.sum(axis=1), **residents)
    areas = replace(nation.areas, table=table)
    rates = leaving_rates(areas, nation.parameters, Streams(nation.seed))
    return _live(nation.size, nation.parameters, nation.seed, nation.year + 1, areas, rates)


def with_leaving(nation: Nation, rates: "pd.Series[float] | ArrayLike") -> Nation:
    """Draw the same year again with other chances of leaving.

    Where the chance is the same, the same people leave for the same places; where it is higher,
    others go too.

    Parameters
    ----------
    nation
    rates
        A series by label of the area; or one for each area in order, shape (N,), or for all.

    Raises
    ------
    SpecificationError
        If an area has no rate, or one outside of 0 to 1.
    """
    labels = nation.areas.labels
    if not isinstance(rates, pd.Series):
        rates = np.asarray(rates, dtype=np.float64)
        if rates.shape not in ((), (len(labels),)):
            raise SpecificationError(
                f"the rates of leaving have the shape {rates.shape}; give one for each of the "
                f"{len(labels):,} areas, or a series by label."
            )
        rates = pd.Series(np.broadcast_to(rates, len(labels)), labels)
    given = rates.reindex(labels)
    bad = given[~given.between(0, 1)]
    if len(bad):
        raise SpecificationError(
            f"the chance of leaving {enumerate_some(bad.index.tolist())} is "
            f"{enumerate_some(bad.tolist())}; give each area one from 0 to 1."
        )
    rest = (nation.size, nation.parameters, nation.seed, nation.year, nation.areas)
    return _live(*rest, np.asarray(given, dtype=np.float64))


def _live(
    size: NationSize,
    parameters: NationParameters,
    seed: int,
    year: int,
    areas: Areas,
    rates: NDArray[np.float64],
) -> Nation:
    """Let a year go by in which people leave areas at given rates, shape (N,)."""
    from choicemodels.keyed_random import Streams
    from choicemodels.nation.histories import coverage_of, observe
    from choicemodels.nation.moves import attraction, draw_moves, group_changes, matrix_of
    from choicemodels.nation.surveys import count_all, survey, survey_county_flows
    from choicemodels.nation.vital import residents_now, vital_events

    # What lasts is drawn once for all years; the rest by the year.
    lasting, yearly = Streams(seed), Streams(seed, year)
    attracted = attraction(areas, parameters, lasting)
    moves = draw_moves(areas, rates, attracted, parameters, yearly)
    truth = matrix_of(moves, areas, year)
    events = vital_events(truth, parameters, yearly)
    county = areas.level("county")
    exact = count_all(truth, year)
    return Nation(
        size=size,
        parameters=parameters,
        seed=seed,
        year=year,
        areas=areas,
        truth=truth,
        raw=observe(moves, truth, coverage_of(areas, parameters, lasting), yearly),
        leaving=pd.Series(rates, areas.labels),
        components=events.groupby(county.labels.take(county.codes)).sum(),
        residents=residents_now(truth, events, group_changes(moves), yearly),
        tables=survey(exact, truth, parameters, yearly),
        exact_tables=exact,
        county_flows=survey_county_flows(truth, parameters, yearly),
    )


def _size(size: str | NationSize) -> NationSize:
    if isinstance(size, NationSize):
        return size
    if size not in SIZES:
        raise SpecificationError(
            f"there is no size {size!r}{closest(str(size), SIZES)}; choose {', '.join(SIZES)}, or "
            "give a NationSize."
        )
    return SIZES[size]
