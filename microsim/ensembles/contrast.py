"""What a policy changes under uncertain parameters: two sources of uncertainty, told apart."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from microsim.results.outcomes import OUTCOMES, national_outcomes
from microsim.results.run import Run

__all__ = [
    "EnsembleContrast",
    "VarianceSplit",
    "contrast_draws",
    "require_level",
    "shared_draws",
    "split_variance",
]

Floats = NDArray[np.float64]

_COLUMNS = ["unit", "baseline", "policy", "difference", "parameter_sd", "mc_se", "low", "high"]


@dataclass(frozen=True)
class VarianceSplit:
    """Variance components of a crossed table of draws by replicates.

    Attributes
    ----------
    mean : float
    parameters, replicates, interaction : float
        Variances due to the parameter draws, to the replicates, and to both together; nan where
        there is one draw or one replicate.
    mc_se : float
        Standard error of the mean, as an estimate of its expectation over draws and replicates.
    """

    mean: float
    parameters: float
    replicates: float
    interaction: float
    mc_se: float


def split_variance(values: Floats) -> VarianceSplit:
    """Split the variance of ``values`` (D, R) into draws, replicates and their interaction.

    With ``y_dr = mu + a_d + b_r + e_dr``, all random, and the mean squares of the two-way table,

        var(e) = MS_e,  var(a) = (MS_a - MS_e) / R,  var(b) = (MS_b - MS_e) / D,

    negative ones set to zero ([SearleCasellaMcCulloch1992]_), and
    ``mc_se**2 = var(a) / D + var(b) / R + var(e) / (D R)``.
    """
    D, R = values.shape
    mean = float(values.mean())
    if D < 2 or R < 2:
        return VarianceSplit(mean, *[float("nan")] * 4)
    rows, columns = values.mean(axis=1) - mean, values.mean(axis=0) - mean
    rest = values - mean - rows[:, None] - columns
    noise = float((rest**2).sum() / ((D - 1) * (R - 1)))
    by_draw = max(float(R * (rows**2).sum() / (D - 1)) - noise, 0.0) / R
    by_replicate = max(float(D * (columns**2).sum() / (R - 1)) - noise, 0.0) / D
    error = float(np.sqrt(by_draw / D + by_replicate / R + noise / (D * R)))
    return VarianceSplit(mean, by_draw, by_replicate, noise, error)


@dataclass(frozen=True)
class EnsembleContrast:
    """Tables of a policy against a baseline over parameter draws and replicates.

    Attributes
    ----------
    table : DataFrame
        Index outcome; columns unit, baseline, policy, difference (means over all members),
        parameter_sd (standard deviation of the difference that is due to the parameters), mc_se
        (standard error of the mean difference, which more draws and replicates shrink), low, high
        (percentiles of the difference over draws, each averaged over its replicates), note.
    variance : DataFrame
        Index outcome; the variance of the difference split into parameters, replicates and
        interaction.
    baseline, policy : str
    draws, replicates : int
    level : float
        Of the interval.
    """

    table: pd.DataFrame
    variance: pd.DataFrame
    baseline: str
    policy: str
    draws: int
    replicates: int
    level: float

    def __str__(self) -> str:
        title = (
            f"{self.policy} against {self.baseline}, {self.draws} draws of the parameters by "
            f"{self.replicates} replicates, {100 * self.level:g} % intervals over draws"
        )
        return f"{title}\n{self.table.to_string(float_format='{:.4g}'.format)}"

    def to_csv(self, path: str | Path) -> None:
        """Write the table, unrounded, to a CSV file."""
        self.table.to_csv(path)


def contrast_draws(
    a: pd.DataFrame, b: pd.DataFrame, baseline: str, policy: str, *, level: float = 0.95
) -> EnsembleContrast:
    """Compare the outcomes of two scenarios over the same draws and replicates.

    Parameters
    ----------
    a, b : DataFrame
        Of the baseline and of the policy: index draw and replicate, columns outcomes.
    baseline, policy
        Names.
    level
        Of the percentile intervals.

    Raises
    ------
    SpecificationError
        If the level is not between 0 and 1.
    """
    require_level(level)
    draws, replicates = (a.index.unique(name).size for name in ("draw", "replicate"))
    tails = [(1 - level) / 2, (1 + level) / 2]
    rows, variance = {}, {}
    for name in a.columns:
        x, y = (table[name].to_numpy(dtype=float).reshape(draws, replicates) for table in (a, b))
        split = split_variance(y - x)
        low, high = np.quantile((y - x).mean(axis=1), tails)
        spread = np.sqrt(split.parameters)
        unit = OUTCOMES.get(name, "workers in all months")
        rows[name] = [unit, x.mean(), y.mean(), split.mean, spread, split.mc_se, low, high]
        variance[name] = [split.parameters, split.replicates, split.interaction]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=_COLUMNS)
    lone = "parameters and simulation are told apart by 2 draws and 2 replicates"
    table["note"] = lone if min(draws, replicates) < 2 else ""
    missing = (a.isna() | b.isna()).sum()
    for name in missing.index[missing > 0]:
        table.loc[name, "note"] = f"not defined in {missing[name]} of {draws * replicates} members"
    table = pd.concat([table, _ratios(a, b, tails)]).rename_axis("outcome")
    parts = ["parameters", "replicates", "interaction"]
    split_table = pd.DataFrame.from_dict(variance, orient="index", columns=parts)
    return EnsembleContrast(
        table, split_table.rename_axis("outcome"), baseline, policy, draws, replicates, level
    )


def require_level(level: float) -> None:
    """Raise a SpecificationError unless ``level`` is one of an interval."""
    if not 0 < level < 1:
        raise SpecificationError(f"level is {level}; it must lie between 0 and 1, such as 0.95.")


def _ratios(a: pd.DataFrame, b: pd.DataFrame, tails: list[float]) -> pd.DataFrame:
    """Return the rows of additionality and cost: ratios of a draw's means over replicates."""
    before, after = (table.groupby(level="draw").mean() for table in (a, b))
    moves, cost, grants = (
        (after[name] - before[name]).to_numpy() for name in ("moves", "policy cost", "grants paid")
    )
    rows = {}
    for name, unit, top, bottom, paid in (
        ("additionality", "% of grants", 100.0 * moves, grants, grants),
        ("cost per additional move", "dollars", cost, moves, cost),
    ):
        good = (bottom > 0) & (paid > 0)
        nan = float("nan")
        if not good.all():
            note = f"not defined in {(~good).sum()} of {len(good)} draws"
            rows[name] = [unit, nan, nan, nan, nan, nan, nan, nan, note]
            continue
        by_draw = top / bottom
        spread = by_draw.std(ddof=1) if len(by_draw) > 1 else nan
        limits = np.quantile(by_draw, tails)
        note = "of the policy less the baseline; their spread holds simulation error too"
        rows[name] = [unit, nan, top.mean() / bottom.mean(), nan, spread, nan, *limits, note]
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*_COLUMNS, "note"])


