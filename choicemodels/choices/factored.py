"""Choices among many places, kept as the tables they are made of and never expanded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.choices.check import CheckReport, Problem
from choicemodels.choices.choicedata import ChoiceData
from choicemodels.choices.description import Description, describe_choices
from choicemodels.choices.long import check_panel
from choicemodels.choices.places import PlaceTable, place_table, text_keys
from choicemodels.choices.weighting import weigh_choice_based
from choicemodels.errors import DataError, enumerate_some
from choicemodels.frames import JoinedColumns, closest, numeric_column, require_columns, to_pandas

__all__ = ["FactoredChoiceData"]

Ints = NDArray[np.int64]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class FactoredChoiceData:
    """N choosers, J alternatives, and what varies by chooser, by alternative, and by pair.

    Build it with :meth:`ChoiceData.from_factors`. It holds ``N + O J`` rows where the long layout
    has ``N J``.

    Attributes
    ----------
    choosers : DataFrame, N rows
    places : PlaceTable
        What choosers of each origin are offered, with the variables of alternatives and pairs.
    alternatives : tuple of str, length J
    origin : ndarray of int64, shape (N,)
        Position of each chooser's origin in ``places``.
    chosen_alternative : ndarray of int64, shape (N,)
        Position of the chosen alternative; -1 where none is known.
    weights : ndarray of float64, shape (N,)
    case_ids : ndarray, shape (N,)
    case_name, alternative_name : str
    panel_name : str or None
    stay : str or None
        The alternative to stay.
    problems : tuple of Problem
    population_shares : mapping or None
        What the weights make of a sample drawn by choices, see :meth:`choice_based`.
    """

    choosers: pd.DataFrame
    places: PlaceTable
    alternatives: tuple[str, ...]
    origin: Ints
    chosen_alternative: Ints
    weights: Array
    case_ids: NDArray[Any]
    case_name: str
    alternative_name: str
    panel_name: str | None = None
    stay: str | None = None
    problems: tuple[Problem, ...] = field(default=())
    population_shares: Mapping[str, float] | None = None

    @classmethod
    def build(
        cls,
        choosers: Any,
        alternatives: Any,
        pairs: Any,
        *,
        chooser: str | None,
        origin: str | None,
        alternative: str,
        chosen: str | None,
        stay: str | None,
        weights: str | None,
        panel: str | None,
        strict: bool,
    ) -> Self:
        """Take the tables apart; the arguments are those of :meth:`ChoiceData.from_factors`."""
        frame = to_pandas(choosers, what="choosers=")
        named = [name for name in (chooser, origin, chosen, weights, panel) if name is not None]
        require_columns(frame, named, what="choosers=")
        keys = text_keys(frame[origin], origin, "choosers=") if origin is not None else None
        origins = () if keys is None else tuple(sorted(pd.unique(keys)))
        places = place_table(alternatives, pairs, origins, origin, alternative, stay)
        _refuse_ambiguous(frame, places.table, {origin, alternative})
        codes = np.zeros(len(frame), dtype=np.int64)
        if keys is not None:
            codes = pd.Index(origins).get_indexer(pd.Index(keys)).astype(np.int64)
        took = np.full(len(frame), -1, dtype=np.int64)
        problems: tuple[Problem, ...] = ()
        ids = np.arange(len(frame)) if chooser is None else frame[chooser].to_numpy()
        if chosen is not None:
            took, problems = _choices(frame[chosen], chosen, codes, places, ids)
        if chooser is not None and frame[chooser].duplicated().any():
            again = frame[chooser][frame[chooser].duplicated()]
            problems += (
                Problem("choosers", "error", len(again), f"{chooser} {again.iloc[0]} stands twice",
                        "give one row a choice; name repeated decision makers with panel="),
            )  # fmt: skip
        values = np.ones(len(frame)) if weights is None else numeric_column(frame, weights)
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if len(bad):
            problems += (
                Problem("weights", "error", len(bad), f"chooser {ids[bad[0]]}",
                        "weights must be finite and not negative"),
            )  # fmt: skip
        if panel is not None:
            cases = pd.Series(ids)
            problems += check_panel(frame[panel], panel, np.arange(len(frame) + 1), cases)
        if strict and problems:
            raise DataError(" ".join(map(str, problems)))
        return cls(
            frame,
            places,
            places.alternatives,
            codes,
            took,
            values,
            ids,
            chooser or "case",
            alternative,
            panel,
            stay,
            problems,
        )

    def __repr__(self) -> str:
        return (
            f"<FactoredChoiceData: {self.n_cases:,} choosers, {len(self.alternatives):,} "
            f"alternatives, {len(self.places.origins):,} origins>"
        )

    @property
    def n_cases(self) -> int:
        """Number of choosers, N."""
        return len(self.origin)

    @property
    def has_choices(self) -> bool:
        """Whether every chooser has a known choice."""
        return bool((self.chosen_alternative >= 0).all())

    @property
    def set_sizes(self) -> Ints:
        """Number of alternatives that each chooser is offered, shape (N,)."""
        return np.asarray(np.diff(self.places.offsets)[self.origin])

    @property
    def variables(self) -> JoinedColumns:
        """The columns that formulas may name."""
        return JoinedColumns(self.choosers, self.places.table)

    def choice_sets(self) -> tuple[NDArray[np.bool_], Ints]:
        """Return the distinct choice sets (O, J) and which one each chooser faces, (N,)."""
        offered = np.zeros((len(self.places.offsets) - 1, len(self.alternatives)), dtype=bool)
        offered[self.places.origin, self.places.alternative] = True
        return offered, self.origin

    def varying_case(self, name: str) -> Any:
        """Return a case within which a variable differs between alternatives, or None."""
        return None if name in self.choosers.columns else self.case_ids[0]

    def take(self, cases: Ints) -> Self:
        """Keep some choosers, in the order given."""
        return replace(
            self,
            choosers=self.choosers.iloc[cases].reset_index(drop=True),
            origin=self.origin[cases],
            chosen_alternative=self.chosen_alternative[cases],
            weights=self.weights[cases],
            case_ids=self.case_ids[cases],
        )

    def to_long(self, cases: Ints | None = None) -> ChoiceData:
        """Lay the choices out, one row for each alternative of each chooser.

        Parameters
        ----------
        cases
            Which choosers; all by default, which takes ``N J`` rows.
        """
        some = self if cases is None else self.take(cases)
        sizes = some.set_sizes
        first = np.repeat(some.places.offsets[some.origin], sizes)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        cells = first + np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
        return some.lay_out(offsets, cells)

    def lay_out(self, offsets: Ints, cells: Ints) -> ChoiceData:
        """Lay out some of what every chooser is offered.

        Parameters
        ----------
        offsets
            Chooser n gets the cells ``cells[offsets[n]:offsets[n + 1]]``, shape (N + 1,).
        cells
            Rows of ``places.table``.
        """
        case = np.repeat(np.arange(self.n_cases), np.diff(offsets))
        alternative = self.places.alternative[cells]
        extra = [name for name in self.places.table if name not in self.choosers.columns]
        table = pd.concat(
            [
                self.choosers.iloc[case].reset_index(drop=True),
                self.places.table[extra].iloc[cells].reset_index(drop=True),
            ],
            axis=1,
        )
        table[self.case_name] = self.case_ids[case]
        table[self.alternative_name] = np.array(self.alternatives, dtype=object)[alternative]
        taken = np.flatnonzero(alternative == self.chosen_alternative[case])
        chosen = np.full(self.n_cases, -1, dtype=np.int64)
        chosen[case[taken]] = taken
        return ChoiceData(
            table=table,
            alternatives=self.alternatives,
            offsets=offsets,
            alternative=alternative,
            chosen=chosen,
            weights=self.weights,
            case_ids=self.case_ids,
            case_name=self.case_name,
            alternative_name=self.alternative_name,
            panel_name=self.panel_name,
            problems=self.problems,
            population_shares=self.population_shares,
        )

    def choice_based(self, population_shares: Mapping[str, float]) -> Self:
        """Weight a sample that was drawn by the chosen alternative (WESML).

        The arguments are those of :func:`~choicemodels.choices.weighting.weigh_choice_based`.
        """
        return weigh_choice_based(self, population_shares)

    def check(self) -> CheckReport:
        """List everything suspicious in the data."""
        return CheckReport(self.problems)

    def describe(self) -> Description:
        """Count choosers, alternatives and origins, and how often each was offered and taken."""
        offered, sets = self.choice_sets()
        J = len(self.alternatives)
        faced = np.bincount(sets, minlength=len(offered)) @ offered
        known = self.chosen_alternative[self.chosen_alternative >= 0]
        taken = np.bincount(known, minlength=J)
        sizes = self.set_sizes
        facts = {
            "choosers": f"{self.n_cases:,}",
            "rows if expanded": f"{sizes.sum():,}",
            "alternatives": f"{J:,}",
            "origins": f"{len(self.places.origins):,}",
            "set sizes": f"{sizes.min()} to {sizes.max()}, mean {sizes.mean():.2f}",
        }
        return describe_choices(facts, self.alternatives, faced, taken)

    def case_groups(self, groups: str | NDArray[Any]) -> tuple[str, NDArray[Any]]:
        """Return the name and the label of every chooser of a grouping, shape (N,).

        Raises
        ------
        DataError
            If a column is missing or has missing values, or the array has another length.
        """
        if not isinstance(groups, str):
            labels = np.asarray(groups)
            if labels.shape != (self.n_cases,):
                raise DataError(
                    f"the array of groups has shape {labels.shape}; give one label for each of the "
                    f"{self.n_cases:,} choosers."
                )
            return "groups", labels
        parts = [part.strip() for part in groups.split("^")]
        require_columns(self.choosers, parts, what="choosers=")
        missing = np.flatnonzero(self.choosers[parts].isna().any(axis=1))
        if len(missing):
            raise DataError(
                f"the grouping '{groups}' is missing in {len(missing):,} rows (first: "
                f"{enumerate_some(missing.tolist())}); drop them or give them a group."
            )
        return groups, pd.MultiIndex.from_frame(self.choosers[parts]).factorize()[0]


def _refuse_ambiguous(choosers: pd.DataFrame, places: pd.DataFrame, keys: set[str | None]) -> None:
    both = [name for name in places if name in choosers.columns and name not in keys]
    if both:
        raise DataError(
            f"the column '{both[0]}' stands in choosers= and in alternatives= or pairs=; rename "
            "one, so that a formula says which it means."
        )


def _choices(
    column: "pd.Series[Any]", name: str, origin: Ints, places: PlaceTable, ids: NDArray[Any]
) -> tuple[Ints, tuple[Problem, ...]]:
    """Code the chosen alternatives, and find those that were not offered."""
    keys = text_keys(column, name, "choosers=")
    code = pd.Index(places.alternatives).get_indexer(pd.Index(keys)).astype(np.int64)
    unknown = np.flatnonzero(code < 0)
    if len(unknown):
        wrong = str(keys[unknown[0]])
        raise DataError(
            f"chooser {ids[unknown[0]]} chose '{wrong}'{closest(wrong, places.alternatives)}, "
            f"which is not among the alternatives ({len(unknown):,} such choosers)."
        )
    offered = np.zeros((len(places.offsets) - 1, len(places.alternatives)), dtype=bool)
    offered[places.origin, places.alternative] = True
    wrong_rows = np.flatnonzero(~offered[origin, code])
    if len(wrong_rows) == 0:
        return code, ()
    n = wrong_rows[0]
    where = f"chooser {ids[n]} of {places.origins[origin[n]]} chose '{keys[n]}'"
    remedy = "that was not offered there; a choice of the own place is the choice to stay"
    return code, (Problem("choices", "error", len(wrong_rows), where, remedy),)
