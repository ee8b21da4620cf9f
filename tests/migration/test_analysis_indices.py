"""Indices of migration: published values, a system worked by hand, brute force."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from choicemodels.errors import DataError, SpecificationError
from choicemodels.migration.areas import Areas
from choicemodels.migration.matrix import MigrationMatrix
from estimation.migration.indices import flow_gini, migration_indices
from estimation.migration.rates import migration_rates

PUBLISHED = Path(__file__).parents[1] / "published"


def system(flows, labels=None):
    flows = np.array(flows, dtype=float)
    names = labels or [f"R{i}" for i in range(len(flows))]
    areas = Areas.from_table(pd.DataFrame({"region": names, "all": "x"}), "region", ["all"])
    return MigrationMatrix.from_scipy(csr_array(flows), areas)


@pytest.fixture(scope="module")
def published():
    folder = PUBLISHED / "PlaneMulligan1997"
    return pd.read_csv(folder / "hypothetical.csv"), pd.read_csv(folder / "gini.csv")


@pytest.mark.parametrize("name", ["first", "second"])
def test_published_gini_indices(published, name):
    flows, values = published
    flows, values = (t[t["system"] == name] for t in (flows, values))
    # The article divides by all cells, we by one less.
    total = values.loc[values["index"] == "total", "value"].item()
    assert flow_gini(flows["flow"].to_numpy(float), 6) * 5 / 6 == pytest.approx(total, abs=1e-8)
    for field, column in (("out", "origin"), ("in", "destination")):
        wanted = values[values["index"] == field].set_index("area")["value"]
        found = flows.groupby(column)["flow"].apply(lambda f: flow_gini(f.to_numpy(float), 2))
        np.testing.assert_allclose(found, wanted[found.index], atol=1e-12)
        wide = flows.pivot(index="origin", columns="destination", values="flow").fillna(0)
        row = migration_indices(system(wide)).iloc[0]
        weights = flows.groupby(column)["flow"].sum()
        average = np.average(wanted[weights.index], weights=weights)
        assert row[f"gini_{field}"] == pytest.approx(average, abs=1e-12)


def test_turnover_and_effectiveness_of_four_regions():
    table = pd.read_csv(PUBLISHED / "migest_2_0_5" / "turnover.csv").set_index("region")
    flows = table[list("ABCD")].to_numpy() + np.diag([800, 900, 865, 435])
    matrix = system(flows, list("ABCD"))
    rates = migration_rates(matrix)
    for mine, theirs in (("in", "in"), ("out", "out"), ("net", "net")):
        assert rates[mine].tolist() == table[theirs].tolist()
    row = migration_indices(matrix).iloc[0]
    # 500 of 3,500 people move; 220 of 1,000 arrivals and departures do not balance.
    assert row["intensity"] == pytest.approx(100 * 500 / 3500)
    assert row["effectiveness"] == pytest.approx(22)
    assert row["impact"] == pytest.approx(row["intensity"] * row["effectiveness"] / 100)
    assert row["connectivity"] == 1


def test_courgeau_k_of_korea():
    theirs = pd.read_csv(PUBLISHED / "migest_2_0_5" / "intensity.csv").iloc[0]
    n = int(theirs["areas"])
    people = 1e6
    each = theirs["intensity"] / 100 * people / (n * (n - 1))
    flows = np.full((n, n), each)
    np.fill_diagonal(flows, people / n - each * (n - 1))
    row = migration_indices(system(flows)).iloc[0]
    assert row["intensity"] == pytest.approx(theirs["intensity"])
    assert row["courgeau_k"] == pytest.approx(theirs["courgeau_k"], abs=5e-4)


def test_equal_flows_are_equal_in_every_index():
    row = migration_indices(system(np.full((4, 4), 5.0))).iloc[0]
    for name in ("effectiveness", "impact", "inequality", "gini", "gini_mean", "cv", "theil"):
        assert row[name] == pytest.approx(0, abs=1e-12)


def test_one_flow_alone_is_as_unequal_as_can_be():
    flows = np.diag([10.0, 10, 10])
    flows[0, 2] = 4
    row = migration_indices(system(flows)).iloc[0]
    for name in ("gini", "gini_out", "gini_in"):
        assert row[name] == pytest.approx(1)
    assert row["effectiveness"] == 100
    assert row["connectivity"] == pytest.approx(1 / 6)
    assert row["inequality"] == pytest.approx(1 - 1 / 6)
    assert row["theil"] == pytest.approx(np.log(6))


@pytest.mark.parametrize("level", [None, "tract", "county"])
def test_indices_against_brute_force(village, level):
    group = village.areas.level(level or "block_group")
    C = np.eye(group.size)[group.codes]
    flows = C.T @ village.dense @ C
    n, P = len(flows), flows.sum()
    off = ~np.eye(n, dtype=bool)
    x = flows[off]
    left, come = ((flows * off).sum(axis=axis) for axis in (1, 0))

    def gini(values):
        return np.abs(values[:, None] - values).sum() / (2 * (len(values) - 1) * values.sum())

    expected = {
        "areas": n,
        "intensity": 100 * x.sum() / P,
        "effectiveness": 100 * np.abs(come - left).sum() / (come + left).sum(),
        "impact": 50 * np.abs(come - left).sum() / P,
        "connectivity": (x > 0).mean(),
        "inequality": np.abs(x / x.sum() - 1 / len(x)).sum() / 2,
        "gini": gini(x),
        "gini_out": sum(left[i] * gini(flows[i][off[i]]) for i in range(n)) / left.sum(),
        "gini_in": sum(come[i] * gini(flows[:, i][off[i]]) for i in range(n)) / come.sum(),
        "cv": x.std() / x.mean(),
        "theil": sum(v / x.sum() * np.log(len(x) * v / x.sum()) for v in x[x > 0]),
    }
    row = migration_indices(village.matrix, level).iloc[0]
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9), name


def test_nobody_moves():
    row = migration_indices(system(np.eye(3))).iloc[0]
    assert row["intensity"] == 0
    assert row["impact"] == 0
    assert row["connectivity"] == 0
    assert np.isnan(row["gini"])
    assert np.isnan(row["effectiveness"])


def test_what_has_no_indices_is_refused(village):
    with pytest.raises(DataError, match=r"three state areas or more; there are 2"):
        migration_indices(village.matrix, "state")
    with pytest.raises(DataError, match="no people"):
        migration_indices(system(np.zeros((3, 3))))
    with pytest.raises(SpecificationError, match="no level 'region'"):
        migration_indices(village.matrix, "region")
