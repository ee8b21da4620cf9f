"""What was found by a choice model, and how sure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choicedata import ChoiceData
from choicemodels.errors import EstimationError, SpecificationError, enumerate_some
from choicemodels.factored import FactoredChoiceData
from choicemodels.factored_likelihood import FactoredLikelihood
from choicemodels.likelihood import Layout, LogitParameters, RowLikelihood
from choicemodels.models import LogitUtility
from choicemodels.partitioned import AnyChoiceData, PartitionedChoiceData
from choicemodels.specify import layout_from_dict, model_from_dict, model_to_dict, specify
from choicemodels.summed import SummedLikelihood
from choicemodels.tree import NestTree, branch_logsum, log_probabilities
from choicemodels.utility import Term, UtilityTerm
from estimation.absorbed_constants import AbsorbedConstants
from estimation.choice_covariance import make_covariance
from estimation.covariance import SmallSample
from estimation.newton import Iteration, Optimum
from estimation.results import Covariance, Result
from estimation.summary import Summary, coefficient_table

__all__ = ["ChoiceResult", "LoglikeBaselines"]

Array = NDArray[np.float64]

# Beyond this many rows probabilities are not laid out one by one.
_MOST_ROWS = 20_000_000


@dataclass(frozen=True)
class LoglikeBaselines:
    """Log-likelihoods to compare with.

    Attributes
    ----------
    equal_shares : float
        Every alternative of a choice set equally likely.
    constants : float or None
        A constant for each alternative, and nothing else; None if the choice sets are samples.
    """

    equal_shares: float
    constants: float | None


@dataclass(frozen=True, eq=False, repr=False)
class ChoiceResult(Result):
    """A fitted choice model.

    ``names`` and ``estimate`` hold the parameters that were estimated; those that a constraint
    fixes are in ``theta`` and the notes alone.

    Attributes
    ----------
    model : MultinomialLogit, NestedLogit, ...
    parameters : Layout
        Layout of the parameter vector: terms, nests, which lambdas are free.
    theta : ndarray, shape (P,)
        All parameters, fixed ones too.
    basis : ndarray, shape (P, F)
        Derivatives of theta by the free parameters, see
        :class:`~choicemodels.restrictions.Restrictions`.
    hessian : ndarray, shape (P, P)
    meat : ndarray, shape (P, P)
        Cross-product of the scores.
    optimum : Optimum
        How the search went.
    baselines : LoglikeBaselines
    notes : tuple of str
        What the reader must know.
    data : ChoiceData or None
    score_obs, loglike_obs : ndarray (N, P) and (N,), or None
        Contributions of the cases (in a panel model, of the decision makers); like ``data`` they
        are not saved.
    unit : ndarray of int64 (N,), or None
        In a panel model the contribution that each case belongs to.
    absorbed : AbsorbedConstants or None
        How sure absorbed constants are; their values are in ``constants``. Where there are any,
        Hessian and scores have them partialled out.
    choice_based : bool
        Whether the weights make up for a sample drawn by choices, which leaves only the
        covariances that do not take the likelihood at its word.
    """

    model: LogitUtility
    parameters: Layout
    theta: Array
    basis: Array
    hessian: Array
    meat: Array
    optimum: Optimum
    baselines: LoglikeBaselines
    notes: tuple[str, ...] = ()
    data: AnyChoiceData | None = None
    score_obs: Array | None = None
    loglike_obs: Array | None = None
    unit: NDArray[np.int64] | None = None
    absorbed: AbsorbedConstants | None = None
    choice_based: bool = False

    @property
    def df_model(self) -> int:
        """Number of free parameters, absorbed constants among them."""
        absorbed = 0 if self.absorbed is None else len(self.alternatives) - 1
        return int(self.basis.shape[1]) + absorbed

    @property
    def llnull(self) -> float:
        """Log-likelihood with equal shares."""
        return self.baselines.equal_shares

    @property
    def llconstants(self) -> float | None:
        """Log-likelihood with constants only; None if the choice sets are samples."""
        return self.baselines.constants

    @property
    def prsquared(self) -> float:
        """McFadden's R² against equal shares."""
        return 1 - self.llf / self.llnull if self.llnull else 0.0

    @property
    def converged(self) -> bool:
        """Whether the search ended at a maximum."""
        return self.optimum.converged

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Names of the alternatives."""
        return self.parameters.alternatives

    @property
    def tree(self) -> NestTree:
        """The nests; for a multinomial logit a root alone.

        Raises
        ------
        SpecificationError
            If the model has no tree.
        """
        return self._logit("tree").tree

    @cached_property
    def lambdas(self) -> "pd.Series[float]":
        """Dissimilarity of every nest, free or fixed."""
        parameters = self._logit("lambdas")
        values = parameters.lambdas(self.theta)[:-1]
        return pd.Series(values, index=list(self.tree.nests), name="lambda", dtype=np.float64)

    @property
    def constants(self) -> "pd.Series[float] | None":
        """Constants by alternative that are no parameters: absorbed, calibrated; None if none are.

        Prediction adds them to the utilities.
        """
        layout = self.parameters
        if not (isinstance(layout, LogitParameters) and len(layout.constants)):
            return None
        return pd.Series(layout.constants, index=list(self.alternatives), name="constants")

    def constants_table(self) -> pd.DataFrame:
        """Return the absorbed constants with their standard errors, as a summary shows them.

        Raises
        ------
        SpecificationError
            If no constants were absorbed, or the covariance is one for which the standard errors
            of constants are not kept.
        """
        if self.absorbed is None or self.constants is None:
            raise SpecificationError(
                "constants_table(): no constants were absorbed; estimated ones are in the summary."
            )
        return self.absorbed.table(self.constants, self.cov_type)

    def _logit(self, purpose: str) -> LogitParameters:
        if not isinstance(self.parameters, LogitParameters):
            raise SpecificationError(
                f"{purpose}: only multinomial and nested logits have a tree; this is a "
                f"{self.parameters.title.lower()}."
            )
        return self.parameters

    def with_cov(
        self, kind: str, *, groups: Any = None, ssc: SmallSample = "none", **options: Any
    ) -> Self:
        """Return the same estimate with another covariance.

        Parameters
        ----------
        kind
            ``"hessian"``, ``"bhhh"``, ``"robust"``, ``"cluster"`` or ``"bootstrap"``.
        groups
            For ``"cluster"`` and ``"bootstrap"``: a column that is constant within cases
            (``"a^b"`` joins two), or one label a case; clustering takes a list of these for
            several ways.
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
        if self.choice_based and kind in ("hessian", "bhhh"):
            raise SpecificationError(
                f"cov='{kind}' does not hold in a sample weighted to population shares, whose "
                "weighted likelihood is no likelihood; choose 'robust' or 'cluster'."
            )
        ways = self.groupings(groups) if groups is not None else ()
        B, meat = self.basis, self.meat
        if kind == "bhhh" and self.absorbed is not None:
            meat = self.absorbed.need_cross_product()
        free = self.free_names
        covariance = make_covariance(
            B.T @ self.hessian @ B,
            None if self.score_obs is None else self.score_obs @ B,
            free,
            kind,
            meat=B.T @ meat @ B,
            groups=ways,
            ssc=ssc,
        )
        return self.with_covariance(covariance)

    def with_covariance(self, covariance: Covariance) -> Self:
        """Return the same estimate with a covariance of the free parameters, (F, F)."""
        rows = self.basis[self.estimated]
        matrix = rows @ covariance.matrix @ rows.T
        return replace(self, covariance=replace(covariance, matrix=matrix))

    @property
    def estimated(self) -> NDArray[np.bool_]:
        """Which of the P parameters are not fixed."""
        return np.asarray((self.basis != 0).any(axis=1))

    @property
    def free_names(self) -> tuple[str, ...]:
        """Names of the F free parameters, which determine all others."""
        unit = (self.basis == 1.0) & ((self.basis != 0).sum(axis=1) == 1)[:, None]
        return tuple(self.parameters.names[int(k)] for k in unit.argmax(axis=0))

    def groupings(self, groups: Any) -> tuple[tuple[str, NDArray[Any]], ...]:
        """Return the name and one label a contribution of every way of grouping.

        Raises
        ------
        DataError, SpecificationError, EstimationError
            If the groups do not fit, vary within a decision maker, or there are no data.
        """
        data = self.need_data("groups")
        listed = groups if isinstance(groups, list | tuple) else [groups]
        return tuple(self._of_units(*data.case_groups(way)) for way in listed)

    def _of_units(self, name: str, labels: NDArray[Any]) -> tuple[str, NDArray[Any]]:
        """Return one label for each contribution, which may hold several cases."""
        if self.unit is None:
            return name, labels
        _, first = np.unique(self.unit, return_index=True)
        codes = pd.factorize(labels)[0]
        if (codes[first][self.unit] != codes).any():
            raise SpecificationError(
                f"the grouping '{name}' varies within a decision maker, whose choices make one "
                "contribution to the likelihood; a cluster holds whole decision makers."
            )
        return name, labels[first]

    def need_data(self, purpose: str) -> AnyChoiceData:
        """Return the data of the estimation.

        Raises
        ------
        EstimationError
            If the result was read from a file, which keeps no data.
        """
        if self.data is None:
            raise EstimationError(
                f"{purpose}: a saved result does not keep the data; pass ChoiceData, or fit again."
            )
        return self.data

    def over(self, data: AnyChoiceData | None, purpose: str) -> tuple[ChoiceData, RowLikelihood]:
        """Put the fitted model over new data, or over its own, row by row.

        Raises
        ------
        EstimationError
            If there are no data, they are factored and would take too many rows, or their choice
            sets are samples.
        """
        data = self.need_data(purpose) if data is None else data
        if isinstance(data, ChoiceData) and data.sample is not None:
            raise EstimationError(
                f"{purpose}: the choice sets are samples, within which probabilities are not those "
                "of the full sets; pass the full choice sets."
            )
        if isinstance(data, PartitionedChoiceData):
            raise EstimationError(
                f"{purpose} needs the rows, which lie in {len(data.paths):,} files; go through "
                "data.partitions() and ask for one at a time."
            )
        if isinstance(data, FactoredChoiceData):
            rows = int(data.set_sizes.sum())
            if rows > _MOST_ROWS:
                raise EstimationError(
                    f"{purpose} would lay out {rows:,} rows, one for each chooser and alternative; "
                    "ask for some choosers, data.take(...), or for sums with expected_choices()."
                )
            data = data.to_long()
        return data, self.parameters.over(data)

    def predict(self, data: AnyChoiceData | None = None) -> pd.DataFrame:
        """Return choice probabilities, one row for each case and alternative.

        Parameters
        ----------
        data
            New data with the same variables; by default the data of the estimation. Choices
            are not needed, and alternatives may be fewer.

        Returns
        -------
        DataFrame
            Case, alternative and ``probability``, in the rows of ``data.table``.
        """
        rows, likelihood = self.over(data, "predict()")
        P, _ = likelihood.probabilities(self.theta)
        names = np.array(rows.alternatives)[rows.alternative]
        return pd.DataFrame(
            {
                rows.case_name: rows.table[rows.case_name],
                rows.alternative_name: names,
                "probability": P,
            }
        )

    def logsum(self, data: AnyChoiceData | None = None) -> "pd.Series[float]":
        """Return the expected maximum utility of each case, up to a constant."""
        found = self.need_data("logsum()") if data is None else data
        if isinstance(found, FactoredChoiceData):
            likelihood = specify(self.model, found, self.parameters)
            assert isinstance(likelihood, FactoredLikelihood | SummedLikelihood)
            _, logsum = likelihood.expected(self.theta)
        else:
            found, rows = self.over(found, "logsum()")
            _, logsum = rows.probabilities(self.theta)
        index = pd.Index(found.case_ids, name=found.case_name)
        return pd.Series(logsum, index=index, name="logsum")

    def expected_choices(self, data: FactoredChoiceData | None = None) -> pd.DataFrame:
        """Return how many choosers of each origin are expected to take each alternative.

        Parameters
        ----------
        data
            Factored data; by default those of the estimation.

        Returns
        -------
        DataFrame
            Origin, alternative and ``expected``, the sum of the weighted probabilities.

        Raises
        ------
        SpecificationError
            If the data are not factored: sum what ``predict()`` returns.
        """
        found = data if data is not None else self.need_data("expected_choices()")
        if not isinstance(found, FactoredChoiceData):
            raise SpecificationError(
                "expected_choices() sums over factored data; with a row for each alternative, sum "
                "the probabilities of predict() by group."
            )
        likelihood = specify(self.model, found, self.parameters)
        assert isinstance(likelihood, FactoredLikelihood | SummedLikelihood)
        expected, _ = likelihood.expected(self.theta)
        places = found.places
        return pd.DataFrame(
            {
                "origin": np.array(places.origins, dtype=object)[places.origin],
                found.alternative_name: np.array(places.alternatives, object)[places.alternative],
                "expected": expected,
            }
        )

    def utility_terms(self) -> tuple[UtilityTerm, ...]:
        """Return the fitted utilities as terms: coefficient times a product of expressions.

        Raises
        ------
        SpecificationError
            If the utilities have a size or a scale, or the model's coefficients vary.
        """
        utility = self._logit("utility_terms()").utility
        if utility.size or utility.scale:
            raise SpecificationError(
                "the utilities hold a size or a scale, so they are not a sum of products."
            )
        terms = list(zip(utility.linear, self.theta, strict=False))
        if utility.offset:
            terms.append((utility.offset, 1.0))
        if self.constants is not None:
            terms += [
                (Term(f"constant:{name}", (), (str(name),)), value)
                for name, value in self.constants.items()
            ]
        return tuple(
            UtilityTerm(term.name, float(b), term.factors, term.alternatives) for term, b in terms
        )

    def log_probabilities(self, V: Array, available: NDArray[np.bool_] | None = None) -> Array:
        """Return log probabilities for dense utilities, shape (..., J), under the fitted tree."""
        p = self._logit("log_probabilities()")
        lam = p.lambdas(self.theta)[:-1]
        return log_probabilities(V, p.tree, lam, rum=p.rum, available=available)

    def branch_logsum(
        self, V: Array, available: NDArray[np.bool_] | None = None, exclude: str = "stay"
    ) -> Array:
        """Return the logsum of all alternatives but ``exclude``, which hangs on the root.

        The arguments are those of :func:`choicemodels.tree.branch_logsum`.

        Raises
        ------
        SpecificationError
            If the model is not RUM-normalized, or ``exclude`` shares a nest.
        """
        p = self._logit("branch_logsum()")
        if not p.rum:
            raise SpecificationError(
                "the logsum of a branch needs normalization='rum'; fit the model that way."
            )
        lam = p.lambdas(self.theta)[:-1]
        return branch_logsum(V, p.tree, lam, exclude, available=available)

    def summary(self) -> Summary:
        """Return the page that statsmodels' users expect, with the covariance named."""
        constants = self.llconstants
        facts = (
            ("Cases", f"{self.nobs:,}"),
            ("Alternatives", f"{len(self.alternatives):,}"),
            ("Parameters", self._count_parameters()),
            ("Converged", "yes" if self.converged else f"NO: {self.optimum.message}"),
            ("Standard errors", self.covariance.short),
            ("Log-likelihood", f"{self.llf:.4f}"),
            ("Equal shares", f"{self.llnull:.4f}"),
            *([] if constants is None else [("Constants only", f"{constants:.4f}")]),
            ("McFadden R² (equal shares)", f"{self.prsquared:.4f}"),
            ("AIC / BIC", f"{self.aic:.2f} / {self.bic:.2f}"),
        )
        table = coefficient_table(
            self.params, self.bse, self.tvalues, self.pvalues, self.conf_int()
        )
        cautions = tuple(
            text[0].upper() + text[1:] for text in self.parameters.cautions(self.theta)
        )
        notes = (*self.notes, *self._lambda_notes(), *self.covariance.footnotes, *cautions)
        return Summary(self.parameters.title, facts, table, notes)

    def _count_parameters(self) -> str:
        absorbed = self.df_model - self.basis.shape[1]
        also = f" + {absorbed:,} absorbed constants" if absorbed else ""
        return f"{self.basis.shape[1]}{also}"

    def _lambda_notes(self) -> tuple[str, ...]:
        """Test each free lambda against 1, the value at which its nest dissolves."""
        free = [name for name in self.names if name == "lambda" or name.startswith("lambda:")]
        tests = [
            f"{name}: z = {(self.params[name] - 1) / self.bse[name]:.2f} against 1" for name in free
        ]
        return ("; ".join(tests) + ".",) if tests else ()

    @property
    def __maketables_depvar__(self) -> str:
        return "choice"

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics for tables; see :attr:`Result.statistics`."""
        more = {"ll_null": self.llnull}
        if self.llconstants is not None:
            more["ll_constants"] = self.llconstants
        return {**super().statistics, **more, "pseudo_r2": self.prsquared}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "ll", "ll_null", "pseudo_r2", "aic"]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        return {
            "kind": "choice",
            **super().to_dict(),
            "model": model_to_dict(self.model),
            "parameters": self.parameters.to_dict(),
            "theta": self.theta.tolist(),
            "basis": self.basis.tolist(),
            "hessian": self.hessian.tolist(),
            "meat": self.meat.tolist(),
            "baselines": asdict(self.baselines),
            "notes": list(self.notes),
            "converged": self.optimum.converged,
            "message": self.optimum.message,
            "choice_based": self.choice_based,
            "absorbed": None if self.absorbed is None else self.absorbed.to_dict(),
            "iterations": [step.to_dict() for step in self.optimum.iterations],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Rebuild a result from :meth:`to_dict`."""
        model = model_from_dict(saved["model"])
        theta = np.array(saved["theta"], dtype=np.float64)
        return cls(
            names=tuple(saved["names"]),
            estimate=np.array(saved["estimate"], dtype=np.float64),
            covariance=Covariance.from_dict(saved["covariance"]),
            llf=saved["llf"],
            nobs=saved["nobs"],
            model=model,
            parameters=layout_from_dict(model, saved["parameters"]),
            theta=theta,
            basis=np.array(saved["basis"], dtype=np.float64),
            hessian=np.array(saved["hessian"]),
            meat=np.array(saved["meat"]),
            optimum=Optimum(
                theta,
                saved["converged"],
                saved["message"],
                tuple(Iteration.from_dict(step) for step in saved["iterations"]),
            ),
            baselines=LoglikeBaselines(**saved["baselines"]),
            notes=tuple(saved["notes"]),
            choice_based=saved["choice_based"],
            absorbed=saved["absorbed"] and AbsorbedConstants.from_dict(saved["absorbed"]),
        )
