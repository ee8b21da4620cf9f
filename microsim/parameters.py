"""Every number that the simulation assumes: its name, unit, default, bounds and source.

`SynthesisParameters` shape the population when it is made; `Parameters` govern the months, and a
scenario may override any of them under its key ``parameters``. `parameter_table` shows them all.
A source of "assumption" means that nobody measured it: vary it before you believe a result.
"""

from typing import Annotated, Any

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = [
    "ADOPTION_STAGES",
    "EDUCATION_LEVELS",
    "INDUSTRIES",
    "DemographyParameters",
    "HousingParameters",
    "LabourParameters",
    "MoneyParameters",
    "MovingParameters",
    "Parameters",
    "SynthesisParameters",
    "parameter_table",
]

EDUCATION_LEVELS = ("less than high school", "high school", "some college", "bachelor", "graduate")
"""Levels of schooling, in the order of the codes 0 to 4."""

ADOPTION_STAGES = ("none", "pilot", "scaling", "mature")
"""Firms' stages of AI adoption, in the order of the codes 0 to 3."""


def _p(default: Any, unit: str, source: str, description: str, **bounds: Any) -> Any:
    """Declare one parameter."""
    return Field(
        default=default,
        description=description,
        json_schema_extra={"unit": unit, "source": source},
        **bounds,
    )


def _shares(values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values) < 0 or abs(sum(values) - 1.0) > 1e-9:
        raise ValueError("shares must each be at least 0 and add up to 1")
    return values


def _ascending(values: tuple[float, float]) -> tuple[float, float]:
    if not 0 < values[0] <= values[1]:
        raise ValueError("bounds must be positive, the lower one first")
    return values


def _not_negative(values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values) < 0:
        raise ValueError("values must be at least 0")
    return values


FourFactors = Annotated[tuple[float, float, float, float], AfterValidator(_not_negative)]
FiveFactors = Annotated[tuple[float, float, float, float, float], AfterValidator(_not_negative)]
Range = Annotated[tuple[float, float], AfterValidator(_ascending)]
ThreeShares = Annotated[tuple[float, float, float], AfterValidator(_shares)]
FourShares = Annotated[tuple[float, float, float, float], AfterValidator(_shares)]
Shares = Annotated[tuple[float, ...], AfterValidator(_shares)]


