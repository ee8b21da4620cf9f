"""Constraints, fixed parameters and bounds against models that hold them by construction."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit, NestflowWarning
from choicemodels.errors import SpecificationError
from choicemodels.restrictions import Restrictions, linear_equations, restrict
from choicemodels.specify import specify
from estimation import fit, load_result, table
from estimation.newton import maximize

KINDS = ("hessian", "bhhh", "robust")
NAMES = ("cost", "time", "(Intercept):air", "lambda:a", "lambda:b", "I(x > 1):bus")


# --- equations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "row", "value"),
    [
        ("cost = time", {"cost": 1, "time": -1}, 0),
        ("cost = -1", {"cost": 1}, -1),
        ("cost=-1.5e-3", {"cost": 1}, -1.5e-3),
        ("2 * cost + time = -1", {"cost": 2, "time": 1}, -1),
        ("cost - 3*time", {"cost": 1, "time": -3}, 0),
        ("lambda:a = lambda:b", {"lambda:a": 1, "lambda:b": -1}, 0),
        ("(Intercept):air = 0.5", {"(Intercept):air": 1}, 0.5),
        ("`cost` = `time`", {"cost": 1, "time": -1}, 0),
        ("I(x > 1):bus = 2", {"I(x > 1):bus": 1}, 2),
        ("(cost + time) / 2 = 1", {"cost": 0.5, "time": 0.5}, 1),
        ("-cost = 1", {"cost": 1}, -1),
        ("-2*cost=-time", {"cost": 2, "time": -1}, 0),
        ("1e-3*cost = 2.5E2 * time", {"cost": 1e-3, "time": -250}, 0),
    ],
)
def test_equations_are_read(line, row, value):
    R, q = linear_equations([line], NAMES)
    want = [row.get(name, 0) for name in NAMES]
    # An equation is the same with both sides negated.
    sign = 1 if np.allclose(R[0], want) else -1
    np.testing.assert_allclose(sign * R[0], want)
    assert sign * q[0] == pytest.approx(value)


def random_equations(seed, P=6, Q=3):
    rng = np.random.default_rng(seed)
    R = rng.integers(-2, 3, size=(Q, P)).astype(float)
    while np.linalg.matrix_rank(R) < Q:
        R = rng.integers(-2, 3, size=(Q, P)).astype(float)
    q = rng.integers(-2, 3, size=Q).astype(float)
    names = list("abcdef")[:P]
    lines = [
        " + ".join(f"{r:g} * {n}" for r, n in zip(row, names, strict=True) if r) + f" = {value:g}"
        for row, value in zip(R, q, strict=True)
    ]
    return names, [line.replace("+ -", "- ") for line in lines], R, q


def test_a_chain_is_as_many_equations_as_it_has_signs():
    R, q = linear_equations(["cost = time = lambda:a = 2"], NAMES)
    want, value = linear_equations(["cost = time", "time = lambda:a", "lambda:a = 2"], NAMES)
    assert R.shape == (3, len(NAMES))
    np.testing.assert_array_equal(R, want)
    np.testing.assert_array_equal(q, value)
    restrictions = Restrictions.build(NAMES, ["cost = time = 0"], {})
    assert len(restrictions.free) == len(NAMES) - 2


def test_names_may_hold_commas_signs_and_backticks():
    names = ("log(`my km`)", "(Intercept):Boston, MA", "C(g, t(base='B'))[T.A]:bus", "my km")
    lines = [
        "log(`my km`) = -1",
        "2 * `log(`my km`)` = (Intercept):Boston, MA, C(g, t(base='B'))[T.A]:bus = 3",
        "`my km` = 1",
    ]
    R, q = linear_equations(lines, names)
    np.testing.assert_array_equal(R, [[1, 0, 0, 0], [2, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(q, [-1, 0, 3, 1])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cost * time = 0", "Only one non-scalar factor"),
        ("cost ** time = 0", r"Unknown operator '\*\*'\)"),
        ("cots = 0", r"no parameter 'cots' \(did you mean 'cost'\?\)"),
        ("cost == 0", "cannot read"),
        ("cost / 0 = 1", "cannot read"),
    ],
)
def test_what_cannot_be_read_is_said_on_one_line(line, message):
    with pytest.raises(SpecificationError, match=message) as raised:
        linear_equations([line], NAMES)
    assert not {"\n", "\x1b"} & set(str(raised.value))


def test_a_mapping_gives_parameters_their_values(travel_mode):
    fixed = fit(MultinomialLogit("gc + ttme", constraints={"gc": np.float64(-0.02)}), travel_mode)
    assert fixed.model == MultinomialLogit("gc + ttme", constraints=["gc = -0.02"])
    assert fixed.theta[fixed.parameters.names.index("gc")] == -0.02
    result = fit(MultinomialLogit("gc + ttme"), travel_mode)
    assert result.wald_test({"gc": 1e-5}) == result.wald_test("gc = 1e-05")
    assert list(result.t_test("gc = ttme = 0").index) == ["gc = ttme", "ttme = 0"]


@pytest.mark.parametrize("given", [None, 3, [["cost", "time"]], [None], {"cost": None}])
def test_what_is_no_equation_is_refused(given, travel_mode):
    with pytest.raises(SpecificationError, match="constraints="):
        MultinomialLogit("gc", constraints=given)


def test_several_equations_may_begin_with_a_sign():
    R, q = linear_equations(["-cost = 1", "-time = -2", "- lambda:a - lambda:b"], NAMES)
    np.testing.assert_allclose(R @ [-1, 2, 9, 3, -3, 9], q)


def test_a_name_may_look_like_a_power_of_ten():
    R, q = linear_equations(["1e3:bus = 1e3"], ["1e3:bus", "cost"])
    np.testing.assert_array_equal(np.abs(R), [[1, 0]])
    assert abs(q[0]) == 1000


@pytest.mark.parametrize("seed", range(10))
def test_solved_equations_hold_for_all_free_values(seed):
    names, lines, R, q = random_equations(seed)
    found = Restrictions.build(names, lines, {})
    rng = np.random.default_rng(seed)
    phi = rng.normal(size=len(found.free))
    theta = found.full(phi)
    np.testing.assert_allclose(R @ theta, q, atol=1e-12)
    np.testing.assert_array_equal(theta[found.free], phi)
    np.testing.assert_array_equal(found.reduce(theta), phi)
    assert found.basis.shape == (6, 3)
    np.testing.assert_allclose(R @ found.basis, 0, atol=1e-12)


def test_derivatives_follow_by_the_chain_rule():
    names, lines, _, _ = random_equations(3)
    found = Restrictions.build(names, lines, {})
    rng = np.random.default_rng(1)
    A = rng.normal(size=(6, 6))

    def evaluate(theta):
        return (
            -float(np.sum((A @ theta) ** 4)),
            -4 * A.T @ (A @ theta) ** 3,
            (-12 * A.T @ np.diag((A @ theta) ** 2) @ A),
        )

    objective, phi, step = restrict(evaluate, found), rng.normal(size=3), 1e-6
    shifts = step * np.eye(3)
    up, down = ([objective(phi + s * shift) for shift in shifts] for s in (1, -1))
    _, g, H = objective(phi)
    np.testing.assert_allclose(
        g, [(a[0] - b[0]) / (2 * step) for a, b in zip(up, down, strict=True)], rtol=1e-6
    )
    np.testing.assert_allclose(
        H, [(a[1] - b[1]) / (2 * step) for a, b in zip(up, down, strict=True)], rtol=1e-6
    )


def test_parameters_at_a_bound_are_pinned_with_all_that_follow_them():
    found = Restrictions.build(["a", "b", "c"], ["c = 2 * a + 1"], {"a": (0, 5)})
    assert found.bounded
    np.testing.assert_array_equal(found.reduce(np.array([-3.0, 7.0, 0.0])), [0.0, 7.0])
    kept, on = found.pinned(np.array([0.0, 7.0]))
    assert on.tolist() == [0]
    assert kept.estimated.tolist() == [False, True, False]
    np.testing.assert_array_equal(kept.full(np.array([7.0])), [0.0, 7.0, 1.0])


def test_parameters_that_nothing_restricts_can_be_added_and_taken_away():
    found = Restrictions.build(["a", "b"], ["a = b"], {"a": (0, 1)})
    more = found.extended(3)
    np.testing.assert_array_equal(
        more.full(np.array([0.5, 1.0, 2.0, 3.0])), [0.5, 0.5, 1.0, 2.0, 3.0]
    )
    back = more.shortened(3)
    for name in ("origin", "basis", "free", "lower", "upper"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))


@pytest.mark.parametrize(
    ("lines", "bounds", "message"),
    [
        (["a = 1", "a = 2"], {}, "'a = 2' contradicts the others"),
        (["a = 1", "2 * a = 2"], {}, r"'2 \* a = 2' repeats the others"),
        (["a = b", "b = c", "a = c + 1"], {}, "'a = c \\+ 1' contradicts"),
        (["aa = 1"], {}, "cannot read the restriction 'aa = 1'"),
        (["a = = 1"], {}, "cannot read the restriction"),
        ([], {"aa": (0, 1)}, "bounds names the parameter 'aa'.*mean 'a'"),
        (["b = 2 * a"], {"b": (0, 1)}, "'b' is determined by the constraints"),
        (["b = 1"], {"b": (0, 1)}, "'b' is determined by the constraints"),
    ],
)
def test_restrictions_that_cannot_be_solved(lines, bounds, message):
    with pytest.raises(SpecificationError, match=message):
        Restrictions.build(["a", "b", "c"], lines, bounds)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"a": (1, 0)}, "must lie below the highest; fix a parameter with constraints"),
        ({"a": (1, 1)}, r"constraints=\['a = value'\]"),
        ({"a": (0, float("nan"))}, "must lie below"),
        ({"a": 3}, r"write \(lowest, highest\)"),
        ({"a": ("low", 1)}, r"write \(lowest, highest\)"),
    ],
)
def test_bounds_are_valid_once_built(bounds, message):
    with pytest.raises(SpecificationError, match=message):
        MultinomialLogit("a", bounds=bounds)


def test_a_single_constraint_may_be_a_string():
    assert MultinomialLogit("a", constraints="a = 1").constraints == ("a = 1",)


# --- constrained estimates ----------------------------------------------------------------------


def same(constrained, other, names):
    """Hold a constrained result to another one, its names to the other's."""
    assert constrained.llf == pytest.approx(other.llf, rel=1e-12)
    assert constrained.df_model == other.df_model
    assert constrained.aic == pytest.approx(other.aic, rel=1e-12)
    theirs = list(names.values())
    np.testing.assert_allclose(constrained.params[list(names)], other.params[theirs], atol=1e-7)
    for kind in KINDS:
        ours = constrained.with_cov(kind).cov_params().loc[list(names), list(names)]
        want = other.with_cov(kind).cov_params().loc[theirs, theirs]
        np.testing.assert_allclose(ours, want, rtol=1e-6, atol=1e-12)


