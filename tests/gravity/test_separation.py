"""Separated rows: cases whose answer can be proved, and a linear program as referee."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from choicemodels import FlowData, Gravity, NestflowWarning
from choicemodels.errors import EstimationError, IdentificationError
from estimation import fit, load_result
from estimation.gravity.absorb import arrange
from estimation.gravity.separation import rectify_absorbed, rectify_dense


def flows(**columns):
    table = pd.DataFrame(columns)
    table["from"], table["to"] = np.arange(len(table)), 0
    return FlowData(table, origin="from", destination="to", flow="y")


def dropped(result, reason):
    return result.dropped_rows.index[result.dropped_rows == reason].tolist()


def test_a_dummy_that_is_one_only_without_flow_separates():
    # z = x is zero wherever y > 0 and one in rows 4 and 5: they go, and with them all of x.
    data = flows(y=[1, 2, 3, 2, 0, 0], w=[0.0, 1, 2, 1, 1, 0], x=[0, 0, 0, 0, 1, 1])
    with pytest.warns(
        NestflowWarning, match="'x' left out: without the rows that had to be dropped"
    ):
        result = fit(Gravity("w + x"), data)
    assert dropped(result, "separated") == [4, 5]
    assert result.names == ("(Intercept)", "w")
    assert "'x' left out" in str(result.summary())
    alone = flows(y=[1, 2, 3, 2], w=[0.0, 1, 2, 1])
    assert result.estimate == pytest.approx(fit(Gravity("w"), alone).estimate, rel=1e-9)


def test_a_regressor_that_separates_and_still_varies():
    # x - w is zero where y > 0, and 1 and 4 in rows 4 and 5; after them x = w: the last goes.
    w = np.array([0.0, 1, 2, 1, 1, 0])
    data = flows(y=[1, 2, 3, 2, 0, 0], w=w, x=w + np.array([0, 0, 0, 0, 1, 4]))
    with pytest.warns(NestflowWarning, match="'x' left out"):
        result = fit(Gravity("w + x"), data)
    assert dropped(result, "separated") == [4, 5]
    with pytest.raises(EstimationError, match=r"2 rows are separated \(rows 4, 5\)"):
        fit(Gravity("w + x"), data, drop_separated=False)


def test_separation_that_leaves_no_regressor_is_refused():
    data = flows(y=[1, 2, 3, 0], x=[0.0, 0, 0, 1])
    with pytest.raises(IdentificationError, match="no regressor is identified"):
        fit(Gravity("0 + x"), data)


def test_an_overlap_is_no_separation():
    # With -1 and +1 among the zeros no multiple of x - w keeps one sign: nothing goes.
    w = np.array([0.0, 1, 2, 1, 1, 0])
    data = flows(y=[1, 2, 3, 2, 0, 0], w=w, x=w + np.array([0, 0, 0, 0, 1, -1]))
    result = fit(Gravity("w + x"), data, ssc="none")
    assert result.nobs == 6
    assert result.dropped.empty
    assert result.converged


def test_groups_of_zeros_are_dropped_until_none_is_left():
    # b = 2 has flows only from a = 3; that group is dropped as b = 3 is zero... and so on:
    # a = 1 is all zero (rows 0, 1); without it b = 9 is all zero (row 5).
    data = flows(
        y=[0, 0, 3, 4, 5, 0, 2, 1],
        a=[1, 1, 2, 2, 3, 3, 3, 2],
        b=[7, 9, 7, 8, 7, 9, 8, 8],
        x=[0.3, 0.1, 0.2, 0.9, 0.4, 0.5, 0.8, 0.7],
    )
    result = fit(Gravity("x | a + b"), data, ssc="none")
    assert dropped(result, "zero group") == [0, 1, 5]
    assert result.dropped.values.tolist() == [["zero group", "a", 2], ["zero group", "b", 1]]
    assert result.nobs == 5


def test_singletons_are_dropped_by_default_and_change_no_coefficient(panel_table):
    table = panel_table.copy()
    table["region"] = table["origin"].where(table.index > 0, "alone")
    table.loc[0, "migrants"] = 7.0
    data = FlowData(table, origin="origin", destination="destination", flow="migrants", time="year")
    model = Gravity("log(distance) + treaty | region + destination^year")
    without, with_them = fit(model, data), fit(model, data, drop_singletons=False)
    assert dropped(without, "singleton") == [0]
    assert with_them.nobs == without.nobs + 1
    assert with_them.estimate == pytest.approx(without.estimate, rel=1e-9)


def test_pairs_of_very_many_places_take_no_more_memory_than_rows():
    rng = np.random.default_rng(4)
    far = 400_000
    frame = pd.DataFrame({"o": np.arange(far), "d": np.arange(far) + 7, "y": 0, "x": 0.0})
    some = frame.iloc[:60]
    frame = pd.concat([some.assign(year=t) for t in range(4)] + [frame.iloc[60:].assign(year=9)])
    frame["x"] = rng.normal(size=len(frame))
    frame.iloc[:240, frame.columns.get_loc("y")] = rng.poisson(5, 240)
    data = FlowData(frame, "o", "d", "y", time="year")
    model = Gravity("x | o^d + year")
    tracemalloc.start()
    wide = fit(model, data, cov="cluster", groups="o")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e9
    few = FlowData(frame.iloc[:240], "o", "d", "y", time="year")
    narrow = fit(model, few, cov="cluster", groups="o")
    np.testing.assert_array_equal(wide.params, narrow.params)
    assert wide.bse["x"] == pytest.approx(narrow.bse["x"], rel=1e-12)
    levels = wide.fixed_effects()["o^d"]
    assert levels.index[:2].tolist() == [(0, 7), (1, 8)]
    np.testing.assert_array_equal(levels, narrow.fixed_effects()["o^d"])


def test_separation_by_two_effects_together():
    # Flows stay within {a 1, b 1} and {a 2, b 2}: lowering a 1 and raising b 1 moves only the
    # cells between, and those from a 1 to b 2 are zero while a 2 to b 1 has no row.
    a = [1, 1, 1, 1, 2, 2, 2, 2, 1, 1]
    b = [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    x = [0.1, 0.5, 0.2, 0.9, 0.3, 0.8, 0.4, 0.6, 0.7, 0.2]
    result = fit(Gravity("x | a + b"), flows(y=[1, 3, 2, 4, 2, 5, 1, 3, 0, 0], a=a, b=b, x=x))
    assert dropped(result, "separated") == [8, 9]
    assert result.nobs == 8


def test_separation_through_a_regressor_and_effects():
    # Within each group x is constant where y > 0; where y = 0 it lies above: z = x - group.
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(5), 8)
    y = rng.poisson(3, 40) + 1.0
    x = group.astype(float)
    y[::8], x[::8] = 0.0, group[::8] + 2.0
    data = flows(y=y, x=x, w=rng.normal(size=40), group=group)
    with pytest.warns(NestflowWarning, match="'x' left out"):
        result = fit(Gravity("x + w | group"), data)
    assert dropped(result, "separated") == list(range(0, 40, 8))
    assert result.names == ("w",)


def test_separated_rows_can_be_refused_instead(panel):
    with pytest.raises(EstimationError, match="rows are separated"):
        fit(Gravity("treaty | origin^year"), panel, drop_separated=False)


def test_three_effects_leave_only_rows_with_an_estimate(panel):
    model = Gravity("treaty + gap | origin^year + destination^year + origin^destination")
    result = fit(model, panel)
    assert result.converged
    assert result.dropped["rows"].sum() == panel.nobs - result.nobs
    assert result.predict().index.tolist() == sorted(
        set(range(panel.nobs)) - set(result.dropped_rows.index)
    )


@pytest.mark.filterwarnings("ignore:.*left out:choicemodels.NestflowWarning")
@pytest.mark.parametrize("effects", ["", "| a + b"])
def test_separated_rows_are_listed_with_their_certificate(effects, tmp_path):
    rng = np.random.default_rng(4)
    n = 80
    a, b, x = rng.integers(0, 4, n), rng.integers(0, 4, n), rng.normal(size=n)
    y = rng.poisson(3, n).astype(float) + 1
    aid = np.zeros(n)
    aid[:6], y[:6] = rng.uniform(1, 2, 6), 0.0  # aid comes only without flows
    result = fit(Gravity(f"x + aid {effects}"), flows(y=y, a=a, b=b, x=x, aid=aid), tol=1e-10)
    z = result.certificates
    assert z.index.tolist() == list(range(6))
    assert (z > 0).all()
    whole = np.zeros(n)
    whole[z.index] = z
    columns = [x, aid, np.ones(n), *(a == k for k in range(4)), *(b == k for k in range(4))]
    X = np.array(columns[:3] if not effects else columns, dtype=float).T
    np.testing.assert_allclose(X @ np.linalg.lstsq(X, whole)[0], whole, atol=1e-9)
    again = load_result(result.save(tmp_path / "fit.json"))
    pd.testing.assert_series_equal(again.certificates, z, check_names=False)


def certificate_by_program(y, X):
    """Maximize the sum of min(1, z) over z = X d, zero where y > 0 and non-negative elsewhere."""
    zero, K = X[:, y == 0].T, len(X)
    n = len(zero)
    program = linprog(
        np.r_[np.zeros(K), -np.ones(n)],
        A_ub=np.hstack([-zero, np.eye(n)]),
        b_ub=np.zeros(n),
        A_eq=np.hstack([X[:, y > 0].T, np.zeros(((y > 0).sum(), n))]),
        b_eq=np.zeros((y > 0).sum()),
        bounds=[(None, None)] * K + [(0, 1)] * n,
    )
    out = np.zeros(len(y), dtype=bool)
    out[y == 0] = program.x[K:] > 0.5
    return out


def random_problem(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(15, 45))
    X = rng.integers(-1, 3, size=(2, n)) if seed % 2 else rng.normal(size=(2, n))
    y = (rng.uniform(size=n) < 0.12) * rng.integers(1, 5, n)
    y[0] = 1
    return flows(
        y=y.astype(float), a=rng.integers(0, 5, n), b=rng.integers(0, 4, n), x=X[0], w=X[1]
    )


@pytest.mark.filterwarnings("ignore:.*left out:choicemodels.NestflowWarning")
@pytest.mark.parametrize("effects", [[], ["a"], ["a", "b"]], ids=str)
def test_a_linear_program_finds_the_same_rows(effects):
    found = 0
    for seed in range(60):
        data = random_problem(seed)
        formula = "x + w | " + " + ".join(effects) if effects else "x + w"
        columns = [data.table["x"], data.table["w"], np.ones(data.nobs)]
        for name in effects:
            columns += [data.table[name] == level for level in data.table[name].unique()]
        X = np.array(columns, dtype=float)
        if np.linalg.matrix_rank(X) < len(X) - len(effects):
            continue
        result = fit(Gravity(formula), data, ssc="none", drop_singletons=False)
        want = certificate_by_program(data.y, X)
        assert sorted(result.dropped_rows.index) == np.flatnonzero(want).tolist()
        found += want.any()
    assert found >= 2


def test_the_absorbed_rectifier_finds_what_the_exact_one_finds():
    rng = np.random.default_rng(8)
    a, b = rng.integers(0, 6, 90), rng.integers(0, 6, 90)
    X = rng.normal(size=(1, 90))
    effects = arrange([a, b], [6, 6])
    suspects = (a == 2) & (b != 1)  # a = 2 and b = 1 meets flows; lowering a = 2 moves it too
    assert not rectify_absorbed(X, effects, suspects).any()
    suspects = a == 2
    dummies = np.array([a == k for k in range(6)] + [b == k for k in range(6)], dtype=float)
    assert ((rectify_absorbed(X, effects, suspects) > 0) == suspects).all()
    assert ((rectify_dense(np.vstack([X, dummies]), suspects) > 0) == suspects).all()


def test_iterations_that_end_early_are_said_to(panel):
    with pytest.warns(NestflowWarning, match="did not converge"):
        result = fit(Gravity("treaty + gap | origin + destination"), panel, max_iterations=2)
    assert not result.converged
    assert "did not converge" in str(result.summary())
