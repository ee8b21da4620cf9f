"""What an event did to migration: rates by ring and year, and differences in differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.inputs import leaving, yearly
from estimation.migration.kernels import moves_out_and_in
from estimation.migration.ratios import ratio
from estimation.migration.strata import AreaTypes, checked_strata

__all__ = ["Direction", "EventStudy", "event_study"]

Array = NDArray[np.float64]
Direction: TypeAlias = Literal["out", "in"]


@dataclass(frozen=True, eq=False)
class EventStudy:
    """Rates of migration around an event.

    Attributes
    ----------
    event : int
        The year t of the matrix in which the event falls, between t - 1 and t.
    direction : str
        ``"out"`` or ``"in"``.
    treated, control : str
        The two rings that are compared.
    rates : DataFrame
        By year and ring: ``areas``, ``people``, ``movers`` and ``rate`` per 1,000.
    effects : DataFrame
        By year: ``effect`` per 1,000 people, ``std_err``, ``df``, ``t``, ``p_value``, ``lower``
        and ``upper`` (95 %).
    reason : str
        Why standard errors are missing, empty if they are not.
    """

    event: int
    direction: Direction
    treated: str
    control: str
    rates: pd.DataFrame
    effects: pd.DataFrame
    reason: str = ""

    @property
    def effect(self) -> "pd.Series[float]":
        """Return the row of the event: effect, standard error and what follows."""
        return self.effects.T[self.event]


def event_study(
    matrices: Mapping[int, MigrationMatrix],
    rings: AreaTypes,
    event: int,
    *,
    treated: str = "inside",
    control: str = "same county",
    direction: Direction = "out",
    reference: Sequence[int] | None = None,
    beyond: str | None = None,
) -> EventStudy:
    """Compare migration inside a perimeter with migration outside, before and after.

    The rate of ring g in year t is ``R_gt = 1000 sum_i y_it / sum_i p_it`` with the movers y and
    the people p of its areas, and the effect in year t is the difference in differences

        (R_1t - mean_s R_1s) - (R_0t - mean_s R_0s)

    over the years of reference s (without t itself): what people inside did beyond what those in
    the control ring did, if both would have changed alike without the event.

    Areas are the units. With ``u_it = 1000 (y_it - R_gt p_it / 1000) / sum_i p_it`` and ``v_i =
    u_it - mean_s u_is``, the variance of a ring's part is ``n / (n - 1) sum_i v_i²``: rates are
    ratios, linearized, and the years of an area may be correlated in any way
    [BertrandDufloMullainathan2004]_. Intervals take Student's t with the degrees of freedom of
    [Welch1947]_. With few areas inside, or one much larger than the others, they are rough; that
    areas close together have something in common, they do not know.

    Parameters
    ----------
    matrices
        By year t, the year in which people are asked where they lived in t - 1.
    rings
        Of :func:`~estimation.migration.perimeter.rings`, or any types of areas.
    event
        Year of the matrix in which the event falls: that of 2019 for November 2018.
    treated, control
        Types to compare.
    direction
        ``"out"`` counts people who left, by people a year ago; ``"in"`` people who came, by
        people now.
    reference
        Years before the event; all that are there by default.
    beyond
        A level: only moves that leave its area count. By default the finest.

    Raises
    ------
    SpecificationError
        If a ring is unknown or both are one, the event or a year of reference has no matrix, or
        no year of reference is left.
    DataError
        If years or areas do not match.
    """
    by_year = yearly(matrices)
    years = _reference(list(by_year), event, reference)
    kept = checked_strata(rings, next(iter(by_year.values())).areas)
    for ring in (treated, control):
        if ring not in kept.labels:
            raise SpecificationError(
                f"there is no ring '{ring}'{closest(ring, kept.labels)}; there are "
                f"{', '.join(kept.labels)}."
            )
    if treated == control:
        raise SpecificationError(f"'{treated}' is compared with itself; name another control.")
    if direction not in ("out", "in"):
        raise SpecificationError(f"direction='{direction}' is not one of 'out', 'in'.")
    counts = {year: _counts(m, direction, beyond) for year, m in by_year.items()}
    rates = pd.concat({y: _rates(rings, *c) for y, c in counts.items()}, names=["year"])
    parts = [_Ring.of(rings, ring, counts) for ring in (treated, control)]
    rows = {}
    for year in by_year:
        base = [s for s in years if s != year]
        if base:
            rows[year] = _difference(parts[0], parts[1], year, base)
    effects = pd.DataFrame.from_dict(rows, orient="index").rename_axis("year")
    alone = [ring for ring, part in zip((treated, control), parts, strict=True) if part.size < 2]
    reason = (
        f"'{alone[0]}' is a single area: how much areas vary by themselves is not known."
        if alone
        else ""
    )
    return EventStudy(event, direction, treated, control, rates, effects, reason)


@dataclass(frozen=True, eq=False)
class _Ring:
    """Rates of a ring by year, and the influence of each of its areas on them, (size,)."""

    size: int
    rate: Mapping[int, float]
    influence: Mapping[int, Array]

    @classmethod
    def of(cls, rings: AreaTypes, ring: str, counts: Mapping[int, tuple[Array, Array]]) -> "_Ring":
        here = np.flatnonzero(rings.codes == rings.labels.get_loc(ring))
        rate, influence = {}, {}
        for year, (movers, people) in counts.items():
            y, p = movers[here], people[here]
            share = float(y.sum() / p.sum()) if p.sum() > 0 else float("nan")
            rate[year] = 1000 * share
            influence[year] = 1000 * (y - share * p) / p.sum() if p.sum() > 0 else y * np.nan
        return cls(len(here), rate, influence)

    def change(self, year: int, base: Sequence[int]) -> tuple[float, float]:
        """Return the change of the rate from the base years, and its variance."""
        difference = self.rate[year] - float(np.mean([self.rate[s] for s in base]))
        if self.size < 2:
            return difference, float("nan")
        v = self.influence[year] - np.mean([self.influence[s] for s in base], axis=0)
        return difference, self.size / (self.size - 1) * float(v @ v)


def _difference(treated: _Ring, control: _Ring, year: int, base: Sequence[int]) -> dict[str, float]:
    from scipy.stats import t as student

    (one, var_one), (zero, var_zero) = (ring.change(year, base) for ring in (treated, control))
    effect, variance = one - zero, var_one + var_zero
    error = float(np.sqrt(variance))
    below = var_one**2 / (treated.size - 1) if treated.size > 1 else float("nan")
    below += var_zero**2 / (control.size - 1) if control.size > 1 else float("nan")
    df = variance**2 / below if below > 0 else float("nan")
    t = effect / error if error > 0 else float("nan")
    half = float(student.ppf(0.975, df)) * error
    return {
        "effect": effect,
        "std_err": error,
        "df": df,
        "t": t,
        "p_value": 2 * float(student.sf(abs(t), df)),
        "lower": effect - half,
        "upper": effect + half,
    }


def _reference(years: list[int], event: int, reference: Sequence[int] | None) -> list[int]:
    if event not in years:
        raise SpecificationError(
            f"the event falls in {event}, but there are matrices of {enumerate_some(years)} only."
        )
    chosen = [y for y in years if y < event] if reference is None else sorted(set(reference))
    absent = [y for y in chosen if y not in years]
    if absent:
        raise SpecificationError(f"no matrix was given for {enumerate_some(absent)}.")
    if not chosen or max(chosen) >= event:
        raise SpecificationError(
            f"an effect needs years before the event of {event} to compare with; got "
            f"{enumerate_some(chosen) or 'none'}."
        )
    return chosen


def _counts(
    matrix: MigrationMatrix, direction: Direction, beyond: str | None
) -> tuple[Array, Array]:
    out, into = moves_out_and_in(matrix, leaving(matrix.areas, beyond))
    return (out, matrix.before) if direction == "out" else (into, matrix.after)


def _rates(rings: AreaTypes, movers: Array, people: Array) -> pd.DataFrame:
    moved, there = rings.totals(movers), rings.totals(people)
    columns = {
        "areas": np.bincount(rings.codes, minlength=rings.size),
        "people": there,
        "movers": moved,
        "rate": 1000 * ratio(moved, there),
    }
    return pd.DataFrame(columns, index=pd.Index(rings.labels, name=rings.name))
