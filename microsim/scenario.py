"""What happens and what is done about it: shocks, policies and parameters, read from a file.

A scenario is a YAML or TOML file, which may extend others. Unknown keys are refused, and every
error is one sentence that names the file, the place in it, the value and the remedy.
"""

import warnings
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from pydantic import PrivateAttr, ValidationError, model_validator

from choicemodels.errors import NestflowWarning, SpecificationError, enumerate_some
from choicemodels.frames import closest
from microsim.parameters import Parameters
from microsim.policies import ExtendedInsurance, Policy, Programme, Retraining
from microsim.scenario_part import Part, Starting
from microsim.settings_file import explain, read_settings
from microsim.shocks import Shock

__all__ = ["Scenario"]

P = TypeVar("P", bound=Programme)
S = TypeVar("S", bound=Starting)

_APPENDED = {"shocks", "policies"}
# The group of parameters that a kind of policy acts on, and what is wrong where it is off.
_ACTS_ON: dict[type[Programme], tuple[str, str]] = {
    ExtendedInsurance: ("insurance", "extends unemployment insurance, but none is paid"),
    Retraining: ("retraining", "supports courses, but nobody retrains"),
}


class Scenario(Part):
    """A set of shocks, policies and parameters.

    Attributes
    ----------
    name, description
    shocks : tuple of Shock
    policies : tuple of Policy
        A worker who is eligible for several grants is offered the first.
    parameters : Parameters
        Overrides of what the simulation assumes.
    """

    name: str = "baseline"
    description: str = ""
    shocks: tuple[Shock, ...] = ()
    policies: tuple[Policy, ...] = ()
    parameters: Parameters = Parameters()
    _source: str = PrivateAttr(default="the scenario")

    @model_validator(mode="after")
    def _named_apart(self) -> "Scenario":
        names = [policy.name for policy in self.policies]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two policies are named '{twice[0]}'; give each a name of its own")
        return self

    @model_validator(mode="after")
    def _acting(self) -> "Scenario":
        for kind, (group, trouble) in _ACTS_ON.items():
            policies = self.policies_of(kind)
            if policies and not getattr(self.parameters, group).active:
                raise ValueError(
                    f"'{policies[0][1].name}' {trouble}; set parameters.{group}.active to true"
                )
        for policy in self.policies:
            if policy.eligibility.remote and not self.parameters.remote.active:
                raise ValueError(
                    f"'{policy.name}' is for remote workers, but nobody is remote; set "
                    "parameters.remote.active to true"
                )
        return self

    def policies_of(self, kind: type[P]) -> list[tuple[int, P]]:
        """Return the policies of a kind, each with its row among all."""
        return [(g, policy) for g, policy in enumerate(self.policies) if isinstance(policy, kind)]

    def shocks_of(self, kind: type[S]) -> tuple[S, ...]:
        """Return the shocks of a kind."""
        return tuple(shock for shock in self.shocks if isinstance(shock, kind))

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

        Under the key ``extends`` it may name a file, or a list of files, relative to its own
        folder, that it builds on: shocks and policies are appended to theirs, and every other key
        overrides theirs. A file without a name is called by its stem.

        Raises
        ------
        SpecificationError
            If a file is missing, empty, not well-formed, extends itself, or holds a key or value
            that a scenario does not know.
        """
        if not isinstance(path, str | PathLike):
            raise SpecificationError(
                f"a scenario is loaded from a file, not from a {type(path).__name__}; give a path."
            )
        return cls.from_mapping(_composed(_lineage(Path(path), ())), source=str(path))

    @classmethod
    def from_mapping(cls, content: Any, *, source: str = "the scenario") -> "Scenario":
        """Build from nested dictionaries, as a file gives them.

        Raises
        ------
        SpecificationError
            As `load`; ``source`` is how the message calls the file.
        """
        if not isinstance(content, Mapping | Scenario):
            raise SpecificationError(
                f"{source}: it is a {type(content).__name__}, not keys and values; give a mapping, "
                "such as {'name': 'my_scenario'}."
            )
        try:
            scenario = cls.model_validate(content)
        except ValidationError as error:
            raise SpecificationError(explain(error, cls, source)) from None
        scenario._source = source
        return scenario

    def _parts(self) -> list[tuple[str, Starting]]:
        """Return the shocks and the policies, each with its place in a file."""
        listed: list[tuple[str, Sequence[Starting]]]
        listed = [("shocks", self.shocks), ("policies", self.policies)]
        return [(f"{key}[{i}]", part) for key, parts in listed for i, part in enumerate(parts)]

    def dated(self, first: str, months: int) -> "Scenario":
        """Return the scenario with its calendar dates counted as months of a run.

        Parameters
        ----------
        first
            First month of the run, "YYYY-MM".
        months
            How many there are.

        Raises
        ------
        SpecificationError
            If a shock or policy begins before the run.

        Warns
        -----
        NestflowWarning
            If one begins only after the run's end.
        """
        content: dict[str, Any] = {"shocks": [], "policies": []}
        for place, part in self._parts():
            try:
                content[place.partition("[")[0]].append(part.counted(first))
            except ValueError as problem:
                raise SpecificationError(f"{self._source}: in '{place}', {problem}.") from None
        dated = Scenario.from_mapping({**self.model_dump(), **content}, source=self._source)
        late = [place for place, part in dated._parts() if part.start_month >= months]
        if late:
            warnings.warn(
                f"{self._source}: {enumerate_some(late)} would begin after the run's {months} "
                f"months from {first}, and does nothing; simulate more months.",
                NestflowWarning,
                stacklevel=3,
            )
        return dated

    def check_metros(self, cbsa: list[str]) -> None:
        """Raise if the scenario names a metro that the population does not have.

        Raises
        ------
        SpecificationError
            Naming the file, the key and the codes.
        """
        for place, part in self._parts():
            for key, codes in part.metros_named.items():
                unknown = [code for code in codes if code not in set(cbsa)]
                if unknown:
                    raise SpecificationError(
                        f"{self._source}: {place}.{key} names the metro "
                        f"{enumerate_some(unknown)}{closest(unknown[0], cbsa)}, which is not in "
                        "the population; give CBSA codes from its metros, such as "
                        f"'{cbsa[0]}', or synthesize more metros."
                    )


def _composed(lineage: dict[Path, dict[str, Any]]) -> dict[str, Any]:
    """Return the settings of files laid over each other in turn."""
    settings: dict[str, Any] = {}
    for own in lineage.values():
        settings = _overlaid(settings, own, _APPENDED)
    return settings


def _lineage(file: Path, extending: tuple[Path, ...]) -> dict[Path, dict[str, Any]]:
    """Return a file's own settings after those of the files that it extends, each file once.

    Parameters
    ----------
    file
    extending
        The files that led here, resolved; meeting one of them again is a circle.
    """
    here = file.resolve()
    if here in extending:
        names = " extends ".join(f"'{path.name}'" for path in (*extending, here))
        raise SpecificationError(
            f"{file}: scenarios extend each other in a circle ({names}); take one 'extends' out."
        )
    own = _rooted(read_settings(file, "scenario", "name: my_scenario"), file.parent)
    bases = own.pop("extends", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise SpecificationError(
            f"{file}: 'extends' is {bases!r}; give the path of a scenario, or a list of paths."
        )
    found: dict[Path, dict[str, Any]] = {}
    for base in bases:
        path = file.parent / base
        lineage = _lineage(path, (*extending, here))
        # Checked by itself, so that its faults are told under its own name.
        Scenario.from_mapping(_composed(lineage), source=str(path))
        found |= {known: own for known, own in lineage.items() if known not in found}
    return {**found, here: {"name": file.stem, **own}}


def _rooted(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return settings in which the files that shocks name are found from ``folder``."""
    shocks = settings.get("shocks")
    if not isinstance(shocks, list):
        return settings
    rooted = [
        {**shock, "file": str(folder / shock["file"])}
        if isinstance(shock, dict) and isinstance(shock.get("file"), str)
        else shock
        for shock in shocks
    ]
    return {**settings, "shocks": rooted}


def _overlaid(below: dict[str, Any], above: dict[str, Any], appended: set[str]) -> dict[str, Any]:
    """Return ``below`` with the keys of ``above``: mappings merge, and some lists are joined."""
    out = dict(below)
    for key, value in above.items():
        old = below.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            out[key] = _overlaid(old, value, set())
        elif key in appended and isinstance(old, list) and isinstance(value, list):
            out[key] = [*old, *value]
        else:
            out[key] = value
    return out
