"""Consumer surplus, compensating and equivalent variation."""

import tomllib
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize

from choicemodels import (
    ChoiceData,
    CrossNestedLogit,
    LatentClassLogit,
    MixedLogit,
    MultinomialLogit,
    NestedLogit,
    NestflowWarning,
)
from choicemodels.choices.scenario_data import (
    add_alternative,
    change,
    drop_alternatives,
    keep_cases,
)
from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.logit.tree import build_tree, log_probabilities
from choicemodels.specify import specify
from estimation import fit, load_result
from estimation.choice.gev_errors import tree_errors
from estimation.choice.welfare import compensating_variation, equivalent_variation, surplus
from estimation.estimates import Covariance
from estimation.quadrature import integrate as integrate_many

PUBLISHED = Path(__file__).parents[1] / "published"
NESTS = {"public": {"rail": ["train", "tram"], "road": ["bus", "taxi"]}}


@pytest.fixture(scope="module")
def canada(mode_canada):
    return fit(MultinomialLogit("cost + freq | income | time"), mode_canada, cov="hessian")


@pytest.fixture(scope="module")
def faster(mode_canada):
    return change(mode_canada, {"time": "time * 0.8"}, alternatives="train")


def travellers(formula, seed=3, cases=250, nests=None):
    """Choices drawn from a model of what is left of income, and the model fitted to them."""
    rng = np.random.default_rng(seed)
    modes = ["car", "train", "tram", "bus", "taxi"]
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), 5),
            "mode": modes * cases,
            "cost": rng.uniform(1, 9, 5 * cases),
            "time": rng.uniform(1, 3, 5 * cases),
            "income": np.repeat(rng.uniform(15, 60, cases), 5),
            "young": np.repeat(rng.integers(0, 2, cases), 5),
        }
    )
    data = ChoiceData.from_long(table, "case", "mode", alternatives=modes)
    lambdas = {"public": 0.8, "rail": 0.4, "road": 0.6}
    model = NestedLogit(formula, nests, lambdas=lambdas) if nests else MultinomialLogit(formula)
    money = 8.0 if "log(" in formula else 0.3
    P, _ = specify(model, data).probabilities(np.array([money, -1.0]))
    pick = (rng.random((cases, 1)) > P.reshape(-1, 5).cumsum(axis=1)).sum(axis=1)
    table["chosen"] = (np.arange(5) == pick[:, None]).ravel()
    return fit(model, ChoiceData.from_long(table, "case", "mode", "chosen", alternatives=modes))


LINEAR, BENT = "I(income - cost) + time | 0", "log(income - cost) + time | 0"


@pytest.fixture(scope="module", params=[None, NESTS], ids=["multinomial", "three levels"])
def linear(request):
    return travellers(LINEAR, nests=request.param)


@pytest.fixture(scope="module", params=[None, NESTS], ids=["multinomial", "three levels"])
def bent(request):
    return travellers(BENT, nests=request.param)


def test_surplus_of_mode_canada(canada, mode_canada, faster):
    want = tomllib.loads((PUBLISHED / "Croissant2020/mode_canada.toml").read_text("utf-8"))[
        "surplus"
    ]
    found = surplus(canada, mode_canada, faster, price="cost")
    assert found.mean == pytest.approx(want["mean"], abs=6e-5)
    summary = found.cases.describe().rename({"25%": "q25", "50%": "median", "75%": "q75"})
    assert summary[list(want)].to_dict() == pytest.approx(want, abs=6e-5)
    assert found.total == pytest.approx(found.cases.sum())
    again = surplus(canada, mode_canada, faster, marginal_utility="-cost")
    pd.testing.assert_frame_equal(again.table, found.table, rtol=1e-7)
    assert "hessian, by the delta method" in str(found)


def test_surplus_of_groups_and_weights(canada, mode_canada, faster):
    weights = 1.0 + np.arange(mode_canada.n_cases) % 2
    table = mode_canada.table.assign(w=np.repeat(weights, 3))
    weighted = ChoiceData.from_long(
        table, "case", "alt", weights="w", alternatives=mode_canada.alternatives
    )
    found = surplus(canada, weighted, faster, price="cost", by="urban")
    urban = table["urban"].to_numpy()[::3]
    assert list(found.table.index) == ["all", 0, 1, 2]
    for level in (0, 1, 2):
        of = urban == level
        want = np.average(found.cases.to_numpy()[of], weights=weights[of])
        assert found.table.loc[level, "mean"] == pytest.approx(want, rel=1e-12)
        assert found.table.loc[level, "weight"] == weights[of].sum()
    assert found.table["total"].iloc[0] == pytest.approx(found.table["total"].iloc[1:].sum())


