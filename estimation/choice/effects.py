"""Effects of a variable on choice probabilities: elasticities and marginal effects.

The variable is a column of the table, not a term of the formula: wherever it enters (a logarithm,
an interaction, a size), the probabilities are differentiated through it. With ``P_nj`` the
probability of alternative j in case n and ``x_nk`` the variable of alternative k,

    dydx  dP_nj / dx_nk                     eyex  d log P_nj / d log x_nk
    eydx  d log P_nj / dx_nk                dyex  dP_nj / d log x_nk

in the letters of Stata's margins. Averages over cases weight them equally; aggregate effects are
those of the expected share ``sum_n w_n P_nj``: probability-weighted, if they are relative
[BenAkivaLerman1985]_.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.scenario_data import average_case, change
from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest, numeric_column
from choicemodels.logit.likelihood import Layout
from choicemodels.utility import variables
from estimation.choice.predicted import (
    CaseGroups,
    all_terms,
    case_groups,
    derive,
    estimate_table,
    fitted_over,
)
from estimation.choice.result import ChoiceResult
from estimation.summary import format_table

__all__ = ["Effects", "effects", "elasticities", "marginal_effects", "semi_elasticities"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind: TypeAlias = Literal["average", "aggregate", "point", "at_means"]
Measure: TypeAlias = Literal["eyex", "eydx", "dyex", "dydx"]

_MEASURES = {
    "eyex": "elasticities",
    "eydx": "relative changes of the probability for one more unit",
    "dyex": "changes of the probability for a relative change",
    "dydx": "marginal effects",
}
_KINDS = ("average", "aggregate", "point", "at_means")
_OF_ROWS = ("point", "at_means")

# The step that balances rounding against truncation in a difference of fourth order, and the
# weights of the values at -2, -1, 1 and 2 such steps.
_STEP = float(np.finfo(np.float64).eps ** 0.2)
_STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
# What moves with a variable of the case.
_ALL = "all"
# Expressions that jump: comparisons, whole divisions and remainders.
_STEPS = re.compile(r"[<>=]|//|%")


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects of one variable on choice probabilities.

    Attributes
    ----------
    table : DataFrame
        One row for each alternative whose probability is looked at and each whose variable
        changes (``"all"`` for a variable of the case), within each group or case: estimate,
        std err, z, P>|z| and limits at 95 percent. Standard errors are by the delta method.
    variable : str
    measure : {"eyex", "eydx", "dyex", "dydx"}
    kind : {"average", "aggregate", "point", "at_means"}
    notes : tuple of str
        Which standard errors these are, and what else the reader must know.
    """

    table: pd.DataFrame
    variable: str
    measure: Measure
    kind: Kind
    notes: tuple[str, ...]

    @property
    def matrix(self) -> pd.DataFrame:
        """Estimates, the probability of the row by the variable of the column."""
        wide = self.table["estimate"].unstack("variable of", sort=False)
        return wide if isinstance(wide, pd.DataFrame) else wide.to_frame()

    def __str__(self) -> str:
        head = f"{_MEASURES[self.measure].capitalize()} ({self.kind}), '{self.variable}'"
        return "\n".join([head, format_table(self.table).to_string(max_rows=60), *self.notes])

    def _repr_html_(self) -> str:
        return str(format_table(self.table).to_html(border=0, max_rows=60))


def elasticities(
    result: ChoiceResult,
    variable: str,
    data: ChoiceData | None = None,
    *,
    kind: Kind = "average",
    of: Sequence[str] | str | None = None,
    alternatives: Sequence[str] | str | None = None,
    by: str | None = None,
) -> Effects:
    """Estimate elasticities of choice probabilities; the arguments are those of :func:`effects`."""
    return effects(
        result, variable, data, measure="eyex", kind=kind, of=of, alternatives=alternatives, by=by
    )


