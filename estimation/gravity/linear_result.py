"""What a log-linear gravity model answers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.formula import term_values
from choicemodels.frames import to_pandas
from choicemodels.utility import Term
from estimation.covariance import SmallSample
from estimation.gravity.covariance import (
    Grouping,
    LevelCount,
    check_kind,
    gravity_covariance,
    middle_of,
)
from estimation.gravity.effects import EffectEstimate
from estimation.gravity.sample import GroupsArgument, Sample
from estimation.hypothesis import HypothesisTest
from estimation.results import Covariance, Result
from estimation.summary import Summary, coefficient_table

__all__ = ["LinearResult", "excluded_f"]

Array = NDArray[np.float64]

_KINDS = ("hessian", "robust", "HC0", "HC1", "cluster", "dyadic")


@dataclass(frozen=True, eq=False, repr=False)
class LinearResult(Result):
    """A log-linear gravity model, fitted by least squares or two-stage least squares.

    Besides what every result has; ``llf`` is the Gaussian log-likelihood of the logarithm of the
    flows, which cannot be compared with that of a model of the flows themselves:

    Attributes
    ----------
    formula : str
    depvar : str
        Such as ``"log(migrants)"``.
    rsquared : float
        Share of the variance that regressors and fixed effects explain.
    rsquared_within : float
        Share of what the fixed effects leave that the regressors explain.
    hessian : ndarray, shape (K, K)
        Of the Gaussian log-likelihood with the variance RSS / (N - 1), the effects
        concentrated out; with instruments, of the second stage.
    scores_product : ndarray, shape (K, K)
        Cross-product of the scores.
    terms : tuple of Term
    effects : tuple of EffectEstimate
    dropped : DataFrame
        One row for each reason: reason, effect, rows.
    dropped_rows : Series
        The reason, by position of the row in the table that was given.
    offset, weights : str
        As in :class:`~estimation.gravity.result.GravityResult`.
    endogenous, instruments : tuple of str
        Names of the endogenous regressors and the excluded instruments.
    first_stages : tuple of LinearResult
        The regression of each endogenous regressor on all instruments.
    tests : tuple of HypothesisTest
        Of exogeneity and, where there are more instruments than needed, of their validity.
    sample : Sample or None
        The data behind the result, not saved; its ``mu`` is the expected logarithm, without
        the offset.
    """

    formula: str
    depvar: str
    rsquared: float
    rsquared_within: float
    hessian: Array
    scores_product: Array
    terms: tuple[Term, ...]
    effects: tuple[EffectEstimate, ...]
    dropped: pd.DataFrame
    dropped_rows: "pd.Series[str]"
    offset: str = ""
    weights: str = ""
    endogenous: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    first_stages: tuple["LinearResult", ...] = ()
    tests: tuple[HypothesisTest, ...] = ()
    sample: Sample | None = field(default=None, repr=False)

    @property
    def effect_counts(self) -> tuple[LevelCount, ...]:
        """Name and number of levels of each fixed effect."""
        return tuple(LevelCount(e.name, len(e.values), bool(e.variable)) for e in self.effects)

    @property
    def first_stage_f(self) -> "pd.Series[float]":
        """F statistic of the excluded instruments in each first stage.

        The Wald statistic over the number of instruments, under the covariance of the result.
        """
        value = {stage.depvar: excluded_f(stage) for stage in self.first_stages}
        return pd.Series(value, dtype=np.float64, name="first_stage_f")

    def with_cov(
        self, kind: str, *, groups: GroupsArgument = None, ssc: SmallSample | None = None
    ) -> "LinearResult":
        """Return the same estimate with another covariance, in the first stages too.

        Parameters
        ----------
        kind
            ``"hessian"`` (equal variances), ``"robust"``, ``"HC0"``, ``"HC1"``, ``"cluster"`` or
            ``"dyadic"``.
        groups, ssc
            As in :meth:`GravityResult.with_cov`.

        Raises
        ------
        EstimationError
            If the result was read from a file and the covariance needs the rows.
        SpecificationError
            If an option is unknown or does not fit.
        """
        ssc = self.covariance.ssc if ssc is None else ssc
        check_kind(kind, ssc)
        if kind not in _KINDS:
            raise SpecificationError(
                f"the covariance '{kind}' is not offered for log-linear models; choose one of "
                f"{', '.join(_KINDS)}."
            )
        if groups is not None and kind != "cluster":
            raise SpecificationError(f"groups= goes with cov='cluster', not with '{kind}'.")
        places = None
        groupings: tuple[Grouping, ...] = ()
        if kind in ("cluster", "dyadic"):
            sample = self._need_sample(f"the covariance '{kind}'")
            if kind == "dyadic":
                groups = [f"`{sample.data.origin}`", f"`{sample.data.destination}`"]
                places = sample.places()
            groupings = sample.groupings(groups, self.effects)
        middle = middle_of(
            kind, ssc, len(self.names), self.effect_counts, self.nobs,
            groupings=groupings, places=places,
        )  # fmt: skip
        scores = None if self.sample is None else self.sample.scores
        covariance = gravity_covariance(
            middle, self.hessian, self.names, scores, self.scores_product
        )
        given = groups if kind == "cluster" else None
        first = tuple(stage.with_cov(kind, groups=given, ssc=ssc) for stage in self.first_stages)
        return replace(self, covariance=covariance, first_stages=first)

    def _need_sample(self, what: str) -> Sample:
        if self.sample is None:
            raise EstimationError(
                f"this result was read from a file, without its rows, which {what} needs; fit "
                "again."
            )
        return self.sample

    def fixed_effects(self) -> "dict[str, pd.Series[float]]":
        """Return the fixed effects by name; see :meth:`GravityResult.fixed_effects`."""
        return {effect.name: effect.series() for effect in self.effects}

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
        fitted = np.zeros(len(frame))
        for term, coefficient in zip(self.terms, self.estimate, strict=True):
            fitted += coefficient * term_values(term, frame, what="the new table")
        if self.offset:
            fitted += term_values(Term("offset", (self.offset,)), frame, what="the new table")
        for effect in self.effects:
            fitted += effect.at(frame)
        index = table.index if isinstance(table, pd.DataFrame) else frame.index
        return pd.Series(fitted, index=index, name=self.depvar)

    def summary(self) -> Summary:
        """Return the page that ``print`` shows."""
        facts = [
            ("Dependent variable", self.depvar),
            ("Formula", self.formula),
            ("Observations", f"{self.nobs:,}"),
            ("Dropped", f"{int(self.dropped['rows'].sum()):,}"),
            ("R²", f"{self.rsquared:.4f}"),
            ("R² within", f"{self.rsquared_within:.4f}"),
            ("Standard errors", self.covariance.short),
        ]
        facts += [(label, text) for label, text in (("Offset", self.offset),
                  ("Weights", self.weights)) if text]  # fmt: skip
        facts += [(f"First-stage F, {k}", f"{f:,.2f}") for k, f in self.first_stage_f.items()]
        facts += [(f"Levels of {c.name}", f"{c.levels:,}") for c in self.effect_counts]
        notes = [
            f"{count:,} rows dropped: {reason}" + (f" of {effect}" if effect else "")
            for reason, effect, count in self.dropped.itertuples(index=False)
        ]
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
        more: dict[str, Any] = {"r2": self.rsquared, "r2_within": self.rsquared_within}
        if len(self.first_stages) == 1:
            more["first_stage_f"] = float(self.first_stage_f.iloc[0])
        return {**super().statistics, **more}

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        more = {"r2": "R²", "r2_within": "R² within", "first_stage_f": "First-stage F"}
        return {**super().__maketables_stat_labels__, **more}

    @property
    def __maketables_depvar__(self) -> str:
        return self.depvar

    @property
    def __maketables_fixef_string__(self) -> str | None:
        return "+".join(effect.name for effect in self.effects) or None

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "r2", "r2_within", *(["first_stage_f"] if len(self.first_stages) == 1 else [])]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        plain = ("formula", "depvar", "rsquared", "rsquared_within", "offset", "weights")
        return {
            "kind": "linear",
            **super().to_dict(),
            **{name: getattr(self, name) for name in plain},
            "hessian": self.hessian.tolist(),
            "scores_product": self.scores_product.tolist(),
            "terms": [asdict(term) for term in self.terms],
            "effects": [effect.to_dict() for effect in self.effects],
            "dropped": self.dropped.to_dict(orient="list"),
            "dropped_rows": {
                "row": self.dropped_rows.index.tolist(),
                "reason": self.dropped_rows.tolist(),
            },
            "endogenous": list(self.endogenous),
            "instruments": list(self.instruments),
            "first_stages": [stage.to_dict() for stage in self.first_stages],
            "tests": [asdict(test) for test in self.tests],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "LinearResult":
        """Rebuild a result from :meth:`to_dict`; it has no data and no scores of rows."""
        K, rows = len(saved["names"]), saved["dropped_rows"]
        plain = ("llf", "nobs", "formula", "depvar", "rsquared", "rsquared_within", "offset")
        return cls(
            names=tuple(saved["names"]),
            estimate=np.array(saved["estimate"], dtype=np.float64),
            covariance=Covariance.from_dict(saved["covariance"]),
            **{name: saved[name] for name in plain},
            weights=saved["weights"],
            hessian=np.array(saved["hessian"], dtype=np.float64).reshape(K, K),
            scores_product=np.array(saved["scores_product"], dtype=np.float64).reshape(K, K),
            terms=tuple(Term.from_dict(term) for term in saved["terms"]),
            effects=tuple(EffectEstimate.from_dict(effect) for effect in saved["effects"]),
            dropped=pd.DataFrame(saved["dropped"], columns=["reason", "effect", "rows"]),
            dropped_rows=pd.Series(
                rows["reason"], index=pd.Index(rows["row"], dtype="int64"), dtype=object
            ),
            endogenous=tuple(saved["endogenous"]),
            instruments=tuple(saved["instruments"]),
            first_stages=tuple(cls.from_dict(stage) for stage in saved["first_stages"]),
            tests=tuple(HypothesisTest(**test) for test in saved["tests"]),
        )


def excluded_f(stage: LinearResult) -> float:
    """Return the F statistic of the excluded instruments in a first stage.

    It is the Wald statistic under the covariance of the result over the number of instruments.
    """
    at = [stage.names.index(name) for name in stage.instruments]
    beta, matrix = stage.estimate[at], stage.covariance.matrix[np.ix_(at, at)]
    return float(beta @ np.linalg.solve(matrix, beta)) / len(at)
