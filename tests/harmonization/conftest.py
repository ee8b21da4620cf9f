"""A small nation, its tables, and the published loop written out densely."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from choicemodels import Areas, MigrationMatrix
from choicemodels.migration.census import CensusTables


def make_areas(states=3, counties=3, tracts=2, groups=2):
    return Areas.from_geoids(
        [
            f"{s:02d}{c:03d}{t:06d}{b}"
            for s in range(1, states + 1)
            for c in range(1, counties + 1)
            for t in range(1, tracts + 1)
            for b in range(1, groups + 1)
        ]
    )


def make_matrix(areas, seed=1, density=0.4):
    rng = np.random.default_rng(seed)
    moves = sparse.random_array(
        (areas.size, areas.size), density=density, rng=rng, data_sampler=rng.exponential
    )
    stay = sparse.diags_array(rng.uniform(50, 200, areas.size))
    return MigrationMatrix.from_scipy((moves + stay).tocsr(), areas, 2015)


def tables_of(matrix, seed=2, noise=0.3):
    """Tables of a matrix whose areas, pairs and stayers were scaled at random."""
    rng = np.random.default_rng(seed)
    areas = matrix.areas
    values = matrix.values * np.exp(rng.normal(0, noise, matrix.nnz))
    truth = matrix.with_values(values)
    state, county = truth.aggregate("state"), truth.aggregate("county")
    labels = areas.level("state").labels
    return CensusTables(
        year=2015,
        populations=pd.Series(truth.before, areas.labels),
        movers=pd.Series(state.after - state.stayers, labels),
        stayers=pd.Series(state.stayers, labels),
        flows=state.to_frame(),
        before=pd.Series(county.before, county.areas.labels),
        after=pd.Series(county.after, county.areas.labels),
    )


def published_loop(matrix, tables, sweeps=20_000):
    """Rescale a dense matrix as the published method does, multiplying it out at every step."""
    E = matrix.flows.toarray()
    member = {}
    for name in ("county", "state"):
        level = matrix.areas.level(name)
        member[name] = np.eye(level.size)[level.codes]
    E *= (tables.populations.to_numpy() / E.sum(axis=1))[:, None]
    S = member["state"]
    stay = np.diag(E)
    into = S.T @ (E.sum(axis=0) - stay)
    moved = (E - np.diag(stay)) * (S @ (tables.movers.to_numpy() / into))
    E = moved + np.diag(stay * (S @ (tables.stayers.to_numpy() / (S.T @ stay))))
    E *= S @ (tables.flows.to_numpy() / (S.T @ E @ S)) @ S.T
    C = member["county"]
    for _ in range(sweeps):
        E *= C @ (tables.after.to_numpy() / (C.T @ E.sum(axis=0)))
        E *= (C @ (tables.before.to_numpy() / (C.T @ E.sum(axis=1))))[:, None]
    return E


@pytest.fixture
def areas():
    return make_areas()


@pytest.fixture
def matrix(areas):
    return make_matrix(areas)


@pytest.fixture
def tables(matrix):
    return tables_of(matrix)
