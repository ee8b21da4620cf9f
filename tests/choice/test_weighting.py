"""Samples drawn by what people chose, weighted back to the population."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.errors import DataError, SpecificationError
from choicemodels.specify import specify
from estimation import bootstrap, fit, load_result

MODES = ["train", "bus", "car", "air"]
NESTS = {"ground": ["train", "bus", "car"]}
MODEL = NestedLogit("cost | z", nests=NESTS, base="car")
TRUTH = {
    "(Intercept):train": -0.8,
    "(Intercept):bus": -1.6,
    "(Intercept):air": -2.2,
    "cost": -0.9,
    "z:train": 0.3,
    "z:bus": -0.2,
    "z:air": 0.5,
    "lambda:ground": 0.6,
}


def population(size=200_000, seed=0):
    """Draw people who choose by the true model; return their table and the shares."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(size), 4),
            "mode": pd.Categorical(MODES * size, categories=MODES),
            "cost": rng.normal(size=4 * size),
            "z": np.repeat(rng.normal(size=size), 4),
        }
    )
    likelihood = specify(MODEL, ChoiceData.from_long(table, "case", "mode"))
    theta = np.array([TRUTH[name] for name in likelihood.parameters.names])
    P, _ = likelihood.probabilities(theta)
    chosen = (P.reshape(size, 4).cumsum(axis=1) < rng.random((size, 1))).sum(axis=1)
    table["chosen"] = (np.arange(4) == chosen[:, None]).ravel().astype(int)
    shares = np.bincount(chosen, minlength=4) / size
    return table, chosen, dict(zip(MODES, shares, strict=True))


@pytest.fixture(scope="module")
def everybody():
    return population()


def drawn(everybody, seed, each=400):
    """Draw as many of those who chose each alternative, without looking at anything else."""
    table, chosen, shares = everybody
    rng = np.random.default_rng(seed)
    cases = np.concatenate(
        [rng.choice(np.flatnonzero(chosen == j), each, replace=False) for j in range(4)]
    )
    rows = (cases[:, None] * 4 + np.arange(4)).ravel()
    data = ChoiceData.from_long(table.iloc[rows], "case", "mode", "chosen", alternatives=MODES)
    return data, data.choice_based(shares)


def test_weights_are_population_over_sample_shares(everybody):
    plain, weighted = drawn(everybody, 1)
    shares = everybody[2]
    taken = weighted.chosen_alternative
    want = np.array([shares[m] / 0.25 for m in MODES])[taken]
    np.testing.assert_allclose(weighted.weights, want, rtol=1e-12)
    sums = np.bincount(taken, weights=weighted.weights)
    np.testing.assert_allclose(sums / sums.sum(), list(shares.values()), rtol=1e-12)
    assert weighted.weights.sum() == pytest.approx(plain.n_cases)
    assert plain.weights.tolist() == [1.0] * plain.n_cases


def test_weights_multiply_those_that_cases_have(everybody):
    plain, _ = drawn(everybody, 2)
    table = plain.table.assign(w=np.where(plain.table["z"] > 0, 2.0, 1.0))
    data = ChoiceData.from_long(table, "case", "mode", "chosen", weights="w", alternatives=MODES)
    weighted = data.choice_based(everybody[2])
    sums = np.bincount(weighted.chosen_alternative, weights=weighted.weights)
    np.testing.assert_allclose(sums / sums.sum(), list(everybody[2].values()), rtol=1e-12)
    within = pd.Series(weighted.weights / data.weights).groupby(weighted.chosen_alternative)
    assert within.std().max() < 1e-12


def z_values(result, **more):
    return (result.params - pd.Series(TRUTH | more)[result.params.index]) / result.bse


def test_one_sample_is_biased_without_weights_and_not_with_them(everybody):
    plain, weighted = drawn(everybody, 3, each=2_000)
    naive, result = z_values(fit(MODEL, plain)), z_values(fit(MODEL, weighted))
    assert np.abs(result).max() < 3
    assert np.abs(naive[["(Intercept):bus", "(Intercept):air"]]).min() > 10


