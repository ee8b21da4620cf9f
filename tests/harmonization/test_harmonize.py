from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels import Areas, MigrationMatrix
from choicemodels.errors import DataError, SpecificationError
from estimation import harmonize
from estimation.harmonization.steps import (
    Flows,
    Margins,
    MoversAndStayers,
    Populations,
    published_steps,
)

from .conftest import make_matrix, published_loop, tables_of


def dense(matrix):
    return matrix.flows.toarray()


def close(found, wanted, tol=1e-8):
    some = wanted > 0
    np.testing.assert_array_equal(found[~some], 0)
    np.testing.assert_allclose(found[some], wanted[some], rtol=tol)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_four_steps_give_what_the_published_loop_does(areas, seed):
    matrix = make_matrix(areas, seed=seed, density=0.2)
    tables = tables_of(matrix, seed=seed + 10, noise=0.6)
    found = harmonize(matrix, published_steps(tables))
    close(dense(found.matrix), published_loop(matrix, tables))
    assert (found.log["after"] < 1e-9).all()
    at_the_end = found.log.set_index("margin")["at the end"]
    assert at_the_end["before"] < 1e-9
    assert at_the_end["after"] < 1e-9
    # The balance disturbs what came before it, and the log says so.
    assert at_the_end["population before"] > 1e-3


def test_the_matrix_given_is_not_changed(matrix, tables):
    before = matrix.values.copy()
    harmonize(matrix, published_steps(tables))
    np.testing.assert_array_equal(matrix.values, before)


def test_factors_times_the_raw_matrix_are_the_result(matrix, tables):
    found = harmonize(matrix, published_steps(tables))
    f, areas = found.factors, matrix.areas
    state = areas.level("state").codes
    factor = f.rows[:, None] * f.columns * f.pairs[np.ix_(state, state)]
    np.fill_diagonal(factor, f.stayers)
    np.testing.assert_allclose(dense(found.matrix), factor * dense(matrix), rtol=1e-13)


def test_totals_that_differ_are_scaled_to_those_before(matrix, tables):
    # The loop never converges then, but by finishing on the rows it scales the columns alike.
    off = replace(tables, after=tables.after * 1.01)
    found = harmonize(matrix, published_steps(off))
    close(dense(found.matrix), published_loop(matrix, off))
    np.testing.assert_allclose(
        found.matrix.aggregate("county").after, tables.after.to_numpy(), rtol=1e-9
    )


def test_totals_that_differ_by_more_than_said_are_refused(matrix, tables):
    with pytest.raises(DataError, match=r"\+5\.00%.*2\.00%.*births and immigrants"):
        harmonize(matrix, [Margins(tables.before, tables.after * 1.05)])
    harmonize(matrix, [Margins(tables.before, tables.after * 1.05, totals=0.06)])


def test_a_target_of_zero_is_not_imposed(matrix, tables):
    people = tables.populations.copy()
    people.iloc[[3, 7]] = 0
    found = harmonize(matrix, [Populations(people)])
    wanted = np.where(people > 0, people, matrix.before)
    np.testing.assert_allclose(found.matrix.before, wanted, rtol=1e-12)
    assert found.log["not imposed"].tolist() == [2]
    flows = tables.flows.copy()
    flows.iloc[0, 1] = 0
    found = harmonize(matrix, [Flows(flows)])
    wanted = np.where(flows > 0, flows, matrix.aggregate("state").to_frame())
    np.testing.assert_allclose(found.matrix.aggregate("state").to_frame(), wanted, rtol=1e-12)


def test_a_margin_of_zero_keeps_its_factor_of_one(matrix, tables):
    before = tables.before.copy()
    before.iloc[2] = 0
    found = harmonize(matrix, [Margins(before, tables.after)])
    step = found.adjustments[0]
    assert step.rows[2] == 1
    county = found.matrix.aggregate("county")
    keep = before.to_numpy() > 0
    np.testing.assert_allclose(county.before[keep], before[keep], rtol=1e-9)
    np.testing.assert_allclose(county.after, tables.after, rtol=1e-9)


