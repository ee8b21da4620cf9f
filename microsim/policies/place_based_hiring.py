"""A subsidy to employers in a metro for each eligible resident they hire."""

from typing import Literal

from pydantic import Field

from microsim.policies.place_programme import PlaceProgramme

__all__ = ["PlaceBasedHiring"]


class PlaceBasedHiring(PlaceProgramme):
    """Dollars paid to the firm for an eligible resident whom it hires out of unemployment.

    Programmes of this kind often find little employment beyond what they pay for
    ([NeumarkSimpson2015]_): vary ``response``.

    Attributes
    ----------
    amount
        Dollars for a hire.
    response
        Elasticity of the metro's positions to the wage cost: a subsidy of 1 % of a year's mean
        wage for all hires opens ``response`` % more positions. By default the middle of what
        [Hamermesh1993]_ surveys for labour demand with output held constant.
    """

    kind: Literal["place_based_hiring"]
    name: str = "place_based_hiring"
    response: float = Field(default=0.30, ge=0, le=2)
