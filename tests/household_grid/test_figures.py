"""Figures and films are drawn from a run, and say what they cannot do."""

import numpy as np
import pytest
from matplotlib.animation import FFMpegWriter
from matplotlib.figure import Figure
from PIL import Image

from choicemodels.errors import DataError, SpecificationError
from microsim.household_grid import figures
from microsim.household_grid.animation import animate_grid
from microsim.household_grid.parameters import GridParameters
from microsim.household_grid.run import load_grid_run, simulate_grid

SMALL = GridParameters.preset("paper", households=900, side=10, steps=40, reopening=30)


@pytest.fixture(scope="module")
def run():
    return simulate_grid(SMALL, seed=1, every=10)


def drawn(figure):
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    return figure.axes


def test_the_capacity_map_shows_the_places(run):
    image = drawn(figures.capacity_map(run))[0].images[0].get_array()
    assert np.array_equal(image.ravel(), run.cells_at(0)["places"])


def test_population_maps_show_every_fifth_at_every_moment(run):
    axes = drawn(figures.population_maps(run))
    shown = [a.images[0].get_array() for a in axes if a.images]
    assert [int(image.sum()) for image in shown] == [180] * 15
    assert len([a for a in drawn(figures.population_maps(run, [0])) if a.images]) == 5
    with pytest.raises(DataError, match="not recorded at 7"):
        figures.population_maps(run, [7])


def test_move_activity_and_pressure_are_those_of_the_steps(run):
    lines = drawn(figures.move_activity(run))[0].lines
    by_step = run.activity.pivot(index="step", columns="quintile", values="moves")
    assert np.array_equal(lines[0].get_ydata(), by_step[1])
    pressed = drawn(figures.pressure_series({"paper": run}))[0].lines[0].get_ydata()
    assert len(pressed) == 40
    assert (pressed > 0).all()


def test_occupancies_and_median_incomes_are_drawn_before_and_after(run):
    axes = drawn(figures.occupancy_by_capacity(run))[0]
    assert [t.get_text() for t in axes.get_legend().texts] == ["before the shock", "at the end"]
    both = figures.median_income_distributions({"power": run, "exponential": run})
    assert len(drawn(both)) == 2


def test_a_film_has_a_frame_for_every_moment(run, tmp_path):
    with Image.open(animate_grid(run, tmp_path / "grid.gif")) as film:
        assert film.n_frames == run.cells["step"].nunique()
    assert animate_grid(run, tmp_path / "cost.gif", column="housing_cost").stat().st_size > 0


def test_a_film_that_cannot_be_made_says_why(run, tmp_path, monkeypatch):
    with pytest.raises(SpecificationError, match=r"neither a .gif nor an .mp4"):
        animate_grid(run, tmp_path / "grid.avi")
    with pytest.raises(SpecificationError, match="column is 'x'; film one of households"):
        animate_grid(run, tmp_path / "grid.gif", column="x")
    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda _: False))
    with pytest.raises(SpecificationError, match="needs the program ffmpeg"):
        animate_grid(run, tmp_path / "grid.mp4")


def test_a_run_survives_its_folder(run, tmp_path):
    again = load_grid_run(run.save(tmp_path / "run"))
    assert again.parameters == run.parameters
    assert (again.seed, again.replicate) == (1, 0)
    for name in ("households", "moves", "cells", "activity"):
        assert getattr(again, name).equals(getattr(run, name))
    with pytest.raises(DataError, match="holds no run of the grid"):
        load_grid_run(tmp_path)