def test_margins_work_on_the_areas_themselves(matrix, tables):
    before = tables.populations
    after = pd.Series(matrix.after * (before.sum() / matrix.total), matrix.areas.labels)
    found = harmonize(matrix, [Margins(before, after, level="block_group")])
    E = dense(matrix)
    for _ in range(20_000):
        E *= after.to_numpy() / E.sum(axis=0)
        E *= (before.to_numpy() / E.sum(axis=1))[:, None]
    close(dense(found.matrix), E)


def test_steps_on_areas_may_follow_steps_on_states(matrix, tables):
    after = pd.Series(matrix.after * 1.1, matrix.areas.labels)
    steps = [
        Flows(tables.flows),
        Populations(after, when="after"),
        MoversAndStayers(tables.movers, tables.stayers),
    ]
    found = harmonize(matrix, steps)
    state = np.eye(3)[matrix.areas.level("state").codes]
    E = dense(matrix)
    E *= state @ (tables.flows.to_numpy() / (state.T @ E @ state)) @ state.T
    E *= after.to_numpy() / E.sum(axis=0)
    stay = np.diag(np.diag(E))
    move = E - stay
    move *= state @ (tables.movers.to_numpy() / (state.T @ move.sum(axis=0)))
    stay *= state @ (tables.stayers.to_numpy() / (state.T @ stay.sum(axis=0)))
    close(dense(found.matrix), move + stay, 1e-12)


def test_flows_of_two_levels_multiply(matrix, tables):
    county = matrix.aggregate("county").to_frame() * 1.3
    steps = [Flows(county, level="county"), Flows(tables.flows)]
    E = dense(matrix)
    for table, name in ((county, "county"), (tables.flows, "state")):
        C = np.eye(len(table))[matrix.areas.level(name).codes]
        E *= C @ (table.to_numpy() / (C.T @ E @ C)) @ C.T
    close(dense(harmonize(matrix, steps).matrix), E, 1e-12)
    found = harmonize(matrix, steps[::-1])
    assert found.factors.pair_level == "county"
    np.testing.assert_allclose(found.matrix.aggregate("county").to_frame(), county, rtol=1e-12)


def test_targets_are_matched_by_label_and_not_by_place(matrix, tables):
    rng = np.random.default_rng(4)
    mixed = replace(
        tables,
        populations=tables.populations.sample(frac=1, random_state=1),
        movers=tables.movers[::-1],
        flows=tables.flows.iloc[::-1, rng.permutation(3)],
        before=tables.before.sample(frac=1, random_state=2),
    )
    one, other = (harmonize(matrix, published_steps(t)).matrix for t in (tables, mixed))
    np.testing.assert_array_equal(one.values, other.values)


def test_the_answer_does_not_depend_on_the_number_of_threads(matrix, tables):
    import numba

    one = harmonize(matrix, published_steps(tables)).matrix.values
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        other = harmonize(matrix, published_steps(tables)).matrix.values
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(one, other)


def test_a_step_can_be_held_out(matrix, tables):
    steps = published_steps(tables, leave_out=["flows", "populations"])
    assert [step.name for step in steps] == ["movers and stayers", "margins"]
    with pytest.raises(SpecificationError, match="cannot leave out states: the steps are pop"):
        published_steps(tables, leave_out=["states"])


def test_the_log_counts_and_measures(matrix, tables):
    log = harmonize(matrix, published_steps(tables)).log
    assert log["step"].tolist() == [
        "1 populations",
        *["2 movers and stayers"] * 2,
        "3 flows",
        *["4 margins"] * 2,
    ]
    assert log["targets"].tolist() == [36, 3, 3, 9, 9, 9]
    ratio = tables.populations / matrix.before
    first = log.iloc[0]
    assert first["least factor"] == pytest.approx(ratio.min())
    assert first["median"] == pytest.approx(ratio.median())
    assert first["before"] == pytest.approx((matrix.before / tables.populations - 1).abs().max())
    moved = np.abs(matrix.values * np.repeat(ratio - 1, np.diff(matrix.indptr))).sum() / 2
    assert first["moved"] == pytest.approx(moved)
    np.testing.assert_allclose(log["people"].iloc[0], tables.populations.sum())


