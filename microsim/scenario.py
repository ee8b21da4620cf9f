"""What happens and what is done about it: shocks, policies and parameters, read from a file.

A scenario is a YAML or TOML file. Unknown keys are refused, and every error is one sentence that
names the file, the place in it, the value and the remedy.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest
from microsim.parameters import Parameters
from microsim.settings_file import explain, read_settings

__all__ = ["AIDisplacement", "Eligibility", "HazardPoint", "RelocationGrant", "Scenario"]


def _code(value: Any) -> Any:
    """Take a CBSA code that YAML read as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


CBSA = Annotated[str, BeforeValidator(_code)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HazardPoint(_Part):
    """A point of a hazard path; between points the path is linear, after the last it is constant.

    Attributes
    ----------
    month
        Months since the shock began, from 0.
    rate
        Monthly probability of displacement at full exposure in a firm with multiplier 1.
    """

    month: int = Field(ge=0)
    rate: float = Field(ge=0, le=1)


class AIDisplacement(_Part):
    """Jobs that AI takes over, by the occupation's exposure and the employer's adoption stage.

    The monthly hazard of an employed worker is ``1 - (1 - path(t))**(exposure * multiplier)``.

    Attributes
    ----------
    start_month
        Months after the simulation's first, from 0.
    hazard
        Path of the hazard, in ascending months.
    spread_months
        The shock reaches the metros one after the other, those with the most exposed workers
        first, over so many months; 0 reaches all at once.
    """

    kind: Literal["ai_displacement"]
    start_month: int = Field(default=0, ge=0)
    hazard: tuple[HazardPoint, ...] = Field(min_length=1)
    spread_months: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _ascending(self) -> "AIDisplacement":
        months = [point.month for point in self.hazard]
        if any(b <= a for a, b in pairwise(months)):
            raise ValueError(f"the months of the hazard path are {months}; put them in order")
        return self


class Eligibility(_Part):
    """Who may claim; a worker must meet every condition that is given.

    Attributes
    ----------
    status
        "any", "unemployed", or "displaced" (lost a job to a shock, whether working again or not).
    within_months
        Unemployed or displaced no longer ago than this.
    income_ceiling
        Dollars a year: the wage, or the last wage of the unemployed, is at most this.
    origins
        CBSA codes of the metros that one must live in.
    """

    status: Literal["any", "unemployed", "displaced"] = "any"
    within_months: int | None = Field(default=None, ge=0)
    income_ceiling: float | None = Field(default=None, ge=0)
    origins: tuple[CBSA, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _sensible(self) -> "Eligibility":
        if self.within_months is not None and self.status == "any":
            raise ValueError(
                "within_months needs a status to count from; set status to unemployed or displaced"
            )
        return self


class RelocationGrant(_Part):
    """Dollars paid to an eligible household that moves to another metro, once.

    The grant lowers the moving cost that the household reckons with; see `microsim.processes`.

    Attributes
    ----------
    amount
        Dollars.
    start_month, end_month
        First and last month of the programme, from 0; without the latter it does not end.
    eligibility
    destinations
        CBSA codes of the metros that one must move to; without it, any.
    take_up
        Share of the eligible who know of the grant and would claim it.
    budget
        Dollars in all; when it is spent, nobody is paid any more.
    """

    kind: Literal["relocation_grant"]
    name: str = "relocation_grant"
    amount: float = Field(ge=0)
    start_month: int = Field(default=0, ge=0)
    end_month: int | None = Field(default=None, ge=0)
    eligibility: Eligibility = Eligibility()
    destinations: tuple[CBSA, ...] | None = Field(default=None, min_length=1)
    take_up: float = Field(default=1.0, ge=0, le=1)
    budget: float | None = Field(default=None, ge=0)

    @property
    def cents(self) -> int:
        """The amount in whole cents."""
        return round(100 * self.amount)

    def runs(self, month: int) -> bool:
        """Whether the programme pays in ``month``; one of zero dollars never does."""
        ended = self.end_month is not None and month > self.end_month
        return self.cents > 0 and self.start_month <= month and not ended


class Scenario(_Part):
    """A set of shocks, policies and parameters.

    Attributes
    ----------
    name, description
    shocks : tuple of AIDisplacement
    policies : tuple of RelocationGrant
        A worker who is eligible for several is offered the first.
    parameters : Parameters
        Overrides of what the simulation assumes.
    """

    name: str = "baseline"
    description: str = ""
    shocks: tuple[AIDisplacement, ...] = ()
    policies: tuple[RelocationGrant, ...] = ()
    parameters: Parameters = Parameters()
    _source: str = PrivateAttr(default="the scenario")

    @model_validator(mode="after")
    def _named_apart(self) -> "Scenario":
        names = [policy.name for policy in self.policies]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two policies are named '{twice[0]}'; give each a name of its own")
        return self

    def __eq__(self, other: object) -> bool:
        # Where it was read from is not part of a scenario.
        return isinstance(other, Scenario) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @classmethod
    def baseline(cls) -> "Scenario":
        """Return the scenario without shock, policy or override."""
        return cls()

    @classmethod
    def load(cls, path: str | Path) -> "Scenario":
        """Read a scenario from a ``.yaml``, ``.yml`` or ``.toml`` file.

        Raises
        ------
        SpecificationError
            If the file is missing, empty, not well-formed, or holds a key or value that a
            scenario does not know.
        """
        file = Path(path)
        scenario = cls.from_mapping(
            read_settings(file, "scenario", "name: my_scenario"), source=str(path)
        )
        return scenario if scenario.name != "baseline" else scenario.renamed(file.stem)

    @classmethod
    def from_mapping(cls, content: Any, *, source: str = "the scenario") -> "Scenario":
        """Build from nested dictionaries, as a file gives them.

        Raises
        ------
        SpecificationError
            As `load`; ``source`` is how the message calls the file.
        """
        try:
            scenario = cls.model_validate(content)
        except ValidationError as error:
            raise SpecificationError(explain(error, cls, source)) from None
        scenario._source = source
        return scenario

    def renamed(self, name: str) -> "Scenario":
        """Return the scenario under another name."""
        copy = self.model_copy(update={"name": name})
        copy._source = self._source
        return copy

    def check_metros(self, cbsa: list[str]) -> None:
        """Raise if the scenario names a metro that the population does not have.

        Raises
        ------
        SpecificationError
            Naming the file, the key and the codes.
        """
        for i, policy in enumerate(self.policies):
            for key, codes in (
                ("destinations", policy.destinations),
                ("eligibility.origins", policy.eligibility.origins),
            ):
                unknown = [code for code in codes or () if code not in set(cbsa)]
                if unknown:
                    raise SpecificationError(
                        f"{self._source}: policies[{i}].{key} names the metro "
                        f"{enumerate_some(unknown)}{closest(unknown[0], cbsa)}, which is not in "
                        "the population; give CBSA codes from its metros, such as "
                        f"'{cbsa[0]}', or synthesize more metros."
                    )
