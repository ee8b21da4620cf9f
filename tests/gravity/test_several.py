"""Several models in one call: the same answers as one by one."""

import numpy as np
import pytest

from choicemodels import FlowData, Gravity
from choicemodels.errors import NestflowError, SpecificationError
from choicemodels.flows.stepwise import stepwise
from estimation import fit
from estimation.gravity.several import fit_several

FORMULA = "csw(log(distance), treaty) + gap | origin + sw(destination, destination^year)"


@pytest.fixture(scope="module")
def flows(draw_panel):
    frame = draw_panel(places=9, years=4, seed=7)
    frame["students"] = np.floor(frame["migrants"] / 3)
    frame["late"] = np.where(frame["year"] > 2001, "late", "early")
    return FlowData(frame, "origin", "destination", "migrants", time="year")


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("x", ["x"]),
        ("sw(a, log(b)) | o", ["a | o", "log(b) | o"]),
        ("z + csw0(a, b) | o", ["z | o", "z + a | o", "z + a + b | o"]),
        ("sw0(a, b) | o + d", [" | o + d", "a | o + d", "b | o + d"]),
        ("x | csw0(o, d)", ["x", "x | o", "x | o + d"]),
        ("sw(a, b) | sw(o, d)", ["a | o", "a | d", "b | o", "b | d"]),
        ("swim + x | o[sw]", ["swim + x | o[sw]"]),
    ],
)
def test_stepwise_formulas_are_read(formula, expected):
    assert [model.formula for model in stepwise(formula)] == expected


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("sw(a, b | o", "not closed"),
        ("log(sw(a, b)) | o", "inside of another term"),
        ("sw(a, b):c | o", "inside of another term"),
        ("sw(a,) | o", "empty step"),
    ],
)
def test_bad_stepwise_formulas_are_refused(formula, message):
    with pytest.raises(SpecificationError, match=message):
        stepwise(formula)


def test_each_result_is_that_of_a_fit_of_its_own(flows):
    several = fit_several(
        FORMULA, flows, flow=["migrants", "students"], cov="cluster", groups="origin", tol=1e-12
    )
    assert len(several) == 8
    for result, label in zip(several, several.labels.itertuples(), strict=True):
        alone = fit(
            Gravity(label.formula),
            flows.with_flow(label.flow),
            cov="cluster",
            groups="origin",
            tol=1e-12,
        )
        assert result.names == alone.names
        np.testing.assert_allclose(result.params, alone.params, rtol=1e-8)
        np.testing.assert_allclose(result.bse, alone.bse, rtol=1e-7)
        assert result.llf == pytest.approx(alone.llf, rel=1e-12)


def test_a_search_begins_where_the_last_one_ended(flows):
    first = fit(Gravity("log(distance) + treaty | origin + destination"), flows)
    again = fit(Gravity("log(distance) + treaty | origin + destination"), flows, start=first)
    assert again.convergence.iterations < first.convergence.iterations
    np.testing.assert_allclose(again.params, first.params, rtol=1e-7)


def test_splits_are_fits_of_the_parts(flows):
    several = fit_several("treaty | origin + destination", flows, split="late", full=True)
    assert several.labels["sample"].tolist() == ["all", "early", "late"]
    part = flows.table.query("late == 'late'").reset_index(drop=True)
    alone = fit(
        Gravity("treaty | origin + destination"),
        FlowData(part, "origin", "destination", "migrants", time="year"),
    )
    np.testing.assert_allclose(several[2].params, alone.params, rtol=1e-10)
    assert several.select(sample="late")[0] is several[2]
    assert several.coefficients().query("sample == 'late'")["estimate"].item() == pytest.approx(
        alone.params.item()
    )
    assert "treaty" in str(several.table())
    assert (several.with_cov("robust")[1].bse == several[1].with_cov("robust").bse).all()


def test_columns_of_a_split_are_headed_by_their_sample(flows):
    several = fit_several("treaty | origin + destination", flows, split="late", full=True)
    heads = str(several.table()).splitlines()[0]
    assert [name for name in heads.split() if name in ("all", "early", "late")] == [
        *("all", "early", "late")
    ]
    assert "early" not in str(several.table(heads=["a", "b", "c"])).splitlines()[0]


def test_groups_by_row_are_split_along(flows):
    def with_groups(groups):
        return fit_several(
            "treaty | origin", flows, split="late", full=True, cov="cluster", groups=groups
        )

    origin, destination = flows.table["origin"], flows.table["destination"]
    wanted = with_groups(["origin", "destination"])
    for groups in ([origin, destination], [origin.to_numpy(), "destination"]):
        for one, other in zip(with_groups(groups), wanted, strict=True):
            np.testing.assert_array_equal(one.bse, other.bse)
    one = with_groups(origin.rename("home"))[1]
    assert one.covariance.groups == ("home",)
    np.testing.assert_array_equal(one.bse, with_groups("origin")[1].bse)
    with pytest.raises(NestflowError, match="in all: the groups have 3 labels, but the table has"):
        with_groups(np.arange(3))


def test_what_fails_is_named(flows):
    with pytest.raises(NestflowError, match=r"'speed \| origin' for migrants: .*speed"):
        fit_several("sw(gap, speed) | origin", flows)
    with pytest.raises(SpecificationError, match="no label 'year'"):
        fit_several("gap | origin", flows).select(year=2000)
    with pytest.raises(SpecificationError, match="takes a formula"):
        fit_several([], flows)
    other = FlowData(flows.table.iloc[:50], "origin", "destination", "migrants", time="year")
    with pytest.raises(SpecificationError, match="over the same rows"):
        fit(Gravity("gap | origin"), other, start=fit(Gravity("gap | origin"), flows))
