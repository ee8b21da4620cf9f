"""What a population and its runs came to, at a glance: numbers as text, for page or terminal."""

from collections.abc import Sequence

import pandas as pd

from microsim.results.outcomes import OUTCOMES, national_outcomes
from microsim.results.paired import standard_error
from microsim.results.rounding import rounded, with_errors
from microsim.results.run import Run

__all__ = ["outcomes_by_scenario", "worst_margins"]

_ERROR = " s.e."


def outcomes_by_scenario(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the national outcomes of runs beside each other.

    Returns
    -------
    DataFrame
        Index outcome; column unit and one of each scenario's name, means over replicates with the
        Monte-Carlo error of the mean in parentheses where there are several.
    """
    columns: dict[str, object] = {}
    for run in runs:
        found = national_outcomes(run)
        columns[run.scenario.name] = found.mean()
        columns[f"{run.scenario.name}{_ERROR}"] = found.apply(standard_error)
    shown = with_errors(pd.DataFrame(columns), _ERROR)
    shown.insert(0, "unit", [OUTCOMES.get(name, "workers in all months") for name in shown.index])
    return shown


def worst_margins(check: pd.DataFrame) -> pd.DataFrame:
    """Say for each kind of margin how many there are, and how far the worst is off.

    Parameters
    ----------
    check
        As of `microsim.people.population.Population.check`.

    Returns
    -------
    DataFrame
        Index margin; columns margins, worst at, target, realized and off by.
    """
    off = check["difference"].abs()
    worst = check.loc[off.groupby(check["margin"], sort=False).idxmax()].set_index("margin")
    shown = worst.rename(columns={"where": "worst at", "difference": "off by"}).map(rounded)
    shown.insert(0, "margins", check["margin"].value_counts().reindex(shown.index).map(rounded))
    return shown
