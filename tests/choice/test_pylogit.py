"""pylogit's front door, held to what pylogit 1.0.1 itself answered."""

import re
import runpy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit

from choicemodels import ChoiceData, MultinomialLogit, NestedLogit
from choicemodels.errors import (
    DataError,
    EstimationError,
    IdentificationError,
    NestflowError,
    NestflowWarning,
    SpecificationError,
)
from choicemodels.specify import specify
from estimation import fit
from estimation.newton import maximize
from estimation.pylogit import create_choice_model
from estimation.pylogit.estimates import in_log_odds

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests" / "published" / "pylogit_1_0_1"
SCRIPT = runpy.run_path(str(HERE / "make_values.py"))

MNL = ("mnl_swissmetro", "mnl_travel")
NESTED = ("nested_swissmetro", "nested_travel", "nested_heating")
HELD = ("mnl_travel_held", "nested_travel_held")


@cache
def published(file, model):
    frame = pd.read_csv(HERE / f"{file}.csv")
    return frame[frame["model"] == model]


def published_fit(name):
    return published("fit", name).iloc[0]


def published_estimates(name):
    return published("estimates", name).set_index("parameter")


@cache
def table_of(name):
    return SCRIPT["MODELS"][name][0]()


def specified(name, **other):
    _, columns, model_type, arguments, _ = SCRIPT["MODELS"][name]
    given = {"data": table_of(name), "model_type": model_type, **columns, **arguments}
    return create_choice_model(**{**given, **other})


@cache
def fitted(name):
    model = specified(name)
    model.fit_mle(**SCRIPT["MODELS"][name][4])
    return model


def in_reach(model, name):
    """Take a Newton step from pylogit's estimate, which lies where its optimizer stopped."""
    want = published_estimates(name)
    result = model.result.with_cov("hessian")
    there = in_log_odds(result, model.parameters, len(model.nest_names or ()), want["estimate"])
    free = there.bse.notna()
    inverse = there.cov_params().loc[free, free]
    step = (inverse @ want["gradient"][free]).reindex(want.index, fill_value=0)
    return want["estimate"] + step


@pytest.mark.parametrize("name", [*MNL, *NESTED, *HELD])
def test_pylogit_finds_the_same_estimates(name):
    model, want = fitted(name), published_fit(name)
    assert list(model.params.index) == list(published_estimates(name).index)
    assert model.nobs == want["nobs"]
    assert model.llf == pytest.approx(want["log_likelihood"], rel=1e-13)
    # What is left after the step is where our own search stops, a billionth of a standard error.
    assert model.params.to_numpy() == pytest.approx(in_reach(model, name).to_numpy(), abs=4e-9)


@pytest.mark.parametrize("name", [*MNL, *NESTED, "nested_travel_held"])
def test_pylogit_finds_the_same_standard_errors(name):
    model, want = fitted(name), published_estimates(name)
    kind = "hessian" if name in MNL else "bhhh"
    assert model.result.cov_type == kind
    assert (model.standard_errors.isna() == want["std_err"].isna()).all()
    shown = want["std_err"].notna()
    assert model.bse[shown].to_numpy() == pytest.approx(want["std_err"][shown], rel=2e-8)
    assert model.tvalues[shown].to_numpy() == pytest.approx(
        (want["estimate"] / want["std_err"])[shown], rel=1e-7
    )


@pytest.mark.parametrize("name", MNL)
def test_pylogit_finds_the_same_robust_standard_errors(name):
    want = published_estimates(name)["robust_std_err"]
    assert fitted(name).robust_std_errs.to_numpy() == pytest.approx(want, rel=2e-9)


@pytest.mark.parametrize("name", [*MNL, *NESTED, *HELD])
def test_pylogit_predicts_the_same_probabilities(name):
    want = published("probabilities", name)["probability"]
    model = fitted(name)
    got = model.predict(table_of(name))
    assert got[: len(want)] == pytest.approx(want.to_numpy(), abs=2e-8)
    assert model.long_fitted_probs == pytest.approx(got, abs=1e-15)


