"""The whole way: simulate moves from a known model, estimate it, and simulate what it says."""

import numpy as np
import pytest
from scipy import stats

from choicemodels import ChoiceData, NestedLogit
from choicemodels.errors import SpecificationError
from estimation import fit
from microsim import Behaviour, MoveTruth, choice_table, simulate, synthesize, year_of_moves
from microsim.mobility.moves import MOVING, sample_cases
from microsim.mobility.utility import MobilityUtility
from microsim.mobility.variables import PlaceColumns, WorkerColumns
from microsim.parameters import Parameters

FORMULA = " + ".join(MOVING) + " | 0"


@pytest.fixture(scope="module")
def people():
    return synthesize(workers=60_000, firms=3_000, metros=40, seed=2)


@pytest.fixture(scope="module")
def moves(people):
    return year_of_moves(people, seed=2)


@pytest.fixture(scope="module")
def result(people, moves):
    table = choice_table(people, sample_cases(moves, 3_000), moves)
    data = ChoiceData.from_long(
        table, case="worker", alternative="alternative", chosen="chosen", weights="weight"
    )
    model = NestedLogit(
        FORMULA,
        specific={"stay": "1 + age + homeowner + unemployed + college"},
        nests={"move": list(people.metros.cbsa)},
        normalization="rum",
    )
    return fit(model, data)


def test_the_truth_is_recovered(people, result):
    truth = MoveTruth(tuple(people.metros.cbsa)).params
    gap = result.params - truth.reindex(result.params.index)
    assert {"lambda:move", "(Intercept):stay"} <= set(gap.index)
    assert (gap.abs() < 3 * result.bse).all()
    # All coefficients at once: the Wald statistic that they are the true ones.
    wald = gap @ np.linalg.solve(result.cov_params(), gap)
    assert stats.chi2.sf(wald, len(gap)) > 0.01


def test_the_engine_evaluates_the_fit_as_the_estimator_does(people, moves, result):
    """Factored logsums and probabilities against predictions for the long table's rows."""
    ids = people.workers.id[::1999]
    table = choice_table(people, ids, moves)
    data = ChoiceData.from_long(table, case="worker", alternative="alternative", chosen="chosen")
    predicted = result.predict(data).pivot(
        index="worker", columns="alternative", values="probability"
    )
    cbsa = tuple(people.metros.cbsa)
    utility = MobilityUtility.build(Behaviour(result), cbsa)
    workers = WorkerColumns(people.workers.columns(), Parameters().moving)
    places = PlaceColumns.at_start(people, Parameters())
    kinds = utility.types(workers, len(people.workers))
    metro = people.workers.metro.astype(np.int64)
    V = utility.destinations(kinds.parts, places)
    W = utility.logsums(V)
    gain = W[kinds.code, metro] - utility.staying(workers, metro, places)
    move = 1 / (1 + np.exp(-gain[::1999]))
    stay = predicted["stay"].to_numpy()
    np.testing.assert_allclose(1 - move, stay, rtol=1e-9)
    log_p = utility.log_probabilities(V, kinds.code[::1999], metro[::1999])
    inside = np.exp(log_p) * move[:, None]
    np.testing.assert_allclose(inside, predicted[list(cbsa)].fillna(0.0).to_numpy(), atol=1e-12)


def test_a_fitted_model_drives_the_simulation(people, result, moves, make):
    # Quiet: those who cannot pay for a move would keep the share below the model's.
    run = simulate(people, Behaviour(mobility=result), make(quiet=True), months=12)
    share = run.national["moves"].sum() / len(people.workers)
    assert share == pytest.approx((moves["choice"] != "stay").mean(), rel=0.15)


def test_samples_are_weighted_back(moves):
    sample = sample_cases(moves, 1_000)
    assert len(sample) == 1_000
    assert sample["weight"].mean() == pytest.approx(1)
    choice = moves.set_index("worker")["choice"].reindex(sample["worker"]).to_numpy()
    weighted = np.average(choice != "stay", weights=sample["weight"])
    assert weighted == pytest.approx((moves["choice"] != "stay").mean())
    with pytest.raises(SpecificationError, match="cannot be sampled"):
        sample_cases(moves, 1)
