"""What displacement may be aligned to."""

from microsim.assumptions.fields import Group, parameter

__all__ = ["AlignmentParameters"]


class AlignmentParameters(Group):
    """Targets that displacement is drawn toward, if alignment is on.

    Months count from the run's first; the defaults are those of a run from January 2024.
    """

    active: bool = parameter(
        False, "yes or no", "assumption", "Whether displacement is aligned to the targets."
    )
    damping: float = parameter(
        0.5,
        "share of the gap in logarithms",
        "assumption",
        "How far a factor goes in a month toward the one that would meet its path; 0 never moves.",
        ge=0,
        le=1,
    )
    largest_factor: float = parameter(
        10.0,
        "factor",
        "assumption",
        "Factors stay between this and its inverse: alignment mends a model, it does not make one.",
        ge=1,
    )
    displaced_before: float = parameter(
        0.14,
        "share of workers",
        "assumption: 14 % displaced already when the run begins",
        "Workers who were displaced before the first month, likelier in exposed occupations.",
        ge=0,
        lt=1,
    )
    months_before: int = parameter(
        24, "months", "assumption", "How long before the first month they were.", ge=1, le=1200
    )
    manufacturing_displaced: float = parameter(
        2e6,
        "workers in the nation",
        "assumption: 2 million in manufacturing by 2025",
        "Displaced from manufacturing by the end of its month; 0 aligns nothing.",
        ge=0,
    )
    manufacturing_jobs: float = parameter(
        12.9e6,
        "workers in the nation",
        "assumption: near BLS payrolls in manufacturing, January 2024",
        "What the displaced of manufacturing are a share of.",
        gt=0,
    )
    manufacturing_month: int = parameter(
        23, "month", "assumption: December 2025", "Last month of the path.", ge=0
    )
    employers_cutting: float = parameter(
        0.40,
        "share of firms",
        "assumption: 40 % of employers by 2030",
        "Firms that have displaced somebody by the end of their month; 0 aligns nothing.",
        ge=0,
        le=1,
    )
    employers_month: int = parameter(
        83, "month", "assumption: December 2030", "Last month of the path.", ge=0
    )
