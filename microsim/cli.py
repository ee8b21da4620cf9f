"""The command line, ``nestflow``: the only part that prints.

A user's mistake ends in one sentence and exit code 2, never in a traceback.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

from choicemodels.errors import NestflowError, NestflowWarning, SpecificationError

if TYPE_CHECKING:
    from estimation import ChoiceResult, GravityResult
    from estimation.gravity.several import SeveralFits

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Estimate where people move, and simulate what would change it.",
)
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)

Out = Annotated[Path | None, typer.Option(help="Save the result as JSON.")]
TableFile = Annotated[
    Path | None, typer.Option("--table", help="Save the table: .md .tex .html .docx .typ .csv.")
]
Cluster = Annotated[
    list[str] | None, typer.Option(help="Column to cluster by; repeat for several ways.")
]
Seed = Annotated[int, typer.Option(help="Seed of all draws.")]


@contextmanager
def _steps() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show one progress bar a step; each step is finished when the next begins."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_err) as progress:

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


def _named(options: list[str] | None, what: str) -> dict[str, str]:
    """Read ``name=value`` options."""
    pairs = {}
    for option in options or []:
        name, sign, value = option.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise SpecificationError(f"--{what} '{option}' is not of the form name=value.")
        pairs[name.strip()] = value.strip()
    return pairs


def _show(
    result: "ChoiceResult | GravityResult", out: Path | None, table_file: Path | None
) -> None:
    from estimation import table

    _out.print(str(result.summary()), soft_wrap=True)
    if out is not None:
        _err.print(f"saved {result.save(out)}")
    if table_file is not None:
        _err.print(f"saved {table(result).save(table_file)}")


def _show_several(several: "SeveralFits", out: Path | None, table_file: Path | None) -> None:
    labels = several.labels.to_string(index=False)
    shown = several.table()
    _out.print(f"{shown}\n\n{labels}", soft_wrap=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for number, result in enumerate(several, start=1):
            _err.print(f"saved {result.save(out / f'{number}.json')}")
    if table_file is not None:
        _err.print(f"saved {shown.save(table_file)}")


@app.command()
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
    with _steps() as step:
        done = run_demo(settings, step)
    for title, name in (
        ("Who moves, and where: nested logit", "mobility"),
        ("Flows between metros: PPML", "gravity"),
        ("The shock against the baseline", "shock"),
        ("The $10,000 grant against the shock", "grant"),
    ):
        _out.print(f"\n[bold]{title}[/bold]")
        _out.print(str(done.tables[name]), soft_wrap=True, markup=False)
    _out.print(f"\neverything is in {out}; open {done.report}", soft_wrap=True)


@app.command()
def fit(
    data: Annotated[
        Path, typer.Argument(help="Table: .csv .parquet .dta, one row an alternative.")
    ],
    formula: Annotated[str, typer.Option(help="generic | of the case | of the alternative")],
    case: Annotated[str, typer.Option(help="Column of the case.")] = "case",
    alternative: Annotated[str, typer.Option(help="Column of the alternative.")] = "alternative",
    chosen: Annotated[str, typer.Option(help="Column that is 1 where chosen.")] = "chosen",
    nest: Annotated[
        list[str] | None, typer.Option(help="A nest, name=a,b,c; repeat. Without: multinomial.")
    ] = None,
    specific: Annotated[
        list[str] | None, typer.Option(help="Terms of one alternative, name=formula; repeat.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Alternative without constants.")] = None,
    normalization: Annotated[str, typer.Option(help="rum or nonnormalized.")] = "rum",
    lambdas: Annotated[str, typer.Option(help="free or shared.")] = "free",
    random: Annotated[
        list[str] | None, typer.Option(help="A random coefficient, name=normal; repeat: mixed.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of a mixed logit.")] = 500,
    correlated: Annotated[bool, typer.Option(help="Random coefficients correlate.")] = False,
    classes: Annotated[int, typer.Option(help="Classes of a latent-class logit.")] = 1,
    membership: Annotated[str, typer.Option(help="Formula of the class membership.")] = "",
    offset: Annotated[str, typer.Option(help="Expression with a coefficient of one.")] = "",
    constraint: Annotated[
        list[str] | None, typer.Option(help='Like "cost = -1"; repeat for several.')
    ] = None,
    panel: Annotated[str | None, typer.Option(help="Column of the decision maker.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="File to stop at and go on from.")] = None,
    weights: Annotated[str | None, typer.Option(help="Column of case weights.")] = None,
    available: Annotated[str | None, typer.Option(help="Column that is 0 where no option.")] = None,
    cov: Annotated[
        str, typer.Option(help="hessian, bhhh, robust; --cluster overrides.")
    ] = "robust",
    cluster: Cluster = None,
    out: Out = None,
    table_file: TableFile = None,
) -> None:
    """Estimate a multinomial, nested, mixed or latent-class logit.

    Example: nestflow fit data/travel_mode.csv --case individual --alternative mode
    --chosen choice --formula "gc + ttme" --nest ground=2,3,4 --base 4 --table nested.tex
    """
    from choicemodels import (
        ChoiceData,
        LatentClassLogit,
        MixedLogit,
        MultinomialLogit,
        NestedLogit,
    )
    from choicemodels.frames import read_table
    from estimation import fit as estimate

    nests = {
        name: [a.strip() for a in value.split(",")] for name, value in _named(nest, "nest").items()
    }
    coefficients = _named(random, "random")
    families: dict[str, tuple[Any, dict[str, Any]]] = {
        "--nest": (
            NestedLogit,
            {"nests": nests, "normalization": normalization, "lambdas": lambdas},
        ),
        "--random": (
            MixedLogit,
            {"random": coefficients, "draws": draws, "correlated": correlated},
        ),
        "--classes": (LatentClassLogit, {"classes": classes, "membership": membership}),
    }
    asked = [
        name
        for name, given in zip(
            families, (nests, coefficients, classes != 1 or membership), strict=True
        )
        if given
    ]
    if len(asked) > 1:
        raise SpecificationError(f"{' and '.join(asked)} are different models; choose one.")
    family, assumed = families[asked[0]] if asked else (MultinomialLogit, {})
    model = family(
        formula,
        specific=_named(specific, "specific"),
        base=base,
        offset=offset,
        constraints=constraint or (),
        **assumed,
    )
    choices = ChoiceData.from_long(
        read_table(data), case, alternative, chosen,
        weights=weights, available=available, panel=panel,
    )  # fmt: skip
    options: dict[str, Any] = {"cov": "cluster", "groups": cluster} if cluster else {"cov": cov}
    with _steps() as step:
        advance = step("Maximize the likelihood")
        result = estimate(
            model,
            choices,
            progress=lambda i, _: advance(i, i + 1),
            checkpoint=checkpoint,
            **options,
        )
    _show(result, out, table_file)


@app.command()
def gravity(
    data: Annotated[Path, typer.Argument(help="Table: .csv .parquet .dta, one row a flow.")],
    formula: Annotated[str, typer.Option(help='Like "log(distance) | origin + destination".')],
    origin: Annotated[str, typer.Option(help="Column of the origin.")] = "origin",
    destination: Annotated[str, typer.Option(help="Column of the destination.")] = "destination",
    flow: Annotated[str, typer.Option(help="Column of the flow.")] = "flow",
    time: Annotated[str | None, typer.Option(help="Column of the period.")] = None,
    weights: Annotated[str | None, typer.Option(help="Column by which rows count.")] = None,
    offset: Annotated[str, typer.Option(help='Expression like "log(population)".')] = "",
    split: Annotated[str | None, typer.Option(help="Column: a fit for each value.")] = None,
    cov: Annotated[
        str, typer.Option(help="hessian, robust, HC0 to HC3, dyadic; CRV3 with --cluster.")
    ] = "robust",
    cluster: Cluster = None,
    ssc: Annotated[str, typer.Option(help="fixest, stata or none.")] = "fixest",
    out: Out = None,
    table_file: TableFile = None,
) -> None:
    """Estimate gravity models by Poisson pseudo-maximum likelihood.

    Stepwise parts, sw(a, b) and csw(a, b), and --split estimate several models into one table;
    --out is then a folder.

    Example: nestflow gravity data/austria_flows.csv --formula "distance | origin + destination"
    --cluster origin --table gravity.md
    """
    from choicemodels import FlowData
    from choicemodels.flows.stepwise import stepwise
    from choicemodels.frames import read_table
    from estimation.gravity.several import fit_several

    models = stepwise(formula, offset=offset)
    flows = FlowData(read_table(data), origin=origin, destination=destination, flow=flow, time=time)
    options: dict[str, Any] = {"cov": cov}
    if cluster:
        options = {"cov": "CRV3" if cov == "CRV3" else "cluster", "groups": cluster}
    several = fit_several(models, flows, split=split, weights=weights, ssc=ssc, **options)
    if len(several) == 1:
        _show(several[0], out, table_file)
    else:
        _show_several(several, out, table_file)


@app.command()
def synthesize(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    workers: Annotated[int, typer.Option(help="Workers.")] = 500_000,
    firms: Annotated[int, typer.Option(help="Firms.")] = 50_000,
    metros: Annotated[int, typer.Option(help="Most populous metros, 2 to 384.")] = 384,
    seed: Seed = 1,
    exposure: Annotated[
        Path | None, typer.Option(help="Your AI exposure, a CSV keyed by SOC code.")
    ] = None,
) -> None:
    """Make a population of workers, firms and metros.

    Example: nestflow synthesize --workers 50000 --firms 5000 --out runs/people
    """
    from microsim import load_exposure
    from microsim import synthesize as make

    with _steps() as step:
        step("Synthesize")
        table = load_exposure(exposure) if exposure is not None else None
        population = make(workers, firms, metros, seed, exposure=table)
        population.save(out)
    _out.print(population.check().to_string(), soft_wrap=True, markup=False)
    _err.print(f"saved {out}")


@app.command()
def simulate(
    population: Annotated[Path, typer.Argument(help="Folder that `nestflow synthesize` wrote.")],
    mobility: Annotated[Path, typer.Option(help="Fitted mobility model, JSON.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    scenario: Annotated[Path | None, typer.Option(help="Scenario, YAML or TOML.")] = None,
    months: Annotated[int, typer.Option(help="Months.")] = 84,
    seed: Seed = 1,
    replicates: Annotated[int, typer.Option(help="Repetitions with draws of their own.")] = 1,
    start: Annotated[str, typer.Option(help="First month.")] = "2024-01",
) -> None:
    """Run a population forward, month by month.

    Example: nestflow simulate runs/people --mobility runs/demo/mobility.json
    --scenario examples/scenarios/relocation_grant.yaml --out runs/grant
    """
    from estimation import ChoiceResult, load_result
    from microsim import Behaviour, Scenario, load_population
    from microsim import simulate as run

    result = load_result(mobility)
    if not isinstance(result, ChoiceResult):
        raise SpecificationError(f"'{mobility}' holds a gravity model; mobility is a choice model.")
    plan = Scenario.load(scenario) if scenario is not None else Scenario.baseline()
    people = load_population(population)
    with _steps() as step:
        done = run(
            people,
            Behaviour(mobility=result),
            plan,
            months=months,
            seed=seed,
            replicates=replicates,
            start=start,
            out=out,
            progress=step(f"Simulate {plan.name}"),
        )
    from microsim.outcomes import national_outcomes

    _out.print(national_outcomes(done).T.to_string(), soft_wrap=True, markup=False)
    _err.print(f"saved {out}")


@app.command()
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
    _out.print(str(compared), soft_wrap=True, markup=False)
    if out is not None:
        compared.to_csv(out)
        _err.print(f"saved {out}")


def main() -> None:
    """Run the command line; bad input ends in one sentence and exit code 2."""
    warnings.showwarning = _show_warning
    warnings.simplefilter("default", NestflowWarning)
    try:
        app()
    except NestflowError as problem:
        _err.print(f"[red]error:[/red] {_escape(str(problem))}", soft_wrap=True)
        sys.exit(2)
    except OSError as problem:
        place = f" '{problem.filename}'" if problem.filename else ""
        _err.print(f"[red]error:[/red] cannot use{_escape(place)}: {problem.strerror}.")
        sys.exit(2)
    except KeyboardInterrupt:
        _err.print("stopped; what was finished before stands.")
        sys.exit(130)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, NestflowWarning):
        _err.print(f"[yellow]note:[/yellow] {_escape(str(message))}", soft_wrap=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
