"""Calibration of the laws of opportunities, with or without a parameter.

With ``f_od = m_o p(d | o; theta)`` and the factors a_o and b_d that the constraint asks for, the
expected flow is ``mu_od = a_o b_d f_od`` and the log-likelihood, the factors concentrated out,
``sum of y ln mu - mu``. Its slope in theta is ``sum of (y - mu) d ln f``, since the factors are at
their own maximum. The Poisson model with regressor ``d ln f`` and offset ``ln f`` touches this one
at the estimate: its covariances, with the curvature of ``ln f`` added to the Hessian, are ours.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from choicemodels.errors import (
    DataError,
    EstimationError,
    SpecificationError,
    enumerate_some,
)
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.interaction.inputs import LawInputs, law_inputs
from choicemodels.interaction.laws import LawValues, conditional
from choicemodels.interaction.models import InteractionModel, OpportunityModel
from estimation.gravity.fit import fit_gravity
from estimation.gravity.result import GravityResult
from estimation.interaction.constraints import ConstrainedFlows, constrained
from estimation.interaction.result import InteractionResult, InteractionSample
from estimation.results import Covariance
from estimation.roots import falling_roots

__all__ = ["LawProblem", "fit_law", "without_flow"]

Array = NDArray[np.float64]

_SLOPE, _LAW = "law_slope", "law_offset"


@dataclass(frozen=True, eq=False)
class LawProblem:
    """A law, the rows it speaks to, and the flows that give the totals.

    Attributes
    ----------
    model : OpportunityModel
    at : LawInputs
    y : ndarray, shape (N,)
    """

    model: OpportunityModel
    at: LawInputs
    y: Array

    def law(self, theta: float) -> LawValues:
        """Return ``ln f`` and its derivatives."""
        values = conditional(self.model.law(theta, self.at), self.at.origin)
        return replace(values, log=values.log + np.log(self.at.origin_mass))

    def flows(
        self, theta: float, *, tol: float = 1e-12, max_iterations: int = 10_000
    ) -> ConstrainedFlows:
        """Return the expected flows; options as of :func:`constrained`.

        Raises
        ------
        DataError, EstimationError
            If the totals cannot be met.
        """
        at, log = self.at, self.law(theta).log
        return constrained(
            log, at.origin, at.destination, self.y, self.model,
            tol=tol, max_iterations=max_iterations,
        )  # fmt: skip

    def value(self, theta: float) -> float:
        """Return the log-likelihood up to a constant, coarsely; for the search on a grid."""
        try:
            found = self.flows(theta, tol=1e-4, max_iterations=500)
        except (DataError, EstimationError):
            return -np.inf
        return float(_weighted(self.y, found.log_mu) - found.mu.sum())

    def slope(self, theta: float) -> float:
        """Return the derivative of the log-likelihood."""
        return float(((self.y - self.flows(theta).mu) * self.law(theta).first).sum())

    def estimate(self) -> float:
        """Return the maximum-likelihood estimate of the parameter.

        Raises
        ------
        EstimationError
            If the likelihood still rises at the ends of the range that is searched.
        """
        grid = self.model.grid(self.at)
        values = [self.value(theta) for theta in grid]
        best = int(np.argmax(values))
        if best in (0, len(grid) - 1):
            raise EstimationError(
                f"the likelihood rises until {self.model.parameter} = {grid[best]:.4g}, the "
                f"{'lower' if best == 0 else 'upper'} end of the range that is searched: these "
                "flows do not follow the law; try another, or rescale the masses."
            )
        positive = self.model.positive
        x = np.log(grid) if positive else grid

        def slope(step: Array) -> Array:
            point = x[best] + float(step)
            theta = np.exp(point) if positive else point
            return np.asarray(self.slope(theta) * (theta if positive else 1.0))

        sign = np.sign(slope(np.zeros(())))
        reach = np.asarray(x[best + int(sign)] - x[best])
        found = float(x[best] + falling_roots(slope, reach, self._no_maximum))
        return float(np.exp(found)) if positive else found

    def _no_maximum(self, _: NDArray[np.bool_]) -> EstimationError:
        return EstimationError(
            f"the likelihood of {type(self.model).__name__} has no maximum in "
            f"{self.model.parameter}: these flows do not follow the law; try another."
        )


def fit_law(
    model: OpportunityModel, data: FlowData, *, cov: str, groups: Any, ssc: Any
) -> InteractionResult:
    """Calibrate a law of opportunities; options as of :func:`fit_interaction`."""
    at = law_inputs(data, model.cost, model.origin_mass, model.destination_mass, model.ties)
    problem = LawProblem(model, at, data.y[at.rows])
    if not problem.y.any():
        raise DataError("every flow between places is zero; there is nothing to explain.")
    theta = problem.estimate() if model.parameter else np.nan
    found = problem.flows(theta)
    gravity = None
    if model.parameter:
        gravity = _tangent(problem, data, theta, found, cov=cov, groups=groups, ssc=ssc)
    elif groups is not None:
        raise SpecificationError(
            f"{type(model).__name__} estimates nothing, so groups= has no use."
        )
    impossible = np.flatnonzero((problem.y > 0) & (found.mu == 0))
    return InteractionResult(
        names=() if gravity is None else gravity.names,
        estimate=np.zeros(0) if gravity is None else gravity.estimate,
        covariance=Covariance(np.zeros((0, 0)), "none") if gravity is None else gravity.covariance,
        llf=_loglike(problem.y, found),
        nobs=len(at.rows) if gravity is None else gravity.nobs,
        model=model,
        depvar=data.flow,
        sample=InteractionSample(data, at.rows, found.mu),
        row_factors=_labelled(found.row_factors, data, data.origin, at)
        if model.constrains_origins
        else pd.Series(dtype=np.float64),
        column_factors=_labelled(found.column_factors, data, data.destination, at)
        if model.constrains_destinations
        else pd.Series(dtype=np.float64),
        deviance=_deviance(problem.y, found),
        gravity=gravity,
        notes=(*without_flow(model, data), *_impossible(impossible, at.rows)),
    )


def _tangent(
    problem: LawProblem,
    data: FlowData,
    theta: float,
    found: ConstrainedFlows,
    *,
    cov: str,
    groups: Any,
    ssc: Any,
) -> GravityResult:
    """Fit the Poisson model that touches the law at its estimate."""
    law, rows, name = problem.law(theta), problem.at.rows, problem.model.parameter
    table = data.table.iloc[rows].assign(**{_SLOPE: law.first, _LAW: law.log})
    tangent = FlowData(table, data.origin, data.destination, data.flow, data.time)
    effects = problem.model.effects(data.origin, data.destination)
    formula = f"{_SLOPE} | {effects}" if effects else _SLOPE
    result = fit_gravity(
        Gravity(formula, offset=_LAW), tangent, cov="hessian", ssc=ssc, tol=1e-12,
        drop_singletons=False,
    )  # fmt: skip
    hessian, estimate = result.hessian.copy(), result.estimate.copy()
    k = result.names.index(_SLOPE)
    hessian[k, k] += float(((problem.y - found.mu) * law.second).sum())
    estimate[k] = theta
    names = tuple(name if n == _SLOPE else n for n in result.names)
    result = replace(result, names=names, estimate=estimate, hessian=hessian)
    return result.with_cov(cov, groups=groups, ssc=ssc)


def without_flow(model: InteractionModel, data: FlowData) -> tuple[str, ...]:
    """Say which constrained places have no flow at all, so that the model gives them none."""
    notes = []
    for side, held, word in (
        (data.origin, model.constrains_origins, "out of"),
        (data.destination, model.constrains_destinations, "into"),
    ):
        factor = data.factor(f"`{side}`")
        total = np.bincount(factor.codes, data.y, minlength=factor.size)
        empty = np.flatnonzero(total == 0)
        if held and len(empty):
            labels = factor.labels(empty).tolist()
            notes.append(
                f"no flow {word} {len(empty):,} places ({enumerate_some(labels)}): the "
                "constraint gives them none, and their rows tell nothing about the parameters."
            )
    return tuple(notes)


def _impossible(positions: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[str, ...]:
    if len(positions) == 0:
        return ()
    return (
        f"{len(positions):,} flows were observed where the law gives none (rows "
        f"{enumerate_some(rows[positions].tolist())}): the likelihood is zero, the deviance "
        "infinite.",
    )


def _labelled(values: Array, data: FlowData, side: str, at: LawInputs) -> "pd.Series[float]":
    codes = at.origin if side == data.origin else at.destination
    labels = data.table[side].to_numpy()[at.rows]
    known = pd.Series(values[codes], index=pd.Index(labels, name=side)).groupby(level=0).first()
    return known[known > 0]


def _weighted(y: Array, log_mu: Array) -> float:
    """Return the sum of ``y ln mu``, zero flows left out."""
    some = y > 0
    return float((y[some] * log_mu[some]).sum())


def _loglike(y: Array, found: ConstrainedFlows) -> float:
    return _weighted(y, found.log_mu) - float((found.mu + gammaln(y + 1)).sum())


def _deviance(y: Array, found: ConstrainedFlows) -> float:
    fitted = _weighted(y, found.log_mu) - float(found.mu.sum())
    return 2 * (float((xlogy(y, y) - y).sum()) - fitted)