def changed(travel_mode, **columns):
    return ChoiceData.from_long(travel_mode.table.assign(**columns), "individual", "mode", "choice")


def test_equal_coefficients_are_the_coefficient_of_the_sum(travel_mode):
    result = fit(MultinomialLogit("gc + ttme + invt", constraints=["gc = invt"]), travel_mode)
    t = travel_mode.table
    other = fit(MultinomialLogit("both + ttme"), changed(travel_mode, both=t["gc"] + t["invt"]))
    same(result, other, {"gc": "both", "ttme": "ttme"})
    assert result.params["invt"] == result.params["gc"]
    assert result.bse["invt"] == result.bse["gc"]
    cov = result.cov_params()
    assert cov.loc["gc", "invt"] == pytest.approx(cov.loc["gc", "gc"])
    assert "Constraint: gc = invt." in result.notes


def test_a_fixed_coefficient_is_an_offset(travel_mode):
    result = fit(MultinomialLogit("gc + ttme + invt", constraints=["ttme = -0.1"]), travel_mode)
    other = fit(MultinomialLogit("gc + invt", offset="-0.1 * ttme"), travel_mode)
    same(result, other, {"gc": "gc", "invt": "invt"})
    assert "ttme" not in result.names
    assert result.theta[result.parameters.names.index("ttme")] == pytest.approx(-0.1, abs=1e-15)
    np.testing.assert_allclose(
        result.predict()["probability"], other.predict()["probability"], atol=1e-8
    )
    assert "ttme" not in str(table(result))