def test_without_constants_to_take_it_up_the_slopes_are_biased(everybody):
    plain, weighted = drawn(everybody, 3, each=2_000)
    levels = {m: TRUTH.get(f"(Intercept):{m}", 0.0) for m in MODES}

    def z_values_with_levels(data):
        table = data.table.assign(level=data.table["mode"].astype(str).map(levels))
        model = NestedLogit("cost + level | 0 + z", nests=NESTS, base="car")
        other = ChoiceData.from_long(table, "case", "mode", "chosen", alternatives=MODES)
        other = other if data is plain else other.choice_based(everybody[2])
        return z_values(fit(model, other), level=1.0)

    naive = z_values_with_levels(plain)
    assert naive["level"] < -20
    assert np.abs(z_values_with_levels(weighted)).max() < 3


def test_in_the_multinomial_logit_the_constants_alone_move(everybody):
    # The unweighted estimator is consistent but for constants off by log(H_j / Q_j).
    plain, weighted = drawn(everybody, 4, each=3_000)
    model = MultinomialLogit("cost | z", base="car")
    assert fit(model, plain).converged
    nothing = MultinomialLogit("1", base="car")
    naive, result = fit(nothing, plain).params, fit(nothing, weighted).params
    shares = pd.Series(everybody[2])
    gap = -np.log(shares / shares["car"])
    names = [f"(Intercept):{m}" for m in ("train", "bus", "air")]
    np.testing.assert_allclose((naive - result)[names], gap[["train", "bus", "air"]], atol=1e-8)


def test_the_bootstrap_draws_within_the_alternatives_chosen(everybody):
    _, weighted = drawn(everybody, 5, each=300)
    # The shares are given, so constants alone cannot vary over the resamples.
    nothing = fit(MultinomialLogit("1", base="car"), weighted)
    assert bootstrap(nothing, replications=5).draws.std().max() < 1e-8
    slopes = fit(MultinomialLogit("cost | z", base="car"), weighted)
    ratio = bootstrap(slopes, replications=200, seed=2).draws.std() / slopes.bse
    assert 0.85 < ratio["cost"] < 1.15
    with pytest.raises(SpecificationError, match="joins cases with different choices"):
        bootstrap(slopes, groups=np.arange(1200) % 10)


@pytest.mark.slow
def test_intervals_cover_with_weights_and_not_without(everybody):
    inside, naive = [], []
    for seed in range(200):
        plain, weighted = drawn(everybody, 1_000 + seed)
        inside.append(np.abs(z_values(fit(MODEL, weighted))) < 1.959964)
        naive.append(np.abs(z_values(fit(MODEL, plain))) < 1.959964)
    coverage, unweighted = pd.DataFrame(inside).mean(), pd.DataFrame(naive).mean()
    assert coverage.between(0.90, 0.99).all(), coverage
    # A full set of constants takes up nearly all that the sampling does; they are far off.
    assert (unweighted[["(Intercept):train", "(Intercept):bus", "(Intercept):air"]] < 0.5).all()


def test_the_covariance_takes_the_strata_sizes_as_given(everybody):
    _, weighted = drawn(everybody, 9)
    result = fit(MODEL, weighted)
    raw = specify(MODEL, weighted).contributions(result.theta)
    groups = pd.DataFrame(raw.score_obs).groupby(weighted.chosen_alternative)
    centred = groups.transform(lambda column: column - column.mean()).to_numpy()
    bread = np.linalg.inv(-raw.hessian)
    np.testing.assert_allclose(result.cov_params(), bread @ centred.T @ centred @ bread, rtol=1e-8)
    # Without centring intervals of the constants would cover too often.
    wide = np.sqrt(np.diag(bread @ raw.score_obs.T @ raw.score_obs @ bread))
    air = result.names.index("(Intercept):air")
    assert wide[air] > 1.5 * result.bse["(Intercept):air"]


