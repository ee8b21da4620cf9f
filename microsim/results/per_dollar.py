"""The fifth question: what policies achieve per dollar, side by side against one baseline."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from microsim.assumptions.governments import LEVELS
from microsim.results.comparison import policy_caution, require_comparable
from microsim.results.paired import ratio_of_means, standard_error
from microsim.results.run import Run

__all__ = ["PER_DOLLAR", "per_dollar"]

Floats = NDArray[np.float64]

PER_DOLLAR = {
    "outlay": "dollars, all policies, more than in the baseline",
    "payments": "in all months",
    "net cost to governments": "dollars, outlay less taxes gained and benefits saved",
    "additional moves": "between metros, in all months",
    "additional courses": "begun in all months",
    "additional jobs": "workers employed in the last month",
    "additional job-years": "in all months",
    "additional earnings": "dollars before taxes, in all months",
    "cost per additional move": "dollars of outlay",
    "cost per additional job-year": "dollars of outlay",
    "earnings per dollar": "dollars of earnings a dollar of outlay",
    "additionality, contrast": "additional moves, % of additional payments for moves",
    "additionality, same draws": "% of payments for moves to who would not have moved so without",
}
"""The rows of `per_dollar` and their units."""

_COLUMNS = ["unit", "value", "mc_se", "note"]


def per_dollar(baseline: Run, policies: Sequence[Run]) -> pd.DataFrame:
    """Compare policies by what they cost and achieve.

    Parameters
    ----------
    baseline
        The run without them.
    policies
        Runs of the same population, behaviour, months, seed and replicates, one for each policy.

    Returns
    -------
    DataFrame
        Index policy (the scenario's name) and outcome (`PER_DOLLAR`); columns unit, value (mean
        over replicates), mc_se (its Monte-Carlo standard error: of paired differences, and
        jackknifed for ratios) and note, which says why a number is missing, or not the policy's
        alone. Additionality is that of `microsim.contrast` (net of all feedback) and that of
        `microsim.results.outcomes.additionality` (household by household, within the run).

    Raises
    ------
    SpecificationError
        If the runs cannot be compared, or two scenarios have one name.
    """
    if isinstance(policies, Run | str):
        raise SpecificationError(
            f"policies is one {type(policies).__name__}; give a list of runs, such as [run]."
        )
    for run in policies:
        require_comparable(baseline, run)
    names = [run.scenario.name for run in policies]
    if not policies or len(set(names)) < len(names):
        raise SpecificationError(
            f"policies are {names}; give at least one run, each of a scenario with another name."
        )
    tables = {run.scenario.name: _of_policy(baseline, run) for run in policies}
    return pd.concat(tables, names=["policy", "outcome"])


def _of_policy(baseline: Run, run: Run) -> pd.DataFrame:
    before, after = _totals(baseline), _totals(run)
    gain = {name: after[name] - before[name] for name in before}
    outlay = gain["outlay"]
    rows: dict[str, list[object]] = {
        name: [float(values.mean()), standard_error(values), ""] for name, values in gain.items()
    }
    for name, top, bottom, reason in (
        ("cost per additional move", outlay, gain["additional moves"], "no moves are added"),
        ("cost per additional job-year", outlay, gain["additional job-years"], "no jobs are added"),
        ("earnings per dollar", gain["additional earnings"], outlay, "nothing was paid"),
    ):
        rows[name] = _ratio(top, bottom, reason)
    rows |= _additionality(baseline, run, gain["additional moves"])
    caution = policy_caution(baseline, run)
    for row in rows.values():
        row[-1] = "; ".join(filter(None, (str(row[-1]), caution)))
    content = [[unit, *rows[name]] for name, unit in PER_DOLLAR.items()]
    return pd.DataFrame(content, index=list(PER_DOLLAR), columns=_COLUMNS)


def _totals(run: Run) -> dict[str, Floats]:
    """Return what is compared, by replicate, (R,)."""
    series = run.national.groupby("replicate")
    total, last = series.sum(numeric_only=True), series.last()
    paid = run.policies.groupby("replicate")["grants"].sum()
    balances = last[[f"{level}_balance" for level in LEVELS]].sum(axis=1)
    columns = {
        "outlay": total["policy_dollars"],
        "payments": paid.reindex(total.index, fill_value=0),
        "net cost to governments": -balances,
        "additional moves": total["moves"],
        "additional courses": total["retraining"],
        "additional jobs": last["employed"],
        "additional job-years": total["employed"] / 12.0,
        "additional earnings": total["wages"],
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}


def _ratio(top: Floats, bottom: Floats, reason: str) -> list[object]:
    """Return a ratio of means, its error and a note; ``reason`` says why ``bottom`` is none."""
    if bottom.mean() <= 0 or not top.any():
        told = reason if bottom.mean() <= 0 else "nothing was paid"
        return [np.nan, np.nan, f"not defined: {told}"]
    value, error = ratio_of_means(top, bottom)
    without = (bottom.sum() - bottom) / max(len(bottom) - 1, 1)
    if len(bottom) > 1 and (without <= 0).any():
        return [
            value,
            np.nan,
            "no standard error: in some replicates the denominator is not above 0",
        ]
    return [value, error, ""]


def _additionality(baseline: Run, run: Run, moves: Floats) -> dict[str, list[object]]:
    """Return the share of the payments for moves that changed a decision, by both ways."""
    (already, _), (grants, needless) = (_payments_for_moves(one) for one in (baseline, run))
    nobody: list[object] = [np.nan, np.nan, "not defined: nobody was paid for a move"]
    if not grants.any():
        return {"additionality, contrast": nobody, "additionality, same draws": [*nobody]}
    more = grants - already
    apart = (
        [*ratio_of_means(100.0 * moves, more), ""]
        if more.mean() > 0
        else [np.nan, np.nan, "not defined: no more moves were paid for than in the baseline"]
    )
    whole = "of all policies of the run, those of the baseline too" if already.any() else ""
    within = [*ratio_of_means(100.0 * (grants - needless), grants), whole]
    return {"additionality, contrast": apart, "additionality, same draws": within}


def _payments_for_moves(run: Run) -> tuple[Floats, Floats]:
    """Return the payments for moves, and those of them without need, by replicate, (R,)."""
    chosen = run.policies[run.policies["inframarginal"].notna()]
    columns = ["grants", "inframarginal"]
    sums = chosen.groupby("replicate")[columns].sum().astype(float)
    sums = sums.reindex(run.national["replicate"].unique(), fill_value=0.0)
    grants, needless = (np.asarray(sums[name], dtype=np.float64) for name in columns)
    return grants, needless