def test_an_affine_relation_follows_the_delta_method(travel_mode):
    result = fit(
        MultinomialLogit("gc + ttme + invt", constraints=["2 * gc + ttme = -0.15"]), travel_mode
    )
    # ttme = -0.15 - 2 gc: the column of gc is gc - 2 ttme beside an offset.
    t = travel_mode.table
    data = changed(travel_mode, joint=t["gc"] - 2 * t["ttme"])
    other = fit(MultinomialLogit("joint + invt", offset="-0.15 * ttme"), data)
    same(result, other, {"gc": "joint", "invt": "invt"})
    assert result.params["ttme"] == pytest.approx(-0.15 - 2 * result.params["gc"])
    assert result.bse["ttme"] == pytest.approx(2 * result.bse["gc"])


@pytest.fixture(scope="module")
def nested():
    """Choices of two nests with two members each, and one alternative alone."""
    rng = np.random.default_rng(5)
    cases = 1_500
    rows = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 5),
            "alt": list("abcde") * cases,
            "x": rng.normal(size=5 * cases),
            "y": rng.normal(size=5 * cases),
        }
    )
    model = NestedLogit("x + y", nests={"m": ["a", "b"], "n": ["c", "d"]})
    likelihood = specify(model, ChoiceData.from_long(rows, "case", "alt"))
    P, _ = likelihood.probabilities(np.array([0.2, 0.3, -0.2, 0.1, 0.8, -0.5, 0.5, 0.7]))
    pick = (P.reshape(cases, 5).cumsum(axis=1) < rng.random((cases, 1))).sum(axis=1)
    rows["chosen"] = (np.arange(5) == pick[:, None]).ravel().astype(int)
    return model, ChoiceData.from_long(rows, "case", "alt", "chosen")


