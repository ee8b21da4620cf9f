"""Margins of error: the handbook's examples, brute force over draws, and what is refused."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels import NestflowError
from estimation.census.margins_of_error import (
    level_margin,
    margin_of_error,
    product_margin,
    proportion_margin,
    ratio_margin,
    standard_error,
    sum_margin,
)

VALUES = tomllib.loads(
    (Path(__file__).parents[1] / "published/ACSHandbook2018/values.toml").read_text("utf-8")
)


def test_the_sum_of_the_handbook():
    want = VALUES["sum"]
    assert sum(want["estimates"]) == want["estimate"]
    assert round(float(sum_margin(want["margins"]))) == want["margin"]


def test_the_proportion_of_the_handbook():
    want = VALUES["proportion"]
    arguments = [want[name] for name in ("part", "part_margin", "whole", "whole_margin")]
    assert round(want["part"] / want["whole"], 3) == want["estimate"]
    assert round(float(proportion_margin(*arguments)), 3) == want["margin"]


@pytest.mark.parametrize("case", VALUES["zeros"])
def test_margins_of_zeros_count_once(case):
    found = sum_margin(case["margins"], case["estimates"], zeros="largest")
    assert found**2 == pytest.approx(case["squared"])


def test_a_standard_error_and_back():
    assert standard_error(1645.0) == pytest.approx(1000.0)
    assert margin_of_error(standard_error([3.0, 4.0])) == pytest.approx([3.0, 4.0])


def test_products_and_ratios_against_draws():
    rng = np.random.default_rng(1)
    x, y, m_x, m_y = 5000.0, 8000.0, 164.5, 329.0
    a = x + standard_error(m_x) * rng.standard_normal(400_000)
    b = y + standard_error(m_y) * rng.standard_normal(400_000)
    # The formulas leave out terms of second order, below a thousandth here.
    assert product_margin(x, m_x, y, m_y) == pytest.approx(margin_of_error((a * b).std()), rel=5e-3)
    assert ratio_margin(x, m_x, y, m_y) == pytest.approx(margin_of_error((a / b).std()), rel=5e-3)


def test_the_proportion_of_a_part_against_draws():
    rng = np.random.default_rng(2)
    part = 3000.0 + standard_error(120.0) * rng.standard_normal(400_000)
    rest = 6000.0 + standard_error(150.0) * rng.standard_normal(400_000)
    whole_margin = float(sum_margin([120.0, 150.0]))
    found = proportion_margin(3000.0, 120.0, 9000.0, whole_margin)
    # Taking P m_y from m_x supposes that part and whole covary by P var(y): only roughly so.
    assert found == pytest.approx(margin_of_error((part / (part + rest)).std()), rel=0.15)


def test_a_negative_radicand_gives_the_ratio():
    found = proportion_margin([90.0, 100.0], [5.0, 5.0], [100.0, 100.0], [50.0, 50.0])
    assert found[0] == pytest.approx(ratio_margin(90.0, 5.0, 100.0, 50.0))
    assert found[1] == pytest.approx(0.05)  # the part is the whole


@pytest.mark.parametrize("zeros", ["all", "largest"])
def test_sums_by_level_are_sums_of_their_areas(areas, zeros):
    rng = np.random.default_rng(3)
    margins = pd.Series(rng.uniform(1, 9, 7), index=areas.labels)
    estimates = pd.Series([0.0, 0.0, 0.0, 0.0, 4.0, 5.0, 6.0], index=areas.labels)
    shuffled = rng.permutation(7)
    found = level_margin(
        areas, "county", margins.iloc[shuffled], estimates.iloc[shuffled], zeros=zeros
    )
    county = areas.level("county")
    for k, label in enumerate(county.labels):
        mine = county.codes == k
        want = sum_margin(margins[mine], estimates[mine], zeros=zeros)
        assert found[label] == pytest.approx(float(want))


def test_sums_along_another_axis():
    margins = np.array([[3.0, 4.0], [5.0, 12.0]])
    assert sum_margin(margins, axis=1) == pytest.approx([5.0, 13.0])
    zeros = sum_margin(margins, [[0.0, 0.0], [0.0, 1.0]], zeros="largest", axis=1)
    assert zeros == pytest.approx([4.0, 13.0])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sum_margin([1.0, -5.0]), r"negative or not finite \(at 1: -5.0\)"),
        (lambda: sum_margin([1.0, np.nan]), "not finite"),
        (lambda: sum_margin([1.0], zeros="largest"), "needs the estimates"),
        (lambda: sum_margin([1.0], zeros="once"), "it is 'all' or 'largest'"),
        (lambda: sum_margin([1.0, 2.0], [1.0], zeros="largest"), "cannot belong"),
        (lambda: ratio_margin(1.0, 1.0, 0.0, 1.0), "denominators are not above zero"),
        (lambda: proportion_margin(3.0, 1.0, 2.0, 1.0), "parts exceed their whole"),
    ],
)
def test_what_is_refused(call, says):
    with pytest.raises(NestflowError, match=says):
        call()


def test_labels_must_be_those_of_the_areas(areas):
    margins = pd.Series(1.0, index=["a1", "a2", "b1", "b2", "b3", "c1", "d9"])
    with pytest.raises(
        NestflowError, match=r"1 areas are missing \(c2\) and 1 labels are of none \(d9\)"
    ):
        level_margin(areas, "county", margins)


@pytest.mark.parametrize("margin", [proportion_margin, ratio_margin, product_margin])
def test_series_in_another_order_are_refused(margin):
    part, whole = pd.Series([5.0, 2.0], ["a", "b"]), pd.Series([9.0, 8.0], ["b", "a"])
    with pytest.raises(NestflowError, match="one is labelled a, b and another b, a"):
        margin(part, part / 10, whole, whole / 10)
    aligned = whole[part.index]
    np.testing.assert_array_equal(
        margin(part, part / 10, aligned, aligned / 10),
        margin(part.tolist(), (part / 10).tolist(), aligned.tolist(), (aligned / 10).tolist()),
    )
    with pytest.raises(NestflowError, match="one is labelled"):
        sum_margin(part, whole, zeros="largest")