@pytest.mark.parametrize("name", MNL)
def test_measures_of_fit_of_a_multinomial_logit_are_the_same(name):
    model, want = fitted(name), published_fit(name)
    for measure in ("null_log_likelihood", "rho_squared", "rho_bar_squared", "aic", "bic"):
        assert getattr(model, measure) == pytest.approx(want[measure], rel=1e-13), measure


@pytest.mark.parametrize("name", [*NESTED, *HELD])
def test_held_parameters_do_not_count_and_equal_shares_are_the_null(name):
    model, want = fitted(name), published_fit(name)
    held = int(model.standard_errors.isna().sum())
    assert model.df_model == want["df_model"] - held
    assert model.aic == pytest.approx(want["aic"] - 2 * held, rel=1e-13)
    assert model.bic == pytest.approx(want["bic"] - np.log(model.nobs) * held, rel=1e-13)
    sizes = np.bincount(pd.factorize(table_of(name)[model.columns.case])[0])
    assert model.null_log_likelihood == pytest.approx(-np.log(sizes).sum(), rel=1e-13)
    assert model.rho_squared == pytest.approx(1 - model.llf / model.null_log_likelihood)


@pytest.mark.parametrize("name", NESTED)
def test_pylogits_null_is_a_dissimilarity_of_one_half(name):
    model = fitted(name)
    half = model.predict(
        table_of(name),
        param_list=[np.zeros_like(model.coefs), None, None, np.zeros_like(model.nests)],
        return_long_probs=False,
        choice_col=model.columns.choice,
    )
    assert np.log(half).sum() == pytest.approx(published_fit(name)["null_log_likelihood"])


def test_pylogit_takes_held_coefficients_of_a_multinomial_logit_for_estimated():
    model, want = fitted("mnl_travel_held"), published_estimates("mnl_travel_held")
    shown = model.standard_errors.notna()
    own = list(model.result.parameters.names)
    inverse = pd.DataFrame(np.linalg.inv(-model.result.hessian), index=own, columns=own)
    whole = np.sqrt([inverse.loc[p, p] for p in model.parameters.values()])
    assert whole[shown] == pytest.approx(want["std_err"][shown], rel=1e-8)
    assert (model.bse[shown] < whole[shown]).all()


@pytest.mark.parametrize("name", NESTED)
def test_a_nests_parameter_is_the_log_odds_of_its_lambda(name):
    model = fitted(name)
    for nest in model.nest_names:
        parameter = f"lambda:{nest}"
        if parameter not in model.result.names:
            assert np.isnan(model.bse[nest])
            continue
        lam = model.result.params[parameter]
        assert expit(model.nests[nest]) == pytest.approx(lam, rel=1e-14)
        for errors, kind in ((model.bse, "bhhh"), (model.robust_std_errs, "robust")):
            se = model.result.with_cov(kind).bse[parameter]
            assert errors[nest] == pytest.approx(se / (lam * (1 - lam)), rel=1e-13)
    assert published_estimates(name)["robust_std_err"].isna().all()


def test_a_lambda_above_one_is_told_and_can_be_held_at_one():
    name = "nested_travel_two"
    model = specified(name)
    start = SCRIPT["MODELS"][name][4]["init_vals"]
    with pytest.warns(NestflowWarning) as caught:
        model.fit_mle(start)
    told = [str(w.message) for w in caught if "no log-odds" in str(w.message)]
    assert len(told) == 1
    assert "'private'" in told[0]
    assert model.result.params["lambda:private"] > 1
    assert np.isnan(model.params["private"])
    assert np.isnan(model.bse["private"])
    assert model.params.drop("private").notna().all()
    assert "The dissimilarity of 'private' is 2.37" in str(model.get_statsmodels_summary())
    assert model.llf > published_fit(name)["log_likelihood"] + 5

    # pylogit runs to 33, which is a lambda of one to the last digit.
    want = published_estimates(name)
    at_one = np.where(want.index == "private", 40.0, start)
    model.fit_mle(at_one, constrained_pos=[1])
    assert model.llf == pytest.approx(published_fit(name)["log_likelihood"], rel=1e-13)
    others = want.drop(index="private")
    assert model.params.drop("private").to_numpy() == pytest.approx(others["estimate"], rel=1e-6)
    # And it takes this lambda for estimated, though its own parameter has no gradient left.
    whole = pd.Series(
        np.diag(np.linalg.inv(model.result.meat)) ** 0.5, model.result.parameters.names
    )
    coefficients = [model.parameters[name] for name in model.coefs.index]
    assert whole[coefficients].to_numpy() == pytest.approx(
        want["std_err"][model.coefs.index], rel=1e-6
    )


