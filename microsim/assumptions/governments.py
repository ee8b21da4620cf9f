"""Every number that governments' rules assume, by state where these differ."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from choicemodels.datasets import load_data
from choicemodels.errors import DataError
from microsim.assumptions.fields import Group, parameter

__all__ = ["LEVELS", "InsuranceParameters", "InsuranceRule", "Level", "TaxParameters", "TaxRule"]

Level = Literal["federal", "state", "local"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The levels of government, in the order of their accounts."""

_STATES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV "
    "NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
)


def _postal(code: object) -> object:
    if code not in _STATES.split():
        raise ValueError(
            f"'{code}' is no state; give its postal code in capitals, such as 'TX', in quotes "
            "where YAML would read it as yes or no"
        )
    return code


StateCode = Annotated[str, BeforeValidator(_postal)]
"""A state's postal code."""


@cache
def _law() -> Mapping[str, Mapping[str, float]]:
    """Return the numbers of ``data/states.csv`` by name and state."""
    numbers = load_data("states").set_index("state").select_dtypes("number").astype(np.float64)
    return {
        str(name): dict(zip(numbers.index, column, strict=True)) for name, column in numbers.items()
    }


def _of_states(
    group: "InsuranceParameters | TaxParameters", name: str, states: list[str]
) -> list[float]:
    """Return a rule's number for each of ``states``.

    The first of: the scenario's for the state, the scenario's for the nation, the state's own.
    """
    nation, law = getattr(group, name), _law()[name]
    unknown = sorted(set(states) - set(law))
    if nation is None and unknown:
        raise DataError(
            f"the metros' state '{unknown[0]}' is none of the 50 states or DC, so that its {name} "
            f"is not known; set {name} for the nation in the scenario's parameters."
        )
    found = (getattr(group.states.get(state), name, None) for state in states)
    default = (law[state] if nation is None else nation for state in states)
    return [d if f is None else f for f, d in zip(found, default, strict=True)]


class InsuranceRule(Group):
    """What a state does otherwise; what is left out is as for the nation.

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

    active: bool = parameter(True, "yes or no", "the states' law", "Whether benefits are paid.")
    replacement_rate: float | None = parameter(
        None,
        "share of the last wage",
        "data/states.csv: the states' formulas, 2019 [GanongNoelVavra2020]",
        "Benefit where the maximum does not bind; without a number, each state's own.",
        ge=0,
        le=1,
    )
    maximum_weekly: float | None = parameter(
        None,
        "dollars per week",
        "data/states.csv: the states' maxima, 2019 [GanongNoelVavra2020]",
        "Most that is paid; without a number, each state's own.",
        ge=0,
    )
    duration: int | None = parameter(
        None,
        "months",
        "data/states.csv: the states' weeks, January 2024",
        "How long benefits last; without a number, as long as each state's own.",
        ge=0,
    )
    claim_share: float = parameter(
        0.75,
        "probability",
        "assumption: near estimates of the take-up of the eligible",
        "That a worker who is eligible and loses a job claims.",
        ge=0,
        le=1,
    )
    search_response: float = parameter(
        1.1,
        "log points per unit of replacement",
        "[KruegerMeyer2002]: durations answer benefits with an elasticity near 0.5, here at 0.45",
        "How the chance of finding a job falls with the benefit's share of the last wage.",
        ge=0,
    )
    reference_replacement: float = parameter(
        0.2,
        "share of the last wage",
        "assumption: near the mean over all unemployed, most of whom receive nothing",
        "The replacement at which the job-finding rate holds.",
        ge=0,
        le=1,
    )
    states: dict[StateCode, InsuranceRule] = parameter(
        {},
        "rules by postal code",
        "none but those of data/states.csv",
        "What states do otherwise; a metro in several states has the first one's rules.",
    )

    def by_state(self, name: str, states: list[str]) -> list[float]:
        """Return the number ``name`` for each of ``states``."""
        return _of_states(self, name, states)


class TaxRule(Group):
    """What a state does otherwise; what is left out is as for the nation.

    Attributes
    ----------
    state_rate, local_rate
        As in `TaxParameters`.
    """

    state_rate: float | None = Field(default=None, ge=0, le=0.15)
    local_rate: float | None = Field(default=None, ge=0, le=0.1)


class TaxParameters(Group):
    """Taxes on wages: flat effective rates, without brackets and deductions."""

    active: bool = parameter(True, "yes or no", "the law", "Whether taxes are collected.")
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
    state_rate: float | None = parameter(
        None,
        "share of the wage",
        "data/states.csv: nothing in nine states, elsewhere assumption",
        "State income tax; without a number, each state's own.",
        ge=0,
        le=0.15,
    )
    local_rate: float | None = parameter(
        None,
        "share of the wage",
        "data/states.csv: assumption",
        "Local income tax; without a number, each state's own.",
        ge=0,
        le=0.1,
    )
    states: dict[StateCode, TaxRule] = parameter(
        {},
        "rules by postal code",
        "none but those of data/states.csv",
        "What states do otherwise; a metro in several states has the first one's rules.",
    )

    def rates(self, states: list[str]) -> NDArray[np.float64]:
        """Return the share of a wage that each level of government takes in ``states``, (L, S)."""
        rates = np.zeros((len(LEVELS), len(states)))
        if self.active:
            rates[0] = self.federal_income_rate + self.payroll_rate
            rates[1] = _of_states(self, "state_rate", states)
            rates[2] = _of_states(self, "local_rate", states)
        return rates
