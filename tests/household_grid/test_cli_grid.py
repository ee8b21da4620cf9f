"""``nestflow grid``: the tables, figures and claims, and one sentence for a mistake."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from microsim.household_grid import experiments
from microsim.household_grid.ensemble import load_grid_ensemble
from microsim.household_grid.run import load_grid_run

QUICK = ("--set", "households=600", "--set", "side=8", "--set", "steps=30")


def test_it_writes_claims_tables_and_figures(nestflow, tmp_path, monkeypatch):
    # What they show is tested elsewhere; to draw them all takes seconds.
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: Path(path).touch())
    out = tmp_path / "grid"
    code, shown, said = nestflow("grid", "--preset", "code", "--seeds", "2", "--out", out, *QUICK)
    assert code == 0, said
    assert "households of the lowest incomes move most often" in shown
    claims = pd.read_csv(out / "code" / "claims.csv")
    assert set(claims["verdict"]) <= {"holds", "does not hold", "undecided", "not defined"}
    assert load_grid_run(out / "code").parameters.households == 600
    assert len(load_grid_ensemble(out).outcomes) == 4
    pages = {path.stem for path in (out / "code").glob("*.png")}
    assert pages == {
        "capacity", "occupancy", "population", "moves", "median_incomes", "pressure"
    }  # fmt: skip


def test_deviations_and_questions_are_run_when_asked(nestflow, tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: Path(path).touch())
    few = {"deviation_sets": ("paper", "edges"), "open_questions": ("base", "re-opened")}
    for function, names in few.items():
        whole = getattr(experiments, function)
        some = partial(lambda whole, names, *a, **k: {n: whole(*a, **k)[n] for n in names}, whole)
        monkeypatch.setattr(experiments, function, partial(some, names))
    out = tmp_path / "grid"
    code, shown, said = nestflow(
        "grid", "--deviations", "--questions", "--seeds", "2", "--out", out, *QUICK
    )
    assert code == 0, said
    assert "deviations, claims that hold" in shown
    table = pd.read_csv(out / "deviations/effects.csv", index_col="deviation")
    assert table.loc["edges", "says"] == "cities reach across the edges of the periodic grid"
    many = load_grid_ensemble(out / "paper/questions")
    effects = pd.read_csv(out / "paper/questions/effects.csv", index_col="set")
    assert effects.loc["base", "moves"] == 0
    by_hand = (many.of("re-opened")["moves"] - many.of("base")["moves"]).mean()
    assert effects.loc["re-opened", "moves"] == pytest.approx(by_hand)
    assert many.parameters["re-opened"].households == 600


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--preset", "papr"), "no preset 'papr' (did you mean 'paper'?)"),
        (("--seeds", "1"), "--seeds is 1; a claim needs at least 2"),
        (("--set", "occupancy=1"), "'occupancy' is 1; give a value of less than 1"),
        (("--set", "weights=[1, 2]"), "there are 2 weights; give four"),
        (("--set", "weights=[1"), "no value that can be read"),
        (("--set", "side"), "not of the form name=value"),
        (("--set", "steps=30", "--set", "shock=30"), "the last step is 29"),
        (("--set", "shock=null", "--set", "reopening=6"), "the reopening is at step"),
    ],
)
def test_a_mistake_ends_in_one_sentence(nestflow, tmp_path, options, message):
    code, _, said = nestflow("grid", *options, "--out", tmp_path / "grid")
    assert code == 2
    assert message in said
    assert not (tmp_path / "grid").exists()


def test_a_file_is_no_folder_to_write(nestflow, tmp_path, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("a run was begun")

    monkeypatch.setattr("microsim.household_grid.ensemble.grid_ensemble", never)
    (tmp_path / "grid").write_text("mine")
    code, _, said = nestflow("grid", *QUICK, "--out", tmp_path / "grid")
    assert code == 2
    assert "is a file; give a folder" in said
