"""Every number that governments' rules assume, by state where these differ."""

from typing import Annotated

from pydantic import AfterValidator, Field

from microsim.parameter_fields import Group, parameter

__all__ = ["InsuranceParameters", "InsuranceRule"]

_STATES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV "
    "NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
)


def _postal(code: str) -> str:
    if code not in _STATES.split():
        raise ValueError(
            f"'{code}' is no state; give its postal code in capitals, such as 'TX', in quotes "
            "where YAML would read it as yes or no"
        )
    return code


StateCode = Annotated[str, AfterValidator(_postal)]
"""A state's postal code."""


class InsuranceRule(Group):
    """What a state does otherwise than the nation's default; what is left out is as there.

    Attributes
    ----------
    replacement_rate, maximum_weekly, duration
        As in `InsuranceParameters`.
    """

    replacement_rate: float | None = Field(default=None, ge=0, le=1)
    maximum_weekly: float | None = Field(default=None, ge=0)
    duration: int | None = Field(default=None, ge=0)


class InsuranceParameters(Group):
    """Unemployment insurance, paid by the states."""

    active: bool = parameter(
        False,
        "yes or no",
        "assumption: off, so that drawdown_rate alone says how the unemployed live",
        "Whether benefits are paid.",
    )
    replacement_rate: float = parameter(
        0.50,
        "share of the last wage",
        "assumption: the formula of most states, before the maximum",
        "Benefit where the maximum does not bind.",
        ge=0,
        le=1,
    )
    maximum_weekly: float = parameter(
        550.0,
        "dollars per week",
        "assumption: amid the states' maxima, from about $235 to more than $1,000",
        "Most that is paid.",
        ge=0,
    )
    duration: int = parameter(
        6, "months", "assumption: 26 weeks, as in most states", "How long benefits last.", ge=0
    )
    claim_share: float = parameter(
        0.75,
        "probability",
        "assumption",
        "That a worker who loses a job is covered and claims.",
        ge=0,
        le=1,
    )
    states: dict[StateCode, InsuranceRule] = parameter(
        {},
        "rules by postal code",
        "assumption: none differs",
        "What states do otherwise; a metro in several states has the first one's rules.",
    )

    def by_state(self, name: str, states: list[str]) -> list[float]:
        """Return a rule's number for each of ``states``, the default where it has none."""
        default = getattr(self, name)
        own = [getattr(self.states.get(state), name, None) for state in states]
        return [default if value is None else value for value in own]
