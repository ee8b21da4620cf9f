"""The border of choice data: every layout in, every fault named."""

from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from choicemodels import ChoiceData
from choicemodels.errors import DataError, SpecificationError


def long_table():
    return pd.DataFrame(
        {
            "case": [1, 1, 2, 2, 2, 3, 3],
            "mode": ["car", "bus", "car", "bus", "rail", "car", "rail"],
            "chosen": [1, 0, 0, 0, 1, 0, 1],
            "cost": [3.0, 2.0, 4.0, 2.0, 5.0, 3.0, 4.0],
            "income": [10.0, 10.0, 20.0, 20.0, 20.0, 30.0, 30.0],
            "person": ["a", "a", "a", "a", "a", "b", "b"],
        }
    )


def load(table, **options):
    return ChoiceData.from_long(table, "case", "mode", "chosen", **options)


def test_long_data_are_ragged_and_flat():
    data = load(long_table(), panel="person")
    assert data.alternatives == ("car", "bus", "rail")
    assert data.offsets.tolist() == [0, 2, 5, 7]
    assert data.alternative.tolist() == [0, 1, 0, 1, 2, 0, 2]
    assert data.chosen.tolist() == [0, 4, 6]
    text = str(data.describe())
    assert "cases" in text
    assert "2 to 3, mean 2.33" in text
    assert data.describe().alternatives.loc["rail", "share where available"] == 1.0


@pytest.mark.parametrize(
    "convert",
    [
        pl.from_pandas,
        lambda df: pl.from_pandas(df).lazy(),
        pa.Table.from_pandas,
        lambda df: duckdb.sql("select * from df"),
    ],
    ids=["polars", "lazy", "arrow", "duckdb"],
)
def test_every_table_comes_in_alike(convert):
    want, got = load(long_table()), load(convert(long_table()))
    assert got.alternatives == want.alternatives
    np.testing.assert_array_equal(got.chosen, want.chosen)
    np.testing.assert_array_equal(got.table["cost"], want.table["cost"])


@pytest.mark.parametrize("exact", ["duckdb", "polars", "objects", "arrow"])
def test_exact_decimals_are_numbers(exact):
    frame = long_table()
    want = frame["cost"].to_numpy()
    if exact == "duckdb":
        given = duckdb.sql("select * replace (cost::decimal(12, 3) as cost) from frame")
    elif exact == "polars":
        given = pl.from_pandas(frame).with_columns(pl.col("cost").cast(pl.Decimal(12, 3)))
    elif exact == "objects":
        given = frame.assign(cost=[Decimal(str(cost)) for cost in want])
    else:
        decimals = pd.array([Decimal(str(c)) for c in want], pd.ArrowDtype(pa.decimal128(12, 3)))
        given = frame.assign(cost=decimals)
    got = load(given)
    assert got.table["cost"].dtype == np.float64
    np.testing.assert_allclose(got.table["cost"], want, rtol=1e-12)


def test_rows_of_a_case_may_be_scattered():
    scattered = long_table().sample(frac=1, random_state=5)
    got = load(scattered, alternatives=["car", "bus", "rail"])
    taken = dict(
        zip(got.case_ids, np.array(got.alternatives)[got.alternative[got.chosen]], strict=True)
    )
    assert taken == {1: "car", 2: "rail", 3: "rail"}


def test_unavailable_rows_leave_and_are_counted():
    table = long_table().assign(ok=[1, 1, 1, 0, 1, 1, 1])
    data = load(table, available="ok")
    assert data.unavailable == 1
    assert data.set_sizes.tolist() == [2, 2, 2]


def test_a_case_without_any_alternative_is_counted():
    table = long_table().assign(ok=[1, 1, 0, 0, 0, 1, 1])
    data = ChoiceData.from_long(table, "case", "mode", available="ok")
    assert data.n_cases == 2
    assert data.describe().facts["cases without any alternative left out"] == "1"
    problem = data.check().problems[0]
    assert (problem.check, problem.where) == ("no alternative available", "case 2")


def test_two_values_with_one_name_are_refused():
    table = long_table().assign(mode=[1, 2, "1", 2, 3, 1, 3])
    with pytest.raises(DataError, match="holds 1 and '1', which are both called '1'"):
        load(table)
    with pytest.raises(SpecificationError, match="lists a name twice"):
        load(long_table(), alternatives=["car", "bus", "rail", "car"])
    with pytest.raises(SpecificationError, match="alternatives= is 5; list the names"):
        load(long_table(), alternatives=5)


def test_columns_that_cannot_be_compared_are_noted():
    report = load(long_table().assign(tags=[["a"]] * 7)).check()
    assert "neither numbers nor text: column 'tags'" in str(report)


def wide(columns=None, **options):
    table = pd.DataFrame({"pick": [2, 1, 3], "c_car": [3.0, 4.0, 5.0], "c_bus": [2.0, 2.5, 3.0]})
    given = {
        "choice": "pick",
        "alternatives": {1: "car", 2: "bus", 3: "bus"},
        "varying": {"cost": {"car": "c_car", "bus": "c_bus"}},
    }
    return ChoiceData.from_wide(table.assign(**columns or {}), **{**given, **options})


def test_two_codes_may_mean_one_alternative():
    data = wide()
    assert data.alternatives == ("car", "bus")
    assert data.chosen_alternative.tolist() == [1, 0, 1]


