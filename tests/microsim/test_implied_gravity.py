"""What the simulated flows say of distance is what the people decided by."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from choicemodels import FlowData, Gravity
from estimation import fit
from microsim import Behaviour, MoveTruth, simulate, synthesize
from microsim.mobility.variables import great_circle


def flows_of(run, metros):
    """Return the flows between all pairs, zeros kept, with their distance and division."""
    o, d = np.nonzero(~np.eye(len(metros), dtype=bool))
    distance = great_circle(metros.latitude, metros.longitude)
    table = pd.DataFrame(
        {
            "origin": metros.cbsa[o],
            "destination": metros.cbsa[d],
            "distance": distance[o, d],
            "same_division": (metros.division[o] == metros.division[d]).astype(float),
        }
    )
    return table.merge(run.flows, on=["origin", "destination"], how="left").fillna({"moves": 0})


@pytest.mark.parametrize("workers", [6_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_ppml_on_simulated_flows_finds_the_distance_elasticity(make, workers):
    people = synthesize(workers=workers, firms=workers // 20, metros=20, seed=4)
    truth = MoveTruth(tuple(people.metros.cbsa))
    # Without the moving cost, which rises with distance too, everybody weighs distance alike.
    moving = {name: value for name, value in truth.moving.items() if name != "moving_cost"}
    staying = {**truth.staying, "(Intercept)": 8.5}
    truth = replace(truth, moving=moving, staying=staying)
    run = simulate(people, Behaviour(mobility=truth), make(quiet=True), months=6)
    data = FlowData(
        flows_of(run, people.metros), origin="origin", destination="destination", flow="moves"
    )
    result = fit(Gravity("log(distance) + same_division | origin + destination"), data)
    for name in ("log(distance)", "same_division"):
        # Within the nest of all metros utilities are divided by its dissimilarity.
        elasticity = moving[name] / truth.dissimilarity
        assert abs(result.params[name] - elasticity) < 3 * result.bse[name]
        assert result.bse[name] < (0.25 if workers > 10_000 else 0.8)
