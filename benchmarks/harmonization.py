"""One year harmonized to census tables: ``python benchmarks/run.py --only harmonize``.

A generated year goes through the four steps of MIGRATE to margins within 1e-9, by nestflow and by
the published loop, written plainly with scipy's sparse matrices, each in a process of its own. On
10,000 block groups the loop runs to those margins, and then, untimed, until its answer stands
still and can be compared. On the nation of 217,740
it would take hours: its first three steps and ten sweeps of the last are timed, and the sweeps that
it needs are counted on the sums of counties, on which they depend alone.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np

SIZES = {"full": ("state", "nation"), "small": ("town",)}
MARGIN = 1e-9
CONVERGED = 1e-12
AGREES = 1e-8
MEASURED_SWEEPS = 10
MOST_SWEEPS = 200_000
COLUMNS = (
    *("problem", "package", "version", "agrees", "ratio", "first_s", "warm_s", "read_s", "peak_mb"),
    *("areas", "nonzeros", "people", "residual", "sweeps", "seconds_a_sweep", "extrapolated"),
    "largest_difference",
)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def generate(size: str, folder: str) -> None:
    """Write a nation's raw matrix and tables; say how long it took to make."""
    from choicemodels.migration.store import write_matrix
    from choicemodels.nation.generator import generate_nation

    began = time.perf_counter()
    nation = generate_nation(size)
    took = time.perf_counter() - began
    write_matrix(nation.raw, f"{folder}/raw", provenance={"source": "generated"})
    t = nation.tables
    arrays = {name: getattr(t, name).to_numpy() for name in ("populations", "flows")}
    for name in ("movers", "stayers", "before", "after"):
        arrays[name] = getattr(t, name).to_numpy()
    arrays["county"] = nation.areas.level("county").codes
    arrays["state"] = nation.areas.level("state").codes
    np.savez(f"{folder}/tables.npz", **arrays)
    print(json.dumps({"first_s": took, "warm_s": took, "peak_mb": peak()}))


def nestflow(folder: str) -> None:
    """Harmonize twice, and keep the answer."""
    import pandas as pd

    from choicemodels.migration.store import read_matrix
    from estimation import harmonize
    from estimation.harmonization.steps import Flows, Margins, MoversAndStayers, Populations

    began = time.perf_counter()
    matrix = read_matrix(f"{folder}/raw")
    read = time.perf_counter() - began
    tables = np.load(f"{folder}/tables.npz")
    state, county = (matrix.areas.level(name).labels for name in ("state", "county"))
    steps = [
        Populations(pd.Series(tables["populations"], matrix.areas.labels), empty="leave"),
        MoversAndStayers(*(pd.Series(tables[n], state) for n in ("movers", "stayers"))),
        Flows(pd.DataFrame(tables["flows"], state, state), empty="leave"),
        Margins(*(pd.Series(tables[n], county) for n in ("before", "after"))),
    ]
    took = []
    for _ in range(2):
        began = time.perf_counter()
        found = harmonize(matrix, steps)
        took.append(time.perf_counter() - began)
    most = peak()
    np.save(f"{folder}/values.npy", found.matrix.values)
    last = found.log[found.log["step"].str.endswith("margins")]
    about = {
        "first_s": took[0],
        "warm_s": took[1],
        "read_s": read,
        "peak_mb": most,
        "areas": matrix.areas.size,
        "nonzeros": matrix.nnz,
        "people": found.matrix.total,
        "residual": float(last["at the end"].max()),
    }
    print(json.dumps(about))


