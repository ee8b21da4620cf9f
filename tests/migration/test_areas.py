import numpy as np
import pandas as pd
import pytest

from choicemodels import Areas
from choicemodels.errors import DataError, SpecificationError

TABLE = pd.DataFrame(
    {
        "block": ["a1", "a2", "b1", "c1"],
        "town": ["A", "A", "B", "C"],
        "state": ["X", "X", "X", "Y"],
        "income": [10.0, np.nan, 30.0, 40.0],
    }
)


def test_levels_are_numbered_by_name():
    areas = Areas.from_table(TABLE, "block", ["town", "state"])
    assert areas.size == 4
    assert areas.level("town").codes.tolist() == [0, 0, 1, 2]
    assert areas.level("state").labels.tolist() == ["X", "Y"]
    assert areas.level("block").codes.tolist() == [0, 1, 2, 3]
    assert areas.parents("town", "state").tolist() == [0, 0, 1]
    np.testing.assert_array_equal(areas.attribute("income"), [10, np.nan, 30, 40])
    assert areas.level("town").totals(np.arange(4.0)).tolist() == [1, 2, 3]


def test_one_level_is_given_as_itself():
    areas = Areas.from_table(TABLE, "block", "town")
    assert list(areas.levels) == ["town"]
    assert list(areas.table) == [name for name in TABLE if name not in ("block", "town")]


def test_areas_print_as_a_line():
    areas = Areas.from_table(TABLE, "block", ["town", "state"])
    assert repr(areas) == "Areas(4 block in 3 town in 2 state)"
    assert repr(areas.level("town")) == "Level(3 areas of 4)"


def test_geoids_hold_their_levels():
    areas = Areas.from_geoids(["010010201001", "010010201002", "010030101001", "020130001001"])
    assert areas.level("tract").labels.tolist() == ["01001020100", "01003010100", "02013000100"]
    assert areas.level("county").labels.tolist() == ["01001", "01003", "02013"]
    assert areas.level("state").codes.tolist() == [0, 0, 0, 1]


def test_coarser_areas_keep_the_levels_above():
    areas = Areas.from_table(TABLE, "block", ["town", "state"]).coarsen("town")
    assert (areas.name, list(areas.levels)) == ("town", ["state"])
    assert areas.labels.tolist() == ["A", "B", "C"]
    assert areas.level("state").codes.tolist() == [0, 0, 1]


class TestBadInput:
    def test_a_town_in_two_states_is_named(self):
        torn = TABLE.assign(state=["X", "Y", "X", "Y"])
        with pytest.raises(DataError, match=r"the town A lies in several states \(X, Y\)"):
            Areas.from_table(torn, "block", ["town", "state"])
        with pytest.raises(DataError, match=r"the state X lies in several towns"):
            Areas.from_table(TABLE, "block", ["state", "town"])

    def test_labels_must_be_there_once(self):
        with pytest.raises(DataError, match="a1 labels several blocks"):
            Areas.from_table(pd.concat([TABLE, TABLE[:1]]), "block", ["town"])
        with pytest.raises(DataError, match=r"column 'town'.*missing in 1 rows \(the first: 2"):
            Areas.from_table(TABLE.assign(town=["A", "A", None, "C"]), "block", ["town"])
        with pytest.raises(DataError, match="no column 'county'"):
            Areas.from_table(TABLE, "block", ["county"])

    def test_geoids_need_twelve_digits(self):
        with pytest.raises(DataError, match=r"1 labels are not the 12 digits.*\(10010201001\)"):
            Areas.from_geoids(["010010201001", 10010201001])

    def test_unknown_levels_and_attributes_are_named(self):
        areas = Areas.from_table(TABLE, "block", ["town", "state"])
        with pytest.raises(SpecificationError, match=r"'stat' \(did you mean 'state'\?\)"):
            areas.level("stat")
        with pytest.raises(DataError, match="incomes"):
            areas.attribute("incomes")
        text = Areas.from_table(TABLE.assign(income=list("wxyz")), "block", ["town"])
        with pytest.raises(DataError, match="'income' of the table of areas holds no numbers"):
            text.attribute("income")
