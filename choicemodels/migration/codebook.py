"""What the columns of a written matrix of moves mean."""

from collections.abc import Mapping

from choicemodels.errors import DataError, enumerate_some
from choicemodels.migration.areas import Areas

__all__ = ["describe_columns"]

_MOVES = {
    "origin": "area lived in at t - 1: a label of areas.parquet; rows are sorted by it, in the "
    "order of its code",
    "destination": "area lived in at t: a label of areas.parquet",
    "people": "expected number of people; where origin and destination are one, those who did "
    "not leave the area, with who died or left the country",
}

_ATTRIBUTES = {
    "longitude": "of the area's centre, degrees east",
    "latitude": "of the area's centre, degrees north",
    "west": "longitude of the western bound, degrees east",
    "east": "longitude of the eastern bound, degrees east",
    "south": "latitude of the southern bound, degrees north",
    "north": "latitude of the northern bound, degrees north",
    "square_km": "area in square kilometres",
    "population": "people at t - 1",
    "white": "people of the group: white, not Hispanic",
    "black": "people of the group: black, not Hispanic",
    "hispanic": "people of the group: Hispanic, of any race",
    "asian": "people of the group: Asian, not Hispanic",
    "other": "people of the group: all others",
    "income": "median household income, dollars a year",
    "urban": "whether the area is urban",
}


def describe_columns(
    areas: Areas, given: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what each column of a written matrix means.

    Parameters
    ----------
    areas
    given
        Meanings of attributes, by column; they come before the usual ones.

    Returns
    -------
    dict, dict
        Of the columns of the moves, and of those of the areas.

    Raises
    ------
    DataError
        If an attribute is not described, a description has no attribute, or an attribute has the
        name of another column.
    """
    columns = [str(column) for column in areas.table.columns]
    known = {column: given.get(column, _ATTRIBUTES.get(column)) for column in columns}
    unknown = [column for column, meaning in known.items() if not meaning]
    if unknown:
        raise DataError(
            f"the codebook does not describe {enumerate_some(unknown)} of the table of areas; "
            "say in codebook= what they mean, or drop them."
        )
    strange = [column for column in given if column not in columns]
    if strange:
        raise DataError(f"the codebook describes {enumerate_some(strange)}, which the areas lack.")
    names = {
        "code": "position of the area in the matrix, from 0",
        areas.name: "label of the area",
        **{level: f"label of the {level} that it lies in" for level in areas.levels},
    }
    twice = [column for column in columns if column in names]
    if twice:
        raise DataError(
            f"the table of areas has a column {enumerate_some(twice)}, which is a name of the "
            "release; rename it."
        )
    described = {column: str(meaning) for column, meaning in known.items()}
    return dict(_MOVES), names | described
