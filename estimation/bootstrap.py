"""The bootstrap: estimate again on resampled cases or clusters [EfronTibshirani1993]_.

Resampling n of n groups with replacement gives each group a multinomial count, and a count is a
weight: the design is laid out once, and a replicate is a maximization with other weights that
starts at the estimate. Every replicate draws from a stream of its own, keyed by the seed and its
number, so that neither the number of threads nor an interruption changes the answer.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from choicemodels.errors import EstimationError, NestflowError, SpecificationError
from choicemodels.logit.absorbed import AbsorbedParameters
from choicemodels.logit.likelihood import LogitParameters
from choicemodels.ordered.likelihood import specify_ordered
from choicemodels.restrictions import restrict
from choicemodels.specify import specify
from estimation.choice.fit import refuse_never_chosen, restrictions_of
from estimation.choice.ordered_result import OrderedResult
from estimation.choice.result import ChoiceResult
from estimation.covariance import group_codes
from estimation.estimates import Covariance
from estimation.newton import Optimum, maximize
from estimation.replicates import ReplicateFile
from estimation.summary import format_table

__all__ = ["Bootstrap", "bootstrap"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
# From weights of the cases, shape (N,), to estimates, shape (K,).
Refit: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap:
    """What the replicates found.

    Attributes
    ----------
    source : ChoiceResult or OrderedResult
        The result that was bootstrapped.
    draws : DataFrame
        One row a replicate that succeeded, by its number; one column a parameter.
    failures : Series
        Why the other replicates failed, by number.
    seed : int
    resampled : str
        What was resampled: ``"cases"``, ``"rows"``, ``"decision makers"`` or the name of the
        grouping.
    groups : int
        How many of them there are.
    """

    source: ChoiceResult | OrderedResult
    draws: pd.DataFrame
    failures: "pd.Series[str]"
    seed: int
    resampled: str
    groups: int

    def __repr__(self) -> str:
        return f"<Bootstrap: {self.note}>"

    @property
    def note(self) -> str:
        """Say in one sentence what was done, and how many replicates failed, and why."""
        total = len(self.draws) + len(self.failures)
        text = f"Bootstrap of {total:,} resamples of {self.groups:,} {self.resampled}"
        text += f", seed {self.seed}"
        if len(self.failures):
            reason, count = Counter(self.failures).most_common(1)[0]
            text += f"; {len(self.failures):,} failed and are left out, {count:,} of them since "
            text += reason
        return text.removesuffix(".") + "."

    @cached_property
    def covariance(self) -> Covariance:
        """Covariance of the draws, for ``result.with_cov("bootstrap")`` and :attr:`result`."""
        matrix = np.atleast_2d(np.cov(self.draws.to_numpy(), rowvar=False))
        clustered = self.resampled not in ("cases", "rows")
        names = (self.resampled,) if clustered else ()
        counts = (self.groups,) if clustered else ()
        return Covariance(matrix, "bootstrap", names, counts, notes=(self.note,))

    @property
    def result(self) -> ChoiceResult | OrderedResult:
        """The same estimate, with the bootstrap's covariance."""
        return replace(self.source, covariance=self.covariance)

    @property
    def bias(self) -> "pd.Series[float]":
        """Mean of the draws less the estimate."""
        return (self.draws.mean() - self.source.params).rename("bias")

    def conf_int(
        self, alpha: float = 0.05, method: Literal["percentile", "basic", "normal"] = "percentile"
    ) -> pd.DataFrame:
        """Return confidence limits at level ``1 - alpha``.

        Parameters
        ----------
        alpha
            Between 0 and 1.
        method
            Quantiles of the draws; the same mirrored at the estimate; or normal limits with the
            standard deviation of the draws.

        Raises
        ------
        SpecificationError
            If ``alpha`` or the method is not one.
        """
        if not 0 < alpha < 1:
            raise SpecificationError(f"alpha is {alpha}; it must lie between 0 and 1.")
        params = self.source.params
        if method == "normal":
            reach = -ndtri(alpha / 2) * self.draws.std()
            return pd.DataFrame({"lower": params - reach, "upper": params + reach})
        lower, upper = (self.draws.quantile(q) for q in (alpha / 2, 1 - alpha / 2))
        if method == "basic":
            lower, upper = 2 * params - upper, 2 * params - lower
        elif method != "percentile":
            raise SpecificationError(
                f"method is '{method}'; it is 'percentile', 'basic' or 'normal'."
            )
        return pd.DataFrame({"lower": lower, "upper": upper})

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter: estimate, bias, std err and percentile limits at 95 percent."""
        limits = self.conf_int()
        return pd.DataFrame(
            {
                "estimate": self.source.params,
                "bias": self.bias,
                "std err": self.draws.std(),
                "[0.025": limits["lower"],
                "0.975]": limits["upper"],
            }
        )

    def __str__(self) -> str:
        return f"{format_table(self.table).to_string()}\n{self.note}"


def bootstrap(
    result: ChoiceResult | OrderedResult,
    *,
    replications: int = 999,
    groups: Any = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Bootstrap:
    """Estimate again on resampled cases.

    Cases of a choice-based sample are resampled within the alternatives chosen, as they were drawn.

    Parameters
    ----------
    result
        With its data: a result read from a file has none.
    replications
        Number of resamples.
    groups
        What to resample: a column that is constant within cases (``"a^b"`` joins two), or one
        label a case. By default the cases (of a panel model, the decision makers).
    seed
        Of the streams; the same seed gives the same answer.
    checkpoint
        File to which every replicate is written as it is done, one line of JSON each. If it
        exists, the replicates in it are not done again; more may be asked for than before.
    threads
        How many replicates at once; by default as many as numba may use.
    progress
        Called with the number of replicates done and asked for.

    Raises
    ------
    EstimationError
        If the result has no data or did not converge, or most replicates failed.
    DataError
        If the checkpoint is of another problem, or the groups do not fit.
    SpecificationError
        If the number of replications is not one, there is a single group, or groups cross the
        strata of a choice-based sample.
    """
    if replications < 2:
        raise SpecificationError(f"replications is {replications}; a covariance needs two.")
    if not result.converged:
        raise EstimationError("the result did not converge, so there is nothing to bootstrap.")
    weights, refit = _refitting(result)
    resampled, codes = _groups(result, groups)
    G = int(codes.max()) + 1
    if G < 2:
        raise SpecificationError(f"'{resampled}' has a single group, which cannot be resampled.")
    strata = _strata(result, codes, resampled)

    def replicate(number: int) -> tuple[Array | None, str]:
        stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        drawn = [members[stream.integers(0, len(members), len(members))] for members in strata]
        counts = np.bincount(np.concatenate(drawn), minlength=G)
        try:
            return refit(weights * counts[codes]), ""
        except (NestflowError, np.linalg.LinAlgError) as problem:
            return None, str(problem)

    done: dict[int, tuple[Array | None, str]] = {}
    file = None
    if checkpoint is not None:
        file = ReplicateFile(Path(checkpoint), _problem(result, codes, weights, seed))
        done = {number: found for number, found in file.read().items() if number < replications}
    todo = [number for number in range(replications) if number not in done]
    for count, (number, found) in enumerate(_run(replicate, todo, threads), len(done) + 1):
        done[number] = found
        if file is not None:
            file.append(number, *found)
        if progress is not None:
            progress(count, replications)
    return _gather(result, done, seed, resampled, G)


def _run(
    replicate: Callable[[int], tuple[Array | None, str]], todo: list[int], threads: int | None
) -> Any:
    """Yield the replicates as they are done; whoever stops listening stops the others."""
    from numba import get_num_threads, set_num_threads

    def work(number: int) -> tuple[int, tuple[Array | None, str]]:
        # The replicates share the cores; within one, the kernel runs on this thread.
        set_num_threads(1)
        return number, replicate(number)

    with ThreadPoolExecutor(threads or get_num_threads()) as pool:
        futures = [pool.submit(work, number) for number in todo]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _refitting(result: ChoiceResult | OrderedResult) -> tuple[Array, Refit]:
    """Return the weights of the cases and the function that estimates with others."""
    if isinstance(result, OrderedResult):
        return _refitting_ordered(result)
    data = result.need_data("bootstrap()")
    likelihood = specify(result.model, data)
    layout = likelihood.parameters
    restrictions, estimated = restrictions_of(result.model, layout), result.estimated
    theta, P = result.theta, len(result.theta)
    if isinstance(layout, AbsorbedParameters) and isinstance(result.parameters, LogitParameters):
        theta = layout.join(theta, result.parameters.constants)
    begin = restrictions.reduce(theta)

    def refit(weights: Array) -> Array:
        refuse_never_chosen(layout, data, weights)
        optimum = maximize(
            restrict(likelihood.reweighted(weights).evaluate, restrictions),
            begin,
            lower=restrictions.lower,
            upper=restrictions.upper,
        )
        # Absorbed constants follow the parameters that a result names.
        return restrictions.full(_converged(optimum))[:P][estimated]

    return np.asarray(data.weights), refit


def _refitting_ordered(result: OrderedResult) -> tuple[Array, Refit]:
    likelihood, _ = specify_ordered(result.model, result.need_data("bootstrap()"))
    L = len(result.levels)

    def refit(weights: Array) -> Array:
        counts = np.bincount(likelihood.level, weights=weights, minlength=L)
        if (counts == 0).any():
            lost = result.levels[int(np.flatnonzero(counts == 0)[0])]
            raise EstimationError(f"the level {lost} does not occur")
        return _converged(maximize(likelihood.reweighted(weights).evaluate, result.estimate))

    return likelihood.weights, refit


def _converged(optimum: Optimum) -> Array:
    if not optimum.converged:
        raise EstimationError(f"the search did not converge: {optimum.message}")
    return optimum.theta


def _groups(result: ChoiceResult | OrderedResult, groups: Any) -> tuple[str, Ints]:
    """Return what is resampled and the group of every case, shape (N,)."""
    if groups is None:
        unit = None if isinstance(result, OrderedResult) else result.unit
        if unit is not None:
            return "decision makers", unit
        N = result.nobs
        return ("rows" if isinstance(result, OrderedResult) else "cases"), np.arange(N)
    if isinstance(groups, list | tuple):
        raise SpecificationError("the bootstrap resamples one grouping; join two as in 'a^b'.")
    if isinstance(result, OrderedResult):
        name, labels = result.row_groups(groups)
    else:
        result.groupings(groups)  # refuses what would tear a decision maker's choices apart
        name, labels = result.need_data("groups").case_groups(groups)
    return name, group_codes(labels, name)


def _strata(result: ChoiceResult | OrderedResult, codes: Ints, resampled: str) -> list[Ints]:
    """Return the groups that stand for each other: all, or those with the same choice."""
    G = int(codes.max()) + 1
    if isinstance(result, OrderedResult) or not result.choice_based:
        return [np.arange(G)]
    chosen = result.need_data("bootstrap()").chosen_alternative
    stratum = np.zeros(G, dtype=np.int64)
    stratum[codes] = chosen
    if (stratum[codes] != chosen).any():
        raise SpecificationError(
            f"the cases were drawn by what was chosen, and '{resampled}' joins cases with "
            "different choices; resample cases, or use cov='robust'."
        )
    return [np.flatnonzero(stratum == j) for j in np.unique(stratum)]


def _problem(result: ChoiceResult | OrderedResult, codes: Ints, weights: Array, seed: int) -> str:
    """Mark what is bootstrapped, so that a file of another problem is refused."""
    text = json.dumps([list(result.names), result.estimate.tolist(), repr(result.llf), seed])
    mark = hashlib.sha256(text.encode())
    mark.update(np.ascontiguousarray(codes).tobytes())
    mark.update(np.ascontiguousarray(weights).tobytes())
    return mark.hexdigest()[:16]


def _gather(
    result: ChoiceResult | OrderedResult,
    done: dict[int, tuple[Array | None, str]],
    seed: int,
    resampled: str,
    groups: int,
) -> Bootstrap:
    found = {number: theta for number, (theta, _) in sorted(done.items()) if theta is not None}
    failed = {number: reason for number, (theta, reason) in sorted(done.items()) if theta is None}
    if len(found) < max(2, len(failed)):
        reason = Counter(failed.values()).most_common(1)[0][0]
        raise EstimationError(
            f"{len(failed):,} of {len(done):,} replicates failed, mostly since {reason}; the "
            "resamples are too poor for the model: simplify it, or merge rare alternatives."
        )
    draws = pd.DataFrame(
        np.array(list(found.values())),
        index=pd.Index(list(found), name="replicate"),
        columns=list(result.names),
    )
    failures = pd.Series(failed, name="reason", dtype=object).rename_axis("replicate")
    return Bootstrap(result, draws, failures, seed, resampled, groups)
