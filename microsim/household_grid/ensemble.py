"""Many seeds of several parameter sets, on threads or on the workers of a Dask cluster."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from choicemodels.errors import DataError, SpecificationError
from choicemodels.frames import closest
from microsim.counts import whole
from microsim.household_grid.claims import check_claims
from microsim.household_grid.outcomes import GRID_OUTCOMES, grid_outcomes, grid_series
from microsim.household_grid.parameters import GridParameters
from microsim.household_grid.run import simulate_grid, writing
from microsim.results.paired import mean_interval, standard_error

__all__ = ["GridEnsemble", "claims_ensemble", "grid_ensemble", "load_grid_ensemble"]

_NOTES = "ensemble.json"
_EXPONENTIAL = ", exponential incomes"


@dataclass(frozen=True, eq=False)
class GridEnsemble:
    """Outcomes of runs that differ in parameters and seeds.

    Attributes
    ----------
    parameters : dict of str to GridParameters
        The sets, by name.
    outcomes : DataFrame
        Index name and seed; columns `GRID_OUTCOMES`.
    series : DataFrame
        Index name and step; columns decisions, moves and pressure, means over seeds.
    """

    parameters: dict[str, GridParameters]
    outcomes: pd.DataFrame
    series: pd.DataFrame

    def of(self, name: str) -> pd.DataFrame:
        """Return the outcomes of one set, by seed.

        Raises
        ------
        SpecificationError
            If there is no such set.
        """
        if name not in self.parameters:
            raise SpecificationError(
                f"there is no '{name}' in the ensemble{closest(name, list(self.parameters))}; "
                f"it has {', '.join(self.parameters)}."
            )
        return self.outcomes[self.outcomes.index.get_level_values("set") == name].droplevel("set")

    def claims(self, name: str, *, level: float = 0.95) -> pd.DataFrame:
        """Return what the seeds of a set say of every published claim; see `check_claims`."""
        return check_claims(self.of(name), self.of(name + _EXPONENTIAL), level=level)

    def contrast(self, baseline: str, other: str, *, level: float = 0.95) -> pd.DataFrame:
        """Compare two sets, seed by seed: they share their draws.

        Returns
        -------
        DataFrame
            Index outcome; columns unit, baseline, other, difference (means over seeds), mc_se (of
            the difference, paired by seed), low and high (its interval).
        """
        a, b = self.of(baseline), self.of(other)
        rows = {}
        for name, unit in GRID_OUTCOMES.items():
            difference = (b[name] - a[name]).to_numpy(dtype=float)
            interval = mean_interval(difference, level)
            error = standard_error(difference)
            rows[name] = [unit, a[name].mean(), b[name].mean(), difference.mean(), error, *interval]
        columns = ["unit", "baseline", "other", "difference", "mc_se", "low", "high"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("outcome")

    def save(self, folder: str | Path) -> Path:
        """Write the ensemble to a folder: two Parquet files and the parameters as JSON.

        Raises
        ------
        DataError
            If the folder cannot be written.
        """
        path = Path(folder)
        notes = {name: p.model_dump(mode="json") for name, p in self.parameters.items()}
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self.outcomes.to_parquet(path / "outcomes.parquet")
            self.series.to_parquet(path / "series.parquet")
            (path / _NOTES).write_text(json.dumps(notes, indent=1), encoding="utf-8")
        return path


def grid_ensemble(
    sets: Mapping[str, GridParameters],
    seeds: int | Sequence[int] = 20,
    *,
    client: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> GridEnsemble:
    """Run every parameter set with every seed.

    A run's tables are left as soon as its outcomes are known, so that memory does not grow with the
    number of runs; the answer does not depend on the order in which they finish.

    Parameters
    ----------
    sets
        By name.
    seeds
        Or how many, 1, 2 ...
    client
        A ``dask.distributed`` client, whose workers run the members; threads of this process if
        none is given.
    progress
        Called with the number of finished runs and of all.

    Raises
    ------
    SpecificationError
        If there are no sets or seeds, a seed is no whole number or comes twice, or ``client`` is
        no client.
    """
    counted = seeds if isinstance(seeds, Iterable) else range(1, whole(seeds, "seeds") + 1)
    chosen = [whole(seed, "a seed") for seed in counted]
    if not (sets and chosen) or len(set(chosen)) < len(chosen):
        raise SpecificationError("an ensemble needs at least one parameter set and distinct seeds.")
    if client is not None and not hasattr(client, "submit"):
        raise SpecificationError(
            f"client= is a {type(client).__name__}; pass a dask.distributed Client."
        )
    members = [(name, seed) for name in sets for seed in chosen]
    found: dict[tuple[str, int], tuple[pd.Series[float], pd.DataFrame]] = {}
    asked = _on_workers if client is not None else _on_threads
    for member, answer in asked(sets, members, client):
        found[member] = answer
        if progress is not None:
            progress(len(found), len(members))
    outcomes = pd.DataFrame({member: found[member][0] for member in members}).T
    outcomes.index = pd.MultiIndex.from_tuples(members, names=["set", "seed"])
    series = pd.concat(
        {
            name: sum((found[name, seed][1] for seed in chosen[1:]), found[name, chosen[0]][1])
            / len(chosen)
            for name in sets
        },
        names=["set"],
    )
    return GridEnsemble(dict(sets), outcomes, series)


def claims_ensemble(
    presets: Iterable[str],
    seeds: int | Sequence[int] = 20,
    *,
    client: Any = None,
    progress: Callable[[int, int], None] | None = None,
    **changes: Any,
) -> GridEnsemble:
    """Run presets, each also with exponential incomes, so that every claim can be checked.

    Parameters
    ----------
    presets
        Names.
    seeds, client, progress
        As `grid_ensemble`.
    changes
        Of the parameters, as `GridParameters.preset`.
    """
    sets = {}
    for name in presets:
        sets[name] = GridParameters.preset(name, **changes)
        sets[name + _EXPONENTIAL] = sets[name].replace(income="exponential")
    return grid_ensemble(sets, seeds, client=client, progress=progress)


def load_grid_ensemble(folder: str | Path) -> GridEnsemble:
    """Read an ensemble that was saved.

    Raises
    ------
    DataError
        If the folder holds none.
    """
    path = Path(folder)
    try:
        notes = json.loads((path / _NOTES).read_text("utf-8"))
        tables = [pd.read_parquet(path / f"{name}.parquet") for name in ("outcomes", "series")]
    except (OSError, ValueError) as problem:
        raise DataError(
            f"{path} holds no ensemble of the grid ({type(problem).__name__}); save one there, or "
            "check the path."
        ) from None
    sets = {name: GridParameters.model_validate(settings) for name, settings in notes.items()}
    return GridEnsemble(sets, *tables)


Answer = tuple["pd.Series[float]", pd.DataFrame]


def _run_member(parameters: GridParameters, seed: int) -> Answer:
    run = simulate_grid(parameters, seed=seed)
    return grid_outcomes(run), grid_series(run)


def _on_threads(
    sets: Mapping[str, GridParameters], members: list[tuple[str, int]], _: Any
) -> Iterator[tuple[tuple[str, int], Answer]]:
    from numba import get_num_threads

    # The kernel releases the interpreter's lock.
    with ThreadPoolExecutor(min(get_num_threads(), len(members))) as pool:
        futures = {
            pool.submit(_run_member, sets[name], seed): (name, seed) for name, seed in members
        }
        for future in as_completed(futures):
            yield futures.pop(future), future.result()


def _on_workers(
    sets: Mapping[str, GridParameters], members: list[tuple[str, int]], client: Any
) -> Iterator[tuple[tuple[str, int], Answer]]:
    from distributed import as_completed as finished

    futures = {client.submit(_run_member, sets[name], seed): (name, seed) for name, seed in members}
    for future in finished(futures):
        yield futures.pop(future), future.result()
