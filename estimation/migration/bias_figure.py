"""The figure of demographic bias."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from estimation.drawing import COLOURS, plain_axes

__all__ = ["bias_bars"]


def bias_bars(bias: pd.DataFrame) -> Figure:
    """Draw bars of over- and undercount, a panel for each class, a colour for each matrix.

    Parameters
    ----------
    bias
        Shares, by class and group (rows) and matrix (columns).
    """
    classes = list(dict.fromkeys(bias.index.get_level_values(0)))
    sizes = [len(bias.xs(name)) for name in classes]
    figure = Figure(figsize=(1.6 + 0.75 * sum(sizes), 3.4), layout="constrained")
    panels = figure.subplots(1, len(classes), sharey=True, width_ratios=sizes, squeeze=False)[0]
    width = 0.8 / bias.shape[1]
    for axes, name in zip(panels, classes, strict=True):
        part = bias.xs(name)
        for k, matrix in enumerate(bias.columns):
            at = np.arange(len(part)) + (k - (bias.shape[1] - 1) / 2) * width
            axes.bar(at, part[matrix], width, color=COLOURS[k % len(COLOURS)], label=matrix)
        labels = [str(group).replace("_", " ") for group in part.index]
        axes.set_xticks(range(len(part)), labels)
        axes.axhline(0, color="black", linewidth=0.8)
        plain_axes(axes, str(name))
    panels[0].yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    panels[0].set_ylabel("Over- and undercount of the group")
    panels[-1].legend(frameon=False, fontsize=9)
    return figure
