"""What the synthesis assumes of households' finances: marginal laws and rank correlations."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from microsim.assumptions.fields import Group, Shares, parameter

__all__ = ["CREDIT_BANDS", "FINANCES", "FinanceParameters", "normal_correlations"]

FINANCES = ("savings", "debt", "home equity", "credit score")
"""In the order of the copula's rows and columns."""

CREDIT_BANDS = (300, 500, 550, 600, 650, 700, 750, 800, 850)
"""Where the bands of credit scores begin, and where the last one ends."""


def normal_correlations(ranks: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the (4, 4) correlations of normals whose ranks have the correlations given.

    Parameters
    ----------
    ranks
        Six rank correlations, the upper triangle row by row in the order of `FINANCES`.

    Notes
    -----
    ``rho = 2 sin(pi rho_S / 6)`` ([Kruskal1958]_).
    """
    matrix = np.eye(len(FINANCES))
    upper = np.triu_indices(len(FINANCES), 1)
    matrix[upper] = 2.0 * np.sin(np.pi * np.asarray(ranks) / 6.0)
    return np.asarray(matrix + np.triu(matrix, 1).T, dtype=np.float64)


def _feasible(ranks: tuple[float, ...]) -> tuple[float, ...]:
    if np.linalg.eigvalsh(normal_correlations(ranks)).min() < 1e-9:
        raise ValueError(
            "no four quantities can have these rank correlations (their matrix is not positive "
            "definite); move them towards 0"
        )
    return ranks


SixRanks = Annotated[tuple[float, float, float, float, float, float], AfterValidator(_feasible)]


class FinanceParameters(Group):
    """Debt, home equity, credit score and the cost of housing; savings are with the wages."""

    rank_correlations: SixRanks = parameter(
        (-0.10, 0.25, 0.40, -0.05, -0.20, 0.25),
        "rank correlation",
        "assumption: signs and order of size as in the SCF 2022",
        "Given age and wage: savings with debt, equity, credit; debt with equity, credit; equity "
        "with credit.",
    )
    debt_share: float = parameter(
        0.64, "share of workers", "assumption: near the SCF 2022", "Who owe.", ge=0, le=1
    )
    debt_median: float = parameter(
        0.2, "years of wage", "assumption", "Median debt at 40 of those who owe.", ge=0
    )
    debt_age_slope: float = parameter(
        -0.01, "log points per year", "assumption", "How median debt changes with age."
    )
    debt_sigma: float = parameter(
        1.2, "log points", "assumption", "Spread of debt given wage and age.", ge=0
    )
    home_value_elasticity: float = parameter(
        0.5, "elasticity", "assumption", "Of the home's value to the wage, within the metro."
    )
    home_value_sigma: float = parameter(
        0.4, "log points", "assumption", "Spread of home values given the wage.", ge=0
    )
    equity_level: float = parameter(
        0.4, "log odds", "assumption", "Of the owned share of the home's value, at 45."
    )
    equity_age_slope: float = parameter(
        0.06, "log odds per year", "assumption", "Of the owned share of the home's value."
    )
    equity_sigma: float = parameter(
        1.2, "log odds", "assumption", "Spread of the owned share given age.", ge=0
    )
    credit_shares: Shares = parameter(
        (0.03, 0.05, 0.07, 0.09, 0.12, 0.16, 0.24, 0.24),
        "share of workers",
        "assumption: their mean is 716, that of [FICO2023] 718 in April 2023",
        "In the bands of CREDIT_BANDS, even within each.",
        min_length=8,
        max_length=8,
    )
    credit_age_correlation: float = parameter(
        0.35, "correlation", "assumption", "Of the credit score's rank with age.", ge=0, le=0.7
    )
    credit_wage_correlation: float = parameter(
        0.3, "correlation", "assumption", "Of the credit score's rank with the wage.", ge=0, le=0.7
    )
    renter_home_value: float = parameter(
        0.7, "factor", "assumption", "A rented home's value over that of a like owned one.", gt=0
    )
    rent_yield: float = parameter(
        0.05,
        "share of the home value per year",
        "assumption",
        "Turns home values into rents, in the months too.",
        ge=0,
    )
    upkeep: float = parameter(
        0.02,
        "share of the home value per year",
        "assumption",
        "Taxes, insurance and repairs of an owned home.",
        ge=0,
    )
    loan_payment: float = parameter(
        0.065, "share of the loan per year", "assumption", "Paid on a mortgage.", ge=0
    )
