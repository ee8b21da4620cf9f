"""Time to the first result in a new process: ``python benchmarks/run.py --only startup``.

The process reads Swissmetro, estimates the nested logit with robust standard errors and writes
its summary. The first run compiles; the others find the kernels in numba's cache.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

RUNS = 5
LLF = -5236.900014
COLUMNS = (
    *("problem", "package", "version", "repeats", "compiling_s", "cached_s", "slowest_cached_s"),
    *("import_s", "container_s", "fit_s", "summary_s", "llf"),
)


def first_result() -> None:
    """Do the job, and print how long its parts took."""
    marks = [time.perf_counter()]
    from choicemodels import ChoiceData, NestedLogit, load_data
    from estimation import fit

    marks.append(time.perf_counter())
    sample = load_data("swissmetro")
    sample = sample[sample["PURPOSE"].isin([1, 3]) & (sample["CHOICE"] != 0)].copy()
    modes = {"train": "TRAIN", "sm": "SM", "car": "CAR"}
    for mode in modes.values():
        sample[f"{mode}_TIME"] = sample[f"{mode}_TT"] / 100
        pays = (sample["GA"] == 0) | (mode == "CAR")
        sample[f"{mode}_COST"] = sample[f"{mode}_CO"] * pays / 100
        sample[f"{mode}_OK"] = sample[f"{mode}_AV"] * ((sample["SP"] != 0) | (mode == "SM"))
    data = ChoiceData.from_wide(
        sample,
        choice="CHOICE",
        alternatives={1: "train", 2: "sm", 3: "car"},
        varying={
            "time": {name: f"{mode}_TIME" for name, mode in modes.items()},
            "cost": {name: f"{mode}_COST" for name, mode in modes.items()},
        },
        available={name: f"{mode}_OK" for name, mode in modes.items()},
    )
    marks.append(time.perf_counter())
    result = fit(NestedLogit("time + cost", {"existing": ["train", "car"]}, base="sm"), data)
    marks.append(time.perf_counter())
    str(result.summary())
    marks.append(time.perf_counter())
    names = ("import_s", "container_s", "fit_s", "summary_s")
    parts = {name: b - a for name, a, b in zip(names, marks[:-1], marks[1:], strict=True)}
    print(json.dumps(parts | {"llf": result.llf}))


def run(compiled: str) -> dict:
    """Start a process that does the job, and time it from outside."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | {"NUMBA_CACHE_DIR": compiled},
        capture_output=True,
        text=True,
        check=True,
    )
    return {"total_s": time.perf_counter() - began} | json.loads(done.stdout)


def bench(folder: Path, facts: dict) -> None:
    """Compile once, run from the cache a few times, and write the medians."""
    from record import console, write

    with tempfile.TemporaryDirectory() as compiled:
        console.print("startup: nestflow", style="dim")
        first = run(compiled)
        cached = [run(compiled) for _ in range(RUNS)]
    if abs(first["llf"] - LLF) > 1e-5:
        sys.exit(f"the log-likelihood is {first['llf']}, not {LLF}: no time counts")
    parts = ("import_s", "container_s", "fit_s", "summary_s")
    versions = ("nestflow", "numba", "numpy", "pandas")
    found = {
        "problem": "startup",
        "package": "nestflow",
        "version": metadata.version("nestflow"),
        "repeats": RUNS,
        "compiling_s": first["total_s"],
        "cached_s": statistics.median(r["total_s"] for r in cached),
        "slowest_cached_s": max(r["total_s"] for r in cached),
        **{part: statistics.median(r[part] for r in cached) for part in parts},
        "llf": first["llf"],
        "python": platform.python_version(),
        "versions": " ".join(f"{name}={metadata.version(name)}" for name in versions),
    }
    write(folder / "startup.csv", COLUMNS, [found], facts)
    console.print(
        f"First result in a new process: {found['cached_s']:.2f} s from the cache (slowest "
        f"{found['slowest_cached_s']:.2f} s), {found['compiling_s']:.2f} s with compilation."
    )


if __name__ == "__main__":
    first_result()
