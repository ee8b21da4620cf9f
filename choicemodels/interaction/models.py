"""Spatial-interaction models: what stands behind a flow, and which totals it must reproduce."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.flows.gravity import Gravity
from choicemodels.frames import closest
from choicemodels.interaction.inputs import LawInputs
from choicemodels.interaction.laws import (
    LawValues,
    extended_radiation,
    population_weighted,
    radiation,
    schneider,
    stouffer,
)
from choicemodels.interaction.opportunities import Ties

__all__ = [
    "Binned",
    "CompetingDestinations",
    "Constraint",
    "ExtendedRadiation",
    "InteractionModel",
    "OpportunityModel",
    "PopulationWeighted",
    "Radiation",
    "Schneider",
    "SpatialInteraction",
    "Stouffer",
    "model_from_dict",
    "model_to_dict",
]

Array = NDArray[np.float64]
Constraint: TypeAlias = Literal["none", "production", "attraction", "doubly"]
Deterrence: TypeAlias = Literal["power", "exponential", "tanner"]


@dataclass(frozen=True)
class Binned:
    """Deterrence as a step function of cost.

    Parameters
    ----------
    edges : sequence of float
        Where one band ends and the next begins, ascending; the first band, below
        ``edges[0]``, is the reference.

    Raises
    ------
    SpecificationError
        If the edges are not finite and ascending, or there are none.
    """

    edges: Sequence[float]

    def __post_init__(self) -> None:
        try:
            edges = tuple(float(edge) for edge in self.edges)
        except (TypeError, ValueError):
            edges = ()
        if not edges or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
            raise SpecificationError(
                f"the edges of Binned are {self.edges}; give finite numbers in ascending "
                "order, such as Binned([50, 100, 200])."
            )
        object.__setattr__(self, "edges", edges)


@dataclass(frozen=True, kw_only=True)
class InteractionModel:
    """What all spatial-interaction models share.

    Parameters
    ----------
    constraint : "none", "production", "attraction" or "doubly"
        Which totals the expected flows reproduce: of all flows, of those out of each origin, of
        those into each destination, or of both [Wilson1971]_.
    cost : str
        The column with the distance or cost between two places.
    origin_mass, destination_mass : str
        Columns with what sends and what draws, such as populations or jobs.

    Raises
    ------
    SpecificationError
        If the constraint is unknown, or a column that the model needs is not named.
    """

    constraint: Constraint = "doubly"
    cost: str = "distance"
    origin_mass: str = ""
    destination_mass: str = ""

    def __post_init__(self) -> None:
        known = get_args(Constraint)
        if self.constraint not in known:
            raise SpecificationError(
                f"the constraint '{self.constraint}' is unknown{closest(self.constraint, known)}; "
                f"choose one of {', '.join(known)}."
            )
        if not self.cost:
            raise SpecificationError("cost= is empty; name the column with the distances.")

    @property
    def constrains_origins(self) -> bool:
        """Whether the flows out of each origin are reproduced."""
        return self.constraint in ("production", "doubly")

    @property
    def constrains_destinations(self) -> bool:
        """Whether the flows into each destination are reproduced."""
        return self.constraint in ("attraction", "doubly")

    def _need_masses(self, *fields: str) -> None:
        for name in fields:
            if not getattr(self, name):
                raise SpecificationError(
                    f"a {type(self).__name__} with constraint='{self.constraint}' needs {name}=, "
                    "the column with the masses at that end of a flow."
                )

    def effects(self, origin: str, destination: str) -> str:
        """Return the part of a gravity formula that the constraint stands for."""
        held = [origin] * self.constrains_origins + [destination] * self.constrains_destinations
        return " + ".join(quoted(name) for name in held)


@dataclass(frozen=True)
class SpatialInteraction(InteractionModel):
    """Wilson's family of gravity models.

        mu_od = A_o O_o B_d D_d f(c_od)                     doubly constrained
        mu_od = A_o O_o n_d^kappa f(c_od)                   production-constrained
        mu_od = B_d D_d m_o^nu f(c_od)                      attraction-constrained
        mu_od = k m_o^nu n_d^kappa f(c_od)                  unconstrained

    with the balancing factors A and B that make the flows meet the totals O and D [Wilson1971]_,
    and f a falling function of cost. By maximum likelihood they are Poisson models with effects
    of origins and destinations [FlowerdewAitkin1982]_.

    Parameters
    ----------
    deterrence : "power", "exponential", "tanner" or Binned
        ``c^b``, ``exp(b c)``, ``c^a exp(b c)`` [Tanner1961]_ or a step for each band of cost.
    masses : "free" or "unit"
        Whether the exponents of the masses, where the constraint leaves masses in the model, are
        estimated or fixed at one.

    The other arguments are those of :class:`InteractionModel`.

    Raises
    ------
    SpecificationError
        If an option is unknown, or the column of a mass that the constraint leaves in the model
        is not named.
    """

    deterrence: Deterrence | Binned = "exponential"
    masses: Literal["free", "unit"] = "free"

    def __post_init__(self) -> None:
        super().__post_init__()
        known = get_args(Deterrence)
        if not isinstance(self.deterrence, Binned) and self.deterrence not in known:
            raise SpecificationError(
                f"the deterrence {self.deterrence!r} is unknown; choose one of "
                f"{', '.join(known)}, or Binned(edges)."
            )
        if self.masses not in ("free", "unit"):
            raise SpecificationError(f"masses={self.masses!r} is unknown; choose 'free' or 'unit'.")
        self._need_masses(*self._masses_in_use)

    @property
    def _masses_in_use(self) -> list[str]:
        origins = [] if self.constrains_origins else ["origin_mass"]
        return origins + ([] if self.constrains_destinations else ["destination_mass"])

    @property
    def needs_positive_cost(self) -> bool:
        """Whether a cost of zero has no finite deterrence."""
        return self.deterrence in ("power", "tanner")

    @property
    def regressors(self) -> dict[str, str]:
        """The expression behind each coefficient that is not of a mass."""
        cost = quoted(self.cost)
        if isinstance(self.deterrence, Binned):
            return _bands(self.cost, self.deterrence.edges)
        if self.deterrence == "exponential":
            return {self.cost: cost}
        power = {f"log({self.cost})": f"log({cost})"}
        return power if self.deterrence == "power" else {**power, self.cost: cost}

    def gravity(self, origin: str, destination: str) -> Gravity:
        """Return the Poisson model that is this one, for columns of these names."""
        masses = [f"log({quoted(getattr(self, name))})" for name in self._masses_in_use]
        terms = [*(masses if self.masses == "free" else []), *self.regressors.values()]
        effects = self.effects(origin, destination)
        formula = " + ".join(terms) + (f" | {effects}" if effects else "")
        return Gravity(formula, offset=" + ".join(masses) if self.masses == "unit" else "")


@dataclass(frozen=True)
class CompetingDestinations(SpatialInteraction):
    """Wilson's family with Fotheringham's accessibility of a destination to its rivals.

    The flow to d is multiplied by ``A_od^delta`` with ``A_od = sum over k of
    n_k c_dk^(-decay)``, k being neither o nor d: a negative delta says that destinations compete,
    a positive one that they agglomerate [Fotheringham1983]_.

    Parameters
    ----------
    decay : float
        How fast the pull of a rival falls with its cost from d; it is given, not estimated.

    The other arguments are those of :class:`SpatialInteraction`; ``destination_mass`` is always
    needed.

    Raises
    ------
    SpecificationError
        As :class:`SpatialInteraction`, or if the decay is not finite.
    """

    ACCESSIBILITY: ClassVar[str] = "accessibility"

    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_masses("destination_mass")
        if not np.isfinite(self.decay):
            raise SpecificationError(f"decay is {self.decay}; give a number such as 1.")

    @property
    def regressors(self) -> dict[str, str]:
        """The expression behind each coefficient that is not of a mass."""
        term = f"log({self.ACCESSIBILITY})"
        return {**super().regressors, term: term}


@dataclass(frozen=True, kw_only=True)
class OpportunityModel(InteractionModel, ABC):
    """What the laws share that look at opportunities and not at cost itself.

    The law gives the probability that a trip from o ends in d. The flows out of an origin are in
    proportion to its mass unless a constraint gives them, as in [LenormandBassolasRamasco2016]_.
    Trips within a place have no law and are left out.

    Parameters
    ----------
    ties : "within", "half" or "beyond"
        Whether places at the same cost count as nearer; see
        :func:`choicemodels.interaction.opportunities.nearer`.

    The other arguments are those of :class:`InteractionModel`; both masses are needed.

    Raises
    ------
    SpecificationError
        If an option is unknown or a mass is not named.
    """

    parameter: ClassVar[str] = ""
    positive: ClassVar[bool] = True

    ties: Ties = "within"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_masses("origin_mass", "destination_mass")
        if self.ties not in get_args(Ties):
            raise SpecificationError(
                f"ties={self.ties!r} is unknown; choose one of {', '.join(get_args(Ties))}."
            )

    @abstractmethod
    def law(self, theta: float, at: LawInputs) -> LawValues:
        """Return the law at a value of its parameter, up to a constant of each origin."""

    def grid(self, at: LawInputs) -> Array:
        """Return values of the parameter, ascending, to begin the search among, if it has one."""
        return np.empty(0)


@dataclass(frozen=True)
class Stouffer(OpportunityModel):
    """Stouffer's law: trips in proportion to opportunities over those met on the way.

    ``p(d | o) ~ (n_d / (s_od + n_d))^gamma`` [Stouffer1940]_. The arguments are those of
    :class:`OpportunityModel`.
    """

    parameter: ClassVar[str] = "gamma"
    positive: ClassVar[bool] = False

    def law(self, theta: float, at: LawInputs) -> LawValues:
        """Return the law at a value of its parameter, up to a constant of each origin."""
        return stouffer(theta, at.destination_mass, at.nearer)

    def grid(self, at: LawInputs) -> Array:
        """Return values of the parameter, ascending, among which the search begins."""
        return np.linspace(-3.0, 9.0, 25)


@dataclass(frozen=True)
class Schneider(OpportunityModel):
    """Schneider's intervening opportunities.

    ``p(d | o) ~ exp(-gamma s_od) - exp(-gamma (s_od + n_d))`` [Schneider1959]_. The arguments
    are those of :class:`OpportunityModel`.
    """

    parameter: ClassVar[str] = "gamma"

    def law(self, theta: float, at: LawInputs) -> LawValues:
        """Return the law at a value of its parameter, up to a constant of each origin."""
        return schneider(theta, at.destination_mass, at.nearer)

    def grid(self, at: LawInputs) -> Array:
        """Return values of the parameter, ascending, among which the search begins."""
        return np.geomspace(1e-3, 1e3, 19) / float(at.nearer.max() + at.destination_mass.max())


@dataclass(frozen=True)
class Radiation(OpportunityModel):
    """The radiation model, which has no parameter.

    ``p(d | o) ~ m_o n_d / ((m_o + s_od) (m_o + n_d + s_od))``
    [SiminiGonzalezMaritanBarabasi2012]_. The arguments are those of :class:`OpportunityModel`.
    """

    def law(self, theta: float, at: LawInputs) -> LawValues:
        """Return the law, up to a constant of each origin."""
        return radiation(at.origin_mass, at.destination_mass, at.nearer)


@dataclass(frozen=True)
class ExtendedRadiation(OpportunityModel):
    """The extended radiation model, whose alpha carries the scale.

    ``p(d | o) ~ ((m + s + n)^a - (m + s)^a) (m^a + 1) / (((m + s)^a + 1) ((m + s + n)^a + 1))``
    [Yang2014]_. The arguments are those of :class:`OpportunityModel`.
    """

    parameter: ClassVar[str] = "alpha"

    def law(self, theta: float, at: LawInputs) -> LawValues:
        """Return the law at a value of its parameter, up to a constant of each origin."""
        return extended_radiation(theta, at.origin_mass, at.destination_mass, at.nearer)

    def grid(self, at: LawInputs) -> Array:
        """Return values of the parameter, ascending, among which the search begins."""
        return np.geomspace(1e-2, 30.0, 19)


@dataclass(frozen=True)
class PopulationWeighted(OpportunityModel):
    """Population-weighted opportunities, which have no parameter.

    ``p(d | o) ~ n_d (1 / S_do - 1 / M)``, S the mass in the circle around d that passes through
    o [Yan2014]_. The arguments are those of :class:`OpportunityModel`.
    """

    def law(self, theta: float, at: LawInputs) -> LawValues:
        """Return the law, up to a constant of each origin."""
        return population_weighted(at.destination_mass, at.circle, at.total)


def model_to_dict(model: InteractionModel) -> dict[str, Any]:
    """Return a specification as plain values, for JSON."""
    return {"class": type(model).__name__, **asdict(model)}


def model_from_dict(saved: Mapping[str, Any]) -> InteractionModel:
    """Rebuild a specification from :func:`model_to_dict`.

    Raises
    ------
    KeyError
        If the class is not one of this module.
    """
    fields = dict(saved)
    kinds: dict[str, type[InteractionModel]] = {kind.__name__: kind for kind in _MODELS}
    kind = kinds[fields.pop("class")]
    if isinstance(fields.get("deterrence"), Mapping):
        fields["deterrence"] = Binned(**fields["deterrence"])
    return kind(**fields)


_MODELS: tuple[type[InteractionModel], ...] = (
    CompetingDestinations,
    ExtendedRadiation,
    PopulationWeighted,
    Radiation,
    Schneider,
    SpatialInteraction,
    Stouffer,
)


def quoted(name: str) -> str:
    """Return a column's name as a formula takes it, in backticks where it must."""
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`"


def _bands(cost: str, edges: Sequence[float]) -> dict[str, str]:
    column = quoted(cost)
    bands = {
        f"{cost} [{low:g}, {high:g})": f"I(1 * ({column} >= {low!r}) * ({column} < {high!r}))"
        for low, high in pairwise(edges)
    }
    return {**bands, f"{cost} >= {edges[-1]:g}": f"I(1 * ({column} >= {edges[-1]!r}))"}