def test_where_a_nest_is_empty_in_some_cases_pylogit_stops_below_the_maximum():
    name = "nested_heating_cut"
    model, want = fitted(name), published_estimates(name)
    assert np.abs(want["gradient"]).max() < 1e-6
    assert want["estimate"]["other"] > 20
    assert model.llf > published_fit(name)["log_likelihood"] + 1.8
    assert model.result.params["lambda:other"] == pytest.approx(0.415, abs=5e-4)
    theirs = [want["estimate"][model.coefs.index], None, None, want["estimate"][model.nest_names]]
    P = model.predict(table_of(name), theirs, return_long_probs=False, choice_col="choice")
    assert np.log(P).sum() == pytest.approx(published_fit(name)["log_likelihood"], rel=1e-13)


def test_the_model_is_the_one_that_a_formula_writes():
    ours = fit(
        NestedLogit("time + cost", nests={"existing": ["train", "car"]}, base="sm"),
        ChoiceData.from_long(
            table_of("nested_swissmetro").assign(
                mode=lambda t: t["mode"].map({1: "train", 2: "sm", 3: "car"})
            ),
            case="obs",
            alternative="mode",
            chosen="choice",
        ),
        cov="bhhh",
    )
    model = fitted("nested_swissmetro")
    assert isinstance(model.model, NestedLogit)
    assert model.result.params["time"] == pytest.approx(ours.params["time"], abs=1e-9)
    assert model.result.bse["lambda:existing"] == pytest.approx(
        ours.bse["lambda:existing"], rel=1e-8
    )


def test_the_generated_model_reads_like_a_formula():
    assert specified("mnl_travel").model == MultinomialLogit(
        "`ttme:1&2` | 0",
        specific={
            "1": "1 + `gc` + `hinc`",
            "2": "1 + `gc`",
            "3": "1 + `gc` + `ttme`",
            "4": "0 + `gc`",
        },
    )


MIXED = ("mixed_swissmetro_two", "mixed_swissmetro_1")


@cache
def with_pylogits_draws(name):
    """Return the likelihood over pylogit's own draws, and pylogit's numbers in its order."""
    model, options = specified(name), SCRIPT["MODELS"][name][4]
    likelihood = specify(model.model, model.data)
    makers = len(likelihood.draws)
    rng = np.random.RandomState(options["seed"])
    shape = (makers, options["num_draws"])
    draws = np.stack([rng.standard_normal(shape) for _ in model.model.random], axis=1)
    numbers = published_estimates(name).rename(index=model.parameters)
    return replace(likelihood, draws=draws), numbers.loc[list(likelihood.parameters.names)]


