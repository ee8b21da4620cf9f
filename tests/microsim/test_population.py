import json
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from scipy.stats import rankdata

from choicemodels.apportion import apportion, cumulative_rounding, select, shift_to_margins
from choicemodels.errors import DataError, SpecificationError
from choicemodels.keyed_random import Streams
from microsim import load_population, load_run, simulate, synthesize
from microsim.assumptions.synthesis import INDUSTRIES, SynthesisParameters
from microsim.parameters import LabourParameters, Parameters, parameter_table
from microsim.people.exposure import load_exposure


def test_margins_are_met(population):
    table = population.check()
    assert not table.isna().any().any()
    gap = table.set_index(["margin", "where"])["difference"].abs()
    per_metro = np.bincount(population.workers.metro)
    assert (gap["workers"] <= 1).all()
    # Within one worker of the target in every metro.
    assert (gap["bachelor share"].to_numpy() <= 1.01 / per_metro).all()
    assert (gap["owner share"].to_numpy() <= 1.01 / per_metro).all()
    assert (gap["occupation share"] < 0.005).all()
    assert gap["unemployment rate"].iloc[0] < 0.001


def test_firms_employ_exactly_the_employed_of_their_metro(population):
    w, f = population.workers, population.firms
    employed = np.bincount(w.metro[w.firm >= 0], minlength=16)
    assert_array_equal(np.bincount(f.metro, f.size, minlength=16), employed)
    assert (f.size >= 1).all()
    assert f.size.max() > 10 * np.median(f.size)  # a heavy tail


def test_workers_have_the_industry_of_their_employer(population):
    w, f = population.workers, population.firms
    employed = w.firm >= 0
    assert_array_equal(w.industry[employed], f.industry[w.firm[employed]])
    assert len(np.unique(w.industry[~employed])) > 3
    industry = np.where(employed, (w.industry + 1) % 10, w.industry)
    with pytest.raises(DataError, match="employer in another industry"):
        replace(population, workers=replace(w, industry=industry))


def test_industries_follow_the_occupation():
    population = synthesize(workers=20_000, firms=1_000, metros=20)
    w = population.workers
    gap = population.check().set_index("margin").loc["industry share", "difference"]
    assert gap.abs().max() < 0.03
    builders = w.industry[w.occupation == list(population.occupations["soc"]).index("47-0000")]
    assert np.mean(builders == INDUSTRIES.index("natural resources and construction")) > 0.4


def test_wage_percentiles_rank_the_wages(population):
    w = population.workers
    frame = w.to_frame()
    nation = 100 * (rankdata(w.wage, "ordinal") - 0.5) / len(w)
    assert_allclose(np.sort(frame["wage_percentile"]), np.sort(nation))
    assert frame["wage_percentile"].corr(frame["wage"], "spearman") > 0.9999
    by_metro = frame.groupby("metro")["metro_wage_percentile"]
    assert_allclose(by_metro.mean(), 50.0)
    richest = frame.loc[frame.groupby("metro")["wage"].idxmax()]
    assert_allclose(richest["metro_wage_percentile"], 100 - 50 / np.bincount(w.metro))


def test_what_follows_from_the_columns_is_not_saved(population, tmp_path):
    assert "wage_percentile" in population.workers.to_frame()
    saved = pd.read_parquet(population.save(tmp_path / "people") / "workers.parquet")
    assert list(saved) == list(population.workers.columns())


def test_rows_of_groups_without_a_member_are_left_out_of_the_check():
    check = synthesize(workers=60, firms=4, metros=2).check()
    assert check["realized"].notna().all()
    assert set(check.loc[check["margin"] == "mean labour intensity", "where"]) < set(INDUSTRIES)


def test_wages_below_the_median_are_half():
    population = synthesize(workers=20_000, firms=1_000, metros=20)
    check = population.check()
    below = check[check["margin"] == "share below the median wage"].set_index("where")
    count = np.bincount(population.workers.occupation, minlength=len(below))
    # A cell of one metro and occupation is off by half a worker, where medians do not tie.
    large = below["difference"].abs()[count > 1000]
    assert large.median() < 0.01
    means = check[check["margin"] == "mean wage"].set_index("where")
    assert (means["realized"] / means["target"] - 1).abs()[count > 500].max() < 0.1


def test_attributes_are_joint():
    w = synthesize(workers=20_000, firms=1_000, metros=20).workers.to_frame()
    correlation = w.corr(numeric_only=True)
    assert correlation.loc["age", "homeowner"] > 0.2
    assert correlation.loc["education", "wage"] > 0.2
    assert correlation.loc["wage", "savings"] > 0.1
    by_occupation = w.groupby("occupation")["education"].mean()
    assert by_occupation.max() - by_occupation.min() > 1.2


