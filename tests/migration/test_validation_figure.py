"""The figures of estimates against tables, and of errors removed."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from choicemodels.errors import DataError, SpecificationError
from choicemodels.nation.generator import generate_nation
from estimation.migration.agreement_figure import figure_agreement
from estimation.migration.validation import agreement_with, validate
from estimation.migration.validation_figure import figure_reductions
from estimation.migration.validation_references import (
    Reference,
    census_references,
    truth_references,
)


@pytest.fixture(scope="module")
def nation():
    return generate_nation("village", seed=3)


def test_each_reference_has_a_panel_with_its_correlation_and_cells(nation):
    references = [
        *census_references(nation.tables, nation.areas, nation.county_flows),
        *truth_references(nation.truth, ["block_group"]),
    ]
    figure = figure_agreement(nation.raw, references)
    panels = [axes for axes in figure.axes if axes.has_data()]
    assert len(panels) == len(references)
    for axes, reference in zip(panels, references, strict=True):
        found = agreement_with(nation.raw, reference)
        assert axes.get_title(loc="left") == f"{reference.name}\n{reference.source}"
        assert axes.texts[0].get_text().startswith(f"ρ = {found.correlation:.3f}\n")
        assert axes.texts[0].get_text().endswith(f" of {found.cells:,} cells")
        assert axes.get_xlim() == axes.get_ylim()


def test_points_are_the_cells_above_zero_in_both(nation):
    references = {r.quantity: r for r in truth_references(nation.truth, ["county"])}
    figure = figure_agreement(nation.raw, [references["movers"], references["populations"]])
    ours, theirs = (m.aggregate("county").flows.toarray() for m in (nation.raw, nation.truth))
    both = (ours > 0) & (theirs > 0) & ~np.eye(len(ours), dtype=bool)
    x, y = figure.axes[0].lines[0].get_data()
    np.testing.assert_allclose(sorted(zip(x, y, strict=True)),
                               sorted(zip(theirs[both], ours[both], strict=True)))  # fmt: skip
    x, y = figure.axes[1].lines[0].get_data()
    np.testing.assert_allclose(x, theirs.sum(axis=1))
    np.testing.assert_allclose(y, ours.sum(axis=1))


def test_a_crowd_of_points_is_drawn_as_its_density(nation):
    flows = {r.quantity: r for r in truth_references(nation.truth, ["block_group"])}["flows"]
    (axes,) = figure_agreement(nation.raw, [flows]).axes
    (cells,) = (c for c in axes.collections if isinstance(c, PolyCollection))
    shared = ((nation.raw.flows.toarray() > 0) & (nation.truth.flows.toarray() > 0)).sum()
    assert len(cells.get_array()) > 50
    assert axes.texts[0].get_text().split("\n")[1].startswith(f"{shared:,} of ")


def test_what_cannot_be_drawn_is_refused_in_a_sentence(nation):
    reference = census_references(nation.tables, nation.areas)[0]
    with pytest.raises(SpecificationError, match="nothing to draw"):
        figure_agreement(nation.raw, [])
    with pytest.raises(SpecificationError, match="averages 5 years; draw references of one year"):
        figure_agreement(nation.raw, [replace(reference, years=5)])
    empty = Reference("stayers", "county", "empty", np.zeros(nation.areas.level("county").size))
    with pytest.raises(DataError, match="no cell of stayers, county is above zero"):
        figure_agreement(nation.raw, [empty])


def test_bars_are_the_mean_reductions_with_their_spread_over_releases(nation):
    base, rng = nation.truth, np.random.default_rng(4)
    truths = {year: replace(base, year=year) for year in (2015, 2016)}
    raws = {year: replace(nation.raw, year=year) for year in truths}
    near = {
        year: replace(base, year=year, values=base.values * rng.uniform(0.5, 1.5, base.nnz))
        for year in truths
    }
    validation = validate({"near": near, "itself": truths}, truth=truths, raw=raws)
    figure = figure_reductions(validation, "truth")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "populations", "flows", "movers", "stayers", "in-migration", "in-migration rate",
    ]  # fmt: skip
    measures = validation.measures.set_index(["quantity", "level", "estimate"])
    for axes, quantity in zip(figure.axes, ["populations", "flows"], strict=False):
        levels = [label.get_text().replace(" ", "_") for label in axes.get_yticklabels()]
        for bars, name in zip(axes.containers[1::2], ["near", "itself"], strict=True):
            expected = [measures.loc[(quantity, level, name)] for level in levels]
            widths = [bar.get_width() for bar in bars]
            np.testing.assert_allclose(widths, [row["reduction"] for row in expected])
            lines = bars.errorbar[2][0].get_segments()
            halves = [(line[1, 0] - line[0, 0]) / 2 for line in lines]
            np.testing.assert_allclose(
                halves, [row["reduction_sd"] for row in expected], atol=1e-12
            )


def test_reductions_that_are_not_known_are_not_drawn(nation):
    validation = validate({"raw itself": nation.raw}, truth=nation.truth)
    with pytest.raises(DataError, match="validate with raw="):
        figure_reductions(validation, "truth")
    with pytest.raises(SpecificationError, match="no source 'census'; there are truth"):
        figure_reductions(validation)
