"""What a simulation leaves behind: an immutable `Run`, in memory and in a folder."""

import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from choicemodels.errors import DataError
from microsim.scenario import Scenario

__all__ = ["Run", "RunFolder", "load_run"]

_FORMAT = 1
_PACKAGES = ("nestflow", "numpy", "numba", "pandas", "scipy", "pyarrow")
_PANEL = "metro_panel"
_TABLES = ("national", "flows", "policies")


@dataclass(frozen=True)
class Run:
    """The outcome of `simulate`.

    Attributes
    ----------
    scenario : Scenario
    months, seed, replicates : int
    start : str
        First month, "YYYY-MM".
    metros : DataFrame
        One row for each replicate, month and metro: replicate, month (0 and up), date, cbsa,
        region_class, population, arrivals, departures, employed, unemployed, displaced,
        separations, quits, hires, vacancies, price_index, home_value (dollars), eligible,
        eligible_moves, grants, grant_dollars (of all policies), and taxes less outlays so far:
        federal_balance, state_balance, local_balance. Stocks are those at the end of the month.
    national : DataFrame
        One row for each replicate and month: the sums of these, moves, unemployment_rate,
        mean_price_index (by workers), the accounts in dollars (saved, drawn, moving_cost, credit,
        savings) and whether there was a recession.
    flows : DataFrame
        Moves in all months: replicate, origin, destination, moves; pairs without a move left out.
    policies : DataFrame
        replicate, month, policy, grants and dollars paid.
    population_fingerprint, behaviour_fingerprint : str
        Hashes that tell whether two runs had the same people and the same fitted model.
    """

    scenario: Scenario
    months: int
    seed: int
    replicates: int
    start: str
    metros: pd.DataFrame
    national: pd.DataFrame
    flows: pd.DataFrame
    policies: pd.DataFrame
    population_fingerprint: str
    behaviour_fingerprint: str

    def notes(self) -> dict[str, Any]:
        """Return what makes the run again: scenario, seeds and versions; no clock."""
        return {
            "format": _FORMAT,
            "scenario": self.scenario.model_dump(mode="json"),
            "months": self.months,
            "seed": self.seed,
            "replicates": self.replicates,
            "start": self.start,
            "population_fingerprint": self.population_fingerprint,
            "behaviour_fingerprint": self.behaviour_fingerprint,
            "versions": {"python": platform.python_version(), **_versions()},
        }


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

    Attributes
    ----------
    path : Path
    """

    path: Path

    @classmethod
    def prepare(cls, out: str | Path) -> "RunFolder":
        """Make the folder, and clear an earlier run's files out of it.

        Raises
        ------
        DataError
            If the folder cannot be made or cleared.
        """
        path = Path(out)
        ours = {_PANEL, "run.json", *(f"{name}.parquet" for name in _TABLES)}
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / "run.json").unlink(missing_ok=True)
            shutil.rmtree(path / _PANEL, ignore_errors=True)
            for name in ours - {_PANEL}:
                (path / name).unlink(missing_ok=True)
        except OSError as problem:
            raise DataError(
                f"the run cannot be written to {path} ({problem.strerror}); give a folder that "
                "you may write to."
            ) from None
        return cls(path)

    def write_month(self, replicate: int, month: int, panel: pd.DataFrame) -> None:
        """Write one month of the metro panel."""
        name = f"replicate={replicate:03d}/month={month:04d}.parquet"
        self._write(self.path / _PANEL / name, panel)

    def finish(self, run: Run) -> None:
        """Write the other tables and, last, ``run.json``: a folder with it is complete."""
        for name in _TABLES:
            self._write(self.path / f"{name}.parquet", getattr(run, name))
        text = json.dumps(run.notes(), indent=1)
        self._replace(self.path / "run.json", lambda path: path.write_text(text, "utf-8"))

    def _write(self, path: Path, frame: pd.DataFrame) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._replace(path, lambda part: frame.to_parquet(part, index=False))

    def _replace(self, path: Path, write: Any) -> None:
        """Write beside and then rename, so that a killed run leaves no half file."""
        part = path.with_name(path.name + ".part")
        try:
            write(part)
            os.replace(part, path)
        except OSError as problem:
            part.unlink(missing_ok=True)
            raise DataError(
                f"{path} cannot be written ({problem.strerror}); what was written before it "
                "stands. Free some space and run again."
            ) from None


def load_run(folder: str | Path) -> Run:
    """Read a run that `simulate` wrote.

    Raises
    ------
    DataError
        If the folder holds no finished run.
    """
    path = Path(folder)
    try:
        notes = json.loads((path / "run.json").read_text("utf-8"))
        months = sorted((path / _PANEL).glob("replicate=*/month=*.parquet"))
        tables = {name: pd.read_parquet(path / f"{name}.parquet") for name in _TABLES}
        # Read file by file: the folder's name must not become a column.
        panel = pd.concat([pd.read_parquet(open_file) for open_file in months], ignore_index=True)
    except (OSError, ValueError) as problem:
        raise DataError(
            f"{path} holds no finished run ({type(problem).__name__}: "
            f"{str(problem).splitlines()[0]}); simulate with out='{path}' first."
        ) from None
    return Run(
        scenario=Scenario.from_mapping(notes["scenario"], source=str(path / "run.json")),
        months=notes["months"],
        seed=notes["seed"],
        replicates=notes["replicates"],
        start=notes["start"],
        metros=panel,
        population_fingerprint=notes["population_fingerprint"],
        behaviour_fingerprint=notes["behaviour_fingerprint"],
        **tables,
    )
