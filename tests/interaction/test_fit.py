"""Calibration: published values, PPML as the twin, brute force, recovery, refusals."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from choicemodels import FlowData, Gravity, NestflowWarning, load_data
from choicemodels.errors import DataError, EstimationError, SpecificationError
from choicemodels.interaction.inputs import law_inputs
from choicemodels.interaction.laws import conditional
from choicemodels.interaction.models import (
    Binned,
    CompetingDestinations,
    ExtendedRadiation,
    PopulationWeighted,
    Radiation,
    Schneider,
    SpatialInteraction,
    Stouffer,
)
from estimation import fit
from estimation.interaction.hyman import calibrate_mean_cost

WANT = tomllib.loads(
    (Path(__file__).parents[1] / "published/Dennett2012/values.toml").read_text("utf-8")
)
CONSTRAINTS = ["none", "production", "attraction", "doubly"]


@pytest.mark.parametrize("constraint", ["production", "attraction", "doubly"])
def test_austria_exponential(austria, masses, constraint):
    result = fit(SpatialInteraction(constraint=constraint, **masses), austria)
    want = WANT[f"{constraint}_exponential"]["distance"]
    assert result.params["distance"] == pytest.approx(want, abs=5e-9)


def test_austria_unconstrained(austria, masses):
    result = fit(SpatialInteraction(constraint="none", **masses), austria)
    assert result.params["distance"] == pytest.approx(-0.00620545, abs=5e-9)
    assert result.deviance == pytest.approx(WANT["unconstrained_exponential"]["deviance"], rel=1e-8)


def test_austria_power(austria):
    result = fit(SpatialInteraction(deterrence="power"), austria, ssc="none")
    want = WANT["doubly_power"]
    assert result.params["log(distance)"] == pytest.approx(want["log_distance"], abs=5e-9)
    assert result.bse["log(distance)"] == pytest.approx(want["hc0"], abs=5e-9)


def test_canada_power():
    want = tomllib.loads(
        (Path(__file__).parents[1] / "published/FoxWeisberg2019/values.toml").read_text("utf-8")
    )["source_and_destination"]
    data = FlowData(load_data("canada_migration"), "source", "destination", "migrants")
    result = fit(SpatialInteraction(deterrence="power"), data)
    assert result.params["log(distance)"] == pytest.approx(want["log_distance"], abs=5e-7)


TWINS = {
    "none": "log(origin_mass) + log(destination_mass) + {}",
    "production": "log(destination_mass) + {} | origin",
    "attraction": "log(origin_mass) + {} | destination",
    "doubly": "{} | origin + destination",
}


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize(
    ("deterrence", "terms"),
    [
        ("power", "log(distance)"),
        ("exponential", "distance"),
        ("tanner", "log(distance) + distance"),
        (Binned([100, 200, 300]), "near + far + farther"),
    ],
)
def test_ppml_is_the_same_model(austria, masses, constraint, deterrence, terms):
    c = austria.table["distance"]
    bands = {
        "near": (c >= 100) & (c < 200),
        "far": (c >= 200) & (c < 300),
        "farther": c >= 300,
    }
    data = FlowData(
        austria.table.assign(**{k: v.astype(float) for k, v in bands.items()}),
        "origin", "destination", "flow",
    )  # fmt: skip
    model = SpatialInteraction(deterrence=deterrence, constraint=constraint, **masses)
    mine = fit(model, data)
    twin = fit(Gravity(TWINS[constraint].format(terms)), data, tol=1e-12)
    np.testing.assert_allclose(mine.estimate, twin.estimate, rtol=1e-9)
    for kind, groups in (("robust", None), ("hessian", None), ("cluster", "origin")):
        a, b = (r.with_cov(kind, groups=groups) for r in (mine, twin))
        np.testing.assert_allclose(a.bse, b.bse, rtol=1e-9)
    assert mine.llf == pytest.approx(twin.llf, rel=1e-12)
    assert mine.df_model == twin.df_model
    assert mine.bic == pytest.approx(twin.bic, rel=1e-12)
    np.testing.assert_allclose(mine.predict(), twin.predict(), rtol=1e-8)


def test_bands_have_names_to_read(austria):
    result = fit(SpatialInteraction(deterrence=Binned([100, 250.5])), austria)
    assert result.names == ("distance [100, 250.5)", "distance >= 250.5")


def test_masses_with_unit_exponents(austria, masses):
    model = SpatialInteraction(constraint="none", masses="unit", **masses)
    twin = Gravity("distance", offset="log(origin_mass) + log(destination_mass)")
    want = fit(twin, austria, tol=1e-12).estimate
    assert fit(model, austria).estimate == pytest.approx(want, rel=1e-9)


def matrices(result, data):
    return result.to_matrix().to_numpy(), data.to_matrix().to_numpy()


MODELS = [
    SpatialInteraction,
    CompetingDestinations,
    Stouffer,
    Schneider,
    Radiation,
    PopulationWeighted,
]


@pytest.mark.filterwarnings("ignore:.*where the law gives none:choicemodels.NestflowWarning")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_margins_are_met(austria, masses, model, constraint):
    result = fit(model(constraint=constraint, **masses), austria)
    mu, y = matrices(result, austria)
    assert np.nansum(mu) == pytest.approx(np.nansum(y), rel=1e-10)
    if result.model.constrains_origins:
        np.testing.assert_allclose(np.nansum(mu, axis=1), np.nansum(y, axis=1), rtol=1e-10)
    if result.model.constrains_destinations:
        np.testing.assert_allclose(np.nansum(mu, axis=0), np.nansum(y, axis=0), rtol=1e-10)


def test_balancing_factors_rebuild_the_flows(austria):
    result = fit(SpatialInteraction(), austria)
    factors = result.balancing_factors()
    y, c = austria.to_matrix(), austria.table.pivot(
        index="origin", columns="destination", values="distance"
    )  # fmt: skip
    A, B = factors["A"], factors["B"]
    out, D = y.sum(axis=1), y.sum()
    rebuilt = np.outer(A * out, B * D) * np.exp(result.params["distance"] * c)
    np.testing.assert_allclose(rebuilt, result.to_matrix(), rtol=1e-10)
    # Wilson's own equation for A, with B given.
    np.testing.assert_allclose(
        1 / A, (B * D * np.exp(result.params["distance"] * c)).sum(axis=1), rtol=1e-10
    )
    assert np.log(B * D).mean() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("model", [Schneider, Radiation])
def test_balancing_factors_of_a_law(austria, masses, model):
    result = fit(model(**masses), austria)
    factors = result.balancing_factors()
    at = law_inputs(austria, "distance", **masses, ties="within")
    theta = result.params.get("gamma", np.nan)
    f = at.origin_mass * np.exp(conditional(result.model.law(theta, at), at.origin).log)
    y = [austria.table.groupby(side)["flow"].sum() for side in ("origin", "destination")]
    level = (factors["A"] * y[0])[austria.table["origin"]].to_numpy()
    level = level * (factors["B"] * y[1])[austria.table["destination"]].to_numpy()
    np.testing.assert_allclose(level * f, result.mu, rtol=1e-10)


def test_production_constraint_has_one_factor(austria, masses):
    result = fit(SpatialInteraction(constraint="production", **masses), austria)
    assert list(result.balancing_factors()) == ["A"]


def test_an_unconstrained_model_has_no_factors(austria, masses):
    result = fit(SpatialInteraction(constraint="none", **masses), austria)
    with pytest.raises(SpecificationError, match="no balancing factors"):
        result.balancing_factors()


@pytest.mark.parametrize("deterrence", ["exponential", "power"])
def test_hyman_agrees_with_maximum_likelihood(austria, deterrence):
    ml = fit(SpatialInteraction(deterrence=deterrence), austria)
    c = austria.table.pivot(index="origin", columns="destination", values="distance")
    y = austria.to_matrix()
    x = np.log(c) if deterrence == "power" else c
    mean = np.nansum(y * x) / np.nansum(y)
    found = calibrate_mean_cost(c, y.sum(axis=1), y.sum(), mean, deterrence=deterrence)
    assert found.coefficient == pytest.approx(ml.estimate[0], rel=1e-9)
    assert found.mean_cost == pytest.approx(mean, rel=1e-10)
    mu = ml.to_matrix().to_numpy()
    np.testing.assert_allclose(found.flows.matrix, np.nan_to_num(mu), rtol=1e-8)
    assert found.record["coefficient"].iloc[-1] == found.coefficient


@pytest.mark.parametrize(
    ("cost", "mean", "deterrence", "error", "message"),
    [
        ([[1, 2], [2, 1]], 5.0, "exponential", DataError, "every trip costs between 1 and 2"),
        ([[0, 2], [2, 1]], 0.5, "power", DataError, r"for a power law\) zero"),
        ([[1, 2], [2, 1]], 0.5, "tanner", SpecificationError, "has one coefficient"),
        # Equal costs along rows and columns leave the mean where it is.
        ([[1, 2], [1, 2]], 1.2, "exponential", EstimationError, "did not reach"),
    ],
)
def test_hyman_refuses(cost, mean, deterrence, error, message):
    with pytest.raises(error, match=message):
        calibrate_mean_cost(cost, [1, 1], [1, 1], mean, deterrence=deterrence)


def test_hyman_refuses_margins_in_another_order():
    cost = pd.DataFrame([[1.0, 2.0], [3.0, 1.0]], index=["a", "b"], columns=["a", "b"])
    margin = pd.Series([4.0, 6.0], ["b", "a"])
    with pytest.raises(DataError, match="the row totals are labelled b, a, but the rows of the c"):
        calibrate_mean_cost(cost, margin, margin[["a", "b"]], 1.5)
    with pytest.raises(DataError, match="the column totals are labelled b, a"):
        calibrate_mean_cost(cost, margin[["a", "b"]], margin, 1.5)


LAWS = [(Stouffer, 1.1), (Schneider, 6e-4), (ExtendedRadiation, 0.9)]


def simulate(model, theta, places, make_flows, seed=5, trips=40_000):
    """Draw flows from a law, two places tied to nobody."""
    table = places[places["origin"] != places["destination"]]
    blank = FlowData(table.assign(flow=1.0), "origin", "destination", "flow")
    at = law_inputs(blank, "distance", "origin_mass", "destination_mass", "within")
    mu = at.origin_mass * np.exp(conditional(model.law(theta, at), at.origin).log)
    return make_flows(table, trips * mu / mu.sum(), seed)


@pytest.mark.parametrize(("model", "theta"), LAWS)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_laws_recover_their_parameter(places, masses, make_flows, model, theta, constraint):
    spec = model(constraint=constraint, **masses)
    result = fit(spec, simulate(spec, theta, places, make_flows), cov="hessian", ssc="none")
    name = spec.parameter
    assert result.converged
    assert abs(result.params[name] - theta) < 4 * result.bse[name]
    assert result.bse[name] < 0.1 * theta


@pytest.mark.parametrize(("model", "theta"), LAWS)
def test_the_multinomial_likelihood_of_trips_by_origin(places, masses, make_flows, model, theta):
    spec = model(constraint="production", **masses)
    data = simulate(spec, theta, places, make_flows)
    at = law_inputs(data, "distance", **masses, ties="within")

    def loglike(t):
        return (data.y * conditional(spec.law(t, at), at.origin).log).sum()

    best = optimize.minimize_scalar(
        lambda t: -loglike(t), bounds=(0.3 * theta, 3 * theta), method="bounded",
        options={"xatol": 1e-12},
    ).x  # fmt: skip
    result = fit(spec, data, cov="hessian", ssc="none")
    assert result.estimate[0] == pytest.approx(best, rel=1e-6)
    h = 1e-3 * best
    curvature = (loglike(best + h) - 2 * loglike(best) + loglike(best - h)) / h**2
    assert result.bse.iloc[0] == pytest.approx((-curvature) ** -0.5, rel=1e-5)
    # The robust variance, by scores of single pairs with the origins' totals concentrated out.
    p = np.exp(conditional(spec.law(best, at), at.origin).log)
    mu = p * np.bincount(at.origin, data.y)[at.origin]
    score = (data.y - mu) * conditional(spec.law(best, at), at.origin).first
    robust = np.sqrt((score**2).sum()) / -curvature
    assert result.with_cov("robust").bse.iloc[0] == pytest.approx(robust, rel=1e-5)


@pytest.mark.parametrize(("model", "theta"), LAWS)
def test_the_doubly_constrained_likelihood_by_brute_force(places, masses, make_flows, model, theta):
    """All effects and the law's parameter together, by a general optimiser."""
    spec = model(constraint="doubly", **masses)
    some = places[places["origin"].le("P05") & places["destination"].le("P05")]
    data = simulate(spec, theta, some, make_flows, trips=20_000)
    at = law_inputs(data, "distance", **masses, ties="within")

    def negative(x):
        at_x = theta * np.exp(x[0])
        log = conditional(spec.law(at_x, at), at.origin).log
        eta = np.log(at.origin_mass) + log + x[1:7][at.origin] + np.append(0, x[7:])[at.destination]
        mu = np.exp(eta)
        slope = mu - data.y
        by = [np.bincount(c, slope, minlength=6) for c in (at.origin, at.destination)]
        first = at_x * conditional(spec.law(at_x, at), at.origin).first
        return -(data.y * eta - mu).sum(), np.r_[(slope * first).sum(), by[0], by[1][1:]]

    start = np.r_[0.0, np.full(6, np.log(data.y.sum() / at.origin_mass.sum())), np.zeros(5)]
    found = optimize.minimize(
        negative, start, jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 2000}
    )
    result = fit(spec, data, cov="hessian", ssc="none")
    best = theta * np.exp(found.x[0])
    assert result.estimate[0] == pytest.approx(best, rel=1e-6)
    K, h = len(found.x), 1e-5
    H = np.array(
        [(negative(found.x + h * e)[1] - negative(found.x - h * e)[1]) / (2 * h) for e in np.eye(K)]
    )
    se = best * np.sqrt(np.linalg.inv(0.5 * (H + H.T))[0, 0])
    assert result.bse.iloc[0] == pytest.approx(se, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "theta"), LAWS)
