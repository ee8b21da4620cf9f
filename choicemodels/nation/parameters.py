"""What a generated nation is made of: how large it is, and what is assumed of its people."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np

from choicemodels.errors import SpecificationError

__all__ = ["GROUPS", "MOST_COUNTIES", "SIZES", "NationParameters", "NationSize"]

GROUPS = ("white", "black", "hispanic", "asian", "other")

# What the digits of a GEOID can number.
_MOST_STATES = 99
MOST_COUNTIES = 999
_MOST_TRACTS = 999_999
# With 4 block groups a tract on average, none gets more than the 9 that one digit can number.
_MOST_BLOCK_GROUPS = 4


@dataclass(frozen=True)
class NationSize:
    """How many areas of each level a nation has.

    Attributes
    ----------
    states, counties, tracts, block_groups : int
        Each level holds at least one area of the next.

    Raises
    ------
    SpecificationError
        If a number is not positive, a level has fewer areas than the one above, or GEOIDs cannot
        number them.
    """

    states: int
    counties: int
    tracts: int
    block_groups: int

    def __post_init__(self) -> None:
        names = [f.name for f in fields(self)]
        counts = [getattr(self, name) for name in names]
        for name, count in zip(names, counts, strict=True):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise SpecificationError(
                    f"a nation cannot have {count!r} {name}; give a whole number of 1 or more."
                )
        for outer, inner in pairwise(names):
            if getattr(self, inner) < getattr(self, outer):
                raise SpecificationError(
                    f"{getattr(self, inner):,} {inner} cannot fill {getattr(self, outer):,} "
                    f"{outer}; each needs at least one."
                )
        self._refuse_too_many()

    def _refuse_too_many(self) -> None:
        if self.block_groups < 2:
            raise SpecificationError("nobody can move in a nation of one block group; give two.")
        limits = (
            ("states", self.states, _MOST_STATES, "a nation"),
            ("counties", self.counties, MOST_COUNTIES // 3 * self.states, "its states"),
            ("tracts", self.tracts, _MOST_TRACTS, "a county"),
            ("block_groups", self.block_groups, _MOST_BLOCK_GROUPS * self.tracts, "its tracts"),
        )
        for name, count, most, where in limits:
            if count > most:
                raise SpecificationError(
                    f"{count:,} {name} are more than the digits of GEOIDs can number: {where} "
                    f"can have {most:,}."
                )


SIZES: Mapping[str, NationSize] = {
    "village": NationSize(3, 8, 34, 100),
    "town": NationSize(4, 20, 340, 1_000),
    "state": NationSize(8, 120, 3_400, 10_000),
    "nation": NationSize(51, 3_142, 73_057, 217_740),
}


def _number(default: float, allowed: "_Allowed") -> Any:
    return field(default=default, metadata={"allowed": allowed})


def _by_group(*values: float) -> Any:
    """Return a field with a number for each group."""
    return _mapping(GROUPS, values)


def _by_level(*values: float) -> Any:
    """Return a field with a number for each level."""
    return _mapping(("state", "county", "tract", "block_group"), values)


def _mapping(keys: tuple[str, ...], values: tuple[float, ...]) -> Any:
    default = dict(zip(keys, values, strict=True))
    return field(default_factory=lambda: dict(default), metadata={"keys": keys})


@dataclass(frozen=True)
class _Allowed:
    """The range of a parameter, and its words."""

    words: str
    low: float
    high: float
    ends: bool = True

    def holds(self, value: Any) -> bool:
        if not isinstance(value, int | float | np.integer | np.floating):
            return False
        number = float(value)
        if self.ends:
            return self.low <= number <= self.high
        return self.low < number <= self.high


_LARGEST = 1e9
_ANY = _Allowed("finite", -_LARGEST, _LARGEST)
_POSITIVE = _Allowed("above zero", 0.0, _LARGEST, ends=False)
_ZERO_OR_MORE = _Allowed("zero or more", 0.0, _LARGEST)
# Beyond, powers and exponentials of it leave the range of numbers.
_EXPONENT = _Allowed("from 0 to 20", 0.0, 20.0)
_SHARE = _Allowed("a share from 0 to 1", 0.0, 1.0)
_POSITIVE_SHARE = _Allowed("a share above 0, at most 1", 0.0, 1.0, ends=False)


@dataclass(frozen=True)
class NationParameters:
    """What is assumed of areas, people, moves, address histories and surveys.

    Spreads are standard deviations of logarithms. Rates are by person and year. The page
    `docs/generated_nation.md` says where each default comes from.

    Attributes
    ----------
    people, people_spread : float
        Mean number by block group.
    county_people_spread : float
        Of the number of tracts by county.
    county_area, county_area_spread, county_area_slope : float
        Mean square kilometres; elasticity with respect to the number of tracts.
    core, tract_area_spread : float
        Log of how much larger a tract is at the edge of its county than amid it.
    urban_density : float
        People by square kilometre from which a tract is urban.
    shares, share_core : mapping of str to float
        National share of each group, and what log odds gain from the edge of a county to its
        middle.
    share_spreads : mapping of str to float
        Of the odds of each group, by ``state``, ``county``, ``tract`` and ``block_group``.
    income : float
        Median household income, in dollars.
    income_spreads, income_by_group : mapping of str to float
        By level; and the difference of log incomes between areas of one group alone.
    leaving, most_leaving, leaving_spread : float
        Mean rate of leaving a block group, the highest of any, and its spread.
    leaving_by_group : mapping of str to float
        Relative rates.
    leaving_by_income, leaving_urban : float
        Elasticity, and difference of the log rate.
    within_county : float
        Share of those who leave that stays in the county.
    decay, decay_from : float
        Exponent of distance within counties, and the kilometres below which it matters little.
    decay_between, decay_between_from : float
        The same between counties.
    same_state : float
        How many times as likely a county of the own state is.
    homophily, income_homophily : float
        h and k of :func:`choicemodels.nation.moves.draw_moves`.
    pull_spread : float
        Of the attraction of counties.
    births, deaths, immigrants, emigrants, component_spread : float
        Rates, and their spread by county.
    coverage : mapping of str to float
        Share of each group whom address histories hold.
    coverage_by_income, coverage_by_leaving : float
        Elasticities with respect to the area's income and its rate of leaving.
    coverage_spread : float
        Of what else makes block groups differ; 0.5 makes the raw matrix as far from the survey's
        block-group populations as published (a correlation of 0.82).
    reported_moves, reported_moves_spread : float
        Share of moves that reach the histories, and its spread by state of destination.
    zip_only, zip_only_rural : float
        Share of urban and rural addresses known by their ZIP code alone.
    zip_starts : float
        Chance that a tract begins a new ZIP code; one over the mean number of tracts by ZIP code.
    design_effect, yearly_sample, pooled_sample : float
        Of the surveys: variance relative to simple sampling, and the share of people asked in one
        year and in five.

    Raises
    ------
    SpecificationError
        If a parameter is out of its range, or a mapping lacks a group or level.
    """

    people: float = _number(1_420.0, _POSITIVE)
    people_spread: float = _number(0.5, _ZERO_OR_MORE)
    county_people_spread: float = _number(1.4, _ZERO_OR_MORE)
    county_area: float = _number(2_660.0, _POSITIVE)
    county_area_spread: float = _number(0.5, _ZERO_OR_MORE)
    county_area_slope: float = _number(0.3, _ZERO_OR_MORE)
    core: float = _number(7.5, _EXPONENT)
    tract_area_spread: float = _number(0.4, _ZERO_OR_MORE)
    urban_density: float = _number(193.05, _POSITIVE)

    shares: Mapping[str, float] = _by_group(0.637, 0.122, 0.163, 0.047, 0.031)
    share_core: Mapping[str, float] = _by_group(0.0, 1.5, 1.0, 1.2, 0.4)
    share_spreads: Mapping[str, float] = _by_level(0.5, 0.6, 0.8, 0.4)
    income: float = _number(52_000.0, _POSITIVE)
    income_spreads: Mapping[str, float] = _by_level(0.1, 0.18, 0.3, 0.15)
    income_by_group: Mapping[str, float] = _by_group(0.08, -0.45, -0.3, 0.25, -0.1)

    leaving: float = _number(0.13, _POSITIVE_SHARE)
    most_leaving: float = _number(0.6, _SHARE)
    leaving_spread: float = _number(0.25, _ZERO_OR_MORE)
    leaving_by_group: Mapping[str, float] = _by_group(1.0, 1.3, 1.2, 1.15, 1.25)
    leaving_by_income: float = _number(-0.25, _ANY)
    leaving_urban: float = _number(0.1, _ANY)
    within_county: float = _number(0.6, _SHARE)
    decay: float = _number(1.2, _EXPONENT)
    decay_from: float = _number(3.0, _POSITIVE)
    decay_between: float = _number(1.3, _EXPONENT)
    decay_between_from: float = _number(30.0, _POSITIVE)
    same_state: float = _number(5.0, _POSITIVE)
    homophily: float = _number(2.5, _EXPONENT)
    income_homophily: float = _number(0.6, _EXPONENT)
    pull_spread: float = _number(0.2, _ZERO_OR_MORE)

    births: float = _number(0.0129, _SHARE)
    deaths: float = _number(0.0081, _SHARE)
    immigrants: float = _number(0.0055, _SHARE)
    emigrants: float = _number(0.0025, _SHARE)
    component_spread: float = _number(0.15, _ZERO_OR_MORE)

    coverage: Mapping[str, float] = _by_group(0.85, 0.75, 0.65, 0.6, 0.65)
    coverage_by_income: float = _number(0.1, _ANY)
    coverage_by_leaving: float = _number(-0.15, _ANY)
    coverage_spread: float = _number(0.5, _ZERO_OR_MORE)
    reported_moves: float = _number(0.75, _SHARE)
    reported_moves_spread: float = _number(0.15, _ZERO_OR_MORE)
    zip_only: float = _number(0.09, _SHARE)
    zip_only_rural: float = _number(0.18, _SHARE)
    zip_starts: float = _number(0.45, _SHARE)

    design_effect: float = _number(1.5, _POSITIVE)
    yearly_sample: float = _number(0.01, _POSITIVE_SHARE)
    pooled_sample: float = _number(0.05, _POSITIVE_SHARE)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if "keys" in one.metadata:
                self._refuse_keys(one.name, value, one.metadata["keys"])
            elif not one.metadata["allowed"].holds(value):
                raise SpecificationError(
                    f"the parameter {one.name}={value!r} of the nation is out of its range; it "
                    f"must be {one.metadata['allowed'].words}."
                )
        if abs(sum(self.shares.values()) - 1) > 1e-9 or min(self.shares.values()) <= 0:
            raise SpecificationError(
                f"the shares of groups must be positive and add up to 1; got {dict(self.shares)}."
            )
        for name, most in (("coverage", 1.0), ("leaving_by_group", _LARGEST)):
            values = getattr(self, name)
            if not all(0 < value <= most for value in values.values()):
                raise SpecificationError(
                    f"{name} must be above 0 and at most {most:g} for each group; got "
                    f"{dict(values)}."
                )
        if self.leaving > self.most_leaving:
            raise SpecificationError(
                f"on average {self.leaving:.0%} cannot leave if {self.most_leaving:.0%} is the "
                "most; raise most_leaving."
            )

    @staticmethod
    def _refuse_keys(name: str, values: Any, keys: tuple[str, ...]) -> None:
        given = isinstance(values, Mapping) and set(values) == set(keys)
        if not given or not all(_ANY.holds(value) for value in values.values()):
            raise SpecificationError(
                f"the parameter {name} of the nation needs a finite number for each of "
                f"{', '.join(keys)}; got {values}."
            )
