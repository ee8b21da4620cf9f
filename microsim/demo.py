"""The whole job once: observe, estimate, tabulate, simulate, compare, report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from choicemodels.errors import SpecificationError
from estimation import ChoiceResult, Table
from microsim.demo_estimates import Estimates, Settings, Step, estimate
from microsim.demo_report import demo_tables, draw_figures, write_demo_report
from microsim.engine import simulate
from microsim.mobility.behaviour import Behaviour
from microsim.people.population import Population
from microsim.people.synthesis import synthesize
from microsim.results.answers import answers, policy_answer, save_answers
from microsim.results.comparison import Contrast, contrast
from microsim.results.run import Run
from microsim.scenario import Scenario

__all__ = ["Demo", "Settings", "run_demo", "scenarios"]

_FULL_MONTHS = 84
_HAZARD = ({"month": 0, "rate": 0.004}, {"month": 24, "rate": 0.02}, {"month": 60, "rate": 0.04})
_RECENT = {"status": "displaced", "within_months": 12, "income_ceiling": 150_000}


@dataclass(frozen=True)
class Demo:
    """The demonstration's results, as they are on disk.

    Attributes
    ----------
    population : Population
    estimates : Estimates
    runs : dict of str to Run
        By folder: baseline, ai_displacement, relocation_grant and retraining.
    contrasts : dict of str to Contrast
        "shock" against the baseline, and "grant" and "retraining" against the shock.
    tables : dict
        By file name.
    report : Path
    """

    population: Population
    estimates: Estimates
    runs: Mapping[str, Run]
    contrasts: Mapping[str, Contrast]
    tables: Mapping[str, Table]
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
    estimates = estimate(population, settings, step)
    estimates.mobility.save(out / "mobility.json")
    estimates.gravity.save(out / "gravity.json")
    runs = _simulate(population, estimates.mobility, settings, step)
    step("Write tables, figures and the report")
    baseline, shock, grant, retraining = runs.values()
    contrasts = {
        "shock": contrast(baseline, shock),
        "grant": contrast(shock, grant),
        "retraining": contrast(shock, retraining),
    }
    tables = demo_tables(population, estimates, list(runs.values()), contrasts)
    for name, shown in tables.items():
        for suffix in (".md", ".tex", ".html"):
            shown.save(out / "tables" / f"{name}{suffix}")
    found = [*answers(shock), policy_answer(shock, [grant, retraining])]
    save_answers(found, out / "tables")
    drawn = draw_figures(estimates, list(runs.values()), out / "figures")
    report = write_demo_report(settings, estimates, drawn)
    tables = {**tables, **{answer.name: answer.shown for answer in found}}
    return Demo(population, estimates, runs, contrasts, tables, report)


def scenarios(months: int = _FULL_MONTHS) -> dict[str, Scenario]:
    """Return the demonstration's scenarios by folder.

    A baseline; firms that adopt AI and displace workers from the second year on, with a recession
    a quarter later; and the same with a relocation grant, or with retraining, for the displaced.
    In runs of fewer than 84 months everything begins sooner in proportion.

    Parameters
    ----------
    months
        Of the runs.
    """

    def month(full: int) -> int:
        return full * min(months, _FULL_MONTHS) // _FULL_MONTHS

    shocks = [
        {"kind": "ai_adoption", "start_month": month(12)},
        {
            "kind": "ai_displacement",
            "start_month": month(12),
            "spread_months": month(12),
            "hazard": list(_HAZARD),
        },
        {
            "kind": "recession",
            "timing": "fixed",
            "start_month": month(15),
            "end_month": month(26),
        },
    ]
    common = {"start_month": month(12), "take_up": 0.6, "eligibility": _RECENT}
    grant = {"kind": "relocation_grant", "name": "move_for_work", "amount": 10_000, **common}
    courses = {
        "kind": "retraining",
        "name": "new_skills",
        "covers": 1.0,
        "stipend": 500,
        "outreach": 3.0,
        **common,
    }
    contents: dict[str, dict[str, Any]] = {
        "ai_displacement": {"name": "AI displacement"},
        "relocation_grant": {"name": "with $10,000 grant", "policies": [grant]},
        "retraining": {"name": "with retraining", "policies": [courses]},
    }
    return {
        "baseline": Scenario.baseline(),
        **{
            folder: Scenario.from_mapping({**content, "shocks": shocks}, source="the demonstration")
            for folder, content in contents.items()
        },
    }


def _check(settings: Settings) -> None:
    if settings.months < 1 or settings.replicates < 1:
        raise SpecificationError(
            f"months is {settings.months} and replicates {settings.replicates}; both must be at "
            "least 1."
        )


def _simulate(
    population: Population, mobility: ChoiceResult, settings: Settings, step: Step
) -> dict[str, Run]:
    return {
        folder: simulate(
            population,
            Behaviour(mobility=mobility),
            scenario,
            months=settings.months,
            seed=settings.seed,
            replicates=settings.replicates,
            out=settings.out / "simulations" / folder,
            replace=True,
            progress=step(f"Simulate {settings.months} months: {scenario.name}"),
        )
        for folder, scenario in scenarios(settings.months).items()
    }
