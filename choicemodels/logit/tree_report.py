"""The nests of a model over data: how often each was offered and chosen, and what is amiss."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import enumerate_some
from choicemodels.logit.tree import NestTree, build_tree

if TYPE_CHECKING:
    from choicemodels.choices.choicedata import ChoiceData
    from choicemodels.choices.factored import FactoredChoiceData
    from choicemodels.logit.models import NestedLogit

__all__ = ["TreeReport", "report_tree"]

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

# A page, and alternatives of a nest that are printed on it: as many as the page has room for. The
# others are summed up in one line.
_LINES = 60
_MOST = (10, 4, 0)


@dataclass(frozen=True)
class TreeReport:
    """A tree with its counts, as Stata's ``nlogittree`` shows it.

    Attributes
    ----------
    table : DataFrame
        One row for each nest and alternative, those inside a nest below it: ``node``, ``level``
        (1 at the top), ``kind``, ``parent`` (empty at the top), ``offered`` (cases that offer it,
        of a nest any member), ``chosen``, and what becomes of its ``lambda``.
    cases : int
    problems : tuple of str
        What keeps parameters from being estimated, or may not be meant.
    """

    table: pd.DataFrame
    cases: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        rows = [("", "N", "k", "lambda"), *_shown(self.table)]
        chosen = self.table.loc[self.table["level"] == 1, "chosen"].sum()
        rows.append(("cases", f"{self.cases:,}", f"{chosen:,}", ""))
        widths = [max(len(row[c]) for row in rows) for c in range(4)]
        lines = [
            f"{name:<{widths[0]}}  {N:>{widths[1]}}  {k:>{widths[2]}}  {text}".rstrip()
            for name, N, k, text in rows
        ]
        rule = "-" * max(map(len, lines))
        notes = ["N: cases that offer it. k: cases that chose it."]
        notes += [f"- {problem}" for problem in self.problems]
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *notes])


def report_tree(model: "NestedLogit", data: "ChoiceData | FactoredChoiceData") -> TreeReport:
    """Count how often each nest and alternative was offered and chosen.

    Parameters
    ----------
    model
        The specification; its formula is not looked at.
    data
        Choices, known or not.

    Raises
    ------
    SpecificationError
        If the nests do not fit the alternatives of the data.
    """
    # Imported here, because it compiles.
    from choicemodels.logit.likelihood import never_compared

    tree = build_tree(model.nests, data.alternatives)
    sets, group = data.choice_sets()
    offered = _with_nests(tree, sets)
    faced = np.bincount(group, minlength=len(sets))
    chosen = _chosen_nodes(tree, data.chosen_alternative)
    rum = model.normalization == "rum"
    alone = never_compared(tree, data) if rum else frozenset()
    table = _table(tree, faced @ offered, chosen, _lambdas(model, tree, alone))
    problems = (
        *_nest_problems(tree, table, alone),
        *_alternative_problems(table),
        *_case_problems(tree, sets, group, data.chosen_alternative),
    )
    return TreeReport(table, data.n_cases, problems)


def _with_nests(tree: NestTree, sets: Flags) -> Flags:
    """Return which alternatives and nests each choice set offers, shape (G, J + M)."""
    J = len(tree.alternatives)
    offered = np.zeros((len(sets), len(tree.parent) + 1), dtype=bool)
    offered[:, :J] = sets
    for node, parent in enumerate(tree.parent):
        offered[:, J + parent] |= offered[:, node]
    return offered[:, :-1]


def _chosen_nodes(tree: NestTree, chosen: Ints) -> Ints:
    """Count how often each alternative and nest was chosen, shape (J + M,)."""
    J = len(tree.alternatives)
    counts = np.zeros(len(tree.parent) + 1, dtype=np.int64)
    counts[:J] = np.bincount(chosen[chosen >= 0], minlength=J)
    for node, parent in enumerate(tree.parent):
        counts[J + parent] += counts[node]
    return counts[:-1]


def _lambdas(model: "NestedLogit", tree: NestTree, alone: frozenset[str]) -> list[str]:
    """Say what becomes of each nest's lambda."""
    given = {} if isinstance(model.lambdas, str) else model.lambdas
    free = "shared" if model.lambdas == "shared" else "free"
    return [
        f"{given[nest]:g}, as asked"
        if nest in given
        else "1, not identified"
        if nest in alone
        else free
        for nest in tree.nests
    ]


