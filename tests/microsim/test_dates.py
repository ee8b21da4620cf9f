"""Shocks and policies dated by the calendar."""

import warnings

import pytest
from pandas.testing import assert_frame_equal

from choicemodels.errors import NestflowWarning, SpecificationError
from microsim import Scenario, load_run, simulate

GRANT = {"kind": "relocation_grant", "amount": 10_000}
FIXED = {"kind": "recession", "timing": "fixed"}
AI = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.1}]}


def test_a_date_is_the_month_it_stands_for(population, behaviour, make, tmp_path):
    counts = make(
        {**GRANT, "start_month": 1, "end_month": 2},
        shocks=[{**AI, "start_month": 2}, {**FIXED, "start_month": 1, "end_month": 3}],
    )
    dates = make(
        {**GRANT, "start": "2024-12", "end": "2025-01"},
        shocks=[{**AI, "start": "2025-01"}, {**FIXED, "start": "2024-12", "end": "2025-02"}],
    )
    months = {"months": 4, "start": "2024-11"}
    a = simulate(population, behaviour, counts, **months)
    b = simulate(population, behaviour, dates, **months, out=tmp_path / "run")
    assert_frame_equal(a.metros, b.metros, check_exact=True)
    assert_frame_equal(a.national, b.national, check_exact=True)
    assert load_run(tmp_path / "run").scenario == dates


def test_a_date_needs_no_quotes_in_a_file(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("shocks:\n  - {kind: ai_adoption, start: 2025-01}\n")
    assert Scenario.load(file).dated("2024-01", 20).shocks[0].start_month == 12


def test_a_programme_may_go_on_after_the_run(make):
    dated = make({**GRANT, "start": "2024-02", "end": "2031-01"}).dated("2024-01", 12)
    assert (dated.policies[0].start_month, dated.policies[0].end_month) == (1, 84)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"start": "2025-13"}, r"in 'shocks\[0\].start', 2025-13 is not a month; write one"),
        ({"start": "2025-01-15"}, "2025-01-15 is not a month; write one such as 2025-01"),
        ({"start": 2025}, "2025 is not a month"),
        ({"start": "2025-01", "start_month": 3}, "start is 2025-01 and start_month is 3; give one"),
        ({"start": "2025-03", "end": "2025-01"}, "end is 2025-01, before start 2025-03"),
        ({"strat": "2025-03"}, r"shocks\[0\].strat' .did you mean 'start'"),
    ],
)
def test_what_is_no_date_ends_in_a_sentence(part, message):
    with pytest.raises(SpecificationError, match=message):
        Scenario.from_mapping({"shocks": [{**FIXED, **part}]})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"start": "2023-12", "end": "2024-02"},
            r"a.yaml: in 'shocks\[1\]', start is 2023-12, before the run's fir",
        ),
        ({"start_month": 1, "end": "2023-06"}, "end is 2023-06, before the run's first month"),
        ({"start": "2024-05", "end_month": 2}, "end_month is 2, before start_month 4"),
    ],
)
def test_dates_outside_the_run_are_told(population, behaviour, part, message):
    content = {"shocks": [AI, {**FIXED, **part}]}
    scenario = Scenario.from_mapping(content, source="a.yaml")
    with pytest.raises(SpecificationError, match=message):
        simulate(population, behaviour, scenario, months=6)


@pytest.mark.parametrize(
    "part", [{"start": "2024-07", "end": "2024-08"}, {"start_month": 6, "end_month": 7}]
)
def test_what_begins_after_the_run_is_told_and_does_nothing(part):
    scenario = Scenario.from_mapping({"shocks": [AI, {**FIXED, **part}]}, source="a.yaml")
    with pytest.warns(NestflowWarning, match=r"a.yaml: shocks\[1\] would begin after the run's 6"):
        scenario.dated("2024-01", 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scenario.dated("2024-01", 7)
