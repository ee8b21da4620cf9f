"""Ensembles: drawn parameters, members on workers that may die, two uncertainties told apart."""

import json
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.stats import chi2

from choicemodels import ChoiceData, NestedLogit
from choicemodels.errors import DataError, SpecificationError
from estimation import fit, load_result
from microsim import Behaviour, Scenario, choice_table, contrast, simulate, year_of_moves
from microsim.ensembles.contrast import shared_draws, split_variance
from microsim.ensembles.draws import draw_parameters
from microsim.ensembles.ensemble import ensemble, load_ensemble
from microsim.mobility.moves import MOVING, sample_cases

GRANT = {"kind": "relocation_grant", "amount": 10_000}
SIZE = {"draws": 2, "replicates": 2, "months": 2}


@pytest.fixture(scope="module")
def result(population, behaviour):
    moves = year_of_moves(population, behaviour.mobility, seed=2)
    table = choice_table(population, sample_cases(moves, 700), moves)
    data = ChoiceData.from_long(
        table, case="worker", alternative="alternative", chosen="chosen", weights="weight"
    )
    model = NestedLogit(
        " + ".join(MOVING) + " | 0",
        specific={"stay": "1 + age + homeowner + unemployed + college"},
        nests={"move": list(population.metros.cbsa)},
        constraints=["homeowner:stay = 0.7"],
        normalization="rum",
    )
    return fit(model, data)


@pytest.fixture(scope="module")
def scenarios(make):
    return [Scenario.baseline(), make(GRANT, name="grant")]


@pytest.fixture(scope="module")
def made(population, result, scenarios, tmp_path_factory):
    out = tmp_path_factory.mktemp("ensembles") / "local"
    return ensemble(population, Behaviour(result), scenarios, out=out, **SIZE)


def test_parameters_have_the_estimates_joint_distribution(result):
    draws = 300
    steady = replace(result, covariance=replace(result.covariance, matrix=_small(result)))
    drawn = draw_parameters(steady, draws, seed=1)
    table = pd.DataFrame([model.params for model in drawn.models]).reset_index(drop=True)
    assert drawn.outside == 0
    gap = (table.mean() - result.params).to_numpy()
    covariance = steady.cov_params().to_numpy()
    assert gap @ np.linalg.pinv(covariance) @ gap * draws < chi2.ppf(0.999, len(gap))
    # Squared distances from the estimate are chi-squared, which holds the whole covariance.
    away = (table - result.params).to_numpy()
    squared = np.einsum("dk,kl,dl->d", away, np.linalg.pinv(covariance), away)
    assert squared.mean() == pytest.approx(len(gap), abs=4 * np.sqrt(2 * len(gap) / draws))
    # What was fixed stays fixed, and what the terms say is what was drawn.
    position = result.parameters.names.index("homeowner:stay")
    assert {model.theta[position] for model in drawn.models} == {0.7}
    terms = {term.name: term.coefficient for term in drawn.models[3].utility_terms()}
    assert terms["moving_cost"] == table["moving_cost"][3]


def _small(result):
    """A hundredth of the covariance: every dissimilarity drawn is positive."""
    return result.covariance.matrix / 100.0


def test_more_draws_include_those_of_fewer(result):
    few, many = draw_parameters(result, 2, seed=1), draw_parameters(result, 4, seed=1)
    for a, b in zip(few.models, many.models, strict=False):
        assert_array_equal(a.theta, b.theta)
    assert (draw_parameters(result, 1, seed=2).models[0].theta != few.models[0].theta).any()


def test_impossible_parameters_are_drawn_again_and_counted(result):
    place = result.names.index("lambda:move")
    wide = np.zeros_like(result.covariance.matrix)
    wide[place, place] = result.params["lambda:move"] ** 2
    uncertain = replace(result, covariance=replace(result.covariance, matrix=wide))
    drawn = draw_parameters(uncertain, 200, seed=1)
    assert all(model.params["lambda:move"] > 0 for model in drawn.models)
    # One standard deviation above zero: 15.9 % of the normal lies below it.
    assert drawn.outside == pytest.approx(0.159, abs=4 * np.sqrt(0.159 * 0.841 / 238))
    bounded = replace(uncertain, model=replace(result.model, bounds={"lambda:move": (0, 1)}))
    assert max(m.params["lambda:move"] for m in draw_parameters(bounded, 20, 1).models) <= 1


