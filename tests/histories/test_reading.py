"""Histories from any source, in any order: the same bits, or a sentence."""

from functools import cache

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from choicemodels import Areas
from choicemodels.errors import DataError, SpecificationError
from choicemodels.histories import people
from choicemodels.histories.geocoding import Geocoder
from choicemodels.histories.layouts import LongLayout, WideLayout
from choicemodels.histories.matrices import matrices_from_histories

YEARS = range(2012, 2016)
TABLE = pd.DataFrame(
    {
        "block_group": [f"{k:02d}" for k in range(12)],
        "tract": [f"t{k // 3}" for k in range(12)],
        "population": np.arange(12) + 5.0,
    }
)
AREAS = Areas.from_table(TABLE, "block_group", ["tract"])
GEOCODER = Geocoder.from_crosswalk(
    AREAS,
    pd.DataFrame({"zip": ["y", "y", "z"], "tract": ["t0", "t1", "t3"], "weight": [1, 2, 1]}),
)


def histories(n=400, seed=1):
    """Return random histories with all that can be missing."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n), rng.integers(1, 7, n))
    rows = len(person)
    days = rng.integers(0, 2200, rows).astype("timedelta64[D]")
    frame = pd.DataFrame(
        {
            "person": person,
            "address": rng.integers(0, 300, rows),
            "effective": np.datetime64("2010-01-01") + days // 15 * 15,
            "category": rng.choice(["clean", "rural_route", "PO_box"], rows, p=[0.6, 0.2, 0.2]),
        }
    )
    frame.loc[rng.random(rows) < 0.1, "effective"] = pd.NaT
    listed = np.datetime64("2012-01-01") + rng.integers(0, 900, (2, n)).astype("timedelta64[D]")
    frame["start"] = pd.Series(listed[0])[person].to_numpy()
    frame["end"] = pd.Series(listed[1])[person].to_numpy()
    frame["deceased"] = (rng.random(n) < 0.1)[person]
    address = frame["address"].to_numpy()
    frame["block_group"] = np.where(address % 3 == 0, None, TABLE["block_group"][address % 12])
    frame["zip"] = np.where(address % 3 == 0, np.array(["y", "z", "lost"])[address % 9 // 3], None)
    return frame


def same_bits(one, other):
    assert one.record == other.record
    pd.testing.assert_frame_equal(one.by_year, other.by_year, check_exact=True)
    for year in one:
        assert np.array_equal(one[year].values, other[year].values)
        assert np.array_equal(one[year].indices, other[year].indices)


@cache
def reference():
    return matrices_from_histories(histories(), GEOCODER, YEARS)


def test_answers_are_stays_moves_or_lost():
    table = reference().by_year
    assert (table[["stayers", "movers", "lost"]] > 0).all(axis=None)
    assert (table[["stayers", "movers", "lost"]].sum(axis=1) <= table["surveyed"] + 1e-12).all()
    for year, matrix in reference().items():
        assert matrix.year == year
        total = table.loc[year, ["stayers", "movers"]].sum()
        assert matrix.total == pytest.approx(total, rel=1e-14)
    assert reference().record["rows"] == len(histories())
    assert reference().record["people"] == 400


def test_neither_order_nor_pieces_nor_threads_change_a_bit():
    import numba

    frame = histories()
    for seed, piece in ((1, 50), (2, 333)):
        shuffled = frame.sample(frac=1, random_state=seed)
        same_bits(reference(), matrices_from_histories(shuffled, GEOCODER, YEARS, batch=piece))
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        same_bits(reference(), matrices_from_histories(frame, GEOCODER, YEARS))
    finally:
        numba.set_num_threads(threads)


def test_histories_may_lie_in_several_files_or_belong_to_a_connection(tmp_path):
    frame = histories().sample(frac=1, random_state=4)
    for k, rows in enumerate(np.array_split(np.arange(len(frame)), 3)):
        frame.iloc[rows].to_parquet(tmp_path / f"part-{k}.parquet")
    same_bits(reference(), matrices_from_histories(tmp_path / "part-*.parquet", GEOCODER, YEARS))
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(tmp_path / "part-*.parquet"))
        same_bits(reference(), matrices_from_histories(relation, GEOCODER, YEARS))


@pytest.mark.parametrize("take", [pl.from_pandas, pa.Table.from_pandas], ids=["polars", "arrow"])
def test_histories_may_be_any_table(take):
    same_bits(reference(), matrices_from_histories(take(histories()), GEOCODER, YEARS))


def test_histories_and_places_may_be_csv_files(tmp_path):
    frame = histories()
    places = frame.drop_duplicates("address")[["address", "block_group", "zip"]]
    frame.drop(columns=["block_group", "zip"]).to_csv(tmp_path / "histories.csv", index=False)
    places.to_csv(tmp_path / "addresses.csv", index=False, quoting=1)
    with duckdb.connect() as connection:
        # Read as numbers the areas would lose their zeros.
        addresses = connection.read_csv(str(tmp_path / "addresses.csv"), all_varchar=True)
        addresses = addresses.project("CAST(address AS BIGINT) AS address, block_group, zip")
        same_bits(
            reference(),
            matrices_from_histories(
                tmp_path / "histories.csv", GEOCODER, YEARS, addresses=addresses
            ),
        )


def test_one_year_and_one_kind_of_box_need_no_list_and_identifiers_may_be_text_or_numbers():
    frame = histories()
    places = frame.drop_duplicates("address")[["address", "block_group", "zip"]]
    found = matrices_from_histories(
        frame, GEOCODER, 2013, boxes="PO_box", addresses=places.astype({"address": str})
    )
    assert np.array_equal(found[2013].values, reference()[2013].values)
    assert repr(found) == "<matrices of 2013 from the histories of 400 people>"
    assert repr(GEOCODER) == "<places: 12 block_groups, 2 ZIP codes>"


def test_a_row_a_person_is_the_same_history():
    frame = histories()
    slots = frame.groupby("person").cumcount() + 1
    wide = frame.assign(slot=slots).pivot(
        index="person", columns="slot", values=["address", "effective", "category"]
    )
    names = {"address": "ADDRID", "effective": "EFFDATE", "category": "ADDRCAT"}
    wide.columns = [f"{names[name]}{slot}" for name, slot in wide.columns]
    for name in wide:
        if name.startswith("EFFDATE"):
            wide[name] = pd.to_datetime(wide[name])
    one = frame.drop_duplicates("person").set_index("person")
    wide = wide.assign(IDATE=one["start"], ODATE=one["end"], DeceasedCD=one["deceased"])
    wide = wide.rename_axis("PID").reset_index()
    places = frame.drop_duplicates("address")[["address", "block_group", "zip"]]
    found = matrices_from_histories(
        wide, GEOCODER, YEARS, layout=WideLayout(slots=6), addresses=places
    )
    for year in YEARS:
        assert np.array_equal(found[year].values, reference()[year].values)
    pd.testing.assert_frame_equal(found.by_year, reference().by_year, check_exact=True)


@pytest.mark.parametrize(
    "write",
    [
        lambda dates: dates.dt.strftime("%Y-%m-%d"),
        lambda dates: dates.dt.strftime("%Y%m%d").fillna(""),
        lambda dates: dates.dt.strftime("%Y%m%d").astype("float"),
        lambda dates: dates.dt.strftime("%Y%m%d").astype("float").astype("Int64"),
        lambda dates: dates.dt.strftime("%Y-%m-%d 00:00:00"),
    ],
    ids=["ISO", "digits", "floats", "integers", "timestamps"],
)
def test_dates_may_be_text_or_numbers(write):
    frame = histories()
    frame["effective"] = write(frame["effective"])
    same_bits(reference(), matrices_from_histories(frame, GEOCODER, YEARS))


def test_months_are_dates_too():
    frame = histories()
    first = frame.assign(effective=frame["effective"].dt.to_period("M").dt.to_timestamp())
    expected = matrices_from_histories(first, GEOCODER, YEARS)
    for text in ("%Y%m", "%Y-%m"):
        frame["effective"] = first["effective"].dt.strftime(text)
        same_bits(expected, matrices_from_histories(frame, GEOCODER, YEARS))


@pytest.mark.parametrize(
    ("dead", "mark"), [("D", None), ("1", "0"), (1, 0), (1.0, np.nan), (True, None)], ids=str
)
def test_the_deceased_may_be_marked_in_many_ways(dead, mark):
    from choicemodels.histories.rules import HistoryRules

    frame, rules = histories(), HistoryRules(pad_deceased=False)
    expected = matrices_from_histories(frame, GEOCODER, YEARS, rules=rules)
    assert expected.by_year["surveyed"].sum() < reference().by_year["surveyed"].sum()
    frame["deceased"] = [dead if d else mark for d in frame["deceased"]]
    same_bits(expected, matrices_from_histories(frame, GEOCODER, YEARS, rules=rules))


def test_columns_may_be_absent_or_called_otherwise():
    frame = histories().assign(category="clean", start=pd.NaT, end=pd.NaT, deceased=False)
    expected = matrices_from_histories(frame, GEOCODER, YEARS)
    bare = frame[["person", "address", "effective", "block_group", "zip"]]
    bare = bare.rename(columns={"person": "PID", "block_group": "GEO ID"})
    layout = LongLayout(person="PID", category=None, start=None, end=None, deceased=None)
    same_bits(
        expected, matrices_from_histories(bare, GEOCODER, YEARS, layout=layout, area="GEO ID")
    )


def test_what_cannot_be_used_is_counted_and_named():
    rows = [
        ("steady", "home", "2010-01-01", "00"),
        ("none", None, "2010-01-01", None),
        ("blank", " ", "2010-01-01", "00"),
        ("undated", "home", None, "00"),
        ("two", "home", None, "00"),
        ("two", "other", None, "00"),
        ("away", "abroad", "2010-01-01", "Paris"),
        (None, "home", "2010-01-01", "00"),
        ("late", "home", "2030-01-01", "00"),
    ]
    frame = pd.DataFrame(rows, columns=["person", "address", "effective", "block_group"])
    listed = frame["person"].map({"two": "2011-01-01"})
    frame = frame.assign(category="clean", start=listed, end="2012-01-01", deceased=False)
    frame.loc[frame["person"] == "undated", "end"] = None
    found = matrices_from_histories(frame, Geocoder.exact(AREAS), [2011])
    assert found.describe()["count"].to_dict() == {
        "rows": 9,
        "rows without a person": 1,
        "rows without an address": 2,
        "rows with an address that lies nowhere": 1,
        "people": 7,
        "people without an address": 2,
        "people without a date": 1,
        "people with several addresses, none of them dated": 1,
        "addresses without a date dropped": 2,
        "people who answer in none of the years": 1,
    }
    assert found.lost_addresses.to_dict("list") == {"address": ["abroad"], "rows": [1]}
    assert found.by_year.loc[2011].tolist() == [2, 1.0, 0.0, 1.0]


def frame_of(**columns):
    return histories(20).assign(**columns)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (frame_of().drop(columns="effective"), "the table of histories has no column 'effective'"),
        (frame_of().drop(columns="zip"), "the table of histories has no column 'zip'"),
        (frame_of(effective="soon"), r"'effective' cannot be read .* person 0: soon\)"),
        (frame_of(start="2012-13-01"), r"dates of the field 'start' cannot be read"),
        (frame_of(effective=12346), "dates of the field 'effective' cannot be read"),
        (frame_of(effective=201503.5), "dates of the field 'effective' cannot be read"),
        (frame_of(effective=True), "dates of the field 'effective' cannot be read"),
        (frame_of(end=pd.Timestamp("2999-12-31")), r"'end' cannot be read .* 1800 to 2200"),
        (frame_of(block_group=None, zip="9"), "no address lies anywhere .* leading zeros"),
        (frame_of(address=None), "nobody of the histories has both an address and a date"),
        (frame_of().iloc[:0], "the table of histories has no rows"),
        ("nowhere-*.parquet", "cannot read nowhere"),
        (7, "the table of histories is a int, not a table"),
    ],
)
def test_histories_that_cannot_be_used_are_refused(frame, message):
    with pytest.raises(DataError, match=message):
        matrices_from_histories(frame, GEOCODER, [2013])


def test_years_must_be_covered():
    with pytest.raises(DataError, match=r"nobody answers in 1999: the histories cover 2009-01 to"):
        matrices_from_histories(histories(), GEOCODER, [1999, 2013])
    with pytest.raises(SpecificationError, match="no year to survey"):
        matrices_from_histories(histories(), GEOCODER, [])
    with pytest.raises(SpecificationError, match=r"years are whole numbers; got 2012.5"):
        matrices_from_histories(histories(), GEOCODER, 2012.5)
    with pytest.raises(SpecificationError, match="'lots' is no size of memory"):
        matrices_from_histories(histories(), GEOCODER, YEARS, memory="lots")
    with pytest.raises(SpecificationError, match="a piece of 0 addresses"):
        matrices_from_histories(histories(), GEOCODER, YEARS, batch=0)


def test_an_identifier_that_everybody_shares_is_no_person(monkeypatch):
    monkeypatch.setattr(people, "_MOST_ADDRESSES", 50)
    frame = histories().assign(person=0)
    for piece in (10, 10_000):
        with pytest.raises(DataError, match=r"person 0 has .* is no person: make it missing"):
            matrices_from_histories(frame, GEOCODER, YEARS, batch=piece)


def test_addresses_need_one_place_each():
    frame = histories()
    places = frame[["address", "block_group", "zip"]]
    with pytest.raises(DataError, match=r"address 0 stands in .* rows of the table of addresses"):
        matrices_from_histories(frame, GEOCODER, YEARS, addresses=places)
    with pytest.raises(DataError, match="the table of addresses has no column 'address'"):
        matrices_from_histories(frame, GEOCODER, YEARS, addresses=places.drop(columns="address"))
    with pytest.raises(SpecificationError, match="nothing says where addresses lie"):
        matrices_from_histories(frame, Geocoder.exact(AREAS), YEARS, area=None)


def test_numbered_columns_need_one_type():
    wide = pd.DataFrame(
        {
            "PID": [1],
            "ADDRID1": [1],
            "ADDRID2": [2],
            "EFFDATE1": pd.to_datetime(["2012-01-01"]),
            "EFFDATE2": [2.5],
        }
    )
    layout = WideLayout(slots=2, category=None, start=None, end=None, deceased=None)
    places = pd.DataFrame({"address": [1, 2], "block_group": ["00", "01"], "zip": None})
    with pytest.raises(DataError, match="the numbered columns of the histories do not go together"):
        matrices_from_histories(wide, GEOCODER, 2012, layout=layout, addresses=places)
    wide["EFFDATE2"] = pd.to_datetime(["2013-01-01"])
    found = matrices_from_histories(wide, GEOCODER, 2013, layout=layout, addresses=places)
    assert found[2013].to_frame()["people"].tolist() == [1.0]


def test_wide_tables_say_elsewhere_where_addresses_lie():
    with pytest.raises(SpecificationError, match="pass the table of addresses as addresses="):
        WideLayout().select({"area": "block_group"})
    with pytest.raises(SpecificationError, match="'ADDR' names one column"):
        WideLayout(address="ADDR")
    with pytest.raises(SpecificationError, match="a history of 0 addresses"):
        WideLayout(slots=0)


def test_sums_of_cells_grow_with_distinct_cells_only(monkeypatch):
    from choicemodels.histories import place_moves

    monkeypatch.setattr(place_moves, "_LEAST_WAITING", 5)
    same_bits(reference(), matrices_from_histories(histories(), GEOCODER, YEARS, batch=11))