def replaced(model, **options):
    return NestedLogit(model.formula, nests=model.nests, **options)


def test_equal_lambdas_are_a_shared_one(nested):
    model, data = nested
    equal = fit(replaced(model, constraints=["lambda:m = lambda:n"]), data)
    shared = fit(replaced(model, lambdas="shared"), data)
    names = {name: name for name in shared.names if name != "lambda"}
    same(equal, shared, {**names, "lambda:m": "lambda"})
    assert equal.lambdas["m"] == equal.lambdas["n"]


def test_a_fixed_lambda_is_one_given(nested):
    model, data = nested
    constrained = fit(replaced(model, constraints=["lambda:m = 0.6"]), data)
    given = fit(replaced(model, lambdas={"m": 0.6}), data)
    same(constrained, given, {name: name for name in given.names})
    assert constrained.lambdas["m"] == 0.6


def test_all_lambdas_at_one_are_the_multinomial_logit(nested):
    model, data = nested
    one = fit(replaced(model, constraints=["lambda:m = 1", "lambda:n = 1"]), data)
    flat = fit(MultinomialLogit(model.formula), data)
    same(one, flat, {name: name for name in flat.names})
    assert one.llf < fit(model, data).llf


def test_likelihood_ratio_wald_and_score_agree_on_a_true_restriction(nested):
    model, data = nested
    free = fit(model, data, cov="hessian")
    restricted = fit(replaced(model, constraints=["2 * x = -3.2 * y"]), data, cov="hessian")
    lr = 2 * (free.llf - restricted.llf)
    wald = free.wald_test("2 * x = -3.2 * y").statistic
    at = specify(model, data).contributions(restricted.theta)
    score = float(at.score @ np.linalg.solve(-at.hessian, at.score))
    assert free.df_model - restricted.df_model == 1
    assert 0 < lr < stats.chi2.isf(0.01, 1)
    assert wald == pytest.approx(lr, abs=0.1)
    assert score == pytest.approx(lr, abs=0.1)


