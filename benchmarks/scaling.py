"""How nestflow's time grows: ``python benchmarks/scaling.py`` writes scaling.csv and scaling.svg.

One size at a time runs over a range while the others stay: cases N, alternatives J, covariates K,
and draws. Every fit is of data drawn from its own model, on compiled code; the fastest of a few
repetitions counts. The last column is the exponent from one size to the next: 1 is proportional.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import drawing
from peers import nestflow
from problems import LAMBDAS, Problem, Recipe, pose
from record import console, machine, results, warn_if_busy, write

COLUMNS = ("family", "varied", "size", "N", "J", "K", "draws", "seconds", "iterations", "exponent")
SEED = 20_240_507


@dataclass(frozen=True)
class Family:
    """A model, the sizes at which the others stay, and the ranges."""

    make: Callable[[dict[str, int]], Problem]
    base: dict[str, int]
    ranges: dict[str, tuple[int, ...]]


def names(K: int) -> tuple[str, ...]:
    return tuple(f"x{k}" for k in range(K))


def multinomial(at: dict[str, int]) -> Problem:
    arrays = drawing.multinomial(at["N"], at["J"], at["K"], SEED)
    return pose("multinomial", Recipe(drawing.multinomial, {}, SEED, names(at["K"])), arrays)


def nested(at: dict[str, int]) -> Problem:
    arrays = drawing.nested(at["N"], at["J"], at["K"], LAMBDAS, SEED)
    recipe = Recipe(drawing.nested, {}, SEED, names(at["K"]), nests=len(LAMBDAS))
    return pose("nested", recipe, arrays)


def mixed(at: dict[str, int]) -> Problem:
    arrays = drawing.mixed(at["N"], at["J"], at["K"], at["draws"], SEED)
    return pose("mixed", Recipe(drawing.mixed, {}, SEED, names(at["K"]), random=True), arrays)


def full_set(at: dict[str, int]) -> Problem:
    """Choices among J - 1 places and staying, from tables that are never expanded."""
    arrays = drawing.destinations(at["N"], at["J"] - 1, SEED)
    specific = {"stay": "1 + age + kids + college"}
    recipe = Recipe(drawing.destinations, {}, SEED, tuple(drawing.MOVE), specific=specific)
    return pose("full set", recipe, arrays)


LONG = {
    "N": (5_000, 10_000, 20_000, 40_000, 80_000),
    "J": (10, 20, 40, 80, 160),
    "K": (3, 6, 12, 24, 48),
}
FAMILIES = {
    "multinomial": Family(multinomial, {"N": 20_000, "J": 20, "K": 6}, LONG),
    "nested": Family(nested, {"N": 20_000, "J": 20, "K": 6}, LONG),
    "full set": Family(
        full_set,
        {"N": 50_000, "J": 101},
        {"N": (25_000, 50_000, 100_000, 200_000), "J": (26, 51, 101, 201, 401)},
    ),
    "mixed": Family(
        mixed,
        {"N": 2_000, "J": 5, "K": 3, "draws": 200},
        {
            "N": (500, 1_000, 2_000, 4_000, 8_000),
            "J": (3, 5, 10, 20),
            "K": (1, 2, 4, 8),
            "draws": (50, 100, 200, 400, 800),
        },
    ),
}
LABELS = {
    "N": "cases N",
    "J": "alternatives J",
    "K": "covariates K",
    "draws": "draws for each case",
}


def fastest(problem: Problem, repeat: int) -> tuple[float, int]:
    """Return the seconds of the fastest fit, and how many steps it took."""
    data = nestflow.prepare(problem)
    best, steps = math.inf, 0
    for _ in range(repeat):
        began = time.perf_counter()
        result = nestflow.estimate(problem, data)
        best = min(best, time.perf_counter() - began)
        steps = len(result.optimum.iterations)
    return best, steps


def reduced(at: dict[str, int], small: bool) -> dict[str, int]:
    """Shrink a problem, where only the harness is checked."""
    return at | {"N": at["N"] // 5} if small else at


def grow(name: str, varied: str, repeat: int, small: bool) -> list[dict]:
    """Measure one family along one size."""
    family, found = FAMILIES[name], []
    for size in family.ranges[varied]:
        at = reduced(family.base | {varied: size}, small)
        console.print(f"{name}: {varied} = {at[varied]:,}", style="dim")
        seconds, steps = fastest(family.make(at), repeat)
        row = {"family": name, "varied": varied, "size": at[varied], **at}
        row |= {"seconds": seconds, "iterations": steps}
        if found and at[varied] > found[-1]["size"]:
            ratio = seconds / found[-1]["seconds"]
            row["exponent"] = math.log(ratio) / math.log(at[varied] / found[-1]["size"])
        found.append(row)
    return found


def draw_figure(rows: list[dict], path: Path) -> None:
    """Plot seconds against each size, on logarithmic scales, with a line of proportion."""
    import matplotlib

    matplotlib.use("Agg")
    # Without a salt of its own every run would write other identifiers.
    matplotlib.rcParams |= {"svg.hashsalt": "nestflow", "svg.fonttype": "none"}
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter

    figure, axes = plt.subplots(1, len(LABELS), figsize=(12, 3.4), sharey=True, layout="tight")
    for axis, (varied, label) in zip(axes, LABELS.items(), strict=True):
        for position, name in enumerate(FAMILIES):
            points = [r for r in rows if r["family"] == name and r["varied"] == varied]
            if not points:
                continue
            sizes, seconds = [r["size"] for r in points], [r["seconds"] for r in points]
            axis.loglog(sizes, seconds, "o-", color=f"C{position}", label=name)
            line = [seconds[0] * size / sizes[0] for size in sizes]
            axis.loglog(sizes, line, ":", color=f"C{position}", linewidth=0.8)
        axis.set_xlabel(label)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds, fit and covariance")
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].legend(handles, labels, fontsize=8, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how nestflow's time grows.")
    parser.add_argument("--scale", choices=("full", "small"), default="full")
    parser.add_argument("--only", default=",".join(FAMILIES), help=f"of {','.join(FAMILIES)}")
    parser.add_argument("--repeat", type=int, default=3, help="fits each; the fastest counts")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(FAMILIES):
        parser.error(f"--only knows {', '.join(FAMILIES)}, not {', '.join(sorted(unknown))}")
    facts = machine(options.scale)
    warn_if_busy(facts)
    small = options.scale == "small"
    versions = ("nestflow", "numba", "numpy", "pandas")
    told = {
        "python": platform.python_version(),
        "versions": " ".join(f"{name}={metadata.version(name)}" for name in versions),
    }
    rows = []
    for name in wanted:
        # Compile, outside of any time.
        fastest(FAMILIES[name].make(reduced(FAMILIES[name].base, small=True)), 1)
        for varied in FAMILIES[name].ranges:
            rows += grow(name, varied, options.repeat, small)
    folder = results(options.scale)
    write(folder / "scaling.csv", COLUMNS, [row | told for row in rows], facts)
    draw_figure(rows, folder / "scaling.svg")
    console.print(f"Wrote {folder / 'scaling.csv'} and {folder / 'scaling.svg'}", soft_wrap=True)


if __name__ == "__main__":
    main()
