"""Estimates with their covariance, in the words of statsmodels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from choicemodels.errors import EstimationError, SpecificationError, enumerate_some
from choicemodels.restrictions import equation_lines, linear_equations, single_equations
from estimation.covariance import SmallSample
from estimation.hypothesis import HypothesisTest

__all__ = ["Covariance", "Estimates"]

Array = NDArray[np.float64]
# One restriction, several, values by parameter, or a matrix R, tested against zero.
Hypothesis: TypeAlias = str | Sequence[str] | Mapping[str, float] | Array


@dataclass(frozen=True)
class Covariance:
    """A covariance matrix that knows what it is.

    Attributes
    ----------
    matrix : ndarray, shape (K, K)
    kind : str
        ``"hessian"``, ``"bhhh"``, ``"robust"``, ``"cluster"``, ...
    groups : tuple of str
        Names of the clusterings; empty if there is none.
    group_counts : tuple of int
        Number of groups in each clustering.
    ssc : str
        Convention of the small-sample factor.
    notes : tuple of str
        What the reader must know, e.g. that an eigenvalue was repaired.
    """

    matrix: Array
    kind: str
    groups: tuple[str, ...] = ()
    group_counts: tuple[int, ...] = ()
    ssc: SmallSample = "none"
    notes: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Covariance":
        """Rebuild a covariance from what :meth:`Result.to_dict` wrote."""
        return cls(
            np.array(saved["matrix"], dtype=np.float64),
            saved["kind"],
            tuple(saved["groups"]),
            tuple(saved["group_counts"]),
            saved["ssc"],
            tuple(saved["notes"]),
        )

    @property
    def short(self) -> str:
        """Say it in the width of a table's column."""
        kind = "" if self.kind == "cluster" else f"{self.kind} "
        return f"{kind}by {' & '.join(self.groups)}" if self.groups else self.kind

    @property
    def footnotes(self) -> tuple[str, ...]:
        """What a summary adds below the table."""
        clusters = (f"Standard errors: {self.label}.",) if self.groups else ()
        return (*clusters, *self.notes)

    @property
    def label(self) -> str:
        """Say which standard errors these are, in one phrase."""
        if not self.groups:
            return self.kind
        ways = ", ".join(
            f"{name} ({count:,})"
            for name, count in zip(self.groups, self.group_counts, strict=True)
        )
        # The jackknife has a factor of its own.
        factor = "" if self.kind == "CRV3" else f"; small-sample factor: {self.ssc}"
        return f"{self.kind} by {ways}{factor}"


