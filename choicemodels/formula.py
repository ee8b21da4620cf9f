"""Formulas: Wilkinson's notation on the outside, products of plain expressions inside.

formulaic reads the notation and decides the coding of categories; what is kept is a tuple of
:class:`~choicemodels.utility.Term`, which holds everything that prediction on new data needs
(levels included), can be written to JSON, and splits over tables of choosers, alternatives and
pairs.
"""

import ast
import keyword
from dataclasses import dataclass
from itertools import product as every
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import ColumnSource, require_columns
from choicemodels.utility import FUNCTIONS, Term, product, variables

__all__ = ["expand", "split_outside", "split_parts", "term_values"]

Array = NDArray[np.float64]


def split_parts(formula: str, most: int) -> list[str]:
    """Split a formula at ``|`` into at most ``most`` parts.

    Raises
    ------
    SpecificationError
        If there are more parts, or a ``~`` names a left-hand side.
    """
    if "~" in formula:
        raise SpecificationError(
            f"the formula '{formula}' has a left-hand side; leave it out: the data say which "
            "column is the choice or the flow."
        )
    parts = [part.strip() for part in formula.split("|")]
    if len(parts) > most:
        raise SpecificationError(
            f"the formula '{formula}' has {len(parts)} parts between bars; at most {most} are "
            "understood."
        )
    return parts


def split_outside(text: str, separator: str) -> list[str]:
    """Split at a one-character separator that stands outside of brackets and backticks."""
    pieces, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == "`"
        depth += (character in "([{") - (character in ")]}")
        if character == separator and not depth and not quoted:
            pieces.append("")
        else:
            pieces[-1] += character
    return [piece.strip() for piece in pieces]


def expand(rhs: str, frame: ColumnSource, *, drop_intercept: bool = False) -> tuple[Term, ...]:
    """Expand one part of a formula into the columns it stands for.

    Parameters
    ----------
    rhs
        A right-hand side such as ``"cost + C(region) * age"``.
    frame
        The table, for the types of its columns and the levels of categories.
    drop_intercept
        Code the categories as if there were an intercept, then leave it out: right wherever
        only differences between alternatives, or from fixed effects, matter.

    Raises
    ------
    SpecificationError
        If the formula cannot be read or uses what the utility language lacks.
    DataError
        If a variable is missing from the table, or a category has missing values.
    """
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    if not rhs.strip():
        return ()
    try:
        formula = Formula(f"{rhs} + 1" if drop_intercept else rhs)
        factors = {_text(f) for term in formula for f in term.factors} - {"1"}
    except (FormulaicError, AttributeError, SyntaxError) as problem:
        raise SpecificationError(
            f"cannot read the formula part '{rhs}' ({str(problem).splitlines()[0]}); "
            "write for example 'cost + time + log(income):cost'."
        ) from None
    categories: dict[str, list[Any] | None] = {}
    for text in sorted(factors):
        name, levels = _levels(text, frame)
        if levels is None:
            require_columns(frame, variables(text))
        for variable in [name] if levels is not None else variables(text):
            categories[variable] = levels or categories.get(variable)
    structure = _structure(formula, categories)
    terms = [term for scoped in structure for term in _columns(scoped)]
    return tuple(t for t in terms if not (drop_intercept and not t.factors))


def _text(factor: Any) -> str:
    """Return a factor as an expression, in backticks if it is a name that Python cannot read."""
    text = str(factor.expr)
    return _quoted(text) if factor.eval_method.value == "lookup" else text


def _quoted(name: str) -> str:
    """Return a column's name as Python can read it, in backticks where it could not."""
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"`{name}`"


def _levels(factor: str, frame: ColumnSource) -> tuple[str, list[Any] | None]:
    """Return the variable and the levels of a categorical factor; None if it is numeric."""
    bare = factor.strip("`")
    if bare in frame.columns:
        column = frame[bare]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            return bare, None
        return bare, _unique(column, bare)
    if (name := _category(factor)) is None:
        return factor, None
    require_columns(frame, [name])
    return name, _unique(frame[name], name)


def _category(factor: str) -> str | None:
    """Return the column inside ``C(...)``, or None for any other factor.

    The optional second argument is ``contr.treatment(base=...)`` and nothing else: formulaic
    will evaluate it, and a formula may come from a file.
    """
    try:
        node = ast.parse(factor, mode="eval").body
    except SyntaxError:
        return None
    match node:
        case ast.Call(func=ast.Name(id="C"), args=[ast.Name(id=name), *rest], keywords=[]):
            match rest:
                case []:
                    return name
                case [
                    ast.Call(
                        func=ast.Attribute(value=ast.Name(id="contr"), attr="treatment"),
                        args=[],
                        keywords=[ast.keyword(arg="base", value=ast.Constant())],
                    )
                ]:
                    return name
    if factor.startswith("C("):
        raise SpecificationError(
            f"'{factor}': write C(column) or C(column, contr.treatment(base='level'))."
        )
    return None


def _unique(column: "pd.Series[Any]", name: str) -> list[Any]:
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise DataError(
            f"the category '{name}' is missing in {len(missing):,} rows (first: rows "
            f"{enumerate_some(missing.tolist())}); drop them or give them a level of their own."
        )
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(column.unique())
        levels = [level for level in column.cat.categories if level in present]
    else:
        levels = sorted(pd.unique(column).tolist(), key=lambda level: (str(type(level)), level))
    for level in levels:
        if not isinstance(level, str | int | float) or level in (np.inf, -np.inf):
            raise DataError(
                f"the category '{name}' has the level {level}, a {type(level).__name__}, which a "
                f"formula cannot write; make the levels text: table['{name}'].astype(str)."
            )
    return levels


