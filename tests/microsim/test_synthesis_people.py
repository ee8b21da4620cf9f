import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import chisquare, rankdata

from choicemodels.errors import DataError, SpecificationError
from choicemodels.keyed_random import Streams
from microsim import load_population, synthesize
from microsim.assumptions.persons import MARITAL_STATUSES, RACES, PersonParameters
from microsim.assumptions.synthesis import SynthesisParameters
from microsim.mobility.variables import great_circle
from microsim.people.draws import allot, normal_scores, select_by_group
from microsim.people.persons import age_bracket

SIZE = {"workers": 40_000, "firms": 1_000, "metros": 20, "seed": 5}
MARRIED = MARITAL_STATUSES.index("married")


@pytest.fixture(scope="module")
def people():
    return synthesize(**SIZE)


@pytest.fixture(scope="module")
def table(people):
    return people.workers.to_frame()


def test_each_margin_of_persons_is_met(people):
    w = people.workers
    gap = people.check().set_index(["margin", "where"])["difference"].abs()
    by_soc = np.bincount(w.occupation, minlength=22)
    assert (gap["female share"].to_numpy() <= 1.01 / by_soc).all()
    # Quotas of five levels of schooling and of two kinds of household, each rounded once.
    metro = np.bincount(w.metro).repeat(len(RACES))
    assert (gap["race share"].to_numpy() <= 5.01 / metro).all()
    bracket = np.bincount(age_bracket(w.age)).repeat(len(MARITAL_STATUSES))
    assert (gap["marital share"].to_numpy() <= 2.01 / bracket).all()
    assert (gap["city share"].to_numpy() <= 1.01 / np.bincount(w.metro)).all()
    assert gap["mean commute"].max() < 1e-4
    assert gap[["near family share", "mean network", "mean family weight"]].max() < 1e-4
    assert (gap["persons"] < 1.0).all()
    assert gap["taste correlation"].max() < 0.02
    assert gap["eligible share of the unemployed"].iloc[0] < 0.01


def test_schooling_and_households_meet_their_shares(people):
    w = people.workers
    gap = people.check().set_index(["margin", "where"])["difference"].abs()
    assert gap["age share"].max() < 0.01
    assert gap["school share"].max() < 0.01
    assert gap["graduate share"].iloc[0] < 0.01
    assert gap["household share"].max() <= 1.01 / len(w)
    # Those under 24 hold no graduate degree.
    assert (w.education[w.age < 24] < 4).all()


def test_unemployment_follows_the_risks_by_schooling(people):
    w, risk = people.workers, np.array(SynthesisParameters().unemployment_by_education)
    count = np.bincount(w.education)
    rate = 0.037 * risk / risk[w.education].mean()
    out = np.bincount(w.education, w.firm < 0)
    assert (np.abs(out - rate * count) <= 1.01).all()


def test_median_tenures_are_those_of_the_age(people):
    check = people.check().set_index("margin").loc["median tenure"]
    assert (check["realized"] / check["target"] - 1).abs().max() < 0.08
    w = people.workers
    assert (w.tenure[w.firm < 0] == 0).all()
    assert (w.tenure <= w.age - 16).all()


def test_attributes_of_persons_are_joint(table):
    women = table["sex"] == 1
    rank = normal_scores(table["wage"].to_numpy(), table["occupation"].to_numpy(dtype=np.int64))
    assert rank[women].mean() - rank[~women].mean() < -0.25
    college = table["education"] >= 3
    asian = table["race"] == RACES.index("Asian")
    assert asian[college].mean() > 1.5 * asian[~college].mean()
    alone = table["household_size"] == 1
    assert (table.loc[alone, "marital"] == MARRIED).mean() < 0.15
    city = table["ring"] == 0
    assert table.loc[city, "homeowner"].mean() < table.loc[~city, "homeowner"].mean() - 0.1
    assert table.loc[city, "commute"].mean() < 0.85 * table.loc[~city, "commute"].mean()
    near = table["family_metro"] == table["metro"]
    assert near[college].mean() < near[~college].mean() - 0.1
    assert table["network"].corr(table["tenure"]) > 0.2


def test_tastes_have_their_correlations(people, table):
    south = -people.metros.latitude[people.workers.metro]
    assumed = PersonParameters()
    assert abs(np.corrcoef(table["warmth_taste"], south)[0, 1] - assumed.climate_sorting) < 0.02
    city = (table["ring"] == 0).astype(float)
    assert abs(np.corrcoef(table["urban_taste"], city)[0, 1] - assumed.urban_sorting) < 0.02
    assert abs(table["urban_taste"].var() - 1) < 0.03


