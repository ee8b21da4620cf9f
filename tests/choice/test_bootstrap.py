"""The bootstrap: against fits by hand, other threads and interruptions, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit, OrderedChoice
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit, load_result
from estimation.bootstrap import bootstrap

MODEL = MultinomialLogit("gc + ttme", base="car")


@pytest.fixture(scope="module")
def modes(travel_mode):
    return fit(MODEL, travel_mode)


@pytest.fixture(scope="module")
def some(modes):
    return bootstrap(modes, replications=40, seed=7)


def counts_of(replicate, groups, seed=7):
    stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(replicate,)))
    return np.bincount(stream.integers(0, groups, size=groups), minlength=groups)


def test_a_replicate_is_a_fit_to_repeated_cases(travel_mode, some):
    for number in (0, 31):
        counts = counts_of(number, 210)
        cases = np.repeat(np.arange(210), counts)
        rows = (4 * cases[:, None] + np.arange(4)).ravel()
        table = travel_mode.table.iloc[rows].assign(individual=np.arange(len(rows)) // 4)
        data = ChoiceData.from_long(table, "individual", "mode", "choice")
        by_hand = fit(MODEL, data).params[some.draws.columns]
        np.testing.assert_allclose(some.draws.loc[number], by_hand, rtol=1e-7)


def test_clusters_are_resampled_whole(travel_mode, modes):
    pairs = np.arange(210) // 2
    found = bootstrap(modes, replications=3, groups=pairs, seed=7)
    weights = counts_of(1, 105)[pairs].astype(float)
    by_hand = fit(MODEL, replace(travel_mode, weights=weights))
    np.testing.assert_allclose(found.draws.loc[1], by_hand.params, rtol=1e-7)
    assert found.covariance.label == "bootstrap by groups (105); small-sample factor: none"
    assert found.result.covariance.groups == ("groups",)


def test_weights_stay(travel_mode):
    own = 0.5 + np.arange(210) % 3
    result = fit(MODEL, replace(travel_mode, weights=own))
    found = bootstrap(result, replications=2, seed=7)
    by_hand = fit(MODEL, replace(travel_mode, weights=own * counts_of(0, 210)))
    np.testing.assert_allclose(found.draws.loc[0], by_hand.params, rtol=1e-7)


def test_threads_do_not_matter(modes, some):
    alone = bootstrap(modes, replications=40, seed=7, threads=1)
    pd.testing.assert_frame_equal(alone.draws, some.draws, check_exact=True)
    other = bootstrap(modes, replications=40, seed=8)
    assert not other.draws.equals(some.draws)


class StopError(Exception):
    """What a user's interruption looks like."""


def test_an_interrupted_run_goes_on_to_the_same_answer(modes, some, tmp_path):
    path = tmp_path / "replicates.jsonl"

    def stop(done, total):
        assert total == 40
        if done == 15:
            raise StopError

    with pytest.raises(StopError):
        bootstrap(modes, replications=40, seed=7, checkpoint=path, progress=stop)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 16
    with path.open("a", encoding="utf-8") as file:
        file.write('{"replicate": 39, "the')  # cut short while writing
    steps = []
    again = bootstrap(
        modes, replications=40, seed=7, checkpoint=path, progress=lambda *step: steps.append(step)
    )
    assert steps[0] == (16, 40)
    assert steps[-1] == (40, 40)
    pd.testing.assert_frame_equal(again.draws, some.draws, check_exact=True)
    np.testing.assert_array_equal(again.covariance.matrix, some.covariance.matrix)
    fewer = bootstrap(modes, replications=10, seed=7, checkpoint=path, progress=stop)
    assert fewer.draws.equals(some.draws.iloc[:10])
    more = bootstrap(modes, replications=42, seed=7, checkpoint=path)
    assert more.draws.iloc[:40].equals(some.draws)


