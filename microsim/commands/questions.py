"""The command that answers the research questions from runs: ``questions``."""

from pathlib import Path
from typing import Annotated

import typer

from microsim.commands.console import ERR, OUT

__all__ = ["questions"]


def questions(
    run: Annotated[Path, typer.Argument(help="Folder of a run; of policies, the baseline.")],
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a run with a policy, set against the first; repeat it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the tables: .md .tex .html, numbers as .csv.")
    ] = None,
) -> None:
    """Answer the research questions: who is displaced, who moves, where to, what policies buy.

    Example: nestflow questions runs/demo/simulations/ai_displacement
    --policy runs/demo/simulations/relocation_grant --out runs/answers
    """
    from microsim import load_run
    from microsim.results.answers import answers, policy_answer, save_answers

    baseline = load_run(run)
    found = answers(baseline)
    if policy:
        found.append(policy_answer(baseline, [load_run(folder) for folder in policy]))
    for answer in found:
        OUT.print(f"\n[bold]{answer.title}[/bold]")
        OUT.print(str(answer.shown), soft_wrap=True, markup=False)
    if out is not None:
        save_answers(found, out)
        ERR.print(f"saved {out}")
