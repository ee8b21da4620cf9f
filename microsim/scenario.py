"""What happens and what is done about it: shocks, policies and parameters, read from a file.

A scenario is a YAML or TOML file. Unknown keys are refused, and every error is one sentence that
names the file, the place in it, the value and the remedy.
"""

from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, ValidationError, model_validator

from choicemodels.errors import SpecificationError, enumerate_some
from choicemodels.frames import closest
from microsim.parameters import Parameters
from microsim.policies import RelocationGrant
from microsim.scenario_part import Part
from microsim.settings_file import explain, read_settings
from microsim.shocks import AIDisplacement

__all__ = ["Scenario"]


class Scenario(Part):
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
