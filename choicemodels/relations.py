"""Tables of any size: opened by DuckDB, which reads files in pieces and spills to a folder."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from choicemodels.errors import DataError, enumerate_some
from choicemodels.frames import to_pandas

__all__ = ["connect", "open_relation", "quote"]


def connect(stack: ExitStack, **settings: Any) -> Any:
    """Open a database in memory that spills to a folder; both go when ``stack`` closes.

    Parameters
    ----------
    stack
    **settings
        DuckDB's own, such as ``memory_limit="2GB"``.
    """
    import duckdb

    folder = stack.enter_context(TemporaryDirectory(prefix="nestflow-"))
    config = {"temp_directory": folder, **settings}
    return stack.enter_context(duckdb.connect(config=config))


def open_relation(connection: Any, source: Any, *, what: str) -> Any:
    """Return files or a table in memory as a relation of a connection.

    Parameters
    ----------
    connection
    source
        The path of a Parquet or CSV file or a list of such paths (with ``*`` for many), or a
        table.
    what
        How an error calls the table.

    Raises
    ------
    DataError
        If there is no such file, it cannot be read, or the object is not a table.
    """
    import duckdb

    if not isinstance(source, str | Path | list | tuple):
        return connection.from_df(to_pandas(source, what=what))
    paths = [str(path) for path in (source if isinstance(source, list | tuple) else [source])]
    if not paths:
        raise DataError(f"no file was given to read {what} from.")
    try:
        if all(path.endswith((".csv", ".csv.gz")) for path in paths):
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
            return connection.sql(f"SELECT * FROM read_csv([{listed}])")
        return connection.read_parquet(paths)
    except duckdb.Error as problem:
        reason = str(problem).splitlines()[0]
        raise DataError(f"cannot read {enumerate_some(paths)}: {reason}.") from None


def quote(name: str) -> str:
    """Quote the name of a column for SQL."""
    return '"' + name.replace('"', '""') + '"'