def test_wages_have_the_published_percentiles():
    population = synthesize(workers=60_000, firms=1_000, metros=4)
    w = population.workers
    cells = pd.Series(w.wage).groupby([w.metro, w.occupation])
    counts, medians = cells.count(), cells.median()
    large = counts[counts > 400].index
    target = np.array([population.wages[m, o] for m, o in large])
    assert np.abs(medians[large].to_numpy() / target - 1).max() < 0.05


def test_one_seed_makes_one_population(population):
    again = synthesize(workers=4_000, firms=300, metros=16, seed=3)
    assert again.fingerprint() == population.fingerprint()
    other = synthesize(workers=4_000, firms=300, metros=16, seed=4)
    assert other.fingerprint() != population.fingerprint()


def test_the_fingerprint_does_not_see_the_order_of_rows(population, shuffled):
    assert shuffled[0].fingerprint() == population.fingerprint()


def test_saving_and_loading_changes_nothing(population, tmp_path):
    loaded = load_population(population.save(tmp_path / "people"))
    assert loaded.fingerprint() == population.fingerprint()
    assert loaded.parameters == population.parameters
    assert_array_equal(loaded.wages, population.wages)
    pd.testing.assert_frame_equal(loaded.check(), population.check())


def test_a_tampered_population_is_refused(population, tmp_path):
    folder = population.save(tmp_path / "people")
    notes = json.loads((folder / "population.json").read_text())
    (folder / "population.json").write_text(json.dumps({**notes, "fingerprint": "0"}))
    with pytest.raises(DataError, match="fingerprint differs"):
        load_population(folder)
    with pytest.raises(DataError, match="is not a saved population"):
        load_population(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": {"unemployment_rate": 0.2}}, "fingerprint differs"),
        ({"parameters": {"unemployment_rate": 7}}, "is not a saved population"),
        ({"parameters": None}, "is not a saved population"),
        ({"seed": None}, "is not a saved population"),
    ],
)
def test_changed_notes_are_refused(population, tmp_path, change, message):
    folder = population.save(tmp_path / "people")
    notes = json.loads((folder / "population.json").read_text())
    (folder / "population.json").write_text(json.dumps({**notes, **change}))
    with pytest.raises(DataError, match=message):
        load_population(folder)


def test_notes_without_a_key_or_of_another_kind_are_refused(population, tmp_path):
    folder = population.save(tmp_path / "people")
    notes = json.loads((folder / "population.json").read_text())
    del notes["seed"]
    for content in (notes, [notes]):
        (folder / "population.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match="is not a saved population"):
            load_population(folder)


def test_changed_targets_are_refused(population, tmp_path):
    folder = population.save(tmp_path / "people")
    targets = population.targets.assign(target=population.targets["target"] + 0.1)
    targets.to_parquet(folder / "targets.parquet", index=False)
    with pytest.raises(DataError, match="fingerprint differs"):
        load_population(folder)


def test_a_population_and_a_run_do_not_share_a_folder(population, behaviour, tmp_path):
    people = population.save(tmp_path / "people")
    for replace_run in (False, True):
        with pytest.raises(DataError, match=r"holds a population .* a folder of its own"):
            simulate(population, behaviour, months=1, out=people, replace=replace_run)
    with pytest.raises(DataError, match="holds a population"):
        simulate(population, behaviour, months=1, out=people, resume=True)
    assert load_population(people).fingerprint() == population.fingerprint()
    simulate(population, behaviour, months=1, out=tmp_path / "run")
    with pytest.raises(DataError, match="holds a run"):
        population.save(tmp_path / "run")
    load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"metros": 1}, "ask for 2 to 384"),
        ({"metros": 400}, "ask for 2 to 384"),
        ({"firms": 3}, "cannot be spread over"),
        ({"workers": 400}, "too few for"),
    ],
)
def test_impossible_counts_are_refused(counts, message):
    with pytest.raises(SpecificationError, match=message):
        synthesize(**{"workers": 4_000, "firms": 300, "metros": 16} | counts)


@pytest.mark.parametrize(
    "counts", [{"workers": 4e3}, {"firms": "300"}, {"metros": 16.0}, {"seed": 1.5}]
)
def test_counts_are_whole_numbers(counts):
    with pytest.raises(SpecificationError, match="give a whole number"):
        synthesize(**{"workers": 4_000, "firms": 300, "metros": 16} | counts)


