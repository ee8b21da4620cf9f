"""Demographic bias: by hand, at its ends, and of a generated village."""

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import DataError, SpecificationError
from choicemodels.nation.generator import generate_nation
from estimation.harmonization.steps import published_steps
from estimation.harmonize import harmonize
from estimation.migration.bias import demographic_bias
from estimation.migration.strata import group_shares, labelled_types, quantile_types

GROUPS = ["white", "black", "hispanic", "asian", "other"]
URBAN = {True: "urban", False: "rural"}


@pytest.fixture(scope="module")
def nation():
    return generate_nation("village", seed=3)


@pytest.fixture(scope="module")
def strata(nation):
    return [
        group_shares(nation.areas, GROUPS, name="group"),
        quantile_types(nation.areas, "income", 4),
        labelled_types(nation.areas, "urban", labels=URBAN),
    ]


def test_bias_is_implied_over_census_people(nation, strata):
    found = demographic_bias({"raw": nation.raw}, strata)
    table = nation.areas.table
    people = table["population"].to_numpy(dtype=float)
    implied = nation.raw.before * people.sum() / nation.raw.total
    for group in GROUPS:
        share = table[group].to_numpy() / people
        expected = (implied * share).sum() / table[group].sum() - 1
        assert found.bias.loc[("group", group), "raw"] == pytest.approx(expected, rel=1e-12)
        assert found.people["group", group] == pytest.approx(table[group].sum())
    for value, label in URBAN.items():
        inside = table["urban"].to_numpy() == value
        expected = implied[inside].sum() / people[inside].sum() - 1
        assert found.bias.loc[("urban", label), "raw"] == pytest.approx(expected, rel=1e-12)
    quartile = pd.qcut(table["income"], 4, labels=False).to_numpy()
    expected = implied[quartile == 0].sum() / people[quartile == 0].sum() - 1
    assert found.bias.loc[("income", "1 of 4"), "raw"] == pytest.approx(expected, rel=1e-12)


def test_over_and_undercounts_of_a_class_cancel(nation, strata):
    found = demographic_bias({"raw": nation.raw, "truth": nation.truth}, strata)
    surplus = found.bias.mul(found.people, axis=0).groupby("class").sum()
    np.testing.assert_allclose(surplus, 0, atol=1e-6)
    assert found.bias["raw"].abs().max() > 0.02


def test_a_general_undercount_is_no_bias(nation, strata):
    half = nation.raw.with_values(nation.raw.values / 2)
    found = demographic_bias({"raw": nation.raw, "half": half}, strata)
    np.testing.assert_allclose(found.bias["half"], found.bias["raw"], atol=1e-12)


def test_harmonizing_removes_the_bias_of_the_raw_matrix(nation, strata):
    tables = nation.exact_tables
    full = harmonize(nation.raw, published_steps(tables))
    matrices = {"raw": nation.raw, "full": full, "truth": nation.truth}
    bias = demographic_bias(matrices, strata, tables.populations).bias.abs()
    assert (bias["truth"] < 1e-9).all()
    assert bias["raw"].max() > 0.05
    assert bias["full"].max() < bias["raw"].max() / 5


def test_a_group_that_nobody_belongs_to_has_no_bias(nation):
    areas = nation.areas
    table = areas.table.assign(martian=0.0)
    nobody = group_shares(type(areas)(areas.labels, areas.name, areas.levels, table),
                          ["white", "martian"])  # fmt: skip
    found = demographic_bias({"raw": nation.raw}, [nobody])
    assert np.isnan(found.bias.loc[("group", "martian"), "raw"])
    assert found.table().data.loc["group: martian", "raw"] == "nobody"


def test_the_table_and_the_figure_show_every_group(nation, strata):
    found = demographic_bias({"raw": nation.raw, "truth": nation.truth}, strata)
    assert len(found.table().data) == len(GROUPS) + 4 + 2
    assert "group: white" in str(found.table())
    figure = found.figure()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["group", "income", "urban"]
    assert sum(len(axes.patches) for axes in figure.axes) == 2 * 11


def test_what_does_not_match_is_refused_in_a_sentence(nation, strata):
    people = nation.areas.table["population"]
    with pytest.raises(SpecificationError, match="give one matrix at least"):
        demographic_bias({}, strata)
    with pytest.raises(SpecificationError, match="one kind of groups"):
        demographic_bias({"raw": nation.raw}, [])
    with pytest.raises(SpecificationError, match="people are a list; give a Series"):
        demographic_bias({"raw": nation.raw}, strata, [1.0])
    with pytest.raises(DataError, match="lack 10 areas"):
        demographic_bias({"raw": nation.raw}, strata, people.iloc[10:])
    with pytest.raises(SpecificationError, match="missing, negative or infinite"):
        demographic_bias({"raw": nation.raw}, strata, -people)
    with pytest.raises(DataError, match="census population is zero everywhere"):
        demographic_bias({"raw": nation.raw}, strata, 0 * people)
    with pytest.raises(DataError, match="'raw' holds nobody"):
        demographic_bias({"raw": nation.raw.with_values(0 * nation.raw.values)}, strata)
