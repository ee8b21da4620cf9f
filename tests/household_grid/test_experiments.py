"""Deviations and open questions: each is one change, and each can be run."""

import pytest

import microsim.household_grid
from microsim.household_grid.ensemble import grid_ensemble
from microsim.household_grid.experiments import (
    DEVIATIONS,
    deviation_sets,
    deviation_table,
    open_questions,
)
from microsim.household_grid.parameters import PRESETS, GridParameters

SMALL = {"households": 600, "side": 8, "steps": 30, "shock": 15}


def test_the_code_is_the_paper_with_deviations():
    """What the preset changes is told of, but for its number of cities."""
    told = [key for deviation in DEVIATIONS for key in deviation.changes]
    assert {key for key in PRESETS["code"] if key != "city_rule"} <= set(told)
    assert len({deviation.name for deviation in DEVIATIONS}) == len(DEVIATIONS)


def test_each_deviation_differs_from_the_paper():
    sets = deviation_sets(**SMALL)
    paper = sets.pop("paper")
    assert len(sets) == sum(bool(deviation.changes) for deviation in DEVIATIONS)
    assert all(p != paper for p in sets.values())


def test_the_table_tells_every_deviation_and_the_effect_of_those_that_run():
    sets = deviation_sets(**SMALL)
    found = grid_ensemble({name: sets[name] for name in ("paper", "edges", "mean income")}, 2)
    table = deviation_table(found, ("moves",))
    assert list(table.index) == [deviation.name for deviation in DEVIATIONS]
    by_hand = (found.of("edges")["moves"] - found.of("paper")["moves"]).mean()
    assert table.loc["edges", "moves"] == pytest.approx(by_hand)
    without = table.loc[["capacity as printed", "fixed order"], ["moves", "claims"]]
    assert without.isna().all(axis=None)


def test_questions_change_what_they_ask():
    base = GridParameters.preset("code", **SMALL)
    sets = open_questions(base)
    assert sets["base"] == base
    assert sets["re-opened"].reopening == 22
    assert sets["b2 times 0.5"].weights == (3.0, 2.0, -2.5e-4, 2.0)
    assert sets["occupancy 0.50"].occupancy == 0.5
    assert all(p != base for name, p in sets.items() if name != "base")


@pytest.mark.parametrize("changes", [{"shock": None}, {"reopening": 20}])
def test_questions_are_asked_of_any_base(changes):
    base = GridParameters.preset("paper", **{**SMALL, **changes})
    sets = open_questions(base)
    assert sets["base"] == base
    assert ("re-opened" in sets) == (base.shock is not None)
    assert len(sets) == (28 if base.shock is not None else 23)


def test_every_public_name_exists():
    package = microsim.household_grid
    assert all(hasattr(package, name) for name in package.__all__)
    assert dir(package) == sorted(package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'simulate'"):
        _ = package.simulate