@pytest.mark.parametrize("name", MIXED)
def test_pylogits_draws_give_pylogits_mixed_logit(name):
    likelihood, want = with_pylogits_draws(name)
    # So few draws have other maxima as well; this is the one beside pylogit's estimate.
    beside = want["estimate"] + 0.1 * want["std_err"]
    found = maximize(likelihood.evaluate, beside.to_numpy())
    there = likelihood.contributions(want["estimate"].to_numpy())
    assert there.llf == pytest.approx(published_fit(name)["log_likelihood"], rel=1e-13)
    assert there.score == pytest.approx(want["gradient"].to_numpy(), abs=1e-9)
    step = np.linalg.solve(-there.hessian, there.score)
    assert found.theta == pytest.approx(want["estimate"] + step, abs=4e-9)
    bhhh = np.sqrt(np.diag(np.linalg.inv(there.score_obs.T @ there.score_obs)))
    assert bhhh == pytest.approx(want["std_err"].to_numpy(), rel=1e-9)
    P = published("probabilities", name)["probability"]
    got, _ = likelihood.probabilities(want["estimate"].to_numpy())
    assert got[: len(P)] == pytest.approx(P.to_numpy(), abs=1e-13)


@pytest.fixture(scope="module")
def five_seeds():
    """Return the estimates of five seeds, pylogit's pseudo-random and our Halton draws."""
    names = [f"mixed_swissmetro_{seed}" for seed in range(1, 6)]
    theirs = pd.DataFrame({name: published_estimates(name)["estimate"] for name in names})
    return theirs, pd.DataFrame({name: fitted(name).params for name in names})


def test_mixed_logits_agree_within_the_error_of_simulation(five_seeds):
    theirs, ours = five_seeds
    error = np.sqrt((theirs.var(axis=1) + ours.var(axis=1)) / 5)
    # Five seeds of each: a t statistic with about five degrees of freedom.
    assert ((theirs.mean(axis=1) - ours.mean(axis=1)).abs() < 4 * error).all()
    want = sum(published_estimates(name)["std_err"] for name in theirs) / 5
    got = sum(fitted(name).bse for name in theirs) / 5
    assert got.to_numpy() == pytest.approx(want.to_numpy(), rel=0.15)
    assert fitted("mixed_swissmetro_1").nobs == published_fit("mixed_swissmetro_1")["nobs"]


def test_halton_draws_leave_a_third_of_the_error_of_pseudo_random_ones(five_seeds):
    theirs, ours = (estimates.std(axis=1) for estimates in five_seeds)
    assert ours["time"] < theirs["time"] / 2
    assert (ours < theirs).all()


def test_a_mixed_logit_predicts_with_the_draws_of_the_estimation_or_others():
    name = "mixed_swissmetro_1"
    model, frame = fitted(name), table_of(name)
    assert list(model.parameters)[-1] == "Sigma time"
    assert model.ind_var_names == list(model.coefs.index)
    P = model.predict(frame)
    assert model.predict(frame, num_draws=100, seed=1) == pytest.approx(P, abs=1e-15)
    others = model.predict(frame, num_draws=1000, seed=7)
    assert 1e-6 < np.abs(others - P).max() < 0.1
    alone = [np.append(model.coefs.to_numpy()[:-1], 0.0), None, None, None]
    logit = model.predict(frame, param_list=alone)
    assert logit == pytest.approx(model.predict(frame, alone, seed=9), abs=1e-14)
    assert model.fitted_probs.shape == (model.nobs,)


def test_a_spread_can_be_held():
    model = specified("mixed_swissmetro_1")
    model.fit_mle([0, 0, -1, -1, 2.0], num_draws=100, seed=1, constrained_pos=[4])
    assert model.params["Sigma time"] == 2.0
    assert np.isnan(model.bse["Sigma time"])
    assert model.llf < fitted("mixed_swissmetro_1").llf
    with pytest.raises(SpecificationError, match="needs num_draws="):
        model.fit_mle([0, 0, -1, -1, 2.0])


TRAVEL = {"alt_id_col": "mode", "obs_id_col": "individual", "choice_col": "choice"}
SIMPLE = {"specification": {"intercept": [1, 2, 3], "gc": "all_same"}, "model_type": "MNL"}


def travel(**other):
    return create_choice_model(
        **{"data": SCRIPT["travel_mode"](), **TRAVEL, **SIMPLE, **other},
    )


@pytest.fixture(scope="module")
def simple():
    model = travel()
    model.fit_mle(np.zeros(4))
    return model