def test_the_scores_of_free_directions_are_zero(nested):
    model, data = nested
    constrained = replaced(model, constraints=["x = -1.6 * y", "lambda:m = lambda:n"])
    result = fit(constrained, data)
    score = result.score_obs.sum(axis=0)
    assert np.abs(result.basis.T @ score).max() < 1e-6
    assert np.abs(score).max() > 1e-3


def test_clusters_and_files_know_the_constraints(nested, tmp_path):
    model, data = nested
    groups = np.arange(data.n_cases) // 5
    equal = fit(replaced(model, constraints=["lambda:m = lambda:n"]), data)
    shared = fit(replaced(model, lambdas="shared"), data)
    ours = equal.with_cov("cluster", groups=groups)
    theirs = shared.with_cov("cluster", groups=groups)
    assert ours.bse["x"] == pytest.approx(theirs.bse["x"], rel=1e-6)
    back = load_result(ours.save(tmp_path / "constrained.json"))
    np.testing.assert_array_equal(back.cov_params(), ours.cov_params())
    assert back.df_model == ours.df_model
    assert back.model.constraints == ours.model.constraints
    np.testing.assert_array_equal(back.with_cov("robust").bse, equal.bse)


def test_constraints_must_leave_something_to_estimate(travel_mode):
    with pytest.raises(SpecificationError, match="fix every parameter"):
        fit(MultinomialLogit("gc | 0", constraints=["gc = -1"]), travel_mode)


def test_collinear_columns_may_be_told_apart_by_a_constraint(travel_mode):
    data = changed(travel_mode, twice=2 * travel_mode.table["gc"])
    result = fit(MultinomialLogit("gc + twice", constraints=["twice = gc"]), data)
    plain = fit(MultinomialLogit("gc"), travel_mode)
    assert result.llf == pytest.approx(plain.llf, rel=1e-12)
    assert result.params["gc"] == pytest.approx(plain.params["gc"] / 3, rel=1e-7)


# --- bounds -------------------------------------------------------------------------------------


def test_bounds_that_do_not_bind_change_nothing(nested):
    model, data = nested
    free = fit(model, data)
    bounds = {"x": (0, None), "y": (None, 0), "lambda:m": (0.05, 1), "lambda:n": (0.05, 1)}
    bounded = fit(replaced(model, bounds=bounds), data)
    np.testing.assert_allclose(bounded.params, free.params, atol=1e-8)
    np.testing.assert_allclose(bounded.bse, free.bse, rtol=1e-7)
    assert bounded.notes == free.notes
    assert bounded.df_model == free.df_model


def test_a_bound_that_binds_is_a_fixed_parameter_said_aloud(travel_mode):
    model = NestedLogit("gc + invt", nests={"odd": ["air", "bus"]}, bounds={"lambda:odd": (0, 1)})
    with pytest.warns(NestflowWarning, match="lambda:odd lies on its bound 1 and is held there"):
        result = fit(model, travel_mode)
    flat = fit(MultinomialLogit("gc + invt"), travel_mode)
    same(result, flat, {name: name for name in flat.names})
    assert "lambda:odd" not in result.names
    assert result.lambdas["odd"] == 1.0
    assert any("lambda:odd lies on its bound 1" in note for note in result.notes)
    assert "lies on its bound" in str(result.summary())