@pytest.mark.parametrize("constraint", ["production", "doubly"])
def test_standard_errors_of_laws_cover(places, masses, make_flows, model, theta, constraint):
    spec, few = model(constraint=constraint, **masses), places[places["origin"].le("P08")]
    few = few[few["destination"].le("P08")]
    estimates, errors = [], []
    for seed in range(150):
        data = simulate(spec, theta, few, make_flows, seed=seed, trips=3_000)
        result = fit(spec, data, cov="hessian", ssc="none")
        estimates.append(result.estimate[0])
        errors.append(result.bse.iloc[0])
    z = (np.array(estimates) - theta) / np.array(errors)
    # 150 draws: the mean of z has a standard error of 0.08, its spread one of 0.06.
    assert abs(z.mean()) < 0.3
    assert z.std() == pytest.approx(1, abs=0.2)
    assert (np.abs(z) < 1.96).mean() == pytest.approx(0.95, abs=0.05)


def test_competition_is_recovered(places, make_flows, masses):
    table = places[places["origin"] != places["destination"]]
    blank = FlowData(table.assign(flow=1.0), "origin", "destination", "flow")
    model = CompetingDestinations(constraint="production", deterrence="power", **masses)
    from choicemodels.interaction.inputs import accessibility

    A = accessibility(blank, "distance", "destination_mass", 1.0)
    mu = table["destination_mass"] * table["distance"] ** -1.2 * A**-0.8
    data = make_flows(table, 40_000 * mu / mu.sum())
    result = fit(model, data, cov="hessian", ssc="none")
    want = {"log(destination_mass)": 1.0, "log(distance)": -1.2, "log(accessibility)": -0.8}
    assert set(result.names) == set(want)
    for name, value in want.items():
        assert abs(result.params[name] - value) < 4 * result.bse[name]


