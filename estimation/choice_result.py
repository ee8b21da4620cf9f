"""What was found by a choice model, and how sure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choicedata import ChoiceData
from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.frames import closest
from choicemodels.likelihood import ChoiceLikelihood, Parameters, specify
from choicemodels.models import ChoiceModel, MultinomialLogit, NestedLogit
from choicemodels.tree import NestTree, branch_logsum, build_tree, log_probabilities
from choicemodels.utility import Term, UtilityTerm
from estimation.covariance import (
    REPAIRED,
    SmallSample,
    cluster_covariance,
    group_codes,
    inverse_information,
    sandwich,
)
from estimation.newton import Iteration, Optimum
from estimation.results import Covariance, Result
from estimation.summary import Summary, coefficient_table

__all__ = ["ChoiceResult", "LoglikeBaselines", "make_covariance"]

Array = NDArray[np.float64]

_COVARIANCES = ("hessian", "bhhh", "robust", "cluster")


@dataclass(frozen=True)
class LoglikeBaselines:
    """Log-likelihoods to compare with.

    Attributes
    ----------
    equal_shares : float
        Every alternative of a choice set equally likely.
    constants : float
        A constant for each alternative, and nothing else.
    """

    equal_shares: float
    constants: float


def make_covariance(
    hessian: Array,
    score_obs: Array | None,
    names: Sequence[str],
    kind: str,
    *,
    meat: Array | None = None,
    groups: Sequence[tuple[str, NDArray[Any]]] = (),
    ssc: SmallSample = "none",
) -> Covariance:
    """Compute one of the covariances of maximum likelihood.

    Parameters
    ----------
    hessian
        At the estimate, shape (P, P).
    score_obs
        Contributions of the N cases, shape (N, P); needed by ``"cluster"``.
    names
        Parameter names.
    kind
        ``"hessian"``, ``"bhhh"``, ``"robust"`` or ``"cluster"``.
    meat
        Cross-product of the scores, if they are not there themselves.
    groups
        Name and labels (N,) of each way of clustering.
    ssc
        Small-sample factor of the number of groups, see
        :func:`~estimation.covariance.cluster_covariance`.

    Raises
    ------
    SpecificationError
        If ``kind`` is unknown, or groups are given or missing.
    IdentificationError
        If the matrix to invert is singular.
    """
    if kind not in _COVARIANCES:
        raise SpecificationError(
            f"cov is '{kind}'{closest(kind, _COVARIANCES)}; it is one of {', '.join(_COVARIANCES)}."
        )
    if (kind == "cluster") != bool(groups):
        raise SpecificationError(
            "cov='cluster' needs groups=, and no other covariance takes them; "
            "name a column, or give one label a case."
        )
    if kind == "hessian":
        return Covariance(inverse_information(hessian, names), kind)
    if kind == "cluster":
        if score_obs is None:
            raise EstimationError(
                "a clustered covariance needs the scores of the cases, which are not saved with a "
                "result; choose it before saving, or fit again."
            )
        labels = tuple(name for name, _ in groups)
        codes = [group_codes(values, name) for name, values in groups]
        bread = inverse_information(hessian, names)
        clustering = cluster_covariance(bread, score_obs, codes, ssc)
        notes = (REPAIRED,) if clustering.adjusted else ()
        return Covariance(clustering.matrix, kind, labels, clustering.groups, ssc, notes)
    if meat is None:
        assert score_obs is not None
        meat = score_obs.T @ score_obs
    if kind == "bhhh":
        return Covariance(inverse_information(-meat, names), kind)
    return Covariance(sandwich(inverse_information(hessian, names), meat), kind)


@dataclass(frozen=True, eq=False, repr=False)
class ChoiceResult(Result):
    """A fitted multinomial or nested logit.

    Attributes
    ----------
    model : MultinomialLogit or NestedLogit
    parameters : Parameters
        Layout of the parameter vector: terms, nests, which lambdas are free.
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
        Contributions of the cases; like ``data`` they are not saved.
    """

    model: ChoiceModel
    parameters: Parameters
    hessian: Array
    meat: Array
    optimum: Optimum
    baselines: LoglikeBaselines
    notes: tuple[str, ...] = ()
    data: ChoiceData | None = None
    score_obs: Array | None = None
    loglike_obs: Array | None = None

    @property
    def llnull(self) -> float:
        """Log-likelihood with equal shares."""
        return self.baselines.equal_shares

    @property
    def llconstants(self) -> float:
        """Log-likelihood with constants only."""
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
        return self.tree.alternatives

    @property
    def tree(self) -> NestTree:
        """The nests; for a multinomial logit a root alone."""
        return self.parameters.tree

    @cached_property
    def lambdas(self) -> "pd.Series[float]":
        """Dissimilarity of every nest, free or fixed."""
        values = self.parameters.lambdas(self.estimate)[:-1]
        return pd.Series(values, index=list(self.tree.nests), name="lambda", dtype=np.float64)

    def inconsistent_nests(self) -> list[str]:
        """List the nests whose lambda exceeds its parent's (RUM normalization)."""
        if not self.parameters.rum:
            return []
        lam, tree = self.parameters.lambdas(self.estimate), self.tree
        J = len(tree.alternatives)
        return [
            f"lambda:{nest} ({lam[m]:.4f})"
            for m, nest in enumerate(tree.nests)
            if self.parameters.slot[m] >= 0 and lam[m] > lam[tree.parent[J + m]] + 1e-9
        ]

    def with_cov(self, kind: str, *, groups: Any = None, ssc: SmallSample = "none") -> Self:
        """Return the same estimate with another covariance.

        Parameters
        ----------
        kind
            ``"hessian"``, ``"bhhh"``, ``"robust"`` or ``"cluster"``.
        groups
            For ``"cluster"``: a column that is constant within cases (``"a^b"`` joins two), one
            label a case, or a list of these for several ways of clustering.
        ssc
            Small-sample factor of the number of groups: ``"none"``, ``"fixest"`` or ``"stata"``.

        Raises
        ------
        SpecificationError, DataError, EstimationError
            If the covariance is unknown, or the groups or scores it needs are not there.
        """
        ways = self._groups(groups) if groups is not None else ()
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

    def _groups(self, groups: Any) -> tuple[tuple[str, NDArray[Any]], ...]:
        data = self._need_data("groups")
        listed = groups if isinstance(groups, list | tuple) else [groups]
        return tuple(data.case_groups(way) for way in listed)

    def _need_data(self, purpose: str) -> ChoiceData:
        if self.data is None:
            raise EstimationError(
                f"{purpose}: a saved result does not keep the data; pass ChoiceData, or fit again."
            )
        return self.data

    def predict(self, data: ChoiceData | None = None) -> pd.DataFrame:
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
        data, likelihood = self._over(data, "predict()")
        P, _ = likelihood.probabilities(self.estimate)
        names = np.array(data.alternatives)[data.alternative]
        return pd.DataFrame(
            {
                data.case_name: data.table[data.case_name],
                data.alternative_name: names,
                "probability": P,
            }
        )

    def logsum(self, data: ChoiceData | None = None) -> "pd.Series[float]":
        """Return the expected maximum utility of each case, up to a constant."""
        data, likelihood = self._over(data, "logsum()")
        _, logsum = likelihood.probabilities(self.estimate)
        index = pd.Index(data.case_ids, name=data.case_name)
        return pd.Series(logsum, index=index, name="logsum")

    def _over(self, data: ChoiceData | None, purpose: str) -> tuple[ChoiceData, ChoiceLikelihood]:
        data = data if data is not None else self._need_data(purpose)
        return data, specify(self.model, data, self.parameters)

    def utility_terms(self) -> tuple[UtilityTerm, ...]:
        """Return the fitted utilities as terms: coefficient times a product of expressions."""
        return tuple(
            UtilityTerm(term.name, float(b), term.factors, term.alternatives)
            for term, b in zip(self.parameters.terms, self.estimate, strict=False)
        )

    def log_probabilities(self, V: Array, available: NDArray[np.bool_] | None = None) -> Array:
        """Return log probabilities for dense utilities, shape (..., J), under the fitted tree."""
        lam = self.parameters.lambdas(self.estimate)[:-1]
        return log_probabilities(V, self.tree, lam, rum=self.parameters.rum, available=available)

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
        if not self.parameters.rum:
            raise SpecificationError(
                "the logsum of a branch needs normalization='rum'; fit the model that way."
            )
        lam = self.parameters.lambdas(self.estimate)[:-1]
        return branch_logsum(V, self.tree, lam, exclude, available=available)

    def summary(self) -> Summary:
        """Return the page that statsmodels' users expect, with the covariance named."""
        kind = "Nested logit" if isinstance(self.model, NestedLogit) else "Multinomial logit"
        facts = (
            ("Cases", f"{self.nobs:,}"),
            ("Alternatives", f"{len(self.alternatives):,}"),
            ("Parameters", f"{self.df_model}"),
            ("Converged", "yes" if self.converged else f"NO: {self.optimum.message}"),
            ("Standard errors", self.covariance.short),
            ("Log-likelihood", f"{self.llf:.4f}"),
            ("Equal shares", f"{self.llnull:.4f}"),
            ("Constants only", f"{self.llconstants:.4f}"),
            ("McFadden R² (equal shares)", f"{self.prsquared:.4f}"),
            ("AIC / BIC", f"{self.aic:.2f} / {self.bic:.2f}"),
        )
        table = coefficient_table(
            self.params, self.bse, self.tvalues, self.pvalues, self.conf_int()
        )
        return Summary(kind, facts, table, (*self.notes, *self._lambda_notes()))

    def _lambda_notes(self) -> tuple[str, ...]:
        """Test each free lambda against 1, the value at which its nest dissolves."""
        free = [name for name in self.names if name == "lambda" or name.startswith("lambda:")]
        tests = [
            f"{name}: z = {(self.params[name] - 1) / self.bse[name]:.2f} against 1" for name in free
        ]
        above = tuple(
            f"{nest} exceeds its parent's: not consistent with utility maximization everywhere."
            for nest in self.inconsistent_nests()
        )
        return (*(("; ".join(tests) + ".",) if tests else ()), *self.covariance.footnotes, *above)

    @property
    def __maketables_depvar__(self) -> str:
        return "choice"

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics for tables; see :attr:`Result.statistics`."""
        more = {"ll_null": self.llnull, "ll_constants": self.llconstants}
        return {**super().statistics, **more, "pseudo_r2": self.prsquared}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "ll", "ll_null", "pseudo_r2", "aic"]

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, ready for JSON; see :meth:`Result.to_dict`."""
        p = self.parameters
        return {
            "kind": "choice",
            **super().to_dict(),
            "model": {"type": type(self.model).__name__, **asdict(self.model)},
            "alternatives": list(p.tree.alternatives),
            "terms": [asdict(term) for term in p.terms],
            "rum": p.rum,
            "slot": p.slot.tolist(),
            "fixed": p.fixed.tolist(),
            "hessian": self.hessian.tolist(),
            "meat": self.meat.tolist(),
            "baselines": asdict(self.baselines),
            "notes": list(self.notes),
            "converged": self.optimum.converged,
            "message": self.optimum.message,
            "iterations": [step.to_dict() for step in self.optimum.iterations],
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Rebuild a result from :meth:`to_dict`."""
        fields = dict(saved["model"])
        types = {"MultinomialLogit": MultinomialLogit, "NestedLogit": NestedLogit}
        model = types[fields.pop("type")](**fields)
        nests = model.nests if isinstance(model, NestedLogit) else {}
        estimate = np.array(saved["estimate"], dtype=np.float64)
        parameters = Parameters(
            terms=tuple(
                Term(t["name"], tuple(t["factors"]), t["alternatives"] and tuple(t["alternatives"]))
                for t in saved["terms"]
            ),
            tree=build_tree(nests, saved["alternatives"]),
            rum=saved["rum"],
            slot=np.array(saved["slot"], dtype=np.int64),
            fixed=np.array(saved["fixed"], dtype=np.float64),
            names=tuple(saved["names"]),
            notes=tuple(saved["notes"]),
        )
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
            baselines=LoglikeBaselines(**saved["baselines"]),
            notes=parameters.notes,
        )
