"""How figures look: one palette, plain axes."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "plain_axes"]

# Okabe and Ito's palette: told apart by every eye, and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")


def plain_axes(axes: "Axes", title: str, grid: Literal["x", "y"] = "y") -> None:
    """Give axes a title on the left and a light grid; take their upper and right frame away."""
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
