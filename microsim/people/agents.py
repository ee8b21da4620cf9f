"""The tables of agents: workers, firms and metros as columns, checked once, then frozen."""

from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError
from choicemodels.frames import require_columns
from microsim.assumptions.finance import CREDIT_BANDS
from microsim.assumptions.firms import REMOTE_POLICIES, SIZE_STARTS
from microsim.assumptions.persons import MARITAL_STATUSES, RACES, RINGS, SEXES
from microsim.assumptions.synthesis import ADOPTION_STAGES, EDUCATION_LEVELS, INDUSTRIES
from microsim.people.draws import ranks

__all__ = ["Firms", "Metros", "Workers", "within"]

Number = TypeVar("Number", bound=np.generic)
_FIRM_CODES = {"industry": INDUSTRIES, "stage": ADOPTION_STAGES, "remote": REMOTE_POLICIES}
_NOT_NEGATIVE = (
    "wage",
    "savings",
    "tenure",
    "commute",
    "debt",
    "home_equity",
    "housing_cost",
    "weight",
)
_WORKER_CODES = {
    "education": EDUCATION_LEVELS,
    "industry": INDUSTRIES,
    "sex": SEXES,
    "race": RACES,
    "marital": MARITAL_STATUSES,
    "ring": RINGS,
}


def within(values: NDArray[Number], low: float, high: float, name: str, what: str) -> None:
    """Raise a DataError if a value lies outside [low, high], naming the first row."""
    bad = np.flatnonzero((values < low) | (values > high))  # type: ignore[operator]
    if bad.size:
        raise DataError(
            f"column '{name}' of the {what} is {values[bad[0]]} in row {bad[0]}, outside "
            f"{low:g} to {high:g}; mend {bad.size:,} such rows."
        )


