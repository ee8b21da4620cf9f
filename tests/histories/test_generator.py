"""Drawn lives: reproducible, true to the matrix they are drawn from, flawed as asked for."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from choicemodels import Areas, MigrationMatrix
from choicemodels.errors import DataError, SpecificationError
from choicemodels.histories.generator import HistoryFlaws, generate_histories, zip_crosswalk
from choicemodels.histories.geocoding import Geocoder
from choicemodels.histories.matrices import matrices_from_histories

N = 24
TABLE = pd.DataFrame(
    {
        "block_group": [f"{k:02d}" for k in range(N)],
        "tract": [f"t{k // 2:02d}" for k in range(N)],
        "county": [f"c{k // 16}" for k in range(N)],
        "population": np.arange(N) + 10.0,
    }
)
AREAS = Areas.from_table(TABLE, "block_group", ["tract", "county"])


def truth():
    rng = np.random.default_rng(1)
    people = rng.integers(0, 9, (N, N)) + np.diag(rng.integers(200, 600, N))
    # Nobody ever lived in one of the areas.
    people[3] = people[:, 3] = 0
    rows, columns = np.nonzero(people)
    indptr = np.searchsorted(rows, np.arange(N + 1))
    return MigrationMatrix(AREAS, indptr, columns, people[rows, columns].astype(float), 2015)


def read(generated):
    return pd.concat([pq.read_table(path).to_pandas() for path in generated.paths])


def test_lives_do_not_depend_on_pieces_and_more_people_add_to_fewer(tmp_path):
    one = read(generate_histories(tmp_path / "a", truth(), 300, years=3))
    pieces = generate_histories(tmp_path / "b", truth(), 400, years=3, piece=90)
    assert len(pieces.paths) == 5
    assert pieces.rows == len(read(pieces))
    pd.testing.assert_frame_equal(
        one.reset_index(drop=True), read(pieces).iloc[: len(one)].reset_index(drop=True)
    )
    other = read(generate_histories(tmp_path / "c", truth(), 300, years=3, seed=2))
    assert not one["address"].reset_index(drop=True).equals(other["address"])


def test_the_matrix_of_many_lives_is_the_truth_within_the_error_of_sampling(tmp_path):
    n = 60_000
    drawn = generate_histories(tmp_path, truth(), n, flaws=HistoryFlaws.none(), january=True)
    found = matrices_from_histories(drawn.paths, Geocoder.exact(AREAS), [2015])[2015]
    assert found.total == n
    expected = truth().flows.toarray() * n / truth().total
    observed = found.flows.toarray()
    assert not observed[expected == 0].any()
    cells = expected > 5
    z = (observed - expected)[cells] / np.sqrt(expected[cells] * (1 - expected[cells] / n))
    # Chi-square over its degrees of freedom, within four standard errors.
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / cells.sum())
    assert abs(found.stayers.sum() - np.trace(expected)) < 4 * np.sqrt(np.trace(expected))


def test_moves_on_any_day_are_answered_from_their_month_on(tmp_path):
    n = 40_000
    lives = generate_histories(tmp_path, truth(), n, flaws=HistoryFlaws.none())
    found = matrices_from_histories(lives.paths, Geocoder.exact(AREAS), [2015]).by_year
    w = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) / 365
    answered = (w * w[::-1].cumsum()[::-1]).sum()
    moved = 1 - truth().stayers.sum() / truth().total
    error = np.sqrt(moved / n)
    assert found.loc[2015, "movers"] / n == pytest.approx(moved * answered, abs=4 * error)


@pytest.mark.slow
def test_former_homes_lengthen_histories_and_change_no_answer(tmp_path):
    known = {"flaws": HistoryFlaws.none(), "years": 2}
    short = generate_histories(tmp_path / "a", truth(), 3000, former=0, **known)
    long = generate_histories(tmp_path / "b", truth(), 3000, former=2, **known)
    # A geometric number of mean 2, cut at 6: the sum of (2/3)**k for k of 1 to 6.
    mean = sum((2 / 3) ** k for k in range(1, 7))
    assert (long.rows - short.rows) / 3000 == pytest.approx(mean, abs=0.15)
    one, other = (
        matrices_from_histories(lives.paths, Geocoder.exact(AREAS), [2015, 2016])
        for lives in (short, long)
    )
    for year in one:
        assert np.array_equal(one[year].values, other[year].values)


def test_flaws_come_as_often_as_asked_for(tmp_path):
    flaws = HistoryFlaws(
        undated=0.3, boxes=0.2, ties=0.1, deceased=0.25, unlisted=0.4, zip_only=0.35
    )
    drawn = generate_histories(tmp_path, truth(), 8000, years=4, flaws=flaws)
    frame = read(drawn)
    homes = frame[frame["category"] == "clean"]
    people = frame.drop_duplicates("person")
    assert len(people) == 8000
    assert people["deceased"].mean() == pytest.approx(0.25, abs=0.02)
    assert people["start"].isna().mean() == pytest.approx(0.4, abs=0.02)
    assert frame["block_group"].isna().mean() == pytest.approx(0.35, abs=0.03)
    # Each tenth home has a second address; the first one of a person is dated.
    count = len(homes) / 1.1
    assert (frame["category"] == "PO_box").sum() / count == pytest.approx(0.2, abs=0.02)
    undated = homes["effective"].isna().sum() / (count - len(people))
    assert undated == pytest.approx(0.3, abs=0.02)
    assert frame["zip"].notna().all()
    died = people[people["deceased"] & people["end"].notna()]
    assert (pd.to_datetime(died["end"]) < "2019-01-01").all()


def test_zip_codes_nest_in_counties_and_place_every_address(tmp_path):
    table = zip_crosswalk(AREAS)
    county = TABLE.drop_duplicates("tract").set_index("tract")["county"]
    assert (table.groupby("zip")["tract"].agg(lambda t: county[t].nunique()) == 1).all()
    people = TABLE.groupby("tract")["population"].sum()
    pd.testing.assert_series_equal(
        table.groupby("tract")["weight"].sum(), people, check_names=False
    )
    # Eight tracts and four: those after each third go on with the next code.
    assert sorted(table["tract"][table["tract"].duplicated()]) == ["t02", "t05", "t10"]
    drawn = generate_histories(tmp_path, truth(), 500, years=2)
    found = matrices_from_histories(
        drawn.paths, Geocoder.from_crosswalk(AREAS, drawn.crosswalk), [2015, 2016]
    )
    assert (found.by_year["lost"] == 0).all()


@pytest.mark.parametrize("name", ["people", "years", "piece"])
def test_numbers_below_one_are_refused(tmp_path, name):
    numbers = {"people": 10, "years": 1, "piece": 10, name: 0}
    people = numbers.pop("people")
    with pytest.raises(SpecificationError, match=f"{name} is 0; draw one or more"):
        generate_histories(tmp_path, truth(), people, **numbers)


def test_lives_need_people_a_year_and_shares(tmp_path):
    whole = truth()
    nobody = whole.with_values(whole.values * 0)
    timeless = MigrationMatrix(AREAS, whole.indptr, whole.indices, whole.values)
    for matrix in (nobody, timeless):
        with pytest.raises(DataError, match="no people or no year"):
            generate_histories(tmp_path, matrix, 10)
    with pytest.raises(SpecificationError, match="years is 100; lives are drawn for 99 at most"):
        generate_histories(tmp_path, whole, 10, years=100)
    with pytest.raises(SpecificationError, match="former is -1; an average of homes"):
        generate_histories(tmp_path, whole, 10, former=-1)
    with pytest.raises(SpecificationError, match=r"ties is 1.5; a share lies between 0 and 1"):
        HistoryFlaws(ties=1.5)