def test_standard_error_by_the_complex_step(canada, mode_canada, faster):
    X = [canada.parameters.over(d).observations.design.X for d in (mode_canada, faster)]
    k = canada.names.index("cost")

    def mean(theta):
        old, new = (np.log(np.exp(theta @ x).reshape(-1, 3).sum(axis=1)) for x in X)
        return ((new - old) / -theta[k]).mean()

    steps = 1e-30j * np.eye(len(canada.estimate))
    G = np.array([mean(canada.estimate + step).imag / 1e-30 for step in steps])
    want = np.sqrt(G @ canada.cov_params().to_numpy() @ G)
    found = surplus(canada, mode_canada, faster, price="cost").table["std err"].iloc[0]
    assert found == pytest.approx(want, rel=1e-8)


def test_the_marginal_utility_of_income_may_differ_between_cases(mode_canada, faster):
    result = fit(MultinomialLogit("I(cost / income) + freq | 1 | time"), mode_canada)
    found = surplus(result, mode_canada, faster, price="cost")
    income = mode_canada.table["income"].to_numpy()[::3]
    alpha = -result.params["I(cost / income)"] / income
    want = (result.logsum(faster) - result.logsum()) / alpha
    np.testing.assert_allclose(found.cases, want, rtol=1e-9)


def test_cases_are_matched_by_name(canada, mode_canada, faster):
    straight = surplus(canada, mode_canada, faster, price="cost")
    turned = keep_cases(faster, np.arange(faster.n_cases)[::-1])
    pd.testing.assert_frame_equal(
        surplus(canada, mode_canada, turned, price="cost").table, straight.table
    )
    with pytest.raises(DataError, match=r"after= lacks cases that the other data hold \(109"):
        surplus(canada, mode_canada, keep_cases(faster, np.arange(1, 9)), price="cost")
    with pytest.raises(DataError, match=r"before= lacks cases"):
        surplus(canada, keep_cases(mode_canada, np.arange(9)), faster, price="cost")


def scenarios(data):
    """Changes of one alternative, of several, of income; one goes, one comes."""
    return {
        "one": change(data, {"time": "time * 0.7"}, alternatives="train"),
        "several": change(data, {"cost": "cost * 0.5 + 1", "time": "time + 0.1"}),
        "some worse": change(data, {"time": "2.0"}, alternatives=["bus", "car"]),
        "income": change(data, {"income": "income + 2.5"}),
        "one goes": drop_alternatives(data, "tram", where="young == 1"),
        "nothing": data,
    }


def test_without_income_effects_it_is_the_surplus(linear):
    """The closed form: both variations are the difference of logsums over alpha."""
    data = keep_cases(linear.data, np.arange(50))
    for name, after in scenarios(data).items():
        alpha = linear.params["I(income - cost)"]
        want = (linear.logsum(after) - linear.logsum(data)) / alpha
        for variation in (compensating_variation, equivalent_variation):
            found = variation(linear, data, after, income="income")
            np.testing.assert_allclose(
                found.cases, want, rtol=1e-10, atol=1e-12, err_msg=f"{name}, {variation.__name__}"
            )
        if name != "income":
            same = surplus(linear, data, after, price="cost")
            assert found.mean == pytest.approx(same.mean, rel=1e-10, abs=1e-12)
            se = found.table["std err"].iloc[0]
            assert se == pytest.approx(same.table["std err"].iloc[0], rel=1e-6, abs=1e-12)


def test_an_alternative_that_comes_is_worth_what_it_takes_to_let_it_go(linear):
    data = keep_cases(linear.data, np.arange(50))
    before = drop_alternatives(data, "tram", where="young == 1")
    comes = compensating_variation(linear, before, data, income="income").cases
    goes = compensating_variation(linear, data, before, income="income").cases
    np.testing.assert_allclose(comes, -goes, rtol=1e-9, atol=1e-13)
    assert (comes[data.table["young"].to_numpy()[::5] == 1] > 0).all()