def test_a_file_of_another_problem_is_refused(modes, travel_mode, tmp_path):
    path = tmp_path / "replicates.jsonl"
    bootstrap(modes, replications=2, seed=7, checkpoint=path)
    for other in (
        lambda: bootstrap(modes, replications=2, seed=8, checkpoint=path),
        lambda: bootstrap(
            modes, replications=2, seed=7, groups=np.arange(210) // 2, checkpoint=path
        ),
        lambda: bootstrap(
            fit(MultinomialLogit("gc", base="car"), travel_mode),
            replications=2,
            seed=7,
            checkpoint=path,
        ),
    ):
        with pytest.raises(DataError, match="belong to another model, other data, another seed"):
            other()
    path.write_text('{"nestflow": 1}\n', encoding="utf-8")
    with pytest.raises(DataError, match="is not a file of replicates"):
        bootstrap(modes, replications=2, checkpoint=path)
    with pytest.raises(DataError, match="there is no folder"):
        bootstrap(modes, replications=2, checkpoint=tmp_path / "no" / "file.jsonl")


def test_the_file_is_lines_of_json(modes, tmp_path):
    path = tmp_path / "replicates.jsonl"
    found = bootstrap(modes, replications=3, seed=7, checkpoint=path)
    head, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert head["kind"] == "bootstrap"
    saved = {line["replicate"]: line["theta"] for line in lines}
    assert {k: found.draws.loc[k].tolist() for k in range(3)} == saved


def test_what_the_draws_say(modes, some):
    np.testing.assert_allclose(some.covariance.matrix, some.draws.cov(), rtol=1e-12)
    assert some.result.cov_type == "bootstrap"
    assert some.result.params.equals(modes.params)
    assert "Bootstrap of 40 resamples of 210 cases, seed 7." in str(some.result.summary())
    limits = some.conf_int(0.2)
    np.testing.assert_allclose(limits["lower"], some.draws.quantile(0.1))
    basic = some.conf_int(0.2, "basic")
    np.testing.assert_allclose(basic["lower"], 2 * modes.params - limits["upper"])
    normal = some.conf_int(0.2, "normal")
    np.testing.assert_allclose(normal, some.result.conf_int(0.2))
    np.testing.assert_allclose(some.bias, some.draws.mean() - modes.params)
    assert "std err" in str(some)
    with pytest.raises(SpecificationError, match="'percentile', 'basic' or 'normal'"):
        some.conf_int(0.1, "bca")
    with pytest.raises(SpecificationError, match="between 0 and 1"):
        some.conf_int(2)


def test_the_covariance_survives_a_file(some, tmp_path):
    back = load_result(some.result.save(tmp_path / "result.json"))
    assert back.bse.equals(some.result.bse)
    assert back.covariance.notes == some.covariance.notes


