from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest, norm, spearmanr

from choicemodels.errors import DataError, SpecificationError
from microsim import synthesize
from microsim.assumptions.firms import SIZE_CLASSES, FirmParameters
from microsim.assumptions.synthesis import SynthesisParameters
from microsim.parameters import Parameters, parameter_table
from microsim.people.draws import weibull
from microsim.people.firms import wage_structure

SIZE = {"workers": 40_000, "firms": 4_000, "metros": 20, "seed": 5}


@pytest.fixture(scope="module")
def people():
    return synthesize(**SIZE)


def test_remote_policies_and_labour_intensity_have_the_industries_margins(people):
    gap = people.check().set_index(["margin", "where"])["difference"].abs()
    count = np.bincount(people.firms.industry, minlength=10)
    # Quotas of large firms and of the others, each rounded once.
    assert (gap["remote share"].to_numpy() <= 2.01 / count.repeat(3)).all()
    assert gap["mean labour intensity"].max() < 1e-6


def test_wages_of_firms_are_those_of_their_workers(people):
    w, f = people.workers, people.firms
    for firm in (0, 17, int(np.argmax(f.size)), len(f) - 1):
        mine = np.percentile(w.wage[w.firm == firm], [10, 50, 90])
        assert_allclose([f.wage_p10[firm], f.wage_p50[firm], f.wage_p90[firm]], mine, rtol=1e-6)


def test_a_firm_of_one_pays_one_wage():
    structure = wage_structure(np.array([-1, 1, 0, 1]), np.array([9.0, 2.0, 5.0, 4.0]), 2)
    assert_allclose(structure["wage_p10"], [5.0, 2.2])
    assert_allclose(structure["wage_p50"], [5.0, 3.0])
    assert_allclose(structure["wage_p90"], [5.0, 3.8])


def test_weibull_quantities_have_their_law():
    u = (np.arange(20_000) + 0.5) / 20_000
    years = weibull(norm.ppf(u), 7.0, 0.8)
    assert abs(np.median(years) - 7.0) < 1e-3
    scale = 7.0 / np.log(2) ** (1 / 0.8)
    assert kstest(years, "weibull_min", args=(0.8, 0, scale)).statistic < 1e-4


def test_sizes_fall_into_their_classes(people):
    f = people.firms
    edges = {"1-4": (1, 4), "5-9": (5, 9), "10-19": (10, 19), "20-99": (20, 99)}
    for code, (low, high) in enumerate(edges.values()):
        assert_array_equal(f.size_class == code, (f.size >= low) & (f.size <= high))
    assert tuple(edges) == SIZE_CLASSES[:4]
    assert_array_equal(f.to_frame()["size_class"], f.size_class)


def test_stages_ages_growth_and_automation_meet_their_targets(people):
    gap = people.check().set_index(["margin", "where"])["difference"].abs()
    assert gap["stage share of firms not large"].max() < 0.015
    assert gap["median firm age"].iloc[0] <= 1
    assert gap["mean revenue growth"].iloc[0] < 0.012
    assert gap["median automation investment"][["none", "pilot"]].max() < 0.001


def test_attributes_of_firms_are_joint(people):
    f = people.firms
    assert spearmanr(f.age, f.size).statistic > 0.15
    young, old = f.age <= 2, f.age >= 20
    assert f.revenue_growth[young].std() > 1.3 * f.revenue_growth[old].std()
    assert spearmanr(f.revenue_growth, f.hiring_plan).statistic > 0.6
    assert spearmanr(f.revenue_growth, f.layoff_rate).statistic < -0.4
    assert spearmanr(f.size, f.footprint).statistic > 0.1
    assert (f.automation_investment[f.stage == 0] == 0).all()
    by_stage = [np.median(f.automation_investment[f.stage == s]) for s in (1, 2, 3)]
    assert (np.diff(by_stage) > 0).all()
    assert f.footprint.max() <= 20


def test_large_firms_have_hybrid_work_more_often():
    # In one industry, so that the balanced table is the tilt's own.
    assumed = SynthesisParameters(large_firm=20, firm=FirmParameters(remote_large=(1.0, 9.0, 1.0)))
    f = synthesize(**SIZE, parameters=assumed).firms
    services = f.industry == 5
    large = f.size >= 20
    hybrid = f.remote == 1
    assert hybrid[services & large].mean() > hybrid[services & ~large].mean() + 0.15


def test_what_is_assumed_of_one_attribute_changes_no_other(people):
    firm = FirmParameters(growth_mean=0.1, remote_large=(1.0, 1.0, 1.0), footprint_scale=2.0)
    other = synthesize(**SIZE, parameters=SynthesisParameters(firm=firm, large_firm=50))
    same = synthesize(**SIZE, parameters=SynthesisParameters(large_firm=50))
    changed = {
        name
        for name, values in same.firms.columns().items()
        if not np.array_equal(values, getattr(other.firms, name))
    }
    assert changed == {"revenue_growth", "remote", "footprint", "layoff_rate", "hiring_plan"}
    assert all(
        np.array_equal(values, getattr(other.workers, name))
        for name, values in people.workers.columns().items()
    )


def test_firms_that_cannot_be_are_refused(people):
    f = people.firms
    with pytest.raises(DataError, match="'remote' of the firms is 3"):
        replace(f, remote=np.full(len(f), 3))
    with pytest.raises(DataError, match="'footprint' of the firms is 0"):
        replace(f, footprint=np.zeros(len(f)))
    firm = FirmParameters(labour_by_industry={"government": 0.4})
    with pytest.raises(SpecificationError, match="labour_by_industry has no entry for"):
        synthesize(workers=400, firms=20, metros=4, parameters=SynthesisParameters(firm=firm))


def test_nested_parameters_are_in_the_table():
    table = parameter_table(Parameters(), SynthesisParameters()).set_index("parameter")
    assert table.loc["firm.age_median", "unit"] == "years"
    assert table.loc["finance.debt_share", "value"] == 0.64
    assert "people.married_alone" in table.index
