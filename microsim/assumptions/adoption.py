"""What is assumed of the adoption of AI by firms."""

from microsim.assumptions.fields import Group, parameter

__all__ = ["AdoptionParameters"]


class AdoptionParameters(Group):
    """How firms take AI up; it takes a shock of that kind to set them off."""

    pilot_intensity: float = parameter(
        0.002,
        "per month",
        "assumption: with contagion some 4 % of firms a year at first, as users of AI rose from "
        "3.7 to 5.4 % in the five months to February 2024 [BonneyBreaux2024]",
        "Intensity of a small firm's first pilot where nobody has adopted.",
        ge=0,
    )
    scaling_intensity: float = parameter(
        0.03, "per month", "assumption", "Intensity of scaling up a pilot, likewise.", ge=0
    )
    mature_intensity: float = parameter(
        0.02, "per month", "assumption", "Intensity of maturing, likewise.", ge=0
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
        3.0,
        "per share of adopters",
        "assumption",
        "What a whole industry of adopters adds to an intensity, relative to nobody.",
        ge=0,
    )
    regional_contagion: float = parameter(
        3.0,
        "per share of adopters",
        "assumption",
        "What a whole region of adopters adds to an intensity, relative to nobody.",
        ge=0,
    )
    regional_scale: float = parameter(
        150.0, "km", "assumption", "Distance over which a metro's weight falls to 37 %.", gt=0
    )
