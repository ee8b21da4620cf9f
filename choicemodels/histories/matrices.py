"""Matrices of moves out of address histories: the survey of every person, added up."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.histories.geocoding import Geocoder
from choicemodels.histories.layouts import LongLayout, WideLayout
from choicemodels.histories.opening import Sources, open_histories
from choicemodels.histories.people import whole_histories
from choicemodels.histories.place_moves import PlaceMoves
from choicemodels.histories.rules import HistoryRules
from choicemodels.migration.matrix import MigrationMatrix

__all__ = ["HistoryMatrices", "matrices_from_histories", "matrix_of_areas", "with_least_stayers"]

# Addresses without a place that are named on the result.
_NAMED = 20


def matrix_of_areas(moves: PlaceMoves, geocoder: Geocoder, year: int) -> MigrationMatrix:
    r"""Spread moves between places over the areas that they may lie in.

    With A the moves between addresses and G the probability that an address lies in an area,

    .. math:: E = G'(A - \mathrm{diag} A) G + \mathrm{diag}(G' \mathrm{diag} A) .

    Addresses of one place have the same row of G. With S the addresses by places (a single 1 in
    each row) and H the distinct rows, :math:`G = S H`, hence :math:`E = H' M H + \mathrm{diag}(H'
    s)` with :math:`M = S'(A - \mathrm{diag} A) S` and :math:`s = S' \mathrm{diag} A`: both are
    added up person by person, and A itself is never built.

    Parameters
    ----------
    moves
        M and s.
    geocoder
        H.
    year

    Notes
    -----
    Source: [AgostiniYoungFitzpatrickGargPierson2025]_.
    """
    from scipy.sparse import diags_array

    H = geocoder.matrix
    movers = H.T.tocsr() @ moves.movers @ H
    stayers = diags_array(H.T @ moves.stayers, format="csr")
    matrix: Any = (movers + stayers).tocsr()
    matrix.eliminate_zeros()
    return MigrationMatrix.from_scipy(matrix, geocoder.areas, year)


def with_least_stayers(matrix: MigrationMatrix, people: float = 1.0) -> MigrationMatrix:
    """Raise the stayers of every area to ``people`` at least, as before harmonization.

    Scaling cannot put people where there are none: an area whose diagonal is zero would never
    have stayers, nor one without any moves a population.

    Raises
    ------
    SpecificationError
        If ``people`` is not a number of zero or more.

    Notes
    -----
    Source: [AgostiniYoungFitzpatrickGargPierson2025]_.
    """
    from scipy.sparse import diags_array

    if not 0 <= people < np.inf:
        raise SpecificationError(f"{people} stayers cannot be asked for; give zero or more.")
    missing = np.maximum(people - matrix.stayers, 0.0)
    raised: Any = (matrix.flows + diags_array(missing, format="csr")).tocsr()
    return MigrationMatrix.from_scipy(raised, matrix.areas, matrix.year)


@dataclass(frozen=True, eq=False, repr=False)
class HistoryMatrices(Mapping[int, MigrationMatrix]):
    """The matrix of moves of each year, spread over areas when it is asked for.

    Attributes
    ----------
    geocoder : Geocoder
    moves : mapping of int to PlaceMoves
        By year.
    record : dict of str to int
        What was read and what was dropped, and why.
    by_year : DataFrame, shape (T, 4)
        ``surveyed`` people who answered in at least one month, and the answers by what became of
        them: ``stayers`` and ``movers``, and ``lost`` ones that name an address without a place.
        Answers add up to fewer people than were surveyed, as some are active in a part of the
        year only.
    lost_addresses : DataFrame
        The most frequent addresses without a place, and the rows that name them.
    """

    geocoder: Geocoder
    moves: Mapping[int, PlaceMoves]
    record: dict[str, int]
    by_year: pd.DataFrame
    lost_addresses: pd.DataFrame

    def __getitem__(self, year: int) -> MigrationMatrix:
        """Return E of a year; each call computes it anew."""
        return matrix_of_areas(self.moves[year], self.geocoder, year)

    def __iter__(self) -> Iterator[int]:
        return iter(self.moves)

    def __len__(self) -> int:
        return len(self.moves)

    def __repr__(self) -> str:
        years = enumerate_some(list(self.moves))
        return f"<matrices of {years} from the histories of {self.record['people']:,} people>"

    def describe(self) -> pd.DataFrame:
        """Return the record as a table, a row for each count above zero."""
        counts = {reason: count for reason, count in self.record.items() if count}
        return pd.DataFrame({"count": pd.Series(counts, dtype=np.int64)}).rename_axis("what")


def matrices_from_histories(
    histories: Any,
    geocoder: Geocoder,
    years: int | Iterable[int],
    *,
    addresses: Any = None,
    layout: LongLayout | WideLayout | None = None,
    area: str | None = "block_group",
    zip: str | None = "zip",
    boxes: str | tuple[str, ...] = ("PO_box",),
    rules: HistoryRules | None = None,
    memory: str = "1500MB",
    batch: int = 2_000_000,
) -> HistoryMatrices:
    """Turn address histories into matrices of who lived where a year ago.

    The histories are read once and in any order: DuckDB sorts them by person, in a folder where
    they exceed ``memory``, and people are surveyed in pieces. The same histories give the same
    bits, however they are ordered, cut into files or batches, and on any number of threads.

    Parameters
    ----------
    histories
        Paths of Parquet or CSV files (with ``*`` for many), a DuckDB relation, or a pandas,
        polars or Arrow table. Dates are dates, timestamps, or text or whole numbers such as
        2015-03-01, 20150301 or 201503.
    geocoder
    years
        One or more, in which people are asked where they lived a year ago.
    addresses
        Likewise, with a column ``address`` and a row for each; None finds ``area`` and ``zip``
        among the histories.
    layout
        Columns of the histories; None is ``LongLayout()``.
    area, zip
        Columns with the label of the area of an address, and with its ZIP code, which is looked
        at where there is no known area; None if there is no such column. Without ZIP codes in
        the geocoder ``zip`` is not read.
    boxes
        Categories that are postal boxes.
    rules
        None is ``HistoryRules()``, the published ones.
    memory
        What DuckDB may keep; the pieces and the sums come on top.
    batch
        Addresses in a piece.

    Raises
    ------
    DataError
        If a column is missing, a date cannot be read, an address has several places, no address
        has any, or a year is not covered by the histories.
    SpecificationError
        If no year is given, or nothing says where addresses lie.

    Notes
    -----
    Addresses are told apart by 64-bit hashes among those of one person.
    Source: [AgostiniYoungFitzpatrickGargPierson2025]_.
    """
    from choicemodels.histories.answers import Answers

    asked = _years(years)
    if batch < 1:
        raise SpecificationError(f"a piece of {batch} addresses holds none; give batch=1 or more.")
    answers = Answers(asked, geocoder.size, rules or HistoryRules())
    kinds = (boxes,) if isinstance(boxes, str) else tuple(boxes)
    sources = Sources(histories, addresses, layout or LongLayout(), area, zip, kinds)
    with ExitStack() as stack:
        query = open_histories(stack, sources, geocoder, memory=memory)
        record = query.rows()
        for people in whole_histories(query.stream(), batch):
            answers.add(people)
        record |= answers.counted()
        lost = query.lost_addresses(_NAMED if answers.any_lost else 0)
    moves = answers.moves()
    table = answers.by_year(moves)
    _refuse_empty(table, answers.active, record, lost)
    return HistoryMatrices(geocoder, moves, record, table, lost)


def _years(years: int | Iterable[int]) -> NDArray[np.int64]:
    listed = list(years) if isinstance(years, Iterable) else [years]
    if not all(isinstance(year, int | np.integer) for year in listed):
        raise SpecificationError(f"years are whole numbers; got {enumerate_some(listed)}.")
    asked = np.array(sorted(set(listed)), dtype=np.int64)
    if len(asked) == 0:
        raise SpecificationError("no year to survey; name some, such as years=range(2011, 2020).")
    return asked


def _refuse_empty(
    table: pd.DataFrame, active: str | None, record: dict[str, int], lost: pd.DataFrame
) -> None:
    """Raise if nobody answers in some year, or no answer names places."""
    if active is None:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in record.items() if count)
        raise DataError(f"nobody of the histories has both an address and a date ({why}).")
    silent = table.index[table["surveyed"] == 0].tolist()
    if silent:
        raise DataError(
            f"nobody answers in {enumerate_some(silent)}: the histories cover {active}, "
            "padding included, and an answer needs the year before too; ask for other years."
        )
    if (table["stayers"] + table["movers"]).sum() == 0:
        raise DataError(
            f"no address lies anywhere (such as {enumerate_some(lost['address'].tolist())}): "
            "none names an area or a ZIP code that the geocoder knows; compare their labels as "
            "text, with leading zeros."
        )
