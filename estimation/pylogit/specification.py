"""pylogit's specification dictionaries, read into formulas.

A key of the dictionary is a column and its value says which alternatives share a coefficient:
``"all_same"`` one for all, ``"all_diff"`` one for each, a list one for each of its items, where an
item is an alternative or a list of alternatives. Where several share one, but not all, a column of
the product with their indicator carries it; the rest is nestflow's own formula.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest, numeric_column, read_table, require_columns, to_pandas

__all__ = ["Coefficient", "Columns", "Labels", "Specification", "read_specification"]

# The names of the alternatives by their identifiers, in sorted order.
Labels: TypeAlias = Mapping[Hashable, str]
Members: TypeAlias = tuple[Hashable, ...] | None
Ints: TypeAlias = NDArray[np.int64]

_INTERCEPT = "intercept"
_WORDS = ("all_same", "all_diff")
_UNQUOTABLE = "|~`"


@dataclass(frozen=True)
class Columns:
    """Which columns say what.

    Attributes
    ----------
    alternative, case, choice : str
    panel : str or None
        Column of the units over which coefficients vary.
    """

    alternative: str
    case: str
    choice: str
    panel: str | None = None

    def read(self, table: Any, choice: str | None) -> tuple[pd.DataFrame, Ints]:
        """Return a table with the rows of each case together, and the user's rows of these.

        Raises
        ------
        DataError
            If a column is missing.
        """
        frame = read_table(table) if isinstance(table, str) else to_pandas(table)
        named = [self.alternative, self.case, choice, self.panel]
        require_columns(frame, [name for name in named if name is not None])
        rows = np.argsort(pd.factorize(frame[self.case])[0], kind="stable")
        return frame.iloc[rows].reset_index(drop=True), rows

    def data(self, frame: pd.DataFrame, choice: str | None) -> ChoiceData:
        """Take a table as choice data."""
        return ChoiceData.from_long(
            frame, self.case, self.alternative, chosen=choice, panel=self.panel
        )


@dataclass(frozen=True)
class Coefficient:
    """One coefficient of the index, in both languages.

    Attributes
    ----------
    name : str
        What pylogit calls it, or the user.
    parameter : str
        What the fitted model calls it.
    variable : str or None
        Its column; None for a constant.
    members : tuple or None
        The identifiers of the alternatives that share it; None for all.
    """

    name: str
    parameter: str
    variable: str | None
    members: Members

    @property
    def made(self) -> bool:
        """Whether a column has to be made for it."""
        return self.members is not None and len(self.members) > 1


@dataclass(frozen=True)
class Specification:
    """A specification dictionary as a formula.

    Attributes
    ----------
    coefficients : tuple of Coefficient
        In pylogit's order.
    formula : str
        The generic part, without constants.
    specific : mapping
        Terms of single alternatives, by their names.
    """

    coefficients: tuple[Coefficient, ...]
    formula: str
    specific: Mapping[str, str]

    def columns(self, frame: pd.DataFrame, alternative: str) -> pd.DataFrame:
        """Return the table with the columns that the formula needs beyond the user's own.

        Parameters
        ----------
        frame
            The long table; it stays as it is.
        alternative
            Its column of alternatives.

        Raises
        ------
        DataError
            If a variable is missing or is not numeric.
        """
        values = {
            c.variable: numeric_column(frame, c.variable)
            for c in self.coefficients
            if c.variable is not None
        }
        made = {}
        for c in self.coefficients:
            if c.made:
                inside = frame[alternative].isin(list(c.members or ())).to_numpy(dtype=np.float64)
                made[c.parameter] = inside * (values[c.variable] if c.variable else 1.0)
        return frame.assign(**made)


def read_specification(
    specification: Any, names: Any, frame: pd.DataFrame, labels: Labels
) -> Specification:
    """Read a specification dictionary.

    Parameters
    ----------
    specification
        Column to ``"all_same"``, ``"all_diff"`` or a list of alternatives and lists of them.
    names
        For each column the name, or the list of names, of its coefficients; None for pylogit's.
    frame
        The long table.
    labels
        The names of the alternatives.

    Raises
    ------
    SpecificationError
        If a value is none of these, an alternative is unknown or an item repeated, or ``names``
        does not match.
    DataError
        If a column is missing, or cannot stand in a formula.
    """
    if not isinstance(specification, Mapping) or not specification:
        raise SpecificationError(
            "specification must map columns to 'all_same', 'all_diff' or a list of alternatives, "
            "as in {'cost': 'all_same', 'intercept': [1, 2]}."
        )
    coefficients: list[Coefficient] = []
    for key, value in specification.items():
        constant = key == _INTERCEPT and key not in frame.columns
        if not constant:
            _check_column(key, frame)
        elif isinstance(value, str) and value == "all_same":
            raise SpecificationError(
                "specification['intercept'] is 'all_same', but a constant that all alternatives "
                "share cancels out; list all alternatives but one."
            )
        groups = _groups(key, value, labels)
        titles = groups if names is None else _titles(key, groups, names)
        column = None if constant else key
        coefficients += [
            Coefficient(title, _parameter(key, members, labels, constant), column, members)
            for title, members in zip(titles, groups.values(), strict=True)
        ]
    repeated = [n for n, count in Counter(c.name for c in coefficients).items() if count > 1]
    if repeated:
        raise SpecificationError(
            f"two coefficients are called '{repeated[0]}'; give each its own name in names=."
        )
    return Specification(tuple(coefficients), *_formula(coefficients, labels))


def _check_column(name: Any, frame: pd.DataFrame) -> None:
    """Refuse a column that is not there, or that a formula cannot name even in backticks."""
    require_columns(frame, [name])
    if not isinstance(name, str) or set(name) & set(_UNQUOTABLE):
        raise DataError(
            f"the column {name!r} cannot stand in a formula, where columns are called by text "
            f"without the signs {' '.join(_UNQUOTABLE)}; rename it."
        )


def _groups(variable: str, value: Any, labels: Labels) -> dict[str, Members]:
    """Return who shares each coefficient of a column, by pylogit's name of the coefficient."""
    if isinstance(value, str) and value in _WORDS:
        if value == "all_same":
            return {variable: None}
        return {f"{variable}_{label}": (member,) for member, label in labels.items()}
    if not isinstance(value, list | tuple | np.ndarray) or len(value) == 0:
        near = closest(value, _WORDS) if isinstance(value, str) else ""
        raise SpecificationError(
            f"specification['{variable}'] is {value!r}{near}; it is 'all_same', 'all_diff' or a "
            "list of alternatives."
        )
    groups: dict[str, Members] = {}
    for item in value:
        several = isinstance(item, list | tuple | range | np.ndarray)
        listed = [_known(member, variable, labels) for member in (item if several else [item])]
        members = tuple(member for member in labels if member in listed)
        if members in groups.values():
            raise SpecificationError(
                f"specification['{variable}'] lists {item!r} twice; each item has a coefficient "
                "of its own, and no data could tell the two apart."
            )
        text = ", ".join(labels[member] for member in listed)
        groups[f"{variable}_[{text}]" if several else f"{variable}_{text}"] = members
    return groups


