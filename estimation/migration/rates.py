"""How many move: within and out of each level, out of and into areas, and on balance."""

import numpy as np
import pandas as pd

from choicemodels.errors import SpecificationError
from choicemodels.migration.areas import Level
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.inputs import Matrices, each_year, leaving
from estimation.migration.kernels import moves_by_reach, moves_out_and_in
from estimation.migration.ratios import ratio
from estimation.migration.strata import AreaTypes, Strata, by_stratum, checked_strata

__all__ = ["migration_rates", "moves_within_levels"]


def moves_within_levels(matrices: Matrices, strata: Strata | None = None) -> pd.DataFrame:
    """Tell people apart by the finest level that they did not leave.

    The classes exclude each other: who moved to another block group of the same tract counts
    as moving within the tract, not within the county.

    Parameters
    ----------
    matrices
        A matrix, or a mapping of years to matrices: the table then has an index level ``year``.
    strata
        Types of the origins, or shares of groups in them.

    Returns
    -------
    DataFrame
        By stratum and class (``stayed``, ``within tract``, ..., ``out of state``): ``people``,
        ``share`` of all people, and ``share_of_movers``, missing for those who stayed. Shares
        of people add up to one over the classes.

    Raises
    ------
    DataError
        If strata are of other areas.
    """

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        kept = checked_strata(strata, matrix.areas)
        names = [matrix.areas.name, *matrix.areas.levels]
        levels = np.stack([matrix.areas.level(name).codes for name in names])
        people = by_stratum(kept, moves_by_reach(matrix, levels))
        moved = people.copy()
        moved[:, 0] = np.nan
        columns = {
            "people": people,
            "share": ratio(people, people.sum(axis=1, keepdims=True)),
            "share_of_movers": ratio(moved, people[:, 1:].sum(axis=1, keepdims=True)),
        }
        classes = ["stayed", *(f"within {name}" for name in names[1:]), f"out of {names[-1]}"]
        index = pd.MultiIndex.from_product([kept.labels, classes], names=[kept.name, "move"])
        return pd.DataFrame({name: c.ravel() for name, c in columns.items()}, index=index)

    return each_year(matrices, table)


def migration_rates(
    matrices: Matrices,
    by: str | AreaTypes | None = None,
    *,
    beyond: str | None = None,
    per: float = 1000.0,
) -> pd.DataFrame:
    """Return the rates at which people move out of and into areas.

    ``out_rate = per * out / before``, ``in_rate = per * in / after`` and ``net_rate = per *
    (in - out) / before``, with the people of a year ago and of now.

    Parameters
    ----------
    matrices
        A matrix, or a mapping of years to matrices: the table then has an index level ``year``.
    by
        A level whose areas become the rows (a move counts if it leaves the area of this level),
        or types of areas (a move counts if it leaves the finest area). By default the finest
        areas.
    beyond
        A level whose area a move must leave instead; no finer than ``by``.
    per
        Rates are per so many people.

    Returns
    -------
    DataFrame
        By area or type: ``before``, ``after``, ``out``, ``in``, ``net``, ``out_rate``,
        ``in_rate`` and ``net_rate``; a rate is missing where nobody lived.

    Raises
    ------
    SpecificationError
        If a level is unknown, ``beyond`` is finer than ``by``, or ``per`` is not above zero.
    DataError
        If types are of other areas.
    """
    if not (np.isfinite(per) and per > 0):
        raise SpecificationError(f"per={per}; give a number of people, such as 1000.")

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        areas = matrix.areas
        groups: Level | Strata
        if isinstance(by, AreaTypes):
            groups, level = checked_strata(by, areas), None
            index = pd.Index(by.labels, name=by.name)
        else:
            level = areas.name if by is None else by
            groups = areas.level(level)
            index = pd.Index(groups.labels, name=level)
        out, into = moves_out_and_in(matrix, leaving(areas, _beyond(matrix, level, beyond)))
        before, after, gone, come = (
            groups.totals(values) for values in (matrix.before, matrix.after, out, into)
        )
        columns = {
            "before": before,
            "after": after,
            "out": gone,
            "in": come,
            "net": come - gone,
            "out_rate": per * ratio(gone, before),
            "in_rate": per * ratio(come, after),
            "net_rate": per * ratio(come - gone, before),
        }
        return pd.DataFrame(columns, index=index)

    return each_year(matrices, table)


def _beyond(matrix: MigrationMatrix, level: str | None, beyond: str | None) -> str | None:
    if level is None or beyond is None:
        return beyond or level
    order = [matrix.areas.name, *matrix.areas.levels]
    matrix.areas.level(beyond)
    if order.index(beyond) < order.index(level):
        raise SpecificationError(
            f"beyond='{beyond}' is finer than the rows: moves within a {level} are no moves out "
            "of it."
        )
    return beyond
