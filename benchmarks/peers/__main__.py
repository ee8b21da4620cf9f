"""Time one package on one problem, in this process: ``python -m peers PACKAGE PROBLEM OUTPUT``.

Each package has a module here with ``prepare(problem)``, which brings the table into the
package's own container; ``estimate(problem, container)``, which fits and computes the cheapest
covariance the package offers; ``report(problem, fit)``; and ``VERSIONS``, the distributions
that decide the result.
"""

import gc
import importlib
import json
import logging
import platform
import resource
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path

from problems import read


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(package: str, path: str, output: str) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    problem = read(Path(path))
    began = time.perf_counter()
    peer = importlib.import_module(f"peers.{package}")
    record = {
        "import_s": time.perf_counter() - began,
        "data_mb": peak_mb(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in peer.VERSIONS},
    }
    for call in ("first", "warm"):
        fit = container = None
        gc.collect()
        began = time.perf_counter()
        container = peer.prepare(problem)
        ready = time.perf_counter()
        fit = peer.estimate(problem, container)
        record[f"{call}_container_s"] = ready - began
        record[f"{call}_fit_s"] = time.perf_counter() - ready
    record["peak_mb"] = peak_mb()
    record |= peer.report(problem, fit) | {"truth": problem.truth}
    Path(output).write_text(json.dumps(record, indent=1))


main(*sys.argv[1:])
