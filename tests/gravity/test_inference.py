"""Covariances of gravity models against brute force, explicit dummies, pyfixest and R."""

import tomllib
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyfixest
import pytest
import statsmodels.api as sm

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit, load_result
from estimation.gravity.bias import bias_corrected
from estimation.gravity.wild_bootstrap import score_bootstrap

DENSE = "log(distance) + treaty"
ONE = "log(distance) + treaty | origin^year"
TWO = "treaty + gap | origin^year + destination^year"
THREE = "treaty + gap | origin^year + destination^year + origin^destination"
SLOPES = "treaty | origin[log(distance)] + destination"


@pytest.fixture(scope="module")
def small_table(draw_panel):
    table = draw_panel(places=7, years=3, seed=5)
    return table.assign(weight=np.random.default_rng(3).uniform(0.5, 2, len(table)))


@pytest.fixture(scope="module")
def small(small_table):
    return FlowData(small_table, "origin", "destination", "migrants", "year")


@pytest.fixture(scope="module", params=[DENSE, ONE, TWO, THREE, SLOPES])
def result(request, small):
    return fit(Gravity(request.param), small, tol=1e-12)


def written_out(result, table):
    """Regressors and all dummies of the rows used, shape (N, P)."""
    used = table.iloc[result.sample.rows]
    columns = [np.asarray(_column(used, name)) for name in result.names]
    for effect in result.effects:
        codes = pd.factorize(used[effect.columns].astype(str).agg("^".join, axis=1))[0]
        dummies = np.eye(codes.max() + 1)[codes]
        if effect.variable:
            dummies = dummies * np.asarray(_column(used, effect.variable))[:, None]
        columns.extend(dummies.T)
    return np.column_stack(columns)


def bread_of(Z, w):
    """Generalized inverse of the information: dummies are linearly dependent."""
    return np.linalg.pinv(Z.T @ (Z * w[:, None]), rcond=1e-12, hermitian=True)


def _column(used, name):
    if name == "(Intercept)":
        return np.ones(len(used))
    return np.log(used["distance"]) if name == "log(distance)" else used[name]


def referee(formula, table, vcov, **ssc):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its notices of dropped rows
        return pyfixest.fepois(
            f"migrants ~ {formula}", table, vcov=vcov, ssc=pyfixest.ssc(**ssc), iwls_tol=1e-13
        )


def sandwich(Z, w, meat):
    bread = bread_of(Z, w)
    return bread @ meat @ bread


def test_r_sandwich_finds_the_same(canada):
    path = Path(__file__).parents[1] / "published/Zeileis2006/values.toml"
    theirs = tomllib.loads(path.read_text(encoding="utf-8"))["canada"]
    model = Gravity("log(distance) | source + destination")
    ours = fit(model, canada, ssc="none", tol=1e-12)
    assert ours.estimate[0] == pytest.approx(theirs["coefficient"], rel=1e-10)
    both = ["source", "destination"]
    kinds = [(kind, None, kind) for kind in ("hessian", "HC0", "HC1", "HC2", "HC3")]
    kinds += [("cluster", "source", "source"), ("cluster", both, "source_destination")]
    for kind, groups, name in [*kinds, ("CRV3", "source", "jackknife_source")]:
        found = ours.with_cov(kind, groups=groups)
        assert found.bse.iloc[0] == pytest.approx(theirs[name], rel=1e-8), name
    assert ours.leverages()[:8].to_numpy() == pytest.approx(theirs["leverages"], rel=1e-9)
    for kind, groups, name in [kinds[0], kinds[4], kinds[5]]:
        rows = ours.with_cov(kind, groups=groups).predict(
            canada.table.iloc[:8], std_err=True, scale="eta"
        )
        expected = theirs[f"eta_std_err_{name}"]
        assert rows["std_err"].to_numpy() == pytest.approx(expected, rel=1e-7)


def test_leverages_are_those_of_explicit_dummies(result, small_table):
    Z = written_out(result, small_table)
    w = result.sample.mu
    hat = np.einsum("np,pq,nq->n", Z, bread_of(Z, w), Z) * w
    leverages = result.leverages()
    assert leverages.to_numpy() == pytest.approx(hat, rel=1e-8, abs=1e-12)
    assert leverages.sum() == pytest.approx(np.linalg.matrix_rank(Z), rel=1e-9)
    assert leverages.index.tolist() == result.sample.rows.tolist()


