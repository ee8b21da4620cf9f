"""Distances: published ways, identities, brute force, and coordinates that cannot be."""

import numpy as np
import pandas as pd
import pytest

from choicemodels.errors import DataError, SpecificationError
from choicemodels.flows.geography import (
    EARTH_RADIUS,
    contiguity,
    distance_matrix,
    great_circle,
    half_nearest_distance,
    internal_distance,
    shared_boundaries,
    weighted_distance,
)


def degrees(d, m, s):
    return d + m / 60 + s / 3600


def test_published_ways():
    """Land's End to John o' Groats (Veness: 968.9 km), Nashville to Los Angeles (Rosetta Code)."""
    britain = great_circle(
        degrees(50, 3, 59), -degrees(5, 42, 53), degrees(58, 38, 38), -degrees(3, 4, 12),
        radius=6371,
    )  # fmt: skip
    assert britain == pytest.approx(968.9, abs=0.05)
    airports = great_circle(36.12, -86.67, 33.94, -118.40, radius=6372.8)
    assert airports == pytest.approx(2887.2599506071, rel=1e-12)


def test_the_sphere_s_own_lengths():
    quarter = np.pi / 2 * EARTH_RADIUS
    assert great_circle(0, 0, 90, 17) == pytest.approx(quarter, rel=1e-15)
    assert great_circle(12, 34, -12, -146) == pytest.approx(2 * quarter, rel=1e-12)
    assert great_circle(0, 350, 0, -10) == pytest.approx(0, abs=1e-9)
    # One metre apart, where the law of cosines has lost half its digits.
    metre = np.degrees(1e-3 / EARTH_RADIUS)
    assert great_circle(48, 16, 48 + metre, 16) == pytest.approx(1e-3, rel=1e-8)


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return np.degrees(np.arcsin(rng.uniform(-1, 1, 40))), rng.uniform(-180, 180, 40)


def test_distances_are_a_metric_and_the_angle_between_vectors(points):
    lat, lon = (pd.Series(x) for x in points)
    d = distance_matrix(lat, lon).to_numpy()
    np.testing.assert_allclose(d, d.T, rtol=1e-14)
    assert (np.diag(d) == 0).all()
    assert (d[:, :, None] + d[None] >= d[:, None] - 1e-9).all()
    phi, lam = np.radians(points)
    xyz = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    np.fill_diagonal(cosines := np.clip(xyz.T @ xyz, -1, 1), 1)
    np.testing.assert_allclose(d, EARTH_RADIUS * np.arccos(cosines), rtol=1e-8)


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [
        ([48, 91.5], [16, 200], r"latitude is missing or not between -90 and 90 in 1 .*at 1: 91.5"),
        ([16, 140.0], [48, -37], "are latitude and longitude swapped"),
        ([48, np.nan], [16, 11], "latitude is missing"),
        ([48, 47], [16, 400], "longitude .* -360 and 360 in 1 places .*give degrees"),
        ([48, 47], [16, np.inf], "longitude"),
    ],
)
def test_impossible_coordinates_are_refused(lat, lon, message):
    with pytest.raises(DataError, match=message):
        great_circle(lat, lon, 0, 0)


def test_latitude_and_longitude_belong_to_the_same_places():
    with pytest.raises(DataError, match="different places"):
        distance_matrix(pd.Series([1.0], index=["a"]), pd.Series([1.0], index=["b"]))


def test_internal_distances():
    assert internal_distance(np.pi * 100) == pytest.approx(6.7)
    rng = np.random.default_rng(1)
    disk = np.sqrt(rng.uniform(size=200_000)).mean()
    assert internal_distance(np.pi, factor=2 / 3) == pytest.approx(disk, abs=0.002)
    with pytest.raises(DataError, match=r"area is not above zero in 1 places .*at 1: 0"):
        internal_distance([1, 0])


def test_half_the_way_to_the_nearest():
    d = pd.DataFrame([[0, 4, 6], [4, 0, 3], [6, 3, 0.0]], index=list("abc"), columns=list("abc"))
    assert half_nearest_distance(d).tolist() == [2, 1.5, 1.5]
    with pytest.raises(DataError, match="two places or more"):
        half_nearest_distance(d.loc[["a"], ["a"]])
    with pytest.raises(DataError, match="distances are missing"):
        half_nearest_distance(d.where(d != 3))


