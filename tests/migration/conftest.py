"""A village with everything that analyses ask for, and its moves as a dense array."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix

GROUPS = ["white", "black", "hispanic"]


@dataclass(frozen=True)
class Village:
    areas: Areas
    matrix: MigrationMatrix
    dense: np.ndarray

    def other(self, year, seed):
        """The same places in another year."""
        return village_of(self.areas, year, seed)


def areas_of(size=40, seed=1):
    rng = np.random.default_rng(seed)
    at = np.arange(size)
    names = [f"{1 + i // 20:02d}{1 + i // 10:03d}{1 + i // 4:06d}{1 + i % 4}" for i in at]
    people = rng.integers(0, 400, (size, 3)) + 1
    table = pd.DataFrame(
        {
            "longitude": -100 + rng.uniform(0, 2, size),
            "latitude": 40 + rng.uniform(0, 2, size),
            **dict(zip(GROUPS, people.T, strict=True)),
            "population": people.sum(axis=1),
            "income": rng.lognormal(10.9, 0.4, size).round(),
            "urban": rng.random(size) < 0.6,
        }
    )
    return Areas.from_geoids(names, table)


def village_of(areas, year=2015, seed=2):
    rng = np.random.default_rng(seed)
    N = areas.size
    dense = rng.gamma(0.6, 6, (N, N)) * (rng.random((N, N)) < 0.4)
    dense[np.arange(N), np.arange(N)] = rng.integers(0, 300, N) * (rng.random(N) < 0.9)
    matrix = MigrationMatrix.from_scipy(csr_array(dense), areas, year)
    return Village(areas, matrix, dense)


@pytest.fixture(scope="session")
def village():
    return village_of(areas_of())
