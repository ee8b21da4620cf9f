"""Cities, households and what is refused of their parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.special import zeta
from scipy.stats import chisquare, kstest

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim.household_grid.cities import city_sizes, draw_places
from microsim.household_grid.finding import _inverse_power, _steps, _zipf, find
from microsim.household_grid.households import (
    draw_homes,
    draw_incomes,
    draw_preferences,
    power_law,
)
from microsim.household_grid.parameters import PRESETS, GridParameters
from microsim.household_grid.state import initial_grid, periodic_distance, scratch_for
from microsim.parameters import parameter_table

PAPER = GridParameters.preset("paper")
SEED_OF_A_TOWN = 1
"""Whose first city has size 1."""


def test_city_sizes_follow_their_power_law_and_give_its_exponent_back():
    u = Streams(1).uniform("sizes", np.arange(50_000))
    k = city_sizes(u, 2.5)
    chances = np.arange(1, 6) ** -2.5 / zeta(2.5)
    expected = 50_000 * np.append(chances, 1 - chances.sum())
    assert chisquare(np.append(np.bincount(k)[1:6], (k > 5).sum()), expected).pvalue > 0.001
    found = minimize_scalar(
        lambda a: np.log(zeta(a)) + a * np.log(k).mean(), bounds=(1.5, 4.0), method="bounded"
    ).x
    assert abs(found - 2.5) < 4 * 0.012  # the Fisher information gives 0.0117 or so


def test_beyond_the_table_sizes_go_on_growing():
    sizes = city_sizes(1 - np.array([1e-2, 1e-3, 1e-4]), 1.2)
    assert (np.diff(sizes) > 0).all()
    assert sizes[0] > 1_000_000


def test_incomes_follow_their_power_law_and_give_its_exponent_back():
    p = PAPER.replace(households=40_000)
    income = draw_incomes(p, Streams(1))
    low, high = p.income_range
    assert income.min() >= low
    assert income.max() <= high
    a = p.income_exponent

    def share_below(x):
        return (low ** (1 - a) - x ** (1 - a)) / (low ** (1 - a) - high ** (1 - a))

    assert kstest(income, share_below).pvalue > 0.001
    logs = np.log(income).mean()

    def minus_loglike(b):
        return b * logs + np.log((low ** (1 - b) - high ** (1 - b)) / (b - 1))

    found = minimize_scalar(minus_loglike, bounds=(1.01, 1.5), method="bounded").x
    assert abs(found - a) < 4 / (np.sqrt(40_000) * 1.5)


def test_the_power_law_without_slope_is_uniform_in_logs():
    u = np.array([0.0, 0.5, 1.0])
    assert_allclose(power_law(u, 1.0, 1.0, 100.0), [1, 10, 100])
    assert_allclose(power_law(u, 1.0 + 1e-9, 1.0, 100.0), [1, 10, 100], rtol=1e-6)


@pytest.mark.parametrize(("law", "mean"), [("exponential", 30_000), ("power", 30_000)])
def test_incomes_of_both_laws_have_the_same_mean(law, mean):
    income = draw_incomes(PAPER.replace(income=law, households=100_000), Streams(1))
    assert income.mean() == pytest.approx(mean, rel=0.02)
    assert_array_equal(income, np.rint(income))


@pytest.mark.parametrize("changes", [{}, {"occupancy": 0.5}, PRESETS["code"]])
def test_places_add_up_to_households_over_occupancy(changes):
    p = PAPER.replace(**changes)
    places = draw_places(p, Streams(1))
    assert places.sum() == round(10_000 / p.occupancy)
    assert places.min() >= p.least_places


def test_a_city_lies_around_its_centre_across_the_edges():
    one = {"households": 9_000, "side": 3, "city_rule": "g^2/10", "width_scale": 0.3}
    wide = draw_places(PAPER.replace(**one, width_offset=2.0), Streams(SEED_OF_A_TOWN)).reshape(
        3, 3
    )
    x, y = np.unravel_index(wide.argmax(), wide.shape)
    near = wide[[x - 1, (x + 1) % 3, x, x], [y, y, y - 1, (y + 1) % 3]]
    # Two of them are neighbours across an edge; a torus cannot tell them apart.
    assert np.ptp(near) <= 1
    assert wide.max() > near.max() > wide.min()
    point = draw_places(PAPER.replace(**one, width_offset=0.0), Streams(SEED_OF_A_TOWN))
    assert (point > 0).sum() == 1  # a city of size 1 has no width: all of it lies in one cell


def test_preferred_sizes_have_their_laws():
    places = draw_places(PAPER, Streams(1))
    level = places.mean()
    log = np.log(draw_preferences(PAPER, places, Streams(1)) / level)
    assert kstest(log / 0.5, "norm").pvalue > 0.001
    means = {
        law: draw_preferences(PAPER.replace(preference=law), places, Streams(1)).mean()
        for law in ("uniform", "exponential", "places")
    }
    assert means["uniform"] == pytest.approx(level, rel=0.03)
    assert means["exponential"] == pytest.approx(level, rel=0.04)
    assert means["places"] == pytest.approx((places**2).sum() / places.sum(), rel=0.03)


def test_homes_take_no_place_twice_or_are_drawn_independently():
    places = draw_places(PAPER, Streams(1))
    once = np.bincount(draw_homes(PAPER, places, Streams(1)), minlength=400)
    assert (once <= places).all()
    assert once.sum() == 10_000
    free = draw_homes(PAPER.replace(placement="independent"), places, Streams(1))
    counts = np.bincount(free, minlength=400)
    assert (counts > places).any()
    large = places > 5
    expected = places[large] / places[large].sum() * counts[large].sum()
    assert chisquare(counts[large], expected).pvalue > 0.001


@pytest.mark.parametrize(("zipf", "exponent"), [(True, 2.0), (True, 3.7), (False, 2.5)])
def test_distances_follow_their_law(zipf, exponent):
    key = Streams(1).key("distance")
    above = exponent - 1
    if zipf:
        r = np.array([_zipf(above, 1 / zeta(exponent), i, 0, key, 0)[0] for i in range(5_000)])
    else:
        r = np.array([_inverse_power(u, above) for u in (np.arange(5_000) + 0.5) / 5_000])
    if not zipf:
        assert kstest(r, lambda x: 1 - x ** (1 - exponent)).pvalue > 0.001
        return
    chances = np.arange(1, 5) ** -exponent / zeta(exponent)
    counts = np.append(np.bincount(r.astype(int), minlength=5)[1:5], (r > 4).sum())
    assert chisquare(counts, 5_000 * np.append(chances, 1 - chances.sum())).pvalue > 0.001


def test_steps_lead_in_their_direction():
    turn, radius = np.linspace(0, 1, 4_001), 1e9
    found = np.array([_steps(radius, t) for t in turn])
    angle = 2 * np.pi * turn
    expected = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    # Rounded to whole steps, which differ by one where rounding falls on either side.
    assert_allclose(found, expected, rtol=0, atol=0.5 + 1e-6)


def test_who_goes_very_far_may_end_anywhere():
    """The richest: distances above a million in one search of sixteen, some of them capped."""
    p = GridParameters.preset("code", households=400, side=10, distance_exponents=(4.0, 1.2))
    grid, scratch = initial_grid(p, Streams(1)), scratch_for(p)
    counts = np.zeros(100)
    for when in range(400):
        found = find(0, 55, p.top_income, 0.0, when, grid.keys.search, grid.rules, scratch)
        cells = scratch.found[:found][np.abs(scratch.dx[:found]) > 1e6]
        assert ((cells >= 0) & (cells < 100)).all()
        np.add.at(counts, cells, 1)
    assert counts.sum() > 400
    assert chisquare(counts).pvalue > 0.001


def test_distances_go_around_the_grid():
    a, b = np.array([0, 0, 0, 5]), np.array([9, 90, 55, 5])
    assert_allclose(periodic_distance(a, b, 10), [1, 1, np.hypot(5, 5), 0])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"side": 1}, "'side' is 1; give a value of at least 2"),
        ({"occupancy": 1.0}, "'occupancy' is 1.0; give a value of less than 1"),
        ({"occupancy": 0.99999}, "leave no place vacant"),
        ({"income_range": (-5, 100)}, "'income_range', bounds must be positive"),
        ({"shock": 1_000}, "the shock is at step 1000, but the last step is 999"),
        ({"reopening": 400}, "the reopening is at step 400, which is not between the shock"),
        ({"reopening": 600, "shock": None}, "not between the shock"),
        ({"weights": (1, 2, 3)}, "there are 3 weights; give four"),
        ({"weights": (1, 2, 3, float("nan"))}, "'weights"),
        ({"distance_exponents": (4.0, 1.0)}, "exponents must be above 1"),
        ({"searches": (0, 25)}, "places searched must be 1 or more"),
        ({"income_range": (1_000, 300_000)}, "incomes reach 300,000, above top_income"),
        ({"households": 200, "least_places": 1}, "fewer than 1 for each of 400 cells"),
        ({"householdz": 5}, r"unknown key 'householdz' \(did you mean 'households'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(changes, reason):
    with pytest.raises(SpecificationError, match=reason):
        GridParameters.preset("paper", **changes)
    with pytest.raises(SpecificationError, match=reason):
        PAPER.replace(**changes)


def test_parameters_built_by_name_are_refused_in_a_sentence_too():
    with pytest.raises(SpecificationError, match="GridParameters: 'households' is -5; give a val"):
        GridParameters(households=-5)


def test_numpys_whole_numbers_are_whole_numbers():
    assert GridParameters.preset("paper", steps=np.int64(100)).shock == 50


def test_there_are_three_presets():
    assert set(PRESETS) == {"paper", "code", "code_early"}
    with pytest.raises(SpecificationError, match=r"no preset 'papr' \(did you mean 'paper'"):
        GridParameters.preset("papr")
    assert GridParameters.preset("code", steps=300).shock == 150


def test_every_number_has_a_unit_and_a_source():
    table = parameter_table(PAPER)
    numbers = table[[isinstance(v, float | tuple) for v in table["default"]]]
    assert numbers["unit"].str.len().gt(0).all()
    assert table["source"].str.len().gt(0).all()
    assert table["description"].str.len().gt(0).all()
