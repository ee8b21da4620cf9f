"""The data behind a gravity result: the rows used, and how they can be grouped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError
from choicemodels.flows.flowdata import FlowData
from estimation.covariance import group_codes
from estimation.gravity.covariance import Grouping, nested_in
from estimation.gravity.effects import EffectEstimate

__all__ = ["GroupsArgument", "Sample", "names_several"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
GroupsArgument = str | Sequence[str] | Sequence[Any] | NDArray[Any] | pd.Series | None


def names_several(groups: Any) -> bool:
    """Say whether groups are a list of ways of clustering, rather than one way."""
    return isinstance(groups, list | tuple) and all(
        isinstance(way, str) or np.ndim(way) == 1 for way in groups
    )


@dataclass(frozen=True, eq=False)
class Sample:
    """The data behind a result; a result read from a file has none.

    Attributes
    ----------
    data : FlowData
    rows : ndarray of int64
        Positions of the rows used.
    scores : ndarray, shape (N, K)
        Weights included.
    mu : ndarray, shape (N,)
        Expected flows.
    weights, offset : ndarray, shape (N,), or None
    """

    data: FlowData
    rows: Codes
    scores: Array
    mu: Array
    weights: Array | None = None
    offset: Array | None = None

    @property
    def residuals(self) -> Array:
        """``w (y - mu)``, shape (N,)."""
        gap = self.data.y[self.rows] - self.mu
        return gap if self.weights is None else self.weights * gap

    @property
    def working_weights(self) -> Array:
        """``w mu``, shape (N,)."""
        return self.mu if self.weights is None else self.weights * self.mu

    def places(self) -> tuple[Codes, Codes]:
        """Return origin and destination of each row used, in one numbering without gaps."""
        data = self.data
        o, d = data.factor(f"`{data.origin}`"), data.factor(f"`{data.destination}`")
        both = o.levels[0].append(d.levels[0].difference(o.levels[0]))
        place = both.get_indexer(d.levels[0]).astype(np.int64)
        origin, destination = o.codes[self.rows], place[d.codes[self.rows]]
        _, codes = np.unique(np.concatenate([origin, destination]), return_inverse=True)
        first, second = np.split(codes.astype(np.int64), 2)
        return first, second

    def groupings(
        self, groups: GroupsArgument, effects: Sequence[EffectEstimate]
    ) -> tuple[Grouping, ...]:
        """Read ways of clustering.

        Parameters
        ----------
        groups
            The name of a column, several joined by ``^``, labels, one for each row of the table,
            or a list of these.
        effects
            Fixed effects and slopes; which of them are nested in the groups is found out.

        Raises
        ------
        DataError
            If a column is missing, or labels are missing or do not match the rows.
        SpecificationError
            If there are no groups, or they are no labels of rows.
        """
        if groups is None or (isinstance(groups, list | tuple) and not groups):
            raise SpecificationError(
                "this covariance needs groups=, such as groups='origin' or "
                "groups=['origin', 'destination']."
            )
        ways: Sequence[Any] = list(groups) if names_several(groups) else [groups]
        levels = [
            self.data.factor("^".join(f"`{name}`" for name in e.columns)).codes[self.rows]
            for e in effects
        ]
        return tuple(
            self._grouping(way, f"groups {number}", levels)
            for number, way in enumerate(ways, start=1)
        )

    def _grouping(self, way: Any, default: str, effects: Sequence[Codes]) -> Grouping:
        """Read one way of grouping over the rows used."""
        if isinstance(way, str):
            factor = self.data.factor(way)
            name, labels = way, factor.codes
        else:
            factor = None
            labels = np.asarray(way)
            if labels.ndim != 1:
                raise SpecificationError(
                    f"the groups are a {type(way).__name__} of shape {labels.shape}; give the name "
                    "of a column, one label for each row, or a list of these for several ways."
                )
            name = str(getattr(way, "name", None) or default)
            if len(labels) != self.data.nobs:
                raise DataError(
                    f"the groups have {len(labels):,} labels, but the table has "
                    f"{self.data.nobs:,} rows; give one for each row of the table, also for rows "
                    "that were dropped."
                )
        used = labels[self.rows]
        codes = group_codes(used, name)
        heads = np.empty(int(codes.max()) + 1, dtype=used.dtype)
        heads[codes] = used
        nests = tuple(nested_in(effect, codes) for effect in effects)
        return Grouping(name, codes, nests, heads, factor)
