"""Choices in files: the same answers, on this machine or on a cluster, whoever dies."""

import os
import signal

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MixedLogit, MultinomialLogit, NestedLogit
from choicemodels.choices.partitioned import PartitionedChoiceData
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit

ALTERNATIVES = ("bus", "car", "rail", "walk")


def table(cases=600, seed=0):
    """Draw choices among four modes, a text column with a rare level, two choices a person."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 4),
            "mode": np.tile(ALTERNATIVES, cases),
            "cost": rng.normal(size=4 * cases),
            "time": rng.normal(size=4 * cases),
            "person": np.repeat(np.arange(cases) // 2, 4),
            "region": np.repeat(np.where(np.arange(cases) < 20, "isle", "main"), 4),
            "w": np.repeat(rng.uniform(0.5, 1.5, cases), 4),
        }
    )
    V = -rows["cost"] - 0.5 * rows["time"] * (1 + (rows["region"] == "isle"))
    alike = rng.normal(0, 1.5, (cases, 2))[:, [0, 1, 0, 1]]
    u = (V + rng.gumbel(size=len(V))).to_numpy().reshape(-1, 4) + alike
    rows["took"] = (u == u.max(axis=1, keepdims=True)).astype(int).ravel()
    return rows


def write(rows, folder, files=4):
    """Cut by person: no case and no person is in two files."""
    for k, people in enumerate(np.array_split(rows["person"].unique(), files)):
        rows[rows["person"].isin(people)].to_parquet(folder / f"part{k}.parquet")
    return folder


COLUMNS = {"case": "case", "alternative": "mode", "chosen": "took", "weights": "w"}
NESTED = NestedLogit(
    "cost + time + region:time | region",
    {"public": ["bus", "rail"], "private": ["car", "walk"]},
    base="car",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(table(), tmp_path_factory.mktemp("choices"))


@pytest.fixture(scope="module")
def whole():
    return ChoiceData.from_long(table(), **COLUMNS, alternatives=ALTERNATIVES)


def same(ours, theirs):
    assert ours.names == theirs.names
    assert ours.llf == pytest.approx(theirs.llf, abs=1e-9)
    np.testing.assert_allclose(ours.estimate, theirs.estimate, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.cov_params(), theirs.cov_params(), rtol=1e-8, atol=1e-12)
    assert ours.llconstants == pytest.approx(theirs.llconstants, abs=1e-9)


def test_a_fit_over_files_equals_that_over_their_rows(folder, whole):
    data = PartitionedChoiceData.from_long(folder, **COLUMNS)
    assert data.alternatives == ALTERNATIVES
    ours, theirs = fit(NESTED, data), fit(NESTED, whole)
    same(ours, theirs)
    np.testing.assert_allclose(ours.score_obs, theirs.score_obs, rtol=1e-9, atol=1e-11)
    clustered = theirs.with_cov("cluster", groups="person").bse
    np.testing.assert_allclose(ours.with_cov("cluster", groups="person").bse, clustered)


def test_a_mixed_logit_needs_the_data_in_memory(folder):
    data = PartitionedChoiceData.from_long(folder, **COLUMNS, panel="person")
    with pytest.raises(SpecificationError, match="draws"):
        fit(MixedLogit("cost + time | 0", random={"time": "normal"}, draws=50), data)


@pytest.fixture(scope="module")
def client():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_two_workers_give_the_local_answer(client, folder, whole):
    data = PartitionedChoiceData.from_long(folder, **COLUMNS)
    same(fit(NESTED, data, engine=client), fit(NESTED, whole))


def test_a_worker_that_dies_costs_time_and_nothing_else(client, folder, whole):
    data = PartitionedChoiceData.from_long(folder, **COLUMNS)
    victims = []

    def kill(iteration, llf):
        if iteration == 2:
            victims.append(next(iter(client.run(os.getpid).values())))
            os.kill(victims[0], signal.SIGKILL)

    found = fit(NESTED, data, engine=client, progress=kill)
    assert len(victims) == 1
    assert victims[0] not in client.run(os.getpid).values()
    same(found, fit(NESTED, whole))


def test_what_needs_rows_says_so(folder, whole):
    data = PartitionedChoiceData.from_long(folder, **COLUMNS)
    result = fit(MultinomialLogit("cost + time"), data)
    with pytest.raises(EstimationError, match="4 files; go through"):
        result.predict()
    total = sum(len(result.predict(part)) for part in data.partitions())
    assert total == len(whole.table)
    with pytest.raises(SpecificationError, match="shares out the files"):
        fit(MultinomialLogit("cost"), whole, engine=object())
    with pytest.raises(SpecificationError, match="pass a dask"):
        fit(MultinomialLogit("cost"), data, engine=object())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t, "the case 0 has rows in 0.parquet, 1.parquet"),
        (lambda t: t.drop(columns="mode"), "has no column 'mode'"),
        (lambda t: t.assign(took=0), "no alternative chosen: case 0"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, spoil, message):
    rows = spoil(table(40))
    for k in range(2):
        rows.to_parquet(tmp_path / f"{k}.parquet")
    with pytest.raises(DataError, match=message):
        PartitionedChoiceData.from_long(tmp_path, **COLUMNS)


def test_folders_without_files(tmp_path):
    with pytest.raises(DataError, match="file in"):
        PartitionedChoiceData.from_long(tmp_path, **COLUMNS)
    with pytest.raises(DataError, match="there is no file"):
        PartitionedChoiceData.from_long(tmp_path / "none.parquet", **COLUMNS)
