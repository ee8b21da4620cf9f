"""What estimates of moves are held against: census tables, used or held out, or the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.areas import Areas
from choicemodels.migration.census import CensusTables
from choicemodels.migration.matrix import MigrationMatrix
from estimation.harmonization.result import Harmonized
from estimation.harmonization.targets import align_flows, align_people

__all__ = [
    "Quantity",
    "Reference",
    "at_level",
    "census_references",
    "matrix_of",
    "quantity_of",
    "truth_references",
]

Array = NDArray[np.float64]
Quantity: TypeAlias = Literal[
    "populations", "flows", "movers", "stayers", "in-migration", "in-migration rate"
]

_QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


@dataclass(frozen=True, eq=False)
class Reference:
    """One quantity at one level, as a table (or the truth) has it.

    Attributes
    ----------
    quantity : str
        ``"populations"`` (people a year ago), ``"flows"`` (everybody by origin and destination),
        ``"movers"`` (those off the diagonal of the level), ``"stayers"`` (those on it),
        ``"in-migration"`` (movers by destination) or ``"in-migration rate"`` (that over the
        people there now).
    level : str
    source : str
        Where it comes from, such as ``"census"``.
    values : ndarray, shape (C,), or MigrationMatrix
        In the order of the level's areas; a matrix over them for flows and movers.
    used_by : str, optional
        Name of the harmonization step that imposes it; None if none ever does.
    year : int, optional
        Year of the (last) matrix it describes.
    years : int
        How many years it is an average of: five for the multi-year releases of a survey.

    Raises
    ------
    SpecificationError
        If the quantity is unknown, its values are of the wrong kind, or ``years`` is below one
        or asks for a year that is missing.
    """

    quantity: Quantity
    level: str
    source: str
    values: Array | MigrationMatrix
    used_by: str | None = None
    year: int | None = None
    years: int = 1

    def __post_init__(self) -> None:
        if self.quantity not in _QUANTITIES:
            raise SpecificationError(
                f"there is no quantity '{self.quantity}'; choose among {', '.join(_QUANTITIES)}."
            )
        pairs = self.quantity in ("flows", "movers")
        if pairs != isinstance(self.values, MigrationMatrix):
            needs = "a MigrationMatrix over the areas of the level" if pairs else "an array"
            raise SpecificationError(
                f"{self.quantity} by {self.level} are given as a {type(self.values).__name__}; "
                f"give {needs}."
            )
        if self.years < 1 or (self.years > 1 and self.year is None):
            raise SpecificationError(
                f"years={self.years} with year={self.year}: say how many years the table "
                "averages, from one, and the year of the last."
            )

    @property
    def name(self) -> str:
        """Return what tables call it."""
        return f"{self.quantity}, {self.level}"


def matrix_of(estimate: MigrationMatrix | Harmonized) -> MigrationMatrix:
    """Return the matrix of an estimate.

    Raises
    ------
    SpecificationError
        If it is neither a matrix nor a result of harmonization.
    """
    if isinstance(estimate, Harmonized):
        return estimate.matrix
    if isinstance(estimate, MigrationMatrix):
        return estimate
    raise SpecificationError(
        f"an estimate is a {type(estimate).__name__}; give a MigrationMatrix or a result of "
        "harmonization."
    )


def at_level(matrix: MigrationMatrix, level: str) -> MigrationMatrix:
    """Add a matrix up to a level; those who stay within an area stand on its diagonal."""
    if level == matrix.areas.name:
        return matrix
    sums = matrix.aggregate(level)
    return MigrationMatrix.from_scipy(sums.flows, sums.areas, matrix.year)


def quantity_of(matrix: MigrationMatrix, quantity: Quantity) -> Array | MigrationMatrix:
    """Return a quantity of the matrix at its own level; a rate where nobody lives is NaN."""
    if quantity in ("flows", "movers"):
        return matrix
    if quantity == "populations":
        return matrix.before
    if quantity == "stayers":
        return matrix.stayers
    moved_in = matrix.after - matrix.stayers
    return moved_in if quantity == "in-migration" else _rate(moved_in, matrix.after)


def _rate(people: Array, base: Array) -> Array:
    return np.asarray(np.divide(people, base, out=np.full(len(base), np.nan), where=base > 0))


def truth_references(
    truth: MigrationMatrix,
    levels: Sequence[str] | None = None,
    *,
    source: str = "truth",
) -> list[Reference]:
    """Take every quantity of a matrix that is known to be right.

    Parameters
    ----------
    truth
    levels
        None takes all, from the finest.
    source
        What tables call it.

    Raises
    ------
    SpecificationError
        If there is no such level.
    """
    chosen = [truth.areas.name, *truth.areas.levels] if levels is None else levels
    found = []
    for level in chosen:
        matrix = at_level(truth, level)
        found += [
            Reference(quantity, level, source, quantity_of(matrix, quantity), year=truth.year)
            for quantity in _QUANTITIES
        ]
    return found


def census_references(
    tables: CensusTables, areas: Areas, county_flows: Any | None = None
) -> list[Reference]:
    """Take from census tables what the literature validates against.

    Populations at every level, from the populations of the finest areas and, where areas of the
    level of ``tables.before`` or coarser are meant, from ``tables.before``; flows, movers,
    stayers, in-migration and its rate by state, from ``tables.flows``; and, from a table that no
    step uses, movers, in-migration and its rate by county, with flows and stayers where the
    table has its diagonal [AgostiniYoungFitzpatrickGargPierson2025]_.

    Parameters
    ----------
    tables
    areas
        With levels ``"county"`` and ``"state"``.
    county_flows
        A row for each pair of counties: columns ``origin``, ``destination``, ``people``; pairs
        that are missing count as zero, as in the survey's files.

    Raises
    ------
    DataError
        If the labels of a table are not those of the areas, or people are negative or missing.
    SpecificationError
        If the areas lack a level.
    """
    county, state = areas.level("county"), areas.level("state")
    finest = areas.level(areas.name)
    people = align_people(tables.populations, finest, "populations")
    before, after = (
        align_people(getattr(tables, name), county, f"margins {name}")
        for name in ("before", "after")
    )
    up = areas.parents("county", "state")

    def by_state(values: Array) -> Array:
        return np.bincount(up, values, minlength=state.size).astype(np.float64)

    found = []
    fine = [level for level in (areas.name, *areas.levels) if level not in ("county", "state")]
    for level in fine:
        values = areas.level(level).totals(people)
        found.append(Reference("populations", level, "census", values, "populations", tables.year))
    for level, values in (("county", before), ("state", by_state(before))):
        found.append(Reference("populations", level, "census", values, "margins", tables.year))
    flows = _matrix(align_flows(tables.flows, state, "flows"), areas.coarsen("state"), tables.year)
    found += _of_flows(flows, by_state(after), "census", "flows")
    if county_flows is not None:
        held_out = MigrationMatrix.from_rows(
            county_flows, areas.coarsen("county"), year=tables.year
        )
        found += _of_flows(held_out, after, "held-out census", None)
    return found


def _matrix(flows: Array, areas: Areas, year: int | None) -> MigrationMatrix:
    from scipy.sparse import csr_array

    return MigrationMatrix.from_scipy(csr_array(flows), areas, year)


def _of_flows(
    flows: MigrationMatrix, after: Array, source: str, used_by: str | None
) -> list[Reference]:
    """Take what a table of flows tells; ``after`` are the people there now."""
    level, moved_in = flows.areas.name, flows.after - flows.stayers
    values: dict[Quantity, Array | MigrationMatrix] = {}
    if flows.stayers.any():
        values = {"flows": flows, "stayers": flows.stayers}
    values |= {
        "movers": flows,
        "in-migration": moved_in,
        "in-migration rate": _rate(moved_in, after),
    }
    if not moved_in.any():
        raise DataError(
            f"the table of flows by {level} has nobody off its diagonal; it must say who moved."
        )
    return [
        Reference(quantity, level, source, values[quantity], used_by, flows.year)
        for quantity in _QUANTITIES
        if quantity in values
    ]