def test_absorbed_constants_are_weighted_alike(everybody):
    _, weighted = drawn(everybody, 10)
    columns = fit(MODEL, weighted)
    result = fit(replace(MODEL, formula="cost | 0 + z", constants="absorbed"), weighted)
    names = list(result.names)
    np.testing.assert_allclose(result.params, columns.params[names], atol=1e-8)
    np.testing.assert_allclose(result.bse, columns.bse[names], rtol=1e-7)
    table = result.constants_table()
    want = columns.bse[[f"(Intercept):{mode}" for mode in table.index]]
    np.testing.assert_allclose(table["std err"], want, rtol=1e-7)


def test_the_summary_says_what_was_done_and_files_remember(everybody, tmp_path):
    _, weighted = drawn(everybody, 5)
    result = fit(MODEL, weighted)
    assert "drawn by choices and is weighted to the population's shares (WESML)" in str(
        result.summary()
    )
    assert result.cov_type == "robust"
    back = load_result(result.save(tmp_path / "wesml.json"))
    assert back.choice_based
    for kind in ("hessian", "bhhh"):
        with pytest.raises(SpecificationError, match=f"cov='{kind}' does not hold in a sample"):
            result.with_cov(kind)
        with pytest.raises(SpecificationError, match="does not hold"):
            back.with_cov(kind)
        with pytest.raises(SpecificationError, match="does not hold"):
            fit(MODEL, weighted, cov=kind)
    groups = np.arange(weighted.n_cases) // 4
    assert result.with_cov("cluster", groups=groups).cov_type == "cluster"


SHARES = {"train": 0.2, "bus": 0.1, "car": 0.6, "air": 0.1}


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({**SHARES, "boat": 0.1}, "names 'boat', which is no alternative"),
        ({**SHARES, "trains": 0.1}, "mean 'train'"),
        ({"train": 0.3, "car": 0.7}, "no share for 'bus', 'air'"),
        ({**SHARES, "air": 0.0}, "'air' the share 0.0"),
        ({**SHARES, "air": float("nan")}, "'air' the share nan"),
        ({**SHARES, "air": 0.2}, "sum to 1.1"),
    ],
)
def test_shares_that_are_none(everybody, shares, message):
    plain, _ = drawn(everybody, 6, each=10)
    with pytest.raises(DataError, match=message):
        plain.choice_based(shares)


def test_samples_that_cannot_be_weighted(everybody):
    plain, weighted = drawn(everybody, 7, each=10)
    with pytest.raises(DataError, match="weighted to population shares already"):
        weighted.choice_based(SHARES)
    with pytest.raises(DataError, match="needs every case's choice"):
        ChoiceData.from_long(plain.table, "case", "mode").choice_based(SHARES)
    took = plain.table.loc[plain.table["chosen"].eq(1) & plain.table["mode"].eq("air"), "case"]
    rest = plain.table[~plain.table["case"].isin(took)]
    data = ChoiceData.from_long(rest, "case", "mode", "chosen", alternatives=MODES)
    with pytest.raises(DataError, match="nobody in the sample chose 'air', so no weight"):
        data.choice_based(SHARES)


def test_factored_data_are_weighted_alike():
    rng = np.random.default_rng(8)
    places = ["p", "q", "r"]
    people = pd.DataFrame({"home": rng.choice(places, 300), "age": rng.uniform(size=300)})
    took = rng.choice([*places, "stay"], 300)
    people["took"] = np.where(took == people["home"], "stay", took)
    data = ChoiceData.from_factors(
        people,
        pd.DataFrame({"place": places, "wage": rng.normal(size=3)}),
        origin="home",
        alternative="place",
        chosen="took",
    )
    shares = {"stay": 0.9, "p": 0.04, "q": 0.03, "r": 0.03}
    weighted, long = data.choice_based(shares), data.to_long().choice_based(shares)
    np.testing.assert_allclose(weighted.weights, long.weights)
    assert weighted.to_long().population_shares == shares
    model = MultinomialLogit("wage | age", base="stay")
    ours, theirs = fit(model, weighted), fit(model, long)
    np.testing.assert_allclose(ours.bse, theirs.bse, rtol=1e-8)
    assert ours.choice_based
