"""The benchmark problems: drawn once for each run, read alike by every package.

Needs numpy and pandas alone, so that it runs in each peer's environment.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import drawing
import numpy as np
import pandas as pd

LAMBDAS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, eq=False)
class Problem:
    """What to estimate, and the tables to estimate it from.

    Attributes
    ----------
    name : str
    tables : dict of DataFrame
        Choices: ``rows``, one for each case and alternative (``case``, ``alt``, ``chosen``,
        ``x0`` ...). Choices among many places: ``choosers``, ``alternatives`` and ``pairs``.
        Flows: ``rows``, one for each origin, destination and year.
    regressors : tuple of str
    nests : dict
        Alternatives of each nest; empty without nests and for flows. For choices among places
        the nests stand within the nest of all who move.
    effects : tuple of str
        Fixed effects of a gravity model; empty for choices.
    random : tuple of str
        Regressors with a normal coefficient.
    draws : int
        For each case, where a coefficient is random.
    specific : dict
        Terms in the utility of one alternative.
    truth : dict
        What the data were drawn with, by parameter; empty for flows.
    """

    name: str
    tables: dict[str, pd.DataFrame]
    regressors: tuple[str, ...]
    nests: dict[str, list]
    effects: tuple[str, ...]
    random: tuple[str, ...]
    draws: int
    specific: Mapping[str, str]
    truth: dict[str, float]

    @property
    def table(self) -> pd.DataFrame:
        """The only table of a problem that has one."""
        return self.tables["rows"]


@dataclass(frozen=True)
class Recipe:
    """How a problem is made and posed.

    Attributes
    ----------
    make : callable
        Draws the arrays from a size and a seed.
    sizes : dict
        The arguments of ``make``, by scale.
    seed : int
    regressors, effects, specific
        As in :class:`Problem`.
    nests : int
        Number of nests that share the alternatives evenly.
    random : bool
        Whether the regressors have normal coefficients.
    """

    make: Callable[..., drawing.Arrays]
    sizes: Mapping[str, tuple]
    seed: int
    regressors: tuple[str, ...]
    nests: int = 0
    effects: tuple[str, ...] = ()
    random: bool = False
    specific: Mapping[str, str] = field(default_factory=dict)


_X = tuple(f"x{k}" for k in range(10))
_PLACES = {"full": (384,), "small": (54,)}
_BY_YEAR = ("origin^year", "destination^year")
RECIPES = {
    "mnl": Recipe(
        drawing.multinomial, {"full": (100_000, 50, 10), "small": (2_000, 50, 10)}, 20_240_501, _X
    ),
    "nested": Recipe(
        drawing.nested,
        {"full": (100_000, 50, 10, LAMBDAS), "small": (2_000, 50, 10, LAMBDAS)},
        20_240_502,
        _X,
        nests=len(LAMBDAS),
    ),
    "nested12": Recipe(
        drawing.nested,
        {"full": (8_333, 50, 10, LAMBDAS), "small": (1_000, 10, 10, LAMBDAS)},
        20_240_504,
        _X,
        nests=len(LAMBDAS),
    ),
    "mixed": Recipe(
        drawing.mixed,
        {"full": (4_000, 3, 3, 500), "small": (1_000, 3, 3, 500)},
        20_240_505,
        _X[:3],
        random=True,
    ),
    "fullset": Recipe(
        drawing.destinations,
        {"full": (500_000, 384), "small": (20_000, 54)},
        20_240_506,
        tuple(drawing.MOVE),
        specific={"stay": "1 + age + kids + college"},
    ),
    "ppml2": Recipe(
        drawing.flows,
        _PLACES,
        20_240_503,
        ("log(distance)", "contiguous", "agreement", "ties"),
        effects=_BY_YEAR,
    ),
    "ppml3": Recipe(
        drawing.flows,
        _PLACES,
        20_240_503,
        ("agreement", "ties"),
        effects=(*_BY_YEAR, "origin^destination"),
    ),
}


def write(name: str, scale: str, folder: Path) -> None:
    """Draw a problem and store it uncompressed."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = RECIPES[name]
    np.savez(folder / f"{name}.npz", **recipe.make(*recipe.sizes[scale], recipe.seed))


def read(path: Path) -> Problem:
    """Read what :func:`write` stored."""
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return pose(path.stem, RECIPES[path.stem], arrays)


def pose(name: str, recipe: Recipe, arrays: drawing.Arrays) -> Problem:
    """Put drawn arrays into tables, and say what to estimate from them."""
    tables: dict[str, dict[str, np.ndarray]] = {}
    for key, values in arrays.items():
        table, _, column = key.partition("/")
        tables.setdefault(table, {})[column] = values
    truth = {name: float(value) for name, value in tables.pop("truth", {}).items()}
    draws = int(tables.pop("draws", {"": 0})[""])
    frames = {table: pd.DataFrame(columns) for table, columns in tables.items()}
    nests: dict[str, list] = {}
    if recipe.nests:
        alternatives = np.unique(frames["rows"]["alt"])
        groups = np.array_split(alternatives, recipe.nests)
        nests = {f"n{m}": group.tolist() for m, group in enumerate(groups)}
    elif "alternatives" in frames:
        regions = frames["alternatives"].groupby("region")["place"]
        nests = {str(region): list(places) for region, places in regions}
    return Problem(
        name,
        frames,
        recipe.regressors,
        nests,
        recipe.effects,
        recipe.regressors if recipe.random else (),
        draws,
        recipe.specific,
        truth,
    )


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
