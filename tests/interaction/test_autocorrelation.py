"""Moran's I of residuals and the filter: another package's numbers, definitions, simulation."""

import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.interaction.models import Radiation, SpatialInteraction
from estimation import fit
from estimation.interaction.autocorrelation import moran, residual_autocorrelation
from estimation.interaction.filtering import filter_autocorrelation, network_eigenvectors
from estimation.interaction.neighbours import flow_weights, nearest_places, place_weights

PUBLISHED = Path(__file__).parents[1] / "published/esda_2_9_0/values.toml"


@pytest.fixture(scope="module")
def near(austria):
    return nearest_places(austria, count=3)


@pytest.fixture(scope="module")
def exponential(austria):
    return fit(SpatialInteraction(), austria)


def test_esda_on_austria(exponential, near):
    want = tomllib.loads(PUBLISHED.read_text("utf-8"))
    found = residual_autocorrelation(exponential, near, permutations=0)
    assert list(found.index) == list(want)
    for level, values in want.items():
        for name, value in values.items():
            # The residuals are those of two optimisers.
            assert found.loc[level, name] == pytest.approx(value, rel=1e-8)
    assert found["pvalue_permutations"].isna().all()


def test_a_gravity_result_has_the_same_residuals(austria, exponential, near):
    ppml = fit(Gravity("distance | origin + destination"), austria, tol=1e-12)
    pd.testing.assert_frame_equal(
        residual_autocorrelation(ppml, near, permutations=99),
        residual_autocorrelation(exponential, near, permutations=99),
        rtol=1e-7,
    )


def test_moran_by_its_definition():
    rng = np.random.default_rng(2)
    z, w = rng.normal(size=9), rng.uniform(size=(9, 9)) * (rng.uniform(size=(9, 9)) < 0.5)
    np.fill_diagonal(w, 0)
    w[4] = 0
    found = moran(z, csr_array(w), permutations=199, seed=3)
    rows = w.sum(axis=1, keepdims=True)
    W = np.divide(w, rows, out=np.zeros_like(w), where=rows > 0)
    c = z - z.mean()
    double = sum(W[i, j] * c[i] * c[j] for i in range(9) for j in range(9))
    assert found.statistic == pytest.approx(9 / W.sum() * double / (c @ c))
    assert found.expected == -1 / 8
    assert found.islands == 1
    # The moments are those over all permutations.
    many = np.random.default_rng(0)
    shuffled = many.permuted(np.tile(c, (40_000, 1)), axis=1)
    drawn = 9 / W.sum() * np.einsum("ri,ij,rj->r", shuffled, W, shuffled) / (c @ c)
    assert (found.statistic - drawn.mean()) / drawn.std() == pytest.approx(found.z, abs=0.03)
    share = (np.abs(drawn - found.expected) >= abs(found.statistic - found.expected)).mean()
    assert found.pvalue_permutations == pytest.approx(share, abs=0.1)


def test_permutations_depend_on_their_seed(exponential, near):
    one, two, other = (
        residual_autocorrelation(exponential, near, permutations=99, seed=s) for s in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(other)


@pytest.mark.parametrize(
    ("values", "links", "reason"),
    [
        ([1.0, 2.0, 3.0], np.ones((3, 3)), "fewer than four units"),
        ([1.0, 2.0, 3.0, 5.0], np.zeros((4, 4)), "no unit has a neighbour"),
        ([0.1] * 4, np.ones((4, 4)) - np.eye(4), "the values do not vary"),
    ],
)
def test_what_has_no_moran_says_why(values, links, reason):
    found = moran(values, csr_array(links))
    assert found.statistic is None
    assert found.pvalue is None
    assert found.reason == reason


def test_moran_of_what_cannot_be():
    with pytest.raises(DataError, match=r"2 values need weights of shape \(2, 2\)"):
        moran([1.0, 2.0], csr_array(np.ones((3, 3))))
    with pytest.raises(DataError, match="not finite"):
        moran([1.0, np.nan], csr_array(np.ones((2, 2))))
    with pytest.raises(SpecificationError, match="permutations is -1"):
        moran([1.0, 2.0], csr_array(np.ones((2, 2))), permutations=-1)


def test_nearest_places_by_a_loop(austria, near):
    table = austria.table
    for place, group in table.groupby("origin"):
        want = set(group.nsmallest(3, "distance")["destination"])
        row = near.matrix[[near.labels.get_loc(place)]].toarray()[0]
        assert set(near.labels[row > 0]) == want


@pytest.mark.parametrize("link", ["both", "origin", "destination"])
def test_flows_are_neighbours_as_their_places_are(austria, near, link):
    found = flow_weights(austria, np.arange(72), near, link).toarray()
    W = pd.DataFrame(near.matrix.toarray(), near.labels, near.labels)
    table = austria.table
    for i in range(0, 72, 7):
        for j in range(72):
            a, b = table.loc[i], table.loc[j]
            first, second = W.loc[a.origin, b.origin], W.loc[a.destination, b.destination]
            same = a.origin == b.origin, a.destination == b.destination
            want = {
                "both": first * second,
                "origin": first * same[1],
                "destination": same[0] * second,
            }[link]
            assert found[i, j] == want


def test_weights_from_a_table_and_from_libpysal(near):
    dense = near.matrix.toarray()
    table = pd.DataFrame(dense + np.eye(9), near.labels, near.labels)
    w = SimpleNamespace(id_order=list(near.labels), sparse=near.matrix)
    graph = SimpleNamespace(unique_ids=near.labels, sparse=near.matrix)
    for given in (table, w, graph, near):
        taken = place_weights(given)
        np.testing.assert_array_equal(taken.matrix.toarray(), dense)
        assert list(taken.labels) == list(near.labels)


def test_weights_that_cannot_be(austria, near, exponential):
    table = pd.DataFrame(near.matrix.toarray(), near.labels, near.labels)
    for bad, message in (
        (table.iloc[::-1], "in the same order"),
        (-table, "zero or more"),
        ([1, 2], "not as a list"),
    ):
        with pytest.raises(DataError, match=message):
            place_weights(bad)
    with pytest.raises(DataError, match=r"1 places of the flows are not among.*\(AT11\)"):
        residual_autocorrelation(exponential, table.iloc[1:, 1:])
    with pytest.raises(SpecificationError, match="the link 'all' is unknown"):
        flow_weights(austria, np.arange(72), near, "all")
    with pytest.raises(SpecificationError, match="count is 0"):
        nearest_places(austria, count=0)
    with pytest.raises(DataError, match="9 places have fewer than 9 rows"):
        nearest_places(austria, count=9)


@pytest.mark.parametrize("count", [10, 71])
def test_eigenvectors_by_their_definition(austria, near, count):
    W = flow_weights(austria, np.arange(72), near, "both")
    values, vectors = network_eigenvectors(W, count)
    K = 0.5 * (W + W.T).toarray()
    M = np.eye(72) - 1 / 72
    full = np.sort(np.linalg.eigvalsh(M @ K @ M))[::-1]
    np.testing.assert_allclose(values, full[: len(values)], rtol=1e-9)
    assert len(values) == min(count, (full > 1e-9).sum())
    np.testing.assert_allclose(vectors @ (M @ K @ M), values[:, None] * vectors, atol=1e-9)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(values)), atol=1e-9)
    np.testing.assert_allclose(vectors.sum(axis=1), 0, atol=1e-9)


