"""The answers of the published code, person by person."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from choicemodels import Areas
from choicemodels.histories.geocoding import Geocoder
from choicemodels.histories.layouts import WideLayout
from choicemodels.histories.matrices import matrices_from_histories
from choicemodels.histories.rules import HistoryRules

FOLDER = Path(__file__).parents[1] / "published/AgostiniYoungFitzpatrickGargPierson2025"
SLOTS = 7


@pytest.mark.parametrize(("padding", "pad_deceased"), [("padded", True), ("alive only", False)])
def test_the_answers_are_those_of_the_published_code(padding, pad_deceased):
    wide = pd.read_csv(FOLDER / "histories.csv", dtype=str)
    published = pd.read_csv(FOLDER / "histories_answers.csv")
    published = published[published["padding"] == padding]
    # An area for each person and address keeps the people apart.
    names = [f"ADDRID{k}" for k in range(1, SLOTS + 1)]
    for name in names:
        wide[name] = (wide["PID"] + "/" + wide[name]).where(wide[name].notna())
    labels = sorted(set(wide[names].stack().dropna()))
    areas = Areas.from_table(
        pd.DataFrame({"block_group": labels, "county": "all"}), "block_group", ["county"]
    )
    found = matrices_from_histories(
        wide,
        Geocoder.exact(areas),
        sorted(published["year"].unique()),
        layout=WideLayout(slots=SLOTS),
        addresses=pd.DataFrame({"address": labels, "block_group": labels}),
        rules=HistoryRules(pad_deceased=pad_deceased),
    )
    assert found.record["people"] == len(wide)
    for year, rows in published.groupby("year"):
        expected = np.zeros((len(labels), len(labels)))
        for end in ("origin", "destination"):
            rows = rows.assign(**{end: rows["person"].map(str) + "/" + rows[end].map(str)})
        origin, destination = (areas.labels.get_indexer(rows[e]) for e in ("origin", "destination"))
        expected[origin, destination] = rows["probability"]
        # The published answers are floating point, printed to twelve digits.
        np.testing.assert_allclose(found[year].flows.toarray(), expected, rtol=0, atol=2e-12)
