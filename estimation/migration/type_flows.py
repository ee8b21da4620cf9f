"""Who moves to which type of area, and how much more often than chance would have it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.inputs import Matrices, each_year, leaving
from estimation.migration.kernels import moves_by_type
from estimation.migration.ratios import ratio
from estimation.migration.strata import AreaTypes, Strata, by_stratum, checked_strata

__all__ = ["flows_between_types", "homophily", "moves_to_types"]

Array = NDArray[np.float64]


def flows_between_types(
    matrices: Matrices,
    origins: Strata,
    destinations: AreaTypes | None = None,
    *,
    beyond: str | None = None,
    movers_only: bool = True,
) -> pd.DataFrame:
    """Add up moves between types of areas, and compare them with what chance would give.

    With M_gh the people who move from areas of type g to areas of type h, the share of h among
    the movers of g is ``s_gh = M_gh / sum_h M_gh``, its base rate ``b_h`` the share of all
    people who lived in areas of type h a year ago, and the ratio ``s_gh / b_h``: one if movers
    looked for areas in proportion to their population.

    Parameters
    ----------
    matrices
        A matrix, or a mapping of years to matrices: the table then has an index level ``year``.
    origins
        Types of the areas that people leave, or shares of groups in them.
    destinations
        Types of the areas that people enter; by default those of the origins.
    beyond
        A level: only moves that leave its area count, such as ``"county"``. By default all
        moves that leave the finest area.
    movers_only
        False counts those who did not move too, as coming from and going to their own type.

    Returns
    -------
    DataFrame
        Indexed by type of origin and of destination: ``people``, ``share``, ``base_rate`` and
        ``ratio``. A share is missing where nobody moved from the origin, which ``people`` shows.

    Raises
    ------
    SpecificationError
        If a level is unknown, groups are given and no types of destinations, or stayers are
        asked for beyond a level.
    DataError
        If the types are of other areas.
    """
    if destinations is None:
        if not isinstance(origins, AreaTypes):
            raise SpecificationError(
                "shares of groups can be origins only: name the types of destinations too."
            )
        destinations = origins
    if beyond is not None and not movers_only:
        raise SpecificationError(
            f"who stays does not leave a {beyond}: give beyond= or movers_only=False, not both."
        )
    to = destinations

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        people = _flows(matrix, origins, to, beyond, movers_only)
        frame = _shares(people, _base_rate(matrix, to))
        names = ["origin", "destination"]
        frame.index = pd.MultiIndex.from_product([origins.labels, to.labels], names=names)
        return frame

    return each_year(matrices, table)


def moves_to_types(
    matrices: Matrices, destinations: AreaTypes, *, beyond: str | None = None
) -> pd.DataFrame:
    """Add up moves by the type of area they lead to, such as the top income quartile.

    Parameters
    ----------
    matrices, beyond
        As of :func:`flows_between_types`.
    destinations

    Returns
    -------
    DataFrame
        Indexed by type: ``people``, ``share`` of all movers, ``base_rate`` and ``ratio``.

    Raises
    ------
    SpecificationError, DataError
        As of :func:`flows_between_types`.
    """
    index = pd.Index(destinations.labels, name="destination")

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        everyone = checked_strata(None, matrix.areas)
        people = _flows(matrix, everyone, destinations, beyond, movers_only=True)
        return _shares(people, _base_rate(matrix, destinations)).set_axis(index)

    return each_year(matrices, table)


def homophily(matrices: Matrices, types: AreaTypes, *, beyond: str | None = None) -> pd.DataFrame:
    """Measure how much more often people move to areas of the type that they leave.

    Two questions have been asked of one table, and their answers differ widely:

    - ``times_base``: the share of g among the movers of g over the share of all people who live
      in areas of type g, ``s_gg / b_g``: *how much more often than chance?*
    - ``times_others``: the same share over that among the movers of all other types,
      ``s_gg / (sum_{h≠g} M_hg / sum_{h≠g} M_h.)``: *how much more often than others do?*

    Where a type is common, the first cannot be large; where others avoid it, the second is.

    Parameters
    ----------
    matrices, beyond
        As of :func:`flows_between_types`.
    types

    Returns
    -------
    DataFrame
        Indexed by type: ``movers``, ``share_own`` (s_gg), ``share_others``, ``base_rate``,
        ``times_base`` and ``times_others``.

    Raises
    ------
    SpecificationError, DataError
        As of :func:`flows_between_types`.
    """

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        people = _flows(matrix, types, types, beyond, movers_only=True)
        own, out, into = np.diag(people), people.sum(axis=1), people.sum(axis=0)
        share_own = ratio(own, out)
        share_others = ratio(into - own, out.sum() - out)
        base = _base_rate(matrix, types)
        columns = {
            "movers": out,
            "share_own": share_own,
            "share_others": share_others,
            "base_rate": base,
            "times_base": ratio(share_own, base),
            "times_others": ratio(share_own, share_others),
        }
        return pd.DataFrame(columns, index=pd.Index(types.labels, name="type"))

    return each_year(matrices, table)


def _flows(
    matrix: MigrationMatrix,
    origins: Strata,
    destinations: AreaTypes,
    beyond: str | None,
    movers_only: bool,
) -> Array:
    """Return people by stratum of origin and type of destination, shape (S, K)."""
    origins = checked_strata(origins, matrix.areas)
    checked_strata(destinations, matrix.areas)
    outside = leaving(matrix.areas, beyond)
    rows = moves_by_type(matrix, destinations.codes, destinations.size, outside)
    if not movers_only:
        rows[np.arange(matrix.areas.size), destinations.codes] += matrix.stayers
    return by_stratum(origins, rows)


def _base_rate(matrix: MigrationMatrix, types: AreaTypes) -> Array:
    """Return the share of each type in all people a year ago, shape (K,)."""
    return np.asarray(types.totals(matrix.before) / matrix.total)


def _shares(people: Array, base: Array) -> pd.DataFrame:
    share = ratio(people, people.sum(axis=1, keepdims=True))
    columns: Mapping[str, Array] = {
        "people": people,
        "share": share,
        "base_rate": np.broadcast_to(base, people.shape),
        "ratio": ratio(share, base),
    }
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()})
