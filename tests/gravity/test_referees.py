"""pyfixest and statsmodels on the same rows: coefficients, fit statistics, every covariance."""

import warnings

import numpy as np
import pandas as pd
import pyfixest
import pytest
import statsmodels.api as sm

from choicemodels import FlowData, Gravity
from estimation import fit

TWO = "treaty + gap | origin^year + destination^year"
THREE = "treaty + gap | origin^year + destination^year + origin^destination"
CLUSTERS = {
    "origin": "origin",
    "origin^destination": "pair",
    ("origin", "destination"): "origin+destination",
}


def referee(formula, table, vcov, **ssc):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its notices of dropped rows
        return pyfixest.fepois(
            f"migrants ~ {formula}",
            table,
            vcov=vcov,
            ssc=pyfixest.ssc(**ssc),
            iwls_tol=1e-13,
            demeaner=pyfixest.MapDemeaner(fixef_tol=1e-12),
        )


@pytest.fixture(scope="module", params=["treaty + gap | origin + destination", TWO, THREE])
def formula(request):
    return request.param


def test_pyfixest_finds_the_same_fit(formula, panel, panel_table):
    ours = fit(Gravity(formula), panel)
    theirs = referee(formula, panel_table, "iid")
    assert ours.nobs == theirs._N
    assert ours.estimate == pytest.approx(theirs.coef().to_numpy(), rel=1e-8)
    assert ours.llf == pytest.approx(theirs._loglik, rel=1e-12)
    assert ours.deviance == pytest.approx(theirs.deviance, rel=1e-10)
    assert ours.prsquared == pytest.approx(theirs._pseudo_r2, rel=1e-10)


@pytest.mark.parametrize(("kind", "vcov"), [("hessian", "iid"), ("robust", "hetero")])
def test_pyfixest_finds_the_same_standard_errors(formula, kind, vcov, panel, panel_table):
    ours = fit(Gravity(formula), panel, cov=kind)
    theirs = referee(formula, panel_table, vcov)
    assert ours.bse.to_numpy() == pytest.approx(theirs.se().to_numpy(), rel=1e-6)


@pytest.mark.parametrize("groups", CLUSTERS, ids=str)
def test_pyfixest_finds_the_same_clustered_standard_errors(formula, groups, panel, panel_table):
    """Where the two-way matrix is indefinite, ours is repaired and pyfixest's is not."""
    ways = list(groups) if isinstance(groups, tuple) else groups
    ours = fit(Gravity(formula), panel, cov="cluster", groups=ways)
    theirs = referee(formula, panel_table, {"CRV1": CLUSTERS[groups]})
    if ours.covariance.notes:
        assert np.linalg.eigvalsh(theirs._vcov)[0] < 0
        assert np.linalg.eigvalsh(ours.covariance.matrix)[0] > -1e-15
        return
    # pyfixest 0.60 does not count nested effects alike in every run: we hold it to the count.
    k = parameters(ours, groups)
    scale = np.sqrt((ours.nobs - theirs._df_k) / (ours.nobs - k))
    assert ours.bse.to_numpy() == pytest.approx(scale * theirs.se().to_numpy(), rel=1e-6)
    plain = referee(formula, panel_table, {"CRV1": CLUSTERS[groups]}, k_adj=False)
    stata = ours.with_cov("cluster", groups=ways, ssc="stata")
    assert stata.bse.to_numpy() == pytest.approx(plain.se().to_numpy(), rel=1e-6)


def parameters(result, groups):
    """Count parameters by hand: levels less one a further effect; nested effects count one."""
    nests = {
        "origin": {"origin", "origin^year", "origin^destination"},
        "origin^destination": {"origin^destination"},
        ("origin", "destination"): {
            *("origin", "destination", "origin^destination"),
            *("origin^year", "destination^year"),
        },
    }
    counts = {count.name: count.levels for count in result.effect_counts}
    inside = nests[groups] & set(counts)
    k = len(result.names) + sum(counts.values()) - (len(counts) - 1)
    return k - sum(counts[name] - 1 for name in inside)


