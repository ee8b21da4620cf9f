"""A gravity model with effects of the origin alone is a conditional logit of destinations.

With ``mu_od = exp(x_od' beta + alpha_o)`` and the effects concentrated out, flows given the total
``Y_o`` of their origin are multinomial, with the probabilities of a conditional logit,

    P_od = exp(x_od' beta) / sum_d exp(x_od' beta),    mu_od = Y_o P_od,
    log L_Poisson = sum_od y_od log P_od + sum_o (Y_o log Y_o - Y_o) - sum_od log y_od!,

so that score, estimate and Hessian are the same [GuimaraesFigueiredoWoodward2003]_. What they say
of a destination that becomes more attractive is not the same [SchmidheinyBrulhart2011]_: the
logit keeps the number of those who move, one place's gain is the others' loss, and the Poisson
model, its effects unmoved, takes nothing from other places. Per unit of ``x_d``,

    zero-sum      d log mu_od = beta (1 - P_od)
    positive-sum  d log mu_od = beta,

the two ends between which a nested logit with an outside option lies.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.formula import term_values
from choicemodels.frames import closest, numeric_column
from choicemodels.logit.models import MultinomialLogit
from choicemodels.utility import Term
from estimation.delta import DerivedEstimates, jacobian
from estimation.gravity.covariance import nested_in
from estimation.gravity.problem import problem_of
from estimation.gravity.result import GravityResult
from estimation.gravity.sample import Sample

__all__ = [
    "Kind",
    "LogitEquivalence",
    "as_choices",
    "destination_elasticities",
    "equivalent_logit",
]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Kind = Literal["zero-sum", "positive-sum"]


@dataclass(frozen=True, eq=False)
class LogitEquivalence:
    """The conditional logit that a gravity model is.

    Attributes
    ----------
    model : MultinomialLogit
        The same regressors, without constants: ``fit(model, as_choices(result))`` has the
        estimate of the gravity model.
    probabilities : Series
        ``P_od`` by position of the row in the table that was given.
    llf : float
        Log-likelihood of the logit at the estimate.
    constant : float
        What the Poisson log-likelihood has beyond it, whatever the coefficients.
    score : ndarray, shape (K,)
        Of the logit at the estimate: zero.
    hessian : ndarray, shape (K, K)
        Of the logit: that of the gravity model.
    """

    model: MultinomialLogit
    probabilities: "pd.Series[float]"
    llf: float
    constant: float
    score: Array
    hessian: Array


@dataclass(frozen=True, eq=False)
class _Cases:
    """The rows of a model as choice sets.

    Attributes
    ----------
    X : ndarray, shape (N, K)
    fixed : ndarray, shape (N,)
        Offset.
    case : ndarray of int64, shape (N,)
        Choice set of each row, numbered without gaps.
    total : ndarray, shape (C,)
        ``Y_o``.
    """

    X: Array
    fixed: Array
    case: Codes
    total: Array

    def sums(self, values: Array) -> Array:
        """Sum values of rows, shape (N,), within each case; shape (C,)."""
        summed = np.bincount(self.case, weights=values, minlength=len(self.total))
        return np.asarray(summed, dtype=np.float64)

    def probabilities(self, beta: Array) -> Array:
        """``P_od``, shape (N,)."""
        V = self.fixed + self.X @ beta
        top = np.full(len(self.total), -np.inf)
        np.maximum.at(top, self.case, V)
        raised = np.exp(V - top[self.case])
        return np.asarray(raised / self.sums(raised)[self.case])


def equivalent_logit(result: GravityResult) -> LogitEquivalence:
    """Return the conditional logit of destinations that has the same estimates.

    Parameters
    ----------
    result
        A fit with one fixed effect: of the origin, or of origin and period.

    Raises
    ------
    EstimationError
        If the result was read from a file or is weighted.
    SpecificationError
        If its fixed effects are others, or a level offers a destination twice.
    """
    sample, cases = _choice_sets(result)
    P = cases.probabilities(result.estimate)
    y = sample.data.y[sample.rows]
    means = np.array([cases.sums(P * x)[cases.case] for x in cases.X.T])
    centred = cases.X - means.reshape(cases.X.shape[::-1]).T
    weight = cases.total[cases.case] * P
    llf = float(y @ np.log(P))
    return LogitEquivalence(
        model=MultinomialLogit(f"{result.model.regressors} | 0", offset=result.offset),
        probabilities=pd.Series(P, index=sample.rows, name="P"),
        llf=llf,
        constant=result.llf - llf,
        score=(y - weight) @ cases.X,
        hessian=-(centred.T * weight) @ centred,
    )


def as_choices(result: GravityResult) -> ChoiceData:
    """Return flows as choices: each positive flow is a case that many chose alike.

    A case is weighted by its flow and offered all destinations to which its origin (and period)
    has a row; the columns of the table come along. It takes as many rows as there are positive
    flows times destinations.

    Parameters
    ----------
    result
        A fit with one fixed effect: of the origin, or of origin and period.

    Raises
    ------
    EstimationError
        If the result was read from a file or is weighted.
    SpecificationError
        If its fixed effects are others, or a level offers a destination twice.
    """
    sample, cases = _choice_sets(result)
    case, y = cases.case, sample.data.y[sample.rows]
    order, size = np.argsort(case, kind="stable"), np.bincount(case)
    starts = np.concatenate(([0], np.cumsum(size)))
    flows = np.flatnonzero(y > 0)
    lengths = size[case[flows]]
    number = np.repeat(np.arange(len(flows)), lengths)
    first = np.concatenate(([0], np.cumsum(lengths)))
    offered = order[starts[case[flows]][number] + np.arange(len(number)) - first[number]]
    table = sample.data.table.iloc[sample.rows[offered]].reset_index(drop=True)
    added = {"case": number, "chosen": offered == flows[number], "weight": y[flows][number]}
    names = {name: _unused(name, table) for name in added}
    return ChoiceData.from_long(
        table.assign(**{names[name]: values for name, values in added.items()}),
        case=names["case"],
        alternative=sample.data.destination,
        chosen=names["chosen"],
        weights=names["weight"],
    )


def _unused(name: str, table: pd.DataFrame) -> str:
    while name in table.columns:
        name += "_"
    return name


def destination_elasticities(
    result: GravityResult, variable: str, kind: Kind = "zero-sum"
) -> DerivedEstimates:
    """Estimate how arrivals in each place respond to a variable of that place.

    Of ``Y_d``, the expected arrivals in d from all origins, ``d log Y_d / d log x_d``: wherever
    the variable enters the formula, its logarithm or products included, all rows of the
    destination change in proportion.

    Parameters
    ----------
    result
        A fit with one fixed effect: of the origin, or of origin and period.
    variable
        A column of the table.
    kind
        ``"zero-sum"`` keeps the total of every origin, as the logit has it; ``"positive-sum"``
        keeps its fixed effect, as the Poisson model has it [SchmidheinyBrulhart2011]_. The
        first is the smaller by the share of the place, the more the fewer places there are.

    Returns
    -------
    DerivedEstimates
        One estimate a destination, with standard errors by the delta method.

    Raises
    ------
    EstimationError
        If the result was read from a file or is weighted.
    SpecificationError
        If its fixed effects are others, or a level offers a destination twice, the kind is
        unknown, or the variable enters nowhere.
    DataError
        If the variable is missing or not numeric.
    """
    if kind not in get_args(Kind):
        raise SpecificationError(
            f"the kind '{kind}' is unknown; choose {' or '.join(get_args(Kind))}."
        )
    sample, cases = _choice_sets(result)
    Z, fixed = _response(result, sample, variable)
    destination = sample.data.factor(f"`{sample.data.destination}`")
    present, place = np.unique(destination.codes[sample.rows], return_inverse=True)

    def value_of(beta: Array) -> Array:
        P = cases.probabilities(beta)
        flow = cases.total[cases.case] * P
        change = flow * (fixed + Z @ beta)
        if kind == "zero-sum":
            change *= 1 - P
        return np.asarray(np.bincount(place, change) / np.bincount(place, flow))

    G = jacobian(value_of, result.estimate, result.bse.to_numpy())
    V = G @ result.covariance.matrix @ G.T
    names = tuple(destination.labels(present).map(str))
    return DerivedEstimates(
        names, value_of(result.estimate), replace(result.covariance, matrix=V), G
    )


def _choice_sets(result: GravityResult) -> tuple[Sample, _Cases]:
    """Return the data of a model with one effect, of the origin, as choice sets, or refuse it."""
    sample = result.sample
    if sample is None:
        raise EstimationError(
            "this result was read from a file, without its data; fit again to see it as a logit."
        )
    if sample.weights is not None:
        raise EstimationError(
            "rows are weighted, and choices within an origin cannot be: fit without weights."
        )
    data, problem = sample.data, problem_of(sample, result.terms, result.model)
    origin, destination = (
        data.factor(f"`{name}`").codes[sample.rows] for name in (data.origin, data.destination)
    )
    single = len(result.effects) == 1 and not problem.varying
    if not single or not nested_in(problem.factors[0].codes, origin):
        raise SpecificationError(
            f"a logit of destinations has the fixed effect '{data.origin}' (or one within it, "
            "such as origin and period) and no other; this model has: "
            f"{' + '.join(effect.name for effect in result.effects) or 'none'}."
        )
    case = np.unique(problem.factors[0].codes, return_inverse=True)[1].astype(np.int64)
    if len(np.unique(case * (destination.max() + 1) + destination)) < len(case):
        raise SpecificationError(
            f"a level of '{result.effects[0].name}' offers the same destination in several rows; "
            "join the effect with what tells the rows apart, as in 'origin^year'."
        )
    fixed = np.zeros(len(case)) if problem.offset is None else problem.offset
    total = np.bincount(case, weights=problem.y)
    return sample, _Cases(problem.X.T, fixed, case, np.asarray(total, dtype=np.float64))


def _rows(term: Term, sample: Sample, table: pd.DataFrame) -> Array:
    """Evaluate a term on the rows used."""
    values = term_values(term, table)
    return np.array(np.broadcast_to(values, sample.data.nobs)[sample.rows], dtype=np.float64)


def _response(result: GravityResult, sample: Sample, variable: str) -> tuple[Array, Array]:
    """Differentiate regressors, shape (N, K), and offset, (N,), by the variable's logarithm."""
    column = numeric_column(sample.data.table, variable, what="the flow table")
    offset = Term("offset", (result.offset,)) if result.offset else None
    terms = [*result.terms, offset] if offset else list(result.terms)
    K, N = len(result.terms), len(sample.rows)
    used: frozenset[str] = frozenset().union(*(term.variables for term in terms))
    if variable not in used:
        raise SpecificationError(
            f"'{variable}' does not enter the model{closest(variable, used)}; it uses: "
            f"{', '.join(sorted(used)) or 'no variable'}."
        )

    def values(change: Array) -> Array:
        table = sample.data.table.assign(**{variable: column * np.exp(change[0])})
        return np.array([_rows(term, sample, table) for term in terms]).ravel()

    slopes = jacobian(values, np.zeros(1))[:, 0].reshape(len(terms), N)
    return slopes[:K].T, slopes[K] if offset else np.zeros(N)