class _Columns:
    """What the tables of agents share: columns of one length, to and from a frame."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    def derived(self) -> dict[str, NDArray[Any]]:
        """Return what follows from the columns, by name."""
        return {}

    def to_frame(self) -> pd.DataFrame:
        """Return the columns, and what follows from them, as a DataFrame, one row an agent."""
        return pd.DataFrame({**self.columns(), **self.derived()})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, what: str) -> Self:
        """Build from a DataFrame with the columns by name.

        Raises
        ------
        DataError
            If a column is missing or cannot be read as its type.
        """
        names = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        require_columns(frame, names, what=what)
        return cls(**{name: frame[name].to_numpy() for name in names})

    def _freeze(self, what: str) -> None:
        length = None
        for field in fields(self):  # type: ignore[arg-type]
            name, kind = field.name, get_args(get_args(field.type)[1])[0]
            try:
                values = np.ascontiguousarray(getattr(self, name), dtype=kind)
            except (TypeError, ValueError, OverflowError):
                raise DataError(
                    f"column '{name}' of the {what} cannot be read as {np.dtype(kind).name}; "
                    "convert it or drop the rows that are not numbers."
                ) from None
            if values.ndim != 1 or (length is not None and len(values) != length):
                raise DataError(
                    f"column '{name}' of the {what} has shape {values.shape}, but the columns "
                    f"before it have {length} rows; give every column one value a row."
                )
            if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values))[0])
                raise DataError(
                    f"column '{name}' of the {what} is not finite in row {row}; fill it."
                )
            if np.issubdtype(values.dtype, np.integer):
                # A cast to a small type wraps around without a word.
                changed = np.flatnonzero(values != np.asarray(getattr(self, name)))
                if changed.size:
                    raise DataError(
                        f"column '{name}' of the {what} is {getattr(self, name)[changed[0]]} in "
                        f"row {changed[0]}, which {values.dtype.name} cannot hold; mend "
                        f"{changed.size:,} such rows."
                    )
            length = len(values)
            values.flags.writeable = False
            object.__setattr__(self, name, values)


@dataclass(frozen=True)
class Workers(_Columns):
    """The workers, each standing for a household; every column has shape (N,).

    Attributes
    ----------
    id : int64
        Unique, not negative. Draws are keyed by it, so rows may come in any order.
    age : int16
        Years.
    education : int8
        Code of `microsim.assumptions.synthesis.EDUCATION_LEVELS`; 3 and above are college degrees.
    household_size : int8
        Persons, at least 1.
    homeowner : bool
    occupation : int8
        Row of `Population.occupations`.
    industry : int8
        Code of `microsim.assumptions.synthesis.INDUSTRIES`: the employer's, the last employer's
        for the unemployed.
    wage : float64
        Dollars a year; of the last job for the unemployed.
    savings : int64
        Liquid savings in cents.
    metro : int16
        Row of `Population.metros`.
    firm : int32
        Row of `Population.firms`, or -1 for the unemployed.
    exposure : float64
        Share of the occupation's work that AI could take over, 0 to 1.
    sex, race, marital, ring : int8
        Codes of `SEXES`, `RACES`, `MARITAL_STATUSES` and `RINGS` in
        `microsim.assumptions.persons`.
    tenure : float32
        Years with the employer; 0 for the unemployed.
    commute : float32
        Miles to work; to the last job for the unemployed.
    network : float32
        Strength of local networks, 0 to 1.
    benefit_eligible : bool
        Qualifies for unemployment benefits, or would on losing the job.
    warmth_taste, urban_taste : float32
        Tastes for a warm climate and for city life; mean 0 and variance 1.
    family_metro : int16
        Row of `Population.metros` where the family lives.
    family_weight : float32
        Weight on living near the family, 0 to 1.
    debt : int64
        Besides the mortgage, cents.
    home_equity : int64
        Value of an owned home less what is owed on it, cents.
    credit_score : int16
        300 to 850.
    housing_cost : float32
        Rent, or payments and upkeep of an owned home; dollars a month.
    weight : float32
        Persons for whom the worker stands.
    """

    id: NDArray[np.int64]
    age: NDArray[np.int16]
    education: NDArray[np.int8]
    household_size: NDArray[np.int8]
    homeowner: NDArray[np.bool_]
    occupation: NDArray[np.int8]
    industry: NDArray[np.int8]
    wage: NDArray[np.float64]
    savings: NDArray[np.int64]
    metro: NDArray[np.int16]
    firm: NDArray[np.int32]
    exposure: NDArray[np.float64]
    sex: NDArray[np.int8]
    race: NDArray[np.int8]
    marital: NDArray[np.int8]
    ring: NDArray[np.int8]
    tenure: NDArray[np.float32]
    commute: NDArray[np.float32]
    network: NDArray[np.float32]
    benefit_eligible: NDArray[np.bool_]
    warmth_taste: NDArray[np.float32]
    urban_taste: NDArray[np.float32]
    family_metro: NDArray[np.int16]
    family_weight: NDArray[np.float32]
    debt: NDArray[np.int64]
    home_equity: NDArray[np.int64]
    credit_score: NDArray[np.int16]
    housing_cost: NDArray[np.float32]
    weight: NDArray[np.float32]

    def __post_init__(self) -> None:
        self._freeze("workers")
        if len(np.unique(self.id)) != len(self.id) or (len(self.id) and self.id.min() < 0):
            raise DataError("the workers' ids must be unique and not negative; number them anew.")
        within(self.household_size, 1, np.inf, "household_size", "workers")
        for name in ("exposure", "network", "family_weight"):
            within(getattr(self, name), 0.0, 1.0, name, "workers")
        for name in _NOT_NEGATIVE:
            within(getattr(self, name), 0, np.inf, name, "workers")
        within(self.credit_score, CREDIT_BANDS[0], CREDIT_BANDS[-1], "credit_score", "workers")
        for name, codes in _WORKER_CODES.items():
            within(getattr(self, name), 0, len(codes) - 1, name, "workers")

    @property
    def wage_percentile(self) -> NDArray[np.float64]:
        """Where the wage stands among all workers' wages, 0 to 100; (N,)."""
        return 100.0 * ranks(self.wage, np.zeros(len(self), dtype=np.int64))

    @property
    def metro_wage_percentile(self) -> NDArray[np.float64]:
        """Where the wage stands among those of the metro, 0 to 100; (N,)."""
        return 100.0 * ranks(self.wage, self.metro)

    def derived(self) -> dict[str, NDArray[Any]]:
        """Return the wage's percentiles."""
        names = ("wage_percentile", "metro_wage_percentile")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Firms(_Columns):
    """The firms; every column has shape (F,).

    Attributes
    ----------
    id : int64
        Unique, not negative.
    metro : int16
        Row of `Population.metros`.
    size : int32
        Workers employed at the start.
    industry : int8
        Code of `microsim.assumptions.synthesis.INDUSTRIES`.
    stage : int8
        Code of `microsim.assumptions.synthesis.ADOPTION_STAGES`.
    age : int16
        Whole years.
    remote : int8
        Code of `microsim.assumptions.firms.REMOTE_POLICIES`.
    revenue_growth : float32
        Log points a year.
    labour_intensity : float32
        Payroll over revenue, 0 to 1.
    footprint : int16
        Metros served, the own among them.
    automation_investment : float32
        Share of revenue a year.
    layoff_rate : float32
        Share of the staff laid off in the year before.
    hiring_plan : float32
        Planned growth of the staff over the next year, log points.
    wage_p10, wage_p50, wage_p90 : float32
        Of its workers at the start, dollars a year.
    """

    id: NDArray[np.int64]
    metro: NDArray[np.int16]
    size: NDArray[np.int32]
    industry: NDArray[np.int8]
    stage: NDArray[np.int8]
    age: NDArray[np.int16]
    remote: NDArray[np.int8]
    revenue_growth: NDArray[np.float32]
    labour_intensity: NDArray[np.float32]
    footprint: NDArray[np.int16]
    automation_investment: NDArray[np.float32]
    layoff_rate: NDArray[np.float32]
    hiring_plan: NDArray[np.float32]
    wage_p10: NDArray[np.float32]
    wage_p50: NDArray[np.float32]
    wage_p90: NDArray[np.float32]

    def __post_init__(self) -> None:
        self._freeze("firms")
        within(self.footprint, 1, np.inf, "footprint", "firms")
        within(self.age, 0, np.inf, "age", "firms")
        for name in ("labour_intensity", "automation_investment", "layoff_rate"):
            within(getattr(self, name), 0.0, 1.0, name, "firms")
        for name, codes in _FIRM_CODES.items():
            within(getattr(self, name), 0, len(codes) - 1, name, "firms")

    @property
    def size_class(self) -> NDArray[np.int8]:
        """Code of `microsim.assumptions.firms.SIZE_CLASSES`, (F,)."""
        return (np.searchsorted(SIZE_STARTS, self.size, side="right") - 1).astype(np.int8)

    def derived(self) -> dict[str, NDArray[Any]]:
        """Return the class of the size."""
        return {"size_class": self.size_class}


