import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import frame_table
from microsim import Behaviour, Scenario, simulate
from microsim.calibration import KNOBS, Knob, calibrate
from microsim.calibration_report import (
    MOMENTS,
    calibration_report,
    load_targets,
    report_table,
)
from microsim.commands.console import require_table_file

ROOT = Path(__file__).parents[2]


def test_the_shift_of_staying_is_a_change_of_its_constant(population, behaviour, make):
    truth = behaviour.mobility
    constant = truth.staying["(Intercept)"]
    moved = replace(truth, staying={**truth.staying, "(Intercept)": constant + 0.5})
    shifted = simulate(population, behaviour, make(moving={"staying_shift": 0.5}), months=3)
    changed = simulate(population, Behaviour(mobility=moved), make(), months=3)
    assert_frame_equal(shifted.national, changed.national)
    still = simulate(population, behaviour, make(moving={"staying_shift": 40.0}), months=3)
    assert still.national["moves"].sum() == 0 < shifted.national["moves"].sum()


@pytest.fixture(scope="module")
def baseline(population, behaviour):
    return simulate(population, behaviour, months=6)


def test_moments_are_those_of_the_tables(population, baseline):
    report = calibration_report(baseline, population, burn_in=2)
    months = baseline.national.query("month >= 2")
    rate = 100 * months["unemployed"].sum() / months["population"].sum()
    assert report.loc["unemployment rate", "simulated"] == pytest.approx(rate)
    states = dict(zip(population.metros.cbsa, population.metros.states, strict=True))
    apart = [
        not set(states[a].split("-")) & set(states[b].split("-"))
        for a, b in zip(baseline.flows["origin"], baseline.flows["destination"], strict=True)
    ]
    yearly = 2 * 100 * baseline.flows["moves"][apart].sum() / len(population.workers)
    whole = calibration_report(baseline, population)["simulated"]
    assert whole["interstate moves"] == pytest.approx(yearly)
    assert whole.filter(like="miles").sum() == pytest.approx(100)
    assert months["local_moves"].sum() > months["moves"].sum()
    w = population.workers
    burdened = (12 * w.housing_cost > 0.3 * w.wage)[~w.homeowner].mean()
    assert report.loc["burdened renters", "simulated"] == pytest.approx(100 * burdened)


@pytest.mark.parametrize("credit", [True, False])
def test_saving_is_what_assets_less_debts_grow_by(population, behaviour, make, credit):
    run = simulate(population, behaviour, make(credit={"active": credit}), months=4)
    series = run.national.set_index("month")
    assert series["credit"].sum() > 0
    wealth = series["savings"] - series["debt"]
    taxes = series[["federal_taxes", "state_taxes", "local_taxes"]].sum(axis=1)
    income = (series["wages"] + series["benefits"] - taxes)[1:].sum()
    report = calibration_report(run, population, burn_in=1)
    expected = 100 * (wealth[3] - wealth[0]) / income
    assert report.loc["personal saving rate", "simulated"] == pytest.approx(expected)


def test_every_target_has_a_moment_a_source_and_a_gap_or_a_reason(population, baseline):
    report = calibration_report(baseline, population)
    assert list(report.index) == list(MOMENTS)
    known = set(re.findall(r"@\w+\{(\w+),", (ROOT / "docs/references.bib").read_text("utf-8")))
    for source in load_targets()["source"]:
        cited = set(re.findall(r"\[(\w+)\]", source))
        assert cited <= known
        assert cited or source.startswith("assumption: ")
    assert_series_equal(report["gap"], report["simulated"] - report["published"], check_names=False)
    assert report["simulated"].notna().all()
    text = str(report_table(report))
    assert "nan" not in text
    assert "unemployment rate: January 2024, [BLSSituation2024]." in text


