"""Scenarios side by side: shares, what changes, where it comes from, and what it is worth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.choicedata import ChoiceData
from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.frames import closest
from estimation.choice.predicted import (
    CaseGroups,
    Derived,
    case_groups,
    derive,
    estimate_table,
    fitted_over,
    weighted_shares,
)
from estimation.choice.result import ChoiceResult
from estimation.choice.welfare import surplus
from estimation.summary import format_table

__all__ = ["Comparison", "compare"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Predicted shares of several scenarios.

    Attributes
    ----------
    cells : MultiIndex, length Q
        Scenario, group and alternative.
    estimates : Derived
        The Q shares, with their derivatives by the parameters.
    base : str
        The scenario that the others are compared with.
    by : str or None
        Column of the groups.
    welfare : DataFrame or None
        Change of consumer surplus in each scenario but the base, if a price was named.
    notes : tuple of str
    """

    cells: pd.MultiIndex
    estimates: Derived
    base: str
    by: str | None
    welfare: pd.DataFrame | None
    notes: tuple[str, ...]

    @property
    def shares(self) -> pd.DataFrame:
        """One row for each scenario, group and alternative: share, std err, limits."""
        table = estimate_table(self.estimates.value, self.estimates.std_err, self.cells)
        table = table.drop(columns=["z", "P>|z|"]).rename(columns={"estimate": "share"})
        return self._without_all(table)

    @property
    def changes(self) -> pd.DataFrame:
        """One row for each share of a scenario but the base: change, std err, z, p, limits.

        Standard errors are those of the difference, whose two shares have their parameters in
        common.
        """
        now, base = self._with_base()
        change = Derived(
            self.estimates.value[now] - self.estimates.value[base],
            self.estimates.jacobian[now] - self.estimates.jacobian[base],
            self.estimates.covariance,
        )
        table = estimate_table(change.value, change.std_err, self.cells[now])
        table = table.rename(columns={"estimate": "change"})
        table.insert(0, "share", self.estimates.value[now])
        return self._without_all(table)

    def diversion(self, scenario: str, of: str | None = None) -> pd.DataFrame:
        """Return which part of one alternative's change comes from each of the others.

        The diversion ratio from alternative k to j is minus the change of the share of j over
        that of k [ConlonMortimer2021]_.

        Parameters
        ----------
        scenario
            Its changes from the base are looked at.
        of
            The alternative k; by default the one whose share changes most.

        Raises
        ------
        SpecificationError
            If a name is unknown, or the share of the alternative does not change.
        """
        now, base = self._with_base()
        names = self.cells.get_level_values("scenario")
        self._check(scenario, [name for name in names.unique() if name != self.base], "scenario")
        chosen = names[now] == scenario
        now, base = now[chosen], base[chosen]
        value = self.estimates.value[now] - self.estimates.value[base]
        jacobian = self.estimates.jacobian[now] - self.estimates.jacobian[base]
        cells = self.cells[now].droplevel("scenario")
        alternatives = list(cells.get_level_values("alternative").unique())
        J = len(alternatives)
        if of is None:
            of = alternatives[int(np.abs(value.reshape(-1, J)).sum(axis=0).argmax())]
        self._check(of, alternatives, "alternative")
        k = np.repeat(np.arange(0, len(value), J) + alternatives.index(of), J)
        if (value[k] == 0).any():
            raise SpecificationError(f"the share of '{of}' does not change in '{scenario}'.")
        ratio = -value / value[k]
        slopes = -(jacobian + ratio[:, None] * jacobian[k]) / value[k][:, None]
        found = Derived(ratio, slopes, self.estimates.covariance)
        others = np.flatnonzero(cells.get_level_values("alternative") != of)
        found = found.rows(others)
        table = estimate_table(found.value, found.std_err, cells[others])
        return self._without_all(table.rename(columns={"estimate": f"diversion of {of}"}))

    def _with_base(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the positions of the shares that are compared, and of those of the base."""
        is_base = self.cells.get_level_values("scenario") == self.base
        now, base = np.flatnonzero(~is_base), np.flatnonzero(is_base)
        return now, np.tile(base, len(now) // len(base))

    def _without_all(self, table: pd.DataFrame) -> pd.DataFrame:
        """Drop the level of the groups if there are none."""
        return table if self.by is not None else table.droplevel("group")

    def _check(self, name: str, known: list[str], what: str) -> None:
        if name not in known:
            raise SpecificationError(
                f"there is no {what} '{name}'{closest(name, known)}; there are: "
                f"{enumerate_some(known, 12)}."
            )

    def __str__(self) -> str:
        parts = [format_table(self.shares).to_string(max_rows=60)]
        parts.append(f"Changes from '{self.base}'")
        parts.append(format_table(self.changes).to_string(max_rows=60))
        if self.welfare is not None:
            parts += ["Change of consumer surplus", format_table(self.welfare).to_string()]
        return "\n".join([*parts, *self.notes])


def compare(
    result: ChoiceResult,
    scenarios: Mapping[str, ChoiceData],
    *,
    base: str | None = None,
    by: str | None = None,
    price: str | None = None,
    marginal_utility: str | None = None,
) -> Comparison:
    """Predict shares in several scenarios and compare them.

    Parameters
    ----------
    result
        Its covariance is used as it is: choose it with ``with_cov`` first.
    scenarios
        Name to data; :mod:`choicemodels.choices.scenario_data` makes them from those of
        today. Shares are means over the cases with their weights; an alternative that a scenario
        does not offer has a share of zero.
    base
        What the others are compared with; the first by default.
    by
        Column by which to group the cases (``"a^b"`` joins two).
    price, marginal_utility
        To value the changes as in :func:`estimation.choice.welfare.surplus`, which asks for the
        same cases in all scenarios.

    Raises
    ------
    SpecificationError
        If there are fewer than two scenarios, or the base is not among them.
    DataError
        If a group of cases is not in all scenarios.
    """
    if not isinstance(scenarios, Mapping):
        raise SpecificationError(
            f"compare() was given a {type(scenarios).__name__} of scenarios; give them names, as "
            "in {'today': data, 'new line': changed}."
        )
    names = list(scenarios)
    if len(names) < 2:
        raise SpecificationError("compare() needs at least two scenarios.")
    base = base if base is not None else names[0]
    if base not in scenarios:
        raise SpecificationError(
            f"base='{base}'{closest(base, names)} is no scenario; there are: {', '.join(names)}."
        )
    laid_out = [fitted_over(result, data, name) for name, data in scenarios.items()]
    offered = {a for data, _ in laid_out for a in data.alternatives}
    alternatives = [name for name in result.alternatives if name in offered]
    groups = _common_groups(names, [case_groups(data, by) for data, _ in laid_out])
    places = [
        np.array([alternatives.index(name) for name in data.alternatives]) for data, _ in laid_out
    ]

    def shares(theta: Array) -> Array:
        return np.concatenate(
            [
                weighted_shares(at(theta)[0], data, of, place, len(alternatives)).ravel()
                for (data, at), of, place in zip(laid_out, groups, places, strict=True)
            ]
        )

    cells = pd.MultiIndex.from_product(
        [names, list(groups[0].labels), alternatives],
        names=["scenario", by or "group", "alternative"],
    )
    welfare = None
    if price is not None or marginal_utility is not None:
        options = {"price": price, "marginal_utility": marginal_utility, "by": by}
        welfare = pd.concat(
            {
                name: surplus(result, scenarios[base], data, **options).table
                for name, data in scenarios.items()
                if name != base
            },
            names=["scenario"],
        )
    notes = (f"Standard errors: {result.covariance.label}, by the delta method.",)
    return Comparison(cells, derive(result, shares), base, by, welfare, notes)


def _common_groups(names: list[str], groups: list[CaseGroups]) -> list[CaseGroups]:
    """Refuse scenarios that do not hold the same groups."""
    for name, found in zip(names, groups, strict=True):
        differs = groups[0].labels.symmetric_difference(found.labels)
        if len(differs):
            raise DataError(
                f"the scenarios '{names[0]}' and '{name}' do not hold the same groups of "
                f"'{found.name}' ({enumerate_some(differs.tolist())} in one of them alone)."
            )
    return groups
