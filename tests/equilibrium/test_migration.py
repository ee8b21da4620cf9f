"""Migration in spatial equilibrium, from fitted logits and gravity models."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import root

from choicemodels import ChoiceData, FlowData, Gravity, MultinomialLogit, NestedLogit
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit
from estimation.equilibrium.migration import Shock, SpatialEconomy, equilibrium
from estimation.equilibrium.parametric import bootstrap
from estimation.equilibrium.population_map import population_map
from estimation.equilibrium.residence import dominant_feedback, settle_from, stationary

PLACES = ["ash", "bay", "cove", "dale", "elm"]
FORMULA = "log(wage) + log(rent) + log(distance) + college:log(wage) | 0"
ECONOMY = SpatialEconomy(labour_demand=-2.5, housing_supply=1.2)


def tables(choosers=4000, seed=0):
    """Draw residents of five places who stay or move, by a multinomial logit."""
    rng = np.random.default_rng(seed)
    J = len(PLACES)
    alternatives = pd.DataFrame(
        {"place": PLACES, "wage": rng.uniform(30, 60, J), "rent": rng.uniform(8, 20, J)}
    )
    home, place = (a.ravel() for a in np.indices((J, J)))
    distance = np.where(home == place, 1.0, rng.uniform(2, 9, J * J))
    names = np.array(PLACES)
    pairs = pd.DataFrame({"home": names[home], "place": names[place], "distance": distance})
    o = rng.integers(0, J, choosers)
    college = rng.integers(0, 2, choosers).astype(float)
    V = np.log(alternatives["wage"].to_numpy()) * (1.5 + 0.8 * college[:, None])
    V = V - 0.7 * np.log(alternatives["rent"].to_numpy())
    V -= 0.8 * np.log(distance.reshape(J, J))[o]
    V[np.arange(choosers), o] += 1.0
    P = np.exp(V)
    P /= P.sum(axis=1, keepdims=True)
    took = (P.cumsum(axis=1) < rng.uniform(size=(choosers, 1))).sum(axis=1)
    people = pd.DataFrame(
        {"home": names[o], "college": college, "took": np.where(took == o, "stay", names[took])}
    )
    return people, alternatives, pairs


def build(people, alternatives, pairs, **options):
    return ChoiceData.from_factors(
        people, alternatives, pairs, origin="home", alternative="place", chosen="took", **options
    )


@pytest.fixture(scope="module")
def parts():
    return tables()


@pytest.fixture(scope="module")
def result(parts):
    model = NestedLogit.move_stay(
        FORMULA, destinations=PLACES, specific={"stay": "1"}, lambdas={"move": 0.8}
    )
    return fit(model, build(*parts))


def brute_force(result, parts, economy, shock, log_population):
    """Return flows (J, J) and mean logsums by explicit loops over residents' kinds."""
    people, alternatives, pairs = parts
    b, J, lam = result.params, len(PLACES), 0.8
    x = log_population
    wage = alternatives["wage"].to_numpy() * np.exp(x / economy.labour_demand)
    rent = alternatives["rent"].to_numpy() * np.exp(x / economy.housing_supply)
    wage[1] *= 1 + shock.productivity
    rent[1] *= 1 + shock.rent
    distance = pairs["distance"].to_numpy().reshape(J, J)
    flows, logsum, count = np.zeros((J, J)), np.zeros(J), np.zeros(J)
    for (home, college), group in people.groupby(["home", "college"]):
        o = PLACES.index(home)
        V = np.empty(J)
        for d in range(J):
            pay = wage[d] + (shock.grant if d == 1 and d != o else 0.0)
            V[d] = (b["log(wage)"] + b["college:log(wage)"] * college) * np.log(pay)
            V[d] += b["log(rent)"] * np.log(rent[d]) + b["log(distance)"] * np.log(distance[o, d])
            V[d] += shock.amenities * (d == 1)
        V[o] += b["(Intercept):stay"]
        away = np.arange(J) != o
        inclusive = lam * np.log(np.exp(V[away] / lam).sum())
        top = np.log(np.exp(V[o]) + np.exp(inclusive))
        P = np.empty(J)
        P[o] = np.exp(V[o] - top)
        P[away] = np.exp(inclusive - top + V[away] / lam - inclusive / lam)
        flows[o] += len(group) * P
        logsum[o] += len(group) * top
        count[o] += len(group)
    return flows, logsum / count


