"""What a baseline says beside what was published: moments, targets and the gaps between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from choicemodels.datasets import load_data
from choicemodels.errors import SpecificationError
from estimation import Table, frame_table
from microsim.mobility.distances import DISTANCE_CLASSES
from microsim.people.population import Population
from microsim.results.run import Run

__all__ = [
    "MOMENTS",
    "Baseline",
    "calibration_report",
    "load_targets",
    "report_table",
    "require_burn_in",
]

BURDEN = 0.30
"""Share of income from which on rent is called a burden [CensusRent2024]_."""


@dataclass(frozen=True)
class Baseline:
    """A run to be measured.

    Attributes
    ----------
    run : Run
    population : Population
    burn_in : int
        Months at the beginning that rates by month leave out, 0 up to the run's months less one.
    """

    run: Run
    population: Population
    burn_in: int = 0

    def __post_init__(self) -> None:
        require_burn_in(self.burn_in, self.run.months)
        if self.run.population_fingerprint != self.population.fingerprint():
            raise SpecificationError(
                f"the run '{self.run.scenario.name}' is of other people than those given; give "
                "the population that was simulated."
            )

    @cached_property
    def months(self) -> pd.DataFrame:
        """The national series after the burn-in."""
        return self.run.national[self.run.national["month"] >= self.burn_in]

    def share(self, parts: tuple[str, ...], whole: tuple[str, ...]) -> float:
        """Return the sum of some national series over that of others, in per cent."""
        table = self.months
        return 100.0 * float(table[list(parts)].sum().sum() / table[list(whole)].sum().sum())


def require_burn_in(burn_in: int, months: int) -> None:
    """Raise a SpecificationError unless a run of ``months`` has a month after the burn-in."""
    if not 0 <= burn_in < months:
        raise SpecificationError(
            f"burn_in is {burn_in}; of a run of {months} months give 0 to {months - 1}, so that "
            "a month is left to measure."
        )


Measured = float | str
"""A number, or the reason why there is none."""


def _distance(part: str) -> Callable[[Baseline], Measured]:
    classes = tuple(f"moves_{name}" for name in DISTANCE_CLASSES)

    def share(base: Baseline) -> Measured:
        if not base.months["local_moves"].any():
            return "nobody moved within a metro, as most movers do; are local_moves off?"
        return base.share((f"moves_{part}",), classes)

    return share


def _saving(base: Baseline) -> Measured:
    sums = base.months.sum(numeric_only=True)
    taxes = sums[[name for name in sums.index if name.endswith("_taxes")]].sum()
    income = sums["wages"] + sums["benefits"] - taxes
    assets = sums[["saved", "benefits"]].sum() - sums[["drawn", "moving_cost", "tuition"]].sum()
    debts = sums[["borrowed", "interest"]].sum() - sums["repaid"]
    if base.run.scenario.parameters.credit.active:  # else what movers lack becomes no debt
        debts += sums["credit"]
    return 100.0 * float((assets - debts) / income)


def _burdened(base: Baseline) -> Measured:
    w = base.population.workers
    renting = ~w.homeowner
    if not renting.any():
        return "nobody rents"
    return 100.0 * float(np.mean(12.0 * w.housing_cost[renting] > BURDEN * w.wage[renting]))


MOMENTS: Mapping[str, Callable[[Baseline], Measured]] = {
    "interstate moves": lambda base: 12.0 * base.share(("interstate_moves",), ("population",)),
    "moves below 5 miles": _distance("under_5_miles"),
    "moves of 5 to 50 miles": _distance("5_to_50_miles"),
    "moves above 50 miles": _distance("over_50_miles"),
    "unemployment rate": lambda base: base.share(("unemployed",), ("population",)),
    "job openings rate": lambda base: base.share(("vacancies",), ("vacancies", "employed")),
    "layoffs and discharges": lambda base: base.share(("separations", "displaced"), ("employed",)),
    "quits": lambda base: base.share(("quits",), ("employed",)),
    "total separations": lambda base: base.share(
        ("separations", "displaced", "quits"), ("employed",)
    ),
    "hires": lambda base: base.share(("hires",), ("employed",)),
    "personal saving rate": _saving,
    "burdened renters": _burdened,
}
"""How each target of ``data/calibration_targets.csv`` is measured."""


def load_targets() -> pd.DataFrame:
    """Return the published values.

    Returns
    -------
    DataFrame
        Index target; columns value, unit, period, source and note.
    """
    return load_data("calibration_targets").set_index("target").fillna({"note": ""})


def calibration_report(run: Run, population: Population, *, burn_in: int = 0) -> pd.DataFrame:
    """Lay a baseline's moments beside the published ones.

    Parameters
    ----------
    run
        Of a scenario without shocks, if the gaps are to say anything.
    population
        The people of the run.
    burn_in
        Months at the beginning that are left out of rates by month.

    Returns
    -------
    DataFrame
        Index target; columns published, simulated, gap (simulated less published), unit, period,
        source and note. Where nothing can be measured, simulated and gap are missing and the note
        says why.

    Raises
    ------
    SpecificationError
        If the burn-in leaves no month, or the people are not those of the run.
    """
    base, table = Baseline(run, population, burn_in), load_targets()
    found = {name: MOMENTS[name](base) for name in table.index}
    known = {name: value for name, value in found.items() if not isinstance(value, str)}
    why = {name: value for name, value in found.items() if isinstance(value, str)}
    simulated = pd.Series(known, dtype=np.float64).reindex(table.index)
    notes = table["note"].where(~table.index.isin(list(why)), pd.Series(why, dtype=object))
    table = table.rename(columns={"value": "published"}).assign(
        simulated=simulated, gap=simulated - table["value"], note=notes
    )
    return table[["published", "simulated", "gap", "unit", "period", "source", "note"]]


def report_table(report: pd.DataFrame) -> Table:
    """Return the report as a table to be shown or saved; sources and notes stand below it.

    Parameters
    ----------
    report
        From `calibration_report`.
    """
    shown = report[["published", "simulated", "gap"]].map("{:.2f}".format)
    shown = shown.mask(report["simulated"].isna(), "").assign(
        published=report["published"].map("{:.2f}".format), unit=report["unit"]
    )
    below = [
        f"{target}: {row['period']}, {row['source']}. {row['note']}".strip()
        for target, row in report.iterrows()
    ]
    return frame_table(shown, note="\n".join(below), caption="A baseline and published moments")
