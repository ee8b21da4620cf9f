"""Harmonizations with tables held out, and with the steps in other orders."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pandas as pd

from choicemodels.errors import SpecificationError
from choicemodels.migration.census import CensusTables
from choicemodels.migration.matrix import MigrationMatrix
from estimation.harmonization.result import Harmonized
from estimation.harmonization.steps import Empty, Step, published_steps
from estimation.harmonize import harmonize
from estimation.migration.validation import agreement_with
from estimation.migration.validation_references import Quantity, census_references

__all__ = ["VARIANTS", "holdouts", "step_orders"]

# The three of the published validation; any mapping of a name to steps left out will do.
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "full": (),
    "without populations": ("populations",),
    "without state tables": ("movers and stayers", "flows"),
}


def holdouts(
    matrix: MigrationMatrix,
    tables: CensusTables,
    variants: Mapping[str, Sequence[str]] = VARIANTS,
    *,
    empty: Empty = "refuse",
) -> dict[str, Harmonized]:
    """Harmonize a matrix once for each variant, the steps it names left out.

    A table that no step used can judge the others: if the estimate still agrees with it, the
    agreement of the full estimate is not mere fitting [AgostiniYoungFitzpatrickGargPierson2025]_.

    Parameters
    ----------
    matrix
        The raw matrix.
    tables
    variants
        Name to the steps to leave out, as
        :func:`~estimation.harmonization.steps.published_steps` takes them.
    empty
        As of the steps.

    Raises
    ------
    SpecificationError
        If there is no variant, a name is no step's, or nothing is left of the steps.
    """
    if not variants:
        raise SpecificationError("there is no variant; name one at least.")
    return {
        name: harmonize(matrix, published_steps(tables, _names(leave_out), empty=empty))
        for name, leave_out in variants.items()
    }


def step_orders(
    matrix: MigrationMatrix,
    tables: CensusTables,
    orders: Sequence[Sequence[str]] | None = None,
    *,
    empty: Empty = "refuse",
) -> pd.DataFrame:
    """Tell how much the order of the steps matters.

    Parameters
    ----------
    matrix
        The raw matrix.
    tables
    orders
        Names of steps, in their orders; each must name the same steps. By default every
        permutation of the published four, the published order first.
    empty
        As of the steps.

    Returns
    -------
    DataFrame
        A row for each order: ``moved``, half the sum of absolute differences from the first
        order's matrix, as a share of the people; for each margin, the largest distance from a
        target at the end, as a share of it (columns by the names of the margins); and the
        correlations with the flows between states and the populations of the finest areas.

    Raises
    ------
    SpecificationError
        If an order names an unknown step, or other steps than the first.
    """
    steps = {step.name: step for step in published_steps(tables, empty=empty)}
    chosen = [_names(o) for o in (orders if orders is not None else permutations(steps))]
    _refuse_orders(chosen, steps)
    references = {
        f"correlation, {r.quantity}": r
        for r in census_references(tables, matrix.areas)
        if (r.quantity, r.level) in _judged(matrix.areas.name)
    }
    base: MigrationMatrix | None = None
    rows: dict[str, dict[str, Any]] = {}
    for order in chosen:
        result = harmonize(matrix, [steps[name] for name in order])
        found = result.matrix
        base = base if base is not None else found
        margins = dict(zip(result.log["margin"], result.log["at the end"], strict=True))
        correlations = {
            name: agreement_with(found, r).correlation for name, r in references.items()
        }
        rows[" → ".join(order)] = {
            "moved": base.change(found) / base.total,
            **margins,
            **correlations,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("order")


def _names(steps: Sequence[str]) -> tuple[str, ...]:
    """Return names of steps; one alone may be given as it is."""
    return (steps,) if isinstance(steps, str) else tuple(steps)


def _judged(finest: str) -> set[tuple[Quantity, str]]:
    return {("movers", "state"), ("populations", finest)}


def _refuse_orders(orders: Sequence[tuple[str, ...]], steps: Mapping[str, Step]) -> None:
    if not orders:
        raise SpecificationError("there is no order; name one at least.")
    for order in orders:
        unknown = [name for name in order if name not in steps]
        if unknown or sorted(order) != sorted(orders[0]) or len(set(order)) < len(order):
            raise SpecificationError(
                f"the order {', '.join(order)} does not name each of the steps of the first "
                f"order once; the steps are {', '.join(steps)}."
            )
