"""Addresses spread over areas, against the matrices written out."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import Areas, MigrationMatrix
from choicemodels.errors import DataError, SpecificationError
from choicemodels.histories.geocoding import Geocoder
from choicemodels.histories.matrices import matrices_from_histories, with_least_stayers

TABLE = pd.DataFrame(
    {
        "block_group": ["A1", "A2", "B1", "B2", "C1"],
        "tract": ["A", "A", "B", "B", "C"],
        "population": [100.0, 300.0, 0.0, 0.0, 50.0],
    }
)
AREAS = Areas.from_table(TABLE, "block_group", ["tract"])


def crosswalk(*rows):
    return pd.DataFrame(rows, columns=["zip", "tract", "weight"])


def test_zip_codes_spread_over_tracts_and_their_people():
    geocoder = Geocoder.from_crosswalk(AREAS, crosswalk(("z", "A", 0.3), ("z", "C", 0.1)))
    np.testing.assert_allclose(
        geocoder.shares.toarray(), [[0.75 * 0.25, 0.75 * 0.75, 0, 0, 0.25]], atol=1e-15
    )
    assert geocoder.size == 6


def test_areas_without_people_and_tracts_without_weight_share_equally():
    geocoder = Geocoder.from_crosswalk(
        AREAS, crosswalk(("y", "B", 0.0), ("y", "C", 0.0), ("z", "B", 2.0))
    )
    np.testing.assert_allclose(
        geocoder.shares.toarray(), [[0, 0, 0.25, 0.25, 0.5], [0, 0, 0.5, 0.5, 0]]
    )


def test_unknown_tracts_leave_their_part_to_the_others_and_are_counted():
    geocoder = Geocoder.from_crosswalk(
        AREAS, crosswalk(("z", "A", 0.5), ("z", "nowhere", 0.5), ("y", "nowhere", 1.0))
    )
    assert geocoder.zips.tolist() == ["z"]
    np.testing.assert_allclose(geocoder.matrix.toarray().sum(axis=1), 1.0, rtol=1e-15)
    assert geocoder.record == {
        "rows of the crosswalk without a known area": 2,
        "ZIP codes without a known area": 1,
    }


def test_a_crosswalk_may_name_the_areas_themselves():
    rows = pd.DataFrame({"zip": ["z", "z"], "block_group": ["A1", "C1"], "share": [1, 3]})
    geocoder = Geocoder.from_crosswalk(AREAS, rows, area="block_group", weight="share")
    np.testing.assert_allclose(geocoder.shares.toarray(), [[0.25, 0, 0, 0, 0.75]])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("z", "A", -1.0)], r"'weight' is negative or not finite in 1 rows \(such as z: -1.0\)"),
        ([("z", "A", np.nan)], "'weight' is negative or not finite"),
        ([("z", "A", 1.0), ("z", "A", 1.0)], r"repeat a pair \(the first: z and A\)"),
        ([("z", "01", 1.0)], "no row of the crosswalk names a tract of the areas .* leading zeros"),
        ([("z", "A", "half")], "column 'weight' of the crosswalk is not numeric"),
    ],
)
def test_crosswalks_that_cannot_be_used_are_refused(rows, message):
    with pytest.raises(DataError, match=message):
        Geocoder.from_crosswalk(AREAS, crosswalk(*rows))


def test_a_crosswalk_needs_its_columns_and_the_areas_their_people():
    with pytest.raises(DataError, match="the crosswalk has no column 'weight'"):
        Geocoder.from_crosswalk(AREAS, crosswalk(("z", "A", 1)).drop(columns="weight"))
    bare = Areas.from_table(TABLE.drop(columns="population"), "block_group", ["tract"])
    with pytest.raises(DataError, match="no column 'population'"):
        Geocoder.from_crosswalk(bare, crosswalk(("z", "A", 1.0)))


def written_out(moves, places, geocoder):
    """Return E = G'(A - diag A)G + diag(G' diag A) from A and G, address by address."""
    A = np.zeros((len(places), len(places)))
    for origin, destination in moves:
        A[origin, destination] += 1
    G = geocoder.matrix.toarray()[places]
    stayed = np.diag(np.diag(A))
    return G.T @ (A - stayed) @ G + np.diag(G.T @ np.diag(A))


def test_places_instead_of_addresses_change_nothing():
    rng = np.random.default_rng(1)
    geocoder = Geocoder.from_crosswalk(
        AREAS,
        crosswalk(
            ("x", "A", 0.2), ("x", "B", 0.8), ("y", "B", 1.0), ("z", "C", 0.5), ("z", "A", 1)
        ),
    )
    # Forty addresses in eight places: most places hold several.
    places = rng.integers(0, geocoder.size, 40)
    moves = rng.integers(0, 40, (300, 2))
    moves[:100, 1] = moves[:100, 0]
    labels = [*AREAS.labels, *geocoder.zips]
    rows = []
    for person, (origin, destination) in enumerate(moves.tolist()):
        for address, when in ((origin, "2010-01-01"), (destination, "2015-01-01")):
            exact = places[address] < AREAS.size
            label = labels[places[address]]
            rows.append((person, address, when, label if exact else None, None if exact else label))
    frame = pd.DataFrame(rows, columns=["person", "address", "effective", "block_group", "zip"])
    frame = frame.assign(category="clean", start=None, end=None, deceased=False)
    found = matrices_from_histories(frame, geocoder, [2015])[2015]
    np.testing.assert_allclose(
        found.flows.toarray(), written_out(moves, places, geocoder), rtol=1e-13, atol=1e-13
    )
    assert found.total == pytest.approx(300, rel=1e-14)


def test_stayers_are_raised_to_one_and_nothing_else_changes():
    rows = pd.DataFrame(
        {
            "origin": ["A1", "A2", "A2", "B1"],
            "destination": ["A2", "A2", "C1", "B1"],
            "people": [2.0, 0.4, 3.0, 7.0],
        }
    )
    raw = MigrationMatrix.from_rows(rows, AREAS, year=2015)
    raised = with_least_stayers(raw)
    assert raised.stayers.tolist() == [1.0, 1.0, 7.0, 1.0, 1.0]
    assert raised.year == 2015
    moves = raised.flows.toarray() - np.diag(raised.stayers)
    np.testing.assert_array_equal(moves, raw.flows.toarray() - np.diag(raw.stayers))
    with pytest.raises(SpecificationError, match="-1 stayers cannot be asked for"):
        with_least_stayers(raw, -1)
