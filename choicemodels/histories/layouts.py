"""How a table holds address histories: a row an address, or a row a person."""

from dataclasses import dataclass

from choicemodels.errors import SpecificationError
from choicemodels.relations import quote

__all__ = ["LongLayout", "WideLayout"]

# The fields of a history, and what stands for a column that a table does not have.
_FIELDS = {
    "person": "NULL",
    "address": "NULL",
    "effective": "CAST(NULL AS DATE)",
    "category": "CAST(NULL AS VARCHAR)",
    "start": "CAST(NULL AS DATE)",
    "end": "CAST(NULL AS DATE)",
    "deceased": "false",
}


@dataclass(frozen=True)
class LongLayout:
    """Columns of a table with a row for each address of a person.

    A column that the table does not have is given as None. What is known of the person (start,
    end, deceased) may stand in each of their rows or in some.

    Attributes
    ----------
    person, address : str
        Identifiers, of any type; an address may be several people's.
    effective : str
        Date from which the address holds; may be missing.
    category : str, optional
        Kind of address; tells postal boxes.
    start, end : str, optional
        Listed dates on which the person was first and last seen.
    deceased : str, optional
        A truth value, a number other than 0, or any text for the deceased.
    """

    person: str = "person"
    address: str = "address"
    effective: str = "effective"
    category: str | None = "category"
    start: str | None = "start"
    end: str | None = "end"
    deceased: str | None = "deceased"

    def columns(self) -> list[str]:
        """Return the columns that the table must have."""
        named = [getattr(self, field) for field in _FIELDS]
        return [column for column in named if column is not None]

    def select(self, extra: dict[str, str]) -> str:
        """Return the expressions that name the fields of a history, for SQL.

        Parameters
        ----------
        extra
            Further columns to take, by the name to give them.
        """
        columns = {field: getattr(self, field) for field in _FIELDS} | extra
        return ", ".join(
            f"{_FIELDS[field] if column is None else quote(column)} AS {quote(field)}"
            for field, column in columns.items()
        )

    def kept(self) -> str:
        """Return the condition that a row says something, for SQL."""
        return "true"


@dataclass(frozen=True)
class WideLayout:
    """Columns of a table with a row for each person and numbered columns for the addresses.

    The defaults are those of Infutor's consumer file. Attributes as in :class:`LongLayout`;
    in ``address``, ``effective`` and ``category`` the braces stand for a number from 1 to
    ``slots``.

    Raises
    ------
    SpecificationError
        If there is no slot, or a numbered column lacks its braces.
    """

    slots: int = 10
    person: str = "PID"
    address: str = "ADDRID{}"
    effective: str = "EFFDATE{}"
    category: str | None = "ADDRCAT{}"
    start: str | None = "IDATE"
    end: str | None = "ODATE"
    deceased: str | None = "DeceasedCD"

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise SpecificationError(
                f"a history of {self.slots} addresses holds none; give slots=1 or more."
            )
        for name in filter(None, (self.address, self.effective, self.category)):
            if "{}" not in name:
                raise SpecificationError(
                    f"'{name}' names one column; write {{}} where the number of the address "
                    "stands, as in 'ADDRID{}'."
                )

    def _numbered(self, name: str) -> list[str]:
        return [name.format(k) for k in range(1, self.slots + 1)]

    def columns(self) -> list[str]:
        """Return the columns that the table must have."""
        numbered = [
            column
            for name in (self.address, self.effective, self.category)
            if name is not None
            for column in self._numbered(name)
        ]
        persons = [self.person, self.start, self.end, self.deceased]
        return [*filter(None, persons), *numbered]

    def select(self, extra: dict[str, str]) -> str:
        """Return the expressions that name the fields of a history, for SQL.

        Raises
        ------
        SpecificationError
            If further columns are asked for: what is known of an address has no column here.
        """
        if extra:
            raise SpecificationError(
                "a table with a row for each person has no columns for where addresses lie; "
                "pass the table of addresses as addresses=."
            )
        fields = []
        for field, absent in _FIELDS.items():
            column = getattr(self, field)
            if column is None:
                fields.append(f"{absent} AS {quote(field)}")
            elif "{}" in column:
                slots = ", ".join(map(quote, self._numbered(column)))
                fields.append(f"unnest([{slots}]) AS {quote(field)}")
            else:
                fields.append(f"{quote(column)} AS {quote(field)}")
        return ", ".join([*fields, f"unnest(range(1, {self.slots + 1})) AS slot"])

    def kept(self) -> str:
        """Return the condition that a row says something, for SQL; of no person all go."""
        return "slot = 1 OR address IS NOT NULL OR effective IS NOT NULL"