def binary_variation(V0, V1, income, cost, b):
    """E[CV] of a binary logit: solve for c at every error difference, and integrate over it."""

    def solve(d):
        best = max(V0[0], V0[1] + d)
        after = lambda c: max(  # noqa: E731
            V1[0] + b * np.log(income - c - cost[0]), V1[1] + b * np.log(income - c - cost[1]) + d
        )
        return optimize.brentq(lambda c: after(c) - best, -500, income - max(cost) - 1e-9,
                               xtol=1e-14)  # fmt: skip

    def density(d):
        return solve(d) * np.exp(-d) / (1 + np.exp(-d)) ** 2

    # The solution bends where the choices change.
    before, now = V0[0] - V0[1], V1[0] - V1[1] + b * np.log((income - cost[0]) / (income - cost[1]))
    points = sorted({-40.0, before, now, *np.linspace(-6, 6, 25), 40.0})
    pieces = [
        integrate.quad(density, lo, hi, epsabs=1e-13, epsrel=1e-12)[0]
        for lo, hi in pairwise(points)
    ]
    return sum(pieces)


def test_brute_force_of_two_alternatives():
    result = travellers(BENT)
    two = drop_alternatives(result.data, ["tram", "bus", "taxi"])
    data = keep_cases(two, np.arange(6))
    after = change(data, {"cost": "cost * 0.6", "time": "time * 1.1"}, alternatives="car")
    found = compensating_variation(result, data, after, income="income").cases
    b, g = result.params
    for n, case in enumerate(data.case_ids):
        old, new = (d.table.iloc[2 * n : 2 * n + 2] for d in (data, after))
        V0 = b * np.log(old["income"] - old["cost"]) + g * old["time"]
        want = binary_variation(
            V0.to_numpy(), g * new["time"].to_numpy(), new["income"].iloc[0],
            new["cost"].to_numpy(), b,
        )  # fmt: skip
        assert found[case] == pytest.approx(want, rel=1e-8)


@pytest.mark.parametrize("name", ["one", "several", "some worse"])
def test_integral_and_simulation_agree(bent, name):
    data = bent.data
    after = scenarios(data)[name]
    exact = compensating_variation(bent, data, after, income="income").cases.to_numpy()
    drawn = simulate_only(bent, data, after)
    # Cases draw independently: means over blocks of them are nearly normal.
    blocks = np.arange(len(exact)) // 10
    miss = np.bincount(blocks, weights=drawn.mean(axis=1) - exact)
    error = np.sqrt(np.bincount(blocks, weights=drawn.var(axis=1, ddof=1) / drawn.shape[1]))
    assert np.abs(miss / error).max() < 4
    assert abs(miss.sum()) < 3 * np.sqrt((error**2).sum())
    logsums = (bent.logsum(after) - bent.logsum()) / bent.params.iloc[0]
    assert exact.mean() != pytest.approx(logsums.mean(), rel=0.05)


def simulate_only(result, before, after, draws=400):
    """The amount that compensates each case and draw, by a solver of its own."""
    tree, lam = result.tree, np.append(result.lambdas.to_numpy(), 1.0)
    e = tree_errors(tree, lam, before.case_ids, range(draws), seed=5)
    b, g = result.params.iloc[:2]
    J = len(tree.alternatives)

    def money(data, name):
        return data.table[name].to_numpy().reshape(-1, J).T[:, :, None]

    best = (
        b * np.log(money(before, "income") - money(before, "cost")) + g * money(before, "time") + e
    ).max(axis=0)
    # What is left of income to make an alternative as good as the best before, in closed form.
    left = np.exp((best - g * money(after, "time") - e) / b)
    return (money(after, "income") - money(after, "cost") - left).max(axis=0)


def test_the_simulation_solves_for_what_a_closed_form_gives(bent):
    data = keep_cases(bent.data, np.arange(40))
    after = scenarios(data)["several"]
    want = simulate_only(bent, data, after, draws=70)
    found = compensating_variation(
        bent, data, after, income="income", method="simulation", draws=70, seed=5
    )
    np.testing.assert_allclose(found.cases, want.mean(axis=1), rtol=1e-10)
    error = want.mean(axis=0).std(ddof=1) / np.sqrt(70)
    assert f"simulation error of {error:.4g}," in found.notes[1]
    other = compensating_variation(
        bent, keep_cases(data, np.array([7, 3])), after_of(after, [7, 3]), income="income",
        method="simulation", draws=70, seed=5,
    )  # fmt: skip
    np.testing.assert_allclose(other.cases, found.cases.iloc[[7, 3]], rtol=1e-12)


