"""Flows to estimate: two published tables and generated panels."""

import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData, load_data


@pytest.fixture(scope="session")
def austria():
    return FlowData(
        load_data("austria_flows"), origin="origin", destination="destination", flow="flow"
    )


@pytest.fixture(scope="session")
def canada():
    return FlowData(
        load_data("canada_migration"), origin="source", destination="destination", flow="migrants"
    )


def make_panel(places=12, years=4, seed=1):
    """Migration between places over years, with a third of zeros and a dead place-year."""
    rng = np.random.default_rng(seed)
    o, d, t = (a.ravel() for a in np.indices((places, places, years)))
    xy = rng.uniform(0, 1000, size=(places, 2))
    distance = np.hypot(*(xy[o] - xy[d]).T) + 50
    push, pull = rng.normal(0, 0.7, (places, years)), rng.normal(0, 0.7, (places, years))
    pair = rng.normal(0, 0.5, (places, places))
    frame = pd.DataFrame(
        {
            "origin": np.char.add("P", o.astype(str)),
            "destination": np.char.add("P", d.astype(str)),
            "year": 2000 + t,
            "distance": distance,
            "treaty": (rng.uniform(size=len(o)) < 0.3).astype(float),
            "gap": 0.5 * push[o, t] - 0.5 * pull[d, t] + rng.normal(0, 0.3, len(o)),
        }
    )
    eta = 5 - 0.9 * np.log(distance) + 0.4 * frame["treaty"] + 0.3 * frame["gap"]
    mu = np.exp(eta + 3 + push[o, t] + pull[d, t] + pair[o, d]) * rng.gamma(2, 0.5, len(o))
    frame["migrants"] = rng.poisson(mu * (rng.uniform(size=len(o)) > 0.25)).astype(float)
    frame.loc[(frame["origin"] == "P3") & (frame["year"] == 2001), "migrants"] = 0.0
    frame["pair"] = frame["origin"] + "-" + frame["destination"]
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)


@pytest.fixture(scope="session")
def draw_panel():
    return make_panel


@pytest.fixture(scope="session")
def panel_table():
    return make_panel()


@pytest.fixture(scope="session")
def panel(panel_table):
    return FlowData(
        panel_table, origin="origin", destination="destination", flow="migrants", time="year"
    )
