"""What a policy changes: two runs side by side, with the error of the simulation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from microsim.results.outcomes import METRO_OUTCOMES, OUTCOMES, metro_outcomes, national_outcomes
from microsim.results.paired import ratio_of_means, standard_error
from microsim.results.rounding import rounded
from microsim.results.run import Run

__all__ = ["Contrast", "contrast", "policy_caution", "require_comparable"]

Floats = NDArray[np.float64]

_ONE = "no standard error: it needs at least 2 replicates"
_COLUMNS = ["unit", "baseline", "policy", "difference", "mc_se", "note"]
_SAME = {
    "population_fingerprint": "populations",
    "behaviour_fingerprint": "fitted models",
    "months": "numbers of months",
    "start": "first months",
    "seed": "seeds",
    "replicates": "numbers of replicates",
    "coupling": "couplings",
}


@dataclass(frozen=True)
class Contrast:
    """Tables of a policy against a baseline.

    Attributes
    ----------
    table : DataFrame
        Index outcome; columns unit, baseline, policy, difference, mc_se and note. Means over
        replicates; ``mc_se`` is the Monte-Carlo standard error of the difference, paired by
        replicate because both runs share their draws. Where a number cannot be had, the note says
        why.
    by_metro : DataFrame
        The same for each metro: index cbsa and outcome.
    baseline, policy : str
        Names of the scenarios.
    replicates : int
    """

    table: pd.DataFrame
    by_metro: pd.DataFrame
    baseline: str
    policy: str
    replicates: int

    def __str__(self) -> str:
        return f"{self._title()}\n{self._rounded().to_string()}"

    def _repr_html_(self) -> str:
        return f"<p>{self._title()}</p>{self._rounded().to_html()}"

    def _title(self) -> str:
        count = f"{self.replicates} replicate{'s' if self.replicates > 1 else ''}"
        return f"{self.policy} against {self.baseline}, {count}"

    def _rounded(self) -> pd.DataFrame:
        shown = self.table.copy()
        for column in ("baseline", "policy", "difference", "mc_se"):
            shown[column] = shown[column].map(rounded)
        return shown

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        shown = self._rounded().reset_index()
        lines = [
            "| " + " | ".join(shown.columns) + " |",
            "|"
            + "|".join("---:" if 2 <= i <= 5 else "---" for i in range(len(shown.columns)))
            + "|",
        ]
        lines += ["| " + " | ".join(map(str, row)) + " |" for row in shown.to_numpy()]
        return "\n".join(lines) + "\n"

    def to_csv(self, path: str | Path) -> None:
        """Write the table, unrounded, to a CSV file."""
        self.table.to_csv(path)


def contrast(baseline: Run, policy: Run) -> Contrast:
    """Compare two runs of the same people, months and draws.

    Parameters
    ----------
    baseline, policy
        From `simulate` with the same population, behaviour, months, seed and replicates.

    Returns
    -------
    Contrast
        The outcomes of `microsim.results.outcomes`, and of the policy: take-up (grants over
        eligible moves), additionality (additional moves over additional grants: the share of the
        grants that changed a decision, net of all feedback) and cost per additional move. What is
        additional is the policy's less the baseline's, which may have policies too.

    Raises
    ------
    SpecificationError
        If the runs cannot be compared; the message says what differs.
    """
    require_comparable(baseline, policy)
    a, b = national_outcomes(baseline), national_outcomes(policy)
    rows = {
        name: _row(OUTCOMES.get(name, "workers in all months"), a[name], b[name])
        for name in a.columns
    }
    rows |= _policy_rows(a, b, policy_caution(baseline, policy))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=_COLUMNS)
    return Contrast(
        table=table.rename_axis("outcome"),
        by_metro=_by_metro(metro_outcomes(baseline), metro_outcomes(policy)),
        baseline=baseline.scenario.name,
        policy=policy.scenario.name,
        replicates=baseline.replicates,
    )


def require_comparable(baseline: Run, policy: Run) -> None:
    """Raise a SpecificationError unless the runs share people, months and draws."""
    for run in (baseline, policy):
        if not isinstance(run, Run):
            raise SpecificationError(
                f"{run!r} is a {type(run).__name__}, not a run; give what simulate returned, or "
                "read its folder with load_run."
            )
    for name, words in _SAME.items():
        a, b = getattr(baseline, name), getattr(policy, name)
        if a != b:
            raise SpecificationError(
                f"the runs '{baseline.scenario.name}' and '{policy.scenario.name}' have different "
                f"{words} ({a} and {b}), so that their difference is not the policy's; simulate "
                "both with the same."
            )


def _row(unit: str, a: "pd.Series[float]", b: "pd.Series[float]") -> list[object]:
    """Return a row of paired means; the error is that of the mean of the differences."""
    difference = np.asarray(b - a, dtype=np.float64)
    undefined = "not defined in every replicate of both runs" if np.isnan(difference).any() else ""
    note = "; ".join(filter(None, (undefined, _ONE if len(difference) < 2 else "")))
    return [unit, a.mean(), b.mean(), difference.mean(), standard_error(difference), note]


def policy_caution(baseline: Run, policy: Run) -> str:
    """Return a warning if the runs' scenarios differ in more than their policies."""
    a, b = baseline.scenario, policy.scenario
    differ = [kind for kind in ("shocks", "parameters") if getattr(a, kind) != getattr(b, kind)]
    return f"the runs differ in {' and '.join(differ)} too, not in policy alone" if differ else ""