SHOCK = Shock(productivity=0.15, rent=0.05, amenities=0.2, grant=2.0)


def test_the_equilibrium_by_brute_force(result, parts):
    found = equilibrium(ECONOMY, result, {"bay": SHOCK})
    before, logsum = brute_force(result, parts, ECONOMY, Shock(), np.zeros(5))

    def gap(x):
        flows, _ = brute_force(result, parts, ECONOMY, SHOCK, x)
        return np.log(flows.sum(axis=0) / before.sum(axis=0)) - x

    solved = root(gap, np.zeros(5), tol=1e-12)
    assert found.settlement.log_population == pytest.approx(solved.x, abs=1e-9)
    flows, after = brute_force(result, parts, ECONOMY, SHOCK, solved.x)
    table = found.flows
    assert table["baseline"].to_numpy().reshape(5, 5) == pytest.approx(before, rel=1e-9)
    assert table["equilibrium"].to_numpy().reshape(5, 5) == pytest.approx(flows, rel=1e-8)
    direct, _ = brute_force(result, parts, ECONOMY, SHOCK, np.zeros(5))
    assert table["direct"].to_numpy().reshape(5, 5) == pytest.approx(direct, rel=1e-9)
    assert found.places["welfare"].to_numpy() == pytest.approx(after - logsum, abs=1e-9)
    assert found.settlement.residual < 1e-10


def test_places_and_flows_add_up(result):
    found = equilibrium(ECONOMY, result, {"bay": SHOCK})
    table = found.places
    assert table["population"].sum() == pytest.approx(4000, rel=1e-12)
    assert table["population_before"].sum() == pytest.approx(4000, rel=1e-12)
    sums = found.flows.groupby("destination").sum()
    assert sums["equilibrium"].to_numpy() == pytest.approx(table["population"].to_numpy())
    growth = table["arrivals"] - table["departures"]
    residents = found.flows.groupby("origin")["baseline"].sum()
    assert (residents + growth).to_numpy() == pytest.approx(table["population"].to_numpy())
    # Crowding gives back a part of what the shock brought, and no more.
    assert 0 < table.loc["bay", "population_change"] < table.loc["bay", "direct_change"]
    x = found.settlement.log_population
    assert np.log1p(table["rent_change"] / 100).to_numpy() == pytest.approx(
        x / 1.2 + np.log1p(0.05) * (np.arange(5) == 1)
    )


@pytest.mark.parametrize("horizon", ["period", "stationary"])
def test_no_shock_is_no_change(result, horizon):
    found = equilibrium(ECONOMY, result, {}, horizon=horizon, starts=0)
    assert (found.settlement.log_population == 0).all()
    assert (found.places["population_change"] == 0).all()
    assert (found.places["welfare"] == 0).all()


def test_without_responses_choices_follow_the_shock_alone(result, parts):
    people, alternatives, pairs = parts
    found = equilibrium(SpatialEconomy(), result, {"cove": Shock(productivity=0.3)})
    richer = alternatives.assign(
        wage=alternatives["wage"] * np.where(alternatives["place"] == "cove", 1.3, 1.0)
    )
    want = result.expected_choices(build(people, richer, pairs))
    want["to"] = want["place"].where(want["place"] != "stay", want["origin"])
    want = want.groupby(["origin", "to"])["expected"].sum()
    assert found.flows["equilibrium"].to_numpy() == pytest.approx(want.to_numpy(), rel=1e-9)
    assert found.feedback == (0, 0)