@dataclass(frozen=True, eq=False, repr=False)
class Estimates:
    """Estimates, whatever of, and how sure they are.

    Attributes
    ----------
    names : tuple of str, length K
    estimate : ndarray, shape (K,)
    covariance : Covariance
    """

    names: tuple[str, ...]
    estimate: Array
    covariance: Covariance

    @cached_property
    def params(self) -> pd.Series:
        """Estimates, by name."""
        return pd.Series(self.estimate.copy(), index=list(self.names), name="params")

    @cached_property
    def bse(self) -> pd.Series:
        """Standard errors, by name.

        Raises
        ------
        EstimationError
            If a variance is negative.
        """
        V = self.covariance.matrix
        variance = np.diag(V)
        negative = np.flatnonzero(variance < -1e-12 * np.abs(V).max(initial=0.0))
        if len(negative):
            some = enumerate_some([f"'{self.names[int(k)]}'" for k in negative])
            raise EstimationError(
                f"the covariance ({self.covariance.kind}) gives {some} a negative variance, so "
                "there is no standard error; the estimate may be no maximum or the term not "
                "identified: choose another covariance or a simpler model."
            )
        root = np.sqrt(np.where(variance < 0, 0.0, variance))
        return pd.Series(root, index=list(self.names), name="bse")

    @cached_property
    def tvalues(self) -> pd.Series:
        """Estimates over their standard errors."""
        return (self.params / self.bse).rename("tvalues")

    @cached_property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values under the normal distribution."""
        return pd.Series(2 * ndtr(-np.abs(self.tvalues)), index=list(self.names), name="pvalues")

    def cov_params(self) -> pd.DataFrame:
        """Return the covariance matrix of the estimates, labelled."""
        names = list(self.names)
        return pd.DataFrame(self.covariance.matrix.copy(), index=names, columns=names)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return normal confidence limits at level ``1 - alpha``.

        Raises
        ------
        SpecificationError
            If ``alpha`` is not between 0 and 1.
        """
        if not 0 < alpha < 1:
            raise SpecificationError(f"alpha is {alpha}; it must lie between 0 and 1.")
        reach = -ndtri(alpha / 2) * self.bse
        return pd.DataFrame({"lower": self.params - reach, "upper": self.params + reach})

    def wald_test(self, hypothesis: Hypothesis) -> HypothesisTest:
        """Test linear restrictions on the parameters.

        Parameters
        ----------
        hypothesis
            One restriction or several: ``"cost = time"``, ``["cost = 0", "time = -1"]``,
            ``"cost = time = 0"``, ``{"cost": -1}``, or a matrix R of shape (Q, K), tested against
            zero. Names may stand in backticks.

        Raises
        ------
        SpecificationError
            If a restriction cannot be read, or the restrictions repeat each other.
        """
        R, q, lines = self._restrictions(hypothesis)
        text = ", ".join(lines)
        gap = R @ self.estimate - q
        spread = R @ self.covariance.matrix @ R.T
        rank = int(np.linalg.matrix_rank(R))
        if rank < len(R):
            raise SpecificationError(
                f"the restrictions {text} repeat or contradict each other "
                f"({len(R)} given, {rank} independent); leave out the redundant ones."
            )
        scale = np.sqrt(np.diag(spread))
        if not (scale > 0).all() or np.linalg.cond(spread / np.outer(scale, scale)) > 1e13:
            reason = "the model's own constraints fix a combination of these parameters"
            clusters = min(self.covariance.group_counts, default=np.inf)
            if clusters <= rank:
                reason = (
                    f"{clusters} clusters tell {clusters - 1} restrictions apart at most; test "
                    "fewer of them, or take another covariance"
                )
            return HypothesisTest.refused("Wald test", text, reason, df=rank)
        return HypothesisTest.chi2(
            "Wald test", text, float(gap @ np.linalg.solve(spread, gap)), rank
        )

    def t_test(self, hypothesis: Hypothesis) -> pd.DataFrame:
        """Test each restriction by itself; one row a restriction, as a labelled table."""
        R, q, lines = self._restrictions(hypothesis)
        value = R @ self.estimate
        se = np.sqrt(np.einsum("qk,kl,ql->q", R, self.covariance.matrix, R))
        z = (value - q) / se
        labels = lines if len(lines) == len(R) else list(range(len(R)))
        return pd.DataFrame(
            {
                "coef": value,
                "hypothesis": q,
                "bse": se,
                "z": z,
                "pvalue": 2 * ndtr(-np.abs(z)),
            },
            index=pd.Index(labels, name="restriction"),
        )

    def _restrictions(self, hypothesis: Hypothesis) -> tuple[Array, Array, list[str]]:
        """Read restrictions into ``R`` (Q, K), ``q`` (Q,) and their text."""
        if isinstance(hypothesis, np.ndarray):
            R = np.atleast_2d(np.asarray(hypothesis, dtype=np.float64))
            if R.shape[1] != len(self.names):
                raise SpecificationError(
                    f"the restriction matrix has {R.shape[1]} columns; the model has "
                    f"{len(self.names)} parameters."
                )
            return R, np.zeros(len(R)), ["R b = 0"]
        single = single_equations(equation_lines(hypothesis, "the hypothesis"), self.names)
        if not single:
            raise SpecificationError("no restriction was given; write for example 'cost = time'.")
        R, q = linear_equations(single, self.names)
        return R, q, single
