import numpy as np
import pytest

from choicemodels.keyed_random import Streams
from choicemodels.nation.generator import generate_nation
from choicemodels.nation.geography import lay_out
from choicemodels.nation.histories import coverage_of, observe, zip_codes
from choicemodels.nation.inhabitants import leaving_rates, settle
from choicemodels.nation.moves import attraction, draw_moves, matrix_of
from choicemodels.nation.parameters import GROUPS, SIZES, NationParameters

complete = {
    "coverage": dict.fromkeys(GROUPS, 1.0),
    "coverage_by_income": 0.0,
    "coverage_by_leaving": 0.0,
    "coverage_spread": 0.0,
    "reported_moves": 1.0,
    "reported_moves_spread": 0.0,
    "zip_only": 0.0,
    "zip_only_rural": 0.0,
}


def dense(matrix):
    return matrix.flows.toarray()


def test_complete_histories_show_the_truth():
    nation = generate_nation("village", parameters=NationParameters(**complete))
    np.testing.assert_array_equal(dense(nation.raw), dense(nation.truth))
    np.testing.assert_array_equal(nation.raw.indptr, nation.truth.indptr)


def test_addresses_known_by_zip_code_alone_are_spread_over_it():
    parameters = NationParameters(**{**complete, "zip_only": 1.0, "zip_only_rural": 1.0})
    nation = generate_nation("village", parameters=parameters)
    zips = zip_codes(nation.areas, parameters, Streams(1))
    people = nation.truth.before
    G = np.zeros((zips[-1] + 1, 100))
    G[zips, np.arange(100)] = people / np.bincount(zips, people)[zips]
    truth = dense(nation.truth)
    stayers = np.diag(np.bincount(zips, truth.diagonal()))
    membership = np.eye(zips[-1] + 1)[:, zips]
    movers = membership @ (truth - np.diag(truth.diagonal())) @ membership.T
    expected = G.T @ movers @ G + np.diag(G.T @ stayers.diagonal())
    np.testing.assert_allclose(dense(nation.raw), expected, rtol=1e-12)


def test_histories_are_what_each_person_leaves_behind():
    parameters = NationParameters(zip_only=0.3, zip_only_rural=0.5, coverage_spread=0.1)
    streams, year = Streams(4), Streams(4, 2019)
    areas = settle(lay_out(SIZES["village"], parameters, streams), parameters, streams)
    rates = leaving_rates(areas, parameters, streams)
    moves = draw_moves(areas, rates, attraction(areas, parameters, streams), parameters, year)
    truth = matrix_of(moves, areas, 2019)
    coverage = coverage_of(areas, parameters, streams)
    raw = observe(moves, truth, coverage, year)

    N, zips = areas.size, coverage.zips
    weight = truth.before / np.bincount(zips, truth.before)[zips]
    spread = weight * (zips[:, None] == zips)  # row: where an address of its ZIP code may lie
    origin = np.repeat(np.arange(N), np.diff(moves.starts))
    destination, group = moves.codes // len(GROUPS), moves.codes % len(GROUPS)
    person = moves.first_person[origin] + np.arange(len(origin)) - moves.starts[origin]
    draws = [year.uniform("histories", person, month) for month in range(4)]
    exact, stay = np.zeros((N, N)), np.zeros(N)
    for n, (i, j, g) in enumerate(zip(origin, destination, group, strict=True)):
        if draws[0][n] >= coverage.people[i, g]:
            continue
        here = spread[i] if draws[2][n] < coverage.zip_only[i] else np.eye(N)[i]
        there = spread[j] if draws[3][n] < coverage.zip_only[j] else np.eye(N)[j]
        if draws[1][n] < coverage.moves[j]:
            exact += np.outer(here, there)
        else:
            stay += here
    off = dense(raw) - exact
    np.testing.assert_allclose(off - np.diag(off.diagonal()), 0, atol=1e-9)
    stayers = off.diagonal() - stay
    # Those who stayed are whole people of each ZIP code, a share of those who truly did.
    by_zip = np.bincount(zips, stayers)
    np.testing.assert_allclose(by_zip, np.rint(by_zip), atol=1e-8)
    chance = (areas.table[list(GROUPS)].to_numpy() * coverage.people).sum(axis=1) / truth.before
    expected = np.bincount(zips, truth.stayers * chance)
    sd = np.sqrt(np.bincount(zips, truth.stayers * chance * (1 - chance)))
    z = (by_zip - expected) / sd
    assert np.abs(z).max() < 4.5
    assert 0.5 < z.std() < 1.5


def test_histories_lack_groups_the_poor_and_moves():
    # Chance differences between areas would hide those between groups in so small a nation.
    town = generate_nation("town", parameters=NationParameters(coverage_spread=0.0))
    share = town.areas.table[list(GROUPS)].to_numpy() / town.truth.before[:, None]
    seen = (share.T @ town.raw.before) / (share.T @ town.truth.before)
    assert np.argmax(seen) == GROUPS.index("white")
    assert seen[GROUPS.index("hispanic")] < seen[GROUPS.index("white")] - 0.05
    income = town.areas.attribute("income")
    rate = town.raw.before / town.truth.before
    assert np.corrcoef(np.log(income), rate)[0, 1] > 0.2
    moved = [1 - m.stayers.sum() / m.total for m in (town.truth, town.raw)]
    assert 0.6 < moved[1] / moved[0] < 0.85


def test_histories_are_as_far_from_the_survey_as_published(town):
    # AgostiniYoungFitzpatrickGargPierson2025, Table 3: correlations of 0.818 to 0.827 and errors of
    # 507 to 581 people, about 35 to 38 % of the mean.
    survey = town.tables.populations.to_numpy()
    raw = town.raw.before * (survey.sum() / town.raw.total)
    assert 0.76 < np.corrcoef(raw, survey)[0, 1] < 0.88
    assert 0.3 < np.sqrt(np.mean((raw - survey) ** 2)) / survey.mean() < 0.42


def test_the_diagonal_holds_somebody_everywhere(town):
    assert town.raw.stayers.min() >= 1
    scarce = NationParameters(coverage=dict.fromkeys(GROUPS, 1e-6))
    nation = generate_nation("village", parameters=scarce)
    np.testing.assert_array_equal(nation.raw.stayers, 1)


def test_zip_codes_are_runs_of_tracts_of_one_county(town):
    zips = zip_codes(town.areas, town.parameters, Streams(town.seed))
    assert (np.diff(zips) >= 0).all()
    for level in ("tract", "county"):
        codes = town.areas.level(level).codes
        pairs = {(int(a), int(b)) for a, b in zip(codes, zips, strict=True)}
        number = len(set(zips.tolist())) if level == "county" else codes[-1] + 1
        assert len(pairs) == number
    assert 340 / (zips[-1] + 1) == pytest.approx(1 / 0.45, rel=0.25)
