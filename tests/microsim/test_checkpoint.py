import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import DataError, SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Behaviour, MoveTruth, load_run, simulate
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.results.checkpoint import pack, unpack
from microsim.results.recording import Record
from microsim.state import initial_state
from microsim.world import make_world

MONTHS, REPLICATES = 4, 2
SHOCK = {"kind": "ai_displacement", "start_month": 1, "hazard": [{"month": 0, "rate": 0.1}]}
GRANT = {"kind": "relocation_grant", "amount": 10_000, "budget": 400_000}
TABLES = ("metros", "national", "flows", "policies", "groups", "occupations", "destinations")


class Killed(BaseException):
    """Ends a run on the spot, as a signal does: nothing catches it."""


@pytest.fixture(scope="module")
def scenario(make):
    return make(GRANT, shocks=[SHOCK], name="both")


@pytest.fixture(scope="module")
def run(population, behaviour, scenario):
    """Return a function that simulates the scenario with options."""

    def simulated(**options):
        given = {"months": MONTHS, "replicates": REPLICATES, "scenario": scenario} | options
        return simulate(given.pop("population", population), behaviour, **given)

    return simulated


@pytest.fixture(scope="module")
def whole(run):
    return run()


def same(a, b):
    for name in TABLES:
        assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True, obj=name)
    assert a.notes() == b.notes()


def stop_after(months):
    def progress(done, total):
        if done == months:
            raise Killed

    return progress


@pytest.fixture
def stopped(run, tmp_path):
    """A folder of a run that was stopped in its third month."""
    with pytest.raises(Killed):
        run(out=tmp_path / "run", checkpoint=2, progress=stop_after(3))
    return tmp_path / "run"


@pytest.mark.parametrize("stop", [1, 3, 5, 8])
def test_a_resumed_run_is_the_run_that_was_never_stopped(run, whole, tmp_path, stop):
    with pytest.raises(Killed):
        run(out=tmp_path / "run", checkpoint=2, progress=stop_after(stop))
    seen = []
    resumed = run(
        out=tmp_path / "run",
        checkpoint=3,
        resume=True,
        progress=lambda done, total: seen.append(done),
    )
    same(resumed, whole)
    same(load_run(tmp_path / "run"), whole)
    # Two months back at most, and nothing of a replicate that has ended.
    last = {1: 0, 3: 2, 5: 4, 8: 8}[stop]
    assert seen == list(range(last + 1, MONTHS * REPLICATES + 1))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"metro_panel", "run.json", *(f"{name}.parquet" for name in TABLES[1:])}


@pytest.mark.parametrize("write", [0, 1, 6, 9, 18, 20])
def test_a_run_killed_while_it_writes_loses_nothing(run, whole, tmp_path, monkeypatch, write):
    moves = []
    move = os.replace

    def killed(part, path):
        moves.append(path)
        if len(moves) == write + 1:
            raise Killed
        move(part, path)

    with monkeypatch.context() as patch:
        patch.setattr("microsim.results.run_folder.os.replace", killed)
        with pytest.raises(Killed):
            run(out=tmp_path / "run", checkpoint=1)
    same(run(out=tmp_path / "run", checkpoint=1, resume=True), whole)
    assert not list((tmp_path / "run").rglob("*.part"))


def test_a_killed_process_can_be_resumed(population, scenario, tmp_path):
    population.save(tmp_path / "people")
    (tmp_path / "scenario.json").write_text(scenario.model_dump_json())
    program = """
import json, sys
from pathlib import Path
from microsim import Behaviour, MoveTruth, Scenario, load_population, simulate

people, plan = load_population("people"), json.loads(Path("scenario.json").read_text())
behaviour = Behaviour(mobility=MoveTruth(tuple(people.metros.cbsa)))
simulate(
    people, behaviour, Scenario.from_mapping(plan), months=9, out="killed", checkpoint=2,
    resume="resume" in sys.argv, progress=lambda done, total: print(done, flush=True),
)
"""
    root = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}

    def start(*arguments):
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.Popen(command, cwd=tmp_path, env=root, text=True, stdout=subprocess.PIPE)

    with start() as first:
        for line in first.stdout:
            if line.strip() == "5":
                first.send_signal(signal.SIGKILL)
    assert first.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed/run.json").exists()
    with pytest.raises(DataError, match=r"was stopped before its end; resume it"):
        load_run(tmp_path / "killed")
    with start("resume") as second:
        resumed, _ = second.communicate()
    assert second.returncode == 0
    assert int(resumed.split()[0]) >= 5
    truth = Behaviour(mobility=MoveTruth(tuple(population.metros.cbsa)))
    same(load_run(tmp_path / "killed"), simulate(population, truth, scenario, months=9))


def test_a_full_disk_ends_in_a_sentence_and_can_be_resumed(run, whole, tmp_path, monkeypatch):
    from pathlib import Path

    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match=r"npz cannot be written \(No space left.*resume"):
            run(out=tmp_path / "run", checkpoint=2)
    same(run(out=tmp_path / "run", checkpoint=2, resume=True), whole)


