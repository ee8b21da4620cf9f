"""Tables of address histories as queries: columns found, dates read, addresses placed."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from choicemodels.errors import DataError, SpecificationError
from choicemodels.frames import require_columns
from choicemodels.histories.geocoding import Geocoder
from choicemodels.histories.layouts import LongLayout, WideLayout
from choicemodels.histories.people import LOST, MISSING, NO_ADDRESS
from choicemodels.relations import connect, open_relation, quote

__all__ = ["HistoryQuery", "Sources", "open_histories"]

_DATES = ("effective", "start", "end")
_FIRST_YEAR, _LAST_YEAR = 1800, 2200
_FLOATS = ("DOUBLE", "FLOAT")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "UBIGINT", *_FLOATS)
_ALIVE = "('', '0', 'n', 'no', 'f', 'false')"


@dataclass(frozen=True, eq=False)
class Sources:
    """Where histories and the places of addresses are read from.

    Attributes
    ----------
    histories, addresses
        A DuckDB relation, files or tables; without ``addresses`` the histories say themselves
        where each address lies.
    layout : LongLayout or WideLayout
    area, zip : str, optional
        Columns with the label of an address' area, and with its ZIP code.
    boxes : tuple of str
        Categories that are postal boxes.
    """

    histories: Any
    addresses: Any
    layout: LongLayout | WideLayout
    area: str | None
    zip: str | None
    boxes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class HistoryQuery:
    """Address histories, ready to be streamed.

    Attributes
    ----------
    connection
        To DuckDB.
    origin : str
        Fields and places, as ``FROM`` reads them.
    types : dict
        Of the fields, in DuckDB's words.
    boxes : tuple of str
    """

    connection: Any
    origin: str
    types: dict[str, str]
    boxes: tuple[str, ...]

    def stream(self) -> Any:
        """Return the relation of all addresses, those of one person after the other."""
        days = ", ".join(
            f"coalesce(date_diff('day', DATE '1970-01-01', {date_of(f'f.{quote(field)}', kind)}), "
            f"{MISSING})::INTEGER AS {quote(field)}"
            for field, kind in self.types.items()
            if field in _DATES
        )
        boxes = ", ".join("'" + box.replace("'", "''") + "'" for box in self.boxes)
        box = f"coalesce(CAST(f.category AS VARCHAR) IN ({boxes}), false)" if boxes else "false"
        return self.connection.sql(
            f"SELECT f.person AS person, {self._place()} AS place, hash(f.address) AS address, "
            f"{days}, {box} AS box, {_deceased(self.types['deceased'])} AS deceased "
            f"FROM {self.origin} WHERE {self._named()} ORDER BY f.person"
        )

    def _place(self) -> str:
        return (
            f"CASE WHEN f.address IS NULL THEN {NO_ADDRESS} ELSE "
            f"coalesce(area_places.place, zip_places.place, {LOST}) END"
        )

    def _named(self) -> str:
        """Return the condition that a row has a person; tables write missing numbers as NaN."""
        known = "f.person IS NOT NULL"
        return f"{known} AND NOT isnan(f.person)" if self.types["person"] in _FLOATS else known

    def rows(self) -> dict[str, int]:
        """Count the rows, and those that name no person."""
        total, named = _first_row(
            self.connection,
            f"SELECT count(*), count(*) FILTER ({self._named()}) FROM fields AS f",
        )
        return {"rows": total, "rows without a person": total - named}

    def lost_addresses(self, most: int) -> pd.DataFrame:
        """Return addresses that lie nowhere, the most frequent first, with their rows."""
        found: pd.DataFrame = self.connection.sql(
            f"SELECT CAST(f.address AS VARCHAR) AS address, count(*) AS rows FROM {self.origin} "
            f"WHERE {self._place()} = {LOST} AND {self._named()} "
            f"GROUP BY f.address ORDER BY rows DESC, f.address LIMIT {most}"
        ).df()
        return found

    def refuse_unreadable(self) -> None:
        """Raise if a date is neither missing nor a date, naming the person.

        Raises
        ------
        DataError
        """
        for field in _DATES:
            kind = self.types[field]
            column = f"f.{quote(field)}"
            given = column if _is_date(kind) else _text(column, kind)
            wrong = f"{given} IS NOT NULL AND {date_of(column, kind)} IS NULL"
            count = _first_row(self.connection, f"SELECT count(*) FROM fields AS f WHERE {wrong}")[
                0
            ]
            if count:
                person, value = _first_row(
                    self.connection,
                    f"SELECT f.person, {column} FROM fields AS f WHERE {wrong} "
                    f"ORDER BY f.person, {column} LIMIT 1",
                )
                raise DataError(
                    f"{count:,} dates of the field '{field}' cannot be read (the first, of person "
                    f"{person}: {value}); write dates as 2015-03-01, 20150301 or 201503, in the "
                    f"years {_FIRST_YEAR} to {_LAST_YEAR}, and leave unknown ones empty."
                )


def open_histories(
    stack: ExitStack, sources: Sources, geocoder: Geocoder, *, memory: str
) -> HistoryQuery:
    """Find columns and places, and check what cannot be checked row by row.

    Parameters
    ----------
    stack
        Closes the database.
    sources, geocoder
    memory
        What DuckDB may keep before it writes to a folder, such as ``"2GB"``.

    Raises
    ------
    DataError
        If a column is missing, a date cannot be read, or an address is placed twice.
    SpecificationError
        If nothing says where addresses lie.
    """
    connection = _connect(stack, memory)
    geocodes = {"area": sources.area, "zip": sources.zip if len(geocoder.zips) else None}
    named = {field: column for field, column in geocodes.items() if column is not None}
    if not named:
        raise SpecificationError(
            "nothing says where addresses lie; name the column with their area, or the one with "
            "their ZIP code and build the geocoder from a crosswalk."
        )
    separate = sources.addresses is not None
    layout = sources.layout
    columns = [*layout.columns(), *([] if separate else named.values())]
    histories = _open(connection, sources.histories, "histories", columns)
    _create_fields(connection, histories, layout, {} if separate else named)
    origin, holder = "fields AS f", "f"
    if separate:
        found = _open(connection, sources.addresses, "addresses", ["address", *named.values()])
        placed = [f"{quote(column)} AS {field}" for field, column in named.items()]
        found.project(", ".join(["address", *placed])).create_view("geocodes")
        _refuse_twice(connection)
        # As text, so that identifiers read as numbers in one table only find each other too.
        alike = "f.address = g.address"
        if _types(connection, "fields")["address"] != _types(connection, "geocodes")["address"]:
            alike = "CAST(f.address AS VARCHAR) = CAST(g.address AS VARCHAR)"
        origin, holder = f"fields AS f LEFT JOIN geocodes AS g ON {alike}", "g"
    origin += _join_places(connection, geocoder, {name: f"{holder}.{name}" for name in named})
    query = HistoryQuery(connection, origin, _types(connection, "fields"), sources.boxes)
    query.refuse_unreadable()
    return query


def _connect(stack: ExitStack, memory: str) -> Any:
    import duckdb
    from numba import get_num_threads

    try:
        return connect(
            stack, memory_limit=memory, preserve_insertion_order=False, threads=get_num_threads()
        )
    except duckdb.Error:
        raise SpecificationError(
            f"{memory!r} is no size of memory; write it as '2GB' or '500MB'."
        ) from None


def _open(connection: Any, source: Any, name: str, columns: list[str]) -> Any:
    """Open a table and keep the columns; another connection's is copied, to spill if large."""
    import duckdb
    import pyarrow as pa

    what = f"the table of {name}"
    foreign = isinstance(source, duckdb.DuckDBPyRelation)
    relation = source if foreign else open_relation(connection, source, what=what)
    require_columns(pd.DataFrame(columns=relation.columns), columns, what=what)
    relation = relation.project(", ".join(map(quote, dict.fromkeys(columns))))
    if not foreign:
        return relation
    connection.register("foreign_rows", pa.RecordBatchReader.from_stream(relation))
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM foreign_rows")
    connection.unregister("foreign_rows")
    return connection.table(name)