def test_progress_is_told(matrix, tables):
    told = []
    harmonize(matrix, published_steps(tables), progress=lambda *what: told.append(what))
    assert told[0] == ("populations", 0, 4)
    assert told[-1] == ("done", 4, 4)


class TestBadInput:
    def test_labels_that_do_not_match_are_named(self, matrix, tables):
        wrong = tables.movers.rename({"02": "77"})
        with pytest.raises(DataError, match=r"movers lack 1 areas \(02\) and name 1 .* \(77\)"):
            harmonize(matrix, [MoversAndStayers(wrong, tables.stayers)])
        with pytest.raises(DataError, match=r"flows \(destinations\) lack 1 areas \(03\)"):
            harmonize(matrix, [Flows(tables.flows.iloc[:, :2])])

    def test_targets_that_are_no_counts_are_named(self, tables):
        people = tables.populations.copy()
        people.iloc[4] = np.nan
        with pytest.raises(
            SpecificationError, match=rf"populations are missing.*{people.index[4]}"
        ):
            Populations(people)
        flows = tables.flows.copy()
        flows.iloc[0, 2] = -1
        with pytest.raises(SpecificationError, match=r"flows are missing, negative.*01 → 03: -1"):
            Flows(flows)
        with pytest.raises(SpecificationError, match="are a list; give a pandas Series"):
            Margins([1, 2], tables.after)
        twice = pd.concat([tables.movers, tables.movers[:1]])
        with pytest.raises(SpecificationError, match="movers name 01 more than once"):
            MoversAndStayers(twice, tables.stayers)
        with pytest.raises(SpecificationError, match="are not numbers"):
            Populations(pd.Series(["many"], ["010010000011"]))

    def test_areas_without_anybody_are_named(self, areas, tables):
        matrix = make_matrix(areas)
        values = matrix.values.copy()
        values[matrix.indptr[5] : matrix.indptr[6]] = 0
        empty = matrix.with_values(values)
        with pytest.raises(
            DataError, match=rf"populations must make people appear.*{areas.labels[5]} \("
        ):
            harmonize(empty, [Populations(tables.populations)])
        found = harmonize(empty, [Populations(tables.populations, empty="leave")])
        assert found.matrix.before[5] == 0
        assert found.log["not imposed"].tolist() == [1]

    def test_flows_without_anybody_are_named(self, areas, tables):
        stay = MigrationMatrix.from_scipy(make_matrix(areas, density=0.0).flows, areas)
        with pytest.raises(DataError, match=r"flows must make people appear.*01 → 02 \("):
            harmonize(stay, [Flows(tables.flows)])

    def test_margins_that_no_matrix_has_name_the_block(self, areas, tables):
        # Nobody moves between states, and the first one is to lose people.
        matrix = make_matrix(areas)
        state = areas.level("state").codes
        row = np.repeat(state, np.diff(matrix.indptr))
        walled = matrix.with_values(np.where(row == state[matrix.indices], matrix.values, 0.0))
        county = walled.aggregate("county")
        before = pd.Series(county.before, county.areas.labels)
        after = before.copy()
        after.iloc[:3] *= 0.99
        after.iloc[3:] *= before.iloc[3:].sum() / after.iloc[3:].sum()
        after *= before.sum() / after.sum()
        with pytest.raises(DataError, match=r"3 county areas \(01001, 01002, 01003\) must hold"):
            harmonize(walled, [Margins(before, after)])

    def test_options_are_checked(self, matrix, tables):
        with pytest.raises(SpecificationError, match="there is no step"):
            harmonize(matrix, [])
        with pytest.raises(SpecificationError, match=r"no level 'stat' \(did you mean 'state'"):
            harmonize(matrix, [Flows(tables.flows, level="stat")])
        with pytest.raises(SpecificationError, match="tol of populations is 0"):
            Populations(tables.populations, tol=0)
        with pytest.raises(SpecificationError, match="'drop' of flows is none of"):
            Flows(tables.flows, empty="drop")
        with pytest.raises(SpecificationError, match="when='now' is none of"):
            Populations(tables.populations, when="now")
        with pytest.raises(SpecificationError, match="totals is 2"):
            Margins(tables.before, tables.after, totals=2)

    def test_other_kinds_are_refused(self, matrix, tables):
        step = Populations(tables.populations)
        with pytest.raises(SpecificationError, match="steps is a Populations; give a list of"):
            harmonize(matrix, step)
        with pytest.raises(SpecificationError, match="steps holds a str, which is no step"):
            harmonize(matrix, ["populations"])
        with pytest.raises(SpecificationError, match="to harmonize is a DataFrame; give a Migr"):
            harmonize(tables.flows, [step])
        with pytest.raises(SpecificationError, match="populations are a DataFrame; give a pandas"):
            Populations(tables.populations.to_frame())
        with pytest.raises(SpecificationError, match="flows are a Series; give a pandas DataFra"):
            Flows(tables.flows.stack())