@pytest.mark.parametrize("theta", [-1.0, 0.0, 1.0, 2.5])
def test_weighted_distances_are_generalized_means(theta, points):
    lat, lon = points
    rng = np.random.default_rng(2)
    people, place = rng.integers(0, 9, 40), rng.choice(list("xyz"), 40)
    own = rng.uniform(1, 5, 40)
    found = weighted_distance(lat, lon, people, place, theta=theta, internal=own)
    d = great_circle(lat[:, None], lon[:, None], lat, lon)
    np.fill_diagonal(d, own)
    for a in "xyz":
        for b in "xyz":
            w = np.outer(people * (place == a), people * (place == b))
            mean = np.exp((w * np.log(d)).sum() / w.sum())
            if theta:
                mean = ((w * d**theta).sum() / w.sum()) ** (1 / theta)
            assert found.loc[a, b] == pytest.approx(mean, rel=1e-12)


def test_places_of_one_unit_have_its_distances(points):
    lat, lon = points
    found = weighted_distance(lat, lon, np.ones(40), np.arange(40), theta=-1, internal=np.ones(40))
    expected = distance_matrix(pd.Series(lat), pd.Series(lon)).to_numpy() + np.eye(40)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_weighted_distances_refuse_what_has_no_mean():
    lat, lon = [48.0, 48.0, 47.0], [16.0, 16.0, 15.0]
    with pytest.raises(DataError, match=r"units of a and a lie at distance zero.*theta=-1"):
        weighted_distance(lat, lon, [1, 1, 1], list("baa"), theta=-1, internal=[1, 0, 0])
    with pytest.raises(DataError, match="no unit of b has population"):
        weighted_distance(lat, lon, [1, 1, 0], list("aab"))
    with pytest.raises(DataError, match="population is negative or not finite in 1 units"):
        weighted_distance(lat, lon, [1, -1, 1], list("aab"))
    with pytest.raises(DataError, match="a unit has no place"):
        weighted_distance(lat, lon, [1, 1, 1], ["a", None, "b"])
    with pytest.raises(SpecificationError, match="theta is nan"):
        weighted_distance(lat, lon, [1, 1, 1], list("aab"), theta=np.nan)


def test_contiguity():
    listed = pd.DataFrame({"place": [1, 2, 2], "neighbour": ["2", "1", "3"]})
    found = contiguity(listed, [1, 2, 3, 4])
    np.testing.assert_array_equal(found, [[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    with pytest.raises(DataError, match="names 3 in column 'neighbour'"):
        contiguity(listed, [1, 2])
    with pytest.raises(DataError, match="1 is listed as its own neighbour"):
        contiguity(pd.DataFrame({"place": [1], "neighbour": [1]}), [1])
    with pytest.raises(DataError, match="places 1 are listed more than once"):
        contiguity(listed, [1, 1, 2, 3])


class Rectangle:
    """As much of a shapely geometry as neighbours need."""

    def __init__(self, *bounds):
        self.bounds = bounds

    def intersects(self, other):
        a, b = self.bounds, other.bounds
        return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]

    def touches(self, other):
        a, b = self.bounds, other.bounds
        inside = a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        return self.intersects(other) and not inside


def test_shared_boundaries():
    shapes = pd.Series(
        {
            "west": Rectangle(0, 0, 1, 1),
            "east": Rectangle(1, 0, 2, 1),
            "far": Rectangle(5, 5, 6, 6),
            "over": Rectangle(1.9, 0, 3, 1),
        }
    )
    touching = shared_boundaries(shapes)
    assert touching.loc["west"].to_dict() == {"west": 0, "east": 1, "far": 0, "over": 0}
    assert touching.loc["east", "over"] == 0
    meeting = shared_boundaries(shapes, relation="intersects")
    assert meeting.loc["over"].to_dict() == {"west": 0, "east": 1, "far": 0, "over": 0}
    np.testing.assert_array_equal(meeting, meeting.T)
    with pytest.raises(DataError, match="b has no shape with bounds"):
        shared_boundaries(pd.Series({"a": shapes["west"], "b": "POLYGON"}))
    with pytest.raises(DataError, match="places west are listed more than once"):
        shared_boundaries(shapes[["west", "west"]])
    with pytest.raises(SpecificationError, match="relation is 'within'"):
        shared_boundaries(shapes, relation="within")
