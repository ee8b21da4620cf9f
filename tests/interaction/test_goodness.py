"""Measures of fit, holdout by origin, and drawn trips."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, SpecificationError
from choicemodels.interaction.generator import draw_trips
from choicemodels.interaction.models import (
    CompetingDestinations,
    PopulationWeighted,
    Radiation,
    Schneider,
    SpatialInteraction,
)
from estimation import fit
from estimation.interaction.goodness import compare_fits, goodness
from estimation.interaction.holdout import holdout

WANT = tomllib.loads(
    (Path(__file__).parents[1] / "published/Dennett2012/values.toml").read_text("utf-8")
)["goodness"]


@pytest.fixture(scope="module")
def exponential(austria):
    return fit(SpatialInteraction(), austria)


@pytest.fixture(scope="module")
def power(austria):
    return fit(SpatialInteraction(deterrence="power"), austria)


def test_austria(austria, exponential, power):
    table = compare_fits({"exponential": exponential, "power": power})
    assert table.loc["exponential", "cpc"] == pytest.approx(WANT["cpc_exponential"], abs=5e-7)
    sorensen = table.loc["exponential", "mean_cell_sorensen"]
    assert sorensen == pytest.approx(WANT["mean_cell_sorensen_exponential"], abs=5e-7)
    assert table.loc["power", "cpc"] == pytest.approx(WANT["cpc_power"], abs=5e-7)
    # Maximum likelihood reproduces the mean cost: Hyman's condition.
    row = table.loc["exponential"]
    assert row["mean_cost_fitted"] == pytest.approx(row["mean_cost_observed"], rel=1e-10)
    assert table.loc["power", "mean_cost_fitted"] != pytest.approx(
        row["mean_cost_observed"], rel=1e-4
    )
    assert row["deviance"] == pytest.approx(exponential.deviance, rel=1e-10)
    assert row["parameters"] == 1


def test_every_measure_by_its_definition():
    rng = np.random.default_rng(1)
    y, mu = rng.poisson(3, 40).astype(float), rng.gamma(2, 1.5, 40)
    y[:3] = mu[2] = 0
    c = rng.uniform(0, 100, 40)
    found = goodness(y, mu, c, bands=[25, 50, 75])
    assert found.cells == 40
    assert found.cpc == pytest.approx(2 * sum(map(min, y, mu)) / (y.sum() + mu.sum()))
    cells = [1.0 if a + b == 0 else 2 * min(a, b) / (a + b) for a, b in zip(y, mu, strict=True)]
    assert found.mean_cell_sorensen == pytest.approx(np.mean(cells))
    assert found.rmse == pytest.approx(np.sqrt(np.mean((y - mu) ** 2)))
    assert found.srmse == pytest.approx(found.rmse / y.mean())
    assert found.r2 == pytest.approx(1 - ((y - mu) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    assert found.r2_pearson == pytest.approx(stats.pearsonr(y, mu)[0] ** 2)
    some = y > 0
    deviance = 2 * ((y[some] * np.log(y[some] / mu[some])).sum() - (y - mu).sum())
    assert found.deviance == pytest.approx(deviance)
    p, q = y / y.sum(), mu / mu.sum()
    assert found.information_gain == pytest.approx(stats.entropy(p[some], q[some] / q[some].sum())
                                                   - np.log(q[some].sum()))  # fmt: skip
    assert found.mean_cost_observed == pytest.approx(np.average(c, weights=y))
    assert found.mean_cost_fitted == pytest.approx(np.average(c, weights=mu))
    edges = [0, 25, 50, 75, 101]
    a, b = (np.histogram(c, edges, weights=w)[0] for w in (y, mu))
    assert found.cpc_distance == pytest.approx(2 * np.minimum(a, b).sum() / (y.sum() + mu.sum()))


def test_a_perfect_fit():
    found = goodness([0, 2, 3], [0, 2, 3], [1, 2, 3])
    assert found.cpc == found.mean_cell_sorensen == found.r2 == found.cpc_distance == 1
    assert found.rmse == found.deviance == 0
    assert found.information_gain == pytest.approx(0, abs=1e-15)


def test_a_flow_where_none_was_expected_has_infinite_deviance():
    found = goodness([1, 1], [0, 2])
    assert found.deviance == found.information_gain == np.inf
    assert found.mean_cost_observed is None
    assert found.cpc_distance is None


def test_flows_that_do_not_vary_have_no_r2():
    found = goodness([2, 2], [1, 3])
    assert found.r2 is None
    assert found.r2_pearson is None
    assert goodness([1, 3], [2, 2]).r2 == 0
    assert goodness([1, 3], [2, 2]).r2_pearson is None


@pytest.mark.parametrize(
    ("y", "mu", "cost", "bands", "error", "message"),
    [
        ([1, 2], [1], None, 20, DataError, "2 observed flows stand against 1"),
        ([1, -2], [1, 1], None, 20, DataError, "observed values are negative"),
        ([1, 2], [1, np.nan], None, 20, DataError, "fitted values are negative or not finite"),
        ([0, 0], [1, 1], None, 20, DataError, "every observed flow is zero"),
        ([1, 2], [1, 2], [1], 20, DataError, "1 costs stand against 2"),
        ([1, 2], [1, 2], [1, 2], 0, SpecificationError, "bands is 0"),
        ([1, 2], [1, 2], [1, 2], [3, 2], SpecificationError, "must ascend"),
    ],
)
def test_what_cannot_be_compared(y, mu, cost, bands, error, message):
    with pytest.raises(error, match=message):
        goodness(y, mu, cost, bands=bands)


def test_models_are_compared_by_name(exponential):
    with pytest.raises(DataError, match="a list was given to compare; pass a dictionary"):
        compare_fits([exponential])


def test_one_table_for_many_models(austria, masses, exponential):
    results = {
        "gravity": fit(Gravity("distance | origin + destination"), austria, tol=1e-12),
        "wilson": exponential,
        "radiation": fit(Radiation(**masses), austria),
        "schneider": fit(Schneider(**masses), austria),
    }
    table = compare_fits(results)
    assert list(table.index) == list(results)
    assert not table.isna().any(axis=None)
    pd.testing.assert_series_equal(
        table.loc["gravity"], table.loc["wilson"], check_names=False, rtol=1e-8
    )
    assert table.loc["radiation", "parameters"] == 0


def test_models_are_compared_on_the_pairs_they_share(places, masses):
    table = places.assign(flow=np.arange(len(places)) % 7 + 1.0)
    data = FlowData(table, "origin", "destination", "flow")
    results = {"gravity": fit(SpatialInteraction(), data), "law": fit(Radiation(**masses), data)}
    assert (compare_fits(results)["cells"] == len(places) - 12).all()


def test_comparisons_that_make_no_sense(austria, exponential):
    with pytest.raises(DataError, match="no model was given"):
        compare_fits({})
    other = FlowData(austria.table.assign(flow=1.0), "origin", "destination", "flow")
    with pytest.raises(DataError, match="'b' was not fitted to the same flows as 'a'"):
        compare_fits({"a": exponential, "b": fit(SpatialInteraction(), other)})


@pytest.mark.parametrize("constraint", ["none", "production"])
def test_holdout_by_hand(austria, masses, constraint):
    model = SpatialInteraction(constraint=constraint, **masses)
    found = holdout(model, austria, folds=3, seed=2)
    table = austria.table
    assert sorted(found.folds.value_counts()) == [3, 3, 3]
    for number in range(3):
        out = table["origin"].map(found.folds) == number
        seen = fit(model, FlowData(table[~out], "origin", "destination", "flow"))
        beta = seen.params
        mu = table["destination_mass"] ** beta["log(destination_mass)"]
        mu *= np.exp(beta["distance"] * table["distance"])
        if constraint == "none":
            mu *= np.exp(beta["(Intercept)"]) * table["origin_mass"] ** beta["log(origin_mass)"]
        else:
            by = table["origin"]
            mu *= table.groupby(by)["flow"].transform("sum") / mu.groupby(by).transform("sum")
        np.testing.assert_allclose(found.predicted[out], mu[out], rtol=1e-6)
    assert found.goodness == goodness(austria.y, found.predicted, table["distance"])
    assert found.goodness.cpc < compare_fits({"all": fit(model, austria)}).loc["all", "cpc"] + 0.05


def test_holdout_of_a_law(austria, masses):
    found = holdout(Schneider(constraint="production", **masses), austria, folds=9)
    y = austria.table.groupby("origin")["flow"].sum()
    sums = found.predicted.groupby(austria.table["origin"]).sum()
    np.testing.assert_allclose(sums, y, rtol=1e-10)
    # Without a parameter there is nothing to learn from the other origins.
    law = Radiation(constraint="production", **masses)
    np.testing.assert_allclose(
        holdout(law, austria).predicted, fit(law, austria).predict(), rtol=1e-10
    )


def test_holdout_of_every_kind_runs(austria, masses):
    for model in (CompetingDestinations, PopulationWeighted):
        found = holdout(model(constraint="production", **masses), austria)
        assert 0.5 < found.goodness.cpc < 1


@pytest.mark.parametrize("constraint", ["attraction", "doubly"])
def test_a_holdout_that_is_not_possible_says_why(austria, masses, constraint):
    found = holdout(SpatialInteraction(constraint=constraint, **masses), austria)
    assert found.goodness is None
    assert "reproduces the flows into each destination" in found.reason


@pytest.mark.parametrize("folds", [1, 10])
def test_holdout_with_too_few_or_too_many_folds(austria, masses, folds):
    with pytest.raises(SpecificationError, match=f"folds is {folds}"):
        holdout(Radiation(**masses), austria, folds=folds)


@pytest.mark.parametrize("constraint", ["none", "production", "attraction", "doubly"])
def test_drawn_trips_meet_the_totals_and_the_means(austria, masses, constraint):
    result = fit(SpatialInteraction(constraint=constraint, **masses), austria)
    draws = np.array([result.draw(1, replicate=r) for r in range(25)])
    assert (draws == np.floor(draws)).all()
    table = austria.table
    for side, held in (
        ("origin", result.model.constrains_origins),
        ("destination", constraint == "attraction"),
    ):
        sums = pd.DataFrame(draws.T).groupby(table[side].to_numpy()).sum()
        exact = (table.groupby(side)["flow"].sum().to_numpy() == sums.to_numpy().T).all()
        assert exact == held
    assert (draws.sum(axis=1) == austria.y.sum()).all()
    z = (draws.mean(axis=0) - result.mu) / np.sqrt(result.mu / 25)
    assert np.abs(z).max() < 4.5
    assert 0.6 < z.std() < 1.2


def test_draws_depend_on_the_seed_and_on_nothing_else(austria, exponential):
    first, again = exponential.draw(7), exponential.draw(7)
    pd.testing.assert_series_equal(first, again)
    assert not first.equals(exponential.draw(8))
    assert not first.equals(exponential.draw(7, replicate=1))
    shuffled = austria.table.sample(frac=1, random_state=1)
    other = fit(SpatialInteraction(), FlowData(shuffled, "origin", "destination", "flow"))
    drawn = other.draw(7)
    drawn.index = shuffled.index
    # A trip whose uniform falls on a rounding error may go elsewhere: none does here.
    pd.testing.assert_series_equal(drawn.sort_index(), first)


def test_draws_that_are_not_possible(austria):
    one = np.zeros(1, dtype=np.int64)
    with pytest.raises(DataError, match=r"the total of A is 1\.5"):
        draw_trips(np.ones(1), one, one, np.array([1.5]), ["A"], seed=1)
    with pytest.raises(DataError, match="A has 2 trips but no expected flow"):
        draw_trips(np.zeros(1), one, one, np.array([2.0]), ["A"], seed=1)
    halves = FlowData(austria.table.assign(flow=austria.y + 0.3), "origin", "destination", "flow")
    with pytest.raises(DataError, match="only whole trips"):
        fit(SpatialInteraction(), halves).draw(1)
