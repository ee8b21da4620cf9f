"""The command line, ``nestflow``: the only part that prints.

A user's mistake ends in one sentence and exit code 2, never in a traceback.
"""

import sys
import warnings
from typing import Any

import typer

from choicemodels.errors import NestflowError, NestflowWarning
from microsim.commands import calibrate, ensemble, estimate, grid, harmonize, questions, simulate
from microsim.commands.console import ERR

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Estimate where people move, and simulate what would change it.",
)
for command in (
    simulate.demo,
    estimate.fit,
    estimate.gravity,
    harmonize.nation,
    harmonize.harmonize,
    simulate.synthesize,
    simulate.simulate,
    simulate.contrast,
    questions.questions,
    ensemble.ensemble,
    calibrate.calibrate,
    grid.grid,
):
    app.command()(command)


def main() -> None:
    """Run the command line; bad input ends in one sentence and exit code 2."""
    warnings.showwarning = _show_warning
    warnings.simplefilter("default", NestflowWarning)
    try:
        app()
    except NestflowError as problem:
        ERR.print(f"[red]error:[/red] {_escape(str(problem))}", soft_wrap=True)
        sys.exit(2)
    except OSError as problem:
        # Some of pandas' have only a sentence, neither a file nor a number.
        said = problem.strerror or str(problem)
        if problem.filename:
            said = f"cannot use '{problem.filename}': {said}"
        ERR.print(f"[red]error:[/red] {_escape(said.rstrip('.'))}.", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        ERR.print("stopped; what was finished before stands.")
        sys.exit(130)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, NestflowWarning):
        ERR.print(f"[yellow]note:[/yellow] {_escape(str(message))}", soft_wrap=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