def test_intrazonal_rows_have_no_law_and_are_left_out(places, masses):
    data = FlowData(places.assign(flow=5.0), "origin", "destination", "flow")
    result = fit(Radiation(**masses), data)
    within = places["origin"] == places["destination"]
    np.testing.assert_array_equal(result.rows, np.flatnonzero(~within))
    assert result.nobs == len(places) - 12


@pytest.mark.parametrize("model", [Schneider, Radiation, SpatialInteraction])
def test_destinations_need_not_be_origins(places, masses, make_flows, model):
    homes = places["origin"].le("P04")
    shops = places["destination"].ge("P03")
    table = places[homes & shops & (places["origin"] != places["destination"])]
    data = make_flows(table, 10 * table["destination_mass"] / (table["distance"] + 5))
    result = fit(model(constraint="production", **masses), data)
    mu = result.to_matrix()
    assert mu.shape == (5, 9)
    np.testing.assert_allclose(mu.sum(axis=1), data.to_matrix().sum(axis=1), rtol=1e-10)
    if model is Radiation:
        one = table[table["origin"] == "P00"].sort_values("distance")
        n, m = one["destination_mass"].to_numpy(), one["origin_mass"].iloc[0]
        c = one["distance"].to_numpy()
        s = np.array([n[c <= x].sum() for x in c]) - n
        p = n / (m + s) / (m + s + n)
        want = pd.Series(p / p.sum() * mu.loc["P00"].sum(), index=one["destination"])
        np.testing.assert_allclose(mu.loc["P00", want.index], want, rtol=1e-10)