def test_what_cannot_be_measured_says_why(population, behaviour, make):
    still = simulate(population, behaviour, make(local_moves={"active": False}), months=1)
    report = calibration_report(still, population)
    missing = report["simulated"].isna()
    assert list(report.index[missing]) == [name for name in MOMENTS if "miles" in name]
    assert report.loc[missing, "note"].str.startswith("nobody moved within a metro").all()
    assert "nan" not in str(report_table(report))


def test_the_people_and_the_months_must_be_those_of_the_run(population, baseline, behaviour):
    with pytest.raises(SpecificationError, match=r"burn_in is 6; of a run of 6 months give 0 to 5"):
        calibration_report(baseline, population, burn_in=6)
    w = population.workers
    older = replace(population, workers=replace(w, age=w.age + np.int16(1)))
    with pytest.raises(SpecificationError, match="is of other people than those given"):
        calibration_report(baseline, older)


@pytest.fixture(scope="module")
def calibrated(population, behaviour, make):
    return calibrate(population, behaviour, make(), months=8, burn_in=2, tolerance=0.05)


def test_a_calibrated_baseline_has_the_published_moments(calibrated, population, behaviour):
    run = simulate(population, behaviour, calibrated.scenario, months=8)
    report = calibration_report(run, population, burn_in=2)
    assert_frame_equal(report, calibrated.report)
    chosen = report.loc[[knob.target for knob in KNOBS]]
    assert (chosen["gap"] / chosen["published"]).abs().max() <= 0.05
    log = calibrated.log
    first = log[log["round"] == 1].set_index("target")["relative_gap"]
    # Moves are rare, so that the shift is near the logarithm of what they must fall by.
    shift = calibrated.scenario.parameters.moving.staying_shift
    assert shift == pytest.approx(np.log1p(first["interstate moves"]), abs=0.1)
    assert len(calibrated.log) == len(KNOBS) * calibrated.log["round"].max()


def test_a_calibrated_scenario_is_read_back_with_its_log(calibrated, tmp_path):
    file = calibrated.save(tmp_path / "calibrated.yaml")
    assert Scenario.load(file) == calibrated.scenario
    assert len(pd.read_csv(tmp_path / "calibrated.log.csv")) == len(calibrated.log)
    with pytest.raises(SpecificationError, match=r"give a file that ends in \.yaml"):
        calibrated.save(tmp_path / "calibrated.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written to .*give a place"):
        calibrated.save(tmp_path / "file" / "calibrated.yaml")


@pytest.mark.parametrize(
    ("knob", "lower"),
    [
        (Knob("a", "b", raises=True), True),
        (Knob("a", "b", raises=False), False),
        (Knob("a", "b", raises=False, scale="level"), False),
    ],
)
def test_a_knob_turns_toward_the_published_value(knob, lower):
    full = knob.turned(0.5, 3.0, 2.0, 1.0)
    half = knob.turned(0.5, 3.0, 2.0, 0.5)
    assert (full < half < 0.5) if lower else (full > half > 0.5)
    assert knob.turned(0.5, 2.0, 2.0, 1.0) == 0.5


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rounds": 0}, SpecificationError, "rounds is 0"),
        ({"rounds": 1.5}, SpecificationError, r"rounds is 1\.5; give a whole number"),
        ({"burn_in": 2}, SpecificationError, "burn_in is 2; of a run of 2 months"),
        *(
            (
                {"knobs": [Knob(parameter, "hires", raises=True)]},
                SpecificationError,
                rf"parameter '{parameter}' is {kind}, which cannot be turned",
            )
            for parameter, kind in (
                ("labour.minimum_wage", "None"),
                ("labour.stage_multipliers", r"\(0\.5, .*\)"),
                ("labour", "a group of parameters"),
                ("ties.active", "True"),
            )
        ),
        (
            {"knobs": [Knob("insurance.duration.MS", "hires", raises=True)]},
            SpecificationError,
            "there is no parameter 'insurance.duration.MS'",
        ),
        ({"tolerance": 0.0}, SpecificationError, "tolerance is 0"),
        ({"damping": 1.5}, SpecificationError, "damping is 1.5"),
        (
            {"knobs": [Knob("labour.seperation_rate", "hires", raises=True)]},
            SpecificationError,
            r"no parameter 'labour.seperation_rate' \(did you mean 'separation_rate'",
        ),
        (
            {"knobs": [Knob("labour.separation_rate", "hire", raises=True)]},
            SpecificationError,
            r"no target 'hire' \(did you mean 'hires'",
        ),
        (
            {"rounds": 1, "tolerance": 1e-6},
            EstimationError,
            r"1 rounds do not bring '.*' to .* within 0\.0001 %: it is",
        ),
        (
            {"knobs": [Knob("labour.job_finding_rate", "total separations", raises=True)]},
            EstimationError,
            r"'parameters.labour.job_finding_rate' is .* at most 1: the published moments cannot",
        ),
    ],
)
def test_what_cannot_be_calibrated_is_said_in_a_sentence(
    population, behaviour, options, error, message
):
    with pytest.raises(error, match=message):
        calibrate(population, behaviour, **{"months": 2, "burn_in": 0, **options})


