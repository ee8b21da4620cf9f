"""The command ``calibrate``: a baseline's moments beside published ones, and made to agree."""

from pathlib import Path
from typing import Annotated

import typer

from choicemodels.errors import SpecificationError
from microsim.commands.console import ERR, OUT, Seed, TableFile, require_table_file, steps
from microsim.commands.simulate import fitted_mobility

__all__ = ["calibrate"]


def calibrate(
    report: Annotated[
        bool, typer.Option("--report", help="Show the gaps as they are; change nothing.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Scenario to write, .yaml.")] = None,
    table_file: TableFile = None,
    population: Annotated[
        Path | None, typer.Option(help="Folder that `nestflow synthesize` wrote.")
    ] = None,
    mobility: Annotated[
        Path | None,
        typer.Option(help="Fitted mobility model, JSON; without it the generated moves' truth."),
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(help="Baseline with parameters of your own.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Workers to make without --population.")] = 50_000,
    firms: Annotated[int, typer.Option(help="Firms to make.")] = 5_000,
    metros: Annotated[int, typer.Option(help="Metros to make, 2 to 384.")] = 384,
    months: Annotated[int, typer.Option(help="Months of a run.")] = 24,
    burn_in: Annotated[int, typer.Option(help="First months that are not measured.")] = 12,
    tolerance: Annotated[float, typer.Option(help="Largest gap, share of the value.")] = 0.02,
    rounds: Annotated[int, typer.Option(help="Rounds at most.")] = 20,
    seed: Seed = 1,
) -> None:
    """Compare a baseline with published moments, or set parameters until they agree.

    Example: nestflow calibrate --report
    """
    from microsim import Behaviour, MoveTruth, Scenario, load_population, simulate, synthesize
    from microsim.calibration import calibrate as turn
    from microsim.calibration import scenario_file
    from microsim.calibration_report import calibration_report, report_table, require_burn_in

    if report == (out is not None):
        raise SpecificationError(
            "calibrate either writes a scenario, --out calibrated.yaml, or shows the gaps as they "
            "are, --report; ask for one of the two."
        )
    # Before the work, lest it be lost.
    require_burn_in(burn_in, months)
    require_table_file(table_file)
    if out is not None:
        scenario_file(out)
    plan = Scenario.load(scenario) if scenario is not None else Scenario.baseline()
    with steps() as step:
        step("Population")
        people = (
            load_population(population)
            if population is not None
            else synthesize(workers, firms, metros, seed)
        )
        truth = MoveTruth(tuple(people.metros.cbsa))
        behaviour = Behaviour(fitted_mobility(mobility) if mobility is not None else truth)
        found = None
        if report:
            show = step(f"Simulate {plan.name}")
            run = simulate(people, behaviour, plan, months=months, seed=seed, progress=show)
            gaps = calibration_report(run, people, burn_in=burn_in)
        else:
            found = turn(
                people,
                behaviour,
                plan,
                months=months,
                burn_in=burn_in,
                seed=seed,
                tolerance=tolerance,
                rounds=rounds,
                progress=step("Calibrate, rounds"),
            )
            gaps = found.report
    if found is not None and out is not None:
        ERR.print(f"saved {found.save(out)}")
    table = report_table(gaps)
    OUT.print(str(table), soft_wrap=True, markup=False)
    if table_file is not None:
        ERR.print(f"saved {table.save(table_file)}")
