"""Yearly populations: scipy's non-negative least squares, exact recovery, identification."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import nnls

from choicemodels import NestflowError
from choicemodels.errors import EstimationError, IdentificationError
from estimation.census.margins_of_error import Z_90
from estimation.census.nonnegative import nonnegative_least_squares, null_columns
from estimation.census.populations import window_design, yearly_margins, yearly_populations

ENDS = list(range(2010, 2020))
YEARS = list(range(2009, 2020))


def problems(kind, seed=1):
    """Designs and right-hand sides, some of them degenerate."""
    rng = np.random.default_rng(seed)
    if kind == "square":
        return rng.normal(size=(11, 11)), rng.normal(size=(300, 11))
    if kind == "tall":
        return rng.normal(size=(25, 8)), rng.normal(size=(300, 25))
    if kind == "windows":
        A = window_design(ENDS, [2010], YEARS, 5)[1]
        return A, rng.gamma(0.3, 500, (300, len(A)))
    if kind == "one":
        return rng.normal(size=(6, 1)), rng.normal(size=(300, 6))
    # Solutions with zeros whose gradients are zero too, and nobody at all.
    A = rng.integers(-2, 3, (9, 6)).astype(float)
    Y = np.maximum(rng.integers(-2, 3, (300, 6)), 0) @ A.T
    Y[::7] = 0
    return A, Y


@pytest.mark.parametrize("kind", ["square", "tall", "windows", "one", "ties"])
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_equal_scipy(kind, weighted):
    A, Y = problems(kind)
    w = np.random.default_rng(2).uniform(0.1, 10, Y.shape) if weighted else np.ones(Y.shape)
    found = nonnegative_least_squares(A, Y, w if weighted else None)
    want = np.array([nnls(A * row[:, None], y * row)[0] for y, row in zip(Y, w, strict=True)])
    assert found == pytest.approx(want, rel=1e-10, abs=1e-10 * np.abs(want).max())
    assert found.min() >= 0
    assert (want == 0).any()
    gradient = ((Y - found @ A.T) * w**2) @ A
    size = np.abs(Y).max() * np.abs(A).max() * len(A) * (w**2).max()
    assert gradient.max() <= 1e-12 * size
    assert np.abs(gradient * (found > 0)).max() <= 1e-12 * size


def test_weights_of_many_sizes_are_no_worse_than_scipy():
    A, Y = problems("windows")
    w = 10 ** np.random.default_rng(9).uniform(-3, 3, Y.shape)
    found = nonnegative_least_squares(A, Y, w)
    want = np.array(
        [nnls(A * row[:, None], y * row, maxiter=1000)[0] for y, row in zip(Y, w, strict=True)]
    )
    ours, theirs = (((Y - X @ A.T) ** 2 * w**2).sum(axis=1) for X in (found, want))
    assert (ours <= theirs * (1 + 1e-9) + 1e-12 * (Y**2 * w**2).sum(axis=1)).all()


def test_weights_that_leave_nothing_are_told():
    A, Y = problems("windows")
    w = np.ones(Y.shape)
    w[7] = 1e-200
    with pytest.raises(EstimationError, match="problem 7 was not solved"):
        nonnegative_least_squares(A, Y, w)


def test_more_problems_than_a_block():
    A, Y = problems("windows")
    many = np.tile(Y, (30, 1))
    found = nonnegative_least_squares(A, many)
    assert np.array_equal(found, np.tile(found[: len(Y)], (30, 1)))


def test_dependent_columns_are_named():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(6, 4))
    A[:, 3] = 2 * A[:, 1]
    assert null_columns(A).tolist() == [1, 3]
    with pytest.raises(IdentificationError, match="columns 1, 3 of the design"):
        nonnegative_least_squares(A, np.ones((2, 6)))
    A[:, 0] = 0
    assert null_columns(A).tolist() == [0]


def truth(N=40, seed=4):
    rng = np.random.default_rng(seed)
    x = rng.gamma(4, 300, (N, 1)) * np.exp(np.cumsum(rng.normal(0, 0.03, (N, len(YEARS))), axis=1))
    # Areas that fill up from nobody.
    x[:5, :4] = 0
    return pd.DataFrame(x, index=[f"{i:02d}" for i in range(N)], columns=YEARS)


def windows_of(people):
    """Average over five years; the first period over the two that are known."""
    return pd.DataFrame(
        {end: people[[t for t in YEARS if end - 5 < t <= end]].mean(axis=1) for end in ENDS}
    )


def test_years_come_back_from_their_means():
    people = truth()
    found = yearly_populations(windows_of(people).iloc[::-1], people[2010], years=YEARS)
    assert list(found.index) == list(people.index[::-1])
    assert list(found.columns) == YEARS
    assert np.array(found.iloc[::-1]) == pytest.approx(np.array(people), abs=1e-6)


def test_the_two_published_designs():
    kept, A = window_design(ENDS, [2010], YEARS, 5)
    assert kept == ENDS
    assert A.shape == (11, 11)
    assert A[0].tolist() == [0.5, 0.5] + [0] * 9
    assert A[-1].tolist() == [0, 1] + [0] * 9
    # From 2010 on the first period is the count's year alone, and the count takes its place.
    kept, A = window_design(ENDS, [2010], YEARS[1:], 5)
    assert kept == ENDS[1:]
    assert A.shape == (10, 10)
    assert A[0].tolist() == [0.5, 0.5] + [0] * 8
    people = truth()
    found = yearly_populations(windows_of(people), people[2010])
    assert list(found.columns) == YEARS[1:]


def test_a_year_that_is_told_by_two_sources_is_their_mean():
    windows = pd.DataFrame({2011: [10.0], 2012: [20.0]}, index=["a"])
    found = yearly_populations(windows, {2012: pd.Series([30.0], index=["a"])}, window=1)
    assert found.loc["a"].to_dict() == pytest.approx({2012: 25.0})
    found = yearly_populations(
        windows, {2012: pd.Series([30.0], index=["a"])}, window=1, years=[2011, 2012],
        margins_of_error=windows * 0 + 3.0, census_margin=1.0,
    )  # fmt: skip
    assert found.loc["a", 2011] == pytest.approx(10.0)
    assert found.loc["a", 2012] == pytest.approx((20.0 / 9 + 30.0) / (1 / 9 + 1))


def test_precise_periods_weigh_more():
    people = truth()
    windows = windows_of(people)
    noisy = windows.copy()
    noisy[2015] *= 1.3
    margins = windows * 0 + 10.0
    margins[2015] = 10_000.0
    # As many unknown years as equations leave no room for weights; smoothing makes some.
    options = {"years": YEARS, "smoothing": 1e-3}
    plain = yearly_populations(noisy, people[2010], **options)
    weighted = yearly_populations(noisy, people[2010], margins_of_error=margins, **options)
    error = [float(((x - people) ** 2).to_numpy().mean()) for x in (plain, weighted)]
    assert error[1] < 0.2 * error[0]


def test_years_that_are_not_told_apart_are_named():
    people = truth()
    windows = windows_of(people)
    with pytest.raises(IdentificationError, match=r"2009, 2010.* apart; give a count"):
        yearly_populations(windows[[2010, 2011, 2012]], years=range(2009, 2013))
    with pytest.raises(IdentificationError, match="do not tell the years 2009, 2010 apart"):
        yearly_populations(windows[[2010]], years=[2009, 2010])


def test_the_least_change_fills_what_is_not_known():
    windows = pd.DataFrame({2012: [100.0, 50.0]}, index=["a", "b"])
    found = yearly_populations(windows, years=range(2008, 2013), smoothing=1e-6)
    assert np.array(found) == pytest.approx(np.repeat([[100.0], [50.0]], 5, axis=1))
    # The flattest path through a mean of 100 that ends at 140, by Lagrange's multipliers.
    found = yearly_populations(
        windows, {2012: pd.Series([140.0, 50.0], index=["a", "b"])}, years=range(2008, 2013),
        smoothing=1e-7,
    )  # fmt: skip
    D = np.diff(np.eye(5), axis=0)
    C = np.vstack([np.full(5, 0.2), np.eye(5)[4]])
    system = np.block([[D.T @ D, C.T], [C, np.zeros((2, 2))]])
    want = np.linalg.solve(system, [0, 0, 0, 0, 0, 100, 140])[:5]
    assert np.array(found.loc["a"]) == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"windows": lambda t: -t}, "the period that ends in 2010 cannot be below zero, as in"),
        ({"windows": lambda t: t.drop("07").reindex(t.index)}, r"in 1 areas of the periods \(07\)"),
        ({"windows": lambda t: t.rename(columns=lambda c: f"y{c}")}, "label them by their year"),
        ({"windows": lambda t: t.rename(columns={2011: 2010})}, "name a year twice"),
        ({"windows": lambda t: pd.concat([t, t])}, "has 00, 01, .* twice"),
        ({"census": lambda t: t.drop("03")}, r"the counts of 2010 must have .*missing \(03\)"),
        ({"census": lambda t: t.rename("people")}, "the counts are labelled people"),
        ({"years": lambda t: [2010, 2012]}, "without a gap"),
        ({"years": lambda t: [2011, 2012]}, "the counts of 2010 lie outside"),
        ({"window": lambda t: 0}, "at least 1"),
        ({"smoothing": lambda t: -1.0}, "at least 0"),
        ({"margins_of_error": lambda t: t[[2010]]}, "lack the periods that end in 2011"),
        ({"margins_of_error": lambda t: t * 0}, "a margin of error of 00 is zero"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_a_sentence(change, says):
    people = truth()
    windows = windows_of(people)
    given = {
        "windows": windows, "census": people[2010], "years": YEARS, "window": 5,
        "smoothing": 0.0, "margins_of_error": windows * 0 + 5.0,
    }  # fmt: skip
    given |= {name: spoil(given[name]) for name, spoil in change.items()}
    with pytest.raises(NestflowError, match=says):
        yearly_populations(given.pop("windows"), given.pop("census"), **given)


def test_margins_of_years_are_the_spread_of_their_estimates():
    rng = np.random.default_rng(8)
    R = 4000
    # Samples grow, so that errors fall; each year's sample is its own.
    error = pd.Series(np.linspace(30.0, 20.0, len(YEARS)), index=YEARS)
    drawn = pd.DataFrame(
        1000 + rng.standard_normal((R, len(YEARS))) * error.to_numpy(), columns=YEARS
    )
    drawn[2010] = 1000.0
    drawn.index = drawn.index.map(str)
    found = yearly_populations(windows_of(drawn), drawn[2010], years=YEARS)
    periods = {e: np.sqrt((error[[t for t in range(e - 4, e + 1) if t in YEARS]] ** 2).mean() / 5)
               for e in ENDS}  # fmt: skip
    margins = yearly_margins(Z_90 * pd.DataFrame(periods, index=["all"]), years=YEARS)
    known = [t for t in YEARS if t != 2010]
    spread = found[known].std() * Z_90
    assert np.array(margins.loc["all", known]) == pytest.approx(np.array(spread), rel=0.05)


def test_margins_that_are_none_are_refused():
    margins = pd.DataFrame({2012: [3.0, -1.0]}, index=["a", "b"])
    with pytest.raises(NestflowError, match="negative or not finite"):
        yearly_margins(margins)
    exact = yearly_margins(margins * 0, years=range(2010, 2013))
    assert (exact == 0).all().all()
