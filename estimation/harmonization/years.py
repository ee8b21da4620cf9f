"""Many years: matrices in folders, one after the other or on the workers of a Dask cluster."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from choicemodels.errors import DataError, NestflowError, SpecificationError, enumerate_some
from estimation.harmonization.steps import Step

__all__ = ["harmonize_years"]


def harmonize_years(
    matrices: Mapping[int, str | Path],
    steps: Mapping[int, Sequence[Step]],
    out: str | Path,
    *,
    client: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Harmonize matrices of several years from folder to folder.

    Each year needs the memory of one matrix on the worker that has it. Factors are kept after each
    step, and years that were finished are not run again: a worker that dies, or a run that is
    stopped, loses the step that was under way.

    Parameters
    ----------
    matrices
        By year, folders that :func:`~choicemodels.migration.store.write_matrix` wrote.
    steps
        By year.
    out
        Folder in which to write a folder for each year.
    client
        A ``distributed.Client``, whose workers must see the same folders; None runs the years one
        after the other.
    progress
        Called with the number of finished years and of all.

    Returns
    -------
    DataFrame
        The logs of all years, with the column ``year``.

    Raises
    ------
    SpecificationError
        If years disagree, or ``client`` is no client.
    DataError, EstimationError
        As :func:`~estimation.harmonize`, with the year in front.
    """
    if set(matrices) != set(steps):
        lonely = sorted(set(matrices) ^ set(steps))
        raise SpecificationError(
            f"the years {enumerate_some(lonely)} have a matrix or steps, but not both."
        )
    if client is not None and not hasattr(client, "submit"):
        raise SpecificationError(
            f"client= is a {type(client).__name__}; pass a dask.distributed Client."
        )
    folder = Path(out).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    work = [
        (year, Path(matrices[year]).resolve(), list(steps[year]), folder)
        for year in sorted(matrices)
    ]
    if client is None:
        logs = []
        for number, year in enumerate(work):
            logs.append(_one_year(*year))
            _tell(progress, number + 1, len(work))
    else:
        asked = [client.submit(_one_year, *year, pure=False) for year in work]
        logs = []
        for number, answer in enumerate(asked):
            logs.append(answer.result())
            _tell(progress, number + 1, len(work))
    return pd.concat(logs, ignore_index=True)


def _tell(progress: Callable[[int, int], None] | None, done: int, count: int) -> None:
    if progress is not None:
        progress(done, count)


def _one_year(year: int, source: Path, steps: list[Step], folder: Path) -> pd.DataFrame:
    """Harmonize one year, unless that was done before, and return its log."""
    from choicemodels.migration.store import (
        attribute_meanings,
        read_matrix,
        read_metadata,
        write_matrix,
    )
    from estimation.harmonization.checkpoint import Checkpoint
    from estimation.harmonize import harmonize

    try:
        matrix = read_matrix(source)
        target, kept = folder / str(year), folder / f"{year}_steps"
        key = Checkpoint.open(kept, matrix, steps).keys[-1]
        log = kept / "log.csv"
        if target.exists():
            if read_metadata(target)["provenance"].get("key") == key and log.exists():
                return pd.read_csv(log)
            raise DataError(f"'{target}' holds another matrix; give an empty folder.")
        found = harmonize(matrix, steps, checkpoint=kept)
        found.log.insert(0, "year", year)
        found.log.to_csv(log, index=False)
        write_matrix(
            found.matrix,
            target,
            provenance={
                "source": read_metadata(source)["provenance"],
                "steps": _names(steps),
                "key": key,
            },
            codebook=attribute_meanings(source, matrix.areas),
        )
    except NestflowError as problem:
        raise type(problem)(f"{year}: {problem}") from None
    return found.log


def _names(steps: Sequence[Step]) -> list[str]:
    return [step.name for step in steps]
