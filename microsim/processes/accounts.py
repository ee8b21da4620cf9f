"""Taxes are paid, households put by and draw down, spells lengthen, and everybody grows older."""

from dataclasses import replace

import numpy as np

from microsim.processes.balance_sheets import budget
from microsim.processes.ledger import disbursements, withholding
from microsim.state import State
from microsim.world import World

__all__ = ["accounts"]

JANUARY = 1


def accounts(state: State, world: World) -> State:
    """Book the month.

    Governments collect their taxes on the month's wages and pay for their programmes. The employed
    put by ``saving_rate`` of what is left of the wage; the unemployed need ``drawdown_rate`` of
    a month's last wage to live. What this does to savings and debts is in
    `microsim.processes.balance_sheets`. Amounts are whole cents. The population is
    closed, and its ages stay as they are unless ``ageing`` lets everyone grow a year older at the
    end of December.
    """
    money = world.parameters.money
    month_wage = state.wage * (100.0 / 12.0)
    employed = state.employed
    pay = np.where(employed, np.rint(month_wage), 0.0).astype(np.int64)
    withheld, collected = withholding(state, world)
    left = month_wage - withheld
    put_by = np.where(employed, np.rint(money.saving_rate * left), 0.0).astype(np.int64)
    need = np.where(employed, 0.0, np.rint(money.drawdown_rate * month_wage)).astype(np.int64)
    take_home = pay - withheld
    book = budget(put_by, take_home, need, state, world)
    next_is_january = (world.first_month + state.month) % 12 + 1 == JANUARY
    birthday = world.parameters.demography.ageing and next_is_january
    return replace(
        state,
        savings=state.savings + book.saved - book.drawn,
        debt=state.debt + book.borrowed + book.interest - book.repaid,
        credit_score=book.credit_score,
        months_out=(state.months_out + ~employed).astype(np.int16),
        age=(state.age + 1).astype(np.int16) if birthday else state.age,
        treasury=state.treasury + collected - disbursements(state.flows, world),
        flows=replace(
            state.flows,
            saved=int(book.saved.sum()),
            drawn=int(book.drawn.sum()),
            borrowed=int(book.borrowed.sum()),
            interest=int(book.interest.sum()),
            repaid=int(book.repaid.sum()),
            wages=int(pay.sum()),
            take_home=int(take_home.sum()),
            tax_cents=collected,
        ),
    )
