import numpy as np
import pytest

from choicemodels.keyed_random import Streams
from choicemodels.nation.generator import generate_nation
from choicemodels.nation.parameters import NationParameters, NationSize
from choicemodels.nation.surveys import survey, survey_county_flows

pooled, yearly = 1.5 / 0.05, 1.5 / 0.01


def test_exact_tables_are_sums_of_the_truth(village):
    truth, tables = village.truth, village.exact_tables
    flows = truth.flows.toarray()
    states, counties = village.areas.level("state"), village.areas.level("county")
    S, C = np.eye(states.size)[states.codes], np.eye(counties.size)[counties.codes]
    movers = flows - np.diag(flows.diagonal())
    np.testing.assert_array_equal(tables.populations, flows.sum(axis=1))
    np.testing.assert_array_equal(tables.flows, S.T @ flows @ S)
    np.testing.assert_array_equal(tables.movers, (movers @ S).sum(axis=0))
    np.testing.assert_array_equal(tables.stayers, flows.diagonal() @ S)
    np.testing.assert_array_equal(tables.before, C.T @ flows.sum(axis=1))
    np.testing.assert_array_equal(tables.after, (flows @ C).sum(axis=0))
    assert tables.flows.index.tolist() == states.labels.tolist()
    assert tables.after.index.tolist() == counties.labels.tolist()
    assert tables.year == truth.year == village.year
    assert not tables.margins_of_error


@pytest.mark.parametrize("name", ["village", "town"])
def test_surveyed_tables_agree_with_each_other(name, request):
    nation = request.getfixturevalue(name)
    tables = nation.tables
    county = nation.areas.level("county")
    state = nation.areas.parents("county", "state")
    sums = county.totals(tables.populations.to_numpy())
    np.testing.assert_allclose(sums, tables.before, rtol=1e-12)
    now = np.bincount(state, tables.after)
    np.testing.assert_allclose(tables.movers + tables.stayers, now, rtol=1e-12)
    np.testing.assert_allclose(tables.flows.sum(axis=0), now, rtol=1e-12)
    arrivals = tables.flows.to_numpy().sum(axis=0) - tables.flows.to_numpy().diagonal()
    assert (arrivals <= tables.movers).all()
    for table in (tables.populations, tables.movers, tables.stayers, tables.flows):
        assert (table.to_numpy() >= 0).all()
    np.testing.assert_array_equal(tables.before, nation.exact_tables.before)
    np.testing.assert_array_equal(tables.after, nation.exact_tables.after)


def test_surveys_err_as_they_say(town):
    exact, parameters = town.exact_tables, town.parameters
    surveys = [survey(exact, town.truth, parameters, Streams(seed, 2019)) for seed in range(1, 201)]
    flows = np.stack([tables.flows.to_numpy() for tables in surveys])
    off = ~np.eye(len(exact.flows), dtype=bool)
    truth = exact.flows.to_numpy()
    z = ((flows - truth) / np.sqrt(truth * yearly))[:, off]
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(200)
    # Poisson counts: the squares of z have mean 1 and variance 2 + 1 / count.
    spread = np.sqrt((2 + 1 / (truth[off] / yearly)) / (200 * off.sum()))
    assert (z**2).mean() == pytest.approx(1, abs=4 * spread.mean())
    z = (np.stack([t.movers for t in surveys]) - exact.movers.to_numpy()) / np.sqrt(
        exact.movers.to_numpy() * yearly
    )
    assert (z**2).mean() == pytest.approx(1, abs=4 * np.sqrt(2 / z.size))
    people = exact.populations.to_numpy()
    z = (np.stack([t.populations for t in surveys]) - people) / np.sqrt(people * pooled)
    # Held to the populations of counties, errors are a little smaller.
    assert 0.9 < (z**2).mean() < 1.0


def test_margins_of_error_hold_nine_times_in_ten(town):
    exact = town.exact_tables
    inside = {"populations": [], "movers": [], "stayers": [], "flows": []}
    for seed in range(1, 101):
        tables = survey(exact, town.truth, town.parameters, Streams(seed, 2019))
        for name, hits in inside.items():
            error = getattr(tables, name) - getattr(exact, name)
            hits.append((np.abs(error) <= tables.margins_of_error[name]).to_numpy())
    for name, hits in inside.items():
        assert np.mean(hits) == pytest.approx(0.9, abs=0.03), name


def test_the_census_coefficients_of_variation_are_met(town):
    moe = town.tables.margins_of_error
    cv = moe["populations"] / 1.645 / town.exact_tables.populations
    assert 0.1 < cv.median() < 0.2
    flows = town.exact_tables.flows.to_numpy()
    off = ~np.eye(len(flows), dtype=bool)
    cv = moe["flows"].to_numpy()[off] / 1.645 / flows[off]
    assert 0.1 < np.median(cv) < 0.9


def test_small_flows_are_printed_as_zero():
    rare = NationParameters(leaving=0.01)
    nation = generate_nation("village", parameters=rare)
    flows = nation.tables.flows.to_numpy()
    zero = (flows == 0) & (nation.exact_tables.flows.to_numpy() > 0)
    assert zero.any()
    np.testing.assert_allclose(
        nation.tables.margins_of_error["flows"].to_numpy()[zero], 1.645 * yearly
    )


def test_a_county_where_the_survey_met_nobody_is_divided_evenly():
    thin = NationParameters(people=2.0, pooled_sample=0.01)
    nation = generate_nation("village", parameters=thin)
    county = nation.areas.level("county")
    sums = county.totals(nation.tables.populations.to_numpy())
    np.testing.assert_allclose(sums, nation.exact_tables.before)


def test_county_flows_leave_out_what_the_survey_did_not_find(town):
    table = town.county_flows
    assert list(table.columns) == ["origin", "destination", "people", "moe"]
    truth = town.truth.aggregate("county").to_frame()
    known = truth.to_numpy()[
        truth.index.get_indexer(table["origin"]), truth.columns.get_indexer(table["destination"])
    ]
    assert (known > 0).all()
    assert (table["people"] > 0).all()
    z = (table["people"] - known) / np.sqrt(known * pooled)
    large = known > 20 * pooled
    assert (z[large] ** 2).mean() == pytest.approx(1, abs=4 * np.sqrt(2 / large.sum()))
    assert len(table) < (truth.to_numpy() > 0).sum()
    # Drawn apart from the other tables, so that it can be held out.
    other = survey_county_flows(town.truth, town.parameters, Streams(2, 2019))
    assert len(other) != len(table)


def test_a_survey_finds_no_more_movers_than_people():
    restless = NationParameters(leaving=0.59, leaving_spread=0.0)
    for seed in range(1, 9):
        nation = generate_nation(NationSize(3, 3, 3, 6), seed=seed, parameters=restless)
        for table in (nation.tables.stayers, nation.tables.flows, nation.tables.movers):
            assert (table.to_numpy() >= 0).all()
