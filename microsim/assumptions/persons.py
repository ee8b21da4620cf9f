"""What the synthesis assumes of persons beside their work: shares, slopes and spreads.

Figures with a source in brackets are those published there. Shares "near" a survey are rounded by
hand, and nobody fitted them here.
"""

from microsim.assumptions.fields import FiveShares, FourShares, Group, SixFactors, parameter

__all__ = ["MARITAL_STATUSES", "RACES", "RINGS", "SEXES", "PersonParameters"]

SEXES = ("male", "female")
"""In the order of the codes 0 and 1."""

RACES = ("White", "Black", "Asian", "Hispanic", "other")
"""Race and ethnicity, in the order of the codes 0 to 4; Hispanic of any race."""

MARITAL_STATUSES = ("never married", "married", "divorced or separated", "widowed")
"""In the order of the codes 0 to 3."""

RINGS = ("city", "suburb")
"""Where in the metro a worker lives, in the order of the codes 0 and 1."""

# fmt: off
_FEMALE_BY_OCCUPATION = {
    "11": 0.405, "13": 0.545, "15": 0.267, "17": 0.161, "19": 0.482, "21": 0.672,
    "23": 0.526, "25": 0.733, "27": 0.488, "29": 0.757, "31": 0.846, "33": 0.232,
    "35": 0.533, "37": 0.420, "39": 0.771, "41": 0.494, "43": 0.719, "45": 0.262,
    "47": 0.042, "49": 0.042, "51": 0.298, "53": 0.218,
}
# fmt: on
_MARITAL_BY_AGE = (
    (0.930, 0.058, 0.011, 0.001),
    (0.570, 0.370, 0.058, 0.002),
    (0.290, 0.580, 0.125, 0.005),
    (0.180, 0.630, 0.178, 0.012),
    (0.130, 0.640, 0.200, 0.030),
    (0.090, 0.660, 0.190, 0.060),
)


