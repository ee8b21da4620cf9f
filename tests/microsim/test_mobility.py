from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from choicemodels.utility import UtilityTerm, product
from microsim import (
    Behaviour,
    MoveTruth,
    Scenario,
    choice_table,
    flow_table,
    simulate,
    year_of_moves,
)
from microsim.mobility.terms import split_terms
from microsim.mobility.utility import MobilityUtility
from microsim.mobility.variables import (
    VARIABLES,
    PlaceColumns,
    WorkerColumns,
    great_circle,
    variable_table,
)
from microsim.parameters import Parameters
from microsim.processes.choosing import draw_destinations
from microsim.processes.mobility import current_places, monthly
from microsim.processes.offers import offers
from microsim.state import initial_state
from microsim.world import make_world


def term(*factors, alternatives=None):
    return UtilityTerm(":".join(factors), 1.0, factors, alternatives)


def test_monthly_probabilities_compound_to_annual_ones():
    p = np.array([0.0, 0.04, 0.5, 0.999])
    assert_allclose(1 - (1 - monthly(p)) ** 12, p, atol=1e-12)
    assert monthly(np.array([0.04]))[0] > 0.04 / 12


def test_factors_are_sorted_by_what_they_vary_with():
    (split,) = split_terms([term("college", "log(distance)")])
    assert split.worker == ("college",)
    assert split.place == ("log(distance)",)
    (cost,) = split_terms([term("moving_cost")])
    assert (cost.worker, cost.place) == (("moving_scale",), ("distance_cost",))
    (stay,) = split_terms([term("log(own_wage / origin_wage)", alternatives=("stay",))])
    assert stay.mixed
    assert stay.destinations == ()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (term("log(own_wage / wage)"), "the term 'log.own_wage / wage.' mixes"),
        (term("log(moving_cost)"), "uses moving_cost inside 'log.moving_cost.'"),
        (term("distence"), r"'distence', which the simulation does not know \(did you mean 'dist"),
    ],
)
def test_terms_that_cannot_be_simulated_are_named(bad, message):
    with pytest.raises(SpecificationError, match=message):
        split_terms([bad])


def test_the_model_must_know_stay_and_every_metro(population, behaviour):
    with pytest.raises(SpecificationError, match="knows no alternative for the metros"):
        MobilityUtility.build(behaviour, (*population.metros.cbsa, "99999"))

    class Homeless:
        alternatives = ("a", "b")

    with pytest.raises(SpecificationError, match="no alternative 'stay'"):
        Behaviour(Homeless())
    for model in ("mobility.json", None):
        with pytest.raises(SpecificationError, match="not a model of staying and moving; give a f"):
            Behaviour(model)


def test_split_utilities_are_those_of_the_long_table(population):
    """The factored evaluation against brute force on the rows that estimation sees."""
    truth = MoveTruth(tuple(population.metros.cbsa))
    truth = replace(truth, moving={**truth.moving, "college:log(distance)": 0.1})
    terms = [*MoveTruth(truth.cbsa).utility_terms()]
    terms += [UtilityTerm("x", 0.1, ("college", "log(distance)"), None)]
    terms += [UtilityTerm("y", 0.2, ("log(own_wage / origin_wage)",), ("stay",))]

    class Model(MoveTruth):
        def utility_terms(self):
            return tuple(terms)

    utility = MobilityUtility.build(Behaviour(Model(truth.cbsa)), truth.cbsa)
    moves = year_of_moves(population)
    ids = population.workers.id[::97]
    extra = ["own_wage", "origin_wage"]
    names = [n for n in choice_table(population, ids[:1], moves).columns if n in VARIABLES]
    table = choice_table(population, ids, moves, variables=[*names, *extra])
    V = np.zeros(len(table))
    for t in terms:
        value = t.coefficient * np.broadcast_to(product(t.factors, table), len(table))
        on = np.isin(table["alternative"], t.alternatives or truth.alternatives)
        V += np.where(on, value, 0.0)
    V = V.reshape(len(ids), -1)
    workers = WorkerColumns(population.workers.columns(), Parameters().moving)
    places = PlaceColumns.at_start(population, Parameters())
    kinds = utility.types(workers, len(population.workers))
    metro = population.workers.metro.astype(np.int64)
    full = utility.destinations(kinds.parts, places)[kinds.code[::97], metro[::97]]
    others = np.arange(16)[None, :] != metro[::97][:, None]
    assert_allclose(V[:, 1:], full[others].reshape(len(ids), -1), rtol=1e-10)
    assert_allclose(V[:, 0], utility.staying(workers, metro, places)[::97], rtol=1e-10)