def test_groups_by_the_name_of_a_column(places, masses, make_flows):
    spec = Schneider(**masses)
    data = simulate(spec, 6e-4, places, make_flows)
    clustered = fit(spec, data, cov="cluster", groups="origin")
    assert clustered.covariance.group_counts == (12,)
    assert clustered.bse["gamma"] != fit(spec, data).bse["gamma"]
    assert "by origin" in str(clustered.summary())


def test_an_origin_without_outflow_gets_none_and_is_named(austria, masses):
    table = austria.table.copy()
    table.loc[table["origin"] == "AT22", "flow"] = 0.0
    data = FlowData(table, "origin", "destination", "flow")
    for model in (SpatialInteraction(), Schneider(**masses)):
        with pytest.warns(NestflowWarning, match=r"no flow out of 1 places \(AT22\)"):
            result = fit(model, data)
        assert (result.to_matrix().loc["AT22"].dropna() == 0).all()
        without = FlowData(table[table["origin"] != "AT22"], "origin", "destination", "flow")
        if isinstance(model, SpatialInteraction):
            assert result.estimate == pytest.approx(fit(model, without).estimate, rel=1e-9)


def test_a_zero_distance_under_a_power_law(places):
    data = FlowData(places.assign(flow=1.0), "origin", "destination", "flow")
    first = np.flatnonzero(places["distance"] == 0)[0]
    label = places["origin"].iloc[first]
    for deterrence in ("power", "tanner"):
        with pytest.raises(DataError, match=rf"zero in 12 rows.*{label} → {label}.*internal dist"):
            fit(SpatialInteraction(deterrence=deterrence), data)