def test_what_was_not_measured_is_not_calibrated(population, behaviour, make):
    still = make(local_moves={"active": False})
    with pytest.raises(EstimationError, match="cannot be calibrated: nobody moved within a metro"):
        calibrate(population, behaviour, still, months=1, burn_in=0)


def test_shocks_are_no_baseline(population, behaviour, make):
    shocked = make(shocks=[{"kind": "recession"}])
    with pytest.raises(SpecificationError, match="has shocks or policies"):
        calibrate(population, behaviour, shocked)


def test_the_command_shows_the_gaps_or_writes_a_scenario(nestflow, tmp_path):
    sizes = ("--workers", 3000, "--firms", 200, "--metros", 8, "--months", 3, "--burn-in", 1)
    code, shown, said = nestflow("calibrate", "--report", *sizes, "--table", tmp_path / "gaps.csv")
    assert code == 0, said
    assert "unemployment rate" in shown
    assert len(pd.read_csv(tmp_path / "gaps.csv")) == len(MOMENTS)
    out = tmp_path / "calibrated.yaml"
    code, shown, said = nestflow("calibrate", *sizes, "--out", out, "--tolerance", 0.2)
    assert code == 0, said
    assert Scenario.load(out).parameters.moving.staying_shift != 0
    for options in ((), ("--report", "--out", out)):
        code, _, said = nestflow("calibrate", *options)
        assert code == 2
        assert "ask for one of the two" in said


def test_the_command_checks_what_it_can_before_the_work(nestflow, tmp_path, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("the work was begun")

    monkeypatch.setattr("microsim.synthesize", never)
    for options, message in (
        (("--out", tmp_path / "c.txt"), "give a file that ends in .yaml"),
        (("--out", tmp_path / "c.yaml", "--table", tmp_path / "g.xyz"), "the suffix '.xyz' is not"),
        (("--report", "--table", tmp_path / "no" / "g.csv"), "does not exist; make it first"),
        (("--report", "--months", 12), "burn_in is 12; of a run of 12 months"),
    ):
        code, _, said = nestflow("calibrate", *options)
        assert code == 2, said
        assert message in said


@pytest.mark.parametrize("suffix", [".md", ".tex", ".html", ".typ", ".txt", ".csv", ".docx", ".x"])
def test_the_suffixes_of_tables_are_those_that_can_be_saved(tmp_path, suffix):
    file = tmp_path / f"table{suffix}"
    table = frame_table(pd.DataFrame({"a": ["1"]}))
    if suffix == ".x":
        for attempt in (require_table_file, table.save):
            with pytest.raises(SpecificationError, match=r"the suffix '\.x' is not one of"):
                attempt(file)
    else:
        require_table_file(file)
        assert table.save(file) == file
