"""What a simulation leaves behind: an immutable `Run`, in memory and in a folder."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from choicemodels.errors import DataError
from microsim.results.run_folder import BEGUN, FINISHED, HISTORIES, PLAN, TABLES, RunFolder
from microsim.scenario import Scenario

__all__ = ["Run", "RunPlan", "load_run"]

_FORMAT = 1
_PACKAGES = ("nestflow", "numpy", "numba", "pandas", "scipy", "pyarrow")


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
            **{name: getattr(self, name) for name in PLAN},
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

        files = [] if self.folder is None else list((self.folder / HISTORIES).rglob("*.parquet"))
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


def load_run(folder: str | Path) -> Run:
    """Read a run that `simulate` wrote.

    Raises
    ------
    DataError
        If the folder holds no finished run, or one of another format.
    """
    path = Path(folder)
    try:
        notes = json.loads((path / FINISHED).read_text("utf-8"))
        if notes["format"] != _FORMAT:
            raise DataError(
                f"{path} holds a run of format {notes['format']}, but this version reads format "
                f"{_FORMAT}; simulate it again."
            )
        plan: dict[str, Any] = {name: notes[name] for name in PLAN}
        content = notes["scenario"]
        tables: dict[str, Any] = {
            name: pd.read_parquet(path / f"{name}.parquet") for name in TABLES
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
        if (path / BEGUN).is_file():
            raise DataError(
                f"the run in {path} was stopped before its end; resume it with "
                f"simulate(..., out='{path}', resume=True)."
            ) from None
        raise DataError(
            f"{path} holds no finished run ({type(problem).__name__}: "
            f"{str(problem).splitlines()[0]}); simulate with out='{path}' first."
        ) from None
    return Run(
        scenario=Scenario.from_mapping(content, source=str(path / FINISHED)),
        folder=path,
        **tables,
        **plan,
    )