def _create_fields(
    connection: Any, histories: Any, layout: LongLayout | WideLayout, extra: dict[str, str]
) -> None:
    """Create the view of the fields; blank text is no address."""
    import duckdb

    try:
        named = histories.project(layout.select(extra))
    except duckdb.Error as problem:
        reason = str(problem).splitlines()[0]
        raise DataError(
            f"the numbered columns of the histories do not go together ({reason}); give those of "
            "a field one type."
        ) from None
    named.create_view("named")
    text = _types(connection, "named")["address"] == "VARCHAR"
    address = "nullif(trim(address), '')" if text else "address"
    connection.sql(
        f"SELECT * REPLACE ({address} AS address) FROM named WHERE {layout.kept()}"
    ).create_view("fields")


def _join_places(connection: Any, geocoder: Geocoder, labels: dict[str, str]) -> str:
    """Register the rows of G by label, and return the joins that find them."""
    joins = ""
    areas = geocoder.areas
    for name, known, first in (("area", areas.labels, 0), ("zip", geocoder.zips, areas.size)):
        places = np.arange(first, first + len(known), dtype=np.int32)
        frame = pd.DataFrame({"label": known.astype(str), "place": places})
        connection.register("place_rows", frame)
        connection.execute(
            f"CREATE TABLE {name}_places AS "
            "SELECT CAST(label AS VARCHAR) AS label, place FROM place_rows"
        )
        connection.unregister("place_rows")
        label = f"CAST({labels[name]} AS VARCHAR)" if name in labels else "NULL"
        joins += f" LEFT JOIN {name}_places ON {label} = {name}_places.label"
    return joins


