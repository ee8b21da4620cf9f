"""How well a choice model predicts, in the sample and out of it.

Scores of a case that chose j, with probabilities P over its choice set:

    log    log P_j                           Brier    sum_k (P_k - 1[k = j])^2  [Brier1950]_
    hit    whether P_j is the largest of P (ties count in equal parts)

The log and the Brier score are proper: nothing but the true probabilities makes their
expectation best [GneitingRaftery2007]_. The share of hits is not, and says little about
probabilities [Train2009]_.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.scenario_data import keep_cases
from choicemodels.errors import DataError, EstimationError, NestflowError, SpecificationError
from choicemodels.logit.models import LogitUtility
from choicemodels.specify import specify
from estimation.choice.constants import constants_only
from estimation.choice.fit import fit_choice
from estimation.choice.predicted import case_groups, fitted_over, weighted_shares
from estimation.choice.result import ChoiceResult

__all__ = ["CrossValidation", "Validation", "cross_validate", "validate"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Validation:
    """How well a model predicts given choices.

    Attributes
    ----------
    table : Series
        Cases; log-likelihood; R² of McFadden against equal shares, as it is and adjusted for the
        number of parameters, and against constants; mean log score, Brier score and share of
        hits, by weight. Constants are those that fit these very choices best.
    shares : DataFrame
        One row an alternative: observed and predicted share, their difference, and the root mean
        squared error that predicted choices would have if the model were true.
    cases : DataFrame
        One row a case: log, Brier and hit.
    """

    table: "pd.Series[float]"
    shares: pd.DataFrame
    cases: pd.DataFrame

    def __str__(self) -> str:
        return f"{self.table.to_string(float_format='{:.5g}'.format)}\n\n{self.shares.to_string()}"


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Predictions of cases by models that were fitted without them.

    Attributes
    ----------
    table : DataFrame
        One row a fold and one for all cases ("all"): cases; mean log score, Brier score and share
        of hits of the cases left out; and the same of the cases that the fold was fitted to.
    cases : DataFrame
        One row a case: its fold, log, Brier and hit.
    params : DataFrame
        Estimates, one column a fold.
    by : str
        What was kept together in a fold.
    seed : int
    """

    table: pd.DataFrame
    cases: pd.DataFrame
    params: pd.DataFrame
    by: str
    seed: int

    def __str__(self) -> str:
        note = f"Folds of whole {self.by}, seed {self.seed}."
        return f"{self.table.to_string(float_format='{:.5g}'.format)}\n{note}"


def validate(result: ChoiceResult, data: ChoiceData | None = None) -> Validation:
    """Hold a fitted model to choices, its own or others.

    Parameters
    ----------
    result
        The fitted model.
    data
        Cases with known choices; by default those of the estimation.

    Raises
    ------
    DataError
        If a choice is not known.
    """
    rows, at = fitted_over(result, data, "validate()")
    _refuse_unknown(rows, "validate()")
    P, _ = at(result.theta)
    cases = _scores(P, rows)
    weights, W = rows.weights, rows.weights.sum()
    llf = float(weights @ cases["log"])
    equal = float(-(weights @ np.log(rows.set_sizes)))
    constants = constants_only(rows)
    table = pd.Series(
        {
            "cases": float(rows.n_cases),
            "log-likelihood": llf,
            "McFadden R² (equal shares)": 1 - llf / equal,
            "adjusted McFadden R²": 1 - (llf - result.df_model) / equal,
            "McFadden R² (constants)": 1 - llf / constants,
            **{f"mean {score}": weights @ cases[score] / W for score in cases},
        },
        name="value",
    )
    return Validation(table, _share_table(P, rows), cases)


def cross_validate(
    model: LogitUtility,
    data: ChoiceData,
    *,
    folds: int = 10,
    groups: str | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> CrossValidation:
    """Predict each part of the cases by the model fitted to the others.

    Parameters
    ----------
    model
        The specification.
    data
        Cases with known choices.
    folds
        Number of parts.
    groups
        Column whose values stay together in a part; by default the decision makers of a panel,
        otherwise single cases. Choices of one person are no news about each other.
    seed
        Of the partition, which depends on nothing else.
    workers
        Threads that fit folds at the same time; the answer is the same.
    progress
        Called with the number of each fold that is done.
    **options
        Of :func:`estimation.choice.fit.fit_choice`.

    Raises
    ------
    SpecificationError
        If there are fewer than two folds, or more than groups.
    DataError
        If a choice is not known.
    EstimationError
        If the model cannot be fitted to the cases of a fold, or loses a term there.
    """
    if not isinstance(data, ChoiceData):
        raise SpecificationError("cross_validate() works on ChoiceData in the long layout.")
    _refuse_unknown(data, "cross_validate()")
    by = groups or data.panel_name or data.case_name
    fold = _partition(case_groups(data, by).codes, folds, seed)
    names = specify(model, data).parameters.names

    def work(k: int) -> tuple[ChoiceResult, pd.DataFrame, pd.DataFrame]:
        within, without = (keep_cases(data, kept) for kept in (fold != k, fold == k))
        try:
            result = fit_choice(model, within, **options)
            if result.parameters.names != names:
                lost = sorted(set(names) - set(result.parameters.names))
                raise EstimationError(
                    f"the other folds do not hold what {', '.join(lost)} would be estimated from."
                )
        except NestflowError as problem:
            raise EstimationError(
                f"fold {k + 1} cannot be predicted: {problem} Fewer folds, or groups=, may help."
            ) from None
        scores = [
            _scores(fitted_over(result, d, "")[1](result.theta)[0], d) for d in (without, within)
        ]
        if progress is not None:
            progress(k + 1)
        return result, scores[0], scores[1]

    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(work, range(folds)))
    return _gather(data, fold, done, by, seed)


