"""Who and what is simulated: workers, firms and metros that fit together, saved and loaded."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, NestflowError, enumerate_some
from choicemodels.keyed_random import Streams
from microsim.assumptions.synthesis import SynthesisParameters
from microsim.people.agents import Firms, Metros, Workers, within

__all__ = ["Population", "load_population"]

_FORMAT = 3
_FILES = ("workers", "firms", "metros", "occupations", "targets")
_OF_RUNS = ("run.json", "begun.json")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Population:
    """A population, ready to be simulated.

    Attributes
    ----------
    workers : Workers
    firms : Firms
    metros : Metros
    occupations : DataFrame
        Columns soc, title, exposure; workers point to its rows.
    wages : ndarray (M, O) float64
        Median wage of every occupation in every metro, dollars a year.
    targets : DataFrame
        Columns margin, where, target: what the synthesis aimed at; `check` compares.
    seed : int
        Of the synthesis.
    parameters : SynthesisParameters
    """

    workers: Workers
    firms: Firms
    metros: Metros
    occupations: pd.DataFrame
    wages: NDArray[np.float64]
    targets: pd.DataFrame
    seed: int
    parameters: SynthesisParameters

    def __post_init__(self) -> None:
        w, f = self.workers, self.firms
        within(w.metro, 0, len(self.metros) - 1, "metro", "workers")
        within(f.metro, 0, len(self.metros) - 1, "metro", "firms")
        within(w.family_metro, 0, len(self.metros) - 1, "family_metro", "workers")
        within(w.firm, -1, len(f) - 1, "firm", "workers")
        within(w.occupation, 0, len(self.occupations) - 1, "occupation", "workers")
        if self.wages.shape != (len(self.metros), len(self.occupations)):
            raise DataError(
                f"wages has shape {self.wages.shape}; it needs one row for each of the "
                f"{len(self.metros)} metros and one column for each of the "
                f"{len(self.occupations)} occupations."
            )
        employed = w.firm >= 0
        away = np.flatnonzero(employed & (f.metro[w.firm] != w.metro))
        if away.size:
            raise DataError(
                f"{away.size:,} workers have an employer in another metro (rows "
                f"{enumerate_some(list(away))}); give them firm = -1 or a firm of their metro."
            )
        other = np.flatnonzero(employed & (f.industry[w.firm] != w.industry))
        if other.size:
            raise DataError(
                f"{other.size:,} workers have an employer in another industry (rows "
                f"{enumerate_some(list(other))}); set their industry to the firm's."
            )
        if not np.array_equal(np.bincount(w.firm[employed], minlength=len(f)), f.size):
            raise DataError(
                "the firms' sizes do not add up to the workers who name them as employer; "
                "set size to the count of workers by firm."
            )

    @cached_property
    def telework(self) -> NDArray[np.float64]:
        """Each worker's draw of being able to work from anywhere, (N,), the same in all runs.

        Stream: "telework", keyed by the population's seed.
        """
        return Streams(self.seed).uniform("telework", self.workers.id)

    def check(self) -> pd.DataFrame:
        """Return the margins that were aimed at beside those realized.

        Returns
        -------
        DataFrame
            Columns margin, where, target, realized, difference; see `microsim.people.margins`.
            Without the rows of groups that have no member.
        """
        from microsim.people.margins import realized_margins

        table = self.targets.merge(realized_margins(self), on=["margin", "where"], how="left")
        table["difference"] = table["realized"] - table["target"]
        return table.dropna(ignore_index=True)

    def fingerprint(self) -> str:
        """Return a short hash of all that the population is, in any order of the workers' rows."""
        digest = hashlib.blake2b(f"{self.seed}".encode(), digest_size=12)
        digest.update(self.wages.tobytes())
        digest.update(self.parameters.model_dump_json().encode())
        for frame in (self.occupations, self.targets):
            digest.update(frame.to_csv(index=False).encode())
        order = np.argsort(self.workers.id)
        for table in (self.workers, self.firms, self.metros):
            for values in table.columns().values():
                ordered = values[order] if table is self.workers else values
                is_text = values.dtype == object
                digest.update("|".join(ordered).encode() if is_text else ordered.tobytes())
        return digest.hexdigest()

    def save(self, folder: str | Path) -> Path:
        """Write the population into a folder of Parquet files and ``population.json``.

        Parameters
        ----------
        folder
            Made if it does not exist; files of an earlier population in it are replaced.

        Raises
        ------
        DataError
            If the folder holds a run, or cannot be written.
        """
        target = Path(folder)
        if any((target / name).is_file() for name in _OF_RUNS):
            raise DataError(
                f"{target} holds a run, which a population saved there would damage; give the "
                "population a folder of its own."
            )
        occupations = self.occupations.copy()
        wages = pd.DataFrame(self.wages, columns=occupations["soc"].to_numpy())
        notes = {
            "format": _FORMAT,
            "seed": self.seed,
            "parameters": self.parameters.model_dump(mode="json"),
            "fingerprint": self.fingerprint(),
        }
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name in ("workers", "firms", "metros"):
                columns: dict[str, NDArray[Any]] = getattr(self, name).columns()
                pd.DataFrame(columns).to_parquet(target / f"{name}.parquet", index=False)
            occupations.to_parquet(target / "occupations.parquet", index=False)
            wages.to_parquet(target / "wages.parquet", index=False)
            self.targets.to_parquet(target / "targets.parquet", index=False)
            # Written last: a folder without it is not a population.
            (target / "population.json").write_text(json.dumps(notes, indent=1), "utf-8")
        except OSError as problem:
            raise DataError(
                f"the population cannot be written to {target} ({problem.strerror}); "
                "give a folder that you may write to, with space left."
            ) from None
        return target