@dataclass(frozen=True)
class Metros(_Columns):
    """The metropolitan areas at the start; every column has shape (M,).

    Attributes
    ----------
    cbsa, name, states, division, climate_zone, region_class : object
        Codes and classes, as in ``data/README.md``.
    latitude, longitude : float64
        Degrees, weighted by population.
    population, density : float64
        Residents, and residents per square mile of land.
    income, home_value, wage : float64
        Median household income, median home value, mean wage; dollars.
    bachelor_share, employed_share, owner_share, vacancy_share : float64
        Shares, 0 to 1.
    """

    cbsa: NDArray[np.object_]
    name: NDArray[np.object_]
    states: NDArray[np.object_]
    division: NDArray[np.object_]
    climate_zone: NDArray[np.object_]
    region_class: NDArray[np.object_]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    population: NDArray[np.float64]
    density: NDArray[np.float64]
    income: NDArray[np.float64]
    home_value: NDArray[np.float64]
    wage: NDArray[np.float64]
    bachelor_share: NDArray[np.float64]
    employed_share: NDArray[np.float64]
    owner_share: NDArray[np.float64]
    vacancy_share: NDArray[np.float64]

    def __post_init__(self) -> None:
        self._freeze("metros")
        if len(set(self.cbsa)) != len(self.cbsa):
            raise DataError("two metros have the same CBSA code; keep one row for each.")

    @property
    def principal_states(self) -> list[str]:
        """Each metro's state by postal code; of several, the first."""
        return [str(states).split("-")[0] for states in self.states]
