"""The system of trade in changes: other software, brute force, closed forms, identities."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.interaction.balancing import balance
from estimation.balancing import newton_balance
from estimation.equilibrium.armington import Armington, Economy
from estimation.equilibrium.markets import _System, clear_markets, geppml, rebalance
from tests.equilibrium.conftest import SIGMA, solve_levels

PUBLISHED = Path(__file__).parents[1] / "published"


def random_economy(N=12, seed=1, home=4.0):
    rng = np.random.default_rng(seed)
    flows = rng.lognormal(0, 1, (N, N))
    flows[rng.uniform(size=(N, N)) < 0.2] = 0.0
    flows[np.diag_indices(N)] = home * flows.sum(axis=0) + 1
    partial = np.where(rng.uniform(size=(N, N)) < 0.4, 0.6, 0.0)
    partial[np.diag_indices(N)] = 0.0
    return Economy(tuple(f"P{i}" for i in range(N)), flows), partial


@pytest.mark.parametrize("deficits", ["additive", "multiplicative"])
def test_ge_gravity(deficits):
    folder = PUBLISHED / "BaierYotovZylkin2019"
    table, want = pd.read_csv(folder / "flows.csv"), pd.read_csv(folder / f"{deficits}.csv")
    N = 6
    economy = Economy(tuple(table["importer"][:N]), table["trade"].to_numpy(float).reshape(N, N))
    partial = 0.5 * table["agreement"].to_numpy(float).reshape(N, N)
    found = clear_markets(economy, Armington(5.0, deficits=deficits), partial)
    own = want[want["exporter"] == want["importer"]]
    wage, index = np.exp(found.log_price), np.exp(found.log_index)
    # ge_gravity stops when no flow moves by 1e-8.
    assert wage == pytest.approx(own["nom_wage"].to_numpy(), abs=2e-8)
    assert index == pytest.approx(own["price_index"].to_numpy(), abs=2e-8)
    assert wage / index == pytest.approx(own["real_wage"].to_numpy(), abs=2e-8)
    welfare = found.expenditure / economy.expenditure / index
    theirs = want["new_trade"].to_numpy().reshape(N, N)
    if deficits == "additive":
        factor = 1.0
    else:
        spending = wage * economy.expenditure
        factor = economy.output.sum() / spending.sum()
        assert abs(factor - 1) > 1e-5
    assert welfare / factor == pytest.approx(own["welfare"].to_numpy(), abs=2e-8)
    assert found.flows / factor == pytest.approx(theirs, rel=1e-7)
    assert (found.flows[economy.flows == 0] == 0).all()


def test_conditional_resistances_of_gegravity():
    folder = PUBLISHED / "Herman2021"
    table = pd.read_csv(folder / "costs.csv")
    want = pd.read_csv(folder / "resistances.csv", index_col="place")
    cost = np.exp(-0.9 * table["log_distance"] - 1.2 * table["international"])
    output = table.groupby("exporter")["output"].first().to_numpy(float)
    expenditure = table.groupby("importer")["expenditure"].first().to_numpy(float)
    seed = cost.to_numpy().reshape(6, 6)
    economy = Economy(tuple(want.index), newton_balance(seed, output, expenditure).matrix)
    partial = 0.5 * table["agreement"].to_numpy(float).reshape(6, 6)
    found = rebalance(economy, Armington(5.0), partial)
    # gegravity holds the inward resistance of the reference importer.
    level = found.log_index[list(want.index).index("Cor")]
    inward = np.log(want["conditional_imr"] / want["baseline_imr"]).to_numpy()
    outward = np.log(want["conditional_omr"] / want["baseline_omr"]).to_numpy()
    assert found.log_index - level == pytest.approx(inward, abs=1e-10)
    assert found.log_outward + level == pytest.approx(outward, abs=1e-10)


@pytest.mark.parametrize("supply", [0.0, 0.7])
def test_the_economy_in_levels(supply):
    rng = np.random.default_rng(2)
    N = 6
    before = np.exp(-rng.uniform(1, 3, (N, N)))
    before[np.diag_indices(N)] = 1.0
    log_partial = rng.normal(0, 0.5, (N, N))
    deep = (rng.lognormal(0, 0.3, N), rng.lognormal(1, 1, N), rng.uniform(0.8, 1.2, N))
    X = solve_levels(before, *deep, supply=supply)
    after = solve_levels(before * np.exp(log_partial), *deep, supply=supply)
    economy = Economy(tuple("abcdef"), X)
    found = clear_markets(economy, Armington(SIGMA, supply), log_partial)
    assert found.flows / found.flows.sum() == pytest.approx(after / after.sum(), rel=1e-9)


@pytest.mark.parametrize("supply", [0.0, 1.3])
@pytest.mark.parametrize("deficits", ["multiplicative", "additive", "none"])
@pytest.mark.parametrize("sigma", [1.5, 6.0])
def test_geppml_and_hat_algebra_agree(sigma, deficits, supply):
    economy, partial = random_economy()
    model = Armington(sigma, supply, deficits)
    hat, loop = clear_markets(economy, model, partial), geppml(economy, model, partial)
    assert hat.residual < 1e-11
    assert loop.flows == pytest.approx(hat.flows, rel=1e-8)
    for name in ("log_price", "log_index", "log_outward"):
        assert getattr(loop, name) == pytest.approx(getattr(hat, name), abs=1e-8)
    assert np.abs(hat.log_price).max() > 1e-3


@pytest.mark.parametrize("deficits", ["multiplicative", "additive", "none"])
@pytest.mark.parametrize("supply", [0.0, 0.8])
def test_derivatives_of_excess_demand(deficits, supply):
    economy, partial = random_economy(N=5)
    system = _System(economy, Armington(3.0, supply, deficits), partial)
    # Excess demands are stated in units of the world's output: at prices whose level is one,
    # derivatives along the level vanish.
    rng = np.random.default_rng(0)
    start = system.at(rng.normal(0, 0.1, 5)).log_price
    J = system.jacobian(system.at(start))
    h = 1e-5
    numeric = np.column_stack(
        [
            (system.at(start + h * e).excess - system.at(start - h * e).excess) / (2 * h)
            for e in np.eye(5)
        ]
    )
    assert pytest.approx(numeric, abs=1e-7 * np.abs(J).max()) == J


def test_no_change_changes_nothing():
    economy, partial = random_economy()
    for model in (Armington(4.0), Armington(4.0, 0.7, "additive")):
        for solve in (clear_markets, rebalance, geppml):
            found = solve(economy, model, 0 * partial)
            assert found.flows == pytest.approx(economy.flows, rel=1e-12)
            assert np.abs(found.log_index).max() < 1e-12


def test_welfare_is_the_home_share():
    economy, partial = random_economy()
    for supply in (0.0, 0.9):
        found = clear_markets(economy, Armington(4.0, supply), partial)
        home = np.diag(found.flows) / found.expenditure
        home /= np.diag(economy.flows) / economy.expenditure
        real = found.output / economy.output / np.exp(found.log_index)
        assert real == pytest.approx(home ** ((1 + supply) / (1 - 4.0)), rel=1e-10)


def test_the_gains_from_trade_are_lost_in_autarky():
    economy, _ = random_economy()
    N = len(economy.places)
    closed = np.where(np.eye(N, dtype=bool), 0.0, -60.0)
    found = clear_markets(economy, Armington(3.0, deficits="none"), closed)
    share = np.diag(economy.flows) / economy.expenditure
    real = found.output / economy.output / np.exp(found.log_index)
    assert real == pytest.approx(share ** (1 / (3.0 - 1)), rel=1e-9)


def test_two_places_alike():
    economy = Economy(("a", "b"), np.array([[8.0, 2.0], [2.0, 8.0]]))
    partial = np.log(3.0) * (1 - np.eye(2))
    found = clear_markets(economy, Armington(4.0), partial)
    assert found.log_price == pytest.approx([0, 0], abs=1e-13)
    index = ((8 + 3 * 2) / 10) ** (1 / (1 - 4.0))
    assert np.exp(found.log_index) == pytest.approx([index, index], rel=1e-12)
    assert found.flows[0, 1] == pytest.approx(10 * 6 / 14)


def test_cheaper_everywhere_moves_no_flow():
    economy, _ = random_economy()
    found = clear_markets(economy, Armington(4.0), np.full_like(economy.flows, 0.3))
    assert found.flows == pytest.approx(economy.flows, rel=1e-11)
    assert found.log_index == pytest.approx(np.full(12, 0.3 / (1 - 4.0)), abs=1e-11)


def test_flows_are_gravity_in_both_resistances():
    economy, partial = random_economy()
    for solve, model in ((rebalance, Armington(4.0)), (clear_markets, Armington(4.0, 0.6))):
        found = solve(economy, model, partial)
        gravity = (
            economy.flows
            * np.exp(partial + 3 * (found.log_outward[:, None] + found.log_index))
            * np.outer(found.output / economy.output, found.expenditure / economy.expenditure)
        )
        assert found.flows == pytest.approx(gravity, rel=1e-11)
        assert found.flows.sum(axis=1) == pytest.approx(found.output, rel=1e-11)
        assert found.flows.sum(axis=0) == pytest.approx(found.expenditure, rel=1e-11)


def test_deficits_stay_what_was_said():
    economy, partial = random_economy(home=2.0)
    before = economy.expenditure - economy.output
    added = clear_markets(economy, Armington(4.0, deficits="additive"), partial)
    assert added.expenditure - added.output == pytest.approx(before, abs=1e-9)
    closed = clear_markets(economy, Armington(4.0, deficits="none"), partial)
    assert closed.expenditure == pytest.approx(closed.output)
    ratio = clear_markets(economy, Armington(4.0), partial)
    change = ratio.expenditure / ratio.output / (economy.expenditure / economy.output)
    assert np.ptp(change) < 1e-12
    assert ratio.expenditure.sum() == pytest.approx(ratio.output.sum())


def test_balancing_a_known_matrix():
    seed = np.array(
        [[5.0, 50, 100, 200], [50, 5, 100, 300], [50, 100, 5, 100], [100, 200, 250, 20]]
    )
    rows, columns = np.array([400.0, 460, 400, 702]), np.array([260.0, 400, 500, 802])
    found = newton_balance(seed, rows, columns)
    assert found.matrix[0] == pytest.approx([5.195, 43.601, 97.191, 254.020], abs=0.007)
    assert found.matrix.sum(axis=1) == pytest.approx(rows, rel=1e-12)
    assert found.matrix.sum(axis=0) == pytest.approx(columns, rel=1e-12)
    factors = np.exp(found.log_rows[:, None] + found.log_columns)
    assert found.matrix == pytest.approx(seed * factors, rel=1e-12)
    fitted = balance(seed, rows, columns)
    assert found.matrix == pytest.approx(fitted.matrix, rel=1e-10)


def test_zeros_where_flows_are_needed_cannot_be_balanced():
    with pytest.raises(EstimationError, match="cannot be balanced"):
        newton_balance(
            np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([3.0, 1.0]), np.array([2.0, 2.0])
        )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"sigma": 1.0}, "above 1"),
        ({"sigma": np.inf}, "above 1"),
        ({"sigma": "5"}, "sigma is '5'; .* above 1"),
        ({"sigma": 4.0, "supply": None}, "supply is None"),
        ({"sigma": 4.0, "supply": -0.1}, "supply"),
        ({"sigma": 4.0, "deficits": "fixed"}, "multiplicative, additive, none"),
    ],
)
def test_elasticities_out_of_range_are_refused(options, complaint):
    with pytest.raises(SpecificationError, match=complaint):
        Armington(**options)


@pytest.mark.parametrize(
    ("cell", "value", "complaint"),
    [
        ((0, 1), -1.0, "from a to b is -1"),
        ((0, 1), np.nan, "from a to b is nan"),
        ((2, 2), 0.0, r"1 places \(c\) have no flow within"),
        ((2, slice(None)), 0.0, r"\(c\) sell nothing"),
        ((slice(None), 2), 0.0, r"\(c\) buy nothing"),
    ],
)
def test_flows_that_make_no_economy_are_refused(cell, value, complaint):
    flows = np.full((3, 3), 2.0)
    flows[cell] = value
    with pytest.raises(DataError, match=complaint):
        Economy(("a", "b", "c"), flows)


def test_one_place_is_no_economy():
    with pytest.raises(DataError, match="at least two"):
        Economy(("a",), np.ones((1, 1)))
    with pytest.raises(DataError, match="2 x 2"):
        Economy(("a", "b"), np.ones((1, 1)))


def test_places_that_do_not_trade_are_studied_apart():
    flows = np.eye(3) + np.array([[0, 1.0, 0], [1, 0, 1], [0, 0, 0]])
    with pytest.raises(DataError, match=r"2 groups .* one of the groups is c"):
        Economy(("a", "b", "c"), flows)


def test_a_surplus_that_cannot_be_kept_is_named():
    flows = np.array([[1.0, 9.0], [0.1, 10.0]])
    economy = Economy(("lender", "borrower"), flows)
    shut = np.array([[0.0, -9.0], [0.0, 0.0]])
    with pytest.raises(EstimationError, match=r"lender .*deficits='multiplicative'"):
        clear_markets(economy, Armington(5.0, deficits="additive"), shut)
