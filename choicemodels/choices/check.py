"""What can be wrong with choice data, found before anything is estimated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import enumerate_some

__all__ = ["CheckReport", "Problem", "check_columns", "check_rows"]

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Problem:
    """One kind of trouble.

    Attributes
    ----------
    check : str
        What was looked for.
    severity : {"error", "note"}
        An error stops estimation; a note may be meant.
    count : int
        Cases, rows or columns concerned.
    where : str
        The first of them.
    remedy : str
        What to do.
    """

    check: str
    severity: Literal["error", "note"]
    count: int
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.check}: {self.where} ({self.count:,} in all); {self.remedy}."


@dataclass(frozen=True)
class CheckReport:
    """The list of problems of choice data; empty when there is none.

    Attributes
    ----------
    problems : tuple of Problem
    """

    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing stands in the way of estimation."""
        return all(problem.severity != "error" for problem in self.problems)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each problem."""
        columns = ["check", "severity", "count", "where", "remedy"]
        return pd.DataFrame([vars(problem) for problem in self.problems], columns=columns)

    def __str__(self) -> str:
        if not self.problems:
            return "no problems found"
        return "\n".join(f"[{problem.severity}] {problem}" for problem in self.problems)


def check_rows(
    cases: NDArray[Any],
    names: Sequence[str],
    case_codes: Ints,
    codes: Ints,
    chosen: Flags | None,
    available: Flags | None,
) -> tuple[Problem, ...]:
    """Check the choices of each case.

    Parameters
    ----------
    cases : array of shape (R,)
        Label of the case of every row, for the messages.
    names : sequence of str
        Names of the alternatives.
    case_codes, codes : arrays of int64, shape (R,)
        The same as numbers; rows of a case stand together.
    chosen, available : arrays of bool, shape (R,), or None

    Returns
    -------
    tuple of Problem
        Duplicate rows, no choice, several choices, a choice that was not available.
    """
    problems = []
    repeated = _repeated(case_codes, codes)
    if len(repeated):
        shown = [f"case {cases[r]}, alternative {names[codes[r]]}" for r in repeated[:5]]
        problems.append(_problem("duplicate rows", shown, len(repeated), "keep one of them"))
    if chosen is None:
        return tuple(problems)
    count = np.bincount(case_codes[chosen], minlength=int(case_codes[-1]) + 1)
    first_row = np.flatnonzero(np.diff(case_codes, prepend=-1))
    for check, at_fault, remedy in (
        ("no alternative chosen", count == 0, "drop the case or mark its choice"),
        ("several alternatives chosen", count > 1, "keep one choice a case"),
    ):
        bad = np.flatnonzero(at_fault)
        if len(bad):
            shown = [f"case {cases[first_row[n]]}" for n in bad[:5]]
            problems.append(_problem(check, shown, len(bad), remedy))
    if available is not None:
        bad = np.flatnonzero(chosen & ~available)
        if len(bad):
            shown = [f"case {cases[r]}, alternative {names[codes[r]]}" for r in bad[:5]]
            remedy = "correct the availability or drop the case"
            problems.append(_problem("chosen but unavailable", shown, len(bad), remedy))
    return tuple(problems)


def _repeated(case_codes: Ints, codes: Ints) -> Ints:
    """Return the rows that repeat a (case, alternative) seen before."""
    pair = case_codes * (int(codes.max()) + 1) + codes
    if (np.diff(pair) > 0).all():  # alternatives in one order in every case: the usual layout
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(pd.Series(pair).duplicated())


def check_columns(table: pd.DataFrame, offsets: Ints, skip: set[str]) -> tuple[Problem, ...]:
    """Note columns with non-finite values and columns constant within every case."""
    notes = []
    sizes = np.diff(offsets)
    for name in (c for c in table.columns if c not in skip):
        column = table[name]
        missing = column.isna().to_numpy()
        if pd.api.types.is_float_dtype(column):
            missing = ~np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan))
        rows = np.flatnonzero(missing)
        if len(rows):
            notes.append(
                Problem("non-finite values", "note", len(rows),
                        f"column '{name}', rows {enumerate_some(rows.tolist())}",
                        "a formula that uses the column will be refused: drop or fill these rows")
            )  # fmt: skip
        try:
            codes = pd.factorize(column)[0]
        except TypeError:
            remedy = "no formula can use it: make it a number or text, or drop the column"
            what = f"column '{name}' holds values such as {column.iloc[0]!r}"
            notes.append(Problem("neither numbers nor text", "note", 1, what, remedy))
            continue
        if (codes == np.repeat(codes[offsets[:-1]], sizes)).all():
            notes.append(
                Problem("constant within every case", "note", 1, f"column '{name}'",
                        "it can only enter with coefficients that differ between alternatives: "
                        "the second part of the formula, specific=, or an interaction")
            )  # fmt: skip
    single = int((sizes == 1).sum())
    if single:
        notes.append(
            Problem("only one alternative", "note", single, "cases with a choice set of one",
                    "they add nothing to the likelihood")
        )  # fmt: skip
    return tuple(notes)


def _problem(check: str, shown: Sequence[str], count: int, remedy: str) -> Problem:
    return Problem(check, "error", count, enumerate_some(list(shown)), remedy)
