"""Diagnostics of a gravity model: is the mean right, which variance, and how many zeros.

Consistency of Poisson pseudo-maximum likelihood needs the mean alone; RESET tests it, by powers of
the linear predictor that should add nothing [Ramsey1969]_, [SantosSilvaTenreyro2006]_. The
others ask about the variance, on which efficiency depends, and probabilities: Park's regression
of squared residuals on the mean [ManningMullahy2001]_, equidispersion [CameronTrivedi1990]_, and
the share of zeros that a Poisson or a negative binomial variable with these means would have.

A test that does not apply says why, as elsewhere; see :mod:`estimation.choice.specification_tests`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    SpecificationError,
)
from estimation.covariance import inverse_information, sandwich
from estimation.estimates import Covariance, Estimates
from estimation.gravity.covariance import gravity_covariance
from estimation.gravity.ppml import ppml_dense
from estimation.gravity.problem import problem_of
from estimation.gravity.result import GravityResult
from estimation.gravity.sample import Sample
from estimation.hypothesis import HypothesisTest
from estimation.table import Table, frame_table

__all__ = [
    "Diagnosis",
    "ParkTest",
    "ZeroShare",
    "diagnose",
    "overdispersion_test",
    "park_test",
    "reset_test",
    "zero_share",
]

Array = NDArray[np.float64]

_SAVED = "a saved result does not keep the data"
# What the variance is proportional to, by the power of the mean: the estimator it makes efficient.
_EFFICIENT = {0: "nonlinear least squares", 1: "Poisson", 2: "gamma pseudo-maximum likelihood"}


def reset_test(result: GravityResult, powers: int | Sequence[int] = (2,)) -> HypothesisTest:
    """Test the mean by powers of the linear predictor (Ramsey's RESET).

    The model is fitted again with powers of ``log(mu)``, fixed effects and offset included, beside
    its regressors, and these are tested jointly by Wald's test, under the covariance that the
    result shows (its small-sample factor and leverages are those of the model tested).

    Parameters
    ----------
    result
    powers
        One or several, two or more, each once.

    Returns
    -------
    HypothesisTest
        It does not apply if the powers are swallowed by regressors and fixed effects, separate
        rows, or do not converge, or if the covariance needs the refits of the jackknife or
        belongs to corrected coefficients.

    Raises
    ------
    SpecificationError
        If a power is less than two or repeated.
    """
    powers = (powers,) if isinstance(powers, int) else tuple(powers)
    if not powers or min(powers) < 2 or len(set(powers)) < len(powers):
        raise SpecificationError(
            f"the powers are {powers}; they must be two or more, each of them once."
        )
    name, listed = "RESET", ", ".join(str(p) for p in powers)
    null = f"no power {listed} of the linear predictor in the mean"
    sample, middle, df = result.sample, result.middle, len(powers)
    if sample is None:
        return HypothesisTest.refused(name, null, _SAVED, df=df)
    if middle is None:
        kind = result.covariance.kind
        reason = f"the '{kind}' covariance is of this fit alone; choose with_cov('cluster')"
        return HypothesisTest.refused(name, null, reason, df=df)
    eta = np.log(sample.mu)
    scale = float(np.abs(eta).max()) or 1.0
    added = [(eta / scale) ** power for power in powers]
    problem = problem_of(sample, result.terms, result.model)
    names = (*problem.names, *(f"linear predictor^{power}" for power in powers))
    larger = replace(problem, X=np.vstack([problem.X, *added]), names=names)
    everything = np.arange(len(eta))
    try:
        found = larger.run(everything, drop_separated=False, singletons=False)
    except (IdentificationError, EstimationError) as problem_found:
        return HypothesisTest.refused(name, null, str(problem_found).rstrip("."), df=df)
    if not found.fit.converged:
        reason = "the fit with powers of the linear predictor did not converge"
        return HypothesisTest.refused(name, null, reason, df=df)
    fit = found.fit
    scores = np.ascontiguousarray((fit.X_within * (found.y - fit.mu)).T)
    covariance = gravity_covariance(middle, fit.hessian, names, scores, scores.T @ scores)
    tested = Estimates(names, fit.beta, covariance).wald_test(np.eye(len(names))[-df:])
    note = f"standard errors: {covariance.label}"
    return replace(tested, name=name, hypothesis=null, note="" if tested.reason else note)


@dataclass(frozen=True, eq=False)
class ParkTest:
    """How the variance of flows grows with their mean.

    Attributes
    ----------
    variance : Estimates
        Of ``"log scale"`` and ``"power"`` in ``Var(y) = exp(log scale) mu^power``.
    tests : tuple of HypothesisTest
        Of the powers 0, 1 and 2.
    gnr : HypothesisTest
        Of the power 1, by Santos Silva and Tenreyro's Gauss–Newton regression.
    """

    variance: Estimates
    tests: tuple[HypothesisTest, ...]
    gnr: HypothesisTest

    @property
    def power(self) -> float:
        """The estimated power of the mean."""
        return float(self.variance.params["power"])

    def __str__(self) -> str:
        power, se = self.power, self.variance.bse["power"]
        head = f"Variance as a power of the mean: {power:.4f} (robust std err {se:.4f})."
        return "\n".join([head, *map(str, self.tests), str(self.gnr)])


def park_test(result: GravityResult) -> ParkTest:
    """Find the power of the mean to which the variance of flows is proportional.

    ``E[(y - mu)^2] = exp(a + p log mu)`` is fitted by Poisson pseudo-maximum likelihood, as
    [ManningMullahy2001]_ advise, with robust standard errors: p is 1 where Poisson
    pseudo-maximum likelihood is efficient, 2 for the gamma, 0 for nonlinear least squares. The
    Gauss–Newton regression of [SantosSilvaTenreyro2006]_ tests p = 1 without estimating it:
    ``(y - mu)^2 / sqrt(mu)`` on ``sqrt(mu)`` and ``log(mu) sqrt(mu)``, the second of which should
    not matter. Both take rows for independent and the fitted mean for the true one.

    Parameters
    ----------
    result

    Raises
    ------
    EstimationError
        If the result was read from a file, or the fitted flows are all alike.
    """
    sample = _with_data(result)
    w = np.ones(len(sample.mu)) if sample.weights is None else sample.weights
    mu, squares = sample.mu, (sample.data.y[sample.rows] - sample.mu) ** 2
    if np.ptp(np.log(mu)) < 1e-8 or not squares.any():
        raise EstimationError(
            "the fitted flows are all alike, or meet every flow: they cannot tell how the variance "
            "depends on the mean."
        )
    # A scale near one keeps the iterations well away from overflow.
    size = float(np.average(squares, weights=w))
    X = np.array([np.ones_like(mu), np.log(mu)])
    names = ("log scale", "power")
    fit = ppml_dense(w * squares / size, X, names, offset=np.log(w))
    scores = X * (w * squares / size - fit.mu)
    V = sandwich(inverse_information(fit.hessian, names), scores @ scores.T)
    beta = fit.beta + np.array([np.log(size), 0.0])
    variance = Estimates(names, beta, Covariance(V, "robust"))
    tests = tuple(
        replace(
            variance.wald_test(f"power = {p}"),
            name="Park test",
            hypothesis=f"a variance proportional to mu^{p}, where {_EFFICIENT[p]} is efficient",
        )
        for p in _EFFICIENT
    )
    root = np.sqrt(mu)
    coefficients, spread = _robust_least_squares(
        squares / (size * root), np.array([root, np.log(mu) * root]), w
    )
    statistic = coefficients[1] ** 2 / spread[1, 1]
    gnr = HypothesisTest.chi2(
        "Gauss-Newton regression", "a variance proportional to mu", statistic, 1
    )
    return ParkTest(variance, tests, gnr)


def _robust_least_squares(y: Array, X: Array, w: Array) -> tuple[Array, Array]:
    """Regress y on the rows of X with weights; return the coefficients and their HC0 covariance."""
    bread = np.linalg.inv((X * w) @ X.T)
    b = bread @ (X @ (w * y))
    scores = X * (w * (y - b @ X))
    return b, sandwich(np.asarray(bread), scores @ scores.T)


def overdispersion_test(
    result: GravityResult, against: Literal["nb2", "nb1"] = "nb2", *, adjust: bool = True
) -> HypothesisTest:
    """Test equidispersion of counts against a variance beyond the mean (Cameron and Trivedi).

    Under ``Var(y) = mu + alpha g(mu)``, ``((y - mu)^2 - y) / mu`` has the mean
    ``alpha g(mu) / mu``; the test is on alpha in this regression, without a constant, with the
    standard error HC3 [CameronTrivedi1990]_. The note gives alpha: below zero is underdispersion.

    Parameters
    ----------
    result
    against
        ``"nb2"`` has ``g = mu^2``, ``"nb1"`` has ``g = mu``.
    adjust
        Add ``h mu`` to the squares, h the leverages: fitted means follow the flows, the more
        so the more fixed effects there are, and would pass for underdispersion
        [DeanLawless1989]_.

    Returns
    -------
    HypothesisTest
        It does not apply to flows that are not counts, whose dispersion depends on their unit,
        nor to weighted rows, nor adjusted to more effects than leverages are computed for.

    Raises
    ------
    SpecificationError
        If the alternative is unknown.
    """
    if against not in ("nb2", "nb1"):
        raise SpecificationError(f"the alternative '{against}' is unknown; choose nb2 or nb1.")
    name, null = "Overdispersion test", f"equidispersion, against {against.upper()}"
    reason = _not_counts(result)
    if not reason and result.weights:
        reason = "the rows are weighted, and a weight changes the variance of a row"
    if reason:
        return HypothesisTest.refused(name, null, reason, df=1)
    sample = _with_data(result)
    y, mu = sample.data.y[sample.rows], sample.mu
    squares = (y - mu) ** 2
    if adjust:
        try:
            squares += mu * result.leverages().to_numpy()
        except EstimationError:
            reason = "the model has too many effects for leverages; ask for adjust=False"
            return HypothesisTest.refused(name, null, reason, df=1)
    z = (squares - y) / mu
    x = mu if against == "nb2" else np.ones_like(mu)
    alpha = float(x @ z / (x @ x))
    residual = (z - alpha * x) / (1 - x**2 / (x @ x))
    variance = float((x * residual) @ (x * residual)) / float(x @ x) ** 2
    note = f"alpha {alpha:.4g}, std err {np.sqrt(variance):.4g}"
    return HypothesisTest.chi2(name, null, alpha**2 / variance, 1, note)


@dataclass(frozen=True)
class ZeroShare:
    """Shares of zeros among the rows used.

    Attributes
    ----------
    observed : float
    poisson : float
        Mean probability ``exp(-mu)``.
    negative_binomial : float
        Mean probability ``(1 + alpha mu)^(-1 / alpha)``.
    alpha : float
        The dispersion that the second moments imply; zero if they show none.
    left_out : int
        Rows without flow that were not used: no finite estimate fits them, or their groups are
        zero throughout.
    """

    observed: float
    poisson: float
    negative_binomial: float
    alpha: float
    left_out: int

    def __str__(self) -> str:
        return (
            f"Zeros: {self.observed:.1%} observed, {self.poisson:.1%} under Poisson, "
            f"{self.negative_binomial:.1%} under a negative binomial (alpha {self.alpha:.4g}); "
            f"{self.left_out:,} rows without flow were not used."
        )


def zero_share(result: GravityResult) -> ZeroShare:
    """Compare the share of zeros with what counts of the fitted means would have.

    The negative binomial is the NB2 with these means and the alpha of the second moments,
    ``sum((y - mu)^2 - y) / sum(mu^2)``. More zeros than under Poisson do not make its estimates
    inconsistent; they say that it is not the distribution.

    Parameters
    ----------
    result

    Raises
    ------
    EstimationError
        If the result was read from a file.
    DataError
        If flows are not whole numbers.
    """
    sample = _with_data(result)
    reason = _not_counts(result)
    if reason:
        raise DataError(f"the share of zeros cannot be predicted: {reason}.")
    y, mu, w = sample.data.y[sample.rows], sample.mu, sample.weights
    w = np.ones_like(mu) if w is None else w
    alpha = max(float(w @ ((y - mu) ** 2 - y)) / float(w @ mu**2), 0.0)
    poisson = np.exp(-mu)
    binomial = np.exp(-np.log1p(alpha * mu) / alpha) if alpha else poisson
    observed, p, nb = (float(np.average(z, weights=w)) for z in (y == 0, poisson, binomial))
    return ZeroShare(observed, p, nb, alpha, int((sample.data.y == 0).sum() - (y == 0).sum()))


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """All diagnostics of a model.

    Attributes
    ----------
    tests : tuple of HypothesisTest
        RESET, Park's for the powers 0, 1 and 2, the Gauss–Newton regression and two of
        overdispersion.
    park : ParkTest
    zeros : ZeroShare or None
        None if flows are not counts.
    """

    tests: tuple[HypothesisTest, ...]
    park: ParkTest
    zeros: ZeroShare | None

    @property
    def frame(self) -> pd.DataFrame:
        """One row a test: hypothesis, statistic, df, pvalue, and what else is to be known."""
        return pd.DataFrame(
            [
                (t.name, t.hypothesis, t.statistic, t.df, t.pvalue, t.reason or t.note)
                for t in self.tests
            ],
            columns=["test", "hypothesis", "statistic", "df", "pvalue", "note"],
        ).set_index("test")

    def table(self) -> Table:
        """Return the tests as a table that can be saved."""
        frame = self.frame
        for column, digits in (("statistic", 3), ("pvalue", 4)):
            frame[column] = [
                "" if value is None or pd.isna(value) else f"{value:.{digits}f}"
                for value in frame[column]
            ]
        return frame_table(frame, note="" if self.zeros is None else str(self.zeros))

    def __str__(self) -> str:
        lines = [str(test) for test in self.tests]
        return "\n".join(lines if self.zeros is None else [*lines, str(self.zeros)])


def diagnose(result: GravityResult, powers: Sequence[int] = (2,)) -> Diagnosis:
    """Run all diagnostics of a gravity model.

    Parameters
    ----------
    result
    powers
        Of the linear predictor, for :func:`reset_test`.

    Raises
    ------
    EstimationError
        If the result was read from a file, or :func:`park_test` is not possible.
    SpecificationError
        If a power is less than two or repeated.
    """
    park = park_test(result)
    dispersion = (overdispersion_test(result), overdispersion_test(result, "nb1"))
    tests = (reset_test(result, powers), *park.tests, park.gnr, *dispersion)
    return Diagnosis(tests, park, None if _not_counts(result) else zero_share(result))


def _with_data(result: GravityResult) -> Sample:
    if result.sample is None:
        raise EstimationError(
            "this result was read from a file, without its data; fit again for diagnostics."
        )
    return result.sample


def _not_counts(result: GravityResult) -> str:
    """Say why nothing about counts can be asked of a model; nothing if it can."""
    if result.sample is None:
        return _SAVED
    y = result.sample.data.y[result.sample.rows]
    if (y == np.floor(y)).all():
        return ""
    return "the flows are amounts and not counts, so their dispersion depends on the unit"
