from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import SpecificationError
from microsim import contrast, simulate
from microsim.ensembles.contrast import contrast_draws
from microsim.results.outcomes import national_outcomes
from microsim.results.per_dollar import per_dollar

MONTHS = 6
GRANT = {"kind": "relocation_grant", "amount": 10_000}


@pytest.fixture(scope="module")
def runs(population, behaviour, make):
    options = {"months": MONTHS, "replicates": 4}
    return (
        simulate(population, behaviour, make(name="baseline", quiet=True), **options),
        simulate(population, behaviour, make(GRANT, name="grant", quiet=True), **options),
    )


def test_differences_are_paired_over_replicates(runs):
    a, b = (run.national.groupby("replicate")["moves"].sum() for run in runs)
    table = contrast(*runs).table
    row = table.loc["moves"]
    assert row["difference"] == pytest.approx((b - a).mean())
    assert row["mc_se"] == pytest.approx((b - a).std(ddof=1) / 2)
    assert row["difference"] > 2 * row["mc_se"]
    cost = table.loc["cost per additional move"]
    assert cost["policy"] == pytest.approx(table.loc["policy cost", "policy"] / row["difference"])
    assert cost["mc_se"] > 0
    assert 0 < table.loc["additionality", "policy"] < 100
    assert table.loc["take-up", "policy"] == pytest.approx(100)


def test_shared_draws_shrink_the_error(population, behaviour, make, runs):
    scenario = make(GRANT, name="grant", quiet=True)
    other = simulate(population, behaviour, scenario, months=MONTHS, replicates=4, seed=99)
    base = runs[0].national.groupby("replicate")["moves"].sum()
    paired = runs[1].national.groupby("replicate")["moves"].sum() - base
    apart = other.national.groupby("replicate")["moves"].sum() - base
    assert 10 * paired.var() < apart.var()


def test_one_replicate_says_why_it_has_no_error(population, behaviour, make, runs):
    def first(run):
        frames = {
            name: getattr(run, name).query("replicate == 0")
            for name in ("metros", "national", "flows", "policies")
        }
        return replace(run, replicates=1, **frames)

    result = contrast(first(runs[0]), first(runs[1]))
    assert result.table["mc_se"].isna().all()
    assert result.table["note"].str.contains("needs at least 2 replicates").all()
    assert result.by_metro["note"].str.contains("needs at least 2").all()
    assert "1 replicate" in str(result)


def test_what_is_not_defined_says_so(runs):
    table = contrast(runs[0], runs[0]).table
    assert (table["difference"].dropna() == 0).all()
    assert table.loc["additionality", "note"] == "not defined: no grant was paid"
    assert "no additional moves" in table.loc["cost per additional move", "note"]
    assert not (table["policy"].isna() & (table["note"] == "")).any()


@pytest.fixture(scope="module")
def richer(population, behaviour, make):
    scenario = make({**GRANT, "amount": 20_000}, name="more", quiet=True)
    return simulate(population, behaviour, scenario, months=MONTHS, replicates=4)


def test_what_is_additional_is_counted_from_the_baselines_policies(runs, richer):
    a, b = (national_outcomes(run) for run in (runs[1], richer))
    more = (b - a).mean()
    assert 0 < more["grants paid"] < b["grants paid"].mean()
    table = contrast(runs[1], richer).table
    share = 100 * more["moves"] / more["grants paid"]
    cost = more["policy cost"] / more["moves"]
    assert table.loc["additionality", "policy"] == pytest.approx(share)
    assert table.loc["cost per additional move", "policy"] == pytest.approx(cost)
    assert table.loc["additionality", "note"].startswith("of the policy less the baseline")
    assert table.loc["take-up", "note"].startswith("of the policy alone")
    dollars = per_dollar(runs[1], [richer]).loc["more"]
    assert dollars.loc["additionality, contrast", "value"] == pytest.approx(share)
    assert dollars.loc["cost per additional move", "value"] == pytest.approx(cost)
    assert "those of the baseline too" in dollars.loc["additionality, same draws", "note"]
    tables = (pd.concat([one], keys=[0], names=["draw"]) for one in (a, b))
    drawn = contrast_draws(*tables, "grant", "more").table["policy"]
    assert drawn["additionality"] == pytest.approx(share)
    assert drawn["cost per additional move"] == pytest.approx(cost)


def test_no_more_than_the_baseline_pays_is_told(runs):
    notes = contrast(runs[1], runs[1]).table["note"]
    assert notes["additionality"] == ("not defined: no more grants were paid than in the baseline")
    assert "no more was paid than in the baseline" in notes["cost per additional move"]
    same = replace(runs[1], scenario=runs[1].scenario.model_copy(update={"name": "same"}))
    dollars = per_dollar(runs[1], [same]).loc["same", "note"]
    assert "no more moves were paid for" in dollars["additionality, contrast"]


def test_a_policy_mixed_with_a_shock_is_flagged(population, behaviour, make, runs):
    other = replace(runs[0], scenario=make(labour={"separation_rate": 0.5}))
    notes = contrast(other, runs[1]).table["note"]
    assert "differ in parameters too" in notes["additionality"]
    assert "differ in" not in notes["moves"]


def test_metros_add_up(runs):
    result = contrast(*runs)
    by = result.by_metro["difference"].unstack()
    assert by["net migration"].sum() == pytest.approx(0)
    assert by["grants paid"].sum() == pytest.approx(result.table.loc["grants paid", "difference"])
    classes = result.table.filter(like="net migration", axis=0)["difference"]
    assert classes.sum() == pytest.approx(0)
    np.testing.assert_allclose(by["final population"], by["net migration"])


def test_tables_can_be_shown_and_saved(runs, tmp_path):
    result = contrast(*runs)
    assert "grant against baseline, 4 replicates" in str(result)
    lines = result.to_markdown().splitlines()
    assert len(lines) == len(result.table) + 2
    assert len({line.count("|") for line in lines}) == 1
    result.to_csv(tmp_path / "table.csv")
    again = pd.read_csv(tmp_path / "table.csv", index_col="outcome")
    np.testing.assert_allclose(again["policy"], result.table["policy"])
    assert "<table" in result._repr_html_()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"population_fingerprint": "x"}, "different populations"),
        ({"behaviour_fingerprint": "x"}, "different fitted models"),
        ({"months": 7}, "different numbers of months .6 and 7."),
        ({"seed": 2}, "different seeds"),
        ({"replicates": 2}, "different numbers of replicates"),
        ({"start": "2025-01"}, "different first months"),
    ],
)
def test_runs_that_differ_otherwise_are_refused(runs, change, words):
    with pytest.raises(SpecificationError, match=words):
        contrast(runs[0], replace(runs[1], **change))