@pytest.mark.parametrize(("kind", "power"), [("HC0", 0), ("HC1", 0), ("HC2", 1), ("HC3", 2)])
def test_heteroskedasticity_robust_by_explicit_dummies(result, kind, power, small_table):
    Z, sample = written_out(result, small_table), result.sample
    K, N, r = len(result.names), result.nobs, sample.residuals
    hat = result.leverages().to_numpy()
    meat = (Z * (r**2 / (1 - hat) ** power)[:, None]).T @ Z
    factor = N / (N - result.df_model) if kind == "HC1" else 1.0
    expected = factor * sandwich(Z, sample.mu, meat)[:K, :K]
    found = result.with_cov(kind)
    assert found.covariance.matrix == pytest.approx(expected, rel=1e-7, abs=1e-14)
    assert found.cov_type == kind
    for ssc in ("stata", "none"):
        same = result.with_cov(kind, ssc=ssc).covariance.matrix
        assert same == pytest.approx(found.covariance.matrix, rel=1e-14)


def test_statsmodels_without_effects(small, small_table):
    """HC1 of its GLM lacks the factor N / (N - k) that it has for linear models."""
    ours = fit(Gravity(DENSE), small, cov="HC0", tol=1e-12)
    X = sm.add_constant(np.column_stack([np.log(small_table["distance"]), small_table["treaty"]]))
    glm = sm.GLM(small_table["migrants"], X, family=sm.families.Poisson())
    theirs = glm.fit(cov_type="HC0", tol=1e-13, maxiter=100)
    assert ours.bse.to_numpy() == pytest.approx(theirs.bse.to_numpy(), rel=1e-8)
    N = len(small_table)
    expected = np.sqrt(N / (N - 3)) * theirs.bse.to_numpy()
    assert ours.with_cov("HC1").bse.to_numpy() == pytest.approx(expected, rel=1e-8)
    hat = theirs.get_influence().hat_matrix_diag
    assert ours.leverages().to_numpy() == pytest.approx(hat, rel=1e-8)


@pytest.mark.parametrize("kind", ["HC2", "HC3"])
def test_pyfixest_finds_the_same_without_effects(kind, small, small_table):
    ours = fit(Gravity("gap + treaty"), small, cov=kind, tol=1e-12)
    theirs = referee("gap + treaty", small_table, kind, k_adj=False)
    assert ours.bse.to_numpy() == pytest.approx(theirs.se().to_numpy(), rel=1e-6)


def test_weights_enter_leverages_and_scores(small, small_table):
    ours = fit(Gravity(TWO), small, cov="HC3", weights="weight", tol=1e-12)
    Z, sample = written_out(ours, small_table), ours.sample
    w = small_table["weight"].to_numpy()[sample.rows]
    hat = w * sample.mu * np.einsum("np,pq,nq->n", Z, bread_of(Z, w * sample.mu), Z)
    assert ours.leverages().to_numpy() == pytest.approx(hat, rel=1e-8)
    r = w * (small_table["migrants"].to_numpy()[sample.rows] - sample.mu) / (1 - hat)
    expected = sandwich(Z, w * sample.mu, (Z * (r**2)[:, None]).T @ Z)[:2, :2]
    assert ours.covariance.matrix == pytest.approx(expected, rel=1e-7)


def test_hc1_is_robust_with_fixests_factor(result):
    robust = result.with_cov("robust", ssc="fixest").bse.to_numpy()
    assert result.with_cov("HC1").bse.to_numpy() == pytest.approx(robust, rel=1e-14)
    plain = result.with_cov("robust", ssc="none").bse.to_numpy()
    assert result.with_cov("HC0").bse.to_numpy() == pytest.approx(plain, rel=1e-14)


def test_the_convention_survives_a_covariance_with_its_own_factor(result):
    direct = result.with_cov("cluster", groups="origin").bse.to_numpy()
    assert result.with_cov("HC3").with_cov("cluster", groups="origin").bse.to_numpy() == (
        pytest.approx(direct, rel=1e-14)
    )


