"""Validation against tables, held-out tables and the truth of a generated village."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import DataError, SpecificationError
from choicemodels.nation.generator import generate_nation
from estimation.harmonization.steps import published_steps
from estimation.harmonize import harmonize
from estimation.migration.agreement import agreement
from estimation.migration.validation import validate
from estimation.migration.validation_references import (
    Reference,
    at_level,
    census_references,
    truth_references,
)
from estimation.migration.validation_variants import holdouts, step_orders

LEVELS = ["block_group", "tract", "county", "state"]


@pytest.fixture(scope="module")
def nation():
    return generate_nation("village", seed=3)


@pytest.fixture(scope="module")
def variants(nation):
    return holdouts(nation.raw, nation.exact_tables)


@pytest.fixture(scope="module")
def releases(nation, variants):
    found = validate(
        variants,
        nation.exact_tables,
        county_flows=nation.county_flows,
        truth=nation.truth,
        raw=nation.raw,
    ).releases
    return found.set_index(["source", "quantity", "level", "estimate"]).sort_index()


def dense_at(matrix, level):
    """A matrix added up to a level by a membership matrix."""
    chosen = matrix.areas.level(level)
    member = np.eye(chosen.size)[chosen.codes]
    return member.T @ matrix.flows.toarray() @ member


def dense_quantity(dense, quantity):
    """The quantities as the article defines them, each with its weights."""
    before, after, stay = dense.sum(axis=1), dense.sum(axis=0), np.diag(dense)
    off = ~np.eye(len(dense), dtype=bool)
    one = np.ones
    return {
        "populations": (before, one(len(dense))),
        "flows": (dense.ravel(), one(dense.size)),
        "movers": (dense[off], one(off.sum())),
        "stayers": (stay, one(len(dense))),
        "in-migration": (after - stay, one(len(dense))),
        "in-migration rate": ((after - stay) / after, after),
    }[quantity]


def weighted_correlation(x, y, w):
    covariance = np.cov(x, y, aweights=w)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "quantity", ["populations", "stayers", "in-migration", "in-migration rate"]
)
def test_quantities_of_areas_are_compared_as_written_out(
    nation, variants, releases, level, quantity
):
    y, _ = dense_quantity(dense_at(nation.truth, level), quantity)
    x, w = dense_quantity(dense_at(variants["full"].matrix, level), quantity)
    row = releases.loc["truth", quantity, level, "full"]
    assert row["rmse"] == pytest.approx(np.sqrt(np.average((x - y) ** 2, weights=w)), abs=1e-7)
    assert row["correlation"] == pytest.approx(weighted_correlation(x, y, w), rel=1e-9)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("quantity", ["flows", "movers"])
def test_pairs_are_compared_as_written_out(nation, variants, releases, level, quantity):
    x, y = (
        dense_quantity(dense_at(m, level), quantity)[0]
        for m in (variants["full"].matrix, nation.truth)
    )
    if level == "block_group":
        some = (x > 0) | (y > 0)
        x, y = x[some], y[some]
    row = releases.loc["truth", quantity, level, "full"]
    assert row["cells"] == len(x)
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean((x - y) ** 2)), rel=1e-9)
    assert row["correlation"] == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-9)


def test_reductions_are_relative_to_the_raw_matrix_scaled_to_the_people(nation, variants, releases):
    people = nation.exact_tables.before.sum()
    raw = nation.raw.with_values(nation.raw.values * people / nation.raw.total)
    truth = dense_at(nation.truth, "county")
    off = ~np.eye(len(truth), dtype=bool)
    errors = [
        np.sqrt(np.mean((dense_at(m, "county") - truth)[off] ** 2))
        for m in (variants["full"].matrix, raw)
    ]
    row = releases.loc["truth", "movers", "county", "full"]
    assert row["reduction"] == pytest.approx(1 - errors[0] / errors[1], rel=1e-9)
    assert (releases.xs("raw", level="estimate")["reduction"].abs() < 1e-12).all()


def test_how_many_people_the_raw_matrix_holds_does_not_matter(nation, variants):
    thin = nation.raw.with_values(nation.raw.values / 7)
    found = [
        validate({"full": variants["full"]}, nation.tables, raw=raw).releases["reduction"]
        for raw in (nation.raw, thin)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-9)


def test_the_truth_agrees_with_itself_and_with_tables_without_survey_errors(nation):
    found = validate(
        {"truth itself": nation.truth}, nation.exact_tables, truth=nation.truth, raw=nation.raw
    ).releases
    ours = found[found["estimate"] == "truth itself"]
    assert len(ours) == 4 + 5 + 4 * 6
    np.testing.assert_allclose(ours["correlation"], 1, atol=1e-9)
    np.testing.assert_allclose(ours["reduction"], 1, atol=1e-9)


def test_tables_without_errors_bring_the_raw_matrix_nearer_to_the_truth(releases):
    gone = releases["reduction"]
    assert gone["truth", "populations", "block_group", "full"] > 0.9
    for quantity in ("flows", "movers", "stayers", "in-migration"):
        assert gone["truth", quantity, "county", "full"] > 0.3
        assert gone["truth", quantity, "block_group", "full"] > 0.05
    assert gone["truth", "movers", "state", "full"] > 0.5


def test_what_is_held_out_is_met_less_well_and_marked(releases):
    populations = releases.loc["census", "populations", "block_group"]
    full, without = populations.loc["full"], populations.loc["without populations"]
    assert (full["held out"], without["held out"]) == (False, True)
    assert full["rmse"] < without["rmse"] / 3
    movers = releases.loc["census", "movers", "state"]
    assert movers.loc["without state tables", "held out"] is True
    assert movers.loc["full", "rmse"] < movers.loc["without state tables", "rmse"] / 2
    # No step ever sees the table between counties; the truth is no table.
    assert releases.loc["held-out census"].drop("raw", level="estimate")["held out"].all()
    assert releases.loc["truth"]["held out"].isna().all()


def test_tables_are_compared_as_their_labels_say(nation, variants):
    tables = nation.tables
    shuffled = replace(
        tables,
        populations=tables.populations.sample(frac=1, random_state=1),
        flows=tables.flows.iloc[::-1, ::-1],
    )
    found = [validate({"full": variants["full"]}, t).releases for t in (tables, shuffled)]
    pd.testing.assert_frame_equal(*found)


def test_rates_of_a_table_are_over_the_people_there_now(nation):
    # The survey's own sums are further from the people there now than the count of counties.
    tables = replace(nation.tables, after=nation.tables.after * 1.25)
    references = census_references(tables, nation.areas, nation.county_flows)
    state, county = (r for r in references if r.quantity == "in-migration rate")
    flows = tables.flows.to_numpy()
    now = tables.after.groupby(tables.after.index.str[:2]).sum().to_numpy()
    np.testing.assert_allclose(state.values, (flows.sum(axis=0) - np.diag(flows)) / now)
    moved = nation.county_flows.query("origin != destination")
    moved_in = moved.groupby("destination")["people"].sum()
    np.testing.assert_allclose(county.values, moved_in / tables.after[moved_in.index])


def test_a_reference_of_several_years_meets_the_average_of_its_years(nation):
    rng = np.random.default_rng(1)
    years = {
        year: replace(nation.truth, values=nation.truth.values * rng.uniform(0.5, 2), year=year)
        for year in (2014, 2015, 2016)
    }
    goal = nation.truth.areas.level("tract").totals(nation.truth.before)
    references = [
        Reference("populations", "tract", "survey", goal, year=year, years=2)
        for year in (2015, 2016, 2017)
    ]
    found = validate({"three": years}, references=references)
    assert found.releases["year"].tolist() == [2015, 2016]
    for (first, second), rmse in zip(pairwise(years.values()), found.releases["rmse"], strict=True):
        mean = (first.before + second.before) / 2
        expected = agreement(nation.truth.areas.level("tract").totals(mean), goal)
        assert rmse == pytest.approx(expected.rmse, rel=1e-12)
    row = found.measures.iloc[0]
    assert row["releases"] == 2
    assert row["rmse"] == pytest.approx(found.releases["rmse"].mean())
    flows = Reference(
        "flows", "state", "survey", at_level(nation.truth, "state"), year=2016, years=3
    )
    scale = np.mean([m.total for m in years.values()]) / nation.truth.total
    expected = agreement(*(dense_at(nation.truth, "state") * s for s in (scale, 1)))
    (three,) = validate({"three": years}, references=[flows]).releases["rmse"]
    assert three == pytest.approx(expected.rmse, rel=1e-9)


def test_the_table_has_a_row_for_each_reference_and_says_what_it_shows(nation, variants):
    validation = validate(variants, nation.tables, county_flows=nation.county_flows, raw=nation.raw)
    table = validation.table()
    assert len(table.data) == len(validation.measures) / 4
    assert list(table.data.columns)[:3] == [
        ("raw", "ρ"), ("full", "ρ"), ("full", "RMSE −%")
    ]  # fmt: skip
    assert table.data.loc["populations, county (census)", ("full", "RMSE −%")] == "100.0"
    assert table.data.loc["movers, county (held-out census)", ("full", "ρ")].endswith("†")
    assert "† held out" in str(table)


def test_a_single_estimate_needs_no_name_and_without_the_raw_matrix_errors_stand(nation, variants):
    full = variants["full"]
    alone = validate(full, nation.tables)
    assert alone.releases["estimate"].unique().tolist() == ["estimate"]
    yearly = validate({nation.year: full}, nation.tables)
    pd.testing.assert_frame_equal(alone.releases, yearly.releases)
    shown = alone.table().data["estimate"]
    assert list(shown.columns) == ["ρ", "RMSE"]
    rmse = alone.releases.set_index(["quantity", "level"]).loc[("movers", "state"), "rmse"]
    assert shown.loc["movers, state (census)", "RMSE"] == f"{rmse:,.4g}"


def test_one_step_may_be_named_as_it_is(nation, variants):
    named = holdouts(nation.raw, nation.exact_tables, {"without": "populations"})["without"]
    listed = variants["without populations"]
    np.testing.assert_array_equal(named.matrix.values, listed.matrix.values)


def test_the_table_says_why_there_is_no_correlation(nation):
    flat = np.full(nation.areas.level("county").size, 7.0)
    found = validate(
        {"raw itself": nation.raw}, references=[Reference("stayers", "county", "made up", flat)]
    )
    assert found.table().data.loc["stayers, county (made up)", ("raw itself", "ρ")] == "—"
    assert "no correlation, the table does not vary" in found.table().note


def test_the_table_says_where_the_raw_matrix_makes_no_error(nation, variants):
    raw = nation.raw
    scaled = raw.with_values(raw.values * (nation.truth.total / raw.total))
    itself = Reference("flows", "block_group", "raw itself", scaled)
    found = validate(variants["full"], truth=nation.truth, references=[itself], raw=raw)
    table = found.table()
    row = "flows, block_group (raw itself)"
    assert table.data.loc[row, ("estimate", "RMSE −%")] == "—"
    assert "the raw matrix makes none" in table.note


def test_orders_of_steps_are_compared_with_the_first(nation):
    tables = nation.tables
    published = [step.name for step in published_steps(tables)]
    other = [published[1], published[0], *published[2:]]
    found = step_orders(nation.raw, tables, [published, other, published[::-1]])
    assert found["moved"].iloc[0] == 0
    assert (found["moved"].iloc[1:] > 1e-4).all()
    # Whatever stands last is met.
    assert (found[["before", "after"]].iloc[:2] < 1e-8).all(axis=None)
    assert found["population before"].iloc[2] < 1e-8 < found["population before"].iloc[0]
    steps = {step.name: step for step in published_steps(tables)}
    matrices = [harmonize(nation.raw, [steps[n] for n in o]).matrix for o in (published, other)]
    apart = np.abs(matrices[0].values - matrices[1].values).sum() / 2
    assert found["moved"].iloc[1] == pytest.approx(apart / matrices[0].total)


@pytest.mark.slow
def test_every_order_is_tried_unless_some_are_named(nation):
    found = step_orders(nation.raw, nation.tables)
    assert len(found) == 24
    assert found.index.is_unique
    assert found.index[0] == "populations → movers and stayers → flows → margins"


def test_what_does_not_match_is_refused_in_a_sentence(nation, variants):
    full = {"full": variants["full"]}
    tables = nation.tables
    stranger = replace(tables, populations=tables.populations.rename({"010010000011": "x"}))
    with pytest.raises(DataError, match=r"lack 1 areas \(010010000011\) and name 1 "):
        validate(full, stranger)
    with pytest.raises(SpecificationError, match="the name 'raw' is taken by raw="):
        validate({"raw": nation.raw}, tables, raw=nation.raw)
    with pytest.raises(SpecificationError, match="there is no estimate"):
        validate({}, tables)
    with pytest.raises(SpecificationError, match="give tables, the truth or references"):
        validate(full)
    with pytest.raises(SpecificationError, match="'full' is a DataFrame; give a MigrationMatrix"):
        validate({"full": tables.flows}, tables)
    with pytest.raises(SpecificationError, match="there is no level 'county_'"):
        validate(full, truth=nation.truth, levels=["county_"])
    with pytest.raises(SpecificationError, match="tables: a str was given"):
        validate(full, "tables")
    with pytest.raises(SpecificationError, match="county_flows belong to the tables of one year"):
        validate(full, truth=nation.truth, county_flows=nation.county_flows)
    with pytest.raises(DataError, match="nothing says how many people the raw matrix"):
        validate(full, references=truth_references(nation.truth, ["state"]), raw=nation.raw)
    with pytest.raises(DataError, match="key each by its own year"):
        validate({"full": {1999: variants["full"]}}, tables)
    with pytest.raises(DataError, match="but the references are of 1990"):
        validate(full, references=[replace(truth_references(nation.truth)[0], year=1990)])
    with pytest.raises(DataError, match="negative or not finite"):
        validate(full, tables, county_flows=nation.county_flows.assign(people=-1.0))
    with pytest.raises(DataError, match="no rows"):
        validate(full, tables, county_flows=nation.county_flows.iloc[:0])
    with pytest.raises(DataError, match="flows by county has nobody off its diagonal"):
        validate(full, tables, county_flows=nation.county_flows.query("origin == destination"))


def test_references_and_variants_are_valid_once_built(nation):
    flat = np.ones(3)
    with pytest.raises(SpecificationError, match="no quantity 'moves'"):
        Reference("moves", "state", "survey", flat)
    with pytest.raises(SpecificationError, match="flows by state are given as a ndarray"):
        Reference("flows", "state", "survey", flat)
    with pytest.raises(SpecificationError, match="stayers by state are given as a MigrationMatrix"):
        Reference("stayers", "state", "survey", nation.truth)
    with pytest.raises(SpecificationError, match="years=5 with year=None"):
        Reference("stayers", "state", "survey", flat, years=5)
    with pytest.raises(SpecificationError, match="no variant"):
        holdouts(nation.raw, nation.tables, {})
    with pytest.raises(SpecificationError, match="cannot leave out nothing"):
        holdouts(nation.raw, nation.tables, {"x": ["nothing"]})
    with pytest.raises(SpecificationError, match="there is no order"):
        step_orders(nation.raw, nation.tables, [])
    with pytest.raises(SpecificationError, match="the order flows, flows does not name each"):
        step_orders(nation.raw, nation.tables, [["flows", "flows"]])
