"""The nests of a model over data, in the manner of Stata's nlogittree."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, NestedLogit
from choicemodels.errors import SpecificationError

MODES = {"fly": ["air"], "ground": {"rail": ["train"], "road": ["bus", "car"]}}


def test_counts_are_those_of_the_data(travel_mode):
    report = NestedLogit("gc", nests=MODES).tree(travel_mode)
    table = report.table.set_index("node")
    assert table.index.tolist() == ["fly", "air", "ground", "rail", "train", "road", "bus", "car"]
    assert table["level"].tolist() == [1, 2, 1, 2, 3, 2, 3, 3]
    assert table.loc["bus", "parent"] == "road"
    assert (table["offered"] == 210).all()
    chosen = travel_mode.describe().alternatives["chosen"]
    for name, count in chosen.items():
        assert table.loc[name, "chosen"] == count
    assert table.loc["road", "chosen"] == chosen["bus"] + chosen["car"]
    assert table.loc["ground", "chosen"] == 210 - chosen["air"]
    assert report.problems == ("nests with one member, whose lambda is fixed at 1: 'fly', 'rail'.",)


def test_the_page_reads_like_nlogittree(travel_mode):
    model = NestedLogit("gc", nests={"fly": ["air"], "ground": ["train", "bus", "car"]})
    assert str(model.tree(travel_mode)).split("\n") == [
        "           N    k  lambda",
        "------------------------------------",
        "fly      210   58  1, not identified",
        "  air    210   58",
        "ground   210  152  free",
        "  train  210   63",
        "  bus    210   30",
        "  car    210   59",
        "------------------------------------",
        "cases    210  210",
        "N: cases that offer it. k: cases that chose it.",
        "- nests with one member, whose lambda is fixed at 1: 'fly'.",
    ]


def test_lambdas_are_told_as_the_model_has_them(travel_mode):
    def lambdas(**options):
        table = NestedLogit("gc", nests=MODES, **options).tree(travel_mode).table
        return table.loc[table["kind"] == "nest"].set_index("node")["lambda"].to_dict()

    fixed = "1, not identified"
    assert lambdas(lambdas="shared") == {
        "fly": fixed,
        "rail": fixed,
        "ground": "shared",
        "road": "shared",
    }
    assert lambdas(lambdas={"road": 0.5})["road"] == "0.5, as asked"
    # Without the normalization the lambda of a nest with one member is identified.
    assert set(lambdas(normalization="nonnormalized").values()) == {"free"}


def choices(rows, alternatives):
    """Return choices from (chosen or None, all offered)."""
    table = pd.DataFrame(
        [
            (case, alternative, int(alternative == chosen))
            for case, (chosen, offered) in enumerate(rows)
            for alternative in offered
        ],
        columns=["case", "alt", "chosen"],
    )
    return ChoiceData.from_long(table, "case", "alt", "chosen", alternatives=list(alternatives))


def test_problem_cases_are_counted_and_named():
    data = choices(
        [("a", "abc"), ("a", "ac"), ("c", "abcd"), ("c", "c"), ("d", "bd"), ("d", "ad")], "abcdefg"
    )
    nests = {"m": ["a", "b"], "n": ["c", "e"], "o": ["f", "g"]}
    report = NestedLogit("x", nests=nests).tree(data)
    table = report.table.set_index("node")
    assert table["offered"].to_dict() == {
        "d": 3,
        "m": 5,
        "a": 4,
        "b": 3,
        "n": 4,
        "c": 4,
        "e": 0,
        "o": 0,
        "f": 0,
        "g": 0,
    }
    assert table.loc["n", "chosen"] == 2
    assert report.problems == (
        "nests that never offer two members at once, whose lambda is fixed at 1: 'n', 'o'.",
        "alternatives that no case offers: 'e', 'f', 'g'.",
        "alternatives that nobody chose, which can have no constants: 'b'.",
        "cases that offer one alternative, which say nothing: 1.",
        "cases that offer nothing else of the nest they chose from, which say nothing about its "
        "lambda: 2.",
    )


def test_a_nest_that_nobody_chose_from_is_named():
    data = choices([("a", "abcd"), ("b", "abcd")], "abcd")
    report = NestedLogit("x", nests={"m": ["a", "b"], "n": ["c", "d"]}).tree(data)
    assert "nests that nobody chose from: 'n'." in report.problems


def test_without_choices_there_are_counts_of_offers_alone(travel_mode):
    data = ChoiceData.from_long(travel_mode.table, "individual", "mode")
    report = NestedLogit("gc", nests={"ground": ["train", "bus", "car"]}).tree(data)
    assert report.table["chosen"].sum() == 0
    assert report.problems == ("cases without a known choice: 210.",)


PLACES = [f"p{i:03d}" for i in range(384)]


def moves(choosers=500):
    rng = np.random.default_rng(0)
    home = rng.choice(PLACES, choosers)
    took = np.where(rng.random(choosers) < 0.8, "stay", rng.choice(PLACES, choosers))
    took = np.where(took == home, "stay", took)
    return ChoiceData.from_factors(
        pd.DataFrame({"home": home, "took": took}),
        pd.DataFrame({"place": PLACES}),
        origin="home",
        alternative="place",
        chosen="took",
    )


def test_384_destinations_fit_on_a_page():
    data = moves()
    report = NestedLogit.move_stay("x", destinations=PLACES).tree(data)
    lines = str(report).split("\n")
    assert len(lines) < 25
    assert max(map(len, lines)) < 200
    rest = report.table["chosen"].iloc[-375:].sum()
    (cut,) = [line for line in lines if "375 more" in line]
    assert cut.split()[-1] == f"{rest:,}"
    assert len(report.table) == 386
    long = NestedLogit.move_stay("x", destinations=PLACES).tree(data.to_long())
    pd.testing.assert_frame_equal(long.table, report.table)


@pytest.mark.parametrize(("groups", "each"), [(4, "87 more"), (10, "36 more"), (48, None)])
def test_groups_of_destinations_fit_on_a_page(groups, each):
    nests = {f"g{g}": PLACES[g::groups] for g in range(groups)}
    report = NestedLogit.move_stay("x", groups=nests).tree(moves())
    lines = str(report).split("\n")
    assert len(lines) < 70
    assert [line for line in lines if line.split()[:1] == [f"g{groups - 1}"]]
    assert any(line.startswith("stay") for line in lines)
    assert each is None or any(each in line for line in lines)
    assert len(report.table) == 386 + groups


def test_more_nests_than_lines_are_cut():
    nests = {f"g{g}": PLACES[g::96] for g in range(96)}
    lines = str(NestedLogit.move_stay("x", groups=nests).tree(moves())).split("\n")
    assert len(lines) < 70
    assert any("38 more nests" in line for line in lines)


def test_nests_must_fit_the_data(travel_mode):
    with pytest.raises(SpecificationError, match="names the alternative 'tram'"):
        NestedLogit("gc", nests={"m": ["tram"]}).tree(travel_mode)
