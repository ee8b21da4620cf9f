"""The folder of a run: what is written as it goes, and whose it is."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from choicemodels.errors import DataError
from microsim.results.histories import SCHEMA

if TYPE_CHECKING:
    from microsim.results.run import Run, RunPlan

__all__ = ["BEGUN", "FINISHED", "HISTORIES", "PLAN", "TABLES", "RunFolder", "plan_difference"]

FINISHED, BEGUN = "run.json", "begun.json"
"""The notes of a run that is complete, and of one that is under way."""

HISTORIES = "histories"
"""The folder of the histories."""

TABLES = ("national", "flows", "policies", "groups", "occupations", "destinations")
"""The tables that are written at the end."""

PLAN = {
    "months": "number of months",
    "seed": "seed",
    "replicates": "number of replicates",
    "start": "first month",
    "population_fingerprint": "population",
    "behaviour_fingerprint": "fitted model",
    "history_share": "share of workers with histories",
    "coupling": "coupling",
}
"""What makes a run besides its scenario, and how messages call it."""

_PANEL, _CHECKPOINTS = "metro_panel", "checkpoints"
_OTHERS = {"population.json": "a population", "ensemble.json": "an ensemble"}


@dataclass(frozen=True)
class RunFolder:
    """Where a run is written as it goes: a Parquet file a month, and ``run.json`` at the end.

    Until then ``begun.json`` says what run it is, and ``checkpoints/`` how far it has come.

    Attributes
    ----------
    path : Path
    """

    path: Path

    @classmethod
    def prepare(cls, out: str | Path, plan: "RunPlan", *, replace: bool = False) -> "RunFolder":
        """Make the folder, clear an earlier run of the same plan out of it, and note the plan.

        Parameters
        ----------
        out, plan
        replace
            Clear a run of any plan.

        Raises
        ------
        DataError
            If the folder holds a run of another plan that is not to be replaced, or a population
            or an ensemble, or cannot be made, cleared or written.
        """
        folder = cls(_own_folder(out))
        if not replace and (found := folder.notes()) is not None:
            _require_same(found, _as_read(plan), folder)
        path = folder.path
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any((path / name).is_file() for name in (FINISHED, BEGUN)):
                folder._clear()
        except OSError as problem:
            raise DataError(
                f"the run cannot be written to {path} ({problem.strerror}); give a folder that "
                "you may write to."
            ) from None
        folder._write_json(BEGUN, plan.notes())
        return folder

    @classmethod
    def reopen(cls, out: str | Path, plan: "RunPlan") -> "RunFolder":
        """Open the folder of a run that was stopped, or begin it if there is none.

        Raises
        ------
        DataError
            If the folder holds a run of another plan, or one begun with other versions, or a
            population or an ensemble.
        """
        folder = cls(_own_folder(out))
        found = folder.notes()
        if found is None:
            return cls.prepare(out, plan)
        wanted = _as_read(plan)
        _require_same(found, wanted, folder)
        if not folder.finished:
            _require_versions(found, wanted, folder)
        return folder

    def notes(self) -> dict[str, Any] | None:
        """Return what the folder says of the run in it, None if there is none.

        Raises
        ------
        DataError
            If it cannot be read.
        """
        file = self.path / (FINISHED if self.finished else BEGUN)
        try:
            found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as problem:
            raise DataError(
                f"{file} cannot be read ({problem}); remove it to begin the run anew."
            ) from None
        if not isinstance(found, dict):
            raise DataError(
                f"{file} holds a {type(found).__name__}, not the notes of a run; remove it to "
                "begin the run anew."
            )
        return found

    @property
    def finished(self) -> bool:
        """Whether the run in the folder is complete."""
        return (self.path / FINISHED).is_file()

    def write_month(self, replicate: int, month: int, panel: pd.DataFrame) -> None:
        """Write one month of the metro panel."""
        self._write(self._month(_PANEL, replicate, month), panel)

    def write_history(self, replicate: int, month: int, rows: pd.DataFrame) -> None:
        """Write one month of the histories."""
        self._write(self._month(HISTORIES, replicate, month), rows, SCHEMA)

    def read_months(self, replicate: int, months: int) -> list[pd.DataFrame]:
        """Return the metro panel of a replicate's first months.

        Raises
        ------
        DataError
            If a month is missing or damaged.
        """
        return [_read(self._month(_PANEL, replicate, month)) for month in range(months)]

    def write_checkpoint(self, replicate: int, content: bytes) -> None:
        """Write where a replicate stands, in the place of its last checkpoint."""
        self._replace(self._checkpoint(replicate), lambda part: part.write_bytes(content))

    def checkpoint(self, replicate: int) -> Path | None:
        """Return the file of a replicate's last checkpoint, if there is one."""
        path = self._checkpoint(replicate)
        return path if path.is_file() else None

    def finish(self, run: "Run") -> None:
        """Write the other tables and, last, ``run.json``: a folder with it is complete."""
        for name in TABLES:
            self._write(self.path / f"{name}.parquet", getattr(run, name))
        self._write_json(FINISHED, run.notes())
        shutil.rmtree(self.path / _CHECKPOINTS, ignore_errors=True)
        (self.path / BEGUN).unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove the run that the folder's notes tell of."""
        for table in TABLES:
            (self.path / f"{table}.parquet").unlink(missing_ok=True)
        for name in (_CHECKPOINTS, _PANEL, HISTORIES):
            shutil.rmtree(self.path / name, ignore_errors=True)
        # Last what says that the other files are a run's: a clearing may be interrupted.
        for name in (FINISHED, BEGUN):
            (self.path / name).unlink(missing_ok=True)

    def _month(self, kind: str, replicate: int, month: int) -> Path:
        return self.path / kind / f"replicate={replicate:03d}/month={month:04d}.parquet"

    def _checkpoint(self, replicate: int) -> Path:
        return self.path / _CHECKPOINTS / f"replicate={replicate:03d}.npz"

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=1)
        self._replace(self.path / name, lambda part: part.write_text(text, "utf-8"))

    def _write(self, path: Path, frame: pd.DataFrame, schema: Any = None) -> None:
        self._replace(path, lambda part: frame.to_parquet(part, index=False, schema=schema))

    def _replace(self, path: Path, write: Any) -> None:
        """Write beside and then rename, so that a killed run leaves no half file."""
        part = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(part)
            os.replace(part, path)
        except OSError as problem:
            with suppress(OSError):
                part.unlink()
            raise DataError(
                f"{path} cannot be written ({problem.strerror}); what was written before it "
                "stands. Free some space, and resume or run again."
            ) from None


