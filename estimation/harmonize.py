"""One door to harmonization: ``harmonize(matrix, steps)``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from choicemodels.migration.matrix import MigrationMatrix

if TYPE_CHECKING:
    from estimation.harmonization.result import Harmonized
    from estimation.harmonization.steps import Step

__all__ = ["harmonize"]

Progress = Callable[[str, int, int], None]


def harmonize(
    matrix: MigrationMatrix,
    steps: "Sequence[Step]",
    *,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> "Harmonized":
    """Scale a biased, fine-grained matrix to reliable, coarse tables.

    Each step multiplies movers and stayers by factors of areas, or of pairs of areas, so that the
    matrix meets its table; a later step disturbs what an earlier one imposed, and the log says by
    how much. The last, :class:`~estimation.harmonization.steps.Margins`, imposes two tables at
    once [AgostiniYoungFitzpatrickGargPierson2025]_. What it finds is the maximum-likelihood fit of
    a Poisson model with the logarithm of the matrix as offset and an effect for each origin and
    each destination [ChangKoehlerQuLeskovecUgander2024]_.

    Parameters
    ----------
    matrix
        The raw matrix E; it is not changed.
    steps
        In their order; :func:`~estimation.harmonization.steps.published_steps` gives the paper's.
    checkpoint
        A folder in which to keep the factors after each step; a call with the same matrix and the
        same steps goes on where the last one stopped.
    progress
        Called before each step with its name, its number from 0, and the number of steps, and a
        last time when all is done.

    Returns
    -------
    Harmonized

    Raises
    ------
    SpecificationError
        If there is no step, or one names a level that the areas lack.
    DataError
        If labels of targets do not match, people are asked for where the matrix has none, totals
        disagree, or no matrix with these zeros has the margins; the message names the areas.
    EstimationError
        If a step ends further from its targets than its tolerance.
    """
    # The steps compile and solve; who does not harmonize need not wait for them to load.
    from estimation.harmonization.sequence import take_steps

    return take_steps(matrix, steps, checkpoint, progress)
