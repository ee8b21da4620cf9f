"""The estimate of a choice model: its parameters, its fit, and its covariances."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.partitioned import AnyChoiceData
from choicemodels.errors import EstimationError, SpecificationError, enumerate_some
from choicemodels.logit.likelihood import Layout, LogitParameters
from choicemodels.logit.models import LogitUtility
from choicemodels.logit.tree import NestTree
from estimation.choice.absorbed_constants import AbsorbedConstants
from estimation.choice.covariance import make_covariance
from estimation.covariance import SmallSample
from estimation.newton import Optimum
from estimation.results import Covariance, Result

__all__ = ["ChoiceEstimate", "LoglikeBaselines"]

Array = NDArray[np.float64]


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
class ChoiceEstimate(Result):
    """What was found: parameters, fit, and covariances on request.

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
        # The base's constant, and those of alternatives added later, were not estimated.
        absorbed = 0 if self.absorbed is None else int((self.absorbed.bse["hessian"] > 0).sum())
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

            return cast(Self, bootstrap(cast(Any, self), groups=groups, **options).result)
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
