"""Time nestflow beside its peers: ``make bench``, or ``python benchmarks/run.py --help``.

Every package runs in an environment and a process of its own, one after the other. A time
counts only if the estimates agree. This process stays small, because a child's peak memory
is at least that of the process that started it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import agents
import harmonization
import startup
from agreement import DIFFERENCES, EXACT, SIMULATED, TRUTH, agree, differences, distance_from_truth
from record import HERE, console, machine, results, warn_if_busy, write
from rich import box
from rich.table import Table

PEERS = {
    "mnl": ("larch", "xlogit", "xlogit_bhhh"),
    "nested": ("larch",),
    "nested12": ("larch", "biogeme"),
    "mixed": ("xlogit", "biogeme"),
    "fullset": (),
    "ppml2": ("pyfixest",),
    "ppml3": ("pyfixest",),
}
GROUPS = {
    "startup": (),
    "mnl": ("mnl",),
    "nested": ("nested", "nested12"),
    "mixed": ("mixed",),
    "fullset": ("fullset",),
    "ppml": ("ppml2", "ppml3"),
    "harmonize": (),
    "agents": (),
}
TOLERANCES = {"mixed": SIMULATED}

# What a process measures, and the sums of it that ratios are taken of.
MEASURED = (
    "import_s",
    "first_container_s",
    "first_fit_s",
    "warm_container_s",
    "warm_fit_s",
    "data_mb",
    "peak_mb",
)
RATIOS = {
    "ratio_warm_fit": ("warm_fit_s",),
    "ratio_warm_total": ("warm_container_s", "warm_fit_s"),
    "ratio_first_total": ("import_s", "first_container_s", "first_fit_s"),
}
COLUMNS = (
    *("problem", "package", "version", "repeats", "agrees", *RATIOS, *MEASURED),
    *("nobs", "llf", "se_kind", *DIFFERENCES, "truth_distance_in_se"),
)


def distribution(package: str) -> str:
    """Return what a package is installed as: ``xlogit_bhhh`` is a way to use ``xlogit``."""
    return package.partition("_")[0]


def interpreter(package: str) -> Path:
    if package == "nestflow":
        return Path(sys.executable)
    return HERE.parent / ".venvs" / distribution(package) / "bin" / "python"


def refuse_missing(problems: list[str], others: list[str]) -> None:
    """Stop before anything runs if a peer has no environment, and say how to make it."""
    peers = {distribution(p) for problem in problems for p in PEERS[problem]}
    needed = sorted(peers | set(others))
    missing = [package for package in needed if not interpreter(package).exists()]
    if not missing:
        return
    console.print("These peers have no environment yet; `make bench` makes them, or by hand:\n")
    for package in missing:
        console.print(f"  python3 -m venv .venvs/{package}", soft_wrap=True)
        console.print(
            f"  .venvs/{package}/bin/pip install -r benchmarks/requirements/{package}.txt\n",
            soft_wrap=True,
        )
    sys.exit(2)


def measure(package: str, data: Path, compiled: Path | None) -> dict:
    """Run one package on one problem, and return its record.

    Nothing is compiled beforehand, unless ``compiled`` names a folder to keep it in.
    """
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "record.json"
        done = subprocess.run(
            [interpreter(package), "-m", "peers", package, data, output],
            cwd=HERE,
            env=os.environ | {"NUMBA_CACHE_DIR": str(compiled or scratch)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            console.print(f"[red]{package} failed on {data.stem} (status {done.returncode}):[/]")
            console.print(done.stderr[-2000:], markup=False, soft_wrap=True)
            return {"failed": True}
        return json.loads(output.read_text())


def row(problem: str, package: str, records: list[dict]) -> dict:
    """Sum up the repetitions of one package on one problem, by medians."""
    if any("failed" in record for record in records):
        return {"problem": problem, "package": package, "failed": True}
    last = records[-1]
    versions = " ".join(f"{name}={version}" for name, version in last["versions"].items())
    medians = {key: statistics.median(r[key] for r in records) for key in MEASURED}
    found = {
        "problem": problem,
        "package": package,
        "version": last["versions"][distribution(package)],
        "repeats": len(records),
        **medians,
        "nobs": last["nobs"],
        "llf": last["llf"],
        "python": last["python"],
        "versions": versions,
    }
    away = distance_from_truth(last)
    return found if away is None else found | {"truth_distance_in_se": away}


def judge(ours: dict) -> None:
    """Hold our own estimates to what drew the data, where that is known."""
    if "truth_distance_in_se" in ours:
        ours["agrees"] = ours["truth_distance_in_se"] <= TRUTH


def compare(ours: dict, theirs: dict, records: dict[str, list[dict]]) -> None:
    """Fill a peer's row with agreement, and with ratios if there is any."""
    theirs["agrees"] = False
    if "failed" in ours or "failed" in theirs:
        return
    tolerance = TOLERANCES.get(ours["problem"], EXACT)
    pairs = zip(records["nestflow"], records[theirs["package"]], strict=True)
    found = [differences(a, b) for a, b in pairs]
    theirs |= {key: max(f[key] for f in found) for key in DIFFERENCES}
    theirs["se_kind"] = found[0]["se_kind"]
    theirs["agrees"] = all(agree(f, ours["llf"], tolerance) for f in found)
    if theirs["agrees"]:
        for ratio, parts in RATIOS.items():
            theirs[ratio] = sum(theirs[p] for p in parts) / sum(ours[p] for p in parts)