def _own_folder(out: str | Path) -> Path:
    """Return the folder that a run may be written to, which holds nothing of another kind."""
    if not str(out).strip():
        raise DataError("out is empty, which names no folder for the run; give one, or out=None.")
    path = Path(out)
    for name, what in _OTHERS.items():
        if (path / name).is_file():
            raise DataError(
                f"{path} holds {what} ({name}), which a run written there would damage; give the "
                "run a folder of its own."
            )
    return path


def _read(path: Path) -> pd.DataFrame:
    try:
        # Opened file by file: the folder's name must not become a column.
        return pd.read_parquet(path)
    except (OSError, ValueError) as problem:
        raise DataError(
            f"{path} cannot be read ({type(problem).__name__}), so that a month of the run is "
            "lost; simulate it again, without resuming."
        ) from None


def _as_read(plan: "RunPlan") -> dict[str, Any]:
    """Return a plan's notes as they come back from a file."""
    notes: dict[str, Any] = json.loads(json.dumps(plan.notes()))
    return notes


def plan_difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Return how the plan that a folder's notes tell of differs from the one wanted.

    Parameters
    ----------
    found
        From `RunFolder.notes`.
    wanted
        The scenario and some or all of the rest, as `RunPlan.notes` has them, read from a file.

    Returns
    -------
    str
        Such as "seed is 1, not 2"; empty where they agree.
    """
    if found.get("scenario") != wanted["scenario"]:
        name, asked = (found.get("scenario") or {}).get("name"), wanted["scenario"]["name"]
        apart = f"'{name}', not '{asked}'" if name != asked else f"'{name}', but changed since"
        return f"scenario is {apart}"
    for key, words in PLAN.items():
        if key in wanted and found.get(key) != wanted[key]:
            return f"{words} is {found.get(key)!r}, not {wanted[key]!r}"
    return ""


def _require_same(found: dict[str, Any], wanted: dict[str, Any], folder: RunFolder) -> None:
    """Raise if the notes of a folder are of another plan than the one wanted."""
    problem = plan_difference(found, wanted)
    if problem:
        raise DataError(
            f"{folder.path} holds another run: its {problem}; give another folder, or replace it "
            "(replace=True; on the command line --replace)."
        )


def _require_versions(found: dict[str, Any], wanted: dict[str, Any], folder: RunFolder) -> None:
    """Raise if a run that is to be resumed was begun with other versions."""
    was = found.get("versions", {})
    changed = [
        f"{name} {was.get(name)}"
        for name, now in wanted["versions"].items()
        if was.get(name) != now
    ]
    if changed:
        raise DataError(
            f"the run in {folder.path} was begun with {', '.join(changed)}, and other versions "
            "may end in other numbers; go on with these, or run without resuming to begin anew."
        )