def test_where_origins_do_not_matter_there_is_a_closed_form(parts):
    people, alternatives, _ = parts
    took = people["took"].where(people["took"] != "stay", people["home"])
    data = ChoiceData.from_factors(
        people.assign(took=took),
        alternatives,
        origin="home",
        alternative="place",
        chosen="took",
        stay=None,
    )
    result = fit(MultinomialLogit("log(wage) + log(rent) | 0"), data)
    a, r = result.params
    assert a > 0
    for demand, supply, agglomeration in ((-2.0, 1.0, 0.0), (-np.inf, np.inf, 0.5 / a)):
        economy = SpatialEconomy("wage", "rent", demand, supply, agglomeration)
        found = equilibrium(economy, result, {"elm": Shock(productivity=0.1, rent=0.02)})
        x = found.settlement.log_population
        b = a * (agglomeration + 1 / demand) + r / supply
        jump = a * np.log(1.1) + r * np.log(1.02)
        assert x[4] - x[0] == pytest.approx(jump / (1 - b), rel=1e-8)
        assert x[:4] == pytest.approx(np.full(4, x[0]), abs=1e-10)
        # The derivative of the map is b (I - 1 p'), with eigenvalues b and 0.
        largest, modulus = found.feedback
        assert largest.real == pytest.approx(max(b, 0.0), abs=1e-7)
        assert abs(modulus) == pytest.approx(abs(b), rel=1e-6)
        assert found.crowding == pytest.approx(b, rel=1e-6)
        certain = "is the only one" in found.uniqueness
        assert certain == (b < 0)


def test_strong_agglomeration_has_several_equilibria(result):
    economy = SpatialEconomy(agglomeration=0.9)
    found = equilibrium(economy, result, {}, starts=6, seed=2)
    assert found.crowding > 1
    assert found.others
    assert "other equilibria" in found.uniqueness
    assert found.feedback[0].real > 1
    assert "UNSTABLE" in found.uniqueness
    for number, other in enumerate(found.others):
        again = found.other(number)
        assert len(again.others) == len(found.others)
        assert found.settlement in again.others
        assert again.places["population"].sum() == pytest.approx(4000)
        assert np.log(
            again.places["population"] / again.places["population_before"]
        ).to_numpy() == (pytest.approx(other.log_population, abs=1e-9))


def test_an_equilibrium_that_was_not_found_is_refused(result):
    with pytest.raises(SpecificationError, match="but 0 other equilibria were found"):
        equilibrium(ECONOMY, result, {}).other()


def test_mild_agglomeration_is_searched_for_others(result):
    found = equilibrium(SpatialEconomy(agglomeration=0.05), result, {"bay": SHOCK}, starts=3)
    assert not found.others
    assert "3 other starts led to no other equilibrium" in found.uniqueness


def test_the_stationary_state_reproduces_itself(result):
    found = equilibrium(
        ECONOMY, result, {"bay": Shock(productivity=0.1)}, horizon="stationary", starts=2
    )
    moves = found.after.flows / found.after.flows.sum(axis=1, keepdims=True)
    population = found.places["population"].to_numpy()
    assert population @ moves == pytest.approx(population, rel=1e-11)
    assert population.sum() == pytest.approx(4000)
    assert found.places["arrivals"].to_numpy() == pytest.approx(
        found.places["departures"].to_numpy()
    )
    before = found.places["population_before"].to_numpy()
    assert np.log(population / before) == pytest.approx(found.settlement.log_population)
    once = equilibrium(ECONOMY, result, {"bay": Shock(productivity=0.1)})
    assert once.places["population_change"]["bay"] < found.places["population_change"]["bay"]