def _gather(
    data: ChoiceData,
    fold: Ints,
    done: list[tuple[ChoiceResult, pd.DataFrame, pd.DataFrame]],
    by: str,
    seed: int,
) -> CrossValidation:
    """Average the scores of the folds."""
    cases = pd.concat([out for _, out, _ in done]).loc[data.case_ids]
    cases.insert(0, "fold", fold + 1)
    weights = pd.Series(data.weights, index=data.case_ids)

    def means(scores: pd.DataFrame, suffix: str) -> dict[str, float]:
        w = weights.loc[scores.index].to_numpy()
        return {f"{name}{suffix}": float(w @ scores[name] / w.sum()) for name in _SCORES}

    rows: dict[Any, dict[Any, float]] = {
        k + 1: {"cases": len(out), **means(out, ""), **means(fitted, " within")}
        for k, (_, out, fitted) in enumerate(done)
    }
    within = pd.DataFrame(rows).T[[f"{name} within" for name in _SCORES]].mean()
    rows["all"] = {"cases": len(cases), **means(cases, ""), **within.to_dict()}
    table = pd.DataFrame(rows).T.rename_axis("fold")
    params = pd.DataFrame({k + 1: result.params for k, (result, _, _) in enumerate(done)})
    return CrossValidation(table, cases, params, by, seed)


_SCORES = ("log", "brier", "hit")


def _scores(P: Array, data: ChoiceData) -> pd.DataFrame:
    """Score the probabilities of the rows, one row of the answer a case."""
    start, sizes = data.offsets[:-1], data.set_sizes
    chosen = np.zeros(len(P))
    chosen[data.chosen] = 1.0
    best = np.repeat(np.maximum.reduceat(P, start), sizes)
    ties = np.add.reduceat((best == P).astype(np.float64), start)
    own = P[data.chosen]
    with np.errstate(divide="ignore"):
        log = np.log(own)
    return pd.DataFrame(
        {
            "log": log,
            "brier": np.add.reduceat((P - chosen) ** 2, start),
            "hit": (own == best[data.chosen]) / ties,
        },
        index=pd.Index(data.case_ids, name=data.case_name),
    )


def _share_table(P: Array, data: ChoiceData) -> pd.DataFrame:
    """Compare the shares of the alternatives, observed and predicted."""
    everyone, J = case_groups(data, None), len(data.alternatives)
    chosen = np.zeros(len(P))
    chosen[data.chosen] = 1.0
    observed, predicted = (
        weighted_shares(of_rows, data, everyone, np.arange(J), J)[0] for of_rows in (chosen, P)
    )
    squared = np.repeat((data.weights / data.weights.sum()) ** 2, data.set_sizes)
    variance = np.bincount(data.alternative, weights=squared * P * (1 - P), minlength=J)
    return pd.DataFrame(
        {
            "observed": observed,
            "predicted": predicted,
            "difference": predicted - observed,
            "sampling error": np.sqrt(variance),
        },
        index=pd.Index(data.alternatives, name="alternative"),
    )


def _partition(codes: Ints, folds: int, seed: int) -> Ints:
    """Deal groups out to folds of nearly equal numbers of groups, shape (N,)."""
    count = int(codes.max()) + 1
    if not 2 <= folds <= count:
        raise SpecificationError(
            f"folds is {folds}; it must be at least 2 and at most the {count:,} groups that stay "
            "together."
        )
    order = np.random.default_rng(seed).permutation(count)
    of_group = np.empty(count, dtype=np.int64)
    of_group[order] = np.arange(count) % folds
    return of_group[codes]


def _refuse_unknown(data: ChoiceData, purpose: str) -> None:
    if not data.has_choices:
        raise DataError(
            f"{purpose} needs a known choice of every case; name its column with chosen=."
        )
