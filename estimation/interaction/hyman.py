"""Hyman's method: the deterrence under which balanced flows have a given mean cost."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.interaction.balancing import Balanced, balance, refuse_other_labels

__all__ = ["HymanCalibration", "calibrate_mean_cost"]

Array = NDArray[np.float64]

# Deterrence that differs by more between two pairs cannot be balanced in floating point.
_LARGEST_LOG = 600.0


@dataclass(frozen=True, eq=False)
class HymanCalibration:
    """A doubly constrained model calibrated to a mean cost.

    Attributes
    ----------
    coefficient : float
        b of ``exp(b c)`` or ``c^b``; negative where flows fall with cost.
    mean_cost : float
        What the balanced flows have: the mean cost, or for a power law the mean log cost.
    flows : Balanced
    record : DataFrame
        One row a step: coefficient, mean_cost.
    """

    coefficient: float
    mean_cost: float
    flows: Balanced
    record: pd.DataFrame


def calibrate_mean_cost(
    cost: ArrayLike | pd.DataFrame,
    outflows: ArrayLike | pd.Series,
    inflows: ArrayLike | pd.Series,
    mean_cost: float,
    *,
    deterrence: Literal["exponential", "power"] = "exponential",
    tol: float = 1e-11,
    max_iterations: int = 50,
) -> HymanCalibration:
    """Calibrate a doubly constrained model to margins and a mean cost, without the flows.

    Mean cost and margins are what the likelihood looks at: at the observed mean the coefficient
    is the maximum-likelihood one. The step is Hyman's [Hyman1969]_,

        b_next = ((c* - c_last) b - (c* - c) b_last) / (c - c_last),

    with c the mean cost of the balanced flows at b and c* the target.

    Parameters
    ----------
    cost
        Matrix of shape (O, D); NaN where a pair does not exist.
    outflows, inflows
        Totals, shapes (O,) and (D,), matched by position; labels on both sides must agree.
    mean_cost
        Of a trip, in the units of ``cost``; for ``"power"`` the mean of ``log(cost)``, which is
        what a power law's likelihood looks at.
    deterrence
        ``"exponential"`` or ``"power"``.
    tol
        Distance from the target that ends the steps, as a share of the spread of costs.
    max_iterations
        Steps at most.

    Raises
    ------
    SpecificationError
        If the deterrence is not one of the two.
    DataError
        If a cost cannot be one, labels disagree, or the target lies outside the costs.
    EstimationError
        If the steps do not reach the target.
    """
    if deterrence not in ("exponential", "power"):
        raise SpecificationError(
            f"Hyman's method has one coefficient, and deterrence '{deterrence}' has not; choose "
            "'exponential' or 'power', or fit by maximum likelihood."
        )
    if isinstance(cost, pd.DataFrame):
        refuse_other_labels("row", outflows, cost.index, "costs")
        refuse_other_labels("column", inflows, cost.columns, "costs")
    c = np.asarray(cost, dtype=np.float64)
    there = ~np.isnan(c)
    bad = np.argwhere(there & ~(np.isfinite(c) & ((c > 0) if deterrence == "power" else (c >= 0))))
    if len(bad):
        raise DataError(
            f"{len(bad):,} costs are negative, infinite or (for a power law) zero; the first, at "
            f"{tuple(bad[0].tolist())}, is {c[tuple(bad[0])]}."
        )
    x = np.log(np.where(there, c, 1.0)) if deterrence == "power" else np.where(there, c, 0.0)
    low, high = float(x[there].min()), float(x[there].max())
    if not low < mean_cost < high:
        raise DataError(
            f"the mean cost to reach is {mean_cost:g}, but every trip costs between {low:g} and "
            f"{high:g}; check its units"
            + (
                " (for a power law it is the mean of the logarithm)." * (deterrence == "power")
                or "."
            )
        )

    def evaluate(b: float) -> tuple[float, Balanced]:
        seed = np.where(there, np.exp(b * (x - low)), 0.0)
        flows = balance(seed, outflows, inflows)
        return float((flows.matrix * x).sum() / flows.matrix.sum()), flows

    spread = high - low
    b_last = -1.5 / (mean_cost - low) if deterrence == "exponential" else -1.0
    at_last, _ = evaluate(b_last)
    b = b_last * (at_last - low) / (mean_cost - low)
    if b == b_last:
        b = 1.1 * b_last
    record = [(b_last, at_last)]
    for _ in range(max_iterations):
        at, flows = evaluate(b)
        record.append((b, at))
        if abs(at - mean_cost) <= tol * spread:
            table = pd.DataFrame(record, columns=["coefficient", "mean_cost"])
            return HymanCalibration(b, at, flows, table)
        if abs(at - at_last) <= 1e-14 * spread:
            break
        step = ((mean_cost - at_last) * b - (mean_cost - at) * b_last) / (at - at_last)
        b_last, at_last, b = b, at, step
        if not abs(b) * spread < _LARGEST_LOG:
            break
    raise EstimationError(
        f"Hyman's steps did not reach the mean cost {mean_cost:g}: after {len(record)} the flows "
        f"have {record[-1][1]:g}. Look whether these margins allow it."
    )
