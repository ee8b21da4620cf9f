"""Estimation over files of choices on the workers of a Dask cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import SpecificationError
from choicemodels.logit.joined import Part

__all__ = ["DaskEngine"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DaskEngine:
    """Keep each part on a worker, and ask all of them at once.

    A part is a pure function of its file, so that one whose worker died is built again on
    another, and a question that was under way there is asked again: a death costs time and
    nothing else. Answers are summed in the order of the files, whoever gave them.

    Attributes
    ----------
    client : distributed.Client
    """

    client: Any

    def __post_init__(self) -> None:
        if not all(hasattr(self.client, name) for name in ("submit", "gather")):
            raise SpecificationError(
                f"engine= is a {type(self.client).__name__}; pass a dask.distributed Client."
            )

    def keep(self, parts: list[Callable[[], Part]]) -> list[Any]:
        """Build every part on a worker, and return the futures."""
        return [self.client.submit(build, pure=False) for build in parts]

    def ask(self, handles: list[Any], method: str, theta: Array) -> list[Any]:
        """Call a method of every part, and return the answers in order."""
        asked = [self.client.submit(_ask, part, method, theta, pure=False) for part in handles]
        return list(self.client.gather(asked))


def _ask(part: Part, method: str, theta: Array) -> Any:
    return getattr(part, method)(theta)
