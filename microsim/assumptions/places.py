"""Every number that the months assume of places: their dwellings, wages and jobs."""

from microsim.assumptions.fields import Group, Range, parameter

__all__ = ["HousingParameters", "LocalEconomyParameters"]


class HousingParameters(Group):
    """How dwellings, prices and rents answer those who come and go."""

    active: bool = parameter(
        True,
        "yes or no",
        "assumption: on; off, dwellings, prices and rents stay as they are",
        "Whether the housing markets move.",
    )
    supply_elasticity: float = parameter(
        1.75,
        "elasticity",
        "[Saiz2010]: mean over metros",
        "Supply elasticity of a metro with the median home value.",
        gt=0,
    )
    elasticity_gradient: float = parameter(
        0.5,
        "elasticity",
        "assumption",
        "How supply elasticity falls with the relative home value (dear places build less).",
        ge=0,
    )
    elasticity_range: Range = parameter(
        (0.6, 5.0), "elasticity", "[Saiz2010]: span over metros", "Bounds of the supply elasticity."
    )
    demand_elasticity: float = parameter(
        0.7,
        "elasticity",
        "assumption: amid the estimates surveyed by [AlbouyEhrlichLiu2016]",
        "By how much the demand for dwellings falls with their price.",
        ge=0.05,
    )
    price_speed: float = parameter(
        0.10,
        "share of the gap per month",
        "assumption: sales prices catch up within about a year [CaseShiller1989]",
        "How fast prices follow the market.",
        ge=0,
        le=1,
    )
    lease_turnover: float = parameter(
        1.0 / 12.0,
        "share of the leases per month",
        "assumption: leases of a year",
        "How fast mean rents follow the market.",
        ge=0,
        le=1,
    )
    building_speed: float = parameter(
        0.04,
        "share of the gap per month",
        "assumption: within the half to one year of half-lives in [DiPasqualeWheaton1994]",
        "Share of the dwellings that are wanted and neither stand nor are under way, for which "
        "permits are taken out in a month.",
        ge=0,
        le=1,
    )
    building_months: float = parameter(
        12.0,
        "months",
        "assumption: amid one-family houses and apartments in the Census Survey of Construction",
        "Mean time from permit to completion.",
        ge=1,
    )
    loss_rate: float = parameter(
        0.0025,
        "share of the dwellings per year",
        "assumption: near losses in the Components of Inventory Change, 2015-2017",
        "Dwellings lost to demolition, disaster and other uses.",
        ge=0,
        lt=1,
    )
    smallest_stock: float = parameter(
        50.0,
        "workers",
        "assumption",
        "Changes of demand are taken over at least so many households, so that one synthetic "
        "household does not move a small market.",
        gt=0,
    )


class LocalEconomyParameters(Group):
    """How wages and jobs of a metro answer each other."""

    active: bool = parameter(
        True,
        "yes or no",
        "assumption: on; off, wages change with the job and the metro alone",
        "Whether wages move with the metro.",
    )
    wage_trend: float = parameter(
        0.01,
        "share per year",
        "assumption: near the growth of real compensation per hour, 2010-2019",
        "Growth of all wages, in dollars of the base year.",
        gt=-1,
        le=1,
    )
    agglomeration: float = parameter(
        0.04,
        "elasticity",
        "[CombesGobillon2015]: 0.02 to 0.05 for density",
        "Response of wages to the metro's employment.",
        ge=0,
        le=0.5,
    )
    congestion: float = parameter(
        0.01,
        "elasticity",
        "assumption: a part of the urban costs in [CombesDurantonGobillon2019]",
        "Loss of output, and so of wages, by the number of workers who live in the metro.",
        ge=0,
        le=0.5,
    )
    commute_elasticity: float = parameter(
        0.10,
        "elasticity",
        "assumption: roads are widened, but not as fast as cities grow [DurantonTurner2011]",
        "Response of the time to work to the number of workers who live in the metro.",
        ge=0,
        le=1,
    )
    wage_curve: float = parameter(
        -0.10,
        "elasticity",
        "[BlanchflowerOswald1994]",
        "Response of wages to the metro's unemployment rate.",
        ge=-1,
        le=0,
    )
    wage_speed: float = parameter(
        0.05,
        "share of the gap per month",
        "assumption: pay is set about once a year",
        "How fast wages follow employment and unemployment.",
        ge=0,
        le=1,
    )
    smallest_market: float = parameter(
        500.0,
        "workers",
        "assumption",
        "Changes of employment and unemployment are damped as if so many workers lived as before, "
        "so that the luck of a few does not move the wages of a small metro.",
        gt=0,
    )
    local_multiplier: float = parameter(
        0.5,
        "jobs per job",
        "assumption: below the 1.6 of [Moretti2010], as later estimates are [BartikSotherland2019]",
        "Jobs of the other industries that a job in a traded industry creates in the metro.",
        ge=0,
        le=3,
    )
