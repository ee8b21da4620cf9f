"""Flows out of microdata or cells of any size: DuckDB adds up, only the result is loaded."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pandas as pd

from choicemodels.errors import DataError, enumerate_some
from choicemodels.frames import require_columns
from choicemodels.relations import connect, open_relation, quote

__all__ = ["add_up_cells"]


def add_up_cells(
    source: Any,
    keys: Sequence[str],
    flow: str | None,
    name: str,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Add up cells by place of origin, of destination (and period), in one pass.

    Parameters
    ----------
    source
        A DuckDB relation, the path of a Parquet or CSV file or a list of such paths (with
        ``*`` for many), or a table.
    keys
        Columns by which to add up.
    flow
        Column to add up; None counts rows.
    name
        What to call the sum.

    Returns
    -------
    DataFrame
        Sorted by the keys.
    dict
        How many rows were read, and how many were dropped for which reason.

    Raises
    ------
    DataError
        If a file or column is missing, two columns would have one name, the flow is no number
        or negative, or no row is left.
    """
    import duckdb

    if len({*keys, name}) <= len(keys):
        raise DataError(
            f"origin, destination, time and the name of the sums must differ; got "
            f"{', '.join([*keys, name])}."
        )
    what = "the table of cells"
    with ExitStack() as stack:
        relation = source
        if not isinstance(source, duckdb.DuckDBPyRelation):
            relation = open_relation(connect(stack), source, what=what)
        require_columns(pd.DataFrame(columns=relation.columns), [*keys, *filter(None, [flow])],
                        what=what)  # fmt: skip
        quoted = ", ".join(map(quote, keys))
        value = "1.0" if flow is None else f"CAST({quote(flow)} AS DOUBLE)"
        finite = f"{value} IS NOT NULL AND isfinite({value})"
        sums = (
            f"{quoted}, sum({value}) FILTER ({finite}) AS {quote(name)}, "
            f"count(*) AS __rows, count(*) FILTER ({finite}) AS __finite, "
            f"count(*) FILTER ({finite} AND {value} < 0) AS __negative"
        )
        try:
            found = relation.aggregate(sums, quoted).df()
        except (duckdb.ConversionException, duckdb.BinderException) as problem:
            reason = str(problem).splitlines()[0]
            raise DataError(f"column '{flow}' of {what} cannot be added up: {reason}.") from None
    return _checked(found, list(keys), flow, name)


def _checked(
    found: pd.DataFrame, keys: list[str], flow: str | None, name: str
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Refuse negative flows, count what cannot be used, and keep the rest."""
    negative = found[found["__negative"] > 0]
    if len(negative):
        where = " → ".join(str(negative[key].iloc[0]) for key in keys)
        raise DataError(
            f"column '{flow}' is negative in {int(negative['__negative'].sum()):,} cells (such as "
            f"one of {where}); flows count moves and cannot be below zero."
        )
    homeless = found[keys].isna().any(axis=1)
    record = {"cells read": int(found["__rows"].sum())}
    lost = {
        "cells dropped: no place or period": int(found.loc[homeless, "__rows"].sum()),
        f"cells dropped: no finite '{flow}'": int(
            (found["__rows"] - found["__finite"])[~homeless].sum()
        ),
    }
    record |= {reason: count for reason, count in lost.items() if count}
    kept = found.loc[~homeless & (found["__finite"] > 0), [*keys, name]]
    if len(kept) == 0:
        raise DataError(
            f"none of the {record['cells read']:,} cells has places and a flow; look at the "
            f"columns {enumerate_some([*keys, *filter(None, [flow])])}."
        )
    return kept.sort_values(keys, ignore_index=True), dict(record)
