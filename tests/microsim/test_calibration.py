from dataclasses import replace

from pandas.testing import assert_frame_equal

from microsim import Behaviour, simulate


def test_the_shift_of_staying_is_a_change_of_its_constant(population, behaviour, make):
    truth = behaviour.mobility
    constant = truth.staying["(Intercept)"]
    moved = replace(truth, staying={**truth.staying, "(Intercept)": constant + 0.5})
    shifted = simulate(population, behaviour, make(moving={"staying_shift": 0.5}), months=3)
    changed = simulate(population, Behaviour(mobility=moved), make(), months=3)
    assert_frame_equal(shifted.national, changed.national)
    still = simulate(population, behaviour, make(moving={"staying_shift": 40.0}), months=3)
    assert still.national["moves"].sum() == 0 < shifted.national["moves"].sum()
