"""The household grid model: time and memory by the number of households, on this machine.

``python benchmarks/household_grid.py`` runs 10,000 households on the published grid for 1,000 steps
and a million on that grid and on one of the same density, each in a process of its own that
starts with an empty cache of compiled code. Beside them it times the model as the published code
has it, objects and lists in plain Python, from the same homes on a small size.
"""

import argparse
import json
import math
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from importlib import metadata

import numpy as np
from record import console, machine, results, warn_if_busy, write
from rich import box
from rich.table import Table

COLUMNS = (
    *("package", "preset", "households", "side", "steps", "first_call_s", "warm_s"),
    *("ns_per_household_step", "ratio", "peak_gb", "decisions", "moves", "agrees"),
)
SHOWN = {
    "package": "package",
    "households": "households",
    "side": "side",
    "steps": "steps",
    "first_call_s": "first s",
    "warm_s": "warm s",
    "ns_per_household_step": "ns each",
    "ratio": "ratio",
    "peak_gb": "GB",
    "agrees": "agrees",
}
SIZES = {
    "full": ((10_000, 20), (1_000_000, 20), (1_000_000, 200)),
    "small": ((2_000, 20), (20_000, 20), (20_000, 60)),
}
STEPS = {"full": 1_000, "small": 50}
# As large as the run that the authors keep.
PEER = {"full": (5_000, 500), "small": (1_000, 30)}
FIRST = 10_000
AGREES = 0.05
"""How far the decisions of two runs may be apart that share their homes, but no later draws."""


def parameters(preset: str, households: int, side: int, steps: int):
    from microsim.household_grid.parameters import GridParameters

    return GridParameters.preset(preset, households=households, side=side, steps=steps)


def nestflow(preset: str, households: str, side: str, steps: str) -> None:
    """Time the run of a size, after one of at most 10,000 households has compiled the kernel."""
    from microsim.household_grid.run import simulate_grid

    number = int(households)
    marks = [time.perf_counter()]
    simulate_grid(parameters(preset, min(number, FIRST), int(side), int(steps)))
    marks.append(time.perf_counter())
    run = simulate_grid(parameters(preset, number, int(side), int(steps)))
    marks.append(time.perf_counter())
    if run.cells.groupby("step")["households"].sum().ne(number).any():
        raise SystemExit("the run has lost households: its times mean nothing")
    row = {"first_call_s": marks[1] - marks[0], "warm_s": marks[2] - marks[1]}
    tell(row, run.activity["decisions"].sum(), len(run.moves))


class Cell:
    """A cell of the published code, which asks all its people whenever it is asked."""

    def __init__(self, x: int, y: int, places: int) -> None:
        self.x, self.y, self.places = x, y, places
        self.people = []

    def income(self) -> float:
        """Return the mean income."""
        return np.mean([household.income for household in self.people])

    def occupancy(self) -> float:
        """Return people over places."""
        return len(self.people) / self.places

    def cost(self) -> float:
        """Return the cost of housing."""
        occupancy = self.occupancy()
        if occupancy >= 1:
            return 1e6
        return 0.2 * self.income() + 1_500 * occupancy / (1 - occupancy)


class Household:
    """A household of the published code."""

    def __init__(self, income: float, preferred: float, cell: Cell) -> None:
        self.income, self.preferred, self.cell = income, preferred, cell
        self.remote = False
        cell.people.append(self)

    def decides(self, dice: random.Random) -> bool:
        """Return whether it looks for another place."""
        pressure = 0.01 * self.cell.cost() / self.income
        return dice.random() < 1 / (1 + math.exp(-(1.25 * pressure - 6)))

    def score(self, cell: Cell) -> float:
        """Return how it likes a cell."""
        return (
            -3.0 * abs(self.preferred - cell.places)
            + 2.0 * (1 - self.remote) * cell.places
            + 5e-4 * abs(cell.income() - self.income)
            - 2.0 * self.cell.cost() / self.income
        )

    def search(self, grid: list[list[Cell]], draws: np.random.Generator) -> Cell:
        """Return the best of the cells that it finds and its own."""
        share = self.income / 200_000
        seen = []
        for distance in draws.zipf(4.0 - 2.8 * share, size=int(3 + 22 * share)):
            for _ in range(5):
                angle = draws.uniform(0, 2 * math.pi)
                dx = math.floor(distance * math.cos(angle) + 0.5)
                dy = math.floor(distance * math.sin(angle) + 0.5)
                if (dx, dy) not in seen:
                    seen.append((dx, dy))
                    break
        side, here = len(grid), self.cell
        found = [grid[(here.x + dx) % side][(here.y + dy) % side] for dx, dy in seen]
        choice = [cell for cell in found if cell is here or cell.occupancy() < 1]
        for cell in choice:
            # The mean income of nobody is NaN, which the code's search takes for the best.
            if not cell.people:
                return cell
        return max([here, *choice], key=self.score)


