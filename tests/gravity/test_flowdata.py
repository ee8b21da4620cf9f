"""Flows at the border: what is taken, what is refused and with which words."""

import dataclasses

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from choicemodels import FlowData
from choicemodels.errors import DataError
from choicemodels.frames import read_table


def table(**changes):
    base = {
        "origin": ["a", "a", "b", "b", "c"],
        "destination": ["a", "b", "a", "b", "a"],
        "moves": [4.0, 1.0, 0.0, 2.0, 3.0],
    }
    return pd.DataFrame({**base, **changes})


def flows(frame, **more):
    names = {"origin": "origin", "destination": "destination", "flow": "moves"}
    return FlowData(frame, **{**names, **more})


def test_columns_of_one_name_are_refused():
    twice = pd.concat([table(), table()[["origin", "moves"]]], axis=1)
    with pytest.raises(DataError, match="has several columns called origin, moves; rename"):
        flows(twice)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"origin": None}, "NoneType"),
        ({"origin": ["origin"]}, "list"),
        ({"flow": pd.Series([1.0])}, "Series"),
        ({"time": ["year"]}, "list"),
    ],
)
def test_columns_are_given_by_name(given, kind):
    with pytest.raises(DataError, match=f"flow table is given as a {kind}; give its name, a text"):
        flows(table(), **given)


def test_na_is_a_label_where_text_is_asked_for(tmp_path):
    path = tmp_path / "flows.csv"
    path.write_text("o,d,x,y\nNA,007,NA,1\nBW,,2,3\n")
    read = read_table(path, text=["o", "d"])
    assert read["o"].tolist() == ["NA", "BW"]
    assert read["d"].tolist()[0] == "007"
    assert read.isna().sum().to_dict() == {"o": 0, "d": 1, "x": 1, "y": 0}


def test_places_of_two_types_are_refused():
    frame = table(origin=[1, 1, 2, 2, 3], destination=["1", "2", "1", "2", "1"])
    with pytest.raises(DataError, match="1, 2 is integer among the origins and string among"):
        flows(frame)
    assert flows(frame.astype({"origin": str})).intrazonal.sum() == 2


def test_describe_counts_what_is_there():
    data = flows(table())
    seen = data.describe()["value"]
    assert seen["rows"] == 5
    assert seen["origins"] == 3
    assert seen["destinations"] == 2
    assert seen["periods"] == 1
    assert seen["zero flows"] == 1
    assert seen["share of zero flows"] == pytest.approx(0.2)
    assert seen["intrazonal rows"] == 2
    assert seen["total flow"] == 10
    assert data.intrazonal.tolist() == [True, False, False, True, False]


def test_missing_pairs_are_stated_and_are_not_zeros():
    data = flows(table())
    assert data.missing_pairs.count == 1
    assert data.missing_pairs.example == ("c", "b")
    assert data.missing_pairs.intrazonal == 0
    assert "c → b" in str(data.missing_pairs)
    assert np.isnan(data.to_matrix().loc["c", "b"])
    assert data.to_matrix().loc["b", "a"] == 0


def test_missing_pairs_of_a_panel_name_the_period():
    frame = pd.concat([table(year=1), table(year=2)[1:]], ignore_index=True)
    data = flows(frame, time="year")
    assert data.missing_pairs.count == 2
    assert data.missing_pairs.intrazonal == 1
    assert data.missing_pairs.example == ("c", "b", 1)
    assert data.to_matrix(2).shape == (3, 2)
    with pytest.raises(DataError, match="choose one of: 1, 2"):
        data.to_matrix()


def test_missing_pairs_between_disjoint_places_have_no_intrazonal_part():
    frame = pd.DataFrame({"origin": [1, 2], "destination": [8, 9], "moves": [1, 1]})
    assert flows(frame).missing_pairs.count == 2
    assert flows(frame).missing_pairs.intrazonal == 0


@pytest.mark.parametrize(
    "convert",
    [pl.from_pandas, lambda f: pl.from_pandas(f).lazy(), pa.Table.from_pandas, duckdb.from_df],
    ids=["polars", "lazy", "arrow", "duckdb"],
)
def test_any_table_is_taken(convert):
    data = flows(convert(table()))
    assert data.y.tolist() == [4, 1, 0, 2, 3]
    assert data.factor("origin^destination").labels(np.array([0]))[0] == "a^a"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table(moves=[4, -1, 0, 2, 3]), r"'moves' is negative in 1 rows \(rows 1;"),
        (table(moves=[4, np.nan, 0, np.inf, 3]), r"not a finite number in 2 rows \(rows 1, 3"),
        (table(moves=list("vwxyz")), "'moves' of the flow table is not numeric: row 0"),
        (table(origin=["a", "a", None, "b", "c"]), r"'origin' .* no label in 1 rows \(rows 2\)"),
        (table(destination=["a", "a", "a", "b", "a"]), "a → a stands in rows 0, 1"),
        (table()[:0], "no rows"),
        (table().drop(columns="moves"), "no column 'moves'"),
        (table().rename(columns={"origin": "orgin"}), "did you mean 'orgin'"),
        ("flows.csv", "is a str, not a table"),
    ],
)
def test_bad_tables_are_refused_with_their_rows(frame, message):
    with pytest.raises(DataError, match=message):
        flows(frame)


def test_repeated_pairs_are_fine_in_different_periods():
    frame = pd.concat([table(year=1), table(year=2)])
    with pytest.raises(DataError, match="10 rows repeat a pair"):
        flows(frame)
    assert flows(frame, time="year").nobs == 10


def test_repeated_pairs_are_found_among_many_places():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"origin": np.arange(3000), "destination": rng.permutation(3000)})
    frame["moves"] = 1.0
    assert flows(frame).nobs == 3000
    with pytest.raises(DataError, match="2 rows repeat a pair"):
        flows(pd.concat([frame, frame[7:8]]))


def test_one_column_cannot_play_two_roles():
    with pytest.raises(DataError, match="must be different columns"):
        flows(table(), destination="origin")


def test_the_container_does_not_change():
    frame = table()
    data = flows(frame)
    frame.loc[0, "moves"] = 99
    assert data.y[0] == 4
    assert not data.y.flags.writeable
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.origin = "destination"


def test_another_flow_column_shares_what_is_known_of_the_rows():
    data = flows(table(stays=[1.0, 2.0, 3.0, 4.0, 5.0]))
    other = data.with_flow("stays")
    assert other.flow == "stays"
    assert other.y.tolist() == [1, 2, 3, 4, 5]
    assert data.y.tolist() == [4, 1, 0, 2, 3]
    assert other.factor("origin").codes is data.factor("origin").codes
    assert other.describe().loc["total flow", "value"] == 15
    with pytest.raises(DataError, match="'stays' is negative"):
        flows(table(stays=-1.0)).with_flow("stays")
    with pytest.raises(DataError, match="no column 'stay'"):
        data.with_flow("stay")
    with pytest.raises(DataError, match="'origin' names the places"):
        data.with_flow("origin")
