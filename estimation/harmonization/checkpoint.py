"""Factors kept after each step, so that a stopped run goes on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from choicemodels.errors import DataError
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from estimation.harmonization.factors import Adjustment
from estimation.harmonization.steps import Step

__all__ = ["Checkpoint"]

_ARRAYS = ("rows", "columns", "stayers", "pairs")


@dataclass(frozen=True)
class Checkpoint:
    """A folder with the adjustments of the steps that were finished.

    Attributes
    ----------
    folder : Path
    keys : tuple of str
        What the matrix and the steps up to each were; factors of anything else are not read.
    """

    folder: Path
    keys: tuple[str, ...]

    @classmethod
    def open(cls, folder: str | Path, matrix: MigrationMatrix, steps: Sequence[Step]) -> Self:
        """Make the folder, and tell which of its factors belong to this matrix and these steps.

        Raises
        ------
        DataError
            If the folder cannot be made.
        """
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise DataError(f"cannot make the folder '{path}': {problem.strerror}.") from None
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr((matrix.areas.name, matrix.year)).encode())
        _add_areas(digest, matrix.areas)
        for array in (matrix.indptr, matrix.indices, matrix.values):
            digest.update(array.data)
        keys = []
        for step in steps:
            digest.update(type(step).__name__.encode())
            for field in fields(step):  # type: ignore[arg-type]
                _add(digest, getattr(step, field.name))
            keys.append(digest.hexdigest())
        return cls(path, tuple(keys))

    def _paths(self, number: int) -> tuple[Path, Path]:
        stem = f"step_{number + 1}"
        return self.folder / f"{stem}.npz", self.folder / f"{stem}.json"

    def read(self, number: int) -> tuple[Adjustment, list[dict[str, Any]]] | None:
        """Return what a step found in an earlier run, or None."""
        arrays, facts = self._paths(number)
        if not (arrays.exists() and facts.exists()):
            return None
        kept = json.loads(facts.read_text(encoding="utf-8"))
        if kept["key"] != self.keys[number]:
            return None
        with np.load(arrays, allow_pickle=False) as stored:
            parts = {name: stored[name] for name in _ARRAYS if name in stored}
        return Adjustment(level=kept["level"], iterations=kept["iterations"], **parts), kept["log"]

    def write(self, number: int, found: Adjustment, log: list[dict[str, Any]]) -> None:
        """Keep what a step found; the small file last, so that half a step is none.

        Raises
        ------
        DataError
            If the disk is full or the folder cannot be written.
        """
        arrays, facts = self._paths(number)
        parts = {name: getattr(found, name) for name in _ARRAYS}
        about = {
            "key": self.keys[number],
            "level": found.level,
            "iterations": found.iterations,
            "log": log,
        }
        try:
            facts.unlink(missing_ok=True)
            np.savez(arrays, **{name: part for name, part in parts.items() if part is not None})
            waiting = facts.with_suffix(".tmp")
            waiting.write_text(json.dumps(about), encoding="utf-8")
            waiting.replace(facts)
        except OSError as problem:
            raise DataError(
                f"cannot keep step {number + 1} in '{self.folder}': {problem.strerror}; earlier "
                "steps are kept."
            ) from None


def _add_areas(digest: Any, areas: Areas) -> None:
    """Add the labels of the areas and of each level, and which area lies where."""
    digest.update(repr(areas.labels.tolist()).encode())
    for name, level in areas.levels.items():
        digest.update(repr((name, level.labels.tolist())).encode())
        digest.update(np.ascontiguousarray(level.codes).data)


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, pd.Series | pd.DataFrame):
        for labels in value.axes:
            digest.update("\n".join(map(str, labels)).encode())
        digest.update(value.to_numpy(dtype=np.float64).tobytes())
    else:
        digest.update(repr(value).encode())