def _known(member: Any, variable: str, labels: Labels) -> Hashable:
    if not isinstance(member, Hashable) or member not in labels:
        raise SpecificationError(
            f"specification['{variable}'] names the alternative {member!r}, which the data do not "
            f"have; they have: {enumerate_some(list(labels), 12)}."
        )
    return member


def _titles(variable: str, groups: Mapping[str, Members], names: Any) -> list[str]:
    """Return the user's names of a column's coefficients."""
    if not isinstance(names, Mapping) or variable not in names:
        raise SpecificationError(
            f"names= has no entry for '{variable}'; it needs one for each key of specification."
        )
    given = names[variable]
    titles = [given] if isinstance(given, str) else [str(title) for title in given]
    if len(titles) != len(groups):
        raise SpecificationError(
            f"names['{variable}'] holds {len(titles)} names, but there are {len(groups)} "
            f"coefficients: {enumerate_some(list(groups))}."
        )
    return titles


def _parameter(variable: str, members: Members, labels: Labels, constant: bool) -> str:
    if members is None:
        return variable
    stem = "(Intercept)" if constant and len(members) == 1 else variable
    return f"{stem}:{'&'.join(labels[member] for member in members)}"


def _formula(coefficients: Sequence[Coefficient], labels: Labels) -> tuple[str, dict[str, str]]:
    generic = [f"`{c.parameter}`" for c in coefficients if c.members is None or c.made]
    specific: dict[str, list[str]] = {}
    for c in coefficients:
        if c.members is not None and not c.made:
            terms = specific.setdefault(labels[c.members[0]], ["0"])
            if c.variable is None:
                terms[0] = "1"
            else:
                terms.append(f"`{c.variable}`")
    return (
        f"{' + '.join(generic)} | 0".strip(),
        {name: " + ".join(terms) for name, terms in specific.items()},
    )
