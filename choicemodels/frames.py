"""The border: any table a user holds comes in here, once, and leaves as pandas columns."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from choicemodels.errors import DataError, enumerate_some

__all__ = [
    "ColumnSource",
    "JoinedColumns",
    "closest",
    "numeric_column",
    "read_table",
    "require_columns",
    "to_pandas",
]


class JoinedColumns:
    """The columns of choosers and places together, as formulas look at them."""

    def __init__(self, choosers: pd.DataFrame, places: pd.DataFrame) -> None:
        self._choosers, self._places = choosers, places
        extra = [name for name in places.columns if name not in choosers.columns]
        self.columns = pd.Index([*choosers.columns, *extra])

    def __getitem__(self, name: Hashable) -> "pd.Series[Any]":
        found: pd.Series[Any]
        found = self._places[name] if name in self._places.columns else self._choosers[name]
        return found

    def __contains__(self, name: Hashable) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[Any]:
        return iter(self.columns)


ColumnSource: TypeAlias = pd.DataFrame | JoinedColumns


def to_pandas(table: Any, *, what: str = "the table") -> pd.DataFrame:
    """Return any supported table as a pandas frame with a fresh row index.

    Parameters
    ----------
    table
        A pandas, polars, Arrow or DuckDB table, eager or lazy. Exact decimals become floats.
    what
        How the error message calls the table.

    Raises
    ------
    DataError
        If the object is not a table, has no rows, or two of its columns have one name.
    """
    import narwhals as nw

    if isinstance(table, pd.DataFrame):
        frame = table
    else:
        try:
            native = nw.from_native(table)
        except TypeError:
            raise DataError(
                f"{what} is a {type(table).__name__}, not a table; "
                "pass a pandas, polars, Arrow or DuckDB table."
            ) from None
        eager = native.collect() if isinstance(native, nw.LazyFrame) else native
        frame = eager.to_pandas()
    if len(frame) == 0:
        raise DataError(f"{what} has no rows; check the file or the filter that made it.")
    twice = frame.columns[frame.columns.duplicated()].unique().tolist()
    if twice:
        raise DataError(
            f"{what} has several columns called {enumerate_some(twice)}; rename or drop all but "
            "one of each."
        )
    frame = frame.reset_index(drop=True)
    for name in frame.columns:
        if _is_decimal(frame[name]):
            frame[name] = frame[name].astype(np.float64)
    return frame


def _is_decimal(column: "pd.Series[Any]") -> bool:
    """Say whether a column holds exact decimals, which databases make of products."""
    if column.dtype != object:
        return str(column.dtype).startswith("decimal")
    first = column.first_valid_index()
    return first is not None and isinstance(column[first], Decimal)


def read_table(path: str | Path, *, text: Iterable[str] = ()) -> pd.DataFrame:
    """Read a table from a file: .csv (also .gz), .parquet, .dta or .feather.

    Parameters
    ----------
    path
    text
        Columns of a CSV to leave as text, such as codes with leading zeros. In these only an
        empty cell is missing: NA is Namibia.

    Raises
    ------
    DataError
        If the file is missing, empty, of another kind, or cannot be read.
    """
    path, names = Path(path), list(text)

    def read_csv(file: Path) -> pd.DataFrame:
        frame = pd.read_csv(file, dtype=dict.fromkeys(names, str))
        lacking = [name for name in names if name in frame.columns and frame[name].hasnans]
        if lacking:
            plain = pd.read_csv(
                file, dtype=str, usecols=lacking, keep_default_na=False, na_values=[""]
            )
            frame[lacking] = plain[lacking]
        return frame

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": read_csv,
        ".gz": read_csv,
        ".parquet": pd.read_parquet,
        ".dta": pd.read_stata,
        ".feather": pd.read_feather,
    }
    if path.suffix not in readers:
        raise DataError(
            f"cannot tell what '{path.name}' is: its suffix is not one of {', '.join(readers)}."
        )
    try:
        frame = readers[path.suffix](path)
    except FileNotFoundError:
        raise DataError(f"there is no file '{path}'.") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"'{path}' is empty.") from None
    except (OSError, ValueError, UnicodeDecodeError) as problem:
        reason = str(problem).splitlines()[0]
        raise DataError(f"'{path}' cannot be read as {path.suffix[1:]}: {reason}.") from None
    if len(frame) == 0:
        raise DataError(f"'{path}' has a header but no rows.")
    return frame


def closest(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for a near miss, else an empty string."""
    match = get_close_matches(name, [str(k) for k in known], n=1)
    return f" (did you mean '{match[0]}'?)" if match else ""


def require_columns(frame: ColumnSource, names: Iterable[str], *, what: str = "the table") -> None:
    """Raise if a column is missing, naming it and what is there.

    Raises
    ------
    DataError
        Naming the first missing column, its nearest match and the columns present; or if what
        is given is no name.
    """
    for name in names:
        if not isinstance(name, Hashable) or name is None:
            raise DataError(
                f"a column of {what} is given as a {type(name).__name__}; give its name, a text."
            )
        if name not in frame.columns:
            there = ", ".join(map(str, frame.columns[:20]))
            raise DataError(
                f"{what} has no column '{name}'{closest(str(name), map(str, frame.columns))}; "
                f"it has: {there}."
            )


def numeric_column(
    frame: pd.DataFrame, name: str, *, what: str = "the table"
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a column as float64, refusing text.

    Raises
    ------
    DataError
        If the column is missing or cannot be read as numbers.
    """
    require_columns(frame, [name], what=what)
    try:
        return np.ascontiguousarray(frame[name].to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        bad = frame.index[pd.to_numeric(frame[name], errors="coerce").isna()]
        raise DataError(
            f"column '{name}' of {what} is not numeric: row {bad[0]} holds "
            f"{frame[name].iloc[bad[0]]!r}; convert it or drop those rows."
        ) from None