@pytest.mark.parametrize("start", [None, 0.0, 3.0])
def test_the_bounded_maximum_satisfies_kuhn_and_tucker(start, nested):
    model, data = nested
    bounds = {"x": (None, 0.5), "y": (-0.2, None), "lambda:m": (0.3, None)}
    given = None if start is None else {"x": start, "y": start, "lambda:m": 0.4}
    with pytest.warns(NestflowWarning, match="lies on its bound"):
        result = fit(replaced(model, bounds=bounds), data, start=given)
    assert result.converged
    names = result.parameters.names
    theta = dict(zip(names, result.theta, strict=True))
    score = dict(zip(names, result.score_obs.sum(axis=0), strict=True))
    assert theta["x"] == 0.5
    assert score["x"] > 1
    for name, bound in {"y": -0.2, "lambda:m": 0.3}.items():
        assert theta[name] == bound
        assert score[name] < -1
    inside = [name for name in names if name not in bounds]
    assert max(abs(score[name]) for name in inside) < 1e-5
    # A general optimizer finds no better point in the box.
    likelihood = specify(model, data)
    found = optimize.minimize(
        lambda t: tuple(-part for part in likelihood.evaluate(t)[:2]),
        result.theta,
        jac=True,
        method="L-BFGS-B",
        bounds=[bounds.get(name, (0.05 if "lambda" in name else None, None)) for name in names],
        options={"ftol": 1e-14},
    )
    assert result.llf == pytest.approx(-found.fun, abs=1e-6)
    assert result.llf >= -found.fun - 1e-9


def test_what_follows_a_parameter_on_its_bound_is_held_as_well(nested):
    model, data = nested
    bounded = replaced(model, constraints=["lambda:n = lambda:m"], bounds={"lambda:m": (0.9, None)})
    with pytest.warns(NestflowWarning, match="lambda:m lies on its bound 0.9"):
        result = fit(bounded, data)
    given = fit(replaced(model, lambdas={"m": 0.9, "n": 0.9}), data)
    same(result, given, {name: name for name in given.names})


def quadratic(center, curvature):
    """Return a concave quadratic with its derivatives."""

    def evaluate(theta):
        gap = theta - center
        return -0.5 * float(gap @ curvature @ gap), -curvature @ gap, -curvature

    return evaluate


@pytest.mark.parametrize("seed", range(20))
def test_the_bounded_search_solves_quadratic_programs(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(5, 5))
    evaluate = quadratic(rng.normal(size=5) * 2, A @ A.T + 0.1 * np.eye(5))
    lower, upper = -rng.uniform(0, 1.5, 5), rng.uniform(0, 1.5, 5)
    found = maximize(evaluate, np.zeros(5), lower=lower, upper=upper)
    assert found.converged
    exact = optimize.minimize(
        lambda t: tuple(-part for part in evaluate(t)[:2]),
        np.zeros(5),
        jac=True,
        method="L-BFGS-B",
        bounds=optimize.Bounds(lower, upper),
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10_000, "maxfun": 100_000},
    )
    np.testing.assert_allclose(found.theta, exact.x, atol=1e-5)
    _, g, _ = evaluate(found.theta)
    free = (found.theta > lower) & (found.theta < upper)
    assert np.abs(g[free]).max(initial=0.0) < 1e-6
    assert (g[found.theta <= lower] <= 1e-9).all()
    assert (g[found.theta >= upper] >= -1e-9).all()


def test_a_search_that_begins_in_a_corner_leaves_it():
    evaluate = quadratic(np.array([0.5, 0.5]), np.eye(2))
    found = maximize(evaluate, np.zeros(2), lower=np.zeros(2), upper=np.ones(2))
    np.testing.assert_allclose(found.theta, 0.5, atol=1e-9)


def test_a_corner_that_is_the_maximum_is_recognized():
    evaluate = quadratic(np.array([-1.0, 2.0]), np.eye(2))
    found = maximize(evaluate, np.array([0.5, 0.5]), lower=np.zeros(2), upper=np.ones(2))
    assert found.converged
    np.testing.assert_array_equal(found.theta, [0.0, 1.0])
