"""Matrices of moves as folders of Parquet files, with a codebook and where they come from."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some
from choicemodels.migration.areas import Areas
from choicemodels.migration.codebook import describe_columns
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.migration.privacy import Redaction

if TYPE_CHECKING:
    from choicemodels.flows.flowdata import FlowData

__all__ = [
    "SCHEMA",
    "attribute_meanings",
    "read_flows",
    "read_matrix",
    "read_metadata",
    "write_matrix",
]

# Raised when the layout of the files changes.
SCHEMA = 1

_KIND = "matrix of moves"
_MOVES, _AREAS, _METADATA = "moves.parquet", "areas.parquet", "metadata.json"
# Cells that are in memory twice while they are written or read.
_CELLS = 2**21


def write_matrix(
    matrix: MigrationMatrix,
    path: str | Path,
    *,
    provenance: Mapping[str, Any],
    codebook: Mapping[str, str] | None = None,
    redaction: Redaction | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a matrix as a folder: ``moves.parquet``, ``areas.parquet`` and ``metadata.json``.

    All is written beside the path and moved there when it is done, so that no folder is ever
    half written. Cells are written a slice at a time.

    Parameters
    ----------
    matrix
    path
        Of the folder; the folder that holds it must exist.
    provenance
        Where the matrix comes from: names and values that JSON can hold, such as sources,
        versions, steps and seeds. There must be some.
    codebook
        What the attributes of the areas mean, by column. Usual ones are known; others must be
        described.
    redaction
        What was taken out (the matrix is the redacted one): parameters, shares and the movers
        withheld by the coarsest level go into the metadata.
    overwrite
        Replace a matrix that is there.

    Raises
    ------
    DataError
        If the parent folder does not exist, the path is taken, an attribute is not described,
        the provenance is empty or cannot be written, or the redacted areas still have movers.
    """
    path = Path(path)
    _refuse_path(path, overwrite)
    described = describe_columns(matrix.areas, codebook or {})
    if redaction is not None:
        _refuse_unredacted(matrix, redaction)
    content = {
        "nestflow": _KIND,
        "schema": SCHEMA,
        "written by": _writer(),
        "year": None if matrix.year is None else int(matrix.year),
        "area": matrix.areas.name,
        "levels": list(matrix.areas.levels),
        "areas": matrix.areas.size,
        "cells": matrix.nnz,
        "people": matrix.total,
        "stayers": float(matrix.stayers.sum()),
        "redaction": None if redaction is None else _describe(redaction),
        "provenance": _provenance(provenance),
        "codebook": {_MOVES: described[0], _AREAS: described[1]},
    }
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as aside:
        # A folder within has the permissions that the user's files have.
        folder = Path(aside) / "new"
        folder.mkdir()
        _write_areas(matrix.areas, folder / _AREAS)
        _write_moves(matrix, folder / _MOVES)
        content["sha256"] = {name: _checksum(folder / name) for name in (_MOVES, _AREAS)}
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        (folder / _METADATA).write_text(text + "\n", encoding="utf-8")
        _move(folder, path, Path(aside) / "old")
    return path


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Return what is told of a written matrix: year, sizes, provenance, codebook, checksums.

    Raises
    ------
    DataError
        If there is no matrix, or it is of a layout that is not known.
    """
    path = Path(path)
    try:
        content = json.loads((path / _METADATA).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"'{path}' is no folder with a written matrix: it has no '{_METADATA}'."
        ) from None
    except (OSError, ValueError):
        raise DataError(f"'{path / _METADATA}' is damaged; write the matrix anew.") from None
    if not isinstance(content, dict) or content.get("nestflow") != _KIND:
        raise DataError(f"'{path}' holds no matrix of moves.")
    if content.get("schema") != SCHEMA:
        raise DataError(
            f"'{path}' has schema {content.get('schema')}, and this version of nestflow reads "
            f"schema {SCHEMA}; read it with the version that wrote it "
            f"({content.get('written by')}), or write it anew."
        )
    return content


def attribute_meanings(path: str | Path, areas: Areas) -> dict[str, str]:
    """Return what a written matrix tells of attributes, by column: a codebook to write again.

    Raises
    ------
    DataError
        As :func:`read_metadata`.
    """
    told = read_metadata(path)["codebook"][_AREAS]
    return {name: told[name] for name in map(str, areas.table.columns)}


def read_matrix(path: str | Path, *, verify: bool = True) -> MigrationMatrix:
    """Read a matrix that :func:`write_matrix` wrote.

    Parameters
    ----------
    path
        Of the folder.
    verify
        Compare the checksums of the files too; numbers of rows and people always are.

    Raises
    ------
    DataError
        If there is no matrix, its layout is not known, or a file is missing or was changed.
    """
    from pyarrow import ArrowException

    path = Path(path)
    known = read_metadata(path)
    for name in (_MOVES, _AREAS):
        if not (path / name).is_file():
            raise DataError(f"'{path}' lacks the file '{name}'; copy the whole folder.")
        if verify and _checksum(path / name) != known["sha256"][name]:
            raise DataError(
                f"'{path / name}' is not the file that was written (its checksum differs); copy "
                "it again."
            )
    try:
        areas = _read_areas(path / _AREAS, known)
        matrix = _read_moves(path / _MOVES, areas, known)
    except (ArrowException, OSError, KeyError) as problem:
        reason = str(problem).splitlines()[0]
        raise DataError(
            f"the files of '{path}' cannot be read: {reason}; copy them again."
        ) from None
    if not np.isclose(matrix.total, known["people"], rtol=1e-9, atol=0):
        raise DataError(
            f"'{path / _MOVES}' holds {matrix.total:,.0f} people, but {known['people']:,.0f} were "
            "written; copy it again."
        )
    return matrix


def read_flows(path: str | Path, level: str | None = None, *, verify: bool = True) -> "FlowData":
    """Read a written matrix as flows for the gravity models.

    Parameters
    ----------
    path
        Of the folder.
    level
        Adds up to this level first; None keeps the finest areas.
    verify
        As in :func:`read_matrix`.

    Raises
    ------
    DataError
        As :func:`read_matrix`.
    """
    return read_matrix(path, verify=verify).to_flows(level)


def _refuse_path(path: Path, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise DataError(f"the folder '{path.parent}' does not exist; make it first.")
    if not path.exists():
        return
    if not overwrite:
        raise DataError(f"'{path}' exists; write elsewhere, or pass overwrite=True.")
    if not (path / _METADATA).is_file():
        raise DataError(f"'{path}' exists and holds no matrix, so it is not overwritten.")


def _writer() -> str:
    try:
        return f"nestflow {version('nestflow')}"
    except PackageNotFoundError:
        return "nestflow, from its source"


def _provenance(provenance: Mapping[str, Any]) -> dict[str, Any]:
    if not provenance:
        raise DataError(
            "the provenance is empty; say where the matrix comes from, such as "
            "provenance={'source': ..., 'steps': ...}."
        )
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(provenance), allow_nan=False))
    except (TypeError, ValueError) as problem:
        raise DataError(
            f"the provenance cannot be written as JSON ({problem}); give texts, finite numbers, "
            "lists and mappings of them."
        ) from None
    return found


def _refuse_unredacted(matrix: MigrationMatrix, redaction: Redaction) -> None:
    hidden = redaction.table["redacted"].to_numpy()
    if not redaction.areas.labels.equals(matrix.areas.labels):
        raise DataError("the redaction is of other areas than the matrix.")
    moved = matrix.before - matrix.stayers
    still = redaction.redacted[moved[hidden] > 1e-9 * matrix.before[hidden]].tolist()
    if still:
        raise DataError(
            f"{len(still):,} areas to redact still have movers ({enumerate_some(still)}); write "
            "redact(matrix, redaction)."
        )


def _describe(redaction: Redaction) -> dict[str, Any]:
    levels = list(redaction.areas.levels)
    withheld = redaction.withheld(levels[-1]) if levels else None
    return {
        "rule": f"areas where {redaction.share:.0%} of the movers go to {redaction.most} areas or "
        "fewer: their movers are left out",
        "most": redaction.most,
        "share": redaction.share,
        **{str(name): float(x) for name, x in redaction.summary.items()},
        "withheld": {} if withheld is None else {levels[-1]: withheld.to_dict()},
    }


def _write_areas(areas: Areas, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {
        "code": np.arange(areas.size, dtype=np.int32),
        areas.name: areas.labels.astype(str),
    }
    columns |= {
        name: level.labels.take(level.codes).astype(str) for name, level in areas.levels.items()
    }
    frame = pd.DataFrame(columns).join(areas.table.reset_index(drop=True))
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, compression="zstd")


def _read_areas(path: Path, known: Mapping[str, Any]) -> Areas:
    import pyarrow.parquet as pq

    frame = pq.read_table(path).to_pandas()
    if len(frame) != known["areas"] or not np.array_equal(frame["code"], np.arange(len(frame))):
        raise DataError(
            f"'{path}' has {len(frame):,} areas, and {known['areas']:,} in the order of their "
            "codes were written; copy it again."
        )
    return Areas.from_table(frame.drop(columns="code"), known["area"], known["levels"])


def _row_slices(indptr: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Cut rows into slices of about as many cells as fit in memory twice."""
    first, N = 0, len(indptr) - 1
    while first < N:
        last = int(np.searchsorted(indptr, indptr[first] + _CELLS, side="right")) - 1
        last = min(max(last, first + 1), N)
        yield first, last
        first = last


