"""What was found by an ordered logit or probit, and how sure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import (
    DataError,
    EstimationError,
    SpecificationError,
    enumerate_some,
)
from choicemodels.frames import require_columns, to_pandas
from choicemodels.ordered.likelihood import OrderedLayout
from choicemodels.ordered.specification import OrderedChoice
from choicemodels.utility import Term
from estimation.choice.covariance import make_covariance
from estimation.covariance import SmallSample
from estimation.newton import Iteration, Optimum
from estimation.results import Covariance, Result
from estimation.summary import Summary, coefficient_table

__all__ = ["OrderedResult"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class OrderedResult(Result):
    """A fitted ordered logit or probit.

    Besides what every result has:

    Attributes
    ----------
    model : OrderedChoice
    parameters : OrderedLayout
        Terms, levels and link.
    hessian : ndarray, shape (P, P)
    meat : ndarray, shape (P, P)
        Cross-product of the scores.
    optimum : Optimum
        How the search went.
    llnull : float
        Log-likelihood of thresholds alone.
    notes : tuple of str
        What the reader must know.
    data : DataFrame or None
        The table; like the contributions it is not saved.
    score_obs, loglike_obs : ndarray (N, P) and (N,), or None
        Contributions of the observations.
    """

    model: OrderedChoice
    parameters: OrderedLayout
    hessian: Array
    meat: Array
    optimum: Optimum
    llnull: float
    notes: tuple[str, ...] = ()
    data: pd.DataFrame | None = None
    score_obs: Array | None = None
    loglike_obs: Array | None = None

    @property
    def prsquared(self) -> float:
        """McFadden's ``1 - llf / llnull``."""
        return 1 - self.llf / self.llnull

    @property
    def converged(self) -> bool:
        """Whether the search ended at a maximum."""
        return self.optimum.converged

    @property
    def levels(self) -> tuple[Any, ...]:
        """Levels of the outcome, from the lowest to the highest."""
        return self.parameters.levels

    @property
    def thresholds(self) -> "pd.Series[float]":
        """The thresholds alone."""
        return self.params.iloc[len(self.parameters.terms) :].rename("thresholds")

    def with_cov(
        self, kind: str, *, groups: Any = None, ssc: SmallSample = "none", **options: Any
    ) -> Self:
        """Return the same estimate with another covariance.

        Parameters
        ----------
        kind
            ``"hessian"``, ``"bhhh"``, ``"robust"``, ``"cluster"`` or ``"bootstrap"``.
        groups
            For ``"cluster"`` and ``"bootstrap"``: a column (``"a^b"`` joins two), or one label a
            row; clustering takes a list of these for several ways.
        ssc
            Small-sample factor of the number of groups: ``"none"``, ``"fixest"`` or ``"stata"``.
        **options
            For ``"bootstrap"``: those of :func:`estimation.bootstrap.bootstrap`.

        Raises
        ------
        SpecificationError, DataError, EstimationError
            If the covariance is unknown, or the groups or scores it needs are not there.
        """
        if kind == "bootstrap":
            # It estimates anew, so it stands above results.
            from estimation.bootstrap import bootstrap

            return cast(Self, bootstrap(self, groups=groups, **options).result)
        if options:
            raise SpecificationError(
                f"cov='{kind}' takes no {enumerate_some(sorted(options))}; only 'bootstrap' does."
            )
        listed = groups if isinstance(groups, list | tuple) else [groups]
        ways = [] if groups is None else [self.row_groups(way) for way in listed]
        covariance = make_covariance(
            self.hessian,
            self.score_obs,
            self.names,
            kind,
            meat=self.meat,
            groups=ways,
            ssc=ssc,
        )
        return replace(self, covariance=covariance)

    def row_groups(self, way: Any) -> tuple[str, NDArray[Any]]:
        """Return the name and the label of every row of a grouping, shape (N,).

        Raises
        ------
        DataError
            If a column is missing or has gaps, or an array has another length.
        """
        data = self.need_data("groups")
        if isinstance(way, str):
            parts = [part.strip() for part in way.split("^")]
            require_columns(data, parts)
            if data[parts].isna().any(axis=None):
                raise DataError(f"the grouping '{way}' is missing in some rows; drop them.")
            return way, pd.MultiIndex.from_frame(data[parts]).factorize()[0]
        labels = np.asarray(way)
        if labels.shape != (len(data),):
            raise DataError(
                f"the array of groups has shape {labels.shape}; give one label for each of the "
                f"{len(data):,} rows."
            )
        return "groups", labels

    def need_data(self, purpose: str) -> pd.DataFrame:
        """Return the data of the estimation.

        Raises
        ------
        EstimationError
            If the result was read from a file, which keeps no data.
        """
        if self.data is None:
            raise EstimationError(
                f"{purpose}: a saved result does not keep the data; pass a table, or fit again."
            )
        return self.data

    def predict(self, table: Any = None) -> pd.DataFrame:
        """Return the probability of every level, one column a level.

        Parameters
        ----------
        table
            New rows with the same variables; by default those of the estimation. The index of a
            pandas table is that of the answer.

        Raises
        ------
        DataError
            If a variable is missing, or a value is not finite.
        EstimationError
            If no table is given to a result that was read from a file.
        """
        frame = self.need_data("predict()") if table is None else to_pandas(table)
        P = self.parameters.probabilities(self.estimate, self.parameters.design(frame))
        index = table.index if isinstance(table, pd.DataFrame) else frame.index
        return pd.DataFrame(P, index=index, columns=pd.Index(self.levels))

    def summary(self) -> Summary:
        """Return the page that statsmodels' users expect, with the covariance named."""
        facts = (
            ("Outcome", self.model.outcome),
            ("Levels", " < ".join(map(str, self.levels))),
            ("Observations", f"{self.nobs:,}"),
            ("Parameters", f"{self.df_model}"),
            ("Converged", "yes" if self.converged else f"NO: {self.optimum.message}"),
            ("Standard errors", self.covariance.short),
            ("Log-likelihood", f"{self.llf:.4f}"),
            ("Thresholds only", f"{self.llnull:.4f}"),
            ("McFadden R²", f"{self.prsquared:.4f}"),
            ("AIC / BIC", f"{self.aic:.2f} / {self.bic:.2f}"),
        )
        table = coefficient_table(
            self.params, self.bse, self.tvalues, self.pvalues, self.conf_int()
        )
        notes = (*self.notes, *self.covariance.footnotes)
        return Summary(f"Ordered {self.model.link}", facts, table, notes)

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics for tables; see :attr:`Result.statistics`."""
        return {**super().statistics, "ll_null": self.llnull, "pseudo_r2": self.prsquared}

    @property
    def __maketables_depvar__(self) -> str:
        return self.model.outcome

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "ll", "pseudo_r2", "aic"]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        return {
            "kind": "ordered",
            **super().to_dict(),
            "model": asdict(self.model),
            "terms": [asdict(term) for term in self.parameters.terms],
            "levels": list(self.levels),
            "hessian": self.hessian.tolist(),
            "meat": self.meat.tolist(),
            "llnull": self.llnull,
            "notes": list(self.notes),
            "converged": self.optimum.converged,
            "message": self.optimum.message,
            "iterations": [step.to_dict() for step in self.optimum.iterations],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild a result from :meth:`to_dict`; it has no data and no contributions."""
        model = OrderedChoice(**saved["model"])
        terms = tuple(Term.from_dict(term) for term in saved["terms"])
        parameters = OrderedLayout(terms, tuple(saved["levels"]), model.link)
        estimate = np.array(saved["estimate"], dtype=np.float64)
        return cls(
            names=parameters.names,
            estimate=estimate,
            covariance=Covariance.from_dict(saved["covariance"]),
            llf=saved["llf"],
            nobs=saved["nobs"],
            model=model,
            parameters=parameters,
            hessian=np.array(saved["hessian"]),
            meat=np.array(saved["meat"]),
            optimum=Optimum(
                estimate,
                saved["converged"],
                saved["message"],
                tuple(Iteration.from_dict(step) for step in saved["iterations"]),
            ),
            llnull=saved["llnull"],
            notes=tuple(saved["notes"]),
        )
