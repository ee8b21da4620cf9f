"""Log-linear gravity models: least squares and two-stage least squares beside PPML.

``log y_od = x_od' beta + offset_od + fixed effects + e_od`` over the rows with a flow. Under
heteroskedasticity of y the log-linear coefficients are biased, and zeros are lost
[SantosSilvaTenreyro2006]_: this is what PPML is compared with.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.formula import expand
from choicemodels.frames import closest
from choicemodels.utility import Term
from estimation.covariance import SmallSample
from estimation.gravity.inputs import Inputs, read_inputs
from estimation.gravity.linear_result import LinearResult
from estimation.gravity.regression import first_stages, lay_out, regress, report
from estimation.gravity.sample import GroupsArgument
from estimation.gravity.separation import Drop, prune

__all__ = ["fit_linear", "instrument_terms", "locate_endogenous"]

Positions = NDArray[np.int64]


def fit_linear(
    model: Gravity,
    data: FlowData,
    *,
    endogenous: str | Sequence[str] = (),
    instruments: str = "",
    cov: str = "robust",
    groups: GroupsArgument = None,
    ssc: SmallSample = "fixest",
    weights: str | None = None,
    drop_singletons: bool = True,
) -> LinearResult:
    """Estimate the logarithm of the flows by least squares, or with instruments.

    Parameters
    ----------
    model
        Its formula holds all regressors, the endogenous ones too.
    data
        Rows without flow are left out and counted.
    endogenous
        Names of regressors that instruments are needed for.
    instruments
        The excluded instruments, as the first part of a formula: ``"tariff + log(rainfall)"``.
    cov
        ``"hessian"`` (equal variances), ``"robust"``, ``"HC0"``, ``"HC1"``, ``"cluster"`` or
        ``"dyadic"``.
    groups
        For ``"cluster"``; see :meth:`GravityResult.with_cov`.
    ssc
        Small-sample factor, ``"fixest"``, ``"stata"`` or ``"none"``;
        see :mod:`estimation.gravity.covariance`.
    weights
        Name of a column of analytic weights.
    drop_singletons
        Drop fixed-effect groups of a single row, which leave nothing to estimate from.

    Raises
    ------
    SpecificationError
        If an option is unknown, or there are fewer instruments than endogenous regressors.
    DataError
        If a column is missing or not finite, or no row has a flow.
    IdentificationError
        If regressors or instruments are collinear or swallowed by the fixed effects.
    """
    inputs = read_inputs(model, data, weights)
    located = locate_endogenous(inputs.terms, endogenous)
    excluded = instrument_terms(instruments, data, located, inputs.terms)
    rows, drops = _rows_with_flow(inputs, drop_singletons)
    logs = np.log(data.y[rows])
    if inputs.offset is not None:
        logs -= inputs.offset[rows]
    layout = lay_out(inputs, excluded, logs, rows, drops)
    K, troubled = len(inputs.terms), [k + 1 for k in located]
    regressors, spare = list(range(1, K + 1)), list(range(K + 1, K + 1 + len(excluded)))
    estimate = regress(layout, 0, regressors, troubled, spare)
    first = tuple(stage for stage, _ in first_stages(layout, troubled, spare))
    names = tuple(layout.name(k) for k in troubled)
    result = report(layout, estimate, names, tuple(z.name for z in excluded), first)
    return result.with_cov(cov, groups=groups, ssc=ssc)


def locate_endogenous(terms: Sequence[Term], endogenous: str | Sequence[str]) -> list[int]:
    """Return the positions of endogenous regressors.

    Raises
    ------
    SpecificationError
        If one is not a regressor of the formula, or is named twice.
    """
    names = [term.name for term in terms]
    asked = [endogenous] if isinstance(endogenous, str) else list(endogenous)
    for name in asked:
        if name not in names:
            raise SpecificationError(
                f"'{name}' is endogenous but no regressor of the formula{closest(name, names)}; "
                f"the regressors are {', '.join(names) or 'none'}."
            )
    if len(set(asked)) < len(asked):
        raise SpecificationError(f"an endogenous regressor is named twice: {', '.join(asked)}.")
    return [names.index(name) for name in asked]


def instrument_terms(
    instruments: str, data: FlowData, located: Sequence[int], terms: Sequence[Term]
) -> tuple[Term, ...]:
    """Expand the excluded instruments.

    Raises
    ------
    SpecificationError
        If there are too few, some without need, or one is a regressor.
    """
    excluded = expand(instruments, data.table, drop_intercept=True)
    if excluded and not located:
        raise SpecificationError(
            "instruments= needs endogenous=: name the regressors they are for."
        )
    if len(excluded) < len(located):
        raise SpecificationError(
            f"{len(located)} endogenous regressors need as many instruments or more; "
            f"instruments='{instruments}' gives {len(excluded)}."
        )
    twice = [z.name for z in excluded if z.name in {term.name for term in terms}]
    if twice:
        raise SpecificationError(
            f"{enumerate_some(twice)} is a regressor and an excluded instrument; regressors that "
            "are exogenous are instruments of themselves: leave it out of instruments=."
        )
    return excluded


def _rows_with_flow(inputs: Inputs, drop_singletons: bool) -> tuple[Positions, list[Drop]]:
    y, counted = inputs.data.y, inputs.counted
    rows = np.flatnonzero(counted & (y > 0))
    drops = [
        Drop("no weight", "", np.flatnonzero(~counted)),
        Drop("zero flow", "", np.flatnonzero(counted & (y == 0))),
    ]
    if drop_singletons:
        rows, more = prune(y, inputs.factors, rows, singletons=True)
        drops += more
    if len(rows) == 0:
        lost = ", ".join(f"{len(drop.rows):,} {drop.reason}" for drop in drops if len(drop.rows))
        raise DataError(
            f"no row is left to explain the logarithm of '{inputs.data.flow}' ({lost}); use "
            "coarser fixed effects, or other flows."
        )
    return rows, [drop for drop in drops if len(drop.rows)]
