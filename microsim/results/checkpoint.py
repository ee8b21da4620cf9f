"""Where a replicate stands, in a file: what it takes to go on as if it had never been stopped.

A checkpoint is one npz archive of numbers, written and read without pickle: every array and number
of the state under its name, the moves and tallies so far, and the rows of the tables so far as
JSON. Draws are keyed by agent and month, so that no generator needs to be stored.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError
from microsim.results.recording import Record
from microsim.state import State

__all__ = ["pack", "unpack"]

Part = TypeVar("Part")
Arrays = Mapping[str, NDArray[Any]]

_MOVES, _ROWS, _STATE, _TALLIES = "moves", "rows", "state", "tallies"


def pack(state: State, record: Record) -> bytes:
    """Return a checkpoint, as the bytes of an npz archive.

    Parameters
    ----------
    state
        At the beginning of the next month.
    record
        Of the months before it. Its panels are left out: they are on file by month.
    """
    rows = json.dumps({"national": record.national, "policies": record.policies}, default=_plain)
    arrays = {**dict(_leaves(state, _STATE)), **dict(_leaves(record.tallies, _TALLIES))}
    arrays |= {_MOVES: record.moves, _ROWS: np.frombuffer(rows.encode(), dtype=np.uint8)}
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **arrays)
    return archive.getvalue()


def unpack(path: Path, start: State, empty: Record) -> tuple[State, Record]:
    """Return the state and the record, still without panels, of a checkpoint.

    Parameters
    ----------
    path
        An npz archive of `pack`.
    start, empty
        A state of the same replicate, and a record of none of its months: they say what these are
        made of.

    Raises
    ------
    DataError
        If the file is not a checkpoint of such a state.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        rows = json.loads(arrays[_ROWS].tobytes())
        record = Record(
            panels=[],
            national=rows["national"],
            policies=rows["policies"],
            moves=_alike(arrays[_MOVES], empty.moves, _MOVES),
            tallies=_restored(empty.tallies, arrays, _TALLIES),
        )
        return _restored(start, arrays, _STATE), record
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as problem:
        raise DataError(
            f"{path} is no checkpoint of this run ({type(problem).__name__}: {problem}); remove "
            "it, and its replicate begins anew when the run is resumed."
        ) from None


def _leaves(part: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    """Go through the arrays and numbers of a dataclass, and of those within it, by name."""
    for field in fields(part):
        value, inner = getattr(part, field.name), f"{name}.{field.name}"
        if is_dataclass(value):
            yield from _leaves(value, inner)
        elif isinstance(value, np.ndarray | int | float):
            yield inner, np.asarray(value)
        else:
            raise TypeError(f"{inner} is a {type(value).__name__}: a checkpoint holds numbers.")


def _restored(part: Part, arrays: Arrays, name: str) -> Part:
    """Return ``part`` with its arrays and numbers taken from ``arrays``."""
    values: dict[str, Any] = {}
    for field in fields(part):  # type: ignore[arg-type]
        value, inner = getattr(part, field.name), f"{name}.{field.name}"
        if is_dataclass(value):
            values[field.name] = _restored(value, arrays, inner)
        elif isinstance(value, np.ndarray):
            values[field.name] = _alike(arrays[inner], value, inner)
        else:
            values[field.name] = type(value)(arrays[inner])
    return replace(part, **values)  # type: ignore[type-var]


def _alike(found: NDArray[Any], model: NDArray[Any], name: str) -> NDArray[Any]:
    if (found.dtype, found.shape) != (model.dtype, model.shape):
        raise ValueError(
            f"{name} is {found.dtype} {found.shape} instead of {model.dtype} {model.shape}"
        )
    return found


def _plain(value: Any) -> Any:
    """Return the number in a numpy scalar."""
    return value.item()