class PersonParameters(Group):
    """Sex, race, family, home and tastes, each given what was drawn before."""

    female_by_occupation: dict[str, float] = parameter(
        _FEMALE_BY_OCCUPATION,
        "share of workers",
        "[BLSOccupations2023]: CPS annual averages 2022, table 11, the employed",
        "Women, by SOC major group.",
    )
    female_wage_slope: float = parameter(
        -0.45,
        "log odds per normal score",
        "assumption",
        "Of being a woman, against the rank of the wage within the occupation.",
    )
    race_by_education: tuple[FiveShares, FiveShares, FiveShares, FiveShares, FiveShares] = (
        parameter(
            (
                (0.25, 0.12, 0.05, 0.54, 0.04),
                (0.54, 0.15, 0.04, 0.23, 0.04),
                (0.60, 0.14, 0.04, 0.17, 0.05),
                (0.68, 0.09, 0.09, 0.10, 0.04),
                (0.67, 0.09, 0.13, 0.08, 0.03),
            ),
            "relative odds",
            "assumption: near the CPS, 2023",
            "In the order of RACES, by schooling; balanced to each metro's shares.",
        )
    )
    marital_by_age: tuple[
        FourShares, FourShares, FourShares, FourShares, FourShares, FourShares
    ] = parameter(
        _MARITAL_BY_AGE,
        "share of workers",
        "assumption: near the ACS, 2022",
        "In the order of MARITAL_STATUSES, by the age brackets of age_shares.",
    )
    married_alone: float = parameter(
        0.04,
        "odds ratio",
        "assumption",
        "Of being married in a household of one, against a larger one.",
        gt=0,
    )
    tenure_medians: SixFactors = parameter(
        (1.2, 2.7, 4.6, 7.0, 9.6, 9.8),
        "years",
        "[BLSTenure2024]: January 2024, ages 25-34 and 55-64; assumption: the others near it",
        "Median time with the employer, by the age brackets of age_shares.",
    )
    tenure_shape: float = parameter(
        0.8, "Weibull shape", "assumption", "Below 1: more newcomers and more veterans.", gt=0
    )
    tenure_wage_correlation: float = parameter(
        0.2,
        "correlation",
        "assumption",
        "Of normal scores, tenure with the wage within the age bracket.",
        ge=-0.95,
        le=0.95,
    )
    city_share: float = parameter(
        0.33, "share of workers", "assumption", "Living in a central city.", gt=0, lt=1
    )
    city_owner_slope: float = parameter(
        -0.9, "log odds", "assumption", "Of living in the city, for owners."
    )
    city_household_slope: float = parameter(
        -0.15, "log odds per person", "assumption", "Of living in the city."
    )
    city_age_slope: float = parameter(
        -0.01, "log odds per year", "assumption", "Of living in the city."
    )
    commute_speed: float = parameter(
        0.45,
        "miles per minute",
        "assumption: near the NHTS 2017, 12 miles in 27 minutes",
        "Turns each metro's mean_commute_minutes into its mean distance.",
        gt=0,
    )
    commute_sigma: float = parameter(
        0.8, "log points", "assumption", "Spread of distances to work.", ge=0
    )
    commute_suburb: float = parameter(
        0.35, "log points", "assumption", "How much farther to work it is from the suburbs."
    )
    network_mean: float = parameter(
        0.5, "strength, 0 to 1", "assumption", "Mean strength of local networks.", gt=0, lt=1
    )
    network_tenure_slope: float = parameter(
        0.35, "log odds per log year", "assumption", "Of network strength, with tenure."
    )
    network_owner_slope: float = parameter(
        0.4, "log odds", "assumption", "Of network strength, for owners."
    )
    network_family_slope: float = parameter(
        0.5, "log odds", "assumption", "Of network strength, where the family lives near."
    )
    network_sigma: float = parameter(
        0.8, "log odds", "assumption", "Spread of network strength.", ge=0
    )
    benefit_least_tenure: float = parameter(
        0.5, "years", "assumption: two quarters of a base period", "To qualify for benefits.", ge=0
    )
    benefit_least_wage: float = parameter(
        6000.0,
        "dollars a year",
        "assumption: near the median state's base-period earnings",
        "To qualify for benefits.",
        ge=0,
    )
    benefit_unemployed_share: float = parameter(
        0.472,
        "share of the unemployed",
        "[BLSReasons2024]: job losers and ended temporary jobs, CPS annual averages 2023, table "
        "29; assumption: these qualify",
        "Who qualify for benefits at the start.",
        ge=0,
        le=1,
    )
    climate_sorting: float = parameter(
        0.25,
        "correlation",
        "assumption",
        "Of the taste for warmth with how far south the worker lives.",
        ge=-0.95,
        le=0.95,
    )
    urban_sorting: float = parameter(
        0.4,
        "correlation",
        "assumption",
        "Of the taste for city life with living in the city.",
        ge=-0.95,
        le=0.95,
    )
    near_family_share: float = parameter(
        0.6,
        "share of workers",
        "assumption",
        "Whose family lives in their own metro.",
        gt=0,
        lt=1,
    )
    near_family_college_slope: float = parameter(
        -0.7, "log odds", "assumption", "Of living near the family, with a college degree."
    )
    family_distance_elasticity: float = parameter(
        1.0,
        "elasticity",
        "assumption: a gravity law",
        "How fast the odds of a family's metro fall with its distance.",
        ge=0,
    )
    family_weight_mean: float = parameter(
        0.4,
        "weight, 0 to 1",
        "assumption",
        "Mean weight put on living near the family.",
        gt=0,
        lt=1,
    )
    family_weight_household: float = parameter(
        0.2, "log odds per person", "assumption", "Of the weight, with the household's size."
    )
    family_weight_near: float = parameter(
        0.6, "log odds", "assumption", "Of the weight, for those who live near."
    )
    family_weight_sigma: float = parameter(
        1.0, "log odds", "assumption", "Spread of the weight.", ge=0
    )
