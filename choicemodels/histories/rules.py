"""The rules by which the addresses of a person become a home for each month."""

from dataclasses import dataclass

from choicemodels.errors import SpecificationError

__all__ = ["HistoryRules"]


@dataclass(frozen=True)
class HistoryRules:
    r"""How address histories are cleaned, and when a person answers the survey.

    A person is seen from ``first``, the earliest of all their effective and listed dates, to
    ``last``, the latest, and counts as active in the months whose first day lies in

    .. math:: [\text{first} - \text{pad}, \; \text{last} + \text{pad}].

    1. An address without a date is dropped, unless the person has no other address: then it is
       dated ``first``.
    2. A postal box is dropped where an address of the person that is none took effect within
       ``box_days``, :math:`|\Delta| < \max(\text{box\_days}, 1)`.
    3. From the month in which they took effect until the next ones do, the addresses of one date
       are the person's home, each with probability 1/k; before the first date, the first ones.
       Of several dates in a month the last counts.

    The survey of year t asks in each month m where the person lived twelve months before. Months
    weigh ``days of m / 365`` (28 for every February, so that the weights add up to 1). Who is
    active in both months answers; where the addresses are the same set, each is a stay with
    probability 1/k, otherwise each pair is a move with the product of its two probabilities.

    Attributes
    ----------
    pad_days : int
        Before the first date and after the last, 0 or more.
    pad_deceased : bool
        Whether the time after the last date of the deceased is padded too.
    box_days : int
        Window around the other addresses, 0 or more; 0 and 1 drop boxes of the same date only.
    least_months : int
        Months, of the 24 of the years t - 1 and t, in which a person must be active to be
        surveyed in t. With 12 each month of the calendar is seen in one of the two years; with
        24 all twelve questions are answered and the weights of each person add up to 1.

    Raises
    ------
    SpecificationError
        If a number of days is negative, or months are not between 1 and 24.

    Notes
    -----
    Source: [AgostiniYoungFitzpatrickGargPierson2025]_. With a padding of a year ``least_months``
    of 12 excludes nobody: whoever is active at all is active for twelve months.
    """

    pad_days: int = 365
    pad_deceased: bool = True
    box_days: int = 365
    least_months: int = 12

    def __post_init__(self) -> None:
        for name in ("pad_days", "box_days"):
            if getattr(self, name) < 0:
                raise SpecificationError(
                    f"{name} is {getattr(self, name)}; give a number of days of 0 or more."
                )
        if not 1 <= self.least_months <= 24:
            raise SpecificationError(
                f"least_months is {self.least_months}; of the two years compared a person can be "
                "active in 1 to 24 months."
            )
