"""What a log-linear gravity model answers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from choicemodels.formula import term_values
from choicemodels.frames import to_pandas
from choicemodels.utility import Term
from estimation.covariance import SmallSample
from estimation.gravity.flow_result import FlowResult
from estimation.gravity.sample import GroupsArgument
from estimation.hypothesis import HypothesisTest
from estimation.summary import Summary, coefficient_table

__all__ = ["LinearResult", "excluded_f"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LinearResult(FlowResult):
    """A log-linear gravity model, fitted by least squares or two-stage least squares.

    ``llf`` is the Gaussian log-likelihood of the logarithm of the flows, which cannot be compared
    with that of a model of the flows themselves; the Hessian takes RSS / (N - 1) for the variance
    and, with instruments, is that of the second stage; ``sample.mu`` is the expected logarithm
    without the offset. Besides what every result of flows has:

    Attributes
    ----------
    rsquared : float
        Share of the variance that regressors and fixed effects explain.
    rsquared_within : float or None
        Share of what the fixed effects leave that the regressors explain; None without any.
    weights : str
        The column by which rows counted; empty if there was none.
    endogenous, instruments : tuple of str
        Names of the endogenous regressors and the excluded instruments.
    first_stages : tuple of LinearResult
        The regression of each endogenous regressor on all instruments.
    tests : tuple of HypothesisTest
        Of exogeneity and, where there are more instruments than needed, of their validity.
    """

    rsquared: float
    rsquared_within: float | None
    weights: str = ""
    endogenous: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    first_stages: tuple["LinearResult", ...] = ()
    tests: tuple[HypothesisTest, ...] = ()

    @property
    def first_stage_f(self) -> "pd.Series[float]":
        """F statistic of the excluded instruments in each first stage.

        The Wald statistic over the number of instruments, under the covariance of the result.
        """
        value = {stage.depvar: excluded_f(stage) for stage in self.first_stages}
        return pd.Series(value, dtype=np.float64, name="first_stage_f")

    def with_cov(
        self, kind: str, *, groups: GroupsArgument = None, ssc: SmallSample | None = None
    ) -> Self:
        """Return the same estimate with another covariance, in the first stages too.

        See :meth:`FlowResult.with_cov`.
        """
        result = super().with_cov(kind, groups=groups, ssc=ssc)
        first = tuple(stage.with_cov(kind, groups=groups, ssc=ssc) for stage in self.first_stages)
        return replace(result, first_stages=first)

    def predict(self, table: Any = None) -> "pd.Series[float]":
        """Return the expected logarithm of the flows.

        Its exponential is not the expected flow: that depends on the distribution of the errors.

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
            fitted = sample.mu.copy()
            if self.offset:
                fitted += term_values(Term("offset", (self.offset,)), sample.data.table)[
                    sample.rows
                ]
            return pd.Series(fitted, index=sample.rows, name=self.depvar)
        frame = to_pandas(table, what="the new table")
        index = table.index if isinstance(table, pd.DataFrame) else frame.index
        return pd.Series(self._predictor(frame), index=index, name=self.depvar)

    def summary(self) -> Summary:
        """Return the page that ``print`` shows."""
        facts = [
            ("Dependent variable", self.depvar),
            ("Formula", self.formula),
            ("Observations", f"{self.nobs:,}"),
            ("Dropped", f"{int(self.dropped['rows'].sum()):,}"),
            ("R²", f"{self.rsquared:.4f}"),
        ]
        if self.rsquared_within is not None:
            facts.append(("R² within", f"{self.rsquared_within:.4f}"))
        facts.append(("Standard errors", self.covariance.short))
        optional = (("Offset", self.offset), ("Weights", self.weights))
        facts += [(label, text) for label, text in optional if text]
        facts += [(f"First-stage F, {k}", f"{f:,.2f}") for k, f in self.first_stage_f.items()]
        facts += [(f"Levels of {c.name}", f"{c.levels:,}") for c in self.effect_counts]
        notes = self._account()
        if self.endogenous:
            notes.append(
                f"Endogenous: {', '.join(self.endogenous)}; instruments: "
                f"{', '.join(self.instruments)}."
            )
        notes += [str(test) for test in self.tests]
        method = "two-stage least squares" if self.endogenous else "least squares"
        table = coefficient_table(
            self.params, self.bse, self.tvalues, self.pvalues, self.conf_int()
        )
        return Summary(
            f"Log-linear gravity model, {method}",
            tuple(facts),
            table,
            (*notes, *self.covariance.footnotes),
        )

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics for tables; see :attr:`Result.statistics`."""
        more: dict[str, Any] = {"r2": self.rsquared}
        if self.rsquared_within is not None:
            more["r2_within"] = self.rsquared_within
        if len(self.first_stages) == 1:
            more["first_stage_f"] = float(self.first_stage_f.iloc[0])
        return {**super().statistics, **more}

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        more = {"r2": "R²", "r2_within": "R² within", "first_stage_f": "First-stage F"}
        return {**super().__maketables_stat_labels__, **more}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        optional = ("r2_within", "first_stage_f")
        return ["N", "r2", *(key for key in optional if key in self.statistics)]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        return {
            "kind": "linear",
            **super().to_dict(),
            "rsquared": self.rsquared,
            "rsquared_within": self.rsquared_within,
            "weights": self.weights,
            "endogenous": list(self.endogenous),
            "instruments": list(self.instruments),
            "first_stages": [stage.to_dict() for stage in self.first_stages],
            "tests": [asdict(test) for test in self.tests],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "LinearResult":
        """Rebuild a result from :meth:`to_dict`; it has no data and no scores of rows."""
        return cls(
            **cls._read(saved),
            rsquared=saved["rsquared"],
            rsquared_within=saved["rsquared_within"],
            weights=saved["weights"],
            endogenous=tuple(saved["endogenous"]),
            instruments=tuple(saved["instruments"]),
            first_stages=tuple(cls.from_dict(stage) for stage in saved["first_stages"]),
            tests=tuple(HypothesisTest(**test) for test in saved["tests"]),
        )


def excluded_f(stage: LinearResult) -> float:
    """Return the F statistic of the excluded instruments in a first stage.

    It is the Wald statistic under the covariance of the result over the number of instruments.
    With several endogenous regressors, each may have a strong first stage and the instruments yet
    not tell them apart.
    """
    at = [stage.names.index(name) for name in stage.instruments]
    beta, matrix = stage.estimate[at], stage.covariance.matrix[np.ix_(at, at)]
    return float(beta @ np.linalg.solve(matrix, beta)) / len(at)
