"""How exposed each occupation group is to AI: the shipped table, or the user's own."""

from pathlib import Path
from typing import Any

import pandas as pd

from choicemodels.datasets import load_data
from choicemodels.errors import DataError
from choicemodels.frames import require_columns

__all__ = ["load_exposure"]

_COLUMNS = ["soc", "title", "exposure", "low", "high", "source"]
_FIGURES = ["exposure", "low", "high"]
_REMEDIES = {
    "soc": "write a SOC code as '13-0000' (major group) or '13-2051' (detailed occupation), "
    "of one of the 22 civilian major groups, each code once",
    "exposure": "give a share between 0 and 1 (67 % is 0.67), or leave the row out",
    "low": "give a share between 0 and 1 that is not above the exposure",
    "high": "give a share between 0 and 1 that is not below the exposure",
    "employment": "give the number of jobs, more than 0, on every row, or drop the column",
}


def load_exposure(path: str | Path | None = None, *, fill: bool = True) -> pd.DataFrame:
    """Load the share of each occupation group's work that AI could take over.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file with the columns ``soc`` and ``exposure`` (a share, 0 to 1), and optionally
        ``low`` and ``high`` (a range about it), ``employment`` (weights) and ``source``. Without
        it, the shipped table is loaded.
    fill
        Whether groups that the file leaves out are filled from the shipped table; they are left
        out otherwise.

    Returns
    -------
    DataFrame
        One row for each of the 22 civilian SOC major groups (or those in the file), in the order of
        their codes, with the columns ``soc``, ``title``, ``exposure``, ``low``, ``high`` and
        ``source``.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column or has a value that cannot be used; the
        message names the file, row, column and value.

    Notes
    -----
    Detailed occupations are averaged to their major group, by ``employment`` where it is given
    and equally otherwise; where the file gives the major group itself, that row is taken
    instead. A group that the file leaves out is filled from the shipped table. ``source`` says
    which of these happened.
    """
    shipped = load_data("ai_exposure")
    shipped = shipped[shipped["soc"].str.endswith("-0000")].set_index("soc")
    if path is None:
        return shipped.reset_index()[_COLUMNS]
    given = _validate(_read(Path(path)), Path(path), list(shipped.index))
    groups = pd.DataFrame(
        [_group(rows) for _, rows in given.groupby(given["soc"].str[:2])]
    ).set_index("soc")
    groups["title"] = shipped["title"]
    if not fill:
        return groups.sort_index().reset_index()[_COLUMNS]
    filled = shipped.drop(index=groups.index)
    filled["source"] = "filled from the shipped table: " + filled["source"]
    return pd.concat([groups, filled]).sort_index().reset_index()[_COLUMNS]


def _read(path: Path) -> pd.DataFrame:
    """Read the file as text, so that a message can quote the value that stands in it."""
    try:
        # Blank lines are dropped below, once the others have their line numbers.
        table = pd.read_csv(
            path, dtype=str, skipinitialspace=True, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path.") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty; it needs a header and rows.") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise DataError(
            f"{path}: the file cannot be read as CSV ({str(error).strip()}); "
            "save it as comma-separated UTF-8 text."
        ) from None
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(
            f"{path}: the rows have more fields than the header; "
            "write decimals with a point, and quote a text that holds a comma."
        )
    table.columns = table.columns.str.strip()
    require_columns(table, ["soc", "exposure"], what=str(path))
    table = table.dropna(how="all").assign(soc=lambda rows: rows["soc"].str.strip())
    if table.empty:
        raise DataError(f"{path}: there is a header but no rows; add a row for each occupation.")
    return table


def _validate(table: pd.DataFrame, path: Path, known: list[str]) -> pd.DataFrame:
    """Check every value against the schema, and give the numbers as floats."""
    # pandera takes a second to import, which only a user's own file should cost.
    import pandera.pandas as pa

    prefixes = "|".join(code[:2] for code in known)
    share = pa.Check.in_range(0, 1)
    positive = [pa.Check.gt(0), pa.Check.lt(float("inf"))]
    columns: dict[str, Any] = {
        "soc": pa.Column(str, pa.Check.str_matches(rf"^(?:{prefixes})-\d{{4}}$"), unique=True),
        "exposure": pa.Column(float, share, coerce=True),
        "low": pa.Column(float, share, coerce=True, required=False),
        "high": pa.Column(float, share, coerce=True, required=False),
        "employment": pa.Column(float, positive, coerce=True, required=False),
    }
    try:
        valid: pd.DataFrame = pa.DataFrameSchema(columns).validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases.dropna(subset=["index"]).sort_values("index", kind="stable")
        raise DataError(_sentence(table, path, *cases[["index", "column"]].iloc[0])) from None
    for column, wrong in _range_errors(valid):
        if wrong.any():
            raise DataError(_sentence(table, path, wrong.idxmax(), column))
    return valid


def _range_errors(table: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """Find where a range does not hold its own figure."""
    errors = []
    if "low" in table:
        errors.append(("low", table["low"] > table["exposure"]))
    if "high" in table:
        errors.append(("high", table["high"] < table["exposure"]))
    return errors


def _sentence(table: pd.DataFrame, path: Path, row: Any, column: str) -> str:
    """Name the file, line, column and value, and what to do."""
    value = table[column].loc[row]
    shown = "empty" if pd.isna(value) else f"'{value}'"
    repeated = column == "soc" and (table["soc"] == value).sum() > 1
    why = ", which stands on another line too" if repeated else ""
    # The header is line 1, so the row labelled 0 is line 2 of the file.
    return f"{path}, line {row + 2}, column '{column}': {shown}{why}; {_REMEDIES[column]}."


def _group(rows: pd.DataFrame) -> dict[str, object]:
    """Bring one major group's rows to one."""
    soc = f"{rows['soc'].iloc[0][:2]}-0000"
    own = rows[rows["soc"] == soc]
    used = rows if own.empty else own
    weight = used["employment"] if "employment" in used else pd.Series(1.0, index=used.index)
    figures = {
        column: float((used[column if column in used else "exposure"] * weight).sum())
        / float(weight.sum())
        for column in _FIGURES
    }
    return {"soc": soc, **figures, "source": _source(used, len(rows) - len(used))}


def _source(used: pd.DataFrame, unused: int) -> str:
    """Say where a group's figure comes from, in the user's words where there are any."""
    words = list(used["source"].dropna().unique()) if "source" in used else []
    source = "; ".join(words) or "user's table"
    if len(used) > 1:
        how = "weighted by employment" if "employment" in used else "unweighted"
        source += f" (mean of {len(used)} occupations, {how})"
    if unused:
        source += f" ({unused} detailed rows not used: the major group is given)"
    return source
