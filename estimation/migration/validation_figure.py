"""The figure of errors removed."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from choicemodels.errors import DataError, SpecificationError
from choicemodels.frames import closest
from estimation.drawing import COLOURS, plain_axes
from estimation.migration.validation import Validation

__all__ = ["figure_reductions"]


def figure_reductions(validation: Validation, source: str = "census") -> Figure:
    """Draw by how much each estimate's errors are smaller than the raw matrix's.

    A panel for each quantity, a row for each level, a colour for each estimate; lines reach one
    standard deviation over releases to both sides, where there are several. Errors may be larger
    too: bars then point to the left.

    Parameters
    ----------
    validation
        Made with the raw matrix.
    source
        Of the references to draw.

    Raises
    ------
    SpecificationError
        If there are no references from this source.
    DataError
        If reductions are not known, for want of the raw matrix.
    """
    measures = validation.measures
    there = measures["source"].unique().tolist()
    if source not in there:
        raise SpecificationError(
            f"there is no source '{source}'{closest(source, there)}; there are {', '.join(there)}."
        )
    shown = measures[(measures["source"] == source) & (measures["estimate"] != "raw")]
    if shown["reduction"].isna().all():
        raise DataError("no reduction of errors is known; validate with raw=the raw matrix.")
    groups = list(shown.groupby("quantity", sort=False))
    heights = [part["level"].nunique() + 0.6 for _, part in groups]
    figure = Figure(figsize=(6.4, 0.8 + 0.42 * sum(heights)), layout="constrained")
    panels = figure.subplots(
        len(groups), 1, sharex=True, height_ratios=heights, squeeze=False
    )[:, 0]  # fmt: skip
    for axes, (quantity, part) in zip(panels, groups, strict=True):
        _bars(axes, part)
        plain_axes(axes, str(quantity), grid="x")
    panels[-1].set_xlabel("Reduction of the root mean square error")
    panels[-1].xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    names = panels[0].get_legend_handles_labels()
    figure.legend(*names, loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return figure


def _bars(axes: Axes, part: pd.DataFrame) -> None:
    levels = part["level"].unique().tolist()
    estimates = part["estimate"].unique().tolist()
    height = 0.8 / len(estimates)
    for k, name in enumerate(estimates):
        rows = part[part["estimate"] == name].set_index("level").reindex(levels)
        at = np.arange(len(levels)) + (k - (len(estimates) - 1) / 2) * height
        spread = rows["reduction_sd"].to_numpy()
        axes.barh(at, rows["reduction"], height, color=COLOURS[k % len(COLOURS)], label=name,
                  xerr=spread if np.isfinite(spread).any() else None)  # fmt: skip
    axes.set_yticks(range(len(levels)), [level.replace("_", " ") for level in levels])
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