def plain(preset: str, households: str, side: str, steps: str) -> None:
    """Time the preset ``code`` as its authors wrote it down, which no cache and no kernel helps."""
    from choicemodels.keyed_random import Streams
    from microsim.household_grid.state import initial_grid

    p = parameters(preset, int(households), int(side), int(steps))
    start = initial_grid(p, Streams(1))
    cells = [Cell(*divmod(c, p.side), int(s)) for c, s in enumerate(start.cells["places"])]
    grid = [cells[x * p.side : (x + 1) * p.side] for x in range(p.side)]
    h = start.households
    people = [
        Household(income, preferred, cells[cell])
        for income, preferred, cell in zip(
            h.income.tolist(), h.preferred.tolist(), h.cell.tolist(), strict=True
        )
    ]
    dice, draws = random.Random(1), np.random.default_rng(1)
    decisions = moves = 0
    began = time.perf_counter()
    for now in range(p.steps):
        for one in people:
            one.remote = now >= p.shock
            if not one.decides(dice):
                continue
            decisions += 1
            best = one.search(grid, draws)
            if best is not one.cell:
                one.cell.people.remove(one)
                best.people.append(one)
                one.cell = best
                moves += 1
    tell({"warm_s": time.perf_counter() - began}, decisions, moves)


def tell(row: dict, decisions: int, moves: int) -> None:
    """Hand a row to the process that asked for it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(row | {"decisions": int(decisions), "moves": int(moves), "peak_gb": peak}))


def measure(package: str, preset: str, households: int, side: int, steps: int) -> dict:
    """Time one package on one size in a process of its own."""
    console.print(f"{package}: {preset}, {households:,} × {steps:,}, grid of {side}", style="dim")
    with tempfile.TemporaryDirectory(prefix="grid-") as compiled:
        options = [preset, households, side, steps]
        done = subprocess.run(
            [sys.executable, __file__, package, *map(str, options)],
            env=os.environ | {"NUMBA_CACHE_DIR": compiled},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    size = {"package": package, "preset": preset, "households": households, "side": side}
    row = size | {"steps": steps} | json.loads(done.stdout)
    row["ns_per_household_step"] = 1e9 * row["warm_s"] / (households * steps)
    row["python"] = platform.python_version()
    names = ("numpy", "numba") if package == "nestflow" else ("numpy",)
    row["versions"] = " ".join(f"{name}-{metadata.version(name)}" for name in names)
    return row


def compare(scale: str) -> list[dict]:
    """Return the preset ``code`` by nestflow and by the plain loop, on the small size."""
    households, steps = PEER[scale]
    ours, theirs = (
        measure(package, "code", households, 20, steps) for package in ("nestflow", "plain")
    )
    theirs["ratio"] = theirs["warm_s"] / ours["warm_s"]
    theirs["agrees"] = abs(theirs["decisions"] / ours["decisions"] - 1) < AGREES
    return [ours, theirs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", choices=list(SIZES), default="full")
    parser.add_argument("--preset", default="paper", help="of all sizes but the plain loop's")
    options = parser.parse_args()
    facts = machine(options.scale)
    warn_if_busy(facts)
    steps = STEPS[options.scale]
    rows = [
        measure("nestflow", options.preset, households, side, steps)
        for households, side in SIZES[options.scale]
    ]
    rows += compare(options.scale)
    table = Table(*SHOWN.values(), box=box.SIMPLE, padding=(0, 0, 0, 1))
    for row in rows:
        shown = (row.get(name, "") for name in SHOWN)
        table.add_row(*(f"{x:,.1f}" if isinstance(x, float) else str(x) for x in shown))
    console.print(table)
    write(results(options.scale) / "household_grid.csv", COLUMNS, rows, facts)
    sys.exit(not rows[-1]["agrees"])


if __name__ == "__main__":
    jobs = {"nestflow": nestflow, "plain": plain}
    if sys.argv[1:2] and sys.argv[1] in jobs:
        jobs[sys.argv[1]](*sys.argv[2:])
    else:
        main()
