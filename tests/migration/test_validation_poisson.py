"""Balancing margins is fitting a Poisson model: harmonization against the gravity estimator."""

import numpy as np
import pytest

from choicemodels import FlowData, Gravity
from choicemodels.nation.generator import generate_nation
from estimation import fit
from estimation.harmonization.harmonize import harmonize
from estimation.harmonization.steps import Flows, Margins, published_steps


@pytest.fixture(scope="module")
def nation():
    return generate_nation("village", seed=3)


def long(raw, **columns):
    """Cells above zero of the raw flows as a table of flows."""
    cells = raw.stack().rename_axis(["origin", "destination"]).to_frame("raw")
    return cells.assign(**{k: v.stack() for k, v in columns.items()}).query("raw > 0").reset_index()


def test_the_last_step_is_a_poisson_fit_to_any_flows_with_its_margins(nation):
    steps = published_steps(nation.tables)
    start = harmonize(nation.raw, steps[:-1]).matrix
    result = harmonize(start, steps[-1:])
    ours = result.matrix.aggregate("county").to_frame()
    other = ours.copy()
    c, d = other.index[:2]
    # Around a square, no margin changes.
    for origin, destination, people in [(c, d, 400), (d, c, 400), (c, c, -400), (d, d, -400)]:
        other.loc[origin, destination] += people
    cells = long(start.aggregate("county").to_frame(), people=other, ours=ours)
    assert abs(cells["people"] / cells["ours"] - 1).max() > 0.5
    data = FlowData(cells, "origin", "destination", "people")
    ppml = fit(Gravity("1 | origin + destination", offset="log(raw)"), data)
    np.testing.assert_allclose(ppml.predict(), cells["ours"], rtol=1e-8)


def test_balancing_is_a_projection_nearest_in_divergence(nation):
    tables = nation.tables
    found = harmonize(nation.raw, [Margins(tables.before, tables.after)]).matrix
    # Another matrix with the same margins: the same step from another start.
    bent = harmonize(nation.raw, [Flows(tables.flows), Margins(tables.before, tables.after)]).matrix

    def divergence(p, q):
        return float((p * np.log(p / q) - p + q)[p > 0].sum())

    some = nation.raw.values > 0
    p, r, q = (m.values[some] for m in (found, bent, nation.raw))
    # Pythagoras: what any matrix with the margins is away from the raw one, it is away from the
    # projection first.
    assert divergence(r, q) == pytest.approx(divergence(r, p) + divergence(p, q), rel=1e-9)
    assert divergence(p, q) < divergence(r, q)