def test_the_table_stays_as_it_was():
    before = SCRIPT["travel_mode"]()
    given = before.copy()
    travel(data=given, specification={"intercept": [[1, 2]], "gc": [[1, 2], 3]})
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize("kind", ["csv", "polars", "shuffled", "text"])
def test_any_table_gives_the_same_estimate(simple, kind, tmp_path):
    frame = SCRIPT["travel_mode"]()
    specification = SIMPLE["specification"]
    if kind == "csv":
        frame.to_csv(tmp_path / "travel.csv", index=False)
        frame = str(tmp_path / "travel.csv")
    elif kind == "polars":
        frame = pl.from_pandas(frame)
    elif kind == "shuffled":
        frame = frame.sample(frac=1, random_state=1)
    else:
        frame["mode"] = frame["mode"].map({1: "air", 2: "train", 3: "bus", 4: "car"})
        specification = {"intercept": ["air", "train", "bus"], "gc": "all_same"}
    model = travel(data=frame, specification=specification)
    model.fit_mle([0, 0, 0, 0])
    assert model.params.to_numpy() == pytest.approx(simple.params.to_numpy(), abs=1e-10)
    assert model.bse.to_numpy() == pytest.approx(simple.bse.to_numpy(), rel=1e-9)


def test_probabilities_stand_in_the_rows_of_the_user(simple):
    frame = SCRIPT["travel_mode"]()
    P = simple.predict(frame)
    order = np.random.default_rng(3).permutation(len(frame))
    assert simple.predict(frame.iloc[order]) == pytest.approx(P[order], abs=1e-15)
    scattered = travel(data=frame.iloc[order])
    scattered.fit_mle(np.zeros(4))
    assert scattered.long_fitted_probs == pytest.approx(P[order], abs=1e-10)
    first = frame.iloc[order].drop_duplicates("individual")["individual"]
    chosen = pd.Series(P, index=frame["individual"])[frame["choice"].to_numpy() == 1]
    assert scattered.fitted_probs == pytest.approx(chosen[first].to_numpy(), abs=1e-10)


def test_predict_returns_what_is_asked_for(simple):
    frame = SCRIPT["travel_mode"]()
    everything = simple.predict(frame.drop(columns="choice"))
    chosen, again = simple.predict(frame, choice_col="choice")
    alone = simple.predict(frame, choice_col="choice", return_long_probs=False)
    assert (again == everything).all()
    assert (alone == chosen).all()
    assert (chosen == simple.fitted_probs).all()
    assert np.log(chosen).sum() == pytest.approx(simple.llf, rel=1e-13)
    with pytest.raises(SpecificationError, match="neither"):
        simple.predict(frame, return_long_probs=False)


def test_predict_takes_other_parameters(simple):
    frame = SCRIPT["travel_mode"]()
    coefs = simple.coefs.to_numpy()
    several = np.column_stack([coefs, np.zeros(4)])
    P = simple.predict(frame, param_list=[several, None, None, None])
    assert P.shape == (len(frame), 2)
    assert P[:, 0] == pytest.approx(simple.predict(frame), abs=1e-15)
    assert P[:, 1] == pytest.approx(0.25)
    with pytest.raises(SpecificationError, match="4 coefficients; the shapes given"):
        simple.predict(frame, param_list=[coefs[:3], None, None, None])


def test_predict_takes_other_parameters_of_nests_that_were_held():
    name = "nested_travel_held"
    model, frame = fitted(name), table_of(name)
    values = [model.coefs.to_numpy(), None, None, model.nests.to_numpy()]
    assert model.predict(frame, param_list=values) == pytest.approx(model.predict(frame), abs=1e-15)
    values[3] = values[3] + np.array([0, 1.0])
    assert np.abs(model.predict(frame, param_list=values) - model.predict(frame)).max() > 0.01