def load_population(folder: str | Path) -> Population:
    """Read a population that `Population.save` wrote.

    Raises
    ------
    DataError
        If the folder is not a population, or its files have been changed since.
    """
    source = Path(folder)
    notes = _notes(source)
    try:
        frames = {name: pd.read_parquet(source / f"{name}.parquet") for name in (*_FILES, "wages")}
        population = Population(
            workers=Workers.from_frame(frames["workers"], what=f"{source}/workers.parquet"),
            firms=Firms.from_frame(frames["firms"], what=f"{source}/firms.parquet"),
            metros=Metros.from_frame(frames["metros"], what=f"{source}/metros.parquet"),
            occupations=frames["occupations"],
            wages=np.ascontiguousarray(frames["wages"].to_numpy(dtype=np.float64)),
            targets=frames["targets"],
            seed=int(notes["seed"]),
            parameters=SynthesisParameters.model_validate(notes["parameters"]),
        )
        unchanged = population.fingerprint() == notes["fingerprint"]
    except NestflowError:
        raise
    except _UNREADABLE as problem:
        raise _no_population(source, problem) from None
    if not unchanged:
        raise DataError(
            f"the files in {source} are not those that were saved (their fingerprint differs); "
            "restore them, or synthesize the population again."
        )
    return population


def _notes(source: Path) -> dict[str, Any]:
    """Return what a folder says of the population in it, which is of the format read here."""
    try:
        notes: dict[str, Any] = json.loads((source / "population.json").read_text("utf-8"))
        found = notes.get("format")
    except _UNREADABLE as problem:
        raise _no_population(source, problem) from None
    if found != _FORMAT:
        raise DataError(
            f"{source} holds a population of format {found}, but this version reads format "
            f"{_FORMAT}; synthesize it again."
        )
    return notes


def _no_population(source: Path, problem: Exception) -> DataError:
    """Return what to raise where a folder's files make no population."""
    told = " ".join([type(problem).__name__ + ":", *str(problem).splitlines()[:1]])
    return DataError(
        f"{source} is not a saved population ({told}); make one with "
        f"synthesize(...).save('{source}')."
    )
