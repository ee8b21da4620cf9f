"""The figure of estimates against tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.matrix import MigrationMatrix
from estimation.harmonization.result import Harmonized
from estimation.migration.validation import agreement_with
from estimation.migration.validation_references import (
    Reference,
    at_level,
    matrix_of,
    quantity_of,
)

__all__ = ["figure_agreement"]

Array = NDArray[np.float64]

# From here on points hide each other, and their density is shown instead.
_CROWD = 500
_COLUMNS = 4


def figure_agreement(
    estimate: MigrationMatrix | Harmonized, references: Sequence[Reference]
) -> Figure:
    """Draw an estimate against tables, a panel for each, on logarithmic axes.

    Each panel says how well both are correlated (all cells, as :func:`~estimation.migration.\
validation.agreement_with` has it) and how many cells it shows: those that are above zero in both.

    Parameters
    ----------
    estimate
    references
        From :func:`~estimation.migration.validation_references.census_references` or
        ``truth_references``; of one year.

    Raises
    ------
    SpecificationError
        If there is no reference, or it is an average of several years.
    DataError
        If no cell of a reference is above zero in both.
    """
    if not references:
        raise SpecificationError("there is nothing to draw the estimate against.")
    matrix = matrix_of(estimate)
    columns = min(len(references), _COLUMNS)
    rows = -(-len(references) // columns)
    figure = Figure(figsize=(3.1 * columns, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, reference in zip(panels, references, strict=False):
        if reference.years > 1:
            raise SpecificationError(
                f"{reference.name} averages {reference.years} years; draw references of one year."
            )
        _panel(axes, matrix, reference)
    for axes in panels[len(references) :]:
        axes.axis("off")
    return figure


def _panel(axes: Axes, matrix: MigrationMatrix, reference: Reference) -> None:
    x, y = _paired(matrix, reference)
    if len(x) == 0:
        raise DataError(f"no cell of {reference.name} is above zero in estimate and table.")
    found = agreement_with(matrix, reference)
    low, high = min(x.min(), y.min()) / 1.3, max(x.max(), y.max()) * 1.3
    if len(x) > _CROWD:
        span = (np.log10(low), np.log10(high))
        axes.hexbin(x, y, gridsize=40, xscale="log", yscale="log", bins="log", mincnt=1,
                    cmap="cividis_r", extent=(*span, *span), linewidths=0.1)  # fmt: skip
    else:
        axes.loglog(x, y, "o", markersize=4, alpha=0.5, color="#0072B2", markeredgewidth=0)
    axes.plot([low, high], [low, high], "--", color="#666666", linewidth=0.8)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        # Within a decade or two, powers of ten alone would leave the axis bare.
        subs = (1, 2, 5) if high / low < 200 else (1,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=7))
        axis.set_major_formatter(FuncFormatter(_short))
        axis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{reference.name}\n{reference.source}", loc="left", fontsize=9)
    axes.set_xlabel("table", fontsize=8)
    axes.set_ylabel("estimate", fontsize=8)
    axes.tick_params(labelsize=8)
    rho = "no correlation" if found.correlation is None else f"ρ = {found.correlation:.3f}"
    axes.text(0.05, 0.95, f"{rho}\n{len(x):,} of {found.cells:,} cells", fontsize=8,
              transform=axes.transAxes, va="top")  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)


def _short(value: float, _: int) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _paired(matrix: MigrationMatrix, reference: Reference) -> tuple[Array, Array]:
    """Return table and estimate of the cells that are above zero in both."""
    if isinstance(reference.values, MigrationMatrix):
        both = [reference.values.flows, at_level(matrix, reference.level).flows]
        return _shared_pairs(*both, stayers=reference.quantity == "flows")
    if reference.quantity == "populations":
        ours: Any = matrix.areas.level(reference.level).totals(matrix.before)
    else:
        ours = quantity_of(at_level(matrix, reference.level), reference.quantity)
    some = (reference.values > 0) & (ours > 0)
    return reference.values[some], ours[some]


def _shared_pairs(table: Any, estimate: Any, *, stayers: bool) -> tuple[Array, Array]:
    shared = table.sign().multiply(estimate.sign()).tocoo()
    some = shared.data > 0
    if not stayers:
        some &= shared.row != shared.col
    x, y = (matrix.multiply(shared.tocsr()).tocoo().data[some] for matrix in (table, estimate))
    return x, y
