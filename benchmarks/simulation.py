"""How the simulation grows: time and memory by the number of workers, on this machine.

``python benchmarks/simulation.py --sizes 5_000,50_000,500_000,5_000_000 --months 84`` synthesizes
and simulates every size in a process of its own, on the scenario of a displacement shock
(``examples/scenarios/ai_displacement.yaml``), and reports synthesis and months apart.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from itertools import pairwise
from math import log
from pathlib import Path

from record import HERE, console, machine, results, warn_if_busy, write
from rich.table import Table

COLUMNS = (
    *("workers", "firms", "metros", "months"),
    *("first_call_s", "synthesis_s", "months_s", "us_per_worker_month", "exponent"),
    *("synthesis_peak_gb", "peak_gb", "bytes_per_worker"),
)
SCENARIO = HERE.parent / "examples/scenarios/ai_displacement.yaml"
SMALLEST = {"workers": 2_000, "firms": 200, "metros": 20}


def peak_gb() -> float:
    """Return the largest resident memory of this process so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(workers: int, metros: int, months: int) -> dict:
    """Synthesize and simulate one size, after a small one has compiled the kernels."""
    from microsim import Behaviour, MoveTruth, Scenario, simulate, synthesize

    def behaviour(population):
        return Behaviour(mobility=MoveTruth(tuple(population.metros.cbsa)))

    scenario = Scenario.load(SCENARIO)
    marks = [time.perf_counter()]
    small = synthesize(**SMALLEST)
    # Past the month in which the shock begins, so that all its kernels are compiled.
    simulate(small, behaviour(small), scenario, months=14)
    base = peak_gb()
    marks.append(time.perf_counter())
    firms = max(workers // 10, metros)
    population = synthesize(workers=workers, firms=firms, metros=metros)
    marks.append(time.perf_counter())
    synthesized = peak_gb()
    run = simulate(population, behaviour(population), scenario, months=months)
    marks.append(time.perf_counter())
    if run.national["population"].iloc[-1] != workers:
        raise SystemExit("the run has lost workers: its times mean nothing")
    return {
        "workers": workers,
        "firms": firms,
        "metros": metros,
        "months": months,
        "first_call_s": marks[1] - marks[0],
        "synthesis_s": marks[2] - marks[1],
        "months_s": marks[3] - marks[2],
        "us_per_worker_month": 1e6 * (marks[3] - marks[2]) / (workers * months),
        "synthesis_peak_gb": synthesized,
        "peak_gb": peak_gb(),
        # What the size adds to a process that has run the small one.
        "bytes_per_worker": (peak_gb() - base) * 2**30 / workers,
        "python": platform.python_version(),
        "versions": " ".join(f"{name}-{metadata.version(name)}" for name in ("numpy", "numba")),
    }


def measure_apart(workers: int, metros: int, months: int) -> dict:
    """Measure in a process of its own: peak memory is that of a whole process."""
    with tempfile.TemporaryDirectory(prefix="simulation-") as scratch:
        output = Path(scratch) / "record.json"
        sizes = ["--sizes", workers, "--metros", metros, "--months", months]
        command = [sys.executable, __file__, "--record", output, *sizes]
        subprocess.run(list(map(str, command)), check=True)
        return json.loads(output.read_text())


def with_exponents(rows: list[dict]) -> list[dict]:
    """Add how the months' time grows from the size before: 1 is proportional."""
    out = [dict(row) for row in rows]
    for before, row in pairwise(out):
        growth = log(row["workers"] / before["workers"])
        row["exponent"] = log(row["months_s"] / before["months_s"]) / growth
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="5_000,50_000,500_000,5_000_000", help="workers")
    parser.add_argument("--metros", type=int, default=384)
    parser.add_argument("--months", type=int, default=84)
    parser.add_argument("--scale", default="full", help="other records than 'full' are not kept")
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = sorted({int(size) for size in options.sizes.split(",")})
    if options.record is not None:
        row = measure(sizes[0], options.metros, options.months)
        options.record.write_text(json.dumps(row))
        return
    facts = machine(options.scale)
    warn_if_busy(facts)
    rows = []
    for size in sizes:
        console.print(f"{size:,} workers", style="dim")
        rows.append(measure_apart(size, options.metros, options.months))
    rows = with_exponents(rows)
    table = Table("measure", *(f"{row['workers']:,}" for row in rows))
    for name in COLUMNS[1:]:
        cells = [row.get(name, "") for row in rows]
        table.add_row(name, *(f"{v:,.3f}" if isinstance(v, float) else f"{v}" for v in cells))
    console.print(table)
    write(results(options.scale) / "simulation.csv", COLUMNS, rows, facts)


if __name__ == "__main__":
    main()
