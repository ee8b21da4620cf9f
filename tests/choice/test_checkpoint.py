"""A search that was stopped and goes on takes the very steps that it would have taken."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit, NestflowWarning
from choicemodels.errors import DataError
from estimation import fit
from estimation.choice.checkpoint import Checkpoint
from estimation.newton import SearchState, maximize

NESTS = {"ground": ["train", "bus", "car"]}
MODELS = {
    "nested": NestedLogit("gc + ttme | hinc", nests=NESTS, base="car"),
    "constrained": NestedLogit(
        "gc + ttme + invt", nests=NESTS, base="car", constraints=["gc = invt"]
    ),
    "scaled": MultinomialLogit("gc + ttme", base="car", scale="I(hinc / 50)"),
}


class StoppedError(Exception):
    """What a user's interrupt looks like."""


def stop_at(iteration):
    def progress(number, llf):
        if number == iteration:
            raise StoppedError

    return progress


def identical(one, other):
    assert one.llf == other.llf
    np.testing.assert_array_equal(one.theta, other.theta)
    np.testing.assert_array_equal(one.hessian, other.hessian)
    np.testing.assert_array_equal(one.cov_params(), other.cov_params())
    assert one.optimum.iterations == other.optimum.iterations


@pytest.mark.parametrize("iteration", [0, 1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_stopped_anywhere_it_goes_on_to_the_same_answer(name, iteration, travel_mode, tmp_path):
    model, path = MODELS[name], tmp_path / "search.json"
    whole = fit(model, travel_mode)
    assert len(whole.optimum.iterations) > iteration + 1
    with pytest.raises(StoppedError):
        fit(model, travel_mode, progress=stop_at(iteration), checkpoint=path)
    seen = []
    resumed = fit(
        model, travel_mode, checkpoint=path, progress=lambda number, llf: seen.append(number)
    )
    identical(resumed, whole)
    assert seen[0] == iteration


def test_it_may_be_stopped_again_and_again(travel_mode, tmp_path):
    model, path = MODELS["nested"], tmp_path / "search.json"
    for iteration in range(3):
        with pytest.raises(StoppedError):
            fit(model, travel_mode, progress=stop_at(iteration), checkpoint=path)
    identical(fit(model, travel_mode, checkpoint=path), fit(model, travel_mode))


def test_a_finished_search_is_at_its_end_at_once(travel_mode, tmp_path):
    model, path, seen = MODELS["nested"], tmp_path / "search.json", []
    first = fit(model, travel_mode, checkpoint=path)
    again = fit(model, travel_mode, checkpoint=path, progress=lambda *step: seen.append(step))
    identical(again, first)
    assert len(seen) == 1


def test_bounds_and_rejected_steps_are_remembered(travel_mode, tmp_path):
    model = NestedLogit("gc + ttme", nests=NESTS, base="car", bounds={"lambda:ground": (0.8, 1.0)})
    path, start = tmp_path / "search.json", {"ttme": 0.5, "lambda:ground": 0.95}
    with pytest.warns(NestflowWarning, match="lies on its bound"):
        whole = fit(model, travel_mode, start=start)
    radius = np.array([step.radius for step in whole.optimum.iterations])
    last = int(np.flatnonzero(np.isfinite(radius))[0])
    with pytest.raises(StoppedError):
        fit(model, travel_mode, start=start, progress=stop_at(last), checkpoint=path)
    with pytest.warns(NestflowWarning, match="lies on its bound"):
        identical(fit(model, travel_mode, start=start, checkpoint=path), whole)


def test_too_few_iterations_can_be_followed_by_more(travel_mode, tmp_path):
    model, path = MODELS["nested"], tmp_path / "search.json"
    with pytest.warns(NestflowWarning, match="did not converge"):
        fit(model, travel_mode, checkpoint=path, max_iterations=2)
    resumed = fit(model, travel_mode, checkpoint=path)
    assert resumed.converged
    whole = fit(model, travel_mode)
    assert resumed.llf == whole.llf
    np.testing.assert_array_equal(resumed.theta, whole.theta)


def other_data(travel_mode):
    table = travel_mode.table
    table = table.assign(gc=np.where(table.index == 17, table["gc"] + 1, table["gc"]))
    return ChoiceData.from_long(table, "individual", "mode", "choice")


@pytest.mark.parametrize(
    "change",
    [
        lambda model, data: (replace(model, formula="gc + ttme"), data),
        lambda model, data: (replace(model, constraints=["gc = ttme"]), data),
        lambda model, data: (replace(model, normalization="nonnormalized"), data),
        lambda model, data: (replace(model, base="air"), data),
        lambda model, data: (model, other_data(data)),
        lambda model, data: (model, replace(data, weights=np.full(210, 2.0))),
    ],
    ids=["formula", "constraints", "normalization", "base", "data", "weights"],
)
def test_the_checkpoint_of_another_problem_is_refused(change, travel_mode, tmp_path):
    # Another starting point, or one with lambda = 1, may hide that the model is another one.
    start = {"lambda:ground": 0.7}
    model, path = MODELS["nested"], tmp_path / "search.json"
    with pytest.raises(StoppedError):
        fit(model, travel_mode, start=start, progress=stop_at(1), checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(DataError, match="belongs to another model, other data"):
        fit(*change(model, travel_mode), start=start, checkpoint=path)
    assert path.read_bytes() == before


def test_the_nonnormalized_model_is_another_one_even_from_its_usual_start(travel_mode, tmp_path):
    model, path = MODELS["nested"], tmp_path / "search.json"
    with pytest.raises(StoppedError):
        fit(model, travel_mode, progress=stop_at(1), checkpoint=path)
    other = replace(model, normalization="nonnormalized")
    with pytest.raises(DataError, match="belongs to another model"):
        fit(other, travel_mode, checkpoint=path)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"nestflow": 1}', '{"nestflow": 1, "problem": "x", "state": {}}'],
)
def test_a_damaged_checkpoint_is_refused(content, travel_mode, tmp_path):
    path = tmp_path / "search.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="is not a checkpoint; name another file, or remove it"):
        fit(MODELS["nested"], travel_mode, checkpoint=path)


def test_a_result_is_no_checkpoint(travel_mode, tmp_path):
    path = fit(MODELS["nested"], travel_mode).save(tmp_path / "result.json")
    with pytest.raises(DataError, match="is not a checkpoint"):
        fit(MODELS["nested"], travel_mode, checkpoint=path)


def test_the_folder_must_be_there(travel_mode, tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        fit(MODELS["nested"], travel_mode, checkpoint=tmp_path / "no" / "search.json")


def test_the_state_survives_its_file_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    states = []

    def evaluate(theta):
        gap = theta - np.array([1.0, -2.0])
        return -float(np.sum(gap**4 + gap**2)), -4 * gap**3 - 2 * gap, -np.diag(12 * gap**2 + 2)

    maximize(evaluate, rng.normal(size=2) * 5, keep=states.append)
    file = Checkpoint.open(tmp_path / "state.json", ["a", "b"], (0.0, np.zeros(2)))
    assert file.read() is None
    for state in [*states, SearchState(np.array([0.1, np.pi]), np.array([1e-300, 1e300]), np.inf)]:
        file.write(state)
        back = file.read()
        np.testing.assert_array_equal(back.theta, state.theta)
        np.testing.assert_array_equal(back.curvature, state.curvature)
        assert back.radius == state.radius
        assert back.iterations == state.iterations
    assert json.loads((tmp_path / "state.json").read_text())["kind"] == "checkpoint"


@pytest.mark.filterwarnings("ignore:the dissimilarity")
def test_factored_data_resume_as_well(tmp_path):
    rng = np.random.default_rng(1)
    places = ["p", "q", "r", "s"]
    took = rng.choice(places, 300)
    home = rng.choice(places, 300)
    people = pd.DataFrame({"home": home, "took": np.where(took == home, "stay", took)})
    data = ChoiceData.from_factors(
        people,
        pd.DataFrame({"place": places, "wage": rng.normal(size=4)}),
        origin="home",
        alternative="place",
        chosen="took",
    )
    model = NestedLogit.move_stay("wage", destinations=places, base="stay")
    path = tmp_path / "search.json"
    with pytest.raises(StoppedError):
        fit(model, data, progress=stop_at(1), checkpoint=path)
    identical(fit(model, data, checkpoint=path), fit(model, data))
