"""Numbers as tables show them."""

from typing import SupportsFloat

import numpy as np
import pandas as pd

__all__ = ["rounded", "with_errors"]


def rounded(value: object) -> str:
    """Return four digits of a number, whole ones from a thousand on; text as it is, NaN as none."""
    if isinstance(value, str) or not isinstance(value, SupportsFloat):
        return str(value)
    number = float(value)
    if np.isnan(number):
        return ""
    whole = abs(number) >= 1000 or number.is_integer()
    return f"{number:,.0f}" if whole else f"{number:.4g}"


def with_errors(table: pd.DataFrame, suffix: str) -> pd.DataFrame:
    """Return a table of numbers as text, with errors in parentheses behind their values.

    The error has two digits, and its value as many decimals.

    Parameters
    ----------
    table
        Columns of values, and of their standard errors under the same name and ``suffix``; a
        column of text stays as it is.
    suffix
        Such as " s.e.".
    """
    shown = {}
    for name in table.columns:
        if str(name).endswith(suffix):
            continue
        errors = table.get(f"{name}{suffix}")
        if errors is None:
            shown[name] = table[name].map(rounded)
        else:
            pairs = zip(table[name], errors, strict=True)
            shown[name] = pd.Series([_pair(v, e) for v, e in pairs], index=table.index)
    return pd.DataFrame(shown, index=table.index)


def _pair(value: float, error: float) -> str:
    if not error > 0:
        return rounded(value) + (" (0)" if error == 0 else "")
    decimals = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:,.{decimals}f} ({error:,.{decimals}f})"
