"""What the benchmarks write down: the machine, and one CSV for each problem."""

import csv
import os
import platform
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

HERE = Path(__file__).resolve().parent
console = Console()


def machine(scale: str) -> dict:
    cpu = Path("/proc/cpuinfo")
    models = [line for line in cpu.read_text().splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "scale": scale,
        "cores": len(os.sched_getaffinity(0)),
        "cpu": models[0].partition(": ")[2] if models else platform.machine(),
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def warn_if_busy(facts: dict) -> None:
    if facts["load_before"] > 0.25 * facts["cores"]:
        console.print(
            f"[yellow]The machine is busy (load {facts['load_before']}): the times will not do "
            "for the record.[/]"
        )


def results(scale: str) -> Path:
    """Return the folder of the results, which for small runs is none that is kept."""
    folder = HERE / "results" / ("" if scale == "full" else scale)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(path: Path, columns: Iterable[str], rows: list[dict], facts: dict) -> None:
    """Write rows with the machine beside them; what a row lacks stays empty."""
    names = [*columns, *facts, "python", "versions"]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        for values in rows:
            shown = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values.items()}
            table.writerow(shown | facts)
