"""Utilities as functions of what is taken from income."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.cross_nested.likelihood import CrossNestedParameters
from choicemodels.errors import SpecificationError
from choicemodels.frames import numeric_column
from choicemodels.logit.likelihood import LogitParameters
from choicemodels.logit.observations import Observations
from choicemodels.utility import Term, product, variables

__all__ = ["FittedUtility", "Generating", "IncomeUtility", "income_utility"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
# Layouts of models whose errors have a generating function: probabilities follow from utilities.
Generating: TypeAlias = LogitParameters | CrossNestedParameters


@dataclass(frozen=True, eq=False)
class IncomeUtility:
    """The utilities of R rows, whatever the parameters.

    Attributes
    ----------
    layout : LogitParameters or CrossNestedParameters
    observations : Observations
    name : str
        Of the income.
    income : ndarray, shape (R,)
    columns : mapping of str to ndarray, shape (R,)
        The other variables of the terms that income enters.
    terms : tuple of Term
    positions : tuple of int
        Of the terms' coefficients among the parameters; -1 for the offset, whose is one.
    enters : ndarray of bool, shape (T, R)
        The rows that each term enters.
    at_income : ndarray, shape (T, R)
        The terms at the income of the data.
    """

    layout: Generating
    observations: Observations
    name: str
    income: Array
    columns: Mapping[str, NDArray[Any]]
    terms: tuple[Term, ...]
    positions: tuple[int, ...]
    enters: NDArray[np.bool_]
    at_income: Array

    def at(self, theta: Array) -> "FittedUtility":
        """Return the utilities of given parameters."""
        design = self.observations.design
        of_utility = theta[: self.layout.n_utility]
        at = design.at(of_utility)
        V = at.beta @ at.X
        V = V + at.offset if len(at.offset) else V
        coefficients = np.array([1.0 if k < 0 else theta[k] for k in self.positions])
        return FittedUtility(self, V, design.scale(of_utility), coefficients)

    def term(self, t: int, rows: Ints, income: Array) -> Array:
        """Return term t in some rows (E,) at given incomes, (E,) or (E, D)."""
        columns = {name: _like(values[rows], income) for name, values in self.columns.items()}
        value = product(self.terms[t].factors, {**columns, self.name: income})
        return np.where(_like(self.enters[t, rows], income), value, 0.0)


@dataclass(frozen=True, eq=False)
class FittedUtility:
    """The utilities of R rows at given parameters.

    Attributes
    ----------
    rows : IncomeUtility
    V : ndarray, shape (R,)
        At the income of the data.
    scale : ndarray, shape (R,)
        What multiplies the utilities.
    coefficients : ndarray, shape (T,)
    """

    rows: IncomeUtility
    V: Array
    scale: Array
    coefficients: Array

    def less(self, rows: Ints, taken: Array) -> Array:
        """Return utilities of some rows when income is less.

        Parameters
        ----------
        rows
            Shape (E,).
        taken
            From income, shape (E,) or (E, D).

        Returns
        -------
        ndarray, shape of ``taken``
            Minus infinity where a term has no value: the alternative is out of reach.
        """
        own = _like(self.rows.income[rows], taken)
        change = np.zeros(taken.shape)
        with np.errstate(invalid="ignore"):
            for t, b in enumerate(self.coefficients):
                before = _like(self.rows.at_income[t, rows], taken)
                change += b * (self.rows.term(t, rows, own - taken) - before)
            V = _like(self.V[rows], taken) + _like(self.scale[rows], taken) * change
        return np.where(np.isfinite(V), V, -np.inf)


def income_utility(layout: Generating, data: ChoiceData, name: str) -> IncomeUtility:
    """Find the terms of the utilities that income enters.

    Raises
    ------
    SpecificationError
        If it enters none, or enters the size or the scale.
    """
    utility = layout.utility
    for where, terms_there in (("size=", utility.size), ("scale=", utility.scale)):
        if any(name in term.variables for term in terms_there):
            raise SpecificationError(
                f"'{name}' enters {where}, where variations of income mean nothing; it must enter "
                "the formula or offset= alone."
            )
    placed = [(k, term) for k, term in enumerate(utility.linear) if name in term.variables]
    if utility.offset is not None and name in utility.offset.variables:
        placed.append((-1, utility.offset))
    if not placed:
        raise SpecificationError(
            f"'{name}' does not enter the utilities, so there are no effects of income; use "
            "surplus()."
        )
    observations = layout.over(data).observations
    terms = tuple(term for _, term in placed)
    used = frozenset().union(*(variables(f) for term in terms for f in term.factors)) - {name}
    names = np.array(layout.alternatives)[observations.alternative]
    found = IncomeUtility(
        layout,
        observations,
        name,
        numeric_column(data.table, name),
        {column: data.table[column].to_numpy() for column in used},
        terms,
        tuple(k for k, _ in placed),
        np.array([_enters(term, names) for term in terms]),
        np.empty(0),
    )
    rows = np.arange(len(names))
    at_income = np.array([found.term(t, rows, found.income) for t in range(len(terms))])
    return replace(found, at_income=at_income)


def _enters(term: Term, names: NDArray[np.str_]) -> NDArray[np.bool_]:
    if term.alternatives is None:
        return np.ones(len(names), dtype=bool)
    return np.isin(names, term.alternatives)


def _like(of_rows: NDArray[Any], taken: Array) -> NDArray[Any]:
    """Return values of rows (E,) so that they go with an array (E,) or (E, D)."""
    return of_rows[:, None] if taken.ndim == 2 else of_rows
