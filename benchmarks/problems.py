"""The benchmark problems: generated once from fixed seeds, read alike by every package.

Needs numpy and pandas alone, so that it runs in each peer's environment.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

COVARIATES = 10
ALTERNATIVES = 50
LAMBDAS = (0.5, 0.6, 0.7, 0.8, 0.9)
YEARS = 10
CASES = {"full": 100_000, "small": 2_000}
PLACES = {"full": 384, "small": 54}


@dataclass(frozen=True, eq=False)
class Problem:
    """What to estimate, and the table to estimate it from.

    Attributes
    ----------
    name : str
    table : DataFrame
        Choices: one row a case and alternative (``case``, ``alt``, ``chosen``, ``x0`` ...).
        Flows: one row an origin, destination and year.
    regressors : tuple of str
    nests : dict
        Alternatives of each nest; empty for the multinomial logit and for flows.
    effects : tuple of str
        Fixed effects of a gravity model; empty for choices.
    """

    name: str
    table: pd.DataFrame
    regressors: tuple[str, ...]
    nests: dict[str, list[int]]
    effects: tuple[str, ...]


def covariates(cases: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw X, shape (N, J, K), and return it with its utilities, shape (N, J)."""
    X = rng.standard_normal((cases, ALTERNATIVES, COVARIATES))
    beta = np.linspace(-0.9, 0.9, COVARIATES)
    return X, X @ beta


def mnl(scale: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20_240_501)
    X, V = covariates(CASES[scale], rng)
    return choices(X, (V + rng.gumbel(size=V.shape)).argmax(axis=1))


def nested(scale: str) -> dict[str, np.ndarray]:
    """Draw the nest from its probability, then the alternative within it."""
    rng = np.random.default_rng(20_240_502)
    X, V = covariates(CASES[scale], rng)
    lambdas = np.array(LAMBDAS)
    scaled = V.reshape(len(V), len(lambdas), -1) / lambdas[:, None]
    inclusive = np.log(np.exp(scaled).sum(axis=2))
    nest = (lambdas * inclusive + rng.gumbel(size=inclusive.shape)).argmax(axis=1)
    inside = scaled[np.arange(len(V)), nest]
    member = (inside + rng.gumbel(size=inside.shape)).argmax(axis=1)
    return choices(X, nest * inside.shape[1] + member)


def choices(X: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    N, J, K = X.shape
    columns = {
        "case": np.repeat(np.arange(N), J),
        "alt": np.tile(np.arange(1, J + 1), N),
        "chosen": (np.arange(J) == chosen[:, None]).ravel().astype(np.int8),
    }
    return columns | {f"x{k}": X[:, :, k].ravel() for k in range(K)}


def flows(scale: str) -> dict[str, np.ndarray]:
    """Draw flows among places on a plane, with effects of places by year and of pairs."""
    rng = np.random.default_rng(20_240_503)
    n = PLACES[scale]
    o, d, t = (index.ravel() for index in np.indices((n, n, YEARS)))
    place = rng.uniform(0, 1, (n, 2))
    distance = 0.01 + np.hypot(*(place[o] - place[d]).T)
    contiguous = (distance < 0.08).astype(float)
    agreement = (rng.uniform(size=(n, n)) * 2 * YEARS)[o, d] < t
    ties = rng.standard_normal((n, n))[o, d] + rng.standard_normal(len(o))
    eta = -1.1 * np.log(distance) + 0.4 * contiguous + 0.3 * agreement + 0.1 * ties
    eta += rng.normal(0, 0.7, (n, YEARS))[o, t] + rng.normal(0, 0.7, (n, YEARS))[d, t]
    eta += rng.normal(0, 0.5, (n, n))[o, d]
    return {
        "origin": o,
        "destination": d,
        "year": 2010 + t,
        "pair": o * n + d,
        "distance": distance,
        "contiguous": contiguous,
        "agreement": agreement.astype(float),
        "ties": ties,
        "flow": rng.poisson(np.exp(eta)).astype(float),
    }


@dataclass(frozen=True)
class Recipe:
    """How a problem is made and posed."""

    make: Callable[[str], dict[str, np.ndarray]]
    regressors: tuple[str, ...]
    nests: int = 0
    effects: tuple[str, ...] = ()


_X = tuple(f"x{k}" for k in range(COVARIATES))
_BY_YEAR = ("origin^year", "destination^year")
RECIPES = {
    "mnl": Recipe(mnl, _X),
    "nested": Recipe(nested, _X, nests=len(LAMBDAS)),
    "ppml2": Recipe(
        flows, ("log(distance)", "contiguous", "agreement", "ties"), effects=_BY_YEAR
    ),
    "ppml3": Recipe(
        flows, ("agreement", "ties"), effects=(*_BY_YEAR, "origin^destination")
    ),
}  # fmt: skip


def write(name: str, scale: str, folder: Path) -> None:
    """Draw a problem's table and store it uncompressed."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{name}.npz", **RECIPES[name].make(scale))


def read(path: Path) -> Problem:
    """Read what :func:`write` stored."""
    recipe = RECIPES[path.stem]
    with np.load(path) as columns:
        table = pd.DataFrame({name: columns[name] for name in columns.files})
    members = np.array_split(np.arange(1, ALTERNATIVES + 1), recipe.nests) if recipe.nests else []
    nests = {f"n{m}": group.tolist() for m, group in enumerate(members)}
    return Problem(path.stem, table, recipe.regressors, nests, recipe.effects)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
