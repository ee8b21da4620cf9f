"""Every number that the synthesis of a population assumes: name, unit, default, bounds, source.

A source of "assumption" means that nobody measured it: vary it before you believe a result.
"""

from microsim.assumptions.fields import (
    FiveFactors,
    FourShares,
    Group,
    Share,
    Shares,
    ThreeShares,
    parameter,
)
from microsim.assumptions.finance import FinanceParameters
from microsim.assumptions.firms import FirmParameters
from microsim.assumptions.persons import PersonParameters

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

# fmt: off
_BACHELOR_BY_OCCUPATION = {
    "11": 0.58, "13": 0.64, "15": 0.68, "17": 0.66, "19": 0.83, "21": 0.71,
    "23": 0.81, "25": 0.73, "27": 0.60, "29": 0.66, "31": 0.18, "33": 0.36,
    "35": 0.13, "37": 0.09, "39": 0.23, "41": 0.38, "43": 0.28, "45": 0.09,
    "47": 0.09, "49": 0.10, "51": 0.12, "53": 0.13,
}
# fmt: on
_ADOPTION_BY_INDUSTRY = {
    "natural resources and construction": 0.014,
    "manufacturing": 0.04,
    "trade, transportation and utilities": 0.03,
    "information": 0.181,
    "financial activities": 0.06,
    "professional and business services": 0.09,
    "education and health services": 0.06,
    "leisure and hospitality": 0.02,
    "other services": 0.03,
    "government": 0.054,
}


class SynthesisParameters(Group):
    """How the population is made, besides the margins in ``data/``."""

    people: PersonParameters = PersonParameters()
    finance: FinanceParameters = FinanceParameters()
    firm: FirmParameters = FirmParameters()

    age_shares: Shares = parameter(
        (0.116, 0.2255, 0.2222, 0.2022, 0.1664, 0.0677),
        "share of workers",
        "[BLSAges2023]: CPS, second quarter of 2023, table E-15, the employed from 18",
        "Workers aged 18-24, 25-34, 35-44, 45-54, 55-64, 65-74; these stand for all older ones.",
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
        (0.114, 0.442, 0.444),
        "share of those without a bachelor's degree",
        "[BLSSituation2025]: January 2024, table A-4, the labour force from 25",
        "Less than high school, high school, some college.",
    )
    unemployment_rate: float = parameter(
        0.037,
        "share of workers",
        "[BLSSituation2024]: January 2024",
        "Unemployed at the start.",
        ge=0,
        lt=1,
    )
    unemployment_by_education: FiveFactors = parameter(
        (6.1, 4.1, 3.0, 2.1, 2.1),
        "relative risk",
        "[BLSReview2024]: percent unemployed from 25, fourth quarter of 2023; bachelors and "
        "graduates in one",
        "Less than high school, high school, some college, bachelor's, graduate; their "
        "proportions count.",
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
        "Households of 1, 2, 3, 4 or more.",
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
        0.114,
        "years of wage",
        "[AladangadyBricker2023]: median transaction accounts, $8,000, over median family income, "
        "$70,260; assumption: so in the ratio",
        "Median liquid savings at age 40.",
        ge=0,
    )
    savings_age_slope: float = parameter(
        0.02, "log points per year", "assumption", "How median savings grow with age."
    )
    savings_sigma: float = parameter(
        1.5, "log points", "assumption", "Spread of savings given wage and age.", ge=0
    )
    firm_tail: float = parameter(
        1.06, "Pareto exponent", "[Axtell2001]", "Tail of the firm-size distribution.", gt=0
    )
    large_firm: int = parameter(250, "workers", "assumption", "Where a firm is large.", ge=1)
    adoption_shares: FourShares = parameter(
        (0.946, 0.0324, 0.0162, 0.0054),
        "share of firms",
        "[BonneyBreaux2024]: 5.4 % use AI, February 2024; assumption: how these divide",
        "None, pilot, scaling, mature, among firms that are not large.",
    )
    large_adoption_factor: float = parameter(
        2.0,
        "factor",
        "assumption: twice as likely",
        "How much likelier a large firm has begun.",
        ge=0,
    )
    adoption_by_industry: dict[str, Share] = parameter(
        _ADOPTION_BY_INDUSTRY,
        "share of firms",
        "[BonneyBreaux2024]: information and construction, February 2024; assumption: the others "
        "between these",
        "That use AI; only the odds against each other count.",
    )
    adoption_state_spread: float = parameter(
        1.24,
        "exponent",
        "data/ai_use.csv, drawn apart until its ends differ as the lowest and the highest state "
        "did in February 2024, 1.7 and 7.4 % [BonneyBreaux2024]",
        "On the odds of data/ai_use.csv, the states' use of AI; with 0 all states are alike.",
        ge=0,
    )