def test_the_summary_says_which_standard_errors_and_what_was_held():
    text = str(fitted("nested_travel_held").get_statsmodels_summary(alpha=0.1))
    assert "Nested Logit Model Regression Results" in text
    assert "Standard errors: bhhh" in text
    assert "without standard error: 'fly', 'ground', 'ttme'" in text
    assert "[0.05" in text
    assert "0.95]" in text
    model = fitted("mnl_travel")
    assert "Standard errors: hessian" in str(model.get_statsmodels_summary("A title"))
    assert list(model.summary.columns) == [
        "parameters", "std_err", "t_stats", "p_values",
        "robust_std_err", "robust_t_stats", "robust_p_values",
    ]  # fmt: skip
    assert model.fit_summary["Fitted Log-Likelihood"] == model.llf
    assert model.conf_int(coefs=["hinc_1"])[0] == pytest.approx(
        model.params["hinc_1"] + np.array([-1, 1]) * 1.959963985 * model.bse["hinc_1"]
    )


def test_nothing_is_there_before_it_is_estimated():
    model = travel()
    assert repr(model) == "<PylogitModel: Multinomial Logit Model, not yet estimated>"
    with pytest.raises(AttributeError, match=r"'coefs' is there once .* call fit_mle"):
        _ = model.coefs
    with pytest.raises(AttributeError, match="has no attribute 'coeffs'"):
        _ = model.coeffs
    with pytest.raises(EstimationError, match="call fit_mle first"):
        model.predict(SCRIPT["travel_mode"]())
    assert {"coefs", "robust_std_errs", "result", "fit_mle"} <= set(dir(model))
    model.fit_mle(np.zeros(4))
    assert "4 parameters" in repr(model)


def test_what_has_no_effect_is_told():
    with pytest.warns(NestflowWarning, match="shape_names=, mixing_vars= ignored: a 'MNL'"):
        model = travel(shape_names=["a", "b", "c", "d"], mixing_vars=["gc"])
    with pytest.warns(NestflowWarning, match="method=, maxiter= without effect"):
        model.fit_mle(np.zeros(4), method="newton-cg", maxiter=10, print_res=False)


def test_constants_of_all_alternatives_are_not_identified():
    model = travel(specification={"intercept": "all_diff", "gc": "all_same"})
    with pytest.raises(IdentificationError, match=r"\(Intercept\):4"):
        model.fit_mle(np.zeros(5))


