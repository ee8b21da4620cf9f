"""Flows from matrices and from cells, covariates attached, gaps filled where declared."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from choicemodels import FlowData
from choicemodels.errors import DataError, SpecificationError

PLACES = ["a", "b", "c"]
MATRIX = pd.DataFrame([[0.0, 1, np.nan], [2, 5, 3], [4, 0, 6]], index=PLACES, columns=PLACES)


def value(flows, row):
    return flows.describe().loc[row, "value"]


def test_a_matrix_goes_there_and_back_with_its_gaps():
    flows = FlowData.from_matrix(MATRIX)
    assert flows.nobs == 8
    assert value(flows, "missing cells") == 1
    assert value(flows, "zero flows") == 2
    assert flows.missing_pairs.example == ("a", "c")
    np.testing.assert_array_equal(flows.to_matrix(), MATRIX)


def test_an_array_needs_labels():
    flows = FlowData.from_matrix(MATRIX.to_numpy(), origins=PLACES)
    np.testing.assert_array_equal(flows.to_matrix(), MATRIX)
    wide = FlowData.from_matrix(np.ones((1, 2)), origins=["a"], destinations=["b", "c"])
    assert wide.nobs == 2
    with pytest.raises(DataError, match="array without labels"):
        FlowData.from_matrix(MATRIX.to_numpy())


def test_matrices_by_period_may_have_different_places():
    later = pd.DataFrame([[1.0]], index=["a"], columns=["d"])
    flows = FlowData.from_matrix({1990: MATRIX, 2000: later}, time="year")
    assert flows.nobs == 9
    assert flows.to_matrix(2000).loc["a", "d"] == 1
    assert value(flows, "pairs") == 9
    assert value(flows, "pairs in every period") == 0
    assert not value(flows, "balanced")
    assert value(flows, "fewest rows in a period") == "1 (2000)"
    assert value(FlowData.from_matrix({1: MATRIX, 2: MATRIX}), "balanced")


@pytest.mark.parametrize(
    ("matrix", "options", "message"),
    [
        (MATRIX.to_numpy(), {"origins": ["a", "b"]}, r"shape \(3, 3\), but there are 2 origins"),
        (MATRIX.set_axis(["a", "a", "b"]), {}, "a labels several rows of the matrix"),
        (MATRIX.set_axis(["a", None, "b"]), {}, "a label of the rows of the matrix is missing"),
        (
            pd.DataFrame([[0, 1], [1, 0]], index=[1, 2], columns=["1", "2"]),
            {},
            "1, 2 is integer among the origins and string among the destinations",
        ),
        (
            MATRIX.set_axis(pd.MultiIndex.from_product([["a"], PLACES])),
            {},
            "the rows of the matrix have labels of 2 parts",
        ),
        (MATRIX.astype(object).replace(5.0, "x"), {}, "not a number"),
        ({}, {}, "no matrix was given"),
        ({1: MATRIX, 2: -MATRIX}, {}, "'flow' is negative"),
        ({1: MATRIX, 2: MATRIX.set_axis(["a", "a", "b"])}, {}, "the matrix of 2"),
        (MATRIX, {"origins": PLACES}, "labels of its own"),
    ],
)
def test_bad_matrices_are_refused(matrix, options, message):
    with pytest.raises((DataError, SpecificationError), match=message):
        FlowData.from_matrix(matrix, **options)


@pytest.fixture
def moves():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.choice(list("abcd"), (500, 2)), columns=["home", "work"])
    frame["year"] = rng.integers(2000, 2003, 500)
    frame["weight"] = rng.integers(1, 9, 500) / 4
    return frame


def test_cells_add_up_as_pandas_adds_them(moves, tmp_path):
    expected = moves.groupby(["home", "work", "year"], as_index=False)["weight"].sum()
    paths = [tmp_path / "part-1.parquet", tmp_path / "part-2.parquet"]
    moves[:200].to_parquet(paths[0])
    moves[200:].to_parquet(paths[1])
    moves.to_csv(tmp_path / "moves.csv", index=False)
    names = {"origin": "home", "destination": "work", "time": "year", "flow": "weight"}
    connection = duckdb.connect()
    for source in (
        moves,
        pl.from_pandas(moves),
        connection.from_df(moves),
        paths,
        tmp_path / "part-*.parquet",
        str(tmp_path / "moves.csv"),
    ):
        flows = FlowData.from_cells(source, name="weight", **names)
        pd.testing.assert_frame_equal(flows.table, expected, check_dtype=False)
        assert value(flows, "cells read") == 500


def test_cells_far_more_than_pairs_are_added_up_where_they_are():
    relation = duckdb.sql("SELECT i % 7 AS o, i % 5 AS d, 0.5 AS w FROM range(2000000) AS r(i)")
    flows = FlowData.from_cells(relation, origin="o", destination="d", flow="w")
    assert flows.nobs == 35
    assert flows.y.sum() == 1_000_000
    assert value(flows, "cells read") == 2_000_000


def test_without_a_flow_each_row_is_a_move(moves):
    flows = FlowData.from_cells(moves, origin="home", destination="work")
    assert flows.y.sum() == 500
    assert flows.flow == "flow"


def test_cells_that_cannot_be_used_are_counted(moves):
    moves.loc[[3, 4], "home"] = None
    moves.loc[5, "weight"] = np.nan
    moves.loc[[6, 7, 8], "weight"] = np.inf
    flows = FlowData.from_cells(moves, origin="home", destination="work", flow="weight")
    assert value(flows, "cells dropped: no place or period") == 2
    assert value(flows, "cells dropped: no finite 'weight'") == 4
    used = moves["weight"].drop([3, 4, 5, 6, 7, 8])
    assert flows.y.sum() == pytest.approx(used.sum(), rel=1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": -1.0}, r"'weight' is negative in 500 cells \(such as one of \w → \w"),
        ({"weight": "heavy"}, "column 'weight' of the table of cells cannot be added up"),
        ({"home": None}, "none of the 500 cells has places and a flow"),
    ],
)
def test_bad_cells_are_refused(moves, change, message):
    with pytest.raises(DataError, match=message):
        FlowData.from_cells(
            moves.assign(**change), origin="home", destination="work", flow="weight"
        )


def test_cells_need_their_columns_and_files(moves, tmp_path):
    with pytest.raises(DataError, match=r"no column 'house'.*did you mean 'home'"):
        FlowData.from_cells(moves, origin="house", destination="work")
    with pytest.raises(DataError, match=r"cannot read .*none.parquet"):
        FlowData.from_cells(tmp_path / "none.parquet", origin="home", destination="work")
    with pytest.raises(DataError, match="the name of the sums must differ; got home, work, home"):
        FlowData.from_cells(moves, origin="home", destination="work", name="home")
    with pytest.raises(DataError, match="must differ; got home, home, flow"):
        FlowData.from_cells(moves, origin="home", destination="home")
    with pytest.raises(DataError, match="no file was given"):
        FlowData.from_cells([], origin="home", destination="work")


def test_only_declared_gaps_are_filled_and_counted():
    flows = FlowData.from_matrix(MATRIX.where(MATRIX != 5))
    assert flows.missing_pairs.count == 1
    assert flows.missing_pairs.intrazonal == 1
    filled = flows.complete()
    assert filled.nobs == 8
    assert filled.to_matrix().loc["a", "c"] == 0
    assert filled.missing_pairs.count == 0
    assert filled.missing_pairs.intrazonal == 1
    assert value(filled, "pairs filled with 0") == 1
    assert value(filled, "missing cells") == 2
    assert flows.nobs == 7
    everything = flows.complete(0.5, intrazonal=True)
    assert everything.to_matrix().loc["b", "b"] == 0.5
    assert value(everything, "pairs filled with 0.5") == 2
    assert filled.complete().nobs == 8


def test_places_without_any_row_can_be_declared():
    filled = FlowData.from_matrix(MATRIX).complete(places=["a", "d"])
    assert filled.to_matrix().loc["d"].drop("d").eq(0).all()
    assert filled.to_matrix()["d"].drop("d").eq(0).all()
    assert filled.nobs == 3 * 3 + 2 * 3
    one = FlowData.from_matrix(MATRIX).complete(places="Salzburg")
    assert one.to_matrix().index.tolist() == ["Salzburg", *PLACES]


def test_a_panel_is_filled_in_every_period_and_keeps_its_types():
    frame = pd.DataFrame(
        {"o": [1, 2], "d": [2, 1], "t": [2000, 2001], "n": [3, 4], "x": [0.5, 1.5]}
    )
    filled = FlowData(frame, "o", "d", "n", "t").complete()
    assert filled.nobs == 4
    assert filled.table[["o", "d", "t", "n"]].dtypes.eq("int64").all()
    assert filled.table["x"].isna().sum() == 2
    assert value(filled, "balanced")


def test_a_fill_is_a_flow():
    with pytest.raises(SpecificationError, match="fill is -1"):
        FlowData.from_matrix(MATRIX).complete(-1)


def test_covariates_of_places_come_to_both_ends():
    flows = FlowData.from_matrix(MATRIX)
    places = pd.DataFrame({"place": ["c", "b", "a", "z"], "jobs": [3.0, 2.0, 1.0, 9.0]})
    joined = flows.with_places(places).table
    jobs = dict(zip(places["place"], places["jobs"], strict=True))
    assert joined["origin_jobs"].tolist() == joined["origin"].map(jobs).tolist()
    assert joined["destination_jobs"].tolist() == joined["destination"].map(jobs).tolist()
    assert "origin_jobs" not in flows.table
    named = flows.with_places(places.assign(pay=1.0), columns="jobs").table
    pd.testing.assert_frame_equal(named, joined)
    shared = flows.with_places(places)
    assert shared.factor("origin").codes is flows.factor("origin").codes


def test_covariates_of_places_may_change_over_time():
    flows = FlowData.from_matrix({1: MATRIX, 2: MATRIX}, time="t")
    places = pd.DataFrame({"place": list("abcabc"), "t": [1] * 3 + [2] * 3, "x": range(6)})
    joined = flows.with_places(places, time="t").table
    expected = joined["origin"].map({"a": 0, "b": 1, "c": 2}) + 3 * (joined["t"] == 2)
    assert joined["origin_x"].tolist() == expected.tolist()
    with pytest.raises(DataError, match="several rows for a, b, c"):
        flows.with_places(places)
    with pytest.raises(SpecificationError, match="no periods"):
        FlowData.from_matrix(MATRIX).with_places(places, time="t")


def test_keys_are_compared_as_text():
    flows = FlowData(pd.DataFrame({"o": [10, 20], "d": [20, 10], "n": [1, 2]}), "o", "d", "n")
    places = pd.DataFrame({"place": ["10", "20"], "x": [1.0, 2.0]})
    assert flows.with_places(places).table["origin_x"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"place": ["a", "b"], "x": [1, 2]}, r"no row for 1 of 'origin' in the flows \(c\)"),
        ({"place": list("aabc"), "x": range(4)}, "several rows for a; one row"),
        ({"place": list("abc")}, "no column besides place"),
        ({"town": list("abc"), "x": range(3)}, "no column 'place'"),
        ({"place": ["a", "b", None], "x": range(3)}, "'place' of the table of places is missing"),
    ],
)
def test_bad_tables_of_places_are_refused(places, message):
    with pytest.raises(DataError, match=message):
        FlowData.from_matrix(MATRIX).with_places(pd.DataFrame(places))


def test_covariates_of_pairs():
    flows = FlowData.from_matrix(MATRIX)
    half = pd.DataFrame({"from": list("aababc"), "to": list("bccabc"), "km": [1.0, 2, 3, 0, 0, 0]})
    table = flows.with_pairs(half, origin="from", destination="to", symmetric=True).table
    lookup = {frozenset(p): km for *p, km in half.itertuples(index=False)}
    assert table["km"].tolist() == [
        lookup[frozenset(p)] for p in zip(table["origin"], table["destination"], strict=True)
    ]
    with pytest.raises(DataError, match=r"no row for 3 of 'origin\^destination'"):
        flows.with_pairs(half, origin="from", destination="to")


def test_travel_times_stand_in_a_matrix():
    minutes = pd.DataFrame(np.arange(16.0).reshape(4, 4), index=list("dcba"), columns=list("dcba"))
    table = FlowData.from_matrix(MATRIX).with_matrix(minutes, "minutes").table
    assert table["minutes"].tolist() == [
        minutes.loc[o, d] for o, d in zip(table["origin"], table["destination"], strict=True)
    ]
    with pytest.raises(DataError, match="'minutes' is a ndarray, which has no labels; give a Dat"):
        FlowData.from_matrix(MATRIX).with_matrix(minutes.to_numpy(), "minutes")
    with pytest.raises(DataError, match=r"'minutes'|no row for 1 of"):
        FlowData.from_matrix(MATRIX).with_matrix(minutes.where(minutes != 15), "minutes")


def test_columns_are_not_overwritten():
    flows = FlowData.from_matrix(MATRIX).with_columns(x=1.0)
    assert flows.table["x"].tolist() == [1.0] * 8
    with pytest.raises(DataError, match="has x already"):
        flows.with_columns(x=2.0)
    with pytest.raises(DataError, match="'z' has 2 values, but there are 8 rows"):
        flows.with_columns(z=[1, 2])
    with pytest.raises(DataError, match=r"'z' has the shape \(8, 2\); give one value a row"):
        flows.with_columns(z=np.zeros((8, 2)))
