"""No new job pays less than the law asks."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.state import initial_state
from microsim.world import make_world


@pytest.fixture(scope="module")
def after(population, behaviour, make):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))

    def run(**labour):
        scenario = make(quiet=True, labour={"separation_rate": 0.0, **labour})
        world = make_world(population, utility, scenario, 1, Streams(1), first_month=1)
        state = initial_state(world)
        return state, step(state, world), world

    return run


def test_new_jobs_pay_at_least_the_minimum(after):
    before, free, _ = after(minimum_wage=0.0)
    _, bound, _ = after(minimum_wage=25.0)
    hired = (before.firm < 0) & (bound.firm >= 0)
    assert (free.wage[hired] < 25 * 2080).mean() > 0.2
    assert_array_equal(bound.firm, free.firm)
    assert_array_equal(bound.wage[hired], np.maximum(free.wage[hired], 25 * 2080))
    stayed = (before.firm >= 0) & (before.firm == bound.firm)
    assert_array_equal(bound.wage[stayed], before.wage[stayed])


def test_a_year_has_the_hours_that_it_is_given(after):
    _, half, _ = after(minimum_wage=50.0, full_time_hours=1040)
    _, full, _ = after(minimum_wage=25.0, full_time_hours=2080)
    assert_array_equal(half.wage, full.wage)


def test_without_a_number_each_state_has_its_own(after):
    before, bound, world = after(minimum_wage=None)
    law = world.start.minimum_wage
    assert law.min() >= 7.25
    assert np.unique(law).size > 3
    hired = (before.firm < 0) & (bound.firm >= 0)
    assert (bound.wage[hired] >= 2080 * law[bound.metro[hired]]).all()


def test_a_negative_minimum_is_refused(make):
    with pytest.raises(SpecificationError, match=r"minimum_wage' is -1"):
        make(labour={"minimum_wage": -1})