WRONG = {
    "type": ({"model_type": "MNl"}, "did you mean 'MNL'"),
    "asymmetric type": ({"model_type": "Scobit"}, "asymmetric models, which nestflow does not"),
    "no dictionary": ({"specification": [("gc", "all_same")]}, "must map columns"),
    "word": ({"specification": {"gc": "all_sam"}}, "did you mean 'all_same'"),
    "alternative": ({"specification": {"gc": [1, 5]}}, "alternative 5, which the data do not"),
    "twice": ({"specification": {"gc": [[1, 2], [2, 1]]}}, r"lists \[2, 1\] twice"),
    "empty list": ({"specification": {"gc": []}}, r"is \[\]; it is 'all_same'"),
    "constant": ({"specification": {"intercept": "all_same"}}, "share cancels out"),
    "column": ({"specification": {"gcc": "all_same"}}, "no column 'gcc'.*did you mean 'gc'"),
    "names": ({"names": {"intercept": ["a", "b"], "gc": "c"}}, "2 names, but there are 3"),
    "no name": ({"names": {"intercept": ["a", "b", "c"]}}, "no entry for 'gc'"),
    "same names": ({"names": {"intercept": ["a", "b", "c"], "gc": "c"}}, "coefficients are called"),
    "choice column": ({"choice_col": "chosen"}, "no column 'chosen'"),
    "outside intercepts": ({"intercept_ref_pos": 3}, "put the intercepts into specification"),
    "no nests": ({"model_type": "Nested Logit"}, "needs nest_spec="),
    "unknown member": (
        {"model_type": "Nested Logit", "nest_spec": {"fly": [1], "ground": [2, 5]}},
        "names the alternative '5'",
    ),
    "nest and coefficient": (
        {"model_type": "Nested Logit", "nest_spec": {"gc": [1], "ground": [2, 3, 4]}},
        "'gc' is the name of a nest and of a coefficient",
    ),
    "no mixing": ({"model_type": "Mixed Logit"}, "needs mixing_id_col="),
    "mixing name": (
        {
            "model_type": "Mixed Logit",
            "mixing_id_col": "individual",
            "mixing_vars": ["gcc"],
        },
        r"mixing_vars names 'gcc' \(did you mean 'gc'",
    ),
    "mixing column": (
        {"model_type": "Mixed Logit", "mixing_id_col": "person", "mixing_vars": ["gc"]},
        "no column 'person'",
    ),
    "two nests": (
        {"model_type": "Nested Logit", "nest_spec": {"fly": [1, 2], "ground": [2, 3, 4]}},
        "'2' stands in the nests",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_model_is_refused(fault):
    arguments, message = WRONG[fault]
    with pytest.raises(NestflowError, match=message):
        travel(**arguments)


def test_a_column_that_no_formula_can_name_is_refused():
    frame = SCRIPT["travel_mode"]().rename(columns={"gc": "cost|time"})
    with pytest.raises(DataError, match=r"'cost\|time' cannot stand in a formula"):
        travel(data=frame, specification={"cost|time": "all_same"})


def test_text_is_no_variable():
    frame = SCRIPT["travel_mode"]().assign(gc=lambda t: t["gc"].astype(str) + " $")
    with pytest.raises(DataError, match=r"'gc' .* is not numeric: row 0 holds '70 \$'"):
        travel(data=frame)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_vals": [0, 0, 0]}, r"4 finite numbers.*intercept_1.*shape \(3,\)"),
        ({"init_vals": [0, 0, 0, np.nan]}, "4 finite numbers"),
        ({"init_vals": np.zeros(4), "constrained_pos": [4]}, "positions go from 0 to 3"),
        ({"init_vals": np.zeros(4), "ridge": 0.1}, "ridge= is not offered"),
        ({"init_vals": np.zeros(4), "just_point": True}, "just_point= is not offered"),
        ({"init_vals": np.zeros(4), "num_draws": 10}, "belong to a 'Mixed Logit'"),
    ],
)
def test_a_wrong_fit_is_refused(options, message):
    with pytest.raises(SpecificationError, match=message):
        travel().fit_mle(**options)


def test_the_page_runs_as_printed_and_lists_what_there_is(capsys):
    page = (ROOT / "docs" / "pylogit.md").read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(block, "pylogit.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "Terminal time (air, train)" in printed
    assert "NestedLogit(formula='`gc` + `ttme:1&2` | 0'" in printed
    assert len(names["probabilities"]) == 840
    listed = page.split("- Of the fitted model:")[1].split("- The numbers.")[0]
    for name in re.findall(r"`(\w+)(?:\(\))?`", listed):
        assert hasattr(names["model"], name), name


def test_wide_tables_become_long_as_the_page_says(travel_mode):
    wide = travel_mode.table.pivot(index="individual", columns="mode", values=["gc", "choice"])
    flat = pd.DataFrame({f"gc_{mode}": wide["gc"][mode] for mode in travel_mode.alternatives})
    flat["choice"] = wide["choice"].idxmax(axis=1)
    long = ChoiceData.from_wide(
        flat,
        choice="choice",
        alternatives=travel_mode.alternatives,
        varying={"gc": {mode: f"gc_{mode}" for mode in travel_mode.alternatives}},
    ).table
    model = create_choice_model(
        data=long,
        alt_id_col="alternative",
        obs_id_col="case",
        choice_col="chosen",
        specification={"intercept": ["air", "train", "bus"], "gc": "all_same"},
        model_type="MNL",
    )
    model.fit_mle(np.zeros(4))
    assert model.result.converged
