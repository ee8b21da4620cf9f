"""The command that runs scenarios under drawn parameters: ``ensemble``."""

from pathlib import Path
from typing import Annotated

import typer

from choicemodels.errors import SpecificationError
from microsim.commands.console import ERR, OUT, Seed, steps, worker_processes

__all__ = ["ensemble"]


def ensemble(
    population: Annotated[Path, typer.Argument(help="Folder that `nestflow synthesize` wrote.")],
    mobility: Annotated[Path, typer.Option(help="Fitted mobility model, JSON.")],
    out: Annotated[Path, typer.Option(help="Folder to write; what is finished in it is kept.")],
    scenario: Annotated[
        list[Path] | None,
        typer.Option(help="Scenario, YAML or TOML; repeat it. Others are compared with the first."),
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of the model's parameters.")] = 20,
    replicates: Annotated[int, typer.Option(help="Repetitions of each, with shared draws.")] = 2,
    months: Annotated[int, typer.Option(help="Months.")] = 84,
    seed: Seed = 1,
    start: Annotated[str, typer.Option(help="First month.")] = "2024-01",
    workers: Annotated[int, typer.Option(help="Processes; 1 runs one after the other.")] = 1,
    level: Annotated[float, typer.Option(help="Of the percentile intervals.")] = 0.95,
) -> None:
    """Simulate scenarios under parameters drawn from the mobility model's joint distribution.

    A baseline is added where one scenario is given. Run it again to go on where it was stopped.

    Example: nestflow ensemble runs/people --mobility runs/demo/mobility.json
    --scenario examples/scenarios/ai_displacement.yaml
    --scenario examples/scenarios/relocation_grant.yaml --draws 20 --workers 2 --out runs/many
    """
    from estimation import ChoiceResult, load_result
    from microsim import Behaviour, Scenario, load_population
    from microsim.ensembles.contrast import require_level, shared_draws
    from microsim.ensembles.ensemble import ensemble as simulate_all

    require_level(level)
    result = load_result(mobility)
    if not isinstance(result, ChoiceResult):
        raise SpecificationError(f"'{mobility}' holds a gravity model; mobility is a choice model.")
    plans = [Scenario.load(path) for path in scenario or []]
    plans = plans if len(plans) > 1 else [Scenario.baseline(), *plans]
    people = load_population(population)
    with steps() as step, worker_processes(workers) as client:
        made = simulate_all(
            people,
            Behaviour(mobility=result),
            plans,
            draws=draws,
            replicates=replicates,
            months=months,
            seed=seed,
            start=start,
            out=out,
            client=client,
            progress=step("Simulate the members"),
        )
    for plan in plans[1:]:
        compared = made.contrast(plans[0].name, plan.name, level=level)
        compared.to_csv(out / f"{plan.name}.csv")
        OUT.print(f"\n{compared}", soft_wrap=True, markup=False)
        if replicates > 1:
            saved = shared_draws(made.run(plans[0].name, 0), made.run(plan.name, 0))
            OUT.print("\nvariance of the difference, draws shared and independent, in draw 0")
            OUT.print(saved.to_string(float_format="{:.4g}".format), soft_wrap=True, markup=False)
    share = f"; {100 * made.outside:.1f} % of the parameters drawn were not possible"
    ERR.print(f"saved {out}{share if made.outside else ''}")
