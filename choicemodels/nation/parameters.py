"""What a generated nation is made of: how large it is, and what is assumed of its people."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise

from choicemodels.errors import SpecificationError

__all__ = ["GROUPS", "SIZES", "NationParameters", "NationSize"]

GROUPS = ("white", "black", "hispanic", "asian", "other")

# What the digits of a GEOID can number.
_MOST_STATES = 99
_MOST_COUNTIES = 999
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
            ("counties", self.counties, _MOST_COUNTIES // 3 * self.states, "its states"),
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


def _by_group(*values: float) -> Mapping[str, float]:
    return dict(zip(GROUPS, values, strict=True))


@dataclass(frozen=True)
class NationParameters:
    """What is assumed of areas, people, moves, address histories and surveys.

    The page `docs/generated_nation.md` says where each default comes from.

    Attributes
    ----------
    people : float
        Mean number by block group.
    people_spread : float
        Standard deviation of its logarithm.
    """

    people: float = 1_420.0
    people_spread: float = 0.5
    # Areas
    county_area: float = 2_660.0
    county_area_spread: float = 0.5
    county_area_slope: float = 0.3
    county_people_spread: float = 1.4
    core: float = 7.5
    tract_area_spread: float = 0.4
    urban_density: float = 193.05
    # Groups and incomes
    shares: Mapping[str, float] = field(
        default_factory=lambda: _by_group(0.637, 0.122, 0.163, 0.047, 0.031)
    )
    share_spreads: Mapping[str, float] = field(
        default_factory=lambda: {"state": 0.5, "county": 0.6, "tract": 0.8, "block_group": 0.4}
    )
    share_core: Mapping[str, float] = field(
        default_factory=lambda: _by_group(0.0, 1.5, 1.0, 1.2, 0.4)
    )
    income: float = 52_000.0
    income_spreads: Mapping[str, float] = field(
        default_factory=lambda: {"state": 0.1, "county": 0.18, "tract": 0.3, "block_group": 0.15}
    )
    income_by_group: Mapping[str, float] = field(
        default_factory=lambda: _by_group(0.08, -0.45, -0.3, 0.25, -0.1)
    )
    # Moves
    leaving: float = 0.13
    most_leaving: float = 0.6
    leaving_spread: float = 0.25
    leaving_by_group: Mapping[str, float] = field(
        default_factory=lambda: _by_group(1.0, 1.3, 1.2, 1.15, 1.25)
    )
    leaving_by_income: float = -0.25
    leaving_urban: float = 0.1
    within_county: float = 0.6
    decay: float = 1.2
    decay_from: float = 3.0
    decay_between: float = 1.3
    decay_between_from: float = 30.0
    same_state: float = 5.0
    homophily: float = 2.5
    income_homophily: float = 0.6
    pull_spread: float = 0.2
    # Births, deaths and moves abroad
    births: float = 0.0129
    deaths: float = 0.0081
    immigrants: float = 0.0055
    emigrants: float = 0.0025
    component_spread: float = 0.15
    # Address histories
    coverage: Mapping[str, float] = field(
        default_factory=lambda: _by_group(0.85, 0.75, 0.65, 0.6, 0.65)
    )
    coverage_by_income: float = 0.1
    coverage_by_leaving: float = -0.15
    reported_moves: float = 0.75
    reported_moves_spread: float = 0.15
    zip_only: float = 0.08
    zip_only_rural: float = 0.16
    zip_starts: float = 0.45
    # Surveys
    design_effect: float = 1.5
    yearly_sample: float = 0.01
    pooled_sample: float = 0.05
