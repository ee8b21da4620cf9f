import pandas as pd
import pytest

from choicemodels.migration.areas import Areas


@pytest.fixture
def areas():
    """Two states, three counties, seven block groups, not in sorted order."""
    table = pd.DataFrame(
        {
            "block_group": ["b3", "a1", "a2", "b1", "b2", "c1", "c2"],
            "county": ["B", "A", "A", "B", "B", "C", "C"],
            "state": ["N", "N", "N", "N", "N", "S", "S"],
            "population": [30.0, 10.0, 20.0, 40.0, 50.0, 60.0, 70.0],
        }
    )
    return Areas.from_table(table, "block_group", ["county", "state"])
