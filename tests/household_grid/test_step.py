"""One step of the grid, against the model written out plainly, and what must always hold."""

from itertools import count
from math import cos, exp, floor, pi, sin

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import zeta

from choicemodels.errors import NestflowError
from choicemodels.keyed_random import Streams, philox
from microsim.household_grid.arrays import Tally
from microsim.household_grid.finding import shuffle
from microsim.household_grid.parameters import GridParameters
from microsim.household_grid.run import simulate_grid
from microsim.household_grid.state import initial_grid, scratch_for, set_remote
from microsim.household_grid.turns import step
from microsim.results.inequality import rank_order_information

MASK, SHIFT = np.uint64(2**32 - 1), np.uint64(32)
SMALL = {"households": 240, "side": 6, "steps": 8, "shock": 4}


def words(key, i, when, draw):
    """Four uniforms of a search, the draw-th of it, or of households 4 i to 4 i + 3's decisions."""
    counter = [np.uint64(value) for value in (i, draw, when, 0)]
    return [(float(word) + 0.5) / 2**32 for word in philox(*counter, key & MASK, key >> SHIFT)]


class Plain:
    """The model as its text puts it: lists of incomes by cell, and no shortcut."""

    def __init__(self, p, grid):
        self.p, self.keys = p, grid.keys
        self.income, self.taste = grid.households.income, grid.households.preferred
        self.cell = grid.households.cell.copy()
        self.places = grid.cells["places"]
        self.remote = np.zeros(len(self.income), dtype=bool)
        self.decisions = 0

    def income_of(self, c):
        middle = np.median if self.p.centre == "median" else np.mean
        mine = self.income[self.cell == c]
        return middle(mine) if len(mine) else middle(self.income)

    def occupancy(self, c):
        return np.inf if self.places[c] == 0 else (self.cell == c).sum() / self.places[c]

    def cost(self, c):
        phi = self.occupancy(c)
        if phi >= 1:
            return self.p.full_cost
        demand = self.p.demand_price * phi / (1 - phi)
        return self.p.affordable_share * self.income_of(c) + demand

    def score(self, i, c):
        b0, b1, b2, b3 = self.p.weights
        s = self.places[c]
        cost = self.cost(self.cell[i] if self.p.own_cost else c)
        return (
            -b0 * abs(self.taste[i] - s)
            + b1 * (1 - self.remote[i]) * s
            - b2 * abs(self.income_of(c) - self.income[i])
            - b3 * cost / self.income[i]
        )

    def found(self, i, when):
        """The cells that a household finds, in order and each once."""
        p = self.p
        share = self.income[i] / p.top_income
        xi = p.distance_exponents[0] + share * (p.distance_exponents[1] - p.distance_exponents[0])
        blocks = (words(self.keys.search, i, when, block) for block in count())
        pairs = (pair for a, b, c, d in blocks for pair in ((a, b), (c, d)))
        drawn = []
        for _ in range(int(p.searches[0] + share * (p.searches[1] - p.searches[0]))):
            if p.distance == "continuous":
                u, turn = next(pairs)
                drawn.append((u ** (-1 / (xi - 1)), turn))
                continue
            u, _, turn, _ = next(blocks)
            r = 1
            while u >= 1 / zeta(xi):
                w, v, _, _ = next(blocks)
                r = floor(w ** (-1 / (xi - 1)))
                t = (1 + 1 / r) ** (xi - 1)
                if r > 1 and v * r * (t - 1) / (2 ** (xi - 1) - 1) <= t / 2 ** (xi - 1):
                    break
            drawn.append((r, turn))
        steps = []
        for r, turn in drawn:
            for attempt in range(p.attempts):
                angle = 2 * pi * (next(blocks)[0] if attempt else turn)
                way = floor(r * cos(angle) + 0.5), floor(r * sin(angle) + 0.5)
                if way not in steps:
                    steps.append(way)
                    break
        x, y = divmod(int(self.cell[i]), p.side)
        return [((x + dx) % p.side) * p.side + (y + dy) % p.side for dx, dy in steps]

    def turn(self, i, when):
        here = self.cell[i]
        pressure = self.p.pressure_weight * self.cost(here) / self.income[i]
        chance = 1 / (1 + exp(-(self.p.decision_slope * pressure - self.p.decision_intercept)))
        if words(self.keys.decide, i // 4, when, 0)[i % 4] >= chance:
            return
        self.decisions += 1
        best = here
        for c in self.found(i, when):
            if c != here and self.occupancy(c) >= 1:
                continue
            if self.p.empty_cells == "win" and not (self.cell == c).any():
                best = c
                break
            if self.score(i, c) > self.score(i, best):
                best = c
        self.cell[i] = best


def take_step(grid, p, when, tally=None):
    N = p.households
    tally = tally or Tally(*np.zeros((2, 5), int), np.zeros(5), *np.zeros((3, N), np.int32))
    blocks, within = np.zeros(1, np.int32), np.arange(N, dtype=np.int32)
    moved = step(
        when, grid.keys, grid.rules, blocks, within, np.empty(4 * -(-N // 4), np.uint32),
        scratch_for(p), grid.households, grid.cells, grid.ranks, tally,
    )  # fmt: skip
    return moved, tally


@pytest.mark.parametrize("preset", ["paper", "code", "code_early"])
def test_steps_are_those_of_the_model_written_out_plainly(preset):
    # More decide to move than by default, so that few households meet every case; and nobody goes
    # so far that the last digits of a cosine matter.
    changes = {"order": "fixed", "decision_intercept": 1.0, "distance_exponents": (4.0, 2.0)}
    p = GridParameters.preset(preset, **SMALL, **changes)
    grid = initial_grid(p, Streams(4))
    plain = Plain(p, grid)
    decided = moves = 0
    for when in range(p.steps):
        if when == p.shock:
            set_remote(grid, p, when)
            plain.remote[:] = True
        moved, tally = take_step(grid, p, when)
        for i in range(p.households):
            plain.turn(i, when)
        decided, moves = decided + tally.decisions.sum(), moves + moved
        assert_array_equal(grid.households.cell, plain.cell)
    assert decided == plain.decisions > 300
    assert moves > 40
    occupied = np.flatnonzero(grid.cells["residents"])
    assert_allclose(grid.cells["cost"][occupied], [plain.cost(c) for c in occupied], rtol=1e-12)
    medians = [np.median(grid.households.income[plain.cell == c]) for c in occupied]
    assert_allclose(grid.cells["median"][occupied], medians, rtol=1e-15)


@pytest.mark.parametrize("preset", ["paper", "code"])
def test_households_places_and_incomes_are_conserved(preset):
    p = GridParameters.preset(preset, households=900, side=10, steps=60)
    run = simulate_grid(p, seed=2, every=10)
    assert run.cells.groupby("step")["households"].sum().eq(900).all()
    assert run.cells.groupby("step")["places"].sum().eq(1000).all()
    quintiles = run.cells.filter(like="quintile_")
    assert_array_equal(quintiles.sum(axis=1), run.cells["households"])
    last = run.households["first_cell"].to_numpy(copy=True)
    for move in run.moves.itertuples():
        assert last[move.household] == move.origin != move.destination
        last[move.household] = move.destination
    assert_array_equal(last, run.households["last_cell"])
    assert run.activity["moves"].sum() == len(run.moves) > 0
    assert (run.activity["decisions"] >= run.activity["moves"]).all()


def test_nobody_enters_a_full_cell():
    run = simulate_grid(GridParameters.preset("paper", households=900, side=10, steps=60), seed=2)
    assert (run.cells["households"] <= run.cells["places"]).all()
    crowded = simulate_grid(GridParameters.preset("code", households=900, side=10, steps=60))
    at = crowded.cells.set_index(["cell", "step"])
    excess = (at["households"] - at["places"]).unstack("step").clip(lower=0)
    assert (excess[0] > 0).any()
    assert (excess.diff(axis=1).iloc[:, 1:] <= 0).all(axis=None)


def test_a_broken_grid_is_noticed():
    grid = initial_grid(GridParameters.preset("paper", **SMALL), Streams(1))
    grid.check()
    grid.households.cell[0] = (grid.households.cell[0] + 1) % 36
    with pytest.raises(NestflowError, match="lost between cells"):
        grid.check()


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    p = GridParameters.preset("paper", households=900, side=10, steps=40)
    a, b, c = (simulate_grid(p, seed=s).moves for s in (1, 1, 2))
    assert a.equals(b)
    assert not a.equals(c)


def test_recording_changes_nothing():
    p = GridParameters.preset("paper", households=900, side=10, steps=40)
    assert simulate_grid(p, every=1).moves.equals(simulate_grid(p, every=20).moves)


def test_orders_are_permutations_drawn_anew():
    """Each of the 24 orders of four comes as often as any other."""
    key = Streams(1).key("order")
    seen = np.zeros((4, 4))
    codes = set()
    for when in range(3_000):
        order = np.arange(4, dtype=np.int32)
        shuffle(order, when, 0, key)
        assert_array_equal(np.sort(order), np.arange(4))
        seen[np.arange(4), order] += 1
        codes.add(tuple(order))
    assert len(codes) == 24
    assert (np.abs(seen - 750) < 4.5 * np.sqrt(3_000 * 0.25 * 0.75)).all()


def test_without_households_that_decide_nothing_moves():
    p = GridParameters.preset(
        "paper", households=900, side=10, steps=40, pressure_weight=0.0, decision_intercept=30.0
    )
    run = simulate_grid(p)
    assert run.moves.empty
    assert run.activity["decisions"].sum() == 0


def test_the_decision_rate_is_the_logit_where_nothing_presses():
    """With alpha = 0 everybody decides with 1 / (1 + exp(b))."""
    p = GridParameters.preset(
        "paper", households=2_000, side=10, steps=100, pressure_weight=0.0, decision_intercept=3.0
    )
    decided = simulate_grid(p).activity["decisions"].sum()
    chance = 1 / (1 + np.exp(3.0))
    assert abs(decided - 2e5 * chance) < 4.5 * np.sqrt(2e5 * chance * (1 - chance))


def test_pressure_is_the_affordable_share_where_demand_costs_nothing():
    """gamma = 0 leaves h = 0.3 I*, full cells apart."""
    p = GridParameters.preset("paper", households=900, side=10, steps=20, demand_price=0.0)
    cells = simulate_grid(p, every=5).cells
    lived = cells[(cells["households"] > 0) & (cells["households"] < cells["places"])]
    assert_allclose(lived["housing_cost"], 0.3 * lived["median_income"], rtol=1e-14)


def test_without_a_shock_nothing_happens_at_its_time():
    """Until the shock a run is the run without one."""
    p = GridParameters.preset("paper", households=900, side=10, steps=60)
    shocked, calm = simulate_grid(p), simulate_grid(p.replace(shock=None))
    before = [run.moves[run.moves["step"] < 30] for run in (shocked, calm)]
    assert before[0].equals(before[1])
    assert not shocked.moves.equals(calm.moves)


def test_a_shock_that_makes_nobody_remote_is_none():
    p = GridParameters.preset("paper", households=900, side=10, steps=60)
    for nobody in ({"remote_share": 0.0}, {"remote_income": 200_000.0}):
        assert simulate_grid(p.replace(**nobody)).moves.equals(
            simulate_grid(p.replace(shock=None)).moves
        )


def test_remote_are_those_above_the_threshold():
    p = GridParameters.preset("paper", **SMALL, remote_income=30_000, reopening=7)
    grid = initial_grid(p, Streams(1))
    for now, who in ((3, 0.0), (4, 30_000.0), (7, 0.0)):
        set_remote(grid, p, now)
        assert_array_equal(grid.households.remote, (grid.households.income > who) & (who > 0))


def test_remote_work_may_spread_over_steps():
    p = GridParameters.preset("paper", households=4_000, shock=4, remote_steps=4, remote_share=0.5)
    grid = initial_grid(p, Streams(1))
    shares, before = [], grid.households.remote.copy()
    for now in range(3, 9):
        set_remote(grid, p, now)
        assert (grid.households.remote >= before).all()
        before = grid.households.remote.copy()
        shares.append(before.mean())
    assert_allclose(shares, [0, 0.125, 0.25, 0.375, 0.5, 0.5], atol=4 * 0.5 / np.sqrt(4_000))


def test_work_draws_households_to_large_cells_and_remote_work_lets_them_go():
    """Size and sign of one term of the choice, the others off."""
    p = GridParameters.preset(
        "paper", households=2_000, side=10, steps=200, weights=(0, 2, 0, 0), occupancy=0.5,
        pressure_weight=0.0, decision_intercept=1.0, shock=None,
    )  # fmt: skip
    drawn = simulate_grid(p).cells.query("step == 200")
    order = drawn.sort_values("places", ascending=False)
    head = order["places"].cumsum() <= 1_000
    assert order.loc[head, "occupancy"].mean() > 0.97
    # Once all are remote, no cell is better than one's own: nobody moves.
    moves = simulate_grid(p.replace(shock=100)).moves
    assert moves["step"].max() == 99


def test_the_weight_of_housing_changes_nothing_of_the_code():
    """It scores the cell that the household lives in, whichever it looks at."""
    p = GridParameters.preset("code", households=900, side=10, steps=60)
    dear = p.replace(weights=(3.0, 2.0, -5e-4, 50.0))
    assert simulate_grid(dear).moves.equals(simulate_grid(p).moves)
    repaired = [simulate_grid(q.replace(own_cost=False)).moves for q in (p, dear)]
    assert not repaired[0].equals(repaired[1])


def test_a_liking_for_ones_like_sorts_incomes():
    """Sign of one term of the choice, the others off."""
    p = GridParameters.preset(
        "paper", households=2_000, side=10, steps=100, occupancy=0.5, pressure_weight=0.0,
        decision_intercept=1.0, shock=None,
    )  # fmt: skip
    found = {}
    for liking in (-1.0, 0.0, 1.0):
        run = simulate_grid(p.replace(weights=(0, 0, liking, 0)))
        income = run.households["income"].to_numpy()
        found[liking] = rank_order_information(income, run.homes_at(100))
    assert found[1.0] > found[0.0] + 0.2
    assert found[-1.0] < found[1.0] - 0.2
