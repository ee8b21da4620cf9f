"""Who has taken AI up at the start, and what becomes of it in space."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from scipy.sparse import csr_array
from scipy.special import expit, logit

from choicemodels.datasets import load_data
from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from estimation.interaction.autocorrelation import moran
from microsim import Behaviour, MoveTruth, synthesize
from microsim.assumptions.synthesis import SynthesisParameters
from microsim.mobility.utility import MobilityUtility
from microsim.mobility.variables import great_circle
from microsim.people.first_adopters import first_stages, log_odds_by_metro
from microsim.processes.adoption import adoption
from microsim.state import initial_state
from microsim.world import make_world

ASSUMED = SynthesisParameters()


@pytest.fixture(scope="module")
def people():
    return synthesize(workers=40_000, firms=20_000, metros=384, seed=4)


@pytest.fixture(scope="module")
def chance(people):
    """Every firm's chance of having begun, from the definition."""
    firms = people.firms
    places = load_data("metros").nlargest(384, "population")
    industry = np.array(list(ASSUMED.adoption_by_industry.values()))[firms.industry]
    odds = logit(industry) + log_odds_by_metro(places, ASSUMED)[firms.metro]
    large = firms.size >= ASSUMED.large_firm
    chances = np.empty(len(firms))
    for group, share in ((~large, 0.054), (large, 0.108)):
        if group.any():
            mine = odds[group]
            shift = brentq(lambda c, x=mine, s=share: expit(x + c).mean() - s, -20, 20, xtol=1e-13)
            chances[group] = expit(mine + shift)
    return chances


def test_every_metro_has_its_expected_adopters_within_one(people, chance):
    firms = people.firms
    begun = np.bincount(firms.metro, firms.stage > 0)
    assert np.abs(begun - np.bincount(firms.metro, chance)).max() < 1.0
    assert abs((firms.stage > 0).sum() - chance.sum()) < 1.0


def test_industries_differ_as_published(people, chance):
    firms = people.firms
    share = np.bincount(firms.industry, firms.stage > 0) / np.bincount(firms.industry)
    expected = np.bincount(firms.industry, chance) / np.bincount(firms.industry)
    error = np.sqrt(expected * (1 - expected) / np.bincount(firms.industry))
    assert (np.abs(share - expected) < 3.5 * error).all()
    # Information 18.1 %, construction 1.4 %, all 5.4 %: so they come out, with places beside them.
    assert expected[3] == pytest.approx(0.181, abs=0.03)
    assert expected[0] == pytest.approx(0.014, abs=0.005)


def test_states_lie_as_far_apart_as_in_february_2024():
    published = logit(0.074) - logit(0.017)
    table = load_data("ai_use").set_index("state")["use_rate"]
    assert (table.max(), table.min()) == (0.247, 0.087)
    names = ["DE", "AR", "AK", "DC-VA-MD-WV", "VA", "MD"]
    odds = log_odds_by_metro(pd.DataFrame({"states": names}), ASSUMED)
    assert odds[0] - odds[1] == pytest.approx(published, rel=0.01)
    assert odds[2] == 0.0
    assert odds[3] == pytest.approx((odds[4] + odds[5]) / 2, rel=1e-12)
    alike = SynthesisParameters(adoption_state_spread=0)
    assert_array_equal(log_odds_by_metro(pd.DataFrame({"states": names}), alike), np.zeros(6))


def test_stages_are_those_of_the_shares(people):
    begun = people.firms.stage[people.firms.stage > 0]
    share = np.bincount(begun, minlength=4)[1:] / len(begun)
    expected = np.array([0.6, 0.3, 0.1])
    assert_allclose(share, expected, atol=4 * np.sqrt(0.25 / len(begun)))


def test_nobody_and_everybody():
    size, zeros = np.full(50, 3), np.zeros(50, dtype=np.int64)

    def stages(*shares):
        assumed = SynthesisParameters(adoption_shares=shares)
        return first_stages(size, zeros, zeros, np.zeros(1), Streams(1), assumed)

    assert_array_equal(stages(1, 0, 0, 0), zeros)
    assert_array_equal(stages(0, 0, 1, 0), np.full(50, 2))


def test_an_industry_left_out_ends_in_a_sentence():
    lacks = SynthesisParameters(adoption_by_industry={"manufacturing": 0.1})
    with pytest.raises(SpecificationError, match="adoption_by_industry has no entry for education"):
        synthesize(workers=400, firms=40, metros=2, parameters=lacks)


def test_adoption_comes_to_cluster_in_space(make):
    """At the defaults, and not without regional contagion: after seven years, by Moran's I."""
    people = synthesize(workers=60_000, firms=30_000, metros=200, seed=4)
    metros, firms = people.metros, people.firms
    utility = MobilityUtility.build(Behaviour(mobility=MoveTruth(tuple(metros.cbsa))), metros.cbsa)
    near = np.exp(-great_circle(metros.latitude, metros.longitude) / 150.0)
    np.fill_diagonal(near, 0.0)
    scores = {}
    for name, rules in (
        ("defaults", {}),
        ("industry alone", {"regional_contagion": 0, "industry_contagion": 84}),
    ):
        scenario = make(shocks=[{"kind": "ai_adoption"}], adoption=rules)
        scores[name] = []
        for seed in range(1, 4):
            world = make_world(people, utility, scenario, 84, Streams(seed), first_month=1)
            state = initial_state(world)
            for month in range(84):
                state = adoption(replace(state, month=month), world)
            share = np.bincount(firms.metro, state.stage > 0) / np.bincount(firms.metro)
            assert 0.3 < (state.stage > 0).mean() < 0.42  # as many adopt either way
            scores[name].append(moran(share, csr_array(near), permutations=0, seed=0).z)
    assert np.mean(scores["defaults"]) > 3.0
    assert np.mean(scores["industry alone"]) < 1.5
