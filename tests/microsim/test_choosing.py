"""Choices drawn from the factored model against the full one, for every worker."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from choicemodels import ChoiceData, NestedLogit
from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from choicemodels.logit.random_utility import log_stable, nested_errors, staying_error
from choicemodels.logit.tree import branch_logsum, build_tree, log_probabilities
from choicemodels.utility import product
from estimation import fit
from microsim import Behaviour, MoveTruth, choice_table, simulate, year_of_moves
from microsim.mobility.terms import split_terms
from microsim.mobility.utility import MobilityUtility
from microsim.mobility.variables import PlaceColumns, WorkerColumns, first_columns
from microsim.parameters import Parameters
from microsim.processes.choosing import Choosers, Prospects, choose, choose_fully


@dataclass(frozen=True)
class Regional(MoveTruth):
    """Metros in nests of four, all within the nest of moving."""

    @property
    def tree(self):
        fours = {f"region {i}": self.cbsa[i : i + 4] for i in range(0, len(self.cbsa), 4)}
        return build_tree({"move": fours}, self.alternatives)

    @property
    def lam(self):
        return np.array([0.4] * (len(self.tree.nests) - 1) + [0.7])

    def nesting(self):
        return self.tree, self.lam

    def branch_logsum(self, V, available, exclude="stay"):
        return branch_logsum(V, self.tree, self.lam, exclude, available=available)

    def log_probabilities(self, V, available):
        return log_probabilities(V, self.tree, self.lam, available=available)


@pytest.fixture(scope="module", params=[MoveTruth, Regional])
def truth(request, population):
    personal = MoveTruth.personal(population.metros.cbsa)
    return request.param(personal.cbsa, personal.moving, {**personal.staying, "(Intercept)": 6.0})


def deciders(population, truth):
    """Return the workers as they choose, and what they choose from."""
    cbsa, assumed, w = tuple(population.metros.cbsa), Parameters(), population.workers
    utility = MobilityUtility.build(Behaviour(truth), cbsa)
    workers = WorkerColumns(first_columns(population, assumed), assumed.moving)
    places = PlaceColumns.at_start(population, assumed)
    types = utility.types(workers, len(w))
    V = utility.destinations(types.parts, places)
    view = Prospects(utility.logsums(V)[None], (V,), np.zeros((1, len(types.parts))))
    nothing, metro = np.full(len(w), -1), w.metro.astype(np.int64)
    return Choosers.build(utility, workers, types, places, w.id, metro, nothing), view


def long_utilities(population, truth, count):
    """Return the first workers' utilities of "stay" (S,) and the metros (S, M), by long table."""
    size, w = len(population.metros), population.workers
    moves = pd.DataFrame({"worker": w.id, "choice": "stay"})
    table = choice_table(population, w.id[:count], moves, variables=truth.variables)
    V = np.zeros(len(table))
    for term in truth.utility_terms():
        value = term.coefficient * np.broadcast_to(product(term.factors, table), len(table))
        V += np.where(
            np.isin(table["alternative"], term.alternatives or truth.alternatives), value, 0
        )
    V = V.reshape(-1, size)
    full = np.full((count, size), -np.inf)
    full[np.arange(size) != w.metro[:count, None]] = V[:, 1:].ravel()
    return V[:, 0], full


def test_everyone_chooses_as_in_the_full_model(population, truth):
    who, view = deciders(population, truth)
    stay, V = long_utilities(population, truth, len(population.workers))
    assert_allclose(who.staying, stay, rtol=1e-10)
    everyone = np.arange(len(stay))
    rows = who.rows(everyone, view)
    there = np.isfinite(V)
    assert_allclose(rows[there], V[there], rtol=1e-9)

    own = truth.alternatives.index
    dense = np.zeros((len(V), len(truth.alternatives)))
    columns = [own(code) for code in who.utility.cbsa]
    dense[:, columns] = np.where(there, V, 0.0)
    available = np.zeros(dense.shape, dtype=bool)
    available[:, columns] = there
    exact = truth.branch_logsum(dense, available)
    by_type = view.logsum[0, who.types.code, who.metro]
    assert (exact <= by_type + who.deviations.ceiling() + 1e-9).all()

    streams = Streams(4)
    movers, destination = choose(who, view, streams, 3)
    p = -np.expm1(-np.log1p(np.exp(exact - stay)) / 12)
    expected = np.flatnonzero(streams.uniform("move", who.ids, 3) < p)
    assert len(movers) > 50
    assert_array_equal(movers, expected)
    assert (destination != who.metro[movers]).all()


def crowd(population, row, copies):
    """Return a population of copies of one worker, apart in nothing but their ids."""
    w = population.workers
    columns = {name: np.repeat(values[row], copies) for name, values in w.columns().items()}
    alike = {"id": np.arange(copies), "firm": np.full(copies, -1)}
    return replace(
        population,
        workers=type(w)(**{**columns, **alike}),
        firms=replace(population.firms, size=np.zeros(len(population.firms))),
    )


@pytest.mark.parametrize("rule", [choose, choose_fully])
@pytest.mark.parametrize("years", [1.0, 1 / 12])
def test_draws_follow_the_models_probabilities(population, truth, rule, years):
    lively = replace(truth, staying={"(Intercept)": 5.5 if years == 1 else 3.0})
    people = crowd(population, 777, 8_000)
    who, view = deciders(people, lively)
    stay, V = long_utilities(people, lively, 1)
    dense = np.concatenate([stay, np.where(np.isfinite(V[0]), V[0], 0.0)])
    available = np.concatenate([[True], np.isfinite(V[0])])
    annual = np.exp(lively.log_probabilities(dense, available))
    stays = annual[0] ** years
    expected = np.append(stays, annual[1:] / annual[1:].sum() * (1 - stays)) * len(who.ids)
    movers, destination = rule(who, view, Streams(2), 0, years=years)
    counts = np.append(len(who.ids) - len(movers), np.bincount(destination, minlength=16))
    assert counts[~available].sum() == 0
    kept = expected > 5
    assert kept.sum() > 8
    assert (
        stats.chisquare(
            np.append(counts[kept], counts[~kept].sum()) + 1e-9,
            np.append(expected[kept], expected[~kept].sum()) + 1e-9,
        ).pvalue
        > 1e-3
    )