def after_of(data, cases):
    return keep_cases(data, np.array(cases))


def test_money_is_worth_itself(bent):
    data = keep_cases(bent.data, np.arange(30))
    more = change(data, {"income": "income + 2.5"})
    for variation in (compensating_variation, equivalent_variation):
        found = variation(bent, data, more, income="income")
        np.testing.assert_allclose(found.cases, 2.5, rtol=1e-12)
        assert found.table["std err"].iloc[0] == pytest.approx(0, abs=1e-8)


def test_equivalent_variation_is_the_way_back(bent):
    data = keep_cases(bent.data, np.arange(50))
    after = scenarios(data)["several"]
    found = equivalent_variation(bent, data, after, income="income", by="young")
    back = compensating_variation(bent, after, data, income="income", by="young")
    pd.testing.assert_series_equal(found.table["mean"], -back.table["mean"])
    better = change(data, {"cost": "cost * 0.2"})
    gain = compensating_variation(bent, data, better, income="income").cases
    # Money is worth less when there is more of it, after a gain than before.
    assert (gain <= equivalent_variation(bent, data, better, income="income").cases).all()


def test_a_new_alternative_with_income_effects(bent):
    """One that nobody can afford is worth nothing; a free copy of one is worth something."""
    from estimation.choice.adjusted import with_alternatives

    data = keep_cases(bent.data, np.arange(30))
    grown = with_alternatives(bent, ["jet"], like={"jet": "taxi"})
    dear = add_alternative(data, "jet", like="taxi", values={"cost": "income - 1e-9"})
    cheap = add_alternative(data, "jet", like="taxi", values={"cost": "cost / 2"})
    nothing = compensating_variation(grown, data, dear, income="income").cases
    np.testing.assert_allclose(nothing, 0, atol=1e-12)
    gain = compensating_variation(grown, data, cheap, income="income").cases
    assert (gain > 0).all()
    loss = equivalent_variation(grown, cheap, data, income="income").cases
    np.testing.assert_allclose(loss, -gain, rtol=1e-9)


def test_a_cross_nested_logit_without_crossings_is_the_nested_one():
    """The same integral by other choice probabilities."""
    nests = {"rail": ["train", "tram"], "road": ["bus", "taxi"]}
    lambdas = {"rail": 0.4, "road": 0.6}
    some = keep_cases(travellers(BENT).data, np.arange(40))
    after = scenarios(some)["several"]
    values = []
    for model in (
        NestedLogit(BENT, nests, lambdas=lambdas),
        CrossNestedLogit(BENT, nests, lambdas=lambdas),
    ):
        result = fit(model, some)
        theta = np.array([8.0, -1.0])
        at = replace(result, theta=theta, estimate=theta)
        values.append(compensating_variation(at, some, after, income="income").cases)
    np.testing.assert_allclose(values[1], values[0], rtol=1e-9)
    with pytest.raises(EstimationError, match=r"errors of a cross-nested logit are not drawn"):
        compensating_variation(at, some, after, income="income", method="simulation")


@pytest.fixture(scope="module")
def two_classes():
    """A point of a latent class logit, as if it had been estimated."""
    base = travellers(LINEAR)
    data = base.data
    model = LatentClassLogit(LINEAR, classes=2, membership="young")
    parameters = specify(model, data).parameters
    theta = np.array([0.3, -1.0, 0.9, -0.4, 0.2, -0.5])
    K = len(theta)
    covariance = Covariance(np.diag(np.full(K, 1e-4)), "hessian")
    return replace(
        base,
        names=parameters.names,
        estimate=theta,
        covariance=covariance,
        model=model,
        parameters=parameters,
        theta=theta,
        basis=np.eye(K),
        data=data,
    )


def test_classes_are_valued_by_their_own_money(two_classes):
    data = keep_cases(two_classes.data, np.arange(12))
    after = scenarios(data)["several"]
    likelihoods = [two_classes.parameters.over(d) for d in (data, after)]
    theta = two_classes.theta
    pi = np.exp(likelihoods[0].memberships(theta)).T
    old, new = (likelihood.by_class(theta)[1] for likelihood in likelihoods)
    alpha = theta[two_classes.parameters.position[:, 0]]
    assert alpha.tolist() == [0.3, 0.9]
    want = (pi * (new - old) / alpha[:, None]).sum(axis=0)
    gain = surplus(two_classes, data, after, price="cost")
    np.testing.assert_allclose(gain.cases, want, rtol=1e-9)
    variation = compensating_variation(two_classes, data, after, income="income")
    np.testing.assert_allclose(variation.cases, want, rtol=1e-9)
    se = variation.table["std err"].iloc[0]
    assert se == pytest.approx(gain.table["std err"].iloc[0], rel=1e-6)
    drawn = compensating_variation(
        two_classes, data, after, income="income", method="simulation", draws=64
    )
    error = float(drawn.notes[1].split("simulation error of ")[1].split(",")[0])
    assert abs(drawn.mean - variation.mean) < 4 * error