def test_the_count_of_parameters_is_pyfixests_most_of_the_time(panel, panel_table):
    ours = fit(Gravity(TWO), panel, cov="cluster", groups="origin")
    counted = {referee(TWO, panel_table, {"CRV1": "origin"})._df_k for _ in range(5)}
    assert parameters(ours, "origin") in counted


def dummies(table, effects):
    codes = {e: table[e.split("^")].astype(str).agg("^".join, axis=1) for e in effects}
    return pd.get_dummies(pd.DataFrame(codes), drop_first=True, dtype=float)


def independent(X):
    """Leave out the columns that are combinations of those before them."""
    kept = []
    for name in X:
        if np.linalg.matrix_rank(X[[*kept, name]]) > len(kept):
            kept.append(name)
    return X[kept]


def test_explicit_dummies_give_the_same(draw_panel):
    table = draw_panel(places=7, years=3, seed=5)
    panel = FlowData(table, "origin", "destination", "migrants", "year")
    ours = fit(Gravity(TWO), panel, ssc="none", tol=1e-12)
    used = table.iloc[ours.predict().index]
    effects = dummies(used, ["origin^year", "destination^year"])
    X = independent(pd.concat([used[["treaty", "gap"]].assign(const=1.0), effects], axis=1))
    glm = sm.GLM(used["migrants"], X, family=sm.families.Poisson())
    theirs = glm.fit(cov_type="HC0", tol=1e-12, maxiter=100)
    assert ours.estimate == pytest.approx(theirs.params[["treaty", "gap"]].to_numpy(), rel=1e-8)
    assert ours.bse.to_numpy() == pytest.approx(theirs.bse[["treaty", "gap"]].to_numpy(), rel=1e-6)
    assert ours.llf == pytest.approx(theirs.llf, rel=1e-10)
    assert ours.predict().to_numpy() == pytest.approx(theirs.mu, rel=1e-6)


@pytest.mark.parametrize(("kind", "cov_type"), [("hessian", "nonrobust"), ("robust", "HC0")])
@pytest.mark.parametrize("intercept", [True, False])
def test_statsmodels_without_effects(kind, cov_type, intercept, panel, panel_table):
    formula = "log(distance) + treaty" if intercept else "0 + log(distance) + treaty"
    ours = fit(Gravity(formula), panel, cov=kind, ssc="none", tol=1e-12)
    X = np.column_stack([np.log(panel_table["distance"]), panel_table["treaty"]])
    X = sm.add_constant(X) if intercept else X
    glm = sm.GLM(panel_table["migrants"], X, family=sm.families.Poisson())
    theirs = glm.fit(cov_type=cov_type, tol=1e-13, maxiter=100)
    assert ours.estimate == pytest.approx(theirs.params.to_numpy(), rel=1e-8)
    assert ours.bse.to_numpy() == pytest.approx(theirs.bse.to_numpy(), rel=1e-8)
    assert ours.llf == pytest.approx(theirs.llf, rel=1e-12)
    if intercept:
        assert ours.llnull == pytest.approx(theirs.llnull, rel=1e-10)


def test_austria_against_dummies(austria):
    table = austria.table
    X = pd.concat([table[["distance"]], dummies(table, ["origin", "destination"])], axis=1)
    glm = sm.GLM(table["flow"], sm.add_constant(X), family=sm.families.Poisson())
    theirs = glm.fit(cov_type="HC0", tol=1e-13, maxiter=100)
    ours = fit(Gravity("distance | origin + destination"), austria, ssc="none")
    assert ours.params["distance"] == pytest.approx(theirs.params["distance"], rel=1e-9)
    assert ours.bse["distance"] == pytest.approx(theirs.bse["distance"], rel=1e-7)
