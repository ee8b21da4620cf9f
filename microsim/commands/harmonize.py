"""Commands on matrices of moves: ``nation`` and ``harmonize``."""

from pathlib import Path
from typing import Annotated

import typer

from microsim.commands.console import ERR, OUT, Seed, steps

__all__ = ["harmonize", "nation"]


def nation(
    out: Annotated[Path, typer.Option(help="New folder to write.")],
    size: Annotated[str, typer.Option(help="village, town, state or nation.")] = "village",
    year: Annotated[int, typer.Option(help="The year t of moves from t - 1 to t.")] = 2019,
    seed: Seed = 1,
) -> None:
    """Generate a nation: true moves, what biased data show of them, and census tables.

    Example: nestflow nation --size town --out runs/town
    """
    from choicemodels.nation.generator import generate_nation
    from microsim.nation_files import write_nation

    with steps() as step:
        step(f"Generate a {size}")
        made = generate_nation(size, seed=seed, year=year)
        step("Write")
        job = write_nation(made, out)
    OUT.print(
        f"{made.areas.size:,} block groups, {made.truth.total:,.0f} people, "
        f"{made.raw.total:,.0f} of them in the raw matrix"
    )
    ERR.print(f"saved {out}; go on with: nestflow harmonize {job}", soft_wrap=True)


def harmonize(
    job: Annotated[Path, typer.Argument(help="What to harmonize, to what: .yaml or .toml.")],
    overwrite: Annotated[bool, typer.Option(help="Replace the matrix of an earlier run.")] = False,
) -> None:
    """Scale a fine-grained but biased matrix of moves to census tables, step by step.

    A run that was stopped goes on after the last step it finished.

    Example: nestflow nation --out runs/village && nestflow harmonize runs/village/harmonize.yaml
    """
    from microsim.harmonization_job import HarmonizationJob, run_harmonization

    asked = HarmonizationJob.load(job)
    with steps() as step:
        step("Read")

        def report(name: str, number: int, count: int) -> None:
            step(f"{number + 1}/{count} {name}" if number < count else "Write")

        found = run_harmonization(asked, overwrite=overwrite, progress=report)
    OUT.print(str(found.table()), soft_wrap=True, markup=False)
    ERR.print(f"saved {asked.folder / 'matrix'}", soft_wrap=True)
