"""Stop a long estimation and go on later with the same answer."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError
from estimation.jsonfile import FORMAT, write_json
from estimation.newton import SearchState

__all__ = ["Checkpoint"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Checkpoint:
    """A file that holds the state of a search between two steps.

    Numbers are written in full, so that the search that goes on takes the very steps that it
    would have taken.

    Attributes
    ----------
    path : Path
    problem : str
        Mark of what is estimated: a file of another problem is refused.
    """

    path: Path
    problem: str

    @classmethod
    def open(cls, path: str | Path, names: Sequence[str], start: tuple[float, Array]) -> Self:
        """Prepare a checkpoint of one problem.

        Parameters
        ----------
        path
            The file, which need not exist.
        names
            The free parameters.
        start
            The log-likelihood at the default starting values, and its score (F,): they tell one
            data set, sample or weighting from another.

        Raises
        ------
        DataError
            If the folder does not exist.
        """
        path = Path(path)
        if not path.parent.is_dir():
            raise DataError(f"there is no folder '{path.parent}' for the checkpoint.")
        llf, score = start
        text = json.dumps([list(names), repr(float(llf)), np.asarray(score).tolist()])
        return cls(path, hashlib.sha256(text.encode()).hexdigest()[:16])

    def read(self) -> SearchState | None:
        """Return the state in the file, or None if there is no file yet.

        Raises
        ------
        DataError
            If the file is damaged or belongs to another problem.
        """
        if not self.path.exists():
            return None
        try:
            saved = json.loads(self.path.read_text(encoding="utf-8"))
            version, problem = saved["nestflow"], saved["problem"]
            state = SearchState.from_dict(saved["state"])
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
            raise DataError(
                f"'{self.path}' is not a checkpoint; name another file, or remove it to start anew."
            ) from None
        if (version, problem) != (FORMAT, self.problem):
            raise DataError(
                f"the checkpoint '{self.path}' belongs to another model, other data or another "
                "version of nestflow; name another file, or remove it to start anew."
            )
        return state

    def write(self, state: SearchState) -> None:
        """Keep a state; the file is whole at every moment."""
        content = {"kind": "checkpoint", "problem": self.problem, "state": state.to_dict()}
        write_json(content, self.path)
