import numpy as np
import pytest
from shapely import box, union_all

from choicemodels.errors import SpecificationError
from choicemodels.flows.geography import EARTH_RADIUS
from choicemodels.keyed_random import Streams
from choicemodels.nation.cutting import cut
from choicemodels.nation.geography import lay_out
from choicemodels.nation.parameters import SIZES, NationParameters, NationSize

parameters = NationParameters()


def test_boxes_have_the_areas_asked_for_and_fill_their_parents():
    parents = np.array([[0.0, 0.0, 30.0, 20.0], [50.0, -10.0, 60.0, 40.0]])
    parent = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    weight = np.array([1.0, 2.0, 3.0, 2.0, 4.0, 1.0, 1.0, 2.0])
    boxes = cut(parents, parent, weight)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    np.testing.assert_allclose(area, [50, 100, 150, 100, 200, 125, 125, 250])
    for k in range(2):
        union = union_all(box(*boxes[parent == k].T))
        assert union.symmetric_difference(box(*parents[k])).area < 1e-9


def test_places_fill_the_box_without_overlap():
    places = lay_out(SIZES["village"], parameters, Streams(1))
    cells = box(*places.bounds.T)
    union = union_all(cells)
    assert union.area == pytest.approx(sum(cell.area for cell in cells), rel=1e-12)
    assert union.area == pytest.approx(union.envelope.area, rel=1e-12)
    assert places.square_km.sum() == pytest.approx(8 * parameters.county_area)


def test_square_kilometres_are_those_of_the_sphere():
    places = lay_out(SIZES["state"], parameters, Streams(1))
    west, south, east, north = np.radians(places.bounds).T
    area = EARTH_RADIUS**2 * (east - west) * (np.sin(north) - np.sin(south))
    np.testing.assert_allclose(places.square_km, area, rtol=1e-8)


@pytest.mark.parametrize("name", ["village", "town", "state"])
def test_a_nation_has_as_many_areas_as_its_size_says(name):
    size = SIZES[name]
    places = lay_out(size, parameters, Streams(3))
    geoids = places.geoids.astype(str)
    assert len(np.unique(geoids)) == len(geoids) == size.block_groups
    assert list(geoids) == sorted(geoids)
    for digits, count in ((2, size.states), (5, size.counties), (11, size.tracts)):
        assert len({geoid[:digits] for geoid in geoids}) == count
    assert not any(geoid.endswith("0") for geoid in geoids)


def test_tracts_are_smaller_amid_their_county():
    places = lay_out(SIZES["state"], parameters, Streams(2))
    central = places.centrality > 0.7
    outer = places.centrality < 0.2
    assert np.median(places.square_km[outer]) > 20 * np.median(places.square_km[central])


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((0, 8, 34, 100), "cannot have 0 states"),
        ((3, -8, 34, 100), "cannot have -8 counties"),
        ((3, 8.5, 34, 100), "cannot have 8.5 counties"),
        ((3, 8, 7, 100), "7 tracts cannot fill 8 counties"),
        ((1, 1, 1, 1), "one block group"),
        ((100, 100, 100, 100), "100 states are more than the digits"),
        ((1, 400, 400, 400), "400 counties are more than the digits"),
        ((1, 1, 1_000_000, 1_000_000), "1,000,000 tracts are more than the digits"),
        ((1, 1, 10, 41), "41 block_groups are more than the digits"),
    ],
)
def test_sizes_that_cannot_be_are_refused(counts, message):
    with pytest.raises(SpecificationError, match=message):
        NationSize(*counts)


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize(
    "size", [NationSize(2, 666, 2_000, 8_000), NationSize(12, 3_996, 4_000, 9_000)]
)
def test_the_largest_sizes_of_geoids_can_be_numbered(size, seed):
    places = lay_out(size, parameters, Streams(seed))
    assert set(map(len, places.geoids.tolist())) == {12}
    assert len(set(places.geoids.tolist())) == size.block_groups


def test_a_nation_larger_than_the_map_is_refused():
    with pytest.raises(SpecificationError, match=r"reach beyond the pole; lower .* county_area"):
        lay_out(SIZES["town"], NationParameters(county_area=5e6), Streams(1))
