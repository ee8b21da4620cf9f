"""Merged areas: names, nesting, and people who are all still there."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from choicemodels import FlowData, MigrationMatrix, NestflowError
from choicemodels.migration.areas import Areas
from estimation.census.boundaries import (
    merge_areas,
    merge_margins,
    merge_matrix,
    merge_table,
)
from estimation.census.margins_of_error import sum_margin


def relation(*pairs):
    return pd.DataFrame(pairs, columns=["old", "new"])


def zones(*labels):
    return Areas.from_table(pd.DataFrame({"zone": labels}), "zone", [])


def names(areas, *relations):
    return merge_areas(areas, list(relations)).mapping.to_dict()


def test_a_rename_takes_the_new_name():
    assert names(zones("a", "b"), relation(("a", "A"), ("b", "b"))) == {
        "a": "A",
        "A": "A",
        "b": "b",
    }


def test_a_split_takes_the_name_of_the_whole():
    found = names(zones("b", "c", "d"), relation(("a", "b"), ("a", "c"), ("d", "d")))
    assert found == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_a_union_takes_the_new_name():
    assert set(names(zones("a", "b"), relation(("a", "c"), ("b", "c"))).values()) == {"c"}


def test_an_exchanged_strip_has_no_name_of_its_own():
    found = names(zones("b", "a"), relation(("a", "a"), ("a", "b"), ("b", "b")))
    assert found == {"a": "a+1", "b": "a+1"}


def test_relations_chain_over_vintages():
    # A is split into B and C, then B is renamed: D covers a part alone, and A covers all.
    first = relation(("A", "B"), ("A", "C"))
    assert set(names(zones("C", "D"), first, relation(("B", "D"))).values()) == {"A"}
    # The parts are united again.
    found = names(zones("E"), first, relation(("B", "E"), ("C", "E")))
    assert set(found.values()) == {"E"}
    # A chain of strips reaches everybody.
    chain = [relation((x, x), (x, y), (y, y)) for x, y in ("ab", "bc", "cd")]
    assert set(names(zones("a", "b", "c", "d", "e"), *chain).values()) == {"a+3", "e"}


def test_coarser_levels_merge_where_they_must(areas):
    # a2 (county A) and b1 (county B) exchange a strip; c1 is renamed.
    found = merge_areas(areas, relation(("a2", "b1"), ("a2", "a2"), ("b1", "b1"), ("c1", "c9")))
    assert sorted(found.areas.labels) == ["a1", "a2+1", "b2", "b3", "c2", "c9"]
    county = found.areas.level("county")
    assert list(county.labels) == ["A+1", "C"]
    state = found.areas.level("state")
    assert list(state.labels) == ["N", "S"]
    # Areas refuses levels that do not nest, so that they do is proved by building them.
    assert found.areas.parents("county", "state").tolist() == [0, 1]
    assert found.merged.to_dict() == {"a2": "a2+1", "b1": "a2+1", "c1": "c9"}


def test_counties_and_states_merge_across_borders(areas):
    found = merge_areas(areas, relation(("b2", "c2"), ("b2", "b2"), ("c2", "c2")))
    assert list(found.areas.level("county").labels) == ["A", "B+1"]
    assert list(found.areas.level("state").labels) == ["N+1"]


def test_attributes_become_what_is_asked(areas):
    table = areas.table.assign(income=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], name=list("abcdefg"))
    richer = Areas(areas.labels, areas.name, areas.levels, table)
    found = merge_areas(
        richer,
        relation(("b1", "u"), ("b2", "u")),
        attributes={"population": "sum", "income": "mean", "name": "first"},
        weight="population",
    ).areas.table
    assert found.loc["u", "population"] == 90
    assert found.loc["u", "income"] == pytest.approx((40 * 4 + 50 * 5) / 90)
    assert found.loc["u", "name"] == "d"
    assert found["population"].sum() == areas.table["population"].sum()
    assert list(merge_areas(richer, relation(("b1", "u"))).areas.table.columns) == []


def random_relations(labels, rng):
    """A vintage of splits, unions, exchanges and renames of some labels."""
    chosen = rng.permutation(labels)[: len(labels) // 3]
    pairs = [
        (chosen[rng.integers(len(chosen))], x)
        for x in np.concatenate([chosen, [f"{c}x" for c in chosen]])
    ]
    return relation(*pairs)


@pytest.mark.parametrize("seed", range(5))
def test_people_are_conserved_exactly(seed):
    rng = np.random.default_rng(seed)
    N = 60
    labels = [f"{i:03d}" for i in range(N)]
    table = pd.DataFrame(
        {"zone": labels, "county": [f"c{i // 7}" for i in range(N)], "state": ["s"] * N}
    )
    areas = Areas.from_table(table, "zone", ["county", "state"])
    merger = merge_areas(areas, random_relations(labels, rng))
    assert merger.areas.size < N
    dense = rng.integers(0, 50, (N, N)) * (rng.random((N, N)) < 0.3)
    matrix = MigrationMatrix.from_scipy(csr_array(dense.astype(float)), areas, 2014)
    merged = merge_matrix(matrix, merger)
    group = merger.areas.labels.get_indexer(merger.mapping[areas.labels])
    G = np.eye(merger.areas.size)[group]
    assert np.array_equal(merged.flows.toarray(), G.T @ dense @ G)
    assert merged.total == matrix.total
    assert merged.year == 2014
    people = pd.DataFrame(rng.integers(0, 99, (N, 2)), index=labels, columns=["x", "y"])
    sums = merge_table(people.sample(frac=1, random_state=1), merger)
    assert np.array_equal(sums, G.T @ people)
    assert merge_table(people["x"], merger).equals(sums["x"])
    margins = merge_margins(people["x"].astype(float), merger)
    for k, label in enumerate(merger.areas.labels):
        assert margins[label] == pytest.approx(float(sum_margin(people["x"][group == k])))
    counties = merged.aggregate("county").flows.sum()
    assert counties == matrix.total


def test_flow_data_take_the_crosswalk():
    merger = merge_areas(zones("a", "b", "c"), relation(("a", "u"), ("b", "u")))
    flows = FlowData(
        pd.DataFrame({"o": ["a", "b", "c"], "d": ["c", "c", "a"], "y": [1.0, 2.0, 4.0]}),
        "o",
        "d",
        "y",
    )
    found = flows.aggregate(merger.crosswalk)
    assert found.table.set_index(["o", "d"])["y"].to_dict() == {("u", "c"): 3.0, ("c", "u"): 4.0}


def test_tables_of_another_vintage_come_along():
    merger = merge_areas(zones("b", "c"), relation(("a", "b"), ("a", "c")))
    assert merge_table(pd.Series([7.0], index=["a"]), merger).to_dict() == {"a": 7.0}


def test_bad_input_ends_in_a_sentence(areas):
    merger = merge_areas(areas, relation(("b1", "u"), ("b2", "u"), ("p", "q")))
    people = pd.Series(1.0, index=areas.labels)
    cases = [
        (lambda: merge_areas(areas, relation(("b1", "u")).rename(columns={"old": "was"})),
         "no column 'old'"),
        (lambda: merge_areas(areas, []), "no table of relations"),
        (lambda: merge_areas(areas, relation(("b1", None))), "missing in 1 rows"),
        (lambda: merge_areas(areas, relation(("b1", "u")), attributes={"population": "max"}),
         "is 'sum', 'mean' or 'first'"),
        (lambda: merge_areas(areas, relation(("b1", "u")), attributes={"age": "sum"}),
         "no column 'age'"),
        (lambda: merge_table(people.rename({"b3": "z9"}), merger), r"know \(z9\); add the relat"),
        (lambda: merge_table(people.rename({"b3": "q"}), merger), "not among the merged"),
        (lambda: merge_table(people.drop("c1"), merger), r"nothing of 1 areas \(c1\)"),
        (lambda: merge_table(people.replace(1.0, np.nan), merger), "finite numbers"),
        (lambda: merge_table(pd.concat([people, people]), merger), "must not repeat an area"),
    ]  # fmt: skip
    for call, says in cases:
        with pytest.raises(NestflowError, match=says):
            call()
