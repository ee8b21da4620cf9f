"""Every number that the synthesis of a population assumes: name, unit, default, bounds, source.

A source of "assumption" means that nobody measured it: vary it before you believe a result.
"""

from microsim.finance_parameters import FinanceParameters
from microsim.firm_parameters import FirmParameters
from microsim.parameter_fields import FiveFactors, FourShares, Group, Shares, ThreeShares, parameter
from microsim.person_parameters import PersonParameters

__all__ = ["ADOPTION_STAGES", "EDUCATION_LEVELS", "INDUSTRIES", "SynthesisParameters"]

EDUCATION_LEVELS = ("less than high school", "high school", "some college", "bachelor", "graduate")
"""Levels of schooling, in the order of the codes 0 to 4."""

ADOPTION_STAGES = ("none", "pilot", "scaling", "mature")
"""Firms' stages of AI adoption, in the order of the codes 0 to 3."""

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

    people: PersonParameters = PersonParameters()
    finance: FinanceParameters = FinanceParameters()
    firm: FirmParameters = FirmParameters()

    age_shares: Shares = parameter(
        (0.13, 0.225, 0.22, 0.20, 0.17, 0.055),
        "share of workers",
        "assumption: near the CPS labour force by age, 2023",
        "Workers aged 18-24, 25-34, 35-44, 45-54, 55-64, 65-74.",
        min_length=6,
        max_length=6,
    )
    bachelor_by_occupation: dict[str, float] = parameter(
        _BACHELOR_BY_OCCUPATION,
        "share with a bachelor's degree",
        "assumption: near the CPS; shifted to each metro's bachelor_share",
        "By SOC major group.",
    )
    graduate_share: float = parameter(
        0.37,
        "share of bachelors",
        "assumption: near the CPS",
        "Bachelors with a graduate degree.",
        ge=0,
        le=1,
    )
    school_shares: ThreeShares = parameter(
        (0.11, 0.47, 0.42),
        "share of those without a bachelor's degree",
        "assumption: near the CPS",
        "Less than high school, high school, some college.",
    )
    unemployment_rate: float = parameter(
        0.037, "share of workers", "CPS, January 2024", "Unemployed at the start.", ge=0, lt=1
    )
    unemployment_by_education: FiveFactors = parameter(
        (1.55, 1.08, 0.92, 0.61, 0.56),
        "relative risk",
        "assumption: near BLS rates by education, 2023",
        "Less than high school, high school, some college, bachelor's, graduate.",
    )
    wage_rank_by_education: float = parameter(
        0.35,
        "correlation",
        "assumption",
        "Of schooling with the rank of the wage within metro and occupation.",
        ge=0,
        le=0.7,
    )
    wage_rank_by_age: float = parameter(
        0.35,
        "correlation",
        "assumption",
        "Of the age profile (peak at 50) with the rank of the wage.",
        ge=0,
        le=0.7,
    )
    household_shares: Shares = parameter(
        (0.19, 0.33, 0.19, 0.29),
        "share of workers",
        "assumption: near the ACS, persons in work",
        "Households of 1, 2, 3, 4 or more, before the effect of age.",
        min_length=4,
        max_length=4,
    )
    owner_age_slope: float = parameter(
        0.06, "log odds per year", "assumption", "Of owning a home; levels off at 65.", ge=0
    )
    owner_wage_slope: float = parameter(
        0.7, "log odds per log dollar", "assumption", "Of owning a home.", ge=0
    )
    owner_household_slope: float = parameter(
        0.25, "log odds per person", "assumption", "Of owning a home.", ge=0
    )
    savings_share: float = parameter(
        0.11,
        "years of wage",
        "assumption: near the SCF 2022, median transaction accounts",
        "Median liquid savings at age 40.",
        ge=0,
    )
    savings_age_slope: float = parameter(
        0.02, "log points per year", "assumption", "How median savings grow with age."
    )
    savings_sigma: float = parameter(
        1.5, "log points", "assumption", "Spread of savings given wage and age.", ge=0
    )
    industry_by_occupation: dict[str, tuple[float, ...]] = parameter(
        _INDUSTRY_BY_OCCUPATION,
        "share of workers",
        "assumption: near the BLS industry-occupation matrix",
        "Of the industries in the order of INDUSTRIES, by SOC major group.",
    )
    firm_tail: float = parameter(
        1.06, "Pareto exponent", "[Axtell2001]", "Tail of the firm-size distribution.", gt=0
    )
    large_firm: int = parameter(250, "workers", "assumption", "Where a firm is large.", ge=1)
    adoption_shares: FourShares = parameter(
        (0.90, 0.06, 0.03, 0.01),
        "share of firms",
        "assumption: near the Census Business Trends survey, early 2024",
        "None, pilot, scaling, mature, among firms that are not large.",
    )
    large_adoption_factor: float = parameter(
        2.0, "factor", "assumption: the brief", "How much likelier a large firm has begun.", ge=0
    )
