"""Flows between places: Austria's, and a generated square system with ties and zeros."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData, load_data

MASSES = {"origin_mass": "origin_mass", "destination_mass": "destination_mass"}


@pytest.fixture(scope="session")
def masses():
    return MASSES


@pytest.fixture(scope="session")
def austria():
    return FlowData(
        load_data("austria_flows"), origin="origin", destination="destination", flow="flow"
    )


def make_places(count=12, seed=3):
    """A table of all pairs, in shuffled order, on a grid of whole kilometres: distances tie."""
    rng = np.random.default_rng(seed)
    o, d = (a.ravel() for a in np.indices((count, count)))
    xy = rng.permutation(100)[:count]
    x, y = 10.0 * (xy % 10), 10.0 * (xy // 10)
    send, draw = rng.gamma(2, 500, count).round() + 50, rng.gamma(2, 500, count).round() + 50
    names = np.array([f"P{i:02d}" for i in range(count)])
    table = pd.DataFrame(
        {
            "origin": names[o],
            "destination": names[d],
            "distance": np.hypot(x[o] - x[d], y[o] - y[d]),
            "origin_mass": send[o],
            "destination_mass": draw[d],
        }
    )
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


@pytest.fixture(scope="session")
def places():
    return make_places()


def flows_of(table, mu, seed=5):
    """Draw Poisson flows with these means, and keep them as flow data."""
    y = np.random.default_rng(seed).poisson(mu).astype(float)
    return FlowData(table.assign(flow=y), origin="origin", destination="destination", flow="flow")


@pytest.fixture(scope="session")
def make_flows():
    return flows_of