def test_a_price_whose_coefficient_is_drawn_has_no_surplus(mode_canada):
    some = keep_cases(mode_canada, np.arange(0, mode_canada.n_cases, 20))
    model = MixedLogit("cost + freq | 0", random={"cost": "normal"}, draws=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NestflowWarning)
        result = fit(model, some)
    with pytest.raises(SpecificationError, match=r"coefficient of 'cost' varies in the population"):
        surplus(result, some, some, price="cost")
    with pytest.raises(SpecificationError, match=r"and for classes of them; this is a mixed logit"):
        compensating_variation(result, some, some, income="income")


def test_the_derivative_of_the_mean_is_that_of_its_draws(bent):
    """Standard errors of the integral against those of simulated means with the same draws."""
    data = keep_cases(bent.data, np.arange(60))
    after = scenarios(data)["one"]
    exact = compensating_variation(bent, data, after, income="income").table["std err"].iloc[0]
    drawn = compensating_variation(
        bent, data, after, income="income", method="simulation", draws=200
    )
    assert drawn.table["std err"].iloc[0] == pytest.approx(exact, rel=0.1)


def test_drawn_errors_choose_as_the_tree_says():
    alternatives = ["car", "train", "tram", "bus", "taxi"]
    tree = build_tree(NESTS, alternatives)
    lam = dict(zip(tree.nests, (0.3, 0.5, 0.7), strict=True))
    lam = np.append([lam[m] for m in tree.nests], 1.0)
    e = tree_errors(tree, lam, np.arange(4_000), range(20), seed=1).reshape(5, -1)
    V = np.array([0.4, 0.1, -0.2, 0.3, 0.0])
    P = np.exp(log_probabilities(V, tree, lam[:-1]))
    found = np.bincount((V[:, None] + e).argmax(axis=0), minlength=5) / e.shape[1]
    z = (found - P) / np.sqrt(P * (1 - P) / e.shape[1])
    assert np.abs(z).max() < 4
    # Each error is standard Gumbel by itself: mean and variance.
    np.testing.assert_allclose(e.mean(axis=1), np.euler_gamma, atol=0.02)
    np.testing.assert_allclose(e.var(axis=1), np.pi**2 / 6, rtol=0.03)
    # Within the nest of lambda 0.3 the correlation is 1 - 0.3 ** 2.
    assert np.corrcoef(e)[1, 2] == pytest.approx(1 - lam[tree.nests.index("rail")] ** 2, abs=0.01)


def test_many_integrals_at_once():
    owner = np.array([0, 1, 1, 2])
    low, high = np.array([0.0, 0.0, 1.0, 0.0]), np.array([2.0, 1.0, 3.0, 1.0])

    def function(of, x):
        return np.select([of == 0, of == 1], [np.exp(x), 1 / (1 + x * x)], np.sqrt(x))

    found = integrate_many(function, owner, low, high, np.full(3, 1e-12))
    np.testing.assert_allclose(found, [np.exp(2) - 1, np.arctan(3), 2 / 3], rtol=1e-12)
    with pytest.raises(EstimationError, match=r"1 of 1 integrals do not settle"):
        integrate_many(lambda _, x: 1 / x, np.zeros(1, int), np.zeros(1), np.ones(1), np.ones(1))


