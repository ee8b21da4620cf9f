"""A set of areas against others: how many leave, come and move within, and what they find."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from choicemodels.errors import DataError, SpecificationError, enumerate_some
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.inputs import Matrices, Missing, each_year, known_attribute, leaving
from estimation.migration.kernels import destination_sums, moves_by_type, moves_out_and_in
from estimation.migration.perimeter import Chosen, chosen_areas
from estimation.migration.ratios import ratio
from estimation.migration.strata import AreaTypes, by_stratum

__all__ = ["compare_areas", "matched_areas"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def compare_areas(
    matrices: Matrices,
    members: Chosen,
    others: "Chosen | None" = None,
    *,
    attribute: str | ArrayLike = "income",
    per: float = 1000.0,
    missing: Missing = "refuse",
) -> pd.DataFrame:
    """Compare migration of a set of areas, such as those with public housing, with others'.

    Parameters
    ----------
    matrices
        A matrix, or a mapping of years to matrices: the table then has an index level ``year``.
    members
        The set: labels, or a truth value for each area.
    others
        Whom to compare with, see :func:`matched_areas`; all other areas by default.
    attribute
        What to average over destinations: a column, or a value for each area.
    per
        Rates are per so many people.
    missing
        ``"apart"`` leaves destinations out of the average where the attribute is missing.

    Returns
    -------
    DataFrame
        Rows ``members``, ``others`` and ``difference``: ``areas``; ``people`` a year ago;
        ``out_rate`` and ``in_rate`` of moves that leave and enter an area of the set;
        ``within_rate``, those of ``out_rate`` that lead to another area of the same set;
        ``average``, the attribute where the people live; ``destination``, where the movers go;
        and ``gain``, the difference of the two.

    Raises
    ------
    SpecificationError
        If ``per`` is not above zero.
    DataError
        If a label is no area's, a set is empty, the two overlap, or the attribute is missing.
    """
    if not (np.isfinite(per) and per > 0):
        raise SpecificationError(f"per={per}; give a number of people, such as 1000.")

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        areas = matrix.areas
        first = chosen_areas(areas, members, "the set of areas")
        second = ~first if others is None else chosen_areas(areas, others, "the other set")
        _refuse_overlap(areas, first, second)
        values = known_attribute(areas, attribute, missing)
        codes = np.where(first, 0, np.where(second, 1, 2)).astype(np.int32)
        sets = AreaTypes(codes, pd.Index(["members", "others", "rest"], name="set"), "set")
        frame = _rates(_sums(matrix, sets, values).iloc[:2], per)
        frame.loc["difference"] = frame.loc["members"] - frame.loc["others"]
        return frame

    return each_year(matrices, table)


def _sums(matrix: MigrationMatrix, sets: AreaTypes, values: Array) -> pd.DataFrame:
    """Add up people, moves and the attribute by set."""
    N = matrix.areas.size
    outside = leaving(matrix.areas, None)
    to_sets = moves_by_type(matrix, sets.codes, sets.size, outside)
    _, into = moves_out_and_in(matrix, outside)
    found = destination_sums(matrix, values, outside)
    known = np.isfinite(values)
    columns = {
        "areas": np.ones(N),
        "people": matrix.before,
        "now": matrix.after,
        "out": to_sets.sum(axis=1),
        "into": into,
        "within": to_sets[np.arange(N), sets.codes],
        "known": matrix.before * known,
        "lived": matrix.before * np.where(known, values, 0.0),
        "found": found[:, 0],
        "went": found[:, 1],
    }
    sums = by_stratum(sets, np.column_stack(list(columns.values())))
    return pd.DataFrame(sums, index=sets.labels, columns=list(columns))


def _rates(sums: pd.DataFrame, per: float) -> pd.DataFrame:
    column = {name: sums[name].to_numpy(float) for name in sums}
    average = ratio(column["lived"], column["known"])
    destination = ratio(column["went"], column["found"])
    found = {
        "areas": column["areas"],
        "people": column["people"],
        "out_rate": per * ratio(column["out"], column["people"]),
        "in_rate": per * ratio(column["into"], column["now"]),
        "within_rate": per * ratio(column["within"], column["people"]),
        "average": average,
        "destination": destination,
        "gain": destination - average,
    }
    return pd.DataFrame(found, index=sums.index)


def matched_areas(
    areas: Areas,
    members: Chosen,
    on: Sequence[str],
    *,
    level: str | None = None,
    matches: int = 1,
) -> Mask:
    """Find the areas that resemble each member most, outside the set.

    Attributes are put on one scale by their standard deviations over all areas, and each member
    gets its nearest areas by Euclidean distance; an area may be the match of several members.

    Parameters
    ----------
    areas
    members
        Labels, or a truth value for each area.
    on
        Columns of the table of areas, numeric and without gaps.
    level
        Matches must lie in the same area of this level, such as ``"county"``.
    matches
        How many for each member.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    SpecificationError
        If there is nothing to match on, the level is unknown, or matches is below one.
    DataError
        If an attribute has gaps or does not vary, or a member has too few candidates.
    """
    from scipy.spatial import cKDTree

    if isinstance(on, str) or not on:
        raise SpecificationError("name the columns to match on, as a list.")
    if matches < 1:
        raise SpecificationError(f"matches={matches}; each member needs one or more.")
    mask = chosen_areas(areas, members, "the set of areas")
    x = np.column_stack([known_attribute(areas, name) for name in on])
    spread = x.std(axis=0)
    flat = [name for name, s in zip(on, spread, strict=True) if s == 0]
    if flat:
        raise DataError(f"'{flat[0]}' is the same in all areas; there is nothing to match on.")
    x = x / spread
    group = np.zeros(areas.size, dtype=np.int32) if level is None else areas.level(level).codes
    found = np.zeros(areas.size, dtype=bool)
    for g in np.unique(group[mask]):
        wanted = np.flatnonzero(mask & (group == g))
        candidates = np.flatnonzero(~mask & (group == g))
        if len(candidates) < matches:
            where = "" if level is None else f" in {level} {areas.level(level).labels[g]}"
            raise DataError(
                f"{enumerate_some(areas.labels[wanted].tolist())} need {matches:,} matches each, "
                f"but{where} there are {len(candidates):,} other areas."
            )
        _, nearest = cKDTree(x[candidates]).query(x[wanted], k=matches)
        found[candidates[np.ravel(nearest)]] = True
    return found


def _refuse_overlap(areas: Areas, first: Mask, second: Mask) -> None:
    both = areas.labels[first & second].tolist()
    if both:
        raise DataError(f"{len(both):,} areas are in both sets ({enumerate_some(both)}).")
    if not second.any():
        raise DataError("every area is in the set; there are no others to compare with.")
