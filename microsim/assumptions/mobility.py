"""What the months assume of remote work, ties to a place, and moves within a metro."""

from microsim.assumptions.fields import Group, Share, SixFactors, parameter

__all__ = ["LocalMoveParameters", "RemoteParameters", "TieParameters"]

# fmt: off
_TELEWORK = {
    "11": 0.87, "13": 0.88, "15": 1.00, "17": 0.61, "19": 0.54, "21": 0.37,
    "23": 0.97, "25": 0.98, "27": 0.76, "29": 0.05, "31": 0.02, "33": 0.06,
    "35": 0.00, "37": 0.00, "39": 0.26, "41": 0.28, "43": 0.65, "45": 0.01,
    "47": 0.00, "49": 0.01, "51": 0.01, "53": 0.03,
}
# fmt: on


class RemoteParameters(Group):
    """Who can work from anywhere, and what that means for moving."""

    active: bool = parameter(
        True,
        "yes or no",
        "assumption: what a remote policy means",
        "Whether remote workers keep job and wage when they move; without it nobody is remote.",
    )
    telework_by_occupation: dict[str, Share] = parameter(
        _TELEWORK,
        "share of jobs",
        "[DingelNeiman2020]: jobs that can be done entirely at home",
        "By SOC major group.",
    )


class TieParameters(Group):
    """How ties to a place are lost by moving, and grow again."""

    active: bool = parameter(
        True, "yes or no", "assumption: ties are local", "Whether the strength of networks changes."
    )
    kept: float = parameter(
        0.2,
        "share of the own level",
        "assumption",
        "Strength on arriving in another metro.",
        ge=0,
        le=1,
    )
    kept_family: float = parameter(
        0.7,
        "share of the own level",
        "assumption",
        "The same where the family lives.",
        ge=0,
        le=1,
    )
    formation: float = parameter(
        0.03,
        "share of the gap per month",
        "assumption: half of the gap closes within two years",
        "How fast ties grow toward the worker's own level.",
        ge=0,
        le=1,
    )


class LocalMoveParameters(Group):
    """Moves that stay within the metro."""

    active: bool = parameter(
        True, "yes or no", "assumption: most moves are local", "Whether people move within metros."
    )
    renter_rate: float = parameter(
        0.152,
        "probability per year",
        "assumption: calibrated to 23 % of moves above 50 miles, as docs/calibration.md shows; "
        "near the CPS ASEC 2022, renters who moved within a county",
        "Chance that a renter of median age moves within the metro.",
        ge=0,
        lt=1,
    )
    owner_rate: float = parameter(
        0.05,
        "probability per year",
        "assumption: near the CPS ASEC 2022, owners who moved within a county",
        "Chance that an owner of median age moves within the metro.",
        ge=0,
        lt=1,
    )
    age_factors: SixFactors = parameter(
        (1.9, 1.8, 1.1, 0.75, 0.55, 0.45),
        "factor on the intensity of moving",
        "assumption: near the CPS ASEC 2022, movers by age",
        "By the age brackets of age_shares.",
    )
    median_miles: float = parameter(
        5.2,
        "miles",
        "assumption: puts 37 of 77 local moves under 5 miles",
        "Median distance of a local move, before the longest are ruled out.",
        gt=0,
    )
    miles_sigma: float = parameter(
        1.0, "log points", "assumption", "Spread of the distances of local moves.", gt=0
    )
    longest_miles: float = parameter(
        50.0, "miles", "assumption: across a metro", "Beyond it a local move does not go.", gt=0
    )
    ring_miles: float = parameter(
        5.0, "miles", "assumption", "From which distance on a move may change the ring.", ge=0
    )
    to_suburb: float = parameter(
        0.4,
        "probability",
        "assumption: as many leave the city as come, at a city share of a third",
        "Chance that such a move takes a city dweller to the suburbs.",
        ge=0,
        le=1,
    )
    to_city: float = parameter(
        0.2,
        "probability",
        "assumption",
        "Chance that it takes a suburbanite to the city.",
        ge=0,
        le=1,
    )
    cost: float = parameter(
        1.2,
        "thousand dollars",
        "assumption",
        "Cost before moving_scale; paid as far as savings reach.",
        ge=0,
    )
