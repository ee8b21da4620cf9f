import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData, Gravity
from choicemodels.errors import SpecificationError
from estimation import fit, harmonize
from estimation.harmonization.poisson import poisson_effects
from estimation.harmonization.steps import Flows, Margins, published_steps

from .conftest import make_matrix, tables_of


def test_balancing_is_the_poisson_fit_with_the_matrix_as_offset(areas):
    # Any flows with these margins have the same sufficient statistics.
    matrix = make_matrix(areas, density=1.0)
    tables = tables_of(matrix, noise=0.5)
    found = harmonize(matrix, [Margins(tables.before, tables.after)])
    effects = poisson_effects(found)
    seed = matrix.aggregate("county").to_frame()
    rng = np.random.default_rng(3)
    other = seed * rng.uniform(0.5, 2, seed.shape)
    for _ in range(5_000):
        other *= tables.after.to_numpy() / other.sum(axis=0).to_numpy()
        other = other.mul(tables.before / other.sum(axis=1), axis=0)
    rows = other.stack().rename_axis(["origin", "destination"]).rename("flow").reset_index()
    rows["E"] = seed.stack().to_numpy()
    result = fit(
        Gravity("0 | origin + destination", offset="log(E)"),
        FlowData(rows, "origin", "destination", "flow"),
        cov="hessian",
    )
    fitted = found.matrix.aggregate("county").to_frame().stack().to_numpy()
    np.testing.assert_allclose(result.sample.mu, fitted, rtol=1e-7)
    o, d = np.meshgrid(effects["origin"], effects["destination"], indexing="ij")
    ratio = np.log(fitted / rows["E"]).to_numpy().reshape(o.shape)
    np.testing.assert_allclose(ratio - ratio.mean(), o + d, atol=1e-8)


def test_standard_errors_are_those_of_the_full_information(areas):
    matrix = make_matrix(areas, density=1.0)
    tables = tables_of(matrix)
    found = harmonize(matrix, [Margins(tables.before, tables.after)])
    effects = poisson_effects(found)
    M = found.matrix.aggregate("county").to_frame().to_numpy()
    C = len(M)
    information = np.block([[np.diag(M.sum(1)), M], [M.T, np.diag(M.sum(0))]])
    # Effects of mean zero: project the inverse on contrasts within each side.
    cov = np.linalg.pinv(information)
    center = np.kron(np.eye(2), np.eye(C) - 1 / C)
    se = np.sqrt(np.diag(center @ cov @ center))
    np.testing.assert_allclose(effects["origin se"], se[:C], rtol=1e-9)
    np.testing.assert_allclose(effects["destination se"], se[C:], rtol=1e-9)


@pytest.mark.slow
def test_standard_errors_are_the_spread_of_poisson_counts(areas):
    matrix = make_matrix(areas, density=1.0)
    seed = matrix.aggregate("county").to_frame()
    rng = np.random.default_rng(8)
    draws = []
    for _ in range(400):
        counts = pd.DataFrame(rng.poisson(seed), seed.index, seed.columns)
        found = harmonize(matrix, [Margins(counts.sum(axis=1), counts.sum(axis=0))])
        draws.append(poisson_effects(found))
    spread = np.std([d["origin"] for d in draws], axis=0)
    # A standard deviation of 400 draws is within 4 x 1/sqrt(800) of the truth.
    np.testing.assert_allclose(spread / draws[0]["origin se"], 1, atol=0.2)


def test_only_the_last_balance_estimates_effects(matrix, tables):
    steps = published_steps(tables)
    found = harmonize(matrix, [*steps, Flows(tables.flows)])
    with pytest.raises(SpecificationError, match="1 populations is a ratio of sums"):
        poisson_effects(found, 0)
    with pytest.raises(SpecificationError, match="steps after 4 margins changed"):
        poisson_effects(found, 3)
    with pytest.raises(SpecificationError, match="there are 5 steps; 7 is none"):
        poisson_effects(found, 7)
