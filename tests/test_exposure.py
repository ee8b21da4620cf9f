import subprocess
import sys

import pandas as pd
import pytest

from choicemodels.datasets import data_path, load_data
from choicemodels.errors import DataError
from microsim.people.exposure import load_exposure

COLUMNS = ["soc", "title", "exposure", "low", "high", "source"]


@pytest.fixture
def csv(tmp_path):
    def write(text):
        path = tmp_path / "mine.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def by_soc(table):
    return table.set_index("soc")


def test_the_shipped_table_covers_the_22_major_groups():
    table = load_exposure()
    assert list(table.columns) == COLUMNS
    assert list(table["soc"]) == list(load_data("occupations")["soc"])
    assert table["exposure"].between(0, 1).all()
    assert (table["low"] <= table["exposure"]).all()
    assert (table["exposure"] <= table["high"]).all()
    assert table["source"].str.match("brief|rule").all()


def test_managers_are_at_the_midpoint_of_the_briefs_range():
    managers = by_soc(load_exposure()).loc["11-0000"]
    assert (managers["exposure"], managers["low"], managers["high"]) == (0.15, 0.09, 0.21)


def test_the_shipped_file_given_as_the_users_own_comes_back_the_same():
    own = load_exposure(data_path("ai_exposure"))
    numbers = ["exposure", "low", "high"]
    pd.testing.assert_frame_equal(own[numbers], load_exposure()[numbers])
    finance = by_soc(own).loc["13-0000", "source"]
    assert finance.endswith("(5 detailed rows not used: the major group is given)")


def test_a_users_major_group_is_taken_and_the_others_are_filled_and_flagged(csv):
    table = by_soc(load_exposure(csv("soc,exposure\n51-0000,0.4\n")))
    shipped = by_soc(load_exposure())
    assert len(table) == 22
    assert tuple(table.loc["51-0000", ["exposure", "low", "high"]]) == (0.4, 0.4, 0.4)
    assert table.loc["51-0000", "source"] == "user's table"
    rest = table.drop(index="51-0000")
    assert rest["source"].str.startswith("filled from the shipped table: ").all()
    assert rest["exposure"].equals(shipped["exposure"].drop("51-0000"))
    assert table["title"].equals(shipped["title"])


def test_detailed_occupations_are_averaged_without_weights(csv):
    table = by_soc(load_exposure(csv("soc,exposure\n13-2051,0.6\n13-1161,0.2\n")))
    assert table.loc["13-0000", "exposure"] == pytest.approx(0.4)
    assert table.loc["13-0000", "source"] == "user's table (mean of 2 occupations, unweighted)"


def test_detailed_occupations_are_averaged_by_employment_where_given(csv):
    text = "soc,exposure,employment,source\n13-2051,0.6,300,survey\n13-1161,0.2,100,survey\n"
    finance = by_soc(load_exposure(csv(text))).loc["13-0000"]
    assert finance["exposure"] == pytest.approx(0.5)
    assert finance["source"] == "survey (mean of 2 occupations, weighted by employment)"


def test_a_users_range_is_kept(csv):
    table = by_soc(load_exposure(csv("soc,exposure,low,high\n11-0000,0.2,0.1,0.5\n")))
    assert tuple(table.loc["11-0000", ["low", "exposure", "high"]]) == (0.1, 0.2, 0.5)


def test_blank_lines_byte_order_mark_and_spaces_are_forgiven(csv):
    table = by_soc(load_exposure(csv("﻿soc, exposure\n\n11-0000 , 0.2\n\n")))
    assert table.loc["11-0000", "exposure"] == 0.2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["mine.csv", "empty", "header"]),
        ("soc,exposure\n", ["mine.csv", "no rows", "add a row"]),
        ("code,exposure\n11-0000,0.2\n", ["mine.csv", "'soc'", "code, exposure"]),
        ("soc,exposur\n11-0000,0.2\n", ["mine.csv", "'exposure'", "exposur"]),
        ("soc,exposure\n11-0000,67\n", ["line 2", "'exposure'", "'67'", "0.67"]),
        ("soc,exposure\n11-0000,0.2\n13-0000,-0.1\n", ["line 3", "'exposure'", "'-0.1'"]),
        ("soc,exposure\n\n11-0000,1.01\n", ["line 3", "'exposure'", "'1.01'"]),
        ("soc,exposure\n11-0000,high\n", ["line 2", "'exposure'", "'high'", "between 0 and 1"]),
        ("soc,exposure\n11-0000,\n", ["line 2", "'exposure'", "empty", "leave the row out"]),
        ("soc,exposure\n11-0000,nan\n", ["line 2", "'exposure'", "empty"]),
        ("soc,exposure\n,0.2\n", ["line 2", "'soc'", "empty", "13-2051"]),
        ("soc,exposure\n11-0000,inf\n", ["line 2", "'exposure'", "'inf'"]),
        ("soc,exposure\n110000,0.2\n", ["line 2", "'soc'", "'110000'", "13-0000"]),
        ("soc,exposure\n13-2051.00,0.2\n", ["line 2", "'soc'", "'13-2051.00'"]),
        ("soc,exposure\n55-0000,0.2\n", ["line 2", "'soc'", "'55-0000'", "22 civilian"]),
        (
            "soc,exposure\n13-2051,0.2\n11-0000,0.1\n13-2051,0.3\n",
            ["line 2", "'soc'", "'13-2051'", "another line", "once"],
        ),
        ("soc,exposure,low\n11-0000,0.2,0.3\n", ["line 2", "'low'", "'0.3'", "not above"]),
        ("soc,exposure,high\n11-0000,0.2,0.1\n", ["line 2", "'high'", "'0.1'", "not below"]),
        ("soc,exposure,employment\n11-0000,0.2,0\n", ["line 2", "'employment'", "'0'"]),
        ("soc,exposure,employment\n11-0000,0.2,inf\n", ["line 2", "'employment'", "'inf'"]),
        ("soc,exposure\n11-0000,0,67\n", ["mine.csv", "more fields", "point"]),
        ('soc,exposure\n11-0000,"0.2\n', ["mine.csv", "cannot be read", "UTF-8"]),
    ],
)
def test_bad_input_gets_one_sentence_with_the_place_and_the_remedy(csv, text, parts):
    with pytest.raises(DataError) as caught:
        load_exposure(csv(text))
    message = str(caught.value)
    assert [part for part in parts if part not in message] == []
    assert "\n" not in message


def test_a_missing_file_is_named():
    with pytest.raises(DataError, match=r"nowhere\.csv: there is no such file"):
        load_exposure("nowhere.csv")


def test_a_folder_or_a_binary_file_is_not_a_table(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_exposure(tmp_path)
    binary = tmp_path / "table.bin"
    binary.write_bytes(b"soc,exposure\n\xff\xfe\x00,0.1\n")
    with pytest.raises(DataError, match="UTF-8"):
        load_exposure(binary)


def test_pandera_is_imported_only_for_a_users_own_file():
    code = (
        "import sys; from microsim.people.exposure import load_exposure; load_exposure();"
        "assert 'pandera' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
