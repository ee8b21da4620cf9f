"""Constants that meet given shares."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.choices.scenario_data import drop_alternatives, keep_cases
from choicemodels.errors import EstimationError, SpecificationError
from choicemodels.specify import specify
from choicemodels.utility import product
from estimation import fit, load_result
from estimation.choice.calibration import calibrate
from estimation.fixed_point import anderson

SHARES = {"car": 0.55, "train": 0.35, "air": 0.1}


@pytest.fixture(scope="module")
def canada(mode_canada):
    return fit(MultinomialLogit("cost + freq | income | time"), mode_canada, cov="hessian")


def predicted(result, data, groups=None):
    P = result.predict(data)
    names = data.alternatives
    by = [P[data.alternative_name]] if groups is None else [groups, P[data.alternative_name]]
    weights = pd.Series(np.repeat(data.weights, data.set_sizes))
    sums = (P["probability"] * weights).groupby(by).sum()
    if groups is None:
        return (sums / data.weights.sum()).loc[list(names)]
    return sums / weights.groupby(groups).sum() * data.set_sizes[0]


def test_shares_of_a_multinomial_logit(canada, mode_canada):
    found = calibrate(canada, SHARES)
    assert predicted(found, mode_canada).to_dict() == pytest.approx(SHARES, abs=1e-10)
    pd.testing.assert_series_equal(found.params, canada.params)
    pd.testing.assert_series_equal(found.bse, canada.bse)
    assert found.llf == canada.llf
    note = found.notes[-1]
    assert "car 0.55 (+0.0000)" in note
    assert "train 0.35 (+" in note
    assert not canada.notes
    # The ratios of probabilities move by the shift alone.
    old, new = (
        r.predict().pivot(index="case", columns="alt", values="probability")
        for r in (canada, found)
    )
    shift = np.log(new["air"] / new["car"]) - np.log(old["air"] / old["car"])
    np.testing.assert_allclose(shift, shift.iloc[0], rtol=1e-9)
    assert f"air 0.1 ({shift.iloc[0]:+.4f})" in note


def test_observed_shares_ask_for_no_shift(canada, mode_canada):
    observed = mode_canada.describe().alternatives["share"].to_dict()
    found = calibrate(canada, observed)
    np.testing.assert_allclose(found.constants, 0, atol=1e-9)


def test_a_second_calibration_starts_where_the_first_one_ended(canada, mode_canada):
    twice = calibrate(calibrate(canada, {"train": 0.3}), SHARES)
    once = calibrate(canada, SHARES)
    np.testing.assert_allclose(twice.constants, once.constants, atol=1e-9)


def test_some_shares_leave_the_others_in_proportion(canada, mode_canada):
    found = calibrate(canada, {"train": 0.3})
    shares = predicted(found, mode_canada)
    assert shares["train"] == pytest.approx(0.3, abs=1e-10)
    old, new = (
        r.predict().pivot(index="case", columns="alt", values="probability")
        for r in (canada, found)
    )
    np.testing.assert_allclose(new["air"] / new["car"], old["air"] / old["car"], rtol=1e-12)


def test_weights_and_a_model_without_constants(mode_canada):
    weights = 1.0 + np.arange(mode_canada.n_cases) % 3
    table = mode_canada.table.assign(w=np.repeat(weights, 3))
    data = ChoiceData.from_long(
        table, "case", "alt", "choice", weights="w", alternatives=mode_canada.alternatives
    )
    result = fit(MultinomialLogit("cost + freq | 0 | time"), data)
    found = calibrate(result, SHARES)
    assert predicted(found, data).to_dict() == pytest.approx(SHARES, abs=1e-10)


@pytest.mark.parametrize("lam", [0.9, 0.3, 0.05])
def test_shares_of_a_nested_logit(mode_canada, lam):
    """Small lambdas make plain contraction overshoot."""
    model = NestedLogit(
        "cost + freq | income | time", {"public": ["train", "air"]}, lambdas={"public": lam}
    )
    result = fit(model, mode_canada)
    found = calibrate(result, SHARES)
    assert predicted(found, mode_canada).to_dict() == pytest.approx(SHARES, abs=1e-10)


def test_hundreds_of_alternatives_in_nests():
    rng = np.random.default_rng(8)
    cases, J = 60, 150
    table = pd.DataFrame(
        {
            "case": np.repeat(np.arange(cases), J),
            "place": np.tile([f"p{j}" for j in range(J)], cases),
            "x": rng.normal(size=cases * J),
        }
    )
    names = [f"p{j}" for j in range(J)]
    table["chosen"] = rng.multinomial(1, np.full(J, 1 / J), cases).ravel()
    data = ChoiceData.from_long(table, "case", "place", "chosen", alternatives=names)
    nests = {f"region {r}": names[r::5] for r in range(5)}
    result = fit(NestedLogit("x | 0", nests, lambdas=dict.fromkeys(nests, 0.4)), data)
    target = rng.dirichlet(np.full(J, 0.5)) + 1e-5
    target = dict(zip(names, target / target.sum(), strict=True))
    found = calibrate(result, target)
    P = found.predict().groupby("place")["probability"].sum() / cases
    assert P.to_dict() == pytest.approx(target, abs=1e-10)


def test_shares_by_segment(canada, mode_canada):
    wanted = {0: SHARES, 2: {"air": 0.5}}
    found = calibrate(canada, wanted, by="urban")
    urban = pd.Series(mode_canada.table["urban"], name="urban")
    shares, old = (predicted(r, mode_canada, urban) for r in (found, canada))
    assert shares[0].to_dict() == pytest.approx(SHARES, abs=1e-10)
    assert shares[2]["air"] == pytest.approx(0.5, abs=1e-10)
    pd.testing.assert_series_equal(shares[1], old[1])
    pd.testing.assert_series_equal(found.params, canada.params)
    pd.testing.assert_series_equal(found.with_cov("robust").bse, canada.with_cov("robust").bse)
    assert "shift:air:urban=2" in found.parameters.names
    assert "where urban is 0" in found.notes[-1]
    assert found.df_model == canada.df_model


def test_segments_of_text(travel_mode):
    party = np.where(travel_mode.table["psize"] > 1, "many", "one")
    table = travel_mode.table.assign(party=party)
    data = ChoiceData.from_long(table, "individual", "mode", "choice")
    model = NestedLogit("gc + ttme", {"ground": ["train", "bus", "car"]}, base="car")
    result = fit(model, data)
    found = calibrate(result, {"many": {"train": 0.4}}, by="party")
    shares = predicted(found, data, pd.Series(party, name="party"))
    assert shares["many", "train"] == pytest.approx(0.4, abs=1e-10)
    # The lambda keeps its place behind the constants that were put in.
    assert found.params["lambda:ground"] == result.params["lambda:ground"]
    assert found.lambdas["ground"] == result.lambdas["ground"]
    assert found.theta[-1] == result.theta[-1]


def test_a_calibrated_result_survives_a_file(canada, mode_canada, tmp_path):
    for found in (calibrate(canada, SHARES), calibrate(canada, {0: SHARES}, by="urban")):
        back = load_result(found.save(tmp_path / "result.json"))
        pd.testing.assert_frame_equal(back.predict(mode_canada), found.predict(mode_canada))
        assert str(back.summary()) == str(found.summary())
        assert "Constants were shifted" in str(back.summary())


def test_other_families_move_their_estimated_constants(mode_canada):
    from choicemodels import CrossNestedLogit

    model = CrossNestedLogit(
        "cost + freq + time",
        {"ground": ["car", "train"], "public": ["train", "air"]},
        lambdas={"ground": 0.8, "public": 0.7},
        allocations={"train": {"ground": 0.5, "public": 0.5}},
    )
    some = keep_cases(mode_canada, np.arange(0, mode_canada.n_cases, 5))
    result = fit(model, some)
    found = calibrate(result, SHARES)
    assert predicted(found, some).to_dict() == pytest.approx(SHARES, abs=1e-10)
    moved = found.params - result.params
    assert set(moved.index[moved != 0]) == {"(Intercept):train", "(Intercept):air"}
    bare = fit(model.__class__(**{**vars(model), "formula": "cost + freq + time | 0"}), some)
    with pytest.raises(SpecificationError, match=r"has no constant of car, train, air to move"):
        calibrate(bare, SHARES)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({}, "no share is given"),
        ({"trane": 0.2}, "did you mean 'train'"),
        ({"train": 0.0}, "share of 'train' is 0; it must lie above 0"),
        ({"train": 1.0}, "and below 1"),
        ({"train": 20.0}, "and below 1"),
        ({"train": 0.6, "air": 0.4}, "sum to 1, which leaves nothing"),
        ({"train": 0.6, "air": 0.2, "car": 0.1}, "sum to 0.9, not 1"),
    ],
)
def test_mistakes(canada, shares, message):
    with pytest.raises(SpecificationError, match=message):
        calibrate(canada, shares)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({7: SHARES}, "'7' is no group of 'urban'"),
        ({0: 0.5}, "the shares of the group '0' are 0.5"),
        ({0: {"bus": 0.5}}, "shares of 0 name the alternative 'bus'"),
    ],
)
def test_mistakes_about_segments(canada, shares, message):
    with pytest.raises(SpecificationError, match=message):
        calibrate(canada, shares, by="urban")


def test_a_share_that_too_few_could_choose(canada, mode_canada):
    data = drop_alternatives(mode_canada, "air", where="urban == 1")
    most = 1 - (mode_canada.table["urban"].to_numpy()[::3] == 1).mean()
    with pytest.raises(SpecificationError, match=rf"below {most:g}, the share of the cases that"):
        calibrate(canada, {"air": 0.9}, data)
    found = calibrate(canada, {"air": 0.4}, data)
    assert predicted(found, data)["air"] == pytest.approx(0.4, abs=1e-10)


def test_shares_that_cannot_go_together(canada, mode_canada):
    """Half may fly and half may take the train, and the same half: no constants give both."""
    data = drop_alternatives(mode_canada, ["air", "train"], where="urban == 1")
    with pytest.raises(EstimationError, match=r"no constants that give these shares were found"):
        calibrate(canada, {"air": 0.45, "train": 0.45}, data)


def test_a_fixed_point_that_overshoots():
    """A map of slope -3 takes damping; mixing finds it, and a hopeless one is refused."""
    A = np.diag([4.0, 2.5, 0.3])

    def gap(x):
        return np.array([1.0, 2.0, 3.0]) - A @ x - 0.01 * x**3

    x = anderson(gap, np.zeros(3), lambda r: float(np.abs(r).max()), 1e-12)
    assert np.abs(gap(x)).max() < 1e-12
    with pytest.raises(EstimationError, match=r"the gap came down to 1, and 1e-12 was asked for"):
        anderson(lambda x: 1 + x**2, np.zeros(1), lambda r: float(np.abs(r).max()), 1e-12)


def test_the_shifts_stand_beside_the_constants(canada, mode_canada):
    """Constants moved by hand give the same probabilities, and so do the terms of the utility."""
    found = calibrate(canada, SHARES)
    layout, theta = canada.parameters, canada.theta.copy()
    assert found.constants["car"] == 0
    for name in ("train", "air"):
        theta[layout.names.index(f"(Intercept):{name}")] += found.constants[name]
    P, _ = specify(canada.model, mode_canada).probabilities(theta)
    np.testing.assert_allclose(found.predict()["probability"], P, rtol=1e-12)
    V = np.zeros(len(mode_canada.table))
    names = np.array(mode_canada.alternatives)[mode_canada.alternative]
    for term in found.utility_terms():
        rows = np.ones(len(V), bool) if term.alternatives is None else names == term.alternatives[0]
        V += rows * term.coefficient * product(term.factors, mode_canada.table)
    e = np.exp(V).reshape(-1, 3)
    np.testing.assert_allclose((e / e.sum(axis=1, keepdims=True)).ravel(), P, rtol=1e-10)


def test_segments_calibrated_twice(canada, mode_canada):
    once = calibrate(canada, {0: SHARES}, by="urban")
    twice = calibrate(calibrate(canada, {0: {"train": 0.2}}, by="urban"), {0: SHARES}, by="urban")
    np.testing.assert_allclose(
        twice.predict()["probability"], once.predict()["probability"], rtol=1e-9
    )
    assert len(set(twice.parameters.names)) == len(twice.parameters.names)


def test_absorbed_constants_are_shifted_themselves(mode_canada):
    explicit = fit(MultinomialLogit("cost + freq | 1 | time"), mode_canada)
    absorbed = fit(MultinomialLogit("cost + freq | 0 | time", constants="absorbed"), mode_canada)
    one, other = (calibrate(result, SHARES) for result in (explicit, absorbed))
    np.testing.assert_allclose(
        one.predict()["probability"], other.predict()["probability"], rtol=1e-6
    )
    moved = other.constants - absorbed.constants
    np.testing.assert_allclose(moved, one.constants, atol=1e-6)
