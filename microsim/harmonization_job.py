"""A harmonization described in a file: which matrix, which tables, which steps, where to write."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from choicemodels.errors import DataError, SpecificationError
from choicemodels.frames import numeric_column, read_table, require_columns
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from estimation.harmonization.steps import Flows, Margins, MoversAndStayers, Populations, Step
from microsim.settings_file import explain, read_settings

if TYPE_CHECKING:
    from estimation.harmonization.result import Harmonized

__all__ = ["HarmonizationJob", "run_harmonization"]

Progress = Callable[[str, int, int], None]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _StepPart(_Part):
    table: str
    tol: float = Field(default=1e-9, gt=0, lt=1)
    empty: Literal["refuse", "leave"] = "refuse"


class PopulationsStep(_StepPart):
    """Scale areas to populations; the table has the columns of the level and ``people``.

    Attributes
    ----------
    table
        Path, from the folder of the file.
    level
        None takes the finest areas.
    when
        ``before`` scales origins, ``after`` destinations.
    tol, empty
        As of :class:`~estimation.harmonization.steps.Populations`.
    """

    kind: Literal["populations"]
    level: str | None = None
    when: Literal["before", "after"] = "before"

    def step(self, tables: "_Tables") -> Step:
        """Read the table."""
        level = self.level or tables.areas.name
        table = tables.read(self.table, [level], ["people"])
        return Populations(table["people"], self.level, self.when, self.tol, self.empty)


class MoversAndStayersStep(_StepPart):
    """Scale movers into areas and stayers; the table has ``movers`` and ``stayers``.

    Attributes
    ----------
    table, level, tol, empty
        As of :class:`PopulationsStep`.
    """

    kind: Literal["movers_and_stayers"]
    level: str = "state"

    def step(self, tables: "_Tables") -> Step:
        """Read the table."""
        table = tables.read(self.table, [self.level], ["movers", "stayers"])
        return MoversAndStayers(table["movers"], table["stayers"], self.level, self.tol, self.empty)


class FlowsStep(_StepPart):
    """Scale blocks to flows; the table has ``origin``, ``destination`` and ``people``.

    Attributes
    ----------
    table, level, tol, empty
        As of :class:`PopulationsStep`. A pair without a row is not imposed.
    """

    kind: Literal["flows"]
    level: str = "state"

    def step(self, tables: "_Tables") -> Step:
        """Read the table."""
        rows = tables.read(self.table, ["origin", "destination"], ["people"])["people"]
        labels = tables.areas.level(self.level).labels
        square = rows.unstack(fill_value=0)
        strangers = [x for x in {*square.index, *square.columns} if x not in labels]
        if not strangers:
            square = square.reindex(index=labels, columns=labels, fill_value=0.0)
        return Flows(square, self.level, self.tol, self.empty)


class MarginsStep(_StepPart):
    """Balance areas to people ``before`` and ``after``, the columns of the table.

    Attributes
    ----------
    table, level, tol, empty
        As of :class:`PopulationsStep`.
    totals
        By how much of itself the total after may be scaled.
    """

    kind: Literal["margins"]
    level: str = "county"
    totals: float = Field(default=0.02, ge=0, lt=1)

    def step(self, tables: "_Tables") -> Step:
        """Read the table."""
        table = tables.read(self.table, [self.level], ["before", "after"])
        return Margins(
            table["before"], table["after"], self.level, self.tol, self.totals, self.empty
        )


StepPart = Annotated[
    PopulationsStep | MoversAndStayersStep | FlowsStep | MarginsStep, Field(discriminator="kind")
]


class Moves(_Part):
    """A matrix given as a table of moves and a table of areas.

    Attributes
    ----------
    table
        Path of the moves: ``origin``, ``destination`` and ``people``.
    areas
        Path of the areas: a column for each of ``area`` and ``levels``; others are attributes.
    area
        The finest level.
    levels
        From fine to coarse.
    year
        The year in which people are asked where they lived a year before.
    codebook
        What other columns of the areas mean, as far as they are not usual ones.
    """

    table: str
    areas: str
    area: str = "block_group"
    levels: tuple[str, ...] = Field(default=("tract", "county", "state"), min_length=1)
    year: int | None = None
    codebook: dict[str, str] = Field(default_factory=dict)


class HarmonizationJob(_Part):
    """What ``nestflow harmonize`` reads.

    Attributes
    ----------
    name
    matrix
        A folder that :func:`~choicemodels.migration.store.write_matrix` wrote, or a table of moves
        with its areas.
    out
        Folder for the result; paths are from the folder of the file.
    steps
        In their order.
    """

    name: str
    matrix: str | Moves
    out: str = "harmonized"
    steps: tuple[StepPart, ...] = Field(min_length=1)

    _folder: Path = PrivateAttr(default=Path())
    _digest: str = PrivateAttr(default="")

    @classmethod
    def load(cls, path: str | Path) -> "HarmonizationJob":
        """Read a job from YAML or TOML.

        Raises
        ------
        SpecificationError
            If the file is missing, malformed, or has a key or value that is none: the message
            names the file, the place in it and the remedy.
        """
        file = Path(path)
        content = read_settings(file, "harmonization", "name: my_harmonization")
        try:
            job = cls.model_validate(content)
        except ValidationError as error:
            raise SpecificationError(explain(error, cls, str(path))) from None
        job._folder = file.resolve().parent
        job._digest = blake2b(file.read_bytes(), digest_size=16).hexdigest()
        return job

    @property
    def folder(self) -> Path:
        """Return where the result goes."""
        return self._folder / self.out

    def read(self) -> tuple[MigrationMatrix, list[Step]]:
        """Read the matrix, and the tables of all steps.

        Raises
        ------
        DataError
            If a file is missing, lacks a column, or has labels or values that cannot be.
        """
        matrix = self._matrix()
        tables = _Tables(matrix.areas, self._folder)
        return matrix, [part.step(tables) for part in self.steps]

    def _matrix(self) -> MigrationMatrix:
        from choicemodels.migration.store import read_matrix

        if isinstance(self.matrix, str):
            return read_matrix(self._folder / self.matrix)
        given = self.matrix
        texts = [given.area, *given.levels]
        areas = Areas.from_table(
            read_table(self._folder / given.areas, text=texts), given.area, given.levels
        )
        moves = read_table(self._folder / given.table, text=["origin", "destination"])
        return MigrationMatrix.from_rows(moves, areas, year=given.year)

    def codebook(self, areas: Areas) -> dict[str, str]:
        """Return what the attributes of the areas mean, as far as it was said."""
        from choicemodels.migration.store import attribute_meanings

        if not isinstance(self.matrix, str):
            return self.matrix.codebook
        return attribute_meanings(self._folder / self.matrix, areas)

    def provenance(self) -> dict[str, Any]:
        """Return what the written matrix tells of how it was made."""
        return {
            "job": self.model_dump(mode="json"),
            "job digest": self._digest,
        }


@dataclass(frozen=True)
class _Tables:
    """Reads tables of targets, and names the file in whatever is wrong with them."""

    areas: Areas
    folder: Path

    def read(self, name: str, labels: list[str], people: list[str]) -> pd.DataFrame:
        what = f"'{name}'"
        for label in labels:
            if label not in ("origin", "destination"):
                self.areas.level(label)
        table = read_table(self.folder / name, text=labels)
        require_columns(table, [*labels, *people], what=what)
        for column in people:
            numeric_column(table, column, what=what)
        keys = [table[label].map(str) for label in labels]
        twice = pd.concat(keys, axis=1).duplicated().to_numpy()
        if twice.any():
            first = int(twice.argmax())
            where = " → ".join(key.iloc[first] for key in keys)
            raise DataError(f"{what} has several rows for {where}; add them up.")
        index = pd.MultiIndex.from_arrays(keys) if len(keys) > 1 else pd.Index(keys[0])
        return table[people].set_axis(index)


def run_harmonization(
    job: HarmonizationJob, *, overwrite: bool = False, progress: Progress | None = None
) -> "Harmonized":
    """Run a job, and write the matrix, the log and the factors of each step into its folder.

    Steps that an earlier run of the same job finished are not run again.

    Parameters
    ----------
    job
    overwrite
        Replace a matrix that an earlier run wrote.
    progress
        As of :func:`~estimation.harmonize`.

    Raises
    ------
    DataError
        If the input cannot be used, or there is a matrix already.
    EstimationError
        If a step does not reach its targets.
    """
    from choicemodels.migration.store import write_matrix
    from estimation import harmonize

    target = job.folder / "matrix"
    if target.exists() and not overwrite:
        raise DataError(f"'{target}' is there already; give --overwrite, or another out.")
    matrix, steps = job.read()
    job.folder.mkdir(parents=True, exist_ok=True)
    found = harmonize(matrix, steps, checkpoint=job.folder / "steps", progress=progress)
    write_matrix(
        found.matrix,
        target,
        provenance=job.provenance(),
        codebook=job.codebook(matrix.areas),
        overwrite=overwrite,
    )
    found.log.to_csv(job.folder / "log.csv", index=False)
    return found
