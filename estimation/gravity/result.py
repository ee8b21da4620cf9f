"""What a fitted gravity model answers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.flows.gravity import Gravity
from choicemodels.frames import to_pandas
from estimation.covariance import SmallSample
from estimation.gravity.covariance import (
    Middle,
    check_kind,
    gravity_covariance,
    middle_of,
    rescaling,
)
from estimation.gravity.flow_result import FlowResult
from estimation.gravity.sample import GroupsArgument, Sample
from estimation.results import Covariance
from estimation.summary import Summary, coefficient_table

__all__ = ["Convergence", "GravityResult", "GroupsArgument", "Sample"]

Array = NDArray[np.float64]

# What a result that was read from a file can still compute: no scores of rows are needed.
_WITHOUT_ROWS = ("hessian", "robust", "HC0", "HC1")


@dataclass(frozen=True)
class Convergence:
    """How the fit ended.

    Attributes
    ----------
    converged : bool
    iterations : int
        Newton steps.
    inner_iterations : int
        Passes over the rows to absorb the fixed effects.
    deviance : float
    notes : tuple of str
        What to know: why it did not converge, which regressors were left out.
    """

    converged: bool
    iterations: int
    inner_iterations: int
    deviance: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class GravityResult(FlowResult):
    """A gravity model fitted by Poisson pseudo-maximum likelihood.

    Besides what every result of flows has:

    Attributes
    ----------
    llnull : float
        Log-likelihood of a constant mean.
    deviance : float
    convergence : Convergence
    certificates : Series
        Of the separated rows among those dropped, the value of a combination of regressors and
        effects that is positive there, and zero in the rows with flows: subtracting ever more of
        it raises the likelihood for ever.
    weights : str
        The column by which rows counted; empty if there was none.
    middle : Middle or None
        How the covariance was put together; None for the jackknife or without data.
    """

    llnull: float
    deviance: float
    convergence: Convergence
    certificates: "pd.Series[float]"
    weights: str = ""
    middle: Middle | None = field(default=None, repr=False)

    @property
    def model(self) -> Gravity:
        """The specification."""
        return Gravity(self.formula, offset=self.offset)

    @property
    def converged(self) -> bool:
        """Whether the iterations converged."""
        return self.convergence.converged

    @property
    def prsquared(self) -> float:
        """McFadden's ``1 - llf / llnull``."""
        return 1 - self.llf / self.llnull if self.llnull else 0.0

    @property
    def df_model(self) -> int:
        """Coefficients and absorbed levels, less one level for each effect after the first."""
        counts = self.effect_counts
        in_levels = sum(not count.slopes for count in counts)
        levels = sum(count.levels for count in counts)
        return len(self.names) + levels - max(in_levels - 1, 0)

    def with_cov(
        self, kind: str, *, groups: GroupsArgument = None, ssc: SmallSample | None = None
    ) -> "GravityResult":
        """Return the same estimate with another covariance.

        Parameters
        ----------
        kind
            ``"hessian"``, ``"robust"``, ``"HC0"`` to ``"HC3"``, ``"cluster"``, ``"dyadic"`` or
            ``"CRV3"``; :mod:`estimation.gravity.covariance` has the formulas.
        groups
            For ``"cluster"`` and ``"CRV3"``: the name of a column of the table that was given,
            several joined by ``^``, or labels, one a row; for ``"cluster"`` also a list of these,
            for multi-way clustering.
        ssc
            Small-sample factor, ``"fixest"``, ``"stata"`` or ``"none"``; by default as before.

        Raises
        ------
        EstimationError
            If a result that was read from a file is asked for what needs the rows, or the
            leverages of HC2 and HC3 are too many or one, or a refit of CRV3 does not exist.
        SpecificationError
            If an option is unknown, or groups are missing.
        """
        ssc = self.covariance.ssc if ssc is None else ssc
        check_kind(kind, ssc)
        if groups is not None and kind not in ("cluster", "CRV3"):
            raise SpecificationError(
                f"groups= goes with cov='cluster' or 'CRV3', not with '{kind}'."
            )
        if self.sample is None and kind not in _WITHOUT_ROWS:
            raise EstimationError(
                "this result was read from a file, which does not hold the scores of the rows: "
                f"choose one of {', '.join(_WITHOUT_ROWS)}, or fit again for '{kind}'."
            )
        if kind == "CRV3":
            return replace(self, covariance=self._jackknife(groups, ssc), middle=None)
        middle = self._middle(kind, groups, ssc)
        scores = None if self.sample is None else self.sample.scores
        covariance = gravity_covariance(
            middle, self.hessian, self.names, scores, self.scores_product
        )
        return replace(self, covariance=covariance, middle=middle)

    def _middle(self, kind: str, groups: GroupsArgument, ssc: SmallSample) -> Middle:
        K, counts, sample = len(self.names), self.effect_counts, self.sample
        if sample is None or kind in _WITHOUT_ROWS:
            return middle_of(kind, ssc, K, counts, self.nobs)
        if kind in ("HC2", "HC3"):
            scale = rescaling(kind, np.asarray(self.leverages(), np.float64), sample.rows)
            return middle_of(kind, ssc, K, counts, self.nobs, rescale=scale)
        places = None
        if kind == "dyadic":
            groups = [f"`{sample.data.origin}`", f"`{sample.data.destination}`"]
            places = sample.places()
        groupings = sample.groupings(groups, self.effects)
        return middle_of(kind, ssc, K, counts, self.nobs, groupings=groupings, places=places)

    def _jackknife(self, groups: GroupsArgument, ssc: SmallSample) -> Covariance:
        from estimation.gravity.jackknife import jackknife_covariance
        from estimation.gravity.problem import problem_of, refuse_moved

        assert self.sample is not None
        groupings = self.sample.groupings(groups, self.effects)
        problem = problem_of(self.sample, self.terms, self.model)
        refuse_moved(problem, self.estimate, np.asarray(self.with_cov("HC0").bse))
        return jackknife_covariance(problem, self.estimate, groupings, ssc)

    def leverages(self) -> "pd.Series[float]":
        """Return how much each flow moves its own fit, by the row's position in the table.

        ``h_i = w_i mu_i z_i' (Z' W Z)^- z_i`` with the regressors and all dummies in Z. They sum
        to the number of parameters.

        Raises
        ------
        EstimationError
            If the result was read from a file, or there are too many effects.
        """
        from estimation.gravity.working import working_of

        if self.sample is None:
            raise EstimationError(
                "this result was read from a file, without its data; fit again for leverages."
            )
        regression = working_of(self.sample, self.terms, self.model)
        return pd.Series(regression.leverages(), index=self.sample.rows, name="leverage")

    @overload
    def predict(
        self,
        table: Any = None,
        *,
        std_err: Literal[False] = False,
        alpha: float = 0.05,
        scale: Literal["mu", "eta"] = "mu",
    ) -> "pd.Series[float]": ...

    @overload
    def predict(
        self,
        table: Any = None,
        *,
        std_err: Literal[True],
        alpha: float = 0.05,
        scale: Literal["mu", "eta"] = "mu",
    ) -> pd.DataFrame: ...

    def predict(
        self,
        table: Any = None,
        *,
        std_err: bool = False,
        alpha: float = 0.05,
        scale: Literal["mu", "eta"] = "mu",
    ) -> "pd.Series[float] | pd.DataFrame":
        """Return the expected flows.

        Parameters
        ----------
        table
            New rows with the regressors and known levels of the fixed effects; by default the
            rows used in the estimation, by their position in the table that was given.
        std_err
            Whether to return a table with the columns of the prediction, ``std_err``, ``lower``
            and ``upper``. They are of the covariance that the result shows, carried over to the
            fixed effects, and take as many operations as there are rows to predict times rows
            used; see :mod:`estimation.gravity.prediction`.
        alpha
            One less the level of the limits.
        scale
            ``"mu"`` for flows, ``"eta"`` for their logarithm.

        Raises
        ------
        DataError
            If a column is missing, a regressor not finite, or a level unknown.
        SpecificationError
            If an option is unknown.
        EstimationError
            If no table is given to a result that was read from a file, or such a result or one
            with the jackknife covariance is asked for standard errors.
        """
        if scale not in ("mu", "eta"):
            raise SpecificationError(f"scale is '{scale}'; choose 'mu' or 'eta'.")
        if not 0 < alpha < 1:
            raise SpecificationError(f"alpha is {alpha}; it must lie between 0 and 1.")
        if table is None and self.sample is None:
            raise EstimationError(
                "this result was read from a file, without its data; give predict() a table."
            )
        if table is None and self.sample is not None:
            frame = self.sample.data.table.iloc[self.sample.rows] if std_err else None
            eta, index = np.log(self.sample.mu), pd.Index(self.sample.rows)
        else:
            frame = to_pandas(table, what="the new table")
            eta = self._predictor(frame)
            index = table.index if isinstance(table, pd.DataFrame) else frame.index
        if std_err and frame is not None:
            # The sparse arrays of scipy take a while to load, and few results need them.
            from estimation.gravity.prediction import prediction_table

            return prediction_table(self, frame, eta, alpha, scale).set_index(index)
        return pd.Series(np.exp(eta) if scale == "mu" else eta, index=index, name=scale)

    def summary(self) -> Summary:
        """Return the page that ``print`` shows."""
        facts = [
            ("Flows", self.depvar),
            ("Formula", self.formula),
            ("Observations", f"{self.nobs:,}"),
            ("Dropped", f"{int(self.dropped['rows'].sum()):,}"),
            ("Log-likelihood", f"{self.llf:,.4f}"),
            ("Null log-likelihood", f"{self.llnull:,.4f}"),
            ("Pseudo R²", f"{self.prsquared:.4f}"),
            ("Deviance", f"{self.deviance:,.4f}"),
            ("Iterations", f"{self.convergence.iterations}"),
            ("Standard errors", self.covariance.short),
        ]
        if self.offset:
            facts.append(("Offset", self.offset))
        if self.weights:
            facts.append(("Weights", self.weights))
        facts += [(f"Levels of {c.name}", f"{c.levels:,}") for c in self.effect_counts]
        notes = [*self._account(), *self.convergence.notes]
        table = coefficient_table(
            self.params, self.bse, self.tvalues, self.pvalues, self.conf_int()
        )
        return Summary(
            "Gravity model, Poisson pseudo-maximum likelihood",
            tuple(facts),
            table,
            (*notes, *self.covariance.footnotes),
        )

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics for tables; see :attr:`Result.statistics`."""
        more = {"pseudo_r2": self.prsquared, "deviance": self.deviance}
        return {**super().statistics, **more}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "pseudo_r2", "ll", "deviance"]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        return {
            "kind": "gravity",
            **super().to_dict(),
            "weights": self.weights,
            "llnull": self.llnull,
            "deviance": self.deviance,
            "convergence": asdict(self.convergence),
            "certificates": {
                "row": self.certificates.index.tolist(),
                "value": self.certificates.tolist(),
            },
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "GravityResult":
        """Rebuild a result from :meth:`to_dict`; it has no data and no scores of rows."""
        convergence, certified = saved["convergence"], saved["certificates"]
        return cls(
            **cls._read(saved),
            weights=saved["weights"],
            llnull=saved["llnull"],
            deviance=saved["deviance"],
            convergence=Convergence(**{**convergence, "notes": tuple(convergence["notes"])}),
            certificates=pd.Series(
                certified["value"], index=pd.Index(certified["row"], dtype="int64"), dtype=float
            ),
        )
