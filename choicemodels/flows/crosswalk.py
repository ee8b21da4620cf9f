"""From one geography to another: flows add up by a table of weights, and totals stay."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.places import text_keys
from choicemodels.errors import DataError, enumerate_some
from choicemodels.flows.factor import sorted_codes
from choicemodels.frames import numeric_column, require_columns, to_pandas

__all__ = ["Crosswalk", "expand", "read_crosswalk"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

# Weights are shares that were rounded when they were written.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Crosswalk:
    """Shares of source places that lie in target places.

    Attributes
    ----------
    sources : Index, length S
        Keys of the source places, as text.
    targets : Index, length T
    starts : ndarray of int64, shape (S + 1,)
        Source s has the entries ``starts[s]:starts[s + 1]``.
    target : ndarray of int64, shape (E,)
    weight : ndarray, shape (E,)
        They sum to one over the entries of a source.
    """

    sources: pd.Index
    targets: pd.Index
    starts: Codes
    target: Codes
    weight: Array

    def locate(self, places: pd.Index, what: str) -> Codes:
        """Return the positions of places among the sources.

        Raises
        ------
        DataError
            If a place is not in the crosswalk; the message names it.
        """
        keys = pd.Index(text_keys(places.to_series(), what, "the flow table"))
        found = self.sources.get_indexer(keys)
        unknown = places[found < 0].tolist()
        if unknown:
            raise DataError(
                f"the crosswalk has no row for {len(unknown):,} places of column '{what}' "
                f"({enumerate_some(unknown)}); add them, or drop their flows first."
            )
        return found.astype(np.int64)

    def spread(self, source: Codes) -> tuple[Codes, Codes, Array]:
        """Split rows over the targets of their source place.

        Parameters
        ----------
        source
            Position of the source place of each row, shape (R,).

        Returns
        -------
        ndarray, ndarray, ndarray
            For each part: its row, its target, its share.
        """
        rows, entries = expand(self.starts, source)
        return rows, self.target[entries], self.weight[entries]


def expand(starts: Codes, at: Codes) -> tuple[Codes, Codes]:
    """List the entries of each row, where row r has those of the group ``at[r]``.

    Parameters
    ----------
    starts
        First entry of each group, and the number of entries, shape (G + 1,).
    at
        Group of each row, shape (R,).

    Returns
    -------
    ndarray, ndarray
        For each entry listed: the row, and the position of the entry.
    """
    times = np.diff(starts)[at]
    rows = np.repeat(np.arange(len(at)), times)
    first = np.repeat(starts[at] - (np.cumsum(times) - times), times)
    return rows, first + np.arange(len(rows))


def read_crosswalk(table: Any, source: str, target: str, weight: str | None) -> Crosswalk:
    """Check a table of weights.

    Parameters
    ----------
    table
        One row for each source place and a target place that holds a part of it.
    source, target, weight
        Names of the columns; without ``weight`` every source lies within one target.

    Raises
    ------
    DataError
        If a label is missing, an entry repeats, a weight is negative or not finite, or the
        weights of a source do not sum to one; the message names the places.
    """
    what = "the crosswalk"
    frame = to_pandas(table, what=what)
    require_columns(frame, [source, target, *filter(None, [weight])], what=what)
    keys = text_keys(frame[source], source, what)
    missing = np.flatnonzero(frame[target].isna())
    if len(missing):
        raise DataError(
            f"the crosswalk has no '{target}' in {len(missing):,} rows (such as that of "
            f"{frame[source].iloc[missing[0]]}); every part must lie somewhere."
        )
    share = np.ones(len(frame)) if weight is None else numeric_column(frame, weight, what=what)
    bad = np.flatnonzero(~(np.isfinite(share) & (share >= 0)))
    if len(bad):
        raise DataError(
            f"the weight '{weight}' of the crosswalk is negative or not finite in {len(bad):,} "
            f"rows (such as that of {frame[source].iloc[bad[0]]}: {share[bad[0]]:g})."
        )
    codes, sources = pd.factorize(keys, sort=True)
    to, targets = sorted_codes(frame[target])
    _refuse_repeats(codes, to, frame, source, target)
    total = np.bincount(codes, weights=share)
    off = np.flatnonzero(np.abs(total - 1) > _ROUNDING)
    if len(off):
        named = [f"{sources[s]} (sum {total[s]:g})" for s in off]
        remedy = "list each place once" if weight is None else "mend them, or divide by their sum"
        raise DataError(
            f"the weights of {len(off):,} source places do not sum to one: "
            f"{enumerate_some(named)}; flows would be lost or made: {remedy}."
        )
    order = np.argsort(codes, kind="stable")
    order = order[share[order] > 0]
    starts = np.searchsorted(codes[order], np.arange(len(sources) + 1))
    return Crosswalk(
        pd.Index(sources),
        targets,
        starts.astype(np.int64),
        to[order].astype(np.int64),
        (share / total[codes])[order],
    )


def _refuse_repeats(codes: Any, to: Any, frame: pd.DataFrame, source: str, target: str) -> None:
    pairs = pd.Series(codes.astype(np.int64) * (int(to.max()) + 1) + to)
    twice = np.flatnonzero(pairs.duplicated())
    if len(twice):
        row = frame.iloc[twice[0]]
        raise DataError(
            f"the crosswalk leads from {row[source]} to {row[target]} in several rows; add their "
            "weights up."
        )