def test_gravity_with_flows_within_places_is_the_logit(parts):
    people, alternatives, pairs = parts
    took = people["took"].where(people["took"] != "stay", people["home"])
    pairs = pairs.assign(home_is=(pairs["home"] == pairs["place"]).astype(float))
    formula = "log(wage) + log(rent) + log(distance) + home_is"
    data = build(people.assign(took=took), alternatives, pairs, stay=None)
    logit = fit(MultinomialLogit(f"{formula} | 0"), data)
    counts = people.assign(took=took).groupby(["home", "took"]).size()
    flows = pairs.merge(alternatives, on="place")
    keys = pd.MultiIndex.from_frame(flows[["home", "place"]])
    flows["moves"] = counts.reindex(keys, fill_value=0).to_numpy(float)
    gravity = fit(
        Gravity(f"{formula} | home"),
        FlowData(flows, origin="home", destination="place", flow="moves"),
        tol=1e-14,
    )
    one = equilibrium(ECONOMY, logit, {"dale": SHOCK})
    two = equilibrium(ECONOMY, gravity, {"dale": SHOCK})
    pd.testing.assert_frame_equal(one.places, two.places, rtol=1e-6, atol=1e-6)
    assert two.feedback[0] == pytest.approx(one.feedback[0], abs=1e-5)
    assert two.crowding == pytest.approx(one.crowding, rel=1e-5)
    assert two.welfare["wage_equivalent"]["dale"] > 0
    assert "Moves by: Gravity" in str(two.summary())


def test_gravity_without_those_who_stay_needs_residents(parts):
    people, alternatives, pairs = parts
    counts = people.groupby(["home", "took"]).size()
    flows = pairs[pairs["home"] != pairs["place"]].merge(alternatives, on="place")
    keys = pd.MultiIndex.from_frame(flows[["home", "place"]])
    flows["moves"] = counts.reindex(keys, fill_value=0).to_numpy(float)
    data = FlowData(flows, origin="home", destination="place", flow="moves")
    result = fit(Gravity("log(wage) + log(rent) + log(distance) | home"), data)
    residents = people["home"].value_counts()
    found = equilibrium(ECONOMY, result, {"ash": SHOCK}, residents=residents)
    assert found.places["population"].sum() == pytest.approx(4000)
    # As many leave as before: origin effects hold the number of movers.
    assert found.places["departures"].to_numpy() == pytest.approx(
        found.places["departures_before"].to_numpy()
    )
    moved = found.mobility.at(found.mobility.estimate)
    assert (moved.choose(found.change).flows == found.after.flows).all()
    with pytest.raises(SpecificationError, match="do not say who stays"):
        equilibrium(ECONOMY, result, {})
    with pytest.raises(SpecificationError, match="is a Series"):
        equilibrium(ECONOMY, result, {}, residents=[1, 2])
    with pytest.raises(DataError, match=r"lacks 1 places \(ash\)"):
        equilibrium(ECONOMY, result, {}, residents=residents.drop("ash"))
    with pytest.raises(DataError, match="fewer residents than people who leave"):
        equilibrium(ECONOMY, result, {}, residents=residents * 0 + 1)
    with pytest.raises(SpecificationError, match="no periods"):
        equilibrium(ECONOMY, result, {}, residents=residents, period=2000)
    with pytest.raises(SpecificationError, match="did you mean 'wage'"):
        equilibrium(SpatialEconomy("wages"), result, {}, residents=residents)
    offset = fit(Gravity("log(wage) + log(distance) | home", offset="log(rent)"), data)
    with pytest.raises(SpecificationError, match=r"'log\(rent\)' holds the wage or the rent"):
        equilibrium(ECONOMY, offset, {}, residents=residents)


def test_residents_may_be_others_than_those_who_were_asked(result, parts):
    _, alternatives, pairs = parts
    census = pd.DataFrame(
        {"home": PLACES, "college": 0.0, "took": "stay", "n": [10.0, 20.0, 30.0, 40.0, 50.0]}
    )
    residents = build(census, alternatives, pairs, weights="n")
    found = equilibrium(ECONOMY, result, {"bay": SHOCK}, residents=residents)
    assert found.places["population"].sum() == pytest.approx(150)
    assert found.flows.groupby("origin")["equilibrium"].sum().to_numpy() == pytest.approx(
        census["n"].to_numpy()
    )
    some = build(census.iloc[1:], alternatives, pairs, weights="n")
    with pytest.raises(DataError, match=r"1 places \(ash\) have no choosers"):
        equilibrium(ECONOMY, result, {}, residents=some)


