"""Occupations whose exposure changes: by values or from a file, kept in the run."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import SpecificationError
from microsim import Scenario, load_run, simulate
from microsim.shocks import exposure_path

AI = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.2}]}
TABLE = {"kind": "exposure", "values": {"43-0000": 0.9, "11-0000": 0.0}}


def test_tables_hold_from_their_month_on(make, population):
    soc = list(population.occupations["soc"])
    start = population.occupations["exposure"].to_numpy()
    later = {"kind": "exposure", "start_month": 3, "values": {"43-0000": 0.1}}
    scenario = make(shocks=[later, {**TABLE, "start_month": 1}])
    path = exposure_path(scenario.shocks, soc, start, 5)
    assert_array_equal(path[0], start)
    assert_array_equal(
        path[:, soc.index("43-0000")], [start[soc.index("43-0000")], 0.9, 0.9, 0.1, 0.1]
    )
    assert_array_equal(path[1:, soc.index("11-0000")], 0)
    others = [o for o, code in enumerate(soc) if code not in TABLE["values"]]
    assert_array_equal(path[:, others], np.tile(start[others], (5, 1)))


def test_displacement_follows_the_table(population, behaviour, make):
    """Exposure that is zero everywhere stops displacement in the month the table begins."""
    soc = list(population.occupations["soc"])
    none = {"kind": "exposure", "start": "2024-03", "values": dict.fromkeys(soc, 0.0)}
    calm = simulate(population, behaviour, make(shocks=[AI]), months=4)
    run = simulate(population, behaviour, make(shocks=[AI, none]), months=4)
    assert_array_equal(run.national["displaced"][2:], 0)
    assert (calm.national["displaced"] > 0).all()
    assert_frame_equal(run.metros.query("month < 2"), calm.metros.query("month < 2"))


def test_displacement_has_the_size_of_the_table(population, behaviour, make):
    full = {"kind": "exposure", "values": dict.fromkeys(population.occupations["soc"], 1.0)}
    flat = {"stage_multipliers": (1, 1, 1, 1)}
    run = simulate(
        population, behaviour, make(shocks=[AI, full], quiet=True, labour=flat), months=1
    )
    employed = (population.workers.firm >= 0).sum()
    expected, error = 0.2 * employed, np.sqrt(0.16 * employed)
    assert abs(run.national["displaced"][0] - expected) < 3.5 * error


def test_the_same_table_changes_nothing(population, behaviour, make):
    table = population.occupations
    same = {"kind": "exposure", "values": dict(zip(table["soc"], table["exposure"], strict=True))}
    calm = simulate(population, behaviour, make(shocks=[AI]), months=3)
    run = simulate(population, behaviour, make(shocks=[AI, same]), months=3)
    assert_frame_equal(run.metros, calm.metros, check_exact=True)


def test_a_file_is_found_beside_the_scenario_and_kept_in_the_run(
    population, behaviour, tmp_path, monkeypatch
):
    folder = tmp_path / "scenarios"
    (folder / "tables").mkdir(parents=True)
    # Detailed occupations are averaged to their major group.
    (folder / "tables/new.csv").write_text("soc,exposure\n43-4051,0.8\n43-6014,0.6\n")
    (folder / "base.yaml").write_text("shocks:\n  - {kind: exposure, file: tables/new.csv}\n")
    (tmp_path / "top.yaml").write_text("extends: scenarios/base.yaml\n")
    monkeypatch.chdir(tmp_path.parent)
    scenario = Scenario.load(tmp_path / "top.yaml")
    assert list(scenario.shocks[0].values) == ["43-0000"]
    assert_allclose(scenario.shocks[0].values["43-0000"], 0.7)
    simulate(population, behaviour, scenario, months=1, out=tmp_path / "run")
    (folder / "tables/new.csv").unlink()
    assert load_run(tmp_path / "run").scenario == scenario


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            "values: {43-000: 0.5}",
            r"in 'shocks\[0\]', '43-000' is no SOC major group .did you mean",
        ),
        (
            "values: {43-0000: 1.5}",
            r"shocks\[0\].values.43-0000' is 1.5; give a value of at most 1",
        ),
        ("values: {}", "values' has 0 entries; give at least one"),
        ("start: 2024-02", "values' is missing; add it"),
        ("values: {43-0000: 0.5}, file: t.csv", "values and file are both given; give one"),
        ("file: none.csv", r"none.csv: there is no such file"),
        ("file: t.csv", r"t.csv, line 2, column 'exposure': '7'; give a share between 0 and 1"),
    ],
)
def test_wrong_tables_end_in_a_sentence(tmp_path, part, message):
    (tmp_path / "t.csv").write_text("soc,exposure\n43-0000,7\n")
    file = tmp_path / "a.yaml"
    file.write_text(f"shocks:\n  - {{kind: exposure, {part}}}\n")
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.load(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)
