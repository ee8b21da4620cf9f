"""Choice data in Parquet files, looked at one file at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.check import Problem
from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.factored import FactoredChoiceData
from choicemodels.errors import DataError, enumerate_some
from choicemodels.frames import closest, read_table

__all__ = ["AnyChoiceData", "Partition", "PartitionedChoiceData"]

Ints = NDArray[np.int64]
Array = NDArray[np.float64]
Partition: TypeAlias = ChoiceData | FactoredChoiceData


@dataclass(frozen=True, eq=False)
class LongReader:
    """Read one file with a row for each case and alternative; picklable, for other machines."""

    columns: Mapping[str, Any]

    def __call__(self, path: Path) -> ChoiceData:
        """Return the file's choices."""
        return ChoiceData.from_long(read_table(path), **self.columns)


@dataclass(frozen=True, eq=False)
class ChooserReader:
    """Read one file of choosers, whose places are those of all files."""

    alternatives: pd.DataFrame
    pairs: pd.DataFrame | None
    columns: Mapping[str, Any]

    def __call__(self, path: Path) -> FactoredChoiceData:
        """Return the file's choosers."""
        return ChoiceData.from_factors(
            read_table(path), self.alternatives, self.pairs, **self.columns
        )


@dataclass(frozen=True, eq=False)
class Digest:
    """What the driver keeps of one partition."""

    alternatives: tuple[str, ...]
    chosen: Ints
    weights: Array
    case_ids: NDArray[Any]
    set_sizes: Ints
    sets: NDArray[np.bool_]
    set_of: Ints
    makers: NDArray[Any] | None
    varying: Mapping[str, Any]
    levels: Mapping[str, pd.Index]
    head: pd.DataFrame
    problems: tuple[Problem, ...]


