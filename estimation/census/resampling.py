"""What the sampling error of census tables does to what is concluded from a matrix."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, EstimationError, NestflowError, SpecificationError
from choicemodels.frames import closest
from choicemodels.keyed_random import Streams
from choicemodels.migration.areas import Areas
from choicemodels.migration.census import CensusTables
from choicemodels.migration.matrix import MigrationMatrix
from estimation.census.labels import aligned, aligned_matrix
from estimation.census.margins_of_error import standard_error
from estimation.harmonization.steps import Step, published_steps
from estimation.harmonize import harmonize
from estimation.replicates import ReplicateFile

__all__ = ["Resampled", "resample", "resampled"]

Array = NDArray[np.float64]
Statistic = Callable[[MigrationMatrix], "pd.Series[float] | Mapping[str, float] | float"]


def resample(
    tables: CensusTables,
    areas: Areas,
    replicate: int,
    *,
    seed: int = 0,
    county: str = "county",
    state: str = "state",
) -> CensusTables:
    """Draw the tables again as another sample might have given them.

    Each number with a margin of error becomes lognormal with the number as mean and its standard
    error as standard deviation: people stay above zero, and on average there are as many as
    before, which a normal cut off at zero would not give. Zeros stay zeros. Movers are drawn, and
    non-movers take up the difference, as both come from one survey of the same people.

    What tables agreed on before the draw they agree on after it: populations are scaled to keep
    their ratio to the people of their county, movers and non-movers that to their state's, and
    the totals of flows and of the people in t that to the people in t - 1.

    Parameters
    ----------
    tables
        With margins of error; those without are taken as exact.
    areas
        Block groups, with levels ``county`` and ``state``.
    replicate
        Number of the draw, from 0.
    seed
        Of the streams. A number depends on seed, replicate, table and label alone, so that
        leaving areas out changes no other.
    county, state
        Names of the levels.

    Raises
    ------
    DataError
        If labels do not fit, no table has margins of error, or some are negative, not finite
        or of no table.
    """
    _refuse_margins(tables)
    levels = dict.fromkeys(("movers", "stayers", "flows"), state)
    levels |= {"before": county, "after": county, "populations": areas.name}
    _refuse_strangers(tables, list(levels))
    labels = {name: areas.level(level).labels for name, level in levels.items()}
    streams = Streams(seed, replicate)
    old, new = {}, {}
    for name, level in levels.items():
        whose, margin = f"level '{level}'", tables.margins_of_error.get(name)
        old[name] = _numbers(getattr(tables, name), labels[name], f"the {name}", whose)
        new[name] = old[name].copy()
        if margin is not None:
            error = _numbers(margin, labels[name], f"the margins of error of {name}", whose)
            z = _normal(streams, name, labels[name], error.ndim)
            new[name] = _lognormal(old[name], standard_error(error), z)
    if "movers" not in tables.margins_of_error:
        new["movers"] = old["movers"] + old["stayers"] - new["stayers"]
    _reconcile(old, new, areas, county, state)
    return replace(
        tables,
        populations=pd.Series(new["populations"], index=labels["populations"]),
        movers=pd.Series(new["movers"], index=labels["movers"]),
        stayers=pd.Series(new["stayers"], index=labels["stayers"]),
        flows=pd.DataFrame(new["flows"], index=labels["flows"], columns=labels["flows"]),
        before=pd.Series(new["before"], index=labels["before"]),
        after=pd.Series(new["after"], index=labels["after"]),
    )


@dataclass(frozen=True, eq=False)
class Resampled:
    """A statistic of the matrix, harmonized to tables drawn again and again.

    Attributes
    ----------
    estimate : Series, shape (K,)
        With the tables as they are.
    draws : DataFrame, shape (R, K)
        One row a replicate that succeeded.
    failures : Series of str
        Why the others did not, by replicate.
    seed : int
    """

    estimate: "pd.Series[float]"
    draws: pd.DataFrame
    failures: "pd.Series[str]"
    seed: int

    def conf_int(self, alpha: float = 0.1) -> pd.DataFrame:
        """Return quantiles of the draws at level ``1 - alpha``, by default as margins of error.

        Raises
        ------
        SpecificationError
            If ``alpha`` is not between 0 and 1.
        """
        if not 0 < alpha < 1:
            raise SpecificationError(f"alpha is {alpha}; it must lie between 0 and 1.")
        lower, upper = (self.draws.quantile(q) for q in (alpha / 2, 1 - alpha / 2))
        return pd.DataFrame({"lower": lower, "upper": upper})

    @property
    def table(self) -> pd.DataFrame:
        """One row a statistic: estimate, bias, std err and 90 percent of the draws."""
        limits = self.conf_int()
        return pd.DataFrame(
            {
                "estimate": self.estimate,
                "bias": self.draws.mean() - self.estimate,
                "std err": self.draws.std(),
                "[0.05": limits["lower"],
                "0.95]": limits["upper"],
            }
        )


def resampled(
    matrix: MigrationMatrix,
    tables: CensusTables,
    statistic: Statistic,
    *,
    draws: int = 100,
    seed: int = 0,
    steps: Callable[[CensusTables], Sequence[Step]] = published_steps,
    checkpoint: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Resampled:
    """Harmonize to tables drawn by their margins of error, and look at what a statistic does.

    Its spread is what the sampling error of the tables adds; it says nothing of the error of the
    raw matrix.

    Parameters
    ----------
    matrix
        The raw matrix E.
    tables
        With margins of error.
    statistic
        Of a harmonized matrix: a number, or several by name.
    draws
        Number of replicates, 2 or more.
    seed
        Of the streams; the same seed gives the same answer.
    steps
        Makes the steps from the tables.
    checkpoint
        File to which every replicate is written as it is done; those in it are not done again.
    progress
        Called with the number of replicates done and asked for.

    Raises
    ------
    SpecificationError
        If ``draws`` is below 2.
    DataError
        If the tables have no margins of error, or the checkpoint is of another problem.
    EstimationError
        If most replicates failed.
    """
    if draws < 2:
        raise SpecificationError(f"draws is {draws}; a spread needs two.")
    _refuse_margins(tables)
    estimate = _named(statistic(harmonize(matrix, steps(tables)).matrix))

    def replicated(number: int) -> tuple[Array | None, str]:
        try:
            drawn = resample(tables, matrix.areas, number, seed=seed)
            found = _named(statistic(harmonize(matrix, steps(drawn)).matrix))
        except NestflowError as problem:
            return None, str(problem)
        values = np.asarray(found.reindex(estimate.index), dtype=np.float64)
        if not np.isfinite(values).all():
            return None, "the statistic is missing or not finite"
        return values, ""

    done: dict[int, tuple[Array | None, str]] = {}
    file = None
    if checkpoint is not None:
        file = ReplicateFile(Path(checkpoint), _problem(matrix, tables, estimate, seed))
        done = {number: found for number, found in file.read().items() if number < draws}
    for number in range(draws):
        if number not in done:
            done[number] = replicated(number)
            if file is not None:
                file.append(number, *done[number])
        if progress is not None:
            progress(number + 1, draws)
    return _gather(estimate, done, seed)


def _refuse_margins(tables: CensusTables) -> None:
    if not tables.margins_of_error:
        raise DataError(
            "the tables have no margins of error, so there is nothing to draw; give some to "
            "census_tables (populations_moe, flows_moe, and the columns ending in _moe)."
        )


def _refuse_strangers(tables: CensusTables, known: Sequence[str]) -> None:
    for name in tables.margins_of_error:
        if name not in known:
            raise DataError(
                f"there are margins of error of '{name}', but no table '{name}'"
                f"{closest(name, known)}; the tables are {', '.join(known)}."
            )


def _numbers(
    table: "pd.Series[float] | pd.DataFrame", labels: pd.Index, what: str, whose: str
) -> Array:
    if isinstance(table, pd.DataFrame):
        return aligned_matrix(table, labels, what, whose)
    return aligned(table, labels, what, whose)


def _normal(streams: Streams, name: str, labels: pd.Index, ndim: int) -> Array:
    """Draw a standard normal for every cell of a table, keyed by its labels."""
    texts = labels.map(str).to_numpy(dtype=object)
    if ndim == 2:
        texts = texts[:, None] + " → " + texts
    # The upper 63 bits of a hash of the label: an id that is never negative.
    ids = (pd.util.hash_array(texts.ravel(), categorize=False) >> np.uint64(1)).astype(np.int64)
    return np.asarray(streams.normal(f"census {name}", ids).reshape(texts.shape))


def _lognormal(mean: Array, error: Array, z: Array) -> Array:
    """Turn standard normals into lognormals of a given mean and standard deviation."""
    ratio = np.divide(error, mean, out=np.zeros_like(mean), where=mean > 0)
    variance = np.log1p(ratio**2)
    return np.asarray(mean * np.exp(np.sqrt(variance) * z - variance / 2))


def _reconcile(
    old: Mapping[str, Array], new: dict[str, Array], areas: Areas, county: str, state: str
) -> None:
    """Bring drawn tables to the agreement that the old ones had, table by table."""
    everybody = _ratios(new["before"].sum(), old["before"].sum())
    for name in ("after", "flows"):
        new[name] = new[name] * everybody * _ratios(old[name].sum(), new[name].sum())
    inner, outer = areas.level(county), areas.level(state)
    wanted = inner.totals(old["populations"]) * _ratios(new["before"], old["before"])
    there = inner.totals(new["populations"])
    new["populations"] = new["populations"] * _ratios(wanted, there)[inner.codes]
    parents = areas.parents(county, state)
    now, was = (np.bincount(parents, x["after"], minlength=outer.size) for x in (new, old))
    change = _ratios(np.asarray(now), np.asarray(was))
    total = (old["movers"] + old["stayers"]) * change
    new["movers"] = np.clip(new["movers"] * change, 0.0, total)
    new["stayers"] = total - new["movers"]


def _ratios(x: Any, y: Any) -> Array:
    """Divide, one where there is nobody."""
    one = np.ones_like(np.asarray(y, dtype=np.float64))
    return np.asarray(np.divide(x, y, out=one, where=y > 0))


def _named(found: "pd.Series[float] | Mapping[str, float] | float") -> "pd.Series[float]":
    if isinstance(found, pd.Series):
        return found
    values = dict(found) if isinstance(found, Mapping) else {"statistic": found}
    return pd.Series(values, dtype=np.float64)


def _problem(
    matrix: MigrationMatrix, tables: CensusTables, estimate: "pd.Series[float]", seed: int
) -> str:
    """Mark what is replicated, so that a file of another problem is refused."""
    names = [str(name) for name in estimate.index]
    mark = hashlib.sha256(json.dumps([names, estimate.tolist(), tables.year, seed]).encode())
    for array in (matrix.indptr, matrix.indices, matrix.values):
        mark.update(array.tobytes())
    for name, table in sorted(tables.margins_of_error.items()):
        mark.update(name.encode())
        for part in (table, getattr(tables, name)):
            mark.update(np.ascontiguousarray(part, dtype=np.float64).tobytes())
    return mark.hexdigest()[:16]


def _gather(
    estimate: "pd.Series[float]", done: Mapping[int, tuple[Array | None, str]], seed: int
) -> Resampled:
    found = {number: values for number, (values, _) in sorted(done.items()) if values is not None}
    failed = {number: reason for number, (values, reason) in sorted(done.items()) if values is None}
    if len(found) < max(2, len(failed)):
        reason = Counter(failed.values()).most_common(1)[0][0]
        raise EstimationError(
            f"{len(failed):,} of {len(done):,} replicates failed, mostly since {reason}"
        )
    draws = pd.DataFrame(
        np.array(list(found.values())),
        index=pd.Index(list(found), name="replicate"),
        columns=estimate.index,
    )
    failures = pd.Series(failed, name="reason", dtype=object).rename_axis("replicate")
    return Resampled(estimate, draws, failures, seed)
