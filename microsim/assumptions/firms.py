"""What the synthesis assumes of firms beside their sizes: ages, policies, growth and plans."""

from microsim.assumptions.fields import FourFactors, Group, ThreeFactors, ThreeShares, parameter

__all__ = ["REMOTE_POLICIES", "SIZE_CLASSES", "SIZE_STARTS", "FirmParameters"]

REMOTE_POLICIES = ("on site", "hybrid", "remote")
"""Firms' policies of remote work, in the order of the codes 0 to 2."""

SIZE_CLASSES = ("1-4", "5-9", "10-19", "20-99", "100-499", "500 or more")
"""Firms' sizes in workers, the classes of the Statistics of U.S. Businesses, codes 0 to 5."""

SIZE_STARTS = (1, 5, 10, 20, 100, 500)
"""Where the classes of size begin."""

_REMOTE_BY_INDUSTRY = {
    "natural resources and construction": (0.880, 0.072, 0.048),
    "manufacturing": (0.780, 0.131, 0.089),
    "trade, transportation and utilities": (0.820, 0.107, 0.073),
    "information": (0.326, 0.402, 0.272),
    "financial activities": (0.620, 0.227, 0.153),
    "professional and business services": (0.510, 0.292, 0.198),
    "education and health services": (0.760, 0.143, 0.097),
    "leisure and hospitality": (0.940, 0.036, 0.024),
    "other services": (0.820, 0.107, 0.073),
    "government": (0.700, 0.270, 0.030),
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
        10.0,
        "years",
        "[BLSWages2008]: about half of all firms were at least 10 years old in 2007",
        "Median age of firms.",
        gt=0,
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
        "[BLSTelework2023]: on site in information and in professional services, establishments, "
        "2022; assumption: the others below these, hybrid to remote as 164 to 111 in all",
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
