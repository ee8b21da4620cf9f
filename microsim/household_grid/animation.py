"""The grid in motion, as a GIF or an MP4."""

from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from choicemodels.errors import SpecificationError
from microsim.household_grid.run import GridRun

__all__ = ["animate_grid"]

_TITLES = {
    "households": "Households",
    "occupancy": "Occupancy",
    "median_income": "Median income, dollars",
    "housing_cost": "Cost of housing, dollars",
}


def animate_grid(
    run: GridRun,
    path: str | Path,
    *,
    column: Literal["households", "occupancy", "median_income", "housing_cost"] = "occupancy",
    frames_per_second: int = 8,
) -> Path:
    """Write a film of the cells, a frame for every moment at which they were recorded.

    Parameters
    ----------
    run
        Simulate with another ``every`` for more frames, or fewer.
    path
        Ends in ``.gif``, or in ``.mp4``, for which the program ffmpeg is needed.
    column
        Of the table of the cells.
    frames_per_second

    Raises
    ------
    SpecificationError
        If the suffix or the column is another, or ffmpeg is missing.
    """
    from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, FuncAnimation, PillowWriter

    file = Path(path)
    if column not in _TITLES:
        raise SpecificationError(f"column is '{column}'; film one of {', '.join(_TITLES)}.")
    writer: AbstractMovieWriter
    if file.suffix == ".gif":
        writer = PillowWriter(fps=frames_per_second)
    elif file.suffix == ".mp4" and FFMpegWriter.isAvailable():
        writer = FFMpegWriter(fps=frames_per_second)
    elif file.suffix == ".mp4":
        raise SpecificationError(
            f"{file} needs the program ffmpeg, which is not installed; install it, or write a .gif."
        )
    else:
        raise SpecificationError(f"{file} is neither a .gif nor an .mp4; give one of these.")
    side = run.parameters.side
    moments = run.cells["step"].unique()
    frames = run.cells[column].to_numpy(dtype=float).reshape(len(moments), side, side)
    figure = Figure(figsize=(5, 4.4), layout="constrained")
    axes = figure.subplots()
    # A cell without vacancy costs so much that nothing else could be told apart.
    top = np.nanquantile(frames, 0.98) if column == "median_income" else np.nanmax(frames)
    if column == "housing_cost":
        priced = frames[frames < run.parameters.full_cost]
        top = priced.max() if priced.size else run.parameters.full_cost
    image = axes.imshow(frames[0], cmap="cividis", origin="lower", vmin=0, vmax=top)
    axes.set_xticks([])
    axes.set_yticks([])
    figure.colorbar(image, ax=axes, shrink=0.8)

    def show(frame: int) -> list[object]:
        image.set_data(frames[frame])
        axes.set_title(f"{_TITLES[column]}, step {moments[frame]:,}", loc="left", fontsize=10)
        return [image]

    film = FuncAnimation(figure, show, frames=len(moments))  # type: ignore[arg-type]
    film.save(file, writer=writer, dpi=90)
    return file