def test_a_year_of_moves_follows_the_exact_probabilities(population):
    """Many copies of one worker against probabilities written out by hand."""
    truth = MoveTruth(tuple(population.metros.cbsa))
    truth = replace(truth, staying={"(Intercept)": 6.0})
    w, row, copies = population.workers, 777, 4000
    table = choice_table(population, w.id[[row]], year_of_moves(population))
    terms = truth.utility_terms()
    V = sum(t.coefficient * product(t.factors, table) for t in terms if t.alternatives is None)
    inside = np.exp(V[1:] / truth.dissimilarity)
    W = truth.dissimilarity * np.log(inside.sum())
    move = 1 / (1 + np.exp(V[0] + 6.0 - W))
    exact = np.concatenate([[1 - move], move * inside / inside.sum()])

    columns = {name: np.repeat(values[row], copies) for name, values in w.columns().items()}
    crowd = replace(
        population,
        workers=type(w)(**{**columns, "id": np.arange(copies), "firm": np.full(copies, -1)}),
        firms=replace(population.firms, size=np.zeros(len(population.firms))),
    )
    choice = year_of_moves(crowd, truth, seed=5)["choice"]
    counts = choice.value_counts().reindex(table["alternative"], fill_value=0).to_numpy()
    large = exact * copies > 5
    observed = np.append(counts[large], counts[~large].sum())
    expected = np.append(exact[large], exact[~large].sum()) * copies
    kept = expected > 0
    assert 0.05 < move < 0.95
    assert stats.chisquare(observed[kept], expected[kept]).pvalue > 1e-3


def test_destinations_follow_their_probabilities():
    p = np.array([0.0, 0.1, 0.2, 0.0, 0.65, 0.05, 0.0])
    with np.errstate(divide="ignore"):
        rows = np.tile(np.log(p), (50_000, 1))
    drawn = draw_destinations(Streams(1).uniform("d", np.arange(50_000)), rows)
    counts = np.bincount(drawn, minlength=7)
    assert counts[p == 0].sum() == 0
    assert stats.chisquare(counts[p > 0], 50_000 * p[p > 0]).pvalue > 1e-3
    assert draw_destinations(np.array([1 - 1e-16]), rows[:1])[0] == 5


def test_choices_and_flows_agree(population):
    moves = year_of_moves(population, seed=2)
    flows = flow_table(population, moves)
    assert len(flows) == 16 * 15
    assert flows["migrants"].sum() == (moves["choice"] != "stay").sum() > 0
    assert (moves["choice"] != moves["origin"]).all()
    ids = moves.loc[moves["choice"] != "stay", "worker"].to_numpy()[:50]
    table = choice_table(population, ids, moves)
    assert len(table) == 50 * 16
    assert (table.groupby("worker")["chosen"].sum() == 1).all()
    assert (table["alternative"] != table["origin"]).all()
    assert np.isfinite(table.select_dtypes("number")).all().all()
    assert_array_equal(np.log(table.loc[table["alternative"] == "stay", "distance"]), 0)


def test_choice_tables_refuse_strangers(population):
    moves = year_of_moves(population)
    with pytest.raises(SpecificationError, match="99999999 is not in the population"):
        choice_table(population, [99999999], moves)
    with pytest.raises(SpecificationError, match="one stands twice"):
        choice_table(population, [1, 1], moves)
    with pytest.raises(SpecificationError, match="there is no variable 'height'"):
        choice_table(population, [1], moves, variables=["height"])


def test_distances_are_great_circles():
    # New York to Los Angeles
    km = great_circle(np.array([40.7128, 34.0522]), np.array([-74.0060, -118.2437]))
    assert km[0, 1] == pytest.approx(3936, abs=3)
    assert_array_equal(np.diag(km), 0)