def _policy_rows(a: pd.DataFrame, b: pd.DataFrame, caution: str) -> dict[str, list[object]]:
    """Return the rows of take-up, additionality and cost; ``caution`` joins their notes."""
    moves = (b["moves"] - a["moves"]).to_numpy()
    grants, cost = ((b[name] - a[name]).to_numpy() for name in ("grants paid", "policy cost"))
    taken, eligible = 100.0 * b["grants paid"].to_numpy(), b["eligible moves"].to_numpy()
    paid = moves if cost.mean() > 0 else np.zeros_like(moves)
    none, nothing = "no grant was paid", "nothing was paid"
    if a["policy cost"].any():
        none = "no more grants were paid than in the baseline"
        nothing = "no more was paid than in the baseline"
    alone, apart = "of the policy alone", "of the policy less the baseline"
    specifications: dict[str, tuple[str, Floats, Floats, str, str]] = {
        "take-up": ("% of eligible moves", taken, eligible, alone, "nobody eligible moved"),
        "additionality": ("% of grants", 100.0 * moves, grants, apart, none),
        "cost per additional move": (
            "dollars",
            cost,
            paid,
            apart,
            f"there are no additional moves, or {nothing}",
        ),
    }
    rows = {name: _ratio_row(*row) for name, row in specifications.items()}
    for name in ("additionality", "cost per additional move"):
        rows[name][-1] = "; ".join(filter(None, (str(rows[name][-1]), caution)))
    return rows


def _ratio_row(unit: str, top: Floats, bottom: Floats, of: str, reason: str) -> list[object]:
    """Return a row for a ratio of means; its error is jackknifed over the replicates.

    Its note says ``of`` what it is, or the ``reason`` why ``bottom`` is none.
    """
    nan = float("nan")
    if bottom.mean() <= 0:
        return [unit, nan, nan, nan, nan, f"not defined: {reason}"]
    value, error = ratio_of_means(top, bottom)
    if len(top) < 2:
        return [unit, nan, value, nan, nan, _ONE]
    if np.isnan(error):
        note = "no standard error: without one replicate the ratio is not defined"
        return [unit, nan, value, nan, nan, note]
    return [unit, nan, value, nan, error, f"{of}; the error is jackknifed"]


def _by_metro(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Return baseline, policy, difference and error by metro and outcome."""
    difference = b - a
    replicates = len(a.index.unique("replicate"))
    table = pd.DataFrame(
        {"baseline": _mean(a), "policy": _mean(b), "difference": _mean(difference)}
    ).rename_axis(["cbsa", "outcome"])
    if replicates > 1:
        table["mc_se"] = _spread(difference) / np.sqrt(replicates)
    else:
        table["mc_se"] = np.nan
    table["note"] = "" if replicates > 1 else _ONE
    table.insert(0, "unit", [METRO_OUTCOMES[o] for o in table.index.get_level_values("outcome")])
    return table


def _mean(table: pd.DataFrame) -> "pd.Series[float]":
    """Return the mean over replicates, by metro and outcome."""
    return _stacked(table.groupby(level="cbsa", sort=False).mean())


def _spread(table: pd.DataFrame) -> "pd.Series[float]":
    """Return the standard deviation over replicates, by metro and outcome."""
    return _stacked(table.groupby(level="cbsa", sort=False).std(ddof=1))


def _stacked(table: pd.DataFrame) -> "pd.Series[float]":
    stacked = table.stack()
    assert isinstance(stacked, pd.Series)  # the columns have one level
    return stacked
