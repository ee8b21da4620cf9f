"""The core rules of a month beside a Mesa model of them, at sizes that objects can bear.

``python benchmarks/agents.py --sizes 5_000,10_000,20_000`` lets both run the same population under
the same rules: displacement with a complementary log-log hazard, separation, search with matching
in the metro, moving or staying with a destination drawn, and house prices. Every mechanism beside
these is off. A time counts only if both say the same: over all months and seeds the means of
displacements, separations, hires, moves, unemployment and prices must lie within four standard
errors of each other.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from record import HERE, console, machine, results, warn_if_busy, write
from rich.table import Table

MEASURES = ("displaced", "separations", "hires", "moves", "unemployed", "price_index")
COLUMNS = (
    *("package", "workers", "firms", "metros", "months", "seeds", "agrees", "largest_z"),
    *("build_s", "months_s", "us_per_worker_month", "ratio_months", "peak_gb"),
    *(f"mean_{name}" for name in MEASURES),
)
LARGEST_Z = 4.0
SIZES = {
    "full": {"sizes": [5_000, 10_000, 20_000], "metros": 100, "months": 24, "seeds": 8},
    "small": {"sizes": [2_000], "metros": 20, "months": 6, "seeds": 4},
}
MESA = HERE.parent / ".venvs" / "mesa" / "bin" / "python"
OFF = {"active": False}
CORE = {
    **dict.fromkeys(("remote", "ties", "local_moves", "credit", "insurance", "taxes"), OFF),
    **dict.fromkeys(("skills", "retraining"), OFF),
    "local_economy": {**OFF, "local_multiplier": 0.0},
    "labour": {"job_change_rate": 0.0, "demand_speed": 0.0, "minimum_wage": 0.0},
}
"""Parameters under which the core rules act alone."""


def scenario():
    """Return the core rules with a displacement shock."""
    from microsim import Scenario

    hazard = [{"month": 0, "rate": 0.01}]
    shock = {"kind": "ai_displacement", "hazard": hazard}
    return Scenario.from_mapping({"name": "core", "parameters": CORE, "shocks": [shock]})


def pose(population, behaviour, months: int, seeds: int, path: Path) -> None:
    """Write down what the Mesa model starts from."""
    import numpy as np

    from choicemodels.keyed_random import Streams
    from microsim.mobility.utility import MobilityUtility
    from microsim.mobility.variables import WorkerColumns
    from microsim.state import initial_state
    from microsim.world import make_world

    truth, plan = behaviour.mobility, scenario()
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    world = make_world(population, utility, plan, months, Streams(1), first_month=1)
    state = initial_state(world)
    workers = WorkerColumns(state.columns(world), world.parameters.moving)
    kinds = utility.types(workers, len(state.metro))
    if kinds.residuals or utility.matches:
        raise SystemExit("the Mesa model knows types of workers alone; give it such a model")
    staying = utility.staying(workers, state.metro, world.places)
    assumed, start = world.parameters, world.start
    labour, housing = assumed.labour.model_dump(), assumed.housing.model_dump()
    rules = {
        **{name: value for name, value in labour.items() if isinstance(value, float)},
        **{name: value for name, value in housing.items() if isinstance(value, float)},
        "job_in_hand": assumed.moving.job_in_hand,
        "price_taste": truth.moving["log(home_value)"],
        "unemployed_taste": truth.staying["unemployed"],
        "dissimilarity": truth.dissimilarity,
    }
    np.savez(
        path,
        rules=json.dumps(rules),
        seeds=seeds,
        intensity=world.intensity,
        utilities=utility.destinations(kinds.parts, world.places),
        households=start.workers,
        dwellings=state.dwellings,
        under_construction=state.under_construction,
        supply=start.supply_elasticity,
        firm_metro=population.firms.metro,
        headcount=state.headcount,
        positions=state.positions,
        multiplier=np.asarray(labour["stage_multipliers"])[state.stage],
        metro=state.metro,
        firm=state.firm,
        exposure=state.exposure(world),
        staying=staying - truth.staying["unemployed"] * ~state.employed,
        kind=kinds.code,
    )


def ours(workers: int, metros: int, months: int, seeds: int, problem: Path) -> dict:
    """Pose the problem, and measure nestflow on it after a first run has compiled the kernels."""
    from microsim import Behaviour, MoveTruth, simulate, synthesize

    began = time.perf_counter()
    population = synthesize(workers=workers, firms=max(workers // 10, metros), metros=metros)
    behaviour = Behaviour(mobility=MoveTruth(tuple(population.metros.cbsa)))
    built = time.perf_counter() - began
    pose(population, behaviour, months, seeds, problem)
    simulate(population, behaviour, scenario(), months=2)
    began = time.perf_counter()
    run = simulate(population, behaviour, scenario(), months=months, replicates=seeds)
    seconds = (time.perf_counter() - began) / seeds
    panel = run.metros.groupby(["replicate", "month"])
    national = panel[[*MEASURES[:3], "unemployed"]].sum()
    national["moves"] = panel["departures"].sum()
    national["price_index"] = panel["price_index"].mean()
    counts = [rows.to_dict("records") for _, rows in national.groupby("replicate")]
    return {
        "counts": counts,
        "build_s": built,
        "months_s": seconds,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "python": platform.python_version(),
        "versions": " ".join(f"{name}-{metadata.version(name)}" for name in ("numpy", "numba")),
    }


def means(record: dict) -> dict[str, list[float]]:
    """Return the mean over months of each measure, by seed."""
    runs = record["counts"]
    return {
        name: [statistics.fmean(month[name] for month in run) for run in runs] for name in MEASURES
    }


def largest_z(a: dict, b: dict) -> float:
    """Return the largest distance of two records' means over seeds, in its standard error."""

    def distance(first: list[float], second: list[float]) -> float:
        spread = (statistics.variance(first) + statistics.variance(second)) / len(first)
        return abs(statistics.fmean(first) - statistics.fmean(second)) / spread**0.5

    first, second = means(a), means(b)
    return max(distance(first[name], second[name]) for name in MEASURES)