def test_weights_without_positive_patterns():
    # Everyone a neighbour of everyone else: the only patterns are of contrast.
    with pytest.raises(EstimationError, match="no pattern of positive autocorrelation"):
        network_eigenvectors(csr_array(np.ones((6, 6)) - np.eye(6)), 3)


@pytest.fixture(scope="module")
def patterned(places):
    """Flows with an omitted variable that neighbouring flows share."""
    table = places[places["origin"] != places["destination"]].reset_index(drop=True)
    blank = FlowData(table.assign(flow=1.0), "origin", "destination", "flow")
    links = nearest_places(blank, count=3)
    _, vectors = network_eigenvectors(flow_weights(blank, np.arange(len(table)), links), 6)
    omitted = 5.0 * vectors[2] - 4.0 * vectors[4]
    mu = table["origin_mass"] * table["destination_mass"] / table["distance"] * np.exp(omitted)
    y = np.random.default_rng(4).poisson(30 * len(table) * mu / mu.sum()).astype(float)
    return FlowData(table.assign(flow=y), "origin", "destination", "flow"), links


@pytest.mark.parametrize("constraint", ["none", "doubly"])
def test_the_filter_takes_the_autocorrelation_out(patterned, masses, constraint):
    data, links = patterned
    model = SpatialInteraction(deterrence="power", constraint=constraint, **masses)
    found = filter_autocorrelation(model, data, links, candidates=20)
    steps = found.steps
    assert steps["pvalue"].iloc[0] < 1e-4
    assert steps["pvalue"].iloc[-1] > 0.1
    assert (steps["z"].abs().diff().dropna() < 0).all()
    assert set(steps["vector"].dropna()) >= {3}
    assert not found.notes
    assert found.result.converged
    # The table says what the result shows.
    again = residual_autocorrelation(found.result, links, permutations=0)
    assert again.loc["network", "statistic"] == pytest.approx(steps["moran"].iloc[-1], rel=1e-9)
    # The truth is -1, and the omitted patterns were in the coefficient's way.
    distance = found.result.params["log(distance)"]
    assert abs(distance + 1) < 4 * found.result.bse["log(distance)"]
    assert list(found.vectors.columns) == [
        name for name in found.result.names if name.startswith("eigenvector")
    ]


def test_the_first_choice_is_among_the_best_of_all_refits(patterned):
    data, links = patterned
    model = Gravity("log(distance) | origin + destination")
    rows = np.arange(data.nobs)
    W = flow_weights(data, rows, links)
    _, vectors = network_eigenvectors(W, 8)
    distance = []
    for e in vectors:
        table = data.table.assign(e=e)
        wider = FlowData(table, "origin", "destination", "flow")
        result = fit(Gravity("log(distance) + e | origin + destination"), wider)
        residual = (data.y - result.sample.mu) / np.sqrt(result.sample.mu)
        distance.append(abs(moran(residual, W, permutations=0).z))
    first = filter_autocorrelation(model, data, links, candidates=8).steps["vector"].iloc[1]
    assert np.argsort(distance).tolist().index(first - 1) < 2


def test_a_filter_with_nothing_to_take_out_adds_nothing(austria, near, exponential):
    found = filter_autocorrelation(SpatialInteraction(), austria, near)
    assert len(found.steps) == 1
    assert found.vectors.shape == (72, 0)
    assert found.result.estimate == pytest.approx(exponential.estimate, rel=1e-7)


def test_a_filter_that_may_not_go_on_says_so(patterned):
    data, links = patterned
    model = Gravity("log(distance) | origin + destination")
    found = filter_autocorrelation(model, data, links, candidates=20, most=1)
    assert found.notes == ("autocorrelation is left, but 1 vectors are the most.",)


def test_filters_that_cannot_be(austria, near, masses):
    with pytest.raises(SpecificationError, match="Radiation is not log-linear"):
        filter_autocorrelation(Radiation(**masses), austria, near)
    with pytest.raises(SpecificationError, match="alpha=2"):
        filter_autocorrelation(SpatialInteraction(), austria, near, alpha=2)
