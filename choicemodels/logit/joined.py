"""A likelihood over files of choices: the sum of those of the files, wherever they are computed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from choicemodels.choices.partitioned import Partition, PartitionedChoiceData
from choicemodels.logit.factored_likelihood import FactoredLikelihood
from choicemodels.logit.likelihood import Contributions, Layout, LogitLikelihood, LogitParameters
from choicemodels.logit.summed import (
    SummedLikelihood,
    add_evaluations,
    join_contributions,
    over_data,
)
from choicemodels.restrictions import Evaluation

__all__ = ["Engine", "JoinedLikelihood", "Part"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


class Part(Protocol):
    """A likelihood of some cases."""

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and Hessian (P, P)."""
        ...

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with every contribution."""
        ...


class Engine(Protocol):
    """Where the parts are kept and asked; ``estimation.choice.distributed.DaskEngine`` is one."""

    def keep(self, parts: list[Callable[[], Part]]) -> list[Any]:
        """Build every part where it will be asked, and return handles."""
        ...

    def ask(self, handles: list[Any], method: str, theta: Array) -> list[Any]:
        """Call a method of every part, and return the answers in order."""
        ...


@dataclass(frozen=True)
class LocalEngine:
    """Build a part, ask it, and forget it, one after the other."""

    def keep(self, parts: list[Callable[[], Part]]) -> list[Any]:
        """Return what builds the parts."""
        return parts

    def ask(self, handles: list[Any], method: str, theta: Array) -> list[Any]:
        """Call a method of every part, and return the answers in order."""
        return [getattr(build(), method)(theta) for build in handles]


@dataclass(frozen=True, eq=False)
class JoinedLikelihood:
    """The likelihood of any model over partitioned data.

    Attributes
    ----------
    parameters : Layout
    data : PartitionedChoiceData
    engine : Engine
    handles : list
        The engine's handles of the parts.
    cases : tuple of ndarray of int64
        Positions of each part's cases among all N.
    """

    parameters: Layout
    data: PartitionedChoiceData
    engine: Engine
    handles: list[Any]
    cases: tuple[Ints, ...]

    @classmethod
    def build(
        cls, parameters: Layout, data: PartitionedChoiceData, engine: Engine | None = None
    ) -> Self:
        """Put a model over the files; without an engine they are read anew at every step."""
        chosen = engine or LocalEngine()
        parts: list[Callable[[], Part]] = [
            partial(_read, parameters, data.read, path) for path in data.paths
        ]
        return cls(parameters, data, chosen, chosen.keep(parts), data.cases)

    @property
    def n_cases(self) -> int:
        """Number of cases, N."""
        return sum(map(len, self.cases))

    def evaluate(self, theta: Array) -> Evaluation:
        """Return log-likelihood, score (P,) and Hessian (P, P)."""
        return add_evaluations(self.engine.ask(self.handles, "evaluate", theta))

    def contributions(self, theta: Array) -> Contributions:
        """Return the log-likelihood and its derivatives with every contribution."""
        return join_contributions(self.engine.ask(self.handles, "contributions", theta), self.cases)

    def column_squares(self, theta: Array) -> Array:
        """Return each column's mean square within the choice sets, summed over cases, (K,)."""
        return np.asarray(np.sum(self.engine.ask(self.handles, "column_squares", theta), axis=0))

    def plain(self) -> Self:
        """Return the multinomial logit with the same utilities over the same data."""
        layout = self.parameters
        plain = LogitParameters.of_utility(layout.utility, layout.alternatives)
        return self.build(plain, self.data, self.engine)

    def subset(self, cases: Ints) -> Self:
        """Keep some cases, in memory; the model must be a (nested) logit."""
        held: list[Callable[[], Part]] = []
        kept: list[Ints] = []
        for path, own in zip(self.data.paths, self.cases, strict=True):
            local = np.flatnonzero(np.isin(own, cases))
            if len(local) == 0:
                continue
            part = _read(self.parameters, self.data.read, path)
            assert isinstance(part, LogitLikelihood | FactoredLikelihood | SummedLikelihood)
            held.append(partial(_itself, part.subset(local)))
            kept.append(sum(map(len, kept)) + np.arange(len(local)))
        local_engine = LocalEngine()
        return replace(
            self, engine=local_engine, handles=local_engine.keep(held), cases=tuple(kept)
        )

    def reweighted(self, weights: Array) -> Self:
        """Give the cases other weights, shape (N,)."""
        parts: list[Callable[[], Part]] = [
            partial(_weighted, self.parameters, self.data.read, path, weights[own])
            for path, own in zip(self.data.paths, self.cases, strict=True)
        ]
        return replace(self, handles=self.engine.keep(parts))


def _read(parameters: Layout, read: Callable[[Path], Partition], path: Path) -> Any:
    return over_data(parameters, read(path))


def _weighted(
    parameters: Layout, read: Callable[[Path], Partition], path: Path, weights: Array
) -> Any:
    return _read(parameters, read, path).reweighted(weights)


def _itself(part: Part) -> Part:
    return part