def compare(workers: int, metros: int, months: int, seeds: int) -> list[dict]:
    """Run both at one size, each in a process of its own, and return their rows."""
    records: dict[str, dict] = {}
    with tempfile.TemporaryDirectory(prefix="agents-") as scratch:
        problem = Path(scratch) / "problem.npz"
        sizes = ["--sizes", workers, "--metros", metros, "--months", months, "--seeds", seeds]
        own = [sys.executable, __file__, "--pose", problem, *sizes]
        peer = [MESA, HERE / "peers" / "mesa.py", problem]
        for package, command in (("nestflow", own), ("mesa", peer)):
            console.print(f"{workers:,} workers: {package}", style="dim")
            output = Path(scratch) / f"{package}.json"
            subprocess.run(list(map(str, [*command, output])), check=True)
            records[package] = json.loads(output.read_text())
    z = largest_z(records["nestflow"], records["mesa"])
    rows = [
        {
            **{key: value for key, value in record.items() if key != "counts"},
            **{f"mean_{name}": statistics.fmean(runs) for name, runs in means(record).items()},
            "package": package,
            "workers": workers,
            "firms": max(workers // 10, metros),
            "metros": metros,
            "months": months,
            "seeds": seeds,
            "agrees": z <= LARGEST_Z,
            "largest_z": z,
            "us_per_worker_month": 1e6 * record["months_s"] / (workers * months),
        }
        for package, record in records.items()
    ]
    if z <= LARGEST_Z:
        rows[1]["ratio_months"] = rows[1]["months_s"] / rows[0]["months_s"]
    return rows


def bench(folder: Path, facts: dict, sizes: list[int], **options: int) -> list[dict]:
    """Compare at every size, show and write the rows."""
    rows = [row for size in sizes for row in compare(size, **options)]
    shown = ("package", "workers", "agrees", "largest_z", "months_s", "ratio_months", "peak_gb")
    table = Table(*shown)
    for row in rows:
        cells = [row.get(name, "") for name in shown]
        table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else f"{v}" for v in cells))
    console.print(table)
    write(folder / "agents.csv", COLUMNS, rows, facts)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", help="workers; by default those of the scale")
    parser.add_argument("--metros", type=int)
    parser.add_argument("--months", type=int)
    parser.add_argument("--seeds", type=int, help="runs of each, at least 2")
    parser.add_argument("--scale", choices=tuple(SIZES), default="full")
    parser.add_argument("--pose", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("output", type=Path, nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = dict(SIZES[options.scale])
    sizes = chosen.pop("sizes")
    if options.sizes:
        sizes = sorted({int(size) for size in options.sizes.split(",")})
    chosen |= {k: v for k in chosen if (v := getattr(options, k)) is not None}
    if options.pose:
        options.output.write_text(json.dumps(ours(sizes[0], problem=options.pose, **chosen)))
        return 0
    if chosen["seeds"] < 2:
        parser.error("--seeds must be at least 2: the spread between seeds is the yardstick")
    if not MESA.exists():
        console.print(
            "Mesa has no environment yet; `make bench` makes it, or by hand:\n\n"
            "  python3 -m venv .venvs/mesa\n"
            "  .venvs/mesa/bin/pip install -r benchmarks/requirements/mesa.txt"
        )
        return 2
    facts = machine(options.scale)
    warn_if_busy(facts)
    rows = bench(results(options.scale), facts, sizes, **chosen)
    return int(not all(row["agrees"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
