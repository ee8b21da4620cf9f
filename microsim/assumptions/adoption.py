"""What is assumed of the adoption of AI by firms."""

from microsim.assumptions.fields import Group, parameter

__all__ = ["AdoptionParameters"]


class AdoptionParameters(Group):
    """How firms take AI up; it takes a shock of that kind to set them off."""

    pilot_intensity: float = parameter(
        0.0003,
        "per month",
        "[MinneapolisFed2026]: about 10 % of firms use AI in late 2025, of 5.4 % in February 2024 "
        "[BonneyBreaux2024], given the contagion",
        "Intensity of a small firm's first pilot where nobody has adopted.",
        ge=0,
    )
    scaling_intensity: float = parameter(
        0.005, "per month", "assumption", "Intensity of scaling up a pilot, likewise.", ge=0
    )
    mature_intensity: float = parameter(
        0.0035, "per month", "assumption", "Intensity of maturing, likewise.", ge=0
    )
    slow_factor: float = parameter(
        0.5, "factor", "assumption", "On all intensities in the slow trajectory.", ge=0
    )
    fast_factor: float = parameter(
        2.0, "factor", "assumption", "On all intensities in the fast trajectory.", ge=0
    )
    large_factor: float = parameter(
        2.0, "factor", "assumption: twice as likely", "On the intensities of large firms.", ge=0
    )
    industry_contagion: float = parameter(
        14.0,
        "per share of adopters",
        "assumption: a sixth of all contagion",
        "What a whole industry of adopters adds to an intensity, relative to nobody.",
        ge=0,
    )
    regional_contagion: float = parameter(
        70.0,
        "per share of adopters",
        "assumption: with that of the industry an imitation of 0.3 a year, the low end of what "
        "is usual for innovations [MahajanMullerBass1995]",
        "What a whole region of adopters adds to an intensity, relative to nobody.",
        ge=0,
    )
    regional_scale: float = parameter(
        150.0, "km", "assumption", "Distance over which a metro's weight falls to 37 %.", gt=0
    )
