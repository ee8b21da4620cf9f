"""Areas whose movers go to so few places that a matrix would say too much of them."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix

__all__ = ["Redaction", "find_concentrated", "redact"]


@dataclass(frozen=True, eq=False)
class Redaction:
    """Which areas to redact, and why.

    Attributes
    ----------
    areas : Areas
    most : int
        Number of destinations looked at.
    share : float
        An area is redacted if this share of its movers goes to its ``most`` largest
        destinations.
    table : DataFrame, shape (N, 5)
        By area: ``people`` a year ago, ``movers``, ``destinations`` (areas with people who moved
        there), ``largest`` (share of the movers who went to the largest) and ``redacted``. Where
        nobody moved there is nothing to redact, and ``largest`` is zero.
    """

    areas: Areas
    most: int
    share: float
    table: pd.DataFrame = field(repr=False)

    @property
    def redacted(self) -> pd.Index:
        """Return the labels of the areas to redact."""
        return self.areas.labels[self.table["redacted"].to_numpy()]

    @property
    def summary(self) -> "pd.Series[float]":
        """Return shares of areas, people and movers redacted, and destinations of an area.

        Mean and median number of destinations are over the areas that somebody left, before
        redaction.
        """
        hidden, leaving = self.table["redacted"], self.table["movers"] > 0
        people, movers = self.table["people"], self.table["movers"]
        destinations = self.table.loc[leaving, "destinations"]
        return pd.Series(
            {
                "areas redacted": float(hidden.sum()),
                "share of areas redacted": float(hidden.mean()),
                "share of people redacted": _share(people[hidden].sum(), people.sum()),
                "share of movers redacted": _share(movers[hidden].sum(), movers.sum()),
                "areas that nobody left": float((~leaving).sum()),
                "mean number of destinations": float(destinations.mean()) if any(leaving) else 0.0,
                "median number of destinations": (
                    float(destinations.median()) if any(leaving) else 0.0
                ),
            },
            name="value",
        )

    def joined(self, *others: Self) -> Self:
        """Return this redaction with the areas of others hidden too.

        An area that is hidden in one year alone is seen in the next: redact every year by the
        areas of all.

        Parameters
        ----------
        *others
            Of the same areas.

        Raises
        ------
        DataError
            If one is of other areas.
        """
        hidden = self.table["redacted"].to_numpy(np.bool_).copy()
        for other in others:
            if not other.areas.labels.equals(self.areas.labels):
                raise DataError("redactions of different areas cannot be joined.")
            hidden |= other.table["redacted"].to_numpy(np.bool_)
        return replace(self, table=self.table.assign(redacted=hidden))

    def withheld(self, level: str) -> "pd.Series[float]":
        """Return the movers that are taken out, by area of origin of a coarser level.

        What a total over released flows lacks, without saying where these people went.

        Parameters
        ----------
        level
            Name of a level of ``areas``.
        """
        group = self.areas.level(level)
        movers = self.table["movers"].where(self.table["redacted"], 0.0).to_numpy()
        return pd.Series(group.totals(movers), index=group.labels, name="withheld")


def find_concentrated(matrix: MigrationMatrix, *, most: int = 10, share: float = 0.9) -> Redaction:
    """Find the areas that send a share of their movers to few destinations.

    The defaults are the published rule: 90 percent to 10 areas or fewer
    [AgostiniYoungFitzpatrickGargPierson2025]_.

    Parameters
    ----------
    matrix
    most
        Number of destinations, 1 or more.
    share
        Above 0, at most 1.

    Raises
    ------
    SpecificationError
        If a parameter is out of range.
    """
    if most < 1 or not 0 < share <= 1:
        raise SpecificationError(
            f"most is {most} and share {share:g}; they must be at least 1, and above 0 up to 1."
        )
    from choicemodels.migration.matrix_kernels import by_rows
    from choicemodels.migration.privacy_kernels import destinations_of_rows

    N = matrix.areas.size
    movers, largest = np.empty(N), np.empty(N)
    destinations = np.empty(N, dtype=np.int64)
    by_rows(
        matrix.indptr,
        lambda _, first, last: destinations_of_rows(
            first, last, matrix.indptr, matrix.indices, matrix.values, most,
            movers, destinations, largest,
        ),
    )  # fmt: skip
    part = np.divide(largest, movers, out=np.zeros(N), where=movers > 0)
    table = pd.DataFrame(
        {
            "people": matrix.before,
            "movers": movers,
            "destinations": destinations,
            "largest": part,
            # Sums in two orders may differ in their last digits.
            "redacted": (movers > 0) & (part >= share - 1e-12),
        },
        index=matrix.areas.labels,
    )
    return Redaction(matrix.areas, most, share, table)


def redact(matrix: MigrationMatrix, redaction: Redaction) -> MigrationMatrix:
    """Take out the movers of redacted areas.

    The cells off the diagonal of their rows are removed, not set to zero: who stayed remains,
    and so do people who moved in from other areas. Row, column and county sums fall short by
    those taken out; :meth:`Redaction.withheld` says by how much, by origin.

    Parameters
    ----------
    matrix
    redaction
        Of the same areas; found on this matrix, or joined with those of other years.

    Raises
    ------
    DataError
        If it is of other areas.
    """
    if not redaction.areas.labels.equals(matrix.areas.labels):
        raise DataError(
            "the redaction is of other areas than the matrix; find it on a matrix of the same "
            "areas in the same order."
        )
    from choicemodels.migration.matrix_kernels import by_rows
    from choicemodels.migration.privacy_kernels import drop_movers

    hidden: NDArray[np.bool_] = redaction.table["redacted"].to_numpy(np.bool_)
    counts = np.where(hidden, matrix.stayers > 0, np.diff(matrix.indptr))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = np.empty(starts[-1], dtype=np.int32)
    values = np.empty(starts[-1])
    by_rows(
        matrix.indptr,
        lambda _, first, last: drop_movers(
            first, last, matrix.indptr, matrix.indices, matrix.values, hidden,
            starts, indices, values,
        ),
    )  # fmt: skip
    return MigrationMatrix(matrix.areas, starts, indices, values, matrix.year)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
