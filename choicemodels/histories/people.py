"""A stream of addresses cut into whole histories."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LOST", "MISSING", "NO_ADDRESS", "People", "whole_histories"]

# What stands for a missing date, for an address that lies nowhere, and for no address.
MISSING = int(np.iinfo(np.int32).min)
LOST = -1
NO_ADDRESS = -2

# More addresses than anybody has: an identifier that stands for "unknown".
_MOST_ADDRESSES = 200


@dataclass(frozen=True, eq=False)
class People:
    """The addresses of some people, all that they have.

    Attributes
    ----------
    bounds : ndarray of int64, shape (P + 1,)
        Person i holds rows ``bounds[i]`` to ``bounds[i + 1]``.
    columns : dict of str to ndarray, shape (R,)
        ``effective``, ``start`` and ``end`` (days since 1970, or MISSING), ``address`` (a hash),
        ``place`` (row of G, LOST or NO_ADDRESS), ``box`` and ``deceased``.
    """

    bounds: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]

    @property
    def count(self) -> int:
        """Return the number of people."""
        return len(self.bounds) - 1


def whole_histories(relation: Any, rows: int) -> Iterator[People]:
    """Read a relation that is sorted by its column ``person``, about ``rows`` at a time.

    Raises
    ------
    DataError
        If one person has more addresses than anybody can have.
    """
    import pyarrow as pa

    waiting: list[Any] = []
    count = 0
    for batch in pa.RecordBatchReader.from_stream(relation):
        for start in range(0, len(batch), rows):
            waiting.append(batch.slice(start, rows))
            count += len(waiting[-1])
            if count >= rows:
                people, rest = _cut(pa.Table.from_batches(waiting))
                yield people
                waiting, count = rest.to_batches(), len(rest)
    if count:
        table = pa.Table.from_batches(waiting)
        yield _people(table, np.append(_starts(table), len(table)))


def _cut(table: "pa.Table") -> tuple[People, "pa.Table"]:
    """Split off the last person, who may go on in the next piece."""
    bounds = _starts(table)
    return _people(table, bounds), table.slice(bounds[-1])


def _starts(table: "pa.Table") -> NDArray[np.int64]:
    """Return the row at which each person begins, shape (P,)."""
    import pyarrow.compute as pc

    person = table["person"].combine_chunks()
    changes = pc.not_equal(person[1:], person[:-1])
    starts = np.flatnonzero(changes.to_numpy(zero_copy_only=False)) + 1
    starts = np.concatenate([[0], starts]).astype(np.int64)
    longest = int(np.argmax(np.diff(starts, append=len(table))))
    size = int(np.diff(starts, append=len(table))[longest])
    if size > _MOST_ADDRESSES:
        raise DataError(
            f"person {person[int(starts[longest])]} has {size:,} addresses or more; an identifier "
            "that many people share (such as 0 for unknown) is no person: make it missing."
        )
    return starts


def _people(table: "pa.Table", bounds: NDArray[np.int64]) -> People:
    columns = {
        name: table[name].to_numpy()[: bounds[-1]]
        for name in table.column_names
        if name != "person"
    }
    for values in columns.values():
        # Arrow's memory is read-only and copies are not: one of both is one compilation.
        values.flags.writeable = False
    return People(bounds, columns)
