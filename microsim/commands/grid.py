"""The household grid from the command line: ``grid``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from choicemodels.errors import SpecificationError
from microsim.commands.console import ERR, OUT, named_options, steps, worker_processes

if TYPE_CHECKING:
    import pandas as pd

    from microsim.household_grid.ensemble import GridEnsemble
    from microsim.household_grid.parameters import GridParameters

__all__ = ["grid"]


def grid(
    preset: Annotated[
        list[str] | None,
        typer.Option(help="paper, code or code_early; repeat it. paper unless given."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of each, 1, 2 ...; at least 2.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("runs/grid"),
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Parameter of the model, name=value; repeat it."),
    ] = None,
    film: Annotated[
        bool, typer.Option("--film", help="Film the occupancy of the first seed.")
    ] = False,
    deviations: Annotated[
        bool, typer.Option("--deviations", help="Run paper with each deviation of the code, too.")
    ] = False,
    questions: Annotated[
        bool, typer.Option("--questions", help="Run what the authors leave open, too.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes; 1 runs on the threads of this one.")] = 1,
) -> None:
    """Run the household grid model, and check what was published of it.

    Writes the outcomes of all seeds, the tables and figures of the first, and a table of claims.

    Example: nestflow grid --preset paper --seeds 20 --out runs/grid
    """
    from microsim.household_grid.claims import verdicts
    from microsim.household_grid.ensemble import claims_ensemble, grid_ensemble

    if seeds < 2:
        raise SpecificationError(f"--seeds is {seeds}; a claim needs at least 2, best 20.")
    if out.exists() and not out.is_dir():
        raise SpecificationError(f"--out {out} is a file; give a folder.")
    names = list(dict.fromkeys(preset or ["paper"]))
    changes = _changes(setting)
    further = _experiments(names if questions else [], changes, deviations)
    effects = {}
    with steps() as step, worker_processes(workers) as client:
        found = claims_ensemble(names, seeds, client=client, progress=step("Simulate"), **changes)
        found.save(out)
        for name in names:
            step(f"Draw {name}")
            _first_seed(found.parameters[name], out / name, film)
            found.claims(name).to_csv(out / name / "claims.csv", index=False)
        for name, (sets, table_of) in further.items():
            many = grid_ensemble(sets, seeds, client=client, progress=step(f"Simulate {name}"))
            folder = many.save(out / name)
            effects[name] = table_of(many)
            effects[name].to_csv(folder / "effects.csv")
    for name in names:
        OUT.print(f"\n[bold]{name}[/bold], {seeds} seeds, intervals of 95 %")
        table = found.claims(name)
        shown = table[["number", "outcome", "mean", "low", "high", "verdict"]]
        OUT.print(shown.to_string(index=False, float_format="{:,.3f}".format), soft_wrap=True)
        OUT.print()
        OUT.print(verdicts(table).to_string(header=False), soft_wrap=True, markup=False)
    for name, table in effects.items():
        OUT.print(f"\n[bold]{name}[/bold], claims that hold")
        OUT.print(table["claims"].dropna().to_string(header=False), soft_wrap=True, markup=False)
    ERR.print(f"saved {out}")


def _experiments(
    questioned: list[str], changes: dict[str, Any], deviations: bool
) -> Mapping[str, tuple["dict[str, GridParameters]", "Callable[[GridEnsemble], pd.DataFrame]"]]:
    """Return the further parameter sets, and what makes a table of them, by folder."""
    from functools import partial

    from microsim.household_grid.experiments import (
        deviation_sets,
        deviation_table,
        effect_table,
        open_questions,
    )
    from microsim.household_grid.parameters import GridParameters

    found: dict[str, tuple[dict[str, GridParameters], Callable[..., pd.DataFrame]]] = {}
    if deviations:
        found["deviations"] = (deviation_sets(**changes), deviation_table)
    for name in questioned:
        sets = open_questions(GridParameters.preset(name, **changes))
        found[f"{name}/questions"] = (sets, partial(effect_table, baseline="base"))
    return found


def _changes(setting: list[str] | None) -> dict[str, Any]:
    """Read ``--set`` options as YAML would: numbers, lists and null."""
    import yaml

    changes = {}
    for name, text in named_options(setting, "set").items():
        try:
            changes[name] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise SpecificationError(
                f"--set {name}={text} has no value that can be read."
            ) from None
    return changes


def _first_seed(parameters: "GridParameters", folder: Path, film: bool) -> None:
    """Write the tables and figures of one run."""
    from microsim.household_grid import figures
    from microsim.household_grid.animation import animate_grid
    from microsim.household_grid.run import GridRun, simulate_grid

    run = simulate_grid(parameters, seed=1)
    other = simulate_grid(parameters.replace(income="exponential"), seed=1)
    run.save(folder)
    laws: dict[str, GridRun] = {parameters.income: run, "exponential": other}
    pages = {
        "capacity": figures.capacity_map(run),
        "occupancy": figures.occupancy_by_capacity(run),
        "population": figures.population_maps(run),
        "moves": figures.move_activity(run),
        "median_incomes": figures.median_income_distributions(laws),
        "pressure": figures.pressure_series({f"{law} incomes": laws[law] for law in laws}),
    }
    for name, figure in pages.items():
        figure.savefig(folder / f"{name}.png", dpi=120)
    if film:
        animate_grid(run, folder / "occupancy.gif")
