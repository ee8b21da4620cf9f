"""Address histories to matrices of moves: time and memory on this machine.

``python benchmarks/histories.py --people 10_000_000 --nation nation --years 5`` draws histories
from a generated nation, in a process of its own, and then measures from the files on.
"""

import argparse
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from record import console, machine, results, warn_if_busy, write
from rich.table import Table

COLUMNS = (
    *("people", "addresses", "areas", "years", "nonzeros"),
    *("first_call_s", "survey_s", "matrices_s", "total_s", "peak_gb"),
)
LEVELS = ["tract", "county", "state"]


def draw(folder: Path, people: int, nation: str, years: int) -> None:
    """Write histories, the areas and the crosswalk."""
    from choicemodels.histories.generator import generate_histories
    from choicemodels.nation.generator import generate_nation

    truth = generate_nation(nation).truth
    areas = truth.areas
    table = areas.table[["population"]].copy()
    for name in LEVELS:
        table[name] = areas.level(name).labels.take(areas.level(name).codes)
    lives = generate_histories(folder, truth, people, years=years)
    lives.crosswalk.to_parquet(folder / "crosswalk.parquet")
    table.assign(year=truth.year).reset_index(names="block_group").to_parquet(
        folder / "areas.parquet"
    )


def measure(folder: Path, people: int, years: int) -> dict:
    """Time the survey of all people, and the matrices of all years, one after the other."""
    import pandas as pd

    from choicemodels import Areas
    from choicemodels.histories.geocoding import Geocoder
    from choicemodels.histories.matrices import matrices_from_histories

    table = pd.read_parquet(folder / "areas.parquet")
    first = int(table.pop("year").iloc[0])
    areas = Areas.from_table(table, "block_group", LEVELS)
    geocoder = Geocoder.from_crosswalk(areas, pd.read_parquet(folder / "crosswalk.parquet"))
    asked = range(first, first + years)
    files = sorted(folder.glob("histories-*.parquet"))
    marks = [time.perf_counter()]
    # A small piece compiles the kernels, or finds them in numba's cache.
    matrices_from_histories(files[:1], geocoder, [first])
    marks.append(time.perf_counter())
    found = matrices_from_histories(files, geocoder, asked)
    marks.append(time.perf_counter())
    nonzeros = sum(matrix.nnz for matrix in found.values())
    marks.append(time.perf_counter())
    console.print(found.describe().to_string(), found.by_year.to_string(), sep="\n\n")
    return {
        "people": people,
        "addresses": found.record["rows"],
        "areas": areas.size,
        "years": years,
        "nonzeros": nonzeros,
        "first_call_s": marks[1] - marks[0],
        "survey_s": marks[2] - marks[1],
        "matrices_s": marks[3] - marks[2],
        "total_s": marks[3] - marks[1],
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "python": platform.python_version(),
        "versions": " ".join(f"{name}-{metadata.version(name)}" for name in ("duckdb", "numba")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--people", type=int, default=10_000_000)
    parser.add_argument("--nation", default="nation", help="size of the generated nation")
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keeps the histories and finds them again")
    parser.add_argument("--scale", default="full", help="other records than 'full' are not kept")
    parser.add_argument("--draw", action="store_true", help="draw into --folder, and stop")
    options = parser.parse_args()
    if options.draw:
        draw(options.folder, options.people, options.nation, options.years)
        return
    facts = machine(options.scale)
    warn_if_busy(facts)
    with tempfile.TemporaryDirectory(prefix="histories-") as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "areas.parquet").exists():
            # Peak memory is that of a whole process: drawing gets one of its own.
            shared = ["--people", options.people, "--nation", options.nation]
            command = [sys.executable, __file__, "--draw", "--folder", folder, *shared]
            subprocess.run([*map(str, command), "--years", str(options.years)], check=True)
        row = measure(folder, options.people, options.years)
    table = Table("measure", "value")
    for name in COLUMNS:
        value = row[name]
        table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    console.print(table)
    write(results(options.scale) / "histories.csv", COLUMNS, [row], facts)


if __name__ == "__main__":
    main()
