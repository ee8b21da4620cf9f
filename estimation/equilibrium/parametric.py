"""The parametric bootstrap: equilibria at coefficients drawn around the estimate.

An equilibrium is a smooth but costly function of the coefficients behind it. Draws from their
estimated normal distribution, each solved exactly, give its standard errors without derivatives
[KrinskyRobb1986]_ [EfronTibshirani1993]_.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, NestflowError, SpecificationError
from choicemodels.frames import closest
from estimation.estimates import Estimates
from estimation.summary import format_table

__all__ = ["EquilibriumBootstrap", "Solvable", "bootstrap"]

Array = NDArray[np.float64]


class Solvable(Protocol):
    """An equilibrium that can be solved again at other coefficients."""

    @property
    def estimates(self) -> Estimates:
        """The estimated coefficients and their covariance."""
        ...

    @property
    def outcomes(self) -> pd.DataFrame:
        """What standard errors are wanted of: one row a place, one column an outcome."""
        ...

    def at(self, estimate: Array) -> Self:
        """Solve at other coefficients, shape (K,)."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class EquilibriumBootstrap:
    """Equilibria at drawn coefficients.

    Attributes
    ----------
    outcomes : DataFrame
        At the estimate: one row a place, one column an outcome.
    draws : DataFrame
        One row a replicate that was solved, by its number; one column an outcome of a place.
    failures : Series
        Why the other replicates have no equilibrium, by number.
    covariance : str
        Which covariance the coefficients were drawn with.
    seed : int
    """

    outcomes: pd.DataFrame
    draws: pd.DataFrame
    failures: "pd.Series[str]"
    covariance: str
    seed: int

    def __repr__(self) -> str:
        return f"<EquilibriumBootstrap: {self.note}>"

    @property
    def note(self) -> str:
        """Say in one sentence what was done, and how many replicates failed, and why."""
        total = len(self.draws) + len(self.failures)
        text = f"Parametric bootstrap: {total:,} draws of the coefficients, seed {self.seed}, "
        text += f"covariance: {self.covariance}"
        if len(self.failures):
            reason, count = Counter(self.failures).most_common(1)[0]
            text += f"; {len(self.failures):,} failed and are left out, {count:,} of them since "
            text += reason
        return text.removesuffix(".") + "."

    @property
    def std_err(self) -> pd.DataFrame:
        """Standard deviations of the draws, laid out as the outcomes."""
        return self._laid_out(self.draws.std())

    def conf_int(self, alpha: float = 0.05) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return lower and upper percentile limits at level ``1 - alpha``, as the outcomes.

        Raises
        ------
        SpecificationError
            If ``alpha`` is not between 0 and 1.
        """
        if not 0 < alpha < 1:
            raise SpecificationError(f"alpha is {alpha}; it must lie between 0 and 1.")
        lower, upper = (self._laid_out(self.draws.quantile(q)) for q in (alpha / 2, 1 - alpha / 2))
        return lower, upper

    def table(self, outcome: str, alpha: float = 0.05) -> pd.DataFrame:
        """Return estimate, std err and percentile limits of one outcome, one row a place.

        Raises
        ------
        SpecificationError
            If the outcome is unknown.
        """
        if outcome not in self.outcomes:
            known = list(self.outcomes.columns)
            raise SpecificationError(
                f"there is no outcome '{outcome}'{closest(outcome, known)}; there are: "
                f"{', '.join(known)}."
            )
        lower, upper = self.conf_int(alpha)
        return pd.DataFrame(
            {
                "estimate": self.outcomes[outcome],
                "std err": self.std_err[outcome],
                "lower": lower[outcome],
                "upper": upper[outcome],
            }
        )

    def _laid_out(self, values: "pd.Series[float]") -> pd.DataFrame:
        shape = self.outcomes.shape
        return pd.DataFrame(
            values.to_numpy().reshape(shape),
            index=self.outcomes.index,
            columns=self.outcomes.columns,
        )

    def __str__(self) -> str:
        return f"{format_table(self.std_err).to_string(max_rows=60)}\n{self.note}"


def bootstrap(
    equilibrium: Solvable,
    *,
    replications: int = 199,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> EquilibriumBootstrap:
    """Solve an equilibrium at coefficients drawn from their estimated distribution.

    Parameters
    ----------
    equilibrium
        Of :func:`estimation.equilibrium.trade.counterfactual` or
        :func:`estimation.equilibrium.migration.equilibrium`. The covariance is that of the result
        behind it: choose it with ``with_cov`` before.
    replications
        Number of draws.
    seed
        Each draw has a stream of its own, keyed by the seed and its number, so that more draws
        begin with the same ones.
    progress
        Called with the number of draws done and asked for.

    Raises
    ------
    SpecificationError
        If there are fewer than two replications.
    EstimationError
        If most of the draws have no equilibrium.
    """
    if replications < 2:
        raise SpecificationError(f"replications is {replications}; a variance needs two.")
    estimates = equilibrium.estimates
    root = _square_root(estimates.covariance.matrix)
    found: dict[int, Array] = {}
    failures: dict[int, str] = {}
    for number in range(replications):
        stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        drawn = estimates.estimate + root @ stream.standard_normal(len(estimates.estimate))
        try:
            found[number] = equilibrium.at(drawn).outcomes.to_numpy().ravel()
        except (NestflowError, np.linalg.LinAlgError) as problem:
            failures[number] = str(problem)
        if progress is not None:
            progress(number + 1, replications)
    if len(found) < max(2, replications / 2):
        raise EstimationError(
            f"{len(failures)} of {replications} draws of the coefficients have no equilibrium; "
            f"the first since {next(iter(failures.values()))}"
        )
    outcomes = equilibrium.outcomes
    columns: Any = pd.MultiIndex.from_product([outcomes.index, outcomes.columns])
    draws = pd.DataFrame.from_dict(found, orient="index")
    draws.columns = columns
    label = estimates.covariance.label
    return EquilibriumBootstrap(
        outcomes, draws.rename_axis("replicate"), pd.Series(failures, dtype=object), label, seed
    )


def _square_root(covariance: Array) -> Array:
    """Return a root R of a covariance, R R' = V, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
