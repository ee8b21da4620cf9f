"""All shocks and policies at once: what must hold of any month holds of these."""

from dataclasses import fields

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.keyed_random import Streams
from microsim import Behaviour, MoveTruth, simulate
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.results.recording import Tables
from microsim.state import initial_state
from microsim.world import make_world

MONTHS = 4


@pytest.fixture(scope="module")
def personal(population):
    """Behaviour in which family, tastes, occupation and remote work matter."""
    return Behaviour(mobility=MoveTruth.personal(tuple(population.metros.cbsa)))


@pytest.fixture(scope="module")
def everything(population, make):
    here, there, other = (str(code) for code in population.metros.cbsa[[2, 5, 9]])
    budget = {"budget": 300_000}
    return make(
        {"kind": "relocation_grant", "amount": 9_000, **budget},
        {"kind": "moving_tax_credit", "maximum": 4_000, "phase_out": [30_000, 90_000]},
        {"kind": "extended_insurance", "months": 3},
        {"kind": "retraining", "stipend": 500, "outreach": 3, "months": 2, **budget},
        {"kind": "job_matching", "factor": 1.5, "cost": 100, **budget},
        {"kind": "broadband", "metros": [here], "amount": 900},
        {"kind": "innovation_district", "metros": [there], "amount": 50_000, "positions": 5},
        {"kind": "place_based_hiring", "metros": [other], "amount": 2_000},
        {"kind": "university_partnership", "metros": [here, other], "amount": 1_000},
        shocks=[
            {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.1}]},
            {"kind": "ai_adoption", "trajectory": "fast", "start_month": 1},
            {"kind": "recession", "timing": "fixed", "start_month": 1, "end_month": 2},
            {"kind": "plant_closing", "metro": there, "start_month": 2, "share": 0.2},
            {"kind": "exposure", "start_month": 2, "values": {"43-0000": 0.9}},
            {"kind": "remote_work", "start_month": 1, "share": 0.5, "months": 2},
        ],
        name="everything",
        alignment={"active": True},
        demography={"ageing": True},
    )


def after_months(population, behaviour, scenario):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    world = make_world(population, utility, scenario, MONTHS, Streams(1), first_month=11)
    state = initial_state(world)
    for _ in range(MONTHS):
        state = step(state.next_month(world) if state.flows.saved else state, world)
    return state


@pytest.fixture(scope="module")
def last(population, personal, everything):
    return after_months(population, personal, everything)


def test_the_order_of_rows_changes_nobodys_life(population, personal, everything, last, shuffled):
    other, order = shuffled
    found = after_months(other, personal, everything)
    assert last.spent.min() > 0  # every policy has paid somebody
    rows = len(population.workers)
    for field in fields(last):
        one, two = getattr(last, field.name), getattr(found, field.name)
        if isinstance(one, np.ndarray) and one.dtype.kind in "iub":
            one = one[order] if one.shape == (rows,) else one
            assert_array_equal(one, two, err_msg=field.name)
        elif isinstance(one, np.ndarray):
            # Sums by metro are taken in the order of the rows.
            one = one[order] if one.shape == (rows,) else one
            np.testing.assert_allclose(one, two, rtol=1e-12, err_msg=field.name)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(population, personal, everything, tmp_path):
    options = {"months": MONTHS, "start": "2024-11"}
    whole = simulate(population, personal, everything, **options)

    class Killed(BaseException):
        pass

    def stop(done, total):
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        simulate(
            population, personal, everything, **options, out=tmp_path, checkpoint=2, progress=stop
        )
    resumed = simulate(population, personal, everything, **options, out=tmp_path, resume=True)
    for table in fields(Tables):
        one, two = getattr(resumed, table.name), getattr(whole, table.name)
        assert_frame_equal(one, two, check_exact=True, obj=table.name)


def test_the_number_of_threads_changes_nothing(population, personal, everything, last):
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        one = after_months(population, personal, everything)
    finally:
        numba.set_num_threads(threads)
    for field in fields(last):
        value = getattr(last, field.name)
        if isinstance(value, np.ndarray):
            assert_array_equal(value, getattr(one, field.name), err_msg=field.name)
