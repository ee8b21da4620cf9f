"""Choice data: who could choose what, and what they chose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.check import CheckReport, Problem, check_columns, check_rows
from choicemodels.choices.description import Description, describe_choices
from choicemodels.choices.long import (
    NO_OFFER,
    alternative_codes,
    case_offsets,
    check_offers,
    check_panel,
    check_weights,
    chosen_rows,
    flags,
    together,
)
from choicemodels.choices.weighting import weigh_choice_based
from choicemodels.choices.wide import melt
from choicemodels.errors import DataError, enumerate_some
from choicemodels.frames import numeric_column, require_columns, to_pandas

__all__ = ["ChoiceData"]

if TYPE_CHECKING:
    from choicemodels.choices.factored import FactoredChoiceData
    from choicemodels.choices.sampling import Sample

Ints = NDArray[np.int64]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ChoiceData:
    """N cases with ragged choice sets, stored flat: R rows of (case, alternative).

    Build it with :meth:`from_long` or :meth:`from_wide`.

    Attributes
    ----------
    table : DataFrame, R rows
        The user's columns, rows of a case together. Unavailable rows are gone.
    alternatives : tuple of str, length J
    offsets : ndarray of int64, shape (N + 1,)
        Case n has the rows ``offsets[n]:offsets[n + 1]``.
    alternative : ndarray of int64, shape (R,)
        Position of each row's alternative among ``alternatives``.
    chosen : ndarray of int64, shape (N,)
        Row of the chosen alternative; -1 where none is known.
    weights : ndarray of float64, shape (N,)
    case_ids : ndarray, shape (N,)
    case_name, alternative_name : str
        Names of the columns that say so.
    panel_name : str or None
        Column of the decision maker, if one makes several choices.
    unavailable : int
        Rows left out because they were marked unavailable.
    problems : tuple of Problem
        What the border found; empty unless built with ``strict=False``.
    sample : Sample or None
        How the choice sets were drawn from larger ones, see
        :func:`~choicemodels.choices.sampling.sample_alternatives`.
    population_shares : mapping or None
        What the weights make of a sample drawn by choices, see :meth:`choice_based`.
    """

    table: pd.DataFrame
    alternatives: tuple[str, ...]
    offsets: Ints
    alternative: Ints
    chosen: Ints
    weights: Array
    case_ids: NDArray[Any]
    case_name: str
    alternative_name: str
    panel_name: str | None = None
    unavailable: int = 0
    problems: tuple[Problem, ...] = field(default=())
    sample: "Sample | None" = None
    population_shares: Mapping[str, float] | None = None

    @classmethod
    def from_long(
        cls,
        df: Any,
        case: str,
        alternative: str,
        chosen: str | None = None,
        *,
        available: str | None = None,
        weights: str | None = None,
        panel: str | None = None,
        alternatives: Sequence[str] | None = None,
        strict: bool = True,
    ) -> Self:
        """Take one row for each alternative of each case.

        Parameters
        ----------
        df
            pandas, polars, Arrow or DuckDB table.
        case, alternative
            Columns that identify the case and the alternative.
        chosen
            Column that is 1 (or True) where the alternative was chosen. Leave it out for
            prediction.
        available
            Column that is 0 where the row is no option; such rows are left out and counted.
        weights
            Column of case weights, constant within a case.
        panel
            Column of the decision maker.
        alternatives
            Order of the alternatives; the first is the default base. Without it: the order of
            the categories, of the numbers, or of first appearance.
        strict
            Refuse data with problems (True), or keep them for :meth:`check` to list.

        Raises
        ------
        DataError
            Naming the cases or rows at fault and the remedy.
        """
        frame = to_pandas(df)
        named = [case, alternative, chosen, available, weights, panel]
        require_columns(frame, [name for name in named if name is not None])
        frame, case_codes = together(frame, case)
        names, codes = alternative_codes(frame[alternative], alternative, alternatives)
        is_chosen = flags(frame, chosen) if chosen else None
        is_available = flags(frame, available) if available else None
        problems = check_rows(
            frame[case].to_numpy(),
            names,
            case_codes,
            codes,
            is_chosen,
            is_available,
        )
        problems += check_offers(is_available, case_offsets(case_codes), frame[case])
        keep = slice(None) if is_available is None else is_available
        if is_available is not None and not is_available.all():
            frame = frame[is_available].reset_index(drop=True)
            case_codes, codes = case_codes[keep], codes[keep]
            is_chosen = is_chosen[keep] if is_chosen is not None else None
            frame, case_codes = together(frame, case)
        if len(frame) == 0:
            raise DataError(f"no row is available: the column '{available}' is 0 everywhere.")
        offsets = case_offsets(case_codes)
        row_weights = numeric_column(frame, weights) if weights else None
        problems += check_weights(row_weights, offsets, frame[case])
        if panel is not None:
            problems += check_panel(frame[panel], panel, offsets, frame[case])
        errors = [str(p) for p in problems if p.severity == "error"]
        if strict and errors:
            raise DataError(" ".join(errors))
        return cls(
            table=frame,
            alternatives=names,
            offsets=offsets,
            alternative=codes,
            chosen=chosen_rows(is_chosen, offsets),
            weights=np.ones(len(offsets) - 1) if row_weights is None else row_weights[offsets[:-1]],
            case_ids=frame[case].to_numpy()[offsets[:-1]],
            case_name=case,
            alternative_name=alternative,
            panel_name=panel,
            unavailable=0 if is_available is None else int((~is_available).sum()),
            problems=problems,
        )

    @classmethod
    def from_wide(
        cls,
        df: Any,
        *,
        choice: str | None = None,
        alternatives: Sequence[str] | Mapping[Any, str],
        varying: Mapping[str, Mapping[str, str]],
        available: Mapping[str, str] | None = None,
        case: str | None = None,
        weights: str | None = None,
        panel: str | None = None,
        strict: bool = True,
    ) -> Self:
        """Take one row for each case.

        Parameters
        ----------
        df
            pandas, polars, Arrow or DuckDB table.
        choice
            Column that holds the chosen alternative; leave it out for prediction.
        alternatives
            Names of the alternatives, or a mapping from the codes in ``choice`` to names, of
            which several may share one.
        varying
            For each variable that differs between alternatives, the column of each one:
            ``{"cost": {"train": "TRAIN_CO", "car": "CAR_CO"}}``. An alternative left out of a
            variable gets zero.
        available
            For each alternative the column that is 0 where it is no option.
        case
            Column that identifies the case; the row number by default.
        weights, panel, strict
            As in :meth:`from_long`.

        Raises
        ------
        DataError
            As in :meth:`from_long`, and where ``choice`` holds an unknown code.
        """
        long, case, chosen, available_name = melt(
            to_pandas(df), choice, alternatives, varying, available, case
        )
        return cls.from_long(
            long,
            case=case,
            alternative="alternative",
            chosen=chosen,
            available=available_name,
            weights=weights,
            panel=panel,
            alternatives=list(long["alternative"].cat.categories),
            strict=strict,
        )

    @classmethod
    def from_factors(
        cls,
        choosers: Any,
        alternatives: Any,
        pairs: Any = None,
        *,
        alternative: str,
        chooser: str | None = None,
        origin: str | None = None,
        chosen: str | None = None,
        stay: str | None = "stay",
        weights: str | None = None,
        panel: str | None = None,
        strict: bool = True,
    ) -> "FactoredChoiceData":
        """Take choices among many places as the tables they are made of.

        Every chooser is offered every alternative but the own place, and may stay. The long
        layout, with a row for each chooser and alternative, is never made.

        Parameters
        ----------
        choosers
            One row for each chooser, with their variables.
        alternatives
            One row for each alternative. The alternative to stay needs none: it takes the
            variables of the chooser's own place.
        pairs
            One row for each origin and alternative, with distances and the like; staying is the
            pair of a place with itself, or with ``stay``.
        alternative
            Key column of ``alternatives`` and ``pairs``.
        chooser, origin, chosen
            Columns of ``choosers``: the identity, the own place (a key column of ``pairs`` as
            well), and the chosen alternative, left out for prediction.
        stay
            Name of the alternative to stay; None if nobody can stay, and then the own place is
            offered like any other.
        weights, panel, strict
            As in :meth:`from_long`.

        Raises
        ------
        DataError, SpecificationError
            Naming the table, column and key at fault.
        """
        from choicemodels.choices.factored import FactoredChoiceData

        return FactoredChoiceData.build(
            choosers,
            alternatives,
            pairs,
            chooser=chooser,
            origin=origin,
            alternative=alternative,
            chosen=chosen,
            stay=stay,
            weights=weights,
            panel=panel,
            strict=strict,
        )

    def __repr__(self) -> str:
        return (
            f"<ChoiceData: {self.n_cases:,} cases, {len(self.alternatives):,} alternatives, "
            f"{len(self.table):,} rows>"
        )

    @property
    def n_cases(self) -> int:
        """Number of cases, N."""
        return len(self.offsets) - 1

    @property
    def has_choices(self) -> bool:
        """Whether every case has a known choice."""
        return bool((self.chosen >= 0).all())

    @property
    def set_sizes(self) -> Ints:
        """Number of alternatives in each case, shape (N,)."""
        return np.diff(self.offsets)

    @property
    def chosen_alternative(self) -> Ints:
        """Position of each case's chosen alternative, -1 where none is known, shape (N,)."""
        return np.where(self.chosen >= 0, self.alternative[self.chosen], -1)

    @property
    def variables(self) -> pd.DataFrame:
        """The columns that formulas may name."""
        return self.table

    def choice_sets(self) -> tuple[NDArray[np.bool_], Ints]:
        """Return the distinct choice sets, shape (G, J), and which one each case faces, (N,)."""
        J = len(self.alternatives)
        # A random 64-bit mark for each alternative: equal sums are equal sets, but for a chance
        # of about N^2 / 2^64.
        generator = np.random.Generator(np.random.Philox(key=7))
        marks = generator.integers(1, 2**63, size=J, dtype=np.uint64)
        keys = np.add.reduceat(marks[self.alternative], self.offsets[:-1])
        _, first, group = np.unique(keys, return_index=True, return_inverse=True)
        offered = np.zeros((len(first), J), dtype=bool)
        for g, n in enumerate(first):
            offered[g, self.alternative[self.offsets[n] : self.offsets[n + 1]]] = True
        return offered, group

    def varying_case(self, name: str) -> Any:
        """Return a case within which a variable differs between alternatives, or None."""
        codes = pd.factorize(self.table[name])[0]
        varies = np.flatnonzero(codes != np.repeat(codes[self.offsets[:-1]], self.set_sizes))
        return self.table[self.case_name].iloc[varies[0]] if len(varies) else None

    def choice_based(self, population_shares: Mapping[str, float]) -> Self:
        """Weight a sample that was drawn by the chosen alternative (WESML).

        The arguments are those of :func:`~choicemodels.choices.weighting.weigh_choice_based`.
        """
        return weigh_choice_based(self, population_shares)

    def check(self) -> CheckReport:
        """List everything suspicious in the data, each with its rows and remedy."""
        notes = check_columns(
            self.table, self.offsets, skip={self.case_name, self.alternative_name}
        )
        return CheckReport(self.problems + notes)

    def describe(self) -> Description:
        """Count cases, alternatives, sizes of choice sets and shares."""
        sizes = self.set_sizes
        J = len(self.alternatives)
        offered = np.bincount(self.alternative, minlength=J)
        taken = np.bincount(self.alternative[self.chosen[self.chosen >= 0]], minlength=J)
        facts = {
            "cases": f"{self.n_cases:,}",
            "rows": f"{len(self.table):,}",
            "alternatives": f"{J:,}",
            "set sizes": f"{sizes.min()} to {sizes.max()}, mean {sizes.mean():.2f}",
            "unavailable rows left out": f"{self.unavailable:,}",
        }
        lost = sum(p.count for p in self.problems if p.check == NO_OFFER)
        if lost:
            facts["cases without any alternative left out"] = f"{lost:,}"
        if self.panel_name:
            facts[f"decision makers ({self.panel_name})"] = (
                f"{self.table[self.panel_name].nunique():,}"
            )
        return describe_choices(facts, self.alternatives, offered, taken)

    def case_groups(self, groups: str | NDArray[Any]) -> tuple[str, NDArray[Any]]:
        """Return the name and the label of every case of a grouping, shape (N,).

        Parameters
        ----------
        groups
            A column that is constant within cases (``"a^b"`` joins two), or one label a case.

        Raises
        ------
        DataError
            If the column varies within a case or the array has another length.
        """
        if not isinstance(groups, str):
            labels = np.asarray(groups)
            if labels.shape != (self.n_cases,):
                raise DataError(
                    f"the array of groups has shape {labels.shape}; give one label for each of the "
                    f"{self.n_cases:,} cases."
                )
            return "groups", labels
        parts = [part.strip() for part in groups.split("^")]
        require_columns(self.table, parts)
        codes = pd.MultiIndex.from_frame(self.table[parts]).factorize()[0]
        if self.table[parts].isna().any(axis=None):
            rows = np.flatnonzero(self.table[parts].isna().any(axis=1))
            raise DataError(
                f"the grouping '{groups}' is missing in {len(rows):,} rows (first: "
                f"{enumerate_some(rows.tolist())}); drop them or give them a group."
            )
        first = np.repeat(codes[self.offsets[:-1]], self.set_sizes)
        if (first != codes).any():
            at = self.table[self.case_name].iloc[int(np.flatnonzero(first != codes)[0])]
            raise DataError(
                f"the grouping '{groups}' varies within the case {at}; a cluster holds whole cases."
            )
        return groups, codes[self.offsets[:-1]]
