"""Households put by, live on what they have, borrow and repay."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from microsim.assumptions.credit import CreditParameters
from microsim.assumptions.finance import CREDIT_BANDS
from microsim.state import State
from microsim.world import World

__all__ = ["Budget", "budget", "credit_limits"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Budget:
    """What a month does to every household's accounts, cents.

    Attributes
    ----------
    saved, drawn : ndarray (N,) int64
        Into savings, and out of them.
    borrowed, interest, repaid : ndarray (N,) int64
        Added to the debt twice, and taken from it.
    credit_score : ndarray (N,) int16
        Afterwards.
    """

    saved: Ints
    drawn: Ints
    borrowed: Ints
    interest: Ints
    repaid: Ints
    credit_score: NDArray[np.int16]


def budget(put_by: Ints, take_home: Ints, need: Ints, state: State, world: World) -> Budget:
    """Return the month's accounts of all households.

    The employed pay the month's interest from their take-home pay, as far as it reaches beyond
    what they put by, and repay ``repayment_rate`` of the debt from what they put by; the rest of
    that is saved. The unemployed cover their need from savings, into which benefits were paid, and
    borrow what is lacking while they have credit left; interest they pay from savings that remain.
    Need that neither covers is gone without. Who leaves interest unpaid loses
    ``delinquency_points`` of the credit score; who pays regains ``recovery_points`` up to the score
    at the start.

    Parameters
    ----------
    put_by, take_home : (N,)
        Cents, 0 for the unemployed.
    need : (N,)
        What the unemployed live on, cents; 0 for the employed.
    state, world
    """
    rules = world.parameters.credit
    living = np.minimum(need, state.savings)
    if not rules.active:
        nothing = np.zeros_like(living)
        return Budget(put_by, living, nothing, nothing, nothing, state.credit_score)
    book = np.empty((5, len(need)), dtype=np.int64)
    score = np.empty_like(state.credit_score)
    _book(
        put_by,
        take_home,
        need,
        state.employed,
        state.savings,
        state.debt,
        credit_limits(state.credit_score, state.wage, rules),
        state.credit_score,
        world.population.workers.credit_score,
        np.array([rules.interest_rate / 12.0, rules.repayment_rate]),
        np.array([rules.delinquency_points, rules.recovery_points, CREDIT_BANDS[0]]),
        book,
        score,
    )
    saved, drawn, borrowed, interest, repaid = book
    return Budget(saved, drawn, borrowed, interest, repaid, score)


@njit(cache=True, nogil=True)
def _book(
    put_by: Any, take_home: Any, need: Any, employed: Any, savings: Any, debt: Any, limit: Any,
    score: Any, start: Any, rates: Any, points: Any, book: Any, new_score: Any,
) -> None:  # fmt: skip
    """Write the month's five flows of every household into ``book`` (5, N), and its new score."""
    for i in range(need.shape[0]):
        interest = np.int64(np.rint(rates[0] * debt[i]))
        living = min(need[i], savings[i])
        principal = min(np.int64(np.rint(rates[1] * debt[i])), put_by[i])
        at_hand = take_home[i] - put_by[i] if employed[i] else savings[i] - living
        paid = min(interest, at_hand)
        left = max(limit[i] - (debt[i] + interest - paid), 0)
        book[0, i] = put_by[i] - principal
        book[1, i] = living if employed[i] else living + paid
        book[2, i] = min(need[i] - living, left)
        book[3, i] = interest
        book[4, i] = paid + principal
        if paid < interest:
            new_score[i] = max(score[i] - points[0], points[2])
        else:
            new_score[i] = min(score[i] + points[1], max(start[i], score[i]))


def credit_limits(
    score: NDArray[np.int16], wage: NDArray[np.float64], rules: CreditParameters
) -> Ints:
    """Return the debt at which nothing more is lent to households, (R,) cents.

    It is the share of a year's wage that ``limits`` has for the band of the credit score.

    Parameters
    ----------
    score : (R,)
    wage : (R,)
        Dollars a year.
    rules
    """
    points = np.arange(CREDIT_BANDS[0], CREDIT_BANDS[-1] + 1)
    band = np.searchsorted(CREDIT_BANDS[1:-1], points, side="right")
    shares = 100.0 * np.asarray(rules.limits)[band]
    limit: Ints = np.floor(shares[score - CREDIT_BANDS[0]] * wage).astype(np.int64)
    return limit