def marginal_effects(
    result: ChoiceResult,
    variable: str,
    data: ChoiceData | None = None,
    *,
    kind: Kind = "average",
    of: Sequence[str] | str | None = None,
    alternatives: Sequence[str] | str | None = None,
    by: str | None = None,
) -> Effects:
    """Estimate changes of probabilities for one more unit; the arguments are as in `effects`."""
    return effects(
        result, variable, data, measure="dydx", kind=kind, of=of, alternatives=alternatives, by=by
    )


def semi_elasticities(
    result: ChoiceResult,
    variable: str,
    data: ChoiceData | None = None,
    *,
    kind: Kind = "average",
    of: Sequence[str] | str | None = None,
    alternatives: Sequence[str] | str | None = None,
    by: str | None = None,
) -> Effects:
    """Estimate relative changes for one more unit; the arguments are those of :func:`effects`."""
    return effects(
        result, variable, data, measure="eydx", kind=kind, of=of, alternatives=alternatives, by=by
    )


def effects(
    result: ChoiceResult,
    variable: str,
    data: ChoiceData | None = None,
    *,
    measure: Measure = "dydx",
    kind: Kind = "average",
    of: Sequence[str] | str | None = None,
    alternatives: Sequence[str] | str | None = None,
    by: str | None = None,
) -> Effects:
    """Estimate how choice probabilities respond to a column of the table.

    Probabilities are differentiated numerically, by differences of fourth order whose step
    follows each case's sensitivity, so that every family of models is covered; against closed
    forms the error is below 1e-9.

    Parameters
    ----------
    result
        Its covariance is used as it is: choose it with ``with_cov`` first.
    variable
        A numeric column.
    data
        By default those of the estimation.
    measure
        ``"dydx"``, ``"eyex"``, ``"eydx"`` or ``"dyex"``, see the head of this module.
    kind
        ``"average"`` over the cases that offer the alternative (of changes: over all cases);
        ``"aggregate"``, of the expected share; ``"point"``, at each case; ``"at_means"``, at one
        case with the mean variables of each alternative.
    of
        The alternatives whose probabilities are looked at; all by default.
    alternatives
        The alternatives whose variable changes, one after another; all by default. Naming few
        saves time where there are many. A variable that is constant within all cases changes for
        all alternatives at once, unless some are named.
    by
        Column by which to group the cases (``"a^b"`` joins two).

    Raises
    ------
    SpecificationError
        If a word is not one of those above, an alternative is unknown, or the model has no use
        for the variable or none that could be differentiated.
    DataError
        If the column is missing or not numeric, or a term is not finite near its values.
    """
    data, _ = fitted_over(result, data, "effects()")
    _check_words(measure, kind, by)
    _check_variable(result.parameters, data, variable, at_means=kind == "at_means")
    _refuse_unused(result, data, variable)
    if kind == "at_means":
        data = average_case(data)
    moved = _moved(data, variable, alternatives)
    cells = _Cells.build(data, measure, kind, _positions(data, of, "of="), case_groups(data, by))
    found = [
        derive(result, _slopes(result, data, variable, code, cells)) for code in moved.values()
    ]
    value = np.column_stack([part.value for part in found]).ravel()
    std_err = np.column_stack([part.std_err for part in found]).ravel()
    table = estimate_table(value, std_err, cells.index(list(moved), by))
    notes = [f"Standard errors: {result.covariance.label}, by the delta method."]
    if not std_err.all():
        notes.append("Effects without z are zero whatever the parameters.")
    return Effects(table, variable, measure, kind, tuple(notes))


