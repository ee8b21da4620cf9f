"""The search for an estimate that exists: fit, certify separated rows, drop them, fit again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    enumerate_some,
)
from choicemodels.flows.factor import Factor
from estimation.gravity.absorb import Effects, Varying, arrange
from estimation.gravity.ppml import PpmlFit, Stopping, ppml, ppml_dense
from estimation.gravity.separation import Drop, prune, rectify, redundant_columns

__all__ = ["Found", "Search"]

Array = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Found:
    """The fit and the sample on which it exists.

    Attributes
    ----------
    fit : PpmlFit
    y : ndarray, shape (N,)
        Flows of the rows used.
    rows : ndarray of int64, shape (N,)
        Their positions in the data.
    columns : ndarray of int64, shape (K,)
        Positions of the regressors that were kept.
    effects : Effects or None
    drops : list of Drop
    notes : tuple of str
        What the reader of the result must know.
    """

    fit: PpmlFit
    y: Array
    rows: Positions
    columns: Positions
    effects: Effects | None
    drops: list[Drop]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Sample:
    y: Array
    X: Array
    offset: Array | None
    start: Array | None
    effects: Effects | None
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Search:
    """Flows, design and fixed effects, over all rows of the data.

    Attributes
    ----------
    y : ndarray, shape (N,)
    X : ndarray, shape (K, N)
    offset : ndarray, shape (N,), or None
        As of :func:`~estimation.gravity.ppml.ppml`, weights included.
    factors : sequence of Factor
    varying : sequence of Varying
        Variables with slopes by level.
    names : tuple of str, length K
    stopping : Stopping
    start : ndarray, shape (N,), or None
        Expected flows to begin with.
    """

    y: Array
    X: Array
    offset: Array | None
    factors: Sequence[Factor]
    varying: Sequence[Varying]
    names: tuple[str, ...]
    stopping: Stopping
    start: Array | None = None

    def run(self, rows: Positions, *, drop_separated: bool, singletons: bool) -> Found:
        """Fit the rows at these positions until none is separated.

        Raises
        ------
        DataError
            If no row is left.
        IdentificationError
            If regressors are collinear or swallowed by the effects.
        EstimationError
            If rows are separated and may not be dropped.
        """
        columns, notes = np.arange(len(self.X)), []
        rows, drops = prune(self.y, self.factors, rows, singletons=singletons)
        _refuse_empty(rows, self.y)
        _refuse_separated(drops, drop_separated)
        while True:
            sample = self._sample(rows, columns)
            try:
                fit = self._fit(sample)
            except IdentificationError:
                columns, left_out = self._reduce(rows, columns)
                if not left_out:
                    raise
                notes += left_out
                continue
            certificate = np.zeros(len(rows))
            if fit.falling.any():
                certificate = rectify(sample.y, sample.X, sample.effects, suspects=fit.falling)
            separated = certificate > 0
            if not separated.any():
                if fit.falling.any():
                    notes.append(_uncertified(rows[fit.falling]))
                return Found(fit, sample.y, rows, columns, sample.effects, drops, tuple(notes))
            drops.append(Drop("separated", "", rows[separated], certificate[separated]))
            _refuse_separated(drops, drop_separated)
            rows, more = prune(self.y, self.factors, rows[~separated], singletons=singletons)
            drops += more
            _refuse_empty(rows, self.y)
            columns, left_out = self._reduce(rows, columns)
            notes += left_out

    def _sample(self, rows: Positions, columns: Positions) -> _Sample:
        names = tuple(self.names[k] for k in columns)
        whole = len(rows) == len(self.y)
        y = self.y if whole else self.y[rows]
        X = self.X if whole else np.ascontiguousarray(self.X[np.ix_(columns, rows)])
        offset, start = (
            column if whole or column is None else column[rows]
            for column in (self.offset, self.start)
        )
        if not self.factors:
            return _Sample(y, X, offset, start, None, names)
        codes = [factor.codes if whole else factor.codes[rows] for factor in self.factors]
        varying = self.varying
        if not whole:
            varying = [replace(v, codes=v.codes[rows], values=v.values[rows]) for v in varying]
        effects = arrange(codes, [factor.size for factor in self.factors], varying)
        return _Sample(y, X, offset, start, effects, names)

    def _fit(self, sample: _Sample) -> PpmlFit:
        try:
            if sample.effects is None:
                return ppml_dense(
                    sample.y, sample.X, sample.names, self.stopping, sample.offset, sample.start
                )
            return ppml(
                sample.effects, sample.y, sample.X, sample.names, self.stopping, sample.offset,
                sample.start,
            )  # fmt: skip
        except IdentificationError as problem:
            dropped = len(self.y) - len(sample.y)
            if not dropped:
                raise
            raise IdentificationError(
                f"{problem} ({dropped:,} rows had been dropped before: groups of zeros, "
                "singletons or separated rows.)"
            ) from None

    def _reduce(self, rows: Positions, columns: Positions) -> tuple[Positions, list[str]]:
        """Leave out the regressors that only dropped rows told apart, as ppmlhdfe does."""
        sample = self._sample(rows, columns)
        redundant = redundant_columns(sample.X, sample.effects)
        if redundant.any():
            everything = self._sample(np.arange(len(self.y)), np.arange(len(self.X)))
            redundant &= ~redundant_columns(everything.X, everything.effects)[columns]
        if not redundant.any():
            return columns, []
        if redundant.all() and not self.factors:
            raise IdentificationError(
                "no regressor is identified once the separated rows are dropped: they are all "
                "that tells the coefficients."
            )
        names = [f"'{self.names[k]}'" for k in columns[redundant]]
        note = (
            f"{enumerate_some(names)} left out: without the rows that had to be dropped it is a "
            "combination of the other regressors and the fixed effects."
        )
        return columns[~redundant], [note]


def _uncertified(rows: Positions) -> str:
    return (
        f"the linear predictor keeps falling in {len(rows):,} rows without flow (rows "
        f"{enumerate_some(rows.tolist())}), as under separation, but no certificate was found; "
        "check the coefficients that these rows identify."
    )


def _refuse_empty(rows: Positions, y: Array) -> None:
    if not (y > 0).any():
        raise DataError("every flow is zero; there is nothing to explain.")
    if len(rows) == 0:
        raise DataError(
            "no row is left after dropping fixed-effect groups with zero flows only, or of a "
            "single row; use coarser fixed effects."
        )


def _refuse_separated(drops: Sequence[Drop], allowed: bool) -> None:
    bad = [drop for drop in drops if drop.reason != "singleton"]
    if allowed or not bad:
        return
    count = sum(len(drop.rows) for drop in bad)
    raise EstimationError(
        f"{count:,} rows are separated (rows {enumerate_some(bad[0].rows.tolist())}): no finite "
        "estimate exists with them; drop_separated=True leaves them out and counts them."
    )