def test_missing_costs(austria):
    table = austria.table.copy()
    table.loc[7, "distance"] = np.nan
    with pytest.raises(DataError, match=r"missing, not finite or negative in 1 rows \(rows 7; "):
        fit(SpatialInteraction(), FlowData(table, "origin", "destination", "flow"))


def test_negative_masses(austria, masses):
    table = austria.table.assign(origin_mass=-1.0)
    with pytest.raises(DataError, match="'origin_mass' is not a number above zero"):
        fit(SpatialInteraction(constraint="none", **masses), FlowData(
            table, "origin", "destination", "flow"))  # fmt: skip


def test_the_page_of_a_law_without_parameters(austria, masses):
    page = str(fit(Radiation(**masses), austria).summary())
    assert "nothing estimated" in page
    assert "DataFrame" not in page
    assert "gamma" in str(fit(Schneider(**masses), austria).summary())


def test_several_periods(austria):
    table = pd.concat([austria.table.assign(year=y) for y in (2006, 2007)])
    data = FlowData(table, "origin", "destination", "flow", time="year")
    with pytest.raises(DataError, match="several periods"):
        fit(SpatialInteraction(), data)


def test_flows_that_do_not_follow_a_law(austria, masses):
    with pytest.raises(EstimationError, match="lower end of the range"):
        fit(ExtendedRadiation(**masses), austria)


