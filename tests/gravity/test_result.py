"""What a result answers: covariances, effects, predictions, tables, storage."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData, Gravity
from choicemodels.errors import DataError, EstimationError, SpecificationError
from estimation import fit, load_result, table

MODEL = Gravity("log(distance) + treaty | origin^year + destination^year")


@pytest.fixture(scope="module")
def result(panel):
    return fit(MODEL, panel)


def test_robust_is_the_default_and_says_so(result):
    assert result.cov_type == "robust"
    assert result.covariance.ssc == "fixest"
    assert "robust" in str(result.summary())
    assert result.formula in str(result.summary())


def test_the_covariance_is_chosen_after_the_fit(result, panel):
    for kind, groups in [("hessian", None), ("cluster", "origin"), ("cluster", ["origin", "year"])]:
        changed = result.with_cov(kind, groups=groups)
        direct = fit(MODEL, panel, cov=kind, groups=groups)
        assert changed.bse.to_numpy() == pytest.approx(direct.bse.to_numpy(), rel=1e-12)
        assert changed.estimate is result.estimate
    assert result.cov_type == "robust"
    assert result.with_cov("cluster", groups="origin").covariance.group_counts == (12,)


def test_robust_and_clustered_by_hand(result):
    S, H = result.sample.scores, result.hessian
    bread = np.linalg.inv(-H)
    plain = result.with_cov("robust", ssc="none")
    assert plain.covariance.matrix == pytest.approx(bread @ S.T @ S @ bread, rel=1e-9)
    N = result.nobs
    stata = result.with_cov("robust", ssc="stata")
    assert stata.covariance.matrix == pytest.approx(plain.covariance.matrix * N / (N - 1))
    k = 2 + sum(count.levels for count in result.effect_counts) - 1
    fixest = result.with_cov("robust", ssc="fixest")
    assert fixest.covariance.matrix == pytest.approx(plain.covariance.matrix * N / (N - k))
    groups = result.sample.data.table["pair"].iloc[result.sample.rows]
    sums = pd.DataFrame(S).groupby(groups.to_numpy()).sum().to_numpy()
    clustered = result.with_cov("cluster", groups="origin^destination", ssc="none")
    assert clustered.covariance.matrix == pytest.approx(bread @ sums.T @ sums @ bread, rel=1e-9)


def test_groups_may_be_labels(result, panel):
    by_name = result.with_cov("cluster", groups="origin")
    by_label = result.with_cov("cluster", groups=panel.table["origin"])
    assert by_label.bse.to_numpy() == pytest.approx(by_name.bse.to_numpy(), rel=1e-12)
    assert by_label.covariance.groups == ("origin",)
    two = result.with_cov("cluster", groups=["origin", panel.table["destination"].to_numpy()])
    assert two.covariance.groups == ("origin", "groups 2")
    with pytest.raises(DataError, match="the groups have 3 labels, but the table has"):
        result.with_cov("cluster", groups=np.array([1, 2, 3]))
    with pytest.raises(DataError, match="no column 'orgin'"):
        result.with_cov("cluster", groups="orgin")
    with pytest.raises(SpecificationError, match="'HC4' is unknown"):
        result.with_cov("HC4")


def test_a_result_is_immutable(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.llf = 0.0


def test_effects_are_labelled_and_add_up(result, panel):
    effects = result.fixed_effects()
    assert list(effects) == ["origin^year", "destination^year"]
    assert effects["origin^year"].index.names == ["origin", "year"]
    used = panel.table.iloc[result.predict().index]
    eta = result.params["log(distance)"] * np.log(used["distance"])
    eta = eta + result.params["treaty"] * used["treaty"]
    for effect in effects.values():
        eta = eta + effect.reindex(pd.MultiIndex.from_frame(used[effect.index.names])).to_numpy()
    assert np.exp(eta).to_numpy() == pytest.approx(result.predict().to_numpy(), rel=1e-9)


def test_the_second_effect_sums_to_zero_within_each_connected_set(result):
    # Origins and destinations of one year are connected; different years are not.
    sums = result.fixed_effects()["destination^year"].groupby("year").sum()
    assert sums.to_numpy() == pytest.approx(0, abs=1e-9)


def test_further_effects_sum_to_zero(panel):
    wide = fit(Gravity("treaty | origin^year + destination^year + origin^destination"), panel)
    effects = wide.fixed_effects()
    assert effects["destination^year"].sum() == pytest.approx(0, abs=1e-8)
    assert effects["origin^destination"].sum() == pytest.approx(0, abs=1e-8)


def test_predictions(result, panel):
    fitted = result.predict()
    assert fitted.sum() == pytest.approx(panel.y[fitted.index].sum(), rel=1e-9)
    again = result.predict(panel.table.iloc[fitted.index])
    assert again.index.equals(fitted.index)
    assert again.to_numpy() == pytest.approx(fitted.to_numpy(), rel=1e-9)
    farther = panel.table.iloc[fitted.index].assign(distance=lambda f: 2 * f["distance"])
    ratio = result.predict(farther) / fitted
    assert ratio.to_numpy() == pytest.approx(2 ** result.params["log(distance)"], rel=1e-9)


def test_predictions_for_what_was_not_seen_are_refused(result, panel):
    row = panel.table.iloc[result.predict().index[:2]]
    with pytest.raises(DataError, match=r"1 rows have a level of 'origin\^year'.*row 0 has P99"):
        result.predict(row.assign(origin=["P99", row["origin"].iloc[1]]))
    with pytest.raises(DataError, match="no column 'year'"):
        result.predict(row.drop(columns="year"))
    with pytest.raises(DataError, match=r"not finite in 1 rows of the new table \(first: rows 0"):
        result.predict(row.assign(distance=[0.0, 1.0]))


def test_categories_and_an_intercept(panel):
    result = fit(Gravity("log(distance) + C(year)"), panel)
    names = (
        "(Intercept)",
        "log(distance)",
        "C(year)[T.2001]",
        "C(year)[T.2002]",
        "C(year)[T.2003]",
    )
    assert result.names == names
    assert result.predict(panel.table).to_numpy() == pytest.approx(result.predict().to_numpy())
    assert result.effects == ()
    assert result.df_model == 5


def test_effects_alone(austria):
    for formula in (
        "1 | origin + destination",
        "0 | origin + destination",
        "| origin + destination",
    ):
        result = fit(Gravity(formula), austria)
        assert result.names == ()
        assert result.params.empty
        sums = austria.table.assign(mu=result.predict()).groupby("origin")[["flow", "mu"]].sum()
        assert sums["mu"].to_numpy() == pytest.approx(sums["flow"].to_numpy(), rel=1e-8)
        assert "Levels of origin: 9" in str(result.summary())
    assert result.with_cov("cluster", groups="origin").covariance.matrix.shape == (0, 0)


def test_one_effect_is_the_conditional_logit_constant(austria):
    # With one effect alone, mu is the group's mean.
    result = fit(Gravity("1 | origin"), austria)
    means = austria.table.groupby("origin")["flow"].transform("mean")
    assert result.predict().to_numpy() == pytest.approx(means.to_numpy(), rel=1e-12)


def test_dropped_rows_are_counted_and_listed(result, panel):
    dead = panel.table.index[(panel.table["origin"] == "P3") & (panel.table["year"] == 2001)]
    assert result.dropped.values.tolist() == [["zero group", "origin^year", 12]]
    assert result.dropped_rows.index.tolist() == sorted(dead)
    assert "12 rows dropped: zero group of origin^year" in str(result.summary())
    assert result.nobs == panel.nobs - 12


def test_statistics_and_tables(result):
    shown = str(table(result, result.with_cov("cluster", groups="origin")))
    assert "log(distance)" in shown
    assert "migrants" in shown
    assert result.__maketables_fixef_string__ == "origin^year+destination^year"
    assert result.__maketables_stat__("N") == result.nobs
    assert result.__maketables_stat__("pseudo_r2") == pytest.approx(result.prsquared)
    assert result.__maketables_stat__("deviance") == result.deviance
    assert result.aic == pytest.approx(2 * result.df_model - 2 * result.llf)


def test_wald_tests_work(result):
    test = result.wald_test("log(distance) = 0")
    assert test.statistic == pytest.approx(result.tvalues["log(distance)"] ** 2)
    against = result.wald_test("log(distance) = -1")
    z = (result.params["log(distance)"] + 1) / result.bse["log(distance)"]
    assert against.statistic == pytest.approx(z**2)


def test_results_survive_a_file(result, panel, tmp_path):
    clustered = result.with_cov("cluster", groups=["origin", "destination"])
    again = load_result(clustered.save(tmp_path / "gravity.json"))
    assert again.params.equals(clustered.params)
    assert again.bse.equals(clustered.bse)
    assert again.covariance.label == clustered.covariance.label
    assert str(again.summary()) == str(clustered.summary())
    for kind in ("hessian", "robust"):
        for ssc in ("none", "fixest", "stata"):
            want = result.with_cov(kind, ssc=ssc).bse
            assert again.with_cov(kind, ssc=ssc).bse.to_numpy() == pytest.approx(want.to_numpy())
    rows = panel.table.iloc[result.predict().index]
    assert again.predict(rows).to_numpy() == pytest.approx(result.predict().to_numpy(), rel=1e-9)
    assert again.dropped.equals(clustered.dropped)
    assert again.dropped_rows.to_dict() == clustered.dropped_rows.to_dict()
    with pytest.raises(EstimationError, match="read from a file"):
        again.with_cov("cluster", groups="origin")
    with pytest.raises(EstimationError, match="give predict"):
        again.predict()


@pytest.mark.parametrize("kind", ["datetime64[s]", "category", "float64"])
def test_periods_of_any_kind_survive_a_file(kind, panel, tmp_path):
    year = panel.table["year"]
    as_date = pd.to_datetime(year.astype(str) + "-01-01")
    dated = panel.table.assign(year=as_date if kind.startswith("date") else year.astype(kind))
    data = FlowData(dated, "origin", "destination", "migrants", "year")
    result = fit(MODEL, data)
    again = load_result(result.save(tmp_path / "dated.json"))
    rows = dated.iloc[result.predict().index]
    assert again.predict(rows).to_numpy() == pytest.approx(result.predict().to_numpy(), rel=1e-9)


@pytest.mark.parametrize("kind", ["period", "interval", "date"])
def test_labels_of_any_kind_survive_a_file(kind, panel, tmp_path):
    year = panel.table["year"]
    start = pd.to_datetime(year.astype(str) + "-07-01")
    labels = {
        "period": start.dt.to_period("Q"),
        "interval": pd.IntervalIndex.from_arrays(start, start + pd.Timedelta("1D"), closed="left"),
        "date": start.dt.date,
    }[kind]
    dated = panel.table.assign(when=labels)
    data = FlowData(dated, "origin", "destination", "migrants", "year")
    result = fit(Gravity("log(distance) | origin^when"), data)
    again = load_result(result.save(tmp_path / "dated.json"))
    rows = dated.iloc[result.predict().index]
    assert again.predict(rows).to_numpy() == pytest.approx(result.predict().to_numpy(), rel=1e-9)


def test_labels_that_a_file_cannot_hold_are_named(panel, tmp_path):
    odd = panel.table.assign(when=[(year,) for year in panel.table["year"]])
    result = fit(
        Gravity("log(distance) | when"), FlowData(odd, "origin", "destination", "migrants", "year")
    )
    with pytest.raises(DataError, match=r"the label \(2000,\) of a fixed effect is a tuple"):
        result.save(tmp_path / "odd.json")


def test_storage_is_plain_json(result):
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert "scores_product" in text
    assert len(text) < 40_000


def test_progress_is_told(panel):
    seen = []
    fit(MODEL, panel, progress=lambda step, deviance: seen.append((step, deviance)))
    assert [step for step, _ in seen] == list(range(2, len(seen) + 2))
    assert seen[-1][1] <= seen[0][1]
