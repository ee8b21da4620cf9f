"""The score wild cluster bootstrap: exact enumeration, its statistics, its size."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit, load_result
from estimation.gravity.multipliers import multipliers
from estimation.gravity.wild_bootstrap import score_bootstrap, score_interval

MODEL = Gravity("log(distance) + treaty + gap | origin + year")


@pytest.fixture(scope="module")
def table(draw_panel):
    return draw_panel(places=7, years=3, seed=5)


@pytest.fixture(scope="module")
def result(table):
    return fit(MODEL, FlowData(table, "origin", "destination", "migrants", "year"), tol=1e-12)


def by_hand(scores, inverse, R, v):
    """One statistic, written as the formula stands."""
    a = scores @ inverse @ R.T
    c = sum(v[g] * a[g] for g in range(len(v)))
    V = sum(np.outer(v[g] * a[g] - c / len(v), v[g] * a[g] - c / len(v)) for g in range(len(v)))
    return c @ np.linalg.inv(V) @ c


def under_the_null(result, table):
    """Sums of scores by destination and inverse information with treaty at zero, by dummies."""
    used = table.iloc[result.sample.rows]
    dummies = pd.get_dummies(used[["origin", "year"]].astype(str), drop_first=True, dtype=float)
    tested = used[["treaty"]].to_numpy()
    rest = np.column_stack([np.log(used["distance"]), used["gap"], np.ones(len(used)), dummies])
    glm = sm.GLM(used["migrants"], rest, family=sm.families.Poisson())
    mu = glm.fit(tol=1e-13, maxiter=100).mu
    Z = np.column_stack([tested, rest])
    inverse = np.linalg.inv(Z.T @ (Z * mu[:, None]))
    scores = Z * (used["migrants"].to_numpy() - mu)[:, None]
    sums = pd.DataFrame(scores).groupby(used["destination"].to_numpy(), sort=False).sum()
    return sums.to_numpy(), inverse


def test_all_draws_by_brute_force_with_the_null_imposed(result, table):
    found = score_bootstrap(result, "treaty = 0", groups="destination")
    scores, inverse = under_the_null(result, table)
    R = np.eye(len(inverse))[:1]
    every = [by_hand(scores, inverse, R, v) for v in product([1.0, -1.0], repeat=7)]
    assert found.enumerated
    assert len(found.statistics) == 64
    assert found.statistic == pytest.approx(every[0], rel=1e-6)
    assert np.sort(found.statistics) == pytest.approx(np.sort(every)[::2], rel=1e-6)
    assert found.pvalue == np.mean(np.array(every) >= every[0] * (1 - 1e-9))
    assert "all 64 rademacher draws; 7 groups by destination; null imposed" in str(found)


def test_all_draws_by_brute_force_without_the_null(result, table):
    found = score_bootstrap(result, ["treaty = 0", "gap = 0.1"], groups="destination", null=False)
    groups = table["destination"].iloc[result.sample.rows].to_numpy()
    scores = pd.DataFrame(result.sample.scores).groupby(groups, sort=False).sum().to_numpy()
    R, inverse = np.eye(3)[1:], np.linalg.inv(-result.hessian)
    every = [by_hand(scores, inverse, R, v) for v in product([1.0, -1.0], repeat=7)]
    plain = result.with_cov("cluster", groups="destination", ssc="none")
    wald = plain.wald_test(["treaty = 0", "gap = 0.1"])
    assert found.df == 2
    assert found.statistic == pytest.approx(wald.statistic, rel=1e-9)
    finite = np.isfinite(every) & (np.array(every) < 1e6)
    assert np.sort(found.statistics)[: finite.sum() // 2] == pytest.approx(
        np.sort(np.array(every)[finite])[::2], rel=1e-6
    )
    assert found.pvalue == np.mean(np.array(every) >= wald.statistic)


def test_one_coefficient_alone_can_be_tested(table):
    """Without effects and other regressors, nothing is left to estimate under the null."""
    data = FlowData(table, "origin", "destination", "migrants", "year")
    alone = fit(Gravity("0 + gap"), data)
    assert 0 < score_bootstrap(alone, "gap = 0.2", groups="origin").pvalue <= 1


def test_a_combination_is_a_coefficient_of_other_regressors(result, table):
    changed = table.assign(other=table["treaty"] + table["gap"])
    data = FlowData(changed, "origin", "destination", "migrants", "year")
    again = fit(Gravity("log(distance) + gap + other | origin + year"), data, tol=1e-12)
    # treaty b + gap c = other b + gap (c - b).
    one = score_bootstrap(result, "gap - treaty = 0.2", groups="destination")
    two = score_bootstrap(again, "gap = 0.2", groups="destination")
    assert two.statistic == pytest.approx(one.statistic, rel=1e-6)
    assert two.pvalue == one.pvalue


def test_weights_and_offsets_count(table):
    doubled = table.assign(two=2.0, exposure=np.log(table["distance"]))
    data = FlowData(doubled, "origin", "destination", "migrants", "year")
    plain = fit(Gravity("treaty | origin", offset="exposure"), data)
    weighted = fit(Gravity("treaty | origin", offset="exposure"), data, weights="two")
    bare = fit(Gravity("treaty | origin"), data)
    one, two, other = (
        score_bootstrap(r, "treaty = 0", groups="destination").statistic
        for r in (plain, weighted, bare)
    )
    assert two == pytest.approx(one, rel=1e-8)
    assert other != pytest.approx(one, rel=1e-3)


@pytest.mark.parametrize("weights", ["rademacher", "webb", "mammen"])
def test_many_groups_agree_with_the_normal_distribution(weights, draw_panel):
    data = FlowData(draw_panel(places=16, years=3), "origin", "destination", "migrants", "year")
    result = fit(MODEL, data, cov="cluster", groups="origin^destination", ssc="none")
    value = result.params["gap"] + 1.2 * result.bse["gap"]
    normal = result.wald_test(f"gap = {value}").pvalue
    for null in (True, False):
        found = score_bootstrap(
            result, f"gap = {value}", groups="origin^destination", weights=weights, null=null
        )
        assert not found.enumerated
        assert found.pvalue == pytest.approx(normal, abs=0.05)
        again = score_bootstrap(
            result, f"gap = {value}", groups="origin^destination", weights=weights, null=null
        )
        assert np.array_equal(again.statistics, found.statistics)


@pytest.mark.parametrize(("weights", "points"), [("rademacher", 2), ("webb", 6), ("mammen", 2)])
def test_multipliers_have_mean_zero_and_variance_one(weights, points):
    v = np.concatenate(list(multipliers(weights, 49, 100_000, 3)))
    assert v.shape == (100_000, 49)
    assert v.mean() == pytest.approx(0, abs=0.003)
    assert (v**2).mean() == pytest.approx(1, abs=0.003)
    assert len(np.unique(v)) == points


def test_the_interval_holds_what_is_not_rejected(result):
    options = {"groups": "origin^destination", "draws": 999, "seed": 4}
    found = score_interval(result, "gap", **options)
    se = result.bse["gap"]
    assert found.lower < result.params["gap"] < found.upper
    for limit, outward in ((found.lower, -1), (found.upper, 1)):
        inside = score_bootstrap(result, f"gap = {limit - outward * 0.01 * se}", **options)
        outside = score_bootstrap(result, f"gap = {limit + outward * 0.01 * se}", **options)
        assert outside.pvalue <= 0.05 < inside.pvalue
    clustered = result.with_cov("cluster", groups="origin^destination").conf_int().loc["gap"]
    width = clustered["upper"] - clustered["lower"]
    assert found.upper - found.lower == pytest.approx(width, rel=0.35)


def test_too_few_groups_reject_nothing(result):
    found = score_interval(result, "gap", groups="year")
    assert (found.lower, found.upper) == (-np.inf, np.inf)
    assert "3 groups offer too few draws" in found.note


def test_what_cannot_be_asked(result, table, tmp_path):
    with pytest.raises(SpecificationError, match="draws for the groups of one clustering"):
        score_bootstrap(result, "gap = 0", groups=["origin", "destination"])
    with pytest.raises(SpecificationError, match="did you mean 'webb'"):
        score_bootstrap(result, "gap = 0", weights="web")
    with pytest.raises(SpecificationError, match="draws is 0"):
        score_bootstrap(result, "gap = 0", draws=0)
    with pytest.raises(SpecificationError, match="no restriction"):
        score_bootstrap(result, "")
    with pytest.raises(EstimationError, match="3 restrictions cannot be tested with 3 groups"):
        score_bootstrap(result, ["gap", "treaty", "log(distance)"], groups="year")
    with pytest.raises(SpecificationError, match="did you mean 'gap'"):
        score_interval(result, "gab")
    with pytest.raises(SpecificationError, match="alpha is 2"):
        score_interval(result, "gap", alpha=2)
    with pytest.raises(DataError, match="single group"):
        score_bootstrap(result, "gap = 0", groups=np.zeros(len(table)))
    again = load_result(result.save(tmp_path / "gravity.json"))
    with pytest.raises(EstimationError, match="read from a file"):
        score_bootstrap(again, "gap = 0")


@pytest.mark.slow
def test_size_with_few_groups():
    """With 24 groups the bootstrap holds its size, where the normal rejects too often."""
    rejected, replications = np.zeros(2), 400
    for replication in range(replications):
        rng = np.random.default_rng(replication)
        o, d = (a.ravel() for a in np.indices((24, 12)))
        x = rng.normal(0, 0.7, 24)[o] + rng.normal(0, 0.7, 24 * 12)
        shock = rng.normal(0, 0.5, (24, 2))
        eta = 1.0 + 0.5 * x + shock[o, 0] + shock[o, 1] * (d % 2)
        table = pd.DataFrame({"o": o, "d": d, "x": x, "y": rng.poisson(np.exp(eta)).astype(float)})
        result = fit(Gravity("x | d"), FlowData(table, "o", "d", "y"), cov="cluster", groups="o")
        test = score_bootstrap(result, "x = 0.5", groups="o", draws=399)
        rejected += [result.wald_test("x = 0.5").pvalue < 0.05, test.pvalue <= 0.05]
    normal, bootstrap = rejected / replications
    assert normal > 0.08
    assert 0.03 < bootstrap < 0.075