def shared_draws(baseline: Run, policy: Run) -> pd.DataFrame:
    """Compare the variance of a contrast with shared draws to that with independent seeds.

    Replicates are independent of each other, hence the runs' variances add up to the variance that
    the difference would have if the runs had seeds of their own ([GlassermanYao1992]_).

    Parameters
    ----------
    baseline, policy
        Runs that share seed and replicates, at least 2.

    Returns
    -------
    DataFrame
        Index outcome; columns shared and independent (variances of the difference of a
        replicate), and ratio: independent over shared, nan where nothing differs.

    Raises
    ------
    SpecificationError
        If the runs do not share their draws, or have one replicate.
    """
    if (baseline.seed, baseline.replicates) != (policy.seed, policy.replicates):
        raise SpecificationError(
            "the runs do not share their draws: their seeds or replicates differ; simulate both "
            "with the same."
        )
    if baseline.replicates < 2:
        raise SpecificationError("a variance needs at least 2 replicates, and the runs have 1.")
    a, b = national_outcomes(baseline), national_outcomes(policy)
    shared, independent = (b - a).var(ddof=1), a.var(ddof=1) + b.var(ddof=1)
    ratio = independent / shared.where(shared > 0)
    table = pd.DataFrame({"shared": shared, "independent": independent, "ratio": ratio})
    return table.rename_axis("outcome")