def test_a_saved_result_values_changes_too(linear, tmp_path):
    data = keep_cases(linear.data, np.arange(20))
    after = scenarios(data)["one"]
    back = load_result(linear.save(tmp_path / "result.json"))
    for value in (
        lambda r: surplus(r, data, after, price="cost"),
        lambda r: compensating_variation(r, data, after, income="income"),
    ):
        pd.testing.assert_frame_equal(value(back).table, value(linear).table)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, SpecificationError, "give the column of the price"),
        ({"price": "cost", "marginal_utility": "-cost"}, SpecificationError, "give the column"),
        ({"price": "fare"}, DataError, "no column 'fare'"),
        ({"price": "income"}, SpecificationError, "changes the choice probabilities"),
        ({"price": "freq"}, EstimationError, r"by 'freq' is not positive in 2,769 cases"),
        ({"price": "dist"}, EstimationError, r"by 'dist' is not positive"),
        ({"marginal_utility": "cost"}, EstimationError, "by marginal_utility= is not positive"),
        ({"marginal_utility": "-costs"}, SpecificationError, "did you mean 'cost'"),
        ({"price": "cost", "by": "alt"}, DataError, "'alt' varies within the case"),
    ],
)
def test_mistakes_of_surplus(canada, mode_canada, faster, options, error, message):
    with pytest.raises(error, match=message):
        surplus(canada, mode_canada, faster, **options)


def test_surplus_refuses_effects_of_income(bent):
    data = bent.data
    with pytest.raises(SpecificationError, match=r"use compensating_variation"):
        surplus(bent, data, data, price="cost")


def test_surplus_refuses_a_marginal_utility_that_changes(mode_canada):
    result = fit(MultinomialLogit("I(cost / income) + freq | 1 | time"), mode_canada)
    richer = change(mode_canada, {"income": "income * 2"})
    with pytest.raises(SpecificationError, match=r"is not the same before and after the change"):
        surplus(result, mode_canada, richer, price="cost")


def test_no_surplus_without_the_normalization(travel_mode):
    model = NestedLogit(
        "gc + ttme", {"ground": ["train", "bus", "car"]}, base="car", normalization="nonnormalized"
    )
    result = fit(model, travel_mode)
    with pytest.raises(SpecificationError, match=r"the logsum is no expected utility"):
        surplus(result, travel_mode, travel_mode, price="gc")
    with pytest.raises(SpecificationError, match=r"the logsum is no expected utility"):
        compensating_variation(result, travel_mode, travel_mode, income="hinc")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"income": "wage"}, SpecificationError, "'wage' does not enter the utilities"),
        ({"income": "time"}, SpecificationError, "utility of 'car' does not rise with 'time'"),
        ({"income": "income", "method": "guess"}, SpecificationError, "method is 'guess'"),
        ({"income": "income", "draws": 1}, SpecificationError, "draws is 1"),
    ],
)
def test_mistakes_of_variations(bent, options, error, message):
    with pytest.raises(error, match=message):
        compensating_variation(bent, bent.data, bent.data, **options)


def test_income_must_enter_every_utility(canada, mode_canada, faster):
    with pytest.raises(SpecificationError, match=r"utility of 'car' does not rise with 'income'"):
        compensating_variation(canada, mode_canada, faster, income="income")


def test_income_may_not_scale_the_utilities(mode_canada, faster):
    result = fit(MultinomialLogit("I(income * 9 - cost)", scale="log(income)"), mode_canada)
    with pytest.raises(SpecificationError, match=r"'income' enters scale="):
        compensating_variation(result, mode_canada, faster, income="income")


def test_a_loss_that_money_does_not_make_up():
    """With utility 0.5 log(left), what compensates for losing an alternative has no mean."""
    result = travellers(BENT)
    few = keep_cases(result.data, np.arange(5))
    theta = np.array([0.5, -1.0])
    flat = replace(result, theta=theta, estimate=theta)
    with pytest.raises(EstimationError, match=r"has no expectation that could be found"):
        compensating_variation(flat, few, drop_alternatives(few, "tram"), income="income")


def test_an_alternative_that_no_income_brings_back():
    result = travellers("I(-1 / (income - cost)) + time | 0")
    theta = np.array([8.0, -1.0])
    result = replace(result, theta=theta, estimate=theta)
    few = keep_cases(result.data, np.arange(5))
    worse = change(few, {"time": "time + 1000"}, alternatives="bus")
    with pytest.raises(EstimationError, match=r"no change of 'income' makes 'bus' worth what"):
        compensating_variation(result, few, worse, income="income")


def test_no_errors_belong_to_a_nest_above_its_parent():
    tree = build_tree({"pair": ["a", "b"]}, ["a", "b", "c"])
    with pytest.raises(EstimationError, match=r"the nest 'pair' \(1.2000\) lies above"):
        tree_errors(tree, np.array([1.2, 1.0]), np.arange(3), range(2), seed=0)
