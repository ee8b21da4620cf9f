"""What a model asks of choice data, however they are kept."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.check import Problem
from choicemodels.frames import ColumnSource

__all__ = ["ChoiceSource"]

Ints = NDArray[np.int64]


class ChoiceSource(Protocol):
    """Long, factored or partitioned choice data: N cases, J alternatives."""

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Names of the alternatives."""
        ...

    @property
    def n_cases(self) -> int:
        """Number of cases, N."""
        ...

    @property
    def case_ids(self) -> NDArray[Any]:
        """Labels of the cases, shape (N,)."""
        ...

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights of the cases, shape (N,)."""
        ...

    @property
    def chosen_alternative(self) -> Ints:
        """Position of each case's chosen alternative, -1 where none is known, shape (N,)."""
        ...

    @property
    def has_choices(self) -> bool:
        """Whether every case has a known choice."""
        ...

    @property
    def set_sizes(self) -> Ints:
        """Number of alternatives that each case is offered, shape (N,)."""
        ...

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What the border found."""
        ...

    @property
    def population_shares(self) -> Mapping[str, float] | None:
        """What the weights make of a sample drawn by choices."""
        ...

    @property
    def variables(self) -> ColumnSource:
        """The columns that formulas may name."""
        ...

    def choice_sets(self) -> tuple[NDArray[np.bool_], Ints]:
        """Return the distinct choice sets, shape (G, J), and which one each case faces, (N,)."""
        ...

    def varying_case(self, name: str) -> Any:
        """Return a case within which a variable differs between alternatives, or None."""
        ...

    def case_groups(self, groups: str | NDArray[Any]) -> tuple[str, NDArray[Any]]:
        """Return the name and the label of every case of a grouping, shape (N,)."""
        ...