def test_a_row_that_is_fitted_alone_has_no_hc3(small_table):
    alone = (np.arange(len(small_table)) == 11).astype(float)
    table = small_table.assign(alone=alone, migrants=small_table["migrants"] + alone)
    data = FlowData(table, "origin", "destination", "migrants", "year")
    result = fit(Gravity("log(distance) + alone"), data)
    assert result.leverages()[11] == pytest.approx(1.0, abs=1e-10)
    with pytest.raises(EstimationError, match=r"HC3 is not defined: 1 rows .*\(rows 11\)"):
        result.with_cov("HC3")
    single = table.assign(pair=np.where(np.arange(len(table)) == 11, "only", "rest"))
    data = FlowData(single, "origin", "destination", "migrants", "year")
    kept = fit(Gravity("log(distance) | pair"), data, drop_singletons=False)
    with pytest.raises(EstimationError, match="HC2 is not defined"):
        kept.with_cov("HC2")


def test_too_many_effects_for_exact_leverages(result, monkeypatch):
    monkeypatch.setattr("estimation.gravity.working._MOST_LEVELS", 3)
    if len(result.effects) > 1:
        with pytest.raises(EstimationError, match="need the inverse of a matrix of"):
            result.with_cov("HC3")
    else:
        assert np.isfinite(result.with_cov("HC3").bse).all()


def test_three_ways_of_clustering_by_brute_force(result):
    sample = result.sample
    used = sample.data.table.iloc[sample.rows]
    ways = ["origin", "destination", "year"]
    codes = [pd.factorize(used[way])[0] for way in ways]
    same = [c[:, None] == c[None, :] for c in codes]
    joined = (same[0] | same[1] | same[2]).astype(float)
    bread = np.linalg.inv(-result.hessian)
    expected = bread @ sample.scores.T @ joined @ sample.scores @ bread
    values, vectors = np.linalg.eigh(expected)
    found = result.with_cov("cluster", groups=ways, ssc="none").covariance
    assert bool(found.notes) == (values[0] < 0)
    repaired = (vectors * np.maximum(values, 0)) @ vectors.T
    assert found.matrix == pytest.approx(repaired, rel=1e-7, abs=1e-14)
    assert found.group_counts == (7, 7, 3)


def test_dyadic_by_a_double_loop(result):
    sample = result.sample
    used = sample.data.table.iloc[sample.rows]
    members = [frozenset(pair) for pair in zip(used["origin"], used["destination"], strict=True)]
    share = np.array([[bool(a & b) for b in members] for a in members], dtype=float)
    bread = np.linalg.inv(-result.hessian)
    expected = bread @ sample.scores.T @ share @ sample.scores @ bread
    found = result.with_cov("dyadic", ssc="none").covariance
    values, vectors = np.linalg.eigh(expected)
    assert len(found.notes) == 1 + (values[0] < 0)
    expected = (vectors * np.maximum(values, 0)) @ vectors.T
    assert found.matrix == pytest.approx(expected, rel=1e-7, abs=1e-14)
    stata = result.with_cov("dyadic", ssc="stata").covariance.matrix
    assert stata == pytest.approx(found.matrix * 7 / 6, rel=1e-9, abs=1e-14)
    assert "7 places" in str(result.with_cov("dyadic").summary())


def test_dyadic_with_places_apart_is_two_way_clustering(small_table):
    """If no origin is a destination, sharing a place is sharing the origin or the destination."""
    apart = small_table.assign(destination=small_table["destination"].str.replace("P", "Q"))
    result = fit(Gravity(TWO), FlowData(apart, "origin", "destination", "migrants", "year"))
    two_way = result.with_cov("cluster", groups=["origin", "destination"], ssc="none")
    dyadic = result.with_cov("dyadic", ssc="none")
    assert dyadic.bse.to_numpy() == pytest.approx(two_way.bse.to_numpy(), rel=1e-9)


def test_dyadic_needs_three_places(small_table):
    few = small_table[small_table["origin"].isin(["P0", "P1"])]
    few = few[few["destination"].isin(["P0", "P1"])]
    result = fit(Gravity("treaty"), FlowData(few, "origin", "destination", "migrants", "year"))
    with pytest.raises(DataError, match="at least three places"):
        result.with_cov("dyadic")


@pytest.mark.parametrize("formula", [DENSE, TWO, THREE, SLOPES])
def test_the_jackknife_by_brute_force(formula, small, small_table):
    result = fit(Gravity(formula), small, tol=1e-12)
    places = sorted(set(small_table["origin"]))
    gaps = []
    for place in places:
        rest = small_table[small_table["origin"] != place]
        data = FlowData(rest, "origin", "destination", "migrants", "year")
        gaps.append(fit(Gravity(formula), data, tol=1e-12).estimate - result.estimate)
    expected = 6 / 7 * np.transpose(gaps) @ np.array(gaps)
    found = result.with_cov("CRV3", groups="origin")
    assert found.covariance.matrix == pytest.approx(expected, rel=1e-6)
    assert found.covariance.label == "CRV3 by origin (7)"
    assert found.covariance.short == "CRV3 by origin"


