"""The printed page of one result: facts, coefficients, notes. Data first, text second."""

from dataclasses import dataclass
from html import escape

import pandas as pd

__all__ = ["Summary", "coefficient_table", "format_table"]


@dataclass(frozen=True)
class Summary:
    """What ``print(result.summary())`` shows.

    Attributes
    ----------
    title : str
    facts : tuple of (str, str)
        Labels and values, laid out in two columns.
    coefficients : DataFrame
        One row a parameter: coef, std err, z, P>|z|, [0.025, 0.975].
    notes : tuple of str
        Footnotes.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    coefficients: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        some = len(self.coefficients) > 0
        body = format_table(self.coefficients).to_string().split("\n") if some else []
        pairs = _two_columns(self.facts)
        width = max(len(line) for line in [*body, *pairs, self.title])
        rule = "=" * width
        table = [body[0], "-" * width, *body[1:], rule] if some else []
        return "\n".join(
            [self.title.center(width).rstrip(), rule, *pairs, rule, *table, *self.notes]
        )

    def _repr_html_(self) -> str:
        facts = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th><td>{escape(value)}</td></tr>"
            for label, value in self.facts
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        table = format_table(self.coefficients).to_html(border=0)
        return f"<h4>{escape(self.title)}</h4><table>{facts}</table>{table}{notes}"


def coefficient_table(
    params: "pd.Series[float]",
    bse: "pd.Series[float]",
    tvalues: "pd.Series[float]",
    pvalues: "pd.Series[float]",
    limits: pd.DataFrame,
) -> pd.DataFrame:
    """Lay the columns of a coefficient table side by side under statsmodels' headings."""
    table = pd.DataFrame({"coef": params, "std err": bse, "z": tvalues, "P>|z|": pvalues})
    table["[0.025"] = limits["lower"]
    table["0.975]"] = limits["upper"]
    return table


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """Round each column as readers expect it: five digits, p-values to three decimals."""
    shown = pd.DataFrame(index=table.index)
    for column in table.columns:
        digits = 3 if column == "P>|z|" else 2 if column == "z" else None
        shown[column] = [
            f"{value:.{digits}f}" if digits is not None else _five_digits(value)
            for value in table[column]
        ]
    return shown


def _five_digits(value: float) -> str:
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return f"{value:.5f}" if abs(value) < 10 else f"{value:.3f}"
    return f"{value:.4e}"


def _two_columns(facts: tuple[tuple[str, str], ...]) -> list[str]:
    cells = [f"{label}: {value}" for label, value in facts]
    half = (len(cells) + 1) // 2
    left, right = cells[:half], [*cells[half:], ""][:half]
    width = max((len(cell) for cell in left), default=0) + 4
    return [f"{a:<{width}}{b}".rstrip() for a, b in zip(left, right, strict=True)]