def test_wide_alternatives_may_be_numbers():
    data = wide(alternatives=[1, 2, 3], varying={"cost": {1: "c_car", 2: "c_bus"}})
    assert data.alternatives == ("1", "2", "3")
    assert data.chosen_alternative.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"case": 1}, {}, "column 'case' of its own"),
        ({"alternative": 1}, {}, "column 'alternative' of its own"),
        ({"chosen": 1}, {}, "column 'chosen' of its own"),
        ({"available": 1}, {"available": {"car": "c_car"}}, "column 'available' of its own"),
        ({"pick": ["1", "2", "3"]}, {}, "values such as '1' and .* codes such as 1: one is text"),
        ({"c_car": ["a", "b", "c"]}, {}, "column 'c_car' .* not numeric: row 0 holds 'a'"),
        ({}, {"varying": {"cost": "c_car"}}, r"varying\['cost'\] is 'c_car'; write the column"),
        ({}, {"varying": None}, "varying is None; write for each variable"),
        ({}, {"available": "c_car"}, "available is 'c_car'; write the column"),
        ({}, {"alternatives": 5}, "alternatives is 5; list the names"),
        ({}, {"varying": {"cost": {4: "c_car"}}}, "'4' is not among the alternatives"),
    ],
)
def test_a_fault_of_a_wide_table_is_named(columns, options, message):
    with pytest.raises((DataError, SpecificationError), match=message):
        wide(columns, **options)


def test_wide_equals_long():
    wide = pd.DataFrame(
        {
            "pick": [2, 1],
            "c_car": [3.0, 4.0],
            "c_bus": [2.0, 2.5],
            "ok_bus": [1, 1],
            "age": [30, 40],
        }
    )
    data = ChoiceData.from_wide(
        wide,
        choice="pick",
        alternatives={1: "car", 2: "bus"},
        varying={"cost": {"car": "c_car", "bus": "c_bus"}},
        available={"bus": "ok_bus"},
    )
    assert data.alternatives == ("car", "bus")
    assert data.table["cost"].tolist() == [3.0, 2.0, 4.0, 2.5]
    assert data.table["age"].tolist() == [30, 30, 40, 40]
    assert data.chosen.tolist() == [1, 2]


def change(**columns):
    table = long_table()
    for name, (row, value) in columns.items():
        table[name] = table[name].astype(object)
        table.loc[row, name] = value
        table[name] = table[name].infer_objects()
    return table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (long_table().iloc[:0], "has no rows"),
        (long_table().drop(columns="chosen"), "no column 'chosen'"),
        (change(chosen=(0, 0)), "no alternative chosen: case 1"),
        (change(chosen=(1, 1)), "several alternatives chosen: case 1"),
        (change(mode=(1, "car")), "duplicate rows: case 1, alternative car"),
        (change(chosen=(1, 2)), "must be 0 or 1: row 1 holds 2"),
        (change(case=(3, None)), "case column 'case' is missing in rows 3"),
        (change(mode=(3, None)), "alternative column 'mode' is missing in rows 3"),
    ],
)
def test_a_fault_is_named_with_its_place(table, message):
    with pytest.raises(DataError, match=message):
        load(table)


def test_not_a_table():
    with pytest.raises(DataError, match="is a list, not a table"):
        load([1, 2])


def test_chosen_but_unavailable():
    table = long_table().assign(ok=[0, 1, 1, 1, 1, 1, 1])
    with pytest.raises(DataError, match="chosen but unavailable: case 1, alternative car"):
        load(table, available="ok")


def test_weights_belong_to_cases():
    table = long_table().assign(w=[1.0, 2.0, 1, 1, 1, 1, 1])
    with pytest.raises(DataError, match="must not vary within it"):
        load(table, weights="w")
    table["w"] = -1.0
    with pytest.raises(DataError, match="finite and not negative"):
        load(table, weights="w")


def test_an_unlisted_alternative():
    with pytest.raises(SpecificationError, match="'rail', which alternatives= does not list"):
        load(long_table(), alternatives=["car", "bus"])


def test_wide_names_the_unknown_code():
    wide = pd.DataFrame({"pick": [1, 7], "c": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"'pick' holds 7 in 1 rows \(first: row 1\)"):
        ChoiceData.from_wide(
            wide, choice="pick", alternatives={1: "car", 2: "bus"}, varying={"cost": {"car": "c"}}
        )
    with pytest.raises(SpecificationError, match="'tram' is not among the alternatives"):
        ChoiceData.from_wide(
            wide, choice="pick", alternatives={1: "car"}, varying={"cost": {"tram": "c"}}
        )


def test_check_lists_everything_at_once():
    table = change(chosen=(0, 0)).assign(gap=[1.0, np.nan, 1, 1, 1, 1, 1])
    data = load(table, strict=False)
    report = data.check()
    assert not report.ok
    found = set(report.table["check"])
    assert found == {"no alternative chosen", "non-finite values", "constant within every case"}
    assert "column 'gap', rows 1" in str(report)
    assert load(long_table()).check().ok


def test_groups_hold_whole_cases():
    data = load(long_table(), panel="person")
    name, codes = data.case_groups("person")
    assert name == "person"
    assert codes.tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="varies within the case 1"):
        data.case_groups("cost")
    with pytest.raises(DataError, match="one label for each of the 3 cases"):
        data.case_groups(np.arange(5))


def test_a_case_has_one_decision_maker():
    table = long_table()
    table.loc[1, "person"] = "b"
    with pytest.raises(DataError, match=r"panel: case 1 .* 'person' must name it"):
        load(table, panel="person")