class Group(BaseModel):
    """A frozen group of parameters that refuses unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LabourParameters(Group):
    """Jobs lost, posted and found."""

    separation_rate: float = _p(
        0.0088,
        "share of the employed per month",
        "assumption: with job finding and movers' search, keeps unemployment near 3.7 %",
        "Ordinary loss of a job, which stays open.",
        ge=0,
        le=1,
    )
    job_finding_rate: float = _p(
        0.27,
        "share of the unemployed per month",
        "assumption: near CPS flows from unemployment to employment, 2023",
        "Chance of finding a job where tightness equals its reference.",
        ge=0,
        le=1,
    )
    reference_tightness: float = _p(
        1.45,
        "vacancies per unemployed worker",
        "assumption: near JOLTS openings over CPS unemployment, January 2024",
        "Tightness at which the job-finding rate holds.",
        gt=0,
    )
    matching_elasticity: float = _p(
        0.5,
        "elasticity",
        "[PetrongoloPissarides2001]: surveys find 0.3 to 0.5",
        "Response of job finding to a metro's tightness.",
        ge=0,
        le=1,
    )
    initial_vacancy_rate: float = _p(
        0.053,
        "share of positions",
        "assumption: near the JOLTS job-openings rate, January 2024",
        "Positions open at the start.",
        ge=0,
        lt=1,
    )
    demand_speed: float = _p(
        0.03,
        "share of the gap per month",
        "assumption",
        "How fast a metro's positions follow its workers.",
        ge=0,
        le=1,
    )
    position_loss: float = _p(
        0.5,
        "probability",
        "assumption",
        "Chance that the position of a displaced worker is closed with them.",
        ge=0,
        le=1,
    )
    stage_multipliers: FourFactors = _p(
        (0.5, 1.0, 2.0, 3.0),
        "factor on the displacement hazard",
        "assumption",
        "By the employer's stage of adoption: none, pilot, scaling, mature.",
    )
    displacement_wage_loss: float = _p(
        0.10,
        "share of the wage",
        "assumption: at the low end of the literature [JacobsonLaLondeSullivan1993]",
        "Wage lost in the next job by a worker who was displaced.",
        ge=0,
        lt=1,
    )


class MovingParameters(Group):
    """What a change of metro costs and brings.

    The costs enter the variable ``moving_cost``: estimate the mobility model with the same ones.
    """

    cost_base: float = _p(
        5.0, "thousand dollars", "assumption: the brief's $5,000", "Cost of the nearest move.", ge=0
    )
    cost_distance: float = _p(
        6.0,
        "thousand dollars",
        "assumption: reaches the brief's $25,000 for an owner's family",
        "What distance adds at most, before the household's factor.",
        ge=0,
    )
    cost_distance_scale: float = _p(
        1200.0, "km", "assumption", "Distance that adds 63 % of what distance can add.", gt=0
    )
    household_factors: FourFactors = _p(
        (1.0, 1.3, 1.55, 1.8),
        "factor on the cost",
        "assumption",
        "By the size of the household: 1, 2, 3, 4 or more.",
    )
    owner_factor: float = _p(
        1.25, "factor on the cost", "assumption", "What owning a home multiplies the cost by.", ge=0
    )
    job_in_hand: float = _p(
        0.6,
        "probability",
        "assumption: near the CPS share of long moves made for a job",
        "Chance that an employed mover has arranged a job at the destination, if one is open.",
        ge=0,
        le=1,
    )


class HousingParameters(Group):
    """How house prices answer migration."""

    supply_elasticity: float = _p(
        1.75,
        "elasticity",
        "[Saiz2010]: mean over metros",
        "Supply elasticity of a metro with the median home value.",
        gt=0,
    )
    elasticity_gradient: float = _p(
        0.5,
        "elasticity",
        "assumption",
        "How supply elasticity falls with the relative home value (dear places build less).",
        ge=0,
    )
    elasticity_range: Range = _p(
        (0.6, 5.0), "elasticity", "[Saiz2010]: span over metros", "Bounds of the supply elasticity."
    )
    smallest_stock: float = _p(
        50.0,
        "workers",
        "assumption",
        "Migration rates are taken over at least so many workers, so that one synthetic household "
        "does not move a small market.",
        gt=0,
    )
    rent_yield: float = _p(
        0.05,
        "share of the home value per year",
        "assumption",
        "Turns home values into rents.",
        ge=0,
    )


class MoneyParameters(Group):
    """Households' accounts."""

    saving_rate: float = _p(
        0.045,
        "share of the wage",
        "assumption: near the BEA personal saving rate, 2023",
        "What the employed put by.",
        ge=0,
        le=1,
    )
    drawdown_rate: float = _p(
        0.40,
        "share of the last wage",
        "assumption",
        "What the unemployed take from their savings, while these last.",
        ge=0,
        le=1,
    )


class DemographyParameters(Group):
    """How the workers change."""

    ageing: bool = _p(
        False,
        "yes or no",
        "assumption: who retires is replaced by an entrant, so that the ages stay as they are",
        "Whether workers grow a year older every January.",
    )


class Parameters(Group):
    """What a scenario may override."""

    labour: LabourParameters = LabourParameters()
    moving: MovingParameters = MovingParameters()
    housing: HousingParameters = HousingParameters()
    money: MoneyParameters = MoneyParameters()
    demography: DemographyParameters = DemographyParameters()