def bench(problem: str, scale: str, repeat: int) -> list[dict]:
    """Run a problem's packages in turn, ``repeat`` times over."""
    subprocess.run(
        [sys.executable, HERE / "problems.py", problem, scale, HERE / "cache"], check=True
    )
    data = HERE / "cache" / f"{problem}.npz"
    # larch compiles for a minute: too long a wait where only the harness is checked.
    compiled = HERE / "cache" / "compiled" if scale == "small" else None
    records: dict[str, list[dict]] = {name: [] for name in ("nestflow", *PEERS[problem])}
    for turn in range(repeat):
        for package, taken in records.items():
            console.print(f"{problem}: {package}, {turn + 1} of {repeat}", style="dim")
            taken.append(measure(package, data, compiled))
    data.unlink()
    rows = [row(problem, package, taken) for package, taken in records.items()]
    judge(rows[0])
    for theirs in rows[1:]:
        compare(rows[0], theirs, records)
    return rows


def show(rows: list[dict]) -> None:
    table = Table("problem", "package", box=box.SIMPLE, padding=(0, 0, 0, 1))
    for head in ("agrees", "first s", "build s", "fit s", "MB", "ratio fit", "ratio total"):
        table.add_column(head, justify="right")
    for column in table.columns:
        column.no_wrap = column.header in ("problem", "package", "build s")
    for r in rows:
        if "failed" in r:
            table.add_row(r["problem"], r["package"], "[red]failed[/]")
            continue
        first = sum(r[part] for part in RATIOS["ratio_first_total"])
        seconds = [f"{x:.2f}" for x in (first, r["warm_container_s"], r["warm_fit_s"])]
        agrees = {True: "yes", False: "[red]no[/]", None: ""}[r.get("agrees")]
        ratios = [f"{r[k]:.1f}" if k in r else "" for k in list(RATIOS)[:2]]
        table.add_row(r["problem"], r["package"], agrees, *seconds, f"{r['peak_mb']:.0f}", *ratios)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time nestflow beside its peers.")
    parser.add_argument("--scale", choices=("full", "small"), default="full")
    parser.add_argument("--only", default=",".join(GROUPS), help=f"of {','.join(GROUPS)}")
    parser.add_argument("--repeat", type=int, default=1, help="processes each; medians are kept")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(GROUPS):
        parser.error(f"--only knows {', '.join(GROUPS)}, not {', '.join(sorted(unknown))}")
    if options.repeat < 1:
        parser.error("--repeat must be at least 1")
    problems = [problem for group in GROUPS if group in wanted for problem in GROUPS[group]]
    refuse_missing(problems, ["mesa"] if "agents" in wanted else [])
    facts = machine(options.scale)
    warn_if_busy(facts)
    folder = results(options.scale)
    if "startup" in wanted:
        startup.bench(folder, facts)
    rows = []
    for problem in problems:
        found = bench(problem, options.scale, options.repeat)
        write(folder / f"{problem}.csv", COLUMNS, found, facts)
        rows += found
    if rows:
        show(rows)
    if "harmonize" in wanted:
        rows += harmonization.bench(options.scale, folder, facts)
    if "agents" in wanted:
        rows += agents.bench(folder, facts, **agents.SIZES[options.scale])
    return int(any("failed" in r or r.get("agrees") is False for r in rows))


if __name__ == "__main__":
    sys.exit(main())
