import numpy as np
import pytest
from scipy import stats

from choicemodels.flows.geography import great_circle
from choicemodels.keyed_random import Streams
from choicemodels.nation.geography import lay_out
from choicemodels.nation.inhabitants import groups_of, leaving_rates, settle
from choicemodels.nation.moves import attraction, draw_moves, group_changes, matrix_of
from choicemodels.nation.parameters import GROUPS, NationParameters, NationSize

# Few areas with many people, so that every pair is met often.
crowded = NationParameters(people=150_000.0, decay_from=20.0)


def generated(parameters, size=None, seed=1):
    size = size or NationSize(2, 4, 8, 16)
    streams = Streams(seed)
    areas = settle(lay_out(size, parameters, streams), parameters, streams)
    rates = leaving_rates(areas, parameters, streams)
    moves = draw_moves(areas, rates, attraction(areas, parameters, streams), parameters, streams)
    return areas, rates, moves


def law(areas, p, streams):
    """The probability of each destination for each group and origin, written out (G, N, N)."""
    N = areas.size
    latitude, longitude = areas.attribute("latitude"), areas.attribute("longitude")
    people, income = areas.attribute("population"), areas.attribute("income")
    county, state = areas.level("county").codes, areas.level("state").codes
    a = p.pull_spread * streams.normal("pull of county", np.arange(county[-1] + 1))[county]
    shares = groups_of(areas) / people[:, None]
    xyz = attraction(areas, p, streams).centres
    centre = np.degrees(np.arcsin(xyz[:, 2])), np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0]))
    out = np.zeros((len(GROUPS), N, N))
    for g in range(len(GROUPS)):
        pull = people * np.exp(p.homophily * shares[:, g] + a)
        for i in range(N):
            near = (county == county[i]) & (np.arange(N) != i)
            d = great_circle(latitude[i], longitude[i], latitude, longitude)
            weight = near * pull * (1 + d / p.decay_from) ** -p.decay
            weight *= np.exp(-p.income_homophily * np.abs(np.log(income[i] / income)))
            within = p.within_county if near.any() else 0.0
            if near.any():
                out[g, i] = within * weight / weight.sum()
            d = great_circle(centre[0][county[i]], centre[1][county[i]], *centre)[county]
            weight = (county != county[i]) * pull
            weight *= (1 + d / p.decay_between_from) ** -p.decay_between
            weight *= np.where(state == state[i], p.same_state, 1.0)
            out[g, i] += (1 - within) * weight / weight.sum()
    return out


def test_moves_follow_the_law():
    areas, _, moves = generated(crowded)
    truth = matrix_of(moves, areas, 2019)
    chance = law(areas, crowded, Streams(1))
    np.testing.assert_allclose(chance.sum(axis=2), 1)
    weights = groups_of(areas) * [crowded.leaving_by_group[group] for group in GROUPS]
    weights /= weights.sum(axis=1, keepdims=True)
    expected = np.einsum("ig,gij->ij", weights, chance) * np.diff(moves.starts)[:, None]
    seen = truth.flows.toarray()
    np.fill_diagonal(seen, 0)
    met = expected > 0
    assert not seen[~met].any()
    distance = ((seen - expected)[met] ** 2 / expected[met]).sum()
    assert stats.chi2(met.sum() - areas.size).sf(distance) > 0.01
    assert expected[met].min() > 5


def test_groups_of_those_who_move_follow_their_rates():
    areas, _, moves = generated(crowded)
    weights = groups_of(areas) * [crowded.leaving_by_group[group] for group in GROUPS]
    leavers = np.diff(moves.starts)
    expected = (weights / weights.sum(axis=1, keepdims=True) * leavers[:, None]).sum(axis=0)
    seen = np.bincount(moves.codes % len(GROUPS), minlength=len(GROUPS))
    assert stats.chisquare(seen, expected).pvalue > 0.01


def test_rates_of_leaving_average_what_was_asked_for():
    areas, rates, moves = generated(NationParameters(), NationSize(3, 20, 500, 1_500))
    people = areas.attribute("population")
    assert rates @ people / people.sum() == pytest.approx(0.13, rel=1e-9)
    leavers = np.diff(moves.starts)
    z = (leavers - rates * people) / np.sqrt(rates * (1 - rates) * people)
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert z.std() == pytest.approx(1, abs=0.08)


def test_the_matrix_counts_moves_and_keeps_the_people():
    areas, _, moves = generated(NationParameters(), NationSize(2, 5, 20, 60))
    truth = matrix_of(moves, areas, 2019)
    dense = np.zeros((60, 60))
    origin = np.repeat(np.arange(60), np.diff(moves.starts))
    np.add.at(dense, (origin, moves.codes // len(GROUPS)), 1)
    assert not dense.diagonal().any()
    dense[np.arange(60), np.arange(60)] = areas.attribute("population") - dense.sum(axis=1)
    np.testing.assert_array_equal(truth.flows.toarray(), dense)
    changes = group_changes(moves)
    np.testing.assert_array_equal(changes.sum(axis=1), truth.after - truth.before)
    white = moves.codes % len(GROUPS) == 0
    here = np.bincount(moves.codes[white] // len(GROUPS), minlength=60)
    gone = np.bincount(origin[white], minlength=60)
    np.testing.assert_array_equal(changes[:, 0], here - gone)


def test_nobody_moves_within_a_county_of_one_area_nor_out_of_the_only_county():
    areas, _, moves = generated(NationParameters(), NationSize(2, 4, 4, 4))
    truth = matrix_of(moves, areas, 2019)
    assert truth.aggregate("county").movers.diagonal().sum() == 0
    areas, _, moves = generated(NationParameters(), NationSize(1, 1, 2, 4))
    assert len(moves.codes) > 100


def test_people_move_near_and_to_their_own_group():
    size = NationSize(2, 6, 120, 360)

    def exposure(**changes):
        areas, _, moves = generated(NationParameters(**changes), size)
        origin = np.repeat(np.arange(areas.size), np.diff(moves.starts))
        destination = moves.codes // len(GROUPS)
        black = groups_of(areas)[:, 1] / areas.attribute("population")
        latitude, longitude = areas.attribute("latitude"), areas.attribute("longitude")
        places = (
            latitude[origin],
            longitude[origin],
            latitude[destination],
            longitude[destination],
        )
        group = moves.codes % len(GROUPS) == 1
        return black[destination][group].mean(), np.median(great_circle(*places))

    usual, near = exposure()
    blind, _ = exposure(homophily=0.0)
    _, far = exposure(decay=0.0, decay_between=0.0)
    assert usual > 1.3 * blind
    assert near < 0.7 * far