def _write_moves(matrix: MigrationMatrix, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = pa.array(matrix.areas.labels.astype(str), type=pa.string())
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([("origin", text), ("destination", text), ("people", pa.float64())])
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=["origin", "destination"],
        # Labels are written once a slice as long as they fit here, and in full where they do not.
        dictionary_pagesize_limit=2**25,
        # Rows are sorted by origin, so a reader can leave slices out by it alone.
        write_statistics=["origin"],
    ) as writer:
        for first, last in _row_slices(matrix.indptr):
            part = slice(matrix.indptr[first], matrix.indptr[last])
            counts = np.diff(matrix.indptr[first : last + 1])
            origins = np.repeat(np.arange(first, last, dtype=np.int32), counts)
            columns = [
                pa.DictionaryArray.from_arrays(pa.array(origins), labels),
                pa.DictionaryArray.from_arrays(pa.array(matrix.indices[part]), labels),
                pa.array(matrix.values[part]),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=len(origins) or 1)


def _read_moves(path: Path, areas: Areas, known: Mapping[str, Any]) -> MigrationMatrix:
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = pa.array(areas.labels.astype(str), type=pa.string())
    file = pq.ParquetFile(path, read_dictionary=["origin", "destination"])
    cells = file.metadata.num_rows
    if cells != known["cells"]:
        raise DataError(
            f"'{path}' has {cells:,} rows, and {known['cells']:,} were written; copy it again."
        )
    indices, values = np.empty(cells, dtype=np.int32), np.empty(cells)
    counts = np.zeros(areas.size, dtype=np.int64)
    at, previous = 0, -1
    for group in range(file.num_row_groups):
        table = file.read_row_group(group).combine_chunks()
        part = slice(at, at + len(table))
        origins = _codes(table.column("origin"), areas, labels)
        indices[part] = _codes(table.column("destination"), areas, labels)
        values[part] = table.column("people").to_numpy()
        if len(origins) and (origins[0] < previous or np.any(np.diff(origins) < 0)):
            raise DataError(f"the rows of '{path}' are not sorted by origin; copy it again.")
        counts += np.bincount(origins, minlength=areas.size)
        at, previous = part.stop, int(origins[-1]) if len(origins) else previous
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return MigrationMatrix(areas, indptr, indices, values, known["year"])


def _codes(column: Any, areas: Areas, labels: Any) -> NDArray[np.int32]:
    """Turn labels of a dictionary column into positions of the areas, whose labels are given."""
    found = []
    for chunk in column.chunks:
        codes = chunk.indices.to_numpy()
        # As it was written, the dictionary is the labels; other writers keep those that occur.
        if not chunk.dictionary.equals(labels):
            to = areas.labels.get_indexer(pd.Index(chunk.dictionary.to_pylist()))
            if (to < 0).any():
                raise DataError("the moves name places that areas.parquet lacks; copy both again.")
            codes = to.astype(np.int32)[codes]
        found.append(codes)
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int32)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move(folder: Path, path: Path, old: Path) -> None:
    """Put a finished folder in its place, and what it replaces aside."""
    if path.exists():
        path.rename(old)
    try:
        folder.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