def test_numpys_counts_and_other_tables_are_taken(tmp_path):
    table = load_exposure()
    small = {"workers": 400, "firms": 20, "metros": 4}
    asked = {name: np.int64(count) for name, count in {**small, "seed": 1}.items()}
    people = synthesize(**asked, exposure=pl.from_pandas(table))
    assert people.fingerprint() == synthesize(**small).fingerprint()
    assert load_population(people.save(tmp_path / "people")).seed == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: pd.concat([table, table.iloc[:1]]), "has several rows for 11-0000; keep"),
        (lambda table: table.iloc[1:], "has no row for 11-0000"),
        (lambda table: table["exposure"], "is a Series, not a table"),
        (lambda table: "e.csv", r"is the path 'e\.csv', not a table; read it with load_exposure"),
        (lambda table: table.assign(exposure="high"), "is not numeric: row 0 holds 'high'"),
    ],
)
def test_exposures_that_cannot_be_used_are_refused(change, message):
    with pytest.raises((DataError, SpecificationError), match=message):
        synthesize(400, 20, 4, exposure=change(load_exposure()))


def test_parameters_built_by_name_are_refused_in_a_sentence():
    with pytest.raises(SpecificationError, match="SynthesisParameters: 'unemployment_rate'"):
        SynthesisParameters(unemployment_rate=3.7)
    with pytest.raises(SpecificationError, match="LabourParameters: unknown key 'separation'"):
        LabourParameters(separation=0.1)
    with pytest.raises(SpecificationError, match=r"Parameters: 'labour\.separation_rate' is"):
        Parameters(labour={"separation_rate": 4})
    assert Parameters(labour=LabourParameters(separation_rate=0.5)).labour.separation_rate == 0.5


def test_saving_is_told_as_a_share_of_take_home_pay():
    table = parameter_table()
    unit = table.loc[table["parameter"] == "money.saving_rate", "unit"]
    assert list(unit) == ["share of take-home pay"]


def test_workers_at_a_firm_elsewhere_are_refused(population):
    w = population.workers
    firm = w.firm.copy()
    firm[0] = len(population.firms) - 1
    with pytest.raises(DataError, match="employer in another metro"):
        replace(population, workers=replace(w, firm=firm))


def test_bad_columns_are_refused(population):
    w = population.workers
    with pytest.raises(DataError, match="'exposure' of the workers is 2"):
        replace(w, exposure=np.full(len(w), 2.0))
    with pytest.raises(DataError, match="not finite in row 5"):
        replace(w, wage=np.where(np.arange(len(w)) == 5, np.nan, w.wage))
    with pytest.raises(DataError, match="unique"):
        replace(w, id=np.zeros(len(w)))
    with pytest.raises(DataError, match="has shape"):
        replace(w, age=w.age[1:])
    with pytest.raises(DataError, match="'race' of the workers is 256 in row 0, which int8 cannot"):
        replace(w, race=np.full(len(w), 256))
    with pytest.raises(DataError, match=r"'age' of the workers is 30.5 in row 0, which int16"):
        replace(w, age=np.full(len(w), 30.5))


def test_columns_cannot_be_written(population):
    with pytest.raises(ValueError, match="read-only"):
        population.workers.wage[0] = 1.0


def test_every_parameter_has_unit_source_and_description():
    table = parameter_table(Parameters(), SynthesisParameters())
    assert table[["unit", "source", "description"]].notna().all().all()
    assert (table["source"].str.len() > 0).all()
    assert table["parameter"].is_unique


def test_apportionment_keeps_the_total():
    weights = np.array([0.1, 5.0, 3.3, 0.01])
    assert_array_equal(apportion(weights, 10), [0, 6, 4, 0])
    parts = apportion(weights, 10, least=1)
    assert parts.sum() == 10
    assert parts.min() == 1


def test_cumulative_rounding_keeps_rows_and_expectations():
    expected = np.array([[0.5, 1.25, 2.25], [0.2, 0.3, 3.5]])
    draws = [
        cumulative_rounding(expected, Streams(1).uniform("r", np.arange(2), t)) for t in range(1000)
    ]
    assert all((d.sum(axis=1) == 4).all() for d in draws)
    assert np.abs(np.mean(draws, axis=0) - expected).max() < 0.05


def test_selection_meets_each_groups_expected_count():
    group = np.repeat(np.arange(50), 40)
    p = shift_to_margins(np.linspace(-2, 2, 2000), group, np.full(50, 0.37))
    chosen = select(p, 0.3)
    counts = np.bincount(group, chosen)
    assert set(counts) <= {14.0, 15.0}


def test_shifted_probabilities_have_the_margins_and_keep_odds_ratios():
    group = np.tile([0, 1, 3], 200)
    log_odds = np.random.default_rng(0).normal(size=600) * np.where(group == 1, 8, 1)
    margins = np.array([0.001, 0.9, 0.5, 0.999])
    p = shift_to_margins(log_odds, group, margins)
    present = [0, 1, 3]
    means = [p[group == g].mean() for g in present]
    assert_allclose(means, margins[present], rtol=1e-12)
    shift = np.log(p / (1 - p)) - log_odds
    for g in present:
        mine = group == g
        assert_allclose(p[mine], expit(log_odds[mine] + np.median(shift[mine])), atol=1e-12)
