import numpy as np
import pytest
from shapely import Polygon, union_all

from choicemodels.errors import SpecificationError
from choicemodels.nation.event import draw_perimeter, shapes_of, with_wildfire
from choicemodels.nation.generator import next_year


def test_a_tenth_burned_makes_the_perimeter(town):
    perimeter = draw_perimeter(town.areas)
    cells = shapes_of(town.areas)
    fire = Polygon(perimeter.polygon)
    assert fire.is_valid
    share = np.array([cell.intersection(fire).area / cell.area for cell in cells])
    np.testing.assert_array_equal(perimeter.areas, town.areas.labels[share >= 0.1])
    np.testing.assert_array_equal(perimeter.burned.index, town.areas.labels[share > 0])
    np.testing.assert_allclose(perimeter.burned, share[share > 0])
    inside = town.areas.labels.isin(perimeter.areas)
    union = union_all(cells[inside].to_numpy())
    touching = np.array([union.intersects(cell) for cell in cells]) & ~inside
    np.testing.assert_array_equal(perimeter.neighbours, town.areas.labels[touching])
    assert 5 <= len(perimeter.areas) <= 20
    assert union_all(cells.to_numpy()).contains(fire)


def test_the_fire_drives_out_as_many_as_it_says(town):
    burned, perimeter = with_wildfire(town)
    usual, same = with_wildfire(town, leaving=0.15)
    np.testing.assert_array_equal(perimeter.polygon, same.polygon)
    inside = town.areas.labels.isin(perimeter.areas)
    people = town.truth.before[inside].sum()
    for nation, rate in ((burned, 0.46), (usual, 0.15)):
        left = 1 - nation.truth.stayers[inside].sum() / people
        assert left == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / people))
        np.testing.assert_array_equal(nation.truth.stayers[~inside], town.truth.stayers[~inside])
    neither = [n.truth.flows[np.flatnonzero(~inside)] for n in (burned, town)]
    assert (neither[0] != neither[1]).nnz == 0


def test_the_year_after_a_fire_has_fewer_people_inside(town):
    burned, perimeter = with_wildfire(town)
    inside = town.areas.labels.isin(perimeter.areas)
    after = next_year(burned)
    assert after.truth.before[inside].sum() < 0.85 * burned.truth.before[inside].sum()
    np.testing.assert_allclose(draw_perimeter(after.areas).polygon, perimeter.polygon)


def test_another_seed_burns_elsewhere_and_one_block_group_can_burn_alone(town):
    first, second = (draw_perimeter(town.areas, seed).areas for seed in (1, 2))
    assert list(first) != list(second)
    assert 1 <= len(draw_perimeter(town.areas, 3, block_groups=1).areas) <= 6


def test_fires_larger_than_any_county_are_refused(village):
    with pytest.raises(SpecificationError, match="no county has 200 block groups"):
        with_wildfire(village, block_groups=100)
    with pytest.raises(SpecificationError, match="cannot reach 0 block groups"):
        draw_perimeter(village.areas, block_groups=0)
    with pytest.raises(SpecificationError, match=r"cannot reach 2\.5 block groups"):
        draw_perimeter(village.areas, block_groups=2.5)
    with pytest.raises(SpecificationError, match="give each area one from 0 to 1"):
        with_wildfire(village, leaving=1.4)
