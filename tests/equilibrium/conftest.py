"""Trade between a few places: a structural economy whose counterfactual is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import root

from choicemodels import FlowData

SIGMA = 5.0
BETA = {"log(distance)": -0.9, "agreement": 0.4, "border": -1.5}


def solve_levels(cost, taste, endowment, deficit, sigma=SIGMA, supply=0.0):
    """Return flows of an economy in levels, by a general root finder.

    ``cost`` holds (t_od)^(1 - sigma); spending is ``deficit * output``, scaled to the world's
    output, and the first price is one.
    """

    def flows(log_price):
        price = np.exp(np.concatenate([[0.0], log_price]))
        weights = cost * ((taste * price) ** (1 - sigma))[:, None]
        index = weights.sum(axis=0) ** (1 / (1 - sigma))
        output = price * endowment * (price / index) ** supply
        spending = deficit * output
        spending *= output.sum() / spending.sum()
        return weights / weights.sum(axis=0) * spending, output

    def excess(log_price):
        X, output = flows(log_price)
        return (X.sum(axis=1) / output - 1)[1:]

    found = root(excess, np.zeros(len(taste) - 1), tol=1e-14)
    assert np.abs(excess(found.x)).max() < 1e-11
    return flows(found.x)[0]


def make_trade(N=7, seed=3, agreement=None):
    """Return the regressors of all pairs and the exact flows of the economy, shape (N * N,)."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 100, (N, 2))
    o, d = (a.ravel() for a in np.indices((N, N)))
    frame = pd.DataFrame(
        {
            "exporter": np.char.add("P", o.astype(str)),
            "importer": np.char.add("P", d.astype(str)),
            "distance": np.hypot(*(xy[o] - xy[d]).T) + 5.0,
            "border": (o != d).astype(float),
        }
    )
    signed = rng.uniform(size=(N, N)) < 0.3
    signed = (signed | signed.T) & ~np.eye(N, dtype=bool)
    frame["agreement"] = (signed.ravel() if agreement is None else agreement).astype(float)
    taste, endowment = rng.lognormal(0, 0.3, N), rng.lognormal(3, 0.8, N)
    deficit = rng.uniform(0.85, 1.15, N)
    eta = (
        BETA["log(distance)"] * np.log(frame["distance"])
        + BETA["agreement"] * frame["agreement"]
        + BETA["border"] * frame["border"]
    )
    cost = np.exp(eta.to_numpy()).reshape(N, N)
    frame["trade"] = 1000 * solve_levels(cost, taste, endowment, deficit).ravel()
    return frame


def as_flows(frame, **options):
    return FlowData(frame, origin="exporter", destination="importer", flow="trade", **options)


@pytest.fixture(scope="session")
def trade_table():
    return make_trade()


@pytest.fixture(scope="session")
def trade(trade_table):
    return as_flows(trade_table)


@pytest.fixture(scope="session")
def noisy(trade_table):
    """The same trade, measured with errors, and one pair that does not trade."""
    rng = np.random.default_rng(5)
    frame = trade_table.assign(trade=trade_table["trade"] * rng.gamma(20, 1 / 20, len(trade_table)))
    frame.loc[1, "trade"] = 0.0
    return as_flows(frame)
