"""What commands share: where they print, how they show progress, options that recur."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from choicemodels.errors import SpecificationError

__all__ = [
    "ERR",
    "OUT",
    "Out",
    "Seed",
    "TableFile",
    "named_options",
    "require_table_file",
    "steps",
    "worker_processes",
]

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)

_TABLES = (".md", ".tex", ".html", ".typ", ".txt", ".csv", ".docx")

Out = Annotated[Path | None, typer.Option(help="Save the result as JSON.")]
TableFile = Annotated[
    Path | None, typer.Option("--table", help="Save the table: .md .tex .html .docx .typ .csv.")
]
Seed = Annotated[int, typer.Option(help="Seed of all draws.")]


def require_table_file(path: Path | None) -> None:
    """Raise a SpecificationError if no table can be saved there, as saving it would."""
    if path is None:
        return
    if path.suffix not in _TABLES:
        raise SpecificationError(
            f"cannot write '{path.name}': the suffix '{path.suffix}' is not one of "
            f"{', '.join(_TABLES)}."
        )
    if not path.parent.is_dir():
        raise SpecificationError(f"the folder '{path.parent}' does not exist; make it first.")


@contextmanager
def steps() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show one progress bar a step; each step is finished when the next begins."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=ERR) as progress:

        def finish() -> None:
            for task in progress.tasks:
                if not task.finished:
                    total = max(task.completed, 1)
                    progress.update(task.id, total=total, completed=total)

        def step(name: str) -> Callable[[int, int], None]:
            finish()
            task = progress.add_task(name, total=None)
            return lambda done, of: progress.update(task, completed=done, total=of)

        yield step
        finish()


def named_options(options: list[str] | None, what: str) -> dict[str, str]:
    """Read ``name=value`` options."""
    pairs: dict[str, str] = {}
    for option in options or []:
        name, sign, value = option.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise SpecificationError(f"--{what} '{option}' is not of the form name=value.")
        if name.strip() in pairs:
            raise SpecificationError(
                f"--{what} gives '{name.strip()}' twice; write all of it in one --{what}."
            )
        pairs[name.strip()] = value.strip()
    return pairs


@contextmanager
def worker_processes(workers: int) -> Iterator[Any]:
    """Start worker processes of one thread each; none for one worker."""
    if workers < 1:
        raise SpecificationError(f"--workers is {workers}; ask for at least 1.")
    if workers == 1:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise SpecificationError(
            "--workers needs dask.distributed; install it with pip install 'nestflow[cluster]'."
        ) from None
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
    cluster = LocalCluster(n_workers=workers, **options)
    with cluster, Client(cluster) as client:
        yield client