def _structure(formula: Any, categories: dict[str, list[Any] | None]) -> Any:
    """Let formulaic code the categories, on one row that carries all their levels.

    Parameters
    ----------
    formula
        Of formulaic.
    categories
        The levels of every variable that is used; None for a number.
    """
    from formulaic.errors import FormulaicError

    one_row = {
        name: np.ones(1) if levels is None else pd.Categorical(levels[:1], categories=levels)
        for name, levels in categories.items()
    }
    try:
        with np.errstate(all="ignore"):  # log(0) and the like: this row is not the data
            matrix = formula.get_model_matrix(
                pd.DataFrame(one_row), na_action="ignore", context=dict(FUNCTIONS)
            )
        spec = matrix.model_spec
    except (FormulaicError, ValueError, NameError) as problem:
        raise SpecificationError(f"cannot code the formula '{formula}': {problem}") from None
    # Each entry pairs one scoped term (its factors, and which of them drop a level) with names.
    pairs = []
    for entry in spec.structure:
        names = list(entry.columns)
        for scoped in entry.scoped_terms:
            pieces = [_pieces(f, spec.encoder_state) for f in scoped.factors]
            count = int(np.prod([len(p) for p in pieces]))
            pairs.append((pieces, names[:count]))
            names = names[count:]
    return pairs


@dataclass(frozen=True)
class _Piece:
    """What one factor contributes to a column: an expression, none for the constant.

    Attributes
    ----------
    expression : str or None
    category : tuple of (str, tuple) or None
        Of a categorical factor, the column and all its levels.
    """

    expression: str | None
    category: tuple[str, tuple[Any, ...]] | None = None


def _pieces(scoped_factor: Any, encoder_state: Any) -> list[_Piece]:
    """Return what one factor contributes: itself, or an expression for each level."""
    text = str(scoped_factor.factor.expr)
    if text == "1":
        return [_Piece(None)]
    kind, state = encoder_state[text]
    if kind.value != "categorical":
        return [_Piece(_text(scoped_factor.factor.factor))]
    levels = list(state["contrasts"].levels)
    name = _category(text) or text
    category = (name, tuple(levels))
    if scoped_factor.reduced:
        base = getattr(state["contrasts"].contrasts, "base", None)
        levels.remove(base if base in levels else levels[0])
    return [_Piece(f"{_quoted(name)} == {level!r}", category) for level in levels]


def _columns(scoped: tuple[list[list[_Piece]], list[str]]) -> list[Term]:
    pieces, names = scoped
    # formulaic varies the first factor fastest.
    combinations = [tuple(reversed(c)) for c in every(*reversed(pieces))]
    return [
        Term(
            _plain(name),
            tuple(piece.expression for piece in combination if piece.expression is not None),
            levels=tuple(piece.category for piece in combination if piece.category is not None),
        )
        for name, combination in zip(names, combinations, strict=True)
    ]


def _plain(name: str) -> str:
    return "(Intercept)" if name == "Intercept" else name


def term_values(term: Term, table: pd.DataFrame, *, what: str = "the table") -> Array:
    """Evaluate a term over a table and refuse what is missing or not finite.

    Parameters
    ----------
    term
        Its alternatives are not looked at.
    table
        R rows.
    what
        How the error message calls the table.

    Returns
    -------
    ndarray of float64, shape (R,), or zero-dimensional for a constant

    Raises
    ------
    DataError
        If a variable is missing, or a value is not finite; it names column and rows.
    """
    require_columns(table, sorted(term.variables), what=what)
    for name in sorted(term.variables):
        # The expression would tell less of a missing text than this sentence does.
        if not pd.api.types.is_float_dtype(table[name]):
            rows = np.flatnonzero(table[name].isna())
            if len(rows):
                raise DataError(
                    f"the column '{name}' is missing in {len(rows):,} rows of {what} (first: rows "
                    f"{enumerate_some(rows.tolist())}); drop these rows or fill them."
                )
    for name, levels in term.levels:
        _refuse_new_levels(table[name], levels, what)
    values = product(term.factors, table)
    if np.isfinite(values.sum()) or np.isfinite(values).all():
        return values
    rows = np.flatnonzero(~np.isfinite(np.broadcast_to(values, len(table))))
    raise DataError(
        f"'{' * '.join(term.factors)}' is not finite in {len(rows):,} rows of {what} (first: rows "
        f"{enumerate_some(rows.tolist())}); drop these rows, fill them, or mend the "
        "transformation: a logarithm needs values above zero."
    )


def _refuse_new_levels(column: "pd.Series[Any]", levels: tuple[Any, ...], what: str) -> None:
    """Refuse a category that the model does not know: it would pass for the base level."""
    rows = np.flatnonzero(~column.isin(levels))
    if len(rows):
        found = column.iloc[rows].drop_duplicates().tolist()
        raise DataError(
            f"the category '{column.name}' is {enumerate_some(found)} in {len(rows):,} rows of "
            f"{what} (first: rows {enumerate_some(rows.tolist())}), which the model was not fitted "
            f"to; it knows {enumerate_some(list(levels), 12)}. Drop these rows, or give them one "
            "of these levels, of the same type."
        )
