"""Taxes are paid, households put by and draw down, spells lengthen, and everybody grows older."""

from dataclasses import replace

import numpy as np

from microsim.processes.ledger import cents_by_metro, disbursements, withholding
from microsim.state import State, World

__all__ = ["accounts"]

JANUARY = 1


def accounts(state: State, world: World) -> State:
    """Book the month.

    Governments collect their taxes on the month's wages and pay for their programmes. The employed
    put by ``saving_rate`` of what is left of the wage; the unemployed draw ``drawdown_rate`` of
    a month's last wage while their savings last. Amounts are whole cents. The population is
    closed, and its ages stay as they are unless ``ageing`` lets everyone grow a year older at the
    end of December.
    """
    money = world.parameters.money
    month_wage = state.wage * (100.0 / 12.0)
    employed = state.employed
    pay = np.where(employed, np.rint(month_wage), 0.0).astype(np.int64)
    tax = withholding(state, world)
    left = month_wage - tax.sum(axis=0)
    saved = np.where(employed, np.rint(money.saving_rate * left), 0.0).astype(np.int64)
    wanted = np.where(employed, 0.0, np.rint(money.drawdown_rate * month_wage)).astype(np.int64)
    drawn = np.minimum(wanted, state.savings)
    next_is_january = (world.first_month + state.month) % 12 + 1 == JANUARY
    birthday = world.parameters.demography.ageing and next_is_january
    collected = np.stack([cents_by_metro(state.metro, t, world.metros) for t in tax])
    return replace(
        state,
        savings=state.savings + saved - drawn,
        months_out=(state.months_out + ~employed).astype(np.int16),
        age=(state.age + 1).astype(np.int16) if birthday else state.age,
        treasury=state.treasury + collected - disbursements(state.flows, world),
        flows=replace(
            state.flows,
            saved=int(saved.sum()),
            drawn=int(drawn.sum()),
            wages=int(pay.sum()),
            take_home=int((pay - tax.sum(axis=0)).sum()),
            tax_cents=collected,
        ),
    )
