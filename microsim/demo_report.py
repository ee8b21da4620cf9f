"""What the demonstration shows: its tables, figures and report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from choicemodels.datasets import load_data
from estimation import Table, frame_table, table
from microsim.demo_estimates import Estimates, Settings
from microsim.people.population import Population
from microsim.results import figures
from microsim.results.comparison import Contrast
from microsim.results.report import Section, write_report
from microsim.results.rounding import rounded
from microsim.results.run import Run
from microsim.results.summaries import outcomes_by_scenario, worst_margins

__all__ = ["demo_tables", "draw_figures", "write_demo_report"]


def demo_tables(
    population: Population,
    estimates: Estimates,
    runs: Sequence[Run],
    contrasts: Mapping[str, Contrast],
) -> dict[str, Table]:
    """Return the tables of estimates, outcomes and contrasts, by file name."""
    both = table(
        estimates.gravity_plain, estimates.gravity, heads=["sizes", "fixed effects"], digits=3
    )
    return {
        "mobility": table(estimates.flat, estimates.mobility, heads=["multinomial", "nested"]),
        "truth": frame_table(
            _against_truth(estimates),
            note="z: how many standard errors the estimate lies from the truth.",
        ),
        "gravity": both,
        "outcomes": frame_table(
            outcomes_by_scenario(runs),
            note="Means over replicates, their Monte-Carlo errors in parentheses.",
        ),
        **{name: _contrast_table(compared) for name, compared in contrasts.items()},
        "margins": frame_table(
            worst_margins(population.check()),
            note="The margin of each kind that is met least well.",
        ),
    }


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
    return frame_table(shown.map(rounded), note=note)


def draw_figures(
    estimates: Estimates, runs: Sequence[Run], folder: Path
) -> dict[str, tuple[Path, str]]:
    """Draw the figures into a folder, and return their files and captions by name.

    Parameters
    ----------
    estimates
    runs
        The baseline, the shock, and the shock with one policy each.
    folder
    """
    shock = runs[1]
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


def write_demo_report(
    settings: Settings, estimates: Estimates, drawn: Mapping[str, tuple[Path, str]]
) -> Path:
    """Write the report of the tables in the demonstration's folder, and return its file."""
    written = sorted((settings.out / "tables").glob("*.html"))
    html = {path.stem: path.read_text(encoding="utf-8") for path in written}
    sections = [
        *_estimation_sections(settings, estimates, html, drawn),
        Section(
            f"{settings.months} months",
            "The fitted model run forward: a baseline; firms that adopt AI and displace workers, "
            "with a recession; and the same with a $10,000 grant for displaced workers who move, "
            "or with courses for them. All runs share their draws.",
            (html["outcomes"],),
            (drawn["monthly"],),
        ),
        *_question_sections(html, drawn),
        Section("What the shock changes", "The shock against the baseline.", (html["shock"],)),
        Section(
            "What the policies change",
            "The grant, and retraining, against the shock without them.",
            (html["grant"], html["retraining"]),
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
        "Where people move when AI displaces jobs, and what a relocation grant and retraining "
        "would change: estimated, tabulated and simulated in one go."
    )
    return write_report(settings.out / "report.html", "nestflow demonstration", lead, sections)


def _estimation_sections(
    settings: Settings,
    estimates: Estimates,
    html: Mapping[str, str],
    drawn: Mapping[str, tuple[Path, str]],
) -> list[Section]:
    mobility, gravity = estimates.mobility, estimates.gravity
    return [
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
    ]


def _question_sections(
    html: Mapping[str, str], drawn: Mapping[str, tuple[Path, str]]
) -> list[Section]:
    """Return a section for each of the five questions, asked of the shock."""
    questions = (
        (
            "Who is displaced where",
            "Workers who lost their job to AI, by class of metro, exposure and occupation.",
            ("displaced_places", "displaced_exposure", "displaced_occupations"),
            ("map",),
        ),
        (
            "Who moves, retrains or stays",
            "By age and education, of all workers and of those displaced lately.",
            ("who_moves", "who_moves_displaced"),
            (),
        ),
        (
            "Where movers go",
            "What cost of living and remote work do to destinations: the rents that movers leave "
            "and find, and a gravity model of the simulated moves.",
            ("destinations", "destination_models"),
            (),
        ),
        (
            "Who sends and who receives",
            "Net migration between metros over all months.",
            ("regions",),
            ("regions",),
        ),
        (
            "Subsidies against retraining, per dollar",
            "Each policy against the shock without it, at what it cost.",
            ("per_dollar",),
            (),
        ),
    )
    return [
        Section(
            title,
            text,
            tuple(html[name] for name in names if name in html),
            tuple(drawn[name] for name in shown),
        )
        for title, text, names, shown in questions
    ]