def generated(seed, cases):
    """Three alternatives, errors shared by the four cases of each group."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.normal(size=(cases // 4, 3)), 4, axis=0)
    x = np.repeat(rng.normal(size=(cases // 4, 3)), 4, axis=0)
    utility = 0.5 * x + shared + rng.gumbel(size=(cases, 3))
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 3),
            "alt": list("abc") * cases,
            "x": x.ravel(),
            "group": np.repeat(np.arange(cases) // 4, 3),
            "chosen": (utility == utility.max(axis=1, keepdims=True)).ravel(),
        }
    )
    return ChoiceData.from_long(table, "case", "alt", "chosen")


@pytest.mark.slow
def test_it_agrees_with_the_sandwich_of_cases_and_of_clusters():
    """With 300 replicates the standard deviation of a standard error is 4 percent of it."""
    result = fit(MultinomialLogit("x"), generated(seed=0, cases=800))
    cases = bootstrap(result, replications=300, seed=1)
    clusters = bootstrap(result, replications=300, groups="group", seed=1)
    np.testing.assert_allclose(cases.result.bse, result.bse, rtol=0.15)
    clustered = result.with_cov("cluster", groups="group").bse
    np.testing.assert_allclose(clusters.result.bse, clustered, rtol=0.15)
    assert clustered["x"] > 1.2 * result.bse["x"]


def test_constraints_hold_in_every_replicate(travel_mode):
    model = MultinomialLogit("gc + invt + ttme", base="car", constraints=["gc = 2 * invt"])
    found = bootstrap(fit(model, travel_mode), replications=5, seed=1)
    np.testing.assert_allclose(found.draws["gc"], 2 * found.draws["invt"], rtol=1e-9)
    bounded = MultinomialLogit("gc + ttme", base="car", bounds={"gc": (None, -0.01)})
    draws = bootstrap(fit(bounded, travel_mode), replications=20, seed=1).draws
    assert (draws["gc"] <= -0.01).all()


def test_absorbed_constants_are_estimated_again(travel_mode, modes, some):
    absorbed = MultinomialLogit("gc + ttme | 0", base="car", constants="absorbed")
    found = bootstrap(fit(absorbed, travel_mode), replications=10, seed=7)
    np.testing.assert_allclose(found.draws, some.draws.loc[:9, ["gc", "ttme"]], rtol=1e-7)


@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_nested_logits_in_the_long_run(travel_mode):
    result = fit(NestedLogit("gc + ttme", {"g": ["train", "bus", "car"]}, base="car"), travel_mode)
    found = bootstrap(result, replications=20, seed=2)
    assert list(found.draws.columns) == list(result.names)
    assert (found.draws["lambda:g"] > 0).all()


def test_ordered_outcomes():
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    table = pd.DataFrame({"x": x, "y": np.digitize(x + rng.logistic(size=300), [-1, 1])})
    result = fit(OrderedChoice("x", outcome="y"), table)
    found = bootstrap(result, replications=200, seed=7)
    repeated = table.loc[np.repeat(np.arange(300), counts_of(0, 300))]
    by_hand = fit(OrderedChoice("x", outcome="y"), repeated)
    np.testing.assert_allclose(found.draws.loc[0], by_hand.params, rtol=1e-7)
    np.testing.assert_allclose(found.result.bse, result.bse, rtol=0.2)
    assert "300 rows" in found.note
    thirds = bootstrap(result, replications=3, groups=np.arange(300) // 3)
    assert thirds.covariance.group_counts == (100,)


def rare(travel_mode, times):
    """Leave only some of those who took the bus."""
    table = travel_mode.table
    bus = table.loc[(table["mode"] == "bus") & (table["choice"] == 1), "individual"]
    kept = table[~table["individual"].isin(bus.iloc[times:])]
    return ChoiceData.from_long(kept, "individual", "mode", "choice")


def test_failures_are_counted_with_their_reason(travel_mode):
    result = fit(MODEL, rare(travel_mode, 2))
    found = bootstrap(result, replications=60, seed=1)
    # Both bus riders are missed with a probability near exp(-2).
    assert 2 <= len(found.failures) <= 20
    assert found.failures.str.contains("nobody chose 'bus'").all()
    assert len(found.draws) + len(found.failures) == 60
    assert set(found.draws.index).isdisjoint(found.failures.index)
    assert f"{len(found.failures)} failed and are left out" in found.note
    assert found.note in str(found.result.summary())


def test_too_many_failures():
    table = pd.DataFrame({"case": np.repeat(np.arange(10), 10), "alt": list("abcdefghij") * 10})
    table["chosen"] = np.eye(10).ravel()
    result = fit(MultinomialLogit("1"), ChoiceData.from_long(table, "case", "alt", "chosen"))
    with pytest.raises(EstimationError, match="of 20 replicates failed, mostly since nobody chose"):
        bootstrap(result, replications=20)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"replications": 1}, SpecificationError, "a covariance needs two"),
        ({"groups": np.zeros(210)}, SpecificationError, "single group"),
        ({"groups": ["hinc", "psize"]}, SpecificationError, "one grouping"),
        ({"groups": "mode"}, DataError, "varies within the case"),
        ({"groups": np.arange(3)}, DataError, "one label for each"),
    ],
)
def test_wrong_questions(modes, options, error, message):
    with pytest.raises(error, match=message):
        bootstrap(modes, **{"replications": 2, **options})


def test_results_that_cannot_be_bootstrapped(modes, tmp_path):
    back = load_result(modes.save(tmp_path / "modes.json"))
    with pytest.raises(EstimationError, match="does not keep the data"):
        bootstrap(back, replications=2)
    stopped = replace(modes, optimum=replace(modes.optimum, converged=False))
    with pytest.raises(EstimationError, match="did not converge, so there is nothing"):
        bootstrap(stopped, replications=2)


def test_a_covariance_by_name(modes, some):
    by_name = modes.with_cov("bootstrap", replications=40, seed=7)
    pd.testing.assert_frame_equal(by_name.cov_params(), some.result.cov_params())
    assert by_name.cov_type == "bootstrap"
    with pytest.raises(SpecificationError, match="cov='robust' takes no replications"):
        modes.with_cov("robust", replications=40)