INDUSTRIES = (
    "natural resources and construction",
    "manufacturing",
    "trade, transportation and utilities",
    "information",
    "financial activities",
    "professional and business services",
    "education and health services",
    "leisure and hospitality",
    "other services",
    "government",
)
"""The industries (NAICS supersectors), in the order of their codes from 0."""

_PERCENT = {
    "11": (7, 11, 15, 5, 12, 22, 14, 5, 4, 5),
    "13": (4, 8, 10, 4, 22, 28, 8, 2, 4, 10),
    "15": (1, 9, 8, 16, 13, 36, 7, 1, 2, 7),
    "17": (7, 33, 6, 4, 1, 36, 2, 0, 1, 10),
    "19": (4, 13, 1, 1, 1, 32, 25, 1, 2, 20),
    "21": (0, 0, 0, 0, 1, 2, 66, 0, 13, 18),
    "23": (0, 1, 1, 1, 6, 69, 2, 0, 2, 18),
    "25": (0, 0, 0, 1, 0, 2, 84, 2, 4, 7),
    "27": (1, 7, 9, 22, 2, 25, 14, 12, 4, 4),
    "29": (0, 1, 9, 0, 2, 5, 74, 0, 1, 8),
    "31": (0, 0, 1, 0, 0, 3, 91, 2, 1, 2),
    "33": (0, 1, 3, 0, 2, 25, 7, 6, 2, 54),
    "35": (0, 0, 6, 0, 0, 2, 10, 79, 2, 1),
    "37": (1, 3, 4, 0, 8, 44, 18, 11, 5, 6),
    "39": (0, 0, 4, 2, 2, 4, 34, 21, 28, 5),
    "41": (2, 6, 61, 4, 14, 7, 1, 3, 2, 0),
    "43": (4, 8, 20, 3, 16, 16, 19, 4, 3, 7),
    "45": (70, 6, 12, 0, 0, 6, 1, 1, 1, 3),
    "47": (80, 4, 4, 0, 1, 4, 1, 1, 0, 5),
    "49": (17, 15, 26, 5, 6, 7, 4, 4, 12, 4),
    "51": (4, 71, 10, 1, 0, 7, 1, 2, 3, 1),
    "53": (5, 11, 59, 1, 1, 11, 4, 3, 3, 2),
}
# fmt: off
_BACHELOR_BY_OCCUPATION = {
    "11": 0.58, "13": 0.64, "15": 0.68, "17": 0.66, "19": 0.83, "21": 0.71,
    "23": 0.81, "25": 0.73, "27": 0.60, "29": 0.66, "31": 0.18, "33": 0.36,
    "35": 0.13, "37": 0.09, "39": 0.23, "41": 0.38, "43": 0.28, "45": 0.09,
    "47": 0.09, "49": 0.10, "51": 0.12, "53": 0.13,
}
# fmt: on
_INDUSTRY_BY_OCCUPATION = {
    group: tuple(value / sum(row) for value in row) for group, row in _PERCENT.items()
}


