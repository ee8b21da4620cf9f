"""Who and what is simulated, as columns: workers, firms and metros, checked once, then frozen."""

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, enumerate_some
from choicemodels.frames import require_columns
from microsim.synthesis_parameters import SynthesisParameters

__all__ = ["Firms", "Metros", "Population", "Workers", "load_population"]

_FORMAT = 1
_FILES = ("workers", "firms", "metros", "occupations", "targets")


class _Columns:
    """What the tables of agents share: columns of one length, to and from a frame."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    def to_frame(self) -> pd.DataFrame:
        """Return the columns as a DataFrame, one row an agent."""
        return pd.DataFrame(self.columns())

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, what: str) -> Self:
        """Build from a DataFrame with the columns by name.

        Raises
        ------
        DataError
            If a column is missing or cannot be read as its type.
        """
        names = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        require_columns(frame, names, what=what)
        return cls(**{name: frame[name].to_numpy() for name in names})

    def _freeze(self, kinds: dict[str, Any], what: str) -> None:
        length = None
        for name, kind in kinds.items():
            try:
                values = np.ascontiguousarray(getattr(self, name), dtype=kind)
            except (TypeError, ValueError, OverflowError):
                raise DataError(
                    f"column '{name}' of the {what} cannot be read as {np.dtype(kind).name}; "
                    "convert it or drop the rows that are not numbers."
                ) from None
            if values.ndim != 1 or (length is not None and len(values) != length):
                raise DataError(
                    f"column '{name}' of the {what} has shape {values.shape}, but the columns "
                    f"before it have {length} rows; give every column one value a row."
                )
            if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values))[0])
                raise DataError(
                    f"column '{name}' of the {what} is not finite in row {row}; fill it."
                )
            length = len(values)
            values.flags.writeable = False
            object.__setattr__(self, name, values)


@dataclass(frozen=True)
class Workers(_Columns):
    """The workers, each standing for a household; every column has shape (N,).

    Attributes
    ----------
    id : int64
        Unique, not negative. Draws are keyed by it, so rows may come in any order.
    age : int16
        Years.
    education : int8
        Code of `microsim.parameters.EDUCATION_LEVELS`; 3 and above are college degrees.
    household_size : int8
        Persons, at least 1.
    homeowner : bool
    occupation : int8
        Row of `Population.occupations`.
    wage : float64
        Dollars a year; of the last job for the unemployed.
    savings : int64
        Liquid savings in cents.
    metro : int16
        Row of `Population.metros`.
    firm : int32
        Row of `Population.firms`, or -1 for the unemployed.
    exposure : float64
        Share of the occupation's work that AI could take over, 0 to 1.
    """

    id: NDArray[np.int64]
    age: NDArray[np.int16]
    education: NDArray[np.int8]
    household_size: NDArray[np.int8]
    homeowner: NDArray[np.bool_]
    occupation: NDArray[np.int8]
    wage: NDArray[np.float64]
    savings: NDArray[np.int64]
    metro: NDArray[np.int16]
    firm: NDArray[np.int32]
    exposure: NDArray[np.float64]

    def __post_init__(self) -> None:
        self._freeze(
            {
                "id": np.int64,
                "age": np.int16,
                "education": np.int8,
                "household_size": np.int8,
                "homeowner": np.bool_,
                "occupation": np.int8,
                "wage": np.float64,
                "savings": np.int64,
                "metro": np.int16,
                "firm": np.int32,
                "exposure": np.float64,
            },
            "workers",
        )
        if len(np.unique(self.id)) != len(self.id) or (len(self.id) and self.id.min() < 0):
            raise DataError("the workers' ids must be unique and not negative; number them anew.")
        _within(self.exposure, 0.0, 1.0, "exposure", "workers")
        _within(self.wage, 0.0, np.inf, "wage", "workers")
        _within(self.savings, 0, np.inf, "savings", "workers")
        _within(self.household_size, 1, np.inf, "household_size", "workers")


@dataclass(frozen=True)
class Firms(_Columns):
    """The firms; every column has shape (F,).

    Attributes
    ----------
    id : int64
        Unique, not negative.
    metro : int16
        Row of `Population.metros`.
    size : int32
        Workers employed at the start.
    industry : int8
        Code of `microsim.parameters.INDUSTRIES`.
    stage : int8
        Code of `microsim.parameters.ADOPTION_STAGES`.
    """

    id: NDArray[np.int64]
    metro: NDArray[np.int16]
    size: NDArray[np.int32]
    industry: NDArray[np.int8]
    stage: NDArray[np.int8]

    def __post_init__(self) -> None:
        self._freeze(
            {
                "id": np.int64,
                "metro": np.int16,
                "size": np.int32,
                "industry": np.int8,
                "stage": np.int8,
            },
            "firms",
        )
        _within(self.stage, 0, 3, "stage", "firms")


@dataclass(frozen=True)
class Metros(_Columns):
    """The metropolitan areas at the start; every column has shape (M,).

    Attributes
    ----------
    cbsa, name, states, division, climate_zone, region_class : object
        Codes and classes, as in ``data/README.md``.
    latitude, longitude : float64
        Degrees, weighted by population.
    population : float64
        Residents.
    income, home_value, wage : float64
        Median household income, median home value, mean wage; dollars.
    bachelor_share, employed_share, owner_share, vacancy_share : float64
        Shares, 0 to 1.
    """

    cbsa: NDArray[np.object_]
    name: NDArray[np.object_]
    states: NDArray[np.object_]
    division: NDArray[np.object_]
    climate_zone: NDArray[np.object_]
    region_class: NDArray[np.object_]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    population: NDArray[np.float64]
    income: NDArray[np.float64]
    home_value: NDArray[np.float64]
    wage: NDArray[np.float64]
    bachelor_share: NDArray[np.float64]
    employed_share: NDArray[np.float64]
    owner_share: NDArray[np.float64]
    vacancy_share: NDArray[np.float64]

    def __post_init__(self) -> None:
        text = ("cbsa", "name", "states", "division", "climate_zone", "region_class")
        kinds = {f.name: object if f.name in text else np.float64 for f in fields(self)}
        self._freeze(kinds, "metros")
        if len(set(self.cbsa)) != len(self.cbsa):
            raise DataError("two metros have the same CBSA code; keep one row for each.")


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
        _within(w.metro, 0, len(self.metros) - 1, "metro", "workers")
        _within(f.metro, 0, len(self.metros) - 1, "metro", "firms")
        _within(w.firm, -1, len(f) - 1, "firm", "workers")
        _within(w.occupation, 0, len(self.occupations) - 1, "occupation", "workers")
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
        if not np.array_equal(np.bincount(w.firm[employed], minlength=len(f)), f.size):
            raise DataError(
                "the firms' sizes do not add up to the workers who name them as employer; "
                "set size to the count of workers by firm."
            )

    def check(self) -> pd.DataFrame:
        """Return the margins that were aimed at beside those realized.

        Returns
        -------
        DataFrame
            Columns margin, where, target, realized, difference; see `microsim.margins`.
        """
        from microsim.margins import realized_margins

        table = self.targets.merge(realized_margins(self), on=["margin", "where"], how="left")
        table["difference"] = table["realized"] - table["target"]
        return table

    def fingerprint(self) -> str:
        """Return a short hash of all agents, whatever the order of the workers' rows."""
        digest = hashlib.blake2b(digest_size=12)
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
            If the folder cannot be written.
        """
        target = Path(folder)
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
            self.workers.to_frame().to_parquet(target / "workers.parquet", index=False)
            self.firms.to_frame().to_parquet(target / "firms.parquet", index=False)
            self.metros.to_frame().to_parquet(target / "metros.parquet", index=False)
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
    try:
        notes = json.loads((source / "population.json").read_text("utf-8"))
        frames = {name: pd.read_parquet(source / f"{name}.parquet") for name in (*_FILES, "wages")}
    except (OSError, ValueError) as problem:
        raise DataError(
            f"{source} is not a saved population ({type(problem).__name__}: "
            f"{str(problem).splitlines()[0]}); make one with synthesize(...).save('{source}')."
        ) from None
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
    if population.fingerprint() != notes["fingerprint"]:
        raise DataError(
            f"the files in {source} are not those that were saved (their fingerprint differs); "
            "restore them, or synthesize the population again."
        )
    return population


Number = TypeVar("Number", bound=np.generic)


def _within(values: NDArray[Number], low: float, high: float, name: str, what: str) -> None:
    """Raise if a value lies outside [low, high], naming the first row."""
    bad = np.flatnonzero((values < low) | (values > high))  # type: ignore[operator]
    if bad.size:
        raise DataError(
            f"column '{name}' of the {what} is {values[bad[0]]} in row {bad[0]}, outside "
            f"{low:g} to {high:g}; mend {bad.size:,} such rows."
        )
