"""Tables for publication, through maketables: data first, then every format."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from choicemodels.errors import SpecificationError
from choicemodels.frames import closest
from estimation.results import Result

__all__ = ["Table", "frame_table", "table"]

_SIGNIFICANCE = "* p < 0.1, ** p < 0.05, *** p < 0.01. Standard errors in parentheses."
_LABELS = {"(Intercept)": "Constant"}
_TEX_SPECIAL = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)
_TEX_NEEDS = "% needs the packages booktabs, makecell, tabularx and threeparttable\n"


class _Column:
    """A result as maketables sees it.

    maketables takes anything with ``params`` and ``bse`` for a statsmodels result and then
    ignores the plug-in attributes; this view shows it those alone.
    """

    def __init__(self, result: Result) -> None:
        self._result = result

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__maketables_"):
            return getattr(self._result, name)
        raise AttributeError(name)


@dataclass(frozen=True, eq=False)
class Table:
    """A table that knows its formats.

    Attributes
    ----------
    data : DataFrame
        The table as shown; of a regression table one row a coefficient or statistic, one
        column a model.
    source : maketables.MTable
        For what maketables offers beyond :meth:`save`.
    note : str
        What stands below the table.
    latex_source : maketables.MTable
        The same with what is special to LaTeX escaped.
    """

    data: pd.DataFrame
    source: Any
    note: str
    latex_source: Any

    def __str__(self) -> str:
        rows = _split_cells(self.data)
        widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.ljust(width) if c == 0 else cell.center(width)
                for c, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:], rule, self.note])

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_markdown(self) -> str:
        """Return the table in Markdown."""
        head, *rows = _split_cells(self.data)
        ruler = [":---", *[":---:"] * (len(head) - 1)]
        body = [head, ruler, *rows]
        lines = [
            "| " + " | ".join(cell.replace("*", r"\*").replace("|", r"\|") for cell in row) + " |"
            for row in body
        ]
        return "\n".join([*lines, "", self.note.replace("*", r"\*"), ""])

    def to_latex(self) -> str:
        """Return a LaTeX fragment."""
        return _TEX_NEEDS + str(self.latex_source.make(type="tex"))

    def to_html(self) -> str:
        """Return an HTML fragment with its own style."""
        html = str(self.source.make(type="gt").as_raw_html())
        # great-tables draws a random name for the fragment: name it by its content instead.
        drawn = re.match(r'\s*<div id="(\w+)"', html)
        name = f"t{zlib.crc32(self.data.to_csv().encode()):08x}"
        return html.replace(drawn[1], name) if drawn else html

    def to_typst(self) -> str:
        """Return a Typst fragment."""
        return str(self.source.make(type="typst"))

    def save(self, path: str | Path) -> Path:
        """Write the table in the format of the suffix: .md .tex .html .docx .typ .txt .csv.

        Raises
        ------
        SpecificationError
            If the suffix is unknown or the folder does not exist.
        """
        path = Path(path)
        writers: Mapping[str, Callable[[], str]] = {
            ".md": self.to_markdown,
            ".tex": self.to_latex,
            ".html": self.to_html,
            ".typ": self.to_typst,
            ".txt": lambda: f"{self}\n",
            ".csv": lambda: self.data.to_csv(),
        }
        if path.suffix not in {*writers, ".docx"}:
            raise SpecificationError(
                f"cannot write '{path.name}': the suffix '{path.suffix}' is not one of "
                f"{', '.join(writers)}, .docx."
            )
        if not path.parent.is_dir():
            raise SpecificationError(f"the folder '{path.parent}' does not exist; make it first.")
        if path.suffix == ".docx":
            self.source.save(type="docx", file_name=str(path.resolve()), show=False, replace=True)
        else:
            path.write_text(writers[path.suffix](), encoding="utf-8")
        return path


def frame_table(frame: pd.DataFrame, *, note: str = "", caption: str | None = None) -> Table:
    """Make a table of a labelled frame whose cells are already text.

    Parameters
    ----------
    frame
        Rows and columns as they shall appear.
    note
        What to say below.
    caption
        Title of the table.
    """
    from maketables import MTable

    text = frame.astype(str)
    source = MTable(text, notes=note, caption=caption)
    return Table(text, source, note, _latex_source(source))


def _latex_source(source: Any) -> Any:
    """Return a table of maketables with what is special to LaTeX escaped."""
    from maketables import MTable

    plain = source.df.map(lambda cell: _latex(cell) if isinstance(cell, str) else cell)
    return MTable(
        plain.rename(index=_latex, columns=_latex),
        notes=_latex(source.notes),
        caption=None if source.caption is None else _latex(source.caption),
        rgroup_display=source.rgroup_display,
    )


def _latex(text: object) -> str:
    """Return text with what is special to LaTeX escaped."""
    return str(text).translate(_TEX_SPECIAL)


def table(
    *results: Any,
    labels: Mapping[str, str] | None = None,
    stats: Sequence[str] | None = None,
    heads: Sequence[str] | None = None,
    digits: int = 3,
    caption: str | None = None,
) -> Table:
    """Lay results side by side as economists publish them.

    Parameters
    ----------
    *results
        Results of :func:`~estimation.fit`; results of statsmodels, pyfixest and linearmodels
        may stand beside them.
    labels
        Parameter name to what the table shall call it.
    stats
        Keys of the statistics at the foot, such as ``"N"``, ``"ll"``, ``"pseudo_r2"``; each
        result's own by default. The kind of standard error is always among them.
    heads
        One heading for each result.
    digits
        Decimals of the coefficients.
    caption
        Title of the table.

    Raises
    ------
    SpecificationError
        If there is no result, an object is none, or the headings do not match in number.
    """
    from maketables import ETable
    from maketables.extractors import get_extractor

    if not results:
        raise SpecificationError("table() needs at least one result.")
    if heads is not None and len(heads) != len(results):
        raise SpecificationError(f"{len(heads)} headings were given for {len(results)} results.")
    columns = [_Column(r) if isinstance(r, Result) else r for r in results]
    keys: list[str] = []
    for column in columns:
        try:
            keys += get_extractor(column).default_stat_keys(column) or ["N"]
        except TypeError:
            raise SpecificationError(
                f"table() was given a {type(column).__name__}, which is no estimation result."
            ) from None
    known = {key for r in results if isinstance(r, Result) for key in r.statistics}
    for key in stats or ():
        if known and key not in known:
            raise SpecificationError(
                f"no statistic is called '{key}'{closest(key, known)}; there are "
                f"{', '.join(sorted(known))}."
            )
    chosen = list(dict.fromkeys([*(stats if stats is not None else keys), "se_type"]))
    etable = ETable(
        columns,
        model_stats=chosen,
        model_stats_labels=_stat_labels(results),
        labels={**_LABELS, **(labels or {})},
        model_heads=list(heads) if heads is not None else None,
        coef_fmt=f"b:.{digits}f* \n (se:.{digits}f)",
        notes=_SIGNIFICANCE,
        caption=caption,
    )
    return Table(etable.df, etable, _SIGNIFICANCE, _latex_source(etable))


def _stat_labels(results: Sequence[Any]) -> dict[str, str]:
    labels = {"se_type": "Standard errors"}
    for result in results:
        if isinstance(result, Result):
            labels |= getattr(result, "__maketables_stat_labels__", {})
    return labels


def _split_cells(data: pd.DataFrame) -> list[list[str]]:
    """Return header and rows of text; a cell with its standard error below takes two rows."""
    header = ["", *(" ".join(dict.fromkeys(map(str, _levels(c)))) for c in data.columns)]
    rows = [header]
    for key, *cells in data.itertuples():
        label = str(_levels(key)[-1])
        parts = [[piece.strip() for piece in str(cell).split("\n")] for cell in cells]
        for line in range(max(map(len, parts))):
            rows.append(
                [label if line == 0 else "", *(p[line] if line < len(p) else "" for p in parts)]
            )
    return rows


def _levels(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)
