"""Address histories of a generated population, as a vendor's file would hold them."""

from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError
from choicemodels.histories.people import MISSING
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["GeneratedHistories", "HistoryFlaws", "generate_histories", "zip_crosswalk"]

# Addresses in an area, the first of them its postal boxes.
_HOUSES = 500
_TRACTS_PER_ZIP = 3
_MOST_YEARS = 99
# An odd number times a person's: identifiers that nobody is sorted by.
_SCATTER = 2_654_435_761


@dataclass(frozen=True)
class HistoryFlaws:
    """What is wrong with address histories, as shares.

    Attributes
    ----------
    undated, boxes, ties
        Of new homes: without a date, with a postal box beside, with a second address of one date.
    deceased, unlisted
        Of people: who die within the years, and who are listed without a first and last date.
    zip_only
        Of addresses: known by their ZIP code alone.

    Raises
    ------
    SpecificationError
        If one is not between 0 and 1.
    """

    undated: float = 0.03
    boxes: float = 0.05
    ties: float = 0.02
    deceased: float = 0.03
    unlisted: float = 0.2
    zip_only: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            share = getattr(self, field.name)
            if not 0 <= share <= 1:
                raise SpecificationError(f"{field.name} is {share}; a share lies between 0 and 1.")

    @classmethod
    def none(cls) -> "HistoryFlaws":
        """Return histories as they were lived."""
        return cls(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class GeneratedHistories:
    """Files of address histories, and what is needed to place their addresses.

    Attributes
    ----------
    paths : list of Path
        Parquet, with the columns of ``LongLayout()``, ``block_group`` and ``zip``.
    people, rows : int
    crosswalk : DataFrame
        Of ZIP codes and tracts.
    """

    paths: list[Path]
    people: int
    rows: int
    crosswalk: pd.DataFrame


def generate_histories(
    folder: str | Path,
    truth: MigrationMatrix,
    people: int,
    *,
    years: int = 1,
    seed: int = 1,
    flaws: HistoryFlaws | None = None,
    january: bool = False,
    former: float = 1.5,
    piece: int = 200_000,
) -> GeneratedHistories:
    r"""Draw people who live where, and move as, a matrix of moves says; write what is seen of them.

    A person lives in area i in the year before that of ``truth`` with a chance in proportion to
    its row sum, and moves in each of the years by the shares of the row of the area they are in.
    Without flaws, and where all move in January, the matrix of the first year thus has

    .. math:: \mathrm{E}[E_{ij}] = T_{ij} \, n / \textstyle\sum_{kl} T_{kl}

    for n people. Of moves on any day about half are answered in the next year.

    Parameters
    ----------
    folder
        Made if it is not there; files of an earlier call are written over.
    truth
        Its areas need a level ``tract`` and a column ``population``.
    people
    years
        In which they move, from that of ``truth`` on.
    seed
        The same seed draws the same lives, whatever the size of the pieces; more people add to
        those of fewer.
    flaws
        None is ``HistoryFlaws()``.
    january
        Whether people move on the first day of the year, or on any.
    former
        Homes before those years, on average (six at most): they lengthen the histories and change
        no answer.
    piece
        People in a file.

    Raises
    ------
    DataError
        If the matrix has no people, or no year.
    SpecificationError
        If a number is less than 1, ``years`` is above 99, or ``former`` is negative.
    """
    import pyarrow.parquet as pq

    for name, number in (("people", people), ("years", years), ("piece", piece)):
        if number < 1:
            raise SpecificationError(f"{name} is {number}; draw one or more.")
    if years > _MOST_YEARS:
        raise SpecificationError(f"years is {years}; lives are drawn for {_MOST_YEARS} at most.")
    if not 0 <= former < np.inf:
        raise SpecificationError(f"former is {former}; an average of homes is zero or more.")
    if truth.year is None or truth.total <= 0:
        raise DataError(
            "the matrix of moves has no people or no year; histories are drawn from both."
        )
    lives = _Lives(truth, truth.year, years, seed, flaws or HistoryFlaws(), january, former)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths, rows = [], 0
    for first in range(0, people, piece):
        table = lives.table(first, min(first + piece, people))
        paths.append(folder / f"histories-{first // piece:05d}.parquet")
        pq.write_table(table, paths[-1])
        rows += len(table)
    return GeneratedHistories(paths, people, rows, lives.crosswalk)


def zip_crosswalk(areas: Areas, population: str = "population") -> pd.DataFrame:
    """Make up ZIP codes: three tracts of a county each, the last one shared with the next code.

    Returns
    -------
    DataFrame
        ``zip``, ``tract``, and the people of the tract with this ZIP code as ``weight``.
    """
    tracts = areas.level("tract")
    outer = list(areas.levels)[list(areas.levels).index("tract") + 1 :]
    county = areas.parents("tract", outer[0]) if outer else np.zeros(tracts.size, dtype=np.int32)
    table = pd.DataFrame({"tract": tracts.labels, "county": county})
    table["people"] = tracts.totals(areas.attribute(population))
    order = table.groupby("county").cumcount()
    table["run"] = table["county"].map(str) + "-" + (order // _TRACTS_PER_ZIP).map(str)
    codes = pd.factorize(table["run"])[0]
    last = (order % _TRACTS_PER_ZIP == _TRACTS_PER_ZIP - 1).to_numpy()
    shared = last & np.append(county[1:] == county[:-1], False)
    own = pd.DataFrame({"zip": codes, "tract": table["tract"], "weight": table["people"]})
    own.loc[shared, "weight"] /= 2
    other = own[shared].assign(zip=codes[shared] + 1)
    both = pd.concat([own, other], ignore_index=True)
    crosswalk: pd.DataFrame = both.assign(zip=both["zip"].map("Z{:05d}".format))
    return crosswalk


class _Lives:
    """Everything that lives are drawn from, prepared once."""

    def __init__(
        self, truth: MigrationMatrix, year: int, years: int, seed: int, flaws: HistoryFlaws,
        january: bool, former: float,
    ) -> None:  # fmt: skip
        from choicemodels.keyed_random import Streams

        self._truth, self._year, self._years, self._january = truth, year, years, january
        self._former = former
        *self._row_flaws, self._zip_only = astuple(flaws)
        self._streams = Streams(seed)
        self._homes = np.cumsum(truth.before)
        self._cumulated = np.cumsum(truth.values)
        self.crosswalk = zip_crosswalk(truth.areas)
        self._zips = _zips_of_areas(truth.areas, self.crosswalk)

    def table(self, first: int, last: int) -> "pa.Table":
        """Draw people ``first`` to ``last``."""
        import pyarrow as pa

        from choicemodels.histories.generator_kernels import draw_people, rows_at_most

        truth = self._truth
        most = (last - first) * rows_at_most(self._years)
        person, address = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
        day, box = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.bool_)
        start, end = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
        dead = np.empty(most, dtype=np.bool_)
        n = draw_people(
            first, last, self._year, self._years, self._january, _HOUSES,
            self._streams.key("histories"), np.array(self._row_flaws, dtype=np.float64),
            self._former, self._homes, truth.indptr, truth.indices, self._cumulated,
            (person, address, day, box), start, end, dead,
        )  # fmt: skip
        person, address, day, box = person[:n], address[:n], day[:n], box[:n]
        area, zip = self._places(address)
        return pa.table(
            {
                "person": (person * _SCATTER) % 2**32,
                "address": address,
                "effective": _dates(day),
                "category": pa.array(np.where(box, "PO_box", "clean")).dictionary_encode(),
                "start": _dates(start[:n]),
                "end": _dates(end[:n]),
                "deceased": dead[:n],
                truth.areas.name: area,
                "zip": zip,
            }
        )

    def _places(self, address: NDArray[np.int64]) -> tuple[Any, Any]:
        """Return the area, where it is known, and the ZIP code of each address."""
        import pyarrow as pa

        area = address // _HOUSES
        vague = self._streams.uniform("zip only", address) < self._zip_only
        second = self._streams.uniform("which zip", address) < 0.5
        labels = pa.array(self._truth.areas.labels.to_numpy(dtype=object))
        names = pa.DictionaryArray.from_arrays(pa.array(area.astype(np.int32), mask=vague), labels)
        codes = self._zips[area, second.astype(np.int64)]
        known = pa.array(np.unique(self.crosswalk["zip"].to_numpy(dtype=object)))
        return names, pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), known)


def _zips_of_areas(areas: Areas, crosswalk: pd.DataFrame) -> NDArray[np.int64]:
    """Return the one or two ZIP codes of each area, positions among the sorted, shape (N, 2)."""
    codes = pd.factorize(crosswalk["zip"], sort=True)[0]
    by_tract = pd.Series(codes).groupby(crosswalk["tract"].to_numpy())
    tracts = areas.level("tract")
    both = np.column_stack(
        [by_tract.min().reindex(tracts.labels), by_tract.max().reindex(tracts.labels)]
    )
    return both[tracts.codes].astype(np.int64)


def _dates(days: NDArray[np.int32]) -> "pa.Array":
    import pyarrow as pa

    return pa.array(days, mask=days == MISSING).cast(pa.date32())
