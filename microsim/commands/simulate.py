"""Commands that simulate: ``demo``, ``synthesize``, ``simulate`` and ``contrast``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from choicemodels.errors import SpecificationError
from microsim.commands.console import ERR, OUT, Seed, steps

if TYPE_CHECKING:
    from estimation import ChoiceResult

__all__ = ["contrast", "demo", "fitted_mobility", "simulate", "synthesize"]


def demo(
    workers: Annotated[int, typer.Option(help="Workers.")] = 60_000,
    firms: Annotated[int | None, typer.Option(help="Firms; a tenth of the workers.")] = None,
    metros: Annotated[int, typer.Option(help="Most populous metros, 2 to 384.")] = 384,
    months: Annotated[int, typer.Option(help="Months from January 2024.")] = 84,
    replicates: Annotated[int, typer.Option(help="Repetitions with draws of their own.")] = 3,
    cases: Annotated[int, typer.Option(help="Workers to estimate on.")] = 6_000,
    seed: Seed = 1,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("runs/demo"),
) -> None:
    """Run the whole job once: estimate, tabulate, simulate, compare, report.

    Example: nestflow demo --workers 20000 --months 24 --out runs/small
    """
    from microsim.demo import Settings, run_demo

    firms = firms if firms is not None else max(workers // 10, metros)
    settings = Settings(workers, firms, metros, months, seed, replicates, cases, out)
    with steps() as step:
        done = run_demo(settings, step)
    for title, name in (
        ("Who moves, and where: nested logit", "mobility"),
        ("Flows between metros: PPML", "gravity"),
        ("The shock against the baseline", "shock"),
        ("The grant and retraining, per dollar", "per_dollar"),
    ):
        OUT.print(f"\n[bold]{title}[/bold]")
        OUT.print(str(done.tables[name]), soft_wrap=True, markup=False)
    OUT.print(f"\neverything is in {out}; open {done.report}", soft_wrap=True)


def synthesize(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    workers: Annotated[int, typer.Option(help="Workers.")] = 500_000,
    firms: Annotated[int, typer.Option(help="Firms.")] = 50_000,
    metros: Annotated[int, typer.Option(help="Most populous metros, 2 to 384.")] = 384,
    seed: Seed = 1,
    exposure: Annotated[
        Path | None, typer.Option(help="Your AI exposure, a CSV keyed by SOC code.")
    ] = None,
    margins: Annotated[
        Path | None, typer.Option(help="Save every target beside what came out, CSV.")
    ] = None,
) -> None:
    """Make a population of workers, firms and metros, and show the margins met least well.

    Example: nestflow synthesize --workers 50000 --firms 5000 --out runs/people
    """
    from microsim import load_exposure
    from microsim import synthesize as make
    from microsim.results.summaries import worst_margins

    with steps() as step:
        step("Synthesize")
        table = load_exposure(exposure) if exposure is not None else None
        population = make(workers, firms, metros, seed, exposure=table)
        population.save(out)
    check = population.check()
    OUT.print(worst_margins(check).to_string(), soft_wrap=True, markup=False)
    ERR.print(f"saved {out}")
    if margins is not None:
        check.to_csv(margins, index=False)
        ERR.print(f"saved {margins}")


def simulate(
    population: Annotated[Path, typer.Argument(help="Folder that `nestflow synthesize` wrote.")],
    mobility: Annotated[Path, typer.Option(help="Fitted mobility model, JSON.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    scenario: Annotated[Path | None, typer.Option(help="Scenario, YAML or TOML.")] = None,
    months: Annotated[int, typer.Option(help="Months.")] = 84,
    seed: Seed = 1,
    replicates: Annotated[int, typer.Option(help="Repetitions with draws of their own.")] = 1,
    start: Annotated[str, typer.Option(help="First month.")] = "2024-01",
    checkpoint: Annotated[
        int | None, typer.Option(help="Months between checkpoints; none without it.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Clear another run out of the folder.")
    ] = False,
    histories: Annotated[
        float, typer.Option(help="Share of workers whose months are written, 0 to 1.")
    ] = 0.0,
) -> None:
    """Run a population forward, month by month; a run that was stopped goes on with --resume.

    Example: nestflow simulate runs/people --mobility runs/demo/mobility.json
    --scenario examples/scenarios/relocation_grant.yaml --out runs/grant
    """
    from microsim import Behaviour, Scenario, load_population
    from microsim import simulate as run

    result = fitted_mobility(mobility)
    plan = Scenario.load(scenario) if scenario is not None else Scenario.baseline()
    people = load_population(population)
    with steps() as step:
        done = run(
            people,
            Behaviour(mobility=result),
            plan,
            months=months,
            seed=seed,
            replicates=replicates,
            start=start,
            out=out,
            checkpoint=checkpoint,
            resume=resume,
            replace=replace,
            histories=histories,
            progress=step(f"Simulate {plan.name}"),
        )
    from microsim.results.summaries import outcomes_by_scenario

    OUT.print(outcomes_by_scenario([done]).to_string(), soft_wrap=True, markup=False)
    ERR.print(f"saved {out}")


def fitted_mobility(file: Path) -> "ChoiceResult":
    """Read a fitted mobility model.

    Raises
    ------
    SpecificationError
        If the file holds another kind of model.
    """
    from estimation import ChoiceResult, load_result

    result = load_result(file)
    if not isinstance(result, ChoiceResult):
        raise SpecificationError(f"'{file}' holds a gravity model; mobility is a choice model.")
    return result


def contrast(
    baseline: Annotated[Path, typer.Argument(help="Folder of the baseline run.")],
    policy: Annotated[Path, typer.Argument(help="Folder of the policy run.")],
    out: Annotated[Path | None, typer.Option(help="Save the table as CSV.")] = None,
) -> None:
    """Compare two runs of the same people, months and draws.

    Example: nestflow contrast runs/demo/simulations/ai_displacement
    runs/demo/simulations/relocation_grant --out grant.csv
    """
    from microsim import contrast as compare
    from microsim import load_run

    compared = compare(load_run(baseline), load_run(policy))
    OUT.print(str(compared), soft_wrap=True, markup=False)
    if out is not None:
        compared.to_csv(out)
        ERR.print(f"saved {out}")