def test_one_step_can_be_left_out_by_its_name(tables):
    names = [step.name for step in published_steps(tables, leave_out="populations")]
    assert names == ["movers and stayers", "flows", "margins"]


class TestCheckpoint:
    def test_a_stopped_run_goes_on_to_the_same_bits(self, matrix, tables, tmp_path):
        steps = published_steps(tables)
        whole = harmonize(matrix, steps)

        def stop(name, number, count):
            if number == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            harmonize(matrix, steps, checkpoint=tmp_path / "kept", progress=stop)
        assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == [
            *("step_1.json", "step_1.npz", "step_2.json", "step_2.npz")
        ]
        told = []
        again = harmonize(
            matrix, steps, checkpoint=tmp_path / "kept", progress=lambda *w: told.append(w)
        )
        np.testing.assert_array_equal(again.matrix.values, whole.matrix.values)
        columns = [c for c in whole.log if c != "seconds"]
        pd.testing.assert_frame_equal(again.log[columns], whole.log[columns])

    def test_steps_kept_for_another_matrix_or_table_are_not_used(self, matrix, tables, tmp_path):
        harmonize(matrix, published_steps(tables), checkpoint=tmp_path)
        other = tables_of(matrix, seed=99)
        found = harmonize(matrix, published_steps(other), checkpoint=tmp_path)
        fresh = harmonize(matrix, published_steps(other))
        np.testing.assert_array_equal(found.matrix.values, fresh.matrix.values)
        bigger = matrix.with_values(matrix.values * 2)
        found = harmonize(bigger, published_steps(other), checkpoint=tmp_path)
        np.testing.assert_allclose(found.matrix.values, fresh.matrix.values, rtol=1e-9)

    def test_steps_kept_for_other_levels_are_not_used(self, matrix, tmp_path):
        def regrouped(counties):
            labels = pd.DataFrame({"group": matrix.areas.labels, "county": counties})
            areas = Areas.from_table(labels, "group", ["county"])
            return replace(matrix, areas=areas)

        half = np.arange(matrix.areas.size) % 2
        one, other = regrouped(half), regrouped(np.sort(half))
        people = pd.Series([9000.0, 5000.0], ["0", "1"])
        steps = [Populations(people, level="county")]
        harmonize(one, steps, checkpoint=tmp_path)
        found = harmonize(other, steps, checkpoint=tmp_path)
        np.testing.assert_array_equal(found.matrix.values, harmonize(other, steps).matrix.values)

    def test_half_a_step_is_none(self, matrix, tables, tmp_path):
        steps = published_steps(tables)
        whole = harmonize(matrix, steps, checkpoint=tmp_path)
        (tmp_path / "step_3.json").unlink()
        (tmp_path / "step_3.npz").write_bytes(b"torn")
        again = harmonize(matrix, steps, checkpoint=tmp_path)
        np.testing.assert_array_equal(again.matrix.values, whole.matrix.values)

    def test_a_folder_that_cannot_be_made_is_named(self, matrix, tables, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match="cannot make the folder"):
            harmonize(matrix, published_steps(tables), checkpoint=tmp_path / "file" / "kept")