def ratio(target: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return target over current; zero targets, and sums of zero, are left alone."""
    some = (target > 0) & (current > 0)
    return np.divide(target, current, out=np.ones_like(target), where=some)


def sweep(M, C, before, after):
    """Scale columns, then rows, to the populations of counties; return their distance before."""
    from scipy.sparse import diags_array

    columns = C.T @ np.asarray(M.sum(axis=0)).ravel()
    M = M @ diags_array(C @ ratio(after, columns))
    rows = C.T @ np.asarray(M.sum(axis=1)).ravel()
    return diags_array(C @ ratio(before, rows)) @ M, float(np.abs(columns / after - 1).max())


def loop(folder: str, whole: str) -> None:
    """Run the published loop, to the end or for a few sweeps."""
    from scipy.sparse import csr_array, diags_array

    from choicemodels.migration.store import read_matrix

    began = time.perf_counter()
    E = read_matrix(f"{folder}/raw").flows
    N = E.shape[0]
    read = time.perf_counter() - began
    tables = np.load(f"{folder}/tables.npz")
    # The loop has no rule for totals that disagree; nestflow's is to scale those after.
    before = tables["before"]
    after = tables["after"] * (before.sum() / tables["after"].sum())

    def member(codes):
        return csr_array((np.ones(N), (np.arange(N), codes)))

    S, C = member(tables["state"]), member(tables["county"])
    began = time.perf_counter()
    M = diags_array(ratio(tables["populations"], np.asarray(E.sum(axis=1)).ravel())) @ E
    stay = M.diagonal()
    into = S.T @ (np.asarray(M.sum(axis=0)).ravel() - stay)
    M = csr_array(M @ diags_array(S @ ratio(tables["movers"], into)))
    M.setdiag(stay * (S @ ratio(tables["stayers"], S.T @ stay)))
    f = ratio(tables["flows"], (S.T @ M @ S).toarray())
    M.data *= f[np.repeat(tables["state"], np.diff(M.indptr)), tables["state"][M.indices]]
    steps = time.perf_counter() - began
    done, away = 0, np.inf
    A = csr_array(C.T @ M @ C)
    began = time.perf_counter()
    most = MOST_SWEEPS if whole == "whole" else MEASURED_SWEEPS
    while done < most and away > MARGIN:
        M, away = sweep(M, C, before, after)
        done += 1
    taken = time.perf_counter() - began
    needed, each = done, diags_array(np.ones(len(before)))
    if whole != "whole":
        needed, away = 0, np.inf
        while needed < MOST_SWEEPS and away > MARGIN:
            A, away = sweep(A, each, before, after)
            needed += 1
    else:
        # Where sweeps gain a digit in a hundred, a margin within 1e-9 is not yet the answer.
        distance = away
        while distance > CONVERGED:
            M, distance = sweep(M, C, before, after)
        M.sort_indices()
        np.save(f"{folder}/loop.npy", M.data)
    total = steps + taken / done * needed
    about = {"warm_s": total, "first_s": total, "read_s": read, "peak_mb": peak(), "residual": away}
    about |= {"sweeps": needed, "seconds_a_sweep": taken / done, "extrapolated": needed > done}
    print(json.dumps(about))


def run(job: str, *options: str) -> dict:
    with tempfile.TemporaryDirectory() as compiled:
        done = subprocess.run(
            [sys.executable, __file__, job, *options],
            env=os.environ | {"NUMBA_CACHE_DIR": compiled},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(done.stdout)


def bench_size(size: str) -> list[dict]:
    from record import console

    name = f"harmonize_{size}"
    with tempfile.TemporaryDirectory() as folder:
        console.print(f"{name}: generating", style="dim")
        made = run("generate", size, folder)
        console.print(f"{name}: nestflow", style="dim")
        ours = run("nestflow", folder)
        console.print(f"{name}: the published loop", style="dim")
        theirs = run("loop", folder, "part" if size == "nation" else "whole")
        if not theirs["extrapolated"]:
            a, b = (np.load(f"{folder}/{stem}.npy") for stem in ("values", "loop"))
            some = b > 0
            away = float(np.abs(a[some] / b[some] - 1).max()) if a.shape == b.shape else np.inf
            theirs |= {"largest_difference": away, "agrees": away < AGREES}
    ours["agrees"] = ours["residual"] < MARGIN
    theirs["ratio"] = theirs["warm_s"] / ours["warm_s"]
    shared = {"problem": name, "python": platform.python_version()}
    version = metadata.version("nestflow")
    shared["versions"] = " ".join(f"{p}={metadata.version(p)}" for p in ("nestflow", "scipy"))
    size_of = {key: ours[key] for key in ("areas", "nonzeros", "people")}
    return [
        shared | size_of | made | {"package": "generator", "version": version},
        shared | ours | {"package": "nestflow", "version": version},
        shared | size_of | theirs | {"package": "loop", "version": metadata.version("scipy")},
    ]


def bench(scale: str, folder: Path, facts: dict) -> list[dict]:
    """Time every size, and write and print what was found."""
    from record import console, write
    from rich import box
    from rich.table import Table

    rows = [row for size in SIZES[scale] for row in bench_size(size)]
    write(folder / "harmonize.csv", COLUMNS, rows, facts)
    heads = ("problem", "package", "first_s", "warm_s", "peak_mb", "sweeps", "ratio", "agrees")
    table = Table(*heads, box=box.SIMPLE, padding=(0, 0, 0, 1))
    for row in rows:
        shown = [row.get(head, "") for head in heads]
        table.add_row(*(f"{x:,.1f}" if isinstance(x, float) else str(x) for x in shown))
    console.print(table)
    return rows


if __name__ == "__main__":
    {"generate": generate, "nestflow": nestflow, "loop": loop}[sys.argv[1]](*sys.argv[2:])