def test_members_are_runs_of_the_drawn_models(made, population, result, scenarios):
    assert load_ensemble(made.folder) == made
    drawn = draw_parameters(result, 2, seed=1).models
    for d, scenario in ((0, scenarios[0]), (1, scenarios[1])):
        own = simulate(population, Behaviour(drawn[d]), scenario, months=2, replicates=2)
        found = made.run(scenario.name, d)
        assert_frame_equal(found.national, own.national, check_exact=True)
        saved = load_result(made.folder / f"draw={d:03d}/mobility.json")
        assert_array_equal(saved.theta, drawn[d].theta)
    moves = [made.run("baseline", d).national["moves"].sum() for d in range(2)]
    assert moves[0] != moves[1]


def test_what_is_finished_is_not_run_again(made, population, result, scenarios, monkeypatch):
    def never(*arguments):
        raise AssertionError("a month was simulated")

    monkeypatch.setattr("microsim.engine.step", never)
    seen = []
    again = ensemble(
        population, Behaviour(result), scenarios, out=made.folder, **SIZE,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert again == made
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_contrast_is_the_mean_over_members(made):
    found = made.contrast("baseline", "grant")
    single = [contrast(made.run("baseline", d), made.run("grant", d)).table for d in range(2)]
    row = found.table.loc["moves"]
    differences = [table.loc["moves", "difference"] for table in single]
    assert row["difference"] == pytest.approx(np.mean(differences))
    assert_allclose([row["low"], row["high"]], np.quantile(differences, [0.025, 0.975]))
    cost = [table.loc["policy cost", "policy"] for table in single]
    ratio = found.table.loc["cost per additional move", "policy"]
    assert ratio == pytest.approx(np.sum(cost) / np.sum(differences))
    assert "2 draws of the parameters by 2 replicates" in str(found)
    same = made.contrast("baseline", "baseline")
    assert (same.variance.dropna() == 0).all().all()
    unsaid = same.table["policy"].isna() & (same.table["note"] == "")
    assert not unsaid.any()
    assert "not defined in 2 of 2 draws" in same.table.loc["additionality", "note"]


def test_variance_is_split_as_by_the_textbook():
    """Against ordinary least squares on two-way dummies, and by simulation."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(5, 4))
    split = split_variance(y)
    d, r = np.indices(y.shape).reshape(2, -1)
    X = np.column_stack([np.eye(5)[d], np.eye(4)[r][:, 1:]])
    residual = y.ravel() - X @ np.linalg.lstsq(X, y.ravel(), rcond=None)[0]
    assert split.interaction == pytest.approx((residual**2).sum() / 12)
    components = np.array([4.0, 2.0, 1.0])
    found, means = [], []
    for _ in range(400):
        a, b, e = (rng.normal(size=s) for s in ((30, 1), (1, 20), (30, 20)))
        split = split_variance(2.0 * a + np.sqrt(2.0) * b + e)
        found.append([split.parameters, split.replicates, split.interaction, split.mc_se**2])
        means.append(split.mean)
    assert_allclose(np.mean(found, axis=0)[:3], components, rtol=0.06)
    assert np.mean(found, axis=0)[3] == pytest.approx(4 / 30 + 2 / 20 + 1 / 600, rel=0.06)
    assert np.var(means) == pytest.approx(np.mean(found, axis=0)[3], rel=0.25)
    assert np.isnan(split_variance(y[:1]).parameters)


def test_shared_draws_are_compared_with_independent_ones(population, behaviour, make):
    options = {"months": 3, "replicates": 8}
    base = simulate(population, behaviour, **options)
    grant = simulate(population, behaviour, make({**GRANT, "take_up": 0.1}), **options)
    table = shared_draws(base, grant)
    a, b = (run.national.groupby("replicate")["moves"].sum() for run in (base, grant))
    assert table.loc["moves", "shared"] == pytest.approx((b - a).var())
    assert table.loc["moves", "independent"] == pytest.approx(a.var() + b.var())
    assert table.loc["moves", "ratio"] > 10
    # A policy that adds many moves adds their own luck, and no more; jobs hardly notice.
    grant = simulate(population, behaviour, make({**GRANT, "take_up": 0.3}), **options)
    table = shared_draws(base, grant)
    b = grant.national.groupby("replicate")["moves"].sum()
    assert (b - a).mean() > 0.4 * a.mean()
    assert table.loc["moves", "shared"] < 4.0 * (b - a).mean()
    assert table.loc["mean unemployment rate", "ratio"] > 10
    with pytest.raises(SpecificationError, match="do not share their draws"):
        shared_draws(base, replace(grant, seed=2))
    with pytest.raises(SpecificationError, match="needs at least 2 replicates"):
        shared_draws(replace(base, replicates=1), replace(grant, replicates=1))


def test_ensembles_that_cannot_be_are_refused(made, population, behaviour, result, scenarios):
    def attempt(message, error=SpecificationError, **change):
        options = {"out": made.folder, **SIZE, "scenarios": scenarios, "behaviour": None} | change
        model = options.pop("behaviour") or Behaviour(result)
        people = options.pop("population", population)
        with pytest.raises(error, match=message):
            ensemble(people, model, options.pop("scenarios"), **options)

    attempt("a MoveTruth, which has no covariance", behaviour=behaviour)
    attempt("draws is 0; ask for at least 1", draws=0)
    attempt("there is no scenario", scenarios=[])
    attempt("several scenarios are named baseline", scenarios=[scenarios[0]] * 2)
    attempt("scenarios is one Scenario; give a list", scenarios=scenarios[1])
    attempt("scenarios is one str; give a list", scenarios="grant.yaml")
    attempt("'grant.yaml' is a str, not a Scenario; read a file", scenarios=["grant.yaml"])
    attempt(r"draws is 2\.0; give a whole number", draws=2.0)
    named = Scenario.from_mapping({"name": "a/b"})
    attempt("name 'a/b' cannot be a folder", scenarios=[named])
    attempt("has other parameters than those drawn now", DataError, seed=5)
    attempt("its number of months is 2, not 3; give the ensemble another", DataError, months=3)
    attempt("its first month is '2024-01', not '2025-01'; give", DataError, start="2025-01")
    changed = scenarios[1].model_copy(update={"description": "another"})
    attempt("is 'grant', but changed since; give", DataError, scenarios=[scenarios[0], changed])
    third = scenarios[1].model_copy(update={"name": "third"})
    attempt(
        "an ensemble whose number of months is 2, not 3", DataError, scenarios=[third], months=3
    )
    attempt("third would lack some of 2; give all", DataError, scenarios=[third], draws=1)
    attempt("baseline would lack some of 3", DataError, scenarios=scenarios[1:], draws=3)
    w = population.workers
    other = replace(population, workers=replace(w, age=w.age + np.int16(1)))
    attempt("an ensemble of another population", DataError, population=other)
    infinite = replace(result.covariance, matrix=result.covariance.matrix * np.inf)
    with np.errstate(invalid="ignore"):
        hopeless = Behaviour(replace(result, covariance=infinite))
    attempt("covariance is not finite", behaviour=hopeless)
    with pytest.raises(SpecificationError, match=r"no scenario 'grants' .did you mean 'grant'"):
        made.run("grants", 0)
    with pytest.raises(SpecificationError, match="level is 2; it must lie"):
        made.contrast("baseline", "grant", level=2)
    with pytest.raises(DataError, match="holds no ensemble"):
        load_ensemble(made.folder / "population")
    # Nothing that was refused has left a trace.
    assert load_ensemble(made.folder) == made
    assert not (made.folder / "draw=000/third").exists()


def test_a_call_with_some_of_the_scenarios_keeps_the_others(made, population, result, scenarios):
    options = {**SIZE, "out": made.folder}
    some = ensemble(population, Behaviour(result), scenarios[1:], **options)
    assert some.scenarios == ("grant",)
    fewer = ensemble(population, Behaviour(result), scenarios, **{**options, "draws": 1})
    assert fewer.draws == 1
    assert load_ensemble(made.folder) == made


def test_the_ensemble_of_another_kind_is_none(tmp_path):
    (tmp_path / "ensemble.json").write_text('{"paper": {"steps": 3}}')
    with pytest.raises(DataError, match="holds no ensemble"):
        load_ensemble(tmp_path)


def test_the_command_compares_with_the_first_scenario(made, population, result, tmp_path):
    from typer.testing import CliRunner

    from microsim.cli import app

    result.save(tmp_path / "mobility.json")
    (tmp_path / "grant.yaml").write_text("policies: [{kind: relocation_grant, amount: 10000}]\n")
    arguments = [
        "ensemble", str(made.folder / "population"), "--mobility", str(tmp_path / "mobility.json"),
        "--scenario", str(tmp_path / "grant.yaml"), "--out", str(tmp_path / "many"),
        "--draws", "2", "--months", "1",
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    table = pd.read_csv(tmp_path / "many/grant.csv", index_col="outcome")
    many = load_ensemble(tmp_path / "many")
    assert many.scenarios == ("baseline", "grant")
    expected = many.contrast("baseline", "grant").table
    assert_allclose(table["difference"], expected["difference"])


def test_the_command_checks_the_level_first(nestflow, tmp_path):
    code, _, said = nestflow(
        "ensemble", tmp_path, "--mobility", tmp_path / "none.json", "--out", tmp_path / "many",
        "--level", 95,
    )  # fmt: skip
    assert code == 2
    assert "level is 95.0; it must lie between 0 and 1" in said


@pytest.mark.slow
def test_shared_draws_cut_the_variance_of_a_grant_tenfold(population, behaviour, make):
    """A grant for the displaced, as in the examples, under a shock that displaces many."""
    ai = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.05}]}
    rule = {"status": "displaced", "within_months": 12, "income_ceiling": 150_000}
    grant = {**GRANT, "take_up": 0.6, "eligibility": rule}
    options = {"months": 6, "replicates": 10}
    base = simulate(population, behaviour, make(shocks=[ai]), **options)
    policy = simulate(population, behaviour, make(grant, shocks=[ai], name="grant"), **options)
    assert contrast(base, policy).table.loc["moves", "difference"] > 0
    assert shared_draws(base, policy).loc["moves", "ratio"] > 10


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(population, result, scenarios, tmp_path):
    from distributed import Client, LocalCluster

    size = {"draws": 2, "replicates": 1, "months": 60, "checkpoint": 2}
    whole = ensemble(population, Behaviour(result), scenarios, out=tmp_path / "whole", **size)
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(n_workers=2, **options) as cluster, Client(cluster) as client:
        of_killer = (client, client.run(os.getpid), tmp_path / "many")
        killed = threading.Thread(target=_kill_a_busy_worker, args=of_killer)
        killed.start()
        many = ensemble(
            population, Behaviour(result), scenarios, out=tmp_path / "many", client=client, **size
        )
        killed.join()
    assert json.loads((tmp_path / "killed.json").read_text())
    for d in range(2):
        for scenario in whole.scenarios:
            a, b = whole.run(scenario, d), many.run(scenario, d)
            for name in ("metros", "national", "flows", "policies"):
                assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)


def _kill_a_busy_worker(client, pids, folder):
    """Wait for a member's first checkpoint, and kill a worker that is at a member."""
    while not list(folder.glob("draw=*/*/checkpoints/*.npz")):
        time.sleep(0.01)
    busy = [address for address, tasks in client.processing().items() if tasks]
    os.kill(pids[busy[0]], signal.SIGKILL)
    (folder.parent / "killed.json").write_text(json.dumps(busy))
