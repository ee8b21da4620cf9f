"""Replicates on file: one line of JSON each, so that a stopped run can go on."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError
from estimation.jsonfile import FORMAT

__all__ = ["ReplicateFile"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReplicateFile:
    """A file of replicates of one problem.

    The first line marks the problem; each further line is a replicate, with its estimates written
    in full or the reason why there are none.

    Attributes
    ----------
    path : Path
        Need not exist.
    problem : str
        Mark of what is replicated: a file of another problem is refused.
    """

    path: Path
    problem: str

    def read(self) -> dict[int, tuple[Array | None, str]]:
        """Return the replicates in the file by number, and begin the file if there is none.

        A last line that was cut short by an interruption is removed.

        Raises
        ------
        DataError
            If the folder does not exist, or the file is damaged or of another problem.
        """
        if not self.path.parent.is_dir():
            raise DataError(f"there is no folder '{self.path.parent}' for the checkpoint.")
        if not self.path.exists():
            self._write("w", {"nestflow": FORMAT, "kind": "bootstrap", "problem": self.problem})
            return {}
        whole, _, rest = self.path.read_text(encoding="utf-8").rpartition("\n")
        if rest:
            self.path.write_text(whole + "\n" * bool(whole), encoding="utf-8")
        try:
            head, *lines = [json.loads(line) for line in whole.split("\n")]
            version, problem = head["nestflow"], head["problem"]
            replicates = {int(line["replicate"]): _found(line) for line in lines}
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            raise DataError(
                f"'{self.path}' is not a file of replicates; name another file, or remove it to "
                "start anew."
            ) from None
        if (version, problem) != (FORMAT, self.problem):
            raise DataError(
                f"the replicates in '{self.path}' belong to another model, other data, another "
                "seed or another version of nestflow; name another file, or remove it to start "
                "anew."
            )
        return replicates

    def append(self, number: int, theta: Array | None, reason: str) -> None:
        """Add a replicate."""
        found = {"theta": theta.tolist()} if theta is not None else {"failed": reason}
        self._write("a", {"replicate": number, **found})

    def _write(self, mode: str, line: dict[str, object]) -> None:
        with self.path.open(mode, encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")


def _found(line: dict[str, object]) -> tuple[Array | None, str]:
    if "theta" in line:
        return np.array(line["theta"], dtype=np.float64), ""
    return None, str(line["failed"])