def test_better_wages_everywhere_are_worth_what_they_are(result):
    found = equilibrium(SpatialEconomy(), result, dict.fromkeys(PLACES, Shock(productivity=0.08)))
    # Those with and without college gain alike in percent of wages, if not in utils.
    assert found.welfare["wage_equivalent"].to_numpy() == pytest.approx(np.full(5, 8.0), rel=1e-6)


@pytest.mark.slow
def test_standard_errors_by_the_parametric_bootstrap(result):
    found = equilibrium(ECONOMY, result, {"bay": Shock(productivity=0.1)})
    draws = bootstrap(found, replications=120, seed=3)
    column = "population_change"
    h = 1e-4 * result.bse.to_numpy()
    G = np.column_stack(
        [
            (
                found.at(result.estimate + step).places[column]
                - found.at(result.estimate - step).places[column]
            )
            / (2 * step.max())
            for step in np.diag(h)
        ]
    )
    delta = np.sqrt(np.einsum("nk,kl,nl->n", G, result.cov_params().to_numpy(), G))
    # The standard deviation of 120 draws is itself uncertain by 6.5 percent.
    assert draws.table(column)["std err"].to_numpy() == pytest.approx(delta, rel=0.25)
    total = draws.draws.xs("population", axis=1, level=1).sum(axis=1)
    assert total.to_numpy() == pytest.approx(np.full(120, 4000.0))


def test_where_crowding_repels_every_start_leads_to_one_equilibrium(result):
    found = equilibrium(ECONOMY, result, {"bay": SHOCK})
    assert found.crowding < 0
    follow = population_map(found.mobility, ECONOMY, found.shocks, "period")
    others, failures = settle_from(follow, 6, 1, found.settlement)
    assert not others
    assert failures == 0


def test_populations_that_run_away_are_said_to(result):
    crowd = Shock(productivity=5.0, grant=50.0)
    with pytest.raises(EstimationError, match="a place attracts people"):
        equilibrium(SpatialEconomy(agglomeration=1.0), result, {"bay": crowd})
    steep = SpatialEconomy(labour_demand=-0.002, housing_supply=0.002)
    with pytest.raises(EstimationError, match="a place repels people"):
        equilibrium(steep, result, {"bay": crowd})


def test_gains_without_worth_of_wages_are_refused(result):
    found = equilibrium(ECONOMY, result, {"bay": SHOCK})
    worse = replace(found, mobility=found.mobility.at(-result.estimate))
    with pytest.raises(EstimationError, match="does not rise with wages"):
        _ = worse.welfare


def test_elasticities_by_place(result):
    named = dict.fromkeys(PLACES, 1.2)
    one = equilibrium(ECONOMY, result, {"bay": SHOCK})
    two = equilibrium(
        SpatialEconomy(labour_demand=-2.5, housing_supply=pd.Series(named)), result, {"bay": SHOCK}
    )
    pd.testing.assert_frame_equal(one.places, two.places)
    tight = {**named, "bay": 0.2}
    three = equilibrium(
        SpatialEconomy(labour_demand=-2.5, housing_supply=tight), result, {"bay": SHOCK}
    )
    assert three.places.loc["bay", "population"] < one.places.loc["bay", "population"]
    assert three.places.loc["bay", "rent_change"] > one.places.loc["bay", "rent_change"]
    with pytest.raises(SpecificationError, match=r"no value for 1 places \(bay\)"):
        equilibrium(
            SpatialEconomy(housing_supply={p: 1.0 for p in PLACES if p != "bay"}), result, {}
        )
    with pytest.raises(SpecificationError, match=r"place 'bays' .did you mean 'bay'"):
        equilibrium(SpatialEconomy(housing_supply={**named, "bays": 1.0}), result, {})


