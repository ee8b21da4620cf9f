import pyarrow.parquet as pq
import pytest

from choicemodels.errors import DataError, SpecificationError
from microsim import load_run, simulate
from microsim.results.histories import SCHEMA

MONTHS, SHARE = 4, 0.2
SHOCK = {"kind": "ai_displacement", "start_month": 1, "hazard": [{"month": 0, "rate": 0.2}]}


@pytest.fixture(scope="module")
def runs(population, behaviour, make, tmp_path_factory):
    """A run that follows everybody, and one that follows a share of the workers."""
    folder = tmp_path_factory.mktemp("runs")
    options = {"months": MONTHS, "replicates": 2, "scenario": make(shocks=[SHOCK])}
    return tuple(
        simulate(population, behaviour, out=folder / str(share), histories=share, **options)
        for share in (1.0, SHARE)
    )


def test_the_histories_of_all_workers_add_up_to_the_panel(runs):
    everybody = runs[0].histories().df()
    panel = runs[0].metros.set_index(["replicate", "month", "cbsa"])
    by = everybody.groupby(["replicate", "month", "cbsa"])
    for name, counts in {
        "population": by.size(),
        "employed": by["employed"].sum(),
        "arrivals": by["moved"].sum(),
    }.items():
        assert (counts.reindex(panel.index, fill_value=0) == panel[name]).all(), name
    months = everybody.groupby(["replicate", "month"])
    national = runs[0].national.set_index(["replicate", "month"])
    assert (months["displaced"].sum() == national["displaced"]).all()
    assert national["displaced"].sum() > 0
    assert months["savings"].sum().to_numpy() == pytest.approx(national["savings"].to_numpy())
    assert (everybody["date"].dt.month == everybody["month"] + 1).all()


def test_a_share_follows_the_same_people_in_every_replicate_and_month(runs, population):
    everybody, some = (run.histories().df() for run in runs)
    followed = set(some["id"])
    n = len(population.workers)
    assert abs(len(followed) - SHARE * n) < 4 * (n * SHARE * (1 - SHARE)) ** 0.5
    assert len(some) == len(followed) * MONTHS * 2
    assert some.groupby(["replicate", "month"])["id"].apply(set).map(followed.__eq__).all()
    keys = ["replicate", "month", "id"]
    kept = everybody[everybody["id"].isin(followed)].sort_values(keys, ignore_index=True)
    assert kept.equals(some.sort_values(keys, ignore_index=True))


def test_duckdb_reads_what_is_asked_for(runs):
    rows = runs[1].histories()
    assert rows.columns == SCHEMA.names
    total = rows.filter("month = 2 and replicate = 1").aggregate("count(*), sum(moved::int)")
    table = rows.df().query("month == 2 and replicate == 1")
    assert total.fetchall() == [(len(table), table["moved"].sum())]
    assert load_run(runs[1].folder).histories().df().equals(rows.df())


def test_every_file_has_the_same_schema(runs):
    files = list(runs[1].folder.glob("histories/*/*.parquet"))
    assert len(files) == 2 * MONTHS
    assert all(pq.read_schema(path).remove_metadata().equals(SCHEMA) for path in files)


def test_following_people_changes_nothing(runs, population, behaviour, make):
    plain = simulate(population, behaviour, make(shocks=[SHOCK]), months=MONTHS, replicates=2)
    assert plain.metros.equals(runs[0].metros)
    with pytest.raises(DataError, match="kept no histories; simulate with a folder"):
        plain.histories()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"histories": 1.5, "out": "x"}, r"histories is 1\.5; give a share"),
        ({"histories": 0.1}, "histories needs the folder"),
    ],
)
def test_bad_shares_are_refused(population, behaviour, options, message):
    with pytest.raises(SpecificationError, match=message):
        simulate(population, behaviour, months=1, **options)
