"""What the synthesis assumes of firms beside their sizes: ages, policies, growth and plans."""

from microsim.parameter_fields import FourFactors, Group, ThreeFactors, ThreeShares, parameter

__all__ = ["REMOTE_POLICIES", "FirmParameters"]

REMOTE_POLICIES = ("on site", "hybrid", "remote")
"""Firms' policies of remote work, in the order of the codes 0 to 2."""

_REMOTE_BY_INDUSTRY = {
    "natural resources and construction": (0.92, 0.07, 0.01),
    "manufacturing": (0.85, 0.13, 0.02),
    "trade, transportation and utilities": (0.88, 0.10, 0.02),
    "information": (0.40, 0.38, 0.22),
    "financial activities": (0.50, 0.38, 0.12),
    "professional and business services": (0.48, 0.36, 0.16),
    "education and health services": (0.80, 0.17, 0.03),
    "leisure and hospitality": (0.97, 0.02, 0.01),
    "other services": (0.86, 0.11, 0.03),
    "government": (0.70, 0.27, 0.03),
}
_LABOUR_BY_INDUSTRY = {
    "natural resources and construction": 0.22,
    "manufacturing": 0.13,
    "trade, transportation and utilities": 0.10,
    "information": 0.22,
    "financial activities": 0.16,
    "professional and business services": 0.42,
    "education and health services": 0.42,
    "leisure and hospitality": 0.31,
    "other services": 0.32,
    "government": 0.45,
}


class FirmParameters(Group):
    """Firms' attributes, each given industry, size, age and stage of adoption."""

    age_median: float = parameter(
        10.0, "years", "assumption: near the BDS, 2021", "Median age of firms.", gt=0
    )
    age_shape: float = parameter(
        0.9, "Weibull shape", "assumption", "Below 1: the chance of closing falls with age.", gt=0
    )
    age_size_correlation: float = parameter(
        0.4,
        "correlation",
        "assumption",
        "Of normal scores, age with size.",
        ge=-0.95,
        le=0.95,
    )
    oldest: int = parameter(150, "years", "assumption", "Age beyond which none is drawn.", ge=1)
    remote_by_industry: dict[str, ThreeShares] = parameter(
        _REMOTE_BY_INDUSTRY,
        "share of firms",
        "assumption: order as in the Business Response Survey, 2022",
        "In the order of REMOTE_POLICIES, by industry.",
    )
    remote_large: ThreeFactors = parameter(
        (1.0, 2.0, 1.0),
        "relative odds",
        "assumption",
        "Of the policies in large firms, against the others.",
    )
    growth_mean: float = parameter(
        0.03, "log points per year", "assumption", "Mean growth of revenue."
    )
    growth_sigma: float = parameter(
        0.12, "log points per year", "assumption", "Spread of growth among old firms.", ge=0
    )
    growth_young_sigma: float = parameter(
        0.25, "log points per year", "assumption", "Spread of growth among new firms.", ge=0
    )
    growth_settling: float = parameter(
        5.0, "years", "assumption", "How fast a firm's spread settles to that of old ones.", gt=0
    )
    labour_by_industry: dict[str, float] = parameter(
        _LABOUR_BY_INDUSTRY,
        "share of revenue",
        "assumption: near payroll over receipts, Economic Census 2017",
        "Mean labour intensity by industry, between 0 and 1.",
    )
    labour_stage_slope: float = parameter(
        -0.1, "log odds per stage", "assumption", "Of labour intensity, with AI adoption."
    )
    labour_sigma: float = parameter(
        0.5, "log odds", "assumption", "Spread of labour intensity.", ge=0
    )
    footprint_elasticity: float = parameter(
        0.4, "elasticity", "assumption", "Of the metros served beyond the own, to size.", ge=0
    )
    footprint_scale: float = parameter(
        0.3, "metros", "assumption", "Mean of metros served beyond the own by a firm of one.", ge=0
    )
    automation_by_stage: FourFactors = parameter(
        (0.0, 0.005, 0.015, 0.03),
        "share of revenue per year",
        "assumption",
        "Median investment in automation by stage of adoption.",
    )
    automation_sigma: float = parameter(
        0.6, "log points", "assumption", "Spread of investment given the stage.", ge=0
    )
    layoff_mean: float = parameter(
        0.02, "share of staff per year", "assumption", "Latent layoffs of a firm that stands still."
    )
    layoff_slope: float = parameter(
        0.5, "share of staff per log point", "assumption", "Latent layoffs with falling revenue."
    )
    layoff_sigma: float = parameter(
        0.04, "share of staff per year", "assumption", "Spread of latent layoffs.", ge=0
    )
    hiring_slope: float = parameter(
        0.6, "log points per log point", "assumption", "Of planned staff, with revenue growth."
    )
    hiring_stage_slope: float = parameter(
        -0.01, "log points per stage", "assumption", "Of planned staff, with AI adoption."
    )
    hiring_sigma: float = parameter(
        0.05, "log points", "assumption", "Spread of plans given growth and stage.", ge=0
    )