def test_families_elsewhere_follow_the_gravity_law(people):
    w, metros = people.workers, people.metros
    distance = great_circle(metros.latitude, metros.longitude)
    away = (w.metro == 0) & (w.family_metro != 0)
    pull = metros.population[1:] / distance[0, 1:]
    observed = np.bincount(w.family_metro[away], minlength=20)
    assert observed[0] == 0
    assert chisquare(observed[1:], pull / pull.sum() * away.sum()).pvalue > 0.01


def test_without_tilt_the_classes_do_not_depend_on_the_kind():
    assumed = SynthesisParameters(people=PersonParameters(married_alone=1.0))
    w = synthesize(**SIZE, parameters=assumed).workers
    bracket = age_bracket(w.age)
    for alone in (True, False):
        cell = (bracket == 2) & ((w.household_size == 1) == alone)
        assert abs(np.mean(w.marital[cell] == MARRIED) - 0.58) <= 1.01 / cell.sum()


def test_what_is_assumed_of_one_attribute_changes_no_other(people):
    assumed = PersonParameters(
        female_wage_slope=0.0, married_alone=1.0, climate_sorting=0.0, commute_sigma=0.2
    )
    other = synthesize(**SIZE, parameters=SynthesisParameters(people=assumed)).workers
    changed = {
        name
        for name, values in people.workers.columns().items()
        if not np.array_equal(values, getattr(other, name))
    }
    assert changed == {"sex", "marital", "warmth_taste", "commute"}


def test_normal_scores_rank_within_groups():
    rng = np.random.default_rng(0)
    group, values = rng.integers(0, 3, 50), rng.normal(size=50)
    scores = normal_scores(values, group)
    for g in range(3):
        mine = group == g
        assert_array_equal(rankdata(scores[mine]), rankdata(values[mine]))
        assert abs(scores[mine].sum()) < 1e-12


def test_allotment_fills_rounded_quotas_of_the_balanced_table():
    rng = np.random.default_rng(1)
    group, kind = rng.integers(0, 2, 900), rng.integers(0, 3, 900)
    tilt = np.array([[1.0, 2.0], [5.0, 1.0], [1.0, 1.0]])
    margins = np.array([[0.3, 0.7], [0.8, 0.2]])
    chosen = allot("a", Streams(1), np.arange(900), group, kind, tilt, margins)
    for g in range(2):
        table = np.array([[np.sum((group == g) & (kind == k) & (chosen == c)) for c in (0, 1)]
                          for k in range(3)])  # fmt: skip
        assert np.abs(table.sum(axis=0) - margins[g] * table.sum()).max() <= 3
        # Balancing keeps the seed's odds ratios, up to the rounding of the quotas.
        odds = table[:, 0] / table[:, 1] / (tilt[:, 0] / tilt[:, 1])
        assert np.abs(odds / odds.mean() - 1).max() < 0.15


def test_an_allotment_does_not_depend_on_who_else_is_in_other_groups():
    ids, group = np.arange(400), np.repeat([0, 1], 200)
    kind, tilt, margins = np.zeros(400, dtype=int), np.ones((1, 3)), np.full((2, 3), 1 / 3)
    both = allot("a", Streams(1), ids, group, kind, tilt, margins)
    one = allot("a", Streams(1), ids[:200], group[:200], kind[:200], tilt, margins)
    assert_array_equal(both[:200], one)


def test_selection_meets_groups_that_are_not_neighbours():
    group = np.tile(np.arange(10), 100)
    counts = np.bincount(group, select_by_group(np.full(1000, 0.333), group, 0.4))
    assert set(counts) <= {33.0, 34.0}


def test_codes_that_mean_nothing_are_refused(people):
    w = people.workers
    with pytest.raises(DataError, match="'race' of the workers is 5 in row 0"):
        replace(w, race=np.full(len(w), 5))
    with pytest.raises(DataError, match="'family_metro' of the workers is 20"):
        replace(people, workers=replace(w, family_metro=np.full(len(w), 20)))
    with pytest.raises(DataError, match="'network' of the workers is -1"):
        replace(w, network=np.full(len(w), -1.0))


def test_a_parameter_without_an_entry_is_refused():
    people = PersonParameters(female_by_occupation={"11": 0.4})
    with pytest.raises(SpecificationError, match=r"female_by_occupation has no entry for 13, 15"):
        synthesize(workers=400, firms=20, metros=4, parameters=SynthesisParameters(people=people))


def test_a_population_of_an_earlier_format_is_refused(people, tmp_path):
    folder = people.save(tmp_path / "people")
    notes = json.loads((folder / "population.json").read_text())
    (folder / "population.json").write_text(json.dumps({**notes, "format": 1}))
    with pytest.raises(DataError, match="format 1, but this version reads"):
        load_population(folder)