@dataclass(frozen=True, eq=False)
class _Cells:
    """What effects are summed into: alternatives of groups, or rows.

    Attributes
    ----------
    data : ChoiceData
    measure, kind : str
    groups : CaseGroups
    cell : ndarray of int64, shape (R,)
        Group and alternative of each row as one number.
    kept : ndarray of int64, shape (Q,)
        The cells, or for effects at points the rows, that are asked for and exist.
    weights : ndarray, shape (R,)
    """

    data: ChoiceData
    measure: Measure
    kind: Kind
    groups: CaseGroups
    cell: Ints
    kept: Ints
    weights: Array

    @classmethod
    def build(
        cls, data: ChoiceData, measure: Measure, kind: Kind, of: Ints, groups: CaseGroups
    ) -> "_Cells":
        """Lay out the cells."""
        J, sizes = len(data.alternatives), data.set_sizes
        cell = np.repeat(groups.codes, sizes) * J + data.alternative
        wanted = np.isin(data.alternative, of)
        kept = np.flatnonzero(wanted) if kind in _OF_ROWS else np.unique(cell[wanted])
        return cls(data, measure, kind, groups, cell, kept, np.repeat(data.weights, sizes))

    def sums(self, slope: Array, P: Array) -> Array:
        """Return the effects, shape (Q,), from derivatives and probabilities of the rows (R,)."""
        relative = self.measure.startswith("ey")
        if self.kind in _OF_ROWS:
            return slope[self.kept] / P[self.kept] if relative else slope[self.kept]
        w = self.weights
        if not relative:
            mass = np.bincount(self.groups.codes, weights=self.data.weights)
            total = mass[self.kept // len(self.data.alternatives)]
            return self._sum(w * slope) / total
        if self.kind == "aggregate":
            return self._sum(w * slope) / self._sum(w * P)
        return self._sum(w * slope / P) / self._sum(w)

    def _sum(self, values: Array) -> Array:
        return np.asarray(np.bincount(self.cell, weights=values)[self.kept], dtype=np.float64)

    def index(self, moved: Sequence[str], by: str | None) -> pd.MultiIndex:
        """Label Q times ``len(moved)`` effects."""
        data, J = self.data, len(self.data.alternatives)
        names = ["probability of", "variable of"]
        of_rows = self.kind in _OF_ROWS
        of = data.alternative[self.kept] if of_rows else self.kept % J
        levels: list[Any] = [
            np.repeat(np.array(data.alternatives)[of], len(moved)),
            np.tile(np.array(moved), len(of)),
        ]
        if self.kind == "point":
            case = np.repeat(data.case_ids, data.set_sizes)[self.kept]
            names, levels = [data.case_name, *names], [np.repeat(case, len(moved)), *levels]
        elif by is not None:
            label = self.groups.labels[self.kept // J]
            names, levels = [by, *names], [label.repeat(len(moved)), *levels]
        return pd.MultiIndex.from_arrays(levels, names=names)


def _slopes(
    result: ChoiceResult, data: ChoiceData, variable: str, code: int | None, cells: _Cells
) -> Callable[[Array], Array]:
    """Return the function from parameters to effects, where one alternative's variable moves.

    ``code`` None moves the variable of all alternatives at once.
    """
    x = numeric_column(data.table, variable)
    moved = np.ones(len(x), dtype=bool) if code is None else data.alternative == code

    def over(values: Array) -> Callable[[Array], tuple[Array, Array]]:
        table = data.table.copy(deep=False)
        table[variable] = values
        return result.parameters.over(replace(data, table=table)).probabilities

    probabilities = over(x)
    step = _step(data, x, moved, lambda values: over(values)(result.theta)[0])
    around = [(over(np.where(moved, x + k * step, x)), weight) for k, weight in _STENCIL]
    factor = 1.0 / step
    if cells.measure.endswith("ex"):
        factor *= x if code is None else _in_case(data, np.add, np.where(moved, x, 0.0))

    def values(theta: Array) -> Array:
        P, _ = probabilities(theta)
        slope = np.zeros(len(P))
        for at, weight in around:
            slope += weight * at(theta)[0]
        return cells.sums(slope * factor, P)

    return values


def _step(
    data: ChoiceData, x: Array, moved: NDArray[np.bool_], P_at: Callable[[Array], Array]
) -> Array:
    """Return each case's step in its rows: small beside x, and beside what moves log P by one."""
    typical = float(np.abs(x[moved]).mean()) or 1.0
    scale = _in_case(data, np.maximum, np.where(moved, np.abs(x), 0.0))
    scale[scale == 0] = typical
    pilot = np.sqrt(np.finfo(np.float64).eps) * scale
    with np.errstate(divide="ignore", invalid="ignore"):
        response = np.abs(np.log(P_at(np.where(moved, x + pilot, x)) / P_at(x))) / pilot
    steepest = _in_case(data, np.maximum, np.where(np.isfinite(response), response, 0.0))
    step = _STEP * scale / np.maximum(1.0, steepest * scale)
    # The step as the variable's digits hold it.
    held = _in_case(data, np.maximum, np.where(moved, x + step - x, 0.0))
    return np.where(held > 0, held, step)


def _in_case(data: ChoiceData, reduce: np.ufunc, values: Array) -> Array:
    """Return the sum or maximum of each case in all its rows, shape (R,)."""
    return np.repeat(reduce.reduceat(values, data.offsets[:-1]), data.set_sizes)


def _check_words(measure: str, kind: str, by: str | None) -> None:
    for name, value, known in (("measure", measure, _MEASURES), ("kind", kind, _KINDS)):
        if value not in known:
            raise SpecificationError(
                f"{name} is '{value}'{closest(value, known)}; it is one of {', '.join(known)}."
            )
    if by is not None and kind in _OF_ROWS:
        raise SpecificationError(
            f"by= groups averages and aggregates; kind='{kind}' has none to group."
        )


def _check_variable(layout: Layout, data: ChoiceData, variable: str, *, at_means: bool) -> None:
    """Refuse a variable that cannot be differentiated, or a model that has no mean case."""
    numeric_column(data.table, variable)
    for term in all_terms(layout.utility):
        for factor in term.factors:
            used = variables(factor)
            if _STEPS.search(factor) and (variable in used or at_means):
                raise SpecificationError(
                    f"'{factor}' jumps, so "
                    + ("it has no value at the means" if at_means else "it has no derivative")
                    + "; compare two scenarios instead, made with "
                    "choicemodels.choices.scenario_data.change."
                )
            if at_means:
                for name in used:
                    numeric_column(data.table, name)


def _refuse_unused(result: ChoiceResult, data: ChoiceData, variable: str) -> None:
    """Refuse a variable that the utilities do not hold and that moves no probability either."""
    used = frozenset().union(*(term.variables for term in all_terms(result.parameters.utility)))
    if variable in used:
        return
    other = change(data, {variable: f"`{variable}` * 1.1 + 1"})
    P, Q = (result.parameters.over(d).probabilities(result.theta)[0] for d in (data, other))
    if (P == Q).all():
        raise SpecificationError(
            f"the model does not use '{variable}'{closest(variable, used)}; it uses: "
            f"{', '.join(sorted(used))}."
        )


def _moved(
    data: ChoiceData, variable: str, alternatives: Sequence[str] | str | None
) -> dict[str, int | None]:
    """Return whose variable changes: single alternatives, or all at once."""
    if alternatives is None:
        x = data.table[variable].to_numpy()
        if len(x) > 1 and (x == np.repeat(x[data.offsets[:-1]], data.set_sizes)).all():
            return {_ALL: None}
    return {
        data.alternatives[int(j)]: int(j) for j in _positions(data, alternatives, "alternatives=")
    }


def _positions(data: ChoiceData, names: Sequence[str] | str | None, where: str) -> Ints:
    """Return the positions of alternatives that are offered at all, in the order named."""
    offered = np.unique(data.alternative)
    if names is None:
        return offered
    listed = [str(name) for name in ([names] if np.isscalar(names) else names)]
    known = [data.alternatives[int(j)] for j in offered]
    for name in listed:
        if name not in known:
            raise SpecificationError(
                f"{where} names '{name}'{closest(name, known)}, which the data do not offer; they "
                f"offer: {enumerate_some(known, 12)}."
            )
    return np.array([data.alternatives.index(name) for name in listed], dtype=np.int64)