def test_a_folder_that_cannot_be_made_ends_in_a_sentence(run, tmp_path, monkeypatch):
    from pathlib import Path

    make = Path.mkdir

    def full(self, *args, **kwargs):
        if "replicate" in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        make(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(DataError, match=r"parquet cannot be written \(No space left"):
        run(out=tmp_path / "run")


def test_a_finished_run_is_read_and_not_run_again(run, whole, tmp_path):
    run(out=tmp_path / "run")
    same(run(out=tmp_path / "run", resume=True, progress=stop_after(1)), whole)


def test_resuming_where_nothing_was_begun_begins(run, whole, tmp_path):
    same(run(out=tmp_path / "new", resume=True), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scenario": None}, "its scenario is 'both', not 'baseline'"),
        ({"months": 9}, "its number of months is 4, not 9"),
        ({"seed": 2}, "its seed is 1, not 2"),
        ({"replicates": 3}, "its number of replicates is 2, not 3"),
        ({"histories": 0.5}, r"its share of workers with histories is 0\.0, not 0\.5"),
        ({"start": "2025-01"}, "its first month is '2024-01', not '2025-01'"),
    ],
)
def test_the_folder_of_another_run_is_refused(run, stopped, change, message):
    with pytest.raises(DataError, match=message):
        run(out=stopped, resume=True, **change)
    assert (stopped / "begun.json").exists()


def test_other_people_and_changed_scenarios_are_refused(run, stopped, population, scenario, make):
    w = population.workers
    other = replace(population, workers=replace(w, age=w.age + np.int16(1)))
    with pytest.raises(DataError, match="its population is '"):
        run(out=stopped, resume=True, population=other)
    changed = make(GRANT, shocks=[SHOCK], name="both", labour={"separation_rate": 0.02})
    with pytest.raises(DataError, match="its scenario is 'both', but changed since"):
        run(out=stopped, resume=True, scenario=changed)


def test_other_versions_are_refused(run, stopped):
    notes = json.loads((stopped / "begun.json").read_text())
    notes["versions"]["numpy"] = "1.0"
    (stopped / "begun.json").write_text(json.dumps(notes))
    with pytest.raises(DataError, match=r"was begun with numpy 1\.0, and other versions"):
        run(out=stopped, resume=True)


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ("begun.json", r"begun\.json cannot be read"),
        ("checkpoints/replicate=000.npz", r"000\.npz is no checkpoint of this run"),
        ("metro_panel/replicate=000/month=0001.parquet", r"0001\.parquet cannot be read"),
    ],
)
def test_damaged_files_are_named(run, stopped, damaged, message):
    (stopped / damaged).write_bytes(b"{")
    with pytest.raises(DataError, match=message):
        run(out=stopped, resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": 0, "out": "x"}, "checkpoint is 0"),
        ({"checkpoint": 2}, "checkpoint needs the folder"),
        ({"resume": True}, "resume needs the folder"),
    ],
)
def test_bad_options_are_refused(run, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecificationError, match=message):
        run(**options)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_holds_the_whole_state(population, behaviour, scenario, tmp_path):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    world = make_world(population, utility, scenario, MONTHS, Streams(1), first_month=1)
    start = initial_state(world)
    state = step(start, world)
    record = Record.empty(world)
    record.add(state, state, world, "2024-01")
    # The flows of a month have as many rows as moves: they are none when a month begins.
    state = state.next_month(world)
    path = tmp_path / "state.npz"
    path.write_bytes(pack(state, record))
    found, rows = unpack(path, start, Record.empty(world))

    def leaves(part):
        return {
            name: value
            for name, value in vars(part).items()
            if isinstance(value, np.ndarray | int | float)
        }

    for a, b in ((found, state), (found.flows, state.flows)):
        assert leaves(a).keys() == leaves(b).keys()
        for name, value in leaves(b).items():
            assert_array_equal(getattr(a, name), value, err_msg=name, strict=True)
            assert type(getattr(a, name)) is type(value)
    assert rows.national == record.national
    assert rows.policies == record.policies
    for name, value in leaves(record.tallies).items():
        assert_array_equal(getattr(rows.tallies, name), value, err_msg=name, strict=True)
    fewer = replace(start, metro=start.metro[1:])
    with pytest.raises(DataError, match=r"state\.metro is int64 \(4000,\) instead of"):
        unpack(path, fewer, Record.empty(world))


def test_files_that_are_no_run_of_this_kind_stay(run, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.parquet").write_bytes(b"mine")
    (folder / "histories").mkdir()
    (folder / "histories" / "mine.txt").write_text("mine")
    run(out=folder)
    assert (folder / "histories" / "mine.txt").exists()
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "ensemble.json").write_text("{}")
    with pytest.raises(DataError, match=r"holds an ensemble \(ensemble\.json\)"):
        run(out=tmp_path / "many")
    with pytest.raises(DataError, match="out is empty"):
        run(out="")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda notes: {**notes, "format": 9}, "holds a run of format 9, .* reads format 1"),
        (lambda notes: {k: v for k, v in notes.items() if k != "seed"}, "no finished run"),
        (lambda notes: [notes], "no finished run"),
        (lambda notes: {**notes, "replicates": "two"}, "no finished run"),
    ],
)
def test_notes_of_another_kind_are_refused(run, tmp_path, change, message):
    run(out=tmp_path / "run")
    file = tmp_path / "run" / "run.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(DataError, match=message):
        load_run(tmp_path / "run")
