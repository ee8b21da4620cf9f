"""Every number that governments' rules assume, by state where these differ."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from microsim.parameter_fields import Group, parameter

__all__ = ["LEVELS", "InsuranceParameters", "InsuranceRule", "Level", "TaxParameters", "TaxRule"]

Level = Literal["federal", "state", "local"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The levels of government, in the order of their accounts."""

_STATES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV "
    "NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
)

_UNTAXED = ("AK", "FL", "NH", "NV", "SD", "TN", "TX", "WA", "WY")


def _postal(code: str) -> str:
    if code not in _STATES.split():
        raise ValueError(
            f"'{code}' is no state; give its postal code in capitals, such as 'TX', in quotes "
            "where YAML would read it as yes or no"
        )
    return code


StateCode = Annotated[str, AfterValidator(_postal)]
"""A state's postal code."""


def _of_states(
    group: "InsuranceParameters | TaxParameters", name: str, states: list[str]
) -> list[float]:
    """Return a rule's number for each of ``states``, the group's own where a state has none."""
    own = [getattr(group.states.get(state), name, None) for state in states]
    return [getattr(group, name) if value is None else value for value in own]


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
        """Return the number ``name`` for each of ``states``."""
        return _of_states(self, name, states)


class TaxRule(Group):
    """What a state does otherwise than the nation's default; what is left out is as there.

    Attributes
    ----------
    state_rate, local_rate
        As in `TaxParameters`.
    """

    state_rate: float | None = Field(default=None, ge=0, le=0.15)
    local_rate: float | None = Field(default=None, ge=0, le=0.1)


class TaxParameters(Group):
    """Taxes on wages: flat effective rates, without brackets and deductions."""

    active: bool = parameter(
        False,
        "yes or no",
        "assumption: off, so that saving_rate is a share of the gross wage",
        "Whether taxes are collected.",
    )
    federal_income_rate: float = parameter(
        0.11,
        "share of the wage",
        "assumption: near the average effective rate of the federal income tax",
        "Federal income tax.",
        ge=0,
        le=0.5,
    )
    payroll_rate: float = parameter(
        0.0765,
        "share of the wage",
        "26 U.S.C. 3101: 6.2 % and 1.45 %; its ceiling, and the employer's share, are left out",
        "Federal payroll tax.",
        ge=0,
        le=0.25,
    )
    state_rate: float = parameter(
        0.035, "share of the wage", "assumption", "State income tax.", ge=0, le=0.15
    )
    local_rate: float = parameter(
        0.005, "share of the wage", "assumption", "Local income tax.", ge=0, le=0.1
    )
    states: dict[StateCode, TaxRule] = parameter(
        {state: TaxRule(state_rate=0.0) for state in _UNTAXED},
        "rules by postal code",
        "the states without a tax on wages in 2024; elsewhere assumption: none differs",
        "What states do otherwise; a metro in several states has the first one's rules.",
    )

    def by_state(self, name: str, states: list[str]) -> list[float]:
        """Return the number ``name`` for each of ``states``."""
        return _of_states(self, name, states)