@dataclass(frozen=True, eq=False, repr=False)
class PartitionedChoiceData:
    """Choices in several files, each with whole cases.

    The driver keeps a few numbers for each case; the rows are read where they are needed.

    Attributes
    ----------
    paths : tuple of Path
    read : callable
        Returns the choices of a path.
    digests : tuple of Digest
    """

    paths: tuple[Path, ...]
    read: LongReader | ChooserReader
    digests: tuple[Digest, ...] = field(default=())

    @classmethod
    def from_long(
        cls,
        paths: str | Path | Sequence[str | Path],
        case: str,
        alternative: str,
        chosen: str | None = None,
        *,
        alternatives: Sequence[str] | None = None,
        available: str | None = None,
        weights: str | None = None,
        panel: str | None = None,
    ) -> Self:
        """Take files with a row for each case and alternative.

        Parameters
        ----------
        paths
            Parquet files, or a folder of them. A case must not be in two files, nor, in a panel,
            a decision maker.
        case, alternative, chosen, available, weights, panel
            As in :meth:`ChoiceData.from_long`.
        alternatives
            Their order, the first being the default base. Without it: sorted.

        Raises
        ------
        DataError
            If there is no file, a file is unusable, or a case is in two files.
        """
        files = _files(paths)
        columns = {
            "case": case,
            "alternative": alternative,
            "chosen": chosen,
            "available": available,
            "weights": weights,
            "panel": panel,
        }
        if alternatives is None:
            alternatives = _all_alternatives(files, alternative)
        return cls._digested(files, LongReader({**columns, "alternatives": tuple(alternatives)}))

    @classmethod
    def from_factors(
        cls,
        choosers: str | Path | Sequence[str | Path],
        alternatives: Any,
        pairs: Any = None,
        **columns: Any,
    ) -> Self:
        """Take files of choosers; everything else is as in :meth:`ChoiceData.from_factors`."""
        return cls._digested(_files(choosers), ChooserReader(alternatives, pairs, columns))

    @classmethod
    def _digested(cls, files: tuple[Path, ...], read: LongReader | ChooserReader) -> Self:
        found = cls(files, read, tuple(_digest(read(path)) for path in files))
        found._refuse_straddling("case", [d.case_ids for d in found.digests])
        makers = [d.makers for d in found.digests if d.makers is not None]
        if makers:
            found._refuse_straddling("decision maker", makers)
        return found

    def _refuse_straddling(self, what: str, labels: list[NDArray[Any]]) -> None:
        file = np.repeat(np.arange(len(labels)), [len(part) for part in labels])
        frame = pd.DataFrame({"label": np.concatenate(labels), "file": file}).drop_duplicates()
        again = frame[frame["label"].duplicated(keep=False)]
        if len(again):
            label = again["label"].iloc[0]
            names = [self.paths[k].name for k in again.loc[again["label"] == label, "file"]]
            raise DataError(
                f"the {what} {label} has rows in {enumerate_some(names)}; write each {what} into "
                "one file."
            )

    def __repr__(self) -> str:
        return f"<PartitionedChoiceData: {self.n_cases:,} cases in {len(self.paths):,} files>"

    def partitions(self) -> Iterator[Partition]:
        """Read one file after the other."""
        return map(self.read, self.paths)

    @cached_property
    def cases(self) -> tuple[Ints, ...]:
        """Positions of each file's cases among all N."""
        bounds = np.cumsum([0, *(len(d.chosen) for d in self.digests)])
        return tuple(np.arange(a, b) for a, b in pairwise(bounds))

    def part(self, number: int) -> Partition:
        """Read one file."""
        return self.read(self.paths[number])

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Names of the alternatives."""
        return self.digests[0].alternatives

    @property
    def n_cases(self) -> int:
        """Number of cases, N."""
        return sum(len(d.chosen) for d in self.digests)

    @cached_property
    def chosen_alternative(self) -> Ints:
        """Position of each case's chosen alternative, -1 where none is known, shape (N,)."""
        return np.concatenate([d.chosen for d in self.digests])

    @cached_property
    def weights(self) -> Array:
        """Weights of the cases, shape (N,)."""
        return np.concatenate([d.weights for d in self.digests])

    @cached_property
    def case_ids(self) -> NDArray[Any]:
        """Labels of the cases, shape (N,)."""
        return np.concatenate([d.case_ids for d in self.digests])

    @cached_property
    def set_sizes(self) -> Ints:
        """Number of alternatives that each case is offered, shape (N,)."""
        return np.concatenate([d.set_sizes for d in self.digests])

    @property
    def has_choices(self) -> bool:
        """Whether every case has a known choice."""
        return bool((self.chosen_alternative >= 0).all())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What the border found in any file."""
        return tuple(problem for d in self.digests for problem in d.problems)

    @property
    def population_shares(self) -> None:
        """Partitioned data carry no choice-based weights of their own."""
        return None

    @cached_property
    def variables(self) -> pd.DataFrame:
        """Columns that formulas may name, text columns with the levels of all files."""
        columns = {name: self._values(name, c) for name, c in self.digests[0].head.items()}
        rows = max(map(len, columns.values()))
        return pd.DataFrame({name: np.resize(values, rows) for name, values in columns.items()})

    def _values(self, name: Any, column: "pd.Series[Any]") -> NDArray[Any]:
        """Return the levels of a text column in any file, or one value of another."""
        if name not in self.digests[0].levels:
            return column.iloc[:1].to_numpy()
        levels = self.digests[0].levels[name]
        for digest in self.digests[1:]:
            levels = levels.union(digest.levels[name])
        return np.asarray(levels, dtype=object)

    def choice_sets(self) -> tuple[NDArray[np.bool_], Ints]:
        """Return the distinct choice sets of each file (G, J), and which one each case faces."""
        first = np.cumsum([0, *(len(d.sets) for d in self.digests)])
        set_of = [d.set_of + start for d, start in zip(self.digests, first, strict=False)]
        return np.concatenate([d.sets for d in self.digests]), np.concatenate(set_of)

    def varying_case(self, name: str) -> Any:
        """Return a case within which a variable differs between alternatives, or None."""
        for digest in self.digests:
            if name in digest.varying:
                return digest.varying[name]
        return None

    def case_groups(self, groups: str | NDArray[Any]) -> tuple[str, NDArray[Any]]:
        """Return the name and the label of every case of a grouping, shape (N,).

        Raises
        ------
        DataError
            As :meth:`ChoiceData.case_groups`.
        """
        if not isinstance(groups, str):
            labels = np.asarray(groups)
            if labels.shape != (self.n_cases,):
                raise DataError(
                    f"the array of groups has shape {labels.shape}; give one label for each of the "
                    f"{self.n_cases:,} cases."
                )
            return "groups", labels
        parts = [part.strip() for part in groups.split("^")]
        keys = pd.concat([_case_columns(data, groups, parts) for data in self.partitions()])
        return groups, pd.MultiIndex.from_frame(keys).factorize()[0]


def _case_columns(data: Partition, groups: str, names: list[str]) -> pd.DataFrame:
    """Return columns that are constant within cases, one row a case."""
    data.case_groups(groups)
    if isinstance(data, FactoredChoiceData):
        return data.choosers[names]
    return data.table[names].iloc[data.offsets[:-1]]


def _files(paths: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    if isinstance(paths, str | Path):
        folder = Path(paths)
        found = sorted(folder.glob("*.parquet")) if folder.is_dir() else [folder]
        if not found:
            raise DataError(f"there is no .parquet file in '{folder}'.")
        return tuple(found)
    if not paths:
        raise DataError("no file was given; name Parquet files, or a folder of them.")
    return tuple(Path(path) for path in paths)


def _all_alternatives(files: tuple[Path, ...], column: str) -> tuple[str, ...]:
    """Return the alternatives of all files, sorted: numbers as numbers."""
    levels: set[Any] = set()
    for path in files:
        try:
            found = pd.read_parquet(path, columns=[column])[column]
        except FileNotFoundError:
            raise DataError(f"there is no file '{path}'.") from None
        except (ValueError, OSError, KeyError):
            names = list(read_table(path).columns)
            raise DataError(
                f"'{path}' has no column '{column}'{closest(column, names)}; it has: "
                f"{enumerate_some(names, 20)}."
            ) from None
        levels |= set(found.dropna().unique())
    return tuple(str(int(a) if isinstance(a, float) else a) for a in sorted(levels))


def _digest(data: Partition) -> Digest:
    """Keep what the driver needs to know of a partition."""
    variables = data.variables
    columns = {name: variables[name] for name in variables.columns}
    text = [n for n, c in columns.items() if not pd.api.types.is_numeric_dtype(c)]
    sets, set_of = data.choice_sets()
    return Digest(
        alternatives=data.alternatives,
        chosen=data.chosen_alternative,
        weights=np.asarray(data.weights),
        case_ids=data.case_ids,
        set_sizes=data.set_sizes,
        sets=sets,
        set_of=set_of,
        makers=_makers(data),
        varying=_varying(data),
        levels={name: pd.Index(columns[name].dropna().unique()) for name in text},
        head=pd.DataFrame({n: c.iloc[:1].reset_index(drop=True) for n, c in columns.items()}),
        problems=data.problems,
    )


def _makers(data: Partition) -> NDArray[Any] | None:
    if data.panel_name is None:
        return None
    if isinstance(data, FactoredChoiceData):
        return data.choosers[data.panel_name].to_numpy()
    return data.table[data.panel_name].iloc[data.offsets[:-1]].to_numpy()


def _varying(data: Partition) -> dict[str, Any]:
    """Return the variables that differ within a case, each with such a case."""
    found = {str(name): data.varying_case(name) for name in data.variables.columns}
    return {name: case for name, case in found.items() if case is not None}


AnyChoiceData: TypeAlias = ChoiceData | FactoredChoiceData | PartitionedChoiceData
