"""What a simulation leaves behind: an immutable `Run`, in memory and in a folder."""

import json
import os
import platform
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from choicemodels.errors import DataError
from microsim.results.histories import SCHEMA
from microsim.scenario import Scenario

__all__ = ["Run", "RunFolder", "RunPlan", "load_run", "plan_difference"]

_FORMAT = 1
_PACKAGES = ("nestflow", "numpy", "numba", "pandas", "scipy", "pyarrow")
_PANEL = "metro_panel"
_TABLES = ("national", "flows", "policies", "groups", "occupations", "destinations")
_CHECKPOINTS = "checkpoints"
_HISTORIES = "histories"
_FINISHED, _BEGUN = "run.json", "begun.json"
_OTHERS = {"population.json": "a population", "ensemble.json": "an ensemble"}
_PLAIN = {
    "months": "number of months",
    "seed": "seed",
    "replicates": "number of replicates",
    "start": "first month",
    "population_fingerprint": "population",
    "behaviour_fingerprint": "fitted model",
    "history_share": "share of workers with histories",
    "coupling": "coupling",
}


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What makes a run: the same plan gives the same numbers.

    Attributes
    ----------
    scenario : Scenario
    months, seed, replicates : int
    start : str
        First month, "YYYY-MM".
    population_fingerprint, behaviour_fingerprint : str
        Hashes that tell whether two runs had the same people and the same fitted model.
    history_share : float
        Share of the workers whose histories are written.
    coupling : str
        "independent" or "full"; see `microsim.simulate`.
    """

    scenario: Scenario
    months: int
    seed: int
    replicates: int
    start: str
    population_fingerprint: str
    behaviour_fingerprint: str
    history_share: float = 0.0
    coupling: str = "independent"

    def notes(self) -> dict[str, Any]:
        """Return what makes the run again: scenario, seeds and versions; no clock."""
        return {
            "format": _FORMAT,
            "scenario": self.scenario.model_dump(mode="json"),
            **{name: getattr(self, name) for name in _PLAIN},
            "versions": {"python": platform.python_version(), **_versions()},
        }


@dataclass(frozen=True, kw_only=True)
class Run(RunPlan):
    """The outcome of `simulate`: a plan, and what came of it.

    Attributes
    ----------
    metros : DataFrame
        One row for each replicate, month and metro: replicate, month (0 and up), date, and the
        columns of `microsim.results.panel.panel_table`. Stocks are those at the end of the month.
    national : DataFrame
        One row for each replicate and month: the sums of these, moves (between metros),
        those of `microsim.mobility.distances.move_counts`, remote_workers, unemployment_rate,
        mean_price_index, mean_rent_index and mean_wage_index (by workers), permits, the accounts
        in dollars (benefits, saved, drawn, moving_cost, credit, savings, borrowed, interest,
        repaid, debt, wages, and taxes and balance of each level of government, such as
        federal_taxes) and whether there was a recession.
    flows : DataFrame
        Moves in all months: replicate, origin, destination, moves, and of these remote_moves, by
        those who work from anywhere; pairs without a move left out.
    policies : DataFrame
        replicate, month, policy, grants (payments made), inframarginal (payments to households
        that would have done the same without, empty where a policy pays for no choice) and dollars
        paid.
    groups : DataFrame
        What workers did, one row for each replicate, calendar year, bracket of age, education and
        displaced_recently (in the last 12 months): the counts of `microsim.results.groups.EVENTS`.
    occupations : DataFrame
        Who was displaced, in all months, one row for each replicate, cbsa and soc: occupation,
        exposure (at the start), worker_months, employed_months and displaced, by metro and
        occupation at the beginning of each month.
    destinations : DataFrame
        Where movers went, one row for each replicate, calendar year, remote (whether they work
        from anywhere) and rent_ratio, the class of mean rent there over mean rent here: moves, and
        the movers' mean origin_rent and destination_rent, dollars a month.
    folder : Path or None
        Where the run was written, if it was.
    """

    metros: pd.DataFrame
    national: pd.DataFrame
    flows: pd.DataFrame
    policies: pd.DataFrame
    groups: pd.DataFrame
    occupations: pd.DataFrame
    destinations: pd.DataFrame
    folder: Path | None = None

    def histories(self) -> Any:
        """Return the histories of the sampled workers, as a DuckDB relation over their files.

        Returns
        -------
        duckdb.DuckDBPyRelation
            One row for each replicate, month and sampled worker; columns as
            `microsim.results.histories.SCHEMA`. Nothing is read before it is asked for.

        Raises
        ------
        DataError
            If no histories were written.
        """
        import duckdb

        files = [] if self.folder is None else list((self.folder / _HISTORIES).rglob("*.parquet"))
        if not files:
            raise DataError(
                f"the run '{self.scenario.name}' kept no histories; simulate with a folder and a "
                "share of the workers, out=..., histories=0.01."
            )
        names = [str(path) for path in sorted(files)]
        return duckdb.connect().read_parquet(names, hive_partitioning=False)


def _versions() -> Mapping[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


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
    def prepare(cls, out: str | Path, plan: RunPlan, *, replace: bool = False) -> "RunFolder":
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
            if any((path / name).is_file() for name in (_FINISHED, _BEGUN)):
                folder._clear()
        except OSError as problem:
            raise DataError(
                f"the run cannot be written to {path} ({problem.strerror}); give a folder that "
                "you may write to."
            ) from None
        folder._write_json(_BEGUN, plan.notes())
        return folder

    @classmethod
    def reopen(cls, out: str | Path, plan: RunPlan) -> "RunFolder":
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
        file = self.path / (_FINISHED if self.finished else _BEGUN)
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
        return (self.path / _FINISHED).is_file()

    def write_month(self, replicate: int, month: int, panel: pd.DataFrame) -> None:
        """Write one month of the metro panel."""
        self._write(self._month(_PANEL, replicate, month), panel)

    def write_history(self, replicate: int, month: int, rows: pd.DataFrame) -> None:
        """Write one month of the histories."""
        self._write(self._month(_HISTORIES, replicate, month), rows, SCHEMA)

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

    def finish(self, run: Run) -> None:
        """Write the other tables and, last, ``run.json``: a folder with it is complete."""
        for name in _TABLES:
            self._write(self.path / f"{name}.parquet", getattr(run, name))
        self._write_json(_FINISHED, run.notes())
        shutil.rmtree(self.path / _CHECKPOINTS, ignore_errors=True)
        (self.path / _BEGUN).unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove the run that the folder's notes tell of."""
        for table in _TABLES:
            (self.path / f"{table}.parquet").unlink(missing_ok=True)
        for name in (_CHECKPOINTS, _PANEL, _HISTORIES):
            shutil.rmtree(self.path / name, ignore_errors=True)
        # Last what says that the other files are a run's: a clearing may be interrupted.
        for name in (_FINISHED, _BEGUN):
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


