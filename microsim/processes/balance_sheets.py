"""Households put by, live on what they have, borrow and repay."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microsim.credit_parameters import CreditParameters
from microsim.finance_parameters import CREDIT_BANDS
from microsim.state import State, World

__all__ = ["Budget", "budget", "credit_left"]

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
    interest = np.rint(rules.interest_rate / 12.0 * state.debt).astype(np.int64)
    principal = np.minimum(np.rint(rules.repayment_rate * state.debt).astype(np.int64), put_by)
    at_hand = np.where(state.employed, take_home - put_by, state.savings - living)
    paid = np.minimum(interest, at_hand)
    owed = state.debt + interest - paid
    left = credit_left(owed, state.credit_score, state.wage, rules)
    return Budget(
        saved=put_by - principal,
        drawn=living + np.where(state.employed, 0, paid),
        borrowed=np.minimum(need - living, left),
        interest=interest,
        repaid=paid + principal,
        credit_score=_scores(paid < interest, state, world),
    )


def credit_left(
    debt: Ints, score: NDArray[np.int16], wage: NDArray[np.float64], rules: CreditParameters
) -> Ints:
    """Return what households may still borrow, (R,) cents.

    The limit is the share of a year's wage that ``limits`` has for the band of the credit score.

    Parameters
    ----------
    debt : (R,)
        Cents.
    score : (R,)
    wage : (R,)
        Dollars a year.
    rules
    """
    band = np.searchsorted(CREDIT_BANDS[1:-1], score, side="right")
    limit = np.floor(100.0 * np.asarray(rules.limits)[band] * wage).astype(np.int64)
    left: Ints = np.maximum(limit - debt, 0)
    return left


def _scores(delinquent: NDArray[np.bool_], state: State, world: World) -> NDArray[np.int16]:
    rules, score = world.parameters.credit, state.credit_score.astype(np.int64)
    fallen = np.maximum(score - rules.delinquency_points, CREDIT_BANDS[0])
    start = world.population.workers.credit_score
    risen = np.minimum(score + rules.recovery_points, np.maximum(start, score))
    return np.where(delinquent, fallen, risen).astype(np.int16)
