"""Figures show what the tables say."""

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import DataError
from estimation.migration.distance import distance_distribution
from estimation.migration.event_study import event_study
from estimation.migration.figures import (
    figure_event_study,
    figure_shares,
    figure_type_flows,
    figure_upward,
    figure_years,
)
from estimation.migration.mobility import upward_mobility
from estimation.migration.perimeter import rings
from estimation.migration.rates import moves_within_levels
from estimation.migration.strata import plurality_types, quantile_types
from estimation.migration.type_flows import flows_between_types, moves_to_types

GROUPS = ["white", "black", "hispanic"]


@pytest.fixture(scope="module")
def years(village):
    return {2015: village.matrix} | {y: village.other(y, y).matrix for y in (2016, 2017)}


def test_tiles_hold_shares_and_colours_ratios(village):
    table = flows_between_types(village.matrix, plurality_types(village.areas, GROUPS))
    axes = figure_type_flows(table).axes[0]
    shown = [text.get_text() for text in axes.texts]
    assert shown == [f"{share:.1%}" for share in table["share"]]
    np.testing.assert_allclose(axes.images[0].get_array().ravel(), np.log2(table["ratio"]))


def test_tiles_without_moves_stay_white(village):
    table = flows_between_types(village.matrix, plurality_types(village.areas, GROUPS))
    table.loc[("white", "black"), ["share", "ratio"]] = 0
    table.loc["black", ["share", "ratio"]] = np.nan
    axes = figure_type_flows(table).axes[0]
    assert [t.get_text() for t in axes.texts][3:6] == ["nobody moved"] * 3
    assert np.isnan(axes.images[0].get_array().filled(np.nan)).sum() == 4


def test_bars_add_up_to_a_hundred(village):
    table = distance_distribution(village.matrix, strata=quantile_types(village.areas, "income"))
    axes = figure_shares(table).axes[0]
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(400)
    assert [t.get_text() for t in axes.get_yticklabels()] == table.index.tolist()
    reach = moves_within_levels(village.matrix)["share"].unstack(sort=False)
    assert len(figure_shares(reach, "People, %").axes[0].patches) == 5
    with pytest.raises(DataError, match="no shares that add up to one"):
        figure_shares(table[["mean"]])


def test_lines_of_upward_moves(village, years):
    types = quantile_types(village.areas, "income")
    table = upward_mobility(village.matrix, "income", types)
    axes = figure_upward({"2015": table}).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 100 * table["share_upward"])
    with pytest.raises(DataError, match="of several years; choose one"):
        figure_upward({"all": upward_mobility(years, "income", types)})
    with pytest.raises(DataError, match="no table"):
        figure_upward({})


def test_lines_by_year(village, years):
    table = moves_to_types(years, quantile_types(village.areas, "income"))
    axes = figure_years(table, "share", "Moves, %", 100).axes[0]
    assert len(axes.lines) == 4
    top = table["share"].xs("4 of 4", level="destination")
    np.testing.assert_allclose(axes.lines[3].get_ydata(), 100 * top)
    with pytest.raises(DataError, match="the table has no years"):
        figure_years(table.loc[2015], "share", "Moves, %")
    with pytest.raises(DataError, match="no column 'shares'"):
        figure_years(table, "shares", "Moves, %")


def test_both_panels_of_an_event_study(village, years):
    study = event_study(years, rings(village.areas, village.areas.labels[:4]), 2017)
    left, right = figure_event_study(study).axes
    assert len(left.lines) == 4
    np.testing.assert_allclose(left.lines[0].get_ydata(), study.rates["rate"].xs("inside", level=1))
    assert isinstance(study.effects, pd.DataFrame)
    np.testing.assert_allclose(
        np.asarray(right.lines[0].get_ydata(), dtype=float), study.effects["effect"]
    )
