"""Outcomes, claims and ensembles of the grid."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import DataError, SpecificationError
from microsim.household_grid.claims import CLAIMS, check_claims, verdicts
from microsim.household_grid.ensemble import (
    claims_ensemble,
    grid_ensemble,
    load_grid_ensemble,
)
from microsim.household_grid.outcomes import (
    GRID_OUTCOMES,
    grid_outcomes,
    grid_segregation,
    grid_series,
)
from microsim.household_grid.parameters import GridParameters
from microsim.household_grid.run import load_grid_run, simulate_grid

SMALL = GridParameters.preset("code", households=1_000, side=10, steps=60)


@pytest.fixture(scope="module")
def run():
    return simulate_grid(SMALL, seed=3, every=4)


@pytest.fixture(scope="module")
def ensemble():
    return claims_ensemble(["code"], 3, households=1_000, side=10, steps=60)


def test_homes_at_a_moment_are_those_that_the_cells_count(run):
    for moment in (0, 20, 30, 60):
        count = np.bincount(run.homes_at(moment), minlength=100)
        assert_array_equal(count, run.cells_at(moment)["households"])
    with pytest.raises(DataError, match="were not recorded at 21, only at 0, 4, 8"):
        run.cells_at(21)


def test_outcomes_are_those_of_the_tables_by_hand(run):
    found = grid_outcomes(run)
    assert list(found.index) == list(GRID_OUTCOMES)
    series = grid_series(run)
    assert found["moves"] == pytest.approx(len(run.moves) / 600)
    before, at = series.loc[24:29], series.loc[30:35]
    gap = at["pressure"].mean() - before["pressure"].mean()
    assert found["pressure at the shock, change"] == pytest.approx(gap)
    cells = run.cells.set_index(["step", "cell"])
    largest = cells.loc[0]["places"].sort_values(kind="stable").index[-10:]
    share = {
        step: cells.loc[step].loc[largest, "households"].sum()
        / cells.loc[step].loc[largest, "places"].sum()
        for step in (28, 30, 56, 60)
    }
    change = 50 * (share[56] + share[60] - share[28] - share[30])
    assert found["occupancy of the largest cells, change"] == pytest.approx(change)
    distance = run.moves.groupby("quintile")["distance"].mean()
    assert found["distance of the richest over the poorest"] == pytest.approx(
        distance[5] - distance[1]
    )


def test_segregation_is_that_of_a_moment(run):
    start, shock, end = (grid_segregation(run, moment) for moment in (0, 30, 60))
    found = grid_outcomes(run)
    assert_allclose(found[end.index], end)
    assert_allclose(found[end.add_suffix(", change").index], end - shock)
    fifths = run.cells_at(0)[["quintile_1", "quintile_5"]] / 200
    by_hand = (fifths["quintile_1"] - fifths["quintile_5"]).abs().sum() / 2
    assert start["dissimilarity"] == pytest.approx(by_hand)


def test_pressure_is_the_mean_over_households_at_their_turns():
    """Where nobody moves it follows from the first cells."""
    p = SMALL.replace(decision_intercept=30.0, full_cost=1_000.0)
    still = simulate_grid(p, seed=3)
    home = still.households["first_cell"]
    cost = still.cells_at(0)["housing_cost"].to_numpy()[home]
    by_hand = (0.01 * cost / still.households["income"]).mean()
    assert_allclose(grid_series(still)["pressure"], by_hand, rtol=1e-12)


def outcomes_like(values):
    table = pd.DataFrame({name: np.zeros(len(values)) for name in GRID_OUTCOMES})
    return table.assign(**{name: values for claim in CLAIMS for name in claim.signs})


def test_a_verdict_needs_the_whole_interval():
    rising = outcomes_like([1.0, 1.1, 0.9, 1.0])
    nothing = outcomes_like([0.0, 0.0, 0.0, 0.0])
    table = check_claims(rising, nothing).set_index("outcome")
    assert table.loc["occupancy of the smallest cells, change", "verdict"] == "holds"
    assert table.loc["occupancy of the largest cells, change", "verdict"] == "does not hold"
    found = verdicts(table.reset_index())
    # Of the fourth claim one part holds, and the other does not.
    assert list(found) == ["does not hold", "holds", "holds", "does not hold"] + ["holds"] * 3
    noisy = check_claims(outcomes_like([3.0, -1.0, 2.0, -2.0]), nothing)
    assert set(noisy["verdict"]) == {"undecided"}
    # The last claim is of the difference between two laws of incomes.
    same = check_claims(rising, rising).set_index("number")
    assert same.loc[7, "mean"] == 0
    assert same.loc[7, "verdict"] == "undecided"


def test_a_verdict_is_not_defined_where_a_seed_has_no_outcome():
    rising = outcomes_like([1.0, 1.1, 0.9])
    rising.loc[1, "distance of the richest over the poorest"] = np.nan
    table = check_claims(rising).set_index("number")
    assert table.loc[6, "verdict"] == "not defined"
    assert table.loc[2, "verdict"] == "holds"
    assert verdicts(table.reset_index()).iloc[5] == "not defined"


def test_claims_need_seeds_to_compare():
    with pytest.raises(DataError, match="1 seed has no interval"):
        check_claims(outcomes_like([1.0]), outcomes_like([1.0]))
    with pytest.raises(DataError, match="other seeds"):
        check_claims(outcomes_like([1.0, 2.0]), outcomes_like([1.0, 2.0, 3.0]))


def test_an_ensemble_is_its_runs_in_order(ensemble):
    assert list(ensemble.outcomes.index) == [
        (name, seed) for name in ("code", "code, exponential incomes") for seed in (1, 2, 3)
    ]
    alone = grid_outcomes(simulate_grid(ensemble.parameters["code"], seed=2))
    assert_allclose(ensemble.of("code").loc[2], alone)
    with pytest.raises(SpecificationError, match=r"no 'cod' in the ensemble \(did you mean 'code'"):
        ensemble.of("cod")
    table = ensemble.claims("code")
    assert set(table["number"]) == set(range(1, 8))


def test_an_ensemble_survives_its_folder(ensemble, tmp_path):
    again = load_grid_ensemble(ensemble.save(tmp_path / "grid"))
    assert again.parameters == ensemble.parameters
    assert_frame_equal(again.outcomes, ensemble.outcomes)
    assert_frame_equal(again.series, ensemble.series)
    with pytest.raises(DataError, match="holds no ensemble of the grid"):
        load_grid_ensemble(tmp_path)


def test_seeds_are_paired_in_a_contrast():
    """A set against itself differs by nothing, however its seeds differ."""
    sets = {"a": SMALL, "b": SMALL, "c": SMALL.replace(shock=None)}
    found = grid_ensemble(sets, 3)
    same = found.contrast("a", "b")
    assert (same["difference"].dropna() == 0).all()
    without = found.contrast("a", "c")
    assert without.loc["moves at the shock, change", "difference"] < 0
    by_hand = found.of("c")["moves"] - found.of("a")["moves"]
    assert without.loc["moves", "mc_se"] == pytest.approx(by_hand.std() / np.sqrt(3))


@pytest.mark.slow
def test_workers_of_a_cluster_give_the_same_ensemble(ensemble):
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        found = grid_ensemble(ensemble.parameters, [1, 2, 3], client=client)
    assert_frame_equal(found.outcomes, ensemble.outcomes)


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        (({}, 3), {}, "at least one parameter set"),
        (({"a": SMALL}, [1, 1]), {}, "distinct seeds"),
        (({"a": SMALL}, 2), {"client": 3}, "client= is a int"),
        (({"a": SMALL}, 2.0), {}, r"seeds is 2\.0; give a whole number"),
        (({"a": SMALL}, [1, "2"]), {}, "a seed is '2'; give a whole number"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(arguments, options, reason):
    with pytest.raises(SpecificationError, match=reason):
        grid_ensemble(*arguments, **options)


def test_runs_are_saved_with_any_seed_and_where_they_can_be(tmp_path):
    run = simulate_grid(SMALL, seed=np.int64(2), replicate=np.int64(1))
    again = load_grid_run(run.save(tmp_path / "run"))
    assert (again.seed, again.replicate) == (2, 1)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"cannot be written to .*file .*; give a folder"):
        run.save(tmp_path / "file")
    with pytest.raises(SpecificationError, match="parameters is a dict; give the name of a preset"):
        simulate_grid({"steps": 3})
    with pytest.raises(SpecificationError, match=r"seed is 1\.5; give a whole number"):
        simulate_grid(SMALL, seed=1.5)
