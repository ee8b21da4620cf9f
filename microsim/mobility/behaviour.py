"""What people do, as fitted: the seam between estimated models and the simulation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.logit.tree import NestTree

__all__ = ["Behaviour", "MobilityModel", "TermLike"]

Floats = NDArray[np.float64]


class TermLike(Protocol):
    """A term of a utility: ``coefficient * prod(factors)`` for ``alternatives`` (None: all)."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def coefficient(self) -> float:
        """The estimate."""
        ...

    @property
    def factors(self) -> tuple[str, ...]:
        """Expressions over variables; empty for a constant."""
        ...

    @property
    def alternatives(self) -> tuple[str, ...] | None:
        """The alternatives whose utility the term enters."""
        ...


class MobilityModel(Protocol):
    """A fitted model of staying and moving; `estimation.ChoiceResult` is one."""

    @property
    def alternatives(self) -> Sequence[str]:
        """Names: "stay" and the CBSA codes."""
        ...

    def utility_terms(self) -> Sequence[TermLike]:
        """Return the terms of the systematic utility."""
        ...

    def branch_logsum(
        self, V: Floats, available: NDArray[np.bool_] | None, exclude: str = "stay"
    ) -> Floats:
        """Return the logsum of all alternatives but one, shape (...,)."""
        ...

    def log_probabilities(self, V: Floats, available: NDArray[np.bool_] | None) -> Floats:
        """Return log probabilities for dense utilities, shape (..., J)."""
        ...

    def nesting(self) -> tuple[NestTree, Floats]:
        """Return the tree and its nests' dissimilarities, (nests,)."""
        ...


@dataclass(frozen=True)
class Behaviour:
    """The fitted models that drive the simulation.

    Attributes
    ----------
    mobility : MobilityModel
        Stay, or move to one of the metros: a fitted nested logit with the alternative "stay"
        and the metros' CBSA codes, annual.

    Raises
    ------
    SpecificationError
        If it is no such model, or lacks the alternative "stay".
    """

    mobility: MobilityModel

    def __post_init__(self) -> None:
        if not hasattr(self.mobility, "alternatives"):
            raise SpecificationError(
                f"mobility is a {type(self.mobility).__name__}, not a model of staying and moving; "
                "give a fitted one, read a saved one with estimation.load_result, or give a "
                "MoveTruth."
            )
        if "stay" not in tuple(self.mobility.alternatives):
            raise SpecificationError(
                "the mobility model has no alternative 'stay'; estimate it on cases that choose "
                "between 'stay' and the metros' CBSA codes."
            )