def test_weights_and_offsets_stay_in_the_refits(small, small_table):
    model = Gravity("treaty | origin + year", offset="-log(distance)")
    result = fit(model, small, weights="weight", tol=1e-12)
    gaps = []
    for place in sorted(set(small_table["destination"])):
        rest = small_table[small_table["destination"] != place]
        data = FlowData(rest, "origin", "destination", "migrants", "year")
        gaps.append(fit(model, data, weights="weight", tol=1e-12).estimate - result.estimate)
    expected = 6 / 7 * np.transpose(gaps) @ np.array(gaps)
    found = result.with_cov("CRV3", groups="destination").covariance.matrix
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("formula", ["treaty + gap", TWO])
def test_pyfixest_finds_the_same_jackknife(formula, small, small_table):
    """Its version lacks the factor (G - 1) / G of the jackknife."""
    theirs = referee(formula, small_table, {"CRV3": "origin"}, k_adj=False, G_adj=False)
    ours = fit(Gravity(formula), small, cov="CRV3", groups="origin")
    names = [name for name in ours.names if name != "(Intercept)"]
    expected = np.sqrt(6 / 7) * theirs.se()[names].to_numpy()
    assert ours.bse[names].to_numpy() == pytest.approx(expected, rel=1e-5)


def test_fixed_effects_alone_have_every_covariance(small):
    alone = fit(Gravity("1 | origin + destination"), small)
    for kind, groups in [(k, None) for k in ("hessian", "HC1", "HC3", "dyadic")] + [
        ("cluster", "origin"),
        ("CRV3", "origin"),
    ]:
        assert alone.with_cov(kind, groups=groups).covariance.matrix.shape == (0, 0)


def test_a_group_that_identifies_a_coefficient_is_named(small_table):
    only = (small_table["origin"] == "P2").astype(float) * small_table["gap"]
    data = FlowData(small_table.assign(only=only), "origin", "destination", "migrants", "year")
    result = fit(Gravity("log(distance) + only | destination"), data)
    with pytest.raises(EstimationError, match="without the group P2 of 'origin'"):
        result.with_cov("CRV3", groups="origin")


def test_what_cannot_be_asked(result, tmp_path):
    with pytest.raises(DataError, match="single group"):
        result.with_cov("CRV3", groups=np.zeros(147))
    for ssc in ("fixest", "stata", "none"):
        with pytest.raises(DataError, match="'one' has a single group; clustered standard errors"):
            result.with_cov("cluster", groups=pd.Series(np.zeros(147), name="one"), ssc=ssc)
    with pytest.raises(SpecificationError, match="needs groups="):
        result.with_cov("CRV3")
    with pytest.raises(SpecificationError, match="several ways are for cov='cluster'"):
        result.with_cov("CRV3", groups=["origin", "destination"])
    with pytest.raises(SpecificationError, match="groups= goes with"):
        result.with_cov("HC3", groups="origin")
    with pytest.raises(SpecificationError, match="did you mean 'dyadic'"):
        result.with_cov("dyadc")
    again = load_result(result.save(tmp_path / "gravity.json"))
    assert again.with_cov("HC1").bse.to_numpy() == pytest.approx(
        result.with_cov("HC1").bse.to_numpy(), rel=1e-12
    )
    for kind in ("HC2", "HC3", "dyadic", "CRV3", "cluster"):
        with pytest.raises(EstimationError, match="read from a file"):
            again.with_cov(kind)
    with pytest.raises(EstimationError, match="fit again for leverages"):
        again.leverages()


def test_refits_around_a_corrected_estimate_are_refused(small):
    corrected = bias_corrected(fit(Gravity(THREE), small))
    with pytest.raises(EstimationError, match="'treaty' is not where the pseudo-likelihood"):
        corrected.with_cov("CRV3", groups="origin")
    with pytest.raises(EstimationError, match="ask the converged, uncorrected result"):
        score_bootstrap(corrected, "gap = 0", groups="origin")
