"""The research questions' tables, against runs and against numbers written by hand."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import DataError, SpecificationError
from microsim import Scenario, contrast, load_run, simulate
from microsim.mobility.variables import great_circle
from microsim.results.answers import answers, policy_answer, save_answers
from microsim.results.figures import monthly_outcomes, region_bars
from microsim.results.groups import EVENTS, RENT_BANDS
from microsim.results.per_dollar import per_dollar
from microsim.results.questions import (
    destination_models,
    who_goes_where,
    who_is_displaced,
    who_moves,
    who_sends_and_receives,
)
from microsim.results.rounding import rounded, with_errors

SHOCK = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.1}]}
RECENT = {"status": "displaced", "within_months": 12}
GRANT = {"kind": "relocation_grant", "amount": 10_000, "eligibility": RECENT}
COURSES = {"kind": "retraining", "outreach": 5, "stipend": 500, "eligibility": RECENT}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("questions")


@pytest.fixture(scope="module")
def runs(population, behaviour, make, folder):
    options = {"months": 4, "replicates": 2, "seed": 5}
    plans = {"shock": (), "grant": (GRANT,), "courses": (COURSES,)}
    return [
        simulate(
            population,
            behaviour,
            make(*policies, shocks=[SHOCK], name=name),
            out=folder / name,
            **options,
        )
        for name, policies in plans.items()
    ]


def test_displacement_adds_up_over_places_and_groups(runs):
    run = runs[0]
    total = run.national.groupby("replicate")["displaced"].sum()
    for place in ("nation", "region_class", "division", "cbsa"):
        for by in (None, "occupation", "exposure"):
            table = who_is_displaced(run, place, by)
            assert table["displaced"].sum() == pytest.approx(total.mean())
            assert table["workers"].sum() == pytest.approx(4_000)
    nation = who_is_displaced(run, "nation").iloc[0]
    assert nation["displaced s.e."] == pytest.approx(total.std(ddof=1) / np.sqrt(2))
    assert nation["% of workers"] == pytest.approx(total.mean() / 40)
    jobs = run.occupations.groupby("replicate")["employed_months"].sum() / 12
    assert nation["% of jobs a year"] == pytest.approx((100 * total / jobs).mean())
    thirds = who_is_displaced(run, "nation", "exposure").droplevel("place")
    assert list(thirds.index) == ["low", "middle", "high"]
    assert thirds["% of workers"].is_monotonic_increasing
    assert thirds["workers"].between(800, 2_000).all()


def group(replicate, age, education, recent=False, **events):
    counts = {**dict.fromkeys(EVENTS, 0), **events}
    return {
        "replicate": replicate,
        "year": 2024,
        "age": age,
        "education": education,
        "displaced_recently": recent,
        **counts,
    }


def test_monthly_shares_become_those_of_a_year(runs):
    rows = [
        group(0, "25-34", "graduate", worker_months=400, moves=4, stayed_months=380),
        group(1, "25-34", "graduate", worker_months=400, moves=8, stayed_months=360),
        group(0, "25-34", "high school", worker_months=40, retraining=2, stayed_months=38),
        group(1, "25-34", "high school", worker_months=40, retraining=2, stayed_months=38),
        group(1, "25-34", "high school", recent=True, worker_months=4, stayed_months=4),
    ]
    run = replace(runs[0], groups=pd.DataFrame(rows))
    table = who_moves(run)
    assert list(table.index) == [("25-34", "high school"), ("25-34", "graduate")]
    schooled = table.loc[("25-34", "graduate")]
    moved = [100 * (1 - 0.99**12), 100 * (1 - 0.98**12)]
    assert schooled["move"] == pytest.approx(np.mean(moved))
    assert schooled["move s.e."] == pytest.approx((moved[1] - moved[0]) / 2)
    assert schooled["stay"] == pytest.approx(50 * (0.95**12 + 0.9**12))
    assert schooled["workers"] == 100
    others = who_moves(run, displaced_recently=False).loc[("25-34", "high school")]
    assert others["retrain"] == pytest.approx(100 * (1 - 0.95**12))
    assert others["retrain s.e."] == pytest.approx(0)
    recent = who_moves(run, ["education"], displaced_recently=True)
    assert recent["stay"].to_list() == [100]
    assert "displaced" not in recent
    with pytest.raises(SpecificationError, match="nobody in the run 'shock' was displaced"):
        who_moves(replace(run, groups=run.groups.iloc[:4]), displaced_recently=True)


def test_who_is_displaced_is_compared_with_those_who_could_be(runs):
    rows = [
        group(0, "25-34", "graduate", worker_months=90, displaced=10),
        group(0, "25-34", "graduate", recent=True, worker_months=15, displaced=1),
        group(0, "35-44", "graduate", displaced=2),
        group(0, "35-44", "graduate", recent=True, worker_months=4),
    ]
    run = replace(runs[0], groups=pd.DataFrame(rows))
    split = who_moves(run, ["displaced_recently"])["displaced"]
    assert split[False] == pytest.approx(100 * (1 - (90 / 102) ** 12))
    assert split[True] == pytest.approx(100 * (1 - (6 / 7) ** 12))
    whole = who_moves(run, ["education"])["displaced"]
    assert whole["graduate"] == pytest.approx(100 * (1 - (96 / 109) ** 12))


def test_replicates_without_a_group_count_as_none(runs):
    rows = [
        group(0, "25-34", "graduate", worker_months=40, stayed_months=40),
        group(1, "25-34", "graduate", worker_months=40, stayed_months=40),
        group(1, "25-34", "graduate", recent=True, worker_months=8, stayed_months=8),
    ]
    run = replace(runs[0], groups=pd.DataFrame(rows))
    recent = who_moves(run, ["education"], displaced_recently=True).iloc[0]
    assert recent["workers"] == pytest.approx(1)  # 8 in four months of one of two replicates
    assert recent["stay"] == pytest.approx(100)


def test_rents_are_weighted_by_moves(runs):
    cells = [
        (0, False, RENT_BANDS[0], 30, 2_000.0, 1_400.0),
        (0, False, RENT_BANDS[4], 10, 1_000.0, 2_000.0),
        (1, False, RENT_BANDS[0], 40, 2_000.0, 1_000.0),
        (1, True, RENT_BANDS[0], 5, 3_000.0, 1_500.0),
    ]
    names = ["replicate", "remote", "rent_ratio", "moves", "origin_rent", "destination_rent"]
    table = who_goes_where(
        replace(runs[0], destinations=pd.DataFrame(cells, columns=names).assign(year=2024))
    )
    onsite = table.loc["on site"]
    assert onsite["moves a year"] == pytest.approx(120)  # 40 in four months
    assert onsite["rent at origin"] == pytest.approx((1_750 + 2_000) / 2)
    assert onsite["rent at destination"] == pytest.approx((1_550 + 1_000) / 2)
    assert onsite["change, %"] == pytest.approx((100 * (1_550 / 1_750 - 1) - 50) / 2)
    assert onsite["rent ratio below 0.80"] == pytest.approx((75 + 100) / 2)
    assert onsite["rent ratio 1.25 and above s.e."] == pytest.approx(12.5)
    assert table.loc["remote", "change, %"] == pytest.approx(-50)
    # In the first replicate no remote worker moved.
    assert table.loc["remote", "moves a year"] == pytest.approx((0 + 15) / 2)
    assert table.loc["remote", "moves a year s.e."] == pytest.approx(7.5)


def test_the_regression_finds_what_the_flows_were_made_of(runs):
    run = runs[0]
    columns = ["latitude", "longitude", "population", "mean_wage", "rent"]
    metros = run.metros.groupby("cbsa", sort=False)[columns].mean()
    km = great_circle(metros["latitude"].to_numpy(), metros["longitude"].to_numpy())
    o, d = np.nonzero(~np.eye(len(metros), dtype=bool))
    there = metros.iloc[d]
    pull = np.log(there["population"].to_numpy()) + 0.5 * np.log(there["mean_wage"].to_numpy())
    base = 1e-3 * np.exp(pull - 1.2 * np.log(km[o, d]))
    rent = there["rent"].to_numpy() / 1_000
    onsite, remote = base * rent**-0.4, 0.2 * base * rent**-1.1
    flows = pd.DataFrame(
        {
            "replicate": 0,
            "origin": metros.index[o],
            "destination": metros.index[d],
            "moves": onsite + remote,
            "remote_moves": remote,
        }
    )
    plain, effects = destination_models(replace(run, flows=flows))
    expected = {
        "log(distance)": -1.2,
        "log(population)": 1.0,
        "log(wage)": 0.5,
        "log(rent)": -0.4,
        "remote:log(rent)": -0.7,
    }
    for name, value in expected.items():
        assert plain.params[name] == pytest.approx(value, abs=1e-5)
    assert effects.params["remote:log(rent)"] == pytest.approx(-0.7, abs=1e-5)
    assert list(effects.params.index) == ["log(distance)", "remote:log(rent)"]
    with pytest.raises(SpecificationError, match="nobody who works from anywhere moved"):
        destination_models(replace(run, flows=flows.assign(remote_moves=0)))


def test_what_some_receive_others_send(runs, population):
    run = runs[0]
    table = who_sends_and_receives(run, top=3)
    for kind in ("region class", "division"):
        assert table.loc[kind, "net"].sum() == pytest.approx(0)
    moves = run.national.groupby("replicate")["moves"].sum().mean()
    assert table.loc["division", "arrivals"].sum() == pytest.approx(moves)
    panel = run.metros.groupby("cbsa")
    net = (panel["arrivals"].sum() - panel["departures"].sum()) / 2
    assert table.loc["receiving metro", "net"].to_list() == net.nlargest(3).to_list()
    assert table.loc["sending metro", "net"].to_list() == net.nsmallest(3).to_list()
    best = net.idxmax()
    start = np.bincount(population.workers.metro)[list(population.metros.cbsa).index(best)]
    assert table.loc["receiving metro", "net, %"].iloc[0] == pytest.approx(100 * net.max() / start)


def test_policies_per_dollar_agree_with_the_contrast(runs):
    shock, grant, courses = runs
    table = per_dollar(shock, [grant, courses])
    paired = contrast(shock, grant).table
    mine = table.loc["grant"]
    for name, other in (
        ("outlay", "policy cost"),
        ("additional moves", "moves"),
    ):
        assert mine.loc[name, "value"] == pytest.approx(paired.loc[other, "difference"])
        assert mine.loc[name, "mc_se"] == pytest.approx(paired.loc[other, "mc_se"])
    for name, other in (
        ("cost per additional move", "cost per additional move"),
        ("additionality, contrast", "additionality"),
    ):
        assert mine.loc[name, "value"] == pytest.approx(paired.loc[other, "policy"])
        assert mine.loc[name, "mc_se"] == pytest.approx(paired.loc[other, "mc_se"])
    assert 0 < mine.loc["additionality, same draws", "value"] < 100
    learned = table.loc["courses"]
    assert learned.loc["additional courses", "value"] > 0
    assert learned.loc["outlay", "value"] > 0
    assert learned.loc["additionality, contrast", "note"].startswith("not defined: nobody was paid")
    assert not (table["value"].isna() & (table["note"] == "")).any()
    assert not (table["mc_se"].isna() & (table["note"] == "")).any()


def test_what_governments_spend_is_on_their_accounts(runs):
    shock, _, courses = runs
    table = per_dollar(shock, [courses]).loc["courses", "value"]
    series = [run.national.groupby("replicate") for run in (shock, courses)]
    taxes = [
        sum(s[f"{level}_taxes"].sum() for level in ("federal", "state", "local")) for s in series
    ]
    benefits = [s["benefits"].sum() for s in series]
    expected = table["outlay"] - (taxes[1] - taxes[0]).mean() + (benefits[1] - benefits[0]).mean()
    assert table["net cost to governments"] == pytest.approx(expected)


def test_nothing_paid_is_told(runs):
    shock = runs[0]
    same = replace(shock, scenario=shock.scenario.model_copy(update={"name": "same"}))
    table = per_dollar(shock, [same]).loc["same"]
    assert (table.loc["outlay":"additional earnings", "value"] == 0).all()
    assert table.loc["earnings per dollar", "note"] == "not defined: nothing was paid"
    assert table.loc["cost per additional move", "note"] == "not defined: no moves are added"
    other = replace(same, scenario=same.scenario.model_copy(update={"shocks": ()}))
    notes = per_dollar(shock, [other])["note"]
    assert notes.str.contains("the runs differ in shocks too").all()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda run: who_is_displaced(run, "county"), "place is 'county'; use one of nation"),
        (lambda run: who_is_displaced(run, by="sex"), "by is 'sex'; use one of occupation"),
        (lambda run: who_moves(run, ["sex"]), "by is 'sex'; use one of age"),
        (lambda run: who_moves(run, []), "by is .*; give at least one of age"),
        (lambda run: who_moves(run, ["age", "age"]), "and each once"),
        (lambda run: contrast("runs/a", run), "'runs/a' is a str, not a run; give what simulate"),
        (lambda run: contrast(run, "runs/b"), "'runs/b' is a str, not a run"),
        (lambda run: per_dollar(run, run), "policies is one Run; give a list"),
        (lambda run: per_dollar(run, ["runs/x"]), "'runs/x' is a str, not a run"),
        (lambda run: per_dollar(run, []), "give at least one run"),
        (lambda run: per_dollar(run, [run, run]), "with another name"),
        (lambda run: per_dollar(run, [replace(run, seed=1)]), "different seeds"),
    ],
)
def test_questions_that_have_no_answer_are_refused(runs, ask, words):
    with pytest.raises(SpecificationError, match=words):
        ask(runs[0])


def test_answers_are_text_and_files(runs, tmp_path):
    found = [*answers(runs[0]), policy_answer(runs[0], runs[1:])]
    names = [answer.name for answer in found]
    assert len(set(names)) == len(names) >= 8
    save_answers(found, tmp_path / "answers")
    for answer in found:
        for suffix in (".md", ".tex", ".html", ".csv"):
            assert (tmp_path / "answers" / f"{answer.name}{suffix}").stat().st_size > 100
        assert not re.search(r"\bnan\b", answer.shown.to_markdown(), re.IGNORECASE)
    assert "Moran's I" in found[0].shown.note
    assert "2 replicates in parentheses" in found[-1].shown.note
    blocked = tmp_path / "file"
    blocked.write_text("here already")
    with pytest.raises(DataError, match="cannot be written"):
        save_answers(found, blocked)


def test_one_replicate_is_told(runs):
    run = runs[0]
    tables = ("metros", "national", "flows", "policies", "groups", "occupations", "destinations")
    first = {name: getattr(run, name).query("replicate == 0") for name in tables}
    lone = replace(run, replicates=1, **first)
    found = answers(lone)
    assert "One replicate: no Monte-Carlo errors" in found[1].shown.note
    assert "(" not in found[1].shown.data["displaced"].iloc[0]


def test_the_command_writes_the_tables(runs, folder, tmp_path):
    from typer.testing import CliRunner

    from microsim.cli import app

    assert load_run(folder / "shock").groups.equals(runs[0].groups)
    options = ["--policy", str(folder / "grant"), "--policy", str(folder / "courses")]
    result = CliRunner().invoke(
        app, ["questions", str(folder / "shock"), *options, "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    assert "Who is displaced where" in result.output
    assert (tmp_path / "out" / "per_dollar.tex").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.6, "1,235"), (2.0, "2"), (0.123456, "0.1235"), (float("nan"), ""), ("word", "word")],
)
def test_numbers_are_rounded(value, text):
    assert rounded(value) == text


def test_errors_set_the_decimals_of_their_values():
    table = pd.DataFrame(
        {
            "x": [1.23456, 1234.56, 3.0, 4.25, 12.0],
            "x s.e.": [0.0234, 120.0, 0.0, np.nan, 9.99],
            "unit": list("abcde"),
        }
    )
    shown = with_errors(table, " s.e.")
    assert shown["x"].to_list() == ["1.235 (0.023)", "1,235 (120)", "3 (0)", "4.25", "12.0 (10.0)"]
    assert list(shown.columns) == ["x", "unit"]


def test_figures_draw_everything_that_is_given(runs):
    many = [
        replace(runs[0], scenario=Scenario(name=f"plan {i}", shocks=runs[0].scenario.shocks))
        for i in range(9)
    ]
    for axes in monthly_outcomes(many).axes:
        looks = [(line.get_color(), line.get_linestyle()) for line in axes.lines]
        assert len(set(looks)) == len(looks) == 9
        assert "2024" not in axes.get_title(loc="left")
    values = pd.Series({"big": 1.0, "small": 2.0})
    bars = region_bars({f"plan {i}": values for i in range(9)}, "moves").axes[0]
    assert len(bars.containers) == 9
    for draw in (lambda: monthly_outcomes([]), lambda: region_bars({}, "moves")):
        with pytest.raises(SpecificationError, match="give at least one"):
            draw()
