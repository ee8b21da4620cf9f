"""What a gravity model of counts answers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc, expit

from choicemodels.formula import term_values
from choicemodels.frames import to_pandas
from choicemodels.utility import Term
from estimation.gravity.flow_result import FlowResult
from estimation.gravity.result import Convergence
from estimation.hypothesis import HypothesisTest
from estimation.summary import Summary, coefficient_table

__all__ = ["FAMILIES", "CountFamily", "CountResult", "overdispersion"]


@dataclass(frozen=True)
class CountFamily:
    """A distribution of counts.

    Attributes
    ----------
    title : str
    dispersion : int
        Power of the mean beside alpha in the variance, ``mu + alpha mu^p``; 0 for the Poisson.
    inflated : bool
        Whether a zero may be certain.
    """

    title: str
    dispersion: int
    inflated: bool


FAMILIES: Mapping[str, CountFamily] = {
    "negative_binomial": CountFamily("negative binomial (NB2)", 2, False),
    "negative_binomial_1": CountFamily("negative binomial (NB1)", 1, False),
    "zero_inflated_poisson": CountFamily("zero-inflated Poisson", 0, True),
    "zero_inflated_negative_binomial": CountFamily("zero-inflated negative binomial", 2, True),
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CountResult(FlowResult):
    """A gravity model of counts, fitted by maximum likelihood.

    Parameters are the regressors, ``alpha``, and ``inflate(...)`` for the logit of the probability
    of a certain zero. ``sample.mu`` is the expected flow. Besides what every result of flows has:

    Attributes
    ----------
    family : str
    inflation : tuple of Term
        What moves the probability of a certain zero.
    llnull : float
        Poisson log-likelihood of a constant mean.
    llpoisson : float
        Poisson log-likelihood of the same regressors.
    zeros : (float, float)
        Share of zeros among the flows, and as the model expects it.
    overdispersion : HypothesisTest
        Likelihood ratio of alpha = 0; without inflation only.
    convergence : Convergence
    """

    family: str
    inflation: tuple[Term, ...]
    llnull: float
    llpoisson: float
    zeros: tuple[float, float]
    overdispersion: HypothesisTest
    convergence: Convergence

    @property
    def converged(self) -> bool:
        """Whether the iterations converged."""
        return self.convergence.converged

    @property
    def df_model(self) -> int:
        """Parameters and levels, less one level for each effect after the first."""
        levels = sum(count.levels for count in self.effect_counts)
        return len(self.names) + levels - max(len(self.effects) - 1, 0)

    def predict(self, table: Any = None) -> "pd.Series[float]":
        """Return the expected flows, certain zeros included.

        Parameters
        ----------
        table
            New rows; by default the rows used, by their position in the table that was given.

        Raises
        ------
        DataError
            If a column is missing, a regressor not finite, or a level unknown.
        EstimationError
            If no table is given to a result that was read from a file.
        """
        if table is None:
            sample = self._need_sample("predict() without a table")
            return pd.Series(sample.mu.copy(), index=sample.rows, name="mu")
        frame = to_pandas(table, what="the new table")
        mu = np.exp(self._predictor(frame))
        if self.inflation:
            logit = np.zeros(len(frame))
            for term in self.inflation:
                value = term_values(term, frame, what="the new table")
                logit += self.params[f"inflate({term.name})"] * value
            mu *= expit(-logit)
        index = table.index if isinstance(table, pd.DataFrame) else frame.index
        return pd.Series(mu, index=index, name="mu")

    def summary(self) -> Summary:
        """Return the page that ``print`` shows."""
        facts = [
            ("Flows", self.depvar),
            ("Formula", self.formula),
            ("Observations", f"{self.nobs:,}"),
            ("Dropped", f"{int(self.dropped['rows'].sum()):,}"),
            ("Log-likelihood", f"{self.llf:,.4f}"),
            ("Poisson log-likelihood", f"{self.llpoisson:,.4f}"),
            ("Share of zeros", f"{self.zeros[0]:.4f}"),
            ("Expected share of zeros", f"{self.zeros[1]:.4f}"),
            ("Newton steps", f"{self.convergence.iterations}"),
            ("Standard errors", self.covariance.short),
        ]
        if self.offset:
            facts.append(("Offset", self.offset))
        facts += [(f"Levels of {c.name}", f"{c.levels:,}") for c in self.effect_counts]
        notes = [*self._account(), *self.convergence.notes]
        if self.effects:
            notes.append("The fixed effects were written out as dummies.")
        notes.append(str(self.overdispersion))
        table = coefficient_table(
            self.params, self.bse, self.tvalues, self.pvalues, self.conf_int()
        )
        return Summary(
            f"Gravity model, {FAMILIES[self.family].title}",
            tuple(facts),
            table,
            (*notes, *self.covariance.footnotes),
        )

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "ll", "aic"]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        plain = ("family", "llnull", "llpoisson")
        return {
            "kind": "counts",
            **super().to_dict(),
            **{name: getattr(self, name) for name in plain},
            "inflation": [asdict(term) for term in self.inflation],
            "zeros": list(self.zeros),
            "overdispersion": asdict(self.overdispersion),
            "convergence": asdict(self.convergence),
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "CountResult":
        """Rebuild a result from :meth:`to_dict`; it has no data and no scores of rows."""
        convergence = saved["convergence"]
        observed, expected = saved["zeros"]
        return cls(
            **cls._read(saved),
            **{name: saved[name] for name in ("family", "llnull", "llpoisson")},
            inflation=tuple(Term.from_dict(term) for term in saved["inflation"]),
            zeros=(observed, expected),
            overdispersion=HypothesisTest(**saved["overdispersion"]),
            convergence=Convergence(**{**convergence, "notes": tuple(convergence["notes"])}),
        )


def overdispersion(family: str, llf: float, llpoisson: float) -> HypothesisTest:
    """Test alpha = 0 by the likelihood ratio to the Poisson.

    Parameters
    ----------
    family
        One of :data:`FAMILIES`.
    llf, llpoisson
        Log-likelihoods of the model and of the Poisson with the same regressors.
    """
    name, hypothesis = "Likelihood-ratio test", "alpha = 0"
    if FAMILIES[family].inflated:
        reason = "the Poisson without inflation lies on the edge of two parameters at once"
        return HypothesisTest.refused(name, hypothesis, reason)
    statistic = max(2 * (llf - llpoisson), 0.0)
    # Alpha cannot be negative: half of the time the statistic is zero.
    pvalue = 0.5 * float(chdtrc(1, statistic))
    note = "half of the chi-squared's tail, for alpha cannot be negative"
    return HypothesisTest(name, hypothesis, statistic, 1, pvalue, note=note)
