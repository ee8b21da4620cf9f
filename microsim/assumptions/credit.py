"""Every number that households' borrowing assumes."""

from microsim.assumptions.fields import EightFactors, Group, parameter

__all__ = ["CreditParameters"]


class CreditParameters(Group):
    """Debt besides the mortgage, who may take more of it, and what it does to the credit score."""

    active: bool = parameter(
        True, "yes or no", "assumption", "Whether households borrow, repay and pay interest."
    )
    interest_rate: float = parameter(
        0.10,
        "share of the debt per year",
        "assumption: amid rates on student, car and card debt",
        "Interest, added to the debt every month.",
        ge=0,
        le=1,
    )
    repayment_rate: float = parameter(
        0.01,
        "share of the debt per month",
        "assumption",
        "What the employed repay beyond the interest, from what they put by.",
        ge=0,
        le=1,
    )
    limits: EightFactors = parameter(
        (0.0, 0.05, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60),
        "years of wage",
        "assumption",
        "Debt at which nothing more is lent, by band of the credit score.",
    )
    delinquency_points: int = parameter(
        10,
        "points per month",
        "assumption: near 100 points within a year",
        "What the credit score falls by while interest is left unpaid.",
        ge=0,
        le=550,
    )
    recovery_points: int = parameter(
        2,
        "points per month",
        "assumption",
        "What it regains, up to where it began, while the interest is paid.",
        ge=0,
        le=550,
    )
    constrains_moves: bool = parameter(
        True,
        "yes or no",
        "assumption",
        "Whether those who can neither pay for a move nor borrow for it stay.",
    )
