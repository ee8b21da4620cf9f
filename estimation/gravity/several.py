"""Many gravity models at once: several flows, formulas and subsets, in one call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import NestflowError, SpecificationError
from choicemodels.flows.flowdata import FlowData
from choicemodels.flows.gravity import Gravity
from choicemodels.flows.stepwise import stepwise
from estimation.gravity.fit import fit_gravity
from estimation.gravity.result import GravityResult
from estimation.gravity.sample import names_several
from estimation.table import Table, table

__all__ = ["SeveralFits", "fit_several"]

Rows = NDArray[np.int64]

_ALL = "all"


@dataclass(frozen=True, eq=False)
class SeveralFits:
    """Fitted models, in the order subset, flow, formula; the last varies fastest.

    Attributes
    ----------
    results : tuple of GravityResult
    labels : DataFrame
        One row for each result, in the same order: ``sample`` (the value of the column that
        splits the data, or ``"all"``), ``flow`` and ``formula``.
    """

    results: tuple[GravityResult, ...]
    labels: pd.DataFrame

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[GravityResult]:
        return iter(self.results)

    def __getitem__(self, number: int) -> GravityResult:
        return self.results[number]

    def select(self, **labels: Any) -> "SeveralFits":
        """Keep the results with these labels, such as ``flow="migrants"``.

        Raises
        ------
        SpecificationError
            If there is no such label, or no result has it.
        """
        keep = np.ones(len(self), dtype=np.bool_)
        for name, value in labels.items():
            if name not in self.labels:
                raise SpecificationError(
                    f"there is no label '{name}'; choose from: {', '.join(map(str, self.labels))}."
                )
            keep &= (self.labels[name] == value).to_numpy()
        if not keep.any():
            raise SpecificationError(f"no result has the labels {labels}.")
        chosen = np.flatnonzero(keep)
        return SeveralFits(
            tuple(self.results[i] for i in chosen), self.labels.iloc[chosen].reset_index(drop=True)
        )

    def with_cov(self, kind: str, **options: Any) -> "SeveralFits":
        """Return the same estimates with another covariance; see :meth:`GravityResult.with_cov`."""
        return SeveralFits(tuple(r.with_cov(kind, **options) for r in self.results), self.labels)

    def table(self, **options: Any) -> Table:
        """Put the results side by side; options are those of :func:`estimation.table`.

        Of several samples, each column is headed by its own.
        """
        samples = list(map(str, self.labels["sample"]))
        if len(set(samples)) > 1:
            options = {"heads": samples, **options}
        return table(*self.results, **options)

    def coefficients(self) -> pd.DataFrame:
        """Return one row for each coefficient of each result, with labels and standard errors."""
        rows = [
            pd.DataFrame(
                {
                    "sample": sample,
                    "flow": flow,
                    "formula": formula,
                    "coefficient": r.names,
                    "estimate": r.estimate,
                    "se": r.bse.to_numpy(),
                }
            )
            for (sample, flow, formula), r in zip(
                self.labels.itertuples(index=False), self.results, strict=True
            )
        ]
        return pd.concat(rows, ignore_index=True)


def fit_several(
    models: str | Gravity | Sequence[Gravity],
    data: FlowData,
    *,
    flow: str | Sequence[str] | None = None,
    split: str | None = None,
    full: bool = False,
    **options: Any,
) -> SeveralFits:
    """Estimate every combination of subsets, flow columns and formulas.

    The work is shared: places are coded once, and a search begins where the one before it on the
    same rows and flow has ended.

    Parameters
    ----------
    models
        A formula with stepwise parts (:func:`~choicemodels.flows.stepwise.stepwise`), a model, or
        several.
    data
    flow
        Columns with flows; by default that of the data.
    split
        A column: a fit on the rows of each of its values, which the results count from zero.
    full
        Whether all rows together come first when the data are split.
    **options
        Those of :func:`~estimation.gravity.fit.fit_gravity`; groups given by row are by row of
        all the data, also if these are split.

    Raises
    ------
    SpecificationError
        If no model is given, or the split has a single value.
    DataError
        If a column is missing, or one of the fits fails; the message says which.
    """
    specifications = _specifications(models)
    flows = [data.flow] if flow is None else [flow] if isinstance(flow, str) else list(flow)
    alone = len(flows) == len(specifications) == 1 and split is None
    results, labels = [], []
    for label, sample, rows in _samples(data, split, full, flows):
        last: GravityResult | None = None
        own = {**options, "groups": _among(options.get("groups"), rows, data.nobs)}
        for model in specifications:
            where = "" if alone else _place(model, sample.flow, split, label)
            last = _fit_one(model, sample, where, {**own, "start": last})
            results.append(last)
            labels.append((label, sample.flow, model.formula))
    return SeveralFits(tuple(results), pd.DataFrame(labels, columns=["sample", "flow", "formula"]))


def _among(groups: Any, rows: Rows | None, count: int) -> Any:
    """Return groups that are given by row of all the data, for some of the rows."""
    if rows is None or groups is None or isinstance(groups, str):
        return groups
    if names_several(groups):
        return [_among(way, rows, count) for way in groups]
    if np.ndim(groups) != 1 or len(groups) != count:
        return groups
    return groups.iloc[rows] if isinstance(groups, pd.Series) else np.asarray(groups)[rows]


def _place(model: Gravity, flow: str, split: str | None, label: Any) -> str:
    return f"'{model.formula}' for {flow}" + ("" if split is None else f" in {label}") + ": "


def _fit_one(model: Gravity, data: FlowData, where: str, options: dict[str, Any]) -> GravityResult:
    try:
        return fit_gravity(model, data, **options)
    except NestflowError as problem:
        raise type(problem)(f"{where}{problem}") from None


def _specifications(models: str | Gravity | Sequence[Gravity]) -> tuple[Gravity, ...]:
    if isinstance(models, str):
        return stepwise(models)
    several = (models,) if isinstance(models, Gravity) else tuple(models)
    if not several or not all(isinstance(model, Gravity) for model in several):
        raise SpecificationError("fit_several() takes a formula, a Gravity, or several of them.")
    return several


def _samples(
    data: FlowData, split: str | None, full: bool, flows: Sequence[str]
) -> Iterator[tuple[Any, FlowData, Rows | None]]:
    """Yield each subset with each flow column, one at a time: label, flows, rows of the data."""
    for label, subset, rows in _subsets(data, split, full):
        for name in flows:
            yield label, subset if name == subset.flow else subset.with_flow(name), rows


def _subsets(
    data: FlowData, split: str | None, full: bool
) -> Iterator[tuple[Any, FlowData, Rows | None]]:
    if split is None:
        yield _ALL, data, None
        return
    by = data.factor(split)
    if by.size < 2:
        raise SpecificationError(f"column '{split}' has a single value; there is nothing to split.")
    if full:
        yield _ALL, data, None
    for code, label in enumerate(by.labels(np.arange(by.size))):
        rows = np.flatnonzero(by.codes == code)
        yield label, replace(data, table=data.table.iloc[rows].reset_index(drop=True)), rows