class SynthesisParameters(Group):
    """How the population is made, besides the margins in ``data/``."""

    age_shares: Shares = _p(
        (0.13, 0.225, 0.22, 0.20, 0.17, 0.055),
        "share of workers",
        "assumption: near the CPS labour force by age, 2023",
        "Workers aged 18-24, 25-34, 35-44, 45-54, 55-64, 65-74.",
        min_length=6,
        max_length=6,
    )
    bachelor_by_occupation: dict[str, float] = _p(
        _BACHELOR_BY_OCCUPATION,
        "share with a bachelor's degree",
        "assumption: near the CPS; shifted to each metro's bachelor_share",
        "By SOC major group.",
    )
    graduate_share: float = _p(
        0.37,
        "share of bachelors",
        "assumption: near the CPS",
        "Bachelors with a graduate degree.",
        ge=0,
        le=1,
    )
    school_shares: ThreeShares = _p(
        (0.11, 0.47, 0.42),
        "share of those without a bachelor's degree",
        "assumption: near the CPS",
        "Less than high school, high school, some college.",
    )
    unemployment_rate: float = _p(
        0.037, "share of workers", "CPS, January 2024", "Unemployed at the start.", ge=0, lt=1
    )
    unemployment_by_education: FiveFactors = _p(
        (1.55, 1.08, 0.92, 0.61, 0.56),
        "relative risk",
        "assumption: near BLS rates by education, 2023",
        "Less than high school, high school, some college, bachelor's, graduate.",
    )
    wage_rank_by_education: float = _p(
        0.35,
        "correlation",
        "assumption",
        "Of schooling with the rank of the wage within metro and occupation.",
        ge=0,
        le=0.7,
    )
    wage_rank_by_age: float = _p(
        0.35,
        "correlation",
        "assumption",
        "Of the age profile (peak at 50) with the rank of the wage.",
        ge=0,
        le=0.7,
    )
    household_shares: Shares = _p(
        (0.19, 0.33, 0.19, 0.29),
        "share of workers",
        "assumption: near the ACS, persons in work",
        "Households of 1, 2, 3, 4 or more, before the effect of age.",
        min_length=4,
        max_length=4,
    )
    owner_age_slope: float = _p(
        0.06, "log odds per year", "assumption", "Of owning a home; levels off at 65.", ge=0
    )
    owner_wage_slope: float = _p(
        0.7, "log odds per log dollar", "assumption", "Of owning a home.", ge=0
    )
    owner_household_slope: float = _p(
        0.25, "log odds per person", "assumption", "Of owning a home.", ge=0
    )
    savings_share: float = _p(
        0.11,
        "years of wage",
        "assumption: near the SCF 2022, median transaction accounts",
        "Median liquid savings at age 40.",
        ge=0,
    )
    savings_age_slope: float = _p(
        0.02, "log points per year", "assumption", "How median savings grow with age."
    )
    savings_sigma: float = _p(
        1.5, "log points", "assumption", "Spread of savings given wage and age.", ge=0
    )
    industry_by_occupation: dict[str, tuple[float, ...]] = _p(
        _INDUSTRY_BY_OCCUPATION,
        "share of workers",
        "assumption: near the BLS industry-occupation matrix",
        "Of the industries in the order of INDUSTRIES, by SOC major group.",
    )
    firm_tail: float = _p(
        1.06, "Pareto exponent", "[Axtell2001]", "Tail of the firm-size distribution.", gt=0
    )
    large_firm: int = _p(250, "workers", "assumption", "Where a firm is large.", ge=1)
    adoption_shares: FourShares = _p(
        (0.90, 0.06, 0.03, 0.01),
        "share of firms",
        "assumption: near the Census Business Trends survey, early 2024",
        "None, pilot, scaling, mature, among firms that are not large.",
    )
    large_adoption_factor: float = _p(
        2.0, "factor", "assumption: the brief", "How much likelier a large firm has begun.", ge=0
    )


def parameter_table(*groups: BaseModel) -> pd.DataFrame:
    """Return every parameter as one row.

    Parameters
    ----------
    groups
        `Parameters` or `SynthesisParameters`; both, at their defaults, if none is given.

    Returns
    -------
    DataFrame
        Columns parameter (its key path in a scenario file), value, default, unit, source and
        description.
    """
    rows: list[dict[str, object]] = []
    for group in groups or (Parameters(), SynthesisParameters()):
        _collect(group, "", rows)
    return pd.DataFrame(rows)


def _collect(group: BaseModel, path: str, rows: list[dict[str, object]]) -> None:
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            _collect(value, f"{path}{name}.", rows)
            continue
        extra = field.json_schema_extra
        notes = extra if isinstance(extra, dict) else {}
        rows.append(
            {
                "parameter": f"{path}{name}",
                "value": value,
                "default": field.default,
                "unit": notes.get("unit"),
                "source": notes.get("source"),
                "description": field.description,
            }
        )
