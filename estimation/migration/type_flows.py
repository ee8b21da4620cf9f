"""Who moves to which type of area, and how much more often than chance would have it."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.inputs import Matrices, each_year, leaving
from estimation.migration.kernels import moves_by_type
from estimation.migration.ratios import ratio
from estimation.migration.strata import (
    AreaTypes,
    GroupShares,
    Strata,
    by_stratum,
    checked_strata,
    refuse_no_strata,
)

__all__ = ["BaseRate", "flows_between_types", "homophily", "moves_to_types"]

Array = NDArray[np.float64]
BaseRate: TypeAlias = Literal["movers", "people"]


def flows_between_types(
    matrices: Matrices,
    origins: Strata,
    destinations: AreaTypes | None = None,
    *,
    beyond: str | None = None,
    movers_only: bool = True,
    relative_to: BaseRate = "movers",
) -> pd.DataFrame:
    """Add up moves between types of areas, and compare them with what chance would give.

    With M_gh the people who move from areas of type g to areas of type h, the share of h among
    the movers of g is ``s_gh = M_gh / sum_h M_gh``. Its base rate ``b_h`` is the share of h among
    all movers, ``sum_g M_gh / sum_gh M_gh``, or among all people a year ago, and the ratio
    ``s_gh / b_h`` is one if where one comes from does not matter, or if all move to areas in
    proportion to their people.

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
    relative_to
        ``"movers"`` or ``"people"``: of whom the base rate is the share.

    Returns
    -------
    DataFrame
        Indexed by type of origin and of destination: ``people``, ``share``, ``base_rate`` and
        ``ratio``. A share is missing where nobody moved from the origin, which ``people`` shows.

    Raises
    ------
    SpecificationError
        If a level or base rate is unknown, groups are given and no types of destinations, or
        stayers are asked for beyond a level.
    DataError
        If the types are of other areas.
    """
    if destinations is None:
        if isinstance(origins, GroupShares):
            raise SpecificationError(
                "shares of groups can be origins only: name the types of destinations too."
            )
        destinations = origins
    for given in (origins, destinations):
        refuse_no_strata(given)
    if beyond is not None and not movers_only:
        raise SpecificationError(
            f"who stays does not leave a {beyond}: give beyond= or movers_only=False, not both."
        )
    if relative_to not in ("movers", "people"):
        raise SpecificationError(f"relative_to='{relative_to}' is not one of 'movers', 'people'.")
    to = destinations

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        people = _flows(matrix, origins, to, beyond, movers_only)
        frame = _shares(people, _base_rate(matrix, to, people, relative_to))
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
        Indexed by type: ``people``, ``share`` of all movers, ``base_rate``, the share of all
        people a year ago, and ``ratio`` of the two.

    Raises
    ------
    SpecificationError, DataError
        As of :func:`flows_between_types`.
    """
    index = pd.Index(destinations.labels, name="destination")

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        everyone = checked_strata(None, matrix.areas)
        people = _flows(matrix, everyone, destinations, beyond, movers_only=True)
        base = _base_rate(matrix, destinations, people, "people")
        return _shares(people, base).set_axis(index)

    return each_year(matrices, table)


def homophily(matrices: Matrices, types: AreaTypes, *, beyond: str | None = None) -> pd.DataFrame:
    """Measure how much more often people move to areas of the type that they leave.

    The share of g among the movers of g, ``s_gg``, is compared with three others, and the
    answers differ widely:

    - ``times_all``: with that among all movers, as the methods of
      [AgostiniYoungFitzpatrickGargPierson2025]_ define it;
    - ``times_people``: with that among all people, moving or not: *how much more often than if
      one moved to anybody alike?*
    - ``times_others``: with that among the movers of all other types: *how much more often than
      others do?* It is the largest of the three where a type keeps to itself, and has no bound.

    Parameters
    ----------
    matrices, beyond
        As of :func:`flows_between_types`.
    types

    Returns
    -------
    DataFrame
        Indexed by type: ``movers``, the shares ``own`` (s_gg), ``all``, ``people`` and
        ``others``, and the three ratios.

    Raises
    ------
    SpecificationError, DataError
        As of :func:`flows_between_types`.
    """

    def table(matrix: MigrationMatrix) -> pd.DataFrame:
        people = _flows(matrix, types, types, beyond, movers_only=True)
        own, out, into = np.diag(people), people.sum(axis=1), people.sum(axis=0)
        share = ratio(own, out)
        compared = {
            "all": _base_rate(matrix, types, people, "movers"),
            "people": _base_rate(matrix, types, people, "people"),
            "others": ratio(into - own, out.sum() - out),
        }
        times = {f"times_{name}": ratio(share, other) for name, other in compared.items()}
        columns = {"movers": out, "own": share, **compared, **times}
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


def _base_rate(
    matrix: MigrationMatrix, types: AreaTypes, flows: Array, relative_to: BaseRate
) -> Array:
    """Return the share of each type in all movers or all people a year ago, shape (K,)."""
    counts = flows.sum(axis=0) if relative_to == "movers" else types.totals(matrix.before)
    return ratio(counts, counts.sum())


def _shares(people: Array, base: Array) -> pd.DataFrame:
    share = ratio(people, people.sum(axis=1, keepdims=True))
    columns: Mapping[str, Array] = {
        "people": people,
        "share": share,
        "base_rate": np.broadcast_to(base, people.shape),
        "ratio": ratio(share, base),
    }
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()})