def test_no_flow_between_places(austria, masses):
    data = FlowData(austria.table.assign(flow=0.0), "origin", "destination", "flow")
    with pytest.raises(DataError, match="there is nothing to explain"):
        fit(Radiation(**masses), data)


def test_flows_that_a_law_excludes_are_counted(austria, masses):
    with pytest.warns(NestflowWarning, match="9 flows were observed where the law gives none"):
        result = fit(PopulationWeighted(**masses), austria)
    assert result.deviance == np.inf
    assert result.llf == -np.inf
    assert np.isfinite(result.residuals("response")).all()
    with pytest.raises(EstimationError, match="9 flows were observed where the model gives none"):
        result.residuals()


def test_residuals(austria):
    result = fit(SpatialInteraction(), austria)
    assert (result.residuals("deviance") ** 2).sum() == pytest.approx(result.deviance, rel=1e-10)
    y, mu = austria.y, result.predict().to_numpy()
    np.testing.assert_allclose(result.residuals(), (y - mu) / np.sqrt(mu))
    with pytest.raises(SpecificationError, match="'raw' is unknown"):
        result.residuals("raw")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SpatialInteraction(deterrence="cubic"), "'cubic' is unknown"),
        (lambda: SpatialInteraction(constraint="double"), "did you mean 'doubly'"),
        (lambda: SpatialInteraction(masses="two"), "choose 'free' or 'unit'"),
        (lambda: SpatialInteraction(cost=""), "cost= is empty"),
        (lambda: SpatialInteraction(constraint="production"), "needs destination_mass="),
        (lambda: CompetingDestinations(), "needs destination_mass="),
        (lambda: CompetingDestinations(destination_mass="m", decay=np.nan), "decay is nan"),
        (lambda: Radiation(origin_mass="m"), "needs destination_mass="),
        (lambda: Radiation(origin_mass="m", destination_mass="m", ties="all"), "ties='all'"),
        (lambda: Binned([]), "ascending"),
        (lambda: Binned(100), "the edges of Binned are 100; give finite numbers in ascending"),
        (lambda: Binned(["near"]), "ascending"),
        (lambda: Binned([2, 1]), "ascending"),
        (lambda: Binned([1, np.inf]), "ascending"),
    ],
)
def test_specifications_that_cannot_be(build, message):
    with pytest.raises(SpecificationError, match=message):
        build()


def test_a_specification_changes_its_constraint(masses):
    model = replace(Radiation(**masses), constraint="production")
    assert model.constrains_origins
    assert not model.constrains_destinations


def test_a_derived_column_never_hides_the_users(austria, masses):
    data = FlowData(austria.table.assign(accessibility=1.0), "origin", "destination", "flow")
    with pytest.raises(DataError, match="has a column 'accessibility'"):
        fit(CompetingDestinations(**masses), data)


def test_a_law_without_parameters_has_no_groups(austria, masses):
    with pytest.raises(SpecificationError, match="estimates nothing"):
        fit(Radiation(**masses), austria, cov="cluster", groups="origin")


def test_names_with_spaces(austria):
    table = austria.table.rename(columns={"distance": "road km", "origin": "from place"})
    data = FlowData(table, "from place", "destination", "flow")
    result = fit(SpatialInteraction(deterrence="tanner", cost="road km"), data)
    plain = fit(SpatialInteraction(deterrence="tanner"), austria)
    np.testing.assert_allclose(result.estimate, plain.estimate, rtol=1e-12)
    assert result.names == ("log(road km)", "road km")
