"""PPML with endogenous regressors, by a control function.

Each endogenous regressor is regressed, by least squares and with the same fixed effects, on the
exogenous ones and the excluded instruments,

    x_od = z_od' pi + fixed effects + v_od,    E[y_od | x, z, v] = exp(x_od' beta + rho v_od + ...),

and its residual enters the Poisson regression beside it. If ``v`` carries what makes x endogenous,
beta is consistent, and ``rho = 0`` is exogeneity [Wooldridge2014]_, [LinWooldridge2019]_. The
residuals are estimates: the bootstrap goes through both stages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import (
    DataError,
    EstimationError,
    NestflowError,
    SpecificationError,
)
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.formula import split_parts
from estimation.covariance import SmallSample, group_codes
from estimation.gravity.fit import fit_gravity
from estimation.gravity.inputs import read_inputs
from estimation.gravity.linear import instrument_terms, locate_endogenous
from estimation.gravity.linear_result import LinearResult, excluded_f
from estimation.gravity.ppml import Stopping
from estimation.gravity.problem import problem_of
from estimation.gravity.regression import Layout, first_stages, lay_out, project
from estimation.gravity.result import GravityResult
from estimation.gravity.search import Search
from estimation.gravity.within import absorb_effects
from estimation.hypothesis import HypothesisTest
from estimation.results import Covariance

__all__ = ["ControlFunction", "control_function"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class ControlFunction:
    """A gravity model with endogenous regressors.

    Attributes
    ----------
    result : GravityResult
        The second stage; the residuals are regressors of it, called ``residual(x)``, and its
        covariance is the bootstrap's; others, by ``with_cov``, take the residuals for known.
    first_stages : tuple of LinearResult
    exogeneity : HypothesisTest
        That no residual matters, under the second stage's own covariance: by the hypothesis
        it need not account for the first.
    draws : DataFrame
        One row a replicate that succeeded, by its number; one column a coefficient.
    failures : Series
        Why the other replicates failed, by number.
    """

    result: GravityResult
    first_stages: tuple[LinearResult, ...]
    exogeneity: HypothesisTest
    draws: pd.DataFrame
    failures: "pd.Series[str]"

    def __repr__(self) -> str:
        return f"<ControlFunction: {', '.join(s.depvar for s in self.first_stages)} instrumented>"

    @property
    def first_stage_f(self) -> "pd.Series[float]":
        """F statistic of the excluded instruments in each first stage."""
        value = {stage.depvar: excluded_f(stage) for stage in self.first_stages}
        return pd.Series(value, dtype=np.float64, name="first_stage_f")

    def __str__(self) -> str:
        strength = [f"First-stage F, {name}: {f:,.2f}." for name, f in self.first_stage_f.items()]
        return "\n".join([str(self.result.summary()), *strength, str(self.exogeneity)])


def control_function(
    model: Gravity,
    data: FlowData,
    *,
    endogenous: str | Sequence[str],
    instruments: str,
    degree: int = 1,
    groups: str | NDArray[Any] | None = None,
    replications: int = 399,
    seed: int = 0,
    ssc: SmallSample = "fixest",
    weights: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ControlFunction:
    """Estimate a gravity model some of whose regressors are endogenous.

    Parameters
    ----------
    model
        Its formula holds all regressors, the endogenous ones too.
    data
    endogenous
        Names of the regressors that instruments are needed for.
    instruments
        The excluded instruments, as the first part of a formula.
    degree
        Powers of the residuals that enter: 1, or 2 or 3 where the residual may not enter
        linearly.
    groups
        What is resampled: a column, several joined by ``^``, or a label for each row. By default
        the pairs of places if the data have periods, else the rows.
    replications
        Number of resamples.
    seed
        Of the streams; each replicate has its own.
    ssc
        Small-sample factor of the covariances of the first stages and of the test.
    weights
        Name of a column by which rows count.
    progress
        Called with the number of replicates done and asked for.

    Raises
    ------
    SpecificationError
        If an option is not one, or there are fewer instruments than endogenous regressors.
    DataError
        If a column is missing or not finite.
    IdentificationError
        If regressors, instruments or residuals are collinear or swallowed by the effects.
    EstimationError
        If most replicates fail.
    """
    if replications < 2:
        raise SpecificationError(f"replications is {replications}; a covariance needs two.")
    if degree not in (1, 2, 3):
        raise SpecificationError(f"degree is {degree}; it is 1, 2 or 3.")
    inputs = read_inputs(model, data, weights)
    located = locate_endogenous(inputs.terms, endogenous)
    if not located:
        raise SpecificationError("no regressor is endogenous; use fit().")
    excluded = instrument_terms(instruments, data, located, inputs.terms)
    resampled, codes = _grouping(groups, data)
    rows = np.flatnonzero(inputs.counted)
    layout = lay_out(inputs, excluded, data.y[rows], rows, [])
    K, troubled = len(inputs.terms), [k + 1 for k in located]
    stages = first_stages(layout, troubled, range(K + 1, K + 1 + len(excluded)))
    names = [f"residual({stage.depvar})" for stage, _ in stages]
    controls = _powers(np.stack([v for _, v in stages]), names, degree)
    second = _second_stage(model, data, rows, controls, weights)
    kind: dict[str, Any] = (
        {"kind": "cluster", "groups": pd.Series(codes, name=resampled)}
        if resampled
        else {"kind": "robust"}
    )
    second = second.with_cov(**kind, ssc=ssc)
    replicas = _Replicas(layout, troubled, second, tuple(controls), degree, codes)
    draws, failures = _resample(replicas, replications, seed, progress)
    G = int(codes.max()) + 1
    covariance = Covariance(
        np.atleast_2d(np.cov(draws.to_numpy(), rowvar=False)),
        "bootstrap",
        (resampled,) if resampled else (),
        (G,) if resampled else (),
        notes=(_note(len(draws), failures, resampled, G, seed),),
    )
    return ControlFunction(
        replace(second, covariance=covariance, middle=None),
        tuple(stage.with_cov(**kind, ssc=ssc) for stage, _ in stages),
        _exogeneity(second, list(controls)),
        draws,
        failures,
    )


def _grouping(groups: str | NDArray[Any] | None, data: FlowData) -> tuple[str, Codes]:
    """Return what is resampled, empty for rows, and the group of every row of the data."""
    if groups is None:
        if not data.time:
            return "", np.arange(data.nobs)
        groups = f"`{data.origin}`^`{data.destination}`"
    if isinstance(groups, str):
        factor = data.factor(groups)
        name, labels = factor.name, factor.codes
    else:
        name, labels = str(getattr(groups, "name", None) or "groups"), np.asarray(groups)
        if labels.shape != (data.nobs,):
            raise DataError(
                "the bootstrap resamples one grouping: a column, several joined by '^', or one "
                f"label for each of the {data.nobs:,} rows."
            )
    codes = group_codes(labels, name)
    if int(codes.max()) < 1:
        raise SpecificationError(f"'{name}' has a single group, which cannot be resampled.")
    return name, codes


def _exogeneity(second: GravityResult, controls: Sequence[str]) -> HypothesisTest:
    """Test that no control matters."""
    at = [second.names.index(name) for name in controls]
    rho, matrix = second.estimate[at], second.covariance.matrix[np.ix_(at, at)]
    statistic = float(rho @ np.linalg.solve(matrix, rho))
    note = second.covariance.short
    return HypothesisTest.chi2("Control-function test", "exogeneity", statistic, len(at), note)


def _powers(residuals: Array, names: Sequence[str], degree: int) -> dict[str, Array]:
    """Return the controls by name: powers of the residuals."""
    return {
        name if power == 1 else f"{name}^{power}": v**power
        for name, v in zip(names, residuals, strict=True)
        for power in range(1, degree + 1)
    }


def _second_stage(
    model: Gravity,
    data: FlowData,
    rows: Codes,
    controls: dict[str, Array],
    weights: str | None,
) -> GravityResult:
    columns = {}
    for name, values in controls.items():
        columns[name] = np.zeros(data.nobs)
        columns[name][rows] = values
    first, *effects = split_parts(model.formula, 2)
    formula = " + ".join([first, *(f"`{name}`" for name in controls)])
    augmented = replace(model, formula=" | ".join([formula, *effects]))
    second = fit_gravity(augmented, data.with_columns(**columns), weights=weights)
    lost = [name for name in controls if name not in second.names]
    if lost:
        raise EstimationError(
            f"'{lost[0]}' is not identified once separated rows are dropped, so that the "
            "endogenous regressor cannot be corrected; use stronger instruments or coarser "
            "effects."
        )
    return second


@dataclass(frozen=True, eq=False)
class _Replicas:
    """Both stages, ready to be estimated with other weights.

    Attributes
    ----------
    layout : Layout
        Of the first stage.
    troubled : list of int
        Columns of the endogenous regressors.
    second : GravityResult
    controls : tuple of str
    degree : int
    codes : ndarray of int64
        Group of every row of the data.
    """

    layout: Layout
    troubled: list[int]
    second: GravityResult
    controls: tuple[str, ...]
    degree: int
    codes: Codes

    def estimate(self, counts: Codes, problem: Search, place: Codes) -> Array:
        """Estimate with each group counted so many times, shape (K,).

        Parameters
        ----------
        counts
            By group, shape (G,).
        problem
            The second stage.
        place
            Position of each of its rows among those of the first.
        """
        w = self.layout.w * counts[self.codes[self.layout.rows]]
        residuals = self._residuals(w)
        sample = self.second.sample
        assert sample is not None
        times = counts[self.codes[sample.rows]].astype(np.float64)
        drawn = np.flatnonzero(times > 0)
        X = problem.X.copy()
        for name, values in _powers(residuals, list(self._names()), self.degree).items():
            X[self.second.names.index(name)] = values[place]
        logs = np.log(np.where(times > 0, times, 1.0))
        search = replace(
            problem,
            y=times * problem.y,
            X=X,
            offset=logs if problem.offset is None else problem.offset + logs,
            start=None if problem.start is None else problem.start * times,
        )
        found = search.run(drawn, drop_separated=True, singletons=False)
        if not found.fit.converged:
            raise EstimationError("the Poisson iterations did not converge")
        if len(found.columns) < len(self.second.names):
            raise EstimationError("a regressor is not identified")
        return found.fit.beta

    def _names(self) -> list[str]:
        return [f"residual({self.layout.name(k)})" for k in self.troubled]

    def _residuals(self, w: Array) -> Array:
        """Return the residuals of the first stages, zero in rows not drawn, shape (M, N)."""
        layout, drawn = self.layout, np.flatnonzero(w > 0)
        others = [k for k in range(1, len(layout.columns)) if k not in self.troubled]
        effects = layout.inputs.effects(layout.rows[drawn])
        columns = layout.columns[[*self.troubled, *others]][:, drawn]
        within = absorb_effects(columns, effects, w[drawn]).columns
        x, Z = np.split(within, [len(self.troubled)])
        residuals = np.zeros((len(x), len(w)))
        residuals[:, drawn] = x - project(Z, x, w[drawn])
        return residuals


def _resample(
    replicas: _Replicas,
    replications: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[pd.DataFrame, "pd.Series[str]"]:
    """Estimate on resampled groups; each replicate draws from a stream of its own."""
    second, G = replicas.second, int(replicas.codes.max()) + 1
    sample = second.sample
    assert sample is not None
    problem = replace(
        problem_of(sample, second.terms, Gravity(second.formula, offset=second.offset)),
        stopping=Stopping(),
    )
    place = np.searchsorted(replicas.layout.rows, sample.rows)
    found: dict[int, Array] = {}
    failed: dict[int, str] = {}
    for number in range(replications):
        stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        counts = np.bincount(stream.integers(0, G, size=G), minlength=G)
        try:
            found[number] = replicas.estimate(counts, problem, place)
        except (NestflowError, np.linalg.LinAlgError) as reason:
            failed[number] = str(reason)
        if progress is not None:
            progress(number + 1, replications)
    if len(found) < max(2, len(failed)):
        mostly = pd.Series(failed).mode()[0]
        raise EstimationError(
            f"{len(failed):,} of {replications:,} replicates failed, mostly since {mostly}; the "
            "resamples are too poor for the model: simplify it."
        )
    draws = pd.DataFrame(
        np.array(list(found.values())),
        index=pd.Index(list(found), name="replicate"),
        columns=list(second.names),
    )
    return draws, pd.Series(failed, name="reason", dtype=object).rename_axis("replicate")


def _note(done: int, failures: "pd.Series[str]", resampled: str, groups: int, seed: int) -> str:
    what = f"'{resampled}'" if resampled else "rows"
    text = f"Bootstrap of both stages: {done + len(failures):,} resamples of {groups:,} {what}"
    text += f", seed {seed}"
    if len(failures):
        text += f"; {len(failures):,} failed and are left out, mostly since {failures.mode()[0]}"
    return text.removesuffix(".") + "."