def _table(tree: NestTree, offered: Ints, chosen: Ints, lambdas: list[str]) -> pd.DataFrame:
    J, M = len(tree.alternatives), len(tree.nests)
    rows: list[tuple[str, int, str, str, int, int, str]] = []

    def visit(parent: int, level: int) -> None:
        above = "" if parent == M else tree.nests[parent]
        for node in np.flatnonzero(tree.parent == parent):
            leaf = node < J
            name = tree.alternatives[node] if leaf else tree.nests[node - J]
            kind, text = ("alternative", "") if leaf else ("nest", lambdas[node - J])
            rows.append((name, level, kind, above, int(offered[node]), int(chosen[node]), text))
            if not leaf:
                visit(int(node) - J, level + 1)

    visit(M, 1)
    columns = ["node", "level", "kind", "parent", "offered", "chosen", "lambda"]
    return pd.DataFrame(rows, columns=columns)


def _nest_problems(tree: NestTree, table: pd.DataFrame, alone: frozenset[str]) -> tuple[str, ...]:
    problems = []
    single = [nest for nest in tree.singletons if nest in alone]
    if single:
        problems.append(f"nests with one member, whose lambda is fixed at 1: {_named(single)}.")
    apart = [nest for nest in tree.nests if nest in alone and nest not in tree.singletons]
    if apart:
        problems.append(
            "nests that never offer two members at once, whose lambda is fixed at 1: "
            f"{_named(apart)}."
        )
    nests = table[table["kind"] == "nest"]
    lost = nests.loc[(nests["chosen"] == 0) & (nests["offered"] > 0), "node"]
    if len(lost) and table["chosen"].any():
        problems.append(f"nests that nobody chose from: {_named(lost)}.")
    return tuple(problems)


def _alternative_problems(table: pd.DataFrame) -> tuple[str, ...]:
    leaves = table[table["kind"] == "alternative"]
    absent = leaves.loc[leaves["offered"] == 0, "node"]
    lost = leaves.loc[(leaves["chosen"] == 0) & (leaves["offered"] > 0), "node"]
    problems = []
    if len(absent):
        problems.append(f"alternatives that no case offers: {_named(absent)}.")
    if len(lost) and leaves["chosen"].any():
        problems.append(
            f"alternatives that nobody chose, which can have no constants: {_named(lost)}."
        )
    return tuple(problems)


def _case_problems(tree: NestTree, sets: Flags, group: Ints, chosen: Ints) -> tuple[str, ...]:
    """Count the cases that say little or nothing."""
    J = len(tree.alternatives)
    problems = []
    known = chosen >= 0
    if not known.all():
        problems.append(f"cases without a known choice: {(~known).sum():,}.")
    single = sets.sum(axis=1)[group] == 1
    if single.any():
        problems.append(f"cases that offer one alternative, which say nothing: {single.sum():,}.")
    # Members of the chosen alternative's own nest that its choice set offers.
    inside = np.stack([sets[:, tree.parent[:J] == m].sum(axis=1) for m in tree.parent[:J]], axis=1)
    nested = tree.parent[:J] < len(tree.nests)
    counted = known & ~single
    counted[known] &= nested[chosen[known]]
    lonely = counted.copy()
    lonely[counted] = inside[group[counted], chosen[counted]] == 1
    siblings = np.bincount(tree.parent[:J])[tree.parent[:J]] > 1
    lonely[counted] &= siblings[chosen[counted]]
    if lonely.any():
        problems.append(
            "cases that offer nothing else of the nest they chose from, which say nothing about "
            f"its lambda: {lonely.sum():,}."
        )
    return tuple(problems)


def _named(names: "list[str] | pd.Series[str]") -> str:
    return enumerate_some([f"'{name}'" for name in names], 8)


def _shown(table: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Return the lines to print, of each nest as many alternatives as leave a readable page."""
    rows: list[tuple[str, str, str, str]] = []
    for most in _MOST:
        rows = _cut(table, most)
        if len(rows) <= _LINES:
            return rows
    return [*rows[:_LINES], (f"... {len(rows) - _LINES:,} more nests", "", "", "")]


def _cut(table: pd.DataFrame, most: int) -> list[tuple[str, str, str, str]]:
    """Return a line for each node, but of a nest at most so many for its alternatives."""
    rows = []
    family = table.groupby(["parent", "kind"])
    table = table.assign(rank=family.cumcount(), members=family["node"].transform("size"))
    for row in table.to_dict("records"):
        indent = "  " * (row["level"] - 1)
        counts = (f"{row['offered']:,}", f"{row['chosen']:,}", row["lambda"])
        few = row["members"] <= max(most, 1)
        if row["kind"] == "nest" or few or row["rank"] < most - 1:
            rows.append((f"{indent}{row['node']}", *counts))
        elif row["rank"] == most - 1:
            rest = table[(table["parent"] == row["parent"]) & (table["kind"] == row["kind"])]
            chosen = rest["chosen"].iloc[row["rank"] :].sum()
            left = f"{indent}... {row['members'] - row['rank']:,} more"
            rows.append((left, "", f"{chosen:,}", ""))
    return rows