def test_with_full_coupling_only_the_better_alternative_gains(population, truth):
    who, view = deciders(population, replace(truth, staying={"(Intercept)": 4.0}))
    better = view.utilities[0].copy()
    better[:, :, 5] += 0.5
    after_view = Prospects(who.utility.logsums(better)[None], (better,), view.gain)
    changed = {}
    for rule in (choose, choose_fully):
        choices = []
        for seen in (view, after_view):
            movers, destination = rule(who, seen, Streams(1), 0, years=1.0)
            choice = np.full(len(who.ids), -1)
            choice[movers] = destination
            choices.append(choice)
        before, after = choices
        changed[rule] = int((before != after).sum())
        if rule is choose_fully:
            assert (after[before != after] == 5).all()
    assert 20 < changed[choose_fully] < changed[choose]


def test_a_destination_grant_draws_only_to_its_destination(population, behaviour, make):
    target = str(population.metros.cbsa[11])
    grant = make({"kind": "relocation_grant", "amount": 10_000, "destinations": [target]})
    runs = [
        simulate(population, behaviour, scenario, months=1, coupling="full")
        for scenario in (make(), grant)
    ]
    counts = [run.flows.groupby("destination")["moves"].sum() for run in runs]
    gain = counts[1].sub(counts[0], fill_value=0)
    assert gain[target] > 0
    assert (gain.drop(target) <= 0).all()


def test_unknown_couplings_are_refused(population, behaviour):
    with pytest.raises(
        SpecificationError, match="coupling is 'half'; give 'independent' or 'full'"
    ):
        simulate(population, behaviour, months=1, coupling="half")


@pytest.mark.parametrize("rho", [0.3, 0.7, 1.0])
def test_stable_variates_have_their_laplace_transform(rho):
    n = 400
    u = (np.arange(n) + 0.5) / n
    angle, scale = (grid.ravel() for grid in np.meshgrid(u, u))
    s = np.exp(log_stable(rho, angle, scale))
    for t in (0.2, 1.0, 3.0):
        assert np.exp(-t * s).mean() == pytest.approx(np.exp(-(t**rho)), rel=2e-3)


@pytest.mark.parametrize("years", [1.0, 1 / 12])
def test_the_error_of_staying_gives_the_compounded_probability(years):
    u = (np.arange(20_000) + 0.5) / 20_000
    for gain in (-4.0, 0.0, 2.0):
        stays = np.exp(-np.exp(gain - staying_error(u, years))).mean()
        assert stays == pytest.approx((1 + np.exp(gain)) ** -years, rel=1e-4)


def test_errors_that_no_random_utilities_have_are_refused():
    tree = build_tree({"move": ["a", "b"]}, ["stay", "a", "b"])
    with pytest.raises(SpecificationError, match=r"dissimilarity of nest 'move' is 1\.2"):
        nested_errors(tree, np.array([1.2]), lambda name: np.full(3, 0.5), ["a", "b"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("family:log(cluster)", "matches metros by family_metro and by occupation"),
        ("family:log(distance)", "multiplies family by what varies with the origin"),
        ("log(cluster / wage)", "mixes a worker's and a place's variables"),
    ],
)
def test_matches_that_cannot_be_simulated_are_named(name, message):
    truth = MoveTruth(("1", "2"), {name: 1.0})
    with pytest.raises(SpecificationError, match=message):
        split_terms(truth.utility_terms())


def test_what_money_is_worth_must_make_types(population):
    truth = MoveTruth(tuple(population.metros.cbsa), {"moving_cost:own_wage": -1e-6})
    with pytest.raises(SpecificationError, match="of the moving cost makes more than 64 types"):
        year_of_moves(population, truth)


def test_a_personal_truth_is_recovered(population):
    """From moves that depend on family, ties, tastes, occupation and remote work."""
    truth = MoveTruth.personal(population.metros.cbsa)
    truth = replace(truth, staying={**truth.staying, "(Intercept)": 5.0})
    moves = year_of_moves(population, truth, seed=8)
    assert 0.1 < (moves["choice"] != "stay").mean() < 0.6
    table = choice_table(population, population.workers.id, moves, variables=truth.variables)
    data = ChoiceData.from_long(table, case="worker", alternative="alternative", chosen="chosen")
    model = NestedLogit(
        " + ".join(truth.moving) + " | 0",
        specific={"stay": "1 + age + homeowner + unemployed + college + network"},
        nests={"move": list(truth.cbsa)},
        normalization="rum",
    )
    result = fit(model, data)
    gap = result.params - truth.params.reindex(result.params.index)
    assert {"lambda:move", "(Intercept):stay"} <= set(gap.index)
    assert (gap.abs() < 3 * result.bse).all()
    wald = gap @ np.linalg.solve(result.cov_params(), gap)
    assert stats.chi2.sf(wald, len(gap)) > 0.01
    run = simulate(population, Behaviour(mobility=result), months=2)
    expected = 1 - (1 - (moves["choice"] != "stay").mean()) ** (1 / 12)
    assert run.national["moves"].iloc[0] == pytest.approx(expected * len(moves), rel=0.3)
