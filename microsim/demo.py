"""The whole job once: observe, estimate, tabulate, simulate, compare, report."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsFloat

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from choicemodels import ChoiceData, FlowData, Gravity, MultinomialLogit, NestedLogit
from choicemodels.datasets import load_data
from choicemodels.errors import SpecificationError
from estimation import ChoiceResult, GravityResult, Table, fit, frame_table, table
from microsim import figures
from microsim.behaviour import Behaviour
from microsim.comparison import Contrast, contrast
from microsim.engine import simulate
from microsim.moves import MoveTruth, choice_table, flow_table, sample_cases, year_of_moves
from microsim.outcomes import OUTCOMES, national_outcomes
from microsim.population import Population
from microsim.report import Section, write_report
from microsim.run import Run
from microsim.scenario import Scenario
from microsim.synthesis import synthesize

__all__ = ["Demo", "Estimates", "Settings", "run_demo"]

Advance = Callable[[int, int], None]
Step = Callable[[str], Advance]

_MOBILITY = (
    "log(distance) + moving_cost + log(population) + log(wage) + log(home_value)"
    " + same_division | 0"
)
_STAY = "1 + age + homeowner + unemployed + college"
_SHOCK = {
    "kind": "ai_displacement",
    "start_month": 12,
    "spread_months": 12,
    "hazard": [
        {"month": 0, "rate": 0.002},
        {"month": 24, "rate": 0.01},
        {"month": 60, "rate": 0.02},
    ],
}
_GRANT = {
    "kind": "relocation_grant",
    "name": "move_for_work",
    "amount": 10_000,
    "start_month": 12,
    "take_up": 0.6,
    "eligibility": {"status": "displaced", "within_months": 12, "income_ceiling": 150_000},
}


@dataclass(frozen=True)
class Settings:
    """Size of the demonstration.

    Attributes
    ----------
    workers, firms, metros, months, seed, replicates : int
    cases : int
        Workers whose choices the mobility model is estimated on, at most.
    out : Path
    """

    workers: int = 60_000
    firms: int = 6_000
    metros: int = 384
    months: int = 84
    seed: int = 1
    replicates: int = 3
    cases: int = 6_000
    out: Path = Path("runs/demo")


@dataclass(frozen=True)
class Estimates:
    """What the demonstration estimated.

    Attributes
    ----------
    mobility : ChoiceResult
        The nested logit that the simulation runs on.
    flat : ChoiceResult
        The same utilities without the nest.
    gravity : GravityResult
        With effects of origin and destination.
    gravity_plain : GravityResult
        With the sizes of origin and destination instead.
    truth : Series
        The parameters that the moves were drawn with.
    flows : DataFrame
        Moves of all pairs of metros.
    """

    mobility: ChoiceResult
    flat: ChoiceResult
    gravity: GravityResult
    gravity_plain: GravityResult
    truth: "pd.Series[float]"
    flows: pd.DataFrame


@dataclass(frozen=True)
class Demo:
    """The demonstration's results, as they are on disk.

    Attributes
    ----------
    population : Population
    estimates : Estimates
    runs : tuple of Run
        Baseline, shock, and shock with grant.
    contrasts : tuple of Contrast
        Shock against baseline, and grant against shock.
    tables : dict
        By file name.
    report : Path
    """

    population: Population
    estimates: Estimates
    runs: tuple[Run, Run, Run]
    contrasts: tuple[Contrast, Contrast]
    tables: dict[str, Table]
    report: Path


def run_demo(settings: Settings, step: Step) -> Demo:
    """Run the whole job and write it to ``settings.out``.

    Parameters
    ----------
    settings
        Sizes, seed and folder.
    step
        Called with the name of each step; returns a function of (done, of) for its progress.

    Raises
    ------
    NestflowError
        If a size cannot be run, or the folder not be written.
    """
    _check(settings)
    out = settings.out
    step("Synthesize workers, firms and metros")
    population = synthesize(settings.workers, settings.firms, settings.metros, seed=settings.seed)
    for folder in ("tables", "figures"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    estimates = _estimate(population, settings, step)
    estimates.mobility.save(out / "mobility.json")
    estimates.gravity.save(out / "gravity.json")
    runs = _simulate(population, estimates.mobility, settings, step)
    step("Write tables, figures and the report")
    contrasts = (contrast(runs[0], runs[1]), contrast(runs[1], runs[2]))
    tables = _tables(population, estimates, contrasts, runs)
    for name, shown in tables.items():
        for suffix in (".md", ".tex", ".html"):
            shown.save(out / "tables" / f"{name}{suffix}")
    drawn = _figures(estimates, runs, out / "figures")
    report = _report(settings, population, estimates, runs, tables, drawn)
    return Demo(population, estimates, runs, contrasts, tables, report)


def scenarios() -> tuple[Scenario, Scenario, Scenario]:
    """Return the baseline, the shock, and the shock with the grant."""
    shock = {"name": "AI displacement", "shocks": [_SHOCK]}
    grant = {"name": "with $10,000 grant", "shocks": [_SHOCK], "policies": [_GRANT]}
    return (
        Scenario.baseline(),
        Scenario.from_mapping(shock, source="the demonstration's shock"),
        Scenario.from_mapping(grant, source="the demonstration's grant"),
    )


def _check(settings: Settings) -> None:
    if settings.months < 1 or settings.replicates < 1:
        raise SpecificationError(
            f"months is {settings.months} and replicates {settings.replicates}; both must be at "
            "least 1."
        )


def _estimate(population: Population, settings: Settings, step: Step) -> Estimates:
    step("Observe a year of moves")
    metros = tuple(population.metros.cbsa)
    truth = MoveTruth(metros)
    moves = year_of_moves(population, truth, seed=settings.seed)
    flows = flow_table(population, moves)
    advance = step("Estimate the nested logit of staying and moving")
    sample = sample_cases(moves, settings.cases, seed=settings.seed)
    data = ChoiceData.from_long(
        choice_table(population, sample, moves),
        case="worker",
        alternative="alternative",
        chosen="chosen",
        weights="weight",
        alternatives=["stay", *metros],
    )
    flat = fit(MultinomialLogit(_MOBILITY, specific={"stay": _STAY}), data)
    model = NestedLogit(_MOBILITY, nests={"move": metros}, specific={"stay": _STAY})
    mobility = fit(
        model,
        data,
        start=pd.concat([flat.params, pd.Series({"lambda:move": 1.0})]),
        progress=lambda number, _: advance(number, number + 1),
    )
    step("Estimate the gravity model by PPML")
    od = FlowData(flows, origin="origin", destination="destination", flow="migrants")
    ways = {"cov": "cluster", "groups": ["origin", "destination"]}
    pair = "log(distance) + same_division"
    sizes = " + ".join(
        f"log({end}_{name})"
        for name in ("population", "wage", "home_value")
        for end in ("origin", "destination")
    )
    return Estimates(
        mobility=mobility,
        flat=flat,
        gravity=fit(Gravity(f"{pair} | origin + destination"), od, **ways),
        gravity_plain=fit(Gravity(f"{pair} + {sizes}"), od, **ways),
        truth=truth.params,
        flows=flows,
    )


def _simulate(
    population: Population, mobility: ChoiceResult, settings: Settings, step: Step
) -> tuple[Run, Run, Run]:
    folders = ("baseline", "ai_displacement", "relocation_grant")
    runs = [
        simulate(
            population,
            Behaviour(mobility=mobility),
            scenario,
            months=settings.months,
            seed=settings.seed,
            replicates=settings.replicates,
            out=settings.out / "simulations" / folder,
            progress=step(f"Simulate {settings.months} months: {scenario.name}"),
        )
        for scenario, folder in zip(scenarios(), folders, strict=True)
    ]
    return (runs[0], runs[1], runs[2])


def _tables(
    population: Population,
    estimates: Estimates,
    contrasts: tuple[Contrast, Contrast],
    runs: tuple[Run, Run, Run],
) -> dict[str, Table]:
    both = table(
        estimates.gravity_plain, estimates.gravity, heads=["sizes", "fixed effects"], digits=3
    )
    summary = pd.DataFrame(
        {run.scenario.name: national_outcomes(run).mean().map(_number) for run in runs}
    )
    summary.insert(
        0, "unit", [OUTCOMES.get(name, "workers in all months") for name in summary.index]
    )
    return {
        "mobility": table(estimates.flat, estimates.mobility, heads=["multinomial", "nested"]),
        "truth": frame_table(
            _against_truth(estimates),
            note="z: how many standard errors the estimate lies from the truth.",
        ),
        "gravity": both,
        "outcomes": frame_table(summary, note="Means over replicates."),
        "shock": _contrast_table(contrasts[0]),
        "grant": _contrast_table(contrasts[1]),
        "margins": _margins(population),
    }


def _margins(population: Population) -> Table:
    """Say for each kind of margin how many there are, and how far the worst is off."""
    check = population.check()
    off = check["difference"].abs()
    worst = check.loc[off.groupby(check["margin"], sort=False).idxmax()].set_index("margin")
    shown = worst.rename(columns={"where": "worst at", "difference": "off by"}).map(_number)
    shown.insert(0, "margins", check["margin"].value_counts().reindex(shown.index).map(_number))
    return frame_table(shown, note="The margin of each kind that is met least well.")


def _against_truth(estimates: Estimates) -> pd.DataFrame:
    result = estimates.mobility
    truth = estimates.truth.reindex(result.params.index)
    return pd.DataFrame(
        {
            "truth": truth.map("{:.3f}".format),
            "estimate": result.params.map("{:.3f}".format),
            "std. error": result.bse.map("{:.3f}".format),
            "z": ((result.params - truth) / result.bse).map("{:.2f}".format),
        }
    )


def _contrast_table(compared: Contrast) -> Table:
    shown = compared.table.rename(
        columns={
            "baseline": compared.baseline,
            "policy": compared.policy,
            "mc_se": "Monte-Carlo s.e.",
        }
    )
    note = (
        f"Means over {compared.replicates} replicates that share their draws; the error is that "
        "of the paired difference."
    )
    return frame_table(shown.map(_number), note=note)


def _number(value: object) -> str:
    if isinstance(value, str) or not isinstance(value, SupportsFloat):
        return str(value)
    number = float(value)
    if np.isnan(number):
        return ""
    return f"{number:,.0f}" if abs(number) >= 1000 or number.is_integer() else f"{number:.4g}"


def _figures(
    estimates: Estimates, runs: tuple[Run, Run, Run], folder: Path
) -> dict[str, tuple[Path, str]]:
    _, shock, _ = runs
    by_metro = shock.metros.groupby("cbsa")
    displaced = 100 * shock.months * by_metro["displaced"].sum() / by_metro["population"].sum()
    classes = {run.scenario.name: _net_migration(run).groupby("region_class").sum() for run in runs}
    drawn: dict[str, tuple[Figure, str]] = {
        "monthly": (
            figures.monthly_outcomes(runs),
            "Monthly outcomes: means and ranges over the replicates.",
        ),
        "map": (
            figures.metro_map(load_data("metros"), displaced, "Displaced, % of workers"),
            "Who is displaced where: workers displaced by AI in all months.",
        ),
        "regions": (
            figures.region_bars(classes, "Net migration, workers in all months"),
            "Net migration by class of metro.",
        ),
        "distance": (
            figures.distance_decay(estimates.flows, estimates.gravity.predict()),
            "Observed moves and the gravity model's, by distance.",
        ),
    }
    files = {}
    for name, (figure, caption) in drawn.items():
        files[name] = (folder / f"{name}.png", caption)
        figure.savefig(files[name][0], dpi=130)
    return files


def _net_migration(run: Run) -> "pd.Series[float]":
    """Return arrivals less departures by metro over all months, mean over replicates."""
    panel = run.metros
    net = (panel["arrivals"] - panel["departures"]).groupby([panel["cbsa"], panel["region_class"]])
    return net.sum() / run.replicates


def _report(
    settings: Settings,
    population: Population,
    estimates: Estimates,
    runs: tuple[Run, Run, Run],
    tables: dict[str, Table],
    drawn: dict[str, tuple[Path, str]],
) -> Path:
    html = {name: shown.to_html() for name, shown in tables.items()}
    mobility, gravity = estimates.mobility, estimates.gravity
    sections = [
        Section(
            "People and places",
            f"{settings.workers:,} workers and {settings.firms:,} firms in the "
            f"{settings.metros} most populous metropolitan areas, synthesized to the margins of "
            "the Census and of the Bureau of Labor Statistics. Workers, firms and moves are "
            "generated; metros, wages and exposure are data.",
            (html["margins"],),
        ),
        Section(
            "Who moves, and where",
            f"A nested logit of staying or moving to another metro, estimated on "
            f"{mobility.nobs:,} workers with {settings.metros} alternatives each, half of them "
            "movers and weighted back to the population. The moves were drawn from a known model, "
            "so the estimates can be held against the truth.",
            (html["mobility"], html["truth"]),
            listings=(str(mobility.summary()),),
        ),
        Section(
            "Flows between metros",
            f"Poisson pseudo-maximum likelihood on {len(estimates.flows):,} pairs of metros, zeros "
            "kept, standard errors clustered by origin and by destination.",
            (html["gravity"],),
            (drawn["distance"],),
            (str(gravity.summary()),),
        ),
        Section(
            f"{settings.months} months",
            "The fitted model run forward: a baseline, displacement by AI that spreads from the "
            "most exposed metros, and the same with a $10,000 grant for displaced workers who "
            "move. All runs share their draws.",
            (html["outcomes"],),
            (drawn["monthly"], drawn["map"], drawn["regions"]),
        ),
        Section("What the shock changes", "The shock against the baseline.", (html["shock"],)),
        Section(
            "What the grant changes",
            "The grant against the shock without it: additionality is the share of grants that "
            "changed a decision.",
            (html["grant"],),
        ),
        Section(
            "How to make it again",
            "The same command with the same seed gives the same numbers. The tables are in "
            "tables/, the figures in figures/, the monthly outcomes as Parquet in simulations/.",
            listings=(
                f"nestflow demo --workers {settings.workers} --firms {settings.firms} "
                f"--metros {settings.metros} --months {settings.months} --seed {settings.seed} "
                f"--replicates {settings.replicates} --cases {settings.cases}",
            ),
        ),
    ]
    lead = (
        "Where people move when AI displaces jobs, and what a relocation grant would change: "
        "estimated, tabulated and simulated in one go."
    )
    return write_report(settings.out / "report.html", "nestflow demonstration", lead, sections)