def _as_read(plan: RunPlan) -> dict[str, Any]:
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
    for key, words in _PLAIN.items():
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


def load_run(folder: str | Path) -> Run:
    """Read a run that `simulate` wrote.

    Raises
    ------
    DataError
        If the folder holds no finished run, or one of another format.
    """
    path = Path(folder)
    try:
        notes = json.loads((path / _FINISHED).read_text("utf-8"))
        if notes["format"] != _FORMAT:
            raise DataError(
                f"{path} holds a run of format {notes['format']}, but this version reads format "
                f"{_FORMAT}; simulate it again."
            )
        plan: dict[str, Any] = {name: notes[name] for name in _PLAIN}
        content = notes["scenario"]
        tables: dict[str, Any] = {
            name: pd.read_parquet(path / f"{name}.parquet") for name in _TABLES
        }
        panel = [
            month
            for replicate in range(plan["replicates"])
            for month in RunFolder(path).read_months(replicate, plan["months"])
        ]
        tables["metros"] = pd.concat(panel, ignore_index=True)
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as problem:
        if (path / _BEGUN).is_file():
            raise DataError(
                f"the run in {path} was stopped before its end; resume it with "
                f"simulate(..., out='{path}', resume=True)."
            ) from None
        raise DataError(
            f"{path} holds no finished run ({type(problem).__name__}: "
            f"{str(problem).splitlines()[0]}); simulate with out='{path}' first."
        ) from None
    return Run(
        scenario=Scenario.from_mapping(content, source=str(path / _FINISHED)),
        folder=path,
        **tables,
        **plan,
    )