def test_a_model_without_rents(parts):
    model = NestedLogit.move_stay(
        "log(wage) + log(distance) | 0", destinations=PLACES, specific={"stay": "1"}
    )
    result = fit(model, build(*parts))
    found = equilibrium(SpatialEconomy(rent="", labour_demand=-3.0), result, {"bay": SHOCK})
    assert found.settlement.residual < 1e-10
    with pytest.raises(SpecificationError, match="no term of the model has the rent 'rent'"):
        equilibrium(SpatialEconomy(), result, {})


def test_the_page(result):
    found = equilibrium(ECONOMY, result, {"bay": SHOCK})
    page = str(found.summary())
    assert "Residents: 4,000" in page
    assert "NestedLogit" in page
    assert "the equilibrium exists and is the only one" in page.replace("\n", " ")
    assert "elm" in str(found)
    assert "5 places" in repr(found)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"labour_demand": 0.5}, "labour_demand is 0.5 in all places; it must be below zero"),
        ({"labour_demand": 0.0}, "below zero"),
        ({"housing_supply": {"bay": -1.0}}, "housing_supply is -1.0 in bay"),
        ({"agglomeration": -0.1}, "agglomeration"),
        ({"agglomeration": float("nan")}, "agglomeration"),
        ({"wage": ""}, "different columns"),
        ({"rent": "wage"}, "different columns"),
    ],
)
def test_economies_that_cannot_be_are_refused(options, complaint):
    with pytest.raises(SpecificationError, match=complaint):
        SpatialEconomy(**options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"productivity": -1.0}, "above -1"),
        ({"rent": -2.0}, "above -1"),
        ({"amenities": np.inf}, "amenities is inf"),
    ],
)
def test_shocks_that_cannot_be_are_refused(options, complaint):
    with pytest.raises(SpecificationError, match=complaint):
        Shock(**options)


@pytest.mark.parametrize(
    ("shocks", "options", "complaint"),
    [
        ({"by": SHOCK}, {}, "did you mean 'bay'"),
        ({"bay": 0.1}, {}, "is 0.1; write"),
        ({}, {"horizon": "ever"}, "'period' or 'stationary'"),
        ({}, {"period": 3}, "goes with a gravity model"),
        ({}, {"residents": pd.Series({"ash": 1.0})}, "needs factored data"),
    ],
)
def test_questions_that_mean_nothing_are_refused(result, shocks, options, complaint):
    with pytest.raises(SpecificationError, match=complaint):
        equilibrium(ECONOMY, result, shocks, **options)


def test_other_results_are_refused(result, parts):
    with pytest.raises(SpecificationError, match="not a str"):
        equilibrium(ECONOMY, "result", {})
    people, alternatives, pairs = parts
    sized = alternatives.assign(homes=np.arange(1.0, 6.0))
    data = build(people.iloc[:300], sized, pairs)
    fitted = fit(MultinomialLogit("log(wage) + log(rent) | 0", size="homes"), data)
    with pytest.raises(SpecificationError, match="multinomial and nested logits"):
        equilibrium(ECONOMY, fitted, {})
    with pytest.raises(SpecificationError, match="needs factored data"):
        equilibrium(ECONOMY, result, {}, residents=build(*parts).to_long())


def test_a_grant_that_takes_all_wages_is_named(result):
    with pytest.raises(EstimationError, match="not finite in bay"):
        equilibrium(ECONOMY, result, {"bay": Shock(grant=-100.0)})


def test_stationary_shares():
    moves = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.5, 0.5]])
    shares = stationary(moves)
    assert shares @ moves == pytest.approx(shares)
    assert shares.sum() == pytest.approx(1)
    with pytest.raises(EstimationError, match="no unique stationary"):
        stationary(np.eye(3))


def test_feedback_of_a_known_map():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(60, 60)) / 20
    A[0, 0] = 3.0
    A[1, 1] = -4.0
    largest, modulus = dominant_feedback(lambda x: A @ x, np.zeros(60))
    values = np.linalg.eigvals(A)
    assert largest.real == pytest.approx(values.real.max(), rel=1e-6)
    assert abs(modulus) == pytest.approx(np.abs(values).max(), rel=1e-6)