def test_variables_are_documented():
    table = variable_table()
    assert table[["unit", "description"]].apply(lambda c: c.str.len() > 0).all().all()
    assert {"distance", "moving_cost", "origin_home_value"} <= set(table["name"])


def test_money_can_matter_more_to_some(population):
    truth = MoveTruth(tuple(population.metros.cbsa))

    class Model(MoveTruth):
        def utility_terms(self):
            more = UtilityTerm("college:moving_cost", 0.05, ("college", "moving_cost"), None)
            return (*truth.utility_terms(), more)

    utility = MobilityUtility.build(Behaviour(Model(truth.cbsa)), truth.cbsa)
    w = population.workers
    kinds = utility.types(WorkerColumns(w.columns(), Parameters().moving), len(w))
    value = utility.value_of_money(kinds.parts)[kinds.code]
    assert_allclose(value, np.where(w.education >= 3, 0.03, 0.08))

    class Far(MoveTruth):
        def utility_terms(self):
            return (UtilityTerm("x", 1.0, ("moving_cost", "log(distance)"), None),)

    with pytest.raises(SpecificationError, match="'x' makes the value of money differ"):
        MobilityUtility.build(Behaviour(Far(truth.cbsa)), truth.cbsa).value_of_money(kinds.parts)


def test_a_model_of_more_metros_serves_a_population_of_fewer(population):
    cbsa = tuple(population.metros.cbsa)
    truth = MoveTruth((*cbsa, "99999"))
    run = simulate(population, Behaviour(truth), months=1)
    assert run.metros["cbsa"].nunique() == len(cbsa)


def test_a_grant_needs_a_model_that_knows_money(population, make):
    truth = MoveTruth(tuple(population.metros.cbsa))
    moving = {name: value for name, value in truth.moving.items() if name != "moving_cost"}
    penniless = Behaviour(replace(truth, moving=moving))
    grant = make({"kind": "relocation_grant", "amount": 10})
    with pytest.raises(SpecificationError, match="no term moving_cost"):
        simulate(population, penniless, grant, months=1)


def test_where_the_way_to_work_takes_longer_fewer_go(population):
    cbsa = tuple(population.metros.cbsa)
    truth = MoveTruth(cbsa, moving={"log(distance)": -0.5, "commute": -0.05})
    world = make_world(
        population,
        MobilityUtility.build(Behaviour(truth), cbsa),
        Scenario.baseline(),
        1,
        Streams(1),
        first_month=1,
    )
    w = population.workers
    miles = world.places.metro["commute"]
    assert_allclose(miles[3], w.commute[w.metro == 3].mean(dtype=float))
    par, longer = np.ones(16), np.ones(16)
    longer[3] = 1.5
    crowded = world.places.with_state(
        price_index=par, rent_index=par, wage_index=par, commute_index=longer, unemployment=0 * par
    )
    V, slower = (world.utility.destinations(np.ones((1, 0)), p) for p in (world.places, crowded))
    assert_allclose((slower - V)[0, :, 3], -0.05 * 0.5 * miles[3])
    assert (np.delete(slower - V, 3, axis=2) == 0).all()
    # The index that the months use follows the workers who live there.
    state = initial_state(world)
    full = replace(state, metro=np.where(state.metro == 0, 3, state.metro))
    assert current_places(full, world).metro["commute"][3] > miles[3]


def test_a_grant_may_be_for_remote_workers_alone(population, behaviour, make):
    target = str(population.metros.cbsa[2])
    grant = {"kind": "relocation_grant", "amount": 10_000, "destinations": [target]}
    scenario = make({**grant, "eligibility": {"remote": True}}, quiet=True, remote={"active": True})
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    world = make_world(population, utility, scenario, 1, Streams(1), first_month=1)
    state = initial_state(world)
    remote = state.remote_workers(world)
    assert 0 < remote.sum() < len(remote)
    assert_array_equal(offers(state, world)[1], remote)


def test_what_metros_offer_remote_workers_is_a_variable(population):
    tulsa = replace(
        population.metros, cbsa=np.array(["46140", *population.metros.cbsa[1:]], object)
    )
    places = PlaceColumns.at_start(replace(population, metros=tulsa), Parameters())
    assert places.metro["remote_incentive"][0] == 10.0