def _refuse_twice(connection: Any) -> None:
    found = _first_row(
        connection,
        "SELECT address, count(*) FROM geocodes WHERE address IS NOT NULL "
        "GROUP BY address HAVING count(*) > 1 ORDER BY address LIMIT 1",
    )
    if found:
        raise DataError(
            f"address {found[0]} stands in {found[1]:,} rows of the table of addresses; give each "
            "address one row, or its moves would count several times."
        )


def _types(connection: Any, view: str) -> dict[str, str]:
    """Return the types of the columns of a view, in DuckDB's words."""
    found = connection.table(view)
    return dict(zip(found.columns, map(str, found.types), strict=True))


def _first_row(connection: Any, query: str) -> tuple[Any, ...]:
    """Return the first row of a query, empty if there is none."""
    rows: list[tuple[Any, ...]] = connection.sql(query).fetchall()
    return rows[0] if rows else ()


def _is_date(kind: str) -> bool:
    return kind == "DATE" or kind.startswith("TIMESTAMP")


def _text(column: str, kind: str) -> str:
    """Return the expression of a date that is text or a number, as text or NULL."""
    if kind in _FLOATS:
        # 201503.0 is a whole number that stands beside missing ones.
        whole = f"CAST(TRY_CAST({column} AS BIGINT) AS VARCHAR)"
        text = f"CASE WHEN {column} = floor({column}) THEN {whole} ELSE 'no number of a date' END"
        return f"CASE WHEN NOT isnan({column}) THEN {text} END"
    return f"nullif(trim(CAST({column} AS VARCHAR)), '')"


def date_of(column: str, kind: str) -> str:
    """Return the expression of a column as a plausible DATE, NULL where it cannot be read."""
    if _is_date(kind):
        date = f"CAST({column} AS DATE)"
    else:
        text = _text(column, kind)
        # Digits are counted here, as the parser would read 12346 as June 1234.
        pattern = "'[0-9]{8}|[0-9]{6}|[0-9]{4}-[0-9]{2}'"
        digits = f"CASE WHEN regexp_full_match({text}, {pattern}) THEN {text} END"
        parsed = f"CAST(try_strptime({digits}, ['%Y%m%d', '%Y%m', '%Y-%m']) AS DATE)"
        date = f"coalesce({parsed}, TRY_CAST({text} AS DATE))"
    # What stands for "unknown" or "still there", 9999-12-31 say, would last for ages.
    first, last = f"DATE '{_FIRST_YEAR}-01-01'", f"DATE '{_LAST_YEAR}-12-31'"
    return f"CASE WHEN {date} BETWEEN {first} AND {last} THEN {date} END"


def _deceased(kind: str) -> str:
    """Return the truth of a column that marks the deceased."""
    if kind == "BOOLEAN":
        return "coalesce(f.deceased, false)"
    if kind in _FLOATS:
        return "coalesce(f.deceased <> 0 AND NOT isnan(f.deceased), false)"
    if kind in _NUMBERS:
        return "coalesce(f.deceased <> 0, false)"
    return f"coalesce(lower(trim(CAST(f.deceased AS VARCHAR))) NOT IN {_ALIVE}, false)"
